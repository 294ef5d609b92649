/* How the server's seats are shared among the levels, and how levels borrow from each other. Under the lock. */
#include <math.h>

#include "base/mem.h"
#include "flowcontrol/flow_internal.h"

#define SMOOTHING 0.977
#define SMALLEST 0.001 /* part of the largest target that every level has at least */

enum { BISECTIONS = 100 };

static double clipped_sum(struct flow_claim *v, size_t n, double factor)
{
        double sum = 0;
        for (size_t i = 0; i < n; i++) {
                v[i].alloc = KC_MAX(v[i].lower, KC_MIN(v[i].upper, v[i].target * factor));
                sum += v[i].alloc;
        }
        return sum;
}

/* Nothing times anything is nothing: all take part. */
static void lift_targets(struct flow_claim *v, size_t n)
{
        double highest = 0;
        for (size_t i = 0; i < n; i++)
                highest = KC_MAX(highest, v[i].target);
        for (size_t i = 0; i < n; i++)
                v[i].target = KC_MAX(v[i].target, highest > 0 ? highest * SMALLEST : 1);
}

double flow_allocate(struct flow_claim *v, size_t n, double sum)
{
        double low = 0, high = 1;
        lift_targets(v, n);
        while (clipped_sum(v, n, high) < sum && high < 1e9)
                high *= 2;
        /* The sum rises with the factor. */
        for (int i = 0; i < BISECTIONS; i++) {
                double middle = (low + high) / 2;
                if (clipped_sum(v, n, middle) < sum)
                        low = middle;
                else
                        high = middle;
        }
        (void)clipped_sum(v, n, high);
        return high;
}

void flow_share(struct flow_level *const *v, size_t n, int concurrency)
{
        double shares = 0;
        for (size_t i = 0; i < n; i++)
                shares += v[i]->shares;
        for (size_t i = 0; i < n; i++) {
                struct flow_level *l = v[i];
                bool is_new = !l->shared;
                l->shared = true;
                l->nominal = shares > 0 ? (int)ceil(concurrency * (l->shares / shares)) : 0;
                int lendable = (int)lround(l->nominal * (l->lendable_percent / 100.0));
                int borrowable =
                    l->borrowing_percent < 0 ? concurrency : (int)lround(l->nominal * (l->borrowing_percent / 100.0));
                l->min = l->nominal - lendable;
                l->max = l->nominal + borrowable;
                l->current = is_new ? l->nominal : KC_MAX(l->min, KC_MIN(l->max, l->current));
        }
}

static void observe(struct flow_level *l, double now)
{
        flow_integral_reset(&l->demand, now, &l->average, &l->deviation, &l->high);
        double envelope = l->average + l->deviation;
        l->smoothed = KC_MAX(envelope, SMOOTHING * l->smoothed + (1 - SMOOTHING) * envelope);
}

double flow_borrow(struct flow_level *const *v, size_t n, double now)
{
        KC_CLEANUP(kc_freep) struct flow_claim *claims = kc_calloc(n + 1, sizeof(*claims));
        KC_CLEANUP(kc_freep) struct flow_level **who = kc_calloc(n + 1, sizeof(*who));
        size_t m = 0;
        double left = 0, sum_min = 0, sum_lower = 0;
        for (size_t i = 0; i < n; i++) {
                struct flow_level *l = v[i];
                observe(l, now);
                left += l->nominal;
                if (l->exempt) {
                        l->current = KC_MAX(l->min, (int)lround(l->high)); /* what it takes, it takes */
                        left -= l->current;
                        continue;
                }
                double lower = KC_MAX(l->min, KC_MIN((double)l->nominal, l->high));
                claims[m] = (struct flow_claim){.target = KC_MAX(lower, l->smoothed), .lower = lower, .upper = l->max};
                who[m++] = l;
                sum_min += l->min;
                sum_lower += lower;
        }
        double fraction = 0;
        if (left > sum_lower) {
                fraction = flow_allocate(claims, m, left);
        } else {
                double part = left > sum_min && sum_lower > sum_min ? (left - sum_min) / (sum_lower - sum_min) : 0;
                for (size_t i = 0; i < m; i++)
                        claims[i].alloc = who[i]->min + part * (claims[i].lower - who[i]->min);
        }
        for (size_t i = 0; i < m; i++) {
                who[i]->target = claims[i].target;
                who[i]->current = (int)lround(claims[i].alloc);
        }
        return fraction;
}
