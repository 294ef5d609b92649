/* Writes the model as C: one file of types and resources per group-version, and one that lists them all.
 *
 * Types without a name (arrays, maps, strings with allowed words) and lists of words are written once per file, however
 * often they are used. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "base/buf.h"
#include "base/encode.h"
#include "base/map.h"
#include "model.h"

struct out {
        const struct model *model;
        const struct group_version *gv;
        struct kc_map *known; /* text of a definition -> name of the constant */
        struct kc_buf shared; /* definitions that others refer to */
        struct kc_buf body;
        size_t n_names;
};

static const struct {
        const char *name, *constant;
} scalars[] = {
    {"bool", "BOOL"},
    {"bytes", "BYTES"},
    {"double", "DOUBLE"},
    {"duration", "DURATION"},
    {"int-or-string", "INT_OR_STRING"},
    {"int32", "INT32"},
    {"int64", "INT64"},
    {"micro-time", "MICRO_TIME"},
    {"quantity", "QUANTITY"},
    {"raw", "RAW"},
    {"string", "STRING"},
    {"time", "TIME"},
};

static void add_string(struct kc_buf *b, const char *s)
{
        if (!s) {
                kc_buf_adds(b, "NULL");
                return;
        }
        kc_buf_addc(b, '"');
        for (; *s; s++) {
                if (*s == '"' || *s == '\\')
                        kc_buf_addc(b, '\\');
                if ((unsigned char)*s < ' ')
                        kc_buf_addf(b, "\\%03o", (unsigned)*s);
                else
                        kc_buf_addc(b, *s);
        }
        kc_buf_addc(b, '"');
}

/* The name of a constant with this definition ("<type> %s<brackets> = <value>;"), written if it is new. */
static const char *shared(struct out *o, const char *type, const char *brackets, const char *value)
{
        char *definition = kc_asprintf("%s|%s|%s", type, brackets, value);
        char *name = kc_map_get(o->known, definition);
        if (!name) {
                name = kc_asprintf("s%zu", o->n_names++);
                (void)kc_map_set(o->known, definition, name); /* it is new */
                kc_buf_addf(&o->shared, "static const %s%s%s = %s;\n", type, name, brackets, value);
        }
        kc_free(definition);
        return name;
}

static const char *shared_words(struct out *o, char **words)
{
        if (!words)
                return "NULL";
        struct kc_buf b = KC_BUF_INIT;
        kc_buf_addc(&b, '{');
        for (char **w = words; *w; w++) {
                add_string(&b, *w);
                kc_buf_adds(&b, ", ");
        }
        kc_buf_adds(&b, "NULL}");
        const char *name = shared(o, "char *const ", "[]", kc_buf_str(&b));
        kc_buf_done(&b);
        return name;
}

static const struct type *find_type(const struct group_version *gv, const char *name)
{
        for (size_t i = 0; i < gv->n_types; i++)
                if (kc_streq(gv->types[i].name, name))
                        return &gv->types[i];
        return NULL;
}

/* "Container" of this file or "meta.v1.ObjectMeta": "&kc_t_meta_v1_ObjectMeta". */
static char *named_type(const struct out *o, const char *name)
{
        const char *dot = strrchr(name, '.');
        if (!dot && find_type(o->gv, name))
                return kc_asprintf("&kc_t_%s_%s", o->gv->symbol, name);
        for (size_t i = 0; dot && i < o->model->n; i++) {
                const struct group_version *gv = &o->model->v[i];
                char *prefix = kc_str_replace_all(gv->symbol, "_", ".");
                bool here = strlen(prefix) == (size_t)(dot - name) && kc_str_has_prefix(name, prefix);
                kc_free(prefix);
                if (here && find_type(gv, dot + 1))
                        return kc_asprintf("&kc_t_%s_%s", gv->symbol, dot + 1);
        }
        die(o->gv->file, 0, "unknown type \"%s\"", name);
}

static const char *list_type(const struct out *o, const struct field *f)
{
        if (!f->list || kc_streq(f->list, "atomic"))
                return "KC_LIST_ATOMIC";
        if (kc_streq(f->list, "set"))
                return "KC_LIST_SET";
        if (kc_streq(f->list, "map"))
                return "KC_LIST_MAP";
        die(o->gv->file, 0, "unknown list type \"%s\" of field \"%s\"", f->list, f->name);
}

