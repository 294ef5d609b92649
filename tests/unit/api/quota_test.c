/* What objects use of quotas, scopes and demands. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "api/quota.h"
#include "base/mem.h"
#include "base/str.h"

static struct json_object *parse(const char *text)
{
        struct json_object *o = NULL;
        assert_int_equal(kc_json_parse(text, strlen(text), NULL, &o, NULL), 0);
        return o;
}

static kc_time at(const char *text)
{
        kc_time t;
        assert_int_equal(kc_time_parse(text, &t), 0);
        return t;
}

static void expect_usage(const char *group, const char *resource, const char *object, const char *expected)
{
        KC_CLEANUP(kc_json_freep) struct json_object *o = parse(object);
        KC_CLEANUP(kc_json_freep)
        struct json_object *used = kc_quota_usage(group, resource, o, at("2026-01-01T00:00:00Z"));
        struct kc_buf b = KC_BUF_INIT;
        kc_json_write_sorted(&b, used);
        assert_string_equal(kc_buf_str(&b), expected);
        kc_buf_done(&b);
}

static void test_usage(void **state)
{
        (void)state;
        static const struct {
                const char *group, *resource, *object, *used;
        } cases[] = {
            {"apps", "deployments", "{}", "{\"count/deployments.apps\":\"1\"}"},
            {"", "secrets", "{}", "{\"count/secrets\":\"1\",\"secrets\":\"1\"}"},
            {"", "services", "{\"spec\":{\"type\":\"NodePort\",\"ports\":[{},{}]}}",
                "{\"count/services\":\"1\",\"services\":\"1\",\"services.loadbalancers\":\"0\",\"services.nodeports\":"
                "\"2\"}"},
            {"", "services",
                "{\"spec\":{\"type\":\"LoadBalancer\",\"allocateLoadBalancerNodePorts\":false,\"ports\":[{\"nodePort\":"
                "30000},{}]}}",
                "{\"count/services\":\"1\",\"services\":\"1\",\"services.loadbalancers\":\"1\",\"services.nodeports\":"
                "\"1\"}"},
            {"", "persistentvolumeclaims",
                "{\"spec\":{\"storageClassName\":\"gold\",\"resources\":{\"requests\":{\"storage\":\"1500m\"}}},"
                "\"status\":{\"allocatedResources\":{\"storage\":\"3\"}}}",
                "{\"count/persistentvolumeclaims\":\"1\","
                "\"gold.storageclass.storage.k8s.io/persistentvolumeclaims\":\"1\","
                "\"gold.storageclass.storage.k8s.io/requests.storage\":\"3\",\"persistentvolumeclaims\":\"1\","
                "\"requests.storage\":\"3\"}"},
            {"resource.k8s.io", "resourceclaims",
                "{\"spec\":{\"devices\":{\"requests\":[{\"exactly\":{\"deviceClassName\":\"gpu\",\"allocationMode\":"
                "\"All\"}},{\"firstAvailable\":[{\"deviceClassName\":\"gpu\",\"allocationMode\":\"ExactCount\","
                "\"count\":"
                "2},{\"deviceClassName\":\"gpu\",\"allocationMode\":\"ExactCount\",\"count\":4}]}]}}}",
                "{\"count/resourceclaims.resource.k8s.io\":\"1\",\"gpu.deviceclass.resource.k8s.io/devices\":\"36\"}"},
            {"", "pods",
                "{\"spec\":{\"overhead\":{\"cpu\":\"50m\"},\"containers\":[{\"resources\":{\"requests\":{\"cpu\":"
                "\"100m\",\"example.com/gpu\":\"1\",\"hugepages-2Mi\":\"2Mi\"},\"limits\":{\"memory\":\"1Gi\"}}}],"
                "\"initContainers\":[{\"resources\":{\"requests\":{\"cpu\":\"1\"}}}]}}",
                "{\"count/pods\":\"1\",\"cpu\":\"1050m\",\"hugepages-2Mi\":\"2Mi\",\"limits.memory\":\"1Gi\",\"pods\":"
                "\"1\",\"requests.cpu\":\"1050m\",\"requests.example.com/gpu\":\"1\",\"requests.hugepages-2Mi\":"
                "\"2Mi\"}"},
            /* It has ended. */
            {"", "pods", "{\"status\":{\"phase\":\"Failed\"}}", "{\"count/pods\":\"1\"}"},
            /* It should have ended 30 s ago, and 31 s ago. */
            {"", "pods",
                "{\"metadata\":{\"deletionTimestamp\":\"2025-12-31T23:59:30Z\",\"deletionGracePeriodSeconds\":30}}",
                "{\"count/pods\":\"1\",\"pods\":\"1\"}"},
            {"", "pods",
                "{\"metadata\":{\"deletionTimestamp\":\"2025-12-31T23:59:29Z\",\"deletionGracePeriodSeconds\":30}}",
                "{\"count/pods\":\"1\"}"},
        };
        for (size_t i = 0; i < KC_ARRAY_LEN(cases); i++)
                expect_usage(cases[i].group, cases[i].resource, cases[i].object, cases[i].used);
}

