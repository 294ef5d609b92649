/* What objects of each kind use of a quota, and its scopes. Pods are in quota_pods.c. */
#include "api/quota.h"

#include <string.h>

#include "api/object.h"
#include "api/quota_internal.h"
#include "base/mem.h"
#include "base/str.h"

/* --- Amounts */

static struct kc_quantity amount(const struct json_object *list, const char *name)
{
        struct kc_quantity q;
        const char *s = kc_json_as_str(kc_json_get(list, name));
        return s && kc_quantity_parse(s, &q) == 0 ? q : kc_quantity_from_int(0, KC_QUANTITY_DECIMAL_SI);
}

static void set_amount(struct json_object *list, const char *name, const struct kc_quantity *q)
{
        char text[KC_QUANTITY_LEN];
        kc_json_set_str(list, name, kc_quantity_format(q, text));
}

void kc_amounts_add(struct json_object *to, const struct json_object *from, const struct json_object *only)
{
        KC_JSON_FOREACH(from, name, value)
        {
                (void)value; /* the amount is it */
                if (only && !kc_json_get(only, name))
                        continue;
                struct kc_quantity sum = amount(to, name), q = amount(from, name);
                kc_quantity_add(&sum, &q);
                set_amount(to, name, &sum);
        }
}

void kc_amounts_sub(struct json_object *to, const struct json_object *from)
{
        KC_JSON_FOREACH(from, name, value)
        {
                (void)value; /* the amount is it */
                struct kc_quantity left = amount(to, name), q = amount(from, name);
                kc_quantity_sub(&left, &q);
                set_amount(to, name, &left);
        }
}

bool kc_amounts_is_zero(const struct json_object *amounts, const char *name)
{
        return amount(amounts, name).nano == 0;
}

int kc_amounts_cmp(const struct json_object *a, const struct json_object *b, const char *name)
{
        struct kc_quantity x = amount(a, name), y = amount(b, name);
        return kc_quantity_cmp(&x, &y);
}

bool kc_amounts_equal(const struct json_object *a, const struct json_object *b)
{
        if (kc_json_n_keys(a) != kc_json_n_keys(b))
                return false;
        KC_JSON_FOREACH(a, name, value)
        {
                (void)value; /* the amount is it */
                if (!kc_json_get(b, name) || kc_amounts_cmp(a, b, name) != 0)
                        return false;
        }
        return true;
}

/* --- Services: the type says what they cost */

static void use_service(const struct json_object *svc, kc_time now, struct json_object *used)
{
        (void)now; /* for pods */
        const struct json_object *ports = kc_json_at(svc, "spec.ports");
        const char *type = kc_json_str_at(svc, "spec.type");
        bool balanced = kc_streq(type, "LoadBalancer");
        int64_t node_ports = kc_streq(type, "NodePort") || balanced ? (int64_t)kc_json_len(ports) : 0;
        if (balanced && !kc_json_bool_at(svc, "spec.allocateLoadBalancerNodePorts", true)) {
                node_ports = 0;
                for (size_t i = 0; i < kc_json_len(ports); i++)
                        node_ports += kc_json_int(kc_json_idx(ports, i), "nodePort", 0) != 0;
        }
        quota_set(used, "services", 1);
        quota_set(used, "services.loadbalancers", balanced);
        quota_set(used, "services.nodeports", node_ports);
}

/* --- Claims: of all, and of each class */

#define OF_CLASS ".storageclass.storage.k8s.io/"

static const char *class_of(const struct json_object *claim)
{
        const char *beta = kc_meta_annotation(claim, "volume.beta.kubernetes.io/storage-class");
        return beta ? beta : kc_json_str_at(claim, "spec.storageClassName");
}

static void use_claim(const struct json_object *claim, kc_time now, struct json_object *used)
{
        (void)now; /* for pods */
        const char *class = class_of(claim);
        KC_CLEANUP(kc_freep) char *class_claims = kc_asprintf("%s" OF_CLASS "persistentvolumeclaims", class);
        KC_CLEANUP(kc_freep) char *class_storage = kc_asprintf("%s" OF_CLASS "requests.storage", class);
        quota_set(used, "persistentvolumeclaims", 1);
        if (!kc_str_empty(class))
                quota_set(used, class_claims, 1);
        if (!kc_json_at(claim, "spec.resources.requests"))
                return;
        const struct json_object *wanted = kc_json_at(claim, "spec.resources.requests");
        const struct json_object *allocated = kc_json_at(claim, "status.allocatedResources");
        if (!kc_json_get(wanted, "storage"))
                return;
        /* An expansion that is under way costs what it is for, also after it has been given up. */
        bool more = kc_amounts_cmp(allocated, wanted, "storage") > 0;
        struct kc_quantity q = amount(more ? allocated : wanted, "storage");
        q = kc_quantity_from_int(kc_quantity_value(&q), q.format);
        set_amount(used, "requests.storage", &q);
        if (!kc_str_empty(class))
                set_amount(used, class_storage, &q);
}

