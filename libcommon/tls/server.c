/* Server contexts. Client certificates are asked for and verified as upstream does: unless one is required, a bad one
 * does not end the handshake; it is for the authenticator to answer 401. Any thread. */
#include <errno.h>
#include <openssl/err.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "tls/tls_internal.h"

struct kc_tls_server {
        struct kc_tls_server_opts opts; /* own copies */
        struct tls_sni_files sni[KC_TLS_MAX_SNI];
        size_t n_sni;
        struct tls_reload reload;
};

static int select_alpn(
    SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in, unsigned in_len, void *arg)
{
        static const unsigned char both[] = "\x02h2\x08http/1.1", http1[] = "\x08http/1.1";
        const struct kc_tls_server *s = arg;
        (void)ssl;
        const unsigned char *ours = s->opts.alpn_h2 ? both : http1;
        unsigned ours_len = s->opts.alpn_h2 ? sizeof(both) - 1 : sizeof(http1) - 1;
        unsigned char *sel;
        if (SSL_select_next_proto(&sel, out_len, ours, ours_len, in, in_len) != OPENSSL_NPN_NEGOTIATED)
                return SSL_TLSEXT_ERR_ALERT_FATAL;
        *out = sel;
        return SSL_TLSEXT_ERR_OK;
}

/* Verifies the chain and leaves the result in the SSL, but lets the handshake go on. */
static int verify_later(X509_STORE_CTX *store_ctx, void *arg)
{
        (void)arg;
        if (X509_verify_cert(store_ctx) <= 0) {
                if (X509_STORE_CTX_get_error(store_ctx) == X509_V_OK)
                        X509_STORE_CTX_set_error(store_ctx, X509_V_ERR_UNSPECIFIED);
                ERR_clear_error();
        }
        return 1;
}

/* It is the user of the connection who verifies. kc_tls_peer_of tells by the result. */
static int verify_never(X509_STORE_CTX *store_ctx, void *arg)
{
        (void)arg;
        X509_STORE_CTX_set_error(store_ctx, X509_V_ERR_APPLICATION_VERIFICATION);
        return 1;
}

static int ask_for_unverified(SSL_CTX *ctx, const struct kc_tls_server_opts *o, struct kc_error *err)
{
        STACK_OF(X509_NAME) *names = sk_X509_NAME_new_null();
        const char *const files[] = {o->client_ca_file, o->more_client_ca_file};
        for (size_t i = 0; i < KC_ARRAY_LEN(files); i++)
                if (files[i] && (!names || SSL_add_file_cert_subjects_to_stack(names, files[i]) != 1)) {
                        sk_X509_NAME_pop_free(names, X509_NAME_free);
                        return kc_error_set(err, EINVAL, "%s: %s", files[i], kc_tls_errors());
                }
        SSL_CTX_set_client_CA_list(ctx, names);
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
        SSL_CTX_set_cert_verify_callback(ctx, verify_never, NULL);
        /* A ticket would hold the certificate without what came with it, which verifying needs. */
        SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
        SSL_CTX_set_num_tickets(ctx, 0);
        return 0;
}

static int set_client_verification(SSL_CTX *ctx, const struct kc_tls_server_opts *o, struct kc_error *err)
{
        if (o->unverified_client_cert)
                return ask_for_unverified(ctx, o, err);
        if (!o->client_ca_file)
                return 0;
        int r = tls_store_add_file(SSL_CTX_get_cert_store(ctx), o->client_ca_file, err);
        if (r < 0)
                return r;
        STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(o->client_ca_file);
        if (names)
                SSL_CTX_set_client_CA_list(ctx, names);
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | (o->require_client_cert ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), NULL);
        if (!o->require_client_cert)
                SSL_CTX_set_cert_verify_callback(ctx, verify_later, NULL);
        return 0;
}

/* The handshake ends with an internal error, as Go's without a certificate. */
static int no_certificate(SSL *ssl, void *arg)
{
        (void)ssl;
        (void)arg;
        return 0;
}

static int set_up_context(struct kc_tls_server *s, SSL_CTX *ctx, struct kc_error *err)
{
        const struct kc_tls_server_opts *o = &s->opts;
        int r = tls_set_negotiation(ctx, o, err);
        if (r < 0)
                return r;
        r = tls_sni_load(ctx, s->sni, s->n_sni, err);
        if (r < 0)
                return r;
        if (o->cert_may_come_later && access(o->cert_file, F_OK) < 0 && errno == ENOENT) {
                SSL_CTX_set_cert_cb(ctx, no_certificate, NULL);
                return 0;
        }
        if (SSL_CTX_use_certificate_chain_file(ctx, o->cert_file) != 1)
                return kc_error_set(err, EINVAL, "certificate %s: %s", o->cert_file, kc_tls_errors());
        if (SSL_CTX_use_PrivateKey_file(ctx, o->key_file, SSL_FILETYPE_PEM) != 1)
                return kc_error_set(err, EINVAL, "private key %s: %s", o->key_file, kc_tls_errors());
        if (SSL_CTX_check_private_key(ctx) != 1)
                return kc_error_set(err, EINVAL, "private key %s: %s", o->key_file, kc_tls_errors());
        return set_client_verification(ctx, o, err);
}

