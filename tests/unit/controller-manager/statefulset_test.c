/* StatefulSets: ordinals, and what a pod is made of. */
#include "cm_test_util.h"
#include "controller-manager/statefulset_internal.h"

#define SET                                                                                                            \
        "{'metadata':{'name':'web','namespace':'n','uid':'u'},'spec':{'serviceName':'svc','replicas':3,"               \
        "'updateStrategy':{'type':'RollingUpdate','rollingUpdate':{'partition':%d}},'volumeClaimTemplates':[{"         \
        "'metadata':{'name':'data'}}],'template':{'metadata':{'labels':{'app':'web'}},'spec':{'containers':[{'name':"  \
        "'c','image':'new'}],'volumes':[{'name':'data','emptyDir':{}},{'name':'tmp','emptyDir':{}}]}}}}"

static void ordinals_are_in_names(void **state)
{
        (void)state;
        KC_CLEANUP(kc_json_freep) struct json_object *set = tree("{'metadata':{'name':'web'}}");
        assert_int_equal(kc_ss_ordinal(set, "web-0"), 0);
        assert_int_equal(kc_ss_ordinal(set, "web-12"), 12);
        assert_int_equal(kc_ss_ordinal(set, "web"), -1);
        assert_int_equal(kc_ss_ordinal(set, "web-"), -1);
        assert_int_equal(kc_ss_ordinal(set, "web-x"), -1);
        assert_int_equal(kc_ss_ordinal(set, "web--1"), -1);
        assert_int_equal(kc_ss_ordinal(set, "webs-1"), -1);
        assert_int_equal(kc_ss_ordinal(set, "web-1-1"), -1);
}

/* "<image> <revision>" of the pod for ordinal 1. */
static void assert_made(int partition, int current_replicas, const char *want)
{
        KC_CLEANUP(kc_freep) char *text = kc_asprintf(SET, partition);
        KC_CLEANUP(kc_json_freep) struct json_object *set = tree(text);
        KC_CLEANUP(kc_json_freep)
        struct json_object *old =
            tree("{'metadata':{'labels':{'app':'web'}},'spec':{'containers':[{'name':'c','image':'old'}]}}");
        KC_CLEANUP(kc_json_freep)
        struct json_object *status = kc_json_build("{'currentReplicas':%d}", current_replicas);
        struct kc_ss_sync s = {.set = set,
            .status = status,
            .replicas = 3,
            .current_revision = (char *)"web-a",
            .update_revision = (char *)"web-b",
            .current_template = old};
        KC_CLEANUP(kc_json_freep) struct json_object *pod = kc_ss_new_pod(&s, 1);
        KC_CLEANUP(kc_freep)
        char *got = kc_asprintf("%s %s", kc_json_str(kc_json_idx(kc_json_at(pod, "spec.containers"), 0), "image"),
            kc_meta_label(pod, KC_REVISION_HASH));
        assert_string_equal(got, want);
        assert_string_equal(kc_meta_name(pod), "web-1");
}

static void revisions_by_partition_and_progress(void **state)
{
        (void)state;
        assert_made(2, 0, "old web-a");
        assert_made(1, 3, "new web-b");
        assert_made(0, 2, "old web-a"); /* the update has not come to it */
        assert_made(0, 1, "new web-b");
}

static void claims_hide_volumes_of_their_name(void **state)
{
        (void)state;
        KC_CLEANUP(kc_freep) char *text = kc_asprintf(SET, 0);
        KC_CLEANUP(kc_json_freep) struct json_object *set = tree(text), *status = tree("{}");
        struct kc_ss_sync s = {.set = set, .status = status, .replicas = 3, .update_revision = (char *)"web-b"};
        KC_CLEANUP(kc_json_freep) struct json_object *pod = kc_ss_new_pod(&s, 2);
        KC_CLEANUP(kc_json_freep)
        struct json_object *want =
            tree("[{'name':'tmp','emptyDir':{}},{'name':'data','persistentVolumeClaim':{'claimName':'data-web-2'}}]");
        assert_true(kc_json_equal(kc_json_at(pod, "spec.volumes"), want));
        assert_string_equal(kc_json_str_at(pod, "spec.hostname"), "web-2");
        assert_string_equal(kc_json_str_at(pod, "spec.subdomain"), "svc");
        assert_string_equal(kc_meta_label(pod, "apps.kubernetes.io/pod-index"), "2");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(ordinals_are_in_names),
            cmocka_unit_test(revisions_by_partition_and_progress),
            cmocka_unit_test(claims_hide_volumes_of_their_name),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
