/* Reading, changing, copying and comparing trees. Reading never writes to a tree: any thread may do it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "json/json_internal.h"

void kc_json_die(const char *why)
{
        kc_log_write(
            KC_LOG_FATAL, 0, __FILE__, __LINE__, "Cannot build a JSON value", NULL, "reason", why, (char *)NULL);
        abort();
}

/* json-c constructors return NULL on exhaustion only. */
static struct json_object *must(struct json_object *o)
{
        if (!o)
                kc_json_die("out of memory");
        return o;
}

void kc_json_free(struct json_object *take_o)
{
        if (take_o)
                json_object_put(take_o);
}

bool kc_json_is_obj(const struct json_object *o)
{
        return json_object_is_type(o, json_type_object);
}

bool kc_json_is_arr(const struct json_object *o)
{
        return json_object_is_type(o, json_type_array);
}

const void *kc_json_first(const struct json_object *o)
{
        return kc_json_is_obj(o) ? json_object_get_object(o)->head : NULL;
}

const char *kc_json_next(const char **at, const struct json_object **ret_val)
{
        const struct lh_entry *e = (const struct lh_entry *)(const void *)*at;
        if (!e)
                return NULL;
        *at = (const char *)e->next;
        *ret_val = lh_entry_v(e);
        return lh_entry_k(e);
}

/* --- Reading */

const struct json_object *kc_json_get(const struct json_object *o, const char *key)
{
        struct json_object *v;
        return kc_json_is_obj(o) && json_object_object_get_ex(o, key, &v) ? v : NULL;
}

/* The next key of the path in *ret_key (in buf, or on the heap in *heap, to be freed); false at its end. */
static bool next_key(const char **path, char *buf, size_t size, char **heap, const char **ret_key)
{
        if (!*path || !**path)
                return false;
        const char *dot = strchrnul(*path, '.');
        size_t len = (size_t)(dot - *path);
        kc_free(*heap);
        *heap = len < size ? NULL : kc_strndup(*path, len);
        if (len < size) {
                memcpy(buf, *path, len);
                buf[len] = '\0';
        }
        *ret_key = *heap ? *heap : buf;
        *path = *dot ? dot + 1 : dot;
        return true;
}

const struct json_object *kc_json_at(const struct json_object *o, const char *path)
{
        KC_CLEANUP(kc_freep) char *heap = NULL;
        char buf[128];
        const char *key;
        while (o && next_key(&path, buf, sizeof(buf), &heap, &key))
                o = kc_json_get(o, key);
        return o;
}

const char *kc_json_as_str(const struct json_object *o)
{
        /* On a string json_object_get_string only returns its bytes. */
        return json_object_is_type(o, json_type_string) ? json_object_get_string((struct json_object *)o) : NULL;
}

const char *kc_json_str(const struct json_object *o, const char *key)
{
        return kc_json_as_str(kc_json_get(o, key));
}

const char *kc_json_str_at(const struct json_object *o, const char *path)
{
        return kc_json_as_str(kc_json_at(o, path));
}

static int64_t as_int(const struct json_object *v, int64_t def)
{
        return json_object_is_type(v, json_type_int) ? json_object_get_int64(v) : def;
}

int64_t kc_json_int(const struct json_object *o, const char *key, int64_t def)
{
        return as_int(kc_json_get(o, key), def);
}

int64_t kc_json_int_at(const struct json_object *o, const char *path, int64_t def)
{
        return as_int(kc_json_at(o, path), def);
}

static bool as_bool(const struct json_object *v, bool def)
{
        return json_object_is_type(v, json_type_boolean) ? json_object_get_boolean(v) : def;
}

bool kc_json_bool(const struct json_object *o, const char *key, bool def)
{
        return as_bool(kc_json_get(o, key), def);
}

bool kc_json_bool_at(const struct json_object *o, const char *path, bool def)
{
        return as_bool(kc_json_at(o, path), def);
}

size_t kc_json_len(const struct json_object *array)
{
        return kc_json_is_arr(array) ? json_object_array_length(array) : 0;
}

