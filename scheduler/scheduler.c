/* Loop thread, but for bind_pod and report_failure, which run on the pool and post their result. */
#include "scheduler/scheduler.h"

#include "base/log.h"
#include "base/str.h"
#include "daemon/metrics.h"
#include "scheduler/preempt_apply.h"
#include "scheduler/queue.h"

enum { DECISIONS_AT_A_TIME = 32 }; /* before other events of the loop get their turn */

struct kc_scheduler {
        struct kc_scheduler_opts opts;
        char *profile;
        struct kc_informer *pods, *nodes, *budgets; /* budgets: PodDisruptionBudgets */
        struct kc_cluster cluster;
        struct kc_sched_queue *queue;
        struct kc_recorder *recorder;
        struct kc_timer *timer;
        size_t next_row;
        bool started, posted;
        struct kc_map *preempting; /* keys of pods whose preemption is being carried out */
        struct kc_metric *attempts, *attempt_seconds, *e2e, *pending, *preemptions, *victims;
};

/* A decision on its way to the API server. */
struct binding {
        struct kc_scheduler *s;
        struct kc_object *pod;
        char *key, *node, *message; /* message: why it failed, for the condition */
        struct kc_preemption preemption;
        int attempts;
        kc_mono added, started;
        bool ok;
};

static void run(void *arg);

static void wake_up(struct kc_scheduler *s)
{
        if (!s->started || s->posted)
                return;
        s->posted = true;
        kc_loop_post(s->opts.loop, run, s);
}

static void on_timer(void *arg)
{
        wake_up(arg);
}

/* --- Events */

static bool is_ours(const struct kc_scheduler *s, const struct json_object *pod)
{
        return kc_streq(kc_json_str_at(pod, "spec.schedulerName"), s->profile) && !kc_meta_deleting(pod) &&
               !kc_pod_is_terminal(pod) && kc_json_len(kc_json_at(pod, "spec.schedulingGates")) == 0;
}

static bool is_assigned(const struct json_object *pod)
{
        return !kc_str_empty(kc_json_str_at(pod, "spec.nodeName"));
}

static void pod_gone(struct kc_scheduler *s, const char *key)
{
        bool nominated = kc_nominator_remove(&s->cluster.nominated, key);
        kc_sched_queue_remove(s->queue, key);
        if (kc_cluster_remove_pod(&s->cluster, key) || nominated) {
                kc_sched_queue_wake(s->queue, KC_EVENT_POD_GONE);
                wake_up(s);
        }
}

/* A nomination that we decided is older than what the informer shows unless it shows a change. */
static void update_nomination(struct kc_scheduler *s, const struct kc_object *old, struct kc_object *o, const char *key)
{
        const char *was = old ? kc_json_str_at(kc_object_json(old), "status.nominatedNodeName") : NULL;
        const char *is = kc_json_str_at(kc_object_json(o), "status.nominatedNodeName");

        if (kc_str_empty(was) && kc_str_empty(is))
                is = kc_nominator_node(&s->cluster.nominated, key);
        KC_CLEANUP(kc_freep) char *node = kc_strdup(is ? is : "");
        kc_nominator_set(&s->cluster.nominated, o, node);
}

static void on_pod(struct kc_scheduler *s, const struct kc_object *old, struct kc_object *o)
{
        const struct json_object *pod = kc_object_json(o);
        KC_CLEANUP(kc_freep) char *key = kc_meta_key(pod);

        if (is_assigned(pod)) {
                kc_sched_queue_remove(s->queue, key);
                (void)kc_nominator_remove(&s->cluster.nominated, key); /* it need not be there */
                if (kc_pod_is_terminal(pod))
                        pod_gone(s, key);
                else
                        kc_cluster_set_pod(&s->cluster, o);
                return;
        }
        /* What the informer shows is older than our own decision. */
        if (kc_cluster_is_assumed(&s->cluster, key))
                return;
        if (!is_ours(s, pod)) {
                pod_gone(s, key);
                return;
        }
        update_nomination(s, old, o, key);
        kc_sched_queue_set(s->queue, kc_pod_info_new(o));
        wake_up(s);
}

static void on_pod_add(struct kc_object *o, bool initial, void *arg)
{
        (void)initial;
        on_pod(arg, NULL, o);
}

