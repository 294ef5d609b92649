/* HTTP/1.0 and 1.1: one exchange at a time. A head is collected until its empty line and then given to http-parser in
 * one piece; what it is lenient about (bare LF, folding, spaces, several Content-Lengths) is refused here. On the loop.
 */
#include "http/h1_internal.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

enum {
        PARSER_MAX_HEADER = 64 * 1024 * 1024, /* our own limit comes first */
};

static void set_parser_limit(void)
{
        http_parser_set_max_header_size(PARSER_MAX_HEADER);
}

void http_h1_init(struct http_conn *c)
{
        static pthread_once_t once = PTHREAD_ONCE_INIT;
        pthread_once(&once, set_parser_limit);
        c->h1 = KC_NEW(struct http_h1);
}

void http_h1_free(struct http_conn *c)
{
        struct http_h1 *h = c->h1;
        c->h1 = NULL;
        if (h->req)
                http_req_over(h->req);
        kc_buf_done(&h->in);
        kc_free(h);
}

bool http_h1_idle(const struct http_conn *c)
{
        return c->h1->phase == H1_HEAD && c->h1->in.len == 0;
}

bool http_h1_awaits_head(const struct http_conn *c)
{
        return c->h1->phase == H1_HEAD;
}

/* The peer does not speak HTTP, or not in time: answers without a request, and ends. */
static void refuse(struct http_conn *c, int code)
{
        struct http_h1 *h = c->h1;
        if (h->req)
                http_req_over(h->req);
        h->req = NULL;
        h->phase = H1_OVER;
        struct kc_buf *b = &c->shard->head;
        kc_buf_reset(b);
        kc_buf_addf(b, "HTTP/1.1 %d %s\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n%d %s",
            code, http_status_text(code), code, http_status_text(code));
        kc_outq_copy(&c->out, b->data, b->len);
        c->close_after_flush = true;
        http_conn_dirty(c);
}

/* --- Collecting a head */

/* Length of the head at data, 0: not all of it is there, -EINVAL: not a head. */
static ssize_t find_head_end(struct http_h1 *h, const char *data, size_t len)
{
        for (;;) {
                if (h->line_start && h->line_start < len && (data[h->line_start] == ' ' || data[h->line_start] == '\t'))
                        return -EINVAL; /* obsolete folding */
                const char *lf = h->scanned < len ? memchr(data + h->scanned, '\n', len - h->scanned) : NULL;
                if (!lf) {
                        h->scanned = len;
                        return 0;
                }
                size_t at = (size_t)(lf - data);
                if (at == 0 || data[at - 1] != '\r')
                        return -EINVAL;
                if (at == h->line_start + 1)
                        return (ssize_t)at + 1;
                h->line_start = h->scanned = at + 1;
        }
}

static void expect_head(struct http_conn *c)
{
        struct http_h1 *h = c->h1;
        h->phase = H1_HEAD;
        h->head_started = false;
        h->scanned = h->line_start = 0;
}

static size_t head_step(struct http_conn *c, const char *data, size_t len)
{
        struct http_h1 *h = c->h1;
        if (!h->head_started && (data[0] == '\r' || data[0] == '\n'))
                return 1; /* RFC 9112, 2.2: empty lines before a request are ignored */
        if (!h->head_started) {
                h->head_started = true;
                http_conn_set_deadline(c, c->server->opts.header_timeout_ms * KC_MSEC);
        }
        ssize_t end = find_head_end(h, data, len);
        if (end < 0) {
                refuse(c, 400);
                return 0;
        }
        if ((end ? (size_t)end : len) > c->server->opts.max_header_bytes) {
                refuse(c, 431);
                return 0;
        }
        if (end == 0)
                return 0;
        int code = http_h1_parse_head(c, data, (size_t)end);
        if (code) {
                refuse(c, code);
                return 0;
        }
        return (size_t)end;
}

/* The head is in: asks the application, then waits for the body if there is one. */
static void begin_exchange(struct http_conn *c)
{
        struct http_h1 *h = c->h1;
        struct kc_http_req *r = h->req;
        int64_t declared = h->chunked_in ? -1 : (int64_t)KC_MIN(h->body_left, (uint64_t)INT64_MAX);
        h->body_done = declared == 0;
        h->chunked = (struct http_chunked){.max_overhead = HTTP_MAX_TRAILERS};
        h->phase = h->body_done ? H1_BUSY : H1_BODY;
        http_conn_set_deadline(c, h->body_done ? 0 : c->server->opts.idle_timeout_ms * KC_MSEC);
        if (!http_req_on_headers(r, declared)) {
                h->phase = H1_BUSY;
                http_conn_set_deadline(c, 0);
                return;
        }
        if (h->body_done) {
                http_req_on_complete(r);
        } else if (r->expect_continue) {
                static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
                kc_outq_copy(&c->out, go_on, sizeof(go_on) - 1);
                http_conn_dirty(c);
        }
}

