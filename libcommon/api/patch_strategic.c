/* Applying a strategic merge patch: as apimachinery's strategicpatch does, with patch strategies and merge keys from
 * the schema. Pure functions: any thread. */
#include "api/patch_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/status.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"

static int merge_object(
    struct json_object *target, const struct json_object *patch, const struct kc_type *type, struct kc_error *err);

struct kc_patch_field kc_patch_field_of(const struct kc_type *type, const char *key)
{
        struct kc_patch_field ret = {0};
        if (type && type->kind == KC_TYPE_MAP)
                ret.type = type->elem;
        if (!type || type->kind != KC_TYPE_OBJECT)
                return ret;
        const struct kc_field *f = kc_type_field(type, key);
        if (!f)
                return ret;
        ret.type = f->type->kind == KC_TYPE_ARRAY ? f->type->elem : f->type;
        ret.merge_key = f->merge_key;
        ret.merge = f->flags & KC_FIELD_PATCH_MERGE;
        ret.replace = f->flags & KC_FIELD_PATCH_REPLACE;
        ret.retain_keys = f->flags & KC_FIELD_PATCH_RETAIN_KEYS;
        return ret;
}

struct kc_patch_index {
        struct kc_map *at; /* text of the key -> position + 1 */
        char *merge_key;
};

struct kc_patch_index *kc_patch_index_new(const struct json_object *list, const char *merge_key)
{
        struct kc_patch_index *x = KC_NEW(struct kc_patch_index);
        x->at = kc_map_new(NULL);
        x->merge_key = kc_strdup(merge_key);
        for (size_t i = 0; i < kc_json_len(list); i++)
                kc_patch_index_add(x, kc_json_idx(list, i), i);
        return x;
}

void kc_patch_index_free(struct kc_patch_index *x)
{
        kc_map_free(x->at);
        kc_free(x->merge_key);
        kc_free(x);
}

static char *index_key(const struct kc_patch_index *x, const struct json_object *element)
{
        struct kc_buf b = KC_BUF_INIT;
        kc_json_write_sorted(&b, x->merge_key ? kc_json_get(element, x->merge_key) : element);
        return kc_buf_take_str(&b);
}

void kc_patch_index_add(struct kc_patch_index *x, const struct json_object *element, size_t at)
{
        KC_CLEANUP(kc_freep) char *key = index_key(x, element);
        if (!kc_map_has(x->at, key))
                (void)kc_map_set(x->at, key, (void *)(at + 1)); /* new, as we know */
}

int64_t kc_patch_index_find(const struct kc_patch_index *x, const struct json_object *element)
{
        KC_CLEANUP(kc_freep) char *key = index_key(x, element);
        return (int64_t)(uintptr_t)kc_map_get(x->at, key) - 1;
}

/* Upstream knows no status for these: the client sees 500 and the text. */
static int broken_patch(struct kc_error *err, const char *before, const struct json_object *v, const char *after)
{
        struct kc_buf b = KC_BUF_INIT;
        kc_go_value_add(&b, v);
        int r = kc_error_set_api(err, 500, "", "%s%s%s", before, kc_buf_str(&b), after);
        kc_buf_done(&b);
        return r;
}

int kc_patch_no_merge_key(struct kc_error *err, const struct json_object *element, const char *merge_key)
{
        KC_CLEANUP(kc_freep) char *after = kc_asprintf(" does not contain declared merge key: %s", merge_key);
        return broken_patch(err, "map: ", element, after);
}

static bool is_directive(const char *key)
{
        return strcmp(key, KC_PATCH_DIRECTIVE) == 0 || strcmp(key, KC_PATCH_RETAIN_KEYS) == 0 ||
               kc_str_has_prefix(key, KC_PATCH_SET_ORDER) || kc_str_has_prefix(key, KC_PATCH_DELETE_FROM);
}

static void clear_object(struct json_object *o)
{
        KC_JSON_FOREACH(o, key, value)
        kc_json_del(o, key);
}

