/* Functions of templates, and values. Pure. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "cli/template/internal.h"

/* --- values */

struct kc_value kc_value_of(const struct json_object *o)
{
        if (!o)
                return (struct kc_value){.kind = KC_VAL_NIL};
        switch (json_object_get_type(o)) {
        case json_type_boolean:
                return (struct kc_value){.kind = KC_VAL_BOOL, .b = json_object_get_boolean(o)};
        case json_type_int:
        case json_type_double:
                return (struct kc_value){.kind = KC_VAL_FLOAT, .f = json_object_get_double(o)};
        case json_type_string:
                return kc_value_str(kc_json_as_str(o));
        case json_type_array:
                return (struct kc_value){.kind = KC_VAL_LIST, .o = o};
        default:
                return (struct kc_value){.kind = KC_VAL_MAP, .o = o};
        }
}

struct kc_value kc_value_str(const char *s)
{
        return (struct kc_value){.kind = KC_VAL_STRING, .s = s};
}

bool kc_value_true(const struct kc_value *v)
{
        switch (v->kind) {
        case KC_VAL_NIL:
                return false;
        case KC_VAL_BOOL:
                return v->b;
        case KC_VAL_INT:
                return v->i != 0;
        case KC_VAL_FLOAT:
                return v->f != 0;
        case KC_VAL_STRING:
                return v->s[0] != '\0';
        case KC_VAL_LIST:
                return kc_json_len(v->o) > 0;
        case KC_VAL_MAP:
                return kc_json_n_keys(v->o) > 0;
        }
        return false;
}

/* The fewest digits that read back the same; from 1e+06 on with an exponent, as Go's %v. */
void kc_float_print(double f, struct kc_buf *out)
{
        char digits[40];
        int precision = 1;
        do
                (void)snprintf(digits, sizeof(digits), "%.*e", precision - 1, f);
        while (strtod(digits, NULL) != f && precision++ < 17);
        const char *e = strchr(digits, 'e');
        int exponent = e ? atoi(e + 1) : 0;
        if (!e || exponent < -4 || exponent >= 6) {
                kc_buf_adds(out, digits);
                return;
        }
        kc_buf_addf(out, "%.*f", KC_MAX(0, precision - 1 - exponent), f);
}

static void print_json(const struct json_object *o, struct kc_buf *out)
{
        struct kc_value v = kc_value_of(o);
        if (v.kind == KC_VAL_NIL)
                kc_buf_adds(out, "<nil>");
        else
                kc_value_print(&v, out);
}

static void print_map(const struct json_object *o, struct kc_buf *out)
{
        KC_CLEANUP(kc_strv_freep) char **keys = NULL;
        KC_JSON_FOREACH(o, key, val)
        {
                (void)val;
                kc_strv_push(&keys, key);
        }
        if (keys)
                kc_strv_sort(keys);
        kc_buf_adds(out, "map[");
        for (char **k = keys; k && *k; k++) {
                kc_buf_addf(out, "%s%s:", k == keys ? "" : " ", *k);
                print_json(kc_json_get(o, *k), out);
        }
        kc_buf_addc(out, ']');
}

void kc_value_print(const struct kc_value *v, struct kc_buf *out)
{
        switch (v->kind) {
        case KC_VAL_NIL:
                kc_buf_adds(out, "<no value>");
                break;
        case KC_VAL_BOOL:
                kc_buf_adds(out, v->b ? "true" : "false");
                break;
        case KC_VAL_INT:
                kc_buf_addf(out, "%lld", (long long)v->i);
                break;
        case KC_VAL_FLOAT:
                kc_float_print(v->f, out);
                break;
        case KC_VAL_STRING:
                kc_buf_adds(out, v->s);
                break;
        case KC_VAL_LIST:
                kc_buf_addc(out, '[');
                for (size_t i = 0; i < kc_json_len(v->o); i++) {
                        kc_buf_adds(out, i ? " " : "");
                        print_json(kc_json_idx(v->o, i), out);
                }
                kc_buf_addc(out, ']');
                break;
        case KC_VAL_MAP:
                print_map(v->o, out);
                break;
        }
}

void kc_template_value(const struct json_object *o, struct kc_buf *out)
{
        print_json(o, out);
}

