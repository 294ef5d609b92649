/* Memory, buffers, shared bytes, strings and string vectors. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/str.h"

static void test_mem(void **state)
{
        (void)state;
        assert_null(kc_strdup(NULL));
        assert_null(kc_strndup(NULL, 3));
        KC_CLEANUP(kc_freep) char *s = kc_strndup("abcdef", 3);
        assert_string_equal(s, "abc");
        KC_CLEANUP(kc_freep) char *f = kc_asprintf("%s-%d", "x", 7);
        assert_string_equal(f, "x-7");
        KC_CLEANUP(kc_freep) char *z = kc_calloc(0, 8);
        assert_non_null(z);
        char *secret = kc_strdup("password");
        kc_free_secret(secret, 8);
        kc_free_secret(NULL, 0);
        char *taken = KC_TAKE(s);
        assert_null(s);
        kc_free(taken);
}

static void test_buf(void **state)
{
        (void)state;
        struct kc_buf b = KC_BUF_INIT;
        assert_string_equal(kc_buf_str(&b), "");
        kc_buf_adds(&b, "abc");
        kc_buf_addc(&b, 'd');
        kc_buf_addf(&b, "%05d", 42);
        assert_string_equal(b.data, "abcd00042");
        assert_int_equal(b.len, 9);
        kc_buf_consume(&b, 4);
        assert_string_equal(b.data, "00042");
        kc_buf_add(&b, NULL, 0);
        kc_buf_reset(&b);
        assert_string_equal(b.data, "");
        for (int i = 0; i < 5000; i++)
                kc_buf_addf(&b, "%d,", i);
        assert_int_equal(b.len, 23890);
        assert_string_equal(b.data + b.len - 10, "4998,4999,");
        char *s = kc_buf_take_str(&b);
        assert_int_equal(strlen(s), 23890);
        assert_null(b.data);
        kc_free(s);
        s = kc_buf_take_str(&b);
        assert_string_equal(s, "");
        kc_free(s);
        kc_buf_consume(&b, 0);
        kc_buf_done(&b);
}

static void test_buf_long_format(void **state)
{
        (void)state;
        struct kc_buf b = KC_BUF_INIT;
        char text[300];
        memset(text, 'x', sizeof(text) - 1);
        text[sizeof(text) - 1] = '\0';
        kc_buf_addf(&b, "%s", text);
        assert_string_equal(b.data, text);
        kc_buf_done(&b);
}

static void test_buf_limited(void **state)
{
        (void)state;
        struct kc_buf b = KC_BUF_INIT;
        assert_int_equal(kc_buf_add_limited(&b, "abc", 3, 5), 0);
        assert_int_equal(kc_buf_add_limited(&b, "def", 3, 5), -EMSGSIZE);
        assert_string_equal(b.data, "abc");
        assert_int_equal(kc_buf_add_limited(&b, "de", 2, 5), 0);
        assert_int_equal(kc_buf_add_limited(&b, "", 0, 5), 0);
        assert_int_equal(kc_buf_add_limited(&b, "x", 1, 3), -EMSGSIZE);
        assert_string_equal(b.data, "abcde");
        kc_buf_done(&b);
        assert_int_equal(kc_buf_add_limited(&b, "", 0, 0), 0);
        assert_string_equal(b.data, "");
        kc_buf_done(&b);
}

static void test_bytes(void **state)
{
        (void)state;
        struct kc_buf b = KC_BUF_INIT;
        kc_buf_add(&b, "a\0b", 3);
        struct kc_bytes *x = kc_bytes_from_buf(&b);
        assert_int_equal(b.len, 0);
        struct kc_bytes *y = kc_bytes_ref(x);
        kc_bytes_unref(x);
        assert_int_equal(kc_bytes_len(y), 3);
        assert_memory_equal(kc_bytes_data(y), "a\0b", 4);
        kc_bytes_unref(y);
        KC_CLEANUP(kc_bytes_unrefp) struct kc_bytes *empty = kc_bytes_new(NULL, 0);
        assert_string_equal(kc_bytes_data(empty), "");
        kc_bytes_unref(NULL);
}

static void test_comparison(void **state)
{
        (void)state;
        assert_true(kc_streq(NULL, NULL));
        assert_false(kc_streq(NULL, ""));
        assert_true(kc_strcaseeq("Content-Type", "content-type"));
        assert_true(kc_str_empty(NULL) && kc_str_empty("") && !kc_str_empty("a"));
        assert_true(kc_str_has_prefix("kube-system", "kube-"));
        assert_false(kc_str_has_prefix("kub", "kube-"));
        assert_false(kc_str_has_prefix(NULL, ""));
        assert_true(kc_str_has_suffix("a.yaml", ".yaml"));
        assert_false(kc_str_has_suffix("yaml", ".yaml"));
        assert_true(kc_strcmp(NULL, "") < 0 && kc_strcmp("", NULL) > 0 && kc_strcmp(NULL, NULL) == 0);
}

static void test_set_trim_replace(void **state)
{
        (void)state;
        KC_CLEANUP(kc_freep) char *s = NULL;
        kc_str_set(&s, "hello");
        kc_str_set(&s, s + 2);
        assert_string_equal(s, "llo");
        kc_str_set(&s, NULL);
        assert_null(s);
        KC_CLEANUP(kc_freep) char *t = kc_str_trim(" \t a b \n");
        assert_string_equal(t, "a b");
        KC_CLEANUP(kc_freep) char *e = kc_str_trim(" \n ");
        assert_string_equal(e, "");
        KC_CLEANUP(kc_freep) char *r = kc_str_replace_all("a/b/c", "/", "~1");
        assert_string_equal(r, "a~1b~1c");
        KC_CLEANUP(kc_freep) char *n = kc_str_replace_all("abc", "", "x");
        assert_string_equal(n, "abc");
}

static void test_numbers(void **state)
{
        (void)state;
        int64_t i = 5;
        uint64_t u = 5;
        double d = 5;
        assert_int_equal(kc_str_to_i64("-9223372036854775808", &i), 0);
        assert_true(i == INT64_MIN);
        assert_int_equal(kc_str_to_i64("+17", &i), 0);
        assert_int_equal(i, 17);
        assert_int_equal(kc_str_to_i64("9223372036854775808", &i), -ERANGE);
        assert_int_equal(kc_str_to_i64("-9223372036854775809", &i), -ERANGE);
        const char *const bad[] = {"", "-", "+", " 1", "1 ", "0x1", "1.0", "--1", "99999999999999999999x"};
        for (size_t k = 0; k < KC_ARRAY_LEN(bad); k++)
                assert_int_equal(kc_str_to_i64(bad[k], &i), -EINVAL);
        assert_int_equal(kc_str_to_i64(NULL, &i), -EINVAL);
        assert_int_equal(i, 17);
        assert_int_equal(kc_str_to_u64("18446744073709551615", &u), 0);
        assert_true(u == UINT64_MAX);
        assert_int_equal(kc_str_to_u64("18446744073709551616", &u), -ERANGE);
        assert_int_equal(kc_str_to_u64("-1", &u), -ERANGE);
        assert_int_equal(kc_str_to_u64("-x", &u), -EINVAL);
        assert_int_equal(kc_str_to_double("-1.5e3", &d), 0);
        assert_true(d == -1500);
        assert_int_equal(kc_str_to_double("1e999", &d), -ERANGE);
        assert_int_equal(kc_str_to_double("1e-999", &d), 0);
        assert_int_equal(kc_str_to_double("0x10", &d), -EINVAL);
        assert_int_equal(kc_str_to_double("nan", &d), -EINVAL);
        assert_int_equal(kc_str_to_double("1.2.3", &d), -EINVAL);
}

static void test_bool(void **state)
{
        (void)state;
        bool b = false;
        assert_int_equal(kc_str_to_bool("True", &b), 0);
        assert_true(b);
        assert_int_equal(kc_str_to_bool("0", &b), 0);
        assert_false(b);
        assert_int_equal(kc_str_to_bool("yes", &b), -EINVAL);
        assert_int_equal(kc_str_to_bool("", &b), -EINVAL);
        assert_int_equal(kc_str_to_bool(NULL, &b), -EINVAL);
}

static void test_utf8(void **state)
{
        (void)state;
        assert_int_equal(kc_utf8_len("a", 1), 1);
        assert_int_equal(kc_utf8_len("\xc3\xa9", 2), 2);
        assert_int_equal(kc_utf8_len("\xe2\x82\xac", 3), 3);
        assert_int_equal(kc_utf8_len("\xf0\x9f\x98\x80", 4), 4);
        assert_int_equal(kc_utf8_len("\xf0\x9f\x98\x80", 3), 0);
        assert_int_equal(kc_utf8_len("", 0), 0);
        const char *const bad[] = {
            "\x80", "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xff", "\xc3("};
        for (size_t i = 0; i < KC_ARRAY_LEN(bad); i++)
                assert_int_equal(kc_utf8_len(bad[i], strlen(bad[i])), 0);
}

static void test_strv(void **state)
{
        (void)state;
        KC_CLEANUP(kc_strv_freep) char **v = kc_strv_split("a,b,,c", ',');
        assert_int_equal(kc_strv_len(v), 4);
        assert_string_equal(v[2], "");
        for (int i = 0; i < 40; i++)
                kc_strv_pushf(&v, "x%d", i);
        assert_int_equal(kc_strv_len(v), 44);
        assert_true(kc_strv_has(v, "x39"));
        assert_false(kc_strv_has(v, "x40"));
        KC_CLEANUP(kc_strv_freep) char **copy = kc_strv_copy(v);
        assert_true(kc_strv_equal(v, copy));
        for (int i = 0; i < 40; i++) {
                KC_CLEANUP(kc_freep) char *s = kc_asprintf("x%d", i);
                assert_int_equal(kc_strv_remove(v, s), 1);
        }
        for (int i = 0; i < 10; i++)
                kc_strv_push(&v, "b");
        kc_strv_push_take(&copy, kc_strdup("end"));
        assert_int_equal(kc_strv_len(copy), 45);
        assert_false(kc_strv_equal(v, copy));
        KC_CLEANUP(kc_freep) char *joined = kc_strv_join(v, ",");
        assert_string_equal(joined, "a,b,,c,b,b,b,b,b,b,b,b,b,b");
        kc_strv_sort_uniq(v);
        KC_CLEANUP(kc_freep) char *sorted = kc_strv_join(v, ",");
        assert_string_equal(sorted, ",a,b,c");
}

static void test_strv_empty(void **state)
{
        (void)state;
        KC_CLEANUP(kc_strv_freep) char **v = kc_strv_split("", ',');
        assert_non_null(v);
        assert_null(v[0]);
        KC_CLEANUP(kc_strv_freep) char **copy = kc_strv_copy(NULL);
        assert_null(copy[0]);
        kc_strv_sort_uniq(v);
        kc_strv_sort(NULL);
        kc_strv_free(NULL);
        assert_int_equal(kc_strv_len(NULL), 0);
        assert_int_equal(kc_strv_remove(NULL, "x"), 0);
        KC_CLEANUP(kc_freep) char *joined = kc_strv_join(NULL, ",");
        assert_string_equal(joined, "");
        KC_CLEANUP(kc_strv_freep) char **one = NULL;
        kc_strv_push(&one, "a");
        assert_int_equal(kc_strv_len(one), 1);
        assert_true(kc_strv_equal(NULL, v));
        assert_false(kc_strv_equal(NULL, one));
        assert_false(kc_strv_equal(one, v));
}

struct item {
        int n;
        struct kc_list node;
};

static void test_list(void **state)
{
        (void)state;
        struct kc_list head;
        struct item items[4] = {{.n = 0}, {.n = 1}, {.n = 2}, {.n = 3}};
        char seen[16] = "";
        kc_list_init(&head);
        assert_true(kc_list_empty(&head));
        assert_null(KC_LIST_FIRST(&head, struct item, node));
        kc_list_push_back(&head, &items[1].node);
        kc_list_push_back(&head, &items[3].node);
        kc_list_push_front(&head, &items[0].node);
        kc_list_insert_before(&items[3].node, &items[2].node);
        KC_LIST_FOREACH(&head, it, struct item, node)
        {
                sprintf(seen + strlen(seen), "%d", it->n);
                kc_list_remove(&it->node);
                kc_list_remove(&it->node);
        }
        assert_string_equal(seen, "0123");
        assert_true(kc_list_empty(&head));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_mem),
            cmocka_unit_test(test_buf),
            cmocka_unit_test(test_buf_long_format),
            cmocka_unit_test(test_buf_limited),
            cmocka_unit_test(test_bytes),
            cmocka_unit_test(test_comparison),
            cmocka_unit_test(test_set_trim_replace),
            cmocka_unit_test(test_numbers),
            cmocka_unit_test(test_bool),
            cmocka_unit_test(test_utf8),
            cmocka_unit_test(test_strv),
            cmocka_unit_test(test_strv_empty),
            cmocka_unit_test(test_list),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
