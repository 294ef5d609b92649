/* Validation of Jobs and CronJobs, and reading of schedules. */
#include "validation_testing.h"

#include "api/cron.h"

#define LABELS                                                                                                         \
        "{'controller-uid':'u','job-name':'j','batch.kubernetes.io/controller-uid':'u',"                               \
        "'batch.kubernetes.io/job-name':'j'}"
#define TEMPLATE                                                                                                       \
        "{'metadata':{'labels':" LABELS "},'spec':{'restartPolicy':'Never','containers':[{'name':'c','image':'i'}]}}"

/* As the strategy leaves it. */
static const char job[] = "{'metadata':{'name':'j','namespace':'n','uid':'u'},'spec':{'selector':{'matchLabels':"
                          "{'batch.kubernetes.io/controller-uid':'u'}},'template':" TEMPLATE "}}";

static void create(const char *patch, const char *want)
{
        expect_create(kind("batch", "Job"), job, patch, want);
}

static void test_job(void **state)
{
        (void)state;
        create("", "");
        create("{'spec':{'parallelism':-1,'backoffLimit':-2,'maxFailedIndexes':1}}",
            "spec.parallelism: Invalid value: -1: must be greater than or equal to 0\n"
            "spec.backoffLimit: Invalid value: -2: must be greater than or equal to 0\n"
            "spec.backoffLimitPerIndex: Required value: when maxFailedIndexes is specified\n"
            "spec.maxFailedIndexes: Invalid value: 1: requires indexed completion mode");
        create("{'spec':{'template':{'spec':{'restartPolicy':null}}}}",
            "spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", \"Never\"");
        create("{'spec':{'managedBy':'me'}}",
            "spec.managedBy: Invalid value: \"me\": must be a domain-prefixed path (such as \"acme.io/foo\")");
        create("{'spec':{'template':{'metadata':{'labels':{'job-name':'x'}}}}}",
            "spec.template.metadata.labels[job-name]: Invalid value: "
            "{\"batch.kubernetes.io/controller-uid\":\"u\",\"batch.kubernetes.io/job-name\":\"j\",\"controller-uid\":"
            "\"u\",\"job-name\":\"x\"}: must be 'j'");
        create("{'spec':{'selector':{'matchLabels':{'x':'y'}}}}",
            "spec.selector: Invalid value: "
            "{\"matchLabels\":{\"batch.kubernetes.io/controller-uid\":\"u\",\"x\":\"y\"}}: `selector` not "
            "auto-generated\n"
            "spec.template.metadata.labels: Invalid value: "
            "{\"batch.kubernetes.io/controller-uid\":\"u\",\"batch.kubernetes.io/job-name\":\"j\",\"controller-uid\":"
            "\"u\",\"job-name\":\"j\"}: `selector` does not match template `labels`");
}

static void test_indexed(void **state)
{
        (void)state;
        create("{'spec':{'completionMode':'Indexed','completions':3,'parallelism':3,'backoffLimitPerIndex':1}}", "");
        create("{'spec':{'completionMode':'X'}}",
            "spec.completionMode: Unsupported value: \"X\": supported values: \"NonIndexed\", \"Indexed\"");
        create("{'spec':{'completionMode':'Indexed','completions':100001,'parallelism':100001,"
               "'backoffLimitPerIndex':1}}",
            "spec.parallelism: Invalid value: 100001: must be less than or equal to 100000 when completion mode is "
            "Indexed\n"
            "spec.maxFailedIndexes: Required value: must be specified when completions is above 100000\n"
            "spec.parallelism: Invalid value: 100001: must be less than or equal to 10000 when completions are above "
            "100000 and used with backoff limit per index");
        create("{'metadata':{'name':'j.x'},'spec':{'completionMode':'Indexed','completions':1,'template':"
               "{'metadata':{'labels':{'job-name':'j.x','batch.kubernetes.io/job-name':'j.x'}}}}}",
            "metadata.name: Invalid value: \"j.x\": will not able to create pod with invalid DNS label: j.x-0");
}

