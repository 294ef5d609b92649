/* kubec events. Main thread. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/object.h"
#include "base/clock.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/describe/describe.h"
#include "cli/describe/layout.h"
#include "cli/lines.h"
#include "cli/printer_object.h"
#include "cli/requests.h"

static struct {
        char *output, *template, *for_object, **types;
        int64_t chunk_size;
        bool all_namespaces, watch, no_headers, show_managed_fields;
} opt = {.chunk_size = 500};

static const struct kc_flag flags[] = {
    {"all-namespaces", 'A', KC_FLAG_BOOL, &opt.all_namespaces, "events of all namespaces", "Events"},
    {"chunk-size", 0, KC_FLAG_INT64, &opt.chunk_size, "size of the pages of lists; 0: no pages", "Events"},
    {"for", 0, KC_FLAG_STRING, &opt.for_object, "TYPE/NAME: only events of this object", "Events"},
    {"no-headers", 0, KC_FLAG_BOOL, &opt.no_headers, "no headers", "Events"},
    {"output", 'o', KC_FLAG_STRING, &opt.output, "json, yaml, name, jsonpath=... or go-template=...", "Events"},
    {"show-managed-fields", 0, KC_FLAG_BOOL, &opt.show_managed_fields, "keep managedFields in JSON and YAML", "Events"},
    {"template", 0, KC_FLAG_STRING, &opt.template, "the template, or its file, of -o", "Events"},
    {"types", 0, KC_FLAG_STRV, &opt.types, "Normal, Warning: only those", "Events"},
    {"watch", 'w', KC_FLAG_BOOL, &opt.watch, "go on with those that come", "Events"},
};

struct asked {
        const struct kc_api_resource *res;
        const char *ns;
        char *field_selector;
        char *output;
        struct kc_object_printer *printer; /* NULL: a table */
        struct kc_layout_columns columns;
};

static void asked_done(struct asked *a)
{
        kc_free(a->field_selector);
        kc_free(a->output);
        kc_object_printer_free(a->printer);
        kc_layout_columns_done(&a->columns);
}

/* --- which ones */

static int check_types(struct kc_error *err)
{
        for (char **t = opt.types; t && *t; t++)
                if (!kc_strcaseeq(*t, "Normal") && !kc_strcaseeq(*t, "Warning"))
                        return kc_error_set(err, EINVAL, "valid --types are Normal or Warning");
        return 0;
}

static bool type_wanted(const struct json_object *event)
{
        const char *type = kc_json_str(event, "type");
        for (char **t = opt.types; t && *t; t++)
                if (kc_strcaseeq(*t, type))
                        return true;
        return !opt.types;
}

static int resolve_object(struct kc_cli *c, const struct kc_resource_map *map, struct asked *a, struct kc_error *err)
{
        if (kc_str_empty(opt.for_object))
                return 0;
        KC_CLEANUP(kc_strv_freep) char **parts = kc_strv_split(opt.for_object, '/');
        const struct kc_api_resource *res = NULL;
        if (kc_strv_len(parts) != 2 || !parts[0][0] || !parts[1][0])
                return kc_error_set(err, EINVAL, "--for must be in resource/name form");
        if (kc_resource_map_find(map, parts[0], &res, err) < 0) {
                (void)fprintf(c->err, "%s\n", kc_error_message(err)); /* without "error: ", as by kubectl */
                kc_error_done(err);
                return KC_CLI_FAILED;
        }
        a->field_selector =
            kc_asprintf("involvedObject.apiVersion=%s%s%s,involvedObject.kind=%s,involvedObject.name=%s", res->group,
                res->group[0] ? "/" : "", res->version, res->kind, parts[1]);
        return 0;
}

static int prepare(struct kc_cli *c, struct asked *a, struct kc_error *err)
{
        struct kc_resource_map *map = NULL;
        a->output = kc_output_with_template(opt.output, opt.template);
        int e = check_types(err);
        if (e == 0 && (kc_streq(a->output, "wide") || kc_str_has_prefix(a->output, "custom-columns")))
                return kc_error_set(err, EINVAL,
                    "unable to match a printer suitable for the output format \"%s\", allowed formats are: "
                    "go-template,go-template-file,json,jsonpath,jsonpath-as-json,jsonpath-file,name,template,"
                    "templatefile,yaml",
                    a->output);
        if (e == 0 && !kc_str_empty(a->output))
                e = kc_object_printer_new(a->output, false, &a->printer, err);
        if (e == 0)
                e = kc_cli_namespace(c, &a->ns, err);
        if (e == 0)
                e = kc_cli_map(c, &map, err);
        if (e == 0)
                e = kc_resource_map_find_kind(map, "v1", "Event", &a->res, err);
        return e == 0 ? resolve_object(c, map, a, err) : e;
}

