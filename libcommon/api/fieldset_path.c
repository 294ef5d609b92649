/* Path elements. Keys and values are kept as bytes whose order is that of structured-merge-diff: a tag for the type -
 * numbers before strings, booleans, lists, maps and null - and the value behind it in a form that memcmp orders. Pure:
 * any thread. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/fieldset_internal.h"
#include "api/status.h"
#include "base/str.h"

enum tag { TAG_NUMBER = 1, TAG_STRING, TAG_BOOL, TAG_LIST, TAG_MAP, TAG_NULL };
enum { NUMBER_LEN = 16 };

/* --- encoding */

static void put_be64(struct kc_buf *b, uint64_t v)
{
        char bytes[8];
        for (int i = 0; i < 8; i++)
                bytes[i] = (char)(v >> (56 - 8 * i));
        kc_buf_add(b, bytes, sizeof(bytes));
}

static uint64_t get_be64(const char *p)
{
        uint64_t v = 0;
        for (int i = 0; i < 8; i++)
                v = v << 8 | (unsigned char)p[i];
        return v;
}

/* Doubles in the order of their bits: the sign flips, negative ones turn around. */
static uint64_t order_double(double d)
{
        uint64_t bits;
        memcpy(&bits, &d, sizeof(bits));
        return bits >> 63 ? ~bits : bits | 1ull << 63;
}

static double unorder_double(uint64_t v)
{
        double d;
        v = v >> 63 ? v & ~(1ull << 63) : ~v;
        memcpy(&d, &v, sizeof(d));
        return d;
}

static void put_integer(struct kc_buf *b, int64_t i)
{
        put_be64(b, order_double((double)i));
        put_be64(b, (uint64_t)i ^ 1ull << 63);
}

/* Numbers compare by value whatever their type; beyond 2^53 the integer decides. */
static void put_number(struct kc_buf *b, const struct json_object *v)
{
        const double limit = 9223372036854775808.0;
        double d = json_object_get_double(v);
        int64_t i;
        if (json_object_is_type(v, json_type_int))
                i = json_object_get_int64(v);
        else
                i = d >= limit ? INT64_MAX : d < -limit ? INT64_MIN : (int64_t)d;
        put_be64(b, order_double(d == 0 ? 0 : d));
        put_be64(b, (uint64_t)i ^ 1ull << 63);
}

static void put_value(struct kc_buf *b, const struct json_object *v)
{
        switch (json_object_get_type(v)) {
        case json_type_null:
                kc_buf_addc(b, TAG_NULL);
                return;
        case json_type_boolean:
                kc_buf_addc(b, TAG_BOOL);
                kc_buf_addc(b, json_object_get_boolean(v) ? 2 : 1);
                return;
        case json_type_int:
        case json_type_double:
                kc_buf_addc(b, TAG_NUMBER);
                put_number(b, v);
                return;
        case json_type_string:
                kc_buf_addc(b, TAG_STRING);
                kc_buf_adds(b, kc_json_as_str(v));
                kc_buf_addc(b, '\0');
                return;
        default:
                kc_buf_addc(b, kc_json_is_arr(v) ? TAG_LIST : TAG_MAP);
                kc_json_write_sorted(b, v);
                kc_buf_addc(b, '\0');
        }
}

static struct kc_path_element keep(struct kc_arena *a, enum kc_path_kind kind, const struct kc_buf *b)
{
        return (struct kc_path_element){
            .kind = kind, .len = (uint32_t)b->len, .bytes = kc_arena_strndup(a, kc_buf_str(b), b->len)};
}

struct kc_path_element kc_path_field(const char *name)
{
        return (struct kc_path_element){.kind = KC_PATH_FIELD, .len = (uint32_t)strlen(name), .bytes = name};
}

struct kc_path_element kc_path_index(struct kc_arena *a, size_t i)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        put_be64(&b, i);
        return keep(a, KC_PATH_INDEX, &b);
}

struct kc_path_element kc_path_value(struct kc_arena *a, const struct json_object *v)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        put_value(&b, v);
        return keep(a, KC_PATH_VALUE, &b);
}

