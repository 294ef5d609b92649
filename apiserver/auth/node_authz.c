/* The Node authorizer: a kubelet may read what the pods on its node refer to, and work on its own node, pods, lease and
 * events (plugin/pkg/auth/authorizer/node of upstream). Fed with pods under the authorizer's write lock.
 *
 *   refs: "<node>\n<resource>/<namespace>/<name>" -> how many pods there refer to it
 */
#include <stdint.h>
#include <string.h>

#include "api/object.h"
#include "auth/authz_internal.h"
#include "base/str.h"

#define NODE_PREFIX "system:node:"
#define MIRROR_ANNOTATION "kubernetes.io/config.mirror"

struct pod {
        char *node;
        char **refs; /* strv: keys in refs, each once */
};

struct authz_node {
        struct kc_map *pods; /* "ns/name" -> pod */
        struct kc_map *refs; /* -> count as a pointer */
        struct rbac_rules rules;
};

/* What is not subdivided by node (bootstrappolicy.NodeRules). */
static const char node_rules[] =
    "[{'verbs':['create'],'apiGroups':['authentication.k8s.io'],'resources':['tokenreviews']},"
    "{'verbs':['create'],'apiGroups':['authorization.k8s.io'],'resources':['localsubjectaccessreviews',"
    "'subjectaccessreviews']},"
    "{'verbs':['get','list','watch'],'apiGroups':[''],'resources':['services']},"
    "{'verbs':['create','patch','update'],'apiGroups':['','events.k8s.io'],'resources':['events']},"
    "{'verbs':['get'],'apiGroups':[''],'resources':['endpoints']},"
    "{'verbs':['create','get','list','watch'],'apiGroups':['certificates.k8s.io'],"
    "'resources':['certificatesigningrequests']},"
    "{'verbs':['get','list','watch'],'apiGroups':['storage.k8s.io'],'resources':['csidrivers']},"
    "{'verbs':['get','list','watch'],'apiGroups':['node.k8s.io'],'resources':['runtimeclasses']}]";

static void pod_free(void *p)
{
        struct pod *pod = p;
        kc_free(pod->node);
        kc_strv_free(pod->refs);
        kc_free(pod);
}

struct authz_node *authz_node_new(void)
{
        struct authz_node *n = KC_NEW(struct authz_node);
        n->pods = kc_map_new(pod_free);
        n->refs = kc_map_new(NULL);
        KC_CLEANUP(kc_json_freep) struct json_object *rules = kc_json_build(node_rules);
        rbac_rules_compile(&n->rules, rules);
        return n;
}

void authz_node_free(struct authz_node *n)
{
        if (!n)
                return;
        kc_map_free(n->pods);
        kc_map_free(n->refs);
        rbac_rules_done(&n->rules);
        kc_free(n);
}

/* --- what a pod refers to (podutil.VisitPod*) */

struct visitor {
        const char *node, *ns;
        char ***refs;
};

static void add_ref(const struct visitor *v, const char *resource, const char *name)
{
        if (!kc_str_empty(name))
                kc_strv_pushf(v->refs, "%s\n%s/%s/%s", v->node, resource, v->ns, name);
}

static void visit_env(const struct visitor *v, const struct json_object *container)
{
        const struct json_object *env = kc_json_get(container, "env"), *from = kc_json_get(container, "envFrom");
        for (size_t i = 0; i < kc_json_len(env); i++) {
                const struct json_object *e = kc_json_idx(env, i);
                add_ref(v, "secrets", kc_json_str_at(e, "valueFrom.secretKeyRef.name"));
                add_ref(v, "configmaps", kc_json_str_at(e, "valueFrom.configMapKeyRef.name"));
        }
        for (size_t i = 0; i < kc_json_len(from); i++) {
                const struct json_object *e = kc_json_idx(from, i);
                add_ref(v, "secrets", kc_json_str_at(e, "secretRef.name"));
                add_ref(v, "configmaps", kc_json_str_at(e, "configMapRef.name"));
        }
}

static void visit_volume(const struct visitor *v, const struct json_object *volume)
{
        static const struct {
                const char *path, *resource;
        } refs[] = {
            {"secret.secretName", "secrets"},
            {"configMap.name", "configmaps"},
            {"persistentVolumeClaim.claimName", "persistentvolumeclaims"},
            {"csi.nodePublishSecretRef.name", "secrets"},
            {"azureFile.secretName", "secrets"},
            {"cephfs.secretRef.name", "secrets"},
            {"cinder.secretRef.name", "secrets"},
            {"flexVolume.secretRef.name", "secrets"},
            {"iscsi.secretRef.name", "secrets"},
            {"rbd.secretRef.name", "secrets"},
            {"scaleIO.secretRef.name", "secrets"},
            {"storageos.secretRef.name", "secrets"},
        };
        for (size_t i = 0; i < KC_ARRAY_LEN(refs); i++)
                add_ref(v, refs[i].resource, kc_json_str_at(volume, refs[i].path));
        const struct json_object *sources = kc_json_at(volume, "projected.sources");
        for (size_t i = 0; i < kc_json_len(sources); i++) {
                add_ref(v, "secrets", kc_json_str_at(kc_json_idx(sources, i), "secret.name"));
                add_ref(v, "configmaps", kc_json_str_at(kc_json_idx(sources, i), "configMap.name"));
        }
}

