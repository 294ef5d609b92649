/* Rollouts: what they are at, and their revisions. */
#pragma once

#include "cli/objects.h"

/* kubectl's status viewers: *ret_message (heap, with newline) and whether it is done. -EINVAL: kinds without rollouts,
 * failed ones. */
int kc_rollout_status(
    const struct json_object *obj, const char *kind, char **ret_message, bool *ret_done, struct kc_error *err);

/* One revision of a Deployment (a ReplicaSet) or DaemonSet (a ControllerRevision). */
struct kc_revision {
        int64_t number;
        const char *change_cause; /* of obj, or NULL */
        const struct json_object *obj;
};
struct kc_revisions {
        struct kc_revision *v; /* ascending */
        size_t n;
        struct json_object *list;
};
int kc_rollout_revisions(struct kc_cli *c, const struct kc_found *f, struct kc_revisions *ret, struct kc_error *err);
void kc_revisions_done(struct kc_revisions *r);
/* The patch that goes back to that revision (0: the one before), *ret_patch NULL when it is what runs already;
 * *ret_revision says which. */
int kc_rollout_undo_patch(const struct kc_found *f, const struct kc_revisions *r, int64_t to,
    struct json_object **ret_patch, const char **ret_content_type, int64_t *ret_revision, struct kc_error *err);
