/* The JSON parser: one recursive pass (depth-limited) over the text that builds the json-c tree, checks UTF-8 and
 * limits, and records repeated keys. kc_json_build is the same parser over a format with arguments. Any thread. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "json/json_internal.h"

const struct kc_json_limits kc_json_default_limits = {.max_bytes = 3u << 20, .max_depth = 128, .max_nodes = 400000};
const struct kc_json_limits kc_json_object_limits = {
    .max_bytes = 3u << 20, .max_depth = 128, .max_nodes = 400000, .raw_fields = true};

struct parser {
        const char *start, *at, *end;
        const struct kc_json_limits *limits;
        int depth;
        int fields_depth; /* as deep, the keys have been those that lead to fieldsV1 */
        size_t nodes;
        struct kc_error *err;
        struct kc_buf text; /* the decoded string or literal at hand */

        kc_json_key_fn on_key; /* NULL: nobody asks */
        void *on_key_arg;
        struct kc_buf path; /* of the value at hand; kept only for on_key */

        struct arguments {
                va_list ap;
        } * args; /* of kc_json_build; NULL: plain JSON */
};

static int fail_at(struct parser *p, const char *where, int errnum, const char *message)
{
        size_t line = 1;
        const char *line_start = p->start;
        for (const char *s = p->start; s < where; s++) {
                if (*s == '\n') {
                        line++;
                        line_start = s + 1;
                }
        }
        return kc_error_set(
            p->err, errnum, "line %zu, column %zu: %s", line, (size_t)(where - line_start) + 1, message);
}

/* "invalid character 'x' looking for beginning of value", as encoding/json words it. */
static int unexpected(struct parser *p, const char *context)
{
        char message[128];
        if (p->at >= p->end)
                return fail_at(p, p->end, EINVAL, "unexpected end of JSON input");
        unsigned char c = (unsigned char)*p->at;
        static const char special[] = "'\\\n\t\r", letters[] = "'\\ntr";
        const char *hit = c ? strchr(special, c) : NULL;
        if (hit)
                snprintf(message, sizeof(message), "invalid character '\\%c' %s", letters[hit - special], context);
        else if (c >= 0x20 && c < 0x7f)
                snprintf(message, sizeof(message), "invalid character '%c' %s", c, context);
        else
                snprintf(message, sizeof(message), "invalid character '\\x%02x' %s", c, context);
        return fail_at(p, p->at, EINVAL, message);
}

static int out_of_memory(struct parser *p)
{
        return fail_at(p, p->at, ENOMEM, "out of memory");
}

static void skip_space(struct parser *p)
{
        while (p->at < p->end && (*p->at == ' ' || *p->at == '\t' || *p->at == '\n' || *p->at == '\r'))
                p->at++;
}

static bool take_char(struct parser *p, char c)
{
        if (p->at >= p->end || *p->at != c)
                return false;
        p->at++;
        return true;
}

/* --- Strings */

static void put_utf8(struct kc_buf *b, uint32_t c)
{
        if (c < 0x80) {
                kc_buf_addc(b, (char)c);
        } else if (c < 0x800) {
                kc_buf_add(b, (char[]){(char)(0xc0 | c >> 6), (char)(0x80 | (c & 63))}, 2);
        } else if (c < 0x10000) {
                kc_buf_add(
                    b, (char[]){(char)(0xe0 | c >> 12), (char)(0x80 | (c >> 6 & 63)), (char)(0x80 | (c & 63))}, 3);
        } else {
                kc_buf_add(b,
                    (char[]){(char)(0xf0 | c >> 18), (char)(0x80 | (c >> 12 & 63)), (char)(0x80 | (c >> 6 & 63)),
                        (char)(0x80 | (c & 63))},
                    4);
        }
}

/* Four hexadecimal digits at at + offset; -1 if they are not there. */
static int peek_hex4(const struct parser *p, size_t offset)
{
        if ((size_t)(p->end - p->at) < offset + 4)
                return -1;
        int v = 0;
        for (size_t i = 0; i < 4; i++) {
                char c = p->at[offset + i];
                int digit = c >= '0' && c <= '9'   ? c - '0'
                            : c >= 'a' && c <= 'f' ? c - 'a' + 10
                            : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                                   : -1;
                if (digit < 0)
                        return -1;
                v = v << 4 | digit;
        }
        return v;
}

