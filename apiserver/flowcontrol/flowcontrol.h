/* API priority and fairness: who may be executed now, who waits, who is turned away.
 *
 *   request --FlowSchemas, by precedence--> priority level --shuffle sharding--> queue --fair--> seats
 *
 * A level has so many seats; a request takes some of them while it is executed. A request that finds none free waits in
 * the shortest of a few queues that its flow (schema and user or namespace) is dealt; queues are served fairly in
 * virtual time, so that a flow that floods fills its own queues only. Levels lend each other seats that they do not
 * need, recomputed every ten seconds. Nothing here blocks: who waits is called back on its loop.
 *
 * Any thread, but for kc_flow_new, _start and _free. One lock, held for arithmetic only. */
#pragma once

#include "auth/user.h"
#include "base/buf.h"
#include "base/clock.h"
#include "event/loop.h"
#include "json/json.h"

struct kc_flow;
struct kc_flow_ticket;

struct kc_flow_opts {
        struct kc_loop *loop;           /* for timers */
        const struct kc_clock *clock;   /* NULL: the real one */
        int concurrency;                /* seats of the server, > 0 */
        int max_readonly, max_mutating; /* what its metrics relate to; 0: nothing */
};

/* Has the mandatory schemas and levels (exempt, catch-all) until it is configured. */
struct kc_flow *kc_flow_new(const struct kc_flow_opts *o);
/* On the loop: begins to adjust borrowing. */
void kc_flow_start(struct kc_flow *f);
/* On the loop, or after it has stopped, before it is freed. */
void kc_flow_stop(struct kc_flow *f);
/* After the loop has been freed; no ticket is left. */
void kc_flow_free(struct kc_flow *f);
KC_DEFINE_CLEANUP(struct kc_flow *, kc_flow_free)

/* The FlowSchemas and PriorityLevelConfigurations that there are, as arrays of flowcontrol.apiserver.k8s.io/v1 objects;
 * mandatory ones that are missing are taken as they should be. Requests that wait stay where they are. */
void kc_flow_configure(struct kc_flow *f, const struct json_object *schemas, const struct json_object *levels);
/* The mandatory objects, with kind. The caller's. */
struct json_object *kc_flow_mandatory(void);

/* What a request is, for the rules of the schemas. "" instead of absent. */
struct kc_flow_attrs {
        const struct kc_user *user;
        bool resource_request;
        const char *verb, *path; /* path: of non-resource requests */
        const char *group, *version, *resource, *subresource, *ns, *name;
};

/* How much of the server a request takes. */
struct kc_flow_work {
        unsigned initial_seats;     /* while it is executed; >= 1 */
        unsigned final_seats;       /* afterwards, for: */
        int64_t additional_latency; /* usec */
};

/* Asked for the width of a request once its level is known; max_seats: the widest that the level allows. */
typedef void (*kc_flow_estimate_fn)(unsigned max_seats, struct kc_flow_work *ret, void *arg);

enum kc_flow_answer {
        KC_FLOW_EXECUTE, /* now; kc_flow_leave when done */
        KC_FLOW_WAIT,    /* on_turn will come on the loop, unless kc_flow_leave comes first */
        KC_FLOW_REJECT,  /* 429; the ticket only says by whom; kc_flow_leave */
};

struct kc_flow_request {
        struct kc_flow_attrs attrs; /* what it points to stays until kc_flow_leave */
        kc_flow_estimate_fn estimate;
        struct kc_loop *loop;
        void (*on_turn)(void *arg);
        void *arg;               /* of both */
        bool is_watch, mutating; /* for metrics */
        size_t watches;          /* for metrics: to be told of a write */
};

enum kc_flow_answer kc_flow_enter(
    struct kc_flow *f, const struct kc_flow_request *r, struct kc_flow_ticket **ret_ticket);
/* It has waited too long: true, and it waits no more (to be rejected); false: its turn has come. */
bool kc_flow_give_up(struct kc_flow_ticket *t);
/* The request is done, or gone: its seats are free, or its place in the queue is. No callback comes after it when it is
 * called on the request's loop. Frees the ticket. */
void kc_flow_leave(struct kc_flow_ticket *take_t);

/* UIDs of the schema and the level, "" for mandatory ones that the API does not have yet. As long as the ticket. */
const char *kc_flow_schema_uid(const struct kc_flow_ticket *t);
const char *kc_flow_level_uid(const struct kc_flow_ticket *t);

/* Brings the metrics up to date that are not counted as things happen: before a scrape. */
void kc_flow_publish(struct kc_flow *f);
/* /debug/api_priority_and_fairness/<what>: "dump_priority_levels", "dump_queues", "dump_requests"; false: no such.
 * details: of the requests, too. */
bool kc_flow_dump(struct kc_flow *f, const char *what, bool details, struct kc_buf *out);
