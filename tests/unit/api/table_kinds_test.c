/* The cells of kubectl get, for the kinds that are no pods, nodes, services or their like. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "api/table.h"
#include "base/mem.h"
#include "base/str.h"

/* Five minutes before now. */
#define CREATED "'creationTimestamp':'2026-11-21T12:00:00Z'"
#define META "'metadata':{'name':'x'," CREATED "}"

struct row {
        const char *group, *version, *resource, *object, *cells; /* JSON with single quotes */
};

static void check(const struct row *row)
{
        kc_time now;
        assert_int_equal(kc_time_parse("2026-11-21T12:05:00Z", &now), 0);
        const struct kc_resource *r = kc_schema_resource(row->group, row->version, row->resource);
        KC_CLEANUP(kc_freep) char *json = kc_str_replace_all(row->object, "'", "\"");
        KC_CLEANUP(kc_freep) char *want = kc_str_replace_all(row->cells, "'", "\"");
        KC_CLEANUP(kc_json_freep) struct json_object *o = NULL;
        if (!r || kc_json_parse(json, strlen(json), NULL, &o, NULL) < 0)
                fail_msg("%s: %s", row->resource, row->object);
        KC_CLEANUP(kc_json_freep) struct json_object *cells = kc_table_cells(r, o, now);
        KC_CLEANUP(kc_json_freep) struct json_object *table = kc_table_new(r);
        KC_CLEANUP(kc_freep) char *got = kc_json_to_str(cells);
        if (!kc_streq(got, want))
                fail_msg("%s\n  got  %s\n  want %s", row->resource, got, want);
        assert_int_equal(kc_json_len(cells), kc_json_len(kc_json_get(table, "columnDefinitions")));
}

#define CHECK(rows)                                                                                                    \
        for (size_t i_ = 0; i_ < KC_ARRAY_LEN(rows); i_++)                                                             \
        check(&(rows)[i_])

#define POD "'spec':{'containers':[{'name':'a','image':'i:1'},{'name':'b','image':'j:2'}]}"

static void workloads(void **state)
{
        (void)state;
        static const struct row rows[] = {
            {"apps", "v1", "statefulsets",
                "{" META ",'spec':{'replicas':3,'template':{" POD "}},'status':{'readyReplicas':2}}",
                "['x','2/3','5m','a,b','i:1,j:2']"},
            {"", "v1", "podtemplates", "{" META ",'template':{'metadata':{'labels':{'l':'m'}}," POD "}}",
                "['x','a,b','i:1,j:2','l=m']"},
            {"policy", "v1", "poddisruptionbudgets",
                "{" META ",'spec':{'minAvailable':'50%'},'status':{'disruptionsAllowed':2}}",
                "['x','50%','N/A',2,'5m']"},
            {"policy", "v1", "poddisruptionbudgets", "{" META ",'spec':{'maxUnavailable':1}}",
                "['x','N/A','1',0,'5m']"},
        };
        CHECK(rows);
}

