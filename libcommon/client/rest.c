/* The REST client: requests, their retries and limits, and streams.
 *
 *   worker thread: rate limit -> start --loop--> on_done -> worker wakes -> retry, or decode
 *
 * Blocking calls run on any thread but the loop's; the HTTP exchange itself on the loop. */
#include "client/rest.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/str.h"
#include "client/observe.h"
#include "client/ratelimit.h"
#include "client/rest_internal.h"

enum {
        DEFAULT_TIMEOUT_MS = 30000,
        MAX_RETRIES = 10,          /* client-go's */
        MAX_RETRY_AFTER = 60,      /* seconds that a server may make us wait at once */
        MAX_ERROR_BODY = 64 << 10, /* of a stream's error answer */
};
/* After a broken connection, as client-go. */
#define RESET_RETRY_AFTER 1

static const struct kc_json_limits response_limits = {.max_bytes = 64 << 20, .max_depth = 128, .max_nodes = 16 << 20};

struct kc_rest {
        atomic_int refs;      /* the owner's, one for each stream and for each client that has this one as base */
        struct kc_rest *base; /* whose connections, lock and end these are; NULL: its own */
        struct kc_loop *loop;
        struct kc_http_client *http;
        struct kc_credential *credential;
        char *url;  /* "https://10.0.0.1:6443/prefix", no slash at the end */
        char *host; /* "10.0.0.1:6443" */
        char *as_user, **as_groups, *as_uid;
        int timeout_ms;
        void (*on_warning)(const char *text, void *arg);
        void *warning_arg;
        pthread_mutex_t lock;
        pthread_cond_t wake; /* closing, or starting has become 0 */
        /* guarded by lock: */
        bool limited;
        struct kc_bucket bucket;
        bool closing;
        int starting; /* threads between the look at closing and the end of kc_http_client_start */
};

static void cond_init(pthread_cond_t *cond)
{
        pthread_condattr_t attr;
        pthread_condattr_init(&attr);
        pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        pthread_cond_init(cond, &attr);
        pthread_condattr_destroy(&attr);
}

static int set_server(struct kc_rest *r, const char *server, struct kc_error *err)
{
        r->url = strstr(server, "://") ? kc_strdup(server) : kc_asprintf("http://%s", server);
        for (size_t len = strlen(r->url); len > 0 && r->url[len - 1] == '/'; len--)
                r->url[len - 1] = '\0';
        const char *host = strstr(r->url, "://") + strlen("://");
        if (!kc_str_has_prefix(r->url, "https://") && !kc_str_has_prefix(r->url, "http://"))
                return kc_error_set(err, EINVAL, "host must be a URL or a host:port pair: \"%s\"", server);
        r->host = kc_strndup(host, strcspn(host, "/"));
        return 0;
}

static int open_http(
    struct kc_rest *r, const struct kc_client_config *config, const struct kc_rest_opts *o, struct kc_error *err)
{
        const char *plugin_cert = kc_credential_cert_pem(r->credential);
        struct kc_http_client_opts opts = {
            .ca_file = config->ca_file,
            .ca_pem = config->ca_pem,
            .cert_file = config->cert_file,
            .cert_pem = plugin_cert ? plugin_cert : config->cert_pem,
            .key_file = config->key_file,
            .key_pem = plugin_cert ? kc_credential_key_pem(r->credential) : config->key_pem,
            .tls_server_name = config->tls_server_name,
            .insecure_skip_verify = config->insecure_skip_verify,
            .proxy_url = config->proxy_url,
            .user_agent = o && o->user_agent ? o->user_agent : "kubec",
        };
        return kc_http_client_new(r->loop, &opts, &r->http, err);
}

