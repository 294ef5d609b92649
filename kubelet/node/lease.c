/* The node's heartbeat: a Lease in kube-node-lease, renewed every quarter of its duration. Thread: timer on the loop,
 * the call on the pool. */
#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"
#include "base/str.h"
#include "kubelet/node/node_internal.h"

#define LEASE_NAMESPACE "kube-node-lease"

static struct json_object *fresh(struct kc_node *n, const char *now, const char *node_uid)
{
        return kc_json_build(
            "{'kind':'Lease','apiVersion':'coordination.k8s.io/v1','metadata':{'name':%s,'namespace':%s,"
            "'ownerReferences':[{'apiVersion':'v1','kind':'Node','name':%s,'uid':%s}]},"
            "'spec':{'holderIdentity':%s,'leaseDurationSeconds':%d,'renewTime':%s}}",
            n->o.name, LEASE_NAMESPACE, n->o.name, node_uid, n->o.name, n->o.lease_seconds, now);
}

static int renew(struct kc_node *n, struct kc_error *err)
{
        char now[KC_TIME_LEN];
        kc_time_format_micro(kc_clock_now(n->o.clock), now);
        if (!n->lease) {
                int r = kc_rest_get(n->o.rest, &KC_LEASES, LEASE_NAMESPACE, n->o.name, &n->lease, err);
                if (r < 0 && !kc_error_is(err, KC_REASON_NOT_FOUND))
                        return r;
                if (r < 0) {
                        kc_error_done(err);
                        KC_CLEANUP(kc_object_unrefp) struct kc_object *node = kc_node_object(n);
                        if (!node || kc_str_empty(kc_object_uid(node)))
                                return 0; /* not registered yet */
                        KC_CLEANUP(kc_json_freep) struct json_object *lease = fresh(n, now, kc_object_uid(node));
                        return kc_rest_create(n->o.rest, &KC_LEASES, LEASE_NAMESPACE, lease, &n->lease, err);
                }
        }
        KC_CLEANUP(kc_json_freep) struct json_object *lease = KC_TAKE(n->lease);
        struct json_object *spec = kc_json_ensure_obj(lease, "spec");
        kc_json_set_str(spec, "holderIdentity", n->o.name);
        kc_json_set_int(spec, "leaseDurationSeconds", n->o.lease_seconds);
        kc_json_set_str(spec, "renewTime", now);
        return kc_rest_update(n->o.rest, &KC_LEASES, NULL, lease, &n->lease, err);
}

static void run(void *arg)
{
        struct kc_node *n = arg;
        struct kc_error err = KC_ERROR_INIT;
        enum { TRIES = 5 };
        int r = -1;
        /* A conflict is read anew at once; anything else waits for the next tick. */
        for (int i = 0; i < TRIES && r < 0; i++) {
                kc_error_done(&err);
                r = renew(n, &err);
                if (r < 0 && !kc_error_is(&err, KC_REASON_CONFLICT))
                        break;
        }
        if (r < 0)
                kc_log_error(&err, "Failed to update lease, retrying", "node", n->o.name);
        kc_error_done(&err);
        atomic_store(&n->renewing, false);
}

void kc_node_lease_tick(void *arg)
{
        struct kc_node *n = arg;
        if (atomic_load(&n->stopped) || !n->o.rest)
                return;
        if (!atomic_exchange(&n->renewing, true) && kc_pool_submit(n->o.pool, run, n) < 0)
                atomic_store(&n->renewing, false);
        KC_CLEANUP(kc_object_unrefp) struct kc_object *node = kc_node_object(n);
        bool registered = node && !kc_str_empty(kc_object_uid(node));
        int64_t every = n->o.lease_seconds * KC_SEC / 4;
        kc_timer_arm(n->lease_timer, registered ? kc_jitter(every, 0.04) : KC_SEC);
}
