/* patches, patchesStrategicMerge, patchesJson6902. Any thread. */
#include <errno.h>
#include <string.h>

#include "api/patch.h"
#include "base/str.h"
#include "cli/kustomize/kustomize_internal.h"
#include "json/yaml.h"

/* The text of a patch that is given inline or as a file. */
static int patch_text(
    const struct kustomize_dir *d, const char *path, const char *inline_text, struct kc_buf *ret, struct kc_error *err)
{
        if (!kc_str_empty(path) && !kc_str_empty(inline_text))
                return kc_error_set(err, EINVAL, "patch and path can't be set at the same time\n%s", inline_text);
        if (kc_str_empty(path) && kc_str_empty(inline_text))
                return kc_error_set(err, EINVAL, "must specify one of patch and path in PatchTransformer");
        if (kc_str_empty(path)) {
                kc_buf_adds(ret, inline_text);
                return 0;
        }
        return kustomize_dir_read(d, path, ret, err);
}

/* Objects take the place of what they change; deleted ones go. A patch that changes kind or name does so only when
 * it may. */
static int merge_into(struct kustomize_resources *r, size_t i, const struct json_object *patch, bool may_rename,
    bool may_change_kind, bool *ret_deleted, struct kc_error *err)
{
        struct kustomize_resource *x = r->v[i];
        KC_CLEANUP(kc_freep) char *kind = kc_strdup(kustomize_resource_kind(x));
        KC_CLEANUP(kc_freep) char *name = kc_strdup(kustomize_resource_name(x));
        KC_CLEANUP(kc_freep) char *ns = kc_strdup(kustomize_resource_namespace(x));
        KC_CLEANUP(kc_freep) char *api_version = kc_strdup(kc_json_str(x->obj, "apiVersion"));
        if (may_rename || may_change_kind)
                kustomize_resource_remember(x);
        int e = kustomize_merge(&x->obj, patch, err);
        if (e < 0)
                return e;
        *ret_deleted = !x->obj;
        if (!x->obj) {
                kustomize_resources_remove(r, i);
                return 0;
        }
        if (!may_change_kind) {
                kc_json_set_str(x->obj, "kind", kind);
                kc_json_set_str(x->obj, "apiVersion", api_version);
        }
        struct json_object *meta = kc_json_ensure_obj(x->obj, "metadata");
        if (!may_rename)
                kc_json_set_str(meta, "name", name);
        kc_json_set_str(meta, "namespace", ns[0] ? ns : NULL);
        return 0;
}

/* The one resource that a patch names by itself. */
static int apply_by_name(struct kustomize_resources *r, const struct json_object *patch, bool may_rename,
    bool may_change_kind, struct kc_error *err)
{
        const char *kind = kc_json_str(patch, "kind"), *name = kc_json_str_at(patch, "metadata.name"),
                   *ns = kc_json_str_at(patch, "metadata.namespace");
        size_t found = 0, at = 0;
        for (size_t i = 0; i < r->n; i++)
                if (kustomize_resource_was(r->v[i], kind, ns ? ns : "", name) ||
                    (!ns && kustomize_resource_was(r->v[i], kind, NULL, name) && r->v[i]->n_ids > 0)) {
                        found++;
                        at = i;
                }
        KC_CLEANUP(kc_freep) char *id = kustomize_resource_id_text(patch);
        bool deleted;
        if (found == 0)
                return kc_error_set(err, ENOENT,
                    "no resource matches strategic merge patch \"%s\": no matches for Id %s; failed to find unique "
                    "target "
                    "for patch %s",
                    id, id, id);
        if (found > 1)
                return kc_error_set(
                    err, EINVAL, "multiple matches for Id %s; failed to find unique target for patch %s", id, id);
        return merge_into(r, at, patch, may_rename, may_change_kind, &deleted, err);
}

static int apply_strategic_text(
    struct kustomize_resources *r, const char *source, const char *text, size_t len, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *all = NULL;
        int e = kustomize_parse(source, text, len, &all, err);
        for (size_t i = 0; e == 0 && i < kc_json_len(all); i++)
                e = apply_by_name(r, kc_json_idx(all, i), false, false, err);
        return e;
}

int kustomize_patch_strategic_field(const struct kustomize_dir *d, struct kustomize_resources *r, struct kc_error *err)
{
        const struct json_object *patches = kc_json_get(d->kustomization, "patchesStrategicMerge");
        int e = 0;
        for (size_t i = 0; e == 0 && i < kc_json_len(patches); i++) {
                const char *text = kc_json_as_str(kc_json_idx(patches, i));
                KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
                /* A path, or the patch itself. */
                bool inline_text = text && (strchr(text, '\n') || strchr(text, '{'));
                if (inline_text)
                        kc_buf_adds(&b, text);
                else
                        e = kustomize_dir_read(d, text ? text : "", &b, err);
                if (e == 0)
                        e = apply_strategic_text(r, inline_text ? "patch" : text, kc_buf_str(&b), b.len, err);
        }
        return e;
}

/* --- RFC 6902 */

