/* CRI calls of the streaming server, statistics, container events and the image service. Thread: any worker; events on
 * the loop. */
#include <errno.h>

#include "base/mem.h"
#include "base/str.h"
#include "kubelet/cri/client_internal.h"

enum { PULL_TIMEOUT_MS = 60 * 60 * 1000 };

static int take_url(int r, char *url, char **ret_url, struct kc_error *err)
{
        if (r < 0)
                return r;
        if (kc_str_empty(url))
                return kc_error_set(err, EIO, "the runtime returned an empty URL");
        *ret_url = kc_strdup(url);
        return 0;
}

int kc_cri_exec_url(struct kc_cri *c, const char *id, char *const *cmd, bool tty, bool in, bool out, bool err_stream,
    char **ret_url, struct kc_error *err)
{
        Runtime__V1__ExecRequest req = RUNTIME__V1__EXEC_REQUEST__INIT;
        req.container_id = (char *)id;
        req.cmd = (char **)cmd;
        req.n_cmd = kc_strv_len(cmd);
        req.tty = tty;
        req.stdin = in;
        req.stdout = out;
        req.stderr = err_stream;
        KC_CLEANUP(kc_cri_free_msgp) Runtime__V1__ExecResponse *resp = NULL;
        int r = kc_cri_call(c, c->runtime, KC_CRI_RUNTIME "Exec", &req, &runtime__v1__exec_response__descriptor,
            c->timeout_ms, &resp, err);
        return take_url(r, r < 0 ? NULL : resp->url, ret_url, err);
}

int kc_cri_attach_url(struct kc_cri *c, const char *id, bool tty, bool in, bool out, bool err_stream, char **ret_url,
    struct kc_error *err)
{
        Runtime__V1__AttachRequest req = RUNTIME__V1__ATTACH_REQUEST__INIT;
        req.container_id = (char *)id;
        req.tty = tty;
        req.stdin = in;
        req.stdout = out;
        req.stderr = err_stream;
        KC_CLEANUP(kc_cri_free_msgp) Runtime__V1__AttachResponse *resp = NULL;
        int r = kc_cri_call(c, c->runtime, KC_CRI_RUNTIME "Attach", &req, &runtime__v1__attach_response__descriptor,
            c->timeout_ms, &resp, err);
        return take_url(r, r < 0 ? NULL : resp->url, ret_url, err);
}

int kc_cri_port_forward_url(
    struct kc_cri *c, const char *sandbox_id, const int32_t *ports, size_t n, char **ret_url, struct kc_error *err)
{
        Runtime__V1__PortForwardRequest req = RUNTIME__V1__PORT_FORWARD_REQUEST__INIT;
        req.pod_sandbox_id = (char *)sandbox_id;
        req.port = (int32_t *)ports;
        req.n_port = n;
        KC_CLEANUP(kc_cri_free_msgp) Runtime__V1__PortForwardResponse *resp = NULL;
        int r = kc_cri_call(c, c->runtime, KC_CRI_RUNTIME "PortForward", &req,
            &runtime__v1__port_forward_response__descriptor, c->timeout_ms, &resp, err);
        return take_url(r, r < 0 ? NULL : resp->url, ret_url, err);
}

int kc_cri_list_container_stats(struct kc_cri *c, Runtime__V1__ListContainerStatsResponse **ret, struct kc_error *err)
{
        Runtime__V1__ListContainerStatsRequest req = RUNTIME__V1__LIST_CONTAINER_STATS_REQUEST__INIT;
        return kc_cri_call(c, c->runtime, KC_CRI_RUNTIME "ListContainerStats", &req,
            &runtime__v1__list_container_stats_response__descriptor, c->timeout_ms, ret, err);
}

/* --- Events */

struct kc_cri_events {
        struct kc_grpc_stream *stream;
        struct kc_cri_events_cbs cbs;
        void *arg;
        bool closed;
};

static void on_message(struct kc_grpc_stream *s, const void *data, size_t len, void *arg)
{
        struct kc_cri_events *e = arg;
        (void)s;
        if (e->closed)
                return;
        KC_CLEANUP(kc_cri_free_msgp)
        Runtime__V1__ContainerEventResponse *ev = runtime__v1__container_event_response__unpack(NULL, len, data);
        if (ev)
                e->cbs.on_event(ev, e->arg);
}

static void on_end(struct kc_grpc_stream *s, enum kc_grpc_code code, const char *message, void *arg)
{
        struct kc_cri_events *e = arg;
        (void)s;
        if (!e->closed)
                e->cbs.on_end(code == KC_GRPC_UNIMPLEMENTED ? -ENOSYS : -EPIPE, message, e->arg);
        kc_free(e);
}

