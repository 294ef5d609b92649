/* YAML in and out, as sigs.k8s.io/yaml. */
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
#include "json/yaml.h"

/* The documents as lines of JSON, or the error's message. */
static char *read_all(const char *text, const struct kc_json_limits *limits)
{
        struct kc_error err = KC_ERROR_INIT;
        struct json_object **docs;
        struct kc_buf b = KC_BUF_INIT;
        if (kc_yaml_parse_all(text, strlen(text), limits, &docs, &err) < 0) {
                kc_buf_addf(&b, "%s: %s", strerrorname_np(err.errnum), kc_error_message(&err));
                kc_error_done(&err);
                return kc_buf_take_str(&b);
        }
        for (size_t i = 0; docs[i]; i++) {
                if (i > 0)
                        kc_buf_addc(&b, '\n');
                kc_json_write(&b, docs[i]);
        }
        kc_yaml_free_all(docs);
        return kc_buf_take_str(&b);
}

static void assert_reads(const char *yaml, const char *want)
{
        KC_CLEANUP(kc_freep) char *got = read_all(yaml, NULL);
        assert_string_equal(got, want);
}

static void test_scalars(void **state)
{
        (void)state;
        static const char *const cases[][2] = {
            {"yes", "true"},
            {"Off", "false"},
            {"y", "true"},
            {"nO", "\"nO\""},
            {"~", "null"},
            {"", "null"},
            {"Null", "null"},
            {"0777", "511"},
            {"0o17", "15"},
            {"0x1F", "31"},
            {"0b101", "5"},
            {"-0b101", "-5"},
            {"+5", "5"},
            {"-7", "-7"},
            {"1_000", "1000"},
            {"08", "8"},
            {"1e3", "1000"},
            {".5", "0.5"},
            {"5.", "5"},
            {"1.5e-7", "1.5e-7"},
            {"1e999", "\"1e999\""},
            {"9223372036854775807", "9223372036854775807"},
            {"9223372036854775808", "9223372036854776000"},
            {"-9223372036854775808", "-9223372036854775808"},
            {"0xffffffffffffffff", "18446744073709552000"},
            {"12:30", "\"12:30\""},
            {"1.2.3", "\"1.2.3\""},
            {"2020-01-02", "\"2020-01-02\""},
            {"2020-01-02T03:04:05.98765432109876543210Z", "\"2020-01-02T03:04:05.98765432109876543210Z\""},
            {"2020-01-02T03:04:05Z", "\"2020-01-02T03:04:05Z\""},
            {"-", "[null]"},
            {"+", "\"+\""},
            {"0x", "\"0x\""},
            {"\"yes\"", "\"yes\""},
            {"'1'", "\"1\""},
            {"a b", "\"a b\""},
            {"!!str 1", "\"1\""},
            {"!!float 3", "3"},
            {"!!int \"3\"", "3"},
            {"!!binary aGk=", "\"hi\""},
            {"!custom 1", "\"1\""},
            {"\"\\u00e9\\n\"", "\"\xc3\xa9\\n\""},
            {"100m", "\"100m\""},
            {"1Gi", "\"1Gi\""},
        };
        for (size_t i = 0; i < KC_ARRAY_LEN(cases); i++) {
                KC_CLEANUP(kc_freep) char *yaml = kc_asprintf("a: %s", cases[i][0]);
                KC_CLEANUP(kc_freep) char *want = kc_asprintf("{\"a\":%s}", cases[i][1]);
                if (cases[i][0][0] == '-' && !cases[i][0][1])
                        assert_reads("a:\n- ", want);
                else
                        assert_reads(yaml, want);
        }
}

