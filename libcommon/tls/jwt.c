/* Signing and checking tokens. The algorithm is the key's; the token's header has to agree, it never chooses. Any
 * thread. */
#include "tls/jwt.h"

#include <errno.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <string.h>

#include "base/encode.h"
#include "base/mem.h"
#include "base/str.h"
#include "tls/jwt_internal.h"
#include "tls/tls.h"
#include "json/json.h"

enum { TOKEN_MAX = 32 * 1024, COORDINATE_MAX = 66 };

struct algorithm {
        const char *name;
        enum jwt_kind kind;
        const EVP_MD *(*md)(void);
        bool pss;
        int bytes; /* of each of the two numbers of an ECDSA signature */
};

static const struct algorithm algorithms[] = {
    {"RS256", JWT_RSA, EVP_sha256, false, 0},
    {"RS384", JWT_RSA, EVP_sha384, false, 0},
    {"RS512", JWT_RSA, EVP_sha512, false, 0},
    {"PS256", JWT_RSA, EVP_sha256, true, 0},
    {"PS384", JWT_RSA, EVP_sha384, true, 0},
    {"PS512", JWT_RSA, EVP_sha512, true, 0},
    {"ES256", JWT_P256, EVP_sha256, false, 32},
    {"ES384", JWT_P384, EVP_sha384, false, 48},
    {"ES512", JWT_P521, EVP_sha512, false, COORDINATE_MAX},
};

static const struct algorithm *algorithm_of(const char *name)
{
        for (size_t i = 0; i < KC_ARRAY_LEN(algorithms); i++)
                if (strcmp(algorithms[i].name, name) == 0)
                        return &algorithms[i];
        return NULL;
}

static const struct kc_json_limits header_limits = {.max_bytes = 8 * 1024, .max_depth = 4, .max_nodes = 64};

typedef EVP_MD_CTX *md_ctx_ptr;
KC_DEFINE_CLEANUP(md_ctx_ptr, EVP_MD_CTX_free)

/* --- ECDSA signatures are the two numbers side by side (RFC 7518, 3.4), not the DER that OpenSSL makes. */

static bool ecdsa_to_raw(struct kc_buf *sig, int bytes)
{
        const unsigned char *p = (const unsigned char *)sig->data;
        ECDSA_SIG *s = d2i_ECDSA_SIG(NULL, &p, (long)sig->len);
        unsigned char raw[2 * COORDINATE_MAX];
        bool ok = s && BN_bn2binpad(ECDSA_SIG_get0_r(s), raw, bytes) == bytes &&
                  BN_bn2binpad(ECDSA_SIG_get0_s(s), raw + bytes, bytes) == bytes;
        ECDSA_SIG_free(s);
        kc_buf_reset(sig);
        if (ok)
                kc_buf_add(sig, raw, 2 * (size_t)bytes);
        return ok;
}

