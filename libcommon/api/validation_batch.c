/* Jobs: the spec on creation and on update. Their status: validation_batch_status.c; CronJobs: validation_cronjob.c.
 * Any thread. */
#include <string.h>

#include "api/selector.h"
#include "api/validation_batch.h"
#include "base/mem.h"
#include "base/str.h"

enum {
        MAX_PARALLELISM = 100000,
        MAX_FAILED_INDEXES = 100000,
        MANY_COMPLETIONS = 100000,
        MAX_PARALLELISM_OF_MANY = 10000,
        MAX_FAILED_INDEXES_OF_MANY = 10000,
        MAX_RULES = 20,
        MAX_EXIT_CODES = 255,
        MAX_CONDITIONS = 20,
        MAX_MANAGED_BY = 63,
        MAX_INDEXES_TEXT = 64 << 10,
};

#define CONTROLLER_UID "batch.kubernetes.io/controller-uid"
#define JOB_NAME "batch.kubernetes.io/job-name"

static const struct kc_vpath metadata = {.kind = KC_VPATH_CHILD, .key = "metadata"};
static const struct kc_vpath spec_path = {.kind = KC_VPATH_CHILD, .key = "spec"};

bool kc_v_job_is_indexed(const struct json_object *spec)
{
        return kc_streq(kc_json_str(spec, "completionMode"), "Indexed");
}

/* --- The mode of completion */

static void too_great(struct kc_v *v, const struct kc_vpath *p, const struct json_object *spec, const char *key,
    int64_t max, const char *when)
{
        int64_t n = kc_json_int(spec, key, 0);
        KC_CLEANUP(kc_freep) char *detail = kc_asprintf("must be less than or equal to %lld%s", (long long)max, when);
        if (n > max)
                kc_v_invalid_int(v, V_CHILD(p, key), n, detail);
}

static void indexed(struct kc_v *v, const struct kc_vpath *p, const struct json_object *spec)
{
        static const char of_many[] = " when completions are above 100000 and used with backoff limit per index";
        const struct json_object *completions = kc_json_get(spec, "completions");
        const struct json_object *max_failed = kc_json_get(spec, "maxFailedIndexes");
        int64_t failed = kc_json_int(spec, "maxFailedIndexes", 0), n = kc_json_int(spec, "completions", 0);
        if (!completions)
                kc_v_required(v, V_CHILD(p, "completions"), "when completion mode is Indexed");
        too_great(v, p, spec, "parallelism", MAX_PARALLELISM, " when completion mode is Indexed");
        if (completions && max_failed && failed > n)
                kc_v_invalid_int(
                    v, V_CHILD(p, "maxFailedIndexes"), failed, "must be less than or equal to completions");
        too_great(v, p, spec, "maxFailedIndexes", MAX_FAILED_INDEXES, "");
        if (n <= MANY_COMPLETIONS || !kc_json_get(spec, "backoffLimitPerIndex"))
                return;
        if (!max_failed)
                kc_v_required(v, V_CHILD(p, "maxFailedIndexes"), "must be specified when completions is above 100000");
        too_great(v, p, spec, "parallelism", MAX_PARALLELISM_OF_MANY, of_many);
        too_great(v, p, spec, "maxFailedIndexes", MAX_FAILED_INDEXES_OF_MANY, of_many);
}

static void only_indexed(struct kc_v *v, const struct kc_vpath *p, const struct json_object *spec, const char *key)
{
        if (kc_json_get(spec, key))
                kc_v_invalid(v, V_CHILD(p, key), kc_json_get(spec, key), "requires indexed completion mode");
}

static void completion_mode(struct kc_v *v, const struct kc_vpath *p, const struct json_object *spec)
{
        static const char *const modes[] = {"NonIndexed", "Indexed", NULL};
        const char *mode = kc_json_str(spec, "completionMode");
        if (mode && !kc_v_in(mode, modes))
                kc_v_not_supported(v, V_CHILD(p, "completionMode"), mode, modes);
        if (kc_v_job_is_indexed(spec))
                indexed(v, p, spec);
        if (!mode || kc_streq(mode, "NonIndexed")) {
                only_indexed(v, p, spec, "backoffLimitPerIndex");
                only_indexed(v, p, spec, "maxFailedIndexes");
        }
}

