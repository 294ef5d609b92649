/* Clocks, times and durations. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/macros.h"

static void test_clocks(void **state)
{
        (void)state;
        struct kc_fake_clock f;
        kc_fake_clock_init(&f, 100 * KC_SEC);
        kc_mono start = kc_clock_mono(&f.clock);
        kc_fake_clock_advance(&f, 5 * KC_SEC);
        assert_int_equal(kc_clock_now(&f.clock), 105 * KC_SEC);
        assert_int_equal(kc_clock_mono(&f.clock) - start, 5 * KC_SEC);
        assert_true(kc_clock_now(NULL) > 1700000000 * KC_SEC);
        kc_mono a = kc_clock_mono(NULL), b = kc_clock_mono(NULL);
        assert_true(a > 0 && b >= a);
}

static void test_format(void **state)
{
        (void)state;
        char buf[KC_TIME_LEN];
        const kc_time t = 1795263670123456;
        assert_string_equal(kc_time_format(t, buf), "2026-11-21T12:21:10Z");
        assert_string_equal(kc_time_format_micro(t, buf), "2026-11-21T12:21:10.123456Z");
        assert_string_equal(kc_time_format_nano(t, buf), "2026-11-21T12:21:10.123456000Z");
        assert_string_equal(kc_time_format(0, buf), "1970-01-01T00:00:00Z");
        assert_string_equal(kc_time_format_micro(-1, buf), "1969-12-31T23:59:59.999999Z");
        assert_string_equal(kc_time_format(951782400 * KC_SEC, buf), "2000-02-29T00:00:00Z");
        assert_int_equal(strlen(kc_time_format_nano(INT64_MAX, buf)), 30);
}

static void test_parse(void **state)
{
        (void)state;
        static const struct {
                const char *text;
                kc_time t;
        } good[] = {
            {"1970-01-01T00:00:00Z", 0},
            {"2026-11-21T12:21:10Z", 1795263670000000},
            {"2026-11-21T12:21:10.5Z", 1795263670500000},
            {"2026-11-21T12:21:10.1234567899Z", 1795263670123456},
            {"2026-11-21T14:21:10+02:00", 1795263670000000},
            {"2026-11-21T04:51:10-07:30", 1795263670000000},
            {"2024-02-29T23:59:59Z", 1709251199000000},
            {"1969-12-31T23:59:59.9Z", -100000},
        };
        static const char *const bad[] = {"", "2026-11-21", "2026-11-21T12:21:10", "2026-11-21 12:21:10Z",
            "2026-13-21T12:21:10Z", "2026-02-29T12:21:10Z", "2026-11-31T12:21:10Z", "2026-11-21T24:21:10Z",
            "2026-11-21T12:60:10Z", "2026-11-21T12:21:60Z", "2026-11-21T12:21:10.Z", "2026-11-21T12:21:10Zx",
            "2026-11-21T12:21:10+0200", "2026-11-21T12:21:10+02:60", "26-11-21T12:21:10Z", "2026-11-21t12:21:10z",
            "2026-00-01T00:00:00Z", "2026-01-00T00:00:00Z", "+026-11-21T12:21:10Z"};
        kc_time t;
        for (size_t i = 0; i < KC_ARRAY_LEN(good); i++) {
                assert_int_equal(kc_time_parse(good[i].text, &t), 0);
                assert_int_equal(t, good[i].t);
        }
        for (size_t i = 0; i < KC_ARRAY_LEN(bad); i++)
                assert_int_equal(kc_time_parse(bad[i], &t), -EINVAL);
        assert_int_equal(kc_time_parse(NULL, &t), -EINVAL);
}

static void test_round_trip(void **state)
{
        (void)state;
        char buf[KC_TIME_LEN];
        kc_time t;
        for (kc_time want = -62135596800 * KC_SEC; want < 253402300799 * KC_SEC; want += 86399999999 * 91) {
                assert_int_equal(kc_time_parse(kc_time_format_micro(want, buf), &t), 0);
                assert_int_equal(t, want);
        }
}

static void test_duration_parse(void **state)
{
        (void)state;
        static const struct {
                const char *text;
                int64_t usec;
        } good[] = {
            {"0", 0},
            {"+0", 0},
            {"0s", 0},
            {"5s", 5000000},
            {"-5s", -5000000},
            {"1.5s", 1500000},
            {"300ms", 300000},
            {"1h2m3.5s", 3723500000},
            {"10us", 10},
            {"10\xc2\xb5s", 10},
            {"10\xce\xbcs", 10},
            {"1500ns", 1},
            {".5s", 500000},
            {"1.s", 1000000},
            {"40s30s", 70000000},
            {"2562047h", 9223369200000000},
            {"0.3333333333333333333h", 1200000000 - 1},
        };
        static const char *const bad[] = {"", "3", "-", "s", ".", "-.", ".s", "+.s", "1d", "1 s", "s1", "1h-5m",
            "9223372036854775.808ms1h99999999h", "3000000h", "99999999999999999999s"};
        int64_t v;
        for (size_t i = 0; i < KC_ARRAY_LEN(good); i++) {
                assert_int_equal(kc_duration_parse(good[i].text, &v), 0);
                assert_int_equal(v, good[i].usec);
        }
        for (size_t i = 0; i < KC_ARRAY_LEN(bad); i++)
                assert_int_equal(kc_duration_parse(bad[i], &v), -EINVAL);
        assert_int_equal(kc_duration_parse(NULL, &v), -EINVAL);
}

static void test_duration_format(void **state)
{
        (void)state;
        static const struct {
                int64_t usec;
                const char *text;
        } cases[] = {
            {0, "0s"},
            {1, "1\xc2\xb5s"},
            {1100, "1.1ms"},
            {300000, "300ms"},
            {2200000, "2.2s"},
            {60000000, "1m0s"},
            {3723500000, "1h2m3.5s"},
            {-1500000, "-1.5s"},
            {3600000000, "1h0m0s"},
            {1000001, "1.000001s"},
            {INT64_MIN, "-2562047788h0m54.775808s"},
        };
        char buf[KC_TIME_LEN];
        for (size_t i = 0; i < KC_ARRAY_LEN(cases); i++)
                assert_string_equal(kc_duration_format(cases[i].usec, buf), cases[i].text);
}

/* The cases of k8s.io/apimachinery/pkg/util/duration. */
static void test_duration_human(void **state)
{
        (void)state;
        enum { S = 1, M = 60, H = 3600, D = 86400, Y = 31536000 };
        static const struct {
                int64_t seconds;
                const char *text;
        } cases[] = {
            {1, "1s"},
            {70, "70s"},
            {119, "119s"},
            {190, "3m10s"},
            {2 * M, "2m"},
            {10 * M, "10m"},
            {70 * M, "70m"},
            {179 * M, "179m"},
            {3 * H, "3h"},
            {3 * H + 10 * M, "3h10m"},
            {8 * H, "8h"},
            {47 * H, "47h"},
            {49 * H, "2d1h"},
            {7 * D, "7d"},
            {8 * D + 3 * H, "8d"},
            {400 * D, "400d"},
            {2 * Y, "2y"},
            {2 * Y + 10 * D, "2y10d"},
            {8 * Y, "8y"},
            {9 * Y + 30 * D, "9y"},
            {0, "0s"},
            {-1, "0s"},
            {-2, "<invalid>"},
        };
        char buf[KC_TIME_LEN];
        for (size_t i = 0; i < KC_ARRAY_LEN(cases); i++)
                assert_string_equal(kc_duration_human(cases[i].seconds * KC_SEC, buf), cases[i].text);
        assert_string_equal(kc_duration_human(-1999999, buf), "0s");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_clocks),
            cmocka_unit_test(test_format),
            cmocka_unit_test(test_parse),
            cmocka_unit_test(test_round_trip),
            cmocka_unit_test(test_duration_parse),
            cmocka_unit_test(test_duration_format),
            cmocka_unit_test(test_duration_human),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
