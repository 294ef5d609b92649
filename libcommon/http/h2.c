/* HTTP/2 on nghttp2: frames in, requests out. Answers are in h2_answer.c. On the loop. */
#include "http/h2_internal.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

static struct kc_http_req *req_of(nghttp2_session *session, int32_t stream_id)
{
        return nghttp2_session_get_stream_user_data(session, stream_id);
}

/* --- Headers */

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
        struct http_conn *c = arg;
        if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
                return 0;
        struct kc_http_req *r = http_req_new(c);
        r->is_h2 = true;
        r->stream_id = frame->hd.stream_id;
        kc_list_push_back(&c->h2->reqs, &r->h2_node);
        c->h2->n_reqs++;
        if (!(frame->hd.flags & NGHTTP2_FLAG_END_HEADERS))
                http_conn_set_deadline(c, c->server->opts.header_timeout_ms * KC_MSEC);
        return nghttp2_session_set_stream_user_data(session, r->stream_id, r);
}

static bool is(const uint8_t *name, size_t len, const char *wanted)
{
        return len == strlen(wanted) && memcmp(name, wanted, len) == 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_len,
    const uint8_t *value, size_t value_len, uint8_t flags, void *arg)
{
        (void)flags;
        (void)arg;
        struct kc_http_req *r = req_of(session, frame->hd.stream_id);
        if (!r || r->headers_done) /* trailers are not kept */
                return 0;
        const char *v = (const char *)value;
        if (name_len && name[0] == ':') {
                /* Counted as fields are; nghttp2 has checked their number and form. */
                r->header_bytes += name_len + value_len;
                if (r->header_bytes > r->conn->server->opts.max_header_bytes)
                        r->headers_too_large = true;
                else if (is(name, name_len, ":method"))
                        r->method = http_req_add_text(r, v, value_len);
                else if (is(name, name_len, ":path"))
                        r->bad_target = !http_req_set_target(r, v, value_len);
                else if (is(name, name_len, ":authority"))
                        r->host = http_req_add_text(r, v, value_len);
                return 0;
        }
        http_req_add_field(r, (const char *)name, name_len, v, value_len); /* too many: answered with 431 later */
        return 0;
}

static void submit_continue(nghttp2_session *session, int32_t stream_id)
{
        nghttp2_nv status = {.name = (uint8_t *)":status", .value = (uint8_t *)"100", .namelen = 7, .valuelen = 3};
        nghttp2_submit_headers(session, NGHTTP2_FLAG_NONE, stream_id, NULL, &status, 1, NULL);
}

static int64_t declared_length(const struct kc_http_req *r, bool end_stream)
{
        int64_t n;
        const char *text = kc_http_req_header(r, "content-length");
        if (end_stream)
                return 0;
        return text && kc_str_to_i64(text, &n) == 0 && n > 0 ? n : -1;
}

static void request_headers(struct http_conn *c, struct kc_http_req *r, bool end_stream)
{
        http_req_finish_headers(r);
        r->h2_end_stream = end_stream;
        if (!end_stream)
                http_conn_set_deadline(c, c->server->opts.idle_timeout_ms * KC_MSEC);
        if ((!r->path || r->bad_target) && !r->headers_too_large) { /* CONNECT, "*", or worse */
                r->headers_done = true;
                http_req_reply_text(r, 400, NULL);
                return;
        }
        if (!http_req_on_headers(r, declared_length(r, end_stream)))
                return;
        if (end_stream)
                http_req_on_complete(r);
        else if (r->expect_continue)
                submit_continue(c->h2->session, r->stream_id);
}

/* --- Other frames */

static int count(struct http_conn *c, struct http_bucket *b, int burst, int rate, const char *what)
{
        kc_mono now = kc_clock_mono(NULL);
        double back = (double)(now - b->at) / KC_SEC * rate;
        b->level = back >= b->level ? 0 : b->level - back;
        b->at = now;
        b->level += 1;
        if (b->level <= burst)
                return 0;
        kc_log_v(2, "Client makes work and sends no requests, closing", "remote", c->info->remote, "frames", what);
        return nghttp2_session_terminate_session(c->h2->session, NGHTTP2_ENHANCE_YOUR_CALM);
}

/* A client that opens streams and resets them makes work at no cost to itself (CVE-2023-44487), as one does that has us
 * reset them (CVE-2025-8671). */
int http_h2_count_reset(struct http_conn *c)
{
        return count(c, &c->h2->resets, HTTP_H2_RESET_BURST, HTTP_H2_RESET_RATE, "RST_STREAM");
}

