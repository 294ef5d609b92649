/* Token bucket and exponential back-off: arithmetic only. Any thread, under the caller's lock. */
#include "client/ratelimit.h"

void kc_bucket_init(struct kc_bucket *b, double qps, double burst, kc_mono now)
{
        *b = (struct kc_bucket){.qps = qps, .burst = burst < 1 ? 1 : burst, .last = now};
        b->tokens = b->burst;
}

static void refill(struct kc_bucket *b, kc_mono now)
{
        if (now <= b->last)
                return;
        b->tokens += (double)(now - b->last) / (double)KC_SEC * b->qps;
        if (b->tokens > b->burst)
                b->tokens = b->burst;
        b->last = now;
}

int64_t kc_bucket_reserve(struct kc_bucket *b, kc_mono now)
{
        refill(b, now);
        b->tokens -= 1;
        if (b->tokens >= 0)
                return 0;
        double wait = -b->tokens / b->qps * (double)KC_SEC;
        int64_t usec = (int64_t)wait;
        return (double)usec < wait ? usec + 1 : usec; /* never too early */
}

bool kc_bucket_try(struct kc_bucket *b, kc_mono now)
{
        refill(b, now);
        if (b->tokens < 1)
                return false;
        b->tokens -= 1;
        return true;
}

int64_t kc_backoff_exponential(int64_t base, int64_t max, int failures)
{
        int64_t delay = base;
        for (int i = 0; i < failures && delay < max; i++)
                delay = delay > max / 2 ? max : delay * 2;
        return delay < max ? delay : max;
}
