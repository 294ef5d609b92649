/* DefaultPreemption: which pods must leave which node so that a pod fits that fits nowhere. Decides only; who calls it
 * carries it out (preempt_apply.h). Loop thread. */
#pragma once

#include "scheduler/decide.h"

struct kc_preemption {
        char *node;                /* NULL: no preemption */
        struct kc_objects victims; /* most important first */
        struct kc_objects yield;   /* pods of lower priority whose nomination to that node ends */
        bool clear;                /* the pod's own nomination is of no use any more */
        char *message;             /* without a node: why, the tail of the FailedScheduling message */
};

/* d: of kc_decide, which found no row for the pod, and its cluster unchanged since. pdbs: PodDisruptionBudgets, all.
 * Nodes are dry-run until a tenth of them, at least 100, have victims. The cluster is as before when it returns. */
void kc_preempt(struct kc_cluster *c, const struct kc_pod_info *pod, const struct kc_decision *d,
    const struct kc_objects *pdbs, struct kc_preemption *ret);
void kc_preemption_done(struct kc_preemption *p);
