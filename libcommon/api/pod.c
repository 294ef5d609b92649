/* Facts about pods: readiness, and the resources that they ask for. Pure functions: any thread. */
#include <string.h>

#include "api/object.h"
#include "api/pod_internal.h"
#include "base/str.h"

bool kc_pod_is_ready(const struct json_object *pod)
{
        return kc_condition_is_true(kc_json_get(pod, "status"), "Ready");
}

bool kc_pod_is_terminal(const struct json_object *pod)
{
        const char *phase = kc_json_str_at(pod, "status.phase");
        return kc_streq(phase, "Succeeded") || kc_streq(phase, "Failed");
}

bool kc_pod_is_available(const struct json_object *pod, int64_t min_ready_seconds, kc_time now)
{
        if (!kc_pod_is_ready(pod))
                return false;
        if (min_ready_seconds <= 0)
                return true;
        kc_time since;
        const char *s = kc_json_str(kc_condition_get(kc_json_get(pod, "status"), "Ready"), "lastTransitionTime");
        return s && kc_time_parse(s, &since) == 0 && since + min_ready_seconds * KC_SEC <= now;
}

static struct kc_quantity zero(void)
{
        return kc_quantity_from_int(0, KC_QUANTITY_DECIMAL_SI);
}

/* The quantity of a resource list, as a string or a number; zero when absent. True if it is there. */
static bool read_quantity(const struct json_object *list, const char *resource, struct kc_quantity *ret)
{
        const struct json_object *v = kc_json_get(list, resource);
        *ret = zero();
        if (json_object_is_type(v, json_type_int)) {
                *ret = kc_quantity_from_int(kc_json_int(list, resource, 0), KC_QUANTITY_DECIMAL_SI);
                return true;
        }
        const char *s = kc_json_as_str(v);
        return s && kc_quantity_parse(s, ret) == 0;
}

static void raise_to(struct kc_quantity *q, const struct kc_quantity *floor)
{
        if (kc_quantity_cmp(q, floor) < 0)
                *q = *floor;
}

/* A container whose resize is under way counts with the most of what is wanted, allocated and in effect; one whose
 * resize cannot be done, with what it has. part: "requests", "limits". True if any of them is there. */
static bool container_amount(const struct json_object *pod, const struct json_object *container, const char *statuses,
    const char *part, const char *resource, struct kc_quantity *ret)
{
        struct kc_quantity allocated, actual;
        bool has = read_quantity(kc_json_get(kc_json_get(container, "resources"), part), resource, ret);
        const struct json_object *status = kc_json_get(pod, "status");
        const struct json_object *cs =
            kc_json_find(kc_json_get(status, statuses), "name", kc_json_str(container, "name"));
        const struct json_object *list = strcmp(part, "requests") == 0 ? kc_json_get(cs, "allocatedResources") : NULL;
        bool has_allocated = read_quantity(list, resource, &allocated);
        bool has_actual = read_quantity(kc_json_get(kc_json_get(cs, "resources"), part), resource, &actual);
        if (!has_allocated && !has_actual)
                return has;
        const struct json_object *resize = kc_condition_get(status, "PodResizePending");
        if (resize && kc_streq(kc_json_str(resize, "reason"), "Infeasible"))
                *ret = zero();
        raise_to(ret, &allocated);
        raise_to(ret, &actual);
        return true;
}

/* Sidecars run beside everything that starts after them; other init containers run alone, one after the other. False:
 * no container says anything of it. */
static bool containers_amount(
    const struct json_object *pod, const char *part, const char *resource, struct kc_quantity *ret)
{
        const struct json_object *spec = kc_json_get(pod, "spec");
        const struct json_object *containers = kc_json_get(spec, "containers");
        const struct json_object *inits = kc_json_get(spec, "initContainers");
        struct kc_quantity total = zero(), sidecars = zero(), peak = zero(), q;
        bool has = false;
        for (size_t i = 0; i < kc_json_len(containers); i++) {
                has |= container_amount(pod, kc_json_idx(containers, i), "containerStatuses", part, resource, &q);
                kc_quantity_add(&total, &q);
        }
        for (size_t i = 0; i < kc_json_len(inits); i++) {
                const struct json_object *init = kc_json_idx(inits, i);
                has |= container_amount(pod, init, "initContainerStatuses", part, resource, &q);
                if (kc_streq(kc_json_str(init, "restartPolicy"), "Always")) {
                        kc_quantity_add(&sidecars, &q);
                        raise_to(&peak, &sidecars);
                } else {
                        kc_quantity_add(&q, &sidecars);
                        raise_to(&peak, &q);
                }
        }
        kc_quantity_add(&total, &sidecars);
        raise_to(&total, &peak);
        *ret = total;
        return has;
}

struct kc_quantity kc_pod_containers_request(const struct json_object *pod, const char *resource)
{
        struct kc_quantity total;
        (void)containers_amount(pod, "requests", resource, &total); /* zero where nothing is said */
        return total;
}

bool kc_pod_amount(const struct json_object *pod, const char *part, const char *resource, struct kc_quantity *ret)
{
        struct kc_quantity overhead;
        /* What is said of the pod as a whole replaces what is said of its containers. */
        bool pod_level = strcmp(resource, "cpu") == 0 || strcmp(resource, "memory") == 0 ||
                         kc_str_has_prefix(resource, "hugepages-");
        bool has = pod_level && read_quantity(kc_json_get(kc_json_at(pod, "spec.resources"), part), resource, ret);
        if (!has)
                has = containers_amount(pod, part, resource, ret);
        bool costs = read_quantity(kc_json_at(pod, "spec.overhead"), resource, &overhead);
        /* Overhead is a request of its own, but no limit where there is none. */
        if (costs && (strcmp(part, "requests") == 0 || ret->nano != 0)) {
                kc_quantity_add(ret, &overhead);
                has = true;
        }
        return has;
}

int64_t kc_pod_request(const struct json_object *pod, const char *resource)
{
        if (strcmp(resource, "pods") == 0)
                return 1;
        struct kc_quantity total;
        (void)kc_pod_amount(pod, "requests", resource, &total); /* zero where nothing is said */
        return strcmp(resource, "cpu") == 0 ? kc_quantity_milli(&total) : kc_quantity_value(&total);
}
