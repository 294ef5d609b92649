/* The client's inside.
 *
 *   kc_http_client -- origins (scheme, host, port) -- links (connections) -- calls
 *                                     \-- waiting calls
 *
 * client.c: life, starting and cancelling. client_call.c: one exchange, whatever carries it. client_pool.c: which link
 * a call gets. client_link.c: links, HTTP/1.1 on them; client_h2.c: HTTP/2. On the loop, but where something is said to
 * be guarded. Callbacks of the application come from anywhere in here: client->depth is not 0 then, and nothing that
 * is in use is freed. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/list.h"
#include "http/client.h"
#include "http/h1_response.h"
#include "http/stream_internal.h"
#include "http/url.h"
#include "net/conn.h"
#include "net/h2.h"

/* Limits and times that are not settable. */
enum {
        HTTP_CLIENT_MAX_RESPONSE = 64 * 1024 * 1024,
        HTTP_CLIENT_MAX_REDIRECTS = 10,
        HTTP_CLIENT_MAX_HEAD = 1024 * 1024,             /* status line and fields of a response */
        HTTP_CLIENT_MAX_IDLE = 64,                      /* kept HTTP/1.1 connections of a client */
        HTTP_CLIENT_MAX_REFUSED = 3,                    /* times that a refused request is sent again */
        HTTP_CLIENT_MAX_SKIPPED = 256 * 1024,           /* body of a redirect that is read, to keep the connection */
        HTTP_CLIENT_MAX_STREAM_QUEUE = 4 * 1024 * 1024, /* of an upgraded connection */
        HTTP_CLIENT_STREAM_WINDOW = 4 * 1024 * 1024,    /* as Go's */
        HTTP_CLIENT_CONN_WINDOW = 1024 * 1024 * 1024,
        HTTP_CLIENT_H2_OUT = 64 * 1024, /* framed bytes waiting for the socket; more stays in the calls */
};

/* As client-go sets them; tests change them. */
struct http_client_times {
        int64_t idle;      /* a connection without calls is closed */
        int64_t read_idle; /* HTTP/2: a ping after so long without a byte */
        int64_t ping;      /* and its answer has to come within */
};

/* Which proxies there are. */
struct http_proxies {
        bool fixed; /* one for everything */
        struct kc_proxy *http, *https;
        char *http_error, *https_error; /* why there is none although one was named */
        char **except;                  /* of NO_PROXY */
};

struct kc_http_client {
        atomic_int refs; /* the owner, calls, posted tasks */
        struct kc_loop *loop;
        struct kc_http_client_opts opts; /* own copies, defaults filled in */
        struct http_client_times times;
        struct http_proxies proxies;

        pthread_mutex_t lock;   /* innermost */
        struct kc_list pending; /* started, not yet seen by the loop; guarded by lock */
        bool post_scheduled;    /* guarded by lock */
        bool closed;            /* guarded by lock */

        struct kc_tls_client *tls;       /* made at first need */
        struct kc_tls_client *tls_proxy; /* the same without tls_server_name */
        struct kc_list calls;            /* under way */
        struct kc_list origins;
        size_t n_idle; /* HTTP/1.1 links without a call */
        int depth;     /* inside an entry from the loop */
};

/* What a connection is good for. */
struct http_origin {
        struct kc_list node;
        struct kc_http_client *client;
        bool https, h1_only;
        char *host, *port;
        struct kc_list links;   /* struct http_link.node */
        struct kc_list waiting; /* struct kc_http_call.queue_node */
        size_t n_waiting, n_connecting;
        bool speaks_h1; /* what the server chose last; HTTP/2 is hoped for until then */
        int busy;       /* not to be freed */
};

enum http_link_state { HTTP_LINK_CONNECTING, HTTP_LINK_H1, HTTP_LINK_H2, HTTP_LINK_RAW };

struct http_link {
        struct kc_list node;
        struct http_origin *origin;
        struct kc_http_client *client;
        struct kc_conn *conn;
        enum http_link_state state;
        struct kc_timer *timer; /* idle, silent */
        int busy;               /* inside an entry from the loop */
        bool to_close;
        bool draining;             /* takes no more calls */
        struct kc_tls_client *tls; /* borrowed; NULL: plain */
        unsigned tls_generation;   /* of its certificate */
        bool absolute;             /* requests name the whole URL: a proxy for plain HTTP */
        char *proxy_authorization;
        size_t n_calls; /* that it has had */
        kc_mono last_read, idle_since;

        /* HTTP/1.1 */
        struct kc_http_call *call;
        bool idle; /* counted in n_idle, the timer runs */
        struct http_h1_response response;
        uint64_t sent_before; /* bytes sent when the request was queued */

        struct kc_h2 *h2;
        bool pinged;

        struct kc_http_stream *stream; /* raw */
};

struct kc_http_call {
        atomic_int refs; /* the client until on_done, posted cancellations */
        struct kc_list node;
        struct kc_http_client *client;
        struct kc_http_call_opts opts; /* method, url, headers, body are own copies */
        atomic_bool cancelled;

