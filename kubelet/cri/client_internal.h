/* Shared by the files of the CRI client. */
#pragma once

#include <stdatomic.h>

#include "kubelet/cri/client.h"

#define KC_CRI_RUNTIME "/runtime.v1.RuntimeService/"
#define KC_CRI_IMAGES "/runtime.v1.ImageService/"

struct kc_cri {
        struct kc_grpc_channel *runtime, *images;
        bool shared; /* images is runtime */
        int timeout_ms;
        atomic_bool closed;
};

/* ret: address of a pointer to the response's type. */
int kc_cri_call(struct kc_cri *c, struct kc_grpc_channel *ch, const char *method, const void *req,
    const ProtobufCMessageDescriptor *desc, int timeout_ms, void *ret, struct kc_error *err);
/* The same, and err's message is "rpc error: code = NotFound desc = ...", as users see it in events of sandboxes and
 * pulls. */
int kc_cri_call_rpc(struct kc_cri *c, struct kc_grpc_channel *ch, const char *method, const void *req,
    const ProtobufCMessageDescriptor *desc, int timeout_ms, void *ret, struct kc_error *err);

/* One call has ended. */
void kc_cri_count(const char *method, int64_t usec, bool failed);
