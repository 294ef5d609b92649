/* Decisions on small clusters: which node, and upstream's words when there is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "scheduler/decide.h"
#include "scheduler/queue.h"

static struct kc_object *object(const char *text)
{
        struct json_object *tree = NULL;
        struct kc_error err = KC_ERROR_INIT;
        KC_CLEANUP(kc_freep) char *json = kc_str_replace_all(text, "'", "\"");
        if (kc_json_parse(json, strlen(json), NULL, &tree, &err) < 0)
                fail_msg("%s: %s", kc_error_message(&err), json);
        return kc_object_new(tree);
}

static void add_node(struct kc_cluster *c, const char *name, const char *cpu, const char *more_spec)
{
        KC_CLEANUP(kc_freep)
        char *text = kc_asprintf(
            "{'metadata':{'name':'%s','labels':{'kubernetes.io/hostname':'%s'}},'spec':{%s},'status':{'allocatable':"
            "{'cpu':'%s','memory':'8Gi','pods':'3'}}}",
            name, name, more_spec, cpu);
        KC_CLEANUP(kc_object_unrefp) struct kc_object *o = object(text);
        (void)kc_cluster_set_node(c, o); /* the events do not matter here */
}

static struct kc_pod_info *pod(const char *name, const char *cpu, const char *more_spec)
{
        KC_CLEANUP(kc_freep)
        char *text = kc_asprintf("{'metadata':{'name':'%s','namespace':'d','uid':'%s'},'spec':{%s'containers':[{'name':"
                                 "'c','image':'i:1','resources':"
                                 "{'requests':{'cpu':'%s'}}}]}}",
            name, name, more_spec, cpu);
        KC_CLEANUP(kc_object_unrefp) struct kc_object *o = object(text);
        return kc_pod_info_new(o);
}

static void assert_message(struct kc_cluster *c, struct kc_pod_info *take, const char *want)
{
        KC_CLEANUP(kc_pod_info_freep) struct kc_pod_info *p = take;
        struct kc_decision d;
        size_t start = 0;
        kc_decide(c, p, 0, &start, &d);
        assert_int_equal(d.row, -1);
        assert_string_equal(d.message, want);
        kc_decision_done(&d);
}

static void assert_node(struct kc_cluster *c, struct kc_pod_info *take, const char *want)
{
        KC_CLEANUP(kc_pod_info_freep) struct kc_pod_info *p = take;
        struct kc_decision d;
        size_t start = 0;
        kc_decide(c, p, 0, &start, &d);
        assert_true(d.row >= 0);
        assert_string_equal(c->names[d.row], want);
        kc_decision_done(&d);
}

static int setup(void **state)
{
        struct kc_cluster *c = KC_NEW(struct kc_cluster);
        kc_cluster_init(c);
        *state = c;
        return 0;
}

static int teardown(void **state)
{
        kc_cluster_done(*state);
        kc_free(*state);
        return 0;
}

static void test_no_nodes(void **state)
{
        assert_message(*state, pod("p", "1", ""), "no nodes available to schedule pods");
}

static void test_reasons_are_counted(void **state)
{
        struct kc_cluster *c = *state;
        add_node(c, "n1", "1", "");
        add_node(c, "n2", "1", "");
        add_node(c, "n3", "8", "'taints':[{'key':'k','value':'v','effect':'NoSchedule'}]");
        add_node(c, "n4", "8", "'unschedulable':true");
        assert_message(c, pod("p", "2", ""),
            "0/4 nodes are available: 1 node(s) had untolerated taint(s), 1 node(s) were unschedulable, 2 Insufficient "
            "cpu.");
        assert_message(c, pod("p", "1", "'nodeSelector':{'disk':'ssd'},"),
            "0/4 nodes are available: 1 node(s) had untolerated taint(s), 1 node(s) were unschedulable, "
            "2 node(s) didn't match Pod's node affinity/selector.");
}

static void test_tolerations_and_selectors(void **state)
{
        struct kc_cluster *c = *state;
        add_node(c, "n1", "8", "");
        add_node(c, "n2", "8", "'taints':[{'key':'k','value':'v','effect':'NoSchedule'}]");
        assert_node(c, pod("p", "1", ""), "n1");
        assert_node(c,
            pod("p", "1",
                "'tolerations':[{'key':'k','operator':'Exists'}],'nodeSelector':{'kubernetes.io/hostname':'n2'},"),
            "n2");
        assert_message(c, pod("p", "1", "'nodeName':'n9',"),
            "0/2 nodes are available: 2 node(s) didn't match the requested node name.");
}

static void test_usage_counts_and_is_given_back(void **state)
{
        struct kc_cluster *c = *state;
        add_node(c, "n1", "2", "");
        kc_cluster_assume(c, pod("a", "1500m", ""), 0);
        assert_true(kc_cluster_is_assumed(c, "d/a"));
        assert_message(c, pod("p", "1", ""), "0/1 nodes are available: 1 Insufficient cpu.");
        kc_cluster_forget(c, "d/a");
        assert_node(c, pod("p", "1", ""), "n1");
        kc_cluster_assume(c, pod("a", "1", ""), 0);
        kc_cluster_assume(c, pod("b", "100m", ""), 0);
        kc_cluster_assume(c, pod("c", "100m", ""), 0);
        assert_message(c, pod("p", "2", ""), "0/1 nodes are available: 1 Insufficient cpu, 1 Too many pods.");
}

static void test_the_emptier_node_is_better(void **state)
{
        struct kc_cluster *c = *state;
        add_node(c, "n1", "4", "");
        add_node(c, "n2", "4", "");
        kc_cluster_assume(c, pod("a", "2", ""), (size_t)kc_cluster_row(c, "n1"));
        assert_node(c, pod("p", "1", ""), "n2");
}

static void test_host_ports_exclude_each_other(void **state)
{
        struct kc_cluster *c = *state;
        KC_CLEANUP(kc_object_unrefp)
        struct kc_object *o =
            object("{'metadata':{'name':'a','namespace':'d','uid':'a'},'spec':{'containers':[{'name':'c','ports':"
                   "[{'containerPort':80,'hostPort':8080}]}]}}");
        add_node(c, "n1", "4", "");
        kc_cluster_assume(c, kc_pod_info_new(o), 0);
        assert_message(c, kc_pod_info_new(o),
            "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports.");
}

static void test_rows_move_when_a_node_goes(void **state)
{
        struct kc_cluster *c = *state;
        add_node(c, "n1", "1", "");
        add_node(c, "n2", "2", "");
        add_node(c, "n3", "4", "");
        kc_cluster_remove_node(c, "n1");
        assert_int_equal(c->n_nodes, 2);
        assert_node(c, pod("p", "3", ""), "n3");
        assert_int_equal(c->alloc[KC_RES_CPU][kc_cluster_row(c, "n2")], 2000);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(test_no_nodes, setup, teardown),
            cmocka_unit_test_setup_teardown(test_reasons_are_counted, setup, teardown),
            cmocka_unit_test_setup_teardown(test_tolerations_and_selectors, setup, teardown),
            cmocka_unit_test_setup_teardown(test_usage_counts_and_is_given_back, setup, teardown),
            cmocka_unit_test_setup_teardown(test_the_emptier_node_is_better, setup, teardown),
            cmocka_unit_test_setup_teardown(test_host_ports_exclude_each_other, setup, teardown),
            cmocka_unit_test_setup_teardown(test_rows_move_when_a_node_goes, setup, teardown),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
