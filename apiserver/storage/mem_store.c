/* The store in memory, for tests: every version of every key until compacted. Any thread; one lock. Watches are
 * delivered on the loop.
 *
 *   keys (sorted) --> mem_key --> versions: [rev 2 "a"] [rev 5 "b"] [rev 6 deleted]
 *   log: [rev 2 key] [rev 3 key] ... what watches read */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/str.h"
#include "storage/store_internal.h"

enum { MEM_MAX_VALUE = 3 << 19 }; /* 1.5 MiB, as etcd's --max-request-bytes */

struct version {
        int64_t revision, created; /* created 0: a deletion */
        struct kc_bytes *value;    /* NULL: a deletion */
};

struct mem_key {
        char *key;
        struct version *v;
        size_t n, cap;
};

struct log_entry {
        int64_t revision;
        struct mem_key *key;
};

struct mem_store {
        struct kc_store store;
        pthread_mutex_t lock;
        /* All guarded by lock: */
        struct mem_key **keys;
        size_t n_keys, keys_cap;
        struct log_entry *log;
        size_t n_log, log_cap;
        int64_t revision, compacted;
        bool down;
        bool pump_posted;
        /* The loop's: */
        struct kc_list watches, expiries;
};

struct mem_watch {
        struct kc_store_watch watch;
        struct mem_store *store;
        struct kc_list node;
        char *prefix;
        int64_t next; /* revision */
        bool created, want_prev, cancelled, busy;
        const struct kc_store_watch_cbs *cbs;
        void *arg;
};

struct expiry {
        struct kc_list node;
        struct mem_store *store;
        struct kc_timer *timer;
        char *key;
        int64_t revision, usec;
};

static struct mem_store *mem_of(struct kc_store *s)
{
        return KC_CONTAINER_OF(s, struct mem_store, store);
}

/* --- Keys and versions, under the lock */

/* The first key that is not below key. */
static size_t lower_bound(const struct mem_store *s, const char *key)
{
        size_t lo = 0, hi = s->n_keys;
        while (lo < hi) {
                size_t mid = lo + (hi - lo) / 2;
                if (strcmp(s->keys[mid]->key, key) < 0)
                        lo = mid + 1;
                else
                        hi = mid;
        }
        return lo;
}

static struct mem_key *find(const struct mem_store *s, const char *key)
{
        size_t i = lower_bound(s, key);
        return i < s->n_keys && strcmp(s->keys[i]->key, key) == 0 ? s->keys[i] : NULL;
}

static struct mem_key *find_or_add(struct mem_store *s, const char *key)
{
        size_t i = lower_bound(s, key);
        if (i < s->n_keys && strcmp(s->keys[i]->key, key) == 0)
                return s->keys[i];
        if (s->n_keys == s->keys_cap) {
                s->keys_cap = s->keys_cap ? s->keys_cap * 2 : 64;
                s->keys = kc_reallocarray(s->keys, s->keys_cap, sizeof(struct mem_key *));
        }
        memmove(s->keys + i + 1, s->keys + i, (s->n_keys - i) * sizeof(struct mem_key *));
        s->n_keys++;
        s->keys[i] = KC_NEW(struct mem_key);
        s->keys[i]->key = kc_strdup(key);
        return s->keys[i];
}

/* As of the revision (0: now), or NULL. */
static const struct version *at(const struct mem_key *k, int64_t revision)
{
        for (size_t i = k ? k->n : 0; i > 0; i--) {
                const struct version *v = &k->v[i - 1];
                if (revision == 0 || v->revision <= revision)
                        return v->value ? v : NULL;
        }
        return NULL;
}

static int check_read(const struct mem_store *s, int64_t revision, struct kc_error *err)
{
        if (s->down)
                return store_err_unavailable(err, "connection refused");
        if (revision > s->revision)
                return store_err_future(err);
        if (revision > 0 && revision < s->compacted)
                return store_err_compacted(err);
        return 0;
}

static void kv_from(struct kc_store_kv *ret, const char *key, const struct version *v, bool keys_only)
{
        ret->key = kc_strdup(key);
        ret->value = keys_only ? NULL : kc_bytes_ref(v->value);
        ret->mod_revision = v->revision;
        ret->create_revision = v->created;
}

/* --- Watches, on the loop */

