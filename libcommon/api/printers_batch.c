/* Rows of jobs, autoscalers and disruption budgets. */
#include "api/convert_internal.h"
#include "api/table_internal.h"
#include "base/mem.h"
#include "base/str.h"

static bool has_condition(const struct json_object *obj, const char *type)
{
        const struct json_object *c = kc_json_find(kc_json_at(obj, "status.conditions"), "type", type);
        return kc_streq(kc_json_str(c, "status"), "True");
}

static const char *job_status(const struct json_object *job)
{
        if (has_condition(job, "Complete"))
                return "Complete";
        if (has_condition(job, "Failed"))
                return "Failed";
        if (kc_json_at(job, "metadata.deletionTimestamp"))
                return "Terminating";
        if (has_condition(job, "Suspended"))
                return "Suspended";
        if (has_condition(job, "FailureTarget"))
                return "FailureTarget";
        return has_condition(job, "SuccessCriteriaMet") ? "SuccessCriteriaMet" : "Running";
}

static char *job_completions(const struct json_object *job)
{
        long long done = (long long)kc_json_int_at(job, "status.succeeded", 0);
        long long parallel = (long long)kc_json_int_at(job, "spec.parallelism", 0);
        if (kc_json_at(job, "spec.completions"))
                return kc_asprintf("%lld/%lld", done, (long long)kc_json_int_at(job, "spec.completions", 0));
        return parallel > 1 ? kc_asprintf("%lld/1 of %lld", done, parallel) : kc_asprintf("%lld/1", done);
}

static const char *job_duration(const struct json_object *job, kc_time now, char buf[static KC_TIME_LEN])
{
        const char *start = kc_json_str_at(job, "status.startTime"),
                   *end = kc_json_str_at(job, "status.completionTime");
        kc_time t = now;
        if (!start || (end && kc_time_parse(end, &t) < 0))
                return "";
        return kc_time_since(start, t, buf);
}

void kc_print_job(struct json_object *cells, const struct json_object *obj, kc_time now)
{
        char buf[KC_TIME_LEN];
        kc_cell_name(cells, obj);
        kc_cell_str(cells, job_status(obj));
        kc_cell_str_take(cells, job_completions(obj));
        kc_cell_str(cells, job_duration(obj, now, buf));
        kc_cell_age(cells, obj, now);
        kc_cells_containers(cells, kc_json_at(obj, "spec.template.spec"));
        kc_cell_str_take(cells, kc_label_selector_format(kc_json_at(obj, "spec.selector")));
}

void kc_print_cron_job(struct json_object *cells, const struct json_object *obj, kc_time now)
{
        char buf[KC_TIME_LEN];
        const char *last = kc_json_str_at(obj, "status.lastScheduleTime");
        const struct json_object *suspend = kc_json_at(obj, "spec.suspend");
        kc_cell_name(cells, obj);
        kc_cell_str(cells, kc_json_str_at(obj, "spec.schedule"));
        kc_cell_str_or_none(cells, kc_json_str_at(obj, "spec.timeZone"));
        kc_cell_str(cells, !suspend ? "<unset>" : json_object_get_boolean(suspend) ? "True" : "False");
        kc_cell_int(cells, (int64_t)kc_json_len(kc_json_at(obj, "status.active")));
        kc_cell_str(cells, last ? kc_time_since(last, now, buf) : "<none>");
        kc_cell_age(cells, obj, now);
        kc_cells_containers(cells, kc_json_at(obj, "spec.jobTemplate.spec.template.spec"));
        kc_cell_str_take(cells, kc_label_selector_format(kc_json_at(obj, "spec.jobTemplate.spec.selector")));
}

/* --- HorizontalPodAutoscalers: "cpu: 30%/80%, 7/10 (avg) + 1 more..." */

/* The key that holds the source of a metric of that type, and whether it is of a resource. */
static const struct {
        const char *type, *key;
        bool resource;
} metric_sources[] = {
    {"External", "external", false},
    {"Pods", "pods", false},
    {"Object", "object", false},
    {"Resource", "resource", true},
    {"ContainerResource", "containerResource", true},
};

static char *utilization(const struct json_object *v, const char *none)
{
        const struct json_object *n = kc_json_get(v, "averageUtilization");
        return n ? kc_asprintf("%lld%%", (long long)json_object_get_int64(n)) : kc_strdup(none);
}

