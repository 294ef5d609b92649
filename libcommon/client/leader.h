/* Leader election on a coordination.k8s.io Lease, with client-go's algorithm and record. */
#pragma once

#include "client/rest.h"
#include "event/worker.h"

struct kc_leader;

struct kc_leader_opts {
        const char *lease_namespace, *lease_name;                  /* "kube-system", "kube-scheduler" */
        const char *identity;                                      /* NULL: "<hostname>_<uuid>" */
        int lease_duration_ms, renew_deadline_ms, retry_period_ms; /* 0: 15000, 10000, 2000 */
        /* On the loop. */
        void (*on_started_leading)(void *arg);
        void (*on_stopped_leading)(void *arg); /* the process should end: its work may be done elsewhere now */
        void (*on_new_leader)(const char *identity, void *arg); /* may be NULL */
        void *arg;
};
int kc_leader_new(struct kc_rest *rest, struct kc_pool *pool, const struct kc_leader_opts *o, struct kc_leader **ret,
    struct kc_error *err);
/* On the loop. */
void kc_leader_start(struct kc_leader *l);
/* Blocks: any thread but the loop's, while the loop runs. Ends the attempts and gives the Lease up, so that another
 * takes over at once; no callback comes any more. kc_daemon_drain does it for daemons. */
void kc_leader_release(struct kc_leader *l);
bool kc_leader_is_leader(const struct kc_leader *l); /* any thread */
/* After the pool has drained. */
void kc_leader_free(struct kc_leader *l);
KC_DEFINE_CLEANUP(struct kc_leader *, kc_leader_free)
