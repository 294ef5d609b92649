/* Claiming children and making pods. */
#include "controller-manager/children.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "client/informer.h"

static bool owner_still_there(const struct kc_owner *o, struct kc_error *err, int *rc)
{
        KC_CLEANUP(kc_json_freep) struct json_object *fresh = NULL;

        *rc = kc_rest_get(o->rest, o->gvr, kc_meta_namespace(o->tree), kc_meta_name(o->tree), &fresh, err);
        if (*rc < 0)
                return false;
        return kc_streq(kc_meta_uid(fresh), kc_meta_uid(o->tree)) && !kc_meta_deleting(fresh);
}

/* 404 and 422 mean that the child is gone or is not the one that was meant: nothing left to do. */
static int patch_child(const struct kc_owner *o, const struct kc_gvr *child, const struct json_object *tree,
    const struct json_object *patch, struct kc_error *err)
{
        int rc = kc_rest_patch(
            o->rest, child, kc_meta_namespace(tree), kc_meta_name(tree), NULL, KC_PATCH_STRATEGIC, patch, NULL, err);
        if (rc < 0 && err && (kc_error_is(err, KC_REASON_NOT_FOUND) || kc_error_is(err, KC_REASON_INVALID))) {
                kc_error_done(err);
                return 1;
        }
        return rc;
}

static int adopt(
    const struct kc_owner *o, const struct kc_gvr *child, const struct json_object *tree, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *api_version = kc_gvr_api_version(o->gvr);
        KC_CLEANUP(kc_json_freep)
        struct json_object *patch = kc_json_build("{'metadata':{'ownerReferences':[%o],'uid':%s}}",
            kc_meta_new_controller_ref(o->tree, api_version, o->gvr->kind), kc_meta_uid(tree));
        return patch_child(o, child, tree, patch, err);
}

static int release(
    const struct kc_owner *o, const struct kc_gvr *child, const struct json_object *tree, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep)
        struct json_object *patch =
            kc_json_build("{'metadata':{'ownerReferences':[{'$patch':'delete','uid':%s}],'uid':%s}}",
                kc_meta_uid(o->tree), kc_meta_uid(tree));
        int rc = patch_child(o, child, tree, patch, err);
        return rc > 0 ? 0 : rc;
}

/* 1: claimed, 0: not ours, negative: error. */
static int claim_one(const struct kc_owner *o, const struct kc_gvr *child, const struct json_object *tree,
    bool *checked, bool *may_adopt, struct kc_error *err)
{
        const struct json_object *ref = kc_meta_controller_ref(tree);
        bool matches = kc_selector_matches(o->selector, kc_meta_labels(tree));
        int rc = 0;

        if (ref) {
                if (!kc_streq(kc_json_str(ref, "uid"), kc_meta_uid(o->tree)))
                        return 0;
                if (matches)
                        return 1;
                return kc_meta_deleting(o->tree) ? 0 : release(o, child, tree, err);
        }
        if (!matches || kc_meta_deleting(o->tree) || kc_meta_deleting(tree))
                return 0;
        if (!*checked) {
                *may_adopt = owner_still_there(o, err, &rc);
                if (rc < 0)
                        return rc;
                *checked = true;
        }
        if (!*may_adopt)
                return 0;
        rc = adopt(o, child, tree, err);
        return rc < 0 ? rc : rc == 0;
}

int kc_children_claim(const struct kc_owner *o, const struct kc_gvr *child, const struct kc_objects *candidates,
    struct kc_objects *claimed, struct kc_error *err)
{
        bool checked = false, may_adopt = false;

        for (size_t i = 0; i < candidates->n; i++) {
                int rc = claim_one(o, child, kc_object_json(candidates->v[i]), &checked, &may_adopt, err);
                if (rc < 0)
                        return rc;
                if (rc > 0)
                        kc_objects_push_take(claimed, kc_object_ref(candidates->v[i]));
        }
        return 0;
}

struct json_object *kc_pod_from_template(
    const struct json_object *owner, const struct kc_gvr *owner_gvr, const struct json_object *pod_template)
{
        static const char *const kept[] = {"labels", "annotations", "finalizers"};
        const struct json_object *meta = kc_json_get(pod_template, "metadata");
        KC_CLEANUP(kc_freep) char *api_version = kc_gvr_api_version(owner_gvr);
        KC_CLEANUP(kc_freep) char *prefix = kc_asprintf("%s-", kc_meta_name(owner));
        struct json_object *pod = kc_json_build(
            "{'apiVersion':'v1','kind':'Pod','metadata':{'generateName':%s,'namespace':%s,'ownerReferences':[%o]}}",
            prefix, kc_meta_namespace(owner), kc_meta_new_controller_ref(owner, api_version, owner_gvr->kind));

        for (size_t i = 0; i < KC_ARRAY_LEN(kept); i++)
                if (kc_json_get(meta, kept[i]))
                        kc_json_set(
                            kc_json_get_mut(pod, "metadata"), kept[i], kc_json_copy(kc_json_get(meta, kept[i])));
        kc_json_set(pod, "spec", kc_json_copy(kc_json_get(pod_template, "spec")));
        return pod;
}

