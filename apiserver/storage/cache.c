/* The watch cache as a whole: its life and its table of resources. Following the store is sync.c, waiting for revisions
 * wait.c, reading list.c, watching watch.c. */
#include "storage/cache.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "base/str.h"
#include "storage/cache_internal.h"

struct kc_cache *kc_cache_new(const struct kc_cache_opts *o)
{
        struct kc_cache *c = KC_NEW(struct kc_cache);
        c->store = o->store;
        c->loop = kc_store_loop(o->store);
        c->clock = o->clock;
        c->prefix = kc_asprintf("%s/", o->prefix);
        c->pool = kc_pool_new("cache-load", CACHE_LOAD_THREADS, CACHE_LOAD_QUEUE);
        pthread_mutex_init(&c->lock, NULL);
        pthread_condattr_t attr;
        pthread_condattr_init(&attr);
        pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        pthread_cond_init(&c->changed, &attr);
        pthread_condattr_destroy(&attr);
        sync_init(c);
        waits_init(c);
        return c;
}

static void start_on_loop(void *arg)
{
        struct kc_cache *c = arg;
        waits_start(c);
        sync_start(c);
        cache_release(c);
}

void kc_cache_start(struct kc_cache *c)
{
        cache_hold(c);
        kc_loop_post(c->loop, start_on_loop, c);
}

static void stop_on_loop(void *arg)
{
        struct kc_cache *c = arg;
        sync_stop(c);
        waits_stop(c);
        size_t n;
        KC_CLEANUP(kc_freep) struct kc_cache_resource **all = cache_all(c, &n);
        for (size_t i = 0; i < n; i++)
                cache_resource_kill(all[i]);
}

void kc_cache_stop(struct kc_cache *c)
{
        atomic_store(&c->stopping, true);
        kc_loop_call(c->loop, stop_on_loop, c);
        pthread_mutex_lock(&c->lock);
        pthread_cond_broadcast(&c->changed); /* for kc_cache_wait_ready */
        while (atomic_load(&c->outstanding) > 0)
                pthread_cond_wait(&c->changed, &c->lock);
        pthread_mutex_unlock(&c->lock);
}

void kc_cache_free(struct kc_cache *c)
{
        if (!c)
                return;
        kc_pool_free(c->pool);
        for (size_t i = 0; i < c->n_resources; i++)
                cache_resource_free(c->resources[i]);
        for (size_t i = 0; i < c->n_graveyard; i++)
                cache_resource_free(c->graveyard[i]);
        kc_free(c->resources);
        kc_free(c->graveyard);
        pthread_mutex_destroy(&c->lock);
        pthread_cond_destroy(&c->changed);
        kc_free(c->prefix);
        kc_free(c);
}

void cache_hold(struct kc_cache *c)
{
        atomic_fetch_add(&c->outstanding, 1);
}

void cache_release(struct kc_cache *c)
{
        pthread_mutex_lock(&c->lock);
        if (atomic_fetch_sub(&c->outstanding, 1) == 1)
                pthread_cond_broadcast(&c->changed);
        pthread_mutex_unlock(&c->lock);
}

int64_t kc_cache_revision(const struct kc_cache *c)
{
        return atomic_load_explicit(&c->revision, memory_order_acquire);
}

bool kc_cache_ready(const struct kc_cache *c)
{
        return atomic_load_explicit(&c->ready, memory_order_acquire);
}

void cache_set_ready(struct kc_cache *c, bool ready)
{
        pthread_mutex_lock(&c->lock);
        atomic_store(&c->ready, ready);
        pthread_cond_broadcast(&c->changed);
        pthread_mutex_unlock(&c->lock);
}

int kc_cache_wait_ready(struct kc_cache *c, int timeout_ms, struct kc_error *err)
{
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += timeout_ms / 1000;
        until.tv_nsec += (timeout_ms % 1000) * 1000000L;
        if (until.tv_nsec >= 1000000000L) {
                until.tv_sec++;
                until.tv_nsec -= 1000000000L;
        }
        int r = 0;
        pthread_mutex_lock(&c->lock);
        while (!atomic_load(&c->ready) && !atomic_load(&c->stopping) && r == 0)
                r = pthread_cond_timedwait(&c->changed, &c->lock, &until);
        bool ready = atomic_load(&c->ready);
        pthread_mutex_unlock(&c->lock);
        if (!ready && atomic_load(&c->stopping))
                return kc_error_set(err, ECANCELED, "the watch cache has been stopped");
        return ready ? 0 : kc_error_set(err, ETIMEDOUT, "timed out waiting for the watch cache to be loaded");
}

