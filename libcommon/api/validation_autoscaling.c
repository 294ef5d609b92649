/* HorizontalPodAutoscalers (as stored: autoscaling/v2) and PodDisruptionBudgets. Any thread. */
#include <string.h>

#include "api/validation_internal.h"
#include "base/mem.h"
#include "base/str.h"

enum { MAX_PERIOD = 1800, MAX_WINDOW = 3600 };

static const struct kc_vpath spec_path = {.kind = KC_VPATH_CHILD, .key = "spec"};
static const struct kc_vpath status_path = {.kind = KC_VPATH_CHILD, .key = "status"};

/* --- Behaviour */

static void scaling_policy(struct kc_v *v, const struct kc_vpath *p, const struct json_object *policy)
{
        static const char *const types[] = {"Percent", "Pods", NULL};
        const char *type = kc_v_str(policy, "type");
        int64_t value = kc_json_int(policy, "value", 0), period = kc_json_int(policy, "periodSeconds", 0);
        if (!kc_v_in(type, types))
                kc_v_not_supported(v, V_CHILD(p, "type"), type, types);
        if (value <= 0)
                kc_v_invalid_int(v, V_CHILD(p, "value"), value, "must be greater than zero");
        if (period <= 0)
                kc_v_invalid_int(v, V_CHILD(p, "periodSeconds"), period, "must be greater than zero");
        if (period > MAX_PERIOD)
                kc_v_invalid_int(v, V_CHILD(p, "periodSeconds"), period, "must be less than or equal to 1800");
}

static void scaling_rules(struct kc_v *v, const struct kc_vpath *p, const struct json_object *rules)
{
        static const char *const selects[] = {"Disabled", "Max", "Min", NULL};
        const struct json_object *policies = kc_json_get(rules, "policies");
        const char *select = kc_json_str(rules, "selectPolicy");
        int64_t window = kc_json_int(rules, "stabilizationWindowSeconds", 0);
        if (!rules)
                return;
        if (window < 0)
                kc_v_invalid_int(
                    v, V_CHILD(p, "stabilizationWindowSeconds"), window, "must be greater than or equal to zero");
        if (window > MAX_WINDOW)
                kc_v_invalid_int(
                    v, V_CHILD(p, "stabilizationWindowSeconds"), window, "must be less than or equal to 3600");
        if (select && !kc_v_in(select, selects))
                kc_v_not_supported(v, V_CHILD(p, "selectPolicy"), select, selects);
        if (kc_json_len(policies) == 0)
                kc_v_required(v, V_CHILD(p, "policies"), "must specify at least one Policy");
        for (size_t i = 0; i < kc_json_len(policies); i++)
                scaling_policy(v, V_INDEX(V_CHILD(p, "policies"), i), kc_json_idx(policies, i));
        kc_v_nonnegative_quantity(v, V_CHILD(p, "tolerance"), kc_json_get(rules, "tolerance"));
}

/* --- Metrics */

static void path_segment(struct kc_v *v, const struct kc_vpath *p, const char *value, const char *why_required)
{
        if (*value)
                kc_v_name(v, p, value, kc_name_path_segment);
        else
                kc_v_required(v, p, why_required);
}

static void object_reference(struct kc_v *v, const struct kc_vpath *p, const struct json_object *ref)
{
        path_segment(v, V_CHILD(p, "kind"), kc_v_str(ref, "kind"), "");
        path_segment(v, V_CHILD(p, "name"), kc_v_str(ref, "name"), "");
}

static void positive(struct kc_v *v, const struct kc_vpath *p, const struct json_object *o, const char *key)
{
        struct kc_quantity q;
        const struct json_object *value = kc_json_get(o, key);
        if (value && kc_v_read_quantity(value, &q) && q.nano <= 0)
                kc_v_invalid(v, V_CHILD(p, key), value, "must be positive");
}

static void metric_target(struct kc_v *v, const struct kc_vpath *p, const struct json_object *target)
{
        static const char *const types[] = {"Utilization", "Value", "AverageValue", NULL};
        const char *type = kc_v_str(target, "type");
        int64_t utilization = kc_json_int(target, "averageUtilization", 1);
        if (!*type)
                kc_v_required(v, V_CHILD(p, "type"), "must specify a metric target type");
        if (!kc_v_in(type, types))
                kc_v_invalid_str(v, V_CHILD(p, "type"), type, "must be either Utilization, Value, or AverageValue");
        positive(v, p, target, "value");
        positive(v, p, target, "averageValue");
        if (utilization < 1)
                kc_v_invalid_int(v, V_CHILD(p, "averageUtilization"), utilization, "must be greater than 0");
}

static void metric_name(struct kc_v *v, const struct kc_vpath *p, const struct json_object *source)
{
        path_segment(v, V_CHILD2(p, "metric", "name"), kc_v_str(kc_json_get(source, "metric"), "name"),
            "must specify a metric name");
}

