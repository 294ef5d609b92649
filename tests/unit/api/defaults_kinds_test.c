/* Defaults of the kinds beside pods, services and their like: objects as users write them, and what becomes of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "api/codec.h"
#include "api/defaults.h"
#include "base/mem.h"
#include "base/str.h"

struct row {
        const char *group, *version, *kind, *in, *path, *want; /* JSON with single quotes; path "": all */
};

static struct json_object *defaulted(const struct row *row)
{
        KC_CLEANUP(kc_freep) char *s = kc_str_replace_all(row->in, "'", "\"");
        const struct kc_resource *r = kc_schema_kind(row->group, row->version, row->kind);
        struct json_object *o = NULL;
        struct kc_error err = KC_ERROR_INIT;
        if (!r)
                fail_msg("no kind %s", row->kind);
        if (kc_json_parse(s, strlen(s), NULL, &o, &err) < 0)
                fail_msg("%s: %s", row->in, kc_error_message(&err));
        KC_CLEANUP(kc_freep) char *api_version = kc_api_version_join(row->group, row->version);
        kc_json_set_str(o, "apiVersion", api_version);
        for (int i = 0; i < 2; i++) { /* the second time, nothing changes */
                if (kc_codec_decode(o, r->type, NULL, &err) < 0)
                        fail_msg("%s: %s", row->in, kc_error_message(&err));
                KC_CLEANUP(kc_json_freep) struct json_object *before = kc_json_copy(o);
                kc_codec_default(o, r->type);
                kc_default_object(o, r);
                assert_true(i == 0 || kc_json_equal(before, o));
        }
        if (kc_codec_decode(o, r->type, NULL, &err) < 0)
                fail_msg("%s: %s", row->in, kc_error_message(&err));
        return o;
}

static void check(const struct row *rows, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                KC_CLEANUP(kc_json_freep) struct json_object *o = defaulted(&rows[i]);
                KC_CLEANUP(kc_freep) char *want = kc_str_replace_all(rows[i].want, "'", "\"");
                KC_CLEANUP(kc_freep) char *got = kc_json_to_str(kc_json_at(o, rows[i].path));
                if (!kc_streq(got, want))
                        fail_msg(
                            "%s %s\n  %s\n  got  %s\n  want %s", rows[i].kind, rows[i].path, rows[i].in, got, want);
        }
}
#define CHECK(rows) check(rows, KC_ARRAY_LEN(rows))

static void workloads(void **state)
{
        (void)state;
        static const struct row rows[] = {
            {"apps", "v1", "StatefulSet",
                "{'spec':{'selector':{'matchLabels':{'a':'b'}},'template':{},'volumeClaimTemplates':[{'metadata':{"
                "'name':'data'},'spec':{'accessModes':['ReadWriteOnce']}}]}}",
                "spec",
                "{'replicas':1,'selector':{'matchLabels':{'a':'b'}},'template':{'metadata':{},'spec':{'containers':"
                "null,"
                "'restartPolicy':'Always','terminationGracePeriodSeconds':30,'dnsPolicy':'ClusterFirst',"
                "'securityContext':{},'schedulerName':'default-scheduler'}},'volumeClaimTemplates':[{'metadata':{'name'"
                ":"
                "'data'},'spec':{'accessModes':['ReadWriteOnce'],'resources':{},'volumeMode':'Filesystem'},'status':{"
                "'phase':'Pending'}}],'serviceName':'','podManagementPolicy':'OrderedReady','updateStrategy':{'type':"
                "'RollingUpdate','rollingUpdate':{'partition':0,'maxUnavailable':1}},'revisionHistoryLimit':10,"
                "'persistentVolumeClaimRetentionPolicy':{'whenDeleted':'Retain','whenScaled':'Retain'}}"},
            {"apps", "v1", "StatefulSet", "{'spec':{'updateStrategy':{'type':'OnDelete'}}}", "spec.updateStrategy",
                "{'type':'OnDelete'}"},
            {"batch", "v1", "CronJob", "{'spec':{'schedule':'* * * * *'}}", "spec",
                "{'schedule':'* * * * *','concurrencyPolicy':'Allow','suspend':false,'jobTemplate':{'metadata':{},"
                "'spec':{'template':{'metadata':{},'spec':{'containers':null,'restartPolicy':'Always',"
                "'terminationGracePeriodSeconds':30,'dnsPolicy':'ClusterFirst','securityContext':{},'schedulerName':"
                "'default-scheduler'}}}},'successfulJobsHistoryLimit':3,'failedJobsHistoryLimit':1}"},
            {"", "v1", "PodTemplate", "{'template':{'spec':{'restartPolicy':'Never'}}}", "template.spec",
                "{'containers':null,'restartPolicy':'Never','terminationGracePeriodSeconds':30,'dnsPolicy':"
                "'ClusterFirst','securityContext':{},'schedulerName':'default-scheduler'}"},
        };
        CHECK(rows);
}

