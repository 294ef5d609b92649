/* Label and field selectors: what they match, their text, their messages. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/selector.h"
#include "base/mem.h"
#include "base/str.h"

static void assert_parses(const char *text, const char *want)
{
        KC_CLEANUP(kc_selector_freep) struct kc_selector *s = NULL;
        struct kc_error err = KC_ERROR_INIT;
        if (kc_selector_parse(text, &s, &err) < 0)
                fail_msg("%s: %s", text, kc_error_message(&err));
        KC_CLEANUP(kc_freep) char *got = kc_selector_format(s);
        assert_string_equal(got, want);
}

static void test_canonical(void **state)
{
        (void)state;
        assert_parses("", "");
        assert_parses("  ", "");
        assert_parses("x=a,y=b,z=c", "x=a,y=b,z=c");
        assert_parses("z=c,x=a", "x=a,z=c");
        assert_parses("x!=a", "x!=a");
        assert_parses("x==a", "x==a");
        assert_parses("x=", "x=");
        assert_parses("x= ,z", "x=,z");
        assert_parses("!x", "!x");
        assert_parses(" x , ! y", "x,!y");
        assert_parses("x>1,y<2", "x>1,y<2");
        assert_parses("x in (b,a,b)", "x in (a,b)");
        assert_parses("x notin ()", "x notin ()");
        assert_parses("x in (,a)", "x in (,a)");
        assert_parses("x in (a,)", "x in (,a)");
        assert_parses("x in (a,,b)", "x in (,a,b)");
        assert_parses("x notin(abc)", "x notin (abc)");
        assert_parses("value in (in,notin)", "value in (in,notin)");
        assert_parses("in in (in)", "in in (in)");
        assert_parses("example.com/a=b", "example.com/a=b");
}

static void assert_fails(const char *text, const char *message)
{
        struct kc_selector *s = NULL;
        struct kc_error err = KC_ERROR_INIT;
        assert_int_equal(kc_selector_parse(text, &s, &err), -EINVAL);
        assert_string_equal(kc_error_message(&err), message);
        assert_string_equal(err.reason, "BadRequest");
        kc_error_done(&err);
}

#define NAME                                                                                                           \
        "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "          \
        "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "           \
        "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"

static void test_messages(void **state)
{
        (void)state;
        assert_fails("x=a||y=b",
            "unable to parse requirement: values[0][x]: Invalid value: \"a||y\": a valid label must be an empty string "
            "or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
            "character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
            "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')");
        assert_fails("x==a==b", "found '==', expected: ',' or 'end of string'");
        assert_fails("!x=a", "found '=', expected: ',' or 'end of string'");
        assert_fails("x in a", "unable to parse requirement: found 'a' expected: '('");
        assert_fails("x in (a", "unable to parse requirement: found '', expected: ',' or ')'");
        assert_fails("x in (=)", "unable to parse requirement: found '=', expected: ',', ')' or identifier");
        assert_fails("x,", "found '', expected: identifier after ','");
        assert_fails(",x", "found ',', expected: !, identifier, or 'end of string'");
        assert_fails("x y", "unable to parse requirement: found 'y', expected: in, notin, =, ==, !=, gt, lt");
        assert_fails("x=(", "unable to parse requirement: found '(', expected: identifier");
        assert_fails("_x=a", "unable to parse requirement: <nil>: Invalid value: \"_x\": " NAME);
        assert_fails("x>a",
            "unable to parse requirement: values[0]: Invalid value: \"a\": for 'Gt', 'Lt' operators, the value must be "
            "an integer");
}

static bool matches(const char *selector, const char *labels)
{
        KC_CLEANUP(kc_selector_freep) struct kc_selector *s = NULL;
        KC_CLEANUP(kc_json_freep) struct json_object *tree = NULL;
        assert_int_equal(kc_selector_parse(selector, &s, NULL), 0);
        assert_int_equal(kc_json_parse(labels, strlen(labels), NULL, &tree, NULL), 0);
        return kc_selector_matches(s, tree);
}

static void test_matching(void **state)
{
        (void)state;
        assert_true(matches("", "{}"));
        assert_true(matches("x=a", "{\"x\":\"a\",\"y\":\"b\"}"));
        assert_false(matches("x=a", "{\"x\":\"b\"}"));
        assert_false(matches("x=", "{}"));
        assert_true(matches("x=", "{\"x\":\"\"}"));
        assert_true(matches("x!=a", "{}"));
        assert_false(matches("x!=a", "{\"x\":\"a\"}"));
        assert_true(matches("x in (a,b)", "{\"x\":\"b\"}"));
        assert_true(matches("x notin (a,b)", "{}"));
        assert_false(matches("x", "{}"));
        assert_true(matches("!x", "{}"));
        assert_true(matches("x>5", "{\"x\":\"6\"}"));
        assert_false(matches("x>5", "{\"x\":\"5\"}"));
        assert_false(matches("x<5", "{\"x\":\"four\"}"));
        assert_false(matches("x=a,y=b", "{\"x\":\"a\"}"));
}

static struct kc_selector *from(const char *text)
{
        struct kc_selector *s = NULL;
        KC_CLEANUP(kc_json_freep) struct json_object *tree = NULL;
        assert_int_equal(kc_json_parse(text, strlen(text), NULL, &tree, NULL), 0);
        assert_int_equal(kc_selector_from_label_selector(tree, &s, NULL), 0);
        return s;
}

static void test_label_selector(void **state)
{
        (void)state;
        KC_CLEANUP(kc_selector_freep) struct kc_selector *nothing = from("null"), *all = from("{}");
        KC_CLEANUP(kc_selector_freep)
        struct kc_selector *s =
            from("{\"matchLabels\":{\"b\":\"1\"},\"matchExpressions\":[{\"key\":\"a\",\"operator\":\"In\","
                 "\"values\":[\"y\",\"x\"]},{\"key\":\"c\",\"operator\":\"DoesNotExist\"}]}");
        KC_CLEANUP(kc_freep) char *text = kc_selector_format(s);
        KC_CLEANUP(kc_json_freep) struct json_object *map = kc_json_build("{'z':'1','a':''}");
        KC_CLEANUP(kc_selector_freep) struct kc_selector *plain = kc_selector_from_map(map);
        KC_CLEANUP(kc_freep) char *plain_text = kc_selector_format(plain);
        assert_false(kc_selector_matches(nothing, NULL));
        assert_false(kc_selector_is_everything(nothing));
        assert_true(kc_selector_matches(all, NULL));
        assert_true(kc_selector_is_everything(all));
        assert_string_equal(text, "a in (x,y),b=1,!c");
        assert_string_equal(plain_text, "a=,z=1");
}

static void test_bad_label_selector(void **state)
{
        (void)state;
        KC_CLEANUP(kc_json_freep)
        struct json_object *op = kc_json_build("{'matchExpressions':[{'key':'a','operator':'is'}]}");
        KC_CLEANUP(kc_json_freep)
        struct json_object *values = kc_json_build("{'matchExpressions':[{'key':'a','operator':'In'}]}");
        struct kc_selector *s = NULL;
        struct kc_error err = KC_ERROR_INIT;
        assert_int_equal(kc_selector_from_label_selector(op, &s, &err), -EINVAL);
        assert_string_equal(kc_error_message(&err), "\"is\" is not a valid label selector operator");
        assert_int_equal(kc_selector_from_label_selector(values, &s, &err), -EINVAL);
        assert_string_equal(kc_error_message(&err),
            "values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty");
        kc_error_done(&err);
}

static const char *get_field(const char *field, void *arg)
{
        return kc_json_str_at(arg, field);
}

static void test_field_selector(void **state)
{
        (void)state;
        KC_CLEANUP(kc_json_freep)
        struct json_object *pod = kc_json_build("{'metadata':{'name':'a,b'},'status':{'phase':'Running'}}");
        KC_CLEANUP(kc_field_selector_freep) struct kc_field_selector *s = NULL;
        assert_int_equal(
            kc_field_selector_parse("metadata.name=a\\,b,status.phase!=Failed,spec.nodeName==,", &s, NULL), 0);
        assert_int_equal(kc_field_selector_len(s), 3);
        assert_true(kc_field_selector_matches(s, get_field, pod));
        assert_string_equal(kc_field_selector_requires(s, "metadata.name"), "a,b");
        assert_string_equal(kc_field_selector_requires(s, "spec.nodeName"), "");
        assert_null(kc_field_selector_requires(s, "status.phase"));
        kc_json_set_str(kc_json_ensure_obj(pod, "status"), "phase", "Failed");
        assert_false(kc_field_selector_matches(s, get_field, pod));
}

static void test_bad_field_selector(void **state)
{
        (void)state;
        static const char *const cases[][2] = {
            {"metadata.name", "invalid selector: 'metadata.name'; can't understand 'metadata.name'"},
            {"a=b=c", "invalid field selector: unescaped character: ="},
            {"a=\\x", "invalid field selector: invalid escape sequence: \\x"},
        };
        for (size_t i = 0; i < KC_ARRAY_LEN(cases); i++) {
                struct kc_field_selector *s = NULL;
                struct kc_error err = KC_ERROR_INIT;
                assert_int_equal(kc_field_selector_parse(cases[i][0], &s, &err), -EINVAL);
                assert_string_equal(kc_error_message(&err), cases[i][1]);
                kc_error_done(&err);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_canonical),
            cmocka_unit_test(test_messages),
            cmocka_unit_test(test_matching),
            cmocka_unit_test(test_label_selector),
            cmocka_unit_test(test_bad_label_selector),
            cmocka_unit_test(test_field_selector),
            cmocka_unit_test(test_bad_field_selector),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
