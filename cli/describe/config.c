/* ConfigMap, Secret, ServiceAccount. */
#include <string.h>

#include "base/encode.h"
#include "cli/describe/internal.h"

/* Bytes that base64 stands for. */
static size_t decoded_len(const char *s)
{
        size_t n = s ? strlen(s) : 0, padding = 0;
        while (padding < 2 && padding < n && s[n - 1 - padding] == '=')
                padding++;
        return n / 4 * 3 - padding;
}

int kc_describe_config_map(struct kc_describing *d, struct kc_error *err)
{
        (void)err;
        const struct json_object *data = kc_json_get(d->obj, "data"), *binary = kc_json_get(d->obj, "binaryData");
        KC_CLEANUP(kc_strv_freep) char **keys = kc_sorted_keys(data);
        KC_CLEANUP(kc_strv_freep) char **binary_keys = kc_sorted_keys(binary);
        kc_describe_name(d);
        kc_describe_namespace(d);
        kc_describe_meta(d);
        kc_line(d, 0, "\nData\n====\n");
        for (char **k = keys; k && *k; k++)
                kc_line(d, 0, "%s:\n----\n%s\n\n", *k, kc_json_str(data, *k));
        kc_line(d, 0, "\nBinaryData\n====\n");
        for (char **k = binary_keys; k && *k; k++)
                kc_line(d, 0, "%s: %zu bytes\n", *k, decoded_len(kc_json_str(binary, *k)));
        kc_line(d, 0, "\n");
        kc_describe_events(d);
        return 0;
}

#define TOKEN_TYPE "kubernetes.io/service-account-token"

int kc_describe_secret(struct kc_describing *d, struct kc_error *err)
{
        (void)err;
        const struct json_object *data = kc_json_get(d->obj, "data");
        const char *type = kc_text(d->obj, "type");
        KC_CLEANUP(kc_strv_freep) char **keys = kc_sorted_keys(data);
        kc_describe_name(d);
        kc_describe_namespace(d);
        kc_describe_meta(d);
        kc_line(d, 0, "\nType:\t%s\n", type);
        kc_line(d, 0, "\nData\n====\n");
        for (char **k = keys; k && *k; k++) {
                const char *value = kc_json_str(data, *k);
                KC_CLEANUP(kc_buf_done) struct kc_buf plain = KC_BUF_INIT;
                if (kc_streq(type, TOKEN_TYPE) && kc_streq(*k, "token") && value &&
                    kc_base64_decode(value, strlen(value), &plain) == 0)
                        kc_line(d, 0, "%s:\t%s\n", *k, kc_buf_str(&plain));
                else
                        kc_line(d, 0, "%s:\t%zu bytes\n", *k, decoded_len(value));
        }
        return 0;
}

/* --- ServiceAccount */

static bool is_token_of(const struct json_object *secret, const struct json_object *account)
{
        return kc_streq(kc_text(secret, "type"), TOKEN_TYPE) &&
               kc_streq(kc_meta_annotation(secret, "kubernetes.io/service-account.name"), kc_meta_name(account)) &&
               kc_streq(kc_meta_annotation(secret, "kubernetes.io/service-account.uid"), kc_meta_uid(account));
}

static void describe_names(
    struct kc_describing *d, const char *title, char *const *names, const struct json_object *secrets)
{
        kc_line(d, 0, "%s:\t%s", title, names ? "" : "<none>\n");
        for (char *const *n = names; n && *n; n++) {
                bool found = false;
                for (size_t i = 0; i < kc_json_len(secrets); i++)
                        found = found || kc_streq(kc_meta_name(kc_json_idx(secrets, i)), *n);
                kc_line(d, 0, "%s%s%s\n", n == names ? "" : "\t", *n, found ? "" : " (not found)");
        }
}

static char **names_of(const struct json_object *refs)
{
        char **names = NULL;
        for (size_t i = 0; i < kc_json_len(refs); i++)
                kc_strv_push(&names, kc_text(kc_json_idx(refs, i), "name"));
        return names;
}

int kc_describe_service_account(struct kc_describing *d, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *secrets = NULL;
        KC_CLEANUP(kc_strv_freep) char **pull = names_of(kc_json_get(d->obj, "imagePullSecrets"));
        KC_CLEANUP(kc_strv_freep) char **mountable = names_of(kc_json_get(d->obj, "secrets"));
        KC_CLEANUP(kc_strv_freep) char **tokens = NULL;
        int e = kc_describe_list(d, &KC_SECRETS, kc_text(d->obj, "metadata.namespace"), NULL, NULL, &secrets, err);
        if (e < 0 && !kc_error_is(err, KC_REASON_FORBIDDEN))
                return e;
        kc_error_done(err);
        for (size_t i = 0; i < kc_json_len(secrets); i++)
                if (is_token_of(kc_json_idx(secrets, i), d->obj))
                        kc_strv_push(&tokens, kc_meta_name(kc_json_idx(secrets, i)));
        kc_describe_name(d);
        kc_describe_namespace(d);
        kc_describe_meta(d);
        describe_names(d, "Image pull secrets", pull, secrets);
        describe_names(d, "Mountable secrets", mountable, secrets);
        describe_names(d, "Tokens", tokens, secrets);
        kc_describe_events(d);
        return 0;
}
