/* Field selectors: fields.ParseSelector. Pure functions. */
#include <errno.h>
#include <string.h>

#include "api/selector.h"
#include "api/status.h"
#include "base/str.h"

enum { MAX_TERMS = 100 };

struct term {
        char *field, *value;
        bool negated;
};

struct kc_field_selector {
        struct term *v;
        size_t n;
};

void kc_field_selector_free(struct kc_field_selector *s)
{
        for (size_t i = 0; i < s->n; i++) {
                kc_free(s->v[i].field);
                kc_free(s->v[i].value);
        }
        kc_free(s->v);
        kc_free(s);
}

/* Up to the next comma that is not escaped; NULL at the end. */
static char *next_term(const char **at)
{
        const char *start = *at, *p = start;

        if (!*p)
                return NULL;
        while (*p && *p != ',')
                p += *p == '\\' && p[1] ? 2 : 1;
        *at = *p ? p + 1 : p;
        return kc_strndup(start, (size_t)(p - start));
}

static int unescape(const char *s, char **ret)
{
        struct kc_buf b = KC_BUF_INIT;

        for (; *s; s++) {
                if (*s == '\\') {
                        s++;
                        if (*s != '\\' && *s != ',' && *s != '=') {
                                kc_buf_done(&b);
                                return -EINVAL;
                        }
                } else if (*s == '=' || *s == ',') {
                        kc_buf_done(&b);
                        return -EINVAL;
                }
                kc_buf_addc(&b, *s);
        }
        *ret = kc_buf_take_str(&b);
        return 0;
}

static int add_term(struct kc_field_selector *s, char *text)
{
        bool negated = false;
        size_t op_len = 1;
        char *op = NULL, *value;

        for (char *p = text; *p && !op; p++)
                if (*p == '=' || (*p == '!' && p[1] == '='))
                        op = p;
        if (!op)
                return -EINVAL;
        negated = *op == '!';
        if (negated || op[1] == '=')
                op_len = 2;
        if (unescape(op + op_len, &value) < 0)
                return -EINVAL;
        s->v = kc_reallocarray(s->v, s->n + 1, sizeof(*s->v));
        s->v[s->n++] =
            (struct term){.field = kc_strndup(text, (size_t)(op - text)), .value = value, .negated = negated};
        return 0;
}

int kc_field_selector_parse(const char *text, struct kc_field_selector **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_field_selector_freep) struct kc_field_selector *s = KC_NEW(struct kc_field_selector);
        const char *at = text ? text : "";
        char *term;

        while ((term = next_term(&at))) {
                KC_CLEANUP(kc_freep) char *owned = term;
                if (!*term)
                        continue;
                if (s->n >= MAX_TERMS || add_term(s, term) < 0)
                        return kc_err_bad_request(err, "invalid selector: '%s'; can't understand '%s'", text, owned);
        }
        *ret = KC_TAKE(s);
        return 0;
}

bool kc_field_selector_matches(
    const struct kc_field_selector *s, const char *(*get)(const char *field, void *arg), void *arg)
{
        for (size_t i = 0; i < s->n; i++) {
                const char *v = get(s->v[i].field, arg);
                if ((strcmp(v ? v : "", s->v[i].value) == 0) == s->v[i].negated)
                        return false;
        }
        return true;
}

size_t kc_field_selector_len(const struct kc_field_selector *s)
{
        return s->n;
}

void kc_field_selector_at(
    const struct kc_field_selector *s, size_t i, const char **ret_field, bool *ret_negated, const char **ret_value)
{
        *ret_field = s->v[i].field;
        *ret_negated = s->v[i].negated;
        *ret_value = s->v[i].value;
}

const char *kc_field_selector_requires(const struct kc_field_selector *s, const char *field)
{
        for (size_t i = 0; i < s->n; i++)
                if (!s->v[i].negated && strcmp(s->v[i].field, field) == 0)
                        return s->v[i].value;
        return NULL;
}
