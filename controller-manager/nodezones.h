/* How healthy the zones are, and how fast their nodes may be tainted for eviction (upstream's node life cycle
 * controller). Thread-safe. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "json/json.h"

struct kc_zones;

struct kc_zones_opts {
        double rate, secondary_rate; /* nodes a second */
        double unhealthy_threshold;
        int large_cluster;
        const struct kc_clock *clock;
};

struct kc_zones *kc_zones_new(const struct kc_zones_opts *o);
void kc_zones_free(struct kc_zones *z);
KC_DEFINE_CLEANUP(struct kc_zones *, kc_zones_free)
/* "region:\0:zone" of a node's labels, as upstream's GetZoneKey; heap. */
char *kc_zone_of(const struct json_object *node);
/* Records a node's zone and whether it is ready; removes it with zone NULL. */
void kc_zones_set(struct kc_zones *z, const char *node, const char *zone, bool ready);
/* True: every zone has no ready node at all: it is rather us who are cut off, nothing is evicted. */
bool kc_zones_all_down(struct kc_zones *z);
/* May a node of that zone be tainted now? 0: yes (counted); else microseconds after which to ask again. */
int64_t kc_zones_take(struct kc_zones *z, const char *zone);
