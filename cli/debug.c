/* kubec debug. Main thread. */
#include <errno.h>
#include <string.h>

#include "api/object.h"
#include "base/file.h"
#include "base/rand.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/debug_generate.h"
#include "cli/objects.h"
#include "cli/pods.h"
#include "cli/requests.h"
#include "cli/run_attach.h"
#include "cli/run_generate.h"
#include "net/dial.h"
#include "json/yaml.h"

enum { MAX_CUSTOM = 1 << 20, SUFFIX = 5 };

static struct kc_debug_spec spec = {.share = true, .keep_init = true};
static struct {
        char *container, *copy_to, *image, *pull_policy, *target, *profile, *custom, **files, **env, **set_images;
        bool attach, quiet, replace;
} opt;

static const struct kc_flag flags[] = {
    {"image", 0, KC_FLAG_STRING, &opt.image, "the image to debug with", "Debug"},
    {"container", 'c', KC_FLAG_STRING, &opt.container, "the name of the container", "Debug"},
    {"target", 0, KC_FLAG_STRING, &opt.target, "share the processes of this container of the pod", "Debug"},
    {"profile", 0, KC_FLAG_STRING, &opt.profile, "general (the default), baseline, restricted, netadmin or sysadmin",
        "Debug"},
    {"custom", 0, KC_FLAG_STRING, &opt.custom, "file with a partial container that changes the profile's", "Debug"},
    {"arguments-only", 0, KC_FLAG_BOOL, &spec.args_only, "what follows -- are arguments, not the command", "Debug"},
    {"env", 0, KC_FLAG_MAP, &opt.env, "NAME=value in the container's environment", "Debug"},
    {"image-pull-policy", 0, KC_FLAG_STRING, &opt.pull_policy, "Always, IfNotPresent or Never", "Debug"},
    {"stdin", 'i', KC_FLAG_BOOL, &spec.in, "keep the standard input open, and attach to it", "Debug"},
    {"tty", 't', KC_FLAG_BOOL, &spec.tty, "allocate a terminal", "Debug"},
    {"attach", 0, KC_FLAG_BOOL, &opt.attach, "wait for the container and attach to it", "Debug"},
    {"quiet", 'q', KC_FLAG_BOOL, &opt.quiet, "without messages", "Debug"},
    {"copy-to", 0, KC_FLAG_STRING, &opt.copy_to, "debug a copy of the pod, with this name", "Debug"},
    {"replace", 0, KC_FLAG_BOOL, &opt.replace, "with --copy-to: delete the original", "Debug"},
    {"same-node", 0, KC_FLAG_BOOL, &spec.same_node, "with --copy-to: on the same node", "Debug"},
    {"set-image", 0, KC_FLAG_MAP, &opt.set_images, "with --copy-to: other images, container=image", "Debug"},
    {"share-processes", 0, KC_FLAG_BOOL, &spec.share, "with --copy-to: the containers share processes", "Debug"},
    {"keep-labels", 0, KC_FLAG_BOOL, &spec.keep_labels, "with --copy-to: keep the labels", "Debug"},
    {"keep-annotations", 0, KC_FLAG_BOOL, &spec.keep_annotations, "with --copy-to: keep the annotations", "Debug"},
    {"keep-liveness", 0, KC_FLAG_BOOL, &spec.keep_liveness, "with --copy-to: keep liveness probes", "Debug"},
    {"keep-readiness", 0, KC_FLAG_BOOL, &spec.keep_readiness, "with --copy-to: keep readiness probes", "Debug"},
    {"keep-startup", 0, KC_FLAG_BOOL, &spec.keep_startup, "with --copy-to: keep startup probes", "Debug"},
    {"keep-init-containers", 0, KC_FLAG_BOOL, &spec.keep_init, "with --copy-to: run the init containers", "Debug"},
    {"filename", 'f', KC_FLAG_STRV, &opt.files, "files that name the objects", "Debug"},
};

/* --- what was asked for */

static int check_copy(struct kc_error *err)
{
        bool args = spec.args && spec.args[0];
        if (!kc_str_empty(opt.copy_to)) {
                if (kc_str_empty(opt.image) && !opt.set_images && !args)
                        return kc_error_set(err, EINVAL, "you must specify --image, --set-image or command arguments.");
                if (args && kc_str_empty(opt.container) && kc_str_empty(opt.image))
                        return kc_error_set(
                            err, EINVAL, "you must specify an existing container or a new image when specifying args.");
                return 0;
        }
        const char *alone = opt.replace      ? "replace"
                            : spec.same_node ? "same-node"
                            : opt.set_images ? "set-image"
                                             : NULL;
        if (alone)
                return kc_error_set(err, EINVAL, "--%s may only be used with --copy-to.", alone);
        if (kc_str_empty(opt.image))
                return kc_error_set(err, EINVAL, "you must specify --image when not using --copy-to.");
        return 0;
}