const struct json_object *kc_json_idx(const struct json_object *array, size_t i)
{
        return i < kc_json_len(array) ? json_object_array_get_idx(array, i) : NULL;
}

const struct json_object *kc_json_find(const struct json_object *array, const char *key, const char *value)
{
        for (size_t i = 0; value && i < kc_json_len(array); i++) {
                const struct json_object *o = kc_json_idx(array, i);
                if (kc_streq(kc_json_str(o, key), value))
                        return o;
        }
        return NULL;
}

size_t kc_json_n_keys(const struct json_object *o)
{
        return kc_json_is_obj(o) ? (size_t)json_object_object_length(o) : 0;
}

/* --- Changing */

int kc_json_attach(struct json_object *parent, const char *key, struct json_object *take_v)
{
        int r = key ? json_object_object_add(parent, key, take_v) : json_object_array_add(parent, take_v);
        if (r == 0)
                return 0;
        kc_json_free(take_v);
        return -ENOMEM;
}

static void attach(struct json_object *parent, const char *key, struct json_object *take_v)
{
        if (kc_json_attach(parent, key, take_v) < 0)
                kc_json_die("out of memory");
}

void kc_json_set(struct json_object *o, const char *key, struct json_object *take_v)
{
        struct json_object *old;
        /* json-c would drop the only reference to a value that is set once more. */
        if (take_v && json_object_object_get_ex(o, key, &old) && old == take_v)
                return;
        attach(o, key, take_v);
}

void kc_json_set_str(struct json_object *o, const char *key, const char *v)
{
        if (v)
                attach(o, key, must(json_object_new_string(v))); /* copied before the old value goes: v may be in it */
        else
                kc_json_del(o, key);
}

void kc_json_set_int(struct json_object *o, const char *key, int64_t v)
{
        attach(o, key, must(json_object_new_int64(v)));
}

void kc_json_set_bool(struct json_object *o, const char *key, bool v)
{
        attach(o, key, must(json_object_new_boolean(v)));
}

void kc_json_del(struct json_object *o, const char *key)
{
        if (kc_json_is_obj(o))
                json_object_object_del(o, key);
}

struct json_object *kc_json_get_mut(struct json_object *o, const char *key)
{
        return (struct json_object *)kc_json_get(o, key);
}

struct json_object *kc_json_at_mut(struct json_object *o, const char *path)
{
        return (struct json_object *)kc_json_at(o, path);
}

struct json_object *kc_json_idx_mut(struct json_object *array, size_t i)
{
        return (struct json_object *)kc_json_idx(array, i);
}

static struct json_object *ensure(struct json_object *o, const char *path, enum json_type last_type)
{
        KC_CLEANUP(kc_freep) char *heap = NULL;
        char buf[128];
        const char *key;
        while (next_key(&path, buf, sizeof(buf), &heap, &key)) {
                enum json_type type = *path ? json_type_object : last_type;
                struct json_object *next = kc_json_get_mut(o, key);
                if (!next || !json_object_is_type(next, type)) {
                        next = must(type == json_type_object ? json_object_new_object() : json_object_new_array_ext(4));
                        attach(o, key, next);
                }
                o = next;
        }
        return o;
}

struct json_object *kc_json_ensure_obj(struct json_object *o, const char *path)
{
        return ensure(o, path, json_type_object);
}

struct json_object *kc_json_ensure_arr(struct json_object *o, const char *path)
{
        return ensure(o, path, json_type_array);
}

void kc_json_push(struct json_object *array, struct json_object *take_v)
{
        attach(array, NULL, take_v);
}

void kc_json_push_str(struct json_object *array, const char *v)
{
        attach(array, NULL, v ? must(json_object_new_string(v)) : NULL);
}

/* --- Whole trees */

