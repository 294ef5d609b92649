/* Watches, and the hubs that feed them. A hub stands for one loop that watches one resource: the storage loop wakes it
 * (at most one message is under way), and it reads the window and hands out events on its own loop. Nothing is queued
 * per watch:
 *
 *   STARTING (waits for a revision) -> INITIAL (walks a snapshot) -> CATCHUP (reads the window) -> LIVE (the hub's
 * turn)
 *                                                                       ^--- resumed after a pause ---'
 *
 * A hub knows its watches by what they want to see, so that an event looks at few of them:
 *
 *   "*" all    "n:<namespace>"    "k:<key>"    "t:<value of the trigger field>" */
#include <errno.h>
#include <string.h>

#include "api/status.h"
#include "base/mem.h"
#include "base/rand.h"
#include "base/str.h"
#include "storage/cache_internal.h"

enum watch_state { STARTING, INITIAL, CATCHUP, LIVE };

struct bucket {
        char *name;
        struct kc_list watches;
};

struct hub {
        atomic_int refs; /* the resource's list, each watch, the wake under way */
        struct kc_cache_resource *r;
        struct kc_loop *loop;
        struct kc_list node; /* guarded by the resource's lock */
        atomic_bool woken;

        /* The loop's: */
        uint64_t next;    /* event to hand out */
        int64_t revision; /* everything up to it has been handed out */
        struct kc_map *buckets;
        size_t n_watches;
        struct kc_list busy; /* watches that are not LIVE and not paused */
        struct kc_list dead; /* cancelled while events are handed out */
        bool busy_posted;
        int depth; /* events are being handed out: watches stay in their lists */
        struct kc_timer *bookmarks;
};

struct kc_cache_watch {
        struct hub *hub; /* a reference */
        struct bucket *bucket;
        struct kc_list node, busy_node;
        struct kc_cache_watch_opts o; /* its strings are ours */
        struct kc_cache_watch_cbs cbs;
        void *arg;
        enum watch_state state;
        bool paused, dead, want_initial_end;
        uint64_t next; /* event, unless LIVE */
        int64_t after; /* events up to this revision are known */
        int64_t last;  /* revision of the last event delivered */
        struct index_root *snapshot;
        struct index_pos pos, end;
        int64_t snapshot_revision;
        struct kc_error error; /* to end with */
};

static void busy_run(void *arg);

/* --- Hubs */

static struct hub *hub_ref(struct hub *h)
{
        atomic_fetch_add_explicit(&h->refs, 1, memory_order_relaxed);
        return h;
}

static void hub_unref(struct hub *h)
{
        if (atomic_fetch_sub_explicit(&h->refs, 1, memory_order_acq_rel) > 1)
                return;
        kc_map_free(h->buckets);
        kc_free(h);
}

static void free_bucket(void *value)
{
        struct bucket *b = value;
        kc_free(b->name);
        kc_free(b);
}

static void hub_run(void *arg);

void hubs_wake(struct kc_cache_resource *r)
{
        KC_LIST_FOREACH(&r->hubs, h, struct hub, node)
        {
                if (!atomic_exchange_explicit(&h->woken, true, memory_order_acq_rel))
                        kc_loop_post(h->loop, hub_run, hub_ref(h));
        }
}

static struct hub *hub_get(struct kc_cache_resource *r, struct kc_loop *loop)
{
        struct hub *found = NULL;
        pthread_rwlock_wrlock(&r->lock);
        KC_LIST_FOREACH(&r->hubs, h, struct hub, node)
        {
                if (h->loop == loop)
                        found = hub_ref(h);
        }
        if (!found) {
                found = KC_NEW(struct hub);
                atomic_init(&found->refs, 2);
                found->r = r;
                found->loop = loop;
                found->next = r->window.end;
                found->revision = r->revision;
                found->buckets = kc_map_new(free_bucket);
                kc_list_init(&found->busy);
                kc_list_init(&found->dead);
                kc_list_push_back(&r->hubs, &found->node);
        }
        pthread_rwlock_unlock(&r->lock);
        return found;
}

static struct bucket *bucket_get(struct hub *h, const char *name)
{
        struct bucket *b = kc_map_get(h->buckets, name);
        if (!b) {
                b = KC_NEW(struct bucket);
                b->name = kc_strdup(name);
                kc_list_init(&b->watches);
                kc_map_set(h->buckets, name, b);
        }
        return b;
}

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
static void watch_free(struct kc_cache_watch *w)
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

static void leave(struct hub *h)
{
        if (--h->depth > 0)
                return;
        hub_ref(h);
        for (struct kc_cache_watch *w; (w = KC_LIST_FIRST(&h->dead, struct kc_cache_watch, busy_node));)
                watch_free(w);
        hub_unref(h);
}

static void watch_end(struct kc_cache_watch *w, const struct kc_error *err)
{
        w->dead = true;
        w->cbs.on_end(w, err, w->arg);
        watch_bury(w);
}

static void watch_end_expired(struct kc_cache_watch *w, int64_t floor)
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

/* --- Delivering */

