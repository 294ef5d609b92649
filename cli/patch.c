/* kubec patch. Main thread. */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "api/object.h"
#include "api/patch.h"
#include "api/schema.h"
#include "base/file.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/manifest_options.h"
#include "cli/objects.h"
#include "cli/write.h"
#include "json/yaml.h"

enum { PATCH_MAX = 3 << 20 };

static struct {
        struct kc_manifest_options from;
        char *patch, *patch_file, *type, *subresource;
        bool local;
} opt;
static struct kc_write w = {.allow_missing_keys = true};

static const struct kc_flag flags[] = {
    {"patch", 'p', KC_FLAG_STRING, &opt.patch, "the patch, as JSON or YAML", "Patch"},
    {"patch-file", 0, KC_FLAG_STRING, &opt.patch_file, "file of the patch", "Patch"},
    {"type", 0, KC_FLAG_STRING, &opt.type, "strategic (default), merge or json", "Patch"},
    {"subresource", 0, KC_FLAG_STRING, &opt.subresource, "status, scale or resize", "Patch"},
    {"local", 0, KC_FLAG_BOOL, &opt.local, "patch what the file says, without a server", "Patch"},
    KC_MANIFEST_FLAGS(opt.from, "Patch"),
    KC_WRITE_PRINT_FLAGS(w, "Patch"),
    KC_WRITE_DRY_RUN_FLAG(w, "Patch"),
    KC_WRITE_MANAGER_FLAG(w, "Patch"),
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

/* The patch done here. */
static int patch_locally(const struct kc_found *f, const struct json_object *patch, const char *type,
    struct json_object **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *changed = kc_json_copy(f->obj);
        const struct kc_resource *known = kc_schema_kind(f->res->group, f->res->version, f->res->kind);
        int e;
        if (strcmp(type, KC_PATCH_JSON) == 0)
                e = kc_patch_json(&changed, patch, err);
        else if (strcmp(type, KC_PATCH_MERGE) == 0)
                e = kc_patch_merge(&changed, patch, err);
        else if (known && known->type)
                e = kc_patch_strategic(&changed, patch, known->type, err);
        else
                e = kc_error_set(err, EINVAL,
                    "%s is not supported with --local: strategic merge patches need a known kind", f->res->kind);
        if (e == 0)
                *ret = KC_TAKE(changed);
        return e;
}

/* Whether it is a dry run, kubectl does not say here. */
static int print_as_done(struct kc_cli *c, const struct kc_api_resource *res, const struct json_object *changed,
    const char *said, struct kc_error *err)
{
        enum kc_dry_run kept = w.dry_run;
        w.dry_run = KC_DRY_RUN_NONE;
        int e = kc_write_print(c, &w, res, changed, said, err);
        w.dry_run = kept;
        return e;
}

/* A Scale is no Deployment: what a subresource answers is told by its own kind. */
static int print_patched(
    struct kc_cli *c, const struct kc_found *f, const struct json_object *changed, struct kc_error *err)
{
        const char *kind = kc_json_str(changed, "kind"), *api_version = kc_json_str(changed, "apiVersion");
        const char *said = kc_json_equal(f->obj, changed) ? "patched (no change)" : "patched";
        if (!kind || kc_streq(kind, f->res->kind))
                return print_as_done(c, f->res, changed, said, err);
        KC_CLEANUP(kc_freep) char *group = NULL;
        KC_CLEANUP(kc_freep) char *version = NULL;
        kc_api_version_split(api_version ? api_version : "", &group, &version);
        KC_CLEANUP(kc_freep) char *singular = kc_strdup(kind);
        for (char *p = singular; *p; p++)
                *p = (char)tolower((unsigned char)*p);
        struct kc_api_resource res = {
            .group = group, .version = version, .resource = singular, .singular = singular, .kind = singular};
        return print_as_done(c, &res, changed, said, err);
}

static int patch_one(
    struct kc_cli *c, const struct kc_found *f, const struct json_object *patch, const char *type, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *changed = NULL;
        struct kc_write_request r = {.method = "PATCH",
            .content_type = type,
            .res = f->res,
            .ns = f->ns,
            .name = f->name,
            .sub = opt.subresource,
            .default_manager = "kubectl-patch",
            .body = patch};
        int e = opt.local || w.dry_run == KC_DRY_RUN_CLIENT ? patch_locally(f, patch, type, &changed, err)
                                                            : kc_write_send(c, &w, &r, &changed, err);
        return e < 0 ? e : print_patched(c, f, changed, err);
}

static int run(struct kc_cli *c, char **args, struct kc_error *err)
{
        KC_CLEANUP(kc_founds_done) struct kc_founds all = {0};
        KC_CLEANUP(kc_json_freep) struct json_object *patch = NULL;
        const char *type = NULL;
        int e = kc_write_check(&w, err);
        if (e == 0)
                e = read_patch(&patch, err);
        if (e == 0)
                e = content_type(&type, err);
        if (e == 0)
                e = kc_cli_find_objects(c,
                    &(struct kc_object_query){.args = args,
                        .files = opt.from.files,
                        .kustomize = opt.from.kustomize,
                        .recursive = opt.from.recursive,
                        .local = opt.local},
                    &all, err);
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