static int check_images(struct kc_error *err)
{
        static const char format[] = "invalid reference format";
        if (!kc_str_empty(opt.image) && !kc_run_image_ok(opt.image))
                return kc_error_set(err, EINVAL, "invalid image name \"%s\": %s", opt.image, format);
        static const char *const pulls[] = {"Always", "IfNotPresent", "Never", ""};
        bool known = !opt.pull_policy;
        for (size_t i = 0; i < KC_ARRAY_LEN(pulls); i++)
                known = known || kc_streq(opt.pull_policy, pulls[i]);
        if (!known)
                return kc_error_set(err, EINVAL, "invalid image pull policy: %s", opt.pull_policy);
        for (char **s = opt.set_images; s && *s; s++) {
                const char *image = strchr(*s, '=') + 1;
                if (!kc_run_image_ok(image))
                        return kc_error_set(err, EINVAL, "invalid image name \"%s\" for container \"%.*s\": %s", image,
                            (int)(image - 1 - *s), *s, format);
        }
        return 0;
}

static int read_custom(struct json_object **ret, struct kc_error *err)
{
        static const char *const fixed[] = {"name", "command", "image", "lifecycle", "volumeDevices"};
        KC_CLEANUP(kc_buf_done) struct kc_buf text = KC_BUF_INIT;
        struct kc_error why = KC_ERROR_INIT;
        if (kc_str_empty(opt.custom))
                return 0;
        int e = kc_file_read(opt.custom, MAX_CUSTOM, &text, &why);
        kc_error_done(&why);
        if (e < 0)
                return kc_error_set(err, EBADF, "must pass a container spec json file for custom profile: open %s: %s",
                    opt.custom, kc_net_strerror(-e));
        KC_CLEANUP(kc_yaml_free_allp) struct json_object **docs = NULL;
        e = kc_yaml_parse_all(kc_buf_str(&text), text.len, NULL, &docs, err);
        if (e < 0)
                return kc_error_wrap(err, "%s does not contain a valid container spec", opt.custom);
        if (!docs || !kc_json_is_obj(docs[0]))
                return kc_error_set(
                    err, EINVAL, "%s does not contain a valid container spec: it is no object", opt.custom);
        for (size_t i = 0; i < KC_ARRAY_LEN(fixed); i++)
                if (kc_json_get(docs[0], fixed[i]))
                        return kc_error_set(err, EINVAL,
                            "name, command, image, lifecycle and volume devices are not modifiable via custom profile");
        *ret = kc_json_copy(docs[0]);
        return 0;
}

static int check(struct kc_cli *c, size_t n_targets, struct json_object **custom, struct kc_error *err)
{
        if (!opt.profile)
                kc_str_set(&opt.profile, "general");
        bool attach_given = opt.attach;
        opt.attach = opt.attach || (spec.in && !kc_cli_flag_given("attach"));
        int e = kc_debug_check_profile(opt.profile, err);
        if (e == 0)
                e = read_custom(custom, err);
        if (e < 0)
                return e;
        if (attach_given && kc_str_empty(opt.image) && kc_str_empty(opt.container))
                return kc_error_set(err, EINVAL,
                    "you must specify --container or create a new container using --image in order to attach.");
        e = check_copy(err);
        if (e == 0 && n_targets == 0 && !opt.files)
                e = kc_error_set(err, EINVAL, "NAME or filename is required for debug");
        if (e == 0)
                e = check_images(err);
        if (e < 0)
                return e;
        if (!kc_str_empty(opt.target) && !kc_str_empty(opt.copy_to))
                return kc_error_set(
                    err, EINVAL, "--target is incompatible with --copy-to. Use --share-processes instead.");
        if (!kc_str_empty(opt.target) && !opt.quiet)
                (void)fprintf(c->out,
                    "Targeting container \"%s\". If you don't see processes from this container it may be because the "
                    "container runtime doesn't support this feature.\n",
                    opt.target);
        if (spec.tty && !spec.in)
                return kc_error_set(err, EINVAL, "-i/--stdin is required for containers with -t/--tty=true");
        if (kc_streq(opt.profile, "legacy"))
                (void)fprintf(c->err,
                    "--profile=legacy is deprecated and planned to be removed in v1.39. It is recommended to specify "
                    "other profile, for example \"--profile=general\".\n");
        return 0;
}

