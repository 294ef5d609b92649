/* kubec run. Main thread. */
#include <errno.h>
#include <string.h>

#include "api/object.h"
#include "base/str.h"
#include "cli/apply.h"
#include "cli/commands.h"
#include "cli/requests.h"
#include "cli/run_attach.h"
#include "cli/run_generate.h"

static struct {
        char *image, *pull_policy, *restart, *labels, *port, *overrides, *override_type, *output, *dry_run, *manager;
        char *cascade;
        char **env, **annotations;
        bool command, in, tty, attach, expose, rm, leave_stdin_open, privileged, quiet, save_config, force, wait;
        int64_t timeout, grace, delete_timeout;
} opt = {.timeout = 60 * KC_SEC, .grace = -1};
static enum kc_dry_run dry_run;

static const struct kc_flag flags[] = {
    {"image", 0, KC_FLAG_STRING, &opt.image, "the image of the container", "Run"},
    {"image-pull-policy", 0, KC_FLAG_STRING, &opt.pull_policy, "Always, IfNotPresent or Never", "Run"},
    {"restart", 0, KC_FLAG_STRING, &opt.restart, "Always (the default), OnFailure or Never", "Run"},
    {"command", 0, KC_FLAG_BOOL, &opt.command, "what follows the name is the command, not its arguments", "Run"},
    {"env", 0, KC_FLAG_ARRAY, &opt.env, "NAME=value in the container's environment", "Run"},
    {"labels", 'l', KC_FLAG_STRING, &opt.labels, "labels of the pod, a=b,c=d", "Run"},
    {"annotations", 0, KC_FLAG_ARRAY, &opt.annotations, "a=b, an annotation of the pod", "Run"},
    {"port", 0, KC_FLAG_STRING, &opt.port, "the port that the container exposes", "Run"},
    {"expose", 0, KC_FLAG_BOOL, &opt.expose, "make a ClusterIP service for the port, too", "Run"},
    {"stdin", 'i', KC_FLAG_BOOL, &opt.in, "keep the standard input open, and attach to it", "Run"},
    {"tty", 't', KC_FLAG_BOOL, &opt.tty, "allocate a terminal", "Run"},
    {"attach", 0, KC_FLAG_BOOL, &opt.attach, "wait for the pod and attach to it", "Run"},
    {"leave-stdin-open", 0, KC_FLAG_BOOL, &opt.leave_stdin_open, "the input stays open after the first attach", "Run"},
    {"rm", 0, KC_FLAG_BOOL, &opt.rm, "delete the pod after the attached session", "Run"},
    {"privileged", 0, KC_FLAG_BOOL, &opt.privileged, "run the container in privileged mode", "Run"},
    {"quiet", 'q', KC_FLAG_BOOL, &opt.quiet, "only what the container prints", "Run"},
    {"overrides", 0, KC_FLAG_STRING, &opt.overrides, "JSON that changes the object before it is made", "Run"},
    {"override-type", 0, KC_FLAG_STRING, &opt.override_type, "merge (the default), strategic or json", "Run"},
    {"pod-running-timeout", 0, KC_FLAG_DURATION, &opt.timeout, "how long to wait for the pod", "Run"},
    {"output", 'o', KC_FLAG_STRING, &opt.output, "json, yaml, name or a template", "Run"},
    {"dry-run", 0, KC_FLAG_STRING, &opt.dry_run, "none, server or client", "Run"},
    {"field-manager", 0, KC_FLAG_STRING, &opt.manager, "name of who owns the fields", "Run"},
    {"save-config", 0, KC_FLAG_BOOL, &opt.save_config, "note the configuration for a later apply", "Run"},
    {"cascade", 0, KC_FLAG_STRING, &opt.cascade, "with --rm: background, orphan or foreground", "Run"},
    {"grace-period", 0, KC_FLAG_INT64, &opt.grace, "with --rm: seconds to end gracefully", "Run"},
    {"force", 0, KC_FLAG_BOOL, &opt.force, "with --rm: do not wait for the node", "Run"},
    {"wait", 0, KC_FLAG_BOOL, &opt.wait, "with --rm: wait until the pod is gone", "Run"},
    {"timeout", 0, KC_FLAG_DURATION, &opt.delete_timeout, "with --rm: how long to wait for that", "Run"},
};

static bool one_of(const char *s, const char *const *words, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (kc_streq(s, words[i]))
                        return true;
        return false;
}

