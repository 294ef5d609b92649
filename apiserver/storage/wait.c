/* Reads that wait: for the answer to "which revision is current", for the stream to reach a revision, for a resource to
 * be loaded. On the storage loop; started from any thread.
 *
 *   next --one request for all--> asked --revision known--> pending --stream is there--> done
 *
 * A revision made outside our prefix never comes by itself. When a consistent read has waited in vain for a tick, a
 * write to a key of our own makes the stream move. */
#include <errno.h>

#include "api/status.h"
#include "base/mem.h"
#include "storage/cache_internal.h"

/* Below the prefix and no resource's. */
#define NUDGE_KEY "kubec.io/revision"

struct wait {
        struct kc_list node;
        struct kc_cache *cache;
        struct kc_cache_resource *resource;
        bool consistent;
        int64_t revision;
        kc_mono since;
        struct kc_loop *loop;
        kc_cache_wait_fn fn;
        void *arg;
        struct kc_error error;
};

static void tell(void *arg)
{
        struct wait *w = arg;
        w->fn(w->error.errnum ? &w->error : NULL, w->arg);
        kc_error_done(&w->error);
        kc_free(w);
}

static void finish(struct wait *w)
{
        struct kc_cache *c = w->cache;
        kc_list_remove(&w->node);
        if (w->loop == c->loop)
                tell(w);
        else
                kc_loop_post(w->loop, tell, w);
        cache_release(c);
}

static bool satisfied(const struct wait *w)
{
        const struct kc_cache_resource *r = w->resource;
        if (r->dead)
                return true; /* the read itself tells */
        /* What was loaded after the watch began may be ahead of it. */
        return r->loaded && w->revision <= KC_MAX(kc_cache_revision(w->cache), r->revision);
}

static void settle(struct wait *w)
{
        if (satisfied(w)) {
                finish(w);
                return;
        }
        struct waits *ws = &w->cache->waits;
        kc_list_push_back(&ws->pending, &w->node);
        if (ws->tick && !kc_timer_armed(ws->tick))
                kc_timer_arm(ws->tick, CACHE_TICK_MS * KC_MSEC);
}

void waits_advance(struct kc_cache *c)
{
        KC_LIST_FOREACH(&c->waits.pending, w, struct wait, node)
        {
                if (satisfied(w))
                        finish(w);
        }
}

/* --- Asking for the revision */

static void ask_next(struct kc_cache *c);

static void on_revision(int64_t revision, const struct kc_error *err, void *arg)
{
        struct kc_cache *c = arg;
        struct waits *ws = &c->waits;
        ws->in_flight = false;
        for (struct wait *w; (w = KC_LIST_FIRST(&ws->asked, struct wait, node));) {
                kc_list_remove(&w->node);
                if (revision) {
                        w->revision = revision;
                        settle(w);
                } else {
                        kc_error_copy(&w->error, err);
                        finish(w);
                }
        }
        ask_next(c);
        cache_release(c);
}

static void ask_next(struct kc_cache *c)
{
        struct waits *ws = &c->waits;
        if (ws->in_flight || kc_list_empty(&ws->next))
                return;
        for (struct wait *w; (w = KC_LIST_FIRST(&ws->next, struct wait, node));) {
                kc_list_remove(&w->node);
                kc_list_push_back(&ws->asked, &w->node);
        }
        ws->in_flight = true;
        cache_hold(c);
        kc_store_revision_async(c->store, on_revision, c);
}

static void ask_deferred(void *arg)
{
        struct kc_cache *c = arg;
        c->waits.ask_deferred = false;
        ask_next(c);
        cache_release(c);
}

static void add(void *arg)
{
        struct wait *w = arg;
        struct kc_cache *c = w->cache;
        if (c->sync.stopped) {
                kc_error_set_api(&w->error, 503, KC_REASON_SERVICE_UNAVAILABLE, "the watch cache has stopped");
                finish(w);
        } else if (w->consistent) {
                kc_list_push_back(&c->waits.next, &w->node);
                /* Not at once: what else was posted in this turn of the loop shares the request. */
                if (!c->waits.in_flight && !c->waits.ask_deferred) {
                        c->waits.ask_deferred = true;
                        cache_hold(c);
                        kc_loop_defer(c->loop, ask_deferred, c);
                }
        } else {
                settle(w);
        }
}

/* --- Waiting in vain */

static void nudged(void *arg)
{
        struct kc_cache *c = arg;
        c->waits.nudging = false;
        cache_release(c);
}

/* On the pool. */
static void nudge(void *arg)
{
        struct kc_cache *c = arg;
        KC_CLEANUP(kc_freep) char *key = kc_asprintf("%s" NUDGE_KEY, c->prefix);
        /* If it fails, so will the reads that wait. */
        (void)kc_store_put(c->store, key, "1", 1, NULL, NULL);
        kc_loop_post(c->loop, nudged, c);
}

