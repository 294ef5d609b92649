/* The parser of label selectors: labels.Parse of apimachinery, with its messages. Pure functions: any thread. */
#include <string.h>

#include "api/names.h"
#include "api/selector_internal.h"
#include "api/status.h"
#include "base/mem.h"
#include "base/str.h"

/* What one selector may hold; upstream has only the length of a request line. */
enum { MAX_REQUIREMENTS = 4096, MAX_VALUES = 65536 };

#define PREFIX "unable to parse requirement: "

enum token { TOKEN_END, TOKEN_WORD, TOKEN_SIGN };

struct parser {
        const char *at;
        /* The token at hand. */
        enum token token;
        char *text;
        struct kc_selector *selector;
        struct kc_error *err;
};

static bool is_space(char c)
{
        return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_special(char c)
{
        return c && strchr("=!(),><", c);
}

/* Signs are "=", "==", "!=", "!", "(", ")", ",", "<" and ">"; "in" and "notin" are words. */
static void next(struct parser *p)
{
        while (is_space(*p->at))
                p->at++;
        const char *start = p->at;
        if (!*start) {
                p->token = TOKEN_END;
        } else if (is_special(*start)) {
                p->token = TOKEN_SIGN;
                p->at += (*start == '=' || *start == '!') && start[1] == '=' ? 2 : 1;
        } else {
                p->token = TOKEN_WORD;
                while (*p->at && !is_space(*p->at) && !is_special(*p->at))
                        p->at++;
        }
        kc_free(p->text);
        p->text = kc_strndup(start, (size_t)(p->at - start));
}

static bool is_sign(const struct parser *p, const char *sign)
{
        return p->token == TOKEN_SIGN && strcmp(p->text, sign) == 0;
}

static int bad(struct parser *p, const char *expected)
{
        return kc_err_bad_request(p->err, PREFIX "found '%s'%s", p->text, expected);
}

/* "(a,,b)": a missing value is "". */
static int parse_values(struct parser *p, char ***values)
{
        if (!is_sign(p, "("))
                return bad(p, " expected: '('");
        next(p);
        if (is_sign(p, ")")) {
                kc_strv_push(values, "");
                next(p);
                return 0;
        }
        if (p->token != TOKEN_WORD && !is_sign(p, ","))
                return bad(p, ", expected: ',', ')' or identifier");
        for (size_t n = 0;; n++) {
                if (n == MAX_VALUES)
                        return kc_err_bad_request(p->err, PREFIX "more than %d values", MAX_VALUES);
                if (p->token == TOKEN_WORD) {
                        kc_strv_push(values, p->text);
                        next(p);
                        if (!is_sign(p, ",") && !is_sign(p, ")"))
                                return bad(p, ", expected: ',' or ')'");
                } else if (is_sign(p, ",") || is_sign(p, ")")) {
                        kc_strv_push(values, "");
                } else {
                        return bad(p, ", expected: ',', or identifier");
                }
                bool end = is_sign(p, ")");
                next(p);
                if (end)
                        return 0;
        }
}

static int parse_exact_value(struct parser *p, char ***values)
{
        if (p->token == TOKEN_END || is_sign(p, ",")) {
                kc_strv_push(values, "");
                return 0;
        }
        if (p->token != TOKEN_WORD)
                return bad(p, ", expected: identifier");
        kc_strv_push(values, p->text);
        next(p);
        return 0;
}

static int parse_operation(struct parser *p, const char *key)
{
        static const struct {
                const char *text;
                enum kc_selector_op op;
                bool set;
        } operators[] = {{"in", KC_SELECTOR_IN, true}, {"notin", KC_SELECTOR_NOT_IN, true},
            {"=", KC_SELECTOR_EQUALS, false}, {"==", KC_SELECTOR_DOUBLE_EQUALS, false},
            {"!=", KC_SELECTOR_NOT_EQUALS, false}, {">", KC_SELECTOR_GREATER, false}, {"<", KC_SELECTOR_LESS, false}};
        for (size_t i = 0; i < KC_ARRAY_LEN(operators); i++) {
                if (p->token == TOKEN_END || strcmp(p->text, operators[i].text) != 0)
                        continue;
                KC_CLEANUP(kc_strv_freep) char **values = NULL;
                next(p);
                int r = operators[i].set ? parse_values(p, &values) : parse_exact_value(p, &values);
                return r < 0 ? r : kc_selector_add(p->selector, key, operators[i].op, KC_TAKE(values), PREFIX, p->err);
        }
        return bad(p, ", expected: in, notin, =, ==, !=, gt, lt");
}

static int parse_requirement(struct parser *p)
{
        bool negated = is_sign(p, "!");
        if (negated)
                next(p);
        if (p->token != TOKEN_WORD)
                return bad(p, ", expected: identifier");
        KC_CLEANUP(kc_freep) char *key = KC_TAKE(p->text);
        struct kc_why why = {0};
        kc_name_label_key(key, &why);
        if (why.n) {
                KC_CLEANUP(kc_freep) char *text = kc_why_join(&why, "; ");
                struct kc_buf quoted = KC_BUF_INIT;
                kc_quote_add(&quoted, key);
                /* The path of a selector in a query is Go's nil. */
                int r = kc_err_bad_request(p->err, PREFIX "<nil>: Invalid value: %s: %s", kc_buf_str(&quoted), text);
                kc_buf_done(&quoted);
                return r;
        }
        next(p);
        if (negated || p->token == TOKEN_END || is_sign(p, ","))
                return kc_selector_add(
                    p->selector, key, negated ? KC_SELECTOR_NOT_EXISTS : KC_SELECTOR_EXISTS, NULL, PREFIX, p->err);
        return parse_operation(p, key);
}

static int parse(struct parser *p)
{
        next(p);
        if (p->token == TOKEN_END)
                return 0;
        if (p->token != TOKEN_WORD && !is_sign(p, "!"))
                return kc_err_bad_request(p->err, "found '%s', expected: !, identifier, or 'end of string'", p->text);
        for (;;) {
                int r = parse_requirement(p);
                if (r < 0)
                        return r;
                if (p->token == TOKEN_END)
                        return 0;
                if (!is_sign(p, ","))
                        return kc_err_bad_request(p->err, "found '%s', expected: ',' or 'end of string'", p->text);
                next(p);
                if (p->token != TOKEN_WORD && !is_sign(p, "!"))
                        return kc_err_bad_request(p->err, "found '%s', expected: identifier after ','", p->text);
                if (p->selector->n == MAX_REQUIREMENTS)
                        return kc_err_bad_request(p->err, "more than %d requirements", MAX_REQUIREMENTS);
        }
}

int kc_selector_parse(const char *s, struct kc_selector **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_selector_freep) struct kc_selector *selector = KC_NEW(struct kc_selector);
        struct parser p = {.at = s ? s : "", .selector = selector, .err = err};
        int r = parse(&p);
        kc_free(p.text);
        if (r < 0)
                return r;
        kc_selector_sort(selector);
        *ret = KC_TAKE(selector);
        return 0;
}
