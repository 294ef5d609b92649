/* Rate-limited work queue of keys, as client-go's: a key is in it once, is not handed to two workers at the same time,
 * and comes again if it was added while it was worked on. And a controller: workers that call sync(key). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/error.h"
#include "event/loop.h"
#include "event/worker.h"

struct kc_workqueue;

/* Delays run on the loop's timers. Per-key back-off 5 ms * 2^failures up to 1000 s, and 10 qps / 100 burst over all, as
 * upstream's DefaultControllerRateLimiter. */
/* On the loop, or before it runs. */
struct kc_workqueue *kc_workqueue_new(struct kc_loop *loop, const char *name);
/* On the loop or after it has stopped; after shutdown, and when no worker uses it. */
void kc_workqueue_free(struct kc_workqueue *q);
/* Per-key back-off begins with base in place of 5 ms. Before keys are added. */
void kc_workqueue_set_backoff(struct kc_workqueue *q, int64_t base_usec);
KC_DEFINE_CLEANUP(struct kc_workqueue *, kc_workqueue_free)
/* Any thread, all of these. */
void kc_workqueue_add(struct kc_workqueue *q, const char *key);
void kc_workqueue_add_after(struct kc_workqueue *q, const char *key, int64_t usec);
void kc_workqueue_add_rate_limited(struct kc_workqueue *q, const char *key);
void kc_workqueue_forget(struct kc_workqueue *q, const char *key);
int kc_workqueue_retries(struct kc_workqueue *q, const char *key);
size_t kc_workqueue_len(struct kc_workqueue *q);
/* NULL if nothing is ready. The key is the caller's; pass it to kc_workqueue_done after the work. */
char *kc_workqueue_try_get(struct kc_workqueue *q);
void kc_workqueue_done(struct kc_workqueue *q, const char *key);
/* No key comes out any more. */
void kc_workqueue_shutdown(struct kc_workqueue *q);
/* fn (any thread, must not block) when a key may be ready. */
void kc_workqueue_on_ready(struct kc_workqueue *q, void (*fn)(void *arg), void *arg);
/* For metrics: fn for every queue of the process, with the seconds that its keys under work have taken so far (their
 * sum, and the longest). Must not touch queues. */
void kc_workqueue_each_running(void (*fn)(const char *name, double unfinished, double longest, void *arg), void *arg);

/* Drives a queue: up to `workers` syncs at a time on the pool. sync returns 0 (forget), or a negative errno (logged
 * with the controller's name and the key, then add_rate_limited; -EINPROGRESS: it only has to be tried again later,
 * which is logged at level 4). */
struct kc_controller;
typedef int (*kc_sync_fn)(void *arg, const char *key, struct kc_error *err);
/* On the loop, or before it runs. */
struct kc_controller *kc_controller_new(
    struct kc_loop *loop, struct kc_pool *pool, const char *name, int workers, kc_sync_fn sync, void *arg);
struct kc_workqueue *kc_controller_queue(struct kc_controller *c);
/* Once the informers have synced. Keys added before wait. */
void kc_controller_start(struct kc_controller *c);
/* No sync starts any more; waits for none. Free after the pool has been freed (drained). */
void kc_controller_stop(struct kc_controller *c);
void kc_controller_free(struct kc_controller *c);
KC_DEFINE_CLEANUP(struct kc_controller *, kc_controller_free)

/* Pods (or other children) whose creation or deletion the caches have not shown yet: upstream's ControllerExpectations.
 * Any thread. Expire after 5 minutes. */
struct kc_expectations;
struct kc_expectations *kc_expectations_new(const struct kc_clock *clock);
void kc_expectations_free(struct kc_expectations *e);
KC_DEFINE_CLEANUP(struct kc_expectations *, kc_expectations_free)
void kc_expectations_expect_creations(struct kc_expectations *e, const char *key, int n);
/* child_keys: strv of uids or names whose deletion is awaited. */
void kc_expectations_expect_deletions(struct kc_expectations *e, const char *key, char *const *child_keys);
void kc_expectations_creation_observed(struct kc_expectations *e, const char *key);
void kc_expectations_deletion_observed(struct kc_expectations *e, const char *key, const char *child_key);
bool kc_expectations_satisfied(struct kc_expectations *e, const char *key);
void kc_expectations_delete(struct kc_expectations *e, const char *key);
