/* namespace, namePrefix, nameSuffix, labels, annotations, images, replicas. Any thread. */
#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "cli/kustomize/kustomize_internal.h"

/* --- names */

static void set_name(struct kustomize_resource *r, const char *prefix, const char *suffix)
{
        KC_CLEANUP(kc_freep) char *name = kc_asprintf("%s%s%s", prefix, kustomize_resource_name(r), suffix);
        kustomize_resource_remember(r);
        kc_json_set_str(kc_json_ensure_obj(r->obj, "metadata"), "name", name);
}

/* Names of these are what they are. */
static bool keeps_name(const struct kustomize_resource *r)
{
        static const char *const kinds[] = {"CustomResourceDefinition", "APIService", "Namespace"};
        for (size_t i = 0; i < KC_ARRAY_LEN(kinds); i++)
                if (strcmp(kinds[i], kustomize_resource_kind(r)) == 0)
                        return true;
        return false;
}

int kustomize_transform_names(const struct kustomize_dir *d, struct kustomize_resources *r, struct kc_error *err)
{
        (void)err;
        const char *prefix = kc_json_str(d->kustomization, "namePrefix"),
                   *suffix = kc_json_str(d->kustomization, "nameSuffix");
        for (size_t i = 0; i < r->n; i++) {
                if (keeps_name(r->v[i]))
                        continue;
                /* Also without a change: which kustomizations a resource has gone through tells apart what is alike. */
                if (!kc_str_empty(prefix))
                        kc_strv_push(&r->v[i]->prefixes, prefix);
                if (!kc_str_empty(suffix))
                        kc_strv_push(&r->v[i]->suffixes, suffix);
                if (!kc_str_empty(prefix) || !kc_str_empty(suffix))
                        set_name(r->v[i], prefix ? prefix : "", suffix ? suffix : "");
        }
        return 0;
}

/* --- namespace */

static int put_string(struct json_object *parent, const char *key, void *arg, struct kc_error *err)
{
        (void)err;
        kc_json_set_str(parent, key, arg);
        return 0;
}

static const struct kustomize_field_spec namespace_fields[] = {
    {NULL, "APIService", "spec/service/namespace", false},
    {NULL, "ValidatingWebhookConfiguration", "webhooks/clientConfig/service/namespace", false},
    {NULL, "MutatingWebhookConfiguration", "webhooks/clientConfig/service/namespace", false},
    {NULL, "CustomResourceDefinition", "spec/conversion/webhook/clientConfig/service/namespace", false},
};

/* The account that each namespace has of itself. */
static void set_subjects(struct kustomize_resource *r, const char *ns)
{
        const char *kind = kustomize_resource_kind(r);
        struct json_object *subjects = kc_json_get_mut(r->obj, "subjects");
        if (strcmp(kind, "RoleBinding") != 0 && strcmp(kind, "ClusterRoleBinding") != 0)
                return;
        for (size_t i = 0; i < kc_json_len(subjects); i++) {
                struct json_object *s = kc_json_idx_mut(subjects, i);
                if (kc_streq(kc_json_str(s, "kind"), "ServiceAccount") && kc_streq(kc_json_str(s, "name"), "default"))
                        kc_json_set_str(s, "namespace", ns);
        }
}

int kustomize_transform_namespace(const struct kustomize_dir *d, struct kustomize_resources *r, struct kc_error *err)
{
        const char *ns = kc_json_str(d->kustomization, "namespace");
        if (kc_str_empty(ns))
                return 0;
        KC_CLEANUP(kc_freep) char *value = kc_strdup(ns);
        for (size_t i = 0; i < r->n; i++) {
                struct kustomize_resource *x = r->v[i];
                bool is_namespace = strcmp(kustomize_resource_kind(x), "Namespace") == 0;
                kustomize_resource_remember(x);
                if (is_namespace)
                        kc_json_set_str(kc_json_ensure_obj(x->obj, "metadata"), "name", ns);
                else if (!kustomize_resource_is_cluster_scoped(x))
                        kc_json_set_str(kc_json_ensure_obj(x->obj, "metadata"), "namespace", ns);
                set_subjects(x, ns);
                for (size_t k = 0; k < KC_ARRAY_LEN(namespace_fields); k++)
                        if (kustomize_field_spec_is_for(&namespace_fields[k], x->obj))
                                (void)kustomize_each_field(
                                    x->obj, namespace_fields[k].path, false, put_string, value, err);
                for (size_t k = 0; k < i; k++) {
                        KC_CLEANUP(kc_freep) char *a = kustomize_resource_id_text(r->v[k]->obj);
                        KC_CLEANUP(kc_freep) char *b = kustomize_resource_id_text(x->obj);
                        if (kc_streq(a, b))
                                return kc_error_set(
                                    err, EEXIST, "namespace transformation produces ID conflict: %s", a);
                }
        }
        return 0;
}

