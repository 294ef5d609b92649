/* JSON trees to YAML: libyaml's emitter with goyaml.v2's choice of styles and order of keys. Any thread. */
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/mem.h"
#include "base/str.h"
#include "json/json_internal.h"
#include "json/yaml.h"
#include "json/yaml_internal.h"

/* The emitter fails only on exhausted memory and on text that is not UTF-8, which trees do not hold. */
static void emit(yaml_emitter_t *y, yaml_event_t *e, int initialized)
{
        if (!initialized || !yaml_emitter_emit(y, e))
                kc_json_die(y->problem ? y->problem : "out of memory");
}

static int append(void *data, unsigned char *bytes, size_t len)
{
        kc_buf_add(data, bytes, len);
        return 1;
}

static void emit_scalar(yaml_emitter_t *y, const char *text, size_t len, yaml_scalar_style_t style)
{
        yaml_event_t e;
        int ok = yaml_scalar_event_initialize(&e, NULL, NULL, (const yaml_char_t *)text, (int)len, 1, 1, style);
        emit(y, &e, ok);
}

/* [-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?, a number to YAML 1.1 parsers. */
static bool is_base60(const char *s)
{
        s += *s == '-' || *s == '+';
        if (*s < '0' || *s > '9')
                return false;
        s += strspn(s, "0123456789_");
        if (*s != ':')
                return false;
        while (*s == ':') {
                size_t digits = strspn(++s, "0123456789");
                if (digits == 0 || digits > 2 || (digits == 2 && *s > '5'))
                        return false;
                s += digits;
        }
        if (*s == '.')
                s += 1 + strspn(s + 1, "0123456789_");
        return !*s;
}

static void emit_string(yaml_emitter_t *y, const char *s, size_t len)
{
        yaml_scalar_style_t style = YAML_DOUBLE_QUOTED_SCALAR_STYLE;
        if (strchr(s, '\n'))
                style = YAML_LITERAL_SCALAR_STYLE;
        else if (kc_yaml_resolve(s).type == KC_YAML_STR && !is_base60(s) && strcmp(s, "<<") != 0)
                style = YAML_PLAIN_SCALAR_STYLE; /* the emitter quotes where the syntax needs it */
        emit_scalar(y, s, len, style);
}

static void emit_plain(yaml_emitter_t *y, const char *text)
{
        emit_scalar(y, text, strlen(text), YAML_PLAIN_SCALAR_STYLE);
}

/* An integral number is written in full, as it came in JSON; any other as strconv's 'g' writes it. */
static void emit_double(yaml_emitter_t *y, double v)
{
        char text[KC_JSON_DOUBLE_LEN];
        kc_json_format_double(v, 'j', text);
        if (text[strspn(text, "-0123456789")])
                kc_json_format_double(v, 'g', text);
        emit_plain(y, text);
}

/* --- goyaml.v2's order of keys: letters by code, digits by value, anything else before letters */

static uint32_t next_rune(const char **s)
{
        const unsigned char *p = (const unsigned char *)*s;
        size_t n = kc_utf8_len(*s, 4);
        *s += n ? n : 1;
        switch (n) {
        case 2:
                return (uint32_t)(p[0] & 0x1f) << 6 | (p[1] & 0x3f);
        case 3:
                return (uint32_t)(p[0] & 0x0f) << 12 | (uint32_t)(p[1] & 0x3f) << 6 | (p[2] & 0x3f);
        case 4:
                return (uint32_t)(p[0] & 0x07) << 18 | (uint32_t)(p[1] & 0x3f) << 12 | (uint32_t)(p[2] & 0x3f) << 6 |
                       (p[3] & 0x3f);
        default:
                return *p;
        }
}

/* All beyond ASCII counts as letters: keys of the API are ASCII. */
static bool is_letter(uint32_t c)
{
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c >= 0x80;
}

static bool is_digit(char c)
{
        return c >= '0' && c <= '9';
}

/* The value of the digits at s behind the start value; wraps like Go's int64. */
static size_t digits_value(const char *s, uint64_t start, int64_t *ret_v)
{
        size_t n = 0;
        for (; is_digit(s[n]); n++)
                start = start * 10 + (uint64_t)(s[n] - '0');
        *ret_v = (int64_t)start;
        return n;
}

