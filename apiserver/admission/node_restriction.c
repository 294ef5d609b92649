/* NodeRestriction: a kubelet changes its own node, lease and the pods on its node, and nothing else. Goes with the Node
 * authorizer, which cannot look into objects. */
#include <errno.h>
#include <string.h>

#include "admission/admission_internal.h"
#include "api/object.h"
#include "api/status.h"
#include "base/str.h"

#define USER_PREFIX "system:node:"

struct request {
        struct kc_admission *adm;
        const struct kc_admission_attrs *a;
        const char *node;
};

static const char *node_of(const struct kc_user *u)
{
        if (!kc_str_has_prefix(u->name, USER_PREFIX) || !kc_user_in_group(u, KC_GROUP_NODES))
                return NULL;
        return u->name + strlen(USER_PREFIX);
}

static const char *op_name(enum kc_admission_op op)
{
        switch (op) {
        case KC_ADMIT_CREATE:
                return "CREATE";
        case KC_ADMIT_UPDATE:
                return "UPDATE";
        case KC_ADMIT_DELETE:
                return "DELETE";
        case KC_ADMIT_CONNECT:
                return "CONNECT";
        }
        return "";
}

static bool runs_here(const struct request *q, const struct json_object *pod)
{
        return kc_streq(kc_json_str_at(pod, "spec.nodeName"), q->node);
}

/* --- pods */

static int check_owner(const struct request *q, struct kc_error *err)
{
        const struct json_object *owners = kc_json_at(q->a->obj, "metadata.ownerReferences");
        const struct json_object *owner = kc_json_idx(owners, 0);
        if (kc_json_len(owners) > 1)
                return adm_forbidden(
                    err, q->a, "node \"%s\" can only create pods with a single owner reference set to itself", q->node);
        if (!owner || !kc_streq(kc_json_str(owner, "apiVersion"), "v1") ||
            !kc_streq(kc_json_str(owner, "kind"), "Node") || !kc_streq(kc_json_str(owner, "name"), q->node))
                return adm_forbidden(
                    err, q->a, "node \"%s\" can only create pods with an owner reference set to itself", q->node);
        if (!kc_json_bool(owner, "controller", false))
                return adm_forbidden(err, q->a,
                    "node \"%s\" can only create pods with a controller owner reference set to itself", q->node);
        if (kc_json_bool(owner, "blockOwnerDeletion", false))
                return adm_forbidden(
                    err, q->a, "node \"%s\" must not set blockOwnerDeletion on an owner reference", q->node);
        KC_CLEANUP(kc_object_unrefp) struct kc_object *node = NULL;
        int r = kc_resources_get_live(kc_admission_resources(q->adm), "", "nodes", "", q->node, &node, err);
        if (r < 0)
                return r;
        const char *uid = kc_json_str(owner, "uid");
        if (!kc_streq(uid, kc_object_uid(node)))
                return adm_forbidden(err, q->a, "node %s UID mismatch: expected %s got %s", q->node, uid ? uid : "",
                    kc_object_uid(node));
        return 0;
}

static int create_pod(const struct request *q, struct kc_error *err)
{
        if (!adm_is_mirror_pod(q->a->obj))
                return adm_forbidden(err, q->a,
                    "pod does not have \"" ADM_MIRROR_ANNOTATION
                    "\" annotation, node \"%s\" can only create mirror pods",
                    q->node);
        if (!runs_here(q, q->a->obj))
                return adm_forbidden(
                    err, q->a, "node \"%s\" can only create pods with spec.nodeName set to itself", q->node);
        int r = check_owner(q, err);
        if (r < 0)
                return r;
        if (!kc_str_empty(kc_json_str_at(q->a->obj, "spec.serviceAccountName")))
                return adm_forbidden(
                    err, q->a, "node \"%s\" can not create pods that reference a service account", q->node);
        static const char *const kinds[] = {"secrets", "configmaps", "persistentvolumeclaims"};
        for (size_t i = 0; i < KC_ARRAY_LEN(kinds); i++)
                if (adm_pod_refers_to(q->a->obj, kinds[i]))
                        return adm_forbidden(
                            err, q->a, "node \"%s\" can not create pods that reference %s", q->node, kinds[i]);
        if (kc_json_len(kc_json_at(q->a->obj, "spec.resourceClaims")) > 0)
                return adm_forbidden(
                    err, q->a, "node \"%s\" can not create pods that reference resourceclaims", q->node);
        return 0;
}

