/* Values as they lie in etcd: a store in front of another one, which changes values on the way in and back on the way
 * out (encryption at rest). Keys, revisions and everything else pass through. */
#pragma once

#include "storage/store.h"

struct kc_transforms; /* which values are changed, and how */

struct kc_transforms_ops {
        /* The value of a key as it is to be stored. *ret stays NULL: as it is. Any thread but a loop's; may block. */
        int (*to_storage)(struct kc_transforms *t, const char *key, const void *value, size_t len,
            struct kc_bytes **ret, struct kc_error *err);
        /* The reverse. *ret NULL: as it is. *ret_stale: it should be written anew, because it would be stored in
         * another way today. Any thread; may block the first time it meets a key. */
        int (*from_storage)(struct kc_transforms *t, const char *key, const void *value, size_t len,
            struct kc_bytes **ret, bool *ret_stale, struct kc_error *err);
        void (*free)(struct kc_transforms *t);
};
struct kc_transforms {
        const struct kc_transforms_ops *ops;
};
static inline void kc_transforms_free(struct kc_transforms *t)
{
        if (t)
                t->ops->free(t);
}
KC_DEFINE_CLEANUP(struct kc_transforms *, kc_transforms_free)

/* Takes the inner store and the transforms. A value that cannot be read fails a get or a list (500: unable to transform
 * key "..."); in a watch it is logged and handed on as it is, so that one bad value does not end the watch of all. */
struct kc_store *kc_store_transformed_new(struct kc_store *take_inner, struct kc_transforms *take_t);
/* From now on these. The old ones are freed when nobody uses them any more. Any thread. */
void kc_store_set_transforms(struct kc_store *s, struct kc_transforms *take_t);
/* fn with the present transforms; 0 for a store without. Any thread. */
int kc_store_with_transforms(
    struct kc_store *s, int (*fn)(struct kc_transforms *t, struct kc_error *err), struct kc_error *err);
/* Is the value of the key, as it lies in the store, to be written anew though nothing in it changes? false for a store
 * without transforms, and for a key that is not there. Reads the key: blocks. */
int kc_store_is_stale(struct kc_store *s, const char *key, bool *ret, struct kc_error *err);
