/* Watches and the hubs that feed them. A hub stands for one loop that watches one resource: the storage loop wakes it
 * (at most one message is under way), and it reads the window and hands out events on its own loop. Nothing is queued
 * per watch:
 *
 *   STARTING (waits for a revision) -> INITIAL (walks a snapshot) -> CATCHUP (reads the window) -> LIVE (the hub's
 * turn)
 *                                                                       ^--- resumed after a pause ---'
 *
 * A hub knows its watches by what they want to see, so that an event looks at few of them:
 *
 *   "*" all    "n:<namespace>"    "k:<key>"    "t:<value of the trigger field>"
 *
 * All functions on the hub's loop. */
#pragma once

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

/* Up to max events from seq on, with references. False: the window has moved past seq. */
struct batch {
        struct kc_cache_event *v[KC_CACHE_CHUNK];
        size_t n;
        uint64_t first, end; /* of the window */
        int64_t revision;    /* if all up to end is taken: as of which revision that is */
        int64_t floor;
        bool dead;
};

/* --- Hubs (watch_hub.c) */
struct hub *hub_ref(struct hub *h);
void hub_unref(struct hub *h);
/* The hub of that resource and loop, with a reference. */
struct hub *hub_get(struct kc_cache_resource *r, struct kc_loop *loop);
struct bucket *hub_bucket(struct hub *h, const char *name);
/* Events are no longer handed out at this level: watches that died meanwhile are freed. */
void hub_leave(struct hub *h);
/* Busy watches get their turn, soon. */
void hub_post_busy(struct hub *h);
void hub_start_bookmarks(struct hub *h);
/* Events from from on, before to. False: the window has moved past from. */
bool hub_take_batch(struct kc_cache_resource *r, uint64_t from, uint64_t to, struct batch *b);
void hub_drop_batch(struct batch *b);
bool watch_in_scope(const struct kc_cache_watch *w, const struct kc_cache_entry *e);
bool watch_selects(const struct kc_cache_watch *w, const struct kc_cache_entry *e);
void watch_deliver(struct kc_cache_watch *w, struct kc_cache_event *e);
void watch_send_bookmark(struct kc_cache_watch *w, int64_t revision, bool initial_end);

/* --- Watches (watch.c) */
/* Off the hub and its lists, then freed. */
void watch_free(struct kc_cache_watch *w);
void watch_end(struct kc_cache_watch *w, const struct kc_error *err);
void watch_end_expired(struct kc_cache_watch *w, int64_t floor);
/* Posted by hub_post_busy, with a reference to the hub. */
void watch_busy_run(void *hub);
