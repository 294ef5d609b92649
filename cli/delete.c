/* kubec delete. Main thread. */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "api/object.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/delete.h"
#include "cli/manifest_options.h"
#include "cli/raw.h"
#include "cli/requests.h"
#include "cli/wait_for.h"

static struct {
        struct kc_manifest_options from;
        char *field_selector, *cascade, *output, *dry_run, *raw;
        bool interactive, all, all_namespaces, force, now, ignore_not_found, wait;
        int64_t grace, timeout;
} opt = {.grace = -1, .wait = true};
static enum kc_dry_run dry_run;

static const struct kc_flag flags[] = {
    KC_MANIFEST_FLAGS(opt.from, "Delete"),
    {"raw", 0, KC_FLAG_STRING, &opt.raw, "URI to DELETE", "Delete"},
    {"interactive", 'i', KC_FLAG_BOOL, &opt.interactive, "ask before", "Delete"},
    {"selector", 'l', KC_FLAG_STRING, &opt.from.selector, "label query", "Delete"},
    {"field-selector", 0, KC_FLAG_STRING, &opt.field_selector, "field query", "Delete"},
    {"all", 0, KC_FLAG_BOOL, &opt.all, "all objects of the resource in the namespace", "Delete"},
    {"all-namespaces", 'A', KC_FLAG_BOOL, &opt.all_namespaces, "objects of all namespaces", "Delete"},
    {"grace-period", 0, KC_FLAG_INT64, &opt.grace, "seconds to end gracefully; -1: the object's own", "Delete"},
    {"force", 0, KC_FLAG_BOOL, &opt.force, "delete at once, without waiting for the node", "Delete"},
    {"now", 0, KC_FLAG_BOOL, &opt.now, "a grace period of 1", "Delete"},
    {"cascade", 0, KC_FLAG_STRING, &opt.cascade, "background, orphan or foreground", "Delete"},
    {"wait", 0, KC_FLAG_BOOL, &opt.wait, "wait until the objects are gone", "Delete"},
    {"timeout", 0, KC_FLAG_DURATION, &opt.timeout, "how long to wait; 0: long enough", "Delete"},
    {"ignore-not-found", 0, KC_FLAG_BOOL, &opt.ignore_not_found, "absent objects are no error", "Delete"},
    {"output", 'o', KC_FLAG_STRING, &opt.output, "name", "Delete"},
    {"dry-run", 0, KC_FLAG_STRING, &opt.dry_run, "none, server or client", "Delete"},
};

struct victim {
        const struct kc_api_resource *res;
        char *ns, *name, *uid;
};
struct victims {
        struct victim *v;
        size_t n, cap;
};

static void push(struct victims *l, const struct kc_api_resource *res, const char *ns, const char *name)
{
        if (l->n == l->cap) {
                l->cap = l->cap ? 2 * l->cap : 8;
                l->v = kc_reallocarray(l->v, l->cap, sizeof(*l->v));
        }
        l->v[l->n++] =
            (struct victim){.res = res, .ns = kc_strdup(res->namespaced ? ns : NULL), .name = kc_strdup(name)};
}

static void victims_done(struct victims *l)
{
        for (size_t i = 0; i < l->n; i++) {
                kc_free(l->v[i].ns);
                kc_free(l->v[i].name);
                kc_free(l->v[i].uid);
        }
        kc_free(l->v);
}

static int check_options(char **args, struct kc_error *err)
{
        if (opt.now && opt.grace != -1)
                return kc_error_set(err, EINVAL, "--now and --grace-period cannot be specified together");
        if (opt.now)
                opt.grace = 1;
        if (opt.all && !kc_str_empty(opt.from.selector))
                return kc_error_set(err, EINVAL, "setting 'all' parameter but found a non empty selector. ");
        if (opt.force && opt.grace > 0)
                return kc_error_set(
                    err, EINVAL, "--force and --grace-period greater than 0 cannot be specified together");
        if (opt.grace == 0 && !opt.force)
                opt.grace = 1; /* kubectl's guard against accidents */
        if (opt.force && opt.grace < 0)
                opt.grace = 0;
        if (!kc_str_empty(opt.output) && !kc_streq(opt.output, "name"))
                return kc_error_set(
                    err, EINVAL, "unexpected -o output mode: %s. We only support '-o name'", opt.output);
        static const char *const modes[] = {"background", "orphan", "foreground", "true", "false"};
        bool known = kc_str_empty(opt.cascade);
        for (size_t i = 0; i < KC_ARRAY_LEN(modes); i++)
                known = known || kc_streq(opt.cascade, modes[i]);
        if (!known)
                return kc_error_set(err, EINVAL,
                    "invalid cascade value (%s). Must be \"background\", \"foreground\", or \"orphan\"", opt.cascade);
        if (!args[0] && !kc_manifest_options_given(&opt.from))
                return kc_error_set(err, EINVAL, "%s", KC_CLI_NO_RESOURCES);
        return kc_dry_run_parse(opt.dry_run, &dry_run, err);
}

