/* ObjectMeta: what every kind's metadata must be, on creation and on update. Any thread. */
#include <stdio.h>
#include <string.h>

#include "api/validation_internal.h"
#include "base/mem.h"
#include "base/str.h"

static const struct kc_vpath metadata = {.kind = KC_VPATH_CHILD, .key = "metadata"};

static void owner_reference(struct kc_v *v, const struct kc_vpath *p, const struct json_object *ref)
{
        const char *api_version = kc_v_str(ref, "apiVersion"), *kind = kc_v_str(ref, "kind");
        const char *slash = strchr(api_version, '/');
        const char *version = slash ? slash + 1 : api_version;
        if (!*version || strchr(version, '/'))
                kc_v_invalid_str(v, V_CHILD(p, "apiVersion"), api_version, "version must not be empty");
        if (!*kind)
                kc_v_invalid_str(v, V_CHILD(p, "kind"), kind, "must not be empty");
        if (!*kc_v_str(ref, "name"))
                kc_v_invalid_str(v, V_CHILD(p, "name"), "", "must not be empty");
        if (!*kc_v_str(ref, "uid"))
                kc_v_invalid_str(v, V_CHILD(p, "uid"), "", "must not be empty");
        if (kc_streq(api_version, "v1") && kc_streq(kind, "Event"))
                kc_v_invalid(v, p, ref, "/v1, Kind=Event is disallowed from being an owner");
}

static void owner_references(struct kc_v *v, const struct json_object *meta)
{
        const struct kc_vpath *p = V_CHILD(&metadata, "ownerReferences");
        const struct json_object *refs = kc_json_get(meta, "ownerReferences"), *controller = NULL;
        for (size_t i = 0; i < kc_json_len(refs); i++) {
                const struct json_object *ref = kc_json_idx(refs, i);
                owner_reference(v, p, ref);
                if (!kc_json_bool(ref, "controller", false))
                        continue;
                if (!controller) {
                        controller = ref;
                        continue;
                }
                KC_CLEANUP(kc_freep)
                char *detail =
                    kc_asprintf("Only one reference can have Controller set to true. Found \"true\" in references for "
                                "%s/%s and %s/%s",
                        kc_v_str(controller, "kind"), kc_v_str(controller, "name"), kc_v_str(ref, "kind"),
                        kc_v_str(ref, "name"));
                kc_v_invalid(v, p, refs, detail);
        }
}

static bool has_finalizer(const struct json_object *list, const char *name)
{
        for (size_t i = 0; i < kc_json_len(list); i++) {
                if (kc_streq(kc_json_as_str(kc_json_idx(list, i)), name))
                        return true;
        }
        return false;
}

static void finalizers(struct kc_v *v, const struct json_object *meta)
{
        const struct kc_vpath *p = V_CHILD(&metadata, "finalizers");
        const struct json_object *list = kc_json_get(meta, "finalizers");
        for (size_t i = 0; i < kc_json_len(list); i++) {
                const char *name = kc_json_as_str(kc_json_idx(list, i));
                kc_v_name(v, p, name ? name : "", kc_name_label_key);
        }
        if (has_finalizer(list, "orphan") && has_finalizer(list, "foregroundDeletion"))
                kc_v_invalid(v, p, list, "finalizer orphan and foregroundDeletion cannot be both set");
}

static void kube_finalizers(struct kc_v *v, const struct json_object *meta)
{
        const struct json_object *list = kc_json_get(meta, "finalizers");
        for (size_t i = 0; i < kc_json_len(list); i++) {
                const char *name = kc_json_as_str(kc_json_idx(list, i));
                kc_v_kube_finalizer(v, V_INDEX(V_CHILD(&metadata, "finalizers"), i), name ? name : "");
        }
}

static void managed_fields(struct kc_v *v, const struct json_object *meta)
{
        enum { MAX_MANAGER = 128, MAX_SUBRESOURCE = 256 };
        const struct json_object *list = kc_json_get(meta, "managedFields");
        for (size_t i = 0; i < kc_json_len(list); i++) {
                const struct json_object *e = kc_json_idx(list, i);
                const struct kc_vpath *p = V_INDEX(V_CHILD(&metadata, "managedFields"), i);
                const char *operation = kc_v_str(e, "operation"), *type = kc_v_str(e, "fieldsType");
                if (!kc_streq(operation, "Apply") && !kc_streq(operation, "Update"))
                        kc_v_invalid_str(v, V_CHILD(p, "operation"), operation, "must be `Apply` or `Update`");
                if (*type && !kc_streq(type, "FieldsV1"))
                        kc_v_invalid_str(v, V_CHILD(p, "fieldsType"), type, "must be `FieldsV1`");
                if (strlen(kc_v_str(e, "manager")) > MAX_MANAGER)
                        kc_v_too_long(v, V_CHILD(p, "manager"), MAX_MANAGER);
                if (strlen(kc_v_str(e, "subresource")) > MAX_SUBRESOURCE)
                        kc_v_too_long(v, V_CHILD(p, "subresource"), MAX_SUBRESOURCE);
        }
}

