/* Listening sockets of commands: port-forward, proxy. */
#pragma once

#include "base/error.h"

/* A non-blocking listening socket (the caller's) on that IP address; *port 0 becomes the one that was found. -EBADF
 * with Go's "listen tcp4 1.2.3.4:80: bind: ..."; network: what it says instead of tcp4 or tcp6, or NULL. */
int kc_listen_tcp(const char *network, const char *address, int *port, struct kc_error *err);
/* The same on a path; one that is there is an error. */
int kc_listen_unix(const char *path, struct kc_error *err);
