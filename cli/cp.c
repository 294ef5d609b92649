/* kubec cp. Main thread. */
#include "cli/cp.h"

#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "cli/commands.h"

static struct {
        char *container;
        bool no_preserve;
        int retries;
} opt;

static const struct kc_flag flags[] = {
    {"container", 'c', KC_FLAG_STRING, &opt.container, "the container; else the default one of the pod", "Copy"},
    {"no-preserve", 0, KC_FLAG_BOOL, &opt.no_preserve, "without the owner and the modes", "Copy"},
    {"retries", 0, KC_FLAG_INT, &opt.retries,
        "how often a broken copy from a container is taken up again; negative: for ever", "Copy"},
};

static void spec_done(struct kc_cp_spec *s)
{
        kc_free(s->ns);
        kc_free(s->pod);
        kc_free(s->file);
}

static void strip_slash(char *file)
{
        size_t len = strlen(file);
        if (len > 1 && file[len - 1] == '/')
                file[len - 1] = '\0';
}

/* "[[namespace/]pod:]file". */
static int parse_spec(const char *arg, struct kc_cp_spec *ret, struct kc_error *err)
{
        static const char expected[] = "filespec must match the canonical format: [[namespace/]pod:]file/path";
        const char *colon = strchr(arg, ':');
        if (colon == arg)
                return kc_error_set(err, EINVAL, "%s", expected);
        ret->ns = kc_strdup("");
        ret->file = kc_strdup(colon ? colon + 1 : arg);
        strip_slash(ret->file);
        if (!colon)
                return 0;
        KC_CLEANUP(kc_freep) char *pod = kc_strndup(arg, (size_t)(colon - arg));
        KC_CLEANUP(kc_strv_freep) char **pieces = kc_strv_split(pod, '/');
        size_t n = kc_strv_len(pieces);
        if (n > 2)
                return kc_error_set(err, EINVAL, "%s", expected);
        ret->pod = kc_strdup(pieces[n - 1]);
        if (n == 2)
                kc_str_set(&ret->ns, pieces[0]);
        return 0;
}

static int run(struct kc_cli *c, char **args, struct kc_error *err)
{
        KC_CLEANUP(spec_done) struct kc_cp_spec from = {0};
        KC_CLEANUP(spec_done) struct kc_cp_spec to = {0};
        if (kc_strv_len(args) != 2)
                return kc_error_set(err, EINVAL, "source and destination are required");
        int e = parse_spec(args[0], &from, err);
        if (e == 0)
                e = parse_spec(args[1], &to, err);
        if (e < 0)
                return e;
        if (from.pod && to.pod)
                return kc_error_set(err, EINVAL, "one of src or dest must be a local file specification");
        if (!from.file[0] || !to.file[0])
                return kc_error_set(err, EINVAL, "filepath can not be empty");
        if (!from.pod && !to.pod)
                return kc_error_set(err, EINVAL, "one of src or dest must be a remote file specification");
        struct kc_cp cp = {.c = c, .container = opt.container, .no_preserve = opt.no_preserve, .retries = opt.retries};
        (void)fflush(c->out);
        e = from.pod ? kc_cp_from_pod(&cp, &from, &to, err) : kc_cp_to_pod(&cp, &from, &to, err);
        if (e > 0)
                (void)fprintf(c->err, "command terminated with exit code %d\n", e);
        return e;
}

const struct kc_command kc_cmd_cp = {.name = "cp",
    .usage = "cp <file-spec-src> <file-spec-dest>",
    .summary = "Copy files and directories to and from containers",
    .flags = flags,
    .n_flags = KC_ARRAY_LEN(flags),
    .run = run,
    .description = "Copies with the help of the container's own tar, which has to be in its image. Symbolic links are\n"
                   "copied to a container but not from one.",
    .examples =
        "# a file into the default container of a pod\nkubec cp a.txt web:/tmp/a.txt\n\n"
        "# a directory from a container of a pod in another namespace\nkubec cp other/web:/var/log logs -c app\n",
    .completes = KC_ARGS_FILE};
