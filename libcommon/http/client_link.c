/* Links: a connection and what is spoken on it; HTTP/1.1 and raw streams are done here. On the loop. */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "http/client_internal.h"

/* --- Entries from the loop. What is called from here may end calls, start others and drop links: a link that is busy
 * is freed when it is left. */

void http_link_enter(struct http_link *l)
{
        l->client->depth++;
        l->busy++;
        l->origin->busy++;
}

void http_link_leave(struct http_link *l)
{
        struct http_origin *o = l->origin;
        struct kc_http_client *c = l->client;
        bool drained = l->state == HTTP_LINK_H2 && l->draining && kc_list_empty(kc_h2_streams(l->h2));
        if (--l->busy == 0 && (l->to_close || drained))
                http_link_free(l);
        if (--o->busy == 0)
                http_pool_dispatch(o);
        c->depth--;
}

/* --- HTTP/1.1 */

static void set_idle(struct http_link *l, bool idle)
{
        if (l->idle == idle)
                return;
        l->idle = idle;
        if (idle) {
                l->client->n_idle++;
                kc_timer_arm(l->timer, l->client->times.idle);
        } else {
                l->client->n_idle--;
                kc_timer_disarm(l->timer);
        }
}

static void keep(struct http_link *l)
{
        const struct kc_http_client *c = l->client;
        bool usable = l->response.keep_alive && !c->opts.no_keep_alive && !kc_conn_out(l->conn)->n;
        http_h1_response_done(&l->response);
        if (usable && c->n_idle < HTTP_CLIENT_MAX_IDLE)
                set_idle(l, true);
        else
                l->to_close = true;
}

/* The call has left; what it was about to receive is not for another. */
static struct kc_http_call *let_go(struct http_link *l)
{
        struct kc_http_call *call = KC_TAKE(l->call);
        call->link = NULL;
        return call;
}

static void h1_lost(struct http_link *l, const struct kc_error *err)
{
        l->to_close = true;
        if (!l->call)
                return;
        bool nothing_sent = kc_conn_sent(l->conn) == l->sent_before;
        bool begun = http_h1_response_begun(&l->response);
        http_call_on_lost(let_go(l), err, nothing_sent, l->n_calls > 1 && !begun);
}

static void got_head(struct http_link *l)
{
        struct kc_http_call *call = l->call;
        call->headers = KC_TAKE(l->response.headers);
        http_call_on_head(call, l->response.code);
        if (l->call && l->response.code == 101) {
                if (!l->stream)
                        l->to_close = true;
                http_call_on_end(let_go(l));
        }
}

static void h1_input(struct http_link *l, const char *data, size_t len)
{
        if (!l->call) { /* nobody has asked for that */
                l->to_close = true;
                return;
        }
        bool over = false;
        while (!over && !l->to_close && l->call && l->state == HTTP_LINK_H1) {
                size_t used, piece_len;
                const char *piece;
                enum http_h1_event event;
                struct kc_error err = KC_ERROR_INIT;
                int r = http_h1_response_step(&l->response, data, len, &used, &event, &piece, &piece_len, &err);
                if (r < 0)
                        h1_lost(l, &err);
                kc_error_done(&err);
                if (r < 0)
                        return;
                data += used;
                len -= used;
                if (event == HTTP_H1_HEAD)
                        got_head(l);
                else if (event == HTTP_H1_BODY)
                        http_call_on_data(l->call, piece, piece_len);
                over = event == HTTP_H1_END || (event == HTTP_H1_MORE && !len);
                if (event == HTTP_H1_END && !l->to_close) {
                        struct kc_http_call *call = let_go(l);
                        if (len)
                                l->to_close = true;
                        else
                                keep(l);
                        http_call_on_end(call);
                }
        }
        if (l->state == HTTP_LINK_RAW && l->stream)
                http_stream_early(l->stream, data, len);
}

static void write_head(struct http_link *l, struct kc_http_call *call)
{
        KC_CLEANUP(kc_strv_freep) char **fields = http_request_fields(call);
        struct kc_buf b = KC_BUF_INIT;
        kc_buf_addf(&b, "%s ", call->method);
        if (l->absolute)
                kc_buf_addf(&b, "http://%s", call->url.authority);
        kc_buf_addf(&b, "%s HTTP/1.1\r\n", call->url.target);
        for (size_t i = 0; fields[i]; i += 2)
                kc_buf_addf(&b, "%s: %s\r\n", fields[i], fields[i + 1]);
        if (l->proxy_authorization)
                kc_buf_addf(&b, "Proxy-Authorization: %s\r\n", l->proxy_authorization);
        kc_buf_adds(&b, "\r\n");
        kc_outq_copy(kc_conn_out(l->conn), b.data, b.len);
        kc_buf_done(&b);
}

