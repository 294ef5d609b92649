/* RBAC kinds, Leases, PriorityClasses, RuntimeClasses and PodTemplates. Any thread. */
#include <string.h>

#include "api/validation_internal.h"
#include "base/mem.h"
#include "base/str.h"

static const char rbac_group[] = "rbac.authorization.k8s.io";
static const char *const rbac_groups[] = {rbac_group, NULL};

static void policy_rule(struct kc_v *v, const struct kc_vpath *p, const struct json_object *rule, bool namespaced)
{
        const struct json_object *urls = kc_json_get(rule, "nonResourceURLs");
        size_t groups = kc_json_len(kc_json_get(rule, "apiGroups")),
               resources = kc_json_len(kc_json_get(rule, "resources"));
        size_t names = kc_json_len(kc_json_get(rule, "resourceNames"));
        if (kc_json_len(kc_json_get(rule, "verbs")) == 0)
                kc_v_required(v, V_CHILD(p, "verbs"), "verbs must contain at least one value");
        if (kc_json_len(urls) > 0) {
                if (namespaced)
                        kc_v_invalid(v, V_CHILD(p, "nonResourceURLs"), urls,
                            "namespaced rules cannot apply to non-resource URLs");
                if (groups + resources + names > 0)
                        kc_v_invalid(v, V_CHILD(p, "nonResourceURLs"), urls,
                            "rules cannot apply to both regular resources and non-resource URLs");
                return;
        }
        if (groups == 0)
                kc_v_required(v, V_CHILD(p, "apiGroups"), "resource rules must supply at least one api group");
        if (resources == 0)
                kc_v_required(v, V_CHILD(p, "resources"), "resource rules must supply at least one resource");
        if (names > 0 && resources > 1)
                kc_v_required(v, V_CHILD(p, "resourceNames"), "resource names cannot apply to multiple resources");
}

static void role(struct kc_v *v, const struct json_object *o, bool namespaced)
{
        const struct json_object *rules = kc_json_get(o, "rules");
        const struct json_object *selectors = kc_json_at(o, "aggregationRule.clusterRoleSelectors");
        const struct kc_vpath *p = V_CHILD2(NULL, "aggregationRule", "clusterRoleSelectors");
        kc_v_meta(v, o, namespaced, kc_name_path_segment);
        for (size_t i = 0; i < kc_json_len(rules); i++)
                policy_rule(v, V_INDEX(V_CHILD(NULL, "rules"), i), kc_json_idx(rules, i), namespaced);
        if (!kc_json_get(o, "aggregationRule"))
                return;
        if (kc_json_len(selectors) == 0)
                kc_v_required(v, p, "at least one clusterRoleSelector required if aggregationRule is non-nil");
        for (size_t i = 0; i < kc_json_len(selectors); i++)
                kc_v_label_selector(v, V_INDEX(p, i), kc_json_idx(selectors, i));
}

void kc_v_create_role(struct kc_v *v, const struct json_object *o)
{
        role(v, o, true);
}

void kc_v_update_role(
    struct kc_v *v, const struct json_object *o, const struct json_object *old, const char *subresource)
{
        (void)subresource; /* there is none */
        role(v, o, true);
        kc_v_meta_update(v, o, old);
}

void kc_v_create_cluster_role(struct kc_v *v, const struct json_object *o)
{
        role(v, o, false);
}

void kc_v_update_cluster_role(
    struct kc_v *v, const struct json_object *o, const struct json_object *old, const char *subresource)
{
        (void)subresource; /* there is none */
        role(v, o, false);
        kc_v_meta_update(v, o, old);
}

static void subject(struct kc_v *v, const struct kc_vpath *p, const struct json_object *s, bool namespaced)
{
        static const char *const kinds[] = {"ServiceAccount", "User", "Group", NULL}, *const none[] = {"", NULL};
        const char *kind = kc_v_str(s, "kind"), *name = kc_v_str(s, "name"), *group = kc_v_str(s, "apiGroup");
        bool user = kc_streq(kind, "User");
        if (!*name)
                kc_v_required(v, V_CHILD(p, "name"), "");
        if (kc_streq(kind, "ServiceAccount")) {
                if (*name)
                        kc_v_name(v, V_CHILD(p, "name"), name, kc_name_dns1123_subdomain);
                if (*group)
                        kc_v_not_supported(v, V_CHILD(p, "apiGroup"), group, none);
                if (!namespaced && !*kc_v_str(s, "namespace"))
                        kc_v_required(v, V_CHILD(p, "namespace"), "");
        } else if (user || kc_streq(kind, "Group")) {
                if (!*name)
                        kc_v_invalid_str(v, V_CHILD(p, "name"), name,
                            user ? "user name cannot be empty" : "group name cannot be empty");
                if (!kc_streq(group, rbac_group))
                        kc_v_not_supported(v, V_CHILD(p, "apiGroup"), group, rbac_groups);
        } else {
                kc_v_not_supported(v, V_CHILD(p, "kind"), kind, kinds);
        }
}

