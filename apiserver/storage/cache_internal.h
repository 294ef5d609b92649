/* Inside of the watch cache. Who owns what:
 *
 *   storage loop   kc_cache.sync, .waits (no lock); it alone changes resources' index and window
 *   cache lock     the table of resources
 *   resource lock  index, window, hubs, snapshots: written by the storage loop, read by anybody
 *   other loops    hubs and watches (each on its own)
 *
 * Rank of locks: cache, resource. Loops are woken under them, for posting locks nothing else. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "base/list.h"
#include "base/map.h"
#include "event/worker.h"
#include "storage/cache.h"
#include "storage/index.h"
#include "storage/stamp.h"

enum {
        CACHE_LOAD_PAGE = 500, /* objects per request when loading */
        CACHE_LOAD_THREADS = 2,
        CACHE_LOAD_QUEUE = 10000,
        CACHE_RETRY_MS = 250, /* first pause before trying again, doubled up to: */
        CACHE_RETRY_MAX_MS = 4000,
        CACHE_TICK_MS = 100,        /* how often pending waits are looked at */
        CACHE_BACKLOG_MAX = 100000, /* events of one resource while it loads; beyond, it loads again */
};

/* --- entry.c */

/* The names of a resource's selectable fields, shared by its entries. */
struct cache_fields {
        atomic_int refs;
        size_t n;
        struct kc_cache_field *v;
};
struct cache_fields *cache_fields_new(const struct kc_cache_field *v, size_t n);
void cache_fields_unref(struct cache_fields *f);
/* The field's number, or -1. */
int cache_fields_find(const struct cache_fields *f, const char *name);

/* From a stored value. prefix_len: of the resource's prefix in the key, with its slash. -EINVAL: not an object. */
int cache_entry_new(const char *key, size_t prefix_len, bool namespaced, struct cache_fields *fields, const void *value,
    size_t len, int64_t revision, struct kc_cache_entry **ret, struct kc_error *err);
/* The same object with another resourceVersion: a deletion. */
struct kc_cache_entry *cache_entry_restamp(struct kc_cache_entry *e, int64_t revision);
/* The value of the i-th field. */
const char *cache_entry_value(const struct kc_cache_entry *e, int i);

/* --- event.c */

struct cache_variant;
struct kc_cache_event {
        atomic_int refs;
        uint64_t seq; /* numbers the events of a resource without gaps */
        int64_t revision;
        kc_mono at;
        struct kc_cache_entry *obj;            /* NULL: deleted */
        struct kc_cache_entry *prev;           /* NULL: created */
        _Atomic(struct kc_cache_entry *) gone; /* prev with this revision, made at need */
        _Atomic(struct cache_variant *) variants;
};
struct kc_cache_event *cache_event_new(
    int64_t revision, struct kc_cache_entry *take_obj, struct kc_cache_entry *take_prev);
struct kc_cache_event *cache_event_ref(struct kc_cache_event *e);
void cache_event_unref(struct kc_cache_event *e);
/* What a watch that stops seeing the object is shown. Borrowed from the event. */
struct kc_cache_entry *cache_event_gone(struct kc_cache_event *e);
/* Of the objects it keeps. */
size_t cache_event_size(const struct kc_cache_event *e);

/* --- window.c: a ring of the last events. Guarded by the resource's lock. */

struct window {
        struct kc_cache_event **ring; /* seq % cap */
        size_t cap, bytes;
        uint64_t first, end; /* seq of the oldest event and of the next one */
        int64_t floor;       /* complete after this revision */
};
void window_done(struct window *w);
/* Numbers the event. Forgets old ones as the limits demand. */
void window_append(struct window *w, struct kc_cache_event *take_e, kc_mono now);
/* Nobody who read before finds its place again. Complete after floor. */
void window_reset(struct window *w, int64_t floor);
/* The first event after the revision. */
uint64_t window_after(const struct window *w, int64_t revision);
struct kc_cache_event *window_at(const struct window *w, uint64_t seq);

/* --- resource.c */

struct snapshot {
        int64_t revision;
        struct index_root *root;
};

/* Seen by the stream but not yet applied, for the resource is loading. */
struct backlog_event {
        struct kc_cache_entry *entry; /* NULL: deleted */
        char *key;                    /* of a deleted one */
        int64_t revision;
};

struct kc_cache_resource {
        struct kc_cache *cache;
        char *name, *prefix; /* "/registry/pods/" */
        size_t prefix_len;
        bool namespaced, initial; /* registered before the start */
        struct cache_fields *fields;
        int trigger; /* number of the field; -1: none */

