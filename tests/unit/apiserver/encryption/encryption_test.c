/* Encryption at rest: what is written can be read back by the same key only, at the same etcd key only (GCM), and is
 * found stale when another key writes; bad configurations are told what is wrong; KMS v2 against a plugin. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "../../grpc/grpc_server.h"
#include "encryption/encryption.h"
#include "encryption/kms.pb-c.h"
#include "json/yaml.h"

#define HEAD "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n"
#define KEY16 "MDEyMzQ1Njc4OWFiY2RlZg=="
#define KEY32 "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
#define OTHER32 "ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA="

static struct kc_transforms *config(const char *resources)
{
        KC_CLEANUP(kc_freep) char *yaml = kc_asprintf(HEAD "%s\n", resources);
        KC_CLEANUP(kc_json_freep) struct json_object *tree = NULL;
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        struct kc_transforms *t = NULL;
        assert_int_equal(kc_yaml_parse(yaml, strlen(yaml), NULL, &tree, NULL), 0);
        if (kc_encryption_new(tree, "/registry", &t, &err) < 0)
                fail_msg("%s", kc_error_message(&err));
        return t;
}

static struct kc_bytes *in(struct kc_transforms *t, const char *key, const char *value)
{
        struct kc_bytes *b = NULL;
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        if (t->ops->to_storage(t, key, value, strlen(value), &b, &err) < 0)
                fail_msg("%s", kc_error_message(&err));
        return b;
}

/* The value, or "error: ...". Heap. */
static char *out(struct kc_transforms *t, const char *key, const struct kc_bytes *b, bool *ret_stale)
{
        KC_CLEANUP(kc_bytes_unrefp) struct kc_bytes *plain = NULL;
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        if (t->ops->from_storage(t, key, kc_bytes_data(b), kc_bytes_len(b), &plain, ret_stale, &err) < 0)
                return kc_asprintf("error: %s", kc_error_message(&err));
        return kc_strndup(kc_bytes_data(plain), kc_bytes_len(plain));
}

#define ASSERT_OUT(t, key, b, want, stale)                                                                             \
        do {                                                                                                           \
                bool is_stale = false;                                                                                 \
                KC_CLEANUP(kc_freep) char *got = out(t, key, b, &is_stale);                                            \
                assert_string_equal(got, want);                                                                        \
                assert_int_equal(is_stale, stale);                                                                     \
        } while (0)

static const char secret[] = "/registry/secrets/default/s";

static void test_ciphers(void **state)
{
        (void)state;
        static const struct {
                const char *cipher, *prefix, *wrong_key;
        } rows[] = {
            {"aescbc", "k8s:enc:aescbc:v1:k1:", "error: invalid padding on input"},
            {"aesgcm", "k8s:enc:aesgcm:v1:k1:", "error: cipher: message authentication failed"},
            {"secretbox",
                "k8s:enc:secretbox:v1:k1:", "error: output array was not large enough for encryption or bad key"},
        };
        static const char *const values[] = {"", "x", "{\"kind\":\"Secret\"}", "0123456789abcdef", "0123456789abcdef0"};
        for (size_t i = 0; i < KC_ARRAY_LEN(rows); i++) {
                KC_CLEANUP(kc_freep)
                char *one = kc_asprintf("- {resources: [secrets], providers: [{%s: {keys: [{name: k1, secret: %s}]}}]}",
                    rows[i].cipher, KEY32);
                KC_CLEANUP(kc_freep)
                char *two =
                    kc_asprintf("- {resources: [secrets], providers: [{%s: {keys: [{name: k2, secret: %s}, {name: k1, "
                                "secret: %s}]}}, {identity: {}}]}",
                        rows[i].cipher, OTHER32, KEY32);
                KC_CLEANUP(kc_freep)
                char *bad = kc_asprintf("- {resources: [secrets], providers: [{%s: {keys: [{name: k1, secret: %s}]}}]}",
                    rows[i].cipher, OTHER32);
                KC_CLEANUP(kc_transforms_freep)
                struct kc_transforms *t = config(one),
                                     *rotated = config(two), *other = config(bad);
                for (size_t v = 0; v < KC_ARRAY_LEN(values); v++) {
                        KC_CLEANUP(kc_bytes_unrefp)
                        struct kc_bytes *b = in(t, secret, values[v]),
                                        *again = in(t, secret, values[v]);
                        assert_memory_equal(kc_bytes_data(b), rows[i].prefix, strlen(rows[i].prefix));
                        /* A nonce is never used twice. */
                        assert_true(kc_bytes_len(b) == kc_bytes_len(again) &&
                                    memcmp(kc_bytes_data(b), kc_bytes_data(again), kc_bytes_len(b)) != 0);
                        ASSERT_OUT(t, secret, b, values[v], false);
                        ASSERT_OUT(rotated, secret, b, values[v], true);
                        bool stale;
                        KC_CLEANUP(kc_freep) char *wrong = out(other, secret, b, &stale);
                        /* CBC has no authentication: one wrong key in 256 has a valid padding. */
                        if (strcmp(rows[i].cipher, "aescbc") != 0)
                                assert_string_equal(wrong, rows[i].wrong_key);
                        else
                                assert_string_not_equal(values[v][0] ? wrong : "x", values[v]);
                }
                KC_CLEANUP(kc_bytes_unrefp) struct kc_bytes *new_key = in(rotated, secret, "v");
                ASSERT_OUT(rotated, secret, new_key, "v", false);
                KC_CLEANUP(kc_bytes_unrefp) struct kc_bytes *plain = kc_bytes_new("{}", 2);
                ASSERT_OUT(rotated, secret, plain, "{}", true);
                ASSERT_OUT(t, secret, plain, "error: no matching prefix found", false);
        }
}

