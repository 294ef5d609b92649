/* Values without fields: type checks with Go's messages, and canonical forms of quantities, times and bytes. */
#include "api/codec_internal.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "api/quantity.h"
#include "base/clock.h"
#include "base/encode.h"
#include "base/mem.h"
#include "base/str.h"

static int bad_request(struct kc_error *err, const char *fmt, ...) KC_PRINTF(2, 3);
static int bad_request(struct kc_error *err, const char *fmt, ...)
{
        va_list ap;
        va_start(ap, fmt);
        KC_CLEANUP(kc_freep) char *message = kc_vasprintf(fmt, ap);
        va_end(ap);
        return kc_error_set_api(err, 400, KC_REASON_BAD_REQUEST, "%s", message);
}

static void format_step(struct kc_buf *b, const struct kc_codec_path *at)
{
        if (!at)
                return;
        format_step(b, at->up);
        if (!at->key)
                kc_buf_addf(b, "[%zu]", at->index);
        else
                kc_buf_addf(b, "%s%s", b->len > 0 ? "." : "", at->key);
}

void kc_codec_path_format(struct kc_buf *b, const struct kc_codec_path *at, const char *extra)
{
        format_step(b, at);
        if (extra)
                kc_buf_addf(b, "%s%s", b->len > 0 ? "." : "", extra);
}

/* The last n parts of a dotted name: "v1.Container". */
static const char *name_tail(const char *name, int n)
{
        const char *p = name + strlen(name);
        while (p > name && (p[-1] != '.' || --n > 0))
                p--;
        return p;
}

void kc_codec_go_type(struct kc_buf *b, const struct kc_type *type)
{
        static const char *const names[] = {[KC_TYPE_STRING] = "string",
            [KC_TYPE_INT32] = "int32",
            [KC_TYPE_INT64] = "int64",
            [KC_TYPE_DOUBLE] = "float64",
            [KC_TYPE_BOOL] = "bool",
            [KC_TYPE_BYTES] = "[]uint8",
            [KC_TYPE_QUANTITY] = "resource.Quantity",
            [KC_TYPE_INT_OR_STRING] = "intstr.IntOrString",
            [KC_TYPE_TIME] = "v1.Time",
            [KC_TYPE_MICRO_TIME] = "v1.MicroTime",
            [KC_TYPE_DURATION] = "v1.Duration",
            [KC_TYPE_RAW] = "runtime.RawExtension"};
        switch (type->kind) {
        case KC_TYPE_OBJECT:
        case KC_TYPE_VARIANT:
                kc_buf_adds(b, type->name ? name_tail(type->name, 2) : "map[string]interface {}");
                break;
        case KC_TYPE_MAP:
                if (type->elem->kind == KC_TYPE_QUANTITY) {
                        kc_buf_adds(b, "v1.ResourceList");
                        break;
                }
                kc_buf_adds(b, "map[string]");
                kc_codec_go_type(b, type->elem);
                break;
        case KC_TYPE_ARRAY:
                kc_buf_adds(b, "[]");
                kc_codec_go_type(b, type->elem);
                break;
        default:
                kc_buf_adds(b, names[type->kind]);
        }
}

static const char *json_kind(const struct json_object *v)
{
        switch (json_object_get_type(v)) {
        case json_type_boolean:
                return "bool";
        case json_type_double:
        case json_type_int:
                return "number";
        case json_type_object:
                return "object";
        case json_type_array:
                return "array";
        case json_type_string:
                return "string";
        default:
                return "null";
        }
}

/* Field names from the root, without indexes and map keys, as Go's decoder stacks them. */
static void format_go_fields(struct kc_buf *b, const struct kc_codec_path *at, const struct kc_type **ret_struct)
{
        if (!at)
                return;
        format_go_fields(b, at->up, ret_struct);
        if (at->parent) {
                kc_buf_addf(b, "%s%s", b->len > 0 ? "." : "", at->key);
                *ret_struct = at->parent;
        }
}