static int pod_status(const struct request *q, struct kc_error *err)
{
        if (!runs_here(q, q->a->old))
                return adm_forbidden(err, q->a,
                    "node \"%s\" can only update pod status for pods with spec.nodeName set to itself", q->node);
        if (!kc_json_equal(kc_meta_labels(q->a->old), kc_meta_labels(q->a->obj)))
                return adm_forbidden(err, q->a, "node \"%s\" cannot update labels through pod status", q->node);
        if (!kc_json_equal(kc_json_at(q->a->old, "status.resourceClaimStatuses"),
                kc_json_at(q->a->obj, "status.resourceClaimStatuses")))
                return adm_forbidden(err, q->a, "node \"%s\" cannot update resource claim statuses", q->node);
        return 0;
}

static int evict_pod(const struct request *q, struct kc_error *err)
{
        KC_CLEANUP(kc_object_unrefp) struct kc_object *pod = NULL;
        int r = kc_resources_get_live(kc_admission_resources(q->adm), "", "pods", q->a->ns, adm_name(q->a), &pod, err);
        if (r < 0)
                return r;
        if (!runs_here(q, kc_object_json(pod)))
                return adm_forbidden(
                    err, q->a, "node %s can only evict pods with spec.nodeName set to itself", q->node);
        return 0;
}

static int pods(const struct request *q, struct kc_error *err)
{
        const struct kc_admission_attrs *a = q->a;
        if (a->subresource[0] == '\0') {
                if (a->op == KC_ADMIT_CREATE)
                        return create_pod(q, err);
                if (a->op != KC_ADMIT_DELETE)
                        return adm_forbidden(err, a,
                            "unexpected operation \"%s\", node \"%s\" can only create and delete mirror pods",
                            op_name(a->op), q->node);
                if (a->old && !runs_here(q, a->old))
                        return adm_forbidden(
                            err, a, "node \"%s\" can only delete pods with spec.nodeName set to itself", q->node);
                return 0;
        }
        if (strcmp(a->subresource, "status") == 0 && a->op == KC_ADMIT_UPDATE)
                return pod_status(q, err);
        if (strcmp(a->subresource, "eviction") == 0 && a->op == KC_ADMIT_CREATE)
                return evict_pod(q, err);
        return adm_forbidden(
            err, a, "unexpected pod subresource \"%s\", only 'status' and 'eviction' are allowed", a->subresource);
}

/* --- nodes */

static bool in_domain(const char *ns, const char *domain)
{
        if (strcmp(ns, domain) == 0)
                return true;
        KC_CLEANUP(kc_freep) char *suffix = kc_asprintf(".%s", domain);
        return kc_str_has_suffix(ns, suffix);
}

/* kubernetes.io and k8s.io labels belong to the cluster, but for a few that are the kubelet's. */
static bool label_is_forbidden(const char *key)
{
        static const char *const ours[] = {"kubernetes.io/hostname", "kubernetes.io/arch", "kubernetes.io/os",
            "beta.kubernetes.io/arch", "beta.kubernetes.io/os", "beta.kubernetes.io/instance-type",
            "node.kubernetes.io/instance-type", "failure-domain.beta.kubernetes.io/region",
            "failure-domain.beta.kubernetes.io/zone", "failure-domain.kubernetes.io/region",
            "failure-domain.kubernetes.io/zone", "topology.kubernetes.io/region", "topology.kubernetes.io/zone", NULL};
        const char *slash = strchr(key, '/');
        if (!slash)
                return false;
        KC_CLEANUP(kc_freep) char *ns = kc_strndup(key, (size_t)(slash - key));
        if (in_domain(ns, "node-restriction.kubernetes.io"))
                return true;
        if (!in_domain(ns, "kubernetes.io") && !in_domain(ns, "k8s.io"))
                return false;
        return !kc_strv_has((char *const *)ours, key) && !in_domain(ns, "kubelet.kubernetes.io") &&
               !in_domain(ns, "node.kubernetes.io");
}

