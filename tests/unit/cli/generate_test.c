/* Objects from arguments: what kubectl makes of the same ones. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/str.h"
#include "cli/generate/generate.h"

static void expect(struct json_object *take_o, const char *text)
{
        KC_CLEANUP(kc_json_freep) struct json_object *o = take_o;
        assert_int_equal(kc_generate_complete(o, NULL), 0);
        KC_CLEANUP(kc_freep) char *got = kc_json_to_str(o);
        assert_string_equal(got, text);
}

static void test_a_deployment(void **state)
{
        (void)state;
        char image[] = "reg/web:1";
        char *images[] = {image, NULL};
        expect(kc_generate_deployment("d", images, 2, 80, NULL),
            "{\"kind\":\"Deployment\",\"apiVersion\":\"apps/"
            "v1\",\"metadata\":{\"name\":\"d\",\"labels\":{\"app\":\"d\"}},"
            "\"spec\":{\"replicas\":2,\"selector\":{\"matchLabels\":{\"app\":\"d\"}},\"template\":{\"metadata\":{"
            "\"labels\":{\"app\":\"d\"}},\"spec\":{\"containers\":[{\"name\":\"web\",\"image\":\"reg/"
            "web:1\",\"ports\":[{"
            "\"containerPort\":80}],\"resources\":{}}]}},\"strategy\":{}},\"status\":{}}");
}

static void test_data(void **state)
{
        (void)state;
        char a[] = "a=b=c", bad[] = "ab";
        char *literals[] = {a, NULL}, *twice[] = {a, a, NULL}, *broken[] = {bad, NULL};
        struct json_object *o = NULL;
        struct kc_error err = KC_ERROR_INIT;
        struct kc_generate_data d = {.name = "c", .literals = literals, .append_hash = true};
        assert_int_equal(kc_generate_config_map(&d, &o, &err), 0);
        expect(o,
            "{\"kind\":\"ConfigMap\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"c-hc2g5d9t7m\"},\"data\":{\"a\":"
            "\"b=c\"}}");
        d = (struct kc_generate_data){.name = "s", .literals = literals};
        assert_int_equal(kc_generate_secret(&d, "t", &o, &err), 0);
        expect(o, "{\"kind\":\"Secret\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"s\"},\"data\":{\"a\":\"Yj1j\"},"
                  "\"type\":\"t\"}");
        d.literals = twice;
        assert_int_equal(kc_generate_config_map(&d, &o, &err), -EEXIST);
        assert_string_equal(
            err.message, "cannot add key \"a\", another key by that name already exists in Data for ConfigMap \"s\"");
        d.literals = broken;
        assert_int_equal(kc_generate_config_map(&d, &o, &err), -EINVAL);
        assert_string_equal(err.message, "invalid literal source ab, expected key=value");
        kc_error_done(&err);
}

static void test_services(void **state)
{
        (void)state;
        char tcp[] = "80:http";
        char *ports[] = {tcp, NULL};
        struct json_object *o = NULL;
        struct kc_error err = KC_ERROR_INIT;
        struct kc_generate_service s = {.name = "s", .type = "ClusterIP", .tcp = ports};
        assert_int_equal(kc_generate_service(&s, &o, &err), 0);
        expect(o,
            "{\"kind\":\"Service\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"s\",\"labels\":{\"app\":\"s\"}},"
            "\"spec\":{\"ports\":[{\"name\":\"80-http\",\"protocol\":\"TCP\",\"port\":80,\"targetPort\":\"http\"}],"
            "\"selector\":{\"app\":\"s\"},\"type\":\"ClusterIP\"},\"status\":{\"loadBalancer\":{}}}");
        s.tcp = NULL;
        assert_int_equal(kc_generate_service(&s, &o, &err), -EINVAL);
        assert_string_equal(err.message, "at least one tcp port specifier must be provided");
        kc_error_done(&err);
}

static void expect_rule(const char *rule, const char *text)
{
        KC_CLEANUP(kc_freep) char *copy = kc_strdup(rule);
        char *rules[] = {copy, NULL};
        struct kc_generate_ingress i = {.name = "i", .rules = rules};
        struct json_object *o = NULL;
        if (!text) {
                assert_int_equal(kc_generate_ingress(&i, &o, NULL), -EINVAL);
                return;
        }
        assert_int_equal(kc_generate_ingress(&i, &o, NULL), 0);
        KC_CLEANUP(kc_json_freep) struct json_object *all = o;
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        kc_json_write_sorted(&b, kc_json_get(all, "spec"));
        assert_string_equal(kc_buf_str(&b), text);
}

static void test_ingress_rules(void **state)
{
        (void)state;
        expect_rule("a/b*=s:80,tls=t",
            "{\"rules\":[{\"host\":\"a\",\"http\":{\"paths\":[{\"backend\":{\"service\":{\"name\":\"s\",\"port\":{"
            "\"number\":80}}},\"path\":\"/b\",\"pathType\":\"Prefix\"}]}}],\"tls\":[{\"hosts\":[\"a\"],\"secretName\":"
            "\"t\"}]}");
        static const char *const bad[] = {
            "", "a", "a/b", "a/b=", "a/b=s", "a/b=s:", "a/b=:80", "a/b=s:80,", "a/b=s:80,x"};
        for (size_t i = 0; i < KC_ARRAY_LEN(bad); i++)
                expect_rule(bad[i], NULL);
}

static void test_label_selectors(void **state)
{
        (void)state;
        struct json_object *o = NULL;
        assert_int_equal(kc_generate_label_selector("b=c,a in (y,x),!d,e,f!=g", &o, NULL), 0);
        KC_CLEANUP(kc_json_freep) struct json_object *got = o;
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        kc_json_write_sorted(&b, got);
        assert_string_equal(kc_buf_str(&b),
            "{\"matchExpressions\":[{\"key\":\"a\",\"operator\":\"In\",\"values\":[\"x\",\"y\"]},{\"key\":\"d\","
            "\"operator\":\"DoesNotExist\"},{\"key\":\"e\",\"operator\":\"Exists\"},{\"key\":\"f\",\"operator\":"
            "\"NotIn\","
            "\"values\":[\"g\"]}],\"matchLabels\":{\"b\":\"c\"}}");
        assert_int_equal(kc_generate_label_selector("a in (", &o, NULL), -EINVAL);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_a_deployment),
            cmocka_unit_test(test_data),
            cmocka_unit_test(test_services),
            cmocka_unit_test(test_ingress_rules),
            cmocka_unit_test(test_label_selectors),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
