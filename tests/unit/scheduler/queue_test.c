/* The scheduling queue with a fake clock: order, back-off, events. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "scheduler/queue.h"

static struct kc_pod_info *pod(const char *name, int priority)
{
        struct kc_object *o = kc_object_new(
            kc_json_build("{'metadata':{'name':%s,'namespace':'d','uid':%s},'spec':{'priority':%d,'containers':[]}}",
                name, name, priority));
        struct kc_pod_info *p = kc_pod_info_new(o);
        kc_object_unref(o);
        return p;
}

static void assert_pops(struct kc_sched_queue *q, const char *key)
{
        struct kc_queued_pod *p = kc_sched_queue_pop(q);
        assert_non_null(p);
        assert_string_equal(p->info->key, key);
        kc_sched_queue_done(q, p);
}

static void test_priority_then_age(void **state)
{
        struct kc_fake_clock clock;
        (void)state;
        kc_fake_clock_init(&clock, 0);
        KC_CLEANUP(kc_sched_queue_freep) struct kc_sched_queue *q = kc_sched_queue_new(&clock.clock);
        kc_sched_queue_set(q, pod("first", 0));
        kc_fake_clock_advance(&clock, 1);
        kc_sched_queue_set(q, pod("second", 0));
        kc_fake_clock_advance(&clock, 1);
        kc_sched_queue_set(q, pod("urgent", 1000));
        assert_pops(q, "d/urgent");
        assert_pops(q, "d/first");
        assert_pops(q, "d/second");
        assert_null(kc_sched_queue_pop(q));
}

static void test_unschedulable_waits_for_its_event(void **state)
{
        struct kc_fake_clock clock;
        (void)state;
        kc_fake_clock_init(&clock, 0);
        KC_CLEANUP(kc_sched_queue_freep) struct kc_sched_queue *q = kc_sched_queue_new(&clock.clock);
        kc_sched_queue_set(q, pod("a", 0));
        kc_sched_queue_requeue(q, kc_sched_queue_pop(q), KC_EVENT_NODE_ADD, false);
        kc_sched_queue_wake(q, KC_EVENT_POD_GONE);
        kc_fake_clock_advance(&clock, 20 * KC_SEC);
        (void)kc_sched_queue_tick(q);
        assert_null(kc_sched_queue_pop(q));
        kc_sched_queue_wake(q, KC_EVENT_NODE_ADD);
        assert_pops(q, "d/a");
}

static void test_backoff_doubles(void **state)
{
        struct kc_fake_clock clock;
        static const int seconds[] = {1, 2, 4, 8, 10, 10};
        (void)state;
        kc_fake_clock_init(&clock, 0);
        KC_CLEANUP(kc_sched_queue_freep) struct kc_sched_queue *q = kc_sched_queue_new(&clock.clock);
        kc_sched_queue_set(q, pod("a", 0));
        for (size_t i = 0; i < KC_ARRAY_LEN(seconds); i++) {
                struct kc_queued_pod *p = kc_sched_queue_pop(q);
                assert_non_null(p);
                kc_sched_queue_requeue(q, p, KC_EVENT_ALL, true);
                kc_fake_clock_advance(&clock, seconds[i] * KC_SEC - 1);
                (void)kc_sched_queue_tick(q);
                assert_null(kc_sched_queue_pop(q));
                kc_fake_clock_advance(&clock, 1);
                (void)kc_sched_queue_tick(q);
        }
        assert_pops(q, "d/a");
}

static void test_left_over_after_five_minutes(void **state)
{
        struct kc_fake_clock clock;
        (void)state;
        kc_fake_clock_init(&clock, 0);
        KC_CLEANUP(kc_sched_queue_freep) struct kc_sched_queue *q = kc_sched_queue_new(&clock.clock);
        kc_sched_queue_set(q, pod("a", 0));
        kc_sched_queue_requeue(q, kc_sched_queue_pop(q), KC_EVENT_NODE_ADD, false);
        kc_fake_clock_advance(&clock, 299 * KC_SEC);
        assert_true(kc_sched_queue_tick(q) > 0);
        assert_null(kc_sched_queue_pop(q));
        kc_fake_clock_advance(&clock, KC_SEC);
        assert_int_equal(kc_sched_queue_tick(q), 0);
        assert_pops(q, "d/a");
}

static void test_event_while_in_flight_is_not_lost(void **state)
{
        struct kc_fake_clock clock;
        (void)state;
        kc_fake_clock_init(&clock, 0);
        KC_CLEANUP(kc_sched_queue_freep) struct kc_sched_queue *q = kc_sched_queue_new(&clock.clock);
        kc_sched_queue_set(q, pod("a", 0));
        struct kc_queued_pod *p = kc_sched_queue_pop(q);
        kc_sched_queue_wake(q, KC_EVENT_NODE_ADD);
        kc_sched_queue_requeue(q, p, KC_EVENT_NODE_ADD, false);
        kc_fake_clock_advance(&clock, KC_SEC);
        (void)kc_sched_queue_tick(q);
        assert_pops(q, "d/a");
}

static void test_deleted_pod_is_gone_wherever_it_is(void **state)
{
        struct kc_fake_clock clock;
        (void)state;
        kc_fake_clock_init(&clock, 0);
        KC_CLEANUP(kc_sched_queue_freep) struct kc_sched_queue *q = kc_sched_queue_new(&clock.clock);
        kc_sched_queue_set(q, pod("a", 0));
        kc_sched_queue_set(q, pod("b", 0));
        kc_sched_queue_remove(q, "d/a");
        assert_pops(q, "d/b");
        kc_sched_queue_set(q, pod("c", 0));
        kc_sched_queue_requeue(q, kc_sched_queue_pop(q), KC_EVENT_ALL, false);
        kc_sched_queue_remove(q, "d/c");
        kc_sched_queue_wake(q, KC_EVENT_ALL);
        assert_null(kc_sched_queue_pop(q));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_priority_then_age),
            cmocka_unit_test(test_unschedulable_waits_for_its_event),
            cmocka_unit_test(test_backoff_doubles),
            cmocka_unit_test(test_left_over_after_five_minutes),
            cmocka_unit_test(test_event_while_in_flight_is_not_lost),
            cmocka_unit_test(test_deleted_pod_is_gone_wherever_it_is),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
