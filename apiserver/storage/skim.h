/* Looking into compact, valid JSON without making a tree: for the few members that the cache needs of every object.
 * Bounds are checked; what is not valid JSON is found or not found, but never read past its end. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct skim_span {
        const char *p;
        size_t len;
};

/* Iterates the members of an object: start with *it = 0. Spans are raw: strings with their quotes, escapes untouched;
 * the key without quotes. False at the end or at something malformed. */
bool skim_next(struct skim_span object, size_t *it, struct skim_span *ret_key, struct skim_span *ret_value);
/* The value at a path of keys joined by dots; false if absent. */
bool skim_at(struct skim_span object, const char *path, struct skim_span *ret_value);
bool skim_is(struct skim_span s, const char *text);
/* The text of a scalar: a string without quotes, decoded; true, false and numbers as they stand; NULL for null, objects
 * and arrays. Heap. */
char *skim_scalar(struct skim_span value);
