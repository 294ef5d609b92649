/* Listening, routing and answering. Requests are handled on the pool; health on the loop. */
#include "kubelet/server/server.h"

#include <errno.h>
#include <string.h>

#include "base/encode.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "daemon/metrics.h"
#include "kubelet/server/server_internal.h"

#define TEXT "text/plain; charset=utf-8"
#define METRICS "text/plain; version=0.0.4; charset=utf-8"

/* --- Answers */

static void reply(struct kc_http_req *req, int code, const char *content_type, struct kc_buf *b)
{
        char *const headers[] = {(char *)"Content-Type", (char *)content_type, NULL};
        struct kc_bytes *body = kc_bytes_from_buf(b);
        kc_http_reply(req, code, headers, body);
        kc_bytes_unref(body);
}

void kc_ks_reply_buf(struct kc_http_req *req, const char *content_type, struct kc_buf *b)
{
        reply(req, 200, content_type, b);
}

void kc_ks_reply_text(struct kc_http_req *req, int code, const char *text)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        kc_buf_adds(&b, text);
        reply(req, code, TEXT, &b);
}

void kc_ks_reply_error(struct kc_http_req *req, const struct kc_error *err)
{
        kc_ks_reply_text(req, err->code ?: 500, kc_error_message(err));
}

void kc_ks_reply_json(struct kc_http_req *req, const struct json_object *tree)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        kc_json_write(&b, tree);
        reply(req, 200, "application/json", &b);
}

/* --- Routes */

static void get_pods(struct kc_ks_request *r)
{
        KC_CLEANUP(kc_json_freep) struct json_object *list = r->s->o.ops.pods(r->s->o.ops.arg);
        kc_ks_reply_json(r->req, list);
}

static void get_configz(struct kc_ks_request *r)
{
        KC_CLEANUP(kc_json_freep)
        struct json_object *o = kc_json_build(
            "{'kubeletconfig':%o}", r->s->configz ? kc_json_copy(r->s->configz) : json_object_new_object());
        kc_ks_reply_json(r->req, o);
}

static void get_metrics(struct kc_ks_request *r)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        kc_metrics_write(&b);
        kc_ks_reply_buf(r->req, METRICS, &b);
}

static void get_metrics_probes(struct kc_ks_request *r)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        kc_ks_reply_buf(r->req, METRICS, &b);
}

struct health_job {
        struct kc_kubelet_server *s;
        struct kc_http_req *req;
};

static void not_found(struct kc_http_req *req)
{
        kc_ks_reply_text(req, 404, "404 page not found");
}

static void do_health(void *arg)
{
        struct health_job *j = arg;
        if (!atomic_load(&j->s->closed) && !kc_health_handle(j->s->o.health, j->req))
                not_found(j->req);
        kc_http_req_unref(j->req);
        kc_ks_unref(j->s);
        kc_free(j);
}

static void get_healthz(struct kc_ks_request *r)
{
        struct health_job *j = KC_NEW(struct health_job);
        j->s = kc_ks_ref(r->s);
        j->req = kc_http_req_ref(r->req);
        kc_loop_post(kc_http_req_loop(r->req), do_health, j);
}

enum { GET = 1, POST = 2 };

/* Without --enable-debugging-handlers. */
enum debug { ALWAYS, REFUSED, ABSENT };

/* parts: how many components the path has; max 0: any number. */
static const struct route {
        const char *first, *second; /* second NULL: any */
        size_t min, max;
        int methods;
        void (*fn)(struct kc_ks_request *r);
        enum debug debug;
} routes[] = {
    {"healthz", NULL, 1, 2, GET, get_healthz},
    {"pods", NULL, 1, 1, GET, get_pods},
    {"runningpods", NULL, 1, 1, GET, kc_ks_running_pods, REFUSED},
    {"configz", NULL, 1, 1, GET, get_configz, ABSENT},
    {"metrics", "cadvisor", 2, 2, GET, kc_ks_metrics_cadvisor},
    {"metrics", "resource", 2, 2, GET, kc_ks_metrics_resource},
    {"metrics", "probes", 2, 2, GET, get_metrics_probes},
    {"metrics", NULL, 1, 1, GET, get_metrics},
    {"stats", "summary", 2, 2, GET | POST, kc_ks_stats_summary},
    {"containerLogs", NULL, 4, 4, GET, kc_ks_container_logs, REFUSED},
    {"exec", NULL, 4, 5, GET | POST, kc_ks_exec, REFUSED},
    {"attach", NULL, 4, 5, GET | POST, kc_ks_attach, REFUSED},
    {"run", NULL, 4, 5, POST, kc_ks_run, REFUSED},
    {"portForward", NULL, 3, 4, GET | POST, kc_ks_port_forward, REFUSED},
};