#define POD_SPEC                                                                                                       \
        "'template':{'metadata':{},'spec':{'containers':null,'restartPolicy':'Always','terminationGracePeriodSeconds'" \
        ":30,'dnsPolicy':'ClusterFirst','securityContext':{},'schedulerName':'default-scheduler'}}"

static void jobs(void **state)
{
        (void)state;
        static const struct row rows[] = {
            {"batch", "v1", "Job", "{'spec':{}}", "spec",
                "{'parallelism':1,'completions':1,'backoffLimit':6," POD_SPEC ",'completionMode':'NonIndexed',"
                "'suspend':false,'podReplacementPolicy':'TerminatingOrFailed'}"},
            {"batch", "v1", "Job", "{'spec':{'parallelism':2}}", "spec",
                "{'parallelism':2,'backoffLimit':6," POD_SPEC ",'completionMode':'NonIndexed','suspend':false,"
                "'podReplacementPolicy':'TerminatingOrFailed'}"},
            {"batch", "v1", "Job",
                "{'spec':{'completions':3,'backoffLimitPerIndex':1,'podFailurePolicy':{'rules':[{'action':'Ignore',"
                "'onPodConditions':[{'type':'DisruptionTarget'}]}]}}}",
                "spec",
                "{'parallelism':1,'completions':3,'podFailurePolicy':{'rules':[{'action':'Ignore','onPodConditions':[{"
                "'type':'DisruptionTarget','status':'True'}]}]},'backoffLimit':2147483647,'backoffLimitPerIndex':"
                "1," POD_SPEC ",'completionMode':'NonIndexed','suspend':false,'podReplacementPolicy':'Failed'}"},
            {"batch", "v1", "Job", "{'spec':{'template':{'metadata':{'labels':{'a':'b'}}}}}", "metadata",
                "{'labels':{'a':'b'}}"},
        };
        CHECK(rows);
}

static void autoscalers(void **state)
{
        (void)state;
        static const struct row rows[] = {
            {"autoscaling", "v2", "HorizontalPodAutoscaler", "{'spec':{'maxReplicas':3}}", "spec",
                "{'scaleTargetRef':{'kind':'','name':''},'minReplicas':1,'maxReplicas':3,'metrics':[{'type':'Resource',"
                "'resource':{'name':'cpu','target':{'type':'Utilization','averageUtilization':80}}}]}"},
            {"autoscaling", "v2", "HorizontalPodAutoscaler",
                "{'spec':{'behavior':{'scaleDown':{'stabilizationWindowSeconds':60}}}}", "spec.behavior",
                "{'scaleUp':{'stabilizationWindowSeconds':0,'selectPolicy':'Max','policies':[{'type':'Pods','value':4,"
                "'periodSeconds':15},{'type':'Percent','value':100,'periodSeconds':15}]},'scaleDown':{"
                "'stabilizationWindowSeconds':60,'selectPolicy':'Max','policies':[{'type':'Percent','value':100,"
                "'periodSeconds':15}]}}"},
            {"autoscaling", "v1", "HorizontalPodAutoscaler", "{'spec':{'maxReplicas':3}}", "spec",
                "{'scaleTargetRef':{'kind':'','name':''},'minReplicas':1,'maxReplicas':3}"},
        };
        CHECK(rows);
}

