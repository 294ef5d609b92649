/* Evaluation of JSONPath templates. Pure. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "json/jsonpath_internal.h"

struct eval {
        bool allow_missing;
        struct kc_error *err;
};

static void push(struct kc_jsonpath_values *v, const struct json_object *o)
{
        if (v->n == v->cap) {
                v->cap = v->cap ? 2 * v->cap : 8;
                v->v = kc_reallocarray(v->v, v->cap, sizeof(*v->v));
        }
        v->v[v->n++] = o;
}

void kc_jsonpath_values_done(struct kc_jsonpath_values *v)
{
        kc_free(v->v);
        *v = (struct kc_jsonpath_values){0};
}

static int eval_list(
    const struct eval *e, const struct jp_list *l, const struct kc_jsonpath_values *in, struct kc_jsonpath_values *out);

/* --- steps: from the values of in to those of out */

static int eval_field(
    const struct eval *e, const char *name, const struct kc_jsonpath_values *in, struct kc_jsonpath_values *out)
{
        bool found = in->n == 0;
        for (size_t i = 0; i < in->n; i++) {
                /* A key whose value is null is there. */
                KC_JSON_FOREACH(in->v[i], key, val)
                {
                        if (strcmp(key, name) != 0)
                                continue;
                        push(out, val);
                        found = true;
                }
        }
        return found || e->allow_missing ? 0 : kc_error_set(e->err, ENOENT, "%s is not found", name);
}

static int64_t settle(const struct jp_param *p, int64_t def, int64_t len)
{
        int64_t v = p->known ? p->value : def;
        return v < 0 || (v == 0 && p->derived) ? v + len : v;
}

static int slice(
    const struct eval *e, const struct jp_node *n, const struct json_object *array, struct kc_jsonpath_values *out)
{
        int64_t len = (int64_t)kc_json_len(array), from = settle(&n->params[0], 0, len),
                to = settle(&n->params[1], len, len);
        int64_t step = n->params[2].known ? n->params[2].value : 1;
        if (from == to)
                return 0;
        if (from >= len || from < 0 || to > len || to < 0)
                return kc_error_set(e->err, ERANGE, "array index out of bounds: index %lld, length %lld",
                    (long long)(from >= len || from < 0 ? from : to - 1), (long long)len);
        if (from > to)
                return kc_error_set(e->err, ERANGE, "starting index %lld is greater than ending index %lld",
                    (long long)from, (long long)to);
        if (step <= 0)
                return kc_error_set(e->err, ERANGE, "step must be > 0");
        for (int64_t i = from; i < to; i += KC_MIN(step, len))
                push(out, kc_json_idx(array, (size_t)i));
        return 0;
}

static int not_array(const struct eval *e, const struct json_object *o, const char *tail)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf text = KC_BUF_INIT;
        kc_jsonpath_value_text(o, &text);
        return kc_error_set(e->err, EINVAL, "%.*s is not array or slice%s", (int)KC_MIN(text.len, (size_t)200),
            kc_buf_str(&text), tail);
}

static int eval_slice(
    const struct eval *e, const struct jp_node *n, const struct kc_jsonpath_values *in, struct kc_jsonpath_values *out)
{
        for (size_t i = 0; i < in->n; i++) {
                if (!in->v[i])
                        continue;
                int r = kc_json_is_arr(in->v[i]) ? slice(e, n, in->v[i], out) : not_array(e, in->v[i], "");
                if (r < 0)
                        return r;
        }
        return 0;
}

static void eval_wildcard(const struct kc_jsonpath_values *in, struct kc_jsonpath_values *out)
{
        for (size_t i = 0; i < in->n; i++) {
                for (size_t k = 0; k < kc_json_len(in->v[i]); k++)
                        push(out, kc_json_idx(in->v[i], k));
                KC_JSON_FOREACH(in->v[i], key, val)
                {
                        (void)key;
                        push(out, val);
                }
        }
}

/* The value itself and all below it. */
static void descend(const struct json_object *o, struct kc_jsonpath_values *out)
{
        push(out, o);
        for (size_t k = 0; k < kc_json_len(o); k++)
                descend(kc_json_idx(o, k), out);
        KC_JSON_FOREACH(o, key, val)
        {
                (void)key;
                descend(val, out);
        }
}

