/* One step of a pod towards its spec: kill what must go, make the sandbox, start what is next. Thread: the pod's
 * worker. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"
#include "base/str.h"
#include "daemon/metrics.h"
#include "kubelet/pod/pod.h"
#include "kubelet/pod/resize.h"
#include "kubelet/prober/lifecycle.h"
#include "kubelet/runtime/runtime_internal.h"

#define RETRY_USEC (10 * KC_SEC)

struct step {
        struct kc_runtime *r;
        struct kc_object *object;
        const struct json_object *pod;
        const struct kc_pod_runtime *rt;
        struct kc_pod_facts facts;
        struct kc_pod_sync *sync;
        char *sandbox_id;
        char **ips; /* of the sandbox; NULL for host-network pods */
};

static void retry_at(struct kc_pod_sync *s, kc_time t)
{
        if (s->retry_at == 0 || t < s->retry_at)
                s->retry_at = t;
}

static void retry_later(struct step *st)
{
        retry_at(st->sync, kc_clock_now(st->r->o.clock) + kc_jitter(RETRY_USEC, 0.5));
}

/* --- Sandbox */

static int read_ips(struct step *st, struct kc_error *err)
{
        KC_CLEANUP(kc_cri_free_msgp) Runtime__V1__PodSandboxStatusResponse *resp = NULL;
        int res = kc_cri_pod_sandbox_status(st->r->o.cri, st->sandbox_id, false, &resp, err);
        if (res < 0)
                return res;
        const Runtime__V1__PodSandboxNetworkStatus *n = resp->status ? resp->status->network : NULL;
        if (n && !kc_str_empty(n->ip)) {
                kc_strv_push(&st->ips, n->ip);
                for (size_t i = 0; i < n->n_additional_ips; i++)
                        kc_strv_push(&st->ips, n->additional_ips[i]->ip);
        }
        return 0;
}

static void count_pod(bool failed)
{
        kc_metric_add(
            kc_metric_counter("kubelet_started_pods_total", "Cumulative number of pods started", NULL), 1, NULL);
        if (failed)
                kc_metric_add(kc_metric_counter("kubelet_started_pods_errors_total",
                                  "Cumulative number of errors when starting pods", NULL),
                    1, NULL);
}

static int create_sandbox(struct step *st, uint32_t attempt, struct kc_error *err)
{
        struct kc_runtime *r = st->r;
        if (st->rt && st->rt->n_sandboxes > 0)
                kc_kubelet_event_pod(r->o.events, st->pod, NULL, KC_EVENT_NORMAL, "SandboxChanged",
                    "Pod sandbox changed, it will be killed and re-created.");
        KC_CLEANUP(kc_arena_done) struct kc_arena arena = {0};
        kc_cri_sandbox_config *config = NULL;
        KC_CLEANUP(kc_freep) char *dir = kc_pod_dir(r->o.root_dir, kc_meta_uid(st->pod));
        KC_CLEANUP(kc_freep) char *logs = kc_pod_log_dir(r->o.pod_logs_dir, st->pod);
        int res = kc_mkdir_p(dir, 0750, err);
        if (res == 0)
                res = kc_mkdir_p(logs, 0755, err);
        if (res == 0)
                res = kc_pod_cgroup_ensure(r, st->pod, err);
        if (res == 0)
                res = kc_sandbox_config_make(r, st->pod, attempt, &arena, &config, err);
        if (res == 0)
                res = kc_cri_run_pod_sandbox(
                    r->o.cri, config, kc_json_str_at(st->pod, "spec.runtimeClassName") ?: "", &st->sandbox_id, err);
        if (res == 0)
                res = read_ips(st, err);
        if (res < 0)
                kc_kubelet_event_pod(r->o.events, st->pod, NULL, KC_EVENT_WARNING, "FailedCreatePodSandBox",
                    "Failed to create pod sandbox: %s", kc_error_message(err));
        st->sync->changed = true;
        count_pod(res < 0);
        return res;
}

