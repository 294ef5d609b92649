/* The schema against the facts of upstream's release. KUBEC_API_REFERENCE names their directory (definitions.jsonl,
 * proto-fields.jsonl, discovery-aggregated-v2.json, table-columns.json, operations.jsonl, samples/); without it nothing
 * is checked. testdata/reference_differences lists what is known to differ, each with its reason; one that no longer
 * does is an error, too. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/codec.h"
#include "api/discovery.h"
#include "api/protobuf.h"
#include "api/table.h"
#include "base/file.h"
#include "base/map.h"
#include "base/str.h"

#define V1 "io.k8s.api."

static const char *directory;
static char **found; /* "definition io.k8s...: got ... want ..." */

/* What differs, in few words, and the two sides of it. */
static void differ(const char *got, const char *want, const char *fmt, ...) KC_PRINTF(3, 4);

static void differ(const char *got, const char *want, const char *fmt, ...)
{
        va_list ap;
        va_start(ap, fmt);
        char *what = NULL;
        assert_true(vasprintf(&what, fmt, ap) >= 0);
        va_end(ap);
        kc_strv_pushf(&found, "%s\n    got  %s\n    want %s", what, got ? got : "nothing", want ? want : "nothing");
        free(what); /* vasprintf()'s */
}

static bool given(void)
{
        directory = getenv("KUBEC_API_REFERENCE");
        return directory != NULL;
}

static struct json_object *parse(const char *text, size_t len)
{
        struct json_object *o = NULL;
        struct kc_error err = KC_ERROR_INIT;
        if (kc_json_parse(text, len, NULL, &o, &err) < 0)
                fail_msg("%.*s: %s", (int)KC_MIN(len, (size_t)200), text, kc_error_message(&err));
        return o;
}

static struct kc_buf slurp(const char *name)
{
        KC_CLEANUP(kc_freep) char *path = kc_asprintf("%s/%s", directory, name);
        struct kc_buf b = KC_BUF_INIT;
        struct kc_error err = KC_ERROR_INIT;
        if (kc_file_read(path, SIZE_MAX, &b, &err) < 0)
                fail_msg("%s", kc_error_message(&err));
        return b;
}

/* One JSON value per line. */
static void each_line(const char *name, void (*fn)(const struct json_object *o, void *arg), void *arg)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf b = slurp(name);
        KC_CLEANUP(kc_strv_freep) char **lines = kc_strv_split(kc_buf_str(&b), '\n');
        for (char **l = lines; *l; l++) {
                if (!**l)
                        continue;
                KC_CLEANUP(kc_json_freep) struct json_object *o = parse(*l, strlen(*l));
                fn(o, arg);
        }
}

static char *sorted(const struct json_object *o)
{
        struct kc_buf b = KC_BUF_INIT;
        kc_json_write_sorted(&b, o);
        return kc_buf_take_str(&b);
}

/* Lists in which the order says nothing. */
static char *sorted_words(const struct json_object *a)
{
        KC_CLEANUP(kc_strv_freep) char **v = NULL;
        for (size_t i = 0; i < kc_json_len(a); i++)
                kc_strv_push(&v, kc_json_as_str(kc_json_idx(a, i)));
        if (!v)
                return kc_strdup("");
        kc_strv_sort(v);
        return kc_strv_join(v, " ");
}

static void compare(const struct json_object *got, const struct json_object *want, const char *what, const char *where)
{
        KC_CLEANUP(kc_freep) char *a = sorted(got);
        KC_CLEANUP(kc_freep) char *b = sorted(want);
        if (!kc_streq(a, b))
                differ(a, b, "%s %s", what, where);
}

/* --- definitions */

static void without_descriptions(struct json_object *schema)
{
        kc_json_del(schema, "description");
        struct json_object *items = kc_json_get_mut(schema, "items");
        struct json_object *more = kc_json_get_mut(schema, "additionalProperties");
        if (items)
                without_descriptions(items);
        if (more)
                without_descriptions(more);
}

