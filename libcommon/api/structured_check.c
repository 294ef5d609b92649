/* Whether an applied configuration fits the schema, with structured-merge-diff's messages. Pure: any thread. */
#include <errno.h>

#include "api/status.h"
#include "api/structured_internal.h"
#include "base/str.h"

enum { MAX_ERRORS = 100 };

struct check {
        struct kc_arena arena;
        struct kc_path_element path[KC_FIELDSET_MAX_DEPTH];
        size_t depth;
        char **errors;
};

static void check_value(struct check *c, struct st_type t, const struct json_object *v);

static void report(struct check *c, const struct kc_buf *what)
{
        struct kc_buf b = KC_BUF_INIT;
        for (size_t i = 0; i < c->depth; i++)
                kc_path_element_format(&b, &c->path[i]);
        kc_buf_addf(&b, "%s%s", c->depth ? ": " : "", kc_buf_str(what));
        if (kc_strv_len(c->errors) < MAX_ERRORS)
                kc_strv_push(&c->errors, kc_buf_str(&b));
        kc_buf_done(&b);
}

static void complain(struct check *c, const char *text)
{
        struct kc_buf b = KC_BUF_INIT;
        kc_buf_adds(&b, text);
        report(c, &b);
        kc_buf_done(&b);
}

/* "expected list, got &{x}": the value as Go prints its wrapper. */
static void expected(struct check *c, const char *what, const struct json_object *v)
{
        struct kc_buf b = KC_BUF_INIT;
        kc_buf_addf(&b, "expected %s, got &{", what);
        kc_go_value_add(&b, v);
        kc_buf_addc(&b, '}');
        report(c, &b);
        kc_buf_done(&b);
}

/* As Go's %#v. */
static void go_syntax(struct kc_buf *b, const struct json_object *v)
{
        if (kc_json_is_obj(v)) {
                const char *comma = "";
                kc_buf_adds(b, "map[string]interface {}{");
                KC_JSON_FOREACH(v, key, val)
                {
                        kc_buf_adds(b, comma);
                        kc_quote_add(b, key);
                        kc_buf_addc(b, ':');
                        go_syntax(b, val);
                        comma = ", ";
                }
                kc_buf_addc(b, '}');
        } else if (kc_json_is_arr(v)) {
                kc_buf_adds(b, "[]interface {}{");
                for (size_t i = 0; i < kc_json_len(v); i++) {
                        kc_buf_adds(b, i ? ", " : "");
                        go_syntax(b, kc_json_idx(v, i));
                }
                kc_buf_addc(b, '}');
        } else if (kc_json_as_str(v)) {
                kc_quote_add(b, kc_json_as_str(v));
        } else if (!v) {
                kc_buf_adds(b, "interface {}(nil)");
        } else {
                kc_json_write(b, v);
        }
}

static const char *go_type(const struct json_object *v)
{
        switch (json_object_get_type(v)) {
        case json_type_boolean:
                return "bool";
        case json_type_string:
                return "string";
        case json_type_object:
                return "map[string]interface {}";
        case json_type_array:
                return "[]interface {}";
        default:
                return "<nil>";
        }
}

static bool is_number(const struct json_object *v)
{
        return json_object_is_type(v, json_type_int) || json_object_is_type(v, json_type_double);
}

static void check_scalar(struct check *c, const struct kc_type *type, const struct json_object *v)
{
        struct kc_buf b = KC_BUF_INIT;
        switch (type->kind) {
        case KC_TYPE_INT32:
        case KC_TYPE_INT64:
        case KC_TYPE_DOUBLE:
                if (!is_number(v))
                        kc_buf_addf(&b, "expected numeric (int or float), got %s", go_type(v));
                break;
        case KC_TYPE_STRING:
        case KC_TYPE_BYTES:
        case KC_TYPE_DURATION:
                if (!kc_json_as_str(v)) {
                        kc_buf_adds(&b, "expected string, got &value.valueUnstructured{Value:");
                        go_syntax(&b, v);
                        kc_buf_addc(&b, '}');
                }
                break;
        case KC_TYPE_BOOL:
                if (!json_object_is_type(v, json_type_boolean))
                        expected(c, "boolean", v);
                break;
        case KC_TYPE_RAW: /* anything */
        case KC_TYPE_VARIANT:
                break;
        default:
                if (kc_json_is_obj(v) || kc_json_is_arr(v))
                        expected(c, "any scalar", v);
        }
        if (b.len > 0)
                report(c, &b);
        kc_buf_done(&b);
}

