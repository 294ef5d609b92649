/* Answers: headers, Status errors, objects as negotiated. Any thread unless it says otherwise. */
#include <string.h>

#include "api/object.h"
#include "base/log.h"
#include "base/str.h"
#include "server/server_internal.h"
#include "json/yaml.h"

struct api_req *api_req_of(struct kc_http_req *http)
{
        return kc_http_req_data(http);
}

char *api_req_param(const struct api_req *q, const char *name)
{
        return kc_query_get(kc_http_req_query(q->http), name);
}

bool api_req_param_bool(const struct api_req *q, const char *name, bool def)
{
        return kc_query_bool(kc_http_req_query(q->http), name, def);
}

/* --- headers */

static char **headers_of(const struct api_req *q, const char *content_type, bool warnings)
{
        char **h = NULL;
        kc_strv_push(&h, "Audit-Id");
        kc_strv_push(&h, q->audit_id);
        kc_strv_push(&h, "Cache-Control");
        kc_strv_push(&h, "no-cache, private");
        if (content_type) {
                kc_strv_push(&h, "Content-Type");
                kc_strv_push(&h, content_type);
        }
        fairness_add_headers(q, &h);
        if (warnings)
                warnings_add_headers(q->warnings, &h);
        return h;
}

char **api_reply_headers(struct api_req *q, const char *content_type)
{
        return headers_of(q, content_type, true);
}

void api_reply_raw(struct api_req *q, int code, char *const *headers, struct kc_bytes *body)
{
        int none = 0;
        /* The first answer is the one that counts. */
        if (atomic_compare_exchange_strong(&q->code, &none, code))
                atomic_store(&q->response_size, body ? kc_bytes_len(body) : 0);
        kc_http_reply(q->http, code, headers, body);
}

void api_reply_bytes(struct api_req *q, int code, const char *content_type, struct kc_bytes *body)
{
        KC_CLEANUP(kc_strv_freep) char **headers = headers_of(q, content_type, true);
        if (kc_bytes_len(body) < API_GZIP_MIN || !compress_wanted(q)) {
                api_reply_raw(q, code, headers, body);
                return;
        }
        KC_CLEANUP(kc_bytes_unrefp) struct kc_bytes *gz = compress_bytes(kc_bytes_data(body), kc_bytes_len(body));
        if (!gz) {
                api_reply_raw(q, code, headers, body);
                return;
        }
        static const char *const extra[] = {"Content-Encoding", "gzip", "Vary", "Accept-Encoding"};
        for (size_t i = 0; i < KC_ARRAY_LEN(extra); i++)
                kc_strv_push(&headers, extra[i]);
        api_reply_raw(q, code, headers, gz);
}

void api_reply_text(struct api_req *q, int code, const char *text)
{
        KC_CLEANUP(kc_strv_freep) char **headers = headers_of(q, "text/plain; charset=utf-8", true);
        kc_strv_push(&headers, "X-Content-Type-Options");
        kc_strv_push(&headers, "nosniff");
        KC_CLEANUP(kc_bytes_unrefp) struct kc_bytes *body = kc_bytes_new(text, strlen(text));
        api_reply_raw(q, code, headers, body);
}

void api_reply_relayed(struct api_req *q, int code, char *const *headers, struct kc_bytes *body)
{
        KC_CLEANUP(kc_strv_freep) char **all = kc_strv_copy(headers);
        kc_strv_push(&all, "Audit-Id");
        kc_strv_push(&all, q->audit_id);
        api_reply_raw(q, code, all, body);
}

void api_reply_not_found_page(struct api_req *q)
{
        api_reply_text(q, 404, "404 page not found\n");
}

/* Appends the tree as negotiated. */
static int encode(const struct api_req *q, const struct media *m, const struct json_object *tree, struct kc_buf *out,
    struct kc_error *err)
{
        if (m->type == MEDIA_PROTOBUF)
                return proto_write(q, tree, out, err);
        if (m->type == MEDIA_YAML) {
                kc_yaml_write(out, tree);
        } else if (m->pretty) {
                kc_json_write_pretty(out, tree, 2, false);
        } else {
                kc_json_write(out, tree);
                kc_buf_addc(out, '\n');
        }
        return 0;
}

void api_reply_json(struct api_req *q, int code, const struct json_object *tree)
{
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        KC_CLEANUP(kc_buf_done) struct kc_buf out = KC_BUF_INIT;
        if (encode(q, &q->media, tree, &out, &err) < 0) {
                api_reply_error(q, &err);
                return;
        }
        kc_audit_record_response(q->audit, tree);
        KC_CLEANUP(kc_bytes_unrefp) struct kc_bytes *body = kc_bytes_from_buf(&out);
        api_reply_bytes(q, code, media_content_type(&q->media), body);
}

static void reply_status(struct api_req *q, int code, const struct json_object *status, const struct kc_error *of)
{
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        KC_CLEANUP(kc_buf_done) struct kc_buf out = KC_BUF_INIT;
        const struct media m = media_of_status(q);
        if (encode(q, &m, status, &out, &err) < 0)
                kc_log_error(&err, "Cannot encode a Status, sending none", "code", kc_log_i64(code));
        KC_CLEANUP(kc_bytes_unrefp) struct kc_bytes *body = kc_bytes_from_buf(&out);
        KC_CLEANUP(kc_strv_freep) char **headers = headers_of(q, media_content_type(&m), true);
        if (of->details && of->details->retry_after_seconds > 0) {
                kc_strv_push(&headers, "Retry-After");
                kc_strv_pushf(&headers, "%d", of->details->retry_after_seconds);
        }
        api_reply_raw(q, code, headers, body);
}