static bool next_events(struct mem_watch *w, struct kc_store_event **ret, size_t *ret_n, struct kc_bytes ***ret_refs)
{
        struct mem_store *s = w->store;
        size_t n = 0;
        struct kc_store_event *events = kc_calloc(s->n_log + 1, sizeof(*events));
        struct kc_bytes **refs = kc_calloc(2 * s->n_log + 1, sizeof(struct kc_bytes *));
        size_t n_refs = 0;
        for (size_t i = 0; i < s->n_log; i++) {
                const struct log_entry *e = &s->log[i];
                if (e->revision < w->next || !kc_str_has_prefix(e->key->key, w->prefix))
                        continue;
                for (size_t j = 0; j < e->key->n; j++) {
                        const struct version *v = &e->key->v[j];
                        if (v->revision != e->revision)
                                continue;
                        struct kc_store_event *ev = &events[n++];
                        ev->key = e->key->key;
                        ev->mod_revision = v->revision;
                        ev->create_revision = v->created;
                        if (v->value) {
                                refs[n_refs++] = kc_bytes_ref(v->value);
                                ev->value = kc_bytes_data(v->value);
                                ev->len = kc_bytes_len(v->value);
                        }
                        if (w->want_prev && j > 0 && v[-1].value) {
                                refs[n_refs++] = kc_bytes_ref(v[-1].value);
                                ev->prev_value = kc_bytes_data(v[-1].value);
                                ev->prev_len = kc_bytes_len(v[-1].value);
                                ev->prev_revision = v[-1].revision;
                        }
                }
        }
        *ret = events;
        *ret_n = n;
        *ret_refs = refs;
        return n > 0;
}

static void free_watch(struct mem_watch *w)
{
        kc_list_remove(&w->node);
        kc_free(w->prefix);
        kc_free(w);
}

static void end_watch(struct mem_watch *w, const struct kc_error *err, int64_t compacted)
{
        if (!w->cancelled)
                w->cbs->on_end(err, compacted, w->arg);
        free_watch(w);
}

static void pump_one(struct mem_watch *w)
{
        struct mem_store *s = w->store;
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        struct kc_store_event *events;
        struct kc_bytes **refs;
        size_t n;
        pthread_mutex_lock(&s->lock);
        int64_t compacted = w->next < s->compacted ? s->compacted : 0;
        if (s->down)
                (void)store_err_unavailable(&err, "connection refused");
        else if (compacted)
                (void)store_err_compacted(&err);
        if (err.errnum) {
                pthread_mutex_unlock(&s->lock);
                end_watch(w, &err, compacted);
                return;
        }
        bool any = next_events(w, &events, &n, &refs);
        int64_t revision = s->revision;
        pthread_mutex_unlock(&s->lock);
        w->next = KC_MAX(w->next, revision + 1);
        w->busy = true;
        if (!w->created && w->cbs->on_created)
                w->cbs->on_created(w->arg);
        w->created = true;
        if (any && !w->cancelled)
                w->cbs->on_events(events, n, events[n - 1].mod_revision, w->arg);
        w->busy = false;
        for (size_t i = 0; refs[i]; i++)
                kc_bytes_unref(refs[i]);
        kc_free(refs);
        kc_free(events);
        if (w->cancelled)
                free_watch(w);
}

static void pump(void *arg)
{
        struct mem_store *s = arg;
        pthread_mutex_lock(&s->lock);
        s->pump_posted = false;
        pthread_mutex_unlock(&s->lock);
        KC_LIST_FOREACH(&s->watches, w, struct mem_watch, node)
        pump_one(w);
}

/* Under the lock. */
static void wake(struct mem_store *s)
{
        if (!s->pump_posted) {
                s->pump_posted = true;
                kc_loop_post(s->store.loop, pump, s);
        }
}

static void mem_watch_cancel(struct kc_store_watch *watch)
{
        struct mem_watch *w = KC_CONTAINER_OF(watch, struct mem_watch, watch);
        w->cancelled = true;
        if (!w->busy)
                free_watch(w);
}

static struct kc_store_watch *mem_watch(struct kc_store *store, const char *prefix, int64_t start_revision,
    bool want_prev, const struct kc_store_watch_cbs *cbs, void *arg)
{
        struct mem_store *s = mem_of(store);
        struct mem_watch *w = KC_NEW(struct mem_watch);
        w->watch.cancel = mem_watch_cancel;
        w->store = s;
        w->prefix = kc_strdup(prefix);
        w->next = start_revision;
        w->want_prev = want_prev;
        w->cbs = cbs;
        w->arg = arg;
        kc_list_push_back(&s->watches, &w->node);
        pthread_mutex_lock(&s->lock);
        wake(s);
        pthread_mutex_unlock(&s->lock);
        return &w->watch;
}

/* --- Reading */

