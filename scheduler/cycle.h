/* What the decision about one pod keeps while it lasts: which plugins have a say, and their reasons. Loop thread. */
#pragma once

#include "scheduler/plugin.h"

/* The pod and the cluster must outlive the cycle. */
void kc_cycle_init(struct kc_cycle *c, struct kc_cluster *cluster, const struct kc_pod_info *pod);
void kc_cycle_done(struct kc_cycle *c);
/* Runs the filters on a row as upstream's RunFilterPluginsWithNominatedPods: first with the pods of at least the same
 * priority that are nominated to that node, then, had there been any, without them; the pod must fit both times. *wakes
 * gets the events of the plugin that rejects. */
enum kc_verdict kc_cycle_filter(const struct kc_cycle *c, size_t row, struct kc_reasons *reasons, uint32_t *wakes);
/* Nodes by reason: upstream's "0/3 nodes are available: 1 Too many pods, 2 Insufficient cpu." */
struct kc_tally {
        struct kc_map *counts; /* reason -> number of nodes, as a pointer */
};
void kc_tally_init(struct kc_tally *t);
void kc_tally_done(struct kc_tally *t);
void kc_tally_add(struct kc_tally *t, const char *reason, size_t nodes);
void kc_tally_add_all(struct kc_tally *t, const struct kc_reasons *reasons);
char *kc_tally_text(const struct kc_tally *t, size_t n_nodes);
