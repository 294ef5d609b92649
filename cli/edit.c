/* kubec edit: read, let the user edit, patch what was changed, and again with what was wrong. Main thread. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "api/object.h"
#include "api/patch.h"
#include "api/schema.h"
#include "base/str.h"
#include "cli/apply.h"
#include "cli/commands.h"
#include "cli/editor.h"
#include "cli/objects.h"
#include "cli/printer.h"
#include "cli/requests.h"
#include "json/yaml.h"

static struct {
        char **files, *output, *manager, *validate, *subresource;
        bool recursive, output_patch, save_config, windows, show_managed;
} opt;

static const struct kc_flag flags[] = {
    {"filename", 'f', KC_FLAG_STRV, &opt.files, "files that name the objects", "Edit"},
    {"recursive", 'R', KC_FLAG_BOOL, &opt.recursive, "directories with theirs", "Edit"},
    {"output", 'o', KC_FLAG_STRING, &opt.output, "json, yaml or name; edit and print as that", "Edit"},
    {"output-patch", 0, KC_FLAG_BOOL, &opt.output_patch, "print the patch that is sent", "Edit"},
    {"save-config", 0, KC_FLAG_BOOL, &opt.save_config, "note the configuration for a later apply", "Edit"},
    {"subresource", 0, KC_FLAG_STRING, &opt.subresource, "edit the status, for example", "Edit"},
    {"field-manager", 0, KC_FLAG_STRING, &opt.manager, "name of who owns the fields", "Edit"},
    {"validate", 0, KC_FLAG_STRING, &opt.validate, "strict, warn or ignore", "Edit"},
    {"windows-line-endings", 0, KC_FLAG_BOOL, &opt.windows, "end lines with CR LF in the file", "Edit"},
    {"show-managed-fields", 0, KC_FLAG_BOOL, &opt.show_managed, "print managedFields, too", "Edit"},
};

struct editing {
        struct kc_cli *c;
        const struct kc_founds *objects;
        struct kc_buf original, edited;
        char *file;
        char **reasons; /* lines of the header: "# ..." */
        size_t invalid, not_found, retryable;
};

static void editing_done(struct editing *ed)
{
        kc_buf_done(&ed->original);
        kc_buf_done(&ed->edited);
        kc_free(ed->file);
        kc_strv_free(ed->reasons);
}

/* --- the file */

static bool is_json(void)
{
        return kc_streq(opt.output, "json");
}

static void add_header(const struct editing *ed, struct kc_buf *b)
{
        if (is_json())
                return; /* it has no comments */
        kc_buf_adds(b, "# Please edit the object below. Lines beginning with a '#' will be ignored,\n"
                       "# and an empty file will abort the edit. If an error occurs while saving this file will be\n"
                       "# reopened with the relevant failures.\n#\n");
        for (char **r = ed->reasons; r && *r; r++)
                kc_buf_addf(b, "%s\n", *r);
        if (ed->reasons)
                kc_buf_adds(b, "#\n");
}

static void print_objects(const struct kc_founds *all, struct kc_buf *b)
{
        struct json_object *items = json_object_new_array();
        for (size_t i = 0; i < all->n; i++)
                kc_json_push(items, kc_json_copy(all->v[i].obj));
        KC_CLEANUP(kc_json_freep)
        struct json_object *what =
            all->n == 1
                ? kc_json_copy(all->v[0].obj)
                : kc_json_build("{'apiVersion':'v1','items':%o,'kind':'List','metadata':{}}", kc_json_copy(items));
        kc_json_free(items);
        kc_strip_managed_fields(what);
        if (is_json())
                kc_print_json(b, what);
        else
                kc_print_yaml(b, what);
}

/* Without lines that are comments, and without CR. */
static void strip_comments(const struct kc_buf *from, struct kc_buf *to)
{
        kc_buf_reset(to);
        for (const char *line = kc_buf_str(from); *line;) {
                size_t len = strcspn(line, "\n");
                const char *text = line + strspn(line, " \t");
                if (*text != '#') {
                        kc_buf_add(to, line, len > 0 && line[len - 1] == '\r' ? len - 1 : len);
                        kc_buf_addc(to, '\n');
                }
                line += len + (line[len] ? 1 : 0);
        }
}

