/* Preemption on small clusters: which node, which victims, and upstream's words when it does not help. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "scheduler/preempt.h"

static struct kc_object *object(const char *text)
{
        struct json_object *tree = NULL;
        struct kc_error err = KC_ERROR_INIT;
        KC_CLEANUP(kc_freep) char *json = kc_str_replace_all(text, "'", "\"");
        if (kc_json_parse(json, strlen(json), NULL, &tree, &err) < 0)
                fail_msg("%s: %s", kc_error_message(&err), json);
        return kc_object_new(tree);
}

static void add_node(struct kc_cluster *c, const char *name, const char *spec)
{
        KC_CLEANUP(kc_freep)
        char *text = kc_asprintf("{'metadata':{'name':'%s'},'spec':{%s},'status':{'allocatable':{'cpu':'4','memory':"
                                 "'8Gi','pods':'10'}}}",
            name, spec);
        KC_CLEANUP(kc_object_unrefp) struct kc_object *o = object(text);
        (void)kc_cluster_set_node(c, o); /* the events do not matter here */
}

/* spec and status: more members, each with a trailing comma. */
static struct kc_object *pod(const char *name, int priority, const char *cpu, const char *spec, const char *status)
{
        KC_CLEANUP(kc_freep)
        char *text = kc_asprintf("{'metadata':{'name':'%s','namespace':'d','uid':'%s','labels':{'app':'%s'}},'spec':{%s"
                                 "'priority':%d,'containers':[{'name':'c','image':'i:1','resources':{'requests':"
                                 "{'cpu':'%s'}}}]},'status':{%s'phase':'Running'}}",
            name, name, name, spec, priority, cpu, status);
        return object(text);
}

/* Started at 10:0<minute>. */
static void run(struct kc_cluster *c, const char *node, const char *name, int priority, const char *cpu, int minute)
{
        KC_CLEANUP(kc_freep) char *spec = kc_asprintf("'nodeName':'%s',", node);
        KC_CLEANUP(kc_freep) char *status = kc_asprintf("'startTime':'2026-01-01T10:%02d:00Z',", minute);
        KC_CLEANUP(kc_object_unrefp) struct kc_object *o = pod(name, priority, cpu, spec, status);
        kc_cluster_set_pod(c, o);
}

static void preempt(struct kc_cluster *c, struct kc_object *o, const struct kc_objects *pdbs, struct kc_preemption *ret)
{
        KC_CLEANUP(kc_pod_info_freep) struct kc_pod_info *p = kc_pod_info_new(o);
        struct kc_decision d;
        size_t start = 0;

        kc_decide(c, p, 0, &start, &d);
        assert_int_equal(d.row, -1);
        kc_preempt(c, p, &d, pdbs ? pdbs : &(struct kc_objects){0}, ret);
        kc_decision_done(&d);
}

/* "node: victim victim", or the message. */
static void assert_preempts_with(
    struct kc_cluster *c, struct kc_object *take_pod, const struct kc_objects *pdbs, const char *want)
{
        KC_CLEANUP(kc_object_unrefp) struct kc_object *o = take_pod;
        KC_CLEANUP(kc_freep) char *got = NULL;
        struct kc_preemption p;

        preempt(c, o, pdbs, &p);
        if (p.node) {
                got = kc_asprintf("%s:", p.node);
                for (size_t i = 0; i < p.victims.n; i++) {
                        char *longer = kc_asprintf("%s %s", got, kc_object_name(p.victims.v[i]));
                        kc_free(got);
                        got = longer;
                }
        }
        assert_string_equal(got ? got : p.message, want);
        kc_preemption_done(&p);
}

