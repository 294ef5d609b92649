/* An upgraded connection to a subresource of a pod: WebSocket first, SPDY/3.1 when the server refuses that, as
 * client-go does it. Messages (WebSocket) or bytes (SPDY) go both ways; what is in them is the user's business.
 *
 *   kc_rest_upgrade == kc_http_stream == [kc_ws] == on_data, kc_wire_send
 *
 * Callbacks come on the client's loop. Functions: on the loop. */
#pragma once

#include "client/rest.h"

struct kc_wire;

struct kc_wire_cbs {
        /* protocol: what the server chose; websocket false: SPDY frames follow. */
        void (*on_open)(struct kc_wire *w, bool websocket, const char *protocol, void *arg);
        /* A piece of a message; first: it begins one. With SPDY just bytes. */
        void (*on_data)(struct kc_wire *w, const char *data, size_t len, bool first, void *arg);
        void (*on_drain)(struct kc_wire *w, void *arg); /* what was sent is with the kernel; may be NULL */
        /* The last call, which does not come after kc_wire_free. err NULL: the server has closed in order. */
        void (*on_close)(struct kc_wire *w, const struct kc_error *err, void *arg);
};

struct kc_wire_opts {
        struct kc_rest *rest;
        const char *path;              /* with query */
        const char *websocket;         /* subprotocol, or NULL: SPDY at once */
        char *const *spdy;             /* strv of X-Stream-Protocol-Version, best first */
        int timeout_ms;                /* until an answer is there; 0: none */
        const struct kc_wire_cbs *cbs; /* has to last */
        void *arg;
};

int kc_wire_new(const struct kc_wire_opts *o, struct kc_wire **ret, struct kc_error *err);
/* One message: head and data after one another. */
void kc_wire_send(struct kc_wire *w, const void *head, size_t head_len, const void *data, size_t len);
/* Bytes that are still to be sent. */
size_t kc_wire_queued(const struct kc_wire *w);
/* Stops and resumes on_data. */
void kc_wire_pause(struct kc_wire *w, bool paused);
/* Closes in order after what is queued. NULL and from inside its own callbacks are fine. */
void kc_wire_free(struct kc_wire *w);
KC_DEFINE_CLEANUP(struct kc_wire *, kc_wire_free)
