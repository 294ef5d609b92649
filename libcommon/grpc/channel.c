/* The channel: which endpoint to connect to and when, and the calls that wait for it. Connections are conn.c's, single
 * calls stream.c's. On the loop, but for what starts a call (call.c). */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"
#include "base/str.h"
#include "grpc/channel_internal.h"

static void connect_now(struct kc_grpc_channel *ch);

struct kc_grpc_channel *grpc_channel_ref(struct kc_grpc_channel *ch)
{
        atomic_fetch_add_explicit(&ch->refs, 1, memory_order_relaxed);
        return ch;
}

void grpc_channel_unref(struct kc_grpc_channel *ch)
{
        if (atomic_fetch_sub_explicit(&ch->refs, 1, memory_order_acq_rel) > 1)
                return;
        for (size_t i = 0; i < ch->n_eps; i++)
                grpc_endpoint_done(&ch->eps[i]);
        kc_free(ch->eps);
        kc_strv_free(ch->metadata);
        kc_error_done(&ch->last_error);
        kc_free(ch);
}

static int64_t usec_or(int ms, int def)
{
        return (ms > 0 ? ms : def) * KC_MSEC;
}

int kc_grpc_channel_new(
    struct kc_loop *loop, const struct kc_grpc_channel_opts *o, struct kc_grpc_channel **ret, struct kc_error *err)
{
        size_t n = kc_strv_len(o->endpoints);
        if (n == 0)
                return kc_error_set(err, EINVAL, "no endpoints");
        struct kc_grpc_channel *ch = KC_NEW(struct kc_grpc_channel);
        ch->refs = 1;
        ch->loop = loop;
        ch->eps = kc_calloc(n, sizeof(*ch->eps));
        ch->max_message = o->max_message ? o->max_message : 16 << 20;
        ch->keepalive_usec = usec_or(o->keepalive_ms, 10000);
        ch->keepalive_timeout_usec = usec_or(o->keepalive_timeout_ms, 5000);
        ch->connect_timeout_usec = usec_or(o->connect_timeout_ms, 5000);
        ch->grace_usec = o->fail_fast_grace_ms * KC_MSEC;
        ch->backoff_usec = GRPC_BACKOFF_MIN;
        ch->metadata = o->metadata ? kc_strv_copy(o->metadata) : NULL;
        kc_list_init(&ch->old);
        kc_list_init(&ch->waiting);
        kc_list_init(&ch->ending);
        for (; ch->n_eps < n; ch->n_eps++) {
                int r = grpc_endpoint_init(&ch->eps[ch->n_eps], o->endpoints[ch->n_eps], o->tls, err);
                if (r < 0) {
                        ch->n_eps++;
                        grpc_channel_unref(ch);
                        return r;
                }
        }
        *ret = ch;
        return 0;
}

static void end_all(struct kc_list *streams, enum kc_grpc_code code, const char *message)
{
        for (struct kc_grpc_stream *s; (s = KC_LIST_FIRST(streams, struct kc_grpc_stream, node));)
                grpc_stream_end(s, code, message);
}

void kc_grpc_channel_free(struct kc_grpc_channel *ch)
{
        if (!ch)
                return;
        ch->closed = true;
        kc_timer_free(KC_TAKE(ch->timer));
        if (ch->conn)
                grpc_conn_close(KC_TAKE(ch->conn));
        for (struct grpc_conn *c; (c = KC_LIST_FIRST(&ch->old, struct grpc_conn, node));)
                grpc_conn_close(c);
        end_all(&ch->waiting, KC_GRPC_CANCELLED, "grpc: the client connection is closing");
        end_all(&ch->ending, KC_GRPC_CANCELLED, "context canceled");
        grpc_channel_unref(ch);
}

/* --- Waiting calls */

static bool fails_fast(const struct kc_grpc_channel *ch)
{
        return ch->down_since && kc_clock_mono(NULL) - ch->down_since >= ch->grace_usec;
}

static void fail_waiting(struct kc_grpc_channel *ch)
{
        if (!fails_fast(ch))
                return;
        KC_LIST_FOREACH(&ch->waiting, s, struct kc_grpc_stream, node)
        {
                if (s->fail_fast)
                        grpc_stream_end(s, KC_GRPC_UNAVAILABLE, kc_error_message(&ch->last_error));
        }
}

static void send_waiting(struct kc_grpc_channel *ch)
{
        struct kc_grpc_stream *s;
        while (ch->conn && !ch->conn->dead && (s = KC_LIST_FIRST(&ch->waiting, struct kc_grpc_stream, node))) {
                if (grpc_h2_submit(ch->conn, s))
                        continue;
                grpc_channel_conn_draining(ch, ch->conn);
                connect_now(ch);
        }
}

