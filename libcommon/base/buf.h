/* A growable byte buffer. data is always NUL-terminated behind len once anything was added. */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"

struct kc_buf {
        char *data;
        size_t len;
        size_t cap;
};

#define KC_BUF_INIT ((struct kc_buf){0})

/* Frees the storage and leaves an empty buffer. */
void kc_buf_done(struct kc_buf *b);
/* Keeps the storage, sets len to 0. */
void kc_buf_reset(struct kc_buf *b);
/* Space for extra more bytes; aborts on exhaustion. */
void kc_buf_reserve(struct kc_buf *b, size_t extra);
void kc_buf_add(struct kc_buf *b, const void *data, size_t len);
void kc_buf_adds(struct kc_buf *b, const char *s);
void kc_buf_addc(struct kc_buf *b, char c);
void kc_buf_addf(struct kc_buf *b, const char *fmt, ...) KC_PRINTF(2, 3);
void kc_buf_vaddf(struct kc_buf *b, const char *fmt, va_list ap) KC_PRINTF(2, 0);
/* As kc_buf_add, but -EMSGSIZE (and nothing added) when len would pass max, -ENOMEM on exhaustion: for peers' bytes. */
int kc_buf_add_limited(struct kc_buf *b, const void *data, size_t len, size_t max) KC_WARN_UNUSED;
/* Drops the first n bytes (n <= len). */
void kc_buf_consume(struct kc_buf *b, size_t n);
/* The string, owned by the caller ("" if nothing was added); b is empty afterwards. */
char *kc_buf_take_str(struct kc_buf *b);
/* data, or "" if nothing was added. Borrowed until the next change. */
const char *kc_buf_str(const struct kc_buf *b);

/* An immutable, reference-counted run of bytes. Reference counts are atomic: may cross threads. */
struct kc_bytes;
struct kc_bytes *kc_bytes_new(const void *data, size_t len);
/* Takes the buffer's storage without copying; b is empty afterwards. */
struct kc_bytes *kc_bytes_from_buf(struct kc_buf *b);
struct kc_bytes *kc_bytes_ref(struct kc_bytes *b);
void kc_bytes_unref(struct kc_bytes *b);
/* NUL-terminated behind len. */
const char *kc_bytes_data(const struct kc_bytes *b);
size_t kc_bytes_len(const struct kc_bytes *b);

KC_DEFINE_CLEANUP(struct kc_bytes *, kc_bytes_unref)
