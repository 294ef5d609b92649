/* Pods: QoS class, graceful deletion, binding to a node, eviction. Worker threads. */
#include <errno.h>
#include <string.h>

#include "api/names.h"
#include "api/object.h"
#include "api/quantity.h"
#include "api/status.h"
#include "api/warnings.h"
#include "base/str.h"
#include "registry/pods_internal.h"

/* --- QoS class (component-helpers' ComputePodQOS) */

static const char *const qos_resources[] = {"cpu", "memory"};

struct qos {
        struct kc_quantity requests[2], limits[2];
        bool has_request[2], has_limit[2];
        bool guaranteed; /* so far: every container limits both */
};

static bool positive(const struct json_object *list, const char *name, struct kc_quantity *ret)
{
        const struct json_object *v = kc_json_get(list, name);
        KC_CLEANUP(kc_freep) char *text = NULL;
        if (kc_json_as_str(v))
                text = kc_strdup(kc_json_as_str(v));
        else if (v)
                text = kc_json_to_str(v);
        const struct kc_quantity zero = {0};
        return text && kc_quantity_parse(text, ret) == 0 && kc_quantity_cmp(ret, &zero) > 0;
}

static void count_resources(struct qos *q, const struct json_object *resources)
{
        size_t limited = 0;
        for (size_t i = 0; i < KC_ARRAY_LEN(qos_resources); i++) {
                struct kc_quantity v;
                if (positive(kc_json_get(resources, "requests"), qos_resources[i], &v)) {
                        kc_quantity_add(&q->requests[i], &v);
                        q->has_request[i] = true;
                }
                if (positive(kc_json_get(resources, "limits"), qos_resources[i], &v)) {
                        kc_quantity_add(&q->limits[i], &v);
                        q->has_limit[i] = true;
                        limited++;
                }
        }
        if (limited < KC_ARRAY_LEN(qos_resources))
                q->guaranteed = false;
}

const char *pods_qos_class(const struct json_object *pod)
{
        struct qos q = {.guaranteed = true};
        static const char *const lists[] = {"containers", "initContainers"};
        const struct json_object *of_pod = kc_json_at(pod, "spec.resources");
        if (kc_json_n_keys(of_pod) > 0)
                count_resources(&q, of_pod);
        else
                for (size_t l = 0; l < KC_ARRAY_LEN(lists); l++) {
                        const struct json_object *containers = kc_json_get(kc_json_get(pod, "spec"), lists[l]);
                        for (size_t i = 0; i < kc_json_len(containers); i++)
                                count_resources(&q, kc_json_get(kc_json_idx(containers, i), "resources"));
                }
        bool any = false;
        for (size_t i = 0; i < KC_ARRAY_LEN(qos_resources); i++) {
                any = any || q.has_request[i] || q.has_limit[i];
                if (q.has_request[i] != q.has_limit[i] ||
                    (q.has_request[i] && kc_quantity_cmp(&q.requests[i], &q.limits[i]) != 0))
                        q.guaranteed = false;
        }
        return !any ? "BestEffort" : q.guaranteed ? "Guaranteed" : "Burstable";
}

/* --- create, update, delete */

static void prepare_create(const struct kc_registry_ctx *c, struct json_object *pod)
{
        kc_json_set(pod, "status", kc_json_build("{'phase':'Pending','qosClass':%s}", pods_qos_class(pod)));
        kc_json_set_int(kc_json_ensure_obj(pod, "metadata"), "generation", 1);
        if (kc_json_len(kc_json_at(pod, "spec.schedulingGates")) > 0)
                (void)kc_condition_set(kc_json_get_mut(pod, "status"), "PodScheduled", "False", "SchedulingGated",
                    "Scheduling is blocked due to non-empty scheduling gates", c->now);
}

static bool check_graceful_delete(
    const struct kc_registry_ctx *c, const struct json_object *pod, struct kc_delete_request *d)
{
        (void)c; /* the pod says it all */
        int64_t period = d->grace_period_seconds >= 0 ? d->grace_period_seconds
                                                      : kc_json_int_at(pod, "spec.terminationGracePeriodSeconds", 0);
        if (kc_str_empty(kc_json_str_at(pod, "spec.nodeName")) || kc_pod_is_terminal(pod))
                period = 0;
        d->grace_period_seconds = period < 0 ? 1 : period;
        return true;
}

static void prepare_status(const struct kc_registry_ctx *c, struct json_object *pod, const struct json_object *old)
{
        kc_strategy_default_status(c, pod, old);
        if (kc_json_str_at(old, "status.qosClass"))
                kc_strategy_keep(kc_json_ensure_obj(pod, "status"), kc_json_get(old, "status"), "qosClass");
}

/* --- actions: changes below the strategy of updates */

static void prepare_nothing(const struct kc_registry_ctx *c, struct json_object *pod, const struct json_object *old)
{
        (void)c;
        (void)pod;
        (void)old; /* the action has made of it what is to be stored */
}

static void validate_nothing(const struct kc_registry_ctx *c, const struct json_object *pod,
    const struct json_object *old, struct kc_field_errors *errors)
{
        (void)c;
        (void)pod;
        (void)old;
        (void)errors; /* as above */
}