static struct json_object *copy_scalar(const struct json_object *o)
{
        switch (json_object_get_type(o)) {
        case json_type_boolean:
                return json_object_new_boolean(json_object_get_boolean(o));
        case json_type_double:
                return json_object_new_double(json_object_get_double(o));
        case json_type_int:
                if (json_object_get_int64(o) == INT64_MAX)
                        return json_object_new_uint64(json_object_get_uint64(o));
                return json_object_new_int64(json_object_get_int64(o));
        default:
                if (kc_json_raw(o))
                        return kc_json_new_raw(kc_json_raw(o), (size_t)json_object_get_string_len(o));
                return json_object_new_string_len(kc_json_as_str(o), json_object_get_string_len(o));
        }
}

/* A string whose userdata is this. */
static const char raw_marker[] = "raw";

struct json_object *kc_json_new_raw(const char *text, size_t len)
{
        struct json_object *o = must(json_object_new_string_len(text, (int)len));
        json_object_set_userdata(o, (void *)raw_marker, NULL);
        return o;
}

const char *kc_json_raw(const struct json_object *o)
{
        /* Reading userdata changes nothing, whatever json-c's prototype says. */
        bool raw = json_object_is_type(o, json_type_string) &&
                   json_object_get_userdata((struct json_object *)o) == (const void *)raw_marker;
        return raw ? kc_json_as_str(o) : NULL;
}

struct json_object *kc_json_expand(const struct json_object *o)
{
        const char *text = kc_json_raw(o);
        struct json_object *tree = NULL;
        if (!text)
                return kc_json_copy(o);
        (void)kc_json_parse(text, strlen(text), NULL, &tree, NULL); /* it was valid */
        return tree;
}

/* One of them is text. */
static bool equal_expanded(const struct json_object *a, const struct json_object *b)
{
        KC_CLEANUP(kc_json_freep) struct json_object *x = kc_json_expand(a), *y = kc_json_expand(b);
        return kc_json_equal(x, y);
}

struct json_object *kc_json_copy(const struct json_object *o)
{
        if (!o)
                return NULL;
        if (kc_json_is_obj(o)) {
                struct json_object *copy = must(json_object_new_object());
                KC_JSON_FOREACH(o, key, val)
                {
                        attach(copy, key, kc_json_copy(val));
                }
                return copy;
        }
        if (kc_json_is_arr(o)) {
                size_t n = kc_json_len(o);
                struct json_object *copy = must(json_object_new_array_ext((int)KC_MAX(n, (size_t)1)));
                for (size_t i = 0; i < n; i++)
                        attach(copy, NULL, kc_json_copy(kc_json_idx(o, i)));
                return copy;
        }
        return must(copy_scalar(o));
}

static bool equal_objects(const struct json_object *a, const struct json_object *b)
{
        if (kc_json_n_keys(a) != kc_json_n_keys(b))
                return false;
        KC_JSON_FOREACH(a, key, val)
        {
                struct json_object *other;
                if (!json_object_object_get_ex(b, key, &other) || !kc_json_equal(val, other))
                        return false;
        }
        return true;
}

static bool equal_arrays(const struct json_object *a, const struct json_object *b)
{
        if (kc_json_len(a) != kc_json_len(b))
                return false;
        for (size_t i = 0; i < kc_json_len(a); i++)
                if (!kc_json_equal(kc_json_idx(a, i), kc_json_idx(b, i)))
                        return false;
        return true;
}

bool kc_json_equal(const struct json_object *a, const struct json_object *b)
{
        if (a == b)
                return true;
        if (!a || !b)
                return false;
        if ((kc_json_raw(a) || kc_json_raw(b)) && !kc_streq(kc_json_raw(a), kc_json_raw(b)))
                return equal_expanded(a, b);
        if (json_object_get_type(a) != json_object_get_type(b))
                return false;
        switch (json_object_get_type(a)) {
        case json_type_object:
                return equal_objects(a, b);
        case json_type_array:
                return equal_arrays(a, b);
        case json_type_boolean:
                return json_object_get_boolean(a) == json_object_get_boolean(b);
        case json_type_double:
                return json_object_get_double(a) == json_object_get_double(b);
        case json_type_int:
                return json_object_get_int64(a) == json_object_get_int64(b) &&
                       json_object_get_uint64(a) == json_object_get_uint64(b);
        default:
                return kc_streq(kc_json_as_str(a), kc_json_as_str(b));
        }
}
