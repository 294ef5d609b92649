/* YAML to JSON trees: libyaml's events, walked recursively (depth-limited). Aliases are copied, and what they expand to
 * counts against the limits. Any thread. */
#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <yaml.h>

#include "base/encode.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"
#include "json/json_internal.h"
#include "json/yaml.h"
#include "json/yaml_internal.h"

struct anchor {
        struct json_object *value; /* a reference; NULL for null */
        bool open;                 /* its node is still being read */
};

struct parser {
        yaml_parser_t yaml;
        const struct kc_json_limits *limits;
        int depth;
        size_t nodes, bytes; /* of all documents, after expansion */
        struct kc_map *anchors;
        char ***repeats; /* of keys: told here, the last one counts. NULL: an error */
        struct kc_error *err;
};

#define PREFIX "error converting YAML to JSON: yaml: "

static int fail(struct parser *p, const yaml_event_t *e, int errnum, const char *message, const char *what)
{
        return kc_error_set(p->err, errnum, PREFIX "line %zu: %s%s", e->start_mark.line + 1, message, what ? what : "");
}

/* The line is chosen as goyaml.v2 does, so that messages agree with kubectl's. */
static int fail_syntax(struct parser *p)
{
        const yaml_parser_t *y = &p->yaml;
        if (y->error == YAML_MEMORY_ERROR)
                return kc_error_set(p->err, ENOMEM, PREFIX "out of memory");
        const char *problem = y->problem ? y->problem : "unknown problem parsing YAML content";
        size_t line = y->problem_mark.line;
        if (line != 0)
                line += y->error == YAML_SCANNER_ERROR;
        else
                line = y->context_mark.line;
        if (line == 0)
                return kc_error_set(p->err, EINVAL, PREFIX "%s", problem);
        return kc_error_set(p->err, EINVAL, PREFIX "line %zu: %s", line, problem);
}

static int next_event(struct parser *p, yaml_event_t *ret)
{
        return yaml_parser_parse(&p->yaml, ret) ? 0 : fail_syntax(p);
}

static void free_anchor(void *value)
{
        struct anchor *a = value;
        kc_json_free(a->value);
        kc_free(a);
}

/* Counts one value and its text. */
static int charge(struct parser *p, const yaml_event_t *e, size_t nodes, size_t bytes)
{
        p->nodes += nodes;
        p->bytes += bytes;
        if (p->nodes > p->limits->max_nodes || p->bytes > p->limits->max_bytes)
                return fail(p, e, EMSGSIZE, "document contains excessive aliasing or too many values", NULL);
        return 0;
}

/* --- Scalars */

static struct json_object *new_string(const char *s, size_t len)
{
        return json_object_new_string_len(s, (int)len);
}

static const char *const core_tags[] = {
    [KC_YAML_STR] = YAML_STR_TAG,
    [KC_YAML_NULL] = YAML_NULL_TAG,
    [KC_YAML_BOOL] = YAML_BOOL_TAG,
    [KC_YAML_INT] = YAML_INT_TAG,
    [KC_YAML_FLOAT] = YAML_FLOAT_TAG,
    [KC_YAML_TIME] = YAML_TIMESTAMP_TAG,
    [KC_YAML_INFINITE] = YAML_FLOAT_TAG,
};

/* The scalar's meaning by its tag, or by its text when it is plain and has none. */
static int resolve(struct parser *p, const yaml_event_t *e, struct kc_yaml_scalar *ret)
{
        const char *tag = (const char *)e->data.scalar.tag, *text = (const char *)e->data.scalar.value;
        *ret = (struct kc_yaml_scalar){.type = KC_YAML_STR};
        if (!tag) {
                if (e->data.scalar.plain_implicit)
                        *ret = kc_yaml_resolve(text);
                if (p->limits->words_stay && ret->type == KC_YAML_BOOL && tolower((unsigned char)text[0]) != 't' &&
                    tolower((unsigned char)text[0]) != 'f')
                        ret->type = KC_YAML_STR;
                return 0;
        }
        bool core = false;
        for (size_t i = 0; i < KC_ARRAY_LEN(core_tags); i++)
                core = core || kc_streq(tag, core_tags[i]);
        if (!core || kc_streq(tag, YAML_STR_TAG))
                return 0;
        *ret = kc_yaml_resolve(text);
        if (ret->type == KC_YAML_INT && kc_streq(tag, YAML_FLOAT_TAG))
                *ret = (struct kc_yaml_scalar){.type = KC_YAML_FLOAT, .d = (double)ret->i};
        bool agrees = kc_streq(tag, ret->wide ? YAML_INT_TAG : core_tags[ret->type]);
        return agrees ? 0 : fail(p, e, EINVAL, "cannot decode scalar as a !!", tag + strlen("tag:yaml.org,2002:"));
}

