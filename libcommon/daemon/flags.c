/* Command-line flags, as pflag reads them. Main thread. */
#include "daemon/flags.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"

enum { MAX_NEAR_DISTANCE = 2 };

/* Which flags of which table were given. Lives until the process ends, as the tables do. */
struct given {
        const struct kc_flag *table;
        char **names;
        struct given *next;
};
static struct given *givens;

static struct given *given_of(const struct kc_flag *table)
{
        for (struct given *g = givens; g; g = g->next)
                if (g->table == table)
                        return g;
        return NULL;
}

static void mark_given(const struct kc_flag *table, const char *name)
{
        struct given *g = given_of(table);
        if (!g) {
                g = KC_NEW(struct given);
                g->table = table;
                g->next = givens;
                givens = g;
        }
        if (!kc_strv_has(g->names, name))
                kc_strv_push(&g->names, name);
}

/* Each parsing counts for itself. */
static void forget_given(const struct kc_flag *table)
{
        struct given *g = given_of(table);
        if (g) {
                kc_strv_free(g->names);
                g->names = NULL;
        }
}

bool kc_flags_given(const struct kc_flag *flags, const char *name)
{
        const struct given *g = given_of(flags);
        return g && kc_strv_has(g->names, name);
}

/* --- values */

static int invalid(const struct kc_flag *f, const char *value, const char *why, struct kc_error *err)
{
        if (f->short_name)
                return kc_error_set(err, EINVAL, "invalid argument \"%s\" for \"-%c, --%s\" flag: %s", value,
                    f->short_name, f->name, why);
        return kc_error_set(err, EINVAL, "invalid argument \"%s\" for \"--%s\" flag: %s", value, f->name, why);
}

static int set_number(const struct kc_flag *f, const char *value, struct kc_error *err)
{
        int64_t v;
        int r = kc_str_to_i64(value, &v);
        if (r == 0 && f->kind == KC_FLAG_INT && (v < INT32_MIN || v > INT32_MAX))
                r = -ERANGE;
        if (r < 0) {
                KC_CLEANUP(kc_freep)
                char *why = kc_asprintf("strconv.ParseInt: parsing \"%s\": %s", value,
                    r == -ERANGE ? "value out of range" : "invalid syntax");
                return invalid(f, value, why, err);
        }
        if (f->kind == KC_FLAG_INT)
                *(int *)f->value = (int)v;
        else
                *(int64_t *)f->value = v;
        return 0;
}

/* The first occurrence replaces the default, later ones add. */
static int set_list(const struct kc_flag *f, const char *value, bool first, struct kc_error *err)
{
        KC_CLEANUP(kc_strv_freep) char **parts = NULL;
        if (f->kind == KC_FLAG_ARRAY)
                kc_strv_push(&parts, value);
        else
                parts = kc_strv_split(value, ',');
        if (f->kind == KC_FLAG_MAP)
                for (char **p = parts; p && *p; p++)
                        if (!strchr(*p, '=')) {
                                return invalid(f, value, "malformed pair, expect string=string", err);
                        }
        char ***list = f->value;
        if (first) {
                kc_strv_free(*list);
                *list = NULL;
        }
        for (char **p = parts; p && *p; p++)
                kc_strv_push(list, *p);
        return 0;
}

static int set_value(const struct kc_flag *f, const char *value, bool first, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *why = NULL;
        switch (f->kind) {
        case KC_FLAG_STRING:
                kc_str_set(f->value, value);
                return 0;
        case KC_FLAG_BOOL:
                if (kc_str_to_bool(value, f->value) == 0)
                        return 0;
                why = kc_asprintf("strconv.ParseBool: parsing \"%s\": invalid syntax", value);
                return invalid(f, value, why, err);
        case KC_FLAG_INT:
        case KC_FLAG_INT64:
                return set_number(f, value, err);
        case KC_FLAG_DOUBLE:
                if (kc_str_to_double(value, f->value) == 0)
                        return 0;
                why = kc_asprintf("strconv.ParseFloat: parsing \"%s\": invalid syntax", value);
                return invalid(f, value, why, err);
        case KC_FLAG_DURATION:
                if (kc_duration_parse(value, f->value) == 0)
                        return 0;
                why = kc_asprintf("time: invalid duration \"%s\"", value);
                return invalid(f, value, why, err);
        case KC_FLAG_STRV:
        case KC_FLAG_ARRAY:
        case KC_FLAG_MAP:
                return set_list(f, value, first, err);
        case KC_FLAG_IGNORED:
                return 0;
        }
        return 0;
}

/* --- the command line */

struct parser {
        const struct kc_flag *flags;
        size_t n;
        int argc;
        char *const *argv;
        int at;
        struct kc_error *err;
};

/* '_' is taken for '-', as upstream's WordSepNormalizeFunc does. */
static bool name_matches(const char *flag, const char *given, size_t len)
{
        if (strlen(flag) != len)
                return false;
        for (size_t i = 0; i < len; i++)
                if (flag[i] != (given[i] == '_' ? '-' : given[i]) && flag[i] != given[i])
                        return false;
        return true;
}

