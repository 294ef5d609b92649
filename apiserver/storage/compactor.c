/* The compactor: every interval it tries to write the registry's compaction key. Who succeeds compacts to the revision
 * that was current one interval before; the others learn the new state of the key and wait for their next turn. As
 * upstream's compactor of etcd3. The timer is the loop's, the work a pool's of one thread. */
#include "storage/compactor.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "event/worker.h"

/* Below the prefix, so that the watch cache sees the revisions that it makes. */
#define COMPACTION_KEY "kubec.io/compaction"

struct kc_compactor {
        struct kc_store *store;
        struct kc_loop *loop;
        struct kc_pool *pool;
        struct kc_timer *timer;
        char *key;
        int64_t interval_usec;
        bool freed; /* the loop's */
        /* The work's: */
        int64_t key_revision; /* of the key, as last seen */
        int64_t compact_next; /* the store's revision at the last turn; 0: none yet */
        atomic_int refs;      /* the owner's and the turn's */
};

static void unref(struct kc_compactor *c)
{
        if (atomic_fetch_sub(&c->refs, 1) > 1)
                return;
        kc_free(c->key);
        kc_free(c);
}

/* Takes this turn for us, or learns who has taken it. Returns true if it is ours. */
static bool take_turn(struct kc_compactor *c, int64_t *ret_revision, struct kc_error *err)
{
        char value[24];
        int n = snprintf(value, sizeof(value), "%lld", (long long)c->compact_next);
        struct kc_store_kv now = {0};
        int64_t revision = 0;
        int r = kc_store_update(c->store, c->key, c->key_revision, value, (size_t)n, NULL, &revision, &now, err);
        if (r == 0)
                c->key_revision = *ret_revision = revision;
        else if (r == -EAGAIN)
                c->key_revision = now.mod_revision;
        kc_store_kv_done(&now);
        if (r == -EAGAIN)
                kc_error_done(err);
        return r == 0;
}

static void turn_over(void *arg)
{
        struct kc_compactor *c = arg;
        if (!c->freed)
                kc_timer_arm(c->timer, c->interval_usec);
        unref(c);
}

/* On the pool. */
static void turn(void *arg)
{
        struct kc_compactor *c = arg;
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        int64_t revision = 0;
        if (take_turn(c, &revision, &err)) {
                int r = c->compact_next ? kc_store_compact(c->store, c->compact_next, &err) : 0;
                if (r == -ESTALE)
                        kc_error_done(&err); /* somebody else has been there */
                else if (r == 0 && c->compact_next)
                        kc_log_v(2, "Compacted the store", "revision", kc_log_i64(c->compact_next));
                c->compact_next = revision;
        } else if (!err.errnum) {
                /* Another one has just begun an interval: ours begins with it. */
                (void)kc_store_revision(c->store, &c->compact_next, &err); /* err tells */
        }
        if (err.errnum)
                kc_log_error(&err, "Cannot compact the store, retrying");
        kc_loop_post(c->loop, turn_over, c);
}

static void on_timer(void *arg)
{
        struct kc_compactor *c = arg;
        atomic_fetch_add(&c->refs, 1);
        if (kc_pool_submit(c->pool, turn, c) < 0)
                turn_over(c); /* cannot be: there is one task at a time */
}

static void start(void *arg)
{
        struct kc_compactor *c = arg;
        if (!c->freed) {
                c->timer = kc_timer_new(c->loop, on_timer, c);
                /* The first turn only learns the key and the revision. */
                kc_timer_arm(c->timer, c->interval_usec);
        }
        unref(c);
}

struct kc_compactor *kc_compactor_new(struct kc_store *s, const char *prefix, int64_t interval_ms)
{
        struct kc_compactor *c = KC_NEW(struct kc_compactor);
        c->store = s;
        c->loop = kc_store_loop(s);
        c->pool = kc_pool_new("compactor", 1, 1);
        c->key = kc_asprintf("%s/" COMPACTION_KEY, prefix);
        c->interval_usec = interval_ms * KC_MSEC;
        atomic_init(&c->refs, 2);
        kc_loop_post(c->loop, start, c);
        return c;
}

static void stop(void *arg)
{
        struct kc_compactor *c = arg;
        c->freed = true;
        kc_timer_free(KC_TAKE(c->timer));
}

void kc_compactor_free(struct kc_compactor *c)
{
        if (!c)
                return;
        kc_loop_call(c->loop, stop, c);
        kc_pool_free(KC_TAKE(c->pool));
        unref(c);
}
