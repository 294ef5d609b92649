/* What a controller has asked for and not seen yet, so that it does not ask twice. Any thread. */
#include <pthread.h>

#include "base/map.h"
#include "base/str.h"
#include "client/workqueue.h"

/* Upstream's ExpectationsTimeout: an event that was missed must not stop a controller for ever. */
#define EXPIRE_AFTER (5 * 60 * KC_SEC)

struct expectation {
        int creations;
        char **deletions; /* strv */
        kc_mono since;
};

struct kc_expectations {
        const struct kc_clock *clock;
        pthread_mutex_t lock;
        struct kc_map *by_key; /* guarded by lock: key -> struct expectation */
};

static void expectation_free(void *p)
{
        struct expectation *x = p;
        kc_strv_free(x->deletions);
        kc_free(x);
}

static bool is_open(const struct kc_expectations *e, const struct expectation *x)
{
        if (x->creations <= 0 && kc_strv_len(x->deletions) == 0)
                return false;
        return kc_clock_mono(e->clock) - x->since <= EXPIRE_AFTER;
}

struct kc_expectations *kc_expectations_new(const struct kc_clock *clock)
{
        struct kc_expectations *e = KC_NEW(struct kc_expectations);
        e->clock = clock;
        pthread_mutex_init(&e->lock, NULL);
        e->by_key = kc_map_new(expectation_free);
        return e;
}

void kc_expectations_free(struct kc_expectations *e)
{
        if (!e)
                return;
        kc_map_free(e->by_key);
        pthread_mutex_destroy(&e->lock);
        kc_free(e);
}

/* Under the lock: the record to add to. What was fulfilled or has expired counts no more. */
static struct expectation *record(struct kc_expectations *e, const char *key)
{
        struct expectation *x = kc_map_get(e->by_key, key);
        if (!x || !is_open(e, x)) {
                x = KC_NEW(struct expectation);
                (void)kc_map_set(e->by_key, key, x);
        }
        x->since = kc_clock_mono(e->clock);
        return x;
}

void kc_expectations_expect_creations(struct kc_expectations *e, const char *key, int n)
{
        pthread_mutex_lock(&e->lock);
        record(e, key)->creations = n;
        pthread_mutex_unlock(&e->lock);
}

void kc_expectations_expect_deletions(struct kc_expectations *e, const char *key, char *const *child_keys)
{
        pthread_mutex_lock(&e->lock);
        struct expectation *x = record(e, key);
        kc_strv_free(x->deletions);
        x->deletions = kc_strv_copy(child_keys);
        pthread_mutex_unlock(&e->lock);
}

void kc_expectations_creation_observed(struct kc_expectations *e, const char *key)
{
        pthread_mutex_lock(&e->lock);
        struct expectation *x = kc_map_get(e->by_key, key);
        if (x && x->creations > 0)
                x->creations--;
        pthread_mutex_unlock(&e->lock);
}

void kc_expectations_deletion_observed(struct kc_expectations *e, const char *key, const char *child_key)
{
        pthread_mutex_lock(&e->lock);
        struct expectation *x = kc_map_get(e->by_key, key);
        if (x && x->deletions)
                (void)kc_strv_remove(x->deletions, child_key);
        pthread_mutex_unlock(&e->lock);
}

bool kc_expectations_satisfied(struct kc_expectations *e, const char *key)
{
        pthread_mutex_lock(&e->lock);
        const struct expectation *x = kc_map_get(e->by_key, key);
        bool open = x && is_open(e, x);
        pthread_mutex_unlock(&e->lock);
        return !open;
}

void kc_expectations_delete(struct kc_expectations *e, const char *key)
{
        pthread_mutex_lock(&e->lock);
        (void)kc_map_remove(e->by_key, key);
        pthread_mutex_unlock(&e->lock);
}
