/* Ports of this machine forwarded to ports of a pod: SPDY streams, in the messages of a WebSocket where the server
 * takes that.
 *
 *   listener --accept--> connection == data stream, error stream == [tunnel] == API server
 *
 * All work is done on the client's loop. */
#pragma once

#include "client/rest.h"

struct kc_forward;

struct kc_forward_opts {
        struct kc_rest *rest;
        const char *path; /* of the portforward subresource */
        int timeout_ms;   /* until the server answers; 0: none */
        /* "Handling connection for 8080"; on the loop. */
        void (*on_connection)(int local, void *arg);
        void *arg;
};

/* Blocks until the tunnel is there. Any thread but the loop's. */
int kc_forward_new(const struct kc_forward_opts *o, struct kc_forward **ret, struct kc_error *err);
/* Listens on that address; *local 0 becomes the port that was found. -errno with Go's "listen tcp4 1.2.3.4:80: bind:
 * ..." */
int kc_forward_listen(struct kc_forward *f, const char *address, int *local, int remote, struct kc_error *err);
/* Blocks until kc_forward_stop (0), or until the tunnel is gone. */
int kc_forward_wait(struct kc_forward *f, struct kc_error *err);
/* Any thread. */
void kc_forward_stop(struct kc_forward *f);
void kc_forward_free(struct kc_forward *f);
KC_DEFINE_CLEANUP(struct kc_forward *, kc_forward_free)
