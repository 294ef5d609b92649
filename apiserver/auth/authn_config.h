/* AuthenticationConfiguration (apiserver.config.k8s.io), and what --oidc-* says in its stead. Immutable once made. */
#pragma once

#include "base/error.h"
#include <stdbool.h>

/* One element of "jwt". Heap strings. */
struct kc_jwt_authenticator {
        char *url, *discovery_url; /* discovery_url NULL: below url */
        char *ca_pem;              /* NULL: the system's */
        char **audiences, **algs;  /* strv */
        char *username_claim, *username_prefix;
        char *groups_claim, *groups_prefix; /* claim NULL: none */
        char *uid_claim;                    /* NULL: none */
        char **required;                    /* strv of alternating claim, value */
};

struct kc_authn_config {
        struct kc_jwt_authenticator *jwt;
        size_t n_jwt;
        bool has_anonymous, anonymous; /* anonymous.enabled, if there is such a section */
        char **anonymous_paths;        /* strv of its conditions; NULL: all */
};

/* The text of a file (YAML or JSON), checked with upstream's messages; unknown fields are an error, and so is what
 * needs CEL, which is not supported. issuers (strv): of service accounts, which no element may have. */
int kc_authn_config_parse(
    const char *text, size_t len, char *const *issuers, struct kc_authn_config *ret, struct kc_error *err);
void kc_authn_config_done(struct kc_authn_config *c);

/* --oidc-*. NULL or "": not given. */
struct kc_oidc_flags {
        char *issuer_url, *client_id, *ca_file, *username_claim, *username_prefix, *groups_claim, *groups_prefix;
        char **signing_algs;   /* strv */
        char **required_claim; /* strv of key=value */
};
/* An empty *ret when --oidc-issuer-url is not given. */
int kc_authn_config_of_flags(
    const struct kc_oidc_flags *f, char *const *issuers, struct kc_authn_config *ret, struct kc_error *err);
bool kc_oidc_flags_given(const struct kc_oidc_flags *f);

/* What an https URL of an issuer may not be; NULL: it is good. */
const char *kc_issuer_url_wrong(const char *url);
bool kc_jwt_authenticator_equal(const struct kc_jwt_authenticator *a, const struct kc_jwt_authenticator *b);
