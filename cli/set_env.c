/* kubec set env. Main thread. */
#include <ctype.h>
#include <errno.h>
#include <fnmatch.h>
#include <string.h>

#include "api/object.h"
#include "base/encode.h"
#include "base/str.h"
#include "cli/generate/generate.h"
#include "cli/set.h"

static struct {
        struct kc_set_options set;
        char *containers, *from, *prefix, **env, **keys;
        bool list, resolve, overwrite;
} opt = {.set = {.w = {.allow_missing_keys = true, .typed = true}}, .overwrite = true};

const struct kc_flag kc_set_env_flags[KC_SET_N_ENV_FLAGS] = {
    {"containers", 'c', KC_FLAG_STRING, &opt.containers, "names of containers; * matches any", "Set"},
    {"from", 0, KC_FLAG_STRING, &opt.from, "configmap/NAME or secret/NAME whose keys become variables", "Set"},
    {"prefix", 0, KC_FLAG_STRING, &opt.prefix, "in front of the names of variables", "Set"},
    {"env", 'e', KC_FLAG_ARRAY, &opt.env, "KEY=value, may be repeated", "Set"},
    {"keys", 0, KC_FLAG_STRV, &opt.keys, "keys of --from, all by default", "Set"},
    {"list", 0, KC_FLAG_BOOL, &opt.list, "print the variables", "Set"},
    {"resolve", 0, KC_FLAG_BOOL, &opt.resolve, "print what references give", "Set"},
    {"overwrite", 0, KC_FLAG_BOOL, &opt.overwrite, "values that are there may change", "Set"},
    KC_SET_FLAGS(opt.set),
};

static struct json_object *wanted; /* of EnvVars */
static char **removed;             /* strv of names */

/* --- what is wanted */

static int add_pair(const char *pair, struct kc_error *err)
{
        const char *eq = strchr(pair, '=');
        KC_CLEANUP(kc_freep) char *name = kc_strndup(pair, eq ? (size_t)(eq - pair) : strlen(pair) - 1);
        int e = kc_generate_check_env_name(name, err);
        if (e < 0)
                return e;
        if (!eq)
                kc_strv_push(&removed, name);
        else
                kc_json_push(wanted, kc_json_build("{'name':%s,'value':%s}", name, eq + 1));
        return 0;
}

/* "c-d" -> "C_D", with a note when that is another name. */
static char *env_name(struct kc_cli *c, const char *key)
{
        char *name = kc_strdup(key);
        for (char *p = name; *p; p++)
                *p = isalnum((unsigned char)*p) ? (char)toupper((unsigned char)*p) : '_';
        if (strcmp(name, key) != 0)
                (void)fprintf(c->err, "Warning: key %s transferred to %s\n", key, name);
        return name;
}

static void add_reference(struct kc_cli *c, const char *field, const char *object, const char *key)
{
        if (opt.keys && !kc_strv_has(opt.keys, key))
                return;
        KC_CLEANUP(kc_freep) char *plain = env_name(c, key);
        KC_CLEANUP(kc_freep) char *name = kc_asprintf("%s%s", opt.prefix ? opt.prefix : "", plain);
        kc_json_push(
            wanted, kc_json_build("{'name':%s,'valueFrom':{%s:{'name':%s,'key':%s}}}", name, field, object, key));
}

static int add_from(struct kc_cli *c, struct kc_error *err)
{
        KC_CLEANUP(kc_founds_done) struct kc_founds all = {0};
        char *one[] = {opt.from, NULL};
        int e = kc_cli_find_objects(c, &(struct kc_object_query){.args = one}, &all, err);
        if (e == 0 && all.errors.n > 0) {
                kc_error_move(err, &all.errors.v[0]);
                return -err->errnum;
        }
        for (size_t i = 0; e == 0 && i < all.n; i++) {
                KC_CLEANUP(kc_strv_freep) char **keys = NULL;
                bool secret = kc_streq(all.v[i].res->kind, "Secret");
                if (!secret && !kc_streq(all.v[i].res->kind, "ConfigMap"))
                        return kc_error_set(err, EINVAL, "unsupported resource specified in --from");
                KC_JSON_FOREACH(kc_json_get(all.v[i].obj, "data"), key, val)
                {
                        (void)val;
                        kc_strv_push(&keys, key);
                }
                kc_strv_sort(keys);
                for (char **k = keys; k && *k; k++)
                        add_reference(c, secret ? "secretKeyRef" : "configMapKeyRef", all.v[i].name, *k);
        }
        return e;
}

