/* What pods use of a quota: requests and limits as long as they live, and themselves. */
#include <string.h>

#include "api/object.h"
#include "api/quota_internal.h"
#include "api/validation_internal.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"

const char *const quota_pod_names[] = {"pods", "cpu", "memory", "ephemeral-storage", "requests.cpu", "requests.memory",
    "requests.ephemeral-storage", "limits.cpu", "limits.memory", "limits.ephemeral-storage", NULL};

bool quota_pod_counts(const char *name)
{
        return kc_str_has_prefix(name, "hugepages-") || kc_str_has_prefix(name, "requests.hugepages-") ||
               (kc_str_has_prefix(name, "requests.") && !kc_v_is_native_resource(name));
}

/* One that has ended costs nothing, nor does one that the kubelet should have ended long ago. */
static bool is_alive(const struct json_object *pod, kc_time now)
{
        const char *deletion = kc_json_str_at(pod, "metadata.deletionTimestamp");
        int64_t grace = kc_json_int_at(pod, "metadata.deletionGracePeriodSeconds", -1);
        kc_time t;
        if (kc_pod_is_terminal(pod))
                return false;
        return !deletion || grace < 0 || kc_time_parse(deletion, &t) < 0 || now <= t + grace * KC_SEC;
}

static void add_names(struct json_object *names, const struct json_object *resources)
{
        static const char *const parts[] = {"requests", "limits"};
        for (size_t i = 0; i < KC_ARRAY_LEN(parts); i++)
                KC_JSON_FOREACH(kc_json_get(resources, parts[i]), name, value)
                {
                        (void)value; /* only the names */
                        kc_json_set_bool(names, name, true);
                }
}

/* Every resource that the pod says something of. */
static struct json_object *names_of(const struct json_object *pod)
{
        static const char *const lists[] = {
            "spec.containers", "spec.initContainers", "status.containerStatuses", "status.initContainerStatuses"};
        struct json_object *names = json_object_new_object();
        for (size_t l = 0; l < KC_ARRAY_LEN(lists); l++) {
                const struct json_object *list = kc_json_at(pod, lists[l]);
                for (size_t i = 0; i < kc_json_len(list); i++)
                        add_names(names, kc_json_get(kc_json_idx(list, i), "resources"));
        }
        add_names(names, kc_json_at(pod, "spec.resources"));
        KC_JSON_FOREACH(kc_json_at(pod, "spec.overhead"), name, value)
        {
                (void)value; /* only the names */
                kc_json_set_bool(names, name, true);
        }
        return names;
}

static void use_as(struct json_object *used, const char *prefix, const char *name, const struct kc_quantity *q)
{
        char text[KC_QUANTITY_LEN];
        KC_CLEANUP(kc_freep) char *full = kc_asprintf("%s%s", prefix, name);
        kc_json_set_str(used, full, kc_quantity_format(q, text));
}

/* requests, limits: with the names that are set. */
static void use_resource(
    struct json_object *used, const char *name, const struct kc_quantity *request, const struct kc_quantity *limit)
{
        static const char *const computed[] = {"cpu", "memory", "ephemeral-storage", NULL};
        bool is_computed = kc_strv_has((char *const *)computed, name);
        if (request && (is_computed || kc_str_has_prefix(name, "hugepages-")))
                use_as(used, "", name, request);
        if (request && (is_computed || kc_str_has_prefix(name, "hugepages-") || kc_v_is_extended_resource(name)))
                use_as(used, "requests.", name, request);
        if (limit && is_computed)
                use_as(used, "limits.", name, limit);
}

void quota_use_pod(const struct json_object *pod, kc_time now, struct json_object *used)
{
        KC_CLEANUP(kc_json_freep) struct json_object *names = NULL;
        if (!is_alive(pod, now))
                return;
        names = names_of(pod);
        quota_set(used, "pods", 1);
        KC_JSON_FOREACH(names, name, value)
        {
                struct kc_quantity request, limit;
                (void)value; /* only the names */
                bool requests = kc_pod_amount(pod, "requests", name, &request);
                bool limits = kc_pod_amount(pod, "limits", name, &limit);
                use_resource(used, name, requests ? &request : NULL, limits ? &limit : NULL);
        }
}

/* --- Scopes */

static bool term_crosses(const struct json_object *term)
{
        return kc_json_len(kc_json_get(term, "namespaces")) > 0 || kc_json_get(term, "namespaceSelector");
}