/* An expression for the type that is written so; what the field adds (list type, enum) goes to the part it belongs to.
 */
static char *type_ref(struct out *o, const char *t, const struct field *f)
{
        bool array = kc_str_has_prefix(t, "[]"), map = kc_str_has_prefix(t, "map[string]");
        char *value;
        if (array) {
                char *elem = type_ref(o, t + 2, f);
                value = kc_asprintf("{.kind = KC_TYPE_ARRAY, .elem = %s, .list_type = %s, .list_map_keys = %s%s}", elem,
                    list_type(o, f), shared_words(o, f->keys), f->list ? "" : ", .list_type_unset = true");
                kc_free(elem);
        } else if (map) {
                char *elem = type_ref(o, t + strlen("map[string]"), f);
                value = kc_asprintf("{.kind = KC_TYPE_MAP, .elem = %s}", elem);
                kc_free(elem);
        } else if (kc_streq(t, "string") && f->enums) {
                value = kc_asprintf("{.kind = KC_TYPE_STRING, .enums = %s}", shared_words(o, f->enums));
        } else {
                for (size_t i = 0; i < KC_ARRAY_LEN(scalars); i++)
                        if (kc_streq(t, scalars[i].name))
                                return kc_asprintf("&kc_schema_scalars[KC_TYPE_%s]", scalars[i].constant);
                return named_type(o, t);
        }
        char *ref = kc_asprintf("&%s", shared(o, "struct kc_type ", "", value));
        kc_free(value);
        return ref;
}

static void add_flags(struct kc_buf *b, const struct field *f)
{
        const struct {
                bool set;
                const char *name;
        } flags[] = {
            {f->required, "KC_FIELD_REQUIRED"},
            {f->patch_merge, "KC_FIELD_PATCH_MERGE"},
            {f->patch_replace, "KC_FIELD_PATCH_REPLACE"},
            {f->patch_retain_keys, "KC_FIELD_PATCH_RETAIN_KEYS"},
            {f->map_atomic, "KC_FIELD_MAP_ATOMIC"},
            {f->map_granular, "KC_FIELD_MAP_GRANULAR"},
            {f->wrapped, "KC_FIELD_WRAPPED"},
            {!f->required && !f->keep, "KC_FIELD_OMIT_EMPTY"},
            {f->type[0] == '*', "KC_FIELD_POINTER"},
        };
        const char *sep = "";
        for (size_t i = 0; i < KC_ARRAY_LEN(flags); i++) {
                if (!flags[i].set)
                        continue;
                kc_buf_addf(b, "%s%s", sep, flags[i].name);
                sep = " | ";
        }
        if (!*sep)
                kc_buf_addc(b, '0');
}

static void add_field(struct out *o, struct kc_buf *b, const struct field *f)
{
        char *type = type_ref(o, f->type[0] == '*' ? f->type + 1 : f->type, f);
        kc_buf_adds(b, "    {");
        add_string(b, f->name);
        kc_buf_addf(b, ", %s, ", type);
        add_flags(b, f);
        kc_buf_addf(b, ", %d, ", f->wire);
        add_string(b, f->patch_key);
        kc_buf_adds(b, ", ");
        add_string(b, f->default_json);
        kc_buf_adds(b, ", ");
        add_string(b, f->doc);
        kc_buf_adds(b, "},\n");
        kc_free(type);
}

static int by_name(const void *a, const void *b)
{
        const struct field *const *x = a, *const *y = b;
        return strcmp((*x)->name, (*y)->name);
}

/* All fields of the type, apiVersion and kind included, sorted by name; *ret_order their indexes as they are encoded.
 */
static const struct field **sorted_fields(const struct type *t, size_t *ret_n, unsigned **ret_order)
{
        static const struct field meta[] = {
            {.name = "kind", .type = "string", .doc = "Kind of the object."},
            {.name = "apiVersion",
                .type = "string",
                .doc = "Group and version of the kind that the object is written in."},
        };
        size_t n = 0, extra = t->type_meta ? KC_ARRAY_LEN(meta) : 0;
        const struct field **encoded = kc_calloc(t->n_fields + extra + 1, sizeof(void *));
        for (size_t i = 0; i < extra; i++)
                encoded[n++] = &meta[i];
        for (size_t i = 0; i < t->n_fields; i++)
                encoded[n++] = &t->fields[i];
        const struct field **sorted = kc_calloc(n + 1, sizeof(void *));
        for (size_t i = 0; i < n; i++)
                sorted[i] = encoded[i];
        qsort(sorted, n, sizeof(void *), by_name);
        *ret_order = kc_calloc(n + 1, sizeof(**ret_order));
        for (size_t i = 0; i < n; i++)
                for (size_t k = 0; k < n; k++)
                        if (sorted[k] == encoded[i])
                                (*ret_order)[i] = (unsigned)k;
        kc_free(encoded);
        *ret_n = n;
        return sorted;
}