static void storage(void **state)
{
        (void)state;
        static const struct row rows[] = {
            {"", "v1", "PersistentVolume", "{'spec':{'capacity':{'storage':'0.5m'},'hostPath':{'path':'/x'}}}", "",
                "{'apiVersion':'v1','metadata':{},'spec':{'capacity':{'storage':'1m'},'hostPath':{'path':'/x','type':"
                "''},'persistentVolumeReclaimPolicy':'Retain','volumeMode':'Filesystem'},'status':{'phase':'Pending'}"
                "}"},
            {"", "v1", "PersistentVolumeClaim", "{'spec':{}}", "",
                "{'apiVersion':'v1','metadata':{},'spec':{'resources':{},'volumeMode':'Filesystem'},'status':{'phase':"
                "'Pending'}}"},
            {"storage.k8s.io", "v1", "StorageClass", "{'provisioner':'x'}", "",
                "{'apiVersion':'storage.k8s.io/v1','metadata':{},'provisioner':'x','reclaimPolicy':'Delete',"
                "'volumeBindingMode':'Immediate'}"},
            {"storage.k8s.io", "v1", "CSIDriver", "{'spec':{}}", "spec",
                "{'attachRequired':true,'podInfoOnMount':false,'volumeLifecycleModes':['Persistent'],"
                "'storageCapacity':false,'fsGroupPolicy':'ReadWriteOnceWithFSType','requiresRepublish':false,"
                "'seLinuxMount':false}"},
            {"storage.k8s.io", "v1", "CSINode", "{'spec':{'drivers':[{'name':'a','nodeID':'b'}]}}", "spec",
                "{'drivers':[{'name':'a','nodeID':'b','topologyKeys':null}]}"},
        };
        CHECK(rows);
}

static void limits(void **state)
{
        (void)state;
        static const struct row rows[] = {
            {"", "v1", "LimitRange",
                "{'spec':{'limits':[{'type':'Container','max':{'cpu':'2'},'min':{'memory':'1Gi'},'default':{'pods':'3'}"
                "},{'type':'Pod','max':{'cpu':'2'}}]}}",
                "spec.limits",
                "[{'type':'Container','max':{'cpu':'2'},'min':{'memory':'1Gi'},'default':{'pods':'3','cpu':'2'},"
                "'defaultRequest':{'pods':'3','cpu':'2','memory':'1Gi'}},{'type':'Pod','max':{'cpu':'2'}}]"},
            {"", "v1", "ResourceQuota", "{'spec':{'hard':{'cpu':'0.0001'}}}", "spec.hard", "{'cpu':'1m'}"},
            {"node.k8s.io", "v1", "RuntimeClass", "{'handler':'h','overhead':{'podFixed':{'cpu':'1.1m'}}}",
                "overhead.podFixed", "{'cpu':'2m'}"},
        };
        CHECK(rows);
}

