/* The node's tick: look at the runtime, register, report, write the CNI configuration. Thread: timer on the loop, the
 * tick on the pool, one at a time. */
#include "kubelet/node/node_internal.h"

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"
#include "base/str.h"

#define FIRST_TICKS_USEC (200 * KC_MSEC) /* until the node was ready once */
#define NOT_READY_USEC (1 * KC_SEC)
#define RETRY_MAX_USEC (7 * KC_SEC)
#define SETTLE_USEC (5 * KC_SEC)

void kc_runtime_look_done(struct kc_runtime_look *l)
{
        kc_free(l->why);
        kc_free(l->network_why);
        kc_free(l->name);
        kc_free(l->version);
        *l = (struct kc_runtime_look){0};
}

static char *condition_text(const Runtime__V1__RuntimeCondition *c)
{
        return kc_asprintf("%s=%s reason:%s message:%s", c->type, c->status ? "true" : "false", c->reason, c->message);
}

/* Asks the runtime how it is. */
static struct kc_runtime_look look_at_runtime(struct kc_node *n)
{
        struct kc_runtime_look l = {0};
        struct kc_error err = KC_ERROR_INIT;
        KC_CLEANUP(kc_cri_free_msgp) Runtime__V1__VersionResponse *version = NULL;
        KC_CLEANUP(kc_cri_free_msgp) Runtime__V1__StatusResponse *status = NULL;
        int r = kc_cri_version(n->o.cri, &version, &err);
        if (r == 0) {
                l.name = kc_strdup(version->runtime_name);
                l.version = kc_strdup(version->runtime_version);
                r = kc_cri_status(n->o.cri, &status, &err);
        }
        if (r < 0 || !status->status) {
                l.why = kc_asprintf("container runtime is down: %s", kc_error_message(&err));
                l.network_why = kc_strdup("container runtime is down");
                kc_error_done(&err);
                return l;
        }
        l.up = l.network_ready = true;
        for (size_t i = 0; i < status->status->n_conditions; i++) {
                const Runtime__V1__RuntimeCondition *c = status->status->conditions[i];
                if (c->status)
                        continue;
                KC_CLEANUP(kc_freep) char *text = condition_text(c);
                if (kc_streq(c->type, "RuntimeReady")) {
                        l.up = false;
                        l.why = kc_asprintf("container runtime not ready: %s", text);
                } else if (kc_streq(c->type, "NetworkReady")) {
                        l.network_ready = false;
                        l.network_why = kc_asprintf("container runtime network not ready: %s", text);
                }
        }
        return l;
}

/* All reasons against being ready, as upstream aggregates errors; NULL: none. */
static char *not_ready_reason(const struct kc_runtime_look *l, const char *own)
{
        KC_CLEANUP(kc_strv_freep) char **why = NULL;
        if (l->why)
                kc_strv_push(&why, l->why);
        if (l->network_why && l->up)
                kc_strv_push(&why, l->network_why);
        if (own)
                kc_strv_push(&why, own);
        if (kc_strv_len(why) <= 1)
                return why ? kc_strdup(why[0]) : NULL;
        KC_CLEANUP(kc_freep) char *joined = kc_strv_join(why, ", ");
        return kc_asprintf("[%s]", joined);
}

static void set_local(struct kc_node *n, struct kc_object *take_node)
{
        pthread_mutex_lock(&n->mutex);
        struct kc_object *old = n->local;
        n->local = take_node;
        pthread_mutex_unlock(&n->mutex);
        kc_object_unref(old);
}

/* --- Registration */

/* Labels that a node must have for its present configuration, on a Node that was there before. */
static int reconcile(
    struct kc_node *n, struct json_object *there, const struct json_object *wanted, struct kc_error *err)
{
        bool changed = false;
        KC_JSON_FOREACH(kc_meta_labels(wanted), key, value)
        {
                if (kc_streq(kc_meta_label(there, key), kc_json_as_str(value)))
                        continue;
                kc_meta_set_label(there, key, kc_json_as_str(value));
                changed = true;
        }
        KC_JSON_FOREACH(kc_json_at(wanted, "metadata.annotations"), key2, value2)
        {
                if (kc_meta_annotation(there, key2))
                        continue;
                kc_meta_set_annotation(there, key2, kc_json_as_str(value2));
                changed = true;
        }
        return changed ? kc_rest_update(n->o.rest, &KC_NODES, NULL, there, NULL, err) : 0;
}

