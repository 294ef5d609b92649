/* Requests and their answers, independent of the protocol version. A request is read by any thread once its headers are
 * in; everything about its answer happens on its loop, where answers from other threads are posted. */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "http/http_internal.h"

enum {
        FIELD_OVERHEAD = 32, /* counted for each field, as HTTP/2 does */
        TEXT_RESERVE = 1000, /* holds the head of most requests */
};

struct http_conn_info *http_conn_info_ref(struct http_conn_info *i)
{
        atomic_fetch_add_explicit(&i->refs, 1, memory_order_relaxed);
        return i;
}

void http_conn_info_unref(struct http_conn_info *i)
{
        if (!i || atomic_fetch_sub_explicit(&i->refs, 1, memory_order_acq_rel) != 1)
                return;
        kc_free(i->remote);
        kc_tls_peer_free(i->peer);
        kc_free(i);
}

/* --- Building */

struct kc_http_req *http_req_new(struct http_conn *c)
{
        struct kc_http_req *r = KC_NEW(struct kc_http_req);
        atomic_init(&r->refs, 1);
        r->loop = c->shard->loop;
        r->info = http_conn_info_ref(c->info);
        r->max_body = c->server->opts.max_body;
        r->conn = c;
        kc_list_init(&r->event_node);
        kc_list_init(&r->h2_node);
        kc_list_init(&r->pace_node);
        kc_buf_reserve(&r->text, TEXT_RESERVE);
        http_req_add_text(r, "", 0); /* offset 0: the empty string */
        return r;
}

uint32_t http_req_add_text(struct kc_http_req *r, const char *s, size_t len)
{
        uint32_t at = (uint32_t)r->text.len;
        kc_buf_reserve(&r->text, len + 1);
        kc_buf_add(&r->text, s, len);
        kc_buf_addc(&r->text, '\0');
        return at;
}

bool http_req_add_field(struct kc_http_req *r, const char *name, size_t name_len, const char *value, size_t value_len)
{
        r->header_bytes += name_len + value_len + FIELD_OVERHEAD;
        if (r->n_fields >= HTTP_MAX_HEADERS || r->header_bytes > r->conn->server->opts.max_header_bytes) {
                r->headers_too_large = true;
                return false;
        }
        if (r->n_fields == r->cap_fields) {
                r->cap_fields = r->cap_fields ? r->cap_fields * 2 : 8;
                r->fields = kc_reallocarray(r->fields, r->cap_fields, sizeof(*r->fields));
        }
        struct http_field *f = &r->fields[r->n_fields++];
        f->name = http_req_add_text(r, name, name_len);
        f->name_len = (uint32_t)name_len;
        for (char *p = r->text.data + f->name; *p; p++)
                *p = (char)tolower((unsigned char)*p);
        f->value = http_req_add_text(r, value, value_len);
        f->joined = 0;
        return true;
}

bool http_req_set_target(struct kc_http_req *r, const char *target, size_t len)
{
        if (len == 0 || target[0] != '/')
                return false;
        const char *question = memchr(target, '?', len);
        size_t path_len = question ? (size_t)(question - target) : len;
        r->path = http_req_add_text(r, target, path_len);
        r->query = question ? http_req_add_text(r, question + 1, len - path_len - 1) : 0;
        return true;
}

static const char *text_at(const struct kc_http_req *r, uint32_t offset)
{
        return r->text.data + offset;
}

static bool same_name(const struct kc_http_req *r, const struct http_field *a, const struct http_field *b)
{
        return a->name_len == b->name_len && memcmp(text_at(r, a->name), text_at(r, b->name), a->name_len) == 0;
}

static void join(struct kc_http_req *r, struct http_field *first)
{
        struct kc_buf all = KC_BUF_INIT;
        const char *sep = kc_streq(text_at(r, first->name), "cookie") ? "; " : ", ";
        for (struct http_field *f = first; f < r->fields + r->n_fields; f++) {
                if (!same_name(r, first, f))
                        continue;
                if (f != first)
                        kc_buf_adds(&all, sep);
                kc_buf_adds(&all, text_at(r, f->value));
        }
        first->joined = http_req_add_text(r, kc_buf_str(&all), all.len);
        kc_buf_done(&all);
}

