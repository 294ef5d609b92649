/* The algebra of field sets: sorted arrays that are merged. Results share what operands have alone. */
#include "api/fieldset.h"

#include <string.h>

/* --- building */

/* The place of e, or where it belongs. */
static size_t place_of(const struct kc_fieldset *set, const struct kc_path_element *e, bool *ret_found)
{
        size_t lo = 0, hi = set->n;
        *ret_found = false;
        /* What is read or walked in order goes behind the last. */
        if (hi > 0 && kc_path_element_cmp(&set->v[hi - 1].at, e) < 0)
                return hi;
        while (lo < hi) {
                size_t mid = lo + (hi - lo) / 2;
                int c = kc_path_element_cmp(&set->v[mid].at, e);
                if (c == 0) {
                        *ret_found = true;
                        return mid;
                }
                if (c < 0)
                        lo = mid + 1;
                else
                        hi = mid;
        }
        return lo;
}

static struct kc_fieldset_node *make_room(struct kc_arena *a, struct kc_fieldset *set, size_t at)
{
        enum { FIRST = 4 };
        if (set->n == set->cap) {
                size_t cap = set->cap ? set->cap * 2 : (size_t)FIRST;
                struct kc_fieldset_node *v = kc_arena_alloc(a, cap * sizeof(*v));
                if (set->n > 0)
                        memcpy(v, set->v, set->n * sizeof(*v));
                set->v = v;
                set->cap = cap;
        }
        memmove(&set->v[at + 1], &set->v[at], (set->n - at) * sizeof(*set->v));
        set->n++;
        set->v[at] = (struct kc_fieldset_node){0};
        return &set->v[at];
}

static struct kc_fieldset_node *ensure_node(
    struct kc_arena *a, struct kc_fieldset *set, const struct kc_path_element *e)
{
        bool found;
        size_t at = place_of(set, e, &found);
        if (found)
                return &set->v[at];
        struct kc_fieldset_node *node = make_room(a, set, at);
        node->at = *e;
        return node;
}

void kc_fieldset_insert(struct kc_arena *a, struct kc_fieldset *set, const struct kc_path_element *path, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                struct kc_fieldset_node *node = ensure_node(a, set, &path[i]);
                if (i + 1 == n) {
                        node->member = true;
                        return;
                }
                if (!node->children)
                        node->children = kc_arena_alloc(a, sizeof(*node->children));
                /* While a set is built, all that is below it is its own. */
                set = (struct kc_fieldset *)node->children;
        }
}

void kc_fieldset_insert_names(struct kc_arena *a, struct kc_fieldset *set, const char *const *names)
{
        enum { MAX_NAMES = 16 };
        struct kc_path_element path[MAX_NAMES];
        size_t n = 0;
        for (; names[n] && n < MAX_NAMES; n++)
                path[n] = kc_path_field(names[n]);
        kc_fieldset_insert(a, set, path, n);
}

/* --- questions */

bool kc_fieldset_empty(const struct kc_fieldset *set)
{
        return !set || set->n == 0;
}

size_t kc_fieldset_size(const struct kc_fieldset *set)
{
        size_t size = 0;
        for (size_t i = 0; set && i < set->n; i++)
                size += (set->v[i].member ? 1 : 0) + kc_fieldset_size(set->v[i].children);
        return size;
}

const struct kc_fieldset_node *kc_fieldset_find(const struct kc_fieldset *set, const struct kc_path_element *e)
{
        bool found;
        if (!set)
                return NULL;
        size_t at = place_of(set, e, &found);
        return found ? &set->v[at] : NULL;
}

bool kc_fieldset_has(const struct kc_fieldset *set, const struct kc_path_element *path, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                const struct kc_fieldset_node *node = kc_fieldset_find(set, &path[i]);
                if (!node)
                        return false;
                if (i + 1 == n)
                        return node->member;
                set = node->children;
        }
        return false;
}

