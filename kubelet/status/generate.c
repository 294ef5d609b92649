/* Statuses of containers and of the pod. Pure. */
#include "kubelet/status/generate.h"

#include "base/mem.h"
#include "base/str.h"
#include "kubelet/pod/pod.h"
#include "kubelet/runtime/actions.h"

#define UNKNOWN_REASON "ContainerStatusUnknown"
#define UNKNOWN_TERMINATED "The container could not be located when the pod was terminated"
#define UNKNOWN_DELETED "The container could not be located when the pod was deleted.  The container used to be Running"
enum { UNKNOWN_EXIT_CODE = 137 };

static void set_time(struct json_object *o, const char *key, kc_time t)
{
        char buf[KC_TIME_LEN];
        if (t > 0)
                kc_json_set_str(o, key, kc_time_format(t, buf));
        else
                kc_json_set(o, key, NULL);
}

static char *container_id(const struct kc_status_input *in, const struct kc_rt_container *c)
{
        return kc_asprintf("%s://%s", in->runtime_name, c->id);
}

/* {"running":{...}} and so on, as ContainerState. */
static struct json_object *state_of(const struct kc_status_input *in, const struct kc_rt_container *c)
{
        if (c->state == KC_STATE_RUNNING) {
                struct json_object *s = kc_json_build("{'running':{}}");
                set_time(kc_json_get_mut(s, "running"), "startedAt", c->started_at);
                return s;
        }
        if (c->state == KC_STATE_CREATED)
                return kc_json_build("{'waiting':{'reason':'ContainerCreating'}}");
        KC_CLEANUP(kc_freep) char *id = container_id(in, c);
        const char *reason = c->reason;
        if (kc_str_empty(reason))
                reason = c->exit_code == 0 ? "Completed" : "Error";
        struct json_object *s =
            kc_json_build("{'terminated':{'exitCode':%d,'reason':%s,'containerID':%s}}", c->exit_code, reason, id);
        struct json_object *t = kc_json_get_mut(s, "terminated");
        if (!kc_str_empty(c->message))
                kc_json_set_str(t, "message", c->message);
        set_time(t, "startedAt", c->started_at);
        set_time(t, "finishedAt", c->finished_at);
        return s;
}

static struct json_object *unknown_end(const char *message)
{
        return kc_json_build(
            "{'terminated':{'exitCode':%d,'reason':%s,'message':%s,'startedAt':null,'finishedAt':null}}",
            UNKNOWN_EXIT_CODE, UNKNOWN_REASON, message);
}

/* A container that the runtime does not have (yet, or any more). */
static struct json_object *status_without_container(
    const struct kc_status_input *in, const struct json_object *container, bool init, const struct json_object *old)
{
        bool initializing = kc_json_len(kc_json_at(in->pod, "spec.initContainers")) > 0;
        struct json_object *s =
            kc_json_build("{'name':%s,'image':%s,'imageID':'','ready':false,'restartCount':0,'started':false,"
                          "'lastState':{},'state':{'waiting':{'reason':%s}}}",
                kc_json_str(container, "name"), kc_json_str(container, "image") ?: "",
                initializing ? "PodInitializing" : "ContainerCreating");
        if (!old)
                return s;
        if (kc_json_at(old, "state.terminated") &&
            (init || in->terminal || !kc_container_should_start(in->pod, container, NULL))) {
                kc_json_free(s);
                s = kc_json_copy(old);
                kc_json_set_bool(s, "started", false);
                return s;
        }
        int64_t count = kc_json_int(old, "restartCount", 0);
        const struct json_object *last = kc_json_get(old, "lastState");
        if (last)
                kc_json_set(s, "lastState", kc_json_copy(last));
        if (kc_json_at(old, "state.terminated")) {
                kc_json_set(s, "lastState", kc_json_copy(kc_json_get(old, "state")));
        } else if (kc_json_at(old, "state.running")) {
                if (in->terminal)
                        kc_json_set(s, "state", unknown_end(UNKNOWN_TERMINATED));
                else
                        kc_json_set(s, "lastState", unknown_end(UNKNOWN_DELETED));
                count++;
        }
        kc_json_set_int(s, "restartCount", count);
        return s;
}

