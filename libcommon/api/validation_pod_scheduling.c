/* What a pod spec says about where it may run: affinity, tolerations, spreading. Any thread. */
#include <string.h>

#include "api/validation_volumes.h"
#include "base/mem.h"
#include "base/str.h"

/* strict: values of labels are checked too. */
static void node_requirement(struct kc_v *v, const struct kc_vpath *p, const struct json_object *r, bool strict)
{
        const char *op = kc_v_str(r, "operator");
        const struct json_object *values = kc_json_get(r, "values");
        size_t n = kc_json_len(values);
        if (kc_streq(op, "In") || kc_streq(op, "NotIn")) {
                if (n == 0)
                        kc_v_required(v, V_CHILD(p, "values"), "must be specified when `operator` is 'In' or 'NotIn'");
        } else if (kc_streq(op, "Exists") || kc_streq(op, "DoesNotExist")) {
                if (n > 0)
                        kc_v_forbidden(v, V_CHILD(p, "values"),
                            "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
        } else if (kc_streq(op, "Gt") || kc_streq(op, "Lt")) {
                if (n != 1)
                        kc_v_required(
                            v, V_CHILD(p, "values"), "must be specified single value when `operator` is 'Lt' or 'Gt'");
        } else {
                kc_v_invalid_str(v, V_CHILD(p, "operator"), op, "not a valid selector operator");
        }
        kc_v_name(v, V_CHILD(p, "key"), kc_v_str(r, "key"), kc_name_label_key);
        for (size_t i = 0; strict && i < n; i++) {
                const char *s = kc_json_as_str(kc_json_idx(values, i));
                kc_v_name(v, V_INDEX(V_CHILD(p, "values"), i), s ? s : "", kc_name_label_value);
        }
}

static void node_field_requirement(struct kc_v *v, const struct kc_vpath *p, const struct json_object *r)
{
        const char *op = kc_v_str(r, "operator"), *key = kc_v_str(r, "key");
        const struct json_object *values = kc_json_get(r, "values");
        if (!kc_streq(op, "In") && !kc_streq(op, "NotIn"))
                kc_v_invalid_str(v, V_CHILD(p, "operator"), op, "not a valid selector operator");
        else if (kc_json_len(values) != 1)
                kc_v_required(v, V_CHILD(p, "values"),
                    "must be only one value when `operator` is 'In' or 'NotIn' for node field selector");
        if (!kc_streq(key, "metadata.name")) {
                kc_v_invalid_str(v, V_CHILD(p, "key"), key, "not a valid field selector key");
                return;
        }
        for (size_t i = 0; i < kc_json_len(values); i++) {
                const char *s = kc_json_as_str(kc_json_idx(values, i));
                kc_v_name(v, V_INDEX(V_CHILD(p, "values"), i), s ? s : "", kc_name_dns1123_subdomain);
        }
}

static void node_term(struct kc_v *v, const struct kc_vpath *p, const struct json_object *term, bool strict)
{
        const struct json_object *exprs = kc_json_get(term, "matchExpressions"),
                                 *fields = kc_json_get(term, "matchFields");
        for (size_t i = 0; i < kc_json_len(exprs); i++)
                node_requirement(v, V_INDEX(V_CHILD(p, "matchExpressions"), i), kc_json_idx(exprs, i), strict);
        for (size_t i = 0; i < kc_json_len(fields); i++)
                node_field_requirement(v, V_INDEX(V_CHILD(p, "matchFields"), i), kc_json_idx(fields, i));
}

static void weight(struct kc_v *v, const struct kc_vpath *p, const struct json_object *o)
{
        int64_t n = kc_json_int(o, "weight", 0);
        if (n <= 0 || n > 100)
                kc_v_invalid_int(v, V_CHILD(p, "weight"), n, "must be in the range 1-100");
}

#define REQUIRED "requiredDuringSchedulingIgnoredDuringExecution"
#define PREFERRED "preferredDuringSchedulingIgnoredDuringExecution"

void kc_v_node_selector(struct kc_v *v, const struct kc_vpath *p, const struct json_object *selector)
{
        const struct json_object *terms = kc_json_get(selector, "nodeSelectorTerms");
        const struct kc_vpath *terms_path = V_CHILD(p, "nodeSelectorTerms");
        if (kc_json_len(terms) == 0)
                kc_v_required(v, terms_path, "must have at least one node selector term");
        for (size_t i = 0; i < kc_json_len(terms); i++)
                node_term(v, V_INDEX(terms_path, i), kc_json_idx(terms, i), true);
}

static void node_affinity(struct kc_v *v, const struct kc_vpath *p, const struct json_object *a)
{
        const struct json_object *required = kc_json_get(a, REQUIRED), *preferred = kc_json_get(a, PREFERRED);
        if (required)
                kc_v_node_selector(v, V_CHILD(p, REQUIRED), required);
        for (size_t i = 0; i < kc_json_len(preferred); i++) {
                const struct kc_vpath *at = V_INDEX(V_CHILD(p, PREFERRED), i);
                weight(v, at, kc_json_idx(preferred, i));
                node_term(v, V_CHILD(at, "preference"), kc_json_get(kc_json_idx(preferred, i), "preference"), false);
        }
}

static bool selector_has_key(const struct json_object *selector, const char *key)
{
        const struct json_object *exprs = kc_json_get(selector, "matchExpressions");
        return kc_json_get(kc_json_get(selector, "matchLabels"), key) || kc_json_find(exprs, "key", key);
}

static void label_keys(
    struct kc_v *v, const struct kc_vpath *p, const struct json_object *keys, const struct json_object *selector)
{
        if (kc_json_len(keys) > 0 && !selector) {
                kc_v_forbidden(v, p, "must not be specified when labelSelector is not set");
                return;
        }
        for (size_t i = 0; i < kc_json_len(keys); i++) {
                const char *key = kc_json_as_str(kc_json_idx(keys, i));
                kc_v_name(v, V_INDEX(p, i), key ? key : "", kc_name_label_key);
        }
}

/* A key that matchLabelKeys adds to the selector may not be there twice. */
static void repeated_label_keys(
    struct kc_v *v, const struct kc_vpath *p, const struct json_object *keys, const struct json_object *selector)
{
        const struct json_object *exprs = kc_json_get(selector, "matchExpressions");
        KC_CLEANUP(kc_map_freep) struct kc_map *in_selector = kc_map_new(NULL), *in_keys = kc_v_index(keys, NULL);
        KC_JSON_FOREACH(kc_json_get(selector, "matchLabels"), key, value)
        (void)kc_v_first(in_selector, key); /* it is */
        for (size_t i = 0; i < kc_json_len(exprs); i++) {
                const char *key = kc_v_str(kc_json_idx(exprs, i), "key");
                if (kc_v_first(in_selector, key) || !kc_map_has(in_keys, key))
                        continue;
                size_t at = 0;
                while (!kc_streq(kc_json_as_str(kc_json_idx(keys, at)), key))
                        at++;
                kc_v_invalid_str(v, V_INDEX(p, at), key, "exists in both matchLabelKeys and labelSelector");
        }
}

static void pod_affinity_term(struct kc_v *v, const struct kc_vpath *p, const struct json_object *term)
{
        const struct json_object *selector = kc_json_get(term, "labelSelector");
        const struct json_object *match = kc_json_get(term, "matchLabelKeys");
        const struct json_object *mismatch = kc_json_get(term, "mismatchLabelKeys");
        const struct json_object *namespaces = kc_json_get(term, "namespaces");
        const char *key = kc_v_str(term, "topologyKey");
        KC_CLEANUP(kc_map_freep) struct kc_map *in_mismatch = kc_v_index(mismatch, NULL);
        kc_v_label_selector(v, V_CHILD(p, "labelSelector"), selector);
        kc_v_label_selector(v, V_CHILD(p, "namespaceSelector"), kc_json_get(term, "namespaceSelector"));
        for (size_t i = 0; i < kc_json_len(namespaces); i++) {
                const char *ns = kc_json_as_str(kc_json_idx(namespaces, i));
                kc_v_name(v, V_CHILD(p, "namespace"), ns ? ns : "", kc_name_dns1123_label);
        }
        label_keys(v, V_CHILD(p, "matchLabelKeys"), match, selector);
        label_keys(v, V_CHILD(p, "mismatchLabelKeys"), mismatch, selector);
        repeated_label_keys(v, p, match, selector);
        for (size_t i = 0; i < kc_json_len(match); i++) {
                const char *s = kc_json_as_str(kc_json_idx(match, i));
                if (s && kc_map_has(in_mismatch, s))
                        kc_v_invalid_str(v, V_INDEX(V_CHILD(p, "matchLabelKeys"), i), s,
                            "exists in both matchLabelKeys and mismatchLabelKeys");
        }
        if (!*key)
                kc_v_required(v, V_CHILD(p, "topologyKey"), "can not be empty");
        kc_v_name(v, V_CHILD(p, "topologyKey"), key, kc_name_label_key);
}

static void pod_affinity(struct kc_v *v, const struct kc_vpath *p, const struct json_object *a)
{
        const struct json_object *required = kc_json_get(a, REQUIRED), *preferred = kc_json_get(a, PREFERRED);
        for (size_t i = 0; i < kc_json_len(required); i++)
                pod_affinity_term(v, V_INDEX(V_CHILD(p, REQUIRED), i), kc_json_idx(required, i));
        for (size_t i = 0; i < kc_json_len(preferred); i++) {
                const struct kc_vpath *at = V_INDEX(V_CHILD(p, PREFERRED), i);
                weight(v, at, kc_json_idx(preferred, i));
                pod_affinity_term(
                    v, V_CHILD(at, "podAffinityTerm"), kc_json_get(kc_json_idx(preferred, i), "podAffinityTerm"));
        }
}

void kc_v_affinity(struct kc_v *v, const struct kc_vpath *p, const struct json_object *affinity)
{
        node_affinity(v, V_CHILD(p, "nodeAffinity"), kc_json_get(affinity, "nodeAffinity"));
        pod_affinity(v, V_CHILD(p, "podAffinity"), kc_json_get(affinity, "podAffinity"));
        pod_affinity(v, V_CHILD(p, "podAntiAffinity"), kc_json_get(affinity, "podAntiAffinity"));
}

void kc_v_taint_effect(struct kc_v *v, const struct kc_vpath *p, const char *effect, bool allow_empty)
{
        static const char *const effects[] = {"NoSchedule", "PreferNoSchedule", "NoExecute", NULL};
        if (!*effect && !allow_empty)
                kc_v_required(v, p, "");
        else if (!kc_v_in(effect, effects))
                kc_v_not_supported(v, p, effect, effects);
}

static void toleration_value(struct kc_v *v, const struct kc_vpath *p, const struct json_object *t)
{
        static const char *const operators[] = {"Equal", "Exists", NULL};
        const char *op = kc_v_str(t, "operator"), *value = kc_v_str(t, "value");
        if (!*op || kc_streq(op, "Equal")) {
                struct kc_why why = {0};
                kc_name_label_value(value, &why);
                KC_CLEANUP(kc_freep) char *detail = kc_why_join(&why, ";");
                if (why.n)
                        kc_v_invalid_str(v, V_CHILD(p, "operator"), value, detail);
        } else if (kc_streq(op, "Exists")) {
                if (*value)
                        kc_v_invalid_str(
                            v, V_CHILD(p, "operator"), value, "value must be empty when `operator` is 'Exists'");
        } else {
                kc_v_not_supported(v, V_CHILD(p, "operator"), op, operators);
        }
}

void kc_v_tolerations(struct kc_v *v, const struct kc_vpath *p, const struct json_object *tolerations)
{
        for (size_t i = 0; i < kc_json_len(tolerations); i++) {
                const struct json_object *t = kc_json_idx(tolerations, i);
                const struct kc_vpath *at = V_INDEX(p, i);
                const char *key = kc_v_str(t, "key"), *op = kc_v_str(t, "operator"), *effect = kc_v_str(t, "effect");
                if (*key)
                        kc_v_name(v, V_CHILD(at, "key"), key, kc_name_label_key);
                else if (!kc_streq(op, "Exists"))
                        kc_v_invalid_str(v, V_CHILD(at, "operator"), op,
                            "operator must be Exists when `key` is empty, which means \"match all values and all "
                            "keys\"");
                if (kc_json_get(t, "tolerationSeconds") && !kc_streq(effect, "NoExecute"))
                        kc_v_invalid_str(v, V_CHILD(at, "effect"), effect,
                            "effect must be 'NoExecute' when `tolerationSeconds` is set");
                toleration_value(v, at, t);
                if (*effect)
                        kc_v_taint_effect(v, V_CHILD(at, "effect"), effect, true);
        }
}

static void min_domains(struct kc_v *v, const struct kc_vpath *p, const struct json_object *c)
{
        const char *action = kc_v_str(c, "whenUnsatisfiable");
        int64_t n = kc_json_int(c, "minDomains", 0);
        if (!kc_json_get(c, "minDomains"))
                return;
        if (n <= 0)
                kc_v_invalid_int(v, p, n, "must be greater than zero");
        if (kc_streq(action, "DoNotSchedule"))
                return;
        KC_CLEANUP(kc_freep)
        char *detail = kc_asprintf("can only use minDomains if whenUnsatisfiable=DoNotSchedule, not %s", action);
        kc_v_invalid_int(v, p, n, detail);
}

static void spread_label_keys(
    struct kc_v *v, const struct kc_vpath *p, const struct json_object *keys, const struct json_object *selector)
{
        if (kc_json_len(keys) > 0 && !selector)
                kc_v_forbidden(v, p, "must not be specified when labelSelector is not set");
        for (size_t i = 0; i < kc_json_len(keys); i++) {
                const char *key = kc_json_as_str(kc_json_idx(keys, i));
                if (!key)
                        continue;
                kc_v_name(v, V_INDEX(p, i), key, kc_name_label_key);
                if (selector_has_key(selector, key))
                        kc_v_invalid_str(v, V_INDEX(p, i), key, "exists in both matchLabelKeys and labelSelector");
        }
}

static char *spread_pair(const struct json_object *constraint)
{
        return kc_asprintf("{%s, %s}", kc_v_str(constraint, "topologyKey"), kc_v_str(constraint, "whenUnsatisfiable"));
}

/* The last constraint of each pair of topology key and action: the others are repeated by a later one. */
static struct kc_map *last_of_pairs(const struct json_object *constraints)
{
        struct kc_map *last = kc_map_new(NULL);
        for (size_t i = 0; i < kc_json_len(constraints); i++) {
                KC_CLEANUP(kc_freep) char *pair = spread_pair(kc_json_idx(constraints, i));
                (void)kc_map_set(last, pair, (void *)kc_json_idx(constraints, i)); /* new or not */
        }
        return last;
}

void kc_v_topology_spread(struct kc_v *v, const struct kc_vpath *p, const struct json_object *constraints)
{
        static const char *const actions[] = {"DoNotSchedule", "ScheduleAnyway", NULL};
        static const char *const node_policies[] = {"Honor", "Ignore", NULL};
        static const char *const policy_keys[] = {"nodeAffinityPolicy", "nodeTaintsPolicy"};
        KC_CLEANUP(kc_map_freep) struct kc_map *last = last_of_pairs(constraints);
        for (size_t i = 0; i < kc_json_len(constraints); i++) {
                const struct json_object *c = kc_json_idx(constraints, i);
                const struct kc_vpath *at = V_INDEX(p, i);
                int64_t skew = kc_json_int(c, "maxSkew", 0);
                if (skew <= 0)
                        kc_v_invalid_int(v, V_CHILD(at, "maxSkew"), skew, "must be greater than zero");
                if (!*kc_v_str(c, "topologyKey"))
                        kc_v_required(v, V_CHILD(at, "topologyKey"), "can not be empty");
                if (!kc_v_in(kc_v_str(c, "whenUnsatisfiable"), actions))
                        kc_v_not_supported(
                            v, V_CHILD(at, "whenUnsatisfiable"), kc_v_str(c, "whenUnsatisfiable"), actions);
                KC_CLEANUP(kc_freep) char *pair = spread_pair(c);
                if (kc_map_get(last, pair) != c)
                        kc_v_duplicate(v, V_CHILD(at, "{topologyKey, whenUnsatisfiable}"), pair);
                min_domains(v, V_CHILD(at, "minDomains"), c);
                for (size_t j = 0; j < KC_ARRAY_LEN(policy_keys); j++) {
                        const char *policy = kc_json_str(c, policy_keys[j]);
                        if (policy && !kc_v_in(policy, node_policies))
                                kc_v_not_supported(v, V_CHILD(at, policy_keys[j]), policy, node_policies);
                }
                const struct json_object *selector = kc_json_get(c, "labelSelector");
                spread_label_keys(v, V_CHILD(at, "matchLabelKeys"), kc_json_get(c, "matchLabelKeys"), selector);
                kc_v_label_selector(v, V_CHILD(at, "labelSelector"), selector);
        }
}
