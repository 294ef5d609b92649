/* kubec attach. Main thread. */
#include <errno.h>

#include "api/object.h"
#include "base/str.h"
#include "cli/attach.h"
#include "cli/commands.h"
#include "cli/pods.h"

static struct {
        char *container;
        bool in, tty, quiet;
        int64_t timeout;
} opt = {.timeout = 60 * KC_SEC};

static const struct kc_flag flags[] = {
    {"container", 'c', KC_FLAG_STRING, &opt.container, "the container; else the default one of the pod", "Attach"},
    {"stdin", 'i', KC_FLAG_BOOL, &opt.in, "pass the standard input on", "Attach"},
    {"tty", 't', KC_FLAG_BOOL, &opt.tty, "the standard input is a terminal", "Attach"},
    {"quiet", 'q', KC_FLAG_BOOL, &opt.quiet, "only what the container prints", "Attach"},
    {"pod-running-timeout", 0, KC_FLAG_DURATION, &opt.timeout, "how long to wait for a pod of a workload", "Attach"},
};

/* How the session may be taken up again, or nothing. */
static void say_reattach(
    struct kc_cli *c, const struct json_object *pod, const char *container, const struct kc_session_opts *o)
{
        const char *list = "";
        if (o->quiet || !o->in || !o->tty || !kc_pod_find_container(pod, container, &list))
                return;
        if (kc_streq(list, "spec.ephemeralContainers"))
                (void)fprintf(c->out,
                    "Session ended, the ephemeral container will not be restarted but may be reattached using '%s %s "
                    "-c %s -i -t' if it is still running\n",
                    o->command_name, kc_meta_name(pod), container);
        else if (kc_streq(kc_json_str_at(pod, "spec.restartPolicy"), "Always"))
                (void)fprintf(c->out,
                    "Session ended, resume using '%s %s -c %s -i -t' command when the pod is running\n",
                    o->command_name, kc_meta_name(pod), container);
}

int kc_attach(struct kc_cli *c, const struct json_object *pod, const char *container, struct kc_session_opts *o,
    struct kc_error *err)
{
        const char *phase = kc_json_str_at(pod, "status.phase");
        int e = 0;
        if (kc_streq(phase, "Succeeded") || kc_streq(phase, "Failed"))
                return kc_error_set(
                    err, EINVAL, "cannot attach a container in a completed pod; current phase is %s", phase);
        if (kc_str_empty(container))
                e = kc_pod_default_container(c, pod, o->quiet, &container, err);
        if (e < 0)
                return e;
        const struct json_object *spec = kc_pod_find_container(pod, container, NULL);
        if (!spec)
                return kc_error_set(err, ENOENT, "cannot attach to the container: container %s not found in pod %s",
                    container, kc_meta_name(pod));
        bool has_tty = kc_json_bool(spec, "tty", false);
        if (o->tty && !has_tty) {
                o->tty = false;
                if (!o->quiet)
                        (void)fprintf(c->err, "Unable to use a TTY - container %s did not allocate one\n", container);
        } else if (has_tty) {
                o->tty = true; /* there is but one output */
        }
        kc_session_check_tty(c, o);
        if (!o->quiet)
                (void)fprintf(c->err, "If you don't see a command prompt, try pressing enter.\n");
        o->attach = true;
        e = kc_session_run(c, pod, container, NULL, o, err);
        if (e == 0)
                say_reattach(c, pod, container, o);
        return e;
}

static int run(struct kc_cli *c, char **args, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *pod = NULL;
        if (!args[0])
                return kc_error_set(err, EINVAL, "at least 1 argument is required for attach");
        if (args[0] && args[1] && args[2])
                return kc_error_set(err, EINVAL,
                    "expected POD, TYPE/NAME, or TYPE NAME, (at most 2 arguments) saw 3: [%s %s %s]", args[0], args[1],
                    args[2]);
        if (opt.timeout <= 0)
                return kc_cli_usage_error(c, "attach", err, "--pod-running-timeout must be higher than zero");
        int e = kc_pod_attachable(
            c, args, NULL, opt.timeout, "cannot attach to multiple objects at a time", &pod, NULL, err);
        if (e < 0)
                return e;
        struct kc_session_opts o = {
            .command_name = "kubec attach", .in = opt.in, .tty = opt.tty, .quiet = opt.quiet, .attach = true};
        return kc_attach(c, pod, opt.container, &o, err);
}

const struct kc_command kc_cmd_attach = {.name = "attach",
    .usage = "attach (POD | TYPE/NAME) [-c CONTAINER] [flags]",
    .summary = "Attach to a running container",
    .flags = flags,
    .n_flags = KC_ARRAY_LEN(flags),
    .run = run,
    .description =
        "Joins the main process of a container: its output comes here and, with -i, what is typed goes there.",
    .examples = "# what the default container prints from now on\nkubec attach web\n\n"
                "# talk to the program of the container \"shell\"\nkubec attach web -c shell -it\n",
    .completes = KC_ARGS_POD};
