/* The nghttp2 session of one connection: requests out, responses in. I/O is conn.c's. On the channel's loop. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "grpc/channel_internal.h"

static struct kc_grpc_stream *stream_of(nghttp2_session *h2, int32_t id)
{
        return nghttp2_session_get_stream_user_data(h2, id);
}

/* The HTTP/2 stream and the call know each other no longer. */
static void forget(struct kc_grpc_stream *s)
{
        struct grpc_conn *c = s->conn;
        (void)nghttp2_session_set_stream_user_data(c->h2, s->id, NULL); /* fails when the stream is gone: fine */
        s->conn = NULL;
        kc_list_remove(&s->node);
        grpc_conn_streams_changed(c);
}

/* --- Callbacks of nghttp2 */

static int on_header(nghttp2_session *h2, const nghttp2_frame *frame, const uint8_t *name, size_t name_len,
    const uint8_t *value, size_t value_len, uint8_t flags, void *user_data)
{
        (void)flags;
        (void)user_data;
        struct kc_grpc_stream *s = stream_of(h2, frame->hd.stream_id);
        if (s)
                grpc_stream_on_header(s, (const char *)name, name_len, (const char *)value, value_len);
        return 0;
}

static int on_data_chunk(
    nghttp2_session *h2, uint8_t flags, int32_t id, const uint8_t *data, size_t len, void *user_data)
{
        (void)flags;
        (void)user_data;
        struct kc_grpc_stream *s = stream_of(h2, id);
        if (s)
                (void)grpc_stream_on_data(s, data, len); /* false: it ended the stream, which is all there is to do */
        return 0;
}

static int on_stream_close(nghttp2_session *h2, int32_t id, uint32_t error, void *user_data)
{
        (void)user_data;
        struct kc_grpc_stream *s = stream_of(h2, id);
        if (s) {
                forget(s);
                grpc_stream_on_close(s, error);
        }
        return 0;
}

static int on_frame_recv(nghttp2_session *h2, const nghttp2_frame *frame, void *user_data)
{
        struct grpc_conn *c = user_data;
        (void)h2;
        if (frame->hd.type == NGHTTP2_GOAWAY) {
                if (frame->goaway.error_code == NGHTTP2_ENHANCE_YOUR_CALM)
                        grpc_channel_calm_down(c->ch);
                grpc_channel_conn_draining(c->ch, c);
        } else if (frame->hd.type == NGHTTP2_PING && (frame->hd.flags & NGHTTP2_FLAG_ACK)) {
                c->ping_sent = false;
        }
        return 0;
}

static int on_frame_not_send(nghttp2_session *h2, const nghttp2_frame *frame, int error, void *user_data)
{
        struct grpc_conn *c = user_data;
        (void)h2;
        (void)error;
        /* A request that a GOAWAY overtook: it never became a stream, so that there is none to ask for its call. */
        if (frame->hd.type != NGHTTP2_HEADERS)
                return 0;
        KC_LIST_FOREACH(&c->streams, s, struct kc_grpc_stream, node)
        {
                if (s->id != frame->hd.stream_id)
                        continue;
                forget(s);
                grpc_stream_on_close(s, NGHTTP2_REFUSED_STREAM);
                break;
        }
        return 0;
}

static ssize_t read_body(nghttp2_session *h2, int32_t id, uint8_t *buf, size_t length, uint32_t *flags,
    nghttp2_data_source *source, void *user_data)
{
        (void)source;
        (void)user_data;
        struct kc_grpc_stream *s = stream_of(h2, id);
        if (!s)
                return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* cancelled: the reset is on its way */
        size_t n = KC_MIN(length, s->out.len - s->out_off);
        if (n > 0) {
                memcpy(buf, s->out.data + s->out_off, n);
                s->out_off += n;
        }
        if (s->out_off == s->out.len) {
                if (s->close_send)
                        *flags |= NGHTTP2_DATA_FLAG_EOF;
                else if (n == 0)
                        return NGHTTP2_ERR_DEFERRED;
        }
        return (ssize_t)n;
}

/* --- What conn.c, stream.c and channel.c use */

int grpc_h2_new(struct grpc_conn *c)
{
        nghttp2_session_callbacks *cbs;
        if (nghttp2_session_callbacks_new(&cbs) != 0)
                return -ENOMEM;
        nghttp2_session_callbacks_set_on_header_callback(cbs, on_header);
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cbs, on_data_chunk);
        nghttp2_session_callbacks_set_on_stream_close_callback(cbs, on_stream_close);
        nghttp2_session_callbacks_set_on_frame_recv_callback(cbs, on_frame_recv);
        nghttp2_session_callbacks_set_on_frame_not_send_callback(cbs, on_frame_not_send);
        int r = nghttp2_session_client_new(&c->h2, cbs, c);
        nghttp2_session_callbacks_del(cbs);
        if (r != 0)
                return -ENOMEM;
        nghttp2_settings_entry settings[] = {
            {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
            {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, GRPC_STREAM_WINDOW},
        };
        if (nghttp2_submit_settings(c->h2, NGHTTP2_FLAG_NONE, settings, KC_ARRAY_LEN(settings)) != 0 ||
            nghttp2_session_set_local_window_size(c->h2, NGHTTP2_FLAG_NONE, 0, GRPC_CONN_WINDOW) != 0)
                return -ENOMEM;
        return 0;
}

static nghttp2_nv header(const char *name, const char *value)
{
        return (nghttp2_nv){
            .name = (uint8_t *)(uintptr_t)name,
            .value = (uint8_t *)(uintptr_t)value,
            .namelen = strlen(name),
            .valuelen = strlen(value),
            .flags = NGHTTP2_NV_FLAG_NONE,
        };
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
        nghttp2_data_provider body = {.read_callback = read_body};
        int32_t id = nghttp2_submit_request(c->h2, NULL, nv, n, &body, s);
        if (id < 0)
                return false;
        s->id = id;
        s->conn = c;
        kc_list_remove(&s->node);
        kc_list_push_back(&c->streams, &s->node);
        grpc_conn_streams_changed(c);
        grpc_conn_flush_soon(c);
        return true;
}

void grpc_h2_cancel(struct kc_grpc_stream *s)
{
        struct grpc_conn *c = s->conn;
        if (!c)
                return;
        /* Out of memory is the only way to fail; then the stream stays open at the server until it ends by itself. */
        (void)nghttp2_submit_rst_stream(c->h2, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_CANCEL);
        grpc_conn_flush_soon(c);
        forget(s);
}

void grpc_h2_resume(struct kc_grpc_stream *s)
{
        if (!s->conn)
                return;
        (void)nghttp2_session_resume_data(s->conn->h2, s->id); /* fails when it was not deferred: fine */
        grpc_conn_flush_soon(s->conn);
}
