/* ReplicaSets of a Deployment: finding, creating, scaling and clearing away. Pool threads. */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "controller-manager/deployment_internal.h"

/* The oldest set with the Deployment's template: upstream's choice should there be two. */
static void find_new_set(struct kc_dsync *s)
{
        s->new_set = -1;
        for (size_t i = 0; i < s->n && s->new_set < 0; i++)
                if (kc_template_equal(kc_json_at(s->sets[i], "spec.template"), kc_json_at(s->d, "spec.template")))
                        s->new_set = (int)i;
}

static int64_t max_old_revision(const struct kc_dsync *s)
{
        int64_t max = 0;
        for (size_t i = 0; i < s->n; i++)
                if ((int)i != s->new_set)
                        max = KC_MAX(max, kc_revision(s->sets[i]));
        return max;
}

/* Replaces a tree by what the server answered. */
static int update(
    struct kc_dsync *s, const struct kc_gvr *g, const char *sub, struct json_object **tree, struct kc_error *err)
{
        struct json_object *fresh = NULL;
        int rc = kc_rest_update(s->c->rest, g, sub, *tree, &fresh, err);
        if (rc < 0)
                return rc;
        kc_json_free(*tree);
        *tree = fresh;
        return 0;
}

static bool set_revision(struct json_object *o, int64_t revision)
{
        KC_CLEANUP(kc_freep) char *text = kc_asprintf("%lld", (long long)revision);
        if (kc_streq(kc_meta_annotation(o, KC_REVISION), text))
                return false;
        kc_meta_set_annotation(o, KC_REVISION, text);
        return true;
}

/* The Deployment's own revision is its new set's. The status is no part of this write. */
static int follow_revision(struct kc_dsync *s, int64_t revision, struct kc_error *err)
{
        return set_revision(s->d, revision) ? update(s, &KC_DEPLOYMENTS, NULL, &s->d, err) : 0;
}

/* A rollback gives an old set a new revision; what it was before is kept. */
static void note_former_revision(struct json_object *rs)
{
        const char *now = kc_meta_annotation(rs, KC_REVISION), *former = kc_meta_annotation(rs, KC_REVISION_HISTORY);
        KC_CLEANUP(kc_freep) char *list = NULL;

        if (!now)
                return;
        list = kc_str_empty(former) ? kc_strdup(now) : kc_asprintf("%s,%s", former, now);
        kc_meta_set_annotation(rs, KC_REVISION_HISTORY, list);
}

static int refresh_new_set(struct kc_dsync *s, struct kc_error *err)
{
        struct json_object **rs = &s->sets[s->new_set];
        int64_t revision = KC_MAX(max_old_revision(s) + 1, kc_revision(*rs)), min_ready;
        bool changed = kc_copy_annotations(*rs, s->d);

        if (kc_revision(*rs) < revision) {
                note_former_revision(*rs);
                changed |= set_revision(*rs, revision);
        }
        min_ready = kc_json_int_at(s->d, "spec.minReadySeconds", 0);
        if (kc_json_int_at(*rs, "spec.minReadySeconds", 0) != min_ready) {
                kc_json_set_int(kc_json_get_mut(*rs, "spec"), "minReadySeconds", min_ready);
                changed = true;
        }
        int rc = changed ? update(s, &KC_REPLICASETS, NULL, rs, err) : 0;
        if (rc == 0 && !kc_condition_get(kc_json_get(s->d, "status"), "Progressing") &&
            kc_json_get(kc_json_get(s->d, "spec"), "progressDeadlineSeconds")) {
                KC_CLEANUP(kc_freep) char *message = kc_asprintf("Found new replica set \"%s\"", kc_meta_name(*rs));
                kc_deployment_condition(
                    kc_json_ensure_obj(s->d, "status"), "Progressing", "True", "FoundNewReplicaSet", message);
                rc = update(s, &KC_DEPLOYMENTS, "status", &s->d, err);
        }
        return rc == 0 ? follow_revision(s, revision, err) : rc;
}

static struct json_object *new_set_tree(struct kc_dsync *s, const char *hash)
{
        KC_CLEANUP(kc_freep) char *name = kc_asprintf("%s-%s", kc_meta_name(s->d), hash);
        struct json_object *rs =
            kc_json_build("{'apiVersion':'apps/v1','kind':'ReplicaSet','metadata':{'name':%s,'namespace':%s,"
                          "'ownerReferences':[%o]},'spec':{'selector':%o,'template':%o}}",
                name, kc_meta_namespace(s->d), kc_meta_new_controller_ref(s->d, "apps/v1", "Deployment"),
                kc_json_copy(kc_json_at(s->d, "spec.selector")), kc_json_copy(kc_json_at(s->d, "spec.template")));

