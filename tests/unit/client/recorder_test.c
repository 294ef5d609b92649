/* The event recorder: what is sent, when it is sent again, what is dropped. */
#include "client/recorder.h"
#include "fake_api.h"

#define EVENTS "/api/v1/namespaces/ns/events"
#define STATUS(code, reason)                                                                                           \
        "{\"kind\":\"Status\",\"status\":\"Failure\",\"message\":\"x\",\"reason\":\"" reason "\",\"code\":" code "}"

struct world {
        struct fake_api *api;
        struct kc_loop *loop;
        struct kc_rest *rest;
        struct kc_pool *pool;
        struct kc_recorder *recorder;
        struct json_object *pod;
};

static void world_init(struct world *w)
{
        *w = (struct world){0};
        w->api = fake_api_new();
        w->loop = new_loop();
        w->rest = fake_client(w->api, w->loop, NULL, NULL);
        w->pool = kc_pool_new("work", 2, 10);
        w->recorder = kc_recorder_new(w->rest, w->pool, "kubelet", "node1");
        w->pod = kc_json_build("{'metadata':{'name':'web','namespace':'ns','uid':'u1','resourceVersion':'7'}}");
        loop_up(w->loop);
}

static void world_done(struct world *w)
{
        loop_down(w->loop);
        kc_rest_close(w->rest);
        kc_pool_free(w->pool);
        kc_recorder_free(w->recorder);
        kc_rest_free(w->rest);
        kc_loop_free(w->loop);
        fake_api_free(w->api);
        kc_json_free(w->pod);
}

static struct json_object *sent(struct world *w, size_t i, const char *request)
{
        KC_CLEANUP(kc_freep) char *got = fake_request(w->api, i);
        if (!kc_str_has_prefix(got, request))
                fail_msg("request %zu is %s", i, got);
        KC_CLEANUP(kc_freep) char *body = fake_body(w->api, i);
        struct json_object *event = NULL;
        assert_int_equal(kc_json_parse(body, strlen(body), NULL, &event, NULL), 0);
        return event;
}

static void test_an_event(void **state)
{
        (void)state;
        struct world w;
        world_init(&w);
        fake_expect(w.api, (struct fake_step){.method = "POST", .match = EVENTS, .code = 201, .body = "{}"});
        kc_recorder_event_at(
            w.recorder, &KC_PODS, w.pod, "spec.containers{web}", "Normal", "Started", "Started container %s", "web");
        KC_CLEANUP(kc_json_freep) struct json_object *e = sent(&w, 0, "POST " EVENTS);
        assert_true(kc_str_has_prefix(kc_json_str_at(e, "metadata.name"), "web."));
        assert_int_equal(strlen(kc_json_str_at(e, "metadata.name")), strlen("web.") + 16);
        assert_string_equal(kc_json_str_at(e, "metadata.namespace"), "ns");
        KC_CLEANUP(kc_freep) char *involved = kc_json_to_str(kc_json_get(e, "involvedObject"));
        assert_string_equal(involved,
            "{\"kind\":\"Pod\",\"namespace\":\"ns\",\"name\":\"web\",\"uid\":\"u1\",\"apiVersion\":"
            "\"v1\",\"resourceVersion\":\"7\",\"fieldPath\":\"spec.containers{web}\"}");
        assert_string_equal(kc_json_str(e, "reason"), "Started");
        assert_string_equal(kc_json_str(e, "message"), "Started container web");
        assert_string_equal(kc_json_str(e, "type"), "Normal");
        assert_string_equal(kc_json_str_at(e, "source.component"), "kubelet");
        assert_string_equal(kc_json_str_at(e, "source.host"), "node1");
        assert_string_equal(kc_json_str(e, "reportingComponent"), "kubelet");
        assert_string_equal(kc_json_str(e, "reportingInstance"), "node1");
        assert_int_equal(kc_json_int(e, "count", 0), 1);
        assert_string_equal(kc_json_str(e, "firstTimestamp"), kc_json_str(e, "lastTimestamp"));
        assert_int_equal(strlen(kc_json_str(e, "firstTimestamp")), strlen("2026-11-21T10:00:00Z"));
        world_done(&w);
}

