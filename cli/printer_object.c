/* Objects in the forms that -o names. Main thread. */
#include "cli/printer_object.h"

#include <errno.h>
#include <string.h>

#include "api/object.h"
#include "base/file.h"
#include "base/str.h"
#include "cli/template/template.h"
#include "json/jsonpath.h"

enum { TEMPLATE_MAX = 64 << 10 };

struct column {
        char *header;
        struct kc_jsonpath *path;
};

struct kc_object_printer {
        int (*print)(struct kc_object_printer *p, struct kc_cli *c, const struct kc_api_resource *res,
            const struct json_object *obj, struct kc_error *err);
        struct kc_jsonpath *path;
        struct kc_template *go;
        char *template;
        char *unusable; /* why the template is well formed, and cannot be followed */
        struct column *columns;
        size_t n;
        bool no_headers, begun;
        struct kc_tabwriter writer;
};

static void write_out(struct kc_cli *c, const struct kc_buf *b)
{
        (void)fwrite(kc_buf_str(b), 1, b->len, c->out); /* main looks at the stream's error at the end */
}

/* --- whole objects */

static int print_json(struct kc_object_printer *p, struct kc_cli *c, const struct kc_api_resource *res,
    const struct json_object *obj, struct kc_error *err)
{
        (void)p;
        (void)res;
        (void)err;
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        kc_print_json(&b, obj);
        write_out(c, &b);
        return 0;
}

static int print_yaml(struct kc_object_printer *p, struct kc_cli *c, const struct kc_api_resource *res,
    const struct json_object *obj, struct kc_error *err)
{
        (void)p;
        (void)res;
        (void)err;
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        if (c->yaml_documents++ > 0)
                kc_buf_adds(&b, "---\n");
        kc_print_yaml(&b, obj);
        write_out(c, &b);
        return 0;
}

static int print_name(struct kc_object_printer *p, struct kc_cli *c, const struct kc_api_resource *res,
    const struct json_object *obj, struct kc_error *err)
{
        (void)p;
        (void)err;
        KC_CLEANUP(kc_freep) char *kind = kc_api_resource_name(res);
        (void)fprintf(c->out, "%s/%s\n", kind, kc_meta_name(obj) ? kc_meta_name(obj) : "");
        return 0;
}

/* --- jsonpath */

/* As Go's %#v prints what JSON decodes to. */
static void add_go_syntax(struct kc_buf *b, const struct json_object *o)
{
        if (kc_json_is_arr(o)) {
                kc_buf_adds(b, "[]interface {}{");
                for (size_t i = 0; i < kc_json_len(o); i++) {
                        kc_buf_adds(b, i ? ", " : "");
                        add_go_syntax(b, kc_json_idx(o, i));
                }
                kc_buf_addc(b, '}');
        } else if (kc_json_is_obj(o)) {
                KC_CLEANUP(kc_strv_freep) char **keys = NULL;
                KC_JSON_FOREACH(o, key, val)
                {
                        (void)val;
                        kc_strv_push(&keys, key);
                }
                if (keys)
                        kc_strv_sort(keys);
                kc_buf_adds(b, "map[string]interface {}{");
                for (char **k = keys; k && *k; k++) {
                        kc_buf_adds(b, k == keys ? "" : ", ");
                        kc_json_write_string(b, *k, strlen(*k));
                        kc_buf_addc(b, ':');
                        add_go_syntax(b, kc_json_get(o, *k));
                }
                kc_buf_addc(b, '}');
        } else if (!o) {
                kc_buf_adds(b, "interface {}(nil)");
        } else {
                kc_json_write(b, o);
        }
}

static int explain(const struct kc_object_printer *p, const struct json_object *obj, struct kc_error *err)
{
        KC_CLEANUP(kc_error_done) struct kc_error why = KC_ERROR_INIT;
        KC_CLEANUP(kc_buf_done) struct kc_buf text = KC_BUF_INIT;
        kc_error_move(&why, err);
        add_go_syntax(&text, obj);
        return kc_error_set(err, EINVAL,
            "error executing jsonpath \"%s\": Error executing template: %s. Printing more information for debugging "
            "the template:\n\ttemplate was:\n\t\t%s\n\tobject given to jsonpath engine was:\n\t\t%s\n\n\n",
            p->template, kc_error_message(&why), p->template, kc_buf_str(&text));
}

static int usable(const struct kc_object_printer *p, struct kc_error *err)
{
        return p->unusable ? kc_error_set(err, EINVAL, "%s", p->unusable) : 0;
}

