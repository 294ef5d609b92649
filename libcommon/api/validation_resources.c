/* Resource requirements: names, quantities, and how requests and limits fit together. Any thread. */
#include <string.h>

#include "api/pod_internal.h"
#include "api/validation_internal.h"
#include "base/mem.h"
#include "base/str.h"

bool kc_v_read_quantity(const struct json_object *q, struct kc_quantity *ret)
{
        const char *s = kc_json_as_str(q);
        if (s)
                return kc_quantity_parse(s, ret) == 0;
        if (!json_object_is_type(q, json_type_int))
                return false;
        *ret = kc_quantity_from_int(json_object_get_int64(q), KC_QUANTITY_DECIMAL_SI);
        return true;
}

static bool is_huge_page(const char *resource)
{
        return kc_str_has_prefix(resource, "hugepages-");
}

/* Unprefixed, or of the kubernetes.io domain. */
bool kc_v_is_native_resource(const char *resource)
{
        return !strchr(resource, '/') || strstr(resource, "kubernetes.io/");
}

bool kc_v_is_extended_resource(const char *resource)
{
        if (kc_v_is_native_resource(resource) || kc_str_has_prefix(resource, "requests."))
                return false;
        KC_CLEANUP(kc_freep) char *quota = kc_asprintf("requests.%s", resource);
        struct kc_why why = {0};
        kc_name_label_key(quota, &why);
        return why.n == 0;
}

static bool overcommit_allowed(const char *resource)
{
        return kc_v_is_native_resource(resource) && !is_huge_page(resource);
}

static const char *const standard_container[] = {"cpu", "memory", "ephemeral-storage", NULL};

static bool is_standard(const char *resource)
{
        static const char *const names[] = {"cpu", "memory", "ephemeral-storage", "requests.cpu", "requests.memory",
            "requests.ephemeral-storage", "limits.cpu", "limits.memory", "limits.ephemeral-storage", "pods",
            "resourcequotas", "services", "replicationcontrollers", "secrets", "configmaps", "persistentvolumeclaims",
            "storage", "requests.storage", "services.nodeports", "services.loadbalancers", NULL};
        return kc_v_in(resource, names) || is_huge_page(resource) || kc_str_has_prefix(resource, "requests.hugepages-");
}

static bool is_integer_resource(const char *resource)
{
        static const char *const names[] = {"pods", "resourcequotas", "services", "replicationcontrollers", "secrets",
            "configmaps", "persistentvolumeclaims", "services.nodeports", "services.loadbalancers", NULL};
        return kc_v_in(resource, names) || kc_v_is_extended_resource(resource);
}

bool kc_v_resource_name(struct kc_v *v, const struct kc_vpath *p, const char *resource)
{
        size_t before = v->errors->n;
        kc_v_name(v, p, resource, kc_name_label_key);
        if (v->errors->n > before)
                return false;
        if (strchr(resource, '/') || is_standard(resource))
                return true;
        kc_v_invalid_str(v, p, resource, "must be a standard resource type or fully qualified");
        return false;
}

void kc_v_container_resource_name(struct kc_v *v, const struct kc_vpath *p, const char *resource)
{
        (void)kc_v_resource_name(v, p, resource); /* what is wrong is noted; more may be */
        if (!strchr(resource, '/')) {
                if (!kc_v_in(resource, standard_container) && !is_huge_page(resource))
                        kc_v_invalid_str(v, p, resource, "must be a standard resource for containers");
        } else if (!kc_v_is_native_resource(resource) && !kc_v_is_extended_resource(resource)) {
                kc_v_invalid_str(v, p, resource, "doesn't follow extended resource name standard");
        }
}

static void pod_resource_name(struct kc_v *v, const struct kc_vpath *p, const char *resource)
{
        static const char *const supported[] = {"cpu", "memory", NULL};
        if (kc_v_resource_name(v, p, resource) && !kc_v_in(resource, supported) && !is_huge_page(resource))
                kc_v_not_supported(v, p, resource, supported);
}

static void invalid_quantity(struct kc_v *v, const struct kc_vpath *p, const struct kc_quantity *q, const char *detail)
{
        char buf[KC_QUANTITY_LEN];
        kc_v_invalid_str(v, p, kc_quantity_format(q, buf), detail);
}

void kc_v_resource_quantity(struct kc_v *v, const struct kc_vpath *p, const char *resource, const struct json_object *q)
{
        struct kc_quantity n;
        if (!kc_v_read_quantity(q, &n))
                return; /* the decoder has refused it */
        if (n.nano < 0)
                invalid_quantity(v, p, &n, "must be greater than or equal to 0");
        if (is_integer_resource(resource) && kc_quantity_milli(&n) % 1000 != 0)
                invalid_quantity(v, p, &n, "must be an integer");
}

