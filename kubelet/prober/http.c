/* HTTP GET for probes and hooks: one connection of its own each time, certificates not checked, redirects only to the
 * same host, Go's words for what went wrong. Blocks: worker threads. */
#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "kubelet/prober/prober_internal.h"

enum { REDIRECTS_MAX = 10 };

struct exchange {
        CURL *curl;
        struct curl_slist *headers;
        char *url, *first_host, *host_port;
        char why[CURL_ERROR_SIZE];
        struct kc_probe_http_answer *answer;
};

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
        struct kc_buf *b = arg;
        size_t room = KC_PROBE_OUTPUT_MAX - b->len, len = size * n;
        kc_buf_add(b, data, KC_MIN(room, len));
        /* More than is wanted: ends the transfer. */
        return len > room ? 0 : len;
}

static void exchange_done(struct exchange *x)
{
        curl_easy_cleanup(x->curl);
        curl_slist_free_all(x->headers);
        kc_free(x->url);
        kc_free(x->first_host);
        kc_free(x->host_port);
}

void kc_probe_http_answer_done(struct kc_probe_http_answer *a)
{
        kc_buf_done(&a->body);
}

/* --- The request */

static char *host_of(const char *url)
{
        CURLU *u = curl_url();
        char *part = NULL, *host = NULL;
        if (u && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
            curl_url_get(u, CURLUPART_HOST, &part, 0) == CURLUE_OK)
                host = kc_strdup(part);
        curl_free(part);
        curl_url_cleanup(u);
        return host;
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

static void add_header(struct exchange *x, char *take_line)
{
        x->headers = curl_slist_append(x->headers, take_line);
        kc_free(take_line);
}

static int add_headers(struct exchange *x, const struct kc_probe_http_request *r, struct kc_error *err)
{
        const struct json_object *list = kc_json_get(r->action, "httpHeaders");
        bool has_agent = false;
        for (size_t i = 0; i < kc_json_len(list); i++) {
                const struct json_object *h = kc_json_idx(list, i);
                const char *name = kc_json_str(h, "name") ?: "", *value = kc_json_str(h, "value") ?: "";
                if (!is_header_name(name) || !is_header_value(value))
                        return kc_error_set(err, EINVAL, "net/http: invalid header field \"%s\"", name);
                has_agent |= kc_strcaseeq(name, "User-Agent");
                bool drop = kc_strcaseeq(name, "User-Agent") || kc_strcaseeq(name, "Accept");
                if (*value)
                        add_header(x, kc_asprintf("%s: %s", name, value));
                else
                        add_header(x, kc_asprintf(drop ? "%s:" : "%s;", name)); /* none, or an empty one */
        }
        if (!has_agent)
                add_header(x, kc_asprintf("User-Agent: %s", r->user_agent));
        add_header(x, kc_strdup("Connection: close"));
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
        x->host_port = kc_probe_host_port(host, port);
        x->url = kc_asprintf("%s://%s%s", scheme, x->host_port, path);
        x->first_host = host_of(x->url);
        x->curl = curl_easy_init();
        if (!x->curl)
                return kc_error_set(err, ENOMEM, "cannot make an HTTP client");
        int res = add_headers(x, r, err);
        if (res < 0)
                return res;
        CURL *c = x->curl;
        curl_easy_setopt(c, CURLOPT_HTTPHEADER, x->headers);
        curl_easy_setopt(c, CURLOPT_ERRORBUFFER, x->why);
        curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(c, CURLOPT_PROXY, "");
        curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
        curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 0L);
        curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 0L);
        curl_easy_setopt(c, CURLOPT_FORBID_REUSE, 1L);
        curl_easy_setopt(c, CURLOPT_PATH_AS_IS, 1L);
        curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
        curl_easy_setopt(c, CURLOPT_HTTP09_ALLOWED, 0L);
        curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
        curl_easy_setopt(c, CURLOPT_WRITEDATA, &x->answer->body);
        return 0;
}

/* --- What came of it */

static const char *go_errno(long e)
{
        switch (e) {
        case ECONNREFUSED:
                return "connection refused";
        case EHOSTUNREACH:
                return "no route to host";
        case ENETUNREACH:
                return "network is unreachable";
        case ECONNRESET:
                return "connection reset by peer";
        default:
                return strerror((int)e);
        }
}