struct kc_cri_events *kc_cri_events_open(struct kc_cri *c, const struct kc_cri_events_cbs *cbs, void *arg)
{
        static const struct kc_grpc_stream_cbs stream_cbs = {.on_message = on_message, .on_end = on_end};
        struct kc_cri_events *e = KC_NEW(struct kc_cri_events);
        e->cbs = *cbs;
        e->arg = arg;
        e->stream = kc_grpc_stream_open(c->runtime, KC_CRI_RUNTIME "GetContainerEvents", &stream_cbs, e);
        Runtime__V1__GetEventsRequest req = RUNTIME__V1__GET_EVENTS_REQUEST__INIT;
        if (kc_grpc_stream_send(e->stream, &req.base) < 0) {
                kc_grpc_stream_cancel(e->stream); /* on_end tells the caller */
                return e;
        }
        kc_grpc_stream_close_send(e->stream);
        return e;
}

void kc_cri_events_close(struct kc_cri_events *e)
{
        if (!e)
                return;
        e->closed = true;
        kc_grpc_stream_cancel(e->stream);
}

/* --- Images */

int kc_cri_list_images(struct kc_cri *c, Runtime__V1__ListImagesResponse **ret, struct kc_error *err)
{
        Runtime__V1__ListImagesRequest req = RUNTIME__V1__LIST_IMAGES_REQUEST__INIT;
        return kc_cri_call(c, c->images, KC_CRI_IMAGES "ListImages", &req,
            &runtime__v1__list_images_response__descriptor, c->timeout_ms, ret, err);
}

int kc_cri_image_status(
    struct kc_cri *c, const char *image, Runtime__V1__ImageStatusResponse **ret, struct kc_error *err)
{
        Runtime__V1__ImageStatusRequest req = RUNTIME__V1__IMAGE_STATUS_REQUEST__INIT;
        Runtime__V1__ImageSpec spec = RUNTIME__V1__IMAGE_SPEC__INIT;
        spec.image = (char *)image;
        req.image = &spec;
        KC_CLEANUP(kc_cri_free_msgp) Runtime__V1__ImageStatusResponse *resp = NULL;
        int r = kc_cri_call(c, c->images, KC_CRI_IMAGES "ImageStatus", &req,
            &runtime__v1__image_status_response__descriptor, c->timeout_ms, &resp, err);
        if (r < 0)
                return r;
        *ret = resp->image ? KC_TAKE(resp) : NULL;
        return 0;
}

int kc_cri_pull_image(struct kc_cri *c, const char *image, Runtime__V1__AuthConfig *auth,
    kc_cri_sandbox_config *sandbox_config, char **ret_ref, struct kc_error *err)
{
        Runtime__V1__PullImageRequest req = RUNTIME__V1__PULL_IMAGE_REQUEST__INIT;
        Runtime__V1__ImageSpec spec = RUNTIME__V1__IMAGE_SPEC__INIT;
        spec.image = (char *)image;
        req.image = &spec;
        req.auth = auth;
        req.sandbox_config = sandbox_config;
        KC_CLEANUP(kc_cri_free_msgp) Runtime__V1__PullImageResponse *resp = NULL;
        int r = kc_cri_call_rpc(c, c->images, KC_CRI_IMAGES "PullImage", &req,
            &runtime__v1__pull_image_response__descriptor, PULL_TIMEOUT_MS, &resp, err);
        if (r < 0)
                return r;
        *ret_ref = kc_strdup(resp->image_ref);
        return 0;
}

int kc_cri_remove_image(struct kc_cri *c, const char *image, struct kc_error *err)
{
        Runtime__V1__RemoveImageRequest req = RUNTIME__V1__REMOVE_IMAGE_REQUEST__INIT;
        Runtime__V1__ImageSpec spec = RUNTIME__V1__IMAGE_SPEC__INIT;
        spec.image = (char *)image;
        req.image = &spec;
        KC_CLEANUP(kc_cri_free_msgp) ProtobufCMessage *resp = NULL;
        return kc_cri_call(c, c->images, KC_CRI_IMAGES "RemoveImage", &req,
            &runtime__v1__remove_image_response__descriptor, c->timeout_ms, &resp, err);
}

int kc_cri_image_fs_info(struct kc_cri *c, Runtime__V1__ImageFsInfoResponse **ret, struct kc_error *err)
{
        Runtime__V1__ImageFsInfoRequest req = RUNTIME__V1__IMAGE_FS_INFO_REQUEST__INIT;
        return kc_cri_call(c, c->images, KC_CRI_IMAGES "ImageFsInfo", &req,
            &runtime__v1__image_fs_info_response__descriptor, c->timeout_ms, ret, err);
}
