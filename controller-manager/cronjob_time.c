/* Time zones from TZif files (RFC 8536), and the next time of a schedule. Any thread. */
#include "controller-manager/cronjob_time.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/str.h"

#define ZONEINFO "/usr/share/zoneinfo"
#define SYSTEM_ZONE "/etc/localtime"

enum { MAX_ZONE_FILE = 1 << 20, HEADER = 44, MINUTE = 60, HOUR = 3600, DAY = 86400, MAX_YEARS = 5 };

/* A change by rule: "M3.5.0/2": in the week-th week (5: the last) of the month, on that day, at seconds after midnight.
 */
struct rule {
        int month, week, day;
        int64_t at;
};

struct kc_zone {
        int64_t *when;   /* ascending */
        int64_t *offset; /* from when[i] on */
        size_t n;
        int64_t before; /* offset before the first change */
        /* After the last change: what the footer says. */
        int64_t standard, summer;
        bool has_footer, has_summer;
        struct rule begin, end;
};

void kc_zone_free(struct kc_zone *z)
{
        if (!z)
                return;
        kc_free(z->when);
        kc_free(z->offset);
        kc_free(z);
}

/* --- civil time */

static int64_t days_from_civil(int64_t y, int m, int d)
{
        y -= m <= 2;
        int64_t era = (y >= 0 ? y : y - 399) / 400, yoe = y - era * 400;
        int64_t doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1, doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
        return era * 146097 + doe - 719468;
}

struct civil {
        int64_t year;
        int month, day, weekday;
};

static struct civil civil_from_days(int64_t z)
{
        int weekday = (int)((z % 7 + 11) % 7); /* 1970-01-01 was a Thursday */
        z += 719468;
        int64_t era = (z >= 0 ? z : z - 146096) / 146097, doe = z - era * 146097;
        int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365,
                doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
        int64_t mp = (5 * doy + 2) / 153;
        int month = (int)(mp < 10 ? mp + 3 : mp - 9);
        return (struct civil){.year = yoe + era * 400 + (month <= 2),
            .month = month,
            .day = (int)(doy - (153 * mp + 2) / 5 + 1),
            .weekday = weekday};
}

static int64_t floor_div(int64_t a, int64_t b)
{
        return a >= 0 ? a / b : -((b - 1 - a) / b);
}

/* --- the footer: "CET-1CEST,M3.5.0,M10.5.0/3" */

static const char *skip_name(const char *p)
{
        if (*p == '<') {
                const char *end = strchr(p, '>');
                return end ? end + 1 : p + strlen(p);
        }
        while (isalpha((unsigned char)*p))
                p++;
        return p;
}

/* [+-]hh[:mm[:ss]] */
static const char *read_hours(const char *p, int64_t *ret)
{
        int sign = 1;
        int64_t part = HOUR;

        *ret = 0;
        if (*p == '-' || *p == '+')
                sign = *p++ == '-' ? -1 : 1;
        for (int i = 0; i < 3; i++, part /= 60) {
                char *end;
                *ret += strtol(p, &end, 10) * part;
                p = end;
                if (*p != ':')
                        break;
                p++;
        }
        *ret *= sign;
        return p;
}

static const char *read_rule(const char *p, struct rule *ret)
{
        char *end;

        *ret = (struct rule){.at = 2 * HOUR};
        if (p[0] != ',' || p[1] != 'M')
                return NULL;
        ret->month = (int)strtol(p + 2, &end, 10);
        if (*end != '.')
                return NULL;
        ret->week = (int)strtol(end + 1, &end, 10);
        if (*end != '.')
                return NULL;
        ret->day = (int)strtol(end + 1, &end, 10);
        if (ret->month < 1 || ret->month > 12 || ret->week < 1 || ret->week > 5 || ret->day < 0 || ret->day > 6)
                return NULL;
        return *end == '/' ? read_hours(end + 1, &ret->at) : end;
}

static void read_footer(struct kc_zone *z, const char *text)
{
        const char *p = skip_name(text);
        int64_t west;

        if (p == text)
                return;
        p = read_hours(p, &west);
        z->standard = -west;
        z->has_footer = true;
        if (!isalpha((unsigned char)*p) && *p != '<')
                return;
        p = skip_name(p);
        z->summer = z->standard + HOUR;
        if (*p && *p != ',') {
                p = read_hours(p, &west);
                z->summer = -west;
        }
        p = read_rule(p, &z->begin);
        z->has_summer = p && read_rule(p, &z->end);
}