        pthread_rwlock_t lock;
        struct index_root *index;                  /* guarded by lock */
        struct window window;                      /* guarded by lock */
        int64_t revision;                          /* of the last change, or of the load; guarded by lock */
        struct kc_list hubs;                       /* guarded by lock */
        size_t n_wide_watches;                     /* of all namespaces; guarded by lock */
        struct kc_map *ns_watches;                 /* namespace -> size_t *; guarded by lock */
        struct snapshot snaps[KC_CACHE_SNAPSHOTS]; /* guarded by lock */
        size_t next_snap;                          /* guarded by lock */
        bool dead;                                 /* unregistered, or the cache has stopped; guarded by lock */
        atomic_bool loaded;                        /* written under lock */

        /* The storage loop's: */
        bool loading, load_in_flight, overflowed;
        int64_t load_floor; /* events up to it are in what was loaded */
        struct backlog_event *backlog;
        size_t n_backlog, backlog_cap;
        struct kc_list touched_node;
        struct backlog_event *pending; /* of the batch that is being applied */
        size_t n_pending, pending_cap;
};

struct kc_cache_resource *cache_resource_new(struct kc_cache *c, const struct kc_cache_resource_opts *o);
void cache_resource_free(struct kc_cache_resource *r);
/* The key below which all of the resource, or of one namespace, stands. Heap. */
char *cache_resource_scope(const struct kc_cache_resource *r, const char *ns);
int cache_resource_entry(struct kc_cache_resource *r, const char *key, const void *value, size_t len, int64_t revision,
    struct kc_cache_entry **ret, struct kc_error *err);
/* The state now and the revision as of which it is. The caller's reference; NULL and an error when not loaded. */
struct index_root *cache_resource_snapshot(struct kc_cache_resource *r, int64_t *ret_revision, struct kc_error *err);
/* Keeps the root for later pages; finds one kept. */
void cache_resource_keep(struct kc_cache_resource *r, struct index_root *root, int64_t revision);
struct index_root *cache_resource_kept(struct kc_cache_resource *r, int64_t revision);
/* On the storage loop: */
void cache_resource_push(
    struct kc_cache_resource *r, struct kc_cache_entry *take_entry, const char *key, int64_t revision);
void cache_resource_apply(struct kc_cache_resource *r);
void cache_resource_unload(struct kc_cache_resource *r);
/* -EAGAIN: more has happened meanwhile than was kept. Takes the entries in any case. */
int cache_resource_install(
    struct kc_cache_resource *r, struct kc_cache_entry **take_entries, size_t n, int64_t revision);
void cache_resource_kill(struct kc_cache_resource *r);

/* --- cache.c, sync.c */

/* Following the store; the storage loop's. */
struct sync {
        struct kc_store_watch *watch;
        struct kc_timer *retry;
        int retry_ms;
        bool stopped, has_revision, asking;
        uint64_t epoch;         /* counts resets: late answers of an earlier one are dropped */
        size_t n_loads;         /* on the pool, or waiting for the retry timer */
        struct kc_list touched; /* resources with events in the batch */
};

/* Reads that wait; the storage loop's. */
struct waits {
        struct kc_list next;    /* want the revision: of the next request */
        struct kc_list asked;   /* ... of the one under way */
        struct kc_list pending; /* know which revision they want */
        bool in_flight, ask_deferred, nudging;
        struct kc_timer *tick;
};

struct kc_cache {
        struct kc_store *store;
        struct kc_loop *loop;
        const struct kc_clock *clock;
        char *prefix; /* "/registry/" */
        struct kc_pool *pool;
        atomic_llong revision;
        atomic_bool ready, stopping;
        atomic_int outstanding; /* tasks that will touch the cache yet */

        pthread_mutex_t lock;
        pthread_cond_t changed;               /* ready, outstanding */
        struct kc_cache_resource **resources; /* by prefix; guarded by lock */
        size_t n_resources, resources_cap;
        struct kc_cache_resource **graveyard; /* unregistered; guarded by lock */
        size_t n_graveyard;

        struct sync sync;
        struct waits waits;
};

/* Counts what runs elsewhere and comes back, so that kc_cache_stop can wait for it. */
void cache_hold(struct kc_cache *c);
void cache_release(struct kc_cache *c);
/* The resource of a key, or NULL. Any thread. */
struct kc_cache_resource *cache_lookup(struct kc_cache *c, const char *key);
/* A copy of the table. */
struct kc_cache_resource **cache_all(struct kc_cache *c, size_t *ret_n);
void cache_set_ready(struct kc_cache *c, bool ready);

void sync_init(struct kc_cache *c);
void sync_start(struct kc_cache *c);
void sync_stop(struct kc_cache *c);
/* A resource that came later. */
void sync_load(struct kc_cache *c, struct kc_cache_resource *r);

/* --- wait.c, on the storage loop */
void waits_init(struct kc_cache *c);
void waits_start(struct kc_cache *c);
void waits_stop(struct kc_cache *c);
/* The revision, or what is loaded, has moved on. */
void waits_advance(struct kc_cache *c);

/* --- watch_hub.c */
struct hub;
/* Under the resource's lock: there is something for the hubs of this resource. */
void hubs_wake(struct kc_cache_resource *r);
