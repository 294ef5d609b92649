/* Quantities: parsing, canonical text, arithmetic. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/quantity.h"
#include "base/macros.h"
#include "base/mem.h"

static void assert_canonical(const char *text, const char *want)
{
        struct kc_quantity q;
        char buf[KC_QUANTITY_LEN];
        if (kc_quantity_parse(text, &q) < 0)
                fail_msg("%s does not parse", text);
        if (strcmp(kc_quantity_format(&q, buf), want) != 0)
                fail_msg("%s: %s, want %s", text, buf, want);
        /* Canonical text is a fixed point. */
        assert_int_equal(kc_quantity_parse(want, &q), 0);
        assert_string_equal(kc_quantity_format(&q, buf), want);
}

static void test_canonical(void **state)
{
        (void)state;
        static const char *const cases[][2] = {{"0", "0"}, {"0n", "0"}, {"0Ki", "0"}, {"1", "1"}, {"+1", "1"},
            {"-1", "-1"}, {"1.5", "1500m"}, {"0.5", "500m"}, {"100m", "100m"}, {"1000m", "1"}, {"1500m", "1500m"},
            {"1000", "1k"}, {"1024", "1024"}, {"1Ki", "1Ki"}, {"1024Ki", "1Mi"}, {"1.5Gi", "1536Mi"}, {"0.5Ki", "512"},
            {".5", "500m"}, {"1.", "1"}, {"1.G", "1G"}, {"128Mi", "128Mi"}, {"1e3", "1e3"}, {"1E3", "1e3"},
            {"12e2", "1200"}, {"1e6", "1e6"}, {"1e-3", "1e-3"}, {"1E", "1E"}, {"9Ei", "9223372036854775807"},
            {"0.1n", "1n"}, {"-0.1n", "-1n"}, {"1.0000000001", "1000000001n"}, {"0.0001Ki", "102400u"},
            {"1000000000000000000000", "1000E"}, {"100000m", "100"}, {"3.14159Ki", "3216988160u"}, {"-1024Ki", "-1Mi"},
            {"2e-6", "2e-6"}, {"12345678901234567890", "12345678901234567890"}};
        for (size_t i = 0; i < KC_ARRAY_LEN(cases); i++)
                assert_canonical(cases[i][0], cases[i][1]);
}

static void test_malformed(void **state)
{
        (void)state;
        static const char *const cases[] = {"", "a", "1x", "1.1.1", "1 ", " 1", "--1", "+", "Ki", "1ki", "1KI", "1e",
            "1e+", "1e1.5", "0x1", "1mi", "1,5", ".", "-", "1iK", "1eKi", "e3"};
        for (size_t i = 0; i < KC_ARRAY_LEN(cases); i++) {
                struct kc_quantity q;
                if (kc_quantity_parse(cases[i], &q) != -EINVAL)
                        fail_msg("%s parses", cases[i]);
        }
}

static void test_huge(void **state)
{
        (void)state;
        struct kc_quantity a, b;
        assert_int_equal(kc_quantity_parse("1e999999999", &a), 0);
        assert_int_equal(kc_quantity_parse("-99999999999999999999999999999999999999999999999999E", &b), 0);
        assert_int_equal(kc_quantity_value(&a), INT64_MAX);
        assert_int_equal(kc_quantity_value(&b), INT64_MIN);
        for (int i = 0; i < 200; i++)
                kc_quantity_add(&a, &a);
        kc_quantity_add(&a, &b);
        assert_int_equal(kc_quantity_value(&a), 0);
        assert_int_equal(kc_quantity_parse("1.123456789012345678901234567890123456789Gi", &a), 0);
        assert_int_equal(kc_quantity_value(&a), 1206302542);
}

static void test_arithmetic(void **state)
{
        (void)state;
        char buf[KC_QUANTITY_LEN];
        struct kc_quantity a, b;
        kc_quantity_parse("1500m", &a);
        assert_int_equal(kc_quantity_value(&a), 2);
        assert_int_equal(kc_quantity_milli(&a), 1500);
        kc_quantity_parse("-1500m", &b);
        assert_int_equal(kc_quantity_value(&b), -2);
        kc_quantity_parse("1u", &b);
        assert_int_equal(kc_quantity_milli(&b), 1);
        a = kc_quantity_from_int(0, KC_QUANTITY_DECIMAL_SI);
        kc_quantity_parse("64Mi", &b);
        kc_quantity_add(&a, &b);
        kc_quantity_add(&a, &b);
        assert_string_equal(kc_quantity_format(&a, buf), "128Mi");
        b = kc_quantity_from_int(2000, KC_QUANTITY_DECIMAL_SI);
        assert_int_equal(kc_quantity_cmp(&a, &b), 1);
        kc_quantity_sub(&a, &b);
        assert_string_equal(kc_quantity_format(&a, buf), "134215728");
        b = kc_quantity_from_milli(250, KC_QUANTITY_DECIMAL_SI);
        assert_string_equal(kc_quantity_format(&b, buf), "250m");
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_canonical), cmocka_unit_test(test_malformed),
            cmocka_unit_test(test_huge), cmocka_unit_test(test_arithmetic)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
