/* Reads the schema's YAML into the model; strict: a key or word that it does not know is an error. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "model.h"

static const char *current_file;
static yaml_document_t doc;

static yaml_node_t *node_at(int index)
{
        return yaml_document_get_node(&doc, index);
}

static const char *text(const yaml_node_t *n)
{
        if (n->type != YAML_SCALAR_NODE)
                die(current_file, n->start_mark.line, "a word is expected");
        return (const char *)n->data.scalar.value;
}

static char *dup_text(const yaml_node_t *n)
{
        return kc_strdup(text(n));
}

static bool flag(const yaml_node_t *n)
{
        const char *s = text(n);
        if (!kc_streq(s, "true") && !kc_streq(s, "false"))
                die(current_file, n->start_mark.line, "true or false is expected, not \"%s\"", s);
        return *s == 't';
}

static int number(const yaml_node_t *n)
{
        int64_t v;
        if (kc_str_to_i64(text(n), &v) < 0 || v < 0 || v > INT32_MAX)
                die(current_file, n->start_mark.line, "a number is expected, not \"%s\"", text(n));
        return (int)v;
}

/* "3", or "2.5" for field 5 of the message embedded as field 2; at most three numbers. */
static int wire_number(const yaml_node_t *n)
{
        enum { BITS = 10 }; /* KC_WIRE_BITS */
        int wire = 0;
        char **v = kc_strv_split(text(n), '.');
        for (size_t i = 0; v[i]; i++) {
                int64_t part;
                if (kc_str_to_i64(v[i], &part) < 0 || part < 1 || part >> BITS || i > 2)
                        die(current_file, n->start_mark.line, "a field number is expected, not \"%s\"", text(n));
                wire = wire << BITS | (int)part;
        }
        kc_strv_free(v);
        return wire;
}

static char **words(const yaml_node_t *n)
{
        if (n->type != YAML_SEQUENCE_NODE)
                die(current_file, n->start_mark.line, "a list is expected");
        char **v = NULL;
        for (yaml_node_item_t *i = n->data.sequence.items.start; i < n->data.sequence.items.top; i++)
                kc_strv_push(&v, text(node_at(*i)));
        return v;
}

static char *json_scalar(const yaml_node_t *n)
{
        if (n->type == YAML_MAPPING_NODE && n->data.mapping.pairs.start == n->data.mapping.pairs.top)
                return kc_strdup("{}");
        const char *s = text(n);
        int64_t v;
        if (n->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
            (kc_str_to_i64(s, &v) == 0 || kc_streq(s, "true") || kc_streq(s, "false")))
                return kc_strdup(s);
        if (strpbrk(s, "\"\\\n"))
                die(current_file, n->start_mark.line, "a default with quotes is not supported");
        return kc_asprintf("\"%s\"", s);
}

static unsigned verb_bits(const yaml_node_t *n)
{
        static const char *const names[] = {
            "create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"};
        unsigned bits = 0;
        char **v = words(n);
        for (char **w = v; w && *w; w++) {
                size_t i = 0;
                while (i < KC_ARRAY_LEN(names) && !kc_streq(names[i], *w))
                        i++;
                if (i == KC_ARRAY_LEN(names))
                        die(current_file, n->start_mark.line, "unknown verb \"%s\"", *w);
                bits |= 1U << i;
        }
        kc_strv_free(v);
        return bits;
}

typedef void (*key_fn)(void *target, const char *key, const yaml_node_t *key_node, const yaml_node_t *value);

static void each_key(const yaml_node_t *n, key_fn fn, void *target)
{
        if (n->type != YAML_MAPPING_NODE)
                die(current_file, n->start_mark.line, "a mapping is expected");
        for (yaml_node_pair_t *p = n->data.mapping.pairs.start; p < n->data.mapping.pairs.top; p++)
                fn(target, text(node_at(p->key)), node_at(p->key), node_at(p->value));
}

