/* Shared by the files of the runtime manager. */
#pragma once

#include <pthread.h>

#include "api/quantity.h"
#include "base/map.h"
#include "kubelet/runtime/actions.h"
#include "kubelet/runtime/backoff.h"
#include "kubelet/runtime/images.h"
#include "kubelet/runtime/runtime.h"

#define KC_LABEL_POD_NAME "io.kubernetes.pod.name"
#define KC_LABEL_POD_NAMESPACE "io.kubernetes.pod.namespace"
#define KC_LABEL_POD_UID "io.kubernetes.pod.uid"
#define KC_LABEL_CONTAINER_NAME "io.kubernetes.container.name"
#define KC_ANNOTATION_HASH "io.kubernetes.container.hash"
#define KC_ANNOTATION_RESTART_COUNT "io.kubernetes.container.restartCount"
#define KC_ANNOTATION_MESSAGE_PATH "io.kubernetes.container.terminationMessagePath"
#define KC_ANNOTATION_MESSAGE_POLICY "io.kubernetes.container.terminationMessagePolicy"
#define KC_ANNOTATION_GRACE "io.kubernetes.pod.terminationGracePeriod"

struct kc_runtime {
        struct kc_runtime_opts o;
        struct kc_backoff *crash_backoff;
        struct kc_images *images;
        struct kc_kills *kills;
};

/* --- Messages on an arena: protobuf structs borrow strings, what has to be made is freed at once by kc_arena_done. */
struct kc_arena {
        void **v;
        size_t n;
};
void *kc_arena_add(struct kc_arena *a, void *take_p); /* returns p */
void *kc_arena_calloc(struct kc_arena *a, size_t n, size_t size);
char *kc_arena_printf(struct kc_arena *a, const char *fmt, ...) KC_PRINTF(2, 3);
void kc_arena_done(struct kc_arena *a);

/* --- config.c: CRI configurations from a pod. Everything made is on the arena or borrowed from pod and opts. */
int kc_sandbox_config_make(struct kc_runtime *r, const struct json_object *pod, uint32_t attempt,
    struct kc_arena *arena, kc_cri_sandbox_config **ret, struct kc_error *err);
struct kc_container_input {
        const struct json_object *pod, *container;
        const struct kc_env *env;
        const struct kc_volume_mounts *mounts;
        const char *image_ref;  /* what to run */
        int64_t image_uid;      /* user of the image; -1: a name or none */
        const char *image_user; /* name, "" if none */
        int restart_count;
        const char *target_id; /* container whose PID namespace an ephemeral container joins */
};
/* Also makes the container's directory and its termination log. -EINVAL etc.: CreateContainerConfigError. */
int kc_container_config_make(struct kc_runtime *r, const struct kc_container_input *in, struct kc_arena *arena,
    kc_cri_container_config **ret, struct kc_error *err);
/* resources.c */
Runtime__V1__LinuxContainerResources *kc_container_resources_make(
    struct kc_runtime *r, const struct json_object *pod, const struct json_object *container, struct kc_arena *arena);
/* security.c */
int kc_container_security_make(struct kc_runtime *r, const struct kc_container_input *in, struct kc_arena *arena,
    Runtime__V1__LinuxContainerSecurityContext **ret, struct kc_error *err);
Runtime__V1__NamespaceOption *kc_namespace_options_make(
    const struct json_object *pod, const char *target_id, struct kc_arena *arena);
Runtime__V1__SecurityProfile *kc_seccomp_make(
    struct kc_runtime *r, const struct json_object *pod, const struct json_object *container, struct kc_arena *arena);
void kc_supplemental_groups_make(const struct json_object *pod, struct kc_arena *arena, int64_t **ret, size_t *ret_n);

/* cgroup.c: "/kubepods/burstable/pod<uid>"; heap. "" without pod cgroups. */
char *kc_pod_cgroup(const struct kc_runtime *r, const char *uid, const char *qos);
/* Makes it with the pod's limits. */
int kc_pod_cgroup_ensure(struct kc_runtime *r, const struct json_object *pod, struct kc_error *err);

/* --- resize.c: what a container has been started or resized with. */
void kc_resize_record(struct kc_pod_sync *sync, const struct json_object *container);
/* Resizes running containers that differ from what sync->actuated says, but those that are to be killed. */
int kc_resize_containers(struct kc_runtime *r, const struct json_object *pod, const struct kc_pod_runtime *rt,
    struct kc_pod_sync *sync, const struct kc_actions *a, struct kc_error *err);

/* --- kills.c: containers that are being stopped. */
struct kc_kills *kc_kills_new(struct kc_runtime *r);
void kc_kills_free(struct kc_kills *k);
/* Begins to stop a container unless that is under way with no longer grace. grace_seconds -1: by the pod, or by the
 * probe (reason). Sends the Killing event the first time. */
void kc_kills_start(struct kc_kills *k, struct kc_object *pod, const char *pod_uid, const struct kc_rt_container *c,
    const char *pod_ip, int64_t grace_seconds, enum kc_kill_reason reason, const char *message);
bool kc_kills_active(struct kc_kills *k, const char *container_id);
