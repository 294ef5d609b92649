/* kubec apply. Main thread. */
#include "cli/apply.h"

#include <errno.h>
#include <string.h>

#include "api/object.h"
#include "base/clock.h"
#include "base/str.h"
#include "cli/apply_prune.h"
#include "cli/apply_set.h"
#include "cli/commands.h"
#include "cli/delete.h"
#include "cli/manifest_options.h"
#include "cli/wait_for.h"
#include "cli/write.h"

enum { MAX_CONFLICTS = 5 };

static struct {
        struct kc_manifest_options from;
        struct kc_apply_prune_options prune;
        char *subresource;
        bool server_side, force_conflicts, force, overwrite, openapi_patch, wait;
        int64_t timeout;
} opt = {.prune = {.grace = -1}, .overwrite = true, .openapi_patch = true};
static struct kc_write w = {.allow_missing_keys = true};
static struct kc_apply_visited visited;

static const struct kc_flag flags[] = {
    KC_MANIFEST_FLAGS(opt.from, "Apply"),
    {"selector", 'l', KC_FLAG_STRING, &opt.from.selector, "label query of the objects in the files", "Apply"},
    {"server-side", 0, KC_FLAG_BOOL, &opt.server_side, "let the server merge", "Apply"},
    {"force-conflicts", 0, KC_FLAG_BOOL, &opt.force_conflicts, "take over fields of others (--server-side)", "Apply"},
    {"subresource", 0, KC_FLAG_STRING, &opt.subresource, "apply to this subresource: status, scale, resize", "Apply"},
    {"prune", 0, KC_FLAG_BOOL, &opt.prune.prune, "delete what was applied once and is in the files no more", "Apply"},
    {"prune-allowlist", 0, KC_FLAG_ARRAY, &opt.prune.allowlist, "group/version/kind to prune, may be repeated",
        "Apply"},
    {"applyset", 0, KC_FLAG_STRING, &opt.prune.set, "[RESOURCE/]NAME of the object that knows what is to be pruned",
        "Apply"},
    {"all", 0, KC_FLAG_BOOL, &opt.prune.all, "prune whatever its labels", "Apply"},
    {"cascade", 0, KC_FLAG_STRING, &opt.prune.cascade, "background, orphan or foreground, of deletions", "Apply"},
    {"grace-period", 0, KC_FLAG_INT64, &opt.prune.grace, "seconds to end gracefully, of deletions", "Apply"},
    {"force", 0, KC_FLAG_BOOL, &opt.force, "delete and create anew what cannot be patched", "Apply"},
    {"timeout", 0, KC_FLAG_DURATION, &opt.timeout, "how long to wait for a deletion", "Apply"},
    {"wait", 0, KC_FLAG_BOOL, &opt.wait, "wait until what is deleted is gone", "Apply"},
    {"overwrite", 0, KC_FLAG_BOOL, &opt.overwrite, "accepted for compatibility: what the file says wins", "Apply"},
    {"openapi-patch", 0, KC_FLAG_BOOL, &opt.openapi_patch, "accepted for compatibility: schemas are built in", "Apply"},
    KC_WRITE_PRINT_FLAGS(w, "Apply"),
    KC_WRITE_DRY_RUN_FLAG(w, "Apply"),
    KC_WRITE_MANAGER_FLAG(w, "Apply"),
    KC_WRITE_VALIDATE_FLAG(w, "Apply"),
};

/* --- results */

/* Those that are printed whole come at the end, one alone or as a List. */
static struct json_object *results;

static int say(struct kc_cli *c, const struct kc_manifest *m, const struct json_object *obj, const char *operation,
    struct kc_error *err)
{
        kc_apply_visit(&visited, m->ns, kc_meta_uid(obj));
        if (!results)
                return kc_write_print(c, &w, m->res, obj, operation, err);
        kc_json_push(results, kc_json_copy(obj));
        return 0;
}

static int print_results(struct kc_cli *c, struct kc_error *err)
{
        size_t n = kc_json_len(results);
        if (n == 0)
                return 0;
        KC_CLEANUP(kc_json_freep)
        struct json_object *o =
            n == 1 ? kc_json_copy(kc_json_idx(results, 0))
                   : kc_json_build("{'kind':'List','apiVersion':'v1','metadata':{},'items':%o}", kc_json_copy(results));
        return kc_write_print(c, &w, NULL, o, "", err);
}

/* --- client-side */

