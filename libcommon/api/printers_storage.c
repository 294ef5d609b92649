/* Rows of volumes, storage classes, drivers and quotas. */
#include <string.h>

#include "api/object.h"
#include "api/table_internal.h"
#include "base/mem.h"
#include "base/str.h"

/* "RWO,ROX": in a fixed order. */
static char *access_modes(const struct json_object *modes)
{
        static const struct {
                const char *mode, *letters;
        } names[] = {
            {"ReadWriteOnce", "RWO"}, {"ReadOnlyMany", "ROX"}, {"ReadWriteMany", "RWX"}, {"ReadWriteOncePod", "RWOP"}};
        KC_CLEANUP(kc_strv_freep) char **v = NULL;
        for (size_t i = 0; i < KC_ARRAY_LEN(names); i++) {
                for (size_t k = 0; k < kc_json_len(modes); k++) {
                        if (kc_streq(kc_json_as_str(kc_json_idx(modes, k)), names[i].mode)) {
                                kc_strv_push(&v, names[i].letters);
                                break;
                        }
                }
        }
        return v ? kc_strv_join(v, ",") : kc_strdup("");
}

static const char *storage_class(const struct json_object *obj)
{
        const char *old = kc_meta_annotation(obj, "volume.beta.kubernetes.io/storage-class");
        return old ? old : kc_json_str_at(obj, "spec.storageClassName");
}

static const char *phase(const struct json_object *obj)
{
        return kc_json_at(obj, "metadata.deletionTimestamp") ? "Terminating" : kc_json_str_at(obj, "status.phase");
}

static void cell_or_unset(struct json_object *cells, const char *s)
{
        kc_cell_str(cells, s ? s : "<unset>");
}

/* A quantity; Go prints a missing one as 0. */
static void quantity_cell(struct json_object *cells, const struct json_object *list, const char *name)
{
        const char *s = kc_json_str(list, name);
        kc_cell_str(cells, s ? s : "0");
}

void kc_print_persistent_volume(struct json_object *cells, const struct json_object *obj, kc_time now)
{
        const struct json_object *claim = kc_json_at(obj, "spec.claimRef");
        const char *ns = kc_json_str(claim, "namespace"), *name = kc_json_str(claim, "name");
        kc_cell_name(cells, obj);
        quantity_cell(cells, kc_json_at(obj, "spec.capacity"), "storage");
        kc_cell_str_take(cells, access_modes(kc_json_at(obj, "spec.accessModes")));
        kc_cell_str(cells, kc_json_str_at(obj, "spec.persistentVolumeReclaimPolicy"));
        kc_cell_str(cells, phase(obj));
        kc_cell_str_take(cells, claim ? kc_asprintf("%s/%s", ns ? ns : "", name ? name : "") : kc_strdup(""));
        kc_cell_str(cells, storage_class(obj));
        cell_or_unset(cells, kc_json_str_at(obj, "spec.volumeAttributesClassName"));
        kc_cell_str(cells, kc_json_str_at(obj, "status.reason"));
        kc_cell_age(cells, obj, now);
        cell_or_unset(cells, kc_json_str_at(obj, "spec.volumeMode"));
}

void kc_print_persistent_volume_claim(struct json_object *cells, const struct json_object *obj, kc_time now)
{
        const char *volume = kc_json_str_at(obj, "spec.volumeName");
        kc_cell_name(cells, obj);
        kc_cell_str(cells, phase(obj));
        kc_cell_str(cells, volume);
        if (kc_str_empty(volume)) {
                kc_cell_str(cells, "");
                kc_cell_str(cells, "");
        } else {
                quantity_cell(cells, kc_json_at(obj, "status.capacity"), "storage");
                kc_cell_str_take(cells, access_modes(kc_json_at(obj, "status.accessModes")));
        }
        kc_cell_str(cells, storage_class(obj));
        cell_or_unset(cells, kc_json_str_at(obj, "spec.volumeAttributesClassName"));
        kc_cell_age(cells, obj, now);
        cell_or_unset(cells, kc_json_str_at(obj, "spec.volumeMode"));
}

