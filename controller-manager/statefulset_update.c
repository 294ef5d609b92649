/* Which pod is made or removed next. Pool threads. */
#include <string.h>

#include "base/str.h"
#include "controller-manager/children.h"
#include "controller-manager/statefulset_internal.h"

enum { STOP = 1 }; /* not an error: nothing more this time */

bool kc_ss_is_running_and_ready(const struct json_object *pod)
{
        return kc_streq(kc_json_str_at(pod, "status.phase"), "Running") && kc_pod_is_ready(pod);
}

static bool is_available(const struct kc_ss_sync *s, const struct json_object *pod)
{
        return kc_ss_is_running_and_ready(pod) && kc_pod_is_available(pod, s->min_ready, s->now);
}

static bool is_healthy(const struct json_object *pod)
{
        return kc_ss_is_running_and_ready(pod) && !kc_meta_deleting(pod);
}

static bool in_order(const struct kc_ss_sync *s)
{
        return !kc_streq(kc_json_str_at(s->set, "spec.podManagementPolicy"), "Parallel");
}

/* The lowest replica, else the highest condemned one, that is not healthy: removing it does no harm. */
static const struct kc_object *first_unhealthy(const struct kc_ss_sync *s)
{
        for (int64_t i = 0; i < s->replicas; i++)
                if (s->replica[i] && !is_healthy(kc_object_json(s->replica[i])))
                        return s->replica[i];
        for (size_t i = s->condemned.n; i-- > 0;)
                if (!is_healthy(kc_object_json(s->condemned.v[i])))
                        return s->condemned.v[i];
        return NULL;
}

/* STOP: what comes after this one waits for it. */
static int process_replica(struct kc_ss_sync *s, int64_t i, struct kc_error *err)
{
        bool ordered = in_order(s);
        const struct json_object *pod = s->replica[i] ? kc_object_json(s->replica[i]) : NULL;
        int rc;

        if (pod && kc_pod_is_terminal(pod)) {
                /* It is made again when it has gone. */
                rc = kc_meta_deleting(pod) ? 0 : kc_ss_delete(s, s->replica[i], err);
                return rc < 0 ? rc : ordered ? STOP : 0;
        }
        if (!pod) {
                rc = kc_ss_create(s, s->start + i, err);
                return rc < 0 ? rc : ordered ? STOP : 0;
        }
        if (ordered && (kc_meta_deleting(pod) || !is_available(s, pod)))
                return STOP;
        return kc_meta_deleting(pod) ? 0 : kc_ss_fix(s, s->replica[i], false, err);
}

static int process_condemned(struct kc_ss_sync *s, size_t i, const struct kc_object *unhealthy, struct kc_error *err)
{
        const struct json_object *pod = kc_object_json(s->condemned.v[i]);
        bool ordered = in_order(s);
        int rc;

        if (kc_meta_deleting(pod))
                return ordered ? STOP : 0;
        if (ordered && !is_available(s, pod) && s->condemned.v[i] != unhealthy)
                return STOP;
        rc = kc_ss_fix(s, s->condemned.v[i], true, err);
        if (rc == 0)
                rc = kc_ss_delete(s, s->condemned.v[i], err);
        return rc < 0 ? rc : ordered ? STOP : 0;
}

static bool is_updated(const struct kc_ss_sync *s, const struct json_object *pod)
{
        return kc_streq(kc_meta_label(pod, KC_REVISION_HASH), s->update_revision);
}

static int64_t max_unavailable(const struct kc_ss_sync *s)
{
        const struct json_object *v = kc_json_at(s->set, "spec.updateStrategy.rollingUpdate.maxUnavailable");
        const char *text = kc_json_as_str(v);
        int64_t n = 1;

        if (text) {
                KC_CLEANUP(kc_freep) char *digits = kc_strndup(text, strcspn(text, "%"));
                n = kc_str_to_i64(digits, &n) == 0 ? (n * s->replicas + 99) / 100 : 1;
        } else if (v) {
                n = json_object_get_int64((struct json_object *)v);
        }
        return KC_MAX(n, (int64_t)1);
}

/* From the highest ordinal down; as many at a time as may be unavailable. */
static int roll(struct kc_ss_sync *s, struct kc_error *err)
{
        int64_t partition = kc_json_int_at(s->set, "spec.updateStrategy.rollingUpdate.partition", 0);
        int64_t unavailable = 0, allowed = max_unavailable(s);

        for (int64_t i = s->replicas - 1; i >= partition; i--) {
                const struct json_object *pod = s->replica[i] ? kc_object_json(s->replica[i]) : NULL;
                if (pod && !is_updated(s, pod) && !kc_meta_deleting(pod)) {
                        int rc = kc_ss_delete(s, s->replica[i], err);
                        if (rc < 0)
                                return rc;
                        kc_json_set_int(s->status, "currentReplicas",
                            KC_MAX(kc_json_int(s->status, "currentReplicas", 0) - 1, (int64_t)0));
                        unavailable++;
                } else if (!pod || !is_healthy(pod) || !is_available(s, pod)) {
                        unavailable++;
                }
                if (unavailable >= allowed)
                        return 0;
        }
        return 0;
}

int kc_ss_update(struct kc_ss_sync *s, struct kc_error *err)
{
        const struct kc_object *unhealthy = first_unhealthy(s);
        int rc = 0;

        for (int64_t i = 0; rc == 0 && i < s->replicas; i++)
                rc = process_replica(s, i, err);
        for (size_t i = 0; rc == 0 && i < s->condemned.n; i++)
                rc = process_condemned(s, i, unhealthy, err);
        if (rc == 0 && !kc_streq(kc_json_str_at(s->set, "spec.updateStrategy.type"), "OnDelete"))
                rc = roll(s, err);
        return rc < 0 ? rc : 0;
}
