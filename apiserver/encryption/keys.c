/* The providers with keys in the file: aescbc, aesgcm, secretbox; and identity. Any thread once made. */
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <sodium.h>
#include <string.h>

#include "base/encode.h"
#include "base/secret.h"
#include "base/str.h"
#include "encryption/provider.h"

enum { AES_BLOCK = 16, KEY_MAX = 32 };

struct key {
        char *prefix; /* "<name>:" */
        unsigned char secret[KEY_MAX];
        size_t len;
};

struct keys {
        struct kc_encryption_provider base;
        enum kc_cipher cipher;
        struct key *v; /* the first one writes */
        size_t n;
};

/* --- AES-CBC, secretbox */

static void cipher_free(EVP_CIPHER_CTX **c)
{
        EVP_CIPHER_CTX_free(*c);
}

static const EVP_CIPHER *cbc_of(size_t key_len)
{
        return key_len == 16 ? EVP_aes_128_cbc() : key_len == 24 ? EVP_aes_192_cbc() : EVP_aes_256_cbc();
}

static int cbc_seal(const struct key *k, const void *data, size_t len, struct kc_buf *out, struct kc_error *err)
{
        KC_CLEANUP(cipher_free) EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
        KC_CLEANUP(kc_freep) unsigned char *sealed = kc_malloc(len + AES_BLOCK);
        unsigned char iv[AES_BLOCK];
        int n = 0, end = 0;
        int r = kc_random_bytes(iv, sizeof(iv), err);
        if (r < 0)
                return r;
        if (!c || EVP_EncryptInit_ex(c, cbc_of(k->len), NULL, k->secret, iv) != 1 ||
            EVP_EncryptUpdate(c, sealed, &n, data, (int)len) != 1 || EVP_EncryptFinal_ex(c, sealed + n, &end) != 1)
                return kc_error_set(err, EIO, "AES-CBC encryption failed");
        kc_buf_add(out, iv, sizeof(iv));
        kc_buf_add(out, sealed, (size_t)(n + end));
        return 0;
}

static int cbc_open(const struct key *k, const void *data, size_t len, struct kc_buf *out, struct kc_error *err)
{
        KC_CLEANUP(cipher_free) EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
        KC_CLEANUP(kc_freep) unsigned char *plain = kc_malloc(len + AES_BLOCK);
        const unsigned char *iv = data;
        int n = 0, end = 0;
        if (len < AES_BLOCK)
                return kc_error_set(err, EBADMSG, "the stored data was shorter than the required size");
        if ((len - AES_BLOCK) % AES_BLOCK != 0)
                return kc_error_set(err, EBADMSG, "the stored data is not a multiple of the block size");
        if (!c || EVP_DecryptInit_ex(c, cbc_of(k->len), NULL, k->secret, iv) != 1 ||
            EVP_DecryptUpdate(c, plain, &n, iv + AES_BLOCK, (int)(len - AES_BLOCK)) != 1 ||
            EVP_DecryptFinal_ex(c, plain + n, &end) != 1)
                return kc_error_set(err, EBADMSG, "invalid padding on input");
        kc_buf_add(out, plain, (size_t)(n + end));
        return 0;
}

static int box_seal(const struct key *k, const void *data, size_t len, struct kc_buf *out, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) unsigned char *sealed = kc_malloc(len + crypto_secretbox_MACBYTES);
        unsigned char nonce[crypto_secretbox_NONCEBYTES];
        int r = kc_random_bytes(nonce, sizeof(nonce), err);
        if (r < 0)
                return r;
        if (crypto_secretbox_easy(sealed, data, len, nonce, k->secret) != 0)
                return kc_error_set(err, EIO, "secretbox encryption failed");
        kc_buf_add(out, nonce, sizeof(nonce));
        kc_buf_add(out, sealed, len + crypto_secretbox_MACBYTES);
        return 0;
}

