/* Shared informers: a reflector feeds a store, and handlers hear of what changed. On the loop; lookups on any thread.
 */
#include "client/informer.h"

#include <stdatomic.h>

#include "base/list.h"
#include "base/str.h"
#include "client/reflector.h"
#include "client/store.h"

struct handler {
        struct kc_informer_handler fns;
        void *arg;
};

struct kc_informer {
        struct kc_informers *factory;
        struct kc_list node;
        char *key; /* resource, namespace and selectors */
        struct kc_gvr gvr;
        char *ns, *label_selector, *field_selector;
        void (*transform)(struct json_object *tree);
        bool metadata_only;
        struct kc_store *store;
        struct kc_reflector *reflector; /* NULL until started */
        struct handler *handlers;
        size_t n_handlers;
        atomic_bool synced;
};

struct waiter {
        struct kc_list node;
        void (*fn)(void *arg);
        void *arg;
};

/* Outlives the factory by what is posted. */
struct kc_informers {
        struct kc_rest *rest;
        struct kc_list all;     /* of struct kc_informer */
        struct kc_list waiters; /* of struct waiter */
        int posts;              /* under way */
        bool freed;
};

struct kc_informers *kc_informers_new(struct kc_rest *rest)
{
        struct kc_informers *f = KC_NEW(struct kc_informers);
        f->rest = rest;
        kc_list_init(&f->all);
        kc_list_init(&f->waiters);
        return f;
}

static void informer_free(struct kc_informer *i)
{
        kc_list_remove(&i->node);
        kc_reflector_free(i->reflector);
        kc_store_free(i->store);
        kc_free(i->handlers);
        kc_free(i->key);
        kc_free(i->ns);
        kc_free(i->label_selector);
        kc_free(i->field_selector);
        kc_free(i);
}

void kc_informers_free(struct kc_informers *f)
{
        if (!f)
                return;
        KC_LIST_FOREACH(&f->all, i, struct kc_informer, node)
        {
                informer_free(i);
        }
        KC_LIST_FOREACH(&f->waiters, w, struct waiter, node)
        {
                kc_list_remove(&w->node);
                kc_free(w);
        }
        f->freed = true;
        if (f->posts == 0)
                kc_free(f);
}

struct kc_informer *kc_informers_get(struct kc_informers *f, const struct kc_gvr *g)
{
        return kc_informers_get_filtered(f, g, NULL, NULL, NULL);
}

static struct kc_informer *find(struct kc_informers *f, const char *key)
{
        KC_LIST_FOREACH(&f->all, i, struct kc_informer, node)
        {
                if (kc_streq(i->key, key))
                        return i;
        }
        return NULL;
}

static struct kc_informer *add(struct kc_informers *f, const struct kc_gvr *g, const char *key)
{
        struct kc_informer *i = KC_NEW(struct kc_informer);
        i->factory = f;
        i->key = kc_strdup(key);
        i->gvr = *g;
        i->store = kc_store_new();
        atomic_init(&i->synced, false);
        kc_list_push_back(&f->all, &i->node);
        return i;
}

static char *informer_key(const char *path, const char *label_selector, const char *field_selector)
{
        return kc_asprintf(
            "%s?%s&%s", path, label_selector ? label_selector : "", field_selector ? field_selector : "");
}

struct kc_informer *kc_informers_get_filtered(struct kc_informers *f, const struct kc_gvr *g, const char *ns,
    const char *label_selector, const char *field_selector)
{
        KC_CLEANUP(kc_freep) char *path = kc_gvr_path(g, ns, NULL, NULL);
        KC_CLEANUP(kc_freep) char *key = informer_key(path, label_selector, field_selector);
        struct kc_informer *i = find(f, key);
        if (i)
                return i;
        i = add(f, g, key);
        i->ns = kc_strdup(ns);
        i->label_selector = kc_strdup(label_selector);
        i->field_selector = kc_strdup(field_selector);
        return i;
}

struct kc_informer *kc_informers_get_metadata(struct kc_informers *f, const struct kc_gvr *g)
{
        KC_CLEANUP(kc_freep) char *path = kc_gvr_path(g, NULL, NULL, NULL);
        KC_CLEANUP(kc_freep) char *whole = informer_key(path, NULL, NULL), *key = kc_asprintf("%s#metadata", path);
        struct kc_informer *i = find(f, whole);
        if (!i)
                i = find(f, key);
        if (i)
                return i;
        i = add(f, g, key);
        i->metadata_only = true;
        return i;
}

void kc_informer_set_transform(struct kc_informer *i, void (*transform)(struct json_object *tree))
{
        i->transform = transform;
}

/* --- waiting for the initial lists */

static bool all_synced(const struct kc_informers *f)
{
        KC_LIST_FOREACH(&f->all, i, struct kc_informer, node)
        {
                if (!kc_informer_synced(i))
                        return false;
        }
        return true;
}

static void tell_waiters(void *arg)
{
        struct kc_informers *f = arg;
        f->posts--;
        while (!f->freed && !kc_list_empty(&f->waiters) && all_synced(f)) {
                struct waiter *w = KC_LIST_FIRST(&f->waiters, struct waiter, node);
                kc_list_remove(&w->node);
                void (*fn)(void *arg) = w->fn;
                void *fn_arg = w->arg;
                kc_free(w);
                f->posts++; /* fn may free the factory */
                fn(fn_arg);
                f->posts--;
        }
        if (f->freed && f->posts == 0)
                kc_free(f);
}

/* Posted: never from inside a handler or the caller. */
static void check_waiters(struct kc_informers *f)
{
        if (kc_list_empty(&f->waiters) || !all_synced(f))
                return;
        f->posts++;
        kc_loop_post(kc_rest_loop(f->rest), tell_waiters, f);
}

