/* The stored resources: each resource of the schema that is kept in etcd, with its place in the watch cache.
 *
 *   schema row (apps/v1 deployments) --> kc_stored { row of the storage version, cache, key prefix }
 *
 * Several rows may share one kc_stored (events and events.k8s.io events). Objects are read here parsed, for code that
 * is not on the hot path: authentication, admission, strategies. */
#pragma once

#include "api/object.h"
#include "api/schema.h"
#include "storage/cache.h"
#include "storage/store.h"

struct kc_resources;

struct kc_stored {
        const struct kc_resource *row; /* of the storage version */
        struct kc_cache_resource *cache;
        struct kc_store *store;
};

/* Registers every stored resource of the schema with the cache, which must not have been started. Virtual resources
 * (bindings, tokenreviews, ...) are left out. */
struct kc_resources *kc_resources_new(struct kc_store *store, struct kc_cache *cache);
/* After the cache has stopped. */
void kc_resources_free(struct kc_resources *rs);
KC_DEFINE_CLEANUP(struct kc_resources *, kc_resources_free)
struct kc_cache *kc_resources_cache(const struct kc_resources *rs);
struct kc_store *kc_resources_store(const struct kc_resources *rs);
/* NULL: not stored. Any thread; constant after kc_resources_new. */
const struct kc_stored *kc_resources_find(const struct kc_resources *rs, const char *group, const char *resource);
/* All of them, in the order of the schema. */
const struct kc_stored *const *kc_resources_all(const struct kc_resources *rs, size_t *ret_n);

/* The object in the storage version. -ENOENT as API error NotFound.
 * _get: what the cache has (never blocks once kc_cache_ready). _get_live: consistent; blocks: workers only. */
int kc_resources_get(const struct kc_resources *rs, const char *group, const char *resource, const char *ns,
    const char *name, struct kc_object **ret, struct kc_error *err);
int kc_resources_get_live(const struct kc_resources *rs, const char *group, const char *resource, const char *ns,
    const char *name, struct kc_object **ret, struct kc_error *err);
/* All objects that the cache has in ns (NULL: everywhere); label_selector NULL: all. Never blocks once kc_cache_ready.
 */
struct kc_selector;
int kc_resources_list(const struct kc_resources *rs, const char *group, const char *resource, const char *ns,
    const struct kc_selector *label_selector, struct kc_objects *ret, struct kc_error *err);
/* What stands in an entry as an object. The caller's reference. */
struct kc_object *kc_resources_object(struct kc_cache_entry *e);
