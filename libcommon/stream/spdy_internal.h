/* Shared by the files of SPDY. */
#pragma once

#include <zlib.h>

#include "stream/spdy.h"

enum { SPDY_DICTIONARY_LEN = 1423 };
extern const unsigned char spdy_dictionary[SPDY_DICTIONARY_LEN];

/* Limits of what a peer controls. */
enum {
        SPDY_CONTROL_MAX = 64 * 1024,  /* payload of a control frame */
        SPDY_HEADERS_MAX = 128 * 1024, /* a header block, unpacked */
        SPDY_HEADER_PAIRS_MAX = 256,
        SPDY_STREAMS_MAX = 2048,    /* open at a time */
        SPDY_OUT_MAX = 1024 * 1024, /* answers (pings, resets) that nobody takes out */
        SPDY_FRAME_HEAD = 8,
        SPDY_WINDOW = 64 * 1024,
};

/* Header blocks are one zlib stream in each direction for the whole connection. */
struct spdy_headers {
        z_stream deflate, inflate;
        bool deflating, inflating;
};
void spdy_headers_init(struct spdy_headers *h);
void spdy_headers_done(struct spdy_headers *h);
/* Appends the packed block of a strv of names and values. */
void spdy_headers_pack(struct spdy_headers *h, char *const *headers, struct kc_buf *out);
/* strv of names and values, heap. -EPROTO: damaged, or over a limit; nothing can be unpacked after it. */
int spdy_headers_unpack(struct spdy_headers *h, const char *data, size_t len, char ***ret);

static inline uint32_t spdy_u32(const char *p)
{
        const uint8_t *u = (const uint8_t *)p;
        return (uint32_t)u[0] << 24 | (uint32_t)u[1] << 16 | (uint32_t)u[2] << 8 | u[3];
}

static inline void spdy_put_u32(struct kc_buf *b, uint32_t v)
{
        const uint8_t u[4] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};
        kc_buf_add(b, u, sizeof(u));
}