static const char *type_name(const struct kc_value *v)
{
        static const char *const names[] = {
            "<nil>", "bool", "int", "float64", "string", "[]interface {}", "map[string]interface {}"};
        return names[v->kind];
}

static struct kc_value of_bool(bool b)
{
        return (struct kc_value){.kind = KC_VAL_BOOL, .b = b};
}

static struct kc_value keep(struct kc_run_strings *strings, struct kc_buf *take)
{
        char *s = kc_buf_take_str(take);
        kc_strv_push_take(&strings->v, s);
        return kc_value_str(s);
}

/* --- comparison */

#define FUNCTION(name)                                                                                                 \
        static int name(const struct kc_value *args, size_t n, struct kc_run_strings *strings, struct kc_value *ret,   \
            struct kc_error *err)
#define UNUSED_STRINGS (void)strings

static int compare(const struct kc_value *a, const struct kc_value *b, bool ordered, int *ret, struct kc_error *err)
{
        if (a->kind != b->kind && (a->kind == KC_VAL_NIL || b->kind == KC_VAL_NIL) && !ordered) {
                *ret = 1;
                return 0;
        }
        if (a->kind >= KC_VAL_LIST || b->kind >= KC_VAL_LIST || (ordered && (!a->kind || a->kind == KC_VAL_BOOL)))
                return kc_error_set(err, EINVAL, "invalid type for comparison");
        if (a->kind != b->kind)
                return kc_error_set(err, EINVAL, "incompatible types for comparison");
        switch (a->kind) {
        case KC_VAL_BOOL:
                *ret = a->b != b->b;
                break;
        case KC_VAL_INT:
                *ret = a->i < b->i ? -1 : a->i > b->i;
                break;
        case KC_VAL_FLOAT:
                *ret = a->f < b->f ? -1 : a->f > b->f;
                break;
        case KC_VAL_STRING:
                *ret = strcmp(a->s, b->s);
                break;
        default:
                *ret = 0;
        }
        return 0;
}

static int wrong_number(const char *name, size_t want, size_t n, struct kc_error *err)
{
        return kc_error_set(err, E2BIG, "wrong number of args for %s: want %zu got %zu", name, want, n);
}

FUNCTION(fn_eq)
{
        UNUSED_STRINGS;
        int d = 1;
        if (n < 2)
                return n == 0 ? kc_error_set(err, E2BIG, "wrong number of args for eq: want at least 1 got 0")
                              : kc_error_set(err, EINVAL, "missing argument for comparison");
        for (size_t i = 1; i < n && d != 0; i++) {
                int e = compare(&args[0], &args[i], false, &d, err);
                if (e < 0)
                        return e;
        }
        *ret = of_bool(d == 0);
        return 0;
}

static int ordered(
    const struct kc_value *args, size_t n, const char *name, bool equality, int *ret, struct kc_error *err)
{
        return n == 2 ? compare(&args[0], &args[1], !equality, ret, err) : wrong_number(name, 2, n, err);
}

#define COMPARISON(fn, name, equality, expression)                                                                     \
        FUNCTION(fn)                                                                                                   \
        {                                                                                                              \
                UNUSED_STRINGS;                                                                                        \
                int d = 0;                                                                                             \
                int e = ordered(args, n, name, equality, &d, err);                                                     \
                *ret = of_bool(expression);                                                                            \
                return e;                                                                                              \
        }
COMPARISON(fn_ne, "ne", true, d != 0)
COMPARISON(fn_lt, "lt", false, d < 0)
COMPARISON(fn_le, "le", false, d <= 0)
COMPARISON(fn_gt, "gt", false, d > 0)
COMPARISON(fn_ge, "ge", false, d >= 0)

/* and, or: the arguments are evaluated by need, see run.c; here is what is left. */
FUNCTION(fn_last)
{
        UNUSED_STRINGS;
        if (n == 0)
                return kc_error_set(err, E2BIG, "wrong number of args for and: want at least 1 got 0");
        *ret = args[n - 1];
        return 0;
}

FUNCTION(fn_not)
{
        UNUSED_STRINGS;
        if (n != 1)
                return wrong_number("not", 1, n, err);
        *ret = of_bool(!kc_value_true(&args[0]));
        return 0;
}

/* --- collections */

