/* A hash map from strings to pointers, with keyed hashing (SipHash) so that a peer cannot choose collisions. The map
 * copies keys; values are the caller's unless a free function is given. Iteration order is unspecified; use
 * kc_map_sorted_keys where order matters. Not thread-safe. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"

struct kc_map;

/* free_value may be NULL; it is called for a value that is replaced, removed or left at kc_map_free. */
struct kc_map *kc_map_new(void (*free_value)(void *value));
void kc_map_free(struct kc_map *m);
KC_DEFINE_CLEANUP(struct kc_map *, kc_map_free)
/* NULL: not there. */
void *kc_map_get(const struct kc_map *m, const char *key);
bool kc_map_has(const struct kc_map *m, const char *key);
/* value must not be NULL. Returns true if the key is new. */
bool kc_map_set(struct kc_map *m, const char *key, void *value);
/* Removes and frees the value; false if the key was not there. */
bool kc_map_remove(struct kc_map *m, const char *key);
/* Removes without freeing: the value is the caller's. */
void *kc_map_steal(struct kc_map *m, const char *key);
void kc_map_clear(struct kc_map *m);
size_t kc_map_len(const struct kc_map *m);
/* Keys in strcmp order, a strv of copies. */
char **kc_map_sorted_keys(const struct kc_map *m);

/* size_t it = 0; const char *k; void *v; while (kc_map_next(m, &it, &k, &v)) ... The current key may be removed. */
bool kc_map_next(const struct kc_map *m, size_t *it, const char **ret_key, void **ret_value);

/* SipHash-2-4 under a per-process random key. */
uint64_t kc_hash_bytes(const void *data, size_t len);
/* FNV-1a, 32 bits: stable across processes (pod-template-hash and the like). */
uint32_t kc_fnv32a(const void *data, size_t len);