        kc_json_set_str(kc_json_ensure_obj(rs, "spec.template.metadata.labels"), KC_TEMPLATE_HASH, hash);
        kc_json_set_str(kc_json_ensure_obj(rs, "spec.selector.matchLabels"), KC_TEMPLATE_HASH, hash);
        kc_json_set(kc_json_ensure_obj(rs, "metadata"), "labels",
            kc_json_copy(kc_json_at(rs, "spec.template.metadata.labels")));
        kc_json_set_int(
            kc_json_get_mut(rs, "spec"), "minReadySeconds", kc_json_int_at(s->d, "spec.minReadySeconds", 0));
        return rs;
}

/* The name is taken: by our own earlier attempt, or by a set with another template (a collision of hashes). */
static int name_taken(struct kc_dsync *s, const char *name, struct json_object **ret, struct kc_error *err)
{
        struct json_object *have = NULL, *status;
        int rc = kc_rest_get(s->c->rest, &KC_REPLICASETS, kc_meta_namespace(s->d), name, &have, err);

        if (rc < 0)
                return rc;
        if (kc_meta_is_controlled_by(have, s->d) &&
            kc_template_equal(kc_json_at(have, "spec.template"), kc_json_at(s->d, "spec.template"))) {
                *ret = have;
                return 0;
        }
        kc_json_free(have);
        status = kc_json_ensure_obj(s->d, "status");
        kc_json_set_int(status, "collisionCount", kc_json_int(status, "collisionCount", 0) + 1);
        rc = update(s, &KC_DEPLOYMENTS, "status", &s->d, err);
        return rc < 0 ? rc : kc_error_set_api(err, 409, KC_REASON_CONFLICT, "the hash of ReplicaSet %s collides", name);
}

static void push_set(struct kc_dsync *s, struct json_object *take)
{
        s->sets = kc_reallocarray(s->sets, s->n + 1, sizeof(struct json_object *));
        s->new_set = (int)s->n;
        s->sets[s->n++] = take;
}

static int create_failed(struct kc_dsync *s, const char *name, struct kc_error *err)
{
        KC_CLEANUP(kc_freep)
        char *message = kc_asprintf("Failed to create new replica set \"%s\": %s", name, kc_error_message(err));
        struct kc_error ignored = KC_ERROR_INIT;

        if (kc_json_get(kc_json_get(s->d, "spec"), "progressDeadlineSeconds")) {
                kc_deployment_condition(
                    kc_json_ensure_obj(s->d, "status"), "Progressing", "False", "ReplicaSetCreateError", message);
                (void)update(s, &KC_DEPLOYMENTS, "status", &s->d, &ignored); /* the creation's error counts */
        }
        kc_recorder_event(s->c->recorder, &KC_DEPLOYMENTS, s->d, "Warning", "ReplicaSetCreateError", "%s", message);
        kc_error_done(&ignored);
        return -err->errnum;
}

static int create_new_set(struct kc_dsync *s, struct kc_error *err)
{
        KC_CLEANUP(kc_freep)
        char *hash = kc_template_hash(kc_json_at(s->d, "spec.template"), kc_status_int(s->d, "collisionCount"));
        KC_CLEANUP(kc_json_freep) struct json_object *want = new_set_tree(s, hash);
        struct json_object *made = NULL;
        int64_t replicas = kc_new_set_replicas(s, 0), revision = max_old_revision(s) + 1;
        int rc;

        kc_json_set_int(kc_json_get_mut(want, "spec"), "replicas", replicas);
        (void)kc_copy_annotations(want, s->d); /* it is new: everything changes */
        (void)kc_set_replicas_annotations(want, kc_replicas(s->d), kc_replicas(s->d) + kc_max_surge(s->d));
        (void)set_revision(want, revision);
        rc = kc_rest_create(s->c->rest, &KC_REPLICASETS, kc_meta_namespace(s->d), want, &made, err);
        if (rc < 0 && kc_error_is(err, KC_REASON_ALREADY_EXISTS)) {
                kc_error_done(err);
                rc = name_taken(s, kc_meta_name(want), &made, err);
                if (rc < 0)
                        return rc;
        } else if (rc < 0) {
                return create_failed(s, kc_meta_name(want), err);
        } else if (replicas > 0) {
                kc_recorder_event(s->c->recorder, &KC_DEPLOYMENTS, s->d, "Normal", "ScalingReplicaSet",
                    "Scaled up replica set %s from 0 to %lld", kc_meta_name(made), (long long)replicas);
        }
        push_set(s, made);
        if (kc_json_get(kc_json_get(s->d, "spec"), "progressDeadlineSeconds")) {
                KC_CLEANUP(kc_freep) char *message = kc_asprintf("Created new replica set \"%s\"", kc_meta_name(made));
                kc_deployment_condition(
                    kc_json_ensure_obj(s->d, "status"), "Progressing", "True", "NewReplicaSetCreated", message);
                rc = update(s, &KC_DEPLOYMENTS, "status", &s->d, err);
                if (rc < 0)
                        return rc;
        }
        return follow_revision(s, kc_revision(made), err);
}