struct kc_path_element kc_path_key(
    struct kc_arena *a, const char *const *names, const struct json_object *const *values, size_t n)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        for (size_t i = 0; i < n; i++) {
                kc_buf_add(&b, names[i], strlen(names[i]) + 1);
                put_value(&b, values[i]);
        }
        return keep(a, KC_PATH_KEY, &b);
}

int kc_path_element_cmp(const struct kc_path_element *a, const struct kc_path_element *b)
{
        if (a->kind != b->kind)
                return a->kind < b->kind ? -1 : 1;
        if (a->bytes == b->bytes && a->len == b->len)
                return 0;
        int c = memcmp(a->bytes, b->bytes, KC_MIN(a->len, b->len));
        return c ? c : (a->len > b->len) - (a->len < b->len);
}

/* --- printing. for_people: as Go's %v of a value (strings as %q); else JSON. Returns what follows the value. */

static const char *print_number(struct kc_buf *b, const char *p)
{
        double d = unorder_double(get_be64(p));
        int64_t i = (int64_t)(get_be64(p + 8) ^ 1ull << 63);
        struct json_object *v = d == (double)i ? json_object_new_int64(i) : json_object_new_double(d);
        kc_json_write(b, v);
        kc_json_free(v);
        return p + NUMBER_LEN;
}

static const char *print_value(struct kc_buf *b, const char *p, bool for_people)
{
        char tag = *p++;
        switch (tag) {
        case TAG_NUMBER:
                return print_number(b, p);
        case TAG_BOOL:
                kc_buf_adds(b, *p == 2 ? "true" : "false");
                return p + 1;
        case TAG_NULL:
                kc_buf_adds(b, "null");
                return p;
        case TAG_STRING:
                if (for_people)
                        kc_quote_add(b, p);
                else
                        kc_json_write_string(b, p, strlen(p));
                return p + strlen(p) + 1;
        default:
                kc_buf_adds(b, p);
                return p + strlen(p) + 1;
        }
}

static void print_key(struct kc_buf *b, const struct kc_path_element *e, bool for_people)
{
        const char *p = e->bytes, *end = p + e->len;
        kc_buf_addc(b, for_people ? '[' : '{');
        for (bool first = true; p < end; first = false) {
                if (!first)
                        kc_buf_addc(b, ',');
                if (for_people)
                        kc_buf_addf(b, "%s=", p);
                else
                        kc_json_write_string(b, p, strlen(p));
                if (!for_people)
                        kc_buf_addc(b, ':');
                p = print_value(b, p + strlen(p) + 1, for_people);
        }
        kc_buf_addc(b, for_people ? ']' : '}');
}

void kc_path_element_format(struct kc_buf *b, const struct kc_path_element *e)
{
        switch (e->kind) {
        case KC_PATH_FIELD:
                kc_buf_addc(b, '.');
                kc_buf_add(b, e->bytes, e->len);
                return;
        case KC_PATH_KEY:
                print_key(b, e, true);
                return;
        case KC_PATH_VALUE:
                kc_buf_adds(b, "[=");
                (void)print_value(b, e->bytes, true); /* nothing follows */
                kc_buf_addc(b, ']');
                return;
        case KC_PATH_INDEX:
                kc_buf_addf(b, "[%llu]", (unsigned long long)get_be64(e->bytes));
                return;
        }
}

void kc_path_element_encode(struct kc_buf *b, const struct kc_path_element *e)
{
        switch (e->kind) {
        case KC_PATH_FIELD:
                kc_buf_adds(b, "f:");
                kc_buf_add(b, e->bytes, e->len);
                return;
        case KC_PATH_KEY:
                kc_buf_adds(b, "k:");
                print_key(b, e, false);
                return;
        case KC_PATH_VALUE:
                kc_buf_adds(b, "v:");
                (void)print_value(b, e->bytes, false); /* nothing follows */
                return;
        case KC_PATH_INDEX:
                kc_buf_addf(b, "i:%llu", (unsigned long long)get_be64(e->bytes));
                return;
        }
}

/* --- decoding */

