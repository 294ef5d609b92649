/* A queue of outgoing bytes: references, and small copies in chunks. One thread. */
#pragma once

#include <stddef.h>

#include "base/buf.h"

struct outq_chunk;

struct kc_outq_seg {
        struct kc_bytes *bytes; /* one of these two owns the memory */
        struct outq_chunk *chunk;
        const char *data;
        size_t len;
};

/* All zero is an empty queue. */
struct kc_outq {
        struct kc_outq_seg *segs; /* ring of cap (a power of two) */
        size_t head, n, cap;
        size_t bytes;
};

void kc_outq_copy(struct kc_outq *q, const void *data, size_t len);
/* References b's bytes from off on. */
void kc_outq_ref(struct kc_outq *q, struct kc_bytes *b, size_t off, size_t len);
/* Moves the first len bytes of from to the end of to. */
void kc_outq_move(struct kc_outq *to, struct kc_outq *from, size_t len);
void kc_outq_consume(struct kc_outq *q, size_t len);
/* Leaves an empty queue. */
void kc_outq_done(struct kc_outq *q);
static inline struct kc_outq_seg *kc_outq_at(const struct kc_outq *q, size_t i)
{
        return &q->segs[(q->head + i) & (q->cap - 1)];
}