static int make_context(void *arg, SSL_CTX **ret, struct kc_error *err)
{
        struct kc_tls_server *s = arg;
        ERR_clear_error();
        SSL_CTX *ctx = tls_ctx_new(TLS_server_method());
        if (!ctx)
                return kc_error_set(err, ENOMEM, "%s", kc_tls_errors());
        SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
        /* Tickets hold the client's certificate; they die with the context, so a changed CA ends them. */
        SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
        SSL_CTX_set_num_tickets(ctx, 1);
        static const unsigned char id[] = "kubec";
        SSL_CTX_set_session_id_context(ctx, id, sizeof(id) - 1);
        SSL_CTX_set_alpn_select_cb(ctx, select_alpn, s);
        /* One read(2) for many small records. */
        SSL_CTX_set_read_ahead(ctx, 1);
        int r = set_up_context(s, ctx, err);
        if (r < 0) {
                SSL_CTX_free(ctx);
                return r;
        }
        *ret = ctx;
        return 0;
}

static int parse_sni(struct kc_tls_server *s, char *const *values, struct kc_error *err)
{
        for (size_t i = 0; values && values[i]; i++) {
                if (i == KC_TLS_MAX_SNI)
                        return kc_error_set(
                            err, E2BIG, "--tls-sni-cert-key: more than %d are not supported", KC_TLS_MAX_SNI);
                int r = tls_sni_parse(values[i], &s->sni[i], err);
                if (r < 0)
                        return r;
                s->n_sni++;
                s->reload.files[TLS_MAX_OWN_FILES + 2 * i] = s->sni[i].cert_file;
                s->reload.files[TLS_MAX_OWN_FILES + 2 * i + 1] = s->sni[i].key_file;
        }
        return 0;
}

int kc_tls_server_new(const struct kc_tls_server_opts *o, struct kc_tls_server **ret, struct kc_error *err)
{
        if (!o->cert_file || !o->key_file)
                return kc_error_set(err, EINVAL, "a TLS server needs a certificate and a private key");
        struct kc_tls_server *s = KC_NEW(struct kc_tls_server);
        s->opts = *o;
        s->opts.cert_file = kc_strdup(o->cert_file);
        s->opts.key_file = kc_strdup(o->key_file);
        s->opts.client_ca_file = kc_strdup(o->client_ca_file);
        s->opts.more_client_ca_file = kc_strdup(o->more_client_ca_file);
        s->opts.min_version = kc_strdup(o->min_version);
        s->opts.cipher_suites = o->cipher_suites ? kc_strv_copy(o->cipher_suites) : NULL;
        s->opts.curve_preferences = o->curve_preferences ? kc_strv_copy(o->curve_preferences) : NULL;
        s->opts.sni_cert_keys = NULL; /* parsed at once */
        s->reload.files[0] = s->opts.cert_file;
        s->reload.files[1] = s->opts.key_file;
        s->reload.files[2] = s->opts.client_ca_file;
        s->reload.files[3] = s->opts.more_client_ca_file;
        s->reload.make = make_context;
        s->reload.arg = s;
        int r = parse_sni(s, o->sni_cert_keys, err);
        if (r == 0)
                r = tls_reload_init(&s->reload, err);
        if (r < 0) {
                kc_tls_server_free(s);
                return r;
        }
        *ret = s;
        return 0;
}

void kc_tls_server_free(struct kc_tls_server *s)
{
        if (!s)
                return;
        tls_reload_done(&s->reload);
        kc_free((char *)s->opts.cert_file);
        kc_free((char *)s->opts.key_file);
        kc_free((char *)s->opts.client_ca_file);
        kc_free((char *)s->opts.more_client_ca_file);
        kc_free((char *)s->opts.min_version);
        kc_strv_free((char **)s->opts.cipher_suites);
        kc_strv_free((char **)s->opts.curve_preferences);
        for (size_t i = 0; i < s->n_sni; i++)
                tls_sni_files_done(&s->sni[i]);
        kc_free(s);
}

void kc_tls_server_set_clock(struct kc_tls_server *s, const struct kc_clock *clock)
{
        s->reload.clock = clock;
        s->reload.checked = kc_clock_mono(clock);
}

void kc_tls_server_recheck(struct kc_tls_server *s)
{
        tls_reload_recheck(&s->reload);
}

SSL *kc_tls_server_ssl(struct kc_tls_server *s)
{
        SSL *ssl = tls_reload_ssl(&s->reload);
        if (ssl)
                SSL_set_accept_state(ssl);
        return ssl;
}
