/* GET .../pods/x/log: what the kubelet of the pod's node has, passed through as it comes. The pod and the node are
 * looked up on a worker; the stream runs on the request's loop. */
#include <errno.h>
#include <string.h>

#include "api/object.h"
#include "base/encode.h"
#include "base/ip.h"
#include "base/str.h"
#include "server/backend.h"
#include "server/server_internal.h"

enum {
        LOG_ERROR_MAX = 50000, /* bytes of a kubelet's error message */
};

/* A log on its way. Belongs to the request's loop. */
struct log_stream {
        struct api_req *q; /* with a reference to its exchange */
        struct kc_http_call *call;
        char *url;
        int code;
        bool started; /* the response */
        bool gone;    /* the client */
        struct kc_buf error;
};

static void stream_free(struct log_stream *s)
{
        struct kc_http_req *http = s->q->http;
        s->q->on_closed = NULL;
        kc_free(s->url);
        kc_buf_done(&s->error);
        kc_free(s);
        kc_http_req_unref(http);
}

/* --- which kubelet, which path */

/* PodLogOptions as the kubelet takes them. */
static int log_query(const struct api_req *q, struct kc_buf *out, struct kc_error *err)
{
        static const struct {
                const char *name;
                int64_t min; /* -1: not a number */
        } params[] = {{"follow", -1}, {"previous", -1}, {"timestamps", -1}, {"sinceSeconds", 1}, {"sinceTime", -1},
            {"tailLines", 0}, {"limitBytes", 1}, {"stream", -1}};
        KC_CLEANUP(kc_field_errors_done) struct kc_field_errors errors = {0};
        for (size_t i = 0; i < KC_ARRAY_LEN(params); i++) {
                KC_CLEANUP(kc_freep) char *v = api_req_param(q, params[i].name);
                int64_t n;
                if (kc_str_empty(v))
                        continue;
                if (params[i].min >= 0 && kc_str_to_i64(v, &n) < 0)
                        return kc_err_bad_request(err, "strconv.ParseInt: parsing \"%s\": invalid syntax", v);
                if (params[i].min >= 0 && n < params[i].min)
                        kc_field_invalid_str(&errors, params[i].name, v,
                            params[i].min == 0 ? "must be greater than or equal to 0" : "must be greater than 0");
                KC_CLEANUP(kc_freep) char *escaped = kc_url_escape(v, false);
                kc_buf_addf(out, "%c%s=%s", out->len == 0 ? '?' : '&', params[i].name, escaped);
        }
        return errors.n == 0 ? 0 : kc_err_invalid(err, "", "PodLogOptions", q->info.name, &errors);
}

static int kubelet_url(
    struct api_req *q, const struct json_object *pod, const char *container, char **ret, struct kc_error *err)
{
        const char *node_name = kc_json_str_at(pod, "spec.nodeName");
        KC_CLEANUP(kc_buf_done) struct kc_buf query = KC_BUF_INIT;
        KC_CLEANUP(backend_done) struct backend kubelet = {0};
        int r = log_query(q, &query, err);
        if (r == 0)
                r = backend_of_kubelet(q, node_name, &kubelet, err);
        if (r < 0)
                return r;
        *ret = kc_asprintf("https://%s/containerLogs/%s/%s/%s%s", kubelet.address, kc_meta_namespace(pod),
            kc_meta_name(pod), container, kc_buf_str(&query));
        return 0;
}

/* --- the stream */

static void on_headers(struct kc_http_call *call, int code, void *arg)
{
        (void)call; /* the stream's own */
        struct log_stream *s = arg;
        s->code = code;
        if (s->gone || code < 200 || code > 206)
                return;
        KC_CLEANUP(kc_strv_freep) char **headers = api_reply_headers(s->q, "text/plain");
        atomic_store(&s->q->code, 200);
        kc_http_start(s->q->http, 200, headers);
        audit_response_started(s->q, 200);
        s->started = true;
}