static int unknown_directive(struct kc_error *err, const char *directive, const struct json_object *patch)
{
        KC_CLEANUP(kc_freep)
        char *before = kc_asprintf("unknown patch type found: %s in map: ", directive ? directive : "<nil>");
        return broken_patch(err, before, patch, "");
}

/* $retainKeys: every key of the patch is in the list, and the object keeps only what is. */
static int apply_retain_keys(struct json_object *target, const struct json_object *patch, struct kc_error *err)
{
        struct json_object *v;
        if (!json_object_object_get_ex(patch, KC_PATCH_RETAIN_KEYS, &v))
                return 0;
        if (!kc_json_is_arr(v))
                return kc_err_bad_request(err, "invalid patch format of retainKeys");
        KC_CLEANUP(kc_strv_freep) char **keep = NULL;
        for (size_t i = 0; i < kc_json_len(v); i++) {
                const char *key = kc_json_as_str(kc_json_idx(v, i));
                if (key)
                        kc_strv_push(&keep, key);
        }
        KC_JSON_FOREACH(patch, key, value)
        {
                if (!is_directive(key) && !kc_strv_has(keep, key))
                        return kc_err_bad_request(err, "invalid patch format of retainKeys");
        }
        KC_JSON_FOREACH(target, key, value)
        {
                if (!kc_strv_has(keep, key))
                        kc_json_del(target, key);
        }
        return 0;
}

static struct json_object *share(const struct json_object *v)
{
        return json_object_get((struct json_object *)v); /* within one tree of the caller's own */
}

static int compare_ranks(const void *a, const void *b)
{
        const int64_t *x = a, *y = b;
        return x[0] != y[0] ? (x[0] > y[0]) - (x[0] < y[0]) : (x[1] > y[1]) - (x[1] < y[1]);
}

/* Elements of list that are in order (or, for inside false, that are not), sorted by their place in rank. */
static struct json_object *pick_sorted(
    const struct json_object *list, const struct kc_patch_index *order, bool inside, const struct kc_patch_index *rank)
{
        size_t n = kc_json_len(list), found = 0;
        int64_t(*at)[2] = kc_calloc(n + 1, sizeof(*at));
        for (size_t i = 0; i < n; i++) {
                const struct json_object *e = kc_json_idx(list, i);
                if ((kc_patch_index_find(order, e) >= 0) != inside)
                        continue;
                int64_t place = kc_patch_index_find(rank, e);
                at[found][0] = place < 0 ? INT64_MAX : place;
                at[found++][1] = (int64_t)i;
        }
        qsort(at, found, sizeof(*at), compare_ranks);
        struct json_object *out = json_object_new_array();
        for (size_t i = 0; i < found; i++)
                kc_json_push(out, share(kc_json_idx(list, (size_t)at[i][1])));
        kc_free(at);
        return out;
}

/* The elements that the patch speaks of, in its order; the others keep their place relative to those that were there
 * before. */
static struct json_object *ordered(const struct json_object *merged, const struct json_object *patch_order,
    const struct json_object *server_order, const char *merge_key)
{
        KC_CLEANUP(kc_patch_index_freep) struct kc_patch_index *by_patch = kc_patch_index_new(patch_order, merge_key);
        KC_CLEANUP(kc_patch_index_freep) struct kc_patch_index *by_server = kc_patch_index_new(server_order, merge_key);
        KC_CLEANUP(kc_json_freep) struct json_object *patched = pick_sorted(merged, by_patch, true, by_patch);
        KC_CLEANUP(kc_json_freep) struct json_object *others = pick_sorted(merged, by_patch, false, by_server);
        struct json_object *out = json_object_new_array();
        size_t i = 0, j = 0, n = kc_json_len(others), m = kc_json_len(patched);
        while (i < n || j < m) {
                bool take_other = j == m;
                if (i < n && j < m) {
                        int64_t a = kc_patch_index_find(by_server, kc_json_idx(others, i));
                        int64_t b = kc_patch_index_find(by_server, kc_json_idx(patched, j));
                        take_other = a >= 0 && b >= 0 && a < b;
                }
                kc_json_push(out, share(take_other ? kc_json_idx(others, i++) : kc_json_idx(patched, j++)));
        }
        return out;
}

