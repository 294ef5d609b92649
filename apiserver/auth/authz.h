/* Authorization: the authorizers of --authorization-mode or --authorization-config, asked in order: AlwaysAllow,
 * AlwaysDeny, Node, RBAC, ABAC, Webhook; before them the group system:masters may do everything. Rules are indexes fed
 * by watches of the cache on the given loop; only webhooks make somebody wait. */
#pragma once

#include "auth/user.h"
#include "base/error.h"
#include "event/loop.h"
#include "resources/resources.h"

struct kc_authz;

struct kc_authz_opts {
        const struct kc_resources *resources;
        struct kc_loop *loop;    /* runs the watches */
        char *const *modes;      /* strv: "Node", "RBAC"; unknown names are an error */
        const char *policy_file; /* of ABAC */
        const char *webhook_config_file, *webhook_version;
        int64_t webhook_authorized_ttl, webhook_unauthorized_ttl; /* usec */
        const char *config_file; /* AuthorizationConfiguration, in place of modes and webhooks; followed */
};
int kc_authz_new(const struct kc_authz_opts *o, struct kc_authz **ret, struct kc_error *err);
/* Webhooks are asked no more, and those that are being asked answer at once: before the threads that ask are waited
 * for. Any thread but theirs. */
void kc_authz_close(struct kc_authz *a);
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
        const struct json_object *label_requirements;   /* array of {key, operator, values}; NULL: none; for webhooks */
};

enum kc_decision { KC_DENY, KC_ALLOW, KC_NO_OPINION };
/* *ret_reason (heap; may be NULL or stay NULL) as upstream's authorizers give it. NO_OPINION is a refusal, too. Waits
 * for webhooks: not on loops. */
enum kc_decision kc_authz_authorize(struct kc_authz *a, const struct kc_authz_attrs *attrs, char **ret_reason);
/* The same on loops. False: a webhook has to be asked first, nothing is decided. */
bool kc_authz_try(struct kc_authz *a, const struct kc_authz_attrs *attrs, enum kc_decision *ret, char **ret_reason);
/* Is "RBAC" (or another mode) among the authorizers? */
bool kc_authz_has_mode(const struct kc_authz *a, const char *mode);
/* The 403 of upstream: pods is forbidden: User "x" cannot list resource "pods" in API group "" in the namespace "y":
 * <reason>; and forbidden: User "x" cannot get path "/y". Returns the negative errno. */
int kc_authz_forbidden(struct kc_error *err, const struct kc_authz_attrs *attrs, const char *reason);
/* resourceRules and nonResourceRules of the user in ns, as SelfSubjectRulesReview's status. The caller's. */
struct json_object *kc_authz_rules(struct kc_authz *a, const struct kc_user *user, const char *ns);
