/* Upgraded clients and their backends. On the request's loop. */
#include "stream/tunnel.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "stream/websocket.h"

enum { QUEUED_MAX = 512 * 1024, QUEUED_LOW = 128 * 1024 };
#define LINGER (5 * KC_SEC) /* for a backend to take what a client sent before it went */

struct kc_tunnel {
        struct kc_http_req *req;
        const struct kc_tunnel_cbs *cbs;
        void *arg;
        struct kc_loop *loop;
        enum kc_tunnel_mode mode;
        struct kc_filter *filter; /* NULL: raw */
        struct kc_exchange *backend;
        struct kc_http_stream *client; /* NULL: not upgraded, or gone */
        bool upgraded, client_paused, backend_paused, over;
        int code;
        char **headers; /* of an answer that is no 101 */
        struct kc_buf body;
        struct kc_timer *timer;
        int64_t idle_timeout;
        kc_mono active;
};

static void finish(struct kc_tunnel *t)
{
        kc_exchange_free(KC_TAKE(t->backend));
        kc_timer_free(KC_TAKE(t->timer));
        t->cbs->on_end(t, t->arg);
        kc_filter_free(t->filter);
        kc_strv_free(t->headers);
        kc_buf_done(&t->body);
        kc_http_req_unref(t->req);
        kc_free(t);
}

/* Nothing more from the backend; the client gets what is queued, then the end. */
static void end(struct kc_tunnel *t)
{
        if (t->over)
                return;
        t->over = true;
        kc_exchange_free(KC_TAKE(t->backend));
        if (t->client)
                kc_http_stream_close(t->client); /* on_client_close follows */
        else
                finish(t);
}

void kc_tunnel_cancel(struct kc_tunnel *t)
{
        if (t->upgraded && !t->client)
                finish(t); /* it only waited for the backend to take the last bytes */
        else
                end(t);
}

/* --- Moving bytes */

static bool write_client(struct kc_tunnel *t, const void *data, size_t len)
{
        if (len == 0 || !t->client)
                return true;
        if (kc_http_stream_write(t->client, data, len) < 0)
                return false;
        if (t->backend && !t->backend_paused && kc_http_stream_queued(t->client) > QUEUED_MAX) {
                t->backend_paused = true;
                kc_exchange_pause(t->backend, true);
        }
        return true;
}

static void write_backend(struct kc_tunnel *t, const void *data, size_t len)
{
        if (len == 0 || !t->backend)
                return;
        kc_exchange_write(t->backend, data, len);
        if (t->client && !t->client_paused && kc_exchange_queued(t->backend) > QUEUED_MAX) {
                t->client_paused = true;
                kc_http_stream_pause(t->client, true);
        }
}

/* What the filter has for both sides; false: the client cannot be written to. */
static bool move_filtered(struct kc_tunnel *t)
{
        struct kc_buf *to_backend = kc_filter_to_backend(t->filter), *to_client = kc_filter_to_client(t->filter);
        write_backend(t, kc_buf_str(to_backend), to_backend->len);
        kc_buf_reset(to_backend);
        bool ok = write_client(t, kc_buf_str(to_client), to_client->len);
        kc_buf_reset(to_client);
        return ok;
}

/* --- The client */

static void on_client_data(struct kc_http_stream *s, const void *data, size_t len, void *arg)
{
        struct kc_tunnel *t = arg;
        (void)s; /* t's */
        if (t->over)
                return;
        t->active = kc_clock_mono(NULL);
        if (!t->filter) {
                write_backend(t, data, len);
                return;
        }
        int r = kc_filter_client(t->filter, data, len);
        if (!move_filtered(t) || r != 0)
                end(t);
}

static void on_client_drain(struct kc_http_stream *s, void *arg)
{
        struct kc_tunnel *t = arg;
        (void)s; /* t's */
        if (!t->backend_paused || !t->backend)
                return;
        t->backend_paused = false;
        kc_exchange_pause(t->backend, false);
}

static void on_linger_over(void *arg)
{
        finish(arg);
}

static void on_client_close(struct kc_http_stream *s, void *arg)
{
        struct kc_tunnel *t = arg;
        (void)s;
        t->client = NULL;
        if (t->over || !t->backend || kc_exchange_queued(t->backend) == 0) {
                finish(t);
                return;
        }
        t->over = true;
        kc_timer_free(t->timer);
        t->timer = kc_timer_new(t->loop, on_linger_over, t);
        kc_timer_arm(t->timer, LINGER);
        kc_exchange_pause(t->backend, false);
}

/* --- The backend */

static void on_idle(void *arg)
{
        struct kc_tunnel *t = arg;
        int64_t quiet = kc_clock_mono(NULL) - t->active;
        if (quiet >= t->idle_timeout)
                end(t);
        else
                kc_timer_arm(t->timer, t->idle_timeout - quiet);
}

static bool is_hop_header(const char *name)
{
        static const char *const names[] = {"Connection", "Keep-Alive", "Proxy-Connection", "Transfer-Encoding", "Te",
            "Trailer", "Content-Length", "Date"};
        for (size_t i = 0; i < KC_ARRAY_LEN(names); i++)
                if (kc_strcaseeq(name, names[i]))
                        return true;
        return false;
}

static char **end_to_end(char *const *headers)
{
        char **v = NULL;
        for (size_t i = 0; headers && headers[i] && headers[i + 1]; i += 2)
                if (!is_hop_header(headers[i])) {
                        kc_strv_push(&v, headers[i]);
                        kc_strv_push(&v, headers[i + 1]);
                }
        return v;
}