static void object_metric(struct kc_v *v, const struct kc_vpath *p, const struct json_object *source)
{
        const struct json_object *target = kc_json_get(source, "target");
        object_reference(v, V_CHILD(p, "describedObject"), kc_json_get(source, "describedObject"));
        metric_name(v, p, source);
        metric_target(v, V_CHILD(p, "target"), target);
        if (!kc_json_get(target, "value") && !kc_json_get(target, "averageValue"))
                kc_v_required(
                    v, V_CHILD2(p, "target", "averageValue"), "must set either a target value or averageValue");
}

static void external_metric(struct kc_v *v, const struct kc_vpath *p, const struct json_object *source)
{
        const struct json_object *target = kc_json_get(source, "target");
        bool value = kc_json_get(target, "value"), average = kc_json_get(target, "averageValue");
        metric_name(v, p, source);
        metric_target(v, V_CHILD(p, "target"), target);
        if (!value && !average)
                kc_v_required(v, V_CHILD2(p, "target", "averageValue"),
                    "must set either a target value for metric or a per-pod target");
        if (value && average)
                kc_v_forbidden(v, V_CHILD2(p, "target", "value"),
                    "may not set both a target value for metric and a per-pod target");
}

static void pods_metric(struct kc_v *v, const struct kc_vpath *p, const struct json_object *source)
{
        const struct json_object *target = kc_json_get(source, "target");
        metric_name(v, p, source);
        metric_target(v, V_CHILD(p, "target"), target);
        if (!kc_json_get(target, "averageValue"))
                kc_v_required(v, V_CHILD2(p, "target", "averageValue"), "must specify a positive target averageValue");
}

static void utilization(struct kc_v *v, const struct kc_vpath *p, const struct json_object *target)
{
        bool percent = kc_json_get(target, "averageUtilization"), value = kc_json_get(target, "averageValue");
        metric_target(v, p, target);
        if (!percent && !value)
                kc_v_required(
                    v, V_CHILD(p, "averageUtilization"), "must set either a target raw value or a target utilization");
        if (percent && value)
                kc_v_forbidden(
                    v, V_CHILD(p, "averageValue"), "may not set both a target raw value and a target utilization");
}

static void resource_metric(struct kc_v *v, const struct kc_vpath *p, const struct json_object *source)
{
        if (!*kc_v_str(source, "name"))
                kc_v_required(v, V_CHILD(p, "name"), "must specify a resource name");
        utilization(v, V_CHILD(p, "target"), kc_json_get(source, "target"));
}

static void container_metric(struct kc_v *v, const struct kc_vpath *p, const struct json_object *source)
{
        const char *name = kc_v_str(source, "name"), *container = kc_v_str(source, "container");
        if (*name)
                kc_v_container_resource_name(v, V_CHILD(p, "name"), name);
        else
                kc_v_required(v, V_CHILD(p, "name"), "must specify a resource name");
        if (*container)
                kc_v_name(v, V_CHILD(p, "container"), container, kc_name_dns1123_label);
        else
                kc_v_required(v, V_CHILD(p, "container"), "must specify a container");
        utilization(v, V_CHILD(p, "target"), kc_json_get(source, "target"));
}

static void metric(struct kc_v *v, const struct kc_vpath *p, const struct json_object *spec)
{
        static const char *const types[] = {"ContainerResource", "External", "Object", "Pods", "Resource", NULL};
        static const struct {
                const char *type, *field;
                void (*check)(struct kc_v *v, const struct kc_vpath *p, const struct json_object *source);
        } sources[] = {
            {"Object", "object", object_metric},
            {"External", "external", external_metric},
            {"Pods", "pods", pods_metric},
            {"Resource", "resource", resource_metric},
            {"ContainerResource", "containerResource", container_metric},
        };
        const char *type = kc_v_str(spec, "type"), *expected = NULL;
        size_t present = 0;
        if (!*type)
                kc_v_required(v, V_CHILD(p, "type"), "must specify a metric source type");
        if (!kc_v_in(type, types))
                kc_v_not_supported(v, V_CHILD(p, "type"), type, types);
        for (size_t i = 0; i < KC_ARRAY_LEN(sources); i++) {
                const struct json_object *source = kc_json_get(spec, sources[i].field);
                if (source && present++ == 0)
                        sources[i].check(v, V_CHILD(p, sources[i].field), source);
                if (kc_streq(type, sources[i].type))
                        expected = sources[i].field;
        }
        if (expected && !kc_json_get(spec, expected))
                kc_v_required(v, V_CHILD(p, expected), "must populate information for the given metric source");
        if (!expected)
                kc_v_not_supported(v, V_CHILD(p, "type"), type, types);
        for (size_t i = 0; present != 1 && i < KC_ARRAY_LEN(sources); i++)
                if (kc_json_get(spec, sources[i].field) && !kc_streq(sources[i].field, expected))
                        kc_v_forbidden(v, V_CHILD(p, sources[i].field), "must populate the given metric source only");
}

/* --- The autoscaler */

