/* ReplicaSet and ReplicationController: keep the wished number of pods. Both kinds differ only in their resource and in
 * how the selector is written. Handlers on the loop; sync on the pool. Mirrors upstream's pkg/controller/replicaset. */
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "controller-manager/children.h"
#include "controller-manager/options.h"
#include "controller-manager/owned_pods.h"
#include "controller-manager/table.h"

enum { BURST = 500, STATUS_RETRIES = 2 };

struct replicaset {
        const struct kc_gvr *gvr;
        struct kc_rest *rest;
        struct kc_informer *sets, *pods;
        struct kc_controller *controller;
        struct kc_expectations *expectations;
        struct kc_recorder *recorder;
        struct kc_owned_pods watch;
};

/* --- Sync */

/* Creates n pods in batches of 1, 2, 4, ...: a creation that cannot succeed is not tried n times. */
static int create_pods(struct replicaset *c, const char *key, const struct json_object *rs, int n, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep)
        struct json_object *pod = kc_pod_from_template(rs, c->gvr, kc_json_at(rs, "spec.template"));
        int done = 0, rc = 0;

        n = KC_MIN(n, (int)BURST);
        kc_expectations_expect_creations(c->expectations, key, n);
        for (int batch = 1; done < n && rc == 0; batch *= 2)
                for (int i = 0; i < batch && done < n; i++) {
                        KC_CLEANUP(kc_json_freep) struct json_object *made = NULL;
                        struct kc_error one = KC_ERROR_INIT;
                        int r = kc_rest_create(c->rest, &KC_PODS, kc_meta_namespace(rs), pod, &made, &one);
                        done++;
                        if (r == 0) {
                                kc_recorder_event(c->recorder, c->gvr, rs, "Normal", "SuccessfulCreate",
                                    "Created pod: %s", kc_meta_name(made));
                                continue;
                        }
                        kc_expectations_creation_observed(c->expectations, key);
                        if (rc == 0) {
                                rc = r;
                                kc_recorder_event(c->recorder, c->gvr, rs, "Warning", "FailedCreate",
                                    "Error creating: %s", kc_error_message(&one));
                                if (err)
                                        kc_error_move(err, &one);
                        }
                        kc_error_done(&one);
                }
        /* What was not tried will not be seen either. */
        for (; done < n; done++)
                kc_expectations_creation_observed(c->expectations, key);
        return rc;
}

/* How many active pods of the same owner are on the pod's node. */
static void count_neighbours(const struct kc_objects *pods, int *ranks)
{
        for (size_t i = 0; i < pods->n; i++) {
                const char *node = kc_json_str_at(kc_object_json(pods->v[i]), "spec.nodeName");
                for (size_t j = 0; j < pods->n; j++)
                        ranks[i] += kc_streq(node, kc_json_str_at(kc_object_json(pods->v[j]), "spec.nodeName"));
        }
}

static int delete_pods(struct replicaset *c, const char *key, const struct json_object *rs, struct kc_objects *pods,
    int n, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) int *ranks = kc_calloc(pods->n + 1, sizeof(*ranks));
        KC_CLEANUP(kc_strv_freep) char **keys = NULL;
        int rc = 0;

        n = KC_MIN(n, (int)BURST);
        count_neighbours(pods, ranks);
        kc_pods_sort_for_deletion(pods, ranks);
        for (int i = 0; i < n; i++)
                kc_strv_push_take(&keys, kc_meta_key(kc_object_json(pods->v[i])));
        kc_expectations_expect_deletions(c->expectations, key, keys);
        for (int i = 0; i < n; i++) {
                const struct json_object *pod = kc_object_json(pods->v[i]);
                struct kc_delete_opts opts = {.grace_period_seconds = -1, .precondition_uid = kc_meta_uid(pod)};
                struct kc_error one = KC_ERROR_INIT;
                int r = kc_rest_delete(c->rest, &KC_PODS, kc_meta_namespace(pod), kc_meta_name(pod), &opts, NULL, &one);
                if (r == 0) {
                        kc_recorder_event(c->recorder, c->gvr, rs, "Normal", "SuccessfulDelete", "Deleted pod: %s",
                            kc_meta_name(pod));
                } else {
                        kc_expectations_deletion_observed(c->expectations, key, keys[i]);
                        if (!kc_error_is(&one, KC_REASON_NOT_FOUND)) {
                                kc_recorder_event(c->recorder, c->gvr, rs, "Warning", "FailedDelete",
                                    "Error deleting: %s", kc_error_message(&one));
                                rc = r;
                                if (err)
                                        kc_error_move(err, &one);
                        }
                }
                kc_error_done(&one);
        }
        return rc;
}

