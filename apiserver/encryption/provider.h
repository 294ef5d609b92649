/* One way to encrypt a value. What it has written begins with its prefix, as upstream's does, so that etcd's content
 * can be read by either.
 *
 *   k8s:enc:aescbc:v1:<key>:     IV, AES-CBC with PKCS #7
 *   k8s:enc:aesgcm:v1:<key>:     nonce, AES-GCM, tag; authenticates the etcd key
 *   k8s:enc:secretbox:v1:<key>:  nonce, XSalsa20-Poly1305
 *   k8s:enc:kms:v2:<name>:       EncryptedObject (kms.proto)
 *   (nothing)                    identity: refuses what any other provider has written */
#pragma once

#include "base/buf.h"
#include "base/error.h"
#include "event/loop.h"
#include "json/json.h"

#define KC_ENCRYPTION_PREFIX "k8s:enc:"

struct kc_encryption_provider;

struct kc_encryption_provider_ops {
        /* key: the etcd key. Appends. */
        int (*encrypt)(struct kc_encryption_provider *p, const char *key, const void *data, size_t len,
            struct kc_buf *out, struct kc_error *err);
        /* data: behind the prefix. *ret_stale: not by the key that it would be written with now. */
        int (*decrypt)(struct kc_encryption_provider *p, const char *key, const void *data, size_t len,
            struct kc_buf *out, bool *ret_stale, struct kc_error *err);
        void (*free)(struct kc_encryption_provider *p);
};

struct kc_encryption_provider {
        const struct kc_encryption_provider_ops *ops;
        char *prefix; /* "" of identity */
};

/* Keys are base64 in the file: {"name":"key1","secret":"c2VjcmV0IGlzIHNlY3VyZQ=="}; path: of them, for messages. */
enum kc_cipher { KC_CIPHER_AESCBC, KC_CIPHER_AESGCM, KC_CIPHER_SECRETBOX };
int kc_encryption_keys_new(enum kc_cipher cipher, const struct json_object *keys, const char *path,
    struct kc_encryption_provider **ret, struct kc_error *err);
struct kc_encryption_provider *kc_encryption_identity_new(void);
/* KMS v2 (gRPC on a unix socket): {"apiVersion":"v2","name":..,"endpoint":"unix:///..","timeout":"3s"}. Has a loop and
 * thread of its own. Does not wait for the plugin. */
int kc_encryption_kms_new(
    const struct json_object *config, const char *path, struct kc_encryption_provider **ret, struct kc_error *err);
/* Is the plugin well? 0, or why not. Blocks. */
int kc_encryption_kms_check(struct kc_encryption_provider *p, struct kc_error *err);
bool kc_encryption_is_kms(const struct kc_encryption_provider *p);
static inline void kc_encryption_provider_free(struct kc_encryption_provider *p)
{
        if (p)
                p->ops->free(p);
}

/* --- ciphers.c. AES-GCM: nonce, ciphertext, tag; the tag's failure is -EBADMSG. */
enum { KC_GCM_NONCE = 12, KC_GCM_TAG = 16 };
int kc_gcm_seal(const void *key, size_t key_len, const char *aad, const void *data, size_t len, struct kc_buf *out,
    struct kc_error *err);
int kc_gcm_open(const void *key, size_t key_len, const char *aad, const void *data, size_t len, struct kc_buf *out,
    struct kc_error *err);
int kc_random_bytes(void *out, size_t len, struct kc_error *err);
