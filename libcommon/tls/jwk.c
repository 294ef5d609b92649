/* Keys that others publish: JWK sets (RFC 7517). Any thread. */
#include <errno.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <string.h>

#include "base/encode.h"
#include "base/str.h"
#include "tls/jwt_internal.h"
#include "json/json.h"

enum { SET_MAX = 256, NUMBER_MAX = 2048 /* bytes: RSA of 16,384 bits */ };

/* A number in base64url; NULL: none. */
static BIGNUM *number_of(const struct json_object *jwk, const char *name)
{
        const char *text = kc_json_str(jwk, name);
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        if (!text || kc_base64url_decode(text, strlen(text), &b) < 0 || b.len == 0 || b.len > NUMBER_MAX)
                return NULL;
        return BN_bin2bn((const unsigned char *)b.data, (int)b.len, NULL);
}

static EVP_PKEY *from_params(const char *type, OSSL_PARAM_BLD *bld)
{
        EVP_PKEY *pkey = NULL;
        OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(bld);
        EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
        if (!params || !ctx || EVP_PKEY_fromdata_init(ctx) != 1 ||
            EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params) != 1)
                pkey = NULL;
        EVP_PKEY_CTX_free(ctx);
        OSSL_PARAM_free(params);
        return pkey;
}

static EVP_PKEY *rsa_of(const struct json_object *jwk)
{
        BIGNUM *n = number_of(jwk, "n"), *e = number_of(jwk, "e");
        OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
        EVP_PKEY *pkey = NULL;
        if (n && e && bld && OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
            OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, e) == 1)
                pkey = from_params("RSA", bld);
        OSSL_PARAM_BLD_free(bld);
        BN_free(n);
        BN_free(e);
        return pkey;
}

/* The point, uncompressed: 4, x, y. OpenSSL checks that it is on the curve. */
static EVP_PKEY *ec_of(const struct json_object *jwk)
{
        static const struct {
                const char *name;
                int bytes;
        } curves[] = {{"P-256", 32}, {"P-384", 48}, {"P-521", 66}};
        const char *crv = kc_json_str(jwk, "crv");
        size_t c = 0;
        while (c < KC_ARRAY_LEN(curves) && !kc_streq(crv, curves[c].name))
                c++;
        if (c == KC_ARRAY_LEN(curves))
                return NULL;
        int bytes = curves[c].bytes;
        unsigned char point[1 + 2 * 66] = {POINT_CONVERSION_UNCOMPRESSED};
        BIGNUM *x = number_of(jwk, "x"), *y = number_of(jwk, "y");
        OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
        EVP_PKEY *pkey = NULL;
        if (x && y && bld && BN_bn2binpad(x, point + 1, bytes) == bytes &&
            BN_bn2binpad(y, point + 1 + bytes, bytes) == bytes &&
            OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME, crv, 0) == 1 &&
            OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * (size_t)bytes) == 1)
                pkey = from_params("EC", bld);
        OSSL_PARAM_BLD_free(bld);
        BN_free(x);
        BN_free(y);
        return pkey;
}

/* NULL: not for signatures, or of a kind that is not known. */
static struct kc_jwt_key *key_of(const struct json_object *jwk)
{
        const char *use = kc_json_str(jwk, "use"), *kty = kc_json_str(jwk, "kty"), *kid = kc_json_str(jwk, "kid");
        const char *alg = kc_json_str(jwk, "alg");
        if (use && strcmp(use, "sig") != 0)
                return NULL;
        EVP_PKEY *pkey = kc_streq(kty, "RSA") ? rsa_of(jwk) : kc_streq(kty, "EC") ? ec_of(jwk) : NULL;
        ERR_clear_error();
        struct kc_jwt_key *k = pkey ? jwt_key_make(pkey, false) : NULL;
        if (!k)
                return NULL;
        kc_str_set(&k->id, kid ? kid : "");
        kc_str_set(&k->only, alg);
        return k;
}

int kc_jwt_keys_parse_set(const char *json, size_t len, struct kc_jwt_key ***ret, size_t *ret_n, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *set = NULL;
        int r = kc_json_parse(json, len, NULL, &set, err);
        if (r < 0)
                return r;
        const struct json_object *list = kc_json_get(set, "keys");
        if (!kc_json_is_arr(list))
                return kc_error_set(err, EINVAL, "not a JWK set");
        struct kc_jwt_key **keys = kc_calloc(SET_MAX, sizeof(*keys));
        size_t n = 0;
        for (size_t i = 0; i < kc_json_len(list) && n < SET_MAX; i++) {
                struct kc_jwt_key *k = key_of(kc_json_idx(list, i));
                if (k)
                        keys[n++] = k;
        }
        *ret = keys;
        *ret_n = n;
        return 0;
}
