/* The CronJob controller: a Job for each time of a schedule. Handlers on the loop; sync on the pool. There is no scan:
 * each CronJob comes again when it is due. Mirrors upstream's pkg/controller/cronjob. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "controller-manager/children.h"
#include "controller-manager/cronjob_time.h"
#include "controller-manager/table.h"

#define SCHEDULED_ANNOTATION "batch.kubernetes.io/cronjob-scheduled-timestamp"

enum { WORKERS = 5, TOO_MANY = 100 };

struct cronjobs {
        struct kc_rest *rest;
        struct kc_informer *crons, *jobs;
        struct kc_controller *controller;
        struct kc_recorder *recorder;
};

/* One look at a CronJob. */
struct look {
        struct cronjobs *c;
        const char *key;
        const struct json_object *cron;
        struct json_object *status; /* to be written */
        struct kc_objects jobs;     /* of it */
        kc_time now;
};

/* --- Events */

static void on_cron_add(struct kc_object *o, bool initial, void *arg)
{
        struct cronjobs *c = arg;
        KC_CLEANUP(kc_freep) char *key = kc_meta_key(kc_object_json(o));
        (void)initial;
        kc_workqueue_add(kc_controller_queue(c->controller), key);
}

static void on_cron_update(struct kc_object *old, struct kc_object *o, void *arg)
{
        (void)old;
        on_cron_add(o, false, arg);
}

static void on_job(struct kc_object *o, void *arg)
{
        struct cronjobs *c = arg;
        const struct json_object *ref = kc_meta_controller_ref(kc_object_json(o));

        if (!kc_streq(kc_json_str(ref, "kind"), "CronJob"))
                return;
        KC_CLEANUP(kc_freep) char *key = kc_asprintf("%s/%s", kc_object_namespace(o), kc_json_str(ref, "name"));
        kc_workqueue_add(kc_controller_queue(c->controller), key);
}

static void on_job_add(struct kc_object *o, bool initial, void *arg)
{
        (void)initial;
        on_job(o, arg);
}

static void on_job_update(struct kc_object *old, struct kc_object *o, void *arg)
{
        (void)old;
        on_job(o, arg);
}

#define SAY(l, type, reason, ...)                                                                                      \
        kc_recorder_event((l)->c->recorder, &KC_CRONJOBS, (l)->cron, type, reason, __VA_ARGS__)

/* --- Jobs that there are */

/* "Complete", "Failed" or NULL. */
static const char *end_of(const struct json_object *job)
{
        static const char *const types[] = {"Complete", "Failed"};

        for (size_t i = 0; i < KC_ARRAY_LEN(types); i++)
                if (kc_condition_is_true(kc_json_get(job, "status"), types[i]))
                        return types[i];
        return NULL;
}

static int64_t active_index(const struct json_object *status, const char *uid)
{
        const struct json_object *list = kc_json_get(status, "active");

        for (size_t i = 0; i < kc_json_len(list); i++)
                if (kc_streq(kc_json_str(kc_json_idx(list, i), "uid"), uid))
                        return (int64_t)i;
        return -1;
}

static void drop_active(struct look *l, int64_t i)
{
        json_object_array_del_idx(kc_json_get_mut(l->status, "active"), (size_t)i, 1);
        if (kc_json_len(kc_json_get(l->status, "active")) == 0)
                kc_json_del(l->status, "active");
}

static void note_job(struct look *l, const struct json_object *job)
{
        const char *end = end_of(job), *done = kc_json_str_at(job, "status.completionTime");
        const char *last = kc_json_str(l->status, "lastSuccessfulTime");
        int64_t i = active_index(l->status, kc_meta_uid(job));
        kc_time a = 0, b = 0;

        if (i < 0 && !end) {
                SAY(l, "Warning", "UnexpectedJob", "Saw a job that the controller did not create or forgot: %s",
                    kc_meta_name(job));
        } else if (i >= 0 && end) {
                drop_active(l, i);
                SAY(l, "Normal", "SawCompletedJob", "Saw completed job: %s, condition: %s", kc_meta_name(job), end);
        }
        if (kc_streq(end, "Complete") && done && kc_time_parse(done, &a) == 0 &&
            (!last || kc_time_parse(last, &b) < 0 || a > b))
                kc_json_set_str(l->status, "lastSuccessfulTime", done);
}