static void on_pod_update(struct kc_object *old, struct kc_object *o, void *arg)
{
        /* Deleted and made again under the same name while we were not looking. */
        if (!kc_streq(kc_object_uid(old), kc_object_uid(o))) {
                KC_CLEANUP(kc_freep) char *key = kc_meta_key(kc_object_json(old));
                pod_gone(arg, key);
                old = NULL;
        }
        on_pod(arg, old, o);
}

static void on_pod_delete(struct kc_object *o, void *arg)
{
        KC_CLEANUP(kc_freep) char *key = kc_meta_key(kc_object_json(o));
        pod_gone(arg, key);
}

static void on_node(struct kc_scheduler *s, struct kc_object *o)
{
        uint32_t events = kc_cluster_set_node(&s->cluster, o);
        if (events) {
                kc_sched_queue_wake(s->queue, events);
                wake_up(s);
        }
}

static void on_node_add(struct kc_object *o, bool initial, void *arg)
{
        (void)initial;
        on_node(arg, o);
}

static void on_node_update(struct kc_object *old, struct kc_object *o, void *arg)
{
        (void)old;
        on_node(arg, o);
}

static void on_node_delete(struct kc_object *o, void *arg)
{
        struct kc_scheduler *s = arg;
        kc_cluster_remove_node(&s->cluster, kc_object_name(o));
}

/* --- Binding, on the pool */

static void binding_free(struct binding *b)
{
        kc_object_unref(b->pod);
        kc_free(b->key);
        kc_free(b->node);
        kc_free(b->message);
        kc_preemption_done(&b->preemption);
        kc_free(b);
}

/* The pod as it is now waits again, unless it is gone or has been assigned meanwhile. */
static void requeue(struct kc_scheduler *s, const struct binding *b)
{
        KC_CLEANUP(kc_object_unrefp) struct kc_object *now = kc_informer_lookup_key(s->pods, b->key);
        struct kc_queued_pod *p;

        if (!now || !kc_streq(kc_object_uid(now), kc_object_uid(b->pod)) || is_assigned(kc_object_json(now)) ||
            !is_ours(s, kc_object_json(now)))
                return;
        p = KC_NEW(struct kc_queued_pod);
        p->info = kc_pod_info_new(now);
        p->added = b->added;
        p->attempts = b->attempts;
        kc_sched_queue_requeue(s->queue, p, KC_EVENT_ALL, true);
        wake_up(s);
}

static void binding_finished(void *arg)
{
        struct binding *b = arg;
        struct kc_scheduler *s = b->s;
        double seconds = (double)(kc_clock_mono(NULL) - b->started) / (double)KC_SEC;

        if (b->ok) {
                kc_metric_add(s->attempts, 1, KC_LABELS("scheduled", s->profile));
                kc_metric_observe(s->attempt_seconds, seconds, KC_LABELS("scheduled", s->profile));
                kc_metric_observe(s->e2e, (double)(kc_clock_mono(NULL) - b->added) / (double)KC_SEC,
                    KC_LABELS(b->attempts == 1   ? "1"
                              : b->attempts == 2 ? "2"
                                                 : "3+"));
        } else {
                kc_metric_add(s->attempts, 1, KC_LABELS("error", s->profile));
                kc_cluster_forget(&s->cluster, b->key);
                kc_sched_queue_wake(s->queue, KC_EVENT_POD_GONE);
                requeue(s, b);
        }
        binding_free(b);
}

static void bind_pod(void *arg)
{
        struct binding *b = arg;
        struct kc_scheduler *s = b->s;
        const struct json_object *pod = kc_object_json(b->pod);
        struct kc_error err = KC_ERROR_INIT;
        KC_CLEANUP(kc_json_freep)
        struct json_object *body =
            kc_json_build("{'apiVersion':'v1','kind':'Binding','metadata':{'name':%s,'namespace':%s,'uid':%s},"
                          "'target':{'apiVersion':'v1','kind':'Node','name':%s}}",
                kc_object_name(b->pod), kc_object_namespace(b->pod), kc_object_uid(b->pod), b->node);

        b->ok = kc_rest_create_sub(s->opts.rest, &KC_PODS, kc_object_namespace(b->pod), kc_object_name(b->pod),
                    "binding", body, NULL, &err) == 0;
        if (b->ok) {
                kc_recorder_event(s->recorder, &KC_PODS, pod, "Normal", "Scheduled", "Successfully assigned %s to %s",
                    b->key, b->node);
        } else if (!kc_error_is(&err, KC_REASON_NOT_FOUND)) {
                kc_log_error(&err, "Cannot bind a pod, retrying", "pod", b->key, "node", b->node);
                kc_recorder_event(s->recorder, &KC_PODS, pod, "Warning", "FailedScheduling",
                    "running Bind plugin \"DefaultBinder\": %s", kc_error_message(&err));
        }
        kc_error_done(&err);
        kc_loop_post(s->opts.loop, binding_finished, b);
}

