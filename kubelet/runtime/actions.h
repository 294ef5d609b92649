/* What has to be done to bring a pod from what the runtime has to what its spec says: a pure function of both, with the
 * rules of upstream's computePodActions. */
#pragma once

#include "kubelet/prober/prober.h"
#include "kubelet/runtime/types.h"
#include "json/json.h"

/* A running container that must end. Pointers are borrowed from the inputs, but message. */
struct kc_kill {
        const struct kc_rt_container *container;
        enum kc_kill_reason { KC_KILL_CHANGED, KC_KILL_LIVENESS, KC_KILL_STARTUP, KC_KILL_UNKNOWN } reason;
        char *message; /* for the Killing event */
        bool restart;  /* start it anew once it has ended, whatever the restart policy says about ended ones */
};

struct kc_actions {
        bool kill_pod;       /* end all containers and sandboxes */
        bool create_sandbox; /* after kill_pod, if both */
        uint32_t attempt;    /* of the new sandbox */
        /* spec containers to start now, in this order; borrowed JSON */
        const struct json_object **start;
        size_t n_start;
        struct kc_kill *kill;
        size_t n_kill;
};

/* Results of probes for a container ID; NULL: always unknown. */
typedef enum kc_probe_result (*kc_probe_result_fn)(void *arg, enum kc_probe_kind kind, const char *container_id);

/* restart_anyway: strv of names of containers that were killed to be restarted (struct kc_kill.restart), or NULL.
 * actuated: resources with which containers run (pod/resize.h), or NULL. */
void kc_actions_compute(const struct json_object *pod, const struct kc_pod_runtime *rt, kc_probe_result_fn probe,
    void *probe_arg, char *const *restart_anyway, const struct json_object *actuated, struct kc_actions *ret);
void kc_actions_done(struct kc_actions *a);

/* Does the restart policy (the pod's, or the container's own with its rules) want the container started, given its
 * newest instance (NULL: there is none)? */
bool kc_container_should_start(
    const struct json_object *pod, const struct json_object *container, const struct kc_rt_container *status);
