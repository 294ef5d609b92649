/* PersistentVolumes and PersistentVolumeClaims. Any thread. */
#include <string.h>

#include "api/validation_volumes.h"
#include "base/mem.h"
#include "base/str.h"

#define CLASS_ANNOTATION "volume.beta.kubernetes.io/storage-class"
#define INLINE_FORBIDDEN "may not be specified in the context of inline volumes"
#define TO_NIL "update from non-nil value to nil is forbidden"

static const struct kc_vpath spec_path = {.kind = KC_VPATH_CHILD, .key = "spec"};
static const struct kc_vpath status_path = {.kind = KC_VPATH_CHILD, .key = "status"};
static const char *const volume_modes[] = {"Block", "Filesystem", NULL};

static void access_modes(struct kc_v *v, const struct kc_vpath *p, const struct json_object *modes)
{
        static const char *const supported[] = {
            "ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod", NULL};
        bool of_pod = false, other = false;
        for (size_t i = 0; i < kc_json_len(modes); i++) {
                const char *mode = kc_json_as_str(kc_json_idx(modes, i));
                bool known = mode && kc_v_in(mode, supported);
                if (!known)
                        kc_v_not_supported(v, p, mode ? mode : "", supported);
                if (kc_streq(mode, "ReadWriteOncePod"))
                        of_pod = true;
                else
                        other = other || known;
        }
        if (of_pod && other)
                kc_v_forbidden(v, p, "may not use ReadWriteOncePod with other access modes");
}

static void basic_resource(struct kc_v *v, const struct kc_vpath *p, const struct json_object *quantity)
{
        struct kc_quantity q;
        if (kc_v_read_quantity(quantity, &q) && q.nano < 0)
                kc_v_invalid_int(v, p, kc_quantity_value(&q), "must be a valid resource quantity");
}

static void class_name(struct kc_v *v, const struct kc_vpath *p, const struct json_object *spec, const char *key)
{
        const char *name = kc_v_str(spec, key);
        if (*name)
                kc_v_name(v, V_CHILD(p, key), name, kc_name_dns1123_subdomain);
}

static void volume_mode(struct kc_v *v, const struct kc_vpath *p, const struct json_object *spec)
{
        const char *mode = kc_json_str(spec, "volumeMode");
        if (mode && !kc_v_in(mode, volume_modes))
                kc_v_not_supported(v, V_CHILD(p, "volumeMode"), mode, volume_modes);
}

/* --- PersistentVolumes */

static void capacity(struct kc_v *v, const struct kc_vpath *p, const struct json_object *spec)
{
        const struct json_object *capacity = kc_json_get(spec, "capacity");
        const struct kc_vpath *at = V_CHILD(p, "capacity");
        if (kc_json_n_keys(capacity) == 0)
                kc_v_required(v, at, "");
        if (!kc_json_get(capacity, "storage") || kc_json_n_keys(capacity) > 1) {
                KC_CLEANUP(kc_freep) char *text = capacity ? kc_json_to_str(capacity) : kc_strdup("null");
                KC_CLEANUP(kc_freep)
                char *message = kc_asprintf("Unsupported value: %s: supported values: \"storage\"", text);
                kc_v_add(v, "FieldValueNotSupported", at, message);
        }
        KC_JSON_FOREACH(capacity, name, quantity)
        {
                basic_resource(v, V_KEY(at, name), quantity);
                (void)kc_v_positive_quantity(v, V_KEY(at, name), quantity); /* noted if not */
        }
}

/* What an inline volume has none of: it is only there to be attached. */
static void inline_volume(struct kc_v *v, const struct kc_vpath *p, const struct json_object *spec)
{
        if (kc_json_get(spec, "claimRef"))
                kc_v_forbidden(v, V_CHILD(p, "claimRef"), INLINE_FORBIDDEN);
        if (kc_json_n_keys(kc_json_get(spec, "capacity")) > 0)
                kc_v_forbidden(v, V_CHILD(p, "capacity"), INLINE_FORBIDDEN);
        if (!kc_json_get(spec, "csi"))
                kc_v_required(v, V_CHILD(p, "csi"), "has to be specified in the context of inline volumes");
}

