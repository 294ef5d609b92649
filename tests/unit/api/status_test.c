/* API errors: their messages, their JSON, and the way back. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/status.h"
#include "base/mem.h"
#include "base/str.h"

static void assert_status(const struct kc_error *err, const char *want)
{
        KC_CLEANUP(kc_json_freep) struct json_object *status = kc_status_from_error(err);
        KC_CLEANUP(kc_freep) char *text = kc_json_to_str(status);
        assert_string_equal(text, want);
}

static void test_constructors(void **state)
{
        (void)state;
        struct kc_error err = KC_ERROR_INIT;
        assert_int_equal(kc_err_not_found(&err, "", "pods", "a\"b"), -ENOENT);
        assert_status(&err, "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\","
                            "\"message\":\"pods \\\"a\\\\\\\"b\\\" not "
                            "found\",\"reason\":\"NotFound\",\"details\":{\"name\":\"a\\\"b\","
                            "\"kind\":\"pods\"},\"code\":404}");
        assert_int_equal(kc_err_already_exists(&err, "apps", "deployments", "web"), -EEXIST);
        assert_string_equal(kc_error_message(&err), "deployments.apps \"web\" already exists");
        assert_int_equal(kc_err_conflict(&err, "", "pods", "a", "the object has been modified"), -EAGAIN);
        assert_string_equal(
            kc_error_message(&err), "Operation cannot be fulfilled on pods \"a\": the object has been modified");
        assert_int_equal(kc_err_forbidden(&err, "apps", "deployments", "", "no"), -EACCES);
        assert_string_equal(kc_error_message(&err), "deployments.apps is forbidden: no");
        assert_int_equal(kc_err_method_not_supported(&err, "", "pods", "put"), -EIO);
        assert_int_equal(err.code, 405);
        assert_string_equal(kc_error_message(&err), "put is not supported on resources of kind \"pods\"");
        kc_err_internal(&err, "disk %d", 1);
        assert_status(&err, "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\","
                            "\"message\":\"Internal error occurred: disk 1\",\"reason\":\"InternalError\","
                            "\"details\":{\"causes\":[{\"message\":\"disk 1\"}]},\"code\":500}");
        kc_err_too_large_resource_version(&err, 9, 4);
        assert_status(&err,
            "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\",\"message\":"
            "\"Timeout: Too large resource version: 9, current: 4\",\"reason\":\"Timeout\",\"details\":{\"causes\":"
            "[{\"reason\":\"ResourceVersionTooLarge\",\"message\":\"Too large resource version\"}],"
            "\"retryAfterSeconds\":1},\"code\":504}");
        assert_int_equal(kc_err_gone(&err, "too old resource version: 1 (2)"), -ESTALE);
        assert_int_equal(err.code, 410);
        assert_string_equal(err.reason, "Expired");
        kc_error_done(&err);
}

static void test_invalid(void **state)
{
        (void)state;
        struct kc_field_errors l = {0};
        struct kc_error err = KC_ERROR_INIT;
        KC_CLEANUP(kc_json_freep) struct json_object *labels = kc_json_build("{'b':'1','a':'2'}");
        static const char *const policies[] = {"Always", "Never", NULL};
        kc_field_required(&l, "spec.containers", "");
        kc_field_invalid(&l, "spec.labels", labels, "bad");
        kc_field_invalid_str(&l, "spec.name", "A\n\x01", "wrong");
        kc_field_invalid_int(&l, "spec.n", -1, "must be greater than or equal to 0");
        kc_field_not_supported(&l, "spec.policy", "x", policies);
        kc_field_duplicate(&l, "spec.d", "x");
        kc_field_duplicate(&l, "spec.d", "x");
        kc_field_forbidden(&l, "spec.f", "may not");
        kc_field_too_long(&l, "spec.t", 1);
        kc_field_too_many(&l, "spec.m", 3, 2);
        kc_field_not_found(&l, "spec.v", "vol");
        kc_field_invalid(&l, "spec.z", NULL, "z");
        assert_int_equal(kc_err_invalid(&err, "apps", "Deployment", "web", &l), -EINVAL);
        assert_int_equal(l.n, 0);
        assert_string_equal(kc_error_message(&err),
            "Deployment.apps \"web\" is invalid: [spec.containers: Required value, spec.labels: Invalid value: "
            "{\"a\":\"2\",\"b\":\"1\"}: bad, spec.name: Invalid value: \"A\\n\\x01\": wrong, spec.n: Invalid value: "
            "-1: "
            "must be greater than or equal to 0, spec.policy: Unsupported value: \"x\": supported values: \"Always\", "
            "\"Never\", spec.d: Duplicate value: \"x\", spec.f: Forbidden: may not, spec.t: Too long: may not be more "
            "than 1 byte, spec.m: Too many: 3: must have at most 2 items, spec.v: Not found: \"vol\", spec.z: Invalid "
            "value: null: z]");
        assert_int_equal(err.code, 422);
        assert_int_equal(err.details->n_causes, 12);
        assert_string_equal(err.details->causes[0].reason, "FieldValueRequired");
        assert_string_equal(err.details->causes[0].message, "Required value");
        assert_string_equal(err.details->causes[0].field, "spec.containers");
        assert_string_equal(err.details->kind, "Deployment");
        kc_field_required(&l, "spec.x", "y");
        kc_err_invalid(&err, "", "Pod", "a", &l);
        assert_string_equal(kc_error_message(&err), "Pod \"a\" is invalid: spec.x: Required value: y");
        kc_error_done(&err);
}

static void test_field_errors_are_bounded(void **state)
{
        (void)state;
        struct kc_field_errors l = {0};
        for (int i = 0; i < 5000; i++)
                kc_field_required(&l, "spec", "");
        assert_int_equal(l.n, 1000);
        kc_field_errors_done(&l);
        KC_CLEANUP(kc_json_freep) struct json_object *list = json_object_new_array();
        for (int i = 0; i < 10000; i++)
                kc_json_push_str(list, "abcdefgh");
        for (int i = 0; i < 5000; i++)
                kc_field_invalid(&l, "spec", list, "");
        assert_int_equal(l.n, 10); /* of 110 kB each */
        kc_field_errors_done(&l);
}

