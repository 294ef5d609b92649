/* Facts about pods and the places of their files. Pure: any thread. */
#include "kubelet/pod/pod.h"

#include <string.h>

#include "api/quantity.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"

static const char *const container_lists[] = {
    [KC_CONTAINER_APP] = "containers",
    [KC_CONTAINER_INIT] = "initContainers",
    [KC_CONTAINER_EPHEMERAL] = "ephemeralContainers",
};

bool kc_pod_is_mirror(const struct json_object *pod)
{
        return kc_meta_annotation(pod, KC_ANNOTATION_CONFIG_MIRROR) != NULL;
}

bool kc_pod_is_static(const struct json_object *pod)
{
        const char *source = kc_meta_annotation(pod, KC_ANNOTATION_CONFIG_SOURCE);
        return source && !kc_streq(source, "api") && !kc_pod_is_mirror(pod);
}

bool kc_pod_is_host_network(const struct json_object *pod)
{
        return kc_json_bool_at(pod, "spec.hostNetwork", false);
}

char *kc_pod_full_name(const struct json_object *pod)
{
        return kc_asprintf("%s/%s", kc_meta_namespace(pod) ?: "default", kc_meta_name(pod) ?: "");
}

char *kc_pod_format(const struct json_object *pod)
{
        return kc_asprintf(
            "%s_%s(%s)", kc_meta_name(pod) ?: "", kc_meta_namespace(pod) ?: "default", kc_meta_uid(pod) ?: "");
}

int64_t kc_pod_grace_seconds(const struct json_object *pod)
{
        int64_t grace = kc_json_int_at(pod, "spec.terminationGracePeriodSeconds", 30);
        if (kc_meta_deleting(pod))
                grace = kc_json_int_at(pod, "metadata.deletionGracePeriodSeconds", grace);
        return grace;
}

/* Accumulates one container's cpu and memory into the two questions that decide the class. */
static void qos_of_container(const struct json_object *container, bool *any, bool *guaranteed)
{
        static const char *const names[] = {"cpu", "memory"};
        const struct json_object *limits = kc_json_at(container, "resources.limits");
        const struct json_object *requests = kc_json_at(container, "resources.requests");
        for (size_t i = 0; i < KC_ARRAY_LEN(names); i++) {
                const char *limit = kc_json_str(limits, names[i]), *request = kc_json_str(requests, names[i]);
                struct kc_quantity lq = {0}, rq = {0};
                bool has_limit = limit && kc_quantity_parse(limit, &lq) == 0 && lq.nano != 0;
                bool has_request = request && kc_quantity_parse(request, &rq) == 0 && rq.nano != 0;
                if (has_limit || has_request)
                        *any = true;
                if (!has_limit || (has_request && kc_quantity_cmp(&lq, &rq) != 0))
                        *guaranteed = false;
        }
}

const char *kc_pod_qos(const struct json_object *pod)
{
        const char *set = kc_json_str_at(pod, "status.qosClass");
        static const char *const classes[] = {"Guaranteed", "Burstable", "BestEffort"};
        for (size_t i = 0; set && i < KC_ARRAY_LEN(classes); i++)
                if (kc_streq(set, classes[i]))
                        return classes[i];
        bool any = false, guaranteed = true;
        for (size_t l = KC_CONTAINER_APP; l <= KC_CONTAINER_INIT; l++) {
                const struct json_object *list = kc_json_get(kc_json_get(pod, "spec"), container_lists[l]);
                for (size_t i = 0; i < kc_json_len(list); i++)
                        qos_of_container(kc_json_idx(list, i), &any, &guaranteed);
        }
        if (!any)
                return "BestEffort";
        return guaranteed ? "Guaranteed" : "Burstable";
}