FUNCTION(fn_len)
{
        UNUSED_STRINGS;
        if (n != 1)
                return wrong_number("len", 1, n, err);
        const struct kc_value *v = &args[0];
        if (v->kind == KC_VAL_NIL)
                return kc_error_set(err, EINVAL, "len of nil pointer");
        if (v->kind != KC_VAL_STRING && v->kind < KC_VAL_LIST)
                return kc_error_set(err, EINVAL, "len of type %s", type_name(v));
        size_t len = v->kind == KC_VAL_STRING ? strlen(v->s)
                     : v->kind == KC_VAL_LIST ? kc_json_len(v->o)
                                              : kc_json_n_keys(v->o);
        *ret = (struct kc_value){.kind = KC_VAL_INT, .i = (int64_t)len};
        return 0;
}

static int index_number(const struct kc_value *v, size_t limit, size_t *ret, struct kc_error *err)
{
        if (v->kind == KC_VAL_NIL)
                return kc_error_set(err, EINVAL, "cannot index slice/array with nil");
        if (v->kind != KC_VAL_INT)
                return kc_error_set(err, EINVAL, "cannot index slice/array with type %s", type_name(v));
        if (v->i < 0 || (uint64_t)v->i >= limit)
                return kc_error_set(err, ERANGE, "index out of range: %lld", (long long)v->i);
        *ret = (size_t)v->i;
        return 0;
}

FUNCTION(fn_index)
{
        UNUSED_STRINGS;
        if (n == 0)
                return kc_error_set(err, E2BIG, "wrong number of args for index: want at least 1 got 0");
        struct kc_value v = args[0];
        for (size_t i = 1; i < n; i++) {
                size_t at;
                int e = 0;
                if (v.kind == KC_VAL_LIST) {
                        e = index_number(&args[i], kc_json_len(v.o), &at, err);
                        if (e == 0)
                                v = kc_value_of(kc_json_idx(v.o, at));
                } else if (v.kind == KC_VAL_MAP) {
                        if (args[i].kind != KC_VAL_STRING)
                                return kc_error_set(
                                    err, EINVAL, "value has type %s; should be string", type_name(&args[i]));
                        v = kc_value_of(kc_json_get(v.o, args[i].s));
                } else if (v.kind == KC_VAL_STRING) {
                        e = index_number(&args[i], strlen(v.s), &at, err);
                        if (e == 0)
                                v = (struct kc_value){.kind = KC_VAL_INT, .i = (unsigned char)v.s[at]};
                } else {
                        return v.kind == KC_VAL_NIL
                                   ? kc_error_set(err, EINVAL, "index of untyped nil")
                                   : kc_error_set(err, EINVAL, "can't index item of type %s", type_name(&v));
                }
                if (e < 0)
                        return e;
        }
        *ret = v;
        return 0;
}

/* Of strings; lists of the data are not cut. */
FUNCTION(fn_slice)
{
        size_t from = 0, to;
        if (n == 0 || args[0].kind != KC_VAL_STRING)
                return kc_error_set(err, EINVAL, "can't slice item of type %s", n ? type_name(&args[0]) : "<nil>");
        if (n > 3)
                return kc_error_set(err, EINVAL, "cannot 3-index slice a string");
        size_t len = to = strlen(args[0].s);
        int e = n > 1 ? index_number(&args[1], len + 1, &from, err) : 0;
        if (e == 0 && n > 2)
                e = index_number(&args[2], len + 1, &to, err);
        if (e < 0)
                return e;
        if (from > to)
                return kc_error_set(err, ERANGE, "invalid slice index: %zu > %zu", from, to);
        struct kc_buf b = KC_BUF_INIT;
        kc_buf_add(&b, args[0].s + from, to - from);
        *ret = keep(strings, &b);
        return 0;
}

/* Is the field there? exists .a "b" "c" */
FUNCTION(fn_exists)
{
        KC_CLEANUP(kc_error_done) struct kc_error why = KC_ERROR_INIT;
        struct kc_value v = {0};
        (void)err;
        int e = fn_index(args, n, strings, &v, &why);
        *ret = of_bool(e == 0 && v.kind != KC_VAL_NIL);
        return 0;
}

/* --- text */