/* --- filters */

static int order_of(double a, double b)
{
        return a < b ? -1 : a > b;
}

/* *ret: < 0, 0, > 0. Values of different types cannot be compared. */
static int compare(const struct eval *e, const struct json_object *a, const struct json_object *b, int *ret)
{
        enum json_type t = json_object_get_type(a);
        if (t == json_object_get_type(b)) {
                switch (t) {
                case json_type_string:
                        *ret = strcmp(kc_json_as_str(a), kc_json_as_str(b));
                        return 0;
                case json_type_int: {
                        int64_t x = json_object_get_int64(a), y = json_object_get_int64(b);
                        *ret = x < y ? -1 : x > y;
                        return 0;
                }
                case json_type_double:
                        *ret = order_of(json_object_get_double(a), json_object_get_double(b));
                        return 0;
                case json_type_boolean:
                        *ret = (int)json_object_get_boolean(a) - (int)json_object_get_boolean(b);
                        return 0;
                default:
                        return kc_error_set(e->err, EINVAL, "invalid type for comparison");
                }
        }
        return kc_error_set(e->err, EINVAL, "incompatible types for comparison");
}

static int holds(
    const struct eval *e, const char *op, const struct json_object *a, const struct json_object *b, bool *ret)
{
        static const struct {
                const char *op;
                bool less, equal, greater;
        } ops[] = {{"==", false, true, false}, {"!=", true, false, true}, {"<", true, false, false},
            {"<=", true, true, false}, {">", false, false, true}, {">=", false, true, true}};
        int order = 0;
        for (size_t i = 0; i < KC_ARRAY_LEN(ops); i++) {
                if (strcmp(op, ops[i].op) != 0)
                        continue;
                int r = compare(e, a, b, &order);
                *ret = order < 0 ? ops[i].less : order > 0 ? ops[i].greater : ops[i].equal;
                return r;
        }
        return kc_error_set(e->err, EINVAL, "unrecognized filter operator %s", op);
}

static int filter_fits(const struct eval *e, const struct jp_node *n, const struct json_object *o, bool *ret)
{
        const struct kc_jsonpath_values one = {.v = &o, .n = 1};
        KC_CLEANUP(kc_jsonpath_values_done) struct kc_jsonpath_values left = {0}, right = {0};
        /* Whether a key is there is the question itself. */
        const struct eval lenient = {.allow_missing = true, .err = e->err};
        int r = eval_list(n->op[0] ? e : &lenient, &n->lists[0], &one, &left);
        *ret = r == 0 && left.n > 0 && !n->op[0];
        if (r < 0 || !n->op[0] || left.n == 0)
                return r;
        r = eval_list(e, &n->lists[1], &one, &right);
        if (r < 0 || right.n == 0)
                return r;
        if (left.n > 1 || right.n > 1)
                return kc_error_set(e->err, EINVAL, "can only compare one element at a time");
        return holds(e, n->op, left.v[0], right.v[0], ret);
}

static int eval_filter(
    const struct eval *e, const struct jp_node *n, const struct kc_jsonpath_values *in, struct kc_jsonpath_values *out)
{
        for (size_t i = 0; i < in->n; i++) {
                if (in->v[i] && !kc_json_is_arr(in->v[i]))
                        return not_array(e, in->v[i], " and cannot be filtered");
                for (size_t k = 0; k < kc_json_len(in->v[i]); k++) {
                        const struct json_object *o = kc_json_idx(in->v[i], k);
                        bool fits = false;
                        int r = filter_fits(e, n, o, &fits);
                        if (r < 0)
                                return r;
                        if (fits)
                                push(out, o);
                }
        }
        return 0;
}

/* --- actions */

static int eval_node(
    const struct eval *e, const struct jp_node *n, const struct kc_jsonpath_values *in, struct kc_jsonpath_values *out)
{
        int r = 0;
        switch (n->kind) {
        case JP_FIELD:
                return eval_field(e, n->name, in, out);
        case JP_WILDCARD:
                eval_wildcard(in, out);
                return 0;
        case JP_RECURSIVE:
                for (size_t i = 0; i < in->n; i++)
                        descend(in->v[i], out);
                return 0;
        case JP_SLICE:
                return eval_slice(e, n, in, out);
        case JP_UNION:
                for (size_t i = 0; i < n->n_lists && r == 0; i++)
                        r = eval_list(e, &n->lists[i], in, out);
                return r;
        case JP_FILTER:
                return eval_filter(e, n, in, out);
        case JP_LITERAL:
                push(out, n->value);
                return 0;
        }
        return 0;
}

