/* The status of Jobs: what a controller may not write. Most rules hold only for what an update changes, so that what is
 * wrong already does not stop other writes. Any thread. */
#include <errno.h>
#include <string.h>

#include "api/validation_batch.h"
#include "base/mem.h"
#include "base/str.h"

static const struct kc_vpath status_path = {.kind = KC_VPATH_CHILD, .key = "status"};

/* --- Compressed indexes */

struct interval {
        int64_t first, last;
};

static int index_number(const char *text, int64_t completions, int64_t *ret, char **ret_why)
{
        if (kc_str_to_i64(text, ret) < 0) {
                *ret_why = kc_asprintf("cannot convert string to integer for index: \"%s\"", text);
                return -EINVAL;
        }
        if (*ret >= completions) {
                *ret_why = kc_asprintf("too large index: \"%s\"", text);
                return -EINVAL;
        }
        return 0;
}

static int parse_interval(const char *text, int64_t completions, struct interval *ret, char **ret_why)
{
        KC_CLEANUP(kc_strv_freep) char **ends = kc_strv_split(text, '-');
        size_t n = kc_strv_len(ends);
        if (n > 2) {
                *ret_why = kc_asprintf("the fragment \"%s\" violates the requirement that an index interval can have "
                                       "at most two parts separated by '-'",
                    text);
                return -EINVAL;
        }
        int r = index_number(ends[0], completions, &ret->first, ret_why);
        ret->last = ret->first;
        if (r < 0 || n < 2)
                return r;
        r = index_number(ends[1], completions, &ret->last, ret_why);
        if (r == 0 && ret->first >= ret->last) {
                *ret_why = kc_asprintf(
                    "non-increasing order, previous: %lld, current: %lld", (long long)ret->first, (long long)ret->last);
                return -EINVAL;
        }
        return r;
}

int kc_v_job_indexes(const char *text, int64_t completions, int64_t *ret_total, char **ret_why)
{
        KC_CLEANUP(kc_strv_freep) char **parts = *text ? kc_strv_split(text, ',') : NULL;
        int64_t last = -1;
        *ret_total = 0;
        for (size_t i = 0; parts && parts[i]; i++) {
                struct interval at;
                if (parse_interval(parts[i], completions, &at, ret_why) < 0)
                        return -EINVAL;
                if (i > 0 && last >= at.first) {
                        *ret_why = kc_asprintf("non-increasing order, previous: %lld, current: %lld", (long long)last,
                            (long long)at.first);
                        return -EINVAL;
                }
                *ret_total += at.last - at.first + 1;
                last = at.last;
        }
        return 0;
}

/* The next interval of parts[*i...] that can be read. */
static bool next_interval(char **parts, size_t *i, int64_t completions, struct interval *ret)
{
        for (; parts[*i]; ++*i) {
                KC_CLEANUP(kc_freep) char *why = NULL;
                if (parse_interval(parts[*i], completions, ret, &why) == 0)
                        return true;
        }
        return false;
}

/* The first index that is in both, or -1. */
static int64_t overlap(const char *completed, const char *failed, int64_t completions)
{
        if (!*completed || !*failed)
                return -1;
        KC_CLEANUP(kc_strv_freep) char **c = kc_strv_split(completed, ',');
        KC_CLEANUP(kc_strv_freep) char **f = kc_strv_split(failed, ',');
        struct interval ci, fi;
        size_t i = 0, j = 0;
        while (next_interval(c, &i, completions, &ci) && next_interval(f, &j, completions, &fi)) {
                if (ci.first <= fi.last && fi.first <= ci.last)
                        return KC_MAX(ci.first, fi.first);
                if (ci.first <= fi.first)
                        i++;
                else
                        j++;
        }
        return -1;
}

/* --- One update */

struct change {
        struct kc_v *v;
        const struct json_object *spec, *now, *old; /* the new spec, and both status */
        bool complete, failed, target, met;         /* conditions that are True now */
        bool complete_differs, failed_differs, target_differs, met_differs, finished_differs;
};

static bool differs(const struct change *c, const char *key)
{
        return !kc_v_equal(kc_json_get(c->now, key), kc_json_get(c->old, key));
}

static void bad_condition(const struct change *c, const char *why)
{
        kc_v_invalid_unsaid(c->v, V_CHILD(&status_path, "conditions"), why);
}

static void bad_value(const struct change *c, const char *key, const char *why)
{
        kc_v_invalid(c->v, V_CHILD(&status_path, key), kc_json_get(c->now, key), why);
}

