/* The cells of kubectl get. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "api/table.h"
#include "base/str.h"

#define CREATED "'creationTimestamp':'2026-11-21T12:00:00Z'"

static kc_time now(void)
{
        kc_time t;
        assert_int_equal(kc_time_parse("2026-11-21T12:05:00Z", &t), 0);
        return t;
}

static void expect_cells(const char *group, const char *resource, const char *object, const char *expected)
{
        const struct kc_resource *r = kc_schema_resource(group, NULL, resource);
        assert_non_null(r);
        char *json = kc_str_replace_all(object, "'", "\""), *want = kc_str_replace_all(expected, "'", "\"");
        struct json_object *o = NULL;
        assert_int_equal(kc_json_parse(json, strlen(json), NULL, &o, NULL), 0);
        struct json_object *cells = kc_table_cells(r, o, now()), *table = kc_table_new(r);
        assert_int_equal(kc_json_len(cells), kc_json_len(kc_json_get(table, "columnDefinitions")));
        char *got = kc_json_to_str(cells);
        assert_string_equal(got, want);
        kc_free(got);
        kc_free(json);
        kc_free(want);
        kc_json_free(o);
        kc_json_free(cells);
        kc_json_free(table);
}

static void expect_pod(const char *spec, const char *status, const char *ready, const char *word, const char *restarts)
{
        char *object = kc_asprintf("{'metadata':{'name':'p'," CREATED "},'spec':%s,'status':%s}", spec, status);
        char *cells =
            kc_asprintf("['p','%s','%s','%s','5m','<none>','<none>','<none>','<none>']", ready, word, restarts);
        expect_cells("", "pods", object, cells);
        kc_free(object);
        kc_free(cells);
}

static void columns(void **state)
{
        (void)state;
        struct json_object *t = kc_table_new(kc_schema_resource("", "v1", "pods"));
        assert_string_equal(kc_json_str(t, "kind"), "Table");
        assert_string_equal(kc_json_str(t, "apiVersion"), "meta.k8s.io/v1");
        const struct json_object *c = kc_json_get(t, "columnDefinitions");
        assert_int_equal(kc_json_len(c), 9);
        assert_string_equal(kc_json_str(kc_json_idx(c, 0), "name"), "Name");
        assert_string_equal(kc_json_str(kc_json_idx(c, 0), "format"), "name");
        assert_string_equal(kc_json_str(kc_json_idx(c, 3), "name"), "Restarts");
        assert_int_equal(kc_json_int(kc_json_idx(c, 3), "priority", -1), 0);
        assert_int_equal(kc_json_int(kc_json_idx(c, 8), "priority", -1), 1);
        kc_json_free(t);
        t = kc_table_new(kc_schema_resource("rbac.authorization.k8s.io", "v1", "roles"));
        assert_string_equal(kc_json_str(kc_json_idx(kc_json_get(t, "columnDefinitions"), 1), "name"), "Created At");
        kc_json_free(t);
}

#define ONE "{'containers':[{'name':'a'}]}"
#define WITH_INIT "{'initContainers':[{'name':'i'},{'name':'j'}],'containers':[{'name':'a'}]}"

static void pods(void **state)
{
        (void)state;
        expect_pod(ONE, "{'phase':'Pending'}", "0/1", "Pending", "0");
        expect_pod(ONE,
            "{'phase':'Running','containerStatuses':[{'name':'a','ready':true,'restartCount':0,"
            "'state':{'running':{}}}]}",
            "1/1", "Running", "0");
        expect_pod(ONE,
            "{'phase':'Running','containerStatuses':[{'name':'a','ready':false,'restartCount':3,'state':"
            "{'waiting':{'reason':'CrashLoopBackOff'}},'lastState':{'terminated':{'exitCode':1,"
            "'finishedAt':'2026-11-21T12:04:00Z'}}}]}",
            "0/1", "CrashLoopBackOff", "3 (60s ago)");
        expect_pod(ONE,
            "{'phase':'Succeeded','containerStatuses':[{'name':'a','state':{'terminated':"
            "{'exitCode':0,'reason':'Completed'}}}]}",
            "0/1", "Completed", "0");
        expect_pod(ONE, "{'phase':'Failed','containerStatuses':[{'name':'a','state':{'terminated':{'exitCode':3}}}]}",
            "0/1", "ExitCode:3", "0");
        expect_pod(ONE,
            "{'phase':'Failed','containerStatuses':[{'name':'a','state':{'terminated':{'exitCode':137,"
            "'signal':9}}}]}",
            "0/1", "Signal:9", "0");
        expect_pod(ONE, "{'phase':'Failed','reason':'Evicted'}", "0/1", "Evicted", "0");
        expect_pod(ONE,
            "{'phase':'Pending','conditions':[{'type':'PodScheduled','status':'False',"
            "'reason':'SchedulingGated'}]}",
            "0/1", "SchedulingGated", "0");
        expect_pod("{'containers':[{'name':'a'},{'name':'b'}]}",
            "{'phase':'Running','conditions':[{'type':'Ready','status':'False'}],'containerStatuses':[{'name':'a','"
            "state':"
            "{'terminated':{'exitCode':0,'reason':'Completed'}}},{'name':'b','ready':true,'state':{'running':{}}}]}",
            "1/2", "NotReady", "0");
}

static void init_containers(void **state)
{
        (void)state;
        expect_pod(WITH_INIT, "{'phase':'Pending','initContainerStatuses':[{'name':'i','state':{'running':{}}}]}",
            "0/1", "Init:0/2", "0");
        expect_pod(WITH_INIT,
            "{'phase':'Pending','initContainerStatuses':[{'name':'i','state':{'terminated':{'exitCode':0}}},"
            "{'name':'j','restartCount':2,'state':{'waiting':{'reason':'CrashLoopBackOff'}}}]}",
            "0/1", "Init:CrashLoopBackOff", "2");
        expect_pod(WITH_INIT,
            "{'phase':'Pending','initContainerStatuses':[{'name':'i','state':{'terminated':{'exitCode':0}}},"
            "{'name':'j','state':{'waiting':{'reason':'PodInitializing'}}}]}",
            "0/1", "Init:1/2", "0");
        expect_pod(WITH_INIT,
            "{'phase':'Pending','initContainerStatuses':[{'name':'i','state':{'terminated':{'exitCode':7}}}]}", "0/1",
            "Init:ExitCode:7", "0");
        /* Restarts of init containers are forgotten once the pod runs; those of sidecars are not. */
        expect_pod(
            "{'initContainers':[{'name':'s','restartPolicy':'Always'},{'name':'i'}],'containers':[{'name':'a'}]}",
            "{'phase':'Running','conditions':[{'type':'Initialized','status':'True'}],'initContainerStatuses':["
            "{'name':'s','restartCount':1,'started':true,'ready':true,'state':{'running':{}}},"
            "{'name':'i','restartCount':5,'state':{'terminated':{'exitCode':0}}}],"
            "'containerStatuses':[{'name':'a','ready':true,'restartCount':1,'state':{'running':{}}}]}",
            "2/2", "Running", "2");
}

