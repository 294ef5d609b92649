/* kubec explain: the schemas of the server, in words. Main thread. */
#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "cli/commands.h"
#include "cli/requests.h"

static struct {
        char *api_version, *output;
        bool recursive;
} opt;

static const struct kc_flag flags[] = {
    {"api-version", 0, KC_FLAG_STRING, &opt.api_version, "group/version in which the resource is looked up", "Explain"},
    {"output", 0, KC_FLAG_STRING, &opt.output, "plaintext or plaintext-openapiv2", "Explain"},
    {"recursive", 0, KC_FLAG_BOOL, &opt.recursive, "names and types of all fields below", "Explain"},
};

/* The two forms differ in spaces and in words. */
struct form {
        bool old;
        int field_indent, text_indent;
        size_t width;
};
static const struct form plain = {false, 2, 4, 76}, v2 = {true, 3, 5, 76};

struct explaining {
        struct kc_buf out;
        const struct json_object *schemas; /* of the document */
        const struct form *form;
        char **path; /* strv of fields */
};

/* --- schemas */

static const char *ref_name(const struct json_object *s)
{
        static const char prefix[] = "#/components/schemas/";
        const char *ref = kc_json_str(s, "$ref");
        return ref && kc_str_has_prefix(ref, prefix) ? ref + strlen(prefix) : NULL;
}

/* What a $ref, alone or as an only allOf, names. */
static const char *named(const struct json_object *s)
{
        const struct json_object *all = kc_json_get(s, "allOf");
        const char *name = ref_name(s);
        return name ? name : kc_json_len(all) == 1 ? ref_name(kc_json_idx(all, 0)) : NULL;
}

static const struct json_object *resolved(const struct explaining *x, const struct json_object *s)
{
        const char *name = named(s);
        return name ? kc_json_get(x->schemas, name) : s;
}

static const struct json_object *element_of(const struct json_object *s)
{
        const struct json_object *items = kc_json_get(s, "items");
        return items ? items : kc_json_get(s, "additionalProperties");
}

/* The schema that has the fields, behind lists and maps. */
static const struct json_object *with_fields(const struct explaining *x, const struct json_object *s)
{
        enum { MAX_NESTING = 16 };
        for (int i = 0; i < MAX_NESTING; i++) {
                s = resolved(x, s);
                if (!kc_json_is_obj(element_of(s)))
                        break;
                s = element_of(s);
        }
        return s;
}

static void add_type(const struct explaining *x, const struct json_object *s, struct kc_buf *b)
{
        const char *name = named(s), *type = kc_json_str(s, "type");
        const struct json_object *items = kc_json_get(s, "items"), *values = kc_json_get(s, "additionalProperties");
        if (name) {
                const struct json_object *target = kc_json_get(x->schemas, name);
                const char *dot = strrchr(name, '.'), *of = kc_json_str(target, "type");
                bool scalar = of && !kc_streq(of, "object"),
                     text = kc_streq(kc_json_str(target, "format"), "int-or-string");
                if (scalar)
                        kc_buf_adds(b, of);
                else if (x->form->old)
                        kc_buf_adds(b, text ? "string" : "Object");
                else
                        kc_buf_adds(b, dot ? dot + 1 : name);
        } else if (kc_json_is_obj(items)) {
                kc_buf_adds(b, "[]");
                add_type(x, items, b);
        } else if (kc_json_is_obj(values)) {
                kc_buf_adds(b, "map[string]");
                add_type(x, values, b);
        } else {
                kc_buf_adds(b, !type || kc_streq(type, "object") ? "Object" : type);
        }
}

/* --- text */

static void add_spaces(struct kc_buf *b, int n)
{
        for (int i = 0; i < n; i++)
                kc_buf_addc(b, ' ');
}