static int count_control(struct http_conn *c, const char *what)
{
        return count(c, &c->h2->control, HTTP_H2_CONTROL_BURST, HTTP_H2_CONTROL_RATE, what);
}

static void end_of_request(struct kc_http_req *r)
{
        r->h2_end_stream = true;
        if (!r->request_done && r->headers_done && !atomic_load(&r->answered))
                http_req_on_complete(r);
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
        struct http_conn *c = arg;
        struct kc_http_req *r = frame->hd.stream_id ? req_of(session, frame->hd.stream_id) : NULL;
        bool end_stream = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
        switch (frame->hd.type) {
        case NGHTTP2_HEADERS:
                if (!r)
                        break;
                if (frame->headers.cat == NGHTTP2_HCAT_REQUEST)
                        request_headers(c, r, end_stream);
                else if (end_stream) /* trailers */
                        end_of_request(r);
                break;
        case NGHTTP2_DATA:
                if (r && end_stream)
                        end_of_request(r);
                if (frame->hd.length == 0 && !end_stream)
                        return count_control(c, "DATA");
                break;
        case NGHTTP2_RST_STREAM:
                return http_h2_count_reset(c);
        case NGHTTP2_PRIORITY:
                return count_control(c, "PRIORITY");
        case NGHTTP2_SETTINGS:
                /* The connection has begun; from here on it may be idle. */
                if (!c->h2->settings_seen)
                        http_conn_set_deadline(c, c->server->opts.idle_timeout_ms * KC_MSEC);
                c->h2->settings_seen = true;
                if (!(frame->hd.flags & NGHTTP2_FLAG_ACK))
                        return count_control(c, "SETTINGS");
                break;
        case NGHTTP2_PING:
                if (frame->hd.flags & NGHTTP2_FLAG_ACK)
                        http_h2_final_goaway(c);
                else
                        return count_control(c, "PING");
                break;
        default:
                break;
        }
        return 0;
}

static int on_data(
    nghttp2_session *session, uint8_t flags, int32_t stream_id, const uint8_t *data, size_t len, void *arg)
{
        (void)flags;
        struct http_conn *c = arg;
        struct kc_http_req *r = req_of(session, stream_id);
        if (!r)
                return 0;
        http_conn_set_deadline(c, c->server->opts.idle_timeout_ms * KC_MSEC);
        if (!http_req_on_body(r, (const char *)data, len))
                r->h2_discarded += len;
        if (r->h2_end_sent && r->h2_discarded > HTTP_H2_DISCARD_MAX)
                return nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, stream_id, NGHTTP2_NO_ERROR);
        return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t stream_id, uint32_t error_code, void *arg)
{
        struct http_conn *c = arg;
        (void)error_code;
        struct kc_http_req *r = req_of(session, stream_id);
        if (!r)
                return 0;
        c->h2->n_reqs--;
        http_req_over(r);
        if (c->h2->n_reqs == 0)
                http_conn_set_deadline(c, c->server->opts.idle_timeout_ms * KC_MSEC);
        return 0;
}

/* --- The session */

static nghttp2_session_callbacks *new_callbacks(void)
{
        nghttp2_session_callbacks *cb;
        if (nghttp2_session_callbacks_new(&cb) != 0)
                return NULL;
        nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin_headers);
        nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
        nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
        nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
        http_h2_set_send_callbacks(cb);
        return cb;
}

static int new_session(struct http_conn *c)
{
        nghttp2_session_callbacks *cb = new_callbacks();
        nghttp2_option *option = NULL;
        if (!cb || nghttp2_option_new(&option) != 0) {
                nghttp2_session_callbacks_del(cb);
                return -ENOMEM;
        }
        nghttp2_option_set_max_outbound_ack(option, HTTP_H2_MAX_ACKS);
        /* Streams that are over need not be remembered for priorities. */
        nghttp2_option_set_no_closed_streams(option, 1);
        int r = nghttp2_session_server_new2(&c->h2->session, cb, c, option);
        nghttp2_option_del(option);
        nghttp2_session_callbacks_del(cb);
        return r ? -ENOMEM : 0;
}