/* Lines of the standard input, for the argument "-". */
static int add_stdin(struct kc_cli *c, struct kc_error *err)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf text = KC_BUF_INIT;
        int e = kc_cli_read_stdin(c, &text, err);
        KC_CLEANUP(kc_strv_freep) char **lines = kc_strv_split(kc_buf_str(&text), '\n');
        for (char **l = lines; e == 0 && l && *l; l++) {
                (*l)[strcspn(*l, "#")] = '\0';
                KC_CLEANUP(kc_freep) char *name = kc_strndup(*l, strcspn(*l, "="));
                if (strchr(*l, '='))
                        kc_json_push(wanted, kc_json_build("{'name':%s,'value':%s}", name, strchr(*l, '=') + 1));
        }
        return e;
}

/* --- listing */

static int resolve(struct kc_cli *c, const struct kc_found *f, const struct json_object *source, bool secret,
    char **ret, struct kc_error *err)
{
        struct kc_rest *rest;
        KC_CLEANUP(kc_json_freep) struct json_object *obj = NULL;
        const char *name = kc_json_str(source, "name"), *key = kc_json_str(source, "key");
        int e = kc_cli_rest(c, &rest, err);
        if (e == 0)
                e = kc_rest_get(rest, secret ? &KC_SECRETS : &KC_CONFIGMAPS, f->ns, name, &obj, err);
        if (e < 0)
                return e;
        const char *value = kc_json_str(kc_json_get(obj, "data"), key);
        if (!value)
                return kc_error_set(
                    err, ENOENT, "key %s not found in %s %s", key, secret ? "secret" : "config map", name);
        KC_CLEANUP(kc_buf_done) struct kc_buf plain = KC_BUF_INIT;
        if (secret)
                (void)kc_base64_decode(value, strlen(value), &plain);
        else
                kc_buf_adds(&plain, value);
        *ret = kc_strdup(kc_buf_str(&plain));
        return 0;
}

static char *describe_source(const struct json_object *from)
{
        const struct json_object *s;
        if ((s = kc_json_get(from, "configMapKeyRef")))
                return kc_asprintf("configmap %s, key %s", kc_json_str(s, "name"), kc_json_str(s, "key"));
        if ((s = kc_json_get(from, "secretKeyRef")))
                return kc_asprintf("secret %s, key %s", kc_json_str(s, "name"), kc_json_str(s, "key"));
        if ((s = kc_json_get(from, "fieldRef")))
                return kc_asprintf("field path %s", kc_json_str(s, "fieldPath"));
        if ((s = kc_json_get(from, "resourceFieldRef"))) {
                const char *container = kc_json_str(s, "containerName");
                return kc_asprintf("resource field %s%s%s", container ? container : "", container ? ", " : "",
                    kc_json_str(s, "resource"));
        }
        return kc_strdup("invalid valueFrom");
}

static void list_variable(struct kc_cli *c, const struct kc_found *f, const struct json_object *env)
{
        const struct json_object *from = kc_json_get(env, "valueFrom");
        const struct json_object *secret = kc_json_get(from, "secretKeyRef");
        const struct json_object *source = secret ? secret : kc_json_get(from, "configMapKeyRef");
        const char *name = kc_json_str(env, "name"), *value = kc_json_str(env, "value");
        if (!from) {
                (void)fprintf(c->out, "%s=%s\n", name, value ? value : "");
                return;
        }
        KC_CLEANUP(kc_freep) char *what = describe_source(from);
        KC_CLEANUP(kc_freep) char *resolved = NULL;
        KC_CLEANUP(kc_error_done) struct kc_error why = KC_ERROR_INIT;
        if (!opt.resolve)
                (void)fprintf(c->out, "# %s from %s\n", name, what);
        else if (source && resolve(c, f, source, secret != NULL, &resolved, &why) == 0)
                (void)fprintf(c->out, "%s=%s\n", name, resolved);
        else
                (void)fprintf(c->out, "# %s retrieves its value from %s but could not be resolved: %s\n", name, what,
                    kc_error_message(&why));
}

struct listing {
        struct kc_cli *c;
        const struct kc_found *f;
};

static void list_container(struct json_object *container, void *arg)
{
        const struct listing *l = arg;
        const struct json_object *env = kc_json_get(container, "env");
        (void)fprintf(
            l->c->out, "# %s %s, container %s\n", l->f->res->kind, l->f->name, kc_json_str(container, "name"));
        for (size_t i = 0; i < kc_json_len(env); i++)
                list_variable(l->c, l->f, kc_json_idx(env, i));
}

/* --- changing */

