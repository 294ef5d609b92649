/* Pods that preempted others and wait for the room on their nominated node: filters count them there, so that no pod of
 * lower priority takes that room. Loop thread only. */
#pragma once

#include "base/map.h"
#include "scheduler/pod_info.h"

/* The pods nominated to one node; infos are the nominator's own. */
struct kc_nominees {
        struct kc_pod_info **v;
        size_t n;
};

struct kc_nominator {
        struct kc_map *by_node; /* node name -> struct kc_nominees * */
        struct kc_map *node_of; /* pod key -> node name */
};

void kc_nominator_init(struct kc_nominator *n);
void kc_nominator_done(struct kc_nominator *n);
/* Replaces an earlier nomination of the pod. node "": only removes that. */
void kc_nominator_set(struct kc_nominator *n, struct kc_object *pod, const char *node);
/* False if it was not nominated. */
bool kc_nominator_remove(struct kc_nominator *n, const char *key);
/* NULL: not nominated. */
const char *kc_nominator_node(const struct kc_nominator *n, const char *key);
/* NULL: none. Valid until the next change. */
const struct kc_nominees *kc_nominator_on(const struct kc_nominator *n, const char *node);
