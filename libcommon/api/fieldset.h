/* Sets of field paths: what metadata.managedFields and server-side apply speak of (structured-merge-diff's fieldpath).
 *
 *   set --> node[] in order: { path element, member?, children --> set ... }
 *
 *   {"f:metadata":{"f:labels":{".":{},"f:app":{}}}}   holds metadata.labels and metadata.labels.app
 *
 * A member is a field that is in the set; a node that is none is there for its children only. Sets live in an arena and
 * are immutable once they have been built, so that results share parts with operands. NULL is the empty set. Nothing
 * here is thread-safe beyond that: one thread for one arena. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "json/json.h"

/* In upstream's order. */
enum kc_path_kind {
        KC_PATH_FIELD, /* a field of a struct or a key of a map */
        KC_PATH_KEY,   /* an element of a list by the values of its keys */
        KC_PATH_VALUE, /* an element of a set */
        KC_PATH_INDEX, /* an element of an atomic list, for messages */
};

/* bytes: for fields the name; else an encoding whose bytewise order is upstream's order of elements. */
struct kc_path_element {
        enum kc_path_kind kind;
        uint32_t len;
        const char *bytes;
};

struct kc_fieldset_node {
        struct kc_path_element at;
        bool member;
        const struct kc_fieldset *children; /* NULL: none */
};

struct kc_fieldset {
        struct kc_fieldset_node *v; /* in order; each is a member or has children */
        size_t n, cap;
};

/* --- path elements */

/* Borrows name. */
struct kc_path_element kc_path_field(const char *name);
struct kc_path_element kc_path_index(struct kc_arena *a, size_t i);
/* A scalar; NULL is null. */
struct kc_path_element kc_path_value(struct kc_arena *a, const struct json_object *v);
/* Keys in ascending order of their names. */
struct kc_path_element kc_path_key(
    struct kc_arena *a, const char *const *names, const struct json_object *const *values, size_t n);
int kc_path_element_cmp(const struct kc_path_element *a, const struct kc_path_element *b);
/* ".spec", "[name=\"web\"]", "[=\"a\"]", "[3]" */
void kc_path_element_format(struct kc_buf *b, const struct kc_path_element *e);

/* --- sets */

/* Adds the path, not its parents; set must not have been shared with other sets yet. n 0: nothing. Sub-sets that it
 * changes are its own. */
void kc_fieldset_insert(struct kc_arena *a, struct kc_fieldset *set, const struct kc_path_element *path, size_t n);
/* For names only: "metadata", "labels". NULL-terminated. */
void kc_fieldset_insert_names(struct kc_arena *a, struct kc_fieldset *set, const char *const *names);
bool kc_fieldset_empty(const struct kc_fieldset *set);
size_t kc_fieldset_size(const struct kc_fieldset *set); /* members */
bool kc_fieldset_has(const struct kc_fieldset *set, const struct kc_path_element *path, size_t n);
const struct kc_fieldset_node *kc_fieldset_find(const struct kc_fieldset *set, const struct kc_path_element *e);
bool kc_fieldset_equal(const struct kc_fieldset *a, const struct kc_fieldset *b);
const struct kc_fieldset *kc_fieldset_union(
    struct kc_arena *ar, const struct kc_fieldset *a, const struct kc_fieldset *b);
const struct kc_fieldset *kc_fieldset_intersection(
    struct kc_arena *ar, const struct kc_fieldset *a, const struct kc_fieldset *b);
/* Members of a that are not members of b: a parent in b does not take a's children away. */
const struct kc_fieldset *kc_fieldset_difference(
    struct kc_arena *ar, const struct kc_fieldset *a, const struct kc_fieldset *b);
/* ... and it does. */
const struct kc_fieldset *kc_fieldset_recursive_difference(
    struct kc_arena *ar, const struct kc_fieldset *a, const struct kc_fieldset *b);
/* The members that have no children. */
const struct kc_fieldset *kc_fieldset_leaves(struct kc_arena *ar, const struct kc_fieldset *set);
/* The members whose path begins with one of the patterns (dotted names; "*" stands for any element):
 * "spec.containers.*.resources". NULL-terminated. */
const struct kc_fieldset *kc_fieldset_filter(
    struct kc_arena *ar, const struct kc_fieldset *set, const char *const *patterns);

/* Calls fn for every member, those of a set before those below it; the path is valid during the call. */
typedef void (*kc_fieldset_fn)(const struct kc_path_element *path, size_t n, void *arg);
enum { KC_FIELDSET_MAX_DEPTH = 160 }; /* deeper paths cannot be read from JSON */
void kc_fieldset_each(const struct kc_fieldset *set, kc_fieldset_fn fn, void *arg);

/* --- FieldsV1 */

/* v: a FieldsV1, as tree or text (NULL: empty). Field names are borrowed from a tree. Elements of kinds that are not
 * known are left out as upstream does. -EINVAL for what is no FieldsV1. */
int kc_fieldset_decode(
    struct kc_arena *a, const struct json_object *v, const struct kc_fieldset **ret, struct kc_error *err);
/* Upstream's canonical form. The caller's value, as text in a tree (kc_json_raw), or appended to b. */
struct json_object *kc_fieldset_encode(const struct kc_fieldset *set);
void kc_fieldset_write(struct kc_buf *b, const struct kc_fieldset *set);