void http_req_finish_headers(struct kc_http_req *r)
{
        for (uint32_t i = 0; i < r->n_fields; i++) {
                bool first = true, more = false;
                for (uint32_t j = 0; first && j < i; j++)
                        first = !same_name(r, &r->fields[i], &r->fields[j]);
                for (uint32_t j = i + 1; first && !more && j < r->n_fields; j++)
                        more = same_name(r, &r->fields[i], &r->fields[j]);
                if (first && more)
                        join(r, &r->fields[i]);
        }
        if (r->host == 0) {
                const char *host = kc_http_req_header(r, "host");
                char *copy = host ? kc_strdup(host) : NULL; /* the text moves when it grows */
                if (copy)
                        r->host = http_req_add_text(r, copy, strlen(copy));
                kc_free(copy);
        }
}

/* --- Lifetime and reading */

struct kc_http_req *kc_http_req_ref(struct kc_http_req *r)
{
        atomic_fetch_add_explicit(&r->refs, 1, memory_order_relaxed);
        return r;
}

void kc_http_req_unref(struct kc_http_req *r)
{
        if (!r || atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) != 1)
                return;
        if (r->data_free)
                r->data_free(r->data);
        kc_buf_done(&r->text);
        kc_free(r->fields);
        kc_buf_done(&r->body);
        kc_outq_done(&r->body_out);
        http_conn_info_unref(r->info);
        kc_free(r);
}

const char *kc_http_req_method(const struct kc_http_req *r)
{
        return text_at(r, r->method);
}

const char *kc_http_req_path(const struct kc_http_req *r)
{
        return text_at(r, r->path);
}

const char *kc_http_req_query(const struct kc_http_req *r)
{
        return text_at(r, r->query);
}

const char *kc_http_req_header(const struct kc_http_req *r, const char *name)
{
        size_t len = strlen(name);
        for (uint32_t i = 0; i < r->n_fields; i++) {
                const struct http_field *f = &r->fields[i];
                if (f->name_len == len && strncasecmp(text_at(r, f->name), name, len) == 0)
                        return text_at(r, f->joined ? f->joined : f->value);
        }
        return NULL;
}

bool kc_http_req_header_at(const struct kc_http_req *r, size_t i, const char **ret_name, const char **ret_value)
{
        if (i >= r->n_fields)
                return false;
        *ret_name = text_at(r, r->fields[i].name);
        *ret_value = text_at(r, r->fields[i].value);
        return true;
}

const char *kc_http_req_host(const struct kc_http_req *r)
{
        return text_at(r, r->host);
}

const char *kc_http_req_body(const struct kc_http_req *r, size_t *ret_len)
{
        *ret_len = r->body.len;
        return kc_buf_str(&r->body);
}

const char *kc_http_req_remote(const struct kc_http_req *r)
{
        return r->info->remote;
}

const char *kc_http_req_proto(const struct kc_http_req *r)
{
        return r->is_h2 ? "HTTP/2.0" : r->http10 ? "HTTP/1.0" : "HTTP/1.1";
}

bool kc_http_req_is_tls(const struct kc_http_req *r)
{
        return r->info->tls;
}

const struct kc_tls_peer *kc_http_req_peer(const struct kc_http_req *r)
{
        return r->info->peer;
}

bool kc_http_req_peer_invalid(const struct kc_http_req *r)
{
        return r->info->peer_invalid;
}

struct kc_loop *kc_http_req_loop(const struct kc_http_req *r)
{
        return r->loop;
}

bool kc_http_req_closed(const struct kc_http_req *r)
{
        return atomic_load(&r->closed);
}

void kc_http_req_set_data(struct kc_http_req *r, void *data, void (*free_fn)(void *))
{
        if (r->data_free)
                r->data_free(r->data);
        r->data = data;
        r->data_free = free_fn;
}

void *kc_http_req_data(const struct kc_http_req *r)
{
        return r->data;
}

void kc_http_req_set_max_body(struct kc_http_req *r, size_t max_body)
{
        r->max_body = max_body;
}

/* --- Calling the application */

