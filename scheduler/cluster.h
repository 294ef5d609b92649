/* The scheduler's picture of the cluster: nodes in columns, with the pods that run or are about to run on them.
 *
 *   row      0      1      2   ...                     (rows of deleted nodes are filled with the last one)
 *   name     n1     n2     n3
 *   alloc    [resource][row]      used [resource][row]      milli-CPU, bytes, units
 *   nonzero_cpu[row] nonzero_memory[row]
 *   nodes    [row] -> object (labels, taints, images), pods
 *
 * A pod is assumed on a node from the decision until the informer shows it there, or until the binding has failed. Loop
 * thread only. */
#pragma once

#include "base/map.h"
#include "scheduler/nominator.h"

struct kc_sched_node {
        struct kc_object *obj; /* NULL: pods were seen before the node; such rows are never feasible */
        struct kc_pod_info **pods;
        size_t n_pods;
};

struct kc_cluster {
        size_t n_nodes, cap;
        char **names;
        struct kc_sched_node *nodes;
        int64_t *alloc[KC_RES_MAX], *used[KC_RES_MAX];
        int64_t *nonzero_cpu, *nonzero_memory;
        struct kc_map *row_by_name; /* name -> (row + 1) as a pointer */
        struct kc_map *pods;        /* pod key -> struct placed * */
        struct kc_map *images;      /* image name -> struct image * : on how many nodes, how large */
        struct kc_nominator nominated;
};

void kc_cluster_init(struct kc_cluster *c);
void kc_cluster_done(struct kc_cluster *c);

/* Returns what changed, as a mask of KC_EVENT_NODE_* (queue.h). */
uint32_t kc_cluster_set_node(struct kc_cluster *c, struct kc_object *node);
void kc_cluster_remove_node(struct kc_cluster *c, const char *name);
/* -1: unknown. */
int kc_cluster_row(const struct kc_cluster *c, const char *name);

/* A pod that is bound, as the informer shows it: added, or replacing its assumed or older self. */
void kc_cluster_set_pod(struct kc_cluster *c, struct kc_object *pod);
/* Terminal or deleted. False if it was not there. */
bool kc_cluster_remove_pod(struct kc_cluster *c, const char *key);
/* Takes the info: the decision for node row. */
void kc_cluster_assume(struct kc_cluster *c, struct kc_pod_info *take_pod, size_t row);
/* The binding failed: only if it is still merely assumed. */
void kc_cluster_forget(struct kc_cluster *c, const char *key);
bool kc_cluster_is_assumed(const struct kc_cluster *c, const char *key);

/* For trying out: puts a pod on a row or takes it off without recording it. What was taken off must be put back, and
 * the other way round, before anything else is done with the cluster; the order of the row's pods may change. */
void kc_cluster_try_add(struct kc_cluster *c, size_t row, struct kc_pod_info *p);
void kc_cluster_try_remove(struct kc_cluster *c, size_t row, struct kc_pod_info *p);

/* Size of an image on that node (0: not there) and on how many nodes it is. */
int64_t kc_cluster_image(const struct kc_cluster *c, size_t row, const char *name, size_t *ret_nodes);
