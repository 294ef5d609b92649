/* Deployments: rounding of surge and unavailability, templates, revisions, conditions, shares of a rollout. */
#include "cm_test_util.h"
#include "controller-manager/deployment_internal.h"

static struct json_object *deployment(int replicas, const char *surge, const char *unavailable)
{
        KC_CLEANUP(kc_freep)
        char *text = kc_asprintf("{'metadata':{'name':'d','generation':2},'spec':{'replicas':%d,'strategy':{'type':"
                                 "'RollingUpdate','rollingUpdate':{'maxSurge':%s,'maxUnavailable':%s}}}}",
            replicas, surge, unavailable);
        return tree(text);
}

static void assert_fenceposts(int replicas, const char *surge, const char *unavailable, int want_surge, int want_un)
{
        KC_CLEANUP(kc_json_freep) struct json_object *d = deployment(replicas, surge, unavailable);
        assert_int_equal(kc_max_surge(d), want_surge);
        assert_int_equal(kc_max_unavailable(d), want_un);
}

static void surge_rounds_up_and_unavailable_down(void **state)
{
        (void)state;
        assert_fenceposts(10, "'25%'", "'25%'", 3, 2);
        assert_fenceposts(4, "'25%'", "'25%'", 1, 1);
        assert_fenceposts(1, "'25%'", "'25%'", 1, 0);
        assert_fenceposts(3, "2", "5", 2, 3);
        assert_fenceposts(3, "0", "'10%'", 0, 1);
        assert_fenceposts(0, "'25%'", "'25%'", 0, 0);
        assert_fenceposts(2, "'100%'", "0", 2, 0);
}

static void recreate_has_neither(void **state)
{
        (void)state;
        KC_CLEANUP(kc_json_freep)
        struct json_object *d = tree("{'spec':{'replicas':5,'strategy':{'type':'Recreate'}}}");
        assert_int_equal(kc_max_surge(d), 0);
        assert_int_equal(kc_max_unavailable(d), 0);
        assert_false(kc_is_rolling(d));
}

static void templates_are_equal_but_for_the_hash(void **state)
{
        (void)state;
        KC_CLEANUP(kc_json_freep)
        struct json_object *a = tree("{'metadata':{'labels':{'app':'x'}},'spec':{'containers':[{'name':'c'}]}}"),
                           *b = tree("{'spec':{'containers':[{'name':'c'}]},'metadata':{'labels':{'pod-template-hash':"
                                     "'5d4','app':'x'}}}"),
                           *c = tree("{'metadata':{'labels':{'app':'x'}},'spec':{'containers':[{'name':'other'}]}}");
        assert_true(kc_template_equal(a, b));
        assert_false(kc_template_equal(a, c));
        assert_non_null(kc_json_at(b, "metadata.labels.pod-template-hash"));
}

static void hash_follows_template_and_collisions(void **state)
{
        (void)state;
        KC_CLEANUP(kc_json_freep)
        struct json_object *a = tree("{'spec':{'x':1,'y':2}}"),
                           *same = tree("{'spec':{'y':2,'x':1}}"), *other = tree("{'spec':{'x':1,'y':3}}");
        KC_CLEANUP(kc_freep)
        char *h = kc_template_hash(a, 0),
             *h_same = kc_template_hash(same, 0), *h_other = kc_template_hash(other, 0),
             *h_collided = kc_template_hash(a, 1);
        assert_string_equal(h, h_same);
        assert_string_not_equal(h, h_other);
        assert_string_not_equal(h, h_collided);
        assert_int_equal(strspn(h, "bcdfghjklmnpqrstvwxz2456789"), strlen(h));
}

static void revision_is_read_from_the_annotation(void **state)
{
        (void)state;
        KC_CLEANUP(kc_json_freep)
        struct json_object *a = tree("{'metadata':{'annotations':{'deployment.kubernetes.io/revision':'12'}}}"),
                           *b = tree("{'metadata':{'annotations':{'deployment.kubernetes.io/revision':'x'}}}"),
                           *c = tree("{'metadata':{}}");
        assert_int_equal(kc_revision(a), 12);
        assert_int_equal(kc_revision(b), 0);
        assert_int_equal(kc_revision(c), 0);
}

