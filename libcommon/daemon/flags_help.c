/* The text of --help: every flag with its type and default, by section. Main thread. */
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "daemon/flags.h"

enum { HELP_COLUMN_MAX = 44 };

static const char *type_name(enum kc_flag_kind kind)
{
        static const char *const names[] = {[KC_FLAG_STRING] = "string",
            [KC_FLAG_BOOL] = "",
            [KC_FLAG_INT] = "int",
            [KC_FLAG_INT64] = "int",
            [KC_FLAG_DOUBLE] = "float",
            [KC_FLAG_DURATION] = "duration",
            [KC_FLAG_STRV] = "strings",
            [KC_FLAG_ARRAY] = "stringArray",
            [KC_FLAG_MAP] = "mapStringString",
            [KC_FLAG_IGNORED] = "string"};
        return names[kind];
}

/* " (default x)"; nothing for zero values, as pflag. */
static void add_default(struct kc_buf *out, const struct kc_flag *f)
{
        char text[KC_TIME_LEN];
        switch (f->kind) {
        case KC_FLAG_STRING:
                if (!kc_str_empty(*(char **)f->value))
                        kc_buf_addf(out, " (default \"%s\")", *(char **)f->value);
                return;
        case KC_FLAG_BOOL:
                if (*(bool *)f->value)
                        kc_buf_adds(out, " (default true)");
                return;
        case KC_FLAG_INT:
                if (*(int *)f->value)
                        kc_buf_addf(out, " (default %d)", *(int *)f->value);
                return;
        case KC_FLAG_INT64:
                if (*(int64_t *)f->value)
                        kc_buf_addf(out, " (default %" PRId64 ")", *(int64_t *)f->value);
                return;
        case KC_FLAG_DOUBLE:
                if (*(double *)f->value != 0)
                        kc_buf_addf(out, " (default %g)", *(double *)f->value);
                return;
        case KC_FLAG_DURATION:
                if (*(int64_t *)f->value)
                        kc_buf_addf(out, " (default %s)", kc_duration_format(*(int64_t *)f->value, text));
                return;
        case KC_FLAG_STRV:
        case KC_FLAG_ARRAY:
        case KC_FLAG_MAP:
                if (kc_strv_len(*(char ***)f->value) > 0) {
                        KC_CLEANUP(kc_freep) char *joined = kc_strv_join(*(char ***)f->value, ",");
                        kc_buf_addf(out, " (default [%s])", joined);
                }
                return;
        case KC_FLAG_IGNORED:
                kc_buf_adds(out, " (accepted for compatibility; has no effect)");
                return;
        }
}

/* "  -v, --v int" */
static char *left_column(const struct kc_flag *f)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        if (f->short_name)
                kc_buf_addf(&b, "  -%c, --%s", f->short_name, f->name);
        else
                kc_buf_addf(&b, "      --%s", f->name);
        if (*type_name(f->kind))
                kc_buf_addf(&b, " %s", type_name(f->kind));
        return kc_buf_take_str(&b);
}

static const char *section_of(const struct kc_flag *f)
{
        return f->section ? f->section : "Global";
}

static void add_section(struct kc_buf *out, const char *section, const struct kc_flag *flags, size_t n)
{
        size_t width = 0;
        for (size_t i = 0; i < n; i++) {
                KC_CLEANUP(kc_freep) char *left = left_column(&flags[i]);
                if (kc_streq(section_of(&flags[i]), section) && strlen(left) <= HELP_COLUMN_MAX)
                        width = KC_MAX(width, strlen(left));
        }
        kc_buf_addf(out, "\n%s flags:\n\n", section);
        for (size_t i = 0; i < n; i++) {
                if (!kc_streq(section_of(&flags[i]), section))
                        continue;
                KC_CLEANUP(kc_freep) char *left = left_column(&flags[i]);
                if (strlen(left) > width)
                        kc_buf_addf(out, "%s\n%*s", left, (int)width, "");
                else
                        kc_buf_addf(out, "%-*s", (int)width, left);
                kc_buf_addf(out, "   %s", flags[i].help ? flags[i].help : "");
                add_default(out, &flags[i]);
                kc_buf_addc(out, '\n');
        }
}

void kc_flags_help(struct kc_buf *out, const char *program, const char *summary, const struct kc_flag *flags, size_t n)
{
        if (summary)
                kc_buf_addf(out, "%s\n\n", summary);
        kc_buf_addf(out, "Usage:\n  %s [flags]\n", program);
        KC_CLEANUP(kc_strv_freep) char **done = NULL;
        for (size_t i = 0; i < n; i++) {
                if (kc_strv_has(done, section_of(&flags[i])))
                        continue;
                kc_strv_push(&done, section_of(&flags[i]));
                add_section(out, section_of(&flags[i]), flags, n);
        }
}