/* --- Pod failure policy */

static void exit_code_values(
    struct kc_v *v, const struct kc_vpath *p, const struct json_object *values, const char *operator)
{
        KC_CLEANUP(kc_map_freep) struct kc_map *seen = kc_map_new(NULL);
        bool ordered = true;
        int64_t before = INT64_MIN;
        if (kc_json_len(values) == 0) {
                KC_CLEANUP(kc_json_freep) struct json_object *none = json_object_new_array();
                kc_v_invalid(v, p, values ? values : none, "at least one value is required");
        } else if (kc_json_len(values) > MAX_EXIT_CODES) {
                kc_v_too_many(v, p, kc_json_len(values), MAX_EXIT_CODES);
        }
        for (size_t i = 0; i < kc_json_len(values); i++) {
                int64_t code = json_object_get_int64(kc_json_idx(values, i));
                KC_CLEANUP(kc_freep) char *text = kc_asprintf("%lld", (long long)code);
                if (code == 0 && kc_streq(operator, "In"))
                        kc_v_invalid_int(v, V_INDEX(p, i), code, "must not be 0 for the In operator");
                if (!kc_v_first(seen, text))
                        kc_v_duplicate_json(v, V_INDEX(p, i), kc_json_idx(values, i));
                ordered = ordered && before <= code;
                before = code;
        }
        if (!ordered)
                kc_v_invalid(v, p, values, "must be ordered");
}

static void on_exit_codes(
    struct kc_v *v, const struct kc_vpath *p, const struct json_object *codes, const struct json_object *pod)
{
        static const char *const operators[] = {"In", "NotIn", NULL};
        const char *operator= kc_v_str(codes, "operator"), *container = kc_json_str(codes, "containerName");
        if (!*operator)
                kc_v_required(v, V_CHILD(p, "operator"), "valid values: [\"In\" \"NotIn\"]");
        else if (!kc_v_in(operator, operators))
                kc_v_not_supported(v, V_CHILD(p, "operator"), operator, operators);
        if (container && !kc_json_find(kc_json_get(pod, "containers"), "name", container) &&
            !kc_json_find(kc_json_get(pod, "initContainers"), "name", container))
                kc_v_invalid_str(v, V_CHILD(p, "containerName"), container,
                    "must be one of the container or initContainer names in the pod template");
        exit_code_values(v, V_CHILD(p, "values"), kc_json_get(codes, "values"), operator);
}

static void on_pod_conditions(struct kc_v *v, const struct kc_vpath *p, const struct json_object *patterns)
{
        static const char *const statuses[] = {"False", "True", "Unknown", NULL};
        if (kc_json_len(patterns) > MAX_CONDITIONS)
                kc_v_too_many(v, p, kc_json_len(patterns), MAX_CONDITIONS);
        for (size_t i = 0; i < kc_json_len(patterns); i++) {
                const struct json_object *pattern = kc_json_idx(patterns, i);
                const char *status = kc_v_str(pattern, "status");
                const struct kc_vpath *at = V_INDEX(p, i);
                kc_v_name(v, V_CHILD(at, "type"), kc_v_str(pattern, "type"), kc_name_label_key);
                if (!*status)
                        kc_v_required(v, V_CHILD(at, "status"), "valid values: [\"False\" \"True\" \"Unknown\"]");
                else if (!kc_v_in(status, statuses))
                        kc_v_not_supported(v, V_CHILD(at, "status"), status, statuses);
        }
}

