/* Defaults: objects as users write them, and as they are stored. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/codec.h"
#include "api/defaults.h"
#include "base/mem.h"
#include "base/str.h"

/* Single quotes stand for double ones. */
static struct json_object *parse(const char *text)
{
        KC_CLEANUP(kc_freep) char *s = kc_str_replace_all(text, "'", "\"");
        struct json_object *o = NULL;
        struct kc_error err = KC_ERROR_INIT;
        if (kc_json_parse(s, strlen(s), NULL, &o, &err) < 0)
                fail_msg("%s: %s", text, kc_error_message(&err));
        return o;
}

/* What a request's body becomes before admission; with the defaults applied twice. */
static struct json_object *stored(const char *group, const char *kind, const char *text)
{
        struct json_object *o = parse(text);
        const struct kc_resource *r = kc_schema_kind(group, "v1", kind);
        struct kc_error err = KC_ERROR_INIT;
        assert_non_null(r);
        if (kc_codec_decode(o, r->type, NULL, &err) < 0)
                fail_msg("%s: %s", text, kc_error_message(&err));
        kc_codec_default(o, r->type);
        kc_default_object(o, r);
        KC_CLEANUP(kc_json_freep) struct json_object *once = kc_json_copy(o);
        kc_codec_default(o, r->type);
        kc_default_object(o, r);
        assert_true(kc_json_equal(o, once));
        return o;
}

static void assert_at(const struct json_object *o, const char *path, const char *want)
{
        KC_CLEANUP(kc_json_freep) struct json_object *w = parse(want);
        if (!kc_json_equal(kc_json_at(o, path), w)) {
                KC_CLEANUP(kc_freep) char *got = kc_json_to_str(kc_json_at(o, path));
                fail_msg("%s: got %s, want %s", path, got, want);
        }
}

static void test_pod(void **state)
{
        (void)state;
        KC_CLEANUP(kc_json_freep)
        struct json_object *o = stored("", "Pod",
            "{'metadata':{'name':'a'},'spec':{'containers':[{'name':'c','image':'nginx','ports':[{'containerPort':80}],"
            "'resources':{'limits':{'cpu':'1','memory':'1Gi'},'requests':{'cpu':'100m'}},'livenessProbe':{'httpGet':"
            "{'port':80}},'env':[{'name':'N','valueFrom':{'fieldRef':{'fieldPath':'metadata.name'}}}]}]}}");
        assert_at(o, "spec",
            "{'containers':[{'name':'c','image':'nginx','ports':[{'containerPort':80,'protocol':'TCP'}],'resources':"
            "{'limits':{'cpu':'1','memory':'1Gi'},'requests':{'cpu':'100m','memory':'1Gi'}},'livenessProbe':"
            "{'httpGet':{'path':'/','port':80,'scheme':'HTTP'},'timeoutSeconds':1,'periodSeconds':10,"
            "'successThreshold':1,'failureThreshold':3},'env':[{'name':'N','valueFrom':{'fieldRef':{'apiVersion':'v1',"
            "'fieldPath':'metadata.name'}}}],'terminationMessagePath':'/dev/termination-log',"
            "'terminationMessagePolicy':'File','imagePullPolicy':'Always'}],'restartPolicy':'Always',"
            "'terminationGracePeriodSeconds':30,'dnsPolicy':'ClusterFirst','securityContext':{},"
            "'schedulerName':'default-scheduler','enableServiceLinks':true}");
}

static void test_pull_policy(void **state)
{
        (void)state;
        static const char *const images[][2] = {{"nginx", "Always"}, {"nginx:latest", "Always"},
            {"nginx:1.27", "IfNotPresent"}, {"localhost:5000/a/b", "Always"}, {"localhost:5000/a/b:v1", "IfNotPresent"},
            {"example.com/x@sha256:0000", "IfNotPresent"}, {"x:latest@sha256:0000", "Always"}, {"", "IfNotPresent"},
            {"Upper/case:latest", "Always"}, {"x/Upper:latest", "IfNotPresent"}};
        for (size_t i = 0; i < KC_ARRAY_LEN(images); i++) {
                KC_CLEANUP(kc_json_freep)
                struct json_object *spec = kc_json_build("{'containers':[{'name':'c','image':%s}]}", images[i][0]);
                kc_default_pod_spec(spec);
                const char *got = kc_json_str(kc_json_idx(kc_json_get(spec, "containers"), 0), "imagePullPolicy");
                if (!kc_streq(got, images[i][1]))
                        fail_msg("%s: %s", images[i][0], got);
        }
}

