/* kubec label, annotate. Main thread. */
#include <errno.h>
#include <string.h>

#include "api/object.h"
#include "api/patch.h"
#include "api/validation.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/manifest_options.h"
#include "cli/objects.h"
#include "cli/write.h"

static struct {
        struct kc_manifest_options from;
        char *field_selector, *resource_version;
        bool all, all_namespaces, overwrite, list, local;
} opt;
static struct kc_write w = {.allow_missing_keys = true};

static const struct kc_flag flags[] = {
    {"overwrite", 0, KC_FLAG_BOOL, &opt.overwrite, "allow values that are there to change", "Update"},
    {"list", 0, KC_FLAG_BOOL, &opt.list, "print what there is", "Update"},
    {"resource-version", 0, KC_FLAG_STRING, &opt.resource_version, "only when it has this version", "Update"},
    {"local", 0, KC_FLAG_BOOL, &opt.local, "change what the file says, without a server", "Update"},
    KC_MANIFEST_FLAGS(opt.from, "Update"),
    {"selector", 'l', KC_FLAG_STRING, &opt.from.selector, "label query", "Update"},
    {"field-selector", 0, KC_FLAG_STRING, &opt.field_selector, "field query", "Update"},
    {"all", 0, KC_FLAG_BOOL, &opt.all, "all objects of the resource in the namespace", "Update"},
    {"all-namespaces", 'A', KC_FLAG_BOOL, &opt.all_namespaces, "objects of all namespaces", "Update"},
    KC_WRITE_PRINT_FLAGS(w, "Update"),
    KC_WRITE_DRY_RUN_FLAG(w, "Update"),
    KC_WRITE_MANAGER_FLAG(w, "Update"),
};

/* The two commands differ in words only. */
struct kind {
        const char *field;   /* of metadata */
        const char *what;    /* "label" */
        const char *changed; /* "labeled" */
        const char *manager;
};
static const struct kind label = {"labels", "label", "labeled", "kubectl-label"},
                         annotation = {"annotations", "annotation", "annotated", "kubectl-annotate"};

struct change {
        const struct kind *kind;
        char **resources; /* strv */
        char **set;       /* strv of "key=value" */
        char **removed;   /* strv of keys */
};

static void change_done(struct change *ch)
{
        kc_strv_free(ch->resources);
        kc_strv_free(ch->set);
        kc_strv_free(ch->removed);
}

static int check_labels(const struct change *ch, struct kc_error *err)
{
        for (char **s = ch->set; s && *s; s++) {
                const char *value = strchr(*s, '=') + 1;
                if (strchr(value, '='))
                        return kc_error_set(err, EINVAL, "invalid label spec: %s", *s);
                const char *why = kc_validate_label_value(value);
                if (why)
                        return kc_error_set(err, EINVAL, "invalid label value: \"%s\": %s", *s, why);
        }
        return 0;
}

/* Resources first, then pairs: "a=b", "a-". */
static int split_args(struct change *ch, char *const *args, struct kc_error *err)
{
        bool pairs = false;
        for (; *args; args++) {
                size_t len = strlen(*args);
                bool removes = len > 1 && (*args)[len - 1] == '-', sets = strchr(*args, '=') && **args != '=';
                if (!sets && !removes) {
                        if (pairs)
                                return kc_error_set(err, EINVAL,
                                    "all resources must be specified before %s changes: %s", ch->kind->what, *args);
                        kc_strv_push(&ch->resources, *args);
                        continue;
                }
                pairs = true;
                if (sets)
                        kc_strv_push(&ch->set, *args);
                else
                        kc_strv_push_take(&ch->removed, kc_strndup(*args, len - 1));
        }
        for (char **k = ch->removed; k && *k; k++)
                for (char **s = ch->set; s && *s; s++)
                        if (kc_str_has_prefix(*s, *k) && (*s)[strlen(*k)] == '=')
                                return kc_error_set(err, EINVAL,
                                    "can not both modify and remove %s %s in the same command",
                                    ch->kind == &label ? "a" : "an", ch->kind->what);
        int r = ch->kind == &label ? check_labels(ch, err) : 0;
        if (r < 0)
                return r;
        if (!ch->resources && !kc_manifest_options_given(&opt.from))
                return kc_error_set(
                    err, EINVAL, "one or more resources must be specified as <resource> <name> or <resource>/<name>");
        if (!pairs && !opt.list)
                return kc_error_set(err, EINVAL, "at least one %s update is required", ch->kind->what);
        return 0;
}

static int check_overwrites(const struct change *ch, const struct json_object *now, struct kc_error *err)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        size_t n = 0;
        for (char **s = ch->set; !opt.overwrite && s && *s; s++) {
                KC_CLEANUP(kc_freep) char *key = kc_strndup(*s, strcspn(*s, "="));
                const char *value = kc_json_str(now, key);
                if (!value || strcmp(value, strchr(*s, '=') + 1) == 0)
                        continue;
                if (n == 0 && ch->kind == &annotation)
                        kc_buf_adds(&b, "--overwrite is false but found the following declared annotation(s): ");
                kc_buf_addf(&b, "%s'%s' already has a value (%s)%s", n++ ? "; " : "", key, value,
                    ch->kind == &label ? ", and --overwrite is false" : "");
        }
        return n ? kc_error_set(err, EINVAL, "%s", kc_buf_str(&b)) : 0;
}

