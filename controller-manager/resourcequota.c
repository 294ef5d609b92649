/* ResourceQuotas: their status says what the namespace uses. Admission adds what is created; what goes, ends or shrinks
 * is seen here, and everything is counted again from time to time. Only kinds that some quota names are watched
 * (resourcequota_monitors.c). Sync on the pool. Mirrors upstream's pkg/controller/resourcequota. */
#include <string.h>

#include "api/quota.h"
#include "base/str.h"
#include "controller-manager/options.h"
#include "controller-manager/resourcequota_internal.h"
#include "controller-manager/table.h"

/* --- Counting */

/* What of one kind's objects is the quota's, added to used. */
static void count_kind(const struct rq_monitor *m, const struct json_object *quota, const struct json_object *hard,
    struct json_object *used)
{
        struct kc_objects all = {0};
        kc_time now = kc_clock_now(NULL);
        KC_JSON_FOREACH(hard, name, value)
        {
                (void)value; /* only the names */
                if (kc_quota_counts(m->gvr.group, m->gvr.resource, name))
                        kc_json_set_str(used, name, "0");
        }
        kc_informer_list(m->informer, kc_meta_namespace(quota), NULL, &all);
        for (size_t i = 0; i < all.n; i++) {
                const struct json_object *o = kc_object_json(all.v[i]);
                if (!kc_quota_scopes_match(quota, m->gvr.group, m->gvr.resource, o))
                        continue;
                KC_CLEANUP(kc_json_freep)
                struct json_object *usage = kc_quota_usage(m->gvr.group, m->gvr.resource, o, now);
                kc_amounts_add(used, usage, hard);
        }
        kc_objects_done(&all);
}

/* Resources that nobody counts keep what was said of them. */
static struct json_object *keep_known(const struct json_object *quota, const struct json_object *hard)
{
        struct json_object *used = json_object_new_object();
        KC_JSON_FOREACH(kc_json_at(quota, "status.used"), name, value)
        {
                if (kc_json_get(hard, name))
                        kc_json_set(used, name, kc_json_copy(value));
        }
        return used;
}

static int write_status(struct rq *rq, const struct kc_object *obj, const struct json_object *hard,
    struct json_object *take_used, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *quota = kc_object_copy_json(obj);
        struct json_object *status = json_object_new_object();
        if (hard)
                kc_json_set(status, "hard", kc_json_copy(hard));
        kc_json_set(status, "used", take_used);
        kc_json_set(quota, "status", status);
        return kc_rest_update(rq->rest, &KC_RESOURCEQUOTAS, "status", quota, NULL, err);
}

static bool is_dirty(const struct json_object *quota, const struct json_object *hard, const struct json_object *used)
{
        return !kc_amounts_equal(hard, kc_json_at(quota, "status.hard")) ||
               !kc_amounts_equal(used, kc_json_at(quota, "status.used"));
}

static int sync_quota(void *arg, const char *key, struct kc_error *err)
{
        struct rq *rq = arg;
        KC_CLEANUP(kc_object_unrefp) struct kc_object *obj = kc_informer_lookup_key(rq->quotas, key);
        struct rq_monitors kinds = {0};
        if (!obj)
                return 0;
        const struct json_object *quota = kc_object_json(obj), *hard = kc_json_at(quota, "spec.hard");
        bool ready;
        int r = rq_monitors_of(rq, hard, &kinds, &ready, err);
        if (r == 0 && ready) {
                KC_CLEANUP(kc_json_freep) struct json_object *used = keep_known(quota, hard);
                for (size_t i = 0; i < kinds.n; i++)
                        count_kind(kinds.v[i], quota, hard, used);
                if (is_dirty(quota, hard, used))
                        r = write_status(rq, obj, hard, KC_TAKE(used), err);
                kc_workqueue_add_after(kc_controller_queue(rq->controller), key, rq->period);
        }
        kc_free(kinds.v);
        if (r < 0 && kc_error_is(err, KC_REASON_CONFLICT)) {
                /* Admission has charged it meanwhile: the cache will know soon. */
                kc_workqueue_add_rate_limited(kc_controller_queue(rq->controller), key);
                kc_error_done(err);
                return 0;
        }
        if (r < 0 && kc_error_is(err, KC_REASON_NOT_FOUND)) {
                kc_error_done(err);
                return 0;
        }
        return r;
}

/* --- Quotas' events */

static void on_quota_add(struct kc_object *o, bool initial, void *arg)
{
        struct rq *rq = arg;
        KC_CLEANUP(kc_freep) char *key = kc_meta_key(kc_object_json(o));
        (void)initial;
        kc_workqueue_add(kc_controller_queue(rq->controller), key);
}

static void on_quota_update(struct kc_object *old, struct kc_object *o, void *arg)
{
        if (!kc_json_equal(kc_json_get(kc_object_json(old), "spec"), kc_json_get(kc_object_json(o), "spec")))
                on_quota_add(o, false, arg);
}

/* --- Life */

static int init(const struct kc_cm_context *cm, void **ret, struct kc_error *err)
{
        struct rq *rq = KC_NEW(struct rq);
        (void)err;
        rq->rest = cm->rest;
        rq->loop = cm->loop;
        rq->informers = cm->informers;
        rq->period = cm->options->resource_quota_sync_period;
        pthread_mutex_init(&rq->lock, NULL);
        rq->quotas = kc_informers_get(cm->informers, &KC_RESOURCEQUOTAS);
        rq->controller = kc_controller_new(
            cm->loop, cm->pool, "resourcequota_primary", cm->options->concurrent_resource_quota_syncs, sync_quota, rq);
        kc_informer_add_handler(rq->quotas, &(struct kc_informer_handler){on_quota_add, on_quota_update, NULL}, rq);
        *ret = rq;
        return 0;
}

static void start(void *state)
{
        kc_controller_start(((struct rq *)state)->controller);
}

static void free_state(void *state)
{
        struct rq *rq = state;
        kc_controller_free(rq->controller);
        rq_monitors_free(rq);
        pthread_mutex_destroy(&rq->lock);
        kc_free(rq);
}

const struct kc_controller_def kc_resourcequota_controller = {
    .name = "resourcequota-controller", .init = init, .start = start, .free = free_state};
