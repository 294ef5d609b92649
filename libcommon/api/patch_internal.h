/* Shared by the sources of strategic merge patch. */
#pragma once

#include "api/patch.h"
#include "api/schema.h"

#define KC_PATCH_DIRECTIVE "$patch"
#define KC_PATCH_RETAIN_KEYS "$retainKeys"
#define KC_PATCH_SET_ORDER "$setElementOrder/"
#define KC_PATCH_DELETE_FROM "$deleteFromPrimitiveList/"

/* How a key of an object is patched. */
struct kc_patch_field {
        const struct kc_type *type; /* of the value; of the elements of a list; NULL: unknown */
        const char *merge_key;      /* of a list of objects, or NULL */
        bool merge;                 /* lists: merged rather than replaced */
        bool replace;               /* objects: replaced rather than merged */
        bool retain_keys;
};
/* type may be NULL. */
struct kc_patch_field kc_patch_field_of(const struct kc_type *type, const char *key);

/* Where the elements of a list are, by their merge key or (merge_key NULL) their value; the first of equal ones. */
struct kc_patch_index;
struct kc_patch_index *kc_patch_index_new(const struct json_object *list, const char *merge_key);
void kc_patch_index_free(struct kc_patch_index *x);
KC_DEFINE_CLEANUP(struct kc_patch_index *, kc_patch_index_free)
void kc_patch_index_add(struct kc_patch_index *x, const struct json_object *element, size_t at);
/* -1: not there. */
int64_t kc_patch_index_find(const struct kc_patch_index *x, const struct json_object *element);
/* "map: map[image:x] does not contain declared merge key: name" */
int kc_patch_no_merge_key(struct kc_error *err, const struct json_object *element, const char *merge_key);
