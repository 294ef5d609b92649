/* Parsing, printing, reading and changing JSON. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/str.h"
#include "json/json.h"

static struct json_object *parse(const char *text)
{
        struct json_object *o = NULL;
        struct kc_error err = KC_ERROR_INIT;
        int r = kc_json_parse(text, strlen(text), NULL, &o, &err);
        if (r < 0)
                print_error("%s: %s\n", text, kc_error_message(&err));
        assert_int_equal(r, 0);
        return o;
}

static void assert_prints(const struct json_object *o, const char *want)
{
        KC_CLEANUP(kc_freep) char *text = kc_json_to_str(o);
        assert_string_equal(text, want);
}

static void assert_round_trip(const char *text, const char *want)
{
        KC_CLEANUP(kc_json_freep) struct json_object *o = parse(text);
        assert_prints(o, want);
}

static void test_values(void **state)
{
        (void)state;
        static const char *const cases[][2] = {
            {"null", "null"},
            {" true ", "true"},
            {"false", "false"},
            {"{}", "{}"},
            {"[ ]", "[]"},
            {"\"\"", "\"\""},
            {"{\"b\":1,\"a\":[null,{}]}", "{\"b\":1,\"a\":[null,{}]}"},
            {"\t[1 , 2\n]\r", "[1,2]"},
            {"{\"a\":1,\"b\":2,\"a\":3}", "{\"a\":3,\"b\":2}"},
        };
        for (size_t i = 0; i < KC_ARRAY_LEN(cases); i++)
                assert_round_trip(cases[i][0], cases[i][1]);
}

static void test_numbers(void **state)
{
        (void)state;
        /* What Go prints for the same unstructured value. */
        static const char *const cases[][2] = {
            {"0", "0"},
            {"-0", "0"},
            {"9223372036854775807", "9223372036854775807"},
            {"-9223372036854775808", "-9223372036854775808"},
            {"9223372036854775808", "9223372036854776000"},
            {"18446744073709551616", "18446744073709552000"},
            {"1.0", "1"},
            {"0.5", "0.5"},
            {"-2.50", "-2.5"},
            {"1e3", "1000"},
            {"1E+2", "100"},
            {"1e21", "1e+21"},
            {"1e20", "100000000000000000000"},
            {"1e-6", "0.000001"},
            {"1e-7", "1e-7"},
            {"1.5e-10", "1.5e-10"},
            {"0.1", "0.1"},
            {"0.30000000000000004", "0.30000000000000004"},
            {"1.7976931348623157e308", "1.7976931348623157e+308"},
            {"5e-324", "5e-324"},
            {"-0.0", "-0"},
            {"123456.789", "123456.789"},
            {"2.2250738585072014e-308", "2.2250738585072014e-308"},
            {"1e-400", "0"},
            {"4503599627370495.5", "4503599627370495.5"},
            {"9007199254740993.0", "9007199254740992"},
        };
        for (size_t i = 0; i < KC_ARRAY_LEN(cases); i++)
                assert_round_trip(cases[i][0], cases[i][1]);
        KC_CLEANUP(kc_json_freep) struct json_object *i = parse("[1, 1.0, 9223372036854775808]");
        assert_int_equal(json_object_get_type(kc_json_idx(i, 0)), json_type_int);
        assert_int_equal(json_object_get_type(kc_json_idx(i, 1)), json_type_double);
        assert_int_equal(json_object_get_type(kc_json_idx(i, 2)), json_type_double);
}

