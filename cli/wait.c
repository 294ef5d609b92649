/* kubec wait. Main thread. */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "api/object.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/manifest_options.h"
#include "cli/objects.h"
#include "cli/wait_for.h"
#include "cli/write.h"
#include "json/jsonpath.h"

static struct {
        struct kc_manifest_options from;
        char *field_selector, *condition;
        bool all, all_namespaces, local;
        int64_t timeout;
} opt = {.timeout = 30 * KC_SEC, .from = {.recursive = true}};
static struct kc_write w = {.allow_missing_keys = true};

static const struct kc_flag flags[] = {
    {"for", 0, KC_FLAG_STRING, &opt.condition, "create, delete, condition=name[=value] or jsonpath={.field}[=value]",
        "Wait"},
    {"timeout", 0, KC_FLAG_DURATION, &opt.timeout, "how long to wait; 0: look once; negative: a week", "Wait"},
    KC_MANIFEST_FLAGS(opt.from, "Wait"),
    {"local", 0, KC_FLAG_BOOL, &opt.local, "look at what the file says", "Wait"},
    {"selector", 'l', KC_FLAG_STRING, &opt.from.selector, "label query", "Wait"},
    {"field-selector", 0, KC_FLAG_STRING, &opt.field_selector, "field query", "Wait"},
    {"all", 0, KC_FLAG_BOOL, &opt.all, "all objects of the resource in the namespace", "Wait"},
    {"all-namespaces", 'A', KC_FLAG_BOOL, &opt.all_namespaces, "objects of all namespaces", "Wait"},
    KC_WRITE_PRINT_FLAGS(w, "Wait"),
};

enum wait_kind { WAIT_CONDITION, WAIT_JSONPATH, WAIT_DELETE, WAIT_CREATE };
struct condition {
        enum wait_kind kind;
        char *type, *value; /* value NULL: any, of a path */
        struct kc_jsonpath *path;
};

static int field_is(struct kc_cli *c, const struct json_object *obj, void *arg, struct kc_error *err)
{
        (void)c;
        const struct condition *k = arg;
        KC_CLEANUP(kc_jsonpath_values_done) struct kc_jsonpath_values found = {0};
        KC_CLEANUP(kc_buf_done) struct kc_buf text = KC_BUF_INIT;
        int e = obj ? kc_jsonpath_find(k->path, obj, true, &found, err) : 0;
        if (e < 0 || found.n == 0)
                return e;
        if (found.n > 1)
                return kc_error_set(err, EINVAL, "given jsonpath expression matches more than one value");
        if (kc_json_is_obj(found.v[0]) || kc_json_is_arr(found.v[0]))
                return k->value ? kc_error_set(
                                      err, EINVAL, "jsonpath leads to a nested object or list which is not supported")
                                : 1;
        kc_jsonpath_value_text(found.v[0], &text);
        return !k->value || strcmp(kc_buf_str(&text), k->value) == 0;
}

static int is_there(struct kc_cli *c, const struct json_object *obj, void *arg, struct kc_error *err)
{
        (void)c;
        (void)arg;
        (void)err;
        return obj != NULL;
}

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

/* "{.a.b}=value", "{.a.b}"; braces may be left out. An "=" inside of braces belongs to the path. */
static int parse_jsonpath(const char *s, struct condition *ret, struct kc_error *err)
{
        int depth = 0;
        const char *at = s;
        for (; *at && (*at != '=' || depth > 0); at++)
                depth += *at == '{' ? 1 : *at == '}' ? -1 : 0;
        if (at == s)
                return kc_error_set(err, EINVAL, "jsonpath expression cannot be empty");
        if (*at && !at[1])
                return kc_error_set(err, EINVAL,
                    "jsonpath wait has to have a value after equal sign, like "
                    "--for=jsonpath='{.status.readyReplicas}'=3");
        KC_CLEANUP(kc_freep) char *path = kc_strndup(s, (size_t)(at - s));
        KC_CLEANUP(kc_freep) char *relaxed = NULL;
        int e = kc_jsonpath_relax(path, &relaxed, err);
        if (e == 0)
                e = kc_jsonpath_parse(relaxed, &ret->path, err);
        if (e < 0 || !*at)
                return e;
        const char *value = at + 1 + strspn(at + 1, "'\"");
        size_t len = strlen(value);
        while (len > 0 && (value[len - 1] == '\'' || value[len - 1] == '"'))
                len--;
        ret->value = kc_strndup(value, len);
        return 0;
}

/* "delete", "create", "jsonpath=...", "condition=Ready", "condition=Ready=false". */
static int parse_condition(const char *s, struct condition *ret, struct kc_error *err)
{
        if (strcasecmp(s, "delete") == 0 || strcasecmp(s, "create") == 0) {
                ret->kind = strcasecmp(s, "delete") == 0 ? WAIT_DELETE : WAIT_CREATE;
                return 0;
        }
        if (kc_str_has_prefix(s, "jsonpath=")) {
                ret->kind = WAIT_JSONPATH;
                return parse_jsonpath(s + strlen("jsonpath="), ret, err);
        }
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
        kc_jsonpath_free(k->path);
}