static void failure_reported(void *arg)
{
        struct binding *b = arg;
        struct kc_scheduler *s = b->s;

        if (kc_map_remove(s->preempting, b->key)) {
                kc_sched_queue_wake(s->queue, KC_EVENT_PREEMPTED);
                wake_up(s);
        }
        binding_free(b);
}

/* The parts of the status that say why: the PodScheduled condition unless it says the same already, and where the pod
 * is to go once its victims have left. NULL: nothing is new. */
static struct json_object *failure_patch(const struct binding *b)
{
        const struct json_object *status = kc_json_get(kc_object_json(b->pod), "status");
        const struct json_object *have = kc_condition_get(status, "PodScheduled");
        const char *nominated = kc_json_str(status, "nominatedNodeName");
        bool was_false = kc_streq(kc_json_str(have, "status"), "False");
        struct json_object *patch = kc_json_build("{'metadata':{'uid':%s},'status':{}}", kc_object_uid(b->pod));
        struct json_object *new = kc_json_get_mut(patch, "status");
        char now[KC_TIME_LEN];

        if (!was_false || !kc_streq(kc_json_str(have, "reason"), "Unschedulable") ||
            !kc_streq(kc_json_str(have, "message"), b->message))
                kc_json_set(new, "conditions",
                    kc_json_build("[{'type':'PodScheduled','status':'False','reason':'Unschedulable','message':%s,"
                                  "'lastProbeTime':null,'lastTransitionTime':%s}]",
                        b->message,
                        was_false ? kc_json_str(have, "lastTransitionTime") : kc_time_format(kc_clock_now(NULL), now)));
        if (b->preemption.node && !kc_streq(nominated, b->preemption.node))
                kc_json_set_str(new, "nominatedNodeName", b->preemption.node);
        else if (b->preemption.clear && !kc_str_empty(nominated))
                kc_json_set(new, "nominatedNodeName", NULL);
        if (kc_json_n_keys(new) == 0) {
                kc_json_free(patch);
                return NULL;
        }
        return patch;
}

/* The event, the status, and what a preemption takes. */
static void report_failure(void *arg)
{
        struct binding *b = arg;
        struct kc_scheduler *s = b->s;
        const struct json_object *pod = kc_object_json(b->pod);
        KC_CLEANUP(kc_json_freep) struct json_object *patch = failure_patch(b);
        struct kc_error err = KC_ERROR_INIT;

        kc_recorder_event(s->recorder, &KC_PODS, pod, "Warning", "FailedScheduling", "%s", b->message);
        if (patch &&
            kc_rest_patch(s->opts.rest, &KC_PODS, kc_object_namespace(b->pod), kc_object_name(b->pod), "status",
                KC_PATCH_STRATEGIC, patch, NULL, &err) < 0 &&
            !kc_error_is(&err, KC_REASON_NOT_FOUND))
                kc_log_error(&err, "Cannot write why a pod is not scheduled, ignoring", "pod", b->key);
        kc_error_done(&err);
        if (b->preemption.node)
                kc_preempt_apply(s->opts.rest, s->recorder, pod, &b->preemption);
        kc_loop_post(s->opts.loop, failure_reported, b);
}

static struct binding *binding_new(struct kc_scheduler *s, const struct kc_queued_pod *p, kc_mono started)
{
        struct binding *b = KC_NEW(struct binding);
        *b = (struct binding){.s = s,
            .pod = kc_object_ref(p->info->obj),
            .key = kc_strdup(p->info->key),
            .attempts = p->attempts,
            .added = p->added,
            .started = started};
        return b;
}