static int print_jsonpath(struct kc_object_printer *p, struct kc_cli *c, const struct kc_api_resource *res,
    const struct json_object *obj, struct kc_error *err)
{
        (void)res;
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        if (usable(p, err) < 0 || kc_jsonpath_print(p->path, obj, true, &b, err) < 0)
                return explain(p, obj, err);
        write_out(c, &b);
        return 0;
}

static int print_jsonpath_as_json(struct kc_object_printer *p, struct kc_cli *c, const struct kc_api_resource *res,
    const struct json_object *obj, struct kc_error *err)
{
        (void)res;
        KC_CLEANUP(kc_jsonpath_values_done) struct kc_jsonpath_values values = {0};
        KC_CLEANUP(kc_json_freep) struct json_object *array = json_object_new_array();
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        if (usable(p, err) < 0 || kc_jsonpath_find(p->path, obj, true, &values, err) < 0)
                return explain(p, obj, err);
        for (size_t i = 0; i < values.n; i++)
                kc_json_push(array, kc_json_copy(values.v[i]));
        kc_print_json(&b, array);
        write_out(c, &b);
        return 0;
}

/* --- Go templates */

static int print_template(struct kc_object_printer *p, struct kc_cli *c, const struct kc_api_resource *res,
    const struct json_object *obj, struct kc_error *err)
{
        (void)res;
        KC_CLEANUP(kc_error_done) struct kc_error why = KC_ERROR_INIT;
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        int e = kc_template_run(p->go, obj, &b, &why);
        if (e < 0) {
                kc_buf_addf(&b,
                    "Error executing template: %s. Printing more information for debugging the template:\n\ttemplate "
                    "was:\n\t\t%s\n\traw data was:\n\t\t",
                    kc_error_message(&why), p->template);
                kc_json_write_sorted(&b, obj);
                kc_buf_adds(&b, "\n\tobject given to template engine was:\n\t\t");
                kc_template_value(obj, &b);
                kc_buf_adds(&b, "\n\n");
        }
        write_out(c, &b);
        return e < 0 ? kc_error_set(
                           err, EINVAL, "error executing template \"%s\": %s", p->template, kc_error_message(&why))
                     : 0;
}

/* --- custom columns */

/* As Go's %v prints what the server sent: whole numbers are whole. */
static void add_go_value(struct kc_buf *b, const struct json_object *o)
{
        if (kc_json_is_arr(o)) {
                kc_buf_addc(b, '[');
                for (size_t i = 0; i < kc_json_len(o); i++) {
                        kc_buf_adds(b, i ? " " : "");
                        add_go_value(b, kc_json_idx(o, i));
                }
                kc_buf_addc(b, ']');
        } else if (kc_json_is_obj(o)) {
                KC_CLEANUP(kc_strv_freep) char **keys = NULL;
                KC_JSON_FOREACH(o, key, val)
                {
                        (void)val;
                        kc_strv_push(&keys, key);
                }
                kc_strv_sort(keys);
                kc_buf_adds(b, "map[");
                for (char **k = keys; k && *k; k++) {
                        kc_buf_addf(b, "%s%s:", k == keys ? "" : " ", *k);
                        add_go_value(b, kc_json_get(o, *k));
                }
                kc_buf_addc(b, ']');
        } else if (!o) {
                kc_buf_adds(b, "<nil>");
        } else {
                kc_jsonpath_value_text(o, b);
        }
}

static int add_cell(
    struct kc_object_printer *p, const struct column *col, const struct json_object *obj, struct kc_error *err)
{
        KC_CLEANUP(kc_jsonpath_values_done) struct kc_jsonpath_values values = {0};
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        int r = kc_jsonpath_find(col->path, obj, true, &values, err);
        if (r < 0)
                return r;
        for (size_t i = 0; i < values.n; i++) {
                kc_buf_adds(&b, i ? "," : "");
                add_go_value(&b, values.v[i]);
        }
        kc_tabwriter_cell(&p->writer, values.n ? kc_buf_str(&b) : "<none>");
        return 0;
}

static int add_row(struct kc_object_printer *p, const struct json_object *obj, struct kc_error *err)
{
        int r = 0;
        for (size_t i = 0; i < p->n && r == 0; i++)
                r = add_cell(p, &p->columns[i], obj, err);
        kc_tabwriter_end_row(&p->writer);
        return r;
}

