/* kubec get: what is asked for, and objects as JSON, YAML, names and by templates. Main thread. */
#include <errno.h>
#include <string.h>

#include "api/object.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/get_internal.h"
#include "cli/requests.h"

struct kc_get_options kc_get_opt = {.chunk_size = 500, .server_print = true};
#define opt kc_get_opt

static const struct kc_flag flags[] = {
    {"output", 'o', KC_FLAG_STRING, &opt.output,
        "json, yaml, name, wide, jsonpath=..., jsonpath-file=..., jsonpath-as-json=..., go-template=..., "
        "go-template-file=..., custom-columns=... or custom-columns-file=...",
        "Get"},
    {"template", 0, KC_FLAG_STRING, &opt.template, "the template, or its file, of -o go-template, jsonpath and others",
        "Get"},
    {"sort-by", 0, KC_FLAG_STRING, &opt.sort_by, "JSONPath of the field to sort by", "Get"},
    {"selector", 'l', KC_FLAG_STRING, &opt.selector, "label query: -l key1=value1,key2!=value2", "Get"},
    {"field-selector", 0, KC_FLAG_STRING, &opt.field_selector, "field query", "Get"},
    {"all-namespaces", 'A', KC_FLAG_BOOL, &opt.all_namespaces, "objects of all namespaces", "Get"},
    {"watch", 'w', KC_FLAG_BOOL, &opt.watch, "list, then watch for changes", "Get"},
    {"watch-only", 0, KC_FLAG_BOOL, &opt.watch_only, "watch without listing first", "Get"},
    {"output-watch-events", 0, KC_FLAG_BOOL, &opt.output_watch_events, "show the kind of each event", "Get"},
    {"show-labels", 0, KC_FLAG_BOOL, &opt.show_labels, "labels as the last column", "Get"},
    {"label-columns", 'L', KC_FLAG_STRV, &opt.label_columns, "labels that are columns", "Get"},
    {"no-headers", 0, KC_FLAG_BOOL, &opt.no_headers, "no headers", "Get"},
    {"show-kind", 0, KC_FLAG_BOOL, &opt.show_kind, "kinds in front of names", "Get"},
    {"ignore-not-found", 0, KC_FLAG_BOOL, &opt.ignore_not_found, "absent objects are no error", "Get"},
    {"show-managed-fields", 0, KC_FLAG_BOOL, &opt.show_managed_fields, "keep managedFields in JSON and YAML", "Get"},
    KC_MANIFEST_FLAGS(opt.from, "Get"),
    {"raw", 0, KC_FLAG_STRING, &opt.raw, "GET of this path, as it comes", "Get"},
    {"subresource", 0, KC_FLAG_STRING, &opt.subresource, "status, scale, resize", "Get"},
    {"chunk-size", 0, KC_FLAG_INT64, &opt.chunk_size, "size of the pages of lists; 0: no pages", "Get"},
    {"server-print", 0, KC_FLAG_BOOL, &opt.server_print, "columns are the server's; else names and ages", "Get"},
};

static void plan_done(struct kc_get_plan *p)
{
        kc_free(p->v);
        kc_free(p->output);
        kc_targets_done(&p->targets);
        kc_manifests_done(&p->manifests);
        kc_object_printer_free(p->printer);
}

static bool is_table(const struct kc_get_plan *p)
{
        return kc_str_empty(p->output) || kc_streq(p->output, "wide");
}

static int check_options(const struct kc_get_plan *p, struct kc_error *err)
{
        bool chooses = !kc_str_empty(opt.selector) || !kc_str_empty(opt.field_selector);
        if (p->targets.named && chooses)
                return kc_error_set(err, EINVAL, "name cannot be provided when a selector is specified");
        if (p->targets.named && opt.all_namespaces)
                return kc_error_set(err, EINVAL, "a resource cannot be retrieved by name across all namespaces");
        if (!kc_str_empty(opt.subresource) && p->targets.n > 0 && !p->targets.named)
                return kc_error_set(err, EINVAL, "subresource cannot be used when bulk resources are specified");
        return 0;
}

static int no_resource(struct kc_cli *c)
{
        (void)fprintf(c->err,
            "You must specify the type of resource to get. Use \"%s api-resources\" for a complete list of supported "
            "resources.\n\nerror: Required resource not specified.\nUse \"%s explain <resource>\" for a detailed "
            "description of that resource (e.g. %s explain pods).\nSee '%s get -h' for help and examples\n",
            c->program, c->program, c->program, c->program);
        return KC_CLI_FAILED;
}