/* Forbidden labels that differ between the two, sorted, as a text; NULL: none. */
static char *forbidden_changes(const struct json_object *now, const struct json_object *before)
{
        KC_CLEANUP(kc_strv_freep) char **keys = NULL;
        KC_JSON_FOREACH(now, key, val)
        {
                if (!kc_json_equal(val, kc_json_get(before, key)) && label_is_forbidden(key))
                        kc_strv_push(&keys, key);
        }
        KC_JSON_FOREACH(before, key, val)
        {
                if (val && !kc_json_get(now, key) && label_is_forbidden(key))
                        kc_strv_push(&keys, key);
        }
        if (!keys)
                return NULL;
        kc_strv_sort_uniq(keys);
        return kc_strv_join(keys, ", ");
}

static int nodes(const struct request *q, struct kc_error *err)
{
        const struct kc_admission_attrs *a = q->a;
        if (a->op == KC_ADMIT_CREATE) {
                KC_CLEANUP(kc_freep) char *bad = forbidden_changes(kc_meta_labels(a->obj), NULL);
                if (bad)
                        return adm_forbidden(
                            err, a, "node \"%s\" is not allowed to set the following labels: %s", q->node, bad);
        }
        const char *name = adm_name(a);
        if (strcmp(name, q->node) != 0)
                return adm_forbidden(err, a, "node \"%s\" is not allowed to modify node \"%s\"", q->node, name);
        if (a->op != KC_ADMIT_UPDATE)
                return 0;
        if (!kc_json_equal(kc_json_at(a->obj, "spec.taints"), kc_json_at(a->old, "spec.taints")))
                return adm_forbidden(err, a, "node \"%s\" is not allowed to modify taints", q->node);
        /* A node that owns itself, or has an owner that does not exist, is collected: it would delete itself. */
        if (!kc_json_equal(
                kc_json_at(a->obj, "metadata.ownerReferences"), kc_json_at(a->old, "metadata.ownerReferences")))
                return adm_forbidden(err, a, "node \"%s\" is not allowed to modify ownerReferences", q->node);
        KC_CLEANUP(kc_freep) char *bad = forbidden_changes(kc_meta_labels(a->obj), kc_meta_labels(a->old));
        if (bad)
                return adm_forbidden(err, a, "is not allowed to modify labels: %s", bad);
        return 0;
}

/* --- claims, CSINodes, ResourceSlices */

/* Without what a kubelet that has resized a volume tells of it, and what every write changes. */
static struct json_object *claim_core(const struct json_object *claim)
{
        static const char *const told[] = {"capacity", "conditions", "allocatedResources", "allocatedResourceStatuses"};
        struct json_object *o = kc_json_copy(claim);
        struct json_object *meta = kc_json_get_mut(o, "metadata"), *status = kc_json_get_mut(o, "status");
        kc_json_del(meta, "resourceVersion");
        kc_json_del(meta, "managedFields");
        for (size_t i = 0; status && i < KC_ARRAY_LEN(told); i++)
                kc_json_del(status, told[i]);
        return o;
}

static int claims(const struct request *q, struct kc_error *err)
{
        const struct kc_admission_attrs *a = q->a;
        if (strcmp(a->subresource, "status") != 0)
                return adm_forbidden(err, a, "may only update PVC status");
        if (a->op != KC_ADMIT_UPDATE)
                return adm_forbidden(err, a, "unexpected operation \"%s\"", op_name(a->op));
        KC_CLEANUP(kc_json_freep) struct json_object *now = claim_core(a->obj);
        KC_CLEANUP(kc_json_freep) struct json_object *before = claim_core(a->old);
        if (!kc_json_equal(now, before))
                return adm_forbidden(err, a,
                    "node \"%s\" is not allowed to update fields other than status.capacity and status.conditions",
                    q->node);
        return 0;
}

