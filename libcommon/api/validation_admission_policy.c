/* Validating- and MutatingAdmissionPolicies and their bindings: all but the expressions. Any thread. */
#include <ctype.h>
#include <string.h>

#include "api/validation_admission.h"
#include "base/mem.h"
#include "base/str.h"

enum { MAX_ANNOTATIONS = 20, MAX_ANNOTATION_EXPRESSION = 5 << 10 };

static const struct kc_vpath spec_path = {.kind = KC_VPATH_CHILD, .key = "spec"};
static const struct kc_vpath status_path = {.kind = KC_VPATH_CHILD, .key = "status"};

/* --- What both kinds of policies have */

static void joined(struct kc_v *v, const struct kc_vpath *p, const char *shown, const char *value, kc_name_fn check,
    const char *before)
{
        struct kc_why why = {0};
        check(value, &why);
        KC_CLEANUP(kc_freep) char *all = kc_why_join(&why, ",");
        KC_CLEANUP(kc_freep) char *detail = kc_asprintf("%s%s", before, all);
        if (why.n)
                kc_v_invalid_str(v, p, shown, detail);
}

static void api_version(struct kc_v *v, const struct kc_vpath *p, const char *text)
{
        const char *slash = strchr(text, '/'), *version = slash ? slash + 1 : text;
        if (strchr(version, '/')) {
                KC_CLEANUP(kc_freep) char *detail = kc_asprintf("unexpected GroupVersion string: %s", text);
                kc_v_invalid_str(v, p, text, detail);
                return;
        }
        KC_CLEANUP(kc_freep) char *group = kc_strndup(text, slash ? (size_t)(slash - text) : 0);
        if (*group)
                joined(v, p, group, group, kc_name_dns1123_subdomain, "");
        if (*version)
                joined(v, p, version, version, kc_name_dns1035_label, "");
        else
                kc_v_invalid_str(v, p, text, "version must be specified");
}

static void param_kind(struct kc_v *v, const struct json_object *kind)
{
        const struct kc_vpath *p = V_CHILD(&spec_path, "paramKind");
        const char *version = kc_v_str(kind, "apiVersion"), *name = kc_v_str(kind, "kind");
        KC_CLEANUP(kc_freep) char *lower = kc_strdup(name);
        for (char *c = lower; *c; c++)
                *c = (char)tolower((unsigned char)*c);
        if (*version)
                api_version(v, V_CHILD(p, "apiVersion"), version);
        else
                kc_v_required(v, V_CHILD(p, "apiVersion"), "");
        if (*name)
                joined(v, V_CHILD(p, "kind"), name, lower, kc_name_dns1035_label,
                    "may have mixed case, but should otherwise match: ");
        else
                kc_v_required(v, V_CHILD(p, "kind"), "");
}

static void named_rules(struct kc_v *v, const struct kc_vpath *p, const struct json_object *rules)
{
        for (size_t i = 0; i < kc_json_len(rules); i++) {
                const struct json_object *names = kc_json_get(kc_json_idx(rules, i), "resourceNames");
                KC_CLEANUP(kc_map_freep) struct kc_map *seen = kc_map_new(NULL);
                for (size_t j = 0; j < kc_json_len(names); j++) {
                        const char *s = kc_json_as_str(kc_json_idx(names, j));
                        const struct kc_vpath *at = V_INDEX(V_CHILD(V_INDEX(p, i), "resourceNames"), j);
                        kc_v_name(v, at, s ? s : "", kc_name_path_segment);
                        if (!kc_v_first(seen, s ? s : ""))
                                kc_v_duplicate(v, at, s);
                }
                kc_v_rule_with_operations(v, V_INDEX(p, i), kc_json_idx(rules, i));
        }
}

static void required_selector(struct kc_v *v, const struct kc_vpath *p, const struct json_object *o, const char *key)
{
        if (kc_json_get(o, key))
                kc_v_label_selector(v, V_CHILD(p, key), kc_json_get(o, key));
        else
                kc_v_required(v, V_CHILD(p, key), "");
}

