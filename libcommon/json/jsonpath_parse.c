/* Parsing of JSONPath templates. Pure. */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <string.h>

#include "base/str.h"
#include "json/jsonpath_internal.h"

enum { MAX_TEXT = 64 << 10, MAX_DEPTH = 32 };

struct parser {
        const char *at, *end;
        int depth;
        struct kc_error *err;
};

static int bad(struct parser *p, const char *fmt, const char *what)
{
        return kc_error_set(p->err, EINVAL, fmt, what);
}

/* --- freeing */

static void list_done(struct jp_list *l)
{
        for (size_t i = 0; i < l->n; i++) {
                struct jp_node *n = &l->v[i];
                kc_free(n->name);
                kc_json_free(n->value);
                for (size_t k = 0; k < n->n_lists; k++)
                        list_done(&n->lists[k]);
                kc_free(n->lists);
        }
        kc_free(l->v);
        *l = (struct jp_list){0};
}

static void block_done(struct jp_block *b)
{
        for (size_t i = 0; i < b->n; i++) {
                kc_free(b->v[i].text);
                list_done(&b->v[i].list);
                if (b->v[i].body)
                        block_done(b->v[i].body);
                kc_free(b->v[i].body);
        }
        kc_free(b->v);
}

void kc_jsonpath_free(struct kc_jsonpath *p)
{
        if (!p)
                return;
        block_done(&p->root);
        kc_free(p);
}

/* --- growing */

static struct jp_node *push_node(struct jp_list *l, enum jp_kind kind)
{
        l->v = kc_reallocarray(l->v, l->n + 1, sizeof(*l->v));
        l->v[l->n] = (struct jp_node){.kind = kind};
        return &l->v[l->n++];
}

static struct jp_list *push_list(struct jp_node *n)
{
        n->lists = kc_reallocarray(n->lists, n->n_lists + 1, sizeof(*n->lists));
        n->lists[n->n_lists] = (struct jp_list){0};
        return &n->lists[n->n_lists++];
}

static struct jp_item *push_item(struct jp_block *b)
{
        b->v = kc_reallocarray(b->v, b->n + 1, sizeof(*b->v));
        b->v[b->n] = (struct jp_item){0};
        return &b->v[b->n++];
}

/* --- steps */

static bool ends_word(const struct parser *p)
{
        return p->at == p->end || strchr(".,[]$@{} \t\r\n", *p->at) != NULL;
}

static bool is_word(char c)
{
        return c == '_' || isalnum((unsigned char)c) || (unsigned char)c >= 0x80;
}

static int parse_field(struct parser *p, struct jp_list *l)
{
        struct kc_buf name = KC_BUF_INIT;
        while (!ends_word(p)) {
                if (*p->at == '\\' && p->at + 1 < p->end)
                        p->at++;
                kc_buf_addc(&name, *p->at++);
        }
        if (strcmp(kc_buf_str(&name), "*") == 0) {
                kc_buf_done(&name);
                (void)push_node(l, JP_WILDCARD);
                return 0;
        }
        push_node(l, JP_FIELD)->name = kc_buf_take_str(&name);
        return 0;
}

static int parse_recursive(struct parser *p, struct jp_list *l)
{
        if (l->n > 0 && l->v[l->n - 1].kind == JP_RECURSIVE)
                return bad(p, "%s", "invalid multiple recursive descent");
        p->at += 2;
        (void)push_node(l, JP_RECURSIVE);
        return p->at < p->end && is_word(*p->at) ? parse_field(p, l) : 0;
}

/* 'text' or "text", with Go's escapes. */
static int parse_quoted(struct parser *p, struct jp_list *l)
{
        static const char names[] = "abfnrtv\\'\"", means[] = "\a\b\f\n\r\t\v\\'\"";
        char quote = *p->at++;
        KC_CLEANUP(kc_buf_done) struct kc_buf text = KC_BUF_INIT;
        for (;; p->at++) {
                if (p->at == p->end || *p->at == '\n')
                        return bad(p, "%s", "unterminated quoted string");
                if (*p->at == quote)
                        break;
                const char *known = *p->at == '\\' && p->at + 1 < p->end ? strchr(names, p->at[1]) : NULL;
                if (*p->at == '\\' && (!known || !*known))
                        return bad(p, "unquote literal: invalid syntax", "");
                if (known)
                        p->at++;
                kc_buf_addc(&text, known ? means[known - names] : *p->at);
        }
        p->at++;
        push_node(l, JP_LITERAL)->value = json_object_new_string_len(kc_buf_str(&text), (int)text.len);
        return 0;
}