static void expire(struct wait *w)
{
        struct kc_cache *c = w->cache;
        if (!w->resource->loaded)
                (void)kc_err_too_many_requests(&w->error, "storage is (re)initializing", 1);
        else if (w->consistent)
                kc_error_set_api(&w->error, 504, KC_REASON_TIMEOUT,
                    "timed out waiting for the watch cache to reach resource version %lld, current: %lld",
                    (long long)w->revision, (long long)kc_cache_revision(c));
        else
                (void)kc_err_too_large_resource_version(
                    &w->error, (uint64_t)w->revision, (uint64_t)kc_cache_revision(c));
        finish(w);
}

static void on_tick(void *arg)
{
        struct kc_cache *c = arg;
        struct waits *ws = &c->waits;
        kc_mono now = kc_clock_mono(c->clock);
        bool stuck = false;
        KC_LIST_FOREACH(&ws->pending, w, struct wait, node)
        {
                if (now - w->since >= KC_CACHE_WAIT_MS * KC_MSEC)
                        expire(w);
                else
                        stuck |= w->consistent && w->resource->loaded && now - w->since >= CACHE_TICK_MS * KC_MSEC;
        }
        if (stuck && !ws->nudging) {
                cache_hold(c);
                ws->nudging = kc_pool_submit(c->pool, nudge, c) == 0;
                if (!ws->nudging)
                        cache_release(c);
        }
        if (!kc_list_empty(&ws->pending))
                kc_timer_arm(ws->tick, CACHE_TICK_MS * KC_MSEC);
}

/* --- Life */

void waits_init(struct kc_cache *c)
{
        kc_list_init(&c->waits.next);
        kc_list_init(&c->waits.asked);
        kc_list_init(&c->waits.pending);
}

void waits_start(struct kc_cache *c)
{
        c->waits.tick = kc_timer_new(c->loop, on_tick, c);
        if (!kc_list_empty(&c->waits.pending))
                kc_timer_arm(c->waits.tick, CACHE_TICK_MS * KC_MSEC);
}

static void fail_all(struct kc_list *waits)
{
        for (struct wait *w; (w = KC_LIST_FIRST(waits, struct wait, node));) {
                kc_error_set_api(&w->error, 503, KC_REASON_SERVICE_UNAVAILABLE, "the watch cache has stopped");
                finish(w);
        }
}

void waits_stop(struct kc_cache *c)
{
        kc_timer_free(KC_TAKE(c->waits.tick));
        fail_all(&c->waits.next);
        fail_all(&c->waits.asked);
        fail_all(&c->waits.pending);
}

/* --- Any thread */

void kc_cache_wait_async(
    struct kc_cache_resource *r, const struct kc_cache_read *read, struct kc_loop *loop, kc_cache_wait_fn fn, void *arg)
{
        struct kc_cache *c = r->cache;
        struct wait *w = KC_NEW(struct wait);
        kc_list_init(&w->node);
        w->cache = c;
        w->resource = r;
        w->consistent = read->match == KC_CACHE_CONSISTENT;
        w->revision = w->consistent ? 0 : read->revision;
        w->since = kc_clock_mono(c->clock);
        w->loop = loop;
        w->fn = fn;
        w->arg = arg;
        cache_hold(c);
        kc_loop_post(c->loop, add, w);
}

struct blocked {
        pthread_mutex_t lock;
        pthread_cond_t cond;
        bool done;
        struct kc_error error;
};

static void unblock(const struct kc_error *err, void *arg)
{
        struct blocked *b = arg;
        pthread_mutex_lock(&b->lock);
        if (err)
                kc_error_copy(&b->error, err);
        b->done = true;
        pthread_cond_signal(&b->cond);
        pthread_mutex_unlock(&b->lock);
}

int kc_cache_wait(struct kc_cache_resource *r, const struct kc_cache_read *read, struct kc_error *err)
{
        if (read->match != KC_CACHE_CONSISTENT && atomic_load(&r->loaded) &&
            read->revision <= kc_cache_revision(r->cache))
                return 0;
        struct blocked b = {.lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};
        kc_cache_wait_async(r, read, r->cache->loop, unblock, &b);
        pthread_mutex_lock(&b.lock);
        while (!b.done)
                pthread_cond_wait(&b.cond, &b.lock);
        pthread_mutex_unlock(&b.lock);
        pthread_mutex_destroy(&b.lock);
        pthread_cond_destroy(&b.cond);
        int result = -b.error.errnum;
        if (err && result < 0)
                kc_error_move(err, &b.error);
        kc_error_done(&b.error);
        return result;
}
