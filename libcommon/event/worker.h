/* A bounded pool of threads for code that blocks. Threads are made on demand up to the limit and end when idle for 10
 * s. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct kc_pool;
typedef void (*kc_work_fn)(void *arg);

/* max_queue: tasks waiting for a thread. */
struct kc_pool *kc_pool_new(const char *name, int max_threads, size_t max_queue);
/* Runs what is queued and waits for all threads; nothing is taken any more. Calling it again is harmless. */
void kc_pool_close(struct kc_pool *p);
/* Runs what is queued, waits for all threads, frees. */
void kc_pool_free(struct kc_pool *p);
KC_DEFINE_CLEANUP(struct kc_pool *, kc_pool_free)
/* Any thread. -EAGAIN when the queue is full, -ESHUTDOWN when the pool is closed: fn will not be called. */
int kc_pool_submit(struct kc_pool *p, kc_work_fn fn, void *arg) KC_WARN_UNUSED;
/* Any thread: tasks queued or running. */
size_t kc_pool_load(struct kc_pool *p);