/* At the first difference, a and b being the rest of the keys that begin at a_start; neither is a letter. */
static int compare_numbers(const char *a_start, const char *a, const char *b)
{
        uint64_t start = 0;
        int64_t av, bv;
        if (*a == '0' || *b == '0')
                for (const char *p = a; p > a_start && is_digit(p[-1]); p--)
                        if (p[-1] != '0')
                                start = 1; /* zeros inside of a number count */
        size_t an = digits_value(a, start, &av), bn = digits_value(b, start, &bv);
        if (av != bv)
                return av < bv ? -1 : 1;
        if (an != bn)
                return an < bn ? -1 : 1;
        return (unsigned char)*a < (unsigned char)*b ? -1 : 1;
}

static int compare_keys(const char *a, const char *b)
{
        const char *a_start = a;
        while (*a && *b) {
                const char *a_at = a, *b_at = b;
                uint32_t ac = next_rune(&a), bc = next_rune(&b);
                if (ac == bc)
                        continue;
                bool al = is_letter(ac), bl = is_letter(bc);
                if (al && bl)
                        return ac < bc ? -1 : 1;
                if (al || bl)
                        return bl ? -1 : 1;
                return compare_numbers(a_start, a_at, b_at);
        }
        return (*a ? 1 : 0) - (*b ? 1 : 0);
}

/* --- Trees */

static void emit_value(yaml_emitter_t *y, const struct json_object *o);

static void emit_object(yaml_emitter_t *y, const struct json_object *o)
{
        yaml_event_t e;
        emit(y, &e, yaml_mapping_start_event_initialize(&e, NULL, NULL, 1, YAML_BLOCK_MAPPING_STYLE));
        KC_CLEANUP(kc_freep) struct kc_json_entry *entries = kc_json_entries(o, compare_keys);
        for (size_t i = 0; i < kc_json_n_keys(o); i++) {
                emit_string(y, entries[i].key, strlen(entries[i].key));
                emit_value(y, entries[i].value);
        }
        emit(y, &e, yaml_mapping_end_event_initialize(&e));
}

static void emit_array(yaml_emitter_t *y, const struct json_object *o)
{
        yaml_event_t e;
        emit(y, &e, yaml_sequence_start_event_initialize(&e, NULL, NULL, 1, YAML_BLOCK_SEQUENCE_STYLE));
        for (size_t i = 0; i < kc_json_len(o); i++)
                emit_value(y, kc_json_idx(o, i));
        emit(y, &e, yaml_sequence_end_event_initialize(&e));
}

static void emit_value(yaml_emitter_t *y, const struct json_object *o)
{
        KC_CLEANUP(kc_freep) char *number = NULL;
        switch (json_object_get_type(o)) {
        case json_type_null:
                emit_plain(y, "null");
                break;
        case json_type_boolean:
                emit_plain(y, json_object_get_boolean(o) ? "true" : "false");
                break;
        case json_type_int:
                number = kc_json_to_str(o);
                emit_plain(y, number);
                break;
        case json_type_double:
                emit_double(y, json_object_get_double(o));
                break;
        case json_type_string:
                if (kc_json_raw(o)) {
                        KC_CLEANUP(kc_json_freep) struct json_object *tree = kc_json_expand(o);
                        emit_value(y, tree);
                        break;
                }
                emit_string(y, kc_json_as_str(o), (size_t)json_object_get_string_len(o));
                break;
        case json_type_array:
                emit_array(y, o);
                break;
        case json_type_object:
                emit_object(y, o);
                break;
        }
}

void kc_yaml_write(struct kc_buf *b, const struct json_object *o)
{
        yaml_emitter_t y;
        yaml_event_t e;
        if (!yaml_emitter_initialize(&y))
                kc_json_die("out of memory");
        yaml_emitter_set_output(&y, append, b);
        yaml_emitter_set_unicode(&y, 1);
        emit(&y, &e, yaml_stream_start_event_initialize(&e, YAML_UTF8_ENCODING));
        emit(&y, &e, yaml_document_start_event_initialize(&e, NULL, NULL, NULL, 1));
        emit_value(&y, o);
        emit(&y, &e, yaml_document_end_event_initialize(&e, 1));
        /* No end of the stream: it would mark text that ends in empty lines with "...". */
        if (!yaml_emitter_flush(&y))
                kc_json_die("out of memory");
        yaml_emitter_delete(&y);
}
