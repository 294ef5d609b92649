/* CRI calls over a gRPC channel: each function builds the request on its stack, calls, and hands the answer on. Thread:
 * any worker; the channel's I/O is on the loop. */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "kubelet/cri/client_internal.h"

enum {
        DEFAULT_TIMEOUT_MS = 2 * 60 * 1000,
        PULL_TIMEOUT_MS = 60 * 60 * 1000,
        SHORT_MARGIN_MS = 10 * 1000, /* beyond the time that the runtime itself is given */
};

#define LABEL_POD_UID "io.kubernetes.pod.uid"
#define RUNTIME KC_CRI_RUNTIME

static int open_channel(struct kc_loop *loop, const char *endpoint, struct kc_grpc_channel **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_freep)
        char *url = strstr(endpoint, "://") ? kc_strdup(endpoint) : kc_asprintf("unix://%s", endpoint);
        char *const endpoints[] = {url, NULL};
        struct kc_grpc_channel_opts o = {.endpoints = endpoints};
        return kc_grpc_channel_new(loop, &o, ret, err);
}

int kc_cri_new(struct kc_loop *loop, const struct kc_cri_opts *o, struct kc_cri **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_cri_freep) struct kc_cri *c = KC_NEW(struct kc_cri);
        c->timeout_ms = o->request_timeout_ms > 0 ? o->request_timeout_ms : DEFAULT_TIMEOUT_MS;
        int r = open_channel(loop, o->runtime_endpoint, &c->runtime, err);
        if (r < 0)
                return r;
        c->shared = kc_str_empty(o->image_endpoint) || kc_streq(o->image_endpoint, o->runtime_endpoint);
        if (c->shared)
                c->images = c->runtime;
        else if ((r = open_channel(loop, o->image_endpoint, &c->images, err)) < 0)
                return r;
        *ret = KC_TAKE(c);
        return 0;
}

void kc_cri_close(struct kc_cri *c)
{
        atomic_store(&c->closed, true);
        kc_grpc_channel_reconnect(c->runtime);
        if (!c->shared)
                kc_grpc_channel_reconnect(c->images);
}

void kc_cri_free(struct kc_cri *c)
{
        if (!c)
                return;
        if (!c->shared)
                kc_grpc_channel_free(c->images);
        kc_grpc_channel_free(c->runtime);
        kc_free(c);
}

void kc_cri_free_msg(void *msg)
{
        if (msg)
                protobuf_c_message_free_unpacked(msg, NULL);
}

int kc_cri_call(struct kc_cri *c, struct kc_grpc_channel *ch, const char *method, const void *req,
    const ProtobufCMessageDescriptor *desc, int timeout_ms, void *ret, struct kc_error *err)
{
        ProtobufCMessage *resp = NULL;
        if (atomic_load(&c->closed))
                return kc_error_set(err, ECANCELED, "the kubelet is stopping");
        kc_mono begin = kc_clock_mono(NULL);
        int r = kc_grpc_call(ch, method, req, desc, timeout_ms, true, &resp, NULL, err);
        kc_cri_count(method, kc_clock_mono(NULL) - begin, r < 0);
        if (r < 0)
                return r;
        *(ProtobufCMessage **)ret = resp;
        return 0;
}

static const char *code_name(enum kc_grpc_code code)
{
        static const char *const names[] = {"OK", "Canceled", "Unknown", "InvalidArgument", "DeadlineExceeded",
            "NotFound", "AlreadyExists", "PermissionDenied", "ResourceExhausted", "FailedPrecondition", "Aborted",
            "OutOfRange", "Unimplemented", "Internal", "Unavailable", "DataLoss", "Unauthenticated"};
        return (size_t)code < KC_ARRAY_LEN(names) ? names[code] : "Unknown";
}

