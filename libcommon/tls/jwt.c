/* Signing and checking tokens. The algorithm is the key's; the token's header has to agree, it never chooses. Any
 * thread. */
#include "tls/jwt.h"

#include <errno.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <string.h>

#include "base/encode.h"
#include "base/mem.h"
#include "base/str.h"
#include "tls/jwt_internal.h"
#include "tls/tls.h"
#include "json/json.h"

enum { TOKEN_MAX = 32 * 1024, P256_BYTES = 32 };

static const struct kc_json_limits header_limits = {.max_bytes = 8 * 1024, .max_depth = 4, .max_nodes = 64};

typedef EVP_MD_CTX *md_ctx_ptr;
KC_DEFINE_CLEANUP(md_ctx_ptr, EVP_MD_CTX_free)

/* --- ES256 signatures are the two numbers side by side (RFC 7518, 3.4), not the DER that OpenSSL makes. */

static bool ecdsa_to_raw(struct kc_buf *sig)
{
        const unsigned char *p = (const unsigned char *)sig->data;
        ECDSA_SIG *s = d2i_ECDSA_SIG(NULL, &p, (long)sig->len);
        unsigned char raw[2 * P256_BYTES];
        bool ok = s && BN_bn2binpad(ECDSA_SIG_get0_r(s), raw, P256_BYTES) == P256_BYTES &&
                  BN_bn2binpad(ECDSA_SIG_get0_s(s), raw + P256_BYTES, P256_BYTES) == P256_BYTES;
        ECDSA_SIG_free(s);
        kc_buf_reset(sig);
        if (ok)
                kc_buf_add(sig, raw, sizeof(raw));
        return ok;
}

static bool ecdsa_from_raw(struct kc_buf *sig)
{
        if (sig->len != 2 * P256_BYTES)
                return false;
        const unsigned char *raw = (const unsigned char *)sig->data;
        ECDSA_SIG *s = ECDSA_SIG_new();
        BIGNUM *r_num = BN_bin2bn(raw, P256_BYTES, NULL), *s_num = BN_bin2bn(raw + P256_BYTES, P256_BYTES, NULL);
        unsigned char *der = NULL;
        int len = -1;
        if (s && r_num && s_num && ECDSA_SIG_set0(s, r_num, s_num) == 1)
                len = i2d_ECDSA_SIG(s, &der);
        ECDSA_SIG_free(s); /* owns the numbers: setting them fails only when one is NULL */
        kc_buf_reset(sig);
        if (len > 0)
                kc_buf_add(sig, der, (size_t)len);
        OPENSSL_free(der);
        return len > 0;
}

/* --- Signing */

static int sign(const struct kc_jwt_key *k, const struct kc_buf *input, struct kc_buf *ret_sig)
{
        KC_CLEANUP(EVP_MD_CTX_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
        size_t len;
        const unsigned char *data = (const unsigned char *)input->data;
        if (!ctx || EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, k->pkey) != 1 ||
            EVP_DigestSign(ctx, NULL, &len, data, input->len) != 1)
                return -EIO;
        kc_buf_reserve(ret_sig, len);
        if (EVP_DigestSign(ctx, (unsigned char *)ret_sig->data, &len, data, input->len) != 1)
                return -EIO;
        ret_sig->len = len;
        return kc_streq(k->alg, "ES256") && !ecdsa_to_raw(ret_sig) ? -EIO : 0;
}

int kc_jwt_sign(const struct kc_jwt_key *k, const char *claims_json, char **ret, struct kc_error *err)
{
        if (!k->is_private)
                return kc_error_set(err, EINVAL, "signing a token needs a private key");
        KC_CLEANUP(kc_json_freep) struct json_object *header = kc_json_build("{'alg':%s,'kid':%s}", k->alg, k->id);
        KC_CLEANUP(kc_freep) char *header_text = kc_json_to_str(header);
        KC_CLEANUP(kc_freep) char *header64 = kc_base64url_encode(header_text, strlen(header_text));
        KC_CLEANUP(kc_freep) char *claims64 = kc_base64url_encode(claims_json, strlen(claims_json));
        KC_CLEANUP(kc_buf_done) struct kc_buf token = KC_BUF_INIT, sig = KC_BUF_INIT;
        kc_buf_addf(&token, "%s.%s", header64, claims64);
        int r = sign(k, &token, &sig);
        if (r < 0)
                return kc_error_set(err, -r, "sign token: %s", kc_tls_errors());
        KC_CLEANUP(kc_freep) char *sig64 = kc_base64url_encode(sig.data, sig.len);
        kc_buf_addf(&token, ".%s", sig64);
        *ret = kc_buf_take_str(&token);
        return 0;
}

