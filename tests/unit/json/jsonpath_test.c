/* JSONPath templates, against what client-go's engine answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "json/jsonpath.h"

static const char document[] =
    "{\"kind\":\"List\",\"n\":3,\"f\":1.5,\"big\":1e21,\"million\":1000000.0,\"yes\":true,\"nothing\":null,"
    "\"a.b\":\"dotted\",\"items\":["
    "{\"kind\":\"Pod\",\"metadata\":{\"name\":\"p1\",\"labels\":{\"app\":\"web\",\"b\":\"1\"}},\"status\":{"
    "\"restarts\":2,"
    "\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\"},{\"type\":\"Initialized\",\"status\":\"False\"}]}},"
    "{\"kind\":\"Pod\",\"metadata\":{\"name\":\"p2\"},\"status\":{\"restarts\":5,\"conditions\":[]}},"
    "{\"kind\":\"Node\",\"metadata\":{\"name\":\"n1\"},\"spec\":{\"unschedulable\":true}}]}";

static char *eval(const char *template, bool allow_missing)
{
        KC_CLEANUP(kc_json_freep) struct json_object *o = NULL;
        KC_CLEANUP(kc_jsonpath_freep) struct kc_jsonpath *p = NULL;
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        struct kc_buf out = KC_BUF_INIT;
        assert_int_equal(kc_json_parse(document, strlen(document), NULL, &o, NULL), 0);
        if (kc_jsonpath_parse(template, &p, &err) < 0)
                return kc_asprintf("parse: %s", kc_error_message(&err));
        if (kc_jsonpath_print(p, o, allow_missing, &out, &err) < 0) {
                kc_buf_done(&out);
                return kc_asprintf("error: %s", kc_error_message(&err));
        }
        return kc_buf_take_str(&out);
}

static void test_print(void **state)
{
        (void)state;
        static const struct {
                const char *template, *want;
        } rows[] = {
            {"plain", "plain"},
            {"", ""},
            {"{.kind}", "List"},
            {"{$.kind} {@.kind}", "List List"},
            {"{.n} {.f} {.big} {.million} {.yes}", "3 1.5 1e+21 1e+06 true"},
            {"<{.nothing}>", "<>"},
            {"{.items[*].metadata.name}", "p1 p2 n1"},
            {"{.items[0].metadata.name}", "p1"},
            {"{.items[-1].metadata.name}", "n1"},
            {"{.items[-2:].metadata.name}", "p2 n1"},
            {"{.items[0:3:2].metadata.name}", "p1 n1"},
            {"{.items[0,2].metadata.name}", "p1 n1"},
            {"{.items[:].kind}", "Pod Pod Node"},
            {"{['a.b']} {.a\\.b}", "dotted dotted"},
            {"{.items[0].metadata['name','labels']}", "p1 {\"app\":\"web\",\"b\":\"1\"}"},
            {"{.items[0].metadata.labels}", "{\"app\":\"web\",\"b\":\"1\"}"},
            {"{.items[0].metadata.labels.*}", "web 1"},
            {"{..name}", "p1 p2 n1"},
            {"{.items[?(@.kind==\"Pod\")].metadata.name}", "p1 p2"},
            {"{.items[?(@.kind != 'Pod')].metadata.name}", "n1"},
            {"{.items[?(@.status.restarts>2)].metadata.name}", "p2"},
            {"{.items[?(@.status.restarts<=2)].metadata.name}", "p1"},
            {"{.items[?(@.spec.unschedulable)].metadata.name}", "n1"},
            {"{.items[?(@.spec.unschedulable==true)].metadata.name}", "n1"},
            {"{.items[*].status.conditions[?(@.type=='Ready')].status}", "True"},
            {"{range .items[*]}{.metadata.name}={.kind}{\"\\n\"}{end}", "p1=Pod\np2=Pod\nn1=Node\n"},
            {"{range .items[*]}[{range .status.conditions[*]}{.type},{end}]{end}.", "[Ready,Initialized,][][]."},
            {"{.items[*]['metadata.name']}", ""},
            {"{.no.such.key}", ""},
            {"a{\"\\t\"}b{'c'}", "a\tbc"},
        };
        for (size_t i = 0; i < KC_ARRAY_LEN(rows); i++) {
                KC_CLEANUP(kc_freep) char *got = eval(rows[i].template, true);
                if (strcmp(got, rows[i].want) != 0)
                        fail_msg("%s: got %s, want %s", rows[i].template, got, rows[i].want);
        }
}

static void test_errors(void **state)
{
        (void)state;
        static const struct {
                const char *template, *want;
        } rows[] = {
            {"{.kind", "parse: unclosed action"},
            {"{1e7777}", "parse: cannot parse number 1e7777"},
            {"{!}", "parse: unrecognized character in action: U+0021 '!'"},
            {"{.items[}", "parse: unterminated array"},
            {"{.items[x]}", "parse: invalid array index x"},
            {"{.items[?(@.a}", "parse: unterminated filter"},
            {"{....name}", "parse: invalid multiple recursive descent"},
            {"{end}", "parse: not in range, nothing to end"},
            {"{\"a}", "parse: unterminated quoted string"},
            {"{hello}", "parse: unrecognized identifier hello"},
            {"{.nope}", "error: nope is not found"},
            {"{.items[5]}", "error: array index out of bounds: index 5, length 3"},
            {"{.kind[0]}", "error: List is not array or slice"},
            {"{.items[?(@.kind==1)]}", "error: incompatible types for comparison"},
            {"{.items[2:1]}", "error: starting index 2 is greater than ending index 1"},
            {"{.items[::0]}", "error: step must be > 0"},
        };
        for (size_t i = 0; i < KC_ARRAY_LEN(rows); i++) {
                KC_CLEANUP(kc_freep) char *got = eval(rows[i].template, false);
                if (strcmp(got, rows[i].want) != 0)
                        fail_msg("%s: got %s, want %s", rows[i].template, got, rows[i].want);
        }
}

static void test_depth_is_limited(void **state)
{
        (void)state;
        KC_CLEANUP(kc_buf_done) struct kc_buf deep = KC_BUF_INIT;
        for (int i = 0; i < 100; i++)
                kc_buf_adds(&deep, "{range .items[*]}");
        KC_CLEANUP(kc_freep) char *got = eval(kc_buf_str(&deep), true);
        assert_string_equal(got, "parse: nested too deep");
}

static void test_relax(void **state)
{
        (void)state;
        static const char *const rows[][2] = {
            {"metadata.name", "{.metadata.name}"},
            {".metadata.name", "{.metadata.name}"},
            {"{metadata.name}", "{.metadata.name}"},
            {"{.metadata.name}", "{.metadata.name}"},
        };
        for (size_t i = 0; i < KC_ARRAY_LEN(rows); i++) {
                KC_CLEANUP(kc_freep) char *got = NULL;
                assert_int_equal(kc_jsonpath_relax(rows[i][0], &got, NULL), 0);
                assert_string_equal(got, rows[i][1]);
        }
        char *none = NULL;
        assert_true(kc_jsonpath_relax("{a", &none, NULL) < 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_print),
            cmocka_unit_test(test_errors),
            cmocka_unit_test(test_depth_is_limited),
            cmocka_unit_test(test_relax),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
