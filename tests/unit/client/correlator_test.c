/* What becomes of events before they are sent. */
#include "client/correlator.h"
#include "client_test_util.h"
#include "json/json.h"

static int serial;

/* The event of a pod, named anew each time as the recorder does. */
static struct json_object *event(const char *pod, const char *message)
{
        KC_CLEANUP(kc_freep) char *name = kc_asprintf("%s.%d", pod, ++serial);
        return kc_json_build(
            "{'metadata':{'name':%s},'involvedObject':{'kind':'Pod','name':%s,'namespace':'default'},"
            "'reason':'BackOff','message':%s,'type':'Warning','source':{'component':'kubelet'},"
            "'firstTimestamp':'2026-11-21T10:00:00Z','lastTimestamp':'2026-11-21T10:00:00Z','count':1}",
            name, pod, message);
}

struct outcome {
        bool sent;
        struct json_object *event, *patch;
};

static void outcome_done(struct outcome *o)
{
        kc_json_free(o->event);
        kc_json_free(o->patch);
}

static struct outcome observe(struct kc_correlator *c, struct json_object *take_event, int64_t second)
{
        struct outcome o = {.event = take_event};
        o.sent = kc_correlator_observe(c, o.event, second * KC_SEC, second * KC_SEC, &o.patch);
        return o;
}

static void test_the_same_again_is_counted_by_a_patch(void **state)
{
        (void)state;
        serial = 0;
        KC_CLEANUP(kc_correlator_freep) struct kc_correlator *c = kc_correlator_new();
        KC_CLEANUP(outcome_done) struct outcome first = observe(c, event("web", "restarting"), 0);
        assert_true(first.sent);
        assert_null(first.patch);
        KC_CLEANUP(outcome_done) struct outcome second = observe(c, event("web", "restarting"), 1);
        assert_true(second.sent);
        KC_CLEANUP(kc_freep) char *patch = kc_json_to_str(second.patch);
        assert_string_equal(
            patch, "{\"count\":2,\"lastTimestamp\":\"2026-11-21T10:00:00Z\",\"message\":\"restarting\"}");
        assert_string_equal(kc_json_str_at(second.event, "metadata.name"), "web.1");
        assert_int_equal(kc_json_int(second.event, "count", 0), 2);
        KC_CLEANUP(outcome_done) struct outcome other = observe(c, event("db", "restarting"), 2);
        assert_null(other.patch);
}

static void test_similar_ones_are_combined(void **state)
{
        (void)state;
        serial = 0;
        KC_CLEANUP(kc_correlator_freep) struct kc_correlator *c = kc_correlator_new();
        for (int i = 1; i <= 9; i++) {
                KC_CLEANUP(kc_freep) char *message = kc_asprintf("message %d", i);
                KC_CLEANUP(outcome_done) struct outcome o = observe(c, event("web", message), i);
                assert_true(o.sent);
                assert_null(o.patch);
                assert_string_equal(kc_json_str(o.event, "message"), message);
        }
        KC_CLEANUP(outcome_done) struct outcome tenth = observe(c, event("web", "message 10"), 10);
        assert_null(tenth.patch);
        assert_string_equal(kc_json_str(tenth.event, "message"), "(combined from similar events): message 10");
        KC_CLEANUP(outcome_done) struct outcome next = observe(c, event("web", "message 11"), 11);
        assert_string_equal(kc_json_str_at(next.event, "metadata.name"), "web.10");
        assert_string_equal(kc_json_str(next.patch, "message"), "(combined from similar events): message 11");
        assert_int_equal(kc_json_int(next.patch, "count", 0), 2);
}

static void test_similar_ones_long_apart_are_not_combined(void **state)
{
        (void)state;
        KC_CLEANUP(kc_correlator_freep) struct kc_correlator *c = kc_correlator_new();
        for (int i = 1; i <= 20; i++) {
                KC_CLEANUP(kc_freep) char *message = kc_asprintf("message %d", i);
                KC_CLEANUP(outcome_done) struct outcome o = observe(c, event("web", message), i * 601);
                assert_true(o.sent);
                assert_string_equal(kc_json_str(o.event, "message"), message);
        }
}

static void test_spam_is_dropped_by_object(void **state)
{
        (void)state;
        KC_CLEANUP(kc_correlator_freep) struct kc_correlator *c = kc_correlator_new();
        for (int i = 0; i < 25; i++) {
                KC_CLEANUP(outcome_done) struct outcome o = observe(c, event("web", "again"), 0);
                assert_true(o.sent);
        }
        KC_CLEANUP(outcome_done) struct outcome dropped = observe(c, event("web", "again"), 0);
        assert_false(dropped.sent);
        KC_CLEANUP(outcome_done) struct outcome other = observe(c, event("db", "again"), 0);
        assert_true(other.sent);
        KC_CLEANUP(outcome_done) struct outcome early = observe(c, event("web", "again"), 299);
        assert_false(early.sent);
        KC_CLEANUP(outcome_done) struct outcome later = observe(c, event("web", "again"), 301);
        assert_true(later.sent);
        /* Those that were dropped are in the count. */
        assert_int_equal(kc_json_int(later.patch, "count", 0), 28);
}

static void test_it_forgets_the_oldest(void **state)
{
        (void)state;
        KC_CLEANUP(kc_correlator_freep) struct kc_correlator *c = kc_correlator_new();
        for (int i = 0; i < 5000; i++) {
                KC_CLEANUP(kc_freep) char *pod = kc_asprintf("pod-%d", i);
                KC_CLEANUP(outcome_done) struct outcome o = observe(c, event(pod, "hello"), 0);
                assert_true(o.sent);
        }
        KC_CLEANUP(outcome_done) struct outcome forgotten = observe(c, event("pod-0", "hello"), 0);
        assert_null(forgotten.patch);
        KC_CLEANUP(outcome_done) struct outcome known = observe(c, event("pod-4999", "hello"), 0);
        assert_non_null(known.patch);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_the_same_again_is_counted_by_a_patch),
            cmocka_unit_test(test_similar_ones_are_combined),
            cmocka_unit_test(test_similar_ones_long_apart_are_not_combined),
            cmocka_unit_test(test_spam_is_dropped_by_object),
            cmocka_unit_test(test_it_forgets_the_oldest),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