int kc_rest_new(struct kc_loop *loop, const struct kc_client_config *config, const struct kc_rest_opts *o,
    struct kc_rest **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_rest_freep) struct kc_rest *r = KC_NEW(struct kc_rest);
        atomic_init(&r->refs, 1);
        r->loop = loop;
        pthread_mutex_init(&r->lock, NULL);
        cond_init(&r->wake);
        r->timeout_ms = o && o->timeout_ms > 0 ? o->timeout_ms : DEFAULT_TIMEOUT_MS;
        r->on_warning = o ? o->on_warning : NULL;
        r->warning_arg = o ? o->warning_arg : NULL;
        r->limited = o && o->qps > 0;
        if (r->limited)
                kc_bucket_init(&r->bucket, o->qps, o->burst, kc_clock_mono(NULL));
        r->as_user = kc_strdup(config->as_user);
        r->as_groups = kc_strv_copy(config->as_groups);
        r->as_uid = kc_strdup(config->as_uid);
        int e = set_server(r, config->server ? config->server : "", err);
        if (e >= 0)
                e = kc_credential_new(config, &r->credential, err);
        if (e >= 0)
                e = open_http(r, config, o, err);
        if (e < 0)
                return e;
        *ret = KC_TAKE(r);
        return 0;
}

struct kc_rest *kc_rest_new_with_tokens(struct kc_rest *base, const struct kc_token_source *take_source)
{
        struct kc_rest *r = KC_NEW(struct kc_rest);
        atomic_init(&r->refs, 1);
        atomic_fetch_add(&base->refs, 1);
        r->base = base;
        r->loop = base->loop;
        r->timeout_ms = base->timeout_ms;
        r->url = kc_strdup(base->url);
        r->host = kc_strdup(base->host);
        r->credential = kc_credential_new_source(take_source);
        return r;
}

/* The client that has the connections. */
static struct kc_rest *owner_of(struct kc_rest *r)
{
        return r->base ? r->base : r;
}

void kc_rest_close(struct kc_rest *r)
{
        if (!r || r->base)
                return;
        pthread_mutex_lock(&r->lock);
        r->closing = true;
        pthread_cond_broadcast(&r->wake);
        while (r->starting > 0)
                pthread_cond_wait(&r->wake, &r->lock);
        struct kc_http_client *http = KC_TAKE(r->http);
        pthread_mutex_unlock(&r->lock);
        kc_http_client_free(http);
}

void kc_rest_reconnect(struct kc_rest *r)
{
        pthread_mutex_lock(&r->lock);
        struct kc_http_client *http = r->http; /* only the loop closes it */
        pthread_mutex_unlock(&r->lock);
        if (http)
                kc_http_client_reconnect(http);
}

static void unref(struct kc_rest *r)
{
        if (atomic_fetch_sub(&r->refs, 1) != 1)
                return;
        kc_credential_free(r->credential);
        if (r->base) {
                unref(r->base);
        } else {
                pthread_cond_destroy(&r->wake);
                pthread_mutex_destroy(&r->lock);
        }
        kc_free(r->url);
        kc_free(r->host);
        kc_free(r->as_user);
        kc_strv_free(r->as_groups);
        kc_free(r->as_uid);
        kc_free(r);
}

void kc_rest_free(struct kc_rest *r)
{
        if (!r)
                return;
        kc_rest_close(r);
        unref(r);
}

struct kc_loop *kc_rest_loop(struct kc_rest *r)
{
        return r->loop;
}

static int closed(struct kc_error *err)
{
        return kc_error_set(err, ECANCELED, "the client is closed");
}

/* Starts an exchange unless the client is closing. Any thread; does not block. */
static int start(
    struct kc_rest *r, const struct kc_http_call_opts *o, struct kc_http_call **ret_call, struct kc_error *err)
{
        r = owner_of(r);
        pthread_mutex_lock(&r->lock);
        if (r->closing) {
                pthread_mutex_unlock(&r->lock);
                return closed(err);
        }
        r->starting++;
        pthread_mutex_unlock(&r->lock);
        int e = kc_http_client_start(r->http, o, ret_call, err);
        pthread_mutex_lock(&r->lock);
        if (--r->starting == 0)
                pthread_cond_broadcast(&r->wake);
        pthread_mutex_unlock(&r->lock);
        return e;
}

