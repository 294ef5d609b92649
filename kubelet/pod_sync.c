/* The state machine of one pod: fetch what the runtime has, take one step, say what the status is.
 *
 *   SYNCING --deleted, gone, ended, failed--> TERMINATING --no container left--> TERMINATED --volumes gone--> FINISHED
 *
 * Thread: a worker of the pods' controller; one at a time for a pod. Errors are logged and lead to another try. */
#include <errno.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"
#include "base/str.h"
#include "kubelet/kubelet_internal.h"
#include "kubelet/pod/pod.h"
#include "kubelet/pod/resize.h"
#include "kubelet/status/generate.h"

#define RETRY_USEC (10 * KC_SEC)
#define NETWORK_RETRY_USEC (1 * KC_SEC)
#define MOUNT_RETRY_USEC (500 * KC_MSEC)
#define MOUNT_RETRY_MAX (122 * KC_SEC)
#define EXIT_POLL_USEC (10 * KC_MSEC)
#define EXIT_POLL_MAX (1 * KC_SEC)
#define KILL_CHECK_USEC (10 * KC_SEC)
#define FIRST_LOOK_USEC (100 * KC_MSEC)

struct pass {
        struct kc_kubelet *k;
        struct kc_worker *w;
        struct kc_object *object; /* NULL: only the runtime knows the pod */
        const struct json_object *pod;
        bool gone;
        const char *fail_reason, *fail_message; /* borrowed from the worker: set once */
        int64_t fail_grace;
};

static void poke_after(struct pass *p, int64_t usec)
{
        kc_workers_poke_after(p->k, p->w->uid, usec);
}

static void log_failure(struct pass *p, struct kc_error *err, const char *what)
{
        KC_CLEANUP(kc_freep) char *name = p->pod ? kc_pod_full_name(p->pod) : NULL;
        kc_log_error(err, what, "pod", name, "podUID", p->w->uid);
        kc_error_done(err);
}

/* --- Runtime state and status */

static bool fetch(struct pass *p)
{
        struct kc_error err = KC_ERROR_INIT;
        struct kc_pod_runtime *rt = NULL;
        if (kc_runtime_fetch(p->k->runtime, p->w->uid, p->pod ? kc_meta_namespace(p->pod) : NULL,
                p->pod ? kc_meta_name(p->pod) : NULL, &rt, &err) < 0) {
                log_failure(p, &err, "Could not get the pod's state from the runtime, retrying");
                poke_after(p, NETWORK_RETRY_USEC);
                return false;
        }
        bool soon = kc_pleg_observe(p->k->pleg, rt);
        if (soon) {
                /* The process has ended and the runtime will say so in a moment. */
                poke_after(p, KC_MIN(EXIT_POLL_USEC << KC_MIN(p->w->exit_polls, 10), EXIT_POLL_MAX));
                p->w->exit_polls++;
        } else {
                p->w->exit_polls = 0;
        }
        kc_workers_set_runtime(p->k, p->w, rt);
        return true;
}

static enum kc_probe_result probe_result(void *arg, enum kc_probe_kind kind, const char *id)
{
        struct kc_kubelet *k = arg;
        return kc_prober_result(k->prober, kind, id);
}

static struct json_object *old_status(struct pass *p)
{
        struct json_object *old = kc_status_manager_get(p->k->statuses, p->w->uid);
        if (old || p->w->status_seeded)
                return old;
        /* After a restart of the kubelet: what the API knows. */
        p->w->status_seeded = true;
        const struct json_object *status = kc_json_get(p->pod, "status");
        return status ? kc_json_copy(status) : NULL;
}

static struct json_object *generate(struct pass *p, bool terminal)
{
        KC_CLEANUP(kc_json_freep) struct json_object *old = old_status(p);
        struct kc_status_input in = {.pod = p->pod,
            .old = old,
            .rt = p->w->rt,
            .sync = &p->w->sync,
            .host_ips = p->k->node_ips,
            .runtime_name = kc_node_runtime_name(p->k->node),
            .terminal = terminal,
            .fail_reason = p->fail_reason,
            .fail_message = p->fail_message,
            .resize = {.pending_reason = p->w->resize_pending,
                .pending_message = p->w->resize_message,
                .in_progress = p->w->resizing,
                .error = p->w->sync.resize_error},
            .now = kc_clock_now(p->k->clock),
            .probe = probe_result,
            .probe_arg = p->k};
        return kc_status_generate(&in);
}