static int fetch(
    struct kc_cli *c, const struct asked *a, struct json_object **ret, char **ret_version, struct kc_error *err)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf q = KC_BUF_INIT;
        KC_CLEANUP(kc_json_freep) struct json_object *list = NULL;
        kc_query_add(&q, "fieldSelector", a->field_selector);
        int e = kc_cli_list(c, a->res, opt.all_namespaces ? NULL : a->ns, kc_buf_str(&q), &list, err);
        if (e < 0)
                return e;
        struct json_object *wanted = json_object_new_array();
        const struct json_object *items = kc_json_get(list, "items");
        for (size_t i = 0; i < kc_json_len(items); i++)
                if (type_wanted(kc_json_idx(items, i)))
                        kc_json_push(wanted, kc_json_copy(kc_json_idx(items, i)));
        kc_str_set(ret_version, kc_json_str_at(list, "metadata.resourceVersion"));
        *ret = wanted;
        return 0;
}

/* --- as a table */

static kc_time last_seen(const struct json_object *e)
{
        const char *s = kc_json_str_at(e, "series.lastObservedTime");
        kc_time t = 0;
        if (!s)
                s = kc_json_str(e, "lastTimestamp");
        if (!s)
                s = kc_json_str(e, "eventTime");
        return s && kc_time_parse(s, &t) == 0 ? t : 0;
}

static int by_last_seen(const void *a, const void *b)
{
        struct json_object *const *x = a, *const *y = b;
        kc_time tx = last_seen(*x), ty = last_seen(*y);
        return tx < ty ? -1 : tx > ty;
}

static void add_headers(struct kc_buf *b)
{
        if (!opt.no_headers)
                kc_buf_addf(b, "%sLAST SEEN\tTYPE\tREASON\tOBJECT\tMESSAGE\n", opt.all_namespaces ? "NAMESPACE\t" : "");
}

static const char *text(const struct json_object *o, const char *path)
{
        const char *s = kc_json_str_at(o, path);
        return s ? s : "";
}

static void add_row(struct kc_buf *b, const struct json_object *e)
{
        KC_CLEANUP(kc_freep) char *age = kc_describe_event_age(e);
        KC_CLEANUP(kc_freep) char *message = kc_str_trim(text(e, "message"));
        if (opt.all_namespaces)
                kc_buf_addf(b, "%s\t", text(e, "metadata.namespace"));
        kc_buf_addf(b, "%s\t%s\t%s\t%s/%s\t%s\n", age, text(e, "type"), text(e, "reason"),
            text(e, "involvedObject.kind"), text(e, "involvedObject.name"), message);
}

static void write_table(struct kc_cli *c, struct asked *a, const struct kc_buf *rows)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        kc_layout_align(kc_buf_str(rows), rows->len, &a->columns, &b);
        (void)fwrite(kc_buf_str(&b), 1, b.len, c->out);
}

static void sort_by_last_seen(struct json_object *events)
{
        size_t n = kc_json_len(events);
        KC_CLEANUP(kc_freep) struct json_object **v = kc_calloc(n + 1, sizeof(*v));
        for (size_t i = 0; i < n; i++)
                v[i] = kc_json_copy(kc_json_idx(events, i));
        qsort(v, n, sizeof(*v), by_last_seen);
        for (size_t i = 0; i < n; i++)
                json_object_array_put_idx(events, i, v[i]);
}

/* A watch lays out each line as it comes. */
static void print_table(struct kc_cli *c, struct asked *a, const struct json_object *events)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf rows = KC_BUF_INIT;
        add_headers(&rows);
        for (size_t i = 0; i < kc_json_len(events); i++) {
                add_row(&rows, kc_json_idx(events, i));
                if (!opt.watch)
                        continue;
                write_table(c, a, &rows);
                kc_buf_reset(&rows);
        }
        write_table(c, a, &rows);
}

/* --- as objects */

static int print_one(struct kc_cli *c, const struct asked *a, struct json_object *event, struct kc_error *err)
{
        if (!opt.show_managed_fields)
                kc_strip_managed_fields(event);
        int e = kc_object_printer_print(a->printer, c, a->res, event, err);
        if (e == 0)
                kc_object_printer_flush(a->printer, c);
        return e;
}

/* As client-go writes its own types: kind and apiVersion first, the other fields as they came. */
static struct json_object *typed_list(const struct json_object *events)
{
        struct json_object *list = kc_json_build("{'kind':'EventList','apiVersion':'v1','metadata':{},'items':[]}");
        for (size_t i = 0; i < kc_json_len(events); i++) {
                struct json_object *event = kc_json_build("{'kind':'Event','apiVersion':'v1'}");
                KC_JSON_FOREACH(kc_json_idx(events, i), key, value)
                kc_json_set(event, key, kc_json_copy(value));
                kc_json_push(kc_json_get_mut(list, "items"), event);
        }
        return list;
}

