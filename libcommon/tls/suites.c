/* What may be negotiated: versions, cipher suites and key exchanges, by the names and numbers that upstream's flags
 * take. No I/O but warnings. Any thread. */
#include <errno.h>
#include <openssl/err.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "tls/tls_internal.h"

/* Go's TLS 1.2 suites in Go's order. */
#define DEFAULT_CIPHERS                                                                                                \
        "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"                     \
        "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"                       \
        "ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA:ECDHE-RSA-AES256-SHA"

static const struct suite {
        const char *name;    /* upstream's */
        const char *openssl; /* NULL: of TLS 1.3, which are always on, as with Go. "": OpenSSL has it no more */
        bool insecure;
        bool http2; /* one of those that HTTP/2 over TLS 1.2 has to have */
} suites[] = {
    {"TLS_AES_128_GCM_SHA256", NULL, false, false},
    {"TLS_AES_256_GCM_SHA384", NULL, false, false},
    {"TLS_CHACHA20_POLY1305_SHA256", NULL, false, false},
    {"TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", "ECDHE-ECDSA-AES128-SHA", false, false},
    {"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256", false, true},
    {"TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA", "ECDHE-ECDSA-AES256-SHA", false, false},
    {"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384", false, false},
    {"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305", "ECDHE-ECDSA-CHACHA20-POLY1305", false, false},
    {"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305", false, false},
    {"TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", "ECDHE-RSA-AES128-SHA", false, false},
    {"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256", false, true},
    {"TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", "ECDHE-RSA-AES256-SHA", false, false},
    {"TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "ECDHE-RSA-AES256-GCM-SHA384", false, false},
    {"TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305", "ECDHE-RSA-CHACHA20-POLY1305", false, false},
    {"TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-RSA-CHACHA20-POLY1305", false, false},
    {"TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256", "ECDHE-ECDSA-AES128-SHA256", true, false},
    {"TLS_ECDHE_ECDSA_WITH_RC4_128_SHA", "", true, false},
    {"TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA", "", true, false},
    {"TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256", "ECDHE-RSA-AES128-SHA256", true, false},
    {"TLS_ECDHE_RSA_WITH_RC4_128_SHA", "", true, false},
    {"TLS_RSA_WITH_3DES_EDE_CBC_SHA", "", true, false},
    {"TLS_RSA_WITH_AES_128_CBC_SHA", "AES128-SHA", true, false},
    {"TLS_RSA_WITH_AES_128_CBC_SHA256", "AES128-SHA256", true, false},
    {"TLS_RSA_WITH_AES_128_GCM_SHA256", "AES128-GCM-SHA256", true, false},
    {"TLS_RSA_WITH_AES_256_CBC_SHA", "AES256-SHA", true, false},
    {"TLS_RSA_WITH_AES_256_GCM_SHA384", "AES256-GCM-SHA384", true, false},
    {"TLS_RSA_WITH_RC4_128_SHA", "", true, false},
};

static const struct suite *find_suite(const char *name)
{
        for (size_t i = 0; i < KC_ARRAY_LEN(suites); i++)
                if (kc_streq(suites[i].name, name))
                        return &suites[i];
        return NULL;
}

static int set_version(SSL_CTX *ctx, const char *name, struct kc_error *err)
{
        static const struct {
                const char *name;
                int version;
        } versions[] = {{"VersionTLS10", TLS1_VERSION}, {"VersionTLS11", TLS1_1_VERSION},
            {"VersionTLS12", TLS1_2_VERSION}, {"VersionTLS13", TLS1_3_VERSION}};
        for (size_t i = 0; i < KC_ARRAY_LEN(versions); i++)
                if (kc_streq(versions[i].name, kc_str_empty(name) ? "VersionTLS12" : name))
                        return SSL_CTX_set_min_proto_version(ctx, versions[i].version) == 1
                                   ? 0
                                   : kc_error_set(err, EINVAL, "%s: %s", versions[i].name, kc_tls_errors());
        return kc_error_set(err, EINVAL, "unknown tls version \"%s\"", name);
}

static int set_suites(SSL_CTX *ctx, const struct kc_tls_server_opts *o, struct kc_error *err)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf list = KC_BUF_INIT;
        bool tls13 = kc_streq(o->min_version, "VersionTLS13"), http2 = false;
        size_t n = o->cipher_suites ? kc_strv_len(o->cipher_suites) : 0;
        for (size_t i = 0; i < n; i++) {
                const struct suite *s = find_suite(o->cipher_suites[i]);
                if (!s)
                        return kc_error_set(
                            err, EINVAL, "Cipher suite %s not supported or doesn't exist", o->cipher_suites[i]);
                if (s->insecure)
                        kc_log_warn("Use of insecure cipher detected.", "cipher", s->name);
                http2 = http2 || s->http2;
                if (!kc_str_empty(s->openssl))
                        kc_buf_addf(&list, "%s%s", list.len ? ":" : "", s->openssl);
        }
        if (n && tls13)
                kc_log_warn("TLS 1.3 cipher suites are not configurable, ignoring --tls-cipher-suites");
        else if (n && !http2 && o->alpn_h2)
                return kc_error_set(err, EINVAL,
                    "error configuring http2: http2: TLSConfig.CipherSuites is missing an HTTP/2-required "
                    "AES_128_GCM_SHA256 cipher (need at least one of TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 or "
                    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256)");
        if (list.len == 0 && n) /* nothing of TLS 1.2 is wanted that there is */
                return set_version(ctx, "VersionTLS13", err);
        if (SSL_CTX_set_cipher_list(ctx, list.len ? kc_buf_str(&list) : DEFAULT_CIPHERS) != 1)
                return kc_error_set(err, EINVAL, "cipher suites: %s", kc_tls_errors());
        return 0;
}

