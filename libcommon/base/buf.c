/* The growable buffer, and immutable shared bytes made from it. */
#include "base/buf.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

/* Capacity that holds need bytes, at least doubling: amortised constant cost per byte. */
static size_t grown(size_t cap, size_t need)
{
        size_t doubled = cap > SIZE_MAX / 2 ? SIZE_MAX : cap * 2;
        return KC_MAX(KC_MAX(doubled, need), (size_t)64);
}

void kc_buf_done(struct kc_buf *b)
{
        kc_free(b->data);
        *b = KC_BUF_INIT;
}

void kc_buf_reset(struct kc_buf *b)
{
        b->len = 0;
        if (b->data)
                b->data[0] = '\0';
}

void kc_buf_reserve(struct kc_buf *b, size_t extra)
{
        size_t need;
        if (__builtin_add_overflow(b->len, extra, &need) || __builtin_add_overflow(need, (size_t)1, &need))
                need = SIZE_MAX;
        if (need <= b->cap)
                return;
        size_t cap = grown(b->cap, need);
        b->data = kc_realloc(b->data, cap);
        b->cap = cap;
        b->data[b->len] = '\0';
}

void kc_buf_add(struct kc_buf *b, const void *data, size_t len)
{
        kc_buf_reserve(b, len);
        if (len)
                memcpy(b->data + b->len, data, len);
        b->len += len;
        b->data[b->len] = '\0';
}

void kc_buf_adds(struct kc_buf *b, const char *s)
{
        kc_buf_add(b, s, strlen(s));
}

void kc_buf_addc(struct kc_buf *b, char c)
{
        kc_buf_add(b, &c, 1);
}

void kc_buf_addf(struct kc_buf *b, const char *fmt, ...)
{
        va_list ap;
        va_start(ap, fmt);
        kc_buf_vaddf(b, fmt, ap);
        va_end(ap);
}

void kc_buf_vaddf(struct kc_buf *b, const char *fmt, va_list ap)
{
        va_list again;
        va_copy(again, ap);
        kc_buf_reserve(b, 64);
        size_t room = b->cap - b->len;
        int n = vsnprintf(b->data + b->len, room, fmt, ap);
        if (n > 0 && (size_t)n >= room) {
                kc_buf_reserve(b, (size_t)n);
                n = vsnprintf(b->data + b->len, b->cap - b->len, fmt, again);
        }
        va_end(again);
        if (n > 0)
                b->len += (size_t)n;
        b->data[b->len] = '\0';
}

int kc_buf_add_limited(struct kc_buf *b, const void *data, size_t len, size_t max)
{
        if (b->len > max || len > max - b->len)
                return -EMSGSIZE;
        size_t need = b->len + len + 1;
        if (need > b->cap || !b->data) {
                size_t cap = grown(b->cap, need);
                char *p = kc_try_realloc(b->data, cap);
                if (!p)
                        return -ENOMEM;
                b->data = p;
                b->cap = cap;
        }
        if (len)
                memcpy(b->data + b->len, data, len);
        b->len += len;
        b->data[b->len] = '\0';
        return 0;
}

void kc_buf_consume(struct kc_buf *b, size_t n)
{
        if (n == 0)
                return;
        b->len -= n;
        memmove(b->data, b->data + n, b->len);
        b->data[b->len] = '\0';
}

char *kc_buf_take_str(struct kc_buf *b)
{
        char *s = b->data ? b->data : kc_strdup("");
        *b = KC_BUF_INIT;
        return s;
}

const char *kc_buf_str(const struct kc_buf *b)
{
        return b->data ? b->data : "";
}

struct kc_bytes {
        atomic_uint refs;
        size_t len;
        char *data;
};

struct kc_bytes *kc_bytes_new(const void *data, size_t len)
{
        struct kc_buf b = KC_BUF_INIT;
        kc_buf_add(&b, data, len);
        return kc_bytes_from_buf(&b);
}

struct kc_bytes *kc_bytes_from_buf(struct kc_buf *b)
{
        struct kc_bytes *bytes = KC_NEW(struct kc_bytes);
        atomic_init(&bytes->refs, 1);
        bytes->len = b->len;
        bytes->data = kc_buf_take_str(b);
        return bytes;
}

struct kc_bytes *kc_bytes_ref(struct kc_bytes *b)
{
        if (b)
                atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
        return b;
}

void kc_bytes_unref(struct kc_bytes *b)
{
        if (!b || atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) != 1)
                return;
        kc_free(b->data);
        kc_free(b);
}

const char *kc_bytes_data(const struct kc_bytes *b)
{
        return b->data;
}

size_t kc_bytes_len(const struct kc_bytes *b)
{
        return b->len;
}
