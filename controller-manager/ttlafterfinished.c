/* TTL after finished: deletes Jobs some time after their end. Handlers on the loop; sync on the pool. */
#include "base/log.h"
#include "base/str.h"
#include "controller-manager/table.h"

enum { WORKERS = 5 };

struct ttl {
        struct kc_rest *rest;
        struct kc_informer *jobs;
        struct kc_controller *controller;
};

/* When the Job ended; 0: it has not. */
static kc_time finished_at(const struct json_object *job)
{
        static const char *const types[] = {"Complete", "Failed"};
        kc_time t;

        for (size_t i = 0; i < KC_ARRAY_LEN(types); i++) {
                const struct json_object *c = kc_condition_get(kc_json_get(job, "status"), types[i]);
                if (kc_streq(kc_json_str(c, "status"), "True") &&
                    kc_time_parse(kc_json_str(c, "lastTransitionTime"), &t) == 0)
                        return t;
        }
        return 0;
}

/* When it is to be deleted; 0: never. */
static kc_time expiry(const struct json_object *job)
{
        const struct json_object *ttl = kc_json_at(job, "spec.ttlSecondsAfterFinished");
        kc_time end = finished_at(job);

        return ttl && end && !kc_meta_deleting(job)
                   ? end + kc_json_int_at(job, "spec.ttlSecondsAfterFinished", 0) * KC_SEC
                   : 0;
}

static void enqueue(struct ttl *c, const struct json_object *job)
{
        kc_time at = expiry(job);
        if (at == 0)
                return;
        KC_CLEANUP(kc_freep) char *key = kc_meta_key(job);
        kc_workqueue_add_after(kc_controller_queue(c->controller), key, KC_MAX(at - kc_clock_now(NULL), (int64_t)0));
}

static void on_add(struct kc_object *o, bool initial, void *arg)
{
        (void)initial;
        enqueue(arg, kc_object_json(o));
}

static void on_update(struct kc_object *old, struct kc_object *o, void *arg)
{
        (void)old;
        enqueue(arg, kc_object_json(o));
}

static int sync_job(void *arg, const char *key, struct kc_error *err)
{
        struct ttl *c = arg;
        KC_CLEANUP(kc_object_unrefp) struct kc_object *obj = kc_informer_lookup_key(c->jobs, key);
        KC_CLEANUP(kc_json_freep) struct json_object *fresh = NULL;
        kc_time at = obj ? expiry(kc_object_json(obj)) : 0;
        int rc;

        if (at == 0)
                return 0;
        if (at > kc_clock_now(NULL)) {
                enqueue(c, kc_object_json(obj));
                return 0;
        }
        /* The time may have been changed since: the server decides. */
        rc = kc_rest_get(c->rest, &KC_JOBS, kc_object_namespace(obj), kc_object_name(obj), &fresh, err);
        if (rc == 0) {
                at = expiry(fresh);
                if (at == 0 || at > kc_clock_now(NULL)) {
                        enqueue(c, fresh);
                        return 0;
                }
                kc_log_v(2, "Deleting a Job after its time to live", "job", key);
                rc = kc_rest_delete(c->rest, &KC_JOBS, kc_object_namespace(obj), kc_object_name(obj),
                    &(struct kc_delete_opts){.grace_period_seconds = -1,
                        .propagation = "Foreground",
                        .precondition_uid = kc_meta_uid(fresh)},
                    NULL, err);
        }
        if (rc < 0 && (kc_error_is(err, KC_REASON_NOT_FOUND) || kc_error_is(err, KC_REASON_CONFLICT))) {
                kc_error_done(err);
                rc = 0;
        }
        return rc;
}

static int init(const struct kc_cm_context *cm, void **ret, struct kc_error *err)
{
        struct ttl *c = KC_NEW(struct ttl);

        (void)err;
        c->rest = cm->rest;
        c->jobs = kc_informers_get(cm->informers, &KC_JOBS);
        c->controller = kc_controller_new(cm->loop, cm->pool, "ttl_jobs_to_delete", WORKERS, sync_job, c);
        kc_informer_add_handler(c->jobs, &(struct kc_informer_handler){on_add, on_update, NULL}, c);
        *ret = c;
        return 0;
}

static void start(void *state)
{
        kc_controller_start(((struct ttl *)state)->controller);
}

static void free_state(void *state)
{
        struct ttl *c = state;
        kc_controller_free(c->controller);
        kc_free(c);
}

const struct kc_controller_def kc_ttlafterfinished_controller = {
    .name = "ttl-after-finished-controller", .init = init, .start = start, .free = free_state};