static void compare_properties(const char *name, struct json_object *ours, const struct json_object *theirs)
{
        struct json_object *have = kc_json_get_mut(ours, "properties");
        const struct json_object *want = kc_json_get(theirs, "properties");
        KC_JSON_FOREACH(want, key, val)
        {
                KC_CLEANUP(kc_freep) char *where = kc_asprintf("%s.%s", name, key);
                struct json_object *p = kc_json_get_mut(have, key);
                if (p)
                        without_descriptions(p);
                compare(p, val, "property", where);
        }
        KC_JSON_FOREACH(have, key, val)
        {
                (void)val; /* theirs has none */
                if (!kc_json_get(want, key))
                        differ("a property", NULL, "property %s.%s", name, key);
        }
}

static void compare_definition(const struct json_object *theirs, void *arg)
{
        struct json_object *definitions = kc_json_get_mut(arg, "definitions");
        const char *name = kc_json_str(theirs, "name");
        struct json_object *ours = kc_json_get_mut(definitions, name);
        if (!ours) {
                differ(NULL, "a definition", "definition %s", name);
                return;
        }
        compare_properties(name, ours, theirs);
        KC_CLEANUP(kc_freep) char *have = sorted_words(kc_json_get(ours, "required"));
        KC_CLEANUP(kc_freep) char *want = sorted_words(kc_json_get(theirs, "required"));
        if (!kc_streq(have, want))
                differ(have, want, "required %s", name);
        static const char *const members[] = {
            "type", "format", "x-kubernetes-group-version-kind", "x-kubernetes-map-type", "x-kubernetes-unions"};
        for (size_t i = 0; i < KC_ARRAY_LEN(members); i++)
                compare(kc_json_get(ours, members[i]), kc_json_get(theirs, members[i]), members[i], name);
        kc_json_del(definitions, name);
}

static void check_definitions(void)
{
        KC_CLEANUP(kc_json_freep) struct json_object *doc = kc_openapi_v2();
        each_line("definitions.jsonl", compare_definition, doc);
        KC_JSON_FOREACH(kc_json_get(doc, "definitions"), key, val)
        {
                (void)val; /* theirs has none */
                differ("a definition", NULL, "definition %s", key);
        }
}

/* --- protobuf */

/* "io.k8s.api.core.v1.Pod" for "k8s.io.api.core.v1.Pod". Heap. */
static char *type_name(const char *message)
{
        KC_CLEANUP(kc_freep) char *dashes = kc_str_replace_all(message, "_", "-");
        return kc_asprintf("io.k8s.%s", dashes + strlen("k8s.io."));
}

/* Names without case and signs: "aPIGroup" is apiGroup, "xKubernetesMapType" x-kubernetes-map-type. */
static bool same_name(const char *a, const char *b)
{
        for (;;) {
                while (*a && strchr("-$", *a))
                        a++;
                while (*b && strchr("-$", *b))
                        b++;
                if ((*a | 0x20) != (*b | 0x20))
                        return false;
                if (!*a)
                        return true;
                a++, b++;
        }
}

static const char *const wire_types[] = {[KC_TYPE_STRING] = "string",
    [KC_TYPE_INT32] = "int32",
    [KC_TYPE_INT64] = "int64",
    [KC_TYPE_DOUBLE] = "double",
    [KC_TYPE_BOOL] = "bool",
    [KC_TYPE_BYTES] = "bytes"};

/* Whether the type is encoded as that type of the .proto file, seen from its package. */
static bool is_wire_type(const struct kc_type *t, const char *proto, const char *package)
{
        if (t->kind >= KC_TYPE_STRING && t->kind <= KC_TYPE_BYTES)
                return kc_streq(wire_types[t->kind], proto);
        if (kc_str_has_prefix(proto, "map<string,"))
                return t->kind == KC_TYPE_MAP; /* its values are compared by the samples */
        KC_CLEANUP(kc_freep)
        char *full = *proto == '.' ? type_name(proto + 1) : kc_asprintf("%s.%s", package, proto);
        if (t->kind == KC_TYPE_RAW)
                return kc_str_has_suffix(full, "RawExtension") || kc_str_has_suffix(full, "FieldsV1") ||
                       kc_streq(full, t->name);
        return kc_streq(full, t->name);
}

struct message {
        const struct kc_type *type;
        const char *name;
        char *package;
};

