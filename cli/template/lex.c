/* Templates as tokens. Pure. */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "cli/template/internal.h"

struct lexer {
        const char *name, *text;
        size_t at, line;
        int parens;
        struct kc_tokens *into;
        struct kc_error *err;
};

void kc_tokens_done(struct kc_tokens *l)
{
        for (size_t i = 0; i < l->n; i++)
                kc_free(l->v[i].text);
        kc_free(l->v);
        *l = (struct kc_tokens){0};
}

static void push(struct lexer *x, enum kc_token_kind kind, size_t at, size_t len, char *take_text)
{
        struct kc_tokens *l = x->into;
        if (l->n == l->cap) {
                l->cap = l->cap ? 2 * l->cap : 64;
                l->v = kc_reallocarray(l->v, l->cap, sizeof(*l->v));
        }
        l->v[l->n++] = (struct kc_token){kind, at, len, x->line, take_text};
}

static int fail(struct lexer *x, const char *fmt, const char *detail)
{
        KC_CLEANUP(kc_freep) char *message = detail ? kc_asprintf("%s: %s", fmt, detail) : kc_strdup(fmt);
        return kc_error_set(x->err, EINVAL, "template: %s:%zu: %s", x->name, x->line, message);
}

static void count_lines(struct lexer *x, size_t from, size_t to)
{
        for (size_t i = from; i < to; i++)
                x->line += x->text[i] == '\n';
}

