/* The watch cache over a real etcd: many writers and watchers at once, etcd killed, stopped, compacted, replaced. */
#include <stdatomic.h>

#include "base/map.h"
#include "base/rand.h"
#include "cache_fixture.h"
#include "storage/compactor.h"

static const struct kc_cache_read consistent = {.match = KC_CACHE_CONSISTENT};

/* --- Nothing lost, nothing twice, nothing out of order */

enum { WRITERS = 4, WRITES = 150, KEYS = 12, WATCHERS = 12 };

struct writer {
        struct fixture *f;
        pthread_t thread;
        int number;
        bool through_outages; /* goes on when etcd is away */
        int writes;           /* at least */
        atomic_bool *outages; /* NULL, or: there are more to come, and writes to go through them */
};

/* Each writer has keys of its own and knows what is in them: create, update, delete by chance. */
static void *write_pods(void *arg)
{
        struct writer *w = arg;
        for (int i = 0; i < w->writes || (w->outages && atomic_load(w->outages)); i++) {
                char name[32];
                snprintf(name, sizeof(name), "w%d-%d", w->number, (int)kc_rand_below(KEYS));
                KC_CLEANUP(kc_freep) char *key = kc_asprintf("/registry/pods/default/%s", name);
                KC_CLEANUP(kc_freep)
                char *json = pod_json("default", name, "n1", kc_rand_below(2) ? "web" : "db");
                struct kc_store_kv kv = {0};
                int r = kc_store_get(w->f->store, key, 0, &kv, NULL, NULL);
                if (r == -ENOENT)
                        r = kc_store_create(w->f->store, key, json, strlen(json), NULL, NULL, NULL, NULL);
                else if (r == 0 && kc_rand_below(4) == 0)
                        r = kc_store_delete(w->f->store, key, kv.mod_revision, NULL, NULL, NULL);
                else if (r == 0)
                        r = kc_store_update(
                            w->f->store, key, kv.mod_revision, json, strlen(json), NULL, NULL, NULL, NULL);
                kc_store_kv_done(&kv);
                if (r < 0 && !w->through_outages)
                        fail_msg("write: %d", r);
                if (r < 0)
                        i--;
        }
        return NULL;
}

/* Follows the state of each object as a client does, and finds what does not fit. */
struct auditor {
        struct kc_cache_resource *r;
        struct kc_cache_watch_opts o;
        struct kc_cache_watch *w;
        pthread_mutex_t lock;
        pthread_cond_t cond;
        struct kc_map *objects; /* name -> revision, as (void *) */
        int64_t last;
        int events, ended, code, pauses;
        const char *problem;
        int64_t problem_at;
        bool web; /* label selector */
};

static bool audit_match(const struct kc_cache_entry *e, void *arg)
{
        (void)arg;
        return kc_streq(kc_json_str(kc_cache_entry_labels(e), "app"), "web");
}

static void resume_later(void *arg)
{
        struct auditor *a = arg;
        if (a->w)
                kc_cache_watch_pause(a->w, false);
}

static void audit(struct kc_cache_watch *watch, const struct kc_cache_watch_event *ev, void *arg)
{
        struct auditor *a = arg;
        (void)watch;
        pthread_mutex_lock(&a->lock);
        const char *name = ev->object ? kc_cache_entry_name(ev->object) : NULL;
        const char *problem = NULL;
        bool initial = ev->object && !ev->shared;
        if (!initial && ev->revision <= a->last && ev->type != KC_WATCH_BOOKMARK)
                problem = "out of order or twice";
        switch (ev->type) {
        case KC_WATCH_ADDED:
                if (kc_map_has(a->objects, name))
                        problem = "added twice";
                kc_map_set(a->objects, name, (void *)(intptr_t)ev->revision);
                break;
        case KC_WATCH_MODIFIED:
                if (!kc_map_has(a->objects, name))
                        problem = "modified but never added";
                kc_map_set(a->objects, name, (void *)(intptr_t)ev->revision);
                break;
        case KC_WATCH_DELETED:
                if (!kc_map_remove(a->objects, name))
                        problem = "deleted but not there";
                break;
        case KC_WATCH_BOOKMARK:
                if (ev->revision < a->last)
                        problem = "bookmark goes back";
                break;
        }
        if (problem && !a->problem) {
                a->problem = problem;
                a->problem_at = ev->revision;
        }
        if (!initial)
                a->last = ev->revision;
        a->events++;
        if (kc_rand_below(40) == 0) {
                a->pauses++;
                kc_cache_watch_pause(watch, true);
                kc_loop_post(a->o.loop, resume_later, a);
        }
        pthread_cond_broadcast(&a->cond);
        pthread_mutex_unlock(&a->lock);
}

