/* Upgraded connections: raw bytes both ways. On the connection's loop. */
#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "http/http_internal.h"

struct kc_http_stream {
        struct http_conn *conn;
        struct kc_http_stream_cbs cbs;
        void *arg;
        struct kc_buf early; /* read before the upgrade, or while paused */
        bool paused, closing;
        bool written; /* since the last on_drain */
};

int kc_http_upgrade(struct kc_http_req *r, char *const *headers, const struct kc_http_stream_cbs *cbs, void *arg,
    struct kc_http_stream **ret)
{
        struct http_conn *c = r->conn;
        if (r->is_h2 || r->http10)
                return -ENOTSUP;
        if (!c || c->eof || !r->request_done || atomic_exchange(&r->answered, true))
                return -EPIPE;
        struct kc_http_stream *s = KC_NEW(struct kc_http_stream);
        s->conn = c;
        s->cbs = *cbs;
        s->arg = arg;
        c->stream = s;
        r->answer = HTTP_ANSWER_FINISHED;
        int err = http_h1_upgrade(r, headers);
        if (err < 0) {
                c->stream = NULL;
                kc_free(s);
                c->abort = true;
        } else {
                *ret = s;
        }
        http_conn_dirty(c);
        return err;
}

void http_stream_early(struct http_conn *c, const char *data, size_t len)
{
        if (len == 0)
                return;
        kc_buf_add(&c->stream->early, data, len);
        http_conn_dirty(c);
}

void http_stream_input(struct http_conn *c, const char *data, size_t len)
{
        struct kc_http_stream *s = c->stream;
        if (s->closing)
                return;
        if (s->paused || s->early.len)
                http_stream_early(c, data, len);
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

void http_stream_flushed(struct http_conn *c)
{
        struct kc_http_stream *s = c->stream;
        deliver_early(s);
        if (c->out.n == 0 && s->written) {
                s->written = false;
                if (s->cbs.on_drain)
                        s->cbs.on_drain(s, s->arg);
        }
        if (s->closing && c->out.n == 0)
                c->close_after_flush = true;
}

void http_stream_closed(struct http_conn *c)
{
        struct kc_http_stream *s = KC_TAKE(c->stream);
        s->closing = true;
        if (s->cbs.on_close)
                s->cbs.on_close(s, s->arg);
        kc_buf_done(&s->early);
        kc_free(s);
}

int kc_http_stream_write(struct kc_http_stream *s, const void *data, size_t len)
{
        struct http_conn *c = s->conn;
        if (s->closing || c->state != HTTP_CONN_RAW)
                return -EPIPE;
        size_t max = c->server->opts.max_queued_bytes;
        if (len > max || c->out.bytes > max - len)
                return -ENOBUFS;
        http_outq_copy(&c->out, data, len);
        s->written = true;
        http_conn_dirty(c);
        return 0;
}

size_t kc_http_stream_queued(const struct kc_http_stream *s)
{
        return s->conn->out.bytes;
}

void kc_http_stream_pause(struct kc_http_stream *s, bool paused)
{
        s->paused = paused;
        if (s->conn->state != HTTP_CONN_RAW)
                return;
        http_conn_pause_read(s->conn, paused);
        http_conn_dirty(s->conn);
}

void kc_http_stream_close(struct kc_http_stream *s)
{
        s->closing = true;
        if (s->conn->state == HTTP_CONN_RAW)
                http_conn_dirty(s->conn);
}