static void merge_meta(struct json_object *pod, const char *what, const struct json_object *from)
{
        KC_JSON_FOREACH(from, key, val)
        {
                struct json_object *to = kc_json_ensure_obj(kc_json_get_mut(pod, "metadata"), what);
                kc_json_set(to, key, kc_json_copy(val));
        }
}

/* errors.NewConflict(pods/binding, name, err) */
static int bind_conflict(const struct kc_registry_ctx *c, struct kc_error *err, const char *fmt, ...) KC_PRINTF(3, 4);
static int bind_conflict(const struct kc_registry_ctx *c, struct kc_error *err, const char *fmt, ...)
{
        va_list ap;
        va_start(ap, fmt);
        KC_CLEANUP(kc_freep) char *why = kc_vasprintf(fmt, ap);
        va_end(ap);
        return kc_err_conflict(err, "", "pods/binding", c->name, why);
}

static int bind(struct kc_registry_ctx *c, const struct kc_object *current, struct json_object **ret, void *arg,
    struct kc_error *err)
{
        const struct json_object *binding = arg, *old = kc_object_json(current);
        const char *node = kc_json_str_at(old, "spec.nodeName"), *uid = kc_meta_uid(binding);
        if (!kc_str_empty(uid) && !kc_streq(uid, kc_meta_uid(old)))
                return bind_conflict(c, err, "Precondition failed: UID in precondition: %s, UID in object meta: %s",
                    uid, kc_meta_uid(old));
        if (kc_meta_deleting(old))
                return bind_conflict(c, err, "pod %s is being deleted, cannot be assigned to a host", c->name);
        if (!kc_str_empty(node))
                return bind_conflict(c, err, "pod %s is already assigned to node \"%s\"", c->name, node);
        if (kc_json_len(kc_json_at(old, "spec.schedulingGates")) > 0)
                return bind_conflict(c, err, "pod %s has non-empty .spec.schedulingGates", c->name);
        struct json_object *pod = kc_object_copy_json(current);
        kc_json_set_str(kc_json_ensure_obj(pod, "spec"), "nodeName", kc_json_str_at(binding, "target.name"));
        merge_meta(pod, "annotations", kc_json_at(binding, "metadata.annotations"));
        merge_meta(pod, "labels", kc_json_at(binding, "metadata.labels"));
        struct json_object *status = kc_json_ensure_obj(pod, "status");
        (void)kc_condition_set(status, "PodScheduled", "True", NULL, NULL, c->now);
        kc_json_del(status, "nominatedNodeName"); /* wherever the pod is bound to */
        const char *rv = kc_meta_resource_version(binding);
        if (!kc_str_empty(rv))
                kc_json_set_str(kc_json_get_mut(pod, "metadata"), "resourceVersion", rv);
        *ret = pod;
        return 0;
}

static int validate_binding(const struct json_object *binding, struct kc_error *err)
{
        static const char *const kinds[] = {"Node", NULL};
        KC_CLEANUP(kc_field_errors_done) struct kc_field_errors errors = {0};
        const char *kind = kc_json_str_at(binding, "target.kind");
        if (!kc_str_empty(kind) && strcmp(kind, "Node") != 0)
                kc_field_not_supported(&errors, "target.kind", kind, kinds);
        if (kc_str_empty(kc_json_str_at(binding, "target.name")))
                kc_field_required(&errors, "target.name", "");
        if (errors.n == 0)
                return 0;
        KC_CLEANUP(kc_freep) char *text = kc_field_errors_text(&errors);
        return kc_error_set_api(err, 500, "", "%s", text);
}

static int create_binding(const struct kc_registry_ctx *c, struct json_object *body, struct json_object **ret,
    int *ret_code, struct kc_error *err)
{
        (void)ret; /* Status Success */
        (void)ret_code;
        int r = validate_binding(body, err);
        if (r < 0)
                return r;
        struct kc_registry_ctx sub = *c;
        const struct kc_registry_update_opts o = {.transform = bind, .arg = body, .no_admission = true};
        return kc_registry_update(&sub, &o, NULL, NULL, err);
}

static const struct kc_subresource_strategy subresources[] = {
    {.name = "ephemeralcontainers", .prepare_for_update = pods_prepare_ephemeral},
    {.name = "resize", .prepare_for_update = pods_prepare_resize, .validate_update = pods_validate_resize},
    {.name = "status", .prepare_for_update = prepare_status},
    {.name = "binding",
        .prepare_for_update = prepare_nothing,
        .validate_update = validate_nothing,
        .create = create_binding},
    {.name = "eviction",
        .prepare_for_update = prepare_nothing,
        .validate_update = validate_nothing,
        .create = pods_create_eviction},
};

static void warn_of_pod(const struct kc_registry_ctx *c, const struct json_object *pod)
{
        struct kc_why why = {0};
        kc_name_dns1123_label(kc_meta_name(pod), &why);
        KC_CLEANUP(kc_freep) char *all = kc_why_join(&why, " ");
        if (why.n && c->warnings)
                kc_strv_pushf(c->warnings,
                    "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS "
                    "label is recommended: [%s]",
                    all);
        kc_warn_pod(c->warnings, pod);
}

const struct kc_strategy kc_strategy_pods = {
    .group = "",
    .resource = "pods",
    .prepare_for_create = prepare_create,
    .warnings_create = warn_of_pod,
    .check_graceful_delete = check_graceful_delete,
    .subresources = subresources,
    .n_subresources = KC_ARRAY_LEN(subresources),
};