const char *kc_delete_propagation(const char *cascade)
{
        if (kc_streq(cascade, "orphan") || kc_streq(cascade, "false"))
                return "Orphan";
        return kc_streq(cascade, "foreground") ? "Foreground" : "Background";
}

const char *kc_delete_uid(const struct json_object *answer)
{
        return kc_streq(kc_json_str(answer, "kind"), "Status") ? kc_json_str_at(answer, "details.uid")
                                                               : kc_meta_uid(answer);
}

static int add_listed(
    struct kc_cli *c, const struct kc_api_resource *res, const char *ns, struct victims *l, struct kc_error *err)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf q = KC_BUF_INIT;
        KC_CLEANUP(kc_json_freep) struct json_object *list = NULL;
        kc_query_add(&q, "labelSelector", kc_str_empty(opt.from.selector) ? NULL : opt.from.selector);
        kc_query_add(&q, "fieldSelector", kc_str_empty(opt.field_selector) ? NULL : opt.field_selector);
        int e = kc_cli_list(c, res, opt.all_namespaces ? NULL : ns, kc_buf_str(&q), &list, err);
        const struct json_object *items = kc_json_get(list, "items");
        for (size_t i = 0; e == 0 && i < kc_json_len(items); i++)
                push(l, res, kc_meta_namespace(kc_json_idx(items, i)), kc_meta_name(kc_json_idx(items, i)));
        return e;
}

static int collect(struct kc_cli *c, char **args, struct victims *l, struct kc_manifests *files, struct kc_error *err)
{
        struct kc_resource_map *map;
        const char *ns;
        KC_CLEANUP(kc_targets_done) struct kc_targets targets = {0};
        int e = kc_cli_namespace(c, &ns, err);
        if (e == 0)
                e = kc_cli_map(c, &map, err);
        if (e == 0 && kc_manifest_options_given(&opt.from))
                e = kc_manifest_options_load(c, &opt.from, files, err);
        else if (e == 0)
                e = kc_targets_parse(map, args, &targets, err);
        for (size_t i = 0; e == 0 && i < files->n; i++)
                push(l, files->v[i].res, files->v[i].ns, files->v[i].name);
        bool choose = opt.all || !kc_str_empty(opt.from.selector) || !kc_str_empty(opt.field_selector);
        if (e == 0 && targets.named && !kc_str_empty(opt.from.selector))
                return kc_error_set(err, EINVAL, "name cannot be provided when a selector is specified");
        if (e == 0 && targets.named && opt.all)
                return kc_error_set(err, EINVAL, "name cannot be provided when a selector is specified");
        if (e == 0 && targets.n > 0 && !targets.named && !choose)
                return kc_error_set(err, EINVAL, "resource(s) were provided, but no name was specified");
        for (size_t i = 0; e == 0 && i < targets.n; i++) {
                if (targets.v[i].name)
                        push(l, targets.v[i].res, ns, targets.v[i].name);
                else
                        e = add_listed(c, targets.v[i].res, ns, l, err);
        }
        return e;
}

static void say(struct kc_cli *c, const struct victim *v)
{
        KC_CLEANUP(kc_freep) char *kind = kc_api_resource_name(v->res);
        if (kc_streq(opt.output, "name")) {
                (void)fprintf(c->out, "%s/%s\n", kind, v->name);
                return;
        }
        (void)fprintf(c->out, "%s \"%s\" %s", kind, v->name, opt.grace == 0 ? "force deleted" : "deleted");
        if (v->res->namespaced)
                (void)fprintf(c->out, " from %s namespace", v->ns);
        (void)fprintf(c->out, "%s\n", kc_dry_run_suffix(dry_run));
        (void)fflush(c->out);
}

static int delete_one(struct kc_cli *c, struct victim *v, struct kc_error *err)
{
        struct kc_rest *rest;
        KC_CLEANUP(kc_json_freep) struct json_object *answer = NULL;
        int e = kc_cli_rest(c, &rest, err);
        if (e < 0)
                return e;
        if (dry_run != KC_DRY_RUN_CLIENT) {
                struct kc_gvr g = kc_api_resource_gvr(v->res);
                struct kc_delete_opts o = {.grace_period_seconds = opt.grace,
                    .propagation = kc_delete_propagation(opt.cascade),
                    .dry_run = dry_run == KC_DRY_RUN_SERVER};
                e = kc_rest_delete(rest, &g, v->ns, v->name, &o, &answer, err);
                if (e < 0)
                        return e;
                v->uid = kc_strdup(kc_delete_uid(answer));
        }
        say(c, v);
        return 0;
}

