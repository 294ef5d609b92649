/* The watch cache over the memory store: what reads and watches show. */
#include "cache_fixture.h"

static int setup(void **state)
{
        struct fixture *f = KC_NEW(struct fixture);
        fixture_open(f, false);
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        fixture_close(*state);
        kc_free(*state);
        return 0;
}

static const struct kc_cache_read consistent = {.match = KC_CACHE_CONSISTENT}, any = {.match = KC_CACHE_NOT_OLDER};

/* Names of a list, joined by spaces. */
static char *names(const struct kc_cache_list *l)
{
        struct kc_buf b = KC_BUF_INIT;
        for (size_t i = 0; i < l->n; i++)
                kc_buf_addf(&b, "%s%s", i ? " " : "", kc_cache_entry_name(l->v[i]));
        return kc_buf_take_str(&b);
}

static void assert_list(struct kc_cache_resource *r, const struct kc_cache_list_opts *o, const char *want)
{
        struct kc_cache_list l;
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        if (kc_cache_list(r, o, &l, &err) < 0)
                fail_msg("list: %s", kc_error_message(&err));
        KC_CLEANUP(kc_freep) char *got = names(&l);
        assert_string_equal(got, want);
        kc_cache_list_done(&l);
}

/* --- GET */

static void get_shows_what_was_written(void **state)
{
        struct fixture *f = *state;
        int64_t before = put_pod(f, "default", "old", "n1", "web");
        fixture_start(f);
        struct kc_cache_entry *e;
        int64_t as_of;
        assert_int_equal(kc_cache_get(f->pods, "default", "old", &any, &e, &as_of, NULL), 0);
        assert_int_equal(kc_cache_entry_revision(e), before);
        kc_cache_entry_unref(e);
        int64_t rev = put_pod(f, "default", "a", "n1", "web");
        assert_int_equal(kc_cache_get(f->pods, "default", "a", &consistent, &e, &as_of, NULL), 0);
        assert_string_equal(kc_bytes_data(kc_cache_entry_bytes(e)),
            text("{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"a\",\"namespace\":\"default\","
                 "\"resourceVersion\":\"%lld\",\"labels\":{\"app\":\"web\"}},\"spec\":{\"nodeName\":\"n1\"}}",
                (long long)rev));
        assert_int_equal(as_of, rev);
        assert_string_equal(kc_cache_entry_key(e), "/registry/pods/default/a");
        assert_string_equal(kc_cache_entry_namespace(e), "default");
        assert_string_equal(kc_cache_entry_name(e), "a");
        assert_string_equal(kc_cache_entry_field("spec.nodeName", e), "n1");
        assert_string_equal(kc_cache_entry_field("status.phase", e), "");
        assert_string_equal(kc_cache_entry_field("spec.hostNetwork", e), "false");
        assert_string_equal(kc_cache_entry_field("metadata.name", e), "a");
        assert_null(kc_cache_entry_field("spec.other", e));
        assert_string_equal(kc_json_str(kc_cache_entry_labels(e), "app"), "web");
        kc_cache_entry_unref(e);
        assert_int_equal(kc_cache_get(f->pods, "default", "none", &consistent, &e, NULL, NULL), -ENOENT);
        assert_int_equal(kc_cache_resource_count(f->pods), 2);
}

static void reads_wait_for_a_revision_but_not_for_ever(void **state)
{
        struct fixture *f = *state;
        fixture_start(f);
        int64_t rev = put_pod(f, "default", "a", "n1", "web");
        struct kc_cache_entry *e;
        struct kc_cache_read read = {.match = KC_CACHE_NOT_OLDER, .revision = rev};
        assert_int_equal(kc_cache_get(f->pods, "default", "a", &read, &e, NULL, NULL), 0);
        kc_cache_entry_unref(e);
        read.revision = rev + 100;
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        assert_int_equal(kc_cache_get(f->pods, "default", "a", &read, &e, NULL, &err), -ETIMEDOUT);
        assert_int_equal(err.code, 504);
        assert_string_equal(err.reason, "Timeout");
        assert_string_equal(err.message,
            text("Timeout: Too large resource version: %lld, current: %lld", (long long)rev + 100, (long long)rev));
}

