/* Tokens, nodes and values of templates. */
#pragma once

#include "base/str.h"
#include "cli/template/template.h"

enum kc_token_kind {
        KC_TOK_TEXT,
        KC_TOK_LEFT,  /* {{ */
        KC_TOK_RIGHT, /* }} */
        KC_TOK_WORD,  /* identifier or keyword */
        KC_TOK_FIELD, /* .name */
        KC_TOK_DOT,
        KC_TOK_VARIABLE, /* $name */
        KC_TOK_STRING,
        KC_TOK_NUMBER,
        KC_TOK_CHAR,    /* | ( ) , */
        KC_TOK_DECLARE, /* := */
        KC_TOK_ASSIGN,
        KC_TOK_SPACE,
        KC_TOK_END,
};
struct kc_token {
        enum kc_token_kind kind;
        size_t at; /* in the source */
        size_t len;
        size_t line;
        char *text; /* of strings: unquoted */
};
struct kc_tokens {
        struct kc_token *v;
        size_t n, cap;
};
int kc_template_lex(const char *name, const char *text, struct kc_tokens *ret, struct kc_error *err);
void kc_tokens_done(struct kc_tokens *l);

enum kc_value_kind { KC_VAL_NIL, KC_VAL_BOOL, KC_VAL_INT, KC_VAL_FLOAT, KC_VAL_STRING, KC_VAL_LIST, KC_VAL_MAP };
struct kc_value {
        enum kc_value_kind kind;
        bool b;
        int64_t i;
        double f;
        const char *s;               /* of the data, the template or the run */
        const struct json_object *o; /* lists and maps */
};
struct kc_value kc_value_of(const struct json_object *o);
struct kc_value kc_value_str(const char *s);
bool kc_value_true(const struct kc_value *v);
void kc_value_print(const struct kc_value *v, struct kc_buf *out);
/* A float as %v. */
void kc_float_print(double f, struct kc_buf *out);

/* --- nodes */

enum kc_operand_kind {
        KC_OP_DOT,
        KC_OP_FIELD,
        KC_OP_VARIABLE,
        KC_OP_VALUE,
        KC_OP_FUNCTION,
        KC_OP_PIPE,
};
struct kc_pipe;
struct kc_operand {
        enum kc_operand_kind kind;
        size_t at, end, error_at; /* source; where errors are said to be */
        char *name;               /* variable, function */
        char **fields;            /* strv, behind any kind */
        struct kc_value value;
        char *text; /* what value.s is */
        struct kc_pipe *pipe;
};
struct kc_call {
        struct kc_operand *args;
        size_t n;
        size_t at, end;
};
struct kc_pipe {
        char **variables; /* strv; declared or assigned */
        bool assigns;
        struct kc_call *calls;
        size_t n;
        size_t at, end;
};
enum kc_node_kind {
        KC_NODE_TEXT,
        KC_NODE_ACTION,
        KC_NODE_IF,
        KC_NODE_WITH,
        KC_NODE_RANGE,
        KC_NODE_TEMPLATE,
        KC_NODE_BREAK,
        KC_NODE_CONTINUE,
};
struct kc_nodes {
        struct kc_node *v;
        size_t n;
};
struct kc_node {
        enum kc_node_kind kind;
        char *text; /* TEXT; the name of TEMPLATE */
        size_t at;
        struct kc_pipe *pipe;
        struct kc_nodes body, otherwise;
};
struct kc_definition {
        char *name;
        struct kc_nodes body;
};
struct kc_template {
        char *name, *source;
        struct kc_nodes body;
        struct kc_definition *definitions;
        size_t n_definitions;
};
void kc_pipe_free(struct kc_pipe *p);

/* --- functions.c */

/* Strings that live until the run ends. */
struct kc_run_strings {
        char **v; /* strv */
};
typedef int kc_template_function(
    const struct kc_value *args, size_t n, struct kc_run_strings *strings, struct kc_value *ret, struct kc_error *err);
/* NULL: there is no such function. */
kc_template_function *kc_template_find_function(const char *name);