static int delete_all(struct kc_cli *c, struct victims *l, struct kc_cli_errors *errors, struct kc_error *err)
{
        bool ignore = opt.ignore_not_found || opt.all;
        for (size_t i = 0; i < l->n; i++) {
                struct kc_error why = KC_ERROR_INIT;
                if (delete_one(c, &l->v[i], &why) < 0) {
                        kc_str_set(&l->v[i].uid, NULL);
                        if (!ignore || !kc_error_is(&why, KC_REASON_NOT_FOUND))
                                kc_cli_errors_take(errors, &why);
                }
                kc_error_done(&why);
        }
        if (!opt.wait || dry_run != KC_DRY_RUN_NONE)
                return 0;
        kc_mono deadline = opt.timeout > 0 ? kc_clock_mono(NULL) + opt.timeout : 0;
        for (size_t i = 0; i < l->n; i++) {
                int e = l->v[i].uid
                            ? kc_cli_wait_gone(c, l->v[i].res, l->v[i].ns, l->v[i].name, l->v[i].uid, deadline, err)
                            : 0;
                if (e < 0)
                        return e;
        }
        return 0;
}

/* --interactive: *ret says whether to go on. */
static int ask(struct kc_cli *c, const struct victims *l, bool *ret, struct kc_error *err)
{
        char answer[16];
        *ret = true;
        if (!opt.interactive || l->n == 0)
                return 0;
        (void)fprintf(c->out, "You are about to delete the following %zu resource(s):\n", l->n);
        for (size_t i = 0; i < l->n; i++) {
                KC_CLEANUP(kc_freep) char *kind = kc_api_resource_name(l->v[i].res);
                (void)fprintf(c->out, "%s/%s\n", kind, l->v[i].name);
        }
        (void)fprintf(c->out, "Do you want to continue? (y/n): ");
        (void)fflush(c->out);
        if (!fgets(answer, sizeof(answer), c->in))
                return kc_error_set(err, EIO, "couldn't read the answer");
        *ret = strcasecmp(answer, "y\n") == 0 || strcasecmp(answer, "y") == 0;
        if (!*ret)
                (void)fprintf(c->out, "deletion is cancelled\n");
        return 0;
}

static int run_raw(struct kc_cli *c, char **args, struct kc_error *err)
{
        if (kc_strv_len(opt.from.files) > 1)
                return kc_cli_usage_error(c, "delete", err, "--raw can only use a single local file or stdin");
        if (!kc_str_empty(opt.output))
                return kc_cli_usage_error(c, "delete", err, "--raw and --output are mutually exclusive");
        (void)args;
        return kc_cli_raw(c, "DELETE", opt.raw, opt.from.files ? opt.from.files[0] : NULL, err);
}

static int run(struct kc_cli *c, char **args, struct kc_error *err)
{
        if (!kc_str_empty(opt.raw))
                return run_raw(c, args, err);
        KC_CLEANUP(victims_done) struct victims l = {0};
        KC_CLEANUP(kc_manifests_done) struct kc_manifests files = {0};
        int e = check_options(args, err);
        if (e < 0)
                return e;
        if (opt.force && opt.grace == 0)
                (void)fprintf(c->err,
                    "Warning: Immediate deletion does not wait for confirmation that the running resource has been "
                    "terminated. The resource may continue to run on the cluster indefinitely.\n");
        e = collect(c, args, &l, &files, err);
        if (e < 0)
                return e;
        KC_CLEANUP(kc_cli_errors_done) struct kc_cli_errors errors = {0};
        bool go_on;
        e = ask(c, &l, &go_on, err);
        if (e < 0 || !go_on)
                return e;
        e = delete_all(c, &l, &errors, err);
        kc_manifests_errors(&files, &errors);
        bool failed = kc_cli_errors_report(c, &errors);
        if (e < 0)
                return e;
        if (l.n == 0 && !failed)
                (void)fprintf(c->out, "No resources found\n");
        return failed ? KC_CLI_FAILED : 0;
}

const struct kc_command kc_cmd_delete = {.name = "delete",
    .usage = "delete ([-f FILENAME] | TYPE [(NAME | -l label | --all)]) [flags]",
    .summary = "Delete resources by file names, stdin, resources and names, or by resources and label selector",
    .flags = flags,
    .n_flags = KC_ARRAY_LEN(flags),
    .run = run};
