/* The fields that an object sets, and sets of fields in the light of the schema. Pure: any thread. */
#include <string.h>

#include "api/structured_internal.h"

/* Built bottom-up: each value's set is its own, so that nothing is looked up from the root. *ret_member: the value is a
 * field of its own. */
struct to_set {
        struct kc_arena *a;
        size_t depth;
};

static struct kc_fieldset *set_of(struct to_set *w, struct st_type t, const struct json_object *v, bool *ret_member);

static void add(struct to_set *w, struct kc_fieldset *set, const struct kc_path_element *at, bool member,
    const struct kc_fieldset *children)
{
        struct kc_path_element path[1] = {*at};
        if (!member && !children)
                return;
        kc_fieldset_insert(w->a, set, path, 1);
        struct kc_fieldset_node *node = (struct kc_fieldset_node *)kc_fieldset_find(set, at);
        node->member = member;
        node->children = children;
}

static struct kc_fieldset *non_empty(struct kc_fieldset *set)
{
        return set->n > 0 ? set : NULL;
}

static struct kc_fieldset *set_of_map(struct to_set *w, struct st_type t, const struct json_object *v)
{
        struct kc_fieldset *set = kc_arena_alloc(w->a, sizeof(*set));
        KC_JSON_FOREACH(v, key, val)
        {
                struct st_type below;
                bool named, member;
                if (!st_field(t, key, &below, &named))
                        continue;
                struct kc_fieldset *children = set_of(w, below, val, &member);
                if (!named || !val || (kc_json_is_obj(val) && kc_json_n_keys(val) == 0))
                        member = true;
                const struct kc_path_element at = kc_path_field(key);
                add(w, set, &at, member, children);
        }
        return non_empty(set);
}

static struct kc_fieldset *set_of_list(struct to_set *w, struct st_type t, const struct json_object *v)
{
        struct kc_fieldset *set = kc_arena_alloc(w->a, sizeof(*set));
        struct st_index x;
        st_index_make(w->a, t, v, &x);
        for (size_t i = 0; i < x.n_sorted; i++) {
                const struct st_entry *e = &x.sorted[i];
                size_t n;
                bool member;
                const struct st_entry *first = st_index_find(&x, &e->at, &n);
                struct kc_fieldset *children = n > 1 ? NULL : set_of(w, st_element(t), kc_json_idx(v, e->pos), &member);
                if (first == e)
                        add(w, set, &e->at, true, children);
        }
        return non_empty(set);
}

static struct kc_fieldset *set_of(struct to_set *w, struct st_type t, const struct json_object *v, bool *ret_member)
{
        struct kc_fieldset *set = NULL;
        enum st_shape shape = st_shape_of(t, v);
        *ret_member = shape == ST_LEAF;
        if (w->depth == KC_FIELDSET_MAX_DEPTH)
                return NULL;
        w->depth++;
        if (shape == ST_MAP && kc_json_is_obj(v))
                set = set_of_map(w, t, v);
        else if (shape == ST_LIST && kc_json_is_arr(v))
                set = set_of_list(w, t, v);
        w->depth--;
        return set;
}

const struct kc_fieldset *kc_structured_set(
    struct kc_arena *a, const struct json_object *tree, const struct kc_type *type)
{
        struct to_set w = {.a = a};
        bool member;
        return set_of(&w, (struct st_type){.type = type}, tree, &member);
}

/* --- names */

/* The type below a node of a set; false: the schema has none. */
static bool type_below(struct st_type t, const struct kc_path_element *at, struct st_type *ret, bool *ret_named)
{
        *ret_named = false;
        if (at->kind == KC_PATH_FIELD) {
                if (t.type->kind != KC_TYPE_OBJECT && t.type->kind != KC_TYPE_MAP && t.type->kind != KC_TYPE_RAW &&
                    t.type->kind != KC_TYPE_VARIANT)
                        return false;
                return st_field(t, at->bytes, ret, ret_named);
        }
        if (t.type->kind != KC_TYPE_ARRAY)
                return false;
        *ret = st_element(t);
        return true;
}