static void binding(struct kc_v *v, const struct json_object *o, bool namespaced)
{
        static const char *const any_role[] = {"Role", "ClusterRole", NULL}, *const cluster_role[] = {
                                                                                 "ClusterRole", NULL};
        const char *const *kinds = namespaced ? any_role : cluster_role;
        const struct json_object *ref = kc_json_get(o, "roleRef"), *subjects = kc_json_get(o, "subjects");
        const struct kc_vpath *p = V_CHILD(NULL, "roleRef");
        const char *group = kc_v_str(ref, "apiGroup"), *kind = kc_v_str(ref, "kind"), *name = kc_v_str(ref, "name");
        kc_v_meta(v, o, namespaced, kc_name_path_segment);
        if (!kc_streq(group, rbac_group))
                kc_v_not_supported(v, V_CHILD(p, "apiGroup"), group, rbac_groups);
        if (!kc_v_in(kind, kinds))
                kc_v_not_supported(v, V_CHILD(p, "kind"), kind, kinds);
        if (!*name)
                kc_v_required(v, V_CHILD(p, "name"), "");
        else
                kc_v_name(v, V_CHILD(p, "name"), name, kc_name_path_segment);
        for (size_t i = 0; i < kc_json_len(subjects); i++)
                subject(v, V_INDEX(V_CHILD(NULL, "subjects"), i), kc_json_idx(subjects, i), namespaced);
}

static void binding_update(struct kc_v *v, const struct json_object *o, const struct json_object *old, bool namespaced)
{
        binding(v, o, namespaced);
        kc_v_meta_update(v, o, old);
        const struct json_object *ref = kc_json_get(o, "roleRef");
        if (kc_v_equal(ref, kc_json_get(old, "roleRef")))
                return;
        /* The Go struct that upstream shows. */
        KC_CLEANUP(kc_json_freep)
        struct json_object *shown = kc_json_build("{'APIGroup':%s,'Kind':%s,'Name':%s}", kc_v_str(ref, "apiGroup"),
            kc_v_str(ref, "kind"), kc_v_str(ref, "name"));
        KC_CLEANUP(kc_freep) char *text = kc_json_to_str(shown);
        KC_CLEANUP(kc_freep) char *message = kc_asprintf("Invalid value: %s: cannot change roleRef", text);
        kc_v_add(v, "FieldValueInvalid", V_CHILD(NULL, "roleRef"), message);
}

void kc_v_create_role_binding(struct kc_v *v, const struct json_object *o)
{
        binding(v, o, true);
}

void kc_v_update_role_binding(
    struct kc_v *v, const struct json_object *o, const struct json_object *old, const char *subresource)
{
        (void)subresource; /* there is none */
        binding_update(v, o, old, true);
}

void kc_v_create_cluster_role_binding(struct kc_v *v, const struct json_object *o)
{
        binding(v, o, false);
}

void kc_v_update_cluster_role_binding(
    struct kc_v *v, const struct json_object *o, const struct json_object *old, const char *subresource)
{
        (void)subresource; /* there is none */
        binding_update(v, o, old, false);
}

/* --- Leases */

static void lease_spec(struct kc_v *v, const struct json_object *spec)
{
        static const char *const strategies[] = {"OldestEmulationVersion", NULL};
        const struct kc_vpath *p = V_CHILD(NULL, "spec");
        const char *strategy = kc_json_str(spec, "strategy"), *preferred = kc_v_str(spec, "preferredHolder");
        int64_t duration = kc_json_int(spec, "leaseDurationSeconds", 1);
        if (duration <= 0)
                kc_v_invalid_int(v, V_CHILD(p, "leaseDurationSeconds"), duration, "must be greater than 0");
        kc_v_nonnegative(v, p, spec, "leaseTransitions");
        const struct kc_vpath *strategy_path = V_CHILD2(p, "strategy", "strategy"); /* upstream's path */
        if (strategy && strchr(strategy, '/'))
                kc_v_name(v, strategy_path, strategy, kc_name_label_key);
        else if (strategy && !kc_v_in(strategy, strategies))
                kc_v_not_supported(v, strategy_path, strategy, strategies);
        if (*preferred && kc_str_empty(strategy))
                kc_v_forbidden(v, V_CHILD(p, "preferredHolder"), "may only be specified if `strategy` is defined");
}

void kc_v_create_lease(struct kc_v *v, const struct json_object *o)
{
        kc_v_meta(v, o, true, kc_name_dns1123_subdomain);
        lease_spec(v, kc_json_get(o, "spec"));
}

void kc_v_update_lease(
    struct kc_v *v, const struct json_object *o, const struct json_object *old, const char *subresource)
{
        (void)subresource; /* there is none */
        kc_v_meta_update(v, o, old);
        lease_spec(v, kc_json_get(o, "spec"));
}

/* --- PriorityClasses */