static int parse_number(struct parser *p, struct jp_list *l)
{
        const char *from = p->at;
        int64_t i;
        if (*p->at == '+' || *p->at == '-')
                p->at++;
        while (p->at < p->end && (isdigit((unsigned char)*p->at) || *p->at == '.' || *p->at == 'e'))
                p->at++;
        KC_CLEANUP(kc_freep) char *text = kc_strndup(from, (size_t)(p->at - from));
        char *rest;
        if (kc_str_to_i64(text[0] == '+' ? text + 1 : text, &i) == 0) {
                push_node(l, JP_LITERAL)->value = json_object_new_int64(i);
                return 0;
        }
        double d = strtod(text, &rest);
        if (*rest || rest == text || !isfinite(d))
                return bad(p, "cannot parse number %s", text);
        push_node(l, JP_LITERAL)->value = json_object_new_double(d);
        return 0;
}

static int parse_list(struct parser *p, struct jp_list *l, char until);

/* The steps of a text of its own: a union's part, a filter's side. */
static int parse_text(struct parser *p, const char *text, struct jp_list *l)
{
        struct parser sub = {.at = text, .end = text + strlen(text), .depth = p->depth + 1, .err = p->err};
        if (sub.depth > MAX_DEPTH)
                return bad(p, "%s", "nested too deep");
        return parse_list(&sub, l, '\0');
}

static int parse_param(struct parser *p, const char *text, const char *whole, struct jp_param *ret)
{
        if (kc_str_empty(text))
                return 0;
        ret->known = true;
        return kc_str_to_i64(text, &ret->value) < 0 ? bad(p, "invalid array index %s", whole) : 0;
}

/* "1", "1:3", "::2" */
static int parse_slice(struct parser *p, const char *text, struct jp_list *l)
{
        KC_CLEANUP(kc_strv_freep) char **parts = kc_strv_split(text, ':');
        size_t n = kc_strv_len(parts);
        struct jp_node node = {.kind = JP_SLICE};
        if (n > 3 || !*text)
                return bad(p, "invalid array index %s", text);
        for (size_t i = 0; i < n; i++)
                if (parse_param(p, parts[i], text, &node.params[i]) < 0)
                        return -EINVAL;
        if (n == 1)
                node.params[1] = (struct jp_param){true, true, node.params[0].value + 1};
        *push_node(l, JP_SLICE) = node;
        return 0;
}

static int parse_union(struct parser *p, char **parts, struct jp_list *l)
{
        struct jp_node node = {.kind = JP_UNION};
        int r = 0;
        for (; *parts && r == 0; parts++) {
                KC_CLEANUP(kc_freep) char *trimmed = kc_str_trim(*parts);
                KC_CLEANUP(kc_freep) char *text = kc_asprintf("[%s]", trimmed);
                r = parse_text(p, text, push_list(&node));
        }
        *push_node(l, JP_UNION) = node;
        return r;
}

static char **split_outside_quotes(const char *text)
{
        char **parts = NULL;
        const char *from = text;
        char quote = 0;
        for (const char *c = text;; c++) {
                if (*c && (quote ? *c == quote : *c == '\'' || *c == '"'))
                        quote = quote ? 0 : *c;
                if (*c && (quote || *c != ','))
                        continue;
                kc_strv_push_take(&parts, kc_strndup(from, (size_t)(c - from)));
                if (!*c)
                        return parts;
                from = c + 1;
        }
}