void kc_print_storage_class(struct json_object *cells, const struct json_object *obj, kc_time now)
{
        static const char *const is_default[] = {
            "storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"};
        const char *name = kc_json_str_at(obj, "metadata.name"), *policy = kc_json_str(obj, "reclaimPolicy");
        const char *mode = kc_json_str(obj, "volumeBindingMode"), *mark = "";
        for (size_t i = 0; i < KC_ARRAY_LEN(is_default); i++)
                if (kc_streq(kc_meta_annotation(obj, is_default[i]), "true"))
                        mark = " (default)";
        kc_cell_str_take(cells, kc_asprintf("%s%s", name ? name : "", mark));
        kc_cell_str(cells, kc_json_str(obj, "provisioner"));
        kc_cell_str(cells, policy ? policy : "Delete");
        kc_cell_str(cells, mode ? mode : "Immediate");
        kc_cell_bool(cells, kc_json_bool(obj, "allowVolumeExpansion", false));
        kc_cell_age(cells, obj, now);
}

void kc_print_volume_attributes_class(struct json_object *cells, const struct json_object *obj, kc_time now)
{
        kc_cell_name(cells, obj);
        kc_cell_str(cells, kc_json_str(obj, "driverName"));
        kc_cell_age(cells, obj, now);
}

void kc_print_volume_attachment(struct json_object *cells, const struct json_object *obj, kc_time now)
{
        kc_cell_name(cells, obj);
        kc_cell_str(cells, kc_json_str_at(obj, "spec.attacher"));
        kc_cell_str(cells, kc_json_str_at(obj, "spec.source.persistentVolumeName"));
        kc_cell_str(cells, kc_json_str_at(obj, "spec.nodeName"));
        kc_cell_bool(cells, kc_json_bool_at(obj, "status.attached", false));
        kc_cell_age(cells, obj, now);
}

void kc_print_csi_node(struct json_object *cells, const struct json_object *obj, kc_time now)
{
        kc_cell_name(cells, obj);
        kc_cell_int(cells, (int64_t)kc_json_len(kc_json_at(obj, "spec.drivers")));
        kc_cell_age(cells, obj, now);
}

void kc_print_csi_driver(struct json_object *cells, const struct json_object *obj, kc_time now)
{
        const struct json_object *spec = kc_json_get(obj, "spec"), *requests = kc_json_get(spec, "tokenRequests");
        const struct json_object *modes = kc_json_get(spec, "volumeLifecycleModes");
        KC_CLEANUP(kc_strv_freep) char **audiences = NULL;
        for (size_t i = 0; i < kc_json_len(requests); i++) {
                const char *audience = kc_json_str(kc_json_idx(requests, i), "audience");
                kc_strv_push(&audiences, audience ? audience : "");
        }
        KC_CLEANUP(kc_freep) char *joined = audiences ? kc_strv_join(audiences, ",") : NULL;
        kc_cell_name(cells, obj);
        kc_cell_bool(cells, kc_json_bool(spec, "attachRequired", true));
        kc_cell_bool(cells, kc_json_bool(spec, "podInfoOnMount", false));
        kc_cell_bool(cells, kc_json_bool(spec, "storageCapacity", false));
        cell_or_unset(cells, joined);
        kc_cell_bool(cells, kc_json_bool(spec, "requiresRepublish", false));
        kc_cell_words(cells, modes, "<none>");
        kc_cell_age(cells, obj, now);
}

/* "pods: 1/10, services: 0/5", and what begins with limits. in a column of its own. */
void kc_print_resource_quota(struct json_object *cells, const struct json_object *obj, kc_time now)
{
        static const char prefix[] = "limits.";
        const struct json_object *hard = kc_json_at(obj, "status.hard"), *used = kc_json_at(obj, "status.used");
        KC_CLEANUP(kc_strv_freep) char **names = NULL;
        KC_CLEANUP(kc_strv_freep) char **requests = NULL;
        KC_CLEANUP(kc_strv_freep) char **limits = NULL;
        KC_JSON_FOREACH(hard, key, val)
        {
                (void)val; /* in the order of the names */
                kc_strv_push(&names, key);
        }
        if (names)
                kc_strv_sort(names);
        for (char **n = names; n && *n; n++) {
                const char *have = kc_json_str(used, *n), *max = kc_json_str(hard, *n);
                kc_strv_pushf(kc_str_has_prefix(*n, prefix) ? &limits : &requests, "%s: %s/%s", *n, have ? have : "0",
                    max ? max : "0");
        }
        kc_cell_name(cells, obj);
        kc_cell_str_take(cells, requests ? kc_strv_join(requests, ", ") : kc_strdup(""));
        kc_cell_str_take(cells, limits ? kc_strv_join(limits, ", ") : kc_strdup(""));
        kc_cell_age(cells, obj, now);
}