/* --- doing it */

static char *container_name(struct kc_cli *c, const struct json_object *pod)
{
        char suffix[SUFFIX + 1], *name = NULL;
        if (!kc_str_empty(opt.container))
                return kc_strdup(opt.container);
        do {
                kc_free(name);
                kc_rand_suffix(suffix, SUFFIX);
                name = kc_asprintf("debugger-%s", suffix);
        } while (kc_pod_has_container(pod, name));
        if (!opt.quiet)
                (void)fprintf(c->out, "Defaulting debug container name to %s.\n", name);
        return name;
}

static void warn_user(struct kc_cli *c, const struct json_object *pod, const struct json_object *container)
{
        if (kc_debug_needs_root(pod, container))
                (void)fprintf(c->err,
                    "Warning: Non-root user is configured for the entire target Pod, and some capabilities granted by "
                    "debug profile may not work. Please consider using \"--custom\" with a custom profile that "
                    "specifies "
                    "\"securityContext.runAsUser: 0\".\n");
}

static int debug_ephemeral(
    struct kc_cli *c, const struct kc_found *f, struct json_object **ret, char **ret_name, struct kc_error *err)
{
        struct json_object *container = NULL;
        *ret_name = container_name(c, f->obj);
        int e = kc_debug_ephemeral(&spec, *ret_name, &container, err);
        if (e < 0)
                return e;
        warn_user(c, f->obj, container);
        struct json_object *order = json_object_new_array();
        const struct json_object *now = kc_json_at(f->obj, "spec.ephemeralContainers");
        for (size_t i = 0; i < kc_json_len(now); i++)
                kc_json_push(order, kc_json_build("{'name':%s}", kc_json_str(kc_json_idx(now, i), "name")));
        kc_json_push(order, kc_json_build("{'name':%s}", *ret_name));
        KC_CLEANUP(kc_json_freep)
        struct json_object *patch = kc_json_build(
            "{'spec':{'$setElementOrder/ephemeralContainers':%o,'ephemeralContainers':[%o]}}", order, container);
        e = kc_cli_patch(c, f, "ephemeralcontainers", KC_PATCH_STRATEGIC, patch, ret, err);
        if (e < 0 && kc_error_is(err, KC_REASON_NOT_FOUND) && (!err->details || kc_str_empty(err->details->name))) {
                KC_CLEANUP(kc_freep) char *said = kc_strdup(kc_error_message(err));
                return kc_error_set(err, ENOTSUP,
                    "ephemeral containers are disabled for this cluster (error from server: \"%s\")", said);
        }
        return e;
}

/* The container to add or change; *ret NULL: only images are changed. */
static int copied_container(struct kc_cli *c, const struct json_object *pod, char **ret, struct kc_error *err)
{
        bool there = !kc_str_empty(opt.container) &&
                     (kc_json_find(kc_json_at(pod, "spec.containers"), "name", opt.container) ||
                         kc_json_find(kc_json_at(pod, "spec.initContainers"), "name", opt.container));
        if (!there && kc_str_empty(opt.image))
                return opt.set_images ? 0
                                      : kc_error_set(err, EINVAL, "you must specify image when creating new container");
        *ret = container_name(c, pod);
        return 0;
}

static int debug_copy(
    struct kc_cli *c, const struct kc_found *f, struct json_object **ret, char **ret_name, struct kc_error *err)
{
        struct kc_rest *rest;
        KC_CLEANUP(kc_json_freep) struct json_object *copy = NULL;
        int e = copied_container(c, f->obj, ret_name, err);
        if (e == 0)
                e = kc_debug_copy(&spec, f->obj, *ret_name, &copy, err);
        if (e == 0)
                e = kc_cli_rest(c, &rest, err);
        if (e < 0)
                return e;
        warn_user(c, copy, kc_json_find(kc_json_at(copy, "spec.containers"), "name", *ret_name));
        e = kc_rest_create(rest, &KC_PODS, f->ns, copy, ret, err);
        if (e == 0 && opt.replace)
                e = kc_rest_delete(rest, &KC_PODS, f->ns, f->name, &(struct kc_delete_opts){0}, NULL, err);
        return e;
}