static void autoscaler_spec(struct kc_v *v, const struct json_object *spec, int64_t least)
{
        const struct json_object *metrics = kc_json_get(spec, "metrics"), *behavior = kc_json_get(spec, "behavior");
        const struct json_object *has_min = kc_json_get(spec, "minReplicas");
        int64_t min = kc_json_int(spec, "minReplicas", 0), max = kc_json_int(spec, "maxReplicas", 0);
        KC_CLEANUP(kc_freep) char *detail = kc_asprintf("must be greater than or equal to %lld", (long long)least);
        bool external = false;
        if (has_min && min < least)
                kc_v_invalid_int(v, V_CHILD(&spec_path, "minReplicas"), min, detail);
        if (max < 1)
                kc_v_invalid_int(v, V_CHILD(&spec_path, "maxReplicas"), max, "must be greater than 0");
        if (has_min && max < min)
                kc_v_invalid_int(
                    v, V_CHILD(&spec_path, "maxReplicas"), max, "must be greater than or equal to `minReplicas`");
        object_reference(v, V_CHILD(&spec_path, "scaleTargetRef"), kc_json_get(spec, "scaleTargetRef"));
        for (size_t i = 0; i < kc_json_len(metrics); i++) {
                const char *type = kc_v_str(kc_json_idx(metrics, i), "type");
                metric(v, V_INDEX(V_CHILD(&spec_path, "metrics"), i), kc_json_idx(metrics, i));
                external = external || kc_streq(type, "Object") || kc_streq(type, "External");
        }
        if (has_min && min == 0 && !external)
                kc_v_forbidden(v, V_CHILD(&spec_path, "metrics"),
                    "must specify at least one Object or External metric to support scaling to zero replicas");
        scaling_rules(v, V_CHILD2(&spec_path, "behavior", "scaleUp"), kc_json_get(behavior, "scaleUp"));
        scaling_rules(v, V_CHILD2(&spec_path, "behavior", "scaleDown"), kc_json_get(behavior, "scaleDown"));
}

void kc_v_create_horizontal_pod_autoscaler(struct kc_v *v, const struct json_object *o)
{
        kc_v_meta(v, o, true, kc_name_dns1123_subdomain);
        autoscaler_spec(v, kc_json_get(o, "spec"), 1);
}

void kc_v_update_horizontal_pod_autoscaler(
    struct kc_v *v, const struct json_object *o, const struct json_object *old, const char *subresource)
{
        kc_v_meta_update(v, o, old);
        if (kc_streq(subresource, "status")) {
                kc_v_nonnegative(v, &status_path, kc_json_get(o, "status"), "currentReplicas");
                kc_v_nonnegative(v, &status_path, kc_json_get(o, "status"), "desiredReplicas");
                return;
        }
        autoscaler_spec(v, kc_json_get(o, "spec"), kc_json_int_at(old, "spec.minReplicas", 1) == 0 ? 0 : 1);
}

/* --- PodDisruptionBudgets */

static void budget_spec(struct kc_v *v, const struct json_object *spec)
{
        static const char *const counts[] = {"minAvailable", "maxUnavailable"};
        static const char *const policies[] = {"AlwaysAllow", "IfHealthyBudget", NULL};
        const char *policy = kc_json_str(spec, "unhealthyPodEvictionPolicy");
        if (kc_json_get(spec, counts[0]) && kc_json_get(spec, counts[1]))
                kc_v_invalid(v, &spec_path, spec, "minAvailable and maxUnavailable cannot be both set");
        for (size_t i = 0; i < KC_ARRAY_LEN(counts); i++) {
                kc_v_int_or_percent(v, V_CHILD(&spec_path, counts[i]), kc_json_get(spec, counts[i]));
                kc_v_at_most_100_percent(v, V_CHILD(&spec_path, counts[i]), kc_json_get(spec, counts[i]));
        }
        kc_v_label_selector(v, V_CHILD(&spec_path, "selector"), kc_json_get(spec, "selector"));
        if (policy && !kc_v_in(policy, policies))
                kc_v_not_supported(v, V_CHILD(&spec_path, "unhealthyPodEvictionPolicy"), policy, policies);
}

void kc_v_create_pod_disruption_budget(struct kc_v *v, const struct json_object *o)
{
        budget_spec(v, kc_json_get(o, "spec"));
        if (v->errors->n == 0)
                kc_v_meta(v, o, true, kc_name_path_segment);
}

void kc_v_update_pod_disruption_budget(
    struct kc_v *v, const struct json_object *o, const struct json_object *old, const char *subresource)
{
        static const char *const counts[] = {"disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"};
        const struct json_object *status = kc_json_get(o, "status");
        kc_v_meta_update(v, o, old);
        if (!kc_streq(subresource, "status")) {
                budget_spec(v, kc_json_get(o, "spec"));
                return;
        }
        kc_v_conditions(v, V_CHILD(&status_path, "conditions"), kc_json_get(status, "conditions"));
        for (size_t i = 0; i < KC_ARRAY_LEN(counts); i++)
                kc_v_nonnegative(v, &status_path, status, counts[i]);
}
