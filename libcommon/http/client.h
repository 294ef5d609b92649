/* HTTP client, driven by a loop. HTTP/2 where the server offers it by TLS (ALPN): calls and watches share a connection,
 * which is pinged when it is silent, so that a dead one fails its calls within 45 s. Else HTTP/1.1: a call has its
 * connection for itself, connections are kept for later calls for 90 s. A request that the server has certainly not
 * worked on, or a GET-like one that a kept connection lost without an answer, is sent again by itself. Messages of
 * errors are Go's: Get "https://h:1/": dial tcp 10.0.0.1:1: connect: connection refused. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/error.h"
#include "event/loop.h"
#include "http/stream.h"

struct kc_http_client;
struct kc_http_call;

struct kc_http_client_opts {
        const char *ca_file, *cert_file, *key_file;
        const char *ca_pem, *cert_pem,
            *key_pem;                /* contents; win over files. Files that change count for new connections (tls.h) */
        const char *tls_server_name; /* name to verify instead of the URL's host */
        bool insecure_skip_verify;
        const char *proxy_url; /* http, https, socks5; NULL: as HTTPS_PROXY, HTTP_PROXY and NO_PROXY say */
        bool no_proxy;         /* whatever those say */
        const char *unix_path; /* connect here whatever the URL's host is */
        const char *user_agent;
        bool no_http2;
        bool no_keep_alive;     /* a connection for each call */
        int connect_timeout_ms; /* lookup, connect, proxy and TLS; 0: 10000 */
        size_t max_response;    /* of buffered bodies; 0: 64 MiB */
};

/* The loop must outlive the client. */
int kc_http_client_new(
    struct kc_loop *loop, const struct kc_http_client_opts *o, struct kc_http_client **ret, struct kc_error *err);
/* Cancels what is under way: on_done comes with -ECANCELED, before this returns, or soon after when called from a
 * callback of the client's own. On the loop, or after it has stopped. */
void kc_http_client_free(struct kc_http_client *c);
KC_DEFINE_CLEANUP(struct kc_http_client *, kc_http_client_free)

/* New calls get new connections, made with the files as they are now; calls under way end where they are. On the loop.
 */
void kc_http_client_reconnect(struct kc_http_client *c);

struct kc_http_call_opts {
        const char *method; /* NULL: GET */
        const char *url;
        char *const *headers;  /* strv of alternating name, value */
        struct kc_bytes *body; /* referenced as long as needed; NULL: none */
        int timeout_ms;        /* for the whole exchange; 0: none (watches) */
        int idle_timeout_ms;   /* no byte received for so long: -ETIMEDOUT; 0: none */
        bool follow_redirects; /* at most 10, as Go's; default none */
        bool upgrade;          /* HTTP/1.1, adds "Connection: Upgrade"; see kc_http_call_take_stream */
        /* All on the loop's thread; the first three may be NULL. */
        void (*on_headers)(struct kc_http_call *call, int code, void *arg);
        /* With on_data the body is not buffered. A negative return ends the call with that error. */
        int (*on_data)(struct kc_http_call *call, const char *data, size_t len, void *arg);
        /* Last callback; the call is freed after it. body is borrowed and never NULL. err is NULL when the whole
         * response has come; else it says why not, and code is 0 unless the headers had come before. */
        void (*on_done)(
            struct kc_http_call *call, int code, struct kc_bytes *body, const struct kc_error *err, void *arg);
        void *arg;
};

/* Any thread. The options are copied. *ret_call (may be NULL) is valid until on_done has returned. */
int kc_http_client_start(
    struct kc_http_client *c, const struct kc_http_call_opts *o, struct kc_http_call **ret_call, struct kc_error *err);
/* Any thread, before on_done has returned: on_done comes with -ECANCELED. */
void kc_http_call_cancel(struct kc_http_call *call);
/* A response header, in and after on_headers; NULL: absent. On the loop. */
const char *kc_http_call_header(struct kc_http_call *call, const char *name);
/* The i-th of that name, of those that come several times. */
const char *kc_http_call_header_at(struct kc_http_call *call, const char *name, size_t i);
/* The raw connection, in on_headers of a call with upgrade whose code is 101: the caller's from here on, independent of
 * the call (whose on_done follows with 101 and no error) and of its timeouts. Callbacks come after on_done; on_close is
 * the last one, at the latest when the client is freed. Not taken: the connection is closed. Any other code is an
 * ordinary response, with its body. */
struct kc_http_stream *kc_http_call_take_stream(
    struct kc_http_call *call, const struct kc_http_stream_cbs *cbs, void *arg);

struct kc_http_response {
        int code;
        struct kc_bytes *body; /* may be empty, never NULL */
        char **headers;        /* strv of alternating lower-case name, value */
};
void kc_http_response_done(struct kc_http_response *r);
/* Blocks until the answer is in: any thread but the loop's (-EDEADLK). 0 whenever a whole HTTP response came, whatever
 * its code. The callbacks of o but on_done and arg are used. */
int kc_http_client_do(
    struct kc_http_client *c, const struct kc_http_call_opts *o, struct kc_http_response *ret, struct kc_error *err);

/* What a Location header means on a page of that URL (RFC 3986, 5.2). Heap; NULL: base is not an HTTP URL. */
char *kc_http_url_resolve(const char *base, const char *reference);