static void test_gcm_is_bound_to_its_key(void **state)
{
        (void)state;
        KC_CLEANUP(kc_transforms_freep)
        struct kc_transforms *t =
            config("- {resources: [secrets], providers: [{aesgcm: {keys: [{name: a, secret: " KEY16 "}]}}]}");
        KC_CLEANUP(kc_bytes_unrefp) struct kc_bytes *b = in(t, secret, "v");
        ASSERT_OUT(t, "/registry/secrets/default/t", b, "error: cipher: message authentication failed", false);
        KC_CLEANUP(kc_bytes_unrefp)
        struct kc_bytes *cut = kc_bytes_new(kc_bytes_data(b), strlen("k8s:enc:aesgcm:v1:a:") + 27);
        ASSERT_OUT(t, secret, cut, "error: the stored data was shorter than the required size", false);
}

static void test_which_resources(void **state)
{
        (void)state;
        KC_CLEANUP(kc_transforms_freep)
        struct kc_transforms *t =
            config("- {resources: [configmaps], providers: [{identity: {}}]}\n"
                   "- {resources: [secrets, deployments.apps], providers: [{aescbc: {keys: [{name: a, "
                   "secret: " KEY32 "}]}}]}\n"
                   "- {resources: ['*.'], providers: [{secretbox: {keys: [{name: b, secret: " KEY32 "}]}}]}");
        static const char *const rows[][2] = {
            {"/registry/configmaps/a/b", "v"},
            {"/registry/secrets/a/b", "k8s:enc:aescbc:v1:a:"},
            {"/registry/deployments/a/b", "k8s:enc:aescbc:v1:a:"},
            {"/registry/pods/a/b", "k8s:enc:secretbox:v1:b:"},
            {"/registry/daemonsets/a/b", NULL},
            {"/registry/secretsx/a/b", NULL},
        };
        for (size_t i = 0; i < KC_ARRAY_LEN(rows); i++) {
                KC_CLEANUP(kc_bytes_unrefp) struct kc_bytes *b = in(t, rows[i][0], "v");
                if (!rows[i][1])
                        assert_null(b);
                else
                        assert_memory_equal(kc_bytes_data(b), rows[i][1], strlen(rows[i][1]));
        }
        KC_CLEANUP(kc_bytes_unrefp) struct kc_bytes *enc = kc_bytes_new("k8s:enc:x", 9);
        ASSERT_OUT(
            t, "/registry/configmaps/a/b", enc, "error: identity transformer tried to read encrypted data", false);
}

