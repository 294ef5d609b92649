/* The pod's row: the one status word that sums up phase, reasons and containers. */
#include <string.h>

#include "api/table_internal.h"
#include "base/mem.h"
#include "base/str.h"

struct summary {
        const struct json_object *pod;
        int64_t restarts, total, ready;
        kc_time last_restart; /* 0: none */
        char *reason;
};

static void set_reason(struct summary *s, char *take_reason)
{
        kc_free(s->reason);
        s->reason = take_reason;
}

static bool is_sidecar(const struct json_object *container)
{
        return kc_streq(kc_json_str(container, "restartPolicy"), "Always");
}

static const struct json_object *condition(const struct json_object *pod, const char *type)
{
        return kc_json_find(kc_json_at(pod, "status.conditions"), "type", type);
}

static bool condition_true(const struct json_object *pod, const char *type)
{
        return kc_streq(kc_json_str(condition(pod, type), "status"), "True");
}

static kc_time later_of(kc_time t, const struct json_object *status)
{
        const char *finished = kc_json_str_at(status, "lastState.terminated.finishedAt");
        kc_time at;
        if (!finished || kc_time_parse(finished, &at) < 0)
                return t;
        return KC_MAX(t, at);
}

/* "<prefix>Signal:9" or "<prefix>ExitCode:1". */
static char *exit_reason(const char *prefix, const struct json_object *terminated)
{
        int64_t signal = kc_json_int(terminated, "signal", 0);
        if (signal != 0)
                return kc_asprintf("%sSignal:%lld", prefix, (long long)signal);
        return kc_asprintf("%sExitCode:%lld", prefix, (long long)kc_json_int(terminated, "exitCode", 0));
}

/* The state of the init container that is in the way; NULL if it is not. */
static char *init_reason(const struct summary *s, const struct json_object *status, size_t at)
{
        const struct json_object *terminated = kc_json_at(status, "state.terminated");
        if (terminated) {
                const char *reason = kc_json_str(terminated, "reason");
                return kc_str_empty(reason) ? exit_reason("Init:", terminated) : kc_asprintf("Init:%s", reason);
        }
        const char *waiting = kc_json_str_at(status, "state.waiting.reason");
        if (!kc_str_empty(waiting) && !kc_streq(waiting, "PodInitializing"))
                return kc_asprintf("Init:%s", waiting);
        return kc_asprintf("Init:%zu/%zu", at, kc_json_len(kc_json_at(s->pod, "spec.initContainers")));
}

/* Returns true while an init container is in the way. *sidecars: what counts once the pod is initialized. */
static bool sum_init_containers(struct summary *s, struct summary *sidecars)
{
        const struct json_object *specs = kc_json_at(s->pod, "spec.initContainers");
        const struct json_object *statuses = kc_json_at(s->pod, "status.initContainerStatuses");
        for (size_t i = 0; i < kc_json_len(specs); i++)
                s->total += is_sidecar(kc_json_idx(specs, i));
        for (size_t i = 0; i < kc_json_len(statuses); i++) {
                const struct json_object *status = kc_json_idx(statuses, i);
                bool sidecar = is_sidecar(kc_json_find(specs, "name", kc_json_str(status, "name")));
                s->restarts += kc_json_int(status, "restartCount", 0);
                s->last_restart = later_of(s->last_restart, status);
                if (sidecar) {
                        sidecars->restarts += kc_json_int(status, "restartCount", 0);
                        sidecars->last_restart = later_of(sidecars->last_restart, status);
                }
                const struct json_object *terminated = kc_json_at(status, "state.terminated");
                if (terminated && kc_json_int(terminated, "exitCode", 0) == 0)
                        continue;
                if (sidecar && kc_json_bool(status, "started", false)) {
                        s->ready += kc_json_bool(status, "ready", false);
                        continue;
                }
                set_reason(s, init_reason(s, status, i));
                return true;
        }
        return false;
}