static void reclaim_policy(struct kc_v *v, const struct kc_vpath *p, const struct json_object *spec, bool inline_spec)
{
        static const char *const policies[] = {"Delete", "Recycle", "Retain", NULL};
        const char *policy = kc_v_str(spec, "persistentVolumeReclaimPolicy");
        const struct kc_vpath *at = V_CHILD(p, "persistentVolumeReclaimPolicy");
        if (*policy && inline_spec && !kc_streq(policy, "Retain"))
                kc_v_forbidden(v, at, "may only be Retain in the context of inline volumes");
        else if (*policy && !inline_spec && !kc_v_in(policy, policies))
                kc_v_not_supported(v, at, policy, policies);
}

static void node_affinity(struct kc_v *v, const struct kc_vpath *p, const struct json_object *spec, bool inline_spec)
{
        const struct json_object *affinity = kc_json_get(spec, "nodeAffinity");
        const struct json_object *required = kc_json_get(affinity, "required");
        const struct kc_vpath *at = V_CHILD(p, "nodeAffinity");
        if (affinity && inline_spec)
                kc_v_forbidden(v, at, INLINE_FORBIDDEN);
        else if (required)
                kc_v_node_selector(v, V_CHILD(at, "required"), required);
        else if (affinity)
                kc_v_required(v, V_CHILD(at, "required"), "must specify required node constraints");
}

static bool is_root(const char *path)
{
        return *path == '/' && path[strspn(path, "/.")] == '\0' && !strstr(path, "..");
}

static void inline_end(struct kc_v *v, const struct kc_vpath *p, const struct json_object *spec)
{
        const char *mode = kc_json_str(spec, "volumeMode");
        if (*kc_v_str(spec, "storageClassName"))
                kc_v_forbidden(v, V_CHILD(p, "storageClassName"), INLINE_FORBIDDEN);
        if (mode && !kc_streq(mode, "Filesystem"))
                kc_v_forbidden(v, V_CHILD(p, "volumeMode"),
                    "may not specify volumeMode other than Filesystem in the context of inline volumes");
}

static void attributes_class(struct kc_v *v, const struct kc_vpath *p, const struct json_object *spec)
{
        const char *class = kc_json_str(spec, "volumeAttributesClassName");
        if (!class)
                return;
        if (!*class)
                kc_v_required(v, V_CHILD(p, "volumeAttributesClassName"), "an empty string is disallowed");
        class_name(v, p, spec, "volumeAttributesClassName");
        if (!kc_json_get(spec, "csi"))
                kc_v_required(v, V_CHILD(p, "csi"), "has to be specified when using volumeAttributesClassName");
}

void kc_v_persistent_volume_spec(
    struct kc_v *v, const struct kc_vpath *p, const struct json_object *spec, const char *volume)
{
        bool recycle = kc_streq(kc_v_str(spec, "persistentVolumeReclaimPolicy"), "Recycle");
        if (!volume)
                inline_volume(v, p, spec);
        if (kc_json_len(kc_json_get(spec, "accessModes")) == 0)
                kc_v_required(v, V_CHILD(p, "accessModes"), "");
        access_modes(v, V_CHILD(p, "accessModes"), kc_json_get(spec, "accessModes"));
        if (volume)
                capacity(v, p, spec);
        reclaim_policy(v, p, spec, !volume);
        node_affinity(v, p, spec, !volume);
        kc_v_persistent_volume_source(v, p, spec, volume ? volume : "");
        if (recycle && is_root(kc_v_str(kc_json_get(spec, "hostPath"), "path")))
                kc_v_forbidden(
                    v, V_CHILD(p, "persistentVolumeReclaimPolicy"), "may not be 'recycle' for a hostPath mount of '/'");
        if (volume) {
                class_name(v, p, spec, "storageClassName");
                volume_mode(v, p, spec);
        } else {
                inline_end(v, p, spec);
        }
        attributes_class(v, p, spec);
}

void kc_v_create_persistent_volume(struct kc_v *v, const struct json_object *o)
{
        kc_v_meta(v, o, false, kc_name_dns1123_subdomain);
        kc_v_persistent_volume_spec(
            v, &spec_path, kc_json_get(o, "spec"), kc_v_str(kc_json_get(o, "metadata"), "name"));
}

