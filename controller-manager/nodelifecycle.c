/* Node life cycle: nodes that are silent become Unknown; conditions become taints; pods of a node that is not ready are
 * not ready. Instead of looking at all nodes every few seconds, a node is looked at when it or its Lease changes and
 * when its grace period has passed. Handlers on the loop; sync on the pool. */
#include <pthread.h>
#include <string.h>

#include "base/log.h"
#include "base/map.h"
#include "base/str.h"
#include "controller-manager/nodezones.h"
#include "controller-manager/options.h"
#include "controller-manager/table.h"

enum { WORKERS = 8 };

#define NOT_READY "node.kubernetes.io/not-ready"
#define UNREACHABLE "node.kubernetes.io/unreachable"

/* When a node was heard of last, by this process's clock. */
struct sign {
        kc_mono at;
        char *ready_heartbeat, *lease_renewal;
        bool was_ready; /* as sync saw it last: pods are marked at the change */
};

struct nodelifecycle {
        struct kc_rest *rest;
        struct kc_informer *nodes, *leases, *pods;
        struct kc_controller *controller;
        struct kc_recorder *recorder;
        struct kc_zones *zones;
        int64_t grace, startup_grace;
        pthread_mutex_t lock;
        struct kc_map *signs; /* guarded by lock: node name -> struct sign * */
};

static void sign_free(void *p)
{
        struct sign *s = p;
        kc_free(s->ready_heartbeat);
        kc_free(s->lease_renewal);
        kc_free(s);
}

static struct sign *sign_get(struct nodelifecycle *c, const char *node)
{
        struct sign *s = kc_map_get(c->signs, node);
        if (!s) {
                s = KC_NEW(struct sign);
                s->at = kc_clock_mono(NULL);
                kc_map_set(c->signs, node, s);
        }
        return s;
}

static const struct json_object *ready_condition(const struct json_object *node)
{
        return kc_condition_get(kc_json_get(node, "status"), "Ready");
}

static void heard(struct nodelifecycle *c, const char *node, const char *heartbeat, const char *renewal)
{
        pthread_mutex_lock(&c->lock);
        struct sign *s = sign_get(c, node);
        if ((heartbeat && !kc_streq(heartbeat, s->ready_heartbeat)) ||
            (renewal && !kc_streq(renewal, s->lease_renewal)))
                s->at = kc_clock_mono(NULL);
        if (heartbeat)
                kc_str_set(&s->ready_heartbeat, heartbeat);
        if (renewal)
                kc_str_set(&s->lease_renewal, renewal);
        pthread_mutex_unlock(&c->lock);
}

static void enqueue(struct nodelifecycle *c, const char *node)
{
        kc_workqueue_add(kc_controller_queue(c->controller), node);
}

static void note_node(struct nodelifecycle *c, const struct kc_object *o)
{
        const struct json_object *node = kc_object_json(o), *ready = ready_condition(node);
        KC_CLEANUP(kc_freep) char *zone = kc_zone_of(node);

        heard(c, kc_object_name(o), kc_json_str(ready, "lastHeartbeatTime"), NULL);
        kc_zones_set(c->zones, kc_object_name(o), zone, kc_streq(kc_json_str(ready, "status"), "True"));
}

static void on_node_add(struct kc_object *o, bool initial, void *arg)
{
        struct nodelifecycle *c = arg;

        /* A sign of a former node of that name, or of a Lease that came earlier, says nothing about this one. */
        pthread_mutex_lock(&c->lock);
        sign_get(c, kc_object_name(o))->at = kc_clock_mono(NULL);
        pthread_mutex_unlock(&c->lock);
        note_node(c, o);
        enqueue(c, kc_object_name(o));
        if (!initial)
                kc_recorder_event(c->recorder, &KC_NODES, kc_object_json(o), "Normal", "RegisteredNode",
                    "Node %s event: Registered Node %s in Controller", kc_object_name(o), kc_object_name(o));
}

/* A heartbeat alone changes nothing that sync looks at. */
static void on_node_update(struct kc_object *old_obj, struct kc_object *o, void *arg)
{
        const struct json_object *old = kc_object_json(old_obj), *node = kc_object_json(o);
        static const char *const types[] = {
            "Ready", "MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable"};
        bool changed = !kc_json_equal(kc_json_get(old, "spec"), kc_json_get(node, "spec"));

        note_node(arg, o);
        for (size_t i = 0; i < KC_ARRAY_LEN(types) && !changed; i++)
                changed = !kc_streq(kc_json_str(kc_condition_get(kc_json_get(old, "status"), types[i]), "status"),
                    kc_json_str(kc_condition_get(kc_json_get(node, "status"), types[i]), "status"));
        if (changed)
                enqueue(arg, kc_object_name(o));
}

