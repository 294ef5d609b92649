/* What the walks over structured values share. */
#pragma once

#include "api/structured.h"

/* A value's type with what the field that holds it says of it. */
struct st_type {
        const struct kc_type *type;
        bool atomic;   /* x-kubernetes-map-type: atomic on the field */
        bool granular; /* ... granular: what the type says does not hold */
};

/* A value that may be absent, which is not null. */
struct st_value {
        const struct json_object *v;
        bool set;
};

enum st_shape { ST_LEAF, ST_MAP, ST_LIST };

/* What kind of thing values of the type are; v decides where there is no schema. Atomic ones are leaves. */
enum st_shape st_shape_of(struct st_type t, const struct json_object *v);
/* The type below a map or struct; false: no such field. *ret_named: a field of a struct. */
bool st_field(struct st_type t, const char *name, struct st_type *ret, bool *ret_named);
struct st_type st_element(struct st_type list);

/* Go's encoding of an absent value is none: those of structs that lack a key. */
struct st_value st_get(const struct json_object *map, const char *name);
/* An object (array) with something in it; NULL for anything else. */
const struct json_object *st_filled(struct st_value v, enum st_shape shape);
/* As value.Equals: numbers compare by value. */
bool st_equal(const struct json_object *a, const struct json_object *b);

/* The element's path element. why, if given, is upstream's text when it has none: -EINVAL. */
int st_item(struct kc_arena *a, struct st_type list, const struct json_object *item, struct kc_path_element *ret,
    struct kc_error *why);

/* The elements of a list by path element, in order; several of the same in the order of the list. */
struct st_entry {
        struct kc_path_element at;
        uint32_t pos;
        bool bad; /* has no path element */
};
struct st_index {
        struct st_entry *sorted; /* without bad ones */
        size_t n_sorted;
        struct st_entry *all; /* by position */
        size_t n;
};
void st_index_make(struct kc_arena *a, struct st_type list, const struct json_object *array, struct st_index *ret);
/* The first of those that equal e; *ret_n: how many. NULL: none. */
const struct st_entry *st_index_find(const struct st_index *x, const struct kc_path_element *e, size_t *ret_n);
/* Do two elements have the same keys, as they stand? A quick look that may say no where defaults make them equal. */
bool st_same_keys(struct st_type list, const struct json_object *a, const struct json_object *b);
