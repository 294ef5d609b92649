/* An event loop, on libevent. One thread runs it; objects made on it belong to that thread. Unless a function says "any
 * thread", it is called on the loop's thread or before the loop runs (debug builds assert it). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct event_base;
struct kc_loop;
struct kc_timer;
struct kc_io;

typedef void (*kc_loop_fn)(void *arg);

/* name shows as the thread's name (15 characters). */
int kc_loop_new(const char *name, struct kc_loop **ret, struct kc_error *err);
/* Runs what is posted and deferred, then frees. Timers, ios and signals of the loop must be freed before. */
void kc_loop_free(struct kc_loop *l);
KC_DEFINE_CLEANUP(struct kc_loop *, kc_loop_free)
/* The calling thread becomes the loop's until kc_loop_stop. */
int kc_loop_run(struct kc_loop *l, struct kc_error *err);
/* Any thread. */
void kc_loop_stop(struct kc_loop *l);
/* Runs what has been posted and deferred, without waiting for more: after kc_loop_run has returned, before what those
 * tasks use is freed. */
void kc_loop_flush(struct kc_loop *l);
/* Runs the loop on a thread of its own until kc_loop_stop; kc_loop_join waits for its end. */
int kc_loop_start_thread(struct kc_loop *l, struct kc_error *err);
void kc_loop_join(struct kc_loop *l);
/* Any thread: fn(arg) on the loop, in the order of posting. Never blocks. Posts that the loop does not get to run any
 * more are run by kc_loop_free. */
void kc_loop_post(struct kc_loop *l, kc_loop_fn fn, void *arg);
/* Any thread but the loop's: posts and waits until fn has returned. On the loop's thread: calls fn. */
void kc_loop_call(struct kc_loop *l, kc_loop_fn fn, void *arg);
/* fn(arg) once the current callback has returned to the loop: frees objects from inside their own callbacks. */
void kc_loop_defer(struct kc_loop *l, kc_loop_fn fn, void *arg);
/* Any thread. True before the loop runs, too. */
bool kc_loop_in_thread(const struct kc_loop *l);
struct event_base *kc_loop_base(struct kc_loop *l);

/* One-shot timers; fn may arm it again or free it. */
struct kc_timer *kc_timer_new(struct kc_loop *l, kc_loop_fn fn, void *arg);
void kc_timer_free(struct kc_timer *t);
KC_DEFINE_CLEANUP(struct kc_timer *, kc_timer_free)
/* Fires once in usec from now; replaces an earlier arming. */
void kc_timer_arm(struct kc_timer *t, int64_t usec);
void kc_timer_disarm(struct kc_timer *t);
bool kc_timer_armed(const struct kc_timer *t);

enum { KC_IO_READ = 1, KC_IO_WRITE = 2 };
typedef void (*kc_io_fn)(int fd, int events, void *arg);
/* Watches fd (not owned) level-triggered for the events; freed by kc_io_free, also from its own callback. */
struct kc_io *kc_io_new(struct kc_loop *l, int fd, int events, kc_io_fn fn, void *arg);
void kc_io_set(struct kc_io *io, int events);
void kc_io_free(struct kc_io *io);
KC_DEFINE_CLEANUP(struct kc_io *, kc_io_free)

/* fn(arg) on the loop at each signo. One handler per signal in a process; lives until the loop is freed. */
int kc_loop_on_signal(struct kc_loop *l, int signo, kc_loop_fn fn, void *arg, struct kc_error *err);
