/* What values are to server-side apply, by the schema: shapes, elements of lists. Pure: any thread. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/structured_internal.h"
#include "base/log.h"
#include "base/str.h"

enum st_shape st_shape_of(struct st_type t, const struct json_object *v)
{
        if (t.atomic)
                return ST_LEAF;
        switch (t.type->kind) {
        case KC_TYPE_OBJECT:
                return t.type->map_atomic && !t.granular ? ST_LEAF : ST_MAP;
        case KC_TYPE_MAP:
                return ST_MAP;
        case KC_TYPE_ARRAY:
                return t.type->list_type == KC_LIST_ATOMIC ? ST_LEAF : ST_LIST;
        case KC_TYPE_RAW:
        case KC_TYPE_VARIANT: /* has no schema of its own in OpenAPI, either */
                return kc_json_is_obj(v) ? ST_MAP : ST_LEAF;
        default:
                return ST_LEAF;
        }
}

bool st_field(struct st_type t, const char *name, struct st_type *ret, bool *ret_named)
{
        *ret_named = false;
        if (t.type->kind == KC_TYPE_MAP) {
                *ret = (struct st_type){.type = t.type->elem};
                return true;
        }
        if (t.type->kind == KC_TYPE_OBJECT) {
                const struct kc_field *f = kc_type_field(t.type, name);
                if (f) {
                        *ret_named = true;
                        *ret = (struct st_type){.type = f->type,
                            .atomic = f->flags & KC_FIELD_MAP_ATOMIC,
                            .granular = f->flags & KC_FIELD_MAP_GRANULAR};
                        return true;
                }
                if (!t.type->preserve_unknown)
                        return false;
        }
        *ret = (struct st_type){.type = kc_schema_scalar(KC_TYPE_RAW)};
        return true;
}

struct st_type st_element(struct st_type list)
{
        return (struct st_type){.type = list.type->elem ? list.type->elem : kc_schema_scalar(KC_TYPE_RAW)};
}

struct st_value st_get(const struct json_object *map, const char *name)
{
        struct st_value ret = {0};
        struct json_object *v = NULL;
        if (map)
                ret.set = json_object_object_get_ex(map, name, &v);
        ret.v = v;
        return ret;
}

const struct json_object *st_filled(struct st_value v, enum st_shape shape)
{
        if (shape == ST_MAP)
                return kc_json_n_keys(v.v) > 0 ? v.v : NULL;
        return kc_json_len(v.v) > 0 ? v.v : NULL;
}

static bool is_number(const struct json_object *v)
{
        return json_object_is_type(v, json_type_int) || json_object_is_type(v, json_type_double);
}

bool st_equal(const struct json_object *a, const struct json_object *b)
{
        if (json_object_get_type(a) != json_object_get_type(b))
                return is_number(a) && is_number(b) && json_object_get_double(a) == json_object_get_double(b);
        if (kc_json_is_arr(a)) {
                if (kc_json_len(a) != kc_json_len(b))
                        return false;
                for (size_t i = 0; i < kc_json_len(a); i++)
                        if (!st_equal(kc_json_idx(a, i), kc_json_idx(b, i)))
                                return false;
                return true;
        }
        if (!kc_json_is_obj(a))
                return kc_json_equal(a, b);
        if (kc_json_n_keys(a) != kc_json_n_keys(b))
                return false;
        KC_JSON_FOREACH(a, key, val)
        {
                struct st_value other = st_get(b, key);
                if (!other.set || !st_equal(val, other.v))
                        return false;
        }
        return true;
}

bool kc_structured_equal(const struct json_object *a, const struct json_object *b)
{
        return st_equal(a, b);
}

/* --- elements of lists */

enum { MAX_KEYS = 8 };

/* The value of a key: the element's, or the schema's default, which is parsed into *ret_default. */
static struct st_value key_value(
    const struct kc_type *element, const struct json_object *item, const char *name, struct json_object **ret_default)
{
        struct st_value v = st_get(item, name);
        const struct kc_field *f = v.set ? NULL : kc_type_field(element, name);
        *ret_default = NULL;
        if (!f || !f->default_json)
                return v;
        if (kc_json_parse(f->default_json, strlen(f->default_json), NULL, ret_default, NULL) < 0)
                kc_log_warn("A static default is no JSON value, ignoring", "field", name);
        v.v = *ret_default;
        v.set = *ret_default != NULL;
        return v;
}