static void failure_rule(
    struct kc_v *v, const struct kc_vpath *p, const struct json_object *rule, const struct json_object *spec)
{
        static const char *const actions[] = {"Count", "FailIndex", "FailJob", "Ignore", NULL};
        const char *action = kc_v_str(rule, "action");
        const struct json_object *codes = kc_json_get(rule, "onExitCodes");
        const struct json_object *conditions = kc_json_get(rule, "onPodConditions");
        if (!*action)
                kc_v_required(
                    v, V_CHILD(p, "action"), "valid values: [\"Count\" \"FailIndex\" \"FailJob\" \"Ignore\"]");
        else if (!kc_v_in(action, actions))
                kc_v_not_supported(v, V_CHILD(p, "action"), action, actions);
        else if (kc_streq(action, "FailIndex") && !kc_json_get(spec, "backoffLimitPerIndex"))
                kc_v_invalid_str(v, V_CHILD(p, "action"), action, "requires the backoffLimitPerIndex to be set");
        if (codes)
                on_exit_codes(v, V_CHILD(p, "onExitCodes"), codes, kc_json_at(spec, "template.spec"));
        if (kc_json_len(conditions) > 0)
                on_pod_conditions(v, V_CHILD(p, "onPodConditions"), conditions);
        if (codes && kc_json_len(conditions) > 0)
                kc_v_invalid_unsaid(v, p, "specifying both OnExitCodes and OnPodConditions is not supported");
        if (!codes && kc_json_len(conditions) == 0)
                kc_v_invalid_unsaid(v, p, "specifying one of OnExitCodes and OnPodConditions is required");
}

static void failure_policy(struct kc_v *v, const struct kc_vpath *p, const struct json_object *spec)
{
        const struct json_object *rules = kc_json_at(spec, "podFailurePolicy.rules");
        const struct kc_vpath *at = V_CHILD2(p, "podFailurePolicy", "rules");
        if (kc_json_len(rules) > MAX_RULES)
                kc_v_too_many(v, at, kc_json_len(rules), MAX_RULES);
        for (size_t i = 0; i < kc_json_len(rules); i++)
                failure_rule(v, V_INDEX(at, i), kc_json_idx(rules, i), spec);
}

/* --- Success policy */

static void success_rule(
    struct kc_v *v, const struct kc_vpath *p, const struct json_object *rule, const struct json_object *spec)
{
        const char *indexes = kc_json_str(rule, "succeededIndexes");
        const struct json_object *count = kc_json_get(rule, "succeededCount");
        int64_t completions = kc_json_int(spec, "completions", 0), total = 0;
        int64_t n = kc_json_int(rule, "succeededCount", 0);
        if (!count && !indexes)
                kc_v_required(v, p, "at least one of succeededCount or succeededIndexes must be specified");
        if (indexes) {
                const struct kc_vpath *at = V_CHILD(p, "succeededIndexes");
                KC_CLEANUP(kc_freep) char *why = NULL;
                if (strlen(indexes) > MAX_INDEXES_TEXT)
                        kc_v_too_long(v, at, MAX_INDEXES_TEXT);
                if (kc_v_job_indexes(indexes, completions, &total, &why) < 0) {
                        KC_CLEANUP(kc_freep) char *detail = kc_asprintf("error parsing succeededIndexes: %s", why);
                        kc_v_invalid_str(v, at, indexes, detail);
                }
        }
        if (!count)
                return;
        kc_v_nonnegative(v, p, rule, "succeededCount");
        KC_CLEANUP(kc_freep)
        char *specified = kc_asprintf(
            "must be less than or equal to %lld (the number of specified completions)", (long long)completions);
        KC_CLEANUP(kc_freep)
        char *in_field = kc_asprintf(
            "must be less than or equal to %lld (the number of indexes in the specified succeededIndexes field)",
            (long long)total);
        if (n > completions)
                kc_v_invalid_int(v, V_CHILD(p, "succeededCount"), n, specified);
        if (indexes && n > total)
                kc_v_invalid_int(v, V_CHILD(p, "succeededCount"), n, in_field);
}

static void success_policy(struct kc_v *v, const struct kc_vpath *p, const struct json_object *spec)
{
        const struct json_object *policy = kc_json_get(spec, "successPolicy"), *rules = kc_json_get(policy, "rules");
        const struct kc_vpath *at = V_CHILD2(p, "successPolicy", "rules");
        if (!kc_v_job_is_indexed(spec)) {
                kc_v_invalid(v, V_CHILD(p, "successPolicy"), policy, "requires indexed completion mode");
                return;
        }
        if (kc_json_len(rules) == 0)
                kc_v_required(v, at, "at least one rules must be specified when the successPolicy is specified");
        if (kc_json_len(rules) > MAX_RULES)
                kc_v_too_many(v, at, kc_json_len(rules), MAX_RULES);
        for (size_t i = 0; i < kc_json_len(rules); i++)
                success_rule(v, V_INDEX(at, i), kc_json_idx(rules, i), spec);
}