static bool in_scope(const struct kc_cache_watch *w, const struct kc_cache_entry *e)
{
        return (!w->o.ns || strcmp(w->o.ns, kc_cache_entry_namespace(e)) == 0) &&
               (!w->o.name || strcmp(w->o.name, kc_cache_entry_name(e)) == 0);
}

static bool selects(const struct kc_cache_watch *w, const struct kc_cache_entry *e)
{
        return e && (!w->o.match || w->o.match(e, w->arg));
}

static void deliver(struct kc_cache_watch *w, struct kc_cache_event *e)
{
        if (e->revision <= w->after || !in_scope(w, e->obj ? e->obj : e->prev))
                return;
        bool now = selects(w, e->obj), before = selects(w, e->prev);
        w->after = e->revision - 1; /* of one revision there may be several events */
        if (!now && !before)
                return;
        w->last = e->revision;
        struct kc_cache_watch_event ev = {
            .type = !now     ? KC_WATCH_DELETED
                    : before ? KC_WATCH_MODIFIED
                             : KC_WATCH_ADDED,
            .revision = e->revision,
            .object = now ? e->obj : cache_event_gone(e),
            .shared = e,
        };
        w->cbs.on_event(w, &ev, w->arg);
}

static void send_bookmark(struct kc_cache_watch *w, int64_t revision, bool initial_end)
{
        struct kc_cache_watch_event ev = {.type = KC_WATCH_BOOKMARK, .revision = revision, .initial_end = initial_end};
        w->cbs.on_event(w, &ev, w->arg);
}

/* Up to max events from seq on, with references. False: the window has moved past seq. */
struct batch {
        struct kc_cache_event *v[KC_CACHE_CHUNK];
        size_t n;
        uint64_t first, end; /* of the window */
        int64_t revision;    /* if all up to end is taken: as of which revision that is */
        int64_t floor;
        bool dead;
};

static bool take_batch(struct kc_cache_resource *r, uint64_t from, uint64_t to, struct batch *b)
{
        int64_t seen = kc_cache_revision(r->cache); /* before the lock: all up to it is in the window by then */
        b->n = 0;
        pthread_rwlock_rdlock(&r->lock);
        const struct window *win = &r->window;
        bool there = from >= win->first;
        for (uint64_t s = from; there && s < KC_MIN(to, win->end) && b->n < KC_CACHE_CHUNK; s++)
                b->v[b->n++] = cache_event_ref(window_at(win, s));
        b->first = win->first;
        b->end = win->end;
        b->floor = win->floor;
        b->revision = KC_MAX(seen, r->revision);
        b->dead = r->dead;
        pthread_rwlock_unlock(&r->lock);
        return there;
}

static void drop_batch(struct batch *b)
{
        for (size_t i = 0; i < b->n; i++)
                cache_event_unref(b->v[i]);
        b->n = 0;
}

/* --- The hub's turn: LIVE watches */

static void hand_to_bucket(struct hub *h, const char *name, struct kc_cache_event *e)
{
        struct bucket *b = kc_map_get(h->buckets, name);
        if (!b)
                return;
        KC_LIST_FOREACH(&b->watches, w, struct kc_cache_watch, node)
        {
                if (!w->dead && !w->paused && w->state == LIVE && e->seq >= w->next)
                        deliver(w, e);
        }
}

static void hand_out(struct hub *h, struct kc_cache_event *e)
{
        const struct kc_cache_entry *any = e->obj ? e->obj : e->prev;
        KC_CLEANUP(kc_buf_done) struct kc_buf name = KC_BUF_INIT;
        h->next = e->seq + 1; /* before the callbacks: a watch that pauses in one has seen this event */
        hand_to_bucket(h, "*", e);
        if (*kc_cache_entry_namespace(any)) {
                kc_buf_addf(&name, "n:%s", kc_cache_entry_namespace(any));
                hand_to_bucket(h, name.data, e);
                kc_buf_reset(&name);
        }
        kc_buf_addf(&name, "k:%s", kc_cache_entry_key(any));
        hand_to_bucket(h, name.data, e);
        int t = h->r->trigger;
        if (t < 0)
                return;
        const char *now = e->obj ? cache_entry_value(e->obj, t) : NULL;
        const char *before = e->prev ? cache_entry_value(e->prev, t) : NULL;
        for (int i = 0; i < 2; i++) {
                const char *value = i == 0 ? now : before;
                if (!value || (i == 1 && kc_streq(now, before)))
                        continue;
                kc_buf_reset(&name);
                kc_buf_addf(&name, "t:%s", value);
                hand_to_bucket(h, name.data, e);
        }
}

/* Calls fn for every watch of the hub that is not dead. It may end watches and make new ones. */
static void for_each_watch(struct hub *h, void (*fn)(struct kc_cache_watch *w, void *arg), void *arg)
{
        KC_CLEANUP(kc_freep)
        struct kc_cache_watch **all = kc_calloc(h->n_watches + 1, sizeof(struct kc_cache_watch *));
        size_t n = 0, it = 0;
        const char *name;
        void *value;
        h->depth++;
        while (kc_map_next(h->buckets, &it, &name, &value)) {
                struct bucket *b = value;
                KC_LIST_FOREACH(&b->watches, w, struct kc_cache_watch, node)
                all[n++] = w;
        }
        for (size_t i = 0; i < n; i++) {
                if (!all[i]->dead)
                        fn(all[i], arg);
        }
        leave(h);
}