static int binary_string(struct parser *p, const yaml_event_t *e, struct json_object **ret)
{
        struct kc_buf data = KC_BUF_INIT;
        int r = kc_base64_decode((const char *)e->data.scalar.value, e->data.scalar.length, &data);
        for (size_t i = 0, n; r == 0 && i < data.len; i += n) {
                n = kc_utf8_len(data.data + i, data.len - i);
                if (n == 0 || !data.data[i])
                        r = -EINVAL;
        }
        if (r == 0)
                *ret = new_string(kc_buf_str(&data), data.len);
        kc_buf_done(&data);
        return r < 0 ? fail(p, e, EINVAL, "!!binary value contains invalid base64 data or no text", NULL) : 0;
}

static int parse_scalar(struct parser *p, const yaml_event_t *e, struct json_object **ret)
{
        struct kc_yaml_scalar v;
        const char *text = (const char *)e->data.scalar.value;
        size_t len = e->data.scalar.length;
        int r = charge(p, e, 1, len);
        if (r < 0)
                return r;
        if (memchr(text, '\0', len))
                return fail(p, e, EINVAL, "NUL character in string", NULL);
        if (kc_streq((const char *)e->data.scalar.tag, "tag:yaml.org,2002:binary"))
                return binary_string(p, e, ret);
        r = resolve(p, e, &v);
        if (r < 0)
                return r;
        switch (v.type) {
        case KC_YAML_NULL:
                *ret = NULL;
                return 0;
        case KC_YAML_BOOL:
                *ret = json_object_new_boolean(v.b);
                break;
        case KC_YAML_INT:
                *ret = json_object_new_int64(v.i);
                break;
        case KC_YAML_FLOAT:
                *ret = json_object_new_double(v.d);
                break;
        case KC_YAML_INFINITE:
                return fail(p, e, EINVAL, "json: unsupported value: ", text);
        default:
                *ret = new_string(text, len);
        }
        return *ret ? 0 : fail(p, e, ENOMEM, "out of memory", NULL);
}

/* --- Anchors and aliases */

static void define_anchor(struct parser *p, const yaml_char_t *name, struct json_object *value, bool open)
{
        if (!name)
                return;
        struct anchor *a = KC_NEW(struct anchor);
        a->value = value ? json_object_get(value) : NULL;
        a->open = open;
        (void)kc_map_set(p->anchors, (const char *)name, a); /* a later anchor of the same name replaces the earlier */
}

struct extent {
        size_t nodes, bytes;
        int height;
};

static struct extent measure(const struct json_object *o)
{
        struct extent sum = {.nodes = 1};
        int below = 0;
        if (json_object_is_type(o, json_type_string))
                sum.bytes = (size_t)json_object_get_string_len(o);
        KC_JSON_FOREACH(o, key, val)
        {
                struct extent x = measure(val);
                sum.nodes += x.nodes;
                sum.bytes += x.bytes + strlen(key);
                below = KC_MAX(below, x.height);
        }
        for (size_t i = 0; i < kc_json_len(o); i++) {
                struct extent x = measure(kc_json_idx(o, i));
                sum.nodes += x.nodes;
                sum.bytes += x.bytes;
                below = KC_MAX(below, x.height);
        }
        sum.height = below + (kc_json_is_obj(o) || kc_json_is_arr(o) ? 1 : 0);
        return sum;
}