static int manage(struct replicaset *c, const char *key, const struct json_object *rs, struct kc_objects *active,
    struct kc_error *err)
{
        int64_t want = kc_json_int_at(rs, "spec.replicas", 1), have = (int64_t)active->n;

        if (have < want)
                return create_pods(c, key, rs, (int)KC_MIN(want - have, (int64_t)BURST), err);
        if (have > want)
                return delete_pods(c, key, rs, active, (int)KC_MIN(have - want, (int64_t)BURST), err);
        return 0;
}

static void set_failure_condition(struct json_object *status, int64_t diff, const struct kc_error *failure)
{
        struct json_object *list = kc_json_get_mut(status, "conditions");

        if (failure && failure->errnum) {
                (void)kc_condition_set(status, "ReplicaFailure", "True", diff < 0 ? "FailedCreate" : "FailedDelete",
                    kc_error_message(failure),
                    kc_clock_now(NULL)); /* whether it changed shows in the comparison later */
                return;
        }
        for (size_t i = 0; i < kc_json_len(list); i++)
                if (kc_streq(kc_json_str(kc_json_idx(list, i), "type"), "ReplicaFailure")) {
                        json_object_array_del_idx(list, i, 1);
                        break;
                }
        if (list && kc_json_len(list) == 0)
                kc_json_del(status, "conditions");
}

static void set_count(struct json_object *status, const char *name, int64_t n)
{
        if (n || strcmp(name, "replicas") == 0)
                kc_json_set_int(status, name, n);
        else
                kc_json_del(status, name);
}

static struct json_object *new_status(
    const struct json_object *rs, const struct kc_objects *active, const struct kc_error *failure)
{
        const struct json_object *old = kc_json_get(rs, "status");
        struct json_object *status = old ? kc_json_copy(old) : json_object_new_object();
        KC_CLEANUP(kc_selector_freep)
        struct kc_selector *labels = kc_selector_from_map(kc_json_at(rs, "spec.template.metadata.labels"));
        int64_t min_ready = kc_json_int_at(rs, "spec.minReadySeconds", 0), labeled = 0, ready = 0, available = 0;
        kc_time now = kc_clock_now(NULL);

        for (size_t i = 0; i < active->n; i++) {
                const struct json_object *pod = kc_object_json(active->v[i]);
                labeled += kc_selector_matches(labels, kc_meta_labels(pod));
                ready += kc_pod_is_ready(pod);
                available += kc_pod_is_available(pod, min_ready, now);
        }
        set_count(status, "replicas", (int64_t)active->n);
        set_count(status, "fullyLabeledReplicas", labeled);
        set_count(status, "readyReplicas", ready);
        set_count(status, "availableReplicas", available);
        kc_json_set_int(status, "observedGeneration", kc_meta_generation(rs));
        set_failure_condition(status, (int64_t)active->n - kc_json_int_at(rs, "spec.replicas", 1), failure);
        return status;
}

/* On a conflict the status is written onto the fresh object: it says what was counted, whoever changed the spec. */
static int write_status(
    struct replicaset *c, const struct json_object *rs, struct json_object *take_status, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *status = take_status;
        KC_CLEANUP(kc_json_freep) struct json_object *tree = kc_json_copy(rs);
        int rc = 0;

        if (kc_json_equal(kc_json_get(rs, "status"), status))
                return 0;
        for (int i = 0; i <= STATUS_RETRIES; i++) {
                kc_json_set(tree, "status", kc_json_copy(status));
                rc = kc_rest_update(c->rest, c->gvr, "status", tree, NULL, err);
                if (rc == 0 || i == STATUS_RETRIES || !kc_error_is(err, KC_REASON_CONFLICT))
                        break;
                kc_json_free(KC_TAKE(tree));
                kc_error_done(err);
                rc = kc_rest_get(c->rest, c->gvr, kc_meta_namespace(rs), kc_meta_name(rs), &tree, err);
                if (rc < 0 || !kc_streq(kc_meta_uid(tree), kc_meta_uid(rs)))
                        break;
        }
        if (rc < 0 && kc_error_is(err, KC_REASON_NOT_FOUND)) {
                kc_error_done(err);
                return 0;
        }
        return rc;
}

static void active_of(const struct kc_objects *claimed, struct kc_objects *ret)
{
        for (size_t i = 0; i < claimed->n; i++)
                if (kc_pod_is_active(kc_object_json(claimed->v[i])))
                        kc_objects_push_take(ret, kc_object_ref(claimed->v[i]));
}

