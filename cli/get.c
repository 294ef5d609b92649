/* kubec get: tables from the server, objects as JSON, YAML and names, watches. Main thread. */
#include <errno.h>
#include <string.h>

#include "api/object.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/lines.h"
#include "cli/printer_object.h"
#include "cli/requests.h"

#define ACCEPT_TABLE                                                                                                   \
        "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/"  \
        "json"

static struct {
        char *output, *sort_by, *selector, *field_selector, *raw, **files, **label_columns, *chunk_size, *subresource;
        bool all_namespaces, watch, watch_only, output_watch_events, show_labels, no_headers, ignore_not_found,
            show_managed_fields, recursive, show_kind;
} opt;

static const struct kc_flag flags[] = {
    {"output", 'o', KC_FLAG_STRING, &opt.output,
        "json, yaml, name, wide, jsonpath=..., jsonpath-file=..., jsonpath-as-json=..., custom-columns=... or "
        "custom-columns-file=...",
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
    {"filename", 'f', KC_FLAG_STRV, &opt.files, "files that name the objects", "Get"},
    {"recursive", 'R', KC_FLAG_BOOL, &opt.recursive, "directories with theirs", "Get"},
    {"raw", 0, KC_FLAG_STRING, &opt.raw, "GET of this path, as it comes", "Get"},
    {"subresource", 0, KC_FLAG_STRING, &opt.subresource, "status or scale", "Get"},
    {"chunk-size", 0, KC_FLAG_STRING, &opt.chunk_size, "accepted; lists come in pages of 500", "Get"},
    {"server-print", 0, KC_FLAG_IGNORED, NULL, "tables always come from the server", "Get"},
};

/* What one request asks for. */
struct wanted {
        const struct kc_api_resource *res;
        const char *ns, *name;
};
struct plan {
        struct wanted *v;
        size_t n;
        bool single; /* one object by name: no List around it */
        struct kc_targets targets;
        struct kc_manifests manifests;
        struct kc_object_printer *printer; /* NULL: tables */
};

static void plan_done(struct plan *p)
{
        kc_free(p->v);
        kc_targets_done(&p->targets);
        kc_manifests_done(&p->manifests);
        kc_object_printer_free(p->printer);
}

static bool is_table(void)
{
        return kc_str_empty(opt.output) || kc_streq(opt.output, "wide");
}

static int check_options(const struct plan *p, struct kc_error *err)
{
        if (p->targets.named && !kc_str_empty(opt.selector))
                return kc_error_set(err, EINVAL, "name cannot be provided when a selector is specified");
        if (p->targets.named && opt.all_namespaces)
                return kc_error_set(err, EINVAL, "a resource cannot be retrieved by name across all namespaces");
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

static int make_plan(struct kc_cli *c, char **args, struct plan *p, struct kc_error *err)
{
        struct kc_resource_map *map;
        const char *ns;
        int e = kc_cli_namespace(c, &ns, err);
        if (e == 0)
                e = kc_cli_map(c, &map, err);
        if (e == 0 && opt.files)
                e = kc_manifests_load(c, opt.files, opt.recursive, &p->manifests, err);
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
                p->v[p->n++] = (struct wanted){t->res, opt.all_namespaces ? NULL : ns, t->name};
        }
        for (size_t i = 0; i < p->manifests.n; i++) {
                const struct kc_manifest *m = &p->manifests.v[i];
                p->v[p->n++] = (struct wanted){m->res, m->ns, m->name};
        }
        p->single = n == 1 && p->v[0].name;
        return 0;
}

static void add_selectors(struct kc_buf *q)
{
        kc_query_add(q, "labelSelector", kc_str_empty(opt.selector) ? NULL : opt.selector);
        kc_query_add(q, "fieldSelector", kc_str_empty(opt.field_selector) ? NULL : opt.field_selector);
}

/* --- tables */

struct tables {
        struct kc_tabwriter writer;
        struct kc_table_options options;
        struct json_object *columns;
        const struct kc_api_resource *last;
        char *kind;
        bool written;
};

static void tables_flush(struct kc_cli *c, struct tables *t)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        kc_tabwriter_flush(&t->writer, &b);
        (void)fwrite(kc_buf_str(&b), 1, b.len, c->out);
        t->written = t->written || b.len > 0;
}

static void tables_done(struct tables *t)
{
        kc_tabwriter_done(&t->writer);
        kc_json_free(t->columns);
        kc_free(t->kind);
}