/* --- The spec */

static void replacement_policy(struct kc_v *v, const struct kc_vpath *p, const struct json_object *spec)
{
        static const char *const all[] = {"Failed", "TerminatingOrFailed", NULL}, *const failed[] = {"Failed", NULL};
        const char *policy = kc_json_str(spec, "podReplacementPolicy");
        const char *const *valid = kc_json_get(spec, "podFailurePolicy") ? failed : all;
        if (policy && !kc_v_in(policy, valid))
                kc_v_not_supported(v, V_CHILD(p, "podReplacementPolicy"), policy, valid);
}

static void restart_policy(struct kc_v *v, const struct kc_vpath *p, const struct json_object *spec)
{
        static const char *const valid[] = {"OnFailure", "Never", NULL};
        const char *policy = kc_v_str(kc_json_at(spec, "template.spec"), "restartPolicy");
        const struct kc_vpath *at = V_CHILD3(p, "template", "spec", "restartPolicy");
        if (!*policy || kc_streq(policy, "Always"))
                kc_v_required(v, at, "valid values: \"OnFailure\", \"Never\"");
        else if (!kc_v_in(policy, valid))
                kc_v_not_supported(v, at, policy, valid);
        else if (kc_json_get(spec, "podFailurePolicy") && !kc_streq(policy, "Never"))
                kc_v_invalid_str(v, at, policy, "only \"Never\" is supported when podFailurePolicy is specified");
}

static void managed_by(struct kc_v *v, const struct kc_vpath *p, const struct json_object *spec)
{
        const char *s = kc_json_str(spec, "managedBy");
        if (!s)
                return;
        kc_v_domain_prefixed_path(v, V_CHILD(p, "managedBy"), s);
        if (strlen(s) > MAX_MANAGED_BY)
                kc_v_too_long(v, V_CHILD(p, "managedBy"), MAX_MANAGED_BY);
}

void kc_v_job_template_spec(struct kc_v *v, const struct kc_vpath *p, const struct json_object *spec)
{
        static const char *const counts[] = {"parallelism", "completions", "activeDeadlineSeconds", "backoffLimit",
            "ttlSecondsAfterFinished", "backoffLimitPerIndex", "maxFailedIndexes"};
        for (size_t i = 0; i < KC_ARRAY_LEN(counts); i++)
                kc_v_nonnegative(v, p, spec, counts[i]);
        if (kc_json_get(spec, "maxFailedIndexes") && !kc_json_get(spec, "backoffLimitPerIndex"))
                kc_v_required(v, V_CHILD(p, "backoffLimitPerIndex"), "when maxFailedIndexes is specified");
        managed_by(v, p, spec);
        completion_mode(v, p, spec);
        if (kc_json_get(spec, "podFailurePolicy"))
                failure_policy(v, p, spec);
        if (kc_json_get(spec, "successPolicy"))
                success_policy(v, p, spec);
        replacement_policy(v, p, spec);
        kc_v_pod_template(v, V_CHILD(p, "template"), kc_json_get(spec, "template"));
        restart_policy(v, p, spec);
}

static void job_spec(struct kc_v *v, const struct json_object *spec)
{
        const struct json_object *selector = kc_json_get(spec, "selector");
        const struct json_object *labels = kc_json_at(spec, "template.metadata.labels");
        KC_CLEANUP(kc_selector_freep) struct kc_selector *compiled = NULL;
        kc_v_job_template_spec(v, &spec_path, spec);
        if (!selector)
                kc_v_required(v, V_CHILD(&spec_path, "selector"), "");
        else
                kc_v_label_selector(v, V_CHILD(&spec_path, "selector"), selector);
        if (kc_selector_from_label_selector(selector, &compiled, NULL) == 0 && !kc_selector_matches(compiled, labels))
                kc_v_invalid(v, V_CHILD3(&spec_path, "template", "metadata", "labels"), labels,
                    "`selector` does not match template `labels`");
}