static void test_pod_volumes(void **state)
{
        (void)state;
        KC_CLEANUP(kc_json_freep)
        struct json_object *o = stored("", "Pod",
            "{'metadata':{'name':'a'},'spec':{'containers':[],'volumes':[{'name':'e'},{'name':'s','secret':{}},{'name':"
            "'c','configMap':{'name':'x'}},{'name':'h','hostPath':{'path':'/x'}},{'name':'p','projected':{'sources':"
            "[{'serviceAccountToken':{'path':'token'}},{'downwardAPI':{'items':[{'path':'n','fieldRef':{'fieldPath':"
            "'metadata.name'}}]}}]}}]}}");
        assert_at(o, "spec.volumes",
            "[{'name':'e','emptyDir':{}},{'name':'s','secret':{'defaultMode':420}},{'name':'c','configMap':{'name':'x',"
            "'defaultMode':420}},{'name':'h','hostPath':{'path':'/x','type':''}},{'name':'p','projected':{'sources':"
            "[{'serviceAccountToken':{'expirationSeconds':3600,'path':'token'}},{'downwardAPI':{'items':[{'path':'n',"
            "'fieldRef':{'apiVersion':'v1','fieldPath':'metadata.name'}}]}}],'defaultMode':420}}]");
}

static void test_host_network(void **state)
{
        (void)state;
        KC_CLEANUP(kc_json_freep)
        struct json_object *o = stored(
            "", "Pod", "{'spec':{'hostNetwork':true,'containers':[{'name':'c','ports':[{'containerPort':80}]}]}}");
        assert_int_equal(
            kc_json_int(
                kc_json_idx(kc_json_get(kc_json_idx(kc_json_at(o, "spec.containers"), 0), "ports"), 0), "hostPort", 0),
            80);
}

static void test_pod_level_resources(void **state)
{
        (void)state;
        KC_CLEANUP(kc_json_freep)
        struct json_object *o = stored("", "Pod",
            "{'spec':{'resources':{'limits':{'cpu':'2','memory':'1Gi'}},'containers':[{'name':'c','resources':"
            "{'requests':{'cpu':'300m'}}},{'name':'d','resources':{'requests':{'cpu':'200m'}}}]}}");
        assert_at(o, "spec.resources.requests", "{'cpu':'500m','memory':'1Gi'}");
}

static void test_service(void **state)
{
        (void)state;
        KC_CLEANUP(kc_json_freep)
        struct json_object *o = stored("", "Service", "{'metadata':{'name':'s'},'spec':{'ports':[{'port':80}]}}");
        assert_at(o, "spec",
            "{'ports':[{'protocol':'TCP','port':80,'targetPort':80}],'type':'ClusterIP',"
            "'sessionAffinity':'None','internalTrafficPolicy':'Cluster'}");
        KC_CLEANUP(kc_json_freep)
        struct json_object *lb = stored("", "Service",
            "{'spec':{'type':'LoadBalancer','sessionAffinity':'ClientIP','ports':[{'port':80,'targetPort':'web'}]},"
            "'status':{'loadBalancer':{'ingress':[{'ip':'1.2.3.4'}]}}}");
        assert_at(lb, "spec",
            "{'ports':[{'protocol':'TCP','port':80,'targetPort':'web'}],'type':'LoadBalancer','sessionAffinity':"
            "'ClientIP','externalTrafficPolicy':'Cluster','sessionAffinityConfig':{'clientIP':{'timeoutSeconds':10800}"
            "},'allocateLoadBalancerNodePorts':true,'internalTrafficPolicy':'Cluster'}");
        assert_at(lb, "status.loadBalancer.ingress", "[{'ip':'1.2.3.4','ipMode':'VIP'}]");
        KC_CLEANUP(kc_json_freep)
        struct json_object *name = stored("", "Service", "{'spec':{'type':'ExternalName','externalName':'a.b'}}");
        assert_at(name, "spec", "{'type':'ExternalName','sessionAffinity':'None','externalName':'a.b'}");
}

