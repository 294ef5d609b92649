/* The HTTP client's engine: libcurl's multi interface on the loop's descriptors and timers. Calls are started and
 * cancelled from any thread by posting; everything else is on the loop. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "http/client_internal.h"

enum {
        DEFAULT_CONNECT_TIMEOUT_MS = 10000,
        MAX_IDLE_CONNECTIONS = 64,
};

struct watched {
        struct kc_list node;
        struct kc_io *io;
        struct kc_http_client *client;
};

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;
static CURLcode curl_result;

static void init_curl(void)
{
        curl_result = curl_global_init(CURL_GLOBAL_DEFAULT);
        /* OpenSSL writes with write(2): see the server. */
        struct sigaction sa;
        if (sigaction(SIGPIPE, NULL, &sa) == 0 && !(sa.sa_flags & SA_SIGINFO) && sa.sa_handler == SIG_DFL)
                signal(SIGPIPE, SIG_IGN);
}

/* --- libcurl on the loop */

static void collect_done(struct kc_http_client *c)
{
        CURLMsg *msg;
        int left;
        while (c->multi && (msg = curl_multi_info_read(c->multi, &left))) {
                if (msg->msg != CURLMSG_DONE)
                        continue;
                char *call;
                CURLcode result = msg->data.result;
                curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &call);
                http_call_finish((struct kc_http_call *)call, result, NULL);
        }
}

static void act(struct kc_http_client *c, curl_socket_t fd, int mask)
{
        int running;
        c->depth++;
        curl_multi_socket_action(c->multi, fd, mask, &running);
        collect_done(c);
        c->depth--;
}

static void on_io(int fd, int events, void *arg)
{
        struct watched *w = arg;
        act(w->client, fd, (events & KC_IO_READ ? CURL_CSELECT_IN : 0) | (events & KC_IO_WRITE ? CURL_CSELECT_OUT : 0));
}

static void on_timer(void *arg)
{
        act(arg, CURL_SOCKET_TIMEOUT, 0);
}

static int set_timer(CURLM *multi, long timeout_ms, void *arg)
{
        struct kc_http_client *c = arg;
        (void)multi;
        if (timeout_ms < 0)
                kc_timer_disarm(c->timer);
        else
                kc_timer_arm(c->timer, timeout_ms * KC_MSEC);
        return 0;
}

static void unwatch(struct watched *w)
{
        kc_io_free(w->io);
        kc_list_remove(&w->node);
        kc_free(w);
}

static int set_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
        struct kc_http_client *c = arg;
        struct watched *w = socket_arg;
        (void)easy;
        if (what == CURL_POLL_REMOVE) {
                if (w)
                        unwatch(w);
                curl_multi_assign(c->multi, fd, NULL);
                return 0;
        }
        int events = (what & CURL_POLL_IN ? KC_IO_READ : 0) | (what & CURL_POLL_OUT ? KC_IO_WRITE : 0);
        if (w) {
                kc_io_set(w->io, events);
                return 0;
        }
        w = KC_NEW(struct watched);
        w->client = c;
        w->io = kc_io_new(c->loop, fd, events, on_io, w);
        kc_list_push_back(&c->ios, &w->node);
        curl_multi_assign(c->multi, fd, w);
        return 0;
}

static int set_up_multi(void *arg)
{
        struct kc_http_client *c = arg;
        c->multi = curl_multi_init();
        if (!c->multi)
                return -ENOMEM;
        c->timer = kc_timer_new(c->loop, on_timer, c);
        curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, set_socket);
        curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
        curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, set_timer);
        curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
        curl_multi_setopt(c->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
        curl_multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, (long)MAX_IDLE_CONNECTIONS);
        return 0;
}

/* --- Life */

/* Go never sends requests for this host through a proxy; curl has to be told, besides what the environment says. */
static char *no_proxy_list(void)
{
        const char *env = getenv("no_proxy");
        if (kc_str_empty(env))
                env = getenv("NO_PROXY");
        return kc_asprintf("%s%slocalhost,127.0.0.0/8,::1", env ? env : "", kc_str_empty(env) ? "" : ",");
}

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
        kc_free(c->no_proxy);
        pthread_mutex_destroy(&c->lock);
        kc_free(c);
}

struct set_up {
        struct kc_http_client *client;
        int result;
};

