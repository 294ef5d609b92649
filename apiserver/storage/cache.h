/* The watch cache: everything under the registry prefix, in memory, fed by one watch of the store, for GET, LIST and
 * WATCH.
 *
 *   store --one watch--> storage loop: kc_cache --by prefix--> resource "pods"
 *                                                                index   key -> entry   (persistent B+tree: snapshots
 * are free) window  the last events, a ring hubs    one per loop that watches it
 *                                                                          \--wake--> loop: hub -> watches (by scope)
 * -> on_event
 *
 * Every revision of the prefix passes the one stream, so "the cache has seen revision R" is one number for all
 * resources. A consistent read asks the store for its revision (one request serves all who came before it started) and
 * waits until the stream is there.
 *
 * Entries are immutable and shared; no read copies or parses one. A watch has no queue: it reads the shared window at
 * its own pace, and when the window has moved past it, it is cut off with 410 Expired. A frame
 * ({"type":...,"object":...}) is encoded once for all watches.
 *
 * Threads: reads from any thread; "blocks" means worker threads only. Locks, in order of rank: cache, then resource. No
 * lock is held while a callback runs. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "event/loop.h"
#include "storage/store.h"
#include "json/json.h"

struct kc_cache;
struct kc_cache_resource;
struct kc_cache_watch;

/* Limits. */
enum {
        KC_CACHE_WINDOW_MIN = 100,        /* events per resource; grows while they are younger than 75 s */
        KC_CACHE_WINDOW_MAX = 100 * 1024, /* ... but not beyond, */
        KC_CACHE_WINDOW_BYTES = 64 << 20, /* ... nor beyond so many bytes of objects */
        KC_CACHE_WINDOW_FRESH_S = 75,     /* upstream's eventFreshDuration */
        KC_CACHE_WAIT_MS = 3000,          /* for the stream to reach a revision, as upstream's blockTimeout */
        KC_CACHE_BOOKMARK_S = 60,         /* period of bookmarks */
        KC_CACHE_SNAPSHOTS = 16,          /* per resource, for later pages of paginated lists */
        KC_CACHE_CHUNK = 256,             /* events given to one watch before others have their turn */
};

struct kc_cache_opts {
        struct kc_store *store;
        const char *prefix;           /* "/registry" */
        const struct kc_clock *clock; /* NULL: the real one */
};

/* Works on kc_store_loop(store). Register resources, then start. */
struct kc_cache *kc_cache_new(const struct kc_cache_opts *o);
/* Any thread, once: loads the prefix and follows it, retrying for ever. */
void kc_cache_start(struct kc_cache *c);
/* Any thread but the storage loop's, while it runs: stops following; pending waits fail with ServiceUnavailable;
 * watches end with an error (ServiceUnavailable). Before kc_cache_free; afterwards resources answer no more. */
void kc_cache_stop(struct kc_cache *c);
/* After kc_cache_stop, when no watch, wait or read is left (entries and lists may outlive it). */
void kc_cache_free(struct kc_cache *c);
KC_DEFINE_CLEANUP(struct kc_cache *, kc_cache_free)

/* Everything is loaded and the cache follows the store (or did until a moment ago). Any thread, cheap: for /readyz. */
bool kc_cache_ready(const struct kc_cache *c);
/* Blocks until ready. -ETIMEDOUT; -ECANCELED after kc_cache_stop. */
int kc_cache_wait_ready(struct kc_cache *c, int timeout_ms, struct kc_error *err);
/* The revision that the cache has seen. Any thread. */
int64_t kc_cache_revision(const struct kc_cache *c);

/* --- Resources */

/* A selectable field: its value is the scalar at path (dots between keys), printed as Go's fmt does; if that is absent
 * or empty the one at fallback; else absent. */
struct kc_cache_field {
        const char *name;     /* "spec.nodeName" */
        const char *path;     /* NULL: the name */
        const char *fallback; /* NULL: none */
        const char *absent;   /* "" or the Go zero value ("false"); NULL: "" */
};

struct kc_cache_resource_opts {
        const char *name;   /* "pods", "deployments.apps": for errors, metrics and kc_cache_resource_find */
        const char *prefix; /* below opts.prefix, without slashes at the ends: "pods", "services/specs" */
        bool namespaced;    /* keys are <prefix>/<namespace>/<name>, else <prefix>/<name> */
        const struct kc_cache_field *fields; /* besides metadata.name and metadata.namespace, always there; copied */
        size_t n_fields;
        const char *trigger; /* a field by which most watches select ("spec.nodeName" of pods): an event then looks only
                              * at those that ask for its value; NULL: none */
};

/* Any thread, also after the start (CustomResourceDefinitions): the resource then loads by itself and reads of it wait
 * for that. The name is new. Borrowed, valid until unregistered or the cache is freed. */