/* Without the elements that are in gone. Consumes list. */
static struct json_object *without(struct json_object *take_list, const struct json_object *gone, const char *merge_key)
{
        if (kc_json_len(gone) == 0)
                return take_list;
        KC_CLEANUP(kc_patch_index_freep) struct kc_patch_index *x = kc_patch_index_new(gone, merge_key);
        struct json_object *out = json_object_new_array();
        for (size_t i = 0; i < kc_json_len(take_list); i++) {
                const struct json_object *e = kc_json_idx(take_list, i);
                if (kc_patch_index_find(x, e) < 0)
                        kc_json_push(out, share(e));
        }
        kc_json_free(take_list);
        return out;
}

/* Handles the elements with $patch: delete removes what matches, replace lets the rest of the patch stand alone. What
 * is left of the patch is in *ret. */
static int special_elements(struct json_object **list, const struct json_object *patch, const char *merge_key,
    struct json_object **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *rest = json_object_new_array();
        KC_CLEANUP(kc_json_freep) struct json_object *gone = json_object_new_array();
        bool replace = false;
        for (size_t i = 0; i < kc_json_len(patch); i++) {
                const struct json_object *e = kc_json_idx(patch, i);
                const char *directive = kc_json_str(e, KC_PATCH_DIRECTIVE);
                if (!kc_json_is_obj(e))
                        return kc_error_set_api(err, 500, "", "list element types are not identical");
                if (!directive && !kc_json_get(e, KC_PATCH_DIRECTIVE)) {
                        kc_json_push(rest, kc_json_copy(e));
                } else if (kc_streq(directive, "delete")) {
                        if (!kc_json_get(e, merge_key))
                                return kc_patch_no_merge_key(err, e, merge_key);
                        kc_json_push(gone, kc_json_copy(e));
                } else if (kc_streq(directive, "replace")) {
                        replace = true;
                } else if (kc_streq(directive, "merge")) {
                        return kc_error_set_api(err, 500, "", "merging lists cannot yet be specified in the patch");
                } else {
                        return unknown_directive(err, directive, e);
                }
        }
        if (replace) {
                kc_json_free(*list);
                *list = json_object_new_array();
        } else {
                *list = without(*list, gone, merge_key);
        }
        *ret = KC_TAKE(rest);
        return 0;
}

static int merge_object_list(struct json_object *take_list, const struct json_object *patch,
    const struct kc_patch_field *field, struct json_object **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *list = take_list, *rest = NULL;
        const char *mk = field->merge_key;
        if (!mk)
                return kc_error_set_api(err, 500, "", "cannot merge lists without merge key for %s",
                    field->type && field->type->name ? field->type->name : "this type");
        int r = special_elements(&list, patch, mk, &rest, err);
        if (r < 0)
                return r;
        KC_CLEANUP(kc_json_freep) struct json_object *before = kc_json_copy(list);
        KC_CLEANUP(kc_patch_index_freep) struct kc_patch_index *x = kc_patch_index_new(list, mk);
        for (size_t i = 0; i < kc_json_len(rest); i++) {
                const struct json_object *e = kc_json_idx(rest, i);
                if (!kc_json_get(e, mk))
                        return kc_patch_no_merge_key(err, e, mk);
                int64_t at = kc_patch_index_find(x, e);
                struct json_object *target = at >= 0 ? kc_json_idx_mut(list, (size_t)at) : json_object_new_object();
                if (at < 0) {
                        kc_patch_index_add(x, e, kc_json_len(list));
                        kc_json_push(list, target);
                }
                r = merge_object(target, e, field->type, err);
                if (r < 0)
                        return r;
        }
        *ret = ordered(list, rest, before, mk);
        return 0;
}