/* A table of another resource: headers again, below an empty line. */
static void tables_switch(struct kc_cli *c, struct tables *t, const struct kc_api_resource *res, bool with_kind)
{
        if (t->last == res)
                return;
        tables_flush(c, t);
        kc_tabwriter_forget(&t->writer);
        kc_json_free(t->columns);
        t->columns = NULL;
        t->last = res;
        kc_free(t->kind);
        t->kind = kc_api_resource_name(res);
        t->options.with_kind = with_kind ? t->kind : NULL;
        t->options.with_namespace = opt.all_namespaces && res->namespaced;
}

static void tables_add(struct kc_cli *c, struct tables *t, const struct json_object *table, const char *event)
{
        if (!t->columns && t->written && !opt.no_headers && kc_json_len(kc_json_get(table, "rows")) > 0)
                (void)fputc('\n', c->out);
        kc_table_add(&t->writer, table, &t->options, &t->columns, event);
}

/* One object, or all pages of a list; *ret_version (heap, may be NULL) is what a watch goes on from. */
static int table_of(struct kc_cli *c, const struct wanted *w, struct tables *t, char **ret_version, const char *event,
    struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *next = NULL;
        do {
                KC_CLEANUP(kc_buf_done) struct kc_buf q = KC_BUF_INIT;
                if (!w->name) {
                        add_selectors(&q);
                        /* What is sorted must be there whole, with the objects. */
                        kc_query_add(&q, kc_str_empty(opt.sort_by) ? "limit" : "includeObject",
                            kc_str_empty(opt.sort_by) ? "500" : "Object");
                        kc_query_add(&q, "continue", next);
                }
                KC_CLEANUP(kc_freep)
                char *path = kc_cli_path(w->res, w->ns, w->name, w->name ? opt.subresource : NULL, kc_buf_str(&q));
                KC_CLEANUP(kc_json_freep) struct json_object *table = NULL;
                int e = kc_cli_fetch(c, path, ACCEPT_TABLE, &table, err);
                if (e < 0)
                        return e;
                if (!kc_streq(kc_json_str(table, "kind"), "Table"))
                        return kc_error_set(
                            err, EPROTO, "the server did not answer with a table for %s", w->res->resource);
                if (!kc_str_empty(opt.sort_by) && !w->name)
                        e = kc_sort_by(kc_json_get_mut(table, "rows"), opt.sort_by, true, err);
                if (e < 0)
                        return e;
                tables_add(c, t, table, event);
                if (ret_version)
                        kc_str_set(ret_version, kc_json_str_at(table, "metadata.resourceVersion"));
                kc_str_set(&next, w->name ? NULL : kc_json_str_at(table, "metadata.continue"));
        } while (!kc_str_empty(next));
        return 0;
}

static void tables_init(struct tables *t)
{
        *t = (struct tables){.options = {.wide = kc_streq(opt.output, "wide"),
                                 .no_headers = opt.no_headers,
                                 .show_labels = opt.show_labels,
                                 .label_columns = opt.label_columns}};
        kc_tabwriter_init(&t->writer, KC_TABWRITER_MIN_WIDTH, KC_TABWRITER_PADDING);
}

static bool several_resources(const struct plan *p)
{
        for (size_t i = 1; i < p->n; i++)
                if (p->v[i].res != p->v[0].res)
                        return true;
        return false;
}

static void note_failure(struct kc_cli_errors *l, struct kc_error *take_err)
{
        if (opt.ignore_not_found && kc_error_is(take_err, KC_REASON_NOT_FOUND))
                kc_error_done(take_err);
        else
                kc_cli_errors_take(l, take_err);
}

static int print_tables(struct kc_cli *c, const struct plan *p, struct kc_error *err)
{
        KC_CLEANUP(tables_done) struct tables t;
        KC_CLEANUP(kc_cli_errors_done) struct kc_cli_errors failures = {0};
        bool namespaced = !opt.all_namespaces, with_kind = opt.show_kind || several_resources(p);
        tables_init(&t);
        for (size_t i = 0; i < p->n; i++) {
                struct kc_error why = KC_ERROR_INIT;
                namespaced = namespaced && p->v[i].res->namespaced;
                tables_switch(c, &t, p->v[i].res, with_kind);
                if (table_of(c, &p->v[i], &t, NULL, NULL, &why) < 0)
                        note_failure(&failures, &why);
        }
        tables_flush(c, &t);
        if (!t.written && !opt.ignore_not_found && failures.n == 0) {
                const char *ns = NULL;
                int e = kc_cli_namespace(c, &ns, err);
                if (e < 0)
                        return e;
                if (namespaced)
                        (void)fprintf(c->err, "No resources found in %s namespace.\n", ns);
                else
                        (void)fprintf(c->err, "No resources found\n");
        }
        kc_manifests_errors(&p->manifests, &failures);
        return kc_cli_errors_report(c, &failures) ? KC_CLI_FAILED : 0;
}

