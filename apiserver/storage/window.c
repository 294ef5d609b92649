/* The window of past events of a resource. Guarded by the resource's lock.
 *
 * It holds what clients need to resume: as upstream does, it doubles when it is full of events younger than 75 seconds,
 * and halves when all events of its last quarter have grown old. */
#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "storage/cache_internal.h"

struct kc_cache_event *window_at(const struct window *w, uint64_t seq)
{
        assert(w->cap > 0);
        return w->ring[seq % w->cap];
}

static void evict(struct window *w)
{
        struct kc_cache_event *e = window_at(w, w->first);
        w->floor = e->revision;
        w->bytes -= cache_event_size(e);
        w->first++;
        cache_event_unref(e);
}

void window_done(struct window *w)
{
        while (w->first < w->end)
                evict(w);
        kc_free(w->ring);
        w->ring = NULL;
        w->cap = 0;
}

static void resize(struct window *w, size_t cap)
{
        struct kc_cache_event **ring = kc_calloc(cap, sizeof(struct kc_cache_event *));
        while (w->end - w->first > cap)
                evict(w);
        for (uint64_t s = w->first; s < w->end; s++)
                ring[s % cap] = window_at(w, s);
        kc_free(w->ring);
        w->ring = ring;
        w->cap = cap;
}

static void make_room(struct window *w, kc_mono now)
{
        const kc_mono fresh = KC_CACHE_WINDOW_FRESH_S * KC_SEC;
        if (w->cap == 0) {
                resize(w, KC_CACHE_WINDOW_MIN);
        } else if (w->end - w->first == w->cap) {
                if (now - window_at(w, w->first)->at < fresh && w->cap < KC_CACHE_WINDOW_MAX)
                        resize(w, KC_MIN(w->cap * 2, (size_t)KC_CACHE_WINDOW_MAX));
                else if (now - window_at(w, w->end - w->cap / 4)->at > fresh && w->cap > KC_CACHE_WINDOW_MIN)
                        resize(w, KC_MAX(w->cap / 2, (size_t)KC_CACHE_WINDOW_MIN));
        }
        if (w->end - w->first == w->cap)
                evict(w);
        while (w->bytes > KC_CACHE_WINDOW_BYTES && w->end - w->first > KC_CACHE_WINDOW_MIN)
                evict(w);
}

void window_append(struct window *w, struct kc_cache_event *take_e, kc_mono now)
{
        make_room(w, now);
        take_e->seq = w->end++;
        take_e->at = now;
        w->ring[take_e->seq % w->cap] = take_e;
        w->bytes += cache_event_size(take_e);
}

void window_reset(struct window *w, int64_t floor)
{
        while (w->first < w->end)
                evict(w);
        w->first = ++w->end; /* a number that no event had: who comes next to it has missed something */
        w->floor = floor;
}

uint64_t window_after(const struct window *w, int64_t revision)
{
        uint64_t lo = w->first, hi = w->end;
        while (lo < hi) {
                uint64_t mid = lo + (hi - lo) / 2;
                if (window_at(w, mid)->revision <= revision)
                        lo = mid + 1;
                else
                        hi = mid;
        }
        return lo;
}
