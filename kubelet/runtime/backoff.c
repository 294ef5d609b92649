/* Per-key exponential back-off. Any thread; one mutex. */
#include "kubelet/runtime/backoff.h"

#include <pthread.h>

#include "base/map.h"
#include "base/mem.h"

struct entry {
        int64_t delay;
        kc_time updated;
};

struct kc_backoff {
        pthread_mutex_t mutex;
        struct kc_map *entries; /* guarded by mutex */
        int64_t initial, max;
        const struct kc_clock *clock;
};

struct kc_backoff *kc_backoff_new(int64_t initial_usec, int64_t max_usec, const struct kc_clock *clock)
{
        struct kc_backoff *b = KC_NEW(struct kc_backoff);
        pthread_mutex_init(&b->mutex, NULL);
        b->entries = kc_map_new(kc_free);
        b->initial = initial_usec;
        b->max = max_usec;
        b->clock = clock;
        return b;
}

void kc_backoff_free(struct kc_backoff *b)
{
        if (!b)
                return;
        kc_map_free(b->entries);
        pthread_mutex_destroy(&b->mutex);
        kc_free(b);
}

static bool expired(const struct kc_backoff *b, kc_time event, kc_time updated)
{
        return event - updated > 2 * b->max;
}

int64_t kc_backoff_get(struct kc_backoff *b, const char *key)
{
        pthread_mutex_lock(&b->mutex);
        const struct entry *e = kc_map_get(b->entries, key);
        int64_t delay = e ? e->delay : 0;
        pthread_mutex_unlock(&b->mutex);
        return delay;
}

void kc_backoff_next(struct kc_backoff *b, const char *key, kc_time event_time)
{
        pthread_mutex_lock(&b->mutex);
        struct entry *e = kc_map_get(b->entries, key);
        if (!e) {
                e = KC_NEW(struct entry);
                kc_map_set(b->entries, key, e);
                e->delay = b->initial;
        } else if (expired(b, event_time, e->updated)) {
                e->delay = b->initial;
        } else {
                e->delay = KC_MIN(e->delay * 2, b->max);
        }
        e->updated = kc_clock_now(b->clock);
        pthread_mutex_unlock(&b->mutex);
}

int64_t kc_backoff_remaining(struct kc_backoff *b, const char *key, kc_time event_time)
{
        pthread_mutex_lock(&b->mutex);
        const struct entry *e = kc_map_get(b->entries, key);
        int64_t left = 0;
        if (e && !expired(b, event_time, e->updated))
                left = event_time + e->delay - kc_clock_now(b->clock);
        pthread_mutex_unlock(&b->mutex);
        return left > 0 ? left : 0;
}

int64_t kc_backoff_remaining_since_update(struct kc_backoff *b, const char *key)
{
        kc_time now = kc_clock_now(b->clock);
        pthread_mutex_lock(&b->mutex);
        const struct entry *e = kc_map_get(b->entries, key);
        int64_t left = 0;
        if (e && !expired(b, now, e->updated))
                left = e->updated + e->delay - now;
        pthread_mutex_unlock(&b->mutex);
        return left > 0 ? left : 0;
}

void kc_backoff_reset(struct kc_backoff *b, const char *key)
{
        pthread_mutex_lock(&b->mutex);
        kc_map_remove(b->entries, key);
        pthread_mutex_unlock(&b->mutex);
}

void kc_backoff_gc(struct kc_backoff *b)
{
        kc_time now = kc_clock_now(b->clock);
        pthread_mutex_lock(&b->mutex);
        size_t it = 0;
        const char *key;
        void *value;
        while (kc_map_next(b->entries, &it, &key, &value))
                if (expired(b, now, ((const struct entry *)value)->updated))
                        kc_map_remove(b->entries, key);
        pthread_mutex_unlock(&b->mutex);
}
