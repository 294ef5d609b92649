/* kubec patch. Main thread. */
#include <errno.h>
#include <string.h>

#include "api/object.h"
#include "base/file.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/objects.h"
#include "cli/requests.h"
#include "json/yaml.h"

enum { PATCH_MAX = 3 << 20 };

static struct {
        char **files, *patch, *patch_file, *type, *subresource, *output, *dry_run, *field_manager;
        bool recursive;
} opt;
static enum kc_dry_run dry_run;

static const struct kc_flag flags[] = {
    {"patch", 'p', KC_FLAG_STRING, &opt.patch, "the patch, as JSON or YAML", "Patch"},
    {"patch-file", 0, KC_FLAG_STRING, &opt.patch_file, "file of the patch", "Patch"},
    {"type", 0, KC_FLAG_STRING, &opt.type, "strategic (default), merge or json", "Patch"},
    {"subresource", 0, KC_FLAG_STRING, &opt.subresource, "status, scale or resize", "Patch"},
    {"filename", 'f', KC_FLAG_STRV, &opt.files, "files that name the objects", "Patch"},
    {"recursive", 'R', KC_FLAG_BOOL, &opt.recursive, "directories with theirs", "Patch"},
    {"output", 'o', KC_FLAG_STRING, &opt.output, "as of get", "Patch"},
    {"dry-run", 0, KC_FLAG_STRING, &opt.dry_run, "none or server", "Patch"},
    {"field-manager", 0, KC_FLAG_STRING, &opt.field_manager, "name of the manager of the fields", "Patch"},
};

static int read_patch(struct json_object **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf text = KC_BUF_INIT;
        if (kc_str_empty(opt.patch) && kc_str_empty(opt.patch_file))
                return kc_error_set(
                    err, EINVAL, "must specify --patch or --patch-file containing the contents of the patch");
        if (!kc_str_empty(opt.patch) && !kc_str_empty(opt.patch_file))
                return kc_error_set(err, EINVAL, "cannot specify --patch and --patch-file together");
        int e = 0;
        if (kc_str_empty(opt.patch))
                e = kc_file_read(opt.patch_file, PATCH_MAX, &text, err);
        else
                kc_buf_adds(&text, opt.patch);
        if (e < 0)
                return kc_error_wrap(err, "unable to read patch file");
        if (kc_yaml_parse(kc_buf_str(&text), text.len, NULL, ret, err) < 0)
                return kc_error_wrap(err, "unable to parse \"%s\"", kc_buf_str(&text));
        return 0;
}

static int content_type(const char **ret, struct kc_error *err)
{
        static const char *const types[][2] = {
            {"strategic", KC_PATCH_STRATEGIC}, {"merge", KC_PATCH_MERGE}, {"json", KC_PATCH_JSON}};
        const char *type = kc_str_empty(opt.type) ? "strategic" : opt.type;
        for (size_t i = 0; i < KC_ARRAY_LEN(types); i++)
                if (strcmp(type, types[i][0]) == 0) {
                        *ret = types[i][1];
                        return 0;
                }
        return kc_error_set(err, EINVAL, "--type must be one of [json merge strategic], not \"%s\"", type);
}

static int patch_one(
    struct kc_cli *c, const struct kc_found *f, const struct json_object *patch, const char *type, struct kc_error *err)
{
        struct kc_rest *rest;
        KC_CLEANUP(kc_json_freep) struct json_object *changed = NULL;
        KC_CLEANUP(kc_buf_done) struct kc_buf q = KC_BUF_INIT;
        kc_query_add(&q, "dryRun", dry_run == KC_DRY_RUN_SERVER ? "All" : NULL);
        kc_query_add(&q, "fieldManager", kc_str_empty(opt.field_manager) ? "kubectl-patch" : opt.field_manager);
        KC_CLEANUP(kc_freep) char *path = kc_cli_path(f->res, f->ns, f->name, opt.subresource, kc_buf_str(&q));
        int e = kc_cli_rest(c, &rest, err);
        if (e == 0)
                e = kc_rest_call(rest, "PATCH", path, type, patch, &changed, err);
        if (e < 0)
                return e;
        /* A Scale is no pod: of subresources of another kind only the change itself is told. */
        bool same = kc_streq(kc_meta_resource_version(f->obj), kc_meta_resource_version(changed));
        return kc_cli_print_result(
            c, f->res, changed, opt.output, same ? "patched (no change)" : "patched", dry_run, err);
}

static int run(struct kc_cli *c, char **args, struct kc_error *err)
{
        KC_CLEANUP(kc_founds_done) struct kc_founds all = {0};
        KC_CLEANUP(kc_json_freep) struct json_object *patch = NULL;
        const char *type = NULL;
        int e = kc_dry_run_parse(opt.dry_run, &dry_run, err);
        if (e == 0)
                e = read_patch(&patch, err);
        if (e == 0)
                e = content_type(&type, err);
        if (e == 0)
                e = kc_cli_find_objects(c,
                    &(struct kc_object_query){.args = args, .files = opt.files, .recursive = opt.recursive}, &all, err);
        if (e < 0)
                return e;
        KC_CLEANUP(kc_cli_errors_done) struct kc_cli_errors errors = all.errors;
        all.errors = (struct kc_cli_errors){0};
        for (size_t i = 0; i < all.n; i++) {
                struct kc_error why = KC_ERROR_INIT;
                if (patch_one(c, &all.v[i], patch, type, &why) < 0)
                        kc_cli_errors_take(&errors, &why);
        }
        return kc_cli_errors_report(c, &errors) ? KC_CLI_FAILED : 0;
}

const struct kc_command kc_cmd_patch = {.name = "patch",
    .usage = "patch (-f FILENAME | TYPE NAME) [-p PATCH|--patch-file FILE] [flags]",
    .summary = "Update fields of a resource",
    .flags = flags,
    .n_flags = KC_ARRAY_LEN(flags),
    .run = run};
