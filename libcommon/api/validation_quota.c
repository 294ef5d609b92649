/* ResourceQuotas and LimitRanges. Any thread. */
#include <string.h>

#include "api/validation_internal.h"
#include "base/mem.h"
#include "base/str.h"

static const struct kc_vpath spec_path = {.kind = KC_VPATH_CHILD, .key = "spec"};
static const struct kc_vpath status_path = {.kind = KC_VPATH_CHILD, .key = "status"};

/* --- ResourceQuotas */

static bool is_quota_resource(const char *name)
{
        static const char *const names[] = {"cpu", "memory", "ephemeral-storage", "requests.cpu", "requests.memory",
            "requests.storage", "requests.ephemeral-storage", "limits.cpu", "limits.memory", "limits.ephemeral-storage",
            "pods", "resourcequotas", "services", "replicationcontrollers", "secrets", "configmaps",
            "persistentvolumeclaims", "services.nodeports", "services.loadbalancers", NULL};
        return kc_v_in(name, names) || kc_str_has_prefix(name, "hugepages-") ||
               kc_str_has_prefix(name, "requests.hugepages-");
}

static void quota_list(struct kc_v *v, const struct kc_vpath *p, const struct json_object *list)
{
        KC_JSON_FOREACH(list, name, quantity)
        {
                const struct kc_vpath *at = V_KEY(p, name);
                (void)kc_v_resource_name(v, at, name); /* what is wrong is noted */
                if (!strchr(name, '/') && !is_quota_resource(name))
                        kc_v_invalid_str(v, at, name, "must be a standard resource for quota");
                kc_v_resource_quantity(v, at, name, quantity);
        }
}

static bool is_scope(const char *scope)
{
        static const char *const scopes[] = {"Terminating", "NotTerminating", "BestEffort", "NotBestEffort",
            "PriorityClass", "CrossNamespacePodAffinity", "VolumeAttributesClass", NULL};
        return kc_v_in(scope, scopes);
}

/* Does a scope say anything of a resource? */
static bool scope_fits(const char *scope, const char *resource)
{
        static const char *const of_pods[] = {
            "pods", "cpu", "memory", "limits.cpu", "limits.memory", "requests.cpu", "requests.memory", NULL};
        static const char *const of_claims[] = {"persistentvolumeclaims", "requests.storage", NULL};
        if (!is_quota_resource(resource) || !is_scope(scope))
                return true;
        if (kc_streq(scope, "BestEffort"))
                return kc_streq(resource, "pods");
        return kc_v_in(resource, kc_streq(scope, "VolumeAttributesClass") ? of_claims : of_pods);
}

static void fits_hard(struct kc_v *v, const struct kc_vpath *p, const struct json_object *spec, const char *scope,
    const struct json_object *shown)
{
        KC_JSON_FOREACH(kc_json_get(spec, "hard"), name, value)
        {
                (void)value; /* of no matter */
                if (!scope_fits(scope, name))
                        kc_v_invalid(v, p, shown, "unsupported scope applied to resource");
        }
}

static void conflicts(
    struct kc_v *v, const struct kc_vpath *p, const struct kc_map *seen, const struct json_object *shown)
{
        static const char *const pairs[][2] = {{"BestEffort", "NotBestEffort"}, {"Terminating", "NotTerminating"}};
        for (size_t i = 0; i < KC_ARRAY_LEN(pairs); i++)
                if (kc_map_has(seen, pairs[i][0]) && kc_map_has(seen, pairs[i][1]))
                        kc_v_invalid(v, p, shown, "conflicting scopes");
}

static void scopes(struct kc_v *v, const struct json_object *spec)
{
        const struct json_object *list = kc_json_get(spec, "scopes");
        const struct kc_vpath *p = V_CHILD(&spec_path, "scopes");
        KC_CLEANUP(kc_map_freep) struct kc_map *seen = kc_map_new(NULL);
        for (size_t i = 0; i < kc_json_len(list); i++) {
                const char *scope = kc_json_as_str(kc_json_idx(list, i));
                if (!scope || !is_scope(scope))
                        kc_v_invalid(v, p, list, "unsupported scope");
                fits_hard(v, p, spec, scope ? scope : "", list);
                (void)kc_v_first(seen, scope ? scope : ""); /* or again */
        }
        conflicts(v, p, seen, list);
}