/* A generated name ends in random characters: a dash before them is fine. */
static void generate_name(struct kc_v *v, const char *prefix, kc_name_fn name)
{
        size_t n = strlen(prefix);
        KC_CLEANUP(kc_freep) char *masked = kc_strdup(prefix);
        if (n > 1 && masked[n - 1] == '-') {
                masked[n - 2] = 'a';
                masked[n - 1] = '\0';
        }
        struct kc_why why = {0};
        name(masked, &why);
        for (size_t i = 0; i < why.n; i++)
                kc_v_invalid_str(v, V_CHILD(&metadata, "generateName"), prefix, why.v[i]);
}

static void namespace_of(struct kc_v *v, const struct json_object *meta, bool namespaced)
{
        const struct kc_vpath *p = V_CHILD(&metadata, "namespace");
        const char *ns = kc_v_str(meta, "namespace");
        if (!namespaced && *ns)
                kc_v_forbidden(v, p, "not allowed on this type");
        else if (namespaced && !*ns)
                kc_v_required(v, p, "");
        else if (namespaced)
                kc_v_name(v, p, ns, kc_name_dns1123_label);
}

void kc_v_meta(struct kc_v *v, const struct json_object *obj, bool namespaced, kc_name_fn name)
{
        const struct json_object *meta = kc_json_get(obj, "metadata");
        const char *given = kc_v_str(meta, "name"), *prefix = kc_v_str(meta, "generateName");
        if (*prefix)
                generate_name(v, prefix, name);
        if (*given)
                kc_v_name(v, V_CHILD(&metadata, "name"), given, name);
        else
                kc_v_required(v, V_CHILD(&metadata, "name"), "name or generateName is required");
        namespace_of(v, meta, namespaced);
        kc_v_nonnegative(v, &metadata, meta, "generation");
        kc_v_labels(v, V_CHILD(&metadata, "labels"), kc_json_get(meta, "labels"));
        kc_v_annotations(v, V_CHILD(&metadata, "annotations"), kc_json_get(meta, "annotations"));
        owner_references(v, meta);
        finalizers(v, meta);
        managed_fields(v, meta);
        kube_finalizers(v, meta);
}

/* Nothing may delay a deletion that has begun. */
static void no_new_finalizers(struct kc_v *v, const struct json_object *meta, const struct json_object *old)
{
        const struct json_object *list = kc_json_get(meta, "finalizers"), *before = kc_json_get(old, "finalizers");
        KC_CLEANUP(kc_strv_freep) char **extra = NULL;
        KC_CLEANUP(kc_map_freep) struct kc_map *known = kc_v_index(before, NULL);
        for (size_t i = 0; i < kc_json_len(list); i++) {
                const char *name = kc_json_as_str(kc_json_idx(list, i));
                if (name && !kc_map_has(known, name))
                        kc_strv_push(&extra, name);
        }
        if (!extra)
                return;
        kc_strv_sort_uniq(extra);
        struct kc_buf b = KC_BUF_INIT;
        kc_buf_adds(
            &b, "no new finalizers can be added if the object is being deleted, found new finalizers []string{");
        for (size_t i = 0; extra[i]; i++) {
                kc_buf_adds(&b, i ? ", " : "");
                kc_quote_add(&b, extra[i]);
        }
        kc_buf_adds(&b, "}");
        kc_v_forbidden(v, V_CHILD(&metadata, "finalizers"), kc_buf_str(&b));
        kc_buf_done(&b);
}

static void immutable_str(
    struct kc_v *v, const struct json_object *meta, const struct json_object *old, const char *key)
{
        const char *s = kc_v_str(meta, key);
        if (strcmp(s, kc_v_str(old, key)) != 0)
                kc_v_invalid_str(v, V_CHILD(&metadata, key), s, "field is immutable");
}

void kc_v_meta_update(struct kc_v *v, const struct json_object *obj, const struct json_object *old_obj)
{
        static const char *const strings[] = {"name", "namespace", "uid"};
        static const char *const values[] = {"creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"};
        const struct json_object *meta = kc_json_get(obj, "metadata"), *old = kc_json_get(old_obj, "metadata");
        if (kc_json_get(old, "deletionTimestamp"))
                no_new_finalizers(v, meta, old);
        if (!*kc_v_str(meta, "resourceVersion"))
                kc_v_invalid_str(v, V_CHILD(&metadata, "resourceVersion"), "", "must be specified for an update");
        int64_t generation = kc_json_int(meta, "generation", 0);
        if (generation < kc_json_int(old, "generation", 0))
                kc_v_invalid_int(v, V_CHILD(&metadata, "generation"), generation, "must not be decremented");
        for (size_t i = 0; i < KC_ARRAY_LEN(strings); i++)
                immutable_str(v, meta, old, strings[i]);
        for (size_t i = 0; i < KC_ARRAY_LEN(values); i++)
                kc_v_immutable(
                    v, V_CHILD(&metadata, values[i]), kc_json_get(meta, values[i]), kc_json_get(old, values[i]));
        kc_v_labels(v, V_CHILD(&metadata, "labels"), kc_json_get(meta, "labels"));
        kc_v_annotations(v, V_CHILD(&metadata, "annotations"), kc_json_get(meta, "annotations"));
        owner_references(v, meta);
        managed_fields(v, meta);
        kube_finalizers(v, meta);
}
