/* Tokens as nodes. Pure. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/template/internal.h"

enum { MAX_TEMPLATE = 64 << 10, MAX_DEPTH = 64 };

struct parser {
        struct kc_template *t;
        struct kc_tokens tokens;
        size_t at;
        char **variables; /* strv, in scope */
        int depth, loops;
        struct kc_error *err;
};

/* --- freeing */

static void nodes_done(struct kc_nodes *l)
{
        for (size_t i = 0; i < l->n; i++) {
                kc_free(l->v[i].text);
                kc_pipe_free(l->v[i].pipe);
                nodes_done(&l->v[i].body);
                nodes_done(&l->v[i].otherwise);
        }
        kc_free(l->v);
        *l = (struct kc_nodes){0};
}

static void operand_done(struct kc_operand *o)
{
        kc_free(o->name);
        kc_free(o->text);
        kc_strv_free(o->fields);
        kc_pipe_free(o->pipe);
}

void kc_pipe_free(struct kc_pipe *p)
{
        if (!p)
                return;
        for (size_t i = 0; i < p->n; i++) {
                for (size_t j = 0; j < p->calls[i].n; j++)
                        operand_done(&p->calls[i].args[j]);
                kc_free(p->calls[i].args);
        }
        kc_free(p->calls);
        kc_strv_free(p->variables);
        kc_free(p);
}

void kc_template_free(struct kc_template *t)
{
        if (!t)
                return;
        nodes_done(&t->body);
        for (size_t i = 0; i < t->n_definitions; i++) {
                kc_free(t->definitions[i].name);
                nodes_done(&t->definitions[i].body);
        }
        kc_free(t->definitions);
        kc_free(t->name);
        kc_free(t->source);
        kc_free(t);
}

/* --- tokens */

static const struct kc_token *peek(struct parser *p)
{
        return &p->tokens.v[p->at];
}

static const struct kc_token *next(struct parser *p)
{
        const struct kc_token *t = peek(p);
        if (t->kind != KC_TOK_END)
                p->at++;
        return t;
}

static void skip_space(struct parser *p)
{
        while (peek(p)->kind == KC_TOK_SPACE)
                p->at++;
}

static bool token_is(const struct parser *p, const struct kc_token *t, const char *text)
{
        return t->len == strlen(text) && strncmp(p->t->source + t->at, text, t->len) == 0;
}

static char *text_of(const struct parser *p, const struct kc_token *t, size_t skip)
{
        return kc_strndup(p->t->source + t->at + skip, t->len - skip);
}

static int fail(struct parser *p, const char *fmt, ...) KC_PRINTF(2, 3);
static int fail(struct parser *p, const char *fmt, ...)
{
        va_list ap;
        va_start(ap, fmt);
        KC_CLEANUP(kc_freep) char *message = kc_vasprintf(fmt, ap);
        va_end(ap);
        return kc_error_set(p->err, EINVAL, "template: %s:%zu: %s", p->t->name, peek(p)->line, message);
}

static int unexpected(struct parser *p, const struct kc_token *t, const char *context)
{
        if (t->kind == KC_TOK_END)
                return fail(p, "unexpected EOF");
        KC_CLEANUP(kc_freep) char *text = text_of(p, t, 0);
        if (t->kind == KC_TOK_WORD && (kc_streq(text, "end") || kc_streq(text, "else")))
                return fail(p, "unexpected {{%s}}", text);
        return fail(p, t->kind == KC_TOK_STRING ? "unexpected %s in %s" : "unexpected \"%s\" in %s", text, context);
}

/* --- operands and pipes */

static int parse_pipe(struct parser *p, const char *context, struct kc_pipe **ret);

static int parse_number(struct parser *p, const struct kc_token *t, struct kc_value *ret)
{
        KC_CLEANUP(kc_freep) char *text = text_of(p, t, 0);
        char *end = NULL;
        errno = 0;
        long long i = strtoll(text, &end, 0);
        if (*end == '\0' && errno == 0) {
                *ret = (struct kc_value){.kind = KC_VAL_INT, .i = i};
                return 0;
        }
        double f = strtod(text, &end);
        if (*end)
                return fail(p, "bad number syntax: \"%s\"", text);
        *ret = (struct kc_value){.kind = KC_VAL_FLOAT, .f = f};
        return 0;
}

static int parse_word(struct parser *p, const struct kc_token *t, struct kc_operand *o)
{
        KC_CLEANUP(kc_freep) char *word = text_of(p, t, 0);
        o->kind = KC_OP_VALUE;
        if (kc_streq(word, "true") || kc_streq(word, "false")) {
                o->value = (struct kc_value){.kind = KC_VAL_BOOL, .b = word[0] == 't'};
        } else if (!kc_streq(word, "nil")) {
                if (!kc_template_find_function(word))
                        return fail(p, "function \"%s\" not defined", word);
                o->kind = KC_OP_FUNCTION;
                o->name = KC_TAKE(word);
        }
        return 0;
}

