/* Label selectors: parsing as labels.Parse, matching, canonical text. Field selectors are in field_selector.c. */
#include "api/selector.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "api/status.h"
#include "api/validation.h"
#include "base/str.h"

enum { MAX_REQUIREMENTS = 1000, MAX_VALUES = 10000 };

enum op { OP_IN, OP_NOT_IN, OP_EXISTS, OP_NOT_EXISTS, OP_GT, OP_LT, OP_EQ, OP_NE };

struct requirement {
        char *key;
        enum op op;
        char **values; /* sorted */
};

struct kc_selector {
        struct requirement *v;
        size_t n;
        bool nothing;
};

struct parser {
        const char *s, *at;
        struct kc_error *err;
};

static void add(struct kc_selector *s, char *take_key, enum op op, char **take_values)
{
        s->v = kc_reallocarray(s->v, s->n + 1, sizeof(*s->v));
        s->v[s->n++] = (struct requirement){.key = take_key, .op = op, .values = take_values};
        kc_strv_sort(take_values);
}

void kc_selector_free(struct kc_selector *s)
{
        for (size_t i = 0; i < s->n; i++) {
                kc_free(s->v[i].key);
                kc_strv_free(s->v[i].values);
        }
        kc_free(s->v);
        kc_free(s);
}

static void skip_space(struct parser *p)
{
        while (*p->at == ' ' || *p->at == '\t' || *p->at == '\r' || *p->at == '\n')
                p->at++;
}

static bool is_special(char c)
{
        return c == '=' || c == '!' || c == '(' || c == ')' || c == ',' || c == '>' || c == '<';
}

/* The next token: an operator sign or a run of other characters. "" at the end. */
static char *token(struct parser *p)
{
        const char *start;

        skip_space(p);
        start = p->at;
        if (strchr("(),", *p->at) && *p->at) {
                p->at++;
        } else if (*p->at == '=' || *p->at == '!' || *p->at == '>' || *p->at == '<') {
                char first = *p->at++;
                if (*p->at == '=' && (first == '=' || first == '!'))
                        p->at++;
        } else {
                while (*p->at && !is_special(*p->at) && !isspace((unsigned char)*p->at))
                        p->at++;
        }
        return kc_strndup(start, (size_t)(p->at - start));
}

static char *peek(struct parser *p)
{
        const char *save = p->at;
        char *t = token(p);
        p->at = save;
        return t;
}

static int bad(struct parser *p, const char *found, const char *expected)
{
        return kc_err_bad_request(p->err, "unable to parse requirement: found '%s', expected: %s", found, expected);
}

static int parse_values(struct parser *p, char ***ret)
{
        KC_CLEANUP(kc_freep) char *open = token(p);

        if (strcmp(open, "(") != 0)
                return bad(p, open, "'('");
        for (;;) {
                KC_CLEANUP(kc_freep) char *t = token(p);
                if (strcmp(t, ")") == 0 || strcmp(t, ",") == 0) {
                        /* "in (,a)" and "in ()" hold an empty value. */
                        kc_strv_push(ret, "");
                        if (*t == ')')
                                return 0;
                        continue;
                }
                if (!*t || is_special(*t))
                        return bad(p, t, "',', or identifier");
                kc_strv_push(ret, t);
                if (kc_strv_len(*ret) > MAX_VALUES)
                        return kc_err_bad_request(p->err, "unable to parse requirement: too many values");
                KC_CLEANUP(kc_freep) char *sep = token(p);
                if (strcmp(sep, ")") == 0)
                        return 0;
                if (strcmp(sep, ",") != 0)
                        return bad(p, sep, "',' or ')'");
        }
}

static int check_key(struct parser *p, const char *key)
{
        const char *why = kc_validate_qualified_name(key);
        if (why)
                return kc_err_bad_request(
                    p->err, "unable to parse requirement: <nil>: Invalid value: \"%s\": %s", key, why);
        return 0;
}

