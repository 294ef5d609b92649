/* What a write has changed. Two trees are walked side by side; a path element is made only when something below it has
 * changed, so that comparing what is alike allocates nothing. */
#include <string.h>

#include "api/structured_internal.h"

/* A step of the path to the values that are compared. */
struct step {
        const char *name;    /* of a field */
        struct st_type list; /* of an element: its path element is made at need */
        const struct json_object *item;
        struct kc_path_element at;
        bool made;
};

struct compare {
        struct kc_arena *a;
        struct step path[KC_FIELDSET_MAX_DEPTH];
        size_t depth;
        struct kc_fieldset *removed, *modified, *added;
};

static void compare_value(struct compare *c, struct st_type t, struct st_value l, struct st_value r);

static void insert(struct compare *c, struct kc_fieldset *into)
{
        struct kc_path_element path[KC_FIELDSET_MAX_DEPTH];
        for (size_t i = 0; i < c->depth; i++) {
                struct step *s = &c->path[i];
                if (!s->made && s->name)
                        s->at = kc_path_field(s->name);
                else if (!s->made && st_item(c->a, s->list, s->item, &s->at, NULL) < 0)
                        return; /* only elements that have one are walked */
                s->made = true;
                path[i] = s->at;
        }
        kc_fieldset_insert(c->a, into, path, c->depth);
}

static void descend(struct compare *c, const struct step *s, struct st_type t, struct st_value l, struct st_value r)
{
        if (c->depth == KC_FIELDSET_MAX_DEPTH)
                return;
        c->path[c->depth++] = *s;
        compare_value(c, t, l, r);
        c->depth--;
}

static void compare_leaf(struct compare *c, struct st_value l, struct st_value r)
{
        if (!l.set)
                insert(c, c->added);
        else if (!r.set)
                insert(c, c->removed);
        else if (!st_equal(l.v, r.v))
                insert(c, c->modified);
}

/* Scalars that are the same are so whatever their type is. */
static bool same_scalars(struct st_value l, const struct json_object *r)
{
        return l.set && l.v && r && !kc_json_is_obj(r) && !kc_json_is_arr(r) && kc_json_equal(l.v, r);
}

static void compare_maps(struct compare *c, struct st_type t, const struct json_object *l, const struct json_object *r)
{
        struct st_type below;
        bool named;
        size_t missing = kc_json_n_keys(l);
        const char *at = kc_json_first(l);
        KC_JSON_FOREACH(r, key, val)
        {
                const struct step s = {.name = key};
                struct st_value was = {0};
                /* Mostly the keys are the same and in the same order, so that there is nothing to look up. */
                const char *next = at, *there = kc_json_next(&next, &was.v);
                was.set = there && strcmp(there, key) == 0;
                if (was.set)
                        at = next;
                else
                        was = st_get(l, key);
                missing -= was.set;
                if (!same_scalars(was, val) && st_field(t, key, &below, &named))
                        descend(c, &s, below, was, (struct st_value){.v = val, .set = true});
        }
        if (missing == 0)
                return;
        KC_JSON_FOREACH(l, key, val)
        {
                const struct step s = {.name = key};
                if (!st_get(r, key).set && st_field(t, key, &below, &named))
                        descend(c, &s, below, (struct st_value){.v = val, .set = true}, (struct st_value){0});
        }
}

/* --- lists */

/* The same elements in the same order, none twice: pairs can be compared without an index. */
static bool aligned(struct st_type t, const struct json_object *l, const struct json_object *r)
{
        enum { FEW = 8 };
        size_t n = kc_json_len(l);
        if (n != kc_json_len(r) || n > FEW)
                return false;
        for (size_t i = 0; i < n; i++) {
                if (!st_same_keys(t, kc_json_idx(l, i), kc_json_idx(r, i)))
                        return false;
                for (size_t k = 0; k < i; k++)
                        if (st_same_keys(t, kc_json_idx(l, i), kc_json_idx(l, k)))
                                return false;
        }
        return true;
}

static struct st_value item_of(const struct json_object *list, const struct st_entry *e)
{
        return e ? (struct st_value){.v = kc_json_idx(list, e->pos), .set = true} : (struct st_value){0};
}

static bool same_items(const struct json_object *l, const struct st_entry *x, const struct json_object *r,
    const struct st_entry *y, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (!st_equal(item_of(l, &x[i]).v, item_of(r, &y[i]).v))
                        return false;
        return true;
}

