/* The built-in resources that daemons use, and their paths. Any thread. */
#include "base/encode.h"
#include "base/str.h"
#include "client/rest.h"

#define GVR(id, g, v, r, k, ns)                                                                                        \
        const struct kc_gvr id = {.group = g, .version = v, .resource = r, .kind = k, .namespaced = ns}

GVR(KC_PODS, "", "v1", "pods", "Pod", true);
GVR(KC_NODES, "", "v1", "nodes", "Node", false);
GVR(KC_NAMESPACES, "", "v1", "namespaces", "Namespace", false);
GVR(KC_SERVICES, "", "v1", "services", "Service", true);
GVR(KC_ENDPOINTS, "", "v1", "endpoints", "Endpoints", true);
GVR(KC_CONFIGMAPS, "", "v1", "configmaps", "ConfigMap", true);
GVR(KC_SECRETS, "", "v1", "secrets", "Secret", true);
GVR(KC_SERVICEACCOUNTS, "", "v1", "serviceaccounts", "ServiceAccount", true);
GVR(KC_EVENTS, "", "v1", "events", "Event", true);
GVR(KC_REPLICATIONCONTROLLERS, "", "v1", "replicationcontrollers", "ReplicationController", true);
GVR(KC_REPLICASETS, "apps", "v1", "replicasets", "ReplicaSet", true);
GVR(KC_DEPLOYMENTS, "apps", "v1", "deployments", "Deployment", true);
GVR(KC_DAEMONSETS, "apps", "v1", "daemonsets", "DaemonSet", true);
GVR(KC_CONTROLLERREVISIONS, "apps", "v1", "controllerrevisions", "ControllerRevision", true);
GVR(KC_ENDPOINTSLICES, "discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", true);
GVR(KC_LEASES, "coordination.k8s.io", "v1", "leases", "Lease", true);
GVR(KC_EVENTS_V1, "events.k8s.io", "v1", "events", "Event", true);
GVR(KC_ROLES, "rbac.authorization.k8s.io", "v1", "roles", "Role", true);
GVR(KC_ROLEBINDINGS, "rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding", true);
GVR(KC_CLUSTERROLES, "rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", false);
GVR(KC_CLUSTERROLEBINDINGS, "rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding", false);
GVR(KC_PRIORITYCLASSES, "scheduling.k8s.io", "v1", "priorityclasses", "PriorityClass", false);
GVR(KC_PODDISRUPTIONBUDGETS, "policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", true);
GVR(KC_STATEFULSETS, "apps", "v1", "statefulsets", "StatefulSet", true);
GVR(KC_JOBS, "batch", "v1", "jobs", "Job", true);
GVR(KC_CRONJOBS, "batch", "v1", "cronjobs", "CronJob", true);
GVR(KC_PERSISTENTVOLUMECLAIMS, "", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", true);
GVR(KC_PERSISTENTVOLUMES, "", "v1", "persistentvolumes", "PersistentVolume", false);
GVR(KC_VOLUMEATTRIBUTESCLASSES, "storage.k8s.io", "v1", "volumeattributesclasses", "VolumeAttributesClass", false);
GVR(KC_RESOURCEQUOTAS, "", "v1", "resourcequotas", "ResourceQuota", true);
GVR(KC_SERVICECIDRS, "networking.k8s.io", "v1", "servicecidrs", "ServiceCIDR", false);
GVR(KC_IPADDRESSES, "networking.k8s.io", "v1", "ipaddresses", "IPAddress", false);
GVR(KC_CERTIFICATESIGNINGREQUESTS, "certificates.k8s.io", "v1", "certificatesigningrequests",
    "CertificateSigningRequest", false);
GVR(KC_CLUSTERTRUSTBUNDLES, "certificates.k8s.io", "v1beta1", "clustertrustbundles", "ClusterTrustBundle", false);
GVR(KC_TOKENREVIEWS, "authentication.k8s.io", "v1", "tokenreviews", "TokenReview", false);
GVR(KC_SUBJECTACCESSREVIEWS, "authorization.k8s.io", "v1", "subjectaccessreviews", "SubjectAccessReview", false);

static void add_segment(struct kc_buf *b, const char *segment)
{
        KC_CLEANUP(kc_freep) char *escaped = kc_url_escape(segment, false);
        kc_buf_addf(b, "/%s", escaped);
}

char *kc_gvr_path(const struct kc_gvr *g, const char *ns, const char *name, const char *subresource)
{
        struct kc_buf b = KC_BUF_INIT;
        if (kc_str_empty(g->group))
                kc_buf_adds(&b, "/api");
        else
                kc_buf_addf(&b, "/apis/%s", g->group);
        kc_buf_addf(&b, "/%s", g->version);
        if (g->namespaced && !kc_str_empty(ns)) {
                kc_buf_adds(&b, "/namespaces");
                add_segment(&b, ns);
        }
        add_segment(&b, g->resource);
        if (!kc_str_empty(name))
                add_segment(&b, name);
        if (!kc_str_empty(subresource))
                kc_buf_addf(&b, "/%s", subresource); /* may be a path: "proxy/metrics" */
        return kc_buf_take_str(&b);
}

char *kc_gvr_api_version(const struct kc_gvr *g)
{
        return kc_str_empty(g->group) ? kc_strdup(g->version) : kc_asprintf("%s/%s", g->group, g->version);
}
