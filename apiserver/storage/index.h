/* An ordered index of entries by key, persistent: whoever holds a root sees it unchanged for ever, at no cost to
 * others; the writer copies only what others still see.
 *
 *   root --> [leaf][leaf][leaf]...      up to INDEX_LEAF entries each, never empty, sorted
 *              \-> entry entry entry ...
 *
 * Any number of threads read; one writes its own root at a time. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct kc_cache_entry;
struct index_root;

enum { INDEX_LEAF = 128 };

struct index_root *index_new(void);
/* From entries in order of their keys; takes the references, not the array. */
struct index_root *index_from_sorted(struct kc_cache_entry **take_entries, size_t n);
struct index_root *index_ref(struct index_root *r);
void index_unref(struct index_root *r);
size_t index_len(const struct index_root *r);
/* Borrowed from the root; NULL: none. */
struct kc_cache_entry *index_get(const struct index_root *r, const char *key);
/* *r becomes the changed root. The entry that was there, or NULL: the caller's reference. */
struct kc_cache_entry *index_put(struct index_root **r, struct kc_cache_entry *take_e);
struct kc_cache_entry *index_remove(struct index_root **r, const char *key);

struct index_pos {
        size_t leaf, at;
};
/* Before the first entry whose key is not below key. */
struct index_pos index_seek(const struct index_root *r, const char *key);
/* The entry at the position, which moves on; NULL at the end. Borrowed. */
struct kc_cache_entry *index_next(const struct index_root *r, struct index_pos *pos);
/* Entries from a up to b. */
size_t index_between(const struct index_root *r, struct index_pos a, struct index_pos b);
