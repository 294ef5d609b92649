/* kubec apply edit-last-applied, set-last-applied, view-last-applied. Main thread. */
#include <errno.h>
#include <string.h>

#include "api/object.h"
#include "base/str.h"
#include "cli/apply.h"
#include "cli/apply_prune.h"
#include "cli/edit_tree.h"
#include "cli/manifest_options.h"
#include "cli/objects.h"
#include "cli/printer.h"

static struct {
        struct kc_manifest_options from;
        char *output;
        bool all, create;
} opt;
static struct kc_write w = {.allow_missing_keys = true};

static const struct kc_flag view_flags[] = {
    KC_MANIFEST_FLAGS(opt.from, "Apply"),
    {"output", 'o', KC_FLAG_STRING, &opt.output, "yaml (default) or json", "Apply"},
    {"selector", 'l', KC_FLAG_STRING, &opt.from.selector, "label query", "Apply"},
    {"all", 0, KC_FLAG_BOOL, &opt.all, "all objects of the resource in the namespace", "Apply"},
};
static const struct kc_flag edit_flags[] = {
    KC_MANIFEST_FLAGS(opt.from, "Apply"),
    KC_WRITE_PRINT_FLAGS(w, "Apply"),
    KC_WRITE_MANAGER_FLAG(w, "Apply"),
    KC_WRITE_VALIDATE_FLAG(w, "Apply"),
};
static const struct kc_flag set_flags[] = {
    {"filename", 'f', KC_FLAG_STRV, &opt.from.files, "files with the configuration", "Apply"},
    {"create-annotation", 0, KC_FLAG_BOOL, &opt.create, "also where there is none", "Apply"},
    KC_WRITE_PRINT_FLAGS(w, "Apply"),
    KC_WRITE_DRY_RUN_FLAG(w, "Apply"),
};

/* --- view-last-applied */

static int view_one(struct kc_cli *c, const struct kc_found *f, bool json, struct kc_error *err)
{
        enum { INDENT = 2 };
        KC_CLEANUP(kc_json_freep) struct json_object *tree = NULL;
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        const char *text = kc_meta_annotation(f->obj, KC_LAST_APPLIED);
        if (kc_str_empty(text))
                return 0;
        int e = kc_json_parse(text, strlen(text), NULL, &tree, err);
        if (e < 0)
                return e;
        if (json) {
                kc_json_write_pretty(&b, tree, INDENT, false);
                kc_buf_addc(&b, '\n');
        } else {
                kc_print_yaml(&b, tree);
        }
        (void)fwrite(kc_buf_str(&b), 1, b.len, c->out);
        return 0;
}

static int run_view(struct kc_cli *c, char **args, struct kc_error *err)
{
        KC_CLEANUP(kc_founds_done) struct kc_founds all = {0};
        bool json = kc_streq(opt.output, "json");
        if (opt.output && !json && strcmp(opt.output, "yaml") != 0)
                return kc_cli_usage_error(c, "apply view-last-applied", err,
                    "Unexpected -o output mode: %s, the flag 'output' must be one of yaml|json", opt.output);
        int e = kc_cli_find_objects(c,
            &(struct kc_object_query){.args = args,
                .files = opt.from.files,
                .kustomize = opt.from.kustomize,
                .recursive = opt.from.recursive,
                .selector = opt.from.selector,
                .all = opt.all},
            &all, err);
        for (size_t i = 0; e == 0 && i < all.n; i++)
                e = view_one(c, &all.v[i], json, err);
        if (e < 0)
                return e;
        return kc_cli_errors_report(c, &all.errors) ? KC_CLI_FAILED : 0;
}

/* --- set-last-applied */

/* What the annotation holds: the object without it. */
static char *configuration(const struct json_object *obj)
{
        KC_CLEANUP(kc_json_freep) struct json_object *copy = kc_json_copy(obj);
        struct json_object *annotations = kc_json_at_mut(copy, "metadata.annotations");
        if (annotations)
                kc_json_del(annotations, KC_LAST_APPLIED);
        if (annotations && kc_json_n_keys(annotations) == 0)
                kc_json_del(kc_json_get_mut(copy, "metadata"), "annotations");
        return kc_apply_encode(copy);
}

static bool same_text(const char *a, const char *b)
{
        KC_CLEANUP(kc_freep) char *x = kc_str_trim(a);
        KC_CLEANUP(kc_freep) char *y = kc_str_trim(b);
        return kc_streq(x, y);
}

