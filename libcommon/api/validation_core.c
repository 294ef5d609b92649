/* ConfigMaps, Secrets, ServiceAccounts and Namespaces. Any thread. */
#include <string.h>

#include "api/validation_internal.h"
#include "base/encode.h"
#include "base/mem.h"
#include "base/str.h"

enum { MAX_DATA = 1 << 20 };

static const char immutable_set[] = "field is immutable when `immutable` is set";

/* Size of what a base64 string holds. */
static size_t decoded_size(const char *s)
{
        size_t n = strlen(s);
        while (n > 0 && s[n - 1] == '=')
                n--;
        return n * 3 / 4;
}

/* Keys, and the sum of the sizes of the values. */
static size_t data_keys(struct kc_v *v, const char *field, const struct json_object *data, bool base64)
{
        size_t total = 0;
        KC_JSON_FOREACH(data, key, value)
        {
                const char *s = kc_v_str(data, key);
                kc_v_name(v, V_KEY(V_CHILD(NULL, field), key), key, kc_name_config_map_key);
                total += base64 ? decoded_size(s) : strlen(s);
        }
        return total;
}

/* What is marked immutable stays as it is, and marked. */
static void immutable_data(
    struct kc_v *v, const struct json_object *o, const struct json_object *old, const char *const *fields)
{
        if (!kc_json_bool(old, "immutable", false))
                return;
        if (!kc_json_bool(o, "immutable", false))
                kc_v_forbidden(v, V_CHILD(NULL, "immutable"), immutable_set);
        for (; *fields; fields++) {
                if (!kc_v_equal(kc_json_get(o, *fields), kc_json_get(old, *fields)))
                        kc_v_forbidden(v, V_CHILD(NULL, *fields), immutable_set);
        }
}

void kc_v_create_config_map(struct kc_v *v, const struct json_object *o)
{
        const struct json_object *data = kc_json_get(o, "data"), *binary = kc_json_get(o, "binaryData");
        kc_v_meta(v, o, true, kc_name_dns1123_subdomain);
        size_t total = data_keys(v, "data", data, false);
        KC_JSON_FOREACH(data, key, value)
        {
                if (kc_json_get(binary, key))
                        kc_v_invalid_str(
                            v, V_KEY(V_CHILD(NULL, "data"), key), key, "duplicate of key present in binaryData");
        }
        total += data_keys(v, "binaryData", binary, true);
        if (total > MAX_DATA)
                kc_v_too_long(v, NULL, MAX_DATA);
}

void kc_v_update_config_map(
    struct kc_v *v, const struct json_object *o, const struct json_object *old, const char *subresource)
{
        static const char *const fields[] = {"data", "binaryData", NULL};
        (void)subresource; /* there is none */
        kc_v_meta_update(v, o, old);
        immutable_data(v, o, old, fields);
        kc_v_create_config_map(v, o);
}

static void json_in_secret(struct kc_v *v, const struct json_object *data, const char *key)
{
        const struct kc_vpath *p = V_KEY(V_CHILD(NULL, "data"), key);
        const char *text = kc_json_str(data, key);
        if (!text) {
                kc_v_required(v, p, "");
                return;
        }
        struct kc_buf b = KC_BUF_INIT;
        struct kc_error err = KC_ERROR_INIT;
        KC_CLEANUP(kc_json_freep) struct json_object *tree = NULL;
        int r = kc_base64_decode(text, strlen(text), &b);
        if (r == 0)
                r = kc_json_parse(kc_buf_str(&b), b.len, NULL, &tree, &err);
        if (r < 0) {
                /* Without the place, as encoding/json words it. */
                const char *message = kc_error_message(&err), *column = strstr(message, "column ");
                const char *colon = column ? strstr(column, ": ") : NULL;
                kc_v_invalid_str(v, p, "<secret contents redacted>", colon ? colon + 2 : message);
        } else if (tree && !kc_json_is_obj(tree)) {
                kc_v_invalid_str(v, p, "<secret contents redacted>",
                    "json: cannot unmarshal value into Go value of type map[string]interface {}");
        }
        kc_error_done(&err);
        kc_buf_done(&b);
}

static void secret_keys(struct kc_v *v, const struct json_object *data, const char *const *keys)
{
        for (; *keys; keys++) {
                if (!kc_json_str(data, *keys))
                        kc_v_required(v, V_KEY(V_CHILD(NULL, "data"), *keys), "");
        }
}

