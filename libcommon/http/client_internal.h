/* The client's inside: client.c drives libcurl from the loop, client_call.c is one exchange. */
#pragma once

#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/list.h"
#include "http/client.h"

enum { HTTP_CLIENT_MAX_RESPONSE = 64 * 1024 * 1024, HTTP_CLIENT_MAX_REDIRECTS = 10 };

struct kc_http_client {
        atomic_int refs; /* the owner, calls, posted tasks */
        struct kc_loop *loop;
        struct kc_http_client_opts opts; /* own copies, defaults filled in */
        char *no_proxy;

        pthread_mutex_t lock;   /* innermost */
        struct kc_list pending; /* started, not yet seen by the loop; guarded by lock */
        bool post_scheduled;    /* guarded by lock */
        bool closed;            /* guarded by lock */

        /* On the loop. */
        CURLM *multi;
        struct kc_timer *timer;
        struct kc_list ios;   /* sockets that curl watches */
        struct kc_list calls; /* under way */
        int depth;            /* inside curl, or inside a callback of the application */
};

struct kc_http_call {
        atomic_int refs; /* the client until on_done, posted cancellations */
        struct kc_list node;
        struct kc_http_client *client;
        struct kc_http_call_opts opts; /* method, url, headers, body are own copies */
        atomic_bool cancelled;

        /* On the loop. */
        CURL *easy;
        struct curl_slist *request_headers, *connect_to;
        char *url; /* after tls_server_name was put in */
        char detail[CURL_ERROR_SIZE];
        struct kc_buf body;
        char **headers; /* alternating */
        int code;       /* of the response whose headers are complete */
        bool done;
        struct kc_error failure; /* why it ends soon; errnum 0: it does not */
        struct kc_timer *timer;
        kc_mono started, last_byte;
};

void http_client_unref(struct kc_http_client *c);
void http_call_unref(struct kc_http_call *call);
/* Makes and configures call->easy. */
int http_call_prepare(struct kc_http_call *call, struct kc_error *err);
/* Takes the call out of libcurl and tells the application; err NULL: ended as result says. */
void http_call_finish(struct kc_http_call *call, CURLcode result, const struct kc_error *err);
