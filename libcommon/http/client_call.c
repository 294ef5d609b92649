/* One exchange of the HTTP client: how libcurl is told about it, what it tells us, and how it ends. On the loop. */
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "base/str.h"
#include "http/client_internal.h"

enum {
        KEEPALIVE_IDLE = 30, /* seconds; as client-go's pings of silent connections */
        KEEPALIVE_INTERVAL = 15,
        KEEPALIVE_COUNT = 2,
        UNACKED_MS = 30000,
        MAX_RESPONSE_HEADERS = 2000, /* names and values */
};

void http_call_unref(struct kc_http_call *call)
{
        if (atomic_fetch_sub_explicit(&call->refs, 1, memory_order_acq_rel) != 1)
                return;
        kc_free((char *)call->opts.method);
        kc_free((char *)call->opts.url);
        kc_strv_free((char **)call->opts.headers);
        kc_bytes_unref(call->opts.body);
        kc_free(call->url);
        kc_buf_done(&call->body);
        kc_strv_free(call->headers);
        kc_error_done(&call->failure);
        http_client_unref(call->client);
        kc_free(call);
}

/* --- What libcurl tells */

static int on_socket(void *arg, curl_socket_t fd, curlsocktype purpose)
{
        (void)arg;
        (void)purpose;
        /* With curl's keep-alive options: a dead server is noticed within a minute, without timers of ours. */
        int count = KEEPALIVE_COUNT, unacked = UNACKED_MS;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count)); /* fail on unix sockets */
        (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacked, sizeof(unacked));
        return CURL_SOCKOPT_OK;
}

static bool will_redirect(struct kc_http_call *call)
{
        char *to = NULL;
        if (!call->opts.follow_redirects)
                return false;
        long code = 0;
        curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &code);
        curl_easy_getinfo(call->easy, CURLINFO_REDIRECT_URL, &to);
        return code >= 300 && code < 400 && kc_http_call_header(call, "location");
}

static void headers_complete(struct kc_http_call *call)
{
        long code = 0;
        curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &code);
        if (code < 200 || will_redirect(call))
                return;
        call->code = (int)code;
        if (call->opts.on_headers)
                call->opts.on_headers(call, call->code, call->opts.arg);
}

static size_t on_header(char *data, size_t size, size_t n, void *arg)
{
        struct kc_http_call *call = arg;
        size_t len = size * n;
        call->last_byte = kc_clock_mono(NULL);
        if (call->failure.errnum || atomic_load(&call->cancelled))
                return size * n;
        while (len && (data[len - 1] == '\r' || data[len - 1] == '\n'))
                len--;
        if (len == 0) {
                headers_complete(call);
                return size * n;
        }
        if (len >= 5 && memcmp(data, "HTTP/", 5) == 0) { /* of the next response: after 100, or a redirect */
                kc_strv_free(call->headers);
                call->headers = NULL;
                return size * n;
        }
        const char *colon = memchr(data, ':', len);
        if (!colon || (call->headers && kc_strv_len(call->headers) >= MAX_RESPONSE_HEADERS))
                return size * n;
        char *name = kc_strndup(data, (size_t)(colon - data));
        for (char *p = name; *p; p++)
                *p = (char)tolower((unsigned char)*p);
        char *value = kc_strndup(colon + 1, len - (size_t)(colon + 1 - data));
        kc_strv_push_take(&call->headers, name);
        kc_strv_push_take(&call->headers, kc_str_trim(value));
        kc_free(value);
        return size * n;
}

static void end_now(void *arg)
{
        struct kc_http_call *call = arg;
        struct kc_http_client *c = call->client;
        struct kc_error err = KC_ERROR_INIT;
        kc_error_move(&err, &call->failure);
        c->depth++;
        http_call_finish(call, CURLE_OK, &err);
        c->depth--;
        kc_error_done(&err);
        http_call_unref(call);
}