static void uncounted(const struct change *c)
{
        static const char *const lists[] = {"succeeded", "failed"};
        const struct kc_vpath *p = V_CHILD(&status_path, "uncountedTerminatedPods");
        KC_CLEANUP(kc_map_freep) struct kc_map *seen = kc_map_new(NULL);
        for (size_t l = 0; l < KC_ARRAY_LEN(lists); l++) {
                const struct json_object *list = kc_json_get(kc_json_get(c->now, "uncountedTerminatedPods"), lists[l]);
                for (size_t i = 0; i < kc_json_len(list); i++) {
                        const char *uid = kc_json_as_str(kc_json_idx(list, i));
                        const struct kc_vpath *at = V_INDEX(V_CHILD(p, lists[l]), i);
                        if (kc_str_empty(uid))
                                kc_v_invalid_str(c->v, at, "", "must not be empty");
                        else if (!kc_v_first(seen, uid))
                                kc_v_duplicate(c->v, at, uid);
                }
        }
}

static bool before_start(const struct change *c)
{
        kc_time start, end;
        const char *s = kc_json_str(c->now, "startTime"), *e = kc_json_str(c->now, "completionTime");
        return s && e && kc_time_parse(s, &start) == 0 && kc_time_parse(e, &end) == 0 && end < start;
}

static void completion(const struct change *c)
{
        bool time = kc_json_get(c->now, "completionTime") != NULL, time_differs = differs(c, "completionTime");
        if ((c->complete_differs || c->failed_differs) && c->complete && c->failed)
                bad_condition(c, "cannot set Complete=True and Failed=true conditions");
        if ((c->complete_differs || c->target_differs) && c->complete && c->target)
                bad_condition(c, "cannot set Complete=True and FailureTarget=true conditions");
        if ((c->complete_differs || time_differs) && time && !c->complete)
                bad_value(c, "completionTime", "cannot set completionTime when there is no Complete=True condition");
        if ((c->complete_differs || time_differs) && !time && c->complete)
                kc_v_required(
                    c->v, V_CHILD(&status_path, "completionTime"), "completionTime is required for Complete jobs");
        if ((time_differs || differs(c, "startTime")) && before_start(c))
                bad_value(c, "completionTime", "must be equal to or after `startTime`");
        if ((c->failed_differs || differs(c, "failedIndexes")) && c->failed && !c->target)
                bad_condition(c, "cannot set Failed=True condition without the FailureTarget=true condition");
        if ((c->complete_differs || c->met_differs) && c->complete && !c->met)
                bad_condition(c, "cannot set Complete=True condition without the SuccessCriteriaMet=true condition");
}

static void finished(const struct change *c)
{
        const struct json_object *pods = kc_json_get(c->now, "uncountedTerminatedPods");
        bool no_work = kc_json_bool(c->spec, "suspend", false) && kc_json_int(c->spec, "completions", -1) == 0;
        if (!c->complete && !c->failed)
                return;
        if ((c->finished_differs || differs(c, "active")) && kc_json_int(c->now, "active", 0) > 0)
                bad_value(c, "active", "active>0 is invalid for finished job");
        if ((c->finished_differs || differs(c, "startTime")) && !no_work && !kc_json_get(c->now, "startTime"))
                kc_v_required(c->v, V_CHILD(&status_path, "startTime"), "startTime is required for finished job");
        if ((c->finished_differs || differs(c, "uncountedTerminatedPods")) &&
            kc_json_len(kc_json_get(pods, "failed")) + kc_json_len(kc_json_get(pods, "succeeded")) > 0)
                bad_value(c, "uncountedTerminatedPods", "must be empty for finished job");
}

static void index_format(const struct change *c, const char *key)
{
        const char *text = kc_v_str(c->now, key);
        int64_t total;
        KC_CLEANUP(kc_freep) char *why = NULL;
        if (kc_v_job_indexes(text, kc_json_int(c->spec, "completions", 0), &total, &why) == 0)
                return;
        KC_CLEANUP(kc_freep) char *detail = kc_asprintf("error parsing %s: %s", key, why);
        bad_value(c, key, detail);
}

static void indexes(const struct change *c)
{
        const struct json_object *completions = kc_json_get(c->spec, "completions");
        const struct json_object *failed = kc_json_get(c->now, "failedIndexes");
        bool per_index = kc_json_get(c->spec, "backoffLimitPerIndex") != NULL;
        bool completed_differs = differs(c, "completedIndexes"), failed_differs = differs(c, "failedIndexes");
        if (completed_differs && completions)
                index_format(c, "completedIndexes");
        if (failed_differs && completions && per_index && failed)
                index_format(c, "failedIndexes");
        if (completed_differs && *kc_v_str(c->now, "completedIndexes") && !kc_v_job_is_indexed(c->spec))
                bad_value(
                    c, "completedIndexes", "cannot set non-empty completedIndexes when non-indexed completion mode");
        if (failed_differs && failed && !per_index)
                bad_value(c, "failedIndexes", "cannot set non-null failedIndexes when backoffLimitPerIndex is null");
        if (!(completed_differs || failed_differs) || !completions || !failed)
                return;
        int64_t at = overlap(kc_v_str(c->now, "completedIndexes"), kc_v_str(c->now, "failedIndexes"),
            json_object_get_int64(completions));
        KC_CLEANUP(kc_freep)
        char *detail = kc_asprintf("failedIndexes and completedIndexes overlap at index: %lld", (long long)at);
        if (at >= 0)
                bad_value(c, "failedIndexes", detail);
}