int kc_cri_call_rpc(struct kc_cri *c, struct kc_grpc_channel *ch, const char *method, const void *req,
    const ProtobufCMessageDescriptor *desc, int timeout_ms, void *ret, struct kc_error *err)
{
        ProtobufCMessage *resp = NULL;
        enum kc_grpc_code code = KC_GRPC_UNKNOWN;
        struct kc_error e = KC_ERROR_INIT;
        if (atomic_load(&c->closed))
                return kc_error_set(err, ECANCELED, "the kubelet is stopping");
        kc_mono begin = kc_clock_mono(NULL);
        int r = kc_grpc_call(ch, method, req, desc, timeout_ms, true, &resp, &code, &e);
        kc_cri_count(method, kc_clock_mono(NULL) - begin, r < 0);
        if (r < 0) {
                r = kc_error_set(
                    err, e.errnum, "rpc error: code = %s desc = %s", code_name(code), kc_error_message(&e));
                kc_error_done(&e);
                return r;
        }
        *(ProtobufCMessage **)ret = resp;
        return 0;
}

/* A call whose answer is empty. */
static int call_void(struct kc_cri *c, struct kc_grpc_channel *ch, const char *method, const void *req,
    const ProtobufCMessageDescriptor *desc, int timeout_ms, struct kc_error *err)
{
        KC_CLEANUP(kc_cri_free_msgp) ProtobufCMessage *resp = NULL;
        return kc_cri_call(c, ch, method, req, desc, timeout_ms, &resp, err);
}

int kc_cri_version(struct kc_cri *c, Runtime__V1__VersionResponse **ret, struct kc_error *err)
{
        Runtime__V1__VersionRequest req = RUNTIME__V1__VERSION_REQUEST__INIT;
        char version[] = "0.1.0";
        req.version = version;
        return kc_cri_call(c, c->runtime, RUNTIME "Version", &req, &runtime__v1__version_response__descriptor,
            c->timeout_ms, ret, err);
}

int kc_cri_status(struct kc_cri *c, Runtime__V1__StatusResponse **ret, struct kc_error *err)
{
        Runtime__V1__StatusRequest req = RUNTIME__V1__STATUS_REQUEST__INIT;
        return kc_cri_call(
            c, c->runtime, RUNTIME "Status", &req, &runtime__v1__status_response__descriptor, c->timeout_ms, ret, err);
}

int kc_cri_run_pod_sandbox(
    struct kc_cri *c, kc_cri_sandbox_config *config, const char *handler, char **ret_id, struct kc_error *err)
{
        Runtime__V1__RunPodSandboxRequest req = RUNTIME__V1__RUN_POD_SANDBOX_REQUEST__INIT;
        req.config = config;
        req.runtime_handler = (char *)handler;
        KC_CLEANUP(kc_cri_free_msgp) Runtime__V1__RunPodSandboxResponse *resp = NULL;
        /* Sandboxes may need their image pulled: upstream allows twice the time. */
        int r = kc_cri_call_rpc(c, c->runtime, RUNTIME "RunPodSandbox", &req,
            &runtime__v1__run_pod_sandbox_response__descriptor, 2 * c->timeout_ms, &resp, err);
        if (r < 0)
                return r;
        if (kc_str_empty(resp->pod_sandbox_id))
                return kc_error_set(err, EIO, "the runtime returned an empty pod sandbox ID");
        *ret_id = kc_strdup(resp->pod_sandbox_id);
        return 0;
}

int kc_cri_stop_pod_sandbox(struct kc_cri *c, const char *id, struct kc_error *err)
{
        Runtime__V1__StopPodSandboxRequest req = RUNTIME__V1__STOP_POD_SANDBOX_REQUEST__INIT;
        req.pod_sandbox_id = (char *)id;
        return call_void(c, c->runtime, RUNTIME "StopPodSandbox", &req,
            &runtime__v1__stop_pod_sandbox_response__descriptor, c->timeout_ms, err);
}

int kc_cri_remove_pod_sandbox(struct kc_cri *c, const char *id, struct kc_error *err)
{
        Runtime__V1__RemovePodSandboxRequest req = RUNTIME__V1__REMOVE_POD_SANDBOX_REQUEST__INIT;
        req.pod_sandbox_id = (char *)id;
        return call_void(c, c->runtime, RUNTIME "RemovePodSandbox", &req,
            &runtime__v1__remove_pod_sandbox_response__descriptor, c->timeout_ms, err);
}

