/* Clocks, RFC 3339 times and Go durations. */
#include "base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/macros.h"

static int64_t read_clock(clockid_t id)
{
        struct timespec ts;
        clock_gettime(id, &ts);
        return (int64_t)ts.tv_sec * KC_SEC + ts.tv_nsec / 1000;
}

kc_time kc_clock_now(const struct kc_clock *c)
{
        return c ? c->now(c) : read_clock(CLOCK_REALTIME);
}

kc_mono kc_clock_mono(const struct kc_clock *c)
{
        return c ? c->mono(c) : read_clock(CLOCK_MONOTONIC);
}

static kc_time fake_now(const struct kc_clock *c)
{
        return KC_CONTAINER_OF(c, const struct kc_fake_clock, clock)->time;
}

static kc_mono fake_mono(const struct kc_clock *c)
{
        return KC_CONTAINER_OF(c, const struct kc_fake_clock, clock)->monotonic;
}

void kc_fake_clock_init(struct kc_fake_clock *f, kc_time start)
{
        *f = (struct kc_fake_clock){.clock = {.now = fake_now, .mono = fake_mono}, .time = start, .monotonic = KC_SEC};
}

void kc_fake_clock_advance(struct kc_fake_clock *f, int64_t usec)
{
        f->time += usec;
        f->monotonic += usec;
}

/* --- RFC 3339 */

struct civil {
        int64_t year;
        int month, day, hour, minute, second;
        int usec;
};

static int64_t floor_div(int64_t a, int64_t b)
{
        return a / b - (a % b < 0);
}

/* Days since 1970-01-01 of a proleptic Gregorian date (H. Hinnant, "chrono-compatible low-level date algorithms"). */
static int64_t days_from_civil(int64_t y, int m, int d)
{
        y -= m <= 2;
        int64_t era = floor_div(y, 400);
        int64_t yoe = y - era * 400;
        int64_t doy = (153 * (m > 2 ? m - 3 : m + 9) + 2) / 5 + d - 1;
        int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
        return era * 146097 + doe - 719468;
}

static struct civil civil_from_time(kc_time t)
{
        int64_t seconds = floor_div(t, KC_SEC);
        int64_t days = floor_div(seconds, 86400);
        int rest = (int)(seconds - days * 86400);
        int64_t z = days + 719468;
        int64_t era = floor_div(z, 146097);
        int64_t doe = z - era * 146097;
        int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
        int doy = (int)(doe - (365 * yoe + yoe / 4 - yoe / 100));
        int mp = (5 * doy + 2) / 153;
        int month = mp < 10 ? mp + 3 : mp - 9;
        return (struct civil){
            .year = yoe + era * 400 + (month <= 2),
            .month = month,
            .day = doy - (153 * mp + 2) / 5 + 1,
            .hour = rest / 3600,
            .minute = rest / 60 % 60,
            .second = rest % 60,
            .usec = (int)(t - seconds * KC_SEC),
        };
}

/* width decimal digits of v, then end unless it is NUL. */
static char *put_digits(char *at, int v, int width, char end)
{
        for (int i = width - 1; i >= 0; i--, v /= 10)
                at[i] = (char)('0' + v % 10);
        at[width] = end;
        return at + width + (end ? 1 : 0);
}

/* fraction: digits behind the dot, 0, 6 or 9. */
static const char *format_time(kc_time t, int fraction, char buf[static KC_TIME_LEN])
{
        struct civil c = civil_from_time(t);
        char *at = buf;
        at = put_digits(at, (int)KC_MIN(KC_MAX(c.year, 0), 9999), 4, '-'); /* RFC 3339 has no other years */
        at = put_digits(at, c.month, 2, '-');
        at = put_digits(at, c.day, 2, 'T');
        at = put_digits(at, c.hour, 2, ':');
        at = put_digits(at, c.minute, 2, ':');
        at = put_digits(at, c.second, 2, '\0');
        if (fraction) {
                *at++ = '.';
                at = put_digits(at, c.usec, 6, '\0');
                at = put_digits(at, 0, fraction - 6, '\0');
        }
        memcpy(at, "Z", 2);
        return buf;
}

const char *kc_time_format(kc_time t, char buf[static KC_TIME_LEN])
{
        return format_time(t, 0, buf);
}

const char *kc_time_format_micro(kc_time t, char buf[static KC_TIME_LEN])
{
        return format_time(t, 6, buf);
}

const char *kc_time_format_nano(kc_time t, char buf[static KC_TIME_LEN])
{
        return format_time(t, 9, buf);
}

