/* Authentication: the authenticators in upstream's order - front proxy, client certificate, then tokens (static,
 * service accounts, bootstrap, OIDC, webhook), then anonymous. Any thread. Service accounts, secrets, pods and nodes
 * come from the watch cache; only some tokens have to wait for others (may_block). */
#pragma once

#include "auth/authn_config.h"
#include "auth/user.h"
#include "base/clock.h"
#include "base/error.h"
#include "event/loop.h"
#include "resources/resources.h"
#include "tls/tls.h"
#include "tls/verifier.h"

struct kc_authn;

/* --requestheader-*: what a front proxy says of a user. */
struct kc_authn_front_proxy {
        const char *client_ca_file; /* NULL or "": there is no front proxy */
        char *const *allowed_names; /* strv; empty: every name */
        char *const *username_headers, *const *uid_headers, *const *group_headers, *const *extra_prefixes; /* strv */
};

struct kc_authn_opts {
        const struct kc_resources *resources;
        const struct kc_clock *clock; /* NULL: the real one */
        const char *client_ca_file;   /* NULL or "": certificates are nobody's */
        struct kc_authn_front_proxy front_proxy;
        const char *token_auth_file;                  /* CSV token,user,uid,"group1,group2"; NULL: none */
        char *const *service_account_key_files;       /* strv of PEM files; NULL or empty: no such tokens */
        char *const *service_account_issuers;         /* strv; the first one is that of new tokens */
        char *const *api_audiences;                   /* strv; NULL: the first issuer */
        bool service_account_lookup;                  /* bound objects must exist and have the token's uids */
        bool bootstrap_tokens;                        /* --enable-bootstrap-token-auth */
        bool anonymous;                               /* --anonymous-auth */
        bool anonymous_given;                         /* it was given: then the configuration must say nothing of it */
        const char *config_file;                      /* --authentication-config; NULL: none */
        const struct kc_oidc_flags *oidc;             /* without config_file; NULL: none */
        const char *webhook_config;                   /* kubeconfig; NULL or "": none */
        const char *webhook_version;                  /* "v1" or "v1beta1"; NULL: v1beta1 */
        int64_t webhook_cache_ttl;                    /* usec */
        int64_t token_success_ttl, token_failure_ttl; /* usec that results are remembered; 0: not */
        /* A legacy token was used for the first time today, which its secret is to say in the label
         * kubernetes.io/legacy-token-last-used. NULL: nobody keeps that up. Any thread, must not block. */
        void (*on_legacy_token)(const char *ns, const char *secret, const char *uid, const char *today, void *arg);
        void *arg;
};

int kc_authn_new(const struct kc_authn_opts *o, struct kc_authn **ret, struct kc_error *err);
void kc_authn_free(struct kc_authn *a);
/* What waits for others ends soon, with errors: before the end of the threads that may be in here. */
void kc_authn_stop(struct kc_authn *a);
KC_DEFINE_CLEANUP(struct kc_authn *, kc_authn_free)

struct kc_authn_request {
        const struct kc_tls_peer *peer; /* the client certificate, not verified yet, or NULL */
        const char *authorization;      /* header, or NULL */
        const char *websocket_protocol; /* Sec-WebSocket-Protocol, which may carry
                                         * base64url.bearer.authorization.k8s.io.<token>; or NULL */
        const char *path;               /* decoded; for anonymous conditions */
        /* The i-th header, its name in lower case; false past the end. NULL: none. */
        bool (*header_at)(const void *arg, size_t i, const char **ret_name, const char **ret_value);
        const void *arg;
        bool may_block;
};

struct kc_authn_result {
        struct kc_user
            *user;          /* Groups include system:authenticated (or system:unauthenticated of the anonymous user). */
        char **warnings;    /* strv, for the client */
        char **annotations; /* strv of alternating key, value, for the audit */
};
void kc_authn_result_done(struct kc_authn_result *r);

/* 0 with *ret; 401 Unauthorized ("Unauthorized") when credentials are there and wrong, or there are none and anonymous
 * is not allowed (*ret has no user then, but may have the rest); -EWOULDBLOCK: only with may_block. */
int kc_authn_authenticate(
    struct kc_authn *a, const struct kc_authn_request *req, struct kc_authn_result *ret, struct kc_error *err);

/* TokenReview: *ret_user NULL (and 0) when the token is not good; *ret_error is then why (heap, may stay NULL).
 * audiences: strv or NULL (the server's); *ret_audiences (strv, heap): those that the token is good for. May block. */
int kc_authn_token(struct kc_authn *a, const char *token, char *const *audiences, struct kc_user **ret_user,
    char ***ret_audiences, char **ret_error, struct kc_error *err);

/* The CAs of clients and of the front proxy as they are now, PEM; heap, NULL: none. */
char *kc_authn_client_ca(struct kc_authn *a);
char *kc_authn_front_proxy_ca(struct kc_authn *a);