bool kc_pod_is_active(const struct json_object *pod)
{
        return !kc_pod_is_terminal(pod) && !kc_meta_deleting(pod);
}

struct ranked {
        struct kc_object *obj;
        int rank, phase;
        bool assigned, ready;
        int64_t cost, restarts;
        kc_time ready_since, created;
};

static int64_t deletion_cost(const struct json_object *pod)
{
        const char *text = kc_meta_annotation(pod, "controller.kubernetes.io/pod-deletion-cost");
        int64_t v;
        return text && kc_str_to_i64(text, &v) == 0 && v >= INT32_MIN && v <= INT32_MAX ? v : 0;
}

static int64_t most_restarts(const struct json_object *pod)
{
        const struct json_object *list = kc_json_at(pod, "status.containerStatuses");
        int64_t max = 0;
        for (size_t i = 0; i < kc_json_len(list); i++)
                max = KC_MAX(max, kc_json_int(kc_json_idx(list, i), "restartCount", 0));
        return max;
}

static struct ranked rank_pod(struct kc_object *obj, int rank)
{
        const struct json_object *pod = kc_object_json(obj);
        const char *phase = kc_json_str_at(pod, "status.phase");
        const char *since = kc_json_str(kc_condition_get(kc_json_get(pod, "status"), "Ready"), "lastTransitionTime");
        struct ranked r = {
            .obj = obj,
            .rank = rank,
            .assigned = !kc_str_empty(kc_json_str_at(pod, "spec.nodeName")),
            .phase = kc_streq(phase, "Running") ? 2 : kc_streq(phase, "Unknown"),
            .ready = kc_pod_is_ready(pod),
            .cost = deletion_cost(pod),
            .restarts = most_restarts(pod),
            .created = kc_meta_creation_time(pod),
        };
        if (r.ready && since && kc_time_parse(since, &r.ready_since) < 0)
                r.ready_since = 0;
        return r;
}

static int compare(int64_t a, int64_t b)
{
        return a < b ? -1 : a > b;
}

/* Negative: a goes first. */
static int ranked_cmp(const void *x, const void *y)
{
        const struct ranked *a = x, *b = y;
        const int order[] = {
            compare(a->assigned, b->assigned),
            compare(a->phase, b->phase),
            compare(a->ready, b->ready),
            compare(a->cost, b->cost),
            compare(b->rank, a->rank),
            a->ready && b->ready ? compare(b->ready_since, a->ready_since) : 0,
            compare(b->restarts, a->restarts),
            compare(b->created, a->created),
            strcmp(kc_object_uid(a->obj), kc_object_uid(b->obj)),
        };
        for (size_t i = 0; i < KC_ARRAY_LEN(order); i++)
                if (order[i])
                        return order[i];
        return 0;
}

void kc_pods_sort_for_deletion(struct kc_objects *pods, const int *ranks)
{
        KC_CLEANUP(kc_freep) struct ranked *v = kc_calloc(pods->n + 1, sizeof(*v));

        for (size_t i = 0; i < pods->n; i++)
                v[i] = rank_pod(pods->v[i], ranks ? ranks[i] : 0);
        qsort(v, pods->n, sizeof(*v), ranked_cmp);
        for (size_t i = 0; i < pods->n; i++)
                pods->v[i] = v[i].obj;
}

void kc_index_orphans(const struct kc_object *obj, char ***values)
{
        if (!kc_meta_controller_ref(kc_object_json(obj)))
                kc_strv_push(values, kc_object_namespace(obj));
}

void kc_children_add_indexes(struct kc_informer *children)
{
        kc_informer_add_index(children, "controller", kc_index_by_controller_uid);
        kc_informer_add_index(children, "namespace-orphans", kc_index_orphans);
}

void kc_children_candidates(struct kc_informer *children, const struct json_object *owner, struct kc_objects *ret)
{
        kc_informer_by_index(children, "controller", kc_meta_uid(owner), ret);
        kc_informer_by_index(children, "namespace-orphans", kc_meta_namespace(owner), ret);
}
