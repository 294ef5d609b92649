/* Upgraded connections: raw bytes both ways, over a connection of the server or of the client. On the connection's
 * loop. */
#include <errno.h>

#include "base/mem.h"
#include "http/stream_internal.h"

struct kc_http_stream *http_stream_new(const struct http_stream_owner *owner, void *conn, struct kc_outq *out,
    size_t max_queued, const struct kc_http_stream_cbs *cbs, void *arg)
{
        struct kc_http_stream *s = KC_NEW(struct kc_http_stream);
        s->owner = owner;
        s->conn = conn;
        s->out = out;
        s->max_queued = max_queued;
        s->cbs = *cbs;
        s->arg = arg;
        return s;
}

void http_stream_early(struct kc_http_stream *s, const char *data, size_t len)
{
        if (len == 0)
                return;
        kc_buf_add(&s->early, data, len);
        s->owner->touch(s->conn);
}

void http_stream_input(struct kc_http_stream *s, const char *data, size_t len)
{
        if (s->closing)
                return;
        if (s->paused || s->early.len)
                http_stream_early(s, data, len);
        else
                s->cbs.on_data(s, data, len, s->arg);
}

static void deliver_early(struct kc_http_stream *s)
{
        if (s->paused || s->closing || s->early.len == 0)
                return;
        struct kc_buf b = s->early;
        s->early = KC_BUF_INIT;
        s->cbs.on_data(s, b.data, b.len, s->arg);
        kc_buf_done(&b);
}

bool http_stream_flushed(struct kc_http_stream *s)
{
        deliver_early(s);
        if (s->out->n == 0 && s->written) {
                s->written = false;
                if (s->cbs.on_drain)
                        s->cbs.on_drain(s, s->arg);
        }
        return s->closing && s->out->n == 0;
}

void http_stream_cut(struct kc_http_stream *s)
{
        s->closing = s->gone = true;
}

void http_stream_forget(struct kc_http_stream *s)
{
        kc_buf_done(&s->early);
        kc_free(s);
}

void http_stream_gone(struct kc_http_stream *s)
{
        http_stream_cut(s);
        if (s->cbs.on_close)
                s->cbs.on_close(s, s->arg);
        http_stream_forget(s);
}

int kc_http_stream_write(struct kc_http_stream *s, const void *data, size_t len)
{
        if (s->closing || s->gone)
                return -EPIPE;
        if (len > s->max_queued || s->out->bytes > s->max_queued - len)
                return -ENOBUFS;
        kc_outq_copy(s->out, data, len);
        s->written = true;
        s->owner->touch(s->conn);
        return 0;
}

size_t kc_http_stream_queued(const struct kc_http_stream *s)
{
        return s->gone ? 0 : s->out->bytes;
}

void kc_http_stream_pause(struct kc_http_stream *s, bool paused)
{
        s->paused = paused;
        if (s->gone)
                return;
        s->owner->pause(s->conn, paused);
        s->owner->touch(s->conn);
}

void kc_http_stream_close(struct kc_http_stream *s)
{
        s->closing = true;
        if (!s->gone)
                s->owner->touch(s->conn);
}