static int box_open(const struct key *k, const void *data, size_t len, struct kc_buf *out, struct kc_error *err)
{
        const size_t overhead = crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES;
        const unsigned char *nonce = data;
        if (len < overhead)
                return kc_error_set(err, EBADMSG, "the stored data was shorter than the required size");
        KC_CLEANUP(kc_freep) unsigned char *plain = kc_malloc(len);
        if (crypto_secretbox_open_easy(
                plain, nonce + crypto_secretbox_NONCEBYTES, len - crypto_secretbox_NONCEBYTES, nonce, k->secret) != 0)
                return kc_error_set(err, EBADMSG, "output array was not large enough for encryption or bad key");
        kc_buf_add(out, plain, len - overhead);
        return 0;
}

/* --- the provider */

static int keys_encrypt(struct kc_encryption_provider *p, const char *key, const void *data, size_t len,
    struct kc_buf *out, struct kc_error *err)
{
        struct keys *ks = (struct keys *)p;
        const struct key *k = &ks->v[0];
        kc_buf_adds(out, k->prefix);
        switch (ks->cipher) {
        case KC_CIPHER_AESCBC:
                return cbc_seal(k, data, len, out, err);
        case KC_CIPHER_AESGCM:
                return kc_gcm_seal(k->secret, k->len, key, data, len, out, err);
        case KC_CIPHER_SECRETBOX:
                return box_seal(k, data, len, out, err);
        }
        return kc_error_set(err, EINVAL, "no such cipher");
}

static int open_with(const struct keys *ks, const struct key *k, const char *key, const void *data, size_t len,
    struct kc_buf *out, struct kc_error *err)
{
        switch (ks->cipher) {
        case KC_CIPHER_AESCBC:
                return cbc_open(k, data, len, out, err);
        case KC_CIPHER_AESGCM:
                return kc_gcm_open(k->secret, k->len, key, data, len, out, err);
        case KC_CIPHER_SECRETBOX:
                return box_open(k, data, len, out, err);
        }
        return kc_error_set(err, EINVAL, "no such cipher");
}

/* Two keys may bear one name while they are exchanged: each is tried. */
static int keys_decrypt(struct kc_encryption_provider *p, const char *key, const void *data, size_t len,
    struct kc_buf *out, bool *ret_stale, struct kc_error *err)
{
        struct keys *ks = (struct keys *)p;
        bool found = false;
        for (size_t i = 0; i < ks->n; i++) {
                const struct key *k = &ks->v[i];
                size_t skip = strlen(k->prefix);
                if (len < skip || memcmp(data, k->prefix, skip) != 0)
                        continue;
                found = true;
                kc_error_done(err);
                if (open_with(ks, k, key, (const char *)data + skip, len - skip, out, err) == 0) {
                        *ret_stale = i > 0;
                        return 0;
                }
        }
        return found ? -EBADMSG
                     : kc_error_set(err, EBADMSG, "no matching key was found for the provided %s transformer",
                           ks->cipher == KC_CIPHER_SECRETBOX ? "Secretbox" : "AES");
}

static void keys_free(struct kc_encryption_provider *p)
{
        struct keys *ks = (struct keys *)p;
        for (size_t i = 0; i < ks->n; i++) {
                OPENSSL_cleanse(ks->v[i].secret, sizeof(ks->v[i].secret));
                kc_free(ks->v[i].prefix);
        }
        kc_free(ks->v);
        kc_free(p->prefix);
        kc_free(ks);
}

