/* Events and HorizontalPodAutoscalers in their two versions. */
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

static struct json_object *autoscaler(const char *version, struct json_object *take_o)
{
        assert_int_equal(
            kc_convert(take_o, kc_schema_resource("autoscaling", version, "horizontalpodautoscalers"), NULL), 0);
        return take_o;
}

/* The metric that version 1 has a field for, and none. */
static void autoscalers_of_cpu(void **state)
{
        (void)state;
        struct json_object *o = autoscaler("v2",
            kc_json_build("{'kind':'HorizontalPodAutoscaler','apiVersion':'autoscaling/v1','metadata':{'name':'h'},"
                          "'spec':{'scaleTargetRef':{'kind':'Deployment','name':'d'},'minReplicas':2,'maxReplicas':5,"
                          "'targetCPUUtilizationPercentage':60},'status':{'currentReplicas':2,'desiredReplicas':3,"
                          "'currentCPUUtilizationPercentage':90}}"));
        expect_json(o, "{'kind':'HorizontalPodAutoscaler','apiVersion':'autoscaling/v2','metadata':{'name':'h'},"
                       "'spec':{'scaleTargetRef':{'kind':'Deployment','name':'d'},'minReplicas':2,'maxReplicas':5,"
                       "'metrics':[{'type':'Resource','resource':{'name':'cpu','target':{'type':'Utilization',"
                       "'averageUtilization':60}}}]},'status':{'currentReplicas':2,'desiredReplicas':3,"
                       "'currentMetrics':[{'type':'Resource','resource':{'name':'cpu','current':{"
                       "'averageUtilization':90}}}]}}");
        o = autoscaler("v1", o);
        expect_json(o, "{'kind':'HorizontalPodAutoscaler','apiVersion':'autoscaling/v1','metadata':{'name':'h',"
                       "'annotations':{'autoscaling.alpha.kubernetes.io/current-metrics':'[{\\'type\\':\\'Resource\\',"
                       "\\'resource\\':{\\'name\\':\\'cpu\\',\\'currentAverageUtilization\\':90,"
                       "\\'currentAverageValue\\':\\'0\\'}}]'}},'spec':{'scaleTargetRef':{'kind':'Deployment',"
                       "'name':'d'},'minReplicas':2,'maxReplicas':5,'targetCPUUtilizationPercentage':60},'status':{"
                       "'currentReplicas':2,'desiredReplicas':3,'currentCPUUtilizationPercentage':90}}");
        kc_json_free(o);
        o = autoscaler("v2",
            kc_json_build("{'kind':'HorizontalPodAutoscaler','apiVersion':'autoscaling/v1','metadata':{'name':'h'},"
                          "'spec':{'scaleTargetRef':{'kind':'Deployment','name':'d'},'maxReplicas':5}}"));
        o = autoscaler("v1", o);
        assert_int_equal(kc_json_int_at(o, "spec.targetCPUUtilizationPercentage", 0), 80); /* version 2's default */
        kc_json_free(o);
}

/* Everything that version 1 cannot say goes to annotations and comes back. */
static void autoscalers_of_everything(void **state)
{
        (void)state;
        static const char v2[] =
            "{'kind':'HorizontalPodAutoscaler','apiVersion':'autoscaling/v2','metadata':{'name':'h'},'spec':{"
            "'scaleTargetRef':{'kind':'Deployment','name':'d'},'minReplicas':1,'maxReplicas':5,'metrics':[{'type':"
            "'Object','object':{'describedObject':{'kind':'Service','name':'s'},'target':{'type':'Value','value':'10'},"
            "'metric':{'name':'hits','selector':{'matchLabels':{'a':'b'}}}}},{'type':'Pods','pods':{'metric':{'name':"
            "'q'},'target':{'type':'AverageValue','averageValue':'5'}}},{'type':'ContainerResource',"
            "'containerResource':{'name':'memory','target':{'type':'AverageValue','averageValue':'1Gi'},'container':"
            "'c'}},{'type':'External','external':{'metric':{'name':'e'},'target':{'type':'AverageValue',"
            "'averageValue':'7'}}}],'behavior':{'scaleUp':{'stabilizationWindowSeconds':0,'selectPolicy':'Max',"
            "'policies':[{'type':'Pods','value':4,'periodSeconds':15},{'type':'Percent','value':100,'periodSeconds':15}"
            "]},'scaleDown':{'selectPolicy':'Disabled','policies':[{'type':'Percent','value':100,'periodSeconds':15}]}}"
            "},'status':{'desiredReplicas':1,'currentMetrics':null,'conditions':[{'type':'AbleToScale','status':'True',"
            "'lastTransitionTime':'2026-11-21T12:00:00Z'}]}}";
        struct json_object *o = autoscaler("v1", kc_json_build(v2));
        const struct json_object *annotations = kc_json_at(o, "metadata.annotations");
        assert_string_equal(kc_json_str(annotations, "autoscaling.alpha.kubernetes.io/conditions"),
            "[{\"type\":\"AbleToScale\",\"status\":\"True\",\"lastTransitionTime\":\"2026-11-21T12:00:00Z\"}]");
        assert_string_equal(kc_json_str(annotations, "autoscaling.alpha.kubernetes.io/metrics"),
            "[{\"type\":\"Object\",\"object\":{\"target\":{\"kind\":\"Service\",\"name\":\"s\"},\"metricName\":"
            "\"hits\",\"selector\":{\"matchLabels\":{\"a\":\"b\"}},\"targetValue\":\"10\"}},{\"type\":\"Pods\","
            "\"pods\":{\"metricName\":\"q\",\"targetAverageValue\":\"5\"}},{\"type\":\"ContainerResource\","
            "\"containerResource\":{\"name\":\"memory\",\"container\":\"c\",\"targetAverageValue\":\"1Gi\"}},"
            "{\"type\":\"External\",\"external\":{\"metricName\":\"e\",\"targetAverageValue\":\"7\"}}]");
        assert_null(kc_json_at(o, "spec.behavior"));
        assert_null(kc_json_at(o, "spec.targetCPUUtilizationPercentage"));
        o = autoscaler("v2", o);
        expect_json(o, v2);
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
            cmocka_unit_test(autoscalers_of_cpu),
            cmocka_unit_test(autoscalers_of_everything),
            cmocka_unit_test(refuses_other_kinds),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
