/* What was found out about tokens, for a short while: a method in front of others. Holds no tokens, but their keyed
 * hashes, and at most CACHE_MAX results, of which those go first that were used longest ago. One lock, never held while
 * a token is looked at; the same token is looked at once at a time where that has to wait for others. Any thread. */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "auth/authn_internal.h"
#include "base/list.h"
#include "base/str.h"

enum { CACHE_MAX = 4096 };

struct entry {
        struct kc_list node; /* in cache.used */
        char key[AUTHN_HASH_LEN];
        bool pending; /* somebody is finding out; waits for cache.changed */
        kc_mono until;
        int result;
        struct authn_found found;
        struct kc_error why;
};

struct cache {
        struct authn_cache_opts o;
        pthread_mutex_t lock; /* guards what follows */
        pthread_cond_t changed;
        struct kc_map *entries; /* key -> entry */
        struct kc_list used;    /* longest ago first */
};

static void entry_free(void *arg)
{
        struct entry *e = arg;
        kc_list_remove(&e->node);
        authn_found_done(&e->found);
        kc_error_done(&e->why);
        kc_free(e);
}

static void found_copy(struct authn_found *to, const struct authn_found *from)
{
        to->user = kc_user_ref(from->user);
        to->audiences = kc_strv_copy(from->audiences);
        to->warnings = kc_strv_copy(from->warnings);
        to->annotations = kc_strv_copy(from->annotations);
}

static void key_of(const struct authn_token *t, char out[static AUTHN_HASH_LEN])
{
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        char token[AUTHN_HASH_LEN];
        authn_token_hash(t->text, token);
        kc_buf_adds(&b, token);
        for (size_t i = 0; t->audiences && t->audiences[i]; i++)
                kc_buf_addf(&b, " %zu:%s", strlen(t->audiences[i]), t->audiences[i]);
        authn_token_hash(kc_buf_str(&b), out);
}

/* With the lock. A place for a result; the oldest ones make room, but not what is being found out. */
static void add(struct cache *c, const char *key)
{
        KC_LIST_FOREACH(&c->used, old, struct entry, node)
        {
                if (kc_map_len(c->entries) < c->o.max_entries)
                        break;
                if (!old->pending)
                        (void)kc_map_remove(c->entries, old->key);
        }
        struct entry *e = KC_NEW(struct entry);
        memcpy(e->key, key, sizeof(e->key));
        e->pending = true;
        kc_list_push_back(&c->used, &e->node);
        (void)kc_map_set(c->entries, key, e);
}

/* With the lock. The result, if there is a fresh one; waits for one that is under way. NULL: to be found out. Who must
 * not wait gets what is pending. */
static struct entry *find(struct cache *c, const char *key, bool may_block)
{
        for (;;) {
                struct entry *e = kc_map_get(c->entries, key);
                if (!e || (e->pending && !may_block))
                        return e;
                if (!e->pending) {
                        if (kc_clock_mono(c->o.clock) < e->until)
                                return e;
                        (void)kc_map_remove(c->entries, key);
                        return NULL;
                }
                authn_count_fetching("blocked", 1);
                (void)pthread_cond_wait(&c->changed, &c->lock);
                authn_count_fetching("blocked", -1);
        }
}

/* With the lock. */
static void settle(
    struct cache *c, const char *key, int result, const struct authn_found *found, const struct kc_error *why)
{
        struct entry *e = kc_map_get(c->entries, key);
        int64_t ttl = result == 1 ? c->o.success_ttl : c->o.failure_ttl;
        if (result == -EWOULDBLOCK || ttl <= 0 || (result < 0 && !c->o.errors)) {
                (void)kc_map_remove(c->entries, key);
        } else {
                e->pending = false;
                e->until = kc_clock_mono(c->o.clock) + ttl;
                e->result = result;
                found_copy(&e->found, found);
                kc_error_copy(&e->why, why);
        }
        (void)pthread_cond_broadcast(&c->changed);
}

static int look(
    struct cache *c, const struct authn_token *t, const char *key, struct authn_found *ret, struct kc_error *err)
{
        KC_CLEANUP(kc_error_done) struct kc_error why = KC_ERROR_INIT;
        authn_count_fetching("in_flight", 1);
        int r = c->o.inner.authenticate(c->o.inner.self, t, ret, &why);
        authn_count_fetching("in_flight", -1);
        pthread_mutex_lock(&c->lock);
        settle(c, key, r, ret, &why);
        pthread_mutex_unlock(&c->lock);
        if (r != -EWOULDBLOCK)
                authn_count_fetched(r >= 0);
        if (err)
                kc_error_move(err, &why);
        return r;
}

static int authenticate(void *self, const struct authn_token *t, struct authn_found *ret, struct kc_error *err)
{
        struct cache *c = self;
        char key[AUTHN_HASH_LEN];
        kc_mono started = kc_clock_mono(NULL);
        int r;
        key_of(t, key);
        pthread_mutex_lock(&c->lock);
        struct entry *e = find(c, key, t->may_block);
        bool hit = e && !e->pending;
        if (hit) {
                kc_list_remove(&e->node);
                kc_list_push_back(&c->used, &e->node);
                r = e->result;
                found_copy(ret, &e->found);
                if (err)
                        kc_error_copy(err, &e->why);
                pthread_mutex_unlock(&c->lock);
        } else if (e) { /* another thread is at it, and there is no time to wait for it */
                pthread_mutex_unlock(&c->lock);
                return c->o.inner.authenticate(c->o.inner.self, t, ret, err);
        } else {
                add(c, key);
                pthread_mutex_unlock(&c->lock);
                r = look(c, t, key, ret, err);
        }
        if (r != -EWOULDBLOCK)
                authn_count_cached(hit, kc_clock_mono(NULL) - started);
        return r;
}

static void cache_free(void *self)
{
        struct cache *c = self;
        kc_map_free(c->entries);
        c->o.inner.free(c->o.inner.self);
        pthread_cond_destroy(&c->changed);
        pthread_mutex_destroy(&c->lock);
        kc_free(c);
}

void authn_cached_new(const struct authn_cache_opts *o, struct authn_method *ret)
{
        struct cache *c = KC_NEW(struct cache);
        c->o = *o;
        if (c->o.max_entries == 0)
                c->o.max_entries = CACHE_MAX;
        pthread_mutex_init(&c->lock, NULL);
        pthread_cond_init(&c->changed, NULL);
        c->entries = kc_map_new(entry_free);
        kc_list_init(&c->used);
        *ret = (struct authn_method){.authenticate = authenticate, .free = cache_free, .self = c};
}