static void test_workloads(void **state)
{
        (void)state;
        KC_CLEANUP(kc_json_freep)
        struct json_object *d = stored("apps", "Deployment",
            "{'spec':{'selector':{'matchLabels':{'a':'b'}},'template':{'metadata':{'labels':{'a':'b'}},'spec':"
            "{'containers':[{'name':'c','image':'x:1'}]}}}}");
        assert_at(d, "spec.replicas", "1");
        assert_at(
            d, "spec.strategy", "{'type':'RollingUpdate','rollingUpdate':{'maxUnavailable':'25%','maxSurge':'25%'}}");
        assert_at(d, "spec.revisionHistoryLimit", "10");
        assert_at(d, "spec.progressDeadlineSeconds", "600");
        assert_at(d, "spec.template.spec.dnsPolicy", "'ClusterFirst'");
        /* Only a pod itself gets these. */
        assert_at(d, "spec.template.spec.enableServiceLinks", "null");
        KC_CLEANUP(kc_json_freep)
        struct json_object *r = stored("apps", "Deployment",
            "{'spec':{'replicas':0,'strategy':{'type':'Recreate'},'selector':{},'template':{'spec':{'containers':[]}}}"
            "}");
        assert_at(r, "spec.strategy", "{'type':'Recreate'}");
        assert_at(r, "spec.replicas", "0");
        KC_CLEANUP(kc_json_freep)
        struct json_object *ds =
            stored("apps", "DaemonSet", "{'spec':{'selector':{},'template':{'spec':{'containers':[]}}}}");
        assert_at(
            ds, "spec.updateStrategy", "{'type':'RollingUpdate','rollingUpdate':{'maxUnavailable':1,'maxSurge':0}}");
        KC_CLEANUP(kc_json_freep)
        struct json_object *rc = stored("", "ReplicationController",
            "{'metadata':{'name':'r'},'spec':{'template':{'metadata':{'labels':{'a':'b'}},'spec':{'containers':[]}}}}");
        assert_at(rc, "spec.selector", "{'a':'b'}");
        assert_at(rc, "metadata.labels", "{'a':'b'}");
        assert_at(rc, "spec.replicas", "1");
}

static void test_others(void **state)
{
        (void)state;
        KC_CLEANUP(kc_json_freep) struct json_object *ns = stored("", "Namespace", "{'metadata':{'name':'n'}}");
        assert_at(ns, "metadata.labels", "{'kubernetes.io/metadata.name':'n'}");
        assert_at(ns, "status", "{'phase':'Active'}");
        KC_CLEANUP(kc_json_freep)
        struct json_object *node =
            stored("", "Node", "{'metadata':{'name':'n'},'status':{'capacity':{'cpu':'4','memory':'100001u'}}}");
        assert_at(node, "status.allocatable", "{'cpu':'4','memory':'101m'}");
        KC_CLEANUP(kc_json_freep)
        struct json_object *secret = stored(
            "", "Secret", "{'metadata':{'name':'n'},'data':{'a':'YQ==','b':'Yg=='},'stringData':{'b':'B','c':''}}");
        assert_at(secret, "type", "'Opaque'");
        assert_at(secret, "data", "{'a':'YQ==','b':'Qg==','c':''}");
        assert_null(kc_json_get(secret, "stringData"));
        KC_CLEANUP(kc_json_freep)
        struct json_object *binding = stored("rbac.authorization.k8s.io", "RoleBinding",
            "{'roleRef':{'kind':'Role','name':'r'},'subjects':[{'kind':'User','name':'u'},{'kind':'ServiceAccount',"
            "'name':'s','namespace':'n'}]}");
        assert_at(binding, "roleRef.apiGroup", "'rbac.authorization.k8s.io'");
        assert_at(binding, "subjects",
            "[{'kind':'User','apiGroup':'rbac.authorization.k8s.io','name':'u'},{'kind':'ServiceAccount','name':'s',"
            "'namespace':'n'}]");
        KC_CLEANUP(kc_json_freep)
        struct json_object *slice =
            stored("discovery.k8s.io", "EndpointSlice", "{'addressType':'IPv4','endpoints':[],'ports':[{'port':80}]}");
        assert_at(slice, "ports", "[{'name':'','protocol':'TCP','port':80}]");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_pod),
            cmocka_unit_test(test_pull_policy),
            cmocka_unit_test(test_pod_volumes),
            cmocka_unit_test(test_host_network),
            cmocka_unit_test(test_pod_level_resources),
            cmocka_unit_test(test_service),
            cmocka_unit_test(test_workloads),
            cmocka_unit_test(test_others),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
