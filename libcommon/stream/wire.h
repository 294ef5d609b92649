/* A byte stream to a backend: TCP to addresses that are resolved and judged already, with or without TLS. On one loop.
 *
 *   connect (each address in turn) --> TLS handshake, peer verified --> on_open --> on_data ... --> on_close */
#pragma once

#include <netinet/in.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/error.h"
#include "event/loop.h"
#include "tls/tls.h"

struct kc_wire;

struct kc_wire_cbs {
        void (*on_open)(struct kc_wire *w, void *arg);
        void (*on_data)(struct kc_wire *w, const char *data, size_t len, void *arg);
        void (*on_drain)(struct kc_wire *w, void *arg); /* all written bytes are with the kernel; may be NULL */
        /* Last call, but the wire still has to be freed. err NULL: the peer has closed in order. Errors are worded as
         * Go's: "dial tcp 10.0.0.1:10250: connect: connection refused", "read tcp 10.0.0.1:10250: ...". */
        void (*on_close)(struct kc_wire *w, const struct kc_error *err, void *arg);
};

struct kc_wire_opts {
        struct kc_loop *loop;
        const struct sockaddr_storage *addresses; /* copied */
        size_t n_addresses;
        struct kc_tls_client *tls; /* NULL: plain; has to outlive the wire */
        const char *tls_name;      /* verified and sent as SNI; NULL: what tls says itself */
        int64_t open_timeout;      /* usec, until on_open; 0: 30 s, as upstream's dialer */
        const struct kc_wire_cbs *cbs;
        void *arg;
};

/* Callbacks come after this has returned. */
struct kc_wire *kc_wire_new(const struct kc_wire_opts *o);
/* Copies into the queue; the caller watches kc_wire_queued. Before on_open, too. After on_close: dropped. */
void kc_wire_write(struct kc_wire *w, const void *data, size_t len);
size_t kc_wire_queued(const struct kc_wire *w);
/* Stops and resumes on_data. The peer's end is noticed only while it is not paused. */
void kc_wire_pause(struct kc_wire *w, bool paused);
/* Closes without a callback. NULL, and from inside its own callbacks, are fine. */
void kc_wire_free(struct kc_wire *w);
KC_DEFINE_CLEANUP(struct kc_wire *, kc_wire_free)

/* Addresses of a host, which may be a name (blocks then: not on a loop) or a numeric address. Heap array. Errors are
 * worded as Go's "lookup x: no such host". */
int kc_wire_resolve(const char *host, int port, struct sockaddr_storage **ret, size_t *ret_n, struct kc_error *err);
/* "10.0.0.1:80", "[::1]:80" */
enum { KC_WIRE_ADDRESS_LEN = 64 };
const char *kc_wire_format(const struct sockaddr_storage *a, char buf[static KC_WIRE_ADDRESS_LEN]);
