/* Elastic columns. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "cli/describe/layout.h"

static void aligned(const char *text, const char *want)
{
        struct kc_buf b = KC_BUF_INIT;
        struct kc_layout_columns columns = {.padding = 2};
        kc_layout_align(text, strlen(text), &columns, &b);
        assert_string_equal(kc_buf_str(&b), want);
        kc_buf_done(&b);
}

static void columns_end_with_the_lines_that_have_them(void **state)
{
        (void)state;
        aligned("Name:\ta\nNamespace:\tb\n", "Name:       a\nNamespace:  b\n");
        aligned("a:\tb\nhead\nlonger:\tc\n", "a:  b\nhead\nlonger:  c\n");
        aligned("a\tb\tc\nlong\td\n", "a     b  c\nlong  d\n");
        aligned("x\t\ty\n", "x    y\n");
        aligned("\xc3\xa4\tb\nccc\td\n", "\xc3\xa4    b\nccc  d\n");
        aligned("", "");
        aligned("no newline\tat\tthe end", "no newline  at  the end");
}

static void columns_are_remembered(void **state)
{
        (void)state;
        static const char text[] = "long\tx\nalone\na\tb\n";
        struct kc_buf b = KC_BUF_INIT;
        struct kc_layout_columns columns = {.min_width = 6, .padding = 3, .remembers = true};
        kc_layout_align(text, strlen(text), &columns, &b);
        assert_string_equal(kc_buf_str(&b), "long   x\nalone\na      b\n");
        kc_layout_columns_done(&columns);
        kc_buf_done(&b);
}

static void levels_and_escapes(void **state)
{
        (void)state;
        struct kc_layout l = {0};
        struct kc_buf b = KC_BUF_INIT;
        kc_layout_add(&l, 0, "%s:\n", "a");
        kc_layout_add(&l, 2, "%s\n", "\033[31mred\r");
        kc_layout_flush(&l, &b);
        assert_string_equal(kc_buf_str(&b), "a:\n    ^[[31mred\\r\n");
        kc_layout_done(&l);
        kc_buf_done(&b);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(columns_end_with_the_lines_that_have_them),
            cmocka_unit_test(columns_are_remembered), cmocka_unit_test(levels_and_escapes)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
