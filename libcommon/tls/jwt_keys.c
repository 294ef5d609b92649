/* Keys of JSON Web Tokens: reading PEM files, key IDs, JWKs. Any thread. */
#include <errno.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>

#include "base/encode.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/str.h"
#include "tls/jwt_internal.h"
#include "tls/tls.h"
#include "json/json.h"

enum { KEY_FILE_MAX = 1024 * 1024, MIN_RSA_BITS = 2048 };

static void free_key(struct kc_jwt_key *k)
{
        EVP_PKEY_free(k->pkey);
        kc_free(k->id);
        kc_free(k->only);
        kc_free(k);
}

static const struct {
        const char *group, *name; /* of a curve, for OpenSSL and for JWKs */
        enum jwt_kind kind;
        const char *alg;
        int bytes; /* of a coordinate */
} curves[] = {
    {"prime256v1", "P-256", JWT_P256, "ES256", 32},
    {"secp384r1", "P-384", JWT_P384, "ES384", 48},
    {"secp521r1", "P-521", JWT_P521, "ES512", 66},
};
#define RSA_ALG "RS256"

/* RSA of a decent size, or one of the curves; anything else has no algorithm here. */
static const char *algorithm_of(EVP_PKEY *pkey, enum jwt_kind *ret_kind)
{
        char group[64];
        size_t len;
        if (EVP_PKEY_is_a(pkey, "RSA")) {
                *ret_kind = JWT_RSA;
                return EVP_PKEY_get_bits(pkey) >= MIN_RSA_BITS ? RSA_ALG : NULL;
        }
        if (!EVP_PKEY_is_a(pkey, "EC") || EVP_PKEY_get_group_name(pkey, group, sizeof(group), &len) != 1)
                return NULL;
        for (size_t i = 0; i < KC_ARRAY_LEN(curves); i++)
                if (kc_streq(group, curves[i].group) || kc_streq(group, curves[i].name)) {
                        *ret_kind = curves[i].kind;
                        return curves[i].alg;
                }
        return NULL;
}

struct kc_jwt_key *jwt_key_make(EVP_PKEY *take_pkey, bool is_private)
{
        enum jwt_kind kind;
        const char *alg = algorithm_of(take_pkey, &kind);
        unsigned char *der = NULL, digest[32];
        int len = alg ? i2d_PUBKEY(take_pkey, &der) : -1;
        if (len < 0) {
                EVP_PKEY_free(take_pkey);
                return NULL;
        }
        kc_sha256(der, (size_t)len, digest);
        OPENSSL_free(der);
        struct kc_jwt_key *k = KC_NEW(struct kc_jwt_key);
        k->pkey = take_pkey;
        k->alg = alg;
        k->kind = kind;
        k->is_private = is_private;
        k->id = kc_base64url_encode(digest, sizeof(digest));
        return k;
}

/* The key in a PEM block of that name; NULL if it holds none. */
static EVP_PKEY *decode(const char *name, const unsigned char *der, long len, bool *ret_private)
{
        const unsigned char *p = der;
        *ret_private = false;
        if (kc_streq(name, PEM_STRING_PUBLIC))
                return d2i_PUBKEY(NULL, &p, len);
        if (kc_streq(name, PEM_STRING_RSA_PUBLIC))
                return d2i_PublicKey(EVP_PKEY_RSA, NULL, &p, len);
        if (kc_streq(name, PEM_STRING_X509)) {
                X509 *cert = d2i_X509(NULL, &p, len);
                EVP_PKEY *pkey = cert ? X509_get_pubkey(cert) : NULL;
                X509_free(cert);
                return pkey;
        }
        if (kc_str_has_suffix(name, "PRIVATE KEY")) {
                *ret_private = true;
                return d2i_AutoPrivateKey(NULL, &p, len);
        }
        return NULL;
}

