/* kubec apply. Main thread. */
#include "cli/apply.h"

#include <errno.h>
#include <string.h>

#include "api/object.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/printer.h"
#include "cli/requests.h"

enum { MAX_CONFLICTS = 5 };

static struct {
        char **files, *output, *dry_run, *field_manager, *validate;
        bool recursive, server_side, force_conflicts;
} opt;
static enum kc_dry_run dry_run;

static const struct kc_flag flags[] = {
    {"filename", 'f', KC_FLAG_STRV, &opt.files, "files, directories or - with the configuration", "Apply"},
    {"recursive", 'R', KC_FLAG_BOOL, &opt.recursive, "directories with theirs", "Apply"},
    {"output", 'o', KC_FLAG_STRING, &opt.output, "json, yaml or name", "Apply"},
    {"dry-run", 0, KC_FLAG_STRING, &opt.dry_run, "none, server or client", "Apply"},
    {"server-side", 0, KC_FLAG_BOOL, &opt.server_side, "let the server merge", "Apply"},
    {"force-conflicts", 0, KC_FLAG_BOOL, &opt.force_conflicts, "take over fields of others (--server-side)", "Apply"},
    {"field-manager", 0, KC_FLAG_STRING, &opt.field_manager, "name of who owns the fields", "Apply"},
    {"validate", 0, KC_FLAG_STRING, &opt.validate, "strict, warn or ignore", "Apply"},
    {"overwrite", 0, KC_FLAG_IGNORED, NULL, "accepted for compatibility: always true", "Apply"},
};

/* The query of writing requests. */
static char *write_query(const char *default_manager, bool force)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf q = KC_BUF_INIT;
        bool ignore = kc_streq(opt.validate, "ignore") || kc_streq(opt.validate, "false");
        bool warn = kc_streq(opt.validate, "warn");
        if (dry_run == KC_DRY_RUN_SERVER)
                kc_query_add(&q, "dryRun", "All");
        kc_query_add(&q, "fieldManager", kc_str_empty(opt.field_manager) ? default_manager : opt.field_manager);
        kc_query_add(&q, "fieldValidation", ignore ? "Ignore" : warn ? "Warn" : "Strict");
        if (force)
                kc_query_add(&q, "force", "true");
        return kc_buf_take_str(&q);
}

static int send(struct kc_cli *c, const char *method, const char *path, const char *content_type,
    const struct json_object *body, struct json_object **ret, struct kc_error *err)
{
        struct kc_rest *rest;
        int e = kc_cli_rest(c, &rest, err);
        return e < 0 ? e : kc_rest_call(rest, method, path, content_type, body, ret, err);
}

/* -o json and yaml: what is printed in the end, one object or a List. */
static struct json_object *results;

static int say(struct kc_cli *c, const struct kc_api_resource *res, const struct json_object *obj,
    const char *operation, struct kc_error *err)
{
        if (!results)
                return kc_cli_print_result(c, res, obj, opt.output, operation, dry_run, err);
        kc_json_push(results, kc_json_copy(obj));
        return 0;
}

static void print_results(struct kc_cli *c)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        size_t n = kc_json_len(results);
        if (n == 0)
                return;
        KC_CLEANUP(kc_json_freep)
        struct json_object *o =
            n == 1 ? kc_json_copy(kc_json_idx(results, 0))
                   : kc_json_build("{'kind':'List','apiVersion':'v1','metadata':{},'items':%o}", kc_json_copy(results));
        kc_strip_managed_fields(o);
        if (kc_streq(opt.output, "json"))
                kc_print_json(&b, o);
        else
                kc_print_yaml(&b, o);
        (void)fwrite(kc_buf_str(&b), 1, b.len, c->out);
}

static int create(
    struct kc_cli *c, const struct kc_manifest *m, const struct json_object *modified, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *created = NULL;
        if (dry_run != KC_DRY_RUN_CLIENT) {
                KC_CLEANUP(kc_freep) char *query = write_query("kubectl-client-side-apply", false);
                KC_CLEANUP(kc_freep) char *path = kc_cli_path(m->res, m->ns, NULL, NULL, query);
                int e = send(c, "POST", path, "application/json", modified, &created, err);
                if (e < 0) {
                        (void)kc_cli_add_source(err, "creating", m->source);
                        return e;
                }
        }
        return say(c, m->res, created ? created : modified, "created", err);
}

static void wrap_patch_error(const struct kc_manifest *m, const struct json_object *patch, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *text = kc_json_to_str(patch);
        (void)kc_error_wrap(err,
            "error when applying patch:\n%s\nto:\nResource: \"%s/%s, Resource=%s\", GroupVersionKind: \"%s/%s, "
            "Kind=%s\"\nName: \"%s\", Namespace: \"%s\"\nfor: \"%s\"",
            text, m->res->group, m->res->version, m->res->resource, m->res->group, m->res->version, m->res->kind,
            m->name, m->ns ? m->ns : "", m->source);
}

