/* resource.Quantity in nano units of 128 bits. Upstream's rounding (away from zero, to nano units) and its choice of
 * suffix. Pure functions: any thread. */
#include "api/quantity.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

typedef __int128 wide;

static const wide nano_one = 1000000000;
/* Binary quantities are capped at 2^63-1; others are only held below what 128 bits can add up. */
static const wide binary_max = (wide)INT64_MAX * 1000000000;
#define WIDE_MAX ((wide)10000000000000000000u * 1000000000000000000u) /* 10^37 */

static wide add_clamped(wide a, wide b)
{
        wide sum = a + b; /* both are within 10^37 */
        return sum > WIDE_MAX ? WIDE_MAX : sum < -WIDE_MAX ? -WIDE_MAX : sum;
}

static wide mul_clamped(wide a, wide b)
{
        wide r;
        return __builtin_mul_overflow(a, b, &r) || r > WIDE_MAX ? WIDE_MAX : r;
}

struct suffix {
        const char *text;
        int exponent; /* of 10, or of 2 */
};
static const struct suffix decimal_suffixes[] = {
    {"n", -9}, {"u", -6}, {"m", -3}, {"", 0}, {"k", 3}, {"M", 6}, {"G", 9}, {"T", 12}, {"P", 15}, {"E", 18}};
static const struct suffix binary_suffixes[] = {{"Ki", 10}, {"Mi", 20}, {"Gi", 30}, {"Ti", 40}, {"Pi", 50}, {"Ei", 60}};

static bool find_suffix(const struct suffix *v, size_t n, const char *s, int *ret)
{
        for (size_t i = 0; i < n; i++) {
                if (strcmp(v[i].text, s) == 0) {
                        *ret = v[i].exponent;
                        return true;
                }
        }
        return false;
}

/* "", SI and binary suffixes, or a decimal exponent "e3", "E-3". */
static int parse_suffix(const char *s, int *ret_exponent, enum kc_quantity_format *ret_format)
{
        if (find_suffix(decimal_suffixes, sizeof(decimal_suffixes) / sizeof(decimal_suffixes[0]), s, ret_exponent)) {
                *ret_format = KC_QUANTITY_DECIMAL_SI;
                return 0;
        }
        if (find_suffix(binary_suffixes, sizeof(binary_suffixes) / sizeof(binary_suffixes[0]), s, ret_exponent)) {
                *ret_format = KC_QUANTITY_BINARY_SI;
                return 0;
        }
        if (s[0] != 'e' && s[0] != 'E')
                return -EINVAL;
        s++;
        bool negative = *s == '-';
        if (*s == '-' || *s == '+')
                s++;
        if (!*s)
                return -EINVAL;
        int exponent = 0;
        for (; *s; s++) {
                if (!isdigit((unsigned char)*s))
                        return -EINVAL;
                if (exponent < 1000)
                        exponent = exponent * 10 + (*s - '0');
        }
        *ret_exponent = negative ? -exponent : exponent;
        *ret_format = KC_QUANTITY_DECIMAL_EXPONENT;
        return 0;
}

/* Decimal digits as mantissa * 10^exponent10; digits past what the mantissa holds only leave a mark for rounding up. */
struct decimal {
        wide mantissa;
        int exponent;
        bool sticky;
};

static const char *parse_number(const char *s, struct decimal *ret, int *ret_digits)
{
        bool point = false;
        struct decimal d = {0};
        int digits = 0;
        for (; isdigit((unsigned char)*s) || (*s == '.' && !point); s++) {
                if (*s == '.') {
                        point = true;
                        continue;
                }
                digits++;
                if (d.mantissa > (WIDE_MAX - 9) / 10) {
                        d.sticky |= *s != '0';
                        d.exponent += !point;
                        continue;
                }
                d.mantissa = d.mantissa * 10 + (*s - '0');
                d.exponent -= point;
        }
        *ret = d;
        *ret_digits = digits;
        return s;
}

/* value * 10^exponent, rounded up, clamped. */
static wide scale10(wide value, int exponent, bool sticky)
{
        if (value == 0)
                return sticky;
        for (; exponent > 0 && value < WIDE_MAX; exponent--)
                value = mul_clamped(value, 10);
        for (; exponent < 0; exponent++) {
                sticky |= value % 10 != 0;
                value /= 10;
        }
        return value >= WIDE_MAX ? WIDE_MAX : value + sticky;
}

