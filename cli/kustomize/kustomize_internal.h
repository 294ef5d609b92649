/* The inside of a build.
 *
 *   build.c       directories -> target (kustomization, resources), from the leaves up; references and order at the end
 *   load.c        files, kustomizations          generate.c   ConfigMaps and Secrets of generators
 *   resources.c   identities, selection, order   patch.c      patches; merge.c: strategic ones
 *   transform.c   namespace, names, labels, images, replicas
 *   references.c  names in objects that follow those of others        replace.c   replacements and vars */
#pragma once

#include "cli/kustomize/kustomize.h"
#include "json/json.h"

/* What an object was called at some time. */
struct kustomize_id {
        char *kind, *ns, *name; /* ns: "" for none */
};
struct kustomize_resource {
        struct json_object *obj;
        struct kustomize_id *ids; /* earlier identities, the original first; the current one is in obj */
        size_t n_ids;
        char **prefixes, **suffixes; /* strvs: what names were given, the innermost first */
        bool needs_hash;
};
struct kustomize_resources {
        struct kustomize_resource **v;
        size_t n, cap;
};
void kustomize_resources_done(struct kustomize_resources *r);
/* -EEXIST: an object of that identity is there. Takes obj, also on failure. *ret (may be NULL) is borrowed. */
int kustomize_resources_add(
    struct kustomize_resources *r, struct json_object *take_obj, struct kustomize_resource **ret, struct kc_error *err);
/* Moves all of from behind those of into. */
int kustomize_resources_merge(struct kustomize_resources *into, struct kustomize_resources *from, struct kc_error *err);
void kustomize_resources_remove(struct kustomize_resources *r, size_t i);
/* Namespaces first, webhooks last, as kustomize's legacy order. */
void kustomize_resources_sort(struct kustomize_resources *r);
/* In front of a change of kind, namespace or name: the identity is remembered. */
void kustomize_resource_remember(struct kustomize_resource *r);
const char *kustomize_resource_name(const struct kustomize_resource *r);
/* "" for none. */
const char *kustomize_resource_namespace(const struct kustomize_resource *r);
const char *kustomize_resource_kind(const struct kustomize_resource *r);
bool kustomize_resource_is_cluster_scoped(const struct kustomize_resource *r);
/* "Deployment.v1.apps/web.[noNs]". Heap. */
char *kustomize_resource_id_text(const struct json_object *obj);
/* Now or at any time before, of that kind and name; kind NULL: any; ns NULL: any, "" and "default" are the same. */
bool kustomize_resource_was(const struct kustomize_resource *r, const char *kind, const char *ns, const char *name);
/* A selector: group, version, kind, name, namespace (anchored regular expressions), labelSelector,
 * annotationSelector. NULL selects everything. */
int kustomize_resource_selected(
    const struct kustomize_resource *r, const struct json_object *selector, bool *ret, struct kc_error *err);

/* --- load.c */
struct kustomize_dir {
        char *path;                         /* real path */
        const struct kustomize_dir *parent; /* who refers to it, NULL for the first */
        const struct kc_kustomize_options *options;
        struct json_object *kustomization;
};
int kustomize_dir_open(const char *path, const struct kustomize_dir *parent, const struct kc_kustomize_options *o,
    struct kustomize_dir *ret, struct kc_error *err);
void kustomize_dir_done(struct kustomize_dir *d);
/* A file below the directory; others are refused, unless options say otherwise. */
int kustomize_dir_read(const struct kustomize_dir *d, const char *path, struct kc_buf *ret, struct kc_error *err);
/* All objects of a YAML text; lists are taken apart. *ret: an array of objects. */
int kustomize_parse(const char *source, const char *text, size_t len, struct json_object **ret, struct kc_error *err);
bool kustomize_is_remote(const char *path);

/* --- fields.c: "spec/template/spec/containers/image": arrays on the way stand for all their elements. */
typedef int (*kustomize_field_fn)(struct json_object *parent, const char *key, void *arg, struct kc_error *err);
/* Calls fn for each field that is there; with create, objects on the way are made and fn is called for the absent. */
int kustomize_each_field(
    struct json_object *obj, const char *path, bool create, kustomize_field_fn fn, void *arg, struct kc_error *err);
struct kustomize_field_spec {
        const char *group, *kind; /* NULL: any */
        const char *path;
        bool create;
};
bool kustomize_field_spec_is_for(const struct kustomize_field_spec *s, const struct json_object *obj);

/* --- the steps of a kustomization, each on all resources that there are so far */
int kustomize_generate(const struct kustomize_dir *d, struct kustomize_resources *r, struct kc_error *err);
int kustomize_patch_strategic_field(
    const struct kustomize_dir *d, struct kustomize_resources *r, struct kc_error *err); /* patchesStrategicMerge */
int kustomize_patch_field(const struct kustomize_dir *d, struct kustomize_resources *r, struct kc_error *err);
int kustomize_patch_json_field(
    const struct kustomize_dir *d, struct kustomize_resources *r, struct kc_error *err); /* patchesJson6902 */
int kustomize_transform_namespace(const struct kustomize_dir *d, struct kustomize_resources *r, struct kc_error *err);
int kustomize_transform_names(const struct kustomize_dir *d, struct kustomize_resources *r, struct kc_error *err);
int kustomize_transform_labels(const struct kustomize_dir *d, struct kustomize_resources *r, struct kc_error *err);
int kustomize_transform_annotations(const struct kustomize_dir *d, struct kustomize_resources *r, struct kc_error *err);
int kustomize_transform_replicas(const struct kustomize_dir *d, struct kustomize_resources *r, struct kc_error *err);
int kustomize_transform_images(const struct kustomize_dir *d, struct kustomize_resources *r, struct kc_error *err);
/* Annotations are text, whatever they were set from. */
void kustomize_annotations_to_text(struct json_object *obj);
int kustomize_replace(const struct kustomize_dir *d, struct kustomize_resources *r, struct kc_error *err);
/* Strategic merge as kustomize does it: new elements of lists come first. The patch stays the caller's. *doc becomes
 * NULL when the patch deletes it. */
int kustomize_merge(struct json_object **doc, const struct json_object *patch, struct kc_error *err);

/* --- at the end of all */
void kustomize_add_hashes(struct kustomize_resources *r);
int kustomize_fix_references(struct kustomize_resources *r, struct kc_error *err);
/* vars: an array of all that were declared. */
int kustomize_resolve_vars(struct kustomize_resources *r, const struct json_object *vars, struct kc_error *err);
