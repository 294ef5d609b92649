/* The queue of outgoing bytes. Bodies are referenced; heads and frame headers are copied into chunks that the following
 * small pieces share. One thread. */
#include <string.h>

#include "base/mem.h"
#include "net/outq.h"

enum {
        CHUNK_SIZE = 2048 - 32,
        SMALL = 256, /* a piece this small is cheaper copied than referenced */
        KEEP_CAP = 8 /* segments kept when the queue is empty */
};

struct outq_chunk {
        size_t refs; /* segments that point into it */
        size_t used, cap;
        char data[];
};

static void grow(struct kc_outq *q)
{
        size_t cap = q->cap ? q->cap * 2 : KEEP_CAP;
        struct kc_outq_seg *segs = kc_reallocarray(NULL, cap, sizeof(*segs));
        for (size_t i = 0; i < q->n; i++)
                segs[i] = *kc_outq_at(q, i);
        kc_free(q->segs);
        q->segs = segs;
        q->cap = cap;
        q->head = 0;
}

static void push(struct kc_outq *q, struct kc_outq_seg seg)
{
        if (q->n == q->cap)
                grow(q);
        *kc_outq_at(q, q->n) = seg;
        q->n++;
        q->bytes += seg.len;
}

static void release(struct kc_outq_seg *seg)
{
        kc_bytes_unref(seg->bytes);
        if (seg->chunk && --seg->chunk->refs == 0)
                kc_free(seg->chunk);
}

void kc_outq_copy(struct kc_outq *q, const void *data, size_t len)
{
        if (len == 0)
                return;
        struct kc_outq_seg *last = q->n ? kc_outq_at(q, q->n - 1) : NULL;
        struct outq_chunk *chunk = last ? last->chunk : NULL;
        /* Only behind the newest bytes of the chunk: the rest of it may belong to another queue. */
        if (chunk && last->data + last->len == chunk->data + chunk->used && chunk->cap - chunk->used >= len) {
                memcpy(chunk->data + chunk->used, data, len);
                chunk->used += len;
                last->len += len;
                q->bytes += len;
                return;
        }
        size_t cap = KC_MAX(len, (size_t)CHUNK_SIZE);
        chunk = kc_malloc(sizeof(*chunk) + cap);
        chunk->refs = 1;
        chunk->cap = cap;
        chunk->used = len;
        memcpy(chunk->data, data, len);
        push(q, (struct kc_outq_seg){.chunk = chunk, .data = chunk->data, .len = len});
}

void kc_outq_ref(struct kc_outq *q, struct kc_bytes *b, size_t off, size_t len)
{
        if (len <= SMALL)
                kc_outq_copy(q, kc_bytes_data(b) + off, len);
        else
                push(q, (struct kc_outq_seg){.bytes = kc_bytes_ref(b), .data = kc_bytes_data(b) + off, .len = len});
}

static void pop(struct kc_outq *q)
{
        q->head = (q->head + 1) & (q->cap - 1);
        q->n--;
        if (q->n == 0 && q->cap > KEEP_CAP) {
                kc_free(q->segs);
                q->segs = NULL;
                q->cap = q->head = 0;
        }
}

void kc_outq_move(struct kc_outq *to, struct kc_outq *from, size_t len)
{
        while (len > 0) {
                struct kc_outq_seg *seg = kc_outq_at(from, 0);
                size_t part = KC_MIN(len, seg->len);
                if (part <= SMALL) {
                        kc_outq_copy(to, seg->data, part);
                        kc_outq_consume(from, part);
                } else if (part == seg->len) {
                        push(to, *seg);
                        from->bytes -= part;
                        pop(from);
                } else {
                        struct kc_outq_seg copy = *seg;
                        copy.len = part;
                        if (copy.chunk)
                                copy.chunk->refs++;
                        kc_bytes_ref(copy.bytes);
                        push(to, copy);
                        kc_outq_consume(from, part);
                }
                len -= part;
        }
}

void kc_outq_consume(struct kc_outq *q, size_t len)
{
        q->bytes -= len;
        while (len > 0) {
                struct kc_outq_seg *seg = kc_outq_at(q, 0);
                if (len < seg->len) {
                        seg->data += len;
                        seg->len -= len;
                        return;
                }
                len -= seg->len;
                release(seg);
                pop(q);
        }
}

void kc_outq_done(struct kc_outq *q)
{
        for (size_t i = 0; i < q->n; i++)
                release(kc_outq_at(q, i));
        kc_free(q->segs);
        *q = (struct kc_outq){0};
}