static void compare_fields(const struct message *m, const struct json_object *fields, int outer, struct kc_map *all)
{
        KC_JSON_FOREACH(fields, key, val)
        {
                int number = (int)json_object_get_int64(kc_json_idx(val, 0));
                const char *proto = kc_json_as_str(kc_json_idx(val, 1)), *label = kc_json_as_str(kc_json_idx(val, 2));
                const struct kc_field *f = NULL;
                for (size_t i = 0; i < m->type->n_fields && !f; i++)
                        if (same_name(m->type->fields[i].name, key))
                                f = &m->type->fields[i];
                KC_CLEANUP(kc_freep) char *package = kc_strdup(m->package);
                if (!f) { /* embedded, or none of ours */
                        KC_CLEANUP(kc_freep)
                        char *embedded = *proto == '.' ? type_name(proto + 1) : kc_asprintf("%s.%s", m->package, proto);
                        const struct json_object *inner = kc_map_get(all, embedded);
                        if (inner)
                                compare_fields(m, inner, outer << KC_WIRE_BITS | number, all);
                        else
                                differ(NULL, proto, "wire %s.%s", m->name, key);
                        continue;
                }
                const struct kc_type *t = f->type;
                bool repeated = kc_streq(label, "repeated"), wrapped = f->flags & KC_FIELD_WRAPPED;
                if (repeated && t->kind == KC_TYPE_ARRAY)
                        t = t->elem;
                if (f->wire != (outer << KC_WIRE_BITS | number) || (!wrapped && !is_wire_type(t, proto, package))) {
                        KC_CLEANUP(kc_freep) char *got = kc_asprintf("%d %s", f->wire, t->name ? t->name : "");
                        KC_CLEANUP(kc_freep)
                        char *want = kc_asprintf("%d %s", outer << KC_WIRE_BITS | number, proto);
                        differ(got, want, "wire %s.%s", m->name, f->name);
                }
        }
}

static void remember_message(const struct json_object *o, void *arg)
{
        KC_CLEANUP(kc_freep) char *name = type_name(kc_json_str(o, "message"));
        (void)kc_map_set(arg, name, kc_json_copy(kc_json_get(o, "fields"))); /* each comes once */
}

static void free_json(void *o)
{
        kc_json_free(o);
}

static void check_wire(void)
{
        struct kc_map *all = kc_map_new(free_json);
        each_line("proto-fields.jsonl", remember_message, all);
        size_t n;
        const struct kc_type *const *types = kc_schema_types(&n);
        for (size_t i = 0; i < n; i++) {
                struct message m = {.type = types[i], .name = types[i]->name};
                const struct json_object *fields = kc_map_get(all, m.name);
                if (!fields && m.type->n_fields > 0)
                        differ("a type", NULL, "wire %s", m.name);
                if (!fields || m.type->kind != KC_TYPE_OBJECT)
                        continue;
                m.package = kc_strndup(m.name, (size_t)(strrchr(m.name, '.') - m.name));
                compare_fields(&m, fields, 0, all);
                for (size_t k = 0; k < m.type->n_fields; k++)
                        if (m.type->fields[k].wire == 0 && !kc_streq(m.type->fields[k].name, "kind") &&
                            !kc_streq(m.type->fields[k].name, "apiVersion"))
                                differ("a field", NULL, "wire %s.%s", m.name, m.type->fields[k].name);
                kc_free(m.package);
        }
        kc_map_free(all);
}

/* --- discovery */

static const char *group_name(const struct json_object *item)
{
        const char *name = kc_json_str_at(item, "metadata.name");
        return name ? name : "";
}

static void compare_resources(
    const char *group, const struct json_object *ours, const struct json_object *theirs, const char *version)
{
        for (size_t i = 0; i < KC_MAX(kc_json_len(ours), kc_json_len(theirs)); i++) {
                const struct json_object *a = kc_json_idx(ours, i), *b = kc_json_idx(theirs, i);
                KC_CLEANUP(kc_freep)
                char *where = kc_asprintf("%s/%s/%s", group, version, kc_json_str(b ? b : a, "resource"));
                compare(a, b, "discovery", where);
        }
}

static void compare_group(const struct json_object *ours, const struct json_object *theirs)
{
        const struct json_object *a = kc_json_get(ours, "versions"), *b = kc_json_get(theirs, "versions");
        if (!kc_streq(group_name(ours), group_name(theirs)))
                differ(group_name(ours), group_name(theirs), "discovery group");
        for (size_t i = 0; i < kc_json_len(b); i++) {
                const struct json_object *x = kc_json_idx(a, i), *y = kc_json_idx(b, i);
                const char *version = kc_json_str(y, "version");
                if (!kc_streq(kc_json_str(x, "version"), version))
                        differ(kc_json_str(x, "version"), version, "discovery version of %s", group_name(theirs));
                compare_resources(
                    group_name(theirs), kc_json_get(x, "resources"), kc_json_get(y, "resources"), version);
        }
}

