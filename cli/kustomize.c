/* kubec kustomize. Main thread. */
#include <errno.h>
#include <string.h>

#include "base/file.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/kustomize/kustomize.h"

static struct {
        char *output, *restrictor;
} opt;

static const struct kc_flag flags[] = {
    {"output", 'o', KC_FLAG_STRING, &opt.output, "file to write to instead of the standard output", "Kustomize"},
    {"load-restrictor", 0, KC_FLAG_STRING, &opt.restrictor,
        "LoadRestrictionsRootOnly (default), or LoadRestrictionsNone: files outside of the root, too", "Kustomize"},
};

static int run(struct kc_cli *c, char **args, struct kc_error *err)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf text = KC_BUF_INIT;
        KC_CLEANUP(kc_buf_done) struct kc_buf warnings = KC_BUF_INIT;
        struct kc_kustomize_options o = {
            .load_anywhere = kc_streq(opt.restrictor, "LoadRestrictionsNone"), .warnings = &warnings};
        if (args[0] && args[1])
                return kc_error_set(err, EINVAL, "specify one path to kustomization.yaml");
        if (opt.restrictor && !o.load_anywhere && strcmp(opt.restrictor, "LoadRestrictionsRootOnly") != 0)
                return kc_error_set(err, EINVAL,
                    "illegal flag value --load-restrictor %s; legal values: [LoadRestrictionsRootOnly "
                    "LoadRestrictionsNone]",
                    opt.restrictor);
        int e = kc_kustomize_build(args[0] ? args[0] : ".", &o, &text, err);
        (void)fputs(kc_buf_str(&warnings), c->err);
        if (e < 0)
                return e;
        if (!kc_str_empty(opt.output))
                return kc_file_write_atomic(opt.output, kc_buf_str(&text), text.len, 0644, err);
        (void)fwrite(kc_buf_str(&text), 1, text.len, c->out);
        return 0;
}

const struct kc_command kc_cmd_kustomize = {.name = "kustomize",
    .usage = "kustomize DIR [flags]",
    .summary = "Build a kustomization target from a directory",
    .description =
        "Prints the objects of a directory with a kustomization.yaml: its resources, patched, renamed, labeled and\n"
        "generated as it says. Only local files and directories are read.",
    .examples = "# The objects of the current directory\n"
                "kubec kustomize\n"
                "\n"
                "# Applied at once\n"
                "kubec apply -k overlays/production",
    .completes = KC_ARGS_FILE,
    .flags = flags,
    .n_flags = KC_ARRAY_LEN(flags),
    .run = run};
