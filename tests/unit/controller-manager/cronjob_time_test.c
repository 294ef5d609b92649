/* When schedules come due: fields, changes of the clock, what was missed. */
#include <errno.h>

#include "cm_test_util.h"
#include "controller-manager/cronjob_time.h"

static int64_t at(const char *text)
{
        kc_time t = 0;
        assert_int_equal(kc_time_parse(text, &t), 0);
        return t / KC_SEC;
}

static void assert_next(const char *schedule, const char *zone_name, const char *from, const char *want)
{
        KC_CLEANUP(kc_freep) char *why = NULL;
        KC_CLEANUP(kc_cron_done) struct kc_cron c = {0};
        KC_CLEANUP(kc_zone_freep) struct kc_zone *zone = NULL;
        char got[KC_TIME_LEN];
        assert_int_equal(kc_cron_parse(schedule, &c, &why), 0);
        assert_int_equal(kc_zone_load(zone_name, &zone, NULL), 0);
        int64_t next = kc_cron_next(&c, zone, at(from));
        assert_string_equal(next ? kc_time_format(next * KC_SEC, got) : "never", want);
}

static void fields(void **state)
{
        (void)state;
        assert_next("* * * * *", "UTC", "2026-01-01T10:00:00Z", "2026-01-01T10:01:00Z");
        assert_next("* * * * *", "UTC", "2026-01-01T10:00:30Z", "2026-01-01T10:01:00Z");
        assert_next("*/15 9-17 * * *", "UTC", "2026-01-01T17:50:00Z", "2026-01-02T09:00:00Z");
        assert_next("0 0 1 1 *", "UTC", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z");
        assert_next("0 0 29 2 *", "UTC", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z");
        assert_next("0 12 * * mon", "UTC", "2026-01-01T00:00:00Z", "2026-01-05T12:00:00Z");
        /* Day and weekday, both given: either will do. */
        assert_next("0 0 13 * fri", "UTC", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z");
        assert_next("0 0 30 2 *", "UTC", "2026-01-01T00:00:00Z", "never");
        assert_next("@hourly", "UTC", "2026-01-01T10:00:00Z", "2026-01-01T11:00:00Z");
        assert_next("@every 90s", "UTC", "2026-01-01T10:00:00Z", "2026-01-01T10:01:30Z");
}

static void time_zones(void **state)
{
        (void)state;
        struct kc_error err = KC_ERROR_INIT;
        struct kc_zone *none = NULL;
        assert_next("0 8 * * *", "Europe/Berlin", "2026-01-01T00:00:00Z", "2026-01-01T07:00:00Z");
        assert_next("0 8 * * *", "Europe/Berlin", "2026-07-01T00:00:00Z", "2026-07-01T06:00:00Z");
        assert_next("0 8 * * *", "Europe/Berlin", "2060-07-01T00:00:00Z", "2060-07-01T06:00:00Z"); /* by rule */
        assert_next("0 8 * * *", "Australia/Sydney", "2060-01-01T00:00:00Z", "2060-01-01T21:00:00Z");
        assert_next("30 0 * * *", "Asia/Kolkata", "2026-01-01T00:00:00Z", "2026-01-01T19:00:00Z");
        /* 02:30 is left out on 2026-03-29. */
        assert_next("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-30T00:30:00Z");
        assert_next("0 0 * * *", "America/New_York", "2026-11-01T12:00:00Z", "2026-11-02T05:00:00Z");
        assert_int_equal(kc_zone_load("Nowhere/Land", &none, &err), -ENOENT);
        assert_string_equal(kc_error_message(&err), "unknown time zone Nowhere/Land");
        kc_error_done(&err);
}

static void assert_latest(const char *schedule, const char *earliest, const char *now, const char *want, int missed)
{
        KC_CLEANUP(kc_freep) char *why = NULL;
        KC_CLEANUP(kc_cron_done) struct kc_cron c = {0};
        KC_CLEANUP(kc_zone_freep) struct kc_zone *zone = NULL;
        char got[KC_TIME_LEN];
        int n;
        assert_int_equal(kc_cron_parse(schedule, &c, &why), 0);
        assert_int_equal(kc_zone_load("UTC", &zone, NULL), 0);
        int64_t t = kc_cron_latest(&c, zone, at(earliest), at(now), 100, &n);
        assert_string_equal(t ? kc_time_format(t * KC_SEC, got) : "none", want);
        assert_int_equal(n, missed);
}

static void what_was_missed(void **state)
{
        (void)state;
        assert_latest("*/5 * * * *", "2026-01-01T10:00:00Z", "2026-01-01T10:04:00Z", "none", 0);
        assert_latest("*/5 * * * *", "2026-01-01T10:00:00Z", "2026-01-01T10:05:00Z", "2026-01-01T10:05:00Z", 1);
        assert_latest("*/5 * * * *", "2026-01-01T10:00:00Z", "2026-01-01T10:17:00Z", "2026-01-01T10:15:00Z", 3);
        assert_latest("* * * * *", "2020-01-01T10:00:00Z", "2026-01-01T10:17:30Z", "2026-01-01T10:17:00Z", 101);
        assert_latest("0 3 * * *", "2020-01-01T10:00:00Z", "2026-01-01T01:00:00Z", "2025-12-31T03:00:00Z", 101);
        assert_latest("@every 1m", "2020-01-01T10:00:00Z", "2026-01-01T10:17:30Z", "2026-01-01T10:17:00Z", 101);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(fields),
            cmocka_unit_test(time_zones),
            cmocka_unit_test(what_was_missed),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
