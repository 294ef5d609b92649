/* Small plugins: TaintNodesByCondition, AlwaysPullImages, DefaultTolerationSeconds, DenyServiceExternalIPs,
 * PodTopologyLabels, StorageObjectInUseProtection. */
#include <string.h>

#include "admission/admission_internal.h"
#include "api/object.h"
#include "base/str.h"

#define TAINT_NOT_READY "node.kubernetes.io/not-ready"
#define TAINT_UNREACHABLE "node.kubernetes.io/unreachable"

enum { TOLERATION_SECONDS = 300 };

ADM_ADMIT(adm_taint_nodes)
{
        (void)adm; /* the request says it all */
        (void)err; /* never refuses */
        if (!adm_is(a, "", "nodes"))
                return 0;
        struct json_object *taints = kc_json_ensure_arr(a->obj, "spec.taints");
        for (size_t i = 0; i < kc_json_len(taints); i++) {
                const struct json_object *t = kc_json_idx(taints, i);
                if (kc_streq(kc_json_str(t, "key"), TAINT_NOT_READY) &&
                    kc_streq(kc_json_str(t, "effect"), "NoSchedule"))
                        return 0;
        }
        kc_json_push(taints, kc_json_build("{'key':%s,'effect':'NoSchedule'}", TAINT_NOT_READY));
        return 0;
}

ADM_ADMIT(adm_always_pull)
{
        (void)adm; /* the request says it all */
        (void)err; /* never refuses */
        if (strcmp(a->row->group, "") != 0 || strcmp(a->row->resource, "pods") != 0 ||
            (a->subresource[0] != '\0' && strcmp(a->subresource, "ephemeralcontainers") != 0))
                return 0;
        static const char *const lists[] = {"initContainers", "containers", "ephemeralContainers"};
        for (size_t l = 0; l < KC_ARRAY_LEN(lists); l++) {
                struct json_object *c = kc_json_get_mut(kc_json_get_mut(a->obj, "spec"), lists[l]);
                for (size_t i = 0; i < kc_json_len(c); i++)
                        kc_json_set_str(kc_json_idx_mut(c, i), "imagePullPolicy", "Always");
        }
        return 0;
}

static bool tolerates(const struct json_object *tolerations, const char *taint)
{
        for (size_t i = 0; i < kc_json_len(tolerations); i++) {
                const struct json_object *t = kc_json_idx(tolerations, i);
                const char *key = kc_json_str(t, "key"), *effect = kc_json_str(t, "effect");
                if ((kc_str_empty(key) || strcmp(key, taint) == 0) &&
                    (kc_str_empty(effect) || strcmp(effect, "NoExecute") == 0))
                        return true;
        }
        return false;
}

ADM_ADMIT(adm_default_tolerations)
{
        (void)adm; /* the request says it all */
        (void)err; /* never refuses */
        if (!adm_is(a, "", "pods"))
                return 0;
        static const char *const taints[] = {TAINT_NOT_READY, TAINT_UNREACHABLE};
        for (size_t i = 0; i < KC_ARRAY_LEN(taints); i++)
                if (!tolerates(kc_json_at(a->obj, "spec.tolerations"), taints[i]))
                        kc_json_push(kc_json_ensure_arr(a->obj, "spec.tolerations"),
                            kc_json_build("{'key':%s,'operator':'Exists','effect':'NoExecute','tolerationSeconds':%d}",
                                taints[i], TOLERATION_SECONDS));
        return 0;
}

ADM_VALIDATE(adm_deny_external_ips)
{
        (void)adm; /* the request says it all */
        if (!adm_is(a, "", "services"))
                return 0;
        const struct json_object *now = kc_json_at(a->obj, "spec.externalIPs");
        const struct json_object *before = kc_json_at(a->old, "spec.externalIPs");
        for (size_t i = 0; i < kc_json_len(now); i++) {
                bool had = false;
                for (size_t j = 0; j < kc_json_len(before) && !had; j++)
                        had = kc_json_equal(kc_json_idx(now, i), kc_json_idx(before, j));
                if (!had)
                        return adm_forbidden(err, a, "Use of external IPs is denied by admission control.");
        }
        return 0;
}

/* A binding carries the topology of its node, which then becomes the pod's. */
ADM_ADMIT(adm_pod_topology_labels)
{
        (void)err; /* never refuses */
        if (!adm_is_sub(a, "", "pods", "binding") || !kc_streq(kc_json_str_at(a->obj, "target.kind"), "Node"))
                return 0;
        static const char *const labels[] = {"topology.kubernetes.io/zone", "topology.kubernetes.io/region"};
        const char *name = kc_json_str_at(a->obj, "target.name");
        KC_CLEANUP(kc_object_unrefp) struct kc_object *node = NULL;
        /* A node that is not there: the binding itself will tell. */
        if (!name || kc_resources_get(kc_admission_resources(adm), "", "nodes", "", name, &node, NULL) < 0)
                return 0;
        for (size_t i = 0; i < KC_ARRAY_LEN(labels); i++) {
                const char *v = kc_meta_label(kc_object_json(node), labels[i]);
                if (v)
                        kc_meta_set_label(a->obj, labels[i], v);
        }
        return 0;
}

ADM_ADMIT(adm_storage_in_use)
{
        static const struct {
                const char *group, *resource, *finalizer;
        } kinds[] = {{"", "persistentvolumes", "kubernetes.io/pv-protection"},
            {"", "persistentvolumeclaims", "kubernetes.io/pvc-protection"},
            {"storage.k8s.io", "volumeattributesclasses", "kubernetes.io/vac-protection"}};
        (void)adm; /* the request says it all */
        (void)err; /* never refuses */
        for (size_t i = 0; i < KC_ARRAY_LEN(kinds); i++)
                if (adm_is(a, kinds[i].group, kinds[i].resource) && !kc_meta_has_finalizer(a->obj, kinds[i].finalizer))
                        kc_json_push_str(kc_json_ensure_arr(a->obj, "metadata.finalizers"), kinds[i].finalizer);
        return 0;
}