static bool claim_counts(const char *name)
{
        return kc_str_has_suffix(name, OF_CLASS "requests.storage") ||
               kc_str_has_suffix(name, OF_CLASS "persistentvolumeclaims");
}

static bool claim_in_scope(const struct quota_scope *s, const struct json_object *claim)
{
        static const char *const paths[] = {"spec.volumeAttributesClassName", "status.currentVolumeAttributesClassName",
            "status.modifyVolumeStatus.targetVolumeAttributesClassName"};
        bool any = false, matches = false;
        if (strcmp(s->name, "VolumeAttributesClass") != 0)
                return false;
        for (size_t i = 0; i < KC_ARRAY_LEN(paths); i++) {
                const char *class = kc_json_str_at(claim, paths[i]);
                any = any || !kc_str_empty(class);
                matches = matches || (!kc_str_empty(class) && quota_scope_selects(s, class));
        }
        return any ? matches : quota_scope_selects(s, NULL);
}

/* --- Resource claims: devices of each class, as many as there may be in the end */

#define OF_DEVICE_CLASS ".deviceclass.resource.k8s.io/devices"

enum { ALLOCATION_MAX = 32 }; /* devices of a request for all */

static void use_devices(struct json_object *used, const struct json_object *request)
{
        const char *mode = kc_json_str(request, "allocationMode"), *class = kc_json_str(request, "deviceClassName");
        bool all = kc_streq(mode, "All");
        if (kc_str_empty(class) || (!all && !kc_streq(mode, "ExactCount")))
                return;
        KC_CLEANUP(kc_freep) char *name = kc_asprintf("%s" OF_DEVICE_CLASS, class);
        quota_set(used, name, all ? ALLOCATION_MAX : kc_json_int(request, "count", 1));
}

static void use_resource_claim(const struct json_object *claim, kc_time now, struct json_object *used)
{
        (void)now; /* for pods */
        const struct json_object *requests = kc_json_at(claim, "spec.devices.requests");
        for (size_t i = 0; i < kc_json_len(requests); i++) {
                const struct json_object *r = kc_json_idx(requests, i), *first = kc_json_get(r, "firstAvailable");
                KC_CLEANUP(kc_json_freep) struct json_object *worst = json_object_new_object();
                use_devices(worst, kc_json_get(r, "exactly"));
                /* One of them will be; of each class, the one with the most devices counts. */
                for (size_t k = 0; k < kc_json_len(first); k++) {
                        KC_CLEANUP(kc_json_freep) struct json_object *one = json_object_new_object();
                        use_devices(one, kc_json_idx(first, k));
                        KC_JSON_FOREACH(one, name, value)
                        {
                                if (kc_amounts_cmp(one, worst, name) > 0)
                                        kc_json_set(worst, name, kc_json_copy(value));
                        }
                }
                kc_amounts_add(used, worst, NULL);
        }
}

static bool resource_claim_counts(const char *name)
{
        return kc_str_has_suffix(name, OF_DEVICE_CLASS);
}

/* --- All kinds */

static const struct evaluator {
        const char *group, *resource;
        const char *const *names; /* besides the count of objects; NULL: none */
        bool (*counts)(const char *name);
        void (*use)(const struct json_object *obj, kc_time now, struct json_object *used);
        bool (*in_scope)(const struct quota_scope *s, const struct json_object *obj);
} evaluators[] = {
    {"", "pods", quota_pod_names, quota_pod_counts, quota_use_pod, quota_pod_in_scope},
    {"", "services", (const char *const[]){"services", "services.loadbalancers", "services.nodeports", NULL}, NULL,
        use_service, NULL},
    {"", "persistentvolumeclaims", (const char *const[]){"persistentvolumeclaims", "requests.storage", NULL},
        claim_counts, use_claim, claim_in_scope},
    {"resource.k8s.io", "resourceclaims", NULL, resource_claim_counts, use_resource_claim, NULL},
    /* They were counted by their own names before there was count/. */
    {"", "replicationcontrollers", (const char *const[]){"replicationcontrollers", NULL}, NULL, NULL, NULL},
    {"", "resourcequotas", (const char *const[]){"resourcequotas", NULL}, NULL, NULL, NULL},
    {"", "secrets", (const char *const[]){"secrets", NULL}, NULL, NULL, NULL},
    {"", "configmaps", (const char *const[]){"configmaps", NULL}, NULL, NULL, NULL},
};