static void add_type(struct out *o, const struct type *t)
{
        size_t n;
        unsigned *order;
        const struct field **fields = sorted_fields(t, &n, &order);
        if (n > 0) {
                struct kc_buf b = KC_BUF_INIT;
                for (size_t i = 0; i < n; i++)
                        add_field(o, &b, fields[i]);
                kc_buf_addf(&o->body, "static const struct kc_field f_%s[] = {\n%s};\n", t->name, kc_buf_str(&b));
                kc_buf_addf(&o->body, "static const uint16_t o_%s[] = {", t->name);
                for (size_t i = 0; i < n; i++)
                        kc_buf_addf(&o->body, "%s%u", i ? ", " : "", order[i]);
                kc_buf_adds(&o->body, "};\n");
                kc_buf_done(&b);
        }
        kc_buf_addf(&o->body, "const struct kc_type kc_t_%s_%s = {.name = \"%s.%s\", .kind = KC_TYPE_%s", o->gv->symbol,
            t->name, o->gv->package, t->name,
            t->any_object ? "RAW"
            : t->any      ? "RAW, .preserve_unknown = true"
            : t->variant  ? "VARIANT"
                          : "OBJECT");
        if (n > 0)
                kc_buf_addf(&o->body, ", .fields = f_%s, .n_fields = %zu, .order = o_%s", t->name, n, t->name);
        if (t->map_atomic)
                kc_buf_adds(&o->body, ", .map_atomic = true");
        if (t->union_fields)
                kc_buf_addf(&o->body, ", .union_fields = %s", shared_words(o, t->union_fields));
        kc_buf_adds(&o->body, ", .doc = ");
        add_string(&o->body, t->doc);
        kc_buf_adds(&o->body, "};\n");
        kc_free(fields);
        kc_free(order);
}

static const struct group_version *find_version(const struct model *m, const char *group, const char *version)
{
        for (size_t i = 0; i < m->n; i++)
                if (kc_streq(m->v[i].group, group) && kc_streq(m->v[i].version, version))
                        return &m->v[i];
        return NULL;
}

static void add_subresource(struct out *o, struct kc_buf *b, const struct subresource *s)
{
        const char *group = s->group ? s->group : o->gv->group, *version = s->version ? s->version : o->gv->version;
        const struct group_version *gv = find_version(o->model, group, version);
        kc_buf_addf(b, "    {\"%s\", 0x%x, \"%s\", \"%s\", \"%s\", ", s->name, s->verbs, group, version, s->kind);
        /* The log of a pod is declared with kind Pod, but has no such body. */
        if (gv && find_type(gv, s->kind) && !kc_streq(s->name, "log"))
                kc_buf_addf(b, "&kc_t_%s_%s},\n", gv->symbol, s->kind);
        else
                kc_buf_adds(b, "NULL},\n");
}

/* Returns how many are served. */
static size_t add_subresources(struct out *o, const struct resource *r, size_t at)
{
        struct kc_buf b = KC_BUF_INIT;
        size_t n = 0;
        for (size_t i = 0; i < r->n_subresources; i++) {
                if (!r->subresources[i].served)
                        continue;
                add_subresource(o, &b, &r->subresources[i]);
                n++;
        }
        if (n > 0)
                kc_buf_addf(&o->body, "static const struct kc_subresource r%zu_sub[] = {\n%s};\n", at, kc_buf_str(&b));
        kc_buf_done(&b);
        return n;
}

static void add_columns(struct out *o, const struct resource *r, size_t at)
{
        if (r->n_columns == 0)
                return;
        kc_buf_addf(&o->body, "static const struct kc_column r%zu_col[] = {\n", at);
        for (size_t i = 0; i < r->n_columns; i++) {
                const struct column *c = &r->columns[i];
                kc_buf_addf(
                    &o->body, "    {\"%s\", \"%s\", \"%s\", NULL, ", c->name, c->type, c->format ? c->format : "");
                add_string(&o->body, c->doc ? c->doc : "");
                kc_buf_addf(&o->body, ", %d},\n", c->priority);
        }
        kc_buf_adds(&o->body, "};\n");
}

