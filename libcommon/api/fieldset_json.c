/* FieldsV1, the form of field sets in managedFields: reading and writing. Pure: any thread. */
#include <errno.h>

#include "api/fieldset_internal.h"

/* Adds a node behind the others if it belongs there, which it does in what we have written. */
static struct kc_fieldset_node *add_node(struct kc_arena *a, struct kc_fieldset *set, const struct kc_path_element *e)
{
        struct kc_path_element path[1] = {*e};
        kc_fieldset_insert(a, set, path, 1);
        return (struct kc_fieldset_node *)kc_fieldset_find(set, e);
}

/* *ret: NULL when nothing is below; *ret_member: the path to v is itself a member. */
static int decode(
    struct kc_arena *a, const struct json_object *v, struct kc_fieldset **ret, bool *ret_member, struct kc_error *err)
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
                int r = kc_path_element_decode(a, key, &e, err);
                if (r < 0)
                        return r;
                if (r > 0)
                        continue;
                r = decode(a, below, &children, &member, err);
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

int kc_fieldset_decode(
    struct kc_arena *a, const struct json_object *v, const struct kc_fieldset **ret, struct kc_error *err)
{
        struct kc_fieldset *set;
        bool member;
        int r = decode(a, v, &set, &member, err);
        if (r == 0)
                *ret = set;
        return r;
}

static struct json_object *encode(const struct kc_fieldset *set, bool self, struct kc_buf *name)
{
        struct json_object *o = json_object_new_object();
        if (self && set)
                kc_json_set(o, ".", json_object_new_object());
        for (size_t i = 0; set && i < set->n; i++) {
                const struct kc_fieldset_node *node = &set->v[i];
                struct json_object *below = encode(node->children, node->member, name);
                kc_buf_reset(name);
                kc_path_element_encode(name, &node->at);
                kc_json_set(o, kc_buf_str(name), below);
        }
        return o;
}

struct json_object *kc_fieldset_encode(const struct kc_fieldset *set)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf name = KC_BUF_INIT;
        return encode(set, false, &name);
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