static bool is_space(char c)
{
        return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_word(char c)
{
        return isalnum((unsigned char)c) || c == '_' || (unsigned char)c >= 0x80;
}

/* "\n" and the like of a quoted string. */
static void add_escape(struct kc_buf *b, const char **p)
{
        static const char from[] = "abfnrtv\\\"'", to[] = "\a\b\f\n\r\t\v\\\"'";
        if (!**p)
                return;
        const char *found = strchr(from, **p);
        kc_buf_addc(b, found ? to[found - from] : **p);
        (*p)++;
}

static int lex_string(struct lexer *x)
{
        const char *start = x->text + x->at, *p = start + 1;
        char quote = *start;
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        while (*p && *p != quote) {
                if (quote != '`' && *p == '\n')
                        break;
                if (quote != '`' && *p == '\\') {
                        p++;
                        add_escape(&b, &p);
                } else {
                        kc_buf_addc(&b, *p++);
                }
        }
        if (*p != quote)
                return fail(x,
                    quote == '`'   ? "unterminated raw quoted string"
                    : quote == '"' ? "unterminated quoted string"
                                   : "unterminated character constant",
                    NULL);
        push(x, KC_TOK_STRING, x->at, (size_t)(p + 1 - start), kc_buf_take_str(&b));
        count_lines(x, x->at, (size_t)(p + 1 - x->text));
        x->at = (size_t)(p + 1 - x->text);
        return 0;
}

static size_t run_of(const char *p, bool (*is)(char c))
{
        size_t n = 0;
        while (p[n] && is(p[n]))
                n++;
        return n;
}

static bool is_number(char c)
{
        return isalnum((unsigned char)c) || c == '.' || c == '_' || c == '+' || c == '-';
}

/* One token inside of an action. */
static int lex_token(struct lexer *x)
{
        const char *p = x->text + x->at;
        size_t n = 0;
        enum kc_token_kind kind = KC_TOK_CHAR;
        if (is_space(*p)) {
                n = run_of(p, is_space);
                kind = KC_TOK_SPACE;
        } else if (*p == '"' || *p == '`' || *p == '\'') {
                return lex_string(x);
        } else if (p[0] == ':' && p[1] == '=') {
                n = 2;
                kind = KC_TOK_DECLARE;
        } else if (*p == '=') {
                n = 1;
                kind = KC_TOK_ASSIGN;
        } else if (*p == '|' || *p == ',' || *p == '(' || *p == ')') {
                n = 1;
                x->parens += *p == '(' ? 1 : *p == ')' ? -1 : 0;
                if (x->parens < 0)
                        return fail(x, "unexpected right paren", NULL);
        } else if (*p == '$') {
                n = 1 + run_of(p + 1, is_word);
                kind = KC_TOK_VARIABLE;
        } else if (*p == '.' && !isdigit((unsigned char)p[1])) {
                n = 1 + run_of(p + 1, is_word);
                kind = n > 1 ? KC_TOK_FIELD : KC_TOK_DOT;
        } else if (isdigit((unsigned char)*p) || *p == '+' || *p == '-' || *p == '.') {
                n = 1 + run_of(p + 1, is_number);
                kind = KC_TOK_NUMBER;
        } else if (is_word(*p)) {
                n = run_of(p, is_word);
                kind = KC_TOK_WORD;
        } else {
                KC_CLEANUP(kc_freep)
                char *what = kc_asprintf("U+%04X '%c'", (unsigned)(unsigned char)*p, *p);
                return fail(x, "unrecognized character in action", what);
        }
        push(x, kind, x->at, n, NULL);
        count_lines(x, x->at, x->at + n);
        x->at += n;
        return 0;
}

static bool at_right(const struct lexer *x, bool *ret_trim)
{
        const char *p = x->text + x->at;
        *ret_trim = is_space(p[0]) && p[1] == '-' && p[2] == '}' && p[3] == '}';
        return *ret_trim || (p[0] == '}' && p[1] == '}');
}

static void skip_space(struct lexer *x)
{
        size_t n = run_of(x->text + x->at, is_space);
        count_lines(x, x->at, x->at + n);
        x->at += n;
}

/* 1: it was a comment, and the text goes on behind it. */
static int lex_comment(struct lexer *x)
{
        const char *p = x->text + x->at;
        if (p[0] != '/' || p[1] != '*')
                return 0;
        const char *end = strstr(p, "*/");
        if (!end)
                return fail(x, "unclosed comment", NULL);
        count_lines(x, x->at, (size_t)(end - x->text));
        x->at = (size_t)(end + 2 - x->text);
        bool trim;
        if (!at_right(x, &trim))
                return fail(x, "comment ends before closing delimiter", NULL);
        x->at += trim ? 4 : 2;
        if (trim)
                skip_space(x);
        return 1;
}

static int lex_action(struct lexer *x)
{
        size_t start = x->at;
        x->at += 2;
        if (x->text[x->at] == '-' && is_space(x->text[x->at + 1]))
                x->at += 2;
        int r = lex_comment(x);
        if (r != 0)
                return r < 0 ? r : 0;
        push(x, KC_TOK_LEFT, start, 2, NULL);
        x->parens = 0;
        for (;;) {
                bool trim;
                if (at_right(x, &trim)) {
                        if (x->parens > 0)
                                return fail(x, "unclosed left paren", NULL);
                        push(x, KC_TOK_RIGHT, x->at, trim ? 4 : 2, NULL);
                        x->at += trim ? 4 : 2;
                        if (trim)
                                skip_space(x);
                        return 0;
                }
                if (!x->text[x->at])
                        return fail(x, "unclosed action", NULL);
                r = lex_token(x);
                if (r < 0)
                        return r;
        }
}

int kc_template_lex(const char *name, const char *text, struct kc_tokens *ret, struct kc_error *err)
{
        struct lexer x = {.name = name, .text = text, .line = 1, .into = ret, .err = err};
        while (text[x.at]) {
                const char *left = strstr(text + x.at, "{{");
                size_t end = left ? (size_t)(left - text) : strlen(text), n = end - x.at;
                if (left && left[2] == '-' && is_space(left[3]))
                        while (n > 0 && is_space(text[x.at + n - 1]))
                                n--;
                if (n > 0)
                        push(&x, KC_TOK_TEXT, x.at, n, kc_strndup(text + x.at, n));
                count_lines(&x, x.at, end);
                x.at = end;
                int r = left ? lex_action(&x) : 0;
                if (r < 0)
                        return r;
        }
        push(&x, KC_TOK_END, x.at, 0, NULL);
        return 0;
}