static void deleted_pods_and_wide_cells(void **state)
{
        (void)state;
        expect_cells("", "pods",
            "{'metadata':{'name':'p'," CREATED ",'deletionTimestamp':'2026-11-21T12:04:00Z'},'spec':{'nodeName':'n1',"
            "'containers':[{'name':'a'}],'readinessGates':[{'conditionType':'x'},{'conditionType':'y'}]},'status':"
            "{'phase':'Running','podIPs':[{'ip':'10.0.0.5'},{'ip':'fd00::5'}],'nominatedNodeName':'n2',"
            "'conditions':[{'type':'x','status':'True'}]}}",
            "['p','0/1','Terminating','0','5m','10.0.0.5','n1','n2','1/2']");
}

static void nodes(void **state)
{
        (void)state;
        expect_cells("", "nodes",
            "{'metadata':{'name':'n'," CREATED ",'labels':{'node-role.kubernetes.io/worker':'',"
            "'node-role.kubernetes.io/control-plane':''}},'spec':{'unschedulable':true},'status':{'conditions':"
            "[{'type':'Ready','status':'True'}],'addresses':[{'type':'InternalIP','address':'10.0.0.1'}],'nodeInfo':"
            "{'kubeletVersion':'v1.36.2','osImage':'Debian','kernelVersion':'6.1','containerRuntimeVersion':"
            "'containerd://1.6'}}}",
            "['n','Ready,SchedulingDisabled','control-plane,worker','5m','v1.36.2','10.0.0.1','<none>','Debian','6.1',"
            "'containerd://1.6']");
        expect_cells("", "nodes", "{'metadata':{'name':'n'}}",
            "['n','Unknown','<none>','<unknown>','','<none>','<none>','<unknown>','<unknown>','<unknown>']");
}

