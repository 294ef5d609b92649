/* kubec describe. Main thread. */
#include <errno.h>
#include <string.h>

#include "api/object.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/describe/describe.h"
#include "cli/objects.h"

static struct {
        char **files, *kustomize, *selector;
        bool all_namespaces, recursive, show_events;
        int64_t chunk_size;
} opt = {.show_events = true, .chunk_size = 500};

static const struct kc_flag flags[] = {
    {"all-namespaces", 'A', KC_FLAG_BOOL, &opt.all_namespaces, "objects of all namespaces", "Describe"},
    {"chunk-size", 0, KC_FLAG_INT64, &opt.chunk_size, "size of the pages of lists; 0: no pages", "Describe"},
    {"filename", 'f', KC_FLAG_STRV, &opt.files, "files that name the objects", "Describe"},
    {"kustomize", 'k', KC_FLAG_STRING, &opt.kustomize, "directory with a kustomization", "Describe"},
    {"recursive", 'R', KC_FLAG_BOOL, &opt.recursive, "directories with theirs", "Describe"},
    {"selector", 'l', KC_FLAG_STRING, &opt.selector, "label query: -l key1=value1,key2!=value2", "Describe"},
    {"show-events", 0, KC_FLAG_BOOL, &opt.show_events, "the events that tell of the object, too", "Describe"},
};

/* What is found: without a name, all of it. */
static int find(struct kc_cli *c, char **args, struct kc_founds *ret, struct kc_error *err)
{
        struct kc_object_query q = {.args = args,
            .files = opt.files,
            .kustomize = opt.kustomize,
            .selector = opt.selector,
            .all = true,
            .all_namespaces = opt.all_namespaces,
            .recursive = opt.recursive};
        return kc_cli_find_objects(c, &q, ret, err);
}

static int describe(struct kc_cli *c, const struct kc_found *f, struct kc_buf *out, struct kc_error *err)
{
        struct kc_rest *rest;
        struct kc_describe_opts o = {.show_events = opt.show_events, .chunk_size = opt.chunk_size};
        int e = kc_cli_rest(c, &rest, err);
        return e < 0 ? e : kc_describe_object(rest, f->res, f->obj, &o, out, err);
}

/* kubec describe pod web: all whose names begin so. The error stands if there are none. */
static int describe_by_prefix(struct kc_cli *c, char **args, struct kc_error *take_not_found)
{
        char *type[] = {args[0], NULL};
        KC_CLEANUP(kc_founds_done) struct kc_founds found = {0};
        KC_CLEANUP(kc_cli_errors_done) struct kc_cli_errors failures = {0};
        struct kc_error why = KC_ERROR_INIT;
        bool any = false;
        if (find(c, type, &found, &why) < 0)
                kc_cli_errors_take(&failures, &why);
        for (size_t i = 0; failures.n == 0 && i < found.n; i++) {
                KC_CLEANUP(kc_buf_done) struct kc_buf text = KC_BUF_INIT;
                if (!kc_str_has_prefix(found.v[i].name, args[1]))
                        continue;
                any = true;
                if (describe(c, &found.v[i], &text, &why) < 0)
                        kc_cli_errors_take(&failures, &why);
                else
                        (void)fprintf(c->out, "%s\n", kc_buf_str(&text));
        }
        if (!any && failures.n == 0)
                kc_cli_errors_take(&failures, take_not_found);
        else
                kc_error_done(take_not_found);
        return kc_cli_errors_report(c, &failures) ? KC_CLI_FAILED : 0;
}

static int nothing_found(struct kc_cli *c, struct kc_error *err)
{
        const char *ns;
        int e = kc_cli_namespace(c, &ns, err);
        if (e < 0)
                return e;
        if (opt.all_namespaces)
                (void)fprintf(c->err, "No resources found\n");
        else
                (void)fprintf(c->err, "No resources found in %s namespace.\n", ns);
        return 0;
}

static int run(struct kc_cli *c, char **args, struct kc_error *err)
{
        KC_CLEANUP(kc_founds_done) struct kc_founds found = {0};
        KC_CLEANUP(kc_cli_errors_done) struct kc_cli_errors failures = {0};
        bool from_files = opt.files || !kc_str_empty(opt.kustomize);
        if (!args[0] && !from_files)
                return kc_error_set(err, EINVAL,
                    "You must specify the type of resource to describe. Use \"%s api-resources\" for a complete list "
                    "of supported resources.",
                    c->program);
        int e = find(c, args, &found, err);
        if (e < 0)
                return e;
        if (found.errors.n == 1 && kc_error_is(&found.errors.v[0], KC_REASON_NOT_FOUND) && kc_strv_len(args) == 2 &&
            !from_files)
                return describe_by_prefix(c, args, &found.errors.v[0]);
        for (size_t i = 0; i < found.errors.n; i++)
                kc_cli_errors_take(&failures, &found.errors.v[i]);
        bool first = true;
        for (size_t i = 0; i < found.n; i++) {
                KC_CLEANUP(kc_buf_done) struct kc_buf text = KC_BUF_INIT;
                struct kc_error why = KC_ERROR_INIT;
                if (describe(c, &found.v[i], &text, &why) < 0) {
                        kc_cli_errors_take(&failures, &why);
                        continue;
                }
                (void)fprintf(c->out, "%s%s", first ? "" : "\n\n", kc_buf_str(&text));
                first = false;
        }
        if (found.n == 0 && failures.n == 0)
                return nothing_found(c, err);
        return kc_cli_errors_report(c, &failures) ? KC_CLI_FAILED : 0;
}

const struct kc_command kc_cmd_describe = {.name = "describe",
    .usage = "describe (-f FILENAME | TYPE [NAME_PREFIX | -l label] | TYPE/NAME) [flags]",
    .summary = "Show details of a specific resource or group of resources",
    .flags = flags,
    .n_flags = KC_ARRAY_LEN(flags),
    .run = run,
    .description = "Says all that is known of an object, in words: its fields, what belongs to it (pods, endpoints, "
                   "quotas) and the events that tell of it.\n\n"
                   "A name that is not there is taken for the beginning of names.",
    .examples = "# A node\n"
                "kubec describe nodes worker-1\n\n"
                "# All pods whose names begin with web\n"
                "kubec describe pods web\n\n"
                "# The pods of an application\n"
                "kubec describe pods -l app=shop\n\n"
                "# What a file names\n"
                "kubec describe -f shop.yaml",
    .completes = KC_ARGS_RESOURCES};
