/* The rate-limited work queue.
 *
 *   add --> [ready list] --try_get--> processing --done--> gone, or ready again if added meanwhile
 *   add_after --> [heap of waiting keys] --timer on the loop--> add
 *
 * One lock; the timer lives on the loop, everything else on any thread. Posts to the loop hold a reference, because a
 * loop may run them after the queue has been freed by its owner. */
#include "client/workqueue.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/list.h"
#include "base/map.h"
#include "base/str.h"
#include "client/observe.h"
#include "client/ratelimit.h"

enum { RATE_QPS = 10, RATE_BURST = 100 };
#define BACKOFF_BASE (5 * KC_MSEC)
#define BACKOFF_MAX (1000 * KC_SEC)

/* A key that is ready, worked on, or both. */
struct item {
        struct kc_list node; /* in ready, when dirty and not processing */
        char *key;
        bool dirty, processing;
        kc_mono added_at, started_at;
};

/* A key that waits for its time. */
struct delayed {
        char *key;
        kc_mono at;
        size_t pos; /* in heap */
};

struct kc_workqueue {
        struct kc_loop *loop;
        char *name;
        atomic_int refs;
        pthread_mutex_t lock;
        /* guarded by lock: */
        struct kc_map *items; /* key -> struct item */
        struct kc_list ready; /* of struct item */
        size_t n_ready;
        struct kc_map *failures; /* key -> count, as a pointer */
        int64_t backoff;         /* after the first failure */
        struct kc_map *delayed;  /* key -> struct delayed */
        struct delayed **heap;   /* by at */
        size_t n_heap, cap_heap;
        struct kc_bucket bucket;
        bool shutdown;
        bool post_pending;
        void (*on_ready)(void *arg);
        void *on_ready_arg;
        /* On the loop. */
        struct kc_timer *timer;
        struct kc_list all_node; /* guarded by all_lock */
};

/* Every queue of the process, for the gauges that are computed when asked for. Taken before a queue's lock. */
static pthread_mutex_t all_lock = PTHREAD_MUTEX_INITIALIZER;
static struct kc_list all = {&all, &all};

static void item_free(void *p)
{
        struct item *it = p;
        kc_free(it->key);
        kc_free(it);
}

static void unref(struct kc_workqueue *q)
{
        if (atomic_fetch_sub(&q->refs, 1) != 1)
                return;
        kc_map_free(q->items);
        kc_map_free(q->failures);
        kc_map_free(q->delayed);
        for (size_t i = 0; i < q->n_heap; i++) {
                kc_free(q->heap[i]->key);
                kc_free(q->heap[i]);
        }
        kc_free(q->heap);
        pthread_mutex_destroy(&q->lock);
        kc_free(q->name);
        kc_free(q);
}

/* --- the heap of waiting keys */

static void heap_place(struct kc_workqueue *q, size_t pos, struct delayed *d)
{
        q->heap[pos] = d;
        d->pos = pos;
}

static void heap_up(struct kc_workqueue *q, size_t pos)
{
        struct delayed *d = q->heap[pos];
        for (; pos > 0 && q->heap[(pos - 1) / 2]->at > d->at; pos = (pos - 1) / 2)
                heap_place(q, pos, q->heap[(pos - 1) / 2]);
        heap_place(q, pos, d);
}

static void heap_down(struct kc_workqueue *q, size_t pos)
{
        struct delayed *d = q->heap[pos];
        for (;;) {
                size_t child = 2 * pos + 1;
                if (child >= q->n_heap)
                        break;
                if (child + 1 < q->n_heap && q->heap[child + 1]->at < q->heap[child]->at)
                        child++;
                if (q->heap[child]->at >= d->at)
                        break;
                heap_place(q, pos, q->heap[child]);
                pos = child;
        }
        heap_place(q, pos, d);
}

static void heap_push(struct kc_workqueue *q, struct delayed *d)
{
        if (q->n_heap == q->cap_heap) {
                q->cap_heap = q->cap_heap ? q->cap_heap * 2 : 16;
                q->heap = kc_reallocarray(q->heap, q->cap_heap, sizeof(*q->heap));
        }
        heap_place(q, q->n_heap++, d);
        heap_up(q, d->pos);
}

static struct delayed *heap_pop(struct kc_workqueue *q)
{
        struct delayed *first = q->heap[0];
        struct delayed *last = q->heap[--q->n_heap];
        if (q->n_heap > 0) {
                heap_place(q, 0, last);
                heap_down(q, 0);
        }
        return first;
}

/* --- ready keys */