static void jobs(void **state)
{
        (void)state;
        static const struct row rows[] = {
            {"batch", "v1", "jobs",
                "{" META
                ",'spec':{'completions':3,'parallelism':2,'selector':{'matchLabels':{'c':'d'}},'template':{" POD
                "}},'status':{'succeeded':1,'startTime':'2026-11-21T12:03:00Z'}}",
                "['x','Running','1/3','2m','5m','a,b','i:1,j:2','c=d']"},
            {"batch", "v1", "jobs",
                "{" META ",'spec':{'completions':1},'status':{'succeeded':1,'startTime':'2026-11-21T12:00:00Z',"
                "'completionTime':'2026-11-21T12:00:09Z','conditions':[{'type':'Complete','status':'True'}]}}",
                "['x','Complete','1/1','9s','5m','','','<none>']"},
            {"batch", "v1", "jobs",
                "{" META ",'spec':{'parallelism':4},'status':{'conditions':[{'type':'Failed','status':'True'}]}}",
                "['x','Failed','0/1 of 4','','5m','','','<none>']"},
            {"batch", "v1", "jobs",
                "{" META ",'spec':{'parallelism':1},'status':{'conditions':[{'type':'Suspended','status':'True'}]}}",
                "['x','Suspended','0/1','','5m','','','<none>']"},
            {"batch", "v1", "cronjobs",
                "{" META
                ",'spec':{'schedule':'*/5 * * * *','suspend':false,'timeZone':'Etc/UTC','jobTemplate':{'spec':{"
                "'template':{" POD "}}}},'status':{'active':[{},{}],'lastScheduleTime':'2026-11-21T12:04:00Z'}}",
                "['x','*/5 * * * *','Etc/UTC','False',2,'60s','5m','a,b','i:1,j:2','<none>']"},
            {"batch", "v1", "cronjobs", "{" META ",'spec':{'schedule':'@hourly','suspend':true}}",
                "['x','@hourly','<none>','True',0,'<none>','5m','','','<none>']"},
        };
        CHECK(rows);
}

#define CPU(current, target)                                                                                           \
        "{" META                                                                                                       \
        ",'spec':{'scaleTargetRef':{'kind':'Deployment','name':'d'},'minReplicas':1,'maxReplicas':4,'metrics'"         \
        ":[{'type':'Resource','resource':{'name':'cpu','target':{" target                                              \
        "}}}]},'status':{'currentReplicas':2," current "}}"

static void autoscalers(void **state)
{
        (void)state;
        static const struct row rows[] = {
            {"autoscaling", "v2", "horizontalpodautoscalers",
                CPU("'currentMetrics':[{'type':'Resource','resource':{'name':'cpu','current':{'averageUtilization':30}}"
                    "}]",
                    "'averageUtilization':80"),
                "['x','Deployment/d','cpu: 30%/80%','1',4,2,'5m']"},
            {"autoscaling", "v2", "horizontalpodautoscalers", CPU("'x':0", "'averageUtilization':80"),
                "['x','Deployment/d','cpu: <unknown>/80%','1',4,2,'5m']"},
            {"autoscaling", "v2", "horizontalpodautoscalers", CPU("'x':0", "'averageValue':'500m'"),
                "['x','Deployment/d','cpu: <unknown>/500m','1',4,2,'5m']"},
            {"autoscaling", "v2", "horizontalpodautoscalers",
                "{" META ",'spec':{'scaleTargetRef':{'kind':'D','name':'d'},'maxReplicas':4,'metrics':[{'type':'Pods',"
                "'pods':{'target':{'averageValue':'5'}}},{'type':'Object','object':{'target':{'value':'9'}}},{'type':"
                "'External','external':{'target':{'averageValue':'7'}}}]},'status':{'currentMetrics':[{'pods':{"
                "'current':{'averageValue':'3'}}},{'object':{'current':{'value':'8'}}}]}}",
                "['x','D/d','3/5, 8/9 + 1 more...','<unset>',4,0,'5m']"},
            {"autoscaling", "v2", "horizontalpodautoscalers",
                "{" META ",'spec':{'metrics':[{'type':'External','external':{'target':{'averageValue':'7'}}}]}}",
                "['x','/','<unknown>/7 (avg)','<unset>',0,0,'5m']"},
            {"autoscaling", "v1", "horizontalpodautoscalers",
                "{" META ",'spec':{'scaleTargetRef':{'kind':'D','name':'d'},'minReplicas':2,'maxReplicas':4,"
                "'targetCPUUtilizationPercentage':60},'status':{'currentCPUUtilizationPercentage':50}}",
                "['x','D/d','cpu: 50%/60%','2',4,0,'5m']"},
        };
        CHECK(rows);
}