static void check_discovery(void)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf b = slurp("discovery-aggregated-v2.json");
        KC_CLEANUP(kc_json_freep) struct json_object *theirs = parse(kc_buf_str(&b), b.len);
        KC_CLEANUP(kc_json_freep) struct json_object *core = kc_discovery_aggregated(true);
        KC_CLEANUP(kc_json_freep) struct json_object *groups = kc_discovery_aggregated(false);
        const struct json_object *items = kc_json_get(theirs, "items");
        compare_group(kc_json_idx(kc_json_get(core, "items"), 0), kc_json_idx(items, 0));
        assert_int_equal(kc_json_len(kc_json_get(groups, "items")), kc_json_len(items) - 1);
        for (size_t i = 1; i < kc_json_len(items); i++)
                compare_group(kc_json_idx(kc_json_get(groups, "items"), i - 1), kc_json_idx(items, i));
}

/* --- columns */

static void check_columns(void)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf b = slurp("table-columns.json");
        KC_CLEANUP(kc_json_freep) struct json_object *all = parse(kc_buf_str(&b), b.len);
        KC_JSON_FOREACH(all, key, want)
        {
                KC_CLEANUP(kc_strv_freep) char **parts = kc_strv_split(key, '/');
                bool core = kc_strv_len(parts) == 2;
                const struct kc_resource *r =
                    kc_schema_resource(core ? "" : parts[0], parts[core ? 0 : 1], parts[core ? 1 : 2]);
                if (!r) {
                        differ(NULL, "a resource", "columns %s", key);
                        continue;
                }
                KC_CLEANUP(kc_json_freep) struct json_object *table = kc_table_new(r);
                struct json_object *columns = kc_json_get_mut(table, "columnDefinitions");
                for (size_t i = 0; i < kc_json_len(columns); i++) {
                        struct json_object *c = kc_json_idx_mut(columns, i);
                        kc_json_del(c, "description");
                        if (kc_str_empty(kc_json_str(c, "format")))
                                kc_json_del(c, "format");
                        if (kc_json_int(c, "priority", 0) == 0)
                                kc_json_del(c, "priority");
                }
                compare(columns, want, "columns", key);
        }
}

/* --- operations of OpenAPI */

/* "pretty-tJGM1-ng" is how upstream names shared parameters: the last nine characters are a hash. */
static char *parameter_name(const char *s)
{
        size_t len = strlen(s);
        return len > 9 && s[len - 9] == '-' ? kc_strndup(s, len - 9) : kc_strdup(s);
}

static char *parameter_names(const struct json_object *lists[2])
{
        KC_CLEANUP(kc_strv_freep) char **v = NULL;
        for (size_t k = 0; k < 2; k++) {
                for (size_t i = 0; i < kc_json_len(lists[k]); i++) {
                        const struct json_object *p = kc_json_idx(lists[k], i);
                        const char *s = kc_json_as_str(p) ? kc_json_as_str(p) : kc_json_str(p, "name");
                        const char *ref = kc_json_str(p, "$ref");
                        kc_strv_push_take(&v, parameter_name(s ? s : strrchr(ref, '/') + 1));
                }
        }
        if (!v)
                return kc_strdup("");
        kc_strv_sort(v);
        return kc_strv_join(v, " ");
}

static char *responses(const struct json_object *r)
{
        KC_CLEANUP(kc_strv_freep) char **v = NULL;
        KC_JSON_FOREACH(r, code, val)
        {
                const char *ref = kc_json_str_at(val, "schema.$ref"), *type = kc_json_str_at(val, "schema.type");
                const char *text = kc_json_as_str(val) ? kc_json_as_str(val) : ref ? strrchr(ref, '/') + 1 : type;
                kc_strv_pushf(&v, "%s:%s", code, text ? text : "-");
        }
        if (!v)
                return kc_strdup("");
        kc_strv_sort(v);
        return kc_strv_join(v, " ");
}

static void compare_text(const char *got, const char *want, const char *what, const char *where)
{
        if (!kc_streq(got, want))
                differ(got, want, "%s %s", what, where);
}

