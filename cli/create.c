/* kubec create -f, -k and --raw. Main thread. */
#include "cli/create.h"

#include <errno.h>
#include <string.h>

#include "api/object.h"
#include "base/str.h"
#include "cli/apply.h"
#include "cli/commands.h"
#include "cli/edit_tree.h"
#include "cli/manifest_options.h"
#include "cli/raw.h"

static struct {
        struct kc_manifest_options from;
        char *raw;
        bool edit;
} opt;
static struct kc_write w = {.allow_missing_keys = true};

static const struct kc_flag flags[] = {
    KC_MANIFEST_FLAGS(opt.from, "Create"),
    {"selector", 'l', KC_FLAG_STRING, &opt.from.selector, "label query of the objects in the files", "Create"},
    {"raw", 0, KC_FLAG_STRING, &opt.raw, "URI to POST the file to", "Create"},
    {"edit", 0, KC_FLAG_BOOL, &opt.edit, "edit the objects before they are created", "Create"},
    KC_WRITE_PRINT_FLAGS(w, "Create"),
    KC_WRITE_DRY_RUN_FLAG(w, "Create"),
    KC_WRITE_MANAGER_FLAG(w, "Create"),
    KC_WRITE_VALIDATE_FLAG(w, "Create"),
    KC_WRITE_SAVE_CONFIG_FLAG(w, "Create"),
};

int kc_create_send(struct kc_cli *c, struct kc_write *write, const struct kc_api_resource *res, const char *ns,
    const struct json_object *obj, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep)
        struct json_object *sent = !write->save_config ? kc_json_copy(obj)
                                   : write->typed      ? kc_apply_modified_typed(obj)
                                                       : kc_apply_modified(obj),
                           *created = NULL;
        struct kc_write_request r = {.method = "POST",
            .res = res,
            .ns = ns,
            .default_manager = "kubectl-create",
            .validated = true,
            .body = sent};
        int e = write->dry_run == KC_DRY_RUN_CLIENT ? 0 : kc_write_send(c, write, &r, &created, err);
        return e < 0 ? e : kc_write_print(c, write, res, created ? created : sent, "created", err);
}

static int run_raw(struct kc_cli *c, struct kc_error *err)
{
        if (opt.edit)
                return kc_cli_usage_error(c, "create", err, "--raw and --edit are mutually exclusive");
        if (kc_strv_len(opt.from.files) != 1)
                return kc_cli_usage_error(c, "create", err, "--raw can only use a single local file or stdin");
        if (!kc_str_empty(opt.from.selector))
                return kc_cli_usage_error(c, "create", err, "--raw and --selector (-l) are mutually exclusive");
        if (!kc_str_empty(w.output))
                return kc_cli_usage_error(c, "create", err, "--raw and --output are mutually exclusive");
        return kc_cli_raw(c, "POST", opt.raw, opt.from.files[0], err);
}

static int create_one(struct kc_cli *c, const struct kc_manifest *m, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *edited = NULL;
        int e = opt.edit ? kc_edit_tree(c, m->obj, &edited, err) : 0;
        if (e < 0 || (opt.edit && !edited))
                return e;
        e = kc_create_send(c, &w, m->res, m->ns, edited ? edited : m->obj, err);
        return e < 0 ? kc_cli_add_source(err, "creating", m->source) : 0;
}

static int run(struct kc_cli *c, char **args, struct kc_error *err)
{
        KC_CLEANUP(kc_manifests_done) struct kc_manifests all = {0};
        if (args[0])
                return kc_cli_unexpected_args(c, "create", args, err);
        int e = kc_manifest_options_check(&opt.from, err);
        if (e < 0)
                return e;
        if (!kc_str_empty(opt.raw))
                return run_raw(c, err);
        e = kc_write_check(&w, err);
        if (e == 0)
                e = kc_manifest_options_load(c, &opt.from, &all, err);
        if (e < 0)
                return e;
        if (all.n == 0 && all.errors.n == 0)
                return kc_error_set(err, EINVAL, "no objects passed to create");
        KC_CLEANUP(kc_cli_errors_done) struct kc_cli_errors errors = {0};
        for (size_t i = 0; i < all.n; i++) {
                struct kc_error why = KC_ERROR_INIT;
                const struct kc_manifest *m = &all.v[i];
                if (create_one(c, m, &why) < 0)
                        kc_cli_errors_take(&errors, &why);
        }
        kc_manifests_errors(&all, &errors);
        return kc_cli_errors_report(c, &errors) ? KC_CLI_FAILED : 0;
}

const struct kc_command kc_cmd_create = {.name = "create",
    .usage = "create -f FILENAME [flags]",
    .summary = "Create a resource from a file or from stdin",
    .description =
        "Creates the objects of files, directories, a kustomization or the standard input. The subcommands make\n"
        "an object from their arguments instead.",
    .examples = "# The objects of a file\n"
                "kubec create -f pod.yaml\n"
                "\n"
                "# Of the standard input\n"
                "kubec create -f - <pod.yaml\n"
                "\n"
                "# A manifest to start from, without asking a server\n"
                "kubec create deployment web --image=nginx --dry-run=client -o yaml",
    .completes = KC_ARGS_FILE,
    .flags = flags,
    .n_flags = KC_ARRAY_LEN(flags),
    .run = run,
    .subs = kc_create_subs,
    .n_subs = KC_CREATE_N_SUBS};
