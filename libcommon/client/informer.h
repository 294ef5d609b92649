/* Shared informers: list, watch, an indexed cache, and handlers.
 *
 *   API server --list/watch--> reflector --> cache (rwlock) --> handlers, on the loop
 *                                              ^-- lookups, any thread
 *
 * The reflector streams the initial list where the server can (sendInitialEvents), else lists in pages; then watches
 * with bookmarks; resumes from its last resourceVersion after a broken connection, lists again on 410 Gone; backs off
 * (800 ms to 30 s, jittered) when the server is away. After a new list, deletions that were missed are delivered. */
#pragma once

#include "api/object.h"
#include "api/selector.h"
#include "client/rest.h"

struct kc_informers; /* the factory: one informer for each resource */
struct kc_informer;

struct kc_informers *kc_informers_new(struct kc_rest *rest);
/* On the loop, or after it has stopped; not from a handler. Stops all. */
void kc_informers_free(struct kc_informers *f);
KC_DEFINE_CLEANUP(struct kc_informers *, kc_informers_free)
/* The shared informer of a resource; made at the first call. Before kc_informers_start or later, on the loop. */
struct kc_informer *kc_informers_get(struct kc_informers *f, const struct kc_gvr *g);
/* A separate one restricted to a namespace (NULL: all) and selectors (NULL: none), e.g. "spec.nodeName=n1". */
struct kc_informer *kc_informers_get_filtered(struct kc_informers *f, const struct kc_gvr *g, const char *ns,
    const char *label_selector, const char *field_selector);
/* For who needs no more than metadata: the shared informer of the resource if there is one, else one that receives
 * PartialObjectMetadata. */
struct kc_informer *kc_informers_get_metadata(struct kc_informers *f, const struct kc_gvr *g);
/* Optional, before start: changes an object before it is stored, to drop what is not needed (managedFields are always
 * dropped). Returns the tree to keep. */
void kc_informer_set_transform(struct kc_informer *i, void (*transform)(struct json_object *tree));
/* Starts all that are not running. On the loop (or before it runs). */
void kc_informers_start(struct kc_informers *f);
/* fn once, on the loop, when all informers started so far have their initial list. */
void kc_informers_on_synced(struct kc_informers *f, void (*fn)(void *arg), void *arg);
bool kc_informer_synced(const struct kc_informer *i); /* any thread */

/* Handlers run on the loop in the order of events, each object borrowed (ref to keep). old is NULL for adds; obj is the
 * last known state for deletes. They must not block: enqueue a key and return. */
struct kc_informer_handler {
        void (*on_add)(struct kc_object *obj, bool initial, void *arg);
        void (*on_update)(struct kc_object *old, struct kc_object *obj, void *arg);
        void (*on_delete)(struct kc_object *obj, void *arg);
};
/* A handler added late gets the present objects as adds. Handlers live as long as the informer. */
void kc_informer_add_handler(struct kc_informer *i, const struct kc_informer_handler *h, void *arg);
/* fn pushes the object's index values (kc_strv_push). At any time: what is there is indexed. */
void kc_informer_add_index(
    struct kc_informer *i, const char *index, void (*fn)(const struct kc_object *obj, char ***values));

/* --- Lookups, any thread. Objects come with a reference. */
/* NULL: not there. */
struct kc_object *kc_informer_lookup(struct kc_informer *i, const char *ns, const char *name);
struct kc_object *kc_informer_lookup_key(struct kc_informer *i, const char *key);
/* Appends; ns NULL: all; selector NULL: all. Order by key. */
void kc_informer_list(struct kc_informer *i, const char *ns, const struct kc_selector *sel, struct kc_objects *ret);
void kc_informer_by_index(struct kc_informer *i, const char *index, const char *value, struct kc_objects *ret);
size_t kc_informer_count(struct kc_informer *i);
/* Ready-made index functions. */
void kc_index_by_namespace(const struct kc_object *obj, char ***values);      /* "namespace" */
void kc_index_by_controller_uid(const struct kc_object *obj, char ***values); /* uid of the controller ownerReference */
void kc_index_by_node_name(const struct kc_object *obj, char ***values);      /* spec.nodeName */