void kc_informers_on_synced(struct kc_informers *f, void (*fn)(void *arg), void *arg)
{
        struct waiter *w = KC_NEW(struct waiter);
        w->fn = fn;
        w->arg = arg;
        kc_list_push_back(&f->waiters, &w->node);
        check_waiters(f);
}

bool kc_informer_synced(const struct kc_informer *i)
{
        return atomic_load(&i->synced);
}

/* --- what the reflector brings */

static void set_one(struct kc_informer *i, struct kc_object *obj, bool initial)
{
        size_t n = i->n_handlers; /* one that is added meanwhile finds obj in the store */
        KC_CLEANUP(kc_object_unrefp) struct kc_object *old = kc_store_set(i->store, obj);
        /* A list brings what is known already, too. */
        if (old && !kc_str_empty(kc_object_resource_version(obj)) &&
            kc_streq(kc_object_resource_version(old), kc_object_resource_version(obj)))
                return;
        for (size_t h = 0; h < n; h++) {
                const struct handler x = i->handlers[h];
                if (old && x.fns.on_update)
                        x.fns.on_update(old, obj, x.arg);
                else if (!old && x.fns.on_add)
                        x.fns.on_add(obj, initial, x.arg);
        }
}

/* obj: the last state as the server told it, or as we had it. */
static void remove_one(struct kc_informer *i, struct kc_object *obj)
{
        size_t n = i->n_handlers;
        KC_CLEANUP(kc_object_unrefp)
        struct kc_object *old = kc_store_remove(i->store, kc_object_namespace(obj), kc_object_name(obj));
        if (!old)
                return;
        for (size_t h = 0; h < n; h++) {
                const struct handler x = i->handlers[h];
                if (x.fns.on_delete)
                        x.fns.on_delete(obj, x.arg);
        }
}

static void on_set(struct kc_object *obj, void *arg)
{
        set_one(arg, obj, false);
}

static void on_remove(struct kc_object *obj, void *arg)
{
        remove_one(arg, obj);
}

static int compare_keys(const struct kc_object *a, const struct kc_object *b)
{
        KC_CLEANUP(kc_freep) char *x = kc_meta_key(kc_object_json(a));
        KC_CLEANUP(kc_freep) char *y = kc_meta_key(kc_object_json(b));
        return kc_strcmp(x, y);
}

/* After a list: both are in the order of keys, so one walk finds what is gone. */
static void on_replace(struct kc_objects *objs, void *arg)
{
        struct kc_informer *i = arg;
        bool initial = !kc_informer_synced(i);
        struct kc_objects had = {0};
        kc_store_list(i->store, NULL, NULL, &had);
        for (size_t n = 0; n < objs->n; n++)
                set_one(i, objs->v[n], initial);
        for (size_t h = 0, n = 0; h < had.n; h++) {
                int c = 1;
                while (n < objs->n && (c = compare_keys(objs->v[n], had.v[h])) < 0)
                        n++;
                if (n == objs->n || c > 0)
                        remove_one(i, had.v[h]);
        }
        kc_objects_done(&had);
        atomic_store(&i->synced, true);
        check_waiters(i->factory);
}

void kc_informers_start(struct kc_informers *f)
{
        KC_LIST_FOREACH(&f->all, i, struct kc_informer, node)
        {
                if (i->reflector)
                        continue;
                struct kc_reflector_opts o = {.gvr = &i->gvr,
                    .ns = i->ns,
                    .label_selector = i->label_selector,
                    .field_selector = i->field_selector,
                    .transform = i->transform,
                    .metadata_only = i->metadata_only,
                    .cbs = {.replace = on_replace, .set = on_set, .remove = on_remove},
                    .arg = i};
                i->reflector = kc_reflector_new(f->rest, &o);
                kc_reflector_start(i->reflector);
        }
}

void kc_informer_add_handler(struct kc_informer *i, const struct kc_informer_handler *h, void *arg)
{
        i->handlers = kc_reallocarray(i->handlers, i->n_handlers + 1, sizeof(*i->handlers));
        i->handlers[i->n_handlers++] = (struct handler){.fns = *h, .arg = arg};
        struct kc_objects objs = {0};
        kc_store_list(i->store, NULL, NULL, &objs);
        for (size_t n = 0; n < objs.n && h->on_add; n++)
                h->on_add(objs.v[n], true, arg);
        kc_objects_done(&objs);
}

void kc_informer_add_index(
    struct kc_informer *i, const char *index, void (*fn)(const struct kc_object *obj, char ***values))
{
        kc_store_add_index(i->store, index, fn);
}

/* --- lookups, any thread */

struct kc_object *kc_informer_lookup(struct kc_informer *i, const char *ns, const char *name)
{
        KC_CLEANUP(kc_freep) char *key = kc_str_empty(ns) ? kc_strdup(name) : kc_asprintf("%s/%s", ns, name);
        return key ? kc_store_get(i->store, key) : NULL;
}

struct kc_object *kc_informer_lookup_key(struct kc_informer *i, const char *key)
{
        return kc_store_get(i->store, key);
}

void kc_informer_list(struct kc_informer *i, const char *ns, const struct kc_selector *sel, struct kc_objects *ret)
{
        kc_store_list(i->store, ns, sel, ret);
}

void kc_informer_by_index(struct kc_informer *i, const char *index, const char *value, struct kc_objects *ret)
{
        kc_store_by_index(i->store, index, value, ret);
}

size_t kc_informer_count(struct kc_informer *i)
{
        return kc_store_count(i->store);
}
