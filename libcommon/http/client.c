/* The HTTP client's life, and how calls get to its loop: they are started and cancelled from any thread by posting;
 * everything else is on the loop. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "http/client_internal.h"

enum { DEFAULT_CONNECT_TIMEOUT_MS = 10000 };

static const struct http_client_times default_times = {
    .idle = 90 * KC_SEC, .read_idle = 30 * KC_SEC, .ping = 15 * KC_SEC};

static pthread_once_t once = PTHREAD_ONCE_INIT;

/* OpenSSL writes with write(2): see the server. */
static void ignore_sigpipe(void)
{
        struct sigaction sa;
        if (sigaction(SIGPIPE, NULL, &sa) == 0 && !(sa.sa_flags & SA_SIGINFO) && sa.sa_handler == SIG_DFL)
                signal(SIGPIPE, SIG_IGN);
}

/* --- Life */

static void copy_opts(struct kc_http_client *c, const struct kc_http_client_opts *o)
{
        c->opts = *o;
        const char **strings[] = {&c->opts.ca_file, &c->opts.cert_file, &c->opts.key_file, &c->opts.ca_pem,
            &c->opts.cert_pem, &c->opts.key_pem, &c->opts.tls_server_name, &c->opts.proxy_url, &c->opts.unix_path,
            &c->opts.user_agent};
        for (size_t i = 0; i < KC_ARRAY_LEN(strings); i++)
                *strings[i] = kc_strdup(*strings[i]);
        if (c->opts.connect_timeout_ms <= 0)
                c->opts.connect_timeout_ms = DEFAULT_CONNECT_TIMEOUT_MS;
        if (!c->opts.max_response)
                c->opts.max_response = HTTP_CLIENT_MAX_RESPONSE;
}

void http_client_unref(struct kc_http_client *c)
{
        if (atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1)
                return;
        const char *strings[] = {c->opts.ca_file, c->opts.cert_file, c->opts.key_file, c->opts.ca_pem, c->opts.cert_pem,
            c->opts.tls_server_name, c->opts.proxy_url, c->opts.unix_path, c->opts.user_agent};
        for (size_t i = 0; i < KC_ARRAY_LEN(strings); i++)
                kc_free((char *)strings[i]);
        if (c->opts.key_pem)
                kc_free_secret((char *)c->opts.key_pem, strlen(c->opts.key_pem));
        kc_tls_client_free(c->tls);
        kc_tls_client_free(c->tls_proxy);
        http_proxies_done(&c->proxies);
        pthread_mutex_destroy(&c->lock);
        kc_free(c);
}

void http_client_set_times(struct kc_http_client *c, const struct http_client_times *t)
{
        c->times = *t;
}

int kc_http_client_new(
    struct kc_loop *loop, const struct kc_http_client_opts *o, struct kc_http_client **ret, struct kc_error *err)
{
        pthread_once(&once, ignore_sigpipe);
        if (!o->cert_pem != !o->key_pem || !o->cert_file != !o->key_file)
                return kc_error_set(err, EINVAL, "a client certificate needs a private key, and a key a certificate");
        struct http_proxies proxies;
        int r = http_proxies_init(&proxies, o, err);
        if (r < 0)
                return r;
        struct kc_http_client *c = KC_NEW(struct kc_http_client);
        atomic_init(&c->refs, 1);
        c->loop = loop;
        c->times = default_times;
        c->proxies = proxies;
        copy_opts(c, o);
        pthread_mutex_init(&c->lock, NULL);
        kc_list_init(&c->pending);
        kc_list_init(&c->calls);
        kc_list_init(&c->origins);
        *ret = c;
        return 0;
}

int http_client_tls(struct kc_http_client *c, bool proxy, struct kc_tls_client **ret, struct kc_error *err)
{
        struct kc_tls_client **tls = proxy ? &c->tls_proxy : &c->tls;
        const struct kc_tls_client_opts o = {.ca_file = c->opts.ca_file,
            .cert_file = c->opts.cert_file,
            .key_file = c->opts.key_file,
            .ca_pem = c->opts.ca_pem,
            .cert_pem = c->opts.cert_pem,
            .key_pem = c->opts.key_pem,
            .server_name = proxy ? NULL : c->opts.tls_server_name,
            .insecure_skip_verify = c->opts.insecure_skip_verify};
        int r = *tls ? 0 : kc_tls_client_new(&o, tls, err);
        *ret = *tls;
        return r;
}

static void cancel_all(struct kc_http_client *c)
{
        struct kc_error err = KC_ERROR_INIT;
        kc_error_set(&err, ECANCELED, "HTTP client is closed");
        struct kc_http_call *call;
        while ((call = KC_LIST_FIRST(&c->calls, struct kc_http_call, node)))
                http_call_finish(call, &err);
        for (;;) {
                pthread_mutex_lock(&c->lock);
                call = KC_LIST_FIRST(&c->pending, struct kc_http_call, node);
                if (call)
                        kc_list_remove(&call->node);
                pthread_mutex_unlock(&c->lock);
                if (!call)
                        break;
                http_call_finish(call, &err);
        }
        kc_error_done(&err);
}

static void tear_down(void *arg)
{
        struct kc_http_client *c = arg;
        cancel_all(c);
        http_pool_free_all(c);
        http_client_unref(c);
}

void kc_http_client_free(struct kc_http_client *c)
{
        if (!c)
                return;
        pthread_mutex_lock(&c->lock);
        c->closed = true;
        pthread_mutex_unlock(&c->lock);
        if (c->depth)
                kc_loop_defer(c->loop, tear_down, c);
        else
                tear_down(c);
}