static void scope_requirement(struct kc_v *v, const struct kc_vpath *p, const struct json_object *r)
{
        static const char *const only_exists[] = {
            "BestEffort", "NotBestEffort", "Terminating", "NotTerminating", "CrossNamespacePodAffinity", NULL};
        const char *scope = kc_v_str(r, "scopeName"), *operator= kc_v_str(r, "operator");
        const struct json_object *values = kc_json_get(r, "values");
        if (kc_v_in(scope, only_exists) && !kc_streq(operator, "Exists"))
                kc_v_invalid_str(v, V_CHILD(p, "operator"), operator,
                    "must be 'Exist' when scope is any of ResourceQuotaScopeTerminating, "
                    "ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort "
                    "or "
                    "ResourceQuotaScopeCrossNamespacePodAffinity");
        if (kc_streq(operator, "In") || kc_streq(operator, "NotIn")) {
                if (kc_json_len(values) == 0)
                        kc_v_required(v, V_CHILD(p, "values"),
                            "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector");
        } else if (kc_streq(operator, "Exists") || kc_streq(operator, "DoesNotExist")) {
                if (kc_json_len(values) != 0)
                        kc_v_invalid(v, V_CHILD(p, "values"), values,
                            "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector");
        } else {
                kc_v_invalid_str(v, V_CHILD(p, "operator"), operator, "not a valid selector operator");
        }
}

static void scope_selector(struct kc_v *v, const struct json_object *spec)
{
        const struct json_object *selector = kc_json_get(spec, "scopeSelector");
        const struct json_object *list = kc_json_get(selector, "matchExpressions");
        const struct kc_vpath *p = V_CHILD2(&spec_path, "scopeSelector", "matchExpressions");
        KC_CLEANUP(kc_map_freep) struct kc_map *seen = kc_map_new(NULL);
        for (size_t i = 0; i < kc_json_len(list); i++) {
                const char *scope = kc_v_str(kc_json_idx(list, i), "scopeName");
                if (!is_scope(scope))
                        kc_v_invalid_str(v, V_CHILD(p, "scopeName"), scope, "unsupported scope");
                fits_hard(v, p, spec, scope, selector);
                scope_requirement(v, p, kc_json_idx(list, i));
                (void)kc_v_first(seen, scope); /* or again */
        }
        conflicts(v, p, seen, kc_json_get(spec, "scopes"));
}

static void quota_spec(struct kc_v *v, const struct json_object *spec)
{
        quota_list(v, V_CHILD(&spec_path, "hard"), kc_json_get(spec, "hard"));
        scopes(v, spec);
        scope_selector(v, spec);
}

static void quota_status(struct kc_v *v, const struct json_object *status)
{
        quota_list(v, V_CHILD(&status_path, "hard"), kc_json_get(status, "hard"));
        quota_list(v, V_CHILD(&status_path, "used"), kc_json_get(status, "used"));
}

void kc_v_create_resource_quota(struct kc_v *v, const struct json_object *o)
{
        kc_v_meta(v, o, true, kc_name_dns1123_subdomain);
        quota_spec(v, kc_json_get(o, "spec"));
        quota_status(v, kc_json_get(o, "status"));
}

static bool same_set(const struct json_object *a, const struct json_object *b)
{
        KC_CLEANUP(kc_map_freep) struct kc_map *x = kc_v_index(a, NULL), *y = kc_v_index(b, NULL);
        bool same = kc_map_len(x) == kc_map_len(y);
        for (size_t i = 0; same && i < kc_json_len(a); i++)
                same = kc_map_has(y, kc_json_as_str(kc_json_idx(a, i)));
        return same;
}

