/* CrashLoopBackOff arithmetic on a fake clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs the headers above first. */
#include <cmocka.h>

#include "kubelet/runtime/backoff.h"
#include "kubelet/runtime/resources.h"

static void test_doubles_to_max(void **state)
{
        (void)state;
        struct kc_fake_clock clock;
        kc_fake_clock_init(&clock, 1000 * KC_SEC);
        KC_CLEANUP(kc_backoff_freep) struct kc_backoff *b = kc_backoff_new(10 * KC_SEC, 300 * KC_SEC, &clock.clock);
        assert_int_equal(kc_backoff_remaining(b, "k", clock.time), 0);
        static const int64_t want[] = {10, 20, 40, 80, 160, 300, 300};
        for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
                kc_backoff_next(b, "k", clock.time);
                assert_int_equal(kc_backoff_get(b, "k"), want[i] * KC_SEC);
                assert_int_equal(kc_backoff_remaining(b, "k", clock.time), want[i] * KC_SEC);
                kc_fake_clock_advance(&clock, 4 * KC_SEC);
                assert_int_equal(kc_backoff_remaining(b, "k", clock.time - 4 * KC_SEC), (want[i] - 4) * KC_SEC);
                kc_fake_clock_advance(&clock, want[i] * KC_SEC);
        }
}

static void test_starts_over_after_a_long_run(void **state)
{
        (void)state;
        struct kc_fake_clock clock;
        kc_fake_clock_init(&clock, 1000 * KC_SEC);
        KC_CLEANUP(kc_backoff_freep) struct kc_backoff *b = kc_backoff_new(10 * KC_SEC, 300 * KC_SEC, &clock.clock);
        kc_backoff_next(b, "k", clock.time);
        kc_backoff_next(b, "k", clock.time);
        assert_int_equal(kc_backoff_get(b, "k"), 20 * KC_SEC);
        kc_fake_clock_advance(&clock, 601 * KC_SEC);
        assert_int_equal(kc_backoff_remaining(b, "k", clock.time), 0);
        kc_backoff_next(b, "k", clock.time);
        assert_int_equal(kc_backoff_get(b, "k"), 10 * KC_SEC);
}

static void test_garbage(void **state)
{
        (void)state;
        struct kc_fake_clock clock;
        kc_fake_clock_init(&clock, 1000 * KC_SEC);
        KC_CLEANUP(kc_backoff_freep) struct kc_backoff *b = kc_backoff_new(10 * KC_SEC, 300 * KC_SEC, &clock.clock);
        kc_backoff_next(b, "old", clock.time);
        kc_fake_clock_advance(&clock, 601 * KC_SEC);
        kc_backoff_next(b, "new", clock.time);
        kc_backoff_gc(b);
        assert_int_equal(kc_backoff_get(b, "old"), 0);
        assert_int_equal(kc_backoff_get(b, "new"), 10 * KC_SEC);
        kc_backoff_reset(b, "new");
        assert_int_equal(kc_backoff_get(b, "new"), 0);
}

static void test_cpu(void **state)
{
        (void)state;
        assert_int_equal(kc_cpu_shares(0), 2);
        assert_int_equal(kc_cpu_shares(1), 2);
        assert_int_equal(kc_cpu_shares(100), 102);
        assert_int_equal(kc_cpu_shares(1000), 1024);
        assert_int_equal(kc_cpu_shares(1000000), 262144);
        assert_int_equal(kc_cpu_quota(0, 100000), 0);
        assert_int_equal(kc_cpu_quota(500, 100000), 50000);
        assert_int_equal(kc_cpu_quota(5, 100000), 1000);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_doubles_to_max),
            cmocka_unit_test(test_starts_over_after_a_long_run),
            cmocka_unit_test(test_garbage),
            cmocka_unit_test(test_cpu),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
