/* HTTP/1.1 towards backends, by http-parser on a connection of net/conn.h. On the loop. */
#include "stream/exchange.h"

#include <errno.h>
#include <http_parser.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "net/conn.h"

enum { EXCHANGE_HEAD_MAX = 256 * 1024, EXCHANGE_HEADERS_MAX = 512 };
#define OPEN_TIMEOUT (30 * KC_SEC)

struct kc_exchange {
        struct kc_loop *loop;
        const struct kc_exchange_cbs *cbs;
        void *arg;
        struct kc_conn *conn;
        struct kc_buf request; /* until it is connected */
        struct kc_timer *timer;
        http_parser parser;
        struct kc_buf name, value; /* of the header that is being read */
        bool in_value;
        size_t head_bytes;
        char **headers;
        struct kc_bytes *request_body;
        bool head_request, answered, raw, done, freed, trailers;
};

static void finish(struct kc_exchange *x, const struct kc_error *err)
{
        if (x->done)
                return;
        x->done = true;
        kc_timer_free(KC_TAKE(x->timer));
        kc_conn_free(KC_TAKE(x->conn));
        x->cbs->on_done(x, err, x->arg);
}

static void fail(struct kc_exchange *x, int errnum, const char *text)
{
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        (void)kc_error_set(&err, errnum, "%s", text);
        finish(x, &err);
}

/* --- The parser's callbacks. A non-zero return stops it. */

static int count(struct kc_exchange *x, size_t len)
{
        x->head_bytes += len;
        return x->head_bytes > EXCHANGE_HEAD_MAX;
}

static void push_header(struct kc_exchange *x)
{
        if (x->name.len > 0 && !x->trailers) {
                kc_strv_push(&x->headers, kc_buf_str(&x->name));
                kc_strv_push(&x->headers, kc_buf_str(&x->value));
        }
        kc_buf_reset(&x->name);
        kc_buf_reset(&x->value);
        x->in_value = false;
}

static int on_field(http_parser *p, const char *at, size_t len)
{
        struct kc_exchange *x = p->data;
        if (x->in_value)
                push_header(x);
        kc_buf_add(&x->name, at, len);
        return count(x, len) || kc_strv_len(x->headers) > 2 * EXCHANGE_HEADERS_MAX;
}

static int on_value(http_parser *p, const char *at, size_t len)
{
        struct kc_exchange *x = p->data;
        x->in_value = true;
        kc_buf_add(&x->value, at, len);
        return count(x, len);
}

/* 1: there is no body; 2: neither, and what follows is another protocol. */
static int on_head(http_parser *p)
{
        struct kc_exchange *x = p->data;
        push_header(x);
        int code = p->status_code;
        if (code >= 100 && code < 200 && code != 101)
                return 0;
        x->answered = true;
        x->trailers = true;
        kc_timer_disarm(x->timer);
        x->raw = code == 101;
        x->cbs->on_headers(x, code, x->headers, x->arg);
        if (x->freed)
                return -1;
        return x->raw ? 2 : x->head_request ? 1 : 0;
}

static int on_body(http_parser *p, const char *at, size_t len)
{
        struct kc_exchange *x = p->data;
        x->cbs->on_data(x, at, len, x->arg);
        return x->freed;
}

static int on_message(http_parser *p)
{
        struct kc_exchange *x = p->data;
        if (x->raw)
                return 0;
        if (!x->answered) { /* 100 Continue and the like */
                kc_strv_free(KC_TAKE(x->headers));
                x->head_bytes = 0;
                return 0;
        }
        finish(x, NULL);
        return 1;
}

static const http_parser_settings settings = {
    .on_header_field = on_field,
    .on_header_value = on_value,
    .on_headers_complete = on_head,
    .on_body = on_body,
    .on_message_complete = on_message,
};

/* --- The connection's callbacks */

static void on_conn_open(struct kc_conn *c, bool h2, void *arg)
{
        struct kc_exchange *x = arg;
        (void)h2; /* not offered */
        kc_outq_copy(kc_conn_out(c), x->request.data, x->request.len);
        if (x->request_body)
                kc_outq_ref(kc_conn_out(c), x->request_body, 0, kc_bytes_len(x->request_body));
        kc_buf_done(&x->request);
        kc_conn_flush_soon(c);
}

static void on_conn_input(struct kc_conn *c, const char *data, size_t len, void *arg)
{
        struct kc_exchange *x = arg;
        (void)c; /* x's */
        if (x->raw) {
                x->cbs->on_data(x, data, len, x->arg);
                return;
        }
        size_t n = http_parser_execute(&x->parser, &settings, data, len);
        if (x->freed || x->done)
                return;
        if (x->raw) {
                if (n < len)
                        x->cbs->on_data(x, data + n, len - n, x->arg);
        } else if (HTTP_PARSER_ERRNO(&x->parser) != HPE_OK) {
                fail(x, EBADMSG,
                    x->head_bytes > EXCHANGE_HEAD_MAX
                        ? "net/http: server response headers exceeded the limit"
                        : "net/http: HTTP/1.x transport connection broken: malformed HTTP response");
        }
}

