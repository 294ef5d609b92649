/* The prober's tasks: when a probe runs, and what its result means.
 *
 *   timer (loop) --> pool: step --> post --> timer (loop)
 *
 * A task's probing state belongs to its step, of which there is one at a time. */
#include "kubelet/prober/prober.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/rand.h"
#include "base/str.h"
#include "kubelet/pod/pod.h"
#include "kubelet/prober/prober_internal.h"

#define POOL_FULL_RETRY (1 * KC_SEC)

struct kc_prober {
        atomic_uint refs; /* the owner, and tasks */
        struct kc_prober_opts o;
        kc_mono started;
        pthread_mutex_t mutex;
        bool closed;               /* guarded by mutex */
        struct kc_map *tasks;      /* by key; guarded by mutex */
        struct kc_map *results[3]; /* enum kc_probe_result * by container ID; guarded by mutex */
};

struct task {
        atomic_uint refs; /* the map, posts, a step */
        struct kc_prober *p;
        char *key, *uid, *container;
        enum kc_probe_kind kind;
        struct kc_object *pod; /* guarded by p->mutex */
        bool removed;          /* guarded by p->mutex */
        bool waiting;          /* the last step had nothing to probe yet; guarded by p->mutex */
        bool kicked;           /* asked to run again while a step runs; guarded by p->mutex */
        bool ended;            /* the container will not come back; guarded by p->mutex */
        /* on the loop */
        struct kc_timer *timer;
        bool busy;
        /* of the step */
        char *container_id;
        bool on_hold;
        enum kc_probe_result last;
        int run;
        int64_t next; /* usec until the next step; -1: none */
};

static const struct {
        const char *field, *name;
        enum kc_probe_result initial;
} kinds[] = {
    [KC_PROBE_STARTUP] = {"startupProbe", "Startup", KC_PROBE_UNKNOWN},
    [KC_PROBE_LIVENESS] = {"livenessProbe", "Liveness", KC_PROBE_SUCCESS},
    [KC_PROBE_READINESS] = {"readinessProbe", "Readiness", KC_PROBE_FAILURE},
};

void kc_probe_target_done(struct kc_probe_target *t)
{
        kc_free(t->container_id);
        kc_free(t->pod_ip);
        *t = (struct kc_probe_target){0};
}

static void prober_unref(struct kc_prober *p)
{
        if (atomic_fetch_sub(&p->refs, 1) != 1)
                return;
        kc_map_free(p->tasks);
        for (size_t i = 0; i < KC_ARRAY_LEN(p->results); i++)
                kc_map_free(p->results[i]);
        pthread_mutex_destroy(&p->mutex);
        kc_free(p);
}

static struct task *task_ref(struct task *t)
{
        atomic_fetch_add(&t->refs, 1);
        return t;
}

static void task_unref(void *arg)
{
        struct task *t = arg;
        if (atomic_fetch_sub(&t->refs, 1) != 1)
                return;
        prober_unref(t->p);
        kc_object_unref(t->pod);
        kc_free(t->key);
        kc_free(t->uid);
        kc_free(t->container);
        kc_free(t->container_id);
        kc_free(t);
}

int kc_prober_new(const struct kc_prober_opts *o, struct kc_prober **ret, struct kc_error *err)
{
        (void)err; /* nothing that fails yet */
        struct kc_prober *p = KC_NEW(struct kc_prober);
        atomic_init(&p->refs, 1);
        p->o = *o;
        p->started = kc_clock_mono(o->clock);
        pthread_mutex_init(&p->mutex, NULL);
        p->tasks = kc_map_new(task_unref);
        for (size_t i = 0; i < KC_ARRAY_LEN(p->results); i++)
                p->results[i] = kc_map_new(kc_free);
        *ret = p;
        return 0;
}

/* --- Results */

static void set_result(struct task *t, const char *id, enum kc_probe_result result)
{
        struct kc_prober *p = t->p;
        pthread_mutex_lock(&p->mutex);
        enum kc_probe_result *old = kc_map_get(p->results[t->kind], id);
        bool changed = !t->removed && !(old && *old == result);
        if (changed) {
                enum kc_probe_result *now = KC_NEW(enum kc_probe_result);
                *now = result;
                (void)kc_map_set(p->results[t->kind], id, now);
        }
        pthread_mutex_unlock(&p->mutex);
        if (changed && p->o.on_change)
                p->o.on_change(p->o.arg, t->uid, t->container, t->kind, result);
}

static void drop_result(struct task *t, const char *id)
{
        pthread_mutex_lock(&t->p->mutex);
        (void)kc_map_remove(t->p->results[t->kind], id);
        pthread_mutex_unlock(&t->p->mutex);
}

