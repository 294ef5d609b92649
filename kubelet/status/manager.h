/* Statuses of pods on their way to the API: the latest one of each pod is kept and written when it differs from what
 * the API has. After the final status of a deleted pod the API object itself is deleted.
 *
 *   worker --set--> { uid: status, version } --queue--> patch --> (finished and deleted) --> DELETE, grace 0
 */
#pragma once

#include "client/informer.h"
#include "client/workqueue.h"

struct kc_status_manager;

struct kc_status_manager_opts {
        struct kc_loop *loop;
        struct kc_pool *pool;
        struct kc_rest *rest;     /* NULL: standalone, statuses are only kept */
        struct kc_informer *pods; /* of this node; NULL with rest NULL */
        int workers;
        const struct kc_clock *clock;
};
struct kc_status_manager *kc_status_manager_new(const struct kc_status_manager_opts *o);
/* After the pool has drained. */
void kc_status_manager_free(struct kc_status_manager *m);
KC_DEFINE_CLEANUP(struct kc_status_manager *, kc_status_manager_free)
/* On the loop, when the pods are synced. */
void kc_status_manager_start(struct kc_status_manager *m);
/* On the loop: writes no more. */
void kc_status_manager_stop(struct kc_status_manager *m);

/* Any thread, all below. Takes the status; nothing happens if it equals the last one. */
void kc_status_manager_set(struct kc_status_manager *m, struct kc_object *pod, struct json_object *take_status);
/* The last status that was set, the caller's copy; NULL: none. */
struct json_object *kc_status_manager_get(struct kc_status_manager *m, const char *uid);
/* The pod has no containers, volumes or cgroup any more: the status is its last one, and if the pod is deleted its API
 * object may go. */
void kc_status_manager_finish(struct kc_status_manager *m, struct kc_object *pod, struct json_object *take_status);
/* Looks at the pod again (its API object or mirror pod has changed). */
void kc_status_manager_poke(struct kc_status_manager *m, const char *uid);
void kc_status_manager_forget(struct kc_status_manager *m, const char *uid);

/* The strategic merge patch that turns the API's status into ours: changed fields, conditions by type, foreign ones
 * untouched; NULL if nothing differs. Pure. */
struct json_object *kc_status_patch(const struct json_object *api, const struct json_object *ours);