/* What upstream's discovery says of kinds that are stored (they can be watched): the first 8 bytes of the SHA-256 of
 * "group/version/kind" as stored. */
static void add_storage_hash(struct kc_buf *b, const struct resource *r, const char *group, const char *version)
{
        enum { WATCH = 1 << 7, LEN = 8 };
        if (!(r->verbs & WATCH))
                return;
        unsigned char sum[EVP_MAX_MD_SIZE];
        char *text = kc_asprintf("%s/%s/%s", group, version, r->kind);
        if (!EVP_Digest(text, strlen(text), sum, NULL, EVP_sha256(), NULL))
                die(text, 0, "cannot hash");
        char *hash = kc_base64_encode(sum, LEN);
        kc_buf_addf(b, ".storage_version_hash = \"%s\",\n     ", hash);
        kc_free(hash);
        kc_free(text);
}

static void add_resource(struct out *o, struct kc_buf *b, const struct resource *r, size_t at)
{
        size_t n_subresources = add_subresources(o, r, at);
        add_columns(o, r, at);
        const struct group_version *gv = o->gv;
        if (!find_type(gv, r->kind))
                die(gv->file, 0, "resource \"%s\": unknown type \"%s\"", r->name, r->kind);
        char *list = kc_asprintf("%sList", r->kind);
        kc_buf_addf(b,
            "    {.group = \"%s\", .version = \"%s\", .resource = \"%s\", .singular = \"%s\", .kind = \"%s\", "
            ".list_kind = \"%s\",\n     .namespaced = %s, .verbs = 0x%x, .storage_prefix = \"%s\",\n     ",
            gv->group, gv->version, r->name, r->singular, r->kind, list, r->namespaced ? "true" : "false", r->verbs,
            r->name);
        kc_buf_addf(b, ".short_names = %s, .categories = %s, .selectable_fields = %s,\n     ",
            shared_words(o, r->short_names), shared_words(o, r->categories), shared_words(o, r->selectable));
        const char *group = r->stored_group ? r->stored_group : gv->group;
        const char *version = r->stored_version ? r->stored_version : gv->version;
        kc_buf_addf(b, ".storage_group = \"%s\", .storage_version = \"%s\",\n     ", group, version);
        add_storage_hash(b, r, group, version);
        if (n_subresources > 0)
                kc_buf_addf(b, ".subresources = r%zu_sub, .n_subresources = %zu, ", at, n_subresources);
        if (r->n_columns > 0)
                kc_buf_addf(b, ".columns = r%zu_col, .n_columns = %zu, ", at, r->n_columns);
        if (r->returns_deleted)
                kc_buf_adds(b, ".returns_deleted = true, ");
        if (find_type(gv, list))
                kc_buf_addf(b, ".list_object_type = &kc_t_%s_%s, ", gv->symbol, list);
        kc_buf_addf(b, ".type = &kc_t_%s_%s},\n", gv->symbol, r->kind);
        kc_free(list);
}

static void add_resources(struct out *o)
{
        struct kc_buf b = KC_BUF_INIT;
        size_t n = 0;
        for (size_t i = 0; i < o->gv->n_resources; i++) {
                const struct resource *r = &o->gv->resources[i];
                if (!r->served)
                        continue;
                add_resource(o, &b, r, n++);
        }
        if (n > 0) {
                kc_buf_addf(&o->body, "static const struct kc_resource resources[] = {\n%s};\n", kc_buf_str(&b));
                kc_buf_addf(&o->body, "const struct kc_group_version kc_gv_%s = {\"%s\", \"%s\", resources, %zu};\n",
                    o->gv->symbol, o->gv->group, o->gv->version, n);
        }
        kc_buf_done(&b);
}

static void write_file(
    const char *dir, const char *name, const char *intro, const struct kc_buf *a, const struct kc_buf *b)
{
        char *path = kc_asprintf("%s/%s", dir, name);
        FILE *f = fopen(path, "we");
        if (!f)
                die(path, 0, "%s", strerror(errno));
        fputs("/* Made by kc-schema-gen from libcommon/api/schema; do not edit. */\n", f);
        fputs(intro, f);
        fputs(kc_buf_str(a), f);
        if (b)
                fputs(kc_buf_str(b), f);
        if (fclose(f) != 0)
                die(path, 0, "%s", strerror(errno));
        kc_free(path);
}

