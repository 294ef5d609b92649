/* Between preempt.c (which nodes) and preempt_victims.c (which pods of a node). */
#pragma once

#include "scheduler/cycle.h"
#include "scheduler/preempt.h"

/* What removing pods from one node would cost. */
struct victims {
        size_t row;
        struct kc_pod_info **v; /* most important first; borrowed of the cluster */
        size_t n;
        size_t n_violating; /* of them that a PodDisruptionBudget protects */
};

/* True: the pod fits on the row without these; else reasons say why not. */
bool preempt_select_victims(const struct kc_cycle *c, size_t row, const struct kc_objects *pdbs, struct victims *ret,
    struct kc_reasons *reasons);
void preempt_victims_done(struct victims *v);
/* status.startTime; the end of time for a pod that has not started. */
kc_time preempt_start_time(const struct kc_pod_info *p);