static void on_node_delete(struct kc_object *o, void *arg)
{
        struct nodelifecycle *c = arg;

        kc_zones_set(c->zones, kc_object_name(o), NULL, false);
        pthread_mutex_lock(&c->lock);
        (void)kc_map_remove(c->signs, kc_object_name(o)); /* may be unknown */
        pthread_mutex_unlock(&c->lock);
        kc_recorder_event(c->recorder, &KC_NODES, kc_object_json(o), "Normal", "RemovingNode",
            "Node %s event: Removing Node %s from Controller", kc_object_name(o), kc_object_name(o));
}

static void note_lease(struct nodelifecycle *c, const struct kc_object *o)
{
        heard(c, kc_object_name(o), NULL, kc_json_str_at(kc_object_json(o), "spec.renewTime"));
}

static void on_lease_add(struct kc_object *o, bool initial, void *arg)
{
        (void)initial;
        note_lease(arg, o);
}

static void on_lease_update(struct kc_object *old, struct kc_object *o, void *arg)
{
        (void)old;
        note_lease(arg, o);
}

/* --- Silence */

static int64_t silence(struct nodelifecycle *c, const char *node)
{
        pthread_mutex_lock(&c->lock);
        int64_t r = kc_clock_mono(NULL) - sign_get(c, node)->at;
        pthread_mutex_unlock(&c->lock);
        return r;
}

static bool all_unknown(const struct json_object *node)
{
        static const char *const types[] = {"Ready", "MemoryPressure", "DiskPressure", "PIDPressure"};
        for (size_t i = 0; i < KC_ARRAY_LEN(types); i++)
                if (!kc_streq(
                        kc_json_str(kc_condition_get(kc_json_get(node, "status"), types[i]), "status"), "Unknown"))
                        return false;
        return true;
}

static int mark_unknown(struct nodelifecycle *c, struct json_object **tree, struct kc_error *err)
{
        static const char *const types[] = {"Ready", "MemoryPressure", "DiskPressure", "PIDPressure"};
        struct json_object *status = kc_json_ensure_obj(*tree, "status"), *fresh = NULL;

        for (size_t i = 0; i < KC_ARRAY_LEN(types); i++) {
                const struct json_object *have = kc_condition_get(status, types[i]);
                bool ever = kc_json_str(have, "lastHeartbeatTime") != NULL;
                if (kc_streq(kc_json_str(have, "status"), "Unknown"))
                        continue;
                (void)kc_condition_set(status, types[i], "Unknown",
                    ever ? "NodeStatusUnknown" : "NodeStatusNeverUpdated",
                    ever ? "Kubelet stopped posting node status." : "Kubelet never posted node status.",
                    kc_clock_now(NULL)); /* it changes: the status was another */
        }
        int rc = kc_rest_update(c->rest, &KC_NODES, "status", *tree, &fresh, err);
        if (rc < 0)
                return rc;
        kc_json_free(*tree);
        *tree = fresh;
        return 0;
}

/* --- Taints */

static void want_taint(struct json_object *list, const char *key, const char *effect)
{
        kc_json_push(list, kc_json_build("{'key':%s,'effect':%s}", key, effect));
}

static const char *condition_status(const struct json_object *node, const char *type)
{
        return kc_json_str(kc_condition_get(kc_json_get(node, "status"), type), "status");
}

/* The taints that the node's conditions call for. NoExecute ones only with evict. */
static struct json_object *wanted_taints(const struct json_object *node, bool evict)
{
        static const struct {
                const char *type, *key;
        } pressures[] = {{"MemoryPressure", "node.kubernetes.io/memory-pressure"},
            {"DiskPressure", "node.kubernetes.io/disk-pressure"}, {"PIDPressure", "node.kubernetes.io/pid-pressure"},
            {"NetworkUnavailable", "node.kubernetes.io/network-unavailable"}};
        struct json_object *list = json_object_new_array();
        const char *ready = condition_status(node, "Ready");
        const char *key = kc_streq(ready, "True") ? NULL : kc_streq(ready, "False") ? NOT_READY : UNREACHABLE;

        /* A node that has not reported yet keeps what it was admitted with. */
        if (!ready)
                key = NOT_READY;
        if (key)
                want_taint(list, key, "NoSchedule");
        if (key && ready && evict)
                want_taint(list, key, "NoExecute");
        for (size_t i = 0; i < KC_ARRAY_LEN(pressures); i++)
                if (kc_streq(condition_status(node, pressures[i].type), "True"))
                        want_taint(list, pressures[i].key, "NoSchedule");
        if (kc_json_bool_at(node, "spec.unschedulable", false))
                want_taint(list, "node.kubernetes.io/unschedulable", "NoSchedule");
        return list;
}

