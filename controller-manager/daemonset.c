/* The DaemonSet controller: one pod on every node that the template fits. Handlers on the loop; sync on the pool. */
#include <string.h>

#include "api/node_match.h"
#include "base/str.h"
#include "controller-manager/children.h"
#include "controller-manager/daemonset_internal.h"
#include "controller-manager/options.h"
#include "controller-manager/table.h"

enum { BURST = 250 };

/* --- Events */

static void enqueue_all(struct kc_daemonsets *c)
{
        struct kc_objects sets = {0};
        kc_informer_list(c->sets, NULL, NULL, &sets);
        for (size_t i = 0; i < sets.n; i++)
                kc_owned_pods_enqueue(&c->watch, kc_object_json(sets.v[i]));
        kc_objects_done(&sets);
}

static void on_node_add(struct kc_object *o, bool initial, void *arg)
{
        (void)o, (void)initial;
        enqueue_all(arg);
}

/* Heartbeats change nothing here: what decides is labels, taints and spec.unschedulable. */
static void on_node_update(struct kc_object *old, struct kc_object *o, void *arg)
{
        const struct json_object *a = kc_object_json(old), *b = kc_object_json(o);
        if (!kc_json_equal(kc_meta_labels(a), kc_meta_labels(b)) ||
            !kc_json_equal(kc_json_at(a, "spec.taints"), kc_json_at(b, "spec.taints")))
                enqueue_all(arg);
}

static void on_node_delete(struct kc_object *o, void *arg)
{
        (void)o;
        enqueue_all(arg);
}

/* --- Nodes and pods */

/* One like it that the template has already, perhaps for a limited time, gives way. */
static void add_toleration(struct json_object *list, const char *key, const char *effect)
{
        for (size_t i = kc_json_len(list); i-- > 0;) {
                const struct json_object *t = kc_json_idx(list, i);
                if (kc_streq(kc_json_str(t, "key"), key) && kc_streq(kc_json_str(t, "effect"), effect) &&
                    kc_streq(kc_json_str(t, "operator"), "Exists"))
                        json_object_array_del_idx(list, i, 1);
        }
        kc_json_push(list, kc_json_build("{'key':%s,'operator':'Exists','effect':%s}", key, effect));
}

/* Daemons run on nodes in trouble: that is where they are needed. */
static void add_tolerations(struct json_object *spec)
{
        struct json_object *list = kc_json_ensure_arr(spec, "tolerations");

        add_toleration(list, "node.kubernetes.io/not-ready", "NoExecute");
        add_toleration(list, "node.kubernetes.io/unreachable", "NoExecute");
        add_toleration(list, "node.kubernetes.io/disk-pressure", "NoSchedule");
        add_toleration(list, "node.kubernetes.io/memory-pressure", "NoSchedule");
        add_toleration(list, "node.kubernetes.io/pid-pressure", "NoSchedule");
        add_toleration(list, "node.kubernetes.io/unschedulable", "NoSchedule");
        if (kc_json_bool(spec, "hostNetwork", false))
                add_toleration(list, "node.kubernetes.io/network-unavailable", "NoSchedule");
}

/* Every term of the required node affinity is bound to the node; upstream replaces the terms in the same way. */
static void bind_to_node(struct json_object *spec, const char *node)
{
        struct json_object *required =
            kc_json_ensure_obj(spec, "affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution");
        struct json_object *terms = kc_json_ensure_arr(required, "nodeSelectorTerms");

        if (kc_json_len(terms) == 0)
                kc_json_push(terms, json_object_new_object());
        for (size_t i = 0; i < kc_json_len(terms); i++)
                kc_json_set(kc_json_idx_mut(terms, i), "matchFields",
                    kc_json_build("[{'key':'metadata.name','operator':'In','values':[%s]}]", node));
}

void kc_ds_node_wants(
    const struct json_object *ds, const struct json_object *node, bool *ret_should_run, bool *ret_may_stay)
{
        static const char *const no_execute[] = {"NoExecute", NULL}, *const both[] = {"NoSchedule", "NoExecute", NULL};
        KC_CLEANUP(kc_json_freep) struct json_object *spec = kc_json_copy(kc_json_at(ds, "spec.template.spec"));
        const struct json_object *taints = kc_json_at(node, "spec.taints");
        const char *named = kc_json_str(spec, "nodeName");

        *ret_should_run = *ret_may_stay = false;
        if ((!kc_str_empty(named) && !kc_streq(named, kc_meta_name(node))) || !kc_node_matches_pod(spec, node))
                return;
        add_tolerations(spec);
        *ret_should_run = !kc_untolerated_taint(taints, kc_json_get(spec, "tolerations"), both);
        *ret_may_stay = !kc_untolerated_taint(taints, kc_json_get(spec, "tolerations"), no_execute);
}