static void drop_missing(struct look *l)
{
        const struct json_object *list = kc_json_get(l->status, "active");

        for (size_t i = kc_json_len(list); i-- > 0;) {
                const char *uid = kc_json_str(kc_json_idx(list, i), "uid"),
                           *name = kc_json_str(kc_json_idx(list, i), "name");
                KC_CLEANUP(kc_json_freep) struct json_object *job = NULL;
                struct kc_error err = KC_ERROR_INIT;
                bool there = false;
                for (size_t k = 0; k < l->jobs.n && !there; k++)
                        there = kc_streq(kc_object_uid(l->jobs.v[k]), uid);
                /* The cache may be late: the server decides. */
                if (!there && kc_rest_get(l->c->rest, &KC_JOBS, kc_meta_namespace(l->cron), name, &job, &err) < 0 &&
                    kc_error_is(&err, KC_REASON_NOT_FOUND)) {
                        SAY(l, "Normal", "MissingJob", "Active job went missing: %s", name);
                        drop_active(l, (int64_t)i);
                        list = kc_json_get(l->status, "active");
                }
                kc_error_done(&err);
        }
}

static int oldest_first(const void *a, const void *b)
{
        const struct json_object *x = kc_object_json(*(struct kc_object *const *)a),
                                 *y = kc_object_json(*(struct kc_object *const *)b);
        kc_time s = 0, t = 0;
        const char *p = kc_json_str_at(x, "status.startTime"), *q = kc_json_str_at(y, "status.startTime");

        if (p && kc_time_parse(p, &s) < 0)
                s = 0;
        if (q && kc_time_parse(q, &t) < 0)
                t = 0;
        return s != t ? (s < t ? -1 : 1) : strcmp(kc_meta_name(x), kc_meta_name(y));
}

static int delete_job(struct look *l, const struct json_object *job, struct kc_error *err)
{
        struct kc_delete_opts opts = {
            .grace_period_seconds = -1, .propagation = "Background", .precondition_uid = kc_meta_uid(job)};
        int rc = kc_rest_delete(l->c->rest, &KC_JOBS, kc_meta_namespace(job), kc_meta_name(job), &opts, NULL, err);

        if (rc < 0 && (kc_error_is(err, KC_REASON_NOT_FOUND) || kc_error_is(err, KC_REASON_CONFLICT))) {
                kc_error_done(err);
                return 0;
        }
        if (rc < 0)
                SAY(l, "Warning", "FailedDelete", "Deleted job: %s", kc_error_message(err));
        else
                SAY(l, "Normal", "SuccessfulDelete", "Deleted job %s", kc_meta_name(job));
        return rc;
}

static int keep_history(struct look *l, const char *end, const char *limit_path, struct kc_error *err)
{
        const struct json_object *limit = kc_json_at(l->cron, limit_path);
        struct kc_objects ended = {0};
        int rc = 0;

        for (size_t i = 0; limit && i < l->jobs.n; i++)
                if (kc_streq(end_of(kc_object_json(l->jobs.v[i])), end))
                        kc_objects_push_take(&ended, kc_object_ref(l->jobs.v[i]));
        if (ended.n > 1)
                qsort(ended.v, ended.n, sizeof(struct kc_object *), oldest_first);
        for (size_t i = 0; rc == 0 && (int64_t)(ended.n - i) > kc_json_int_at(l->cron, limit_path, 0) && i < ended.n;
             i++)
                rc = delete_job(l, kc_object_json(ended.v[i]), err);
        kc_objects_done(&ended);
        return rc;
}

/* --- The Job that is due */

