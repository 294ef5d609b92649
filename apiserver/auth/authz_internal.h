/* Shared by the authorizers.
 *
 *   cache --watch--> feed (loop) --set, del--> index (rbac, node), under the write lock
 *   requests (any thread) --read lock--> authorizers in order
 */
#pragma once

#include <pthread.h>

#include "api/selector.h"
#include "auth/authz.h"
#include "auth/rbac_rules.h"
#include "base/map.h"

/* A lock whose writers do not starve while requests come all the time. Not to be taken twice by one reader. */
void authz_lock_init(pthread_rwlock_t *lock);

/* --- One resource of the cache, followed for ever (feed.c). On the loop. */

struct authz_feed_cbs {
        /* The object is there, or changed. key: "ns/name", "/name" for cluster scope. */
        void (*set)(void *arg, const char *key, struct kc_cache_entry *e);
        void (*del)(void *arg, const char *key);
        /* Everything that is there has been told once. */
        void (*synced)(void *arg);
};
struct authz_feed;
struct authz_feed *authz_feed_new(
    struct kc_loop *loop, struct kc_cache_resource *r, const struct authz_feed_cbs *cbs, void *arg);
void authz_feed_start(struct authz_feed *f);
/* Objects that are there are being told, after a start or a cut: changes in between may have been missed. */
bool authz_feed_syncing(const struct authz_feed *f);
void authz_feed_free(struct authz_feed *f);

/* --- RBAC (rbac.c): roles and bindings. The caller holds the lock. */

struct authz_rbac;
struct authz_rbac *authz_rbac_new(void);
void authz_rbac_free(struct authz_rbac *r);
/* resource: "clusterroles", "clusterrolebindings", "roles", "rolebindings"; obj NULL: it is gone. */
void authz_rbac_set(struct authz_rbac *r, const char *resource, const char *key, const struct json_object *obj);
bool authz_rbac_allows(struct authz_rbac *r, const struct kc_authz_attrs *a, char **ret_reason);
/* The rules that bindings give the user in ns ("": cluster scope only): fn(rule) for each. */
void authz_rbac_visit(struct authz_rbac *r, const struct kc_user *u, const char *ns,
    void (*fn)(const struct rbac_rule *rule, void *arg), void *arg);
/* Rules of a role by reference; false: there is none. kind "ClusterRole" or "Role". */
bool authz_rbac_role(struct authz_rbac *r, const char *kind, const char *ns, const char *name,
    void (*fn)(const struct rbac_rule *rule, void *arg), void *arg);

/* --- ABAC (abac.c): immutable, any thread. */

struct authz_abac;
int authz_abac_load(const char *file, struct authz_abac **ret, struct kc_error *err);
void authz_abac_free(struct authz_abac *a);
bool authz_abac_allows(const struct authz_abac *b, const struct kc_authz_attrs *a, char **ret_reason);
void authz_abac_visit(const struct authz_abac *b, const struct kc_user *u, const char *ns,
    void (*fn)(const struct rbac_rule *rule, void *arg), void *arg);

/* --- Node authorizer (node_authz.c): what is a node's (node_graph.h). The caller holds the lock. */

struct authz_node;
struct authz_node *authz_node_new(void);
void authz_node_free(struct authz_node *n);
/* resource: "pods", "persistentvolumes", "volumeattachments", "resourceslices"; obj NULL: it is gone. */
void authz_node_set(struct authz_node *n, const char *resource, const char *key, const struct json_object *obj);
/* True if the pod is known to be on that node already: nothing that matters can have changed. */
bool authz_node_knows_pod(const struct authz_node *n, const char *key, const char *node_name);
enum kc_decision authz_node_authorize(struct authz_node *n, const struct kc_authz_attrs *a, char **ret_reason);
/* "n" of "system:node:n" in system:nodes; NULL: the user is no node ("": a node without a name). Borrowed. */
const char *authz_node_name(const struct kc_user *u);