/* Waits usec, or until the client is closed: -ECANCELED then. */
static int pause_for(struct kc_rest *r, int64_t usec, struct kc_error *err)
{
        struct timespec until;
        r = owner_of(r);
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += usec / KC_SEC;
        until.tv_nsec += usec % KC_SEC * 1000;
        if (until.tv_nsec >= 1000000000) {
                until.tv_sec++;
                until.tv_nsec -= 1000000000;
        }
        pthread_mutex_lock(&r->lock);
        int e = 0;
        while (!r->closing && e != ETIMEDOUT)
                e = pthread_cond_timedwait(&r->wake, &r->lock, &until);
        bool closing = r->closing;
        pthread_mutex_unlock(&r->lock);
        return closing ? closed(err) : 0;
}

/* The client-side rate limit. */
static int wait_turn(struct kc_rest *r, const char *method, struct kc_error *err)
{
        if (!r->limited)
                return 0;
        pthread_mutex_lock(&r->lock);
        int64_t delay = kc_bucket_reserve(&r->bucket, kc_clock_mono(NULL));
        pthread_mutex_unlock(&r->lock);
        const struct kc_client_observer *o = kc_client_observer();
        if (o->rate_limited)
                o->rate_limited(r->host, method, (double)delay / (double)KC_SEC);
        if (delay == 0)
                return 0;
        if (delay > KC_SEC)
                kc_log_v(1, "Waited before sending request", "delay", kc_log_fmt("%.3fs", (double)delay / 1e6),
                    "reason", "client-side throttling", "verb", method);
        return pause_for(r, delay, err);
}

static void add_identity(struct kc_rest *r, char ***h, bool may_block)
{
        char *authorization = kc_credential_header(r->credential, may_block);
        if (authorization) {
                kc_strv_push(h, "Authorization");
                kc_strv_push_take(h, authorization);
        }
        if (r->as_user) {
                kc_strv_push(h, "Impersonate-User");
                kc_strv_push(h, r->as_user);
        }
        if (r->as_uid) {
                kc_strv_push(h, "Impersonate-Uid");
                kc_strv_push(h, r->as_uid);
        }
        for (char **g = r->as_groups; g && *g; g++) {
                kc_strv_push(h, "Impersonate-Group");
                kc_strv_push(h, *g);
        }
}

char **kc_rest_identity(struct kc_rest *r)
{
        char **h = NULL;
        add_identity(r, &h, false);
        return h;
}

static char **make_headers(struct kc_rest *r, const char *content_type, const char *accept, bool may_block)
{
        char **h = NULL;
        kc_strv_push(&h, "Accept");
        kc_strv_push(&h, accept ? accept : "application/json");
        if (content_type) {
                kc_strv_push(&h, "Content-Type");
                kc_strv_push(&h, content_type);
        }
        add_identity(r, &h, may_block);
        return h;
}

static void observe(const struct kc_rest *r, const char *method, int code, kc_mono since, size_t sent, size_t received)
{
        const struct kc_client_observer *o = kc_client_observer();
        if (!o->request)
                return;
        char text[16] = "<error>";
        if (code > 0)
                (void)snprintf(text, sizeof(text), "%d", code);
        o->request(text, r->host, method, (double)(kc_clock_mono(NULL) - since) / (double)KC_SEC, sent, received);
}

/* --- one blocking exchange */

struct request {
        const char *method, *path, *content_type, *accept;
        struct kc_bytes *body;
};

struct answer {
        int code; /* 0: err */
        struct kc_bytes *body;
        char *retry_after;
        struct kc_error err;
        pthread_mutex_t lock;
        pthread_cond_t cond;
        const struct kc_rest *rest;
        bool done; /* guarded by lock */
};

static void answer_init(struct answer *a, const struct kc_rest *r)
{
        *a = (struct answer){.rest = r};
        pthread_mutex_init(&a->lock, NULL);
        cond_init(&a->cond);
}

static void answer_done(struct answer *a)
{
        kc_bytes_unref(a->body);
        kc_free(a->retry_after);
        kc_error_done(&a->err);
        pthread_cond_destroy(&a->cond);
        pthread_mutex_destroy(&a->lock);
}

