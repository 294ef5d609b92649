/* Making strategic merge patches: the difference of two objects, and the three-way patch of client-side apply
 * (apimachinery's CreateThreeWayMergePatch). Pure functions: any thread. */
#include "api/patch_internal.h"

#include <string.h>

#include "api/status.h"
#include "base/mem.h"
#include "base/str.h"

/* Which half of the difference is wanted. */
enum half { ADDITIONS, DELETIONS };

static int diff_objects(const struct json_object *a, const struct json_object *b, const struct kc_type *type,
    enum half half, bool retain_keys, struct json_object **ret, struct kc_error *err);

static bool is_object_list(const struct json_object *a, const struct json_object *b)
{
        return kc_json_is_obj(kc_json_len(a) ? kc_json_idx(a, 0) : kc_json_idx(b, 0));
}

/* The elements of b that are new or changed (with their merge key), or those that only a has (to be deleted). */
static int diff_object_lists(const struct json_object *a, const struct json_object *b,
    const struct kc_patch_field *field, enum half half, struct json_object *out, struct kc_error *err)
{
        const char *mk = field->merge_key;
        KC_CLEANUP(kc_patch_index_freep) struct kc_patch_index *in_a = kc_patch_index_new(a, mk);
        KC_CLEANUP(kc_patch_index_freep) struct kc_patch_index *in_b = kc_patch_index_new(b, mk);
        for (size_t i = 0; i < kc_json_len(b); i++) {
                const struct json_object *e = kc_json_idx(b, i);
                if (!kc_json_get(e, mk))
                        return kc_patch_no_merge_key(err, e, mk);
                int64_t at = kc_patch_index_find(in_a, e);
                struct json_object *child = NULL;
                if (at < 0) {
                        if (half == ADDITIONS)
                                kc_json_push(out, kc_json_copy(e));
                        continue;
                }
                int r = diff_objects(kc_json_idx(a, (size_t)at), e, field->type, half, field->retain_keys, &child, err);
                if (r < 0)
                        return r;
                if (child) {
                        kc_json_set(child, mk, kc_json_copy(kc_json_get(e, mk)));
                        kc_json_push(out, child);
                }
        }
        for (size_t i = 0; half == DELETIONS && i < kc_json_len(a); i++) {
                const struct json_object *e = kc_json_idx(a, i);
                if (!kc_json_get(e, mk))
                        return kc_patch_no_merge_key(err, e, mk);
                if (kc_patch_index_find(in_b, e) >= 0)
                        continue;
                struct json_object *gone = kc_json_build("{'$patch':'delete'}");
                kc_json_set(gone, mk, kc_json_copy(kc_json_get(e, mk)));
                kc_json_push(out, gone);
        }
        return 0;
}

static struct json_object *keys_of(const struct json_object *list, const char *merge_key)
{
        struct json_object *out = json_object_new_array();
        for (size_t i = 0; i < kc_json_len(list); i++) {
                struct json_object *e = json_object_new_object();
                kc_json_set(e, merge_key, kc_json_copy(kc_json_get(kc_json_idx(list, i), merge_key)));
                kc_json_push(out, e);
        }
        return out;
}

static bool same_order(const struct json_object *a, const struct json_object *b, const char *merge_key)
{
        KC_CLEANUP(kc_patch_index_freep) struct kc_patch_index *in_a = kc_patch_index_new(a, merge_key);
        int64_t last = -1;
        for (size_t i = 0; i < kc_json_len(b); i++) {
                int64_t at = kc_patch_index_find(in_a, kc_json_idx(b, i));
                if (at >= 0 && at < last)
                        return false;
                last = at >= 0 ? at : last;
        }
        return true;
}

/* Sets prefix+key unless the list is empty, which is then freed. */
static void set_list(struct json_object *patch, const char *prefix, const char *key, struct json_object *take_list)
{
        if (kc_json_len(take_list) == 0) {
                kc_json_free(take_list);
                return;
        }
        KC_CLEANUP(kc_freep) char *name = kc_asprintf("%s%s", prefix, key);
        kc_json_set(patch, name, take_list);
}