static void secret_by_type(struct kc_v *v, const struct json_object *o)
{
        static const char *const tls[] = {"tls.crt", "tls.key", NULL};
        static const char *const basic[] = {"username", "password", NULL};
        static const char account[] = "kubernetes.io/service-account.name";
        const struct json_object *data = kc_json_get(o, "data");
        const char *type = kc_v_str(o, "type");
        if (kc_streq(type, "kubernetes.io/service-account-token")) {
                if (!*kc_v_str(kc_json_at(o, "metadata.annotations"), account))
                        kc_v_required(v, V_KEY(V_CHILD2(NULL, "metadata", "annotations"), account), "");
        } else if (kc_streq(type, "kubernetes.io/dockercfg")) {
                json_in_secret(v, data, ".dockercfg");
        } else if (kc_streq(type, "kubernetes.io/dockerconfigjson")) {
                json_in_secret(v, data, ".dockerconfigjson");
        } else if (kc_streq(type, "kubernetes.io/basic-auth")) {
                if (!kc_json_str(data, "username") && !kc_json_str(data, "password"))
                        secret_keys(v, data, basic);
        } else if (kc_streq(type, "kubernetes.io/ssh-auth")) {
                if (!*kc_v_str(data, "ssh-privatekey"))
                        kc_v_required(v, V_KEY(V_CHILD(NULL, "data"), "ssh-privatekey"), "");
        } else if (kc_streq(type, "kubernetes.io/tls")) {
                secret_keys(v, data, tls);
        }
}

void kc_v_create_secret(struct kc_v *v, const struct json_object *o)
{
        kc_v_meta(v, o, true, kc_name_dns1123_subdomain);
        if (data_keys(v, "data", kc_json_get(o, "data"), true) > MAX_DATA)
                kc_v_too_long(v, V_CHILD(NULL, "data"), MAX_DATA);
        secret_by_type(v, o);
}

void kc_v_update_secret(
    struct kc_v *v, const struct json_object *o, const struct json_object *old, const char *subresource)
{
        static const char *const fields[] = {"data", NULL};
        const char *type = kc_v_str(o, "type");
        (void)subresource; /* there is none */
        kc_v_meta_update(v, o, old);
        if (!kc_streq(type, kc_v_str(old, "type")))
                kc_v_invalid_str(v, V_CHILD(NULL, "type"), type, "field is immutable");
        immutable_data(v, o, old, fields);
        kc_v_create_secret(v, o);
}

void kc_v_create_service_account(struct kc_v *v, const struct json_object *o)
{
        kc_v_meta(v, o, true, kc_name_dns1123_subdomain);
}

void kc_v_update_service_account(
    struct kc_v *v, const struct json_object *o, const struct json_object *old, const char *subresource)
{
        (void)subresource; /* token is not stored */
        kc_v_meta_update(v, o, old);
        kc_v_create_service_account(v, o);
}

/* --- Namespaces */

static void namespace_finalizers(struct kc_v *v, const struct json_object *o, bool indexed)
{
        const struct json_object *list = kc_json_at(o, "spec.finalizers");
        for (size_t i = 0; i < kc_json_len(list); i++) {
                const char *name = kc_json_as_str(kc_json_idx(list, i));
                const struct kc_vpath *p = V_CHILD2(NULL, "spec", "finalizers");
                const struct kc_vpath *at = indexed ? V_INDEX(p, i) : p;
                kc_v_name(v, at, name ? name : "", kc_name_label_key);
                kc_v_kube_finalizer(v, at, name ? name : "");
        }
}

void kc_v_create_namespace(struct kc_v *v, const struct json_object *o)
{
        kc_v_meta(v, o, false, kc_name_dns1123_label);
        namespace_finalizers(v, o, false);
}

void kc_v_update_namespace(
    struct kc_v *v, const struct json_object *o, const struct json_object *old, const char *subresource)
{
        const char *phase = kc_v_str(kc_json_get(o, "status"), "phase");
        const struct kc_vpath *p = V_CHILD2(NULL, "status", "Phase");
        bool deleting = kc_json_at(o, "metadata.deletionTimestamp") != NULL;
        kc_v_meta_update(v, o, old);
        if (kc_streq(subresource, "finalize"))
                namespace_finalizers(v, o, true);
        if (!kc_streq(subresource, "status"))
                return;
        if (!deleting && !kc_streq(phase, "Active"))
                kc_v_invalid_str(v, p, phase, "may only be 'Active' if `deletionTimestamp` is empty");
        if (deleting && !kc_streq(phase, "Terminating"))
                kc_v_invalid_str(v, p, phase, "may only be 'Terminating' if `deletionTimestamp` is not empty");
}