static void run_set_up(void *arg)
{
        struct set_up *s = arg;
        s->result = set_up_multi(s->client);
}

int kc_http_client_new(
    struct kc_loop *loop, const struct kc_http_client_opts *o, struct kc_http_client **ret, struct kc_error *err)
{
        pthread_once(&curl_once, init_curl);
        if (curl_result != CURLE_OK)
                return kc_error_set(err, EIO, "libcurl: %s", curl_easy_strerror(curl_result));
        if (!o->cert_pem != !o->key_pem || !o->cert_file != !o->key_file)
                return kc_error_set(err, EINVAL, "a client certificate needs a private key, and a key a certificate");
        struct kc_http_client *c = KC_NEW(struct kc_http_client);
        atomic_init(&c->refs, 1);
        c->loop = loop;
        copy_opts(c, o);
        c->no_proxy = no_proxy_list();
        pthread_mutex_init(&c->lock, NULL);
        kc_list_init(&c->pending);
        kc_list_init(&c->calls);
        kc_list_init(&c->ios);
        struct set_up s = {.client = c};
        kc_loop_call(loop, run_set_up, &s);
        if (s.result < 0) {
                http_client_unref(c);
                return kc_error_set(err, -s.result, "libcurl: out of memory");
        }
        *ret = c;
        return 0;
}

static void cancel_all(struct kc_http_client *c)
{
        struct kc_error err = KC_ERROR_INIT;
        kc_error_set(&err, ECANCELED, "HTTP client is closed");
        struct kc_http_call *call;
        while ((call = KC_LIST_FIRST(&c->calls, struct kc_http_call, node)))
                http_call_finish(call, CURLE_OK, &err);
        for (;;) {
                pthread_mutex_lock(&c->lock);
                call = KC_LIST_FIRST(&c->pending, struct kc_http_call, node);
                if (call)
                        kc_list_remove(&call->node);
                pthread_mutex_unlock(&c->lock);
                if (!call)
                        break;
                http_call_finish(call, CURLE_OK, &err);
        }
        kc_error_done(&err);
}

static void tear_down(void *arg)
{
        struct kc_http_client *c = arg;
        cancel_all(c);
        curl_multi_cleanup(c->multi);
        c->multi = NULL;
        KC_LIST_FOREACH(&c->ios, w, struct watched, node)
        unwatch(w);
        kc_timer_free(c->timer);
        c->timer = NULL;
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

static void begin(struct kc_http_client *c, struct kc_http_call *call)
{
        struct kc_error err = KC_ERROR_INIT;
        kc_list_push_back(&c->calls, &call->node);
        if (atomic_load(&call->cancelled))
                kc_error_set(&err, ECANCELED, "request was canceled");
        else if (http_call_prepare(call, &err) == 0 && curl_multi_add_handle(c->multi, call->easy) != CURLM_OK)
                kc_error_set(&err, ENOMEM, "libcurl refuses the request");
        if (err.errnum)
                http_call_finish(call, CURLE_OK, &err);
        kc_error_done(&err);
}

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
                begin(c, call);
        }
        c->depth--;
        http_client_unref(c);
}

static bool is_header_safe(const char *s)
{
        return !strpbrk(s, "\r\n");
}

static int check_call(const struct kc_http_call_opts *o, struct kc_error *err)
{
        size_t n = o->headers ? kc_strv_len(o->headers) : 0;
        if (n % 2 != 0)
                return kc_error_set(err, EINVAL, "header without a value: %s", o->headers[n - 1]);
        for (size_t i = 0; i < n; i++)
                if (!is_header_safe(o->headers[i]))
                        return kc_error_set(err, EINVAL, "invalid header field value for \"%s\"", o->headers[i & ~1UL]);
        return 0;
}

static struct kc_http_call *new_call(struct kc_http_client *c, const struct kc_http_call_opts *o)
{
        struct kc_http_call *call = KC_NEW(struct kc_http_call);
        atomic_init(&call->refs, 1);
        kc_list_init(&call->node);
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
        int r = check_call(o, err);
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
        if (!call->done && call->easy) {
                struct kc_error err = KC_ERROR_INIT;
                kc_error_set(&err, ECANCELED, "request was canceled");
                c->depth++;
                http_call_finish(call, CURLE_OK, &err);
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