static char *job_name(const struct look *l, int64_t due)
{
        return kc_asprintf("%s-%lld", kc_meta_name(l->cron), (long long)(due / 60));
}

static struct json_object *new_job(const struct look *l, int64_t due, const struct kc_zone *zone)
{
        static const char *const kept[] = {"labels", "annotations"};
        const struct json_object *template = kc_json_at(l->cron, "spec.jobTemplate");
        KC_CLEANUP(kc_freep) char *name = job_name(l, due);
        int64_t offset = kc_zone_offset(zone, due), minutes = (offset < 0 ? -offset : offset) / 60;
        char local[KC_TIME_LEN];
        struct json_object *job =
            kc_json_build("{'apiVersion':'batch/v1','kind':'Job','metadata':{'name':%s,'namespace':%s,"
                          "'ownerReferences':[%o]},'spec':%o}",
                name, kc_meta_namespace(l->cron), kc_meta_new_controller_ref(l->cron, "batch/v1", "CronJob"),
                kc_json_copy(kc_json_get(template, "spec")));

        for (size_t i = 0; i < KC_ARRAY_LEN(kept); i++) {
                const struct json_object *v = kc_json_get(kc_json_get(template, "metadata"), kept[i]);
                if (v)
                        kc_json_set(kc_json_get_mut(job, "metadata"), kept[i], kc_json_copy(v));
        }
        (void)kc_time_format((due + offset) * KC_SEC, local);
        if (offset) {
                local[strlen(local) - 1] = '\0';
                KC_CLEANUP(kc_freep)
                char *text = kc_asprintf("%s%c%02lld:%02lld", local, offset < 0 ? '-' : '+', (long long)(minutes / 60),
                    (long long)(minutes % 60));
                kc_meta_set_annotation(job, SCHEDULED_ANNOTATION, text);
        } else {
                kc_meta_set_annotation(job, SCHEDULED_ANNOTATION, local);
        }
        return job;
}

static int start_job(struct look *l, int64_t due, const struct kc_zone *zone, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *job = new_job(l, due, zone), *made = NULL;
        char text[KC_TIME_LEN];
        int rc = kc_rest_create(l->c->rest, &KC_JOBS, kc_meta_namespace(l->cron), job, &made, err);

        if (rc < 0 && kc_error_is(err, KC_REASON_ALREADY_EXISTS)) {
                kc_error_done(err);
                rc = kc_rest_get(l->c->rest, &KC_JOBS, kc_meta_namespace(l->cron), kc_meta_name(job), &made, err);
                if (rc == 0 && !kc_meta_is_controlled_by(made, l->cron))
                        return kc_error_set(err, EEXIST, "job %s is not controlled by the CronJob", kc_meta_name(job));
        } else if (rc == 0) {
                SAY(l, "Normal", "SuccessfulCreate", "Created job %s", kc_meta_name(job));
        }
        if (rc < 0) {
                SAY(l, "Warning", "FailedCreate", "Error creating job: %s", kc_error_message(err));
                return rc;
        }
        if (!end_of(made) && active_index(l->status, kc_meta_uid(made)) < 0)
                kc_json_push(kc_json_ensure_arr(l->status, "active"),
                    kc_json_build("{'kind':'Job','namespace':%s,'name':%s,'uid':%s,'apiVersion':'batch/v1',"
                                  "'resourceVersion':%s}",
                        kc_meta_namespace(made), kc_meta_name(made), kc_meta_uid(made),
                        kc_meta_resource_version(made)));
        kc_json_set_str(l->status, "lastScheduleTime", kc_time_format(due * KC_SEC, text));
        return 0;
}

