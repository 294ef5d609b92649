/* storage.k8s.io: StorageClasses, VolumeAttributesClasses, VolumeAttachments, CSIDrivers, CSINodes and
 * CSIStorageCapacities. Any thread. */
#include <string.h>

#include "api/validation_volumes.h"
#include "base/mem.h"
#include "base/str.h"

enum {
        MAX_PARAMETERS = 512,
        MAX_PARAMETER_BYTES = 256 << 10,
        MAX_METADATA_BYTES = 256 << 10,
        MAX_MESSAGE = 1024,
        MAX_NODE_ID = 256,
};

static const struct kc_vpath spec_path = {.kind = KC_VPATH_CHILD, .key = "spec"};
static const struct kc_vpath status_path = {.kind = KC_VPATH_CHILD, .key = "status"};

static size_t map_bytes(const struct json_object *map)
{
        size_t n = 0;
        KC_JSON_FOREACH(map, key, value)
        {
                (void)value; /* read as a string */
                n += strlen(key) + strlen(kc_v_str(map, key));
        }
        return n;
}

/* --- Classes */

static void provisioner(struct kc_v *v, const struct kc_vpath *p, const char *name)
{
        KC_CLEANUP(kc_freep) char *lower = kc_strdup(name);
        for (char *c = lower; *c; c++)
                *c = *c >= 'A' && *c <= 'Z' ? (char)(*c | 0x20) : *c;
        if (*name)
                kc_v_name(v, p, lower, kc_name_label_key);
        else
                kc_v_required(v, p, "");
}

static void parameters(struct kc_v *v, const struct json_object *map, bool may_be_empty)
{
        const struct kc_vpath *p = V_CHILD(NULL, "parameters");
        if (kc_json_n_keys(map) > MAX_PARAMETERS) {
                kc_v_too_long(v, p, MAX_PARAMETERS);
                return;
        }
        KC_JSON_FOREACH(map, key, value)
        {
                if (!*key)
                        kc_v_invalid_str(v, p, key, "field can not be empty.");
        }
        if (map_bytes(map) > MAX_PARAMETER_BYTES)
                kc_v_too_long(v, p, MAX_PARAMETER_BYTES);
        if (!may_be_empty && kc_json_n_keys(map) == 0)
                kc_v_required(v, p, "must contain at least one key/value pair");
}

static void topology_requirement(
    struct kc_v *v, const struct kc_vpath *p, const struct json_object *r, struct kc_map *keys)
{
        const char *key = kc_v_str(r, "key");
        const struct json_object *values = kc_json_get(r, "values");
        KC_CLEANUP(kc_map_freep) struct kc_map *seen = kc_map_new(NULL);
        if (kc_json_len(values) == 0)
                kc_v_required(v, V_CHILD(p, "values"), "");
        for (size_t i = 0; i < kc_json_len(values); i++) {
                const char *s = kc_json_as_str(kc_json_idx(values, i));
                if (!kc_v_first(seen, s ? s : ""))
                        kc_v_duplicate(v, V_INDEX(V_CHILD(p, "values"), i), s);
        }
        kc_v_name(v, V_CHILD(p, "key"), key, kc_name_label_key);
        if (!kc_v_first(keys, key))
                kc_v_duplicate(v, V_CHILD(p, "key"), key);
}

/* What a term requires, whatever the order. Heap. */
static char *term_text(const struct json_object *exprs)
{
        KC_CLEANUP(kc_strv_freep) char **parts = NULL;
        for (size_t i = 0; i < kc_json_len(exprs); i++) {
                const struct json_object *e = kc_json_idx(exprs, i), *values = kc_json_get(e, "values");
                KC_CLEANUP(kc_strv_freep) char **list = NULL;
                for (size_t j = 0; j < kc_json_len(values); j++)
                        kc_strv_push(&list, kc_json_as_str(kc_json_idx(values, j)));
                if (list)
                        kc_strv_sort_uniq(list);
                KC_CLEANUP(kc_freep) char *text = list ? kc_strv_join(list, "\n") : kc_strdup("");
                kc_strv_pushf(&parts, "%s\t%s", kc_v_str(e, "key"), text);
        }
        if (parts)
                kc_strv_sort_uniq(parts);
        return parts ? kc_strv_join(parts, "\r") : kc_strdup("");
}

