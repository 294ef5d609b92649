/* The contract of storage/store.h, against every implementation; then what only etcd can show. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/str.h"
#include "etcd_fixture.h"
#include "storage/compactor.h"
#include "storage/store.h"
#include "storage/transform.h"

struct fixture {
        const char *kind;
        struct etcd etcd;
        struct kc_loop *loop;
        struct kc_store *store;
};

/* Stores values with every bit turned, behind a mark. */
static struct kc_bytes *turned(const char *from, size_t len, const char *mark)
{
        struct kc_buf b = KC_BUF_INIT;
        kc_buf_adds(&b, mark);
        for (size_t i = 0; i < len; i++)
                kc_buf_addc(&b, (char)~from[i]);
        return kc_bytes_from_buf(&b);
}

static int turn_in(struct kc_transforms *t, const char *key, const void *value, size_t len, struct kc_bytes **ret,
    struct kc_error *err)
{
        (void)t;
        (void)key;
        (void)err;
        *ret = turned(value, len, "~");
        return 0;
}

static int turn_out(struct kc_transforms *t, const char *key, const void *value, size_t len, struct kc_bytes **ret,
    bool *ret_stale, struct kc_error *err)
{
        (void)t;
        if (len == 0 || *(const char *)value != '~')
                return kc_error_set(err, EBADMSG, "%s: no mark", key);
        *ret = turned((const char *)value + 1, len - 1, "");
        *ret_stale = false;
        return 0;
}

static void turn_free(struct kc_transforms *t)
{
        kc_free(t);
}

static struct kc_transforms *turn_new(void)
{
        static const struct kc_transforms_ops ops = {turn_in, turn_out, turn_free};
        struct kc_transforms *t = KC_NEW(struct kc_transforms);
        t->ops = &ops;
        return t;
}

static void open_store(struct fixture *f)
{
        assert_int_equal(kc_loop_new("storage", &f->loop, NULL), 0);
        if (strcmp(f->kind, "etcd") == 0) {
                char *endpoints[] = {f->etcd.endpoint, NULL};
                struct kc_store_etcd_opts o = {.endpoints = endpoints, .timeout_ms = 10000};
                assert_int_equal(kc_store_etcd_new(f->loop, &o, &f->store, NULL), 0);
        } else {
                f->store = kc_store_mem_new(f->loop);
        }
        if (strcmp(f->kind, "turned") == 0)
                f->store = kc_store_transformed_new(f->store, turn_new());
        assert_int_equal(kc_loop_start_thread(f->loop, NULL), 0);
}

static void free_store(void *arg)
{
        kc_store_free(arg);
}

static void close_store(struct fixture *f)
{
        kc_loop_call(f->loop, free_store, f->store);
        kc_loop_stop(f->loop);
        kc_loop_join(f->loop);
        kc_loop_free(f->loop);
}

static struct etcd the_etcd;

/* Each test has a store without keys of its own prefix. */
static int setup_etcd(void **state)
{
        struct fixture *f = KC_NEW(struct fixture);
        f->kind = "etcd";
        f->etcd = the_etcd;
        open_store(f);
        *state = f;
        return 0;
}

static int setup_mem(void **state)
{
        struct fixture *f = KC_NEW(struct fixture);
        f->kind = "mem";
        open_store(f);
        *state = f;
        return 0;
}

static int setup_turned(void **state)
{
        struct fixture *f = KC_NEW(struct fixture);
        f->kind = "turned";
        open_store(f);
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        struct fixture *f = *state;
        close_store(f);
        kc_free(f);
        return 0;
}

static int64_t create(struct fixture *f, const char *key, const char *value)
{
        int64_t revision = 0;
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        int r = kc_store_create(f->store, key, value, strlen(value), NULL, &revision, NULL, &err);
        if (r < 0)
                fail_msg("create %s: %s", key, kc_error_message(&err));
        assert_true(revision > 1);
        return revision;
}

static int64_t update(struct fixture *f, const char *key, int64_t expected, const char *value)
{
        int64_t revision = 0;
        assert_int_equal(
            kc_store_update(f->store, key, expected, value, strlen(value), NULL, &revision, NULL, NULL), 0);
        return revision;
}

