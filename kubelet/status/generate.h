/* The status of a pod as the API shows it, from what the runtime has. Upstream: kubelet_pods.go (generateAPIPodStatus,
 * convertStatusToAPIStatus, getPhase) and status/generate.go. Pure: any thread. */
#pragma once

#include "api/object.h"
#include "kubelet/env/env.h"
#include "kubelet/prober/prober.h"
#include "kubelet/runtime/runtime.h"
#include "kubelet/runtime/types.h"

/* What is to be said about a resize; reasons NULL: nothing. */
struct kc_resize_state {
        const char *pending_reason, *pending_message; /* "Deferred" or "Infeasible": PodResizePending */
        bool in_progress;                             /* allocated, not yet actuated: PodResizeInProgress */
        const char *error;                            /* why not */
};

struct kc_status_input {
        const struct json_object *pod;
        const struct json_object *old;   /* the status generated last, or the API's after a restart; NULL: none */
        const struct kc_pod_runtime *rt; /* NULL: nothing yet */
        const struct kc_pod_sync *sync;  /* reasons of containers that wait; NULL: none */
        char *const *host_ips;
        const char *runtime_name; /* "containerd": prefix of container IDs */
        bool terminal;            /* no container will start any more */
        /* Set when the kubelet itself ends the pod (admission, eviction, deadline): "Failed" phase with these. */
        const char *fail_reason, *fail_message;
        struct kc_resize_state resize;
        kc_time now;
        /* Probes: result of a container ID, and whether there is a probe of the kind for a container. NULL: none. */
        enum kc_probe_result (*probe)(void *arg, enum kc_probe_kind kind, const char *container_id);
        void *probe_arg;
};
/* A new status object. */
struct json_object *kc_status_generate(const struct kc_status_input *in);

/* The last status of a pod whose containers are all gone: containers without an end become ContainerStatusUnknown, the
 * phase terminal. In place. */
void kc_status_terminate(struct json_object *status, const struct json_object *pod);

/* conditions.c: appends the kubelet's conditions to status.conditions, keeping foreign ones of old. */
void kc_status_add_conditions(struct json_object *status, const struct kc_status_input *in);
/* phase.c: from status.{init,}containerStatuses. */
const char *kc_status_phase(const struct json_object *status, const struct json_object *pod, bool terminal);
