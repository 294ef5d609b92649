/* field.ErrorList: collects what is wrong with an object, worded as upstream's ErrorBody. Pure functions: any thread.
 */
#include <string.h>

#include "api/status.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"

/* What unicode.IsPrint refuses beyond ASCII: controls, other spaces, format characters, surrogates and private use. */
static bool unprintable(uint32_t c)
{
        static const struct {
                uint32_t first, last;
        } ranges[] = {{0x80, 0xa0}, {0xad, 0xad}, {0x600, 0x605}, {0x61c, 0x61c}, {0x1680, 0x1680}, {0x180e, 0x180e},
            {0x2000, 0x200f}, {0x2028, 0x202f}, {0x205f, 0x206f}, {0x3000, 0x3000}, {0xd800, 0xf8ff}, {0xfeff, 0xfeff},
            {0xfff0, 0xfffb}, {0xfffe, 0xffff}, {0xe0000, 0x10ffff}};
        for (size_t i = 0; i < KC_ARRAY_LEN(ranges); i++) {
                if (c >= ranges[i].first && c <= ranges[i].last)
                        return true;
        }
        return false;
}

static void quote_ascii(struct kc_buf *b, unsigned char c)
{
        static const char escaped[] = "\a\b\f\n\r\t\v\"\\", letters[] = "abfnrtv\"\\";
        for (size_t i = 0; escaped[i]; i++) {
                if (c == (unsigned char)escaped[i]) {
                        kc_buf_addf(b, "\\%c", letters[i]);
                        return;
                }
        }
        if (c < 0x20 || c >= 0x7f)
                kc_buf_addf(b, "\\x%02x", c);
        else
                kc_buf_addc(b, (char)c);
}

static uint32_t decode_utf8(const char *s, size_t len)
{
        const unsigned char *u = (const unsigned char *)s;
        uint32_t c = len == 2 ? u[0] & 0x1f : len == 3 ? u[0] & 0x0f : u[0] & 0x07;
        for (size_t i = 1; i < len; i++)
                c = c << 6 | (u[i] & 0x3f);
        return c;
}

void kc_quote_add(struct kc_buf *b, const char *s)
{
        kc_buf_addc(b, '"');
        for (size_t len = s ? strlen(s) : 0; len > 0;) {
                size_t n = kc_utf8_len(s, len);
                if (n <= 1) {
                        quote_ascii(b, (unsigned char)*s);
                        n = 1;
                } else {
                        uint32_t c = decode_utf8(s, n);
                        if (!unprintable(c))
                                kc_buf_add(b, s, n);
                        else
                                kc_buf_addf(b, c < 0x10000 ? "\\u%04x" : "\\U%08x", c);
                }
                s += n;
                len -= n;
        }
        kc_buf_addc(b, '"');
}

/* A hostile object can be wrong in more places than it has bytes. */
enum { MAX_ERRORS = 1000, MAX_BYTES = 1 << 20 };

static bool is_full(const struct kc_field_errors *l)
{
        return l->n >= MAX_ERRORS || l->bytes >= MAX_BYTES;
}

static void add_take(struct kc_field_errors *l, const char *reason, const char *path, char *take_message)
{
        if (is_full(l)) {
                kc_free(take_message);
                return;
        }
        l->bytes += strlen(take_message);
        if (l->n == l->cap) {
                l->cap = l->cap ? l->cap * 2 : 8;
                l->v = kc_reallocarray(l->v, l->cap, sizeof(*l->v));
        }
        l->v[l->n++] =
            (struct kc_error_cause){.reason = kc_strdup(reason), .message = take_message, .field = kc_strdup(path)};
}

void kc_field_add(struct kc_field_errors *l, const char *reason, const char *path, const char *message)
{
        add_take(l, reason, path, kc_strdup(message));
}

/* "<what>", "<what>: <detail>". */
static void add_plain(
    struct kc_field_errors *l, const char *reason, const char *what, const char *path, const char *detail)
{
        add_take(l, reason, path, kc_str_empty(detail) ? kc_strdup(what) : kc_asprintf("%s: %s", what, detail));
}

static void add_str(struct kc_field_errors *l, const char *reason, const char *what, const char *path,
    const char *value, const char *detail)
{
        struct kc_buf b = KC_BUF_INIT;
        kc_buf_addf(&b, "%s: ", what);
        kc_quote_add(&b, value);
        if (detail && detail[0])
                kc_buf_addf(&b, ": %s", detail);
        add_take(l, reason, path, kc_buf_take_str(&b));
}