/* --- Resources */

/* The place of the first resource whose prefix is behind the key. Under the lock. */
static size_t behind(const struct kc_cache *c, const char *key)
{
        size_t lo = 0, hi = c->n_resources;
        while (lo < hi) {
                size_t mid = lo + (hi - lo) / 2;
                if (strcmp(c->resources[mid]->prefix, key) <= 0)
                        lo = mid + 1;
                else
                        hi = mid;
        }
        return lo;
}

struct kc_cache_resource *cache_lookup(struct kc_cache *c, const char *key)
{
        struct kc_cache_resource *found = NULL;
        pthread_mutex_lock(&c->lock);
        size_t i = behind(c, key);
        if (i > 0 && kc_str_has_prefix(key, c->resources[i - 1]->prefix))
                found = c->resources[i - 1];
        pthread_mutex_unlock(&c->lock);
        return found;
}

struct kc_cache_resource **cache_all(struct kc_cache *c, size_t *ret_n)
{
        pthread_mutex_lock(&c->lock);
        struct kc_cache_resource **all = kc_calloc(c->n_resources + 1, sizeof(struct kc_cache_resource *));
        if (c->n_resources > 0)
                memcpy(all, c->resources, c->n_resources * sizeof(struct kc_cache_resource *));
        *ret_n = c->n_resources;
        pthread_mutex_unlock(&c->lock);
        return all;
}

struct resource_task {
        struct kc_cache *cache;
        struct kc_cache_resource *resource;
};

static void load_on_loop(void *arg)
{
        struct resource_task *t = arg;
        sync_load(t->cache, t->resource);
        cache_release(t->cache);
        kc_free(t);
}

static void post_task(struct kc_cache *c, struct kc_cache_resource *r, kc_loop_fn fn)
{
        struct resource_task *t = KC_NEW(struct resource_task);
        *t = (struct resource_task){c, r};
        cache_hold(c);
        kc_loop_post(c->loop, fn, t);
}

struct kc_cache_resource *kc_cache_register(struct kc_cache *c, const struct kc_cache_resource_opts *o)
{
        struct kc_cache_resource *r = cache_resource_new(c, o);
        r->loading = true;
        pthread_mutex_lock(&c->lock);
        if (c->n_resources == c->resources_cap) {
                c->resources_cap = c->resources_cap ? c->resources_cap * 2 : 32;
                c->resources = kc_reallocarray(c->resources, c->resources_cap, sizeof(struct kc_cache_resource *));
        }
        size_t i = behind(c, r->prefix);
        memmove(c->resources + i + 1, c->resources + i, (c->n_resources - i) * sizeof(struct kc_cache_resource *));
        c->resources[i] = r;
        c->n_resources++;
        pthread_mutex_unlock(&c->lock);
        /* Before the start this does nothing: the start loads all. */
        post_task(c, r, load_on_loop);
        return r;
}

static void kill_on_loop(void *arg)
{
        struct resource_task *t = arg;
        cache_resource_kill(t->resource);
        waits_advance(t->cache);
        cache_release(t->cache);
        kc_free(t);
}

void kc_cache_unregister(struct kc_cache *c, struct kc_cache_resource *r)
{
        pthread_mutex_lock(&c->lock);
        size_t i = 0;
        while (c->resources[i] != r)
                i++;
        c->n_resources--;
        memmove(c->resources + i, c->resources + i + 1, (c->n_resources - i) * sizeof(struct kc_cache_resource *));
        /* Reads may be on their way to it: it stays, empty, as long as the cache. */
        c->graveyard = kc_reallocarray(c->graveyard, c->n_graveyard + 1, sizeof(struct kc_cache_resource *));
        c->graveyard[c->n_graveyard++] = r;
        pthread_mutex_unlock(&c->lock);
        post_task(c, r, kill_on_loop);
}
