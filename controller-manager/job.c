/* The Job controller: pods until enough of them have succeeded. Handlers on the loop; sync on the pool. Keys:
 * "<ns>/<job>", and "pod/<ns>/<pod>" for a pod whose Job is gone. */
#include <string.h>

#include "base/str.h"
#include "controller-manager/children.h"
#include "controller-manager/job_internal.h"
#include "controller-manager/table.h"

enum { WORKERS = 5 };

#define POD_KEY "pod/"
#define MANAGER "kubernetes.io/job-controller"

static bool has_condition(const struct json_object *status, const char *type)
{
        return kc_streq(kc_json_str(kc_condition_get(status, type), "status"), "True");
}

static bool is_finished(const struct json_object *status)
{
        return has_condition(status, "Complete") || has_condition(status, "Failed");
}

/* --- Pods whose Job is gone must not be held by its finalizer */

static void watch_orphan(struct kc_jobs *c, const struct json_object *pod)
{
        const struct json_object *ref = kc_meta_controller_ref(pod);

        if (!kc_meta_has_finalizer(pod, KC_JOB_FINALIZER) || (ref && !kc_streq(kc_json_str(ref, "kind"), "Job")))
                return;
        KC_CLEANUP(kc_object_unrefp) struct kc_object *job = kc_owned_pods_owner(&c->watch, pod);
        if (job && !is_finished(kc_json_get(kc_object_json(job), "status")))
                return;
        KC_CLEANUP(kc_freep) char *pod_key = kc_meta_key(pod), *key = kc_asprintf(POD_KEY "%s", pod_key);
        kc_workqueue_add(kc_controller_queue(c->controller), key);
}

static void on_pod_add(struct kc_object *o, bool initial, void *arg)
{
        (void)initial;
        watch_orphan(arg, kc_object_json(o));
}

static void on_pod_update(struct kc_object *old, struct kc_object *o, void *arg)
{
        (void)old;
        watch_orphan(arg, kc_object_json(o));
}

static void on_job_delete(struct kc_object *o, void *arg)
{
        struct kc_jobs *c = arg;
        struct kc_objects pods = {0};

        kc_informer_by_index(c->pods, "controller", kc_object_uid(o), &pods);
        for (size_t i = 0; i < pods.n; i++)
                watch_orphan(c, kc_object_json(pods.v[i]));
        kc_objects_done(&pods);
}

static int sync_orphan(struct kc_jobs *c, const char *key, struct kc_error *err)
{
        KC_CLEANUP(kc_object_unrefp) struct kc_object *pod = kc_informer_lookup_key(c->pods, key);
        const struct json_object *ref = pod ? kc_meta_controller_ref(kc_object_json(pod)) : NULL;
        KC_CLEANUP(kc_json_freep) struct json_object *job = NULL;
        int rc;

        if (!pod)
                return 0;
        /* The cache may be late: the server decides. */
        if (ref) {
                rc = kc_rest_get(c->rest, &KC_JOBS, kc_object_namespace(pod), kc_json_str(ref, "name"), &job, err);
                if (rc == 0 && kc_streq(kc_meta_uid(job), kc_json_str(ref, "uid")) &&
                    !is_finished(kc_json_get(job, "status")))
                        return 0;
                if (rc < 0 && !kc_error_is(err, KC_REASON_NOT_FOUND))
                        return rc;
                kc_error_done(err);
        }
        return kc_job_release(c, kc_object_json(pod), err);
}

/* --- Status */

static void set_condition(struct kc_job_sync *s, const char *type, bool value, const char *reason, const char *message)
{
        char now[KC_TIME_LEN];
        struct json_object *list = kc_json_ensure_arr(s->status, "conditions");

        (void)kc_condition_set(s->status, type, value ? "True" : "False", reason, message,
            s->now); /* whether it changed shows in the comparison later */
        for (size_t i = 0; i < kc_json_len(list); i++) {
                struct json_object *c = kc_json_idx_mut(list, i);
                if (kc_streq(kc_json_str(c, "type"), type) && !kc_json_get(c, "lastProbeTime"))
                        kc_json_set_str(c, "lastProbeTime", kc_time_format(s->now, now));
        }
}

static void set_count(struct json_object *status, const char *name, int64_t n, bool keep_zero)
{
        if (n || keep_zero)
                kc_json_set_int(status, name, n);
        else
                kc_json_del(status, name);
}