/* Appends to out. */
static int eval_list(
    const struct eval *e, const struct jp_list *l, const struct kc_jsonpath_values *in, struct kc_jsonpath_values *out)
{
        struct kc_jsonpath_values now = {0};
        int r = 0;
        for (size_t i = 0; i < in->n; i++)
                push(&now, in->v[i]);
        for (size_t i = 0; i < l->n && r == 0; i++) {
                struct kc_jsonpath_values next = {0};
                r = eval_node(e, &l->v[i], &now, &next);
                kc_jsonpath_values_done(&now);
                now = next;
        }
        for (size_t i = 0; i < now.n && r == 0; i++)
                push(out, now.v[i]);
        kc_jsonpath_values_done(&now);
        return r;
}

/* As Go's %v prints a float64. */
static void add_double(double d, struct kc_buf *out)
{
        char text[32];
        int exponent = d == 0 ? 0 : (int)floor(log10(fabs(d)));
        for (int precision = 1; precision <= 17; precision++) {
                if (exponent < -4 || exponent >= 6)
                        snprintf(text, sizeof(text), "%.*e", precision - 1, d);
                else
                        snprintf(text, sizeof(text), "%.*f", KC_MAX(precision - 1 - exponent, 0), d);
                if (strtod(text, NULL) == d)
                        break;
        }
        kc_buf_adds(out, text);
}

void kc_jsonpath_value_text(const struct json_object *value, struct kc_buf *out)
{
        if (!value)
                return;
        switch (json_object_get_type(value)) {
        case json_type_string:
                kc_buf_adds(out, kc_json_as_str(value));
                break;
        case json_type_double:
                add_double(json_object_get_double(value), out);
                break;
        default:
                kc_json_write_sorted(out, value);
        }
}

static void print_values(const struct kc_jsonpath_values *v, struct kc_buf *out)
{
        for (size_t i = 0; i < v->n; i++) {
                if (i)
                        kc_buf_addc(out, ' ');
                kc_jsonpath_value_text(v->v[i], out);
        }
}

static int print_block(const struct eval *e, const struct jp_block *b, const struct json_object *o, struct kc_buf *out)
{
        const struct kc_jsonpath_values one = {.v = &o, .n = 1};
        int r = 0;
        for (size_t i = 0; i < b->n && r == 0; i++) {
                const struct jp_item *item = &b->v[i];
                KC_CLEANUP(kc_jsonpath_values_done) struct kc_jsonpath_values values = {0};
                if (item->kind == JP_TEXT) {
                        kc_buf_adds(out, item->text);
                        continue;
                }
                r = eval_list(e, &item->list, &one, &values);
                if (item->kind == JP_ACTION && r == 0)
                        print_values(&values, out);
                for (size_t k = 0; item->kind == JP_RANGE && k < values.n && r == 0; k++)
                        r = print_block(e, item->body, values.v[k], out);
        }
        return r;
}

int kc_jsonpath_print(const struct kc_jsonpath *p, const struct json_object *o, bool allow_missing, struct kc_buf *out,
    struct kc_error *err)
{
        const struct eval e = {.allow_missing = allow_missing, .err = err};
        return print_block(&e, &p->root, o, out);
}

int kc_jsonpath_find(const struct kc_jsonpath *p, const struct json_object *o, bool allow_missing,
    struct kc_jsonpath_values *ret, struct kc_error *err)
{
        const struct eval e = {.allow_missing = allow_missing, .err = err};
        const struct kc_jsonpath_values one = {.v = &o, .n = 1};
        int r = 0;
        for (size_t i = 0; i < p->root.n && r == 0; i++)
                if (p->root.v[i].kind == JP_ACTION)
                        r = eval_list(&e, &p->root.v[i].list, &one, ret);
        if (r < 0)
                kc_jsonpath_values_done(ret);
        return r;
}
