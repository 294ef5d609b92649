/* Pods from templates, and the order in which pods are given up. */
#include "cm_test_util.h"
#include "controller-manager/children.h"

#define READY(since)                                                                                                   \
        "'phase':'Running','conditions':[{'type':'Ready','status':'True','lastTransitionTime':'" since "'}]"

static void add(struct kc_objects *pods, const char *name, const char *created, const char *annotations,
    const char *node, const char *status)
{
        KC_CLEANUP(kc_freep)
        char *text = kc_asprintf(
            "{'metadata':{'name':'%s','uid':'%s','namespace':'n','creationTimestamp':'2020-01-01T00:00:%sZ',"
            "'annotations':{%s}},'spec':{'nodeName':'%s'},'status':{%s}}",
            name, name, created, annotations, node, status);
        kc_objects_push_take(pods, object(text));
}

static void assert_order(struct kc_objects *pods, const int *ranks, const char *want)
{
        KC_CLEANUP(kc_freep) char *got = kc_strdup("");
        kc_pods_sort_for_deletion(pods, ranks);
        for (size_t i = 0; i < pods->n; i++) {
                char *next = kc_asprintf("%s%s%s", got, i ? " " : "", kc_object_name(pods->v[i]));
                kc_free(got);
                got = next;
        }
        assert_string_equal(got, want);
        kc_objects_done(pods);
}

static void what_serves_least_goes_first(void **state)
{
        (void)state;
        struct kc_objects pods = {0};
        add(&pods, "ready", "10", "", "n1", READY("2020-01-01T00:01:00Z"));
        add(&pods, "running", "10", "", "n1", "'phase':'Running'");
        add(&pods, "unknown", "10", "", "n1", "'phase':'Unknown'");
        add(&pods, "pending", "10", "", "n1", "'phase':'Pending'");
        add(&pods, "unassigned", "10", "", "", "'phase':'Pending'");
        assert_order(&pods, NULL, "unassigned pending unknown running ready");
}

static void cost_comes_before_rank(void **state)
{
        (void)state;
        struct kc_objects pods = {0};
        add(&pods, "dear", "10", "'controller.kubernetes.io/pod-deletion-cost':'5'", "n1",
            READY("2020-01-01T00:01:00Z"));
        add(&pods, "cheap", "10", "'controller.kubernetes.io/pod-deletion-cost':'-5'", "n1",
            READY("2020-01-01T00:01:00Z"));
        add(&pods, "plain", "10", "", "n1", READY("2020-01-01T00:01:00Z"));
        add(&pods, "crowded", "10", "", "n2", READY("2020-01-01T00:01:00Z"));
        assert_order(&pods, (int[]){9, 0, 1, 3}, "cheap crowded plain dear");
}

static void the_newly_ready_then_the_restarting_then_the_young(void **state)
{
        (void)state;
        struct kc_objects pods = {0};
        add(&pods, "old", "10", "", "n1", READY("2020-01-01T00:01:00Z"));
        add(&pods, "young", "11", "", "n1", READY("2020-01-01T00:01:00Z"));
        add(&pods, "restarting", "10", "", "n1",
            READY("2020-01-01T00:01:00Z") ",'containerStatuses':[{'restartCount':1},{'restartCount':4}]");
        add(&pods, "newly-ready", "10", "", "n1", READY("2020-01-01T00:02:00Z"));
        assert_order(&pods, NULL, "newly-ready restarting young old");
}

static void pod_is_made_from_the_template(void **state)
{
        (void)state;
        KC_CLEANUP(kc_json_freep)
        struct json_object *rs =
            tree("{'metadata':{'name':'web','namespace':'ns','uid':'u1'},'spec':{'template':"
                 "{'metadata':{'labels':{'app':'web'},'name':'ignored'},'spec':{'containers':[]}}}}");
        KC_CLEANUP(kc_json_freep)
        struct json_object *pod = kc_pod_from_template(rs, &KC_REPLICASETS, kc_json_at(rs, "spec.template"));
        KC_CLEANUP(kc_json_freep)
        struct json_object *want = tree(
            "{'apiVersion':'v1','kind':'Pod','metadata':{'generateName':'web-','namespace':'ns','ownerReferences':[{"
            "'apiVersion':'apps/v1','kind':'ReplicaSet','name':'web','uid':'u1','controller':true,"
            "'blockOwnerDeletion':true}],'labels':{'app':'web'}},'spec':{'containers':[]}}");
        assert_true(kc_json_equal(pod, want));
}

static void active_is_neither_ended_nor_going(void **state)
{
        (void)state;
        KC_CLEANUP(kc_json_freep)
        struct json_object *running = tree("{'metadata':{},'status':{'phase':'Running'}}"),
                           *failed = tree("{'metadata':{},'status':{'phase':'Failed'}}"),
                           *going = tree("{'metadata':{'deletionTimestamp':'2020-01-01T00:00:00Z'},'status':{'phase':"
                                         "'Running'}}");
        assert_true(kc_pod_is_active(running));
        assert_false(kc_pod_is_active(failed));
        assert_false(kc_pod_is_active(going));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(what_serves_least_goes_first),
            cmocka_unit_test(cost_comes_before_rank),
            cmocka_unit_test(the_newly_ready_then_the_restarting_then_the_young),
            cmocka_unit_test(pod_is_made_from_the_template),
            cmocka_unit_test(active_is_neither_ended_nor_going),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