int kc_quantity_parse(const char *s, struct kc_quantity *ret)
{
        if (!s || !*s)
                return -EINVAL;
        bool negative = *s == '-';
        if (*s == '-' || *s == '+')
                s++;
        struct decimal d;
        int digits, exponent = 0;
        enum kc_quantity_format format;
        const char *suffix = parse_number(s, &d, &digits);
        if (digits == 0 || parse_suffix(suffix, &exponent, &format) < 0)
                return -EINVAL;
        wide nano;
        if (format == KC_QUANTITY_BINARY_SI) {
                /* The fraction is cut off only after the power of two is in. */
                for (; d.mantissa > WIDE_MAX >> exponent; d.exponent++) {
                        d.sticky |= d.mantissa % 10 != 0;
                        d.mantissa /= 10;
                }
                nano = scale10(d.mantissa << exponent, d.exponent + 9, d.sticky);
                if (nano > binary_max)
                        nano = binary_max;
                if (nano > 0 && nano < nano_one)
                        format = KC_QUANTITY_DECIMAL_SI;
        } else {
                nano = scale10(d.mantissa, d.exponent + exponent + 9, d.sticky);
        }
        *ret = (struct kc_quantity){.nano = negative ? -nano : nano, .format = format};
        return 0;
}

/* Digits of a non-negative number at the end of buf. */
static char *wide_digits(wide v, char *end)
{
        *end = '\0';
        do
                *--end = (char)('0' + (int)(v % 10));
        while ((v /= 10) > 0);
        return end;
}

const char *kc_quantity_format(const struct kc_quantity *q, char buf[static KC_QUANTITY_LEN])
{
        char digits[48];
        wide v = q->nano < 0 ? -q->nano : q->nano;
        const char *sign = q->nano < 0 ? "-" : "";
        if (v == 0)
                return strcpy(buf, "0");
        if (q->format == KC_QUANTITY_BINARY_SI && v >= 1024 * nano_one && v % nano_one == 0) {
                v /= nano_one;
                size_t i = 0;
                for (; v % 1024 == 0 && i < sizeof(binary_suffixes) / sizeof(binary_suffixes[0]); i++)
                        v /= 1024;
                snprintf(buf, KC_QUANTITY_LEN, "%s%s%s", sign, wide_digits(v, digits + sizeof(digits) - 1),
                    i ? binary_suffixes[i - 1].text : "");
                return buf;
        }
        int exponent = -9;
        for (; v % 1000 == 0 && (exponent < 18 || q->format == KC_QUANTITY_DECIMAL_EXPONENT); exponent += 3)
                v /= 1000;
        const char *text = wide_digits(v, digits + sizeof(digits) - 1);
        if (q->format != KC_QUANTITY_DECIMAL_EXPONENT)
                snprintf(buf, KC_QUANTITY_LEN, "%s%s%s", sign, text, decimal_suffixes[(exponent + 9) / 3].text);
        else if (exponent == 0)
                snprintf(buf, KC_QUANTITY_LEN, "%s%s", sign, text);
        else
                snprintf(buf, KC_QUANTITY_LEN, "%s%se%d", sign, text, exponent);
        return buf;
}

int kc_quantity_cmp(const struct kc_quantity *a, const struct kc_quantity *b)
{
        return (a->nano > b->nano) - (a->nano < b->nano);
}

/* As upstream, a sum has the format of its first non-zero part. */
void kc_quantity_add(struct kc_quantity *a, const struct kc_quantity *b)
{
        if (a->nano == 0)
                a->format = b->format;
        a->nano = add_clamped(a->nano, b->nano);
}

void kc_quantity_sub(struct kc_quantity *a, const struct kc_quantity *b)
{
        if (a->nano == 0)
                a->format = b->format;
        a->nano = add_clamped(a->nano, -b->nano);
}

/* Away from zero, and within int64. */
static int64_t round_up(wide nano, wide unit)
{
        wide v = nano / unit;
        if (nano % unit != 0)
                v += nano < 0 ? -1 : 1;
        return v > INT64_MAX ? INT64_MAX : v < INT64_MIN ? INT64_MIN : (int64_t)v;
}

int64_t kc_quantity_value(const struct kc_quantity *q)
{
        return round_up(q->nano, nano_one);
}

int64_t kc_quantity_milli(const struct kc_quantity *q)
{
        return round_up(q->nano, nano_one / 1000);
}

struct kc_quantity kc_quantity_from_int(int64_t v, enum kc_quantity_format f)
{
        return (struct kc_quantity){.nano = (wide)v * nano_one, .format = f};
}

struct kc_quantity kc_quantity_from_milli(int64_t v, enum kc_quantity_format f)
{
        return (struct kc_quantity){.nano = (wide)v * (nano_one / 1000), .format = f};
}