static bool is_managed(const struct json_object *taint)
{
        static const char *const keys[] = {NOT_READY, UNREACHABLE, "node.kubernetes.io/memory-pressure",
            "node.kubernetes.io/disk-pressure", "node.kubernetes.io/pid-pressure",
            "node.kubernetes.io/network-unavailable", "node.kubernetes.io/unschedulable"};
        const char *key = kc_json_str(taint, "key");

        if (!kc_streq(kc_json_str(taint, "effect"), "NoSchedule") &&
            !kc_streq(kc_json_str(taint, "effect"), "NoExecute"))
                return false;
        for (size_t i = 0; i < KC_ARRAY_LEN(keys); i++)
                if (kc_streq(keys[i], key))
                        return true;
        return false;
}

static const struct json_object *find_taint(const struct json_object *list, const char *key, const char *effect)
{
        for (size_t i = 0; i < kc_json_len(list); i++) {
                const struct json_object *t = kc_json_idx(list, i);
                if (kc_streq(kc_json_str(t, "key"), key) && kc_streq(kc_json_str(t, "effect"), effect))
                        return t;
        }
        return NULL;
}

static bool has_no_execute(const struct json_object *list, const char *key)
{
        return find_taint(list, key, "NoExecute") != NULL;
}

/* Others' taints stay; ours become the wanted ones, those that are there already with their timeAdded. */
static int write_taints(
    struct nodelifecycle *c, const struct json_object *node, const struct json_object *wanted, struct kc_error *err)
{
        const struct json_object *have = kc_json_at(node, "spec.taints");
        struct json_object *next = json_object_new_array();
        char now[KC_TIME_LEN];

        for (size_t i = 0; i < kc_json_len(have); i++) {
                const struct json_object *t = kc_json_idx(have, i);
                if (!is_managed(t) || find_taint(wanted, kc_json_str(t, "key"), kc_json_str(t, "effect")))
                        kc_json_push(next, kc_json_copy(t));
        }
        for (size_t i = 0; i < kc_json_len(wanted); i++) {
                const struct json_object *w = kc_json_idx(wanted, i);
                if (find_taint(have, kc_json_str(w, "key"), kc_json_str(w, "effect")))
                        continue;
                struct json_object *t = kc_json_copy(w);
                kc_json_set_str(t, "timeAdded", kc_time_format(kc_clock_now(NULL), now));
                kc_json_push(next, t);
        }
        if (kc_json_equal(have, next) || (!have && kc_json_len(next) == 0)) {
                kc_json_free(next);
                return 0;
        }
        KC_CLEANUP(kc_json_freep)
        struct json_object *patch = kc_json_build("{'metadata':{'resourceVersion':%s},'spec':{'taints':%o}}",
            kc_meta_resource_version(node), kc_json_len(next) ? next : NULL);
        if (kc_json_len(next) == 0)
                kc_json_free(next);
        return kc_rest_patch(c->rest, &KC_NODES, NULL, kc_meta_name(node), NULL, KC_PATCH_MERGE, patch, NULL, err);
}

/* Whether the eviction taint may be there now. Taking it away is always allowed; setting it is rate-limited by zone. */
static bool may_evict(struct nodelifecycle *c, const struct json_object *node, int64_t *ret_wait)
{
        const struct json_object *have = kc_json_at(node, "spec.taints");
        const char *ready = condition_status(node, "Ready");
        const char *key = kc_streq(ready, "False") ? NOT_READY : UNREACHABLE;

        if (!ready || kc_streq(ready, "True") || kc_zones_all_down(c->zones))
                return false;
        /* Only the kind of trouble has changed: no new eviction. */
        if (has_no_execute(have, key) || has_no_execute(have, NOT_READY) || has_no_execute(have, UNREACHABLE))
                return true;
        KC_CLEANUP(kc_freep) char *zone = kc_zone_of(node);
        *ret_wait = kc_zones_take(c->zones, zone);
        return *ret_wait == 0;
}

/* --- Pods of a node that has become not ready */

static int mark_pods_not_ready(struct nodelifecycle *c, const char *node, struct kc_error *err)
{
        struct kc_objects pods = {0};
        int rc = 0;

        kc_informer_by_index(c->pods, "node", node, &pods);
        for (size_t i = 0; i < pods.n; i++) {
                if (!kc_pod_is_ready(kc_object_json(pods.v[i])))
                        continue;
                KC_CLEANUP(kc_json_freep) struct json_object *pod = kc_object_copy_json(pods.v[i]);
                struct kc_error one = KC_ERROR_INIT;
                (void)kc_condition_set(kc_json_get_mut(pod, "status"), "Ready", "False", NULL, NULL,
                    kc_clock_now(NULL)); /* it changes: the pod is ready */
                int r = kc_rest_update(c->rest, &KC_PODS, "status", pod, NULL, &one);
                if (r == 0)
                        kc_recorder_event(c->recorder, &KC_PODS, pod, "Warning", "NodeNotReady", "Node is not ready");
                else if (!kc_error_is(&one, KC_REASON_NOT_FOUND)) {
                        rc = r;
                        kc_error_move(err, &one);
                }
                kc_error_done(&one);
        }
        kc_objects_done(&pods);
        return rc;
}