static void test_counts(void **state)
{
        (void)state;
        assert_true(kc_quota_counts("", "pods", "requests.example.com/gpu"));
        assert_true(kc_quota_counts("", "pods", "limits.cpu"));
        assert_false(kc_quota_counts("", "pods", "requests.storage"));
        assert_false(kc_quota_counts("", "pods", "example.com/gpu"));
        assert_true(kc_quota_counts("batch", "jobs", "count/jobs.batch"));
        assert_false(kc_quota_counts("", "jobs", "count/jobs.batch"));
        assert_true(kc_quota_counts("", "persistentvolumeclaims", "a.storageclass.storage.k8s.io/requests.storage"));
        assert_true(kc_quota_ignores("", "events"));
        assert_true(kc_quota_ignores("authorization.k8s.io", "localsubjectaccessreviews"));
        assert_false(kc_quota_ignores("", "pods"));
}

static bool in_scopes(const char *spec, const char *resource, const char *object)
{
        KC_CLEANUP(kc_freep) char *text = kc_asprintf("{\"spec\":{%s}}", spec);
        KC_CLEANUP(kc_json_freep) struct json_object *quota = parse(text);
        KC_CLEANUP(kc_json_freep) struct json_object *o = parse(object);
        return kc_quota_scopes_match(quota, "", resource, o);
}

#define SELECTOR(scope, operator, values)                                                                              \
        "\"scopeSelector\":{\"matchExpressions\":[{\"scopeName\":\"" scope "\",\"operator\":\""                        \
        operator"\",\"values\":" values "}]}"

static void test_scopes(void **state)
{
        (void)state;
        static const char high[] = "{\"spec\":{\"priorityClassName\":\"high\"}}";
        static const char plain[] = "{\"spec\":{\"containers\":[{}]}}";
        static const char crossing[] = "{\"spec\":{\"affinity\":{\"podAntiAffinity\":{"
                                       "\"preferredDuringSchedulingIgnoredDuringExecution\":[{\"podAffinityTerm\":{"
                                       "\"namespaceSelector\":{}}}]}}}}";
        assert_true(in_scopes("\"hard\":{}", "pods", plain));
        assert_true(in_scopes("\"scopes\":[\"BestEffort\",\"NotTerminating\"]", "pods", plain));
        assert_false(in_scopes("\"scopes\":[\"NotBestEffort\"]", "pods", plain));
        assert_true(in_scopes("\"scopes\":[\"Terminating\"]", "pods", "{\"spec\":{\"activeDeadlineSeconds\":0}}"));
        assert_true(in_scopes(SELECTOR("PriorityClass", "In", "[\"low\",\"high\"]"), "pods", high));
        assert_false(in_scopes(SELECTOR("PriorityClass", "In", "[\"low\"]"), "pods", high));
        assert_true(in_scopes(SELECTOR("PriorityClass", "NotIn", "[\"high\"]"), "pods", plain));
        assert_true(in_scopes(SELECTOR("PriorityClass", "DoesNotExist", "[]"), "pods", plain));
        assert_false(in_scopes(SELECTOR("PriorityClass", "Exists", "[]"), "pods", plain));
        assert_true(in_scopes("\"scopes\":[\"CrossNamespacePodAffinity\"]", "pods", crossing));
        assert_false(in_scopes("\"scopes\":[\"CrossNamespacePodAffinity\"]", "pods", plain));
        assert_true(in_scopes(SELECTOR("VolumeAttributesClass", "In", "[\"gold\"]"), "persistentvolumeclaims",
            "{\"status\":{\"currentVolumeAttributesClassName\":\"gold\"}}"));
        /* Other kinds are in no scope. */
        assert_false(in_scopes("\"scopes\":[\"NotTerminating\"]", "services", "{}"));
}

static void test_demands(void **state)
{
        (void)state;
        KC_CLEANUP(kc_json_freep)
        struct json_object *hard = parse("{\"requests.cpu\":\"1\",\"limits.memory\":\"1\",\"pods\":\"1\"}");
        KC_CLEANUP(kc_json_freep)
        struct json_object *pod = parse("{\"spec\":{\"containers\":[{\"name\":\"b\"},{\"name\":\"a\",\"resources\":{"
                                        "\"requests\":{\"cpu\":\"1\"}}}],\"initContainers\":[{\"name\":\"a-init\"}]}}");
        KC_CLEANUP(kc_freep) char *unmet = kc_quota_unmet(hard, "", "pods", pod);
        assert_string_equal(unmet, "must specify limits.memory for: a,a-init,b; requests.cpu for: a-init,b");
        assert_null(kc_quota_unmet(hard, "", "services", pod));
        KC_CLEANUP(kc_json_freep)
        struct json_object *whole =
            parse("{\"spec\":{\"containers\":[{\"name\":\"b\"}],\"resources\":{\"requests\":{\"cpu\":\"1\"}}}}");
        assert_null(kc_quota_unmet(hard, "", "pods", whole));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_usage),
            cmocka_unit_test(test_counts),
            cmocka_unit_test(test_scopes),
            cmocka_unit_test(test_demands),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