static void writes_outside_of_the_prefix_do_not_block_consistent_reads(void **state)
{
        struct fixture *f = *state;
        fixture_start(f);
        put_pod(f, "default", "a", "n1", "web");
        int64_t foreign;
        assert_int_equal(kc_store_put(f->store, "/somebody/else", "1", 1, &foreign, NULL), 0);
        struct kc_cache_entry *e;
        assert_int_equal(kc_cache_get(f->pods, "default", "a", &consistent, &e, NULL, NULL), 0);
        kc_cache_entry_unref(e);
        assert_true(kc_cache_revision(f->cache) > foreign);
}

static void lost_store_fails_consistent_reads_only(void **state)
{
        struct fixture *f = *state;
        put_pod(f, "default", "a", "n1", "web");
        fixture_start(f);
        kc_store_mem_set_down(f->store, true);
        struct kc_cache_entry *e;
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        assert_int_equal(kc_cache_get(f->pods, "default", "a", &consistent, &e, NULL, &err), -EHOSTUNREACH);
        assert_int_equal(err.code, 503);
        assert_int_equal(kc_cache_get(f->pods, "default", "a", &any, &e, NULL, NULL), 0);
        kc_cache_entry_unref(e);
        kc_store_mem_set_down(f->store, false);
        put_pod(f, "default", "b", "n1", "web");
        assert_int_equal(kc_cache_get(f->pods, "default", "b", &consistent, &e, NULL, NULL), 0);
        kc_cache_entry_unref(e);
}

static void broken_objects_are_left_out(void **state)
{
        struct fixture *f = *state;
        assert_int_equal(kc_store_put(f->store, "/registry/pods/default/bad", "k8s\1", 4, NULL, NULL), 0);
        put_pod(f, "default", "good", "n1", "web");
        fixture_start(f);
        assert_list(f->pods, &(struct kc_cache_list_opts){.read = consistent}, "good");
        assert_int_equal(kc_store_put(f->store, "/registry/pods/default/good", "{", 1, NULL, NULL), 0);
        assert_list(f->pods, &(struct kc_cache_list_opts){.read = consistent}, "");
}

/* --- LIST */

static void list_by_namespace_and_selector(void **state)
{
        struct fixture *f = *state;
        put_pod(f, "a", "x", "n1", "web");
        put_pod(f, "a", "y", "n2", "db");
        put_pod(f, "a-b", "z", "n1", "web");
        put_pod(f, "b", "x", "n1", "web");
        fixture_start(f);
        assert_list(f->pods, &(struct kc_cache_list_opts){.read = consistent}, "z x y x");
        assert_list(f->pods, &(struct kc_cache_list_opts){.read = consistent, .ns = "a"}, "x y");
        assert_list(f->pods, &(struct kc_cache_list_opts){.read = consistent, .ns = "c"}, "");
        assert_list(f->pods, &(struct kc_cache_list_opts){.read = consistent, .ns = "a", .name = "y"}, "y");
        assert_list(f->pods, &(struct kc_cache_list_opts){.read = consistent, .name = "x"}, "x x");
        struct watcher web = {.app = "web"};
        assert_list(f->pods,
            &(struct kc_cache_list_opts){.read = consistent, .ns = "a", .match = watcher_match, .match_arg = &web},
            "x");
        assert_list(f->nodes, &(struct kc_cache_list_opts){.read = consistent}, "");
}