static int parse_term(struct parser *p, const struct kc_token *t, struct kc_operand *o)
{
        switch (t->kind) {
        case KC_TOK_DOT:
                o->kind = KC_OP_DOT;
                return 0;
        case KC_TOK_FIELD:
                o->kind = KC_OP_FIELD;
                kc_strv_push_take(&o->fields, text_of(p, t, 1));
                return 0;
        case KC_TOK_VARIABLE:
                o->kind = KC_OP_VARIABLE;
                o->name = text_of(p, t, 0);
                return kc_strv_has(p->variables, o->name) ? 0 : fail(p, "undefined variable \"%s\"", o->name);
        case KC_TOK_STRING:
                o->kind = KC_OP_VALUE;
                o->text = kc_strdup(t->text);
                o->value = kc_value_str(o->text);
                return 0;
        case KC_TOK_NUMBER:
                o->kind = KC_OP_VALUE;
                return parse_number(p, t, &o->value);
        case KC_TOK_WORD:
                return parse_word(p, t, o);
        default: {
                if (!token_is(p, t, "("))
                        return unexpected(p, t, "operand");
                o->kind = KC_OP_PIPE;
                int e = parse_pipe(p, "parenthesized pipeline", &o->pipe);
                return e;
        }
        }
}

static int parse_operand(struct parser *p, struct kc_call *call)
{
        const struct kc_token *t = next(p);
        call->args = kc_reallocarray(call->args, call->n + 1, sizeof(*call->args));
        struct kc_operand *o = &call->args[call->n++];
        *o = (struct kc_operand){.at = t->at, .error_at = t->at, .end = t->at + t->len};
        int e = parse_term(p, t, o);
        bool chained = false;
        while (e == 0 && peek(p)->kind == KC_TOK_FIELD) {
                const struct kc_token *f = next(p);
                if (!chained && t->kind == KC_TOK_FIELD)
                        o->error_at = f->at;
                chained = true;
                kc_strv_push_take(&o->fields, text_of(p, f, 1));
                o->end = f->at + f->len;
        }
        if (o->kind == KC_OP_PIPE && !chained && e == 0)
                o->end = p->tokens.v[p->at - 1].at + 1;
        return e;
}

static bool ends_pipe(struct parser *p, bool *ret_more)
{
        const struct kc_token *t = peek(p);
        *ret_more = token_is(p, t, "|") && t->kind == KC_TOK_CHAR;
        return t->kind == KC_TOK_RIGHT || (t->kind == KC_TOK_CHAR && token_is(p, t, ")"));
}

static int parse_call(struct parser *p, struct kc_pipe *pipe, const char *context)
{
        bool more;
        pipe->calls = kc_reallocarray(pipe->calls, pipe->n + 1, sizeof(*pipe->calls));
        struct kc_call *c = &pipe->calls[pipe->n++];
        skip_space(p);
        *c = (struct kc_call){.at = peek(p)->at};
        if (ends_pipe(p, &more) || more)
                return fail(p, pipe->n > 1 || more ? "missing value for command" : "missing value for %s", context);
        while (!ends_pipe(p, &more) && !more) {
                int e = parse_operand(p, c);
                if (e < 0)
                        return e;
                c->end = c->args[c->n - 1].end;
                if (peek(p)->kind != KC_TOK_SPACE && !ends_pipe(p, &more) && !more)
                        return unexpected(p, peek(p), "operand");
                skip_space(p);
        }
        return 0;
}

/* "$x :=", "$x =", "$i, $x :=" */
static int parse_variables(struct parser *p, const char *context, struct kc_pipe *pipe)
{
        size_t start = p->at;
        char **names = NULL;
        while (peek(p)->kind == KC_TOK_VARIABLE) {
                kc_strv_push_take(&names, text_of(p, next(p), 0));
                skip_space(p);
                if (!(kc_streq(context, "range") && token_is(p, peek(p), ",")))
                        break;
                next(p);
                skip_space(p);
        }
        enum kc_token_kind kind = peek(p)->kind;
        if (!names || (kind != KC_TOK_DECLARE && kind != KC_TOK_ASSIGN)) {
                kc_strv_free(names);
                p->at = start;
                return 0;
        }
        next(p);
        pipe->variables = names;
        pipe->assigns = kind == KC_TOK_ASSIGN;
        for (char **n = names; *n; n++) {
                if (pipe->assigns && !kc_strv_has(p->variables, *n))
                        return fail(p, "undefined variable \"%s\"", *n);
        }
        return kc_strv_len(names) > 2 ? fail(p, "too many declarations in %s", context) : 0;
}