static int make_plan(struct kc_cli *c, char **args, struct kc_get_plan *p, struct kc_error *err)
{
        struct kc_resource_map *map;
        const char *ns;
        int e = kc_cli_namespace(c, &ns, err);
        if (e == 0)
                e = kc_cli_map(c, &map, err);
        opt.from.selector = opt.selector; /* chooses of the objects in files */
        if (e == 0 && kc_manifest_options_given(&opt.from))
                e = kc_manifest_options_load(c, &opt.from, &p->manifests, err);
        else if (e == 0)
                e = kc_targets_parse(map, args, &p->targets, err);
        if (e == 0)
                e = check_options(p, err);
        if (e < 0)
                return e;
        size_t n = p->targets.n + p->manifests.n;
        p->v = kc_calloc(n ? n : 1, sizeof(*p->v));
        for (size_t i = 0; i < p->targets.n; i++) {
                const struct kc_target *t = &p->targets.v[i];
                p->v[p->n++] = (struct kc_wanted){t->res, opt.all_namespaces ? NULL : ns, t->name};
        }
        for (size_t i = 0; i < p->manifests.n; i++) {
                const struct kc_manifest *m = &p->manifests.v[i];
                p->v[p->n++] = (struct kc_wanted){m->res, m->ns, m->name};
        }
        p->single = n == 1 && p->v[0].name;
        return 0;
}

void kc_get_add_selectors(struct kc_buf *q)
{
        kc_query_add(q, "labelSelector", kc_str_empty(opt.selector) ? NULL : opt.selector);
        kc_query_add(q, "fieldSelector", kc_str_empty(opt.field_selector) ? NULL : opt.field_selector);
}

int kc_get_list_failed(const struct kc_api_resource *res, struct kc_error *err)
{
        return kc_cli_list_failed(res, opt.selector, opt.field_selector, err);
}

bool kc_get_several_resources(const struct kc_get_plan *p)
{
        for (size_t i = 1; i < p->n; i++)
                if (p->v[i].res != p->v[0].res)
                        return true;
        return false;
}

void kc_get_note_failure(struct kc_cli_errors *l, struct kc_error *take_err)
{
        if (opt.ignore_not_found && kc_error_is(take_err, KC_REASON_NOT_FOUND))
                kc_error_done(take_err);
        else
                kc_cli_errors_take(l, take_err);
}

/* --- objects */

int kc_get_print_object(struct kc_cli *c, const struct kc_get_plan *p, const struct kc_api_resource *res,
    struct json_object *obj, struct kc_error *err)
{
        if (!opt.show_managed_fields && (kc_streq(p->output, "json") || kc_streq(p->output, "yaml")))
                kc_strip_managed_fields(obj);
        return kc_object_printer_print(p->printer, c, res, obj, err);
}

int kc_get_objects(
    struct kc_cli *c, const struct kc_wanted *w, struct json_object *items, char **ret_version, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *tree = NULL;
        int e;
        if (w->name) {
                KC_CLEANUP(kc_freep) char *path = kc_cli_path(w->res, w->ns, w->name, opt.subresource, NULL);
                e = kc_cli_fetch(c, path, "application/json", &tree, err);
                if (e == 0 && ret_version)
                        kc_str_set(ret_version, kc_meta_resource_version(tree));
                if (e == 0)
                        kc_json_push(items, KC_TAKE(tree));
                return e;
        }
        KC_CLEANUP(kc_buf_done) struct kc_buf q = KC_BUF_INIT;
        kc_get_add_selectors(&q);
        e = kc_cli_list(c, w->res, w->ns, kc_buf_str(&q), &tree, err);
        if (e < 0)
                return kc_get_list_failed(w->res, err);
        if (ret_version)
                kc_str_set(ret_version, kc_json_str_at(tree, "metadata.resourceVersion"));
        const struct json_object *found = kc_json_get(tree, "items");
        for (size_t i = 0; i < kc_json_len(found); i++)
                kc_json_push(items, kc_json_copy(kc_json_idx(found, i)));
        return 0;
}

static int print_names(struct kc_cli *c, const struct kc_get_plan *p, struct json_object *items, struct kc_error *err)
{
        struct kc_resource_map *map = NULL;
        int e = kc_cli_map(c, &map, err);
        for (size_t i = 0; i < kc_json_len(items) && e == 0; i++) {
                struct json_object *o = kc_json_idx_mut(items, i);
                const struct kc_api_resource *res = NULL;
                e = kc_resource_map_find_kind(map, kc_json_str(o, "apiVersion"), kc_json_str(o, "kind"), &res, err);
                if (e == 0)
                        e = kc_get_print_object(c, p, res, o, err);
        }
        return e;
}

