/* kubec apply --prune. Main thread. */
#include "cli/apply_prune.h"

#include <errno.h>
#include <string.h>

#include "api/object.h"
#include "base/log.h"
#include "base/str.h"
#include "cli/apply.h"
#include "cli/delete.h"

static const char *const by_default[] = {"core/v1/ConfigMap", "core/v1/Endpoints", "core/v1/PersistentVolumeClaim",
    "core/v1/Pod", "core/v1/ReplicationController", "core/v1/Secret", "core/v1/Service", "batch/v1/Job",
    "batch/v1/CronJob", "networking.k8s.io/v1/Ingress", "apps/v1/DaemonSet", "apps/v1/Deployment", "apps/v1/ReplicaSet",
    "apps/v1/StatefulSet", "core/v1/Namespace", "core/v1/PersistentVolume", NULL};

void kc_apply_visit(struct kc_apply_visited *v, const char *ns, const char *uid)
{
        if (ns && !kc_strv_has(v->namespaces, ns))
                kc_strv_push(&v->namespaces, ns);
        if (uid)
                kc_strv_push(&v->uids, uid);
}

static const char *const *kinds_of(const struct kc_apply_prune_options *o)
{
        return o->allowlist ? (const char *const *)o->allowlist : by_default;
}

/* "group/version/kind"; "core" is the group without a name. */
static int find_kind(struct kc_cli *c, const char *text, const struct kc_api_resource **ret, struct kc_error *err)
{
        struct kc_resource_map *map;
        KC_CLEANUP(kc_strv_freep) char **parts = kc_strv_split(text, '/');
        if (kc_strv_len(parts) != 3)
                return kc_error_set(
                    err, EINVAL, "invalid GroupVersionKind format: %s, please follow <group/version/kind>", text);
        bool core = strcmp(parts[0], "core") == 0 || !parts[0][0];
        KC_CLEANUP(kc_freep) char *api_version = core ? kc_strdup(parts[1]) : kc_asprintf("%s/%s", parts[0], parts[1]);
        int e = kc_cli_map(c, &map, err);
        if (e == 0 && kc_resource_map_find_kind(map, api_version, parts[2], ret, err) < 0)
                e = kc_error_set(err, ENOENT, "no matches for kind \"%s\" in version \"%s\"", parts[2], api_version);
        return e;
}

int kc_apply_prune_check(struct kc_cli *c, const struct kc_apply_prune_options *o, struct kc_error *err)
{
        const struct kc_api_resource *res;
        int e = 0;
        for (const char *const *k = kinds_of(o); e == 0 && o->prune && o->allowlist && *k; k++)
                e = find_kind(c, *k, &res, err);
        return e;
}

struct deletion {
        struct kc_cli *c;
        struct kc_write *w;
        const struct kc_apply_prune_options *o;
};

static int prune_one(const struct kc_api_resource *res, const struct json_object *obj, void *arg, struct kc_error *err)
{
        const struct deletion *d = arg;
        struct kc_cli *c = d->c;
        struct kc_write *w = d->w;
        const struct kc_apply_prune_options *o = d->o;
        struct kc_rest *rest;
        struct kc_gvr g = kc_api_resource_gvr(res);
        struct kc_delete_opts how = {.grace_period_seconds = o->grace,
            .propagation = kc_delete_propagation(o->cascade),
            .dry_run = w->dry_run == KC_DRY_RUN_SERVER};
        int e = w->dry_run == KC_DRY_RUN_CLIENT ? 0 : kc_cli_rest(c, &rest, err);
        if (e == 0 && w->dry_run != KC_DRY_RUN_CLIENT)
                e = kc_rest_delete(rest, &g, kc_meta_namespace(obj), kc_meta_name(obj), &how, NULL, err);
        return e < 0 ? e : kc_write_print(c, w, res, obj, "pruned", err);
}

static int each_of_kind(struct kc_cli *c, const struct kc_apply_prune_options *o, const struct kc_api_resource *res,
    const char *ns, const char *selector, const struct kc_apply_visited *visited, kc_apply_prune_fn *fn, void *arg,
    struct kc_error *err)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf q = KC_BUF_INIT;
        KC_CLEANUP(kc_json_freep) struct json_object *list = NULL;
        kc_query_add(&q, "labelSelector", kc_str_empty(selector) ? NULL : selector);
        int e = kc_cli_list(c, res, ns, kc_buf_str(&q), &list, err);
        const struct json_object *items = kc_json_get(list, "items");
        for (size_t i = 0; e == 0 && i < kc_json_len(items); i++) {
                const struct json_object *obj = kc_json_idx(items, i);
                bool applied = o->set || kc_meta_annotation(obj, KC_LAST_APPLIED);
                if (applied && !kc_strv_has(visited->uids, kc_meta_uid(obj)))
                        e = fn(res, obj, arg, err);
        }
        return e < 0 ? kc_error_wrap(err, "error pruning %s object %s/%s, Kind=%s",
                           res->namespaced ? "namespaced" : "nonNamespaced", res->group, res->version, res->kind)
                     : 0;
}

int kc_apply_prune_kind(struct kc_cli *c, struct kc_write *w, const struct kc_apply_prune_options *o,
    const struct kc_api_resource *res, const char *ns, const char *selector, const struct kc_apply_visited *visited,
    struct kc_error *err)
{
        struct deletion d = {c, w, o};
        return each_of_kind(c, o, res, ns, selector, visited, prune_one, &d, err);
}

int kc_apply_prune_each(struct kc_cli *c, const struct kc_apply_prune_options *o,
    const struct kc_apply_visited *visited, kc_apply_prune_fn *fn, void *arg, struct kc_error *err)
{
        const struct kc_api_resource *res;
        int e = 0;
        if (!o->prune)
                return 0;
        if (!o->allowlist)
                kc_log_warn(
                    "Deprecated: kubectl apply will no longer prune non-namespaced resources by default when used "
                    "with the --namespace flag in a future release. To preserve the current behaviour, list the "
                    "resources you want to target explicitly in the --prune-allowlist flag.");
        for (char **ns = visited->namespaces; e == 0 && ns && *ns; ns++)
                for (const char *const *k = kinds_of(o); e == 0 && *k; k++) {
                        e = find_kind(c, *k, &res, err);
                        if (e == 0 && res->namespaced)
                                e = each_of_kind(c, o, res, *ns, o->selector, visited, fn, arg, err);
                }
        for (const char *const *k = kinds_of(o); e == 0 && *k; k++) {
                e = find_kind(c, *k, &res, err);
                if (e == 0 && !res->namespaced)
                        e = each_of_kind(c, o, res, NULL, o->selector, visited, fn, arg, err);
        }
        return e;
}

int kc_apply_prune(struct kc_cli *c, struct kc_write *w, const struct kc_apply_prune_options *o,
    const struct kc_apply_visited *visited, struct kc_error *err)
{
        struct deletion d = {c, w, o};
        return kc_apply_prune_each(c, o, visited, prune_one, &d, err);
}