void kc_v_update_resource_quota(
    struct kc_v *v, const struct json_object *o, const struct json_object *old, const char *subresource)
{
        const struct json_object *now = kc_json_at(o, "spec.scopes");
        kc_v_meta_update(v, o, old);
        if (kc_streq(subresource, "status")) {
                quota_status(v, kc_json_get(o, "status"));
                return;
        }
        quota_spec(v, kc_json_get(o, "spec"));
        if (!same_set(now, kc_json_at(old, "spec.scopes")))
                kc_v_invalid(v, V_CHILD(&spec_path, "scopes"), now, "field is immutable");
}

/* --- LimitRanges */

static void limit_names(
    struct kc_v *v, const struct kc_vpath *p, const struct json_object *limit, const char *key, struct kc_map *names)
{
        const char *type = kc_v_str(limit, "type");
        KC_JSON_FOREACH(kc_json_get(limit, key), name, value)
        {
                (void)value; /* compared later */
                if (kc_streq(type, "Pod") || kc_streq(type, "Container"))
                        kc_v_container_resource_name(v, V_KEY(V_CHILD(p, key), name), name);
                else
                        (void)kc_v_resource_name(v, V_KEY(V_CHILD(p, key), name), name); /* noted */
                (void)kc_v_first(names, name);                                           /* or again */
        }
}

/* A value of one of the lists, if it is there. */
struct value {
        bool there;
        struct kc_quantity q;
        char text[KC_QUANTITY_LEN];
};

static struct value value_of(const struct json_object *limit, const char *key, const char *name)
{
        struct value v = {0};
        v.there = kc_v_read_quantity(kc_json_get(kc_json_get(limit, key), name), &v.q);
        if (v.there)
                (void)kc_quantity_format(&v.q, v.text);
        return v;
}

/* a <= b, or an error at p that shows shown. */
static void at_most(struct kc_v *v, const struct kc_vpath *p, const struct value *shown, const struct value *a,
    const char *a_name, const struct value *b, const char *b_name)
{
        KC_CLEANUP(kc_freep)
        char *detail = kc_asprintf("%s value %s is greater than %s value %s", a_name, a->text, b_name, b->text);
        if (a->there && b->there && kc_quantity_cmp(&a->q, &b->q) > 0)
                kc_v_invalid_str(v, p, shown->text, detail);
}

static void ratio_fits(struct kc_v *v, const struct kc_vpath *p, const struct value *ratio, const struct value *min,
    const struct value *max)
{
        const struct kc_quantity one = kc_quantity_from_int(1, KC_QUANTITY_DECIMAL_SI);
        KC_CLEANUP(kc_freep) char *less = kc_asprintf("ratio %s is less than 1", ratio->text);
        if (!ratio->there)
                return;
        if (kc_quantity_cmp(&ratio->q, &one) < 0)
                kc_v_invalid_str(v, p, ratio->text, less);
        if (!min->there || !max->there || min->q.nano <= 0)
                return;
        double limit = (double)kc_quantity_milli(&max->q) / (double)kc_quantity_milli(&min->q);
        KC_CLEANUP(kc_freep)
        char *more = kc_asprintf("ratio %s is greater than max/min = %f", ratio->text, limit);
        if ((double)kc_quantity_milli(&ratio->q) / 1000 > limit)
                kc_v_invalid_str(v, p, ratio->text, more);
}

