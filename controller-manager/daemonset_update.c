/* History, rolling updates and status of DaemonSets. Pool threads. */
#include <string.h>

#include "base/str.h"
#include "controller-manager/daemonset_internal.h"
#include "controller-manager/history.h"

/* --- History: one ControllerRevision for each template */

static struct kc_history history_of(const struct kc_ds_sync *s)
{
        return (struct kc_history){.rest = s->c->rest,
            .revisions = s->c->revisions,
            .gvr = &KC_DAEMONSETS,
            .owner = s->ds,
            .label = KC_REVISION_HASH};
}

int kc_ds_history(struct kc_ds_sync *s, struct kc_error *err)
{
        const struct kc_history h = history_of(s);
        return kc_history_sync(&h, kc_history_data(s->ds), NULL, &s->hash, err);
}

static bool in_use(void *arg, const struct json_object *revision)
{
        const struct kc_ds_sync *s = arg;
        const char *hash = kc_meta_label(revision, KC_REVISION_HASH);

        for (size_t i = 0; i < s->pods.n; i++)
                if (kc_streq(kc_meta_label(kc_object_json(s->pods.v[i]), KC_REVISION_HASH), hash))
                        return true;
        return kc_streq(hash, s->hash);
}

int kc_ds_cleanup_history(struct kc_ds_sync *s, struct kc_error *err)
{
        const struct kc_history h = history_of(s);
        return kc_history_cleanup(&h, kc_json_int_at(s->ds, "spec.revisionHistoryLimit", 10), in_use, s, err);
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
