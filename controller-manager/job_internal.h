/* Inside the Job controller. Pool threads. Mirrors upstream's pkg/controller/job. */
#pragma once

#include "client/recorder.h"
#include "controller-manager/owned_pods.h"

#define KC_JOB_FINALIZER "batch.kubernetes.io/job-tracking"
#define KC_JOB_INDEX "batch.kubernetes.io/job-completion-index"
#define KC_JOB_INDEX_FAILURES "batch.kubernetes.io/job-index-failure-count"

/* --- job_indexes.c: a set of completion indexes, as intervals in order: "0-3,5,7,8". */
struct kc_indexes {
        struct kc_index_interval {
                int64_t first, last;
        } * v;
        size_t n;
};
/* Those below limit; what is no number ends the reading. */
void kc_indexes_parse(struct kc_indexes *s, const char *text, int64_t limit);
char *kc_indexes_format(const struct kc_indexes *s);
void kc_indexes_add(struct kc_indexes *s, int64_t i);
bool kc_indexes_has(const struct kc_indexes *s, int64_t i);
int64_t kc_indexes_count(const struct kc_indexes *s);
void kc_indexes_done(struct kc_indexes *s);

struct kc_jobs {
        struct kc_rest *rest;
        struct kc_informer *jobs, *pods;
        struct kc_controller *controller;
        struct kc_expectations *expectations;
        struct kc_recorder *recorder;
        struct kc_owned_pods watch;
};

/* Why the Job ends: its interim condition, and what becomes of it. */
struct kc_job_end {
        bool success;
        const char *reason; /* NULL: it does not end */
        char *message;
};

/* One look at a Job. */
struct kc_job_sync {
        struct kc_jobs *c;
        const char *key;
        const struct json_object *job;
        struct json_object *status;           /* to be written */
        struct kc_objects pods;               /* claimed, all */
        struct kc_objects active;             /* of them: neither ended nor being deleted */
        bool indexed, per_index, only_failed; /* only_failed: replace pods only once they have failed */
        int64_t completions;                  /* -1: any success will do */
        int64_t parallelism, backoff_limit;
        struct kc_indexes succeeded_indexes, failed_indexes;
        int64_t succeeded, failed; /* with those that are not counted in the status yet */
        int64_t terminating;
        kc_time now;
        struct kc_job_end end;
        bool managed; /* pods have been made or removed as wished: the suspension took effect */
};

/* --- job_pods.c */
int64_t kc_job_pod_index(const struct json_object *pod); /* -1: none */
bool kc_job_pod_succeeded(const struct json_object *pod);
/* Failed, or being deleted where that counts as such. */
bool kc_job_pod_failed(const struct kc_job_sync *s, const struct json_object *pod);
/* How often the index has failed, with that pod's own failure if it has failed. */
int64_t kc_job_index_failures(const struct kc_job_sync *s, int64_t index);
/* Makes or removes pods until as many are active as should be. */
int kc_job_manage(struct kc_job_sync *s, struct kc_error *err);
/* Deletes all active pods: the Job has ended. */
int kc_job_delete_active(struct kc_job_sync *s, struct kc_error *err);
int kc_job_release(struct kc_jobs *c, const struct json_object *pod, struct kc_error *err); /* drops the finalizer */
/* Microseconds until the next pod may be made. */
int64_t kc_job_backoff(const struct kc_job_sync *s);

/* --- job_policy.c */
enum kc_failure_action { KC_FAIL_COUNT, KC_FAIL_IGNORE, KC_FAIL_JOB, KC_FAIL_INDEX };
/* What spec.podFailurePolicy says of a failed pod; for KC_FAIL_JOB *ret_message (heap, may be NULL) says why. */
enum kc_failure_action kc_job_failure_action(
    const struct json_object *job, const struct json_object *pod, char **ret_message);
/* The first rule of spec.successPolicy that is met; -1: none. */
int kc_job_success_rule(const struct json_object *job, const struct kc_indexes *succeeded);
/* Sets s->end if the Job has to end now. */
void kc_job_decide_end(struct kc_job_sync *s);

/* --- job_track.c: finished pods are counted once: their uids go to the status before their finalizers go. */
/* Fills the counts of s. */
void kc_job_count(struct kc_job_sync *s);
/* Moves what is safe from status.uncountedTerminatedPods to the counters, and notes newly finished pods there. Appends
 * to ret_release the pods whose finalizer may go once the status has been written. */
void kc_job_track(struct kc_job_sync *s, struct kc_objects *ret_release);
bool kc_job_has_uncounted(const struct kc_job_sync *s);