/* --- labels and annotations */

static const struct kustomize_field_spec selector_fields[] = {
    {"", "Service", "spec/selector", true},
    {"", "ReplicationController", "spec/selector", true},
    {NULL, "Deployment", "spec/selector/matchLabels", true},
    {NULL, "ReplicaSet", "spec/selector/matchLabels", true},
    {NULL, "DaemonSet", "spec/selector/matchLabels", true},
    {"apps", "StatefulSet", "spec/selector/matchLabels", true},
    {"batch", "Job", "spec/selector/matchLabels", false},
    {"batch", "CronJob", "spec/jobTemplate/spec/selector/matchLabels", false},
    {"policy", "PodDisruptionBudget", "spec/selector/matchLabels", false},
    {"networking.k8s.io", "NetworkPolicy", "spec/podSelector/matchLabels", false},
    {"networking.k8s.io", "NetworkPolicy", "spec/ingress/from/podSelector/matchLabels", false},
    {"networking.k8s.io", "NetworkPolicy", "spec/egress/to/podSelector/matchLabels", false},
#define AFFINITY(group, kind, kind_of)                                                                                 \
        {group, kind,                                                                                                  \
            "spec/template/spec/affinity/" kind_of                                                                     \
            "/preferredDuringSchedulingIgnoredDuringExecution/podAffinityTerm/labelSelector/matchLabels",              \
            false},                                                                                                    \
        {                                                                                                              \
                group, kind,                                                                                           \
                    "spec/template/spec/affinity/" kind_of                                                             \
                    "/requiredDuringSchedulingIgnoredDuringExecution/labelSelector/matchLabels",                       \
                    false                                                                                              \
        }
    AFFINITY("apps", "Deployment", "podAffinity"),
    AFFINITY("apps", "Deployment", "podAntiAffinity"),
    AFFINITY("apps", "StatefulSet", "podAffinity"),
    AFFINITY("apps", "StatefulSet", "podAntiAffinity"),
    {"apps", "Deployment", "spec/template/spec/topologySpreadConstraints/labelSelector/matchLabels", false},
    {"apps", "StatefulSet", "spec/template/spec/topologySpreadConstraints/labelSelector/matchLabels", false},
};
static const struct kustomize_field_spec template_fields[] = {
    {"", "ReplicationController", "spec/template/metadata/labels", true},
    {NULL, "Deployment", "spec/template/metadata/labels", true},
    {NULL, "ReplicaSet", "spec/template/metadata/labels", true},
    {NULL, "DaemonSet", "spec/template/metadata/labels", true},
    {"apps", "StatefulSet", "spec/template/metadata/labels", true},
    {"batch", "Job", "spec/template/metadata/labels", true},
    {"batch", "CronJob", "spec/jobTemplate/metadata/labels", true},
    {"batch", "CronJob", "spec/jobTemplate/spec/template/metadata/labels", true},
};
static const struct kustomize_field_spec claim_fields[] = {
    {"apps", "StatefulSet", "spec/volumeClaimTemplates/metadata/labels", true},
};
static const struct kustomize_field_spec metadata_labels[] = {{NULL, NULL, "metadata/labels", true}};
static const struct kustomize_field_spec annotation_fields[] = {
    {NULL, NULL, "metadata/annotations", true},
    {"", "ReplicationController", "spec/template/metadata/annotations", true},
    {NULL, "Deployment", "spec/template/metadata/annotations", true},
    {NULL, "ReplicaSet", "spec/template/metadata/annotations", true},
    {NULL, "DaemonSet", "spec/template/metadata/annotations", true},
    {NULL, "StatefulSet", "spec/template/metadata/annotations", true},
    {"batch", "Job", "spec/template/metadata/annotations", true},
    {"batch", "CronJob", "spec/jobTemplate/metadata/annotations", true},
    {"batch", "CronJob", "spec/jobTemplate/spec/template/metadata/annotations", true},
};

