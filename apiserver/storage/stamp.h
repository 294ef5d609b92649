/* metadata.resourceVersion in stored bytes. What is stored has none (the store's mod revision is the resourceVersion,
 * and is not known before the write); it is put in where bytes leave the store: by the cache for everything it holds,
 * by handlers for the object of a write they just made. Works on the bytes, without a tree. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

/* Where "123" of "resourceVersion":"123" stands in stamped bytes, so that restamping need not search. */
struct kc_stamp {
        size_t at, len;
};

/* json, compact and valid, without metadata.resourceVersion (if it has one, that is replaced): a copy with it, after
 * metadata's name, generateName, namespace, selfLink and uid, as upstream orders it. -EINVAL when it is not a JSON
 * object with a metadata object. ret_stamp may be NULL. */
int kc_stamp_revision(const char *json, size_t len, int64_t revision, struct kc_bytes **ret, struct kc_stamp *ret_stamp,
    struct kc_error *err);
