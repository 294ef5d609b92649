/* kubec taint. Main thread. */
#include <errno.h>
#include <string.h>

#include "api/names.h"
#include "api/object.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/objects.h"
#include "cli/requests.h"

static struct {
        char *selector, *output, *dry_run;
        bool overwrite, all;
} opt;
static enum kc_dry_run dry_run;

static const struct kc_flag taint_flags[] = {
    {"overwrite", 0, KC_FLAG_BOOL, &opt.overwrite, "allow taints that are there to change", "Nodes"},
    {"all", 0, KC_FLAG_BOOL, &opt.all, "all nodes", "Nodes"},
    {"selector", 'l', KC_FLAG_STRING, &opt.selector, "label query", "Nodes"},
    {"output", 'o', KC_FLAG_STRING, &opt.output, "as of get", "Nodes"},
    {"dry-run", 0, KC_FLAG_STRING, &opt.dry_run, "none, server or client", "Nodes"},
};

static int send_patch(struct kc_cli *c, const struct kc_found *f, const char *manager, const struct json_object *patch,
    struct json_object **ret, struct kc_error *err)
{
        struct kc_rest *rest;
        KC_CLEANUP(kc_buf_done) struct kc_buf q = KC_BUF_INIT;
        kc_query_add(&q, "dryRun", dry_run == KC_DRY_RUN_SERVER ? "All" : NULL);
        kc_query_add(&q, "fieldManager", manager);
        KC_CLEANUP(kc_freep) char *path = kc_cli_path(f->res, f->ns, f->name, NULL, kc_buf_str(&q));
        int e = kc_cli_rest(c, &rest, err);
        return e < 0 ? e : kc_rest_call(rest, "PATCH", path, KC_PATCH_STRATEGIC, patch, ret, err);
}

static int each_node(struct kc_cli *c, char *const *args,
    int (*fn)(struct kc_cli *c, const struct kc_found *f, void *arg, struct kc_error *err), void *arg,
    struct kc_error *err)
{
        KC_CLEANUP(kc_founds_done) struct kc_founds all = {0};
        int e = kc_dry_run_parse(opt.dry_run, &dry_run, err);
        if (e == 0)
                e = kc_cli_find_objects(
                    c, &(struct kc_object_query){.args = args, .selector = opt.selector, .all = opt.all}, &all, err);
        if (e < 0)
                return e;
        KC_CLEANUP(kc_cli_errors_done) struct kc_cli_errors errors = all.errors;
        all.errors = (struct kc_cli_errors){0};
        for (size_t i = 0; i < all.n; i++) {
                struct kc_error why = KC_ERROR_INIT;
                if (fn(c, &all.v[i], arg, &why) < 0)
                        kc_cli_errors_take(&errors, &why);
        }
        return kc_cli_errors_report(c, &errors) ? KC_CLI_FAILED : 0;
}

/* --- taint */

struct taints {
        char **resources;           /* strv */
        struct json_object *add;    /* of taints */
        struct json_object *remove; /* of taints; without effect: all of the key */
};

static void taints_done(struct taints *t)
{
        kc_strv_free(t->resources);
        kc_json_free(t->add);
        kc_json_free(t->remove);
}

static int bad_spec(struct kc_cli *c, const char *spec, const struct kc_why *why, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *text = why ? kc_why_join(why, "; ") : NULL;
        return kc_cli_usage_error(
            c, "taint", err, "invalid taint spec: %s%s%s", spec, text ? ", " : "", text ? text : "");
}

/* "key=value:Effect", "key:Effect"; to remove: "key:Effect-", "key-" */
static int parse_taint(struct kc_cli *c, struct taints *t, const char *whole, struct kc_error *err)
{
        static const char *const effects[] = {"NoSchedule", "PreferNoSchedule", "NoExecute", NULL};
        size_t len = strlen(whole);
        bool removes = len > 0 && whole[len - 1] == '-';
        KC_CLEANUP(kc_freep) char *spec = kc_strndup(whole, removes ? len - 1 : len);
        KC_CLEANUP(kc_strv_freep) char **parts = kc_strv_split(spec, ':');
        KC_CLEANUP(kc_strv_freep) char **pair = kc_strv_split(parts[0] ? parts[0] : "", '=');
        const char *effect = parts[0] ? parts[1] : NULL, *key = effect ? pair[0] : spec,
                   *value = effect ? pair[1] : NULL;
        struct kc_why why = {0}, bad_value = {0};
        if (kc_strv_len(parts) > 2 || (effect && kc_strv_len(pair) > 2))
                return bad_spec(c, spec, NULL, err);
        if (effect && !kc_strv_has((char *const *)effects, effect))
                return kc_cli_usage_error(
                    c, "taint", err, "invalid taint effect: %s, unsupported taint effect", effect);
        if (value)
                kc_name_label_value(value, &bad_value);
        if (bad_value.n)
                return bad_spec(c, spec, &bad_value, err);
        kc_name_label_key(key, &why);
        if (why.n)
                return bad_spec(c, spec, &why, err);
        if (!effect && !removes)
                return bad_spec(c, spec, NULL, err);
        struct json_object *taint = kc_json_build("{'key':%s}", key);
        if (value && *value)
                kc_json_set_str(taint, "value", value);
        if (effect)
                kc_json_set_str(taint, "effect", effect);
        kc_json_push(removes ? t->remove : t->add, taint);
        return 0;
}