static void services(void **state)
{
        (void)state;
        expect_cells("", "services",
            "{'metadata':{'name':'s'," CREATED "},'spec':{'type':'NodePort','clusterIPs':['10.96.0.7'],'ports':"
            "[{'port':80,'nodePort':30080,'protocol':'TCP'},{'port':53,'protocol':'UDP'}],"
            "'selector':{'b':'2','a':'1'}}}",
            "['s','NodePort','10.96.0.7','<none>','80:30080/TCP,53/UDP','5m','a=1,b=2']");
        expect_cells("", "services", "{'metadata':{'name':'s'," CREATED "},'spec':{'type':'LoadBalancer'}}",
            "['s','LoadBalancer','<none>','<pending>','<none>','5m','<none>']");
        expect_cells("", "services",
            "{'metadata':{'name':'s'," CREATED "},'spec':{'type':'ExternalName','externalName':'example.org'}}",
            "['s','ExternalName','<none>','example.org','<none>','5m','<none>']");
}

static void endpoints(void **state)
{
        (void)state;
        expect_cells("", "endpoints",
            "{'metadata':{'name':'e'," CREATED "},'subsets':[{'addresses':[{'ip':'10.0.0.1'},{'ip':'fd00::1'},"
            "{'ip':'10.0.0.3'},{'ip':'10.0.0.4'}],'ports':[{'port':80}]}]}",
            "['e','10.0.0.1:80,[fd00::1]:80,10.0.0.3:80 + 1 more...','5m']");
        expect_cells("", "endpoints", "{'metadata':{'name':'e'," CREATED "}}", "['e','<none>','5m']");
        expect_cells("discovery.k8s.io", "endpointslices",
            "{'metadata':{'name':'e'," CREATED "},'addressType':'IPv4','ports':[{'name':'http','port':80}],"
            "'endpoints':[{'addresses':['10.0.0.1']},{'addresses':['10.0.0.2']}]}",
            "['e','IPv4','80','10.0.0.1,10.0.0.2','5m']");
        expect_cells("discovery.k8s.io", "endpointslices",
            "{'metadata':{'name':'e'," CREATED "},'addressType':'IPv4','ports':null,'endpoints':null}",
            "['e','IPv4','<unset>','<unset>','5m']");
}

#define TEMPLATE "'template':{'spec':{'containers':[{'name':'a','image':'x:1'},{'name':'b','image':'y:2'}]}}"

static void workloads(void **state)
{
        (void)state;
        expect_cells("apps", "deployments",
            "{'metadata':{'name':'d'," CREATED
            "},'spec':{'replicas':3,'selector':{'matchLabels':{'app':'web'}}," TEMPLATE
            "},'status':{'readyReplicas':2,'updatedReplicas':3,'availableReplicas':2}}",
            "['d','2/3',3,2,'5m','a,b','x:1,y:2','app=web']");
        expect_cells("apps", "replicasets",
            "{'metadata':{'name':'r'," CREATED "},'spec':{'replicas':3,'selector':{'matchExpressions':[{'key':'a',"
            "'operator':'In','values':['x','y']}]}," TEMPLATE "},'status':{'replicas':3,'readyReplicas':1}}",
            "['r',3,3,1,'5m','a,b','x:1,y:2','a in (x,y)']");
        expect_cells("apps", "daemonsets",
            "{'metadata':{'name':'d'," CREATED "},'spec':{'selector':{'matchLabels':{'app':'web'}}," TEMPLATE
            "},'status':{'desiredNumberScheduled':2,'currentNumberScheduled':2,'numberReady':1,"
            "'updatedNumberScheduled':2,'numberAvailable':1}}",
            "['d',2,2,1,2,1,'<none>','5m','a,b','x:1,y:2','app=web']");
        expect_cells("", "replicationcontrollers",
            "{'metadata':{'name':'r'," CREATED "},'spec':{'replicas':1,'selector':{'a':'b'}},'status':{'replicas':1}}",
            "['r',1,1,0,'5m','','','a=b']");
        expect_cells("apps", "controllerrevisions",
            "{'metadata':{'name':'c'," CREATED ",'ownerReferences':[{'apiVersion':'apps/v1','kind':'DaemonSet',"
            "'name':'d','controller':true}]},'revision':4}",
            "['c','daemonset.apps/d',4,'5m']");
}