static void pages_show_one_revision(void **state)
{
        struct fixture *f = *state;
        for (int i = 0; i < 5; i++)
                put_pod(f, "a", text("p%d", i), "n1", "web");
        put_pod(f, "b", "q", "n1", "web");
        fixture_start(f);
        struct kc_cache_list l, l2;
        struct kc_cache_list_opts o = {.ns = "a", .read = consistent, .limit = 2};
        assert_int_equal(kc_cache_list(f->pods, &o, &l, NULL), 0);
        KC_CLEANUP(kc_freep) char *first = names(&l);
        assert_string_equal(first, "p0 p1");
        assert_int_equal(l.remaining, 3);
        put_pod(f, "a", "p2", "n2", "changed");
        put_pod(f, "a", "p2a", "n1", "new");
        delete_key(f, "/registry/pods/a/p3");
        o.continue_token = l.continue_token;
        assert_int_equal(kc_cache_list(f->pods, &o, &l2, NULL), 0);
        KC_CLEANUP(kc_freep) char *second = names(&l2);
        assert_string_equal(second, "p2 p3");
        assert_string_equal(kc_json_str(kc_cache_entry_labels(l2.v[0]), "app"), "web");
        assert_int_equal(l2.revision, l.revision);
        assert_int_equal(l2.remaining, 1);
        kc_cache_list_done(&l);
        o.continue_token = l2.continue_token;
        assert_int_equal(kc_cache_list(f->pods, &o, &l, NULL), 0);
        KC_CLEANUP(kc_freep) char *third = names(&l);
        assert_string_equal(third, "p4");
        assert_null(l.continue_token);
        assert_int_equal(l.remaining, -1);
        kc_cache_list_done(&l);
        kc_cache_list_done(&l2);
}

static void limit_is_ignored_at_any_revision(void **state)
{
        struct fixture *f = *state;
        for (int i = 0; i < 3; i++)
                put_pod(f, "a", text("p%d", i), "n1", "web");
        fixture_start(f);
        assert_list(f->pods, &(struct kc_cache_list_opts){.read = any, .limit = 1}, "p0 p1 p2");
}

static void exact_revisions_come_from_the_store(void **state)
{
        struct fixture *f = *state;
        int64_t first = put_pod(f, "a", "p0", "n1", "web");
        fixture_start(f);
        int64_t second = put_pod(f, "a", "p1", "n1", "web"), third = put_pod(f, "a", "p2", "n1", "web");
        struct kc_cache_list_opts o = {.read = {.match = KC_CACHE_EXACT, .revision = first}};
        assert_list(f->pods, &o, "p0");
        o.read.revision = second;
        assert_list(f->pods, &o, "p0 p1");
        o.read.revision = third;
        assert_list(f->pods, &o, "p0 p1 p2");
        assert_int_equal(kc_store_compact(f->store, third, NULL), 0);
        o.read.revision = first;
        struct kc_cache_list l;
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        assert_int_equal(kc_cache_list(f->pods, &o, &l, &err), -ESTALE);
        assert_int_equal(err.code, 410);
        assert_string_equal(err.reason, "Expired");
        assert_string_equal(err.message, "The resourceVersion for the provided list is too old.");
        kc_cache_list_done(&l);
}

/* A page long after: its revision is neither kept nor in the store. */
static void expired_pages_offer_to_go_on(void **state)
{
        struct fixture *f = *state;
        for (int i = 0; i < 4; i++)
                put_pod(f, "a", text("p%d", i), "n1", "web");
        fixture_start(f);
        struct kc_cache_list l, l2;
        struct kc_cache_list_opts o = {.read = consistent, .limit = 2};
        assert_int_equal(kc_cache_list(f->pods, &o, &l, NULL), 0);
        int64_t rev = 0;
        for (int i = 0; i <= KC_CACHE_SNAPSHOTS; i++) {
                rev = put_pod(f, "a", "p3", "n1", "web");
                assert_int_equal(kc_cache_list(f->pods, &o, &l2, NULL), 0);
                kc_cache_list_done(&l2);
        }
        assert_int_equal(kc_store_compact(f->store, rev, NULL), 0);
        o.continue_token = l.continue_token;
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        assert_int_equal(kc_cache_list(f->pods, &o, &l2, &err), -ESTALE);
        assert_string_equal(err.reason, "Expired");
        assert_true(kc_str_has_prefix(
            err.message, "The provided continue parameter is too old to display a consistent list result."));
        o.continue_token = l2.continue_token;
        kc_cache_list_done(&l);
        assert_int_equal(kc_cache_list(f->pods, &o, &l, NULL), 0);
        KC_CLEANUP(kc_freep) char *rest = names(&l);
        assert_string_equal(rest, "p2 p3");
        kc_cache_list_done(&l);
        kc_cache_list_done(&l2);
}

/* --- WATCH */