static void match_resources(struct kc_v *v, const struct kc_vpath *p, const struct json_object *match)
{
        const char *policy = kc_json_str(match, "matchPolicy");
        if (!match)
                return;
        if (!policy)
                kc_v_required(v, V_CHILD(p, "matchPolicy"), "");
        else if (!kc_v_in(policy, kc_v_match_policies))
                kc_v_not_supported(v, V_CHILD(p, "matchPolicy"), policy, kc_v_match_policies);
        required_selector(v, p, match, "namespaceSelector");
        required_selector(v, p, match, "objectSelector");
        named_rules(v, V_CHILD(p, "resourceRules"), kc_json_get(match, "resourceRules"));
        named_rules(v, V_CHILD(p, "excludeResourceRules"), kc_json_get(match, "excludeResourceRules"));
}

static bool is_identifier(const char *s)
{
        static const char *const reserved[] = {"true", "false", "null", "in", "as", "break", "const", "continue",
            "else", "for", "function", "if", "import", "let", "loop", "package", "namespace", "return", "var", "void",
            "while", NULL};
        struct kc_why why = {0};
        kc_name_c_identifier(s, &why);
        return why.n == 0 && !kc_v_in(s, reserved);
}

static void variables(struct kc_v *v, const struct json_object *list)
{
        for (size_t i = 0; i < kc_json_len(list); i++) {
                const struct json_object *o = kc_json_idx(list, i);
                const struct kc_vpath *p = V_INDEX(V_CHILD(&spec_path, "variables"), i);
                const char *name = kc_v_str(o, "name");
                if (kc_v_is_blank(name))
                        kc_v_required(v, V_CHILD(p, "name"), "name is not specified");
                else if (!is_identifier(name))
                        kc_v_invalid_str(v, V_CHILD(p, "name"), name, "must be a valid CEL identifier");
                if (kc_v_is_blank(kc_v_str(o, "expression")))
                        kc_v_required(v, V_CHILD(p, "expression"), "expression is not specified");
        }
}

/* Up to the variables. old_spec NULL: on creation. */
static void policy_head(
    struct kc_v *v, const struct json_object *spec, const struct json_object *old_spec, bool mutating)
{
        static const char *const operations[] = {"*", "CONNECT", "CREATE", "UPDATE", NULL};
        const char *failure = kc_json_str(spec, "failurePolicy");
        const struct json_object *kind = kc_json_get(spec, "paramKind"), *match = kc_json_get(spec, "matchConstraints");
        const struct json_object *rules = kc_json_get(match, "resourceRules");
        const struct kc_vpath *p = V_CHILD(&spec_path, "matchConstraints"), *at = V_CHILD(p, "resourceRules");
        if (!failure)
                kc_v_required(v, V_CHILD(&spec_path, "failurePolicy"), "");
        else if (!kc_v_in(failure, kc_v_failure_policies))
                kc_v_not_supported(v, V_CHILD(&spec_path, "failurePolicy"), failure, kc_v_failure_policies);
        if (kind)
                param_kind(v, kind);
        if (!match)
                kc_v_required(v, p, "");
        match_resources(v, p, match);
        if (match && kc_json_len(rules) == 0)
                kc_v_required(v, at, "");
        for (size_t i = 0; mutating && i < kc_json_len(rules); i++) {
                const struct json_object *list = kc_json_get(kc_json_idx(rules, i), "operations");
                for (size_t j = 0; j < kc_json_len(list); j++) {
                        const char *s = kc_json_as_str(kc_json_idx(list, j));
                        if (!s || !kc_v_in(s, operations))
                                kc_v_not_supported(v, V_CHILD(at, "operations"), s ? s : "", operations);
                }
        }
        if (!old_spec || !kc_v_equal(kind, kc_json_get(old_spec, "paramKind")) ||
            !kc_v_equal(kc_json_get(spec, "matchConditions"), kc_json_get(old_spec, "matchConditions")))
                kc_v_match_conditions(v, V_CHILD(&spec_path, "matchConditions"), kc_json_get(spec, "matchConditions"));
        variables(v, kc_json_get(spec, "variables"));
}

