/* History, rolling updates and status of DaemonSets. Pool threads. */
#include <string.h>

#include "base/rand.h"
#include "base/str.h"
#include "controller-manager/daemonset_internal.h"

/* --- History: one ControllerRevision for each template */

static struct json_object *revision_data(const struct json_object *ds)
{
        struct json_object *t = kc_json_copy(kc_json_at(ds, "spec.template"));
        kc_json_set_str(t, "$patch", "replace");
        return kc_json_build("{'spec':{'template':%o}}", t);
}

static void own_revisions(const struct kc_ds_sync *s, struct kc_objects *ret)
{
        kc_informer_by_index(s->c->revisions, "controller", kc_meta_uid(s->ds), ret);
}

static int64_t revision_of(const struct kc_object *o)
{
        return kc_json_int(kc_object_json(o), "revision", 0);
}

static char *hash_of(const struct json_object *data, int64_t collisions)
{
        struct kc_buf b = KC_BUF_INIT;
        kc_json_write_sorted(&b, data);
        if (collisions)
                kc_buf_addf(&b, "%lld", (long long)collisions);
        uint32_t h = kc_fnv32a(b.data, b.len);
        kc_buf_done(&b);
        return kc_safe_encode(h);
}

/* A template that was there before becomes the newest revision again (rollback). */
static int renumber(struct kc_ds_sync *s, const struct kc_object *rev, int64_t revision, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *tree = kc_object_copy_json(rev);
        if (revision_of(rev) == revision)
                return 0;
        kc_json_set_int(tree, "revision", revision);
        return kc_rest_update(s->c->rest, &KC_CONTROLLERREVISIONS, NULL, tree, NULL, err);
}

static int create_revision(struct kc_ds_sync *s, struct json_object *take_data, int64_t revision, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *data = take_data, *have = NULL;
        int64_t collisions = kc_json_int_at(s->ds, "status.collisionCount", 0);
        KC_CLEANUP(kc_freep) char *hash = hash_of(data, collisions);
        KC_CLEANUP(kc_freep) char *name = kc_asprintf("%s-%s", kc_meta_name(s->ds), hash);
        KC_CLEANUP(kc_json_freep)
        struct json_object *tree =
            kc_json_build("{'apiVersion':'apps/v1','kind':'ControllerRevision','metadata':{'name':%s,'namespace':%s,"
                          "'labels':%o,'ownerReferences':[%o]},'data':%o,'revision':%lld}",
                name, kc_meta_namespace(s->ds), kc_json_copy(kc_json_at(s->ds, "spec.template.metadata.labels")),
                kc_meta_new_controller_ref(s->ds, "apps/v1", "DaemonSet"), kc_json_copy(data), (long long)revision);
        int rc;

        kc_meta_set_label(tree, KC_REVISION_HASH, hash);
        rc = kc_rest_create(s->c->rest, &KC_CONTROLLERREVISIONS, kc_meta_namespace(s->ds), tree, NULL, err);
        if (rc < 0 && kc_error_is(err, KC_REASON_ALREADY_EXISTS)) {
                kc_error_done(err);
                rc = kc_rest_get(s->c->rest, &KC_CONTROLLERREVISIONS, kc_meta_namespace(s->ds), name, &have, err);
                if (rc == 0 && !kc_json_equal(kc_json_get(have, "data"), data)) {
                        KC_CLEANUP(kc_json_freep) struct json_object *ds = kc_json_copy(s->ds);
                        kc_json_set_int(kc_json_ensure_obj(ds, "status"), "collisionCount", collisions + 1);
                        rc = kc_rest_update(s->c->rest, &KC_DAEMONSETS, "status", ds, NULL, err);
                        return rc < 0 ? rc
                                      : kc_error_set_api(err, 409, KC_REASON_CONFLICT, "the hash of %s collides", name);
                }
        }
        if (rc == 0)
                s->hash = KC_TAKE(hash);
        return rc;
}

int kc_ds_history(struct kc_ds_sync *s, struct kc_error *err)
{
        struct json_object *data = revision_data(s->ds);
        struct kc_objects revisions = {0};
        const struct kc_object *current = NULL;
        int64_t max_old = 0;
        int rc;

        own_revisions(s, &revisions);
        for (size_t i = 0; i < revisions.n; i++) {
                if (!current && kc_json_equal(kc_json_get(kc_object_json(revisions.v[i]), "data"), data))
                        current = revisions.v[i];
                else
                        max_old = KC_MAX(max_old, revision_of(revisions.v[i]));
        }
        if (current) {
                s->hash = kc_strdup(kc_meta_label(kc_object_json(current), KC_REVISION_HASH));
                rc = renumber(s, current, KC_MAX(max_old + 1, revision_of(current)), err);
                kc_json_free(data);
        } else {
                rc = create_revision(s, data, max_old + 1, err);
        }
        kc_objects_done(&revisions);
        return rc;
}

