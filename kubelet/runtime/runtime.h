/* The runtime manager: makes what the runtime has equal to what a pod's spec says. Upstream: pkg/kubelet/kuberuntime.
 *
 *   pod worker --sync_pod--> actions --> sandbox, images, init containers, containers --> CRI
 *              --kill_pod--> kills (preStop hook, StopContainer), each by itself --on_change--> pod worker again
 *
 * Calls for one pod come from one worker at a time and block only for as long as the runtime takes to create something.
 * What takes long (pulls, stopping with grace) runs by itself and pokes the pod through on_change when it is over. */
#pragma once

#include "event/worker.h"
#include "kubelet/cri/client.h"
#include "kubelet/env/env.h"
#include "kubelet/events/events.h"
#include "kubelet/podfiles/podfiles.h"
#include "kubelet/prober/prober.h"
#include "kubelet/runtime/types.h"
#include "kubelet/volumes/volumes.h"

struct kc_runtime;

struct kc_runtime_opts {
        struct kc_loop *loop;
        struct kc_pool *pool;
        struct kc_cri *cri;
        struct kc_kubelet_events *events;
        struct kc_volumes *volumes;
        struct kc_env_sources env;
        struct kc_dns_settings dns;
        const char *node_name, *root_dir, *pod_logs_dir, *container_logs_dir;
        const char *cgroup_fs;     /* NULL: /sys/fs/cgroup */
        const char *cgroup_root;   /* "" : no pod cgroups; "/kubepods" */
        const char *cgroup_driver; /* "cgroupfs" or "systemd" */
        bool cpu_cfs_quota;
        int64_t cpu_cfs_period_usec;
        const char *seccomp_default; /* "RuntimeDefault" with --seccomp-default, else NULL */
        int64_t memory_capacity;     /* bytes, for OOM score adjustment */
        int64_t max_backoff_usec;    /* CrashLoopBackOff; 0: 5 minutes */
        double registry_qps;         /* pulls per second; 0: no limit */
        int registry_burst;
        int max_parallel_pulls; /* 1: one after another */
        const struct kc_clock *clock;
        /* Any thread: something of the pod has changed that its worker should look at. */
        void (*on_change)(void *arg, const char *pod_uid);
        /* Result of the probes of a container ID. */
        enum kc_probe_result (*probe)(void *arg, enum kc_probe_kind kind, const char *container_id);
        void *arg;
};
/* Options are copied, what they point to is borrowed. */
int kc_runtime_new(const struct kc_runtime_opts *o, struct kc_runtime **ret, struct kc_error *err);
/* After the pool has drained and the loop stopped. */
void kc_runtime_free(struct kc_runtime *r);
KC_DEFINE_CLEANUP(struct kc_runtime *, kc_runtime_free)

/* The pod as the runtime has it now. ns and name may be NULL (taken from labels). No sandbox or container: an empty
 * one. */
int kc_runtime_fetch(struct kc_runtime *r, const char *uid, const char *ns, const char *name,
    struct kc_pod_runtime **ret, struct kc_error *err);

/* Why containers of a pod are not running: what the last sync ended with. Kept by the worker of the pod from one sync
 * to the next, read by the status generator. */
struct kc_start_reason {
        char *container, *reason, *message; /* "CrashLoopBackOff", "back-off 10s restarting failed container=..." */
        kc_time not_before;                 /* no other try earlier, unless the container's spec changes; 0: any time */
        uint32_t hash;                      /* of the spec that failed */
};
struct kc_pod_sync {
        struct kc_start_reason *reasons;
        size_t n_reasons;
        char **restart_anyway;        /* containers killed by us that are to be started again (kc_actions_compute) */
        kc_time retry_at;             /* earliest time at which another sync can get further; 0: none */
        bool changed;                 /* something was created, started or removed: fetch again */
        struct json_object *actuated; /* what containers run with (pod/resize.h); NULL: taken from the first spec */
        bool resized;                 /* the last sync has changed that */
        char *resize_error;           /* why the last resize failed; NULL: it did not */
};
void kc_pod_sync_done(struct kc_pod_sync *s);
/* NULL: none. */
const struct kc_start_reason *kc_pod_sync_reason(const struct kc_pod_sync *s, const char *container);
/* reason NULL: the container has started, nothing is to be said. */
void kc_pod_sync_set_reason(struct kc_pod_sync *s, const char *container, const char *reason, const char *message);
void kc_pod_sync_delay(struct kc_pod_sync *s, const char *container, kc_time not_before, uint32_t hash);

/* One step towards the spec. rt is what kc_runtime_fetch gave a moment ago. On error (sandbox creation; a message
 * for the log) the next sync comes after sync->retry_at. */
int kc_runtime_sync_pod(struct kc_runtime *r, struct kc_object *pod, const struct kc_pod_runtime *rt,
    const struct kc_pod_facts *facts, struct kc_pod_sync *sync, struct kc_error *err);

/* One step towards an end of all containers and sandboxes: starts kills that are not under way (or under way with a
 * longer grace), sidecars after the others, then stops sandboxes. pod NULL: only what the runtime knows. grace_seconds:
 * -1 the pod's own. started: when the ending began. Returns 1 when all is ended, 0 when on_change will come, negative:
 * error. */
int kc_runtime_kill_pod(struct kc_runtime *r, struct kc_object *pod, const struct kc_pod_runtime *rt,
    int64_t grace_seconds, kc_time started, struct kc_error *err);

/* Removes all containers and sandboxes of a pod that has ended, with their logs when delete_logs. */
int kc_runtime_remove_pod(
    struct kc_runtime *r, const struct kc_pod_runtime *rt, bool delete_logs, struct kc_error *err);
/* Drops what is remembered about a pod (back-off). */
void kc_runtime_forget_pod(struct kc_runtime *r, const char *uid);

/* Removes the pod's cgroup; processes left in it are killed. */
int kc_runtime_remove_cgroup(struct kc_runtime *r, const char *uid, const char *qos, struct kc_error *err);

/* --- Garbage, blocking. */
/* Dead containers beyond max_per_container (newest kept) and older sandboxes that are not ready; log directories and
 * links of pods that are not wanted. wanted: is the pod of that uid known. */
int kc_runtime_gc(struct kc_runtime *r, int max_per_container, int64_t min_age_usec,
    bool (*wanted)(void *arg, const char *uid), void *arg, struct kc_error *err);
/* Images that no container uses, oldest use first, when the image file system is fuller than high_percent, until
 * low_percent. Images younger than min_age_usec stay. */
int kc_runtime_gc_images(
    struct kc_runtime *r, int high_percent, int low_percent, int64_t min_age_usec, struct kc_error *err);
/* Rotates the log of a running container when it is larger than max_size; keeps max_files, older ones compressed. */
int kc_runtime_rotate_log(
    struct kc_runtime *r, const struct kc_rt_container *c, int64_t max_size, int max_files, struct kc_error *err);