/* 1: it may start; 0: not this time. */
static int make_way(struct look *l, struct kc_error *err)
{
        const char *policy = kc_json_str_at(l->cron, "spec.concurrencyPolicy");
        size_t n = kc_json_len(kc_json_get(l->status, "active"));
        int rc = 0;

        if (kc_streq(policy, "Forbid") && n > 0) {
                SAY(l, "Normal", "JobAlreadyActive",
                    "Not starting job because prior execution is running and concurrency policy is Forbid");
                return 0;
        }
        for (size_t i = 0; kc_streq(policy, "Replace") && rc == 0 && i < l->jobs.n; i++) {
                int64_t at = active_index(l->status, kc_object_uid(l->jobs.v[i]));
                if (at < 0)
                        continue;
                rc = delete_job(l, kc_object_json(l->jobs.v[i]), err);
                if (rc == 0)
                        drop_active(l, at);
        }
        return rc < 0 ? rc : 1;
}

static int64_t seconds_at(const struct json_object *o, const char *path, int64_t def)
{
        const char *text = kc_json_str_at(o, path);
        kc_time t;
        return text && kc_time_parse(text, &t) == 0 ? t / KC_SEC : def;
}

static int run_due(struct look *l, const struct kc_cron *schedule, const struct kc_zone *zone, struct kc_error *err)
{
        int64_t now = l->now / KC_SEC, deadline = kc_json_int_at(l->cron, "spec.startingDeadlineSeconds", -1);
        int64_t last = seconds_at(l->status, "lastScheduleTime", 0);
        int64_t earliest = last ? last : seconds_at(l->cron, "metadata.creationTimestamp", now);
        char text[KC_TIME_LEN];
        int missed, rc;

        if (deadline >= 0)
                earliest = KC_MAX(earliest, now - deadline);
        int64_t due = kc_cron_latest(schedule, zone, earliest, now, TOO_MANY, &missed);
        if (missed > TOO_MANY)
                SAY(l, "Warning", "TooManyMissedTimes",
                    "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew");
        if (due == 0 || due == last)
                return 0;
        if (deadline >= 0 && due + deadline < now) {
                SAY(l, "Warning", "MissSchedule", "Missed scheduled time to start a job: %s",
                    kc_time_format(due * KC_SEC, text));
                return 0;
        }
        rc = make_way(l, err);
        return rc > 0 ? start_job(l, due, zone, err) : rc;
}

/* --- Sync */

static void come_again(const struct look *l, const struct kc_cron *schedule, const struct kc_zone *zone)
{
        int64_t last = seconds_at(l->status, "lastScheduleTime", 0);
        int64_t from = schedule->every_seconds > 0 && last ? last : l->now / KC_SEC,
                next = kc_cron_next(schedule, zone, from);

        while (schedule->every_seconds > 0 && next * KC_SEC <= l->now)
                next = kc_cron_next(schedule, zone, next);
        if (next)
                kc_workqueue_add_after(
                    kc_controller_queue(l->c->controller), l->key, next * KC_SEC - l->now + 100 * KC_MSEC);
}

static int run_schedule(struct look *l, struct kc_error *err)
{
        const char *text = kc_json_str_at(l->cron, "spec.schedule"), *name = kc_json_str_at(l->cron, "spec.timeZone");
        KC_CLEANUP(kc_cron_done) struct kc_cron schedule = {0};
        KC_CLEANUP(kc_zone_freep) struct kc_zone *zone = NULL;
        KC_CLEANUP(kc_freep) char *why = NULL;
        int rc;

        if (kc_meta_deleting(l->cron) || kc_json_bool_at(l->cron, "spec.suspend", false))
                return 0;
        if (kc_cron_parse(text ? text : "", &schedule, &why) < 0) {
                SAY(l, "Warning", "UnparseableSchedule", "unparseable schedule: \"%s\" : %s", text ? text : "", why);
                return 0;
        }
        if (kc_zone_load(name ? name : schedule.time_zone, &zone, err) < 0) {
                SAY(l, "Warning", "UnknownTimeZone", "invalid timeZone: \"%s\": %s", name ? name : schedule.time_zone,
                    kc_error_message(err));
                kc_error_done(err);
                return 0;
        }
        rc = run_due(l, &schedule, zone, err);
        come_again(l, &schedule, zone);
        return rc;
}

