/* Printing trees without touching them (json-c's own printer caches in the tree), and numbers as Go prints and reads
 * them. Any thread. */
#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "json/json_internal.h"

/* --- Numbers */

/* The shortest correctly rounded digits of v ("15" for 1.5) and the decimal point's place (1). */
static int shortest_digits(double v, char digits[static 20], int *ret_point)
{
        char text[KC_JSON_DOUBLE_LEN];
        /* What 15 digits cannot tell apart needs 16 or 17; fewer show as trailing zeros. Subnormal numbers have no such
         * guarantee. */
        for (int precision = v < DBL_MIN ? 0 : 14; precision <= 16; precision++) {
                snprintf(text, sizeof(text), "%.*e", precision, v);
                if (strtod(text, NULL) == v)
                        break;
        }
        const char *e = strchr(text, 'e');
        int n = 0;
        for (const char *p = text; p < e; p++)
                if (*p != '.')
                        digits[n++] = *p;
        while (n > 1 && digits[n - 1] == '0')
                n--;
        digits[n] = '\0';
        *ret_point = atoi(e + 1) + 1;
        return n;
}

static void put_fixed(char *at, const char *digits, int n, int point)
{
        if (point <= 0) {
                at += sprintf(at, "0.");
                for (int i = point; i < 0; i++)
                        *at++ = '0';
                strcpy(at, digits);
                return;
        }
        for (int i = 0; i < KC_MAX(n, point); i++) {
                if (i == point)
                        *at++ = '.';
                *at++ = i < n ? digits[i] : '0';
        }
        *at = '\0';
}

const char *kc_json_format_double(double v, char layout, char buf[static KC_JSON_DOUBLE_LEN])
{
        char digits[20];
        int point, n;
        char *at = buf;
        if (signbit(v)) {
                *at++ = '-';
                v = -v;
        }
        if (v == 0) {
                strcpy(at, "0");
                return buf;
        }
        n = shortest_digits(v, digits, &point);
        int exponent = point - 1;
        bool scientific = layout == 'j' ? v < 1e-6 || v >= 1e21 : exponent < -4 || exponent >= 6;
        if (!scientific) {
                put_fixed(at, digits, n, point);
                return buf;
        }
        *at++ = digits[0];
        if (n > 1)
                at += sprintf(at, ".%s", digits + 1);
        sprintf(at, layout == 'j' ? "e%c%d" : "e%c%02d", exponent < 0 ? '-' : '+', abs(exponent));
        return buf;
}

struct json_object *kc_json_new_number(const char *literal, int *ret_error)
{
        int64_t i;
        double d;
        *ret_error = -ENOMEM;
        if (kc_str_to_i64(literal, &i) == 0)
                return json_object_new_int64(i);
        int r = kc_str_to_double(literal, &d);
        if (r == 0)
                return json_object_new_double(d);
        *ret_error = r;
        return NULL;
}

/* --- Text */

static const char *escape_of(unsigned char c, char buf[static 8])
{
        static const char plain[] = "\n\r\t\b\f\"\\", letter[] = "nrtbf\"\\";
        const char *hit = c ? strchr(plain, c) : NULL;
        if (hit)
                snprintf(buf, 8, "\\%c", letter[hit - plain]);
        else
                snprintf(buf, 8, "\\u%04x", c);
        return buf;
}

void kc_json_write_string(struct kc_buf *b, const char *s, size_t len)
{
        char escape[8];
        size_t done = 0; /* s[done..i) needs no escaping and is not yet written */
        kc_buf_addc(b, '"');
        for (size_t i = 0; i < len;) {
                unsigned char c = (unsigned char)s[i];
                const char *instead = NULL;
                size_t n = 1;
                if (c < 0x20 || c == '"' || c == '\\') {
                        instead = escape_of(c, escape);
                } else if (c >= 0x80) {
                        n = kc_utf8_len(s + i, len - i);
                        if (n == 0)
                                instead = "\\ufffd";
                        else if (n == 3 && memcmp(s + i, "\xe2\x80\xa8", 3) == 0)
                                instead = "\\u2028"; /* what JavaScript takes for line ends */
                        else if (n == 3 && memcmp(s + i, "\xe2\x80\xa9", 3) == 0)
                                instead = "\\u2029";
                        n = KC_MAX(n, (size_t)1);
                }
                if (instead) {
                        kc_buf_add(b, s + done, i - done);
                        kc_buf_adds(b, instead);
                        done = i + n;
                }
                i += n;
        }
        kc_buf_add(b, s + done, len - done);
        kc_buf_addc(b, '"');
}

static int compare_entries(const void *a, const void *b, void *compare)
{
        int (*const *by)(const char *, const char *) = compare;
        return (*by)(((const struct kc_json_entry *)a)->key, ((const struct kc_json_entry *)b)->key);
}