/* Not from inside libcurl, which cannot take a transfer out there. */
static void end_soon(struct kc_http_call *call, int errnum, const char *text)
{
        kc_error_set(&call->failure, errnum, "%s", text);
        atomic_fetch_add_explicit(&call->refs, 1, memory_order_relaxed);
        kc_loop_defer(call->client->loop, end_now, call);
}

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
        struct kc_http_call *call = arg;
        size_t len = size * n;
        call->last_byte = kc_clock_mono(NULL);
        if (call->failure.errnum || atomic_load(&call->cancelled))
                return len; /* it ends soon */
        if (!call->code)    /* the body of a redirect */
                return len;
        if (call->opts.on_data) {
                int r = call->opts.on_data(call, data, len, call->opts.arg);
                if (r < 0)
                        end_soon(call, -r, "reader of the response failed");
                return len;
        }
        int r = kc_buf_add_limited(&call->body, data, len, call->client->opts.max_response);
        if (r < 0) {
                char text[64];
                snprintf(text, sizeof(text), "response is larger than %zu bytes", call->client->opts.max_response);
                end_soon(call, -r, text);
        }
        return len;
}

const char *kc_http_call_header(struct kc_http_call *call, const char *name)
{
        for (size_t i = 0; call->headers && call->headers[i] && call->headers[i + 1]; i += 2)
                if (kc_strcaseeq(call->headers[i], name))
                        return call->headers[i + 1];
        return NULL;
}

/* --- What libcurl is told */

static void add_header(struct kc_http_call *call, const char *name, const char *value)
{
        /* "Name;" is curl's way to say an empty value. */
        char *line = *value ? kc_asprintf("%s: %s", name, value) : kc_asprintf("%s;", name);
        call->request_headers = curl_slist_append(call->request_headers, line);
        kc_free(line);
}

static void set_headers(struct kc_http_call *call)
{
        bool typed = false;
        char *const *h = call->opts.headers;
        for (size_t i = 0; h && h[i]; i += 2) {
                add_header(call, h[i], h[i + 1]);
                typed = typed || kc_strcaseeq(h[i], "Content-Type");
        }
        /* curl's own additions, taken away: no waiting for 100, no form. */
        call->request_headers = curl_slist_append(call->request_headers, "Expect:");
        if (!typed)
                call->request_headers = curl_slist_append(call->request_headers, "Content-Type:");
        curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, call->request_headers);
}

static void set_method(struct kc_http_call *call)
{
        CURL *e = call->easy;
        const char *method = call->opts.method;
        bool sends =
            call->opts.body || kc_streq(method, "POST") || kc_streq(method, "PUT") || kc_streq(method, "PATCH");
        if (kc_streq(method, "HEAD")) {
                curl_easy_setopt(e, CURLOPT_NOBODY, 1L);
                return;
        }
        if (sends) {
                size_t len = call->opts.body ? kc_bytes_len(call->opts.body) : 0;
                curl_easy_setopt(e, CURLOPT_POST, 1L);
                curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)len);
                curl_easy_setopt(e, CURLOPT_POSTFIELDS, call->opts.body ? kc_bytes_data(call->opts.body) : "");
        }
        if (!kc_streq(method, sends ? "POST" : "GET"))
                curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, method);
}

/* The certificate is checked for the host of the URL, so the URL names that, and the connection goes elsewhere. */
static int use_server_name(struct kc_http_call *call)
{
        CURLU *u = curl_url();
        char *scheme = NULL, *host = NULL, *port = NULL, *url = NULL;
        bool https = false;
        int r = -EINVAL;
        if (curl_url_set(u, CURLUPART_URL, call->opts.url, 0) == CURLUE_OK &&
            curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
            curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
            curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK &&
            curl_url_set(u, CURLUPART_HOST, call->client->opts.tls_server_name, 0) == CURLUE_OK &&
            curl_url_get(u, CURLUPART_URL, &url, 0) == CURLUE_OK) {
                https = kc_streq(scheme, "https");
                r = 0;
        }
        if (https) {
                kc_str_set(&call->url, url);
                KC_CLEANUP(kc_freep) char *to = kc_asprintf("::%s:%s", host, port);
                KC_CLEANUP(kc_freep) char *authority = kc_asprintf("%s:%s", host, port);
                call->connect_to = curl_slist_append(NULL, to);
                curl_easy_setopt(call->easy, CURLOPT_CONNECT_TO, call->connect_to);
                add_header(call, "Host", kc_streq(port, "443") ? host : authority);
        }
        curl_free(scheme);
        curl_free(host);
        curl_free(port);
        curl_free(url);
        curl_url_cleanup(u);
        return r;
}

static void set_blob(CURL *e, CURLoption option, const char *pem)
{
        struct curl_blob blob = {.data = (void *)pem, .len = strlen(pem), .flags = CURL_BLOB_NOCOPY};
        curl_easy_setopt(e, option, &blob);
}