static bool was_ready(struct nodelifecycle *c, const char *name)
{
        pthread_mutex_lock(&c->lock);
        bool r = sign_get(c, name)->was_ready;
        pthread_mutex_unlock(&c->lock);
        return r;
}

static void set_was_ready(struct nodelifecycle *c, const char *name, bool ready)
{
        pthread_mutex_lock(&c->lock);
        sign_get(c, name)->was_ready = ready;
        pthread_mutex_unlock(&c->lock);
}

static int sync_node(void *arg, const char *key, struct kc_error *err)
{
        struct nodelifecycle *c = arg;
        KC_CLEANUP(kc_object_unrefp) struct kc_object *obj = kc_informer_lookup_key(c->nodes, key);
        KC_CLEANUP(kc_json_freep) struct json_object *node = NULL;
        int64_t quiet, grace, wait = 0;
        int rc = 0;

        if (!obj)
                return 0;
        node = kc_object_copy_json(obj);
        quiet = silence(c, key);
        grace = ready_condition(node) ? c->grace : c->startup_grace;
        if (quiet > grace && !all_unknown(node))
                rc = mark_unknown(c, &node, err);
        if (rc < 0)
                return rc;
        bool ready = kc_streq(condition_status(node, "Ready"), "True");
        KC_CLEANUP(kc_json_freep) struct json_object *wanted = wanted_taints(node, may_evict(c, node, &wait));
        rc = write_taints(c, node, wanted, err);
        if (rc == 0 && !ready && was_ready(c, key)) {
                kc_recorder_event(
                    c->recorder, &KC_NODES, node, "Normal", "NodeNotReady", "Node %s status is now: NodeNotReady", key);
                rc = mark_pods_not_ready(c, key, err);
        }
        if (rc < 0)
                return rc;
        set_was_ready(c, key, ready); /* not earlier: pods that could not be marked are tried again */
        /* Look again when the grace period would be over, or when the zone allows the next eviction. */
        int64_t next = quiet > grace ? grace : grace - quiet + KC_SEC / 10;
        kc_workqueue_add_after(kc_controller_queue(c->controller), key, wait ? KC_MIN(wait, next) : next);
        return 0;
}

static int init(const struct kc_cm_context *cm, void **ret, struct kc_error *err)
{
        struct nodelifecycle *c = KC_NEW(struct nodelifecycle);
        const struct kc_cm_options *o = cm->options;

        (void)err;
        pthread_mutex_init(&c->lock, NULL);
        c->signs = kc_map_new(sign_free);
        c->rest = cm->rest;
        c->grace = o->node_monitor_grace_period;
        c->startup_grace = o->node_startup_grace_period;
        c->zones = kc_zones_new(&(struct kc_zones_opts){.rate = o->node_eviction_rate,
            .secondary_rate = o->secondary_node_eviction_rate,
            .unhealthy_threshold = o->unhealthy_zone_threshold,
            .large_cluster = o->large_cluster_size_threshold});
        c->recorder = kc_recorder_new(cm->rest, cm->pool, "node-controller", NULL);
        c->controller = kc_controller_new(cm->loop, cm->pool, "node-lifecycle-controller", WORKERS, sync_node, c);
        c->nodes = kc_informers_get(cm->informers, &KC_NODES);
        c->pods = kc_informers_get(cm->informers, &KC_PODS);
        c->leases = kc_informers_get_filtered(cm->informers, &KC_LEASES, "kube-node-lease", NULL, NULL);
        kc_informer_add_index(c->pods, "node", kc_index_by_node_name);
        kc_informer_add_handler(
            c->nodes, &(struct kc_informer_handler){on_node_add, on_node_update, on_node_delete}, c);
        kc_informer_add_handler(c->leases, &(struct kc_informer_handler){on_lease_add, on_lease_update, NULL}, c);
        *ret = c;
        return 0;
}

static void start(void *state)
{
        kc_controller_start(((struct nodelifecycle *)state)->controller);
}

static void free_state(void *state)
{
        struct nodelifecycle *c = state;
        kc_controller_free(c->controller);
        kc_recorder_free(c->recorder);
        kc_zones_free(c->zones);
        kc_map_free(c->signs);
        pthread_mutex_destroy(&c->lock);
        kc_free(c);
}

const struct kc_controller_def kc_nodelifecycle_controller = {
    .name = "node-lifecycle-controller", .init = init, .start = start, .free = free_state};
