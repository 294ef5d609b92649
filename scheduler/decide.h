/* One scheduling decision: filter, score, select. Pure but for the random choice between equals. Loop thread. */
#pragma once

#include "scheduler/plugin.h"

struct kc_decision {
        int row; /* -1: no node fits */
        size_t n_feasible, n_evaluated;
        uint32_t wakes;                   /* of the plugins that rejected nodes */
        char *message;                    /* why no node fits: upstream's FailedScheduling text */
        size_t *resolvable, n_resolvable; /* when no node fits: rows on which removing pods might help */
};

/* A pod with a nomination goes to that node if it fits there. Otherwise percentage_of_nodes_to_score: 0 adapts as
 * upstream does. start: the row to begin with (round robin), moved on. */
void kc_decide(struct kc_cluster *c, const struct kc_pod_info *pod, int percentage_of_nodes_to_score, size_t *start,
    struct kc_decision *ret);
void kc_decision_done(struct kc_decision *d);