static struct json_object *merge_scalar_list(struct json_object *take_list, const struct json_object *patch)
{
        KC_CLEANUP(kc_json_freep) struct json_object *list = take_list, *all = json_object_new_array();
        KC_CLEANUP(kc_patch_index_freep) struct kc_patch_index *x = kc_patch_index_new(NULL, NULL);
        for (size_t i = 0; i < kc_json_len(list) + kc_json_len(patch); i++) {
                const struct json_object *e =
                    i < kc_json_len(list) ? kc_json_idx(list, i) : kc_json_idx(patch, i - kc_json_len(list));
                if (kc_patch_index_find(x, e) >= 0)
                        continue;
                kc_patch_index_add(x, e, kc_json_len(all));
                kc_json_push(all, kc_json_copy(e));
        }
        return ordered(all, patch, list, NULL);
}

static int merge_list(struct json_object *take_list, const struct json_object *patch,
    const struct kc_patch_field *field, struct json_object **ret, struct kc_error *err)
{
        const struct json_object *first = kc_json_len(patch) ? kc_json_idx(patch, 0) : kc_json_idx(take_list, 0);
        if (kc_json_is_arr(first)) {
                kc_json_free(take_list);
                return kc_error_set_api(
                    err, 422, KC_REASON_INVALID, "the server rejected our request due to an error in our request");
        }
        if (kc_json_is_obj(first))
                return merge_object_list(take_list, patch, field, ret, err);
        *ret = merge_scalar_list(take_list, patch);
        return 0;
}

/* $setElementOrder lists what the patch knows of: its elements must be among them, in that order. */
static int check_order(
    const struct json_object *patch, const struct json_object *order, const char *merge_key, struct kc_error *err)
{
        KC_CLEANUP(kc_patch_index_freep) struct kc_patch_index *x = kc_patch_index_new(order, merge_key);
        int64_t last = -1;
        for (size_t i = 0; i < kc_json_len(patch); i++) {
                const struct json_object *e = kc_json_idx(patch, i);
                if (kc_json_get(e, KC_PATCH_DIRECTIVE))
                        continue;
                if (merge_key && !kc_json_get(e, merge_key))
                        return kc_patch_no_merge_key(err, e, merge_key);
                int64_t at = kc_patch_index_find(x, e);
                if (at < 0 || at <= last) {
                        struct kc_buf b = KC_BUF_INIT;
                        kc_buf_adds(&b, "The order in patch list:\n");
                        kc_go_value_add(&b, patch);
                        kc_buf_adds(&b, "\n doesn't match $setElementOrder list:\n");
                        kc_go_value_add(&b, order);
                        kc_buf_adds(&b, "\n");
                        int r = kc_err_bad_request(err, "%s", kc_buf_str(&b));
                        kc_buf_done(&b);
                        return r;
                }
                last = at;
        }
        return 0;
}

/* One list field: its part of the patch, its deletions and its order, each of which may be missing. */
static int patch_list(struct json_object *target, const char *key, const struct json_object *patch,
    const struct json_object *deletions, const struct json_object *order, const struct kc_patch_field *field,
    struct kc_error *err)
{
        struct json_object *list = kc_json_get_mut(target, key);
        if (!kc_json_is_arr(list)) {
                if (!patch)
                        return 0;
                list = json_object_new_array();
                kc_json_set(target, key, list);
        }
        if (order && !kc_json_is_arr(order))
                return kc_err_bad_request(err, "invalid patch format of setElementOrder list");
        const char *merge_key = order && !kc_json_is_obj(kc_json_idx(order, 0)) ? NULL : field->merge_key;
        int r = order ? check_order(patch, order, merge_key, err) : 0;
        if (r < 0)
                return r;
        KC_CLEANUP(kc_json_freep) struct json_object *before = kc_json_copy(list);
        struct json_object *merged = without(json_object_get(list), deletions, NULL);
        r = patch ? merge_list(merged, patch, field, &merged, err) : 0;
        if (r < 0)
                return r;
        if (order) {
                struct json_object *sorted = ordered(merged, order, before, merge_key);
                kc_json_free(merged);
                merged = sorted;
        }
        kc_json_set(target, key, merged);
        return 0;
}

