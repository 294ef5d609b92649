/* HTTP/2 of one connection: requests out, responses in. I/O is conn.c's. On the channel's loop. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "grpc/channel_internal.h"

static struct kc_grpc_stream *stream_of(struct kc_h2_stream *s)
{
        return KC_CONTAINER_OF(s, struct kc_grpc_stream, h2);
}

static void on_header(struct kc_h2_stream *s, const char *name, size_t name_len, const char *value, size_t value_len)
{
        grpc_stream_on_header(stream_of(s), name, name_len, value, value_len);
}

static void on_data(struct kc_h2_stream *s, const char *data, size_t len)
{
        (void)grpc_stream_on_data(
            stream_of(s), data, len); /* false: it ended the stream, which is all there is to do */
}

static void on_close(struct kc_h2_stream *h2, uint32_t error)
{
        struct kc_grpc_stream *s = stream_of(h2);
        grpc_conn_streams_changed(KC_TAKE(s->conn));
        grpc_stream_on_close(s, error);
}

static ssize_t on_body(struct kc_h2_stream *h2, void *buf, size_t len, bool *ret_end)
{
        struct kc_grpc_stream *s = stream_of(h2);
        size_t n = KC_MIN(len, s->out.len - s->out_off);
        if (n > 0) {
                memcpy(buf, s->out.data + s->out_off, n);
                s->out_off += n;
        }
        *ret_end = s->out_off == s->out.len && s->close_send;
        return n == 0 && !*ret_end ? -EAGAIN : (ssize_t)n;
}

static void on_goaway(struct kc_h2 *h2, uint32_t error, void *arg)
{
        struct grpc_conn *c = arg;
        (void)h2;
        if (error == NGHTTP2_ENHANCE_YOUR_CALM)
                grpc_channel_calm_down(c->ch);
        grpc_channel_conn_draining(c->ch, c);
}

int grpc_h2_new(struct grpc_conn *c)
{
        static const struct kc_h2_cbs cbs = {.on_header = on_header,
            .on_data = on_data,
            .on_close = on_close,
            .on_body = on_body,
            .on_goaway = on_goaway};
        const struct kc_h2_opts o = {.stream_window = GRPC_STREAM_WINDOW, .conn_window = GRPC_CONN_WINDOW};
        return kc_h2_new(&o, &cbs, c, &c->h2);
}

static nghttp2_nv header(const char *name, const char *value)
{
        return kc_h2_field(name, strlen(name), value, strlen(value));
}

bool grpc_h2_submit(struct grpc_conn *c, struct kc_grpc_stream *s)
{
        size_t extra = kc_strv_len(c->ch->metadata) / 2;
        KC_CLEANUP(kc_freep) nghttp2_nv *nv = kc_calloc(8 + extra, sizeof(*nv));
        size_t n = 0;
        nv[n++] = header(":method", "POST");
        nv[n++] = header(":scheme", c->ep->tls ? "https" : "http");
        nv[n++] = header(":path", s->method);
        nv[n++] = header(":authority", c->ep->authority);
        nv[n++] = header("te", "trailers");
        nv[n++] = header("content-type", "application/grpc");
        nv[n++] = header("user-agent", "kubec/" KUBEC_VERSION);
        char timeout[24];
        if (s->deadline) {
                kc_mono left = KC_MAX((s->deadline - kc_clock_mono(NULL)) / KC_MSEC, 1);
                snprintf(timeout, sizeof(timeout), "%lldm", (long long)KC_MIN(left, 99999999));
                nv[n++] = header("grpc-timeout", timeout);
        }
        for (size_t i = 0; i < extra; i++)
                nv[n++] = header(c->ch->metadata[2 * i], c->ch->metadata[2 * i + 1]);
        if (!kc_h2_open(c->h2, &s->h2, nv, n, true))
                return false;
        s->conn = c;
        kc_list_remove(&s->node);
        grpc_conn_streams_changed(c);
        kc_conn_flush_soon(c->conn);
        return true;
}

void grpc_h2_cancel(struct kc_grpc_stream *s)
{
        struct grpc_conn *c = KC_TAKE(s->conn);
        if (!c)
                return;
        kc_h2_reset(&s->h2);
        if (c->conn)
                kc_conn_flush_soon(c->conn);
        grpc_conn_streams_changed(c);
}

void grpc_h2_resume(struct kc_grpc_stream *s)
{
        if (!s->conn)
                return;
        kc_h2_resume(&s->h2);
        if (s->conn->conn)
                kc_conn_flush_soon(s->conn->conn);
}