/* Under the lock. True if a key became ready. */
static bool add_locked(struct kc_workqueue *q, const char *key)
{
        if (q->shutdown)
                return false;
        struct item *it = kc_map_get(q->items, key);
        if (!it) {
                it = KC_NEW(struct item);
                it->key = kc_strdup(key);
                kc_list_init(&it->node);
                (void)kc_map_set(q->items, key, it);
        }
        if (it->dirty)
                return false;
        it->dirty = true;
        it->added_at = kc_clock_mono(NULL);
        const struct kc_client_observer *o = kc_client_observer();
        if (o->queue_added)
                o->queue_added(q->name);
        if (o->queue_depth)
                o->queue_depth(q->name, 1);
        if (it->processing)
                return false;
        kc_list_push_back(&q->ready, &it->node);
        q->n_ready++;
        return true;
}

/* Drops the lock and tells the listener. */
static void unlock_and_tell(struct kc_workqueue *q, bool ready)
{
        void (*fn)(void *arg) = ready ? q->on_ready : NULL;
        void *arg = q->on_ready_arg;
        pthread_mutex_unlock(&q->lock);
        if (fn)
                fn(arg);
}

/* On the loop: moves what is due, arms the timer for what is next. */
static void run_delayed(struct kc_workqueue *q)
{
        pthread_mutex_lock(&q->lock);
        q->post_pending = false;
        bool ready = false;
        kc_mono now = kc_clock_mono(NULL);
        while (!q->shutdown && q->n_heap > 0 && q->heap[0]->at <= now) {
                struct delayed *d = heap_pop(q);
                (void)kc_map_steal(q->delayed, d->key);
                if (add_locked(q, d->key))
                        ready = true;
                kc_free(d->key);
                kc_free(d);
        }
        if (q->timer && !q->shutdown && q->n_heap > 0)
                kc_timer_arm(q->timer, q->heap[0]->at - now);
        unlock_and_tell(q, ready);
}

static void on_timer(void *arg)
{
        run_delayed(arg);
}

static void on_post(void *arg)
{
        struct kc_workqueue *q = arg;
        run_delayed(q);
        unref(q);
}

struct kc_workqueue *kc_workqueue_new(struct kc_loop *loop, const char *name)
{
        struct kc_workqueue *q = KC_NEW(struct kc_workqueue);
        q->loop = loop;
        q->name = kc_strdup(name);
        atomic_init(&q->refs, 1);
        pthread_mutex_init(&q->lock, NULL);
        q->items = kc_map_new(item_free);
        kc_list_init(&q->ready);
        q->failures = kc_map_new(NULL);
        q->delayed = kc_map_new(NULL);
        q->backoff = BACKOFF_BASE;
        kc_bucket_init(&q->bucket, RATE_QPS, RATE_BURST, kc_clock_mono(NULL));
        q->timer = kc_timer_new(loop, on_timer, q);
        pthread_mutex_lock(&all_lock);
        kc_list_push_back(&all, &q->all_node);
        pthread_mutex_unlock(&all_lock);
        return q;
}

void kc_workqueue_free(struct kc_workqueue *q)
{
        if (!q)
                return;
        kc_workqueue_shutdown(q);
        pthread_mutex_lock(&all_lock);
        kc_list_remove(&q->all_node);
        pthread_mutex_unlock(&all_lock);
        struct kc_timer *timer = KC_TAKE(q->timer);
        kc_timer_free(timer);
        unref(q);
}

void kc_workqueue_add(struct kc_workqueue *q, const char *key)
{
        pthread_mutex_lock(&q->lock);
        unlock_and_tell(q, add_locked(q, key));
}

/* Under the lock. A key that waits already keeps the earlier of its two times. */
static void delay_locked(struct kc_workqueue *q, const char *key, kc_mono at)
{
        struct delayed *d = kc_map_get(q->delayed, key);
        if (d && d->at <= at)
                return;
        if (d) {
                d->at = at;
                heap_up(q, d->pos);
                return;
        }
        d = KC_NEW(struct delayed);
        d->key = kc_strdup(key);
        d->at = at;
        (void)kc_map_set(q->delayed, key, d);
        heap_push(q, d);
}

void kc_workqueue_add_after(struct kc_workqueue *q, const char *key, int64_t usec)
{
        if (usec <= 0) {
                kc_workqueue_add(q, key);
                return;
        }
        pthread_mutex_lock(&q->lock);
        bool post = false;
        if (!q->shutdown) {
                const struct kc_client_observer *o = kc_client_observer();
                if (o->queue_retried)
                        o->queue_retried(q->name);
                delay_locked(q, key, kc_clock_mono(NULL) + usec);
                /* Only a new earliest key changes what the timer is armed for. */
                post = kc_streq(q->heap[0]->key, key) && !q->post_pending;
                if (post) {
                        q->post_pending = true;
                        atomic_fetch_add(&q->refs, 1);
                }
        }
        pthread_mutex_unlock(&q->lock);
        if (post)
                kc_loop_post(q->loop, on_post, q);
}

