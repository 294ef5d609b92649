/* Exponential back-off by key, with the rules of client-go's flowcontrol.Backoff: containers (CrashLoopBackOff) and
 * image pulls. Thread-safe. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/clock.h"
#include "base/macros.h"

struct kc_backoff;

struct kc_backoff *kc_backoff_new(int64_t initial_usec, int64_t max_usec, const struct kc_clock *clock);
void kc_backoff_free(struct kc_backoff *b);
KC_DEFINE_CLEANUP(struct kc_backoff *, kc_backoff_free)
/* Present delay of the key; 0: none. */
int64_t kc_backoff_get(struct kc_backoff *b, const char *key);
/* Another attempt, caused by what happened at event_time: the first delay, twice the last one up to max, or the first
 * one again when the event came more than 2 * max after the last attempt. */
void kc_backoff_next(struct kc_backoff *b, const char *key, kc_time event_time);
/* How much of the delay, counted from event_time, is left; 0: not in back-off. */
int64_t kc_backoff_remaining(struct kc_backoff *b, const char *key, kc_time event_time);
/* The same, counted from the last attempt (image pulls). */
int64_t kc_backoff_remaining_since_update(struct kc_backoff *b, const char *key);
void kc_backoff_reset(struct kc_backoff *b, const char *key);
/* Drops keys without an attempt for 2 * max. */
void kc_backoff_gc(struct kc_backoff *b);