static int sync_claimed(struct replicaset *c, const char *key, const struct json_object *rs,
    const struct kc_objects *claimed, bool satisfied, struct kc_error *err)
{
        struct kc_objects active = {0};
        struct kc_error failure = KC_ERROR_INIT;
        int64_t min_ready = kc_json_int_at(rs, "spec.minReadySeconds", 0);
        int rc = 0;

        active_of(claimed, &active);
        if (satisfied && !kc_meta_deleting(rs))
                rc = manage(c, key, rs, &active, &failure);
        struct json_object *status = new_status(rs, &active, &failure);
        bool waiting = min_ready > 0 &&
                       kc_json_int(status, "readyReplicas", 0) == kc_json_int_at(rs, "spec.replicas", 1) &&
                       kc_json_int(status, "availableReplicas", 0) != kc_json_int_at(rs, "spec.replicas", 1);
        int status_rc = write_status(c, rs, status, err);
        if (rc < 0) {
                kc_error_move(err, &failure);
        } else if (status_rc == 0 && waiting) {
                kc_workqueue_add_after(kc_controller_queue(c->controller), key, min_ready * KC_SEC);
        }
        kc_objects_done(&active);
        kc_error_done(&failure);
        return rc < 0 ? rc : status_rc;
}

static int sync_set(void *arg, const char *key, struct kc_error *err)
{
        struct replicaset *c = arg;
        KC_CLEANUP(kc_object_unrefp) struct kc_object *obj = kc_informer_lookup_key(c->sets, key);
        KC_CLEANUP(kc_selector_freep) struct kc_selector *selector = NULL;
        struct kc_objects candidates = {0}, claimed = {0};
        int rc;

        if (!obj) {
                kc_expectations_delete(c->expectations, key);
                return 0;
        }
        const struct json_object *rs = kc_object_json(obj);
        bool satisfied = kc_expectations_satisfied(c->expectations, key);
        rc = kc_owned_pods_selector(&c->watch, rs, &selector, err);
        if (rc < 0)
                return rc;
        struct kc_owner owner = {.rest = c->rest, .gvr = c->gvr, .tree = rs, .selector = selector};
        kc_children_candidates(c->pods, rs, &candidates);
        rc = kc_children_claim(&owner, &KC_PODS, &candidates, &claimed, err);
        if (rc == 0)
                rc = sync_claimed(c, key, rs, &claimed, satisfied, err);
        kc_objects_done(&candidates);
        kc_objects_done(&claimed);
        return rc;
}

/* --- Life */

static int init(
    const struct kc_cm_context *cm, const struct kc_gvr *gvr, const char *component, int workers, void **ret)
{
        struct replicaset *c = KC_NEW(struct replicaset);

        c->gvr = gvr;
        c->rest = cm->rest;
        c->sets = kc_informers_get(cm->informers, gvr);
        c->pods = kc_informers_get(cm->informers, &KC_PODS);
        c->expectations = kc_expectations_new(NULL);
        c->recorder = kc_recorder_new(cm->rest, cm->pool, component, NULL);
        c->controller = kc_controller_new(cm->loop, cm->pool, component, workers, sync_set, c);
        c->watch = (struct kc_owned_pods){.gvr = gvr,
            .owners = c->sets,
            .pods = c->pods,
            .controller = c->controller,
            .expectations = c->expectations,
            .plain_selector = gvr == &KC_REPLICATIONCONTROLLERS};
        kc_owned_pods_init(&c->watch);
        *ret = c;
        return 0;
}

static int init_rs(const struct kc_cm_context *cm, void **ret, struct kc_error *err)
{
        (void)err;
        return init(cm, &KC_REPLICASETS, "replicaset-controller", cm->options->concurrent_replicaset_syncs, ret);
}

static int init_rc(const struct kc_cm_context *cm, void **ret, struct kc_error *err)
{
        (void)err;
        return init(cm, &KC_REPLICATIONCONTROLLERS, "replication-controller", cm->options->concurrent_rc_syncs, ret);
}

static void start(void *state)
{
        struct replicaset *c = state;
        kc_controller_start(c->controller);
}

static void free_state(void *state)
{
        struct replicaset *c = state;
        kc_controller_free(c->controller);
        kc_recorder_free(c->recorder);
        kc_expectations_free(c->expectations);
        kc_free(c);
}

const struct kc_controller_def kc_replicaset_controller = {
    .name = "replicaset-controller", .init = init_rs, .start = start, .free = free_state};
const struct kc_controller_def kc_replicationcontroller_controller = {
    .name = "replicationcontroller-controller", .init = init_rc, .start = start, .free = free_state};