static int check_values(struct parser *p, const char *key, enum op op, char *const *values)
{
        for (size_t i = 0; values && values[i]; i++) {
                const char *why = kc_validate_label_value(values[i]);
                int64_t n;
                if (why)
                        return kc_err_bad_request(p->err,
                            "unable to parse requirement: values[%zu][%s]: Invalid value: \"%s\": %s", i, key,
                            values[i], why);
                if ((op == OP_GT || op == OP_LT) && kc_str_to_i64(values[i], &n) < 0)
                        return kc_err_bad_request(p->err,
                            "unable to parse requirement: values[0]: Invalid value: \"%s\": for 'Gt', 'Lt' operators, "
                            "the "
                            "value must be an integer",
                            values[i]);
        }
        return 0;
}

static const struct {
        const char *text;
        enum op op;
} operators[] = {
    {"=", OP_EQ}, {"==", OP_EQ}, {"!=", OP_NE}, {"in", OP_IN}, {"notin", OP_NOT_IN}, {">", OP_GT}, {"<", OP_LT}};

/* The value after = != > <, which may be empty. */
static char *exact_value(struct parser *p)
{
        KC_CLEANUP(kc_freep) char *next = peek(p);
        return !*next || strcmp(next, ",") == 0 ? kc_strdup("") : token(p);
}

static int parse_operator(struct parser *p, const char *key, enum op *ret_op, char ***ret_values)
{
        KC_CLEANUP(kc_freep) char *t = token(p);

        for (size_t i = 0; i < KC_ARRAY_LEN(operators); i++) {
                if (strcmp(t, operators[i].text) != 0)
                        continue;
                *ret_op = operators[i].op;
                int rc = 0;
                if (*ret_op == OP_IN || *ret_op == OP_NOT_IN) {
                        rc = parse_values(p, ret_values);
                } else {
                        char *v = exact_value(p);
                        if (*v && is_special(*v)) {
                                rc = bad(p, v, "identifier");
                                kc_free(v);
                        } else {
                                kc_strv_push_take(ret_values, v);
                        }
                }
                return rc < 0 ? rc : check_values(p, key, *ret_op, *ret_values);
        }
        return bad(p, t, "in, notin, =, ==, !=, gt, lt");
}

static int parse_one(struct parser *p, struct kc_selector *s)
{
        KC_CLEANUP(kc_freep) char *key = token(p);
        KC_CLEANUP(kc_strv_freep) char **values = NULL;
        bool negated = strcmp(key, "!") == 0;
        enum op op = negated ? OP_NOT_EXISTS : OP_EXISTS;
        int rc;

        if (negated) {
                kc_free(key);
                key = token(p);
        }
        if (!*key || is_special(*key))
                return bad(p, key, "identifier");
        rc = check_key(p, key);
        if (rc < 0)
                return rc;
        KC_CLEANUP(kc_freep) char *next = peek(p);
        if (!negated && *next && strcmp(next, ",") != 0) {
                rc = parse_operator(p, key, &op, &values);
                if (rc < 0)
                        return rc;
        }
        add(s, KC_TAKE(key), op, KC_TAKE(values));
        return 0;
}

int kc_selector_parse(const char *text, struct kc_selector **ret, struct kc_error *err)
{
        struct parser p = {.s = text ? text : "", .at = text ? text : "", .err = err};
        KC_CLEANUP(kc_selector_freep) struct kc_selector *s = KC_NEW(struct kc_selector);

        skip_space(&p);
        while (*p.at) {
                int rc = parse_one(&p, s);
                if (rc < 0)
                        return rc;
                if (s->n > MAX_REQUIREMENTS)
                        return kc_err_bad_request(err, "unable to parse requirement: too many requirements");
                KC_CLEANUP(kc_freep) char *sep = token(&p);
                if (!*sep)
                        break;
                if (strcmp(sep, ",") != 0)
                        return bad(&p, sep, "',' or 'end of string'");
                KC_CLEANUP(kc_freep) char *next = peek(&p);
                if (!*next)
                        return bad(&p, "", "identifier after ','");
        }
        *ret = KC_TAKE(s);
        return 0;
}