/* True if the pod has ended by itself. */
static bool publish(struct pass *p, bool terminal)
{
        struct json_object *status = generate(p, terminal);
        const char *phase = kc_json_str(status, "phase");
        bool ended = kc_streq(phase, "Succeeded") || kc_streq(phase, "Failed");
        kc_status_manager_set(p->k->statuses, p->object, status);
        return ended;
}

/* --- Syncing */

static bool past_deadline(struct pass *p)
{
        int64_t deadline = kc_json_int_at(p->pod, "spec.activeDeadlineSeconds", 0);
        KC_CLEANUP(kc_json_freep) struct json_object *status = kc_status_manager_get(p->k->statuses, p->w->uid);
        const char *start = kc_json_str(status, "startTime") ?: kc_json_str_at(p->pod, "status.startTime");
        kc_time t;
        if (deadline <= 0 || !start || kc_time_parse(start, &t) < 0)
                return false;
        int64_t left = t + deadline * KC_SEC - kc_clock_now(p->k->clock);
        if (left > 0) {
                poke_after(p, left);
                return false;
        }
        static const char message[] = "Pod was active on the node longer than the specified deadline";
        if (kc_workers_fail(p->k, p->w->uid, "DeadlineExceeded", message, 0))
                kc_kubelet_event_pod(p->k->events, p->pod, NULL, KC_EVENT_NORMAL, "DeadlineExceeded", message);
        return true;
}

/* The pod never starts: a status of its own, and nothing to end. */
static void reject(struct pass *p, const char *reason, const char *message)
{
        char now[KC_TIME_LEN];
        KC_CLEANUP(kc_freep) char *text = kc_asprintf("Pod was rejected: %s", message);
        struct json_object *status =
            kc_json_build("{'phase':'Failed','reason':%s,'message':%s,'qosClass':%s,'startTime':%s}", reason, text,
                kc_pod_qos(p->pod), kc_time_format(kc_clock_now(p->k->clock), now));
        if (kc_meta_generation(p->pod) > 0)
                kc_json_set_int(status, "observedGeneration", kc_meta_generation(p->pod));
        kc_status_manager_finish(p->k->statuses, p->object, status);
        kc_workers_set_state(p->k, p->w, KC_WORKER_FINISHED);
}

/* Fit for this node? A pod that already runs here (restart of the kubelet) is not asked again. */
static bool admit(struct pass *p)
{
        struct kc_worker *w = p->w;
        if (w->admitted)
                return true;
        bool runs = w->rt->n_containers > 0;
        KC_CLEANUP(kc_freep) char *reason = NULL;
        KC_CLEANUP(kc_freep) char *message = NULL;
        struct kc_objects others = {0};
        pthread_mutex_lock(&p->k->admission);
        kc_workers_active_pods(p->k, &others);
        bool ok = runs || kc_node_admit(p->k->node, p->pod, &others, &reason, &message);
        kc_objects_done(&others);
        pthread_mutex_lock(&p->k->mutex);
        w->admitted = ok;
        pthread_mutex_unlock(&p->k->mutex);
        pthread_mutex_unlock(&p->k->admission);
        if (ok)
                return true;
        kc_kubelet_event_pod(p->k->events, p->pod, NULL, KC_EVENT_WARNING, reason, "%s", message);
        reject(p, reason, message);
        return false;
}

static bool network_ready(struct pass *p)
{
        KC_CLEANUP(kc_freep) char *why = NULL;
        if (kc_pod_is_host_network(p->pod) || kc_node_network_ready(p->k->node, &why))
                return true;
        kc_kubelet_event_pod(
            p->k->events, p->pod, NULL, KC_EVENT_WARNING, "NetworkNotReady", "network is not ready: %s", why);
        poke_after(p, kc_jitter(NETWORK_RETRY_USEC, 0.5));
        return false;
}

static bool setup_volumes(struct pass *p, const struct kc_pod_facts *facts)
{
        struct kc_error err = KC_ERROR_INIT;
        KC_CLEANUP(kc_freep) char *dir = kc_pod_dir(p->k->config->root_dir, p->w->uid);
        int r = kc_mkdir_p(dir, 0750, &err);
        if (r == 0)
                r = kc_volumes_setup_pod(p->k->volumes, p->pod, facts, &err);
        if (r == 0) {
                p->w->mount_failures = 0;
                return true;
        }
        kc_kubelet_event_pod(p->k->events, p->pod, NULL, KC_EVENT_WARNING, "FailedMount", "%s", kc_error_message(&err));
        log_failure(p, &err, "Unable to mount volumes for pod, retrying");
        poke_after(p, KC_MIN(MOUNT_RETRY_USEC << KC_MIN(p->w->mount_failures, 10), MOUNT_RETRY_MAX));
        p->w->mount_failures++;
        return false;
}