/* Components of the path, decoded; NULL when they cannot be. */
static char **parts_of(const char *path)
{
        KC_CLEANUP(kc_strv_freep) char **raw = kc_strv_split(path + 1, '/');
        KC_CLEANUP(kc_strv_freep) char **parts = NULL;
        for (size_t i = 0; raw[i]; i++) {
                char *part = NULL;
                if (!*raw[i])
                        continue;
                if (kc_url_unescape(raw[i], strlen(raw[i]), false, &part) < 0)
                        return NULL;
                kc_strv_push_take(&parts, part);
        }
        return KC_TAKE(parts);
}

static const struct route *route_of(char *const *parts, bool *ret_method_ok, const char *method)
{
        size_t n = kc_strv_len(parts);
        int bit = kc_streq(method, "GET") || kc_streq(method, "HEAD") ? GET : kc_streq(method, "POST") ? POST : 0;
        for (size_t i = 0; i < KC_ARRAY_LEN(routes); i++) {
                const struct route *r = &routes[i];
                if (n < r->min || n > r->max || !kc_streq(parts[0], r->first) ||
                    (r->second && !kc_streq(parts[1], r->second)))
                        continue;
                *ret_method_ok = (r->methods & bit) != 0;
                return r;
        }
        return NULL;
}

static void handle(void *arg)
{
        struct kc_ks_request *r = arg;
        bool method_ok = false;
        r->parts = parts_of(kc_http_req_path(r->req));
        const struct route *route = r->parts ? route_of(r->parts, &method_ok, kc_http_req_method(r->req)) : NULL;
        if (atomic_load(&r->s->closed) || kc_ks_authenticate(r) < 0 || kc_ks_authorize(r) < 0)
                goto out; /* answered, or nobody is there any more */
        bool off = route && !r->s->o.debugging_handlers;
        if (!route || (off && route->debug == ABSENT))
                not_found(r->req);
        else if (off && route->debug == REFUSED)
                kc_ks_reply_text(r->req, 405, "Debug endpoints are disabled.\n");
        else if (!method_ok)
                kc_ks_reply_text(r->req, 405, "405: Method Not Allowed");
        else
                route->fn(r);
out:
        kc_strv_free(r->parts);
        kc_json_free(r->who);
        kc_http_req_unref(r->req);
        kc_ks_unref(r->s);
        kc_free(r);
}

static void on_request(struct kc_http_req *req, void *arg)
{
        struct kc_kubelet_server *s = arg;
        struct kc_ks_request *r = KC_NEW(struct kc_ks_request);
        r->s = kc_ks_ref(s);
        r->req = kc_http_req_ref(req);
        if (kc_pool_submit(s->o.pool, handle, r) == 0)
                return;
        kc_ks_reply_text(req, 503, "the kubelet is too busy, please try again later");
        kc_http_req_unref(r->req);
        kc_ks_unref(s);
        kc_free(r);
}

static void on_health_request(struct kc_http_req *req, void *arg)
{
        struct kc_kubelet_server *s = arg;
        if (!kc_str_has_prefix(kc_http_req_path(req), "/healthz") || !kc_health_handle(s->o.health, req))
                not_found(req);
}

/* --- Life */

struct kc_kubelet_server *kc_ks_ref(struct kc_kubelet_server *s)
{
        atomic_fetch_add(&s->refs, 1);
        return s;
}