static void watch_from_now_sees_what_comes(void **state)
{
        struct fixture *f = *state;
        fixture_start(f);
        struct watcher w = {.o = {.revision = -1}};
        int64_t a = put_pod(f, "d", "a", "n1", "web");
        watcher_open(&w, f->pods, f->loops[0]);
        int64_t a2 = put_pod(f, "d", "a", "n2", "web"), gone = delete_key(f, "/registry/pods/d/a");
        watcher_wait_revision(&w, gone);
        /* Whether the first one was seen as it was or came as an event: it is there once. */
        const char *want =
            text("ADDED d/a@%lld MODIFIED d/a@%lld DELETED d/a@%lld ", (long long)a, (long long)a2, (long long)gone);
        assert_string_equal(w.text.data, want);
        assert_string_equal(kc_bytes_data(w.frame),
            text(
                "{\"type\":\"DELETED\",\"object\":{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"a\","
                "\"namespace\":\"d\",\"resourceVersion\":\"%lld\",\"labels\":{\"app\":\"web\"}},\"spec\":{\"nodeName\":"
                "\"n2\"}}}\n",
                (long long)gone));
        watcher_close(&w);
}

static void watch_from_a_revision_replays(void **state)
{
        struct fixture *f = *state;
        fixture_start(f);
        int64_t a = put_pod(f, "d", "a", "n1", "web"), b = put_pod(f, "d", "b", "n1", "web"),
                c = put_pod(f, "e", "c", "n1", "web");
        struct watcher w = {.o = {.revision = a}}, in_e = {.o = {.revision = a, .ns = "e"}};
        watcher_open(&w, f->pods, f->loops[0]);
        watcher_open(&in_e, f->pods, f->loops[0]);
        watcher_wait(&w, 2, 0);
        watcher_wait(&in_e, 1, 0);
        assert_string_equal(w.text.data, text("ADDED d/b@%lld ADDED e/c@%lld ", (long long)b, (long long)c));
        assert_string_equal(in_e.text.data, text("ADDED e/c@%lld ", (long long)c));
        watcher_close(&w);
        watcher_close(&in_e);
}

static void too_old_watches_are_told(void **state)
{
        struct fixture *f = *state;
        int64_t a = put_pod(f, "d", "a", "n1", "web"), b = put_pod(f, "d", "b", "n1", "web");
        fixture_start(f);
        struct watcher w = {.o = {.revision = a}}, ok = {.o = {.revision = b}};
        watcher_open(&w, f->pods, f->loops[0]);
        watcher_wait_end(&w);
        assert_int_equal(w.code, 410);
        assert_string_equal(w.message, text("too old resource version: %lld (%lld)", (long long)a, (long long)b));
        watcher_open(&ok, f->pods, f->loops[0]);
        int64_t c = put_pod(f, "d", "c", "n1", "web");
        watcher_wait(&ok, 1, 0);
        assert_string_equal(ok.text.data, text("ADDED d/c@%lld ", (long long)c));
        watcher_close(&w);
        watcher_close(&ok);
}

static void objects_enter_and_leave_selectors(void **state)
{
        struct fixture *f = *state;
        fixture_start(f);
        struct watcher w = {.o = {.revision = 0}, .app = "web"};
        watcher_open(&w, f->pods, f->loops[0]);
        put_pod(f, "d", "a", "n1", "db");
        int64_t in = put_pod(f, "d", "a", "n1", "web"), still = put_pod(f, "d", "a", "n2", "web"),
                out = put_pod(f, "d", "a", "n3", "db");
        delete_key(f, "/registry/pods/d/a");
        int64_t end = put_pod(f, "d", "z", "n1", "web");
        watcher_wait_revision(&w, end);
        assert_string_equal(w.text.data, text("ADDED d/a@%lld MODIFIED d/a@%lld DELETED d/a@%lld ADDED d/z@%lld ",
                                             (long long)in, (long long)still, (long long)out, (long long)end));
        watcher_close(&w);
}

