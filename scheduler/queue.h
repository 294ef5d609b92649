/* The pods that wait to be scheduled.
 *
 *   add --> active (heap: priority, then time) --pop--> [decision] --fails--> unschedulable --event--> backoff -->
 * active
 *                                                                        \--5 min--------------------/
 *
 * A pod that failed remembers which plugins rejected it; an event of the cluster moves only pods that one of those
 * plugins may now accept. Back-off: 1 s, doubled with each attempt, up to 10 s. Loop thread only. */
#pragma once

#include "base/clock.h"
#include "scheduler/pod_info.h"

enum {
        KC_EVENT_NODE_ADD = 1 << 0,
        KC_EVENT_NODE_ALLOCATABLE = 1 << 1,
        KC_EVENT_NODE_LABEL = 1 << 2,
        KC_EVENT_NODE_TAINT = 1 << 3,
        KC_EVENT_POD_GONE = 1 << 4,  /* an assigned pod was deleted, ended or shrank */
        KC_EVENT_PREEMPTED = 1 << 5, /* a preemption has been carried out */
        KC_EVENT_ALL = ~0U,
};

struct kc_queued_pod {
        struct kc_pod_info *info;
        kc_mono added, next; /* entered the queue first; end of the back-off */
        int attempts;
        uint32_t wakes; /* KC_EVENT_* that may make it schedulable */
        int where;      /* of queue.c */
        size_t heap_at;
        kc_mono since; /* in the unschedulable set since */
};

struct kc_sched_queue;
/* on_ready is called when a pod may be popped after the queue had none. now: the clock. */
struct kc_sched_queue *kc_sched_queue_new(const struct kc_clock *clock);
void kc_sched_queue_free(struct kc_sched_queue *q);
KC_DEFINE_CLEANUP(struct kc_sched_queue *, kc_sched_queue_free)

/* A new or changed pending pod (takes the info). A change of an unschedulable pod wakes it. */
void kc_sched_queue_set(struct kc_sched_queue *q, struct kc_pod_info *take_pod);
void kc_sched_queue_remove(struct kc_sched_queue *q, const char *key);
/* The next pod to be decided, or NULL. It is out of the queue (in flight) until one of the two below. */
struct kc_queued_pod *kc_sched_queue_pop(struct kc_sched_queue *q);
/* Decided: freed, except its info which has been taken (info NULL) or is freed with it. */
void kc_sched_queue_done(struct kc_sched_queue *q, struct kc_queued_pod *take_p);
/* Not schedulable now: waits for one of the events. With error: tried again after the back-off alone. If an event
 * arrived while it was in flight, it goes to the back-off at once; if it was deleted meanwhile, it is freed. */
void kc_sched_queue_requeue(struct kc_sched_queue *q, struct kc_queued_pod *take_p, uint32_t wakes, bool error);
/* Something has happened to the cluster. */
void kc_sched_queue_wake(struct kc_sched_queue *q, uint32_t events);
/* Moves what has waited long enough; returns the time of the next move (monotonic), or 0 when nothing waits. */
kc_mono kc_sched_queue_tick(struct kc_sched_queue *q);
void kc_sched_queue_counts(
    const struct kc_sched_queue *q, size_t *ret_active, size_t *ret_backoff, size_t *ret_unschedulable);