static bool same_text(const struct kc_buf *a, const struct kc_buf *b)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf x = KC_BUF_INIT;
        KC_CLEANUP(kc_buf_done) struct kc_buf y = KC_BUF_INIT;
        strip_comments(a, &x);
        strip_comments(b, &y);
        return kc_streq(kc_buf_str(&x), kc_buf_str(&y));
}

static bool has_lines(const struct kc_buf *b)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf text = KC_BUF_INIT;
        strip_comments(b, &text);
        const char *s = kc_buf_str(&text);
        return s[strspn(s, " \t\r\n-")] != '\0';
}

static void add_crs(struct kc_buf *b)
{
        KC_CLEANUP(kc_freep) char *with = kc_str_replace_all(kc_buf_str(b), "\n", "\r\n");
        kc_buf_reset(b);
        kc_buf_adds(b, with);
}

/* The user's turn. *ret_same: nothing was changed since the last time. */
static int let_edit(struct editing *ed, bool again, bool *ret_same, struct kc_error *err)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf text = KC_BUF_INIT;
        KC_CLEANUP(kc_buf_done) struct kc_buf before = ed->edited;
        KC_CLEANUP(kc_freep) char *old_file = ed->file;
        ed->edited = KC_BUF_INIT;
        ed->file = NULL;
        add_header(ed, &text);
        if (again) {
                KC_CLEANUP(kc_buf_done) struct kc_buf plain = KC_BUF_INIT;
                strip_comments(&before, &plain);
                kc_buf_add(&text, kc_buf_str(&plain), plain.len);
        } else {
                print_objects(ed->objects, &text);
                kc_buf_reset(&ed->original);
                kc_buf_add(&ed->original, text.data, text.len);
        }
        if (opt.windows)
                add_crs(&text);
        int e = kc_editor_edit(
            ed->c, kc_buf_str(&text), text.len, is_json() ? ".json" : ".yaml", &ed->edited, &ed->file, err);
        *ret_same = e == 0 && again && same_text(&before, &ed->edited);
        if (e < 0 && ed->file && !old_file) {
                (void)unlink(ed->file); /* nothing is in it but what can be read again */
                kc_str_set(&ed->file, NULL);
        } else if (e < 0) {
                kc_str_set(&ed->file, old_file);
        } else if (old_file && !*ret_same) {
                (void)unlink(old_file); /* of the turn before; best effort */
        }
        return e;
}

static int preserved(const struct editing *ed, int e)
{
        if (ed->file && access(ed->file, F_OK) == 0)
                (void)fprintf(ed->c->err, "A copy of your changes has been stored to \"%s\"\n", ed->file);
        return e;
}

/* --- what was wrong */

static void forget_reasons(struct editing *ed)
{
        kc_strv_free(ed->reasons);
        ed->reasons = NULL;
        ed->invalid = ed->not_found = ed->retryable = 0;
}

static void add_error(struct editing *ed, const struct kc_found *f, const struct kc_error *err)
{
        KC_CLEANUP(kc_freep)
        char *resource =
            f->res->group[0] ? kc_asprintf("%s.%s", f->res->resource, f->res->group) : kc_strdup(f->res->resource);
        if (kc_error_is(err, KC_REASON_INVALID)) {
                kc_strv_pushf(&ed->reasons, "# %s \"%s\" was not valid:", resource, f->name);
                for (size_t i = 0; err->details && i < err->details->n_causes; i++)
                        kc_strv_pushf(&ed->reasons, "# * %s: %s",
                            err->details->causes[i].field ? err->details->causes[i].field : "",
                            err->details->causes[i].message ? err->details->causes[i].message : "");
                ed->invalid++;
                (void)fprintf(ed->c->err, "error: %s \"%s\" is invalid\n", resource, f->name);
        } else if (kc_error_is(err, KC_REASON_NOT_FOUND)) {
                ed->not_found++;
                (void)fprintf(ed->c->err, "error: %s \"%s\" could not be found on the server\n", resource, f->name);
        } else {
                ed->retryable++;
                (void)fprintf(ed->c->err, "error: %s \"%s\" could not be patched: %s\n", resource, f->name,
                    kc_error_message(err));
        }
}