static void topologies(struct kc_v *v, const struct json_object *terms)
{
        KC_CLEANUP(kc_map_freep) struct kc_map *seen = kc_map_new(NULL);
        for (size_t i = 0; i < kc_json_len(terms); i++) {
                const struct kc_vpath *p =
                    V_CHILD(V_INDEX(V_CHILD(NULL, "allowedTopologies"), i), "matchLabelExpressions");
                const struct json_object *exprs = kc_json_get(kc_json_idx(terms, i), "matchLabelExpressions");
                KC_CLEANUP(kc_map_freep) struct kc_map *keys = kc_map_new(NULL);
                KC_CLEANUP(kc_freep) char *text = term_text(exprs);
                if (kc_json_len(exprs) == 0)
                        kc_v_required(v, p, "");
                for (size_t j = 0; j < kc_json_len(exprs); j++)
                        topology_requirement(v, V_INDEX(p, j), kc_json_idx(exprs, j), keys);
                if (!kc_v_first(seen, text))
                        kc_v_duplicate(v, p, "");
        }
}

void kc_v_create_storage_class(struct kc_v *v, const struct json_object *o)
{
        static const char *const policies[] = {"Delete", "Retain", NULL};
        static const char *const modes[] = {"Immediate", "WaitForFirstConsumer", NULL};
        const char *policy = kc_v_str(o, "reclaimPolicy"), *mode = kc_json_str(o, "volumeBindingMode");
        kc_v_meta(v, o, false, kc_name_dns1123_subdomain);
        provisioner(v, V_CHILD(NULL, "provisioner"), kc_v_str(o, "provisioner"));
        parameters(v, kc_json_get(o, "parameters"), true);
        if (*policy && !kc_v_in(policy, policies))
                kc_v_not_supported(v, V_CHILD(NULL, "reclaimPolicy"), policy, policies);
        if (!mode)
                kc_v_required(v, V_CHILD(NULL, "volumeBindingMode"), "");
        else if (!kc_v_in(mode, modes))
                kc_v_not_supported(v, V_CHILD(NULL, "volumeBindingMode"), mode, modes);
        topologies(v, kc_json_get(o, "allowedTopologies"));
}

static void fixed(struct kc_v *v, const struct json_object *o, const struct json_object *old, const char *key)
{
        KC_CLEANUP(kc_freep) char *detail = kc_asprintf("updates to %s are forbidden.", key);
        if (!kc_v_equal(kc_json_get(o, key), kc_json_get(old, key)))
                kc_v_forbidden(v, V_CHILD(NULL, key), detail);
}

void kc_v_update_storage_class(
    struct kc_v *v, const struct json_object *o, const struct json_object *old, const char *subresource)
{
        (void)subresource; /* there is none */
        kc_v_create_storage_class(v, o);
        kc_v_meta_update(v, o, old);
        fixed(v, o, old, "parameters");
        fixed(v, o, old, "provisioner");
        fixed(v, o, old, "reclaimPolicy");
        kc_v_immutable(v, V_CHILD(NULL, "volumeBindingMode"), kc_json_get(o, "volumeBindingMode"),
            kc_json_get(old, "volumeBindingMode"));
}

void kc_v_create_volume_attributes_class(struct kc_v *v, const struct json_object *o)
{
        kc_v_meta(v, o, false, kc_name_dns1123_subdomain);
        provisioner(v, V_CHILD(NULL, "driverName"), kc_v_str(o, "driverName"));
        parameters(v, kc_json_get(o, "parameters"), false);
}

void kc_v_update_volume_attributes_class(
    struct kc_v *v, const struct json_object *o, const struct json_object *old, const char *subresource)
{
        (void)subresource; /* there is none */
        kc_v_meta_update(v, o, old);
        fixed(v, o, old, "driverName");
        fixed(v, o, old, "parameters");
        kc_v_create_volume_attributes_class(v, o);
}

