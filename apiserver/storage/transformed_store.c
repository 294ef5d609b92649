/* The store in front of another one. Any thread; watches on the inner store's loop. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/log.h"
#include "base/mem.h"
#include "storage/store_internal.h"
#include "storage/transform.h"

/* Users may wait for a plugin: others must not have to wait for them to take new ones in use. */
struct used_transforms {
        atomic_int refs;
        struct kc_transforms *t;
};

struct transformed_store {
        struct kc_store store;
        struct kc_store *inner;
        pthread_mutex_t lock;
        struct used_transforms *used; /* guarded by lock; users have references */
};

static struct used_transforms *used_new(struct kc_transforms *take_t)
{
        struct used_transforms *u = KC_NEW(struct used_transforms);
        atomic_init(&u->refs, 1);
        u->t = take_t;
        return u;
}

static void used_unref(struct used_transforms *u)
{
        if (atomic_fetch_sub_explicit(&u->refs, 1, memory_order_acq_rel) != 1)
                return;
        kc_transforms_free(u->t);
        kc_free(u);
}

static struct used_transforms *use(struct transformed_store *s)
{
        pthread_mutex_lock(&s->lock);
        struct used_transforms *u = s->used;
        atomic_fetch_add_explicit(&u->refs, 1, memory_order_relaxed);
        pthread_mutex_unlock(&s->lock);
        return u;
}

static struct transformed_store *of(struct kc_store *s)
{
        return KC_CONTAINER_OF(s, struct transformed_store, store);
}

/* *value is replaced by what it means. */
static int decode(
    struct transformed_store *s, const char *key, struct kc_bytes **value, bool *ret_stale, struct kc_error *err)
{
        struct kc_bytes *plain = NULL;
        bool stale = false;
        if (!*value)
                return 0;
        struct used_transforms *u = use(s);
        int r = u->t->ops->from_storage(u->t, key, kc_bytes_data(*value), kc_bytes_len(*value), &plain, &stale, err);
        used_unref(u);
        if (r < 0) {
                KC_CLEANUP(kc_error_done) struct kc_error why = KC_ERROR_INIT;
                kc_error_move(&why, err);
                return kc_error_set_api(err, 500, KC_REASON_INTERNAL_ERROR,
                    "Internal error occurred: unable to transform key \"%s\": %s", key, kc_error_message(&why));
        }
        if (plain) {
                kc_bytes_unref(*value);
                *value = plain;
        }
        if (ret_stale)
                *ret_stale = stale;
        return 0;
}

static int op_get(struct kc_store *store, const char *key, int64_t revision, struct kc_store_kv *ret,
    int64_t *ret_revision, struct kc_error *err)
{
        struct transformed_store *s = of(store);
        int r = s->inner->ops->get(s->inner, key, revision, ret, ret_revision, err);
        if (r < 0)
                return r;
        r = decode(s, key, &ret->value, NULL, err);
        if (r < 0)
                kc_store_kv_done(ret);
        return r;
}

static int op_list(
    struct kc_store *store, const struct kc_store_list_opts *o, struct kc_store_list *ret, struct kc_error *err)
{
        struct transformed_store *s = of(store);
        int r = s->inner->ops->list(s->inner, o, ret, err);
        if (r < 0)
                return r;
        for (size_t i = 0; i < ret->n && r == 0; i++)
                r = decode(s, ret->kvs[i].key, &ret->kvs[i].value, NULL, err);
        if (r < 0)
                kc_store_list_done(ret);
        return r;
}

static int op_write(struct kc_store *store, const struct store_write *w, int64_t *ret_revision,
    struct kc_store_kv *ret_current, struct kc_error *err)
{
        struct transformed_store *s = of(store);
        KC_CLEANUP(kc_bytes_unrefp) struct kc_bytes *stored = NULL;
        struct store_write out = *w;
        if (w->value) {
                struct used_transforms *u = use(s);
                int r = u->t->ops->to_storage(u->t, w->key, w->value, w->len, &stored, err);
                used_unref(u);
                if (r < 0) {
                        KC_CLEANUP(kc_error_done) struct kc_error why = KC_ERROR_INIT;
                        kc_error_move(&why, err);
                        return kc_error_set_api(
                            err, 500, KC_REASON_INTERNAL_ERROR, "Internal error occurred: %s", kc_error_message(&why));
                }
        }
        if (stored) {
                out.value = kc_bytes_data(stored);
                out.len = kc_bytes_len(stored);
        }
        int r = s->inner->ops->write(s->inner, &out, ret_revision, ret_current, err);
        if (r == -EAGAIN && ret_current) {
                KC_CLEANUP(kc_error_done) struct kc_error why = KC_ERROR_INIT;
                int d = decode(s, w->key, &ret_current->value, NULL, &why);
                if (d < 0) {
                        kc_store_kv_done(ret_current);
                        *ret_current = (struct kc_store_kv){0};
                        kc_error_move(err, &why);
                        return d;
                }
        }
        return r;
}

static void op_revision_async(struct kc_store *store, kc_store_revision_fn fn, void *arg)
{
        struct transformed_store *s = of(store);
        s->inner->ops->revision_async(s->inner, fn, arg);
}

static int op_compact(struct kc_store *store, int64_t revision, struct kc_error *err)
{
        struct transformed_store *s = of(store);
        return s->inner->ops->compact(s->inner, revision, err);
}

static int op_status(struct kc_store *store, int timeout_ms, struct kc_store_status *ret, struct kc_error *err)
{
        struct transformed_store *s = of(store);
        return s->inner->ops->status(s->inner, timeout_ms, ret, err);
}