/* Hands over `299 - "text"`, quoted pairs resolved. */
static void on_warning_header(const struct kc_rest *r, const char *value)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf text = KC_BUF_INIT;
        const char *quote = kc_str_has_prefix(value, "299 ") ? strchr(value, '"') : NULL;
        if (!quote)
                return;
        for (const char *p = quote + 1; *p && *p != '"'; p++) {
                if (*p == '\\' && p[1])
                        p++;
                kc_buf_addc(&text, *p);
        }
        r->on_warning(kc_buf_str(&text), r->warning_arg);
}

static void report_warnings(struct kc_http_call *call, const struct kc_rest *r)
{
        const char *value;
        for (size_t i = 0; r->on_warning && (value = kc_http_call_header_at(call, "Warning", i)); i++)
                on_warning_header(r, value);
}

static void on_answer(struct kc_http_call *call, int code, struct kc_bytes *body, const struct kc_error *err, void *arg)
{
        struct answer *a = arg;
        const char *retry_after = code > 0 ? kc_http_call_header(call, "Retry-After") : NULL;
        if (code > 0)
                report_warnings(call, a->rest);
        pthread_mutex_lock(&a->lock);
        a->code = code;
        a->body = body ? kc_bytes_ref(body) : NULL;
        a->retry_after = kc_strdup(retry_after);
        if (err && err->errnum) {
                a->code = 0; /* a body cut short is no answer */
                kc_error_copy(&a->err, err);
        }
        a->done = true;
        pthread_cond_signal(&a->cond);
        pthread_mutex_unlock(&a->lock);
}

static int exchange(struct kc_rest *r, const struct request *q, struct answer *a, struct kc_error *err)
{
        int e = kc_credential_prepare(r->credential, err);
        if (e < 0)
                return e;
        KC_CLEANUP(kc_freep) char *url = kc_asprintf("%s%s", r->url, q->path);
        KC_CLEANUP(kc_strv_freep) char **headers = make_headers(r, q->content_type, q->accept, true);
        struct kc_http_call_opts opts = {.method = q->method,
            .url = url,
            .headers = headers,
            .body = q->body,
            .timeout_ms = r->timeout_ms,
            .on_done = on_answer,
            .arg = a};
        kc_mono since = kc_clock_mono(NULL);
        e = start(r, &opts, NULL, err);
        if (e < 0)
                return e;
        pthread_mutex_lock(&a->lock);
        while (!a->done)
                pthread_cond_wait(&a->cond, &a->lock);
        pthread_mutex_unlock(&a->lock);
        observe(r, q->method, a->code, since, q->body ? kc_bytes_len(q->body) : 0, a->body ? kc_bytes_len(a->body) : 0);
        return 0;
}

/* Seconds to wait before the same again; -1: the answer stands. */
static int retry_delay(const struct request *q, const struct answer *a)
{
        if (a->code == 0) {
                bool broken = a->err.errnum == ECONNRESET || a->err.errnum == EPIPE;
                return broken && kc_streq(q->method, "GET") ? RESET_RETRY_AFTER : -1;
        }
        int64_t seconds;
        if ((a->code != 429 && a->code < 500) || !a->retry_after || kc_str_to_i64(a->retry_after, &seconds) < 0 ||
            seconds < 0)
                return -1;
        return (int)KC_MIN(seconds, MAX_RETRY_AFTER);
}

static int conclude(struct answer *a, struct kc_bytes **ret, struct kc_error *err)
{
        if (a->code == 0) {
                int e = a->err.errnum;
                if (err)
                        kc_error_move(err, &a->err);
                return -(e ? e : EIO);
        }
        const char *text = a->body ? kc_bytes_data(a->body) : "";
        size_t len = a->body ? kc_bytes_len(a->body) : 0;
        if (a->code < 200 || a->code > 299)
                return kc_error_from_response(err, a->code, text, len);
        if (ret)
                *ret = a->body ? KC_TAKE(a->body) : kc_bytes_new("", 0);
        return 0;
}