static bool hash_in_use(const struct kc_ds_sync *s, const char *hash)
{
        for (size_t i = 0; i < s->pods.n; i++)
                if (kc_streq(kc_meta_label(kc_object_json(s->pods.v[i]), KC_REVISION_HASH), hash))
                        return true;
        return kc_streq(hash, s->hash);
}

int kc_ds_cleanup_history(struct kc_ds_sync *s, struct kc_error *err)
{
        struct kc_objects revisions = {0};
        int64_t limit = kc_json_int_at(s->ds, "spec.revisionHistoryLimit", 10), unused = 0;
        int rc = 0;

        own_revisions(s, &revisions);
        for (size_t i = 0; i < revisions.n; i++)
                unused += !hash_in_use(s, kc_meta_label(kc_object_json(revisions.v[i]), KC_REVISION_HASH));
        for (; unused > limit && rc == 0; unused--) {
                size_t victim = revisions.n;
                for (size_t i = 0; i < revisions.n; i++)
                        if (revisions.v[i] &&
                            !hash_in_use(s, kc_meta_label(kc_object_json(revisions.v[i]), KC_REVISION_HASH)) &&
                            (victim == revisions.n || revision_of(revisions.v[i]) < revision_of(revisions.v[victim])))
                                victim = i;
                if (victim == revisions.n)
                        break;
                rc = kc_rest_delete(s->c->rest, &KC_CONTROLLERREVISIONS, kc_meta_namespace(s->ds),
                    kc_object_name(revisions.v[victim]), NULL, NULL, err);
                kc_object_unref(revisions.v[victim]);
                revisions.v[victim] = NULL;
        }
        kc_objects_done(&revisions);
        return rc;
}

/* --- Rolling update */

static int64_t scaled(const struct json_object *v, int64_t total, int64_t def)
{
        const char *text = kc_json_as_str(v);
        int64_t n;

        if (!v)
                return def;
        if (!text)
                return json_object_is_type(v, json_type_int) ? json_object_get_int64(v) : def;
        KC_CLEANUP(kc_freep) char *digits = kc_strndup(text, strcspn(text, "%"));
        return kc_str_to_i64(digits, &n) == 0 ? (n * total + 99) / 100 : def;
}

struct node_state {
        struct kc_object *old_pod, *new_pod; /* not being deleted */
};

static struct node_state state_on(const struct kc_ds_sync *s, const char *node)
{
        const struct kc_objects *pods = kc_ds_pods_on(s, node);
        struct node_state st = {0};

        for (size_t i = 0; i < pods->n; i++) {
                const struct json_object *pod = kc_object_json(pods->v[i]);
                if (kc_meta_deleting(pod))
                        continue;
                if (kc_ds_is_current(s, pod))
                        st.new_pod = pods->v[i];
                else
                        st.old_pod = pods->v[i];
        }
        return st;
}

static bool available(const struct kc_ds_sync *s, const struct kc_object *pod)
{
        return pod && kc_pod_is_available(
                          kc_object_json(pod), kc_json_int_at(s->ds, "spec.minReadySeconds", 0), kc_clock_now(NULL));
}

/* Old pods go when the new one beside them is available; up to max_surge new ones are made beside old ones. */
static int surge_update(struct kc_ds_sync *s, int64_t max_surge, struct kc_error *err)
{
        KC_CLEANUP(kc_strv_freep) char **create = NULL;
        struct kc_objects victims = {0};
        int64_t surging = 0;

        for (size_t i = 0; i < s->nodes.n; i++) {
                struct node_state st = state_on(s, kc_object_name(s->nodes.v[i]));
                if (st.old_pod && st.new_pod && available(s, st.new_pod))
                        kc_objects_push_take(&victims, kc_object_ref(st.old_pod));
                else if (st.old_pod && st.new_pod)
                        surging++;
        }
        for (size_t i = 0; i < s->nodes.n; i++) {
                const char *node = kc_object_name(s->nodes.v[i]);
                struct node_state st = state_on(s, node);
                bool old_works = available(s, st.old_pod);
                if (!st.old_pod || st.new_pod || (old_works && surging >= max_surge))
                        continue;
                kc_strv_push(&create, node);
                surging += old_works; /* what does not work is replaced at no cost */
        }
        int rc = kc_ds_apply(s, create, &victims, err);
        kc_objects_done(&victims);
        return rc;
}

