/* Structural validation: what the tables alone can say about an object. */
#include <string.h>

#include "api/codec_internal.h"
#include "base/mem.h"
#include "base/str.h"

static void validate_value(
    const struct json_object *v, const struct kc_type *type, const char *path, struct kc_field_errors *errors);

static void validate_object(
    const struct json_object *o, const struct kc_type *type, const char *path, struct kc_field_errors *errors)
{
        for (size_t i = 0; i < type->n_fields; i++) {
                const struct kc_field *f = &type->fields[type->order ? type->order[i] : i];
                const struct json_object *v = kc_json_get(o, f->name);
                KC_CLEANUP(kc_freep) char *here = *path ? kc_asprintf("%s.%s", path, f->name) : kc_strdup(f->name);
                if (v)
                        validate_value(v, f->type, here, errors);
                else if (f->flags & KC_FIELD_REQUIRED)
                        kc_field_required(errors, here, "");
        }
}

static char *list_key(const struct json_object *elem, const struct kc_type *type)
{
        struct kc_buf b = KC_BUF_INIT;
        if (type->list_type == KC_LIST_SET) {
                kc_json_write_sorted(&b, elem);
                return kc_buf_take_str(&b);
        }
        for (const char *const *k = type->list_map_keys; k && *k; k++) {
                kc_buf_adds(&b, b.len ? "," : "{");
                kc_json_write_string(&b, *k, strlen(*k));
                kc_buf_addc(&b, ':');
                kc_json_write(&b, kc_json_get(elem, *k));
        }
        kc_buf_addc(&b, '}');
        return kc_buf_take_str(&b);
}

static void validate_unique(
    const struct json_object *a, const struct kc_type *type, const char *path, struct kc_field_errors *errors)
{
        KC_CLEANUP(kc_strv_freep) char **seen = NULL;
        for (size_t i = 0; i < kc_json_len(a); i++) {
                char *key = list_key(kc_json_idx(a, i), type);
                if (seen && kc_strv_has(seen, key)) {
                        KC_CLEANUP(kc_freep) char *here = kc_asprintf("%s[%zu]", path, i);
                        kc_field_duplicate(errors, here, key);
                        kc_free(key);
                } else {
                        kc_strv_push_take(&seen, key);
                }
        }
}

static void validate_enum(
    const struct json_object *v, const struct kc_type *type, const char *path, struct kc_field_errors *errors)
{
        const char *s = kc_json_as_str(v);
        for (const char *const *e = type->enums; s && *e; e++)
                if (kc_streq(s, *e))
                        return;
        if (s)
                kc_field_not_supported(errors, path, s, type->enums);
}

static void validate_value(
    const struct json_object *v, const struct kc_type *type, const char *path, struct kc_field_errors *errors)
{
        if (type->kind == KC_TYPE_OBJECT) {
                validate_object(v, type, path, errors);
        } else if (type->kind == KC_TYPE_MAP) {
                KC_JSON_FOREACH(v, key, val)
                {
                        KC_CLEANUP(kc_freep) char *here = kc_asprintf("%s[%s]", path, key);
                        validate_value(val, type->elem, here, errors);
                }
        } else if (type->kind == KC_TYPE_ARRAY) {
                for (size_t i = 0; i < kc_json_len(v); i++) {
                        KC_CLEANUP(kc_freep) char *here = kc_asprintf("%s[%zu]", path, i);
                        validate_value(kc_json_idx(v, i), type->elem, here, errors);
                }
                if (type->list_type != KC_LIST_ATOMIC)
                        validate_unique(v, type, path, errors);
        } else if (type->kind == KC_TYPE_STRING && type->enums) {
                validate_enum(v, type, path, errors);
        }
}

void kc_codec_validate(
    const struct json_object *tree, const struct kc_type *type, const char *path, struct kc_field_errors *errors)
{
        validate_value(tree, type, path ? path : "", errors);
}