static void test_round_trip(void **state)
{
        (void)state;
        struct kc_error err = KC_ERROR_INIT, back = KC_ERROR_INIT;
        kc_err_too_many_requests(&err, "later", 7);
        KC_CLEANUP(kc_json_freep) struct json_object *status = kc_status_from_error(&err);
        KC_CLEANUP(kc_freep) char *text = kc_json_to_str(status);
        assert_int_equal(kc_error_from_response(&back, 429, text, strlen(text)), -EBUSY);
        assert_string_equal(kc_error_message(&back), "later");
        assert_int_equal(back.details->retry_after_seconds, 7);
        assert_true(kc_error_is(&back, "TooManyRequests"));
        kc_error_done(&err);
        kc_error_done(&back);
}

static void test_foreign_responses(void **state)
{
        (void)state;
        struct kc_error err = KC_ERROR_INIT;
        assert_int_equal(kc_error_from_response(&err, 404, "404 page not found\n", 19), -ENOENT);
        assert_string_equal(kc_error_message(&err), "the server could not find the requested resource");
        assert_int_equal(kc_error_from_response(&err, 500, "boom\n", 5), -EIO);
        assert_string_equal(
            kc_error_message(&err), "an error on the server (\"boom\") has prevented the request from succeeding");
        kc_error_from_response(&err, 418, NULL, 0);
        assert_string_equal(kc_error_message(&err),
            "the server responded with the status code 418 but did not return more information");
        kc_error_done(&err);
}

static void test_success(void **state)
{
        (void)state;
        KC_CLEANUP(kc_json_freep) struct json_object *s = kc_status_success("", "pods", "a", "u-1");
        KC_CLEANUP(kc_freep) char *text = kc_json_to_str(s);
        assert_string_equal(text, "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Success\","
                                  "\"details\":{\"name\":\"a\",\"kind\":\"pods\",\"uid\":\"u-1\"}}");
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_constructors), cmocka_unit_test(test_invalid),
            cmocka_unit_test(test_field_errors_are_bounded), cmocka_unit_test(test_round_trip),
            cmocka_unit_test(test_foreign_responses), cmocka_unit_test(test_success)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