static bool is_served(const struct group_version *gv)
{
        for (size_t i = 0; i < gv->n_resources; i++)
                if (gv->resources[i].served)
                        return true;
        return false;
}

static void emit_group_version(const struct model *m, const struct group_version *gv, const char *dir)
{
        struct out o = {.model = m, .gv = gv, .known = kc_map_new(kc_free)};
        for (size_t i = 0; i < gv->n_types; i++)
                add_type(&o, &gv->types[i]);
        add_resources(&o);
        char *name = kc_asprintf("zz_generated_%s.c", gv->symbol);
        write_file(dir, name, "#include \"zz_generated_types.h\"\n", &o.shared, &o.body);
        kc_free(name);
        kc_buf_done(&o.shared);
        kc_buf_done(&o.body);
        kc_map_free(o.known);
}

static int by_text(const void *a, const void *b)
{
        return strcmp(*(char *const *)a, *(char *const *)b);
}

static int stability(const char *version)
{
        return strstr(version, "alpha") ? 0 : strstr(version, "beta") ? 1 : 2;
}

static int by_priority(const void *a, const void *b)
{
        const struct group_version *const *x = a, *const *y = b;
        if ((*x)->priority != (*y)->priority)
                return (*y)->priority - (*x)->priority;
        int c = strcmp((*x)->group, (*y)->group);
        if (c == 0)
                c = stability((*y)->version) - stability((*x)->version);
        return c ? c : strcmp((*y)->version, (*x)->version); /* v2 before v1 */
}

static void add_type_index(const struct model *m, struct kc_buf *header, struct kc_buf *b)
{
        char **lines = NULL; /* "<name> <symbol>": sorted by name, because a space comes before every other character */
        for (size_t i = 0; i < m->n; i++)
                for (size_t k = 0; k < m->v[i].n_types; k++)
                        kc_strv_pushf(&lines, "%s.%s kc_t_%s_%s", m->v[i].package, m->v[i].types[k].name,
                            m->v[i].symbol, m->v[i].types[k].name);
        if (!lines)
                die("schema", 0, "no types");
        qsort(lines, kc_strv_len(lines), sizeof(*lines), by_text);
        kc_buf_adds(b, "const struct kc_type *const kc_schema_type_index[] = {\n");
        for (char **l = lines; *l; l++) {
                const char *symbol = strchr(*l, ' ') + 1;
                kc_buf_addf(header, "extern const struct kc_type %s;\n", symbol);
                kc_buf_addf(b, "    &%s,\n", symbol);
        }
        kc_buf_addf(b, "};\nconst size_t kc_schema_n_types = %zu;\n", kc_strv_len(lines));
        kc_strv_free(lines);
}

void model_emit(const struct model *m, const char *dir)
{
        struct kc_buf header = KC_BUF_INIT, index = KC_BUF_INIT;
        add_type_index(m, &header, &index);
        const struct group_version **served = kc_calloc(m->n, sizeof(void *));
        size_t n = 0;
        for (size_t i = 0; i < m->n; i++)
                if (is_served(&m->v[i]))
                        served[n++] = &m->v[i];
        qsort(served, n, sizeof(void *), by_priority);
        kc_buf_adds(&index, "const struct kc_group_version *const kc_schema_gv_index[] = {\n");
        for (size_t i = 0; i < n; i++) {
                kc_buf_addf(&header, "extern const struct kc_group_version kc_gv_%s;\n", served[i]->symbol);
                kc_buf_addf(&index, "    &kc_gv_%s,\n", served[i]->symbol);
        }
        kc_buf_addf(&index, "};\nconst size_t kc_schema_n_gvs = %zu;\n", n);
        write_file(dir, "zz_generated_types.h", "#pragma once\n#include \"api/schema_internal.h\"\n", &header, NULL);
        write_file(dir, "zz_generated_index.c", "#include \"zz_generated_types.h\"\n", &index, NULL);
        for (size_t i = 0; i < m->n; i++)
                emit_group_version(m, &m->v[i], dir);
        kc_buf_done(&header);
        kc_buf_done(&index);
        kc_free(served);
}
