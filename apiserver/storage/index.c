/* The persistent index. See index.h for the picture. */
#include "storage/index.h"

#include <stdatomic.h>
#include <string.h>

#include "base/mem.h"
#include "storage/cache.h"

struct leaf {
        atomic_size_t refs;
        size_t n;
        struct kc_cache_entry *v[INDEX_LEAF];
};

struct index_root {
        atomic_size_t refs;
        size_t n_entries, n, cap;
        struct leaf **leaves;
};

/* --- References */

static struct leaf *leaf_ref(struct leaf *l)
{
        atomic_fetch_add_explicit(&l->refs, 1, memory_order_relaxed);
        return l;
}

static void leaf_unref(struct leaf *l)
{
        if (atomic_fetch_sub_explicit(&l->refs, 1, memory_order_acq_rel) > 1)
                return;
        for (size_t i = 0; i < l->n; i++)
                kc_cache_entry_unref(l->v[i]);
        kc_free(l);
}

static struct leaf *leaf_new(void)
{
        struct leaf *l = kc_malloc(sizeof(*l));
        atomic_init(&l->refs, 1);
        l->n = 0;
        return l;
}

struct index_root *index_new(void)
{
        struct index_root *r = KC_NEW(struct index_root);
        atomic_init(&r->refs, 1);
        return r;
}

struct index_root *index_ref(struct index_root *r)
{
        atomic_fetch_add_explicit(&r->refs, 1, memory_order_relaxed);
        return r;
}

void index_unref(struct index_root *r)
{
        if (!r || atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) > 1)
                return;
        for (size_t i = 0; i < r->n; i++)
                leaf_unref(r->leaves[i]);
        kc_free(r->leaves);
        kc_free(r);
}

size_t index_len(const struct index_root *r)
{
        return r->n_entries;
}

/* --- Finding */

/* The leaf in which key is or would be: the last one that does not begin behind it (or the first). */
static size_t find_leaf(const struct index_root *r, const char *key)
{
        size_t lo = 0, hi = r->n;
        while (lo + 1 < hi) {
                size_t mid = lo + (hi - lo) / 2;
                if (strcmp(kc_cache_entry_key(r->leaves[mid]->v[0]), key) <= 0)
                        lo = mid;
                else
                        hi = mid;
        }
        return lo;
}