static void assert_value(const struct kc_store_kv *kv, const char *key, const char *value, int64_t revision)
{
        assert_string_equal(kv->key, key);
        assert_non_null(kv->value);
        assert_string_equal(kc_bytes_data(kv->value), value);
        assert_int_equal(kv->mod_revision, revision);
}

/* --- Reading and writing */

static void create_then_get(void **state)
{
        struct fixture *f = *state;
        int64_t rev = create(f, "/a/x", "one"), at = 0;
        struct kc_store_kv kv;
        assert_int_equal(kc_store_get(f->store, "/a/x", 0, &kv, &at, NULL), 0);
        assert_value(&kv, "/a/x", "one", rev);
        assert_int_equal(kv.create_revision, rev);
        assert_int_equal(at, rev);
        kc_store_kv_done(&kv);
        assert_int_equal(kc_store_get(f->store, "/a/none", 0, &kv, &at, NULL), -ENOENT);
        assert_int_equal(at, rev);
}

static void create_of_existing_tells_what_is_there(void **state)
{
        struct fixture *f = *state;
        int64_t rev = create(f, "/b/x", "one"), got;
        struct kc_store_kv now;
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        assert_int_equal(kc_store_create(f->store, "/b/x", "two", 3, NULL, &got, &now, &err), -EEXIST);
        assert_null(err.reason);
        assert_value(&now, "/b/x", "one", rev);
        kc_store_kv_done(&now);
}

static void update_needs_the_revision(void **state)
{
        struct fixture *f = *state;
        int64_t first = create(f, "/c/x", "one"), second = update(f, "/c/x", first, "two"), rev;
        assert_true(second > first);
        struct kc_store_kv now;
        assert_int_equal(kc_store_update(f->store, "/c/x", first, "three", 5, NULL, &rev, &now, NULL), -EAGAIN);
        assert_value(&now, "/c/x", "two", second);
        assert_int_equal(now.create_revision, first);
        kc_store_kv_done(&now);
        assert_int_equal(kc_store_update(f->store, "/c/none", first, "x", 1, NULL, &rev, &now, NULL), -EAGAIN);
        assert_int_equal(now.mod_revision, 0);
        assert_null(now.value);
        kc_store_kv_done(&now);
}

static void delete_needs_the_revision(void **state)
{
        struct fixture *f = *state;
        int64_t first = create(f, "/d/x", "one"), gone = 0;
        struct kc_store_kv now;
        assert_int_equal(kc_store_delete(f->store, "/d/x", first + 1000, &gone, &now, NULL), -EAGAIN);
        assert_value(&now, "/d/x", "one", first);
        kc_store_kv_done(&now);
        assert_int_equal(kc_store_delete(f->store, "/d/x", first, &gone, NULL, NULL), 0);
        assert_true(gone > first);
        assert_int_equal(kc_store_get(f->store, "/d/x", 0, &now, NULL, NULL), -ENOENT);
        int64_t again = create(f, "/d/x", "two");
        assert_int_equal(kc_store_get(f->store, "/d/x", 0, &now, NULL, NULL), 0);
        assert_int_equal(now.create_revision, again);
        kc_store_kv_done(&now);
}

static void put_is_unconditional(void **state)
{
        struct fixture *f = *state;
        int64_t a, b;
        assert_int_equal(kc_store_put(f->store, "/p/x", "1", 1, &a, NULL), 0);
        assert_int_equal(kc_store_put(f->store, "/p/x", "2", 1, &b, NULL), 0);
        assert_true(b > a);
}

static void old_revisions_can_be_read(void **state)
{
        struct fixture *f = *state;
        int64_t first = create(f, "/e/x", "one"), second = update(f, "/e/x", first, "two");
        struct kc_store_kv kv;
        assert_int_equal(kc_store_get(f->store, "/e/x", first, &kv, NULL, NULL), 0);
        assert_value(&kv, "/e/x", "one", first);
        kc_store_kv_done(&kv);
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        assert_int_equal(kc_store_get(f->store, "/e/x", second + 1000, &kv, NULL, &err), -ERANGE);
        assert_int_equal(err.code, 504);
}