static int create(
    struct kc_cli *c, const struct kc_manifest *m, const struct json_object *modified, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *created = NULL;
        struct kc_write_request r = {.method = "POST",
            .res = m->res,
            .ns = m->ns,
            .default_manager = "kubectl-client-side-apply",
            .validated = true,
            .body = modified};
        int e = w.dry_run == KC_DRY_RUN_CLIENT ? 0 : kc_write_send(c, &w, &r, &created, err);
        if (e < 0) {
                (void)kc_cli_add_source(err, "creating", m->source);
                return e;
        }
        return say(c, m, created ? created : modified, "created", err);
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

/* --force: what cannot become what it should be goes, and comes anew. */
static int create_anew(
    struct kc_cli *c, const struct kc_manifest *m, const struct json_object *modified, struct kc_error *err)
{
        struct kc_rest *rest;
        KC_CLEANUP(kc_json_freep) struct json_object *answer = NULL, *created = NULL;
        struct kc_gvr g = kc_api_resource_gvr(m->res);
        struct kc_delete_opts o = {
            .grace_period_seconds = opt.prune.grace, .propagation = kc_delete_propagation(opt.prune.cascade)};
        kc_error_done(err);
        int e = kc_cli_rest(c, &rest, err);
        if (e == 0)
                e = kc_rest_delete(rest, &g, m->ns, m->name, &o, &answer, err);
        if (e == 0)
                e = kc_cli_wait_gone(c, m->res, m->ns, m->name, kc_delete_uid(answer),
                    opt.timeout > 0 ? kc_clock_mono(NULL) + opt.timeout : 0, err);
        struct kc_write_request r = {.method = "POST",
            .res = m->res,
            .ns = m->ns,
            .default_manager = "kubectl-client-side-apply",
            .validated = true,
            .body = modified};
        if (e == 0)
                e = kc_write_send(c, &w, &r, &created, err);
        return e < 0 ? e : say(c, m, created, "configured", err);
}

/* Patches the live object; done again when somebody else was faster. */
static int update(struct kc_cli *c, const struct kc_manifest *m, const struct json_object *modified,
    struct json_object *take_live, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *live = take_live;
        if (w.dry_run == KC_DRY_RUN_CLIENT)
                return say(c, m, live, "configured", err);
        if (kc_str_empty(kc_meta_annotation(live, KC_LAST_APPLIED)))
                warn_no_annotation(c, m);
        for (int tries = 0;; tries++) {
                KC_CLEANUP(kc_json_freep) struct json_object *patch = NULL;
                KC_CLEANUP(kc_json_freep) struct json_object *patched = NULL;
                const char *type;
                int e = kc_apply_patch(m->res, live, modified, &patch, &type, err);
                if (e == 0 && !patch)
                        return say(c, m, live, "unchanged", err);
                struct kc_write_request r = {.method = "PATCH",
                    .content_type = type,
                    .res = m->res,
                    .ns = m->ns,
                    .name = m->name,
                    .sub = opt.subresource,
                    .default_manager = "kubectl-client-side-apply",
                    .validated = true,
                    .body = patch};
                if (e == 0)
                        e = kc_write_send(c, &w, &r, &patched, err);
                if (e == 0)
                        return say(c, m, patched, "configured", err);
                bool conflict = kc_error_is(err, KC_REASON_CONFLICT);
                if (opt.force && (conflict || kc_error_is(err, KC_REASON_INVALID)))
                        return create_anew(c, m, modified, err);
                if (!conflict || tries == MAX_CONFLICTS) {
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

/* --- server-side */

static int send_apply(struct kc_cli *c, const struct kc_manifest *m, struct json_object **ret, struct kc_error *err)
{
        struct kc_write_request r = {.method = "PATCH",
            .content_type = KC_PATCH_APPLY,
            .res = m->res,
            .ns = m->ns,
            .name = m->name,
            .sub = opt.subresource,
            .default_manager = "kubectl",
            .validated = true,
            .force = opt.force_conflicts,
            .body = m->obj};
        return kc_write_send(c, &w, &r, ret, err);
}

static int explain_conflict(struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *message = kc_strdup(kc_error_message(err));
        if (!kc_error_is(err, KC_REASON_CONFLICT))
                return -err->errnum;
        kc_error_done(err);
        return kc_error_set(err, EAGAIN,
            "%s\nPlease review the fields above--they currently have other managers. Here\nare the ways you can "
            "resolve "
            "this warning:\n* If you intend to manage all of these fields, please re-run the apply\n  command with the "
            "`--force-conflicts` flag.\n* If you do not intend to manage all of the fields, please edit your\n  "
            "manifest "
            "to remove references to the fields that should keep their\n  current managers.\n* You may co-own fields "
            "by "
            "updating your manifest to match the existing\n  value; in this case, you'll become the manager if the "
            "other "
            "manager(s)\n  stop managing the field (remove it from their configuration).\nSee "
            "https://kubernetes.io/docs/reference/using-api/server-side-apply/#conflicts",
            message);
}

/* The annotation of client-side apply, which the file does not hold, has an owner of its own: it would go with the
 * migration otherwise. */
static int keep_annotation(
    struct kc_cli *c, const struct kc_manifest *m, const struct json_object *applied, struct kc_error *err)
{
        const char *text = kc_meta_annotation(applied, KC_LAST_APPLIED);
        if (!text || !kc_str_empty(w.field_manager) || w.dry_run != KC_DRY_RUN_NONE || kc_str_empty(m->name))
                return 0;
        KC_CLEANUP(kc_json_freep)
        struct json_object *body =
            kc_json_build("{'apiVersion':%s,'kind':%s,'metadata':{'name':%s,'annotations':{%s:%s}}}",
                kc_json_str(m->obj, "apiVersion"), kc_json_str(m->obj, "kind"), m->name, KC_LAST_APPLIED, text);
        kc_json_set_str(kc_json_get_mut(body, "metadata"), "namespace", m->ns);
        struct kc_write_request r = {.method = "PATCH",
            .content_type = KC_PATCH_APPLY,
            .res = m->res,
            .ns = m->ns,
            .name = m->name,
            .default_manager = "kubectl-last-applied",
            .validated = true,
            .body = body};
        int e = kc_write_send(c, &w, &r, NULL, err);
        return e < 0 ? kc_error_wrap(err, "error saving the last-applied annotation") : 0;
}

/* What client-side apply owns becomes server-side apply's, and is applied once more, so that fields which the file says
 * no more go. */
static int migrate(struct kc_cli *c, const struct kc_manifest *m, struct json_object **applied, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep)
        struct json_object *patch = kc_apply_migration(
                               *applied, kc_str_empty(w.field_manager) ? "kubectl" : w.field_manager),
                           *answer = NULL;
        KC_CLEANUP(kc_json_freep) struct json_object *live = NULL;
        if (!patch || w.dry_run != KC_DRY_RUN_NONE)
                return 0;
        int e = keep_annotation(c, m, *applied, err);
        if (e == 0)
                e = kc_cli_get(c, m->res, m->ns, m->name, &live, err);
        if (e < 0)
                return e;
        kc_json_free(patch);
        patch = kc_apply_migration(live, kc_str_empty(w.field_manager) ? "kubectl" : w.field_manager);
        struct kc_write_request r = {.method = "PATCH",
            .content_type = KC_PATCH_JSON,
            .res = m->res,
            .ns = m->ns,
            .name = m->name,
            .default_manager = "kubectl",
            .body = patch};
        if (patch)
                e = kc_write_send(c, &w, &r, &answer, err);
        if (e < 0 && kc_error_is(err, KC_REASON_CONFLICT)) {
                kc_error_done(err); /* somebody was faster: at the next time */
                return 0;
        }
        if (e < 0)
                return kc_error_wrap(err, "error migrating managed fields");
        kc_json_free(*applied);
        *applied = NULL;
        return send_apply(c, m, applied, err);
}

static int apply_on_server(struct kc_cli *c, const struct kc_manifest *m, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *applied = NULL;
        int e = send_apply(c, m, &applied, err);
        if (e < 0)
                return explain_conflict(err);
        e = migrate(c, m, &applied, err);
        return e < 0 ? e : say(c, m, applied, "serverside-applied", err);
}

/* --- all */

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
        if (e < 0)
                return kc_error_wrap(err,
                    "error when retrieving current configuration of:\nResource: \"%s/%s, Resource=%s\", "
                    "GroupVersionKind: "
                    "\"%s/%s, Kind=%s\"\nName: \"%s\", Namespace: \"%s\"\nfrom server for: \"%s\"",
                    m->res->group, m->res->version, m->res->resource, m->res->group, m->res->version, m->res->kind,
                    m->name, m->ns ? m->ns : "", m->source);
        return update(c, m, modified, live, err);
}

static int check(const struct kc_cli *c, char **args, struct kc_error *err)
{
        if (args[0])
                return kc_cli_unexpected_args(c, "apply", args, err);
        int e = kc_write_check(&w, err);
        if (e < 0)
                return e;
        if (opt.force_conflicts && !opt.server_side)
                return kc_error_set(err, EINVAL, "--force-conflicts only works with --server-side");
        if (w.dry_run == KC_DRY_RUN_CLIENT && opt.server_side)
                return kc_error_set(err, EINVAL,
                    "--dry-run=client doesn't work with --server-side (did you mean --dry-run=server instead?)");
        if (opt.server_side && opt.force)
                return kc_error_set(err, EINVAL, "--force cannot be used with --server-side");
        if (w.dry_run == KC_DRY_RUN_SERVER && opt.force)
                return kc_error_set(err, EINVAL, "--dry-run=server cannot be used with --force");
        if (opt.prune.all && !kc_str_empty(opt.from.selector))
                return kc_error_set(err, EINVAL, "cannot set --all and --selector at the same time");
        if (opt.prune.set && !opt.prune.prune)
                return kc_error_set(err, EINVAL, "--applyset requires --prune");
        if (opt.prune.set && opt.prune.all)
                return kc_error_set(err, EINVAL, "--all is incompatible with --applyset");
        if (opt.prune.set && !kc_str_empty(opt.from.selector))
                return kc_error_set(err, EINVAL, "--selector is incompatible with --applyset");
        if (opt.prune.set && opt.prune.allowlist)
                return kc_error_set(err, EINVAL, "--prune-allowlist is incompatible with --applyset");
        if (opt.prune.prune && !opt.prune.set && !opt.prune.all && kc_str_empty(opt.from.selector))
                return kc_error_set(err, EINVAL,
                    "all resources selected for prune without explicitly passing --all. To prune all resources, pass "
                    "the "
                    "--all flag. If you did not mean to prune all resources, specify a label selector");
        return kc_manifest_options_check(&opt.from, err);
}

static int run(struct kc_cli *c, char **args, struct kc_error *err)
{
        KC_CLEANUP(kc_manifests_done) struct kc_manifests all = {0};
        KC_CLEANUP(kc_apply_set_done) struct kc_apply_set set = {0};
        const struct kc_apply_visited *seen = &visited;
        int e = check(c, args, err);
        if (e == 0)
                e = kc_apply_prune_check(c, &opt.prune, err);
        if (e == 0 && opt.prune.set)
                e = kc_apply_set_open(c, opt.prune.set, &set, err);
        if (e == 0)
                e = kc_manifest_options_load(c, &opt.from, &all, err);
        if (e == 0 && opt.prune.set)
                e = kc_apply_set_begin(c, &w, &set, &all, err);
        if (e < 0)
                return e;
        if (all.n == 0 && all.errors.n == 0 && !opt.prune.prune)
                return kc_error_set(err, EINVAL, "no objects passed to apply");
        KC_CLEANUP(kc_cli_errors_done) struct kc_cli_errors errors = {0};
        KC_CLEANUP(kc_json_freep) struct json_object *printed = json_object_new_array();
        kc_manifests_errors(&all, &errors);
        results = kc_write_prints_objects(&w) ? printed : NULL;
        for (size_t i = 0; i < all.n; i++) {
                struct kc_error why = KC_ERROR_INIT;
                if (apply_one(c, &all.v[i], &why) < 0)
                        kc_cli_errors_take(&errors, &why);
        }
        e = print_results(c, err);
        if (kc_cli_errors_report(c, &errors))
                return KC_CLI_FAILED;
        opt.prune.selector = opt.from.selector;
        if (e < 0)
                return e;
        return opt.prune.set ? kc_apply_set_end(c, &w, &set, &opt.prune, seen, err)
                             : kc_apply_prune(c, &w, &opt.prune, seen, err);
}

const struct kc_command kc_cmd_apply = {.name = "apply",
    .usage = "apply (-f FILENAME | -k DIRECTORY) [flags]",
    .summary = "Apply a configuration to a resource by file name or stdin",
    .description =
        "Makes objects what files say: those that are not there are created, the others are patched. What was applied\n"
        "last is kept in an annotation of the object, or, with --server-side, by the server.",
    .examples = "# What the file says\n"
                "kubec apply -f pod.yaml\n"
                "\n"
                "# A kustomization\n"
                "kubec apply -k overlays/production\n"
                "\n"
                "# Merged by the server\n"
                "kubec apply --server-side -f pod.yaml\n"
                "\n"
                "# And delete what carries the label and is in the files no more\n"
                "kubec apply --prune -l app=web -f manifests/",
    .completes = KC_ARGS_FILE,
    .flags = flags,
    .n_flags = KC_ARRAY_LEN(flags),
    .run = run,
    .subs = kc_apply_subs,
    .n_subs = KC_APPLY_N_SUBS};
