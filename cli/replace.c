/* kubec replace. Main thread. */
#include <errno.h>
#include <string.h>

#include "api/object.h"
#include "base/str.h"
#include "cli/apply.h"
#include "cli/commands.h"
#include "cli/delete.h"
#include "cli/manifest_options.h"
#include "cli/raw.h"
#include "cli/wait_for.h"
#include "cli/write.h"

static struct {
        struct kc_manifest_options from;
        char *raw, *subresource, *cascade;
        bool force, wait;
        int64_t grace, timeout;
} opt = {.grace = -1};
static struct kc_write w = {.allow_missing_keys = true};

static const struct kc_flag flags[] = {
    KC_MANIFEST_FLAGS(opt.from, "Replace"),
    {"raw", 0, KC_FLAG_STRING, &opt.raw, "URI to PUT the file to", "Replace"},
    {"subresource", 0, KC_FLAG_STRING, &opt.subresource, "replace this subresource: status, scale, resize", "Replace"},
    {"force", 0, KC_FLAG_BOOL, &opt.force, "delete the object and create it anew", "Replace"},
    {"cascade", 0, KC_FLAG_STRING, &opt.cascade, "background, orphan or foreground, with --force", "Replace"},
    {"grace-period", 0, KC_FLAG_INT64, &opt.grace, "seconds to end gracefully, with --force", "Replace"},
    {"timeout", 0, KC_FLAG_DURATION, &opt.timeout, "how long to wait for a deletion, with --force", "Replace"},
    {"wait", 0, KC_FLAG_BOOL, &opt.wait, "wait until the objects are gone, with --force", "Replace"},
    KC_WRITE_PRINT_FLAGS(w, "Replace"),
    KC_WRITE_DRY_RUN_FLAG(w, "Replace"),
    KC_WRITE_MANAGER_FLAG(w, "Replace"),
    KC_WRITE_VALIDATE_FLAG(w, "Replace"),
    KC_WRITE_SAVE_CONFIG_FLAG(w, "Replace"),
};

static int send(struct kc_cli *c, const struct kc_manifest *m, bool create, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep)
        struct json_object *sent = w.save_config ? kc_apply_modified(m->obj) : kc_json_copy(m->obj), *answer = NULL;
        struct kc_write_request r = {.method = create ? "POST" : "PUT",
            .res = m->res,
            .ns = m->ns,
            .name = create ? NULL : m->name,
            .sub = opt.subresource,
            .default_manager = "kubectl-replace",
            .validated = true,
            .body = sent};
        int e = w.dry_run == KC_DRY_RUN_CLIENT ? 0 : kc_write_send(c, &w, &r, &answer, err);
        return e < 0 ? e : kc_write_print(c, &w, m->res, answer ? answer : sent, "replaced", err);
}

/* --- --force: gone, and made anew */

static int remove_old(struct kc_cli *c, const struct kc_manifest *m, struct kc_error *err)
{
        struct kc_rest *rest;
        KC_CLEANUP(kc_json_freep) struct json_object *answer = NULL;
        struct kc_gvr g = kc_api_resource_gvr(m->res);
        int e = kc_cli_rest(c, &rest, err);
        if (e < 0)
                return e;
        struct kc_delete_opts o = {
            .grace_period_seconds = opt.grace < 0 ? 0 : opt.grace, .propagation = kc_delete_propagation(opt.cascade)};
        e = kc_rest_delete(rest, &g, m->ns, m->name, &o, &answer, err);
        if (e < 0 && kc_error_is(err, KC_REASON_NOT_FOUND)) {
                kc_error_done(err);
                return 0;
        }
        if (e < 0)
                return e;
        KC_CLEANUP(kc_freep) char *kind = kc_api_resource_name(m->res);
        (void)fprintf(c->out, "%s \"%s\" deleted%s%s%s\n", kind, m->name, m->res->namespaced ? " from " : "",
            m->res->namespaced ? m->ns : "", m->res->namespaced ? " namespace" : "");
        kc_mono deadline = opt.timeout > 0 ? kc_clock_mono(NULL) + opt.timeout : 0;
        return kc_cli_wait_gone(c, m->res, m->ns, m->name, kc_delete_uid(answer), deadline, err);
}

static int replace_by_force(struct kc_cli *c, const struct kc_manifests *all, struct kc_error *err)
{
        for (size_t i = 0; i < all->n; i++) {
                int e = remove_old(c, &all->v[i], err);
                if (e < 0)
                        return e;
        }
        return 0;
}

static int check(struct kc_error *err)
{
        if (opt.grace >= 0 && !opt.force)
                return kc_error_set(err, EINVAL, "--grace-period must have --force specified");
        if (opt.timeout != 0 && !opt.force)
                return kc_error_set(err, EINVAL, "--timeout must have --force specified");
        if (opt.cascade && !opt.force)
                return kc_error_set(err, EINVAL, "--cascade must have --force specified");
        int e = kc_write_check(&w, err);
        if (e == 0 && w.dry_run != KC_DRY_RUN_NONE && opt.force)
                return kc_error_set(err, EINVAL, "--dry-run can not be used when --force is set");
        return e == 0 ? kc_manifest_options_check(&opt.from, err) : e;
}

static int run(struct kc_cli *c, char **args, struct kc_error *err)
{
        KC_CLEANUP(kc_manifests_done) struct kc_manifests all = {0};
        (void)args; /* kubectl looks at none */
        int e = check(err);
        if (e == 0 && !kc_str_empty(opt.raw)) {
                if (kc_strv_len(opt.from.files) != 1)
                        return kc_cli_usage_error(c, "replace", err, "--raw can only use a single local file or stdin");
                return kc_cli_raw(c, "PUT", opt.raw, opt.from.files[0], err);
        }
        if (e == 0)
                e = kc_manifest_options_load(c, &opt.from, &all, err);
        if (e < 0)
                return e;
        if (all.n == 0 && all.errors.n == 0)
                return kc_error_set(err, EINVAL, "no objects passed to replace");
        if (opt.force && (e = replace_by_force(c, &all, err)) < 0)
                return e;
        KC_CLEANUP(kc_cli_errors_done) struct kc_cli_errors errors = {0};
        for (size_t i = 0; i < all.n; i++) {
                struct kc_error why = KC_ERROR_INIT;
                if (send(c, &all.v[i], opt.force, &why) < 0) {
                        (void)(opt.force ? 0 : kc_cli_add_source(&why, "replacing", all.v[i].source));
                        kc_cli_errors_take(&errors, &why);
                }
        }
        kc_manifests_errors(&all, &errors);
        return kc_cli_errors_report(c, &errors) ? KC_CLI_FAILED : 0;
}

const struct kc_command kc_cmd_replace = {.name = "replace",
    .usage = "replace -f FILENAME [flags]",
    .summary = "Replace a resource by file name or stdin",
    .description =
        "Puts whole objects in the place of those that are there. With --force they are deleted and created anew.",
    .examples = "# What the file says, and nothing else\n"
                "kubec replace -f pod.yaml\n"
                "\n"
                "# Where fields cannot be changed\n"
                "kubec replace --force -f pod.yaml",
    .completes = KC_ARGS_FILE,
    .flags = flags,
    .n_flags = KC_ARRAY_LEN(flags),
    .run = run};
