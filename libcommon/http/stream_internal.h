/* What connections need of the raw streams on them. */
#pragma once

#include "base/buf.h"
#include "http/stream.h"
#include "net/outq.h"

/* What a stream asks of its connection. */
struct http_stream_owner {
        void (*touch)(void *conn); /* calls http_stream_flushed soon, after writing what is queued */
        void (*pause)(void *conn, bool paused);
};

struct kc_http_stream {
        const struct http_stream_owner *owner;
        void *conn;
        struct kc_outq *out;
        size_t max_queued;
        struct kc_http_stream_cbs cbs;
        void *arg;
        struct kc_buf early; /* read before the upgrade, or while paused */
        bool paused, closing;
        bool gone;    /* the connection is closed */
        bool written; /* since the last on_drain */
};

struct kc_http_stream *http_stream_new(const struct http_stream_owner *owner, void *conn, struct kc_outq *out,
    size_t max_queued, const struct kc_http_stream_cbs *cbs, void *arg);
/* Bytes that were read before the stream's user could take them. */
void http_stream_early(struct kc_http_stream *s, const char *data, size_t len);
void http_stream_input(struct kc_http_stream *s, const char *data, size_t len);
/* After writing. True: the connection is to be closed, all is out. */
bool http_stream_flushed(struct kc_http_stream *s);
/* The connection is closed; the last callback is to come. */
void http_stream_cut(struct kc_http_stream *s);
/* Last callback, and frees. */
void http_stream_gone(struct kc_http_stream *s);
/* Frees without a callback. */
void http_stream_forget(struct kc_http_stream *s);