static void set_suspension(struct kc_job_sync *s)
{
        bool suspended = kc_json_bool_at(s->job, "spec.suspend", false), was = has_condition(s->status, "Suspended");
        char now[KC_TIME_LEN];

        if (suspended == was)
                return;
        set_condition(s, "Suspended", suspended, suspended ? "JobSuspended" : "JobResumed",
            suspended ? "Job suspended" : "Job resumed");
        kc_recorder_event(s->c->recorder, &KC_JOBS, s->job, "Normal", suspended ? "Suspended" : "Resumed", "%s",
            suspended ? "Job suspended" : "Job resumed");
        if (!suspended)
                kc_json_set_str(s->status, "startTime", kc_time_format(s->now, now));
}

static void set_start(struct kc_job_sync *s)
{
        char now[KC_TIME_LEN];
        if (!kc_json_get(s->status, "startTime") && !kc_json_bool_at(s->job, "spec.suspend", false))
                kc_json_set_str(s->status, "startTime", kc_time_format(s->now, now));
}

/* The interim condition at once, the final one when no pod is left that could still change the counts. */
static void set_end(struct kc_job_sync *s, bool settled)
{
        char now[KC_TIME_LEN];

        if (!s->end.reason)
                return;
        if (!has_condition(s->status, s->end.success ? "SuccessCriteriaMet" : "FailureTarget"))
                set_condition(
                    s, s->end.success ? "SuccessCriteriaMet" : "FailureTarget", true, s->end.reason, s->end.message);
        if (!settled || s->active.n > 0 || s->terminating > 0)
                return;
        set_condition(s, s->end.success ? "Complete" : "Failed", true, s->end.reason, s->end.message);
        if (s->end.success)
                kc_json_set_str(s->status, "completionTime", kc_time_format(s->now, now));
}

static int write_status(struct kc_job_sync *s, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *tree = NULL;
        bool finished = is_finished(s->status);
        int rc;

        if (kc_json_equal(kc_json_get(s->job, "status"), s->status))
                return 0;
        tree = kc_json_copy(s->job);
        kc_json_set(tree, "status", kc_json_copy(s->status));
        rc = kc_rest_update(s->c->rest, &KC_JOBS, "status", tree, NULL, err);
        if (rc == 0 && finished) {
                kc_expectations_delete(s->c->expectations, s->key);
                if (s->end.success)
                        kc_recorder_event(s->c->recorder, &KC_JOBS, s->job, "Normal", "Completed", "Job completed");
                else
                        kc_recorder_event(
                            s->c->recorder, &KC_JOBS, s->job, "Warning", s->end.reason, "%s", s->end.message);
        }
        return rc;
}

/* --- Sync */

static void fill_status(struct kc_job_sync *s)
{
        int64_t ready = 0;

        for (size_t i = 0; i < s->active.n; i++)
                ready += kc_pod_is_ready(kc_object_json(s->active.v[i]));
        set_count(s->status, "active", (int64_t)s->active.n, false);
        set_count(s->status, "ready", ready, true);
        set_count(s->status, "terminating", s->terminating, true);
}

/* The numbers first, then what follows from them, then what is written before finalizers go. */
static int run(struct kc_job_sync *s, bool satisfied, struct kc_error *err)
{
        struct kc_objects release = {0};
        struct kc_error failure = KC_ERROR_INIT;
        int managed = 0, rc;

        set_start(s);
        kc_job_count(s);
        if (!kc_meta_deleting(s->job))
                kc_job_decide_end(s);
        if (s->end.reason)
                managed = kc_job_delete_active(s, &failure);
        else if (satisfied && !kc_meta_deleting(s->job))
                managed = kc_job_manage(s, &failure);
        fill_status(s);
        if (s->managed && !s->end.reason)
                set_suspension(s);
        kc_job_track(s, &release);
        set_end(s, release.n == 0 && !kc_job_has_uncounted(s));
        rc = write_status(s, err);
        for (size_t i = 0; rc == 0 && i < release.n; i++)
                rc = kc_job_release(s->c, kc_object_json(release.v[i]), err);
        if (rc == 0 && managed < 0) {
                kc_error_move(err, &failure);
                rc = managed;
        }
        kc_error_done(&failure);
        kc_objects_done(&release);
        return rc;
}

static int claim(struct kc_job_sync *s, struct kc_error *err)
{
        KC_CLEANUP(kc_selector_freep) struct kc_selector *selector = NULL;
        struct kc_objects candidates = {0};
        int rc = kc_owned_pods_selector(&s->c->watch, s->job, &selector, err);

        if (rc < 0)
                return rc;
        struct kc_owner owner = {.rest = s->c->rest, .gvr = &KC_JOBS, .tree = s->job, .selector = selector};
        kc_children_candidates(s->c->pods, s->job, &candidates);
        rc = kc_children_claim(&owner, &KC_PODS, &candidates, &s->pods, err);
        kc_objects_done(&candidates);
        return rc;
}

