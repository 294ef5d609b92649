/* Merging and pruning of objects by the schema. Pure: any thread. */
#include "api/structured_internal.h"

enum { MAX_DEPTH = KC_FIELDSET_MAX_DEPTH };

struct merge {
        struct kc_arena arena; /* of path elements */
        size_t depth;
};

/* False: nothing is left, the field is to be absent. *ret may be NULL for null. */
static bool merge_value(
    struct merge *m, struct st_type t, struct st_value l, struct st_value r, struct json_object **ret);

static bool take_leaf(struct st_value l, struct st_value r, struct json_object **ret)
{
        *ret = kc_json_copy(r.set ? r.v : l.v);
        return r.set || l.set;
}

static void merge_field(
    struct merge *m, struct st_type t, const char *key, struct st_value l, struct st_value r, struct json_object *out)
{
        struct st_type below;
        struct json_object *v;
        bool named;
        if (st_field(t, key, &below, &named) && merge_value(m, below, l, r, &v))
                kc_json_set(out, key, v);
}

static bool merge_maps(struct merge *m, struct st_type t, const struct json_object *l, const struct json_object *r,
    struct json_object **ret)
{
        struct json_object *out = json_object_new_object();
        KC_JSON_FOREACH(l, key, val)
        merge_field(m, t, key, (struct st_value){.v = val, .set = true}, st_get(r, key), out);
        KC_JSON_FOREACH(r, key, val)
        {
                if (!st_get(l, key).set)
                        merge_field(m, t, key, (struct st_value){0}, (struct st_value){.v = val, .set = true}, out);
        }
        if (kc_json_n_keys(out) == 0) {
                kc_json_free(out);
                return false;
        }
        *ret = out;
        return true;
}

/* --- lists: base's elements (left) and the patch's (right), which settles the order of those that both have */

struct lists {
        struct merge *m;
        struct st_type t;
        const struct json_object *l, *r;
        struct st_index left, right;
        bool *merged;  /* by position in right: it has been put out */
        size_t shared; /* position in right of the next element that left has, too; right.n: none */
        struct json_object *out;
};

static const struct st_entry *only(const struct st_index *x, const struct kc_path_element *e)
{
        size_t n;
        const struct st_entry *found = st_index_find(x, e, &n);
        return n == 1 ? found : NULL;
}

static bool has(const struct st_index *x, const struct kc_path_element *e)
{
        size_t n;
        return st_index_find(x, e, &n) != NULL;
}

static void next_shared(struct lists *s, size_t from)
{
        s->shared = from;
        while (s->shared < s->right.n && (s->right.all[s->shared].bad || !has(&s->left, &s->right.all[s->shared].at)))
                s->shared++;
}

static void put(struct lists *s, struct st_value l, struct st_value r)
{
        struct json_object *v;
        if (merge_value(s->m, st_element(s->t), l, r, &v))
                kc_json_push(s->out, v);
}

static void put_right(struct lists *s, size_t ri)
{
        const struct st_entry *e = &s->right.all[ri], *x = e->bad ? NULL : only(&s->left, &e->at);
        put(s, (struct st_value){.v = x ? kc_json_idx(s->l, x->pos) : NULL, .set = x != NULL},
            (struct st_value){.v = kc_json_idx(s->r, ri), .set = true});
        s->merged[ri] = true;
        if (ri == s->shared)
                next_shared(s, ri + 1);
}

/* One step; the order is that of structured-merge-diff. */
static void merge_step(struct lists *s, size_t *li, size_t *ri)
{
        const struct st_entry *x = *li < s->left.n ? &s->left.all[*li] : NULL;
        const struct st_entry *y = *ri < s->right.n ? &s->right.all[*ri] : NULL;
        const struct st_entry *there = x && !x->bad ? only(&s->right, &x->at) : NULL;
        if (x && y && there && there->pos == *ri) {
                put_right(s, *ri);
                (*li)++;
                (*ri)++;
                return;
        }
        if (x && y && there && s->shared < s->right.n && there->pos != s->shared) {
                (*li)++; /* both have it, but it is not the one whose turn it is */
                return;
        }
        if (x && !there) {
                put(s, (struct st_value){.v = kc_json_idx(s->l, *li), .set = true}, (struct st_value){0});
                (*li)++;
                return;
        }
        if (x && s->merged[there->pos])
                (*li)++;
        if (y)
                put_right(s, (*ri)++);
}