enum { HIGHEST_USER_PRIORITY = 1000000000 };

/* Why a class with the reserved prefix is none of the system's own. NULL: it is. Heap. */
static char *not_of_system(const char *name, int64_t value, bool global)
{
        static const struct {
                const char *name;
                int64_t value;
        } known[] = {{"system-node-critical", 2000001000}, {"system-cluster-critical", 2000000000}};
        for (size_t i = 0; i < KC_ARRAY_LEN(known); i++) {
                if (!kc_streq(known[i].name, name))
                        continue;
                if (value != known[i].value)
                        return kc_asprintf("value of %s PriorityClass must be %lld", name, (long long)known[i].value);
                return global ? kc_asprintf("globalDefault of %s PriorityClass must be false", name) : NULL;
        }
        return kc_asprintf("%s is not a known system priority class", name);
}

void kc_v_create_priority_class(struct kc_v *v, const struct json_object *o)
{
        const char *name = kc_v_str(kc_json_get(o, "metadata"), "name");
        int64_t value = kc_json_int(o, "value", 0);
        kc_v_meta(v, o, false, kc_name_dns1123_subdomain);
        if (kc_str_has_prefix(name, "system-")) {
                KC_CLEANUP(kc_freep) char *why = not_of_system(name, value, kc_json_bool(o, "globalDefault", false));
                KC_CLEANUP(kc_freep)
                char *detail =
                    why ? kc_asprintf(
                              "priority class names with 'system-' prefix are reserved for system use only. error: %s",
                              why)
                        : NULL;
                if (why)
                        kc_v_forbidden(v, V_CHILD2(NULL, "metadata", "name"), detail);
        } else if (value > HIGHEST_USER_PRIORITY) {
                kc_v_forbidden(
                    v, V_CHILD(NULL, "value"), "maximum allowed value of a user defined priority is 1000000000");
        }
        if (kc_json_get(o, "preemptionPolicy"))
                kc_v_preemption_policy(v, V_CHILD(NULL, "preemptionPolicy"), kc_v_str(o, "preemptionPolicy"));
}

void kc_v_update_priority_class(
    struct kc_v *v, const struct json_object *o, const struct json_object *old, const char *subresource)
{
        (void)subresource; /* there is none */
        kc_v_meta_update(v, o, old);
        if (kc_json_int(o, "value", 0) != kc_json_int(old, "value", 0))
                kc_v_forbidden(v, V_CHILD(NULL, "value"), "may not be changed in an update.");
        kc_v_immutable(v, V_CHILD(NULL, "preemptionPolicy"), kc_json_get(o, "preemptionPolicy"),
            kc_json_get(old, "preemptionPolicy"));
}

/* --- RuntimeClasses */

static void unique_tolerations(struct kc_v *v, const struct kc_vpath *p, const struct json_object *list)
{
        kc_v_tolerations(v, p, list);
        kc_v_repeated(v, p, list);
}

void kc_v_create_runtime_class(struct kc_v *v, const struct json_object *o)
{
        const struct json_object *fixed = kc_json_at(o, "overhead.podFixed"),
                                 *scheduling = kc_json_get(o, "scheduling");
        const struct kc_vpath *p = V_CHILD(NULL, "scheduling");
        kc_v_meta(v, o, false, kc_name_dns1123_subdomain);
        kc_v_name(v, V_CHILD(NULL, "handler"), kc_v_str(o, "handler"), kc_name_dns1123_label);
        if (fixed) {
                KC_CLEANUP(kc_json_freep) struct json_object *resources = json_object_new_object();
                kc_json_set(resources, "limits", kc_json_copy(fixed));
                kc_v_resources(v, V_CHILD2(NULL, "overhead", "podFixed"), resources, false, NULL);
        }
        kc_v_labels(v, V_CHILD(p, "nodeSelector"), kc_json_get(scheduling, "nodeSelector"));
        unique_tolerations(v, V_CHILD(p, "tolerations"), kc_json_get(scheduling, "tolerations"));
}

void kc_v_update_runtime_class(
    struct kc_v *v, const struct json_object *o, const struct json_object *old, const char *subresource)
{
        (void)subresource; /* there is none */
        kc_v_meta_update(v, o, old);
        kc_v_immutable(v, V_CHILD(NULL, "handler"), kc_json_get(o, "handler"), kc_json_get(old, "handler"));
}

/* --- PodTemplates */

void kc_v_create_pod_template(struct kc_v *v, const struct json_object *o)
{
        kc_v_meta(v, o, true, kc_name_dns1123_subdomain);
        kc_v_pod_template(v, V_CHILD(NULL, "template"), kc_json_get(o, "template"));
}

void kc_v_update_pod_template(
    struct kc_v *v, const struct json_object *o, const struct json_object *old, const char *subresource)
{
        (void)subresource; /* there is none */
        kc_v_meta_update(v, o, old);
        kc_v_pod_template(v, V_CHILD(NULL, "template"), kc_json_get(o, "template"));
}
