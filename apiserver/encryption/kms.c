/* KMS v2: a plugin encrypts a seed, from which a key for each value is derived (HKDF-SHA256); the plugin is asked once
 * for a seed, not for each value. Any thread but the provider's own loop. */
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#include <pthread.h>
#include <string.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/log.h"
#include "base/map.h"
#include "base/rand.h"
#include "base/str.h"
#include "encryption/kms.pb-c.h"
#include "encryption/provider.h"
#include "grpc/channel.h"

enum {
        SEED = 32,
        INFO = 32,
        MAX_SEEDS = 1000, /* of decrypted ones that are remembered */
        MAX_KEY_ID = 1024,
        MAX_ENCRYPTED_SEED = 1024,
        MAX_ANNOTATIONS = 32 << 10, /* bytes, all of them */
        TYPE_KEY = 0,
        TYPE_SEED = 1,
        STATUS_PERIOD_S = 60,
};

#define SERVICE "/v2.KeyManagementService/"

struct seed {
        unsigned char bytes[SEED];
};

struct kms {
        struct kc_encryption_provider base;
        char *name;
        int timeout_ms;
        struct kc_loop *loop;
        struct kc_grpc_channel *channel;
        pthread_mutex_t lock;
        /* guarded by lock, the plugin is asked under it: */
        struct kc_map *seeds; /* base64 of the encrypted seed -> struct seed */
        struct seed current;
        Kms__EncryptResponse *encrypted; /* of current; NULL: none yet */
        char *key_id;                    /* as the plugin's status says; NULL: not asked yet */
        kc_mono asked;
        bool checking, checked; /* a check is under way; one has ended */
        struct kc_error ill;    /* what the last check found */
};

/* --- the plugin */

static int call(struct kms *k, const char *method, const ProtobufCMessage *req, const ProtobufCMessageDescriptor *d,
    ProtobufCMessage **ret, struct kc_error *err)
{
        int r = kc_grpc_call(k->channel, method, req, d, k->timeout_ms, false, ret, NULL, err);
        return r < 0 ? kc_error_wrap(err, "KMS plugin %s", k->name) : 0;
}

static int ask_status(struct kms *k, char **ret_key_id, struct kc_error *err)
{
        Kms__StatusRequest req = KMS__STATUS_REQUEST__INIT;
        ProtobufCMessage *m = NULL;
        int r = call(k, SERVICE "Status", &req.base, &kms__status_response__descriptor, &m, err);
        if (r < 0)
                return r;
        const Kms__StatusResponse *s = (const Kms__StatusResponse *)m;
        if (strcmp(s->version, "v2") != 0 && strcmp(s->version, "v2beta1") != 0)
                r = kc_error_set(err, EPROTO, "KMS plugin %s: expected KMS v2, got %s", k->name, s->version);
        else if (strcmp(s->healthz, "ok") != 0)
                r = kc_error_set(err, EIO, "KMS plugin %s: got unexpected healthz status: %s", k->name, s->healthz);
        else if (s->key_id[0] == '\0' || strlen(s->key_id) > MAX_KEY_ID)
                r = kc_error_set(err, EPROTO, "KMS plugin %s: bad length of its key_id", k->name);
        else
                *ret_key_id = kc_strdup(s->key_id);
        protobuf_c_message_free_unpacked(m, NULL);
        return r;
}

/* Locked. NULL: it stays what it was. */
static void take_key_id(struct kms *k, char *take_key_id)
{
        if (!take_key_id)
                return;
        kc_free(k->key_id);
        k->key_id = take_key_id;
}

/* Locked. A plugin that is away does not matter while there is a seed. */
static int refresh_status(struct kms *k, struct kc_error *err)
{
        kc_mono now = kc_clock_mono(NULL);
        if (k->key_id && now - k->asked < STATUS_PERIOD_S * KC_SEC)
                return 0;
        KC_CLEANUP(kc_error_done) struct kc_error why = KC_ERROR_INIT;
        char *key_id = NULL;
        int r = ask_status(k, &key_id, &why);
        take_key_id(k, key_id);
        k->asked = now;
        if (r < 0 && !k->encrypted) {
                kc_error_move(err, &why);
                return r;
        }
        if (r < 0)
                kc_log_error(&why, "KMS plugin does not answer, using the seed that is there");
        return 0;
}

