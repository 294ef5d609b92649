/* What kubectl says about a rollout. Any thread. */
#include <errno.h>

#include "api/object.h"
#include "base/str.h"
#include "cli/rollout.h"

static int64_t number(const struct json_object *obj, const char *path)
{
        return kc_json_int_at(obj, path, 0);
}

static int deployment_status(const struct json_object *d, char **ret, bool *done, struct kc_error *err)
{
        const char *name = kc_meta_name(d);
        if (kc_meta_generation(d) > number(d, "status.observedGeneration")) {
                *ret = kc_strdup("Waiting for deployment spec update to be observed...\n");
                return 0;
        }
        const struct json_object *progressing = kc_condition_get(kc_json_get(d, "status"), "Progressing");
        if (kc_streq(kc_json_str(progressing, "reason"), "ProgressDeadlineExceeded"))
                return kc_error_set(err, ETIME, "deployment \"%s\" exceeded its progress deadline", name);
        long long wanted = kc_json_int_at(d, "spec.replicas", 1), updated = number(d, "status.updatedReplicas");
        long long replicas = number(d, "status.replicas"), available = number(d, "status.availableReplicas");
        if (updated < wanted)
                *ret =
                    kc_asprintf("Waiting for deployment \"%s\" rollout to finish: %lld out of %lld new replicas have "
                                "been updated...\n",
                        name, updated, wanted);
        else if (replicas > updated)
                *ret = kc_asprintf(
                    "Waiting for deployment \"%s\" rollout to finish: %lld old replicas are pending termination...\n",
                    name, replicas - updated);
        else if (available < updated)
                *ret = kc_asprintf(
                    "Waiting for deployment \"%s\" rollout to finish: %lld of %lld updated replicas are available...\n",
                    name, available, updated);
        else {
                *ret = kc_asprintf("deployment \"%s\" successfully rolled out\n", name);
                *done = true;
        }
        return 0;
}

static int daemon_set_status(const struct json_object *d, char **ret, bool *done, struct kc_error *err)
{
        const char *name = kc_meta_name(d);
        if (!kc_streq(kc_json_str_at(d, "spec.updateStrategy.type"), "RollingUpdate"))
                return kc_error_set(err, EINVAL, "rollout status is only available for RollingUpdate strategy type");
        if (kc_meta_generation(d) > number(d, "status.observedGeneration")) {
                *ret = kc_strdup("Waiting for daemon set spec update to be observed...\n");
                return 0;
        }
        long long wanted = number(d, "status.desiredNumberScheduled");
        long long updated = number(d, "status.updatedNumberScheduled"), available = number(d, "status.numberAvailable");
        if (updated < wanted)
                *ret = kc_asprintf(
                    "Waiting for daemon set \"%s\" rollout to finish: %lld out of %lld new pods have been updated...\n",
                    name, updated, wanted);
        else if (available < wanted)
                *ret = kc_asprintf(
                    "Waiting for daemon set \"%s\" rollout to finish: %lld of %lld updated pods are available...\n",
                    name, available, wanted);
        else {
                *ret = kc_asprintf("daemon set \"%s\" successfully rolled out\n", name);
                *done = true;
        }
        return 0;
}

static int stateful_set_status(const struct json_object *s, char **ret, bool *done, struct kc_error *err)
{
        if (!kc_streq(kc_json_str_at(s, "spec.updateStrategy.type"), "RollingUpdate"))
                return kc_error_set(err, EINVAL, "rollout status is only available for RollingUpdate strategy type");
        long long wanted = kc_json_int_at(s, "spec.replicas", 1), ready = number(s, "status.readyReplicas");
        long long updated = number(s, "status.updatedReplicas"), current = number(s, "status.currentReplicas");
        /* The API server's default is 0, which counts as one here. */
        long long partition = kc_json_int_at(s, "spec.updateStrategy.rollingUpdate.partition", -1);
        const char *update_revision = kc_json_str_at(s, "status.updateRevision"),
                   *current_revision = kc_json_str_at(s, "status.currentRevision");
        if (number(s, "status.observedGeneration") == 0 ||
            kc_meta_generation(s) > number(s, "status.observedGeneration"))
                *ret = kc_strdup("Waiting for statefulset spec update to be observed...\n");
        else if (ready < wanted)
                *ret = kc_asprintf("Waiting for %lld pods to be ready...\n", wanted - ready);
        else if (partition >= 0 && updated < wanted - partition)
                *ret = kc_asprintf(
                    "Waiting for partitioned roll out to finish: %lld out of %lld new pods have been updated...\n",
                    updated, wanted - partition);
        else if (partition >= 0) {
                *ret = kc_asprintf("partitioned roll out complete: %lld new pods have been updated...\n", updated);
                *done = true;
        } else if (!kc_streq(update_revision, current_revision))
                *ret = kc_asprintf("waiting for statefulset rolling update to complete %lld pods at revision %s...\n",
                    updated, update_revision ? update_revision : "");
        else {
                *ret = kc_asprintf("statefulset rolling update complete %lld pods at revision %s...\n", current,
                    current_revision ? current_revision : "");
                *done = true;
        }
        return 0;
}

int kc_rollout_status(
    const struct json_object *obj, const char *kind, char **ret_message, bool *ret_done, struct kc_error *err)
{
        *ret_done = false;
        if (kc_streq(kind, "Deployment"))
                return deployment_status(obj, ret_message, ret_done, err);
        if (kc_streq(kind, "DaemonSet"))
                return daemon_set_status(obj, ret_message, ret_done, err);
        if (kc_streq(kind, "StatefulSet"))
                return stateful_set_status(obj, ret_message, ret_done, err);
        return kc_error_set(err, EINVAL, "no status viewer has been implemented for %s", kind);
}
