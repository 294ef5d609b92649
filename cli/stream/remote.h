/* A command in a container (exec, attach), by v5.channel.k8s.io or SPDY, its streams those of file descriptors.
 *
 *   in --feeder thread--> [loop] --> server --> [loop] --> out, err
 *
 * A slow reader of out holds the server up, a slow server the feeder. */
#pragma once

#include "client/rest.h"

struct kc_remote;

struct kc_remote_opts {
        struct kc_rest *rest;
        const char *path;    /* of exec or attach, with its query */
        int in, out, err;    /* -1: that stream is not asked for; not owned */
        bool tty;            /* a resize stream; err is not used */
        bool only_websocket; /* no fallback */
        int timeout_ms;      /* until the server answers; 0: none */
};

/* Any thread but the loop's. Size of a terminal: sent as soon as it can be. */
int kc_remote_start(const struct kc_remote_opts *o, struct kc_remote **ret, struct kc_error *err);
/* Any thread. */
void kc_remote_resize(struct kc_remote *r, int width, int height);
/* Blocks until the command has ended and its output is written. 0: *ret_code is its exit code. -EPIPE: out or err has
 * no reader any more. Else what the server said, in client-go's words. */
int kc_remote_wait(struct kc_remote *r, int *ret_code, struct kc_error *err);
/* Ends it: any thread but the loop's. */
void kc_remote_free(struct kc_remote *r);
KC_DEFINE_CLEANUP(struct kc_remote *, kc_remote_free)
/* What a v4 error stream's Status says. Does no I/O. */
int kc_remote_decode_status(const char *text, size_t len, int *ret_code, struct kc_error *err);