static size_t n_items(const yaml_node_t *n)
{
        if (n->type != YAML_SEQUENCE_NODE)
                die(current_file, n->start_mark.line, "a list is expected");
        return (size_t)(n->data.sequence.items.top - n->data.sequence.items.start);
}

static _Noreturn void unknown_key(const char *key, const yaml_node_t *at)
{
        die(current_file, at->start_mark.line, "unknown key \"%s\"", key);
}

static void patch_strategy(struct field *f, const yaml_node_t *n)
{
        char **v = kc_strv_split(text(n), ',');
        for (char **w = v; *w; w++) {
                if (kc_streq(*w, "merge"))
                        f->patch_merge = true;
                else if (kc_streq(*w, "replace"))
                        f->patch_replace = true;
                else if (kc_streq(*w, "retainKeys"))
                        f->patch_retain_keys = true;
                else
                        die(current_file, n->start_mark.line, "unknown patch strategy \"%s\"", *w);
        }
        kc_strv_free(v);
}

static void map_type(struct field *f, const yaml_node_t *n)
{
        f->map_atomic = kc_streq(text(n), "atomic");
        f->map_granular = kc_streq(text(n), "granular");
        if (!f->map_atomic && !f->map_granular)
                die(current_file, n->start_mark.line, "unknown map type \"%s\"", text(n));
}

static void field_key(void *target, const char *key, const yaml_node_t *at, const yaml_node_t *v)
{
        struct field *f = target;
        if (kc_streq(key, "wire"))
                f->wire = wire_number(v);
        else if (kc_streq(key, "type"))
                f->type = dup_text(v);
        else if (kc_streq(key, "required"))
                f->required = flag(v);
        else if (kc_streq(key, "wrapped"))
                f->wrapped = flag(v);
        else if (kc_streq(key, "keep"))
                f->keep = flag(v);
        else if (kc_streq(key, "default"))
                f->default_json = json_scalar(v);
        else if (kc_streq(key, "enum"))
                f->enums = words(v);
        else if (kc_streq(key, "list"))
                f->list = dup_text(v);
        else if (kc_streq(key, "keys"))
                f->keys = words(v);
        else if (kc_streq(key, "map"))
                map_type(f, v);
        else if (kc_streq(key, "patch"))
                patch_strategy(f, v);
        else if (kc_streq(key, "patch-key"))
                f->patch_key = dup_text(v);
        else if (kc_streq(key, "doc"))
                f->doc = dup_text(v);
        else
                unknown_key(key, at);
}

static void fields_key(void *target, const char *key, const yaml_node_t *at, const yaml_node_t *v)
{
        struct type *t = target;
        t->fields = kc_reallocarray(t->fields, t->n_fields + 1, sizeof(*t->fields));
        struct field *f = &t->fields[t->n_fields++];
        *f = (struct field){.name = kc_strdup(key)};
        each_key(v, field_key, f);
        if (!f->type)
                die(current_file, at->start_mark.line, "field \"%s\" has no type", key);
}

static void type_key(void *target, const char *key, const yaml_node_t *at, const yaml_node_t *v)
{
        struct type *t = target;
        if (kc_streq(key, "doc"))
                t->doc = dup_text(v);
        else if (kc_streq(key, "map"))
                t->map_atomic = kc_streq(text(v), "atomic");
        else if (kc_streq(key, "type-meta"))
                t->type_meta = flag(v);
        else if (kc_streq(key, "union"))
                t->union_fields = words(v);
        else if (kc_streq(key, "any")) {
                t->any_object = kc_streq(text(v), "object");
                t->any = t->any_object || flag(v);
        } else if (kc_streq(key, "fields") || kc_streq(key, "variants")) {
                t->variant = *key == 'v';
                each_key(v, fields_key, t);
        } else
                unknown_key(key, at);
}

