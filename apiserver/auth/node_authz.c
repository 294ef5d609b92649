/* The Node authorizer: a kubelet may read what the pods on its node refer to, and work on its own node, pods, lease and
 * events (plugin/pkg/auth/authorizer/node of upstream). What belongs to a node is in its graph. */
#include <string.h>

#include "auth/authz_internal.h"
#include "auth/node_graph.h"
#include "base/features.h"
#include "base/str.h"

#define NODE_PREFIX "system:node:"

struct authz_node {
        struct node_graph *graph;
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

/* Rules that a feature gate gives in addition. */
static const char bundle_rules[] = "{'verbs':['get','list','watch'],'apiGroups':['certificates.k8s.io'],"
                                   "'resources':['clustertrustbundles']}";

struct authz_node *authz_node_new(void)
{
        struct authz_node *n = KC_NEW(struct authz_node);
        n->graph = node_graph_new();
        KC_CLEANUP(kc_json_freep) struct json_object *rules = kc_json_build(node_rules);
        if (kc_feature_enabled(KC_FEATURE_CLUSTER_TRUST_BUNDLE_PROJECTION))
                kc_json_push(rules, kc_json_build(bundle_rules));
        rbac_rules_compile(&n->rules, rules);
        return n;
}

void authz_node_free(struct authz_node *n)
{
        if (!n)
                return;
        node_graph_free(n->graph);
        rbac_rules_done(&n->rules);
        kc_free(n);
}

void authz_node_set(struct authz_node *n, const char *resource, const char *key, const struct json_object *obj)
{
        node_graph_set(n->graph, resource, key, obj);
}

bool authz_node_knows_pod(const struct authz_node *n, const char *key, const char *node_name)
{
        return node_graph_knows_pod(n->graph, key, node_name);
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

/* The object belongs to the node. */
static enum kc_decision related(struct question *q, const char *resource)
{
        if (q->a->name[0] == '\0')
                return no(q, "No Object name found");
        if (node_graph_has(q->n->graph, q->node, resource, q->a->ns, q->a->name))
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

static enum kc_decision csi_node(struct question *q)
{
        static const char *const verbs[] = {"get", "create", "update", "patch", "delete", NULL};
        if (!verb_in(q, verbs))
                return no(q, "can only get, create, update, patch, or delete a CSINode");
        if (q->a->subresource[0] != '\0')
                return no(q, "cannot authorize CSINode subresources");
        if (strcmp(q->a->verb, "create") != 0 && strcmp(q->a->name, q->node) != 0)
                return no(q, "can only access CSINode with the same name as the requesting node");
        return KC_ALLOW;
}

static enum kc_decision resource_slice(struct question *q)
{
        static const char *const one[] = {"get", "update", "patch", "delete", NULL};
        static const char *const many[] = {"list", "watch", "deletecollection", NULL};
        if (q->a->subresource[0] != '\0')
                return no(q, "cannot authorize ResourceSlice subresources");
        if (strcmp(q->a->verb, "create") == 0)
                return KC_ALLOW; /* of which node: NodeRestriction sees to it */
        if (verb_in(q, one))
                return related(q, q->a->resource);
        if (!verb_in(q, many))
                return no(q,
                    "only the following verbs are allowed for a ResourceSlice: get, watch, list, create, update, "
                    "patch, delete, deletecollection");
        if (q->a->field_selector &&
            kc_streq(kc_field_selector_requires(q->a->field_selector, "spec.nodeName"), q->node))
                return KC_ALLOW;
        return no(q, "can only list/watch/deletecollection resourceslices with nodeName field selector");
}

static enum kc_decision claim(struct question *q)
{
        static const char *const verbs[] = {"get", "update", "patch", NULL};
        if (strcmp(q->a->subresource, "status") != 0)
                return get_related(q);
        if (!verb_in(q, verbs))
                return no(q, "can only get/update/patch this type");
        return related(q, q->a->resource);
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
    {"", "persistentvolumeclaims", claim},
    {"", "persistentvolumes", get_related},
    {"resource.k8s.io", "resourceclaims", get_related},
    {"resource.k8s.io", "resourceslices", resource_slice},
    {"storage.k8s.io", "volumeattachments", get_related},
    {"storage.k8s.io", "csinodes", csi_node},
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