static bool ecdsa_from_raw(struct kc_buf *sig, int bytes)
{
        if (sig->len != 2 * (size_t)bytes)
                return false;
        const unsigned char *raw = (const unsigned char *)sig->data;
        ECDSA_SIG *s = ECDSA_SIG_new();
        BIGNUM *r_num = BN_bin2bn(raw, bytes, NULL), *s_num = BN_bin2bn(raw + bytes, bytes, NULL);
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
        const struct algorithm *a = algorithm_of(k->alg);
        KC_CLEANUP(EVP_MD_CTX_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
        size_t len;
        const unsigned char *data = (const unsigned char *)input->data;
        if (!ctx || EVP_DigestSignInit(ctx, NULL, a->md(), NULL, k->pkey) != 1 ||
            EVP_DigestSign(ctx, NULL, &len, data, input->len) != 1)
                return -EIO;
        kc_buf_reserve(ret_sig, len);
        if (EVP_DigestSign(ctx, (unsigned char *)ret_sig->data, &len, data, input->len) != 1)
                return -EIO;
        ret_sig->len = len;
        return a->bytes && !ecdsa_to_raw(ret_sig, a->bytes) ? -EIO : 0;
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

static bool is_for(const struct kc_jwt_key *k, const struct algorithm *a)
{
        return k->kind == a->kind && (!k->only || strcmp(k->only, a->name) == 0);
}

static bool set_padding(EVP_PKEY_CTX *ctx, const struct algorithm *a)
{
        return !a->pss || (EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
                              EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) == 1);
}

static bool verifies(const struct kc_jwt_key *k, const struct algorithm *a, const struct token *t)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf sig = KC_BUF_INIT;
        kc_buf_add(&sig, t->signature.data, t->signature.len);
        bool ok = is_for(k, a) && (!a->bytes || ecdsa_from_raw(&sig, a->bytes));
        KC_CLEANUP(EVP_MD_CTX_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
        EVP_PKEY_CTX *key_ctx; /* ctx owns it */
        ok = ok && ctx && EVP_DigestVerifyInit(ctx, &key_ctx, a->md(), NULL, k->pkey) == 1 && set_padding(key_ctx, a) &&
             EVP_DigestVerify(ctx, (const unsigned char *)sig.data, sig.len, (const unsigned char *)t->signed_part,
                 t->signed_len) == 1;
        ERR_clear_error();
        return ok;
}

/* What a token says of itself. header owns alg and kid. */
struct head {
        struct json_object *header;
        const char *alg, *kid;
};

static int read_token(const char *text, struct token *t, struct head *ret, struct kc_error *err)
{
        if (strnlen(text, TOKEN_MAX + 1) > TOKEN_MAX)
                return kc_error_set(err, EINVAL, "token is too long");
        if (!split(text, t))
                return kc_error_set(err, EINVAL, "not a JSON Web Token");
        int r = kc_json_parse(kc_buf_str(&t->header), t->header.len, &header_limits, &ret->header, NULL);
        ret->alg = r < 0 ? NULL : kc_json_str(ret->header, "alg");
        ret->kid = r < 0 ? NULL : kc_json_str(ret->header, "kid");
        /* "crit" names extensions that must be understood; none are (RFC 7515, 4.1.11). */
        if (!ret->alg || kc_json_get(ret->header, "crit") || memchr(kc_buf_str(&t->claims), '\0', t->claims.len))
                return kc_error_set(err, EINVAL, "not a JSON Web Token");
        return 0;
}

int kc_jwt_verify(
    struct kc_jwt_key *const *keys, size_t n, const char *token, char **ret_claims_json, struct kc_error *err)
{
        static const char *const accepted[] = {"RS256", "ES256", "ES384", "ES512", NULL};
        struct token t = {0};
        struct head h = {0};
        int r = read_token(token, &t, &h, err);
        const struct algorithm *a = r == 0 && kc_strv_has((char *const *)accepted, h.alg) ? algorithm_of(h.alg) : NULL;
        bool good = false;
        /* Keys whose ID the token names come first. */
        for (int named = 1; a && !good && named >= 0; named--)
                for (size_t i = 0; i < n && !good; i++)
                        good = kc_streq(keys[i]->id, h.kid) == (named == 1) && verifies(keys[i], a, &t);
        if (r == 0 && !good)
                r = kc_error_set(err, EACCES, "invalid token signature");
        if (r == 0)
                *ret_claims_json = kc_buf_take_str(&t.claims);
        kc_json_free(h.header);
        token_done(&t);
        return r;
}

static int check_id_token(struct kc_jwt_key *const *keys, size_t n, char *const *algs, const struct token *t,
    const struct head *h, struct kc_error *err)
{
        const struct algorithm *a = kc_strv_has(algs, h->alg) ? algorithm_of(h->alg) : NULL;
        bool named = !kc_str_empty(h->kid), candidate = false;
        if (!a) {
                KC_CLEANUP(kc_freep) char *list = kc_strv_join(algs, " ");
                return kc_error_set(err, EPROTONOSUPPORT,
                    "id token signed with unsupported algorithm, expected [%s] got \"%.64s\"", list, h->alg);
        }
        for (size_t i = 0; i < n; i++) {
                if ((named && !kc_streq(keys[i]->id, h->kid)) || !is_for(keys[i], a))
                        continue;
                candidate = true;
                if (verifies(keys[i], a, t))
                        return 0;
        }
        return kc_error_set(err, candidate ? EACCES : ENOKEY, "failed to verify id token signature");
}

int kc_jwt_verify_id_token(struct kc_jwt_key *const *keys, size_t n, char *const *algs, const char *token,
    char **ret_claims_json, struct kc_error *err)
{
        struct token t = {0};
        struct head h = {0};
        int r = read_token(token, &t, &h, err);
        if (r == 0)
                r = check_id_token(keys, n, algs, &t, &h, err);
        if (r == 0)
                *ret_claims_json = kc_buf_take_str(&t.claims);
        kc_json_free(h.header);
        token_done(&t);
        return r;
}
