/* Shared by resourcequota.c and resourcequota_monitors.c. */
#pragma once

#include <pthread.h>

#include "controller-manager/context.h"

struct rq;

/* A kind that some quota counts. Lives as long as the controller. */
struct rq_monitor {
        struct rq *rq;
        struct kc_gvr gvr; /* strings are its own */
        struct kc_informer *informer;
};

struct rq_monitors {
        struct rq_monitor **v;
        size_t n;
};

struct rq {
        struct kc_rest *rest;
        struct kc_loop *loop;
        struct kc_informers *informers;
        struct kc_informer *quotas;
        struct kc_controller *controller;
        int64_t period; /* usec */
        pthread_mutex_t lock;
        struct rq_monitors monitors; /* guarded by lock; written on the loop */
};

/* The kinds that a quota with those resources counts; ret->v is the caller's. A kind that is not watched yet is looked
 * up by discovery, on a worker; *ret_ready is false until it is known, and all quotas are looked at again then. */
int rq_monitors_of(
    struct rq *rq, const struct json_object *hard, struct rq_monitors *ret, bool *ret_ready, struct kc_error *err);
void rq_monitors_free(struct rq *rq);