/* --- The object */

static void has_label(struct kc_v *v, const struct json_object *labels, const char *key, const char *want)
{
        const struct kc_vpath *p = V_CHILD3(&spec_path, "template", "metadata", "labels");
        const char *value = kc_json_str(labels, key);
        KC_CLEANUP(kc_freep) char *detail = kc_asprintf("must be '%s'", want);
        if (!value)
                kc_v_required(v, V_KEY(p, key), detail);
        else if (strcmp(value, want) != 0)
                kc_v_invalid(v, V_KEY(p, key), labels, detail);
}

/* What the strategy generates the selector of, unless the user's labels were in the way. */
static void generated_selector(struct kc_v *v, const struct json_object *o, bool prefixed)
{
        const struct json_object *meta = kc_json_get(o, "metadata"), *spec = kc_json_get(o, "spec");
        const struct json_object *selector = kc_json_get(spec, "selector");
        const struct json_object *labels = kc_json_at(spec, "template.metadata.labels");
        const char *uid = kc_v_str(meta, "uid"), *name = kc_v_str(meta, "name");
        if (kc_json_bool(spec, "manualSelector", false) || !selector)
                return;
        if (!*uid)
                kc_v_required(v, V_CHILD(&metadata, "uid"), "");
        has_label(v, labels, "controller-uid", uid);
        has_label(v, labels, "job-name", name);
        if (prefixed) {
                has_label(v, labels, CONTROLLER_UID, uid);
                has_label(v, labels, JOB_NAME, name);
        }
        KC_CLEANUP(kc_json_freep)
        struct json_object *expected = kc_json_build("{'controller-uid':%s,'job-name':%s,"
                                                     "'" CONTROLLER_UID "':%s,'" JOB_NAME "':%s}",
            uid, name, uid, name);
        KC_CLEANUP(kc_selector_freep) struct kc_selector *compiled = NULL;
        if (kc_selector_from_label_selector(selector, &compiled, NULL) == 0 && !kc_selector_matches(compiled, expected))
                kc_v_invalid(v, V_CHILD(&spec_path, "selector"), selector, "`selector` not auto-generated");
}

static void job(struct kc_v *v, const struct json_object *o, bool prefixed)
{
        const struct json_object *spec = kc_json_get(o, "spec");
        const char *name = kc_v_str(kc_json_get(o, "metadata"), "name");
        int64_t completions = kc_json_int(spec, "completions", 0);
        kc_v_meta(v, o, true, kc_name_dns1123_subdomain);
        generated_selector(v, o, prefixed);
        job_spec(v, spec);
        if (!kc_v_job_is_indexed(spec) || completions <= 0)
                return;
        KC_CLEANUP(kc_freep) char *host = kc_asprintf("%s-%lld", name, (long long)(completions - 1));
        KC_CLEANUP(kc_freep)
        char *detail = kc_asprintf("will not able to create pod with invalid DNS label: %s", host);
        if (kc_validate_dns1123_label(host))
                kc_v_invalid_str(v, V_CHILD(&metadata, "name"), name, detail);
}

void kc_v_create_job(struct kc_v *v, const struct json_object *o)
{
        job(v, o, true);
}

/* --- Updates */

static void immutable(
    struct kc_v *v, const struct json_object *spec, const struct json_object *old_spec, const char *key)
{
        kc_v_immutable(v, V_CHILD(&spec_path, key), kc_json_get(spec, key), kc_json_get(old_spec, key));
}

static void completions_update(struct kc_v *v, const struct json_object *spec, const struct json_object *old_spec)
{
        const struct json_object *now = kc_json_get(spec, "completions");
        if (!kc_v_job_is_indexed(spec)) {
                immutable(v, spec, old_spec, "completions");
                return;
        }
        if (!now || kc_v_equal(now, kc_json_get(old_spec, "completions")))
                return;
        if (json_object_get_int64(now) != kc_json_int(spec, "parallelism", 0))
                kc_v_invalid(
                    v, V_CHILD(&spec_path, "completions"), now, "can only be modified in tandem with spec.parallelism");
}