static int check_image(struct kc_error *err)
{
        if (kc_str_empty(opt.image))
                return opt.image ? kc_error_set(err, EINVAL, "--image is required")
                                 : kc_error_set(err, EINVAL, "required flag(s) \"image\" not set");
        return kc_run_image_ok(opt.image)
                   ? 0
                   : kc_error_set(err, EINVAL, "Invalid image name \"%s\": invalid reference format", opt.image);
}

static int check(struct kc_cli *c, char **args, struct kc_error *err)
{
        static const char *const policies[] = {"Always", "OnFailure", "Never"};
        static const char *const pulls[] = {"Always", "IfNotPresent", "Never"};
        if (kc_str_empty(opt.image) && !opt.image)
                return check_image(err);
        if (!args[0])
                return kc_cli_usage_error(c, "run", err, "NAME is required for run");
        if (opt.timeout <= 0)
                return kc_cli_usage_error(c, "run", err, "--pod-running-timeout must be higher than zero");
        int e = check_image(err);
        if (e == 0)
                e = kc_dry_run_parse(opt.dry_run, &dry_run, err);
        if (e < 0)
                return e;
        if (opt.tty && !opt.in)
                return kc_cli_usage_error(c, "run", err, "-i/--stdin is required for containers with -t/--tty=true");
        if (opt.expose && kc_str_empty(opt.port))
                return kc_cli_usage_error(c, "run", err, "--port must be set when exposing a service");
        if (kc_str_empty(opt.restart))
                kc_str_set(&opt.restart, "Always");
        if (!one_of(opt.restart, policies, KC_ARRAY_LEN(policies)))
                return kc_cli_usage_error(c, "run", err, "invalid restart policy: %s", opt.restart);
        opt.attach = opt.attach || (opt.in && !kc_cli_flag_given("attach"));
        if (opt.rm && !opt.attach)
                return kc_cli_usage_error(c, "run", err, "--rm should only be used for attached containers");
        if (opt.attach && dry_run != KC_DRY_RUN_NONE)
                return kc_cli_usage_error(c, "run", err,
                    "--dry-run=[server|client] can't be used with attached containers options (--attach, --stdin, or "
                    "--tty)");
        if (!kc_str_empty(opt.pull_policy) && !one_of(opt.pull_policy, pulls, KC_ARRAY_LEN(pulls)))
                return kc_cli_usage_error(c, "run", err, "invalid image pull policy: %s", opt.pull_policy);
        return 0;
}

/* Sends it; *obj becomes what the server has made of it. */
static int create(struct kc_cli *c, const char *resource, struct json_object **obj, const struct kc_api_resource **ret,
    struct kc_error *err)
{
        struct kc_rest *rest = NULL;
        struct kc_resource_map *map;
        const char *ns = NULL;
        KC_CLEANUP(kc_json_freep) struct json_object *created = NULL, *sent = NULL;
        KC_CLEANUP(kc_buf_done) struct kc_buf q = KC_BUF_INIT;
        int e = kc_cli_map(c, &map, err);
        if (e == 0)
                e = kc_resource_map_find(map, resource, ret, err);
        if (e == 0)
                e = kc_cli_namespace(c, &ns, err);
        if (e == 0)
                e = kc_cli_rest(c, &rest, err);
        if (e < 0 || dry_run == KC_DRY_RUN_CLIENT)
                return e;
        if (dry_run == KC_DRY_RUN_SERVER)
                kc_query_add(&q, "dryRun", "All");
        kc_query_add(&q, "fieldManager", kc_str_empty(opt.manager) ? "kubectl-run" : opt.manager);
        KC_CLEANUP(kc_freep) char *path = kc_cli_path(*ret, ns, NULL, NULL, kc_buf_str(&q));
        sent = opt.save_config ? kc_apply_modified(*obj) : kc_json_copy(*obj);
        e = kc_rest_call(rest, "POST", path, "application/json", sent, &created, err);
        if (e < 0)
                return e;
        kc_json_free(*obj);
        *obj = KC_TAKE(created);
        return 0;
}

static int expose(struct kc_cli *c, const struct json_object *pod, struct json_object **ret, struct kc_error *err)
{
        const struct kc_api_resource *res = NULL;
        int64_t port = 0;
        (void)kc_str_to_i64(opt.port, &port); /* the pod has been made of it */
        *ret = kc_run_service(pod, kc_meta_name(pod), port);
        int e = create(c, "services", ret, &res, err);
        if (e == 0)
                e = kc_cli_print_result(c, res, *ret, opt.output, "created", dry_run, err);
        if (e == 0 && kc_streq(opt.output, "yaml"))
                (void)fputs("---\n", c->out);
        return e;
}