static int mem_get(struct kc_store *store, const char *key, int64_t revision, struct kc_store_kv *ret,
    int64_t *ret_revision, struct kc_error *err)
{
        struct mem_store *s = mem_of(store);
        pthread_mutex_lock(&s->lock);
        int r = check_read(s, revision, err);
        if (r == 0) {
                if (ret_revision)
                        *ret_revision = s->revision;
                const struct version *v = at(find(s, key), revision);
                if (v)
                        kv_from(ret, key, v, false);
                else
                        r = kc_error_set(err, ENOENT, "no key %s", key);
        }
        pthread_mutex_unlock(&s->lock);
        return r;
}

static int mem_list(
    struct kc_store *store, const struct kc_store_list_opts *o, struct kc_store_list *ret, struct kc_error *err)
{
        struct mem_store *s = mem_of(store);
        *ret = (struct kc_store_list){0};
        pthread_mutex_lock(&s->lock);
        int r = check_read(s, o->revision, err);
        bool from = o->from_key && strcmp(o->from_key, o->prefix) > 0;
        size_t cap = 0;
        for (size_t i = lower_bound(s, from ? o->from_key : o->prefix); r == 0 && i < s->n_keys; i++) {
                const struct mem_key *k = s->keys[i];
                if (!kc_str_has_prefix(k->key, o->prefix))
                        break;
                const struct version *v = at(k, o->revision);
                if (!v)
                        continue;
                ret->count++;
                if (o->count_only)
                        continue;
                if (o->limit && ret->n == o->limit)
                        ret->more = true;
                else
                        kv_from(store_list_push(ret, &cap), k->key, v, o->keys_only);
        }
        ret->revision = o->revision ? o->revision : s->revision;
        pthread_mutex_unlock(&s->lock);
        return r;
}

struct revision_call {
        struct mem_store *store;
        kc_store_revision_fn fn;
        void *arg;
};

static void tell_revision(void *arg)
{
        struct revision_call *c = arg;
        struct mem_store *s = c->store;
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        pthread_mutex_lock(&s->lock);
        int64_t revision = s->down ? 0 : s->revision;
        pthread_mutex_unlock(&s->lock);
        if (!revision)
                (void)store_err_unavailable(&err, "connection refused");
        c->fn(revision, revision ? NULL : &err, c->arg);
        kc_free(c);
}

static void mem_revision_async(struct kc_store *store, kc_store_revision_fn fn, void *arg)
{
        struct revision_call *c = KC_NEW(struct revision_call);
        *c = (struct revision_call){mem_of(store), fn, arg};
        kc_loop_post(store->loop, tell_revision, c);
}

/* --- Writing */

/* Under the lock. value NULL: delete. */
static void apply(struct mem_store *s, struct mem_key *k, struct kc_bytes *take_value)
{
        const struct version *now = at(k, 0);
        if (k->n == k->cap) {
                k->cap = k->cap ? k->cap * 2 : 4;
                k->v = kc_reallocarray(k->v, k->cap, sizeof(*k->v));
        }
        s->revision++;
        int64_t created = !take_value ? 0 : now ? k->v[k->n - 1].created : s->revision;
        k->v[k->n++] = (struct version){.revision = s->revision, .created = created, .value = take_value};
        if (s->n_log == s->log_cap) {
                s->log_cap = s->log_cap ? s->log_cap * 2 : 64;
                s->log = kc_reallocarray(s->log, s->log_cap, sizeof(*s->log));
        }
        s->log[s->n_log++] = (struct log_entry){s->revision, k};
        wake(s);
}

static void free_expiry(struct expiry *x)
{
        kc_list_remove(&x->node);
        kc_timer_free(x->timer);
        kc_free(x->key);
        kc_free(x);
}

static void expire(void *arg)
{
        struct expiry *x = arg;
        struct mem_store *s = x->store;
        pthread_mutex_lock(&s->lock);
        struct mem_key *k = find(s, x->key);
        const struct version *v = at(k, 0);
        if (v && v->revision == x->revision)
                apply(s, k, NULL);
        pthread_mutex_unlock(&s->lock);
        free_expiry(x);
}

static void arm_expiry(void *arg)
{
        struct expiry *x = arg;
        x->timer = kc_timer_new(x->store->store.loop, expire, x);
        kc_timer_arm(x->timer, x->usec);
        kc_list_push_back(&x->store->expiries, &x->node);
}

