/* Upgraded connections to the API server. On the client's loop; see wire.h. */
#include "cli/stream/wire.h"

#include <errno.h>

#include "base/clock.h"
#include "base/str.h"
#include "stream/websocket.h"

/* client-go's heartbeat. */
#define PING_EVERY (5 * KC_SEC)
#define PONG_WITHIN (60 * KC_SEC)

struct kc_wire {
        int refs; /* the owner's, one of the call or the stream under way */
        bool freed;
        struct kc_rest *rest;
        char *path, *websocket, **spdy;
        int timeout_ms;
        const struct kc_wire_cbs *cbs;
        void *arg;
        bool by_websocket;
        char key[KC_WS_KEY_LEN];
        struct kc_http_call *call;
        struct kc_http_stream *stream;
        struct kc_ws *ws;
        struct kc_timer *heartbeat;
        kc_mono heard;
        bool closed; /* on_close has come */
};

static void unref(struct kc_wire *w)
{
        if (--w->refs > 0)
                return;
        kc_free(w->path);
        kc_free(w->websocket);
        kc_strv_free(w->spdy);
        kc_ws_free(w->ws);
        kc_free(w);
}

static void stop_heartbeat(struct kc_wire *w)
{
        kc_timer_free(w->heartbeat);
        w->heartbeat = NULL;
}

static void say_closed(struct kc_wire *w, const struct kc_error *err)
{
        if (w->closed)
                return;
        w->closed = true;
        stop_heartbeat(w);
        if (!w->freed)
                w->cbs->on_close(w, err, w->arg);
}

static void fail(struct kc_wire *w, int errnum, const char *message)
{
        struct kc_error err = KC_ERROR_INIT;
        (void)kc_error_set(&err, errnum, "%s", message);
        say_closed(w, &err);
        kc_error_done(&err);
}

/* --- the stream */

static void write_out(struct kc_wire *w, struct kc_buf *out)
{
        int e = out->len > 0 && w->stream ? kc_http_stream_write(w->stream, out->data, out->len) : 0;
        if (e == -ENOBUFS)
                fail(w, ENOBUFS, "the server does not read what is sent");
        kc_buf_reset(out);
}

static int on_message(enum kc_ws_opcode op, const char *data, size_t len, bool first, bool last, void *arg)
{
        (void)op;
        (void)last;
        struct kc_wire *w = arg;
        if (!w->freed && !w->closed)
                w->cbs->on_data(w, data, len, first, w->arg);
        return 0;
}

static const struct kc_ws_cbs ws_cbs = {.on_data = on_message};

static void on_stream_data(struct kc_http_stream *s, const void *data, size_t len, void *arg)
{
        struct kc_wire *w = arg;
        w->heard = kc_clock_mono(NULL);
        if (!w->ws) {
                if (!w->freed && !w->closed)
                        w->cbs->on_data(w, data, len, false, w->arg);
                return;
        }
        KC_CLEANUP(kc_buf_done) struct kc_buf out = KC_BUF_INIT;
        w->refs++; /* callbacks may free it */
        int e = kc_ws_feed(w->ws, data, len, &out);
        write_out(w, &out);
        if (e != 0) {
                int code = kc_ws_peer_close(w->ws);
                if (e == 1 && (code == KC_WS_CLOSE_NORMAL || code == KC_WS_CLOSE_NO_STATUS))
                        say_closed(w, NULL);
                else if (e == 1) {
                        KC_CLEANUP(kc_freep) char *text = kc_asprintf("websocket: close %d", code);
                        fail(w, EREMOTEIO, text);
                } else
                        fail(w, EREMOTEIO, "websocket: the server broke the protocol");
                kc_http_stream_close(s);
        }
        unref(w);
}

static void on_stream_drain(struct kc_http_stream *s, void *arg)
{
        (void)s;
        struct kc_wire *w = arg;
        if (!w->freed && !w->closed && w->cbs->on_drain)
                w->cbs->on_drain(w, w->arg);
}

static void on_stream_close(struct kc_http_stream *s, void *arg)
{
        (void)s;
        struct kc_wire *w = arg;
        w->stream = NULL;
        if (w->ws)
                fail(w, ECONNRESET, "websocket: close 1006 (abnormal closure): unexpected EOF");
        else
                say_closed(w, NULL);
        unref(w);
}

static const struct kc_http_stream_cbs stream_cbs = {
    .on_data = on_stream_data, .on_drain = on_stream_drain, .on_close = on_stream_close};

static void beat(void *arg)
{
        struct kc_wire *w = arg;
        KC_CLEANUP(kc_buf_done) struct kc_buf out = KC_BUF_INIT;
        if (kc_clock_mono(NULL) - w->heard > PONG_WITHIN) {
                struct kc_http_stream *s = w->stream;
                fail(w, ETIMEDOUT, "websocket: no answer to pings: i/o timeout");
                kc_http_stream_close(s);
                return;
        }
        kc_ws_send(w->ws, KC_WS_PING, NULL, 0, "", 0, &out);
        kc_timer_arm(w->heartbeat, PING_EVERY);
        write_out(w, &out);
}

/* --- the handshake */

static int start(struct kc_wire *w, struct kc_error *err);

