/* Following the store: load each resource, watch the prefix, apply events, start again where it broke. On the storage
 * loop, but for the loads, which block on a small pool.
 *
 *   ask for the revision R0 -> watch from R0 + 1 -> each resource: list at some L >= R0, then what the watch brought
 * after L
 *
 * A broken watch goes on after the last revision seen; nobody notices. If that revision is compacted, or the store has
 * gone back (restored from a backup), everything is loaded anew and all watches end with 410. */
#include <errno.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "storage/cache_internal.h"

static void ask(struct kc_cache *c);

/* --- Loading */

struct load {
        struct kc_cache *cache;
        struct kc_cache_resource *resource;
        uint64_t epoch;
        struct kc_cache_entry **v;
        size_t n, cap;
        int64_t revision;
        struct kc_error error;
};

static void free_load(struct load *l)
{
        for (size_t i = 0; i < l->n; i++)
                kc_cache_entry_unref(l->v[i]);
        kc_free(l->v);
        kc_error_done(&l->error);
        kc_free(l);
}

static void add_page(struct load *l, const struct kc_store_list *page)
{
        if (l->n + page->n > l->cap) {
                l->cap = KC_MAX(l->cap * 2, l->n + page->n);
                l->v = kc_reallocarray(l->v, l->cap, sizeof(struct kc_cache_entry *));
        }
        for (size_t i = 0; i < page->n; i++) {
                const struct kc_store_kv *kv = &page->kvs[i];
                KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
                if (cache_resource_entry(l->resource, kv->key, kc_bytes_data(kv->value), kc_bytes_len(kv->value),
                        kv->mod_revision, &l->v[l->n], &err) == 0)
                        l->n++;
                else
                        kc_log_error(&err, "Cannot decode a stored object, ignoring", "key", kv->key);
        }
}

static void load_done(void *arg);

/* On the pool. */
static void run_load(void *arg)
{
        struct load *l = arg;
        KC_CLEANUP(kc_freep) char *from = NULL;
        bool more = true;
        while (more && !atomic_load(&l->cache->stopping)) {
                struct kc_store_list page;
                struct kc_store_list_opts o = {
                    .prefix = l->resource->prefix, .from_key = from, .limit = CACHE_LOAD_PAGE, .revision = l->revision};
                if (kc_store_list(l->cache->store, &o, &page, &l->error) < 0)
                        break;
                l->revision = page.revision;
                add_page(l, &page);
                more = page.more;
                if (page.n > 0) {
                        kc_free(from);
                        from = kc_asprintf("%s\x01", page.kvs[page.n - 1].key);
                }
                kc_store_list_done(&page);
        }
        kc_loop_post(l->cache->loop, load_done, l);
}

void sync_load(struct kc_cache *c, struct kc_cache_resource *r)
{
        if (!c->sync.has_revision || c->sync.stopped || r->load_in_flight || !r->loading || r->dead)
                return;
        struct load *l = KC_NEW(struct load);
        l->cache = c;
        l->resource = r;
        l->epoch = c->sync.epoch;
        r->load_in_flight = true;
        cache_hold(c);
        if (kc_pool_submit(c->pool, run_load, l) < 0) {
                kc_error_set(&l->error, EAGAIN, "too many loads are queued");
                kc_loop_post(c->loop, load_done, l);
        }
}

static void load_all(struct kc_cache *c)
{
        size_t n;
        KC_CLEANUP(kc_freep) struct kc_cache_resource **all = cache_all(c, &n);
        for (size_t i = 0; i < n; i++)
                sync_load(c, all[i]);
}

/* Ready when nothing is loading that was there at the start. */
static void check_ready(struct kc_cache *c)
{
        size_t n;
        KC_CLEANUP(kc_freep) struct kc_cache_resource **all = cache_all(c, &n);
        bool ready = c->sync.has_revision;
        for (size_t i = 0; i < n && ready; i++)
                ready = !all[i]->initial || !all[i]->loading;
        if (ready != kc_cache_ready(c))
                cache_set_ready(c, ready);
}

static void retry_later(struct kc_cache *c)
{
        if (c->sync.stopped || kc_timer_armed(c->sync.retry))
                return;
        kc_timer_arm(c->sync.retry, c->sync.retry_ms * KC_MSEC);
        c->sync.retry_ms = KC_MIN(c->sync.retry_ms * 2, (int)CACHE_RETRY_MAX_MS);
}

static void install(struct load *l)
{
        struct kc_cache *c = l->cache;
        size_t n = l->n;
        l->n = 0; /* taken */
        if (cache_resource_install(l->resource, l->v, n, l->revision) < 0) {
                sync_load(c, l->resource);
                return;
        }
        kc_log_v(2, "Loaded", "resource", l->resource->name, "revision", kc_log_i64(l->revision));
        check_ready(c);
        waits_advance(c);
}