bool http_req_on_headers(struct kc_http_req *r, int64_t declared_len)
{
        const struct kc_http_server_opts *o = &r->conn->server->opts;
        r->headers_done = true;
        r->is_head = kc_streq(kc_http_req_method(r), "HEAD");
        if (r->headers_too_large) {
                http_req_reply_text(r, 431, NULL);
                return false;
        }
        const char *expect = kc_http_req_header(r, "expect");
        if (expect && !kc_strcaseeq(expect, "100-continue")) {
                http_req_reply_text(r, 417, NULL);
                return false;
        }
        r->expect_continue = expect && !r->http10 && declared_len != 0;
        if (o->on_headers)
                o->on_headers(r, o->arg);
        if (atomic_load(&r->answered))
                return false;
        if (declared_len > 0 && (uint64_t)declared_len > r->max_body)
                return http_req_on_body(r, NULL, (size_t)declared_len);
        if (declared_len > 0)
                kc_buf_reserve(&r->body, KC_MIN((size_t)declared_len, (size_t)HTTP_BODY_RESERVE));
        if (declared_len != 0)
                http_pace_start(r);
        return true;
}

bool http_req_on_body(struct kc_http_req *r, const char *data, size_t len)
{
        const struct kc_http_server_opts *o = &r->conn->server->opts;
        if (atomic_load(&r->answered))
                return false;
        r->pace_bytes += len;
        if (len <= r->max_body && kc_buf_add_limited(&r->body, data, len, r->max_body) == 0)
                return true;
        kc_buf_done(&r->body);
        if (o->on_too_large)
                o->on_too_large(r, o->arg);
        http_req_reply_text(r, 413, NULL); /* dropped if that has answered */
        return false;
}

void http_req_on_complete(struct kc_http_req *r)
{
        const struct kc_http_server_opts *o = &r->conn->server->opts;
        r->request_done = true;
        http_pace_stop(r);
        if (!atomic_load(&r->answered))
                o->on_request(r, o->arg);
}

void http_req_over(struct kc_http_req *r)
{
        struct http_conn *c = r->conn;
        atomic_store(&r->answered, true);
        atomic_store(&r->closed, true);
        r->conn = NULL;
        r->drain_due = false;
        r->close_due = true;
        kc_outq_done(&r->body_out);
        http_pace_stop(r);
        kc_list_remove(&r->h2_node);
        kc_list_remove(&r->event_node);
        kc_list_push_back(&c->events, &r->event_node);
        http_conn_dirty(c);
}

static void call_close(struct kc_http_req *r)
{
        void (*fn)(struct kc_http_req *, void *) = r->on_close;
        r->on_close = NULL;
        r->on_drain = NULL;
        r->close_fired = true;
        if (fn)
                fn(r, r->close_arg);
        kc_http_req_unref(r); /* the connection's, or the late caller's reference */
}

static void call_close_late(void *arg)
{
        call_close(arg);
}

void http_conn_fire_events(struct http_conn *c)
{
        struct kc_http_req *r;
        while ((r = KC_LIST_FIRST(&c->events, struct kc_http_req, event_node))) {
                kc_list_remove(&r->event_node);
                if (r->close_due) {
                        call_close(r);
                } else if (r->drain_due) {
                        r->drain_due = false;
                        if (r->on_drain)
                                r->on_drain(r, r->drain_arg);
                }
        }
}

void http_req_drained(struct kc_http_req *r)
{
        if (!r->over_low_water || kc_http_queued(r) >= HTTP_LOW_WATER)
                return;
        r->over_low_water = false;
        if (!r->on_drain || r->drain_due)
                return;
        r->drain_due = true;
        kc_list_push_back(&r->conn->events, &r->event_node);
}

/* --- Answering */

static void reply_now(struct kc_http_req *r, int code, char *const *headers, struct kc_bytes *body)
{
        struct http_conn *c = r->conn;
        if (!c)
                return;
        r->answer = HTTP_ANSWER_FINISHED;
        if (r->is_h2)
                http_h2_reply(r, code, headers, body);
        else
                http_h1_reply(r, code, headers, body);
        if (r->conn)
                http_pace_start(r);
        http_conn_dirty(c);
}

struct posted_reply {
        struct kc_http_req *req;
        int code;
        char **headers;
        struct kc_bytes *body;
};

static void run_posted_reply(void *arg)
{
        struct posted_reply *p = arg;
        reply_now(p->req, p->code, p->headers, p->body);
        kc_bytes_unref(p->body);
        kc_strv_free(p->headers);
        kc_http_req_unref(p->req);
        kc_free(p);
}