static void test_structure(void **state)
{
        (void)state;
        assert_reads("apiVersion: v1\nmetadata:\n  name: x\n  labels: {a: b}\nspec:\n- 1\n- - 2\n  - k: v\n",
            "{\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"x\",\"labels\":{\"a\":\"b\"}},\"spec\":[1,[2,{\"k\":\"v\"}"
            "]]}");
        assert_reads("a: |\n  x\n   y\nb: >-\n  x\n  y\nc: |+\n  x\n\n",
            "{\"a\":\"x\\n y\\n\",\"b\":\"x y\",\"c\":\"x\\n\\n\"}");
        assert_reads("1: a\ntrue: b\n1.5: c\n\"2\": d\non: e2\n",
            "EINVAL: error converting YAML to JSON: yaml: line 5: key \"true\" already set in map");
        assert_reads("1: a\ntrue: b\n1.5: c\n\"2\": d\n", "{\"1\":\"a\",\"true\":\"b\",\"1.5\":\"c\",\"2\":\"d\"}");
}

static void test_streams(void **state)
{
        (void)state;
        assert_reads("", "");
        assert_reads("# only a comment\n", "");
        assert_reads("---\n---\na: 1\n---\n# c\n--- \nb: 2\n...\n", "{\"a\":1}\n{\"b\":2}");
        assert_reads("%YAML 1.1\n---\na: 1\n", "{\"a\":1}");
        struct json_object *o = NULL;
        struct kc_error err = KC_ERROR_INIT;
        assert_int_equal(kc_yaml_parse("---\n---\n", 8, NULL, &o, &err), 0);
        assert_null(o);
        assert_int_equal(kc_yaml_parse("a: 1\n", 5, NULL, &o, &err), 0);
        assert_int_equal(kc_json_int(o, "a", 0), 1);
        kc_json_free(o);
        o = NULL;
        assert_int_equal(kc_yaml_parse("a: 1\n---\na: 1\n", 14, NULL, &o, &err), -EINVAL);
        assert_null(o);
        kc_error_done(&err);
}

static void test_json_is_yaml(void **state)
{
        (void)state;
        assert_reads("{\n\t\"a\": [1, 2.5, \"\\/\"],\n\t\"b\": \"yes\"}", "{\"a\":[1,2.5,\"/\"],\"b\":\"yes\"}");
        assert_reads(" [1]", "[1]");
        assert_reads("{a: 1}", "{\"a\":1}");
        assert_reads(
            "{\"a\":1,\"a\":2}", "EINVAL: error converting YAML to JSON: yaml: line 1: key \"a\" already set in map");
}

static void test_aliases_and_merges(void **state)
{
        (void)state;
        assert_reads(
            "a: &x {k: 1}\nb: *x\nc: [*x, *x]\n", "{\"a\":{\"k\":1},\"b\":{\"k\":1},\"c\":[{\"k\":1},{\"k\":1}]}");
        assert_reads("a: &x 1\nb: &x 2\nc: *x\n", "{\"a\":1,\"b\":2,\"c\":2}");
        assert_reads("a: &x\nb: *x\n", "{\"a\":null,\"b\":null}");
        assert_reads("&k a: 1\nb: *k\n", "{\"a\":1,\"b\":\"a\"}");
        assert_reads("d: &d {a: 1, b: 2}\ne: {<<: *d, b: 3}\nf: {b: 4, <<: [{c: 5}, *d, {c: 6}]}\n",
            "{\"d\":{\"a\":1,\"b\":2},\"e\":{\"b\":3,\"a\":1},\"f\":{\"b\":4,\"c\":5,\"a\":1}}");
        assert_reads("\"<<\": 1", "{\"<<\":1}");
        assert_reads(
            "a: &x {k: 1}\n---\nb: *x\n", "EINVAL: error converting YAML to JSON: yaml: unknown anchor 'x' referenced");
        assert_reads("a: &x [*x]\n", "EINVAL: error converting YAML to JSON: yaml: anchor 'x' value contains itself");
        assert_reads("<<: 1\n", "EINVAL: error converting YAML to JSON: yaml: line 1: map merge requires map or "
                                "sequence of maps as the value");
}

