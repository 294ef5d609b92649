/* The health check node ports of Services with externalTrafficPolicy: Local: load balancers ask whether this node has
 * ready endpoints (200) or not (503). */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/macros.h"
#include "event/loop.h"

struct kc_health_ports;

/* healthy: whether this proxy writes its rules; on the loop, for each request. */
struct kc_health_ports *kc_health_ports_new(struct kc_loop *loop, bool (*healthy)(void *arg), void *arg);
/* On the loop, or after it has stopped. */
void kc_health_ports_free(struct kc_health_ports *h);
KC_DEFINE_CLEANUP(struct kc_health_ports *, kc_health_ports_free)
/* port 0: the Service has none (any more). Any thread but one at a time. */
void kc_health_ports_set(struct kc_health_ports *h, const char *service_key, int port, size_t local_endpoints);