bool kc_fieldset_equal(const struct kc_fieldset *a, const struct kc_fieldset *b)
{
        size_t n = a ? a->n : 0;
        if (a == b)
                return true;
        if (n != (b ? b->n : 0))
                return false;
        for (size_t i = 0; i < n; i++)
                if (a->v[i].member != b->v[i].member || kc_path_element_cmp(&a->v[i].at, &b->v[i].at) != 0 ||
                    !kc_fieldset_equal(a->v[i].children, b->v[i].children))
                        return false;
        return true;
}

/* --- the algebra */

/* What becomes of an element that one operand (b or a NULL) or both have. False: nothing. */
typedef bool (*combine_fn)(struct kc_arena *ar, const struct kc_fieldset_node *a, const struct kc_fieldset_node *b,
    struct kc_fieldset_node *ret);

static const struct kc_fieldset *none_if_empty(const struct kc_fieldset *set)
{
        return set && set->n > 0 ? set : NULL;
}

static const struct kc_fieldset *combine(
    struct kc_arena *ar, const struct kc_fieldset *a, const struct kc_fieldset *b, combine_fn fn)
{
        size_t na = a ? a->n : 0, nb = b ? b->n : 0, i = 0, j = 0;
        if (na + nb == 0)
                return NULL;
        struct kc_fieldset *out = kc_arena_alloc(ar, sizeof(*out));
        out->cap = na + nb;
        out->v = kc_arena_alloc(ar, out->cap * sizeof(*out->v));
        while (i < na || j < nb) {
                int c = i == na ? 1 : j == nb ? -1 : kc_path_element_cmp(&a->v[i].at, &b->v[j].at);
                const struct kc_fieldset_node *x = c <= 0 ? &a->v[i++] : NULL, *y = c >= 0 ? &b->v[j++] : NULL;
                struct kc_fieldset_node node = {.at = x ? x->at : y->at};
                if (fn(ar, x, y, &node) && (node.member || node.children))
                        out->v[out->n++] = node;
        }
        return none_if_empty(out);
}

static bool united(struct kc_arena *ar, const struct kc_fieldset_node *a, const struct kc_fieldset_node *b,
    struct kc_fieldset_node *ret)
{
        if (!a || !b) {
                *ret = a ? *a : *b;
                return true;
        }
        ret->member = a->member || b->member;
        ret->children = kc_fieldset_union(ar, a->children, b->children);
        return true;
}

const struct kc_fieldset *kc_fieldset_union(
    struct kc_arena *ar, const struct kc_fieldset *a, const struct kc_fieldset *b)
{
        if (kc_fieldset_empty(a) || a == b)
                return none_if_empty(b);
        return kc_fieldset_empty(b) ? a : combine(ar, a, b, united);
}

static bool common(struct kc_arena *ar, const struct kc_fieldset_node *a, const struct kc_fieldset_node *b,
    struct kc_fieldset_node *ret)
{
        if (!a || !b)
                return false;
        ret->member = a->member && b->member;
        ret->children = kc_fieldset_intersection(ar, a->children, b->children);
        return true;
}

const struct kc_fieldset *kc_fieldset_intersection(
    struct kc_arena *ar, const struct kc_fieldset *a, const struct kc_fieldset *b)
{
        if (kc_fieldset_empty(a) || kc_fieldset_empty(b))
                return NULL;
        return a == b ? a : combine(ar, a, b, common);
}

static bool without(struct kc_arena *ar, const struct kc_fieldset_node *a, const struct kc_fieldset_node *b,
    struct kc_fieldset_node *ret)
{
        if (!a)
                return false;
        if (!b) {
                *ret = *a;
                return true;
        }
        ret->member = a->member && !b->member;
        ret->children = kc_fieldset_difference(ar, a->children, b->children);
        return true;
}

const struct kc_fieldset *kc_fieldset_difference(
    struct kc_arena *ar, const struct kc_fieldset *a, const struct kc_fieldset *b)
{
        if (kc_fieldset_empty(a) || kc_fieldset_empty(b))
                return none_if_empty(a);
        return combine(ar, a, b, without);
}