static int csi_nodes(const struct request *q, struct kc_error *err)
{
        if (strcmp(adm_name(q->a), q->node) != 0)
                return adm_forbidden(err, q->a, "can only access CSINode with the same name as the requesting node");
        return 0;
}

/* Others than new ones are the node's by the Node authorizer, and keep their node. */
static int resource_slices(const struct request *q, struct kc_error *err)
{
        if (q->a->op == KC_ADMIT_CREATE && !kc_streq(kc_json_str_at(q->a->obj, "spec.nodeName"), q->node))
                return adm_forbidden(
                    err, q->a, "can only create ResourceSlice with the same NodeName as the requesting node");
        return 0;
}

/* --- service accounts and leases */

static bool has_audience(const struct json_object *list, const char *key, const char *audience)
{
        for (size_t i = 0; i < kc_json_len(list); i++) {
                const struct json_object *token = key ? kc_json_get(kc_json_idx(list, i), key) : kc_json_idx(list, i);
                const char *has = kc_json_str(token, "audience");
                if (token && strcmp(has ? has : "", audience) == 0)
                        return true;
        }
        return false;
}

/* Does the CSI driver ask for tokens of the audience? */
static bool driver_asks(const struct request *q, const char *driver, const char *audience)
{
        KC_CLEANUP(kc_object_unrefp) struct kc_object *o = NULL;
        return !kc_str_empty(driver) &&
               kc_resources_get(kc_admission_resources(q->adm), "storage.k8s.io", "csidrivers", "", driver, &o, NULL) ==
                   0 &&
               has_audience(kc_json_at(kc_object_json(o), "spec.tokenRequests"), NULL, audience);
}

static bool claim_asks(const struct request *q, const char *claim, const char *audience)
{
        const struct kc_resources *all = kc_admission_resources(q->adm);
        KC_CLEANUP(kc_object_unrefp) struct kc_object *pvc = NULL;
        KC_CLEANUP(kc_object_unrefp) struct kc_object *pv = NULL;
        if (kc_resources_get(all, "", "persistentvolumeclaims", q->a->ns, claim, &pvc, NULL) < 0)
                return false;
        const char *volume = kc_json_str_at(kc_object_json(pvc), "spec.volumeName");
        return !kc_str_empty(volume) && kc_resources_get(all, "", "persistentvolumes", "", volume, &pv, NULL) == 0 &&
               driver_asks(q, kc_json_str_at(kc_object_json(pv), "spec.csi.driver"), audience);
}

/* Does a volume of the pod need tokens of the audience ("": the API's)? */
static bool pod_refers_to_audience(const struct request *q, const struct json_object *pod, const char *audience)
{
        const struct json_object *volumes = kc_json_at(pod, "spec.volumes");
        for (size_t i = 0; i < kc_json_len(volumes); i++) {
                const struct json_object *v = kc_json_idx(volumes, i);
                const char *claim = kc_json_str_at(v, "persistentVolumeClaim.claimName");
                KC_CLEANUP(kc_freep)
                char *made = kc_json_get(v, "ephemeral")
                                 ? kc_asprintf("%s-%s", kc_meta_name(pod), kc_json_str(v, "name"))
                                 : NULL;
                if (has_audience(kc_json_at(v, "projected.sources"), "serviceAccountToken", audience) ||
                    driver_asks(q, kc_json_str_at(v, "csi.driver"), audience) ||
                    (claim && claim_asks(q, claim, audience)) || (made && claim_asks(q, made, audience)))
                        return true;
        }
        return false;
}