static void volumes(void **state)
{
        (void)state;
        static const struct row rows[] = {
            {"", "v1", "persistentvolumes",
                "{" META ",'spec':{'capacity':{'storage':'1Gi'},'accessModes':['ReadWriteMany','ReadWriteOnce'],"
                "'persistentVolumeReclaimPolicy':'Retain','claimRef':{'namespace':'n','name':'c'},'storageClassName':"
                "'fast','volumeMode':'Block'},'status':{'phase':'Bound'}}",
                "['x','1Gi','RWO,RWX','Retain','Bound','n/c','fast','<unset>','','5m','Block']"},
            {"", "v1", "persistentvolumes",
                "{'metadata':{'name':'x'," CREATED ",'deletionTimestamp':'2026-11-21T12:04:00Z'},'spec':{"
                "'volumeAttributesClassName':'gold'},'status':{'phase':'Released','reason':'why'}}",
                "['x','0','','','Terminating','','','gold','why','5m','<unset>']"},
            {"", "v1", "persistentvolumeclaims",
                "{" META ",'spec':{'volumeName':'v','storageClassName':'fast','volumeMode':'Filesystem'},'status':{"
                "'phase':'Bound','accessModes':['ReadWriteOncePod'],'capacity':{'storage':'2Gi'}}}",
                "['x','Bound','v','2Gi','RWOP','fast','<unset>','5m','Filesystem']"},
            {"", "v1", "persistentvolumeclaims",
                "{" META ",'spec':{'resources':{'requests':{'storage':'2Gi'}}},'status':{'phase':'Pending'}}",
                "['x','Pending','','','','','<unset>','5m','<unset>']"},
            {"", "v1", "resourcequotas",
                "{" META
                ",'status':{'hard':{'pods':'10','limits.cpu':'4','cpu':'2'},'used':{'pods':'1','cpu':'500m'}}}",
                "['x','cpu: 500m/2, pods: 1/10','limits.cpu: 0/4','5m']"},
            {"", "v1", "limitranges", "{" META "}", "['x','2026-11-21T12:00:00Z']"},
        };
        CHECK(rows);
}

static void storage(void **state)
{
        (void)state;
        static const struct row rows[] = {
            {"storage.k8s.io", "v1", "storageclasses",
                "{'metadata':{'name':'x'," CREATED
                ",'annotations':{'storageclass.kubernetes.io/is-default-class':'true'"
                "}},'provisioner':'p','allowVolumeExpansion':true}",
                "['x (default)','p','Delete','Immediate',true,'5m']"},
            {"storage.k8s.io", "v1", "storageclasses",
                "{" META ",'provisioner':'p','reclaimPolicy':'Retain','volumeBindingMode':'WaitForFirstConsumer'}",
                "['x','p','Retain','WaitForFirstConsumer',false,'5m']"},
            {"storage.k8s.io", "v1", "csidrivers",
                "{" META ",'spec':{'podInfoOnMount':true,'tokenRequests':[{'audience':'a'},{'audience':'b'}],"
                "'volumeLifecycleModes':['Persistent','Ephemeral']}}",
                "['x',true,true,false,'a,b',false,'Persistent,Ephemeral','5m']"},
            {"storage.k8s.io", "v1", "csidrivers", "{" META ",'spec':{'attachRequired':false}}",
                "['x',false,false,false,'<unset>',false,'<none>','5m']"},
            {"storage.k8s.io", "v1", "csinodes", "{" META ",'spec':{'drivers':[{},{}]}}", "['x',2,'5m']"},
            {"storage.k8s.io", "v1", "csistoragecapacities", "{" META "}", "['x','2026-11-21T12:00:00Z']"},
            {"storage.k8s.io", "v1", "volumeattachments",
                "{" META ",'spec':{'attacher':'a','nodeName':'n','source':{'persistentVolumeName':'v'}},'status':{"
                "'attached':true}}",
                "['x','a','v','n',true,'5m']"},
            {"storage.k8s.io", "v1", "volumeattributesclasses", "{" META ",'driverName':'d'}", "['x','d','5m']"},
        };
        CHECK(rows);
}

