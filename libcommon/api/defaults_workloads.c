/* Defaults of workloads other than pods: stateful sets, jobs, autoscalers. Pure functions on the caller's tree: any
 * thread. */
#include "api/defaults.h"
#include "api/defaults_internal.h"
#include "base/str.h"

void kc_default_pod_template(struct json_object *o)
{
        kc_default_pod_spec(kc_json_at_mut(o, "template.spec"));
}

void kc_default_stateful_set(struct json_object *o)
{
        struct json_object *spec = kc_json_ensure_obj(o, "spec");
        if (kc_streq(kc_json_str_at(spec, "updateStrategy.type"), "RollingUpdate")) {
                struct json_object *rolling = kc_json_ensure_obj(spec, "updateStrategy.rollingUpdate");
                kc_default_missing(rolling, "partition", json_object_new_int64(0));
                kc_default_missing(rolling, "maxUnavailable", json_object_new_int64(1));
        }
        struct json_object *claims = kc_json_get_mut(spec, "volumeClaimTemplates");
        for (size_t i = 0; i < kc_json_len(claims); i++)
                kc_default_persistent_volume_claim(kc_json_idx_mut(claims, i));
        kc_default_pod_spec(kc_json_at_mut(spec, "template.spec"));
}

/* --- Jobs */

static void default_failure_policy(struct json_object *policy)
{
        struct json_object *rules = kc_json_get_mut(policy, "rules");
        for (size_t i = 0; i < kc_json_len(rules); i++) {
                struct json_object *patterns = kc_json_get_mut(kc_json_idx_mut(rules, i), "onPodConditions");
                for (size_t k = 0; k < kc_json_len(patterns); k++)
                        kc_default_str(kc_json_idx_mut(patterns, k), "status", "True");
        }
}

void kc_default_job(struct json_object *o)
{
        enum { BACKOFF_LIMIT = 6 };
        struct json_object *spec = kc_json_ensure_obj(o, "spec");
        if (!kc_json_get(spec, "parallelism")) {
                kc_default_missing(spec, "completions", json_object_new_int64(1));
                kc_json_set_int(spec, "parallelism", 1);
        }
        bool per_index = kc_json_get(spec, "backoffLimitPerIndex");
        kc_default_missing(spec, "backoffLimit", json_object_new_int64(per_index ? INT32_MAX : BACKOFF_LIMIT));
        const struct json_object *labels = kc_json_at(spec, "template.metadata.labels");
        if (kc_json_n_keys(labels) > 0 && kc_json_n_keys(kc_json_at(o, "metadata.labels")) == 0)
                kc_json_set(kc_json_ensure_obj(o, "metadata"), "labels", kc_json_copy(labels));
        kc_default_missing(spec, "completionMode", json_object_new_string("NonIndexed"));
        kc_default_missing(spec, "suspend", json_object_new_boolean(false));
        struct json_object *policy = kc_json_get_mut(spec, "podFailurePolicy");
        default_failure_policy(policy);
        kc_default_missing(
            spec, "podReplacementPolicy", json_object_new_string(policy ? "Failed" : "TerminatingOrFailed"));
        kc_default_pod_spec(kc_json_at_mut(spec, "template.spec"));
}

void kc_default_cron_job(struct json_object *o)
{
        kc_default_pod_spec(kc_json_at_mut(o, "spec.jobTemplate.spec.template.spec"));
}

/* --- HorizontalPodAutoscalers; version 1 has neither metrics nor behavior */

static void default_scaling_rules(struct json_object *behavior, const char *key, struct json_object *take_policies)
{
        struct json_object *rules = kc_json_ensure_obj(behavior, key);
        kc_default_missing(rules, "selectPolicy", json_object_new_string("Max"));
        kc_default_missing(rules, "policies", take_policies);
}

void kc_default_autoscaler(struct json_object *o)
{
        struct json_object *spec = kc_json_ensure_obj(o, "spec");
        if (!kc_streq(kc_json_str(o, "apiVersion"), "autoscaling/v2"))
                return;
        if (kc_json_len(kc_json_get(spec, "metrics")) == 0)
                kc_json_set(spec, "metrics",
                    kc_json_build("[{'type':'Resource','resource':{'name':'cpu','target':{'type':'Utilization',"
                                  "'averageUtilization':80}}}]"));
        struct json_object *behavior = kc_json_get_mut(spec, "behavior");
        if (!behavior)
                return;
        kc_default_missing(
            kc_json_ensure_obj(behavior, "scaleUp"), "stabilizationWindowSeconds", json_object_new_int64(0));
        default_scaling_rules(behavior, "scaleUp",
            kc_json_build("[{'type':'Pods','value':4,'periodSeconds':15},"
                          "{'type':'Percent','value':100,'periodSeconds':15}]"));
        default_scaling_rules(
            behavior, "scaleDown", kc_json_build("[{'type':'Percent','value':100,'periodSeconds':15}]"));
}