/* Numbers of IANA's "TLS Supported Groups". */
static int set_curves(SSL_CTX *ctx, char *const *ids, struct kc_error *err)
{
        static const struct {
                int64_t id;
                const char *name;
        } curves[] = {{23, "P-256"}, {24, "P-384"}, {25, "P-521"}, {29, "X25519"}, {4587, "SecP256r1MLKEM768"},
            {4588, "X25519MLKEM768"}, {4589, "SecP384r1MLKEM1024"}};
        KC_CLEANUP(kc_strv_freep) char **names = NULL;
        for (size_t i = 0; ids && ids[i]; i++) {
                int64_t id;
                const char *name = NULL;
                for (size_t j = 0; j < KC_ARRAY_LEN(curves) && kc_str_to_i64(ids[i], &id) == 0; j++)
                        if (curves[j].id == id)
                                name = curves[j].name;
                if (!name)
                        return kc_error_set(
                            err, EINVAL, "TLS curve preference %s not supported or doesn't exist", ids[i]);
                if (SSL_CTX_set1_groups_list(ctx, name) == 1) {
                        kc_strv_push(&names, name);
                        continue;
                }
                ERR_clear_error();
                kc_log_warn("OpenSSL does not have this key exchange, ignoring", "curve", name);
        }
        if (!ids || !ids[0])
                return 0;
        KC_CLEANUP(kc_freep) char *list = kc_strv_join(names, ":");
        if (!names || SSL_CTX_set1_groups_list(ctx, list) != 1)
                return kc_error_set(err, EINVAL, "none of the TLS curve preferences is supported");
        return 0;
}

int tls_set_negotiation(SSL_CTX *ctx, const struct kc_tls_server_opts *o, struct kc_error *err)
{
        int r = set_version(ctx, o->min_version, err);
        if (r == 0)
                r = set_suites(ctx, o, err);
        return r < 0 ? r : set_curves(ctx, o->curve_preferences, err);
}