static int parse_pipe(struct parser *p, const char *context, struct kc_pipe **ret)
{
        struct kc_pipe *pipe = KC_NEW(struct kc_pipe);
        bool more;
        *ret = pipe; /* its owner frees it, whole or not */
        if (++p->depth > MAX_DEPTH)
                return fail(p, "max expression depth exceeded");
        skip_space(p);
        pipe->at = peek(p)->at;
        int e = parse_variables(p, context, pipe);
        do {
                if (e == 0)
                        e = parse_call(p, pipe, context);
                if (e < 0)
                        return e;
                (void)ends_pipe(p, &more);
                if (more)
                        next(p);
        } while (more);
        pipe->end = pipe->calls[pipe->n - 1].end;
        for (char **n = pipe->variables; n && *n && !pipe->assigns; n++)
                kc_strv_push(&p->variables, *n);
        next(p); /* }} or ) */
        p->depth--;
        return 0;
}

/* --- nodes */

static struct kc_node *push(struct kc_nodes *l, enum kc_node_kind kind, size_t at)
{
        l->v = kc_reallocarray(l->v, l->n + 1, sizeof(*l->v));
        l->v[l->n] = (struct kc_node){.kind = kind, .at = at};
        return &l->v[l->n++];
}

enum stop { STOP_END, STOP_ELSE, STOP_EOF };
static int parse_nodes(struct parser *p, struct kc_nodes *into, enum stop *ret_stop);

static int expect_right(struct parser *p, const char *context)
{
        skip_space(p);
        const struct kc_token *t = peek(p);
        if (t->kind != KC_TOK_RIGHT)
                return unexpected(p, t, context);
        next(p);
        return 0;
}

static void leave_scope(struct parser *p, size_t n)
{
        while (kc_strv_len(p->variables) > n) {
                size_t last = kc_strv_len(p->variables) - 1;
                kc_free(p->variables[last]);
                p->variables[last] = NULL;
        }
}

static int parse_control(struct parser *p, struct kc_nodes *into, enum kc_node_kind kind, const char *word);

/* Behind {{else: "if x}}", "with x}}" or "}}". */
static int parse_else(struct parser *p, struct kc_nodes *into, enum kc_node_kind kind)
{
        enum stop stop;
        skip_space(p);
        const struct kc_token *t = peek(p);
        bool is_if = t->kind == KC_TOK_WORD && token_is(p, t, "if") && kind == KC_NODE_IF,
             is_with = t->kind == KC_TOK_WORD && token_is(p, t, "with") && kind == KC_NODE_WITH;
        if (is_if || is_with) {
                next(p);
                return parse_control(p, into, kind, is_if ? "if" : "with"); /* shares the {{end}} */
        }
        int e = expect_right(p, "else");
        if (e == 0)
                e = parse_nodes(p, into, &stop);
        if (e == 0 && stop == STOP_ELSE)
                return fail(p, "expected end; found {{else}}");
        return e == 0 && stop == STOP_EOF ? fail(p, "unexpected EOF") : e;
}

static int parse_control(struct parser *p, struct kc_nodes *into, enum kc_node_kind kind, const char *word)
{
        size_t scope = kc_strv_len(p->variables);
        struct kc_node node = {.kind = kind, .at = peek(p)->at};
        enum stop stop = STOP_END;
        if (++p->depth > MAX_DEPTH)
                return fail(p, "max expression depth exceeded");
        p->loops += kind == KC_NODE_RANGE;
        int e = parse_pipe(p, word, &node.pipe);
        if (e == 0)
                e = parse_nodes(p, &node.body, &stop);
        p->loops -= kind == KC_NODE_RANGE;
        if (e == 0 && stop == STOP_ELSE)
                e = parse_else(p, &node.otherwise, kind);
        if (e == 0 && stop == STOP_EOF)
                e = fail(p, "unexpected EOF");
        leave_scope(p, scope);
        p->depth--;
        *push(into, kind, node.at) = node;
        return e;
}

static int parse_name(struct parser *p, const char *context, char **ret)
{
        skip_space(p);
        const struct kc_token *t = peek(p);
        if (t->kind != KC_TOK_STRING)
                return unexpected(p, t, context);
        *ret = kc_strdup(next(p)->text);
        skip_space(p);
        return 0;
}

static int parse_definition(struct parser *p, const char *take_name)
{
        struct kc_nodes body = {0};
        enum stop stop;
        char **outer = p->variables;
        p->variables = NULL;
        kc_strv_push(&p->variables, "$");
        int e = parse_nodes(p, &body, &stop);
        kc_strv_free(p->variables);
        p->variables = outer;
        struct kc_template *t = p->t;
        t->definitions = kc_reallocarray(t->definitions, t->n_definitions + 1, sizeof(*t->definitions));
        t->definitions[t->n_definitions++] = (struct kc_definition){kc_strdup(take_name), body};
        return e == 0 && stop != STOP_END ? fail(p, "unexpected EOF") : e;
}

