/* The configuration: which providers a resource's values go through. Any thread. */
#include "encryption/encryption.h"

#include <errno.h>
#include <string.h>

#include "api/served.h"
#include "base/file.h"
#include "base/secret.h"
#include "base/str.h"
#include "encryption/provider.h"
#include "json/secret.h"
#include "json/yaml.h"

enum { CONFIG_MAX = 1 << 20 };

/* One element of "resources". */
struct entry {
        struct kc_encryption_provider **providers;
        size_t n;
};

/* Values below a prefix of etcd. */
struct place {
        char *prefix; /* "/registry/secrets/" */
        const struct entry *entry;
};

struct encryption {
        struct kc_transforms base;
        struct entry *entries;
        size_t n_entries;
        struct place *places;
        size_t n_places;
};

/* --- transforming */

static const struct entry *entry_of(const struct encryption *e, const char *key)
{
        for (size_t i = 0; i < e->n_places; i++)
                if (kc_str_has_prefix(key, e->places[i].prefix))
                        return e->places[i].entry;
        return NULL;
}

static int to_storage(struct kc_transforms *t, const char *key, const void *value, size_t len, struct kc_bytes **ret,
    struct kc_error *err)
{
        const struct entry *entry = entry_of((struct encryption *)t, key);
        if (!entry)
                return 0;
        struct kc_encryption_provider *p = entry->providers[0];
        struct kc_buf out = KC_BUF_INIT;
        kc_buf_adds(&out, p->prefix);
        int r = p->ops->encrypt(p, key, value, len, &out, err);
        if (r < 0) {
                kc_buf_done(&out);
                return r;
        }
        *ret = kc_bytes_from_buf(&out);
        return 0;
}

static int from_storage(struct kc_transforms *t, const char *key, const void *value, size_t len, struct kc_bytes **ret,
    bool *ret_stale, struct kc_error *err)
{
        const struct entry *entry = entry_of((struct encryption *)t, key);
        *ret_stale = false;
        for (size_t i = 0; entry && i < entry->n; i++) {
                struct kc_encryption_provider *p = entry->providers[i];
                size_t skip = strlen(p->prefix);
                if (len < skip || memcmp(value, p->prefix, skip) != 0)
                        continue;
                struct kc_buf out = KC_BUF_INIT;
                kc_error_done(err);
                if (p->ops->decrypt(p, key, (const char *)value + skip, len - skip, &out, ret_stale, err) == 0) {
                        *ret = kc_bytes_from_buf(&out);
                        *ret_stale |= i > 0;
                        return 0;
                }
                kc_buf_done(&out);
        }
        if (!entry)
                return 0;
        return err && err->errnum ? -err->errnum : kc_error_set(err, EBADMSG, "no matching prefix found");
}

static void encryption_free(struct kc_transforms *t)
{
        struct encryption *e = (struct encryption *)t;
        for (size_t i = 0; i < e->n_entries; i++) {
                for (size_t k = 0; k < e->entries[i].n; k++)
                        kc_encryption_provider_free(e->entries[i].providers[k]);
                kc_free(e->entries[i].providers);
        }
        for (size_t i = 0; i < e->n_places; i++)
                kc_free(e->places[i].prefix);
        kc_free(e->entries);
        kc_free(e->places);
        kc_free(e);
}

int kc_encryption_check(struct kc_transforms *t, struct kc_error *err)
{
        struct encryption *e = (struct encryption *)t;
        int r = 0;
        for (size_t i = 0; i < e->n_entries && r == 0; i++)
                for (size_t k = 0; k < e->entries[i].n && r == 0; k++)
                        if (kc_encryption_is_kms(e->entries[i].providers[k]))
                                r = kc_encryption_kms_check(e->entries[i].providers[k], err);
        return r;
}

/* --- the file */

static int make_provider(
    const struct json_object *o, const char *path, struct kc_encryption_provider **ret, struct kc_error *err)
{
        static const char *const ciphers[] = {"aescbc", "aesgcm", "secretbox"};
        if (kc_json_n_keys(o) != 1)
                return kc_error_set(err, EINVAL, "%s: %s", path,
                    kc_json_n_keys(o) == 0
                        ? "Required value: provider does not contain any of the expected providers: "
                          "KMS, AESGCM, AESCBC, Secretbox, Identity"
                        : "Invalid value: more than one provider specified in a single element, should "
                          "split into different list elements");
        if (kc_json_get(o, "identity")) {
                *ret = kc_encryption_identity_new();
                return 0;
        }
        if (kc_json_get(o, "kms")) {
                KC_CLEANUP(kc_freep) char *at = kc_asprintf("%s.kms", path);
                return kc_encryption_kms_new(kc_json_get(o, "kms"), at, ret, err);
        }
        for (size_t i = 0; i < KC_ARRAY_LEN(ciphers); i++) {
                KC_CLEANUP(kc_freep) char *at = kc_asprintf("%s.%s.keys", path, ciphers[i]);
                if (kc_json_get(o, ciphers[i]))
                        return kc_encryption_keys_new(
                            (enum kc_cipher)i, kc_json_get(kc_json_get(o, ciphers[i]), "keys"), at, ret, err);
        }
        return kc_error_set(err, EINVAL,
            "%s: Invalid value: unknown provider, expected kms, aesgcm, aescbc, secretbox or identity", path);
}

static int make_entry(const struct json_object *o, const char *path, struct entry *ret, struct kc_error *err)
{
        const struct json_object *list = kc_json_get(o, "providers");
        size_t n = kc_json_len(list);
        int r = 0;
        if (n == 0)
                return kc_error_set(
                    err, EINVAL, "%s.providers: Required value: at least one %s.providers is required", path, path);
        ret->providers = kc_calloc(n, sizeof(struct kc_encryption_provider *));
        for (; ret->n < n && r == 0;) {
                KC_CLEANUP(kc_freep) char *at = kc_asprintf("%s.providers[%zu]", path, ret->n);
                r = make_provider(kc_json_idx(list, ret->n), at, &ret->providers[ret->n], err);
                if (r == 0)
                        ret->n++;
        }
        return r;
}