static void networking(void **state)
{
        (void)state;
        static const char group[] = "networking.k8s.io";
        static const struct row rows[] = {
            {group, "v1", "ingresses",
                "{" META ",'spec':{'ingressClassName':'c','tls':[{}],'rules':[{'host':'a'},{'host':'b'},{'host':'c'},"
                "{'host':'d'},{'host':'e'}]},'status':{'loadBalancer':{'ingress':[{'ip':'10.0.0.2'},{'hostname':"
                "'lb.example.com'},{'ip':'10.0.0.1'}]}}}",
                "['x','c','a,b,c + 2 more...','10.0.0.1,10.0.0.2,lb.example.com','80, 443','5m']"},
            {group, "v1", "ingresses", "{" META ",'spec':{'defaultBackend':{}}}", "['x','<none>','*','','80','5m']"},
            {group, "v1", "ingressclasses",
                "{" META ",'spec':{'controller':'e/c','parameters':{'apiGroup':'e','kind':'K','name':'n'}}}",
                "['x','e/c','K.e/n','5m']"},
            {group, "v1", "ingressclasses", "{" META ",'spec':{'controller':'e/c'}}", "['x','e/c','<none>','5m']"},
            {group, "v1", "networkpolicies", "{" META ",'spec':{'podSelector':{'matchLabels':{'a':'b'}}}}",
                "['x','a=b','5m']"},
            {group, "v1", "networkpolicies", "{" META ",'spec':{'podSelector':{}}}", "['x','<none>','5m']"},
            {group, "v1", "ipaddresses",
                "{" META ",'spec':{'parentRef':{'resource':'services','namespace':'default','name':'kubernetes'}}}",
                "['x','services/default/kubernetes']"},
            {group, "v1", "servicecidrs", "{" META ",'spec':{'cidrs':['10.0.0.0/16','fd00::/112']}}",
                "['x','10.0.0.0/16,fd00::/112','5m']"},
        };
        CHECK(rows);
}

static void admission(void **state)
{
        (void)state;
        static const char group[] = "admissionregistration.k8s.io";
        static const struct row rows[] = {
            {group, "v1", "mutatingwebhookconfigurations", "{" META ",'webhooks':[{},{}]}", "['x',2,'5m']"},
            {group, "v1", "validatingwebhookconfigurations", "{" META "}", "['x',0,'5m']"},
            {group, "v1", "validatingadmissionpolicies",
                "{" META ",'spec':{'validations':[{}],'paramKind':{'apiVersion':'e/v1','kind':'K'}}}",
                "['x',1,'e/v1/K','5m']"},
            {group, "v1", "mutatingadmissionpolicies", "{" META ",'spec':{'mutations':[{},{}]}}",
                "['x',2,'<unset>','5m']"},
            {group, "v1", "validatingadmissionpolicybindings",
                "{" META ",'spec':{'policyName':'p','paramRef':{'name':'n','namespace':'m'}}}", "['x','p','m/n','5m']"},
            {group, "v1", "mutatingadmissionpolicybindings", "{" META ",'spec':{'policyName':'p'}}",
                "['x','p','<unset>','5m']"},
        };
        CHECK(rows);
}

