/* Templates at work. Pure. */
#include <errno.h>
#include <string.h>

#include "cli/template/internal.h"

enum { MAX_CALLS = 100 }; /* of templates by templates */

struct variable {
        const char *name;
        struct kc_value value;
};
struct state {
        const struct kc_template *t;
        struct kc_buf *out;
        struct kc_error *err;
        struct variable *variables;
        size_t n, cap;
        struct kc_run_strings strings;
        int calls;
        enum { GO_ON, BREAK, CONTINUE } flow;
};

/* "template: output:1:2: executing "output" at <.x>: ..." */
static int fail(struct state *s, size_t at, size_t from, size_t to, const char *fmt, ...) KC_PRINTF(5, 6);
static int fail(struct state *s, size_t at, size_t from, size_t to, const char *fmt, ...)
{
        size_t line = 1, start = 0;
        va_list ap;
        va_start(ap, fmt);
        KC_CLEANUP(kc_freep) char *message = kc_vasprintf(fmt, ap);
        va_end(ap);
        for (size_t i = 0; i < at; i++)
                if (s->t->source[i] == '\n') {
                        line++;
                        start = i + 1;
                }
        return kc_error_set(s->err, EINVAL, "template: %s:%zu:%zu: executing \"%s\" at <%.*s>: %s", s->t->name, line,
            at - start, s->t->name, (int)(to - from), s->t->source + from, message);
}

static void declare(struct state *s, const char *name, struct kc_value v)
{
        if (s->n == s->cap) {
                s->cap = s->cap ? 2 * s->cap : 16;
                s->variables = kc_reallocarray(s->variables, s->cap, sizeof(*s->variables));
        }
        s->variables[s->n++] = (struct variable){name, v};
}

static struct variable *find(struct state *s, const char *name)
{
        for (size_t i = s->n; i > 0; i--)
                if (kc_streq(s->variables[i - 1].name, name))
                        return &s->variables[i - 1];
        return NULL;
}

static int eval_pipe(struct state *s, const struct kc_pipe *p, const struct kc_value *dot, struct kc_value *ret);

static int eval_fields(struct state *s, const struct kc_operand *o, struct kc_value v, struct kc_value *ret)
{
        for (char **f = o->fields; f && *f; f++) {
                if (v.kind == KC_VAL_NIL)
                        continue;
                if (v.kind != KC_VAL_MAP)
                        return fail(s, o->error_at, o->at, o->end, "can't evaluate field %s in type interface {}", *f);
                v = kc_value_of(kc_json_get(v.o, *f));
        }
        *ret = v;
        return 0;
}

static int call(struct state *s, const struct kc_call *c, const char *name, const struct kc_value *dot,
    const struct kc_value *last, struct kc_value *ret);

static int eval_operand(struct state *s, const struct kc_operand *o, const struct kc_value *dot, struct kc_value *ret)
{
        struct kc_value v = {0};
        int e = 0;
        switch (o->kind) {
        case KC_OP_DOT:
        case KC_OP_FIELD:
                v = *dot;
                break;
        case KC_OP_VARIABLE:
                v = find(s, o->name)->value;
                break;
        case KC_OP_VALUE:
                v = o->value;
                break;
        case KC_OP_PIPE:
                e = eval_pipe(s, o->pipe, dot, &v);
                break;
        case KC_OP_FUNCTION: {
                struct kc_call alone = {.n = 0, .at = o->at, .end = o->end};
                e = call(s, &alone, o->name, dot, NULL, &v);
                break;
        }
        }
        return e < 0 ? e : eval_fields(s, o, v, ret);
}

/* The first argument that decides, as Go's. */
static int short_circuit(struct state *s, const struct kc_call *c, bool until, const struct kc_value *dot,
    const struct kc_value *last, struct kc_value *ret)
{
        size_t n = c->n > 0 ? c->n - 1 : 0;
        for (size_t i = 0; i < n; i++) {
                int e = eval_operand(s, &c->args[i + 1], dot, ret);
                if (e < 0 || kc_value_true(ret) == until)
                        return e;
        }
        if (last)
                *ret = *last;
        else if (n == 0)
                return fail(s, c->at, c->at, c->end, "wrong number of args for %s: want at least 1 got 0",
                    until ? "or" : "and");
        return 0;
}