static enum kc_probe_result probe(
    const struct kc_status_input *in, enum kc_probe_kind kind, const struct kc_rt_container *c)
{
        return in->probe ? in->probe(in->probe_arg, kind, c->id) : KC_PROBE_UNKNOWN;
}

/* A probe's verdict. Before its first one (restart of the kubelet), what the last status said of this very instance. */
static bool passed(const struct kc_status_input *in, const struct json_object *container, enum kc_probe_kind kind,
    const struct kc_rt_container *c, const struct json_object *old)
{
        bool startup = kind == KC_PROBE_STARTUP;
        if (!kc_json_get(container, startup ? "startupProbe" : "readinessProbe"))
                return true;
        enum kc_probe_result result = probe(in, kind, c);
        if (result != KC_PROBE_UNKNOWN)
                return result == KC_PROBE_SUCCESS;
        KC_CLEANUP(kc_freep) char *id = container_id(in, c);
        return kc_streq(kc_json_str(old, "containerID"), id) && kc_json_bool(old, startup ? "started" : "ready", false);
}

static void set_readiness(struct json_object *s, const struct kc_status_input *in, const struct json_object *container,
    bool init, const struct kc_rt_container *c, const struct json_object *old)
{
        bool sidecar = kc_container_is_sidecar(container);
        bool running = c->state == KC_STATE_RUNNING;
        if (init && !sidecar) {
                kc_json_set_bool(s, "ready", c->state == KC_STATE_EXITED && c->exit_code == 0);
                kc_json_set_bool(s, "started", running);
                return;
        }
        bool started = running && passed(in, container, KC_PROBE_STARTUP, c, old);
        kc_json_set_bool(s, "started", started);
        kc_json_set_bool(s, "ready", started && passed(in, container, KC_PROBE_READINESS, c, old));
}

/* What the container runs with; what it has been allocated are the requests of the spec as the kubelet admitted it. */
static void set_resources(struct json_object *s, const struct json_object *container, const struct kc_status_input *in)
{
        const struct json_object *allocated = kc_json_at(container, "resources.requests");
        const struct json_object *resources =
            in->sync ? kc_json_get(in->sync->actuated, kc_json_str(container, "name")) : NULL;
        if (!resources)
                resources = kc_json_get(container, "resources");
        const struct json_object *requests = kc_json_get(resources, "requests");
        struct json_object *shown = json_object_new_object();
        if (kc_json_n_keys(kc_json_get(resources, "limits")) > 0)
                kc_json_set(shown, "limits", kc_json_copy(kc_json_get(resources, "limits")));
        if (kc_json_n_keys(requests) > 0)
                kc_json_set(shown, "requests", kc_json_copy(requests));
        if (kc_json_n_keys(allocated) > 0)
                kc_json_set(s, "allocatedResources", kc_json_copy(allocated));
        kc_json_set(s, "resources", shown);
}

static void set_mounts(struct json_object *s, const struct json_object *container)
{
        const struct json_object *mounts = kc_json_get(container, "volumeMounts");
        if (kc_json_len(mounts) == 0)
                return;
        struct json_object *shown = json_object_new_array();
        for (size_t i = 0; i < kc_json_len(mounts); i++) {
                const struct json_object *m = kc_json_idx(mounts, i);
                struct json_object *e =
                    kc_json_build("{'name':%s,'mountPath':%s}", kc_json_str(m, "name"), kc_json_str(m, "mountPath"));
                if (kc_json_bool(m, "readOnly", false)) {
                        kc_json_set_bool(e, "readOnly", true);
                        kc_json_set_str(e, "recursiveReadOnly", "Disabled");
                }
                kc_json_push(shown, e);
        }
        kc_json_set(s, "volumeMounts", shown);
}