static void types_key(void *target, const char *key, const yaml_node_t *at, const yaml_node_t *v)
{
        (void)at; /* every name is welcome */
        struct group_version *gv = target;
        gv->types = kc_reallocarray(gv->types, gv->n_types + 1, sizeof(*gv->types));
        struct type *t = &gv->types[gv->n_types++];
        *t = (struct type){.name = kc_strdup(key)};
        if (v->type != YAML_SCALAR_NODE) /* "Type:" alone: an object without fields */
                each_key(v, type_key, t);
}

static void column_key(void *target, const char *key, const yaml_node_t *at, const yaml_node_t *v)
{
        struct column *c = target;
        if (kc_streq(key, "name"))
                c->name = dup_text(v);
        else if (kc_streq(key, "type"))
                c->type = dup_text(v);
        else if (kc_streq(key, "format"))
                c->format = dup_text(v);
        else if (kc_streq(key, "priority"))
                c->priority = number(v);
        else if (kc_streq(key, "doc"))
                c->doc = dup_text(v);
        else
                unknown_key(key, at);
}

static void subresource_key(void *target, const char *key, const yaml_node_t *at, const yaml_node_t *v)
{
        struct subresource *s = target;
        if (kc_streq(key, "name"))
                s->name = dup_text(v);
        else if (kc_streq(key, "kind"))
                s->kind = dup_text(v);
        else if (kc_streq(key, "group"))
                s->group = dup_text(v);
        else if (kc_streq(key, "version"))
                s->version = dup_text(v);
        else if (kc_streq(key, "verbs"))
                s->verbs = verb_bits(v);
        else if (kc_streq(key, "served"))
                s->served = flag(v);
        else
                unknown_key(key, at);
}

static void load_subresources(struct resource *r, const yaml_node_t *v)
{
        r->n_subresources = n_items(v);
        r->subresources = kc_calloc(r->n_subresources + 1, sizeof(*r->subresources));
        for (size_t i = 0; i < r->n_subresources; i++) {
                r->subresources[i].served = true;
                each_key(node_at(v->data.sequence.items.start[i]), subresource_key, &r->subresources[i]);
        }
}

static void stored_as_key(void *target, const char *key, const yaml_node_t *at, const yaml_node_t *v)
{
        struct resource *r = target;
        if (kc_streq(key, "group"))
                r->stored_group = dup_text(v);
        else if (kc_streq(key, "version"))
                r->stored_version = dup_text(v);
        else
                unknown_key(key, at);
}

static void load_columns(struct resource *r, const yaml_node_t *v)
{
        r->n_columns = n_items(v);
        r->columns = kc_calloc(r->n_columns + 1, sizeof(*r->columns));
        for (size_t i = 0; i < r->n_columns; i++)
                each_key(node_at(v->data.sequence.items.start[i]), column_key, &r->columns[i]);
}

static void resource_key(void *target, const char *key, const yaml_node_t *at, const yaml_node_t *v)
{
        struct resource *r = target;
        if (kc_streq(key, "name"))
                r->name = dup_text(v);
        else if (kc_streq(key, "kind"))
                r->kind = dup_text(v);
        else if (kc_streq(key, "singular"))
                r->singular = dup_text(v);
        else if (kc_streq(key, "scope"))
                r->namespaced = kc_streq(text(v), "Namespaced");
        else if (kc_streq(key, "served"))
                r->served = flag(v);
        else if (kc_streq(key, "short-names"))
                r->short_names = words(v);
        else if (kc_streq(key, "categories"))
                r->categories = words(v);
        else if (kc_streq(key, "verbs"))
                r->verbs = verb_bits(v);
        else if (kc_streq(key, "delete-returns-object"))
                r->returns_deleted = flag(v);
        else if (kc_streq(key, "stored-as"))
                each_key(v, stored_as_key, r);
        else if (kc_streq(key, "selectable-fields"))
                r->selectable = words(v);
        else if (kc_streq(key, "subresources"))
                load_subresources(r, v);
        else if (kc_streq(key, "columns"))
                load_columns(r, v);
        else
                unknown_key(key, at);
}

