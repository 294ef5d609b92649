/* One resource of the cache: its index, window and snapshots. Changed on the storage loop, read by any thread. */
#include <errno.h>
#include <string.h>

#include "api/status.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "storage/cache_internal.h"

struct kc_cache_resource *cache_resource_new(struct kc_cache *c, const struct kc_cache_resource_opts *o)
{
        struct kc_cache_resource *r = KC_NEW(struct kc_cache_resource);
        r->cache = c;
        r->name = kc_strdup(o->name);
        r->prefix = kc_asprintf("%s%s/", c->prefix, o->prefix);
        r->prefix_len = strlen(r->prefix);
        r->namespaced = o->namespaced;
        r->fields = cache_fields_new(o->fields, o->n_fields);
        r->trigger = o->trigger ? cache_fields_find(r->fields, o->trigger) : -1;
        r->index = index_new();
        pthread_rwlock_init(&r->lock, NULL);
        kc_list_init(&r->hubs);
        r->ns_watches = kc_map_new(kc_free);
        kc_list_init(&r->touched_node);
        return r;
}

static void drop_events(struct backlog_event **v, size_t *n)
{
        for (size_t i = 0; i < *n; i++) {
                kc_cache_entry_unref((*v)[i].entry);
                kc_free((*v)[i].key);
        }
        *n = 0;
}

static void drop_snapshots(struct kc_cache_resource *r)
{
        for (size_t i = 0; i < KC_CACHE_SNAPSHOTS; i++) {
                index_unref(r->snaps[i].root);
                r->snaps[i] = (struct snapshot){0};
        }
}

void cache_resource_free(struct kc_cache_resource *r)
{
        drop_events(&r->backlog, &r->n_backlog);
        drop_events(&r->pending, &r->n_pending);
        kc_free(r->backlog);
        kc_free(r->pending);
        drop_snapshots(r);
        window_done(&r->window);
        index_unref(r->index);
        cache_fields_unref(r->fields);
        kc_map_free(r->ns_watches);
        pthread_rwlock_destroy(&r->lock);
        kc_free(r->name);
        kc_free(r->prefix);
        kc_free(r);
}

const char *kc_cache_resource_name(const struct kc_cache_resource *r)
{
        return r->name;
}

char *cache_resource_scope(const struct kc_cache_resource *r, const char *ns)
{
        return kc_str_empty(ns) ? kc_strdup(r->prefix) : kc_asprintf("%s%s/", r->prefix, ns);
}

char *kc_cache_resource_key(const struct kc_cache_resource *r, const char *ns, const char *name)
{
        if (kc_str_empty(ns))
                return kc_asprintf("%s%s", r->prefix, name);
        return kc_asprintf("%s%s/%s", r->prefix, ns, name);
}

size_t kc_cache_resource_count(struct kc_cache_resource *r)
{
        pthread_rwlock_rdlock(&r->lock);
        size_t n = index_len(r->index);
        pthread_rwlock_unlock(&r->lock);
        return n;
}

int cache_resource_entry(struct kc_cache_resource *r, const char *key, const void *value, size_t len, int64_t revision,
    struct kc_cache_entry **ret, struct kc_error *err)
{
        return cache_entry_new(key, r->prefix_len, r->namespaced, r->fields, value, len, revision, ret, err);
}

/* --- Reading */

struct index_root *cache_resource_snapshot(struct kc_cache_resource *r, int64_t *ret_revision, struct kc_error *err)
{
        /* Read before the lock: everything up to it is in the index by then. */
        int64_t seen = kc_cache_revision(r->cache);
        struct index_root *root = NULL;
        pthread_rwlock_rdlock(&r->lock);
        if (r->dead)
                kc_error_set_api(err, 503, KC_REASON_SERVICE_UNAVAILABLE, "%s is not served any more", r->name);
        else if (!r->loaded)
                (void)kc_err_too_many_requests(err, "storage is (re)initializing", 1);
        else
                root = index_ref(r->index);
        if (ret_revision)
                *ret_revision = KC_MAX(seen, r->revision);
        pthread_rwlock_unlock(&r->lock);
        return root;
}

void cache_resource_keep(struct kc_cache_resource *r, struct index_root *root, int64_t revision)
{
        pthread_rwlock_wrlock(&r->lock);
        bool have = false;
        for (size_t i = 0; i < KC_CACHE_SNAPSHOTS; i++)
                have |= r->snaps[i].root && r->snaps[i].revision == revision;
        struct index_root *old = NULL;
        if (!have && r->loaded) {
                struct snapshot *s = &r->snaps[r->next_snap++ % KC_CACHE_SNAPSHOTS];
                old = s->root;
                *s = (struct snapshot){revision, index_ref(root)};
        }
        pthread_rwlock_unlock(&r->lock);
        index_unref(old);
}