static int register_node(struct kc_node *n, const struct json_object *status, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *node = kc_node_initial(n);
        kc_json_set(node, "status", kc_json_copy(status));
        struct json_object *made = NULL;
        kc_log_v(2, "Attempting to register node", "node", n->o.name);
        int r = kc_rest_create(n->o.rest, &KC_NODES, NULL, node, &made, err);
        if (r == 0) {
                kc_log_info("Successfully registered node", "node", n->o.name);
                set_local(n, kc_object_new(made));
                n->registered = true;
                return 0;
        }
        if (!kc_error_is(err, KC_REASON_ALREADY_EXISTS))
                return r;
        kc_error_done(err);
        KC_CLEANUP(kc_json_freep) struct json_object *there = NULL;
        r = kc_rest_get(n->o.rest, &KC_NODES, NULL, n->o.name, &there, err);
        if (r == 0)
                r = reconcile(n, there, node, err);
        if (r < 0)
                return r;
        kc_log_info("Node was previously registered", "node", n->o.name);
        n->registered = true;
        return 0;
}

/* --- Reporting */

static void event_transition(struct kc_node *n, const struct json_object *old, const struct json_object *status)
{
        static const struct {
                const char *type, *good, *bad;
                bool good_is_true;
        } events[] = {{"Ready", "NodeReady", "NodeNotReady", true},
            {"MemoryPressure", "NodeHasSufficientMemory", "NodeHasInsufficientMemory", false},
            {"DiskPressure", "NodeHasNoDiskPressure", "NodeHasDiskPressure", false},
            {"PIDPressure", "NodeHasSufficientPID", "NodeHasInsufficientPID", false}};
        for (size_t i = 0; i < KC_ARRAY_LEN(events); i++) {
                bool now = kc_condition_is_true(status, events[i].type);
                const struct json_object *was = kc_condition_get(old, events[i].type);
                if (was && kc_streq(kc_json_str(was, "status"), now ? "True" : "False"))
                        continue;
                const char *reason = now == events[i].good_is_true ? events[i].good : events[i].bad;
                kc_kubelet_event_node(
                    n->o.events, KC_EVENT_NORMAL, reason, "Node %s status is now: %s", n->o.name, reason);
        }
}

/* The Node as the API has it; NULL: it is not there. */
static int current_node(struct kc_node *n, struct kc_object **ret, struct kc_error *err)
{
        *ret = kc_informer_lookup(n->o.nodes, "", n->o.name);
        if (*ret)
                return 0;
        struct json_object *tree = NULL;
        int r = kc_rest_get(n->o.rest, &KC_NODES, NULL, n->o.name, &tree, err);
        if (r < 0)
                return r;
        *ret = kc_object_new(tree);
        return 0;
}

static int report(struct kc_node *n, const struct kc_runtime_look *look, const struct kc_pressure *pressure,
    const char *not_ready, struct kc_error *err)
{
        KC_CLEANUP(kc_object_unrefp) struct kc_object *node = NULL;
        int r = current_node(n, &node, err);
        if (r < 0) {
                if (kc_error_is(err, KC_REASON_NOT_FOUND))
                        n->registered = false; /* deleted: register again */
                return r;
        }
        kc_time now = kc_clock_now(n->o.clock);
        const struct json_object *old = kc_json_get(kc_object_json(node), "status");
        KC_CLEANUP(kc_json_freep)
        struct json_object *status = kc_node_status_make(n, old, look, n->o.ips, pressure, not_ready, now);
        bool due = now - n->reported_at >= n->o.report_usec;
        if (!due && !kc_node_status_changed(old, status)) {
                set_local(n, kc_object_ref(node));
                return 0;
        }
        event_transition(n, old, status);
        KC_CLEANUP(kc_json_freep) struct json_object *patch = kc_node_status_patch(old, status);
        struct json_object *updated = NULL;
        r = kc_rest_patch(n->o.rest, &KC_NODES, NULL, n->o.name, "status", KC_PATCH_STRATEGIC, patch, &updated, err);
        if (r < 0)
                return r;
        n->reported_at = now;
        set_local(n, kc_object_new(updated));
        return 0;
}