static void values_are_bytes(void **state)
{
        struct fixture *f = *state;
        int64_t rev;
        assert_int_equal(kc_store_create(f->store, "/v/x", "a\0b", 3, NULL, &rev, NULL, NULL), 0);
        struct kc_store_kv kv;
        assert_int_equal(kc_store_get(f->store, "/v/x", 0, &kv, NULL, NULL), 0);
        assert_int_equal(kc_bytes_len(kv.value), 3);
        assert_memory_equal(kc_bytes_data(kv.value), "a\0b", 3);
        kc_store_kv_done(&kv);
}

static void too_large_values_are_refused(void **state)
{
        struct fixture *f = *state;
        size_t len = 3 << 20;
        char *big = kc_calloc(1, len);
        int64_t rev;
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        assert_int_equal(kc_store_create(f->store, "/big", big, len, NULL, &rev, NULL, &err), -EMSGSIZE);
        assert_int_equal(err.code, 413);
        assert_string_equal(err.reason, "RequestEntityTooLarge");
        kc_free(big);
}

/* --- Listing */

static void list_pages_of_one_revision(void **state)
{
        struct fixture *f = *state;
        create(f, "/l/a", "1");
        create(f, "/l/b/x", "2");
        create(f, "/l/c", "3");
        create(f, "/lz", "not below");
        struct kc_store_list_opts o = {.prefix = "/l/", .limit = 2};
        struct kc_store_list page;
        assert_int_equal(kc_store_list(f->store, &o, &page, NULL), 0);
        assert_int_equal(page.n, 2);
        assert_true(page.more);
        assert_int_equal(page.count, 3);
        assert_string_equal(page.kvs[0].key, "/l/a");
        assert_string_equal(page.kvs[1].key, "/l/b/x");
        int64_t revision = page.revision;
        kc_store_list_done(&page);
        create(f, "/l/bb", "later");
        o.revision = revision;
        o.from_key = "/l/b/x\x01";
        assert_int_equal(kc_store_list(f->store, &o, &page, NULL), 0);
        assert_int_equal(page.n, 1);
        assert_false(page.more);
        assert_int_equal(page.revision, revision);
        assert_string_equal(page.kvs[0].key, "/l/c");
        assert_string_equal(kc_bytes_data(page.kvs[0].value), "3");
        kc_store_list_done(&page);
}

static void list_keys_and_counts(void **state)
{
        struct fixture *f = *state;
        create(f, "/k/a", "1");
        create(f, "/k/b", "2");
        struct kc_store_list l;
        struct kc_store_list_opts o = {.prefix = "/k/", .keys_only = true};
        assert_int_equal(kc_store_list(f->store, &o, &l, NULL), 0);
        assert_int_equal(l.n, 2);
        assert_null(l.kvs[0].value);
        assert_string_equal(l.kvs[1].key, "/k/b");
        kc_store_list_done(&l);
        o.count_only = true;
        assert_int_equal(kc_store_list(f->store, &o, &l, NULL), 0);
        assert_int_equal(l.n, 0);
        assert_int_equal(l.count, 2);
        kc_store_list_done(&l);
        o = (struct kc_store_list_opts){.prefix = "/nothing/"};
        assert_int_equal(kc_store_list(f->store, &o, &l, NULL), 0);
        assert_int_equal(l.n, 0);
        assert_false(l.more);
        kc_store_list_done(&l);
}

static void revision_follows_writes(void **state)
{
        struct fixture *f = *state;
        int64_t written = create(f, "/r/x", "1"), rev = 0;
        assert_int_equal(kc_store_revision(f->store, &rev, NULL), 0);
        assert_int_equal(rev, written);
}

static void compacted_revisions_are_gone(void **state)
{
        struct fixture *f = *state;
        int64_t first = create(f, "/z/x", "1"), second = update(f, "/z/x", first, "2"),
                third = update(f, "/z/x", second, "3");
        assert_int_equal(kc_store_compact(f->store, third, NULL), 0);
        struct kc_store_kv kv;
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        assert_int_equal(kc_store_get(f->store, "/z/x", first, &kv, NULL, &err), -ESTALE);
        assert_int_equal(err.code, 410);
        assert_string_equal(err.reason, "Expired");
        assert_int_equal(kc_store_get(f->store, "/z/x", third, &kv, NULL, NULL), 0);
        kc_store_kv_done(&kv);
        assert_int_equal(kc_store_compact(f->store, second, NULL), -ESTALE);
}