static void add_block(struct kc_jwt_key ***keys, size_t *n, const char *name, const unsigned char *der, long len)
{
        bool is_private;
        EVP_PKEY *pkey = decode(name, der, len, &is_private);
        struct kc_jwt_key *k = pkey ? jwt_key_make(pkey, is_private) : NULL;
        if (!k)
                return;
        *keys = kc_reallocarray(*keys, *n + 1, sizeof(**keys));
        (*keys)[(*n)++] = k;
}

int kc_jwt_keys_load(const char *path, struct kc_jwt_key ***ret, size_t *ret_n, struct kc_error *err)
{
        struct kc_buf file = KC_BUF_INIT;
        int r = kc_file_read(path, KEY_FILE_MAX, &file, err);
        if (r < 0)
                return r;
        struct kc_jwt_key **keys = NULL;
        size_t n = 0;
        BIO *bio = BIO_new_mem_buf(kc_buf_str(&file), (int)file.len);
        char *name, *header;
        unsigned char *der;
        long len;
        while (PEM_read_bio(bio, &name, &header, &der, &len) == 1) {
                add_block(&keys, &n, name, der, len);
                OPENSSL_free(name);
                OPENSSL_free(header);
                OPENSSL_clear_free(der, (size_t)len);
        }
        BIO_free(bio);
        ERR_clear_error();
        kc_buf_wipe(&file);
        if (n == 0)
                return kc_error_set(err, EINVAL, "data does not contain any valid RSA or ECDSA keys: %s", path);
        *ret = keys;
        *ret_n = n;
        return 0;
}

void kc_jwt_keys_free(struct kc_jwt_key **take_keys, size_t n)
{
        for (size_t i = 0; i < n; i++)
                free_key(take_keys[i]);
        kc_free(take_keys);
}

const char *kc_jwt_key_id(const struct kc_jwt_key *k)
{
        return k->id;
}

bool kc_jwt_key_is_private(const struct kc_jwt_key *k)
{
        return k->is_private;
}

/* A number of the key, big-endian in at least min_len bytes, as base64url. */
static char *number(const struct kc_jwt_key *k, const char *param, int min_len)
{
        BIGNUM *n = NULL;
        if (EVP_PKEY_get_bn_param(k->pkey, param, &n) != 1)
                return NULL;
        int len = KC_MAX(BN_num_bytes(n), min_len);
        unsigned char *bytes = kc_malloc((size_t)len);
        char *text = BN_bn2binpad(n, bytes, len) == len ? kc_base64url_encode(bytes, (size_t)len) : NULL;
        kc_free(bytes);
        BN_free(n);
        return text;
}

static char *jwk_of(const struct kc_jwt_key *k, size_t curve)
{
        bool rsa = k->kind == JWT_RSA;
        int min = rsa ? 0 : curves[curve].bytes;
        KC_CLEANUP(kc_freep) char *a = number(k, rsa ? OSSL_PKEY_PARAM_RSA_N : OSSL_PKEY_PARAM_EC_PUB_X, min);
        KC_CLEANUP(kc_freep) char *b = number(k, rsa ? OSSL_PKEY_PARAM_RSA_E : OSSL_PKEY_PARAM_EC_PUB_Y, min);
        if (!a || !b) {
                ERR_clear_error();
                return NULL;
        }
        KC_CLEANUP(kc_json_freep)
        struct json_object *jwk =
            rsa ? kc_json_build("{'use':'sig','kty':'RSA','kid':%s,'alg':%s,'n':%s,'e':%s}", k->id, k->alg, a, b)
                : kc_json_build("{'use':'sig','kty':'EC','kid':%s,'crv':%s,'alg':%s,'x':%s,'y':%s}", k->id,
                      curves[curve].name, k->alg, a, b);
        return kc_json_to_str(jwk);
}

char *kc_jwt_key_jwk(const struct kc_jwt_key *k)
{
        size_t curve = 0;
        while (k->kind != JWT_RSA && curves[curve].kind != k->kind)
                curve++;
        return jwk_of(k, curve);
}