/* The file cannot be read as objects. */
static void add_file_error(struct editing *ed, const char *why)
{
        const struct kc_found *f = &ed->objects->v[0];
        KC_CLEANUP(kc_freep)
        char *resource =
            f->res->group[0] ? kc_asprintf("%s.%s", f->res->resource, f->res->group) : kc_strdup(f->res->resource);
        kc_strv_pushf(&ed->reasons, "# %s \"%s\" was not valid:", resource, f->name);
        kc_strv_pushf(&ed->reasons, "# * <nil>: Invalid value: \"The edited file failed validation\": %s", why);
        (void)fprintf(ed->c->err, "error: %s \"%s\" is invalid\n", resource, f->name);
}

/* --- patches */

static const struct kc_found *find_original(const struct editing *ed, const struct json_object *obj)
{
        for (size_t i = 0; i < ed->objects->n; i++)
                if (kc_streq(kc_meta_uid(ed->objects->v[i].obj), kc_meta_uid(obj)))
                        return &ed->objects->v[i];
        return NULL;
}

static int make_patch(const struct kc_found *f, const struct json_object *before, const struct json_object *after,
    struct json_object **ret, const char **ret_type, struct kc_error *err)
{
        const struct kc_resource *known = kc_schema_kind(f->res->group, f->res->version, f->res->kind);
        if (kc_str_empty(opt.subresource) && known && known->type) {
                *ret_type = KC_PATCH_STRATEGIC;
                return kc_patch_three_way_strategic(before, after, before, known->type, ret, err);
        }
        *ret_type = KC_PATCH_MERGE;
        *ret = kc_patch_merge_diff(before, after);
        return 0;
}

static int send_patch(struct editing *ed, const struct kc_found *f, const struct json_object *patch, const char *type,
    struct json_object **ret, struct kc_error *err)
{
        struct kc_rest *rest;
        KC_CLEANUP(kc_buf_done) struct kc_buf q = KC_BUF_INIT;
        bool ignore = kc_streq(opt.validate, "ignore") || kc_streq(opt.validate, "false");
        kc_query_add(&q, "fieldManager", kc_str_empty(opt.manager) ? "kubectl-edit" : opt.manager);
        kc_query_add(&q, "fieldValidation", ignore ? "Ignore" : kc_streq(opt.validate, "warn") ? "Warn" : "Strict");
        KC_CLEANUP(kc_freep)
        char *path =
            kc_cli_path(f->res, f->ns, f->name, kc_str_empty(opt.subresource) ? NULL : opt.subresource, kc_buf_str(&q));
        int e = kc_cli_rest(ed->c, &rest, err);
        return e < 0 ? e : kc_rest_call(rest, "PATCH", path, type, patch, ret, err);
}