/* Behind "\u". A surrogate without its other half becomes U+FFFD, as in Go. */
static int scan_unicode_escape(struct parser *p)
{
        int c = peek_hex4(p, 0);
        if (c < 0)
                return fail_at(p, p->at, EINVAL, "invalid character in \\u hexadecimal character escape");
        if (c == 0)
                return fail_at(p, p->at, EINVAL, "NUL character in string");
        p->at += 4;
        if (c >= 0xd800 && c <= 0xdfff) {
                bool pair = c <= 0xdbff && p->end - p->at >= 6 && p->at[0] == '\\' && p->at[1] == 'u';
                int low = pair ? peek_hex4(p, 2) : -1;
                if (low >= 0xdc00 && low <= 0xdfff) {
                        p->at += 6;
                        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
                } else {
                        c = 0xfffd;
                }
        }
        put_utf8(&p->text, (uint32_t)c);
        return 0;
}

static int scan_escape(struct parser *p, char quote)
{
        static const char letters[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
        if (p->at >= p->end)
                return unexpected(p, "in string escape code");
        if (take_char(p, 'u'))
                return scan_unicode_escape(p);
        const char *hit = *p->at ? strchr(letters, *p->at) : NULL;
        if (!hit && (quote != '\'' || *p->at != '\''))
                return unexpected(p, "in string escape code");
        kc_buf_addc(&p->text, hit ? values[hit - letters] : '\'');
        p->at++;
        return 0;
}

/* Behind the opening quote; the string is left in p->text. */
static int scan_string(struct parser *p, char quote)
{
        kc_buf_reset(&p->text);
        kc_buf_reserve(&p->text, 0);
        for (;;) {
                const char *run = p->at;
                while (p->at < p->end && *p->at != quote && *p->at != '\\' && (unsigned char)*p->at >= 0x20) {
                        size_t n = kc_utf8_len(p->at, (size_t)(p->end - p->at));
                        if (n == 0)
                                return fail_at(p, p->at, EINVAL, "invalid UTF-8 in string");
                        p->at += n;
                }
                kc_buf_add(&p->text, run, (size_t)(p->at - run));
                if (take_char(p, quote))
                        return 0;
                if (!take_char(p, '\\'))
                        return unexpected(p, "in string literal");
                int r = scan_escape(p, quote);
                if (r < 0)
                        return r;
        }
}

static int new_string(struct parser *p, struct json_object **ret)
{
        *ret = json_object_new_string_len(kc_buf_str(&p->text), (int)p->text.len);
        return *ret ? 0 : out_of_memory(p);
}

/* --- Numbers and words */

static size_t skip_digits(struct parser *p)
{
        const char *start = p->at;
        while (p->at < p->end && *p->at >= '0' && *p->at <= '9')
                p->at++;
        return (size_t)(p->at - start);
}

static int parse_number(struct parser *p, struct json_object **ret)
{
        const char *start = p->at;
        (void)take_char(p, '-'); /* optional */
        if (!take_char(p, '0') && skip_digits(p) == 0)
                return unexpected(p, "in numeric literal");
        if (take_char(p, '.') && skip_digits(p) == 0)
                return unexpected(p, "after decimal point in numeric literal");
        if (take_char(p, 'e') || take_char(p, 'E')) {
                if (!take_char(p, '-'))
                        (void)take_char(p, '+'); /* optional, too */
                if (skip_digits(p) == 0)
                        return unexpected(p, "in exponent of numeric literal");
        }
        kc_buf_reset(&p->text);
        kc_buf_add(&p->text, start, (size_t)(p->at - start));
        int r = 0;
        *ret = kc_json_new_number(p->text.data, &r);
        if (*ret)
                return 0;
        return r == -ERANGE ? fail_at(p, start, EINVAL, "number is out of range") : out_of_memory(p);
}

static bool take_word(struct parser *p, const char *word)
{
        size_t len = strlen(word);
        if ((size_t)(p->end - p->at) < len || memcmp(p->at, word, len) != 0)
                return false;
        p->at += len;
        return true;
}

static int parse_word(struct parser *p, struct json_object **ret)
{
        if (take_word(p, "null")) {
                *ret = NULL;
                return 0;
        }
        bool is_true = take_word(p, "true");
        if (!is_true && !take_word(p, "false"))
                return unexpected(p, "looking for beginning of value");
        *ret = json_object_new_boolean(is_true);
        return *ret ? 0 : out_of_memory(p);
}

/* --- Containers */

static int parse_value(struct parser *p, struct json_object **ret);

static int enter(struct parser *p)
{
        return ++p->depth > p->limits->max_depth ? fail_at(p, p->at - 1, EINVAL, "exceeded max depth") : 0;
}

static size_t push_key(struct parser *p, const char *key)
{
        size_t mark = p->path.len;
        if (p->on_key)
                kc_buf_addf(&p->path, "%s%s", mark ? "." : "", key);
        return mark;
}

static size_t push_index(struct parser *p, size_t i)
{
        size_t mark = p->path.len;
        if (p->on_key)
                kc_buf_addf(&p->path, "[%zu]", i);
        return mark;
}

static void pop_path(struct parser *p, size_t mark)
{
        if (p->on_key) {
                p->path.len = mark;
                p->path.data[mark] = '\0';
        }
}

static int parse_key(struct parser *p, char **ret)
{
        if (p->args && take_word(p, "%s")) {
                const char *key = va_arg(p->args->ap, const char *);
                *ret = kc_strdup(key ? key : "");
                return 0;
        }
        char quote = p->args && p->at < p->end && *p->at == '\'' ? '\'' : '"';
        if (!take_char(p, quote))
                return unexpected(p, "looking for beginning of object key string");
        int r = scan_string(p, quote);
        if (r < 0)
                return r;
        *ret = kc_strdup(kc_buf_str(&p->text));
        return 0;
}

/* --- Text that is kept: fieldsV1 of managedFields */

/* Whether the value of key at this depth is on the way to fieldsV1, or is it. */
static bool leads_to_fields(const struct parser *p, const char *key)
{
        static const char *const way[] = {NULL, "metadata", "managedFields", NULL, "fieldsV1"};
        static const int before[] = {0, 0, 1, 0, 2}; /* a list is in between */
        return p->limits->raw_fields && p->depth < (int)KC_ARRAY_LEN(way) && way[p->depth] &&
               p->fields_depth == before[p->depth] && strcmp(way[p->depth], key) == 0;
}

/* Objects of objects without any space: what a canonical encoder has written. Anything else is left to the parser. */
static bool skim_fields(struct parser *p)
{
        if (++p->nodes > p->limits->max_nodes || p->depth >= p->limits->max_depth || !take_char(p, '{'))
                return false;
        if (take_char(p, '}'))
                return true;
        p->depth++;
        bool well = true;
        do
                well = take_char(p, '"') && scan_string(p, '"') == 0 && take_char(p, ':') && skim_fields(p);
        while (well && take_char(p, ','));
        p->depth--;
        return well && take_char(p, '}');
}

/* False: it is no such text; nothing has been read. */
static bool take_fields(struct parser *p, struct json_object **ret)
{
        const char *start = p->at;
        int depth = p->depth;
        size_t nodes = p->nodes;
        struct kc_error *err = p->err;
        p->err = NULL;
        bool well = skim_fields(p);
        p->err = err;
        if (well) {
                *ret = kc_json_new_raw(start, (size_t)(p->at - start));
                return true;
        }
        p->at = start;
        p->depth = depth;
        p->nodes = nodes;
        return false;
}

static int parse_member_value(struct parser *p, const char *key, struct json_object **ret)
{
        enum { FIELDS_DEPTH = 4 };
        int before = p->fields_depth;
        if (leads_to_fields(p, key))
                p->fields_depth = p->depth;
        bool fields = p->fields_depth == FIELDS_DEPTH && p->depth == FIELDS_DEPTH;
        int r = fields && take_fields(p, ret) ? 0 : parse_value(p, ret);
        p->fields_depth = before;
        return r;
}

static int parse_member(struct parser *p, struct json_object *o)
{
        KC_CLEANUP(kc_freep) char *key = NULL;
        struct json_object *v = NULL;
        skip_space(p);
        int r = parse_key(p, &key);
        if (r < 0)
                return r;
        skip_space(p);
        if (!take_char(p, ':'))
                return unexpected(p, "after object key");
        size_t mark = push_key(p, key);
        if (p->on_key)
                p->on_key(p->path.data, json_object_object_get_ex(o, key, NULL), p->on_key_arg);
        r = parse_member_value(p, key, &v);
        if (r < 0)
                return r;
        pop_path(p, mark);
        return kc_json_attach(o, key, v) < 0 ? out_of_memory(p) : 0;
}

static int parse_object(struct parser *p, struct json_object **ret)
{
        KC_CLEANUP(kc_json_freep) struct json_object *o = json_object_new_object();
        int r = o ? enter(p) : out_of_memory(p);
        skip_space(p);
        bool more = r == 0 && !take_char(p, '}');
        while (r == 0 && more) {
                r = parse_member(p, o);
                if (r < 0)
                        break;
                skip_space(p);
                more = take_char(p, ',');
                if (!more && !take_char(p, '}'))
                        r = unexpected(p, "after object key:value pair");
        }
        p->depth--;
        if (r == 0)
                *ret = KC_TAKE(o);
        return r;
}

static int parse_array(struct parser *p, struct json_object **ret)
{
        KC_CLEANUP(kc_json_freep) struct json_object *a = json_object_new_array_ext(4);
        int r = a ? enter(p) : out_of_memory(p);
        skip_space(p);
        bool more = r == 0 && !take_char(p, ']');
        while (r == 0 && more) {
                struct json_object *v = NULL;
                size_t mark = push_index(p, json_object_array_length(a));
                r = parse_value(p, &v);
                if (r < 0)
                        break;
                pop_path(p, mark);
                if (kc_json_attach(a, NULL, v) < 0) {
                        r = out_of_memory(p);
                        break;
                }
                skip_space(p);
                more = take_char(p, ',');
                if (!more && !take_char(p, ']'))
                        r = unexpected(p, "after array element");
        }
        p->depth--;
        if (r == 0)
                *ret = KC_TAKE(a);
        return r;
}

/* Behind a percent sign: the value is the next argument. */
static int take_argument(struct parser *p, struct json_object **ret)
{
        va_list *ap = &p->args->ap;
        if (take_word(p, "lld") || take_word(p, "ld")) {
                _Static_assert(sizeof(long) == sizeof(long long), "ld and lld are read alike");
                *ret = json_object_new_int64(va_arg(*ap, long long));
        } else if (take_char(p, 'd')) {
                *ret = json_object_new_int64(va_arg(*ap, int));
        } else if (take_char(p, 'f')) {
                *ret = json_object_new_double(va_arg(*ap, double));
        } else if (take_char(p, 'b')) {
                *ret = json_object_new_boolean(va_arg(*ap, int));
        } else if (take_char(p, 'o')) {
                *ret = va_arg(*ap, struct json_object *);
        } else if (take_char(p, 's')) {
                const char *s = va_arg(*ap, const char *);
                *ret = s ? json_object_new_string(s) : NULL;
        } else {
                return unexpected(p, "in format directive");
        }
        return 0;
}

static int parse_value(struct parser *p, struct json_object **ret)
{
        if (++p->nodes > p->limits->max_nodes)
                return fail_at(p, p->at, EMSGSIZE, "too many values");
        skip_space(p);
        if (take_char(p, '{'))
                return parse_object(p, ret);
        if (take_char(p, '['))
                return parse_array(p, ret);
        bool single = p->args && take_char(p, '\'');
        if (single || take_char(p, '"')) {
                int r = scan_string(p, single ? '\'' : '"');
                return r < 0 ? r : new_string(p, ret);
        }
        if (p->args && take_char(p, '%'))
                return take_argument(p, ret);
        if (p->at < p->end && (*p->at == '-' || (*p->at >= '0' && *p->at <= '9')))
                return parse_number(p, ret);
        return parse_word(p, ret);
}

static int parse_document(struct parser *p, struct json_object **ret)
{
        KC_CLEANUP(kc_json_freep) struct json_object *o = NULL;
        int r = parse_value(p, &o);
        skip_space(p);
        if (r == 0 && p->at < p->end)
                r = unexpected(p, "after top-level value");
        kc_buf_done(&p->text);
        kc_buf_done(&p->path);
        if (r == 0)
                *ret = KC_TAKE(o);
        return r;
}

int kc_json_parse(
    const char *data, size_t len, const struct kc_json_limits *limits, struct json_object **ret, struct kc_error *err)
{
        if (!limits)
                limits = &kc_json_default_limits;
        if (len > limits->max_bytes)
                return kc_error_set(
                    err, EMSGSIZE, "%zu bytes of JSON are more than the limit of %zu", len, limits->max_bytes);
        struct parser p = {.start = data, .at = data, .end = data + len, .limits = limits, .err = err};
        return parse_document(&p, ret);
}

void kc_json_each_key(const char *data, size_t len, kc_json_key_fn fn, void *arg)
{
        static const struct kc_json_limits none = {
            .max_bytes = SIZE_MAX, .max_depth = 10000, .max_nodes = SIZE_MAX, .raw_fields = true};
        struct parser p = {
            .start = data, .at = data, .end = data + len, .limits = &none, .on_key = fn, .on_key_arg = arg};
        struct json_object *o = NULL;
        if (parse_document(&p, &o) == 0)
                kc_json_free(o);
}

static void add_repeated(const char *path, bool again, void *arg)
{
        char ***paths = arg;
        if (again && kc_strv_len(*paths) < KC_JSON_MAX_DUPLICATES)
                kc_strv_push(paths, path);
}

char **kc_json_duplicates(const char *data, size_t len)
{
        char **paths = NULL;
        kc_json_each_key(data, len, add_repeated, &paths);
        return paths;
}

struct json_object *kc_json_build(const char *fmt, ...)
{
        static const struct kc_json_limits none = {.max_bytes = SIZE_MAX, .max_depth = 1000, .max_nodes = SIZE_MAX};
        struct kc_error err = KC_ERROR_INIT;
        struct arguments args;
        struct parser p = {
            .start = fmt, .at = fmt, .end = fmt + strlen(fmt), .limits = &none, .err = &err, .args = &args};
        struct json_object *o = NULL;
        va_start(args.ap, fmt);
        int r = parse_document(&p, &o);
        va_end(args.ap);
        if (r < 0)
                kc_json_die(kc_error_message(&err));
        return o;
}