const struct json_object *kc_pod_container(
    const struct json_object *pod, const char *name, enum kc_container_kind *ret_kind)
{
        for (size_t l = 0; l < KC_ARRAY_LEN(container_lists); l++) {
                const struct json_object *list = kc_json_get(kc_json_get(pod, "spec"), container_lists[l]);
                const struct json_object *c = kc_json_find(list, "name", name);
                if (c) {
                        if (ret_kind)
                                *ret_kind = (enum kc_container_kind)l;
                        return c;
                }
        }
        return NULL;
}

bool kc_container_is_sidecar(const struct json_object *container)
{
        return kc_streq(kc_json_str(container, "restartPolicy"), "Always");
}

char *kc_pod_container_field_path(const struct json_object *pod, const char *name)
{
        enum kc_container_kind kind;
        if (!kc_pod_container(pod, name, &kind))
                return NULL;
        return kc_asprintf("spec.%s{%s}", container_lists[kind], name);
}

uint32_t kc_container_hash(const struct json_object *container)
{
        KC_CLEANUP(kc_json_freep)
        struct json_object *picked =
            kc_json_build("{'name':%s,'image':%s}", kc_json_str(container, "name"), kc_json_str(container, "image"));
        struct kc_buf b = KC_BUF_INIT;
        kc_json_write_sorted(&b, picked);
        uint32_t hash = kc_fnv32a(b.data, b.len);
        kc_buf_done(&b);
        return hash;
}

static bool is_empty(const struct json_object *o)
{
        if (!o)
                return true;
        const char *str = kc_json_as_str(o);
        if (str)
                return *str == '\0';
        if (kc_json_is_arr(o))
                return kc_json_len(o) == 0;
        return kc_json_is_obj(o) && kc_json_n_keys(o) == 0;
}

/* A copy without empty values, from the leaves up. */
static struct json_object *pruned(const struct json_object *o)
{
        if (kc_json_is_arr(o)) {
                struct json_object *list = json_object_new_array();
                for (size_t i = 0; i < kc_json_len(o); i++)
                        kc_json_push(list, pruned(kc_json_idx(o, i)));
                return list;
        }
        if (!kc_json_is_obj(o))
                return o ? kc_json_copy(o) : NULL;
        struct json_object *copy = json_object_new_object();
        KC_JSON_FOREACH(o, key, value)
        {
                struct json_object *v = pruned(value);
                if (is_empty(v))
                        kc_json_free(v);
                else
                        kc_json_set(copy, key, v);
        }
        return copy;
}

bool kc_status_equal(const struct json_object *a, const struct json_object *b)
{
        KC_CLEANUP(kc_json_freep) struct json_object *x = pruned(a);
        KC_CLEANUP(kc_json_freep) struct json_object *y = pruned(b);
        return kc_json_equal(x, y);
}

char *kc_pod_dir(const char *root, const char *uid)
{
        return kc_asprintf("%s/pods/%s", root, uid);
}

char *kc_pod_volume_dir(const char *root, const char *uid, const char *plugin, const char *volume)
{
        return kc_asprintf("%s/pods/%s/volumes/%s/%s", root, uid, plugin, volume);
}

char *kc_pod_plugin_dir(const char *root, const char *uid, const char *plugin)
{
        return kc_asprintf("%s/pods/%s/plugins/%s", root, uid, plugin);
}

char *kc_pod_container_dir(const char *root, const char *uid, const char *container)
{
        return kc_asprintf("%s/pods/%s/containers/%s", root, uid, container);
}

char *kc_pod_hosts_path(const char *root, const char *uid)
{
        return kc_asprintf("%s/pods/%s/etc-hosts", root, uid);
}

char *kc_pod_log_dir(const char *logs, const struct json_object *pod)
{
        return kc_asprintf(
            "%s/%s_%s_%s", logs, kc_meta_namespace(pod) ?: "default", kc_meta_name(pod), kc_meta_uid(pod));
}

char *kc_container_log_path(const char *container, int restart_count)
{
        return kc_asprintf("%s/%d.log", container, restart_count);
}