/* What an attempt that ended with code is called in Go. Heap. */
static char *describe(struct exchange *x, CURLcode code)
{
        long os_errno = 0;
        curl_off_t connected = 0;
        curl_easy_getinfo(x->curl, CURLINFO_OS_ERRNO, &os_errno);
        curl_easy_getinfo(x->curl, CURLINFO_CONNECT_TIME_T, &connected);
        switch (code) {
        case CURLE_COULDNT_RESOLVE_HOST:
                return kc_asprintf("dial tcp: lookup %s: no such host", x->first_host ?: "");
        case CURLE_COULDNT_CONNECT:
                return kc_asprintf(
                    "dial tcp %s: connect: %s", x->host_port, os_errno ? go_errno(os_errno) : "connection refused");
        case CURLE_OPERATION_TIMEDOUT:
                if (connected == 0)
                        return kc_asprintf(
                            "dial tcp %s: i/o timeout (Client.Timeout exceeded while awaiting headers)", x->host_port);
                return kc_strdup("context deadline exceeded (Client.Timeout exceeded while awaiting headers)");
        case CURLE_GOT_NOTHING:
                return kc_strdup("EOF");
        case CURLE_SSL_CONNECT_ERROR:
                return kc_strdup(x->answer->not_tls ? "http: server gave HTTP response to HTTPS client" : x->why);
        case CURLE_RECV_ERROR:
                return kc_asprintf(
                    "read tcp %s: read: %s", x->host_port, os_errno ? go_errno(os_errno) : "connection reset by peer");
        case CURLE_PARTIAL_FILE:
                return kc_strdup("unexpected EOF");
        case CURLE_UNSUPPORTED_PROTOCOL:
        case CURLE_WEIRD_SERVER_REPLY:
                return kc_strdup("net/http: HTTP/1.x transport connection broken: malformed HTTP response");
        default:
                return kc_strdup(curl_easy_strerror(code));
        }
}

static int attempt(struct exchange *x, const char *shown_url, struct kc_error *err)
{
        kc_buf_reset(&x->answer->body);
        curl_easy_setopt(x->curl, CURLOPT_URL, x->url);
        CURLcode code = curl_easy_perform(x->curl);
        long status = 0;
        curl_easy_getinfo(x->curl, CURLINFO_RESPONSE_CODE, &status);
        bool cut = code == CURLE_WRITE_ERROR && x->answer->body.len == KC_PROBE_OUTPUT_MAX;
        if (code == CURLE_OK || cut) {
                x->answer->code = (int)status;
                return 0;
        }
        x->answer->not_tls = code == CURLE_SSL_CONNECT_ERROR && strstr(x->why, "wrong version number");
        KC_CLEANUP(kc_freep) char *why = describe(x, code);
        return kc_error_set(err, code == CURLE_OPERATION_TIMEDOUT ? ETIMEDOUT : EIO, "Get \"%s\": %s", shown_url, why);
}

/* The next URL when the answer is a redirect to follow; NULL: it is the answer. Heap. */
static char *redirect_of(struct exchange *x)
{
        char *next = NULL;
        int code = x->answer->code;
        if (code != 301 && code != 302 && code != 303 && code != 307 && code != 308)
                return NULL;
        curl_easy_getinfo(x->curl, CURLINFO_REDIRECT_URL, &next);
        if (!next)
                return NULL;
        KC_CLEANUP(kc_freep) char *host = host_of(next);
        if (!kc_streq(host, x->first_host)) {
                x->answer->redirect_refused = true;
                return NULL;
        }
        return kc_strdup(next);
}

static int run(struct exchange *x, const struct kc_probe_http_request *r, struct kc_error *err)
{
        int e = prepare(x, r, err);
        if (e < 0)
                return e;
        struct kc_error why = KC_ERROR_INIT;
        kc_mono deadline = kc_clock_mono(NULL) + (int64_t)r->timeout_ms * KC_MSEC;
        for (int hops = 0;; hops++) {
                if (r->timeout_ms > 0) {
                        int64_t left = (deadline - kc_clock_mono(NULL)) / KC_MSEC;
                        curl_easy_setopt(x->curl, CURLOPT_TIMEOUT_MS, (long)KC_MAX(left, (int64_t)1));
                }
                e = attempt(x, x->url, &why);
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
        struct exchange x = {.answer = ret};
        int e = run(&x, r, err);
        exchange_done(&x);
        return e;
}