static int write_hosts(struct step *st, struct kc_error *err)
{
        struct kc_runtime *r = st->r;
        KC_CLEANUP(kc_freep) char *path = kc_pod_hosts_path(r->o.root_dir, kc_meta_uid(st->pod));
        KC_CLEANUP(kc_freep) char *hostname = NULL, *domain = NULL;
        KC_CLEANUP(kc_freep) char *dir = kc_pod_dir(r->o.root_dir, kc_meta_uid(st->pod));
        int res = kc_mkdir_p(dir, 0750, err);
        if (res < 0)
                return res;
        res = kc_pod_hostname(st->pod, r->o.node_name, r->o.dns.cluster_domain, &hostname, &domain, err);
        if (res < 0)
                return res;
        return kc_pod_hosts_write(path, st->facts.pod_ips, hostname, domain, kc_json_at(st->pod, "spec.hostAliases"),
            kc_pod_is_host_network(st->pod), err);
}

/* --- Containers */

static void count_container(const struct step *st, const char *name)
{
        static const char *const labels[] = {"container_type", NULL};
        static const char *const types[] = {"container", "init_container", "ephemeral_container"};
        enum kc_container_kind kind = KC_CONTAINER_APP;
        (void)kc_pod_container(st->pod, name, &kind); /* it is one of the pod's */
        kc_metric_add(
            kc_metric_counter("kubelet_started_containers_total", "Cumulative number of containers started", labels), 1,
            KC_LABELS(types[kind]));
}

static char *crash_key(const struct step *st, const struct json_object *container)
{
        return kc_asprintf("%s_%s_%s_%s_%x", kc_meta_uid(st->pod), kc_meta_name(st->pod),
            kc_meta_namespace(st->pod) ?: "", kc_json_str(container, "name"), kc_container_hash(container));
}

/* True when the container has to wait; else the attempt is counted. */
static bool in_crash_backoff(struct step *st, const struct json_object *container, const struct kc_rt_container *last)
{
        if (!last || last->state != KC_STATE_EXITED)
                return false;
        struct kc_runtime *r = st->r;
        const char *name = kc_json_str(container, "name");
        KC_CLEANUP(kc_freep) char *key = crash_key(st, container);
        int64_t left = kc_backoff_remaining(r->crash_backoff, key, last->finished_at);
        if (left == 0) {
                kc_backoff_next(r->crash_backoff, key, last->finished_at);
                return false;
        }
        KC_CLEANUP(kc_freep) char *pod = kc_pod_format(st->pod);
        char delay[KC_TIME_LEN];
        KC_CLEANUP(kc_freep)
        char *message = kc_asprintf("back-off %s restarting failed container=%s pod=%s",
            kc_duration_format(kc_backoff_get(r->crash_backoff, key), delay), name, pod);
        kc_kubelet_event_pod(r->o.events, st->pod, name, KC_EVENT_WARNING, "BackOff",
            "Back-off restarting failed container %s in pod %s", name, pod);
        kc_pod_sync_set_reason(st->sync, name, "CrashLoopBackOff", message);
        retry_at(st->sync, kc_clock_now(r->o.clock) + left);
        return true;
}

/* One more than the newest instance's, or than the newest log when the runtime has forgotten it. */
static int next_restart_count(
    const struct step *st, const struct json_object *container, const struct kc_rt_container *last)
{
        if (last)
                return last->restart_count + 1;
        KC_CLEANUP(kc_freep) char *logs = kc_pod_log_dir(st->r->o.pod_logs_dir, st->pod);
        KC_CLEANUP(kc_freep) char *dir = kc_path_join(logs, kc_json_str(container, "name"));
        int count = 0;
        DIR *d = opendir(dir);
        for (struct dirent *e; d && (e = readdir(d));) {
                char *end;
                long n = strtol(e->d_name, &end, 10);
                if (end != e->d_name && kc_str_has_prefix(end, ".log") && n + 1 > count && n < INT32_MAX)
                        count = (int)n + 1;
        }
        if (d)
                closedir(d);
        return count;
}

