/* The pods of a Job: which there are, which are missing, which are too many. Pool threads. */
#include <string.h>

#include "base/str.h"
#include "controller-manager/children.h"
#include "controller-manager/job_internal.h"

enum { BURST = 500 };

#define BACKOFF_MIN (10 * KC_SEC)
#define BACKOFF_MAX (600 * KC_SEC)

int64_t kc_job_pod_index(const struct json_object *pod)
{
        const char *text = kc_meta_annotation(pod, KC_JOB_INDEX);
        int64_t i;

        return text && kc_str_to_i64(text, &i) == 0 && i >= 0 ? i : -1;
}

bool kc_job_pod_succeeded(const struct json_object *pod)
{
        return kc_streq(kc_json_str_at(pod, "status.phase"), "Succeeded");
}

bool kc_job_pod_failed(const struct kc_job_sync *s, const struct json_object *pod)
{
        if (kc_streq(kc_json_str_at(pod, "status.phase"), "Failed"))
                return true;
        /* One that is being deleted may never come to failing. */
        return !s->only_failed && kc_meta_deleting(pod) && !kc_job_pod_succeeded(pod);
}

int64_t kc_job_index_failures(const struct kc_job_sync *s, int64_t index)
{
        int64_t most = 0;

        for (size_t i = 0; i < s->pods.n; i++) {
                const struct json_object *pod = kc_object_json(s->pods.v[i]);
                const char *text = kc_meta_annotation(pod, KC_JOB_INDEX_FAILURES);
                int64_t n = 0;
                if (kc_job_pod_index(pod) != index)
                        continue;
                if (text && kc_str_to_i64(text, &n) < 0)
                        n = 0;
                if (kc_job_pod_failed(s, pod) && kc_job_failure_action(s->job, pod, NULL) != KC_FAIL_IGNORE)
                        n++;
                most = KC_MAX(most, n);
        }
        return most;
}

/* --- back-off: 10 s, doubled with each failure since the last success, up to 10 min, from the last failure on. */

static kc_time ended_at(const struct json_object *pod)
{
        const struct json_object *statuses = kc_json_at(pod, "status.containerStatuses");
        const char *deleted = kc_json_str_at(pod, "metadata.deletionTimestamp");
        kc_time last = 0, t;

        for (size_t i = 0; i < kc_json_len(statuses); i++) {
                const char *at = kc_json_str_at(kc_json_idx(statuses, i), "state.terminated.finishedAt");
                if (at && kc_time_parse(at, &t) == 0)
                        last = KC_MAX(last, t);
        }
        if (last == 0 && deleted && kc_time_parse(deleted, &t) == 0)
                last = t;
        return last ? last : kc_meta_creation_time(pod);
}

static int64_t remaining(int64_t failures, kc_time last, kc_time now)
{
        int64_t delay = BACKOFF_MIN;

        if (failures == 0)
                return 0;
        for (int64_t i = 1; i < failures && delay < BACKOFF_MAX; i++)
                delay *= 2;
        return KC_MAX(last + KC_MIN(delay, BACKOFF_MAX) - now, (int64_t)0);
}

int64_t kc_job_backoff(const struct kc_job_sync *s)
{
        kc_time success = 0, last = 0;
        int64_t failures = 0;

        for (size_t i = 0; i < s->pods.n; i++)
                if (kc_job_pod_succeeded(kc_object_json(s->pods.v[i])))
                        success = KC_MAX(success, ended_at(kc_object_json(s->pods.v[i])));
        for (size_t i = 0; i < s->pods.n; i++) {
                const struct json_object *pod = kc_object_json(s->pods.v[i]);
                kc_time at = ended_at(pod);
                if (!kc_job_pod_failed(s, pod) || at < success)
                        continue;
                failures++;
                last = KC_MAX(last, at);
        }
        return remaining(failures, last, s->now);
}

static int64_t index_backoff(const struct kc_job_sync *s, int64_t index)
{
        kc_time last = 0;

        for (size_t i = 0; i < s->pods.n; i++) {
                const struct json_object *pod = kc_object_json(s->pods.v[i]);
                if (kc_job_pod_index(pod) == index && kc_job_pod_failed(s, pod))
                        last = KC_MAX(last, ended_at(pod));
        }
        return remaining(kc_job_index_failures(s, index), last, s->now);
}

/* --- making pods */

static struct json_object *new_pod(const struct kc_job_sync *s, int64_t index)
{
        struct json_object *pod = kc_pod_from_template(s->job, &KC_JOBS, kc_json_at(s->job, "spec.template"));
        struct json_object *meta = kc_json_get_mut(pod, "metadata"), *spec = kc_json_get_mut(pod, "spec");
        static const char *const lists[] = {"initContainers", "containers"};

