/* The pool of threads for blocking code. One lock guards it all; tasks run outside of it. */
#include "event/worker.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/mem.h"
#include "event/thread_internal.h"
#include "event/worker_internal.h"

struct work {
        struct kc_list node;
        kc_work_fn fn;
        void *arg;
};

struct kc_pool {
        char name[16];
        int max_threads;
        size_t max_queue;
        int64_t idle_usec;

        pthread_mutex_t lock;
        pthread_cond_t work_cond;  /* there is work, or the pool is closing */
        pthread_cond_t ended_cond; /* a thread has ended */
        /* All below is guarded by lock. */
        struct kc_list queue; /* struct work */
        size_t queued, running;
        int threads; /* that may take work */
        int leaving; /* that will not any more */
        int idle;    /* threads that wait for work or have just been started */
        bool closing;
        bool has_ended; /* a thread that has ended and is to be joined */
        pthread_t ended;
};

struct kc_pool *kc_pool_new(const char *name, int max_threads, size_t max_queue)
{
        struct kc_pool *p = KC_NEW(struct kc_pool);
        pthread_condattr_t attr;
        snprintf(p->name, sizeof(p->name), "%.15s", name);
        p->max_threads = KC_MAX(max_threads, 1);
        p->max_queue = max_queue;
        p->idle_usec = 10 * KC_SEC;
        pthread_mutex_init(&p->lock, NULL);
        pthread_condattr_init(&attr);
        pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        pthread_cond_init(&p->work_cond, &attr);
        pthread_cond_init(&p->ended_cond, NULL);
        pthread_condattr_destroy(&attr);
        kc_list_init(&p->queue);
        return p;
}

/* Waits for work under the lock; NULL when the thread is to end. */
static struct work *next_work(struct kc_pool *p)
{
        kc_mono until = kc_clock_mono(NULL) + p->idle_usec;
        struct timespec deadline = {.tv_sec = until / KC_SEC, .tv_nsec = until % KC_SEC * 1000};
        int r = 0;
        while (kc_list_empty(&p->queue) && !p->closing && r != ETIMEDOUT)
                r = pthread_cond_timedwait(&p->work_cond, &p->lock, &deadline);
        struct work *w = KC_LIST_FIRST(&p->queue, struct work, node);
        if (!w)
                return NULL;
        kc_list_remove(&w->node);
        p->queued--;
        return w;
}

/* Under the lock. Each thread that ends joins the one that ended before it, so at most one is left over. */
static void leave(struct kc_pool *p)
{
        pthread_t before = p->ended;
        bool join = p->has_ended;
        p->ended = pthread_self();
        p->has_ended = true;
        p->threads--;
        p->leaving++;
        if (join) {
                pthread_mutex_unlock(&p->lock);
                pthread_join(before, NULL);
                pthread_mutex_lock(&p->lock);
        }
        p->leaving--;
        pthread_cond_broadcast(&p->ended_cond);
}

static void *pool_thread(void *arg)
{
        struct kc_pool *p = arg;
        pthread_mutex_lock(&p->lock);
        for (;;) {
                struct work *w = next_work(p);
                p->idle--;
                if (!w)
                        break;
                p->running++;
                pthread_mutex_unlock(&p->lock);
                w->fn(w->arg);
                kc_free(w);
                pthread_mutex_lock(&p->lock);
                p->running--;
                p->idle++;
        }
        leave(p);
        pthread_mutex_unlock(&p->lock);
        return NULL;
}

/* Under the lock. */
static int add_thread(struct kc_pool *p)
{
        pthread_t thread;
        int r = kc_thread_start(p->name, pool_thread, p, &thread, NULL);
        if (r < 0)
                return r;
        p->threads++;
        p->idle++;
        return 0;
}

int kc_pool_submit(struct kc_pool *p, kc_work_fn fn, void *arg)
{
        struct work *w = KC_NEW(struct work);
        w->fn = fn;
        w->arg = arg;
        int r = 0;
        pthread_mutex_lock(&p->lock);
        size_t takers = (size_t)p->idle;
        if (p->closing) {
                r = -ESHUTDOWN;
        } else if (p->queued >= takers) {
                /* Nobody is free for it: one more thread, or a place in the queue. */
                bool started = p->threads < p->max_threads && add_thread(p) == 0;
                if (!started && (p->threads == 0 || p->queued - takers >= p->max_queue))
                        r = -EAGAIN;
        }
        if (r == 0) {
                kc_list_push_back(&p->queue, &w->node);
                p->queued++;
                pthread_cond_signal(&p->work_cond);
        }
        pthread_mutex_unlock(&p->lock);
        if (r < 0)
                kc_free(w);
        return r;
}

size_t kc_pool_load(struct kc_pool *p)
{
        pthread_mutex_lock(&p->lock);
        size_t load = p->queued + p->running;
        pthread_mutex_unlock(&p->lock);
        return load;
}

void kc_pool_close(struct kc_pool *p)
{
        pthread_mutex_lock(&p->lock);
        p->closing = true;
        pthread_cond_broadcast(&p->work_cond);
        while (p->threads + p->leaving > 0)
                pthread_cond_wait(&p->ended_cond, &p->lock);
        bool join = p->has_ended;
        pthread_t last = p->ended;
        p->has_ended = false;
        pthread_mutex_unlock(&p->lock);
        if (join)
                pthread_join(last, NULL);
}

void kc_pool_free(struct kc_pool *p)
{
        if (!p)
                return;
        kc_pool_close(p);
        pthread_cond_destroy(&p->work_cond);
        pthread_cond_destroy(&p->ended_cond);
        pthread_mutex_destroy(&p->lock);
        kc_free(p);
}

void kc_pool_set_idle(struct kc_pool *p, int64_t usec)
{
        p->idle_usec = usec;
}

int kc_pool_threads(struct kc_pool *p)
{
        pthread_mutex_lock(&p->lock);
        int n = p->threads;
        pthread_mutex_unlock(&p->lock);
        return n;
}

void kc_pool_wait_threads(struct kc_pool *p, int n)
{
        pthread_mutex_lock(&p->lock);
        while (p->threads > n)
                pthread_cond_wait(&p->ended_cond, &p->lock);
        pthread_mutex_unlock(&p->lock);
}
