/* Which authorizers there are, in which order: from flags, or from an AuthorizationConfiguration. Pure. */
#pragma once

#include <stdint.h>

#include "auth/authz.h"

enum authz_mode {
        AUTHZ_ALWAYS_ALLOW,
        AUTHZ_ALWAYS_DENY,
        AUTHZ_NODE,
        AUTHZ_RBAC,
        AUTHZ_ABAC,
        AUTHZ_WEBHOOK,
        AUTHZ_N_MODES,
};
extern const char *const authz_mode_names[AUTHZ_N_MODES + 1]; /* NULL-terminated */

struct authz_webhook_spec {
        char *kubeconfig;                         /* NULL: in-cluster */
        char *version;                            /* of SubjectAccessReviews: "v1" or "v1beta1" */
        int64_t authorized_ttl, unauthorized_ttl; /* usec */
        bool cache_authorized, cache_unauthorized;
        int64_t timeout;      /* usec, of a request */
        bool deny_on_failure; /* failurePolicy Deny; else NoOpinion */
};

struct authz_spec {
        enum authz_mode mode;
        char *name; /* for logs and metrics */
        struct authz_webhook_spec webhook;
};

struct authz_specs {
        struct authz_spec *v;
        size_t n;
};
void authz_specs_done(struct authz_specs *s);
/* --authorization-mode and its companions. */
int authz_specs_from_flags(const struct kc_authz_opts *o, struct authz_specs *ret, struct kc_error *err);
/* apiserver.config.k8s.io AuthorizationConfiguration, YAML or JSON. */
int authz_specs_parse(const char *text, size_t len, struct authz_specs *ret, struct kc_error *err);