/* Elements that a list holds twice are one thing, without parts. */
static void compare_items(struct compare *c, struct st_type t, const struct json_object *l, const struct st_entry *x,
    size_t nx, const struct json_object *r, const struct st_entry *y, size_t ny)
{
        const struct step s = {.list = t, .at = x ? x->at : y->at, .made = true};
        if (nx <= 1 && ny <= 1) {
                descend(c, &s, st_element(t), item_of(l, x), item_of(r, y));
                return;
        }
        struct kc_fieldset *mark = NULL;
        if (nx >= 2 && ny >= 2) {
                if (nx != ny || !same_items(l, x, r, y, nx))
                        mark = c->modified;
        } else if (nx >= 2) {
                if (y)
                        descend(c, &s, st_element(t), (struct st_value){0}, item_of(r, y));
                mark = c->removed;
        } else {
                if (x)
                        descend(c, &s, st_element(t), item_of(l, x), (struct st_value){0});
                mark = c->added;
        }
        if (!mark || c->depth == KC_FIELDSET_MAX_DEPTH)
                return;
        c->path[c->depth++] = s;
        insert(c, mark);
        c->depth--;
}

/* Each kind of element once: at its first occurrence. */
static bool first_of(const struct st_index *x, const struct st_entry *e)
{
        size_t n;
        return !e->bad && st_index_find(x, &e->at, &n)->pos == e->pos;
}

static void compare_lists(struct compare *c, struct st_type t, const struct json_object *l, const struct json_object *r)
{
        if (aligned(t, l, r)) {
                for (size_t i = 0; i < kc_json_len(l); i++) {
                        const struct step s = {.list = t, .item = kc_json_idx(r, i)};
                        descend(c, &s, st_element(t), (struct st_value){.v = kc_json_idx(l, i), .set = true},
                            (struct st_value){.v = s.item, .set = true});
                }
                return;
        }
        struct st_index before, after;
        size_t nx, ny;
        st_index_make(c->a, t, l, &before);
        st_index_make(c->a, t, r, &after);
        for (size_t i = 0; i < before.n; i++) {
                if (!first_of(&before, &before.all[i]))
                        continue;
                const struct st_entry *x = st_index_find(&before, &before.all[i].at, &nx),
                                      *y = st_index_find(&after, &before.all[i].at, &ny);
                compare_items(c, t, l, x, nx, r, y, ny);
        }
        for (size_t i = 0; i < after.n; i++) {
                const struct st_entry *e = &after.all[i];
                if (!first_of(&after, e) || st_index_find(&before, &e->at, &nx))
                        continue;
                const struct st_entry *y = st_index_find(&after, &e->at, &ny);
                compare_items(c, t, l, NULL, 0, r, y, ny);
        }
}

/* --- values */

/* Two values of which at least one has parts, as the shape has them. */
static void compare_parts(
    struct compare *c, struct st_type t, enum st_shape shape, struct st_value l, struct st_value r)
{
        const struct json_object *lv = st_filled(l, shape), *rv = st_filled(r, shape);
        /* Two empty values may still differ: null is not an empty list. */
        if (!lv && !rv) {
                compare_leaf(c, l, r);
                return;
        }
        if (shape == ST_MAP)
                compare_maps(c, t, lv, rv);
        else
                compare_lists(c, t, lv, rv);
        if (!l.set)
                insert(c, c->added);
        else if (!r.set)
                insert(c, c->removed);
}

static void compare_value(struct compare *c, struct st_type t, struct st_value l, struct st_value r)
{
        enum st_shape lshape = st_shape_of(t, l.v), rshape = st_shape_of(t, r.v);
        if (!l.set)
                lshape = rshape;
        if (!r.set)
                rshape = lshape;
        if (lshape == ST_LEAF && rshape == ST_LEAF) {
                compare_leaf(c, l, r);
        } else if (lshape == rshape) {
                compare_parts(c, t, lshape, l, r);
        } else {
                /* Without a schema a map may have become a scalar, or the reverse: its parts come or go. */
                compare_maps(c, t, kc_json_is_obj(l.v) ? l.v : NULL, kc_json_is_obj(r.v) ? r.v : NULL);
                insert(c, c->modified);
        }
}

static const struct kc_fieldset *result(const struct kc_fieldset *set)
{
        return set->n > 0 ? set : NULL;
}

void kc_structured_compare(struct kc_arena *a, const struct json_object *before, const struct json_object *after,
    const struct kc_type *type, struct kc_structured_diff *ret)
{
        struct compare c = {.a = a};
        c.removed = kc_arena_alloc(a, sizeof(*c.removed));
        c.modified = kc_arena_alloc(a, sizeof(*c.modified));
        c.added = kc_arena_alloc(a, sizeof(*c.added));
        compare_value(&c, (struct st_type){.type = type}, (struct st_value){.v = before, .set = true},
            (struct st_value){.v = after, .set = true});
        *ret = (struct kc_structured_diff){
            .removed = result(c.removed), .modified = result(c.modified), .added = result(c.added)};
}