static void test_strings(void **state)
{
        (void)state;
        static const char *const cases[][2] = {
            {"\"a\\\"b\\\\c\\/d\"", "\"a\\\"b\\\\c/d\""},
            {"\"\\b\\f\\n\\r\\t\"", "\"\\b\\f\\n\\r\\t\""},
            {"\"\\u0041\\u00e9\\u20ac\\ud83d\\ude00\"", "\"A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\""},
            {"\"\\u001f\\u007f\"", "\"\\u001f\x7f\""},
            {"\"<&>\"", "\"<&>\""},
            {"\"\\ud800\"", "\"\xef\xbf\xbd\""},
            {"\"\\ud800\\u0041\"", "\"\xef\xbf\xbd"
                                   "A\""},
            {"\"\\udc00x\"", "\"\xef\xbf\xbdx\""},
            {"\"\\u2028\\u2029\"", "\"\\u2028\\u2029\""},
        };
        for (size_t i = 0; i < KC_ARRAY_LEN(cases); i++)
                assert_round_trip(cases[i][0], cases[i][1]);
        struct kc_buf b = KC_BUF_INIT;
        kc_json_write_string(&b, "a\xff\0b", 4);
        assert_string_equal(b.data, "\"a\\ufffd\\u0000b\"");
        kc_buf_done(&b);
}

static void test_errors(void **state)
{
        (void)state;
        static const struct {
                const char *text, *message;
        } cases[] = {
            {"", "line 1, column 1: unexpected end of JSON input"},
            {"{\n \"a\": x}", "line 2, column 7: invalid character 'x' looking for beginning of value"},
            {"{\"a\":1", "line 1, column 7: unexpected end of JSON input"},
            {"{\"a\" 1}", "line 1, column 6: invalid character '1' after object key"},
            {"{\"a\":1 \"b\"}", "line 1, column 8: invalid character '\"' after object key:value pair"},
            {"{\"a\":1,}", "line 1, column 8: invalid character '}' looking for beginning of object key string"},
            {"{a:1}", "line 1, column 2: invalid character 'a' looking for beginning of object key string"},
            {"[1,]", "line 1, column 4: invalid character ']' looking for beginning of value"},
            {"[1 2]", "line 1, column 4: invalid character '2' after array element"},
            {"1 2", "line 1, column 3: invalid character '2' after top-level value"},
            {"01", "line 1, column 2: invalid character '1' after top-level value"},
            {"-", "line 1, column 2: unexpected end of JSON input"},
            {"1.", "line 1, column 3: unexpected end of JSON input"},
            {"1.x", "line 1, column 3: invalid character 'x' after decimal point in numeric literal"},
            {"1ex", "line 1, column 3: invalid character 'x' in exponent of numeric literal"},
            {"+1", "line 1, column 1: invalid character '+' looking for beginning of value"},
            {".5", "line 1, column 1: invalid character '.' looking for beginning of value"},
            {"1e999", "line 1, column 1: number is out of range"},
            {"tru", "line 1, column 1: invalid character 't' looking for beginning of value"},
            {"nullx", "line 1, column 5: invalid character 'x' after top-level value"},
            {"NaN", "line 1, column 1: invalid character 'N' looking for beginning of value"},
            {"'a'", "line 1, column 1: invalid character '\\'' looking for beginning of value"},
            {"\"a", "line 1, column 3: unexpected end of JSON input"},
            {"\"a\nb\"", "line 1, column 3: invalid character '\\n' in string literal"},
            {"\"\\x\"", "line 1, column 3: invalid character 'x' in string escape code"},
            {"\"\\u12g4\"", "line 1, column 4: invalid character in \\u hexadecimal character escape"},
            {"\"\\u0000\"", "line 1, column 4: NUL character in string"},
            {"\"a\xff\"", "line 1, column 3: invalid UTF-8 in string"},
            {"\"\xed\xa0\x80\"", "line 1, column 2: invalid UTF-8 in string"},
            {"/* c */ 1", "line 1, column 1: invalid character '/' looking for beginning of value"},
            {"%s", "line 1, column 1: invalid character '%' looking for beginning of value"},
        };
        for (size_t i = 0; i < KC_ARRAY_LEN(cases); i++) {
                struct kc_error err = KC_ERROR_INIT;
                struct json_object *o = NULL;
                assert_int_equal(kc_json_parse(cases[i].text, strlen(cases[i].text), NULL, &o, &err), -EINVAL);
                assert_string_equal(kc_error_message(&err), cases[i].message);
                assert_null(o);
                kc_error_done(&err);
        }
        struct json_object *o = NULL;
        assert_int_equal(kc_json_parse("\"a\0b\"", 5, NULL, &o, NULL), -EINVAL);
        assert_int_equal(kc_json_parse("1\0", 2, NULL, &o, NULL), -EINVAL);
}