static void annotations_follow_but_for_our_own(void **state)
{
        (void)state;
        KC_CLEANUP(kc_json_freep)
        struct json_object *d = tree("{'metadata':{'annotations':{'kubernetes.io/change-cause':'why',"
                                     "'kubectl.kubernetes.io/last-applied-configuration':'{}',"
                                     "'deployment.kubernetes.io/revision':'3'}}}"),
                           *rs = tree("{'metadata':{'annotations':{'deployment.kubernetes.io/revision':'2'}}}");
        assert_true(kc_copy_annotations(rs, d));
        assert_false(kc_copy_annotations(rs, d));
        assert_string_equal(kc_meta_annotation(rs, "kubernetes.io/change-cause"), "why");
        assert_string_equal(kc_meta_annotation(rs, "deployment.kubernetes.io/revision"), "2");
        assert_null(kc_meta_annotation(rs, "kubectl.kubernetes.io/last-applied-configuration"));
        assert_true(kc_set_replicas_annotations(rs, 4, 5));
        assert_false(kc_set_replicas_annotations(rs, 4, 5));
        assert_string_equal(kc_meta_annotation(rs, "deployment.kubernetes.io/desired-replicas"), "4");
        assert_string_equal(kc_meta_annotation(rs, "deployment.kubernetes.io/max-replicas"), "5");
}

static void condition_keeps_its_transition_time(void **state)
{
        (void)state;
        KC_CLEANUP(kc_json_freep)
        struct json_object *status =
            tree("{'conditions':[{'type':'Progressing','status':'True','reason':'A','message':'m','lastUpdateTime':"
                 "'2020-01-01T00:00:00Z','lastTransitionTime':'2020-01-01T00:00:00Z'}]}");
        const struct json_object *c;

        kc_deployment_condition(status, "Progressing", "True", "A", "m");
        c = kc_condition_get(status, "Progressing");
        assert_string_equal(kc_json_str(c, "lastUpdateTime"), "2020-01-01T00:00:00Z");
        kc_deployment_condition(status, "Progressing", "True", "B", "m");
        c = kc_condition_get(status, "Progressing");
        assert_string_equal(kc_json_str(c, "reason"), "B");
        assert_string_equal(kc_json_str(c, "lastTransitionTime"), "2020-01-01T00:00:00Z");
        assert_string_not_equal(kc_json_str(c, "lastUpdateTime"), "2020-01-01T00:00:00Z");
        kc_deployment_condition(status, "Progressing", "False", "B", "m");
        c = kc_condition_get(status, "Progressing");
        assert_string_not_equal(kc_json_str(c, "lastTransitionTime"), "2020-01-01T00:00:00Z");
        assert_int_equal(kc_json_len(kc_json_get(status, "conditions")), 1);
        kc_condition_remove(status, "Progressing");
        assert_null(kc_condition_get(status, "Progressing"));
}

static void complete_when_all_are_new_and_available(void **state)
{
        (void)state;
        KC_CLEANUP(kc_json_freep)
        struct json_object *d = deployment(3, "1", "1"),
                           *done = tree("{'replicas':3,'updatedReplicas':3,'availableReplicas':3,"
                                        "'observedGeneration':2}"),
                           *old_left = tree("{'replicas':4,'updatedReplicas':3,'availableReplicas':3,"
                                            "'observedGeneration':2}"),
                           *unseen = tree("{'replicas':3,'updatedReplicas':3,'availableReplicas':3,"
                                          "'observedGeneration':1}");
        assert_true(kc_deployment_complete(d, done));
        assert_false(kc_deployment_complete(d, old_left));
        assert_false(kc_deployment_complete(d, unseen));
}

static void new_set_grows_into_the_room(void **state)
{
        (void)state;
        KC_CLEANUP(kc_json_freep)
        struct json_object *d = deployment(10, "3", "2"),
                           *old = tree("{'spec':{'replicas':8},'status':{'availableReplicas':8,'replicas':8}}"),
                           *new = tree("{'spec':{'replicas':4},'status':{'availableReplicas':1,'replicas':4}}");
        struct json_object *sets[] = {old, new};
        struct kc_dsync s = {.d = d, .sets = sets, .n = 2, .new_set = 1};

        assert_int_equal(kc_sum_replicas(&s, false), 12);
        assert_int_equal(kc_sum_replicas(&s, true), 8);
        assert_int_equal(kc_sum_status(&s, "availableReplicas"), 9);
        assert_int_equal(kc_new_set_replicas(&s, 4), 5); /* 13 at most */
        kc_json_set_int(kc_json_get_mut(old, "spec"), "replicas", 0);
        assert_int_equal(kc_new_set_replicas(&s, 4), 10); /* never more than wanted */
        kc_json_set_int(kc_json_get_mut(old, "spec"), "replicas", 9);
        assert_int_equal(kc_new_set_replicas(&s, 4), 4); /* no room */
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(surge_rounds_up_and_unavailable_down),
            cmocka_unit_test(recreate_has_neither),
            cmocka_unit_test(templates_are_equal_but_for_the_hash),
            cmocka_unit_test(hash_follows_template_and_collisions),
            cmocka_unit_test(revision_is_read_from_the_annotation),
            cmocka_unit_test(annotations_follow_but_for_our_own),
            cmocka_unit_test(condition_keeps_its_transition_time),
            cmocka_unit_test(complete_when_all_are_new_and_available),
            cmocka_unit_test(new_set_grows_into_the_room),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