static void status_tells_the_version(void **state)
{
        struct fixture *f = *state;
        struct kc_store_status st;
        assert_int_equal(kc_store_status(f->store, 5000, &st, NULL), 0);
        assert_true(st.version[0] != '\0');
}

/* --- Watching */

struct log {
        struct fixture *f;
        pthread_mutex_t lock;
        pthread_cond_t cond;
        struct kc_buf text; /* "PUT key=value@n(prev) ..." with revisions counted from base */
        int64_t base;
        int events, ended;
        int end_errno;
        int64_t compacted;
        struct kc_store_watch *watch;
        const char *prefix;
        int64_t start;
        bool prev;
};

static void log_events(const struct kc_store_event *ev, size_t n, int64_t revision, void *arg)
{
        struct log *l = arg;
        pthread_mutex_lock(&l->lock);
        for (size_t i = 0; i < n; i++) {
                assert_true(ev[i].mod_revision <= revision);
                kc_buf_addf(&l->text, "%s %s=%.*s@%lld",
                    !ev[i].value                                  ? "DEL"
                    : ev[i].create_revision == ev[i].mod_revision ? "NEW"
                                                                  : "PUT",
                    ev[i].key, (int)ev[i].len, ev[i].value ? (const char *)ev[i].value : "",
                    (long long)(ev[i].mod_revision - l->base));
                if (ev[i].prev_value)
                        kc_buf_addf(&l->text, "(%.*s)", (int)ev[i].prev_len, (const char *)ev[i].prev_value);
                kc_buf_addc(&l->text, ' ');
        }
        l->events += (int)n;
        pthread_cond_signal(&l->cond);
        pthread_mutex_unlock(&l->lock);
}

static void log_end(const struct kc_error *err, int64_t compacted, void *arg)
{
        struct log *l = arg;
        pthread_mutex_lock(&l->lock);
        l->ended++;
        l->end_errno = err->errnum;
        l->compacted = compacted;
        l->watch = NULL;
        pthread_cond_signal(&l->cond);
        pthread_mutex_unlock(&l->lock);
}

static const struct kc_store_watch_cbs log_cbs = {.on_events = log_events, .on_end = log_end};

static void start_log(void *arg)
{
        struct log *l = arg;
        l->watch = kc_store_watch(l->f->store, l->prefix, l->start, l->prev, &log_cbs, l);
}

static void cancel_log(void *arg)
{
        struct log *l = arg;
        kc_store_watch_cancel(l->watch);
}

static void log_open(struct log *l, struct fixture *f, const char *prefix, int64_t start, bool prev)
{
        *l = (struct log){.f = f, .prefix = prefix, .start = start, .prev = prev, .base = start - 1};
        pthread_mutex_init(&l->lock, NULL);
        pthread_cond_init(&l->cond, NULL);
        kc_loop_call(f->loop, start_log, l);
}

static void log_wait(struct log *l, int events)
{
        pthread_mutex_lock(&l->lock);
        while (l->events < events && !l->ended)
                pthread_cond_wait(&l->cond, &l->lock);
        pthread_mutex_unlock(&l->lock);
}

static void log_wait_end(struct log *l)
{
        pthread_mutex_lock(&l->lock);
        while (!l->ended)
                pthread_cond_wait(&l->cond, &l->lock);
        pthread_mutex_unlock(&l->lock);
}

static void log_close(struct log *l)
{
        if (l->watch)
                kc_loop_call(l->f->loop, cancel_log, l);
        kc_buf_done(&l->text);
        pthread_mutex_destroy(&l->lock);
        pthread_cond_destroy(&l->cond);
}

static void watch_replays_and_follows(void **state)
{
        struct fixture *f = *state;
        int64_t a = create(f, "/w/a", "1");
        create(f, "/other", "x");
        int64_t a2 = update(f, "/w/a", a, "2"), gone;
        struct log l;
        log_open(&l, f, "/w/", a, true);
        log_wait(&l, 2);
        assert_int_equal(kc_store_delete(f->store, "/w/a", a2, &gone, NULL, NULL), 0);
        create(f, "/w/b", "3");
        log_wait(&l, 4);
        assert_string_equal(l.text.data, "NEW /w/a=1@1 PUT /w/a=2@3(1) DEL /w/a=@4(2) NEW /w/b=3@5 ");
        log_close(&l);
}