static int expand_alias(struct parser *p, const yaml_event_t *e, struct json_object **ret)
{
        const char *name = (const char *)e->data.alias.anchor;
        const struct anchor *a = kc_map_get(p->anchors, name);
        if (!a)
                return kc_error_set(p->err, EINVAL, PREFIX "unknown anchor '%s' referenced", name);
        if (a->open)
                return kc_error_set(p->err, EINVAL, PREFIX "anchor '%s' value contains itself", name);
        struct extent x = measure(a->value);
        if (p->depth + x.height > p->limits->max_depth)
                return fail(p, e, EINVAL, "exceeded max depth", NULL);
        int r = charge(p, e, x.nodes, x.bytes);
        if (r == 0)
                *ret = kc_json_copy(a->value);
        return r;
}

/* --- Containers */

static int parse_node(struct parser *p, const yaml_event_t *e, struct json_object **ret);

static int enter(struct parser *p, const yaml_event_t *e)
{
        int r = charge(p, e, 1, 0);
        if (r == 0 && ++p->depth > p->limits->max_depth)
                r = fail(p, e, EINVAL, "exceeded max depth", NULL);
        return r;
}

static int parse_sequence(struct parser *p, const yaml_event_t *start, struct json_object **ret)
{
        KC_CLEANUP(kc_json_freep) struct json_object *a = json_object_new_array_ext(4);
        int r = a ? enter(p, start) : fail(p, start, ENOMEM, "out of memory", NULL);
        bool more = true;
        while (r == 0 && more) {
                yaml_event_t e;
                struct json_object *v = NULL;
                r = next_event(p, &e);
                if (r < 0)
                        break;
                more = e.type != YAML_SEQUENCE_END_EVENT;
                if (more)
                        r = parse_node(p, &e, &v);
                if (more && r == 0 && kc_json_attach(a, NULL, v) < 0)
                        r = fail(p, &e, ENOMEM, "out of memory", NULL);
                yaml_event_delete(&e);
        }
        p->depth--;
        if (r == 0)
                *ret = KC_TAKE(a);
        return r;
}

/* What stands for the key in JSON: the text of a string, number or boolean. */
static int key_text(struct parser *p, const yaml_event_t *e, const struct json_object *key, char **ret)
{
        char number[KC_JSON_DOUBLE_LEN];
        switch (json_object_get_type(key)) {
        case json_type_string:
                *ret = kc_strdup(kc_json_as_str(key));
                return 0;
        case json_type_int:
                *ret = kc_asprintf("%lld", (long long)json_object_get_int64(key));
                return 0;
        case json_type_double:
                *ret = kc_strdup(kc_json_format_double(json_object_get_double(key), 'g', number));
                return 0;
        case json_type_boolean:
                *ret = kc_strdup(json_object_get_boolean(key) ? "true" : "false");
                return 0;
        default:
                return fail(p, e, EINVAL, "invalid map key: ", key ? "not a scalar" : "null");
        }
}

static bool is_merge(const yaml_event_t *e)
{
        return e->type == YAML_SCALAR_EVENT && kc_streq((const char *)e->data.scalar.value, "<<") &&
               (e->data.scalar.plain_implicit || kc_streq((const char *)e->data.scalar.tag, "tag:yaml.org,2002:merge"));
}

/* Keys that o has stay as they are. */
static int merge_into(struct json_object *o, const struct json_object *from)
{
        KC_JSON_FOREACH(from, key, val)
        {
                if (json_object_object_get_ex(o, key, NULL))
                        continue;
                if (kc_json_attach(o, key, kc_json_copy(val)) < 0)
                        return -ENOMEM;
        }
        return 0;
}

/* merges: the values of "<<" in order; each an object, or an array of objects of which the earlier win. */
static int apply_merges(struct parser *p, const yaml_event_t *start, struct json_object *o, struct json_object *merges)
{
        for (size_t i = 0; i < kc_json_len(merges); i++) {
                const struct json_object *m = kc_json_idx(merges, i);
                size_t n = kc_json_is_arr(m) ? kc_json_len(m) : 1;
                for (size_t j = 0; j < n; j++) {
                        const struct json_object *from = kc_json_is_arr(m) ? kc_json_idx(m, j) : m;
                        if (!kc_json_is_obj(from))
                                return fail(
                                    p, start, EINVAL, "map merge requires map or sequence of maps as the value", NULL);
                        if (merge_into(o, from) < 0)
                                return fail(p, start, ENOMEM, "out of memory", NULL);
                }
        }
        return 0;
}

