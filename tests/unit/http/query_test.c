/* Query strings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/str.h"
#include "http/server.h"

static void expect_get(const char *query, const char *name, const char *wanted)
{
        char *got = kc_query_get(query, name);
        if (wanted)
                assert_string_equal(got, wanted);
        else
                assert_null(got);
        kc_free(got);
}

static void test_get(void **state)
{
        (void)state;
        expect_get("", "a", NULL);
        expect_get("a=1", "a", "1");
        expect_get("a", "a", "");
        expect_get("a=", "a", "");
        expect_get("b=2&a=1&a=2", "a", "1");
        expect_get("labelSelector=app%3Dweb%2Ctier+in+%28a%29", "labelSelector", "app=web,tier in (a)");
        expect_get("a%62=1", "ab", "1");
        expect_get("a=1=2", "a", "1=2");
        expect_get("aa=1&a=2", "a", "2");
        expect_get("&&a=1&", "a", "1");
        /* Go drops what it cannot read. */
        expect_get("a=%zz&a=2", "a", "2");
        expect_get("a=1;b=2&a=3", "a", "3");
        expect_get("a=%00", "a", NULL);
}

static void test_get_all(void **state)
{
        (void)state;
        char **all = kc_query_get_all("command=ls&x=1&command=-l&command=", "command");
        assert_int_equal(kc_strv_len(all), 3);
        assert_string_equal(all[0], "ls");
        assert_string_equal(all[1], "-l");
        assert_string_equal(all[2], "");
        kc_strv_free(all);
        assert_null(kc_query_get_all("x=1", "command"));
}

static void test_bool(void **state)
{
        (void)state;
        assert_true(kc_query_bool("b=1", "a", true));
        assert_false(kc_query_bool("b=1", "a", false));
        assert_true(kc_query_bool("a", "a", false));
        assert_true(kc_query_bool("a=true", "a", false));
        assert_true(kc_query_bool("a=no", "a", false));
        assert_false(kc_query_bool("a=0", "a", true));
        assert_false(kc_query_bool("a=false", "a", true));
        assert_false(kc_query_bool("a=False&a=true", "a", true)); /* as Python writes it */
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_get), cmocka_unit_test(test_get_all), cmocka_unit_test(test_bool)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