static void addresses(void **state)
{
        (void)state;
        static const struct row rows[] = {
            {"", "v1", "Pod", "{'status':{'podIP':'10.0.0.5'}}", "status",
                "{'podIP':'10.0.0.5','podIPs':[{'ip':'10.0.0.5'}]}"},
            {"", "v1", "Pod", "{'status':{'podIPs':[{'ip':'10.0.0.5'},{'ip':'fd00::5'}]}}", "status.podIP",
                "'10.0.0.5'"},
            {"", "v1", "Pod", "{'status':{'podIP':'10.0.0.6','podIPs':[{'ip':'10.0.0.5'},{'ip':'fd00::5'}]}}",
                "status.podIPs", "[{'ip':'10.0.0.6'}]"},
            {"", "v1", "Pod", "{'status':{'podIP':'10.0.0.5','podIPs':[{'ip':'10.0.0.5'},{'ip':'fd00::5'}]}}",
                "status.podIPs", "[{'ip':'10.0.0.5'},{'ip':'fd00::5'}]"},
            {"", "v1", "Node", "{'spec':{'podCIDR':'10.0.0.0/24'}}", "spec.podCIDRs", "['10.0.0.0/24']"},
            {"", "v1", "Node", "{'spec':{'podCIDRs':['10.0.0.0/24']}}", "spec.podCIDR", "'10.0.0.0/24'"},
        };
        CHECK(rows);
}

static void networking(void **state)
{
        (void)state;
        static const struct row rows[] = {
            {"networking.k8s.io", "v1", "NetworkPolicy", "{'spec':{'ingress':[{'ports':[{'port':80}]}]}}", "spec",
                "{'podSelector':{},'ingress':[{'ports':[{'protocol':'TCP','port':80}]}],'policyTypes':['Ingress']}"},
            {"networking.k8s.io", "v1", "NetworkPolicy", "{'spec':{'egress':[{}]}}", "spec.policyTypes",
                "['Ingress','Egress']"},
            {"networking.k8s.io", "v1", "IngressClass",
                "{'spec':{'controller':'c','parameters':{'kind':'K','name':'n'}}}", "spec.parameters",
                "{'kind':'K','name':'n','scope':'Cluster'}"},
        };
        CHECK(rows);
}

static void webhooks(void **state)
{
        (void)state;
        static const char group[] = "admissionregistration.k8s.io";
        static const struct row rows[] = {
            {group, "v1", "ValidatingWebhookConfiguration",
                "{'webhooks':[{'name':'w','clientConfig':{'service':{'name':'s','namespace':'n'}},'rules':[{"
                "'operations':['CREATE']}]}]}",
                "webhooks",
                "[{'name':'w','clientConfig':{'service':{'namespace':'n','name':'s','port':443}},'rules':[{'operations'"
                ":"
                "['CREATE'],'scope':'*'}],'failurePolicy':'Fail','matchPolicy':'Equivalent','namespaceSelector':{},"
                "'objectSelector':{},'sideEffects':null,'timeoutSeconds':10,'admissionReviewVersions':null}]"},
            {group, "v1", "MutatingWebhookConfiguration", "{'webhooks':[{'name':'w'}]}", "webhooks",
                "[{'name':'w','clientConfig':{},'failurePolicy':'Fail','matchPolicy':'Equivalent','namespaceSelector':{"
                "}"
                ",'objectSelector':{},'sideEffects':null,'timeoutSeconds':10,'admissionReviewVersions':null,"
                "'reinvocationPolicy':'Never'}]"},
            {group, "v1", "ValidatingAdmissionPolicy", "{'spec':{'matchConstraints':{'resourceRules':[{}]}}}", "spec",
                "{'matchConstraints':{'namespaceSelector':{},'objectSelector':{},'resourceRules':[{'scope':'*'}],"
                "'matchPolicy':'Equivalent'},'failurePolicy':'Fail'}"},
            {"apiregistration.k8s.io", "v1", "APIService", "{'spec':{'service':{'name':'s'}}}", "spec.service",
                "{'name':'s','port':443}"},
            {"apiextensions.k8s.io", "v1", "CustomResourceDefinition",
                "{'spec':{'names':{'kind':'CronTab','plural':'crontabs'},'versions':[{'name':'v1beta1'},{'name':'v1',"
                "'storage':true}]}}",
                "spec.names", "{'plural':'crontabs','singular':'crontab','kind':'CronTab','listKind':'CronTabList'}"},
            {"apiextensions.k8s.io", "v1", "CustomResourceDefinition",
                "{'spec':{'versions':[{'name':'v1beta1'},{'name':'v1','storage':true}]}}", "status.storedVersions",
                "['v1']"},
            {"apiextensions.k8s.io", "v1", "CustomResourceDefinition", "{}", "spec.conversion", "{'strategy':'None'}"},
        };
        CHECK(rows);
}