int kc_ds_rolling_update(struct kc_ds_sync *s, struct kc_error *err)
{
        const struct json_object *r = kc_json_at(s->ds, "spec.updateStrategy.rollingUpdate");
        struct kc_objects victims = {0}, candidates = {0};
        int64_t desired = 0, unavailable = 0, max_unavailable, max_surge;

        for (size_t i = 0; i < s->nodes.n; i++) {
                bool run, stay;
                kc_ds_node_wants(s->ds, kc_object_json(s->nodes.v[i]), &run, &stay);
                desired += run;
        }
        max_surge = scaled(kc_json_get(r, "maxSurge"), desired, 0);
        max_unavailable = scaled(kc_json_get(r, "maxUnavailable"), desired, 1);
        if (max_surge > 0)
                return surge_update(s, max_surge, err);
        if (max_unavailable == 0)
                max_unavailable = 1;
        for (size_t i = 0; i < s->nodes.n; i++) {
                struct node_state st = state_on(s, kc_object_name(s->nodes.v[i]));
                bool run, stay;
                kc_ds_node_wants(s->ds, kc_object_json(s->nodes.v[i]), &run, &stay);
                if (!run && !st.old_pod)
                        continue;
                if (st.old_pod && !available(s, st.old_pod)) {
                        kc_objects_push_take(&victims, kc_object_ref(st.old_pod));
                        unavailable++;
                } else if (st.old_pod) {
                        kc_objects_push_take(&candidates, kc_object_ref(st.old_pod));
                } else if (!available(s, st.new_pod)) {
                        unavailable++;
                }
        }
        for (size_t i = 0; i < candidates.n && unavailable < max_unavailable; i++, unavailable++)
                kc_objects_push_take(&victims, kc_object_ref(candidates.v[i]));
        int rc = kc_ds_apply(s, NULL, &victims, err);
        kc_objects_done(&victims);
        kc_objects_done(&candidates);
        return rc;
}

/* --- Status */

struct counts {
        int64_t desired, current, misscheduled, ready, updated, available;
};

static void count_node(const struct kc_ds_sync *s, const struct kc_object *node, struct counts *n)
{
        const struct kc_objects *pods = kc_ds_pods_on(s, kc_object_name(node));
        const struct kc_object *oldest = NULL;
        bool run, stay;

        kc_ds_node_wants(s->ds, kc_object_json(node), &run, &stay);
        for (size_t i = 0; i < pods->n; i++)
                if (!oldest ||
                    kc_meta_creation_time(kc_object_json(pods->v[i])) < kc_meta_creation_time(kc_object_json(oldest)))
                        oldest = pods->v[i];
        if (!run) {
                n->misscheduled += pods->n > 0;
                return;
        }
        n->desired++;
        if (!oldest)
                return;
        n->current++;
        n->ready += kc_pod_is_ready(kc_object_json(oldest));
        n->available += available(s, oldest);
        n->updated += kc_ds_is_current(s, kc_object_json(oldest));
}

static void set_count(struct json_object *status, const char *name, int64_t v, bool keep_zero)
{
        if (v || keep_zero)
                kc_json_set_int(status, name, v);
        else
                kc_json_del(status, name);
}

int kc_ds_write_status(struct kc_ds_sync *s, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *ds = kc_json_copy(s->ds);
        struct json_object *status = kc_json_ensure_obj(ds, "status");
        struct counts n = {0};

        for (size_t i = 0; i < s->nodes.n; i++)
                count_node(s, s->nodes.v[i], &n);
        set_count(status, "desiredNumberScheduled", n.desired, true);
        set_count(status, "currentNumberScheduled", n.current, true);
        set_count(status, "numberMisscheduled", n.misscheduled, true);
        set_count(status, "numberReady", n.ready, true);
        set_count(status, "updatedNumberScheduled", n.updated, false);
        set_count(status, "numberAvailable", n.available, false);
        set_count(status, "numberUnavailable", n.desired - n.available, false);
        kc_json_set_int(status, "observedGeneration", kc_meta_generation(s->ds));
        if (kc_json_int_at(s->ds, "spec.minReadySeconds", 0) > 0 && n.ready != n.available)
                kc_workqueue_add_after(kc_controller_queue(s->c->controller), s->key,
                    kc_json_int_at(s->ds, "spec.minReadySeconds", 0) * KC_SEC);
        if (kc_json_equal(kc_json_get(s->ds, "status"), status))
                return 0;
        return kc_rest_update(s->c->rest, &KC_DAEMONSETS, "status", ds, NULL, err);
}