/* /var/log/containers/<pod>_<ns>_<container>-<id>.log, where log collectors look. */
static void link_log(struct step *st, const struct json_object *container, const char *id,
    const kc_cri_sandbox_config *sandbox, int count)
{
        const char *name = kc_json_str(container, "name");
        KC_CLEANUP(kc_freep)
        char *link = kc_asprintf("%s/%s_%s_%s-%s.log", st->r->o.container_logs_dir, kc_meta_name(st->pod),
            kc_meta_namespace(st->pod) ?: "default", name, id);
        KC_CLEANUP(kc_freep) char *file = kc_container_log_path(name, count);
        KC_CLEANUP(kc_freep) char *target = kc_path_join(sandbox->log_directory, file);
        if (symlink(target, link) < 0 && errno != EEXIST)
                kc_log_warn("Could not link the container's log, ignoring", "link", link, "err", strerror(errno));
}

static int run_post_start(struct step *st, const struct json_object *container, const char *id)
{
        const struct json_object *hook = kc_json_at(container, "lifecycle.postStart");
        if (!hook)
                return 0;
        struct kc_runtime *r = st->r;
        const char *name = kc_json_str(container, "name");
        struct kc_probe_env env = {.cri = r->o.cri,
            .loop = r->o.loop,
            .pod_ip = st->facts.pod_ips ? st->facts.pod_ips[0] : NULL,
            .container_id = id,
            .pod = st->pod,
            .container = container};
        struct kc_error err = KC_ERROR_INIT;
        int res = kc_lifecycle_run(&env, hook, 0, &err);
        if (res == 0)
                return 0;
        kc_log_error(&err, "Failed to execute PostStartHook", "pod", kc_meta_name(st->pod), "containerName", name);
        kc_kubelet_event_pod(
            r->o.events, st->pod, name, KC_EVENT_WARNING, "FailedPostStartHook", "PostStartHook failed");
        kc_pod_sync_set_reason(st->sync, name, "PostStartHookError", kc_error_message(&err));
        kc_error_done(&err);
        struct kc_rt_container c = {.id = (char *)id, .name = (char *)name, .grace_seconds = -1};
        kc_kills_start(
            r->kills, st->object, kc_meta_uid(st->pod), &c, env.pod_ip, -1, KC_KILL_CHANGED, "FailedPostStartHook");
        return res;
}

struct launch {
        struct kc_env env;
        struct kc_volume_mounts mounts;
        struct kc_image_result image;
        struct kc_arena arena;
        kc_cri_container_config *config;
        kc_cri_sandbox_config *sandbox;
        int count;
};

static void launch_done(struct launch *l)
{
        kc_arena_done(&l->arena);
        kc_env_done(&l->env);
        kc_volume_mounts_done(&l->mounts);
        kc_image_result_done(&l->image);
}