static void source_update(struct kc_v *v, const struct json_object *spec, const struct json_object *old_spec)
{
        const struct json_object *old_csi = kc_json_get(old_spec, "csi");
        KC_CLEANUP(kc_json_freep) struct json_object *now = kc_json_copy(spec);
        /* Once it may be added. */
        if (old_csi && !kc_json_get(old_csi, "controllerExpandSecretRef") && kc_json_get(now, "csi"))
                kc_json_del(kc_json_get_mut(now, "csi"), "controllerExpandSecretRef");
        if (kc_v_same_persistent_volume_source(now, old_spec))
                return;
        struct kc_buf b = KC_BUF_INIT;
        kc_buf_adds(&b, "spec.persistentvolumesource is immutable after creation\n");
        kc_v_describe_difference(&b, "spec", now, old_spec);
        kc_v_forbidden(v, V_CHILD(&spec_path, "persistentvolumesource"), kc_buf_str(&b));
        kc_buf_done(&b);
}

void kc_v_update_persistent_volume(
    struct kc_v *v, const struct json_object *o, const struct json_object *old, const char *subresource)
{
        const struct json_object *spec = kc_json_get(o, "spec"), *old_spec = kc_json_get(old, "spec");
        kc_v_meta_update(v, o, old);
        if (kc_streq(subresource, "status"))
                return;
        kc_v_create_persistent_volume(v, o);
        source_update(v, spec, old_spec);
        kc_v_immutable(
            v, V_CHILD(NULL, "volumeMode"), kc_json_get(spec, "volumeMode"), kc_json_get(old_spec, "volumeMode"));
        if (kc_json_get(old_spec, "nodeAffinity"))
                kc_v_immutable(v, V_CHILD(NULL, "nodeAffinity"), kc_json_get(spec, "nodeAffinity"),
                    kc_json_get(old_spec, "nodeAffinity"));
        if (kc_json_get(old_spec, "volumeAttributesClassName") && !kc_json_get(spec, "volumeAttributesClassName"))
                kc_v_forbidden(v, V_CHILD(&spec_path, "volumeAttributesClassName"), TO_NIL);
}

/* --- Claims */

static void data_source(struct kc_v *v, const struct kc_vpath *p, const struct json_object *source)
{
        const char *kind = kc_v_str(source, "kind"), *group = kc_v_str(source, "apiGroup");
        const char *ns = kc_v_str(source, "namespace");
        if (!*kc_v_str(source, "name"))
                kc_v_required(v, V_CHILD(p, "name"), "");
        if (!*kind)
                kc_v_required(v, V_CHILD(p, "kind"), "");
        if (!*group && !kc_streq(kind, "PersistentVolumeClaim"))
                kc_v_invalid_str(v, p, kind, "must be 'PersistentVolumeClaim' when referencing the default apiGroup");
        if (*group)
                kc_v_name(v, V_CHILD(p, "apiGroup"), group, kc_name_dns1123_subdomain);
        if (*ns)
                kc_v_name(v, V_CHILD(p, "namespace"), ns, kc_name_dns1123_label);
}

static void data_sources(struct kc_v *v, const struct kc_vpath *p, const struct json_object *spec)
{
        static const char *const keys[] = {"apiGroup", "kind", "name"};
        const struct json_object *source = kc_json_get(spec, "dataSource"), *ref = kc_json_get(spec, "dataSourceRef");
        KC_CLEANUP(kc_json_freep) struct json_object *shown = json_object_new_object(); /* upstream shows a path */
        bool same = true;
        if (source)
                data_source(v, V_CHILD(p, "dataSource"), source);
        if (ref)
                data_source(v, V_CHILD(p, "dataSourceRef"), ref);
        if (!source || !ref)
                return;
        for (size_t i = 0; i < KC_ARRAY_LEN(keys); i++)
                same = same && kc_v_equal(kc_json_get(source, keys[i]), kc_json_get(ref, keys[i]));
        if (*kc_v_str(ref, "namespace"))
                kc_v_invalid(v, p, shown, "may not be specified when dataSourceRef.namespace is specified");
        else if (!same)
                kc_v_invalid(v, p, shown, "must match dataSourceRef");
}