static void on_conn_flushed(struct kc_conn *c, void *arg)
{
        struct kc_exchange *x = arg;
        (void)c; /* x's */
        if (x->cbs->on_drain && x->raw)
                x->cbs->on_drain(x, x->arg);
}

static void on_conn_close(struct kc_conn *c, const struct kc_error *err, void *arg)
{
        struct kc_exchange *x = arg;
        (void)c; /* x's */
        if (err || x->raw) {
                finish(x, err);
                return;
        }
        /* The end of the connection may be the end of the body. */
        (void)http_parser_execute(&x->parser, &settings, NULL, 0);
        if (!x->freed && !x->done)
                fail(x, ECONNRESET, x->answered ? "unexpected EOF" : "EOF");
}

static const struct kc_conn_cbs conn_cbs = {
    .on_open = on_conn_open, .on_input = on_conn_input, .on_flushed = on_conn_flushed, .on_close = on_conn_close};

static void on_timeout(void *arg)
{
        fail(arg, ETIMEDOUT, "net/http: timeout awaiting response headers");
}

/* --- Life */

static bool has_header(char *const *headers, const char *name)
{
        for (size_t i = 0; headers && headers[i] && headers[i + 1]; i += 2)
                if (kc_strcaseeq(headers[i], name))
                        return true;
        return false;
}

static void make_request(struct kc_exchange *x, const struct kc_exchange_opts *o)
{
        struct kc_buf *b = &x->request;
        kc_buf_addf(b, "%s %s HTTP/1.1\r\nHost: %s\r\n", o->method, o->target, o->host);
        for (size_t i = 0; o->headers && o->headers[i] && o->headers[i + 1]; i += 2)
                kc_buf_addf(b, "%s: %s\r\n", o->headers[i], o->headers[i + 1]);
        if (!has_header(o->headers, "Connection"))
                kc_buf_adds(b, "Connection: close\r\n");
        bool may_have_none = kc_streq(o->method, "GET") || kc_streq(o->method, "HEAD");
        if (o->body && kc_bytes_len(o->body) > 0)
                kc_buf_addf(b, "Content-Length: %zu\r\n", kc_bytes_len(o->body));
        else if (!may_have_none)
                kc_buf_adds(b, "Content-Length: 0\r\n");
        kc_buf_adds(b, "\r\n");
        x->request_body = o->body && kc_bytes_len(o->body) > 0 ? kc_bytes_ref(o->body) : NULL;
}

struct kc_exchange *kc_exchange_new(const struct kc_exchange_opts *o)
{
        struct kc_exchange *x = KC_NEW(struct kc_exchange);
        char port[12];
        snprintf(port, sizeof(port), "%d", o->port);
        const struct kc_conn_opts conn = {.host = o->dial,
            .port = port,
            .tls = o->tls,
            .tls_name = o->tls_name,
            .alpn = KC_TLS_ALPN_H1,
            .timeout_usec = o->open_timeout > 0 ? o->open_timeout : OPEN_TIMEOUT};
        x->loop = o->loop;
        x->cbs = o->cbs;
        x->arg = o->arg;
        x->head_request = kc_streq(o->method, "HEAD");
        http_parser_init(&x->parser, HTTP_RESPONSE);
        x->parser.data = x;
        make_request(x, o);
        x->conn = kc_conn_new(x->loop, &conn, &conn_cbs, x);
        x->timer = kc_timer_new(x->loop, on_timeout, x);
        if (o->answer_timeout > 0)
                kc_timer_arm(x->timer, o->answer_timeout);
        return x;
}

void kc_exchange_write(struct kc_exchange *x, const void *data, size_t len)
{
        if (!x->conn || len == 0)
                return;
        kc_outq_copy(kc_conn_out(x->conn), data, len);
        kc_conn_flush_soon(x->conn);
}

size_t kc_exchange_queued(const struct kc_exchange *x)
{
        return x->conn ? kc_conn_out(x->conn)->bytes : 0;
}

void kc_exchange_pause(struct kc_exchange *x, bool paused)
{
        if (x->conn)
                kc_conn_pause(x->conn, paused);
}

const char *kc_exchange_header(const struct kc_exchange *x, const char *name)
{
        for (size_t i = 0; x->headers && x->headers[i] && x->headers[i + 1]; i += 2)
                if (kc_strcaseeq(x->headers[i], name))
                        return x->headers[i + 1];
        return NULL;
}

static void destroy(void *arg)
{
        struct kc_exchange *x = arg;
        kc_buf_done(&x->name);
        kc_buf_done(&x->value);
        kc_buf_done(&x->request);
        kc_bytes_unref(x->request_body);
        kc_strv_free(x->headers);
        kc_free(x);
}

void kc_exchange_free(struct kc_exchange *x)
{
        if (!x || x->freed)
                return;
        x->freed = true;
        x->done = true;
        kc_timer_free(KC_TAKE(x->timer));
        kc_conn_free(KC_TAKE(x->conn));
        kc_loop_defer(x->loop, destroy, x);
}
