/* Inside the DaemonSet controller. Pool threads. Mirrors upstream's pkg/controller/daemon. */
#pragma once

#include "base/map.h"
#include "client/informer.h"
#include "client/recorder.h"
#include "client/workqueue.h"
#include "controller-manager/owned_pods.h"

#define KC_REVISION_HASH "controller-revision-hash"

struct kc_daemonsets {
        struct kc_rest *rest;
        struct kc_informer *sets, *pods, *nodes, *revisions;
        struct kc_controller *controller;
        struct kc_expectations *expectations;
        struct kc_recorder *recorder;
        struct kc_owned_pods watch;
};

/* The pods of one node. */
struct kc_node_pods {
        struct kc_objects pods;
};

struct kc_ds_sync {
        struct kc_daemonsets *c;
        const char *key;
        const struct json_object *ds;
        char *hash;              /* controller-revision-hash of the present template */
        struct kc_objects nodes; /* all */
        struct kc_map *by_node;  /* node name -> struct kc_node_pods * */
        struct kc_objects pods;  /* claimed */
};

/* Should a pod of the set be on the node; may one that is there stay. */
void kc_ds_node_wants(
    const struct json_object *ds, const struct json_object *node, bool *ret_should_run, bool *ret_may_stay);
/* A new pod for the node. */
struct json_object *kc_ds_new_pod(const struct json_object *ds, const char *node, const char *hash);
/* Creates on the nodes, deletes the pods (borrowed); counts expectations. */
int kc_ds_apply(struct kc_ds_sync *s, char *const *create_on, const struct kc_objects *victims, struct kc_error *err);
const struct kc_objects *kc_ds_pods_on(const struct kc_ds_sync *s, const char *node);
bool kc_ds_is_current(const struct kc_ds_sync *s, const struct json_object *pod);

/* --- daemonset_update.c */
/* The ControllerRevision of the present template: found or made; sets s->hash. */
int kc_ds_history(struct kc_ds_sync *s, struct kc_error *err);
int kc_ds_cleanup_history(struct kc_ds_sync *s, struct kc_error *err);
int kc_ds_rolling_update(struct kc_ds_sync *s, struct kc_error *err);
int kc_ds_write_status(struct kc_ds_sync *s, struct kc_error *err);