static void flow_control(void **state)
{
        (void)state;
        static const char group[] = "flowcontrol.apiserver.k8s.io";
        static const struct row rows[] = {
            {group, "v1", "PriorityLevelConfiguration",
                "{'spec':{'type':'Limited','limited':{'limitResponse':{'type':'Queue','queuing':{}}}}}", "spec.limited",
                "{'nominalConcurrencyShares':30,'limitResponse':{'type':'Queue','queuing':{'queues':64,'handSize':8,"
                "'queueLengthLimit':50}},'lendablePercent':0}"},
            {group, "v1", "PriorityLevelConfiguration", "{'spec':{'type':'Exempt','exempt':{}}}", "spec.exempt",
                "{'nominalConcurrencyShares':0,'lendablePercent':0}"},
            {group, "v1", "FlowSchema", "{'spec':{'priorityLevelConfiguration':{'name':'x'}}}", "spec",
                "{'priorityLevelConfiguration':{'name':'x'},'matchingPrecedence':1000}"},
        };
        CHECK(rows);
}

static void devices(void **state)
{
        (void)state;
        static const struct row rows[] = {
            {"resource.k8s.io", "v1", "ResourceClaim",
                "{'spec':{'devices':{'requests':[{'name':'a','exactly':{'deviceClassName':'c','tolerations':[{}]}},{"
                "'name':'b','exactly':{'deviceClassName':'c','allocationMode':'All'}},{'name':'c','firstAvailable':[{"
                "'name':'d','deviceClassName':'c'}]}]}}}",
                "spec.devices.requests",
                "[{'name':'a','exactly':{'deviceClassName':'c','allocationMode':'ExactCount','count':1,'tolerations':[{"
                "'operator':'Equal'}]}},{'name':'b','exactly':{'deviceClassName':'c','allocationMode':'All'}},{'name':"
                "'c','firstAvailable':[{'name':'d','deviceClassName':'c','allocationMode':'ExactCount','count':1}]}]"},
            {"resource.k8s.io", "v1", "ResourceClaimTemplate",
                "{'spec':{'spec':{'devices':{'requests':[{'name':'a','exactly':{'deviceClassName':'c'}}]}}}}",
                "spec.spec.devices.requests",
                "[{'name':'a','exactly':{'deviceClassName':'c','allocationMode':'ExactCount','count':1}}]"},
        };
        CHECK(rows);
        static const struct row taint = {"resource.k8s.io", "v1", "ResourceSlice",
            "{'spec':{'devices':[{'name':'a','taints':[{'key':'k','effect':'NoSchedule'},{'key':'l','effect':"
            "'NoSchedule','timeAdded':'2026-01-02T03:04:05Z'}]}]}}"};
        KC_CLEANUP(kc_json_freep) struct json_object *o = defaulted(&taint);
        const struct json_object *taints = kc_json_get(kc_json_idx(kc_json_at(o, "spec.devices"), 0), "taints");
        assert_int_equal(strlen(kc_json_str(kc_json_idx(taints, 0), "timeAdded")), strlen("2026-01-02T03:04:05Z"));
        assert_string_equal(kc_json_str(kc_json_idx(taints, 1), "timeAdded"), "2026-01-02T03:04:05Z");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(workloads),
            cmocka_unit_test(jobs),
            cmocka_unit_test(autoscalers),
            cmocka_unit_test(storage),
            cmocka_unit_test(limits),
            cmocka_unit_test(addresses),
            cmocka_unit_test(networking),
            cmocka_unit_test(webhooks),
            cmocka_unit_test(flow_control),
            cmocka_unit_test(devices),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
