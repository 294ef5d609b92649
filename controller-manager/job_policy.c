/* When a Job ends: limits, deadlines, pod failure and success policies. Any thread. */
#include <string.h>

#include "base/str.h"
#include "controller-manager/job_internal.h"

/* --- pod failure policy */

static const struct json_object *exit_code_match(
    const struct json_object *rule, const struct json_object *statuses, int64_t *ret_code)
{
        const struct json_object *want = kc_json_get(rule, "onExitCodes"), *values = kc_json_get(want, "values");
        const char *name = kc_json_str(want, "containerName");
        bool not_in = kc_streq(kc_json_str(want, "operator"), "NotIn");

        for (size_t i = 0; i < kc_json_len(statuses); i++) {
                const struct json_object *s = kc_json_idx(statuses, i), *ended = kc_json_at(s, "state.terminated");
                int64_t code = kc_json_int(ended, "exitCode", 0);
                bool in = false;
                if (!ended || code == 0 || (!kc_str_empty(name) && !kc_streq(name, kc_json_str(s, "name"))))
                        continue;
                for (size_t v = 0; v < kc_json_len(values); v++)
                        in |= json_object_get_int64((struct json_object *)kc_json_idx(values, v)) == code;
                if (in != not_in) {
                        *ret_code = code;
                        return s;
                }
        }
        return NULL;
}

static const struct json_object *condition_match(const struct json_object *rule, const struct json_object *pod)
{
        const struct json_object *patterns = kc_json_get(rule, "onPodConditions");

        for (size_t i = 0; i < kc_json_len(patterns); i++) {
                const struct json_object *p = kc_json_idx(patterns, i);
                const struct json_object *c = kc_condition_get(kc_json_get(pod, "status"), kc_json_str(p, "type"));
                if (c && kc_streq(kc_json_str(c, "status"), kc_json_str(p, "status") ?: "True"))
                        return c;
        }
        return NULL;
}

/* Heap: why the rule applies; NULL: it does not. */
static char *rule_match(const struct json_object *rule, const struct json_object *pod, size_t index)
{
        static const char *const lists[] = {"containerStatuses", "initContainerStatuses"};
        const char *action = kc_json_str(rule, "action");
        const struct json_object *c;
        int64_t code;

        for (size_t l = 0; kc_json_get(rule, "onExitCodes") && l < KC_ARRAY_LEN(lists); l++) {
                c = exit_code_match(rule, kc_json_get(kc_json_get(pod, "status"), lists[l]), &code);
                if (c)
                        return kc_asprintf("Container %s for pod %s/%s failed with exit code %lld matching %s rule at "
                                           "index %zu",
                            kc_json_str(c, "name"), kc_meta_namespace(pod), kc_meta_name(pod), (long long)code, action,
                            index);
        }
        c = condition_match(rule, pod);
        return c ? kc_asprintf("Pod %s/%s has condition %s matching %s rule at index %zu", kc_meta_namespace(pod),
                       kc_meta_name(pod), kc_json_str(c, "type"), action, index)
                 : NULL;
}

enum kc_failure_action kc_job_failure_action(
    const struct json_object *job, const struct json_object *pod, char **ret_message)
{
        const struct json_object *rules = kc_json_at(job, "spec.podFailurePolicy.rules");

        if (ret_message)
                *ret_message = NULL;
        if (!kc_streq(kc_json_str_at(pod, "status.phase"), "Failed"))
                return KC_FAIL_COUNT;
        for (size_t i = 0; i < kc_json_len(rules); i++) {
                const struct json_object *rule = kc_json_idx(rules, i);
                const char *action = kc_json_str(rule, "action");
                KC_CLEANUP(kc_freep) char *why = rule_match(rule, pod, i);
                if (!why)
                        continue;
                if (kc_streq(action, "Ignore"))
                        return KC_FAIL_IGNORE;
                if (kc_streq(action, "FailIndex"))
                        return KC_FAIL_INDEX;
                if (!kc_streq(action, "FailJob"))
                        return KC_FAIL_COUNT;
                if (ret_message)
                        *ret_message = KC_TAKE(why);
                return KC_FAIL_JOB;
        }
        return KC_FAIL_COUNT;
}

/* --- success policy */

int kc_job_success_rule(const struct json_object *job, const struct kc_indexes *succeeded)
{
        const struct json_object *rules = kc_json_at(job, "spec.successPolicy.rules");
        int64_t completions = kc_json_int_at(job, "spec.completions", 0);

        for (size_t i = 0; i < kc_json_len(rules); i++) {
                const struct json_object *rule = kc_json_idx(rules, i);
                const char *indexes = kc_json_str(rule, "succeededIndexes");
                int64_t want = kc_json_int(rule, "succeededCount", -1), have = 0;
                if (indexes) {
                        struct kc_indexes set = {0};
                        kc_indexes_parse(&set, indexes, completions);
                        for (size_t k = 0; k < set.n; k++)
                                for (int64_t x = set.v[k].first; x <= set.v[k].last; x++)
                                        have += kc_indexes_has(succeeded, x);
                        if (want < 0)
                                want = kc_indexes_count(&set);
                        kc_indexes_done(&set);
                } else {
                        have = kc_indexes_count(succeeded);
                }
                if (want >= 0 && have >= want)
                        return (int)i;
        }
        return -1;
}