static void visit_pod(const struct visitor *v, const struct json_object *pod)
{
        const struct json_object *spec = kc_json_get(pod, "spec");
        /* The pod itself; a mirror pod gives no access to anything else. */
        add_ref(v, "pods", kc_meta_name(pod));
        if (kc_meta_annotation(pod, MIRROR_ANNOTATION))
                return;
        add_ref(v, "serviceaccounts", kc_json_str(spec, "serviceAccountName"));
        static const char *const lists[] = {"containers", "initContainers", "ephemeralContainers"};
        for (size_t l = 0; l < KC_ARRAY_LEN(lists); l++) {
                const struct json_object *containers = kc_json_get(spec, lists[l]);
                for (size_t i = 0; i < kc_json_len(containers); i++)
                        visit_env(v, kc_json_idx(containers, i));
        }
        const struct json_object *pull = kc_json_get(spec, "imagePullSecrets");
        for (size_t i = 0; i < kc_json_len(pull); i++)
                add_ref(v, "secrets", kc_json_str(kc_json_idx(pull, i), "name"));
        const struct json_object *volumes = kc_json_get(spec, "volumes");
        for (size_t i = 0; i < kc_json_len(volumes); i++)
                visit_volume(v, kc_json_idx(volumes, i));
}

/* --- feeding */

static void count(struct authz_node *n, char **refs, int by)
{
        for (; refs && *refs; refs++) {
                uintptr_t c = (uintptr_t)kc_map_get(n->refs, *refs) + (uintptr_t)by;
                if (c == 0)
                        (void)kc_map_remove(n->refs, *refs);
                else
                        (void)kc_map_set(n->refs, *refs, (void *)c);
        }
}

void authz_node_set_pod(struct authz_node *n, const char *key, const struct json_object *pod)
{
        struct pod *old = kc_map_get(n->pods, key);
        if (old) {
                count(n, old->refs, -1);
                (void)kc_map_remove(n->pods, key);
        }
        const char *node = pod ? kc_json_str_at(pod, "spec.nodeName") : NULL;
        if (kc_str_empty(node))
                return;
        struct pod *p = KC_NEW(struct pod);
        const struct visitor v = {.node = node, .ns = kc_meta_namespace(pod), .refs = &p->refs};
        p->node = kc_strdup(node);
        visit_pod(&v, pod);
        kc_strv_sort_uniq(p->refs);
        count(n, p->refs, 1);
        (void)kc_map_set(n->pods, key, p);
}

bool authz_node_knows_pod(const struct authz_node *n, const char *key, const char *node_name)
{
        const struct pod *p = kc_map_get(n->pods, key);
        return p ? kc_streq(p->node, node_name) : kc_str_empty(node_name);
}

/* --- asking */

const char *authz_node_name(const struct kc_user *u)
{
        if (!kc_str_has_prefix(u->name, NODE_PREFIX) || !kc_user_in_group(u, KC_GROUP_NODES))
                return NULL;
        return u->name + strlen(NODE_PREFIX);
}

struct question {
        struct authz_node *n;
        const char *node;
        const struct kc_authz_attrs *a;
        char **ret_reason;
};

static enum kc_decision no(struct question *q, const char *why)
{
        if (q->ret_reason)
                *q->ret_reason = kc_strdup(why);
        return KC_NO_OPINION;
}

static bool verb_in(const struct question *q, const char *const *verbs)
{
        return kc_strv_has((char *const *)verbs, q->a->verb);
}

/* A pod of the node refers to the object. */
static enum kc_decision related(struct question *q, const char *resource)
{
        if (q->a->name[0] == '\0')
                return no(q, "No Object name found");
        KC_CLEANUP(kc_freep) char *key = kc_asprintf("%s\n%s/%s/%s", q->node, resource, q->a->ns, q->a->name);
        if (kc_map_has(q->n->refs, key))
                return KC_ALLOW;
        KC_CLEANUP(kc_freep)
        char *why = kc_asprintf("no relationship found between node '%s' and this object", q->node);
        return no(q, why);
}

static enum kc_decision read_namespaced(struct question *q)
{
        static const char *const read[] = {"get", "list", "watch", NULL};
        if (!verb_in(q, read))
                return no(q, "can only read resources of this type");
        if (q->a->subresource[0] != '\0')
                return no(q, "cannot read subresource");
        if (q->a->ns[0] == '\0')
                return no(q, "can only read namespaced object of this type");
        return related(q, q->a->resource);
}

