/* Inside the StatefulSet controller. Pool threads. Mirrors upstream's pkg/controller/statefulset. */
#pragma once

#include "client/recorder.h"
#include "controller-manager/owned_pods.h"

#define KC_REVISION_HASH "controller-revision-hash" /* of a pod: the name of its revision */

struct kc_statefulsets {
        struct kc_rest *rest;
        struct kc_informer *sets, *pods, *claims, *revisions;
        struct kc_controller *controller;
        struct kc_recorder *recorder;
        struct kc_owned_pods watch;
};

/* One look at a set. */
struct kc_ss_sync {
        struct kc_statefulsets *c;
        const struct json_object *set;
        struct json_object *status;               /* to be written */
        struct kc_objects pods;                   /* claimed */
        int64_t start, replicas;                  /* ordinals: start <= i < start + replicas */
        struct kc_object **replica;               /* [i - start], borrowed; NULL: there is none */
        struct kc_objects condemned;              /* of other ordinals, highest first */
        char *current_revision, *update_revision; /* names of ControllerRevisions */
        struct json_object *current_template;     /* of the current revision; NULL: as spec.template */
        int64_t min_ready;
        kc_time now;
};

/* --- statefulset_pods.c */
/* -1: no pod of the set by its name. */
int64_t kc_ss_ordinal(const struct json_object *set, const char *pod_name);
/* A new pod for the ordinal, of the revision that it is due. */
struct json_object *kc_ss_new_pod(const struct kc_ss_sync *s, int64_t ordinal);
/* Creates what claims the ordinal lacks, then the pod. */
int kc_ss_create(struct kc_ss_sync *s, int64_t ordinal, struct kc_error *err);
int kc_ss_delete(struct kc_ss_sync *s, const struct kc_object *pod, struct kc_error *err);
/* Name, labels and claims of a pod are what they have to be, and the claims have the owners that
 * persistentVolumeClaimRetentionPolicy asks for. */
int kc_ss_fix(struct kc_ss_sync *s, const struct kc_object *pod, bool condemned, struct kc_error *err);

/* --- statefulset_update.c */
/* Creates and deletes pods, in order unless podManagementPolicy is Parallel; then replaces pods of older revisions. */
int kc_ss_update(struct kc_ss_sync *s, struct kc_error *err);
bool kc_ss_is_running_and_ready(const struct json_object *pod);
