/* Schedules of CronJobs: reading them. Any thread. */
#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "api/cron.h"
#include "base/clock.h"
#include "base/macros.h"
#include "base/mem.h"
#include "base/str.h"

enum { N_FIELDS = 5 };

static const char *const month_names[] = {
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec", NULL};
static const char *const day_names[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat", NULL};

static const struct bounds {
        int64_t min, max;
        const char *const *names; /* the first is min */
} fields[N_FIELDS] = {{0, 59, NULL}, {0, 23, NULL}, {1, 31, NULL}, {1, 12, month_names}, {0, 6, day_names}};

bool kc_time_zone_exists(const char *name)
{
        struct stat st;
        if (!*name || kc_streq(name, "UTC") || kc_streq(name, "Local"))
                return true;
        if (name[0] == '/' || strstr(name, "..") || strchr(name, '\\'))
                return false;
        KC_CLEANUP(kc_freep) char *path = kc_asprintf("/usr/share/zoneinfo/%s", name);
        return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* strconv.Atoi, which has its own words. */
static int number(const char *text, int64_t *ret, char **ret_why)
{
        const char *digits = text[0] == '+' ? text + 1 : text;
        if (!isdigit((unsigned char)digits[digits[0] == '-' ? 1 : 0]) || kc_str_to_i64(digits, ret) < 0) {
                bool range = *digits && !digits[strspn(digits, "0123456789")];
                *ret_why = kc_asprintf("failed to parse int from %s: strconv.Atoi: parsing \"%s\": %s", text, text,
                    range ? "value out of range" : "invalid syntax");
                return -EINVAL;
        }
        if (*ret < 0) {
                *ret_why = kc_asprintf("negative number (%lld) not allowed: %s", (long long)*ret, text);
                return -EINVAL;
        }
        return 0;
}

static int number_or_name(const char *text, const struct bounds *b, int64_t *ret, char **ret_why)
{
        for (size_t i = 0; b->names && b->names[i]; i++) {
                if (strcasecmp(b->names[i], text) == 0) {
                        *ret = b->min + (int64_t)i;
                        return 0;
                }
        }
        return number(text, ret, ret_why);
}

/* The ends of "*", "?", "a" or "a-b". */
static int parse_ends(const char *text, const char *whole, const struct bounds *b, int64_t *ret_first,
    int64_t *ret_last, bool *ret_any, char **ret_why)
{
        KC_CLEANUP(kc_strv_freep) char **ends = kc_strv_split(text, '-');
        size_t n = kc_strv_len(ends);
        if (kc_streq(ends[0], "*") || kc_streq(ends[0], "?")) {
                *ret_first = b->min;
                *ret_last = b->max;
                *ret_any = true;
                return 0;
        }
        int r = number_or_name(ends[0], b, ret_first, ret_why);
        *ret_last = *ret_first;
        if (r == 0 && n == 2)
                r = number_or_name(ends[1], b, ret_last, ret_why);
        if (r == 0 && n > 2) {
                *ret_why = kc_asprintf("too many hyphens: %s", whole);
                r = -EINVAL;
        }
        return r;
}

static int parse_range(const char *text, const struct bounds *b, uint64_t *bits, bool *any, char **ret_why)
{
        KC_CLEANUP(kc_strv_freep) char **parts = kc_strv_split(text, '/');
        size_t n = kc_strv_len(parts);
        int64_t first, last, step = 1;
        bool star = false;
        int r = parse_ends(parts[0], text, b, &first, &last, &star, ret_why);
        if (r == 0 && n == 2) {
                r = number(parts[1], &step, ret_why);
                if (!strchr(parts[0], '-') && !star)
                        last = b->max;
                star = star && step <= 1;
        }
        if (r < 0)
                return r;
        if (n > 2)
                *ret_why = kc_asprintf("too many slashes: %s", text);
        else if (first < b->min)
                *ret_why = kc_asprintf(
                    "beginning of range (%lld) below minimum (%lld): %s", (long long)first, (long long)b->min, text);
        else if (last > b->max)
                *ret_why = kc_asprintf(
                    "end of range (%lld) above maximum (%lld): %s", (long long)last, (long long)b->max, text);
        else if (first > last)
                *ret_why = kc_asprintf("beginning of range (%lld) beyond end of range (%lld): %s", (long long)first,
                    (long long)last, text);
        else if (step == 0)
                *ret_why = kc_asprintf("step of range should be a positive number: %s", text);
        if (*ret_why)
                return -EINVAL;
        for (int64_t i = first; i <= last; i += KC_MIN(step, last - first + 1))
                *bits |= UINT64_C(1) << i;
        *any = *any || star;
        return 0;
}

static int parse_field(const char *text, const struct bounds *b, uint64_t *bits, bool *any, char **ret_why)
{
        KC_CLEANUP(kc_strv_freep) char **ranges = kc_strv_split(text, ',');
        *bits = 0;
        *any = false;
        for (size_t i = 0; ranges[i]; i++) {
                if (ranges[i][0] && parse_range(ranges[i], b, bits, any, ret_why) < 0)
                        return -EINVAL;
        }
        return 0;
}

/* strings.Fields */
static char **split_words(const char *s)
{
        static const char spaces[] = " \t\n\v\f\r";
        char **words = NULL;
        for (s += strspn(s, spaces); *s; s += strspn(s, spaces)) {
                size_t n = strcspn(s, spaces);
                kc_strv_push_take(&words, kc_strndup(s, n));
                s += n;
        }
        return words;
}

static int parse_fields(const char *spec, struct kc_cron *ret, char **ret_why)
{
        uint64_t *bits[N_FIELDS] = {&ret->minutes, &ret->hours, &ret->days, &ret->months, &ret->weekdays};
        KC_CLEANUP(kc_strv_freep) char **words = split_words(spec);
        size_t n = words ? kc_strv_len(words) : 0;
        if (n != N_FIELDS) {
                KC_CLEANUP(kc_freep) char *list = words ? kc_strv_join(words, " ") : kc_strdup("");
                *ret_why = kc_asprintf("expected exactly 5 fields, found %zu: [%s]", n, list);
                return -EINVAL;
        }
        for (size_t i = 0; i < N_FIELDS; i++) {
                bool any;
                if (parse_field(words[i], &fields[i], bits[i], &any, ret_why) < 0)
                        return -EINVAL;
                if (i == 2)
                        ret->any_day = any;
                if (i == 4)
                        ret->any_weekday = any;
        }
        return 0;
}

static int parse_descriptor(const char *text, struct kc_cron *ret, char **ret_why)
{
        static const struct {
                const char *name, *fields;
        } known[] = {{"@yearly", "0 0 1 1 *"}, {"@annually", "0 0 1 1 *"}, {"@monthly", "0 0 1 * *"},
            {"@weekly", "0 0 * * 0"}, {"@daily", "0 0 * * *"}, {"@midnight", "0 0 * * *"}, {"@hourly", "0 * * * *"}};
        static const char every[] = "@every ";
        for (size_t i = 0; i < KC_ARRAY_LEN(known); i++)
                if (kc_streq(known[i].name, text))
                        return parse_fields(known[i].fields, ret, ret_why);
        if (!kc_str_has_prefix(text, every)) {
                *ret_why = kc_asprintf("unrecognized descriptor: %s", text);
                return -EINVAL;
        }
        const char *duration = text + strlen(every);
        int64_t usec;
        if (kc_duration_parse(duration, &usec) < 0) {
                *ret_why = kc_asprintf("failed to parse duration %s: time: invalid duration \"%s\"", text, duration);
                return -EINVAL;
        }
        ret->every_seconds = KC_MAX(usec / 1000000, 1);
        return 0;
}

int kc_cron_parse(const char *spec, struct kc_cron *ret, char **ret_why)
{
        *ret = (struct kc_cron){0};
        *ret_why = NULL;
        if (!*spec) {
                *ret_why = kc_strdup("empty spec string");
                return -EINVAL;
        }
        if (kc_str_has_prefix(spec, "TZ=") || kc_str_has_prefix(spec, "CRON_TZ=")) {
                const char *zone = strchr(spec, '=') + 1;
                size_t n = strcspn(zone, " ");
                if (!zone[n]) { /* upstream's parser panics, and recovers */
                        *ret_why = kc_strdup("invalid schedule format: runtime error: slice bounds out of range [:-1]");
                        return -EINVAL;
                }
                ret->time_zone = kc_strndup(zone, n);
                if (!kc_time_zone_exists(ret->time_zone)) {
                        *ret_why = kc_asprintf(
                            "provided bad location %s: unknown time zone %s", ret->time_zone, ret->time_zone);
                        kc_cron_done(ret);
                        return -EINVAL;
                }
                spec = zone + n + strspn(zone + n, " \t");
        }
        int r = spec[0] == '@' ? parse_descriptor(spec, ret, ret_why) : parse_fields(spec, ret, ret_why);
        if (r < 0)
                kc_cron_done(ret);
        return r;
}

void kc_cron_done(struct kc_cron *c)
{
        kc_free(c->time_zone);
        c->time_zone = NULL;
}
