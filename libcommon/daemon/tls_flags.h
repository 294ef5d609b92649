/* The flags of HTTPS that all daemons but the kubelet have, by upstream's names. */
#pragma once

#include "daemon/flags.h"
#include "tls/tls.h"

struct kc_tls_flags {
        char *min_version;
        char **cipher_suites, **curve_preferences, **sni_cert_keys;
};

/* Rows for a daemon's table of flags. */
#define KC_TLS_FLAGS(f)                                                                                                \
        {"tls-min-version", 0, KC_FLAG_STRING, &(f)->min_version, "VersionTLS10, 11, 12 or 13", "Secure serving"},     \
            {"tls-cipher-suites", 0, KC_FLAG_STRV, &(f)->cipher_suites, "names of TLS 1.2 suites", "Secure serving"},  \
            {"tls-curve-preferences", 0, KC_FLAG_STRV, &(f)->curve_preferences,                                        \
                "numbers of key exchanges that are allowed", "Secure serving"},                                        \
        {                                                                                                              \
                "tls-sni-cert-key", 0, KC_FLAG_ARRAY, &(f)->sni_cert_keys,                                             \
                    "certificate,key[:names] for clients that ask for these names", "Secure serving"                   \
        }

/* The options borrow the values. */
void kc_tls_flags_apply(const struct kc_tls_flags *f, struct kc_tls_server_opts *o);
void kc_tls_flags_done(struct kc_tls_flags *f);