/* --- watches */

struct transformed_watch {
        struct kc_store_watch watch;
        struct transformed_store *store;
        struct kc_store_watch *inner;
        struct kc_store_watch_cbs cbs;
        void *arg;
};

/* What the events of one call are made of. */
struct decoded {
        struct kc_store_event *v;
        struct kc_bytes **values; /* two for each event */
        size_t n;
};

static void decoded_done(struct decoded *d)
{
        for (size_t i = 0; i < 2 * d->n; i++)
                kc_bytes_unref(d->values[i]);
        kc_free(d->values);
        kc_free(d->v);
}

static void decode_in_place(
    struct transformed_store *s, const char *key, const void **value, size_t *len, struct kc_bytes **keep)
{
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        bool stale;
        if (!*value)
                return;
        struct used_transforms *u = use(s);
        int r = u->t->ops->from_storage(u->t, key, *value, *len, keep, &stale, &err);
        used_unref(u);
        if (r < 0)
                kc_log_error(&err, "Cannot transform a stored value", "key", key);
        if (*keep) {
                *value = kc_bytes_data(*keep);
                *len = kc_bytes_len(*keep);
        }
}

static void on_events(const struct kc_store_event *events, size_t n, int64_t revision, void *arg)
{
        struct transformed_watch *w = arg;
        KC_CLEANUP(decoded_done)
        struct decoded d = {.v = kc_calloc(n, sizeof(*d.v)), .values = kc_calloc(2 * n, sizeof(*d.values)), .n = n};
        for (size_t i = 0; i < n; i++) {
                struct kc_store_event *e = &d.v[i];
                *e = events[i];
                decode_in_place(w->store, e->key, &e->value, &e->len, &d.values[2 * i]);
                decode_in_place(w->store, e->key, &e->prev_value, &e->prev_len, &d.values[2 * i + 1]);
        }
        w->cbs.on_events(d.v, n, revision, w->arg); /* may free w */
}

static void on_created(void *arg)
{
        struct transformed_watch *w = arg;
        if (w->cbs.on_created)
                w->cbs.on_created(w->arg);
}

static void on_end(const struct kc_error *err, int64_t compact_revision, void *arg)
{
        struct transformed_watch *w = arg;
        struct kc_store_watch_cbs cbs = w->cbs;
        void *cbs_arg = w->arg;
        kc_free(w);
        cbs.on_end(err, compact_revision, cbs_arg);
}

static void watch_cancel(struct kc_store_watch *watch)
{
        struct transformed_watch *w = KC_CONTAINER_OF(watch, struct transformed_watch, watch);
        kc_store_watch_cancel(w->inner);
        kc_free(w);
}

static struct kc_store_watch *op_watch(struct kc_store *store, const char *prefix, int64_t start_revision,
    bool want_prev, const struct kc_store_watch_cbs *cbs, void *arg)
{
        static const struct kc_store_watch_cbs ours = {
            .on_events = on_events, .on_created = on_created, .on_end = on_end};
        struct transformed_watch *w = KC_NEW(struct transformed_watch);
        w->watch.cancel = watch_cancel;
        w->store = of(store);
        w->cbs = *cbs;
        w->arg = arg;
        w->inner = kc_store_watch(w->store->inner, prefix, start_revision, want_prev, &ours, w);
        return &w->watch;
}

/* --- life */

static void op_free(struct kc_store *store)
{
        struct transformed_store *s = of(store);
        kc_store_free(s->inner);
        used_unref(s->used);
        pthread_mutex_destroy(&s->lock);
        kc_free(s);
}

static const struct store_ops ops = {
    .get = op_get,
    .list = op_list,
    .write = op_write,
    .revision_async = op_revision_async,
    .watch = op_watch,
    .compact = op_compact,
    .status = op_status,
    .free = op_free,
};

struct kc_store *kc_store_transformed_new(struct kc_store *take_inner, struct kc_transforms *take_t)
{
        struct transformed_store *s = KC_NEW(struct transformed_store);
        s->store.ops = &ops;
        s->store.loop = take_inner->loop;
        s->inner = take_inner;
        s->used = used_new(take_t);
        pthread_mutex_init(&s->lock, NULL);
        return &s->store;
}

void kc_store_set_transforms(struct kc_store *store, struct kc_transforms *take_t)
{
        struct transformed_store *s = of(store);
        struct used_transforms *u = used_new(take_t);
        pthread_mutex_lock(&s->lock);
        struct used_transforms *old = s->used;
        s->used = u;
        pthread_mutex_unlock(&s->lock);
        used_unref(old);
}

int kc_store_with_transforms(
    struct kc_store *store, int (*fn)(struct kc_transforms *t, struct kc_error *err), struct kc_error *err)
{
        if (store->ops != &ops)
                return 0;
        struct transformed_store *s = of(store);
        struct used_transforms *u = use(s);
        int r = fn(u->t, err);
        used_unref(u);
        return r;
}

int kc_store_is_stale(struct kc_store *store, const char *key, bool *ret, struct kc_error *err)
{
        *ret = false;
        if (store->ops != &ops)
                return 0;
        struct transformed_store *s = of(store);
        KC_CLEANUP(kc_store_kv_done) struct kc_store_kv kv = {0};
        int r = s->inner->ops->get(s->inner, key, 0, &kv, NULL, err);
        if (r == -ENOENT) {
                kc_error_done(err);
                return 0;
        }
        return r < 0 ? r : decode(s, key, &kv.value, ret, err);
}