static int delete_one(
    struct kc_cli *c, const struct json_object *obj, const struct kc_gvr *g, const char *kind, struct kc_error *err)
{
        struct kc_rest *rest;
        struct kc_delete_opts o = {.grace_period_seconds = opt.force && opt.grace < 0 ? 0 : opt.grace,
            .propagation = kc_streq(opt.cascade, "orphan")       ? "Orphan"
                           : kc_streq(opt.cascade, "foreground") ? "Foreground"
                                                                 : "Background"};
        int e = kc_cli_rest(c, &rest, err);
        if (e == 0)
                e = kc_rest_delete(rest, g, kc_meta_namespace(obj), kc_meta_name(obj), &o, NULL, err);
        if (e == 0 && !opt.quiet)
                (void)fprintf(c->out, "%s \"%s\" %sdeleted from %s namespace\n", kind, kc_meta_name(obj),
                    opt.force ? "force " : "", kc_meta_namespace(obj));
        return e;
}

static int session(struct kc_cli *c, const struct json_object *pod, struct kc_error *err)
{
        const char *ns = kc_meta_namespace(pod), *name = kc_meta_name(pod);
        struct kc_session_opts o = {
            .command_name = "kubec attach", .in = opt.in, .tty = opt.tty, .quiet = opt.quiet, .attach = true};
        bool on_failure = kc_streq(opt.restart, "OnFailure");
        int e = kc_attach_when_ready(c, ns, name, NULL, false, opt.timeout, &o, err);
        if (e != 0 || opt.leave_stdin_open || kc_streq(opt.restart, "Always"))
                return e;
        return kc_run_exit_code(c, ns, name, on_failure, opt.timeout, err);
}

/* The session, and then, whatever came of it, --rm. */
static int attach(
    struct kc_cli *c, const struct json_object *pod, const struct json_object *service, struct kc_error *err)
{
        int e = session(c, pod, err);
        if (!opt.rm)
                return e;
        struct kc_error why = KC_ERROR_INIT;
        int d = delete_one(c, pod, &KC_PODS, "pod", &why);
        if (d == 0 && service)
                d = delete_one(c, service, &KC_SERVICES, "service", &why);
        if (d < 0)
                kc_cli_print_error(c, &why);
        kc_error_done(&why);
        return e == 0 && d < 0 ? KC_CLI_FAILED : e;
}

static int run(struct kc_cli *c, char **args, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *pod = NULL, *service = NULL;
        const struct kc_api_resource *pods = NULL;
        int e = check(c, args, err);
        if (e < 0)
                return e;
        struct kc_run_spec spec = {.name = args[0],
            .image = opt.image,
            .pull_policy = opt.pull_policy,
            .restart = opt.restart,
            .labels = opt.labels,
            .port = opt.port,
            .env = opt.env,
            .annotations = opt.annotations,
            .args = args + 1,
            .command = opt.command,
            .in = opt.in,
            .tty = opt.tty,
            .leave_stdin_open = opt.leave_stdin_open,
            .privileged = opt.privileged};
        e = kc_run_pod(&spec, &pod, err);
        if (e == 0 && !kc_str_empty(opt.overrides))
                e = kc_run_override(&pod, opt.overrides, opt.override_type ? opt.override_type : "merge", err);
        if (e == 0 && opt.expose)
                e = expose(c, pod, &service, err);
        if (e == 0)
                e = create(c, "pods", &pod, &pods, err);
        if (e < 0)
                return e;
        if (opt.attach)
                return attach(c, pod, service, err);
        return kc_cli_print_result(c, pods, pod, opt.output, "created", dry_run, err);
}

const struct kc_command kc_cmd_run = {.name = "run",
    .usage = "run NAME --image=image [--env=\"key=value\"] [--port=port] [--dry-run=server|client] "
             "[--overrides=inline-json] "
             "[--command] -- [COMMAND] [args...]",
    .summary = "Run a particular image on the cluster",
    .flags = flags,
    .n_flags = KC_ARRAY_LEN(flags),
    .run = run,
    .description = "Makes one pod with one container of that image. With -i or --attach it waits for the pod and is\n"
                   "connected to it; the exit code is the container's then, unless it restarts.",
    .examples =
        "# a pod\nkubec run web --image=nginx --port=80\n\n"
        "# a shell that leaves nothing behind\nkubec run shell --image=busybox -it --rm --restart=Never -- sh\n\n"
        "# only look at what would be made\nkubec run web --image=nginx --dry-run=client -o yaml\n",
    .completes = KC_ARGS_NONE};