struct json_object *kc_ds_new_pod(const struct json_object *ds, const char *node, const char *hash)
{
        struct json_object *pod = kc_pod_from_template(ds, &KC_DAEMONSETS, kc_json_at(ds, "spec.template"));
        KC_CLEANUP(kc_freep) char *generation = kc_asprintf("%lld", (long long)kc_meta_generation(ds));
        const char *template_generation = kc_meta_annotation(ds, "deprecated.daemonset.template.generation");

        kc_meta_set_label(pod, KC_REVISION_HASH, hash);
        kc_meta_set_label(pod, "pod-template-generation", template_generation ? template_generation : generation);
        add_tolerations(kc_json_get_mut(pod, "spec"));
        bind_to_node(kc_json_get_mut(pod, "spec"), node);
        return pod;
}

bool kc_ds_is_current(const struct kc_ds_sync *s, const struct json_object *pod)
{
        return kc_streq(kc_meta_label(pod, KC_REVISION_HASH), s->hash);
}

/* The node on which the pod is, or to which it is bound and not yet scheduled. */
static const char *node_of(const struct json_object *pod)
{
        const char *name = kc_json_str_at(pod, "spec.nodeName");
        const struct json_object *terms = kc_json_at(
            pod, "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms");

        if (!kc_str_empty(name))
                return name;
        const struct json_object *fields = kc_json_get(kc_json_idx(terms, 0), "matchFields");
        return kc_json_as_str(kc_json_idx(kc_json_get(kc_json_idx(fields, 0), "values"), 0));
}

static void node_pods_free(void *p)
{
        struct kc_node_pods *n = p;
        kc_objects_done(&n->pods);
        kc_free(n);
}

static void group_by_node(struct kc_ds_sync *s)
{
        s->by_node = kc_map_new(node_pods_free);
        for (size_t i = 0; i < s->pods.n; i++) {
                const char *node = node_of(kc_object_json(s->pods.v[i]));
                struct kc_node_pods *n;
                if (!node)
                        continue;
                n = kc_map_get(s->by_node, node);
                if (!n) {
                        n = KC_NEW(struct kc_node_pods);
                        kc_map_set(s->by_node, node, n);
                }
                kc_objects_push_take(&n->pods, kc_object_ref(s->pods.v[i]));
        }
}

const struct kc_objects *kc_ds_pods_on(const struct kc_ds_sync *s, const char *node)
{
        static const struct kc_objects none = {0};
        const struct kc_node_pods *n = kc_map_get(s->by_node, node);
        return n ? &n->pods : &none;
}

/* --- Sync */

static int create_on(struct kc_ds_sync *s, const char *node, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *pod = kc_ds_new_pod(s->ds, node, s->hash), *made = NULL;
        int rc = kc_rest_create(s->c->rest, &KC_PODS, kc_meta_namespace(s->ds), pod, &made, err);

        if (rc == 0) {
                kc_recorder_event(s->c->recorder, &KC_DAEMONSETS, s->ds, "Normal", "SuccessfulCreate",
                    "Created pod: %s", kc_meta_name(made));
                return 0;
        }
        kc_expectations_creation_observed(s->c->expectations, s->key);
        kc_recorder_event(s->c->recorder, &KC_DAEMONSETS, s->ds, "Warning", "FailedCreate", "Error creating: %s",
            kc_error_message(err));
        return rc;
}

static int delete_pod(struct kc_ds_sync *s, const struct json_object *pod, struct kc_error *err)
{
        struct kc_delete_opts opts = {.grace_period_seconds = -1, .precondition_uid = kc_meta_uid(pod)};
        int rc = kc_rest_delete(s->c->rest, &KC_PODS, kc_meta_namespace(pod), kc_meta_name(pod), &opts, NULL, err);
        KC_CLEANUP(kc_freep) char *pod_key = kc_meta_key(pod);

        if (rc == 0) {
                kc_recorder_event(s->c->recorder, &KC_DAEMONSETS, s->ds, "Normal", "SuccessfulDelete",
                    "Deleted pod: %s", kc_meta_name(pod));
                return 0;
        }
        kc_expectations_deletion_observed(s->c->expectations, s->key, pod_key);
        if (kc_error_is(err, KC_REASON_NOT_FOUND)) {
                kc_error_done(err);
                return 0;
        }
        return rc;
}