static void a_leaving_object_is_shown_as_it_was(void **state)
{
        struct fixture *f = *state;
        fixture_start(f);
        put_pod(f, "d", "a", "n1", "web");
        struct watcher w = {.o = {.revision = 0}, .app = "web"};
        watcher_open(&w, f->pods, f->loops[0]);
        int64_t out = put_pod(f, "d", "a", "n9", "db");
        watcher_wait_revision(&w, out);
        const char *frame = kc_bytes_data(w.frame);
        assert_non_null(strstr(frame, "\"type\":\"DELETED\""));
        assert_non_null(strstr(frame, text("\"resourceVersion\":\"%lld\"", (long long)out)));
        assert_non_null(strstr(frame, "\"app\":\"web\""));
        assert_non_null(strstr(frame, "\"nodeName\":\"n1\""));
        watcher_close(&w);
}

static bool on_node_n1(const struct kc_cache_entry *e, void *arg)
{
        (void)arg;
        return strcmp(kc_cache_entry_field("spec.nodeName", (void *)(uintptr_t)e), "n1") == 0;
}

static void triggers_find_their_watches(void **state)
{
        struct fixture *f = *state;
        fixture_start(f);
        struct watcher w = {.o = {.revision = 0, .trigger = "n1"}};
        w.r = f->pods;
        w.o.loop = f->loops[0];
        w.o.match = on_node_n1;
        pthread_mutex_init(&w.lock, NULL);
        pthread_cond_init(&w.cond, NULL);
        kc_loop_call(f->loops[0], watcher_start, &w);
        put_pod(f, "d", "other", "n2", "web");
        int64_t in = put_pod(f, "d", "a", "n1", "web"), out = put_pod(f, "d", "a", "n2", "web"),
                end = put_pod(f, "d", "b", "n1", "web");
        watcher_wait_revision(&w, end);
        assert_string_equal(w.text.data,
            text("ADDED d/a@%lld DELETED d/a@%lld ADDED d/b@%lld ", (long long)in, (long long)out, (long long)end));
        watcher_close(&w);
}

static void watch_of_one_object(void **state)
{
        struct fixture *f = *state;
        fixture_start(f);
        struct watcher w = {.o = {.revision = 0, .ns = "d", .name = "a"}}, all = {.o = {.revision = 0, .name = "a"}};
        watcher_open(&w, f->pods, f->loops[0]);
        watcher_open(&all, f->pods, f->loops[1]);
        put_pod(f, "d", "ab", "n1", "web");
        int64_t a = put_pod(f, "d", "a", "n1", "web"), e = put_pod(f, "e", "a", "n1", "web"),
                a2 = put_pod(f, "d", "a", "n1", "web");
        watcher_wait_revision(&w, a2);
        watcher_wait_revision(&all, a2);
        assert_string_equal(w.text.data, text("ADDED d/a@%lld MODIFIED d/a@%lld ", (long long)a, (long long)a2));
        assert_string_equal(all.text.data,
            text("ADDED d/a@%lld ADDED e/a@%lld MODIFIED d/a@%lld ", (long long)a, (long long)e, (long long)a2));
        watcher_close(&w);
        watcher_close(&all);
}

static void initial_events_end_with_a_bookmark(void **state)
{
        struct fixture *f = *state;
        int64_t a = put_pod(f, "d", "a", "n1", "web");
        fixture_start(f);
        int64_t b = put_pod(f, "d", "b", "n1", "web");
        struct watcher w = {.o = {.revision = -1, .initial_events = KC_INITIAL_EVENTS_TRUE, .bookmarks = true}};
        watcher_open(&w, f->pods, f->loops[0]);
        watcher_wait(&w, 2, 1);
        int64_t c = put_pod(f, "d", "c", "n1", "web");
        watcher_wait(&w, 3, 1);
        assert_string_equal(w.text.data, text("ADDED d/a@%lld ADDED d/b@%lld BOOKMARK(end)@%lld ADDED d/c@%lld ",
                                             (long long)a, (long long)b, (long long)b, (long long)c));
        watcher_close(&w);
}

static void no_initial_events_on_demand(void **state)
{
        struct fixture *f = *state;
        put_pod(f, "d", "a", "n1", "web");
        fixture_start(f);
        struct watcher w = {.o = {.revision = 0, .initial_events = KC_INITIAL_EVENTS_FALSE}};
        watcher_open(&w, f->pods, f->loops[0]);
        int64_t b = put_pod(f, "d", "b", "n1", "web");
        watcher_wait(&w, 1, 0);
        assert_string_equal(w.text.data, text("ADDED d/b@%lld ", (long long)b));
        watcher_close(&w);
}