static int parse_value_of(struct parser *p, struct json_object **ret)
{
        yaml_event_t e;
        int r = next_event(p, &e);
        if (r < 0)
                return r;
        r = parse_node(p, &e, ret);
        yaml_event_delete(&e);
        return r;
}

/* The entry whose key is e. */
static int parse_entry(struct parser *p, const yaml_event_t *e, struct json_object *o, struct json_object *merges)
{
        KC_CLEANUP(kc_freep) char *text = NULL;
        struct json_object *key = NULL, *v = NULL;
        if (is_merge(e)) {
                int merged = parse_value_of(p, &v);
                if (merged == 0 && kc_json_attach(merges, NULL, v) < 0)
                        merged = fail(p, e, ENOMEM, "out of memory", NULL);
                return merged;
        }
        int r = parse_node(p, e, &key);
        if (r == 0)
                r = key_text(p, e, key, &text);
        kc_json_free(key);
        if (r < 0)
                return r;
        if (json_object_object_get_ex(o, text, NULL)) {
                KC_CLEANUP(kc_freep) char *quoted = kc_asprintf("\"%s\" already set in map", text);
                if (!p->repeats)
                        return fail(p, e, EINVAL, "key ", quoted);
                if (kc_strv_len(*p->repeats) < KC_JSON_MAX_DUPLICATES)
                        kc_strv_pushf(p->repeats, "line %zu: key %s", e->start_mark.line + 1, quoted);
        }
        r = parse_value_of(p, &v);
        if (r == 0 && kc_json_attach(o, text, v) < 0)
                r = fail(p, e, ENOMEM, "out of memory", NULL);
        return r;
}

static int parse_mapping(struct parser *p, const yaml_event_t *start, struct json_object **ret)
{
        KC_CLEANUP(kc_json_freep)
        struct json_object *o = json_object_new_object(), *merges = json_object_new_array_ext(1);
        int r = o && merges ? enter(p, start) : fail(p, start, ENOMEM, "out of memory", NULL);
        bool more = true;
        while (r == 0 && more) {
                yaml_event_t e;
                r = next_event(p, &e);
                if (r < 0)
                        break;
                more = e.type != YAML_MAPPING_END_EVENT;
                if (more)
                        r = parse_entry(p, &e, o, merges);
                yaml_event_delete(&e);
        }
        p->depth--;
        if (r == 0)
                r = apply_merges(p, start, o, merges);
        if (r == 0)
                *ret = KC_TAKE(o);
        return r;
}

static int parse_node(struct parser *p, const yaml_event_t *e, struct json_object **ret)
{
        const yaml_char_t *anchor = NULL;
        struct json_object *v = NULL;
        int r;
        switch (e->type) {
        case YAML_ALIAS_EVENT:
                return expand_alias(p, e, ret);
        case YAML_SCALAR_EVENT:
                anchor = e->data.scalar.anchor;
                r = parse_scalar(p, e, &v);
                break;
        case YAML_SEQUENCE_START_EVENT:
                anchor = e->data.sequence_start.anchor;
                define_anchor(p, anchor, NULL, true);
                r = parse_sequence(p, e, &v);
                break;
        case YAML_MAPPING_START_EVENT:
                anchor = e->data.mapping_start.anchor;
                define_anchor(p, anchor, NULL, true);
                r = parse_mapping(p, e, &v);
                break;
        default:
                return fail(p, e, EINVAL, "unexpected event", NULL);
        }
        if (r < 0)
                return r;
        define_anchor(p, anchor, v, false);
        *ret = v;
        return 0;
}

/* --- Streams */

struct documents {
        struct json_object **trees; /* ended by NULL */
        size_t n;
};

static void add_document(struct documents *d, struct json_object *take_tree)
{
        d->trees = kc_reallocarray(d->trees, d->n + 2, sizeof(struct json_object *));
        d->trees[d->n++] = take_tree;
        d->trees[d->n] = NULL;
}