static void load_resources(struct group_version *gv, const yaml_node_t *v)
{
        gv->n_resources = n_items(v);
        gv->resources = kc_calloc(gv->n_resources + 1, sizeof(*gv->resources));
        for (size_t i = 0; i < gv->n_resources; i++) {
                const yaml_node_t *n = node_at(v->data.sequence.items.start[i]);
                struct resource *r = &gv->resources[i];
                *r = (struct resource){.served = true, .verbs = 0xff};
                each_key(n, resource_key, r);
                if (!r->name || !r->kind || !r->singular)
                        die(current_file, n->start_mark.line, "a resource needs name, kind and singular");
        }
}

static void top_key(void *target, const char *key, const yaml_node_t *at, const yaml_node_t *v)
{
        struct group_version *gv = target;
        if (kc_streq(key, "group"))
                gv->group = dup_text(v);
        else if (kc_streq(key, "version"))
                gv->version = dup_text(v);
        else if (kc_streq(key, "package"))
                gv->package = dup_text(v);
        else if (kc_streq(key, "priority"))
                gv->priority = number(v);
        else if (kc_streq(key, "resources"))
                load_resources(gv, v);
        else if (kc_streq(key, "types"))
                each_key(v, types_key, gv);
        else
                unknown_key(key, at);
}

/* "io.k8s.api.core.v1" gives "core_v1". */
static char *symbol_of(const char *package)
{
        const char *p = strrchr(package, '.');
        while (p && p > package && p[-1] != '.')
                p--;
        return p ? kc_str_replace_all(p, ".", "_") : kc_strdup(package);
}

void model_load(struct model *m, const char *path)
{
        current_file = path;
        FILE *f = fopen(path, "re");
        if (!f)
                die(path, 0, "%s", strerror(errno));
        yaml_parser_t parser;
        if (!yaml_parser_initialize(&parser))
                die(path, 0, "out of memory");
        yaml_parser_set_input_file(&parser, f);
        if (!yaml_parser_load(&parser, &doc))
                die(path, parser.problem_mark.line, "%s", parser.problem ? parser.problem : "not YAML");
        const yaml_node_t *root = yaml_document_get_root_node(&doc);
        if (!root)
                die(path, 0, "the file is empty");
        m->v = kc_reallocarray(m->v, m->n + 1, sizeof(*m->v));
        struct group_version *gv = &m->v[m->n++];
        *gv = (struct group_version){.file = kc_strdup(path)};
        each_key(root, top_key, gv);
        if (!gv->group || !gv->version || !gv->package)
                die(path, 0, "group, version and package are needed");
        gv->symbol = symbol_of(gv->package);
        yaml_document_delete(&doc);
        yaml_parser_delete(&parser);
        (void)fclose(f); /* only read */
}

static void add_list(struct group_version *gv, const struct resource *r)
{
        gv->types = kc_reallocarray(gv->types, gv->n_types + 1, sizeof(*gv->types));
        struct type *t = &gv->types[gv->n_types++];
        *t = (struct type){.name = kc_asprintf("%sList", r->kind), .type_meta = true, .n_fields = 2};
        t->doc = kc_asprintf("A list of %s objects.", r->kind);
        t->fields = kc_calloc(2, sizeof(*t->fields));
        t->fields[0] = (struct field){.name = kc_strdup("metadata"), .type = kc_strdup("meta.v1.ListMeta"), .wire = 1};
        t->fields[0].doc = kc_strdup("Standard metadata of the list.");
        t->fields[1] = (struct field){.name = kc_strdup("items"), .wire = 2, .required = true};
        t->fields[1].type = kc_asprintf("[]%s", r->kind);
        t->fields[1].doc = kc_strdup("The objects.");
}

void model_add_lists(struct model *m)
{
        enum { LIST = 1 << 4 };
        for (size_t i = 0; i < m->n; i++)
                for (size_t k = 0; k < m->v[i].n_resources; k++)
                        if (m->v[i].resources[k].verbs & LIST)
                                add_list(&m->v[i], &m->v[i].resources[k]);
}
