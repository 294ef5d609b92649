/* HTTP/2 links: many calls on one connection. What is received is consumed at once, so that no call can use up the
 * connection's window for the others. On the loop. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "http/client_internal.h"

enum { MAX_FIELDS = 1000 };

static struct kc_http_call *call_of(struct kc_h2_stream *s)
{
        return KC_CONTAINER_OF(s, struct kc_http_call, h2);
}

/* The call and its link know each other no longer. */
static struct http_link *let_go(struct kc_http_call *call)
{
        struct http_link *l = KC_TAKE(call->link);
        if (kc_list_empty(kc_h2_streams(l->h2)))
                l->idle_since = kc_clock_mono(NULL);
        return l;
}

/* --- What comes */

static void too_large(struct kc_http_call *call)
{
        struct kc_error err = KC_ERROR_INIT;
        kc_error_set(&err, EMSGSIZE, "http2: response header list larger than advertised limit");
        http_call_finish(call, &err);
        kc_error_done(&err);
}

static void on_header(struct kc_h2_stream *s, const char *name, size_t name_len, const char *value, size_t value_len)
{
        struct kc_http_call *call = call_of(s);
        if (call->head_seen) /* trailers are not kept */
                return;
        call->header_bytes += name_len + value_len;
        size_t n = call->headers ? kc_strv_len(call->headers) : 0;
        if (call->header_bytes > HTTP_CLIENT_MAX_HEAD || n >= 2 * MAX_FIELDS) {
                too_large(call);
                return;
        }
        if (name_len == strlen(":status") && memcmp(name, ":status", name_len) == 0) {
                call->status = 0;
                for (size_t i = 0; i < value_len; i++) /* nghttp2 has checked that they are three digits */
                        call->status = call->status * 10 + (value[i] - '0');
                return;
        }
        if (name_len && name[0] == ':')
                return;
        kc_strv_push_take(&call->headers, kc_strndup(name, name_len));
        kc_strv_push_take(&call->headers, kc_strndup(value, value_len));
}

static void on_headers(struct kc_h2_stream *s)
{
        struct kc_http_call *call = call_of(s);
        if (call->head_seen)
                return;
        if (call->status >= 200)
                http_call_on_head(call, call->status);
        else
                kc_strv_free(KC_TAKE(call->headers)); /* interim */
}

static void on_data(struct kc_h2_stream *s, const char *data, size_t len)
{
        http_call_on_data(call_of(s), data, len);
}

static void on_end(struct kc_h2_stream *s)
{
        struct kc_http_call *call = call_of(s);
        kc_h2_finish(s);
        let_go(call);
        http_call_on_end(call);
}

static void on_close(struct kc_h2_stream *s, uint32_t code)
{
        struct kc_http_call *call = call_of(s);
        struct http_link *l = let_go(call);
        struct kc_error err = KC_ERROR_INIT;
        kc_error_set(&err, ECONNRESET, "stream error: stream ID %d; %s; received from peer", s->id,
            nghttp2_http2_strerror(code));
        http_call_on_lost(call, &err, code == NGHTTP2_REFUSED_STREAM, l->n_calls > 1);
        kc_error_done(&err);
}

static ssize_t on_body(struct kc_h2_stream *s, void *buf, size_t len, bool *ret_end)
{
        struct kc_http_call *call = call_of(s);
        struct kc_bytes *body = http_request_body(call);
        size_t left = kc_bytes_len(body) - call->body_sent, n = KC_MIN(len, left);
        memcpy(buf, kc_bytes_data(body) + call->body_sent, n);
        call->body_sent += n;
        *ret_end = n == left;
        return (ssize_t)n;
}

static void on_goaway(struct kc_h2 *h, uint32_t code, void *arg)
{
        struct http_link *l = arg;
        (void)h;
        (void)code;
        l->draining = true;
}

