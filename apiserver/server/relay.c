/* See relay.h. */
#include "server/relay.h"

#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "server/server_internal.h"

enum { QUEUED_MAX = 512 << 10 };

struct relay {
        struct api_req *q; /* with a reference to its exchange */
        struct backend backend;
        char *method, *target;
        char **request_headers;
        struct kc_bytes *request_body;
        size_t collect_max;
        bool stream_if_longer;
        const struct relay_cbs *cbs;
        void *arg;
        struct kc_exchange *x;
        int code, client_code;
        char **headers, **client_headers; /* the backend's; what the client gets of them */
        struct kc_buf collected;
        bool streaming, paused;
};

static void relay_free(struct relay *r)
{
        struct kc_http_req *http = r->q->http;
        kc_http_on_drain(http, NULL, NULL);
        r->q->on_closed = NULL;
        kc_exchange_free(r->x);
        if (r->cbs->free)
                r->cbs->free(r->arg);
        backend_done(&r->backend);
        kc_free(r->method);
        kc_free(r->target);
        kc_strv_free(r->request_headers);
        kc_bytes_unref(r->request_body);
        kc_strv_free(r->headers);
        kc_strv_free(r->client_headers);
        kc_buf_done(&r->collected);
        kc_free(r);
        kc_http_req_unref(http);
}

/* --- The client */

static void on_closed(void *arg)
{
        relay_free(arg);
}

static void on_client_drain(struct kc_http_req *http, void *arg)
{
        struct relay *r = arg;
        (void)http; /* r's */
        if (!r->paused)
                return;
        r->paused = false;
        kc_exchange_pause(r->x, false);
}

/* False: the client is gone, and so is r. */
static bool write_client(struct relay *r, const char *data, size_t len)
{
        if (len == 0)
                return true;
        KC_CLEANUP(kc_bytes_unrefp) struct kc_bytes *piece = kc_bytes_new(data, len);
        if (kc_http_write(r->q->http, piece) < 0) {
                kc_http_abort(r->q->http);
                relay_free(r);
                return false;
        }
        if (!r->paused && kc_http_queued(r->q->http) > QUEUED_MAX) {
                r->paused = true;
                kc_exchange_pause(r->x, true);
        }
        return true;
}

static void start_client(struct relay *r)
{
        r->streaming = true;
        atomic_store(&r->q->code, r->client_code);
        audit_response_started(r->q, r->client_code);
        kc_http_on_drain(r->q->http, on_client_drain, r);
        kc_http_start(r->q->http, r->client_code, r->client_headers);
}

/* --- The backend */

static void on_head(struct kc_exchange *x, int code, char *const *headers, void *arg)
{
        struct relay *r = arg;
        (void)x; /* r's */
        r->code = code;
        r->headers = kc_strv_copy(headers);
        api_req_unlimit_time(r->q);
        if (r->cbs->on_head(r->q, code, headers, &r->client_code, &r->client_headers, r->arg) == RELAY_STREAM)
                start_client(r);
}

static void on_body(struct kc_exchange *x, const char *data, size_t len, void *arg)
{
        struct relay *r = arg;
        (void)x; /* r's */
        if (!r->streaming && r->collected.len + len > r->collect_max && r->stream_if_longer) {
                start_client(r);
                if (!write_client(r, kc_buf_str(&r->collected), r->collected.len))
                        return;
                kc_buf_reset(&r->collected);
        }
        if (r->streaming)
                (void)write_client(r, data, len); /* it has ended everything if it could not */
        else
                kc_buf_add(&r->collected, data, KC_MIN(len, r->collect_max - r->collected.len));
}

static void on_done(struct kc_exchange *x, const struct kc_error *err, void *arg)
{
        struct relay *r = arg;
        (void)x; /* r's */
        r->q->on_closed = NULL;
        if (r->streaming && err)
                kc_http_abort(r->q->http);
        else if (r->streaming)
                kc_http_finish(r->q->http);
        else if (r->code && !err)
                r->cbs->on_collected(r->q, r->code, r->headers, &r->collected, r->arg);
        else
                r->cbs->on_error(r->q, err, r->arg);
        relay_free(r);
}

static const struct kc_exchange_cbs exchange_cbs = {.on_headers = on_head, .on_data = on_body, .on_done = on_done};

/* --- Starting */

static void begin(void *arg)
{
        struct relay *r = arg;
        struct api_req *q = r->q;
        if (kc_http_req_closed(q->http)) {
                relay_free(r);
                return;
        }
        struct kc_exchange_opts o = {.method = r->method,
            .target = r->target,
            .headers = r->request_headers,
            .body = r->request_body,
            .cbs = &exchange_cbs,
            .arg = r};
        /* Dialing has its own limit; how long an answer takes is the backend's affair, as upstream. */
        api_req_unlimit_time(q);
        backend_fill(&r->backend, q, &o);
        r->x = kc_exchange_new(&o);
        q->on_closed = on_closed;
        q->on_closed_arg = r;
}

void relay_start(struct api_req *q, const struct relay_opts *o)
{
        struct relay *r = KC_NEW(struct relay);
        r->q = q;
        r->backend = *o->take_backend;
        *o->take_backend = (struct backend){0};
        r->method = kc_strdup(o->method);
        r->target = kc_strdup(o->target);
        r->request_headers = o->take_headers;
        r->request_body = o->body ? kc_bytes_ref(o->body) : NULL;
        r->collect_max = o->collect_max;
        r->stream_if_longer = o->stream_if_longer;
        r->cbs = o->cbs;
        r->arg = o->take_arg;
        (void)kc_http_req_ref(q->http); /* relay_free gives it back */
        kc_loop_post(kc_http_req_loop(q->http), begin, r);
}