/* Go prints the keys of a map in order, those of a struct as declared: string maps are what is printed sorted. */
static bool is_string_map(const struct json_object *o)
{
        KC_JSON_FOREACH(o, key, value)
        {
                if (!kc_json_as_str(value))
                        return false;
        }
        return kc_json_is_obj(o);
}

static void add_value(struct kc_field_errors *l, const char *reason, const char *what, const char *path,
    const struct json_object *value, const char *detail)
{
        const char *s = kc_json_as_str(value);
        if (is_full(l))
                return;
        if (s) {
                add_str(l, reason, what, path, s, detail);
                return;
        }
        struct kc_buf b = KC_BUF_INIT;
        kc_buf_addf(&b, "%s: ", what);
        if (!value)
                kc_buf_adds(&b, "null");
        else if (is_string_map(value))
                kc_json_write_sorted(&b, value);
        else
                kc_json_write(&b, value);
        if (!kc_str_empty(detail))
                kc_buf_addf(&b, ": %s", detail);
        add_take(l, reason, path, kc_buf_take_str(&b));
}

void kc_field_required(struct kc_field_errors *l, const char *path, const char *detail)
{
        add_plain(l, "FieldValueRequired", "Required value", path, detail);
}

void kc_field_invalid(struct kc_field_errors *l, const char *path, const struct json_object *value, const char *detail)
{
        add_value(l, "FieldValueInvalid", "Invalid value", path, value, detail);
}

void kc_field_invalid_str(struct kc_field_errors *l, const char *path, const char *value, const char *detail)
{
        add_str(l, "FieldValueInvalid", "Invalid value", path, value, detail);
}

void kc_field_invalid_int(struct kc_field_errors *l, const char *path, int64_t value, const char *detail)
{
        add_take(l, "FieldValueInvalid", path, kc_asprintf("Invalid value: %lld: %s", (long long)value, detail));
}

void kc_field_not_supported(struct kc_field_errors *l, const char *path, const char *value, const char *const *valid)
{
        struct kc_buf detail = KC_BUF_INIT;
        for (size_t i = 0; valid && valid[i]; i++) {
                kc_buf_adds(&detail, i ? ", " : "supported values: ");
                kc_quote_add(&detail, valid[i]);
        }
        add_str(l, "FieldValueNotSupported", "Unsupported value", path, value, kc_buf_str(&detail));
        kc_buf_done(&detail);
}

void kc_field_duplicate(struct kc_field_errors *l, const char *path, const char *value)
{
        add_str(l, "FieldValueDuplicate", "Duplicate value", path, value, NULL);
}

void kc_field_duplicate_json(struct kc_field_errors *l, const char *path, const struct json_object *value)
{
        add_value(l, "FieldValueDuplicate", "Duplicate value", path, value, NULL);
}

void kc_field_forbidden(struct kc_field_errors *l, const char *path, const char *detail)
{
        add_plain(l, "FieldValueForbidden", "Forbidden", path, detail);
}

void kc_field_not_found(struct kc_field_errors *l, const char *path, const char *value)
{
        add_str(l, "FieldValueNotFound", "Not found", path, value, NULL);
}

void kc_field_too_long(struct kc_field_errors *l, const char *path, int max)
{
        add_take(l, "FieldValueTooLong", path,
            kc_asprintf("Too long: may not be more than %d byte%s", max, max == 1 ? "" : "s"));
}

void kc_field_too_many(struct kc_field_errors *l, const char *path, int actual, int max)
{
        add_take(l, "FieldValueTooMany", path,
            kc_asprintf("Too many: %d: must have at most %d item%s", actual, max, max == 1 ? "" : "s"));
}

void kc_field_internal(struct kc_field_errors *l, const char *path, const char *detail)
{
        add_plain(l, "InternalError", "Internal error", path, detail);
}

void kc_field_type_invalid(
    struct kc_field_errors *l, const char *path, const struct json_object *value, const char *detail)
{
        add_value(l, "FieldValueTypeInvalid", "Invalid value", path, value, detail);
}

void kc_field_errors_done(struct kc_field_errors *l)
{
        for (size_t i = 0; i < l->n; i++) {
                kc_free(l->v[i].reason);
                kc_free(l->v[i].message);
                kc_free(l->v[i].field);
        }
        kc_free(l->v);
        *l = (struct kc_field_errors){0};
}