int kc_cri_pod_sandbox_status(
    struct kc_cri *c, const char *id, bool verbose, Runtime__V1__PodSandboxStatusResponse **ret, struct kc_error *err)
{
        Runtime__V1__PodSandboxStatusRequest req = RUNTIME__V1__POD_SANDBOX_STATUS_REQUEST__INIT;
        req.pod_sandbox_id = (char *)id;
        req.verbose = verbose;
        return kc_cri_call(c, c->runtime, RUNTIME "PodSandboxStatus", &req,
            &runtime__v1__pod_sandbox_status_response__descriptor, c->timeout_ms, ret, err);
}

int kc_cri_list_pod_sandboxes(
    struct kc_cri *c, const char *pod_uid, Runtime__V1__ListPodSandboxResponse **ret, struct kc_error *err)
{
        Runtime__V1__ListPodSandboxRequest req = RUNTIME__V1__LIST_POD_SANDBOX_REQUEST__INIT;
        Runtime__V1__PodSandboxFilter filter = RUNTIME__V1__POD_SANDBOX_FILTER__INIT;
        Runtime__V1__PodSandboxFilter__LabelSelectorEntry label =
            RUNTIME__V1__POD_SANDBOX_FILTER__LABEL_SELECTOR_ENTRY__INIT;
        Runtime__V1__PodSandboxFilter__LabelSelectorEntry *labels[] = {&label};
        if (pod_uid) {
                label.key = (char *)LABEL_POD_UID;
                label.value = (char *)pod_uid;
                filter.label_selector = labels;
                filter.n_label_selector = 1;
                req.filter = &filter;
        }
        return kc_cri_call(c, c->runtime, RUNTIME "ListPodSandbox", &req,
            &runtime__v1__list_pod_sandbox_response__descriptor, c->timeout_ms, ret, err);
}

int kc_cri_create_container(struct kc_cri *c, const char *sandbox_id, kc_cri_container_config *config,
    kc_cri_sandbox_config *sandbox_config, char **ret_id, struct kc_error *err)
{
        Runtime__V1__CreateContainerRequest req = RUNTIME__V1__CREATE_CONTAINER_REQUEST__INIT;
        req.pod_sandbox_id = (char *)sandbox_id;
        req.config = config;
        req.sandbox_config = sandbox_config;
        KC_CLEANUP(kc_cri_free_msgp) Runtime__V1__CreateContainerResponse *resp = NULL;
        int r = kc_cri_call(c, c->runtime, RUNTIME "CreateContainer", &req,
            &runtime__v1__create_container_response__descriptor, c->timeout_ms, &resp, err);
        if (r < 0)
                return r;
        if (kc_str_empty(resp->container_id))
                return kc_error_set(err, EIO, "the runtime returned an empty container ID");
        *ret_id = kc_strdup(resp->container_id);
        return 0;
}

int kc_cri_start_container(struct kc_cri *c, const char *id, struct kc_error *err)
{
        Runtime__V1__StartContainerRequest req = RUNTIME__V1__START_CONTAINER_REQUEST__INIT;
        req.container_id = (char *)id;
        return call_void(c, c->runtime, RUNTIME "StartContainer", &req,
            &runtime__v1__start_container_response__descriptor, c->timeout_ms, err);
}

int kc_cri_stop_container(struct kc_cri *c, const char *id, int64_t grace_seconds, struct kc_error *err)
{
        Runtime__V1__StopContainerRequest req = RUNTIME__V1__STOP_CONTAINER_REQUEST__INIT;
        req.container_id = (char *)id;
        req.timeout = grace_seconds > 0 ? grace_seconds : 0;
        int64_t ms = c->timeout_ms + KC_MIN(req.timeout, (int64_t)7 * 24 * 3600) * 1000;
        return call_void(c, c->runtime, RUNTIME "StopContainer", &req,
            &runtime__v1__stop_container_response__descriptor, (int)KC_MIN(ms, (int64_t)INT32_MAX), err);
}

int kc_cri_remove_container(struct kc_cri *c, const char *id, struct kc_error *err)
{
        Runtime__V1__RemoveContainerRequest req = RUNTIME__V1__REMOVE_CONTAINER_REQUEST__INIT;
        req.container_id = (char *)id;
        return call_void(c, c->runtime, RUNTIME "RemoveContainer", &req,
            &runtime__v1__remove_container_response__descriptor, c->timeout_ms, err);
}