static int parse_key(
    const struct keys *ks, const struct json_object *o, const char *path, struct key *ret, struct kc_error *err)
{
        const char *name = kc_json_str(o, "name"), *secret = kc_json_str(o, "secret");
        struct kc_buf raw = KC_BUF_INIT;
        if (kc_str_empty(name))
                return kc_error_set(err, EINVAL, "%s.name: Required value: name is a mandatory field for a key", path);
        if (strchr(name, ':'))
                return kc_error_set(
                    err, EINVAL, "%s.name: Invalid value: \"%s\": must not contain a colon", path, name);
        if (kc_str_empty(secret))
                return kc_error_set(
                    err, EINVAL, "%s.secret: Required value: secret is a mandatory field for a key", path);
        int r = kc_base64_decode(secret, strlen(secret), &raw);
        bool fits = ks->cipher == KC_CIPHER_SECRETBOX ? raw.len == 32 : raw.len == 16 || raw.len == 24 || raw.len == 32;
        if (r == 0 && fits) {
                memcpy(ret->secret, raw.data, raw.len);
                ret->len = raw.len;
                ret->prefix = kc_asprintf("%s:", name);
        }
        size_t len = raw.len;
        kc_buf_wipe(&raw);
        if (r < 0)
                return kc_error_set(
                    err, EINVAL, "%s.secret: Invalid value: \"REDACTED\": secrets must be base64 encoded", path);
        return fits ? 0
                    : kc_error_set(err, EINVAL,
                          "%s.secret: Invalid value: \"REDACTED\": secret is not of the expected length, got %zu, "
                          "expected one of "
                          "%s",
                          path, len, ks->cipher == KC_CIPHER_SECRETBOX ? "[32]" : "[16 24 32]");
}

int kc_encryption_keys_new(enum kc_cipher cipher, const struct json_object *keys, const char *path,
    struct kc_encryption_provider **ret, struct kc_error *err)
{
        static const struct kc_encryption_provider_ops ops = {keys_encrypt, keys_decrypt, keys_free};
        static const char *const prefixes[] = {
            KC_ENCRYPTION_PREFIX "aescbc:v1:", KC_ENCRYPTION_PREFIX "aesgcm:v1:", KC_ENCRYPTION_PREFIX "secretbox:v1:"};
        size_t n = kc_json_len(keys);
        if (n == 0)
                return kc_error_set(err, EINVAL, "%s: Required value: at least one %s.keys is required", path, path);
        struct keys *ks = KC_NEW(struct keys);
        ks->base = (struct kc_encryption_provider){.ops = &ops, .prefix = kc_strdup(prefixes[cipher])};
        ks->cipher = cipher;
        ks->v = kc_calloc(n, sizeof(*ks->v));
        int r = 0;
        for (; ks->n < n && r == 0; ks->n++) {
                KC_CLEANUP(kc_freep) char *at = kc_asprintf("%s[%zu]", path, ks->n);
                r = parse_key(ks, kc_json_idx(keys, ks->n), at, &ks->v[ks->n], err);
        }
        if (r < 0) {
                keys_free(&ks->base);
                return r;
        }
        *ret = &ks->base;
        return 0;
}

/* --- identity */

static int identity_encrypt(struct kc_encryption_provider *p, const char *key, const void *data, size_t len,
    struct kc_buf *out, struct kc_error *err)
{
        (void)p;
        (void)key;
        (void)err;
        kc_buf_add(out, data, len);
        return 0;
}

static int identity_decrypt(struct kc_encryption_provider *p, const char *key, const void *data, size_t len,
    struct kc_buf *out, bool *ret_stale, struct kc_error *err)
{
        const size_t n = strlen(KC_ENCRYPTION_PREFIX);
        (void)p;
        (void)key;
        *ret_stale = false;
        if (len >= n && memcmp(data, KC_ENCRYPTION_PREFIX, n) == 0)
                return kc_error_set(err, EBADMSG, "identity transformer tried to read encrypted data");
        kc_buf_add(out, data, len);
        return 0;
}

static void identity_free(struct kc_encryption_provider *p)
{
        kc_free(p->prefix);
        kc_free(p);
}

struct kc_encryption_provider *kc_encryption_identity_new(void)
{
        static const struct kc_encryption_provider_ops ops = {identity_encrypt, identity_decrypt, identity_free};
        struct kc_encryption_provider *p = KC_NEW(struct kc_encryption_provider);
        *p = (struct kc_encryption_provider){.ops = &ops, .prefix = kc_strdup("")};
        return p;
}
