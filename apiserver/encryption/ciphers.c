/* AES-GCM, on OpenSSL. Any thread. */
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <string.h>

#include "base/mem.h"
#include "encryption/provider.h"

static void cipher_free(EVP_CIPHER_CTX **c)
{
        EVP_CIPHER_CTX_free(*c);
}

static const EVP_CIPHER *gcm_of(size_t key_len)
{
        return key_len == 16 ? EVP_aes_128_gcm() : key_len == 24 ? EVP_aes_192_gcm() : EVP_aes_256_gcm();
}

int kc_random_bytes(void *out, size_t len, struct kc_error *err)
{
        return RAND_bytes(out, (int)len) == 1 ? 0 : kc_error_set(err, EIO, "no random numbers can be had");
}

int kc_gcm_seal(const void *key, size_t key_len, const char *aad, const void *data, size_t len, struct kc_buf *out,
    struct kc_error *err)
{
        KC_CLEANUP(cipher_free) EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
        unsigned char nonce[KC_GCM_NONCE], tag[KC_GCM_TAG];
        int n = 0, end = 0;
        int r = kc_random_bytes(nonce, sizeof(nonce), err);
        if (r < 0)
                return r;
        KC_CLEANUP(kc_freep) unsigned char *sealed = kc_malloc(len + 1);
        if (!c || EVP_EncryptInit_ex(c, gcm_of(key_len), NULL, key, nonce) != 1 ||
            EVP_EncryptUpdate(c, NULL, &n, (const unsigned char *)aad, (int)strlen(aad)) != 1 ||
            EVP_EncryptUpdate(c, sealed, &n, data, (int)len) != 1 || EVP_EncryptFinal_ex(c, sealed + n, &end) != 1 ||
            EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, KC_GCM_TAG, tag) != 1)
                return kc_error_set(err, EIO, "AES-GCM encryption failed");
        kc_buf_add(out, nonce, sizeof(nonce));
        kc_buf_add(out, sealed, (size_t)(n + end));
        kc_buf_add(out, tag, sizeof(tag));
        return 0;
}

int kc_gcm_open(const void *key, size_t key_len, const char *aad, const void *data, size_t len, struct kc_buf *out,
    struct kc_error *err)
{
        KC_CLEANUP(cipher_free) EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
        const unsigned char *nonce = data, *sealed = nonce + KC_GCM_NONCE;
        int n = 0, end = 0;
        if (len < KC_GCM_NONCE + KC_GCM_TAG)
                return kc_error_set(err, EBADMSG, "the stored data was shorter than the required size");
        size_t sealed_len = len - KC_GCM_NONCE - KC_GCM_TAG;
        unsigned char tag[KC_GCM_TAG];
        memcpy(tag, sealed + sealed_len, sizeof(tag));
        KC_CLEANUP(kc_freep) unsigned char *plain = kc_malloc(sealed_len + 1);
        if (!c || EVP_DecryptInit_ex(c, gcm_of(key_len), NULL, key, nonce) != 1 ||
            EVP_DecryptUpdate(c, NULL, &n, (const unsigned char *)aad, (int)strlen(aad)) != 1 ||
            EVP_DecryptUpdate(c, plain, &n, sealed, (int)sealed_len) != 1 ||
            EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_TAG, KC_GCM_TAG, tag) != 1 ||
            EVP_DecryptFinal_ex(c, plain + n, &end) != 1)
                return kc_error_set(err, EBADMSG, "cipher: message authentication failed");
        kc_buf_add(out, plain, (size_t)(n + end));
        return 0;
}