static bool merge_lists(struct merge *m, struct st_type t, const struct json_object *l, const struct json_object *r,
    struct json_object **ret)
{
        struct lists s = {.m = m, .t = t, .l = l, .r = r, .out = json_object_new_array()};
        size_t li = 0, ri = 0;
        st_index_make(&m->arena, t, l, &s.left);
        st_index_make(&m->arena, t, r, &s.right);
        s.merged = kc_arena_alloc(&m->arena, s.right.n + 1);
        next_shared(&s, 0);
        while (li < s.left.n || ri < s.right.n)
                merge_step(&s, &li, &ri);
        if (kc_json_len(s.out) == 0) {
                kc_json_free(s.out);
                return false;
        }
        *ret = s.out;
        return true;
}

static bool merge_value(
    struct merge *m, struct st_type t, struct st_value l, struct st_value r, struct json_object **ret)
{
        enum st_shape lshape = st_shape_of(t, l.v), rshape = st_shape_of(t, r.v);
        if (!l.set)
                lshape = rshape;
        if (!r.set)
                rshape = lshape;
        if (lshape != rshape || rshape == ST_LEAF || m->depth == MAX_DEPTH)
                return take_leaf(l, r, ret);
        const struct json_object *lv = st_filled(l, rshape), *rv = st_filled(r, rshape);
        if (!lv && !rv)
                return take_leaf(l, r, ret);
        m->depth++;
        bool any = rshape == ST_MAP ? merge_maps(m, t, lv, rv, ret) : merge_lists(m, t, lv, rv, ret);
        m->depth--;
        return any;
}

struct json_object *kc_structured_merge(
    const struct json_object *base, const struct json_object *patch, const struct kc_type *type)
{
        struct merge m = {0};
        struct json_object *out = NULL;
        if (!merge_value(&m, (struct st_type){.type = type}, (struct st_value){.v = base, .set = true},
                (struct st_value){.v = patch, .set = true}, &out))
                out = json_object_new_object();
        kc_arena_done(&m.arena);
        return out;
}

/* --- removing */

struct removal {
        struct kc_arena arena;
        size_t depth;
};

static struct json_object *remove_below(
    struct removal *x, struct st_type t, const struct json_object *v, const struct kc_fieldset *set);

static struct json_object *remove_fields(
    struct removal *x, struct st_type t, const struct json_object *v, const struct kc_fieldset *set)
{
        struct json_object *out = json_object_new_object();
        KC_JSON_FOREACH(v, key, val)
        {
                const struct kc_path_element at = kc_path_field(key);
                const struct kc_fieldset_node *node = kc_fieldset_find(set, &at);
                struct st_type below;
                bool named;
                if (node && node->member)
                        continue;
                bool inside = node && st_field(t, key, &below, &named);
                kc_json_set(out, key, inside ? remove_below(x, below, val, node->children) : kc_json_copy(val));
        }
        if (kc_json_n_keys(out) > 0)
                return out;
        kc_json_free(out);
        return NULL;
}

static struct json_object *remove_items(
    struct removal *x, struct st_type t, const struct json_object *v, const struct kc_fieldset *set)
{
        struct json_object *out = json_object_new_array();
        for (size_t i = 0; i < kc_json_len(v); i++) {
                const struct json_object *item = kc_json_idx(v, i);
                struct kc_path_element at;
                const struct kc_fieldset_node *node = NULL;
                if (st_item(&x->arena, t, item, &at, NULL) == 0)
                        node = kc_fieldset_find(set, &at);
                if (node && node->member)
                        continue;
                kc_json_push(out, node ? remove_below(x, st_element(t), item, node->children) : kc_json_copy(item));
        }
        if (kc_json_len(out) > 0)
                return out;
        kc_json_free(out);
        return NULL;
}

/* As upstream: nothing left is null, and so is an atomic value of which a part is to go. */
static struct json_object *remove_below(
    struct removal *x, struct st_type t, const struct json_object *v, const struct kc_fieldset *set)
{
        struct json_object *out;
        if (x->depth == MAX_DEPTH)
                return kc_json_copy(v);
        x->depth++;
        if (st_shape_of(t, v) == ST_MAP && kc_json_is_obj(v))
                out = remove_fields(x, t, v, set);
        else if (st_shape_of(t, v) == ST_LIST && kc_json_is_arr(v))
                out = remove_items(x, t, v, set);
        else if (kc_json_is_obj(v) || kc_json_is_arr(v))
                out = NULL;
        else
                out = kc_json_copy(v);
        x->depth--;
        return out;
}

struct json_object *kc_structured_remove(
    const struct json_object *tree, const struct kc_fieldset *set, const struct kc_type *type)
{
        struct removal x = {0};
        if (kc_fieldset_empty(set))
                return kc_json_copy(tree);
        struct json_object *out = remove_below(&x, (struct st_type){.type = type}, tree, set);
        kc_arena_done(&x.arena);
        return out ? out : json_object_new_object();
}