static int add_pairs(struct json_object *parent, const char *key, void *arg, struct kc_error *err)
{
        (void)err;
        const struct json_object *pairs = arg;
        struct json_object *into = kc_json_get_mut(parent, key);
        if (!kc_json_is_obj(into)) {
                into = json_object_new_object();
                kc_json_set(parent, key, into);
        }
        KC_JSON_FOREACH(pairs, name, val)
        {
                kc_json_set(into, name, kc_json_copy(val));
        }
        return 0;
}

static void add_to_fields(
    const struct kustomize_field_spec *specs, size_t n, struct json_object *obj, const struct json_object *pairs)
{
        union {
                const struct json_object *in;
                void *out;
        } as = {.in = pairs};
        for (size_t i = 0; i < n; i++)
                if (kustomize_field_spec_is_for(&specs[i], obj))
                        (void)kustomize_each_field(obj, specs[i].path, specs[i].create, add_pairs, as.out, NULL);
}

static void add_labels(struct kustomize_resources *r, const struct json_object *pairs, bool selectors, bool templates)
{
        for (size_t i = 0; i < r->n; i++) {
                struct json_object *obj = r->v[i]->obj;
                add_to_fields(metadata_labels, 1, obj, pairs);
                if (selectors)
                        add_to_fields(selector_fields, KC_ARRAY_LEN(selector_fields), obj, pairs);
                if (selectors || templates)
                        add_to_fields(template_fields, KC_ARRAY_LEN(template_fields), obj, pairs);
                if (selectors || templates)
                        add_to_fields(claim_fields, KC_ARRAY_LEN(claim_fields), obj, pairs);
        }
}

/* labels[].fields: places of the user's. */
static void add_custom_fields(
    struct kustomize_resources *r, const struct json_object *fields, const struct json_object *pairs)
{
        for (size_t i = 0; i < kc_json_len(fields); i++) {
                const struct json_object *f = kc_json_idx(fields, i);
                struct kustomize_field_spec s = {.group = kc_json_str(f, "group"),
                    .kind = kc_json_str(f, "kind"),
                    .path = kc_json_str(f, "path"),
                    .create = kc_json_bool(f, "create", false)};
                for (size_t k = 0; s.path && k < r->n; k++)
                        add_to_fields(&s, 1, r->v[k]->obj, pairs);
        }
}

int kustomize_transform_labels(const struct kustomize_dir *d, struct kustomize_resources *r, struct kc_error *err)
{
        (void)err;
        const struct json_object *labels = kc_json_get(d->kustomization, "labels"),
                                 *common = kc_json_get(d->kustomization, "commonLabels");
        for (size_t i = 0; i < kc_json_len(labels); i++) {
                const struct json_object *one = kc_json_idx(labels, i), *pairs = kc_json_get(one, "pairs");
                add_labels(r, pairs, kc_json_bool(one, "includeSelectors", false),
                    kc_json_bool(one, "includeTemplates", false));
                add_custom_fields(r, kc_json_get(one, "fields"), pairs);
        }
        if (kc_json_n_keys(common) > 0)
                add_labels(r, common, true, true);
        return 0;
}

int kustomize_transform_annotations(const struct kustomize_dir *d, struct kustomize_resources *r, struct kc_error *err)
{
        (void)err;
        const struct json_object *pairs = kc_json_get(d->kustomization, "commonAnnotations");
        for (size_t i = 0; kc_json_n_keys(pairs) > 0 && i < r->n; i++)
                add_to_fields(annotation_fields, KC_ARRAY_LEN(annotation_fields), r->v[i]->obj, pairs);
        return 0;
}

/* --- images */

/* "registry:5000/a/b:tag@sha256:..." into name and the rest. */
static void split_image(const char *image, char **ret_name, char **ret_tag, char **ret_digest)
{
        const char *at = strchr(image, '@');
        KC_CLEANUP(kc_freep) char *rest = at ? kc_strndup(image, (size_t)(at - image)) : kc_strdup(image);
        const char *slash = strrchr(rest, '/'), *colon = strrchr(rest, ':');
        bool tagged = colon && (!slash || colon > slash);
        *ret_name = tagged ? kc_strndup(rest, (size_t)(colon - rest)) : kc_strdup(rest);
        *ret_tag = kc_strdup(tagged ? colon + 1 : "");
        *ret_digest = kc_strdup(at ? at + 1 : "");
}

