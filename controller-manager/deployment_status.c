/* Status, conditions and the progress deadline of Deployments. Pool threads. */
#include "base/str.h"
#include "controller-manager/deployment_internal.h"

enum { NO_DEADLINE = 2147483647 };

static void set_count(struct json_object *status, const char *name, int64_t n)
{
        if (n)
                kc_json_set_int(status, name, n);
        else
                kc_json_del(status, name);
}

static struct json_object *calculate(const struct kc_dsync *s)
{
        const struct json_object *old = kc_json_get(s->d, "status");
        struct json_object *status = old ? kc_json_copy(old) : json_object_new_object();
        int64_t available = kc_sum_status(s, "availableReplicas");

        kc_json_set_int(status, "observedGeneration", kc_meta_generation(s->d));
        set_count(status, "replicas", kc_sum_status(s, "replicas"));
        set_count(status, "updatedReplicas", s->new_set >= 0 ? kc_status_int(s->sets[s->new_set], "replicas") : 0);
        set_count(status, "readyReplicas", kc_sum_status(s, "readyReplicas"));
        set_count(status, "availableReplicas", available);
        set_count(status, "unavailableReplicas", KC_MAX(kc_sum_replicas(s, false) - available, (int64_t)0));
        if (available >= kc_replicas(s->d) - kc_max_unavailable(s->d))
                kc_deployment_condition(
                    status, "Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability.");
        else
                kc_deployment_condition(status, "Available", "False", "MinimumReplicasUnavailable",
                    "Deployment does not have minimum availability.");
        return status;
}

bool kc_deployment_complete(const struct json_object *d, const struct json_object *status)
{
        int64_t want = kc_replicas(d);
        return kc_json_int(status, "updatedReplicas", 0) == want && kc_json_int(status, "replicas", 0) == want &&
               kc_json_int(status, "availableReplicas", 0) == want &&
               kc_json_int(status, "observedGeneration", 0) >= kc_meta_generation(d);
}

static bool made_progress(const struct json_object *old, const struct json_object *new)
{
        int64_t old_old = kc_json_int(old, "replicas", 0) - kc_json_int(old, "updatedReplicas", 0);
        int64_t new_old = kc_json_int(new, "replicas", 0) - kc_json_int(new, "updatedReplicas", 0);

        return kc_json_int(new, "updatedReplicas", 0) > kc_json_int(old, "updatedReplicas", 0) || new_old < old_old ||
               kc_json_int(new, "readyReplicas", 0) > kc_json_int(old, "readyReplicas", 0) ||
               kc_json_int(new, "availableReplicas", 0) > kc_json_int(old, "availableReplicas", 0);
}

static int64_t deadline_of(const struct json_object *d)
{
        return kc_json_int_at(d, "spec.progressDeadlineSeconds", NO_DEADLINE);
}

/* Time until the deadline; negative when it has passed. */
static int64_t time_left(const struct json_object *d, const struct json_object *progressing)
{
        const char *text = kc_json_str(progressing, "lastUpdateTime");
        kc_time from;

        if (!text || kc_time_parse(text, &from) < 0)
                return deadline_of(d) * KC_SEC;
        return from + deadline_of(d) * KC_SEC - kc_clock_now(NULL);
}

static bool timed_out(const struct json_object *d, const struct json_object *status)
{
        const struct json_object *cond = kc_condition_get(status, "Progressing");
        const char *reason = kc_json_str(cond, "reason");

        if (!cond || kc_streq(reason, "NewReplicaSetAvailable"))
                return false;
        if (kc_streq(reason, "ProgressDeadlineExceeded"))
                return true;
        return time_left(d, cond) < 0;
}