/* When the rule's change comes in a year; offset: that in force before it. */
static int64_t rule_time(const struct rule *r, int64_t year, int64_t offset)
{
        int64_t first = days_from_civil(year, r->month, 1);
        int64_t next = r->month == 12 ? days_from_civil(year + 1, 1, 1) : days_from_civil(year, r->month + 1, 1);
        int64_t day = first + (r->day - civil_from_days(first).weekday + 7) % 7 + (int64_t)(r->week - 1) * 7;

        while (day >= next)
                day -= 7;
        return day * DAY + r->at - offset;
}

static int64_t footer_offset(const struct kc_zone *z, int64_t t)
{
        int64_t year, begin, end;
        bool summer;

        if (!z->has_summer)
                return z->standard;
        year = civil_from_days(floor_div(t + z->standard, DAY)).year;
        begin = rule_time(&z->begin, year, z->standard);
        end = rule_time(&z->end, year, z->summer);
        /* In the south it lasts over the turn of the year. */
        summer = begin < end ? t >= begin && t < end : t >= begin || t < end;
        return summer ? z->summer : z->standard;
}

/* --- the file */

static int64_t read_be(const uint8_t *p, int bytes)
{
        uint64_t v = 0;
        for (int i = 0; i < bytes; i++)
                v = v << 8 | p[i];
        return bytes == 4 ? (int32_t)(uint32_t)v : (int64_t)v;
}

struct counts {
        size_t isut, isstd, leap, time, type, chars;
};

static bool read_header(const uint8_t *p, size_t len, struct counts *ret)
{
        size_t *const fields[] = {&ret->isut, &ret->isstd, &ret->leap, &ret->time, &ret->type, &ret->chars};

        if (len < HEADER || memcmp(p, "TZif", 4) != 0)
                return false;
        for (size_t i = 0; i < KC_ARRAY_LEN(fields); i++) {
                int64_t n = read_be(p + 20 + 4 * i, 4);
                if (n < 0 || n > MAX_ZONE_FILE)
                        return false;
                *fields[i] = (size_t)n;
        }
        return true;
}

static size_t body_size(const struct counts *c, size_t time_size)
{
        return c->time * time_size + c->time + c->type * 6 + c->chars + c->leap * (time_size + 4) + c->isstd + c->isut;
}

/* The second, 64-bit part of the file. */
static bool parse(const uint8_t *p, size_t len, struct kc_zone *z)
{
        struct counts c;
        size_t first;

        if (!read_header(p, len, &c) || p[4] < '2')
                return false;
        first = HEADER + body_size(&c, 4);
        if (first > len || !read_header(p + first, len - first, &c))
                return false;
        p += first + HEADER;
        len -= first + HEADER;
        if (body_size(&c, 8) > len || c.type == 0)
                return false;
        const uint8_t *index = p + 8 * c.time, *types = index + c.time;
        z->n = c.time;
        z->when = kc_calloc(c.time + 1, sizeof(*z->when));
        z->offset = kc_calloc(c.time + 1, sizeof(*z->offset));
        z->before = read_be(types, 4);
        for (size_t i = 0; i < c.time; i++) {
                if (index[i] >= c.type)
                        return false;
                z->when[i] = read_be(p + 8 * i, 8);
                z->offset[i] = read_be(types + (size_t)6 * index[i], 4);
        }
        const uint8_t *footer = p + body_size(&c, 8), *end = p + len;
        if (footer < end && *footer == '\n') {
                KC_CLEANUP(kc_freep) char *text = kc_strndup((const char *)footer + 1, (size_t)(end - footer - 1));
                read_footer(z, text);
        }
        return true;
}

