/* Upgrades of requests to the server: the connection becomes a raw stream. On the connection's loop. */
#include <errno.h>

#include "http/http_internal.h"

static void touch(void *conn)
{
        http_conn_dirty(conn);
}

static void pause_reading(void *conn, bool paused)
{
        http_conn_pause_read(conn, paused);
}

static const struct http_stream_owner owner = {.touch = touch, .pause = pause_reading};

int kc_http_upgrade(struct kc_http_req *r, char *const *headers, const struct kc_http_stream_cbs *cbs, void *arg,
    struct kc_http_stream **ret)
{
        struct http_conn *c = r->conn;
        if (r->is_h2 || r->http10)
                return -ENOTSUP;
        if (!c || c->eof || !r->request_done || atomic_exchange(&r->answered, true))
                return -EPIPE;
        c->stream = http_stream_new(&owner, c, &c->out, c->server->opts.max_queued_bytes, cbs, arg);
        r->answer = HTTP_ANSWER_FINISHED;
        int err = http_h1_upgrade(r, headers);
        if (err < 0) {
                http_stream_forget(KC_TAKE(c->stream));
                c->abort = true;
        } else {
                *ret = c->stream;
        }
        http_conn_dirty(c);
        return err;
}