static int patch_value(struct json_object *target, const struct json_object *patch, const char *key,
    const struct kc_type *type, struct kc_error *err)
{
        const struct json_object *value = kc_json_get(patch, key);
        struct kc_patch_field field = kc_patch_field_of(type, key);
        if (!value) {
                kc_json_del(target, key);
                return 0;
        }
        if (kc_json_is_obj(value) && !field.replace) {
                struct json_object *child = kc_json_get_mut(target, key);
                if (!kc_json_is_obj(child)) {
                        child = json_object_new_object();
                        kc_json_set(target, key, child);
                }
                return merge_object(child, value, field.type, err);
        }
        if (!kc_json_is_arr(value) || !field.merge) {
                kc_json_set(target, key, kc_json_copy(value));
                return 0;
        }
        KC_CLEANUP(kc_freep) char *deletions = kc_asprintf("%s%s", KC_PATCH_DELETE_FROM, key);
        KC_CLEANUP(kc_freep) char *order = kc_asprintf("%s%s", KC_PATCH_SET_ORDER, key);
        return patch_list(target, key, value, kc_json_get(patch, deletions), kc_json_get(patch, order), &field, err);
}

/* A directive for a list that has no part in the patch itself. */
static int patch_list_directive(struct json_object *target, const struct json_object *patch, const char *directive,
    const struct kc_type *type, struct kc_error *err)
{
        const char *key = strchr(directive, '/') + 1;
        struct json_object *v;
        if (json_object_object_get_ex(patch, key, &v))
                return 0; /* with the list */
        if (!kc_json_is_arr(kc_json_get(patch, directive)))
                return kc_err_bad_request(err, "invalid patch format of %s",
                    *KC_PATCH_SET_ORDER == *directive && strncmp(directive, "$set", 4) == 0 ? "setElementOrder list"
                                                                                            : "primitive list");
        KC_CLEANUP(kc_freep) char *deletions = kc_asprintf("%s%s", KC_PATCH_DELETE_FROM, key);
        KC_CLEANUP(kc_freep) char *order = kc_asprintf("%s%s", KC_PATCH_SET_ORDER, key);
        struct kc_patch_field field = kc_patch_field_of(type, key);
        return patch_list(target, key, NULL, kc_json_get(patch, deletions), kc_json_get(patch, order), &field, err);
}

static int merge_object(
    struct json_object *target, const struct json_object *patch, const struct kc_type *type, struct kc_error *err)
{
        struct json_object *directive;
        if (json_object_object_get_ex(patch, KC_PATCH_DIRECTIVE, &directive)) {
                const char *s = kc_json_as_str(directive);
                if (!kc_streq(s, "replace") && !kc_streq(s, "delete"))
                        return unknown_directive(err, s, patch);
                clear_object(target);
                if (*s == 'd')
                        return 0;
        }
        int r = apply_retain_keys(target, patch, err);
        if (r < 0)
                return r;
        KC_JSON_FOREACH(patch, key, value)
        {
                if (kc_str_has_prefix(key, KC_PATCH_SET_ORDER) || kc_str_has_prefix(key, KC_PATCH_DELETE_FROM))
                        r = patch_list_directive(target, patch, key, type, err);
                else if (!is_directive(key))
                        r = patch_value(target, patch, key, type, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

int kc_patch_strategic(
    struct json_object **doc, const struct json_object *patch, const struct kc_type *type, struct kc_error *err)
{
        if (!kc_json_is_obj(patch))
                return kc_err_bad_request(err, "error decoding patch: not a JSON object");
        if (!kc_json_is_obj(*doc)) {
                kc_json_free(*doc);
                *doc = json_object_new_object();
        }
        return merge_object(*doc, patch, type, err);
}
