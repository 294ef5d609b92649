/* Nodes. Any thread. */
#include <string.h>

#include "api/validation_internal.h"
#include "base/mem.h"
#include "base/str.h"

static const struct kc_vpath metadata = {.kind = KC_VPATH_CHILD, .key = "metadata"};
static const struct kc_vpath spec_path = {.kind = KC_VPATH_CHILD, .key = "spec"};

static void taints(struct kc_v *v, const struct json_object *list)
{
        const struct kc_vpath *p = V_CHILD(&metadata, "taints"); /* upstream's path */
        KC_CLEANUP(kc_map_freep) struct kc_map *seen = kc_map_new(NULL);
        for (size_t i = 0; i < kc_json_len(list); i++) {
                const struct json_object *t = kc_json_idx(list, i);
                const char *key = kc_v_str(t, "key"), *effect = kc_v_str(t, "effect"), *value = kc_v_str(t, "value");
                const struct kc_vpath *at = V_INDEX(p, i);
                struct kc_why why = {0};
                kc_v_name(v, V_CHILD(at, "key"), key, kc_name_label_key);
                kc_name_label_value(value, &why);
                KC_CLEANUP(kc_freep) char *detail = kc_why_join(&why, ";");
                if (why.n)
                        kc_v_invalid_str(v, V_CHILD(at, "value"), value, detail);
                kc_v_taint_effect(v, V_CHILD(at, "effect"), effect, false);
                KC_CLEANUP(kc_freep) char *pair = kc_asprintf("%s/%s", effect, key);
                if (kc_v_first(seen, pair))
                        continue;
                /* The Go struct that upstream shows. */
                KC_CLEANUP(kc_json_freep)
                struct json_object *shown =
                    kc_json_build("{'Key':%s,'Value':%s,'Effect':%s,'TimeAdded':null}", key, value, effect);
                KC_CLEANUP(kc_freep) char *text = kc_json_to_str(shown);
                KC_CLEANUP(kc_freep)
                char *message = kc_asprintf("Duplicate value: %s: taints must be unique by key and effect pair", text);
                kc_v_add(v, "FieldValueDuplicate", at, message);
        }
}

static void resources(struct kc_v *v, const struct json_object *o)
{
        static const char *const lists[] = {"capacity", "allocatable"};
        for (size_t i = 0; i < KC_ARRAY_LEN(lists); i++) {
                KC_JSON_FOREACH(kc_json_get(kc_json_get(o, "status"), lists[i]), name, value)
                kc_v_resource_quantity(v, V_CHILD(V_CHILD2(NULL, "status", lists[i]), name), name, value);
        }
}

static void pod_cidrs(struct kc_v *v, const struct json_object *list)
{
        const struct kc_vpath *p = V_CHILD(&spec_path, "podCIDRs");
        for (size_t i = 0; i < kc_json_len(list); i++) {
                const char *s = kc_json_as_str(kc_json_idx(list, i));
                (void)kc_v_cidr(v, V_INDEX(p, i), s ? s : ""); /* noted if invalid */
        }
        if (kc_json_len(list) < 2)
                return;
        if (!kc_v_dual_stack(list, NULL))
                kc_v_invalid(v, p, list, "may specify no more than one CIDR for each IP family");
        kc_v_repeated(v, p, list);
}

void kc_v_create_node(struct kc_v *v, const struct json_object *o)
{
        kc_v_meta(v, o, false, kc_name_dns1123_subdomain);
        taints(v, kc_json_at(o, "spec.taints"));
        resources(v, o);
        pod_cidrs(v, kc_json_at(o, "spec.podCIDRs"));
}

/* Set once, by the controller manager. */
static void pod_cidrs_update(struct kc_v *v, const struct json_object *list, const struct json_object *old)
{
        static const char *const fixed = "node updates may not change podCIDR except from \"\" to valid";
        const struct kc_vpath *p = V_CHILD(&spec_path, "podCIDRs");
        if (kc_json_len(old) == 0)
                return;
        if (kc_json_len(old) != kc_json_len(list)) {
                kc_v_forbidden(v, p, fixed);
                return;
        }
        for (size_t i = 0; i < kc_json_len(old); i++) {
                if (!kc_json_equal(kc_json_idx(list, i), kc_json_idx(old, i)))
                        kc_v_forbidden(v, p, fixed);
        }
}

void kc_v_update_node(
    struct kc_v *v, const struct json_object *o, const struct json_object *old, const char *subresource)
{
        const struct json_object *spec = kc_json_get(o, "spec"), *old_spec = kc_json_get(old, "spec");
        const char *provider = kc_v_str(old_spec, "providerID");
        (void)subresource; /* the rules of the status are the same */
        kc_v_meta_update(v, o, old);
        resources(v, o);
        kc_v_repeated(v, V_CHILD2(NULL, "status", "addresses"), kc_json_at(o, "status.addresses"));
        pod_cidrs_update(v, kc_json_get(spec, "podCIDRs"), kc_json_get(old_spec, "podCIDRs"));
        if (*provider && !kc_streq(provider, kc_v_str(spec, "providerID")))
                kc_v_forbidden(v, V_CHILD(&spec_path, "providerID"),
                    "node updates may not change providerID except from \"\" to valid");
        taints(v, kc_json_get(spec, "taints"));
        if (!kc_streq(kc_v_str(spec, "externalID"), kc_v_str(old_spec, "externalID")))
                kc_v_forbidden(v, V_CHILD(&spec_path, "externalID"), "may not be updated");
}