static int check_response(const struct kms *k, const Kms__EncryptResponse *e, struct kc_error *err)
{
        size_t bytes = 0;
        for (size_t i = 0; i < e->n_annotations; i++)
                bytes += strlen(e->annotations[i]->key) + e->annotations[i]->value.len;
        if (e->ciphertext.len == 0 || e->ciphertext.len > MAX_ENCRYPTED_SEED)
                return kc_error_set(err, EPROTO, "KMS plugin %s: encrypted DEK source of %zu bytes, expected 1 to %d",
                    k->name, e->ciphertext.len, MAX_ENCRYPTED_SEED);
        if (e->key_id[0] == '\0' || strlen(e->key_id) > MAX_KEY_ID)
                return kc_error_set(err, EPROTO, "KMS plugin %s: bad length of the key_id", k->name);
        if (bytes > MAX_ANNOTATIONS)
                return kc_error_set(err, EPROTO, "KMS plugin %s: annotations of %zu bytes, at most %d", k->name, bytes,
                    MAX_ANNOTATIONS);
        return 0;
}

/* Locked. */
static int new_seed(struct kms *k, struct kc_error *err)
{
        Kms__EncryptRequest req = KMS__ENCRYPT_REQUEST__INIT;
        ProtobufCMessage *m = NULL;
        struct seed s;
        char uid[KC_UUID_LEN];
        int r = kc_random_bytes(s.bytes, sizeof(s.bytes), err);
        if (r < 0)
                return r;
        kc_uuid4(uid);
        req.uid = uid;
        req.plaintext = (ProtobufCBinaryData){.len = sizeof(s.bytes), .data = s.bytes};
        r = call(k, SERVICE "Encrypt", &req.base, &kms__encrypt_response__descriptor, &m, err);
        if (r == 0)
                r = check_response(k, (Kms__EncryptResponse *)m, err);
        if (r < 0) {
                if (m)
                        protobuf_c_message_free_unpacked(m, NULL);
                OPENSSL_cleanse(&s, sizeof(s));
                return r;
        }
        if (k->encrypted)
                kms__encrypt_response__free_unpacked(k->encrypted, NULL);
        k->encrypted = (Kms__EncryptResponse *)m;
        k->current = s;
        OPENSSL_cleanse(&s, sizeof(s));
        /* The plugin may be ahead of what its status said. */
        kc_str_set(&k->key_id, k->encrypted->key_id);
        return 0;
}

/* --- the keys of values */

static int derive(
    const struct seed *s, const unsigned char info[static INFO], unsigned char key[static SEED], struct kc_error *err)
{
        EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_id(EVP_PKEY_HKDF, NULL);
        size_t len = SEED;
        bool ok =
            c && EVP_PKEY_derive_init(c) == 1 && EVP_PKEY_CTX_hkdf_mode(c, EVP_PKEY_HKDEF_MODE_EXPAND_ONLY) == 1 &&
            EVP_PKEY_CTX_set_hkdf_md(c, EVP_sha256()) == 1 && EVP_PKEY_CTX_set1_hkdf_key(c, s->bytes, SEED) == 1 &&
            EVP_PKEY_CTX_add1_hkdf_info(c, info, INFO) == 1 && EVP_PKEY_derive(c, key, &len) == 1 && len == SEED;
        EVP_PKEY_CTX_free(c);
        return ok ? 0 : kc_error_set(err, EIO, "deriving a key failed");
}

static int seal(
    const struct seed *s, const char *key, const void *data, size_t len, struct kc_buf *out, struct kc_error *err)
{
        unsigned char info[INFO], derived[SEED];
        int r = kc_random_bytes(info, sizeof(info), err);
        if (r == 0)
                r = derive(s, info, derived, err);
        if (r < 0)
                return r;
        kc_buf_add(out, info, sizeof(info));
        r = kc_gcm_seal(derived, sizeof(derived), key, data, len, out, err);
        OPENSSL_cleanse(derived, sizeof(derived));
        return r;
}

static int unseal(const struct seed *s, int type, const char *key, const ProtobufCBinaryData *in, struct kc_buf *out,
    struct kc_error *err)
{
        unsigned char derived[SEED];
        if (type == TYPE_KEY)
                return kc_gcm_open(s->bytes, SEED, key, in->data, in->len, out, err);
        if (type != TYPE_SEED)
                return kc_error_set(err, EBADMSG, "unknown type of DEK source: %d", type);
        if (in->len < INFO)
                return kc_error_set(err, EBADMSG, "the stored data was shorter than the required size");
        int r = derive(s, in->data, derived, err);
        if (r == 0)
                r = kc_gcm_open(derived, sizeof(derived), key, in->data + INFO, in->len - INFO, out, err);
        OPENSSL_cleanse(derived, sizeof(derived));
        return r;
}

/* --- the provider */

