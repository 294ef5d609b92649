/* ControllerRevisions of an owner: one for each template it has had, numbered. Blocking: worker threads. */
#pragma once

#include "client/informer.h"

struct kc_history {
        struct kc_rest *rest;
        struct kc_informer *revisions;   /* with the indexes of children.h */
        const struct kc_gvr *gvr;        /* of the owner */
        const struct json_object *owner; /* spec.template, status.collisionCount */
        const char *label;               /* of a revision: its hash */
};

/* The data of the owner's present template: what a patch has to be to bring it back. */
struct json_object *kc_history_data(const struct json_object *owner);
/* Finds or makes the revision of that data and sees that it is the newest (a template that was there before becomes so
 * again). Outputs on the heap; either may be NULL. */
int kc_history_sync(
    const struct kc_history *h, struct json_object *take_data, char **ret_name, char **ret_hash, struct kc_error *err);
/* Deletes the oldest of those that are not in use until limit of them are left. */
int kc_history_cleanup(const struct kc_history *h, int64_t limit,
    bool (*in_use)(void *arg, const struct json_object *revision), void *arg, struct kc_error *err);