static void test_bad_configurations(void **state)
{
        (void)state;
        static const char *const rows[][2] = {
            {"[]", "resources: Required value: at least one resources is required"},
            {"[{resources: [secrets]}]",
                "resources[0].providers: Required value: at least one resources[0].providers is required"},
            {"[{resources: [secrets], providers: [{}]}]", "resources[0].providers[0]: Required value: provider does "
                                                          "not contain any of the expected providers: KMS, "
                                                          "AESGCM, AESCBC, Secretbox, Identity"},
            {"[{resources: [secrets], providers: [{identity: {}, aescbc: {}}]}]",
                "resources[0].providers[0]: Invalid value: more than one provider specified in a single element, "
                "should split "
                "into different list elements"},
            {"[{resources: [secrets], providers: [{aescbc: {keys: [{name: a, secret: 'hunter2!'}]}}]}]",
                "resources[0].providers[0].aescbc.keys[0].secret: Invalid value: \"REDACTED\": secrets must be base64 "
                "encoded"},
            {"[{resources: [secrets], providers: [{secretbox: {keys: [{name: a, secret: " KEY16 "}]}}]}]",
                "resources[0].providers[0].secretbox.keys[0].secret: Invalid value: \"REDACTED\": secret is not of the "
                "expected "
                "length, got 16, expected one of [32]"},
            {"[{resources: ['*'], providers: [{identity: {}}]}]",
                "resources[0].resources[0]: Invalid value: \"*\": use '*.' to encrypt all the resources from core API "
                "group or "
                "*.* to encrypt all resources"},
            {"[{resources: [unicorns], providers: [{identity: {}}]}]",
                "resources[0].resources[0]: Invalid value: \"unicorns\": no such resource is stored"},
            {"[{resources: [secrets], providers: [{kms: {apiVersion: v2, name: k, endpoint: 'http://x'}}]}]",
                "resources[0].providers[0].kms.endpoint: Invalid value: \"http://x\": must be a unix:/// endpoint"},
        };
        for (size_t i = 0; i < KC_ARRAY_LEN(rows); i++) {
                KC_CLEANUP(kc_freep)
                char *yaml = kc_asprintf(
                    "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources: %s\n",
                    rows[i][0]);
                KC_CLEANUP(kc_json_freep) struct json_object *tree = NULL;
                KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
                struct kc_transforms *t = NULL;
                assert_int_equal(kc_yaml_parse(yaml, strlen(yaml), NULL, &tree, NULL), 0);
                assert_true(kc_encryption_new(tree, "/registry", &t, &err) < 0);
                assert_string_equal(kc_error_message(&err), rows[i][1]);
        }
}

/* --- KMS */

/* "Encrypts" by adding 1 to each byte; counts its calls. */
struct plugin {
        struct server server;
        atomic_int encryptions, decryptions;
        atomic_int key; /* key_id: "key-<n>" */
        atomic_bool ill;
};

static void pack_into(const ProtobufCMessage *m, struct kc_buf *out)
{
        size_t n = protobuf_c_message_get_packed_size(m);
        kc_buf_reserve(out, n);
        protobuf_c_message_pack(m, (uint8_t *)out->data);
        out->len = n;
}

static void shift(uint8_t *data, size_t len, int by)
{
        for (size_t i = 0; i < len; i++)
                data[i] = (uint8_t)(data[i] + by);
}