static void h1_send(struct http_link *l, struct kc_http_call *call)
{
        set_idle(l, false);
        l->n_calls++;
        l->call = call;
        call->link = l;
        l->sent_before = kc_conn_sent(l->conn);
        l->response = (struct http_h1_response){.is_head = kc_streq(call->method, "HEAD"),
            .may_switch = call->opts.upgrade,
            .max_head = HTTP_CLIENT_MAX_HEAD};
        write_head(l, call);
        struct kc_bytes *body = http_request_body(call);
        if (body)
                kc_outq_ref(kc_conn_out(l->conn), body, 0, kc_bytes_len(body));
        kc_conn_flush_soon(l->conn);
}

/* --- Raw streams */

static void touch(void *arg)
{
        struct http_link *l = arg;
        kc_conn_flush_soon(l->conn);
}

static void pause_reading(void *arg, bool paused)
{
        struct http_link *l = arg;
        kc_conn_pause(l->conn, paused);
}

static const struct http_stream_owner stream_owner = {.touch = touch, .pause = pause_reading};

struct kc_http_stream *http_link_upgrade(struct http_link *l, const struct kc_http_stream_cbs *cbs, void *arg)
{
        if (l->stream)
                return NULL;
        l->state = HTTP_LINK_RAW;
        l->stream = http_stream_new(&stream_owner, l, kc_conn_out(l->conn), HTTP_CLIENT_MAX_STREAM_QUEUE, cbs, arg);
        return l->stream;
}

/* --- What the connection tells */

static void on_open(struct kc_conn *conn, bool h2, void *arg)
{
        struct http_link *l = arg;
        (void)conn;
        http_link_enter(l);
        l->origin->n_connecting--;
        l->origin->speaks_h1 = !h2;
        l->last_read = kc_clock_mono(NULL);
        l->state = h2 ? HTTP_LINK_H2 : HTTP_LINK_H1;
        if (!h2)
                set_idle(l, true);
        else if (http_link_h2_start(l) < 0)
                l->to_close = true;
        http_link_leave(l);
}

static void on_input(struct kc_conn *conn, const char *data, size_t len, void *arg)
{
        struct http_link *l = arg;
        (void)conn;
        struct kc_error err = KC_ERROR_INIT;
        http_link_enter(l);
        l->last_read = kc_clock_mono(NULL);
        if (l->state == HTTP_LINK_RAW)
                http_stream_input(l->stream, data, len);
        else if (l->state == HTTP_LINK_H1)
                h1_input(l, data, len);
        else if (http_link_h2_input(l, data, len, &err) < 0)
                http_link_lost(l, &err);
        kc_error_done(&err);
        http_link_leave(l);
}

static void on_room(struct kc_conn *conn, struct kc_outq *out, void *arg)
{
        struct http_link *l = arg;
        (void)conn;
        if (l->state != HTTP_LINK_H2 || l->to_close)
                return;
        struct kc_error err = KC_ERROR_INIT;
        http_link_enter(l);
        if (kc_h2_output(l->h2, out, HTTP_CLIENT_H2_OUT, &err) < 0)
                http_link_lost(l, &err);
        kc_error_done(&err);
        http_link_leave(l);
}

static void on_flushed(struct kc_conn *conn, void *arg)
{
        struct http_link *l = arg;
        (void)conn;
        if (l->state != HTTP_LINK_RAW || !l->stream)
                return;
        http_link_enter(l);
        if (http_stream_flushed(l->stream))
                l->to_close = true;
        http_link_leave(l);
}

void http_link_lost(struct http_link *l, const struct kc_error *err)
{
        l->to_close = true;
        if (l->state == HTTP_LINK_H2)
                http_link_h2_lost(l, err);
        else if (l->state == HTTP_LINK_H1)
                h1_lost(l, err);
}

/* What Go's transport says instead, or before it. */
static void explain(const struct http_link *l, struct kc_error *err)
{
        if (l->state != HTTP_LINK_CONNECTING || !l->origin->https)
                return;
        if (err->errnum == EPROTONOSUPPORT)
                kc_error_set(err, EPROTONOSUPPORT, "http: server gave HTTP response to HTTPS client");
        else if (err->errnum == ETIMEDOUT && kc_str_has_prefix(kc_error_message(err), "TLS handshake"))
                kc_error_wrap(err, "net/http");
}

static void closed(struct http_link *l, struct kc_error *err)
{
        if (l->state == HTTP_LINK_CONNECTING) {
                l->origin->n_connecting--;
                l->state = HTTP_LINK_H1; /* nothing is on it */
                l->to_close = true;
                http_pool_failed(l->origin, err);
                return;
        }
        if (l->state == HTTP_LINK_H1 && l->call && !err->errnum && http_h1_response_eof(&l->response, err) == 0) {
                l->to_close = true;
                http_call_on_end(let_go(l));
                return;
        }
        if (!err->errnum)
                kc_error_set(
                    err, ECONNRESET, l->draining ? "http2: server sent GOAWAY and closed the connection" : "EOF");
        http_link_lost(l, err);
}