static int wait_one(
    struct kc_cli *c, const struct kc_found *f, struct condition *k, kc_mono deadline, struct kc_error *err)
{
        int e;
        if (k->kind == WAIT_DELETE)
                e = kc_cli_wait_gone(c, f->res, f->ns, f->name, kc_meta_uid(f->obj), deadline, err);
        else
                e = kc_cli_wait(
                    c, f->res, f->ns, f->name, deadline, k->kind == WAIT_JSONPATH ? field_is : is_met, k, err);
        if (e == -ETIME && opt.timeout == 0)
                return kc_error_set(err, ETIME, "condition not met for %s/%s", f->res->resource, f->name);
        return e < 0 ? e
                     : kc_write_print(c, &w, f->res, f->obj, k->kind == WAIT_DELETE ? "deleted" : "condition met", err);
}

/* What is not there yet has a name at least. */
static int wait_created(struct kc_cli *c, char **args, kc_mono deadline, struct kc_error *err)
{
        struct kc_resource_map *map;
        const char *ns;
        KC_CLEANUP(kc_targets_done) struct kc_targets targets = {0};
        KC_CLEANUP(kc_manifests_done) struct kc_manifests files = {0};
        int e = kc_cli_namespace(c, &ns, err);
        if (e == 0)
                e = kc_cli_map(c, &map, err);
        if (e == 0 && kc_manifest_options_given(&opt.from))
                e = kc_manifest_options_load(c, &opt.from, &files, err);
        if (e == 0 && !kc_manifest_options_given(&opt.from))
                e = kc_targets_parse(map, args, &targets, err);
        for (size_t i = 0; e == 0 && i < targets.n + files.n; i++) {
                const struct kc_manifest *m = i < files.n ? &files.v[i] : NULL;
                const struct kc_target *t = m ? NULL : &targets.v[i - files.n];
                const struct kc_api_resource *res = m ? m->res : t->res;
                const char *name = m ? m->name : t->name, *where = m ? m->ns : ns;
                KC_CLEANUP(kc_json_freep) struct json_object *obj = NULL;
                if (!name)
                        return kc_error_set(err, EINVAL, "resource(s) were provided, but no name was specified");
                e = kc_cli_wait(c, res, where, name, deadline, is_there, NULL, err);
                if (e == -ETIME)
                        e = kc_error_set(err, ETIME, "timed out waiting for the condition");
                if (e == 0)
                        e = kc_cli_get(c, res, where, name, &obj, err);
                if (e == 0)
                        e = kc_write_print(c, &w, res, obj, "condition met", err);
        }
        return e;
}

static int run(struct kc_cli *c, char **args, struct kc_error *err)
{
        enum { WEEK = 7 * 24 * 3600 };
        KC_CLEANUP(kc_founds_done) struct kc_founds all = {0};
        KC_CLEANUP(condition_done) struct condition k = {0};
        if (kc_str_empty(opt.condition))
                return kc_error_set(err, EINVAL, "unrecognized condition: \"\"");
        /* One time for all; at least 1 us, which only looks. */
        int64_t usec = opt.timeout < 0 ? WEEK * KC_SEC : KC_MAX(opt.timeout, 1);
        kc_mono deadline = kc_clock_mono(NULL) + usec;
        int e = parse_condition(opt.condition, &k, err);
        if (e == 0)
                e = kc_write_check(&w, err);
        if (e == 0 && k.kind == WAIT_CREATE)
                return wait_created(c, args, deadline, err);
        bool gone = k.kind == WAIT_DELETE;
        if (e == 0)
                e = kc_cli_find_objects(c,
                    &(struct kc_object_query){.args = args,
                        .files = opt.from.files,
                        .kustomize = opt.from.kustomize,
                        .selector = opt.from.selector,
                        .field_selector = opt.field_selector,
                        .all = opt.all,
                        .all_namespaces = opt.all_namespaces,
                        .recursive = opt.from.recursive,
                        .local = opt.local},
                    &all, err);
        if (e < 0)
                return e;
        KC_CLEANUP(kc_cli_errors_done) struct kc_cli_errors errors = {0};
        for (size_t i = 0; i < all.errors.n; i++)
                if (!gone || !kc_error_is(&all.errors.v[i], KC_REASON_NOT_FOUND)) /* as good as deleted */
                        kc_cli_errors_take(&errors, &all.errors.v[i]);
        if (all.n == 0 && all.errors.n == 0 && !gone)
                return kc_error_set(err, ENOENT, "no matching resources found");
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