static void diff_scalar_lists(struct json_object *patch, const char *key, const struct json_object *a,
    const struct json_object *b, enum half half)
{
        const struct json_object *from = half == ADDITIONS ? b : a, *other = half == ADDITIONS ? a : b;
        KC_CLEANUP(kc_patch_index_freep) struct kc_patch_index *known = kc_patch_index_new(other, NULL);
        struct json_object *list = json_object_new_array();
        for (size_t i = 0; i < kc_json_len(from); i++) {
                const struct json_object *e = kc_json_idx(from, i);
                if (kc_patch_index_find(known, e) >= 0)
                        continue;
                kc_patch_index_add(known, e, i);
                kc_json_push(list, kc_json_copy(e));
        }
        bool changed = half == ADDITIONS ? !kc_json_equal(a, b) : kc_json_len(list) > 0;
        set_list(patch, half == ADDITIONS ? "" : KC_PATCH_DELETE_FROM, key, list);
        if (changed)
                set_list(patch, KC_PATCH_SET_ORDER, key, kc_json_copy(b));
}

static int diff_lists(struct json_object *patch, const char *key, const struct json_object *a,
    const struct json_object *b, const struct kc_patch_field *field, enum half half, struct kc_error *err)
{
        if (kc_json_len(a) == 0) {
                if (kc_json_len(b) && half == ADDITIONS)
                        kc_json_set(patch, key, kc_json_copy(b));
                return 0;
        }
        if (!is_object_list(a, b)) {
                diff_scalar_lists(patch, key, a, b, half);
                return 0;
        }
        if (!field->merge_key)
                return kc_error_set_api(err, 500, "", "cannot diff lists without merge key for %s", key);
        KC_CLEANUP(kc_json_freep) struct json_object *list = json_object_new_array();
        int r = diff_object_lists(a, b, field, half, list, err);
        if (r < 0)
                return r;
        bool changed = kc_json_len(list) > 0 || (half == ADDITIONS && !same_order(a, b, field->merge_key));
        set_list(patch, "", key, KC_TAKE(list));
        if (changed)
                set_list(patch, KC_PATCH_SET_ORDER, key, keys_of(b, field->merge_key));
        return 0;
}

static bool same_json_type(const struct json_object *a, const struct json_object *b)
{
        return json_object_get_type(a) == json_object_get_type(b);
}

static int diff_value(struct json_object *patch, const char *key, const struct json_object *a,
    const struct json_object *b, const struct kc_type *type, enum half half, struct kc_error *err)
{
        struct kc_patch_field field = kc_patch_field_of(type, key);
        if (same_json_type(a, b) && kc_json_is_obj(b) && !field.replace) {
                struct json_object *child = NULL;
                int r = diff_objects(a, b, field.type, half, field.retain_keys, &child, err);
                if (child)
                        kc_json_set(patch, key, child);
                return r;
        }
        if (same_json_type(a, b) && kc_json_is_arr(b) && field.merge)
                return diff_lists(patch, key, a, b, &field, half, err);
        if (half == ADDITIONS && !kc_json_equal(a, b))
                kc_json_set(patch, key, kc_json_copy(b));
        return 0;
}

static struct json_object *sorted_keys(const struct json_object *o)
{
        KC_CLEANUP(kc_strv_freep) char **keys = NULL;
        KC_JSON_FOREACH(o, key, value)
        kc_strv_push(&keys, key);
        if (keys)
                kc_strv_sort(keys);
        struct json_object *out = json_object_new_array();
        for (size_t i = 0; keys && keys[i]; i++)
                kc_json_push_str(out, keys[i]);
        return out;
}

