/* HorizontalPodAutoscalers of autoscaling/v1 and v2. Version 1 knows one metric only, the utilization of CPU; metrics,
 * their current values, conditions and behavior stand in annotations there, as JSON of version 1's forms of them. Pure:
 * any thread. */
#include <string.h>

#include "api/convert_internal.h"
#include "base/mem.h"
#include "base/str.h"

#define PREFIX "autoscaling.alpha.kubernetes.io/"

/* Sources of metrics: the key that holds them in a metric of that type. */
static const struct {
        const char *type, *key;
} sources[] = {
    {"ContainerResource", "containerResource"},
    {"External", "external"},
    {"Object", "object"},
    {"Pods", "pods"},
    {"Resource", "resource"},
};

static void take_over(struct json_object *to, const char *to_key, const struct json_object *from, const char *from_key)
{
        const struct json_object *v = kc_json_get(from, from_key);
        if (v)
                kc_json_set(to, to_key, kc_json_copy(v));
}

/* --- One source, without its outer metric. target: of a spec; else the current value of a status. */

static void flatten_source(struct json_object *out, const struct json_object *in, const char *key, bool target)
{
        const struct json_object *value = kc_json_get(in, target ? "target" : "current");
        bool object = kc_streq(key, "object"), external = kc_streq(key, "external");
        const char *total = target ? "targetValue" : "currentValue";
        take_over(out, "name", in, "name");
        take_over(out, "container", in, "container");
        take_over(out, "target", in, "describedObject");
        take_over(out, "metricName", kc_json_get(in, "metric"), "name");
        take_over(out, external ? "metricSelector" : "selector", kc_json_get(in, "metric"), "selector");
        take_over(out, target ? "targetAverageUtilization" : "currentAverageUtilization", value, "averageUtilization");
        take_over(out,
            object   ? "averageValue"
            : target ? "targetAverageValue"
                     : "currentAverageValue",
            value, "averageValue");
        take_over(out, total, value, "value");
        /* Quantities that version 1 holds by value. */
        if (!kc_json_get(out, total) && (object || (external && !target)))
                kc_json_set_str(out, total, "0");
        if (!target && !object && !external && !kc_json_get(out, "currentAverageValue"))
                kc_json_set_str(out, "currentAverageValue", "0");
}

static const char *target_type(const struct json_object *in, const char *key)
{
        if (kc_json_get(in, "targetAverageUtilization"))
                return "Utilization";
        bool total = kc_streq(key, "object")     ? !kc_json_get(in, "averageValue")
                     : kc_streq(key, "external") ? !kc_json_get(in, "targetAverageValue")
                                                 : false;
        return total ? "Value" : "AverageValue";
}

static void unflatten_source(struct json_object *out, const struct json_object *in, const char *key, bool target)
{
        bool object = kc_streq(key, "object"), external = kc_streq(key, "external");
        struct json_object *value = kc_json_ensure_obj(out, target ? "target" : "current");
        if (target)
                kc_json_set_str(value, "type", target_type(in, key));
        take_over(out, "name", in, "name");
        take_over(out, "container", in, "container");
        take_over(out, "describedObject", in, "target");
        if (kc_json_get(in, "metricName"))
                take_over(kc_json_ensure_obj(out, "metric"), "name", in, "metricName");
        if (kc_json_get(in, external ? "metricSelector" : "selector"))
                take_over(kc_json_ensure_obj(out, "metric"), "selector", in, external ? "metricSelector" : "selector");
        take_over(value, "averageUtilization", in, target ? "targetAverageUtilization" : "currentAverageUtilization");
        take_over(value, "averageValue", in,
            object   ? "averageValue"
            : target ? "targetAverageValue"
                     : "currentAverageValue");
        const char *total = target ? "targetValue" : "currentValue";
        if (!target || kc_streq(kc_json_str(value, "type"), "Value"))
                take_over(value, "value", in, total);
}

static struct json_object *convert_metric(const struct json_object *in, bool target, bool flatten)
{
        struct json_object *out = json_object_new_object();
        take_over(out, "type", in, "type");
        for (size_t i = 0; i < KC_ARRAY_LEN(sources); i++) {
                const struct json_object *source = kc_json_get(in, sources[i].key);
                if (!source)
                        continue;
                struct json_object *converted = json_object_new_object();
                (flatten ? flatten_source : unflatten_source)(converted, source, sources[i].key, target);
                kc_json_set(out, sources[i].key, converted);
        }
        return out;
}

/* --- To version 1 */

/* Its average utilization, if the metric is that of CPU; else NULL. */
static const struct json_object *cpu_utilization(const struct json_object *metric, bool target)
{
        const struct json_object *source = kc_json_get(metric, "resource");
        if (!kc_streq(kc_json_str(metric, "type"), "Resource") || !kc_streq(kc_json_str(source, "name"), "cpu"))
                return NULL;
        return kc_json_get(kc_json_get(source, target ? "target" : "current"), "averageUtilization");
}

static void annotate(struct json_object *o, const char *key, const struct json_object *value)
{
        KC_CLEANUP(kc_freep) char *text = kc_json_to_str(value);
        kc_json_set_str(kc_json_ensure_obj(o, "metadata.annotations"), key, text);
}