/* Words in lines of at most width. */
static void add_wrapped(struct kc_buf *b, const char *text, int indent, size_t width)
{
        KC_CLEANUP(kc_strv_freep) char **lines = kc_strv_split(text, '\n');
        for (char **l = lines; *l; l++) {
                size_t used = 0;
                KC_CLEANUP(kc_strv_freep) char **words = kc_strv_split(*l, ' ');
                add_spaces(b, indent);
                for (char **w = words; *w; w++) {
                        size_t len = strlen(*w);
                        if (used > 0 && used + 1 + len > width) {
                                kc_buf_addc(b, '\n');
                                add_spaces(b, indent);
                                used = 0;
                        } else if (w > words) {
                                kc_buf_addc(b, ' ');
                                used++;
                        }
                        kc_buf_adds(b, *w);
                        used += len;
                }
                kc_buf_addc(b, '\n');
        }
}

/* The description of a field, and of what it refers to. */
static void add_descriptions(struct explaining *x, const struct json_object *s)
{
        enum { MAX_NESTING = 16 };
        bool any = false;
        for (int i = 0; s && i < MAX_NESTING; i++) {
                const char *text = kc_json_str(s, "description");
                if (!kc_str_empty(text)) {
                        if (any && x->form->old)
                                kc_buf_addc(&x->out, '\n');
                        add_wrapped(&x->out, text, x->form->text_indent, x->form->width);
                        any = true;
                }
                s = named(s) ? resolved(x, s) : kc_json_is_obj(element_of(s)) ? element_of(s) : NULL;
        }
        if (!any) {
                add_spaces(&x->out, x->form->text_indent);
                kc_buf_adds(&x->out, "<empty>\n");
        }
}

static bool is_required(const struct json_object *parent, const char *field)
{
        const struct json_object *list = kc_json_get(parent, "required");
        for (size_t i = 0; i < kc_json_len(list); i++)
                if (kc_streq(kc_json_as_str(kc_json_idx(list, i)), field))
                        return true;
        return false;
}

/* One value of an enum. */
static const char *value_text(const struct json_object *values, size_t i)
{
        const char *s = kc_json_as_str(kc_json_idx(values, i));
        return kc_str_empty(s) ? "\"\"" : s;
}

static void add_enum_line(struct explaining *x, const struct json_object *s, int indent)
{
        enum { SHOWN = 4 };
        const struct json_object *values = kc_json_get(s, "enum");
        if (kc_json_len(values) == 0 || x->form->old)
                return;
        add_spaces(&x->out, indent);
        kc_buf_adds(&x->out, "enum: ");
        for (size_t i = 0; i < kc_json_len(values) && i < SHOWN; i++)
                kc_buf_addf(&x->out, "%s%s", i ? ", " : "", value_text(values, i));
        kc_buf_adds(&x->out, kc_json_len(values) > SHOWN ? ", ....\n" : "\n");
}

static char **field_names(const struct json_object *s)
{
        char **names = NULL;
        KC_JSON_FOREACH(kc_json_get(s, "properties"), key, val)
        {
                (void)val;
                kc_strv_push(&names, key);
        }
        if (names)
                kc_strv_sort(names);
        return names;
}

/* seen: strv of the schemas that are open, which are not opened again. */
static void add_fields(struct explaining *x, const struct json_object *s, int depth, char ***seen)
{
        KC_CLEANUP(kc_strv_freep) char **names = field_names(s);
        int indent = x->form->field_indent * depth;
        for (char **n = names; n && *n; n++) {
                const struct json_object *field = kc_json_get(kc_json_get(s, "properties"), *n);
                const char *text = kc_json_str(field, "description");
                add_spaces(&x->out, indent);
                kc_buf_addf(&x->out, "%s\t<", *n);
                add_type(x, field, &x->out);
                kc_buf_addf(&x->out, ">%s\n", is_required(s, *n) ? " -required-" : "");
                add_enum_line(x, field, indent);
                if (!opt.recursive) {
                        add_wrapped(&x->out, kc_str_empty(text) ? "<no description>" : text, x->form->text_indent,
                            x->form->width);
                        kc_buf_addc(&x->out, '\n');
                        continue;
                }
                const struct json_object *below = with_fields(x, field);
                KC_CLEANUP(kc_freep) char *id = kc_asprintf("%p", (const void *)below);
                if (kc_json_get(below, "properties") && !kc_strv_has(*seen, id)) {
                        kc_strv_push(seen, id);
                        add_fields(x, below, depth + 1, seen);
                        (void)kc_strv_remove(*seen, id);
                }
        }
}