/* --- Body */

static void body_complete(struct http_conn *c)
{
        struct http_h1 *h = c->h1;
        h->body_done = true;
        h->phase = H1_BUSY;
        http_conn_set_deadline(c, 0);
        http_req_on_complete(h->req);
}

static size_t body_step(struct http_conn *c, const char *data, size_t len)
{
        struct http_h1 *h = c->h1;
        const char *piece = data;
        size_t piece_len = (size_t)KC_MIN((uint64_t)len, h->body_left);
        ssize_t used = (ssize_t)piece_len;
        bool done = piece_len == h->body_left;
        if (h->chunked_in) {
                used = http_chunked_step(&h->chunked, data, len, &piece, &piece_len, &done);
                if (used < 0) {
                        refuse(c, 400);
                        return 0;
                }
        } else {
                h->body_left -= piece_len;
        }
        if (piece_len && !http_req_on_body(h->req, piece, piece_len)) {
                h->phase = H1_BUSY; /* answered; the rest of the body is not read */
                http_conn_set_deadline(c, 0);
                return (size_t)used;
        }
        if (done)
                body_complete(c);
        else
                http_conn_set_deadline(c, c->server->opts.idle_timeout_ms * KC_MSEC);
        return (size_t)used;
}

/* --- Input */

static size_t work_on(struct http_conn *c, const char *data, size_t len)
{
        struct http_h1 *h = c->h1;
        size_t used = 0;
        while (used < len && (h->phase == H1_HEAD || h->phase == H1_BODY)) {
                bool head = h->phase == H1_HEAD;
                size_t n = head ? head_step(c, data + used, len - used) : body_step(c, data + used, len - used);
                if (n == 0)
                        break;
                used += n;
                if (head && h->req && h->phase == H1_HEAD)
                        begin_exchange(c);
        }
        return used;
}

void http_h1_input(struct http_conn *c, const char *data, size_t len)
{
        struct http_h1 *h = c->h1;
        if (h->phase == H1_OVER)
                return;
        bool kept = h->in.len > 0 || !data;
        if (kept) {
                if (data)
                        kc_buf_add(&h->in, data, len);
                data = kc_buf_str(&h->in);
                len = h->in.len;
        }
        h->in_input = true;
        size_t used = work_on(c, data, len);
        h->in_input = false;
        if (c->state == HTTP_CONN_RAW) {
                http_stream_early(c->stream, data + used, len - used);
                kc_buf_done(&h->in);
                return;
        }
        if (kept)
                kc_buf_consume(&h->in, used);
        else
                kc_buf_add(&h->in, data + used, len - used);
        if (h->in.len == 0)
                kc_buf_done(&h->in);
        if (h->phase == H1_BUSY && h->in.len >= HTTP_PIPELINE_MAX)
                http_conn_pause_read(c, true);
}

void http_h1_eof(struct http_conn *c)
{
        struct http_h1 *h = c->h1;
        /* A peer that only closed its sending side still gets a plain answer, but not a stream that has no end. */
        if (h->phase != H1_BUSY || h->req->answer == HTTP_ANSWER_STREAM)
                http_conn_close(c);
}

void http_h1_timeout(struct http_conn *c)
{
        if (c->h1->phase == H1_BODY)
                refuse(c, 408);
        else
                http_conn_close(c);
}

/* The answer is out: what comes next on this connection? */
static void next_exchange(struct http_conn *c)
{
        struct http_h1 *h = c->h1;
        http_req_over(h->req);
        h->req = NULL;
        if (!h->keep_alive || atomic_load(&c->server->draining)) {
                h->phase = H1_OVER;
                c->close_after_flush = true;
                return;
        }
        expect_head(c);
        http_conn_set_deadline(c, c->server->opts.idle_timeout_ms * KC_MSEC);
        if (h->in.len)
                http_h1_input(c, NULL, 0);
        if (c->read_paused && h->in.len < HTTP_PIPELINE_MAX)
                http_conn_pause_read(c, false);
        if (c->eof && h->phase == H1_HEAD)
                c->close_after_flush = true; /* no other request will come */
}

void http_h1_flushed(struct http_conn *c)
{
        struct kc_http_req *r = c->h1->req;
        if (!r)
                return;
        http_req_drained(r);
        if (r->answer == HTTP_ANSWER_FINISHED && c->out.n == 0)
                next_exchange(c);
}