static void test_limits(void **state)
{
        (void)state;
        struct kc_json_limits limits = {.max_bytes = 20, .max_depth = 3, .max_nodes = 5};
        struct kc_error err = KC_ERROR_INIT;
        struct json_object *o = NULL;
        assert_int_equal(kc_json_parse("[[[1]],2]", 9, &limits, &o, &err), 0);
        kc_json_free(o);
        o = NULL;
        assert_int_equal(kc_json_parse("[[[[]]]]", 8, &limits, &o, &err), -EINVAL);
        assert_string_equal(kc_error_message(&err), "line 1, column 4: exceeded max depth");
        assert_int_equal(kc_json_parse("[1,2,3,4,5]", 11, &limits, &o, &err), -EMSGSIZE);
        assert_string_equal(kc_error_message(&err), "line 1, column 10: too many values");
        assert_int_equal(kc_json_parse("\"0123456789012345678\"", 21, &limits, &o, &err), -EMSGSIZE);
        assert_string_equal(kc_error_message(&err), "21 bytes of JSON are more than the limit of 20");
        assert_null(o);
        kc_error_done(&err);
        char deep[2 * 200 + 1] = "";
        memset(deep, '[', 200);
        memset(deep + 200, ']', 200);
        assert_int_equal(kc_json_parse(deep, 400, NULL, &o, NULL), -EINVAL);
        assert_int_equal(kc_json_parse(deep + 72, 256, NULL, &o, NULL), 0);
        kc_json_free(o);
}

static void test_duplicates(void **state)
{
        (void)state;
        static const char text[] =
            "{\"spec\":{\"containers\":[{\"a\":1},{\"name\":1,\"name\":2}],\"x\":1},\"spec\":{\"y\":1,\"y\":2}}";
        KC_CLEANUP(kc_strv_freep) char **paths = kc_json_duplicates(text, strlen(text));
        KC_CLEANUP(kc_freep) char *joined = kc_strv_join(paths, " ");
        assert_string_equal(joined, "spec.containers[1].name spec spec.y");
        assert_null(kc_json_duplicates("{\"a\":{\"a\":1}}", 13));
        assert_null(kc_json_duplicates("{", 1));
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        kc_buf_adds(&b, "{\"a\":0");
        for (int i = 0; i < 200; i++)
                kc_buf_adds(&b, ",\"a\":0");
        kc_buf_adds(&b, "}");
        KC_CLEANUP(kc_strv_freep) char **many = kc_json_duplicates(b.data, b.len);
        assert_int_equal(kc_strv_len(many), 100);
}