struct kc_json_entry *kc_json_entries(const struct json_object *o, int (*compare)(const char *a, const char *b))
{
        size_t n = 0;
        struct kc_json_entry *entries = kc_reallocarray(NULL, kc_json_n_keys(o), sizeof(*entries));
        KC_JSON_FOREACH(o, key, val)
        {
                entries[n++] = (struct kc_json_entry){key, val};
        }
        if (compare)
                qsort_r(entries, n, sizeof(*entries), compare_entries, &compare);
        return entries;
}

struct style {
        int indent; /* 0: compact */
        bool sorted;
};

static void write_value(struct kc_buf *b, const struct json_object *o, const struct style *style, int level);

static void new_line(struct kc_buf *b, const struct style *style, int level)
{
        if (style->indent == 0)
                return;
        kc_buf_addc(b, '\n');
        for (int i = 0; i < style->indent * level; i++)
                kc_buf_addc(b, ' ');
}

static void write_member(
    struct kc_buf *b, const char *key, const struct json_object *val, bool first, const struct style *style, int level)
{
        if (!first)
                kc_buf_addc(b, ',');
        new_line(b, style, level);
        kc_json_write_string(b, key, strlen(key));
        kc_buf_adds(b, style->indent ? ": " : ":");
        write_value(b, val, style, level);
}

static void write_object(struct kc_buf *b, const struct json_object *o, const struct style *style, int level)
{
        bool first = true;
        kc_buf_addc(b, '{');
        if (style->sorted) {
                KC_CLEANUP(kc_freep) struct kc_json_entry *entries = kc_json_entries(o, strcmp);
                for (size_t i = 0; i < kc_json_n_keys(o); i++)
                        write_member(b, entries[i].key, entries[i].value, i == 0, style, level + 1);
        } else {
                KC_JSON_FOREACH(o, key, val)
                {
                        write_member(b, key, val, first, style, level + 1);
                        first = false;
                }
        }
        if (kc_json_n_keys(o) > 0)
                new_line(b, style, level);
        kc_buf_addc(b, '}');
}

static void write_array(struct kc_buf *b, const struct json_object *o, const struct style *style, int level)
{
        size_t n = kc_json_len(o);
        kc_buf_addc(b, '[');
        for (size_t i = 0; i < n; i++) {
                if (i > 0)
                        kc_buf_addc(b, ',');
                new_line(b, style, level + 1);
                write_value(b, kc_json_idx(o, i), style, level + 1);
        }
        if (n > 0)
                new_line(b, style, level);
        kc_buf_addc(b, ']');
}

static void write_int(struct kc_buf *b, const struct json_object *o)
{
        int64_t v = json_object_get_int64(o);
        if (v == INT64_MAX) /* json-c clamps larger ones, which only code of ours can make */
                kc_buf_addf(b, "%llu", (unsigned long long)json_object_get_uint64(o));
        else
                kc_buf_addf(b, "%lld", (long long)v);
}

static void write_raw(struct kc_buf *b, const struct json_object *o, const struct style *style, int level)
{
        if (!style->sorted && !style->indent) {
                kc_buf_add(b, kc_json_as_str(o), (size_t)json_object_get_string_len(o));
                return;
        }
        KC_CLEANUP(kc_json_freep) struct json_object *tree = kc_json_expand(o);
        write_value(b, tree, style, level);
}

static void write_value(struct kc_buf *b, const struct json_object *o, const struct style *style, int level)
{
        char number[KC_JSON_DOUBLE_LEN];
        switch (json_object_get_type(o)) {
        case json_type_null:
                kc_buf_adds(b, "null");
                break;
        case json_type_boolean:
                kc_buf_adds(b, json_object_get_boolean(o) ? "true" : "false");
                break;
        case json_type_int:
                write_int(b, o);
                break;
        case json_type_double:
                kc_buf_adds(b, kc_json_format_double(json_object_get_double(o), 'j', number));
                break;
        case json_type_string:
                if (kc_json_raw(o))
                        write_raw(b, o, style, level);
                else
                        kc_json_write_string(b, kc_json_as_str(o), (size_t)json_object_get_string_len(o));
                break;
        case json_type_array:
                write_array(b, o, style, level);
                break;
        case json_type_object:
                write_object(b, o, style, level);
                break;
        }
}

void kc_json_write(struct kc_buf *b, const struct json_object *o)
{
        write_value(b, o, &(struct style){0}, 0);
}

void kc_json_write_sorted(struct kc_buf *b, const struct json_object *o)
{
        write_value(b, o, &(struct style){.sorted = true}, 0);
}

void kc_json_write_pretty(struct kc_buf *b, const struct json_object *o, int indent, bool sorted)
{
        write_value(b, o, &(struct style){.indent = indent, .sorted = sorted}, 0);
}

char *kc_json_to_str(const struct json_object *o)
{
        struct kc_buf b = KC_BUF_INIT;
        kc_json_write(&b, o);
        return kc_buf_take_str(&b);
}