static int write_status(struct look *l, struct kc_error *err)
{
        const struct json_object *old = kc_json_get(l->cron, "status");
        KC_CLEANUP(kc_json_freep) struct json_object *tree = NULL;

        if (kc_json_equal(old, l->status) || (!old && kc_json_n_keys(l->status) == 0))
                return 0;
        tree = kc_json_copy(l->cron);
        kc_json_set(tree, "status", kc_json_copy(l->status));
        return kc_rest_update(l->c->rest, &KC_CRONJOBS, "status", tree, NULL, err);
}

static int run(struct look *l, struct kc_error *err)
{
        struct kc_error failure = KC_ERROR_INIT;
        int scheduled, rc;

        for (size_t i = 0; i < l->jobs.n; i++)
                note_job(l, kc_object_json(l->jobs.v[i]));
        drop_missing(l);
        scheduled = run_schedule(l, &failure);
        rc = write_status(l, err);
        if (rc == 0)
                rc = keep_history(l, "Complete", "spec.successfulJobsHistoryLimit", err);
        if (rc == 0)
                rc = keep_history(l, "Failed", "spec.failedJobsHistoryLimit", err);
        if (rc == 0 && scheduled < 0) {
                kc_error_move(err, &failure);
                rc = scheduled;
        }
        kc_error_done(&failure);
        return rc;
}

static int sync_cron(void *arg, const char *key, struct kc_error *err)
{
        struct cronjobs *c = arg;
        KC_CLEANUP(kc_object_unrefp) struct kc_object *obj = kc_informer_lookup_key(c->crons, key);
        int rc;

        if (!obj)
                return 0;
        const struct json_object *status = kc_json_get(kc_object_json(obj), "status");
        struct look l = {.c = c,
            .key = key,
            .cron = kc_object_json(obj),
            .status = status ? kc_json_copy(status) : json_object_new_object(),
            .now = kc_clock_now(NULL)};
        kc_informer_by_index(c->jobs, "controller", kc_object_uid(obj), &l.jobs);
        rc = run(&l, err);
        if (rc < 0 && (kc_error_is(err, KC_REASON_CONFLICT) || kc_error_is(err, KC_REASON_NOT_FOUND))) {
                /* Somebody else has written it: once more with what the cache will show. */
                bool conflict = kc_error_is(err, KC_REASON_CONFLICT);
                kc_error_done(err);
                if (conflict)
                        kc_workqueue_add_rate_limited(kc_controller_queue(c->controller), key);
                rc = 0;
        }
        kc_json_free(l.status);
        kc_objects_done(&l.jobs);
        return rc;
}

/* --- Life */

static int init(const struct kc_cm_context *cm, void **ret, struct kc_error *err)
{
        struct cronjobs *c = KC_NEW(struct cronjobs);

        (void)err;
        c->rest = cm->rest;
        c->crons = kc_informers_get(cm->informers, &KC_CRONJOBS);
        c->jobs = kc_informers_get(cm->informers, &KC_JOBS);
        c->recorder = kc_recorder_new(cm->rest, cm->pool, "cronjob-controller", NULL);
        c->controller = kc_controller_new(cm->loop, cm->pool, "cronjob", WORKERS, sync_cron, c);
        kc_children_add_indexes(c->jobs);
        kc_informer_add_handler(c->crons, &(struct kc_informer_handler){on_cron_add, on_cron_update, NULL}, c);
        kc_informer_add_handler(c->jobs, &(struct kc_informer_handler){on_job_add, on_job_update, on_job}, c);
        *ret = c;
        return 0;
}

static void start(void *state)
{
        kc_controller_start(((struct cronjobs *)state)->controller);
}

static void free_state(void *state)
{
        struct cronjobs *c = state;
        kc_controller_free(c->controller);
        kc_recorder_free(c->recorder);
        kc_free(c);
}

const struct kc_controller_def kc_cronjob_controller = {
    .name = "cronjob-controller", .init = init, .start = start, .free = free_state};