static int sync_job(struct kc_jobs *c, const char *key, const struct json_object *job, struct kc_error *err)
{
        const char *policy = kc_json_str_at(job, "spec.podReplacementPolicy");
        const struct json_object *status = kc_json_get(job, "status");
        bool satisfied = kc_expectations_satisfied(c->expectations, key);
        struct kc_job_sync s = {.c = c,
            .key = key,
            .job = job,
            .status = status ? kc_json_copy(status) : json_object_new_object(),
            .indexed = kc_streq(kc_json_str_at(job, "spec.completionMode"), "Indexed"),
            .per_index = kc_json_at(job, "spec.backoffLimitPerIndex") != NULL,
            .only_failed = kc_streq(policy, "Failed") || (!policy && kc_json_at(job, "spec.podFailurePolicy")),
            .completions = kc_json_int_at(job, "spec.completions", -1),
            .parallelism = kc_json_int_at(job, "spec.parallelism", 1),
            .backoff_limit = kc_json_int_at(job, "spec.backoffLimit", 6),
            .now = kc_clock_now(NULL)};
        int rc = claim(&s, err);

        if (rc == 0)
                rc = run(&s, satisfied, err);
        if (rc < 0 && (kc_error_is(err, KC_REASON_CONFLICT) || kc_error_is(err, KC_REASON_NOT_FOUND))) {
                /* Somebody else has written it: once more with what the cache will show. */
                bool conflict = kc_error_is(err, KC_REASON_CONFLICT);
                kc_error_done(err);
                if (conflict)
                        kc_workqueue_add_rate_limited(kc_controller_queue(c->controller), key);
                rc = 0;
        }
        kc_json_free(s.status);
        kc_objects_done(&s.pods);
        kc_objects_done(&s.active);
        kc_indexes_done(&s.succeeded_indexes);
        kc_indexes_done(&s.failed_indexes);
        kc_free(s.end.message);
        return rc;
}

static int sync_key(void *arg, const char *key, struct kc_error *err)
{
        struct kc_jobs *c = arg;

        if (kc_str_has_prefix(key, POD_KEY) && strchr(key + strlen(POD_KEY), '/'))
                return sync_orphan(c, key + strlen(POD_KEY), err);
        KC_CLEANUP(kc_object_unrefp) struct kc_object *obj = kc_informer_lookup_key(c->jobs, key);
        if (!obj) {
                kc_expectations_delete(c->expectations, key);
                return 0;
        }
        const struct json_object *job = kc_object_json(obj);
        const char *manager = kc_json_str_at(job, "spec.managedBy");
        if ((manager && strcmp(manager, MANAGER) != 0) || is_finished(kc_json_get(job, "status")))
                return 0;
        return sync_job(c, key, job, err);
}

/* --- Life */

static int init(const struct kc_cm_context *cm, void **ret, struct kc_error *err)
{
        struct kc_jobs *c = KC_NEW(struct kc_jobs);

        (void)err;
        c->rest = cm->rest;
        c->jobs = kc_informers_get(cm->informers, &KC_JOBS);
        c->pods = kc_informers_get(cm->informers, &KC_PODS);
        c->expectations = kc_expectations_new(NULL);
        c->recorder = kc_recorder_new(cm->rest, cm->pool, "job-controller", NULL);
        c->controller = kc_controller_new(cm->loop, cm->pool, "job", WORKERS, sync_key, c);
        c->watch = (struct kc_owned_pods){.gvr = &KC_JOBS,
            .owners = c->jobs,
            .pods = c->pods,
            .controller = c->controller,
            .expectations = c->expectations};
        kc_owned_pods_init(&c->watch);
        kc_informer_add_handler(c->pods, &(struct kc_informer_handler){on_pod_add, on_pod_update, NULL}, c);
        kc_informer_add_handler(c->jobs, &(struct kc_informer_handler){NULL, NULL, on_job_delete}, c);
        *ret = c;
        return 0;
}

static void start(void *state)
{
        kc_controller_start(((struct kc_jobs *)state)->controller);
}

static void free_state(void *state)
{
        struct kc_jobs *c = state;
        kc_controller_free(c->controller);
        kc_recorder_free(c->recorder);
        kc_expectations_free(c->expectations);
        kc_free(c);
}

const struct kc_controller_def kc_job_controller = {
    .name = "job-controller", .init = init, .start = start, .free = free_state};
