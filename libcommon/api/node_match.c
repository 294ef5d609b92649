/* Node matching as k8s.io/component-helpers/scheduling/corev1 does it. */
#include "api/node_match.h"

#include <string.h>

#include "api/object.h"
#include "base/str.h"

bool kc_toleration_tolerates(const struct json_object *toleration, const struct json_object *taint)
{
        const char *effect = kc_json_str(toleration, "effect"), *key = kc_json_str(toleration, "key");
        const char *op = kc_json_str(toleration, "operator");
        const char *value = kc_json_str(toleration, "value"), *taint_value = kc_json_str(taint, "value");

        if (!kc_str_empty(effect) && !kc_streq(effect, kc_json_str(taint, "effect")))
                return false;
        if (!kc_str_empty(key) && !kc_streq(key, kc_json_str(taint, "key")))
                return false;
        if (kc_streq(op, "Exists"))
                return true;
        /* An empty key with Equal tolerates nothing that has a key: upstream compares values only. */
        return (kc_str_empty(op) || strcmp(op, "Equal") == 0) &&
               strcmp(value ? value : "", taint_value ? taint_value : "") == 0;
}

bool kc_tolerations_tolerate(const struct json_object *tolerations, const struct json_object *taint)
{
        for (size_t i = 0; i < kc_json_len(tolerations); i++)
                if (kc_toleration_tolerates(kc_json_idx(tolerations, i), taint))
                        return true;
        return false;
}

const struct json_object *kc_untolerated_taint(
    const struct json_object *taints, const struct json_object *tolerations, const char *const *effects)
{
        for (size_t i = 0; i < kc_json_len(taints); i++) {
                const struct json_object *taint = kc_json_idx(taints, i);
                const char *effect = kc_json_str(taint, "effect");
                bool counts = !effects;
                for (size_t e = 0; effects && effects[e] && !counts; e++)
                        counts = kc_streq(effects[e], effect);
                if (counts && !kc_tolerations_tolerate(tolerations, taint))
                        return taint;
        }
        return NULL;
}

static bool value_in(const struct json_object *values, const char *v)
{
        for (size_t i = 0; i < kc_json_len(values); i++)
                if (kc_streq(kc_json_as_str(kc_json_idx(values, i)), v))
                        return true;
        return false;
}

/* v is NULL when the label or field is absent. */
static bool requirement_matches(const struct json_object *req, const char *v)
{
        const char *op = kc_json_str(req, "operator");
        const struct json_object *values = kc_json_get(req, "values");
        int64_t have, want;

        if (kc_streq(op, "In"))
                return v && value_in(values, v);
        if (kc_streq(op, "NotIn"))
                return !v || !value_in(values, v);
        if (kc_streq(op, "Exists"))
                return v != NULL;
        if (kc_streq(op, "DoesNotExist"))
                return v == NULL;
        if (!v || kc_json_len(values) != 1 || kc_str_to_i64(v, &have) < 0 ||
            kc_str_to_i64(kc_json_as_str(kc_json_idx(values, 0)), &want) < 0)
                return false;
        return kc_streq(op, "Gt") ? have > want : kc_streq(op, "Lt") && have < want;
}

bool kc_node_selector_term_matches(const struct json_object *term, const struct json_object *node)
{
        const struct json_object *exprs = kc_json_get(term, "matchExpressions"),
                                 *fields = kc_json_get(term, "matchFields");

        if (kc_json_len(exprs) == 0 && kc_json_len(fields) == 0)
                return false;
        for (size_t i = 0; i < kc_json_len(exprs); i++) {
                const struct json_object *req = kc_json_idx(exprs, i);
                if (!requirement_matches(req, kc_json_str(kc_meta_labels(node), kc_json_str(req, "key"))))
                        return false;
        }
        for (size_t i = 0; i < kc_json_len(fields); i++) {
                const struct json_object *req = kc_json_idx(fields, i);
                if (!kc_streq(kc_json_str(req, "key"), "metadata.name") ||
                    !requirement_matches(req, kc_meta_name(node)))
                        return false;
        }
        return true;
}

bool kc_node_matches_pod(const struct json_object *pod_spec, const struct json_object *node)
{
        const struct json_object *required =
            kc_json_at(pod_spec, "affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution");
        const struct json_object *terms = kc_json_get(required, "nodeSelectorTerms");
        bool any = required == NULL;

        KC_JSON_FOREACH(kc_json_get(pod_spec, "nodeSelector"), key, value)
        {
                const char *label = kc_json_str(kc_meta_labels(node), key);
                if (!label || !kc_streq(label, kc_json_as_str(value)))
                        return false;
        }
        for (size_t i = 0; i < kc_json_len(terms) && !any; i++)
                any = kc_node_selector_term_matches(kc_json_idx(terms, i), node);
        return any;
}