/* {{template "name" pipe}}, {{block "name" pipe}}...{{end}}, {{define "name"}}...{{end}} */
static int parse_named(struct parser *p, struct kc_nodes *into, const char *word)
{
        KC_CLEANUP(kc_freep) char *name = NULL;
        int e = parse_name(p, kc_streq(word, "define") ? "define clause" : "template clause", &name);
        if (e == 0 && kc_streq(word, "define"))
                return (e = expect_right(p, "define clause")) < 0 ? e : parse_definition(p, name);
        if (e < 0)
                return e;
        struct kc_node node = {.kind = KC_NODE_TEMPLATE, .at = peek(p)->at, .text = kc_strdup(name)};
        if (peek(p)->kind == KC_TOK_RIGHT)
                next(p);
        else
                e = parse_pipe(p, word, &node.pipe);
        *push(into, KC_NODE_TEMPLATE, node.at) = node;
        return e == 0 && kc_streq(word, "block") ? parse_definition(p, name) : e;
}

static int parse_action(struct parser *p, struct kc_nodes *into, enum stop *ret_stop, bool *ret_stopped)
{
        static const struct {
                const char *word;
                enum kc_node_kind kind;
        } controls[] = {{"if", KC_NODE_IF}, {"with", KC_NODE_WITH}, {"range", KC_NODE_RANGE}},
          jumps[] = {{"break", KC_NODE_BREAK}, {"continue", KC_NODE_CONTINUE}};
        static const char *const named[] = {"template", "block", "define"};
        skip_space(p);
        const struct kc_token *t = peek(p);
        bool word = t->kind == KC_TOK_WORD;
        for (size_t i = 0; word && i < KC_ARRAY_LEN(controls); i++)
                if (token_is(p, t, controls[i].word)) {
                        next(p);
                        return parse_control(p, into, controls[i].kind, controls[i].word);
                }
        for (size_t i = 0; word && i < KC_ARRAY_LEN(jumps); i++)
                if (token_is(p, t, jumps[i].word)) {
                        if (p->loops == 0)
                                return fail(p, "{{%s}} outside {{range}}", jumps[i].word);
                        (void)push(into, jumps[i].kind, next(p)->at);
                        return expect_right(p, jumps[i].word);
                }
        for (size_t i = 0; word && i < KC_ARRAY_LEN(named); i++)
                if (token_is(p, t, named[i])) {
                        next(p);
                        return parse_named(p, into, named[i]);
                }
        if (word && (token_is(p, t, "end") || token_is(p, t, "else"))) {
                *ret_stopped = true;
                *ret_stop = token_is(p, t, "end") ? STOP_END : STOP_ELSE;
                next(p);
                return *ret_stop == STOP_END ? expect_right(p, "end") : 0;
        }
        struct kc_node *n = push(into, KC_NODE_ACTION, t->at);
        return parse_pipe(p, "command", &n->pipe);
}

static int parse_nodes(struct parser *p, struct kc_nodes *into, enum stop *ret_stop)
{
        bool stopped = false;
        while (!stopped) {
                const struct kc_token *t = next(p);
                if (t->kind == KC_TOK_END) {
                        *ret_stop = STOP_EOF;
                        return 0;
                }
                if (t->kind == KC_TOK_TEXT) {
                        push(into, KC_NODE_TEXT, t->at)->text = kc_strdup(t->text);
                        continue;
                }
                int e = parse_action(p, into, ret_stop, &stopped);
                if (e < 0)
                        return e;
        }
        return 0;
}

int kc_template_parse(const char *name, const char *text, struct kc_template **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_template_freep) struct kc_template *t = KC_NEW(struct kc_template);
        t->name = kc_strdup(name);
        t->source = kc_strdup(text);
        if (strlen(text) > MAX_TEMPLATE)
                return kc_error_set(err, EFBIG, "the template is larger than %d bytes", MAX_TEMPLATE);
        struct parser p = {.t = t, .err = err};
        enum stop stop = STOP_EOF;
        kc_strv_push(&p.variables, "$");
        int e = kc_template_lex(name, text, &p.tokens, err);
        if (e == 0)
                e = parse_nodes(&p, &t->body, &stop);
        if (e == 0 && stop != STOP_EOF)
                e = fail(&p, "unexpected {{%s}}", stop == STOP_END ? "end" : "else");
        kc_strv_free(p.variables);
        kc_tokens_done(&p.tokens);
        if (e < 0)
                return e;
        *ret = KC_TAKE(t);
        return 0;
}