/* NULL in *ret: no difference. */
static int diff_objects(const struct json_object *a, const struct json_object *b, const struct kc_type *type,
    enum half half, bool retain_keys, struct json_object **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *patch = json_object_new_object();
        bool a_has_more = false;
        struct json_object *old;
        KC_JSON_FOREACH(b, key, value)
        {
                int r = 0;
                if (!json_object_object_get_ex(a, key, &old)) {
                        if (half == ADDITIONS)
                                kc_json_set(patch, key, kc_json_copy(value));
                } else {
                        r = diff_value(patch, key, old, value, type, half, err);
                }
                if (r < 0)
                        return r;
        }
        KC_JSON_FOREACH(a, key, value)
        {
                if (json_object_object_get_ex(b, key, &old))
                        continue;
                a_has_more = true;
                if (half == DELETIONS)
                        kc_json_set(patch, key, NULL);
        }
        if (retain_keys && kc_json_n_keys(b) && (kc_json_n_keys(patch) || a_has_more))
                kc_json_set(patch, KC_PATCH_RETAIN_KEYS, sorted_keys(b));
        if (kc_json_n_keys(patch))
                *ret = KC_TAKE(patch);
        return 0;
}

/* A patch's list as its $setElementOrder says, with what is deleted behind: the elements have come from two halves. */
static void put_in_order(struct json_object *patch, const char *key, const char *merge_key)
{
        KC_CLEANUP(kc_freep) char *name = kc_asprintf("%s%s", KC_PATCH_SET_ORDER, key);
        const struct json_object *order = kc_json_get(patch, name), *list = kc_json_get(patch, key);
        if (!merge_key || !order)
                return;
        KC_CLEANUP(kc_patch_index_freep)
        struct kc_patch_index *places = kc_patch_index_new(order, merge_key),
                              *there = kc_patch_index_new(list, merge_key);
        struct json_object *sorted = json_object_new_array();
        for (size_t i = 0; i < kc_json_len(order); i++) {
                int64_t at = kc_patch_index_find(there, kc_json_idx(order, i));
                if (at >= 0)
                        kc_json_push(sorted, kc_json_copy(kc_json_idx(list, (size_t)at)));
        }
        for (size_t i = 0; i < kc_json_len(list); i++)
                if (kc_patch_index_find(places, kc_json_idx(list, i)) < 0)
                        kc_json_push(sorted, kc_json_copy(kc_json_idx(list, i)));
        kc_json_set(patch, key, sorted);
}

/* Puts one patch over another: what it says wins, lists that are merged become one. */
static void overlay(struct json_object *target, const struct json_object *patch, const struct kc_type *type)
{
        KC_JSON_FOREACH(patch, key, value)
        {
                struct kc_patch_field field = kc_patch_field_of(type, key);
                struct json_object *have = kc_json_get_mut(target, key);
                if (kc_json_is_obj(have) && kc_json_is_obj(value)) {
                        overlay(have, value, field.type);
                        continue;
                }
                if (!field.merge || !kc_json_is_arr(have) || !kc_json_is_arr(value)) {
                        kc_json_set(target, key, kc_json_copy(value));
                        continue;
                }
                const char *mk = is_object_list(have, value) ? field.merge_key : NULL;
                KC_CLEANUP(kc_patch_index_freep) struct kc_patch_index *known = kc_patch_index_new(have, mk);
                for (size_t i = 0; i < kc_json_len(value); i++) {
                        const struct json_object *e = kc_json_idx(value, i);
                        int64_t at = kc_patch_index_find(known, e);
                        if (at < 0)
                                kc_json_push(have, kc_json_copy(e));
                        else if (mk)
                                overlay(kc_json_idx_mut(have, (size_t)at), e, field.type);
                }
                put_in_order(target, key, mk);
        }
}

int kc_patch_three_way_strategic(const struct json_object *original, const struct json_object *modified,
    const struct json_object *current, const struct kc_type *type, struct json_object **ret_patch, struct kc_error *err)
{
        if (!kc_json_is_obj(modified) || !kc_json_is_obj(current))
                return kc_err_bad_request(err, "cannot compare what is no object");
        KC_CLEANUP(kc_json_freep) struct json_object *additions = NULL, *patch = NULL;
        int r = diff_objects(current, modified, type, ADDITIONS, false, &additions, err);
        if (r == 0)
                r = diff_objects(original, modified, type, DELETIONS, false, &patch, err);
        if (r < 0)
                return r;
        if (!patch)
                patch = json_object_new_object();
        overlay(patch, additions, type);
        *ret_patch = KC_TAKE(patch);
        return 0;
}