static void pack(const Kms__EncryptResponse *by, struct kc_buf *take_sealed, struct kc_buf *out)
{
        Kms__EncryptedObject o = KMS__ENCRYPTED_OBJECT__INIT;
        o.encrypted_data = (ProtobufCBinaryData){.len = take_sealed->len, .data = (uint8_t *)take_sealed->data};
        o.key_id = by->key_id;
        o.encrypted_dek_source = by->ciphertext;
        o.n_annotations = by->n_annotations;
        o.annotations = by->annotations;
        o.encrypted_dek_source_type = TYPE_SEED;
        size_t n = kms__encrypted_object__get_packed_size(&o);
        kc_buf_reserve(out, n);
        (void)kms__encrypted_object__pack(&o, (uint8_t *)out->data + out->len); /* n bytes */
        out->len += n;
        kc_buf_done(take_sealed);
}

static int kms_encrypt(struct kc_encryption_provider *p, const char *key, const void *data, size_t len,
    struct kc_buf *out, struct kc_error *err)
{
        struct kms *k = (struct kms *)p;
        struct kc_buf sealed = KC_BUF_INIT;
        pthread_mutex_lock(&k->lock);
        int r = refresh_status(k, err);
        if (r == 0 && (!k->encrypted || !kc_streq(k->encrypted->key_id, k->key_id))) {
                KC_CLEANUP(kc_error_done) struct kc_error why = KC_ERROR_INIT;
                r = new_seed(k, &why);
                if (r < 0 && k->encrypted)
                        kc_log_error(&why, "KMS plugin gives no new seed, using the one that is there");
                else if (r < 0)
                        kc_error_move(err, &why);
                r = k->encrypted ? 0 : r;
        }
        if (r == 0)
                r = seal(&k->current, key, data, len, &sealed, err);
        if (r == 0)
                pack(k->encrypted, &sealed, out);
        pthread_mutex_unlock(&k->lock);
        kc_buf_done(&sealed);
        return r;
}

/* Locked. */
static int seed_of(struct kms *k, const Kms__EncryptedObject *o, struct seed *ret, struct kc_error *err)
{
        const ProtobufCBinaryData *source = &o->encrypted_dek_source;
        if (k->encrypted && source->len == k->encrypted->ciphertext.len &&
            memcmp(source->data, k->encrypted->ciphertext.data, source->len) == 0) {
                *ret = k->current;
                return 0;
        }
        KC_CLEANUP(kc_freep) char *name = kc_base64_encode(source->data, source->len);
        const struct seed *known = kc_map_get(k->seeds, name);
        if (known) {
                *ret = *known;
                return 0;
        }
        Kms__DecryptRequest req = KMS__DECRYPT_REQUEST__INIT;
        ProtobufCMessage *m = NULL;
        char uid[KC_UUID_LEN];
        kc_uuid4(uid);
        req.uid = uid;
        req.key_id = o->key_id;
        req.ciphertext = *source;
        req.n_annotations = o->n_annotations;
        req.annotations = o->annotations;
        int r = call(k, SERVICE "Decrypt", &req.base, &kms__decrypt_response__descriptor, &m, err);
        if (r < 0)
                return r;
        Kms__DecryptResponse *d = (Kms__DecryptResponse *)m;
        if (d->plaintext.len == SEED) {
                memcpy(ret->bytes, d->plaintext.data, SEED);
                if (kc_map_len(k->seeds) >= MAX_SEEDS)
                        kc_map_clear(k->seeds);
                struct seed *copy = KC_NEW(struct seed);
                *copy = *ret;
                (void)kc_map_set(k->seeds, name, copy); /* it was not there */
        } else {
                r = kc_error_set(err, EPROTO, "KMS plugin %s: a DEK source of %zu bytes, expected %d", k->name,
                    d->plaintext.len, SEED);
        }
        if (d->plaintext.len)
                OPENSSL_cleanse(d->plaintext.data, d->plaintext.len);
        protobuf_c_message_free_unpacked(m, NULL);
        return r;
}

static int kms_decrypt(struct kc_encryption_provider *p, const char *key, const void *data, size_t len,
    struct kc_buf *out, bool *ret_stale, struct kc_error *err)
{
        struct kms *k = (struct kms *)p;
        Kms__EncryptedObject *o = kms__encrypted_object__unpack(NULL, len, data);
        struct seed s = {{0}};
        if (!o)
                return kc_error_set(err, EBADMSG, "the stored data is no EncryptedObject");
        pthread_mutex_lock(&k->lock);
        int r = seed_of(k, o, &s, err);
        *ret_stale = k->key_id && !kc_streq(k->key_id, o->key_id);
        pthread_mutex_unlock(&k->lock);
        if (r == 0)
                r = unseal(&s, o->encrypted_dek_source_type, key, &o->encrypted_data, out, err);
        OPENSSL_cleanse(&s, sizeof(s));
        kms__encrypted_object__free_unpacked(o, NULL);
        return r;
}

