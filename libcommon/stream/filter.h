/* What stands between the raw bytes of an upgraded client and those of its backend when the two speak differently. No
 * I/O.
 *
 *   client's bytes --kc_filter_client--> to_backend (and to_client)
 *   backend's bytes --kc_filter_backend--> to_client (and to_backend)
 *
 * remote command: WebSocket v5.channel.k8s.io <-> SPDY/3.1 v4.channel.k8s.io (upstream's stream translator)
 *
 *   client message [channel, bytes ...]          backend stream
 *   0 stdin, 255 0: end of stdin                 streamtype: stdin, its fin
 *   1 stdout, 2 stderr                           stdout, stderr
 *   3 error: one metav1.Status, then close       error
 *   4 resize: {"Width":80,"Height":24}           resize (with a terminal)
 *
 * tunnel: WebSocket SPDY/3.1+portforward.k8s.io carries the bytes of SPDY itself. */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "base/error.h"

#define KC_REMOTE_V4 "v4.channel.k8s.io"
#define KC_REMOTE_V5 "v5.channel.k8s.io"
#define KC_PORT_FORWARD_V1 "portforward.k8s.io"
#define KC_PORT_FORWARD_TUNNEL "SPDY/3.1+portforward.k8s.io"

struct kc_remote_streams {
        bool in, out, err, tty; /* with tty there is no err, and there is resize */
};

struct kc_filter;
struct kc_filter *kc_filter_remote_command(const struct kc_remote_streams *streams);
struct kc_filter *kc_filter_tunnel(void);
void kc_filter_free(struct kc_filter *f);
KC_DEFINE_CLEANUP(struct kc_filter *, kc_filter_free)

/* What is to be sent; the caller takes it out after each call. */
struct kc_buf *kc_filter_to_client(struct kc_filter *f);
struct kc_buf *kc_filter_to_backend(struct kc_filter *f);
/* Both are upgraded. */
void kc_filter_open(struct kc_filter *f);
/* Bytes from either side. 0: go on; 1: it is over, both connections are to be closed once to_client is out. */
int kc_filter_client(struct kc_filter *f, const char *data, size_t len);
int kc_filter_backend(struct kc_filter *f, const char *data, size_t len);
/* The backend has gone; err NULL: in order. The client is told; it is over. */
void kc_filter_backend_gone(struct kc_filter *f, const struct kc_error *err);
/* Instead of all that: the backend could not be opened. Remote command: status (a metav1.Status as JSON) goes to the
 * client's error channel; it is over. */
void kc_filter_refuse(struct kc_filter *f, const char *status);