static void progress_condition(const struct kc_dsync *s, struct json_object *status)
{
        const struct json_object *old = kc_json_get(s->d, "status"), *cond = kc_condition_get(status, "Progressing");
        KC_CLEANUP(kc_freep)
        char *who = s->new_set >= 0 ? kc_asprintf("ReplicaSet \"%s\"", kc_meta_name(s->sets[s->new_set]))
                                    : kc_asprintf("Deployment \"%s\"", kc_meta_name(s->d));
        KC_CLEANUP(kc_freep) char *message = NULL;

        /* A finished rollout stays finished while its pods come and go. */
        if (kc_json_int(status, "replicas", 0) == kc_json_int(status, "updatedReplicas", 0) &&
            kc_streq(kc_json_str(cond, "reason"), "NewReplicaSetAvailable"))
                return;
        if (kc_deployment_complete(s->d, status)) {
                message = kc_asprintf("%s has successfully progressed.", who);
                kc_deployment_condition(status, "Progressing", "True", "NewReplicaSetAvailable", message);
        } else if (made_progress(old, status)) {
                message = kc_asprintf("%s is progressing.", who);
                /* The same words again, but the clock of the deadline starts anew. */
                KC_CLEANUP(kc_freep)
                char *since = kc_streq(kc_json_str(cond, "status"), "True")
                                  ? kc_strdup(kc_json_str(cond, "lastTransitionTime"))
                                  : NULL;
                kc_condition_remove(status, "Progressing");
                kc_deployment_condition(status, "Progressing", "True", "ReplicaSetUpdated", message);
                if (since) {
                        struct json_object *list = kc_json_get_mut(status, "conditions");
                        kc_json_set_str(kc_json_idx_mut(list, kc_json_len(list) - 1), "lastTransitionTime", since);
                }
        } else if (timed_out(s->d, status)) {
                message = kc_asprintf("%s has timed out progressing.", who);
                kc_deployment_condition(status, "Progressing", "False", "ProgressDeadlineExceeded", message);
        }
}

/* The new set's trouble, or any old one's, is the Deployment's. */
static void failure_condition(const struct kc_dsync *s, struct json_object *status)
{
        const struct json_object *failure = NULL;

        if (s->new_set >= 0)
                failure = kc_condition_get(kc_json_get(s->sets[s->new_set], "status"), "ReplicaFailure");
        for (size_t i = 0; i < s->n && !failure; i++)
                failure = kc_condition_get(kc_json_get(s->sets[i], "status"), "ReplicaFailure");
        if (failure)
                kc_deployment_condition(status, "ReplicaFailure", kc_json_str(failure, "status"),
                    kc_json_str(failure, "reason"), kc_json_str(failure, "message"));
        else
                kc_condition_remove(status, "ReplicaFailure");
}

static void requeue_for_deadline(struct kc_dsync *s, const struct json_object *status)
{
        const struct json_object *cond = kc_condition_get(status, "Progressing");
        const char *reason = kc_json_str(cond, "reason");

        if (!cond || deadline_of(s->d) == NO_DEADLINE || kc_deployment_complete(s->d, status) ||
            kc_streq(reason, "NewReplicaSetAvailable") || kc_streq(reason, "ProgressDeadlineExceeded"))
                return;
        kc_workqueue_add_after(
            kc_controller_queue(s->c->controller), s->key, KC_MAX(time_left(s->d, cond), (int64_t)0) + KC_SEC);
}

int kc_write_deployment_status(struct kc_dsync *s, bool progress, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *status = calculate(s);

        if (progress) {
                if (deadline_of(s->d) == NO_DEADLINE)
                        kc_condition_remove(status, "Progressing");
                else
                        progress_condition(s, status);
                failure_condition(s, status);
                requeue_for_deadline(s, status);
        }
        if (kc_json_equal(kc_json_get(s->d, "status"), status))
                return 0;
        kc_json_set(s->d, "status", KC_TAKE(status));
        return kc_rest_update(s->c->rest, &KC_DEPLOYMENTS, "status", s->d, NULL, err);
}

int kc_check_paused(struct kc_dsync *s, struct kc_error *err)
{
        const struct json_object *cond = kc_condition_get(kc_json_get(s->d, "status"), "Progressing");
        bool paused = kc_json_bool_at(s->d, "spec.paused", false);
        bool says_paused = kc_streq(kc_json_str(cond, "reason"), "DeploymentPaused");
        struct json_object *fresh = NULL;

        if (deadline_of(s->d) == NO_DEADLINE || kc_streq(kc_json_str(cond, "reason"), "ProgressDeadlineExceeded") ||
            paused == says_paused)
                return 0;
        kc_deployment_condition(kc_json_ensure_obj(s->d, "status"), "Progressing", "Unknown",
            paused ? "DeploymentPaused" : "DeploymentResumed",
            paused ? "Deployment is paused" : "Deployment is resumed");
        int rc = kc_rest_update(s->c->rest, &KC_DEPLOYMENTS, "status", s->d, &fresh, err);
        if (rc < 0)
                return rc;
        kc_json_free(s->d);
        s->d = fresh;
        return 0;
}