void kc_workqueue_set_backoff(struct kc_workqueue *q, int64_t base_usec)
{
        q->backoff = base_usec;
}

void kc_workqueue_add_rate_limited(struct kc_workqueue *q, const char *key)
{
        pthread_mutex_lock(&q->lock);
        intptr_t failures = (intptr_t)kc_map_get(q->failures, key);
        int64_t delay = kc_backoff_exponential(q->backoff, BACKOFF_MAX, (int)failures);
        (void)kc_map_set(q->failures, key, (void *)(failures + 1));
        int64_t overall = kc_bucket_reserve(&q->bucket, kc_clock_mono(NULL));
        pthread_mutex_unlock(&q->lock);
        kc_workqueue_add_after(q, key, KC_MAX(delay, overall));
}

void kc_workqueue_forget(struct kc_workqueue *q, const char *key)
{
        pthread_mutex_lock(&q->lock);
        (void)kc_map_remove(q->failures, key);
        pthread_mutex_unlock(&q->lock);
}

int kc_workqueue_retries(struct kc_workqueue *q, const char *key)
{
        pthread_mutex_lock(&q->lock);
        intptr_t failures = (intptr_t)kc_map_get(q->failures, key);
        pthread_mutex_unlock(&q->lock);
        return (int)failures;
}

size_t kc_workqueue_len(struct kc_workqueue *q)
{
        pthread_mutex_lock(&q->lock);
        size_t n = q->n_ready;
        pthread_mutex_unlock(&q->lock);
        return n;
}

char *kc_workqueue_try_get(struct kc_workqueue *q)
{
        pthread_mutex_lock(&q->lock);
        struct item *it = q->shutdown ? NULL : KC_LIST_FIRST(&q->ready, struct item, node);
        char *key = NULL;
        if (it) {
                kc_list_remove(&it->node);
                q->n_ready--;
                it->dirty = false;
                it->processing = true;
                it->started_at = kc_clock_mono(NULL);
                key = kc_strdup(it->key);
                const struct kc_client_observer *o = kc_client_observer();
                if (o->queue_depth)
                        o->queue_depth(q->name, -1);
                if (o->queue_waited)
                        o->queue_waited(q->name, (double)(it->started_at - it->added_at) / (double)KC_SEC);
        }
        pthread_mutex_unlock(&q->lock);
        return key;
}

void kc_workqueue_done(struct kc_workqueue *q, const char *key)
{
        pthread_mutex_lock(&q->lock);
        bool ready = false;
        struct item *it = kc_map_get(q->items, key);
        if (it && it->processing) {
                const struct kc_client_observer *o = kc_client_observer();
                if (o->queue_worked)
                        o->queue_worked(q->name, (double)(kc_clock_mono(NULL) - it->started_at) / (double)KC_SEC);
                it->processing = false;
                if (it->dirty) {
                        kc_list_push_back(&q->ready, &it->node);
                        q->n_ready++;
                        ready = !q->shutdown;
                } else {
                        (void)kc_map_remove(q->items, it->key);
                }
        }
        unlock_and_tell(q, ready);
}

void kc_workqueue_shutdown(struct kc_workqueue *q)
{
        pthread_mutex_lock(&q->lock);
        q->shutdown = true;
        pthread_mutex_unlock(&q->lock);
}

void kc_workqueue_on_ready(struct kc_workqueue *q, void (*fn)(void *arg), void *arg)
{
        pthread_mutex_lock(&q->lock);
        q->on_ready = fn;
        q->on_ready_arg = arg;
        unlock_and_tell(q, q->n_ready > 0);
}

void kc_workqueue_each_running(void (*fn)(const char *name, double unfinished, double longest, void *arg), void *arg)
{
        pthread_mutex_lock(&all_lock);
        KC_LIST_FOREACH(&all, q, struct kc_workqueue, all_node)
        {
                double unfinished = 0, longest = 0;
                pthread_mutex_lock(&q->lock);
                kc_mono now = kc_clock_mono(NULL);
                size_t at = 0;
                const char *key;
                void *value;
                while (kc_map_next(q->items, &at, &key, &value)) {
                        const struct item *it = value;
                        if (!it->processing)
                                continue;
                        double seconds = (double)(now - it->started_at) / (double)KC_SEC;
                        unfinished += seconds;
                        longest = KC_MAX(longest, seconds);
                }
                pthread_mutex_unlock(&q->lock);
                fn(q->name, unfinished, longest, arg);
        }
        pthread_mutex_unlock(&all_lock);
}