static int debug_node(
    struct kc_cli *c, const struct kc_found *f, struct json_object **ret, char **ret_name, struct kc_error *err)
{
        struct kc_rest *rest = NULL;
        const char *ns = NULL;
        char suffix[SUFFIX + 1];
        KC_CLEANUP(kc_json_freep) struct json_object *pod = NULL;
        kc_rand_suffix(suffix, SUFFIX);
        KC_CLEANUP(kc_freep) char *name = kc_asprintf("node-debugger-%s-%s", f->name, suffix);
        *ret_name = kc_strdup(kc_str_empty(opt.container) ? "debugger" : opt.container);
        if (!opt.quiet)
                (void)fprintf(
                    c->out, "Creating debugging pod %s with container %s on node %s.\n", name, *ret_name, f->name);
        int e = kc_debug_node_pod(&spec, name, *ret_name, f->name, &pod, err);
        if (e == 0)
                e = kc_cli_rest(c, &rest, err);
        if (e == 0)
                e = kc_cli_namespace(c, &ns, err);
        return e < 0 ? e : kc_rest_create(rest, &KC_PODS, ns, pod, ret, err);
}

static int debug_one(struct kc_cli *c, const struct kc_found *f, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *pod = NULL;
        KC_CLEANUP(kc_freep) char *container = NULL;
        int e;
        if (kc_streq(f->res->kind, "Node"))
                e = debug_node(c, f, &pod, &container, err);
        else if (!kc_streq(f->res->kind, "Pod"))
                e = kc_error_set(err, EINVAL, "\"%s/%s, Kind=%s\" not supported by debug", f->res->group,
                    f->res->version, f->res->kind);
        else if (!kc_str_empty(opt.copy_to))
                e = debug_copy(c, f, &pod, &container, err);
        else
                e = debug_ephemeral(c, f, &pod, &container, err);
        if (e < 0 || !opt.attach || !container)
                return e;
        (void)fflush(c->out);
        struct kc_session_opts o = {
            .command_name = "kubec attach", .in = spec.in, .tty = spec.tty, .quiet = opt.quiet, .attach = true};
        return kc_attach_when_ready(c, kc_meta_namespace(pod), kc_meta_name(pod), container, true, 0, &o, err);
}

/* One after the other: the first error ends it. */
static int debug_found(struct kc_cli *c, char *const *args, char *const *files, struct kc_error *err)
{
        KC_CLEANUP(kc_founds_done) struct kc_founds all = {0};
        int e = kc_cli_find_objects(c, &(struct kc_object_query){.args = args, .files = files}, &all, err);
        for (size_t i = 0; e == 0 && i < all.n; i++)
                e = debug_one(c, &all.v[i], err);
        if (e == 0 && all.errors.n > 0) {
                kc_error_move(err, &all.errors.v[0]);
                return -err->errnum;
        }
        return e;
}

static int run(struct kc_cli *c, char **args, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *custom = NULL;
        size_t n = c->dash >= 0 ? (size_t)c->dash : kc_strv_len(args);
        spec.args = args + n;
        spec.share_given = kc_cli_flag_given("share-processes");
        int e = check(c, n, &custom, err);
        spec.container = opt.container;
        spec.image = opt.image;
        spec.pull_policy = opt.pull_policy;
        spec.target = opt.target;
        spec.copy_to = opt.copy_to;
        spec.profile = opt.profile;
        spec.env = opt.env;
        spec.set_images = opt.set_images;
        spec.custom = custom;
        char *none[] = {NULL};
        if (e == 0 && opt.files)
                e = debug_found(c, none, opt.files, err);
        for (size_t i = 0; e == 0 && i < n; i++) {
                char pods[] = "pods";
                char *by_type[] = {pods, args[i], NULL}, *by_pair[] = {args[i], NULL};
                e = debug_found(c, strchr(args[i], '/') ? by_pair : by_type, NULL, err);
        }
        return e;
}

const struct kc_command kc_cmd_debug = {.name = "debug",
    .usage = "debug (POD | TYPE[[.VERSION].GROUP]/NAME) [ -- COMMAND [args...] ]",
    .summary = "Create debugging sessions for troubleshooting workloads and nodes",
    .flags = flags,
    .n_flags = KC_ARRAY_LEN(flags),
    .run = run,
    .description =
        "Adds an ephemeral container with tools to a running pod, or makes a copy of the pod in which things are\n"
        "changed, or makes a pod on a node that sees the node's processes, network and files (below /host).",
    .examples = "# a shell beside the containers of a pod\nkubec debug web -it --image=busybox\n\n"
                "# one that sees the processes of the container \"app\"\n"
                "kubec debug web -it --image=busybox --target=app\n\n"
                "# a copy of the pod whose program is replaced by a shell\n"
                "kubec debug web -it --copy-to=web-debug --container=app -- sh\n\n"
                "# on a node\nkubec debug node/node1 -it --image=busybox\n",
    .completes = KC_ARGS_POD};
