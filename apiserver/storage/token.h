/* Continue tokens of paginated lists: upstream's format, base64 of
 * {"v":"meta.k8s.io/v1","rv":<revision>,"start":"<last key, without the prefix, and a NUL>"}. */
#pragma once

#include <stdint.h>

#include "base/error.h"

struct list_token {
        int64_t revision; /* -1: any, the list is allowed to be inconsistent */
        char *from_key;   /* the first key that may be in the page. Heap */
};

/* For the page after last_key, which begins with prefix. Heap. */
char *list_token_encode(const char *last_key, const char *prefix, int64_t revision);
/* 400 BadRequest when it is not one of ours. */
int list_token_decode(const char *token, const char *prefix, struct list_token *ret, struct kc_error *err);
