/* Hubs: events from the window to the watches of one loop, and bookmarks. See watch_internal.h. */
#include <string.h>

#include "base/mem.h"
#include "base/rand.h"
#include "base/str.h"
#include "storage/watch_internal.h"

/* --- Hubs */

struct hub *hub_ref(struct hub *h)
{
        atomic_fetch_add_explicit(&h->refs, 1, memory_order_relaxed);
        return h;
}

void hub_unref(struct hub *h)
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

struct hub *hub_get(struct kc_cache_resource *r, struct kc_loop *loop)
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

struct bucket *hub_bucket(struct hub *h, const char *name)
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

void hub_leave(struct hub *h)
{
        if (--h->depth > 0)
                return;
        hub_ref(h);
        for (struct kc_cache_watch *w; (w = KC_LIST_FIRST(&h->dead, struct kc_cache_watch, busy_node));)
                watch_free(w);
        hub_unref(h);
}

/* --- Delivering */

bool watch_in_scope(const struct kc_cache_watch *w, const struct kc_cache_entry *e)
{
        return (!w->o.ns || strcmp(w->o.ns, kc_cache_entry_namespace(e)) == 0) &&
               (!w->o.name || strcmp(w->o.name, kc_cache_entry_name(e)) == 0);
}

bool watch_selects(const struct kc_cache_watch *w, const struct kc_cache_entry *e)
{
        return e && (!w->o.match || w->o.match(e, w->arg));
}

void watch_deliver(struct kc_cache_watch *w, struct kc_cache_event *e)
{
        if (e->revision <= w->after || !watch_in_scope(w, e->obj ? e->obj : e->prev))
                return;
        bool now = watch_selects(w, e->obj), before = watch_selects(w, e->prev);
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

void watch_send_bookmark(struct kc_cache_watch *w, int64_t revision, bool initial_end)
{
        struct kc_cache_watch_event ev = {.type = KC_WATCH_BOOKMARK, .revision = revision, .initial_end = initial_end};
        w->cbs.on_event(w, &ev, w->arg);
}

bool hub_take_batch(struct kc_cache_resource *r, uint64_t from, uint64_t to, struct batch *b)
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

void hub_drop_batch(struct batch *b)
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
                        watch_deliver(w, e);
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
        hub_leave(h);
}

static void end_if_lost(struct kc_cache_watch *w, void *arg)
{
        const struct batch *b = arg;
        if (b->dead)
                watch_end(w, NULL);
        else if (w->state == LIVE && KC_MAX(w->next, w->hub->next) < b->first)
                watch_end_expired(w, b->floor);
}

void hub_post_busy(struct hub *h)
{
        if (h->busy_posted)
                return;
        h->busy_posted = true;
        kc_loop_post(h->loop, watch_busy_run, hub_ref(h));
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
        bool there = hub_take_batch(h->r, h->next, UINT64_MAX, &b);
        if (!there || b.dead) {
                for_each_watch(h, end_if_lost, &b);
                h->next = b.end;
                /* Those that read the window by themselves find out by themselves. */
                if (!kc_list_empty(&h->busy))
                        hub_post_busy(h);
        } else {
                h->depth++;
                for (size_t i = 0; i < b.n; i++)
                        hand_out(h, b.v[i]);
                hub_leave(h);
                if (h->next == b.end)
                        h->revision = b.revision;
                else if (!atomic_exchange_explicit(&h->woken, true, memory_order_acq_rel))
                        kc_loop_post(h->loop, hub_run, hub_ref(h)); /* others have their turn first */
                if (!kc_list_empty(&h->busy))
                        hub_post_busy(h);
        }
        hub_drop_batch(&b);
        hub_unref(h);
}

/* --- Bookmarks */

static void bookmark_one(struct kc_cache_watch *w, void *arg)
{
        const struct hub *h = arg;
        int64_t revision = KC_MAX(h->revision, w->after);
        if (w->o.bookmarks && w->state == LIVE && w->next <= h->next && revision >= w->last)
                watch_send_bookmark(w, revision, false);
}

/* Moves h->revision on if nothing is left to hand out. */
static void refresh_revision(struct hub *h)
{
        struct batch b;
        if (hub_take_batch(h->r, h->next, h->next, &b) && !b.dead && b.end == h->next)
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

void hub_start_bookmarks(struct hub *h)
{
        if (h->bookmarks)
                return;
        h->bookmarks = kc_timer_new(h->loop, on_bookmark_timer, h);
        arm_bookmarks(h);
}

void kc_cache_watch_bookmark(struct kc_cache_watch *w)
{
        if (w->dead)
                return;
        refresh_revision(w->hub);
        bookmark_one(w, w->hub);
}