static void limit_values(struct kc_v *v, const struct kc_vpath *p, const struct json_object *limit, const char *name)
{
        struct value min = value_of(limit, "min", name), max = value_of(limit, "max", name);
        struct value given = value_of(limit, "default", name), request = value_of(limit, "defaultRequest", name);
        struct value ratio = value_of(limit, "maxLimitRequestRatio", name);
        const struct kc_vpath *request_path = V_KEY(V_CHILD(p, "defaultRequest"), name);
        const struct kc_vpath *default_path = V_KEY(V_CHILD(p, "default"), name);
        at_most(v, V_KEY(V_CHILD(p, "min"), name), &min, &min, "min", &max, "max");
        at_most(v, request_path, &request, &min, "min", &request, "default request");
        at_most(v, request_path, &request, &request, "default request", &max, "max");
        at_most(v, request_path, &request, &request, "default request", &given, "default limit");
        at_most(v, default_path, &min, &min, "min", &given, "default");
        at_most(v, default_path, &max, &given, "default", &max, "max");
        ratio_fits(v, V_KEY(V_CHILD(p, "maxLimitRequestRatio"), name), &ratio, &min, &max);
        bool overcommit = kc_v_is_native_resource(name) && !kc_str_has_prefix(name, "hugepages-");
        KC_CLEANUP(kc_freep)
        char *detail =
            kc_asprintf("default value %s must equal to defaultRequest value %s in %s", given.text, request.text, name);
        if (!overcommit && given.there && request.there && kc_quantity_cmp(&given.q, &request.q) != 0)
                kc_v_invalid_str(v, request_path, request.text, detail);
}

static void limit_item(struct kc_v *v, const struct kc_vpath *p, const struct json_object *limit, struct kc_map *types)
{
        static const char *const standard[] = {"Pod", "Container", "PersistentVolumeClaim", NULL};
        static const char of_pod[] = "may not be specified when `type` is 'Pod'";
        static const char *const defaults[] = {"default", "defaultRequest"};
        const char *type = kc_v_str(limit, "type");
        size_t before = v->errors->n;
        KC_CLEANUP(kc_map_freep) struct kc_map *names = kc_map_new(NULL);
        kc_v_name(v, V_CHILD(p, "type"), type, kc_name_label_key);
        if (v->errors->n == before && !strchr(type, '/') && !kc_v_in(type, standard))
                kc_v_invalid_str(v, V_CHILD(p, "type"), type, "must be a standard limit type or fully qualified");
        if (!kc_v_first(types, type))
                kc_v_duplicate(v, V_CHILD(p, "type"), type);
        limit_names(v, p, limit, "max", names);
        limit_names(v, p, limit, "min", names);
        for (size_t i = 0; i < KC_ARRAY_LEN(defaults); i++) {
                if (!kc_streq(type, "Pod"))
                        limit_names(v, p, limit, defaults[i], names);
                else if (kc_json_n_keys(kc_json_get(limit, defaults[i])) > 0)
                        kc_v_forbidden(v, V_CHILD(p, defaults[i]), of_pod);
        }
        if (kc_streq(type, "PersistentVolumeClaim") && !kc_json_get(kc_json_get(limit, "min"), "storage") &&
            !kc_json_get(kc_json_get(limit, "max"), "storage"))
                kc_v_required(v, V_CHILD(p, "limits"),
                    "either minimum or maximum storage value is required, but neither was provided");
        limit_names(v, p, limit, "maxLimitRequestRatio", names);
        KC_CLEANUP(kc_strv_freep) char **sorted = kc_map_sorted_keys(names);
        for (size_t i = 0; sorted && sorted[i]; i++)
                limit_values(v, p, limit, sorted[i]);
}

void kc_v_create_limit_range(struct kc_v *v, const struct json_object *o)
{
        const struct json_object *limits = kc_json_at(o, "spec.limits");
        KC_CLEANUP(kc_map_freep) struct kc_map *types = kc_map_new(NULL);
        kc_v_meta(v, o, true, kc_name_dns1123_subdomain);
        for (size_t i = 0; i < kc_json_len(limits); i++)
                limit_item(v, V_INDEX(V_CHILD(&spec_path, "limits"), i), kc_json_idx(limits, i), types);
}

void kc_v_update_limit_range(
    struct kc_v *v, const struct json_object *o, const struct json_object *old, const char *subresource)
{
        (void)subresource; /* there is none */
        kc_v_create_limit_range(v, o);
        kc_v_meta_update(v, o, old);
}