static int write_cni(struct kc_node *n, struct kc_error *err)
{
        if (kc_str_empty(n->o.cni_conf_dir))
                return 0;
        KC_CLEANUP(kc_object_unrefp) struct kc_object *node = kc_node_object(n);
        const struct json_object *spec = node ? kc_json_get(kc_object_json(node), "spec") : NULL;
        const struct json_object *cidrs = kc_json_get(spec, "podCIDRs");
        KC_CLEANUP(kc_strv_freep) char **v = NULL;
        for (size_t i = 0; i < kc_json_len(cidrs); i++)
                kc_strv_push(&v, kc_json_as_str(kc_json_idx(cidrs, i)));
        if (!v && !kc_str_empty(kc_json_str(spec, "podCIDR")))
                kc_strv_push(&v, kc_json_str(spec, "podCIDR"));
        KC_CLEANUP(kc_freep) char *ipam_dir = kc_path_join(n->o.root_dir, "cni");
        return v ? kc_cni_config_write(n->o.cni_conf_dir, ipam_dir, v, err) : 0;
}

/* Without an API server the node is only known to us. */
static void report_standalone(
    struct kc_node *n, const struct kc_runtime_look *look, const struct kc_pressure *pressure, const char *not_ready)
{
        KC_CLEANUP(kc_object_unrefp) struct kc_object *before = kc_node_object(n);
        const struct json_object *old = before ? kc_json_get(kc_object_json(before), "status") : NULL;
        struct json_object *node = kc_node_initial(n);
        kc_json_set(
            node, "status", kc_node_status_make(n, old, look, n->o.ips, pressure, not_ready, kc_clock_now(n->o.clock)));
        set_local(n, kc_object_new(node));
}

static int report_to_api(struct kc_node *n, const struct kc_runtime_look *look, const struct kc_pressure *pressure,
    const char *not_ready, struct kc_error *err)
{
        if (!n->registered && n->o.register_node) {
                KC_CLEANUP(kc_json_freep)
                struct json_object *status =
                    kc_node_status_make(n, NULL, look, n->o.ips, pressure, not_ready, kc_clock_now(n->o.clock));
                int r = register_node(n, status, err);
                if (r < 0)
                        return kc_error_wrap(err, "unable to register node with API server");
        }
        if (!n->started_event) {
                n->started_event = true;
                kc_kubelet_event_node(n->o.events, KC_EVENT_NORMAL, "Starting", "Starting kubelet.");
        }
        int r = report(n, look, pressure, not_ready, err);
        return r < 0 ? kc_error_wrap(err, "error updating node status") : 0;
}

static void rearm(void *arg)
{
        struct kc_node *n = arg;
        if (atomic_load(&n->stopped))
                return;
        KC_CLEANUP(kc_object_unrefp) struct kc_object *node = kc_node_object(n);
        bool ready = node && kc_condition_is_true(kc_json_get(kc_object_json(node), "status"), "Ready");
        n->ready_once |= ready;
        if (n->failures > 0) {
                kc_timer_arm(n->timer, KC_MIN(FIRST_TICKS_USEC << KC_MIN(n->failures, 8), RETRY_MAX_USEC));
                return;
        }
        kc_timer_arm(n->timer, ready           ? kc_jitter(n->o.update_usec, 0.04)
                               : n->ready_once ? NOT_READY_USEC
                                               : FIRST_TICKS_USEC);
}

static int report_anywhere(struct kc_node *n, const struct kc_runtime_look *look, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *own = n->o.not_ready ? n->o.not_ready(n->o.arg) : NULL;
        KC_CLEANUP(kc_freep) char *not_ready = not_ready_reason(look, own);
        struct kc_pressure pressure = kc_machine_pressure(n->o.root_dir, n->o.eviction_hard);
        /* A kubelet that has just started gets a moment before it calls a node that was ready NotReady. */
        if (own && !n->reported_at && kc_clock_mono(n->o.clock) - n->started_at < SETTLE_USEC)
                return 0;
        if (n->o.rest)
                return report_to_api(n, look, &pressure, not_ready, err);
        report_standalone(n, look, &pressure, not_ready);
        return 0;
}