/* --- the end */

static void end_with(struct kc_job_sync *s, bool success, const char *reason, char *take_message)
{
        s->end = (struct kc_job_end){.success = success, .reason = reason, .message = take_message};
}

/* A decision that has been written stays. */
static bool decided_before(struct kc_job_sync *s)
{
        static const char *const types[] = {"FailureTarget", "SuccessCriteriaMet"};

        for (size_t i = 0; i < KC_ARRAY_LEN(types); i++) {
                const struct json_object *c = kc_condition_get(s->status, types[i]);
                if (!kc_streq(kc_json_str(c, "status"), "True"))
                        continue;
                end_with(s, i == 1, kc_json_str(c, "reason") ?: "", kc_strdup(kc_json_str(c, "message") ?: ""));
                return true;
        }
        return false;
}

/* With restartPolicy OnFailure containers fail within their pods. */
static bool restarts_exceed(const struct kc_job_sync *s)
{
        static const char *const lists[] = {"initContainerStatuses", "containerStatuses"};
        int64_t sum = 0;

        if (!kc_streq(kc_json_str_at(s->job, "spec.template.spec.restartPolicy"), "OnFailure"))
                return false;
        for (size_t i = 0; i < s->pods.n; i++) {
                const struct json_object *status = kc_json_get(kc_object_json(s->pods.v[i]), "status");
                const char *phase = kc_json_str(status, "phase");
                if (!kc_streq(phase, "Running") && !kc_streq(phase, "Pending"))
                        continue;
                for (size_t l = 0; l < KC_ARRAY_LEN(lists); l++)
                        for (size_t k = 0; k < kc_json_len(kc_json_get(status, lists[l])); k++)
                                sum += kc_json_int(kc_json_idx(kc_json_get(status, lists[l]), k), "restartCount", 0);
        }
        return s->backoff_limit == 0 ? sum > 0 : sum >= s->backoff_limit;
}

static bool past_deadline(struct kc_job_sync *s)
{
        int64_t deadline = kc_json_int_at(s->job, "spec.activeDeadlineSeconds", -1);
        const char *since = kc_json_str(s->status, "startTime");
        kc_time t;

        if (deadline < 0 || !since || kc_time_parse(since, &t) < 0 || kc_json_bool_at(s->job, "spec.suspend", false))
                return false;
        int64_t left = t + deadline * KC_SEC - s->now;
        if (left > 0)
                kc_workqueue_add_after(kc_controller_queue(s->c->controller), s->key, left);
        return left <= 0;
}

static bool failed_by_policy(struct kc_job_sync *s)
{
        for (size_t i = 0; i < s->pods.n; i++) {
                char *message = NULL;
                const struct json_object *pod = kc_object_json(s->pods.v[i]);
                if (kc_meta_has_finalizer(pod, KC_JOB_FINALIZER) &&
                    kc_job_failure_action(s->job, pod, &message) == KC_FAIL_JOB) {
                        end_with(s, false, "PodFailurePolicy", message);
                        return true;
                }
        }
        return false;
}

static bool is_complete(const struct kc_job_sync *s)
{
        if (s->completions < 0)
                return s->succeeded > 0 && s->active.n == 0;
        return s->succeeded + (s->per_index ? kc_indexes_count(&s->failed_indexes) : 0) >= s->completions;
}

void kc_job_decide_end(struct kc_job_sync *s)
{
        int64_t max_failed = kc_json_int_at(s->job, "spec.maxFailedIndexes", -1);
        int64_t failed_indexes = kc_indexes_count(&s->failed_indexes);
        int rule;

        if (decided_before(s) || failed_by_policy(s))
                return;
        if (s->failed > s->backoff_limit || restarts_exceed(s)) {
                end_with(s, false, "BackoffLimitExceeded", kc_strdup("Job has reached the specified backoff limit"));
        } else if (past_deadline(s)) {
                end_with(s, false, "DeadlineExceeded", kc_strdup("Job was active longer than specified deadline"));
        } else if (s->per_index && max_failed >= 0 && failed_indexes > max_failed) {
                end_with(s, false, "MaxFailedIndexesExceeded",
                    kc_strdup("Job has exceeded the specified maximal number of failed indexes"));
        } else if (s->indexed && (rule = kc_job_success_rule(s->job, &s->succeeded_indexes)) >= 0) {
                end_with(s, true, "SuccessPolicy", kc_asprintf("Matched rules at index %d", rule));
        } else if (is_complete(s) && failed_indexes > 0) {
                end_with(s, false, "FailedIndexes", kc_strdup("Job has failed indexes"));
        } else if (is_complete(s)) {
                end_with(s, true, "CompletionsReached", kc_strdup("Reached expected number of succeeded pods"));
        }
}
