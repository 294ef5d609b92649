/* Peers that send a body or take an answer drop by drop: each loop looks at those under way once a second and ends what
 * is too slow. A whole answer or body is meant; streamed answers have no end that could be late. On the loop. */
#include "base/log.h"
#include "http/http_internal.h"

static bool is_late(const struct kc_http_req *r, kc_mono now)
{
        int64_t window = r->conn->server->opts.transfer_timeout_ms * KC_MSEC;
        if (now < r->pace_since + window)
                return false;
        uint64_t moved = r->answer == HTTP_ANSWER_FINISHED ? r->pace_bytes - kc_http_queued(r) : r->pace_bytes;
        return moved < (uint64_t)(window / KC_MSEC) * HTTP_PACE_RATE / 1000;
}

/* What still waits to be sent, or nothing received yet. */
static void begin_window(struct kc_http_req *r, kc_mono now)
{
        r->pace_since = now;
        r->pace_bytes = r->answer == HTTP_ANSWER_FINISHED ? kc_http_queued(r) : 0;
}

static void end_late(struct kc_http_req *r)
{
        struct http_conn *c = r->conn;
        http_pace_stop(r);
        if (!r->request_done && !atomic_load(&r->answered)) {
                kc_log_v(4, "Request body is too slow", "remote", c->info->remote);
                if (r->is_h2)
                        http_req_reply_text(r, 408, NULL);
                else
                        http_h1_timeout(c);
                return;
        }
        if (r->answer != HTTP_ANSWER_FINISHED)
                return;
        kc_log_v(4, "Answer is taken too slowly", "remote", c->info->remote);
        if (r->is_h2)
                http_h2_abort(r);
        else
                c->abort = true;
        http_conn_dirty(c);
}

static void sweep(void *arg)
{
        struct http_shard *s = arg;
        kc_mono now = kc_clock_mono(NULL);
        KC_LIST_FOREACH(&s->paced, r, struct kc_http_req, pace_node)
        {
                if (is_late(r, now))
                        end_late(r);
                else if (now >= r->pace_since + s->server->opts.transfer_timeout_ms * KC_MSEC)
                        begin_window(r, now);
        }
        if (!kc_list_empty(&s->paced))
                kc_timer_arm(s->pace_timer, HTTP_PACE_SWEEP);
}

void http_pace_start(struct kc_http_req *r)
{
        struct http_shard *s = r->conn->shard;
        begin_window(r, kc_clock_mono(NULL));
        if (kc_list_empty(&r->pace_node))
                kc_list_push_back(&s->paced, &r->pace_node);
        if (!s->pace_timer)
                s->pace_timer = kc_timer_new(s->loop, sweep, s);
        if (!kc_timer_armed(s->pace_timer))
                kc_timer_arm(s->pace_timer, HTTP_PACE_SWEEP);
}

void http_pace_stop(struct kc_http_req *r)
{
        kc_list_remove(&r->pace_node);
}

void http_pace_done(struct http_shard *s)
{
        kc_timer_free(s->pace_timer);
        s->pace_timer = NULL;
}
