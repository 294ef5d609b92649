/* Events in their two versions. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/convert.h"
#include "base/str.h"

static void expect_json(const struct json_object *o, const char *expected)
{
        char *want = kc_str_replace_all(expected, "'", "\""), *got = kc_json_to_str(o);
        assert_string_equal(got, want);
        kc_free(want);
        kc_free(got);
}

static void events_there_and_back(void **state)
{
        (void)state;
        static const char core[] =
            "{'kind':'Event','apiVersion':'v1','metadata':{'name':'e'},'involvedObject':{'kind':'Pod','name':'p'},"
            "'reason':'Started','message':'hi','source':{'component':'kubelet'},'firstTimestamp':'2026-11-21T12:00:00Z'"
            ","
            "'lastTimestamp':'2026-11-21T12:01:00Z','count':2,'type':'Normal','eventTime':null,"
            "'reportingComponent':'kubelet','reportingInstance':'n1'}";
        struct json_object *o = kc_json_build(core);
        assert_int_equal(kc_convert(o, kc_schema_resource("events.k8s.io", "v1", "events"), NULL), 0);
        expect_json(o, "{'kind':'Event','apiVersion':'events.k8s.io/v1','metadata':{'name':'e'},'eventTime':null,"
                       "'reportingController':'kubelet','reportingInstance':'n1','reason':'Started',"
                       "'regarding':{'kind':'Pod','name':'p'},'note':'hi','type':'Normal',"
                       "'deprecatedSource':{'component':'kubelet'},'deprecatedFirstTimestamp':'2026-11-21T12:00:00Z',"
                       "'deprecatedLastTimestamp':'2026-11-21T12:01:00Z','deprecatedCount':2}");
        assert_int_equal(kc_convert(o, kc_schema_resource("", "v1", "events"), NULL), 0);
        expect_json(o, core);
        assert_int_equal(kc_convert(o, kc_schema_resource("", "v1", "events"), NULL), 0);
        expect_json(o, core);
        kc_json_free(o);
}

static void refuses_other_kinds(void **state)
{
        (void)state;
        struct kc_error err = KC_ERROR_INIT;
        struct json_object *o = kc_json_build("{'kind':'Pod','apiVersion':'v1'}");
        assert_int_equal(kc_convert(o, kc_schema_resource("apps", "v1", "deployments"), &err), -EINVAL);
        assert_string_equal(kc_error_message(&err), "no conversion of Pod from v1 to apps/v1");
        kc_error_done(&err);
        kc_json_free(o);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(events_there_and_back),
            cmocka_unit_test(refuses_other_kinds),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