static void watch_from_a_compacted_revision_ends(void **state)
{
        struct fixture *f = *state;
        int64_t a = create(f, "/x/a", "1"), b = update(f, "/x/a", a, "2"), c = update(f, "/x/a", b, "3");
        assert_int_equal(kc_store_compact(f->store, c, NULL), 0);
        struct log l;
        log_open(&l, f, "/x/", a, false);
        log_wait_end(&l);
        assert_int_equal(l.end_errno, ESTALE);
        assert_int_equal(l.compacted, c);
        log_close(&l);
}

static void cancelled_watches_are_silent(void **state)
{
        struct fixture *f = *state;
        struct log l, other;
        int64_t a = create(f, "/y/a", "1");
        log_open(&l, f, "/y/", a + 1, false);
        log_open(&other, f, "/y/", a + 1, false);
        kc_loop_call(f->loop, cancel_log, &l);
        l.watch = NULL;
        create(f, "/y/b", "1");
        log_wait(&other, 1);
        assert_int_equal(l.events, 0);
        assert_int_equal(l.ended, 0);
        log_close(&l);
        log_close(&other);
}

static void keys_with_a_ttl_go_away(void **state)
{
        struct fixture *f = *state;
        int64_t rev;
        struct kc_store_write_opts o = {.ttl_seconds = 1};
        assert_int_equal(kc_store_create(f->store, "/t/a", "1", 1, &o, &rev, NULL, NULL), 0);
        struct log l;
        log_open(&l, f, "/t/", rev, false);
        log_wait(&l, 2);
        assert_string_equal(l.text.data, "NEW /t/a=1@1 DEL /t/a=@2 ");
        log_close(&l);
}

/* --- Many at once */

struct racer {
        struct fixture *f;
        pthread_t thread;
        int won;
};

/* Each adds one to a number, as a client with optimistic concurrency does. */
static void *race(void *arg)
{
        struct racer *r = arg;
        for (int i = 0; i < 20;) {
                struct kc_store_kv kv;
                if (kc_store_get(r->f->store, "/race", 0, &kv, NULL, NULL) < 0)
                        return NULL;
                char next[16];
                int n = snprintf(next, sizeof(next), "%d", atoi(kc_bytes_data(kv.value)) + 1);
                if (kc_store_update(r->f->store, "/race", kv.mod_revision, next, (size_t)n, NULL, NULL, NULL, NULL) ==
                    0) {
                        r->won++;
                        i++;
                }
                kc_store_kv_done(&kv);
        }
        return NULL;
}

static void racing_updates_lose_nothing(void **state)
{
        struct fixture *f = *state;
        create(f, "/race", "0");
        struct racer racers[4];
        for (int i = 0; i < 4; i++) {
                racers[i] = (struct racer){.f = f};
                pthread_create(&racers[i].thread, NULL, race, &racers[i]);
        }
        for (int i = 0; i < 4; i++) {
                pthread_join(racers[i].thread, NULL);
                assert_int_equal(racers[i].won, 20);
        }
        struct kc_store_kv kv;
        assert_int_equal(kc_store_get(f->store, "/race", 0, &kv, NULL, NULL), 0);
        assert_string_equal(kc_bytes_data(kv.value), "80");
        kc_store_kv_done(&kv);
}

/* --- etcd alone */

static void lost_etcd_is_told_and_comes_back(void **state)
{
        (void)state;
        struct fixture f = {.kind = "etcd"};
        etcd_start(&f.etcd);
        open_store(&f);
        int64_t rev = create(&f, "/o/x", "1");
        struct log l;
        log_open(&l, &f, "/o/", rev + 1, false);
        int64_t second = update(&f, "/o/x", rev, "2");
        log_wait(&l, 1);
        etcd_kill(&f.etcd);
        log_wait_end(&l);
        assert_int_equal(l.end_errno, EHOSTUNREACH);
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        struct kc_store_kv kv;
        assert_int_equal(kc_store_get(f.store, "/o/x", 0, &kv, NULL, &err), -EHOSTUNREACH);
        assert_int_equal(err.code, 503);
        assert_string_equal(err.reason, "ServiceUnavailable");
        assert_non_null(strstr(err.message, "connection refused"));
        struct kc_store_status st;
        assert_int_equal(kc_store_status(f.store, 500, &st, NULL), -EHOSTUNREACH);
        etcd_run(&f.etcd, NULL);
        int r;
        do
                r = kc_store_get(f.store, "/o/x", 0, &kv, NULL, NULL);
        while (r == -EHOSTUNREACH || r == -ETIMEDOUT);
        assert_int_equal(r, 0);
        assert_value(&kv, "/o/x", "2", second);
        kc_store_kv_done(&kv);
        log_close(&l);
        close_store(&f);
        etcd_stop(&f.etcd);
}

