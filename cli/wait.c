/* kubec wait. Main thread. */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "api/object.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/objects.h"
#include "cli/requests.h"
#include "cli/wait_for.h"

static struct {
        char **files, *selector, *field_selector, *output, *condition;
        bool all, all_namespaces, recursive;
        int64_t timeout;
} opt = {.timeout = 30 * KC_SEC};

static const struct kc_flag flags[] = {
    {"for", 0, KC_FLAG_STRING, &opt.condition, "delete or condition=name[=value]", "Wait"},
    {"timeout", 0, KC_FLAG_DURATION, &opt.timeout, "how long to wait; 0: look once; negative: a week", "Wait"},
    {"filename", 'f', KC_FLAG_STRV, &opt.files, "files that name the objects", "Wait"},
    {"recursive", 'R', KC_FLAG_BOOL, &opt.recursive, "directories with theirs", "Wait"},
    {"selector", 'l', KC_FLAG_STRING, &opt.selector, "label query", "Wait"},
    {"field-selector", 0, KC_FLAG_STRING, &opt.field_selector, "field query", "Wait"},
    {"all", 0, KC_FLAG_BOOL, &opt.all, "all objects of the resource in the namespace", "Wait"},
    {"all-namespaces", 'A', KC_FLAG_BOOL, &opt.all_namespaces, "objects of all namespaces", "Wait"},
    {"output", 'o', KC_FLAG_STRING, &opt.output, "json, yaml or name", "Wait"},
};

struct condition {
        char *type, *value;
};

static int is_met(struct kc_cli *c, const struct json_object *obj, void *arg, struct kc_error *err)
{
        (void)c;
        const struct condition *k = arg;
        if (!obj)
                return kc_error_set(err, ENOENT, "the object was deleted while waiting for its condition");
        const struct json_object *conditions = kc_json_at(obj, "status.conditions");
        for (size_t i = 0; i < kc_json_len(conditions); i++) {
                const struct json_object *one = kc_json_idx(conditions, i);
                const char *type = kc_json_str(one, "type"), *status = kc_json_str(one, "status");
                if (!type || !status || strcasecmp(type, k->type) != 0)
                        continue;
                int64_t seen = kc_json_int(one, "observedGeneration", INT64_MAX);
                return seen >= kc_meta_generation(obj) && strcasecmp(status, k->value) == 0;
        }
        return 0;
}

/* "condition=Ready", "condition=Ready=false". */
static int parse_condition(const char *s, struct condition *ret, struct kc_error *err)
{
        if (!kc_str_has_prefix(s, "condition="))
                return kc_error_set(err, EINVAL, "unrecognized condition: \"%s\"", s);
        const char *type = s + strlen("condition="), *eq = strchr(type, '=');
        ret->type = eq ? kc_strndup(type, (size_t)(eq - type)) : kc_strdup(type);
        ret->value = kc_strdup(eq ? eq + 1 : "true");
        return 0;
}

static void condition_done(struct condition *k)
{
        kc_free(k->type);
        kc_free(k->value);
}

static int wait_one(
    struct kc_cli *c, const struct kc_found *f, struct condition *k, kc_mono deadline, struct kc_error *err)
{
        int e;
        if (k->type)
                e = kc_cli_wait(c, f->res, f->ns, f->name, deadline, is_met, k, err);
        else
                e = kc_cli_wait_gone(c, f->res, f->ns, f->name, kc_meta_uid(f->obj), deadline, err);
        return e < 0 ? e
                     : kc_cli_print_result(
                           c, f->res, f->obj, opt.output, k->type ? "condition met" : "deleted", KC_DRY_RUN_NONE, err);
}

static int run(struct kc_cli *c, char **args, struct kc_error *err)
{
        enum { WEEK = 7 * 24 * 3600 };
        KC_CLEANUP(kc_founds_done) struct kc_founds all = {0};
        KC_CLEANUP(condition_done) struct condition k = {0};
        bool gone = opt.condition && strcasecmp(opt.condition, "delete") == 0;
        if (kc_str_empty(opt.condition))
                return kc_error_set(err, EINVAL, "unrecognized condition: \"\"");
        int e = gone ? 0 : parse_condition(opt.condition, &k, err);
        if (e == 0)
                e = kc_cli_find_objects(c,
                    &(struct kc_object_query){.args = args,
                        .files = opt.files,
                        .selector = opt.selector,
                        .field_selector = opt.field_selector,
                        .all = opt.all,
                        .all_namespaces = opt.all_namespaces,
                        .recursive = opt.recursive},
                    &all, err);
        if (e < 0)
                return e;
        KC_CLEANUP(kc_cli_errors_done) struct kc_cli_errors errors = {0};
        for (size_t i = 0; i < all.errors.n; i++)
                if (!gone || !kc_error_is(&all.errors.v[i], KC_REASON_NOT_FOUND)) /* as good as deleted */
                        kc_cli_errors_take(&errors, &all.errors.v[i]);
        if (all.n == 0 && all.errors.n == 0 && !gone)
                return kc_error_set(err, ENOENT, "no matching resources found");
        /* One time for all; at least 1 us, which only looks. */
        int64_t usec = opt.timeout < 0 ? WEEK * KC_SEC : KC_MAX(opt.timeout, 1);
        kc_mono deadline = kc_clock_mono(NULL) + usec;
        for (size_t i = 0; i < all.n; i++) {
                struct kc_error why = KC_ERROR_INIT;
                if (wait_one(c, &all.v[i], &k, deadline, &why) < 0)
                        kc_cli_errors_take(&errors, &why);
        }
        return kc_cli_errors_report(c, &errors) ? KC_CLI_FAILED : 0;
}

const struct kc_command kc_cmd_wait = {.name = "wait",
    .usage = "wait ([-f FILENAME] | resource.group/resource.name | resource.group [(-l label | --all)]) --for=...",
    .summary = "Wait for a specific condition on one or many resources",
    .flags = flags,
    .n_flags = KC_ARRAY_LEN(flags),
    .run = run};