static int mem_write(struct kc_store *store, const struct store_write *w, int64_t *ret_revision,
    struct kc_store_kv *ret_current, struct kc_error *err)
{
        struct mem_store *s = mem_of(store);
        if (w->len > MEM_MAX_VALUE)
                return store_err_too_large(err, "etcdserver: request is too large");
        pthread_mutex_lock(&s->lock);
        int r = check_read(s, 0, err);
        const struct version *now = at(find(s, w->key), 0);
        if (r == 0 && w->expected != STORE_UNCONDITIONAL && w->expected != (now ? now->revision : 0)) {
                if (ret_current) {
                        *ret_current = (struct kc_store_kv){0};
                        if (now)
                                kv_from(ret_current, w->key, now, false);
                }
                r = kc_error_set(err, EAGAIN, "key %s is not at revision %lld", w->key, (long long)w->expected);
        } else if (r == 0) {
                if (w->value || now)
                        apply(s, find_or_add(s, w->key), w->value ? kc_bytes_new(w->value, w->len) : NULL);
                if (ret_revision)
                        *ret_revision = s->revision;
                if (w->value && w->ttl_seconds > 0) {
                        struct expiry *x = KC_NEW(struct expiry);
                        x->store = s;
                        x->key = kc_strdup(w->key);
                        x->revision = s->revision;
                        x->usec = w->ttl_seconds * KC_SEC;
                        kc_loop_post(store->loop, arm_expiry, x);
                }
        }
        pthread_mutex_unlock(&s->lock);
        return r;
}

/* --- Upkeep */

static void trim(struct mem_key *k, int64_t revision)
{
        size_t drop = 0;
        while (drop + 1 < k->n && k->v[drop + 1].revision <= revision)
                drop++;
        if (drop < k->n && !k->v[drop].value && k->v[drop].revision <= revision)
                drop++;
        for (size_t i = 0; i < drop; i++) {
                if (k->v[i].value)
                        kc_bytes_unref(k->v[i].value);
        }
        if (drop > 0)
                memmove(k->v, k->v + drop, (k->n - drop) * sizeof(*k->v));
        k->n -= drop;
}

static int mem_compact(struct kc_store *store, int64_t revision, struct kc_error *err)
{
        struct mem_store *s = mem_of(store);
        pthread_mutex_lock(&s->lock);
        int r = check_read(s, revision, err);
        if (r == 0 && revision <= s->compacted)
                r = store_err_compacted(err);
        if (r == 0) {
                s->compacted = revision;
                for (size_t i = 0; i < s->n_keys; i++)
                        trim(s->keys[i], revision);
                size_t keep = 0;
                for (size_t i = 0; i < s->n_log; i++) {
                        if (s->log[i].revision >= revision)
                                s->log[keep++] = s->log[i];
                }
                s->n_log = keep;
        }
        pthread_mutex_unlock(&s->lock);
        return r;
}

static int mem_status(struct kc_store *store, int timeout_ms, struct kc_store_status *ret, struct kc_error *err)
{
        struct mem_store *s = mem_of(store);
        (void)timeout_ms;
        pthread_mutex_lock(&s->lock);
        int r = check_read(s, 0, err);
        pthread_mutex_unlock(&s->lock);
        if (r == 0)
                *ret = (struct kc_store_status){.version = "memory"};
        return r;
}

void kc_store_mem_set_down(struct kc_store *store, bool down)
{
        struct mem_store *s = mem_of(store);
        pthread_mutex_lock(&s->lock);
        s->down = down;
        wake(s);
        pthread_mutex_unlock(&s->lock);
}

static void free_later(void *arg)
{
        struct mem_store *s = arg;
        KC_LIST_FOREACH(&s->expiries, x, struct expiry, node)
        free_expiry(x);
        for (size_t i = 0; i < s->n_keys; i++) {
                for (size_t j = 0; j < s->keys[i]->n; j++) {
                        if (s->keys[i]->v[j].value)
                                kc_bytes_unref(s->keys[i]->v[j].value);
                }
                kc_free(s->keys[i]->v);
                kc_free(s->keys[i]->key);
                kc_free(s->keys[i]);
        }
        kc_free(s->keys);
        kc_free(s->log);
        pthread_mutex_destroy(&s->lock);
        kc_free(s);
}

static void mem_free(struct kc_store *store)
{
        struct mem_store *s = mem_of(store);
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        (void)store_err_unavailable(&err, "closed");
        KC_LIST_FOREACH(&s->watches, w, struct mem_watch, node)
        end_watch(w, &err, 0);
        /* Behind what is posted already. */
        kc_loop_post(store->loop, free_later, s);
}

static const struct store_ops mem_ops = {
    .get = mem_get,
    .list = mem_list,
    .write = mem_write,
    .revision_async = mem_revision_async,
    .watch = mem_watch,
    .compact = mem_compact,
    .status = mem_status,
    .free = mem_free,
};

struct kc_store *kc_store_mem_new(struct kc_loop *loop)
{
        struct mem_store *s = KC_NEW(struct mem_store);
        s->store.ops = &mem_ops;
        s->store.loop = loop;
        s->revision = 1;
        pthread_mutex_init(&s->lock, NULL);
        kc_list_init(&s->watches);
        kc_list_init(&s->expiries);
        return &s->store;
}