static void test_errors(void **state)
{
        (void)state;
        static const char *const cases[][2] = {
            {"a: 1\nb: 2\na: 3\n", "line 3: key \"a\" already set in map"},
            {"a: 1\n b: 2\n", "line 2: mapping values are not allowed in this context"},
            {"a:\n\t- b\n", "line 2: found character that cannot start any token"},
            {"a: [1\nb: 2\n", "line 1: did not find expected ',' or ']'"},
            {"a: .inf", "line 1: json: unsupported value: .inf"},
            {"a: -.Inf", "line 1: json: unsupported value: -.Inf"},
            {"a: .NaN", "line 1: json: unsupported value: .NaN"},
            {"a: \"\\0\"", "line 1: NUL character in string"},
            {"a: !!int x", "line 1: cannot decode scalar as a !!int"},
            {"a: !!binary \"*\"", "line 1: !!binary value contains invalid base64 data or no text"},
            {"? [a]\n: 1", "line 1: invalid map key: not a scalar"},
            {"~: 1", "line 1: invalid map key: null"},
            {"a: 'x", "found unexpected end of stream"},
        };
        for (size_t i = 0; i < KC_ARRAY_LEN(cases); i++) {
                KC_CLEANUP(kc_freep)
                char *want = kc_asprintf("EINVAL: error converting YAML to JSON: yaml: %s", cases[i][1]);
                assert_reads(cases[i][0], want);
        }
        KC_CLEANUP(kc_freep) char *utf8 = read_all("a: \xff\n", NULL);
        assert_int_equal(strncmp(utf8, "EINVAL: ", 8), 0);
}

static void test_limits(void **state)
{
        (void)state;
        struct kc_json_limits limits = {.max_bytes = 400, .max_depth = 4, .max_nodes = 50};
        KC_CLEANUP(kc_freep)
        char *bomb = read_all("a: &a [x,x,x,x]\nb: &b [*a,*a,*a]\nc: &c [*b,*b,*b]\nd: [*c,*c,*c]\n", &limits);
        assert_string_equal(bomb, "EMSGSIZE: error converting YAML to JSON: yaml: line 3: document contains excessive "
                                  "aliasing or too many values");
        KC_CLEANUP(kc_freep) char *text = kc_asprintf("a: &a x%0150d\nb: [*a, *a, *a]\n", 1);
        KC_CLEANUP(kc_freep) char *bytes = read_all(text, &limits);
        assert_string_equal(bytes, "EMSGSIZE: error converting YAML to JSON: yaml: line 2: document contains excessive "
                                   "aliasing or too many values");
        KC_CLEANUP(kc_freep) char *deep = read_all("[[[[[1]]]]]", &limits);
        assert_string_equal(deep, "EINVAL: error converting YAML to JSON: yaml: line 1: exceeded max depth");
        KC_CLEANUP(kc_freep) char *alias = read_all("a: &a [[1]]\nb: [[*a]]\n", &limits);
        assert_string_equal(alias, "EINVAL: error converting YAML to JSON: yaml: line 2: exceeded max depth");
        limits.max_bytes = 3;
        KC_CLEANUP(kc_freep) char *big = read_all("a: 1", &limits);
        assert_string_equal(big, "EMSGSIZE: 4 bytes of YAML are more than the limit of 3");
}

static void assert_writes(const char *json, const char *want)
{
        struct json_object *o = NULL, *again = NULL;
        struct kc_buf b = KC_BUF_INIT;
        assert_int_equal(kc_json_parse(json, strlen(json), NULL, &o, NULL), 0);
        kc_yaml_write(&b, o);
        assert_string_equal(b.data, want);
        /* What is written reads back as the same; numbers may become integers. */
        assert_int_equal(kc_yaml_parse(b.data, b.len, NULL, &again, NULL), 0);
        struct kc_buf twice = KC_BUF_INIT;
        kc_yaml_write(&twice, again);
        assert_string_equal(twice.data, want);
        kc_buf_done(&twice);
        kc_buf_done(&b);
        kc_json_free(again);
        kc_json_free(o);
}

