/* ReplicationControllers, ReplicaSets, Deployments, DaemonSets and StatefulSets: generations, scale, warnings. Worker
 * threads. */
#include <errno.h>
#include <string.h>

#include "api/names.h"
#include "api/object.h"
#include "api/selector.h"
#include "api/status.h"
#include "api/warnings.h"
#include "base/str.h"
#include "registry/strategies.h"

/* --- scale */

static char *selector_text(const struct json_object *selector, bool plain_map)
{
        KC_CLEANUP(kc_selector_freep) struct kc_selector *s = NULL;
        if (plain_map)
                s = kc_selector_from_map(selector);
        else if (kc_selector_from_label_selector(selector, &s, NULL) < 0)
                return kc_strdup("");
        return kc_selector_format(s);
}

static struct json_object *to_scale(const struct kc_registry_ctx *c, const struct json_object *obj)
{
        static const char *const kept[] = {"name", "namespace", "uid", "resourceVersion", "creationTimestamp"};
        struct json_object *meta = json_object_new_object();
        const struct json_object *from = kc_json_get(obj, "metadata");
        for (size_t i = 0; i < KC_ARRAY_LEN(kept); i++)
                if (kc_json_get(from, kept[i]))
                        kc_json_set(meta, kept[i], kc_json_copy(kc_json_get(from, kept[i])));
        bool plain = strcmp(c->stored->row->resource, "replicationcontrollers") == 0;
        KC_CLEANUP(kc_freep) char *selector = selector_text(kc_json_at(obj, "spec.selector"), plain);
        struct json_object *scale = kc_json_build("{'kind':'Scale','apiVersion':'autoscaling/v1','metadata':%o,"
                                                  "'spec':{},'status':{'replicas':%lld}}",
            meta, (long long)kc_json_int_at(obj, "status.replicas", 0));
        int64_t replicas = kc_json_int_at(obj, "spec.replicas", 0);
        if (replicas != 0)
                kc_json_set_int(kc_json_get_mut(scale, "spec"), "replicas", replicas);
        if (selector[0] != '\0')
                kc_json_set_str(kc_json_get_mut(scale, "status"), "selector", selector);
        return scale;
}

static int from_scale(
    const struct kc_registry_ctx *c, struct json_object *obj, const struct json_object *scale, struct kc_error *err)
{
        int64_t replicas = kc_json_int_at(scale, "spec.replicas", 0);
        if (replicas < 0) {
                KC_CLEANUP(kc_field_errors_done) struct kc_field_errors errors = {0};
                kc_field_invalid_int(&errors, "spec.replicas", replicas, "must be greater than or equal to 0");
                return kc_err_invalid(err, "autoscaling", "Scale", c->name, &errors);
        }
        const char *uid = kc_meta_uid(scale), *rv = kc_meta_resource_version(scale);
        if (!kc_str_empty(uid) && !kc_streq(uid, kc_meta_uid(obj))) {
                KC_CLEANUP(kc_freep)
                char *why = kc_asprintf(
                    "Precondition failed: UID in precondition: %s, UID in object meta: %s", uid, kc_meta_uid(obj));
                return kc_err_conflict(err, c->row->group, c->row->resource, c->name, why);
        }
        kc_json_set_int(kc_json_ensure_obj(obj, "spec"), "replicas", replicas);
        struct json_object *meta = kc_json_ensure_obj(obj, "metadata");
        kc_json_set_str(meta, "resourceVersion", kc_str_empty(rv) ? NULL : rv);
        return 0;
}

static const char *const replicas_path[] = {"spec", "replicas", NULL};

static const struct kc_subresource_strategy with_scale[] = {
    {.name = "scale", .to = to_scale, .from = from_scale, .replicas = replicas_path},
};

/* --- Warnings */

void kc_strategy_warn_of_name(const struct kc_registry_ctx *c, const struct json_object *obj)
{
        struct kc_why why = {0};
        kc_name_dns1123_label(kc_meta_name(obj), &why);
        KC_CLEANUP(kc_freep) char *all = kc_why_join(&why, " ");
        if (why.n && c->warnings)
                kc_strv_pushf(c->warnings,
                    "metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; "
                    "a DNS label is recommended: [%s]",
                    all);
}

static void warn_of_template(const struct kc_registry_ctx *c, const struct json_object *obj)
{
        kc_warn_pod_template(c->warnings, "spec.template", kc_json_at(obj, "spec.template"));
}

static void warn_of_new(const struct kc_registry_ctx *c, const struct json_object *obj)
{
        kc_strategy_warn_of_name(c, obj);
        warn_of_template(c, obj);
}

