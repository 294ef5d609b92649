/* Answers in HTTP/1: heads, chunks, and the switch to another protocol. On the loop. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "http/h1_internal.h"

/* A line break in a value would forge headers; as Go, it becomes a space. */
static void add_value(struct kc_buf *b, const char *value)
{
        size_t at = b->len;
        kc_buf_adds(b, value);
        for (; at < b->len; at++)
                if (b->data[at] == '\r' || b->data[at] == '\n')
                        b->data[at] = ' ';
}

static struct kc_buf *begin_head(struct kc_http_req *r, int code, char *const *headers)
{
        struct http_conn *c = r->conn;
        struct kc_buf *b = &c->shard->head;
        kc_buf_reset(b);
        kc_buf_addf(b, "HTTP/1.%d %d %s\r\n", r->http10 ? 0 : 1, code, http_status_text(code));
        for (size_t i = 0; headers && headers[i] && headers[i + 1]; i += 2) {
                if (http_header_is_ours(headers[i]))
                        continue;
                add_value(b, headers[i]);
                kc_buf_adds(b, ": ");
                add_value(b, headers[i + 1]);
                kc_buf_adds(b, "\r\n");
        }
        kc_buf_adds(b, "Date: ");
        kc_buf_adds(b, http_shard_date(c->shard));
        kc_buf_adds(b, "\r\n");
        return b;
}

static void end_head(struct kc_http_req *r, struct kc_buf *b)
{
        struct http_conn *c = r->conn;
        struct http_h1 *h = c->h1;
        /* An unread body stands between us and the next request. */
        if (!h->body_done || atomic_load(&c->server->draining))
                h->keep_alive = false;
        h->phase = H1_BUSY;
        http_conn_set_deadline(c, 0);
        if (!h->keep_alive)
                kc_buf_adds(b, "Connection: close\r\n");
        else if (r->http10)
                kc_buf_adds(b, "Connection: keep-alive\r\n");
        kc_buf_adds(b, "\r\n");
        kc_outq_copy(&c->out, b->data, b->len);
}

static bool may_have_body(int code)
{
        return code >= 200 && code != 204 && code != 304;
}

void http_h1_reply(struct kc_http_req *r, int code, char *const *headers, struct kc_bytes *body)
{
        struct kc_buf *b = begin_head(r, code, headers);
        size_t len = body ? kc_bytes_len(body) : 0;
        if (may_have_body(code))
                kc_buf_addf(b, "Content-Length: %zu\r\n", len);
        end_head(r, b);
        if (len && may_have_body(code) && !r->is_head)
                kc_outq_ref(&r->conn->out, body, 0, len);
}

void http_h1_start(struct kc_http_req *r, int code, char *const *headers)
{
        struct http_conn *c = r->conn;
        struct http_h1 *h = c->h1;
        struct kc_buf *b = begin_head(r, code, headers);
        h->chunked_out = !r->http10 && may_have_body(code);
        if (h->chunked_out)
                kc_buf_adds(b, "Transfer-Encoding: chunked\r\n");
        else if (may_have_body(code))
                h->keep_alive = false; /* the end of the connection is the end of the body */
        end_head(r, b);
        if (c->eof)
                c->abort = true; /* see http_h1_eof */
}

void http_h1_write(struct kc_http_req *r, struct kc_bytes *data)
{
        struct http_conn *c = r->conn;
        bool chunked = c->h1->chunked_out;
        char size[20];
        if (chunked)
                kc_outq_copy(&c->out, size, (size_t)snprintf(size, sizeof(size), "%zx\r\n", kc_bytes_len(data)));
        kc_outq_ref(&c->out, data, 0, kc_bytes_len(data));
        if (chunked)
                kc_outq_copy(&c->out, "\r\n", 2);
}

void http_h1_finish(struct kc_http_req *r)
{
        if (r->conn->h1->chunked_out && !r->is_head)
                kc_outq_copy(&r->conn->out, "0\r\n\r\n", 5);
}

int http_h1_upgrade(struct kc_http_req *r, char *const *headers)
{
        struct http_conn *c = r->conn;
        struct http_h1 *h = c->h1;
        if (!h->body_done || r->http10)
                return -ENOTSUP;
        struct kc_buf *b = begin_head(r, 101, headers);
        kc_buf_adds(b, "Connection: Upgrade\r\n\r\n");
        kc_outq_copy(&c->out, b->data, b->len);
        c->state = HTTP_CONN_RAW;
        http_conn_set_deadline(c, 0);
        /* Inside http_h1_input, that hands over what it has. */
        if (!h->in_input) {
                http_stream_early(c->stream, kc_buf_str(&h->in), h->in.len);
                kc_buf_done(&h->in);
        }
        if (c->read_paused)
                http_conn_pause_read(c, false);
        return 0;
}