static int go_type_error(
    const struct kc_codec_path *at, const struct kc_type *type, const char *value, struct kc_error *err)
{
        struct kc_buf field = KC_BUF_INIT, go_type = KC_BUF_INIT;
        const struct kc_type *owner = NULL;
        format_go_fields(&field, at, &owner);
        kc_codec_go_type(&go_type, type);
        int r;
        if (owner)
                r = bad_request(err, "json: cannot unmarshal %s into Go struct field %s.%s of type %s", value,
                    owner->name ? name_tail(owner->name, 1) : "", kc_buf_str(&field), kc_buf_str(&go_type));
        else
                r = bad_request(err, "json: cannot unmarshal %s into Go value of type %s", value, kc_buf_str(&go_type));
        kc_buf_done(&field);
        kc_buf_done(&go_type);
        return r;
}

int kc_codec_type_error(
    const struct kc_codec_path *at, const struct kc_type *type, const struct json_object *v, struct kc_error *err)
{
        return go_type_error(at, type, json_kind(v), err);
}

static int check_int(
    const struct kc_codec_path *at, const struct kc_type *type, const struct json_object *v, struct kc_error *err)
{
        if (json_object_is_type(v, json_type_int)) {
                int64_t n = json_object_get_int64(v);
                if (type->kind == KC_TYPE_INT64 || (n >= INT32_MIN && n <= INT32_MAX))
                        return 0;
        } else if (!json_object_is_type(v, json_type_double)) {
                return kc_codec_type_error(at, type, v, err);
        }
        struct kc_buf b = KC_BUF_INIT;
        kc_buf_adds(&b, "number ");
        kc_json_write(&b, v);
        int r = go_type_error(at, type, kc_buf_str(&b), err);
        kc_buf_done(&b);
        return r;
}

/* The message of resource.ParseQuantity for a text that is no quantity. */
static const char *quantity_problem(const char *s)
{
        const char *p = s + (*s == '+' || *s == '-');
        size_t digits = strspn(p, "0123456789"), all;
        const char *dot = p + digits;
        all = digits + (*dot == '.' ? strspn(dot + 1, "0123456789") + 1 : 0);
        p += all;
        p += strspn(p, "eEinumkKMGTP");
        p += *p == '+' || *p == '-';
        p += strspn(p, "0123456789");
        if (all > 0 && !*p)
                return "unable to parse quantity's suffix";
        return "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
}

static int check_quantity(const struct json_object *v, struct json_object **ret, struct kc_error *err)
{
        struct kc_buf b = KC_BUF_INIT;
        const char *text = kc_json_as_str(v);
        if (!text) {
                kc_json_write(&b, v);
                text = kc_buf_str(&b);
        }
        struct kc_quantity q;
        char canonical[KC_QUANTITY_LEN];
        int r = kc_quantity_parse(text, &q);
        if (r < 0)
                r = bad_request(err, "%s", quantity_problem(text));
        else if (!kc_streq(kc_json_as_str(v), kc_quantity_format(&q, canonical)))
                *ret = kc_codec_must(json_object_new_string(canonical));
        kc_buf_done(&b);
        return r;
}

/* Go names the part of the layout at which the text leaves it. */
static int time_error(const char *text, const char *layout, struct kc_error *err)
{
        static const struct {
                const char *element;
                int digits; /* 0: the element itself */
        } parts[] = {{"2006", 4}, {"-", 0}, {"01", 2}, {"-", 0}, {"02", 2}, {"T", 0}, {"15", 2}, {":", 0}, {"04", 2},
            {":", 0}, {"05", 2}};
        const char *p = text;
        for (size_t i = 0; i < KC_ARRAY_LEN(parts); i++) {
                int n = 0;
                while (n < parts[i].digits && isdigit((unsigned char)p[n]))
                        n++;
                bool fits = parts[i].digits ? n == parts[i].digits : *p == parts[i].element[0];
                if (!fits)
                        return bad_request(err, "parsing time \"%s\" as \"%s\": cannot parse \"%s\" as \"%s\"", text,
                            layout, p, parts[i].element);
                p += parts[i].digits ? parts[i].digits : 1;
        }
        if (*p == '.')
                p += 1 + strspn(p + 1, "0123456789");
        bool zone = *p == 'Z' || ((*p == '+' || *p == '-') && strlen(p) >= 6);
        if (!zone)
                return bad_request(
                    err, "parsing time \"%s\" as \"%s\": cannot parse \"%s\" as \"Z07:00\"", text, layout, p);
        return bad_request(err, "parsing time \"%s\": out of range", text);
}

