/* Which nodes a DaemonSet wants, and the pods that it makes for them. */
#include "cm_test_util.h"
#include "controller-manager/daemonset_internal.h"

static void assert_wants(const char *spec, const char *node_text, bool run, bool stay)
{
        KC_CLEANUP(kc_freep) char *text = kc_asprintf("{'spec':{'template':{'spec':{%s}}}}", spec);
        KC_CLEANUP(kc_json_freep) struct json_object *ds = tree(text), *node = tree(node_text);
        bool should_run = false, may_stay = false;
        kc_ds_node_wants(ds, node, &should_run, &may_stay);
        assert_int_equal(should_run, run);
        assert_int_equal(may_stay, stay);
}

#define NODE(taints) "{'metadata':{'name':'n1','labels':{'disk':'ssd'}},'spec':{'taints':[" taints "]}}"

static void labels_and_names_choose(void **state)
{
        (void)state;
        assert_wants("", NODE(""), true, true);
        assert_wants("'nodeSelector':{'disk':'ssd'}", NODE(""), true, true);
        assert_wants("'nodeSelector':{'disk':'hdd'}", NODE(""), false, false);
        assert_wants("'nodeName':'n1'", NODE(""), true, true);
        assert_wants("'nodeName':'n2'", NODE(""), false, false);
        assert_wants(
            "'affinity':{'nodeAffinity':{'requiredDuringSchedulingIgnoredDuringExecution':{'nodeSelectorTerms':"
            "[{'matchExpressions':[{'key':'disk','operator':'NotIn','values':['ssd']}]}]}}}",
            NODE(""), false, false);
}

static void taints_keep_off(void **state)
{
        (void)state;
        assert_wants("", NODE("{'key':'k','effect':'NoSchedule'}"), false, true);
        assert_wants("", NODE("{'key':'k','effect':'NoExecute'}"), false, false);
        assert_wants("", NODE("{'key':'k','effect':'PreferNoSchedule'}"), true, true);
        assert_wants(
            "'tolerations':[{'key':'k','operator':'Exists'}]", NODE("{'key':'k','effect':'NoExecute'}"), true, true);
}

static void nodes_in_trouble_are_tolerated(void **state)
{
        (void)state;
        assert_wants("",
            NODE("{'key':'node.kubernetes.io/unreachable','effect':'NoExecute'},"
                 "{'key':'node.kubernetes.io/unschedulable','effect':'NoSchedule'},"
                 "{'key':'node.kubernetes.io/disk-pressure','effect':'NoSchedule'}"),
            true, true);
        assert_wants("", NODE("{'key':'node.kubernetes.io/network-unavailable','effect':'NoSchedule'}"), false, true);
        assert_wants("'hostNetwork':true",
            NODE("{'key':'node.kubernetes.io/network-unavailable','effect':'NoSchedule'}"), true, true);
}

static void pod_is_bound_to_its_node(void **state)
{
        (void)state;
        KC_CLEANUP(kc_json_freep)
        struct json_object *ds = tree(
            "{'metadata':{'name':'ds','namespace':'n','uid':'u','generation':3},'spec':{'template':{'metadata':"
            "{'labels':{'app':'x'}},'spec':{'tolerations':[{'key':'node.kubernetes.io/not-ready','operator':'Exists',"
            "'effect':'NoExecute','tolerationSeconds':5}]}}}}");
        KC_CLEANUP(kc_json_freep) struct json_object *pod = kc_ds_new_pod(ds, "n7", "abc");
        const struct json_object *terms = kc_json_at(
            pod, "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms");
        KC_CLEANUP(kc_json_freep)
        struct json_object *want = tree("[{'matchFields':[{'key':'metadata.name','operator':'In','values':['n7']}]}]");

        assert_true(kc_json_equal(terms, want));
        assert_string_equal(kc_meta_label(pod, "controller-revision-hash"), "abc");
        assert_string_equal(kc_meta_label(pod, "pod-template-generation"), "3");
        assert_string_equal(kc_json_str_at(pod, "metadata.generateName"), "ds-");
        /* The limited toleration of the template gives way to the unlimited one. */
        const struct json_object *tolerations = kc_json_at(pod, "spec.tolerations");
        assert_int_equal(kc_json_len(tolerations), 6);
        for (size_t i = 0; i < kc_json_len(tolerations); i++)
                assert_null(kc_json_get(kc_json_idx(tolerations, i), "tolerationSeconds"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(labels_and_names_choose),
            cmocka_unit_test(taints_keep_off),
            cmocka_unit_test(nodes_in_trouble_are_tolerated),
            cmocka_unit_test(pod_is_bound_to_its_node),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