static void audit_end(struct kc_cache_watch *watch, const struct kc_error *err, void *arg)
{
        struct auditor *a = arg;
        (void)watch;
        pthread_mutex_lock(&a->lock);
        a->ended++;
        a->code = err ? err->code : 0;
        a->w = NULL;
        pthread_cond_broadcast(&a->cond);
        pthread_mutex_unlock(&a->lock);
}

static const struct kc_cache_watch_cbs audit_cbs = {.on_event = audit, .on_end = audit_end};

static void audit_start(void *arg)
{
        struct auditor *a = arg;
        assert_int_equal(kc_cache_watch(a->r, &a->o, &audit_cbs, a, &a->w, NULL), 0);
}

static void audit_cancel(void *arg)
{
        struct auditor *a = arg;
        if (a->w)
                kc_cache_watch_cancel(KC_TAKE(a->w));
}

static void audit_open(struct auditor *a, struct fixture *f, int number)
{
        *a = (struct auditor){.r = f->pods, .web = number % 3 == 2};
        a->o = (struct kc_cache_watch_opts){
            .loop = f->loops[number % 2],
            .revision = -1,
            .bookmarks = true,
            .initial_events = number % 2 ? KC_INITIAL_EVENTS_TRUE : KC_INITIAL_EVENTS_UNSET,
            .match = a->web ? audit_match : NULL,
        };
        a->objects = kc_map_new(NULL);
        pthread_mutex_init(&a->lock, NULL);
        pthread_cond_init(&a->cond, NULL);
        kc_loop_call(a->o.loop, audit_start, a);
}

static void audit_close(struct auditor *a)
{
        kc_loop_call(a->o.loop, audit_cancel, a);
        kc_map_free(a->objects);
        pthread_mutex_destroy(&a->lock);
        pthread_cond_destroy(&a->cond);
}

/* A marker that every selector sees tells that a watch has seen everything before it. */
static void audit_wait(struct auditor *a, int64_t marker)
{
        pthread_mutex_lock(&a->lock);
        while (a->last < marker && !a->ended)
                pthread_cond_wait(&a->cond, &a->lock);
        pthread_mutex_unlock(&a->lock);
}

/* What it knows is what etcd has. */
static void audit_check(struct auditor *a, struct fixture *f)
{
        if (a->problem)
                fail_msg("%s at revision %lld", a->problem, (long long)a->problem_at);
        assert_int_equal(a->ended, 0);
        struct kc_store_list l;
        struct kc_store_list_opts o = {.prefix = "/registry/pods/"};
        assert_int_equal(kc_store_list(f->store, &o, &l, NULL), 0);
        size_t want = 0;
        for (size_t i = 0; i < l.n; i++) {
                if (a->web && !strstr(kc_bytes_data(l.kvs[i].value), "\"app\":\"web\""))
                        continue;
                want++;
                const char *name = strrchr(l.kvs[i].key, '/') + 1;
                assert_int_equal((intptr_t)kc_map_get(a->objects, name), l.kvs[i].mod_revision);
        }
        assert_int_equal(kc_map_len(a->objects), want);
        kc_store_list_done(&l);
}

static void check_list(struct fixture *f)
{
        struct kc_cache_list got;
        struct kc_store_list want;
        assert_int_equal(kc_cache_list(f->pods, &(struct kc_cache_list_opts){.read = consistent}, &got, NULL), 0);
        struct kc_store_list_opts o = {.prefix = "/registry/pods/"};
        assert_int_equal(kc_store_list(f->store, &o, &want, NULL), 0);
        assert_int_equal(got.n, want.n);
        for (size_t i = 0; i < got.n; i++) {
                assert_string_equal(kc_cache_entry_key(got.v[i]), want.kvs[i].key);
                assert_int_equal(kc_cache_entry_revision(got.v[i]), want.kvs[i].mod_revision);
        }
        kc_cache_list_done(&got);
        kc_store_list_done(&want);
}

static void run_writers(struct fixture *f, struct writer *writers, int writes, atomic_bool *outages)
{
        for (int i = 0; i < WRITERS; i++) {
                writers[i] = (struct writer){
                    .f = f, .number = i, .writes = writes, .through_outages = outages, .outages = outages};
                pthread_create(&writers[i].thread, NULL, write_pods, &writers[i]);
        }
}

