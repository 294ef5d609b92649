/* The StatefulSet controller: pods with an identity, made and replaced in order. Handlers on the loop; sync on the
 * pool. */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "controller-manager/children.h"
#include "controller-manager/history.h"
#include "controller-manager/statefulset_internal.h"
#include "controller-manager/table.h"

#define REVISION_LABEL "controller.kubernetes.io/hash"

enum { WORKERS = 5 };

/* --- Revisions */

static struct kc_history history_of(const struct kc_ss_sync *s)
{
        return (struct kc_history){.rest = s->c->rest,
            .revisions = s->c->revisions,
            .gvr = &KC_STATEFULSETS,
            .owner = s->set,
            .label = REVISION_LABEL};
}

/* The update revision is the present template's; the current one is that of status until an update is complete. */
static int find_revisions(struct kc_ss_sync *s, struct kc_error *err)
{
        const struct kc_history h = history_of(s);
        const char *current = kc_json_str(s->status, "currentRevision");
        int rc = kc_history_sync(&h, kc_history_data(s->set), &s->update_revision, NULL, err);

        if (rc < 0)
                return rc;
        KC_CLEANUP(kc_object_unrefp)
        struct kc_object *rev =
            current ? kc_informer_lookup(s->c->revisions, kc_meta_namespace(s->set), current) : NULL;
        s->current_revision = kc_strdup(rev ? current : s->update_revision);
        if (rev && !kc_streq(s->current_revision, s->update_revision)) {
                s->current_template = kc_json_copy(kc_json_at(kc_object_json(rev), "data.spec.template"));
                kc_json_del(s->current_template, "$patch");
        }
        return 0;
}

static bool in_use(void *arg, const struct json_object *revision)
{
        const struct kc_ss_sync *s = arg;
        const char *name = kc_meta_name(revision);

        for (size_t i = 0; i < s->pods.n; i++)
                if (kc_streq(kc_meta_label(kc_object_json(s->pods.v[i]), KC_REVISION_HASH), name))
                        return true;
        return kc_streq(name, s->current_revision) || kc_streq(name, s->update_revision);
}

/* --- Pods by ordinal */

struct numbered {
        const struct json_object *set;
        struct kc_object *pod;
};

static int highest_first(const void *a, const void *b)
{
        const struct numbered *x = a, *y = b;
        int64_t i = kc_ss_ordinal(x->set, kc_object_name(x->pod)), k = kc_ss_ordinal(y->set, kc_object_name(y->pod));
        return i < k ? 1 : i > k ? -1 : 0;
}

static void place_pods(struct kc_ss_sync *s)
{
        KC_CLEANUP(kc_freep) struct numbered *rest = kc_calloc(s->pods.n + 1, sizeof(*rest));
        size_t n = 0;

        s->replica = kc_calloc((size_t)s->replicas + 1, sizeof(struct kc_object *));
        for (size_t i = 0; i < s->pods.n; i++) {
                int64_t ordinal = kc_ss_ordinal(s->set, kc_object_name(s->pods.v[i]));
                if (ordinal >= s->start && ordinal < s->start + s->replicas)
                        s->replica[ordinal - s->start] = s->pods.v[i];
                else
                        rest[n++] = (struct numbered){s->set, s->pods.v[i]};
        }
        qsort(rest, n, sizeof(*rest), highest_first);
        for (size_t i = 0; i < n; i++)
                kc_objects_push_take(&s->condemned, kc_object_ref(rest[i].pod));
}

/* A pod of another name may match by its labels: it is nobody's. */
static void candidates_of(struct kc_ss_sync *s, struct kc_objects *ret)
{
        struct kc_objects all = {0};

        kc_children_candidates(s->c->pods, s->set, &all);
        for (size_t i = 0; i < all.n; i++)
                if (kc_ss_ordinal(s->set, kc_object_name(all.v[i])) >= 0)
                        kc_objects_push_take(ret, kc_object_ref(all.v[i]));
        kc_objects_done(&all);
}

static int claim_pods(struct kc_ss_sync *s, struct kc_error *err)
{
        KC_CLEANUP(kc_selector_freep) struct kc_selector *selector = NULL;
        struct kc_objects candidates = {0};
        int rc = kc_owned_pods_selector(&s->c->watch, s->set, &selector, err);

        if (rc < 0)
                return rc;
        struct kc_owner owner = {.rest = s->c->rest, .gvr = &KC_STATEFULSETS, .tree = s->set, .selector = selector};
        candidates_of(s, &candidates);
        rc = kc_children_claim(&owner, &KC_PODS, &candidates, &s->pods, err);
        kc_objects_done(&candidates);
        return rc;
}

/* --- Status */

static void set_count(struct json_object *status, const char *name, int64_t n)
{
        if (n || strcmp(name, "replicas") == 0 || strcmp(name, "availableReplicas") == 0)
                kc_json_set_int(status, name, n);
        else
                kc_json_del(status, name);
}

static void count(struct kc_ss_sync *s)
{
        int64_t ready = 0, available = 0, current = 0, updated = 0;

        for (size_t i = 0; i < s->pods.n; i++) {
                const struct json_object *pod = kc_object_json(s->pods.v[i]);
                const char *revision = kc_meta_label(pod, KC_REVISION_HASH);
                bool is_ready = kc_ss_is_running_and_ready(pod);
                ready += is_ready;
                available += is_ready && kc_pod_is_available(pod, s->min_ready, s->now);
                if (kc_meta_deleting(pod))
                        continue;
                current += kc_streq(revision, s->current_revision);
                updated += kc_streq(revision, s->update_revision);
        }
        set_count(s->status, "replicas", (int64_t)s->pods.n);
        set_count(s->status, "readyReplicas", ready);
        set_count(s->status, "availableReplicas", available);
        set_count(s->status, "currentReplicas", current);
        set_count(s->status, "updatedReplicas", updated);
        kc_json_set_int(s->status, "observedGeneration", kc_meta_generation(s->set));
        kc_json_set_str(s->status, "currentRevision", s->current_revision);
        kc_json_set_str(s->status, "updateRevision", s->update_revision);
        if (!kc_json_get(s->status, "collisionCount"))
                kc_json_set_int(s->status, "collisionCount", 0);
}