static void silent_etcd_times_out(void **state)
{
        (void)state;
        struct fixture f = {.kind = "etcd"};
        etcd_start(&f.etcd);
        open_store(&f);
        create(&f, "/s/x", "1");
        kill(f.etcd.pid, SIGSTOP);
        int status;
        assert_int_equal(waitpid(f.etcd.pid, &status, WUNTRACED), f.etcd.pid);
        assert_true(WIFSTOPPED(status));
        struct kc_store_status st;
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        assert_int_equal(kc_store_status(f.store, 300, &st, &err), -ETIMEDOUT);
        assert_int_equal(err.code, 504);
        assert_string_equal(err.reason, "Timeout");
        assert_string_equal(err.message, "context deadline exceeded");
        kill(f.etcd.pid, SIGCONT);
        close_store(&f);
        etcd_stop(&f.etcd);
}

static void events_share_leases(void **state)
{
        struct fixture *f = *state;
        struct kc_store_write_opts o = {.ttl_seconds = 3600};
        int64_t rev;
        for (int i = 0; i < 5; i++) {
                char key[32];
                snprintf(key, sizeof(key), "/ev/%d", i);
                assert_int_equal(kc_store_create(f->store, key, "1", 1, &o, &rev, NULL, NULL), 0);
        }
        char cmd[160], out[8] = "";
        snprintf(cmd, sizeof(cmd), "ETCDCTL_API=3 etcdctl --endpoints=%s lease list | grep -c '^[0-9a-f]*$'",
            f->etcd.endpoint);
        FILE *p = popen(cmd, "r");
        assert_non_null(p);
        assert_non_null(fgets(out, sizeof(out), p));
        pclose(p);
        assert_string_equal(out, "1\n");
}

static int start_etcd(void **state)
{
        (void)state;
        signal(SIGPIPE, SIG_IGN);
        etcd_start(&the_etcd);
        return 0;
}

static int stop_etcd(void **state)
{
        (void)state;
        etcd_stop(&the_etcd);
        return 0;
}

#define ALL(test)                                                                                                      \
        {"mem: " #test, test, setup_mem, teardown, NULL}, {"turned: " #test, test, setup_turned, teardown, NULL},      \
        {                                                                                                              \
                "etcd: " #test, test, setup_etcd, teardown, NULL                                                       \
        }

int main(void)
{
        const struct CMUnitTest tests[] = {
            ALL(create_then_get),
            ALL(create_of_existing_tells_what_is_there),
            ALL(update_needs_the_revision),
            ALL(delete_needs_the_revision),
            ALL(put_is_unconditional),
            ALL(old_revisions_can_be_read),
            ALL(values_are_bytes),
            ALL(too_large_values_are_refused),
            ALL(list_pages_of_one_revision),
            ALL(list_keys_and_counts),
            ALL(revision_follows_writes),
            ALL(compacted_revisions_are_gone),
            ALL(status_tells_the_version),
            ALL(watch_replays_and_follows),
            ALL(watch_from_a_compacted_revision_ends),
            ALL(cancelled_watches_are_silent),
            ALL(keys_with_a_ttl_go_away),
            ALL(racing_updates_lose_nothing),
            {"etcd: events_share_leases", events_share_leases, setup_etcd, teardown, NULL},
            cmocka_unit_test(lost_etcd_is_told_and_comes_back),
            cmocka_unit_test(silent_etcd_times_out),
        };
        return cmocka_run_group_tests(tests, start_etcd, stop_etcd);
}
