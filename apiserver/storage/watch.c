/* A watch's life: starting, the initial events and catching up, pausing, the end. See watch_internal.h. On the hub's
 * loop. */
#include <errno.h>
#include <string.h>

#include "api/status.h"
#include "base/mem.h"
#include "base/str.h"
#include "storage/watch_internal.h"

/* --- The end of a watch */

/* Under the resource's lock: one watch more, or less, of all objects or of a namespace. */
static void count_watch(struct kc_cache_resource *r, const char *bucket, int delta)
{
        if (strcmp(bucket, "*") == 0)
                r->n_wide_watches += (size_t)delta;
        if (strncmp(bucket, "n:", 2) != 0)
                return;
        size_t *n = kc_map_get(r->ns_watches, bucket + 2);
        if (!n) {
                n = KC_NEW(size_t);
                (void)kc_map_set(r->ns_watches, bucket + 2, n);
        }
        *n += (size_t)delta;
        if (*n == 0)
                (void)kc_map_remove(r->ns_watches, bucket + 2);
}

size_t kc_cache_resource_watches(struct kc_cache_resource *r, const char *ns)
{
        pthread_rwlock_rdlock(&r->lock);
        const size_t *n = kc_map_get(r->ns_watches, ns);
        size_t all = r->n_wide_watches + (n ? *n : 0);
        pthread_rwlock_unlock(&r->lock);
        return all;
}

/* Off the hub and its lists, then freed. */
void watch_free(struct kc_cache_watch *w)
{
        struct hub *h = w->hub;
        kc_list_remove(&w->node);
        kc_list_remove(&w->busy_node);
        pthread_rwlock_wrlock(&h->r->lock);
        count_watch(h->r, w->bucket->name, -1);
        pthread_rwlock_unlock(&h->r->lock);
        if (kc_list_empty(&w->bucket->watches)) {
                KC_CLEANUP(kc_freep) char *name = kc_strdup(w->bucket->name);
                (void)kc_map_remove(h->buckets, name);
        }
        if (--h->n_watches == 0) {
                kc_timer_free(KC_TAKE(h->bookmarks));
                pthread_rwlock_wrlock(&h->r->lock);
                kc_list_remove(&h->node);
                pthread_rwlock_unlock(&h->r->lock);
                hub_unref(h);
        }
        index_unref(w->snapshot);
        kc_error_done(&w->error);
        kc_free((char *)(uintptr_t)w->o.ns);
        kc_free((char *)(uintptr_t)w->o.name);
        kc_free((char *)(uintptr_t)w->o.trigger);
        hub_unref(h);
        kc_free(w);
}

/* Nothing is delivered to it any more; its memory goes as soon as nobody walks over it. */
static void watch_bury(struct kc_cache_watch *w)
{
        w->dead = true;
        if (w->state == STARTING)
                return; /* on_fresh is still to come */
        kc_list_remove(&w->busy_node);
        if (w->hub->depth > 0)
                kc_list_push_back(&w->hub->dead, &w->busy_node);
        else
                watch_free(w);
}

void watch_end(struct kc_cache_watch *w, const struct kc_error *err)
{
        w->dead = true;
        w->cbs.on_end(w, err, w->arg);
        watch_bury(w);
}

void watch_end_expired(struct kc_cache_watch *w, int64_t floor)
{
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        KC_CLEANUP(kc_freep)
        char *text = kc_asprintf("too old resource version: %lld (%lld)", (long long)w->after, (long long)floor);
        (void)kc_err_gone(&err, text);
        watch_end(w, &err);
}

void kc_cache_watch_cancel(struct kc_cache_watch *w)
{
        if (!w->dead)
                watch_bury(w);
}

/* --- A watch's own turn: INITIAL and CATCHUP */

static void set_busy(struct kc_cache_watch *w)
{
        if (w->dead || w->paused || w->state == STARTING || w->state == LIVE)
                return;
        kc_list_remove(&w->busy_node);
        kc_list_push_back(&w->hub->busy, &w->busy_node);
        hub_post_busy(w->hub);
}

static bool pos_before(struct index_pos a, struct index_pos b)
{
        return a.leaf < b.leaf || (a.leaf == b.leaf && a.at < b.at);
}

