/* The scheduling loop: informers feed the cluster's columns and the queue; decisions are made on the loop one after
 * another; bindings and status writes run on the pool. */
#pragma once

#include "client/informer.h"
#include "client/recorder.h"
#include "event/worker.h"

struct kc_scheduler;

struct kc_scheduler_opts {
        struct kc_loop *loop;
        struct kc_pool *pool;
        struct kc_rest *rest;
        struct kc_informers *informers; /* not started yet */
        const char *profile;            /* spec.schedulerName that is ours; NULL: "default-scheduler" */
        int percentage_of_nodes_to_score;
};

struct kc_scheduler *kc_scheduler_new(const struct kc_scheduler_opts *o);
/* On the loop: decides from now on (informers started and this process leads). */
void kc_scheduler_start(struct kc_scheduler *s);
/* After the pool has drained. */
void kc_scheduler_free(struct kc_scheduler *s);
KC_DEFINE_CLEANUP(struct kc_scheduler *, kc_scheduler_free)
