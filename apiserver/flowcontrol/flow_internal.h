/* Inside of priority and fairness. Everything is guarded by kc_flow.lock, but for constant configurations, which are
 * counted. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "base/list.h"
#include "base/map.h"
#include "flowcontrol/flowcontrol.h"

#define FLOW_ADJUST_PERIOD (10 * KC_SEC)
#define FLOW_SERVICE_TIME 0.003 /* seconds: what a request is charged until it has shown what it takes */

enum {
        FLOW_MAX_SEATS = 10,           /* of one request */
        FLOW_DISTINGUISHER_MAX = 1024, /* bytes of a flow's name that count */
};

/* --- match.c: FlowSchemas */

struct flow_schema {
        atomic_int refs;
        char *name, *uid, *level;
        int precedence;
        enum { BY_NOTHING, BY_USER, BY_NAMESPACE } distinguisher;
        struct json_object *rules; /* read-only */
};
struct flow_schema *flow_schema_new(const struct json_object *obj);
struct flow_schema *flow_schema_ref(struct flow_schema *s);
void flow_schema_unref(struct flow_schema *s);
bool flow_schema_matches(const struct flow_schema *s, const struct kc_flow_attrs *a);
/* By precedence, then by name, for qsort over struct flow_schema *. */
int flow_schema_compare(const void *a, const void *b);
/* What tells flows of a schema apart; borrowed from a. */
const char *flow_distinguisher(const struct flow_schema *s, const struct kc_flow_attrs *a);

/* --- level.c: a priority level with its queues. now: seconds on the monotonic clock. */

/* A time-weighted look at a value. */
struct flow_integral {
        double x, since, start;
        double sum, squares, max;
};
void flow_integral_set(struct flow_integral *i, double x, double now);
/* Average, deviation and maximum since the last reset. */
void flow_integral_reset(struct flow_integral *i, double now, double *ret_avg, double *ret_dev, double *ret_max);

/* How long a value was within which bounds, in nanoseconds: a timing histogram. */
enum { FLOW_BUCKETS_MAX = 16 };
struct flow_timing {
        double x, since; /* since 0: not begun */
        uint64_t counts[FLOW_BUCKETS_MAX + 1];
        double sum;
};
enum flow_scale { FLOW_SCALE_REQUESTS, FLOW_SCALE_SEATS, FLOW_SCALE_DEMAND, FLOW_SCALE_KINDS };
const double *flow_buckets(enum flow_scale scale, size_t *ret_n);
void flow_timing_set(struct flow_timing *t, enum flow_scale scale, double x, double now);

struct flow_queue {
        struct kc_list waiting; /* of tickets, the oldest first */
        size_t n_waiting, n_executing;
        unsigned seats_waiting, seats_in_use;
        double work_waiting; /* seat-seconds */
        double next_r;       /* virtual time at which its next request starts */
};

struct flow_level {
        char *name, *uid;
        bool configured; /* false: it is gone; stays until nobody is in it */
        bool exempt, queueing;
        bool shared; /* has had its seats */
        unsigned n_queues, hand_size, queue_length_limit;
        int shares, lendable_percent, borrowing_percent; /* borrowing -1: no limit */
        int nominal, min, max, current;                  /* seats */

        struct flow_queue **queues; /* cap >= n_queues: what was more stays until it is empty */
        size_t queues_cap;
        unsigned seats_in_use, seats_waiting, n_executing, n_waiting;
        double r, r_since; /* virtual time */
        size_t robin;
        double latest_s, dispatch_r; /* where the last one that was dispatched started; r then */
        struct flow_integral demand;
        struct flow_timing waiting_requests, executing_requests, executing_seats, wanted_seats;
        double smoothed, average, deviation, high;
        double target;
        uint64_t dispatched, rejected, timed_out, cancelled;
};