struct index_root *cache_resource_kept(struct kc_cache_resource *r, int64_t revision)
{
        struct index_root *root = NULL;
        int64_t seen = kc_cache_revision(r->cache);
        pthread_rwlock_rdlock(&r->lock);
        for (size_t i = 0; i < KC_CACHE_SNAPSHOTS && !root; i++) {
                if (r->snaps[i].root && r->snaps[i].revision == revision)
                        root = index_ref(r->snaps[i].root);
        }
        /* Nothing has changed since: the state now is the state then. */
        if (!root && r->loaded && r->revision <= revision && revision <= seen)
                root = index_ref(r->index);
        pthread_rwlock_unlock(&r->lock);
        return root;
}

/* --- Changing, on the storage loop */

static void push(struct backlog_event **v, size_t *n, size_t *cap, struct kc_cache_entry *take_entry, const char *key,
    int64_t revision)
{
        if (*n == *cap) {
                *cap = *cap ? *cap * 2 : 16;
                *v = kc_reallocarray(*v, *cap, sizeof(**v));
        }
        (*v)[(*n)++] = (struct backlog_event){
            .entry = take_entry, .key = take_entry ? NULL : kc_strdup(key), .revision = revision};
}

void cache_resource_push(
    struct kc_cache_resource *r, struct kc_cache_entry *take_entry, const char *key, int64_t revision)
{
        if (r->loading && r->n_backlog == CACHE_BACKLOG_MAX) {
                r->overflowed = true;
                kc_cache_entry_unref(take_entry);
        } else if (r->loading) {
                push(&r->backlog, &r->n_backlog, &r->backlog_cap, take_entry, key, revision);
        } else if (revision > r->load_floor) {
                push(&r->pending, &r->n_pending, &r->pending_cap, take_entry, key, revision);
        } else {
                kc_cache_entry_unref(take_entry);
        }
}

/* Under the lock. */
static void apply_one(struct kc_cache_resource *r, struct backlog_event *b, kc_mono now)
{
        struct kc_cache_entry *obj = KC_TAKE(b->entry), *prev;
        if (obj)
                prev = index_put(&r->index, kc_cache_entry_ref(obj));
        else
                prev = index_remove(&r->index, b->key);
        r->revision = b->revision;
        kc_free(KC_TAKE(b->key));
        if (obj || prev)
                window_append(&r->window, cache_event_new(b->revision, obj, prev), now);
}

void cache_resource_apply(struct kc_cache_resource *r)
{
        kc_mono now = kc_clock_mono(r->cache->clock);
        pthread_rwlock_wrlock(&r->lock);
        for (size_t i = 0; i < r->n_pending; i++)
                apply_one(r, &r->pending[i], now);
        r->n_pending = 0;
        hubs_wake(r);
        pthread_rwlock_unlock(&r->lock);
}

void cache_resource_unload(struct kc_cache_resource *r)
{
        drop_events(&r->backlog, &r->n_backlog);
        drop_events(&r->pending, &r->n_pending);
        r->loading = true;
        r->overflowed = false;
        pthread_rwlock_wrlock(&r->lock);
        r->loaded = false;
        drop_snapshots(r);
        window_reset(&r->window, r->revision);
        hubs_wake(r);
        pthread_rwlock_unlock(&r->lock);
}

int cache_resource_install(
    struct kc_cache_resource *r, struct kc_cache_entry **take_entries, size_t n, int64_t revision)
{
        struct index_root *index = index_from_sorted(take_entries, n), *old;
        if (r->overflowed) {
                index_unref(index);
                drop_events(&r->backlog, &r->n_backlog);
                r->overflowed = false;
                return -EAGAIN;
        }
        kc_mono now = kc_clock_mono(r->cache->clock);
        pthread_rwlock_wrlock(&r->lock);
        old = r->index;
        r->index = index;
        r->revision = revision;
        window_reset(&r->window, revision);
        r->load_floor = revision;
        for (size_t i = 0; i < r->n_backlog; i++) {
                if (r->backlog[i].revision > revision)
                        apply_one(r, &r->backlog[i], now);
        }
        r->loaded = true;
        pthread_rwlock_unlock(&r->lock);
        r->loading = false;
        drop_events(&r->backlog, &r->n_backlog);
        index_unref(old);
        return 0;
}

void cache_resource_kill(struct kc_cache_resource *r)
{
        struct index_root *old;
        pthread_rwlock_wrlock(&r->lock);
        r->dead = true;
        r->loaded = false;
        drop_snapshots(r);
        window_reset(&r->window, r->revision);
        old = r->index;
        r->index = index_new();
        hubs_wake(r);
        pthread_rwlock_unlock(&r->lock);
        index_unref(old);
}
