/* The parsed form of a template:
 *
 *   block [ text, action [ field, slice, filter ... ], range { action, block } ]
 */
#pragma once

#include "json/jsonpath.h"

enum jp_kind {
        JP_FIELD,     /* .name: name */
        JP_WILDCARD,  /* .* */
        JP_RECURSIVE, /* .. */
        JP_SLICE,     /* [from:to:step], [index] */
        JP_UNION,     /* [a,b]: lists */
        JP_FILTER,    /* [?(left op right)]: lists[0], op, lists[1] */
        JP_LITERAL,   /* "text", 1, 1.5, true: value */
};

struct jp_list;

struct jp_param {
        bool known, derived;
        int64_t value;
};

struct jp_node {
        enum jp_kind kind;
        char *name;
        struct json_object *value;
        struct jp_param params[3];
        struct jp_list *lists;
        size_t n_lists;
        char op[3]; /* "" exists */
};

/* The steps of one action, from left to right. */
struct jp_list {
        struct jp_node *v;
        size_t n;
};

struct jp_block;

struct jp_item {
        enum { JP_TEXT, JP_ACTION, JP_RANGE } kind;
        char *text;
        struct jp_list list;
        struct jp_block *body;
};

struct jp_block {
        struct jp_item *v;
        size_t n;
};

struct kc_jsonpath {
        struct jp_block root;
};
