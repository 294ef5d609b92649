/* How many pods a budget is about: disruption_scale.c. Reads caches only: any thread. */
#pragma once

#include "client/informer.h"

/* Where the wished number of replicas of a pod's controller is found. */
struct kc_disruption_owners {
        struct kc_informer *replication_controllers, *replica_sets, *deployments, *stateful_sets;
};
void kc_disruption_owners_init(struct kc_disruption_owners *o, struct kc_informers *informers);

struct kc_disruption_counts {
        int64_t expected, desired_healthy;
        bool unmanaged; /* some pods have no controller */
};
/* Of a budget whose selector selects these pods. Fails when the controller of a pod has no number of replicas. */
int kc_disruption_count(const struct kc_disruption_owners *o, const struct json_object *pdb,
    const struct kc_objects *pods, struct kc_disruption_counts *ret, struct kc_error *err);
