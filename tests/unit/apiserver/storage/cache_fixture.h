/* A cache over a store, for tests, and a watcher that writes down what it sees. */
#pragma once

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/selector.h"
#include "base/str.h"
#include "etcd_fixture.h"
#include "storage/cache.h"

struct fixture {
        bool is_etcd;
        struct etcd etcd;
        struct kc_loop *loop, *loops[2];
        struct kc_store *store;
        struct kc_cache *cache;
        struct kc_cache_resource *pods, *nodes;
};

static const struct kc_cache_field pod_fields[] = {
    {.name = "spec.nodeName"},
    {.name = "status.phase"},
    {.name = "spec.hostNetwork", .absent = "false"},
};

static KC_UNUSED void fixture_cache(struct fixture *f)
{
        struct kc_cache_opts o = {.store = f->store, .prefix = "/registry"};
        f->cache = kc_cache_new(&o);
        struct kc_cache_resource_opts pods = {
            .name = "pods",
            .prefix = "pods",
            .namespaced = true,
            .fields = pod_fields,
            .n_fields = KC_ARRAY_LEN(pod_fields),
            .trigger = "spec.nodeName",
        };
        f->pods = kc_cache_register(f->cache, &pods);
        struct kc_cache_resource_opts nodes = {.name = "nodes", .prefix = "minions"};
        f->nodes = kc_cache_register(f->cache, &nodes);
}

static KC_UNUSED void fixture_open(struct fixture *f, bool is_etcd)
{
        *f = (struct fixture){.is_etcd = is_etcd};
        assert_int_equal(kc_loop_new("storage", &f->loop, NULL), 0);
        for (int i = 0; i < 2; i++) {
                assert_int_equal(kc_loop_new("watch", &f->loops[i], NULL), 0);
                assert_int_equal(kc_loop_start_thread(f->loops[i], NULL), 0);
        }
        if (is_etcd) {
                etcd_start(&f->etcd);
                char *endpoints[] = {f->etcd.endpoint, NULL};
                struct kc_store_etcd_opts o = {.endpoints = endpoints};
                assert_int_equal(kc_store_etcd_new(f->loop, &o, &f->store, NULL), 0);
        } else {
                f->store = kc_store_mem_new(f->loop);
        }
        assert_int_equal(kc_loop_start_thread(f->loop, NULL), 0);
        fixture_cache(f);
}

static KC_UNUSED void fixture_start(struct fixture *f)
{
        kc_cache_start(f->cache);
        assert_int_equal(kc_cache_wait_ready(f->cache, 30000, NULL), 0);
}

static KC_UNUSED void free_store(void *arg)
{
        kc_store_free(arg);
}

static KC_UNUSED void end_loop(struct kc_loop *l)
{
        kc_loop_stop(l);
        kc_loop_join(l);
        kc_loop_free(l);
}

static KC_UNUSED void fixture_close(struct fixture *f)
{
        kc_cache_stop(f->cache);
        for (int i = 0; i < 2; i++)
                end_loop(f->loops[i]);
        kc_cache_free(f->cache);
        kc_loop_call(f->loop, free_store, f->store);
        end_loop(f->loop);
        if (f->is_etcd)
                etcd_stop(&f->etcd);
}

/* --- Writing */

static KC_UNUSED char *pod_json(const char *ns, const char *name, const char *node, const char *app)
{
        return kc_asprintf("{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"%s\",\"namespace\":\"%s\","
                           "\"labels\":{\"app\":\"%s\"}},\"spec\":{\"nodeName\":\"%s\"}}",
            name, ns, app, node);
}

static KC_UNUSED int64_t put_pod(struct fixture *f, const char *ns, const char *name, const char *node, const char *app)
{
        KC_CLEANUP(kc_freep) char *key = kc_asprintf("/registry/pods/%s/%s", ns, name);
        KC_CLEANUP(kc_freep) char *json = pod_json(ns, name, node, app);
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        int64_t rev = 0;
        if (kc_store_put(f->store, key, json, strlen(json), &rev, &err) < 0)
                fail_msg("put %s: %s", key, kc_error_message(&err));
        return rev;
}

static KC_UNUSED int64_t delete_key(struct fixture *f, const char *key)
{
        struct kc_store_kv kv;
        int64_t rev = 0;
        assert_int_equal(kc_store_get(f->store, key, 0, &kv, NULL, NULL), 0);
        assert_int_equal(kc_store_delete(f->store, key, kv.mod_revision, &rev, NULL, NULL), 0);
        kc_store_kv_done(&kv);
        return rev;
}

/* --- Watching */

struct watcher {
        struct kc_cache_resource *r;
        struct kc_cache_watch_opts o;
        struct kc_cache_watch *w; /* the loop's */
        int start_errno;
        pthread_mutex_t lock;
        pthread_cond_t cond;
        struct kc_buf text; /* "ADDED a/x@12 ..." */
        int events, bookmarks, ended, code;
        int64_t last; /* revision of the last event */
        char *message;
        int pause_after; /* events; 0: never */
        bool cancel_at_event;
        struct kc_bytes *frame; /* of the last event */
        const char *app;        /* label selector app=; NULL: all */
};

