/* Requests of a preemption, one after another. Pool thread. */
#include "scheduler/preempt_apply.h"

#include "base/log.h"
#include "base/str.h"

static int mark(
    struct kc_rest *rest, const struct json_object *pod, const struct kc_object *victim, struct kc_error *err)
{
        KC_CLEANUP(kc_freep)
        char *message = kc_asprintf(
            "%s: preempting to accommodate a higher priority pod", kc_json_str_at(pod, "spec.schedulerName"));
        const struct json_object *have =
            kc_condition_get(kc_json_get(kc_object_json(victim), "status"), "DisruptionTarget");
        char now[KC_TIME_LEN];

        if (kc_streq(kc_json_str(have, "status"), "True") &&
            kc_streq(kc_json_str(have, "reason"), "PreemptionByScheduler") &&
            kc_streq(kc_json_str(have, "message"), message))
                return 0;
        KC_CLEANUP(kc_json_freep)
        struct json_object *patch = kc_json_build(
            "{'metadata':{'uid':%s},'status':{'conditions':[{'type':'DisruptionTarget','status':'True',"
            "'reason':'PreemptionByScheduler','message':%s,'lastProbeTime':null,'lastTransitionTime':%s}]}}",
            kc_object_uid(victim), message, kc_time_format(kc_clock_now(NULL), now));
        return kc_rest_patch(rest, &KC_PODS, kc_object_namespace(victim), kc_object_name(victim), "status",
            KC_PATCH_STRATEGIC, patch, NULL, err);
}

static int preempt_one(
    struct kc_rest *rest, const struct json_object *pod, const struct kc_object *victim, struct kc_error *err)
{
        int rc = mark(rest, pod, victim, err);

        if (rc < 0)
                return rc;
        return kc_rest_delete(rest, &KC_PODS, kc_object_namespace(victim), kc_object_name(victim),
            &(struct kc_delete_opts){.grace_period_seconds = -1, .precondition_uid = kc_object_uid(victim)}, NULL, err);
}

static void end_nomination(struct kc_rest *rest, const struct kc_object *pod)
{
        struct kc_error err = KC_ERROR_INIT;
        KC_CLEANUP(kc_json_freep)
        struct json_object *patch =
            kc_json_build("{'metadata':{'uid':%s},'status':{'nominatedNodeName':null}}", kc_object_uid(pod));

        if (kc_rest_patch(rest, &KC_PODS, kc_object_namespace(pod), kc_object_name(pod), "status", KC_PATCH_STRATEGIC,
                patch, NULL, &err) < 0 &&
            !kc_error_is(&err, KC_REASON_NOT_FOUND))
                kc_log_error(&err, "Cannot clear a nominatedNodeName, ignoring", "pod", kc_object_name(pod));
        kc_error_done(&err);
}

void kc_preempt_apply(
    struct kc_rest *rest, struct kc_recorder *recorder, const struct json_object *pod, const struct kc_preemption *p)
{
        KC_CLEANUP(kc_freep) char *key = kc_meta_key(pod);

        for (size_t i = 0; i < p->yield.n; i++)
                end_nomination(rest, p->yield.v[i]);
        for (size_t i = 0; i < p->victims.n; i++) {
                struct kc_error err = KC_ERROR_INIT;
                int rc = preempt_one(rest, pod, p->victims.v[i], &err);
                if (rc < 0 && !kc_error_is(&err, KC_REASON_NOT_FOUND)) {
                        kc_log_error(&err, "Cannot preempt a pod, retrying", "pod", kc_object_name(p->victims.v[i]),
                            "preemptor", key, "node", p->node);
                } else {
                        kc_log_v(2, "Preempted a pod", "pod", kc_object_name(p->victims.v[i]), "preemptor", key, "node",
                            p->node);
                        kc_recorder_event(recorder, &KC_PODS, kc_object_json(p->victims.v[i]), "Normal", "Preempted",
                            "Preempted by pod %s on node %s", kc_meta_uid(pod), p->node);
                }
                kc_error_done(&err);
        }
}
