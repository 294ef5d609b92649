/* Which describer is whose. */
#include "cli/describe/describe.h"

#include "cli/describe/internal.h"

static const struct {
        const char *group, *kind;
        kc_describer *describe;
} describers[] = {
    {"", "Pod", kc_describe_pod},
    {"", "ReplicationController", kc_describe_replication_controller},
    {"", "Secret", kc_describe_secret},
    {"", "Service", kc_describe_service},
    {"", "ServiceAccount", kc_describe_service_account},
    {"", "Node", kc_describe_node},
    {"", "LimitRange", kc_describe_limit_range},
    {"", "ResourceQuota", kc_describe_resource_quota},
    {"", "PersistentVolume", kc_describe_persistent_volume},
    {"", "PersistentVolumeClaim", kc_describe_claim},
    {"", "Namespace", kc_describe_namespace_object},
    {"", "Endpoints", kc_describe_endpoints},
    {"", "ConfigMap", kc_describe_config_map},
    {"apps", "ReplicaSet", kc_describe_replica_set},
    {"apps", "Deployment", kc_describe_deployment},
    {"apps", "DaemonSet", kc_describe_daemon_set},
    {"apps", "StatefulSet", kc_describe_stateful_set},
    {"autoscaling", "HorizontalPodAutoscaler", kc_describe_autoscaler},
    {"batch", "Job", kc_describe_job},
    {"batch", "CronJob", kc_describe_cron_job},
    {"certificates.k8s.io", "CertificateSigningRequest", kc_describe_csr},
    {"discovery.k8s.io", "EndpointSlice", kc_describe_endpoint_slice},
    {"networking.k8s.io", "Ingress", kc_describe_ingress},
    {"networking.k8s.io", "IngressClass", kc_describe_ingress_class},
    {"networking.k8s.io", "IPAddress", kc_describe_ip_address},
    {"networking.k8s.io", "NetworkPolicy", kc_describe_network_policy},
    {"networking.k8s.io", "ServiceCIDR", kc_describe_service_cidr},
    {"policy", "PodDisruptionBudget", kc_describe_disruption_budget},
    {"rbac.authorization.k8s.io", "Role", kc_describe_role},
    {"rbac.authorization.k8s.io", "ClusterRole", kc_describe_role},
    {"rbac.authorization.k8s.io", "RoleBinding", kc_describe_role_binding},
    {"rbac.authorization.k8s.io", "ClusterRoleBinding", kc_describe_role_binding},
    {"scheduling.k8s.io", "PriorityClass", kc_describe_priority_class},
    {"storage.k8s.io", "StorageClass", kc_describe_storage_class},
    {"storage.k8s.io", "CSINode", kc_describe_csi_node},
    {"storage.k8s.io", "VolumeAttributesClass", kc_describe_volume_attributes_class},
};

static kc_describer *describer_of(const struct kc_api_resource *res)
{
        for (size_t i = 0; i < KC_ARRAY_LEN(describers); i++)
                if (kc_streq(res->group, describers[i].group) && kc_streq(res->kind, describers[i].kind))
                        return describers[i].describe;
        return kc_describe_generic;
}

int kc_describe_object(struct kc_rest *rest, const struct kc_api_resource *res, const struct json_object *obj,
    const struct kc_describe_opts *opts, struct kc_buf *out, struct kc_error *err)
{
        struct kc_describing d = {.rest = rest, .res = res, .obj = obj, .opts = opts};
        int e = describer_of(res)(&d, err);
        if (e == 0)
                kc_layout_flush(&d.out, out);
        kc_layout_done(&d.out);
        return e;
}
