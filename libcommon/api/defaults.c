/* Defaults that depend on more than one field: SetDefaults_* of upstream, beyond the static ones of the schema. Pods
 * are in defaults_pod.c, other workloads in defaults_workloads.c, policies and infrastructure in defaults_cluster.c.
 * Pure functions on the caller's tree: any thread. */
#include "api/defaults.h"

#include <string.h>

#include "api/defaults_internal.h"
#include "base/encode.h"
#include "base/mem.h"
#include "base/str.h"

void kc_default_missing(struct json_object *o, const char *key, struct json_object *take_v)
{
        if (kc_json_get(o, key))
                kc_json_free(take_v);
        else
                kc_json_set(o, key, take_v);
}

void kc_default_int(struct json_object *o, const char *key, int64_t value)
{
        if (kc_json_int(o, key, 0) == 0)
                kc_json_set_int(o, key, value);
}

void kc_default_first(struct json_object *o, const char *field, const char *list, const char *key)
{
        const struct json_object *element = kc_json_idx(kc_json_get(o, list), 0);
        const char *one = kc_json_str(o, field), *first = key ? kc_json_str(element, key) : kc_json_as_str(element);
        if (kc_str_empty(one)) {
                if (!kc_str_empty(first))
                        kc_json_set_str(o, field, first);
                return;
        }
        if (kc_streq(one, first))
                return;
        kc_json_del(o, list);
        if (key)
                kc_json_push(kc_json_ensure_arr(o, list), kc_json_build("{%s:%s}", key, one));
        else
                kc_json_push_str(kc_json_ensure_arr(o, list), one);
}

static const char *str_or(const struct json_object *o, const char *key, const char *other)
{
        const char *s = kc_json_str(o, key);
        return kc_str_empty(s) ? other : s;
}

const char *kc_default_str(struct json_object *o, const char *key, const char *value)
{
        if (kc_str_empty(kc_json_str(o, key)))
                kc_json_set_str(o, key, value);
        return kc_json_str(o, key);
}

static void default_service_ports(struct json_object *ports)
{
        for (size_t i = 0; i < kc_json_len(ports); i++) {
                struct json_object *p = kc_json_idx_mut(ports, i);
                const struct json_object *target = kc_json_get(p, "targetPort");
                kc_default_str(p, "protocol", "TCP");
                if (!target || kc_streq(kc_json_as_str(target), "") ||
                    (json_object_is_type(target, json_type_int) && kc_json_int(p, "targetPort", 0) == 0))
                        kc_json_set_int(p, "targetPort", kc_json_int(p, "port", 0));
        }
}

static void default_session_affinity(struct json_object *spec)
{
        enum { THREE_HOURS = 10800 };
        const char *affinity = kc_default_str(spec, "sessionAffinity", "None");
        if (kc_streq(affinity, "None"))
                kc_json_del(spec, "sessionAffinityConfig");
        if (kc_streq(affinity, "ClientIP") && !kc_json_at(spec, "sessionAffinityConfig.clientIP.timeoutSeconds"))
                kc_json_set(spec, "sessionAffinityConfig",
                    kc_json_build("{'clientIP':{'timeoutSeconds':%d}}", (int)THREE_HOURS));
}

static void default_service(struct json_object *o)
{
        struct json_object *spec = kc_json_ensure_obj(o, "spec");
        default_session_affinity(spec);
        const char *type = kc_default_str(spec, "type", "ClusterIP");
        bool balanced = kc_streq(type, "LoadBalancer"), node_port = kc_streq(type, "NodePort");
        bool cluster_ip = kc_streq(type, "ClusterIP");
        default_service_ports(kc_json_get_mut(spec, "ports"));
        if (balanced || node_port || (cluster_ip && kc_json_len(kc_json_get(spec, "externalIPs")) > 0))
                kc_default_str(spec, "externalTrafficPolicy", "Cluster");
        if (balanced || node_port || cluster_ip)
                kc_default_missing(spec, "internalTrafficPolicy", json_object_new_string("Cluster"));
        if (!balanced)
                return;
        kc_default_missing(spec, "allocateLoadBalancerNodePorts", json_object_new_boolean(true));
        struct json_object *ingress = kc_json_at_mut(o, "status.loadBalancer.ingress");
        for (size_t i = 0; i < kc_json_len(ingress); i++) {
                struct json_object *in = kc_json_idx_mut(ingress, i);
                if (!kc_str_empty(kc_json_str(in, "ip")))
                        kc_default_missing(in, "ipMode", json_object_new_string("VIP"));
        }
}