static void too_large_revisions_time_out(void **state)
{
        struct fixture *f = *state;
        int64_t rev = put_pod(f, "d", "a", "n1", "web");
        fixture_start(f);
        struct watcher w = {.o = {.revision = rev + 50, .initial_events = KC_INITIAL_EVENTS_TRUE, .bookmarks = true}};
        watcher_open(&w, f->pods, f->loops[0]);
        watcher_wait_end(&w);
        assert_int_equal(w.code, 504);
        assert_string_equal(w.message,
            text("Timeout: Too large resource version: %lld, current: %lld", (long long)rev + 50, (long long)rev));
        watcher_close(&w);
}

static void bookmarks_tell_how_far_the_stream_is(void **state)
{
        struct fixture *f = *state;
        int64_t a = put_pod(f, "d", "a", "n1", "web");
        fixture_start(f);
        struct watcher w = {.o = {.revision = 0, .bookmarks = true}};
        watcher_open(&w, f->pods, f->loops[0]);
        watcher_wait(&w, 1, 0);
        int64_t node;
        assert_int_equal(
            kc_store_put(f->store, "/registry/minions/n1", "{\"metadata\":{\"name\":\"n1\"}}", 26, &node, NULL), 0);
        struct kc_cache_entry *e;
        assert_int_equal(kc_cache_get(f->nodes, NULL, "n1", &consistent, &e, NULL, NULL), 0);
        kc_cache_entry_unref(e);
        kc_loop_call(f->loops[0], watcher_bookmark, &w);
        watcher_wait(&w, 1, 1);
        assert_string_equal(w.text.data, text("ADDED d/a@%lld BOOKMARK@%lld ", (long long)a, (long long)node));
        struct kc_bytes *frame = kc_cache_bookmark_frame("v1", "Pod", 12, true);
        assert_string_equal(kc_bytes_data(frame),
            "{\"type\":\"BOOKMARK\",\"object\":{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{"
            "\"resourceVersion\":\"12\","
            "\"creationTimestamp\":null,\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}}}}\n");
        kc_bytes_unref(frame);
        watcher_close(&w);
}

static void watch_may_cancel_itself(void **state)
{
        struct fixture *f = *state;
        fixture_start(f);
        struct watcher w = {.o = {.revision = 0}, .cancel_at_event = true}, other = {.o = {.revision = 0}};
        watcher_open(&w, f->pods, f->loops[0]);
        watcher_open(&other, f->pods, f->loops[0]);
        put_pod(f, "d", "a", "n1", "web");
        put_pod(f, "d", "b", "n1", "web");
        watcher_wait(&other, 2, 0);
        assert_int_equal(w.events, 1);
        assert_int_equal(w.ended, 0);
        watcher_close(&w);
        watcher_close(&other);
}

static void paused_watches_catch_up(void **state)
{
        struct fixture *f = *state;
        for (int i = 0; i < 10; i++)
                put_pod(f, "d", text("p%d", i), "n1", "web");
        fixture_start(f);
        struct watcher w = {.o = {.revision = 0}, .pause_after = 3}, live = {.o = {.revision = 0}, .pause_after = 12};
        watcher_open(&w, f->pods, f->loops[0]);
        watcher_open(&live, f->pods, f->loops[0]);
        watcher_wait(&w, 3, 0);
        watcher_wait(&live, 10, 0);
        int64_t last = 0;
        for (int i = 0; i < 50; i++)
                last = put_pod(f, "d", "p0", "n1", "web");
        watcher_wait(&live, 12, 0);
        assert_int_equal(w.events, 3);
        kc_loop_call(f->loops[0], watcher_resume, &w);
        kc_loop_call(f->loops[0], watcher_resume, &live);
        watcher_wait_revision(&w, last);
        watcher_wait_revision(&live, last);
        assert_int_equal(w.events, 60);
        assert_int_equal(live.events, 60);
        watcher_close(&w);
        watcher_close(&live);
}

static void watch_of_an_unready_resource_is_refused(void **state)
{
        struct fixture *f = *state;
        struct watcher w = {.o = {.revision = 0}};
        watcher_open(&w, f->pods, f->loops[0]);
        assert_int_equal(w.start_errno, EBUSY);
        watcher_close(&w);
        assert_false(kc_cache_ready(f->cache));
}