int http_h2_init(struct http_conn *c)
{
        c->h2 = KC_NEW(struct http_h2);
        kc_list_init(&c->h2->reqs);
        if (new_session(c) < 0)
                return -ENOMEM;
        const struct kc_http_server_opts *o = &c->server->opts;
        nghttp2_settings_entry settings[] = {
            {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, (uint32_t)o->max_streams},
            {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, HTTP_H2_STREAM_WINDOW},
            {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)KC_MIN(o->max_header_bytes, (size_t)UINT32_MAX)},
        };
        if (nghttp2_submit_settings(c->h2->session, NGHTTP2_FLAG_NONE, settings, KC_ARRAY_LEN(settings)) != 0 ||
            nghttp2_session_set_local_window_size(c->h2->session, NGHTTP2_FLAG_NONE, 0, HTTP_H2_CONN_WINDOW) != 0)
                return -ENOMEM;
        if (atomic_load(&c->server->draining))
                http_h2_drain(c);
        http_conn_dirty(c);
        return 0;
}

bool http_h2_idle(const struct http_conn *c)
{
        return c->h2->n_reqs == 0;
}

void http_h2_close(struct http_conn *c)
{
        KC_LIST_FOREACH(&c->h2->reqs, r, struct kc_http_req, h2_node)
        {
                nghttp2_session_set_stream_user_data(c->h2->session, r->stream_id, NULL);
                http_req_over(r);
        }
        c->h2->n_reqs = 0;
}

void http_h2_free(struct http_conn *c)
{
        nghttp2_session_del(c->h2->session);
        kc_free(c->h2);
        c->h2 = NULL;
}

void http_h2_input(struct http_conn *c, const char *data, size_t len)
{
        ssize_t n = nghttp2_session_mem_recv(c->h2->session, (const uint8_t *)data, len);
        if (n == (ssize_t)len)
                return;
        kc_log_v(4, "HTTP/2 connection error", "remote", c->info->remote, "error", nghttp2_strerror((int)n));
        /* nghttp2 has queued a GOAWAY where the protocol wants one; fill() sends it and ends. */
        c->h2->broken = true;
}

/* --- Ending */

void http_h2_drain(struct http_conn *c)
{
        struct http_h2 *h = c->h2;
        if (h->draining)
                return;
        h->draining = true;
        /* The notice lets requests that are on their way arrive; the answer to the ping shows that they have. */
        nghttp2_submit_shutdown_notice(h->session);
        nghttp2_submit_ping(h->session, NGHTTP2_FLAG_NONE, NULL);
        http_conn_set_deadline(c, HTTP_GOAWAY_WAIT);
}

void http_h2_final_goaway(struct http_conn *c)
{
        struct http_h2 *h = c->h2;
        if (!h->draining || h->goaway_sent)
                return;
        h->goaway_sent = true;
        http_conn_set_deadline(c, 0);
        nghttp2_submit_goaway(h->session, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(h->session),
            NGHTTP2_NO_ERROR, NULL, 0);
}

void http_h2_goodbye(struct http_conn *c)
{
        nghttp2_session_terminate_session(c->h2->session, NGHTTP2_NO_ERROR);
}

/* Deadlines are set when something begins and not taken back when it ends: first see what is late, if anything. */
void http_h2_timeout(struct http_conn *c)
{
        struct http_h2 *h = c->h2;
        bool in_headers = false;
        KC_LIST_FOREACH(&h->reqs, r, struct kc_http_req, h2_node)
        {
                if (!r->headers_done)
                        in_headers = true;
                else if (r->h2_end_sent && !r->h2_end_stream)
                        nghttp2_submit_rst_stream(h->session, NGHTTP2_FLAG_NONE, r->stream_id, NGHTTP2_NO_ERROR);
                else if (!r->h2_end_stream && !atomic_load(&r->answered))
                        http_req_reply_text(r, 408, NULL);
        }
        if (h->draining && !h->goaway_sent)
                http_h2_final_goaway(c);
        else if (in_headers)
                nghttp2_session_terminate_session(h->session, NGHTTP2_PROTOCOL_ERROR);
        else if (h->n_reqs == 0) /* idle, or no preface in time */
                nghttp2_session_terminate_session(h->session, NGHTTP2_NO_ERROR);
        http_conn_dirty(c);
}

bool http_h2_fill(struct http_conn *c)
{
        struct http_h2 *h = c->h2;
        if (!h->failed && nghttp2_session_send(h->session) != 0)
                h->failed = true;
        if (h->failed || h->broken)
                return false;
        if (h->goaway_sent && h->n_reqs == 0)
                return false;
        return nghttp2_session_want_read(h->session) || nghttp2_session_want_write(h->session);
}
