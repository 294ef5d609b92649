/* The cache behind an informer. See store.h. */
#include "client/store.h"

#include <pthread.h>
#include <string.h>

#include "base/map.h"
#include "base/str.h"

/* Objects by key. */
struct vec {
        struct kc_object **v;
        size_t n, cap;
};

struct index {
        char *name;
        kc_index_fn fn;
        struct kc_map *values; /* value -> struct vec */
};

struct kc_store {
        pthread_rwlock_t lock;
        struct vec objects;    /* guarded by lock; holds references */
        struct index *indexes; /* the array: before the first object; the maps: guarded by lock; no references */
        size_t n_indexes;
};

/* As strcmp of the object's key and key. */
static int compare(const struct kc_object *o, const char *key)
{
        const char *ns = kc_object_namespace(o);
        if (!kc_str_empty(ns)) {
                size_t len = strlen(ns);
                int c = strncmp(ns, key, len);
                if (c != 0)
                        return c;
                if (key[len] != '/')
                        return '/' - (int)(unsigned char)key[len];
                key += len + 1;
        }
        return strcmp(kc_object_name(o), key);
}

/* The first position whose key is not less. */
static size_t lower_bound(const struct vec *a, const char *key)
{
        size_t low = 0, high = a->n;
        /* Lists arrive in order: the end is where most go. */
        if (a->n > 0 && compare(a->v[a->n - 1], key) < 0)
                return a->n;
        while (low < high) {
                size_t middle = low + (high - low) / 2;
                if (compare(a->v[middle], key) < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

static bool found_at(const struct vec *a, size_t pos, const char *key)
{
        return pos < a->n && compare(a->v[pos], key) == 0;
}

static void vec_insert(struct vec *a, size_t pos, struct kc_object *o)
{
        if (a->n == a->cap) {
                a->cap = a->cap ? a->cap * 2 : 4;
                a->v = kc_reallocarray(a->v, a->cap, sizeof(struct kc_object *));
        }
        memmove(&a->v[pos + 1], &a->v[pos], (a->n - pos) * sizeof(struct kc_object *));
        a->v[pos] = o;
        a->n++;
}

static void vec_remove(struct vec *a, size_t pos)
{
        a->n--;
        memmove(&a->v[pos], &a->v[pos + 1], (a->n - pos) * sizeof(struct kc_object *));
}

static void vec_free(void *p)
{
        struct vec *a = p;
        kc_free(a->v);
        kc_free(a);
}

struct kc_store *kc_store_new(void)
{
        struct kc_store *s = KC_NEW(struct kc_store);
        pthread_rwlock_init(&s->lock, NULL);
        return s;
}

void kc_store_free(struct kc_store *s)
{
        if (!s)
                return;
        for (size_t i = 0; i < s->n_indexes; i++) {
                kc_free(s->indexes[i].name);
                kc_map_free(s->indexes[i].values);
        }
        kc_free(s->indexes);
        for (size_t i = 0; i < s->objects.n; i++)
                kc_object_unref(s->objects.v[i]);
        kc_free(s->objects.v);
        pthread_rwlock_destroy(&s->lock);
        kc_free(s);
}

/* --- indexes, under the write lock */

static void index_add(struct index *x, const char *value, const char *key, struct kc_object *o)
{
        struct vec *a = kc_map_get(x->values, value);
        if (!a) {
                a = KC_NEW(struct vec);
                (void)kc_map_set(x->values, value, a);
        }
        size_t pos = lower_bound(a, key);
        if (found_at(a, pos, key))
                a->v[pos] = o; /* a value given twice, or the new state of the object */
        else
                vec_insert(a, pos, o);
}

static void index_remove(struct index *x, const char *value, const char *key)
{
        struct vec *a = kc_map_get(x->values, value);
        size_t pos = a ? lower_bound(a, key) : 0;
        if (!a || !found_at(a, pos, key))
                return;
        vec_remove(a, pos);
        if (a->n == 0)
                (void)kc_map_remove(x->values, value);
}

static void index_object(struct index *x, const char *key, struct kc_object *o)
{
        KC_CLEANUP(kc_strv_freep) char **values = NULL;
        x->fn(o, &values);
        for (char **v = values; v && *v; v++)
                index_add(x, *v, key, o);
}

void kc_store_add_index(struct kc_store *s, const char *name, kc_index_fn fn)
{
        pthread_rwlock_wrlock(&s->lock);
        /* An informer that several users share is asked for the same index by each of them. */
        bool there = false;
        for (size_t i = 0; i < s->n_indexes; i++)
                there = there || strcmp(s->indexes[i].name, name) == 0;
        if (!there) {
                s->indexes = kc_reallocarray(s->indexes, s->n_indexes + 1, sizeof(*s->indexes));
                struct index *x = &s->indexes[s->n_indexes++];
                *x = (struct index){.name = kc_strdup(name), .fn = fn, .values = kc_map_new(vec_free)};
                for (size_t i = 0; i < s->objects.n; i++) {
                        KC_CLEANUP(kc_freep) char *key = kc_meta_key(kc_object_json(s->objects.v[i]));
                        index_object(x, key, s->objects.v[i]);
                }
        }
        pthread_rwlock_unlock(&s->lock);
}

static void reindex(struct kc_store *s, const char *key, struct kc_object *old, struct kc_object *now)
{
        for (size_t i = 0; i < s->n_indexes; i++) {
                struct index *x = &s->indexes[i];
                KC_CLEANUP(kc_strv_freep) char **was = NULL, **is = NULL;
                if (old)
                        x->fn(old, &was);
                if (now)
                        x->fn(now, &is);
                for (char **v = was; v && *v; v++)
                        if (!kc_strv_has(is, *v))
                                index_remove(x, *v, key);
                for (char **v = is; v && *v; v++)
                        index_add(x, *v, key, now);
        }
}

static char *key_of(const char *ns, const char *name)
{
        return kc_str_empty(ns) ? kc_strdup(name) : kc_asprintf("%s/%s", ns, name);
}

struct kc_object *kc_store_set(struct kc_store *s, struct kc_object *obj)
{
        KC_CLEANUP(kc_freep) char *key = key_of(kc_object_namespace(obj), kc_object_name(obj));
        struct kc_object *old = NULL;
        pthread_rwlock_wrlock(&s->lock);
        size_t pos = lower_bound(&s->objects, key);
        if (found_at(&s->objects, pos, key)) {
                old = s->objects.v[pos];
                s->objects.v[pos] = kc_object_ref(obj);
        } else {
                vec_insert(&s->objects, pos, kc_object_ref(obj));
        }
        reindex(s, key, old, obj);
        pthread_rwlock_unlock(&s->lock);
        return old;
}

struct kc_object *kc_store_remove(struct kc_store *s, const char *ns, const char *name)
{
        KC_CLEANUP(kc_freep) char *key = key_of(ns, name);
        struct kc_object *old = NULL;
        pthread_rwlock_wrlock(&s->lock);
        size_t pos = lower_bound(&s->objects, key);
        if (found_at(&s->objects, pos, key)) {
                old = s->objects.v[pos];
                reindex(s, key, old, NULL);
                vec_remove(&s->objects, pos);
        }
        pthread_rwlock_unlock(&s->lock);
        return old;
}

/* --- reading */

struct kc_object *kc_store_get(struct kc_store *s, const char *key)
{
        struct kc_object *o = NULL;
        pthread_rwlock_rdlock(&s->lock);
        size_t pos = lower_bound(&s->objects, key);
        if (found_at(&s->objects, pos, key))
                o = kc_object_ref(s->objects.v[pos]);
        pthread_rwlock_unlock(&s->lock);
        return o;
}

void kc_store_list(struct kc_store *s, const char *ns, const struct kc_selector *sel, struct kc_objects *ret)
{
        KC_CLEANUP(kc_freep) char *from = kc_str_empty(ns) ? NULL : kc_asprintf("%s/", ns);
        bool everything = !sel || kc_selector_is_everything(sel);
        pthread_rwlock_rdlock(&s->lock);
        for (size_t i = from ? lower_bound(&s->objects, from) : 0; i < s->objects.n; i++) {
                struct kc_object *o = s->objects.v[i];
                if (from && !kc_streq(kc_object_namespace(o), ns))
                        break;
                if (everything || kc_selector_matches(sel, kc_meta_labels(kc_object_json(o))))
                        kc_objects_push_take(ret, kc_object_ref(o));
        }
        pthread_rwlock_unlock(&s->lock);
}

void kc_store_by_index(struct kc_store *s, const char *index, const char *value, struct kc_objects *ret)
{
        pthread_rwlock_rdlock(&s->lock);
        for (size_t i = 0; i < s->n_indexes; i++) {
                if (!kc_streq(s->indexes[i].name, index))
                        continue;
                const struct vec *a = kc_map_get(s->indexes[i].values, value);
                for (size_t j = 0; a && j < a->n; j++)
                        kc_objects_push_take(ret, kc_object_ref(a->v[j]));
        }
        pthread_rwlock_unlock(&s->lock);
}

size_t kc_store_count(struct kc_store *s)
{
        pthread_rwlock_rdlock(&s->lock);
        size_t n = s->objects.n;
        pthread_rwlock_unlock(&s->lock);
        return n;
}