static void step_initial(struct kc_cache_watch *w)
{
        for (size_t n = 0; n < KC_CACHE_CHUNK && pos_before(w->pos, w->end); n++) {
                struct kc_cache_entry *e = index_next(w->snapshot, &w->pos);
                if (!watch_in_scope(w, e) || !watch_selects(w, e))
                        continue;
                struct kc_cache_watch_event ev = {
                    .type = KC_WATCH_ADDED, .revision = kc_cache_entry_revision(e), .object = e};
                w->cbs.on_event(w, &ev, w->arg);
                if (w->dead || w->paused)
                        return;
        }
        if (pos_before(w->pos, w->end))
                return;
        w->state = CATCHUP;
        index_unref(KC_TAKE(w->snapshot));
        if (w->want_initial_end)
                watch_send_bookmark(w, w->snapshot_revision, true);
}

static void step_catchup(struct kc_cache_watch *w)
{
        struct batch b;
        if (!hub_take_batch(w->hub->r, w->next, w->hub->next, &b)) {
                watch_end_expired(w, b.floor);
                return;
        }
        for (size_t i = 0; i < b.n && !w->dead && !w->paused; i++) {
                w->next = b.v[i]->seq + 1;
                watch_deliver(w, b.v[i]);
        }
        hub_drop_batch(&b);
        if (w->dead || w->next < w->hub->next || w->paused)
                return;
        w->state = LIVE;
        if (w->cbs.on_live)
                KC_TAKE(w->cbs.on_live)(w, w->arg);
}

static void step(struct kc_cache_watch *w)
{
        if (w->error.errnum) {
                struct kc_error err = KC_ERROR_INIT;
                kc_error_move(&err, &w->error);
                watch_end(w, &err);
                kc_error_done(&err);
        } else if (w->state == INITIAL) {
                step_initial(w);
        } else {
                step_catchup(w);
        }
}

void watch_busy_run(void *arg)
{
        struct hub *h = arg;
        h->busy_posted = false;
        struct kc_list turn;
        kc_list_init(&turn);
        for (struct kc_cache_watch *w; (w = KC_LIST_FIRST(&h->busy, struct kc_cache_watch, busy_node));) {
                kc_list_remove(&w->busy_node);
                kc_list_push_back(&turn, &w->busy_node);
        }
        h->depth++;
        for (struct kc_cache_watch *w; (w = KC_LIST_FIRST(&turn, struct kc_cache_watch, busy_node));) {
                kc_list_remove(&w->busy_node);
                step(w);
                set_busy(w); /* if there is more to do */
        }
        hub_leave(h);
        hub_unref(h);
}

/* --- Starting */

void kc_cache_watch_pause(struct kc_cache_watch *w, bool paused)
{
        if (w->dead || w->paused == paused)
                return;
        w->paused = paused;
        if (!paused) {
                set_busy(w);
        } else {
                kc_list_remove(&w->busy_node);
                if (w->state == LIVE) {
                        w->state = CATCHUP;
                        w->next = KC_MAX(w->next, w->hub->next);
                }
        }
}

/* The name of the bucket with the fewest others. Heap. */
static char *bucket_name(const struct kc_cache_resource *r, const struct kc_cache_watch_opts *o)
{
        if (o->name && (!r->namespaced || o->ns)) {
                KC_CLEANUP(kc_freep) char *key = kc_cache_resource_key(r, r->namespaced ? o->ns : NULL, o->name);
                return kc_asprintf("k:%s", key);
        }
        if (o->trigger && r->trigger >= 0)
                return kc_asprintf("t:%s", o->trigger);
        return o->ns ? kc_asprintf("n:%s", o->ns) : kc_strdup("*");
}