static void set_tls(CURL *e, const struct kc_http_client_opts *o)
{
        curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
        if (o->insecure_skip_verify) {
                curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 0L);
                curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 0L);
        }
        /* Whoever names authorities trusts those, and not the system's as well. */
        if (o->ca_pem || o->ca_file)
                curl_easy_setopt(e, CURLOPT_CAPATH, NULL);
        if (o->ca_pem)
                set_blob(e, CURLOPT_CAINFO_BLOB, o->ca_pem);
        else if (o->ca_file)
                curl_easy_setopt(e, CURLOPT_CAINFO, o->ca_file);
        curl_easy_setopt(e, CURLOPT_CA_CACHE_TIMEOUT, 0L); /* files are read for each new connection */
        if (o->cert_pem)
                set_blob(e, CURLOPT_SSLCERT_BLOB, o->cert_pem);
        else if (o->cert_file)
                curl_easy_setopt(e, CURLOPT_SSLCERT, o->cert_file);
        if (o->key_pem)
                set_blob(e, CURLOPT_SSLKEY_BLOB, o->key_pem);
        else if (o->key_file)
                curl_easy_setopt(e, CURLOPT_SSLKEY, o->key_file);
}

static void set_connection(CURL *e, const struct kc_http_client *c)
{
        const struct kc_http_client_opts *o = &c->opts;
        curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
        curl_easy_setopt(e, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
        /* Not HTTP/2: the libcurl of Debian 12 (7.88.1) loses track of transfers that share a connection. With 20
         * watches and 50 requests beside them some never end: bytes that it could not send at once wait in its own
         * buffer, and bytes that it has received for one transfer while it reads for another, until something else
         * happens on the connection; a transfer that is taken out early stays open at the server (curl issue 17611). */
        curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
        curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)o->connect_timeout_ms);
        curl_easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
        curl_easy_setopt(e, CURLOPT_TCP_KEEPIDLE, (long)KEEPALIVE_IDLE);
        curl_easy_setopt(e, CURLOPT_TCP_KEEPINTVL, (long)KEEPALIVE_INTERVAL);
        curl_easy_setopt(e, CURLOPT_SOCKOPTFUNCTION, on_socket);
        curl_easy_setopt(e, CURLOPT_NOPROXY, c->no_proxy);
        if (o->unix_path) {
                curl_easy_setopt(e, CURLOPT_UNIX_SOCKET_PATH, o->unix_path);
                curl_easy_setopt(e, CURLOPT_PROXY, "");
        } else if (o->proxy_url) {
                curl_easy_setopt(e, CURLOPT_PROXY, o->proxy_url);
        }
        if (o->user_agent)
                curl_easy_setopt(e, CURLOPT_USERAGENT, o->user_agent);
}

/* When the call is late if nothing happens; 0: never. */
static kc_mono due_time(const struct kc_http_call *call)
{
        kc_mono end = call->opts.timeout_ms > 0 ? call->started + call->opts.timeout_ms * KC_MSEC : 0;
        kc_mono idle = call->opts.idle_timeout_ms > 0 ? call->last_byte + call->opts.idle_timeout_ms * KC_MSEC : 0;
        return !end || (idle && idle < end) ? idle : end;
}

static void on_timer(void *arg)
{
        struct kc_http_call *call = arg;
        struct kc_http_client *c = call->client;
        kc_mono now = kc_clock_mono(NULL), due = due_time(call);
        if (now < due) {
                kc_timer_arm(call->timer, due - now);
                return;
        }
        struct kc_error err = KC_ERROR_INIT;
        if (call->opts.timeout_ms > 0 && now - call->started >= call->opts.timeout_ms * KC_MSEC)
                kc_error_set(&err, ETIMEDOUT, "timed out after %d ms", call->opts.timeout_ms);
        else
                kc_error_set(&err, ETIMEDOUT, "nothing received for %d ms", call->opts.idle_timeout_ms);
        c->depth++;
        http_call_finish(call, CURLE_OK, &err);
        c->depth--;
        kc_error_done(&err);
}