static void warn_of_update(
    const struct kc_registry_ctx *c, const struct json_object *obj, const struct json_object *old)
{
        if (kc_meta_generation(obj) != kc_meta_generation(old))
                warn_of_template(c, obj);
}

static void warn_of_stateful_set(const struct kc_registry_ctx *c, const struct json_object *obj)
{
        const struct json_object *claims = kc_json_at(obj, "spec.volumeClaimTemplates");
        warn_of_template(c, obj);
        for (size_t i = 0; i < kc_json_len(claims); i++) {
                KC_CLEANUP(kc_freep) char *path = kc_asprintf("spec.volumeClaimTemplates[%zu].spec", i);
                kc_warn_claim_spec(c->warnings, path, kc_json_get(kc_json_idx(claims, i), "spec"));
        }
        if (c->warnings && kc_json_int_at(obj, "spec.revisionHistoryLimit", 0) < 0)
                kc_strv_push(c->warnings, "spec.revisionHistoryLimit: a negative value retains all historical "
                                          "revisions; a value >= 0 is recommended");
}

static void warn_of_stateful_set_update(
    const struct kc_registry_ctx *c, const struct json_object *obj, const struct json_object *old)
{
        if (kc_meta_generation(obj) != kc_meta_generation(old))
                warn_of_stateful_set(c, obj);
}

/* --- Deployments: annotations count as a change, too (they are copied to ReplicaSets) */

static void update_deployment(const struct kc_registry_ctx *c, struct json_object *obj, const struct json_object *old)
{
        kc_strategy_default_update(c, obj, old);
        int64_t before = kc_meta_generation(old);
        if (kc_meta_generation(obj) == before &&
            !kc_json_equal(kc_json_at(obj, "metadata.annotations"), kc_json_at(old, "metadata.annotations")))
                kc_json_set_int(kc_json_get_mut(obj, "metadata"), "generation", before + 1);
}

/* --- DaemonSets: the generation of the template stands in an annotation (apps/v1 has no field for it) */

#define TEMPLATE_GENERATION "deprecated.daemonset.template.generation"

static int64_t template_generation(const struct json_object *ds)
{
        const char *text = kc_meta_annotation(ds, TEMPLATE_GENERATION);
        int64_t n;
        return text && kc_str_to_i64(text, &n) == 0 ? n : 0;
}

static void set_template_generation(struct json_object *ds, int64_t n)
{
        KC_CLEANUP(kc_freep) char *text = kc_asprintf("%lld", (long long)n);
        kc_meta_set_annotation(ds, TEMPLATE_GENERATION, text);
}

static void create_daemonset(const struct kc_registry_ctx *c, struct json_object *obj)
{
        kc_strategy_default_create(c, obj);
        set_template_generation(obj, KC_MAX(template_generation(obj), 1));
}

static void update_daemonset(const struct kc_registry_ctx *c, struct json_object *obj, const struct json_object *old)
{
        int64_t n = template_generation(old);
        if (!kc_json_equal(kc_json_at(obj, "spec.template"), kc_json_at(old, "spec.template")))
                n++;
        set_template_generation(obj, KC_MAX(n, 1));
        kc_strategy_default_update(c, obj, old);
}

const struct kc_strategy kc_strategy_replicationcontrollers = {
    .group = "",
    .resource = "replicationcontrollers",
    .orphan_by_default = true,
    .warnings_create = warn_of_new,
    .warnings_update = warn_of_update,
    .subresources = with_scale,
    .n_subresources = KC_ARRAY_LEN(with_scale),
};

const struct kc_strategy kc_strategy_replicasets = {
    .group = "apps",
    .resource = "replicasets",
    .warnings_create = warn_of_new,
    .warnings_update = warn_of_update,
    .subresources = with_scale,
    .n_subresources = KC_ARRAY_LEN(with_scale),
};

const struct kc_strategy kc_strategy_deployments = {
    .group = "apps",
    .resource = "deployments",
    .prepare_for_update = update_deployment,
    .warnings_create = warn_of_new,
    .warnings_update = warn_of_update,
    .subresources = with_scale,
    .n_subresources = KC_ARRAY_LEN(with_scale),
};

const struct kc_strategy kc_strategy_daemonsets = {
    .group = "apps",
    .resource = "daemonsets",
    .prepare_for_create = create_daemonset,
    .prepare_for_update = update_daemonset,
    .warnings_create = warn_of_template,
    .warnings_update = warn_of_update,
};

const struct kc_strategy kc_strategy_statefulsets = {
    .group = "apps",
    .resource = "statefulsets",
    .warnings_create = warn_of_stateful_set,
    .warnings_update = warn_of_stateful_set_update,
    .subresources = with_scale,
    .n_subresources = KC_ARRAY_LEN(with_scale),
};
