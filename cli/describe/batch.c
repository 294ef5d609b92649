/* Job, CronJob. */
#include <string.h>

#include "base/clock.h"
#include "cli/describe/internal.h"

static long long number(const struct json_object *o, const char *path)
{
        return (long long)kc_json_int_at(o, path, 0);
}

/* A number, or "<unset>". */
static void describe_number(struct kc_describing *d, const char *label, const struct json_object *v, const char *unit)
{
        KC_CLEANUP(kc_freep) char *text = kc_scalar(v);
        kc_line(d, 0, "%s:\t%s%s\n", label, v ? text : "<unset>", v ? unit : "");
}

static void describe_optional(struct kc_describing *d, const char *label, const struct json_object *v, const char *unit)
{
        if (v)
                describe_number(d, label, v, unit);
}

/* A long list of indexes is cut at a comma. */
static void describe_indexes(struct kc_describing *d)
{
        enum { SHOWN = 50 };
        const char *indexes = kc_text(d->obj, "status.completedIndexes");
        size_t n = strlen(indexes);
        if (n == 0) {
                kc_line(d, 0, "Completed Indexes:\t<none>\n");
                return;
        }
        bool cut = n > SHOWN;
        if (cut)
                for (n = SHOWN; n > 0 && indexes[n] != ','; n--)
                        ;
        kc_line(d, 0, "Completed Indexes:\t%.*s%s\n", (int)n, indexes, cut ? ",..." : "");
}

static void describe_times(struct kc_describing *d)
{
        const char *start = kc_json_str_at(d->obj, "status.startTime"),
                   *end = kc_json_str_at(d->obj, "status.completionTime");
        KC_CLEANUP(kc_freep) char *start_text = kc_time_words(start);
        KC_CLEANUP(kc_freep) char *end_text = kc_time_words(end);
        kc_time from, to;
        char buf[KC_TIME_LEN];
        if (start)
                kc_line(d, 0, "Start Time:\t%s\n", start_text);
        if (end)
                kc_line(d, 0, "Completed At:\t%s\n", end_text);
        if (start && end && kc_time_parse(start, &from) == 0 && kc_time_parse(end, &to) == 0)
                kc_line(d, 0, "Duration:\t%s\n", kc_duration_human(to - from, buf));
}

int kc_describe_job(struct kc_describing *d, struct kc_error *err)
{
        (void)err;
        const struct json_object *spec = kc_json_get(d->obj, "spec"), *status = kc_json_get(d->obj, "status");
        kc_describe_name(d);
        kc_describe_namespace(d);
        if (kc_json_get(spec, "selector")) {
                KC_CLEANUP(kc_freep) char *selector = kc_label_selector_words(kc_json_get(spec, "selector"));
                kc_line(d, 0, "Selector:\t%s\n", selector);
        }
        kc_describe_meta(d);
        kc_describe_controller(d);
        describe_optional(d, "Parallelism", kc_json_get(spec, "parallelism"), "");
        describe_number(d, "Completions", kc_json_get(spec, "completions"), "");
        describe_optional(d, "Completion Mode", kc_json_get(spec, "completionMode"), "");
        describe_optional(d, "Suspend", kc_json_get(spec, "suspend"), "");
        describe_optional(d, "Backoff Limit", kc_json_get(spec, "backoffLimit"), "");
        describe_optional(d, "TTL Seconds After Finished", kc_json_get(spec, "ttlSecondsAfterFinished"), "");
        describe_times(d);
        describe_optional(d, "Active Deadline Seconds", kc_json_get(spec, "activeDeadlineSeconds"), "s");
        kc_line(d, 0, "Pods Statuses:\t%lld Active", number(status, "active"));
        if (kc_json_get(status, "ready"))
                kc_line(d, 0, " (%lld Ready)", number(status, "ready"));
        kc_line(d, 0, " / %lld Succeeded / %lld Failed\n", number(status, "succeeded"), number(status, "failed"));
        if (kc_streq(kc_json_str(spec, "completionMode"), "Indexed"))
                describe_indexes(d);
        kc_describe_pod_template(d, kc_json_get(spec, "template"));
        kc_describe_events(d);
        return 0;
}

static void describe_active(struct kc_describing *d)
{
        const struct json_object *active = kc_json_at(d->obj, "status.active");
        kc_line(d, 0, "Active Jobs:\t");
        for (size_t i = 0; i < kc_json_len(active); i++)
                kc_line(d, 0, "%s%s", i ? ", " : "", kc_text(kc_json_idx(active, i), "name"));
        kc_line(d, 0, "%s\n", kc_json_len(active) ? "" : "<none>");
}

int kc_describe_cron_job(struct kc_describing *d, struct kc_error *err)
{
        (void)err;
        const struct json_object *spec = kc_json_get(d->obj, "spec"), *job = kc_json_at(spec, "jobTemplate.spec");
        const char *last = kc_json_str_at(d->obj, "status.lastScheduleTime");
        kc_describe_name(d);
        kc_describe_namespace(d);
        kc_describe_meta(d);
        kc_line(d, 0, "Schedule:\t%s\n", kc_text(spec, "schedule"));
        kc_line(d, 0, "Concurrency Policy:\t%s\n", kc_text(spec, "concurrencyPolicy"));
        kc_line(d, 0, "Suspend:\t%s\n",
            kc_json_get(spec, "suspend") ? kc_bool_title(kc_json_bool(spec, "suspend", false)) : "<unset>");
        describe_number(d, "Successful Job History Limit", kc_json_get(spec, "successfulJobsHistoryLimit"), "");
        describe_number(d, "Failed Job History Limit", kc_json_get(spec, "failedJobsHistoryLimit"), "");
        describe_number(d, "Starting Deadline Seconds", kc_json_get(spec, "startingDeadlineSeconds"), "s");
        if (kc_json_get(job, "selector")) {
                KC_CLEANUP(kc_freep) char *selector = kc_label_selector_words(kc_json_get(job, "selector"));
                kc_line(d, 0, "Selector:\t%s\n", selector);
        } else {
                kc_line(d, 0, "Selector:\t<unset>\n");
        }
        describe_number(d, "Parallelism", kc_json_get(job, "parallelism"), "");
        describe_number(d, "Completions", kc_json_get(job, "completions"), "");
        describe_optional(d, "Active Deadline Seconds", kc_json_get(job, "activeDeadlineSeconds"), "s");
        kc_describe_pod_template(d, kc_json_get(job, "template"));
        KC_CLEANUP(kc_freep) char *last_text = kc_time_words(last);
        kc_line(d, 0, "Last Schedule Time:\t%s\n", last ? last_text : "<unset>");
        describe_active(d);
        kc_describe_events(d);
        return 0;
}
