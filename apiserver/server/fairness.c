/* The stage of priority and fairness: how wide a request is, waiting for its turn, and the seats until it is done.
 * Without
 * --enable-priority-and-fairness: plain limits of requests in flight. On the request's loop; seats are given back by
 * whoever is done last, the exchange or a worker. */
#include <string.h>

#include "base/str.h"
#include "server/server_internal.h"

enum {
        OBJECTS_PER_SEAT = 100, /* of a list */
        WATCHES_PER_SEAT = 10,  /* that a write has to be told to */
};

#define EVENT_LATENCY (5 * KC_MSEC) /* of telling it to as many */

static void reply_too_many(struct api_req *q)
{
        static const char text[] = "Too many requests, please try again later.\n";
        KC_CLEANUP(kc_strv_freep) char **headers = api_reply_headers(q, "text/plain; charset=utf-8");
        static const char *const extra[] = {"Retry-After", "1", "X-Content-Type-Options", "nosniff"};
        for (size_t i = 0; i < KC_ARRAY_LEN(extra); i++)
                kc_strv_push(&headers, extra[i]);
        KC_CLEANUP(kc_bytes_unrefp) struct kc_bytes *body = kc_bytes_new(text, strlen(text));
        api_reply_raw(q, 429, headers, body);
}

/* --- plain limits */

static enum stage_result limit_plainly(struct api_req *q)
{
        struct kc_apiserver *s = q->server;
        atomic_int *used = q->mutating ? &s->inflight_mutating : &s->inflight_readonly;
        int limit = q->mutating ? s->o->max_mutating_requests_inflight : s->o->max_requests_inflight;
        /* 0: no limit. Administrators are let through. */
        if (limit == 0 || atomic_load(used) <= limit || kc_user_in_group(q->user, KC_GROUP_MASTERS))
                return STAGE_NEXT;
        reply_too_many(q);
        return STAGE_ANSWERED;
}

/* --- how wide a request is */

/* Lists come from the cache: what counts is how many objects are looked at. */
static unsigned list_seats(const struct api_req *q, unsigned max)
{
        if (!q->stored || q->info.name[0])
                return 1;
        size_t objects = kc_cache_resource_count(q->stored->cache);
        return (unsigned)KC_MAX(1, KC_MIN((size_t)max, (objects + OBJECTS_PER_SEAT - 1) / OBJECTS_PER_SEAT));
}

static void write_work(const struct api_req *q, unsigned max, struct kc_flow_work *ret)
{
        /* Its event is another one's. */
        if (strcmp(q->info.resource, "serviceaccounts") == 0 && strcmp(q->info.subresource, "token") == 0)
                return;
        size_t watches = q->stored ? kc_cache_resource_watches(q->stored->cache, q->info.ns) : 0;
        if (watches < WATCHES_PER_SEAT)
                return;
        unsigned seats = (unsigned)((watches + WATCHES_PER_SEAT - 1) / WATCHES_PER_SEAT);
        ret->final_seats = KC_MIN(seats, max);
        ret->additional_latency = EVENT_LATENCY * seats / ret->final_seats;
}

static void estimate(unsigned max_seats, struct kc_flow_work *ret, void *arg)
{
        const struct api_req *q = arg;
        static const char *const writes[] = {"create", "update", "patch", "delete"};
        if (!q->info.is_resource)
                return;
        KC_CLEANUP(kc_freep) char *initial = api_req_param(q, "sendInitialEvents");
        bool watch_list = strcmp(q->info.verb, "watch") == 0 && kc_streq(initial, "true");
        if (watch_list || strcmp(q->info.verb, "list") == 0)
                ret->initial_seats = list_seats(q, max_seats);
        for (size_t i = 0; i < KC_ARRAY_LEN(writes); i++)
                if (strcmp(writes[i], q->info.verb) == 0)
                        write_work(q, max_seats, ret);
}

/* --- turns */

static void on_turn(void *arg)
{
        struct api_req *q = arg;
        kc_timer_free(KC_TAKE(q->turn_timer));
        pipeline_resume(q);
}

/* The turn has not come in time. */
static void on_waited(void *arg)
{
        struct api_req *q = arg;
        if (kc_flow_give_up(q->ticket))
                reply_too_many(q);
}

static enum stage_result enter(struct api_req *q)
{
        const struct req_info *i = &q->info;
        const struct kc_flow_request r = {
            .attrs =
                {
                    .user = q->user,
                    .resource_request = i->is_resource,
                    .verb = i->verb,
                    .path = i->path,
                    .group = i->group,
                    .version = i->version,
                    .resource = i->resource,
                    .subresource = i->subresource,
                    .ns = i->ns,
                    .name = i->name,
                },
            .estimate = estimate,
            .loop = kc_http_req_loop(q->http),
            .on_turn = on_turn,
            .arg = q,
            .is_watch = strcmp(i->verb, "watch") == 0,
            .mutating = q->mutating,
            .watches = q->mutating && q->stored ? kc_cache_resource_watches(q->stored->cache, i->ns) : 0,
        };
        atomic_store(&q->seat_holders, 1);
        enum kc_flow_answer answer = kc_flow_enter(q->server->flow, &r, &q->ticket);
        if (answer == KC_FLOW_EXECUTE)
                return STAGE_NEXT;
        if (answer == KC_FLOW_REJECT) {
                reply_too_many(q);
                return STAGE_ANSWERED;
        }
        /* A quarter of its time may go by in the queue. */
        q->turn_timer = kc_timer_new(kc_http_req_loop(q->http), on_waited, q);
        kc_timer_arm(q->turn_timer, api_req_time_limit(q) / 4);
        return STAGE_WAITING;
}

enum stage_result stage_limit(struct api_req *q)
{
        bool watch = strcmp(q->info.verb, "watch") == 0;
        if (q->long_running && !watch)
                return STAGE_NEXT;
        if (!q->long_running) {
                api_req_limit_time(q); /* also of sending its body, while it has seats */
                q->inflight = true;
                atomic_fetch_add(q->mutating ? &q->server->inflight_mutating : &q->server->inflight_readonly, 1);
        }
        if (q->server->flow)
                return enter(q);
        return watch ? STAGE_NEXT : limit_plainly(q);
}

/* --- seats */

void fairness_hold(struct api_req *q)
{
        if (q->ticket)
                atomic_fetch_add(&q->seat_holders, 1);
}

void fairness_drop(struct api_req *q)
{
        if (q->ticket && atomic_fetch_sub(&q->seat_holders, 1) == 1)
                kc_flow_leave(q->ticket);
}

void fairness_watch_started(struct api_req *q)
{
        if (q->seats_returned)
                return;
        q->seats_returned = true;
        fairness_drop(q);
}

void stage_limit_release(struct api_req *q)
{
        kc_timer_free(KC_TAKE(q->turn_timer));
        fairness_watch_started(q);
        if (!q->inflight)
                return;
        q->inflight = false;
        atomic_fetch_sub(q->mutating ? &q->server->inflight_mutating : &q->server->inflight_readonly, 1);
        server_request_ended(q->server);
}

/* --- what the answer says of it */

void fairness_add_headers(const struct api_req *q, char ***headers)
{
        if (!q->ticket || q->seats_returned)
                return;
        const char *const names[] = {"X-Kubernetes-Pf-Flowschema-Uid", kc_flow_schema_uid(q->ticket),
            "X-Kubernetes-Pf-Prioritylevel-Uid", kc_flow_level_uid(q->ticket)};
        for (size_t i = 0; i < KC_ARRAY_LEN(names); i++)
                kc_strv_push(headers, names[i]);
}