static char *format_metric(const struct json_object *spec, const struct json_object *status)
{
        size_t i = 0;
        while (i < KC_ARRAY_LEN(metric_sources) && !kc_streq(metric_sources[i].type, kc_json_str(spec, "type")))
                i++;
        if (i == KC_ARRAY_LEN(metric_sources))
                return kc_strdup("<unknown type>");
        const struct json_object *source = kc_json_get(spec, metric_sources[i].key);
        const struct json_object *target = kc_json_get(source, "target");
        const struct json_object *current = kc_json_get(kc_json_get(status, metric_sources[i].key), "current");
        const char *average = kc_json_str(target, "averageValue"), *name = kc_json_str(source, "name");
        const char *value = kc_json_str(current, average ? "averageValue" : "value");
        if (metric_sources[i].resource && !average) {
                KC_CLEANUP(kc_freep) char *have = utilization(current, "<unknown>");
                KC_CLEANUP(kc_freep) char *want = utilization(target, "<auto>");
                return kc_asprintf("%s: %s/%s", name ? name : "", have, want);
        }
        if (!value)
                value = "<unknown>";
        if (metric_sources[i].resource)
                return kc_asprintf("%s: %s/%s", name ? name : "", value, average);
        if (average)
                return kc_asprintf("%s/%s%s", value, average, kc_streq(metric_sources[i].key, "pods") ? "" : " (avg)");
        const char *total = kc_json_str(target, "value");
        return kc_asprintf("%s/%s", value, total ? total : "0");
}

static char *format_metrics(const struct json_object *obj)
{
        enum { MAX = 2 };
        const struct json_object *specs = kc_json_at(obj, "spec.metrics");
        const struct json_object *statuses = kc_json_at(obj, "status.currentMetrics");
        size_t n = kc_json_len(specs);
        KC_CLEANUP(kc_strv_freep) char **texts = NULL;
        for (size_t i = 0; i < KC_MIN(n, (size_t)MAX); i++)
                kc_strv_push_take(&texts, format_metric(kc_json_idx(specs, i), kc_json_idx(statuses, i)));
        if (n == 0)
                return kc_strdup("<none>");
        char *joined = kc_strv_join(texts, ", ");
        if (n <= MAX)
                return joined;
        char *more = kc_asprintf("%s + %zu more...", joined, n - MAX);
        kc_free(joined);
        return more;
}

static char *number_or(const struct json_object *v, const char *none)
{
        return v ? kc_asprintf("%lld", (long long)json_object_get_int64(v)) : kc_strdup(none);
}

void kc_print_autoscaler(struct json_object *cells, const struct json_object *obj, kc_time now)
{
        KC_CLEANUP(kc_json_freep) struct json_object *v2 = NULL;
        if (!kc_json_at(obj, "spec.metrics")) { /* as of version 1: the row is that of version 2 */
                v2 = kc_json_copy(obj);
                kc_convert_autoscaler_to_v2(v2);
                obj = v2;
        }
        const struct json_object *ref = kc_json_at(obj, "spec.scaleTargetRef");
        const char *kind = kc_json_str(ref, "kind"), *name = kc_json_str(ref, "name");
        kc_cell_name(cells, obj);
        kc_cell_str_take(cells, kc_asprintf("%s/%s", kind ? kind : "", name ? name : ""));
        kc_cell_str_take(cells, format_metrics(obj));
        kc_cell_str_take(cells, number_or(kc_json_at(obj, "spec.minReplicas"), "<unset>"));
        kc_cell_int(cells, kc_json_int_at(obj, "spec.maxReplicas", 0));
        kc_cell_int(cells, kc_json_int_at(obj, "status.currentReplicas", 0));
        kc_cell_age(cells, obj, now);
}

/* An int-or-string as text. */
static void amount_cell(struct json_object *cells, const struct json_object *v)
{
        const char *s = kc_json_as_str(v);
        kc_cell_str_take(cells, s ? kc_strdup(s) : number_or(v, "N/A"));
}

void kc_print_disruption_budget(struct json_object *cells, const struct json_object *obj, kc_time now)
{
        kc_cell_name(cells, obj);
        amount_cell(cells, kc_json_at(obj, "spec.minAvailable"));
        amount_cell(cells, kc_json_at(obj, "spec.maxUnavailable"));
        kc_cell_int(cells, kc_json_int_at(obj, "status.disruptionsAllowed", 0));
        kc_cell_age(cells, obj, now);
}