/* --- ValidatingAdmissionPolicies */

static void validation_rule(struct kc_v *v, const struct kc_vpath *p, const struct json_object *o)
{
        static const char *const reasons[] = {"Forbidden", "Invalid", "RequestEntityTooLarge", NULL};
        const char *message = kc_v_str(o, "message"), *expression = kc_v_str(o, "messageExpression");
        const char *reason = kc_json_str(o, "reason");
        KC_CLEANUP(kc_freep) char *trimmed = kc_str_trim(message);
        if (kc_v_is_blank(kc_v_str(o, "expression")))
                kc_v_required(v, V_CHILD(p, "expression"), "expression is not specified");
        if (*expression && kc_v_is_blank(expression))
                kc_v_invalid_str(v, V_CHILD(p, "messageExpression"), expression, "must be non-empty if specified");
        if (*message && !*trimmed)
                kc_v_invalid_str(v, V_CHILD(p, "message"), message, "must be non-empty if specified");
        else if (strpbrk(trimmed, "\r\n"))
                kc_v_invalid_str(v, V_CHILD(p, "message"), message, "must not contain line breaks");
        if (reason && !kc_v_in(reason, reasons))
                kc_v_not_supported(v, V_CHILD(p, "reason"), reason, reasons);
}

static void audit_annotations(struct kc_v *v, const struct json_object *o, const struct json_object *list)
{
        const char *name = kc_v_str(kc_json_get(o, "metadata"), "name");
        const struct kc_vpath *p = V_CHILD(&spec_path, "auditAnnotations");
        KC_CLEANUP(kc_map_freep) struct kc_map *keys = kc_map_new(NULL);
        if (kc_json_len(list) > MAX_ANNOTATIONS)
                kc_v_invalid(v, p, list, "must not have more than 20 auditAnnotations");
        for (size_t i = 0; i < kc_json_len(list); i++) {
                const char *key = kc_v_str(kc_json_idx(list, i), "key");
                const char *expression = kc_v_str(kc_json_idx(list, i), "valueExpression");
                KC_CLEANUP(kc_freep) char *full = kc_asprintf("%s/%s", name, key);
                KC_CLEANUP(kc_freep) char *trimmed = kc_str_trim(expression);
                const struct kc_vpath *at = V_INDEX(p, i);
                if (*name)
                        kc_v_name(v, V_CHILD(at, "key"), full, kc_name_label_key);
                else
                        kc_v_invalid_str(v, V_CHILD(at, "key"), key, "requires metadata.name be non-empty");
                if (!*trimmed)
                        kc_v_required(v, V_CHILD(at, "valueExpression"), "valueExpression is not specified");
                else if (strlen(trimmed) > MAX_ANNOTATION_EXPRESSION)
                        kc_v_required(v, V_CHILD(at, "valueExpression"), "must not exceed 5120 bytes in length");
                if (!kc_v_first(keys, key))
                        kc_v_duplicate(v, V_CHILD(at, "key"), key);
        }
}

static void validating_policy(struct kc_v *v, const struct json_object *o, const struct json_object *old)
{
        static const char one[] = "validations or auditAnnotations must contain at least one item";
        const struct json_object *spec = kc_json_get(o, "spec"), *validations = kc_json_get(spec, "validations");
        const struct json_object *annotations = kc_json_get(spec, "auditAnnotations");
        kc_v_meta(v, o, false, kc_name_dns1123_subdomain);
        policy_head(v, spec, old ? kc_json_get(old, "spec") : NULL, false);
        if (kc_json_len(validations) + kc_json_len(annotations) == 0) {
                kc_v_required(v, V_CHILD(&spec_path, "validations"), one);
                kc_v_required(v, V_CHILD(&spec_path, "auditAnnotations"), one);
                return;
        }
        for (size_t i = 0; i < kc_json_len(validations); i++)
                validation_rule(v, V_INDEX(V_CHILD(&spec_path, "validations"), i), kc_json_idx(validations, i));
        audit_annotations(v, o, annotations);
}