static void test_reading(void **state)
{
        (void)state;
        KC_CLEANUP(kc_json_freep)
        struct json_object *o = parse("{\"metadata\":{\"name\":\"web\",\"generation\":3,\"n\":null},\"ok\":true,\"f\":"
                                      "1.5,\"list\":[{\"name\":\"a\"},{\"name\":\"b\",\"v\":2}]}");
        assert_string_equal(kc_json_str_at(o, "metadata.name"), "web");
        assert_int_equal(kc_json_int_at(o, "metadata.generation", -1), 3);
        assert_int_equal(kc_json_int_at(o, "metadata.name", -1), -1);
        assert_int_equal(kc_json_int(o, "f", -1), -1);
        assert_true(kc_json_bool(o, "ok", false));
        assert_true(kc_json_bool_at(o, "metadata.ok", true));
        assert_null(kc_json_str(o, "ok"));
        assert_null(kc_json_at(o, "metadata.name.x"));
        assert_null(kc_json_at(o, "list.name"));
        assert_null(kc_json_get(NULL, "x"));
        assert_ptr_equal(kc_json_at(o, ""), o);
        assert_int_equal(kc_json_len(kc_json_get(o, "list")), 2);
        assert_null(kc_json_idx(kc_json_get(o, "list"), 2));
        assert_int_equal(kc_json_int(kc_json_find(kc_json_get(o, "list"), "name", "b"), "v", 0), 2);
        assert_null(kc_json_find(kc_json_get(o, "list"), "name", "c"));
        assert_null(kc_json_find(kc_json_get(o, "list"), "name", NULL));
        assert_int_equal(kc_json_n_keys(o), 4);
        assert_int_equal(kc_json_n_keys(kc_json_get(o, "list")), 0);
        assert_int_equal(kc_json_len(o), 0);
        char key[400];
        memset(key, 'k', sizeof(key) - 1);
        key[sizeof(key) - 1] = '\0';
        kc_json_set_int(kc_json_ensure_obj(o, key), "x", 7);
        char path[410];
        snprintf(path, sizeof(path), "%s.x", key);
        assert_int_equal(kc_json_int_at(o, path, 0), 7);
}

static void test_foreach(void **state)
{
        (void)state;
        KC_CLEANUP(kc_json_freep) struct json_object *o = parse("{\"a\":1,\"b\":null,\"c\":\"x\",\"d\":2}");
        char seen[32] = "";
        KC_JSON_FOREACH(o, k, v)
        {
                if (*k == 'c')
                        continue;
                sprintf(seen + strlen(seen), "%s%s,", k, v ? "" : "=null");
        }
        assert_string_equal(seen, "a,b=null,d,");
        int n = 0;
        KC_JSON_FOREACH(o, k, v)
        {
                n++;
                if (!v)
                        break;
        }
        assert_int_equal(n, 2);
        KC_JSON_FOREACH(o, k, v) KC_JSON_FOREACH(o, k2, v2) n++;
        assert_int_equal(n, 18);
        KC_JSON_FOREACH(NULL, k, v) n++;
        KC_JSON_FOREACH(kc_json_get(o, "a"), k, v) n++;
        assert_int_equal(n, 18);
        KC_JSON_FOREACH(o, k, v)
        {
                if (v)
                        kc_json_del(o, k);
        }
        assert_prints(o, "{\"b\":null}");
}

static void test_changing(void **state)
{
        (void)state;
        KC_CLEANUP(kc_json_freep) struct json_object *o = json_object_new_object();
        kc_json_set_str(o, "kind", "Pod");
        kc_json_set_int(o, "n", 1);
        kc_json_set_bool(o, "b", true);
        kc_json_set_str(o, "kind", kc_json_str(o, "kind")); /* a value of the tree itself */
        kc_json_set(o, "n", NULL);
        assert_prints(o, "{\"kind\":\"Pod\",\"n\":null,\"b\":true}");
        kc_json_set_str(o, "b", NULL);
        kc_json_del(o, "n");
        kc_json_del(o, "none");
        kc_json_set_str(kc_json_ensure_obj(o, "metadata.labels"), "app.kubernetes.io/name", "x");
        kc_json_push_str(kc_json_ensure_arr(o, "spec.args"), "a");
        kc_json_push(kc_json_ensure_arr(o, "spec.args"), json_object_new_int64(2));
        kc_json_push_str(kc_json_ensure_arr(o, "kind"), NULL);
        assert_prints(o, "{\"kind\":[null],\"metadata\":{\"labels\":{\"app.kubernetes.io/"
                         "name\":\"x\"}},\"spec\":{\"args\":[\"a\",2]}}");
        struct json_object *labels = kc_json_at_mut(o, "metadata.labels");
        kc_json_set(kc_json_get_mut(o, "metadata"), "labels", labels); /* what is there already */
        assert_int_equal(kc_json_n_keys(kc_json_at(o, "metadata.labels")), 1);
        assert_non_null(kc_json_idx_mut(kc_json_at_mut(o, "spec.args"), 1));
}