static void join_writers(struct writer *writers)
{
        for (int i = 0; i < WRITERS; i++)
                pthread_join(writers[i].thread, NULL);
}

static void writers_and_watchers_agree(void **state)
{
        (void)state;
        struct fixture f;
        fixture_open(&f, true);
        put_pod(&f, "default", "before", "n1", "web");
        fixture_start(&f);
        struct writer writers[WRITERS];
        static struct auditor auditors[WATCHERS];
        run_writers(&f, writers, WRITES, NULL);
        for (int i = 0; i < WATCHERS; i++) {
                audit_open(&auditors[i], &f, i);
        }
        join_writers(writers);
        int64_t marker = put_pod(&f, "default", "marker", "n1", "web");
        for (int i = 0; i < WATCHERS; i++) {
                audit_wait(&auditors[i], marker);
                audit_check(&auditors[i], &f);
                audit_close(&auditors[i]);
        }
        check_list(&f);
        fixture_close(&f);
}

/* --- etcd goes and comes back */

static void nothing_is_lost_when_etcd_is_killed(void **state)
{
        (void)state;
        struct fixture f;
        fixture_open(&f, true);
        fixture_start(&f);
        struct writer writers[WRITERS];
        static struct auditor auditors[WATCHERS];
        for (int i = 0; i < WATCHERS; i++)
                audit_open(&auditors[i], &f, i);
        atomic_bool outages = true;
        run_writers(&f, writers, WRITES, &outages);
        for (int i = 0; i < 3; i++) {
                audit_wait(&auditors[0], kc_cache_revision(f.cache) + 20);
                etcd_kill(&f.etcd);
                etcd_run(&f.etcd, NULL);
        }
        atomic_store(&outages, false);
        join_writers(writers);
        int64_t marker = put_pod(&f, "default", "marker", "n1", "web");
        for (int i = 0; i < WATCHERS; i++) {
                audit_wait(&auditors[i], marker);
                audit_check(&auditors[i], &f);
                audit_close(&auditors[i]);
        }
        check_list(&f);
        assert_true(kc_cache_ready(f.cache));
        fixture_close(&f);
}

static void reads_without_etcd(void **state)
{
        (void)state;
        struct fixture f;
        fixture_open(&f, true);
        put_pod(&f, "default", "a", "n1", "web");
        fixture_start(&f);
        etcd_kill(&f.etcd);
        struct kc_cache_entry *e;
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        assert_int_equal(kc_cache_get(f.pods, "default", "a", &consistent, &e, NULL, &err), -EHOSTUNREACH);
        assert_int_equal(err.code, 503);
        assert_string_equal(err.reason, "ServiceUnavailable");
        struct kc_cache_read any = {.match = KC_CACHE_NOT_OLDER};
        assert_int_equal(kc_cache_get(f.pods, "default", "a", &any, &e, NULL, NULL), 0);
        kc_cache_entry_unref(e);
        etcd_run(&f.etcd, NULL);
        int r;
        do
                r = kc_cache_get(f.pods, "default", "a", &consistent, &e, NULL, NULL);
        while (r == -EHOSTUNREACH || r == -ETIMEDOUT);
        assert_int_equal(r, 0);
        kc_cache_entry_unref(e);
        fixture_close(&f);
}

/* Started without etcd, as at boot. */
static void starts_before_etcd(void **state)
{
        (void)state;
        struct fixture f;
        fixture_open(&f, true);
        etcd_kill(&f.etcd);
        kc_cache_start(f.cache);
        assert_int_equal(kc_cache_wait_ready(f.cache, 100, NULL), -ETIMEDOUT);
        etcd_run(&f.etcd, NULL);
        assert_int_equal(kc_cache_wait_ready(f.cache, 30000, NULL), 0);
        put_pod(&f, "default", "a", "n1", "web");
        check_list(&f);
        fixture_close(&f);
}

/* --- The history is gone */