static bool same_taint(const struct json_object *a, const struct json_object *b)
{
        const char *effect = kc_json_str(b, "effect");
        return kc_streq(kc_json_str(a, "key"), kc_json_str(b, "key")) &&
               (!effect || kc_streq(kc_json_str(a, "effect"), effect));
}

static const struct json_object *find_taint(const struct json_object *list, const struct json_object *like)
{
        for (size_t i = 0; i < kc_json_len(list); i++)
                if (same_taint(kc_json_idx(list, i), like))
                        return kc_json_idx(list, i);
        return NULL;
}

static int check_taints(
    const struct taints *t, const struct kc_found *f, const struct json_object *now, struct kc_error *err)
{
        KC_CLEANUP(kc_strv_freep) char **there = NULL;
        for (size_t i = 0; i < kc_json_len(t->remove); i++) {
                const struct json_object *r = kc_json_idx(t->remove, i);
                const char *effect = kc_json_str(r, "effect");
                if (!find_taint(now, r))
                        return kc_error_set(err, ENOENT, "taint \"%s%s%s\" not found", kc_json_str(r, "key"),
                            effect ? ":" : "", effect ? effect : "");
        }
        for (size_t i = 0; i < kc_json_len(t->add) && !opt.overwrite; i++)
                if (find_taint(now, kc_json_idx(t->add, i)))
                        kc_strv_push(&there, kc_json_str(kc_json_idx(t->add, i), "key"));
        if (!there)
                return 0;
        KC_CLEANUP(kc_freep) char *keys = kc_strv_join(there, ",");
        return kc_error_set(
            err, EEXIST, "node %s already has %s taint(s) with same effect(s) and --overwrite is false", f->name, keys);
}

static int taint_one(struct kc_cli *c, const struct kc_found *f, void *arg, struct kc_error *err)
{
        const struct taints *t = arg;
        const struct json_object *now = kc_json_at(f->obj, "spec.taints");
        struct json_object *list = json_object_new_array();
        KC_CLEANUP(kc_json_freep)
        struct json_object *patch = kc_json_build("{'spec':{'taints':%o}}", list), *changed = NULL;
        bool overwritten = false;
        int e = check_taints(t, f, now, err);
        if (e < 0)
                return e;
        for (size_t i = 0; i < kc_json_len(t->add); i++)
                kc_json_push(list, kc_json_copy(kc_json_idx(t->add, i)));
        for (size_t i = 0; i < kc_json_len(now); i++) {
                const struct json_object *old = kc_json_idx(now, i);
                bool replaced = find_taint(t->add, old) != NULL, removed = false;
                for (size_t k = 0; k < kc_json_len(t->remove); k++)
                        removed = removed || same_taint(old, kc_json_idx(t->remove, k));
                overwritten = overwritten || replaced;
                if (!replaced && !removed)
                        kc_json_push(list, kc_json_copy(old));
        }
        const char *said = kc_json_len(t->add) && kc_json_len(t->remove) ? "modified"
                           : kc_json_len(t->remove)                      ? "untainted"
                           : overwritten                                 ? "modified"
                                                                         : "tainted";
        if (dry_run != KC_DRY_RUN_CLIENT)
                e = send_patch(c, f, "kubectl-taint", patch, &changed, err);
        return e < 0 ? e : kc_cli_print_result(c, f->res, changed ? changed : f->obj, opt.output, said, dry_run, err);
}

static int run_taint(struct kc_cli *c, char **args, struct kc_error *err)
{
        KC_CLEANUP(taints_done) struct taints t = {.add = json_object_new_array(), .remove = json_object_new_array()};
        bool specs = false;
        int e = 0;
        for (; *args && e == 0; args++) {
                size_t len = strlen(*args);
                if (!strchr(*args, '=') && !strchr(*args, ':') && (len == 0 || (*args)[len - 1] != '-')) {
                        if (specs)
                                return kc_error_set(
                                    err, EINVAL, "all resources must be specified before taint changes: %s", *args);
                        kc_strv_push(&t.resources, *args);
                        continue;
                }
                specs = true;
                e = parse_taint(c, &t, *args, err);
        }
        if (e < 0)
                return e;
        if (kc_strv_len(t.resources) < 1)
                return kc_error_set(err, EINVAL, "one or more resources must be specified as <resource> <name>");
        if (!specs)
                return kc_error_set(err, EINVAL, "at least one taint update is required");
        return each_node(c, t.resources, taint_one, &t, err);
}

const struct kc_command kc_cmd_taint = {.name = "taint",
    .usage = "taint NODE NAME KEY_1=VAL_1:TAINT_EFFECT_1 ... KEY_N=VAL_N:TAINT_EFFECT_N",
    .summary = "Update the taints on one or more nodes",
    .flags = taint_flags,
    .n_flags = KC_ARRAY_LEN(taint_flags),
    .run = run_taint};