/* One object of the edited file. */
static int save_one(struct editing *ed, const struct json_object *edited, struct kc_error *err)
{
        const struct kc_found *f = find_original(ed, edited);
        if (!f)
                return kc_error_set(err, EINVAL, "no original object found for %s \"%s\"", kc_json_str(edited, "kind"),
                    kc_meta_name(edited) ? kc_meta_name(edited) : "");
        if (!kc_streq(kc_json_str(f->obj, "apiVersion"), kc_json_str(edited, "apiVersion")) ||
            !kc_streq(kc_json_str(f->obj, "kind"), kc_json_str(edited, "kind")) ||
            !kc_streq(f->name, kc_meta_name(edited)))
                return kc_error_set(err, EINVAL, "At least one of apiVersion, kind and name was changed");
        KC_CLEANUP(kc_json_freep) struct json_object *before = kc_json_copy(f->obj), *patch = NULL, *saved = NULL;
        kc_strip_managed_fields(before);
        if (kc_json_equal(before, edited))
                return kc_cli_print_result(ed->c, f->res, f->obj, opt.output, "skipped", KC_DRY_RUN_NONE, err);
        KC_CLEANUP(kc_json_freep)
        struct json_object *after = opt.save_config ? kc_apply_modified(edited) : kc_json_copy(edited);
        const char *type = NULL;
        int e = make_patch(f, before, after, &patch, &type, err);
        if (e < 0)
                return e;
        if (opt.output_patch) {
                KC_CLEANUP(kc_buf_done) struct kc_buf text = KC_BUF_INIT;
                kc_json_write_sorted(&text, patch);
                (void)fprintf(ed->c->out, "Patch: %s\n", kc_buf_str(&text));
        }
        struct kc_error why = KC_ERROR_INIT;
        if (send_patch(ed, f, patch, type, &saved, &why) < 0)
                add_error(ed, f, &why);
        else
                e = kc_cli_print_result(ed->c, f->res, saved, opt.output, "edited", KC_DRY_RUN_NONE, err);
        kc_error_done(&why);
        return e;
}

/* What a subresource answers with (a Scale) is no kind of its own: the text is taken as it is. */
static int parse_plain(
    const struct editing *ed, const struct kc_buf *text, struct kc_manifests *ret, struct kc_error *err)
{
        KC_CLEANUP(kc_yaml_free_allp) struct json_object **docs = NULL;
        int e = kc_yaml_parse_all(text->data, text->len, NULL, &docs, err);
        if (e < 0)
                return e;
        const struct json_object *items = docs && docs[0] ? kc_json_get(docs[0], "items") : NULL;
        size_t n = items ? kc_json_len(items) : docs && docs[0] ? 1 : 0;
        ret->v = kc_calloc(n + 1, sizeof(*ret->v));
        for (; ret->n < n; ret->n++)
                ret->v[ret->n] = (struct kc_manifest){
                    .res = ed->objects->v[0].res, .obj = kc_json_copy(items ? kc_json_idx(items, ret->n) : docs[0])};
        return 0;
}

/* The edited file as objects; -EINVAL: it has to be edited again, reasons say why. */
static int read_back(struct editing *ed, struct kc_manifests *ret)
{
        struct kc_resource_map *map;
        struct kc_error why = KC_ERROR_INIT;
        const char *ns = ed->objects->v[0].ns;
        KC_CLEANUP(kc_buf_done) struct kc_buf text = KC_BUF_INIT;
        strip_comments(&ed->edited, &text);
        int e = kc_cli_map(ed->c, &map, &why);
        if (e == 0 && !kc_str_empty(opt.subresource))
                e = parse_plain(ed, &text, ret, &why);
        else if (e == 0)
                e = kc_manifests_parse(map, ns ? ns : "", false, ed->file, text.data, text.len, ret, &why);
        if (e == 0 && ret->errors.n == 0 && ret->n > 0) {
                kc_error_done(&why);
                return 0;
        }
        KC_CLEANUP(kc_freep) char *all = kc_cli_errors_join(&ret->errors);
        const char *said = e < 0 ? kc_error_message(&why) : ret->errors.n > 0 ? all : "there is no object in it";
        const char *yaml = strstr(said, "yaml: line"); /* without the name of the temporary file */
        add_file_error(ed, yaml ? yaml : said);
        kc_error_done(&why);
        return -EINVAL;
}

/* 1: once more; 0: done; KC_CLI_FAILED is said as -ECANCELED with no message. */
static int conclude(struct editing *ed, struct kc_error *err)
{
        (void)err;
        if (ed->retryable > 0) {
                (void)fprintf(
                    ed->c->err, "You can run `%s replace -f %s` to try this update again.\n", ed->c->program, ed->file);
                return -ECANCELED;
        }
        if (ed->not_found > 0) {
                (void)fprintf(
                    ed->c->err, "The edits you made on deleted resources have been saved to \"%s\"\n", ed->file);
                return -ECANCELED;
        }
        if (ed->invalid > 0)
                return 1;
        (void)unlink(ed->file); /* best effort: it is a temporary file */
        return 0;
}