/* [index], [a:b], ['key'], [*], [a,b] */
static int parse_array(struct parser *p, struct jp_list *l)
{
        const char *from = ++p->at;
        char quote = 0;
        for (; p->at < p->end && (quote || *p->at != ']'); p->at++)
                if (quote ? *p->at == quote : *p->at == '\'' || *p->at == '"')
                        quote = quote ? 0 : *p->at;
        if (p->at == p->end)
                return bad(p, "%s", "unterminated array");
        KC_CLEANUP(kc_freep) char *raw = kc_strndup(from, (size_t)(p->at++ - from));
        KC_CLEANUP(kc_freep) char *text = kc_str_trim(raw);
        KC_CLEANUP(kc_strv_freep) char **parts = split_outside_quotes(text);
        size_t len = strlen(text);
        if (kc_strv_len(parts) > 1)
                return parse_union(p, parts, l);
        if (len >= 2 && (text[0] == '\'' || text[0] == '"') && text[len - 1] == text[0]) {
                push_node(l, JP_FIELD)->name = kc_strndup(text + 1, len - 2);
                return 0;
        }
        return parse_slice(p, strcmp(text, "*") == 0 ? ":" : text, l);
}

/* [?(...)] */
static int parse_filter(struct parser *p, struct jp_list *l)
{
        const char *from = p->at += 3;
        char quote = 0;
        int open = 1;
        for (; p->at < p->end; p->at++) {
                if (quote) {
                        quote = *p->at == quote ? 0 : quote;
                        continue;
                }
                if (*p->at == '\'' || *p->at == '"')
                        quote = *p->at;
                open += (*p->at == '(') - (*p->at == ')');
                if (open == 0)
                        break;
        }
        if (p->at == p->end || p->at + 1 == p->end || p->at[1] != ']')
                return bad(p, "%s", "unterminated filter");
        KC_CLEANUP(kc_freep) char *text = kc_strndup(from, (size_t)(p->at - from));
        p->at += 2;
        struct jp_node node = {.kind = JP_FILTER};
        size_t left = strcspn(text, "!<>="), op = strspn(text + left, "!<>=");
        if (op > 2)
                return bad(p, "unrecognized filter operator %s", text + left);
        memcpy(node.op, text + left, op);
        KC_CLEANUP(kc_freep) char *left_text = kc_strndup(text, left);
        KC_CLEANUP(kc_freep) char *right_text = kc_str_trim(text + left + op);
        int r = parse_text(p, left_text, push_list(&node));
        if (r == 0 && op > 0)
                r = parse_text(p, right_text, push_list(&node));
        *push_node(l, JP_FILTER) = node;
        return r;
}

static int parse_word(struct parser *p, struct jp_list *l)
{
        const char *from = p->at;
        while (!ends_word(p))
                p->at++;
        KC_CLEANUP(kc_freep) char *word = kc_strndup(from, (size_t)(p->at - from));
        bool yes = strcmp(word, "true") == 0;
        if (!yes && strcmp(word, "false") != 0)
                return kc_error_set(p->err, ENOEXEC, "unrecognized identifier %s", word);
        push_node(l, JP_LITERAL)->value = json_object_new_boolean(yes);
        return 0;
}

static int parse_step(struct parser *p, struct jp_list *l)
{
        size_t left = (size_t)(p->end - p->at);
        if (left >= 3 && strncmp(p->at, "[?(", 3) == 0)
                return parse_filter(p, l);
        if (left >= 2 && strncmp(p->at, "..", 2) == 0)
                return parse_recursive(p, l);
        switch (*p->at) {
        case ' ':
        case '@':
        case '$':
                p->at++;
                return 0;
        case '[':
                return parse_array(p, l);
        case '"':
        case '\'':
                return parse_quoted(p, l);
        case '.':
                p->at++;
                return parse_field(p, l);
        case '+':
        case '-':
                return parse_number(p, l);
        default:
                break;
        }
        if (isdigit((unsigned char)*p->at))
                return parse_number(p, l);
        if (is_word(*p->at))
                return parse_word(p, l);
        KC_CLEANUP(kc_freep) char *what = kc_asprintf("U+%04X '%c'", (unsigned char)*p->at, *p->at);
        return bad(p, "unrecognized character in action: %s", what);
}

