/* Inside the Deployment controller. One sync works on a struct kc_dsync: trees of its own, changed as writes succeed.
 * Pool threads. Mirrors upstream's pkg/controller/deployment. */
#pragma once

#include "client/informer.h"
#include "client/recorder.h"
#include "client/workqueue.h"

#define KC_REVISION "deployment.kubernetes.io/revision"
#define KC_REVISION_HISTORY "deployment.kubernetes.io/revision-history"
#define KC_DESIRED "deployment.kubernetes.io/desired-replicas"
#define KC_MAX_REPLICAS "deployment.kubernetes.io/max-replicas"
#define KC_TEMPLATE_HASH "pod-template-hash"

struct kc_deployments {
        struct kc_rest *rest;
        struct kc_informer *deployments, *sets, *pods;
        struct kc_controller *controller;
        struct kc_recorder *recorder;
};

struct kc_dsync {
        struct kc_deployments *c;
        const char *key;
        struct json_object *d;     /* own copy; as last read or written */
        struct json_object **sets; /* own copies of all ReplicaSets, oldest first */
        size_t n;
        int new_set; /* index of the one with the present template; -1: none */
};

/* --- deployment_util.c */
int64_t kc_replicas(const struct json_object *o); /* spec.replicas, 1 by default */
int64_t kc_status_int(const struct json_object *o, const char *field);
bool kc_is_rolling(const struct json_object *d);
int64_t kc_max_surge(const struct json_object *d);
int64_t kc_max_unavailable(const struct json_object *d);
bool kc_is_active_set(const struct json_object *rs); /* spec.replicas > 0 */
bool kc_template_equal(const struct json_object *a, const struct json_object *b);
/* The hash in the names of ReplicaSets; heap. */
char *kc_template_hash(const struct json_object *pod_template, int64_t collisions);
int64_t kc_revision(const struct json_object *o);
int64_t kc_sum_replicas(const struct kc_dsync *s, bool old_only);
int64_t kc_sum_status(const struct kc_dsync *s, const char *field);
/* Sets the annotations of a ReplicaSet that follow the Deployment; true if something changed. */
bool kc_set_replicas_annotations(struct json_object *rs, int64_t desired, int64_t max);
bool kc_copy_annotations(struct json_object *rs, const struct json_object *d);
/* Conditions of Deployments have lastUpdateTime, too. reason and message must differ for a change. */
void kc_deployment_condition(
    struct json_object *status, const char *type, const char *value, const char *reason, const char *message);
void kc_condition_remove(struct json_object *status, const char *type);

/* --- deployment_sets.c: writing ReplicaSets */
/* Finds the new set and brings its annotations up to date; creates it if asked to. */
int kc_sync_new_set(struct kc_dsync *s, bool create, struct kc_error *err);
/* Writes spec.replicas of sets[i]; an event tells. *ret_scaled is set when something was written. */
int kc_scale_set(struct kc_dsync *s, size_t i, int64_t replicas, bool *ret_scaled, struct kc_error *err);
int64_t kc_new_set_replicas(const struct kc_dsync *s, int64_t current);
/* Deletes old empty sets beyond spec.revisionHistoryLimit. */
int kc_cleanup_sets(struct kc_dsync *s, struct kc_error *err);
/* Brings the numbers of a paused or resized Deployment in proportion. */
int kc_scale_all(struct kc_dsync *s, struct kc_error *err);

/* --- deployment_rollout.c */
int kc_rollout_rolling(struct kc_dsync *s, struct kc_error *err);
int kc_rollout_recreate(struct kc_dsync *s, struct kc_error *err);

/* --- deployment_status.c */
bool kc_deployment_complete(const struct json_object *d, const struct json_object *status);
/* progress: judge the progress deadline, too. */
int kc_write_deployment_status(struct kc_dsync *s, bool progress, struct kc_error *err);
/* DeploymentPaused / DeploymentResumed. */
int kc_check_paused(struct kc_dsync *s, struct kc_error *err);