static bool without_below(struct kc_arena *ar, const struct kc_fieldset_node *a, const struct kc_fieldset_node *b,
    struct kc_fieldset_node *ret)
{
        if (!a || (b && b->member))
                return false;
        *ret = *a;
        if (b)
                ret->children = kc_fieldset_recursive_difference(ar, a->children, b->children);
        return true;
}

const struct kc_fieldset *kc_fieldset_recursive_difference(
    struct kc_arena *ar, const struct kc_fieldset *a, const struct kc_fieldset *b)
{
        if (kc_fieldset_empty(a) || kc_fieldset_empty(b))
                return none_if_empty(a);
        return combine(ar, a, b, without_below);
}

static bool leaf(struct kc_arena *ar, const struct kc_fieldset_node *a, const struct kc_fieldset_node *b,
    struct kc_fieldset_node *ret)
{
        (void)b; /* there is no second operand */
        ret->member = a->member && !a->children;
        ret->children = kc_fieldset_leaves(ar, a->children);
        return true;
}

const struct kc_fieldset *kc_fieldset_leaves(struct kc_arena *ar, const struct kc_fieldset *set)
{
        return combine(ar, set, NULL, leaf);
}

/* --- filters */

enum { MAX_PATTERNS = 16 };

static bool matches(const struct kc_path_element *e, const char *pattern, size_t len)
{
        if (len == 1 && pattern[0] == '*')
                return true;
        return e->kind == KC_PATH_FIELD && e->len == len && memcmp(e->bytes, pattern, len) == 0;
}

/* patterns: what is left of each; an exhausted one takes all that is below. */
static const struct kc_fieldset *filter(
    struct kc_arena *ar, const struct kc_fieldset *set, const char *const *patterns, size_t n)
{
        if (kc_fieldset_empty(set))
                return NULL;
        struct kc_fieldset *out = kc_arena_alloc(ar, sizeof(*out));
        out->cap = set->n;
        out->v = kc_arena_alloc(ar, out->cap * sizeof(*out->v));
        for (size_t i = 0; i < set->n; i++) {
                const char *left[MAX_PATTERNS];
                size_t n_left = 0;
                bool whole = false;
                for (size_t k = 0; k < n; k++) {
                        size_t len = strcspn(patterns[k], ".");
                        if (!matches(&set->v[i].at, patterns[k], len))
                                continue;
                        if (patterns[k][len] == '\0')
                                whole = true;
                        else
                                left[n_left++] = patterns[k] + len + 1;
                }
                struct kc_fieldset_node node = set->v[i];
                if (!whole) {
                        node.member = node.member && n_left > 0;
                        node.children = filter(ar, node.children, left, n_left);
                }
                if (node.member || node.children)
                        out->v[out->n++] = node;
        }
        return none_if_empty(out);
}

const struct kc_fieldset *kc_fieldset_filter(
    struct kc_arena *ar, const struct kc_fieldset *set, const char *const *patterns)
{
        size_t n = 0;
        while (patterns[n] && n < MAX_PATTERNS)
                n++;
        return filter(ar, set, patterns, n);
}

/* --- walking */

static void each(
    const struct kc_fieldset *set, struct kc_path_element *path, size_t depth, kc_fieldset_fn fn, void *arg)
{
        if (!set || depth == KC_FIELDSET_MAX_DEPTH)
                return;
        for (size_t i = 0; i < set->n; i++) {
                path[depth] = set->v[i].at;
                if (set->v[i].member)
                        fn(path, depth + 1, arg);
        }
        for (size_t i = 0; i < set->n; i++) {
                path[depth] = set->v[i].at;
                each(set->v[i].children, path, depth + 1, fn, arg);
        }
}

void kc_fieldset_each(const struct kc_fieldset *set, kc_fieldset_fn fn, void *arg)
{
        struct kc_path_element path[KC_FIELDSET_MAX_DEPTH];
        each(set, path, 0, fn, arg);
}
