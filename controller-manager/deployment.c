/* The Deployment controller: events and the course of a sync. Handlers on the loop; sync on the pool. */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "controller-manager/children.h"
#include "controller-manager/deployment_internal.h"
#include "controller-manager/options.h"
#include "controller-manager/table.h"

/* --- Events */

static void enqueue(struct kc_deployments *c, const struct json_object *d)
{
        KC_CLEANUP(kc_freep) char *key = kc_meta_key(d);
        kc_workqueue_add(kc_controller_queue(c->controller), key);
}

static void on_deployment_add(struct kc_object *o, bool initial, void *arg)
{
        (void)initial;
        enqueue(arg, kc_object_json(o));
}

static void on_deployment_update(struct kc_object *old, struct kc_object *o, void *arg)
{
        (void)old;
        enqueue(arg, kc_object_json(o));
}

static void on_deployment_delete(struct kc_object *o, void *arg)
{
        enqueue(arg, kc_object_json(o));
}

static bool enqueue_owner(struct kc_deployments *c, const struct json_object *rs)
{
        const struct json_object *ref = kc_meta_controller_ref(rs);

        if (!ref)
                return false;
        if (kc_streq(kc_json_str(ref, "kind"), "Deployment")) {
                KC_CLEANUP(kc_freep) char *key = kc_asprintf("%s/%s", kc_meta_namespace(rs), kc_json_str(ref, "name"));
                kc_workqueue_add(kc_controller_queue(c->controller), key);
        }
        return true;
}

/* An orphan concerns every Deployment that would take it. */
static void enqueue_matching(struct kc_deployments *c, const struct json_object *rs)
{
        struct kc_objects list = {0};

        if (kc_json_n_keys(kc_meta_labels(rs)) == 0)
                return;
        kc_informer_list(c->deployments, kc_meta_namespace(rs), NULL, &list);
        for (size_t i = 0; i < list.n; i++) {
                const struct json_object *d = kc_object_json(list.v[i]);
                KC_CLEANUP(kc_selector_freep) struct kc_selector *sel = NULL;
                if (kc_selector_from_label_selector(kc_json_at(d, "spec.selector"), &sel, NULL) == 0 &&
                    !kc_selector_is_everything(sel) && kc_selector_matches(sel, kc_meta_labels(rs)))
                        enqueue(c, d);
        }
        kc_objects_done(&list);
}

static void on_set_add(struct kc_object *o, bool initial, void *arg)
{
        (void)initial;
        if (!enqueue_owner(arg, kc_object_json(o)))
                enqueue_matching(arg, kc_object_json(o));
}

static void on_set_update(struct kc_object *old, struct kc_object *o, void *arg)
{
        const struct json_object *a = kc_object_json(old), *b = kc_object_json(o);

        if (kc_streq(kc_object_resource_version(old), kc_object_resource_version(o)))
                return;
        bool other_owner = !kc_json_equal(kc_meta_controller_ref(a), kc_meta_controller_ref(b));
        if (other_owner)
                (void)enqueue_owner(arg, a); /* may have had none */
        if (!enqueue_owner(arg, b) && (other_owner || !kc_json_equal(kc_meta_labels(a), kc_meta_labels(b))))
                enqueue_matching(arg, b);
}

static void on_set_delete(struct kc_object *o, void *arg)
{
        (void)enqueue_owner(arg, kc_object_json(o)); /* an orphan concerns nobody any more */
}

/* Recreate waits for the last old pod to go. */
static void on_pod_delete(struct kc_object *o, void *arg)
{
        struct kc_deployments *c = arg;
        const struct json_object *ref = kc_meta_controller_ref(kc_object_json(o));

        if (!kc_streq(kc_json_str(ref, "kind"), "ReplicaSet"))
                return;
        KC_CLEANUP(kc_object_unrefp)
        struct kc_object *rs = kc_informer_lookup(c->sets, kc_object_namespace(o), kc_json_str(ref, "name"));
        const struct json_object *owner = rs ? kc_meta_controller_ref(kc_object_json(rs)) : NULL;
        if (!kc_streq(kc_json_str(owner, "kind"), "Deployment"))
                return;
        KC_CLEANUP(kc_object_unrefp)
        struct kc_object *d = kc_informer_lookup(c->deployments, kc_object_namespace(o), kc_json_str(owner, "name"));
        if (d && !kc_is_rolling(kc_object_json(d)))
                enqueue(c, kc_object_json(d));
}

/* --- Sync */

static int set_cmp(const void *a, const void *b)
{
        const struct json_object *x = *(struct json_object *const *)a, *y = *(struct json_object *const *)b;
        kc_time s = kc_meta_creation_time(x), t = kc_meta_creation_time(y);
        return s != t ? (s < t ? -1 : 1) : strcmp(kc_meta_name(x), kc_meta_name(y));
}

static int claim_sets(struct kc_dsync *s, const struct kc_selector *sel, struct kc_error *err)
{
        struct kc_owner owner = {.rest = s->c->rest, .gvr = &KC_DEPLOYMENTS, .tree = s->d, .selector = sel};
        struct kc_objects candidates = {0}, claimed = {0};
        int rc;

        kc_children_candidates(s->c->sets, s->d, &candidates);
        rc = kc_children_claim(&owner, &KC_REPLICASETS, &candidates, &claimed, err);
        if (rc == 0 && claimed.n) {
                s->sets = kc_calloc(claimed.n, sizeof(struct json_object *));
                for (size_t i = 0; i < claimed.n; i++)
                        s->sets[s->n++] = kc_object_copy_json(claimed.v[i]);
                qsort(s->sets, s->n, sizeof(struct json_object *), set_cmp);
        }
        kc_objects_done(&candidates);
        kc_objects_done(&claimed);
        return rc;
}