int http_call_prepare(struct kc_http_call *call, struct kc_error *err)
{
        struct kc_http_client *c = call->client;
        CURL *e = call->easy = curl_easy_init();
        if (!e)
                return kc_error_set(err, ENOMEM, "libcurl: out of memory");
        call->url = kc_strdup(call->opts.url);
        if (c->opts.tls_server_name && use_server_name(call) < 0)
                return kc_error_set(err, EINVAL, "not a URL: %s", call->opts.url);
        curl_easy_setopt(e, CURLOPT_PRIVATE, call);
        curl_easy_setopt(e, CURLOPT_ERRORBUFFER, call->detail);
        curl_easy_setopt(e, CURLOPT_URL, call->url);
        curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
        curl_easy_setopt(e, CURLOPT_HEADERDATA, call);
        curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
        curl_easy_setopt(e, CURLOPT_WRITEDATA, call);
        if (call->opts.follow_redirects) {
                curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 1L);
                curl_easy_setopt(e, CURLOPT_MAXREDIRS, (long)HTTP_CLIENT_MAX_REDIRECTS);
        }
        set_connection(e, c);
        set_tls(e, &c->opts);
        set_method(call);
        set_headers(call);
        call->started = call->last_byte = kc_clock_mono(NULL);
        kc_mono due = due_time(call);
        if (due) {
                call->timer = kc_timer_new(c->loop, on_timer, call);
                kc_timer_arm(call->timer, due - call->started);
        }
        return 0;
}

/* --- The end */

static int errno_of(CURL *easy, CURLcode result)
{
        long os_errno = 0;
        switch (result) {
        case CURLE_URL_MALFORMAT:
        case CURLE_UNSUPPORTED_PROTOCOL:
                return EINVAL;
        case CURLE_COULDNT_RESOLVE_HOST:
        case CURLE_COULDNT_RESOLVE_PROXY:
                return EHOSTUNREACH;
        case CURLE_COULDNT_CONNECT:
                curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &os_errno);
                return os_errno > 0 ? (int)os_errno : ECONNREFUSED;
        case CURLE_OPERATION_TIMEDOUT:
                return ETIMEDOUT;
        case CURLE_OUT_OF_MEMORY:
                return ENOMEM;
        case CURLE_TOO_MANY_REDIRECTS:
                return ELOOP;
        case CURLE_PEER_FAILED_VERIFICATION:
        case CURLE_SSL_CERTPROBLEM:
        case CURLE_SSL_CACERT_BADFILE:
                return EACCES;
        case CURLE_SSL_CONNECT_ERROR:
        case CURLE_WEIRD_SERVER_REPLY:
                return EPROTO;
        default:
                return ECONNRESET;
        }
}

/* As Go's url.Error: Get "https://127.0.0.1:6443/api": ... */
static void describe(struct kc_http_call *call, struct kc_error *err)
{
        char verb[16];
        snprintf(verb, sizeof(verb), "%s", call->opts.method);
        for (char *p = verb; *p; p++)
                *p = (char)(p == verb ? toupper((unsigned char)*p) : tolower((unsigned char)*p));
        kc_error_wrap(err, "%s \"%s\"", verb, call->opts.url);
}

static void find_error(struct kc_http_call *call, CURLcode result, const struct kc_error *given, struct kc_error *err)
{
        if (given)
                kc_error_copy(err, given);
        else if (call->failure.errnum)
                kc_error_move(err, &call->failure);
        else if (result == CURLE_OK)
                return;
        else if (atomic_load(&call->cancelled))
                kc_error_set(err, ECANCELED, "request was canceled");
        else
                kc_error_set(err, errno_of(call->easy, result), "%s",
                    call->detail[0] ? call->detail : curl_easy_strerror(result));
        describe(call, err);
}

void http_call_finish(struct kc_http_call *call, CURLcode result, const struct kc_error *given)
{
        if (call->done)
                return;
        struct kc_error err = KC_ERROR_INIT;
        find_error(call, result, given, &err);
        call->done = true;
        kc_list_remove(&call->node);
        kc_timer_free(call->timer);
        call->timer = NULL;
        if (call->easy) {
                curl_multi_remove_handle(call->client->multi, call->easy);
                curl_easy_cleanup(call->easy);
        }
        call->easy = NULL;
        curl_slist_free_all(call->request_headers);
        curl_slist_free_all(call->connect_to);
        call->request_headers = call->connect_to = NULL;
        struct kc_bytes *body = kc_bytes_from_buf(&call->body);
        call->opts.on_done(call, call->code, body, err.errnum ? &err : NULL, call->opts.arg);
        kc_bytes_unref(body);
        kc_error_done(&err);
        http_call_unref(call);
}