static int set_image(struct json_object *container, const struct json_object *change)
{
        const char *image = kc_json_str(container, "image"), *wanted = kc_json_str(change, "name");
        const char *new_name = kc_json_str(change, "newName"), *new_tag = kc_json_str(change, "newTag"),
                   *new_digest = kc_json_str(change, "digest"), *suffix = kc_json_str(change, "tagSuffix");
        KC_CLEANUP(kc_freep) char *name = NULL;
        KC_CLEANUP(kc_freep) char *tag = NULL;
        KC_CLEANUP(kc_freep) char *digest = NULL;
        if (!image)
                return 0;
        split_image(image, &name, &tag, &digest);
        if (!kc_streq(name, wanted))
                return 0;
        if (!kc_str_empty(new_name))
                kc_str_set(&name, new_name);
        if (!kc_str_empty(new_tag)) {
                kc_str_set(&tag, new_tag);
                kc_str_set(&digest, "");
        }
        if (!kc_str_empty(new_digest)) {
                kc_str_set(&tag, kc_str_empty(new_tag) ? "" : new_tag);
                kc_str_set(&digest, new_digest);
        }
        KC_CLEANUP(kc_freep)
        char *text = kc_asprintf(
            "%s%s%s%s%s%s", name, tag[0] || suffix ? ":" : "", tag, suffix ? suffix : "", digest[0] ? "@" : "", digest);
        kc_json_set_str(container, "image", text);
        return 0;
}

/* Lists called containers and initContainers, wherever they are. */
static void set_images(struct json_object *o, const struct json_object *change)
{
        if (kc_json_is_arr(o))
                for (size_t i = 0; i < kc_json_len(o); i++)
                        set_images(kc_json_idx_mut(o, i), change);
        KC_JSON_FOREACH(o, key, val)
        {
                (void)val;
                struct json_object *child = kc_json_get_mut(o, key);
                bool containers = strcmp(key, "containers") == 0 || strcmp(key, "initContainers") == 0;
                for (size_t i = 0; containers && i < kc_json_len(child); i++)
                        (void)set_image(kc_json_idx_mut(child, i), change);
                set_images(child, change);
        }
}

int kustomize_transform_images(const struct kustomize_dir *d, struct kustomize_resources *r, struct kc_error *err)
{
        (void)err;
        const struct json_object *images = kc_json_get(d->kustomization, "images");
        for (size_t i = 0; i < kc_json_len(images); i++)
                for (size_t k = 0; k < r->n; k++)
                        if (strcmp(kustomize_resource_kind(r->v[k]), "CustomResourceDefinition") != 0)
                                set_images(r->v[k]->obj, kc_json_idx(images, i));
        return 0;
}

/* --- replicas */

static bool scales(const char *kind)
{
        static const char *const kinds[] = {"Deployment", "ReplicationController", "ReplicaSet", "StatefulSet"};
        for (size_t i = 0; i < KC_ARRAY_LEN(kinds); i++)
                if (strcmp(kinds[i], kind) == 0)
                        return true;
        return false;
}

int kustomize_transform_replicas(const struct kustomize_dir *d, struct kustomize_resources *r, struct kc_error *err)
{
        const struct json_object *replicas = kc_json_get(d->kustomization, "replicas");
        for (size_t i = 0; i < kc_json_len(replicas); i++) {
                const struct json_object *one = kc_json_idx(replicas, i);
                const char *name = kc_json_str(one, "name");
                bool found = false;
                for (size_t k = 0; k < r->n; k++) {
                        if (!scales(kustomize_resource_kind(r->v[k])) ||
                            !kustomize_resource_was(r->v[k], NULL, NULL, name))
                                continue;
                        found = true;
                        kc_json_set_int(
                            kc_json_ensure_obj(r->v[k]->obj, "spec"), "replicas", kc_json_int(one, "count", 0));
                }
                if (!found)
                        return kc_error_set(err, ENOENT,
                            "resource with name %s does not match a config with the following GVK [Deployment.[noVer]."
                            "[noGrp] ReplicationController.[noVer].[noGrp] ReplicaSet.[noVer].[noGrp] StatefulSet."
                            "[noVer].[noGrp]]",
                            name ? name : "");
        }
        return 0;
}
