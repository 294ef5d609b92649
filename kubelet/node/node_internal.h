/* Shared by the files of the node part. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "kubelet/node/node.h"

/* What the runtime said last. */
struct kc_runtime_look {
        bool up, network_ready;
        char *why;         /* of the runtime not being ready; NULL */
        char *network_why; /* of the network; NULL */
        char *name, *version;
};
void kc_runtime_look_done(struct kc_runtime_look *l);

struct kc_node {
        struct kc_node_opts o;
        struct kc_timer *timer, *lease_timer;
        atomic_bool ticking, renewing, stopped;
        /* the tick's own */
        bool registered, started_event, ready_once;
        int failures; /* of reporting, in a row */
        kc_mono started_at;
        kc_time reported_at;        /* last status write */
        struct json_object *lease;  /* as the API has it; the renewal's own */
        struct json_object *images; /* status.images, refreshed when due */
        kc_time images_at;
        pthread_mutex_t mutex;
        /* guarded by mutex */
        struct kc_runtime_look look;
        struct kc_object *local; /* our Node with the latest status */
};

/* --- facts.c: the machine. Pure but for reading /proc and /sys. */
int64_t kc_machine_cpus(void);
/* {"cpu":"2","memory":"24684096Ki",...} */
struct json_object *kc_machine_capacity(const char *root_dir, int max_pods, int pods_per_core);
/* Capacity less reservations ("cpu=100m") and hard eviction thresholds. */
struct json_object *kc_machine_allocatable(const struct json_object *capacity, char *const *kube_reserved,
    char *const *system_reserved, char *const *eviction_hard);
struct json_object *kc_machine_info(const char *runtime_name, const char *runtime_version);
struct kc_pressure {
        bool memory, disk, pid;
};
struct kc_pressure kc_machine_pressure(const char *root_dir, char *const *eviction_hard);

/* --- status.c */
/* The Node's new status, from its old one (may be NULL). */
struct json_object *kc_node_status_make(struct kc_node *n, const struct json_object *old,
    const struct kc_runtime_look *look, char *const *addresses, const struct kc_pressure *pressure,
    const char *not_ready, kc_time now);
/* Is there a difference besides heartbeats? */
bool kc_node_status_changed(const struct json_object *old, const struct json_object *status);
/* Strategic merge patch of the status. */
struct json_object *kc_node_status_patch(const struct json_object *old, const struct json_object *status);
/* The Node to register. */
struct json_object *kc_node_initial(struct kc_node *n);

/* --- lease.c: callback of lease_timer. */
void kc_node_lease_tick(void *node);
/* --- cni.c: pod_cidrs a strv. Written only if it differs. */
/* ipam_dir: where host-local keeps what it has given: below the kubelet's own directory, so that two clusters on one
 * machine do not share it. */
int kc_cni_config_write(const char *dir, const char *ipam_dir, char *const *pod_cidrs, struct kc_error *err);
char *kc_cni_config_text(const char *ipam_dir, char *const *pod_cidrs);
