/* Zones: counts of ready and not ready nodes, and a token bucket each. */
#include "controller-manager/nodezones.h"

#include <pthread.h>

#include "api/object.h"
#include "base/map.h"
#include "base/str.h"

enum { PARTIAL_MIN = 2 }; /* more not ready nodes than that make a partial disruption */

struct node_entry {
        char *zone;
        bool ready;
};

struct zone {
        int ready, not_ready;
        double tokens;
        kc_mono filled;
};

struct kc_zones {
        struct kc_zones_opts opts;
        pthread_mutex_t lock;
        struct kc_map *nodes; /* guarded by lock: name -> struct node_entry * */
        struct kc_map *zones; /* guarded by lock: zone -> struct zone * */
};

static void node_entry_free(void *p)
{
        struct node_entry *e = p;
        kc_free(e->zone);
        kc_free(e);
}

struct kc_zones *kc_zones_new(const struct kc_zones_opts *o)
{
        struct kc_zones *z = KC_NEW(struct kc_zones);
        z->opts = *o;
        pthread_mutex_init(&z->lock, NULL);
        z->nodes = kc_map_new(node_entry_free);
        z->zones = kc_map_new(kc_free);
        return z;
}

void kc_zones_free(struct kc_zones *z)
{
        kc_map_free(z->nodes);
        kc_map_free(z->zones);
        pthread_mutex_destroy(&z->lock);
        kc_free(z);
}

char *kc_zone_of(const struct json_object *node)
{
        const char *region = kc_meta_label(node, "topology.kubernetes.io/region"),
                   *zone = kc_meta_label(node, "topology.kubernetes.io/zone");
        return kc_asprintf("%s:%s", region ? region : "", zone ? zone : "");
}

static struct zone *zone_get(struct kc_zones *z, const char *name)
{
        struct zone *zone = kc_map_get(z->zones, name);
        if (!zone) {
                zone = KC_NEW(struct zone);
                zone->tokens = 1;
                zone->filled = kc_clock_mono(z->opts.clock);
                kc_map_set(z->zones, name, zone);
        }
        return zone;
}

static void count(struct kc_zones *z, const struct node_entry *e, int by)
{
        struct zone *zone = zone_get(z, e->zone);
        if (e->ready)
                zone->ready += by;
        else
                zone->not_ready += by;
}

void kc_zones_set(struct kc_zones *z, const char *node, const char *zone, bool ready)
{
        pthread_mutex_lock(&z->lock);
        const struct node_entry *old = kc_map_get(z->nodes, node);
        if (old) {
                count(z, old, -1);
                (void)kc_map_remove(z->nodes, node); /* it is there */
        }
        if (zone) {
                struct node_entry *e = KC_NEW(struct node_entry);
                e->zone = kc_strdup(zone);
                e->ready = ready;
                count(z, e, 1);
                kc_map_set(z->nodes, node, e);
        }
        pthread_mutex_unlock(&z->lock);
}

bool kc_zones_all_down(struct kc_zones *z)
{
        size_t it = 0;
        const char *name;
        void *v;
        bool any = false, down = true;

        pthread_mutex_lock(&z->lock);
        while (kc_map_next(z->zones, &it, &name, &v)) {
                const struct zone *zone = v;
                any |= zone->ready + zone->not_ready > 0;
                down &= zone->ready == 0;
        }
        pthread_mutex_unlock(&z->lock);
        return any && down;
}

/* Normal or fully disrupted zones go at the full rate; partly disrupted ones slower, small ones not at all. */
static double rate_of(const struct kc_zones *z, const struct zone *zone)
{
        int total = zone->ready + zone->not_ready;
        bool partial = zone->ready > 0 && zone->not_ready > PARTIAL_MIN &&
                       (double)zone->not_ready / (double)total >= z->opts.unhealthy_threshold;
        if (!partial)
                return z->opts.rate;
        return total > z->opts.large_cluster ? z->opts.secondary_rate : 0;
}

int64_t kc_zones_take(struct kc_zones *z, const char *name)
{
        int64_t wait = 0;

        pthread_mutex_lock(&z->lock);
        struct zone *zone = zone_get(z, name);
        double rate = rate_of(z, zone);
        kc_mono now = kc_clock_mono(z->opts.clock);
        zone->tokens = KC_MIN(1.0, zone->tokens + rate * (double)(now - zone->filled) / (double)KC_SEC);
        zone->filled = now;
        if (zone->tokens >= 1.0)
                zone->tokens -= 1.0;
        else
                wait = rate > 0 ? (int64_t)((1.0 - zone->tokens) / rate * (double)KC_SEC) + KC_MSEC : 10 * KC_SEC;
        pthread_mutex_unlock(&z->lock);
        return wait;
}