static int apply_operations(struct kustomize_resource *x, const struct json_object *ops, struct kc_error *err)
{
        kustomize_resource_remember(x);
        return kc_patch_json(&x->obj, ops, err);
}

static bool is_operations(const struct json_object *tree)
{
        return kc_json_is_arr(tree) && kc_json_len(tree) > 0 && kc_json_str(kc_json_idx(tree, 0), "op");
}

int kustomize_patch_json_field(const struct kustomize_dir *d, struct kustomize_resources *r, struct kc_error *err)
{
        const struct json_object *patches = kc_json_get(d->kustomization, "patchesJson6902");
        for (size_t i = 0; i < kc_json_len(patches); i++) {
                const struct json_object *p = kc_json_idx(patches, i), *target = kc_json_get(p, "target");
                KC_CLEANUP(kc_buf_done) struct kc_buf text = KC_BUF_INIT;
                KC_CLEANUP(kc_json_freep) struct json_object *ops = NULL;
                int e = patch_text(d, kc_json_str(p, "path"), kc_json_str(p, "patch"), &text, err);
                if (e == 0)
                        e = kc_yaml_parse(kc_buf_str(&text), text.len, NULL, &ops, err);
                if (e < 0)
                        return e;
                if (!target)
                        return kc_error_set(err, EINVAL, "must specify a target for JSON patch %s", kc_buf_str(&text));
                size_t n = 0;
                for (size_t k = 0; k < r->n; k++) {
                        bool selected;
                        e = kustomize_resource_selected(r->v[k], target, &selected, err);
                        if (e == 0 && selected)
                                e = apply_operations(r->v[k], ops, err);
                        if (e < 0)
                                return e;
                        n += selected;
                }
                if (n == 0)
                        return kc_error_set(err, ENOENT,
                            "unable to find target for JSON patch: no matches for Id %s.%s",
                            kc_json_str(target, "kind"), kc_json_str(target, "name"));
        }
        return 0;
}

/* --- patches: either kind, with a target or by their own name */

static int apply_to_targets(struct kustomize_resources *r, const struct json_object *entry,
    const struct json_object *objects, const struct json_object *ops, struct kc_error *err)
{
        const struct json_object *options = kc_json_get(entry, "options");
        bool rename = kc_json_bool(options, "allowNameChange", false),
             change_kind = kc_json_bool(options, "allowKindChange", false);
        for (size_t i = 0; i < r->n;) {
                bool selected, deleted = false;
                int e = kustomize_resource_selected(r->v[i], kc_json_get(entry, "target"), &selected, err);
                if (e == 0 && selected && ops)
                        e = apply_operations(r->v[i], ops, err);
                for (size_t k = 0; e == 0 && selected && !deleted && k < kc_json_len(objects); k++)
                        e = merge_into(r, i, kc_json_idx(objects, k), rename, change_kind, &deleted, err);
                if (e < 0)
                        return e;
                i += deleted ? 0 : 1;
        }
        return 0;
}

static int apply_entry(
    const struct kustomize_dir *d, struct kustomize_resources *r, const struct json_object *entry, struct kc_error *err)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf text = KC_BUF_INIT;
        KC_CLEANUP(kc_json_freep) struct json_object *ops = NULL, *objects = NULL;
        KC_CLEANUP(kc_yaml_free_allp) struct json_object **docs = NULL;
        const char *path = kc_json_str(entry, "path");
        int e = patch_text(d, path, kc_json_str(entry, "patch"), &text, err);
        if (e < 0)
                return e;
        if (kc_yaml_parse_all(kc_buf_str(&text), text.len, NULL, &docs, err) < 0)
                return kc_error_wrap(
                    err, "unable to parse SM or JSON patch from [%s]", path ? path : kc_buf_str(&text));
        if (docs && docs[0] && is_operations(docs[0])) {
                ops = kc_json_copy(docs[0]);
                if (!kc_json_get(entry, "target"))
                        return kc_error_set(
                            err, EINVAL, "must specify a target for JSON patch [path: \"%s\"]", path ? path : "");
        } else {
                objects = json_object_new_array();
                for (size_t i = 0; docs && docs[i]; i++)
                        kc_json_push(objects, kc_json_copy(docs[i]));
        }
        if (kc_json_get(entry, "target"))
                return apply_to_targets(r, entry, objects, ops, err);
        const struct json_object *options = kc_json_get(entry, "options");
        for (size_t i = 0; e == 0 && i < kc_json_len(objects); i++)
                e = apply_by_name(r, kc_json_idx(objects, i), kc_json_bool(options, "allowNameChange", false),
                    kc_json_bool(options, "allowKindChange", false), err);
        return e;
}

int kustomize_patch_field(const struct kustomize_dir *d, struct kustomize_resources *r, struct kc_error *err)
{
        const struct json_object *patches = kc_json_get(d->kustomization, "patches");
        int e = 0;
        for (size_t i = 0; e == 0 && i < kc_json_len(patches); i++)
                e = apply_entry(d, r, kc_json_idx(patches, i), err);
        return e;
}
