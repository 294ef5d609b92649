/* Shared by the authenticators. */
#pragma once

#include "auth/authn.h"
#include "base/map.h"
#include "tls/jwt.h"

/* What an authenticator of tokens finds out. audiences: those of the asked ones that the token is good for. */
struct authn_found {
        struct kc_user *user;
        char **audiences;   /* strv */
        char **warnings;    /* strv, for the client */
        char **annotations; /* strv of alternating key, value, for the audit */
};
void authn_found_done(struct authn_found *f);

/* A token that is looked at. */
struct authn_token {
        const char *text;
        char *const *audiences; /* strv: those that the caller accepts */
        bool may_block;         /* else what would have to wait returns -EWOULDBLOCK */
};

/* One way to authenticate tokens. Any thread. */
struct authn_method {
        /* 1: *ret is set; 0: not a token of this kind; negative errno: one, and not good: err says why. Warnings and
         * annotations may be set in any case. */
        int (*authenticate)(void *self, const struct authn_token *t, struct authn_found *ret, struct kc_error *err);
        void (*free)(void *self);
        void *self;
};

/* A name for a token by which it can be looked up without anybody measuring how much of it is right: keyed, hex. */
enum { AUTHN_HASH_LEN = 65 };
void authn_token_hash(const char *token, char out[static AUTHN_HASH_LEN]);

/* Elements of a that are in b, too; strv. */
char **authn_intersect(char *const *a, char *const *b);

/* --- What certificates say (certificates.c). */

struct authn_certificates {
        struct kc_tls_verifier *client_ca, *front_proxy_ca; /* NULL: none */
        char **allowed_names, **username_headers, **uid_headers, **group_headers, **extra_prefixes;
};
int authn_certificates_init(struct authn_certificates *c, const struct kc_authn_opts *o, struct kc_error *err);
void authn_certificates_done(struct authn_certificates *c);
/* As a method: 1, 0 (says nothing) or negative errno. */
int authn_certificate(
    const struct authn_certificates *c, const struct kc_tls_peer *p, struct kc_user **ret, struct kc_error *err);
int authn_front_proxy(
    const struct authn_certificates *c, const struct kc_authn_request *req, struct kc_user **ret, struct kc_error *err);

/* --- OpenID Connect, and who may be nobody (issuers.c). */

struct authn_issuers;
/* loop: may be NULL when there is neither a file nor --oidc-*. */
int authn_issuers_new(
    const struct kc_authn_opts *o, struct kc_loop *loop, struct authn_issuers **ret, struct kc_error *err);
void authn_issuers_free(struct authn_issuers *s);
/* May who has no credentials see that path? */
bool authn_issuers_anonymous(struct authn_issuers *s, const char *path);
/* As a method of self, the authn_issuers. Sets no audiences: its tokens are good for the server's. */
int authn_issuers_token(void *self, const struct authn_token *t, struct authn_found *ret, struct kc_error *err);

/* --- A webhook (token_webhook.c), with its memory in front of it. *ret_self lives as long as the method. */
struct authn_webhook;
int authn_webhook_new(const struct kc_authn_opts *o, struct kc_loop *loop, struct authn_webhook **ret_self,
    struct authn_method *ret, struct kc_error *err);
/* What is asked ends soon, with errors. Not on the loop. */
void authn_webhook_stop(struct authn_webhook *w);

/* --- A memory in front of a method (token_cache.c). */

struct authn_cache_opts {
        struct authn_method inner; /* taken */
        const struct kc_clock *clock;
        int64_t success_ttl, failure_ttl; /* usec; 0: not remembered */
        bool errors;                      /* remember them, too, as failures */
        size_t max_entries;               /* 0: 4,096 */
};
void authn_cached_new(const struct authn_cache_opts *o, struct authn_method *ret);

/* --- Metrics (authn_metrics.c). Any thread. */

enum authn_outcome { AUTHN_SUCCESS, AUTHN_FAILURE, AUTHN_ERROR };
void authn_metrics_init(void);
void authn_count_attempt(enum authn_outcome outcome, int64_t usec, const struct kc_user *u);
enum authn_sa_use {
        AUTHN_SA_LEGACY,
        AUTHN_SA_LEGACY_AUTO,
        AUTHN_SA_LEGACY_MANUAL,
        AUTHN_SA_INVALID_LEGACY_AUTO,
        AUTHN_SA_STALE,
        AUTHN_SA_VALID,
        AUTHN_SA_USES
};
void authn_count_sa_token(enum authn_sa_use use);
void authn_count_fetching(const char *status, int delta);
void authn_count_fetched(bool ok);
void authn_count_reload(bool ok);
void authn_count_cached(bool hit, int64_t usec);

/* --- Static tokens (tokenfile.c). token,user,uid[,"group1,group2"] in each line. audiences (borrowed): the server's,
 * which all of these tokens are good for. */
int authn_token_file_new(const char *path, char *const *audiences, struct authn_method *ret, struct kc_error *err);

/* --- Service-account tokens (satoken_verify.c). audiences (borrowed): the server's. */

struct authn_sa {
        const struct kc_resources *resources;
        const struct kc_clock *clock;
        struct kc_jwt_key **keys;
        size_t n_keys;
        char **issuers;         /* strv */
        char *const *audiences; /* borrowed */
        bool lookup;
        void (*on_legacy_token)(const char *ns, const char *secret, const char *uid, const char *today, void *arg);
        void *arg;
};
int authn_sa_new(const struct kc_authn_opts *o, char *const *audiences, struct authn_method *ret, struct kc_error *err);
/* uid NULL: "". */
struct kc_user *authn_sa_user(const char *ns, const char *name, const char *uid);
/* NumericDate of a claim: seconds, a whole number or a fraction. 0: absent. */
kc_time authn_claim_time(const struct json_object *claims, const char *name);
/* What a token says of its issuer, unverified; heap, NULL: nothing. */
char *authn_claimed_issuer(const char *token);
/* legacy_token.c: as a method, of claims whose signature is good. Sets no audiences. */
int authn_legacy_token(const struct authn_sa *sa, const struct authn_token *t, const struct json_object *claims,
    struct authn_found *ret, struct kc_error *err);

/* --- Bootstrap tokens (bootstrap_token.c): secrets bootstrap-token-<id> in kube-system. */
void authn_bootstrap_new(const struct kc_authn_opts *o, char *const *audiences, struct authn_method *ret);