static int print_columns(struct kc_object_printer *p, struct kc_cli *c, const struct kc_api_resource *res,
    const struct json_object *obj, struct kc_error *err)
{
        (void)c;
        (void)res;
        if (!p->begun && !p->no_headers) {
                for (size_t i = 0; i < p->n; i++)
                        kc_tabwriter_cell(&p->writer, p->columns[i].header);
                kc_tabwriter_end_row(&p->writer);
        }
        p->begun = true;
        if (!kc_json_is_arr(kc_json_get(obj, "items")))
                return add_row(p, obj, err);
        const struct json_object *items = kc_json_get(obj, "items");
        int r = 0;
        for (size_t i = 0; i < kc_json_len(items) && r == 0; i++)
                r = add_row(p, kc_json_idx(items, i), err);
        return r;
}

static int add_column(struct kc_object_printer *p, const char *header, const char *path, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *relaxed = NULL;
        struct kc_jsonpath *parsed = NULL;
        int r = kc_jsonpath_relax(path, &relaxed, err);
        if (r == 0)
                r = kc_jsonpath_parse(relaxed, &parsed, err);
        if (r < 0)
                return r;
        p->columns = kc_reallocarray(p->columns, p->n + 1, sizeof(*p->columns));
        p->columns[p->n++] = (struct column){.header = kc_strdup(header), .path = parsed};
        return 0;
}

static int parse_columns(struct kc_object_printer *p, const char *spec, struct kc_error *err)
{
        KC_CLEANUP(kc_strv_freep) char **parts = kc_strv_split(spec, ',');
        int r = 0;
        if (kc_str_empty(spec))
                return kc_error_set(err, EINVAL, "custom-columns format specified but no custom columns given");
        for (char **part = parts; *part && r == 0; part++) {
                char *colon = strchr(*part, ':');
                if (!colon)
                        return kc_error_set(err, EINVAL,
                            "unexpected custom-columns spec: %s, expected <header>:<json-path-expr>", *part);
                *colon = '\0';
                r = add_column(p, *part, colon + 1, err);
        }
        return r;
}

/* Two lines: headers, and below them their paths. */
static int parse_columns_file(struct kc_object_printer *p, const char *text, struct kc_error *err)
{
        KC_CLEANUP(kc_strv_freep) char **lines = kc_strv_split(text, '\n');
        KC_CLEANUP(kc_strv_freep) char **headers = NULL, **paths = NULL;
        char **into[] = {NULL, NULL};
        for (size_t i = 0; i < 2 && kc_strv_len(lines) >= 2; i++) {
                char *save = NULL;
                for (char *w = strtok_r(lines[i], " \t\r", &save); w; w = strtok_r(NULL, " \t\r", &save))
                        kc_strv_push(&into[i], w);
        }
        headers = into[0];
        paths = into[1];
        if (!headers || kc_strv_len(headers) != kc_strv_len(paths))
                return kc_error_set(err, EINVAL, "number of headers (%zu) and field specifications (%zu) don't match",
                    kc_strv_len(headers), kc_strv_len(paths));
        int r = 0;
        for (size_t i = 0; headers[i] && r == 0; i++)
                r = add_column(p, headers[i], paths[i], err);
        return r;
}

/* --- which form it is */

static int set_template(struct kc_object_printer *p, const char *text, struct kc_error *err)
{
        if (kc_str_empty(text))
                return kc_error_set(err, EINVAL, "template format specified but no template given");
        p->template = kc_strdup(text);
        KC_CLEANUP(kc_error_done) struct kc_error why = KC_ERROR_INIT;
        int e = kc_jsonpath_parse(text, &p->path, &why);
        if (e == -ENOEXEC) /* said when there is an object to say it of */
                p->unusable = kc_strdup(kc_error_message(&why));
        else if (e < 0)
                return kc_error_set(err, EINVAL, "error parsing jsonpath %s, %s", text, kc_error_message(&why));
        return 0;
}

static int set_go_template(struct kc_object_printer *p, const char *text, struct kc_error *err)
{
        if (kc_str_empty(text))
                return kc_error_set(err, EINVAL, "template format specified but no template given");
        p->template = kc_strdup(text);
        KC_CLEANUP(kc_error_done) struct kc_error why = KC_ERROR_INIT;
        if (kc_template_parse("output", text, &p->go, &why) < 0)
                return kc_error_set(err, EINVAL, "error parsing template %s, %s", text, kc_error_message(&why));
        return 0;
}

