/* Names to addresses without blocking the loop. */
#pragma once

#include <netdb.h>

#include "base/error.h"
#include "event/loop.h"

struct net_lookup;
/* On the loop; addrs are the callee's (freeaddrinfo), NULL with err: "lookup x: no such host". */
typedef void (*net_lookup_fn)(struct addrinfo *take_addrs, const struct kc_error *err, void *arg);

/* The addresses of a host that is an address; NULL: it is a name. */
struct addrinfo *net_lookup_literal(const char *host, const char *port);
/* done comes once, later. NULL: too many lookups hang, err is set. */
struct net_lookup *net_lookup_start(
    struct kc_loop *l, const char *host, const char *port, net_lookup_fn done, void *arg, struct kc_error *err);
/* Before done has been called: it will not be. */
void net_lookup_cancel(struct net_lookup *k);