static void default_template(struct json_object *o)
{
        kc_default_pod_spec(kc_json_at_mut(o, "spec.template.spec"));
}

static void default_replicas(struct json_object *o)
{
        kc_default_missing(kc_json_ensure_obj(o, "spec"), "replicas", json_object_new_int64(1));
}

static void default_replica_set(struct json_object *o)
{
        default_replicas(o);
        default_template(o);
}

static void default_deployment(struct json_object *o)
{
        struct json_object *spec = kc_json_ensure_obj(o, "spec");
        struct json_object *strategy = kc_json_ensure_obj(spec, "strategy");
        default_replicas(o);
        if (kc_streq(kc_default_str(strategy, "type", "RollingUpdate"), "RollingUpdate")) {
                struct json_object *rolling = kc_json_ensure_obj(strategy, "rollingUpdate");
                kc_default_missing(rolling, "maxUnavailable", json_object_new_string("25%"));
                kc_default_missing(rolling, "maxSurge", json_object_new_string("25%"));
        }
        kc_default_missing(spec, "revisionHistoryLimit", json_object_new_int64(10));
        kc_default_missing(spec, "progressDeadlineSeconds", json_object_new_int64(600));
        default_template(o);
}

static void default_daemon_set(struct json_object *o)
{
        struct json_object *spec = kc_json_ensure_obj(o, "spec");
        struct json_object *strategy = kc_json_ensure_obj(spec, "updateStrategy");
        if (kc_streq(kc_default_str(strategy, "type", "RollingUpdate"), "RollingUpdate")) {
                struct json_object *rolling = kc_json_ensure_obj(strategy, "rollingUpdate");
                kc_default_missing(rolling, "maxUnavailable", json_object_new_int64(1));
                kc_default_missing(rolling, "maxSurge", json_object_new_int64(0));
        }
        kc_default_missing(spec, "revisionHistoryLimit", json_object_new_int64(10));
        default_template(o);
}

/* The labels of the template stand in for a missing selector and missing labels. */
static void default_replication_controller(struct json_object *o)
{
        default_replica_set(o);
        const struct json_object *labels = kc_json_at(o, "spec.template.metadata.labels");
        if (!labels)
                return;
        struct json_object *spec = kc_json_ensure_obj(o, "spec");
        if (kc_json_n_keys(kc_json_get(spec, "selector")) == 0)
                kc_json_set(spec, "selector", kc_json_copy(labels));
        if (kc_json_n_keys(kc_json_at(o, "metadata.labels")) == 0)
                kc_json_set(kc_json_ensure_obj(o, "metadata"), "labels", kc_json_copy(labels));
}

static void default_namespace(struct json_object *o)
{
        const char *name = kc_json_str_at(o, "metadata.name");
        kc_default_str(kc_json_ensure_obj(o, "status"), "phase", "Active");
        if (!kc_str_empty(name))
                kc_json_set_str(kc_json_ensure_obj(o, "metadata.labels"), "kubernetes.io/metadata.name", name);
}

static void default_node(struct json_object *o)
{
        struct json_object *status = kc_json_get_mut(o, "status");
        kc_default_first(kc_json_get_mut(o, "spec"), "podCIDR", "podCIDRs", NULL);
        kc_default_resource_list(kc_json_get_mut(status, "capacity"));
        kc_default_resource_list(kc_json_get_mut(status, "allocatable"));
        const struct json_object *capacity = kc_json_get(status, "capacity");
        if (capacity && !kc_json_get(status, "allocatable"))
                kc_json_set(status, "allocatable", kc_json_copy(capacity));
}

static void default_binding(struct json_object *o)
{
        struct json_object *subjects = kc_json_get_mut(o, "subjects"), *ref = kc_json_get_mut(o, "roleRef");
        if (ref)
                kc_default_str(ref, "apiGroup", "rbac.authorization.k8s.io");
        for (size_t i = 0; i < kc_json_len(subjects); i++) {
                struct json_object *s = kc_json_idx_mut(subjects, i);
                const char *kind = str_or(s, "kind", "");
                if (strcmp(kind, "User") == 0 || strcmp(kind, "Group") == 0)
                        kc_default_str(s, "apiGroup", "rbac.authorization.k8s.io");
        }
}