static void on_close(struct kc_conn *conn, const struct kc_error *given, void *arg)
{
        struct http_link *l = arg;
        (void)conn;
        struct kc_error err = KC_ERROR_INIT;
        if (given)
                kc_error_copy(&err, given);
        explain(l, &err);
        http_link_enter(l);
        l->to_close = true;
        closed(l, &err);
        http_link_leave(l);
        kc_error_done(&err);
}

static const struct kc_conn_cbs conn_cbs = {
    .on_open = on_open,
    .on_input = on_input,
    .on_room = on_room,
    .on_flushed = on_flushed,
    .on_close = on_close,
};

static void on_timer(void *arg)
{
        struct http_link *l = arg;
        http_link_enter(l);
        if (l->state == HTTP_LINK_H2)
                http_link_h2_timer(l);
        else
                l->to_close = true; /* idle for too long */
        http_link_leave(l);
}

/* --- Life */

/* Plain requests go to an HTTP proxy as they are; everything else through a way that the proxy opens. */
static int route(struct http_link *l, struct kc_conn_opts *o, struct kc_error *err)
{
        const struct http_origin *origin = l->origin;
        struct kc_http_client *c = l->client;
        const struct kc_proxy *proxy;
        int r = http_proxies_find(&c->proxies, origin->https, origin->host, origin->port, &proxy, err);
        if (r < 0)
                return r;
        *o = (struct kc_conn_opts){.unix_path = c->opts.unix_path,
            .host = origin->host,
            .port = origin->port,
            .alpn = origin->h1_only ? KC_TLS_ALPN_H1 : KC_TLS_ALPN_H2_OR_H1,
            .proxy = proxy,
            .timeout_usec = c->opts.connect_timeout_ms * KC_MSEC};
        if (origin->https)
                r = http_client_tls(c, false, &o->tls, err);
        if (r == 0 && proxy && proxy->kind == KC_PROXY_HTTPS)
                r = http_client_tls(c, true, &o->tls_proxy, err);
        if (r == 0 && proxy && proxy->kind != KC_PROXY_SOCKS5 && !origin->https) {
                l->absolute = true;
                l->proxy_authorization = kc_proxy_authorization(proxy);
                o->proxy = NULL;
                o->host = proxy->host;
                o->port = proxy->port;
                o->tls = o->tls_proxy;
                o->alpn = KC_TLS_ALPN_H1;
        }
        return r;
}

struct http_link *http_link_new(struct http_origin *o, struct kc_error *err)
{
        struct http_link *l = KC_NEW(struct http_link);
        l->client = o->client;
        l->origin = o;
        kc_list_init(&l->node);
        struct kc_conn_opts opts;
        if (route(l, &opts, err) < 0) {
                kc_free(l->proxy_authorization);
                kc_free(l);
                return NULL;
        }
        l->tls = opts.tls;
        l->tls_generation = l->tls ? kc_tls_client_generation(l->tls) : 0;
        kc_list_push_back(&o->links, &l->node);
        o->n_connecting++;
        l->timer = kc_timer_new(o->client->loop, on_timer, l);
        l->conn = kc_conn_new(o->client->loop, &opts, &conn_cbs, l);
        return l;
}

void http_link_free(struct http_link *l)
{
        assert(!l->busy);
        if (l->state == HTTP_LINK_CONNECTING)
                l->origin->n_connecting--;
        set_idle(l, false);
        kc_list_remove(&l->node);
        if (l->stream) {
                http_stream_cut(l->stream);
                http_stream_gone(KC_TAKE(l->stream));
        }
        http_h1_response_done(&l->response);
        kc_h2_free(l->h2);
        kc_timer_free(l->timer);
        kc_conn_free(l->conn);
        kc_free(l->proxy_authorization);
        kc_free(l);
}

bool http_link_ready(struct http_link *l)
{
        if (l->to_close || l->draining || l->state == HTTP_LINK_CONNECTING)
                return false;
        /* A renewed certificate is shown on a new connection, as client-go does; what is under way here may end. */
        if (l->tls && l->tls_generation != kc_tls_client_generation(l->tls)) {
                l->draining = true;
                return false;
        }
        if (l->state == HTTP_LINK_H2)
                return kc_h2_room(l->h2) > 0;
        if (l->state != HTTP_LINK_H1 || l->call)
                return false;
        /* The loop may not have seen yet that the server has closed it. */
        return l->n_calls == 0 || !kc_conn_readable(l->conn);
}

void http_link_send(struct http_link *l, struct kc_http_call *call)
{
        if (l->state == HTTP_LINK_H2)
                http_link_h2_send(l, call);
        else
                h1_send(l, call);
}

void http_link_drop(struct kc_http_call *call)
{
        struct http_link *l = call->link;
        if (!l)
                return;
        http_link_enter(l);
        call->link = NULL;
        if (l->state == HTTP_LINK_H2) {
                kc_h2_reset(&call->h2);
                if (kc_list_empty(kc_h2_streams(l->h2)))
                        l->idle_since = kc_clock_mono(NULL);
                kc_conn_flush_soon(l->conn);
        } else {
                l->call = NULL;
                l->to_close = true;
        }
        http_link_leave(l);
}
