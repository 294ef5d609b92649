/* A shard: the connections of one loop, and the run that flushes and frees them after the current callback. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "http/http_internal.h"

struct http_shard *http_shard_ref(struct http_shard *s)
{
        atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
        return s;
}

void http_shard_unref(struct http_shard *s)
{
        if (atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
                return;
        kc_free(s->scratch);
        kc_buf_done(&s->head);
        kc_free(s);
}

/* RFC 9110 IMF-fixdate; made once a second at most. */
const char *http_shard_date(struct http_shard *s)
{
        kc_time second = kc_clock_now(NULL) / KC_SEC;
        if (second == s->date_second)
                return s->date;
        static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
        static const char months[12][4] = {
            "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
        time_t t = (time_t)second;
        struct tm tm;
        gmtime_r(&t, &tm);
        snprintf(s->date, sizeof(s->date), "%s, %02u %s %04u %02u:%02u:%02u GMT", days[tm.tm_wday % 7],
            (unsigned)tm.tm_mday % 100, months[tm.tm_mon % 12], (unsigned)(tm.tm_year + 1900) % 10000,
            (unsigned)tm.tm_hour % 100, (unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100);
        s->date_second = second;
        return s->date;
}

static void run(void *arg)
{
        struct http_shard *s = arg;
        s->run_scheduled = false;
        /* Those that become dirty meanwhile are for the next run. */
        struct kc_list batch;
        kc_list_init(&batch);
        struct http_conn *c;
        while ((c = KC_LIST_FIRST(&s->dirty, struct http_conn, dirty_node))) {
                kc_list_remove(&c->dirty_node);
                kc_list_push_back(&batch, &c->dirty_node);
        }
        while ((c = KC_LIST_FIRST(&batch, struct http_conn, dirty_node)))
                http_conn_flush(c);
        while ((c = KC_LIST_FIRST(&s->dead, struct http_conn, node)))
                http_conn_destroy(c);
        http_shard_unref(s);
}

void http_shard_schedule(struct http_shard *s)
{
        if (s->run_scheduled)
                return;
        s->run_scheduled = true;
        kc_loop_defer(s->loop, run, http_shard_ref(s));
}

static void run_handshake(void *arg)
{
        struct http_shard *s = arg;
        struct http_conn *c = KC_LIST_FIRST(&s->handshakes, struct http_conn, handshake_node);
        s->handshakes_scheduled = false;
        if (c) {
                kc_list_remove(&c->handshake_node);
                http_conn_handshake(c);
        }
        c = KC_LIST_FIRST(&s->handshakes, struct http_conn, handshake_node);
        if (c)
                http_shard_queue_handshake(s, c);
        http_shard_unref(s);
}

void http_shard_queue_handshake(struct http_shard *s, struct http_conn *c)
{
        if (kc_list_empty(&c->handshake_node))
                kc_list_push_back(&s->handshakes, &c->handshake_node);
        if (s->handshakes_scheduled)
                return;
        s->handshakes_scheduled = true;
        kc_loop_defer(s->loop, run_handshake, http_shard_ref(s));
}

void http_shard_reclaim(struct http_shard *s)
{
        size_t left = HTTP_RECLAIM_BATCH;
        kc_mono now = kc_clock_mono(NULL);
        KC_LIST_FOREACH(&s->conns, c, struct http_conn, node)
        {
                if (left == 0 || now - c->born < HTTP_RECLAIM_AGE)
                        break; /* those that follow are younger */
                if (!http_conn_idle(c))
                        continue;
                http_conn_goodbye(c);
                left--;
        }
}
