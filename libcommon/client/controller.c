/* A controller: takes keys from its queue to at most `workers` tasks of the pool. A task works on one key and then goes
 * to the end of the pool's queue, so that controllers sharing a pool take turns. Any thread. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/log.h"
#include "base/str.h"
#include "client/workqueue.h"

/* When the pool's queue is full and no task of ours is in it. */
#define POOL_FULL_RETRY (50 * KC_MSEC)

struct kc_controller {
        struct kc_loop *loop;
        struct kc_pool *pool;
        char *name;
        int workers;
        kc_sync_fn sync;
        void *arg;
        struct kc_workqueue *queue;
        struct kc_timer *retry; /* on the loop */
        pthread_mutex_t lock;
        /* guarded by lock: */
        bool running;
        int active;         /* tasks queued or running */
        bool retry_pending; /* a post or the timer will pump again */
        atomic_int refs;    /* the owner's, and one for each post */
};

static void pump(struct kc_controller *c);
static void task(void *arg);

static void unref(struct kc_controller *c)
{
        if (atomic_fetch_sub(&c->refs, 1) != 1)
                return;
        pthread_mutex_destroy(&c->lock);
        kc_free(c->name);
        kc_free(c);
}

static void on_retry(void *arg)
{
        struct kc_controller *c = arg;
        pthread_mutex_lock(&c->lock);
        c->retry_pending = false;
        pthread_mutex_unlock(&c->lock);
        pump(c);
}

static void arm_retry(void *arg)
{
        struct kc_controller *c = arg;
        if (c->retry)
                kc_timer_arm(c->retry, POOL_FULL_RETRY);
        unref(c);
}

/* Starts tasks while there are keys without one. */
static void pump(struct kc_controller *c)
{
        bool post = false;
        size_t ready = kc_workqueue_len(c->queue);
        pthread_mutex_lock(&c->lock);
        for (size_t started = 0; c->running && c->active < c->workers && started < ready; started++) {
                if (kc_pool_submit(c->pool, task, c) < 0) {
                        /* Our own tasks pump when they end; without one the loop has to. */
                        post = c->active == 0 && !c->retry_pending;
                        break;
                }
                c->active++;
        }
        if (post) {
                c->retry_pending = true;
                atomic_fetch_add(&c->refs, 1);
        }
        pthread_mutex_unlock(&c->lock);
        if (post)
                kc_loop_post(c->loop, arm_retry, c);
}

static void on_ready(void *arg)
{
        pump(arg);
}

static void sync_one(struct kc_controller *c, char *key)
{
        struct kc_error err = KC_ERROR_INIT;
        int r = c->sync(c->arg, key, &err);
        if (r < 0) {
                if (r == -EINPROGRESS)
                        kc_log_v(4, "Sync to be tried again", "controller", c->name, "key", key, "why",
                            kc_error_message(&err));
                else if (r != -ECANCELED) /* the daemon ends: no news */
                        kc_log_error(&err, "Sync failed, retrying", "controller", c->name, "key", key);
                kc_workqueue_add_rate_limited(c->queue, key);
        } else {
                kc_workqueue_forget(c->queue, key);
        }
        kc_error_done(&err);
        kc_workqueue_done(c->queue, key);
}

static void task(void *arg)
{
        struct kc_controller *c = arg;
        for (;;) {
                pthread_mutex_lock(&c->lock);
                bool running = c->running;
                pthread_mutex_unlock(&c->lock);
                KC_CLEANUP(kc_freep) char *key = running ? kc_workqueue_try_get(c->queue) : NULL;
                if (!key)
                        break;
                sync_one(c, key);
                if (kc_workqueue_len(c->queue) == 0)
                        break;
                /* With the pool full, the next key is ours right away. */
                if (kc_pool_submit(c->pool, task, c) == 0)
                        return;
        }
        pthread_mutex_lock(&c->lock);
        c->active--;
        pthread_mutex_unlock(&c->lock);
        /* A key may have come between the last look and here. */
        pump(c);
}

struct kc_controller *kc_controller_new(
    struct kc_loop *loop, struct kc_pool *pool, const char *name, int workers, kc_sync_fn sync, void *arg)
{
        struct kc_controller *c = KC_NEW(struct kc_controller);
        c->loop = loop;
        c->pool = pool;
        c->name = kc_strdup(name);
        c->workers = workers > 0 ? workers : 1;
        c->sync = sync;
        c->arg = arg;
        atomic_init(&c->refs, 1);
        pthread_mutex_init(&c->lock, NULL);
        c->queue = kc_workqueue_new(loop, name);
        c->retry = kc_timer_new(loop, on_retry, c);
        kc_workqueue_on_ready(c->queue, on_ready, c);
        return c;
}

struct kc_workqueue *kc_controller_queue(struct kc_controller *c)
{
        return c->queue;
}

void kc_controller_start(struct kc_controller *c)
{
        pthread_mutex_lock(&c->lock);
        c->running = true;
        pthread_mutex_unlock(&c->lock);
        pump(c);
}

void kc_controller_stop(struct kc_controller *c)
{
        pthread_mutex_lock(&c->lock);
        c->running = false;
        pthread_mutex_unlock(&c->lock);
        kc_workqueue_shutdown(c->queue);
}

void kc_controller_free(struct kc_controller *c)
{
        if (!c)
                return;
        kc_controller_stop(c);
        struct kc_timer *retry = KC_TAKE(c->retry);
        kc_timer_free(retry);
        kc_workqueue_free(c->queue);
        unref(c);
}