/* One turn: 1: once more. */
static int turn(struct editing *ed, bool again, struct kc_error *err)
{
        bool same = false;
        int e = let_edit(ed, again, &same, err);
        if (e < 0)
                return preserved(ed, e);
        if (same)
                return preserved(ed, kc_error_set(err, EINVAL, "Edit cancelled, no valid changes were saved."));
        forget_reasons(ed);
        if (same_text(&ed->original, &ed->edited) || !has_lines(&ed->edited)) {
                (void)fprintf(ed->c->err, "Edit cancelled, %s\n",
                    has_lines(&ed->edited) ? "no changes made." : "saved file was empty.");
                (void)unlink(ed->file); /* best effort: it is a temporary file */
                return 0;
        }
        KC_CLEANUP(kc_manifests_done) struct kc_manifests objects = {0};
        if (read_back(ed, &objects) < 0)
                return 1;
        for (size_t i = 0; e == 0 && i < objects.n; i++)
                e = save_one(ed, objects.v[i].obj, err);
        return e < 0 ? preserved(ed, e) : conclude(ed, err);
}

/* What a subresource has of each. */
static int read_subresources(struct kc_cli *c, struct kc_founds *all, struct kc_error *err)
{
        int e = 0;
        for (size_t i = 0; e == 0 && i < all->n; i++) {
                struct json_object *obj = NULL;
                KC_CLEANUP(kc_freep)
                char *path = kc_cli_path(all->v[i].res, all->v[i].ns, all->v[i].name, opt.subresource, NULL);
                e = kc_cli_fetch(c, path, "application/json", &obj, err);
                if (e == 0) {
                        kc_json_free(all->v[i].obj);
                        all->v[i].obj = obj;
                }
        }
        return e;
}

static int run(struct kc_cli *c, char **args, struct kc_error *err)
{
        KC_CLEANUP(kc_founds_done) struct kc_founds all = {0};
        if (!kc_str_empty(opt.output) && !kc_streq(opt.output, "json") && !kc_streq(opt.output, "yaml") &&
            !kc_streq(opt.output, "name"))
                return kc_error_set(err, EINVAL,
                    "unable to match a printer suitable for the output format \"%s\", allowed formats are: "
                    "json,name,yaml",
                    opt.output);
        int e = kc_cli_find_objects(c,
            &(struct kc_object_query){.args = args, .files = opt.files, .all = true, .recursive = opt.recursive}, &all,
            err);
        if (e == 0 && all.errors.n > 0)
                return kc_cli_errors_report(c, &all.errors) ? KC_CLI_FAILED : 0;
        if (e == 0 && all.n == 0)
                return kc_error_set(err, ENOENT, "edit cancelled, no objects found");
        if (e == 0 && !kc_str_empty(opt.subresource))
                e = read_subresources(c, &all, err);
        if (e < 0)
                return e;
        KC_CLEANUP(editing_done) struct editing ed = {.c = c, .objects = &all};
        e = turn(&ed, false, err);
        while (e == 1)
                e = turn(&ed, true, err);
        return e == -ECANCELED && err->errnum == 0 ? KC_CLI_FAILED : e;
}

const struct kc_command kc_cmd_edit = {.name = "edit",
    .usage = "edit (RESOURCE/NAME | -f FILENAME)",
    .summary = "Edit a resource on the server",
    .flags = flags,
    .n_flags = KC_ARRAY_LEN(flags),
    .run = run,
    .description =
        "Opens objects in the editor that KUBE_EDITOR or EDITOR names (vi else) and sends what was changed as a\n"
        "patch. When the server refuses it, the file is opened again with the reasons on top.",
    .examples = "# a service\nkubec edit svc/web\n\n# with another editor, as JSON\nKUBE_EDITOR=nano kubec edit "
                "deploy/web -o json\n\n"
                "# the status\nkubec edit deploy/web --subresource=status\n",
    .completes = KC_ARGS_RESOURCES};
