/* How fast the nodes of a zone may be given up, by a clock that stands still. */
#include "cm_test_util.h"
#include "controller-manager/nodezones.h"

static struct kc_zones *new_zones(struct kc_fake_clock *clock, int large)
{
        kc_fake_clock_init(clock, 0);
        return kc_zones_new(&(struct kc_zones_opts){.rate = 0.1,
            .secondary_rate = 0.01,
            .unhealthy_threshold = 0.55,
            .large_cluster = large,
            .clock = &clock->clock});
}

static void fill(struct kc_zones *z, const char *zone, int ready, int not_ready)
{
        for (int i = 0; i < ready + not_ready; i++) {
                KC_CLEANUP(kc_freep) char *name = kc_asprintf("%s-%d", zone, i);
                kc_zones_set(z, name, zone, i < ready);
        }
}

static void a_normal_zone_gives_up_one_in_ten_seconds(void **state)
{
        (void)state;
        struct kc_fake_clock clock;
        struct kc_zones *z = new_zones(&clock, 50);

        fill(z, "a", 8, 2);
        assert_int_equal(kc_zones_take(z, "a"), 0);
        assert_in_range(kc_zones_take(z, "a"), 10 * KC_SEC, 10 * KC_SEC + 2 * KC_MSEC);
        kc_fake_clock_advance(&clock, 9 * KC_SEC);
        assert_in_range(kc_zones_take(z, "a"), KC_SEC - KC_MSEC, KC_SEC + 2 * KC_MSEC);
        kc_fake_clock_advance(&clock, KC_SEC + 2 * KC_MSEC);
        assert_int_equal(kc_zones_take(z, "a"), 0);
        kc_fake_clock_advance(&clock, 1000 * KC_SEC);
        assert_int_equal(kc_zones_take(z, "a"), 0);
        assert_int_not_equal(kc_zones_take(z, "a"), 0); /* nothing is saved up */
        kc_zones_free(z);
}

static void a_small_zone_in_trouble_gives_up_nothing(void **state)
{
        (void)state;
        struct kc_fake_clock clock;
        struct kc_zones *z = new_zones(&clock, 50);

        fill(z, "a", 2, 3);                         /* 60 % */
        assert_int_equal(kc_zones_take(z, "a"), 0); /* what was saved before the trouble */
        kc_fake_clock_advance(&clock, 1000 * KC_SEC);
        assert_int_equal(kc_zones_take(z, "a"), 10 * KC_SEC);
        kc_zones_free(z);
}

static void a_large_zone_in_trouble_is_slower(void **state)
{
        (void)state;
        struct kc_fake_clock clock;
        struct kc_zones *z = new_zones(&clock, 4);

        fill(z, "a", 2, 3);
        assert_int_equal(kc_zones_take(z, "a"), 0);
        assert_in_range(kc_zones_take(z, "a"), 100 * KC_SEC, 100 * KC_SEC + 2 * KC_MSEC);
        kc_zones_free(z);
}

static void all_down_only_when_no_zone_is_up(void **state)
{
        (void)state;
        struct kc_fake_clock clock;
        struct kc_zones *z = new_zones(&clock, 50);

        assert_false(kc_zones_all_down(z)); /* no nodes */
        kc_zones_set(z, "n1", "a", false);
        assert_true(kc_zones_all_down(z));
        kc_zones_set(z, "n2", "b", true);
        assert_false(kc_zones_all_down(z));
        kc_zones_set(z, "n2", "b", false);
        assert_true(kc_zones_all_down(z));
        kc_zones_set(z, "n1", NULL, false);
        kc_zones_set(z, "n2", NULL, false);
        assert_false(kc_zones_all_down(z));
        kc_zones_free(z);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(a_normal_zone_gives_up_one_in_ten_seconds),
            cmocka_unit_test(a_small_zone_in_trouble_gives_up_nothing),
            cmocka_unit_test(a_large_zone_in_trouble_is_slower),
            cmocka_unit_test(all_down_only_when_no_zone_is_up),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