/* --- Checking */

struct token {
        const char *signed_part;
        size_t signed_len;
        struct kc_buf header, claims, signature;
};

static void token_done(struct token *t)
{
        kc_buf_done(&t->header);
        kc_buf_done(&t->claims);
        kc_buf_done(&t->signature);
}

static bool split(const char *text, struct token *t)
{
        const char *dot1 = strchr(text, '.'), *dot2 = dot1 ? strchr(dot1 + 1, '.') : NULL;
        if (!dot2 || strchr(dot2 + 1, '.'))
                return false;
        t->signed_part = text;
        t->signed_len = (size_t)(dot2 - text);
        return kc_base64url_decode(text, (size_t)(dot1 - text), &t->header) == 0 &&
               kc_base64url_decode(dot1 + 1, (size_t)(dot2 - dot1 - 1), &t->claims) == 0 &&
               kc_base64url_decode(dot2 + 1, strlen(dot2 + 1), &t->signature) == 0 && t->claims.len > 0;
}

static bool verifies(const struct kc_jwt_key *k, const struct token *t)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf sig = KC_BUF_INIT;
        kc_buf_add(&sig, t->signature.data, t->signature.len);
        bool ok = !kc_streq(k->alg, "ES256") || ecdsa_from_raw(&sig);
        KC_CLEANUP(EVP_MD_CTX_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
        ok = ok && ctx && EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, k->pkey) == 1 &&
             EVP_DigestVerify(ctx, (const unsigned char *)sig.data, sig.len, (const unsigned char *)t->signed_part,
                 t->signed_len) == 1;
        ERR_clear_error();
        return ok;
}

/* Keys whose ID the token names come first. */
static bool any_verifies(
    struct kc_jwt_key *const *keys, size_t n, const struct token *t, const char *alg, const char *kid)
{
        for (int named = 1; named >= 0; named--)
                for (size_t i = 0; i < n; i++)
                        if (kc_streq(keys[i]->alg, alg) && kc_streq(keys[i]->id, kid) == (named == 1) &&
                            verifies(keys[i], t))
                                return true;
        return false;
}

static int verify(struct kc_jwt_key *const *keys, size_t n, const char *text, struct token *t, struct kc_error *err)
{
        if (strnlen(text, TOKEN_MAX + 1) > TOKEN_MAX)
                return kc_error_set(err, EINVAL, "token is too long");
        if (!split(text, t))
                return kc_error_set(err, EINVAL, "not a JSON Web Token");
        KC_CLEANUP(kc_json_freep) struct json_object *header = NULL;
        struct kc_error bad = KC_ERROR_INIT;
        int r = kc_json_parse(kc_buf_str(&t->header), t->header.len, &header_limits, &header, &bad);
        kc_error_done(&bad);
        const char *alg = r < 0 ? NULL : kc_json_str(header, "alg");
        /* "crit" names extensions that must be understood; none are (RFC 7515, 4.1.11). */
        if (!alg || kc_json_get(header, "crit"))
                return kc_error_set(err, EINVAL, "not a JSON Web Token");
        if (!any_verifies(keys, n, t, alg, kc_json_str(header, "kid")))
                return kc_error_set(err, EACCES, "invalid token signature");
        return 0;
}

int kc_jwt_verify(
    struct kc_jwt_key *const *keys, size_t n, const char *token, char **ret_claims_json, struct kc_error *err)
{
        struct token t = {0};
        int r = verify(keys, n, token, &t, err);
        if (r == 0 && memchr(t.claims.data, '\0', t.claims.len))
                r = kc_error_set(err, EINVAL, "not a JSON Web Token");
        if (r == 0)
                *ret_claims_json = kc_buf_take_str(&t.claims);
        token_done(&t);
        return r;
}
