/* Which rules a kind has. Kinds without rules of their own are held to their schema. Any thread. */
#include "api/validation.h"

#include "api/codec.h"
#include "api/validation_internal.h"
#include "base/str.h"

static const struct {
        const char *group, *kind;
        void (*create)(struct kc_v *v, const struct json_object *o);
        void (*update)(
            struct kc_v *v, const struct json_object *o, const struct json_object *old, const char *subresource);
} kinds[] = {
#define RULES(group, kind, name)                                                                                       \
        {                                                                                                              \
                group, kind, kc_v_create_##name, kc_v_update_##name                                                    \
        }
    RULES("", "Pod", pod),
    RULES("", "PersistentVolume", persistent_volume),
    RULES("", "PersistentVolumeClaim", persistent_volume_claim),
    RULES("", "Service", service),
    RULES("", "Endpoints", endpoints),
    RULES("", "ConfigMap", config_map),
    RULES("", "Secret", secret),
    RULES("", "ServiceAccount", service_account),
    RULES("", "Namespace", namespace),
    RULES("", "Node", node),
    RULES("", "Event", event),
    RULES("events.k8s.io", "Event", new_event),
    RULES("", "ReplicationController", replication_controller),
    RULES("apps", "ReplicaSet", replica_set),
    RULES("apps", "Deployment", deployment),
    RULES("apps", "DaemonSet", daemon_set),
    RULES("apps", "ControllerRevision", controller_revision),
    RULES("apps", "StatefulSet", stateful_set),
    RULES("autoscaling", "HorizontalPodAutoscaler", horizontal_pod_autoscaler),
    RULES("policy", "PodDisruptionBudget", pod_disruption_budget),
    RULES("networking.k8s.io", "NetworkPolicy", network_policy),
    RULES("networking.k8s.io", "Ingress", ingress),
    RULES("networking.k8s.io", "IngressClass", ingress_class),
    RULES("networking.k8s.io", "IPAddress", ip_address),
    RULES("networking.k8s.io", "ServiceCIDR", service_cidr),
    RULES("storage.k8s.io", "StorageClass", storage_class),
    RULES("storage.k8s.io", "VolumeAttributesClass", volume_attributes_class),
    RULES("storage.k8s.io", "VolumeAttachment", volume_attachment),
    RULES("storage.k8s.io", "CSIDriver", csi_driver),
    RULES("storage.k8s.io", "CSINode", csi_node),
    RULES("storage.k8s.io", "CSIStorageCapacity", csi_storage_capacity),
    RULES("admissionregistration.k8s.io", "ValidatingWebhookConfiguration", validating_webhook_configuration),
    RULES("admissionregistration.k8s.io", "MutatingWebhookConfiguration", mutating_webhook_configuration),
    RULES("admissionregistration.k8s.io", "ValidatingAdmissionPolicy", validating_admission_policy),
    RULES("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding", validating_admission_policy_binding),
    RULES("admissionregistration.k8s.io", "MutatingAdmissionPolicy", mutating_admission_policy),
    RULES("admissionregistration.k8s.io", "MutatingAdmissionPolicyBinding", mutating_admission_policy_binding),
    RULES("", "ResourceQuota", resource_quota),
    RULES("", "LimitRange", limit_range),
    RULES("", "PodTemplate", pod_template),
    RULES("node.k8s.io", "RuntimeClass", runtime_class),
    RULES("flowcontrol.apiserver.k8s.io", "FlowSchema", flow_schema),
    RULES("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration", priority_level_configuration),
    RULES("certificates.k8s.io", "CertificateSigningRequest", certificate_signing_request),
    RULES("certificates.k8s.io", "ClusterTrustBundle", cluster_trust_bundle),
    RULES("apiregistration.k8s.io", "APIService", api_service),
    RULES("apiextensions.k8s.io", "CustomResourceDefinition", custom_resource_definition),
    RULES("batch", "Job", job),
    RULES("batch", "CronJob", cron_job),
    RULES("discovery.k8s.io", "EndpointSlice", endpoint_slice),
    RULES("coordination.k8s.io", "Lease", lease),
    RULES("resource.k8s.io", "ResourceClaim", resource_claim),
    RULES("resource.k8s.io", "ResourceClaimTemplate", resource_claim_template),
    RULES("resource.k8s.io", "DeviceClass", device_class),
    RULES("resource.k8s.io", "ResourceSlice", resource_slice),
    RULES("scheduling.k8s.io", "PriorityClass", priority_class),
    RULES("rbac.authorization.k8s.io", "Role", role),
    RULES("rbac.authorization.k8s.io", "ClusterRole", cluster_role),
    RULES("rbac.authorization.k8s.io", "RoleBinding", role_binding),
    RULES("rbac.authorization.k8s.io", "ClusterRoleBinding", cluster_role_binding),
#undef RULES
};

static size_t find(const struct kc_resource *r)
{
        size_t i = 0;
        while (i < KC_ARRAY_LEN(kinds) && !(kc_streq(kinds[i].group, r->group) && kc_streq(kinds[i].kind, r->kind)))
                i++;
        return i;
}

void kc_validate_create(const struct json_object *obj, const struct kc_resource *r, struct kc_field_errors *errors)
{
        struct kc_v v = {.errors = errors};
        size_t i = find(r);
        if (i < KC_ARRAY_LEN(kinds)) {
                kinds[i].create(&v, obj);
                return;
        }
        kc_v_meta(&v, obj, r->namespaced, kc_name_path_segment);
        kc_codec_validate(obj, r->type, "", errors);
}

void kc_validate_update(const struct json_object *obj, const struct json_object *old, const struct kc_resource *r,
    const char *subresource, struct kc_field_errors *errors)
{
        struct kc_v v = {.errors = errors};
        size_t i = find(r);
        if (i < KC_ARRAY_LEN(kinds)) {
                kinds[i].update(&v, obj, old, subresource ? subresource : "");
                return;
        }
        kc_v_meta_update(&v, obj, old);
        kc_codec_validate(obj, r->type, "", errors);
}