/* Answers the client with 101 as a WebSocket. */
static char **websocket_headers(struct kc_tunnel *t)
{
        char **v = NULL, accept[KC_WS_ACCEPT_LEN];
        const char *key = kc_http_req_header(t->req, "Sec-WebSocket-Key");
        kc_strv_push(&v, "Upgrade");
        kc_strv_push(&v, "websocket");
        kc_strv_push(&v, "Sec-WebSocket-Accept");
        kc_strv_push(&v, kc_ws_accept(key ? key : "", (char *)accept));
        kc_strv_push(&v, "Sec-WebSocket-Protocol");
        kc_strv_push(&v, t->mode == KC_TUNNEL_REMOTE_COMMAND ? KC_REMOTE_V5 : KC_PORT_FORWARD_TUNNEL);
        return v;
}

static const struct kc_http_stream_cbs client_cbs = {on_client_data, on_client_drain, on_client_close};

static int upgrade_client(struct kc_tunnel *t, char *const *backend_headers)
{
        KC_CLEANUP(kc_strv_freep)
        char **headers = t->filter ? websocket_headers(t) : end_to_end(backend_headers);
        int r = kc_http_upgrade(t->req, headers, &client_cbs, t, &t->client);
        if (r < 0) {
                t->client = NULL;
                return r;
        }
        t->upgraded = true;
        t->active = kc_clock_mono(NULL);
        if (t->idle_timeout > 0) {
                t->timer = kc_timer_new(t->loop, on_idle, t);
                kc_timer_arm(t->timer, t->idle_timeout);
        }
        if (t->cbs->on_open)
                t->cbs->on_open(t, t->arg);
        return 0;
}

static void fail(struct kc_tunnel *t, const struct kc_error *err)
{
        kc_exchange_free(KC_TAKE(t->backend));
        t->cbs->on_error(t, err, t->arg);
        if (!t->over)
                end(t);
}

static void on_headers(struct kc_exchange *x, int code, char *const *headers, void *arg)
{
        struct kc_tunnel *t = arg;
        (void)x; /* t's */
        t->code = code;
        if (code != 101) {
                t->headers = end_to_end(headers);
                return;
        }
        if (upgrade_client(t, headers) < 0) {
                KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
                (void)kc_error_set_api(&err, 400, KC_REASON_BAD_REQUEST, "Upgrade request required");
                fail(t, &err);
                return;
        }
        if (t->filter) {
                kc_filter_open(t->filter);
                (void)move_filtered(t); /* only the backend gets something */
        }
}

static void on_data(struct kc_exchange *x, const char *data, size_t len, void *arg)
{
        struct kc_tunnel *t = arg;
        (void)x; /* t's */
        if (!t->upgraded) {
                if (t->body.len < KC_TUNNEL_BODY_MAX)
                        kc_buf_add(&t->body, data, KC_MIN(len, KC_TUNNEL_BODY_MAX - t->body.len));
                return;
        }
        if (!t->client)
                return; /* it has gone; its last bytes are on their way */
        t->active = kc_clock_mono(NULL);
        if (!t->filter) {
                if (!write_client(t, data, len))
                        end(t);
                return;
        }
        int r = kc_filter_backend(t->filter, data, len);
        if (!move_filtered(t) || r != 0)
                end(t);
}

static void on_drain(struct kc_exchange *x, void *arg)
{
        struct kc_tunnel *t = arg;
        (void)x; /* t's */
        if (t->upgraded && !t->client) {
                finish(t);
                return;
        }
        if (!t->client_paused || !t->client)
                return;
        t->client_paused = false;
        kc_http_stream_pause(t->client, false);
}

static void on_done(struct kc_exchange *x, const struct kc_error *err, void *arg)
{
        struct kc_tunnel *t = arg;
        (void)x; /* t's */
        if (t->upgraded && !t->client) {
                finish(t);
                return;
        }
        if (t->upgraded) {
                if (t->filter) {
                        kc_filter_backend_gone(t->filter, err);
                        (void)move_filtered(t); /* the end follows anyway */
                }
                end(t);
                return;
        }
        if (t->code == 0 || err) {
                fail(t, err);
                return;
        }
        kc_exchange_free(KC_TAKE(t->backend));
        KC_CLEANUP(kc_bytes_unrefp) struct kc_bytes *body = kc_bytes_from_buf(&t->body);
        t->cbs->on_answer(t, t->code, t->headers, body, t->arg);
        if (!t->over)
                end(t);
}

static const struct kc_exchange_cbs backend_cbs = {on_headers, on_data, on_drain, on_done};

bool kc_tunnel_refuse(struct kc_tunnel *t, const char *status)
{
        if (t->mode != KC_TUNNEL_REMOTE_COMMAND || t->upgraded || upgrade_client(t, NULL) < 0)
                return false;
        kc_filter_refuse(t->filter, status);
        (void)move_filtered(t); /* the end follows anyway */
        return true;
}

struct kc_tunnel *kc_tunnel_new(const struct kc_tunnel_opts *o)
{
        struct kc_tunnel *t = KC_NEW(struct kc_tunnel);
        t->req = kc_http_req_ref(o->req);
        t->loop = kc_http_req_loop(o->req);
        t->cbs = o->cbs;
        t->arg = o->arg;
        t->mode = o->mode;
        t->idle_timeout = o->idle_timeout;
        if (o->mode == KC_TUNNEL_REMOTE_COMMAND)
                t->filter = kc_filter_remote_command(&o->streams);
        else if (o->mode == KC_TUNNEL_PORT_FORWARD)
                t->filter = kc_filter_tunnel();
        struct kc_exchange_opts x = o->backend;
        x.cbs = &backend_cbs;
        x.arg = t;
        t->backend = kc_exchange_new(&x);
        return t;
}
