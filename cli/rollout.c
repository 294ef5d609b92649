/* kubec rollout status, history, undo, restart, pause, resume. Main thread. */
#include "cli/rollout.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "api/object.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/printer.h"
#include "cli/requests.h"
#include "cli/wait_for.h"

static struct {
        char **files, *selector, *output, *dry_run;
        bool recursive, watch;
        int64_t timeout, to_revision, revision;
} opt = {.watch = true};
static enum kc_dry_run dry_run;

#define COMMON_FLAGS                                                                                                   \
        {"filename", 'f', KC_FLAG_STRV, &opt.files, "files that name the objects", "Rollout"},                         \
            {"recursive", 'R', KC_FLAG_BOOL, &opt.recursive, "directories with theirs", "Rollout"},                    \
            {"selector", 'l', KC_FLAG_STRING, &opt.selector, "label query", "Rollout"},                                \
        {                                                                                                              \
                "output", 'o', KC_FLAG_STRING, &opt.output, "json, yaml or name", "Rollout"                            \
        }

static const struct kc_flag change_flags[] = {
    COMMON_FLAGS,
};
static const struct kc_flag undo_flags[] = {
    COMMON_FLAGS,
    {"to-revision", 0, KC_FLAG_INT64, &opt.to_revision, "the revision to go back to; 0: the last", "Rollout"},
    {"dry-run", 0, KC_FLAG_STRING, &opt.dry_run, "none, server or client", "Rollout"},
};
static const struct kc_flag status_flags[] = {
    COMMON_FLAGS,
    {"watch", 'w', KC_FLAG_BOOL, &opt.watch, "until the rollout is done", "Rollout"},
    {"timeout", 0, KC_FLAG_DURATION, &opt.timeout, "how long to watch; 0: without end", "Rollout"},
    {"revision", 0, KC_FLAG_INT64, &opt.revision, "the revision to wait for; 0: the last", "Rollout"},
};

typedef int (*each_fn)(struct kc_cli *c, const struct kc_found *f, struct kc_error *err);

/* fn for each object that the arguments name. */
static int each(struct kc_cli *c, char **args, each_fn fn, struct kc_error *err)
{
        KC_CLEANUP(kc_founds_done) struct kc_founds all = {0};
        if (!args[0] && !opt.files)
                return kc_error_set(err, EINVAL, "required resource not specified");
        int e = kc_dry_run_parse(opt.dry_run, &dry_run, err);
        if (e == 0)
                e = kc_cli_find_objects(c,
                    &(struct kc_object_query){.args = args,
                        .files = opt.files,
                        .selector = opt.selector,
                        .all = true,
                        .recursive = opt.recursive},
                    &all, err);
        if (e < 0)
                return e;
        KC_CLEANUP(kc_cli_errors_done) struct kc_cli_errors errors = all.errors;
        all.errors = (struct kc_cli_errors){0};
        if (all.n == 0 && errors.n == 0)
                (void)fprintf(c->err, "No resources found\n");
        for (size_t i = 0; i < all.n; i++) {
                struct kc_error why = KC_ERROR_INIT;
                if (fn(c, &all.v[i], &why) < 0)
                        kc_cli_errors_take(&errors, &why);
        }
        return kc_cli_errors_report(c, &errors) ? KC_CLI_FAILED : 0;
}

/* --- status */

/* "deployment.kubernetes.io/revision" other than the wanted one ends it. */
static int check_revision(const struct json_object *obj, struct kc_error *err)
{
        int64_t now;
        const char *text = kc_meta_annotation(obj, "deployment.kubernetes.io/revision");
        if (opt.revision <= 0 || !text || kc_str_to_i64(text, &now) < 0 || now == opt.revision)
                return 0;
        return kc_error_set(err, EINVAL, "desired revision (%lld) is different from the running revision (%lld)",
            (long long)opt.revision, (long long)now);
}

static int watch_status(struct kc_cli *c, const struct json_object *obj, void *arg, struct kc_error *err)
{
        const struct kc_found *f = arg;
        KC_CLEANUP(kc_freep) char *message = NULL;
        bool done = false;
        if (!obj)
                return kc_error_set(err, ENOENT, "object has been deleted");
        int e = check_revision(obj, err);
        if (e == 0)
                e = kc_rollout_status(obj, f->res->kind, &message, &done, err);
        if (e < 0)
                return e;
        (void)fputs(message, c->out);
        (void)fflush(c->out);
        return done || !opt.watch;
}

