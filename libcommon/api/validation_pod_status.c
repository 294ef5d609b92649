/* Updates of a pod's status, and resizing of its containers. Any thread. */
#include <string.h>

#include "api/validation_internal.h"
#include "base/mem.h"
#include "base/str.h"

static const struct kc_vpath status_path = {.kind = KC_VPATH_CHILD, .key = "status"};
static const struct kc_vpath spec_path = {.kind = KC_VPATH_CHILD, .key = "spec"};

static void conditions(struct kc_v *v, const struct json_object *list)
{
        static const char *const of_system[] = {"PodScheduled", "Ready", "Initialized", NULL};
        const struct kc_vpath *p = V_CHILD(V_CHILD(NULL, "metadata"), "conditions"); /* upstream's path */
        for (size_t i = 0; i < kc_json_len(list); i++) {
                const char *type = kc_v_str(kc_json_idx(list, i), "type");
                if (!kc_v_in(type, of_system))
                        kc_v_name(v, V_CHILD(V_INDEX(p, i), "Type"), type, kc_name_label_key);
        }
}

static bool is_sidecar(const struct json_object *spec, const char *name)
{
        const struct json_object *c = kc_json_find(kc_json_get(spec, "initContainers"), "name", name);
        return kc_streq(kc_v_str(c, "restartPolicy"), "Always");
}

/* A container that has ended for good does not run again. */
static void no_resurrection(struct kc_v *v, const char *key, const struct json_object *o, const struct json_object *old,
    const char *restart_policy)
{
        const struct json_object *now = kc_json_get(kc_json_get(o, "status"), key);
        const struct json_object *before = kc_json_get(kc_json_get(old, "status"), key);
        if (kc_streq(restart_policy, "Always"))
                return;
        KC_CLEANUP(kc_map_freep) struct kc_map *by_name = kc_v_index(now, "name");
        for (size_t i = 0; i < kc_json_len(before); i++) {
                const struct json_object *was = kc_json_idx(before, i);
                const struct json_object *terminated = kc_json_at(was, "state.terminated");
                const char *name = kc_v_str(was, "name");
                if (!terminated ||
                    (kc_json_int(terminated, "exitCode", 0) != 0 && kc_streq(restart_policy, "OnFailure")))
                        continue;
                if (kc_streq(key, "initContainerStatuses") && is_sidecar(kc_json_get(old, "spec"), name))
                        continue;
                const struct json_object *is = kc_map_get(by_name, name);
                if (is && !kc_json_at(is, "state.terminated"))
                        kc_v_forbidden(v, V_CHILD(V_INDEX(V_CHILD(&status_path, key), i), "state"),
                            "may not be transitioned to non-terminated state");
        }
}

/* Also podIPs and hostIPs: valid, at most one of each family, no duplicates. */
static void addresses(struct kc_v *v, const char *key, const struct json_object *list)
{
        const struct kc_vpath *p = V_CHILD(&status_path, key);
        for (size_t i = 0; i < kc_json_len(list); i++)
                (void)kc_v_ip(v, V_INDEX(p, i), kc_v_str(kc_json_idx(list, i), "ip")); /* noted if invalid */
        if (kc_json_len(list) < 2)
                return;
        if (!kc_v_dual_stack(list, "ip"))
                kc_v_invalid(v, p, list, "may specify no more than one IP for each IP family");
        kc_v_repeated(v, p, list);
}