static void cluster(void **state)
{
        (void)state;
        static const struct row rows[] = {
            {"certificates.k8s.io", "v1", "certificatesigningrequests",
                "{" META ",'spec':{'signerName':'e/s','username':'u','expirationSeconds':3600},'status':{'conditions':["
                "{'type':'Approved'}],'certificate':'QQ=='}}",
                "['x','5m','e/s','u','60m','Approved,Issued']"},
            {"certificates.k8s.io", "v1", "certificatesigningrequests", "{" META ",'spec':{'signerName':'e/s'}}",
                "['x','5m','e/s','','<none>','Pending']"},
            {"flowcontrol.apiserver.k8s.io", "v1", "flowschemas",
                "{" META ",'spec':{'priorityLevelConfiguration':{'name':'p'},'matchingPrecedence':5,"
                "'distinguisherMethod':{'type':'ByUser'}},'status':{'conditions':[{'type':'Dangling','status':'False'}]"
                "}}",
                "['x','p',5,'ByUser','5m','False']"},
            {"flowcontrol.apiserver.k8s.io", "v1", "prioritylevelconfigurations",
                "{" META ",'spec':{'type':'Limited','limited':{'nominalConcurrencyShares':30,'limitResponse':{'queuing'"
                ":{'queues':64,'handSize':6,'queueLengthLimit':50}}}}}",
                "['x','Limited',30,64,6,50,'5m']"},
            {"flowcontrol.apiserver.k8s.io", "v1", "prioritylevelconfigurations",
                "{" META ",'spec':{'type':'Exempt','exempt':{}}}",
                "['x','Exempt','<none>','<none>','<none>','<none>','5m']"},
            {"apiregistration.k8s.io", "v1", "apiservices",
                "{" META ",'spec':{'service':{'namespace':'n','name':'s'}},'status':{'conditions':[{'type':'Available',"
                "'status':'False','reason':'MissingEndpoints'}]}}",
                "['x','n/s','False (MissingEndpoints)','5m']"},
            {"apiregistration.k8s.io", "v1", "apiservices",
                "{" META ",'spec':{},'status':{'conditions':[{'type':'Available','status':'True'}]}}",
                "['x','Local','True','5m']"},
            {"apiextensions.k8s.io", "v1", "customresourcedefinitions", "{" META "}", "['x','2026-11-21T12:00:00Z']"},
            {"", "v1", "componentstatuses",
                "{" META ",'conditions':[{'type':'Healthy','status':'True','message':'ok'}]}",
                "['x','Healthy','ok','']"},
            {"node.k8s.io", "v1", "runtimeclasses", "{" META ",'handler':'runc'}", "['x','runc','5m']"},
        };
        CHECK(rows);
}

static void devices(void **state)
{
        (void)state;
        static const char group[] = "resource.k8s.io";
        static const struct row rows[] = {
            {group, "v1", "deviceclasses", "{" META "}", "['x','5m']"},
            {group, "v1", "resourceclaimtemplates", "{" META "}", "['x','5m']"},
            {group, "v1", "resourceclaims", "{" META "}", "['x','pending','5m']"},
            {group, "v1", "resourceclaims", "{" META ",'status':{'allocation':{},'reservedFor':[{}]}}",
                "['x','allocated,reserved','5m']"},
            {group, "v1", "resourceslices", "{" META ",'spec':{'nodeName':'n','driver':'d','pool':{'name':'p'}}}",
                "['x','n','d','p','5m']"},
        };
        CHECK(rows);
}

/* Every kind that has columns has as many cells, even without content. */
static void every_kind(void **state)
{
        (void)state;
        size_t n;
        const struct kc_group_version *const *gvs = kc_schema_group_versions(&n);
        for (size_t i = 0; i < n; i++) {
                for (size_t k = 0; k < gvs[i]->n_resources; k++) {
                        const struct kc_resource *r = &gvs[i]->resources[k];
                        if (!(r->verbs & KC_VERB_LIST))
                                continue;
                        KC_CLEANUP(kc_json_freep) struct json_object *o = kc_json_build("{'metadata':{}}");
                        KC_CLEANUP(kc_json_freep) struct json_object *cells = kc_table_cells(r, o, 0);
                        KC_CLEANUP(kc_json_freep) struct json_object *table = kc_table_new(r);
                        if (kc_json_len(cells) != kc_json_len(kc_json_get(table, "columnDefinitions")))
                                fail_msg("%s.%s: %zu cells", r->resource, r->group, kc_json_len(cells));
                }
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(workloads),
            cmocka_unit_test(jobs),
            cmocka_unit_test(autoscalers),
            cmocka_unit_test(volumes),
            cmocka_unit_test(storage),
            cmocka_unit_test(networking),
            cmocka_unit_test(admission),
            cmocka_unit_test(cluster),
            cmocka_unit_test(devices),
            cmocka_unit_test(every_kind),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
