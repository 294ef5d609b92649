/* Follows one resource of the watch cache for an index: watches, and watches again from the start when it is cut off,
 * telling the index what has gone meanwhile. On the loop. */
#include <string.h>

#include "auth/authz_internal.h"
#include "base/log.h"
#include "base/str.h"

#define RETRY (200 * KC_MSEC)

struct authz_feed {
        struct kc_loop *loop;
        struct kc_cache_resource *resource;
        struct authz_feed_cbs cbs;
        void *arg;
        struct kc_cache_watch *watch; /* NULL: waits for the timer */
        struct kc_timer *retry;
        bool syncing;         /* the objects that are there are being told */
        struct kc_map *known; /* key -> itself */
        struct kc_map *seen;  /* while syncing: those told */
};

static char *key_of(const struct kc_cache_entry *e)
{
        return kc_asprintf("%s/%s", kc_cache_entry_namespace(e), kc_cache_entry_name(e));
}

/* What was known before and is not there any more. */
static void sweep(struct authz_feed *f)
{
        KC_CLEANUP(kc_strv_freep) char **keys = kc_map_sorted_keys(f->known);
        for (char **k = keys; k && *k; k++) {
                if (kc_map_has(f->seen, *k))
                        continue;
                f->cbs.del(f->arg, *k);
                (void)kc_map_remove(f->known, *k);
        }
        kc_map_clear(f->seen);
        f->syncing = false;
        f->cbs.synced(f->arg);
}

static void on_event(struct kc_cache_watch *w, const struct kc_cache_watch_event *ev, void *arg)
{
        (void)w; /* the feed's only one */
        struct authz_feed *f = arg;
        if (ev->type == KC_WATCH_BOOKMARK) {
                if (ev->initial_end && f->syncing)
                        sweep(f);
                return;
        }
        KC_CLEANUP(kc_freep) char *key = key_of(ev->object);
        if (ev->type == KC_WATCH_DELETED) {
                (void)kc_map_remove(f->known, key);
                (void)kc_map_remove(f->seen, key);
                f->cbs.del(f->arg, key);
                return;
        }
        (void)kc_map_set(f->known, key, f);
        if (f->syncing)
                (void)kc_map_set(f->seen, key, f);
        f->cbs.set(f->arg, key, ev->object);
}

static void on_end(struct kc_cache_watch *w, const struct kc_error *err, void *arg)
{
        (void)w; /* freed after this */
        struct authz_feed *f = arg;
        f->watch = NULL;
        kc_log_v(2, "Watch for authorization ended, retrying", "resource", kc_cache_resource_name(f->resource), "err",
            err ? kc_error_message(err) : "");
        kc_timer_arm(f->retry, RETRY);
}

void authz_feed_start(struct authz_feed *f)
{
        const struct kc_cache_watch_opts o = {
            .loop = f->loop,
            .revision = 0,
            .initial_events = KC_INITIAL_EVENTS_TRUE,
            .bookmarks = true,
        };
        const struct kc_cache_watch_cbs cbs = {.on_event = on_event, .on_end = on_end};
        f->syncing = true;
        kc_map_clear(f->seen);
        if (kc_cache_watch(f->resource, &o, &cbs, f, &f->watch, NULL) < 0)
                kc_timer_arm(f->retry, RETRY); /* the cache is not loaded yet */
}

bool authz_feed_syncing(const struct authz_feed *f)
{
        return f->syncing;
}

static void retry(void *arg)
{
        authz_feed_start(arg);
}

struct authz_feed *authz_feed_new(
    struct kc_loop *loop, struct kc_cache_resource *r, const struct authz_feed_cbs *cbs, void *arg)
{
        struct authz_feed *f = KC_NEW(struct authz_feed);
        f->loop = loop;
        f->resource = r;
        f->cbs = *cbs;
        f->arg = arg;
        f->retry = kc_timer_new(loop, retry, f);
        f->known = kc_map_new(NULL);
        f->seen = kc_map_new(NULL);
        return f;
}

void authz_feed_free(struct authz_feed *f)
{
        if (!f)
                return;
        if (f->watch)
                kc_cache_watch_cancel(f->watch);
        kc_timer_free(f->retry);
        kc_map_free(f->known);
        kc_map_free(f->seen);
        kc_free(f);
}