/* Every pod is of the new revision: from now on that is the current one. */
static void complete_update(struct kc_ss_sync *s)
{
        if (!kc_streq(kc_json_str_at(s->set, "spec.updateStrategy.type"), "RollingUpdate") ||
            kc_json_int(s->status, "updatedReplicas", 0) != s->replicas ||
            kc_json_int(s->status, "readyReplicas", 0) != s->replicas ||
            kc_json_int(s->status, "replicas", 0) != s->replicas)
                return;
        set_count(s->status, "currentReplicas", s->replicas);
        kc_json_set_str(s->status, "currentRevision", s->update_revision);
}

static int write_status(struct kc_ss_sync *s, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *tree = NULL;

        if (kc_json_equal(kc_json_get(s->set, "status"), s->status))
                return 0;
        tree = kc_json_copy(s->set);
        kc_json_set(tree, "status", kc_json_copy(s->status));
        return kc_rest_update(s->c->rest, &KC_STATEFULSETS, "status", tree, NULL, err);
}

/* --- Sync */

static int run(struct kc_ss_sync *s, struct kc_error *err)
{
        const struct kc_history h = history_of(s);
        struct kc_error failure = KC_ERROR_INIT;
        int rc = claim_pods(s, err), updated = 0;

        if (rc == 0)
                rc = find_revisions(s, err);
        if (rc < 0)
                return rc;
        place_pods(s);
        count(s);
        if (!kc_meta_deleting(s->set))
                updated = kc_ss_update(s, &failure);
        complete_update(s);
        rc = write_status(s, err);
        if (rc == 0 && updated < 0) {
                kc_error_move(err, &failure);
                rc = updated;
        }
        if (rc == 0)
                rc = kc_history_cleanup(&h, kc_json_int_at(s->set, "spec.revisionHistoryLimit", 10), in_use, s, err);
        kc_error_done(&failure);
        return rc;
}

static int sync_set(void *arg, const char *key, struct kc_error *err)
{
        struct kc_statefulsets *c = arg;
        KC_CLEANUP(kc_object_unrefp) struct kc_object *obj = kc_informer_lookup_key(c->sets, key);
        int rc;

        if (!obj)
                return 0;
        const struct json_object *set = kc_object_json(obj), *status = kc_json_get(set, "status");
        struct kc_ss_sync s = {.c = c,
            .set = set,
            .status = status ? kc_json_copy(status) : json_object_new_object(),
            .start = kc_json_int_at(set, "spec.ordinals.start", 0),
            .replicas = kc_json_int_at(set, "spec.replicas", 1),
            .min_ready = kc_json_int_at(set, "spec.minReadySeconds", 0),
            .now = kc_clock_now(NULL)};
        rc = run(&s, err);
        if (rc < 0 && (kc_error_is(err, KC_REASON_CONFLICT) || kc_error_is(err, KC_REASON_NOT_FOUND))) {
                /* Somebody else has written it: once more with what the cache will show. */
                bool conflict = kc_error_is(err, KC_REASON_CONFLICT);
                kc_error_done(err);
                if (conflict)
                        kc_workqueue_add_rate_limited(kc_controller_queue(c->controller), key);
                rc = 0;
        }
        kc_json_free(s.status);
        kc_json_free(s.current_template);
        kc_objects_done(&s.pods);
        kc_objects_done(&s.condemned);
        kc_free(s.replica);
        kc_free(s.current_revision);
        kc_free(s.update_revision);
        return rc;
}

/* --- Life */

static int init(const struct kc_cm_context *cm, void **ret, struct kc_error *err)
{
        struct kc_statefulsets *c = KC_NEW(struct kc_statefulsets);

        (void)err;
        c->rest = cm->rest;
        c->sets = kc_informers_get(cm->informers, &KC_STATEFULSETS);
        c->pods = kc_informers_get(cm->informers, &KC_PODS);
        c->claims = kc_informers_get(cm->informers, &KC_PERSISTENTVOLUMECLAIMS);
        c->revisions = kc_informers_get(cm->informers, &KC_CONTROLLERREVISIONS);
        c->recorder = kc_recorder_new(cm->rest, cm->pool, "statefulset-controller", NULL);
        c->controller = kc_controller_new(cm->loop, cm->pool, "statefulset", WORKERS, sync_set, c);
        kc_children_add_indexes(c->revisions);
        c->watch = (struct kc_owned_pods){
            .gvr = &KC_STATEFULSETS, .owners = c->sets, .pods = c->pods, .controller = c->controller};
        kc_owned_pods_init(&c->watch);
        *ret = c;
        return 0;
}

static void start(void *state)
{
        kc_controller_start(((struct kc_statefulsets *)state)->controller);
}

static void free_state(void *state)
{
        struct kc_statefulsets *c = state;
        kc_controller_free(c->controller);
        kc_recorder_free(c->recorder);
        kc_free(c);
}

const struct kc_controller_def kc_statefulset_controller = {
    .name = "statefulset-controller", .init = init, .start = start, .free = free_state};
