/* Token bucket, as golang.org/x/time/rate: tokens come at qps up to burst; a reservation may take the bucket below zero
 * and is told how long to wait. No locks and no clock of its own: the caller's. */
#pragma once

#include <stdbool.h>

#include "base/clock.h"

struct kc_bucket {
        double qps, burst;
        double tokens;
        kc_mono last;
};

/* Full at now. */
void kc_bucket_init(struct kc_bucket *b, double qps, double burst, kc_mono now);
/* Takes a token; returns the microseconds to wait before using it (0: none). */
int64_t kc_bucket_reserve(struct kc_bucket *b, kc_mono now);
/* Takes a token if there is one. */
bool kc_bucket_try(struct kc_bucket *b, kc_mono now);

/* base * 2^failures, at most max; microseconds. */
int64_t kc_backoff_exponential(int64_t base, int64_t max, int failures);
