/* Facts, status, admission and CNI configuration of the node. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs the headers above first. */
#include <cmocka.h>

#include "base/mem.h"
#include "base/str.h"
#include "kubelet/node/node_internal.h"

static void test_allocatable(void **state)
{
        (void)state;
        KC_CLEANUP(kc_json_freep)
        struct json_object *capacity =
            kc_json_build("{'cpu':'2','memory':'24684096Ki','ephemeral-storage':'101430960Ki','pods':'110'}");
        char *const kube[] = {(char *)"cpu=100m", (char *)"memory=1Gi", NULL};
        char *const system[] = {(char *)"cpu=100m", NULL};
        char *const evict[] = {(char *)"memory.available=100Mi", (char *)"nodefs.available<10%", NULL};
        KC_CLEANUP(kc_json_freep) struct json_object *a = kc_machine_allocatable(capacity, kube, system, evict);
        KC_CLEANUP(kc_freep) char *text = kc_json_to_str(a);
        assert_string_equal(text,
            "{\"cpu\":\"1800m\",\"memory\":\"23533120Ki\",\"ephemeral-storage\":\"93478772736\",\"pods\":\"110\"}");
}

static void test_cni_config(void **state)
{
        (void)state;
        char *const cidrs[] = {(char *)"10.244.1.0/24", (char *)"fd00:1::/64", NULL};
        KC_CLEANUP(kc_freep) char *text = kc_cni_config_text("/var/lib/kubelet/cni", cidrs);
        KC_CLEANUP(kc_json_freep) struct json_object *c = NULL;
        assert_int_equal(kc_json_parse(text, strlen(text), NULL, &c, NULL), 0);
        KC_CLEANUP(kc_freep) char *got = kc_json_to_str(c);
        assert_string_equal(got, "{\"cniVersion\":\"0.4.0\",\"name\":\"kubec\",\"plugins\":[{\"type\":\"bridge\","
                                 "\"bridge\":\"cni0\",\"isGateway\":true,"
                                 "\"ipMasq\":true,\"hairpinMode\":true,\"ipam\":{\"type\":\"host-local\",\"dataDir\":"
                                 "\"/var/lib/kubelet/cni\",\"ranges\":[[{"
                                 "\"subnet\":\"10.244.1.0/24\"}],"
                                 "[{\"subnet\":\"fd00:1::/64\"}]],\"routes\":[{\"dst\":\"0.0.0.0/0\"},{\"dst\":\"::/"
                                 "0\"}]}},{\"type\":\"portmap\","
                                 "\"capabilities\":{\"portMappings\":true}}]}");
}

static struct kc_node *node_with(const char *spec_and_status)
{
        struct kc_node *n = KC_NEW(struct kc_node);
        pthread_mutex_init(&n->mutex, NULL);
        KC_CLEANUP(kc_freep) char *text = kc_str_replace_all(spec_and_status, "'", "\"");
        struct json_object *tree = NULL;
        assert_int_equal(kc_json_parse(text, strlen(text), NULL, &tree, NULL), 0);
        n->local = kc_object_new(tree);
        return n;
}

static void node_free(struct kc_node *n)
{
        kc_object_unref(n->local);
        pthread_mutex_destroy(&n->mutex);
        kc_free(n);
}

static void expect_admission(
    struct kc_node *n, const char *pod_json, const char *other_json, const char *reason, const char *message)
{
        KC_CLEANUP(kc_freep) char *text = kc_str_replace_all(pod_json, "'", "\"");
        KC_CLEANUP(kc_json_freep) struct json_object *pod = NULL;
        assert_int_equal(kc_json_parse(text, strlen(text), NULL, &pod, NULL), 0);
        struct kc_objects others = {0};
        if (other_json) {
                KC_CLEANUP(kc_freep) char *other = kc_str_replace_all(other_json, "'", "\"");
                struct json_object *o = NULL;
                assert_int_equal(kc_json_parse(other, strlen(other), NULL, &o, NULL), 0);
                kc_objects_push_take(&others, kc_object_new(o));
        }
        KC_CLEANUP(kc_freep) char *got_reason = NULL;
        KC_CLEANUP(kc_freep) char *got_message = NULL;
        bool ok = kc_node_admit(n, pod, &others, &got_reason, &got_message);
        kc_objects_done(&others);
        assert_int_equal(ok, reason == NULL);
        if (reason) {
                assert_string_equal(got_reason, reason);
                assert_string_equal(got_message, message);
        }
}

#define CPU(uid, cpu)                                                                                                  \
        "{'metadata':{'name':'p','uid':'" uid "'},'spec':{'nodeName':'n','containers':[{'name':'a','resources':{"      \
        "'requests':{'cpu':'" cpu "'}}}]}}"
#define PORT(uid) "{'metadata':{'uid':'" uid "'},'spec':{'containers':[{'name':'a','ports':[{'hostPort':80}]}]}}"

static void test_admission(void **state)
{
        (void)state;
        struct kc_node *n =
            node_with("{'metadata':{'name':'n','labels':{'disk':'ssd'}},'spec':{'taints':[{'key':'k','effect':"
                      "'NoExecute'}]},'status':{'allocatable':{'cpu':'2','pods':'2'}}}");
#define TOLERATE "'tolerations':[{'operator':'Exists'}]"
        expect_admission(n, CPU("a", "3"), NULL, "OutOfcpu",
            "Node didn't have enough resource: cpu, requested: 3000, used: 0, capacity: 2000");
        expect_admission(n, CPU("a", "1500m"), CPU("b", "600m"), "OutOfcpu",
            "Node didn't have enough resource: cpu, requested: 1500, used: 600, capacity: 2000");
        expect_admission(n, CPU("a", "1"), CPU("a", "2"), "TaintToleration",
            "Predicate TaintToleration failed: node(s) had taints that the pod didn't tolerate");
        expect_admission(n, "{'metadata':{'uid':'a'},'spec':{'nodeSelector':{'disk':'hdd'}}}", NULL, "NodeAffinity",
            "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector");
        expect_admission(n, "{'metadata':{'uid':'a'},'spec':{'nodeName':'m'}}", NULL, "NodeName",
            "Predicate NodeName failed: node(s) didn't match the requested node name");
        expect_admission(n, PORT("a"), PORT("b"), "NodePorts",
            "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports");
        expect_admission(
            n, "{'metadata':{'uid':'a'},'spec':{'nodeSelector':{'disk':'ssd'}," TOLERATE "}}", NULL, NULL, NULL);
        node_free(n);
}

static void test_status_changed(void **state)
{
        (void)state;
        KC_CLEANUP(kc_json_freep)
        struct json_object *a =
            kc_json_build("{'conditions':[{'type':'Ready','status':'True','lastHeartbeatTime':'t1'}]}");
        KC_CLEANUP(kc_json_freep)
        struct json_object *b =
            kc_json_build("{'conditions':[{'type':'Ready','status':'True','lastHeartbeatTime':'t2'}]}");
        KC_CLEANUP(kc_json_freep)
        struct json_object *c =
            kc_json_build("{'conditions':[{'type':'Ready','status':'False','lastHeartbeatTime':'t2'}]}");
        assert_false(kc_node_status_changed(a, b));
        assert_true(kc_node_status_changed(a, c));
        assert_true(kc_node_status_changed(NULL, a));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_allocatable),
            cmocka_unit_test(test_cni_config),
            cmocka_unit_test(test_admission),
            cmocka_unit_test(test_status_changed),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
