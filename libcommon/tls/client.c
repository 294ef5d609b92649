/* Client contexts. Any thread. */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "base/ip.h"
#include "base/mem.h"
#include "base/str.h"
#include "tls/tls_internal.h"

struct kc_tls_client {
        struct kc_tls_client_opts opts; /* own copies */
        struct tls_reload reload;
};

static int set_trust(SSL_CTX *ctx, const struct kc_tls_client_opts *o, struct kc_error *err)
{
        SSL_CTX_set_verify(ctx, o->insecure_skip_verify ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
        tls_keep_rejected(ctx);
        X509_STORE *store = SSL_CTX_get_cert_store(ctx);
        int r = 0;
        if (o->ca_pem) {
                r = tls_store_add_pem(store, o->ca_pem, strlen(o->ca_pem), err);
                if (r < 0)
                        kc_error_wrap(err, "CA certificates");
        } else if (o->ca_file) {
                r = tls_store_add_file(store, o->ca_file, err);
        } else if (!o->insecure_skip_verify && SSL_CTX_set_default_verify_paths(ctx) != 1) {
                r = kc_error_set(err, EIO, "system's CA certificates: %s", kc_tls_errors());
        }
        return KC_MIN(r, 0);
}

/* The first certificate is the client's, the rest its chain. */
static int use_cert_pem(SSL_CTX *ctx, const char *pem)
{
        BIO *bio = BIO_new_mem_buf(pem, -1);
        X509 *cert = PEM_read_bio_X509(bio, NULL, kc_tls_no_password, NULL);
        int ok = cert && SSL_CTX_use_certificate(ctx, cert) == 1;
        X509_free(cert);
        while (ok && (cert = PEM_read_bio_X509(bio, NULL, kc_tls_no_password, NULL))) {
                ok = SSL_CTX_add1_chain_cert(ctx, cert) == 1; /* refuses weak ones */
                X509_free(cert);
        }
        BIO_free(bio);
        return ok;
}

static int use_key_pem(SSL_CTX *ctx, const char *pem)
{
        BIO *bio = BIO_new_mem_buf(pem, -1);
        EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, kc_tls_no_password, NULL);
        int ok = key && SSL_CTX_use_PrivateKey(ctx, key) == 1;
        EVP_PKEY_free(key);
        BIO_free(bio);
        return ok;
}

static int set_identity(SSL_CTX *ctx, const struct kc_tls_client_opts *o, struct kc_error *err)
{
        bool has_cert = o->cert_pem || o->cert_file, has_key = o->key_pem || o->key_file;
        if (has_cert != has_key)
                return kc_error_set(err, EINVAL, "a client certificate needs a private key, and a key a certificate");
        if (!has_cert)
                return 0;
        int ok = o->cert_pem ? use_cert_pem(ctx, o->cert_pem) : SSL_CTX_use_certificate_chain_file(ctx, o->cert_file);
        if (ok != 1)
                return kc_error_set(
                    err, EINVAL, "client certificate %s: %s", o->cert_pem ? "" : o->cert_file, kc_tls_errors());
        ok =
            o->key_pem ? use_key_pem(ctx, o->key_pem) : SSL_CTX_use_PrivateKey_file(ctx, o->key_file, SSL_FILETYPE_PEM);
        if (ok != 1 || SSL_CTX_check_private_key(ctx) != 1)
                return kc_error_set(err, EINVAL, "client key %s: %s", o->key_pem ? "" : o->key_file, kc_tls_errors());
        ERR_clear_error(); /* the end of a PEM text counts as an error there */
        return 0;
}

static int make_context(void *arg, SSL_CTX **ret, struct kc_error *err)
{
        struct kc_tls_client *c = arg;
        ERR_clear_error();
        SSL_CTX *ctx = tls_ctx_new(TLS_client_method());
        if (!ctx)
                return kc_error_set(err, ENOMEM, "%s", kc_tls_errors());
        int r = set_trust(ctx, &c->opts, err);
        if (r == 0)
                r = set_identity(ctx, &c->opts, err);
        if (r < 0) {
                SSL_CTX_free(ctx);
                return r;
        }
        *ret = ctx;
        return 0;
}

int kc_tls_client_new(const struct kc_tls_client_opts *o, struct kc_tls_client **ret, struct kc_error *err)
{
        struct kc_tls_client *c = KC_NEW(struct kc_tls_client);
        c->opts = *o;
        c->opts.ca_file = kc_strdup(o->ca_file);
        c->opts.cert_file = kc_strdup(o->cert_file);
        c->opts.key_file = kc_strdup(o->key_file);
        c->opts.ca_pem = kc_strdup(o->ca_pem);
        c->opts.cert_pem = kc_strdup(o->cert_pem);
        c->opts.key_pem = kc_strdup(o->key_pem);
        c->opts.server_name = kc_strdup(o->server_name);
        c->reload.files[0] = o->cert_pem ? NULL : c->opts.cert_file;
        c->reload.files[1] = o->key_pem ? NULL : c->opts.key_file;
        c->reload.files[2] = o->ca_pem ? NULL : c->opts.ca_file;
        c->reload.make = make_context;
        c->reload.arg = c;
        int r = tls_reload_init(&c->reload, err);
        if (r < 0) {
                kc_tls_client_free(c);
                return r;
        }
        *ret = c;
        return 0;
}

void kc_tls_client_free(struct kc_tls_client *c)
{
        if (!c)
                return;
        tls_reload_done(&c->reload);
        kc_free((char *)c->opts.ca_file);
        kc_free((char *)c->opts.cert_file);
        kc_free((char *)c->opts.key_file);
        kc_free((char *)c->opts.ca_pem);
        kc_free((char *)c->opts.cert_pem);
        if (c->opts.key_pem)
                kc_free_secret((char *)c->opts.key_pem, strlen(c->opts.key_pem));
        kc_free((char *)c->opts.server_name);
        kc_free(c);
}

void kc_tls_client_recheck(struct kc_tls_client *c)
{
        tls_reload_recheck(&c->reload);
}

unsigned kc_tls_client_generation(struct kc_tls_client *c)
{
        return tls_reload_generation(&c->reload);
}

static bool set_name(SSL *ssl, const char *name)
{
        struct kc_ip ip;
        if (kc_ip_parse(name, &ip) == 0)
                return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1;
        SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
        return SSL_set1_host(ssl, name) == 1 && SSL_set_tlsext_host_name(ssl, name) == 1;
}

static bool set_alpn(SSL *ssl, enum kc_tls_alpn alpn)
{
        static const char *const protocols[] = {
            [KC_TLS_ALPN_H2] = "\x02h2",
            [KC_TLS_ALPN_H2_OR_H1] = "\x02h2\x08http/1.1",
            [KC_TLS_ALPN_H1] = "\x08http/1.1",
        };
        const char *p = protocols[alpn];
        return !p || SSL_set_alpn_protos(ssl, (const unsigned char *)p, (unsigned)strlen(p)) == 0;
}

SSL *kc_tls_client_ssl(struct kc_tls_client *c, const char *host, enum kc_tls_alpn alpn)
{
        SSL *ssl = tls_reload_ssl(&c->reload);
        if (!ssl)
                return NULL;
        SSL_set_connect_state(ssl);
        const char *name = kc_str_empty(c->opts.server_name) ? host : c->opts.server_name;
        if ((!kc_str_empty(name) && !set_name(ssl, name)) || !set_alpn(ssl, alpn)) {
                SSL_free(ssl);
                return NULL;
        }
        return ssl;
}
