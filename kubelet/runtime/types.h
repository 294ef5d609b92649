/* A pod as the runtime has it: all its sandboxes and containers, newest first.
 *
 *   kc_pod_runtime { uid, ns, name }
 *     sandboxes[]  { id, attempt, ready, ips }        [0] is the current one
 *     containers[] { id, name, attempt, state, ... }  first one of a name is the current one
 *
 * Immutable and reference-counted (atomic): any thread. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/macros.h"

enum kc_container_state { KC_STATE_CREATED, KC_STATE_RUNNING, KC_STATE_EXITED, KC_STATE_UNKNOWN };

struct kc_rt_container {
        char *id, *name, *sandbox_id;
        char *image, *image_ref; /* as given in the pod; what the runtime resolved it to ("sha256:..." or digest) */
        enum kc_container_state state;
        kc_time created_at, started_at, finished_at; /* 0: not yet */
        int exit_code;
        char *reason, *message; /* "Completed", "Error", "OOMKilled", ...; never NULL */
        int restart_count;
        uint32_t hash; /* kc_container_hash of the spec that it was made from */
        bool has_hash;
        char *log_path;
        char *termination_message_path, *termination_message_policy; /* from annotations; "" if none */
        int64_t grace_seconds;                                       /* pod's grace period at creation; -1: not known */
        int pid;                                                     /* of its first process; 0: not told */
};

struct kc_rt_sandbox {
        char *id;
        uint32_t attempt;
        bool ready;
        bool host_network;
        kc_time created_at;
        char **ips; /* strv, NULL if none; only of the newest sandbox */
        int pid;
};

struct kc_pod_runtime {
        atomic_uint refs;
        char *uid, *ns, *name;
        struct kc_rt_sandbox *sandboxes;
        size_t n_sandboxes;
        struct kc_rt_container *containers;
        size_t n_containers;
};

/* An empty one to be filled before it is shared. */
struct kc_pod_runtime *kc_pod_runtime_new(const char *uid, const char *ns, const char *name);
struct kc_pod_runtime *kc_pod_runtime_ref(const struct kc_pod_runtime *p);
void kc_pod_runtime_unref(struct kc_pod_runtime *p);
KC_DEFINE_CLEANUP(struct kc_pod_runtime *, kc_pod_runtime_unref)
/* A zeroed element at the end (strings may stay NULL only until the object is shared). */
struct kc_rt_container *kc_pod_runtime_add_container(struct kc_pod_runtime *p);
struct kc_rt_sandbox *kc_pod_runtime_add_sandbox(struct kc_pod_runtime *p);
/* Newest first. */
void kc_pod_runtime_sort(struct kc_pod_runtime *p);

/* All accept p NULL. The newest container of that name; NULL: none. */
const struct kc_rt_container *kc_pod_runtime_container(const struct kc_pod_runtime *p, const char *name);
/* NULL: none. */
const struct kc_rt_container *kc_pod_runtime_container_by_id(const struct kc_pod_runtime *p, const char *id);
/* The newest sandbox if it is ready, else NULL. */
const struct kc_rt_sandbox *kc_pod_runtime_ready_sandbox(const struct kc_pod_runtime *p);
bool kc_pod_runtime_any_running(const struct kc_pod_runtime *p);