static int call(struct state *s, const struct kc_call *c, const char *name, const struct kc_value *dot,
    const struct kc_value *last, struct kc_value *ret)
{
        if (kc_streq(name, "and") || kc_streq(name, "or"))
                return short_circuit(s, c, name[0] == 'o', dot, last, ret);
        size_t n = c->n > 0 ? c->n - 1 : 0;
        KC_CLEANUP(kc_freep) struct kc_value *args = kc_calloc(n + 1, sizeof(*args));
        for (size_t i = 0; i < n; i++) {
                int e = eval_operand(s, &c->args[i + 1], dot, &args[i]);
                if (e < 0)
                        return e;
        }
        if (last)
                args[n++] = *last;
        KC_CLEANUP(kc_error_done) struct kc_error why = KC_ERROR_INIT;
        int e = kc_template_find_function(name)(args, n, &s->strings, ret, &why);
        if (e == -E2BIG)
                return fail(s, c->at, c->at, c->end, "%s", kc_error_message(&why));
        return e < 0 ? fail(s, c->at, c->at, c->end, "error calling %s: %s", name, kc_error_message(&why)) : 0;
}

static int eval_call(struct state *s, const struct kc_call *c, const struct kc_value *dot, const struct kc_value *last,
    struct kc_value *ret)
{
        const struct kc_operand *first = &c->args[0];
        if (first->kind == KC_OP_FUNCTION && !first->fields)
                return call(s, c, first->name, dot, last, ret);
        if (c->n > 1 || last)
                return fail(s, first->error_at, first->at, first->end, "can't give argument to non-function %.*s",
                    (int)(first->end - first->at), s->t->source + first->at);
        return eval_operand(s, first, dot, ret);
}

static int eval_pipe(struct state *s, const struct kc_pipe *p, const struct kc_value *dot, struct kc_value *ret)
{
        struct kc_value v = {0};
        for (size_t i = 0; i < p->n; i++) {
                struct kc_value before = v;
                int e = eval_call(s, &p->calls[i], dot, i > 0 ? &before : NULL, &v);
                if (e < 0)
                        return e;
        }
        *ret = v;
        return 0;
}

static void bind(struct state *s, const struct kc_pipe *p, struct kc_value v)
{
        for (char **name = p->variables; name && *name; name++) {
                if (p->assigns)
                        find(s, *name)->value = v;
                else
                        declare(s, *name, v);
        }
}

/* --- nodes */

static int run_nodes(struct state *s, const struct kc_nodes *l, const struct kc_value *dot);

static int run_conditional(struct state *s, const struct kc_node *n, const struct kc_value *dot)
{
        size_t scope = s->n;
        struct kc_value v;
        int e = eval_pipe(s, n->pipe, dot, &v);
        if (e == 0) {
                bind(s, n->pipe, v);
                if (kc_value_true(&v))
                        e = run_nodes(s, &n->body, n->kind == KC_NODE_WITH ? &v : dot);
                else
                        e = run_nodes(s, &n->otherwise, dot);
        }
        s->n = scope;
        return e;
}

/* One turn of a range; *ret_stop: {{break}}. */
static int run_turn(
    struct state *s, const struct kc_node *n, struct kc_value key, struct kc_value element, bool *ret_stop)
{
        size_t scope = s->n, names = kc_strv_len(n->pipe->variables);
        char **variables = n->pipe->variables;
        for (size_t i = 0; i < names; i++) {
                struct kc_value v = names == 2 && i == 0 ? key : element;
                if (n->pipe->assigns)
                        find(s, variables[i])->value = v;
                else
                        declare(s, variables[i], v);
        }
        int e = run_nodes(s, &n->body, &element);
        *ret_stop = s->flow == BREAK;
        s->flow = GO_ON;
        s->n = scope;
        return e;
}

static int run_map(struct state *s, const struct kc_node *n, const struct json_object *map)
{
        KC_CLEANUP(kc_strv_freep) char **keys = NULL;
        KC_JSON_FOREACH(map, key, val)
        {
                (void)val;
                kc_strv_push(&keys, key);
        }
        if (keys)
                kc_strv_sort(keys);
        bool stop = false;
        int e = 0;
        for (char **k = keys; e == 0 && !stop && k && *k; k++) {
                char *kept = kc_strdup(*k);
                kc_strv_push_take(&s->strings.v, kept);
                e = run_turn(s, n, kc_value_str(kept), kc_value_of(kc_json_get(map, *k)), &stop);
        }
        return e;
}

