/* Startup, liveness and readiness probes (http, tcp, exec, grpc). One prober task for each container and kind, on the
 * loop's timers; the probe itself runs on the pool. Upstream: pkg/kubelet/prober (worker.go's rules for initial delay,
 * period, success and failure thresholds, what a probe's result is before it ran, and when liveness waits for startup).
 *
 *   timer --> target(uid, container) --> probe on the pool --> thresholds --> result by container ID --> on_change
 */
#pragma once

#include "api/object.h"
#include "event/loop.h"
#include "event/worker.h"
#include "kubelet/cri/client.h"
#include "kubelet/events/events.h"

struct kc_prober;

enum kc_probe_kind { KC_PROBE_STARTUP, KC_PROBE_LIVENESS, KC_PROBE_READINESS };
enum kc_probe_result { KC_PROBE_UNKNOWN, KC_PROBE_SUCCESS, KC_PROBE_FAILURE };

/* The state of a container as the pod cache knows it. Filled by the owner of the pods; strings are heap. */
struct kc_probe_target {
        char *container_id; /* without "containerd://"; NULL: none yet */
        char *pod_ip;       /* the node's address for host-network pods; NULL: not known yet */
        bool running, terminated;
        bool will_not_restart; /* terminated for good: the task may end */
        kc_time started_at;
};
void kc_probe_target_done(struct kc_probe_target *t);

struct kc_prober_opts {
        struct kc_loop *loop;
        struct kc_pool *pool;
        struct kc_cri *cri;
        struct kc_kubelet_events *events; /* Unhealthy: "Readiness probe failed: <output>", ProbeWarning */
        const struct kc_clock *clock;
        /* Any thread. False: no such pod. */
        bool (*target)(void *arg, const char *pod_uid, const char *container, struct kc_probe_target *ret);
        /* Any thread, must not block: a result of a container has changed. */
        void (*on_change)(void *arg, const char *pod_uid, const char *container, enum kc_probe_kind kind,
            enum kc_probe_result result);
        void *arg;
};
int kc_prober_new(const struct kc_prober_opts *o, struct kc_prober **ret, struct kc_error *err);
/* On the loop, before the pool is freed: no probe begins any more. */
void kc_prober_stop(struct kc_prober *p);
/* On the loop or after it stopped, when the pool has drained. */
void kc_prober_free(struct kc_prober *p);
KC_DEFINE_CLEANUP(struct kc_prober *, kc_prober_free)

/* Any thread, all below. Starts the tasks of the pod's containers and sidecars that have probes; those that run stay.
 */
void kc_prober_add_pod(struct kc_prober *p, struct kc_object *pod);
/* Pod is terminating: liveness and startup end, readiness goes on (upstream: StopLivenessAndStartup). */
void kc_prober_stop_liveness(struct kc_prober *p, const char *pod_uid);
void kc_prober_remove_pod(struct kc_prober *p, const char *pod_uid);
/* The latest result for the container ID. UNKNOWN: none yet, or no task of that kind. */
enum kc_probe_result kc_prober_result(struct kc_prober *p, enum kc_probe_kind kind, const char *container_id);
/* Is there a task of that kind for the container? (No probe: none.) */
bool kc_prober_has(struct kc_prober *p, enum kc_probe_kind kind, const char *pod_uid, const char *container);

/* --- One probe, blocking (worker threads), without thresholds. */
struct kc_probe_env {
        struct kc_cri *cri;
        struct kc_loop *loop;
        const char *pod_ip, *container_id;
        const struct json_object *pod, *container; /* named ports */
        const struct json_object *env;             /* not used */
};
/* probe: a v1.Probe. Returns the result; *ret_output (heap, "" if none, at most 10 KiB) says why, for the event:
 * upstream's texts
 * ("HTTP probe failed with statuscode: 500", "Get \"http://...\": dial tcp ...: connect: connection refused", "command
 * timed out"). */
enum kc_probe_result kc_probe_run(const struct kc_probe_env *e, const struct json_object *probe, char **ret_output);
