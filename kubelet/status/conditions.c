/* The conditions of a pod that the kubelet owns. Pure. */
#include "base/mem.h"
#include "base/str.h"
#include "kubelet/pod/pod.h"
#include "kubelet/status/generate.h"

static const char *const owned[] = {"PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady",
    "PodScheduled", "PodResizePending", "PodResizeInProgress"};

/* Appends; the time of the last change stays if the old condition had the same status. */
static void add(struct json_object *conditions, const struct kc_status_input *in, const char *type, bool value,
    const char *reason, const char *message)
{
        const char *status = value ? "True" : "False";
        const struct json_object *was = kc_condition_get(in->old, type);
        char now[KC_TIME_LEN];
        const char *since =
            kc_streq(kc_json_str(was, "status"), status) ? kc_json_str(was, "lastTransitionTime") : NULL;
        struct json_object *c = kc_json_build("{'type':%s,'status':%s}", type, status);
        kc_json_set_str(c, "lastTransitionTime", since ?: kc_time_format(in->now, now));
        if (!kc_str_empty(reason))
                kc_json_set_str(c, "reason", reason);
        if (!kc_str_empty(message))
                kc_json_set_str(c, "message", message);
        int64_t generation = kc_meta_generation(in->pod);
        if (generation > 0)
                kc_json_set_int(c, "observedGeneration", generation);
        kc_json_push(conditions, c);
}

struct names {
        char **unknown, **not_ready;
};

static char *names_message(const struct names *n, const char *what)
{
        KC_CLEANUP(kc_freep) char *unknown = kc_strv_len(n->unknown) ? kc_strv_join(n->unknown, " ") : NULL;
        KC_CLEANUP(kc_freep) char *rest = kc_strv_len(n->not_ready) ? kc_strv_join(n->not_ready, " ") : NULL;
        struct kc_buf b = KC_BUF_INIT;
        if (unknown)
                kc_buf_addf(&b, "containers with unknown status: [%s]", unknown);
        if (rest)
                kc_buf_addf(&b, "%scontainers with %s status: [%s]", unknown ? ", " : "", what, rest);
        return kc_buf_take_str(&b);
}

static bool app_started(const struct json_object *status)
{
        const struct json_object *list = kc_json_get(status, "containerStatuses");
        for (size_t i = 0; i < kc_json_len(list); i++) {
                const struct json_object *s = kc_json_idx(list, i);
                if (kc_json_at(s, "state.running") || kc_json_at(s, "state.terminated") ||
                    kc_json_at(s, "lastState.terminated"))
                        return true;
        }
        return false;
}

static void add_initialized(struct json_object *conditions, const struct kc_status_input *in,
    const struct json_object *status, const char *phase)
{
        struct names n = {0};
        const struct json_object *inits = kc_json_at(in->pod, "spec.initContainers");
        const struct json_object *statuses = kc_json_get(status, "initContainerStatuses");
        for (size_t i = 0; i < kc_json_len(inits); i++) {
                const struct json_object *c = kc_json_idx(inits, i);
                const char *name = kc_json_str(c, "name");
                const struct json_object *s = kc_json_find(statuses, "name", name);
                if (!s)
                        kc_strv_push(&n.unknown, name);
                else if (!kc_json_bool(s, kc_container_is_sidecar(c) ? "started" : "ready", false))
                        kc_strv_push(&n.not_ready, name);
        }
        KC_CLEANUP(kc_freep) char *message = names_message(&n, "incomplete");
        if (kc_streq(phase, "Succeeded") && !n.unknown)
                add(conditions, in, "Initialized", true, "PodCompleted", NULL);
        else if (!n.unknown && !n.not_ready)
                add(conditions, in, "Initialized", true, NULL, NULL);
        else if (app_started(status))
                add(conditions, in, "Initialized", true, NULL, NULL);
        else
                add(conditions, in, "Initialized", false, "ContainersNotInitialized", message);
        kc_strv_free(n.unknown);
        kc_strv_free(n.not_ready);
}

struct ready {
        bool value;
        const char *reason;
        char *message;
};

