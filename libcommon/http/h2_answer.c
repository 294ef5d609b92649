/* Answers in HTTP/2. Bodies wait in their stream's queue until flow control and the connection's queue let them
 * through, and move there without being copied. On the loop. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "http/h2_internal.h"

enum { FRAME_HEADER_LEN = 9, MAX_ANSWER_HEADERS = 64 };

/* --- Sending */

static ssize_t on_send(nghttp2_session *session, const uint8_t *data, size_t len, int flags, void *arg)
{
        struct http_conn *c = arg;
        (void)session;
        (void)flags;
        if (c->out.bytes >= HTTP_H2_OUT_MAX)
                return NGHTTP2_ERR_WOULDBLOCK;
        kc_outq_copy(&c->out, data, len);
        return (ssize_t)len;
}

static ssize_t on_read_body(nghttp2_session *session, int32_t stream_id, uint8_t *buf, size_t len, uint32_t *flags,
    nghttp2_data_source *source, void *arg)
{
        struct kc_http_req *r = source->ptr;
        (void)session;
        (void)stream_id;
        (void)buf;
        (void)arg;
        size_t n = KC_MIN(len, r->body_out.bytes);
        bool last = r->answer == HTTP_ANSWER_FINISHED && n == r->body_out.bytes;
        if (n == 0 && !last) {
                r->h2_deferred = true;
                return NGHTTP2_ERR_DEFERRED;
        }
        *flags |= NGHTTP2_DATA_FLAG_NO_COPY | (last ? NGHTTP2_DATA_FLAG_EOF : 0);
        return (ssize_t)n;
}

static int on_send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *header, size_t len,
    nghttp2_data_source *source, void *arg)
{
        struct http_conn *c = arg;
        struct kc_http_req *r = source->ptr;
        (void)session;
        (void)frame; /* never padded: no padding callback is set */
        if (c->out.bytes >= HTTP_H2_OUT_MAX)
                return NGHTTP2_ERR_WOULDBLOCK;
        kc_outq_copy(&c->out, header, FRAME_HEADER_LEN);
        kc_outq_move(&c->out, &r->body_out, len);
        http_req_drained(r);
        return 0;
}

static bool is_fault(uint32_t code)
{
        return code == NGHTTP2_PROTOCOL_ERROR || code == NGHTTP2_FLOW_CONTROL_ERROR || code == NGHTTP2_STREAM_CLOSED ||
               code == NGHTTP2_FRAME_SIZE_ERROR || code == NGHTTP2_REFUSED_STREAM;
}

static int on_frame_sent(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
        struct http_conn *c = arg;
        if (frame->hd.type == NGHTTP2_RST_STREAM && is_fault(frame->rst_stream.error_code))
                return http_h2_count_reset(c);
        bool last = (frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA) &&
                    (frame->hd.flags & NGHTTP2_FLAG_END_STREAM);
        struct kc_http_req *r = last ? nghttp2_session_get_stream_user_data(session, frame->hd.stream_id) : NULL;
        if (r)
                r->h2_end_sent = true; /* the stream ends when the peer's side does, see on_data */
        return 0;
}

void http_h2_set_send_callbacks(nghttp2_session_callbacks *cb)
{
        nghttp2_session_callbacks_set_send_callback(cb, on_send);
        nghttp2_session_callbacks_set_send_data_callback(cb, on_send_data);
        nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_frame_sent);
}

/* --- Answering */

static nghttp2_nv field(const char *name, const char *value)
{
        return (nghttp2_nv){
            .name = (uint8_t *)name, .value = (uint8_t *)value, .namelen = strlen(name), .valuelen = strlen(value)};
}

/* Names of headers are few and short; lowered copies of all of them fit one buffer. */
static const char *lowered(char *buf, size_t size, size_t *used, const char *name)
{
        size_t len = strlen(name) + 1;
        if (len > size - *used)
                return NULL;
        char *out = buf + *used;
        for (size_t i = 0; i < len; i++)
                out[i] = (char)tolower((unsigned char)name[i]);
        *used += len;
        return out;
}

static void submit(struct kc_http_req *r, int code, char *const *headers, const char *content_length, bool body)
{
        struct http_conn *c = r->conn;
        nghttp2_nv nv[MAX_ANSWER_HEADERS + 3];
        char status[16], names[2048];
        size_t n = 0, used = 0;
        snprintf(status, sizeof(status), "%d", code);
        nv[n++] = field(":status", status);
        for (size_t i = 0; headers && headers[i] && headers[i + 1] && n <= MAX_ANSWER_HEADERS; i += 2) {
                /* A line break in a value would end the stream with a protocol error. */
                if (http_header_is_ours(headers[i]) || strpbrk(headers[i + 1], "\r\n"))
                        continue;
                const char *name = lowered(names, sizeof(names), &used, headers[i]);
                if (name)
                        nv[n++] = field(name, headers[i + 1]);
        }
        if (content_length)
                nv[n++] = field("content-length", content_length);
        nv[n++] = field("date", http_shard_date(c->shard));
        nghttp2_data_provider provider = {.source.ptr = r, .read_callback = on_read_body};
        if (nghttp2_submit_response(c->h2->session, r->stream_id, nv, n, body ? &provider : NULL) != 0)
                http_h2_abort(r);
}

static bool may_have_body(const struct kc_http_req *r, int code)
{
        return code >= 200 && code != 204 && code != 304 && !r->is_head;
}

void http_h2_reply(struct kc_http_req *r, int code, char *const *headers, struct kc_bytes *body)
{
        size_t len = body ? kc_bytes_len(body) : 0;
        char length[24];
        snprintf(length, sizeof(length), "%zu", len);
        bool with_body = len && may_have_body(r, code);
        if (with_body)
                kc_outq_ref(&r->body_out, body, 0, len);
        submit(r, code, headers, code == 204 || code == 304 ? NULL : length, with_body);
}

void http_h2_start(struct kc_http_req *r, int code, char *const *headers)
{
        submit(r, code, headers, NULL, may_have_body(r, code));
}

static void resume(struct kc_http_req *r)
{
        if (!r->h2_deferred)
                return;
        r->h2_deferred = false;
        nghttp2_session_resume_data(r->conn->h2->session, r->stream_id);
}

void http_h2_write(struct kc_http_req *r, struct kc_bytes *data)
{
        kc_outq_ref(&r->body_out, data, 0, kc_bytes_len(data));
        resume(r);
}

void http_h2_finish(struct kc_http_req *r)
{
        resume(r);
}

void http_h2_abort(struct kc_http_req *r)
{
        nghttp2_submit_rst_stream(r->conn->h2->session, NGHTTP2_FLAG_NONE, r->stream_id, NGHTTP2_INTERNAL_ERROR);
}