static KC_UNUSED bool watcher_match(const struct kc_cache_entry *e, void *arg)
{
        const struct watcher *w = arg;
        return !w->app || kc_streq(kc_json_str(kc_cache_entry_labels(e), "app"), w->app);
}

static KC_UNUSED void watcher_event(struct kc_cache_watch *watch, const struct kc_cache_watch_event *ev, void *arg)
{
        struct watcher *w = arg;
        pthread_mutex_lock(&w->lock);
        if (ev->type == KC_WATCH_BOOKMARK) {
                kc_buf_addf(&w->text, "BOOKMARK%s@%lld ", ev->initial_end ? "(end)" : "", (long long)ev->revision);
                w->bookmarks++;
        } else {
                kc_buf_addf(&w->text, "%s %s%s%s@%lld ", kc_watch_type_names[ev->type],
                    kc_cache_entry_namespace(ev->object), *kc_cache_entry_namespace(ev->object) ? "/" : "",
                    kc_cache_entry_name(ev->object), (long long)ev->revision);
                w->events++;
                if (w->frame)
                        kc_bytes_unref(w->frame);
                w->frame = kc_cache_watch_event_frame(ev);
        }
        w->last = ev->revision;
        if (w->pause_after && w->events == w->pause_after)
                kc_cache_watch_pause(watch, true);
        if (w->cancel_at_event) {
                kc_cache_watch_cancel(watch);
                w->w = NULL;
        }
        pthread_cond_broadcast(&w->cond);
        pthread_mutex_unlock(&w->lock);
}

static KC_UNUSED void watcher_end(struct kc_cache_watch *watch, const struct kc_error *err, void *arg)
{
        struct watcher *w = arg;
        (void)watch;
        pthread_mutex_lock(&w->lock);
        w->ended++;
        w->code = err ? err->code : 0;
        w->message = err ? kc_strdup(err->message) : NULL;
        w->w = NULL;
        pthread_cond_broadcast(&w->cond);
        pthread_mutex_unlock(&w->lock);
}

static const struct kc_cache_watch_cbs watcher_cbs = {.on_event = watcher_event, .on_end = watcher_end};

static KC_UNUSED void watcher_start(void *arg)
{
        struct watcher *w = arg;
        w->start_errno = -kc_cache_watch(w->r, &w->o, &watcher_cbs, w, &w->w, NULL);
}

static KC_UNUSED void watcher_cancel(void *arg)
{
        struct watcher *w = arg;
        if (w->w)
                kc_cache_watch_cancel(KC_TAKE(w->w));
}

static KC_UNUSED void watcher_resume(void *arg)
{
        struct watcher *w = arg;
        w->pause_after = 0;
        if (w->w)
                kc_cache_watch_pause(w->w, false);
}

static KC_UNUSED void watcher_bookmark(void *arg)
{
        struct watcher *w = arg;
        kc_cache_watch_bookmark(w->w);
}

/* Set w->o and what else is to be set before. */
static KC_UNUSED void watcher_open(struct watcher *w, struct kc_cache_resource *r, struct kc_loop *loop)
{
        w->r = r;
        w->o.loop = loop;
        w->o.match = w->app ? watcher_match : NULL;
        pthread_mutex_init(&w->lock, NULL);
        pthread_cond_init(&w->cond, NULL);
        kc_loop_call(loop, watcher_start, w);
}

static KC_UNUSED void watcher_close(struct watcher *w)
{
        kc_loop_call(w->o.loop, watcher_cancel, w);
        kc_buf_done(&w->text);
        kc_free(w->message);
        if (w->frame)
                kc_bytes_unref(w->frame);
        pthread_mutex_destroy(&w->lock);
        pthread_cond_destroy(&w->cond);
}

/* Until so many events (bookmarks) have come, or the end. */
static KC_UNUSED void watcher_wait(struct watcher *w, int events, int bookmarks)
{
        pthread_mutex_lock(&w->lock);
        while ((w->events < events || w->bookmarks < bookmarks) && !w->ended)
                pthread_cond_wait(&w->cond, &w->lock);
        pthread_mutex_unlock(&w->lock);
}

static KC_UNUSED void watcher_wait_revision(struct watcher *w, int64_t revision)
{
        pthread_mutex_lock(&w->lock);
        while (w->last < revision && !w->ended)
                pthread_cond_wait(&w->cond, &w->lock);
        pthread_mutex_unlock(&w->lock);
}

static KC_UNUSED void watcher_wait_end(struct watcher *w)
{
        pthread_mutex_lock(&w->lock);
        while (!w->ended)
                pthread_cond_wait(&w->cond, &w->lock);
        pthread_mutex_unlock(&w->lock);
}

/* Formats into a static buffer, for expected texts with revisions in them. */
static KC_UNUSED const char *text(const char *fmt, ...)
{
        static char buf[4096];
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(buf, sizeof(buf), fmt, ap);
        va_end(ap);
        return buf;
}