static size_t find_in_leaf(const struct leaf *l, const char *key, bool *ret_found)
{
        size_t lo = 0, hi = l->n;
        *ret_found = false;
        while (lo < hi) {
                size_t mid = lo + (hi - lo) / 2;
                int c = strcmp(kc_cache_entry_key(l->v[mid]), key);
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

struct kc_cache_entry *index_get(const struct index_root *r, const char *key)
{
        if (r->n == 0)
                return NULL;
        const struct leaf *l = r->leaves[find_leaf(r, key)];
        bool found;
        size_t at = find_in_leaf(l, key, &found);
        return found ? l->v[at] : NULL;
}

struct index_pos index_seek(const struct index_root *r, const char *key)
{
        if (r->n == 0)
                return (struct index_pos){0};
        bool found;
        size_t i = find_leaf(r, key);
        size_t at = find_in_leaf(r->leaves[i], key, &found);
        return at < r->leaves[i]->n ? (struct index_pos){i, at} : (struct index_pos){i + 1, 0};
}

struct kc_cache_entry *index_next(const struct index_root *r, struct index_pos *pos)
{
        if (pos->leaf >= r->n)
                return NULL;
        const struct leaf *l = r->leaves[pos->leaf];
        struct kc_cache_entry *e = l->v[pos->at];
        if (++pos->at == l->n) {
                pos->leaf++;
                pos->at = 0;
        }
        return e;
}

size_t index_between(const struct index_root *r, struct index_pos a, struct index_pos b)
{
        size_t n = 0;
        for (size_t i = a.leaf; i < b.leaf; i++)
                n += r->leaves[i]->n;
        return n + b.at - a.at;
}

/* --- Changing */

/* A root that nobody else sees. A count of 1 is ours: readers take references only from one that we let them see. */
static struct index_root *own_root(struct index_root *r)
{
        if (atomic_load_explicit(&r->refs, memory_order_acquire) == 1)
                return r;
        struct index_root *copy = index_new();
        copy->n_entries = r->n_entries;
        copy->n = r->n;
        copy->cap = r->n + 1;
        copy->leaves = kc_reallocarray(NULL, copy->cap, sizeof(struct leaf *));
        for (size_t i = 0; i < r->n; i++)
                copy->leaves[i] = leaf_ref(r->leaves[i]);
        index_unref(r);
        return copy;
}

/* The same for its i-th leaf. */
static struct leaf *own_leaf(struct index_root *r, size_t i)
{
        struct leaf *l = r->leaves[i];
        if (atomic_load_explicit(&l->refs, memory_order_acquire) == 1)
                return l;
        struct leaf *copy = leaf_new();
        copy->n = l->n;
        for (size_t k = 0; k < l->n; k++)
                copy->v[k] = kc_cache_entry_ref(l->v[k]);
        leaf_unref(l);
        r->leaves[i] = copy;
        return copy;
}

static void insert_leaf(struct index_root *r, size_t i, struct leaf *take_l)
{
        if (r->n == r->cap) {
                r->cap = r->cap ? r->cap * 2 : 4;
                r->leaves = kc_reallocarray(r->leaves, r->cap, sizeof(struct leaf *));
        }
        memmove(r->leaves + i + 1, r->leaves + i, (r->n - i) * sizeof(struct leaf *));
        r->leaves[i] = take_l;
        r->n++;
}

/* Makes room in a full leaf. Keys that come in order (a bulk of creates) leave full leaves behind. */
static void split(struct index_root *r, size_t i, size_t at)
{
        struct leaf *l = r->leaves[i], *right = leaf_new();
        size_t keep = at == l->n ? l->n - 1 : l->n / 2;
        right->n = l->n - keep;
        memcpy(right->v, l->v + keep, right->n * sizeof(struct kc_cache_entry *));
        l->n = keep;
        insert_leaf(r, i + 1, right);
}

struct kc_cache_entry *index_put(struct index_root **root, struct kc_cache_entry *take_e)
{
        const char *key = kc_cache_entry_key(take_e);
        struct index_root *r = *root = own_root(*root);
        if (r->n == 0)
                insert_leaf(r, 0, leaf_new());
        size_t i = find_leaf(r, key);
        struct leaf *l = own_leaf(r, i);
        bool found;
        size_t at = find_in_leaf(l, key, &found);
        if (found) {
                struct kc_cache_entry *old = l->v[at];
                l->v[at] = take_e;
                return old;
        }
        if (l->n == INDEX_LEAF) {
                split(r, i, at);
                if (at > l->n) {
                        at -= l->n;
                        l = r->leaves[i + 1];
                }
        }
        memmove(l->v + at + 1, l->v + at, (l->n - at) * sizeof(struct kc_cache_entry *));
        l->v[at] = take_e;
        l->n++;
        r->n_entries++;
        return NULL;
}

struct kc_cache_entry *index_remove(struct index_root **root, const char *key)
{
        if (!index_get(*root, key))
                return NULL;
        struct index_root *r = *root = own_root(*root);
        size_t i = find_leaf(r, key);
        struct leaf *l = own_leaf(r, i);
        bool found;
        size_t at = find_in_leaf(l, key, &found);
        struct kc_cache_entry *old = l->v[at];
        l->n--;
        memmove(l->v + at, l->v + at + 1, (l->n - at) * sizeof(struct kc_cache_entry *));
        r->n_entries--;
        if (l->n == 0) {
                leaf_unref(l);
                r->n--;
                memmove(r->leaves + i, r->leaves + i + 1, (r->n - i) * sizeof(struct leaf *));
        }
        return old;
}

struct index_root *index_from_sorted(struct kc_cache_entry **take_entries, size_t n)
{
        struct index_root *r = index_new();
        for (size_t i = 0; i < n;) {
                struct leaf *l = leaf_new();
                l->n = KC_MIN(n - i, (size_t)INDEX_LEAF);
                memcpy(l->v, take_entries + i, l->n * sizeof(struct kc_cache_entry *));
                insert_leaf(r, r->n, l);
                i += l->n;
        }
        r->n_entries = n;
        return r;
}
