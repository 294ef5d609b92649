/* Field selectors: fields.ParseSelector of apimachinery. Pure functions: any thread. */
#include <string.h>

#include "api/selector.h"
#include "api/status.h"
#include "base/mem.h"
#include "base/str.h"

enum { MAX_TERMS = 256 };

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
        if (!s)
                return;
        for (size_t i = 0; i < s->n; i++) {
                kc_free(s->v[i].field);
                kc_free(s->v[i].value);
        }
        kc_free(s->v);
        kc_free(s);
}

/* A backslash hides the character after it. */
static size_t escaped_len(const char *s)
{
        return *s == '\\' && s[1] ? 2 : 1;
}

/* Up to the next comma that is not escaped. Heap. */
static char *next_term(const char **at)
{
        const char *start = *at, *p = start;
        while (*p && *p != ',')
                p += escaped_len(p);
        *at = *p ? p + 1 : p;
        return kc_strndup(start, (size_t)(p - start));
}

/* NULL with the reason in err. Heap. */
static char *unescape(const char *s, struct kc_error *err)
{
        struct kc_buf b = KC_BUF_INIT;
        for (const char *p = s; *p; p++) {
                if (*p == '\\') {
                        p++;
                        if (!*p) {
                                (void)kc_err_bad_request(err, "invalid field selector: invalid escape sequence: \\");
                                goto fail;
                        }
                        if (*p != '\\' && *p != ',' && *p != '=') {
                                (void)kc_err_bad_request(
                                    err, "invalid field selector: invalid escape sequence: \\%c", *p);
                                goto fail;
                        }
                } else if (*p == ',' || *p == '=') {
                        (void)kc_err_bad_request(err, "invalid field selector: unescaped character: %c", *p);
                        goto fail;
                }
                kc_buf_addc(&b, *p);
        }
        return kc_buf_take_str(&b);
fail:
        kc_buf_done(&b);
        return NULL;
}

/* Length of the operator at p: "!=", "==" or "="; 0: none. */
static size_t operator_at(const char *p)
{
        if (p[0] == '!' && p[1] == '=')
                return 2;
        return p[0] == '=' ? p[1] == '=' ? 2 : 1 : 0;
}

static int add_term(struct kc_field_selector *s, const char *selector, const char *text, struct kc_error *err)
{
        const char *op = text;
        while (*op && !operator_at(op))
                op += escaped_len(op);
        if (!*op || s->n == MAX_TERMS)
                return kc_err_bad_request(err, "invalid selector: '%s'; can't understand '%s'", selector, text);
        char *value = unescape(op + operator_at(op), err);
        if (!value)
                return err ? -err->errnum : kc_err_bad_request(NULL, "invalid field selector");
        s->v = kc_reallocarray(s->v, s->n + 1, sizeof(*s->v));
        s->v[s->n++] =
            (struct term){.field = kc_strndup(text, (size_t)(op - text)), .value = value, .negated = *op == '!'};
        return 0;
}

int kc_field_selector_parse(const char *text, struct kc_field_selector **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_field_selector_freep) struct kc_field_selector *s = KC_NEW(struct kc_field_selector);
        if (!text)
                text = "";
        for (const char *at = text; *at;) {
                KC_CLEANUP(kc_freep) char *term = next_term(&at);
                int r = *term ? add_term(s, text, term, err) : 0;
                if (r < 0)
                        return r;
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
        for (size_t i = 0; i < s->n; i++) {
                if (!s->v[i].negated && strcmp(s->v[i].field, field) == 0)
                        return s->v[i].value;
        }
        return NULL;
}