/* An active set whose annotation does not say what the Deployment wishes: it was scaled. */
static bool was_scaled(const struct kc_dsync *s)
{
        for (size_t i = 0; i < s->n; i++) {
                const char *text = kc_meta_annotation(s->sets[i], KC_DESIRED);
                int64_t desired;
                if (kc_is_active_set(s->sets[i]) && text && kc_str_to_i64(text, &desired) == 0 &&
                    desired != kc_replicas(s->d))
                        return true;
        }
        return false;
}

static int sync_scale(struct kc_dsync *s, struct kc_error *err)
{
        int rc = kc_sync_new_set(s, false, err);

        if (rc == 0)
                rc = kc_scale_all(s, err);
        if (rc == 0 && kc_json_bool_at(s->d, "spec.paused", false))
                rc = kc_cleanup_sets(s, err);
        return rc == 0 ? kc_write_deployment_status(s, false, err) : rc;
}

static int sync_tree(struct kc_dsync *s, const struct kc_selector *sel, struct kc_error *err)
{
        int rc = claim_sets(s, sel, err);

        if (rc < 0)
                return rc;
        s->new_set = -1;
        if (kc_meta_deleting(s->d)) {
                for (size_t i = 0; i < s->n && s->new_set < 0; i++)
                        if (kc_template_equal(
                                kc_json_at(s->sets[i], "spec.template"), kc_json_at(s->d, "spec.template")))
                                s->new_set = (int)i;
                return kc_write_deployment_status(s, false, err);
        }
        rc = kc_check_paused(s, err);
        if (rc < 0)
                return rc;
        if (kc_json_bool_at(s->d, "spec.paused", false) || was_scaled(s))
                return sync_scale(s, err);
        return kc_is_rolling(s->d) ? kc_rollout_rolling(s, err) : kc_rollout_recreate(s, err);
}

static int sync_deployment(void *arg, const char *key, struct kc_error *err)
{
        struct kc_deployments *c = arg;
        KC_CLEANUP(kc_object_unrefp) struct kc_object *obj = kc_informer_lookup_key(c->deployments, key);
        KC_CLEANUP(kc_selector_freep) struct kc_selector *sel = NULL;
        struct kc_dsync s = {.c = c, .key = key};
        int rc;

        if (!obj)
                return 0;
        rc = kc_selector_from_label_selector(kc_json_at(kc_object_json(obj), "spec.selector"), &sel, err);
        if (rc < 0)
                return rc;
        if (kc_selector_is_everything(sel)) {
                kc_recorder_event(c->recorder, &KC_DEPLOYMENTS, kc_object_json(obj), "Warning", "SelectingAll",
                    "This deployment is selecting all pods. A non-empty selector is required.");
                return 0;
        }
        s.d = kc_object_copy_json(obj);
        rc = sync_tree(&s, sel, err);
        /* Gone meanwhile: the informer will say so. */
        if (rc < 0 && kc_error_is(err, KC_REASON_NOT_FOUND)) {
                kc_error_done(err);
                rc = 0;
        }
        for (size_t i = 0; i < s.n; i++)
                kc_json_free(s.sets[i]);
        kc_free(s.sets);
        kc_json_free(s.d);
        return rc;
}

/* --- Life */

static int init(const struct kc_cm_context *cm, void **ret, struct kc_error *err)
{
        struct kc_deployments *c = KC_NEW(struct kc_deployments);

        (void)err;
        c->rest = cm->rest;
        c->deployments = kc_informers_get(cm->informers, &KC_DEPLOYMENTS);
        c->sets = kc_informers_get(cm->informers, &KC_REPLICASETS);
        c->pods = kc_informers_get(cm->informers, &KC_PODS);
        c->recorder = kc_recorder_new(cm->rest, cm->pool, "deployment-controller", NULL);
        c->controller = kc_controller_new(
            cm->loop, cm->pool, "deployment-controller", cm->options->concurrent_deployment_syncs, sync_deployment, c);
        kc_children_add_indexes(c->sets);
        kc_children_add_indexes(c->pods);
        kc_informer_add_handler(c->deployments,
            &(struct kc_informer_handler){on_deployment_add, on_deployment_update, on_deployment_delete}, c);
        kc_informer_add_handler(c->sets, &(struct kc_informer_handler){on_set_add, on_set_update, on_set_delete}, c);
        kc_informer_add_handler(c->pods, &(struct kc_informer_handler){NULL, NULL, on_pod_delete}, c);
        *ret = c;
        return 0;
}

static void start(void *state)
{
        kc_controller_start(((struct kc_deployments *)state)->controller);
}

static void free_state(void *state)
{
        struct kc_deployments *c = state;
        kc_controller_free(c->controller);
        kc_recorder_free(c->recorder);
        kc_free(c);
}

const struct kc_controller_def kc_deployment_controller = {
    .name = "deployment-controller", .init = init, .start = start, .free = free_state};