static void on_open(struct kc_http_call *call, void *arg)
{
        struct kc_wire *w = arg;
        w->call = NULL;
        if (w->freed) {
                unref(w);
                return;
        }
        char accept[KC_WS_ACCEPT_LEN];
        const char *protocol =
            kc_http_call_header(call, w->by_websocket ? "Sec-WebSocket-Protocol" : "X-Stream-Protocol-Version");
        if (w->by_websocket &&
            !kc_streq(kc_http_call_header(call, "Sec-WebSocket-Accept"), kc_ws_accept(w->key, accept))) {
                fail(w, EREMOTEIO, "websocket: bad handshake");
                unref(w);
                return;
        }
        if (w->by_websocket && !kc_streq(protocol, w->websocket)) {
                KC_CLEANUP(kc_freep)
                char *text = kc_asprintf(
                    "invalid protocol, expected \"%s\", got \"%s\"", w->websocket, protocol ? protocol : "");
                fail(w, EREMOTEIO, text);
                unref(w);
                return;
        }
        w->stream = kc_http_call_take_stream(call, &stream_cbs, w);
        w->heard = kc_clock_mono(NULL);
        if (w->by_websocket) {
                w->ws = kc_ws_new(true, &ws_cbs, w);
                w->heartbeat = kc_timer_new(kc_rest_loop(w->rest), beat, w);
                kc_timer_arm(w->heartbeat, PING_EVERY);
        }
        w->cbs->on_open(w, w->by_websocket, protocol ? protocol : "", w->arg);
}

static void on_fail(int code, const struct kc_error *err, void *arg)
{
        struct kc_wire *w = arg;
        w->call = NULL;
        struct kc_error why = KC_ERROR_INIT;
        if (!w->freed && w->by_websocket && code > 0 && w->spdy) {
                w->by_websocket = false;
                if (start(w, &why) == 0) {
                        unref(w); /* the first call's: the second one has its own */
                        return;
                }
                say_closed(w, &why);
        } else {
                say_closed(w, err);
        }
        kc_error_done(&why);
        unref(w);
}

static int start(struct kc_wire *w, struct kc_error *err)
{
        static const struct kc_rest_upgrade_cbs cbs = {.on_open = on_open, .on_fail = on_fail};
        KC_CLEANUP(kc_strv_freep) char **headers = NULL;
        kc_strv_push(&headers, "Upgrade");
        kc_strv_push(&headers, w->by_websocket ? "websocket" : "SPDY/3.1");
        if (w->by_websocket) {
                kc_strv_push(&headers, "Sec-WebSocket-Version");
                kc_strv_push(&headers, "13");
                kc_strv_push(&headers, "Sec-WebSocket-Key");
                kc_strv_push(&headers, kc_ws_key(w->key));
                kc_strv_push(&headers, "Sec-WebSocket-Protocol");
                kc_strv_push(&headers, w->websocket);
        }
        for (char **p = w->spdy; !w->by_websocket && *p; p++) {
                kc_strv_push(&headers, "X-Stream-Protocol-Version");
                kc_strv_push(&headers, *p);
        }
        w->refs++;
        int e = kc_rest_upgrade(
            w->rest, w->by_websocket ? "GET" : "POST", w->path, headers, &cbs, w, w->timeout_ms, &w->call, err);
        if (e < 0)
                w->refs--;
        return e;
}

int kc_wire_new(const struct kc_wire_opts *o, struct kc_wire **ret, struct kc_error *err)
{
        struct kc_wire *w = KC_NEW(struct kc_wire);
        *w = (struct kc_wire){.refs = 1,
            .rest = o->rest,
            .path = kc_strdup(o->path),
            .websocket = kc_strdup(o->websocket),
            .spdy = kc_strv_copy(o->spdy),
            .timeout_ms = o->timeout_ms,
            .cbs = o->cbs,
            .arg = o->arg,
            .by_websocket = o->websocket != NULL};
        int e = start(w, err);
        if (e < 0)
                unref(w);
        else
                *ret = w;
        return e;
}

void kc_wire_send(struct kc_wire *w, const void *head, size_t head_len, const void *data, size_t len)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf out = KC_BUF_INIT;
        if (w->closed || !w->stream)
                return;
        if (w->ws) {
                kc_ws_send(w->ws, KC_WS_BINARY, head, head_len, data, len, &out);
        } else {
                kc_buf_add(&out, head, head_len);
                kc_buf_add(&out, data, len);
        }
        write_out(w, &out);
}

size_t kc_wire_queued(const struct kc_wire *w)
{
        return w->stream ? kc_http_stream_queued(w->stream) : 0;
}

void kc_wire_pause(struct kc_wire *w, bool paused)
{
        if (w->stream)
                kc_http_stream_pause(w->stream, paused);
}

void kc_wire_free(struct kc_wire *w)
{
        if (!w)
                return;
        w->freed = true;
        stop_heartbeat(w);
        if (w->call)
                kc_http_call_cancel(w->call);
        if (w->stream) {
                KC_CLEANUP(kc_buf_done) struct kc_buf out = KC_BUF_INIT;
                if (w->ws && !w->closed)
                        kc_ws_close(w->ws, KC_WS_CLOSE_NORMAL, "", &out);
                write_out(w, &out);
                kc_http_stream_pause(w->stream, false);
                kc_http_stream_close(w->stream);
        }
        unref(w);
}