void kc_v_claim_spec(struct kc_v *v, const struct kc_vpath *p, const struct json_object *spec)
{
        const struct json_object *modes = kc_json_get(spec, "accessModes");
        const struct json_object *storage = kc_json_at(spec, "resources.requests.storage");
        const struct kc_vpath *storage_path = V_KEY(V_CHILD(p, "resources"), "storage");
        if (kc_json_len(modes) == 0)
                kc_v_required(v, V_CHILD(p, "accessModes"), "at least 1 access mode is required");
        kc_v_label_selector(v, V_CHILD(p, "selector"), kc_json_get(spec, "selector"));
        access_modes(v, V_CHILD(p, "accessModes"), modes);
        if (!storage)
                kc_v_required(v, storage_path, "");
        else if (kc_v_positive_quantity(v, storage_path, storage))
                kc_v_resource_quantity(v, storage_path, "storage", storage);
        class_name(v, p, spec, "storageClassName");
        volume_mode(v, p, spec);
        data_sources(v, p, spec);
        class_name(v, p, spec, "volumeAttributesClassName");
}

void kc_v_template_meta(struct kc_v *v, const struct kc_vpath *p, const struct json_object *meta)
{
        kc_v_annotations(v, V_CHILD(p, "annotations"), kc_json_get(meta, "annotations"));
        kc_v_labels(v, V_CHILD(p, "labels"), kc_json_get(meta, "labels"));
        KC_JSON_FOREACH(meta, key, value)
        {
                if (value && !kc_streq(key, "annotations") && !kc_streq(key, "labels"))
                        kc_v_forbidden(v, V_CHILD(p, key), "cannot be set");
        }
}

void kc_v_claim_template(struct kc_v *v, const struct kc_vpath *p, const struct json_object *template)
{
        kc_v_template_meta(v, V_CHILD(p, "metadata"), kc_json_get(template, "metadata"));
        kc_v_claim_spec(v, V_CHILD(p, "spec"), kc_json_get(template, "spec"));
}

void kc_v_create_persistent_volume_claim(struct kc_v *v, const struct json_object *o)
{
        kc_v_meta(v, o, true, kc_name_dns1123_subdomain);
        kc_v_claim_spec(v, &spec_path, kc_json_get(o, "spec"));
}

static void keep(struct json_object *to, const struct json_object *from, const char *key)
{
        if (kc_json_get(from, key))
                kc_json_set(to, key, kc_json_copy(kc_json_get(from, key)));
        else
                kc_json_del(to, key);
}

/* A class that was not said, or said in the annotation of old, may be filled in. */
static bool may_set_class(const struct json_object *o, const struct json_object *old)
{
        const char *now = kc_json_str_at(o, "spec.storageClassName");
        const char *annotation = kc_json_str(kc_json_at(old, "metadata.annotations"), CLASS_ANNOTATION);
        return now && !kc_json_at(old, "spec.storageClassName") && (!annotation || kc_streq(annotation, now));
}

static void class_annotation(struct kc_v *v, const struct json_object *o, const struct json_object *old)
{
        const char *now = kc_v_str(kc_json_at(o, "metadata.annotations"), CLASS_ANNOTATION);
        const char *before = kc_v_str(kc_json_at(old, "metadata.annotations"), CLASS_ANNOTATION);
        if (may_set_class(o, old) && *before && (!*now || kc_streq(now, before)))
                return;
        if (strcmp(now, before) != 0)
                kc_v_invalid_str(
                    v, V_KEY(V_CHILD2(NULL, "metadata", "annotations"), CLASS_ANNOTATION), now, "field is immutable");
}

static void unchanged_claim(struct kc_v *v, const struct json_object *o, const struct json_object *old)
{
        const struct json_object *old_spec = kc_json_get(old, "spec");
        KC_CLEANUP(kc_json_freep) struct json_object *now = kc_json_copy(kc_json_get(o, "spec"));
        bool bound = kc_streq(kc_json_str_at(o, "status.phase"), "Bound");
        if (!*kc_v_str(old_spec, "volumeName"))
                kc_json_del(now, "volumeName");
        if (may_set_class(o, old))
                keep(now, old_spec, "storageClassName");
        if (bound && kc_json_at(now, "resources.requests"))
                keep(kc_json_at_mut(now, "resources.requests"), kc_json_at(old_spec, "resources.requests"), "storage");
        if (bound && kc_json_get(now, "volumeAttributesClassName"))
                keep(now, old_spec, "volumeAttributesClassName");
        if (kc_v_equal(now, old_spec))
                return;
        struct kc_buf b = KC_BUF_INIT;
        kc_buf_adds(&b,
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound "
            "claims\n");
        kc_v_describe_difference(&b, "spec", now, old_spec);
        kc_v_forbidden(v, &spec_path, kc_buf_str(&b));
        kc_buf_done(&b);
}