static void pods_and_criteria(const struct change *c)
{
        bool done = c->complete || c->failed;
        if ((c->finished_differs || differs(c, "terminating")) && done && kc_json_int(c->now, "terminating", 0) > 0)
                bad_value(c, "terminating", "terminating>0 is invalid for finished job");
        if ((differs(c, "ready") || differs(c, "active")) &&
            kc_json_int(c->now, "ready", 0) > kc_json_int(c->now, "active", 0))
                bad_value(c, "ready", "cannot set more ready pods than active");
        if (c->met && c->failed)
                bad_condition(c, "cannot set SuccessCriteriaMet=True and Failed=true conditions");
        if (c->met && c->target)
                bad_condition(c, "cannot set SuccessCriteriaMet=True and FailureTarget=true conditions");
        if (kc_json_get(c->spec, "successPolicy") && !c->met && c->complete)
                bad_condition(c, "cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True");
}

/* What never goes back. */
static void monotonic(const struct change *c)
{
        static const char *const terminal[] = {"Failed", "Complete", "FailureTarget"};
        const struct json_object *end = kc_json_get(c->now, "completionTime");
        bool scalable = kc_v_job_is_indexed(c->spec) &&
                        kc_v_equal(kc_json_get(c->spec, "completions"), kc_json_get(c->spec, "parallelism"));
        bool resumes = kc_condition_is_true(c->old, "Suspended") && !kc_condition_is_true(c->now, "Suspended");
        for (size_t i = 0; i < KC_ARRAY_LEN(terminal); i++) {
                KC_CLEANUP(kc_freep)
                char *why = kc_asprintf("cannot disable the terminal %s=True condition", terminal[i]);
                if (kc_condition_is_true(c->old, terminal[i]) && !kc_condition_is_true(c->now, terminal[i]))
                        bad_condition(c, why);
        }
        int64_t failed = kc_json_int(c->now, "failed", 0), succeeded = kc_json_int(c->now, "succeeded", 0);
        if (failed < kc_json_int(c->old, "failed", 0))
                kc_v_invalid_int(c->v, V_CHILD(&status_path, "failed"), failed, "cannot decrease the failed counter");
        if (!scalable && succeeded < kc_json_int(c->old, "succeeded", 0))
                kc_v_invalid_int(
                    c->v, V_CHILD(&status_path, "succeeded"), succeeded, "cannot decrease the succeeded counter");
        if (end && kc_json_get(c->old, "completionTime") && differs(c, "completionTime"))
                bad_value(c, "completionTime", "field is immutable");
        if (kc_json_get(c->old, "startTime") && differs(c, "startTime") && !resumes &&
            !kc_json_bool(c->spec, "suspend", false))
                kc_v_required(
                    c->v, V_CHILD(&status_path, "startTime"), "startTime cannot be removed for unsuspended job");
        bool was_met = kc_condition_is_true(c->old, "SuccessCriteriaMet");
        if (was_met && !c->met)
                bad_condition(c, "cannot disable the SuccessCriteriaMet=True condition");
        if (kc_condition_is_true(c->old, "Complete") && !was_met && c->met)
                bad_condition(c, "cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions");
}

void kc_v_job_status_update(struct kc_v *v, const struct json_object *o, const struct json_object *old)
{
        static const char *const counts[] = {"active", "succeeded", "failed", "ready", "terminating"};
        struct change c = {
            .v = v, .spec = kc_json_get(o, "spec"), .now = kc_json_get(o, "status"), .old = kc_json_get(old, "status")};
        bool was_complete = kc_condition_is_true(c.old, "Complete"), was_failed = kc_condition_is_true(c.old, "Failed");
        c.complete = kc_condition_is_true(c.now, "Complete");
        c.failed = kc_condition_is_true(c.now, "Failed");
        c.target = kc_condition_is_true(c.now, "FailureTarget");
        c.met = kc_condition_is_true(c.now, "SuccessCriteriaMet");
        c.complete_differs = c.complete != was_complete;
        c.failed_differs = c.failed != was_failed;
        c.target_differs = c.target != kc_condition_is_true(c.old, "FailureTarget");
        c.met_differs = c.met != kc_condition_is_true(c.old, "SuccessCriteriaMet");
        c.finished_differs = (c.complete || c.failed) != (was_complete || was_failed);
        for (size_t i = 0; i < KC_ARRAY_LEN(counts); i++)
                kc_v_nonnegative(v, &status_path, c.now, counts[i]);
        uncounted(&c);
        completion(&c);
        finished(&c);
        indexes(&c);
        pods_and_criteria(&c);
        monotonic(&c);
}