/* --- what is explained */

static int find_field(
    const struct explaining *x, const struct json_object *root, const struct json_object **ret, struct kc_error *err)
{
        const struct json_object *s = root;
        size_t n = kc_strv_len(x->path);
        for (char **f = x->path; f && *f; f++) {
                s = kc_json_get(kc_json_get(with_fields(x, s), "properties"), *f);
                if (!s)
                        return kc_error_set(err, ENOENT, "field \"%s\" does not exist", x->path[n - 1]);
        }
        *ret = s;
        return 0;
}

static void add_field_head(struct explaining *x, const struct json_object *s, bool has_fields)
{
        const char *name = x->path[kc_strv_len(x->path) - 1];
        const struct json_object *values = kc_json_get(s, "enum");
        kc_buf_adds(&x->out, !x->form->old ? "FIELD: " : has_fields ? "RESOURCE: " : "FIELD:    ");
        kc_buf_addf(&x->out, "%s <", name);
        add_type(x, s, &x->out);
        kc_buf_adds(&x->out, ">\n");
        if (x->form->old)
                return;
        if (kc_json_len(values) == 0)
                kc_buf_addc(&x->out, '\n');
        else
                kc_buf_adds(&x->out, "ENUM:\n");
        for (size_t i = 0; i < kc_json_len(values); i++)
                kc_buf_addf(&x->out, "    %s\n", value_text(values, i));
}

static void add_head(struct explaining *x, const struct kc_api_resource *res)
{
        if (x->form->old) {
                kc_buf_addf(&x->out, "KIND:     %s\nVERSION:  %s%s%s\n\n", res->kind, res->group,
                    res->group[0] ? "/" : "", res->version);
                return;
        }
        if (res->group[0])
                kc_buf_addf(&x->out, "GROUP:      %s\n", res->group);
        kc_buf_addf(&x->out, "KIND:       %s\nVERSION:    %s\n\n", res->kind, res->version);
}

static void add_body(struct explaining *x, const struct json_object *s)
{
        const struct json_object *below = with_fields(x, s);
        bool has_fields = kc_json_n_keys(kc_json_get(below, "properties")) > 0;
        if (x->path) {
                add_field_head(x, s, has_fields);
                kc_buf_addc(&x->out, '\n');
        }
        kc_buf_adds(&x->out, "DESCRIPTION:\n");
        add_descriptions(x, s);
        kc_buf_adds(&x->out, x->form->old ? (has_fields ? "\n" : "") : "    \n");
        if (has_fields) {
                KC_CLEANUP(kc_strv_freep) char **seen = NULL;
                kc_strv_pushf(&seen, "%p", (const void *)below);
                kc_buf_adds(&x->out, "FIELDS:\n");
                add_fields(x, below, 1, &seen);
        }
        if (!x->form->old)
                kc_buf_addc(&x->out, '\n');
}

static const struct json_object *root_schema(const struct explaining *x, const struct kc_api_resource *res)
{
        KC_JSON_FOREACH(x->schemas, key, schema)
        {
                (void)key;
                const struct json_object *list = kc_json_get(schema, "x-kubernetes-group-version-kind");
                for (size_t i = 0; i < kc_json_len(list); i++) {
                        const struct json_object *g = kc_json_idx(list, i);
                        if (kc_streq(kc_json_str(g, "group"), res->group) &&
                            kc_streq(kc_json_str(g, "version"), res->version) &&
                            kc_streq(kc_json_str(g, "kind"), res->kind))
                                return schema;
                }
        }
        return NULL;
}

static int explain(struct kc_cli *c, struct explaining *x, const struct kc_api_resource *res, struct kc_error *err)
{
        KC_CLEANUP(kc_freep)
        char *path =
            kc_asprintf("/openapi/v3/%s%s%s%s", res->group[0] ? "apis/" : "api", res->group, "/", res->version);
        KC_CLEANUP(kc_json_freep) struct json_object *document = NULL;
        int e = kc_cli_fetch(c, path, "application/json", &document, err);
        if (e < 0)
                return e;
        x->schemas = kc_json_at(document, "components.schemas");
        const struct json_object *s = root_schema(x, res);
        if (!s)
                return kc_error_set(
                    err, ENOENT, "couldn't find resource for \"%s/%s, Kind=%s\"", res->group, res->version, res->kind);
        /* The head is there whether or not the field is. */
        if (!x->form->old)
                add_head(x, res);
        e = find_field(x, s, &s, err);
        if (e < 0)
                return e;
        if (x->form->old)
                add_head(x, res);
        add_body(x, s);
        return 0;
}