static void tick(void *arg)
{
        struct kc_node *n = arg;
        struct kc_runtime_look look = look_at_runtime(n);
        struct kc_error err = KC_ERROR_INIT;
        int r = report_anywhere(n, &look, &err);
        if (r == 0)
                r = write_cni(n, &err);
        n->failures = r < 0 ? n->failures + 1 : 0;
        if (r < 0)
                kc_log_error(&err, "Unable to report the node, retrying", "node", n->o.name);
        kc_error_done(&err);
        pthread_mutex_lock(&n->mutex);
        /* The name never changes once it is known: readers borrow it. */
        if (n->look.name) {
                kc_free(look.name);
                look.name = KC_TAKE(n->look.name);
        }
        kc_runtime_look_done(&n->look);
        n->look = look;
        pthread_mutex_unlock(&n->mutex);
        atomic_store(&n->ticking, false);
        kc_loop_post(n->o.loop, rearm, n);
}

static void on_timer(void *arg)
{
        struct kc_node *n = arg;
        if (atomic_load(&n->stopped) || atomic_exchange(&n->ticking, true))
                return;
        if (kc_pool_submit(n->o.pool, tick, n) < 0) {
                atomic_store(&n->ticking, false);
                kc_timer_arm(n->timer, NOT_READY_USEC);
        }
}

/* --- Life and questions */

static void on_node_update(struct kc_object *old, struct kc_object *obj, void *arg)
{
        struct kc_node *n = arg;
        const struct json_object *a = kc_object_json(old), *b = kc_object_json(obj);
        /* A pod CIDR has been given, or somebody else has written our status. */
        if (!kc_json_equal(kc_json_get(a, "spec"), kc_json_get(b, "spec")))
                kc_timer_arm(n->timer, 0);
}

int kc_node_new(const struct kc_node_opts *o, struct kc_node **ret, struct kc_error *err)
{
        static const struct kc_informer_handler handler = {.on_update = on_node_update};
        (void)err;
        struct kc_node *n = KC_NEW(struct kc_node);
        n->o = *o;
        pthread_mutex_init(&n->mutex, NULL);
        n->timer = kc_timer_new(o->loop, on_timer, n);
        n->lease_timer = kc_timer_new(o->loop, kc_node_lease_tick, n);
        if (o->nodes)
                kc_informer_add_handler(o->nodes, &handler, n);
        *ret = n;
        return 0;
}

void kc_node_free(struct kc_node *n)
{
        if (!n)
                return;
        kc_timer_free(n->timer);
        kc_timer_free(n->lease_timer);
        kc_json_free(n->lease);
        kc_json_free(n->images);
        kc_runtime_look_done(&n->look);
        kc_object_unref(n->local);
        pthread_mutex_destroy(&n->mutex);
        kc_free(n);
}

void kc_node_start(struct kc_node *n)
{
        n->started_at = kc_clock_mono(n->o.clock);
        on_timer(n);
        kc_node_lease_tick(n);
}

void kc_node_stop(struct kc_node *n)
{
        atomic_store(&n->stopped, true);
        kc_timer_disarm(n->timer);
        kc_timer_disarm(n->lease_timer);
}

struct kc_object *kc_node_object(struct kc_node *n)
{
        pthread_mutex_lock(&n->mutex);
        struct kc_object *o = n->local ? kc_object_ref(n->local) : NULL;
        pthread_mutex_unlock(&n->mutex);
        return o;
}

bool kc_node_network_ready(struct kc_node *n, char **ret_why)
{
        pthread_mutex_lock(&n->mutex);
        bool ready = n->look.network_ready;
        if (!ready)
                *ret_why = kc_strdup(n->look.network_why ?: "container runtime status was not looked at yet");
        pthread_mutex_unlock(&n->mutex);
        return ready;
}

const char *kc_node_runtime_name(struct kc_node *n)
{
        pthread_mutex_lock(&n->mutex);
        const char *name = n->look.name;
        pthread_mutex_unlock(&n->mutex);
        return name;
}