int kc_sync_new_set(struct kc_dsync *s, bool create, struct kc_error *err)
{
        find_new_set(s);
        if (s->new_set >= 0)
                return refresh_new_set(s, err);
        return create ? create_new_set(s, err) : 0;
}

int64_t kc_new_set_replicas(const struct kc_dsync *s, int64_t current)
{
        int64_t want = kc_replicas(s->d), room;

        if (!kc_is_rolling(s->d))
                return want;
        room = want + kc_max_surge(s->d) - kc_sum_replicas(s, false);
        return room <= 0 ? current : current + KC_MIN(room, want - current);
}

int kc_scale_set(struct kc_dsync *s, size_t i, int64_t replicas, bool *ret_scaled, struct kc_error *err)
{
        int64_t from = kc_replicas(s->sets[i]);
        KC_CLEANUP(kc_json_freep) struct json_object *next = kc_json_copy(s->sets[i]);
        bool annotated = kc_set_replicas_annotations(next, kc_replicas(s->d), kc_replicas(s->d) + kc_max_surge(s->d));
        int rc;

        if (from == replicas && !annotated)
                return 0;
        kc_json_set_int(kc_json_get_mut(next, "spec"), "replicas", replicas);
        rc = update(s, &KC_REPLICASETS, NULL, &next, err);
        if (rc < 0)
                return rc;
        kc_json_free(s->sets[i]);
        s->sets[i] = KC_TAKE(next);
        if (from == replicas)
                return 0;
        if (ret_scaled)
                *ret_scaled = true;
        kc_recorder_event(s->c->recorder, &KC_DEPLOYMENTS, s->d, "Normal", "ScalingReplicaSet",
            "Scaled %s replica set %s from %lld to %lld", replicas > from ? "up" : "down", kc_meta_name(s->sets[i]),
            (long long)from, (long long)replicas);
        return 0;
}

int kc_cleanup_sets(struct kc_dsync *s, struct kc_error *err)
{
        int64_t limit = kc_json_int_at(s->d, "spec.revisionHistoryLimit", 10), alive = 0;
        int rc = 0;

        for (size_t i = 0; i < s->n; i++)
                alive += (int)i != s->new_set && !kc_meta_deleting(s->sets[i]);
        /* sets are in order of age, and so of revision but for rollbacks: the lowest revision goes first. */
        for (; alive > limit && rc == 0; alive--) {
                int victim = -1;
                for (size_t i = 0; i < s->n; i++) {
                        const struct json_object *rs = s->sets[i];
                        if ((int)i == s->new_set || kc_meta_deleting(rs) || kc_replicas(rs) != 0 ||
                            kc_status_int(rs, "replicas") != 0 ||
                            kc_meta_generation(rs) > kc_status_int(rs, "observedGeneration"))
                                continue;
                        if (victim < 0 || kc_revision(rs) < kc_revision(s->sets[victim]))
                                victim = (int)i;
                }
                if (victim < 0)
                        return 0;
                rc = kc_rest_delete(s->c->rest, &KC_REPLICASETS, kc_meta_namespace(s->d), kc_meta_name(s->sets[victim]),
                    NULL, NULL, err);
                if (rc < 0 && kc_error_is(err, KC_REASON_NOT_FOUND)) {
                        kc_error_done(err);
                        rc = 0;
                }
                kc_json_set_str(
                    kc_json_ensure_obj(s->sets[victim], "metadata"), "deletionTimestamp", "1970-01-01T00:00:01Z");
        }
        return rc;
}