static int key_names(const struct kc_type *list, const char *names[static MAX_KEYS])
{
        int n = 0;
        for (; list->list_map_keys && list->list_map_keys[n] && n < MAX_KEYS; n++) {
                int at = n;
                for (; at > 0 && strcmp(names[at - 1], list->list_map_keys[n]) > 0; at--)
                        names[at] = names[at - 1];
                names[at] = list->list_map_keys[n];
        }
        return n;
}

static int key_item(struct kc_arena *a, struct st_type list, const struct json_object *item,
    struct kc_path_element *ret, struct kc_error *why)
{
        const char *names[MAX_KEYS];
        const struct json_object *values[MAX_KEYS];
        struct json_object *defaults[MAX_KEYS] = {0};
        int n = key_names(list.type, names), r = 0;
        if (!item)
                return kc_error_set(why, EINVAL, "associative list with keys may not have a null element");
        if (!kc_json_is_obj(item))
                return kc_error_set(why, EINVAL, "associative list with keys may not have non-map elements");
        for (int i = 0; i < n && r == 0; i++) {
                struct st_value v = key_value(st_element(list).type, item, names[i], &defaults[i]);
                values[i] = v.v;
                if (!v.set)
                        r = kc_error_set(why, EINVAL,
                            "associative list with keys has an element that omits key field \"%s\" (and doesn't have "
                            "default value)",
                            names[i]);
        }
        if (r == 0)
                *ret = kc_path_key(a, names, values, (size_t)n);
        for (int i = 0; i < n; i++)
                kc_json_free(defaults[i]);
        return r;
}

int st_item(struct kc_arena *a, struct st_type list, const struct json_object *item, struct kc_path_element *ret,
    struct kc_error *why)
{
        if (list.type->list_type == KC_LIST_MAP)
                return key_item(a, list, item, ret, why);
        if (!item)
                return kc_error_set(
                    why, EINVAL, "associative list without keys has an element that's an explicit null");
        if (kc_json_is_obj(item))
                return kc_error_set(why, EINVAL, "associative list without keys has an element that's a map type");
        if (kc_json_is_arr(item))
                return kc_error_set(why, EINVAL, "not supported: associative list with lists as elements");
        *ret = kc_path_value(a, item);
        return 0;
}

bool st_same_keys(struct st_type list, const struct json_object *a, const struct json_object *b)
{
        if (list.type->list_type != KC_LIST_MAP)
                return !kc_json_is_obj(a) && st_equal(a, b);
        if (!kc_json_is_obj(a) || !kc_json_is_obj(b))
                return false;
        const char *const *names = list.type->list_map_keys;
        for (size_t i = 0; names && names[i]; i++) {
                struct st_value x = st_get(a, names[i]), y = st_get(b, names[i]);
                if (x.set != y.set || !st_equal(x.v, y.v))
                        return false;
        }
        return true;
}

static int compare_entries(const void *a, const void *b)
{
        const struct st_entry *x = a, *y = b;
        int c = kc_path_element_cmp(&x->at, &y->at);
        return c ? c : (x->pos > y->pos) - (x->pos < y->pos);
}

void st_index_make(struct kc_arena *a, struct st_type list, const struct json_object *array, struct st_index *ret)
{
        *ret = (struct st_index){.n = kc_json_len(array)};
        if (ret->n == 0)
                return;
        ret->all = kc_arena_alloc(a, ret->n * sizeof(*ret->all));
        ret->sorted = kc_arena_alloc(a, ret->n * sizeof(*ret->sorted));
        for (size_t i = 0; i < ret->n; i++) {
                struct st_entry *e = &ret->all[i];
                e->pos = (uint32_t)i;
                e->bad = st_item(a, list, kc_json_idx(array, i), &e->at, NULL) < 0;
                if (!e->bad)
                        ret->sorted[ret->n_sorted++] = *e;
        }
        qsort(ret->sorted, ret->n_sorted, sizeof(*ret->sorted), compare_entries);
}

const struct st_entry *st_index_find(const struct st_index *x, const struct kc_path_element *e, size_t *ret_n)
{
        size_t lo = 0, hi = x->n_sorted, n = 0;
        while (lo < hi) {
                size_t mid = lo + (hi - lo) / 2;
                if (kc_path_element_cmp(&x->sorted[mid].at, e) < 0)
                        lo = mid + 1;
                else
                        hi = mid;
        }
        while (lo + n < x->n_sorted && kc_path_element_cmp(&x->sorted[lo + n].at, e) == 0)
                n++;
        *ret_n = n;
        return n ? &x->sorted[lo] : NULL;
}