/* --- VolumeAttachments */

static void attachment_source(struct kc_v *v, const struct json_object *source)
{
        static const char one[] = "must specify exactly one of inlineVolumeSpec and persistentVolumeName";
        const struct json_object *inline_spec = kc_json_get(source, "inlineVolumeSpec");
        const char *name = kc_json_str(source, "persistentVolumeName");
        const struct kc_vpath *p = V_CHILD(&spec_path, "source");
        if (!inline_spec && !name)
                kc_v_required(v, p, one);
        else if (inline_spec && name)
                kc_v_forbidden(v, p, one);
        else if (name && !*name)
                kc_v_required(v, V_CHILD(p, "persistentVolumeName"), "must specify non empty persistentVolumeName");
        else if (inline_spec)
                kc_v_persistent_volume_spec(v, V_CHILD(p, "inlineVolumeSpec"), inline_spec, NULL);
}

static void volume_error(struct kc_v *v, const struct json_object *status, const char *key)
{
        const struct json_object *e = kc_json_get(status, key);
        const struct kc_vpath *p = V_CHILD(&status_path, key);
        int64_t code = kc_json_int(e, "errorCode", 0);
        if (strlen(kc_v_str(e, "message")) > MAX_MESSAGE)
                kc_v_too_long(v, V_CHILD(p, "message"), MAX_METADATA_BYTES); /* upstream's number */
        if (code < 0)
                kc_v_invalid_int(v, V_CHILD(p, "errorCode"), code, "must be between 0 and 2147483647, inclusive");
}

static void attachment(struct kc_v *v, const struct json_object *o)
{
        const struct json_object *spec = kc_json_get(o, "spec"), *status = kc_json_get(o, "status");
        kc_v_meta(v, o, false, kc_name_dns1123_subdomain);
        if (!*kc_v_str(spec, "attacher"))
                kc_v_required(v, V_CHILD(&spec_path, "attacher"), "");
        attachment_source(v, kc_json_get(spec, "source"));
        kc_v_name(v, V_CHILD(&spec_path, "nodeName"), kc_v_str(spec, "nodeName"), kc_name_dns1123_subdomain);
        if (map_bytes(kc_json_get(status, "attachmentMetadata")) > MAX_METADATA_BYTES)
                kc_v_too_long(v, V_CHILD(&status_path, "attachmentMetadata"), MAX_METADATA_BYTES);
        volume_error(v, status, "attachError");
        volume_error(v, status, "detachError");
}

void kc_v_create_volume_attachment(struct kc_v *v, const struct json_object *o)
{
        const char *name = kc_json_str_at(o, "spec.source.persistentVolumeName");
        attachment(v, o);
        kc_v_csi_driver_name(v, V_CHILD(NULL, "spec.attacher"), kc_v_str(kc_json_get(o, "spec"), "attacher"));
        if (name)
                kc_v_name(v, V_CHILD(NULL, "spec.source.persistentVolumeName"), name, kc_name_dns1123_subdomain);
}

void kc_v_update_volume_attachment(
    struct kc_v *v, const struct json_object *o, const struct json_object *old, const char *subresource)
{
        (void)subresource; /* the same for status */
        attachment(v, o);
        kc_v_immutable(v, &spec_path, kc_json_get(o, "spec"), kc_json_get(old, "spec"));
        kc_v_meta_update(v, o, old);
}

/* --- CSIDrivers */

static void flag(struct kc_v *v, const struct json_object *spec, const char *key, const char *shown)
{
        if (!kc_json_get(spec, key))
                kc_v_required(v, V_CHILD(&spec_path, shown), "");
}

