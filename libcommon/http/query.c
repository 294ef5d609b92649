/* Query strings, as Go's url.ParseQuery reads them: pieces with a ';' or a broken escape are left out. Any thread. */
#include <string.h>

#include "base/encode.h"
#include "base/mem.h"
#include "base/str.h"
#include "http/server.h"

static bool next_pair(const char **at, char **ret_name, char **ret_value)
{
        while (**at) {
                const char *pair = *at;
                size_t len = strcspn(pair, "&");
                *at = pair + len + (pair[len] ? 1 : 0);
                if (len == 0 || memchr(pair, ';', len))
                        continue;
                const char *eq = memchr(pair, '=', len);
                size_t name_len = eq ? (size_t)(eq - pair) : len;
                const char *value = eq ? eq + 1 : pair + len;
                size_t value_len = eq ? len - name_len - 1 : 0;
                char *name;
                if (kc_url_unescape(pair, name_len, true, &name) < 0)
                        continue;
                if (kc_url_unescape(value, value_len, true, ret_value) < 0) {
                        kc_free(name);
                        continue;
                }
                *ret_name = name;
                return true;
        }
        return false;
}

char *kc_query_get(const char *query, const char *name)
{
        char *n, *v;
        while (next_pair(&query, &n, &v)) {
                bool found = kc_streq(n, name);
                kc_free(n);
                if (found)
                        return v;
                kc_free(v);
        }
        return NULL;
}

bool kc_query_bool(const char *query, const char *name, bool def)
{
        KC_CLEANUP(kc_freep) char *v = kc_query_get(query, name);
        return v ? strcasecmp(v, "false") != 0 && strcmp(v, "0") != 0 : def;
}

char **kc_query_get_all(const char *query, const char *name)
{
        char **all = NULL, *n, *v;
        while (next_pair(&query, &n, &v)) {
                if (kc_streq(n, name))
                        kc_strv_push_take(&all, v);
                else
                        kc_free(v);
                kc_free(n);
        }
        return all;
}
