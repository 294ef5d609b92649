/* The two strategies of a Deployment. Pool threads. */
#include "base/str.h"
#include "controller-manager/deployment_internal.h"

static int scale_new(struct kc_dsync *s, bool *scaled, struct kc_error *err)
{
        int64_t have = kc_replicas(s->sets[s->new_set]), want = kc_replicas(s->d);

        if (have < want)
                want = kc_new_set_replicas(s, have);
        return kc_scale_set(s, (size_t)s->new_set, want, scaled, err);
}

/* Pods of old sets that are not available take nothing away when they go. */
static int drop_unhealthy(struct kc_dsync *s, int64_t max, bool *scaled, struct kc_error *err)
{
        int64_t dropped = 0;

        for (size_t i = 0; i < s->n && dropped < max; i++) {
                int64_t have = kc_replicas(s->sets[i]), sick = have - kc_status_int(s->sets[i], "availableReplicas"), n;
                if ((int)i == s->new_set || have == 0 || sick <= 0)
                        continue;
                n = KC_MIN(max - dropped, sick);
                int rc = kc_scale_set(s, i, have - n, scaled, err);
                if (rc < 0)
                        return rc;
                dropped += n;
        }
        return 0;
}

static int drop_old(struct kc_dsync *s, bool *scaled, struct kc_error *err)
{
        int64_t min_available = kc_replicas(s->d) - kc_max_unavailable(s->d);
        int64_t may_go = kc_sum_status(s, "availableReplicas") - min_available;

        for (size_t i = 0; i < s->n && may_go > 0; i++) {
                int64_t have = kc_replicas(s->sets[i]), n = KC_MIN(have, may_go);
                if ((int)i == s->new_set || have == 0)
                        continue;
                int rc = kc_scale_set(s, i, have - n, scaled, err);
                if (rc < 0)
                        return rc;
                may_go -= n;
        }
        return 0;
}

static int scale_old(struct kc_dsync *s, bool *scaled, struct kc_error *err)
{
        const struct json_object *rs = s->sets[s->new_set];
        int64_t min_available = kc_replicas(s->d) - kc_max_unavailable(s->d);
        int64_t new_unavailable = kc_replicas(rs) - kc_status_int(rs, "availableReplicas");
        int64_t may_go = kc_sum_replicas(s, false) - min_available - new_unavailable;
        int rc;

        if (kc_sum_replicas(s, true) == 0 || may_go <= 0)
                return 0;
        rc = drop_unhealthy(s, may_go, scaled, err);
        return rc == 0 ? drop_old(s, scaled, err) : rc;
}

int kc_rollout_rolling(struct kc_dsync *s, struct kc_error *err)
{
        bool scaled = false;
        int rc = kc_sync_new_set(s, true, err);

        if (rc == 0)
                rc = scale_new(s, &scaled, err);
        if (rc == 0 && !scaled)
                rc = scale_old(s, &scaled, err);
        if (rc == 0 && !scaled && kc_deployment_complete(s->d, kc_json_get(s->d, "status")))
                rc = kc_cleanup_sets(s, err);
        return rc == 0 ? kc_write_deployment_status(s, true, err) : rc;
}

/* A pod of an old set that has not ended, or one that somebody forgot to count. */
static bool old_pods_running(struct kc_dsync *s)
{
        for (size_t i = 0; i < s->n; i++) {
                struct kc_objects pods = {0};
                bool running = false;
                if ((int)i == s->new_set)
                        continue;
                kc_informer_by_index(s->c->pods, "controller", kc_meta_uid(s->sets[i]), &pods);
                for (size_t j = 0; j < pods.n && !running; j++)
                        running = !kc_pod_is_terminal(kc_object_json(pods.v[j]));
                kc_objects_done(&pods);
                if (running || kc_status_int(s->sets[i], "replicas") > 0)
                        return true;
        }
        return false;
}

int kc_rollout_recreate(struct kc_dsync *s, struct kc_error *err)
{
        bool scaled = false;
        int rc = kc_sync_new_set(s, false, err);

        for (size_t i = 0; i < s->n && rc == 0; i++)
                if ((int)i != s->new_set && kc_is_active_set(s->sets[i]))
                        rc = kc_scale_set(s, i, 0, &scaled, err);
        if (rc == 0 && (scaled || old_pods_running(s)))
                return kc_write_deployment_status(s, true, err);
        if (rc == 0 && s->new_set < 0)
                rc = kc_sync_new_set(s, true, err);
        if (rc == 0)
                rc = kc_scale_set(s, (size_t)s->new_set, kc_replicas(s->d), &scaled, err);
        if (rc == 0 && kc_deployment_complete(s->d, kc_json_get(s->d, "status")))
                rc = kc_cleanup_sets(s, err);
        return rc == 0 ? kc_write_deployment_status(s, true, err) : rc;
}
