/* Memory that is freed all at once: for many small things that live as long as one operation. One thread. */
#pragma once

#include <stddef.h>

#include "base/macros.h"

struct kc_arena_chunk;

/* Zeroed storage is a valid, empty arena. */
struct kc_arena {
        struct kc_arena_chunk *chunks;
        char *at;
        size_t left;
};

#define KC_ARENA_INIT ((struct kc_arena){0})

/* Zeroed, aligned for any type, valid until kc_arena_done. Aborts on exhaustion: a caller whose sizes a peer controls
 * limits them before. */
void *kc_arena_alloc(struct kc_arena *a, size_t size) __attribute__((malloc, returns_nonnull));
/* A copy with a NUL behind it. */
char *kc_arena_strndup(struct kc_arena *a, const char *s, size_t len) __attribute__((returns_nonnull));
void kc_arena_done(struct kc_arena *a);