void kc_v_create_validating_admission_policy(struct kc_v *v, const struct json_object *o)
{
        validating_policy(v, o, NULL);
}

static void policy_status(struct kc_v *v, const struct json_object *status)
{
        const struct json_object *warnings = kc_json_at(status, "typeChecking.expressionWarnings");
        const struct kc_vpath *p = V_CHILD2(&status_path, "typeChecking", "expressionWarnings");
        for (size_t i = 0; i < kc_json_len(warnings); i++) {
                const struct json_object *w = kc_json_idx(warnings, i);
                if (!*kc_v_str(w, "warning"))
                        kc_v_required(v, V_CHILD(V_INDEX(p, i), "warning"), "");
                if (kc_v_is_blank(kc_v_str(w, "fieldRef")))
                        kc_v_required(v, V_CHILD(V_INDEX(p, i), "fieldRef"), "");
        }
        kc_v_conditions(v, V_CHILD(&status_path, "conditions"), kc_json_get(status, "conditions"));
}

void kc_v_update_validating_admission_policy(
    struct kc_v *v, const struct json_object *o, const struct json_object *old, const char *subresource)
{
        if (kc_streq(subresource, "status"))
                policy_status(v, kc_json_get(o, "status"));
        else
                validating_policy(v, o, old);
        kc_v_meta_update(v, o, old);
}

/* --- MutatingAdmissionPolicies */

static void mutation(struct kc_v *v, const struct kc_vpath *p, const struct json_object *m)
{
        static const char *const types[] = {"ApplyConfiguration", "JSONPatch", NULL};
        const char *type = kc_v_str(m, "patchType");
        bool patch = kc_streq(type, "JSONPatch");
        const char *wanted = patch ? "jsonPatch" : "applyConfiguration",
                   *other = patch ? "applyConfiguration" : "jsonPatch";
        KC_CLEANUP(kc_freep) char *needed = kc_asprintf("must be specified when patchType is %s", type);
        KC_CLEANUP(kc_freep) char *unwanted = kc_asprintf("must not be specified when patchType is %s", type);
        KC_CLEANUP(kc_freep) char *shown = kc_asprintf("{%s}", other);
        if (!*type || !kc_v_in(type, types)) {
                kc_v_enum(v, V_CHILD(p, "patchType"), type, types);
                return;
        }
        if (!kc_json_get(m, wanted))
                kc_v_required(v, V_CHILD(p, wanted), needed);
        else if (kc_v_is_blank(kc_v_str(kc_json_get(m, wanted), "expression")))
                kc_v_required(v, V_CHILD2(p, wanted, "expression"), "");
        if (kc_json_get(m, other))
                kc_v_invalid_str(v, V_CHILD(p, other), shown, unwanted);
}

static void mutating_policy(struct kc_v *v, const struct json_object *o, const struct json_object *old)
{
        const struct json_object *spec = kc_json_get(o, "spec"), *mutations = kc_json_get(spec, "mutations");
        kc_v_meta(v, o, false, kc_name_dns1123_subdomain);
        policy_head(v, spec, old ? kc_json_get(old, "spec") : NULL, true);
        if (kc_json_len(mutations) == 0)
                kc_v_required(v, V_CHILD(&spec_path, "mutations"), "mutations must contain at least one item");
        for (size_t i = 0; i < kc_json_len(mutations); i++)
                mutation(v, V_INDEX(V_CHILD(&spec_path, "mutations"), i), kc_json_idx(mutations, i));
        kc_v_enum(v, V_CHILD(&spec_path, "reinvocationPolicy"), kc_v_str(spec, "reinvocationPolicy"),
            kc_v_reinvocation_policies);
}

void kc_v_create_mutating_admission_policy(struct kc_v *v, const struct json_object *o)
{
        mutating_policy(v, o, NULL);
}