static const struct kc_h2_cbs cbs = {
    .on_header = on_header,
    .on_headers = on_headers,
    .on_data = on_data,
    .on_end = on_end,
    .on_close = on_close,
    .on_body = on_body,
    .on_goaway = on_goaway,
};

int http_link_h2_input(struct http_link *l, const char *data, size_t len, struct kc_error *err)
{
        if (l->pinged) {
                l->pinged = false;
                kc_timer_arm(l->timer, l->client->times.read_idle);
        }
        return kc_h2_input(l->h2, data, len, err);
}

/* --- What goes */

static bool is_connections_own(const char *name)
{
        return kc_strcaseeq(name, "Connection") || kc_strcaseeq(name, "Host") || kc_strcaseeq(name, "Upgrade");
}

void http_link_h2_send(struct http_link *l, struct kc_http_call *call)
{
        KC_CLEANUP(kc_strv_freep) char **fields = http_request_fields(call);
        size_t len = kc_strv_len(fields), n = 0;
        KC_CLEANUP(kc_freep) nghttp2_nv *nv = kc_calloc(len / 2 + 4, sizeof(*nv));
#define FIELD(name, value) nv[n++] = kc_h2_field(name, strlen(name), value, strlen(value))
        FIELD(":method", call->method);
        FIELD(":scheme", call->url.https ? "https" : "http");
        FIELD(":authority", fields[1]); /* Host is the first */
        FIELD(":path", call->url.target);
        for (size_t i = 0; i < len; i += 2) {
                if (is_connections_own(fields[i]))
                        continue;
                for (char *p = fields[i]; *p; p++)
                        *p = (char)tolower((unsigned char)*p);
                FIELD(fields[i], fields[i + 1]);
        }
#undef FIELD
        call->link = l;
        call->body_sent = 0;
        if (!kc_h2_open(l->h2, &call->h2, nv, n, http_request_body(call) != NULL)) {
                /* The ids are used up: another connection does it. */
                l->draining = true;
                call->link = NULL;
                http_pool_add(call, true);
                return;
        }
        l->n_calls++;
        kc_conn_flush_soon(l->conn);
}

void http_link_h2_lost(struct http_link *l, const struct kc_error *err)
{
        struct kc_list *streams = kc_h2_streams(l->h2);
        for (struct kc_h2_stream *s; (s = KC_LIST_FIRST(streams, struct kc_h2_stream, node));) {
                struct kc_http_call *call = call_of(s);
                kc_h2_reset(s);
                call->link = NULL;
                http_call_on_lost(call, err, false, l->n_calls > 1);
        }
}

int http_link_h2_start(struct http_link *l)
{
        const struct kc_h2_opts o = {.stream_window = HTTP_CLIENT_STREAM_WINDOW,
            .conn_window = HTTP_CLIENT_CONN_WINDOW,
            .max_header_list = HTTP_CLIENT_MAX_HEAD};
        l->idle_since = kc_clock_mono(NULL);
        kc_timer_arm(l->timer, l->client->times.read_idle);
        return kc_h2_new(&o, &cbs, l, &l->h2);
}

void http_link_h2_timer(struct http_link *l)
{
        const struct http_client_times *t = &l->client->times;
        kc_mono now = kc_clock_mono(NULL);
        bool idle = kc_list_empty(kc_h2_streams(l->h2));
        if (idle && now - l->idle_since >= t->idle) {
                l->to_close = true;
                return;
        }
        if (l->pinged) {
                struct kc_error err = KC_ERROR_INIT;
                kc_error_set(&err, ECONNRESET, "http2: client connection lost");
                http_link_lost(l, &err);
                kc_error_done(&err);
                return;
        }
        int64_t silent = now - l->last_read;
        if (silent >= t->read_idle) {
                l->pinged = true;
                kc_h2_ping(l->h2);
                kc_conn_flush_soon(l->conn);
                kc_timer_arm(l->timer, t->ping);
        } else {
                kc_timer_arm(l->timer, t->read_idle - silent);
        }
}