static int set_one(struct kc_cli *c, const struct kc_manifest *m, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *live = NULL, *answer = NULL;
        int e = kc_cli_get(c, m->res, m->ns, m->name, &live, err);
        if (e < 0)
                return e;
        const char *now = kc_meta_annotation(live, KC_LAST_APPLIED);
        KC_CLEANUP(kc_freep) char *wanted = configuration(m->obj);
        if (!now && !opt.create)
                return kc_error_set(err, ENOENT,
                    "no last-applied-configuration annotation found on resource: %s, to create the annotation, run the "
                    "command with --create-annotation",
                    m->name);
        if (now && same_text(now, wanted)) {
                (void)fprintf(c->out, "set-last-applied %s: no changes required.\n", m->name);
                return 0;
        }
        KC_CLEANUP(kc_json_freep)
        struct json_object *patch = kc_json_build("{'metadata':{'annotations':{%s:%s}}}", KC_LAST_APPLIED, wanted);
        struct kc_write_request r = {.method = "PATCH",
            .content_type = KC_PATCH_MERGE,
            .res = m->res,
            .ns = m->ns,
            .name = m->name,
            .body = patch};
        if (w.dry_run != KC_DRY_RUN_CLIENT)
                e = kc_write_send(c, &w, &r, &answer, err);
        return e < 0 ? e : kc_write_print(c, &w, m->res, answer ? answer : live, "configured", err);
}

static int run_set(struct kc_cli *c, char **args, struct kc_error *err)
{
        KC_CLEANUP(kc_manifests_done) struct kc_manifests all = {0};
        if (args[0] || !opt.from.files)
                return kc_error_set(err, EINVAL, "%s", KC_CLI_NO_RESOURCES);
        int e = kc_write_check(&w, err);
        if (e == 0)
                e = kc_manifest_options_load(c, &opt.from, &all, err);
        for (size_t i = 0; e == 0 && i < all.n; i++)
                e = set_one(c, &all.v[i], err);
        if (e < 0)
                return e;
        return kc_cli_errors_report(c, &all.errors) ? KC_CLI_FAILED : 0;
}

/* --- edit-last-applied */

static int edit_one(struct kc_cli *c, const struct kc_found *f, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *tree = NULL, *edited = NULL, *answer = NULL;
        const char *text = kc_meta_annotation(f->obj, KC_LAST_APPLIED);
        int e =
            text ? kc_json_parse(text, strlen(text), NULL, &tree, err)
                 : kc_error_set(err, ENOENT,
                       "no last-applied-configuration annotation found on resource: %s, to create the annotation, run "
                       "the command with --create-annotation",
                       f->name);
        if (e == 0)
                e = kc_edit_tree(c, tree, &edited, err);
        if (e < 0 || !edited)
                return e;
        KC_CLEANUP(kc_freep) char *wanted = kc_apply_encode(edited);
        KC_CLEANUP(kc_json_freep)
        struct json_object *patch = kc_json_build("{'metadata':{'annotations':{%s:%s}}}", KC_LAST_APPLIED, wanted);
        struct kc_write_request r = {.method = "PATCH",
            .content_type = KC_PATCH_MERGE,
            .res = f->res,
            .ns = f->ns,
            .name = f->name,
            .default_manager = "kubectl-client-side-apply",
            .body = patch};
        e = kc_write_send(c, &w, &r, &answer, err);
        return e < 0 ? e : kc_write_print(c, &w, f->res, answer, "edited", err);
}

static int run_edit(struct kc_cli *c, char **args, struct kc_error *err)
{
        KC_CLEANUP(kc_founds_done) struct kc_founds all = {0};
        int e = kc_write_check(&w, err);
        if (e == 0)
                e = kc_cli_find_objects(c,
                    &(struct kc_object_query){.args = args,
                        .files = opt.from.files,
                        .kustomize = opt.from.kustomize,
                        .recursive = opt.from.recursive},
                    &all, err);
        for (size_t i = 0; e == 0 && i < all.n; i++)
                e = edit_one(c, &all.v[i], err);
        if (e < 0)
                return e;
        return kc_cli_errors_report(c, &all.errors) ? KC_CLI_FAILED : 0;
}

const struct kc_command kc_apply_subs[KC_APPLY_N_SUBS] = {
    {.name = "edit-last-applied",
        .usage = "apply edit-last-applied (RESOURCE/NAME | -f FILENAME)",
        .summary = "Edit what was applied last",
        .completes = KC_ARGS_RESOURCES,
        .flags = edit_flags,
        .n_flags = KC_ARRAY_LEN(edit_flags),
        .run = run_edit},
    {.name = "set-last-applied",
        .usage = "apply set-last-applied -f FILENAME",
        .summary = "Set the annotation of what was applied last to the contents of a file",
        .completes = KC_ARGS_FILE,
        .flags = set_flags,
        .n_flags = KC_ARRAY_LEN(set_flags),
        .run = run_set},
    {.name = "view-last-applied",
        .usage = "apply view-last-applied (TYPE [NAME | -l label] | TYPE/NAME | -f FILENAME)",
        .summary = "Print what was applied last",
        .completes = KC_ARGS_RESOURCES,
        .flags = view_flags,
        .n_flags = KC_ARRAY_LEN(view_flags),
        .run = run_view},
};