void kc_v_update_mutating_admission_policy(
    struct kc_v *v, const struct json_object *o, const struct json_object *old, const char *subresource)
{
        (void)subresource; /* there is none */
        mutating_policy(v, o, old);
        kc_v_meta_update(v, o, old);
}

/* --- Bindings */

static void param_ref(struct kc_v *v, const struct json_object *ref)
{
        static const char *const actions[] = {"Deny", "Allow", NULL};
        static const char exclusive[] = "name and selector are mutually exclusive";
        const struct kc_vpath *p = V_CHILD(&spec_path, "paramRef");
        const char *name = kc_v_str(ref, "name"), *action = kc_v_str(ref, "parameterNotFoundAction");
        const struct json_object *selector = kc_json_get(ref, "selector");
        if (!ref)
                return;
        if (*name)
                kc_v_name(v, V_CHILD(p, "name"), name, kc_name_path_segment);
        if (*name && selector)
                kc_v_forbidden(v, V_CHILD(p, "name"), exclusive);
        kc_v_label_selector(v, V_CHILD(p, "selector"), selector);
        if (*name && selector)
                kc_v_forbidden(v, V_CHILD(p, "selector"), exclusive);
        if (!*name && !selector)
                kc_v_required(v, p, "one of name or selector must be specified");
        kc_v_enum(v, V_CHILD(p, "parameterNotFoundAction"), action, actions);
}

static void validation_actions(struct kc_v *v, const struct json_object *list)
{
        static const char *const valid[] = {"Audit", "Deny", "Warn", NULL};
        const struct kc_vpath *p = V_CHILD(&spec_path, "validationActions");
        KC_CLEANUP(kc_map_freep) struct kc_map *seen = kc_map_new(NULL);
        for (size_t i = 0; i < kc_json_len(list); i++) {
                const char *s = kc_json_as_str(kc_json_idx(list, i));
                if (!s || !kc_v_in(s, valid))
                        kc_v_not_supported(v, V_INDEX(p, i), s ? s : "", valid);
                if (!kc_v_first(seen, s ? s : ""))
                        kc_v_duplicate(v, V_INDEX(p, i), s);
        }
        if (kc_map_has(seen, "Deny") && kc_map_has(seen, "Warn"))
                kc_v_invalid(v, p, list,
                    "must not contain both Deny and Warn (repeating the same validation failure information in the API "
                    "response and headers serves no purpose)");
        if (kc_json_len(list) == 0)
                kc_v_required(v, p, "at least one validation action is required");
}

static void binding(struct kc_v *v, const struct json_object *o)
{
        const struct json_object *spec = kc_json_get(o, "spec");
        const char *policy = kc_v_str(spec, "policyName");
        kc_v_meta(v, o, false, kc_name_dns1123_subdomain);
        if (*policy)
                kc_v_name(v, V_CHILD(&spec_path, "policyName"), policy, kc_name_dns1123_subdomain);
        else
                kc_v_required(v, V_CHILD(&spec_path, "policyName"), "");
        param_ref(v, kc_json_get(spec, "paramRef"));
        match_resources(v, V_CHILD(&spec_path, "matchResources"), kc_json_get(spec, "matchResources"));
}

void kc_v_create_validating_admission_policy_binding(struct kc_v *v, const struct json_object *o)
{
        binding(v, o);
        validation_actions(v, kc_json_at(o, "spec.validationActions"));
}

void kc_v_update_validating_admission_policy_binding(
    struct kc_v *v, const struct json_object *o, const struct json_object *old, const char *subresource)
{
        (void)subresource; /* there is none */
        kc_v_create_validating_admission_policy_binding(v, o);
        kc_v_meta_update(v, o, old);
}

void kc_v_create_mutating_admission_policy_binding(struct kc_v *v, const struct json_object *o)
{
        binding(v, o);
}

void kc_v_update_mutating_admission_policy_binding(
    struct kc_v *v, const struct json_object *o, const struct json_object *old, const char *subresource)
{
        (void)subresource; /* there is none */
        binding(v, o);
        kc_v_meta_update(v, o, old);
}