static void warn_no_annotation(struct kc_cli *c, const struct kc_manifest *m)
{
        KC_CLEANUP(kc_freep) char *plural = kc_api_resource_plural(m->res);
        (void)fprintf(c->err,
            "Warning: resource %s/%s is missing the " KC_LAST_APPLIED
            " annotation which is required by %s apply. %s apply should only be used on resources created "
            "declaratively "
            "by either %s create --save-config or %s apply. The missing annotation will be patched automatically.\n",
            plural, m->name, c->program, c->program, c->program, c->program);
}

/* Patches the live object; done again when somebody else was faster. */
static int update(struct kc_cli *c, const struct kc_manifest *m, const struct json_object *modified,
    struct json_object *take_live, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *live = take_live;
        if (dry_run == KC_DRY_RUN_CLIENT)
                return say(c, m->res, live, "configured", err);
        if (kc_str_empty(kc_meta_annotation(live, KC_LAST_APPLIED)))
                warn_no_annotation(c, m);
        KC_CLEANUP(kc_freep) char *query = write_query("kubectl-client-side-apply", false);
        KC_CLEANUP(kc_freep) char *path = kc_cli_path(m->res, m->ns, m->name, NULL, query);
        for (int tries = 0;; tries++) {
                KC_CLEANUP(kc_json_freep) struct json_object *patch = NULL;
                KC_CLEANUP(kc_json_freep) struct json_object *patched = NULL;
                const char *type;
                int e = kc_apply_patch(m->res, live, modified, &patch, &type, err);
                if (e == 0 && !patch)
                        return say(c, m->res, live, "unchanged", err);
                if (e == 0)
                        e = send(c, "PATCH", path, type, patch, &patched, err);
                if (e == 0)
                        return say(c, m->res, patched, "configured", err);
                if (!kc_error_is(err, KC_REASON_CONFLICT) || tries == MAX_CONFLICTS) {
                        if (patch)
                                wrap_patch_error(m, patch, err);
                        return e;
                }
                kc_error_done(err);
                kc_json_free(live);
                live = NULL;
                e = kc_cli_get(c, m->res, m->ns, m->name, &live, err);
                if (e < 0)
                        return e;
        }
}

static int apply_on_server(struct kc_cli *c, const struct kc_manifest *m, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *query = write_query("kubectl", opt.force_conflicts);
        KC_CLEANUP(kc_freep) char *path = kc_cli_path(m->res, m->ns, m->name, NULL, query);
        KC_CLEANUP(kc_json_freep) struct json_object *applied = NULL;
        int e = send(c, "PATCH", path, "application/apply-patch+yaml", m->obj, &applied, err);
        return e < 0 ? e : say(c, m->res, applied, "serverside-applied", err);
}

static int apply_one(struct kc_cli *c, const struct kc_manifest *m, struct kc_error *err)
{
        if (!m->name)
                return kc_error_set(err, EINVAL, "from %s: cannot use generate name with apply",
                    kc_json_str_at(m->obj, "metadata.generateName") ? kc_json_str_at(m->obj, "metadata.generateName")
                                                                    : "");
        if (opt.server_side)
                return apply_on_server(c, m, err);
        KC_CLEANUP(kc_json_freep) struct json_object *modified = kc_apply_modified(m->obj);
        struct json_object *live = NULL;
        int e = kc_cli_get(c, m->res, m->ns, m->name, &live, err);
        if (e < 0 && kc_error_is(err, KC_REASON_NOT_FOUND)) {
                kc_error_done(err);
                return create(c, m, modified, err);
        }
        return e < 0 ? e : update(c, m, modified, live, err);
}

static int run(struct kc_cli *c, char **args, struct kc_error *err)
{
        KC_CLEANUP(kc_manifests_done) struct kc_manifests all = {0};
        if (args[0])
                return kc_cli_usage_error(c, "apply", err, "Unexpected args: [%s]", args[0]);
        if (!opt.files)
                return kc_error_set(err, EINVAL, "must specify one of -f and -k");
        int e = kc_dry_run_parse(opt.dry_run, &dry_run, err);
        if (e == 0)
                e = kc_cli_check_output(opt.output, err);
        if (e == 0)
                e = kc_manifests_load(c, opt.files, opt.recursive, &all, err);
        if (e < 0)
                return e;
        if (all.n == 0 && all.errors.n == 0)
                return kc_error_set(err, EINVAL, "no objects passed to apply");
        KC_CLEANUP(kc_cli_errors_done) struct kc_cli_errors errors = {0};
        KC_CLEANUP(kc_json_freep) struct json_object *printed = json_object_new_array();
        kc_manifests_errors(&all, &errors);
        results = !kc_str_empty(opt.output) && !kc_streq(opt.output, "name") ? printed : NULL;
        for (size_t i = 0; i < all.n; i++) {
                struct kc_error why = KC_ERROR_INIT;
                if (apply_one(c, &all.v[i], &why) < 0)
                        kc_cli_errors_take(&errors, &why);
        }
        print_results(c);
        return kc_cli_errors_report(c, &errors) ? KC_CLI_FAILED : 0;
}

const struct kc_command kc_cmd_apply = {.name = "apply",
    .usage = "apply (-f FILENAME) [flags]",
    .summary = "Apply a configuration to a resource by file name or stdin",
    .flags = flags,
    .n_flags = KC_ARRAY_LEN(flags),
    .run = run};