static int print_objects(struct kc_cli *c, const struct asked *a, struct json_object *events, struct kc_error *err)
{
        int e = 0;
        for (size_t i = 0; e == 0 && kc_streq(a->output, "name") && i < kc_json_len(events); i++)
                e = print_one(c, a, kc_json_idx_mut(events, i), err);
        if (kc_streq(a->output, "name"))
                return e;
        KC_CLEANUP(kc_json_freep) struct json_object *list = typed_list(events);
        if (!kc_streq(a->output, "json"))
                return print_one(c, a, list, err);
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        if (!opt.show_managed_fields)
                kc_strip_managed_fields(list);
        kc_json_write_pretty(&b, list, 4, false);
        (void)fprintf(c->out, "%s\n", kc_buf_str(&b));
        return 0;
}

/* --- watch */

static int print_event(struct kc_cli *c, struct asked *a, const char *line, size_t len, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *event = NULL;
        int e = kc_json_parse(line, len, NULL, &event, err);
        if (e < 0)
                return kc_error_wrap(err, "unable to decode an event from the watch stream");
        struct json_object *object = kc_json_get_mut(event, "object");
        const char *type = kc_json_str(event, "type");
        if (kc_streq(type, "ERROR")) {
                KC_CLEANUP(kc_freep) char *status = kc_json_to_str(object);
                return kc_error_from_response(err, (int)kc_json_int(object, "code", 500), status, strlen(status));
        }
        if (kc_streq(type, "BOOKMARK") || kc_streq(type, "DELETED") || !type_wanted(object))
                return 0;
        KC_CLEANUP(kc_buf_done) struct kc_buf row = KC_BUF_INIT;
        if (a->printer) {
                e = print_one(c, a, object, err);
        } else {
                add_row(&row, object);
                write_table(c, a, &row);
        }
        return e < 0 ? e : fflush(c->out) == 0 ? 0 : kc_cli_write_failed(c);
}

static int watch(struct kc_cli *c, struct asked *a, const char *version, struct kc_error *err)
{
        int timeout_ms = 0, e = kc_cli_request_timeout_ms(c, &timeout_ms, err);
        struct kc_rest *rest = NULL;
        KC_CLEANUP(kc_buf_done) struct kc_buf q = KC_BUF_INIT;
        kc_query_add(&q, "fieldSelector", a->field_selector);
        kc_query_add(&q, "resourceVersion", version);
        kc_query_add(&q, "watch", "true");
        KC_CLEANUP(kc_freep)
        char *path = kc_cli_path(a->res, opt.all_namespaces ? NULL : a->ns, NULL, NULL, kc_buf_str(&q));
        if (e == 0)
                e = kc_cli_rest(c, &rest, err);
        if (e < 0)
                return e;
        KC_CLEANUP(kc_lines_freep) struct kc_lines *lines = kc_lines_new(rest);
        kc_mono deadline = timeout_ms > 0 ? kc_clock_mono(NULL) + timeout_ms * KC_MSEC : 0;
        e = kc_lines_open(lines, path, "application/json", NULL, err);
        while (e == 0) {
                const char *line;
                size_t len;
                e = kc_lines_next(lines, deadline, &line, &len, NULL, NULL, err);
                if (e == -ETIME) { /* --request-timeout is how long is watched */
                        kc_error_done(err);
                        return 0;
                }
                if (e <= 0)
                        return e;
                e = print_event(c, a, line, len, err);
        }
        return e;
}

static int run(struct kc_cli *c, char **args, struct kc_error *err)
{
        (void)args; /* kubectl looks at none */
        KC_CLEANUP(asked_done)
        struct asked a = {
            .columns = {.min_width = KC_TABWRITER_MIN_WIDTH, .padding = KC_TABWRITER_PADDING, .remembers = true}};
        KC_CLEANUP(kc_json_freep) struct json_object *events = NULL;
        KC_CLEANUP(kc_freep) char *version = NULL;
        int e = prepare(c, &a, err);
        if (e == 0)
                e = fetch(c, &a, &events, &version, err);
        if (e != 0)
                return e;
        if (kc_json_len(events) == 0 && !opt.watch) {
                if (opt.all_namespaces)
                        (void)fprintf(c->err, "No events found.\n");
                else
                        (void)fprintf(c->err, "No events found in %s namespace.\n", a.ns);
                return 0;
        }
        if (!opt.watch)
                sort_by_last_seen(events);
        if (a.printer)
                e = print_objects(c, &a, events, err);
        else
                print_table(c, &a, events);
        (void)fflush(c->out);
        return e == 0 && opt.watch ? watch(c, &a, version, err) : e;
}

const struct kc_command kc_cmd_events = {.name = "events",
    .usage = "events [(-o|--output=)json|yaml|name|...] [--for TYPE/NAME] [--watch] [--types=Normal,Warning]",
    .summary = "List events",
    .flags = flags,
    .n_flags = KC_ARRAY_LEN(flags),
    .run = run,
    .description = "Prints what has happened, the last at the end.",
    .examples = "# Of the namespace\n"
                "kubec events\n\n"
                "# Of one pod, and what comes\n"
                "kubec events --for pod/web-1 --watch\n\n"
                "# Warnings of all namespaces\n"
                "kubec events -A --types=Warning"};