struct kc_cache_resource *kc_cache_register(struct kc_cache *c, const struct kc_cache_resource_opts *o);
/* Any thread. Ends its watches. Reads that run finish; the pointer is not to be used for new ones. */
void kc_cache_unregister(struct kc_cache *c, struct kc_cache_resource *r);
const char *kc_cache_resource_name(const struct kc_cache_resource *r);
/* "/registry/pods/ns/name" (ns NULL or "" for a cluster-scoped one). Heap. */
char *kc_cache_resource_key(const struct kc_cache_resource *r, const char *ns, const char *name);
/* Watches that an event in the namespace ("": a cluster-scoped one) is told to, those of single objects and of the
 * trigger's values left out. Any thread. */
size_t kc_cache_resource_watches(struct kc_cache_resource *r, const char *ns);
/* Objects held. Any thread. */
size_t kc_cache_resource_count(struct kc_cache_resource *r);

/* --- Entries: one version of one object. Any thread. */

struct kc_cache_entry;
struct kc_cache_entry *kc_cache_entry_ref(struct kc_cache_entry *e);
void kc_cache_entry_unref(struct kc_cache_entry *e);
KC_DEFINE_CLEANUP(struct kc_cache_entry *, kc_cache_entry_unref)
const char *kc_cache_entry_key(const struct kc_cache_entry *e);
const char *kc_cache_entry_namespace(const struct kc_cache_entry *e); /* "" for cluster-scoped objects */
const char *kc_cache_entry_name(const struct kc_cache_entry *e);
/* Canonical JSON with metadata.resourceVersion. Borrowed. */
struct kc_bytes *kc_cache_entry_bytes(const struct kc_cache_entry *e);
/* The resourceVersion. For kc_store_update and kc_store_delete, too, unless it comes from a deletion. */
int64_t kc_cache_entry_revision(const struct kc_cache_entry *e);
/* metadata.labels, for kc_selector_matches; NULL if none. Read-only. */
const struct json_object *kc_cache_entry_labels(const struct kc_cache_entry *e);
/* The value of a selectable field of the resource (metadata.name and metadata.namespace included); NULL: no such field.
 * (As the get function of kc_field_selector_matches, with the entry as arg.) */
const char *kc_cache_entry_field(const char *field, void *entry);

/* --- Reading */

enum kc_cache_match {
        KC_CACHE_CONSISTENT, /* resourceVersion unset: not older than the moment of asking */
        KC_CACHE_NOT_OLDER,  /* than revision; 0: whatever is there */
        KC_CACHE_EXACT,      /* LIST only: as it was at revision */
};

struct kc_cache_read {
        enum kc_cache_match match;
        int64_t revision;
};

/* Blocks, unless NOT_OLDER than a revision that kc_cache_revision has reached and the resource is loaded. -ENOENT,
 * without reason, when there is no such key. A revision that does not come within KC_CACHE_WAIT_MS:
 * kc_err_too_large_resource_version (NOT_OLDER); the store's error (CONSISTENT). *ret_revision (may be NULL): what the
 * answer is as of. */
int kc_cache_get(struct kc_cache_resource *r, const char *ns, const char *name, const struct kc_cache_read *read,
    struct kc_cache_entry **ret, int64_t *ret_revision, struct kc_error *err);

/* Any thread, does not block: fn(err) on the loop, exactly once, when a read like this one would not block any more: do
 * it then as NOT_OLDER 0. err NULL: fine. The way to answer consistent reads from a loop without a worker thread. */
typedef void (*kc_cache_wait_fn)(const struct kc_error *err, void *arg);
void kc_cache_wait_async(struct kc_cache_resource *r, const struct kc_cache_read *read, struct kc_loop *loop,
    kc_cache_wait_fn fn, void *arg);
/* The same, blocking. */
int kc_cache_wait(struct kc_cache_resource *r, const struct kc_cache_read *read, struct kc_error *err);

struct kc_cache_list_opts {
        const char *ns;   /* NULL or "": all namespaces */
        const char *name; /* NULL: all; a metadata.name= selector makes a list of at most one */
        struct kc_cache_read read;
        size_t limit;               /* 0: none. Counts objects that match. Ignored at NOT_OLDER 0, as upstream does */
        const char *continue_token; /* of the page before; read is ignored then. NULL or "": first page */
        bool (*match)(const struct kc_cache_entry *e, void *arg); /* selectors; NULL: all */
        void *match_arg;
};

struct kc_cache_list {
        struct kc_cache_entry **v; /* in order of the keys; references */
        size_t n;
        int64_t revision;     /* the list's metadata.resourceVersion */
        char *continue_token; /* NULL: that was all */
        int64_t remaining;    /* remainingItemCount; -1: not told (selectors, or no more) */
};

/* Blocks, as kc_cache_get; and for EXACT and continued lists whose revision is no longer at hand (read from the store
 * then). 410 Expired when compacted: for a continued list ret->continue_token (only that) is then set to a token that
 * continues at the current revision, for the Status' metadata.continue; call kc_cache_list_done in any case. 400
 * BadRequest for a bad token. All pages of one list show one revision. */