static void assert_preempts(struct kc_cluster *c, struct kc_object *take_pod, const char *want)
{
        assert_preempts_with(c, take_pod, NULL, want);
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

static void test_what_does_not_help(void **state)
{
        struct kc_cluster *c = *state;
        add_node(c, "n1", "");
        run(c, "n1", "a", 10, "3", 0);
        assert_preempts(c, pod("p", 0, "2", "", ""),
            "no new claims to deallocate, preemption: 0/1 nodes are available: 1 No preemption victims found for "
            "incoming pod.");
        assert_preempts(c, pod("p", 100, "5", "", ""),
            "no new claims to deallocate, preemption: 0/1 nodes are available: 1 Preemption is not helpful for "
            "scheduling.");
        assert_preempts(c, pod("p", 100, "2", "'preemptionPolicy':'Never',", ""),
            "no new claims to deallocate, preemption: not eligible due to preemptionPolicy=Never.");
        add_node(c, "n2", "'unschedulable':true");
        run(c, "n1", "b", 200, "1", 0);
        assert_preempts(c, pod("p", 100, "4", "", ""),
            "no new claims to deallocate, preemption: 0/2 nodes are available: 1 Insufficient cpu, 1 Preemption is not "
            "helpful for scheduling.");
}

static void test_as_few_victims_as_possible(void **state)
{
        struct kc_cluster *c = *state;
        add_node(c, "n1", "");
        run(c, "n1", "low", 1, "1", 0);
        run(c, "n1", "young", 5, "1", 9);
        run(c, "n1", "old", 5, "1", 1);
        run(c, "n1", "high", 9, "1", 0);
        assert_preempts(c, pod("p", 10, "1", "", ""), "n1: low");
        assert_preempts(c, pod("p", 10, "2", "", ""), "n1: young low");
        assert_preempts(c, pod("p", 9, "3", "", ""), "n1: old young low");
        assert_int_equal(c->used[KC_RES_CPU][0], 4000);
        assert_int_equal(c->nodes[0].n_pods, 4);
}

static void test_the_node_that_costs_least(void **state)
{
        struct kc_cluster *c = *state;
        add_node(c, "n1", "");
        add_node(c, "n2", "");
        run(c, "n1", "a", 8, "4", 0);
        run(c, "n2", "b1", 5, "2", 0);
        run(c, "n2", "b2", 5, "2", 0);
        assert_preempts(c, pod("p", 10, "4", "", ""), "n2: b1 b2"); /* the lower top priority */
        add_node(c, "n3", "");
        run(c, "n3", "c1", 5, "3", 0);
        run(c, "n3", "c2", 3, "1", 0);
        assert_preempts(c, pod("p", 10, "4", "", ""), "n3: c1 c2"); /* the lower sum */
        add_node(c, "n4", "");
        run(c, "n4", "d", 5, "4", 1);
        assert_preempts(c, pod("p", 10, "4", "", ""), "n4: d"); /* fewer */
        add_node(c, "n5", "");
        run(c, "n5", "e", 5, "4", 2);
        assert_preempts(c, pod("p", 10, "4", "", ""), "n5: e"); /* started later */
}

static void test_budgets_are_spared(void **state)
{
        struct kc_cluster *c = *state;
        struct kc_objects pdbs = {0};
        kc_objects_push_take(
            &pdbs, object("{'metadata':{'name':'b','namespace':'d'},'spec':{'selector':{'matchLabels':{'app':'a'}}},"
                          "'status':{'disruptionsAllowed':0}}"));
        add_node(c, "n1", "");
        run(c, "n1", "a", 1, "2", 0);
        run(c, "n1", "z", 5, "2", 0);
        assert_preempts_with(c, pod("p", 10, "2", "", ""), &pdbs, "n1: z"); /* though it is more important */
        add_node(c, "n2", "");
        run(c, "n2", "y", 9, "4", 0);
        assert_preempts_with(c, pod("p", 10, "4", "", ""), &pdbs, "n2: y");  /* no violation */
        assert_preempts_with(c, pod("p", 9, "4", "", ""), &pdbs, "n1: z a"); /* rather than not at all */
        kc_objects_done(&pdbs);
}

static void test_nominated_pods_keep_their_room(void **state)
{
        struct kc_cluster *c = *state;
        KC_CLEANUP(kc_object_unrefp) struct kc_object *first = pod("first", 10, "3", "", "");
        KC_CLEANUP(kc_pod_info_freep) struct kc_pod_info *low = NULL;
        struct kc_decision d;
        struct kc_preemption p;
        size_t start = 0;

        add_node(c, "n1", "");
        kc_nominator_set(&c->nominated, first, "n1");
        KC_CLEANUP(kc_object_unrefp) struct kc_object *o = pod("low", 5, "2", "", "");
        low = kc_pod_info_new(o);
        kc_decide(c, low, 0, &start, &d);
        assert_int_equal(d.row, -1);
        assert_string_equal(d.message, "0/1 nodes are available: 1 Insufficient cpu.");
        kc_decision_done(&d);
        low->priority = 20; /* the more important does not wait for it */
        kc_decide(c, low, 0, &start, &d);
        assert_int_equal(d.row, 0);
        kc_decision_done(&d);
        /* And when it needs to preempt, the nomination ends. */
        run(c, "n1", "a", 1, "4", 0);
        KC_CLEANUP(kc_object_unrefp) struct kc_object *high = pod("high", 20, "4", "", "");
        preempt(c, high, NULL, &p);
        assert_string_equal(p.node, "n1");
        assert_int_equal(p.yield.n, 1);
        assert_string_equal(kc_object_name(p.yield.v[0]), "first");
        kc_preemption_done(&p);
}

static void test_waits_for_victims_that_leave(void **state)
{
        struct kc_cluster *c = *state;
        KC_CLEANUP(kc_object_unrefp)
        struct kc_object *leaving =
            object("{'metadata':{'name':'a','namespace':'d','uid':'a','deletionTimestamp':'2026-01-01T10:00:00Z'},"
                   "'spec':{'nodeName':'n1','priority':1,'containers':[{'name':'c','resources':{'requests':{'cpu':'4'"
                   "}}}]},'status':{'conditions':[{'type':'DisruptionTarget','status':'True',"
                   "'reason':'PreemptionByScheduler'}]}}");
        add_node(c, "n1", "");
        kc_cluster_set_pod(c, leaving);
        KC_CLEANUP(kc_object_unrefp) struct kc_object *o = pod("p", 10, "4", "", "");
        kc_nominator_set(&c->nominated, o, "n1");
        assert_preempts(c, kc_object_ref(o),
            "no new claims to deallocate, preemption: not eligible due to a terminating pod on the nominated node.");
        kc_nominator_set(&c->nominated, o, "");
        assert_preempts(c, kc_object_ref(o), "n1: a");
}

static void test_the_nominated_node_comes_first(void **state)
{
        struct kc_cluster *c = *state;
        KC_CLEANUP(kc_object_unrefp) struct kc_object *o = pod("p", 10, "1", "", "");
        KC_CLEANUP(kc_pod_info_freep) struct kc_pod_info *p = kc_pod_info_new(o);
        struct kc_decision d;
        size_t start = 0;

        add_node(c, "n1", "");
        add_node(c, "n2", "");
        run(c, "n2", "busy", 1, "3", 0);
        kc_nominator_set(&c->nominated, o, "n2");
        kc_decide(c, p, 0, &start, &d);
        assert_string_equal(c->names[d.row], "n2");
        kc_decision_done(&d);
        assert_true(kc_nominator_remove(&c->nominated, "d/p"));
        assert_false(kc_nominator_remove(&c->nominated, "d/p"));
        kc_decide(c, p, 0, &start, &d);
        assert_string_equal(c->names[d.row], "n1");
        kc_decision_done(&d);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(test_what_does_not_help, setup, teardown),
            cmocka_unit_test_setup_teardown(test_as_few_victims_as_possible, setup, teardown),
            cmocka_unit_test_setup_teardown(test_the_node_that_costs_least, setup, teardown),
            cmocka_unit_test_setup_teardown(test_budgets_are_spared, setup, teardown),
            cmocka_unit_test_setup_teardown(test_nominated_pods_keep_their_room, setup, teardown),
            cmocka_unit_test_setup_teardown(test_waits_for_victims_that_leave, setup, teardown),
            cmocka_unit_test_setup_teardown(test_the_nominated_node_comes_first, setup, teardown),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