/* Everything up to the CRI messages; errors are the container's configuration. */
static int prepare(
    struct step *st, const struct json_object *container, uint32_t attempt, struct launch *l, struct kc_error *err)
{
        struct kc_runtime *r = st->r;
        KC_CLEANUP(kc_strv_freep) char **invalid = NULL;
        int res = kc_env_make(&r->o.env, st->pod, container, &st->facts, &l->env, &invalid, err);
        if (res < 0)
                return res;
        if (kc_strv_len(invalid) > 0) {
                KC_CLEANUP(kc_freep) char *names = kc_strv_join(invalid, ", ");
                kc_kubelet_event_pod(r->o.events, st->pod, NULL, KC_EVENT_WARNING, "InvalidEnvironmentVariableNames",
                    "Keys [%s] from the EnvFrom sources were skipped since they are considered invalid environment "
                    "variable names.",
                    names);
        }
        res = kc_volumes_container_mounts(r->o.volumes, st->pod, container, &l->env, &l->mounts, err);
        if (res < 0)
                return res;
        const char *target = kc_json_str(container, "targetContainerName");
        const struct kc_rt_container *t = target ? kc_pod_runtime_container(st->rt, target) : NULL;
        if (target && (!t || t->state != KC_STATE_RUNNING))
                return kc_error_set(err, ENOENT, "unable to find target container %s", target);
        struct kc_container_input in = {.pod = st->pod,
            .container = container,
            .env = &l->env,
            .mounts = &l->mounts,
            .image_ref = l->image.ref,
            .image_uid = l->image.uid,
            .image_user = l->image.user,
            .restart_count = l->count,
            .target_id = t ? t->id : NULL};
        res = kc_container_config_make(r, &in, &l->arena, &l->config, err);
        return res < 0 ? res : kc_sandbox_config_make(r, st->pod, attempt, &l->arena, &l->sandbox, err);
}

/* The next try of this container: not with every event of the pod's other containers. */
static void delay(struct step *st, const struct json_object *container)
{
        kc_time t = kc_clock_now(st->r->o.clock) + kc_jitter(RETRY_USEC, 0.5);
        kc_pod_sync_delay(st->sync, kc_json_str(container, "name"), t, kc_container_hash(container));
        retry_at(st->sync, t);
}

static bool delayed(struct step *st, const struct json_object *container)
{
        const struct kc_start_reason *why = kc_pod_sync_reason(st->sync, kc_json_str(container, "name"));
        if (!why || why->not_before <= kc_clock_now(st->r->o.clock) || why->hash != kc_container_hash(container))
                return false;
        retry_at(st->sync, why->not_before);
        return true;
}

static void failed(struct step *st, const struct json_object *container, const char *reason, const char *message)
{
        const char *name = kc_json_str(container, "name");
        kc_kubelet_event_pod(st->r->o.events, st->pod, name, KC_EVENT_WARNING, "Failed", "Error: %s", message);
        kc_pod_sync_set_reason(st->sync, name, reason, message);
        delay(st, container);
}

/* True if the image is there; else the reason is set (or a pull is under way). */
static bool image_ready(struct step *st, const struct json_object *container, struct kc_image_result *image)
{
        int res = kc_images_ensure(st->r->images, st->object, container, image);
        if (res == 0)
                return true;
        if (res == -EINPROGRESS)
                return false;
        const char *name = kc_json_str(container, "name");
        kc_kubelet_event_pod(st->r->o.events, st->pod, name, KC_EVENT_WARNING, "Failed", "Error: %s", image->reason);
        kc_pod_sync_set_reason(st->sync, name, image->reason, image->message);
        if (image->retry_at)
                retry_at(st->sync, image->retry_at);
        else
                delay(st, container);
        return false;
}

static void start_container(struct step *st, const struct json_object *container, uint32_t attempt)
{
        struct kc_runtime *r = st->r;
        const char *name = kc_json_str(container, "name");
        const struct kc_rt_container *last = kc_pod_runtime_container(st->rt, name);
        KC_CLEANUP(launch_done) struct launch l = {0};
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        KC_CLEANUP(kc_freep) char *id = NULL;
        if (last && last->state == KC_STATE_RUNNING)
                return; /* being killed; its end brings us here again */
        if (delayed(st, container) || in_crash_backoff(st, container, last) || !image_ready(st, container, &l.image))
                return;
        l.count = next_restart_count(st, container, last);
        if (prepare(st, container, attempt, &l, &err) < 0) {
                failed(st, container, "CreateContainerConfigError", kc_error_message(&err));
                return;
        }
        st->sync->changed = true;
        if (kc_cri_create_container(r->o.cri, st->sandbox_id, l.config, l.sandbox, &id, &err) < 0) {
                failed(st, container, "CreateContainerError", kc_error_message(&err));
                return;
        }
        kc_kubelet_event_pod(r->o.events, st->pod, name, KC_EVENT_NORMAL, "Created", "Container created");
        if (kc_cri_start_container(r->o.cri, id, &err) < 0) {
                failed(st, container, "RunContainerError", kc_error_message(&err));
                return;
        }
        kc_kubelet_event_pod(r->o.events, st->pod, name, KC_EVENT_NORMAL, "Started", "Container started");
        count_container(st, name);
        kc_resize_record(st->sync, container);
        link_log(st, container, id, l.sandbox, l.count);
        kc_strv_remove(st->sync->restart_anyway, name);
        if (run_post_start(st, container, id) == 0)
                kc_pod_sync_set_reason(st->sync, name, NULL, NULL);
}