static void test_writing(void **state)
{
        (void)state;
        assert_writes("{\"kind\":\"List\",\"items\":[{\"b\":1,\"a\":[\"x\",[\"y\"]]},[],{}],\"apiVersion\":\"v1\"}",
            "apiVersion: v1\nitems:\n- a:\n  - x\n  - - \"y\"\n  b: 1\n- []\n- {}\nkind: List\n");
        assert_writes("{\"a\":\"true\",\"b\":\"1\",\"c\":\"null\",\"d\":\"\",\"e\":\"1e3\",\"f\":\"2020-01-02T03:04:"
                      "05Z\",\"g\":\"12:30:45\"}",
            "a: \"true\"\nb: \"1\"\nc: \"null\"\nd: \"\"\ne: \"1e3\"\nf: \"2020-01-02T03:04:05Z\"\ng: \"12:30:45\"\n");
        assert_writes("{\"a\":\"a: b\",\"b\":\"*x\",\"c\":\" x\",\"d\":\"#x\",\"e\":\"a "
                      "#b\",\"f\":\"it's\",\"g\":\"@x\",\"h\":\"{x}\",\"i\":\"- x\"}",
            "a: 'a: b'\nb: '*x'\nc: ' x'\nd: '#x'\ne: 'a #b'\nf: it's\ng: '@x'\nh: '{x}'\ni: '- x'\n");
        assert_writes("{\"a\":\"x\\ny\\n\",\"b\":\"x\\ny\",\"c\":\"x\\n\\n\"}",
            "a: |\n  x\n  y\nb: |-\n  x\n  y\nc: |+\n  x\n\n");
        assert_writes("{\"a\":null,\"b\":true,\"c\":-5,\"d\":0.5,\"e\":1e21,\"f\":1234567.5,\"h\":1e-7}",
            "a: null\nb: true\nc: -5\nd: 0.5\ne: 1e+21\nf: 1.2345675e+06\nh: 1e-07\n");
        assert_writes("{\"d\":12.0}", "d: 12\n");
        assert_writes("{\"<<\":1}", "\"<<\": 1\n"); /* not a merge */
        assert_writes("[]", "[]\n");
        assert_writes("\"x\"", "x\n");
        assert_writes("{\"a\":\"\xc3\xa9\\t\\u0001\"}", "a: \"\xc3\xa9\\t\\x01\"\n");
}

static void test_order_of_keys(void **state)
{
        (void)state;
        assert_writes(
            "{\"a10\":1,\"a2\":1,\"a\":1,\"B\":1,\"a.b\":1,\"a/b\":1,\"ab\":1,\"10\":1,\"9\":1,\"a01\":1,\"a1\":1}",
            "\"9\": 1\n\"10\": 1\nB: 1\na: 1\na.b: 1\na/b: 1\na1: 1\na01: 1\na2: 1\na10: 1\nab: 1\n");
        assert_writes("{\"true\":1,\"y\":2,\"1\":3}", "\"1\": 3\n\"true\": 1\n\"y\": 2\n");
}

static void test_long_lines_fold(void **state)
{
        (void)state;
        assert_writes(
            "{\"message\":\"containers with unready status: [web] and some more words to make it long enough\"}",
            "message: 'containers with unready status: [web] and some more words to make it long\n  enough'\n");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_scalars),
            cmocka_unit_test(test_structure),
            cmocka_unit_test(test_streams),
            cmocka_unit_test(test_json_is_yaml),
            cmocka_unit_test(test_aliases_and_merges),
            cmocka_unit_test(test_errors),
            cmocka_unit_test(test_limits),
            cmocka_unit_test(test_writing),
            cmocka_unit_test(test_order_of_keys),
            cmocka_unit_test(test_long_lines_fold),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