void kc_ks_unref(struct kc_kubelet_server *s)
{
        if (atomic_fetch_sub(&s->refs, 1) != 1)
                return;
        kc_ks_auth_done(s);
        kc_json_free(s->configz);
        kc_free(s->node_name);
        kc_free(s->root_dir);
        pthread_mutex_destroy(&s->mutex);
        kc_free(s);
}

static int listen_secure(struct kc_kubelet_server *s, const struct kc_kubelet_server_opts *o, struct kc_error *err)
{
        struct kc_tls_server_opts tls = {.cert_file = o->cert_file,
            .key_file = o->key_file,
            .client_ca_file = kc_str_empty(o->client_ca_file) ? NULL : o->client_ca_file,
            .min_version = o->tls_min_version,
            .cipher_suites = o->tls_cipher_suites,
            .cert_may_come_later = o->cert_may_come_later,
            .alpn_h2 = true};
        int r = kc_tls_server_new(&tls, &s->tls, err);
        if (r < 0)
                return r;
        struct kc_loop *const loops[] = {o->loop};
        struct kc_http_server_opts http = {.loops = loops,
            .n_loops = 1,
            .address = kc_str_empty(o->address) ? "0.0.0.0" : o->address,
            .port = o->port < 0 ? 0 : o->port,
            .tls = s->tls,
            .on_request = on_request,
            .arg = s};
        r = kc_http_server_new(&http, &s->https, err);
        if (r == 0)
                kc_log_info(
                    "Starting to listen", "address", http.address, "port", kc_log_i64(kc_http_server_port(s->https)));
        return r;
}

static int listen_health(struct kc_kubelet_server *s, const struct kc_kubelet_server_opts *o, struct kc_error *err)
{
        struct kc_loop *const loops[] = {o->loop};
        struct kc_http_server_opts http = {.loops = loops,
            .n_loops = 1,
            .address = kc_str_empty(o->healthz_address) ? "127.0.0.1" : o->healthz_address,
            .port = o->healthz_port < 0 ? 0 : o->healthz_port,
            .on_request = on_health_request,
            .arg = s};
        return kc_http_server_new(&http, &s->http, err);
}

int kc_kubelet_server_new(const struct kc_kubelet_server_opts *o, struct kc_kubelet_server **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_kubelet_server_freep) struct kc_kubelet_server *s = KC_NEW(struct kc_kubelet_server);
        atomic_init(&s->refs, 1);
        pthread_mutex_init(&s->mutex, NULL);
        kc_list_init(&s->streams);
        kc_ks_auth_init(s);
        s->o = *o;
        s->node_name = kc_strdup(o->node_name);
        s->root_dir = kc_strdup(o->root_dir);
        s->configz = o->configz ? kc_json_copy(o->configz) : NULL;
        int r = o->port ? listen_secure(s, o, err) : 0;
        if (r == 0 && o->healthz_port)
                r = listen_health(s, o, err);
        if (r < 0)
                return kc_error_wrap(err, "kubelet server");
        *ret = KC_TAKE(s);
        return 0;
}

void kc_kubelet_server_reload(struct kc_kubelet_server *s)
{
        if (s && s->tls)
                kc_tls_server_recheck(s->tls);
}

int kc_kubelet_server_port(const struct kc_kubelet_server *s)
{
        return s->https ? kc_http_server_port(s->https) : 0;
}

int kc_kubelet_server_healthz_port(const struct kc_kubelet_server *s)
{
        return s->http ? kc_http_server_port(s->http) : 0;
}

static void end_streams(void *arg)
{
        struct kc_kubelet_server *s = arg;
        while (!kc_list_empty(&s->streams)) {
                struct kc_ks_stream *stream = KC_LIST_FIRST(&s->streams, struct kc_ks_stream, node);
                stream->end(stream);
        }
}

void kc_kubelet_server_free(struct kc_kubelet_server *s)
{
        if (!s)
                return;
        atomic_store(&s->closed, true);
        end_streams(s);
        kc_http_server_free(s->https);
        kc_http_server_free(s->http);
        kc_tls_server_free(s->tls);
        s->https = s->http = NULL;
        s->tls = NULL;
        kc_ks_unref(s);
}