enum kc_probe_result kc_prober_result(struct kc_prober *p, enum kc_probe_kind kind, const char *container_id)
{
        pthread_mutex_lock(&p->mutex);
        const enum kc_probe_result *r = container_id ? kc_map_get(p->results[kind], container_id) : NULL;
        enum kc_probe_result result = r ? *r : KC_PROBE_UNKNOWN;
        pthread_mutex_unlock(&p->mutex);
        return result;
}

static char *key_of(const char *uid, const char *container, enum kc_probe_kind kind)
{
        return kc_asprintf("%s/%s/%d", uid, container, (int)kind);
}

bool kc_prober_has(struct kc_prober *p, enum kc_probe_kind kind, const char *pod_uid, const char *container)
{
        KC_CLEANUP(kc_freep) char *key = key_of(pod_uid, container, kind);
        pthread_mutex_lock(&p->mutex);
        bool has = kc_map_has(p->tasks, key);
        pthread_mutex_unlock(&p->mutex);
        return has;
}

/* --- One step, on the pool */

/* UNKNOWN: could not be made. Sends the event. */
static enum kc_probe_result probe(struct task *t, const struct json_object *pod, const struct json_object *container,
    const struct json_object *spec, const struct kc_probe_target *target)
{
        struct kc_prober *p = t->p;
        struct kc_probe_env env = {.cri = p->o.cri,
            .loop = p->o.loop,
            .pod_ip = target->pod_ip,
            .container_id = target->container_id,
            .pod = pod,
            .container = container};
        const char *kind = kinds[t->kind].name;
        bool warning = false;
        KC_CLEANUP(kc_freep) char *output = NULL;
        enum kc_probe_result result = KC_PROBE_UNKNOWN;
        for (int i = 0; i < KC_PROBE_RETRIES && result == KC_PROBE_UNKNOWN; i++) {
                kc_free(KC_TAKE(output));
                result = kc_probe_run_full(&env, spec, &warning, &output);
        }
        if (result == KC_PROBE_UNKNOWN)
                kc_kubelet_event_pod(p->o.events, pod, t->container, KC_EVENT_WARNING, "Unhealthy",
                    "%s probe errored and resulted in unknown state: %s", kind, output);
        else if (result == KC_PROBE_FAILURE)
                kc_kubelet_event_pod(
                    p->o.events, pod, t->container, KC_EVENT_WARNING, "Unhealthy", "%s probe failed: %s", kind, output);
        else if (warning)
                kc_kubelet_event_pod(p->o.events, pod, t->container, KC_EVENT_WARNING, "ProbeWarning",
                    "%s probe warning: %s", kind, output);
        if (result != KC_PROBE_SUCCESS)
                kc_log_v(1, "Probe failed", "probeType", kind, "pod", kc_meta_name(pod), "podUID", t->uid,
                    "containerName", t->container, "output", output);
        return result;
}

static void kick(struct kc_prober *p, const char *uid, const char *container, enum kc_probe_kind kind);

/* Applies the thresholds. */
static void judge(struct task *t, const struct json_object *spec, enum kc_probe_result result)
{
        if (t->last == result) {
                t->run++;
        } else {
                t->last = result;
                t->run = 1;
        }
        int64_t failures = kc_json_int(spec, "failureThreshold", 3),
                successes = kc_json_int(spec, "successThreshold", 1);
        if (t->run < (result == KC_PROBE_FAILURE ? failures : successes))
                return;
        set_result(t, t->container_id, result);
        /* Nothing more to learn until there is a new container. */
        if (t->kind == KC_PROBE_STARTUP || (t->kind == KC_PROBE_LIVENESS && result == KC_PROBE_FAILURE)) {
                t->on_hold = true;
                t->run = 0;
        }
        if (t->kind == KC_PROBE_STARTUP && result == KC_PROBE_SUCCESS) {
                kick(t->p, t->uid, t->container, KC_PROBE_LIVENESS);
                kick(t->p, t->uid, t->container, KC_PROBE_READINESS);
        }
}

static bool has_started(struct task *t)
{
        return t->kind == KC_PROBE_STARTUP || !kc_prober_has(t->p, KC_PROBE_STARTUP, t->uid, t->container) ||
               kc_prober_result(t->p, KC_PROBE_STARTUP, t->container_id) == KC_PROBE_SUCCESS;
}

static void see_container(struct task *t, const char *id)
{
        if (kc_streq(t->container_id, id))
                return;
        if (t->container_id)
                drop_result(t, t->container_id);
        kc_str_set(&t->container_id, id);
        set_result(t, id, kinds[t->kind].initial);
        t->on_hold = false;
        t->last = KC_PROBE_UNKNOWN;
        t->run = 0;
}

enum outcome { PROBED, WAIT, END };

