/* Encryption at rest: 'c' and a YAML text as EncryptionConfiguration, any other first byte and a value as it may be
 * stored. What a configuration writes it reads again. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "encryption/encryption.h"
#include "json/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char key[] = "/registry/secrets/ns/name";

static bool names_kms(const char *text, size_t len)
{
        return memmem(text, len, "kms", 3) != NULL;
}

static void try_config(const char *text, size_t len)
{
        static const char plain[] = "{\"kind\":\"Secret\"}";
        KC_CLEANUP(kc_json_freep) struct json_object *tree = NULL;
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        struct kc_transforms *t;
        /* A plugin has a thread, and a socket that is somebody's. */
        if (names_kms(text, len) || kc_yaml_parse(text, len, NULL, &tree, NULL) < 0)
                return;
        if (kc_encryption_new(tree, "/registry", &t, &err) < 0) {
                assert(err.message);
                return;
        }
        struct kc_bytes *sealed = NULL, *opened = NULL;
        bool stale = true;
        assert(t->ops->to_storage(t, key, plain, sizeof(plain), &sealed, &err) == 0);
        if (sealed) {
                assert(t->ops->from_storage(
                           t, key, kc_bytes_data(sealed), kc_bytes_len(sealed), &opened, &stale, &err) == 0);
                assert(!stale && kc_bytes_len(opened) == sizeof(plain));
                assert(memcmp(kc_bytes_data(opened), plain, sizeof(plain)) == 0);
        }
        kc_bytes_unref(sealed);
        kc_bytes_unref(opened);
        t->ops->free(t);
}

static struct kc_transforms *all_providers(void)
{
        static struct kc_transforms *all;
        KC_CLEANUP(kc_json_freep) struct json_object *tree = NULL;
        static const char text[] =
            "{apiVersion: apiserver.config.k8s.io/v1, kind: EncryptionConfiguration, resources: [{resources: [secrets],"
            "providers: [{aescbc: {keys: [{name: k, secret: MDEyMzQ1Njc4OWFiY2RlZg==}]}},"
            "{aesgcm: {keys: [{name: k, secret: MDEyMzQ1Njc4OWFiY2RlZg==}]}},"
            "{secretbox: {keys: [{name: k, secret: MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=}]}}, {identity: "
            "{}}]}]}";
        if (!all) {
                assert(kc_yaml_parse(text, strlen(text), NULL, &tree, NULL) == 0);
                assert(kc_encryption_new(tree, "/registry", &all, NULL) == 0);
        }
        return all;
}

static void try_value(const char *value, size_t len)
{
        struct kc_transforms *t = all_providers();
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        struct kc_bytes *opened = NULL;
        bool stale;
        int r = t->ops->from_storage(t, key, value, len, &opened, &stale, &err);
        assert(r == 0 ? opened && kc_bytes_len(opened) <= len : err.message != NULL);
        kc_bytes_unref(opened);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (size < 1)
                return 0;
        /* An exact copy, so that the sanitizer sees a read past the end. */
        KC_CLEANUP(kc_freep) char *copy = size > 1 ? kc_memdup(data + 1, size - 1) : kc_strdup("");
        if (data[0] == 'c')
                try_config(copy, size - 1);
        else
                try_value(copy, size - 1);
        return 0;
}
