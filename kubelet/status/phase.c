/* The phase of a pod from its containers' statuses. Pure. */
#include "base/str.h"
#include "kubelet/pod/pod.h"
#include "kubelet/status/generate.h"

struct counts {
        int pending_init, failed_init;
        int unknown, running, waiting, stopped, succeeded;
};

static void count_init(const struct json_object *container, const struct json_object *s, struct counts *n)
{
        bool sidecar = kc_container_is_sidecar(container);
        if (!s) {
                n->pending_init++;
                return;
        }
        const struct json_object *terminated = kc_json_at(s, "state.terminated");
        const struct json_object *last = kc_json_at(s, "lastState.terminated");
        if (sidecar) {
                /* One that has started is no part of initialization any more. */
                if (kc_json_at(s, "state.running") ? !kc_json_bool(s, "started", false) : !terminated && !last)
                        n->pending_init++;
        } else if (kc_json_at(s, "state.running")) {
                n->pending_init++;
        } else if (terminated) {
                n->failed_init += kc_json_int(terminated, "exitCode", 0) != 0;
        } else if (last && kc_json_int(last, "exitCode", 0) != 0) {
                n->failed_init++;
        } else {
                n->pending_init++;
        }
}

static void count_app(const struct json_object *s, struct counts *n)
{
        const struct json_object *terminated = kc_json_at(s, "state.terminated");
        if (!s)
                n->unknown++;
        else if (kc_json_at(s, "state.running"))
                n->running++;
        else if (terminated) {
                n->stopped++;
                n->succeeded += kc_json_int(terminated, "exitCode", 0) == 0;
        } else if (kc_json_at(s, "state.waiting")) {
                if (kc_json_at(s, "lastState.terminated"))
                        n->stopped++;
                else
                        n->waiting++;
        } else
                n->unknown++;
}

static bool any_started(const struct json_object *statuses)
{
        for (size_t i = 0; i < kc_json_len(statuses); i++) {
                const struct json_object *s = kc_json_idx(statuses, i);
                if (kc_json_at(s, "state.running") || kc_json_at(s, "state.terminated"))
                        return true;
        }
        return false;
}

const char *kc_status_phase(const struct json_object *status, const struct json_object *pod, bool terminal)
{
        struct counts n = {0};
        const struct json_object *inits = kc_json_at(pod, "spec.initContainers"),
                                 *apps = kc_json_at(pod, "spec.containers");
        const struct json_object *init_statuses = kc_json_get(status, "initContainerStatuses");
        const struct json_object *statuses = kc_json_get(status, "containerStatuses");
        const char *policy = kc_json_str_at(pod, "spec.restartPolicy") ?: "Always";
        for (size_t i = 0; i < kc_json_len(inits); i++) {
                const struct json_object *c = kc_json_idx(inits, i);
                count_init(c, kc_json_find(init_statuses, "name", kc_json_str(c, "name")), &n);
        }
        for (size_t i = 0; i < kc_json_len(apps); i++)
                count_app(kc_json_find(statuses, "name", kc_json_str(kc_json_idx(apps, i), "name")), &n);
        if (n.failed_init > 0 && kc_streq(policy, "Never"))
                return "Failed";
        if ((n.pending_init > 0 || n.failed_init > 0) && !any_started(statuses))
                return "Pending";
        if (n.waiting > 0)
                return "Pending";
        if (n.running > 0 && n.unknown == 0)
                return "Running";
        if (n.running == 0 && n.stopped > 0 && n.unknown == 0) {
                if (terminal)
                        return n.stopped == n.succeeded ? "Succeeded" : "Failed";
                if (kc_streq(policy, "Always"))
                        return "Running";
                if (n.stopped == n.succeeded)
                        return "Succeeded";
                return kc_streq(policy, "Never") ? "Failed" : "Running";
        }
        return "Pending";
}