static void test_copy_and_equal(void **state)
{
        (void)state;
        KC_CLEANUP(kc_json_freep) struct json_object *a = parse("{\"a\":[1,2.5,\"x\",null,true],\"b\":{}}");
        KC_CLEANUP(kc_json_freep) struct json_object *b = parse("{\"b\":{},\"a\":[1,2.5,\"x\",null,true]}");
        KC_CLEANUP(kc_json_freep) struct json_object *copy = kc_json_copy(a);
        assert_true(kc_json_equal(a, b));
        assert_true(kc_json_equal(a, copy));
        kc_json_push_str(kc_json_get_mut(copy, "a"), "more");
        assert_false(kc_json_equal(a, copy));
        assert_prints(a, "{\"a\":[1,2.5,\"x\",null,true],\"b\":{}}");
        assert_null(kc_json_copy(NULL));
        static const char *const different[][2] = {{"1", "1.0"}, {"null", "{}"}, {"{\"a\":null}", "{}"},
            {"{\"a\":null}", "{\"b\":null}"}, {"[1]", "[2]"}, {"[]", "{}"}, {"true", "false"}, {"\"a\"", "\"b\""},
            {"0.5", "0.25"}};
        for (size_t i = 0; i < KC_ARRAY_LEN(different); i++) {
                KC_CLEANUP(kc_json_freep) struct json_object *x = parse(different[i][0]), *y = parse(different[i][1]);
                assert_false(kc_json_equal(x, y));
                assert_true(kc_json_equal(x, x));
        }
}

static void test_printing(void **state)
{
        (void)state;
        KC_CLEANUP(kc_json_freep) struct json_object *o = parse("{\"b\":{\"z\":1,\"y\":[]},\"a\":[1,{}],\"B\":null}");
        struct kc_buf b = KC_BUF_INIT;
        kc_json_write_sorted(&b, o);
        assert_string_equal(b.data, "{\"B\":null,\"a\":[1,{}],\"b\":{\"y\":[],\"z\":1}}");
        kc_buf_reset(&b);
        kc_json_write_pretty(&b, o, 4, true);
        assert_string_equal(b.data, "{\n    \"B\": null,\n    \"a\": [\n        1,\n        {}\n    ],\n"
                                    "    \"b\": {\n        \"y\": [],\n        \"z\": 1\n    }\n}");
        kc_buf_done(&b);
        KC_CLEANUP(kc_json_freep) struct json_object *u = json_object_new_uint64(UINT64_MAX);
        assert_prints(u, "18446744073709551615");
        KC_CLEANUP(kc_json_freep) struct json_object *copy = kc_json_copy(u);
        assert_true(kc_json_equal(u, copy));
}

static void test_build(void **state)
{
        (void)state;
        struct json_object *inner = parse("{\"x\":[1]}");
        KC_CLEANUP(kc_json_freep)
        struct json_object *o = kc_json_build(
            "{'kind':'It\\'s \"%s\"', %s:%s, 'n':%s, \"d\":[%d,%lld,%ld,%f,%b,%b,-1.5,null], 'o':%o, 'none':%o}", "key",
            "va\"l\n", (char *)NULL, -3, 1LL << 40, 5L, 0.25, true, false, inner, (struct json_object *)NULL);
        assert_prints(o,
            "{\"kind\":\"It's \\\"%s\\\"\",\"key\":\"va\\\"l\\n\",\"n\":null,\"d\":[-3,1099511627776,5,0.25,true,false,"
            "-1.5,null],\"o\":{\"x\":[1]},\"none\":null}");
}

