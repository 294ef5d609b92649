/* Objects as sets of fields, by the schema: what server-side apply does to values (structured-merge-diff's typed).
 *
 * What a value is: a struct or map has fields of its own unless it is atomic; a list of type map has elements by key,
 * of type set by value; an atomic one, like a scalar, is one field. Values without a schema (RawExtension) have maps of
 * fields and atomic lists. Keys that a list's elements leave out count as their schema default (protocol of ports).
 *
 * Trees are read only; types are those of objects. Pure: any thread. Sets borrow names from trees and live in the
 * arena. */
#pragma once

#include "api/fieldset.h"
#include "api/schema.h"

/* Does the tree fit the type? Unknown fields, values of wrong types and (unless duplicates are allowed) repeated
 * elements are an error with upstream's text, such as ".spec.foo: field not declared in schema". -EINVAL. */
int kc_structured_check(const struct json_object *tree, const struct kc_type *type, struct kc_error *err);
/* The fields that the tree sets: leaves, and elements of lists and maps. What does not fit the type is left out. */
const struct kc_fieldset *kc_structured_set(
    struct kc_arena *a, const struct json_object *tree, const struct kc_type *type);

/* Fields that a write has changed. What is modified or added borrows from the tree after it only. */
struct kc_structured_diff {
        const struct kc_fieldset *removed, *modified, *added;
};
void kc_structured_compare(struct kc_arena *a, const struct json_object *before, const struct json_object *after,
    const struct kc_type *type, struct kc_structured_diff *ret);

/* Are they the same values? Numbers compare by value whatever their type; order of keys does not matter. */
bool kc_structured_equal(const struct json_object *a, const struct json_object *b);
/* base with what patch sets: fields of patch win, elements of lists and maps come together; the order of a list is the
 * patch's with base's other elements where they were. The caller's tree. */
struct json_object *kc_structured_merge(
    const struct json_object *base, const struct json_object *patch, const struct kc_type *type);
/* The tree without the items and fields of the set, and what is below them. The caller's tree. */
struct json_object *kc_structured_remove(
    const struct json_object *tree, const struct kc_fieldset *set, const struct kc_type *type);

/* The set with every struct field that has members below it as a member, too. */
const struct kc_fieldset *kc_structured_name_fields(
    struct kc_arena *a, const struct kc_fieldset *set, const struct kc_type *type);
/* A set that was made when the schema was another: what has become atomic is owned as a whole, what is no more is owned
 * in all parts that live has. The set itself when nothing changes. */
const struct kc_fieldset *kc_structured_reconcile(
    struct kc_arena *a, const struct kc_fieldset *set, const struct json_object *live, const struct kc_type *type);