static int run_range(struct state *s, const struct kc_node *n, const struct kc_value *dot)
{
        struct kc_value v;
        bool stop = false;
        int e = eval_pipe(s, n->pipe, dot, &v);
        if (e < 0)
                return e;
        size_t len = v.kind == KC_VAL_LIST ? kc_json_len(v.o) : v.kind == KC_VAL_INT && v.i > 0 ? (size_t)v.i : 0;
        if (v.kind != KC_VAL_NIL && v.kind < KC_VAL_LIST && v.kind != KC_VAL_INT)
                return fail(s, n->pipe->at, n->pipe->at, n->pipe->end, "range can't iterate over %s",
                    v.kind == KC_VAL_STRING ? v.s : "that");
        if (!kc_value_true(&v))
                return run_nodes(s, &n->otherwise, dot);
        if (v.kind == KC_VAL_MAP)
                return run_map(s, n, v.o);
        for (size_t i = 0; e == 0 && !stop && i < len; i++) {
                struct kc_value at = {.kind = KC_VAL_INT, .i = (int64_t)i};
                e = run_turn(s, n, at, v.kind == KC_VAL_LIST ? kc_value_of(kc_json_idx(v.o, i)) : at, &stop);
        }
        return e;
}

static int run_template(struct state *s, const struct kc_node *n, const struct kc_value *dot)
{
        const struct kc_nodes *body = NULL;
        struct kc_value v = {0};
        size_t scope = s->n;
        for (size_t i = 0; i < s->t->n_definitions; i++)
                if (kc_streq(s->t->definitions[i].name, n->text))
                        body = &s->t->definitions[i].body;
        if (!body)
                return fail(s, n->at, n->at, n->at, "template \"%s\" not defined", n->text);
        int e = n->pipe ? eval_pipe(s, n->pipe, dot, &v) : 0;
        if (e == 0 && ++s->calls > MAX_CALLS)
                e = fail(s, n->at, n->at, n->at, "exceeded maximum template depth (%d)", MAX_CALLS);
        if (e == 0) {
                declare(s, "$", v);
                e = run_nodes(s, body, &v);
                s->calls--;
        }
        s->n = scope;
        return e;
}

static int run_node(struct state *s, const struct kc_node *n, const struct kc_value *dot)
{
        struct kc_value v;
        int e = 0;
        switch (n->kind) {
        case KC_NODE_TEXT:
                kc_buf_adds(s->out, n->text);
                return 0;
        case KC_NODE_ACTION:
                e = eval_pipe(s, n->pipe, dot, &v);
                if (e == 0 && n->pipe->variables)
                        bind(s, n->pipe, v);
                else if (e == 0)
                        kc_value_print(&v, s->out);
                return e;
        case KC_NODE_IF:
        case KC_NODE_WITH:
                return run_conditional(s, n, dot);
        case KC_NODE_RANGE:
                return run_range(s, n, dot);
        case KC_NODE_TEMPLATE:
                return run_template(s, n, dot);
        case KC_NODE_BREAK:
        case KC_NODE_CONTINUE:
                s->flow = n->kind == KC_NODE_BREAK ? BREAK : CONTINUE;
                return 0;
        }
        return 0;
}

static int run_nodes(struct state *s, const struct kc_nodes *l, const struct kc_value *dot)
{
        size_t scope = s->n;
        int e = 0;
        for (size_t i = 0; e == 0 && i < l->n && s->flow == GO_ON; i++)
                e = run_node(s, &l->v[i], dot);
        s->n = scope;
        return e;
}

int kc_template_run(
    const struct kc_template *t, const struct json_object *data, struct kc_buf *out, struct kc_error *err)
{
        struct state s = {.t = t, .out = out, .err = err};
        struct kc_value dot = kc_value_of(data);
        declare(&s, "$", dot);
        int e = run_nodes(&s, &t->body, &dot);
        kc_free(s.variables);
        kc_strv_free(s.strings.v);
        return e;
}