static const struct form {
        const char *name;
        int (*print)(struct kc_object_printer *p, struct kc_cli *c, const struct kc_api_resource *res,
            const struct json_object *obj, struct kc_error *err);
        int (*parse)(struct kc_object_printer *p, const char *text, struct kc_error *err); /* NULL: no template */
        bool file; /* the template is in a file */
} forms[] = {
    {"json", print_json, NULL, false},
    {"yaml", print_yaml, NULL, false},
    {"name", print_name, NULL, false},
    {"jsonpath", print_jsonpath, set_template, false},
    {"jsonpath-file", print_jsonpath, set_template, true},
    {"jsonpath-as-json", print_jsonpath_as_json, set_template, false},
    {"go-template", print_template, set_go_template, false},
    {"go-template-file", print_template, set_go_template, true},
    {"template", print_template, set_go_template, false},
    {"templatefile", print_template, set_go_template, true},
    {"custom-columns", print_columns, parse_columns, false},
    {"custom-columns-file", print_columns, parse_columns_file, true},
};

static const struct form *form_of(const char *output, const char **ret_template)
{
        for (size_t i = 0; output && i < KC_ARRAY_LEN(forms); i++) {
                size_t n = strlen(forms[i].name);
                if (strncmp(output, forms[i].name, n) != 0 || (output[n] && (output[n] != '=' || !forms[i].parse)))
                        continue;
                *ret_template = output[n] ? output + n + 1 : "";
                return &forms[i];
        }
        return NULL;
}

bool kc_object_printer_knows(const char *output)
{
        const char *template;
        return form_of(output, &template) != NULL;
}

int kc_object_printer_new(const char *output, bool no_headers, struct kc_object_printer **ret, struct kc_error *err)
{
        const char *template;
        const struct form *f = form_of(output, &template);
        KC_CLEANUP(kc_buf_done) struct kc_buf text = KC_BUF_INIT;
        if (!f)
                return kc_error_set(err, EINVAL,
                    "unable to match a printer suitable for the output format \"%s\", allowed formats are: "
                    "custom-columns,custom-columns-file,go-template,go-template-file,json,jsonpath,jsonpath-as-json,"
                    "jsonpath-file,name,template,templatefile,wide,yaml",
                    output ? output : "");
        if (f->file && !kc_str_empty(template) && kc_file_read(template, TEMPLATE_MAX, &text, err) < 0)
                return kc_error_set(err, EINVAL, "error reading %s %s, open %s: %s",
                    f->parse == parse_columns_file ? "template" : "--template", template, template,
                    err->errnum == ENOENT ? "no such file or directory" : strerror(err->errnum));
        KC_CLEANUP(kc_object_printer_freep) struct kc_object_printer *p = KC_NEW(struct kc_object_printer);
        p->print = f->print;
        p->no_headers = no_headers;
        kc_tabwriter_init(&p->writer, KC_TABWRITER_MIN_WIDTH, KC_TABWRITER_PADDING);
        int r = f->parse ? f->parse(p, f->file ? kc_buf_str(&text) : template, err) : 0;
        if (r < 0)
                return r;
        *ret = KC_TAKE(p);
        return 0;
}

int kc_object_printer_print(struct kc_object_printer *p, struct kc_cli *c, const struct kc_api_resource *res,
    const struct json_object *obj, struct kc_error *err)
{
        return p->print(p, c, res, obj, err);
}

void kc_object_printer_flush(struct kc_object_printer *p, struct kc_cli *c)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        kc_tabwriter_flush(&p->writer, &b);
        write_out(c, &b);
}

char *kc_output_with_template(const char *output, const char *template)
{
        const char *none;
        if (kc_str_empty(template))
                return kc_strdup(output ? output : "");
        if (kc_str_empty(output))
                return kc_asprintf("go-template=%s", template);
        const struct form *f = form_of(output, &none);
        return f && f->parse && !strchr(output, '=') ? kc_asprintf("%s=%s", output, template) : kc_strdup(output);
}

void kc_object_printer_free(struct kc_object_printer *p)
{
        if (!p)
                return;
        for (size_t i = 0; i < p->n; i++) {
                kc_free(p->columns[i].header);
                kc_jsonpath_free(p->columns[i].path);
        }
        kc_free(p->columns);
        kc_free(p->template);
        kc_free(p->unusable);
        kc_template_free(p->go);
        kc_jsonpath_free(p->path);
        kc_tabwriter_done(&p->writer);
        kc_free(p);
}