int kc_ds_apply(struct kc_ds_sync *s, char *const *create, const struct kc_objects *victims, struct kc_error *err)
{
        KC_CLEANUP(kc_strv_freep) char **victim_keys = NULL;
        size_t n_create = KC_MIN(kc_strv_len(create), (size_t)BURST), n_delete = KC_MIN(victims->n, (size_t)BURST);
        int rc = 0;

        for (size_t i = 0; i < n_delete; i++)
                kc_strv_push_take(&victim_keys, kc_meta_key(kc_object_json(victims->v[i])));
        kc_expectations_expect_creations(s->c->expectations, s->key, (int)n_create);
        kc_expectations_expect_deletions(s->c->expectations, s->key, victim_keys);
        for (size_t i = 0; create && i < n_create; i++) {
                if (rc == 0)
                        rc = create_on(s, create[i], err);
                else
                        kc_expectations_creation_observed(s->c->expectations, s->key);
        }
        for (size_t i = 0; i < n_delete; i++) {
                struct kc_error one = KC_ERROR_INIT;
                int r = delete_pod(s, kc_object_json(victims->v[i]), &one);
                if (r < 0 && rc == 0) {
                        rc = r;
                        kc_error_move(err, &one);
                }
                kc_error_done(&one);
        }
        return rc;
}

static void mark_victim(struct kc_objects *victims, struct kc_object *pod)
{
        if (!kc_meta_deleting(kc_object_json(pod)))
                kc_objects_push_take(victims, kc_object_ref(pod));
}

/* The oldest running pod stays; a failed one is replaced. Returns whether one is needed. */
static bool manage_wanted(struct kc_ds_sync *s, const char *node, struct kc_objects *victims)
{
        const struct kc_objects *pods = kc_ds_pods_on(s, node);
        struct kc_object *keep = NULL;
        bool needed = pods->n == 0, terminating = false;
        bool surge = kc_json_at(s->ds, "spec.updateStrategy.rollingUpdate.maxSurge") != NULL;

        for (size_t i = 0; i < pods->n; i++) {
                const struct json_object *pod = kc_object_json(pods->v[i]);
                if (kc_meta_deleting(pod)) {
                        terminating = true;
                        continue;
                }
                if (kc_streq(kc_json_str_at(pod, "status.phase"), "Failed") ||
                    kc_streq(kc_json_str_at(pod, "status.phase"), "Succeeded")) {
                        kc_recorder_event(s->c->recorder, &KC_DAEMONSETS, s->ds, "Warning", "FailedDaemonPod",
                            "Found failed daemon pod %s/%s on node %s, will try to kill it", kc_meta_namespace(pod),
                            kc_meta_name(pod), node);
                        mark_victim(victims, pods->v[i]);
                        continue;
                }
                if (!keep) {
                        keep = pods->v[i];
                        continue;
                }
                /* Two during a surge are an old and a new one; more, or two alike, are one too many. */
                if (surge && kc_ds_is_current(s, pod) != kc_ds_is_current(s, kc_object_json(keep)))
                        continue;
                bool newer = kc_meta_creation_time(pod) >= kc_meta_creation_time(kc_object_json(keep));
                mark_victim(victims, newer ? pods->v[i] : keep);
                if (!newer)
                        keep = pods->v[i];
        }
        return needed || (!keep && !terminating && victims->n == 0);
}

/* *ret_acted: what was read of the pods holds no more. */
static int manage(struct kc_ds_sync *s, bool *ret_acted, struct kc_error *err)
{
        KC_CLEANUP(kc_strv_freep) char **create = NULL;
        struct kc_objects victims = {0};
        int rc;

        for (size_t i = 0; i < s->nodes.n; i++) {
                const char *node = kc_object_name(s->nodes.v[i]);
                bool run, stay;
                kc_ds_node_wants(s->ds, kc_object_json(s->nodes.v[i]), &run, &stay);
                if (run) {
                        if (manage_wanted(s, node, &victims))
                                kc_strv_push(&create, node);
                } else if (!stay) {
                        const struct kc_objects *pods = kc_ds_pods_on(s, node);
                        for (size_t j = 0; j < pods->n; j++)
                                mark_victim(&victims, pods->v[j]);
                }
        }
        /* Pods that wait for a node that is gone. */
        for (size_t i = 0; i < s->pods.n; i++) {
                const struct json_object *pod = kc_object_json(s->pods.v[i]);
                const char *node = node_of(pod);
                KC_CLEANUP(kc_object_unrefp)
                struct kc_object *known = node ? kc_informer_lookup(s->c->nodes, NULL, node) : NULL;
                if (node && !known && kc_str_empty(kc_json_str_at(pod, "spec.nodeName")))
                        mark_victim(&victims, s->pods.v[i]);
        }
        *ret_acted = kc_strv_len(create) > 0 || victims.n > 0;
        rc = kc_ds_apply(s, create, &victims, err);
        kc_objects_done(&victims);
        return rc;
}

