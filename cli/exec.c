/* kubec exec. Main thread. */
#include <errno.h>

#include "api/object.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/pods.h"
#include "cli/session.h"

static struct {
        char *container, **files;
        bool in, tty, quiet;
        int64_t timeout;
} opt = {.timeout = 60 * KC_SEC};

static const struct kc_flag flags[] = {
    {"container", 'c', KC_FLAG_STRING, &opt.container, "the container; else the default one of the pod", "Exec"},
    {"stdin", 'i', KC_FLAG_BOOL, &opt.in, "pass the standard input on", "Exec"},
    {"tty", 't', KC_FLAG_BOOL, &opt.tty, "the standard input is a terminal", "Exec"},
    {"quiet", 'q', KC_FLAG_BOOL, &opt.quiet, "only what the command prints", "Exec"},
    {"filename", 'f', KC_FLAG_STRV, &opt.files, "a file that names the object", "Exec"},
    {"pod-running-timeout", 0, KC_FLAG_DURATION, &opt.timeout, "how long to wait for a pod of a workload", "Exec"},
};

static int check(struct kc_cli *c, char **args, char ***ret_command, struct kc_error *err)
{
        size_t n = kc_strv_len(args);
        bool named = n > 0 && c->dash != 0;
        if (c->dash < 0 && (n > 1 || (n > 0 && opt.files)))
                return kc_cli_usage_error(c, "exec", err,
                    "exec [POD] [COMMAND] is not supported anymore. Use exec [POD] -- [COMMAND] instead");
        if (!named && !opt.files)
                return kc_error_set(err, EINVAL, "pod, type/name or --filename must be specified");
        *ret_command = c->dash >= 0 ? args + c->dash : args + n;
        if (!**ret_command)
                return kc_error_set(err, EINVAL, "you must specify at least one command for the container");
        if (opt.timeout <= 0)
                return kc_cli_usage_error(c, "exec", err, "--pod-running-timeout must be higher than zero");
        return 0;
}

static int run(struct kc_cli *c, char **args, struct kc_error *err)
{
        char **command;
        KC_CLEANUP(kc_json_freep) struct json_object *pod = NULL;
        int e = check(c, args, &command, err);
        if (e < 0)
                return e;
        char *target[] = {c->dash != 0 && !opt.files ? args[0] : NULL, NULL};
        e = kc_pod_attachable(
            c, target, opt.files, opt.timeout, "cannot exec into multiple objects at a time", &pod, NULL, err);
        if (e < 0)
                return e;
        const char *phase = kc_json_str_at(pod, "status.phase"), *container = opt.container;
        if (kc_streq(phase, "Succeeded") || kc_streq(phase, "Failed"))
                return kc_error_set(
                    err, EINVAL, "cannot exec into a container in a completed pod; current phase is %s", phase);
        if (kc_str_empty(container))
                e = kc_pod_default_container(c, pod, opt.quiet, &container, err);
        if (e < 0)
                return e;
        struct kc_session_opts o = {.in = opt.in, .tty = opt.tty, .quiet = opt.quiet};
        kc_session_check_tty(c, &o);
        return kc_session_run(c, pod, container, command, &o, err);
}

const struct kc_command kc_cmd_exec = {.name = "exec",
    .usage = "exec (POD | TYPE/NAME) [-c CONTAINER] [flags] -- COMMAND [args...]",
    .summary = "Execute a command in a container",
    .flags = flags,
    .n_flags = KC_ARRAY_LEN(flags),
    .run = run,
    .description =
        "Runs a command in a container that is running. Its output, errors and exit code become those of this\n"
        "program. With -i what is typed or piped goes to it, with -t as well it has a terminal.",
    .examples = "# the date in the default container of a pod\nkubec exec web -- date\n\n"
                "# a shell in the container \"app\"\nkubec exec web -c app -it -- sh\n\n"
                "# in a pod of a deployment\nkubec exec deploy/web -- ls /tmp\n\n"
                "# a file into the container\nkubec exec -i web -- tee /tmp/a.txt < a.txt\n",
    .completes = KC_ARGS_POD};