static void compaction_below_the_stream_restarts_the_cache(void **state)
{
        (void)state;
        struct fixture f;
        fixture_open(&f, true);
        int64_t first = put_pod(&f, "default", "a", "n1", "web");
        put_pod(&f, "default", "b", "n1", "web");
        fixture_start(&f);
        struct watcher w = {.o = {.revision = 0}};
        watcher_open(&w, f.pods, f.loops[0]);
        watcher_wait(&w, 2, 0);

        /* What the cache does not see: a second client writes and compacts while the cache cannot reach etcd. */
        int port = f.etcd.port;
        etcd_kill(&f.etcd);
        f.etcd.port = free_port();
        char old_endpoint[64];
        memcpy(old_endpoint, f.etcd.endpoint, sizeof(old_endpoint));
        snprintf(f.etcd.endpoint, sizeof(f.etcd.endpoint), "http://127.0.0.1:%d", f.etcd.port);
        etcd_run(&f.etcd, NULL);
        struct fixture other = {0};
        assert_int_equal(kc_loop_new("other", &other.loop, NULL), 0);
        assert_int_equal(kc_loop_start_thread(other.loop, NULL), 0);
        char *endpoints[] = {f.etcd.endpoint, NULL};
        assert_int_equal(
            kc_store_etcd_new(other.loop, &(struct kc_store_etcd_opts){.endpoints = endpoints}, &other.store, NULL), 0);
        delete_key(&other, "/registry/pods/default/a");
        int64_t last = put_pod(&other, "default", "c", "n1", "web");
        assert_int_equal(kc_store_compact(other.store, last, NULL), 0);
        kc_loop_call(other.loop, free_store, other.store);
        end_loop(other.loop);
        etcd_kill(&f.etcd);
        f.etcd.port = port;
        memcpy(f.etcd.endpoint, old_endpoint, sizeof(old_endpoint));
        etcd_run(&f.etcd, NULL);

        watcher_wait_end(&w);
        assert_int_equal(w.code, 410);
        assert_int_equal(w.events, 2);
        watcher_close(&w);
        assert_int_equal(kc_cache_wait_ready(f.cache, 30000, NULL), 0);
        check_list(&f);
        struct watcher again = {.o = {.revision = first}};
        watcher_open(&again, f.pods, f.loops[0]);
        watcher_wait_end(&again);
        assert_int_equal(again.code, 410);
        watcher_close(&again);
        fixture_close(&f);
}

/* etcd comes back with other data and a lower revision: restored from an old backup. */
static void an_etcd_that_went_back_restarts_the_cache(void **state)
{
        (void)state;
        struct fixture f;
        fixture_open(&f, true);
        for (int i = 0; i < 5; i++)
                put_pod(&f, "default", "a", "n1", "web");
        fixture_start(&f);
        struct watcher w = {.o = {.revision = 0}};
        watcher_open(&w, f.pods, f.loops[0]);
        watcher_wait(&w, 1, 0);
        etcd_kill(&f.etcd);
        etcd_wipe(&f.etcd);
        etcd_run(&f.etcd, NULL);
        watcher_wait_end(&w);
        assert_int_equal(w.code, 410);
        watcher_close(&w);
        assert_int_equal(kc_cache_wait_ready(f.cache, 30000, NULL), 0);
        assert_int_equal(kc_cache_resource_count(f.pods), 0);
        put_pod(&f, "default", "b", "n1", "web");
        check_list(&f);
        fixture_close(&f);
}

/* --- Upkeep */

static void the_compactor_keeps_one_interval(void **state)
{
        (void)state;
        struct fixture f;
        fixture_open(&f, true);
        int64_t first = put_pod(&f, "default", "a", "n1", "web");
        for (int i = 0; i < 20; i++)
                put_pod(&f, "default", "a", "n1", "web");
        fixture_start(&f);
        struct kc_compactor *c = kc_compactor_new(f.store, "/registry", 50);
        struct kc_store_kv kv;
        int r;
        while ((r = kc_store_get(f.store, "/registry/pods/default/a", first, &kv, NULL, NULL)) == 0)
                kc_store_kv_done(&kv);
        assert_int_equal(r, -ESTALE);
        kc_compactor_free(c);
        /* Its writes are below the prefix: they hold up no read. */
        check_list(&f);
        fixture_close(&f);
}

int main(void)
{
        signal(SIGPIPE, SIG_IGN);
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(writers_and_watchers_agree),
            cmocka_unit_test(nothing_is_lost_when_etcd_is_killed),
            cmocka_unit_test(reads_without_etcd),
            cmocka_unit_test(starts_before_etcd),
            cmocka_unit_test(compaction_below_the_stream_restarts_the_cache),
            cmocka_unit_test(an_etcd_that_went_back_restarts_the_cache),
            cmocka_unit_test(the_compactor_keeps_one_interval),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
