/* HTTP GET for probes and hooks: one connection of its own each time, certificates not checked, redirects only to the
 * same host, Go's words for what went wrong. Blocks: worker threads. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "http/client.h"
#include "kubelet/prober/prober_internal.h"

enum { REDIRECTS_MAX = 10 };

struct exchange {
        struct kc_http_client *client;
        struct kc_loop *loop;
        char **headers;
        char *url, *first_host;
        char *location; /* of the answer, when it is a redirect */
        struct kc_probe_http_answer *answer;
        bool cut;
};

static void on_headers(struct kc_http_call *call, int code, void *arg)
{
        struct exchange *x = arg;
        x->answer->code = code;
        kc_str_set(&x->location, kc_http_call_header(call, "Location"));
}

static int on_body(struct kc_http_call *call, const char *data, size_t len, void *arg)
{
        (void)call;
        struct exchange *x = arg;
        struct kc_buf *b = &x->answer->body;
        size_t room = KC_PROBE_OUTPUT_MAX - b->len;
        kc_buf_add(b, data, KC_MIN(room, len));
        x->cut = len > room;
        return x->cut ? -EFBIG : 0; /* more than is wanted: ends the transfer */
}

static void free_client(void *arg)
{
        kc_http_client_free(arg);
}

static void exchange_done(struct exchange *x)
{
        if (x->client)
                kc_loop_post(x->loop, free_client, x->client);
        kc_strv_free(x->headers);
        kc_free(x->url);
        kc_free(x->first_host);
        kc_free(x->location);
}

void kc_probe_http_answer_done(struct kc_probe_http_answer *a)
{
        kc_buf_done(&a->body);
}

/* --- The request */

/* "example.org" of "http://example.org:80/x"; NULL: no URL with a host. Heap. */
static char *host_of(const char *url)
{
        const char *host = strstr(url, "://");
        if (!host)
                return NULL;
        host += strlen("://");
        const char *end = host + strcspn(host, "/?#");
        const char *at = memrchr(host, '@', (size_t)(end - host));
        if (at)
                host = at + 1;
        size_t len = *host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":/?#");
        return len && host + len <= end ? kc_strndup(host, len) : NULL;
}

/* Spaces and the like, as url.URL.String() does. */
static char *escape_path(const char *path)
{
        struct kc_buf b = KC_BUF_INIT;
        if (*path && *path != '/')
                kc_buf_addc(&b, '/');
        for (; *path; path++) {
                unsigned char c = (unsigned char)*path;
                if (c <= ' ' || c >= 0x7f || strchr("\"<>\\^`{|}", c))
                        kc_buf_addf(&b, "%%%02X", c);
                else
                        kc_buf_addc(&b, (char)c);
        }
        return kc_buf_take_str(&b);
}

static bool is_header_name(const char *s)
{
        if (!*s)
                return false;
        for (; *s; s++)
                if (*s <= ' ' || *s >= 0x7f || strchr("()<>@,;:\\\"/[]?={}", *s))
                        return false;
        return true;
}

static bool is_header_value(const char *s)
{
        for (; *s; s++)
                if (((unsigned char)*s < ' ' && *s != '\t') || *s == 0x7f)
                        return false;
        return true;
}

static int add_headers(struct exchange *x, const struct kc_probe_http_request *r, struct kc_error *err)
{
        const struct json_object *list = kc_json_get(r->action, "httpHeaders");
        bool has_agent = false, has_accept = false;
        for (size_t i = 0; i < kc_json_len(list); i++) {
                const struct json_object *h = kc_json_idx(list, i);
                const char *name = kc_json_str(h, "name") ?: "", *value = kc_json_str(h, "value") ?: "";
                if (!is_header_name(name) || !is_header_value(value))
                        return kc_error_set(err, EINVAL, "net/http: invalid header field \"%s\"", name);
                bool accept = kc_strcaseeq(name, "Accept");
                has_agent |= kc_strcaseeq(name, "User-Agent");
                has_accept |= accept;
                if (accept && !*value)
                        continue; /* none is wanted */
                kc_strv_push(&x->headers, name);
                kc_strv_push(&x->headers, value);
        }
        if (!has_agent) {
                kc_strv_push(&x->headers, "User-Agent");
                kc_strv_push(&x->headers, r->user_agent);
        }
        if (!has_accept) {
                kc_strv_push(&x->headers, "Accept");
                kc_strv_push(&x->headers, "*/*");
        }
        return 0;
}