static void load_done(void *arg)
{
        struct load *l = arg;
        struct kc_cache *c = l->cache;
        struct kc_cache_resource *r = l->resource;
        r->load_in_flight = false;
        if (c->sync.stopped || r->dead) {
                /* Nobody wants it any more. */
        } else if (l->epoch != c->sync.epoch) {
                sync_load(c, r);
        } else if (l->error.errnum) {
                kc_log_error(&l->error, "Cannot load a resource, retrying", "resource", r->name);
                retry_later(c);
        } else {
                install(l);
        }
        free_load(l);
        cache_release(c);
}

/* --- Following */

/* All that is known may be wrong: load everything again. */
static void reset(struct kc_cache *c)
{
        kc_log_warn("The watch cache starts anew", "revision", kc_log_i64(kc_cache_revision(c)));
        c->sync.epoch++;
        c->sync.has_revision = false;
        cache_set_ready(c, false); /* before anybody hears of it */
        size_t n;
        KC_CLEANUP(kc_freep) struct kc_cache_resource **all = cache_all(c, &n);
        for (size_t i = 0; i < n; i++)
                cache_resource_unload(all[i]);
}

static void add_event(struct kc_cache *c, const struct kc_store_event *ev)
{
        struct kc_cache_resource *r = cache_lookup(c, ev->key);
        if (!r)
                return;
        struct kc_cache_entry *entry = NULL;
        if (ev->value) {
                KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
                /* On failure: to readers it is as if it were deleted. */
                if (cache_resource_entry(r, ev->key, ev->value, ev->len, ev->mod_revision, &entry, &err) < 0)
                        kc_log_error(&err, "Cannot decode a stored object, ignoring", "key", ev->key);
        }
        cache_resource_push(r, entry, ev->key, ev->mod_revision);
        if (kc_list_empty(&r->touched_node))
                kc_list_push_back(&c->sync.touched, &r->touched_node);
}

static void on_events(const struct kc_store_event *events, size_t n, int64_t revision, void *arg)
{
        struct kc_cache *c = arg;
        for (size_t i = 0; i < n; i++)
                add_event(c, &events[i]);
        struct kc_cache_resource *r;
        while ((r = KC_LIST_FIRST(&c->sync.touched, struct kc_cache_resource, touched_node))) {
                kc_list_remove(&r->touched_node);
                cache_resource_apply(r);
        }
        atomic_store_explicit(&c->revision, revision, memory_order_release);
        waits_advance(c);
}

static void on_created(void *arg)
{
        struct kc_cache *c = arg;
        c->sync.retry_ms = CACHE_RETRY_MS;
        kc_log_v(2, "Watching the store", "revision", kc_log_i64(kc_cache_revision(c)));
}

static void on_end(const struct kc_error *err, int64_t compact_revision, void *arg)
{
        struct kc_cache *c = arg;
        c->sync.watch = NULL;
        kc_log_error(err, "The watch of the store ended, retrying", "revision", kc_log_i64(kc_cache_revision(c)),
            "compactRevision", kc_log_i64(compact_revision));
        if (err->errnum == ESTALE)
                reset(c);
        retry_later(c);
}

static const struct kc_store_watch_cbs watch_cbs = {
    .on_events = on_events,
    .on_created = on_created,
    .on_end = on_end,
};

static void on_revision(int64_t revision, const struct kc_error *err, void *arg)
{
        struct kc_cache *c = arg;
        c->sync.asking = false;
        if (c->sync.stopped) {
                /* Nothing to do. */
        } else if (!revision) {
                kc_log_error(err, "Cannot reach the store, retrying");
                retry_later(c);
        } else {
                if (c->sync.has_revision && revision < kc_cache_revision(c))
                        reset(c);
                if (!c->sync.has_revision) {
                        atomic_store_explicit(&c->revision, revision, memory_order_release);
                        c->sync.has_revision = true;
                }
                c->sync.watch = kc_store_watch(c->store, c->prefix, kc_cache_revision(c) + 1, false, &watch_cbs, c);
                load_all(c);
                check_ready(c);
        }
        cache_release(c);
}

static void ask(struct kc_cache *c)
{
        if (c->sync.stopped || c->sync.asking || c->sync.watch)
                return;
        c->sync.asking = true;
        cache_hold(c);
        kc_store_revision_async(c->store, on_revision, c);
}

static void retry(void *arg)
{
        struct kc_cache *c = arg;
        ask(c);
        load_all(c);
}

/* --- Life */

void sync_init(struct kc_cache *c)
{
        c->sync.retry_ms = CACHE_RETRY_MS;
        kc_list_init(&c->sync.touched);
}

void sync_start(struct kc_cache *c)
{
        size_t n;
        KC_CLEANUP(kc_freep) struct kc_cache_resource **all = cache_all(c, &n);
        for (size_t i = 0; i < n; i++)
                all[i]->initial = true;
        c->sync.retry = kc_timer_new(c->loop, retry, c);
        ask(c);
}

void sync_stop(struct kc_cache *c)
{
        c->sync.stopped = true;
        kc_timer_free(KC_TAKE(c->sync.retry));
        kc_store_watch_cancel(KC_TAKE(c->sync.watch));
        cache_set_ready(c, false);
}