static struct ready containers_ready(
    const struct kc_status_input *in, const struct json_object *status, const char *phase)
{
        struct names n = {0};
        static const char *const lists[][2] = {
            {"initContainers", "initContainerStatuses"}, {"containers", "containerStatuses"}};
        for (size_t l = 0; l < KC_ARRAY_LEN(lists); l++) {
                const struct json_object *specs = kc_json_get(kc_json_get(in->pod, "spec"), lists[l][0]);
                const struct json_object *statuses = kc_json_get(status, lists[l][1]);
                for (size_t i = 0; i < kc_json_len(specs); i++) {
                        const struct json_object *c = kc_json_idx(specs, i);
                        if (l == 0 && !kc_container_is_sidecar(c))
                                continue;
                        const char *name = kc_json_str(c, "name");
                        const struct json_object *s = kc_json_find(statuses, "name", name);
                        if (!s)
                                kc_strv_push(&n.unknown, name);
                        else if (!kc_json_bool(s, "ready", false))
                                kc_strv_push(&n.not_ready, name);
                }
        }
        struct ready r = {0};
        if (kc_streq(phase, "Succeeded") && !n.unknown)
                r.reason = "PodCompleted";
        else if (kc_streq(phase, "Failed"))
                r.reason = "PodFailed";
        else if (n.unknown || n.not_ready) {
                r.reason = "ContainersNotReady";
                r.message = names_message(&n, "unready");
        } else
                r.value = true;
        kc_strv_free(n.unknown);
        kc_strv_free(n.not_ready);
        return r;
}

/* What the pod's readiness gates lack; heap, NULL: nothing. */
static char *gates_message(const struct kc_status_input *in, const struct json_object *status)
{
        struct kc_buf b = KC_BUF_INIT;
        const struct json_object *gates = kc_json_at(in->pod, "spec.readinessGates");
        for (size_t i = 0; i < kc_json_len(gates); i++) {
                const char *type = kc_json_str(kc_json_idx(gates, i), "conditionType");
                const struct json_object *c = kc_condition_get(status, type);
                const char *value = kc_json_str(c, "status");
                if (kc_streq(value, "True"))
                        continue;
                if (b.len > 0)
                        kc_buf_adds(&b, ", ");
                if (!c)
                        kc_buf_addf(&b, "corresponding condition of pod readiness gate \"%s\" does not exist.", type);
                else
                        kc_buf_addf(
                            &b, "the status of pod readiness gate \"%s\" is not \"True\", but %s", type, value ?: "");
        }
        return b.len > 0 ? kc_buf_take_str(&b) : NULL;
}

static bool sandbox_usable(const struct kc_status_input *in)
{
        const struct kc_rt_sandbox *s = kc_pod_runtime_ready_sandbox(in->rt);
        return s && (kc_pod_is_host_network(in->pod) || kc_strv_len(s->ips) > 0);
}

void kc_status_add_conditions(struct json_object *status, const struct kc_status_input *in)
{
        struct json_object *conditions = kc_json_ensure_arr(status, "conditions");
        const struct json_object *old = kc_json_get(in->old, "conditions");
        bool evicted = kc_streq(in->fail_reason, "Evicted");
        for (size_t i = 0; i < kc_json_len(old); i++) {
                bool ours = evicted && kc_streq(kc_json_str(kc_json_idx(old, i), "type"), "DisruptionTarget");
                for (size_t o = 0; o < KC_ARRAY_LEN(owned); o++)
                        ours |= kc_streq(kc_json_str(kc_json_idx(old, i), "type"), owned[o]);
                if (!ours)
                        kc_json_push(conditions, kc_json_copy(kc_json_idx(old, i)));
        }
        const char *phase = kc_json_str(status, "phase");
        add(conditions, in, "PodReadyToStartContainers", sandbox_usable(in), NULL, NULL);
        add_initialized(conditions, in, status, phase);
        struct ready r = containers_ready(in, status, phase);
        KC_CLEANUP(kc_freep) char *gates = r.value ? gates_message(in, status) : NULL;
        if (gates)
                add(conditions, in, "Ready", false, "ReadinessGatesNotReady", gates);
        else
                add(conditions, in, "Ready", r.value, r.reason, r.message);
        add(conditions, in, "ContainersReady", r.value, r.reason, r.message);
        add(conditions, in, "PodScheduled", true, NULL, NULL);
        if (evicted)
                add(conditions, in, "DisruptionTarget", true, "TerminationByKubelet", in->fail_message);
        if (in->resize.pending_reason)
                add(conditions, in, "PodResizePending", true, in->resize.pending_reason, in->resize.pending_message);
        if (in->resize.in_progress)
                add(conditions, in, "PodResizeInProgress", true, in->resize.error ? "Error" : NULL, in->resize.error);
        kc_free(r.message);
}