void kc_http_reply(struct kc_http_req *r, int code, char *const *headers, struct kc_bytes *body)
{
        if (atomic_exchange(&r->answered, true))
                return;
        if (kc_loop_in_thread(r->loop)) {
                reply_now(r, code, headers, body);
                return;
        }
        struct posted_reply *p = KC_NEW(struct posted_reply);
        p->req = kc_http_req_ref(r);
        p->code = code;
        p->headers = headers ? kc_strv_copy(headers) : NULL;
        p->body = kc_bytes_ref(body);
        kc_loop_post(r->loop, run_posted_reply, p);
}

void http_req_reply_text(struct kc_http_req *r, int code, const char *text)
{
        struct kc_buf b = KC_BUF_INIT;
        if (text)
                kc_buf_adds(&b, text);
        else
                kc_buf_addf(&b, "%d %s", code, http_status_text(code));
        struct kc_bytes *body = kc_bytes_from_buf(&b);
        char name[] = "Content-Type", value[] = "text/plain; charset=utf-8";
        char *headers[] = {name, value, NULL};
        kc_http_reply(r, code, headers, body);
        kc_bytes_unref(body);
}

void kc_http_start(struct kc_http_req *r, int code, char *const *headers)
{
        struct http_conn *c = r->conn;
        if (atomic_exchange(&r->answered, true) || !c)
                return;
        r->answer = HTTP_ANSWER_STREAM;
        if (r->is_h2)
                http_h2_start(r, code, headers);
        else
                http_h1_start(r, code, headers);
        http_conn_dirty(c);
}

size_t kc_http_queued(const struct kc_http_req *r)
{
        if (!r->conn)
                return 0;
        return r->is_h2 ? r->body_out.bytes : r->conn->out.bytes;
}

int kc_http_write(struct kc_http_req *r, struct kc_bytes *data)
{
        struct http_conn *c = r->conn;
        size_t len = kc_bytes_len(data), queued = kc_http_queued(r);
        if (!c || c->abort || r->answer != HTTP_ANSWER_STREAM)
                return -EPIPE;
        if (len > c->server->opts.max_queued_bytes || queued > c->server->opts.max_queued_bytes - len)
                return -ENOBUFS;
        if (len == 0 || r->is_head)
                return 0;
        if (r->is_h2)
                http_h2_write(r, data);
        else
                http_h1_write(r, data);
        if (kc_http_queued(r) >= HTTP_LOW_WATER)
                r->over_low_water = true;
        http_conn_dirty(c);
        return 0;
}

void kc_http_on_drain(struct kc_http_req *r, void (*fn)(struct kc_http_req *r, void *arg), void *arg)
{
        r->on_drain = fn;
        r->drain_arg = arg;
}

void kc_http_on_close(struct kc_http_req *r, void (*fn)(struct kc_http_req *r, void *arg), void *arg)
{
        r->on_close = fn;
        r->close_arg = arg;
        if (fn && r->close_fired)
                kc_loop_defer(r->loop, call_close_late, kc_http_req_ref(r));
}

void kc_http_finish(struct kc_http_req *r)
{
        struct http_conn *c = r->conn;
        if (!c || r->answer != HTTP_ANSWER_STREAM)
                return;
        r->answer = HTTP_ANSWER_FINISHED;
        if (r->is_h2)
                http_h2_finish(r);
        else
                http_h1_finish(r);
        http_pace_start(r);
        http_conn_dirty(c);
}

void kc_http_abort(struct kc_http_req *r)
{
        struct http_conn *c = r->conn;
        atomic_store(&r->answered, true);
        if (!c)
                return;
        r->answer = HTTP_ANSWER_FINISHED;
        if (r->is_h2)
                http_h2_abort(r);
        else
                c->abort = true;
        http_conn_dirty(c);
}

/* --- Facts of HTTP */

const char *http_status_text(int code)
{
        switch (code) {
        case 413: /* Go's older names, which clients print */
                return "Request Entity Too Large";
        case 416:
                return "Requested Range Not Satisfiable";
        default:
                break;
        }
        const char *text = http_status_str((enum http_status)code);
        return text[0] == '<' ? "" : text;
}

bool http_header_is_ours(const char *name)
{
        static const char *const ours[] = {
            "connection", "content-length", "date", "keep-alive", "proxy-connection", "transfer-encoding"};
        for (size_t i = 0; i < KC_ARRAY_LEN(ours); i++)
                if (strcasecmp(name, ours[i]) == 0)
                        return true;
        return false;
}