static enum kc_decision get_related(struct question *q)
{
        if (strcmp(q->a->verb, "get") != 0)
                return no(q, "can only get individual resources of this type");
        if (q->a->subresource[0] != '\0')
                return no(q, "cannot get subresource");
        return related(q, q->a->resource);
}

static enum kc_decision service_account(struct question *q)
{
        if (strcmp(q->a->verb, "get") == 0 && q->a->subresource[0] == '\0')
                return get_related(q);
        if (strcmp(q->a->verb, "create") != 0 || q->a->name[0] == '\0')
                return no(q, "can only create tokens for individual service accounts");
        if (strcmp(q->a->subresource, "token") != 0)
                return no(q, "can only create token subresource of service account");
        return related(q, q->a->resource);
}

static enum kc_decision lease(struct question *q)
{
        static const char *const verbs[] = {"get", "create", "update", "patch", "delete", NULL};
        if (!verb_in(q, verbs))
                return no(q, "can only get, create, update, patch, or delete a node lease");
        if (strcmp(q->a->ns, "kube-node-lease") != 0)
                return no(q, "can only access leases in the \"kube-node-lease\" system namespace");
        if (strcmp(q->a->verb, "create") != 0 && strcmp(q->a->name, q->node) != 0)
                return no(q, "can only access node lease with the same name as the requesting node");
        return KC_ALLOW;
}

static enum kc_decision own_node(struct question *q)
{
        static const char *const write[] = {"create", "patch", "update", NULL};
        static const char *const read[] = {"get", "list", "watch", NULL};
        static const char *const status[] = {"patch", "update", NULL};
        if (strcmp(q->a->subresource, "status") == 0 && verb_in(q, status))
                return KC_ALLOW;
        if (q->a->subresource[0] != '\0')
                return no(q, "");
        if (verb_in(q, write))
                return KC_ALLOW; /* which node: NodeRestriction sees to it */
        if (!verb_in(q, read))
                return no(q, "");
        if (strcmp(q->a->name, q->node) == 0)
                return KC_ALLOW;
        KC_CLEANUP(kc_freep)
        char *why = q->a->name[0] == '\0'
                        ? kc_asprintf("node '%s' cannot read all nodes, only its own Node object", q->node)
                        : kc_asprintf("node '%s' cannot read '%s', only its own Node object", q->node, q->a->name);
        return no(q, why);
}

static enum kc_decision own_pod(struct question *q)
{
        static const char *const write[] = {"create", "delete", NULL};
        static const char *const list[] = {"list", "watch", NULL};
        static const char *const status[] = {"patch", "update", NULL};
        if (strcmp(q->a->subresource, "status") == 0 && verb_in(q, status))
                return KC_ALLOW;
        if (strcmp(q->a->subresource, "eviction") == 0 && strcmp(q->a->verb, "create") == 0)
                return KC_ALLOW;
        if (q->a->subresource[0] != '\0')
                return no(q, "");
        if (strcmp(q->a->verb, "get") == 0)
                return related(q, "pods");
        if (verb_in(q, write))
                return KC_ALLOW; /* which pod: NodeRestriction sees to it */
        if (!verb_in(q, list))
                return no(q, "");
        if (q->a->field_selector &&
            kc_streq(kc_field_selector_requires(q->a->field_selector, "spec.nodeName"), q->node))
                return KC_ALLOW;
        return no(q, "can only list/watch pods with spec.nodeName field selector");
}

static const struct {
        const char *group, *resource;
        enum kc_decision (*authorize)(struct question *q);
} subdivided[] = {
    {"", "secrets", read_namespaced},
    {"", "configmaps", read_namespaced},
    {"", "persistentvolumeclaims", get_related},
    {"", "serviceaccounts", service_account},
    {"coordination.k8s.io", "leases", lease},
    {"", "nodes", own_node},
    {"", "pods", own_pod},
};

enum kc_decision authz_node_authorize(struct authz_node *n, const struct kc_authz_attrs *a, char **ret_reason)
{
        const char *node = authz_node_name(a->user);
        if (!node)
                return KC_NO_OPINION;
        struct question q = {.n = n, .node = node, .a = a, .ret_reason = ret_reason};
        if (node[0] == '\0') {
                KC_CLEANUP(kc_freep) char *why = kc_asprintf("unknown node for user \"%s\"", a->user->name);
                return no(&q, why);
        }
        for (size_t i = 0; a->resource_request && i < KC_ARRAY_LEN(subdivided); i++)
                if (strcmp(subdivided[i].group, a->group) == 0 && strcmp(subdivided[i].resource, a->resource) == 0)
                        return subdivided[i].authorize(&q);
        for (size_t i = 0; i < n->rules.n; i++)
                if (rbac_rule_allows(&n->rules.v[i], a))
                        return KC_ALLOW;
        return KC_NO_OPINION;
}
