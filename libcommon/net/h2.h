/* The client's side of an HTTP/2 connection, on nghttp2. Bytes in, bytes out: no I/O. One thread. Callbacks come from
 * kc_h2_input and kc_h2_output only; all functions but those two and kc_h2_free may be called from them. */
#pragma once

#include <nghttp2/nghttp2.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/list.h"
#include "net/outq.h"

struct kc_h2;

/* Embedded in the user's exchange; all zero but node (kc_list_init) before it is opened. */
struct kc_h2_stream {
        struct kc_h2 *h2; /* NULL: not open */
        int32_t id;
        struct kc_list node; /* of the connection's streams */
};

struct kc_h2_cbs {
        /* Fields of headers, interim headers and trailers, in order. */
        void (*on_header)(
            struct kc_h2_stream *s, const char *name, size_t name_len, const char *value, size_t value_len);
        /* A block of fields is complete. May be NULL. */
        void (*on_headers)(struct kc_h2_stream *s);
        /* Counted as consumed when it returns. */
        void (*on_data)(struct kc_h2_stream *s, const char *data, size_t len);
        /* The peer has said all: with kc_h2_finish no on_close comes. May be NULL. */
        void (*on_end)(struct kc_h2_stream *s);
        /* Closed: s is free for another use. REFUSED_STREAM (also after GOAWAY): the peer has not looked at it. */
        void (*on_close)(struct kc_h2_stream *s, uint32_t error_code);
        /* Fills buf with more of the request's body. -EAGAIN: none now, kc_h2_resume will tell. */
        ssize_t (*on_body)(struct kc_h2_stream *s, void *buf, size_t len, bool *ret_end);
        /* The peer takes no new streams. */
        void (*on_goaway)(struct kc_h2 *h, uint32_t error_code, void *arg);
        /* The peer's settings have come. May be NULL. */
        void (*on_settings)(struct kc_h2 *h, void *arg);
};

struct kc_h2_opts {
        uint32_t stream_window, conn_window; /* for what we receive */
        uint32_t max_header_list;            /* told to the peer; 0: not */
};

int kc_h2_new(const struct kc_h2_opts *o, const struct kc_h2_cbs *cbs, void *arg, struct kc_h2 **ret);
/* Streams that are open are let go of without on_close. */
void kc_h2_free(struct kc_h2 *h);
KC_DEFINE_CLEANUP(struct kc_h2 *, kc_h2_free)

/* False: the connection takes no more streams (GOAWAY, ids used up). */
bool kc_h2_open(struct kc_h2 *h, struct kc_h2_stream *s, const nghttp2_nv *nv, size_t n, bool body);
/* Resets with CANCEL and lets go of it: no on_close. Not open: nothing happens. */
void kc_h2_reset(struct kc_h2_stream *s);
/* In on_end: lets go of it without on_close. A request that is not complete is reset. */
void kc_h2_finish(struct kc_h2_stream *s);
/* on_body has something again. */
void kc_h2_resume(struct kc_h2_stream *s);
void kc_h2_ping(struct kc_h2 *h);
/* Open streams. */
struct kc_list *kc_h2_streams(struct kc_h2 *h);
/* How many more streams the peer allows now. */
size_t kc_h2_room(const struct kc_h2 *h);

/* -EPROTO: the connection has to be closed. */
int kc_h2_input(struct kc_h2 *h, const char *data, size_t len, struct kc_error *err);
/* Adds frames to out until it has about max bytes. -ECONNRESET: all is said and the connection is over; -EPROTO. */
int kc_h2_output(struct kc_h2 *h, struct kc_outq *out, size_t max, struct kc_error *err);

static inline nghttp2_nv kc_h2_field(const char *name, size_t name_len, const char *value, size_t value_len)
{
        return (nghttp2_nv){.name = (uint8_t *)(uintptr_t)name,
            .value = (uint8_t *)(uintptr_t)value,
            .namelen = name_len,
            .valuelen = value_len};
}
