/* What controllers share that own other objects: claiming them by selector and ownerReference (upstream's
 * ControllerRefManager), pods from templates, which pods count. Functions that call the API server block: worker
 * threads. */
#pragma once

#include "api/object.h"
#include "api/selector.h"
#include "client/recorder.h"
#include "client/rest.h"

struct kc_owner {
        struct kc_rest *rest;
        const struct kc_gvr *gvr;       /* of the owner */
        const struct json_object *tree; /* of the owner, as the cache has it */
        const struct kc_selector *selector;
};

/* Appends to claimed those children that belong to the owner: controlled by it and matching; matching orphans are
 * adopted, controlled ones that do not match any more are released. Children controlled by others are left alone.
 * Adoption first asks the API server whether the owner still exists with its uid and is not being deleted. */
int kc_children_claim(const struct kc_owner *o, const struct kc_gvr *child, const struct kc_objects *candidates,
    struct kc_objects *claimed, struct kc_error *err);

/* A new pod tree from spec.template of the owner: labels, annotations, finalizers, spec, generateName "<name>-",
 * controller reference. */
struct json_object *kc_pod_from_template(
    const struct json_object *owner, const struct kc_gvr *owner_gvr, const struct json_object *pod_template);

/* Neither ended nor being deleted. */
bool kc_pod_is_active(const struct json_object *pod);

/* Sorts pods so that those come first that should be deleted first: upstream's ActivePodsWithRanks (unassigned,
 * pending, not ready, pod-deletion-cost, more of the same owner on its node (ranks[i] of v[i], may be NULL), ready for
 * less time, more restarts, younger). */
void kc_pods_sort_for_deletion(struct kc_objects *pods, const int *ranks);

/* Adds the objects of an owner's namespace that it controls (index "controller", kc_index_by_controller_uid) and the
 * orphans there that match (index "namespace-orphans", kc_index_orphans). */
struct kc_informer;
void kc_children_candidates(struct kc_informer *children, const struct json_object *owner, struct kc_objects *ret);
void kc_index_orphans(const struct kc_object *obj, char ***values);
/* Adds both indexes, once for an informer that controllers share (asked by name: adding again is harmless). */
void kc_children_add_indexes(struct kc_informer *children);