static void copy_key(struct json_object *to, const struct json_object *from, const char *key)
{
        if (kc_json_get(from, key))
                kc_json_set(to, key, kc_json_copy(kc_json_get(from, key)));
        else
                kc_json_del(to, key);
}

/* Where pods of a suspended Job that has not been started may run is still open. */
static void allow_scheduling_directives(struct json_object *old_template, const struct json_object *template)
{
        static const char *const of_meta[] = {"annotations", "labels"};
        static const char *const of_spec[] = {"nodeSelector", "tolerations", "schedulingGates"};
        const struct json_object *meta = kc_json_get(template, "metadata"), *spec = kc_json_get(template, "spec");
        struct json_object *old_meta = kc_json_ensure_obj(old_template, "metadata");
        struct json_object *old_spec = kc_json_ensure_obj(old_template, "spec");
        for (size_t i = 0; i < KC_ARRAY_LEN(of_meta); i++)
                copy_key(old_meta, meta, of_meta[i]);
        for (size_t i = 0; i < KC_ARRAY_LEN(of_spec); i++)
                copy_key(old_spec, spec, of_spec[i]);
        copy_key(kc_json_ensure_obj(old_spec, "affinity"), kc_json_get(spec, "affinity"), "nodeAffinity");
}

static void allow_resources(struct json_object *old_template, const struct json_object *template, const char *list)
{
        struct json_object *old = kc_json_get_mut(kc_json_get_mut(old_template, "spec"), list);
        const struct json_object *now = kc_json_get(kc_json_get(template, "spec"), list);
        for (size_t i = 0; kc_json_len(now) == kc_json_len(old) && i < kc_json_len(now); i++) {
                const struct json_object *c = kc_json_idx(now, i);
                if (kc_streq(kc_json_str(c, "name"), kc_json_str(kc_json_idx(old, i), "name")))
                        copy_key(kc_json_idx_mut(old, i), c, "resources");
        }
}

static bool is_suspended(const struct json_object *o)
{
        return kc_condition_is_true(kc_json_get(o, "status"), "Suspended");
}

static void template_update(struct kc_v *v, const struct json_object *o, const struct json_object *old)
{
        const struct json_object *template = kc_json_at(o, "spec.template");
        KC_CLEANUP(kc_json_freep) struct json_object *allowed = kc_json_copy(kc_json_at(old, "spec.template"));
        const struct kc_vpath *p = V_CHILD(&spec_path, "template");
        bool suspended = kc_json_bool_at(old, "spec.suspend", false);
        if (suspended && (is_suspended(old) || !kc_json_at(old, "status.startTime")))
                allow_scheduling_directives(allowed, template);
        if (!suspended || !is_suspended(old)) {
                kc_v_immutable(v, p, template, allowed);
                return;
        }
        allow_resources(allowed, template, "containers");
        allow_resources(allowed, template, "initContainers");
        kc_v_immutable(
            v, V_CHILD(&spec_path, "template.spec"), kc_json_get(template, "spec"), kc_json_get(allowed, "spec"));
}

void kc_v_update_job(
    struct kc_v *v, const struct json_object *o, const struct json_object *old, const char *subresource)
{
        static const char *const fixed[] = {
            "completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy"};
        const struct json_object *spec = kc_json_get(o, "spec"), *old_spec = kc_json_get(old, "spec");
        const struct json_object *labels = kc_json_at(old_spec, "template.metadata.labels");
        if (kc_streq(subresource, "status")) {
                kc_v_meta_update(v, o, old);
                kc_v_job_status_update(v, o, old);
                return;
        }
        job(v, o, kc_json_get(labels, JOB_NAME) && kc_json_get(labels, CONTROLLER_UID));
        kc_v_meta_update(v, o, old);
        completions_update(v, spec, old_spec);
        immutable(v, spec, old_spec, "selector");
        template_update(v, o, old);
        for (size_t i = 0; i < KC_ARRAY_LEN(fixed); i++)
                immutable(v, spec, old_spec, fixed[i]);
}