/* False: the path is too long to go on. */
static bool enter(struct check *c, const struct kc_path_element *at)
{
        if (c->depth == KC_FIELDSET_MAX_DEPTH)
                return false;
        c->path[c->depth++] = *at;
        return true;
}

static void check_map(struct check *c, struct st_type t, const struct json_object *v)
{
        KC_JSON_FOREACH(v, key, val)
        {
                struct st_type below;
                bool named;
                const struct kc_path_element at = kc_path_field(key);
                if (!enter(c, &at))
                        return;
                bool known = st_field(t, key, &below, &named);
                if (known)
                        check_value(c, below, val);
                else
                        complain(c, "field not declared in schema");
                c->depth--;
                if (!known)
                        return; /* as upstream: one is enough */
        }
}

/* Several of the same: reported at each but the first. False: an element has no keys. */
static bool check_keys(struct check *c, const struct st_index *x, struct st_type t, const struct json_object *v)
{
        for (size_t i = 0; i < x->n; i++) {
                struct kc_buf b = KC_BUF_INIT;
                struct kc_error why = KC_ERROR_INIT;
                struct kc_path_element at;
                size_t n;
                if (x->all[i].bad && st_item(&c->arena, t, kc_json_idx(v, i), &at, &why) < 0)
                        kc_buf_addf(&b, "element %zu: %s", i, kc_error_message(&why));
                else if (st_index_find(x, &x->all[i].at, &n)->pos != i) {
                        kc_buf_adds(&b, "duplicate entries for key ");
                        kc_path_element_format(&b, &x->all[i].at);
                }
                if (b.len > 0)
                        report(c, &b);
                kc_buf_done(&b);
                kc_error_done(&why);
                if (x->all[i].bad)
                        return false;
        }
        return true;
}

static void check_list(struct check *c, struct st_type t, const struct json_object *v)
{
        struct st_index x = {0};
        bool keyed = st_shape_of(t, v) == ST_LIST;
        if (keyed) {
                st_index_make(&c->arena, t, v, &x);
                if (!check_keys(c, &x, t, v))
                        return;
        }
        for (size_t i = 0; i < kc_json_len(v); i++) {
                const struct kc_path_element at = keyed ? x.all[i].at : kc_path_index(&c->arena, i);
                if (!enter(c, &at))
                        return;
                check_value(c, st_element(t), kc_json_idx(v, i));
                c->depth--;
        }
}

static void check_value(struct check *c, struct st_type t, const struct json_object *v)
{
        if (!v)
                return; /* null is a valid anything */
        switch (t.type->kind) {
        case KC_TYPE_OBJECT:
        case KC_TYPE_MAP:
                if (kc_json_is_obj(v))
                        check_map(c, t, v);
                else
                        expected(c, "map", v);
                return;
        case KC_TYPE_ARRAY:
                if (kc_json_is_arr(v))
                        check_list(c, t, v);
                else
                        expected(c, "list", v);
                return;
        default:
                check_scalar(c, t.type, v);
        }
}

int kc_structured_check(const struct json_object *tree, const struct kc_type *type, struct kc_error *err)
{
        struct check c = {0};
        int r = 0;
        check_value(&c, (struct st_type){.type = type}, tree);
        size_t n = kc_strv_len(c.errors);
        if (n == 1) {
                r = kc_error_set(err, EINVAL, "%s", c.errors[0]);
        } else if (n > 1) {
                KC_CLEANUP(kc_freep) char *list = kc_strv_join(c.errors, "\n  ");
                r = kc_error_set(err, EINVAL, "errors:\n  %s", list);
        }
        kc_strv_free(c.errors);
        kc_arena_done(&c.arena);
        return r;
}
