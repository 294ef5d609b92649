/* Implicit types of YAML 1.1 scalars, with goyaml.v2's choices. Any thread. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "json/yaml_internal.h"

static const struct {
        const char *words[12];
        struct kc_yaml_scalar value;
} word_table[] = {
    {{"y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"}, {.type = KC_YAML_BOOL, .b = true}},
    {{"n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"}, {.type = KC_YAML_BOOL}},
    {{"", "~", "null", "Null", "NULL"}, {.type = KC_YAML_NULL}},
    {{".nan", ".NaN", ".NAN", ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"}, {.type = KC_YAML_INFINITE}},
    {{"-.inf", "-.Inf", "-.INF"}, {.type = KC_YAML_INFINITE}},
};

static bool is_digit(char c)
{
        return c >= '0' && c <= '9';
}

/* min to max digits, of which the first nine count: of a fraction nobody asks for the value. */
static bool scan_number(const char **s, int min, int max, int *ret_v)
{
        int n = 0, v = 0;
        for (; n < max && is_digit(**s); n++, (*s)++)
                if (n < 9)
                        v = v * 10 + (**s - '0');
        *ret_v = v;
        return n >= min;
}

static bool skip(const char **s, char c)
{
        if (**s != c)
                return false;
        (*s)++;
        return true;
}

/* "2006-1-2", "2006-1-2T15:4:5.9Z" (any offset, or a small t), "2006-1-2 15:4:5.9". */
static bool is_timestamp(const char *s)
{
        int year, month, day, hour, minute, second, v;
        if (!scan_number(&s, 4, 4, &year) || !skip(&s, '-') || !scan_number(&s, 1, 2, &month) || !skip(&s, '-') ||
            !scan_number(&s, 1, 2, &day) || month < 1 || month > 12 || day < 1 || day > 31)
                return false;
        if (!*s)
                return true;
        char separator = *s++;
        if (!strchr("Tt ", separator) || !scan_number(&s, 1, 2, &hour) || !skip(&s, ':') ||
            !scan_number(&s, 1, 2, &minute) || !skip(&s, ':') || !scan_number(&s, 1, 2, &second) || hour > 23 ||
            minute > 59 || second > 59)
                return false;
        if (skip(&s, '.') && !scan_number(&s, 1, 64, &v))
                return false;
        if (separator == ' ')
                return !*s;
        if (skip(&s, 'Z'))
                return !*s;
        return (skip(&s, '+') || skip(&s, '-')) && scan_number(&s, 2, 2, &v) && skip(&s, ':') &&
               scan_number(&s, 2, 2, &v) && !*s;
}

/* The base that a literal's prefix names, as Go's ParseInt(s, 0, 64); *s moves behind the prefix. */
static int scan_base(const char **s)
{
        if ((*s)[0] != '0' || !(*s)[1])
                return 10;
        static const struct {
                char letter;
                int base;
        } prefixes[] = {{'x', 16}, {'X', 16}, {'o', 8}, {'O', 8}, {'b', 2}, {'B', 2}};
        for (size_t i = 0; i < KC_ARRAY_LEN(prefixes); i++) {
                if ((*s)[1] == prefixes[i].letter) {
                        *s += 2;
                        return prefixes[i].base;
                }
        }
        *s += 1;
        return 8;
}

static int digit_value(char c)
{
        if (is_digit(c))
                return c - '0';
        if (c >= 'a' && c <= 'f')
                return c - 'a' + 10;
        return c >= 'A' && c <= 'F' ? c - 'A' + 10 : 99;
}

static bool resolve_int(const char *s, struct kc_yaml_scalar *ret)
{
        bool negative = *s == '-', overflow = false;
        if (*s == '-' || *s == '+')
                s++;
        const char *decimal = s;
        int base = scan_base(&s);
        uint64_t v = 0;
        double wide = 0;
        if (!*s)
                return false;
        for (; *s; s++) {
                int digit = digit_value(*s);
                if (digit >= base)
                        return false;
                wide = wide * base + digit;
                overflow = overflow || __builtin_mul_overflow(v, (uint64_t)base, &v) ||
                           __builtin_add_overflow(v, (uint64_t)digit, &v);
        }
        if (!overflow && v <= (uint64_t)INT64_MAX + (negative ? 1 : 0)) {
                *ret = (struct kc_yaml_scalar){.type = KC_YAML_INT, .i = negative ? (int64_t)(0 - v) : (int64_t)v};
                return true;
        }
        if (base == 10)
                wide = strtod(decimal, NULL); /* rounds once */
        if (isinf(wide))
                return false;
        *ret = (struct kc_yaml_scalar){.type = KC_YAML_FLOAT, .d = negative ? -wide : wide, .wide = true};
        return true;
}

/* [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)? */
static bool looks_like_float(const char *s)
{
        s += *s == '-' || *s == '+';
        size_t whole = strspn(s, "0123456789");
        s += whole;
        if (*s == '.') {
                size_t fraction = strspn(++s, "0123456789");
                if (whole + fraction == 0)
                        return false;
                s += fraction;
        } else if (whole == 0) {
                return false;
        }
        if (*s == 'e' || *s == 'E') {
                s++;
                s += *s == '-' || *s == '+';
                size_t exponent = strspn(s, "0123456789");
                if (exponent == 0)
                        return false;
                s += exponent;
        }
        return !*s;
}

static bool resolve_float(const char *s, struct kc_yaml_scalar *ret)
{
        double d;
        if (!looks_like_float(s) || kc_str_to_double(s, &d) < 0)
                return false;
        *ret = (struct kc_yaml_scalar){.type = KC_YAML_FLOAT, .d = d};
        return true;
}

struct kc_yaml_scalar kc_yaml_resolve(const char *s)
{
        struct kc_yaml_scalar v = {.type = KC_YAML_STR};
        if (*s && !strchr("+-.0123456789yYnNtTfFoO~", *s))
                return v;
        for (size_t i = 0; i < KC_ARRAY_LEN(word_table); i++)
                for (const char *const *word = word_table[i].words; *word; word++)
                        if (strcmp(*word, s) == 0)
                                return word_table[i].value;
        if (*s == '.') {
                (void)resolve_float(s, &v); /* else a string */
                return v;
        }
        if (!is_digit(*s) && *s != '+' && *s != '-')
                return v;
        if (is_timestamp(s)) {
                v.type = KC_YAML_TIME;
                return v;
        }
        KC_CLEANUP(kc_freep) char *plain = kc_str_replace_all(s, "_", "");
        if (!resolve_int(plain, &v))
                (void)resolve_float(plain, &v);
        return v;
}
