/* A bump allocator on chunks that grow. One thread. */
#include "base/arena.h"

#include <string.h>

#include "base/mem.h"

enum { FIRST_CHUNK = 4 << 10, LARGEST_CHUNK = 256 << 10 };

struct kc_arena_chunk {
        struct kc_arena_chunk *next;
        size_t size;
        _Alignas(max_align_t) char data[];
};

static void add_chunk(struct kc_arena *a, size_t wanted)
{
        size_t size = a->chunks ? KC_MIN(a->chunks->size * 2, (size_t)LARGEST_CHUNK) : (size_t)FIRST_CHUNK;
        size = KC_MAX(size, wanted);
        struct kc_arena_chunk *c = kc_malloc(sizeof(*c) + size);
        c->next = a->chunks;
        c->size = size;
        a->chunks = c;
        a->at = c->data;
        a->left = size;
}

void *kc_arena_alloc(struct kc_arena *a, size_t size)
{
        const size_t align = _Alignof(max_align_t);
        size = (KC_MAX(size, (size_t)1) + align - 1) / align * align;
        if (size > a->left)
                add_chunk(a, size);
        void *p = a->at;
        a->at += size;
        a->left -= size;
        return memset(p, 0, size);
}

char *kc_arena_strndup(struct kc_arena *a, const char *s, size_t len)
{
        char *p = kc_arena_alloc(a, len + 1);
        if (len > 0)
                memcpy(p, s, len);
        return p;
}

void kc_arena_done(struct kc_arena *a)
{
        while (a->chunks) {
                struct kc_arena_chunk *next = a->chunks->next;
                kc_free(a->chunks);
                a->chunks = next;
        }
        *a = KC_ARENA_INIT;
}