void grpc_channel_submit(struct kc_grpc_channel *ch, struct kc_grpc_stream *s)
{
        kc_list_push_back(&ch->waiting, &s->node);
        if (ch->closed) {
                grpc_channel_end_later(ch, s);
        } else if (ch->state == GRPC_READY) {
                send_waiting(ch);
        } else if (ch->state == GRPC_IDLE) {
                connect_now(ch);
        } else if (ch->state == GRPC_BACKOFF && s->fail_fast && fails_fast(ch)) {
                grpc_stream_end(s, KC_GRPC_UNAVAILABLE, kc_error_message(&ch->last_error));
        }
}

static void end_cancelled(void *arg)
{
        struct kc_grpc_channel *ch = arg;
        ch->ending_deferred = false;
        end_all(&ch->ending, KC_GRPC_CANCELLED, "context canceled");
        grpc_channel_unref(ch);
}

void grpc_channel_end_later(struct kc_grpc_channel *ch, struct kc_grpc_stream *s)
{
        kc_list_remove(&s->node);
        kc_list_push_back(&ch->ending, &s->node);
        if (ch->ending_deferred)
                return;
        ch->ending_deferred = true;
        kc_loop_defer(ch->loop, end_cancelled, grpc_channel_ref(ch));
}

/* --- Connecting */

/* One endpoint has failed: the next one, or back-off when all have. */
static void attempt_failed(struct kc_grpc_channel *ch)
{
        kc_log_v(2, "Connection failed, retrying", "err", kc_error_message(&ch->last_error));
        ch->cur = (ch->cur + 1) % ch->n_eps;
        if (!ch->down_since)
                ch->down_since = kc_clock_mono(NULL);
        if (++ch->tried < ch->n_eps) {
                connect_now(ch);
                return;
        }
        ch->tried = 0;
        ch->state = GRPC_BACKOFF;
        kc_timer_arm(ch->timer, kc_jitter(ch->backoff_usec, 0.2));
        ch->backoff_usec = KC_MIN((int64_t)((double)ch->backoff_usec * GRPC_BACKOFF_FACTOR), GRPC_BACKOFF_MAX);
        fail_waiting(ch);
}

static void on_timer(void *arg)
{
        struct kc_grpc_channel *ch = arg;
        if (ch->state == GRPC_BACKOFF)
                connect_now(ch);
}

static void connect_now(struct kc_grpc_channel *ch)
{
        if (!ch->timer)
                ch->timer = kc_timer_new(ch->loop, on_timer, ch);
        ch->state = GRPC_CONNECTING;
        ch->conn = grpc_conn_new(ch, &ch->eps[ch->cur]);
}

/* --- What connections report */

void grpc_channel_conn_ready(struct kc_grpc_channel *ch, struct grpc_conn *c)
{
        (void)c;
        ch->state = GRPC_READY;
        ch->tried = 0;
        ch->down_since = 0;
        ch->backoff_usec = GRPC_BACKOFF_MIN;
        kc_error_done(&ch->last_error);
        send_waiting(ch);
}

void grpc_channel_conn_lost(struct kc_grpc_channel *ch, struct grpc_conn *c)
{
        if (c != ch->conn)
                return; /* it was draining */
        ch->conn = NULL;
        kc_error_copy(&ch->last_error, &c->error);
        if (ch->state == GRPC_READY) {
                ch->state = GRPC_IDLE;
                ch->down_since = kc_clock_mono(NULL);
                if (!kc_list_empty(&ch->waiting))
                        connect_now(ch);
        } else {
                attempt_failed(ch);
        }
}

void grpc_channel_conn_draining(struct kc_grpc_channel *ch, struct grpc_conn *c)
{
        c->draining = true;
        if (c == ch->conn) {
                ch->conn = NULL;
                ch->state = GRPC_IDLE;
                kc_list_push_back(&ch->old, &c->node);
        }
        grpc_conn_streams_changed(c);
}

void grpc_channel_calm_down(struct kc_grpc_channel *ch)
{
        ch->keepalive_usec *= 2;
}

static void reconnect(void *arg)
{
        struct kc_grpc_channel *ch = arg;
        if (!ch->closed && ch->conn && ch->state == GRPC_READY) {
                ch->cur = (ch->cur + 1) % ch->n_eps;
                grpc_conn_fail(ch->conn, EHOSTUNREACH, "given up for another endpoint");
        }
        grpc_channel_unref(ch);
}

void kc_grpc_channel_reconnect(struct kc_grpc_channel *ch)
{
        kc_loop_post(ch->loop, reconnect, grpc_channel_ref(ch));
}
