/* One connection of a channel: its bytes go to and from the HTTP/2 session (h2.c); keep-alive. On the channel's loop.
 */
#include <errno.h>
#include <stdarg.h>

#include "base/mem.h"
#include "base/str.h"
#include "grpc/channel_internal.h"

static void unref(struct grpc_conn *c)
{
        if (--c->refs > 0)
                return;
        kc_error_done(&c->error);
        kc_free(c);
}

/* --- The end */

/* All streams leave first, so that callbacks cannot reach the session any more. */
static void end_streams(struct grpc_conn *c, enum kc_grpc_code code, const char *why)
{
        struct kc_list leaving;
        kc_list_init(&leaving);
        for (struct kc_h2_stream *h; c->h2 && (h = KC_LIST_FIRST(kc_h2_streams(c->h2), struct kc_h2_stream, node));) {
                struct kc_grpc_stream *s = KC_CONTAINER_OF(h, struct kc_grpc_stream, h2);
                kc_h2_reset(h);
                s->conn = NULL;
                kc_list_push_back(&leaving, &s->node);
        }
        for (struct kc_grpc_stream *s; (s = KC_LIST_FIRST(&leaving, struct kc_grpc_stream, node));)
                grpc_stream_end(s, code, why);
}

void grpc_conn_close(struct grpc_conn *c)
{
        struct kc_grpc_channel *ch = c->ch;
        if (!ch)
                return;
        c->dead = true;
        kc_list_remove(&c->node);
        kc_timer_free(KC_TAKE(c->keepalive));
        kc_conn_free(KC_TAKE(c->conn));
        KC_CLEANUP(kc_freep) char *why = kc_strdup(kc_error_message(&c->error));
        if (ch->closed)
                end_streams(c, KC_GRPC_CANCELLED, "grpc: the client connection is closing");
        else
                end_streams(c, KC_GRPC_UNAVAILABLE, why);
        kc_h2_free(KC_TAKE(c->h2));
        c->ch = NULL;
        unref(c);
}

static void bury(void *arg)
{
        struct grpc_conn *c = arg;
        if (c->ch) {
                grpc_channel_conn_lost(c->ch, c);
                grpc_conn_close(c);
        }
        unref(c);
}

void grpc_conn_fail(struct grpc_conn *c, int errnum, const char *fmt, ...)
{
        if (c->dead)
                return;
        c->dead = true;
        va_list ap;
        va_start(ap, fmt);
        KC_CLEANUP(kc_freep) char *msg = kc_vasprintf(fmt, ap);
        va_end(ap);
        kc_error_set(&c->error, errnum, "connection to %s: %s", c->ep->text, msg);
        kc_conn_free(KC_TAKE(c->conn));
        c->refs++;
        kc_loop_defer(c->ch->loop, bury, c);
}

/* --- Keep-alive */

static void on_keepalive(void *arg)
{
        struct grpc_conn *c = arg;
        kc_mono now = kc_clock_mono(NULL);
        if (c->dead)
                return;
        if (c->ping_sent && now - c->last_read >= c->ch->keepalive_timeout_usec) {
                grpc_conn_fail(c, EHOSTUNREACH, "no answer to a keep-alive ping");
                return;
        }
        if (kc_list_empty(kc_h2_streams(c->h2)))
                return;
        kc_mono idle = now - c->last_read;
        if (idle < c->keepalive_usec) {
                kc_timer_arm(c->keepalive, c->keepalive_usec - idle);
                return;
        }
        kc_h2_ping(c->h2);
        kc_conn_flush_soon(c->conn);
        c->ping_sent = true;
        kc_timer_arm(c->keepalive, c->ch->keepalive_timeout_usec);
}

void grpc_conn_streams_changed(struct grpc_conn *c)
{
        if (c->dead)
                return;
        if (kc_list_empty(kc_h2_streams(c->h2))) {
                if (c->draining)
                        grpc_conn_fail(c, EHOSTUNREACH, "closed after GOAWAY");
        } else if (c->keepalive_usec > 0 && !kc_timer_armed(c->keepalive)) {
                c->last_read = kc_clock_mono(NULL);
                kc_timer_arm(c->keepalive, c->keepalive_usec);
        }
}

/* --- What the connection tells */

static void on_open(struct kc_conn *conn, bool h2, void *arg)
{
        struct grpc_conn *c = arg;
        (void)conn;
        c->last_read = kc_clock_mono(NULL);
        if (c->ep->tls && !h2)
                grpc_conn_fail(c, EPROTO, "the server does not speak HTTP/2");
        else if (grpc_h2_new(c) < 0)
                grpc_conn_fail(c, ENOMEM, "HTTP/2 session");
        else
                grpc_channel_conn_ready(c->ch, c);
}

static void on_input(struct kc_conn *conn, const char *data, size_t len, void *arg)
{
        struct grpc_conn *c = arg;
        (void)conn;
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        c->last_read = kc_clock_mono(NULL);
        c->ping_sent = false;
        if (kc_h2_input(c->h2, data, len, &err) < 0)
                grpc_conn_fail(c, EPROTO, "%s", kc_error_message(&err));
}

static void on_room(struct kc_conn *conn, struct kc_outq *out, void *arg)
{
        struct grpc_conn *c = arg;
        (void)conn;
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        if (!c->dead && kc_h2_output(c->h2, out, GRPC_WRITE_CHUNK, &err) < 0)
                grpc_conn_fail(c, EHOSTUNREACH, "%s", kc_error_message(&err));
}

static void on_close(struct kc_conn *conn, const struct kc_error *err, void *arg)
{
        (void)conn;
        grpc_conn_fail(arg, EHOSTUNREACH, "%s", err ? kc_error_message(err) : "closed by the server");
}

struct grpc_conn *grpc_conn_new(struct kc_grpc_channel *ch, const struct grpc_endpoint *ep)
{
        static const struct kc_conn_cbs cbs = {
            .on_open = on_open, .on_input = on_input, .on_room = on_room, .on_close = on_close};
        struct grpc_conn *c = KC_NEW(struct grpc_conn);
        c->refs = 1;
        c->ch = ch;
        c->ep = ep;
        kc_list_init(&c->node);
        c->keepalive = kc_timer_new(ch->loop, on_keepalive, c);
        /* The kernel tells when the peer of a unix socket dies, and servers there (containerd) punish pings. */
        c->keepalive_usec = ep->unix_path ? 0 : ch->keepalive_usec;
        const struct kc_conn_opts o = {.unix_path = ep->unix_path,
            .host = ep->host,
            .port = ep->port,
            .tls = ep->tls,
            .alpn = KC_TLS_ALPN_H2,
            .timeout_usec = ch->connect_timeout_usec};
        c->conn = kc_conn_new(ch->loop, &o, &cbs, c);
        return c;
}
