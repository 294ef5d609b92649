/* The server's side of a watch over WebSocket, as upstream's WatchServer.HandleWS: what the peer sends is ignored. */
#include "server/watch_socket.h"

#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "stream/websocket.h"

#define BEARER_PROTOCOL "base64url.bearer.authorization.k8s.io."

struct watch_socket {
        struct kc_ws *ws;
        struct kc_http_stream *stream;
        bool binary;
        void (*on_drain)(void *arg); /* NULL: ended */
        void *arg;
};

bool watch_socket_wanted(const struct api_req *q)
{
        return kc_ws_is_request(kc_http_req_header(q->http, "Upgrade"), kc_http_req_header(q->http, "Connection"));
}

static int ignore(enum kc_ws_opcode op, const char *data, size_t len, bool first, bool last, void *arg)
{
        (void)op;
        (void)data;
        (void)len;
        (void)first;
        (void)last;
        (void)arg; /* a watch has nothing to be told */
        return 0;
}

static void on_data(struct kc_http_stream *stream, const void *data, size_t len, void *arg)
{
        struct watch_socket *s = arg;
        KC_CLEANUP(kc_buf_done) struct kc_buf out = KC_BUF_INIT;
        int r = kc_ws_feed(s->ws, data, len, &out);
        if (out.len > 0 && kc_http_stream_write(stream, out.data, out.len) < 0)
                r = -EPIPE;
        if (r != 0)
                kc_http_stream_close(stream);
}

static void on_drained(struct kc_http_stream *stream, void *arg)
{
        (void)stream; /* s's */
        struct watch_socket *s = arg;
        if (s->on_drain)
                s->on_drain(s->arg);
}

static void on_close(struct kc_http_stream *stream, void *arg)
{
        (void)stream; /* freed after this */
        struct watch_socket *s = arg;
        kc_ws_free(s->ws);
        kc_free(s);
}

/* The protocols that are asked for, without credentials. */
static char **protocols_of(const struct api_req *q)
{
        const char *header = kc_http_req_header(q->http, "Sec-WebSocket-Protocol");
        KC_CLEANUP(kc_strv_freep) char **parts = kc_strv_split(header ? header : "", ',');
        char **protocols = NULL;
        for (size_t i = 0; parts[i]; i++) {
                char *protocol = kc_str_trim(parts[i]);
                if (*protocol && !kc_str_has_prefix(protocol, BEARER_PROTOCOL))
                        kc_strv_push_take(&protocols, protocol);
                else
                        kc_free(protocol);
        }
        return protocols;
}

/* What the handshake of golang.org/x/net/websocket refuses, without a word. */
static int refusal(const struct api_req *q, char *const *protocols)
{
        if (kc_str_empty(kc_http_req_header(q->http, "Origin")))
                return 403;
        return kc_strv_len(protocols) > 1 ? 400 : 0;
}

static char **handshake_headers(struct api_req *q, const char *protocol)
{
        char accept[KC_WS_ACCEPT_LEN];
        char **headers = api_reply_headers(q, NULL);
        const char *const pairs[] = {"Upgrade", "websocket", "Sec-WebSocket-Accept",
            kc_ws_accept(kc_http_req_header(q->http, "Sec-WebSocket-Key"), accept), "Sec-WebSocket-Protocol", protocol};
        for (size_t i = 0; i < KC_ARRAY_LEN(pairs) && pairs[i + 1]; i += 2) {
                kc_strv_push(&headers, pairs[i]);
                kc_strv_push(&headers, pairs[i + 1]);
        }
        return headers;
}

bool watch_socket_open(
    struct api_req *q, bool binary, void (*on_drain)(void *arg), void *arg, struct watch_socket **ret)
{
        static const struct kc_ws_cbs ws_cbs = {.on_data = ignore};
        static const struct kc_http_stream_cbs cbs = {on_data, on_drained, on_close};
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        KC_CLEANUP(kc_strv_freep) char **protocols = protocols_of(q);
        if (kc_ws_check_request(kc_http_req_method(q->http), kc_http_req_header(q->http, "Sec-WebSocket-Version"),
                kc_http_req_header(q->http, "Sec-WebSocket-Key"), &err) < 0) {
                api_reply_error(q, &err);
                return false;
        }
        int code = refusal(q, protocols);
        if (code != 0) {
                KC_CLEANUP(kc_strv_freep) char **headers = api_reply_headers(q, NULL);
                api_reply_raw(q, code, headers, NULL);
                return false;
        }
        struct watch_socket *s = KC_NEW(struct watch_socket);
        KC_CLEANUP(kc_strv_freep) char **headers = handshake_headers(q, protocols ? protocols[0] : NULL);
        int r = kc_http_upgrade(q->http, headers, &cbs, s, &s->stream);
        if (r < 0) {
                kc_free(s);
                /* -EPIPE: there is nobody to answer to. */
                (void)kc_err_bad_request(&err, "the connection cannot be upgraded");
                api_reply_error(q, &err);
                return false;
        }
        s->ws = kc_ws_new(false, &ws_cbs, s);
        s->binary = binary;
        s->on_drain = on_drain;
        s->arg = arg;
        *ret = s;
        return true;
}

int watch_socket_write(struct watch_socket *s, const char *message, size_t len)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf out = KC_BUF_INIT;
        kc_ws_send(s->ws, s->binary ? KC_WS_BINARY : KC_WS_TEXT, NULL, 0, message, len, &out);
        return kc_http_stream_write(s->stream, kc_buf_str(&out), out.len);
}

size_t watch_socket_queued(const struct watch_socket *s)
{
        return kc_http_stream_queued(s->stream);
}

void watch_socket_end(struct watch_socket *take_s)
{
        if (!take_s)
                return;
        KC_CLEANUP(kc_buf_done) struct kc_buf out = KC_BUF_INIT;
        take_s->on_drain = NULL;
        kc_ws_close(take_s->ws, KC_WS_CLOSE_NORMAL, NULL, &out);
        if (out.len > 0)
                (void)kc_http_stream_write(take_s->stream, out.data, out.len); /* it is closed in any case */
        kc_http_stream_close(take_s->stream);
}
