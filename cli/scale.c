/* kubec scale. Main thread. */
#include <errno.h>

#include "base/str.h"
#include "cli/commands.h"
#include "cli/objects.h"
#include "cli/requests.h"
#include "cli/wait_for.h"

/* Of --replicas, which takes -1 for a number. */
#define UNSET INT64_MIN

static struct {
        char **files, *selector, *output, *resource_version, *dry_run;
        bool all, recursive;
        int64_t replicas, current;
        int64_t timeout;
} opt = {.replicas = UNSET, .current = -1};
static enum kc_dry_run dry_run;

static const struct kc_flag flags[] = {
    {"replicas", 0, KC_FLAG_INT64, &opt.replicas, "the new number of replicas", "Scale"},
    {"current-replicas", 0, KC_FLAG_INT64, &opt.current, "only when there are so many now", "Scale"},
    {"resource-version", 0, KC_FLAG_STRING, &opt.resource_version, "only when it has this version", "Scale"},
    {"filename", 'f', KC_FLAG_STRV, &opt.files, "files that name the objects", "Scale"},
    {"recursive", 'R', KC_FLAG_BOOL, &opt.recursive, "directories with theirs", "Scale"},
    {"selector", 'l', KC_FLAG_STRING, &opt.selector, "label query", "Scale"},
    {"all", 0, KC_FLAG_BOOL, &opt.all, "all objects of the resource in the namespace", "Scale"},
    {"timeout", 0, KC_FLAG_DURATION, &opt.timeout, "wait so long for the replicas; 0: do not wait", "Scale"},
    {"output", 'o', KC_FLAG_STRING, &opt.output, "json, yaml or name", "Scale"},
    {"dry-run", 0, KC_FLAG_STRING, &opt.dry_run, "none, server or client", "Scale"},
};

/* What must hold before, by the Scale as it is. */
static int check_preconditions(const struct json_object *scale, struct kc_error *err)
{
        int64_t now = kc_json_int_at(scale, "spec.replicas", 0);
        const char *version = kc_json_str_at(scale, "metadata.resourceVersion");
        if (opt.current >= 0 && now != opt.current)
                return kc_error_set(
                    err, EINVAL, "Expected replicas to be %lld, was %lld", (long long)opt.current, (long long)now);
        if (!kc_str_empty(opt.resource_version) && !kc_streq(version, opt.resource_version))
                return kc_error_set(err, EINVAL, "Expected resource version to be %s, was %s", opt.resource_version,
                    version ? version : "");
        return 0;
}

static int set_replicas(struct kc_cli *c, const struct kc_found *f, struct kc_error *err)
{
        struct kc_rest *rest;
        const char *query = dry_run == KC_DRY_RUN_SERVER ? "dryRun=All" : NULL;
        KC_CLEANUP(kc_freep) char *path = kc_cli_path(f->res, f->ns, f->name, "scale", query);
        KC_CLEANUP(kc_json_freep) struct json_object *scale = NULL;
        int e = kc_cli_rest(c, &rest, err);
        if (e < 0)
                return e;
        if (opt.current < 0 && kc_str_empty(opt.resource_version)) {
                KC_CLEANUP(kc_json_freep)
                struct json_object *patch = kc_json_build("{'spec':{'replicas':%lld}}", (long long)opt.replicas);
                return kc_rest_call(rest, "PATCH", path, KC_PATCH_MERGE, patch, NULL, err);
        }
        KC_CLEANUP(kc_freep) char *read = kc_cli_path(f->res, f->ns, f->name, "scale", NULL);
        e = kc_cli_fetch(c, read, "application/json", &scale, err);
        if (e == 0)
                e = check_preconditions(scale, err);
        if (e < 0)
                return e;
        kc_json_set_int(kc_json_ensure_obj(scale, "spec"), "replicas", opt.replicas);
        return kc_rest_call(rest, "PUT", path, "application/json", scale, NULL, err);
}

static int has_replicas(struct kc_cli *c, const struct json_object *obj, void *arg, struct kc_error *err)
{
        (void)c;
        (void)arg;
        (void)err;
        return !obj || (kc_json_int_at(obj, "spec.replicas", -1) == kc_json_int_at(obj, "status.replicas", 0) &&
                           kc_json_int_at(obj, "metadata.generation", 0) <=
                               kc_json_int_at(obj, "status.observedGeneration", 0));
}

static int scale_one(struct kc_cli *c, const struct kc_found *f, struct kc_error *err)
{
        int e = dry_run == KC_DRY_RUN_CLIENT ? 0 : set_replicas(c, f, err);
        if (e == 0)
                e = kc_cli_print_result(c, f->res, f->obj, opt.output, "scaled", dry_run, err);
        if (e == 0 && opt.timeout > 0 && dry_run == KC_DRY_RUN_NONE)
                e = kc_cli_wait(c, f->res, f->ns, f->name, kc_clock_mono(NULL) + opt.timeout, has_replicas, NULL, err);
        return e;
}

static int run(struct kc_cli *c, char **args, struct kc_error *err)
{
        KC_CLEANUP(kc_founds_done) struct kc_founds all = {0};
        if (opt.replicas == UNSET)
                return kc_error_set(err, EINVAL, "required flag(s) \"replicas\" not set");
        if (opt.replicas < 0)
                return kc_error_set(
                    err, EINVAL, "The --replicas=COUNT flag is required, and COUNT must be greater than or equal to 0");
        int e = kc_dry_run_parse(opt.dry_run, &dry_run, err);
        if (e == 0)
                e = kc_cli_find_objects(c,
                    &(struct kc_object_query){.args = args,
                        .files = opt.files,
                        .selector = opt.selector,
                        .all = opt.all,
                        .recursive = opt.recursive},
                    &all, err);
        if (e < 0)
                return e;
        if (all.n == 0) { /* kubectl's words, with what went wrong behind them */
                KC_CLEANUP(kc_freep) char *why = kc_cli_errors_join(&all.errors);
                return kc_error_set(err, ENOENT, "no objects passed to scale%s%s", why[0] ? " " : "", why);
        }
        KC_CLEANUP(kc_cli_errors_done) struct kc_cli_errors errors = all.errors;
        all.errors = (struct kc_cli_errors){0};
        for (size_t i = 0; i < all.n; i++) {
                struct kc_error why = KC_ERROR_INIT;
                if (scale_one(c, &all.v[i], &why) < 0) {
                        kc_cli_errors_take(&errors, &why);
                        break; /* as kubectl does */
                }
        }
        return kc_cli_errors_report(c, &errors) ? KC_CLI_FAILED : 0;
}

const struct kc_command kc_cmd_scale = {.name = "scale",
    .usage = "scale --replicas=COUNT (-f FILENAME | TYPE NAME) [flags]",
    .summary = "Set a new size for a deployment, replica set, or replication controller",
    .examples = "# Three replicas of a deployment\n"
                "kubec scale deployment/web --replicas=3\n"
                "\n"
                "# Only if it has two now\n"
                "kubec scale deployment/web --current-replicas=2 --replicas=3",
    .completes = KC_ARGS_RESOURCES,
    .flags = flags,
    .n_flags = KC_ARRAY_LEN(flags),
    .run = run};
