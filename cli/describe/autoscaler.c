/* HorizontalPodAutoscaler. */
#include <string.h>

#include "cli/describe/internal.h"

/* The field of a metric or of its status that its type names: {"type":"Pods","pods":{...}}. */
static const char *field_of(const char *type)
{
        static const char *const fields[][2] = {{"Resource", "resource"}, {"ContainerResource", "containerResource"},
            {"Pods", "pods"}, {"Object", "object"}, {"External", "external"}};
        for (size_t i = 0; i < KC_ARRAY_LEN(fields); i++)
                if (kc_streq(type, fields[i][0]))
                        return fields[i][1];
        return NULL;
}

static char *quantity_or_unknown(const struct json_object *current, const char *field)
{
        return kc_json_get(current, field) ? kc_quantity_words(current, field) : kc_strdup("<unknown>");
}

static void describe_resource(
    struct kc_describing *d, const struct json_object *source, const struct json_object *current)
{
        const struct json_object *target = kc_json_get(source, "target");
        KC_CLEANUP(kc_freep) char *average = quantity_or_unknown(current, "averageValue");
        if (kc_json_get(target, "averageValue")) {
                KC_CLEANUP(kc_freep) char *wanted = kc_quantity_words(target, "averageValue");
                kc_line(d, 0, ":\t%s / %s\n", average, wanted);
                return;
        }
        kc_line(d, 0, "  (as a percentage of request):\t");
        if (kc_json_get(current, "averageUtilization"))
                kc_line(d, 0, "%lld%% (%s) / ", (long long)kc_json_int(current, "averageUtilization", 0), average);
        else
                kc_line(d, 0, "<unknown> / ");
        if (kc_json_get(target, "averageUtilization"))
                kc_line(d, 0, "%lld%%\n", (long long)kc_json_int(target, "averageUtilization", 0));
        else
                kc_line(d, 0, "<auto>\n");
}

static void describe_metric(struct kc_describing *d, const struct json_object *metric, const struct json_object *status)
{
        const char *type = kc_text(metric, "type"), *field = field_of(type);
        if (!field) {
                kc_line(d, 1, "<unknown metric type \"%s\">\n", type);
                return;
        }
        const struct json_object *source = kc_json_get(metric, field), *target = kc_json_get(source, "target");
        const struct json_object *current =
            kc_streq(kc_text(status, "type"), type) ? kc_json_get(kc_json_get(status, field), "current") : NULL;
        if (kc_streq(type, "Resource")) {
                kc_line(d, 1, "resource %s on pods", kc_text(source, "name"));
                describe_resource(d, source, current);
                return;
        }
        if (kc_streq(type, "ContainerResource")) {
                kc_line(d, 1, "resource %s of container \"%s\" on pods", kc_text(source, "name"),
                    kc_text(source, "container"));
                describe_resource(d, source, current);
                return;
        }
        bool average = kc_json_get(target, "averageValue") != NULL;
        KC_CLEANUP(kc_freep) char *wanted = kc_quantity_words(target, average ? "averageValue" : "value");
        KC_CLEANUP(kc_freep) char *is = quantity_or_unknown(current, average ? "averageValue" : "value");
        kc_line(d, 1, "\"%s\"", kc_text(source, "metric.name"));
        if (kc_streq(type, "Pods"))
                kc_line(d, 0, " on pods:");
        else if (kc_streq(type, "Object"))
                kc_line(d, 0, " on %s/%s", kc_text(source, "describedObject.kind"),
                    kc_text(source, "describedObject.name"));
        if (!kc_streq(type, "Pods"))
                kc_line(d, 0, " (target %s):", average ? "average value" : "value");
        kc_line(d, 0, "\t%s / %s\n", is, wanted);
}

static void describe_direction(struct kc_describing *d, const char *title, const struct json_object *rules)
{
        const struct json_object *policies = kc_json_get(rules, "policies");
        const char *select = kc_text(rules, "selectPolicy");
        if (!rules)
                return;
        kc_line(d, 1, "%s:\n", title);
        if (kc_json_get(rules, "stabilizationWindowSeconds"))
                kc_line(d, 2, "Stabilization Window: %lld seconds\n",
                    (long long)kc_json_int(rules, "stabilizationWindowSeconds", 0));
        if (kc_json_len(policies) == 0)
                return;
        kc_line(d, 2, "Select Policy: %s\n", select[0] ? select : "Max");
        kc_line(d, 2, "Policies:\n");
        for (size_t i = 0; i < kc_json_len(policies); i++) {
                const struct json_object *p = kc_json_idx(policies, i);
                kc_line(d, 3, "- Type: %s\tValue: %lld\tPeriod: %lld seconds\n", kc_text(p, "type"),
                    (long long)kc_json_int(p, "value", 0), (long long)kc_json_int(p, "periodSeconds", 0));
        }
}

static void describe_conditions(struct kc_describing *d)
{
        const struct json_object *conditions = kc_json_at(d->obj, "status.conditions");
        if (kc_json_len(conditions) == 0)
                return;
        kc_line(d, 0, "Conditions:\n");
        kc_line(d, 1, "Type\tStatus\tReason\tMessage\n");
        kc_line(d, 1, "----\t------\t------\t-------\n");
        for (size_t i = 0; i < kc_json_len(conditions); i++) {
                const struct json_object *c = kc_json_idx(conditions, i);
                kc_line(d, 1, "%s\t%s\t%s\t%s\n", kc_text(c, "type"), kc_text(c, "status"), kc_text(c, "reason"),
                    kc_text(c, "message"));
        }
}

int kc_describe_autoscaler(struct kc_describing *d, struct kc_error *err)
{
        (void)err;
        const struct json_object *spec = kc_json_get(d->obj, "spec"), *status = kc_json_get(d->obj, "status"),
                                 *metrics = kc_json_get(spec, "metrics"), *behavior = kc_json_get(spec, "behavior");
        const char *kind = kc_text(spec, "scaleTargetRef.kind");
        KC_CLEANUP(kc_freep) char *created = kc_time_words(kc_json_str_at(d->obj, "metadata.creationTimestamp"));
        KC_CLEANUP(kc_freep) char *min = kc_scalar(kc_json_get(spec, "minReplicas"));
        kc_describe_name(d);
        kc_describe_namespace(d);
        kc_describe_meta(d);
        kc_line(d, 0, "CreationTimestamp:\t%s\n", created);
        kc_line(d, 0, "Reference:\t%s/%s\n", kind, kc_text(spec, "scaleTargetRef.name"));
        kc_line(d, 0, "Metrics:\t( current / target )\n");
        for (size_t i = 0; i < kc_json_len(metrics); i++)
                describe_metric(d, kc_json_idx(metrics, i), kc_json_idx(kc_json_get(status, "currentMetrics"), i));
        kc_line(d, 0, "Min replicas:\t%s\n", min[0] ? min : "<unset>");
        kc_line(d, 0, "Max replicas:\t%lld\n", (long long)kc_json_int(spec, "maxReplicas", 0));
        if (behavior) {
                kc_line(d, 0, "Behavior:\n");
                describe_direction(d, "Scale Up", kc_json_get(behavior, "scaleUp"));
                describe_direction(d, "Scale Down", kc_json_get(behavior, "scaleDown"));
        }
        kc_line(d, 0, "%s pods:\t%lld current / %lld desired\n", kind,
            (long long)kc_json_int(status, "currentReplicas", 0), (long long)kc_json_int(status, "desiredReplicas", 0));
        describe_conditions(d);
        kc_describe_events(d);
        return 0;
}
