/* A request passed on to a backend, and its answer as it comes: logs and .../proxy.
 *
 *   client <== kc_http_req <== relay <== kc_exchange <== backend
 *
 * The backend is held up when the client does not read. On the request's loop, but for relay_start. */
#pragma once

#include "server/backend.h"

enum relay_do {
        RELAY_STREAM,  /* send the head that was made, then the body as it comes */
        RELAY_COLLECT, /* on_collected gets the body; one that is too long is cut, or streamed after all (see below) */
};

struct relay_cbs {
        /* The answer's head. headers: strv of alternating name, value. RELAY_STREAM: *ret_code and *ret_headers (strv,
         * heap) are what the client gets; the server adds what is the connection's own. */
        enum relay_do (*on_head)(
            struct api_req *q, int code, char *const *headers, int *ret_code, char ***ret_headers, void *arg);
        /* Has to answer. body may be taken. */
        void (*on_collected)(struct api_req *q, int code, char *const *headers, struct kc_buf *body, void *arg);
        /* No answer came. Has to answer. */
        void (*on_error)(struct api_req *q, const struct kc_error *err, void *arg);
        void (*free)(void *arg);
};

struct relay_opts {
        struct backend *take_backend;
        const char *method, *target;
        char **take_headers; /* strv of alternating name, value */
        struct kc_bytes *body;
        size_t collect_max;
        bool stream_if_longer; /* a body over collect_max is streamed with the headers that on_head made */
        const struct relay_cbs *cbs;
        void *take_arg;
};
/* Worker threads. */
void relay_start(struct api_req *q, const struct relay_opts *o);