int kc_zone_load(const char *name, struct kc_zone **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_zone_freep) struct kc_zone *z = KC_NEW(struct kc_zone);
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        KC_CLEANUP(kc_freep) char *path = NULL;

        if (kc_streq(name, "UTC")) {
                *ret = KC_TAKE(z);
                return 0;
        }
        if (!kc_str_empty(name) && !kc_time_zone_exists(name))
                return kc_error_set(err, ENOENT, "unknown time zone %s", name);
        path = kc_str_empty(name) ? kc_strdup(SYSTEM_ZONE) : kc_asprintf(ZONEINFO "/%s", name);
        if (kc_file_read(path, MAX_ZONE_FILE, &b, NULL) < 0 || !parse((const uint8_t *)b.data, b.len, z)) {
                if (!kc_str_empty(name))
                        return kc_error_set(err, ENOENT, "unknown time zone %s", name);
                kc_zone_free(KC_TAKE(z)); /* a system that says nothing of where it is */
                z = KC_NEW(struct kc_zone);
        }
        *ret = KC_TAKE(z);
        return 0;
}

int64_t kc_zone_offset(const struct kc_zone *z, int64_t t)
{
        size_t lo = 0, hi = z->n;

        if (z->n == 0 || t >= z->when[z->n - 1]) {
                if (z->has_footer)
                        return footer_offset(z, t);
                return z->n ? z->offset[z->n - 1] : z->before;
        }
        while (lo < hi) {
                size_t mid = (lo + hi) / 2;
                if (z->when[mid] <= t)
                        lo = mid + 1;
                else
                        hi = mid;
        }
        return lo == 0 ? z->before : z->offset[lo - 1];
}

/* --- schedules */

static bool day_matches(const struct kc_cron *c, const struct civil *d)
{
        bool day = c->days >> d->day & 1, weekday = c->weekdays >> d->weekday & 1;
        return c->any_day || c->any_weekday ? day && weekday : day || weekday;
}

/* Local midnight of a day, later than t. */
static int64_t begin_of(const struct kc_zone *z, int64_t day, int64_t t)
{
        int64_t local = day * DAY, u = local - kc_zone_offset(z, local - kc_zone_offset(z, local));
        return u > t ? u : t + HOUR;
}

int64_t kc_cron_next(const struct kc_cron *c, const struct kc_zone *z, int64_t t)
{
        int64_t limit = t + (int64_t)MAX_YEARS * 366 * DAY;

        if (c->every_seconds > 0)
                return t + c->every_seconds;
        t = (floor_div(t, MINUTE) + 1) * MINUTE;
        while (t < limit) {
                int64_t local = t + kc_zone_offset(z, t), days = floor_div(local, DAY), second = local - days * DAY;
                struct civil d = civil_from_days(days);
                if (!(c->months >> d.month & 1))
                        t = begin_of(z,
                            d.month == 12 ? days_from_civil(d.year + 1, 1, 1) : days_from_civil(d.year, d.month + 1, 1),
                            t);
                else if (!day_matches(c, &d))
                        t = begin_of(z, days + 1, t);
                else if (!(c->hours >> (second / HOUR) & 1))
                        t += HOUR - second % HOUR;
                else if (!(c->minutes >> (second % HOUR / MINUTE) & 1))
                        t += MINUTE;
                else
                        return t;
        }
        return 0;
}

int64_t kc_cron_latest(
    const struct kc_cron *c, const struct kc_zone *z, int64_t earliest, int64_t now, int limit, int *ret_missed)
{
        static const int64_t windows[] = {
            HOUR, DAY, (int64_t)32 * DAY, (int64_t)366 * DAY, (int64_t)MAX_YEARS * 366 * DAY};
        int64_t last = 0;

        *ret_missed = 0;
        for (int64_t t = kc_cron_next(c, z, earliest); t && t <= now && *ret_missed <= limit;
             t = kc_cron_next(c, z, t)) {
                last = t;
                (*ret_missed)++;
        }
        if (*ret_missed <= limit)
                return last;
        /* A schedule of intervals goes on from the earliest time, the others can be looked at from behind. */
        if (c->every_seconds > 0)
                return earliest + (now - earliest) / c->every_seconds * c->every_seconds;
        for (size_t i = 0; i < KC_ARRAY_LEN(windows); i++) {
                last = 0;
                for (int64_t t = kc_cron_next(c, z, KC_MAX(earliest, now - windows[i])); t && t <= now;
                     t = kc_cron_next(c, z, t))
                        last = t;
                if (last)
                        return last;
        }
        return 0;
}