/* --- Decisions, on the loop */

static void decided(struct kc_scheduler *s, struct kc_queued_pod *p, const struct kc_decision *d, kc_mono started)
{
        struct binding *b = binding_new(s, p, started);

        b->node = kc_strdup(s->cluster.names[d->row]);
        (void)kc_nominator_remove(&s->cluster.nominated, b->key); /* it need not be there */
        kc_cluster_assume(&s->cluster, KC_TAKE(p->info), (size_t)d->row);
        kc_sched_queue_done(s->queue, p);
        kc_log_v(3, "Assigned a pod", "pod", b->key, "node", b->node, "evaluatedNodes",
            kc_log_i64((long long)d->n_evaluated), "feasibleNodes", kc_log_i64((long long)d->n_feasible));
        if (kc_pool_submit(s->opts.pool, bind_pod, b) < 0) {
                b->ok = false;
                binding_finished(b);
        }
}

/* PostFilter: makes room by removing pods of lower priority, or says why that does not help. */
static void try_preemption(
    struct kc_scheduler *s, const struct kc_queued_pod *p, struct kc_decision *d, struct kc_preemption *ret)
{
        struct kc_objects budgets = {0};

        if (d->n_evaluated == 0)
                return; /* no nodes: upstream does not come to PostFilter */
        kc_informer_list(s->budgets, NULL, NULL, &budgets);
        kc_preempt(&s->cluster, p->info, d, &budgets, ret);
        kc_objects_done(&budgets);
        kc_metric_add(s->preemptions, 1, NULL);
        if (ret->node) {
                kc_metric_observe(s->victims, (double)ret->victims.n, NULL);
                kc_nominator_set(&s->cluster.nominated, p->info->obj, ret->node);
                for (size_t i = 0; i < ret->yield.n; i++) {
                        KC_CLEANUP(kc_freep) char *key = kc_meta_key(kc_object_json(ret->yield.v[i]));
                        (void)kc_nominator_remove(&s->cluster.nominated, key); /* it is there: the decision found it */
                }
                return;
        }
        if (ret->clear)
                (void)kc_nominator_remove(&s->cluster.nominated, p->info->key); /* it need not be there */
        char *with_tail = kc_asprintf("%s %s", d->message, ret->message);
        kc_free(d->message);
        d->message = with_tail;
}

static void undecided(struct kc_scheduler *s, struct kc_queued_pod *p, struct kc_decision *d, kc_mono started)
{
        struct binding *b = binding_new(s, p, started);

        try_preemption(s, p, d, &b->preemption);
        b->message = KC_TAKE(d->message);
        kc_log_v(2, "No node fits a pod", "pod", b->key, "why", b->message);
        kc_metric_add(s->attempts, 1, KC_LABELS("unschedulable", s->profile));
        kc_metric_observe(s->attempt_seconds, (double)(kc_clock_mono(NULL) - started) / (double)KC_SEC,
            KC_LABELS("unschedulable", s->profile));
        kc_sched_queue_requeue(s->queue, p, d->wakes, false);
        if (b->preemption.node)
                kc_map_set(s->preempting, b->key, s);
        if (kc_pool_submit(s->opts.pool, report_failure, b) < 0)
                failure_reported(b); /* the next attempt reports it */
}

static void schedule_one(struct kc_scheduler *s, struct kc_queued_pod *p)
{
        struct kc_decision d;
        kc_mono started = kc_clock_mono(NULL);

        if (kc_map_has(s->preempting, p->info->key)) {
                p->attempts--; /* it was none */
                kc_sched_queue_requeue(s->queue, p, KC_EVENT_PREEMPTED, false);
                return;
        }
        kc_decide(&s->cluster, p->info, s->opts.percentage_of_nodes_to_score, &s->next_row, &d);
        if (d.row >= 0)
                decided(s, p, &d, started);
        else
                undecided(s, p, &d, started);
        kc_decision_done(&d);
}

static void show_pending(struct kc_scheduler *s)
{
        size_t active, backoff, unschedulable;
        kc_sched_queue_counts(s->queue, &active, &backoff, &unschedulable);
        kc_metric_set(s->pending, (double)active, KC_LABELS("active"));
        kc_metric_set(s->pending, (double)backoff, KC_LABELS("backoff"));
        kc_metric_set(s->pending, (double)unschedulable, KC_LABELS("unschedulable"));
}