        /* On the loop. */
        bool begun, done;
        struct kc_timer *timer;
        kc_mono started, last_byte;
        /* The request as it is sent now: redirects change it. */
        struct http_url url;
        const char *method; /* opts.method or "GET" */
        bool without_body, cross_origin;
        int n_redirects, n_refused, n_retries;
        /* Where it is: in a queue, or on a link. */
        struct http_origin *origin;
        struct kc_list queue_node;
        struct http_link *link;
        struct kc_h2_stream h2;
        size_t body_sent; /* HTTP/2 */
        /* The response. */
        struct kc_buf body;
        char **headers;      /* alternating */
        size_t header_bytes; /* HTTP/2 */
        int status;          /* HTTP/2: of the fields that are being read */
        int code;            /* of the response whose headers are complete */
        bool head_seen;      /* of this attempt */
        char *redirect;      /* where to, when the response is over */
        int redirect_code;
        size_t skipped;
};

/* client.c */
void http_client_unref(struct kc_http_client *c);
/* Tests: before the first call. */
void http_client_set_times(struct kc_http_client *c, const struct http_client_times *t);
/* The TLS settings, made at first need. */
int http_client_tls(struct kc_http_client *c, bool proxy, struct kc_tls_client **ret, struct kc_error *err);

/* client_proxy.c */
int http_proxies_init(struct http_proxies *p, const struct kc_http_client_opts *o, struct kc_error *err);
void http_proxies_done(struct http_proxies *p);
/* *ret NULL: none. Borrowed. */
int http_proxies_find(const struct http_proxies *p, bool https, const char *host, const char *port,
    const struct kc_proxy **ret, struct kc_error *err);

/* client_request.c */
/* The fields to send, alternating, Host first; names as given. */
char **http_request_fields(const struct kc_http_call *call);
/* The body to send; NULL: none. */
struct kc_bytes *http_request_body(const struct kc_http_call *call);
/* RFC 9110 9.2.2, as Go's transport sees it: may be sent twice. */
bool http_request_replayable(const struct kc_http_call *call);
/* 0, or -EINVAL: a name or value that would break the request. */
int http_request_check(const struct kc_http_call_opts *o, struct kc_error *err);

/* client_call.c */
void http_call_unref(struct kc_http_call *call);
void http_call_begin(struct kc_http_call *call);
/* What the link has received. The call may have left the link and be gone afterwards. */
void http_call_on_head(struct kc_http_call *call, int code);
void http_call_on_data(struct kc_http_call *call, const char *data, size_t len);
/* The whole response is in; the link has let go of the call. */
void http_call_on_end(struct kc_http_call *call);
/* The link has let go of the call without an answer. untouched: the server has certainly not worked on it; reused: the
 * link had had other calls. */
void http_call_on_lost(struct kc_http_call *call, const struct kc_error *err, bool untouched, bool reused);
/* Takes the call from where it is and tells the application; err NULL: it is done. */
void http_call_finish(struct kc_http_call *call, const struct kc_error *err);

/* client_pool.c */
/* Queues the call, first in line when it is sent again (fresh: not on a kept connection), and dispatches. */
void http_pool_add(struct kc_http_call *call, bool again);
void http_pool_remove(struct kc_http_call *call);
/* Gives waiting calls to links, and makes links for the rest. Frees the origin when nothing is left of it. */
void http_pool_dispatch(struct http_origin *o);
/* A connection could not be made: its share of the waiting calls fails. */
void http_pool_failed(struct http_origin *o, const struct kc_error *err);
void http_pool_free_all(struct kc_http_client *c);

/* client_link.c */
struct http_link *http_link_new(struct http_origin *o, struct kc_error *err);
/* Closes. Not while it is busy or has calls; a raw stream is told. */
void http_link_free(struct http_link *l);
/* An idle HTTP/1.1 connection that is still good, or an HTTP/2 one with room. */
bool http_link_ready(struct http_link *l);
void http_link_send(struct http_link *l, struct kc_http_call *call);
/* The call is over before its response is. */
void http_link_drop(struct kc_http_call *call);
void http_link_enter(struct http_link *l);
/* May free the link; dispatches. */
void http_link_leave(struct http_link *l);
/* All its calls are lost and it is to be closed. */
void http_link_lost(struct http_link *l, const struct kc_error *err);
struct kc_http_stream *http_link_upgrade(struct http_link *l, const struct kc_http_stream_cbs *cbs, void *arg);

/* client_h2.c */
int http_link_h2_start(struct http_link *l);
void http_link_h2_send(struct http_link *l, struct kc_http_call *call);
void http_link_h2_lost(struct http_link *l, const struct kc_error *err);
int http_link_h2_input(struct http_link *l, const char *data, size_t len, struct kc_error *err);
/* Silence and idleness. */
void http_link_h2_timer(struct http_link *l);