static int perform(struct kc_rest *r, const struct request *q, struct kc_bytes **ret, struct kc_error *err)
{
        bool rejected = false;
        for (int tries = 0;; tries++) {
                int e = wait_turn(r, q->method, err);
                if (e < 0)
                        return e;
                KC_CLEANUP(answer_done) struct answer a;
                answer_init(&a, r);
                e = exchange(r, q, &a, err);
                if (e < 0)
                        return e;
                if (a.code == 401 && !rejected && kc_credential_rejected(r->credential)) {
                        rejected = true;
                        continue;
                }
                int delay = tries < MAX_RETRIES ? retry_delay(q, &a) : -1;
                if (delay < 0)
                        return conclude(&a, ret, err);
                kc_log_v(4, "Got a Retry-After response, retrying", "delay", kc_log_i64(delay), "verb", q->method,
                    "path", q->path);
                e = pause_for(r, delay * KC_SEC, err);
                if (e < 0)
                        return e;
        }
}

int kc_rest_raw(struct kc_rest *r, const char *method, const char *path, const char *content_type, const char *accept,
    struct kc_bytes *body, struct kc_bytes **ret, struct kc_error *err)
{
        struct request q = {
            .method = method, .path = path, .content_type = content_type, .accept = accept, .body = body};
        return perform(r, &q, ret, err);
}

int kc_rest_call(struct kc_rest *r, const char *method, const char *path, const char *content_type,
    const struct json_object *body, struct json_object **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_bytes_unrefp) struct kc_bytes *bytes = NULL, *response = NULL;
        if (body) {
                struct kc_buf b = KC_BUF_INIT;
                kc_json_write(&b, body);
                bytes = kc_bytes_from_buf(&b);
        }
        struct request q = {.method = method, .path = path, .content_type = body ? content_type : NULL, .body = bytes};
        int e = perform(r, &q, &response, err);
        if (e < 0 || !ret)
                return e;
        e = kc_json_parse(kc_bytes_data(response), kc_bytes_len(response), &response_limits, ret, err);
        return e < 0 ? kc_error_wrap(err, "%s %s: bad response", method, path) : 0;
}

/* --- streams */

struct stream {
        struct kc_rest *rest;
        struct kc_rest_stream_cbs cbs;
        void *arg;
        int code;
        int retry_after;
        struct kc_buf error_body;
        kc_mono since;
};

static void stream_free(struct stream *s)
{
        kc_buf_done(&s->error_body);
        unref(s->rest);
        kc_free(s);
}

static void on_stream_headers(struct kc_http_call *call, int code, void *arg)
{
        struct stream *s = arg;
        s->code = code;
        int64_t seconds;
        const char *retry_after = kc_http_call_header(call, "Retry-After");
        if (retry_after && kc_str_to_i64(retry_after, &seconds) == 0 && seconds > 0)
                s->retry_after = (int)KC_MIN(seconds, MAX_RETRY_AFTER);
        observe(s->rest, "GET", code, s->since, 0, 0);
        if (s->cbs.on_open)
                s->cbs.on_open(code, s->arg);
}

static int on_stream_data(struct kc_http_call *call, const char *data, size_t len, void *arg)
{
        (void)call;
        struct stream *s = arg;
        if (s->code >= 200 && s->code <= 299) {
                if (s->cbs.on_data)
                        s->cbs.on_data(data, len, s->arg);
                return 0;
        }
        /* A longer one is cut off: what counts is at its start. */
        return kc_buf_add_limited(&s->error_body, data, len, MAX_ERROR_BODY) == -ENOMEM ? -ENOMEM : 0;
}

static void on_stream_done(
    struct kc_http_call *call, int code, struct kc_bytes *body, const struct kc_error *err, void *arg)
{
        (void)call;
        (void)body;
        struct stream *s = arg;
        struct kc_error why = KC_ERROR_INIT;
        bool failed = err && err->errnum;
        if (code == 0)
                observe(s->rest, "GET", 0, s->since, 0, 0);
        if (failed) {
                kc_error_copy(&why, err);
        } else if (code < 200 || code > 299) {
                (void)kc_error_from_response(&why, code, kc_buf_str(&s->error_body), s->error_body.len);
                if (s->retry_after > 0)
                        kc_error_details(&why)->retry_after_seconds = s->retry_after;
        }
        s->cbs.on_end(&why, s->arg);
        kc_error_done(&why);
        stream_free(s);
}

