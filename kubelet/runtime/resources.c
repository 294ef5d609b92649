/* Resource limits of containers. Any thread. */
#include "kubelet/runtime/resources.h"

#include "base/str.h"
#include "kubelet/pod/pod.h"
#include "kubelet/runtime/runtime_internal.h"

enum {
        MIN_SHARES = 2,
        MAX_SHARES = 262144,
        MIN_QUOTA_USEC = 1000,
        OOM_GUARANTEED = -997,
        OOM_BEST_EFFORT = 1000,
};
#define SYSTEM_CRITICAL_PRIORITY 2000000000

static int64_t quantity_of(const struct json_object *container, const char *path, const char *name, bool milli)
{
        const char *text = kc_json_str(kc_json_at(container, path), name);
        struct kc_quantity q;
        if (!text || kc_quantity_parse(text, &q) < 0)
                return 0;
        return milli ? kc_quantity_milli(&q) : kc_quantity_value(&q);
}

int64_t kc_cpu_shares(int64_t milli_cpu)
{
        if (milli_cpu <= 0)
                return MIN_SHARES;
        int64_t shares = milli_cpu * 1024 / 1000;
        return KC_MIN(KC_MAX(shares, (int64_t)MIN_SHARES), (int64_t)MAX_SHARES);
}

int64_t kc_cpu_quota(int64_t milli_cpu, int64_t period_usec)
{
        if (milli_cpu <= 0)
                return 0;
        return KC_MAX(milli_cpu * period_usec / 1000, (int64_t)MIN_QUOTA_USEC);
}

int kc_oom_score_adj(const struct json_object *pod, const struct json_object *container, int64_t memory_capacity)
{
        if (kc_json_int_at(pod, "spec.priority", 0) >= SYSTEM_CRITICAL_PRIORITY)
                return OOM_GUARANTEED;
        const char *qos = kc_pod_qos(pod);
        if (kc_streq(qos, "Guaranteed"))
                return OOM_GUARANTEED;
        if (kc_streq(qos, "BestEffort") || memory_capacity <= 0)
                return OOM_BEST_EFFORT;
        int64_t request = quantity_of(container, "resources.requests", "memory", false);
        int64_t adj = 1000 - 1000 * request / memory_capacity;
        /* A burstable one ends before guaranteed ones and after best-effort ones. */
        if (adj < 1000 + OOM_GUARANTEED)
                return 1000 + OOM_GUARANTEED;
        return adj == OOM_BEST_EFFORT ? (int)adj - 1 : (int)adj;
}

Runtime__V1__LinuxContainerResources *kc_container_resources_make(
    struct kc_runtime *r, const struct json_object *pod, const struct json_object *container, struct kc_arena *arena)
{
        Runtime__V1__LinuxContainerResources *l = kc_arena_calloc(arena, 1, sizeof(*l));
        runtime__v1__linux_container_resources__init(l);
        int64_t request = quantity_of(container, "resources.requests", "cpu", true);
        int64_t limit = quantity_of(container, "resources.limits", "cpu", true);
        bool has_request = kc_json_get(kc_json_at(container, "resources.requests"), "cpu") != NULL;
        l->cpu_shares = kc_cpu_shares(!has_request && limit > 0 ? limit : request);
        l->memory_limit_in_bytes = quantity_of(container, "resources.limits", "memory", false);
        l->oom_score_adj = kc_oom_score_adj(pod, container, r->o.memory_capacity);
        if (r->o.cpu_cfs_quota) {
                l->cpu_period = r->o.cpu_cfs_period_usec;
                l->cpu_quota = kc_cpu_quota(limit, r->o.cpu_cfs_period_usec);
        }
        return l;
}