static void token_requests(struct kc_v *v, const struct json_object *requests)
{
        KC_CLEANUP(kc_map_freep) struct kc_map *audiences = kc_map_new(NULL);
        for (size_t i = 0; i < kc_json_len(requests); i++) {
                const struct json_object *r = kc_json_idx(requests, i);
                const struct kc_vpath *p = V_INDEX(V_CHILD(&spec_path, "tokenRequests"), i);
                int64_t seconds = kc_json_int(r, "expirationSeconds", 600);
                if (!kc_v_first(audiences, kc_v_str(r, "audience"))) {
                        kc_v_duplicate(v, V_CHILD(p, "audience"), kc_v_str(r, "audience"));
                        continue;
                }
                p = V_CHILD(p, "expirationSeconds");
                if (seconds < 600)
                        kc_v_invalid_int(v, p, seconds, "may not specify a duration less than 10 minutes");
                if (seconds > (int64_t)1 << 32)
                        kc_v_invalid_int(v, p, seconds, "may not specify a duration larger than 2^32 seconds");
        }
}

static void driver_spec(struct kc_v *v, const struct json_object *spec)
{
        static const char *const policies[] = {"File", "None", "ReadWriteOnceWithFSType", NULL};
        static const char *const modes[] = {"Persistent", "Ephemeral", NULL};
        const char *policy = kc_json_str(spec, "fsGroupPolicy");
        const struct json_object *given = kc_json_get(spec, "volumeLifecycleModes");
        const struct json_object *in_secrets = kc_json_get(spec, "serviceAccountTokenInSecrets");
        int64_t period = kc_json_int(spec, "nodeAllocatableUpdatePeriodSeconds", 10);
        flag(v, spec, "attachRequired", "attachedRequired");
        flag(v, spec, "podInfoOnMount", "podInfoOnMount");
        flag(v, spec, "storageCapacity", "storageCapacity");
        if (policy && !kc_v_in(policy, policies))
                kc_v_not_supported(v, V_CHILD(&spec_path, "fsGroupPolicy"), policy, policies);
        token_requests(v, kc_json_get(spec, "tokenRequests"));
        for (size_t i = 0; i < kc_json_len(given); i++) {
                const char *mode = kc_json_as_str(kc_json_idx(given, i));
                if (!mode || !kc_v_in(mode, modes))
                        kc_v_not_supported(v, V_CHILD(&spec_path, "volumeLifecycleModes"), mode ? mode : "", modes);
        }
        flag(v, spec, "seLinuxMount", "seLinuxMount");
        if (period < 10)
                kc_v_invalid_int(v, V_CHILD(&spec_path, "nodeAllocatableUpdatePeriodSeconds"), period,
                    "must be greater than or equal to 10 seconds");
        if (in_secrets && kc_json_len(kc_json_get(spec, "tokenRequests")) == 0)
                kc_v_invalid(v, V_CHILD(&spec_path, "serviceAccountTokenInSecrets"), in_secrets,
                    "serviceAccountTokenInSecrets is set but no tokenRequests are specified");
}

void kc_v_create_csi_driver(struct kc_v *v, const struct json_object *o)
{
        kc_v_meta(v, o, false, kc_name_dns1123_subdomain);
        driver_spec(v, kc_json_get(o, "spec"));
}

void kc_v_update_csi_driver(
    struct kc_v *v, const struct json_object *o, const struct json_object *old, const char *subresource)
{
        const struct json_object *spec = kc_json_get(o, "spec"), *old_spec = kc_json_get(old, "spec");
        (void)subresource; /* there is none */
        kc_v_meta_update(v, o, old);
        driver_spec(v, spec);
        kc_v_immutable(v, V_CHILD(&spec_path, "attachedRequired"), kc_json_get(spec, "attachRequired"),
            kc_json_get(old_spec, "attachRequired"));
        kc_v_immutable(v, V_CHILD(&spec_path, "volumeLifecycleModes"), kc_json_get(spec, "volumeLifecycleModes"),
            kc_json_get(old_spec, "volumeLifecycleModes"));
}

/* --- CSINodes */