int kc_rest_stream(struct kc_rest *r, const char *path, const char *accept, const struct kc_rest_stream_cbs *cbs,
    void *arg, struct kc_http_call **ret_call, struct kc_error *err)
{
        struct stream *s = KC_NEW(struct stream);
        s->rest = r;
        atomic_fetch_add(&r->refs, 1);
        s->cbs = *cbs;
        s->arg = arg;
        s->since = kc_clock_mono(NULL);
        KC_CLEANUP(kc_freep) char *url = kc_asprintf("%s%s", r->url, path);
        KC_CLEANUP(kc_strv_freep) char **headers = make_headers(r, NULL, accept, !kc_loop_in_thread(r->loop));
        struct kc_http_call_opts opts = {.url = url,
            .headers = headers,
            .on_headers = on_stream_headers,
            .on_data = on_stream_data,
            .on_done = on_stream_done,
            .arg = s};
        int e = start(r, &opts, ret_call, err);
        if (e < 0)
                stream_free(s);
        return e;
}

/* --- upgrades */

struct upgrade {
        struct kc_rest *rest;
        struct kc_rest_upgrade_cbs cbs;
        void *arg;
        bool open;
};

static void on_upgrade_headers(struct kc_http_call *call, int code, void *arg)
{
        struct upgrade *u = arg;
        u->open = code == 101;
        if (u->open)
                u->cbs.on_open(call, u->arg);
}

static void on_upgrade_done(
    struct kc_http_call *call, int code, struct kc_bytes *body, const struct kc_error *err, void *arg)
{
        (void)call;
        struct upgrade *u = arg;
        struct kc_error why = KC_ERROR_INIT;
        if (!u->open) {
                KC_CLEANUP(kc_json_freep) struct json_object *status = NULL;
                if (err && err->errnum)
                        kc_error_copy(&why, err);
                else if (kc_json_parse(kc_bytes_data(body), kc_bytes_len(body), NULL, &status, NULL) == 0 &&
                         kc_streq(kc_json_str(status, "kind"), "Status"))
                        (void)kc_error_from_response(&why, code, kc_bytes_data(body), kc_bytes_len(body));
                else
                        (void)kc_error_set(&why, EPROTO, "unable to upgrade connection: %s", kc_bytes_data(body));
                u->cbs.on_fail(code, &why, u->arg);
        }
        kc_error_done(&why);
        unref(u->rest);
        kc_free(u);
}

int kc_rest_upgrade(struct kc_rest *r, const char *method, const char *path, char *const *headers,
    const struct kc_rest_upgrade_cbs *cbs, void *arg, int timeout_ms, struct kc_http_call **ret_call,
    struct kc_error *err)
{
        struct upgrade *u = KC_NEW(struct upgrade);
        *u = (struct upgrade){.rest = r, .cbs = *cbs, .arg = arg};
        atomic_fetch_add(&r->refs, 1);
        KC_CLEANUP(kc_freep) char *url = kc_asprintf("%s%s", r->url, path);
        KC_CLEANUP(kc_strv_freep) char **all = make_headers(r, NULL, "*/*", !kc_loop_in_thread(r->loop));
        for (char *const *h = headers; h && *h; h++)
                kc_strv_push(&all, *h);
        struct kc_http_call_opts opts = {.method = method,
            .url = url,
            .headers = all,
            .timeout_ms = timeout_ms,
            .upgrade = true,
            .on_headers = on_upgrade_headers,
            .on_done = on_upgrade_done,
            .arg = u};
        int e = start(r, &opts, ret_call, err);
        if (e < 0) {
                unref(u->rest);
                kc_free(u);
        }
        return e;
}