static void resource_claim_statuses(struct kc_v *v, const struct json_object *o)
{
        const struct json_object *list = kc_json_at(o, "status.resourceClaimStatuses");
        KC_CLEANUP(kc_map_freep) struct kc_map *claims = kc_v_index(kc_json_at(o, "spec.resourceClaims"), "name");
        KC_CLEANUP(kc_map_freep) struct kc_map *seen = kc_map_new(NULL);
        for (size_t i = 0; i < kc_json_len(list); i++) {
                const char *name = kc_v_str(kc_json_idx(list, i), "name");
                const char *claim = kc_json_str(kc_json_idx(list, i), "resourceClaimName");
                const struct kc_vpath *p = V_CHILD(V_INDEX(V_CHILD(&status_path, "resourceClaimStatuses"), i), "name");
                if (!kc_map_has(claims, name))
                        kc_v_invalid_str(v, p, name, "must match the name of an entry in `spec.resourceClaims`");
                if (!kc_v_first(seen, name))
                        kc_v_duplicate(v, p, name);
                if (claim)
                        kc_v_name(v, p, claim, kc_name_dns1123_subdomain);
        }
}

void kc_v_pod_status_update(struct kc_v *v, const struct json_object *o, const struct json_object *old)
{
        const struct json_object *status = kc_json_get(o, "status"), *before = kc_json_get(old, "status");
        const char *nominated = kc_v_str(status, "nominatedNodeName");
        const char *restart_policy = kc_v_str(kc_json_get(old, "spec"), "restartPolicy");
        kc_v_meta_update(v, o, old);
        kc_v_pod_annotation_update(v, o, old);
        conditions(v, kc_json_get(status, "conditions"));
        if (!kc_streq(kc_v_str(kc_json_get(o, "spec"), "nodeName"), kc_v_str(kc_json_get(old, "spec"), "nodeName")))
                kc_v_forbidden(v, V_CHILD(&status_path, "nodeName"), "may not be changed directly");
        if (*nominated && !kc_streq(nominated, kc_v_str(before, "nominatedNodeName")))
                kc_v_name(v, V_CHILD(&status_path, "nominatedNodeName"), nominated, kc_name_dns1123_subdomain);
        const char *qos = kc_v_str(status, "qosClass");
        if (!kc_streq(qos, kc_v_str(before, "qosClass")))
                kc_v_invalid_str(v, V_CHILD(&status_path, "qosClass"), qos, "field is immutable");
        no_resurrection(v, "containerStatuses", o, old, restart_policy);
        no_resurrection(v, "initContainerStatuses", o, old, restart_policy);
        no_resurrection(v, "ephemeralContainerStatuses", o, old, "Never");
        resource_claim_statuses(v, o);
        addresses(v, "podIPs", kc_json_get(status, "podIPs"));
        const struct json_object *hosts = kc_json_get(status, "hostIPs");
        const char *first = kc_v_str(kc_json_idx(hosts, 0), "ip");
        if (kc_json_len(hosts) > 0 && !kc_streq(first, kc_v_str(status, "hostIP")))
                kc_v_invalid_str(
                    v, V_CHILD(V_INDEX(V_CHILD(&status_path, "hostIPs"), 0), "ip"), first, "must be equal to `hostIP`");
        addresses(v, "hostIPs", hosts);
}

/* --- Resizing */

static bool resources_removed(const struct json_object *now, const struct json_object *before)
{
        KC_JSON_FOREACH(before, name, value)
        {
                if (!kc_json_get(now, name))
                        return true;
        }
        return false;
}

static void container_resize(
    struct kc_v *v, const struct kc_vpath *p, const struct json_object *now, const struct json_object *before)
{
        static const char *const keys[][2] = {
            {"requests", "resource requests cannot be removed"}, {"limits", "resource limits cannot be removed"}};
        const struct kc_vpath *at = V_CHILD(p, "resources");
        for (size_t i = 0; i < KC_ARRAY_LEN(keys); i++) {
                if (resources_removed(kc_json_get(kc_json_get(now, "resources"), keys[i][0]),
                        kc_json_get(kc_json_get(before, "resources"), keys[i][0])))
                        kc_v_forbidden(v, V_CHILD(at, keys[i][0]), keys[i][1]);
        }
}

