/* Informers against a scripted API server: lists, pages, streams, what breaks, what is missed, and quiet. */
#include <stdatomic.h>

#include "client/informer.h"
#include "client/reflector.h"
#include "fake_api.h"

#define POD(name, rv)                                                                                                  \
        "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"" name                                       \
        "\",\"namespace\":\"ns\",\"uid\":\"u-" name "\",\"resourceVersion\":\"" rv                                     \
        "\",\"managedFields\":[{\"manager\":\"x\"}]}}"
#define EVENT(type, obj) "{\"type\":\"" type "\",\"object\":" obj "}\n"
#define BOOKMARK(rv) EVENT("BOOKMARK", "{\"kind\":\"Pod\",\"metadata\":{\"resourceVersion\":\"" rv "\"}}")
#define LIST_END(rv)                                                                                                   \
        EVENT("BOOKMARK", "{\"kind\":\"Pod\",\"metadata\":{\"resourceVersion\":\"" rv                                  \
                          "\",\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}}}")
#define STATUS(code, reason, message)                                                                                  \
        "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"status\":\"Failure\",\"message\":\"" message                     \
        "\",\"reason\":\"" reason "\",\"code\":" code "}"
#define LIST(rv, cont, items)                                                                                          \
        "{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":{\"resourceVersion\":\"" rv                          \
        "\",\"continue\":\"" cont "\"},\"items\":[" items "]}"
#define STREAMED "sendInitialEvents=true"
#define NO_STREAMS                                                                                                     \
        {                                                                                                              \
                .method = "GET", .match = STREAMED, .code = 422, .body = STATUS("422", "Invalid", "no streams")        \
        }

/* What the handlers heard: "+a@1" added, "~a@2" updated, "-a@2" deleted; '!' after an initial add. */
struct heard {
        pthread_mutex_t lock;
        char **v;
        size_t at; /* of v: what the test looks at next */
        sem_t gate;
        sem_t synced;
};

struct world {
        struct fake_api *api;
        struct kc_loop *loop;
        struct kc_rest *rest;
        struct kc_informers *informers;
        struct kc_informer *pods;
        struct heard heard;
};

static void hear(struct heard *h, char what, struct kc_object *o, const char *suffix)
{
        pthread_mutex_lock(&h->lock);
        kc_strv_pushf(&h->v, "%c%s@%s%s", what, kc_object_name(o), kc_object_resource_version(o), suffix);
        pthread_mutex_unlock(&h->lock);
        sem_post(&h->gate);
}

static void on_add(struct kc_object *obj, bool initial, void *arg)
{
        hear(arg, '+', obj, initial ? "!" : "");
}

static void on_update(struct kc_object *old, struct kc_object *obj, void *arg)
{
        assert_non_null(old);
        hear(arg, '~', obj, "");
}

static void on_delete(struct kc_object *obj, void *arg)
{
        hear(arg, '-', obj, "");
}

static const struct kc_informer_handler handler = {.on_add = on_add, .on_update = on_update, .on_delete = on_delete};

static void on_synced(void *arg)
{
        sem_post(&((struct world *)arg)->heard.synced);
}

static void world_init(struct world *w)
{
        kc_reflector_times = (struct kc_reflector_times){.backoff_min = KC_MSEC,
            .backoff_max = 5 * KC_MSEC,
            .short_watch = KC_SEC,
            .list_silence = 60 * KC_SEC,
            .stream_silence = 60 * KC_SEC,
            .watch_overtime = 30 * KC_SEC,
            .watch_seconds = 300};
        *w = (struct world){0};
        pthread_mutex_init(&w->heard.lock, NULL);
        sem_init(&w->heard.gate, 0, 0);
        sem_init(&w->heard.synced, 0, 0);
        w->api = fake_api_new();
        w->loop = new_loop();
        w->rest = fake_client(w->api, w->loop, NULL, NULL);
        w->informers = kc_informers_new(w->rest);
        w->pods = kc_informers_get(w->informers, &KC_PODS);
        kc_informer_add_handler(w->pods, &handler, &w->heard);
        kc_informer_add_index(w->pods, "namespace", kc_index_by_namespace);
        kc_informer_add_index(w->pods, "node", kc_index_by_node_name);
}

static void world_start(struct world *w)
{
        kc_informers_on_synced(w->informers, on_synced, w);
        kc_informers_start(w->informers);
        loop_up(w->loop);
}

static void world_done(struct world *w)
{
        loop_down(w->loop);
        kc_informers_free(w->informers);
        kc_rest_free(w->rest);
        kc_loop_free(w->loop);
        fake_api_free(w->api);
        kc_strv_free(w->heard.v);
        sem_destroy(&w->heard.gate);
        sem_destroy(&w->heard.synced);
        pthread_mutex_destroy(&w->heard.lock);
}

/* The next thing heard is that. */
static void assert_heard(struct world *w, const char *what)
{
        gate_wait(&w->heard.gate);
        pthread_mutex_lock(&w->heard.lock);
        KC_CLEANUP(kc_freep) char *got = kc_strdup(w->heard.v[w->heard.at++]);
        pthread_mutex_unlock(&w->heard.lock);
        assert_string_equal(got, what);
}

static void assert_request(struct world *w, size_t i, const char *begin, const char *part)
{
        KC_CLEANUP(kc_freep) char *r = fake_request(w->api, i);
        if (!kc_str_has_prefix(r, begin) || !strstr(r, part))
                fail_msg("request %zu is \"%s\", not \"%s...%s\"", i, r, begin, part);
}

static void test_streamed_list_then_watch_in_one_request(void **state)
{
        (void)state;
        struct world w;
        world_init(&w);
        fake_expect(w.api, (struct fake_step){.method = "GET",
                               .match = STREAMED,
                               .kind = FAKE_STREAM,
                               .body = EVENT("ADDED", POD("b", "5")) EVENT("ADDED", POD("a", "7"))});
        world_start(&w);
        assert_request(&w, 0,
            "GET /api/v1/pods?allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan&sendInitialEvents=true&"
            "timeoutSeconds=",
            "&watch=true");
        assert_false(kc_informer_synced(w.pods));
        fake_send(w.api, LIST_END("9"));
        gate_wait(&w.heard.synced);
        assert_true(kc_informer_synced(w.pods));
        assert_heard(&w, "+a@7!");
        assert_heard(&w, "+b@5!");
        /* In pieces that do not end with lines. */
        fake_send(w.api, EVENT("ADDED", POD("c", "10")) "{\"type\":\"MODI");
        assert_heard(&w, "+c@10");
        fake_send(w.api, "FIED\",\"object\":" POD("a", "11") "}\n" EVENT("DELETED", POD("b", "12")) "\n");
        assert_heard(&w, "~a@11");
        assert_heard(&w, "-b@12");
        assert_int_equal(fake_count(w.api), 1);
        assert_int_equal(kc_informer_count(w.pods), 2);
        KC_CLEANUP(kc_object_unrefp) struct kc_object *a = kc_informer_lookup(w.pods, "ns", "a");
        assert_string_equal(kc_object_uid(a), "u-a");
        assert_null(kc_json_at(kc_object_json(a), "metadata.managedFields"));
        assert_null(kc_informer_lookup_key(w.pods, "ns/b"));
        world_done(&w);
}

static void test_pages_when_the_server_refuses_streams(void **state)
{
        (void)state;
        struct world w;
        world_init(&w);
        fake_expect(w.api, (struct fake_step)NO_STREAMS);
        fake_expect(w.api, (struct fake_step){.method = "GET",
                               .match = "limit=500&resourceVersion=0",
                               .body = LIST("20", "tok/1",
                                   "{\"metadata\":{\"name\":\"a\",\"namespace\":\"ns\",\"resourceVersion\":\"3\"}}")});
        fake_expect(
            w.api, (struct fake_step){
                       .method = "GET", .match = "continue=tok%2F1&limit=500", .body = LIST("20", "", POD("b", "4"))});
        fake_expect(
            w.api, (struct fake_step){.method = "GET", .match = "watch=true", .kind = FAKE_STREAM, .body = NULL});
        world_start(&w);
        gate_wait(&w.heard.synced);
        assert_heard(&w, "+a@3!");
        assert_heard(&w, "+b@4!");
        assert_request(
            &w, 3, "GET /api/v1/pods?allowWatchBookmarks=true&resourceVersion=20&timeoutSeconds=", "&watch=true");
        /* Items of lists lack kind and apiVersion; objects of the cache do not. */
        KC_CLEANUP(kc_object_unrefp) struct kc_object *a = kc_informer_lookup_key(w.pods, "ns/a");
        assert_string_equal(kc_json_str(kc_object_json(a), "kind"), "Pod");
        assert_string_equal(kc_json_str(kc_object_json(a), "apiVersion"), "v1");
        world_done(&w);
}

static void test_an_expired_page_token_fetches_the_whole_list(void **state)
{
        (void)state;
        struct world w;
        world_init(&w);
        fake_expect(w.api, (struct fake_step)NO_STREAMS);
        fake_expect(
            w.api, (struct fake_step){.method = "GET", .match = "limit=500", .body = LIST("20", "t", POD("a", "3"))});
        fake_expect(w.api,
            (struct fake_step){
                .method = "GET", .match = "continue=t", .code = 410, .body = STATUS("410", "Expired", "too old")});
        fake_expect(
            w.api, (struct fake_step){
                       .method = "GET", .match = "/pods?resourceVersion=", .body = LIST("30", "", POD("b", "25"))});
        world_start(&w);
        gate_wait(&w.heard.synced);
        assert_heard(&w, "+b@25!");
        assert_int_equal(kc_informer_count(w.pods), 1);
        world_done(&w);
}

static void test_a_broken_watch_resumes_from_the_last_version(void **state)
{
        (void)state;
        struct world w;
        world_init(&w);
        fake_expect(w.api, (struct fake_step){.method = "GET",
                               .match = STREAMED,
                               .kind = FAKE_STREAM,
                               .body = EVENT("ADDED", POD("a", "5")) LIST_END("9")});
        fake_expect(w.api, (struct fake_step){.method = "GET", .match = "resourceVersion=9&", .kind = FAKE_STREAM});
        fake_expect(w.api, (struct fake_step){.method = "GET", .match = "resourceVersion=42&", .kind = FAKE_STREAM});
        fake_expect(w.api, (struct fake_step){.method = "GET", .match = "resourceVersion=43&", .kind = FAKE_STREAM});
        world_start(&w);
        gate_wait(&w.heard.synced);
        assert_heard(&w, "+a@5!");
        fake_break(w.api);
        assert_request(&w, 1, "GET /api/v1/pods?", "resourceVersion=9&");
        fake_send(w.api, BOOKMARK("42"));
        fake_finish(w.api); /* in good order, as at the end of timeoutSeconds */
        assert_request(&w, 2, "GET /api/v1/pods?", "resourceVersion=42&");
        fake_send(w.api, EVENT("MODIFIED", POD("a", "43")));
        assert_heard(&w, "~a@43");
        fake_break(w.api);
        assert_request(&w, 3, "GET /api/v1/pods?", "resourceVersion=43&");
        world_done(&w);
}

/* 410 both ways: as an event of the stream and as the answer to the watch. */
static void test_gone_lists_again_and_finds_what_was_missed(void **state)
{
        (void)state;
        struct world w;
        world_init(&w);
        fake_expect(w.api, (struct fake_step){.method = "GET",
                               .match = STREAMED,
                               .kind = FAKE_STREAM,
                               .body = EVENT("ADDED", POD("a", "1")) EVENT("ADDED", POD("b", "2"))
                                   EVENT("ADDED", POD("c", "3")) LIST_END("9")});
        fake_expect(w.api, (struct fake_step){.method = "GET",
                               .match = STREAMED,
                               .kind = FAKE_STREAM,
                               .body = EVENT("ADDED", POD("a", "1")) EVENT("ADDED", POD("c", "33"))
                                   EVENT("ADDED", POD("d", "34")) LIST_END("40")});
        fake_expect(w.api, (struct fake_step){.method = "GET",
                               .match = "resourceVersion=40&",
                               .code = 410,
                               .body = STATUS("410", "Expired", "too old resource version")});
        fake_expect(
            w.api, (struct fake_step){.method = "GET", .match = STREAMED, .kind = FAKE_STREAM, .body = LIST_END("50")});
        world_start(&w);
        gate_wait(&w.heard.synced);
        assert_heard(&w, "+a@1!");
        assert_heard(&w, "+b@2!");
        assert_heard(&w, "+c@3!");
        fake_send(w.api, EVENT("ERROR", STATUS("410", "Expired", "too old resource version: 9 (20)")));
        assert_heard(&w, "~c@33");
        assert_heard(&w, "+d@34");
        assert_heard(&w, "-b@2");
        assert_int_equal(kc_informer_count(w.pods), 3);
        fake_finish(w.api);
        assert_heard(&w, "-a@1");
        assert_heard(&w, "-c@33");
        assert_heard(&w, "-d@34");
        assert_int_equal(kc_informer_count(w.pods), 0);
        assert_int_equal(fake_count(w.api), 4);
        world_done(&w);
}

static void test_a_server_that_is_away_is_tried_again(void **state)
{
        (void)state;
        struct world w;
        world_init(&w);
        fake_expect(w.api, (struct fake_step){.method = "GET", .match = STREAMED, .kind = FAKE_ABORT});
        fake_expect(w.api, (struct fake_step){.method = "GET",
                               .match = STREAMED,
                               .code = 503,
                               .body = STATUS("503", "ServiceUnavailable", "starting")});
        fake_expect(w.api, (struct fake_step){.method = "GET",
                               .match = STREAMED,
                               .code = 403,
                               .body = STATUS("403", "Forbidden", "pods is forbidden")});
        fake_expect(w.api, (struct fake_step){.method = "GET",
                               .match = STREAMED,
                               .kind = FAKE_STREAM,
                               .body = EVENT("ADDED", POD("a", "5")) LIST_END("9")});
        world_start(&w);
        gate_wait(&w.heard.synced);
        assert_heard(&w, "+a@5!");
        assert_int_equal(fake_count(w.api), 4);
        world_done(&w);
}

/* A stream that ends before its list does is no list. */
static void test_half_a_streamed_list_is_not_taken(void **state)
{
        (void)state;
        struct world w;
        world_init(&w);
        fake_expect(
            w.api, (struct fake_step){
                       .method = "GET", .match = STREAMED, .kind = FAKE_STREAM, .body = EVENT("ADDED", POD("a", "5"))});
        fake_expect(
            w.api, (struct fake_step){.method = "GET", .match = "limit=500", .body = LIST("20", "", POD("b", "6"))});
        world_start(&w);
        assert_request(&w, 0, "GET ", STREAMED);
        fake_finish(w.api);
        gate_wait(&w.heard.synced);
        assert_heard(&w, "+b@6!");
        assert_int_equal(kc_informer_count(w.pods), 1);
        world_done(&w);
}

/* An old server takes sendInitialEvents for nothing and sends a plain watch. */
static void test_a_server_that_ignores_streams(void **state)
{
        (void)state;
        struct world w;
        world_init(&w);
        kc_reflector_times.stream_silence = 20 * KC_MSEC;
        fake_expect(
            w.api, (struct fake_step){
                       .method = "GET", .match = STREAMED, .kind = FAKE_STREAM, .body = EVENT("ADDED", POD("a", "5"))});
        fake_expect(
            w.api, (struct fake_step){.method = "GET", .match = "limit=500", .body = LIST("20", "", POD("a", "5"))});
        world_start(&w);
        gate_wait(&w.heard.synced);
        assert_heard(&w, "+a@5!");
        world_done(&w);
}

static void test_nonsense_in_a_stream_ends_it(void **state)
{
        (void)state;
        static const char *const nonsense[] = {
            "{]\n", "{\"type\":\"WHAT\",\"object\":{}}\n", "{}\n", "null\n", "[1]\n"};
        for (size_t i = 0; i < KC_ARRAY_LEN(nonsense); i++) {
                struct world w;
                world_init(&w);
                fake_expect(w.api, (struct fake_step){.method = "GET",
                                       .match = STREAMED,
                                       .kind = FAKE_STREAM,
                                       .body = EVENT("ADDED", POD("a", "5")) LIST_END("9")});
                fake_expect(
                    w.api, (struct fake_step){.method = "GET", .match = "resourceVersion=9&", .kind = FAKE_STREAM});
                world_start(&w);
                gate_wait(&w.heard.synced);
                fake_send(w.api, nonsense[i]);
                assert_request(&w, 1, "GET ", "resourceVersion=9&");
                fake_send(w.api, EVENT("DELETED", POD("a", "6")));
                assert_heard(&w, "+a@5!");
                assert_heard(&w, "-a@6");
                world_done(&w);
        }
}

static void test_a_filtered_informer_asks_with_its_selectors(void **state)
{
        (void)state;
        struct world w;
        world_init(&w);
        fake_expect(w.api, (struct fake_step){.method = "GET",
                               .match = "/api/v1/namespaces/kube-system/pods?allow",
                               .kind = FAKE_STREAM,
                               .body = LIST_END("9")});
        fake_expect(
            w.api, (struct fake_step){.method = "GET", .match = STREAMED, .kind = FAKE_STREAM, .body = LIST_END("9")});
        struct kc_informer *mine =
            kc_informers_get_filtered(w.informers, &KC_PODS, "kube-system", "app in (a,b)", "spec.nodeName=n1");
        assert_ptr_not_equal(mine, w.pods);
        assert_ptr_equal(kc_informers_get(w.informers, &KC_PODS), w.pods);
        world_start(&w);
        gate_wait(&w.heard.synced);
        KC_CLEANUP(kc_freep) char *one = fake_request(w.api, 0);
        KC_CLEANUP(kc_freep) char *two = fake_request(w.api, 1);
        const char *filtered = strstr(one, "kube-system") ? one : two;
        assert_non_null(strstr(filtered, "&labelSelector=app%20in%20%28a%2Cb%29&fieldSelector=spec.nodeName%3Dn1"));
        world_done(&w);
}

struct late {
        struct world *w;
        struct heard heard;
};

static void add_late(void *arg)
{
        struct late *l = arg;
        kc_informer_add_handler(l->w->pods, &handler, &l->heard);
}

static void test_a_late_handler_hears_of_what_is_there(void **state)
{
        (void)state;
        struct world w;
        world_init(&w);
        fake_expect(w.api, (struct fake_step){.method = "GET",
                               .match = STREAMED,
                               .kind = FAKE_STREAM,
                               .body = EVENT("ADDED", POD("a", "5")) LIST_END("9")});
        world_start(&w);
        gate_wait(&w.heard.synced);
        struct late l = {.w = &w};
        pthread_mutex_init(&l.heard.lock, NULL);
        sem_init(&l.heard.gate, 0, 0);
        kc_loop_call(w.loop, add_late, &l);
        assert_int_equal(kc_strv_len(l.heard.v), 1);
        assert_string_equal(l.heard.v[0], "+a@5!");
        world_done(&w);
        kc_strv_free(l.heard.v);
        sem_destroy(&l.heard.gate);
        pthread_mutex_destroy(&l.heard.lock);
}

/* An idle set of informers has no timer that fires: the process gets no CPU time at all while nothing happens. */
static void test_idle_is_idle(void **state)
{
        (void)state;
        struct world w;
        world_init(&w);
        for (const struct kc_gvr *const *g = (const struct kc_gvr *const[]){&KC_NODES, &KC_SERVICES, &KC_SECRETS, NULL};
             *g; g++)
                (void)kc_informers_get(w.informers, *g);
        for (int i = 0; i < 4; i++)
                fake_expect(w.api,
                    (struct fake_step){.method = "GET", .match = STREAMED, .kind = FAKE_STREAM, .body = LIST_END("9")});
        world_start(&w);
        gate_wait(&w.heard.synced);
        /* Everything that goes on after the lists, such as the HTTP client's own timers, must end. */
        struct timespec moment = {.tv_nsec = 300 * 1000 * 1000}, before, after;
        clockid_t clock;
        assert_int_equal(pthread_getcpuclockid(pthread_self(), &clock), 0);
        clock_nanosleep(CLOCK_MONOTONIC, 0, &moment, NULL);
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
        moment = (struct timespec){.tv_sec = 1};
        clock_nanosleep(CLOCK_MONOTONIC, 0, &moment, NULL);
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
        int64_t used = (after.tv_sec - before.tv_sec) * 1000000 + (after.tv_nsec - before.tv_nsec) / 1000;
        print_message("CPU time in an idle second: %d us\n", (int)used);
        assert_true(used < 1000);
        world_done(&w);
}

static void test_freed_in_the_middle(void **state)
{
        (void)state;
        /* While a list streams; before anything started; while waiting for another try. */
        struct world w;
        world_init(&w);
        fake_expect(
            w.api, (struct fake_step){
                       .method = "GET", .match = STREAMED, .kind = FAKE_STREAM, .body = EVENT("ADDED", POD("a", "5"))});
        world_start(&w);
        assert_request(&w, 0, "GET ", STREAMED);
        world_done(&w);

        world_init(&w);
        loop_up(w.loop);
        world_done(&w);

        world_init(&w);
        kc_reflector_times.backoff_min = kc_reflector_times.backoff_max = 3600 * KC_SEC;
        fake_expect(w.api, (struct fake_step){.method = "GET", .match = STREAMED, .kind = FAKE_ABORT});
        world_start(&w);
        assert_request(&w, 0, "GET ", STREAMED);
        world_done(&w);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_streamed_list_then_watch_in_one_request),
            cmocka_unit_test(test_pages_when_the_server_refuses_streams),
            cmocka_unit_test(test_an_expired_page_token_fetches_the_whole_list),
            cmocka_unit_test(test_a_broken_watch_resumes_from_the_last_version),
            cmocka_unit_test(test_gone_lists_again_and_finds_what_was_missed),
            cmocka_unit_test(test_a_server_that_is_away_is_tried_again),
            cmocka_unit_test(test_half_a_streamed_list_is_not_taken),
            cmocka_unit_test(test_a_server_that_ignores_streams),
            cmocka_unit_test(test_nonsense_in_a_stream_ends_it),
            cmocka_unit_test(test_a_filtered_informer_asks_with_its_selectors),
            cmocka_unit_test(test_a_late_handler_hears_of_what_is_there),
            cmocka_unit_test(test_idle_is_idle),
            cmocka_unit_test(test_freed_in_the_middle),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