static void test_policies(void **state)
{
        (void)state;
        create("{'spec':{'podFailurePolicy':{'rules':[{'action':'X','onExitCodes':{'containerName':'y','operator':"
               "'In','values':[3,0,3]}},{'action':'FailIndex'},{'action':'Ignore','onPodConditions':[{'type':'',"
               "'status':'X'}]}]},'podReplacementPolicy':'TerminatingOrFailed'}}",
            "spec.podFailurePolicy.rules[0].action: Unsupported value: \"X\": supported values: \"Count\", "
            "\"FailIndex\", \"FailJob\", \"Ignore\"\n"
            "spec.podFailurePolicy.rules[0].onExitCodes.containerName: Invalid value: \"y\": must be one of the "
            "container or initContainer names in the pod template\n"
            "spec.podFailurePolicy.rules[0].onExitCodes.values[1]: Invalid value: 0: must not be 0 for the In "
            "operator\n"
            "spec.podFailurePolicy.rules[0].onExitCodes.values[2]: Duplicate value: 3\n"
            "spec.podFailurePolicy.rules[0].onExitCodes.values: Invalid value: [3,0,3]: must be ordered\n"
            "spec.podFailurePolicy.rules[1].action: Invalid value: \"FailIndex\": requires the backoffLimitPerIndex to "
            "be set\n"
            "spec.podFailurePolicy.rules[1]: Invalid value: specifying one of OnExitCodes and OnPodConditions is "
            "required\n"
            "spec.podFailurePolicy.rules[2].onPodConditions[0].type: Invalid value: \"\": name part must be "
            "non-empty\n"
            "spec.podFailurePolicy.rules[2].onPodConditions[0].type: Invalid value: \"\": " LABEL_NAME "\n"
            "spec.podFailurePolicy.rules[2].onPodConditions[0].status: Unsupported value: \"X\": supported values: "
            "\"False\", \"True\", \"Unknown\"\n"
            "spec.podReplacementPolicy: Unsupported value: \"TerminatingOrFailed\": supported values: \"Failed\"");
        create("{'spec':{'completionMode':'Indexed','completions':5,'successPolicy':{'rules':[{'succeededIndexes':"
               "'0-2,1'},{'succeededIndexes':'0,2-4','succeededCount':5},{},{'succeededIndexes':'7'}]}}}",
            "spec.successPolicy.rules[0].succeededIndexes: Invalid value: \"0-2,1\": error parsing succeededIndexes: "
            "non-increasing order, previous: 2, current: 1\n"
            "spec.successPolicy.rules[1].succeededCount: Invalid value: 5: must be less than or equal to 4 (the number "
            "of indexes in the specified succeededIndexes field)\n"
            "spec.successPolicy.rules[2]: Required value: at least one of succeededCount or succeededIndexes must be "
            "specified\n"
            "spec.successPolicy.rules[3].succeededIndexes: Invalid value: \"7\": error parsing succeededIndexes: too "
            "large index: \"7\"");
}

static void test_job_update(void **state)
{
        (void)state;
        const struct kc_resource *r = kind("batch", "Job");
        expect_update(r, "", job, "", "{'spec':{'parallelism':3,'completions':1,'suspend':true}}", "");
        expect_update(r, "", job, "{'spec':{'completions':1}}", "{'spec':{'completions':2}}",
            "spec.completions: Invalid value: 2: field is immutable");
        expect_update(r, "", job, "{'spec':{'completionMode':'Indexed','completions':1}}",
            "{'spec':{'completionMode':'Indexed','completions':2,'parallelism':1}}",
            "spec.completions: Invalid value: 2: can only be modified in tandem with spec.parallelism");
        /* Where the pods of a suspended Job run may change, not what they run. */
        expect_update(r, "", job, "{'spec':{'suspend':true}}",
            "{'spec':{'suspend':true,'template':{'spec':{'nodeSelector':{'a':'b'}}}}}", "");
        expect_update(r, "", job,
            "{'spec':{'suspend':true},'status':{'conditions':[{'type':'Suspended','status':"
            "'True'}]}}",
            "{'spec':{'suspend':true,'template':{'spec':{'containers':[{'name':'c','image':'i','resources':"
            "{'requests':{'cpu':'1'}}}]}}}}",
            "");
}

#define CONDITIONS(...) "'conditions':[" __VA_ARGS__ "]"
#define TRUE_OF(type) "{'type':'" type "','status':'True'}"

static void test_job_status(void **state)
{
        (void)state;
        const struct kc_resource *r = kind("batch", "Job");
        expect_update(r, "status", job, "",
            "{'status':{'startTime':'2026-01-01T00:00:00Z','completionTime':'2026-01-01T00:01:00Z','succeeded':1,"
            "'uncountedTerminatedPods':{}," CONDITIONS(TRUE_OF("SuccessCriteriaMet") "," TRUE_OF("Complete")) "}}",
            "");
        expect_update(r, "status", job, "", "{'status':{'active':1," CONDITIONS(TRUE_OF("Complete")) "}}",
            "status.completionTime: Required value: completionTime is required for Complete jobs\n"
            "status.conditions: Invalid value: cannot set Complete=True condition without the SuccessCriteriaMet=true "
            "condition\n"
            "status.active: Invalid value: 1: active>0 is invalid for finished job\n"
            "status.startTime: Required value: startTime is required for finished job");
        expect_update(r, "status", job, "{'status':{'failed':2,'succeeded':1," CONDITIONS(TRUE_OF("Failed")) "}}",
            "{'status':{'failed':1,'completedIndexes':'0'}}",
            "status.completedIndexes: Invalid value: \"0\": cannot set non-empty completedIndexes when non-indexed "
            "completion mode\n"
            "status.conditions: Invalid value: cannot disable the terminal Failed=True condition\n"
            "status.failed: Invalid value: 1: cannot decrease the failed counter\n"
            "status.succeeded: Invalid value: 0: cannot decrease the succeeded counter");
        expect_update(r, "status", job,
            "{'spec':{'completionMode':'Indexed','completions':9,'backoffLimitPerIndex':1}}",
            "{'spec':{'completionMode':'Indexed','completions':9,'backoffLimitPerIndex':1},'status':{"
            "'completedIndexes':'1-3,5','failedIndexes':'4-5'}}",
            "status.failedIndexes: Invalid value: \"4-5\": failedIndexes and completedIndexes overlap at index: 5");
}