/* until '\0': to the end of the text. */
static int parse_list(struct parser *p, struct jp_list *l, char until)
{
        int r = 0;
        while (r == 0 && p->at < p->end && *p->at != until)
                r = parse_step(p, l);
        if (r == 0 && until && p->at == p->end)
                return bad(p, "%s", "unclosed action");
        return r;
}

/* --- the template */

static bool take_word(struct parser *p, const char *word)
{
        size_t n = strlen(word);
        if ((size_t)(p->end - p->at) < n || strncmp(p->at, word, n) != 0)
                return false;
        struct parser after = {.at = p->at + n, .end = p->end};
        if (!ends_word(&after))
                return false;
        p->at += n;
        return true;
}

static void skip_spaces(struct parser *p)
{
        while (p->at < p->end && *p->at == ' ')
                p->at++;
}

static int parse_block(struct parser *p, struct jp_block *b, bool in_range);

/* Behind the brace. *ret_end: it was {end}. */
static int parse_action(struct parser *p, struct jp_block *b, bool in_range, bool *ret_end)
{
        skip_spaces(p);
        *ret_end = take_word(p, "end");
        bool range = !*ret_end && take_word(p, "range");
        if (*ret_end && !in_range)
                return kc_error_set(p->err, ENOEXEC, "not in range, nothing to end");
        struct jp_list list = {0};
        int r = parse_list(p, &list, '}');
        if (r < 0 || *ret_end) {
                list_done(&list);
                p->at += r == 0;
                return r;
        }
        p->at++;
        struct jp_item *item = push_item(b);
        item->kind = range ? JP_RANGE : JP_ACTION;
        item->list = list;
        if (!range)
                return 0;
        struct jp_block *body = item->body = KC_NEW(struct jp_block); /* b may move */
        if (++p->depth > MAX_DEPTH)
                return bad(p, "%s", "nested too deep");
        r = parse_block(p, body, true);
        p->depth--;
        return r;
}

static int parse_block(struct parser *p, struct jp_block *b, bool in_range)
{
        while (p->at < p->end) {
                const char *brace = memchr(p->at, '{', (size_t)(p->end - p->at));
                size_t n = (size_t)((brace ? brace : p->end) - p->at);
                if (n > 0) {
                        struct jp_item *item = push_item(b);
                        item->kind = JP_TEXT;
                        item->text = kc_strndup(p->at, n);
                }
                p->at += n;
                if (!brace)
                        return 0;
                bool ended = false;
                p->at++;
                int r = parse_action(p, b, in_range, &ended);
                if (r < 0 || ended)
                        return r;
        }
        return 0;
}

int kc_jsonpath_parse(const char *text, struct kc_jsonpath **ret, struct kc_error *err)
{
        size_t len = strlen(text);
        struct parser p = {.at = text, .end = text + len, .err = err};
        if (len > MAX_TEXT)
                return kc_error_set(err, EINVAL, "a template of %zu bytes, at most %d are allowed", len, MAX_TEXT);
        KC_CLEANUP(kc_jsonpath_freep) struct kc_jsonpath *path = KC_NEW(struct kc_jsonpath);
        int r = parse_block(&p, &path->root, false);
        if (r < 0)
                return r;
        *ret = KC_TAKE(path);
        return 0;
}

int kc_jsonpath_relax(const char *text, char **ret, struct kc_error *err)
{
        size_t len = strlen(text);
        KC_CLEANUP(kc_freep) char *inner = NULL;
        if (len == 0) {
                *ret = kc_strdup("");
                return 0;
        }
        bool braces = text[0] == '{' && text[len - 1] == '}' && len >= 2;
        inner = braces ? kc_strndup(text + 1, len - 2) : kc_strdup(text);
        if (!braces && strpbrk(text, "{}"))
                return kc_error_set(err, EINVAL,
                    "unexpected path string, expected a 'name1.name2' or '.name1.name2' or "
                    "'{name1.name2}' or '{.name1.name2}'");
        *ret = kc_asprintf("{%s%s}", inner[0] == '.' ? "" : ".", inner);
        return 0;
}