static int print_objects(struct kc_cli *c, const struct kc_get_plan *p, struct kc_error *err)
{
        int e = 0;
        KC_CLEANUP(kc_json_freep) struct json_object *items = json_object_new_array();
        KC_CLEANUP(kc_cli_errors_done) struct kc_cli_errors failures = {0};
        for (size_t i = 0; i < p->n; i++) {
                struct kc_error why = KC_ERROR_INIT;
                if (kc_get_objects(c, &p->v[i], items, NULL, &why) < 0)
                        kc_get_note_failure(&failures, &why);
        }
        if (e == 0 && !kc_str_empty(opt.sort_by))
                e = kc_sort_by(items, opt.sort_by, false, err);
        if (e == 0 && kc_streq(p->output, "name")) {
                e = print_names(c, p, items, err);
        } else if (e == 0) {
                if (p->single && kc_json_len(items) == 1) {
                        e = kc_get_print_object(c, p, p->v[0].res, kc_json_idx_mut(items, 0), err);
                } else if (!p->single) { /* else --ignore-not-found */
                        KC_CLEANUP(kc_json_freep) struct json_object *list = kc_list_of(KC_TAKE(items));
                        e = kc_get_print_object(c, p, p->v[0].res, list, err);
                }
        }
        if (e < 0)
                return e;
        kc_object_printer_flush(p->printer, c);
        kc_manifests_errors(&p->manifests, &failures);
        return kc_cli_errors_report(c, &failures) ? KC_CLI_FAILED : 0;
}

static int get_raw(struct kc_cli *c, char **args, struct kc_error *err)
{
        struct kc_rest *rest;
        KC_CLEANUP(kc_bytes_unrefp) struct kc_bytes *bytes = NULL;
        if (args[0])
                return kc_error_set(err, EINVAL, "arguments may not be passed when --raw is specified");
        if (!kc_str_empty(opt.output))
                return kc_error_set(err, EINVAL, "--raw and --output are mutually exclusive");
        if (opt.raw[0] != '/' && !strstr(opt.raw, "://"))
                return kc_error_set(
                    err, EINVAL, "--raw must be a valid URL path: parse \"%s\": invalid URI for request", opt.raw);
        int e = kc_cli_rest(c, &rest, err);
        if (e == 0)
                e = kc_rest_raw(rest, "GET", opt.raw, NULL, "application/json, */*", NULL, &bytes, err);
        if (e == 0)
                (void)fwrite(kc_bytes_data(bytes), 1, kc_bytes_len(bytes), c->out);
        return e;
}

static int check_arguments(char **args, struct kc_error *err)
{
        if (args[0] && kc_manifest_options_given(&opt.from))
                return kc_error_set(err, EINVAL,
                    "when paths, URLs, or stdin is provided as input, you may not specify resource arguments as well");
        if (opt.output_watch_events && !opt.watch && !opt.watch_only)
                return kc_error_set(
                    err, EINVAL, "--output-watch-events option can only be used with --watch or --watch-only");
        return 0;
}

static int run(struct kc_cli *c, char **args, struct kc_error *err)
{
        if (!kc_str_empty(opt.raw))
                return get_raw(c, args, err);
        if (!args[0] && !kc_manifest_options_given(&opt.from))
                return no_resource(c);
        KC_CLEANUP(plan_done) struct kc_get_plan p = {.output = kc_output_with_template(opt.output, opt.template)};
        int e = check_arguments(args, err);
        if (e == 0)
                e = make_plan(c, args, &p, err);
        if (e == 0 && !is_table(&p))
                e = kc_object_printer_new(p.output, opt.no_headers, &p.printer, err);
        if (e < 0)
                return e;
        if (p.n == 0 && (p.manifests.errors.n > 0 || !is_table(&p)))
                return kc_cli_errors_report(c, &p.manifests.errors) ? KC_CLI_FAILED : 0;
        if (p.n > 0 && (opt.watch || opt.watch_only))
                return kc_get_watch(c, &p, err);
        return is_table(&p) ? kc_get_print_tables(c, &p, err) : print_objects(c, &p, err);
}

const struct kc_command kc_cmd_get = {.name = "get",
    .usage = "get (TYPE[.VERSION][.GROUP] [NAME | -l label] | TYPE[.VERSION][.GROUP]/NAME ...) [flags]",
    .summary = "Display one or many resources",
    .flags = flags,
    .n_flags = KC_ARRAY_LEN(flags),
    .run = run,
    .description = "Prints objects as a table, or in another form with -o. The columns of a table are the server's.",
    .examples = "# All pods of the namespace\n"
                "kubec get pods\n\n"
                "# With nodes and addresses, in all namespaces\n"
                "kubec get pods -A -o wide\n\n"
                "# One object, whole\n"
                "kubec get deployment shop -o yaml\n\n"
                "# Names and images\n"
                "kubec get pods -o custom-columns=NAME:.metadata.name,IMAGE:.spec.containers[*].image\n\n"
                "# What changes\n"
                "kubec get pods -w",
    .completes = KC_ARGS_RESOURCES};