static void add_spaced(const struct kc_value *args, size_t n, bool always, struct kc_buf *b)
{
        for (size_t i = 0; i < n; i++) {
                bool strings = i > 0 && (args[i].kind == KC_VAL_STRING || args[i - 1].kind == KC_VAL_STRING);
                if (i > 0 && (always || !strings))
                        kc_buf_addc(b, ' ');
                if (args[i].kind == KC_VAL_NIL)
                        kc_buf_adds(b, "<nil>");
                else
                        kc_value_print(&args[i], b);
        }
}

FUNCTION(fn_print)
{
        (void)err;
        struct kc_buf b = KC_BUF_INIT;
        add_spaced(args, n, false, &b);
        *ret = keep(strings, &b);
        return 0;
}

FUNCTION(fn_println)
{
        (void)err;
        struct kc_buf b = KC_BUF_INIT;
        add_spaced(args, n, true, &b);
        kc_buf_addc(&b, '\n');
        *ret = keep(strings, &b);
        return 0;
}

/* Go takes widths and precisions up to a million. */
static bool too_large(const char *flags, size_t len)
{
        size_t digits = 0;
        for (size_t i = 0; i < len; i++) {
                digits = flags[i] >= '0' && flags[i] <= '9' ? digits + 1 : 0;
                if (digits > 6)
                        return true;
        }
        return false;
}

/* One verb with its flags, width and precision: at the verb's letter. */
static void add_verb(struct kc_buf *b, const char *flags, size_t len, char verb, const struct kc_value *v)
{
        char format[32];
        if (len > 20 || too_large(flags, len)) {
                kc_buf_adds(b, "%!(BADWIDTH)");
                len = 0;
        }
        KC_CLEANUP(kc_buf_done) struct kc_buf text = KC_BUF_INIT;
        bool number =
            (v->kind == KC_VAL_INT && strchr("dxXobc", verb)) || (v->kind == KC_VAL_FLOAT && strchr("feEgG", verb));
        if (number && verb != 'b') {
                bool i = v->kind == KC_VAL_INT;
                (void)snprintf(
                    format, sizeof(format), "%%%.*s%s%c", (int)len, flags, i && verb != 'c' ? "ll" : "", verb);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
                if (i && verb == 'c')
                        kc_buf_addf(b, format, (int)v->i);
                else if (i)
                        kc_buf_addf(b, format, (long long)v->i);
                else
                        kc_buf_addf(b, format, v->f);
#pragma GCC diagnostic pop
                return;
        }
        bool string = v->kind == KC_VAL_STRING && (verb == 's' || verb == 'q');
        if (verb == 'v' || string || (verb == 's' && v->kind >= KC_VAL_LIST) ||
            (verb == 't' && v->kind == KC_VAL_BOOL)) {
                if (v->kind == KC_VAL_NIL)
                        kc_buf_adds(&text, "<nil>");
                else if (verb == 'q')
                        kc_json_write_string(&text, v->s, strlen(v->s));
                else
                        kc_value_print(v, &text);
        } else if (verb == 'T') {
                kc_buf_adds(&text, type_name(v));
        } else {
                kc_buf_addf(&text, "%%!%c(%s=", verb, type_name(v));
                kc_value_print(v, &text);
                kc_buf_addc(&text, ')');
        }
        bool left = len > 0 && flags[0] == '-';
        (void)snprintf(format, sizeof(format), "%.*s", (int)len, flags);
        const char *dot = strchr(format, '.');
        int width = abs(atoi(format + left)), precision = dot ? atoi(dot + 1) : -1;
        kc_buf_addf(b, left ? "%-*.*s" : "%*.*s", width, precision, kc_buf_str(&text));
}

FUNCTION(fn_printf)
{
        struct kc_buf b = KC_BUF_INIT;
        size_t used = 1;
        if (n == 0 || args[0].kind != KC_VAL_STRING)
                return kc_error_set(
                    err, EINVAL, "wrong type for value; expected string; got %s", n ? type_name(&args[0]) : "nothing");
        for (const char *p = args[0].s; *p; p++) {
                if (*p != '%') {
                        kc_buf_addc(&b, *p);
                        continue;
                }
                const char *flags = ++p;
                p += strspn(p, "-+# 0123456789.");
                if (*p == '%')
                        kc_buf_addc(&b, '%');
                else if (!*p)
                        kc_buf_adds(&b, "%!(NOVERB)");
                else if (used >= n)
                        kc_buf_addf(&b, "%%!%c(MISSING)", *p);
                else
                        add_verb(&b, flags, (size_t)(p - flags), *p, &args[used++]);
                if (!*p)
                        break;
        }
        for (size_t i = used; i < n; i++) {
                kc_buf_addf(&b, "%s%s=", i == used ? "%!(EXTRA " : ", ", type_name(&args[i]));
                kc_value_print(&args[i], &b);
        }
        kc_buf_adds(&b, used < n ? ")" : "");
        *ret = keep(strings, &b);
        return 0;
}

