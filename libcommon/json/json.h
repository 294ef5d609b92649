/* JSON values are json-c's struct json_object trees; this adds strict, limited parsing, path access and thread-safe
 * output. Strings hold no NUL characters: the parsers reject them. A tree that more than one thread can see is
 * immutable: no json_object_get/put on it (their counts are not atomic), no json_object_to_json_string (it caches
 * inside): copy with kc_json_copy, print with kc_json_write.
 *
 * Accessors take const trees, accept NULL (as an absent value) and never convert between types. */
#pragma once

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

struct kc_json_limits {
        size_t max_bytes;
        int max_depth;    /* nesting of objects and arrays */
        size_t max_nodes; /* values in all; for YAML after alias expansion */
        bool words_stay;  /* YAML: yes, no, on, off, y and n are text, as goyaml.v3 reads them */
        bool raw_fields;  /* metadata.managedFields[].fieldsV1 stays text: see kc_json_new_raw */
};
/* 3 MiB, 128 levels, 400,000 values: what an API request may hold. */
extern const struct kc_json_limits kc_json_default_limits;
/* The same, with raw_fields: for API objects. */
extern const struct kc_json_limits kc_json_object_limits;

/* Strict RFC 8259 and UTF-8, exactly one value; integers outside int64 become doubles as in Go's unstructured decoding.
 * Messages say line and column. A repeated key: the last one wins (ask kc_json_duplicates). *ret is the caller's
 * (kc_json_free); a JSON null is a NULL tree with return 0. limits NULL: the default ones. */
int kc_json_parse(
    const char *data, size_t len, const struct kc_json_limits *limits, struct json_object **ret, struct kc_error *err);
/* Calls fn for every key of every object, in the order of the text, with its path ("spec.containers[0].name"); again:
 * the object has had it already. data is valid JSON, as kc_json_parse says. */
typedef void (*kc_json_key_fn)(const char *path, bool again, void *arg);
void kc_json_each_key(const char *data, size_t len, kc_json_key_fn fn, void *arg);
/* Paths of keys that are repeated in one object, e.g. "spec.containers[0].name"; NULL if none, the first ones
 * if there are many. data must be valid. */
enum { KC_JSON_MAX_DUPLICATES = 100 };
char **kc_json_duplicates(const char *data, size_t len);

void kc_json_free(struct json_object *take_o);
KC_DEFINE_CLEANUP(struct json_object *, kc_json_free)
struct json_object *kc_json_copy(const struct json_object *o);
/* Deep equality; object key order does not matter; 1 and 1.0 differ in type and are not equal. */
bool kc_json_equal(const struct json_object *a, const struct json_object *b);

/* An object that is kept as its text, which is valid, compact JSON: what is mostly handed through (FieldsV1) costs
 * nothing to copy, compare and print then. To accessors it is no object; printers print what it says, and kc_json_equal
 * compares what it says. */
struct json_object *kc_json_new_raw(const char *text, size_t len);
/* The text, or NULL: not such an object. Borrowed. */
const char *kc_json_raw(const struct json_object *o);
/* The tree of the text; of other values a copy. The caller's. */
struct json_object *kc_json_expand(const struct json_object *o);

/* Compact, no HTML escaping, keys in insertion order; never modifies o. */
void kc_json_write(struct kc_buf *b, const struct json_object *o);
/* Keys sorted bytewise at every level. */
void kc_json_write_sorted(struct kc_buf *b, const struct json_object *o);
/* indent spaces per level (kubectl: 4, sorted). */
void kc_json_write_pretty(struct kc_buf *b, const struct json_object *o, int indent, bool sorted);
/* Appends a JSON string literal with quotes. */
void kc_json_write_string(struct kc_buf *b, const char *s, size_t len);
char *kc_json_to_str(const struct json_object *o);

/* --- Reading. A path is keys joined by dots, "spec.template.metadata"; a key that contains a dot needs kc_json_get. */
const struct json_object *kc_json_get(const struct json_object *o, const char *key);
const struct json_object *kc_json_at(const struct json_object *o, const char *path);
/* NULL unless a string. Borrowed. */
const char *kc_json_str(const struct json_object *o, const char *key);
const char *kc_json_str_at(const struct json_object *o, const char *path);
/* def unless an integer. */
int64_t kc_json_int(const struct json_object *o, const char *key, int64_t def);
int64_t kc_json_int_at(const struct json_object *o, const char *path, int64_t def);
bool kc_json_bool(const struct json_object *o, const char *key, bool def);
bool kc_json_bool_at(const struct json_object *o, const char *path, bool def);
/* The string itself; NULL unless o is a string. */
const char *kc_json_as_str(const struct json_object *o);
/* Elements of an array; 0 for anything else. */
size_t kc_json_len(const struct json_object *array);
const struct json_object *kc_json_idx(const struct json_object *array, size_t i);
/* The element of a list of objects whose key equals value ("name"/"web"); NULL if none. */
const struct json_object *kc_json_find(const struct json_object *array, const char *key, const char *value);
bool kc_json_is_obj(const struct json_object *o);
bool kc_json_is_arr(const struct json_object *o);
/* Number of keys of an object; 0 for anything else. */
size_t kc_json_n_keys(const struct json_object *o);

/* KC_JSON_FOREACH(obj, key, val) { ... } in insertion order: key a const char *, val a const struct json_object * (NULL
 * for null). A NULL or non-object obj has no keys. The current key may be deleted in the body. */
#define KC_JSON_FOREACH(obj, key, val)                                                                                 \
        for (const struct json_object *val = NULL, *val##_once = (const struct json_object *)""; val##_once;           \
             val##_once = NULL)                                                                                        \
                for (const char *key##_at = (const char *)kc_json_first(obj), *key = kc_json_next(&key##_at, &val);    \
                     key; key = kc_json_next(&key##_at, &val))
/* The steps of KC_JSON_FOREACH: the first entry, and the key (NULL at the end) and value at *at, which moves on. */
const void *kc_json_first(const struct json_object *o);
const char *kc_json_next(const char **at, const struct json_object **ret_val);

/* --- Writing, on trees that the caller owns. Setters replace an existing key in place. */
void kc_json_set(struct json_object *o, const char *key, struct json_object *take_v);
void kc_json_set_str(struct json_object *o, const char *key, const char *v); /* v NULL: removes the key */
void kc_json_set_int(struct json_object *o, const char *key, int64_t v);
void kc_json_set_bool(struct json_object *o, const char *key, bool v);
void kc_json_del(struct json_object *o, const char *key);
/* Mutable access: NULL if absent. */
struct json_object *kc_json_get_mut(struct json_object *o, const char *key);
struct json_object *kc_json_at_mut(struct json_object *o, const char *path);
struct json_object *kc_json_idx_mut(struct json_object *array, size_t i);
/* The object (array) at path, with missing parents made; what is in the way and of another type is replaced. */
struct json_object *kc_json_ensure_obj(struct json_object *o, const char *path);
struct json_object *kc_json_ensure_arr(struct json_object *o, const char *path);
void kc_json_push(struct json_object *array, struct json_object *take_v);
void kc_json_push_str(struct json_object *array, const char *v);
/* printf-built JSON for literals in code and tests, with %-escapes for values: %s a JSON string of a C string (NULL:
 * null; also as a key), %d int, %ld and %lld int64, %f double, %b bool, %o a struct json_object * that is taken. Aborts
 * on a malformed format. Single quotes may stand for double quotes:
 * kc_json_build("{'kind':'Pod','metadata':{'name':%s}}", name). */
struct json_object *kc_json_build(const char *fmt, ...);