static const struct kc_flag *find_long(const struct parser *p, const char *name, size_t len)
{
        for (size_t i = 0; i < p->n; i++)
                if (name_matches(p->flags[i].name, name, len))
                        return &p->flags[i];
        return NULL;
}

static const struct kc_flag *find_short(const struct parser *p, char c)
{
        for (size_t i = 0; i < p->n; i++)
                if (p->flags[i].short_name == c)
                        return &p->flags[i];
        return NULL;
}

/* Levenshtein distance of short words; large for long ones. */
static int distance(const char *a, const char *b)
{
        enum { MAX_LEN = 64 };
        size_t la = strlen(a), lb = strlen(b);
        if (la >= MAX_LEN || lb >= MAX_LEN)
                return MAX_LEN;
        int row[MAX_LEN + 1];
        for (size_t j = 0; j <= lb; j++)
                row[j] = (int)j;
        for (size_t i = 1; i <= la; i++) {
                int diagonal = row[0];
                row[0] = (int)i;
                for (size_t j = 1; j <= lb; j++) {
                        int up = row[j];
                        int best = KC_MIN(up, row[j - 1]) + 1;
                        row[j] = KC_MIN(best, diagonal + (a[i - 1] != b[j - 1]));
                        diagonal = up;
                }
        }
        return row[lb];
}

static int unknown_flag(const struct parser *p, const char *name, size_t len)
{
        KC_CLEANUP(kc_freep) char *given = kc_strndup(name, len);
        const char *near = NULL;
        int best = MAX_NEAR_DISTANCE + 1;
        for (size_t i = 0; i < p->n; i++) {
                int d = distance(given, p->flags[i].name);
                if (d < best) {
                        best = d;
                        near = p->flags[i].name;
                }
        }
        /* A near miss of a two-letter word is no miss but another word. */
        if (near && (size_t)best < len)
                return kc_error_set(p->err, EINVAL, "unknown flag: --%s (did you mean --%s?)", given, near);
        return kc_error_set(p->err, EINVAL, "unknown flag: --%s", given);
}

static int apply(struct parser *p, const struct kc_flag *f, const char *value)
{
        int r = set_value(f, value, !kc_flags_given(p->flags, f->name), p->err);
        if (r == 0)
                mark_given(p->flags, f->name);
        return r;
}

static int parse_long(struct parser *p, const char *arg)
{
        const char *eq = strchr(arg, '=');
        size_t len = eq ? (size_t)(eq - arg) : strlen(arg);
        if (len == 0 || arg[0] == '-')
                return kc_error_set(p->err, EINVAL, "bad flag syntax: --%s", arg);
        const struct kc_flag *f = find_long(p, arg, len);
        if (!f)
                return unknown_flag(p, arg, len);
        if (eq)
                return apply(p, f, eq + 1);
        if (f->kind == KC_FLAG_BOOL)
                return apply(p, f, "true");
        if (p->at + 1 >= p->argc)
                return kc_error_set(p->err, EINVAL, "flag needs an argument: --%s", f->name);
        return apply(p, f, p->argv[++p->at]);
}

/* -abc, -v2, -v=2, -v 2. */
static int parse_short(struct parser *p, const char *arg)
{
        for (const char *c = arg; *c; c++) {
                const struct kc_flag *f = find_short(p, *c);
                if (!f)
                        return kc_error_set(p->err, EINVAL, "unknown shorthand flag: '%c' in -%s", *c, arg);
                if (c[1] == '=')
                        return apply(p, f, c + 2);
                if (f->kind == KC_FLAG_BOOL) {
                        int r = apply(p, f, "true");
                        if (r < 0)
                                return r;
                        continue;
                }
                if (c[1])
                        return apply(p, f, c + 1);
                if (p->at + 1 >= p->argc)
                        return kc_error_set(p->err, EINVAL, "flag needs an argument: '%c' in -%s", *c, arg);
                return apply(p, f, p->argv[++p->at]);
        }
        return 0;
}

int kc_flags_parse(
    const struct kc_flag *flags, size_t n, int argc, char *const *argv, char ***ret_args, struct kc_error *err)
{
        struct parser p = {.flags = flags, .n = n, .argc = argc, .argv = argv, .at = 1, .err = err};
        KC_CLEANUP(kc_strv_freep) char **args = NULL;
        bool only_args = false;
        forget_given(flags);
        for (; p.at < argc; p.at++) {
                const char *arg = argv[p.at];
                int r = 0;
                if (only_args || arg[0] != '-' || arg[1] == '\0') {
                        if (!ret_args)
                                return kc_error_set(err, EINVAL, "unexpected argument \"%s\"", arg);
                        kc_strv_push(&args, arg);
                } else if (arg[1] != '-') {
                        r = parse_short(&p, arg + 1);
                } else if (arg[2] == '\0') {
                        only_args = true;
                } else {
                        r = parse_long(&p, arg + 2);
                }
                if (r < 0)
                        return r;
        }
        if (ret_args)
                *ret_args = KC_TAKE(args);
        return 0;
}