static int conflict(const struct json_object *container, struct kc_error *err)
{
        const struct json_object *env = kc_json_get(container, "env");
        for (size_t i = 0; i < kc_json_len(wanted); i++) {
                const char *name = kc_json_str(kc_json_idx(wanted, i), "name");
                const struct json_object *there = kc_json_find(env, "name", name);
                const char *value = kc_json_str(there, "value");
                if (there)
                        return kc_error_set(err, EEXIST, "'%s' already has a value (%s), and --overwrite is false",
                            name, value ? value : "");
        }
        return 0;
}

static void change_container(struct json_object *container, void *arg)
{
        struct kc_error *err = arg;
        if (err->errnum || (!opt.overwrite && conflict(container, err) < 0))
                return;
        const struct json_object *old = kc_json_get(container, "env");
        struct json_object *env = json_object_new_array();
        for (size_t i = 0; i < kc_json_len(old); i++) {
                const struct json_object *one = kc_json_idx(old, i);
                const char *name = kc_json_str(one, "name");
                const struct json_object *instead = kc_json_find(wanted, "name", name);
                if (!kc_strv_has(removed, name))
                        kc_json_push(env, kc_json_copy(instead ? instead : one));
        }
        for (size_t i = 0; i < kc_json_len(wanted); i++) {
                const char *name = kc_json_str(kc_json_idx(wanted, i), "name");
                if (!kc_json_find(env, "name", name) && !kc_strv_has(removed, name))
                        kc_json_push(env, kc_json_copy(kc_json_idx(wanted, i)));
        }
        if (kc_json_len(env) == 0) {
                kc_json_free(env);
                kc_json_del(container, "env");
        } else {
                kc_json_set(container, "env", env);
        }
}

static int change(struct kc_cli *c, const struct kc_found *f, struct json_object *obj, struct kc_cli_errors *notes,
    struct kc_error *err)
{
        (void)notes;
        struct kc_error why = KC_ERROR_INIT;
        struct json_object *spec = kc_pod_spec_of(obj);
        const char *pattern = kc_str_empty(opt.containers) ? "*" : opt.containers;
        if (!spec)
                return kc_no_pod_spec(f->res, err);
        if (kc_each_container(spec, pattern, NULL, NULL) == 0) {
                (void)fprintf(c->err, "Warning: %s/%s does not have any containers matching \"%s\"\n", f->res->kind,
                    f->name, pattern);
                return 0;
        }
        if (kc_json_len(wanted) > 0 || removed)
                kc_each_container(spec, pattern, change_container, &why);
        if (why.errnum) {
                kc_error_move(err, &why);
                return -err->errnum;
        }
        if (opt.list) {
                struct listing l = {c, f};
                kc_each_container(spec, pattern, list_container, &l);
        }
        return 0;
}

static int read_wanted(struct kc_cli *c, char *const *pairs, struct kc_error *err)
{
        int e = 0;
        for (char *const *p = pairs; e == 0 && p && *p; p++)
                e = add_pair(*p, err);
        for (char *const *p = opt.env; e == 0 && p && *p; p++)
                e = strchr(*p, '=') || kc_str_has_suffix(*p, "-")
                        ? add_pair(*p, err)
                        : kc_error_set(err, EINVAL, "environment variables must be of the form key=value: %s", *p);
        return e == 0 && !kc_str_empty(opt.from) ? add_from(c, err) : e;
}

int kc_set_env(struct kc_cli *c, char **args, struct kc_error *err)
{
        static const struct kc_set_command command = {
            "env updated", "failed to patch env update to pod template:", false, change};
        KC_CLEANUP(kc_strv_freep) char **resources = NULL, **pairs = NULL;
        char *none[] = {NULL};
        bool from_stdin = kc_strv_has(args, "-");
        kc_strv_remove(args, "-");
        int e = kc_set_check(&opt.set, err);
        if (e < 0)
                return e;
        if (kc_set_split_args(args, &resources, &pairs) < 0) {
                KC_CLEANUP(kc_freep) char *all = kc_strv_join(args, " ");
                return kc_error_set(err, EINVAL, "all resources must be specified before environment changes: %s", all);
        }
        if (!resources && !kc_manifest_options_given(&opt.set.from))
                return kc_error_set(
                    err, EINVAL, "one or more resources must be specified as <resource> <name> or <resource>/<name>");
        wanted = json_object_new_array();
        e = read_wanted(c, pairs, err);
        if (e == 0 && from_stdin)
                e = add_stdin(c, err);
        if (e == 0)
                e = kc_set_run(c, &opt.set, &command, resources ? resources : none, err);
        kc_json_free(wanted);
        kc_strv_free(removed);
        return e;
}