/* --- Starting and cancelling */

static void begin_pending(void *arg)
{
        struct kc_http_client *c = arg;
        c->depth++; /* on_done may free the client */
        for (;;) {
                pthread_mutex_lock(&c->lock);
                c->post_scheduled = false;
                struct kc_http_call *call = c->closed ? NULL : KC_LIST_FIRST(&c->pending, struct kc_http_call, node);
                if (call)
                        kc_list_remove(&call->node);
                pthread_mutex_unlock(&c->lock);
                if (!call)
                        break;
                http_call_begin(call);
        }
        c->depth--;
        http_client_unref(c);
}

static struct kc_http_call *new_call(struct kc_http_client *c, const struct kc_http_call_opts *o)
{
        struct kc_http_call *call = KC_NEW(struct kc_http_call);
        atomic_init(&call->refs, 1);
        kc_list_init(&call->node);
        kc_list_init(&call->queue_node);
        kc_list_init(&call->h2.node);
        atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
        call->client = c;
        call->opts = *o;
        call->opts.method = kc_strdup(o->method ? o->method : "GET");
        call->opts.url = kc_strdup(o->url);
        call->opts.headers = o->headers ? kc_strv_copy(o->headers) : NULL;
        kc_bytes_ref(call->opts.body);
        return call;
}

int kc_http_client_start(
    struct kc_http_client *c, const struct kc_http_call_opts *o, struct kc_http_call **ret_call, struct kc_error *err)
{
        int r = http_request_check(o, err);
        if (r < 0)
                return r;
        struct kc_http_call *call = new_call(c, o);
        pthread_mutex_lock(&c->lock);
        bool closed = c->closed, post = !closed && !c->post_scheduled;
        if (!closed) {
                kc_list_push_back(&c->pending, &call->node);
                c->post_scheduled = true;
                if (ret_call)
                        *ret_call = call;
        }
        if (post)
                atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
        pthread_mutex_unlock(&c->lock);
        if (closed) {
                http_call_unref(call);
                return kc_error_set(err, ECANCELED, "HTTP client is closed");
        }
        if (post)
                kc_loop_post(c->loop, begin_pending, c);
        return 0;
}

static void cancel_on_loop(void *arg)
{
        struct kc_http_call *call = arg;
        struct kc_http_client *c = call->client;
        if (!call->done && call->begun) {
                struct kc_error err = KC_ERROR_INIT;
                kc_error_set(&err, ECANCELED, "request was canceled");
                c->depth++;
                http_call_finish(call, &err);
                c->depth--;
                kc_error_done(&err);
        }
        http_call_unref(call);
}

void kc_http_call_cancel(struct kc_http_call *call)
{
        if (atomic_exchange(&call->cancelled, true))
                return;
        atomic_fetch_add_explicit(&call->refs, 1, memory_order_relaxed);
        kc_loop_post(call->client->loop, cancel_on_loop, call);
}

/* --- Blocking */

struct waiting {
        pthread_mutex_t lock;
        pthread_cond_t done_cond;
        bool done; /* guarded by lock */
        struct kc_http_response response;
        struct kc_error err;
        const struct kc_http_call_opts *opts;
};

static void on_waited_headers(struct kc_http_call *call, int code, void *arg)
{
        const struct waiting *w = arg;
        w->opts->on_headers(call, code, w->opts->arg);
}

static int on_waited_data(struct kc_http_call *call, const char *data, size_t len, void *arg)
{
        const struct waiting *w = arg;
        return w->opts->on_data(call, data, len, w->opts->arg);
}

static void on_waited(struct kc_http_call *call, int code, struct kc_bytes *body, const struct kc_error *err, void *arg)
{
        struct waiting *w = arg;
        pthread_mutex_lock(&w->lock);
        if (err) {
                kc_error_copy(&w->err, err);
        } else {
                w->response.code = code;
                w->response.body = kc_bytes_ref(body);
                w->response.headers = KC_TAKE(call->headers);
        }
        w->done = true;
        pthread_cond_signal(&w->done_cond);
        pthread_mutex_unlock(&w->lock);
}

int kc_http_client_do(
    struct kc_http_client *c, const struct kc_http_call_opts *o, struct kc_http_response *ret, struct kc_error *err)
{
        if (kc_loop_in_thread(c->loop))
                return kc_error_set(err, EDEADLK, "a blocking request on the thread of the client's loop");
        struct waiting w = {
            .lock = PTHREAD_MUTEX_INITIALIZER, .done_cond = PTHREAD_COND_INITIALIZER, .err = KC_ERROR_INIT, .opts = o};
        struct kc_http_call_opts opts = *o;
        opts.on_headers = o->on_headers ? on_waited_headers : NULL;
        opts.on_data = o->on_data ? on_waited_data : NULL;
        opts.on_done = on_waited;
        opts.arg = &w;
        int r = kc_http_client_start(c, &opts, NULL, err);
        if (r < 0)
                return r;
        pthread_mutex_lock(&w.lock);
        while (!w.done)
                pthread_cond_wait(&w.done_cond, &w.lock);
        pthread_mutex_unlock(&w.lock);
        pthread_cond_destroy(&w.done_cond);
        pthread_mutex_destroy(&w.lock);
        if (w.err.errnum) {
                r = -w.err.errnum;
                if (err)
                        kc_error_move(err, &w.err);
                else
                        kc_error_done(&w.err);
                return r;
        }
        *ret = w.response;
        return 0;
}

void kc_http_response_done(struct kc_http_response *r)
{
        kc_bytes_unref(r->body);
        kc_strv_free(r->headers);
        *r = (struct kc_http_response){0};
}