static void stopping_ends_watches(void **state)
{
        struct fixture *f = *state;
        fixture_start(f);
        struct watcher w = {.o = {.revision = 0}};
        watcher_open(&w, f->pods, f->loops[0]);
        kc_cache_stop(f->cache);
        watcher_wait_end(&w);
        assert_int_equal(w.code, 0);
        watcher_close(&w);
        struct kc_cache_entry *e;
        assert_int_equal(kc_cache_get(f->pods, "d", "a", &consistent, &e, NULL, NULL), -EHOSTUNREACH);
}

/* --- Resources that come and go */

static void late_resources_load_and_go(void **state)
{
        struct fixture *f = *state;
        fixture_start(f);
        static const char json[] = "{\"metadata\":{\"name\":\"a\"}}";
        assert_int_equal(
            kc_store_put(f->store, "/registry/stable.example.com/crontabs/d/a", json, strlen(json), NULL, NULL), 0);
        struct kc_cache_resource_opts o = {
            .name = "crontabs.stable.example.com", .prefix = "stable.example.com/crontabs", .namespaced = true};
        struct kc_cache_resource *r = kc_cache_register(f->cache, &o);
        assert_list(r, &(struct kc_cache_list_opts){.read = consistent}, "a");
        struct watcher w = {.o = {.revision = 0}};
        watcher_open(&w, r, f->loops[0]);
        assert_int_equal(
            kc_store_put(f->store, "/registry/stable.example.com/crontabs/d/b", json, strlen(json), NULL, NULL), 0);
        watcher_wait(&w, 2, 0);
        kc_cache_unregister(f->cache, r);
        watcher_wait_end(&w);
        assert_int_equal(w.code, 0);
        watcher_close(&w);
        assert_true(kc_cache_ready(f->cache));
}

/* --- Batching */

struct count {
        pthread_mutex_t lock;
        pthread_cond_t cond;
        int done;
};

static void count_one(const struct kc_error *err, void *arg)
{
        struct count *c = arg;
        assert_null(err);
        pthread_mutex_lock(&c->lock);
        c->done++;
        pthread_cond_signal(&c->cond);
        pthread_mutex_unlock(&c->lock);
}

static void async_waits_come_back_to_their_loop(void **state)
{
        struct fixture *f = *state;
        fixture_start(f);
        struct count c = {.lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};
        put_pod(f, "d", "a", "n1", "web");
        for (int i = 0; i < 1000; i++)
                kc_cache_wait_async(f->pods, &consistent, f->loops[i % 2], count_one, &c);
        pthread_mutex_lock(&c.lock);
        while (c.done < 1000)
                pthread_cond_wait(&c.cond, &c.lock);
        pthread_mutex_unlock(&c.lock);
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
        signal(SIGPIPE, SIG_IGN);
        const struct CMUnitTest tests[] = {
            T(get_shows_what_was_written),
            T(reads_wait_for_a_revision_but_not_for_ever),
            T(writes_outside_of_the_prefix_do_not_block_consistent_reads),
            T(lost_store_fails_consistent_reads_only),
            T(broken_objects_are_left_out),
            T(list_by_namespace_and_selector),
            T(pages_show_one_revision),
            T(limit_is_ignored_at_any_revision),
            T(exact_revisions_come_from_the_store),
            T(expired_pages_offer_to_go_on),
            T(watch_from_now_sees_what_comes),
            T(watch_from_a_revision_replays),
            T(too_old_watches_are_told),
            T(objects_enter_and_leave_selectors),
            T(a_leaving_object_is_shown_as_it_was),
            T(triggers_find_their_watches),
            T(watch_of_one_object),
            T(initial_events_end_with_a_bookmark),
            T(no_initial_events_on_demand),
            T(too_large_revisions_time_out),
            T(bookmarks_tell_how_far_the_stream_is),
            T(watch_may_cancel_itself),
            T(paused_watches_catch_up),
            T(watch_of_an_unready_resource_is_refused),
            T(stopping_ends_watches),
            T(late_resources_load_and_go),
            T(async_waits_come_back_to_their_loop),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
