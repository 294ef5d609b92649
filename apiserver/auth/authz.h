/* Authorization: the authorizers of --authorization-mode, asked in order: AlwaysAllow, AlwaysDeny, Node, RBAC; before
 * them the group system:masters may do everything. Any thread, does not block: rules are indexes fed by watches of the
 * cache on the given loop. */
#pragma once

#include "auth/user.h"
#include "base/error.h"
#include "event/loop.h"
#include "resources/resources.h"

struct kc_authz;

struct kc_authz_opts {
        const struct kc_resources *resources;
        struct kc_loop *loop; /* runs the watches */
        char *const *modes;   /* strv: "Node", "RBAC"; unknown names are an error */
};
int kc_authz_new(const struct kc_authz_opts *o, struct kc_authz **ret, struct kc_error *err);
/* On the loop or after it has stopped. */
void kc_authz_free(struct kc_authz *a);
KC_DEFINE_CLEANUP(struct kc_authz *, kc_authz_free)
/* After the cache was started: begins to watch. On the loop. */
void kc_authz_start(struct kc_authz *a);
/* The indexes are filled. Any thread; for /readyz. */
bool kc_authz_ready(const struct kc_authz *a);

/* Strings borrowed. */
struct kc_authz_attrs {
        const struct kc_user *user;
        const char *verb; /* "get", "list", "watch", "create", "update", "patch", "delete", "deletecollection", "proxy",
                           * "impersonate", ...; of non-resource requests the lower-case HTTP method */
        bool resource_request;
        const char *ns;                                 /* "" for cluster scope or all namespaces */
        const char *group;                              /* "" core */
        const char *version;                            /* "v1" */
        const char *resource;                           /* "pods" */
        const char *subresource;                        /* "" none */
        const char *name;                               /* "" none */
        const char *path;                               /* of non-resource requests */
        const struct kc_field_selector *field_selector; /* NULL: none; the Node authorizer looks at it */
};

enum kc_decision { KC_DENY, KC_ALLOW, KC_NO_OPINION };
/* *ret_reason (heap; may be NULL or stay NULL) as upstream's authorizers give it. NO_OPINION is a refusal, too. */
enum kc_decision kc_authz_authorize(struct kc_authz *a, const struct kc_authz_attrs *attrs, char **ret_reason);
/* The 403 of upstream: pods is forbidden: User "x" cannot list resource "pods" in API group "" in the namespace "y":
 * <reason>; and forbidden: User "x" cannot get path "/y". Returns the negative errno. */
int kc_authz_forbidden(struct kc_error *err, const struct kc_authz_attrs *attrs, const char *reason);
/* resourceRules and nonResourceRules of the user in ns, as SelfSubjectRulesReview's status. The caller's. */
struct json_object *kc_authz_rules(struct kc_authz *a, const struct kc_user *user, const char *ns);