/* The newest ended instance before the current one. */
static const struct kc_rt_container *previous(const struct kc_pod_runtime *rt, const struct kc_rt_container *current)
{
        bool passed = false;
        for (size_t i = 0; i < rt->n_containers; i++) {
                const struct kc_rt_container *c = &rt->containers[i];
                if (c == current)
                        passed = true;
                else if (passed && kc_streq(c->name, current->name) && c->state == KC_STATE_EXITED)
                        return c;
        }
        return NULL;
}

static struct json_object *status_of(
    const struct kc_status_input *in, const struct json_object *container, bool init, const struct json_object *old)
{
        const char *name = kc_json_str(container, "name");
        const struct kc_rt_container *c = kc_pod_runtime_container(in->rt, name);
        if (!c)
                return status_without_container(in, container, init, old);
        KC_CLEANUP(kc_freep) char *id = container_id(in, c);
        struct json_object *s = kc_json_build("{'name':%s,'image':%s,'imageID':%s,'containerID':%s,'restartCount':%d}", name,
            !kc_str_empty(c->image) ? c->image : kc_json_str(container, "image") ?: "", c->image_ref, id, c->restart_count);
        kc_json_set(s, "state", state_of(in, c));
        const struct kc_rt_container *before = previous(in->rt, c);
        const struct json_object *last = kc_json_get(old, "lastState");
        if (before)
                kc_json_set(s, "lastState", state_of(in, before));
        else if (last && c->restart_count > 0)
                kc_json_set(s, "lastState", kc_json_copy(last));
        else
                kc_json_set(s, "lastState", json_object_new_object());
        set_readiness(s, in, container, init, c, old);
        return s;
}

/* A container that the next sync will start waits for the reason that the last sync ended with. */
static void overlay_waiting(
    struct json_object *s, const struct kc_status_input *in, const struct json_object *container)
{
        const char *name = kc_json_str(container, "name");
        const struct kc_start_reason *why = kc_pod_sync_reason(in->sync, name);
        if (!why || in->terminal ||
            !kc_container_should_start(in->pod, container, kc_pod_runtime_container(in->rt, name)))
                return;
        if (kc_json_at(s, "state.terminated"))
                kc_json_set(s, "lastState", kc_json_copy(kc_json_get(s, "state")));
        struct json_object *waiting = kc_json_build("{'waiting':{'reason':%s}}", why->reason);
        if (!kc_str_empty(why->message))
                kc_json_set_str(kc_json_get_mut(waiting, "waiting"), "message", why->message);
        kc_json_set(s, "state", waiting);
        kc_json_set_bool(s, "ready", false);
        kc_json_set_bool(s, "started", false);
}

static int by_name(const void *a, const void *b)
{
        struct json_object *const *x = a, *const *y = b;
        return kc_strcmp(kc_json_str(*x, "name"), kc_json_str(*y, "name"));
}

static void add_statuses(struct json_object *status, const struct kc_status_input *in, const char *spec_list,
    const char *status_list, bool init, bool sorted)
{
        const struct json_object *specs = kc_json_get(kc_json_get(in->pod, "spec"), spec_list);
        const struct json_object *old = kc_json_get(in->old, status_list);
        if (kc_json_len(specs) == 0)
                return;
        struct json_object *list = json_object_new_array();
        for (size_t i = 0; i < kc_json_len(specs); i++) {
                const struct json_object *container = kc_json_idx(specs, i);
                struct json_object *s =
                    status_of(in, container, init, kc_json_find(old, "name", kc_json_str(container, "name")));
                overlay_waiting(s, in, container);
                set_resources(s, container, in);
                set_mounts(s, container);
                kc_json_push(list, s);
        }
        if (sorted)
                json_object_array_sort(list, by_name);
        kc_json_set(status, status_list, list);
}

static void add_ips(struct json_object *status, const char *one, const char *all, char *const *ips)
{
        if (kc_strv_len(ips) == 0)
                return;
        kc_json_set_str(status, one, ips[0]);
        struct json_object *list = json_object_new_array();
        for (size_t i = 0; ips[i]; i++)
                kc_json_push(list, kc_json_build("{'ip':%s}", ips[i]));
        kc_json_set(status, all, list);
}

