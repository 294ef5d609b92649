/* Events: one change of one object, with its encodings, counted. Any thread. */
#include <string.h>

#include "base/mem.h"
#include "storage/cache_internal.h"

const char *const kc_watch_type_names[] = {
    [KC_WATCH_ADDED] = "ADDED",
    [KC_WATCH_MODIFIED] = "MODIFIED",
    [KC_WATCH_DELETED] = "DELETED",
    [KC_WATCH_BOOKMARK] = "BOOKMARK",
};

/* A list that only grows, at its head. */
struct cache_variant {
        struct cache_variant *next;
        const void *variant;
        enum kc_watch_type type;
        struct kc_bytes *bytes;
};

struct kc_cache_event *cache_event_new(
    int64_t revision, struct kc_cache_entry *take_obj, struct kc_cache_entry *take_prev)
{
        struct kc_cache_event *e = KC_NEW(struct kc_cache_event);
        atomic_init(&e->refs, 1);
        e->revision = revision;
        e->obj = take_obj;
        e->prev = take_prev;
        return e;
}

struct kc_cache_event *cache_event_ref(struct kc_cache_event *e)
{
        atomic_fetch_add_explicit(&e->refs, 1, memory_order_relaxed);
        return e;
}

void cache_event_unref(struct kc_cache_event *e)
{
        if (!e || atomic_fetch_sub_explicit(&e->refs, 1, memory_order_acq_rel) > 1)
                return;
        kc_cache_entry_unref(e->obj);
        kc_cache_entry_unref(e->prev);
        kc_cache_entry_unref(atomic_load_explicit(&e->gone, memory_order_acquire));
        struct cache_variant *v = atomic_load_explicit(&e->variants, memory_order_acquire), *next;
        for (; v; v = next) {
                next = v->next;
                kc_bytes_unref(v->bytes);
                kc_free(v);
        }
        kc_free(e);
}

struct kc_cache_entry *cache_event_gone(struct kc_cache_event *e)
{
        struct kc_cache_entry *have = atomic_load_explicit(&e->gone, memory_order_acquire);
        if (have)
                return have;
        struct kc_cache_entry *made = cache_entry_restamp(e->prev, e->revision);
        if (atomic_compare_exchange_strong_explicit(&e->gone, &have, made, memory_order_acq_rel, memory_order_acquire))
                return made;
        kc_cache_entry_unref(made);
        return have;
}

size_t cache_event_size(const struct kc_cache_event *e)
{
        return sizeof(*e) + kc_bytes_len(kc_cache_entry_bytes(e->obj ? e->obj : e->prev));
}

/* --- Encodings */

static struct kc_bytes *find_variant(struct cache_variant *v, const void *variant, enum kc_watch_type type)
{
        for (; v; v = v->next) {
                if (v->variant == variant && v->type == type)
                        return kc_bytes_ref(v->bytes);
        }
        return NULL;
}

struct kc_bytes *kc_cache_watch_event_variant(const struct kc_cache_watch_event *ev, const void *variant,
    struct kc_bytes *(*make)(const struct kc_cache_watch_event *ev, void *arg), void *arg)
{
        struct kc_cache_event *e = ev->shared;
        if (!e)
                return make(ev, arg); /* an initial event: the entry is shared, its frames are not worth keeping */
        struct cache_variant *head = atomic_load_explicit(&e->variants, memory_order_acquire);
        struct kc_bytes *have = find_variant(head, variant, ev->type);
        if (have)
                return have;
        struct cache_variant *v = KC_NEW(struct cache_variant);
        v->variant = variant;
        v->type = ev->type;
        v->bytes = make(ev, arg);
        v->next = head;
        struct kc_bytes *bytes = kc_bytes_ref(v->bytes);
        while (!atomic_compare_exchange_weak_explicit(
            &e->variants, &v->next, v, memory_order_acq_rel, memory_order_acquire)) {
                /* Somebody was quicker, perhaps with the same: two of one kind do no harm. */
        }
        return bytes;
}

static struct kc_bytes *make_frame(const struct kc_cache_watch_event *ev, void *arg)
{
        (void)arg;
        const struct kc_bytes *object = kc_cache_entry_bytes(ev->object);
        const char *type = kc_watch_type_names[ev->type];
        struct kc_buf b = KC_BUF_INIT;
        kc_buf_reserve(&b, kc_bytes_len(object) + 40);
        kc_buf_adds(&b, "{\"type\":\"");
        kc_buf_adds(&b, type);
        kc_buf_adds(&b, "\",\"object\":");
        kc_buf_add(&b, kc_bytes_data(object), kc_bytes_len(object));
        kc_buf_adds(&b, "}\n");
        return kc_bytes_from_buf(&b);
}

struct kc_bytes *kc_cache_watch_event_frame(const struct kc_cache_watch_event *ev)
{
        static const char plain;
        return kc_cache_watch_event_variant(ev, &plain, make_frame, NULL);
}

struct kc_bytes *kc_cache_bookmark_frame(const char *api_version, const char *kind, int64_t revision, bool initial_end)
{
        struct kc_buf b = KC_BUF_INIT;
        kc_buf_addf(&b,
            "{\"type\":\"BOOKMARK\",\"object\":{\"kind\":\"%s\",\"apiVersion\":\"%s\",\"metadata\":{"
            "\"resourceVersion\":\"%lld\",\"creationTimestamp\":null",
            kind, api_version, (long long)revision);
        if (initial_end)
                kc_buf_adds(&b, ",\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}");
        kc_buf_adds(&b, "}}}\n");
        return kc_bytes_from_buf(&b);
}