static int claim(struct kc_ds_sync *s, struct kc_error *err)
{
        KC_CLEANUP(kc_selector_freep) struct kc_selector *sel = NULL;
        struct kc_objects candidates = {0};
        int rc = kc_selector_from_label_selector(kc_json_at(s->ds, "spec.selector"), &sel, err);

        if (rc < 0)
                return rc;
        struct kc_owner owner = {.rest = s->c->rest, .gvr = &KC_DAEMONSETS, .tree = s->ds, .selector = sel};
        kc_children_candidates(s->c->pods, s->ds, &candidates);
        rc = kc_children_claim(&owner, &KC_PODS, &candidates, &s->pods, err);
        kc_objects_done(&candidates);
        return rc;
}

static int sync_steps(struct kc_ds_sync *s, struct kc_error *err)
{
        /* Asked before pods are read: what is expected must be among those that are read. */
        bool satisfied = kc_expectations_satisfied(s->c->expectations, s->key), acted = false;
        int rc = kc_ds_history(s, err);

        if (rc == 0)
                rc = claim(s, err);
        if (rc < 0)
                return rc;
        kc_informer_list(s->c->nodes, NULL, NULL, &s->nodes);
        group_by_node(s);
        if (satisfied) {
                rc = manage(s, &acted, err);
                if (rc == 0 && !acted && kc_streq(kc_json_str_at(s->ds, "spec.updateStrategy.type"), "RollingUpdate"))
                        rc = kc_ds_rolling_update(s, err);
        }
        if (rc == 0)
                rc = kc_ds_cleanup_history(s, err);
        struct kc_error status = KC_ERROR_INIT;
        int status_rc = kc_ds_write_status(s, &status);
        if (rc == 0 && status_rc < 0) {
                rc = status_rc;
                kc_error_move(err, &status);
        }
        kc_error_done(&status);
        return rc;
}

static int sync_set(void *arg, const char *key, struct kc_error *err)
{
        struct kc_daemonsets *c = arg;
        KC_CLEANUP(kc_object_unrefp) struct kc_object *obj = kc_informer_lookup_key(c->sets, key);
        struct kc_ds_sync s = {.c = c, .key = key};
        int rc;

        if (!obj) {
                kc_expectations_delete(c->expectations, key);
                return 0;
        }
        s.ds = kc_object_json(obj);
        if (kc_meta_deleting(s.ds))
                return 0;
        rc = sync_steps(&s, err);
        if (rc < 0 && kc_error_is(err, KC_REASON_NOT_FOUND)) {
                kc_error_done(err);
                rc = 0;
        }
        kc_objects_done(&s.nodes);
        kc_objects_done(&s.pods);
        kc_map_freep(&s.by_node);
        kc_free(s.hash);
        return rc;
}

/* --- Life */

static int init(const struct kc_cm_context *cm, void **ret, struct kc_error *err)
{
        struct kc_daemonsets *c = KC_NEW(struct kc_daemonsets);

        (void)err;
        c->rest = cm->rest;
        c->sets = kc_informers_get(cm->informers, &KC_DAEMONSETS);
        c->pods = kc_informers_get(cm->informers, &KC_PODS);
        c->nodes = kc_informers_get(cm->informers, &KC_NODES);
        c->revisions = kc_informers_get(cm->informers, &KC_CONTROLLERREVISIONS);
        c->expectations = kc_expectations_new(NULL);
        c->recorder = kc_recorder_new(cm->rest, cm->pool, "daemonset-controller", NULL);
        c->controller = kc_controller_new(
            cm->loop, cm->pool, "daemonset-controller", cm->options->concurrent_daemonset_syncs, sync_set, c);
        kc_children_add_indexes(c->revisions);
        c->watch = (struct kc_owned_pods){.gvr = &KC_DAEMONSETS,
            .owners = c->sets,
            .pods = c->pods,
            .controller = c->controller,
            .expectations = c->expectations};
        kc_owned_pods_init(&c->watch);
        kc_informer_add_handler(
            c->nodes, &(struct kc_informer_handler){on_node_add, on_node_update, on_node_delete}, c);
        *ret = c;
        return 0;
}

static void start(void *state)
{
        kc_controller_start(((struct kc_daemonsets *)state)->controller);
}

static void free_state(void *state)
{
        struct kc_daemonsets *c = state;
        kc_controller_free(c->controller);
        kc_recorder_free(c->recorder);
        kc_expectations_free(c->expectations);
        kc_free(c);
}

const struct kc_controller_def kc_daemonset_controller = {
    .name = "daemonset-controller", .init = init, .start = start, .free = free_state};