/* *ret_wait: when to look again, of WAIT; not later than the next period. */
static enum outcome look(struct task *t, const struct json_object *pod, const struct json_object *container,
    const struct json_object *spec, struct kc_probe_target *target, int64_t *ret_wait)
{
        if (!t->p->o.target(t->p->o.arg, t->uid, t->container, target) || !target->container_id)
                return WAIT;
        see_container(t, target->container_id);
        if (t->on_hold)
                return WAIT;
        if (!target->running) {
                set_result(t, t->container_id, KC_PROBE_FAILURE);
                return target->terminated && target->will_not_restart ? END : WAIT;
        }
        if (kc_meta_deleting(pod) && t->kind != KC_PROBE_READINESS) {
                set_result(t, t->container_id, KC_PROBE_SUCCESS);
                return END;
        }
        int64_t delay = kc_json_int(spec, "initialDelaySeconds", 0) * KC_SEC;
        int64_t left = target->started_at + delay - kc_clock_now(t->p->o.clock);
        if (delay > 0 && left > 0) {
                *ret_wait = left;
                return WAIT;
        }
        if (!has_started(t))
                return WAIT;
        enum kc_probe_result result = probe(t, pod, container, spec, target);
        if (result != KC_PROBE_UNKNOWN)
                judge(t, spec, result);
        return PROBED;
}

static void step_done(void *arg);

static void step(void *arg)
{
        struct task *t = arg;
        pthread_mutex_lock(&t->p->mutex);
        KC_CLEANUP(kc_object_unrefp) struct kc_object *object = kc_object_ref(t->pod);
        pthread_mutex_unlock(&t->p->mutex);
        const struct json_object *pod = kc_object_json(object);
        const struct json_object *container = kc_pod_container(pod, t->container, NULL);
        const struct json_object *spec = kc_json_get(container, kinds[t->kind].field);
        int64_t period = KC_MAX(kc_json_int(spec, "periodSeconds", 10), 1) * KC_SEC, wait = period;
        kc_mono begin = kc_clock_mono(t->p->o.clock);
        struct kc_probe_target target = {0};
        enum outcome o = spec ? look(t, pod, container, spec, &target, &wait) : END;
        kc_probe_target_done(&target);
        /* As a ticker: a probe that takes longer than its period loses ticks. */
        int64_t took = kc_clock_mono(t->p->o.clock) - begin;
        t->next = o == END ? -1 : o == WAIT ? KC_MIN(wait, period) : period - took % period;
        pthread_mutex_lock(&t->p->mutex);
        t->waiting = o == WAIT;
        t->ended = o == END;
        pthread_mutex_unlock(&t->p->mutex);
        kc_loop_post(t->p->o.loop, step_done, t);
}

/* --- On the loop */

/* True when the task is to do nothing any more; its timer and result are gone then. No step runs. */
static bool is_over(struct task *t)
{
        pthread_mutex_lock(&t->p->mutex);
        bool over = t->removed || t->p->closed || t->ended;
        if (t->removed && t->container_id)
                (void)kc_map_remove(t->p->results[t->kind], t->container_id);
        pthread_mutex_unlock(&t->p->mutex);
        if (over) {
                kc_timer_free(t->timer);
                t->timer = NULL;
        }
        return over;
}

static void on_timer(void *arg)
{
        struct task *t = arg;
        if (t->busy || is_over(t))
                return;
        t->busy = true;
        if (kc_pool_submit(t->p->o.pool, step, task_ref(t)) < 0) {
                t->busy = false;
                task_unref(t);
                kc_timer_arm(t->timer, POOL_FULL_RETRY);
        }
}

/* Takes the step's reference. */
static void step_done(void *arg)
{
        struct task *t = arg;
        t->busy = false;
        if (!is_over(t)) {
                pthread_mutex_lock(&t->p->mutex);
                bool again = t->kicked && t->waiting;
                t->kicked = false;
                pthread_mutex_unlock(&t->p->mutex);
                kc_timer_arm(t->timer, again ? 0 : t->next);
        }
        task_unref(t);
}

static int64_t first_delay(struct task *t)
{
        pthread_mutex_lock(&t->p->mutex);
        const struct json_object *c = kc_pod_container(kc_object_json(t->pod), t->container, NULL);
        int64_t period = kc_json_int(kc_json_get(c, kinds[t->kind].field), "periodSeconds", 10) * KC_SEC;
        pthread_mutex_unlock(&t->p->mutex);
        /* After a restart of the kubelet all tasks begin together: spread them. */
        if (kc_clock_mono(t->p->o.clock) - t->p->started < period)
                return (int64_t)(kc_rand_double() * (double)period);
        return 0;
}

/* Takes a reference. */
static void start(void *arg)
{
        struct task *t = arg;
        if (!is_over(t)) {
                t->timer = kc_timer_new(t->p->o.loop, on_timer, t);
                kc_timer_arm(t->timer, first_delay(t));
        }
        task_unref(t);
}

