/* A bounded buffer before a sink, and the thread that empties it. */
#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "audit/sink.h"
#include "base/clock.h"
#include "base/macros.h"
#include "base/mem.h"
#include "client/ratelimit.h"
#include "event/worker.h"

struct kc_audit_buffer {
        struct kc_audit_sink *sink;
        struct kc_audit_batch o;
        struct kc_pool *pool; /* of one thread */
        pthread_mutex_t lock;
        pthread_cond_t changed;
        /* guarded by lock: */
        struct kc_bytes **ring;
        size_t head, n;
        bool ending;
};

static void until(kc_mono deadline, struct timespec *ret)
{
        ret->tv_sec = (time_t)(deadline / KC_SEC);
        ret->tv_nsec = (long)(deadline % KC_SEC) * 1000;
}

/* Waits for a whole batch, or for what has come by max_wait after its first event. Locked. */
static size_t wait_for_batch(struct kc_audit_buffer *b)
{
        while (b->n == 0 && !b->ending)
                (void)pthread_cond_wait(&b->changed, &b->lock); /* cannot fail */
        kc_mono deadline = kc_clock_mono(NULL) + b->o.max_wait;
        struct timespec t;
        until(deadline, &t);
        while (b->n < (size_t)b->o.max_size && !b->ending && b->o.max_wait > 0)
                if (pthread_cond_timedwait(&b->changed, &b->lock, &t) == ETIMEDOUT)
                        break;
        return KC_MIN(b->n, (size_t)b->o.max_size);
}

/* Waits as long as the rate asks for, unless the end has come. Locked. */
static void throttle(struct kc_audit_buffer *b, struct kc_bucket *bucket)
{
        kc_mono now = kc_clock_mono(NULL);
        kc_mono deadline = now + (b->o.throttle ? kc_bucket_reserve(bucket, now) : 0);
        struct timespec t;
        until(deadline, &t);
        while (kc_clock_mono(NULL) < deadline && !b->ending)
                (void)pthread_cond_timedwait(&b->changed, &b->lock, &t); /* the time is looked at again */
}

static void write_batch(struct kc_audit_buffer *b, struct kc_bytes **batch, size_t n)
{
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        if (b->sink->write(b->sink, batch, n, &err) < 0)
                kc_audit_count_errors(b->sink->name, n, &err);
        for (size_t i = 0; i < n; i++)
                kc_bytes_unref(batch[i]);
}

static void run(void *arg)
{
        struct kc_audit_buffer *b = arg;
        KC_CLEANUP(kc_freep) struct kc_bytes **batch = kc_calloc((size_t)b->o.max_size, sizeof(*batch));
        struct kc_bucket bucket;
        size_t n;
        kc_bucket_init(&bucket, b->o.qps, b->o.burst, kc_clock_mono(NULL));
        pthread_mutex_lock(&b->lock);
        while ((n = wait_for_batch(b)) > 0) {
                for (size_t i = 0; i < n; i++)
                        batch[i] = b->ring[(b->head + i) % (size_t)b->o.buffer_size];
                b->head = (b->head + n) % (size_t)b->o.buffer_size;
                b->n -= n;
                throttle(b, &bucket);
                pthread_mutex_unlock(&b->lock);
                write_batch(b, batch, n);
                pthread_mutex_lock(&b->lock);
        }
        pthread_mutex_unlock(&b->lock);
}

int kc_audit_buffer_new(
    struct kc_audit_sink *take_sink, const struct kc_audit_batch *o, struct kc_audit_buffer **ret, struct kc_error *err)
{
        struct kc_audit_buffer *b = KC_NEW(struct kc_audit_buffer);
        pthread_condattr_t attr;
        b->sink = take_sink;
        b->o = *o;
        b->ring = kc_calloc((size_t)o->buffer_size, sizeof(*b->ring));
        pthread_mutex_init(&b->lock, NULL);
        pthread_condattr_init(&attr);
        pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        pthread_cond_init(&b->changed, &attr);
        pthread_condattr_destroy(&attr);
        b->pool = kc_pool_new("audit", 1, 1);
        int r = kc_pool_submit(b->pool, run, b);
        if (r < 0) {
                b->ending = true;
                kc_audit_buffer_free(b);
                return kc_error_set(err, -r, "cannot start the thread of the audit %s", take_sink->name);
        }
        *ret = b;
        return 0;
}

bool kc_audit_buffer_add(struct kc_audit_buffer *b, struct kc_bytes *event)
{
        pthread_mutex_lock(&b->lock);
        bool room = b->n < (size_t)b->o.buffer_size;
        if (room) {
                b->ring[(b->head + b->n) % (size_t)b->o.buffer_size] = kc_bytes_ref(event);
                b->n++;
                /* A first event starts the wait for others, a full batch ends it. */
                if (b->n == 1 || b->n == (size_t)b->o.max_size)
                        pthread_cond_signal(&b->changed);
        }
        pthread_mutex_unlock(&b->lock);
        return room;
}

void kc_audit_buffer_free(struct kc_audit_buffer *b)
{
        if (!b)
                return;
        pthread_mutex_lock(&b->lock);
        b->ending = true;
        pthread_cond_signal(&b->changed);
        pthread_mutex_unlock(&b->lock);
        if (b->sink->hurry)
                b->sink->hurry(b->sink);
        kc_pool_free(b->pool);
        pthread_cond_destroy(&b->changed);
        pthread_mutex_destroy(&b->lock);
        b->sink->free(b->sink);
        kc_free(b->ring);
        kc_free(b);
}
