/* Does a pod fit on this node? The predicates that upstream's kubelet runs again. Any thread. */
#include <string.h>

#include "api/node_match.h"
#include "api/quantity.h"
#include "base/mem.h"
#include "base/str.h"
#include "kubelet/node/node_internal.h"
#include "kubelet/pod/pod.h"

static bool refuse(char **ret_reason, char **ret_message, const char *reason, char *take_message)
{
        *ret_reason = kc_strdup(reason);
        *ret_message = take_message;
        return false;
}

static int64_t allocatable(const struct json_object *node, const char *resource)
{
        const char *text = kc_json_str(kc_json_at(node, "status.allocatable"), resource);
        struct kc_quantity q;
        if (!text || kc_quantity_parse(text, &q) < 0)
                return -1;
        return kc_streq(resource, "cpu") ? kc_quantity_milli(&q) : kc_quantity_value(&q);
}

static bool fits_resource(const struct json_object *node, const struct json_object *pod,
    const struct kc_objects *others, const char *resource, char **ret_reason, char **ret_message)
{
        int64_t capacity = allocatable(node, resource);
        bool count = kc_streq(resource, "pods");
        int64_t requested = count ? 1 : kc_pod_request(pod, resource), used = 0;
        if (capacity < 0 || requested == 0)
                return true;
        for (size_t i = 0; i < others->n; i++) {
                const struct json_object *o = kc_object_json(others->v[i]);
                if (!kc_streq(kc_meta_uid(o), kc_meta_uid(pod)) && !kc_pod_is_terminal(o))
                        used += count ? 1 : kc_pod_request(o, resource);
        }
        if (requested + used <= capacity)
                return true;
        KC_CLEANUP(kc_freep) char *reason = kc_asprintf("OutOf%s", resource);
        return refuse(ret_reason, ret_message, reason,
            kc_asprintf("Node didn't have enough resource: %s, requested: %lld, used: %lld, capacity: %lld", resource,
                (long long)requested, (long long)used, (long long)capacity));
}

/* A host port of the pod that another one holds. */
static bool ports_conflict(const struct json_object *a, const struct json_object *b)
{
        const struct json_object *la = kc_json_at(a, "spec.containers"), *lb = kc_json_at(b, "spec.containers");
        for (size_t i = 0; i < kc_json_len(la); i++) {
                const struct json_object *pa = kc_json_get(kc_json_idx(la, i), "ports");
                for (size_t p = 0; p < kc_json_len(pa); p++) {
                        const struct json_object *x = kc_json_idx(pa, p);
                        int64_t port = kc_json_int(x, "hostPort", 0);
                        for (size_t k = 0; port > 0 && k < kc_json_len(lb); k++) {
                                const struct json_object *pb = kc_json_get(kc_json_idx(lb, k), "ports");
                                for (size_t q = 0; q < kc_json_len(pb); q++) {
                                        const struct json_object *y = kc_json_idx(pb, q);
                                        const char *ix = kc_json_str(x, "hostIP"), *iy = kc_json_str(y, "hostIP");
                                        bool any = kc_str_empty(ix) || kc_str_empty(iy) || kc_streq(ix, "0.0.0.0") ||
                                                   kc_streq(iy, "0.0.0.0");
                                        if (port == kc_json_int(y, "hostPort", 0) && (any || kc_streq(ix, iy)) &&
                                            kc_streq(kc_json_str(x, "protocol") ?: "TCP",
                                                kc_json_str(y, "protocol") ?: "TCP"))
                                                return true;
                                }
                        }
                }
        }
        return false;
}

static const char *predicate_failure(const struct json_object *node, const struct json_object *pod,
    const struct kc_objects *others, const char **ret_name)
{
        const struct json_object *spec = kc_json_get(pod, "spec");
        *ret_name = "NodeAffinity";
        if (!kc_node_matches_pod(spec, node))
                return "node(s) didn't match Pod's node affinity/selector";
        *ret_name = "NodeName";
        const char *wanted = kc_json_str(spec, "nodeName");
        if (!kc_str_empty(wanted) && !kc_streq(wanted, kc_meta_name(node)))
                return "node(s) didn't match the requested node name";
        *ret_name = "NodePorts";
        for (size_t i = 0; i < others->n; i++) {
                const struct json_object *o = kc_object_json(others->v[i]);
                if (!kc_streq(kc_meta_uid(o), kc_meta_uid(pod)) && !kc_pod_is_terminal(o) && ports_conflict(pod, o))
                        return "node(s) didn't have free ports for the requested pod ports";
        }
        *ret_name = "TaintToleration";
        static const char *const effects[] = {"NoExecute", NULL};
        if (!kc_pod_is_static(pod) &&
            kc_untolerated_taint(kc_json_at(node, "spec.taints"), kc_json_get(spec, "tolerations"), effects))
                return "node(s) had taints that the pod didn't tolerate";
        return NULL;
}

bool kc_node_admit(struct kc_node *n, const struct json_object *pod, const struct kc_objects *others, char **ret_reason,
    char **ret_message)
{
        KC_CLEANUP(kc_object_unrefp) struct kc_object *o = kc_node_object(n);
        if (!o)
                return true;
        const struct json_object *node = kc_object_json(o);
        KC_CLEANUP(kc_strv_freep) char **resources = NULL;
        static const char *const always[] = {"pods", "cpu", "memory", "ephemeral-storage"};
        for (size_t i = 0; i < KC_ARRAY_LEN(always); i++)
                kc_strv_push(&resources, always[i]);
        KC_JSON_FOREACH(kc_json_at(node, "status.allocatable"), name, value)
        {
                (void)value;
                if (!kc_strv_has(resources, name))
                        kc_strv_push(&resources, name);
        }
        for (char **r = resources; *r; r++)
                if (!fits_resource(node, pod, others, *r, ret_reason, ret_message))
                        return false;
        const char *name, *why = predicate_failure(node, pod, others, &name);
        return !why || refuse(ret_reason, ret_message, name, kc_asprintf("Predicate %s failed: %s", name, why));
}