/* Takes a reference. */
static void run_now(void *arg)
{
        struct task *t = arg;
        if (!is_over(t) && t->timer) {
                if (t->busy) {
                        pthread_mutex_lock(&t->p->mutex);
                        t->kicked = true;
                        pthread_mutex_unlock(&t->p->mutex);
                } else {
                        kc_timer_arm(t->timer, 0);
                }
        }
        task_unref(t);
}

/* Takes a reference. */
static void stop(void *arg)
{
        struct task *t = arg;
        if (!t->busy)
                (void)is_over(t); /* else the step's end does it */
        task_unref(t);
}

/* --- Any thread */

static void kick(struct kc_prober *p, const char *uid, const char *container, enum kc_probe_kind kind)
{
        KC_CLEANUP(kc_freep) char *key = key_of(uid, container, kind);
        pthread_mutex_lock(&p->mutex);
        struct task *t = kc_map_get(p->tasks, key);
        if (t)
                kc_loop_post(p->o.loop, run_now, task_ref(t));
        pthread_mutex_unlock(&p->mutex);
}

static void add_task(struct kc_prober *p, struct kc_object *pod, const char *container, enum kc_probe_kind kind)
{
        const char *uid = kc_object_uid(pod);
        char *key = key_of(uid, container, kind);
        pthread_mutex_lock(&p->mutex);
        struct task *t = kc_map_get(p->tasks, key);
        if (t) {
                kc_object_unref(t->pod);
                t->pod = kc_object_ref(pod);
                /* Something has happened to the pod: perhaps there is a container now. */
                if (t->waiting)
                        kc_loop_post(p->o.loop, run_now, task_ref(t));
                kc_free(key);
        } else {
                t = KC_NEW(struct task);
                atomic_init(&t->refs, 1);
                atomic_fetch_add(&p->refs, 1);
                t->p = p;
                t->key = key;
                t->uid = kc_strdup(uid);
                t->container = kc_strdup(container);
                t->kind = kind;
                t->pod = kc_object_ref(pod);
                (void)kc_map_set(p->tasks, key, t);
                kc_loop_post(p->o.loop, start, task_ref(t));
        }
        pthread_mutex_unlock(&p->mutex);
}

void kc_prober_add_pod(struct kc_prober *p, struct kc_object *pod)
{
        static const char *const lists[] = {"spec.initContainers", "spec.containers"};
        for (size_t l = 0; l < KC_ARRAY_LEN(lists); l++) {
                const struct json_object *list = kc_json_at(kc_object_json(pod), lists[l]);
                for (size_t i = 0; i < kc_json_len(list); i++) {
                        const struct json_object *c = kc_json_idx(list, i);
                        if (l == 0 && !kc_container_is_sidecar(c))
                                continue;
                        for (size_t k = 0; k < KC_ARRAY_LEN(kinds); k++)
                                if (kc_json_get(c, kinds[k].field))
                                        add_task(p, pod, kc_json_str(c, "name") ?: "", (enum kc_probe_kind)k);
                }
        }
}

static void remove_tasks(struct kc_prober *p, const char *uid, bool with_readiness)
{
        KC_CLEANUP(kc_freep) char *prefix = kc_asprintf("%s/", uid);
        size_t it = 0;
        const char *key;
        void *value;
        pthread_mutex_lock(&p->mutex);
        while (kc_map_next(p->tasks, &it, &key, &value)) {
                struct task *t = value;
                if (!kc_str_has_prefix(key, prefix) || (t->kind == KC_PROBE_READINESS && !with_readiness))
                        continue;
                t->removed = true;
                kc_loop_post(p->o.loop, stop, task_ref(t));
                (void)kc_map_remove(p->tasks, key);
        }
        pthread_mutex_unlock(&p->mutex);
}

void kc_prober_stop_liveness(struct kc_prober *p, const char *pod_uid)
{
        remove_tasks(p, pod_uid, false);
}

void kc_prober_remove_pod(struct kc_prober *p, const char *pod_uid)
{
        remove_tasks(p, pod_uid, true);
}

void kc_prober_stop(struct kc_prober *p)
{
        size_t it = 0;
        void *value;
        pthread_mutex_lock(&p->mutex);
        p->closed = true;
        while (kc_map_next(p->tasks, &it, NULL, &value)) {
                struct task *t = value;
                kc_timer_free(t->timer);
                t->timer = NULL;
        }
        pthread_mutex_unlock(&p->mutex);
}

void kc_prober_free(struct kc_prober *p)
{
        if (!p)
                return;
        kc_prober_stop(p);
        pthread_mutex_lock(&p->mutex);
        struct kc_map *tasks = KC_TAKE(p->tasks);
        p->tasks = kc_map_new(task_unref);
        pthread_mutex_unlock(&p->mutex);
        kc_map_free(tasks);
        prober_unref(p);
}
