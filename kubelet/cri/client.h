/* Client of a container runtime by CRI v1 (containerd, CRI-O): one blocking function for each call the kubelet makes.
 *
 *   worker thread --kc_cri_x--> kc_grpc_call --loop--> unix socket --> runtime
 *
 * All calls block: worker threads only, any number at a time. Errors carry the errno of the gRPC status (ENOENT: no
 * such container) and the runtime's message as it is: "rpc error: code = Unknown desc = ...". Messages returned are the
 * caller's, to be freed by kc_cri_free_msg (or the KC_CLEANUP of the same name). */
#pragma once

#include "base/buf.h"
#include "base/error.h"
#include "cri/cri.pb-c.h"
#include "event/loop.h"
#include "grpc/channel.h"

struct kc_cri;

struct kc_cri_opts {
        const char *runtime_endpoint; /* "unix:///run/containerd/containerd.sock" */
        const char *image_endpoint;   /* NULL: the same */
        int request_timeout_ms;       /* --runtime-request-timeout; 0: 2 minutes. Pulls have none but pull_timeout */
};

/* The loop does the I/O and must outlive the client. Connects at the first call. */
int kc_cri_new(struct kc_loop *loop, const struct kc_cri_opts *o, struct kc_cri **ret, struct kc_error *err);
/* Any thread: calls under way and later ones fail. */
void kc_cri_close(struct kc_cri *c);
/* On the loop or after it stopped, when no call is under way. */
void kc_cri_free(struct kc_cri *c);
KC_DEFINE_CLEANUP(struct kc_cri *, kc_cri_free)

void kc_cri_free_msg(void *msg); /* a ProtobufCMessage; NULL is fine */
static inline KC_UNUSED void kc_cri_free_msgp(void *p)
{
        kc_cri_free_msg(*(void **)p);
}

typedef Runtime__V1__PodSandboxConfig kc_cri_sandbox_config;
typedef Runtime__V1__ContainerConfig kc_cri_container_config;

/* --- Runtime service */
int kc_cri_version(struct kc_cri *c, Runtime__V1__VersionResponse **ret, struct kc_error *err);
int kc_cri_status(struct kc_cri *c, Runtime__V1__StatusResponse **ret, struct kc_error *err);
/* handler "" : the default one. *ret_id is the caller's. */
int kc_cri_run_pod_sandbox(
    struct kc_cri *c, kc_cri_sandbox_config *config, const char *handler, char **ret_id, struct kc_error *err);
int kc_cri_stop_pod_sandbox(struct kc_cri *c, const char *id, struct kc_error *err);
int kc_cri_remove_pod_sandbox(struct kc_cri *c, const char *id, struct kc_error *err);
/* verbose: with the runtime's own info map (key "info": JSON with "pid", as containerd and CRI-O give it). */
int kc_cri_pod_sandbox_status(
    struct kc_cri *c, const char *id, bool verbose, Runtime__V1__PodSandboxStatusResponse **ret, struct kc_error *err);
/* pod_uid NULL: all. */
int kc_cri_list_pod_sandboxes(
    struct kc_cri *c, const char *pod_uid, Runtime__V1__ListPodSandboxResponse **ret, struct kc_error *err);
int kc_cri_create_container(struct kc_cri *c, const char *sandbox_id, kc_cri_container_config *config,
    kc_cri_sandbox_config *sandbox_config, char **ret_id, struct kc_error *err);
int kc_cri_start_container(struct kc_cri *c, const char *id, struct kc_error *err);
/* Returns when the container has ended: SIGTERM, and SIGKILL after grace_seconds. */
int kc_cri_stop_container(struct kc_cri *c, const char *id, int64_t grace_seconds, struct kc_error *err);
int kc_cri_remove_container(struct kc_cri *c, const char *id, struct kc_error *err);
int kc_cri_list_containers(
    struct kc_cri *c, const char *pod_uid, Runtime__V1__ListContainersResponse **ret, struct kc_error *err);
int kc_cri_container_status(
    struct kc_cri *c, const char *id, bool verbose, Runtime__V1__ContainerStatusResponse **ret, struct kc_error *err);
int kc_cri_reopen_container_log(struct kc_cri *c, const char *id, struct kc_error *err);
int kc_cri_update_container_resources(
    struct kc_cri *c, const char *id, Runtime__V1__LinuxContainerResources *resources, struct kc_error *err);
/* Runs cmd (strv) in the container. Returns 0 whenever it ran, with its exit code; -ETIMEDOUT when timeout_seconds (0:
 * none) passed. Output (stdout, then stderr) is appended to ret_out, which may be NULL. */
int kc_cri_exec_sync(struct kc_cri *c, const char *id, char *const *cmd, int timeout_seconds, int *ret_exit_code,
    struct kc_buf *ret_out, struct kc_error *err);
/* URL of the runtime's streaming server for one session; the caller's. */
int kc_cri_exec_url(struct kc_cri *c, const char *id, char *const *cmd, bool tty, bool in, bool out, bool err_stream,
    char **ret_url, struct kc_error *err);
int kc_cri_attach_url(struct kc_cri *c, const char *id, bool tty, bool in, bool out, bool err_stream, char **ret_url,
    struct kc_error *err);
int kc_cri_port_forward_url(
    struct kc_cri *c, const char *sandbox_id, const int32_t *ports, size_t n, char **ret_url, struct kc_error *err);
int kc_cri_list_container_stats(struct kc_cri *c, Runtime__V1__ListContainerStatsResponse **ret, struct kc_error *err);

/* Container events, on the loop. on_end is the last call: -ENOSYS when the runtime has no events (containerd
 * before 1.7), else the stream broke and may be opened again. */
struct kc_cri_events;
struct kc_cri_events_cbs {
        void (*on_event)(const Runtime__V1__ContainerEventResponse *event, void *arg);
        void (*on_end)(int errnum, const char *message, void *arg);
};
struct kc_cri_events *kc_cri_events_open(struct kc_cri *c, const struct kc_cri_events_cbs *cbs, void *arg);
/* No callback any more. */
void kc_cri_events_close(struct kc_cri_events *e);

/* --- Image service */
int kc_cri_list_images(struct kc_cri *c, Runtime__V1__ListImagesResponse **ret, struct kc_error *err);
/* *ret NULL with return 0: not present. The caller's, by kc_cri_free_msg. */
int kc_cri_image_status(
    struct kc_cri *c, const char *image, Runtime__V1__ImageStatusResponse **ret, struct kc_error *err);
/* auth NULL: anonymous. *ret_ref: the image's reference by ID or digest. */
int kc_cri_pull_image(struct kc_cri *c, const char *image, Runtime__V1__AuthConfig *auth,
    kc_cri_sandbox_config *sandbox_config, char **ret_ref, struct kc_error *err);
int kc_cri_remove_image(struct kc_cri *c, const char *image, struct kc_error *err);
int kc_cri_image_fs_info(struct kc_cri *c, Runtime__V1__ImageFsInfoResponse **ret, struct kc_error *err);
