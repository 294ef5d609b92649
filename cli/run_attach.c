/* From a new pod to its terminal and its exit code. Main thread. */
#include "cli/run_attach.h"

#include <errno.h>

#include "api/object.h"
#include "base/str.h"
#include "cli/attach.h"
#include "cli/lines.h"
#include "cli/pods.h"
#include "cli/requests.h"
#include "cli/wait_for.h"

struct waiting {
        const char *name, *container;
        struct json_object *pod; /* as it was when the waiting ended */
        bool on_failure, quiet;
};

static bool has_ended(const struct json_object *pod)
{
        const char *phase = kc_json_str_at(pod, "status.phase");
        return kc_streq(phase, "Succeeded") || kc_streq(phase, "Failed");
}

static int keep(struct waiting *w, const struct json_object *pod)
{
        kc_json_free(w->pod);
        w->pod = kc_json_copy(pod);
        return 1;
}

static int gone(const struct waiting *w, struct kc_error *err)
{
        return kc_error_set_api(err, 404, KC_REASON_NOT_FOUND, "pods \"%s\" not found", w->name);
}

static int is_ready(struct kc_cli *c, const struct json_object *pod, void *arg, struct kc_error *err)
{
        (void)c;
        struct waiting *w = arg;
        if (!pod)
                return gone(w, err);
        const struct json_object *status = kc_json_get(pod, "status");
        bool ready = kc_streq(kc_json_str(status, "phase"), "Running") && kc_condition_is_true(status, "Ready");
        return has_ended(pod) || ready ? keep(w, pod) : 0;
}

static const struct json_object *container_state(const struct json_object *pod, const char *container)
{
        static const char *const lists[] = {
            "status.initContainerStatuses", "status.containerStatuses", "status.ephemeralContainerStatuses"};
        const struct json_object *status = NULL;
        for (size_t i = 0; !status && i < KC_ARRAY_LEN(lists); i++)
                status = kc_json_find(kc_json_at(pod, lists[i]), "name", container);
        return kc_json_get(status, "state");
}

static int container_runs(struct kc_cli *c, const struct json_object *pod, void *arg, struct kc_error *err)
{
        struct waiting *w = arg;
        if (!pod)
                return gone(w, err);
        const struct json_object *state = container_state(pod, w->container), *waits = kc_json_get(state, "waiting");
        const char *message = kc_json_str(waits, "message");
        if (!kc_str_empty(message) && !w->quiet)
                (void)fprintf(c->err, "Warning: container %s: %s\n", w->container, message);
        return kc_json_get(state, "running") || kc_json_get(state, "terminated") ? keep(w, pod) : 0;
}

static int has_exited(struct kc_cli *c, const struct json_object *pod, void *arg, struct kc_error *err)
{
        (void)c;
        struct waiting *w = arg;
        if (!pod)
                return gone(w, err);
        bool enough = w->on_failure ? kc_streq(kc_json_str_at(pod, "status.phase"), "Succeeded") : has_ended(pod);
        return enough ? keep(w, pod) : 0;
}

static int wait_pod(
    struct kc_cli *c, const char *ns, struct waiting *w, int64_t timeout, kc_cli_condition_fn fn, struct kc_error *err)
{
        struct kc_resource_map *map;
        const struct kc_api_resource *pods = NULL;
        int e = kc_cli_map(c, &map, err);
        if (e == 0)
                e = kc_resource_map_find(map, "pods", &pods, err);
        if (e == 0)
                e = kc_cli_wait(c, pods, ns, w->name, timeout > 0 ? kc_clock_mono(NULL) + timeout : 0, fn, w, err);
        return e == -ETIME ? kc_error_set(err, ETIME, "timed out waiting for the condition") : e;
}

/* --- instead of attaching */

static int print_log(struct kc_cli *c, const struct json_object *pod, const char *container, struct kc_error *err)
{
        struct kc_rest *rest;
        KC_CLEANUP(kc_freep)
        char *path = kc_gvr_path(&KC_PODS, kc_meta_namespace(pod), kc_meta_name(pod), "log");
        KC_CLEANUP(kc_freep) char *url = kc_asprintf("%s?container=%s", path, container);
        int e = kc_cli_rest(c, &rest, err);
        if (e < 0)
                return e;
        KC_CLEANUP(kc_lines_freep) struct kc_lines *lines = kc_lines_new(rest);
        e = kc_lines_open(lines, url, "*/*", NULL, err);
        for (e = e < 0 ? e : 1; e == 1;) {
                const char *line;
                size_t len;
                bool newline;
                e = kc_lines_next(lines, 0, &line, &len, &newline, NULL, err);
                if (e == 1)
                        (void)fprintf(c->out, "%.*s%s", (int)len, line, newline ? "\n" : "");
        }
        return e;
}

int kc_attach_when_ready(struct kc_cli *c, const char *ns, const char *name, const char *container, bool container_only,
    int64_t timeout, struct kc_session_opts *o, struct kc_error *err)
{
        struct waiting w = {.name = name, .container = container, .quiet = o->quiet};
        int e = wait_pod(c, ns, &w, timeout, container_only ? container_runs : is_ready, err);
        KC_CLEANUP(kc_json_freep) struct json_object *pod = w.pod;
        const char *chosen = container;
        if (e == 0 && kc_str_empty(chosen))
                e = kc_pod_default_container(c, pod, o->quiet, &chosen, err);
        if (e < 0)
                return e;
        if (has_ended(pod) || kc_json_get(container_state(pod, chosen), "terminated"))
                return print_log(c, pod, chosen, err);
        e = kc_attach(c, pod, chosen, o, err);
        if (e >= 0)
                return e;
        (void)fprintf(c->err, "warning: couldn't attach to pod/%s, falling back to streaming logs: %s\n", name,
            kc_error_message(err));
        kc_error_done(err);
        return print_log(c, pod, chosen, err);
}

int kc_run_exit_code(
    struct kc_cli *c, const char *ns, const char *name, bool on_failure, int64_t timeout, struct kc_error *err)
{
        struct waiting w = {.name = name, .on_failure = on_failure};
        int e = wait_pod(c, ns, &w, timeout, has_exited, err);
        KC_CLEANUP(kc_json_freep) struct json_object *pod = w.pod;
        if (e < 0 || !kc_streq(kc_json_str_at(pod, "status.phase"), "Failed"))
                return e;
        const struct json_object *status = kc_json_idx(kc_json_at(pod, "status.containerStatuses"), 0);
        const struct json_object *end = kc_json_at(status, "state.terminated");
        int64_t code = kc_json_int(end, "exitCode", 0);
        const char *reason = kc_json_str(end, "reason"), *message = kc_json_str(end, "message");
        if (code == 0)
                return kc_error_set(err, EREMOTEIO, "pod %s/%s failed with unknown exit code", ns, name);
        (void)fflush(c->out);
        (void)fprintf(c->err, "pod %s/%s terminated (%s)\n%s%s", ns, name, reason ? reason : "", message ? message : "",
            kc_str_empty(message) || kc_str_has_suffix(message, "\n") ? "" : "\n");
        return (int)(code & UINT8_MAX);
}