/* --- Proportional scaling */

static int active_or_latest(const struct kc_dsync *s)
{
        int found = -1;
        for (size_t i = 0; i < s->n; i++)
                if (kc_is_active_set(s->sets[i])) {
                        if (found >= 0)
                                return -1;
                        found = (int)i;
                }
        if (found >= 0)
                return found;
        return s->new_set >= 0 ? s->new_set : (int)s->n - 1;
}

static bool is_saturated(const struct kc_dsync *s)
{
        const struct json_object *rs = s->new_set >= 0 ? s->sets[s->new_set] : NULL;
        const char *text = rs ? kc_meta_annotation(rs, KC_DESIRED) : NULL;
        int64_t desired;

        return text && kc_str_to_i64(text, &desired) == 0 && kc_replicas(rs) == kc_replicas(s->d) &&
               desired == kc_replicas(s->d) && kc_status_int(rs, "availableReplicas") == kc_replicas(s->d);
}

static int64_t share_of(const struct kc_dsync *s, const struct json_object *rs, int64_t to_add, int64_t added)
{
        int64_t replicas = kc_replicas(rs), total = kc_replicas(s->d) + kc_max_surge(s->d), annotated;
        const char *text = kc_meta_annotation(rs, KC_MAX_REPLICAS);
        int64_t fraction, allowed = to_add - added;

        if (replicas == 0 || to_add == 0 || to_add == added)
                return 0;
        if (kc_replicas(s->d) == 0) {
                fraction = -replicas;
        } else {
                if (!text || kc_str_to_i64(text, &annotated) < 0 || annotated == 0)
                        annotated = KC_MAX(kc_status_int(s->d, "replicas"), (int64_t)1);
                fraction = (2 * replicas * total + annotated) / (2 * annotated) - replicas; /* rounded */
        }
        return to_add > 0 ? KC_MIN(fraction, allowed) : KC_MAX(fraction, allowed);
}

static int scale_in_proportion(struct kc_dsync *s, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) size_t *order = kc_calloc(s->n + 1, sizeof(*order));
        KC_CLEANUP(kc_freep) int64_t *want = kc_calloc(s->n + 1, sizeof(*want));
        int64_t allowed = kc_replicas(s->d) > 0 ? kc_replicas(s->d) + kc_max_surge(s->d) : 0;
        int64_t to_add = allowed - kc_sum_replicas(s, false), added = 0;
        size_t n = 0;
        int rc = 0;

        for (size_t i = 0; i < s->n; i++)
                if (kc_is_active_set(s->sets[i]))
                        order[n++] = i;
        /* Largest first; among equals the newer when growing, the older when shrinking. */
        for (size_t i = 1; i < n; i++)
                for (size_t j = i; j > 0; j--) {
                        int64_t a = kc_replicas(s->sets[order[j - 1]]), b = kc_replicas(s->sets[order[j]]);
                        if (a > b || (a == b && to_add <= 0))
                                break;
                        size_t t = order[j];
                        order[j] = order[j - 1];
                        order[j - 1] = t;
                }
        for (size_t i = 0; i < n; i++) {
                int64_t share = share_of(s, s->sets[order[i]], to_add, added);
                want[i] = kc_replicas(s->sets[order[i]]) + share;
                added += share;
        }
        for (size_t i = 0; i < n && rc == 0; i++) {
                if (i == 0)
                        want[0] = KC_MAX(want[0] + to_add - added, (int64_t)0);
                rc = kc_scale_set(s, order[i], want[i], NULL, err);
        }
        return rc;
}

int kc_scale_all(struct kc_dsync *s, struct kc_error *err)
{
        int only = active_or_latest(s), rc = 0;

        if (s->n == 0)
                return 0;
        if (only >= 0)
                return kc_scale_set(s, (size_t)only, kc_replicas(s->d), NULL, err);
        if (is_saturated(s)) {
                for (size_t i = 0; i < s->n && rc == 0; i++)
                        if ((int)i != s->new_set && kc_is_active_set(s->sets[i]))
                                rc = kc_scale_set(s, i, 0, NULL, err);
                return rc;
        }
        return kc_is_rolling(s->d) ? scale_in_proportion(s, err) : 0;
}