static void start_kills(struct step *st, const struct kc_actions *a)
{
        for (size_t i = 0; i < a->n_kill; i++) {
                const struct kc_kill *k = &a->kill[i];
                if (k->restart && !kc_strv_has(st->sync->restart_anyway, k->container->name))
                        kc_strv_push(&st->sync->restart_anyway, k->container->name);
                kc_kills_start(st->r->kills, st->object, kc_meta_uid(st->pod), k->container,
                    st->facts.pod_ips ? st->facts.pod_ips[0] : NULL, -1, k->reason, k->message);
        }
}

/* A resize that fails keeps nothing else from being done. */
static void resize(struct step *st, const struct kc_actions *a)
{
        struct kc_error err = KC_ERROR_INIT;
        if (kc_resize_containers(st->r, st->pod, st->rt, st->sync, a, &err) < 0) {
                kc_log_error(&err, "Could not resize a pod, retrying", "pod", kc_meta_name(st->pod));
                retry_later(st);
        }
        kc_error_done(&err);
}

static int run_step(struct step *st, const struct kc_actions *a, struct kc_error *err)
{
        const struct kc_rt_sandbox *ready = kc_pod_runtime_ready_sandbox(st->rt);
        if (a->kill_pod) {
                int res = kc_runtime_kill_pod(st->r, st->object, st->rt, -1, 0, err);
                if (res <= 0 || !a->create_sandbox)
                        return res < 0 ? res : 0;
        }
        start_kills(st, a);
        resize(st, a);
        if (a->n_start == 0)
                return 0;
        bool host = kc_pod_is_host_network(st->pod);
        if (a->create_sandbox) {
                int res = create_sandbox(st, a->attempt, err);
                if (res < 0)
                        return res;
        } else {
                st->sandbox_id = kc_strdup(ready->id);
                st->ips = ready->ips ? kc_strv_copy(ready->ips) : NULL;
        }
        st->facts.pod_ips = host ? st->facts.host_ips : st->ips;
        int res = write_hosts(st, err);
        if (res < 0)
                return res;
        for (size_t i = 0; i < a->n_start; i++)
                start_container(st, a->start[i], a->attempt);
        return 0;
}

int kc_runtime_sync_pod(struct kc_runtime *r, struct kc_object *pod, const struct kc_pod_runtime *rt,
    const struct kc_pod_facts *facts, struct kc_pod_sync *sync, struct kc_error *err)
{
        struct step st = {.r = r, .object = pod, .pod = kc_object_json(pod), .rt = rt, .facts = *facts, .sync = sync};
        sync->retry_at = 0;
        sync->changed = sync->resized = false;
        if (!sync->actuated)
                sync->actuated = kc_resize_resources(st.pod);
        struct kc_actions a;
        kc_actions_compute(st.pod, rt, r->o.probe, r->o.arg, sync->restart_anyway, sync->actuated, &a);
        int res = run_step(&st, &a, err);
        if (res < 0)
                retry_later(&st);
        kc_actions_done(&a);
        kc_free(st.sandbox_id);
        kc_strv_free(st.ips);
        return res;
}