static void default_endpoints(struct json_object *o)
{
        struct json_object *subsets = kc_json_get_mut(o, "subsets");
        for (size_t i = 0; i < kc_json_len(subsets); i++) {
                struct json_object *ports = kc_json_get_mut(kc_json_idx_mut(subsets, i), "ports");
                for (size_t j = 0; j < kc_json_len(ports); j++)
                        kc_default_str(kc_json_idx_mut(ports, j), "protocol", "TCP");
        }
}

static void default_endpoint_slice(struct json_object *o)
{
        struct json_object *ports = kc_json_get_mut(o, "ports");
        for (size_t i = 0; i < kc_json_len(ports); i++) {
                struct json_object *p = kc_json_idx_mut(ports, i);
                kc_default_missing(p, "name", json_object_new_string(""));
                kc_default_missing(p, "protocol", json_object_new_string("TCP"));
        }
}

/* What came in as plain strings becomes data. */
static void default_secret(struct json_object *o)
{
        kc_default_str(o, "type", "Opaque");
        KC_JSON_FOREACH(kc_json_get(o, "stringData"), key, value)
        {
                const char *s = kc_json_as_str(value);
                KC_CLEANUP(kc_freep) char *base64 = kc_base64_encode(s ? s : "", s ? strlen(s) : 0);
                kc_json_set_str(kc_json_ensure_obj(o, "data"), key, base64);
        }
        kc_json_del(o, "stringData");
}

static void default_priority_class(struct json_object *o)
{
        kc_default_missing(o, "preemptionPolicy", json_object_new_string("PreemptLowerPriority"));
}

static const struct {
        const char *group, *kind;
        void (*set)(struct json_object *o);
} rules[] = {
    {"", "Pod", kc_default_pod},
    {"", "Service", default_service},
    {"", "ReplicationController", default_replication_controller},
    {"", "Namespace", default_namespace},
    {"", "Node", default_node},
    {"", "Endpoints", default_endpoints},
    {"", "LimitRange", kc_default_limit_range},
    {"", "PersistentVolume", kc_default_persistent_volume},
    {"", "PersistentVolumeClaim", kc_default_persistent_volume_claim},
    {"", "PodTemplate", kc_default_pod_template},
    {"", "ResourceQuota", kc_default_resource_quota},
    {"", "Secret", default_secret},
    {"apps", "Deployment", default_deployment},
    {"apps", "DaemonSet", default_daemon_set},
    {"apps", "ReplicaSet", default_replica_set},
    {"apps", "StatefulSet", kc_default_stateful_set},
    {"apiextensions.k8s.io", "CustomResourceDefinition", kc_default_custom_resource_definition},
    {"autoscaling", "HorizontalPodAutoscaler", kc_default_autoscaler},
    {"batch", "CronJob", kc_default_cron_job},
    {"batch", "Job", kc_default_job},
    {"discovery.k8s.io", "EndpointSlice", default_endpoint_slice},
    {"networking.k8s.io", "NetworkPolicy", kc_default_network_policy},
    {"node.k8s.io", "RuntimeClass", kc_default_runtime_class},
    {"rbac.authorization.k8s.io", "RoleBinding", default_binding},
    {"rbac.authorization.k8s.io", "ClusterRoleBinding", default_binding},
    {"resource.k8s.io", "ResourceClaim", kc_default_resource_claim},
    {"resource.k8s.io", "ResourceClaimTemplate", kc_default_resource_claim_template},
    {"resource.k8s.io", "ResourceSlice", kc_default_resource_slice},
    {"scheduling.k8s.io", "PriorityClass", default_priority_class},
    {"storage.k8s.io", "CSIDriver", kc_default_csi_driver},
};

void kc_default_object(struct json_object *tree, const struct kc_resource *r)
{
        for (size_t i = 0; i < KC_ARRAY_LEN(rules); i++) {
                if (kc_streq(rules[i].group, r->group) && kc_streq(rules[i].kind, r->kind)) {
                        rules[i].set(tree);
                        return;
                }
        }
}