/* *ret: what has been done, in kubectl's word; the patch's field is filled in. */
static const char *make_changes(
    struct kc_cli *c, const struct change *ch, const struct json_object *now, struct json_object *fields)
{
        bool set = false, removed = false;
        for (char **s = ch->set; s && *s; s++) {
                KC_CLEANUP(kc_freep) char *key = kc_strndup(*s, strcspn(*s, "="));
                const char *value = strchr(*s, '=') + 1;
                kc_json_set_str(fields, key, value);
                set = set || !kc_streq(kc_json_str(now, key), value);
        }
        for (char **k = ch->removed; k && *k; k++) {
                if (kc_json_get(now, *k)) {
                        kc_json_set(fields, *k, NULL);
                        removed = true;
                } else {
                        (void)fprintf(c->out, "%s \"%s\" not found.\n", ch->kind->what, *k);
                }
        }
        if (ch->kind == &annotation)
                return "annotated";
        return set ? "labeled" : removed ? "unlabeled" : "not labeled";
}

static void print_list(
    struct kc_cli *c, const struct change *ch, const struct kc_found *f, const struct json_object *now, bool several)
{
        if (several) {
                (void)fprintf(
                    c->out, "Listing %ss for %s.%s/%s:\n", ch->kind->what, f->res->kind, f->res->version, f->name);
        }
        KC_CLEANUP(kc_strv_freep) char **lines = NULL;
        KC_JSON_FOREACH(now, key, val)
        {
                kc_strv_pushf(&lines, "%s=%s", key, kc_json_as_str(val) ? kc_json_as_str(val) : "");
        }
        kc_strv_sort(lines);
        for (char **l = lines; l && *l; l++)
                (void)fprintf(c->out, "%s%s\n", several ? " " : "", *l);
}

static int send_patch(struct kc_cli *c, const struct change *ch, const struct kc_found *f,
    const struct json_object *patch, struct json_object **ret, struct kc_error *err)
{
        struct kc_write_request r = {.method = "PATCH",
            .content_type = KC_PATCH_MERGE,
            .res = f->res,
            .ns = f->ns,
            .name = f->name,
            .default_manager = ch->kind->manager,
            .body = patch};
        return kc_write_send(c, &w, &r, ret, err);
}

static int change_one(
    struct kc_cli *c, const struct change *ch, const struct kc_found *f, bool several, struct kc_error *err)
{
        const struct json_object *now = kc_json_get(kc_json_get(f->obj, "metadata"), ch->kind->field);
        KC_CLEANUP(kc_json_freep) struct json_object *patch = json_object_new_object(), *changed = NULL;
        struct json_object *meta = kc_json_ensure_obj(patch, "metadata");
        if (opt.list) {
                print_list(c, ch, f, now, several);
                return 0;
        }
        int e = check_overwrites(ch, now, err);
        if (e < 0)
                return e;
        kc_json_set_str(meta, "resourceVersion", kc_str_empty(opt.resource_version) ? NULL : opt.resource_version);
        const char *said = make_changes(c, ch, now, kc_json_ensure_obj(meta, ch->kind->field));
        if (opt.local || w.dry_run == KC_DRY_RUN_CLIENT) {
                changed = kc_json_copy(f->obj);
                e = kc_patch_merge(&changed, patch, err);
        } else if (strcmp(said, "not labeled") == 0) {
                changed = kc_json_copy(f->obj);
        } else {
                e = send_patch(c, ch, f, patch, &changed, err);
        }
        return e < 0 ? e : kc_write_print(c, &w, f->res, changed, said, err);
}

static int run(struct kc_cli *c, char **args, const struct kind *kind, struct kc_error *err)
{
        KC_CLEANUP(change_done) struct change ch = {.kind = kind};
        KC_CLEANUP(kc_founds_done) struct kc_founds all = {0};
        int e = kc_write_check(&w, err);
        if (e == 0 && opt.all && !kc_str_empty(opt.from.selector))
                return kc_error_set(err, EINVAL, "cannot set --all and --selector at the same time");
        if (e == 0)
                e = split_args(&ch, args, err);
        if (e < 0)
                return e;
        char *none[] = {NULL};
        e = kc_cli_find_objects(c,
            &(struct kc_object_query){.args = ch.resources ? ch.resources : none,
                .files = opt.from.files,
                .kustomize = opt.from.kustomize,
                .local = opt.local,
                .selector = opt.from.selector,
                .field_selector = opt.field_selector,
                .all = opt.all,
                .all_namespaces = opt.all_namespaces,
                .recursive = opt.from.recursive},
            &all, err);
        if (e < 0)
                return e;
        KC_CLEANUP(kc_cli_errors_done) struct kc_cli_errors errors = all.errors;
        all.errors = (struct kc_cli_errors){0};
        for (size_t i = 0; i < all.n; i++) {
                struct kc_error why = KC_ERROR_INIT;
                if (change_one(c, &ch, &all.v[i], all.n > 1, &why) < 0)
                        kc_cli_errors_take(&errors, &why);
        }
        return kc_cli_errors_report(c, &errors) ? KC_CLI_FAILED : 0;
}

static int run_label(struct kc_cli *c, char **args, struct kc_error *err)
{
        return run(c, args, &label, err);
}

static int run_annotate(struct kc_cli *c, char **args, struct kc_error *err)
{
        return run(c, args, &annotation, err);
}

const struct kc_command kc_cmd_label = {.name = "label",
    .usage = "label [--overwrite] (-f FILENAME | TYPE NAME) KEY_1=VAL_1 ... KEY_N=VAL_N [--resource-version=version]",
    .summary = "Update the labels on a resource",
    .flags = flags,
    .n_flags = KC_ARRAY_LEN(flags),
    .run = run_label};
const struct kc_command kc_cmd_annotate = {.name = "annotate",
    .usage =
        "annotate [--overwrite] (-f FILENAME | TYPE NAME) KEY_1=VAL_1 ... KEY_N=VAL_N [--resource-version=version]",
    .summary = "Update the annotations on a resource",
    .flags = flags,
    .n_flags = KC_ARRAY_LEN(flags),
    .run = run_annotate};