int kc_cache_list(
    struct kc_cache_resource *r, const struct kc_cache_list_opts *o, struct kc_cache_list *ret, struct kc_error *err);
void kc_cache_list_done(struct kc_cache_list *l);

/* --- Watching */

enum kc_watch_type { KC_WATCH_ADDED, KC_WATCH_MODIFIED, KC_WATCH_DELETED, KC_WATCH_BOOKMARK };
extern const char *const kc_watch_type_names[]; /* "ADDED", ... */

struct kc_cache_event;

struct kc_cache_watch_event {
        enum kc_watch_type type; /* as this watch sees it: leaving the selector is DELETED, entering it ADDED */
        int64_t revision;
        struct kc_cache_entry *object; /* borrowed; NULL: bookmark. DELETED: the last matching state, with the revision
                                        * of the event */
        bool initial_end;              /* bookmark: with annotation k8s.io/initial-events-end "true" */
        struct kc_cache_event *shared; /* private */
};
/* {"type":"ADDED","object":{...}}\n as stored, encoded once for everybody. A new reference. Not for bookmarks. */
struct kc_bytes *kc_cache_watch_event_frame(const struct kc_cache_watch_event *ev);
/* Another encoding (a different version, metadata only), kept with the event, too: made by make(object, type, arg)
 * unless somebody made it before for the same variant, an address that stands for the encoding. A new reference. Any
 * thread. */
struct kc_bytes *kc_cache_watch_event_variant(const struct kc_cache_watch_event *ev, const void *variant,
    struct kc_bytes *(*make)(const struct kc_cache_watch_event *ev, void *arg), void *arg);
/* {"type":"BOOKMARK","object":{"kind":..,"apiVersion":..,"metadata":{"resourceVersion":..,"creationTimestamp":null,...}}}\n
 */
struct kc_bytes *kc_cache_bookmark_frame(const char *api_version, const char *kind, int64_t revision, bool initial_end);

enum kc_initial_events { KC_INITIAL_EVENTS_UNSET, KC_INITIAL_EVENTS_TRUE, KC_INITIAL_EVENTS_FALSE };

struct kc_cache_watch_opts {
        struct kc_loop *loop;  /* callbacks come there; kc_cache_watch and all others are called there */
        const char *ns, *name; /* NULL or "": all */
        /* resourceVersion: -1 unset, 0 any, else that one; with sendInitialEvents as upstream has it:
         *   UNSET, -1 or 0:  ADDED for all there is, then what comes
         *   UNSET, > 0:      what came after it (410 "too old resource version: X (Y)" when the window has moved on)
         *   TRUE:            ADDED for all there is (-1: consistent; > 0: not older), then, with bookmarks, one marked
         *                    initial_end, then what comes
         *   FALSE:           -1 or 0: what comes from now on; > 0: what came after it */
        int64_t revision;
        enum kc_initial_events initial_events;
        bool bookmarks;
        bool (*match)(const struct kc_cache_entry *e, void *arg); /* selectors; NULL: all. On the loop */
        const char *trigger; /* the value that the selector demands of the resource's trigger field; NULL: none */
};

struct kc_cache_watch_cbs {
        /* May pause or cancel the watch. */
        void (*on_event)(struct kc_cache_watch *w, const struct kc_cache_watch_event *ev, void *arg);
        /* Last callback, the watch is freed after it; never within kc_cache_watch nor after kc_cache_watch_cancel. err
         * is what the client is to be told in an ERROR event (410 Expired, 504 Timeout ...); NULL: nothing, the
         * resource is not served any more or the cache stops. */
        void (*on_end)(struct kc_cache_watch *w, const struct kc_error *err, void *arg);
        /* Once, if it gets so far: what there was at the start has been told. NULL: not asked for. */
        void (*on_live)(struct kc_cache_watch *w, void *arg);
};

/* Fails at once (an HTTP error rather than an ERROR event) only with 429 TooManyRequests "storage is (re)initializing".
 * arg is that of match, too. Strings are copied. */
int kc_cache_watch(struct kc_cache_resource *r, const struct kc_cache_watch_opts *o,
    const struct kc_cache_watch_cbs *cbs, void *arg, struct kc_cache_watch **ret, struct kc_error *err);
/* Back-pressure: no events while paused; the watch catches up when resumed. Pause when the peer has much unread, resume
 * when it has drained. Bookmarks are left out meanwhile. */
void kc_cache_watch_pause(struct kc_cache_watch *w, bool paused);
/* A bookmark now, if asked for in opts and nothing is pending (upstream: shortly before a watch times out). */
void kc_cache_watch_bookmark(struct kc_cache_watch *w);
/* Also from on_event. No callback comes after it. */
void kc_cache_watch_cancel(struct kc_cache_watch *w);