static int status_one(struct kc_cli *c, const struct kc_found *f, struct kc_error *err)
{
        kc_mono deadline = opt.timeout > 0 ? kc_clock_mono(NULL) + opt.timeout : 0;
        struct kc_found self = *f;
        int e = kc_cli_wait(c, f->res, f->ns, f->name, deadline, watch_status, &self, err);
        if (e == -ETIME && deadline > 0)
                return kc_error_set(err, ETIME, "timed out waiting for the condition");
        return e;
}

static int run_status(struct kc_cli *c, char **args, struct kc_error *err)
{
        return each(c, args, status_one, err);
}

/* --- history */

static int history_one(struct kc_cli *c, const struct kc_found *f, struct kc_error *err)
{
        enum { PADDING = 2 };
        KC_CLEANUP(kc_revisions_done) struct kc_revisions r = {0};
        int e = kc_rollout_revisions(c, f, &r, err);
        if (e < 0)
                return e;
        KC_CLEANUP(kc_freep) char *kind = kc_api_resource_name(f->res);
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        kc_buf_addf(&b, "%s/%s \n", kind, f->name);
        if (r.n == 0) {
                kc_buf_adds(&b, "No rollout history found.\n");
        } else {
                KC_CLEANUP(kc_tabwriter_done) struct kc_tabwriter w;
                kc_tabwriter_init(&w, 0, PADDING);
                kc_tabwriter_cell(&w, "REVISION");
                kc_tabwriter_cell(&w, "CHANGE-CAUSE");
                kc_tabwriter_end_row(&w);
                for (size_t i = 0; i < r.n; i++) {
                        KC_CLEANUP(kc_freep) char *number = kc_asprintf("%lld", (long long)r.v[i].number);
                        kc_tabwriter_cell(&w, number);
                        kc_tabwriter_cell(&w, kc_str_empty(r.v[i].change_cause) ? "<none>" : r.v[i].change_cause);
                        kc_tabwriter_end_row(&w);
                }
                kc_tabwriter_flush(&w, &b);
                kc_buf_addc(&b, '\n');
        }
        (void)fputs(kc_buf_str(&b), c->out);
        return 0;
}

static int run_history(struct kc_cli *c, char **args, struct kc_error *err)
{
        return each(c, args, history_one, err);
}

/* --- undo */

static int undo_one(struct kc_cli *c, const struct kc_found *f, struct kc_error *err)
{
        KC_CLEANUP(kc_revisions_done) struct kc_revisions r = {0};
        KC_CLEANUP(kc_json_freep) struct json_object *patch = NULL;
        const char *type = NULL;
        int64_t revision = 0;
        int e = kc_rollout_revisions(c, f, &r, err);
        if (e == 0)
                e = kc_rollout_undo_patch(f, &r, opt.to_revision, &patch, &type, &revision, err);
        if (e < 0)
                return e;
        if (!patch) {
                KC_CLEANUP(kc_freep)
                char *said = kc_asprintf(
                    "skipped rollback (current template already matches revision %lld)", (long long)revision);
                return kc_cli_print_result(c, f->res, f->obj, opt.output, said, dry_run, err);
        }
        if (dry_run == KC_DRY_RUN_NONE)
                e = kc_cli_patch(c, f, NULL, type, patch, NULL, err);
        return e < 0 ? e : kc_cli_print_result(c, f->res, f->obj, opt.output, "rolled back", dry_run, err);
}

static int run_undo(struct kc_cli *c, char **args, struct kc_error *err)
{
        return each(c, args, undo_one, err);
}

/* --- restart, pause, resume */

static int change(struct kc_cli *c, const struct kc_found *f, struct json_object *take_patch, const char *operation,
    struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *patch = take_patch;
        KC_CLEANUP(kc_json_freep) struct json_object *changed = NULL;
        int e = kc_cli_patch(c, f, NULL, KC_PATCH_STRATEGIC, patch, &changed, err);
        return e < 0 ? e : kc_cli_print_result(c, f->res, changed, opt.output, operation, KC_DRY_RUN_NONE, err);
}