static void test_a_cluster_scoped_object_goes_to_default(void **state)
{
        (void)state;
        struct world w;
        world_init(&w);
        KC_CLEANUP(kc_json_freep) struct json_object *node = kc_json_build("{'metadata':{'name':'node1'}}");
        kc_recorder_event(w.recorder, &KC_NODES, node, "Normal", "Starting", "Starting kubelet.");
        KC_CLEANUP(kc_json_freep) struct json_object *e = sent(&w, 0, "POST /api/v1/namespaces/default/events");
        assert_string_equal(kc_json_str_at(e, "metadata.namespace"), "default");
        KC_CLEANUP(kc_freep) char *involved = kc_json_to_str(kc_json_get(e, "involvedObject"));
        assert_string_equal(involved, "{\"kind\":\"Node\",\"name\":\"node1\",\"apiVersion\":\"v1\"}");
        world_done(&w);
}

/* The second time is a patch; when the event has expired meanwhile it is made anew, with its count. */
static void test_the_same_again(void **state)
{
        (void)state;
        struct world w;
        world_init(&w);
        fake_expect(w.api, (struct fake_step){.method = "POST", .match = EVENTS, .code = 201, .body = "{}"});
        fake_expect(w.api, (struct fake_step){.method = "PATCH", .match = EVENTS "/web.", .body = "{}"});
        fake_expect(
            w.api, (struct fake_step){
                       .method = "PATCH", .match = EVENTS "/web.", .code = 404, .body = STATUS("404", "NotFound")});
        fake_expect(w.api, (struct fake_step){.method = "POST", .match = EVENTS, .code = 201, .body = "{}"});
        for (int i = 0; i < 3; i++)
                kc_recorder_event(w.recorder, &KC_PODS, w.pod, "Warning", "BackOff", "Back-off restarting");
        KC_CLEANUP(kc_json_freep) struct json_object *first = sent(&w, 0, "POST " EVENTS);
        KC_CLEANUP(kc_json_freep) struct json_object *patch = sent(&w, 1, "PATCH " EVENTS "/web.");
        assert_int_equal(kc_json_int(patch, "count", 0), 2);
        KC_CLEANUP(kc_json_freep) struct json_object *again = sent(&w, 3, "POST " EVENTS);
        assert_string_equal(kc_json_str_at(again, "metadata.name"), kc_json_str_at(first, "metadata.name"));
        assert_int_equal(kc_json_int(again, "count", 0), 3);
        world_done(&w);
}

static void test_a_refused_event_does_not_hold_up_the_next(void **state)
{
        (void)state;
        struct world w;
        world_init(&w);
        fake_expect(w.api,
            (struct fake_step){.method = "POST", .match = EVENTS, .code = 403, .body = STATUS("403", "Forbidden")});
        fake_expect(w.api, (struct fake_step){.method = "POST", .match = EVENTS, .code = 201, .body = "{}"});
        kc_recorder_event(w.recorder, &KC_PODS, w.pod, "Normal", "One", "one");
        kc_recorder_event(w.recorder, &KC_PODS, w.pod, "Normal", "Two", "two");
        KC_CLEANUP(kc_json_freep) struct json_object *two = sent(&w, 1, "POST " EVENTS);
        assert_string_equal(kc_json_str(two, "reason"), "Two");
        world_done(&w);
}

/* Nobody answers: the recorder takes a thousand events, and drops the rest; nothing blocks, nothing leaks. */
static void test_a_full_queue_drops(void **state)
{
        (void)state;
        struct world w;
        world_init(&w);
        for (int i = 0; i < 1500; i++)
                kc_recorder_event(w.recorder, &KC_PODS, w.pod, "Normal", "Many", "number %d", i);
        kc_free(fake_request(w.api, 0));
        world_done(&w);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_an_event),
            cmocka_unit_test(test_a_cluster_scoped_object_goes_to_default),
            cmocka_unit_test(test_the_same_again),
            cmocka_unit_test(test_a_refused_event_does_not_hold_up_the_next),
            cmocka_unit_test(test_a_full_queue_drops),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