        kc_json_push_str(kc_json_ensure_arr(meta, "finalizers"), KC_JOB_FINALIZER);
        if (index < 0)
                return pod;
        KC_CLEANUP(kc_freep) char *text = kc_asprintf("%lld", (long long)index);
        KC_CLEANUP(kc_freep) char *host = kc_asprintf("%s-%s", kc_meta_name(s->job), text);
        KC_CLEANUP(kc_freep) char *prefix = kc_asprintf("%s-", host);
        kc_json_set_str(meta, "generateName", prefix);
        kc_meta_set_annotation(pod, KC_JOB_INDEX, text);
        kc_meta_set_label(pod, KC_JOB_INDEX, text);
        kc_json_set_str(spec, "hostname", host);
        if (s->per_index) {
                KC_CLEANUP(kc_freep) char *failures = kc_asprintf("%lld", (long long)kc_job_index_failures(s, index));
                kc_meta_set_annotation(pod, KC_JOB_INDEX_FAILURES, failures);
        }
        for (size_t l = 0; l < KC_ARRAY_LEN(lists); l++)
                for (size_t i = 0; i < kc_json_len(kc_json_get(spec, lists[l])); i++) {
                        struct json_object *env =
                            kc_json_ensure_arr(kc_json_idx_mut(kc_json_get_mut(spec, lists[l]), i), "env");
                        if (!kc_json_find(env, "name", "JOB_COMPLETION_INDEX"))
                                kc_json_push(env,
                                    kc_json_build(
                                        "{'name':'JOB_COMPLETION_INDEX','valueFrom':{'fieldRef':{'fieldPath':%s}}}",
                                        "metadata.labels['" KC_JOB_INDEX "']"));
                }
        return pod;
}

static int create_one(struct kc_job_sync *s, int64_t index, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *pod = new_pod(s, index), *made = NULL;
        int rc = kc_rest_create(s->c->rest, &KC_PODS, kc_meta_namespace(s->job), pod, &made, err);

        if (rc == 0) {
                kc_recorder_event(s->c->recorder, &KC_JOBS, s->job, "Normal", "SuccessfulCreate", "Created pod: %s",
                    kc_meta_name(made));
                return 0;
        }
        kc_expectations_creation_observed(s->c->expectations, s->key);
        kc_recorder_event(
            s->c->recorder, &KC_JOBS, s->job, "Warning", "FailedCreate", "Error creating: %s", kc_error_message(err));
        return rc;
}

/* indexes NULL: n pods without one. In batches of 1, 2, 4, ...: what cannot succeed is not tried n times. */
static int create_pods(struct kc_job_sync *s, const int64_t *indexes, int64_t n, struct kc_error *err)
{
        int64_t done = 0;
        int rc = 0;

        n = KC_MIN(n, (int64_t)BURST);
        kc_expectations_expect_creations(s->c->expectations, s->key, (int)n);
        for (int64_t batch = 1; done < n && rc == 0; batch *= 2)
                for (int64_t i = 0; i < batch && done < n; i++) {
                        struct kc_error one = KC_ERROR_INIT;
                        int r = create_one(s, indexes ? indexes[done] : -1, &one);
                        done++;
                        if (r < 0 && rc == 0) {
                                rc = r;
                                kc_error_move(err, &one);
                        }
                        kc_error_done(&one);
                }
        for (; done < n; done++)
                kc_expectations_creation_observed(s->c->expectations, s->key);
        return rc;
}

static bool index_is_taken(const struct kc_job_sync *s, int64_t index)
{
        if (kc_indexes_has(&s->succeeded_indexes, index) || kc_indexes_has(&s->failed_indexes, index))
                return true;
        for (size_t i = 0; i < s->pods.n; i++) {
                const struct json_object *pod = kc_object_json(s->pods.v[i]);
                bool there = kc_pod_is_active(pod) || (s->only_failed && !kc_pod_is_terminal(pod));
                if (there && kc_job_pod_index(pod) == index)
                        return true;
        }
        return false;
}

static int create_missing(struct kc_job_sync *s, int64_t n, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) int64_t *indexes = NULL;
        int64_t found = 0, wait = s->per_index ? 0 : kc_job_backoff(s);

        if (s->indexed) {
                indexes = kc_calloc((size_t)n + 1, sizeof(*indexes));
                for (int64_t i = 0; i < s->completions && found < n; i++) {
                        int64_t left = index_is_taken(s, i) ? -1 : s->per_index ? index_backoff(s, i) : 0;
                        if (left == 0)
                                indexes[found++] = i;
                        else if (left > 0)
                                wait = wait ? KC_MIN(wait, left) : left;
                }
                n = found;
        }
        if (wait > 0)
                kc_workqueue_add_after(kc_controller_queue(s->c->controller), s->key, wait);
        if (n == 0 || (wait > 0 && !s->per_index))
                return 0;
        return create_pods(s, indexes, n, err);
}

/* --- removing pods */