static struct kc_quantity storage(const struct json_object *o, const char *path)
{
        struct kc_quantity q;
        const struct kc_quantity zero = {0};
        return kc_v_read_quantity(kc_json_get(kc_json_at(o, path), "storage"), &q) ? q : zero;
}

static void sizes(struct kc_v *v, const struct json_object *o, const struct json_object *old)
{
        struct kc_quantity before = storage(old, "spec.resources.requests"),
                           now = storage(o, "spec.resources.requests");
        struct kc_quantity real = storage(old, "status.capacity");
        if (kc_quantity_cmp(&now, &before) < 0 && kc_quantity_cmp(&now, &real) <= 0)
                kc_v_forbidden(v, V_CHILD(V_CHILD3(NULL, "spec", "resources", "requests"), "storage"),
                    "field can not be less than status.capacity");
}

static void status_resource(struct kc_v *v, const struct kc_vpath *p, const char *name)
{
        static const char *const native[] = {"storage", NULL};
        size_t before = v->errors->n;
        kc_v_name(v, p, name, kc_name_label_key);
        if (v->errors->n == before && kc_v_is_native_resource(name) && !kc_streq(name, "storage"))
                kc_v_not_supported(v, p, name, native);
}

static void claim_status(struct kc_v *v, const struct json_object *o)
{
        static const char *const states[] = {"ControllerResizeInProgress", "ControllerResizeInfeasible",
            "NodeResizeInProgress", "NodeResizeInfeasible", "NodeResizePending", NULL};
        const struct json_object *status = kc_json_get(o, "status");
        const struct kc_vpath *p = V_CHILD(&status_path, "allocatedResources");
        KC_JSON_FOREACH(kc_json_get(status, "capacity"), name, quantity)
        basic_resource(v, V_KEY(V_CHILD(&status_path, "capacity"), name), quantity);
        KC_JSON_FOREACH(kc_json_get(status, "allocatedResourceStatuses"), name, state)
        {
                const struct kc_vpath *at = V_CHILD(&status_path, "allocatedResourceStatus"); /* upstream's path */
                const char *s = kc_json_as_str(state);
                status_resource(v, at, name);
                if (!s || !kc_v_in(s, states))
                        kc_v_not_supported(v, at, name, states);
        }
        KC_JSON_FOREACH(kc_json_get(status, "allocatedResources"), name, quantity)
        {
                size_t before = v->errors->n;
                status_resource(v, p, name);
                if (v->errors->n == before)
                        basic_resource(v, V_KEY(p, name), quantity);
                if (v->errors->n == before)
                        kc_v_resource_quantity(v, V_KEY(p, name), "storage", quantity);
        }
}

static void attributes_class_update(struct kc_v *v, const struct json_object *spec, const struct json_object *old_spec)
{
        const char *now = kc_json_str(spec, "volumeAttributesClassName");
        const struct kc_vpath *p = V_CHILD(&spec_path, "volumeAttributesClassName");
        const char *before = kc_json_str(old_spec, "volumeAttributesClassName");
        if (!before || kc_streq(before, now))
                return;
        if (!now)
                kc_v_forbidden(v, p, TO_NIL);
        else if (!*now)
                kc_v_forbidden(v, p, "update from non-nil value to an empty string is forbidden");
}

void kc_v_update_persistent_volume_claim(
    struct kc_v *v, const struct json_object *o, const struct json_object *old, const char *subresource)
{
        const struct json_object *spec = kc_json_get(o, "spec"), *old_spec = kc_json_get(old, "spec");
        kc_v_meta_update(v, o, old);
        if (kc_streq(subresource, "status")) {
                if (kc_json_len(kc_json_get(spec, "accessModes")) == 0)
                        kc_v_required(v, V_CHILD2(NULL, "Spec", "accessModes"), "");
                claim_status(v, o);
                return;
        }
        kc_v_create_persistent_volume_claim(v, o);
        class_annotation(v, o, old);
        unchanged_claim(v, o, old);
        sizes(v, o, old);
        kc_v_immutable(
            v, V_CHILD(NULL, "volumeMode"), kc_json_get(spec, "volumeMode"), kc_json_get(old_spec, "volumeMode"));
        attributes_class_update(v, spec, old_spec);
}