struct flow_level *flow_level_new(const char *name);
void flow_level_free(struct flow_level *l);
/* Takes over the spec of a PriorityLevelConfiguration. */
void flow_level_configure(struct flow_level *l, const struct json_object *obj);
bool flow_level_idle(const struct flow_level *l);
/* Executed at once, put into a queue (t->queue), or turned away (*ret_why "queue-full", "concurrency-limit"). */
enum kc_flow_answer flow_level_enter(struct flow_level *l, struct kc_flow_ticket *t, double now, const char **ret_why);
/* Takes the next one that can be executed out of its queue; NULL: none. */
struct kc_flow_ticket *flow_level_next(struct flow_level *l, double now);
/* One that waits goes. */
void flow_level_remove(struct flow_level *l, struct kc_flow_ticket *t, double now);
/* One that was executed has ended: all its seats but the final ones are free. */
void flow_level_finish(struct flow_level *l, struct kc_flow_ticket *t, double now);
/* And so are these. */
void flow_level_release(struct flow_level *l, struct kc_flow_ticket *t, double now);

/* --- deal.c. The cards of a hand, distinct, each below deck. */
void flow_deal(uint64_t hash, unsigned deck, unsigned hand_size, unsigned *ret);

/* --- allocate.c: shares of the server's seats */

struct flow_claim {
        double target, lower, upper;
        double alloc; /* out */
};
/* Finds the factor by which all targets are multiplied, within their bounds, so that the sum is as asked for (or as
 * near as the bounds let it come). Returns it. */
double flow_allocate(struct flow_claim *v, size_t n, double sum);
/* Nominal, minimal and maximal seats of all levels from their shares. */
void flow_share(struct flow_level *const *v, size_t n, int concurrency);
/* Current seats from what was demanded since the last time; returns the fair fraction. */
double flow_borrow(struct flow_level *const *v, size_t n, double now);

/* --- tickets */

enum flow_state { FLOW_REJECTED, FLOW_WAITING, FLOW_EXECUTING, FLOW_FINISHING };

struct kc_flow_ticket {
        atomic_int refs; /* the holder, a turn on its way, the flow while it finishes */
        struct kc_flow *flow;
        struct flow_schema *schema;
        struct flow_level *level;
        char *level_name, *level_uid;
        char *distinguisher; /* what the flow is told apart by */
        uint64_t hash;
        struct kc_flow_work work;
        enum flow_state state;
        bool left;                /* the holder's loop: no turn any more */
        struct flow_queue *queue; /* NULL: sans queue */
        struct kc_list node;      /* in queue->waiting, or kc_flow.finishing */
        struct kc_list all_node;  /* in kc_flow.tickets */
        double arrived, started, release_at;
        struct kc_loop *loop;
        void (*on_turn)(void *arg);
        void *arg;
        bool is_watch, mutating, waited;
        size_t watches;
        struct kc_flow_attrs attrs; /* the holder's, while it waits or is executed */
};

struct kc_flow {
        struct kc_flow_opts o;
        pthread_mutex_t lock;
        struct flow_schema **schemas; /* by precedence */
        size_t n_schemas;
        struct kc_map *levels; /* name -> struct flow_level */
        struct kc_list tickets;
        struct kc_list finishing; /* by release_at */
        double fair_fraction;
        struct flow_kind {
                size_t waiting, executing;
                struct flow_timing waiting_timing, executing_timing;
        } kinds[2];                        /* of requests: readOnly, mutating */
        struct kc_timer *adjust, *release; /* the loop's */
        atomic_bool release_posted;
};

unsigned flow_max_seats(const struct kc_flow_ticket *t);
double flow_work_of(const struct kc_flow_ticket *t);

/* --- flow_metrics.c */
void flow_metrics_init(void);
/* It waits; queued: in its queue, with it. */
void flow_metrics_enqueue(const struct kc_flow_ticket *t, size_t queued);
void flow_metrics_start(const struct kc_flow_ticket *t);
/* executed: it was; else it has left its queue. */
void flow_metrics_wait_ended(const struct kc_flow_ticket *t, bool executed, double now);
void flow_metrics_end(const struct kc_flow_ticket *t, double now);
void flow_metrics_reject(const struct kc_flow_ticket *t, const char *why);
/* What is not counted as it happens. Under the lock. */
void flow_metrics_publish(struct kc_flow *f, double now);