static int on_data(struct kc_http_call *call, const char *data, size_t len, void *arg)
{
        (void)call; /* the stream's own */
        struct log_stream *s = arg;
        if (s->gone)
                return -ECANCELED;
        if (!s->started)
                return kc_buf_add_limited(&s->error, data, len, LOG_ERROR_MAX) < 0 ? -EMSGSIZE : 0;
        KC_CLEANUP(kc_bytes_unrefp) struct kc_bytes *piece = kc_bytes_new(data, len);
        return kc_http_write(s->q->http, piece);
}

/* NewGenericHttpResponseChecker of upstream. */
static void kubelet_error(const struct log_stream *s, struct kc_error *err)
{
        const char *text = kc_buf_str(&s->error);
        if (s->code == 400)
                (void)kc_err_bad_request(err, "%s", text);
        else if (s->code == 404)
                (void)kc_error_set_api(err, 404, KC_REASON_NOT_FOUND,
                    "the server could not find the requested resource ( pods/log %s)", s->q->info.name);
        else
                (void)kc_err_internal(err, "%s", text);
}

static void on_done(struct kc_http_call *call, int code, struct kc_bytes *body, const struct kc_error *error, void *arg)
{
        (void)call;
        (void)body; /* went through on_data */
        struct log_stream *s = arg;
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        if (s->gone) {
                stream_free(s);
                return;
        }
        if (s->started) {
                if (error && error->errnum)
                        kc_http_abort(s->q->http);
                else
                        kc_http_finish(s->q->http);
        } else {
                if (code == 0)
                        (void)kc_err_internal(&err, "Get \"%s\": %s", s->url, kc_error_message(error));
                else
                        kubelet_error(s, &err);
                api_reply_error(s->q, &err);
        }
        stream_free(s);
}

static void on_closed(void *arg)
{
        struct log_stream *s = arg;
        s->gone = true;
        s->q->on_closed = NULL;
        kc_http_call_cancel(s->call); /* on_done frees */
}

static struct kc_http_client *client_of(const struct api_req *q)
{
        struct kc_apiserver *server = q->server;
        for (size_t i = 0; i < server->n_loops; i++)
                if (server->loops[i] == kc_http_req_loop(q->http))
                        return server->kubelet_clients[i];
        return NULL;
}

/* On the request's loop. */
static void stream_start(void *arg)
{
        struct log_stream *s = arg;
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        api_req_unlimit_time(s->q);
        const struct kc_http_call_opts o = {
            .url = s->url, .on_headers = on_headers, .on_data = on_data, .on_done = on_done, .arg = s};
        if (kc_http_req_closed(s->q->http)) {
                stream_free(s);
                return;
        }
        if (kc_http_client_start(client_of(s->q), &o, &s->call, &err) < 0) {
                api_reply_error(s->q, &err);
                stream_free(s);
                return;
        }
        s->q->on_closed = on_closed;
        s->q->on_closed_arg = s;
}

static int find(struct api_req *q, char **ret_url, struct kc_error *err)
{
        KC_CLEANUP(kc_object_unrefp) struct kc_object *pod = NULL;
        KC_CLEANUP(kc_freep) char *wanted = api_req_param(q, "container");
        const char *container = NULL;
        int r = kc_resources_get_live(q->server->resources, "", "pods", q->info.ns, q->info.name, &pod, err);
        if (r == 0)
                r = pod_choose_container(kc_object_json(pod), wanted, &container, err);
        if (r < 0)
                return r;
        /* A pod without a node has no log yet. */
        if (kc_str_empty(kc_json_str_at(kc_object_json(pod), "spec.nodeName")))
                return 0;
        return kubelet_url(q, kc_object_json(pod), container, ret_url, err);
}

static void log_job(struct api_req *q)
{
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        KC_CLEANUP(kc_freep) char *url = NULL;
        if (find(q, &url, &err) < 0) {
                api_reply_error(q, &err);
                return;
        }
        if (!url) {
                api_reply_text(q, 200, "");
                return;
        }
        struct log_stream *s = KC_NEW(struct log_stream);
        s->q = q;
        s->url = KC_TAKE(url);
        (void)kc_http_req_ref(q->http); /* stream_free gives it back */
        kc_loop_post(kc_http_req_loop(q->http), stream_start, s);
}

void handle_log(struct api_req *q)
{
        api_req_run_blocking(q, log_job);
}
