/* The store's interface: hands calls to the implementation (etcd_store.c, mem_store.c). Any thread. */
#include "storage/store.h"

#include <errno.h>
#include <pthread.h>

#include "base/mem.h"
#include "storage/store_internal.h"

void kc_store_kv_done(struct kc_store_kv *kv)
{
        kc_free(kv->key);
        if (kv->value)
                kc_bytes_unref(kv->value);
        *kv = (struct kc_store_kv){0};
}

void kc_store_list_done(struct kc_store_list *l)
{
        for (size_t i = 0; i < l->n; i++)
                kc_store_kv_done(&l->kvs[i]);
        kc_free(l->kvs);
        *l = (struct kc_store_list){0};
}

struct kc_store_kv *store_list_push(struct kc_store_list *l, size_t *cap)
{
        if (l->n == *cap) {
                *cap = *cap ? *cap * 2 : 16;
                l->kvs = kc_reallocarray(l->kvs, *cap, sizeof(*l->kvs));
        }
        l->kvs[l->n] = (struct kc_store_kv){0};
        return &l->kvs[l->n++];
}

void kc_store_free(struct kc_store *s)
{
        if (s)
                s->ops->free(s);
}

struct kc_loop *kc_store_loop(struct kc_store *s)
{
        return s->loop;
}

int kc_store_get(struct kc_store *s, const char *key, int64_t revision, struct kc_store_kv *ret, int64_t *ret_revision,
    struct kc_error *err)
{
        return s->ops->get(s, key, revision, ret, ret_revision, err);
}

int kc_store_list(
    struct kc_store *s, const struct kc_store_list_opts *o, struct kc_store_list *ret, struct kc_error *err)
{
        return s->ops->list(s, o, ret, err);
}

void kc_store_revision_async(struct kc_store *s, kc_store_revision_fn fn, void *arg)
{
        s->ops->revision_async(s, fn, arg);
}

struct revision_wait {
        pthread_mutex_t lock;
        pthread_cond_t cond;
        bool done;
        int64_t revision;
        struct kc_error error;
};

static void on_revision(int64_t revision, const struct kc_error *err, void *arg)
{
        struct revision_wait *w = arg;
        pthread_mutex_lock(&w->lock);
        w->revision = revision;
        if (err)
                kc_error_copy(&w->error, err);
        w->done = true;
        pthread_cond_signal(&w->cond);
        pthread_mutex_unlock(&w->lock);
}

int kc_store_revision(struct kc_store *s, int64_t *ret, struct kc_error *err)
{
        struct revision_wait w = {.lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};
        s->ops->revision_async(s, on_revision, &w);
        pthread_mutex_lock(&w.lock);
        while (!w.done)
                pthread_cond_wait(&w.cond, &w.lock);
        pthread_mutex_unlock(&w.lock);
        pthread_mutex_destroy(&w.lock);
        pthread_cond_destroy(&w.cond);
        if (w.revision > 0) {
                *ret = w.revision;
                return 0;
        }
        int r = -w.error.errnum;
        if (err)
                kc_error_move(err, &w.error);
        kc_error_done(&w.error);
        return r;
}

int kc_store_create(struct kc_store *s, const char *key, const void *value, size_t len,
    const struct kc_store_write_opts *opts, int64_t *ret_revision, struct kc_store_kv *ret_current,
    struct kc_error *err)
{
        struct store_write w = {.key = key, .value = value, .len = len, .ttl_seconds = opts ? opts->ttl_seconds : 0};
        int r = s->ops->write(s, &w, ret_revision, ret_current, err);
        return r == -EAGAIN ? kc_error_set(err, EEXIST, "key %s exists", key) : r;
}

int kc_store_update(struct kc_store *s, const char *key, int64_t expected, const void *value, size_t len,
    const struct kc_store_write_opts *opts, int64_t *ret_revision, struct kc_store_kv *ret_current,
    struct kc_error *err)
{
        struct store_write w = {
            .key = key,
            .value = value,
            .len = len,
            .expected = expected,
            .ttl_seconds = opts ? opts->ttl_seconds : 0,
        };
        return s->ops->write(s, &w, ret_revision, ret_current, err);
}

int kc_store_delete(struct kc_store *s, const char *key, int64_t expected, int64_t *ret_revision,
    struct kc_store_kv *ret_current, struct kc_error *err)
{
        struct store_write w = {.key = key, .expected = expected};
        return s->ops->write(s, &w, ret_revision, ret_current, err);
}

int kc_store_put(
    struct kc_store *s, const char *key, const void *value, size_t len, int64_t *ret_revision, struct kc_error *err)
{
        struct store_write w = {.key = key, .value = value, .len = len, .expected = STORE_UNCONDITIONAL};
        return s->ops->write(s, &w, ret_revision, NULL, err);
}

struct kc_store_watch *kc_store_watch(struct kc_store *s, const char *prefix, int64_t start_revision, bool want_prev,
    const struct kc_store_watch_cbs *cbs, void *arg)
{
        return s->ops->watch(s, prefix, start_revision, want_prev, cbs, arg);
}

void kc_store_watch_cancel(struct kc_store_watch *w)
{
        if (w)
                w->cancel(w);
}

int kc_store_compact(struct kc_store *s, int64_t revision, struct kc_error *err)
{
        return s->ops->compact(s, revision, err);
}

int kc_store_status(struct kc_store *s, int timeout_ms, struct kc_store_status *ret, struct kc_error *err)
{
        return s->ops->status(s, timeout_ms, ret, err);
}

/* --- Errors */

int store_err_compacted(struct kc_error *err)
{
        return kc_error_set_api(err, 410, KC_REASON_EXPIRED, "etcdserver: mvcc: required revision has been compacted");
}

int store_err_future(struct kc_error *err)
{
        kc_error_set_api(err, 504, KC_REASON_TIMEOUT, "etcdserver: mvcc: required revision is a future revision");
        if (err)
                err->errnum = ERANGE;
        return -ERANGE;
}

int store_err_unavailable(struct kc_error *err, const char *why)
{
        return kc_error_set_api(err, 503, KC_REASON_SERVICE_UNAVAILABLE, "etcd is unavailable: %s", why);
}

int store_err_timeout(struct kc_error *err, const char *why)
{
        return kc_error_set_api(err, 504, KC_REASON_TIMEOUT, "%s", why);
}

int store_err_too_large(struct kc_error *err, const char *why)
{
        return kc_error_set_api(err, 413, KC_REASON_REQUEST_ENTITY_TOO_LARGE, "%s", why);
}

int store_err_other(struct kc_error *err, const char *why)
{
        return kc_error_set_api(err, 500, KC_REASON_INTERNAL_ERROR, "%s", why);
}
