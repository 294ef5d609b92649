/* Live objects by name, selector and file. Main thread. */
#include "cli/objects.h"

#include <errno.h>

#include "api/object.h"
#include "base/str.h"
#include "cli/manifest_options.h"
#include "cli/requests.h"

void kc_founds_push(struct kc_founds *l, const struct kc_api_resource *res, struct json_object *take_obj)
{
        if (l->n == l->cap) {
                l->cap = l->cap ? 2 * l->cap : 8;
                l->v = kc_reallocarray(l->v, l->cap, sizeof(*l->v));
        }
        l->v[l->n++] = (struct kc_found){.res = res,
            .ns = kc_strdup(kc_meta_namespace(take_obj)),
            .name = kc_strdup(kc_meta_name(take_obj)),
            .obj = take_obj};
}

void kc_founds_done(struct kc_founds *l)
{
        for (size_t i = 0; i < l->n; i++) {
                kc_free(l->v[i].ns);
                kc_free(l->v[i].name);
                kc_json_free(l->v[i].obj);
        }
        kc_cli_errors_done(&l->errors);
        kc_free(l->v);
        *l = (struct kc_founds){0};
}

/* What is not there because its namespace is not there: that is the error, as of kubectl's builder. */
static void blame_namespace(struct kc_cli *c, const char *ns, struct kc_error *err)
{
        struct kc_error why = KC_ERROR_INIT;
        KC_CLEANUP(kc_json_freep) struct json_object *obj = NULL;
        if (!kc_error_is(err, KC_REASON_NOT_FOUND) || kc_str_empty(ns) || kc_streq(ns, "default"))
                return;
        KC_CLEANUP(kc_freep) char *path = kc_gvr_path(&KC_NAMESPACES, NULL, ns, NULL);
        if (kc_cli_fetch(c, path, "application/json", &obj, &why) < 0 && kc_error_is(&why, KC_REASON_NOT_FOUND))
                kc_error_move(err, &why);
        kc_error_done(&why);
}

static void add_one(
    struct kc_cli *c, const struct kc_api_resource *res, const char *ns, const char *name, struct kc_founds *l)
{
        struct kc_error why = KC_ERROR_INIT;
        struct json_object *obj = NULL;
        if (kc_cli_get(c, res, ns, name, &obj, &why) < 0) {
                blame_namespace(c, res->namespaced ? ns : NULL, &why);
                kc_cli_errors_take(&l->errors, &why);
        } else
                kc_founds_push(l, res, obj);
}

/* What the files say, not what the server has. */
static int find_local(
    struct kc_cli *c, const struct kc_manifest_options *from, struct kc_founds *ret, struct kc_error *err)
{
        KC_CLEANUP(kc_manifests_done) struct kc_manifests files = {0};
        if (!kc_manifest_options_given(from))
                return kc_error_set(err, EINVAL, "%s", KC_CLI_NO_RESOURCES);
        kc_cli_use_local_map(c);
        int e = kc_manifest_options_load(c, from, &files, err);
        kc_manifests_errors(&files, &ret->errors);
        for (size_t i = 0; e == 0 && i < files.n; i++)
                kc_founds_push(ret, files.v[i].res, KC_TAKE(files.v[i].obj));
        return e;
}

static void add_listed(struct kc_cli *c, const struct kc_api_resource *res, const char *ns,
    const struct kc_object_query *q, struct kc_founds *l)
{
        struct kc_error why = KC_ERROR_INIT;
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        KC_CLEANUP(kc_json_freep) struct json_object *list = NULL;
        kc_query_add(&b, "labelSelector", kc_str_empty(q->selector) ? NULL : q->selector);
        kc_query_add(&b, "fieldSelector", kc_str_empty(q->field_selector) ? NULL : q->field_selector);
        if (kc_cli_list(c, res, q->all_namespaces ? NULL : ns, kc_buf_str(&b), &list, &why) < 0) {
                (void)kc_cli_list_failed(res, q->selector, q->field_selector, &why);
                kc_cli_errors_take(&l->errors, &why);
        }
        const struct json_object *items = kc_json_get(list, "items");
        for (size_t i = 0; i < kc_json_len(items); i++)
                kc_founds_push(l, res, kc_json_copy(kc_json_idx(items, i)));
}

int kc_cli_find_objects(struct kc_cli *c, const struct kc_object_query *q, struct kc_founds *ret, struct kc_error *err)
{
        struct kc_resource_map *map;
        const char *ns;
        KC_CLEANUP(kc_targets_done) struct kc_targets targets = {0};
        KC_CLEANUP(kc_manifests_done) struct kc_manifests files = {0};
        struct kc_manifest_options from = {
            .files = q->files, .kustomize = q->kustomize, .selector = q->selector, .recursive = q->recursive};
        if (q->local)
                return find_local(c, &from, ret, err);
        if (q->args[0] && kc_manifest_options_given(&from))
                return kc_error_set(err, EINVAL,
                    "when paths, URLs, or stdin is provided as input, you may not specify resource arguments as well");
        bool choose = q->all || !kc_str_empty(q->selector) || !kc_str_empty(q->field_selector);
        int e = kc_cli_namespace(c, &ns, err);
        if (e == 0)
                e = kc_cli_map(c, &map, err);
        if (e == 0 && kc_manifest_options_given(&from))
                e = kc_manifest_options_load(c, &from, &files, err);
        else if (e == 0)
                e = kc_targets_parse(map, q->args, &targets, err);
        if (e < 0)
                return e;
        if (!q->args[0] && !kc_manifest_options_given(&from))
                return kc_error_set(err, EINVAL, "%s", KC_CLI_NO_RESOURCES);
        if (targets.named && !kc_str_empty(q->selector))
                return kc_error_set(err, EINVAL, "name cannot be provided when a selector is specified");
        if (targets.n > 0 && !targets.named && !choose)
                return kc_error_set(err, EINVAL, "resource(s) were provided, but no name was specified");
        kc_manifests_errors(&files, &ret->errors);
        for (size_t i = 0; i < files.n; i++)
                add_one(c, files.v[i].res, files.v[i].ns, files.v[i].name, ret);
        for (size_t i = 0; i < targets.n; i++) {
                if (targets.v[i].name)
                        add_one(c, targets.v[i].res, ns, targets.v[i].name, ret);
                else
                        add_listed(c, targets.v[i].res, ns, q, ret);
        }
        return e;
}

int kc_cli_patch(struct kc_cli *c, const struct kc_found *f, const char *sub, const char *content_type,
    const struct json_object *patch, struct json_object **ret, struct kc_error *err)
{
        struct kc_rest *rest;
        int e = kc_cli_rest(c, &rest, err);
        struct kc_gvr g = kc_api_resource_gvr(f->res);
        return e < 0 ? e : kc_rest_patch(rest, &g, f->ns, f->name, sub, content_type, patch, ret, err);
}
