/* Jobs: sets of indexes, policies, and that every pod is counted once. */
#include "cm_test_util.h"
#include "controller-manager/job_internal.h"

static void assert_indexes(const char *text, int64_t limit, const char *want, int64_t count)
{
        struct kc_indexes s = {0};
        kc_indexes_parse(&s, text, limit);
        KC_CLEANUP(kc_freep) char *got = kc_indexes_format(&s);
        assert_string_equal(got, want);
        assert_int_equal(kc_indexes_count(&s), count);
        kc_indexes_done(&s);
}

static void indexes_are_written_as_intervals(void **state)
{
        (void)state;
        assert_indexes("", 10, "", 0);
        assert_indexes("0-3,5,7-8", 10, "0-3,5,7,8", 7);
        assert_indexes("5,3,4", 10, "3-5", 3);
        assert_indexes("0-99", 4, "0-3", 4);
        assert_indexes("1,x", 4, "1", 1);
        struct kc_indexes s = {0};
        for (int64_t i = 8; i >= 0; i -= 2)
                kc_indexes_add(&s, i);
        kc_indexes_add(&s, 3);
        kc_indexes_add(&s, 3);
        KC_CLEANUP(kc_freep) char *got = kc_indexes_format(&s);
        assert_string_equal(got, "0,2-4,6,8");
        assert_true(kc_indexes_has(&s, 3));
        assert_false(kc_indexes_has(&s, 5));
        kc_indexes_done(&s);
}

#define FAILED_POD                                                                                                     \
        "{'metadata':{'name':'p','namespace':'n'},'status':{'phase':'Failed','conditions':[{'type':'DisruptionTarget'" \
        ","                                                                                                            \
        "'status':'True'}],'containerStatuses':[{'name':'a','state':{'terminated':{'exitCode':0}}},{'name':'b','"      \
        "state':"                                                                                                      \
        "{'terminated':{'exitCode':42}}}]}}"

static void assert_action(const char *rules, enum kc_failure_action want, const char *message)
{
        KC_CLEANUP(kc_freep) char *text = kc_asprintf("{'spec':{'podFailurePolicy':{'rules':[%s]}}}", rules);
        KC_CLEANUP(kc_json_freep) struct json_object *job = tree(text), *pod = tree(FAILED_POD);
        KC_CLEANUP(kc_freep) char *got = NULL;
        assert_int_equal(kc_job_failure_action(job, pod, &got), want);
        if (message)
                assert_string_equal(got, message);
        else
                assert_null(got);
}

static void the_first_rule_that_matches_decides(void **state)
{
        (void)state;
        assert_action("", KC_FAIL_COUNT, NULL);
        assert_action("{'action':'FailJob','onExitCodes':{'operator':'In','values':[42]}}", KC_FAIL_JOB,
            "Container b for pod n/p failed with exit code 42 matching FailJob rule at index 0");
        assert_action("{'action':'FailJob','onExitCodes':{'operator':'NotIn','values':[42]}}", KC_FAIL_COUNT, NULL);
        assert_action("{'action':'FailJob','onExitCodes':{'containerName':'a','operator':'In','values':[42]}}",
            KC_FAIL_COUNT, NULL);
        assert_action("{'action':'Ignore','onPodConditions':[{'type':'DisruptionTarget'}]},"
                      "{'action':'FailJob','onExitCodes':{'operator':'In','values':[42]}}",
            KC_FAIL_IGNORE, NULL);
        assert_action("{'action':'FailIndex','onExitCodes':{'operator':'In','values':[1]}},"
                      "{'action':'FailJob','onPodConditions':[{'type':'DisruptionTarget','status':'True'}]}",
            KC_FAIL_JOB, "Pod n/p has condition DisruptionTarget matching FailJob rule at index 1");
}

static void success_policies(void **state)
{
        (void)state;
        struct kc_indexes done = {0};
        kc_indexes_parse(&done, "1,3-5", 10);
        static const struct {
                const char *rules;
                int want;
        } cases[] = {
            {"{'succeededIndexes':'1,3'}", 0},
            {"{'succeededIndexes':'0-3'}", -1},
            {"{'succeededIndexes':'0-3','succeededCount':2}", 0},
            {"{'succeededCount':5},{'succeededCount':4}", 1},
        };
        for (size_t i = 0; i < KC_ARRAY_LEN(cases); i++) {
                KC_CLEANUP(kc_freep)
                char *text = kc_asprintf("{'spec':{'completions':10,'successPolicy':{'rules':[%s]}}}", cases[i].rules);
                KC_CLEANUP(kc_json_freep) struct json_object *job = tree(text);
                assert_int_equal(kc_job_success_rule(job, &done), cases[i].want);
        }
        kc_indexes_done(&done);
}

/* One look: the status after it; how many pods may go. */
static char *look(const char *status, const char *pods[], size_t n, size_t *ret_released)
{
        KC_CLEANUP(kc_json_freep) struct json_object *job = tree("{'metadata':{'name':'j'},'spec':{}}");
        struct kc_job_sync s = {.job = job, .status = tree(status), .completions = 5};
        struct kc_objects release = {0};
        for (size_t i = 0; i < n; i++)
                kc_objects_push_take(&s.pods, object(pods[i]));
        kc_job_count(&s);
        kc_job_track(&s, &release);
        *ret_released = release.n;
        char *text = kc_json_to_str(s.status);
        kc_json_free(s.status);
        kc_objects_done(&s.pods);
        kc_objects_done(&s.active);
        kc_objects_done(&release);
        return text;
}

#define HELD "'finalizers':['batch.kubernetes.io/job-tracking']"

static void each_pod_is_counted_once(void **state)
{
        (void)state;
        static const char ended[] = "{'metadata':{'name':'a','uid':'a'," HELD "},'status':{'phase':'Succeeded'}}";
        static const char let_go[] = "{'metadata':{'name':'a','uid':'a'},'status':{'phase':'Succeeded'}}";
        static const char failed[] = "{'metadata':{'name':'b','uid':'b'," HELD "},'status':{'phase':'Failed'}}";
        const char *first[] = {ended, failed}, *second[] = {let_go, failed};
        size_t n;
        KC_CLEANUP(kc_freep) char *one = look("{}", first, 2, &n);
        assert_string_equal(one, "{\"uncountedTerminatedPods\":{\"succeeded\":[\"a\"],\"failed\":[\"b\"]}}");
        assert_int_equal(n, 2);
        /* Again, before anything has happened to the pods. */
        KC_CLEANUP(kc_freep) char *same = look(one, first, 2, &n);
        assert_string_equal(same, one);
        KC_CLEANUP(kc_freep) char *two = look(one, second, 2, &n);
        assert_string_equal(two, "{\"uncountedTerminatedPods\":{\"failed\":[\"b\"]},\"succeeded\":1}");
        assert_int_equal(n, 1);
        KC_CLEANUP(kc_freep) char *three = look(two, NULL, 0, &n);
        assert_string_equal(three, "{\"uncountedTerminatedPods\":{},\"succeeded\":1,\"failed\":1}");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(indexes_are_written_as_intervals),
            cmocka_unit_test(the_first_rule_that_matches_decides),
            cmocka_unit_test(success_policies),
            cmocka_unit_test(each_pod_is_counted_once),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
