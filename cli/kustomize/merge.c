/* Strategic merge as kustomize does it: like a server's, but what a patch brings into a list comes first. Any thread.
 */
#include <errno.h>
#include <string.h>

#include "api/patch.h"
#include "api/schema.h"
#include "base/str.h"
#include "cli/kustomize/kustomize_internal.h"

static struct json_object *merge_value(const struct json_object *old, const struct json_object *patch,
    const struct kc_field *field, const struct kc_type *type);

/* Nulls in what is new mean nothing, and neither do directives. */
static struct json_object *clean(const struct json_object *o)
{
        if (kc_json_is_arr(o)) {
                struct json_object *a = json_object_new_array();
                for (size_t i = 0; i < kc_json_len(o); i++)
                        kc_json_push(a, clean(kc_json_idx(o, i)));
                return a;
        }
        if (!kc_json_is_obj(o))
                return kc_json_copy(o);
        struct json_object *copy = json_object_new_object();
        KC_JSON_FOREACH(o, key, val)
        {
                if (val && key[0] != '$')
                        kc_json_set(copy, key, clean(val));
        }
        return copy;
}

static bool is_directive(const struct json_object *o, const char *word)
{
        return kc_streq(kc_json_str(o, "$patch"), word);
}

/* NULL: the patch deletes it. */
static struct json_object *merge_object(
    const struct json_object *old, const struct json_object *patch, const struct kc_type *type)
{
        if (is_directive(patch, "delete"))
                return NULL;
        if (is_directive(patch, "replace") || !kc_json_is_obj(old))
                return clean(patch);
        struct json_object *merged = kc_json_copy(old);
        KC_JSON_FOREACH(patch, key, val)
        {
                const struct kc_field *field = type && type->kind == KC_TYPE_OBJECT ? kc_type_field(type, key) : NULL;
                const struct kc_type *child = field                               ? field->type
                                              : type && type->kind == KC_TYPE_MAP ? type->elem
                                                                                  : NULL;
                if (key[0] == '$')
                        continue;
                struct json_object *value = val ? merge_value(kc_json_get(old, key), val, field, child) : NULL;
                if (value)
                        kc_json_set(merged, key, value);
                else
                        kc_json_del(merged, key);
        }
        return merged;
}

/* --- lists whose elements have keys */

static bool same_keys(const struct json_object *a, const struct json_object *b, const char *const *keys)
{
        bool any = false;
        for (; *keys; keys++) {
                const struct json_object *x = kc_json_get(a, *keys), *y = kc_json_get(b, *keys);
                if (!x)
                        continue;
                any = true;
                if (!y || !kc_json_equal(x, y))
                        return false;
        }
        return any;
}

static const struct json_object *find(
    const struct json_object *list, const struct json_object *like, const char *const *keys)
{
        for (size_t i = 0; i < kc_json_len(list); i++)
                if (same_keys(like, kc_json_idx(list, i), keys))
                        return kc_json_idx(list, i);
        return NULL;
}

static struct json_object *merge_keyed(
    const struct json_object *old, const struct json_object *patch, const char *const *keys, const struct kc_type *elem)
{
        struct json_object *merged = json_object_new_array();
        for (size_t i = 0; i < kc_json_len(patch); i++)
                if (is_directive(kc_json_idx(patch, i), "replace") && kc_json_n_keys(kc_json_idx(patch, i)) == 1)
                        old = NULL;
        for (size_t i = 0; i < kc_json_len(patch); i++) {
                const struct json_object *p = kc_json_idx(patch, i);
                if (kc_json_n_keys(p) == 1 && kc_json_get(p, "$patch"))
                        continue;
                struct json_object *value = merge_object(find(old, p, keys), p, elem);
                if (value)
                        kc_json_push(merged, value);
        }
        for (size_t i = 0; i < kc_json_len(old); i++) {
                const struct json_object *o = kc_json_idx(old, i);
                bool named = false;
                for (size_t k = 0; k < kc_json_len(patch); k++)
                        named = named || same_keys(kc_json_idx(patch, k), o, keys);
                if (!named)
                        kc_json_push(merged, kc_json_copy(o));
        }
        return merged;
}

static bool has(const struct json_object *list, const struct json_object *value)
{
        for (size_t i = 0; i < kc_json_len(list); i++)
                if (kc_json_equal(kc_json_idx(list, i), value))
                        return true;
        return false;
}

static struct json_object *merge_set(const struct json_object *old, const struct json_object *patch)
{
        struct json_object *merged = clean(patch);
        for (size_t i = 0; i < kc_json_len(old); i++)
                if (!has(merged, kc_json_idx(old, i)))
                        kc_json_push(merged, kc_json_copy(kc_json_idx(old, i)));
        return merged;
}

static struct json_object *merge_list(const struct json_object *old, const struct json_object *patch,
    const struct kc_field *field, const struct kc_type *type)
{
        bool merges = field && (field->flags & KC_FIELD_PATCH_MERGE) && type && type->kind == KC_TYPE_ARRAY;
        const char *one[] = {field ? field->merge_key : NULL, NULL};
        if (!merges)
                return clean(patch);
        if (!one[0])
                return merge_set(old, patch);
        return merge_keyed(old, patch, type->list_map_keys ? type->list_map_keys : one, type->elem);
}

static struct json_object *merge_value(const struct json_object *old, const struct json_object *patch,
    const struct kc_field *field, const struct kc_type *type)
{
        if (kc_json_is_obj(patch))
                return merge_object(old, patch, type);
        if (kc_json_is_arr(patch))
                return merge_list(old, patch, field, type);
        return kc_json_copy(patch);
}

int kustomize_merge(struct json_object **doc, const struct json_object *patch, struct kc_error *err)
{
        (void)err;
        KC_CLEANUP(kc_freep) char *group = NULL;
        KC_CLEANUP(kc_freep) char *version = NULL;
        const char *api_version = kc_json_str(*doc, "apiVersion"), *kind = kc_json_str(*doc, "kind");
        kc_api_version_split(api_version ? api_version : "", &group, &version);
        const struct kc_resource *known = kind ? kc_schema_kind(group, version, kind) : NULL;
        struct json_object *merged = merge_object(*doc, patch, known ? known->type : NULL);
        kc_json_free(*doc);
        *doc = merged;
        return 0;
}