/* fieldsV1 of managedFields, and nothing else, stays text; to printers and comparisons it is what it says. */
static void test_raw_fields(void **state)
{
        static const char text[] =
            "{\"metadata\":{\"managedFields\":[{\"manager\":\"a\",\"fieldsV1\":{\"f:b\":{},\"f:a\":{\".\":{}}}}],"
            "\"labels\":{\"fieldsV1\":\"x\"}},\"spec\":{\"managedFields\":[{\"fieldsV1\":{\"a\":{}}}]}}";
        static const char loose[] =
            "{\"metadata\":{\"managedFields\":[{\"fieldsV1\": { \"a\":{}}},{\"fieldsV1\":{\"a\":1}},"
            "{\"fieldsV1\":{\"a\":{}}}]}}";
        (void)state;
        struct json_object *o = NULL, *plain = NULL, *l = NULL;
        assert_int_equal(kc_json_parse(text, strlen(text), &kc_json_object_limits, &o, NULL), 0);
        assert_int_equal(kc_json_parse(text, strlen(text), NULL, &plain, NULL), 0);
        const struct json_object *fields =
            kc_json_get(kc_json_idx(kc_json_at(o, "metadata.managedFields"), 0), "fieldsV1");
        assert_string_equal(kc_json_raw(fields), "{\"f:b\":{},\"f:a\":{\".\":{}}}");
        assert_false(kc_json_is_obj(fields));
        assert_true(kc_json_is_obj(kc_json_get(kc_json_idx(kc_json_at(o, "spec.managedFields"), 0), "fieldsV1")));
        assert_true(kc_json_equal(o, plain));
        assert_true(kc_json_equal(plain, o));
        struct json_object *copy = kc_json_copy(o);
        assert_true(kc_json_equal(o, copy));
        char *again = kc_json_to_str(copy);
        assert_string_equal(again, text);
        kc_free(again);
        struct kc_buf b = KC_BUF_INIT, want = KC_BUF_INIT;
        kc_json_write_sorted(&b, o);
        kc_json_write_sorted(&want, plain);
        assert_string_equal(kc_buf_str(&b), kc_buf_str(&want));
        kc_buf_reset(&b);
        kc_buf_reset(&want);
        kc_json_write_pretty(&b, o, 2, false);
        kc_json_write_pretty(&want, plain, 2, false);
        assert_string_equal(kc_buf_str(&b), kc_buf_str(&want));
        kc_buf_done(&b);
        kc_buf_done(&want);
        /* what is not compact, or holds more than objects, is a tree */
        assert_int_equal(kc_json_parse(loose, strlen(loose), &kc_json_object_limits, &l, NULL), 0);
        const struct json_object *list = kc_json_at(l, "metadata.managedFields");
        assert_null(kc_json_raw(kc_json_get(kc_json_idx(list, 0), "fieldsV1")));
        assert_null(kc_json_raw(kc_json_get(kc_json_idx(list, 1), "fieldsV1")));
        assert_string_equal(kc_json_raw(kc_json_get(kc_json_idx(list, 2), "fieldsV1")), "{\"a\":{}}");
        kc_json_free(o);
        kc_json_free(plain);
        kc_json_free(copy);
        kc_json_free(l);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_values),
            cmocka_unit_test(test_numbers),
            cmocka_unit_test(test_strings),
            cmocka_unit_test(test_errors),
            cmocka_unit_test(test_limits),
            cmocka_unit_test(test_duplicates),
            cmocka_unit_test(test_reading),
            cmocka_unit_test(test_foreach),
            cmocka_unit_test(test_changing),
            cmocka_unit_test(test_copy_and_equal),
            cmocka_unit_test(test_printing),
            cmocka_unit_test(test_build),
            cmocka_unit_test(test_raw_fields),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
