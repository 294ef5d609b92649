/* Stopping containers: the preStop hook, then StopContainer with what is left of the grace period. Each runs as a task
 * of its own on the pool, so that the pod's worker stays free for a deletion with a shorter grace.
 *
 *   kc_kills_start --> task {hook, stop} --> on_change(pod uid)
 *
 * A second, shorter request stops the container right away while the first one still waits. */
#include <errno.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "kubelet/pod/pod.h"
#include "kubelet/prober/lifecycle.h"
#include "kubelet/runtime/runtime_internal.h"

enum { MIN_GRACE_SECONDS = 2 }; /* every container gets that much, as upstream's minimumGracePeriodInSeconds */

struct active {
        kc_time deadline; /* earliest promised so far */
        int tasks;
};

struct kc_kills {
        struct kc_runtime *r;
        pthread_mutex_t mutex;
        struct kc_map *active; /* by container ID; guarded by mutex */
};

struct task {
        struct kc_kills *k;
        struct kc_object *pod; /* NULL: gone */
        char *pod_uid, *id, *name, *ip;
        int64_t grace;
        bool run_hook;
};

struct kc_kills *kc_kills_new(struct kc_runtime *r)
{
        struct kc_kills *k = KC_NEW(struct kc_kills);
        k->r = r;
        pthread_mutex_init(&k->mutex, NULL);
        k->active = kc_map_new(kc_free);
        return k;
}

void kc_kills_free(struct kc_kills *k)
{
        if (!k)
                return;
        kc_map_free(k->active);
        pthread_mutex_destroy(&k->mutex);
        kc_free(k);
}

bool kc_kills_active(struct kc_kills *k, const char *container_id)
{
        pthread_mutex_lock(&k->mutex);
        bool active = kc_map_has(k->active, container_id);
        pthread_mutex_unlock(&k->mutex);
        return active;
}

static void task_free(struct task *t)
{
        kc_object_unref(t->pod);
        kc_free(t->pod_uid);
        kc_free(t->id);
        kc_free(t->name);
        kc_free(t->ip);
        kc_free(t);
}

/* Returns what is left of the grace period after the hook. */
static int64_t run_hook(struct task *t, const struct json_object *container)
{
        const struct kc_runtime *r = t->k->r;
        const struct json_object *hook = kc_json_at(container, "lifecycle.preStop");
        if (!hook || t->grace <= 0)
                return t->grace;
        const struct json_object *pod = kc_object_json(t->pod);
        struct kc_probe_env env = {.cri = r->o.cri,
            .loop = r->o.loop,
            .pod_ip = t->ip,
            .container_id = t->id,
            .pod = pod,
            .container = container};
        kc_mono begin = kc_clock_mono(r->o.clock);
        struct kc_error err = KC_ERROR_INIT;
        if (kc_lifecycle_run(&env, hook, t->grace * KC_SEC, &err) < 0) {
                kc_log_error(&err, "PreStop hook failed, ignoring", "pod", kc_meta_name(pod), "containerName", t->name);
                kc_kubelet_event_pod(
                    r->o.events, pod, t->name, KC_EVENT_WARNING, "FailedPreStopHook", "PreStopHook failed");
        }
        kc_error_done(&err);
        return t->grace - (kc_clock_mono(r->o.clock) - begin) / KC_SEC;
}

static void finish(struct task *t)
{
        struct kc_kills *k = t->k;
        pthread_mutex_lock(&k->mutex);
        struct active *a = kc_map_get(k->active, t->id);
        if (a && --a->tasks == 0)
                kc_map_remove(k->active, t->id);
        pthread_mutex_unlock(&k->mutex);
        k->r->o.on_change(k->r->o.arg, t->pod_uid);
        task_free(t);
}

