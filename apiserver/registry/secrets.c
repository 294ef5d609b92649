/* Secrets: the type stays if it is not said; a warning where a TLS key and its certificate are no pair. Worker threads.
 */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>

#include "api/object.h"
#include "base/buf.h"
#include "base/encode.h"
#include "base/str.h"
#include "registry/strategies.h"

static void update_secret(const struct kc_registry_ctx *c, struct json_object *obj, const struct json_object *old)
{
        (void)c; /* the same for every request */
        if (kc_str_empty(kc_json_str(obj, "type")))
                kc_strategy_keep(obj, old, "type");
}

/* --- TLS */

/* The first PEM block that is wanted, and what was passed over before it. */
struct block {
        unsigned char *der; /* NULL: none */
        long n;
        size_t skipped;
        char *skipped_type; /* the last one */
};

static void block_done(struct block *b)
{
        OPENSSL_free(b->der);
        OPENSSL_free(b->skipped_type);
}

static bool is_certificate(const char *type)
{
        return strcmp(type, "CERTIFICATE") == 0;
}

static bool is_key(const char *type)
{
        return strcmp(type, "PRIVATE KEY") == 0 || kc_str_has_suffix(type, " PRIVATE KEY");
}

static struct block find_block(const struct json_object *secret, const char *key, bool (*wanted)(const char *type))
{
        KC_CLEANUP(kc_buf_done) struct kc_buf pem = KC_BUF_INIT;
        const char *text = kc_json_str(kc_json_get(secret, "data"), key);
        struct block b = {0};
        if (!text || kc_base64_decode(text, strlen(text), &pem) < 0 || pem.len == 0)
                return b;
        BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.len);
        char *type = NULL, *header = NULL;
        while (bio && !b.der && PEM_read_bio(bio, &type, &header, &b.der, &b.n) == 1) {
                OPENSSL_free(header);
                if (wanted(type)) {
                        OPENSSL_free(type);
                        break;
                }
                OPENSSL_free(b.der);
                OPENSSL_free(b.skipped_type);
                b.der = NULL;
                b.skipped_type = type;
                b.skipped++;
        }
        BIO_free(bio);
        ERR_clear_error();
        return b;
}

/* What is wrong with the pair; NULL: nothing. */
static const char *check_pair(const struct block *certificate, const struct block *key)
{
        const unsigned char *c = certificate->der, *k = key->der;
        X509 *x = d2i_X509(NULL, &c, certificate->n);
        EVP_PKEY *private = d2i_AutoPrivateKey(NULL, &k, key->n);
        EVP_PKEY *public = x ? X509_get0_pubkey(x) : NULL;
        const char *why = NULL;
        if (!x)
                why = "x509: malformed certificate";
        else if (!private)
                why = "tls: failed to parse private key";
        else if (!public)
                why = "tls: unknown public key algorithm";
        else if (EVP_PKEY_base_id(private) != EVP_PKEY_base_id(public))
                why = "tls: private key type does not match public key type";
        else if (X509_check_private_key(x, private) != 1)
                why = "tls: private key does not match public key";
        EVP_PKEY_free(private);
        X509_free(x);
        ERR_clear_error();
        return why;
}

static const char *certificate_missing(const struct block *b)
{
        if (b->skipped == 0)
                return "tls: failed to find any PEM data in certificate input";
        if (b->skipped == 1 && is_key(b->skipped_type))
                return "tls: failed to find certificate PEM data in certificate input, but did find a private key; PEM "
                       "inputs may have been switched";
        return "tls: failed to find \"CERTIFICATE\" PEM block in certificate input";
}

static const char *key_missing(const struct block *b)
{
        if (b->skipped == 0)
                return "tls: failed to find any PEM data in key input";
        if (b->skipped == 1 && is_certificate(b->skipped_type))
                return "tls: found a certificate rather than a key in the PEM for the private key";
        return "tls: failed to find PEM block with type ending in \"PRIVATE KEY\" in key input";
}

static void warn_of_secret(const struct kc_registry_ctx *c, const struct json_object *secret)
{
        if (!kc_streq(kc_json_str(secret, "type"), "kubernetes.io/tls"))
                return;
        struct block certificate = find_block(secret, "tls.crt", is_certificate);
        struct block key = find_block(secret, "tls.key", is_key);
        const char *why = !certificate.der ? certificate_missing(&certificate)
                          : !key.der       ? key_missing(&key)
                                           : check_pair(&certificate, &key);
        if (why)
                kc_strv_push(c->warnings, why);
        block_done(&certificate);
        block_done(&key);
}

static void warn_of_secret_update(
    const struct kc_registry_ctx *c, const struct json_object *secret, const struct json_object *old)
{
        (void)old; /* as if it were new */
        warn_of_secret(c, secret);
}

const struct kc_strategy kc_strategy_secrets = {
    .group = "",
    .resource = "secrets",
    .prepare_for_update = update_secret,
    .warnings_create = warn_of_secret,
    .warnings_update = warn_of_secret_update,
};
