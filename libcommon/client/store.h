/* The cache behind an informer: objects in the order of their keys ("namespace/name"), with indexes.
 *
 *   objects: [a/x] [a/y] [b/x] ...        one array, searched by halves; a namespace is a range of it
 *   index "spec.nodeName": "n1" -> [a/x] [b/x], ...
 *
 * Changed on the loop, read on any thread; a read-write lock in between. Objects come out with a reference. */
#pragma once

#include "api/object.h"
#include "api/selector.h"

typedef void (*kc_index_fn)(const struct kc_object *obj, char ***values);

struct kc_store;
struct kc_store *kc_store_new(void);
void kc_store_free(struct kc_store *s);
KC_DEFINE_CLEANUP(struct kc_store *, kc_store_free)
/* At any time: what is there is indexed. */
void kc_store_add_index(struct kc_store *s, const char *name, kc_index_fn fn);
/* References obj; returns what it replaced (the caller's reference), or NULL. */
struct kc_object *kc_store_set(struct kc_store *s, struct kc_object *obj);
/* The removed object (the caller's reference), or NULL. */
struct kc_object *kc_store_remove(struct kc_store *s, const char *ns, const char *name);

struct kc_object *kc_store_get(struct kc_store *s, const char *key);
/* Appends; ns NULL or "": all; sel NULL: all. */
void kc_store_list(struct kc_store *s, const char *ns, const struct kc_selector *sel, struct kc_objects *ret);
void kc_store_by_index(struct kc_store *s, const char *index, const char *value, struct kc_objects *ret);
size_t kc_store_count(struct kc_store *s);