/* The plugin is asked without the lock, which is for those who encrypt, and once for all who want to know meanwhile. */
int kc_encryption_kms_check(struct kc_encryption_provider *p, struct kc_error *err)
{
        struct kms *k = (struct kms *)p;
        struct kc_error ill = KC_ERROR_INIT;
        char *key_id = NULL;
        pthread_mutex_lock(&k->lock);
        bool as_known = k->checking && k->checked;
        if (as_known)
                kc_error_copy(&ill, &k->ill);
        else
                k->checking = true;
        pthread_mutex_unlock(&k->lock);
        if (!as_known) {
                (void)ask_status(k, &key_id, &ill); /* ill says it */
                pthread_mutex_lock(&k->lock);
                take_key_id(k, key_id);
                k->asked = kc_clock_mono(NULL);
                k->checking = false;
                k->checked = true;
                kc_error_done(&k->ill);
                kc_error_copy(&k->ill, &ill);
                pthread_mutex_unlock(&k->lock);
        }
        int r = -ill.errnum;
        if (r < 0 && err)
                kc_error_move(err, &ill);
        kc_error_done(&ill);
        return r;
}

/* --- life */

static void free_seed(void *seed)
{
        OPENSSL_cleanse(seed, sizeof(struct seed));
        kc_free(seed);
}

static void free_channel(void *channel)
{
        kc_grpc_channel_free(channel);
}

static void kms_free(struct kc_encryption_provider *p)
{
        struct kms *k = (struct kms *)p;
        if (k->channel)
                kc_loop_call(k->loop, free_channel, k->channel);
        if (k->loop) {
                kc_loop_stop(k->loop);
                kc_loop_join(k->loop);
        }
        kc_loop_free(k->loop);
        kc_map_free(k->seeds);
        OPENSSL_cleanse(&k->current, sizeof(k->current));
        if (k->encrypted)
                kms__encrypt_response__free_unpacked(k->encrypted, NULL);
        pthread_mutex_destroy(&k->lock);
        kc_error_done(&k->ill);
        kc_free(k->key_id);
        kc_free(k->name);
        kc_free(p->prefix);
        kc_free(k);
}

static const struct kc_encryption_provider_ops kms_ops = {kms_encrypt, kms_decrypt, kms_free};

bool kc_encryption_is_kms(const struct kc_encryption_provider *p)
{
        return p->ops == &kms_ops;
}

static int open_channel(struct kms *k, const char *endpoint, struct kc_error *err)
{
        char *endpoints[] = {(char *)endpoint, NULL};
        const struct kc_grpc_channel_opts o = {.endpoints = endpoints};
        int r = kc_loop_new("kms", &k->loop, err);
        if (r == 0)
                r = kc_grpc_channel_new(k->loop, &o, &k->channel, err);
        if (r == 0)
                r = kc_loop_start_thread(k->loop, err);
        if (r < 0) { /* nobody runs the loop */
                kc_grpc_channel_free(k->channel);
                kc_loop_free(k->loop);
                k->channel = NULL;
                k->loop = NULL;
        }
        return r;
}

int kc_encryption_kms_new(
    const struct json_object *config, const char *path, struct kc_encryption_provider **ret, struct kc_error *err)
{
        const char *name = kc_json_str(config, "name"), *endpoint = kc_json_str(config, "endpoint"),
                   *timeout = kc_json_str(config, "timeout");
        int64_t usec = 3 * KC_SEC;
        if (!kc_streq(kc_json_str(config, "apiVersion"), "v2"))
                return kc_error_set(err, EINVAL, "%s.apiVersion: Invalid value: only v2 is supported", path);
        if (kc_str_empty(name) || strpbrk(name, ":"))
                return kc_error_set(err, EINVAL, "%s.name: Invalid value: \"%s\": must be given, without colons", path,
                    name ? name : "");
        if (kc_str_empty(endpoint) || !kc_str_has_prefix(endpoint, "unix:///"))
                return kc_error_set(err, EINVAL, "%s.endpoint: Invalid value: \"%s\": must be a unix:/// endpoint",
                    path, endpoint ? endpoint : "");
        if (timeout && (kc_duration_parse(timeout, &usec) < 0 || usec <= 0))
                return kc_error_set(
                    err, EINVAL, "%s.timeout: Invalid value: \"%s\": must be a positive duration", path, timeout);
        struct kms *k = KC_NEW(struct kms);
        k->base = (struct kc_encryption_provider){
            .ops = &kms_ops, .prefix = kc_asprintf(KC_ENCRYPTION_PREFIX "kms:v2:%s:", name)};
        k->name = kc_strdup(name);
        k->timeout_ms = (int)(usec / KC_MSEC);
        k->seeds = kc_map_new(free_seed);
        pthread_mutex_init(&k->lock, NULL);
        int r = open_channel(k, endpoint, err);
        if (r < 0) {
                kms_free(&k->base);
                return r;
        }
        *ret = &k->base;
        return 0;
}