bool kc_v_positive_quantity(struct kc_v *v, const struct kc_vpath *p, const struct json_object *q)
{
        struct kc_quantity n;
        bool ok = !kc_v_read_quantity(q, &n) || n.nano > 0; /* what is none the decoder has refused */
        if (!ok)
                invalid_quantity(v, p, &n, "must be greater than zero");
        return ok;
}

void kc_v_nonnegative_quantity(struct kc_v *v, const struct kc_vpath *p, const struct json_object *q)
{
        struct kc_quantity n;
        if (kc_v_read_quantity(q, &n) && n.nano < 0)
                invalid_quantity(v, p, &n, "must be greater than or equal to 0");
}

static void huge_page_multiple(
    struct kc_v *v, const struct kc_vpath *p, const char *resource, const struct json_object *value)
{
        struct kc_quantity q, page;
        char buf[KC_QUANTITY_LEN];
        if (!is_huge_page(resource) || !kc_v_read_quantity(value, &q))
                return;
        if (kc_quantity_parse(resource + strlen("hugepages-"), &page) == 0 && kc_quantity_value(&page) > 0 &&
            kc_quantity_value(&q) % kc_quantity_value(&page) == 0)
                return;
        KC_CLEANUP(kc_freep)
        char *detail = kc_asprintf("%s is not positive integer multiple of %s", kc_quantity_format(&q, buf), resource);
        invalid_quantity(v, p, &q, detail);
}

static void fits_limit(struct kc_v *v, const struct kc_vpath *requests, const struct kc_vpath *limits,
    const char *resource, const struct json_object *request, const struct json_object *limit)
{
        struct kc_quantity q, max;
        char buf[KC_QUANTITY_LEN];
        if (!limit) {
                if (!overcommit_allowed(resource))
                        kc_v_required(v, limits, "Limit must be set for non overcommitable resources");
                return;
        }
        if (!kc_v_read_quantity(request, &q) || !kc_v_read_quantity(limit, &max))
                return;
        int cmp = kc_quantity_cmp(&q, &max);
        bool must_equal = !overcommit_allowed(resource);
        if (cmp <= 0 && (cmp == 0 || !must_equal))
                return;
        KC_CLEANUP(kc_freep)
        char *detail = kc_asprintf("must be %s %s limit of %s", must_equal ? "equal to" : "less than or equal to",
            resource, kc_quantity_format(&max, buf));
        invalid_quantity(v, requests, &q, detail);
}

static void unknown_claim(
    struct kc_v *v, const struct kc_vpath *p, const struct json_object *pod_claims, const char *name)
{
        enum { MAX_NAMES = 64 }; /* that a message lists */
        struct kc_buf b = KC_BUF_INIT;
        KC_CLEANUP(kc_strv_freep) char **names = NULL;
        kc_buf_adds(&b, "Not found: ");
        kc_quote_add(&b, name);
        kc_buf_adds(&b, ": must be one of the names in pod.spec.resourceClaims");
        for (size_t i = 0; i < kc_json_len(pod_claims) && i < MAX_NAMES; i++)
                kc_strv_push(&names, kc_v_str(kc_json_idx(pod_claims, i), "name"));
        if (names)
                kc_strv_sort_uniq(names);
        KC_CLEANUP(kc_freep) char *list = kc_strv_join(names, ", ");
        if (names)
                kc_buf_addf(&b, ": %s", list);
        else
                kc_buf_adds(&b, " which is empty");
        kc_v_add(v, "FieldValueNotFound", p, kc_buf_str(&b));
        kc_buf_done(&b);
}

static void claims(
    struct kc_v *v, const struct kc_vpath *p, const struct json_object *list, const struct json_object *pod_claims)
{
        KC_CLEANUP(kc_map_freep) struct kc_map *whole = kc_map_new(NULL), *used = kc_map_new(NULL);
        KC_CLEANUP(kc_map_freep) struct kc_map *known = kc_v_index(pod_claims, "name");
        for (size_t i = 0; i < kc_json_len(list); i++) {
                const struct json_object *c = kc_json_idx(list, i);
                const char *name = kc_v_str(c, "name"), *request = kc_v_str(c, "request");
                const struct kc_vpath *at = V_INDEX(p, i);
                if (!*name) {
                        kc_v_required(v, at, "");
                        continue;
                }
                if (*request)
                        kc_v_name(v, V_CHILD(at, "request"), request, kc_name_dns1123_label);
                /* A claim as a whole overlaps with each of its requests. */
                KC_CLEANUP(kc_freep) char *key = kc_asprintf("%s/%s", name, request);
                bool repeated = kc_map_has(whole, name) || !kc_v_first(used, key);
                if (!*request) {
                        repeated |= kc_map_has(used, name);
                        (void)kc_v_first(whole, name); /* or again */
                }
                (void)kc_v_first(used, name); /* or again */
                if (repeated)
                        kc_v_duplicate(v, at, name);
                if (!kc_map_has(known, name))
                        unknown_claim(v, at, pod_claims, name);
        }
}