void api_reply_error_continue(struct api_req *q, const struct kc_error *err, const char *continue_token)
{
        int code = err->code ? err->code : 500;
        if (code >= 500)
                kc_log_v(2, "Request failed", "method", kc_http_req_method(q->http), "path", kc_http_req_path(q->http),
                    "code", kc_log_i64(code), "err", kc_error_message(err));
        KC_CLEANUP(kc_json_freep) struct json_object *status = kc_status_from_error(err);
        if (!kc_str_empty(continue_token))
                kc_json_set_str(kc_json_ensure_obj(status, "metadata"), "continue", continue_token);
        kc_audit_record_response(q->audit, status);
        reply_status(q, code, status, err);
}

void api_reply_error(struct api_req *q, const struct kc_error *err)
{
        api_reply_error_continue(q, err, NULL);
}

/* --- objects */

void api_reply_object(struct api_req *q, int code, const struct kc_object *obj)
{
        /* A status is the object itself. */
        bool converted = q->row && (!q->sub || q->sub->type == q->row->type) && convert_needed(q->row);
        if (q->media.type == MEDIA_JSON && q->media.as == AS_ITSELF && !q->media.pretty && !converted) {
                if (kc_audit_record_wants_response(q->audit))
                        kc_audit_record_response(q->audit, kc_object_json(obj));
                struct kc_bytes *bytes = kc_object_bytes(obj);
                KC_CLEANUP(kc_buf_done) struct kc_buf out = KC_BUF_INIT;
                kc_buf_reserve(&out, kc_bytes_len(bytes) + 1);
                kc_buf_add(&out, kc_bytes_data(bytes), kc_bytes_len(bytes));
                kc_buf_addc(&out, '\n');
                KC_CLEANUP(kc_bytes_unrefp) struct kc_bytes *body = kc_bytes_from_buf(&out);
                api_reply_bytes(q, code, "application/json", body);
                return;
        }
        if (q->media.as == AS_ITSELF && !converted) {
                api_reply_json(q, code, kc_object_json(obj));
                return;
        }
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        KC_CLEANUP(kc_json_freep) struct json_object *tree = NULL;
        if (transform_object(q, kc_object_copy_json(obj), &tree, &err) < 0)
                api_reply_error(q, &err);
        else
                api_reply_json(q, code, tree);
}

/* --- blocking work */

static void on_timeout(void *arg)
{
        struct api_req *q = arg;
        if (atomic_load(&q->code))
                return; /* answered; the peer is slow to read */
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        (void)kc_error_set_api(
            &err, 504, KC_REASON_TIMEOUT, "Timeout: request did not complete within the allotted timeout");
        KC_CLEANUP(kc_json_freep) struct json_object *status = kc_status_from_error(&err);
        KC_CLEANUP(kc_freep) char *text = kc_json_to_str(status);
        KC_CLEANUP(kc_bytes_unrefp) struct kc_bytes *body = kc_bytes_new(text, strlen(text));
        /* The worker may be adding to the warnings. */
        KC_CLEANUP(kc_strv_freep) char **headers = headers_of(q, "application/json", false);
        api_reply_raw(q, 504, headers, body);
}

/* --request-timeout, or less if the client says so. */
int64_t api_req_time_limit(const struct api_req *q)
{
        KC_CLEANUP(kc_freep) char *param = api_req_param(q, "timeout");
        int64_t t;
        if (!kc_str_empty(param) && kc_duration_parse(param, &t) == 0 && t > 0 && t < q->server->o->request_timeout)
                return t;
        return q->server->o->request_timeout;
}

static void run_job(void *arg)
{
        struct api_req *q = arg;
        struct kc_http_req *http = q->http;
        q->job(q);
        fairness_drop(q);
        kc_http_req_unref(http); /* q may go with it */
}

void api_req_limit_time(struct api_req *q)
{
        if (!q->timeout)
                q->timeout = kc_timer_new(kc_http_req_loop(q->http), on_timeout, q);
        if (kc_timer_armed(q->timeout))
                return;
        int64_t gone = kc_clock_mono(NULL) - q->started;
        kc_timer_arm(q->timeout, KC_MAX(api_req_time_limit(q) - gone, 1));
}

void api_req_unlimit_time(struct api_req *q)
{
        if (q->timeout)
                kc_timer_disarm(q->timeout);
}

static void run_on(struct api_req *q, struct kc_pool *pool, void (*fn)(struct api_req *q))
{
        q->job = fn;
        api_req_limit_time(q);
        (void)kc_http_req_ref(q->http); /* run_job gives it back */
        fairness_hold(q);
        if (kc_pool_submit(pool, run_job, q) == 0)
                return;
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        (void)kc_err_too_many_requests(&err, "The apiserver is overloaded, please try again later.", 1);
        api_reply_error(q, &err);
        fairness_drop(q);
        kc_http_req_unref(q->http);
}

void api_req_run_blocking(struct api_req *q, void (*fn)(struct api_req *q))
{
        run_on(q, q->server->pool, fn);
}

void api_req_run_aside(struct api_req *q, void (*fn)(struct api_req *q))
{
        run_on(q, q->server->side_pool, fn);
}