/* The container with the CPU and memory of another one. */
static struct json_object *with_compute_of(const struct json_object *container, const struct json_object *other)
{
        static const char *const lists[] = {"limits", "requests"}, *const names[] = {"cpu", "memory"};
        struct json_object *c = kc_json_copy(container);
        for (size_t i = 0; i < KC_ARRAY_LEN(lists); i++) {
                const struct json_object *from = kc_json_get(kc_json_get(other, "resources"), lists[i]);
                struct json_object *to = kc_json_get_mut(kc_json_ensure_obj(c, "resources"), lists[i]);
                for (size_t j = 0; j < KC_ARRAY_LEN(names); j++) {
                        const struct json_object *value = kc_json_get(from, names[j]);
                        if (to)
                                kc_json_del(to, names[j]);
                        if (!value)
                                continue;
                        if (!to) {
                                to = json_object_new_object();
                                kc_json_set(kc_json_get_mut(c, "resources"), lists[i], to);
                        }
                        kc_json_set(to, names[j], kc_json_copy(value));
                }
        }
        kc_json_del(c, "resizePolicy");
        return c;
}

static void resize_list(struct kc_v *v, const char *key, const struct json_object *o, const struct json_object *old)
{
        const struct json_object *list = kc_json_get(kc_json_get(o, "spec"), key);
        const struct json_object *before = kc_json_get(kc_json_get(old, "spec"), key);
        bool init = kc_streq(key, "initContainers");
        if (kc_json_len(list) != kc_json_len(before)) {
                kc_v_forbidden(v, &spec_path, "only cpu and memory resources are mutable");
                return;
        }
        for (size_t i = 0; i < kc_json_len(list); i++) {
                const struct json_object *was = kc_json_idx(before, i), *is = kc_json_idx(list, i);
                bool sidecar = init && kc_streq(kc_v_str(was, "restartPolicy"), "Always");
                if (init && !sidecar) {
                        if (!kc_v_equal(is, was))
                                kc_v_forbidden(
                                    v, &spec_path, "resources for non-sidecar init containers are immutable");
                        continue;
                }
                container_resize(v, V_INDEX(V_CHILD(&spec_path, key), i), is, was);
                KC_CLEANUP(kc_json_freep) struct json_object *munged = with_compute_of(is, was);
                KC_CLEANUP(kc_json_freep) struct json_object *same = with_compute_of(was, was);
                if (!kc_v_equal(munged, same))
                        kc_v_forbidden(v, &spec_path,
                            sidecar ? "only cpu and memory resources for sidecar containers are mutable"
                                    : "only cpu and memory resources are mutable");
        }
}

void kc_v_pod_resize(struct kc_v *v, const struct json_object *o, const struct json_object *old)
{
        const struct json_object *spec = kc_json_get(o, "spec"), *old_spec = kc_json_get(old, "spec");
        if (kc_json_get(spec, "resources") || kc_json_get(old_spec, "resources")) {
                kc_v_forbidden(v, NULL, "pods with pod-level resources cannot be resized");
                return;
        }
        if (kc_json_get(kc_json_at(old, "metadata.annotations"), "kubernetes.io/config.mirror")) {
                kc_v_forbidden(v, NULL, "static pods cannot be resized");
                return;
        }
        if (kc_streq(kc_json_str_at(old_spec, "os.name"), "windows")) {
                kc_v_forbidden(v, NULL, "windows pods cannot be resized");
                return;
        }
        kc_v_meta_update(v, o, old);
        kc_v_pod_meta_and_spec(v, o);
        resize_list(v, "initContainers", o, old);
        resize_list(v, "containers", o, old);
        if (v->errors->n > 0)
                return;
        KC_CLEANUP(kc_json_freep) struct json_object *rest = kc_json_copy(spec), *old_rest = kc_json_copy(old_spec);
        static const char *const lists[] = {"containers", "initContainers"};
        for (size_t i = 0; i < KC_ARRAY_LEN(lists); i++) {
                kc_json_del(rest, lists[i]);
                kc_json_del(old_rest, lists[i]);
        }
        if (!kc_v_equal(rest, old_rest))
                kc_v_forbidden(v, &spec_path, "only cpu and memory resources are mutable");
}