static const struct kc_fieldset *name_fields(struct kc_arena *a, const struct kc_fieldset *set, struct st_type t)
{
        if (kc_fieldset_empty(set))
                return NULL;
        struct kc_fieldset *out = kc_arena_alloc(a, sizeof(*out));
        out->n = out->cap = set->n;
        out->v = kc_arena_alloc(a, set->n * sizeof(*out->v));
        for (size_t i = 0; i < set->n; i++) {
                struct st_type below;
                bool named;
                out->v[i] = set->v[i];
                if (!set->v[i].children || !type_below(t, &set->v[i].at, &below, &named))
                        continue;
                out->v[i].member = out->v[i].member || named;
                out->v[i].children = name_fields(a, set->v[i].children, below);
        }
        return out;
}

const struct kc_fieldset *kc_structured_name_fields(
    struct kc_arena *a, const struct kc_fieldset *set, const struct kc_type *type)
{
        return name_fields(a, set, (struct st_type){.type = type});
}

/* --- reconciling with a schema that has changed */

/* live's value at a node. */
static const struct json_object *value_at(
    struct kc_arena *a, struct st_type t, const struct json_object *v, const struct kc_path_element *at)
{
        if (at->kind == KC_PATH_FIELD)
                return kc_json_get(v, at->bytes);
        for (size_t i = 0; i < kc_json_len(v); i++) {
                struct kc_path_element e;
                if (st_item(a, t, kc_json_idx(v, i), &e, NULL) == 0 && kc_path_element_cmp(&e, at) == 0)
                        return kc_json_idx(v, i);
        }
        return NULL;
}

/* What becomes of one node. */
static void reconcile_node(struct kc_arena *a, struct kc_fieldset_node *node, struct st_type t,
    const struct json_object *live, bool *ret_changed);

static const struct kc_fieldset *reconcile(
    struct kc_arena *a, const struct kc_fieldset *set, struct st_type t, const struct json_object *live)
{
        struct kc_fieldset *out = NULL;
        for (size_t i = 0; set && i < set->n; i++) {
                struct kc_fieldset_node node = set->v[i];
                struct st_type below;
                bool named, changed = false;
                /* A field that the schema has no more stays as it is: the object does not have it either. */
                if (type_below(t, &node.at, &below, &named))
                        reconcile_node(a, &node, below, value_at(a, t, live, &node.at), &changed);
                if (changed && !out) {
                        out = kc_arena_alloc(a, sizeof(*out));
                        out->n = out->cap = set->n;
                        out->v = kc_arena_alloc(a, set->n * sizeof(*out->v));
                        memcpy(out->v, set->v, set->n * sizeof(*out->v));
                }
                if (changed)
                        out->v[i] = node;
        }
        return out ? out : set;
}

static bool could_have_parts(struct st_type t)
{
        return t.type->kind == KC_TYPE_OBJECT || t.type->kind == KC_TYPE_MAP || t.type->kind == KC_TYPE_ARRAY;
}

static void reconcile_node(struct kc_arena *a, struct kc_fieldset_node *node, struct st_type t,
    const struct json_object *live, bool *ret_changed)
{
        if (!could_have_parts(t))
                return;
        bool leaf = st_shape_of(t, live) == ST_LEAF, member;
        if (node->children && leaf) {
                node->children = NULL;
                node->member = true;
                *ret_changed = true;
        } else if (node->children) {
                const struct kc_fieldset *children = reconcile(a, node->children, t, live);
                *ret_changed = children != node->children;
                node->children = children;
        } else if (node->member && !leaf) {
                struct to_set w = {.a = a};
                node->children = set_of(&w, t, live, &member);
                *ret_changed = node->children != NULL;
        }
}

const struct kc_fieldset *kc_structured_reconcile(
    struct kc_arena *a, const struct kc_fieldset *set, const struct json_object *live, const struct kc_type *type)
{
        return reconcile(a, set, (struct st_type){.type = type}, live);
}