static void add_replaced(struct kc_buf *b, const char *s, const char *const (*table)[2], size_t n)
{
        for (; *s; s++) {
                const char *found = NULL;
                for (size_t i = 0; i < n && !found; i++)
                        if (table[i][0][0] == *s)
                                found = table[i][1];
                if (found)
                        kc_buf_adds(b, found);
                else
                        kc_buf_addc(b, *s);
        }
}

#define REPLACING(fn, ...)                                                                                             \
        FUNCTION(fn)                                                                                                   \
        {                                                                                                              \
                static const char *const table[][2] = {__VA_ARGS__};                                                   \
                KC_CLEANUP(kc_buf_done) struct kc_buf text = KC_BUF_INIT;                                              \
                struct kc_buf b = KC_BUF_INIT;                                                                         \
                (void)err;                                                                                             \
                add_spaced(args, n, false, &text);                                                                     \
                add_replaced(&b, kc_buf_str(&text), table, KC_ARRAY_LEN(table));                                       \
                *ret = keep(strings, &b);                                                                              \
                return 0;                                                                                              \
        }
REPLACING(fn_html, {"\"", "&#34;"}, {"'", "&#39;"}, {"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"})
REPLACING(fn_js, {"\\", "\\\\"}, {"'", "\\'"}, {"\"", "\\\""}, {"<", "\\u003C"}, {">", "\\u003E"}, {"&", "\\u0026"},
    {"=", "\\u003D"}, {"\n", "\\u000A"}, {"\t", "\\u0009"})

FUNCTION(fn_urlquery)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf text = KC_BUF_INIT;
        struct kc_buf b = KC_BUF_INIT;
        (void)err;
        add_spaced(args, n, false, &text);
        KC_CLEANUP(kc_freep) char *escaped = kc_url_escape(kc_buf_str(&text), false);
        KC_CLEANUP(kc_freep) char *plus = kc_str_replace_all(escaped, "%20", "+");
        kc_buf_adds(&b, plus);
        *ret = keep(strings, &b);
        return 0;
}

/* Where Go's decoder stops. */
static size_t bad_byte(const char *s)
{
        size_t n = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/\r\n");
        return s[n] == '\0' ? n / 4 * 4 : n;
}

FUNCTION(fn_base64decode)
{
        struct kc_buf b = KC_BUF_INIT;
        if (n != 1)
                return wrong_number("base64decode", 1, n, err);
        if (args[0].kind != KC_VAL_STRING)
                return kc_error_set(err, EINVAL, "wrong type for value; expected string; got %s", type_name(&args[0]));
        if (kc_base64_decode(args[0].s, strlen(args[0].s), &b) < 0) {
                kc_buf_done(&b);
                return kc_error_set(
                    err, EILSEQ, "base64 decode failed: illegal base64 data at input byte %zu", bad_byte(args[0].s));
        }
        *ret = keep(strings, &b);
        return 0;
}

kc_template_function *kc_template_find_function(const char *name)
{
        static const struct {
                const char *name;
                kc_template_function *fn;
        } table[] = {{"and", fn_last}, {"base64decode", fn_base64decode}, {"eq", fn_eq}, {"exists", fn_exists},
            {"ge", fn_ge}, {"gt", fn_gt}, {"html", fn_html}, {"index", fn_index}, {"js", fn_js}, {"le", fn_le},
            {"len", fn_len}, {"lt", fn_lt}, {"ne", fn_ne}, {"not", fn_not}, {"or", fn_last}, {"print", fn_print},
            {"printf", fn_printf}, {"println", fn_println}, {"slice", fn_slice}, {"urlquery", fn_urlquery}};
        for (size_t i = 0; i < KC_ARRAY_LEN(table); i++)
                if (kc_streq(table[i].name, name))
                        return table[i].fn;
        return NULL;
}