static int prepare(struct exchange *x, const struct kc_probe_http_request *r, struct kc_error *err)
{
        const char *host = kc_json_str(r->action, "host");
        if (kc_str_empty(host))
                host = r->host;
        if (kc_str_empty(host))
                return kc_error_set(err, EINVAL, "failed to find networking container: the pod has no address");
        int port = kc_probe_port(r->container, kc_json_get(r->action, "port"), err);
        if (port < 0)
                return port;
        const char *scheme = kc_strcaseeq(kc_json_str(r->action, "scheme"), "https") && !r->plain ? "https" : "http";
        KC_CLEANUP(kc_freep) char *path = escape_path(kc_json_str(r->action, "path") ?: "");
        KC_CLEANUP(kc_freep) char *host_port = kc_probe_host_port(host, port);
        x->url = kc_asprintf("%s://%s%s", scheme, host_port, path);
        x->first_host = host_of(x->url);
        int res = add_headers(x, r, err);
        if (res < 0)
                return res;
        const struct kc_http_client_opts o = {.insecure_skip_verify = true,
            .no_proxy = true,
            .no_http2 = true,
            .no_keep_alive = true,
            .connect_timeout_ms = r->timeout_ms > 0 ? r->timeout_ms : INT32_MAX};
        return kc_http_client_new(x->loop, &o, &x->client, err);
}

/* --- What came of it */

static int attempt(struct exchange *x, int timeout_ms, struct kc_error *err)
{
        kc_buf_reset(&x->answer->body);
        x->answer->code = 0;
        x->cut = false;
        const struct kc_http_call_opts o = {.url = x->url,
            .headers = x->headers,
            .timeout_ms = timeout_ms,
            .on_headers = on_headers,
            .on_data = on_body,
            .arg = x};
        struct kc_http_response response = {0};
        int e = kc_http_client_do(x->client, &o, &response, err);
        if (e == 0)
                kc_http_response_done(&response);
        else if (x->cut)
                kc_error_done(err);
        x->answer->not_tls = e == -EPROTONOSUPPORT;
        return x->cut ? 0 : e;
}

/* What a Location means; NULL: the answer is no redirect to follow. Heap. */
static char *redirect_of(struct exchange *x)
{
        int code = x->answer->code;
        if ((code != 301 && code != 302 && code != 303 && code != 307 && code != 308) || !x->location)
                return NULL;
        KC_CLEANUP(kc_freep) char *next = kc_http_url_resolve(x->url, x->location);
        KC_CLEANUP(kc_freep) char *host = next ? host_of(next) : NULL;
        if (!next)
                return NULL;
        if (!kc_streq(host, x->first_host)) {
                x->answer->redirect_refused = true;
                return NULL;
        }
        return KC_TAKE(next);
}

static int run(struct exchange *x, const struct kc_probe_http_request *r, struct kc_error *err)
{
        int e = prepare(x, r, err);
        if (e < 0)
                return e;
        struct kc_error why = KC_ERROR_INIT;
        kc_mono deadline = kc_clock_mono(NULL) + (int64_t)r->timeout_ms * KC_MSEC;
        for (int hops = 0;; hops++) {
                int64_t left = (deadline - kc_clock_mono(NULL)) / KC_MSEC;
                e = attempt(x, r->timeout_ms > 0 ? (int)KC_MAX(left, (int64_t)1) : 0, &why);
                if (e < 0)
                        break;
                char *next = redirect_of(x);
                if (!next)
                        break;
                kc_free(x->url);
                x->url = next;
                if (hops == REDIRECTS_MAX - 1) {
                        e = kc_error_set(&why, ELOOP, "Get \"%s\": stopped after 10 redirects", next);
                        break;
                }
        }
        if (e < 0 && err)
                kc_error_move(err, &why);
        else
                kc_error_done(&why);
        return e;
}

int kc_probe_http_get(const struct kc_probe_http_request *r, struct kc_probe_http_answer *ret, struct kc_error *err)
{
        *ret = (struct kc_probe_http_answer){0};
        struct exchange x = {.answer = ret, .loop = r->loop};
        int e = run(&x, r, err);
        exchange_done(&x);
        return e;
}