static bool is_cpu_or_memory(const char *resource)
{
        return kc_streq(resource, "cpu") || kc_streq(resource, "memory");
}

void kc_v_resources(struct kc_v *v, const struct kc_vpath *p, const struct json_object *resources, bool pod_level,
    const struct json_object *pod_claims)
{
        const struct json_object *limits = kc_json_get(resources, "limits");
        const struct json_object *requests = kc_json_get(resources, "requests");
        const struct kc_vpath *limits_path = V_CHILD(p, "limits"), *requests_path = V_CHILD(p, "requests");
        bool huge = false, compute = false;
        KC_JSON_FOREACH(limits, name, value)
        {
                const struct kc_vpath *at = V_KEY(limits_path, name);
                (pod_level ? pod_resource_name : kc_v_container_resource_name)(v, at, name);
                kc_v_resource_quantity(v, at, name, value);
                huge_page_multiple(v, at, name, value);
                huge |= is_huge_page(name);
                compute |= is_cpu_or_memory(name);
        }
        KC_JSON_FOREACH(requests, name, value)
        {
                const struct kc_vpath *at = V_KEY(requests_path, name);
                (pod_level ? pod_resource_name : kc_v_container_resource_name)(v, at, name);
                kc_v_resource_quantity(v, at, name, value);
                fits_limit(v, requests_path, limits_path, name, value, kc_json_get(limits, name));
                huge_page_multiple(v, at, name, value);
                huge |= is_huge_page(name);
                compute |= is_cpu_or_memory(name);
        }
        if (huge && !compute)
                kc_v_forbidden(v, p, "HugePages require cpu or memory");
        claims(v, V_CHILD(p, "claims"), kc_json_get(resources, "claims"), pod_claims);
}

/* Every container stays within the limits of the pod, and all of them within its requests. */
static void pod_consistency(struct kc_v *v, const struct kc_vpath *p, const struct json_object *spec)
{
        static const char *const names[] = {"cpu", "memory"};
        const struct json_object *resources = kc_json_get(spec, "resources");
        KC_CLEANUP(kc_json_freep) struct json_object *pod = json_object_new_object();
        char a[KC_QUANTITY_LEN], b[KC_QUANTITY_LEN];
        kc_json_set(pod, "spec", kc_json_copy(spec));
        for (size_t i = 0; i < KC_ARRAY_LEN(names); i++) {
                struct kc_quantity sum = kc_pod_containers_request(pod, names[i]), have;
                if (!kc_v_read_quantity(kc_json_get(kc_json_get(resources, "requests"), names[i]), &have))
                        have = kc_quantity_from_int(0, KC_QUANTITY_DECIMAL_SI);
                if (kc_quantity_cmp(&sum, &have) <= 0)
                        continue;
                KC_CLEANUP(kc_freep)
                char *detail = kc_asprintf(
                    "must be greater than or equal to aggregate container requests of %s", kc_quantity_format(&sum, a));
                kc_v_invalid_str(v, V_KEY(V_CHILD(p, "requests"), names[i]), kc_quantity_format(&have, b), detail);
        }
        const struct json_object *containers = kc_json_get(spec, "containers");
        for (size_t i = 0; i < kc_json_len(containers); i++) {
                KC_JSON_FOREACH(kc_json_at(kc_json_idx(containers, i), "resources.limits"), name, value)
                {
                        struct kc_quantity q, max;
                        if (!kc_v_read_quantity(kc_json_get(kc_json_get(resources, "limits"), name), &max) ||
                            !kc_v_read_quantity(value, &q) || kc_quantity_cmp(&q, &max) <= 0)
                                continue;
                        KC_CLEANUP(kc_freep)
                        char *detail =
                            kc_asprintf("must be less than or equal to pod limits of %s", kc_quantity_format(&max, a));
                        kc_v_invalid_str(v, V_CHILD(V_KEY(V_INDEX(V_CHILD(p, "containers"), i), name), "limits"),
                            kc_quantity_format(&q, b), detail);
                }
        }
}

void kc_v_pod_resources(struct kc_v *v, const struct kc_vpath *spec_path, const struct json_object *spec)
{
        const struct json_object *resources = kc_json_get(spec, "resources");
        const struct kc_vpath *p = V_CHILD(spec_path, "resources");
        if (!resources)
                return;
        if (kc_json_get(resources, "claims"))
                kc_v_forbidden(v, V_CHILD(p, "claims"), "claims cannot be set for Resources at pod-level");
        kc_v_resources(v, p, resources, true, kc_json_get(spec, "resourceClaims"));
        pod_consistency(v, p, spec);
}
