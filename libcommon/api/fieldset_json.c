/* FieldsV1, the form of field sets in managedFields: reading and writing. Pure: any thread. */
#include <errno.h>
#include <string.h>

#include "api/fieldset_internal.h"

/* Adds a node behind the others if it belongs there, which it does in what we have written. */
static struct kc_fieldset_node *add_node(struct kc_arena *a, struct kc_fieldset *set, const struct kc_path_element *e)
{
        struct kc_path_element path[1] = {*e};
        kc_fieldset_insert(a, set, path, 1);
        return (struct kc_fieldset_node *)kc_fieldset_find(set, e);
}

/* *ret: NULL when nothing is below; *ret_member: the path to v is itself a member. brief: v does not live as long as
 * the arena. */
static int decode(struct kc_arena *a, const struct json_object *v, bool brief, struct kc_fieldset **ret,
    bool *ret_member, struct kc_error *err)
{
        struct kc_fieldset *set = NULL;
        bool self = false;
        if (v && !kc_json_is_obj(v))
                return kc_error_set(err, EINVAL, "a set of fields must be an object");
        KC_JSON_FOREACH(v, key, below)
        {
                struct kc_path_element e;
                struct kc_fieldset *children;
                bool member;
                if (key[0] == '.' && key[1] == '\0') {
                        self = true;
                        continue;
                }
                const char *text = brief ? kc_arena_strndup(a, key, strlen(key)) : key;
                int r = kc_path_element_decode(a, text, &e, err);
                if (r < 0)
                        return r;
                if (r > 0)
                        continue;
                r = decode(a, below, brief, &children, &member, err);
                if (r < 0)
                        return r;
                if (!set)
                        set = kc_arena_alloc(a, sizeof(*set));
                struct kc_fieldset_node *node = add_node(a, set, &e);
                node->member = member;
                node->children = children;
        }
        *ret = set;
        *ret_member = self || !set;
        return 0;
}

/* --- the same from text, which is compact JSON of objects in objects: a copy is cut into strings in place */

/* Behind the opening quote: the string, unescaped and ended; *at is behind its closing quote. NULL: something rare is
 * in it. */
static char *cut_string(char **at)
{
        char *start = *at, *out = start, *p = start;
        for (; *p && *p != '"'; p++) {
                if (*p == '\\') {
                        p++;
                        if (*p != '"' && *p != '\\')
                                return NULL;
                }
                *out++ = *p;
        }
        *at = *p ? p + 1 : p;
        *out = '\0';
        return start;
}

enum { TEXT_RARE = 1 }; /* what only the parser can read */

static int decode_text(struct kc_arena *a, char **at, struct kc_fieldset **ret, bool *ret_member, struct kc_error *err);

/* One member of an object: at its key. */
static int decode_text_member(
    struct kc_arena *a, char **at, struct kc_fieldset **set, bool *ret_self, struct kc_error *err)
{
        struct kc_path_element e;
        struct kc_fieldset *children;
        bool member;
        (*at)++; /* the quote */
        char *key = cut_string(at);
        if (!key)
                return TEXT_RARE;
        (*at)++; /* the colon */
        bool dot = key[0] == '.' && key[1] == '\0';
        int known = dot ? 1 : kc_path_element_decode(a, key, &e, err);
        int r = known < 0 ? known : decode_text(a, at, &children, &member, err);
        if (r != 0)
                return r;
        *ret_self = *ret_self || dot;
        if (known > 0)
                return 0;
        if (!*set)
                *set = kc_arena_alloc(a, sizeof(**set));
        struct kc_fieldset_node *node = add_node(a, *set, &e);
        node->member = member;
        node->children = children;
        return 0;
}

static int decode_text(struct kc_arena *a, char **at, struct kc_fieldset **ret, bool *ret_member, struct kc_error *err)
{
        struct kc_fieldset *set = NULL;
        bool self = false;
        (*at)++; /* the brace */
        while (**at == '"') {
                int r = decode_text_member(a, at, &set, &self, err);
                if (r != 0)
                        return r;
                if (**at == ',')
                        (*at)++;
        }
        if (**at)
                (*at)++; /* the other brace */
        *ret = set;
        *ret_member = self || !set;
        return 0;
}

int kc_fieldset_decode(
    struct kc_arena *a, const struct json_object *v, const struct kc_fieldset **ret, struct kc_error *err)
{
        struct kc_fieldset *set;
        bool member;
        const char *text = kc_json_raw(v);
        KC_CLEANUP(kc_json_freep) struct json_object *tree = NULL;
        int r = TEXT_RARE;
        if (text) {
                char *at = kc_arena_strndup(a, text, strlen(text));
                r = decode_text(a, &at, &set, &member, err);
                if (r == TEXT_RARE)
                        tree = kc_json_expand(v);
        }
        if (r == TEXT_RARE)
                r = decode(a, tree ? tree : v, tree != NULL, &set, &member, err);
        if (r == 0)
                *ret = set;
        return r;
}

static void write_set(struct kc_buf *b, const struct kc_fieldset *set, bool self, struct kc_buf *name)
{
        kc_buf_adds(b, self && set ? "{\".\":{}" : "{");
        for (size_t i = 0; set && i < set->n; i++) {
                const struct kc_fieldset_node *node = &set->v[i];
                kc_buf_reset(name);
                kc_path_element_encode(name, &node->at);
                if (i > 0 || self)
                        kc_buf_addc(b, ',');
                kc_json_write_string(b, kc_buf_str(name), name->len);
                kc_buf_addc(b, ':');
                write_set(b, node->children, node->member, name);
        }
        kc_buf_addc(b, '}');
}

void kc_fieldset_write(struct kc_buf *b, const struct kc_fieldset *set)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf name = KC_BUF_INIT;
        write_set(b, set, false, &name);
}

struct json_object *kc_fieldset_encode(const struct kc_fieldset *set)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf text = KC_BUF_INIT;
        kc_fieldset_write(&text, set);
        return kc_json_new_raw(text.data, text.len);
}