static void metrics_to_v1(struct json_object *o)
{
        struct json_object *spec = kc_json_ensure_obj(o, "spec");
        const struct json_object *metrics = kc_json_get(spec, "metrics");
        KC_CLEANUP(kc_json_freep) struct json_object *others = json_object_new_array();
        for (size_t i = 0; i < kc_json_len(metrics); i++) {
                const struct json_object *m = kc_json_idx(metrics, i), *cpu = cpu_utilization(m, true);
                if (!cpu)
                        kc_json_push(others, convert_metric(m, true, true));
                else if (!kc_json_get(spec, "targetCPUUtilizationPercentage"))
                        kc_json_set(spec, "targetCPUUtilizationPercentage", kc_json_copy(cpu));
        }
        if (kc_json_len(others) > 0)
                annotate(o, PREFIX "metrics", others);
        kc_json_del(spec, "metrics");
}

static void status_to_v1(struct json_object *o)
{
        struct json_object *status = kc_json_ensure_obj(o, "status");
        const struct json_object *metrics = kc_json_get(status, "currentMetrics");
        KC_CLEANUP(kc_json_freep) struct json_object *current = json_object_new_array();
        for (size_t i = 0; i < kc_json_len(metrics); i++) {
                const struct json_object *m = kc_json_idx(metrics, i), *cpu = cpu_utilization(m, false);
                kc_json_push(current, convert_metric(m, false, true));
                if (cpu && !kc_json_get(status, "currentCPUUtilizationPercentage"))
                        kc_json_set(status, "currentCPUUtilizationPercentage", kc_json_copy(cpu));
        }
        if (kc_json_len(current) > 0)
                annotate(o, PREFIX "current-metrics", current);
        if (kc_json_len(kc_json_get(status, "conditions")) > 0)
                annotate(o, PREFIX "conditions", kc_json_get(status, "conditions"));
        kc_json_del(status, "currentMetrics");
        kc_json_del(status, "conditions");
}

void kc_convert_autoscaler_to_v1(struct json_object *o)
{
        metrics_to_v1(o);
        status_to_v1(o);
        struct json_object *spec = kc_json_get_mut(o, "spec");
        if (kc_json_get(spec, "behavior"))
                annotate(o, PREFIX "behavior", kc_json_get(spec, "behavior"));
        kc_json_del(spec, "behavior");
}

/* --- To version 2 */

/* The value of an annotation, which is removed even if it says nothing of use; NULL: none. */
static struct json_object *take_annotation(struct json_object *o, const char *key)
{
        struct json_object *all = kc_json_at_mut(o, "metadata.annotations"), *v = NULL;
        const char *text = kc_json_str(all, key);
        if (text && kc_json_parse(text, strlen(text), NULL, &v, NULL) < 0)
                v = NULL;
        kc_json_del(all, key);
        if (all && kc_json_n_keys(all) == 0)
                kc_json_del(kc_json_get_mut(o, "metadata"), "annotations");
        return v;
}

static struct json_object *converted_metrics(const struct json_object *list, bool target)
{
        struct json_object *out = json_object_new_array();
        for (size_t i = 0; i < kc_json_len(list); i++)
                kc_json_push(out, convert_metric(kc_json_idx(list, i), target, false));
        return out;
}

static void metrics_to_v2(struct json_object *o)
{
        struct json_object *spec = kc_json_ensure_obj(o, "spec");
        const struct json_object *cpu = kc_json_get(spec, "targetCPUUtilizationPercentage");
        KC_CLEANUP(kc_json_freep) struct json_object *others = take_annotation(o, PREFIX "metrics");
        struct json_object *metrics = converted_metrics(others, true);
        if (cpu)
                kc_json_push(metrics, kc_json_build("{'type':'Resource','resource':{'name':'cpu','target':{"
                                                    "'type':'Utilization','averageUtilization':%o}}}",
                                          kc_json_copy(cpu)));
        kc_json_set(spec, "metrics", metrics);
        kc_json_del(spec, "targetCPUUtilizationPercentage");
}

static void status_to_v2(struct json_object *o)
{
        struct json_object *status = kc_json_ensure_obj(o, "status");
        const struct json_object *cpu = kc_json_get(status, "currentCPUUtilizationPercentage");
        KC_CLEANUP(kc_json_freep) struct json_object *current = take_annotation(o, PREFIX "current-metrics");
        struct json_object *conditions = take_annotation(o, PREFIX "conditions");
        if (kc_json_is_arr(current))
                kc_json_set(status, "currentMetrics", converted_metrics(current, false));
        else if (cpu)
                kc_json_set(status, "currentMetrics",
                    kc_json_build("[{'type':'Resource','resource':{'name':'cpu','current':{'averageUtilization':%o}}}]",
                        kc_json_copy(cpu)));
        kc_json_del(status, "currentCPUUtilizationPercentage");
        if (kc_json_is_arr(conditions))
                kc_json_set(status, "conditions", conditions);
        else
                kc_json_free(conditions);
}

void kc_convert_autoscaler_to_v2(struct json_object *o)
{
        metrics_to_v2(o);
        status_to_v2(o);
        struct json_object *behavior = take_annotation(o, PREFIX "behavior");
        if (kc_json_is_obj(behavior) && kc_json_n_keys(behavior) > 0)
                kc_json_set(kc_json_get_mut(o, "spec"), "behavior", behavior);
        else
                kc_json_free(behavior);
}