/* Where the watch begins, now that the cache is as fresh as it wants. Under the resource's lock. */
static void find_start(struct kc_cache_watch *w, int64_t seen)
{
        struct kc_cache_resource *r = w->hub->r;
        bool from_revision = w->o.revision > 0 && w->o.initial_events != KC_INITIAL_EVENTS_TRUE;
        if (from_revision && w->o.revision < r->window.floor) {
                w->next = 0; /* numbers begin at 1, so it is never there: step_catchup tells */
                w->after = w->o.revision;
                w->state = CATCHUP;
                return;
        }
        if (from_revision) {
                w->next = window_after(&r->window, w->o.revision);
                w->after = w->o.revision;
                w->state = CATCHUP;
                return;
        }
        w->next = r->window.end;
        w->snapshot_revision = w->after = KC_MAX(seen, r->revision);
        if (w->o.initial_events == KC_INITIAL_EVENTS_FALSE) {
                w->state = CATCHUP;
                return;
        }
        w->state = INITIAL;
        w->snapshot = index_ref(r->index);
}

static void begin(struct kc_cache_watch *w)
{
        struct kc_cache_resource *r = w->hub->r;
        int64_t seen = kc_cache_revision(r->cache);
        pthread_rwlock_rdlock(&r->lock);
        if (r->loaded) {
                find_start(w, seen);
        } else {
                w->state = CATCHUP;
                (void)kc_err_too_many_requests(&w->error, "storage is (re)initializing", 1);
        }
        pthread_rwlock_unlock(&r->lock);
        if (w->snapshot) {
                KC_CLEANUP(kc_freep) char *scope = cache_resource_scope(r, r->namespaced ? w->o.ns : NULL);
                w->pos = index_seek(w->snapshot, scope);
                scope[strlen(scope) - 1]++;
                w->end = index_seek(w->snapshot, scope);
        }
        set_busy(w);
}

static void on_fresh(const struct kc_error *err, void *arg)
{
        struct kc_cache_watch *w = arg;
        if (w->dead) {
                watch_free(w);
        } else if (err) {
                w->state = CATCHUP;
                kc_error_copy(&w->error, err);
                set_busy(w);
        } else {
                begin(w);
        }
}

static char *copy_or_null(const char *s)
{
        return kc_str_empty(s) ? NULL : kc_strdup(s);
}

/* What the watch has to wait for before it begins; false: nothing. */
static bool freshness(const struct kc_cache_watch_opts *o, struct kc_cache_read *ret)
{
        if (o->initial_events == KC_INITIAL_EVENTS_UNSET)
                return false;
        *ret = (struct kc_cache_read){.match = KC_CACHE_CONSISTENT};
        if (o->revision < 0)
                return true;
        *ret = (struct kc_cache_read){.match = KC_CACHE_NOT_OLDER, .revision = o->revision};
        return o->revision > 0 && o->initial_events == KC_INITIAL_EVENTS_TRUE;
}

int kc_cache_watch(struct kc_cache_resource *r, const struct kc_cache_watch_opts *o,
    const struct kc_cache_watch_cbs *cbs, void *arg, struct kc_cache_watch **ret, struct kc_error *err)
{
        if (!atomic_load_explicit(&r->loaded, memory_order_acquire))
                return kc_err_too_many_requests(err, "storage is (re)initializing", 1);
        struct kc_cache_watch *w = KC_NEW(struct kc_cache_watch);
        w->o = *o;
        w->o.ns = copy_or_null(r->namespaced ? o->ns : NULL);
        w->o.name = copy_or_null(o->name);
        w->o.trigger = kc_strdup(o->trigger);
        w->cbs = *cbs;
        w->arg = arg;
        w->want_initial_end = o->bookmarks && o->initial_events == KC_INITIAL_EVENTS_TRUE;
        kc_list_init(&w->busy_node);
        w->hub = hub_get(r, o->loop);
        KC_CLEANUP(kc_freep) char *name = bucket_name(r, &w->o);
        w->bucket = hub_bucket(w->hub, name);
        kc_list_push_back(&w->bucket->watches, &w->node);
        pthread_rwlock_wrlock(&r->lock);
        count_watch(r, name, 1);
        pthread_rwlock_unlock(&r->lock);
        w->hub->n_watches++;
        if (o->bookmarks)
                hub_start_bookmarks(w->hub);
        struct kc_cache_read read;
        if (freshness(o, &read)) {
                w->state = STARTING;
                kc_cache_wait_async(r, &read, o->loop, on_fresh, w);
        } else {
                begin(w);
        }
        *ret = w;
        return 0;
}