static int compare_names(const void *a, const void *b)
{
        return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int decode_key(
    struct kc_arena *a, const struct json_object *o, struct kc_path_element *ret, struct kc_error *err)
{
        enum { MAX_KEYS = 32 };
        const char *names[MAX_KEYS];
        const struct json_object *values[MAX_KEYS];
        size_t n = 0;
        if (!kc_json_is_obj(o) || kc_json_n_keys(o) > MAX_KEYS)
                return kc_error_set(err, EINVAL, "incorrect map");
        KC_JSON_FOREACH(o, name, value)
        {
                (void)value; /* looked up below, in order */
                names[n++] = name;
        }
        qsort(names, n, sizeof(*names), compare_names);
        for (size_t i = 0; i < n; i++)
                values[i] = kc_json_get(o, names[i]);
        *ret = kc_path_key(a, names, values, n);
        return 0;
}

/* A value of a plain key at *p, which moves behind it: a string without escapes or a small integer. */
static bool decode_plain_value(const char **p, struct kc_buf *b)
{
        enum { MAX_DIGITS = 15 };
        const char *s = *p;
        size_t len;
        int64_t i = 0;
        if (*s == '"') {
                len = strcspn(++s, "\"\\");
                kc_buf_addc(b, TAG_STRING);
                kc_buf_add(b, s, len);
                kc_buf_addc(b, '\0');
                *p = s + len + 1;
                return s[len] == '"';
        }
        len = strspn(s, "0123456789");
        if (len == 0 || len > MAX_DIGITS || (s[0] == '0' && len > 1))
                return false;
        for (size_t k = 0; k < len; k++)
                i = i * 10 + (s[k] - '0');
        kc_buf_addc(b, TAG_NUMBER);
        put_integer(b, i);
        *p = s + len;
        return true;
}

/* {"name":"web","port":80}, names in order. False: it is something less plain. */
static bool decode_plain_key(struct kc_arena *a, const char *p, struct kc_path_element *ret)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        const char *previous = "";
        size_t previous_len = 0;
        if (*p != '{')
                return false;
        do {
                const char *name = p + 2;
                size_t len = p[1] == '"' ? strcspn(name, "\"\\") : 0;
                if (len == 0 || name[len] != '"' || name[len + 1] != ':')
                        return false;
                int order = memcmp(previous, name, KC_MIN(previous_len, len));
                if (order > 0 || (order == 0 && previous_len >= len))
                        return false;
                previous = name;
                previous_len = len;
                kc_buf_add(&b, name, len);
                kc_buf_addc(&b, '\0');
                p = name + len + 2;
                if (!decode_plain_value(&p, &b))
                        return false;
        } while (*p == ',');
        if (p[0] != '}' || p[1] != '\0')
                return false;
        *ret = keep(a, KC_PATH_KEY, &b);
        return true;
}

static int decode_json(
    struct kc_arena *a, const char *text, bool key, struct kc_path_element *ret, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *v = NULL;
        int r = kc_json_parse(text, strlen(text), NULL, &v, err);
        if (r == 0 && key)
                r = decode_key(a, v, ret, err);
        else if (r == 0)
                *ret = kc_path_value(a, v);
        return r;
}

int kc_path_element_decode(struct kc_arena *a, const char *text, struct kc_path_element *ret, struct kc_error *err)
{
        uint64_t index;
        if (text[0] == '\0')
                return kc_error_set(err, EINVAL, "key must be 2 characters long:");
        if (text[1] != ':')
                return kc_error_set(err, EINVAL, "missing colon: %s", text);
        switch (text[0]) {
        case 'f':
                *ret = kc_path_field(text + 2);
                return 0;
        case 'k':
                return decode_plain_key(a, text + 2, ret) ? 0 : decode_json(a, text + 2, true, ret, err);
        case 'v':
                return decode_json(a, text + 2, false, ret, err);
        case 'i':
                if (kc_str_to_u64(text + 2, &index) < 0)
                        return kc_error_set(err, EINVAL, "no index: %s", text);
                *ret = kc_path_index(a, index);
                return 0;
        default:
                return 1;
        }
}
