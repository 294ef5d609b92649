/* Authentication: the authenticators in upstream's order - client certificate, static tokens, service-account tokens -
 * then anonymous. Any thread, does not block (service accounts, pods, nodes and secrets come from the watch cache). */
#pragma once

#include "auth/user.h"
#include "base/clock.h"
#include "base/error.h"
#include "event/loop.h"
#include "resources/resources.h"
#include "tls/tls.h"

struct kc_authn;

struct kc_authn_opts {
        const struct kc_resources *resources;
        const struct kc_clock *clock;           /* NULL: the real one */
        bool client_certs;                      /* --client-ca-file is given: a verified peer is a user (CN, O) */
        const char *token_auth_file;            /* CSV token,user,uid,"group1,group2"; NULL: none */
        char *const *service_account_key_files; /* strv of PEM files; NULL or empty: no such tokens */
        char *const *service_account_issuers;   /* strv; the first one is that of new tokens */
        char *const *api_audiences;             /* strv; NULL: the first issuer */
        bool service_account_lookup;            /* bound objects must exist and have the token's uids */
        bool bootstrap_tokens;                  /* --enable-bootstrap-token-auth */
        bool anonymous;                         /* --anonymous-auth */
};

int kc_authn_new(const struct kc_authn_opts *o, struct kc_authn **ret, struct kc_error *err);
void kc_authn_free(struct kc_authn *a);
KC_DEFINE_CLEANUP(struct kc_authn *, kc_authn_free)

struct kc_authn_request {
        const struct kc_tls_peer *peer; /* the verified client certificate, or NULL */
        const char *authorization;      /* header, or NULL */
        const char *websocket_protocol; /* Sec-WebSocket-Protocol, which may carry
                                         * base64url.bearer.authorization.k8s.io.<token>; or NULL */
        /* Once header and query credentials are used, the pipeline does not pass them on. */
};

/* A new reference in *ret. Groups include system:authenticated (or system:unauthenticated for the anonymous user).
 * 401 Unauthorized ("Unauthorized") when credentials are there and wrong, or there are none and anonymous is off. */
int kc_authn_authenticate(
    struct kc_authn *a, const struct kc_authn_request *req, struct kc_user **ret, struct kc_error *err);

/* TokenReview: *ret_user NULL (and 0) when the token is not good; *ret_error is then why (heap, may stay NULL).
 * audiences: strv or NULL (the server's); *ret_audiences (strv, heap): those that the token is good for. */
int kc_authn_token(struct kc_authn *a, const char *token, char *const *audiences, struct kc_user **ret_user,
    char ***ret_audiences, char **ret_error, struct kc_error *err);