static void node_driver(struct kc_v *v, const struct kc_vpath *p, const struct json_object *driver, struct kc_map *seen)
{
        const char *name = kc_v_str(driver, "name"), *id = kc_v_str(driver, "nodeID");
        const struct json_object *keys = kc_json_get(driver, "topologyKeys");
        KC_CLEANUP(kc_map_freep) struct kc_map *seen_keys = kc_map_new(NULL);
        kc_v_csi_driver_name(v, V_CHILD(p, "name"), name);
        if (!*id)
                kc_v_required(v, V_CHILD(p, "nodeID"), "");
        if (strlen(id) > MAX_NODE_ID)
                kc_v_invalid_str(v, V_CHILD(p, "nodeID"), id, "must be 256 characters or less");
        kc_v_nonnegative(v, V_CHILD(p, "allocatable"), kc_json_get(driver, "allocatable"), "count");
        if (!kc_v_first(seen, name))
                kc_v_duplicate(v, V_CHILD(p, "name"), name);
        for (size_t i = 0; i < kc_json_len(keys); i++) {
                const char *key = kc_json_as_str(kc_json_idx(keys, i));
                if (kc_str_empty(key))
                        kc_v_required(v, p, "");
                if (!kc_v_first(seen_keys, key ? key : ""))
                        kc_v_duplicate(v, p, key);
                kc_v_name(v, p, key ? key : "", kc_name_label_key);
        }
}

void kc_v_create_csi_node(struct kc_v *v, const struct json_object *o)
{
        const struct json_object *drivers = kc_json_at(o, "spec.drivers");
        KC_CLEANUP(kc_map_freep) struct kc_map *seen = kc_map_new(NULL);
        kc_v_meta(v, o, false, kc_name_dns1123_subdomain);
        for (size_t i = 0; i < kc_json_len(drivers); i++)
                node_driver(v, V_INDEX(V_CHILD(&spec_path, "drivers"), i), kc_json_idx(drivers, i), seen);
}

void kc_v_update_csi_node(
    struct kc_v *v, const struct json_object *o, const struct json_object *old, const char *subresource)
{
        const struct json_object *drivers = kc_json_at(o, "spec.drivers"), *before = kc_json_at(old, "spec.drivers");
        KC_CLEANUP(kc_map_freep) struct kc_map *by_name = kc_v_index(drivers, "name");
        (void)subresource; /* there is none */
        kc_v_create_csi_node(v, o);
        for (size_t i = 0; i < kc_json_len(before); i++) {
                const struct json_object *now = kc_map_get(by_name, kc_v_str(kc_json_idx(before, i), "name"));
                KC_CLEANUP(kc_json_freep) struct json_object *a = now ? kc_json_copy(now) : NULL;
                KC_CLEANUP(kc_json_freep) struct json_object *b = kc_json_copy(kc_json_idx(before, i));
                if (!now)
                        continue;
                kc_json_del(a, "allocatable");
                kc_json_del(b, "allocatable");
                kc_v_immutable(v, V_CHILD(&spec_path, "drivers"), a, b);
        }
        kc_v_meta_update(v, o, old);
}

/* --- CSIStorageCapacities */

void kc_v_create_csi_storage_capacity(struct kc_v *v, const struct json_object *o)
{
        kc_v_meta(v, o, true, kc_name_dns1123_subdomain);
        kc_v_label_selector(v, V_CHILD(NULL, "nodeTopology"), kc_json_get(o, "nodeTopology"));
        kc_v_name(v, V_CHILD(NULL, "storageClassName"), kc_v_str(o, "storageClassName"), kc_name_dns1123_subdomain);
        kc_v_nonnegative_quantity(v, V_CHILD(NULL, "capacity"), kc_json_get(o, "capacity"));
}

void kc_v_update_csi_storage_capacity(
    struct kc_v *v, const struct json_object *o, const struct json_object *old, const char *subresource)
{
        static const char *const keys[] = {"nodeTopology", "storageClassName"};
        (void)subresource; /* there is none */
        kc_v_create_csi_storage_capacity(v, o);
        kc_v_meta_update(v, o, old);
        for (size_t i = 0; i < KC_ARRAY_LEN(keys); i++)
                kc_v_immutable(v, V_CHILD(NULL, keys[i]), kc_json_get(o, keys[i]), kc_json_get(old, keys[i]));
}
