/* Issues service-account tokens (TokenRequest) and publishes what others need to verify them. Immutable: any thread. */
#pragma once

#include "auth/user.h"
#include "base/clock.h"
#include "base/error.h"

struct kc_satoken;

struct kc_satoken_opts {
        const char *signing_key_file;
        char *const *key_files;       /* public keys for /openid/v1/jwks; NULL: of the signing key */
        char *const *issuers;         /* strv; the first one is used */
        const char *jwks_uri;         /* NULL: https://<external address>/openid/v1/jwks */
        char *const *api_audiences;   /* strv; default audiences of tokens; NULL: the first issuer */
        int64_t max_expiration;       /* seconds; 0: none */
        bool extend_expiration;       /* one hour tokens of pods last a year, with warnafter */
        const struct kc_clock *clock; /* NULL: the real one */
};
int kc_satoken_new(const struct kc_satoken_opts *o, struct kc_satoken **ret, struct kc_error *err);
void kc_satoken_free(struct kc_satoken *s);
KC_DEFINE_CLEANUP(struct kc_satoken *, kc_satoken_free)

/* The TokenRequest subresource (upstream's TokenREST.Create): checks spec (audiences, expirationSeconds,
 * boundObjectRef, defaults) against the service account sa and the bound object, and sets status {token,
 * expirationTimestamp} in place. bound: the object of spec.boundObjectRef as it is now, or NULL when there is none of
 * that name; node: of a bound pod's spec.nodeName, or NULL. warnings (may be NULL) gets what the client is to be told.
 */
struct json_object;
int kc_satoken_issue(struct kc_satoken *s, const struct json_object *sa, const struct json_object *bound,
    const struct json_object *node, struct json_object *token_request, char ***warnings, struct kc_error *err);

/* /.well-known/openid-configuration and /openid/v1/jwks. Heap, JSON text. */
char *kc_satoken_openid_configuration(const struct kc_satoken *s);
char *kc_satoken_jwks(const struct kc_satoken *s);