int kc_job_release(struct kc_jobs *c, const struct json_object *pod, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep)
        struct json_object *patch = kc_json_build(
            "{'metadata':{'uid':%s,'$deleteFromPrimitiveList/finalizers':[%s]}}", kc_meta_uid(pod), KC_JOB_FINALIZER);
        int rc;

        if (!kc_meta_has_finalizer(pod, KC_JOB_FINALIZER))
                return 0;
        rc = kc_rest_patch(
            c->rest, &KC_PODS, kc_meta_namespace(pod), kc_meta_name(pod), NULL, KC_PATCH_STRATEGIC, patch, NULL, err);
        if (rc < 0 && (kc_error_is(err, KC_REASON_NOT_FOUND) || kc_error_is(err, KC_REASON_CONFLICT))) {
                kc_error_done(err); /* it has gone, or is another one of that name */
                rc = 0;
        }
        return rc;
}

/* release: they are not to count as failed. */
static int delete_pods(struct kc_job_sync *s, const struct kc_objects *pods, bool release, struct kc_error *err)
{
        KC_CLEANUP(kc_strv_freep) char **keys = NULL;
        size_t n = KC_MIN(pods->n, (size_t)BURST);
        int rc = 0;

        for (size_t i = 0; i < n; i++)
                kc_strv_push_take(&keys, kc_meta_key(kc_object_json(pods->v[i])));
        if (n > 0)
                kc_expectations_expect_deletions(s->c->expectations, s->key, keys);
        for (size_t i = 0; i < n; i++) {
                const struct json_object *pod = kc_object_json(pods->v[i]);
                struct kc_delete_opts opts = {.grace_period_seconds = -1, .precondition_uid = kc_meta_uid(pod)};
                struct kc_error one = KC_ERROR_INIT;
                int r = release ? kc_job_release(s->c, pod, &one) : 0;
                if (r == 0)
                        r = kc_rest_delete(
                            s->c->rest, &KC_PODS, kc_meta_namespace(pod), kc_meta_name(pod), &opts, NULL, &one);
                if (r == 0) {
                        kc_recorder_event(s->c->recorder, &KC_JOBS, s->job, "Normal", "SuccessfulDelete",
                            "Deleted pod: %s", kc_meta_name(pod));
                } else {
                        kc_expectations_deletion_observed(s->c->expectations, s->key, keys[i]);
                        if (!kc_error_is(&one, KC_REASON_NOT_FOUND) && rc == 0) {
                                kc_recorder_event(s->c->recorder, &KC_JOBS, s->job, "Warning", "FailedDelete",
                                    "Error deleting: %s", kc_error_message(&one));
                                rc = r;
                                kc_error_move(err, &one);
                        }
                }
                kc_error_done(&one);
        }
        return rc;
}

int kc_job_delete_active(struct kc_job_sync *s, struct kc_error *err)
{
        return delete_pods(s, &s->active, false, err);
}

/* Those that nobody needs first: of an index beyond the last one, or the second one of an index. */
static void choose_victims(const struct kc_job_sync *s, int64_t at_least, struct kc_objects *ret)
{
        struct kc_objects rest = {0};
        struct kc_indexes seen = {0};

        kc_pods_sort_for_deletion((struct kc_objects *)&s->active, NULL);
        for (size_t i = s->active.n; i-- > 0;) {
                int64_t index = kc_job_pod_index(kc_object_json(s->active.v[i]));
                bool useless = s->indexed && (index < 0 || index >= s->completions || kc_indexes_has(&seen, index) ||
                                                 kc_indexes_has(&s->succeeded_indexes, index));
                if (s->indexed && index >= 0)
                        kc_indexes_add(&seen, index);
                kc_objects_push_take(useless ? ret : &rest, kc_object_ref(s->active.v[i]));
        }
        for (size_t i = rest.n; i-- > 0 && (int64_t)ret->n < at_least;)
                kc_objects_push_take(ret, kc_object_ref(rest.v[i]));
        kc_objects_done(&rest);
        kc_indexes_done(&seen);
}

static int64_t wanted(const struct kc_job_sync *s)
{
        if (kc_json_bool_at(s->job, "spec.suspend", false))
                return 0;
        if (s->completions < 0)
                return s->succeeded > 0 ? (int64_t)s->active.n : s->parallelism;
        return KC_MAX(
            KC_MIN(s->completions - s->succeeded - kc_indexes_count(&s->failed_indexes), s->parallelism), (int64_t)0);
}

int kc_job_manage(struct kc_job_sync *s, struct kc_error *err)
{
        int64_t want = wanted(s), have = (int64_t)s->active.n;
        int64_t missing = want - have - (s->only_failed ? s->terminating : 0);
        struct kc_objects victims = {0};
        int rc;

        choose_victims(s, have - want, &victims);
        if (victims.n > 0)
                rc = delete_pods(s, &victims, true, err);
        else
                rc = missing > 0 ? create_missing(s, missing, err) : 0;
        kc_objects_done(&victims);
        s->managed = rc == 0;
        return rc;
}