/* "secrets", "deployments.apps", "*.apps" (a group), "*." (core), "*.*" (all) */
static bool names(const char *pattern, const struct kc_resource *row)
{
        const char *dot = strchr(pattern, '.');
        if (strcmp(pattern, "*.*") == 0)
                return true;
        if (kc_str_has_prefix(pattern, "*."))
                return strcmp(pattern + 2, row->group) == 0;
        size_t len = dot ? (size_t)(dot - pattern) : strlen(pattern);
        return strlen(row->resource) == len && strncmp(row->resource, pattern, len) == 0 &&
               strcmp(dot ? dot + 1 : "", row->group) == 0;
}

static bool has_place(const struct encryption *e, const char *prefix)
{
        for (size_t i = 0; i < e->n_places; i++)
                if (strcmp(e->places[i].prefix, prefix) == 0)
                        return true;
        return false;
}

/* The first entry that names a resource has it. */
static void add_places(
    struct encryption *e, const char *pattern, const struct entry *entry, const char *etcd_prefix, bool *ret_any)
{
        size_t n;
        const struct kc_group_version *const *gvs = kc_schema_all_group_versions(&n);
        for (size_t i = 0; i < n; i++)
                for (size_t j = 0; j < gvs[i]->n_resources; j++) {
                        const struct kc_resource *row = &gvs[i]->resources[j];
                        if (!row->storage_prefix || !row->storage_version_hash || !names(pattern, row))
                                continue;
                        *ret_any = true;
                        KC_CLEANUP(kc_freep) char *prefix = kc_asprintf("%s/%s/", etcd_prefix, row->storage_prefix);
                        if (has_place(e, prefix))
                                continue;
                        e->places = kc_reallocarray(e->places, e->n_places + 1, sizeof(*e->places));
                        e->places[e->n_places++] = (struct place){.prefix = KC_TAKE(prefix), .entry = entry};
                }
}

static int name_resources(struct encryption *e, const struct json_object *o, const char *path,
    const struct entry *entry, const char *etcd_prefix, struct kc_error *err)
{
        const struct json_object *list = kc_json_get(o, "resources");
        if (kc_json_len(list) == 0)
                return kc_error_set(
                    err, EINVAL, "%s.resources: Required value: at least one %s.resources is required", path, path);
        for (size_t i = 0; i < kc_json_len(list); i++) {
                const char *pattern = kc_json_as_str(kc_json_idx(list, i));
                bool any = false;
                if (kc_str_empty(pattern) || strcmp(pattern, "*") == 0)
                        return kc_error_set(err, EINVAL,
                            "%s.resources[%zu]: Invalid value: \"%s\": use '*.' to encrypt all the resources from core "
                            "API group or "
                            "*.* to encrypt all resources",
                            path, i, pattern ? pattern : "");
                if (kc_streq(pattern, "events") || kc_streq(pattern, "events.events.k8s.io") || strchr(pattern, '*')) {
                        any = true; /* a group may have nothing that is stored */
                }
                add_places(e, pattern, entry, etcd_prefix, &any);
                if (!any)
                        return kc_error_set(err, EINVAL,
                            "%s.resources[%zu]: Invalid value: \"%s\": no such resource is stored", path, i, pattern);
        }
        return 0;
}

int kc_encryption_new(
    const struct json_object *config, const char *etcd_prefix, struct kc_transforms **ret, struct kc_error *err)
{
        static const struct kc_transforms_ops ops = {to_storage, from_storage, encryption_free};
        const struct json_object *list = kc_json_get(config, "resources");
        if (!kc_streq(kc_json_str(config, "apiVersion"), "apiserver.config.k8s.io/v1") ||
            !kc_streq(kc_json_str(config, "kind"), "EncryptionConfiguration"))
                return kc_error_set(err, EINVAL, "it is no EncryptionConfiguration of apiserver.config.k8s.io/v1");
        if (kc_json_len(list) == 0)
                return kc_error_set(err, EINVAL, "resources: Required value: at least one resources is required");
        struct encryption *e = KC_NEW(struct encryption);
        e->base.ops = &ops;
        e->n_entries = kc_json_len(list);
        e->entries = kc_calloc(e->n_entries, sizeof(*e->entries));
        int r = 0;
        for (size_t i = 0; i < e->n_entries && r == 0; i++) {
                KC_CLEANUP(kc_freep) char *path = kc_asprintf("resources[%zu]", i);
                r = make_entry(kc_json_idx(list, i), path, &e->entries[i], err);
                if (r == 0)
                        r = name_resources(e, kc_json_idx(list, i), path, &e->entries[i], etcd_prefix, err);
        }
        if (r < 0) {
                encryption_free(&e->base);
                return r;
        }
        *ret = &e->base;
        return 0;
}

int kc_encryption_load(const char *path, const char *etcd_prefix, struct kc_transforms **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_buf_wipe) struct kc_buf text = KC_BUF_INIT;
        KC_CLEANUP(kc_json_free_secretp) struct json_object *tree = NULL;
        int r = kc_file_read(path, CONFIG_MAX, &text, err);
        if (r == 0)
                r = kc_yaml_parse(kc_buf_str(&text), text.len, NULL, &tree, err);
        if (r == 0)
                r = kc_encryption_new(tree, etcd_prefix, ret, err);
        return r < 0 ? kc_error_wrap(err, "--encryption-provider-config %s", path) : 0;
}