/* --- objects */

static int print_object(struct kc_cli *c, const struct plan *p, const struct kc_api_resource *res,
    struct json_object *obj, struct kc_error *err)
{
        if (!opt.show_managed_fields)
                kc_strip_managed_fields(obj);
        return kc_object_printer_print(p->printer, c, res, obj, err);
}

static int objects_of(
    struct kc_cli *c, const struct wanted *w, struct json_object *items, char **ret_version, struct kc_error *err)
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
        add_selectors(&q);
        e = kc_cli_list(c, w->res, w->ns, kc_buf_str(&q), &tree, err);
        if (e < 0)
                return e;
        if (ret_version)
                kc_str_set(ret_version, kc_json_str_at(tree, "metadata.resourceVersion"));
        const struct json_object *found = kc_json_get(tree, "items");
        for (size_t i = 0; i < kc_json_len(found); i++)
                kc_json_push(items, kc_json_copy(kc_json_idx(found, i)));
        return 0;
}

static int print_names(struct kc_cli *c, const struct plan *p, struct json_object *items, struct kc_error *err)
{
        struct kc_resource_map *map = NULL;
        int e = kc_cli_map(c, &map, err);
        for (size_t i = 0; i < kc_json_len(items) && e == 0; i++) {
                struct json_object *o = kc_json_idx_mut(items, i);
                const struct kc_api_resource *res = NULL;
                e = kc_resource_map_find_kind(map, kc_json_str(o, "apiVersion"), kc_json_str(o, "kind"), &res, err);
                if (e == 0)
                        e = print_object(c, p, res, o, err);
        }
        return e;
}

static int print_objects(struct kc_cli *c, const struct plan *p, struct kc_error *err)
{
        int e = 0;
        KC_CLEANUP(kc_json_freep) struct json_object *items = json_object_new_array();
        KC_CLEANUP(kc_cli_errors_done) struct kc_cli_errors failures = {0};
        for (size_t i = 0; i < p->n; i++) {
                struct kc_error why = KC_ERROR_INIT;
                if (objects_of(c, &p->v[i], items, NULL, &why) < 0)
                        note_failure(&failures, &why);
        }
        if (e == 0 && !kc_str_empty(opt.sort_by))
                e = kc_sort_by(items, opt.sort_by, false, err);
        if (e == 0 && kc_streq(opt.output, "name")) {
                e = print_names(c, p, items, err);
        } else if (e == 0) {
                if (p->single && kc_json_len(items) == 1) {
                        e = print_object(c, p, p->v[0].res, kc_json_idx_mut(items, 0), err);
                } else if (!p->single) { /* else --ignore-not-found */
                        KC_CLEANUP(kc_json_freep) struct json_object *list = kc_list_of(KC_TAKE(items));
                        e = print_object(c, p, p->v[0].res, list, err);
                }
        }
        if (e < 0)
                return e;
        kc_object_printer_flush(p->printer, c);
        kc_manifests_errors(&p->manifests, &failures);
        return kc_cli_errors_report(c, &failures) ? KC_CLI_FAILED : 0;
}

/* --- watches */

static int print_event(struct kc_cli *c, const struct plan *p, const struct wanted *w, struct tables *t,
    const char *line, size_t len, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *event = NULL;
        int e = kc_json_parse(line, len, NULL, &event, err);
        if (e < 0)
                return kc_error_wrap(err, "unable to decode an event from the watch stream");
        const char *type = kc_json_str(event, "type");
        struct json_object *object = kc_json_get_mut(event, "object");
        if (kc_streq(type, "BOOKMARK"))
                return 0;
        if (kc_streq(type, "ERROR")) {
                KC_CLEANUP(kc_freep) char *status = kc_json_to_str(object);
                return kc_error_from_response(err, (int)kc_json_int(object, "code", 500), status, strlen(status));
        }
        if (is_table()) {
                tables_add(c, t, object, opt.output_watch_events ? type : NULL);
                tables_flush(c, t);
        } else {
                e = print_object(c, p, w->res, object, err);
                if (e < 0)
                        return e;
                kc_object_printer_flush(p->printer, c);
        }
        return fflush(c->out) == 0 ? 0 : kc_cli_write_failed(c);
}

