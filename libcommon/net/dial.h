/* From a host's name to a connected socket, without blocking: lookup on a thread, addresses tried in turn. On the loop.
 */
#pragma once

#include <stdint.h>

#include "base/error.h"
#include "event/loop.h"

struct kc_dial;

struct kc_dial_opts {
        const char *unix_path;   /* or: */
        const char *host, *port; /* a name or an address (no brackets), a number */
        int64_t timeout_usec;    /* for all of it; 0: none. What is left is shared by the addresses left, as Go does */
};

/* Once, never from inside kc_dial_new. fd (non-blocking, the callee's) or -1 and err in Go's words: "dial tcp
 * 10.0.0.1:80: connect: connection refused" with errnum as connect(2) has it, EHOSTUNREACH when the name is not known,
 * ETIMEDOUT. The dial may be freed from here. */
typedef void (*kc_dial_fn)(int fd, const struct kc_error *err, void *arg);

/* The options are copied. */
struct kc_dial *kc_dial_new(struct kc_loop *l, const struct kc_dial_opts *o, kc_dial_fn done, void *arg);
/* Gives up if it is still under way. */
void kc_dial_free(struct kc_dial *d);
KC_DEFINE_CLEANUP(struct kc_dial *, kc_dial_free)

/* strerror(e) as Go spells it: "connection refused". Thread's static buffer. */
const char *kc_net_strerror(int e);