static int check_time(
    const struct kc_type *type, const struct json_object *v, struct json_object **ret, struct kc_error *err)
{
        const char *text = kc_json_as_str(v);
        if (!text)
                return bad_request(err, "json: cannot unmarshal %s into Go value of type string", json_kind(v));
        bool micro = type->kind == KC_TYPE_MICRO_TIME;
        kc_time t;
        if (kc_time_parse(text, &t) < 0)
                return time_error(text, micro ? "2006-01-02T15:04:05.000000Z07:00" : "2006-01-02T15:04:05Z07:00", err);
        char canonical[KC_TIME_LEN];
        if (!kc_streq(text, micro ? kc_time_format_micro(t, canonical) : kc_time_format(t, canonical)))
                *ret = kc_codec_must(json_object_new_string(canonical));
        return 0;
}

static int check_duration(const struct json_object *v, struct json_object **ret, struct kc_error *err)
{
        const char *text = kc_json_as_str(v);
        if (!text)
                return bad_request(err, "json: cannot unmarshal %s into Go value of type string", json_kind(v));
        int64_t usec;
        if (kc_duration_parse(text, &usec) < 0)
                return bad_request(err, "time: invalid duration \"%s\"", text);
        char canonical[KC_TIME_LEN];
        if (!kc_streq(text, kc_duration_format(usec, canonical)))
                *ret = kc_codec_must(json_object_new_string(canonical));
        return 0;
}

static int check_int_or_string(const struct json_object *v, struct kc_error *err)
{
        if (kc_json_as_str(v))
                return 0;
        return check_int(NULL, kc_schema_scalar(KC_TYPE_INT32), v, err);
}

/* The index of the first byte that Go's base64 decoder stumbles over. */
static size_t base64_problem(const char *s, size_t len)
{
        for (size_t i = 0; i < len; i++)
                if (!isalnum((unsigned char)s[i]) && !strchr("+/\r\n", s[i]))
                        return i;
        return len;
}

static int check_bytes(const struct kc_codec_path *at, const struct kc_type *type, const struct json_object *v,
    struct json_object **ret, struct kc_error *err)
{
        const char *text = kc_json_as_str(v);
        if (!text)
                return kc_codec_type_error(at, type, v, err);
        size_t len = strlen(text);
        struct kc_buf b = KC_BUF_INIT;
        int r = kc_base64_decode(text, len, &b);
        if (r < 0) {
                r = bad_request(err, "illegal base64 data at input byte %zu", base64_problem(text, len));
        } else if (strpbrk(text, "\r\n")) {
                KC_CLEANUP(kc_freep) char *canonical = kc_base64_encode(b.data ? b.data : "", b.len);
                *ret = kc_codec_must(json_object_new_string(canonical));
        }
        kc_buf_done(&b);
        return r;
}

int kc_codec_scalar(const struct kc_codec_path *at, const struct kc_type *type, const struct json_object *v,
    struct json_object **ret, struct kc_error *err)
{
        switch (type->kind) {
        case KC_TYPE_STRING:
                return kc_json_as_str(v) ? 0 : kc_codec_type_error(at, type, v, err);
        case KC_TYPE_INT32:
        case KC_TYPE_INT64:
                return check_int(at, type, v, err);
        case KC_TYPE_DOUBLE:
                return json_object_is_type(v, json_type_double) || json_object_is_type(v, json_type_int)
                           ? 0
                           : kc_codec_type_error(at, type, v, err);
        case KC_TYPE_BOOL:
                return json_object_is_type(v, json_type_boolean) ? 0 : kc_codec_type_error(at, type, v, err);
        case KC_TYPE_BYTES:
                return check_bytes(at, type, v, ret, err);
        case KC_TYPE_QUANTITY:
                return check_quantity(v, ret, err);
        case KC_TYPE_INT_OR_STRING:
                return check_int_or_string(v, err);
        case KC_TYPE_TIME:
        case KC_TYPE_MICRO_TIME:
                return check_time(type, v, ret, err);
        case KC_TYPE_DURATION:
                return check_duration(v, ret, err);
        default:
                return 0;
        }
}