static bool plugin_handle(struct server *srv, const char *path, const void *data, size_t len, struct kc_buf *out)
{
        struct plugin *p = srv->handle_arg;
        char key_id[16];
        snprintf(key_id, sizeof(key_id), "key-%d", atomic_load(&p->key));
        if (strcmp(path, "/v2.KeyManagementService/Status") == 0) {
                Kms__StatusResponse r = KMS__STATUS_RESPONSE__INIT;
                r.version = (char *)"v2";
                r.healthz = (char *)(atomic_load(&p->ill) ? "ill" : "ok");
                r.key_id = key_id;
                pack_into(&r.base, out);
                return true;
        }
        if (strcmp(path, "/v2.KeyManagementService/Encrypt") == 0) {
                Kms__EncryptRequest *q = kms__encrypt_request__unpack(NULL, len, data);
                Kms__EncryptResponse r = KMS__ENCRYPT_RESPONSE__INIT;
                Kms__Annotation a = KMS__ANNOTATION__INIT;
                Kms__Annotation *list[] = {&a};
                a.key = (char *)"version.example.com";
                a.value = (ProtobufCBinaryData){1, (uint8_t *)"1"};
                atomic_fetch_add(&p->encryptions, 1);
                shift(q->plaintext.data, q->plaintext.len, 1);
                r.ciphertext = q->plaintext;
                r.key_id = key_id;
                r.n_annotations = 1;
                r.annotations = list;
                pack_into(&r.base, out);
                kms__encrypt_request__free_unpacked(q, NULL);
                return true;
        }
        if (strcmp(path, "/v2.KeyManagementService/Decrypt") == 0) {
                Kms__DecryptRequest *q = kms__decrypt_request__unpack(NULL, len, data);
                Kms__DecryptResponse r = KMS__DECRYPT_RESPONSE__INIT;
                bool as_given = q->n_annotations == 1 && strcmp(q->annotations[0]->key, "version.example.com") == 0;
                atomic_fetch_add(&p->decryptions, 1);
                shift(q->ciphertext.data, as_given ? q->ciphertext.len : 0, -1);
                r.plaintext = q->ciphertext;
                pack_into(&r.base, out);
                kms__decrypt_request__free_unpacked(q, NULL);
                return true;
        }
        return false;
}

static void test_kms(void **state)
{
        (void)state;
        struct plugin p = {0};
        char path[64];
        snprintf(path, sizeof(path), "/tmp/kubec-kms-test.%d", getpid());
        server_start(&p.server, path, NULL);
        p.server.handle = plugin_handle;
        p.server.handle_arg = &p;
        KC_CLEANUP(kc_freep)
        char *yaml = kc_asprintf(
            "- {resources: [secrets], providers: [{kms: {apiVersion: v2, name: safe, endpoint: 'unix://%s'}}]}", path);
        struct kc_transforms *t = config(yaml);
        assert_int_equal(kc_encryption_check(t, NULL), 0);
        struct kc_bytes *first = in(t, secret, "v"), *second = in(t, secret, "w");
        assert_memory_equal(kc_bytes_data(first), "k8s:enc:kms:v2:safe:", 20);
        ASSERT_OUT(t, secret, first, "v", false);
        ASSERT_OUT(t, secret, second, "w", false);
        ASSERT_OUT(t, "/registry/secrets/default/other", first, "error: cipher: message authentication failed", false);
        assert_int_equal(atomic_load(&p.encryptions), 1);
        assert_int_equal(atomic_load(&p.decryptions), 0);
        /* Another apiserver asks the plugin for the seed once. */
        struct kc_transforms *other = config(yaml);
        ASSERT_OUT(other, secret, first, "v", false);
        ASSERT_OUT(other, secret, second, "w", false);
        assert_int_equal(atomic_load(&p.decryptions), 1);
        /* The plugin has a new key: what is there is stale, what is written uses it. */
        atomic_store(&p.key, 1);
        assert_int_equal(kc_encryption_check(t, NULL), 0);
        ASSERT_OUT(t, secret, first, "v", true);
        struct kc_bytes *third = in(t, secret, "x");
        ASSERT_OUT(t, secret, third, "x", false);
        assert_int_equal(atomic_load(&p.encryptions), 2);
        /* A plugin that is ill or away is told; the seed that is there still serves. */
        struct kc_error err = KC_ERROR_INIT;
        atomic_store(&p.ill, true);
        assert_true(kc_encryption_check(t, &err) < 0);
        assert_string_equal(kc_error_message(&err), "KMS plugin safe: got unexpected healthz status: ill");
        kc_error_done(&err);
        ASSERT_OUT(t, secret, third, "x", false);
        server_stop(&p.server);
        struct kc_bytes *fourth = in(t, secret, "y");
        ASSERT_OUT(t, secret, fourth, "y", false);
        struct kc_bytes *all[] = {first, second, third, fourth};
        for (size_t i = 0; i < KC_ARRAY_LEN(all); i++)
                kc_bytes_unref(all[i]);
        kc_transforms_free(t);
        kc_transforms_free(other);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_ciphers),
            cmocka_unit_test(test_gcm_is_bound_to_its_key),
            cmocka_unit_test(test_which_resources),
            cmocka_unit_test(test_bad_configurations),
            cmocka_unit_test(test_kms),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