static void sum_containers(struct summary *s)
{
        const struct json_object *statuses = kc_json_at(s->pod, "status.containerStatuses");
        bool running = false;
        for (size_t i = kc_json_len(statuses); i-- > 0;) {
                const struct json_object *status = kc_json_idx(statuses, i);
                const struct json_object *terminated = kc_json_at(status, "state.terminated");
                const char *waiting = kc_json_str_at(status, "state.waiting.reason");
                const char *ended = kc_json_str(terminated, "reason");
                s->restarts += kc_json_int(status, "restartCount", 0);
                s->last_restart = later_of(s->last_restart, status);
                if (!kc_str_empty(waiting)) {
                        set_reason(s, kc_strdup(waiting));
                } else if (!kc_str_empty(ended)) {
                        set_reason(s, kc_strdup(ended));
                } else if (terminated) {
                        set_reason(s, exit_reason("", terminated));
                } else if (kc_json_bool(status, "ready", false) && kc_json_at(status, "state.running")) {
                        running = true;
                        s->ready++;
                }
        }
        /* One container has completed, another one goes on. */
        if (running && kc_streq(s->reason, "Completed"))
                set_reason(s, kc_strdup(condition_true(s->pod, "Ready") ? "Running" : "NotReady"));
}

static void sum_up(struct summary *s)
{
        const char *phase = kc_json_str_at(s->pod, "status.phase"), *reason = kc_json_str_at(s->pod, "status.reason");
        s->total = (int64_t)kc_json_len(kc_json_at(s->pod, "spec.containers"));
        set_reason(s, kc_strdup(!kc_str_empty(reason) ? reason : phase ? phase : ""));
        if (kc_streq(kc_json_str(condition(s->pod, "PodScheduled"), "reason"), "SchedulingGated"))
                set_reason(s, kc_strdup("SchedulingGated"));
        struct summary sidecars = {0};
        if (!sum_init_containers(s, &sidecars) || condition_true(s->pod, "Initialized")) {
                s->restarts = sidecars.restarts;
                s->last_restart = sidecars.last_restart;
                sum_containers(s);
        }
        if (!kc_json_str_at(s->pod, "metadata.deletionTimestamp"))
                return;
        if (kc_streq(reason, "NodeLost"))
                set_reason(s, kc_strdup("Unknown"));
        else if (!kc_streq(phase, "Succeeded") && !kc_streq(phase, "Failed"))
                set_reason(s, kc_strdup("Terminating"));
}

static void readiness_gates(struct json_object *cells, const struct json_object *pod)
{
        const struct json_object *gates = kc_json_at(pod, "spec.readinessGates");
        size_t n = kc_json_len(gates), passed = 0;
        for (size_t i = 0; i < n; i++)
                passed += condition_true(pod, kc_json_str(kc_json_idx(gates, i), "conditionType"));
        if (n == 0)
                kc_cell_str(cells, "<none>");
        else
                kc_cell_str_take(cells, kc_asprintf("%zu/%zu", passed, n));
}

void kc_print_pod(struct json_object *cells, const struct json_object *obj, kc_time now)
{
        struct summary s = {.pod = obj};
        sum_up(&s);
        kc_cell_name(cells, obj);
        kc_cell_str_take(cells, kc_asprintf("%lld/%lld", (long long)s.ready, (long long)s.total));
        kc_cell_str(cells, s.reason);
        kc_free(s.reason);
        char since[KC_TIME_LEN];
        if (s.restarts != 0 && s.last_restart != 0)
                kc_cell_str_take(cells, kc_asprintf("%lld (%s ago)", (long long)s.restarts,
                                            kc_duration_human(now - s.last_restart, since)));
        else
                kc_cell_str_take(cells, kc_asprintf("%lld", (long long)s.restarts));
        kc_cell_age(cells, obj, now);
        kc_cell_str_or_none(cells, kc_json_str(kc_json_idx(kc_json_at(obj, "status.podIPs"), 0), "ip"));
        kc_cell_str_or_none(cells, kc_json_str_at(obj, "spec.nodeName"));
        kc_cell_str_or_none(cells, kc_json_str_at(obj, "status.nominatedNodeName"));
        readiness_gates(cells, obj);
}
