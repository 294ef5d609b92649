/* Defaults of storage, limits, policies, devices and custom resources. Pure functions on the caller's tree, but for the
 * time that taints of devices get: any thread. */
#include <ctype.h>

#include "api/defaults_internal.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"

/* --- volumes and quotas: their quantities */

void kc_default_persistent_volume(struct json_object *o)
{
        kc_default_resource_list(kc_json_at_mut(o, "spec.capacity"));
}

void kc_default_persistent_volume_claim(struct json_object *o)
{
        kc_default_resource_list(kc_json_at_mut(o, "spec.resources.requests"));
        kc_default_resource_list(kc_json_at_mut(o, "spec.resources.limits"));
        kc_default_resource_list(kc_json_at_mut(o, "status.capacity"));
        kc_default_resource_list(kc_json_at_mut(o, "status.allocatedResources"));
}

void kc_default_resource_quota(struct json_object *o)
{
        kc_default_resource_list(kc_json_at_mut(o, "spec.hard"));
        kc_default_resource_list(kc_json_at_mut(o, "status.hard"));
        kc_default_resource_list(kc_json_at_mut(o, "status.used"));
}

void kc_default_runtime_class(struct json_object *o)
{
        kc_default_resource_list(kc_json_at_mut(o, "overhead.podFixed"));
}

void kc_default_csi_driver(struct json_object *o)
{
        struct json_object *spec = kc_json_ensure_obj(o, "spec");
        if (kc_json_len(kc_json_get(spec, "volumeLifecycleModes")) == 0)
                kc_json_set(spec, "volumeLifecycleModes", kc_json_build("['Persistent']"));
}

/* --- LimitRanges: of containers, a maximum is the default limit, that the default request, else the minimum is */

static void copy_missing(struct json_object *item, const char *to, const char *from)
{
        const struct json_object *source = kc_json_get(item, from);
        KC_JSON_FOREACH(source, name, value)
        {
                kc_default_missing(kc_json_ensure_obj(item, to), name, kc_json_copy(value));
        }
}

void kc_default_limit_range(struct json_object *o)
{
        static const char *const lists[] = {"max", "min", "default", "defaultRequest", "maxLimitRequestRatio"};
        struct json_object *limits = kc_json_at_mut(o, "spec.limits");
        for (size_t i = 0; i < kc_json_len(limits); i++) {
                struct json_object *item = kc_json_idx_mut(limits, i);
                for (size_t k = 0; k < KC_ARRAY_LEN(lists); k++)
                        kc_default_resource_list(kc_json_get_mut(item, lists[k]));
                if (!kc_streq(kc_json_str(item, "type"), "Container"))
                        continue;
                copy_missing(item, "default", "max");
                copy_missing(item, "defaultRequest", "default");
                copy_missing(item, "defaultRequest", "min");
        }
}

void kc_default_network_policy(struct json_object *o)
{
        struct json_object *spec = kc_json_ensure_obj(o, "spec");
        if (kc_json_len(kc_json_get(spec, "policyTypes")) > 0)
                return;
        struct json_object *types = kc_json_build("['Ingress']");
        if (kc_json_len(kc_json_get(spec, "egress")) > 0)
                kc_json_push_str(types, "Egress");
        kc_json_set(spec, "policyTypes", types);
}

/* --- devices */

static void default_count(struct json_object *request)
{
        if (request && kc_streq(kc_json_str(request, "allocationMode"), "ExactCount"))
                kc_default_int(request, "count", 1);
}

static void default_claim(struct json_object *devices)
{
        struct json_object *requests = kc_json_get_mut(devices, "requests");
        for (size_t i = 0; i < kc_json_len(requests); i++) {
                struct json_object *r = kc_json_idx_mut(requests, i), *either = kc_json_get_mut(r, "firstAvailable");
                default_count(kc_json_get_mut(r, "exactly"));
                for (size_t k = 0; k < kc_json_len(either); k++)
                        default_count(kc_json_idx_mut(either, k));
        }
}

void kc_default_resource_claim(struct json_object *o)
{
        default_claim(kc_json_at_mut(o, "spec.devices"));
}

void kc_default_resource_claim_template(struct json_object *o)
{
        default_claim(kc_json_at_mut(o, "spec.spec.devices"));
}

void kc_default_resource_slice(struct json_object *o)
{
        char now[KC_TIME_LEN];
        struct json_object *devices = kc_json_at_mut(o, "spec.devices");
        for (size_t i = 0; i < kc_json_len(devices); i++) {
                struct json_object *taints = kc_json_get_mut(kc_json_idx_mut(devices, i), "taints");
                for (size_t k = 0; k < kc_json_len(taints); k++)
                        kc_default_missing(kc_json_idx_mut(taints, k), "timeAdded",
                            json_object_new_string(kc_time_format(kc_clock_now(NULL), now)));
        }
}

/* --- CustomResourceDefinitions */

static void default_names(struct json_object *names)
{
        const char *kind = kc_json_str(names, "kind");
        if (kc_str_empty(kind))
                return;
        KC_CLEANUP(kc_freep) char *list = kc_asprintf("%sList", kind);
        KC_CLEANUP(kc_freep) char *singular = kc_strdup(kind);
        for (char *p = singular; *p; p++)
                *p = (char)tolower((unsigned char)*p);
        kc_default_str(names, "listKind", list);
        kc_default_str(names, "singular", singular);
}

void kc_default_custom_resource_definition(struct json_object *o)
{
        struct json_object *spec = kc_json_ensure_obj(o, "spec"), *status = kc_json_ensure_obj(o, "status");
        default_names(kc_json_ensure_obj(spec, "names"));
        kc_default_missing(spec, "conversion", kc_json_build("{'strategy':'None'}"));
        const struct json_object *versions = kc_json_get(spec, "versions");
        for (size_t i = 0; i < kc_json_len(versions) && kc_json_len(kc_json_get(status, "storedVersions")) == 0; i++) {
                const struct json_object *v = kc_json_idx(versions, i);
                if (kc_json_bool(v, "storage", false))
                        kc_json_set(status, "storedVersions", kc_json_build("[%s]", kc_json_str(v, "name")));
        }
}