static void ensure_mirror(struct pass *p)
{
        struct kc_error err = KC_ERROR_INIT;
        if (!p->k->rest || !p->w->is_static)
                return;
        if (kc_mirror_ensure(p->k, p->pod, &err) < 0)
                log_failure(p, &err, "Failed creating a mirror pod, retrying");
        else
                kc_status_manager_poke(p->k->statuses, p->w->uid);
}

static void run_sync(struct pass *p)
{
        struct kc_worker *w = p->w;
        struct kc_pod_facts facts;
        KC_CLEANUP(kc_object_unrefp) struct kc_object *node = NULL;
        kc_kubelet_facts(p->k, p->pod, w->rt, &facts, &node);
        if (!setup_volumes(p, &facts))
                return;
        kc_prober_add_pod(p->k->prober, p->object);
        struct kc_error err = KC_ERROR_INIT;
        if (kc_runtime_sync_pod(p->k->runtime, p->object, w->rt, &facts, &w->sync, &err) < 0)
                log_failure(p, &err, "Error syncing pod, retrying");
        kc_resize_observe(p->k, w, p->object);
        if (w->sync.retry_at)
                poke_after(p, KC_MAX(w->sync.retry_at - kc_clock_now(p->k->clock), (int64_t)KC_MSEC));
}

/* From here on the pod is what it has been given. */
static void allocate(struct pass *p)
{
        struct kc_worker *w = p->w;
        if (!w->allocated)
                kc_resize_load(p->k, w, p->object);
        kc_resize_allocate(p->k, w, p->object);
        struct kc_object *given = kc_resize_apply(p->object, w->allocated);
        kc_object_unref(p->object);
        p->object = given;
        p->pod = kc_object_json(given);
}

/* True: it has come to its end, go on with terminating. */
static bool sync_running(struct pass *p)
{
        struct kc_worker *w = p->w;
        if (p->fail_reason || kc_meta_deleting(p->pod) || p->gone || kc_pod_is_terminal(p->pod))
                return true;
        if (past_deadline(p) || !admit(p))
                return false; /* comes again as failed, or was rejected */
        allocate(p);
        ensure_mirror(p);
        if (publish(p, false))
                return true;
        if (!network_ready(p))
                return false;
        /* Service variables are made once, when a container starts: they must be complete. */
        if (!w->is_static && p->k->services && !kc_informer_synced(p->k->services)) {
                poke_after(p, FIRST_LOOK_USEC);
                return false;
        }
        run_sync(p);
        /* What has just been made is to be seen at once; then there may be more to start. */
        if (w->sync.changed) {
                if (!fetch(p))
                        return false;
                kc_workers_poke(p->k, w->uid);
        }
        if (publish(p, false))
                return true;
        poke_after(p, kc_jitter(p->k->config->sync_frequency, 0.5));
        return false;
}

/* --- Terminating */

static int64_t grace_of(const struct pass *p)
{
        if (!p->pod)
                return -1;
        if (p->fail_grace > 0)
                return p->fail_grace;
        if (kc_meta_deleting(p->pod))
                return kc_json_int_at(p->pod, "metadata.deletionGracePeriodSeconds", kc_pod_grace_seconds(p->pod));
        return -1;
}

/* True: no container is left. */
static bool terminate(struct pass *p)
{
        struct kc_worker *w = p->w;
        if (!w->terminating_since)
                w->terminating_since = kc_clock_now(p->k->clock);
        kc_prober_stop_liveness(p->k->prober, w->uid);
        if (p->pod)
                (void)publish(p, false); /* the end is decided already */
        struct kc_error err = KC_ERROR_INIT;
        int r = kc_runtime_kill_pod(p->k->runtime, p->object, w->rt, grace_of(p), w->terminating_since, &err);
        if (r < 0)
                log_failure(p, &err, "Error killing pod, retrying");
        if (r <= 0) {
                poke_after(p, KILL_CHECK_USEC);
                return false;
        }
        kc_prober_remove_pod(p->k->prober, w->uid);
        if (!fetch(p))
                return false;
        if (kc_pod_runtime_any_running(w->rt)) {
                kc_workers_poke(p->k, w->uid);
                return false;
        }
        if (p->pod)
                (void)publish(p, true);
        kc_workers_set_state(p->k, w, KC_WORKER_TERMINATED);
        return true;
}