/* RFC 3339 with the zone's offset, as Go's time.RFC3339. */
static void local_time(char *out, size_t size)
{
        time_t now = (time_t)(kc_clock_now(NULL) / KC_SEC);
        struct tm tm;
        (void)localtime_r(&now, &tm);
        char text[40];
        (void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
        long offset = tm.tm_gmtoff / 60;
        if (offset == 0)
                (void)snprintf(out, size, "%sZ", text);
        else
                (void)snprintf(
                    out, size, "%s%c%02ld:%02ld", text, offset < 0 ? '-' : '+', labs(offset) / 60, labs(offset) % 60);
}

static int restart_one(struct kc_cli *c, const struct kc_found *f, struct kc_error *err)
{
        if (!kc_streq(f->res->kind, "Deployment") && !kc_streq(f->res->kind, "DaemonSet") &&
            !kc_streq(f->res->kind, "StatefulSet"))
                return kc_error_set(err, EINVAL, "%s \"%s\" restarting is not supported", f->res->resource, f->name);
        if (kc_json_bool_at(f->obj, "spec.paused", false))
                return kc_error_set(err, EINVAL,
                    "%s.%s \"%s\" can't restart paused deployment (run rollout resume first)", f->res->resource,
                    f->res->group, f->name);
        char now[64];
        local_time(now, sizeof(now));
        return change(c, f,
            kc_json_build(
                "{'spec':{'template':{'metadata':{'annotations':{'kubectl.kubernetes.io/restartedAt':%s}}}}}", now),
            "restarted", err);
}

static int pause_or_resume(struct kc_cli *c, const struct kc_found *f, bool paused, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *plural = kc_api_resource_plural(f->res);
        const char *verb = paused ? "pausing" : "resuming";
        if (!kc_streq(f->res->kind, "Deployment"))
                return kc_error_set(err, EINVAL, "%s \"%s\" %s is not supported", plural, f->name, verb);
        if (kc_json_bool_at(f->obj, "spec.paused", false) == paused)
                return kc_error_set(
                    err, EINVAL, "%s \"%s\" is %s", plural, f->name, paused ? "already paused" : "not paused");
        struct json_object *patch =
            paused ? kc_json_build("{'spec':{'paused':true}}") : kc_json_build("{'spec':{'paused':null}}");
        return change(c, f, patch, paused ? "paused" : "resumed", err);
}

static int pause_one(struct kc_cli *c, const struct kc_found *f, struct kc_error *err)
{
        return pause_or_resume(c, f, true, err);
}

static int resume_one(struct kc_cli *c, const struct kc_found *f, struct kc_error *err)
{
        return pause_or_resume(c, f, false, err);
}

static int run_restart(struct kc_cli *c, char **args, struct kc_error *err)
{
        return each(c, args, restart_one, err);
}

static int run_pause(struct kc_cli *c, char **args, struct kc_error *err)
{
        return each(c, args, pause_one, err);
}

static int run_resume(struct kc_cli *c, char **args, struct kc_error *err)
{
        return each(c, args, resume_one, err);
}

static const struct kc_command subs[] = {
    {"history", "rollout history (TYPE NAME | TYPE/NAME)", "View rollout history", change_flags,
        KC_ARRAY_LEN(change_flags), run_history},
    {"pause", "rollout pause RESOURCE", "Mark the provided resource as paused", change_flags,
        KC_ARRAY_LEN(change_flags), run_pause},
    {"restart", "rollout restart RESOURCE", "Restart a resource", change_flags, KC_ARRAY_LEN(change_flags),
        run_restart},
    {"resume", "rollout resume RESOURCE", "Resume a paused resource", change_flags, KC_ARRAY_LEN(change_flags),
        run_resume},
    {"status", "rollout status (TYPE NAME | TYPE/NAME)", "Show the status of the rollout", status_flags,
        KC_ARRAY_LEN(status_flags), run_status},
    {"undo", "rollout undo (TYPE NAME | TYPE/NAME)", "Undo a previous rollout", undo_flags, KC_ARRAY_LEN(undo_flags),
        run_undo},
};

const struct kc_command kc_cmd_rollout = {.name = "rollout",
    .summary = "Manage the rollout of one or many resources",
    .subs = subs,
    .n_subs = KC_ARRAY_LEN(subs)};