static const char cron_job[] =
    "{'metadata':{'name':'c','namespace':'n'},'spec':{'schedule':'*/5 * * * *','jobTemplate':{'spec':{'template':"
    "{'spec':{'restartPolicy':'Never','containers':[{'name':'c','image':'i'}]}}}}}}";

static void test_cron_job(void **state)
{
        (void)state;
        const struct kc_resource *r = kind("batch", "CronJob");
        expect_create(r, cron_job, "", "");
        expect_create(r, cron_job, "{'spec':{'schedule':'1 2 3','timeZone':'Europe/Nowhere','concurrencyPolicy':'x'}}",
            "spec.schedule: Invalid value: \"1 2 3\": expected exactly 5 fields, found 3: [1 2 3]\n"
            "spec.timeZone: Invalid value: \"Europe/Nowhere\": unknown time zone Europe/Nowhere\n"
            "spec.concurrencyPolicy: Unsupported value: \"x\": supported values: \"Allow\", \"Forbid\", \"Replace\"");
        expect_create(r, cron_job, "{'spec':{'schedule':'TZ=UTC * * * * *'}}",
            "spec.schedule: Invalid value: \"TZ=UTC * * * * *\": cannot use TZ or CRON_TZ in schedule, use timeZone "
            "field instead");
        expect_create(r, cron_job, "{'spec':{'timeZone':'Local'}}",
            "spec.timeZone: Invalid value: \"Local\": timeZone must be an explicit time zone as defined in "
            "https://www.iana.org/time-zones");
        expect_create(r, cron_job, "{'spec':{'jobTemplate':{'spec':{'selector':{},'manualSelector':true}}}}",
            "spec.jobTemplate.spec.selector: Invalid value: {}: `selector` will be auto-generated\n"
            "spec.jobTemplate.spec.manualSelector: Unsupported value: true: supported values: \"nil\", \"false\"");
        expect_create(r, cron_job, "{'metadata':{'name':'aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeefff'}}",
            "metadata.name: Invalid value: \"aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeefff\": must be no more "
            "than 52 bytes");
        /* What is there already stays. */
        expect_update(r, "", cron_job, "{'spec':{'schedule':'TZ=UTC * * * * *'}}",
            "{'spec':{'schedule':'TZ=UTC 1 * * * *','suspend':true}}", "");
}

static void expect_cron(const char *spec, const char *want)
{
        struct kc_cron c;
        KC_CLEANUP(kc_freep) char *why = NULL;
        int r = kc_cron_parse(spec, &c, &why);
        if ((r == 0) != !want || (why && strcmp(why, want) != 0))
                fail_msg("%s: got %s, want %s", spec, why ? why : "no error", want ? want : "no error");
        kc_cron_done(&c);
}

static void test_schedules(void **state)
{
        (void)state;
        expect_cron("* * * * *", NULL);
        expect_cron("0 0,12 1-15/2 JAN-mar,12 mon-fri", NULL);
        expect_cron("@hourly", NULL);
        expect_cron("@every 1h30m", NULL);
        expect_cron("TZ=Europe/Berlin 30 4 * * ?", NULL);
        expect_cron("", "empty spec string");
        expect_cron("60 * * * *", "end of range (60) above maximum (59): 60");
        expect_cron("* * 0 * *", "beginning of range (0) below minimum (1): 0");
        expect_cron("* * 5-3 * *", "beginning of range (5) beyond end of range (3): 5-3");
        expect_cron("1-2-3 * * * *", "too many hyphens: 1-2-3");
        expect_cron("1/2/3 * * * *", "too many slashes: 1/2/3");
        expect_cron("*/0 * * * *", "step of range should be a positive number: */0");
        expect_cron("x * * * *", "failed to parse int from x: strconv.Atoi: parsing \"x\": invalid syntax");
        expect_cron("@often", "unrecognized descriptor: @often");
        expect_cron("@every x", "failed to parse duration @every x: time: invalid duration \"x\"");
        expect_cron("TZ=Mars/Base 1 * * * *", "provided bad location Mars/Base: unknown time zone Mars/Base");
        struct kc_cron c;
        KC_CLEANUP(kc_freep) char *why = NULL;
        assert_int_equal(kc_cron_parse("10-20/5 3 * 2 0", &c, &why), 0);
        assert_int_equal(c.minutes, 1 << 10 | 1 << 15 | 1 << 20);
        assert_int_equal(c.hours, 1 << 3);
        assert_true(c.any_day);
        assert_int_equal(c.months, 1 << 2);
        assert_int_equal(c.weekdays, 1);
        assert_false(c.any_weekday);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_job),
            cmocka_unit_test(test_indexed),
            cmocka_unit_test(test_policies),
            cmocka_unit_test(test_job_update),
            cmocka_unit_test(test_job_status),
            cmocka_unit_test(test_cron_job),
            cmocka_unit_test(test_schedules),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