static int add_expression(struct kc_selector *s, const struct json_object *e, struct kc_error *err)
{
        static const struct {
                const char *text;
                enum op op;
        } ops[] = {{"In", OP_IN}, {"NotIn", OP_NOT_IN}, {"Exists", OP_EXISTS}, {"DoesNotExist", OP_NOT_EXISTS}};
        const char *key = kc_json_str(e, "key"), *op = kc_json_str(e, "operator");
        const struct json_object *list = kc_json_get(e, "values");

        for (size_t i = 0; i < KC_ARRAY_LEN(ops); i++) {
                char **values = NULL;
                if (!key || !kc_streq(op, ops[i].text))
                        continue;
                for (size_t j = 0; j < kc_json_len(list); j++)
                        if (kc_json_as_str(kc_json_idx(list, j)))
                                kc_strv_push(&values, kc_json_as_str(kc_json_idx(list, j)));
                add(s, kc_strdup(key), ops[i].op, values);
                return 0;
        }
        return kc_err_bad_request(err, "\"%s\" is not a valid label selector operator", op ? op : "");
}

int kc_selector_from_label_selector(const struct json_object *sel, struct kc_selector **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_selector_freep) struct kc_selector *s = kc_selector_from_map(kc_json_get(sel, "matchLabels"));
        const struct json_object *exprs = kc_json_get(sel, "matchExpressions");

        s->nothing = sel == NULL;
        for (size_t i = 0; i < kc_json_len(exprs); i++) {
                int rc = add_expression(s, kc_json_idx(exprs, i), err);
                if (rc < 0)
                        return rc;
        }
        *ret = KC_TAKE(s);
        return 0;
}

struct kc_selector *kc_selector_from_map(const struct json_object *map)
{
        struct kc_selector *s = KC_NEW(struct kc_selector);
        KC_JSON_FOREACH(map, key, value)
        {
                char **values = NULL;
                kc_strv_push(&values, kc_json_as_str(value) ? kc_json_as_str(value) : "");
                add(s, kc_strdup(key), OP_EQ, values);
        }
        return s;
}

static bool requirement_matches(const struct requirement *r, const struct json_object *labels)
{
        const char *v = kc_json_str(labels, r->key);
        int64_t have, want;

        switch (r->op) {
        case OP_IN:
        case OP_EQ:
                return v && kc_strv_has(r->values, v);
        case OP_NOT_IN:
        case OP_NE:
                return !v || !kc_strv_has(r->values, v);
        case OP_EXISTS:
                return v != NULL;
        case OP_NOT_EXISTS:
                return v == NULL;
        case OP_GT:
        case OP_LT:
                if (!v || kc_str_to_i64(v, &have) < 0 || kc_str_to_i64(r->values[0], &want) < 0)
                        return false;
                return r->op == OP_GT ? have > want : have < want;
        }
        return false;
}

bool kc_selector_matches(const struct kc_selector *s, const struct json_object *labels)
{
        if (s->nothing)
                return false;
        for (size_t i = 0; i < s->n; i++)
                if (!requirement_matches(&s->v[i], labels))
                        return false;
        return true;
}

bool kc_selector_is_everything(const struct kc_selector *s)
{
        return !s->nothing && s->n == 0;
}

static char *requirement_text(const struct requirement *r)
{
        KC_CLEANUP(kc_freep) char *list = kc_strv_join(r->values, ",");

        switch (r->op) {
        case OP_EXISTS:
                return kc_strdup(r->key);
        case OP_NOT_EXISTS:
                return kc_asprintf("!%s", r->key);
        case OP_EQ:
                return kc_asprintf("%s=%s", r->key, list);
        case OP_NE:
                return kc_asprintf("%s!=%s", r->key, list);
        case OP_GT:
                return kc_asprintf("%s>%s", r->key, list);
        case OP_LT:
                return kc_asprintf("%s<%s", r->key, list);
        case OP_IN:
                return kc_asprintf("%s in (%s)", r->key, list);
        case OP_NOT_IN:
                return kc_asprintf("%s notin (%s)", r->key, list);
        }
        return kc_strdup("");
}

char *kc_selector_format(const struct kc_selector *s)
{
        KC_CLEANUP(kc_strv_freep) char **parts = NULL;

        if (s->nothing)
                return kc_strdup("<none>");
        for (size_t i = 0; i < s->n; i++)
                kc_strv_push_take(&parts, requirement_text(&s->v[i]));
        kc_strv_sort(parts);
        return kc_strv_join(parts, ",");
}
