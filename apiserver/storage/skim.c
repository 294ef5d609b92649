/* A JSON scanner for single members. No state, any thread. */
#include "storage/skim.h"

#include <string.h>

#include "base/mem.h"
#include "json/json.h"

static const char *skip_space(const char *p, const char *end)
{
        while (p < end && (*p == ' ' || *p == '\n' || *p == '\t' || *p == '\r'))
                p++;
        return p;
}

/* p is at the opening quote; behind the closing one, or NULL. */
static const char *skip_string(const char *p, const char *end)
{
        for (p++; p < end; p++) {
                const char *quote = memchr(p, '"', (size_t)(end - p));
                if (!quote)
                        return NULL;
                const char *slash = memchr(p, '\\', (size_t)(quote - p));
                if (!slash)
                        return quote + 1;
                p = slash + 1; /* the loop steps over the escaped character */
        }
        return NULL;
}

static const char *skip_nested(const char *p, const char *end)
{
        size_t depth = 0;
        while (p < end) {
                switch (*p) {
                case '"':
                        p = skip_string(p, end);
                        if (!p)
                                return NULL;
                        continue;
                case '{':
                case '[':
                        depth++;
                        break;
                case '}':
                case ']':
                        if (--depth == 0)
                                return p + 1;
                        break;
                default:
                        break;
                }
                p++;
        }
        return NULL;
}

static const char *skip_value(const char *p, const char *end)
{
        if (p >= end)
                return NULL;
        if (*p == '"')
                return skip_string(p, end);
        if (*p == '{' || *p == '[')
                return skip_nested(p, end);
        const char *start = p;
        while (p < end && !strchr(",}] \n\t\r", *p))
                p++;
        return p > start ? p : NULL;
}

bool skim_next(struct skim_span object, size_t *it, struct skim_span *ret_key, struct skim_span *ret_value)
{
        const char *end = object.p + object.len;
        const char *p = skip_space(object.p + *it, end);
        if (p >= end || (*p != (*it == 0 ? '{' : ',')))
                return false;
        p = skip_space(p + 1, end);
        if (p >= end || *p != '"')
                return false;
        const char *key_end = skip_string(p, end);
        if (!key_end)
                return false;
        *ret_key = (struct skim_span){p + 1, (size_t)(key_end - p) - 2};
        p = skip_space(key_end, end);
        if (p >= end || *p != ':')
                return false;
        p = skip_space(p + 1, end);
        const char *value_end = skip_value(p, end);
        if (!value_end)
                return false;
        *ret_value = (struct skim_span){p, (size_t)(value_end - p)};
        *it = (size_t)(value_end - object.p);
        return true;
}

bool skim_is(struct skim_span s, const char *text)
{
        return s.len == strlen(text) && memcmp(s.p, text, s.len) == 0;
}

static bool member(struct skim_span object, const char *key, size_t len, struct skim_span *ret)
{
        size_t it = 0;
        struct skim_span k, v;
        while (skim_next(object, &it, &k, &v)) {
                if (k.len == len && memcmp(k.p, key, len) == 0) {
                        *ret = v;
                        return true;
                }
        }
        return false;
}

bool skim_at(struct skim_span object, const char *path, struct skim_span *ret_value)
{
        struct skim_span at = object;
        for (;;) {
                size_t len = strcspn(path, ".");
                if (!member(at, path, len, &at))
                        return false;
                if (!path[len]) {
                        *ret_value = at;
                        return true;
                }
                path += len + 1;
        }
}

char *skim_scalar(struct skim_span value)
{
        if (value.len == 0 || *value.p == '{' || *value.p == '[' || skim_is(value, "null"))
                return NULL;
        if (*value.p != '"')
                return kc_strndup(value.p, value.len);
        if (!memchr(value.p, '\\', value.len))
                return kc_strndup(value.p + 1, value.len - 2);
        KC_CLEANUP(kc_json_freep) struct json_object *o = NULL;
        if (kc_json_parse(value.p, value.len, NULL, &o, NULL) < 0)
                return NULL;
        return kc_strdup(kc_json_as_str(o));
}
