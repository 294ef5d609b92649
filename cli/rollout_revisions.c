/* Revisions of Deployments and DaemonSets. Main thread. */
#include <errno.h>
#include <stdlib.h>

#include "api/object.h"
#include "api/selector.h"
#include "base/str.h"
#include "cli/requests.h"
#include "cli/rollout.h"

#define REVISION "deployment.kubernetes.io/revision"
#define CHANGE_CAUSE "kubernetes.io/change-cause"
#define TEMPLATE_HASH "pod-template-hash"

/* What a Deployment keeps of its own when it goes back. */
static const char *const own_annotations[] = {"kubectl.kubernetes.io/last-applied-configuration", REVISION,
    "deployment.kubernetes.io/revision-history", "deployment.kubernetes.io/desired-replicas",
    "deployment.kubernetes.io/max-replicas", "deprecated.deployment.rollback.to"};

void kc_revisions_done(struct kc_revisions *r)
{
        kc_free(r->v);
        kc_json_free(r->list);
        *r = (struct kc_revisions){0};
}

static int by_number(const void *a, const void *b)
{
        const struct kc_revision *x = a, *y = b;
        return (x->number > y->number) - (x->number < y->number);
}

static int64_t number_of(const struct json_object *obj, bool deployment)
{
        int64_t n = 0;
        if (!deployment)
                return kc_json_int(obj, "revision", 0);
        const char *text = kc_meta_annotation(obj, REVISION);
        return text && kc_str_to_i64(text, &n) == 0 ? n : 0;
}

int kc_rollout_revisions(struct kc_cli *c, const struct kc_found *f, struct kc_revisions *ret, struct kc_error *err)
{
        bool deployment = kc_streq(f->res->kind, "Deployment");
        if (!deployment && !kc_streq(f->res->kind, "DaemonSet") && !kc_streq(f->res->kind, "StatefulSet"))
                return kc_error_set(err, EINVAL, "no history viewer has been implemented for \"%s\"", f->res->kind);
        struct kc_resource_map *map = NULL;
        const struct kc_api_resource *res = NULL;
        KC_CLEANUP(kc_selector_freep) struct kc_selector *selector = NULL;
        int e = kc_cli_map(c, &map, err);
        if (e == 0)
                e = kc_resource_map_find(map, deployment ? "replicasets.apps" : "controllerrevisions.apps", &res, err);
        if (e == 0)
                e = kc_selector_from_label_selector(kc_json_at(f->obj, "spec.selector"), &selector, err);
        if (e < 0)
                return e;
        KC_CLEANUP(kc_freep) char *text = kc_selector_format(selector);
        KC_CLEANUP(kc_buf_done) struct kc_buf q = KC_BUF_INIT;
        kc_query_add(&q, "labelSelector", text);
        e = kc_cli_list(c, res, f->ns, kc_buf_str(&q), &ret->list, err);
        if (e < 0)
                return e;
        const struct json_object *items = kc_json_get(ret->list, "items");
        ret->v = kc_calloc(kc_json_len(items) + 1, sizeof(*ret->v));
        for (size_t i = 0; i < kc_json_len(items); i++) {
                const struct json_object *item = kc_json_idx(items, i);
                if (!kc_meta_is_controlled_by(item, f->obj))
                        continue;
                int64_t n = number_of(item, deployment);
                if (n > 0)
                        ret->v[ret->n++] = (struct kc_revision){n, kc_meta_annotation(item, CHANGE_CAUSE), item};
        }
        qsort(ret->v, ret->n, sizeof(*ret->v), by_number);
        return 0;
}

static bool is_own(const char *key)
{
        for (size_t i = 0; i < KC_ARRAY_LEN(own_annotations); i++)
                if (kc_streq(own_annotations[i], key))
                        return true;
        return false;
}

static struct json_object *deployment_patch(const struct kc_found *f, const struct json_object *rs)
{
        struct json_object *template = kc_json_copy(kc_json_at(rs, "spec.template"));
        struct json_object *labels = kc_json_at_mut(template, "metadata.labels");
        if (labels)
                kc_json_del(labels, TEMPLATE_HASH);
        if (kc_json_equal(template, kc_json_at(f->obj, "spec.template"))) {
                kc_json_free(template);
                return NULL;
        }
        struct json_object *annotations = json_object_new_object();
        KC_JSON_FOREACH(kc_json_at(f->obj, "metadata.annotations"), key, value)
        if (is_own(key))
                kc_json_set(annotations, key, kc_json_copy(value));
        KC_JSON_FOREACH(kc_json_at(rs, "metadata.annotations"), rs_key, rs_value)
        if (!is_own(rs_key))
                kc_json_set(annotations, rs_key, kc_json_copy(rs_value));
        return kc_json_build("[{'op':'replace','path':'/spec/template','value':%o},"
                             "{'op':'replace','path':'/metadata/annotations','value':%o}]",
            template, annotations);
}

static struct json_object *data_patch(const struct kc_found *f, const struct json_object *revision)
{
        const struct json_object *data = kc_json_get(revision, "data");
        KC_CLEANUP(kc_json_freep)
        struct json_object *now =
            kc_json_build("{'spec':{'template':%o}}", kc_json_copy(kc_json_at(f->obj, "spec.template")));
        kc_json_set_str(kc_json_at_mut(now, "spec.template"), "$patch", "replace");
        return kc_json_equal(now, data) ? NULL : kc_json_copy(data);
}

static int choose(const struct kc_found *f, const struct kc_revisions *r, int64_t to, const struct kc_revision **ret,
    struct kc_error *err)
{
        if (to == 0 && r->n < 2 && kc_streq(f->res->kind, "Deployment"))
                return kc_error_set(err, ENOENT, "no rollout history found for deployment \"%s\"", f->name);
        if (to == 0 && r->n < 2)
                return kc_error_set(err, ENOENT, "no last revision to roll back to");
        if (to == 0) {
                *ret = &r->v[r->n - 2];
                return 0;
        }
        for (size_t i = 0; i < r->n; i++)
                if (r->v[i].number == to) {
                        *ret = &r->v[i];
                        return 0;
                }
        return kc_error_set(err, ENOENT, "unable to find specified revision %lld in history", (long long)to);
}

int kc_rollout_undo_patch(const struct kc_found *f, const struct kc_revisions *r, int64_t to,
    struct json_object **ret_patch, const char **ret_content_type, int64_t *ret_revision, struct kc_error *err)
{
        const struct kc_revision *chosen = NULL;
        bool deployment = kc_streq(f->res->kind, "Deployment");
        if (to < 0)
                return kc_error_set(err, EINVAL, "unable to find specified revision %lld in history", (long long)to);
        int e = choose(f, r, to, &chosen, err);
        if (e < 0)
                return e;
        if (deployment && kc_json_bool_at(f->obj, "spec.paused", false))
                return kc_error_set(err, EINVAL,
                    "you cannot rollback a paused deployment; resume it first with 'kubectl rollout resume' and try "
                    "again");
        *ret_revision = chosen->number;
        *ret_content_type = deployment ? KC_PATCH_JSON : KC_PATCH_STRATEGIC;
        *ret_patch = deployment ? deployment_patch(f, chosen->obj) : data_patch(f, chosen->obj);
        return 0;
}
