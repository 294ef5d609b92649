/* The list of variables, and $(VAR) expansion. Pure. */
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "kubelet/env/env_internal.h"

void kc_env_done(struct kc_env *e)
{
        kc_strv_free(e->names);
        kc_strv_free(e->values);
        *e = (struct kc_env){0};
}

static const char *find(const struct kc_env *e, const char *name, size_t len)
{
        for (size_t i = 0; e && i < e->n; i++)
                if (strncmp(e->names[i], name, len) == 0 && e->names[i][len] == '\0')
                        return e->values[i];
        return NULL;
}

const char *kc_env_get(const struct kc_env *e, const char *name)
{
        return find(e, name, strlen(name));
}

void kc_env_set(struct kc_env *e, const char *name, const char *value)
{
        for (size_t i = 0; i < e->n; i++)
                if (kc_streq(e->names[i], name)) {
                        kc_str_set(&e->values[i], value);
                        return;
                }
        kc_strv_push(&e->names, name);
        kc_strv_push(&e->values, value);
        e->n++;
}

char *kc_env_expand_two(const char *s, const struct kc_env *e, const struct kc_env *fallback, char ***ret_missing)
{
        struct kc_buf out = KC_BUF_INIT;
        while (*s) {
                const char *end;
                if (s[0] != '$' || s[1] == '\0') {
                        kc_buf_addc(&out, *s++);
                } else if (s[1] == '$') {
                        kc_buf_addc(&out, '$');
                        s += 2;
                } else if (s[1] == '(' && (end = strchr(s + 2, ')'))) {
                        size_t len = (size_t)(end - s) - 2;
                        const char *value = find(e, s + 2, len) ?: find(fallback, s + 2, len);
                        if (value) {
                                kc_buf_adds(&out, value);
                        } else {
                                kc_buf_add(&out, s, len + 3);
                                if (ret_missing)
                                        kc_strv_push_take(ret_missing, kc_strndup(s + 2, len));
                        }
                        s = end + 1;
                } else {
                        /* Not a reference: both characters as they are. */
                        kc_buf_add(&out, s, 2);
                        s += 2;
                }
        }
        return kc_buf_take_str(&out);
}

char *kc_env_expand(const char *s, const struct kc_env *e)
{
        return kc_env_expand_two(s, e, NULL, NULL);
}

char *kc_env_expand_strict(const char *s, const struct kc_env *e, char ***ret_missing)
{
        return kc_env_expand_two(s, e, NULL, ret_missing);
}

char **kc_env_expand_array(const struct json_object *array, const struct kc_env *e)
{
        char **v = KC_NEW(char *);
        for (size_t i = 0; i < kc_json_len(array); i++)
                kc_strv_push_take(&v, kc_env_expand(kc_json_as_str(kc_json_idx(array, i)) ?: "", e));
        return v;
}