static void run(void *arg)
{
        struct task *t = arg;
        int64_t grace = t->grace;
        if (t->pod && t->run_hook) {
                const struct json_object *c = kc_pod_container(kc_object_json(t->pod), t->name, NULL);
                if (c)
                        grace = run_hook(t, c);
        }
        /* A hook that took all of the time still leaves the container a moment. */
        if (grace < MIN_GRACE_SECONDS && t->grace > 0)
                grace = MIN_GRACE_SECONDS;
        struct kc_error err = KC_ERROR_INIT;
        int r = kc_cri_stop_container(t->k->r->o.cri, t->id, grace, &err);
        if (r < 0 && r != -ENOENT)
                kc_log_error(&err, "Container termination failed, retrying", "podUID", t->pod_uid, "containerName",
                    t->name, "containerID", t->id, "gracePeriod", kc_log_i64(grace));
        else
                kc_log_v(2, "Container exited normally", "podUID", t->pod_uid, "containerName", t->name);
        kc_error_done(&err);
        finish(t);
}

static int64_t default_grace(const struct kc_object *o, const struct kc_rt_container *c, enum kc_kill_reason reason)
{
        if (!o)
                return c->grace_seconds >= 0 ? c->grace_seconds : 30;
        const struct json_object *pod = kc_object_json(o);
        const struct json_object *container = kc_pod_container(pod, c->name, NULL);
        const struct json_object *probe = NULL;
        if (reason == KC_KILL_LIVENESS)
                probe = kc_json_get(container, "livenessProbe");
        else if (reason == KC_KILL_STARTUP)
                probe = kc_json_get(container, "startupProbe");
        return kc_json_int(probe, "terminationGracePeriodSeconds", kc_pod_grace_seconds(pod));
}

/* True if a new stop is needed; *ret_first: none is under way. */
static bool claim(struct kc_kills *k, const char *id, int64_t grace, bool *ret_first)
{
        kc_time deadline = kc_clock_now(k->r->o.clock) + grace * KC_SEC;
        bool needed = true;
        pthread_mutex_lock(&k->mutex);
        struct active *a = kc_map_get(k->active, id);
        *ret_first = a == NULL;
        if (!a) {
                a = KC_NEW(struct active);
                kc_map_set(k->active, id, a);
        } else {
                /* A second of slack: the same request, repeated, is no shorter one. */
                needed = deadline + KC_SEC < a->deadline;
        }
        if (needed) {
                a->deadline = deadline;
                a->tasks++;
        }
        pthread_mutex_unlock(&k->mutex);
        return needed;
}

void kc_kills_start(struct kc_kills *k, struct kc_object *pod, const char *pod_uid, const struct kc_rt_container *c,
    const char *pod_ip, int64_t grace_seconds, enum kc_kill_reason reason, const char *message)
{
        int64_t grace = grace_seconds >= 0 ? grace_seconds : default_grace(pod, c, reason);
        bool first;
        if (!claim(k, c->id, grace, &first))
                return;
        if (first && pod) {
                KC_CLEANUP(kc_freep)
                char *text = message ? kc_strdup(message) : kc_asprintf("Stopping container %s", c->name);
                kc_kubelet_event_pod(
                    k->r->o.events, kc_object_json(pod), c->name, KC_EVENT_NORMAL, "Killing", "%s", text);
        }
        kc_log_v(2, "Killing container with a grace period", "podUID", pod_uid, "containerName", c->name, "containerID",
            c->id, "gracePeriod", kc_log_i64(grace));
        struct task *t = KC_NEW(struct task);
        t->k = k;
        t->pod = pod ? kc_object_ref(pod) : NULL;
        t->pod_uid = kc_strdup(pod_uid);
        t->id = kc_strdup(c->id);
        t->name = kc_strdup(c->name);
        t->grace = grace;
        t->run_hook = first;
        t->ip = kc_strdup(pod_ip);
        if (kc_pool_submit(k->r->o.pool, run, t) < 0) {
                kc_log_warn("No worker for a container termination, retrying", "containerID", c->id);
                finish(t);
        }
}