static void compare_operation(const struct json_object *want, void *arg)
{
        const char *path = kc_json_str(want, "path"), *method = kc_json_str(want, "method");
        char verb[16] = "";
        for (size_t i = 0; method[i] && i < sizeof(verb) - 1; i++)
                verb[i] = (char)(method[i] | 0x20);
        const struct json_object *item = kc_json_get(kc_json_get(arg, "paths"), path), *op = kc_json_get(item, verb);
        KC_CLEANUP(kc_freep) char *where = kc_asprintf("%s %s", method, path);
        if (!op) {
                differ(NULL, kc_json_str(want, "operationId"), "operation %s", where);
                return;
        }
        compare_text(kc_json_str(op, "operationId"), kc_json_str(want, "operationId"), "operationId", where);
        compare_text(kc_json_str(op, "x-kubernetes-action"), kc_json_str(want, "action"), "action", where);
        compare(kc_json_get(op, "x-kubernetes-group-version-kind"), kc_json_get(want, "gvk"), "gvk", where);
        KC_CLEANUP(kc_freep)
        char *have_parameters = parameter_names(
            (const struct json_object *[]){kc_json_get(item, "parameters"), kc_json_get(op, "parameters")});
        KC_CLEANUP(kc_freep)
        char *want_parameters = parameter_names((const struct json_object *[]){kc_json_get(want, "parameters"), NULL});
        compare_text(have_parameters, want_parameters, "parameters", where);
        KC_CLEANUP(kc_freep) char *have_responses = responses(kc_json_get(op, "responses"));
        KC_CLEANUP(kc_freep) char *want_responses = responses(kc_json_get(want, "responses"));
        compare_text(have_responses, want_responses, "responses", where);
        static const char *const media[] = {"consumes", "produces"};
        for (size_t i = 0; i < KC_ARRAY_LEN(media); i++) {
                KC_CLEANUP(kc_freep) char *a = sorted_words(kc_json_get(op, media[i]));
                KC_CLEANUP(kc_freep) char *b = sorted_words(kc_json_get(want, media[i]));
                compare_text(a, b, media[i], where);
        }
}

static void check_operations(void)
{
        KC_CLEANUP(kc_json_freep) struct json_object *doc = kc_openapi_v2();
        each_line("operations.jsonl", compare_operation, doc);
}

/* --- samples */

/* The type of a sample of a kind that we have in that version, or NULL. */
static const struct kc_type *sample_type(const char *api_version, const char *kind)
{
        KC_CLEANUP(kc_freep) char *group = NULL;
        KC_CLEANUP(kc_freep) char *version = NULL;
        kc_api_version_split(api_version, &group, &version);
        const struct kc_resource *r = kc_schema_kind(group, version, kind);
        if (r)
                return r->type;
        KC_CLEANUP(kc_freep) char *first = kc_strndup(group, strcspn(group, "."));
        const char *packages[] = {*first ? first : "core"};
        KC_CLEANUP(kc_freep) char *name = kc_asprintf(V1 "%s.%s.%s", packages[0], version, kind);
        const struct kc_type *t = kc_schema_type(name);
        if (t || *group)
                return t;
        KC_CLEANUP(kc_freep) char *meta = kc_asprintf("io.k8s.apimachinery.pkg.apis.meta.%s.%s", version, kind);
        return kc_schema_type(meta);
}

static void compare_bytes(const char *name, const struct kc_buf *got, const struct kc_buf *want)
{
        size_t same = 0;
        while (same < KC_MIN(got->len, want->len) && got->data[same] == want->data[same])
                same++;
        if (got->len == want->len && same == want->len)
                return;
        KC_CLEANUP(kc_freep) char *what = kc_asprintf("%zu bytes, the first that differs is %zu", got->len, same);
        KC_CLEANUP(kc_freep) char *size = kc_asprintf("%zu bytes", want->len);
        differ(what, size, "sample %s as protobuf", name);
}