static int parse_stream(struct parser *p, struct documents *d)
{
        for (bool more = true; more;) {
                yaml_event_t e;
                struct json_object *tree = NULL;
                int r = next_event(p, &e);
                if (r < 0)
                        return r;
                bool node = e.type == YAML_SCALAR_EVENT || e.type == YAML_SEQUENCE_START_EVENT ||
                            e.type == YAML_MAPPING_START_EVENT || e.type == YAML_ALIAS_EVENT;
                more = e.type != YAML_STREAM_END_EVENT;
                if (node)
                        r = parse_node(p, &e, &tree);
                else if (e.type == YAML_DOCUMENT_END_EVENT)
                        kc_map_clear(p->anchors);
                yaml_event_delete(&e);
                if (r < 0)
                        return r;
                if (tree)
                        add_document(d, tree);
        }
        return 0;
}

static int parse_yaml(const char *data, size_t len, const struct kc_json_limits *limits, struct documents *d,
    char ***repeats, struct kc_error *err)
{
        struct parser p = {.limits = limits, .repeats = repeats, .err = err};
        if (!yaml_parser_initialize(&p.yaml))
                return kc_error_set(err, ENOMEM, PREFIX "out of memory");
        yaml_parser_set_input_string(&p.yaml, (const unsigned char *)data, len);
        p.anchors = kc_map_new(free_anchor);
        int r = parse_stream(&p, d);
        kc_map_free(p.anchors);
        yaml_parser_delete(&p.yaml);
        return r;
}

/* Text that starts like JSON and is JSON. */
static bool parse_as_json(const char *data, size_t len, const struct kc_json_limits *limits, struct documents *d)
{
        size_t i = 0;
        while (i < len && data[i] && strchr(" \t\r\n", data[i]))
                i++;
        if (i == len || (data[i] != '{' && data[i] != '['))
                return false;
        struct json_object *tree;
        if (kc_json_parse(data, len, limits, &tree, NULL) < 0)
                return false;
        KC_CLEANUP(kc_strv_freep) char **duplicates = kc_json_duplicates(data, len);
        if (duplicates) {
                kc_json_free(tree); /* the YAML parser words the error */
                return false;
        }
        add_document(d, tree);
        return true;
}

static int parse_all(const char *data, size_t len, const struct kc_json_limits *limits, struct json_object ***ret,
    char ***repeats, struct kc_error *err)
{
        struct documents d = {.trees = kc_calloc(1, sizeof(struct json_object *))};
        if (!limits)
                limits = &kc_json_default_limits;
        int r = 0;
        if (len > limits->max_bytes)
                r = kc_error_set(
                    err, EMSGSIZE, "%zu bytes of YAML are more than the limit of %zu", len, limits->max_bytes);
        else if (!parse_as_json(data, len, limits, &d))
                r = parse_yaml(data, len, limits, &d, repeats, err);
        if (r < 0)
                kc_yaml_free_all(d.trees);
        else
                *ret = d.trees;
        return r;
}

int kc_yaml_parse_all(
    const char *data, size_t len, const struct kc_json_limits *limits, struct json_object ***ret, struct kc_error *err)
{
        return parse_all(data, len, limits, ret, NULL, err);
}

static int parse_one(const char *data, size_t len, const struct kc_json_limits *limits, struct json_object **ret,
    char ***repeats, struct kc_error *err)
{
        struct json_object **trees;
        int r = parse_all(data, len, limits, &trees, repeats, err);
        if (r < 0)
                return r;
        if (trees[0] && trees[1])
                r = kc_error_set(err, EINVAL, PREFIX "expected a single document in the stream, but found more");
        else
                *ret = KC_TAKE(trees[0]);
        kc_yaml_free_all(trees);
        return r;
}

int kc_yaml_parse(
    const char *data, size_t len, const struct kc_json_limits *limits, struct json_object **ret, struct kc_error *err)
{
        return parse_one(data, len, limits, ret, NULL, err);
}

int kc_yaml_parse_lax(const char *data, size_t len, const struct kc_json_limits *limits, struct json_object **ret,
    char ***ret_repeats, struct kc_error *err)
{
        KC_CLEANUP(kc_strv_freep) char **repeats = NULL;
        int r = parse_one(data, len, limits, ret, &repeats, err);
        if (r == 0)
                *ret_repeats = KC_TAKE(repeats);
        return r;
}

void kc_yaml_free_all(struct json_object **take_docs)
{
        for (struct json_object **t = take_docs; t && *t; t++)
                kc_json_free(*t);
        kc_free(take_docs);
}
