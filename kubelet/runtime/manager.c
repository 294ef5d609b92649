/* The runtime manager's life, and ending pods. Thread: any worker. */
#include <errno.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "kubelet/pod/pod.h"
#include "kubelet/runtime/runtime_internal.h"

#define INITIAL_BACKOFF_USEC (10 * KC_SEC)
#define MAX_BACKOFF_USEC (300 * KC_SEC)

int kc_runtime_new(const struct kc_runtime_opts *o, struct kc_runtime **ret, struct kc_error *err)
{
        int res = kc_mkdir_p(o->container_logs_dir, 0755, err);
        if (res == 0)
                res = kc_mkdir_p(o->pod_logs_dir, 0755, err);
        if (res < 0)
                return res;
        struct kc_runtime *r = KC_NEW(struct kc_runtime);
        r->o = *o;
        int64_t max = o->max_backoff_usec > 0 ? o->max_backoff_usec : MAX_BACKOFF_USEC;
        r->crash_backoff = kc_backoff_new(KC_MIN(INITIAL_BACKOFF_USEC, max), max, o->clock);
        r->kills = kc_kills_new(r);
        struct kc_images_opts io = {.pool = o->pool,
            .cri = o->cri,
            .events = o->events,
            .objects = o->env.objects,
            .max_parallel = o->max_parallel_pulls > 0 ? o->max_parallel_pulls : 1,
            .qps = o->registry_qps,
            .burst = o->registry_burst,
            .max_backoff_usec = MAX_BACKOFF_USEC,
            .clock = o->clock,
            .on_change = o->on_change,
            .arg = o->arg};
        r->images = kc_images_new(&io);
        *ret = r;
        return 0;
}

void kc_runtime_free(struct kc_runtime *r)
{
        if (!r)
                return;
        kc_images_free(r->images);
        kc_kills_free(r->kills);
        kc_backoff_free(r->crash_backoff);
        kc_free(r);
}

void kc_runtime_forget_pod(struct kc_runtime *r, const char *uid)
{
        kc_images_forget_pod(r->images, uid);
        kc_backoff_gc(r->crash_backoff);
}

static bool is_sidecar(const struct json_object *pod, const char *name)
{
        enum kc_container_kind kind;
        const struct json_object *c = pod ? kc_pod_container(pod, name, &kind) : NULL;
        return c && kind == KC_CONTAINER_INIT && kc_container_is_sidecar(c);
}

/* Position among the init containers; sidecars end in reverse order. */
static int sidecar_index(const struct json_object *pod, const char *name)
{
        const struct json_object *inits = kc_json_at(pod, "spec.initContainers");
        for (size_t i = 0; i < kc_json_len(inits); i++)
                if (kc_streq(kc_json_str(kc_json_idx(inits, i), "name"), name))
                        return (int)i;
        return -1;
}

/* Which of the running containers may be stopped now: all but sidecars; of sidecars the last one, when the others are
 * gone. */
static int first_sidecar_to_stop(const struct json_object *pod, const struct kc_pod_runtime *rt)
{
        int last = -1;
        for (size_t i = 0; i < rt->n_containers; i++) {
                const struct kc_rt_container *c = &rt->containers[i];
                if (c->state != KC_STATE_RUNNING)
                        continue;
                if (!is_sidecar(pod, c->name))
                        return -1;
                last = KC_MAX(last, sidecar_index(pod, c->name));
        }
        return last;
}

static int stop_sandboxes(
    struct kc_runtime *r, const struct json_object *pod, const struct kc_pod_runtime *rt, struct kc_error *err)
{
        for (size_t i = 0; i < rt->n_sandboxes; i++) {
                if (!rt->sandboxes[i].ready)
                        continue;
                int res = kc_cri_stop_pod_sandbox(r->o.cri, rt->sandboxes[i].id, err);
                if (res == -ENOENT)
                        continue;
                if (res < 0) {
                        if (pod)
                                kc_kubelet_event_pod(r->o.events, pod, NULL, KC_EVENT_WARNING, "FailedKillPod",
                                    "error killing pod: failed to \"KillPodSandbox\" for \"%s\" with "
                                    "KillPodSandboxError: \"%s\"",
                                    rt->uid, kc_error_message(err));
                        return kc_error_wrap(err, "stop pod sandbox %s", rt->sandboxes[i].id);
                }
        }
        return 1;
}

int kc_runtime_kill_pod(struct kc_runtime *r, struct kc_object *pod, const struct kc_pod_runtime *rt,
    int64_t grace_seconds, kc_time started, struct kc_error *err)
{
        const struct json_object *spec = pod ? kc_object_json(pod) : NULL;
        const char *ip = rt->n_sandboxes > 0 && rt->sandboxes[0].ips ? rt->sandboxes[0].ips[0]
                                                                     : kc_json_str_at(spec, "status.podIP");
        int sidecar = spec ? first_sidecar_to_stop(spec, rt) : -1;
        size_t running = 0;
        for (size_t i = 0; i < rt->n_containers; i++) {
                const struct kc_rt_container *c = &rt->containers[i];
                if (c->state != KC_STATE_RUNNING && c->state != KC_STATE_UNKNOWN)
                        continue;
                running++;
                int64_t grace = grace_seconds;
                if (is_sidecar(spec, c->name)) {
                        if (sidecar_index(spec, c->name) != sidecar)
                                continue;
                        /* What the others have left of the pod's time. */
                        int64_t total = grace >= 0 ? grace : kc_pod_grace_seconds(spec);
                        int64_t elapsed = started ? (kc_clock_now(r->o.clock) - started) / KC_SEC : 0;
                        grace = KC_MAX(total - elapsed, (int64_t)2);
                }
                kc_kills_start(r->kills, pod, rt->uid, c, ip, grace, KC_KILL_CHANGED, NULL);
        }
        if (running > 0)
                return 0;
        return stop_sandboxes(r, spec, rt, err);
}

int kc_runtime_remove_pod(struct kc_runtime *r, const struct kc_pod_runtime *rt, bool delete_logs, struct kc_error *err)
{
        for (size_t i = 0; i < rt->n_containers; i++) {
                int res = kc_cri_remove_container(r->o.cri, rt->containers[i].id, err);
                if (res < 0 && res != -ENOENT)
                        return kc_error_wrap(err, "remove container %s", rt->containers[i].id);
        }
        for (size_t i = 0; i < rt->n_sandboxes; i++) {
                int res = kc_cri_remove_pod_sandbox(r->o.cri, rt->sandboxes[i].id, err);
                if (res < 0 && res != -ENOENT)
                        return kc_error_wrap(err, "remove pod sandbox %s", rt->sandboxes[i].id);
        }
        kc_error_done(err);
        if (!delete_logs || kc_str_empty(rt->name))
                return 0;
        KC_CLEANUP(kc_freep)
        char *logs = kc_asprintf("%s/%s_%s_%s", r->o.pod_logs_dir, rt->ns, rt->name, rt->uid);
        return kc_rm_rf(logs, err);
}