/* Exactly n digits, followed by the character end ('\0': anything). */
static bool scan_digits(const char **s, int n, char end, int *ret_v)
{
        int v = 0;
        for (int i = 0; i < n; i++) {
                char c = (*s)[i];
                if (c < '0' || c > '9')
                        return false;
                v = v * 10 + (c - '0');
        }
        if (end && (*s)[n] != end)
                return false;
        *s += n + (end ? 1 : 0);
        *ret_v = v;
        return true;
}

static int days_in_month(int64_t year, int month)
{
        static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
        bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
        return days[month - 1] + (month == 2 && leap ? 1 : 0);
}

/* "Z", "+01:00", "-07:30": seconds east of UTC. */
static bool scan_offset(const char **s, int *ret_seconds)
{
        char sign = **s;
        int hours, minutes;
        if (sign == 'Z') {
                (*s)++;
                *ret_seconds = 0;
                return true;
        }
        if (sign != '+' && sign != '-')
                return false;
        (*s)++;
        if (!scan_digits(s, 2, ':', &hours) || !scan_digits(s, 2, '\0', &minutes) || hours > 23 || minutes > 59)
                return false;
        *ret_seconds = (hours * 3600 + minutes * 60) * (sign == '-' ? -1 : 1);
        return true;
}

int kc_time_parse(const char *s, kc_time *ret_t)
{
        int year, month, day, hour, minute, second, offset, usec = 0;
        if (!s || !scan_digits(&s, 4, '-', &year) || !scan_digits(&s, 2, '-', &month) ||
            !scan_digits(&s, 2, 'T', &day) || !scan_digits(&s, 2, ':', &hour) || !scan_digits(&s, 2, ':', &minute) ||
            !scan_digits(&s, 2, '\0', &second))
                return -EINVAL;
        if (month < 1 || month > 12 || day < 1 || day > days_in_month(year, month) || hour > 23 || minute > 59 ||
            second > 59)
                return -EINVAL;
        if (*s == '.') {
                s++;
                if (*s < '0' || *s > '9')
                        return -EINVAL;
                for (int unit = 100000; *s >= '0' && *s <= '9'; s++, unit /= 10)
                        usec += (*s - '0') * unit;
        }
        if (!scan_offset(&s, &offset) || *s)
                return -EINVAL;
        int64_t seconds = days_from_civil(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - offset;
        *ret_t = seconds * KC_SEC + usec;
        return 0;
}

/* --- Go durations */

static const struct {
        const char *name;
        uint64_t nsec;
} duration_units[] = {
    {"ns", 1},
    {"us", 1000},
    {"\xc2\xb5s", 1000}, /* U+00B5 micro sign */
    {"\xce\xbcs", 1000}, /* U+03BC Greek mu */
    {"ms", 1000000},
    {"s", 1000000000},
    {"m", UINT64_C(60000000000)},
    {"h", UINT64_C(3600000000000)},
};

/* The unit is what stands before the next digit or dot. */
static uint64_t scan_unit(const char **s)
{
        size_t len = strcspn(*s, "0123456789.");
        for (size_t i = 0; i < KC_ARRAY_LEN(duration_units); i++) {
                if (strlen(duration_units[i].name) == len && strncmp(*s, duration_units[i].name, len) == 0) {
                        *s += len;
                        return duration_units[i].nsec;
                }
        }
        return 0;
}

/* One "1.5h": nanoseconds, or -EINVAL. */
static int scan_term(const char **s, uint64_t *ret_nsec)
{
        const char *start = *s;
        uint64_t whole = 0, fraction = 0, scale = 1;
        for (; **s >= '0' && **s <= '9'; (*s)++)
                if (__builtin_mul_overflow(whole, UINT64_C(10), &whole) ||
                    __builtin_add_overflow(whole, (uint64_t)(**s - '0'), &whole))
                        return -EINVAL;
        bool digits = *s > start;
        if (**s == '.') {
                for ((*s)++; **s >= '0' && **s <= '9'; (*s)++, digits = true) {
                        if (scale > UINT64_C(100000000000000000))
                                continue; /* beyond a nanosecond of any unit */
                        fraction = fraction * 10 + (uint64_t)(**s - '0');
                        scale *= 10;
                }
        }
        uint64_t unit = digits ? scan_unit(s) : 0;
        if (unit == 0 || __builtin_mul_overflow(whole, unit, &whole))
                return -EINVAL;
        uint64_t part = (uint64_t)((double)fraction * ((double)unit / (double)scale));
        return __builtin_add_overflow(whole, part, ret_nsec) ? -EINVAL : 0;
}

int kc_duration_parse(const char *s, int64_t *ret_usec)
{
        if (!s)
                return -EINVAL;
        bool negative = *s == '-';
        if (*s == '-' || *s == '+')
                s++;
        if (strcmp(s, "0") == 0) {
                *ret_usec = 0;
                return 0;
        }
        if (!*s)
                return -EINVAL;
        uint64_t total = 0;
        while (*s) {
                uint64_t nsec;
                int r = scan_term(&s, &nsec);
                if (r < 0)
                        return r;
                if (__builtin_add_overflow(total, nsec, &total) || total > (uint64_t)INT64_MAX)
                        return -EINVAL;
        }
        int64_t usec = (int64_t)(total / 1000);
        *ret_usec = negative ? -usec : usec;
        return 0;
}

/* value / 10^digits without trailing zeros: 1500, 3 -> "1.5". */
static void format_fraction(char *out, size_t size, uint64_t value, int digits)
{
        uint64_t unit = 1;
        for (int i = 0; i < digits; i++)
                unit *= 10;
        int n = snprintf(
            out, size, "%llu.%0*llu", (unsigned long long)(value / unit), digits, (unsigned long long)(value % unit));
        while (n > 0 && out[n - 1] == '0')
                out[--n] = '\0';
        if (n > 0 && out[n - 1] == '.')
                out[--n] = '\0';
}

const char *kc_duration_format(int64_t usec, char buf[static KC_TIME_LEN])
{
        uint64_t u = usec < 0 ? 0 - (uint64_t)usec : (uint64_t)usec;
        const char *sign = usec < 0 ? "-" : "";
        char part[24];
        if (u == 0) {
                snprintf(buf, KC_TIME_LEN, "0s");
        } else if (u < 1000) {
                snprintf(buf, KC_TIME_LEN, "%s%d\xc2\xb5s", sign, (int)u);
        } else if (u < 1000000) {
                format_fraction(part, sizeof(part), u, 3);
                snprintf(buf, KC_TIME_LEN, "%s%sms", sign, part);
        } else {
                uint64_t minutes = u / (60 * KC_SEC), hours = minutes / 60;
                format_fraction(part, sizeof(part), u % (60 * KC_SEC), 6);
                if (hours > 0)
                        snprintf(buf, KC_TIME_LEN, "%s%lluh%um%.9ss", sign, (unsigned long long)hours,
                            (unsigned)(minutes % 60), part);
                else if (minutes > 0)
                        snprintf(buf, KC_TIME_LEN, "%s%um%.9ss", sign, (unsigned)minutes, part);
                else
                        snprintf(buf, KC_TIME_LEN, "%s%.9ss", sign, part);
        }
        return buf;
}

/* "3h4m", or "3h" when the lower part is zero. */
static void format_two(char *buf, int64_t high, char high_unit, int64_t low, char low_unit)
{
        if (low == 0)
                snprintf(buf, KC_TIME_LEN, "%lld%c", (long long)high, high_unit);
        else
                snprintf(buf, KC_TIME_LEN, "%lld%c%lld%c", (long long)high, high_unit, (long long)low, low_unit);
}

const char *kc_duration_human(int64_t usec, char buf[static KC_TIME_LEN])
{
        int64_t seconds = usec / KC_SEC, minutes = seconds / 60, hours = minutes / 60, days = hours / 24;
        /* Two seconds of the future are clock skew. */
        if (seconds < -1)
                snprintf(buf, KC_TIME_LEN, "<invalid>");
        else if (seconds < 0)
                snprintf(buf, KC_TIME_LEN, "0s");
        else if (seconds < 60 * 2)
                format_two(buf, seconds, 's', 0, 's');
        else if (minutes < 10)
                format_two(buf, minutes, 'm', seconds % 60, 's');
        else if (minutes < 60 * 3)
                format_two(buf, minutes, 'm', 0, 's');
        else if (hours < 8)
                format_two(buf, hours, 'h', minutes % 60, 'm');
        else if (hours < 48)
                format_two(buf, hours, 'h', 0, 'm');
        else if (hours < 24 * 8)
                format_two(buf, days, 'd', hours % 24, 'h');
        else if (hours < 24 * 365 * 2)
                format_two(buf, days, 'd', 0, 'h');
        else if (hours < 24 * 365 * 8)
                format_two(buf, days / 365, 'y', days % 365, 'd');
        else
                format_two(buf, days / 365, 'y', 0, 'd');
        return buf;
}