static int list_first(struct kc_cli *c, const struct plan *p, const struct wanted *w, struct tables *t,
    char **ret_version, struct kc_error *err)
{
        const char *event = opt.output_watch_events ? "ADDED" : NULL;
        if (is_table()) {
                /* Of one object, the table has no version: the watch begins with what the object has. */
                KC_CLEANUP(tables_done) struct tables silent;
                tables_init(&silent);
                return table_of(c, w, opt.watch_only ? &silent : t, ret_version, event, err);
        }
        KC_CLEANUP(kc_json_freep) struct json_object *items = json_object_new_array();
        int e = objects_of(c, w, items, ret_version, err);
        for (size_t i = 0; e == 0 && !opt.watch_only && i < kc_json_len(items); i++)
                e = print_object(c, p, w->res, kc_json_idx_mut(items, i), err);
        if (e == 0)
                kc_object_printer_flush(p->printer, c);
        return e;
}

static int watch(struct kc_cli *c, const struct plan *p, struct kc_error *err)
{
        if (several_resources(p))
                return kc_error_set(err, EINVAL, "you may only specify a single resource type");
        if (p->n > 1)
                return kc_error_set(err, EINVAL,
                    "watch is only supported on individual resources and resource collections - more than 1 resource "
                    "was "
                    "found");
        const struct wanted *w = &p->v[0];
        KC_CLEANUP(tables_done) struct tables t;
        KC_CLEANUP(kc_freep) char *version = NULL;
        struct kc_rest *rest;
        tables_init(&t);
        tables_switch(c, &t, w->res, opt.show_kind);
        int e = list_first(c, p, w, &t, &version, err);
        if (e < 0)
                return e;
        tables_flush(c, &t);
        (void)fflush(c->out);
        KC_CLEANUP(kc_buf_done) struct kc_buf q = KC_BUF_INIT;
        kc_query_add(&q, "labelSelector", kc_str_empty(opt.selector) ? NULL : opt.selector);
        KC_CLEANUP(kc_freep) char *by_name = w->name ? kc_asprintf("metadata.name=%s", w->name) : NULL;
        kc_query_add(&q, "fieldSelector",
            w->name                            ? by_name
            : kc_str_empty(opt.field_selector) ? NULL
                                               : opt.field_selector);
        kc_query_add(&q, "resourceVersion", kc_str_empty(version) ? NULL : version);
        kc_query_add(&q, "watch", "true");
        KC_CLEANUP(kc_freep) char *path = kc_cli_path(w->res, w->ns, NULL, NULL, kc_buf_str(&q));
        e = kc_cli_rest(c, &rest, err);
        if (e < 0)
                return e;
        KC_CLEANUP(kc_lines_freep) struct kc_lines *lines = kc_lines_new(rest);
        e = kc_lines_open(lines, path, is_table() ? ACCEPT_TABLE : "application/json", NULL, err);
        while (e == 0) {
                const char *line;
                size_t len;
                e = kc_lines_next(lines, 0, &line, &len, NULL, NULL, err);
                if (e <= 0)
                        return e;
                e = print_event(c, p, w, &t, line, len, err);
        }
        return e;
}

static int get_raw(struct kc_cli *c, char **args, struct kc_error *err)
{
        struct kc_rest *rest;
        KC_CLEANUP(kc_bytes_unrefp) struct kc_bytes *bytes = NULL;
        if (args[0])
                return kc_error_set(err, EINVAL, "arguments may not be passed when --raw is specified");
        int e = kc_cli_rest(c, &rest, err);
        if (e == 0)
                e = kc_rest_raw(rest, "GET", opt.raw, NULL, "application/json, */*", NULL, &bytes, err);
        if (e == 0)
                (void)fwrite(kc_bytes_data(bytes), 1, kc_bytes_len(bytes), c->out);
        return e;
}

static int run(struct kc_cli *c, char **args, struct kc_error *err)
{
        if (!kc_str_empty(opt.raw))
                return get_raw(c, args, err);
        if (!args[0] && !opt.files)
                return no_resource(c);
        KC_CLEANUP(plan_done) struct plan p = {0};
        int e = make_plan(c, args, &p, err);
        if (e < 0)
                return e;
        if (!is_table())
                e = kc_object_printer_new(opt.output, opt.no_headers, &p.printer, err);
        if (e < 0)
                return e;
        if (p.n == 0)
                return kc_cli_errors_report(c, &p.manifests.errors) ? KC_CLI_FAILED : 0;
        if (opt.watch || opt.watch_only)
                return watch(c, &p, err);
        return is_table() ? print_tables(c, &p, err) : print_objects(c, &p, err);
}

const struct kc_command kc_cmd_get = {.name = "get",
    .usage = "get (TYPE[.VERSION][.GROUP] [NAME | -l label] | TYPE[.VERSION][.GROUP]/NAME ...) [flags]",
    .summary = "Display one or many resources",
    .flags = flags,
    .n_flags = KC_ARRAY_LEN(flags),
    .run = run};