/* The resource, in the version that was asked for. */
static int find_resource(struct kc_cli *c, const char *type, const struct kc_api_resource **ret, struct kc_error *err)
{
        struct kc_resource_map *map;
        const struct kc_api_resource *res = NULL;
        int e = kc_cli_map(c, &map, err);
        if (e < 0)
                return e;
        if (kc_resource_map_find(map, type, &res, err) < 0) {
                (void)fprintf(c->err, "%s\n", kc_error_message(err)); /* without "error: ", as by kubectl */
                kc_error_done(err);
                return KC_CLI_FAILED;
        }
        if (!kc_str_empty(opt.api_version)) {
                const char *slash = strchr(opt.api_version, '/');
                KC_CLEANUP(kc_freep)
                char *group = slash ? kc_strndup(opt.api_version, (size_t)(slash - opt.api_version)) : kc_strdup("");
                const char *version = slash ? slash + 1 : opt.api_version, *plural = res->resource;
                res = NULL;
                for (size_t i = 0; i < map->n; i++)
                        if (kc_streq(map->v[i].resource, plural) && kc_streq(map->v[i].group, group) &&
                            kc_streq(map->v[i].version, version))
                                res = &map->v[i];
                if (!res)
                        return kc_error_set(
                            err, ENOENT, "couldn't find resource for \"%s/%s, Resource=%s\"", group, version, plural);
        }
        *ret = res;
        return 0;
}

static int run(struct kc_cli *c, char **args, struct kc_error *err)
{
        struct explaining x = {.form = &plain};
        const struct kc_api_resource *res = NULL;
        if (!args[0])
                return kc_error_set(err, EINVAL,
                    "You must specify the type of resource to explain. Use \"%s api-resources\" for a complete list of "
                    "supported resources.",
                    c->program);
        if (args[1])
                return kc_error_set(err, EINVAL, "We accept only this format: explain RESOURCE");
        if (kc_streq(opt.output, "plaintext-openapiv2"))
                x.form = &v2;
        KC_CLEANUP(kc_strv_freep) char **parts = kc_strv_split(args[0], '.');
        /* "pods.spec." is "pods.spec". */
        while (kc_strv_len(parts) > 1 && !parts[kc_strv_len(parts) - 1][0]) {
                size_t last = kc_strv_len(parts) - 1;
                kc_free(parts[last]);
                parts[last] = NULL;
        }
        x.path = parts[0] && parts[1] ? parts + 1 : NULL;
        int e = find_resource(c, parts[0] ? parts[0] : "", &res, err);
        if (e == 0 && !kc_str_empty(opt.output) && !kc_streq(opt.output, "plaintext") && !x.form->old)
                e = kc_error_set(err, EINVAL, "unrecognized format: %s", opt.output);
        if (e == 0)
                e = explain(c, &x, res, err);
        (void)fwrite(kc_buf_str(&x.out), 1, x.out.len, c->out);
        kc_buf_done(&x.out);
        return e;
}

const struct kc_command kc_cmd_explain = {.name = "explain",
    .usage = "explain TYPE[.FIELD...] [--recursive] [--api-version=...] [--output=plaintext]",
    .summary = "Get documentation for a resource",
    .flags = flags,
    .n_flags = KC_ARRAY_LEN(flags),
    .run = run,
    .description = "Says what the fields of a resource are, from the schemas that the server publishes.",
    .examples = "# What a pod is\n"
                "kubec explain pods\n\n"
                "# One field, and what is below it\n"
                "kubec explain pods.spec.containers\n\n"
                "# Names of all fields\n"
                "kubec explain deployments --recursive",
    .completes = KC_ARGS_TYPE};