int kc_cri_list_containers(
    struct kc_cri *c, const char *pod_uid, Runtime__V1__ListContainersResponse **ret, struct kc_error *err)
{
        Runtime__V1__ListContainersRequest req = RUNTIME__V1__LIST_CONTAINERS_REQUEST__INIT;
        Runtime__V1__ContainerFilter filter = RUNTIME__V1__CONTAINER_FILTER__INIT;
        Runtime__V1__ContainerFilter__LabelSelectorEntry label =
            RUNTIME__V1__CONTAINER_FILTER__LABEL_SELECTOR_ENTRY__INIT;
        Runtime__V1__ContainerFilter__LabelSelectorEntry *labels[] = {&label};
        if (pod_uid) {
                label.key = (char *)LABEL_POD_UID;
                label.value = (char *)pod_uid;
                filter.label_selector = labels;
                filter.n_label_selector = 1;
                req.filter = &filter;
        }
        return kc_cri_call(c, c->runtime, RUNTIME "ListContainers", &req,
            &runtime__v1__list_containers_response__descriptor, c->timeout_ms, ret, err);
}

int kc_cri_container_status(
    struct kc_cri *c, const char *id, bool verbose, Runtime__V1__ContainerStatusResponse **ret, struct kc_error *err)
{
        Runtime__V1__ContainerStatusRequest req = RUNTIME__V1__CONTAINER_STATUS_REQUEST__INIT;
        req.container_id = (char *)id;
        req.verbose = verbose;
        return kc_cri_call(c, c->runtime, RUNTIME "ContainerStatus", &req,
            &runtime__v1__container_status_response__descriptor, c->timeout_ms, ret, err);
}

int kc_cri_reopen_container_log(struct kc_cri *c, const char *id, struct kc_error *err)
{
        Runtime__V1__ReopenContainerLogRequest req = RUNTIME__V1__REOPEN_CONTAINER_LOG_REQUEST__INIT;
        req.container_id = (char *)id;
        return call_void(c, c->runtime, RUNTIME "ReopenContainerLog", &req,
            &runtime__v1__reopen_container_log_response__descriptor, c->timeout_ms, err);
}

int kc_cri_update_container_resources(
    struct kc_cri *c, const char *id, Runtime__V1__LinuxContainerResources *resources, struct kc_error *err)
{
        Runtime__V1__UpdateContainerResourcesRequest req = RUNTIME__V1__UPDATE_CONTAINER_RESOURCES_REQUEST__INIT;
        req.container_id = (char *)id;
        req.linux = resources;
        return call_void(c, c->runtime, RUNTIME "UpdateContainerResources", &req,
            &runtime__v1__update_container_resources_response__descriptor, c->timeout_ms, err);
}

int kc_cri_exec_sync(struct kc_cri *c, const char *id, char *const *cmd, int timeout_seconds, int *ret_exit_code,
    struct kc_buf *ret_out, struct kc_error *err)
{
        Runtime__V1__ExecSyncRequest req = RUNTIME__V1__EXEC_SYNC_REQUEST__INIT;
        req.container_id = (char *)id;
        req.cmd = (char **)cmd;
        req.n_cmd = kc_strv_len(cmd);
        req.timeout = timeout_seconds > 0 ? timeout_seconds : 0;
        int64_t ms = timeout_seconds > 0 ? (int64_t)timeout_seconds * 1000 + SHORT_MARGIN_MS : PULL_TIMEOUT_MS;
        KC_CLEANUP(kc_cri_free_msgp) Runtime__V1__ExecSyncResponse *resp = NULL;
        int r = kc_cri_call(c, c->runtime, RUNTIME "ExecSync", &req, &runtime__v1__exec_sync_response__descriptor,
            (int)KC_MIN(ms, (int64_t)INT32_MAX), &resp, err);
        if (r < 0)
                return r;
        if (ret_out) {
                kc_buf_add(ret_out, resp->stdout.data, resp->stdout.len);
                kc_buf_add(ret_out, resp->stderr.data, resp->stderr.len);
        }
        *ret_exit_code = resp->exit_code;
        return 0;
}