static void add_addresses(struct json_object *status, const struct kc_status_input *in)
{
        add_ips(status, "hostIP", "hostIPs", in->host_ips);
        const struct kc_rt_sandbox *sandbox = in->rt && in->rt->n_sandboxes > 0 ? &in->rt->sandboxes[0] : NULL;
        if (kc_pod_is_host_network(in->pod)) {
                if (sandbox || kc_json_get(in->old, "podIP"))
                        add_ips(status, "podIP", "podIPs", in->host_ips);
        } else if (sandbox && kc_strv_len(sandbox->ips) > 0) {
                add_ips(status, "podIP", "podIPs", sandbox->ips);
        } else if (kc_json_get(in->old, "podIPs") && (in->terminal || kc_pod_is_terminal(in->pod))) {
                /* An ended pod keeps the addresses it had. */
                kc_json_set(status, "podIP", kc_json_copy(kc_json_get(in->old, "podIP")));
                kc_json_set(status, "podIPs", kc_json_copy(kc_json_get(in->old, "podIPs")));
        }
}

static void set_phase(struct json_object *status, const struct kc_status_input *in)
{
        const char *was = kc_json_str(in->old, "phase");
        if (in->fail_reason) {
                kc_json_set_str(status, "phase", "Failed");
                kc_json_set_str(status, "reason", in->fail_reason);
                kc_json_set_str(status, "message", in->fail_message);
                return;
        }
        /* An end is final. */
        bool ended = kc_streq(was, "Failed") || kc_streq(was, "Succeeded");
        kc_json_set_str(status, "phase", ended ? was : kc_status_phase(status, in->pod, in->terminal));
        if (ended) {
                kc_json_set_str(status, "reason", kc_json_str(in->old, "reason"));
                kc_json_set_str(status, "message", kc_json_str(in->old, "message"));
        }
}

struct json_object *kc_status_generate(const struct kc_status_input *in)
{
        struct json_object *status = json_object_new_object();
        int64_t generation = kc_meta_generation(in->pod);
        if (generation > 0)
                kc_json_set_int(status, "observedGeneration", generation);
        add_statuses(status, in, "initContainers", "initContainerStatuses", true, false);
        add_statuses(status, in, "containers", "containerStatuses", false, true);
        add_statuses(status, in, "ephemeralContainers", "ephemeralContainerStatuses", false, true);
        set_phase(status, in);
        kc_status_add_conditions(status, in);
        add_addresses(status, in);
        char now[KC_TIME_LEN];
        kc_json_set_str(status, "startTime", kc_json_str(in->old, "startTime") ?: kc_time_format(in->now, now));
        kc_json_set_str(status, "qosClass", kc_pod_qos(in->pod));
        return status;
}

/* Containers of the list before index n that have not ended. */
static void end_unknown(struct json_object *list, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                struct json_object *s = kc_json_idx_mut(list, i);
                if (kc_json_at(s, "state.terminated"))
                        continue;
                kc_json_set(s, "state", unknown_end(UNKNOWN_TERMINATED));
                kc_json_set_bool(s, "ready", false);
                kc_json_set_bool(s, "started", false);
        }
}

static bool has_run(const struct json_object *s)
{
        return kc_json_at(s, "state.running") || kc_json_at(s, "state.terminated") ||
               kc_json_at(s, "lastState.terminated");
}

void kc_status_terminate(struct json_object *status, const struct json_object *pod)
{
        struct json_object *inits = kc_json_get_mut(status, "initContainerStatuses");
        struct json_object *apps = kc_json_get_mut(status, "containerStatuses");
        bool initialized =
            kc_json_len(kc_json_at(pod, "spec.initContainers")) == 0 || kc_condition_is_true(status, "Initialized");
        if (initialized)
                end_unknown(apps, kc_json_len(apps));
        size_t last = kc_json_len(inits);
        while (last > 0 && !initialized && !has_run(kc_json_idx(inits, last - 1)))
                last--;
        end_unknown(inits, last);
        const char *phase = kc_json_str(status, "phase");
        if (!kc_streq(phase, "Succeeded") && !kc_streq(phase, "Failed"))
                kc_json_set_str(status, "phase", "Failed");
}