static void events(void **state)
{
        (void)state;
        expect_cells("", "events",
            "{'metadata':{'name':'e'},'involvedObject':{'kind':'Pod','name':'Web','fieldPath':'spec.containers{a}'},"
            "'type':'Normal','reason':'Started','message':' Started \\n','count':4,'source':{'component':'kubelet',"
            "'host':'n1'},'firstTimestamp':'2026-11-21T11:05:00Z','lastTimestamp':'2026-11-21T12:04:50Z'}",
            "['10s','Normal','Started','pod/Web','spec.containers{a}','kubelet, n1','Started','60m',4,'e']");
        expect_cells("", "events",
            "{'metadata':{'name':'e'},'involvedObject':{'kind':'Pod'},'eventTime':'2026-11-21T12:03:00.000000Z',"
            "'firstTimestamp':null,'lastTimestamp':null,'reportingComponent':'scheduler','reportingInstance':''}",
            "['2m','','','pod','','scheduler','','2m',1,'e']");
        expect_cells("events.k8s.io", "events",
            "{'metadata':{'name':'e'},'regarding':{'kind':'Node','name':'n'},'note':'hi','eventTime':"
            "'2026-11-21T12:03:00.000000Z','series':{'count':7,'lastObservedTime':'2026-11-21T12:04:00.000000Z'}}",
            "['60s','','','node/n','','','hi','2m',7,'e']");
}

static void the_rest(void **state)
{
        (void)state;
        expect_cells("", "configmaps",
            "{'metadata':{'name':'c'," CREATED "},'data':{'a':'','b':''},'binaryData':{'c':''}}", "['c',3,'5m']");
        expect_cells("", "secrets", "{'metadata':{'name':'s'," CREATED "},'type':'Opaque','data':{'a':''}}",
            "['s','Opaque',1,'5m']");
        expect_cells("", "namespaces", "{'metadata':{'name':'n'," CREATED "},'status':{'phase':'Active'}}",
            "['n','Active','5m']");
        expect_cells("", "serviceaccounts", "{'metadata':{'name':'sa'," CREATED "}}", "['sa','5m']");
        expect_cells("coordination.k8s.io", "leases",
            "{'metadata':{'name':'l'," CREATED "},'spec':{'holderIdentity':'me'}}", "['l','me','5m']");
        expect_cells("rbac.authorization.k8s.io", "roles", "{'metadata':{'name':'r'," CREATED "}}",
            "['r','2026-11-21T12:00:00Z']");
        expect_cells("rbac.authorization.k8s.io", "rolebindings",
            "{'metadata':{'name':'r'," CREATED
            "},'roleRef':{'kind':'Role','name':'x'},'subjects':[{'kind':'User','name':"
            "'u'},{'kind':'Group','name':'g'},{'kind':'ServiceAccount','namespace':'ns','name':'s'},{'kind':'User',"
            "'name':'v'}]}",
            "['r','Role/x','5m','u, v','g','ns/s']");
        expect_cells("scheduling.k8s.io", "priorityclasses",
            "{'metadata':{'name':'p'," CREATED "},'value':100,'preemptionPolicy':'Never'}",
            "['p',100,false,'5m','Never']");
        expect_cells("", "bindings", "{'metadata':{'name':'b'," CREATED "}}", "['b','2026-11-21T12:00:00Z']");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(columns),
            cmocka_unit_test(pods),
            cmocka_unit_test(init_containers),
            cmocka_unit_test(deleted_pods_and_wide_cells),
            cmocka_unit_test(nodes),
            cmocka_unit_test(services),
            cmocka_unit_test(endpoints),
            cmocka_unit_test(workloads),
            cmocka_unit_test(events),
            cmocka_unit_test(the_rest),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