static bool affinity_crosses(const struct json_object *affinity)
{
        const struct json_object *required = kc_json_get(affinity, "requiredDuringSchedulingIgnoredDuringExecution");
        const struct json_object *preferred = kc_json_get(affinity, "preferredDuringSchedulingIgnoredDuringExecution");
        bool crosses = false;
        for (size_t i = 0; i < kc_json_len(required); i++)
                crosses = crosses || term_crosses(kc_json_idx(required, i));
        for (size_t i = 0; i < kc_json_len(preferred); i++)
                crosses = crosses || term_crosses(kc_json_get(kc_json_idx(preferred, i), "podAffinityTerm"));
        return crosses;
}

/* Neither requests nor limits of CPU and memory that are not zero, in no container, and not for the pod. */
static bool asks_for_nothing(const struct json_object *resources)
{
        static const char *const parts[] = {"requests", "limits"};
        for (size_t i = 0; i < KC_ARRAY_LEN(parts); i++)
                if (!kc_amounts_is_zero(kc_json_get(resources, parts[i]), "cpu") ||
                    !kc_amounts_is_zero(kc_json_get(resources, parts[i]), "memory"))
                        return false;
        return true;
}

static bool is_best_effort(const struct json_object *pod)
{
        static const char *const lists[] = {"spec.containers", "spec.initContainers"};
        const char *class = kc_json_str_at(pod, "status.qosClass");
        if (!kc_str_empty(class))
                return strcmp(class, "BestEffort") == 0;
        for (size_t l = 0; l < KC_ARRAY_LEN(lists); l++) {
                const struct json_object *list = kc_json_at(pod, lists[l]);
                for (size_t i = 0; i < kc_json_len(list); i++)
                        if (!asks_for_nothing(kc_json_get(kc_json_idx(list, i), "resources")))
                                return false;
        }
        return asks_for_nothing(kc_json_at(pod, "spec.resources"));
}

bool quota_pod_in_scope(const struct quota_scope *s, const struct json_object *pod)
{
        bool terminating = kc_json_int_at(pod, "spec.activeDeadlineSeconds", -1) >= 0;
        if (strcmp(s->name, "Terminating") == 0)
                return terminating;
        if (strcmp(s->name, "NotTerminating") == 0)
                return !terminating;
        if (strcmp(s->name, "BestEffort") == 0)
                return is_best_effort(pod);
        if (strcmp(s->name, "NotBestEffort") == 0)
                return !is_best_effort(pod);
        if (strcmp(s->name, "CrossNamespacePodAffinity") == 0)
                return affinity_crosses(kc_json_at(pod, "spec.affinity.podAffinity")) ||
                       affinity_crosses(kc_json_at(pod, "spec.affinity.podAntiAffinity"));
        if (strcmp(s->name, "PriorityClass") != 0)
                return false;
        const char *class = kc_json_str_at(pod, "spec.priorityClassName");
        return quota_scope_selects(s, kc_str_empty(class) ? NULL : class);
}

/* --- Demands: who has a quota of CPU or memory must say what each container needs of it */

static bool container_says(const struct json_object *container, const char *name)
{
        bool limit = kc_str_has_prefix(name, "limits.");
        const char *dot = strchr(name, '.');
        const struct json_object *resources = kc_json_get(container, "resources");
        return kc_json_get(kc_json_get(resources, limit ? "limits" : "requests"), dot ? dot + 1 : name) != NULL;
}

char *quota_pod_unmet(const struct json_object *hard, const struct json_object *pod)
{
        static const char *const demanded[] = {
            "cpu", "limits.cpu", "limits.memory", "memory", "requests.cpu", "requests.memory"};
        static const char *const lists[] = {"spec.containers", "spec.initContainers"};
        KC_CLEANUP(kc_strv_freep) char **missing = NULL;
        const struct json_object *of_pod = kc_json_at(pod, "spec.resources");
        if (kc_json_n_keys(kc_json_get(of_pod, "requests")) + kc_json_n_keys(kc_json_get(of_pod, "limits")) > 0)
                return NULL;
        for (size_t d = 0; d < KC_ARRAY_LEN(demanded); d++) {
                KC_CLEANUP(kc_strv_freep) char **names = NULL;
                for (size_t l = 0; kc_json_get(hard, demanded[d]) && l < KC_ARRAY_LEN(lists); l++) {
                        const struct json_object *list = kc_json_at(pod, lists[l]);
                        for (size_t i = 0; i < kc_json_len(list); i++)
                                if (!container_says(kc_json_idx(list, i), demanded[d]))
                                        kc_strv_push(&names, kc_json_str(kc_json_idx(list, i), "name"));
                }
                if (!names)
                        continue;
                kc_strv_sort(names);
                KC_CLEANUP(kc_freep) char *joined = kc_strv_join(names, ",");
                kc_strv_pushf(&missing, "%s for: %s", demanded[d], joined);
        }
        if (!missing)
                return NULL;
        KC_CLEANUP(kc_freep) char *all = kc_strv_join(missing, "; ");
        return kc_asprintf("must specify %s", all);
}