static void run(void *arg)
{
        struct kc_scheduler *s = arg;
        struct kc_queued_pod *p = NULL;
        kc_mono next;

        s->posted = false;
        (void)kc_sched_queue_tick(s->queue); /* when it is to come again is asked below */
        for (int i = 0; i < DECISIONS_AT_A_TIME && (p = kc_sched_queue_pop(s->queue)); i++)
                schedule_one(s, p);
        show_pending(s);
        if (p) {
                wake_up(s);
                return;
        }
        next = kc_sched_queue_tick(s->queue);
        if (next)
                kc_timer_arm(s->timer, KC_MAX(next - kc_clock_mono(NULL), KC_MSEC));
        else
                kc_timer_disarm(s->timer);
}

static void make_metrics(struct kc_scheduler *s)
{
        static const char *const result_profile[] = {"result", "profile", NULL};
        static const char *const attempts[] = {"attempts", NULL}, *const queue[] = {"queue", NULL};
        static const double seconds[] = {
            0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048, 4.096, 8.192, 16.384};
        static const double long_seconds[] = {0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48,
            40.96, 81.92, 163.84, 327.68, 655.36, 1310.72, 2621.44, 5242.88};
        static const double victims[] = {1, 2, 4, 8, 16, 32, 64};

        s->attempts = kc_metric_counter(
            "scheduler_schedule_attempts_total", "Number of attempts to schedule pods, by the result", result_profile);
        s->attempt_seconds = kc_metric_histogram("scheduler_scheduling_attempt_duration_seconds",
            "Scheduling attempt latency in seconds", result_profile, seconds, KC_ARRAY_LEN(seconds));
        s->e2e = kc_metric_histogram("scheduler_pod_scheduling_sli_duration_seconds",
            "E2e latency for a pod being scheduled, from the time the pod enters the scheduling queue", attempts,
            long_seconds, KC_ARRAY_LEN(long_seconds));
        s->preemptions = kc_metric_counter(
            "scheduler_preemption_attempts_total", "Total preemption attempts in the cluster till now", NULL);
        s->victims = kc_metric_histogram("scheduler_preemption_victims", "Number of selected preemption victims", NULL,
            victims, KC_ARRAY_LEN(victims));
        s->pending = kc_metric_gauge("scheduler_pending_pods", "Number of pending pods, by the queue type", queue);
}

struct kc_scheduler *kc_scheduler_new(const struct kc_scheduler_opts *o)
{
        struct kc_scheduler *s = KC_NEW(struct kc_scheduler);

        s->opts = *o;
        s->profile = kc_strdup(o->profile ? o->profile : "default-scheduler");
        kc_cluster_init(&s->cluster);
        s->queue = kc_sched_queue_new(NULL);
        s->preempting = kc_map_new(NULL);
        s->recorder = kc_recorder_new(o->rest, o->pool, s->profile, NULL);
        s->timer = kc_timer_new(o->loop, on_timer, s);
        make_metrics(s);
        s->nodes = kc_informers_get(o->informers, &KC_NODES);
        s->pods = kc_informers_get(o->informers, &KC_PODS);
        s->budgets = kc_informers_get(o->informers, &KC_PODDISRUPTIONBUDGETS);
        kc_informer_add_handler(
            s->nodes, &(struct kc_informer_handler){on_node_add, on_node_update, on_node_delete}, s);
        kc_informer_add_handler(s->pods, &(struct kc_informer_handler){on_pod_add, on_pod_update, on_pod_delete}, s);
        return s;
}

static void on_synced(void *arg)
{
        struct kc_scheduler *s = arg;
        s->started = true;
        wake_up(s);
}

void kc_scheduler_start(struct kc_scheduler *s)
{
        kc_informers_on_synced(s->opts.informers, on_synced, s);
}

void kc_scheduler_free(struct kc_scheduler *s)
{
        kc_timer_free(s->timer);
        kc_recorder_free(s->recorder);
        kc_sched_queue_free(s->queue);
        kc_cluster_done(&s->cluster);
        kc_map_free(s->preempting);
        kc_free(s->profile);
        kc_free(s);
}