static const struct evaluator *evaluator_of(const char *group, const char *resource)
{
        static const struct evaluator others;
        for (size_t i = 0; i < KC_ARRAY_LEN(evaluators); i++)
                if (strcmp(evaluators[i].group, group) == 0 && strcmp(evaluators[i].resource, resource) == 0)
                        return &evaluators[i];
        return &others;
}

void quota_set(struct json_object *used, const char *name, int64_t n)
{
        struct kc_quantity q = kc_quantity_from_int(n, KC_QUANTITY_DECIMAL_SI);
        set_amount(used, name, &q);
}

static char *count_name(const char *group, const char *resource)
{
        return group[0] ? kc_asprintf("count/%s.%s", resource, group) : kc_asprintf("count/%s", resource);
}

bool kc_quota_ignores(const char *group, const char *resource)
{
        static const char *const core[] = {"bindings", "componentstatuses", "events", NULL};
        static const char *const virtual[] = {"authentication.k8s.io", "authorization.k8s.io", NULL};
        return kc_strv_has((char *const *)virtual, group) ||
               (group[0] == '\0' && kc_strv_has((char *const *)core, resource)) ||
               (strcmp(group, "events.k8s.io") == 0 && strcmp(resource, "events") == 0);
}

bool kc_quota_counts(const char *group, const char *resource, const char *name)
{
        const struct evaluator *e = evaluator_of(group, resource);
        KC_CLEANUP(kc_freep) char *count = count_name(group, resource);
        return strcmp(name, count) == 0 || (e->names && kc_strv_has((char *const *)e->names, name)) ||
               (e->counts && e->counts(name));
}

struct json_object *kc_quota_usage(const char *group, const char *resource, const struct json_object *obj, kc_time now)
{
        const struct evaluator *e = evaluator_of(group, resource);
        struct json_object *used = json_object_new_object();
        KC_CLEANUP(kc_freep) char *count = count_name(group, resource);
        quota_set(used, count, 1);
        if (e->use)
                e->use(obj, now, used);
        else if (e->names)
                quota_set(used, e->names[0], 1);
        return used;
}

/* --- Scopes */

/* A requirement on one label, which value is; NULL: there is none. */
bool quota_scope_selects(const struct quota_scope *s, const char *value)
{
        bool in = false;
        for (size_t i = 0; value && !in && i < kc_json_len(s->values); i++)
                in = kc_streq(kc_json_as_str(kc_json_idx(s->values, i)), value);
        if (kc_streq(s->operator, "In"))
                return in;
        if (kc_streq(s->operator, "NotIn"))
                return !in;
        return kc_streq(s->operator, "DoesNotExist") ? !value : value != NULL;
}

bool kc_quota_scopes_match(
    const struct json_object *quota, const char *group, const char *resource, const struct json_object *obj)
{
        const struct evaluator *e = evaluator_of(group, resource);
        const struct json_object *scopes = kc_json_at(quota, "spec.scopes");
        const struct json_object *selector = kc_json_at(quota, "spec.scopeSelector.matchExpressions");
        for (size_t i = 0; i < kc_json_len(scopes); i++) {
                struct quota_scope s = {.name = kc_json_as_str(kc_json_idx(scopes, i)), .operator= "Exists" };
                if (!s.name || !e->in_scope || !e->in_scope(&s, obj))
                        return false;
        }
        for (size_t i = 0; i < kc_json_len(selector); i++) {
                const struct json_object *r = kc_json_idx(selector, i);
                struct quota_scope s = {.name = kc_json_str(r, "scopeName"),
                    .operator= kc_json_str(r, "operator"),
                    .values = kc_json_get(r, "values")};
                if (!s.name || !e->in_scope || !e->in_scope(&s, obj))
                        return false;
        }
        return true;
}

char *kc_quota_unmet(
    const struct json_object *hard, const char *group, const char *resource, const struct json_object *obj)
{
        return group[0] == '\0' && strcmp(resource, "pods") == 0 ? quota_pod_unmet(hard, obj) : NULL;
}