/* A kubelet has no tokens for others than its pods speak to, unless it has been given the right. */
static int check_audience(const struct request *q, const struct json_object *pod, struct kc_error *err)
{
        const struct kc_admission_attrs *a = q->a;
        const struct json_object *wanted = kc_json_at(a->obj, "spec.audiences");
        const char *audience = kc_json_as_str(kc_json_idx(wanted, 0));
        if (kc_json_len(wanted) > 1)
                return adm_forbidden(err, a, "node may only request 0 or 1 audiences");
        audience = audience ? audience : "";
        if (pod_refers_to_audience(q, pod, audience))
                return 0;
        const struct kc_authz_attrs attrs = {.user = a->user,
            .verb = "request-serviceaccounts-token-audience",
            .resource_request = true,
            .ns = a->ns,
            .group = "",
            .version = "v1",
            .resource = audience,
            .subresource = "",
            .name = adm_name(a),
            .path = ""};
        if (kc_authz_authorize(kc_admission_authz(q->adm), &attrs, NULL) == KC_ALLOW)
                return 0;
        return adm_forbidden(err, a,
            "audience \"%s\" not found in pod spec volume, %s is not authorized to request tokens for this audience",
            audience, a->user->name);
}

static int service_accounts(const struct request *q, struct kc_error *err)
{
        const struct kc_admission_attrs *a = q->a;
        if (a->op != KC_ADMIT_CREATE || strcmp(a->subresource, "token") != 0)
                return 0;
        const struct json_object *ref = kc_json_at(a->obj, "spec.boundObjectRef");
        const char *name = kc_json_str(ref, "name"), *uid = kc_json_str(ref, "uid");
        if (!kc_streq(kc_json_str(ref, "apiVersion"), "v1") || !kc_streq(kc_json_str(ref, "kind"), "Pod") ||
            kc_str_empty(name))
                return adm_forbidden(err, a, "node requested token not bound to a pod");
        if (kc_str_empty(uid))
                return adm_forbidden(err, a, "node requested token with a pod binding without a uid");
        KC_CLEANUP(kc_object_unrefp) struct kc_object *pod = NULL;
        int r = kc_resources_get_live(kc_admission_resources(q->adm), "", "pods", a->ns, name, &pod, err);
        if (r < 0)
                return r;
        if (!kc_streq(uid, kc_object_uid(pod)))
                return adm_forbidden(err, a,
                    "the UID in the bound object reference (%s) does not match the UID in record. The object might "
                    "have "
                    "been deleted and then recreated",
                    uid);
        if (!runs_here(q, kc_object_json(pod)))
                return adm_forbidden(err, a, "node requested token bound to a pod scheduled on a different node");
        return check_audience(q, kc_object_json(pod), err);
}

static int leases(const struct request *q, struct kc_error *err)
{
        if (strcmp(q->a->ns, "kube-node-lease") != 0)
                return adm_forbidden(err, q->a, "can only access leases in the \"kube-node-lease\" system namespace");
        if (strcmp(adm_name(q->a), q->node) != 0)
                return adm_forbidden(err, q->a, "can only access node lease with the same name as the requesting node");
        return 0;
}

static const struct {
        const char *group, *resource;
        int (*check)(const struct request *q, struct kc_error *err);
} checks[] = {
    {"", "pods", pods},
    {"", "nodes", nodes},
    {"", "serviceaccounts", service_accounts},
    {"coordination.k8s.io", "leases", leases},
    {"", "persistentvolumeclaims", claims},
    {"storage.k8s.io", "csinodes", csi_nodes},
    {"resource.k8s.io", "resourceslices", resource_slices},
};

ADM_VALIDATE(adm_node_restriction)
{
        const struct request q = {.adm = adm, .a = a, .node = node_of(a->user)};
        if (!q.node)
                return 0;
        if (q.node[0] == '\0')
                return adm_forbidden(err, a, "could not determine node from user \"%s\"", a->user->name);
        for (size_t i = 0; i < KC_ARRAY_LEN(checks); i++)
                if (strcmp(checks[i].group, a->row->group) == 0 && strcmp(checks[i].resource, a->row->resource) == 0)
                        return checks[i].check(&q, err);
        return 0;
}