static bool check_sample(const char *name)
{
        KC_CLEANUP(kc_freep) char *pb_name = kc_asprintf("samples/%s.pb", name);
        KC_CLEANUP(kc_freep) char *json_name = kc_asprintf("samples/%s.json", name);
        KC_CLEANUP(kc_buf_done) struct kc_buf pb = slurp(pb_name);
        KC_CLEANUP(kc_buf_done) struct kc_buf json = slurp(json_name);
        KC_CLEANUP(kc_buf_done) struct kc_buf out = KC_BUF_INIT;
        KC_CLEANUP(kc_freep) char *api_version = NULL;
        KC_CLEANUP(kc_freep) char *kind = NULL;
        KC_CLEANUP(kc_json_freep) struct json_object *got = NULL;
        KC_CLEANUP(kc_strv_freep) char **unknown = NULL;
        struct kc_error err = KC_ERROR_INIT;
        const char *raw;
        size_t len;
        if (kc_protobuf_unwrap(pb.data, pb.len, &api_version, &kind, &raw, &len, &err) < 0)
                fail_msg("%s: %s", name, kc_error_message(&err));
        const struct kc_type *type = sample_type(api_version, kind);
        if (!type)
                return false;
        KC_CLEANUP(kc_json_freep) struct json_object *want = parse(json.data, json.len);
        KC_CLEANUP(kc_freep) char *raw_text = sorted(want);
        if (kc_protobuf_decode(raw, len, type, &got, &err) < 0)
                fail_msg("%s: %s", name, kc_error_message(&err));
        if (kc_type_field(type, "kind")) {
                kc_json_set_str(got, "kind", kind);
                kc_json_set_str(got, "apiVersion", api_version);
        }
        if (kc_codec_decode(got, type, NULL, &err) < 0 || kc_codec_decode(want, type, &unknown, &err) < 0)
                fail_msg("%s: %s", name, kc_error_message(&err));
        KC_CLEANUP(kc_freep) char *got_text = sorted(got);
        compare_text(got_text, raw_text, "sample as JSON", name);
        if (unknown)
                differ(unknown[0], NULL, "sample %s: unknown fields", name);
        if (kc_protobuf_write(want, type, &out, &err) < 0)
                fail_msg("%s: %s", name, kc_error_message(&err));
        compare_bytes(name, &out, &pb);
        return true;
}

static void check_samples(void)
{
        KC_CLEANUP(kc_freep) char *path = kc_asprintf("%s/samples", directory);
        DIR *dir = opendir(path);
        assert_non_null(dir);
        int known = 0;
        for (struct dirent *e; (e = readdir(dir));) {
                if (!kc_str_has_suffix(e->d_name, ".pb"))
                        continue;
                KC_CLEANUP(kc_freep) char *name = kc_strndup(e->d_name, strlen(e->d_name) - 3);
                known += check_sample(name);
        }
        closedir(dir);
        print_message("%d samples\n", known);
        assert_true(known > 40);
}

/* --- what is known to differ: "<what> # <reason>" by line */

static void check_known(void)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        struct kc_error err = KC_ERROR_INIT;
        if (kc_file_read(TEST_DATA_DIR "/reference_differences", SIZE_MAX, &b, &err) < 0)
                fail_msg("%s", kc_error_message(&err));
        struct kc_map *known = kc_map_new(NULL);
        KC_CLEANUP(kc_strv_freep) char **lines = kc_strv_split(kc_buf_str(&b), '\n');
        int bad = 0;
        for (char **l = lines; *l; l++) {
                char *reason = strstr(*l, " # ");
                if (!**l || **l == '#')
                        continue;
                if (!reason || !reason[3])
                        fail_msg("a difference without a reason: %s", *l);
                *reason = '\0';
                (void)kc_map_set(known, *l, *l);
        }
        for (char **f = found; f && *f; f++) {
                char *end = strchr(*f, '\n');
                KC_CLEANUP(kc_freep) char *what = kc_strndup(*f, (size_t)(end - *f));
                if (kc_map_remove(known, what))
                        continue;
                print_message("%s\n", *f);
                bad++;
        }
        KC_CLEANUP(kc_strv_freep) char **left = kc_map_sorted_keys(known);
        for (char **l = left; l && *l; l++, bad++)
                print_message("no longer differs: %s\n", *l);
        kc_map_free(known);
        if (bad > 0)
                fail_msg("%d differences", bad);
}

static void test_reference(void **state)
{
        (void)state;
        if (!given())
                skip();
        check_definitions();
        check_wire();
        check_discovery();
        check_columns();
        check_operations();
        check_samples();
        check_known();
        kc_strv_free(found);
        found = NULL;
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_reference)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