static void end_if_lost(struct kc_cache_watch *w, void *arg)
{
        const struct batch *b = arg;
        if (b->dead)
                watch_end(w, NULL);
        else if (w->state == LIVE && KC_MAX(w->next, w->hub->next) < b->first)
                watch_end_expired(w, b->floor);
}

static void post_busy(struct hub *h)
{
        if (h->busy_posted)
                return;
        h->busy_posted = true;
        kc_loop_post(h->loop, busy_run, hub_ref(h));
}

static void hub_run(void *arg)
{
        struct hub *h = arg;
        atomic_store(&h->woken, false);
        if (h->n_watches == 0) {
                hub_unref(h); /* the resource may be gone, too */
                return;
        }
        struct batch b;
        bool there = take_batch(h->r, h->next, UINT64_MAX, &b);
        if (!there || b.dead) {
                for_each_watch(h, end_if_lost, &b);
                h->next = b.end;
                /* Those that read the window by themselves find out by themselves. */
                if (!kc_list_empty(&h->busy))
                        post_busy(h);
        } else {
                h->depth++;
                for (size_t i = 0; i < b.n; i++)
                        hand_out(h, b.v[i]);
                leave(h);
                if (h->next == b.end)
                        h->revision = b.revision;
                else if (!atomic_exchange_explicit(&h->woken, true, memory_order_acq_rel))
                        kc_loop_post(h->loop, hub_run, hub_ref(h)); /* others have their turn first */
                if (!kc_list_empty(&h->busy))
                        post_busy(h);
        }
        drop_batch(&b);
        hub_unref(h);
}

/* --- A watch's own turn: INITIAL and CATCHUP */

static void set_busy(struct kc_cache_watch *w)
{
        if (w->dead || w->paused || w->state == STARTING || w->state == LIVE)
                return;
        kc_list_remove(&w->busy_node);
        kc_list_push_back(&w->hub->busy, &w->busy_node);
        post_busy(w->hub);
}

static bool pos_before(struct index_pos a, struct index_pos b)
{
        return a.leaf < b.leaf || (a.leaf == b.leaf && a.at < b.at);
}

static void step_initial(struct kc_cache_watch *w)
{
        for (size_t n = 0; n < KC_CACHE_CHUNK && pos_before(w->pos, w->end); n++) {
                struct kc_cache_entry *e = index_next(w->snapshot, &w->pos);
                if (!in_scope(w, e) || !selects(w, e))
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
                send_bookmark(w, w->snapshot_revision, true);
}

static void step_catchup(struct kc_cache_watch *w)
{
        struct batch b;
        if (!take_batch(w->hub->r, w->next, w->hub->next, &b)) {
                watch_end_expired(w, b.floor);
                return;
        }
        for (size_t i = 0; i < b.n && !w->dead && !w->paused; i++) {
                w->next = b.v[i]->seq + 1;
                deliver(w, b.v[i]);
        }
        drop_batch(&b);
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

static void busy_run(void *arg)
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
        leave(h);
        hub_unref(h);
}

/* --- Bookmarks */

static void bookmark_one(struct kc_cache_watch *w, void *arg)
{
        const struct hub *h = arg;
        int64_t revision = KC_MAX(h->revision, w->after);
        if (w->o.bookmarks && w->state == LIVE && w->next <= h->next && revision >= w->last)
                send_bookmark(w, revision, false);
}

/* Moves h->revision on if nothing is left to hand out. */
static void refresh_revision(struct hub *h)
{
        struct batch b;
        if (take_batch(h->r, h->next, h->next, &b) && !b.dead && b.end == h->next)
                h->revision = b.revision;
}

static void arm_bookmarks(struct hub *h)
{
        kc_timer_arm(h->bookmarks, kc_jitter(KC_CACHE_BOOKMARK_S * KC_SEC * 3 / 4, 1.0 / 3));
}

static void on_bookmark_timer(void *arg)
{
        struct hub *h = hub_ref(arg);
        refresh_revision(h);
        for_each_watch(h, bookmark_one, h);
        if (h->bookmarks)
                arm_bookmarks(h);
        hub_unref(h);
}

void kc_cache_watch_bookmark(struct kc_cache_watch *w)
{
        if (w->dead)
                return;
        refresh_revision(w->hub);
        bookmark_one(w, w->hub);
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
        w->bucket = bucket_get(w->hub, name);
        kc_list_push_back(&w->bucket->watches, &w->node);
        pthread_rwlock_wrlock(&r->lock);
        count_watch(r, name, 1);
        pthread_rwlock_unlock(&r->lock);
        w->hub->n_watches++;
        if (o->bookmarks && !w->hub->bookmarks) {
                w->hub->bookmarks = kc_timer_new(o->loop, on_bookmark_timer, w->hub);
                arm_bookmarks(w->hub);
        }
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