/* Everything but containers goes; true when it has. */
static bool clean_up(struct pass *p)
{
        struct kc_worker *w = p->w;
        struct kc_error err = KC_ERROR_INIT;
        int r = kc_volumes_teardown_pod(p->k->volumes, w->uid, &err);
        if (r == 0) {
                static const char *const classes[] = {"Guaranteed", "Burstable", "BestEffort"};
                for (size_t i = 0; r == 0 && i < KC_ARRAY_LEN(classes); i++)
                        r = kc_runtime_remove_cgroup(p->k->runtime, w->uid, classes[i], &err);
        }
        if (r < 0) {
                log_failure(p, &err, "Failed to clean up after a terminated pod, retrying");
                poke_after(p, NETWORK_RETRY_USEC);
                return false;
        }
        if (p->pod) {
                struct json_object *status = generate(p, true);
                kc_status_terminate(status, p->pod);
                kc_status_manager_finish(p->k->statuses, p->object, status);
        }
        kc_workers_set_state(p->k, w, KC_WORKER_FINISHED);
        return true;
}

/* Its source has let go: nothing of it stays but what the status said. */
static void remove_rest(struct pass *p)
{
        struct kc_worker *w = p->w;
        struct kc_error err = KC_ERROR_INIT;
        KC_CLEANUP(kc_freep) char *dir = kc_pod_dir(p->k->config->root_dir, w->uid);
        int r = kc_runtime_remove_pod(p->k->runtime, w->rt, true, &err);
        if (r == 0)
                r = kc_rm_rf(dir, &err);
        if (r == 0 && p->pod && w->is_static && p->k->rest)
                r = kc_mirror_delete(p->k, kc_meta_namespace(p->pod), kc_meta_name(p->pod), w->uid, &err);
        if (r < 0) {
                log_failure(p, &err, "Failed to remove what is left of a pod, retrying");
                poke_after(p, RETRY_USEC);
                return;
        }
        kc_pleg_forget(p->k->pleg, w->uid);
        kc_runtime_forget_pod(p->k->runtime, w->uid);
        kc_workers_drop(p->k, w);
}

/* Two static pods of one name (an edited manifest): the new one waits for the end of the old one. */
static bool may_begin(struct pass *p)
{
        struct kc_worker *w = p->w;
        size_t it = 0;
        const char *uid;
        void *value;
        bool taken = false;
        pthread_mutex_lock(&p->k->mutex);
        while (!w->begun && w->is_static && !taken && kc_map_next(p->k->workers, &it, &uid, &value)) {
                const struct kc_worker *o = value;
                taken = o != w && o->is_static && o->begun && o->pod && o->state != KC_WORKER_FINISHED &&
                        kc_streq(kc_object_name(o->pod), kc_object_name(p->object)) &&
                        kc_streq(kc_object_namespace(o->pod), kc_object_namespace(p->object));
        }
        w->begun |= !taken;
        pthread_mutex_unlock(&p->k->mutex);
        if (taken)
                poke_after(p, NETWORK_RETRY_USEC);
        return !taken;
}

static void step(struct pass *p)
{
        struct kc_worker *w = p->w;
        if (w->state == KC_WORKER_SYNCING) {
                if (p->object && !p->gone && !may_begin(p))
                        return;
                if (p->object && !sync_running(p))
                        return;
                kc_workers_set_state(p->k, w, KC_WORKER_TERMINATING);
        }
        if (w->state == KC_WORKER_TERMINATING && !terminate(p))
                return;
        if (w->state == KC_WORKER_TERMINATED && !clean_up(p))
                return;
        if (p->gone)
                remove_rest(p);
        else
                kc_status_manager_poke(p->k->statuses, w->uid); /* deleted since: the API object may go */
}

int kc_pod_sync_key(void *arg, const char *uid, struct kc_error *err)
{
        struct kc_kubelet *k = arg;
        (void)err;
        if (atomic_load(&k->stopping))
                return 0;
        if (!kc_node_runtime_name(k->node)) {
                kc_workers_poke_after(k, uid, FIRST_LOOK_USEC); /* the runtime has not answered yet */
                return 0;
        }
        struct kc_object *object = NULL; /* the pass's, which may replace it */
        struct kc_worker *w = kc_workers_begin(k, uid, &object);
        if (!w)
                return 0;
        pthread_mutex_lock(&k->mutex);
        struct pass p = {.k = k,
            .w = w,
            .object = object,
            .pod = object ? kc_object_json(object) : NULL,
            .gone = w->gone,
            .fail_reason = w->fail_reason,
            .fail_message = w->fail_message,
            .fail_grace = w->fail_grace};
        pthread_mutex_unlock(&k->mutex);
        if (fetch(&p))
                step(&p);
        kc_object_unref(p.object);
        return 0;
}
