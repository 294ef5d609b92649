/* Time. Code that is tested takes a const struct kc_clock * (NULL means the real one) and never reads time(2) itself.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

typedef int64_t kc_time; /* microseconds since 1970-01-01 UTC */
typedef int64_t kc_mono; /* microseconds of a monotonic clock */

#define KC_MSEC ((int64_t)1000)
#define KC_SEC ((int64_t)1000000)

struct kc_clock {
        kc_time (*now)(const struct kc_clock *c);
        kc_mono (*mono)(const struct kc_clock *c);
};

kc_time kc_clock_now(const struct kc_clock *c);
kc_mono kc_clock_mono(const struct kc_clock *c);

/* A clock that stands still until told (not thread-safe by itself). */
struct kc_fake_clock {
        struct kc_clock clock;
        kc_time time;
        kc_mono monotonic;
};
void kc_fake_clock_init(struct kc_fake_clock *f, kc_time start);
void kc_fake_clock_advance(struct kc_fake_clock *f, int64_t usec);

/* RFC 3339. metav1.Time has seconds ("2026-11-21T12:21:10Z"), metav1.MicroTime six digits. buf needs KC_TIME_LEN. */
enum { KC_TIME_LEN = 32 };
const char *kc_time_format(kc_time t, char buf[static KC_TIME_LEN]);
const char *kc_time_format_micro(kc_time t, char buf[static KC_TIME_LEN]);
const char *kc_time_format_nano(kc_time t, char buf[static KC_TIME_LEN]); /* 9 digits, as CRI logs have */
/* Any RFC 3339 time with any offset and fraction: 0 or -EINVAL. */
int kc_time_parse(const char *s, kc_time *ret_t);
/* Go durations ("1h2m3.5s", "300ms"; "0" too) in microseconds: 0 or -EINVAL. */
int kc_duration_parse(const char *s, int64_t *ret_usec);
/* As Go prints it: "1h2m3.5s"; buf needs KC_TIME_LEN. */
const char *kc_duration_format(int64_t usec, char buf[static KC_TIME_LEN]);
/* As kubectl prints ages: "5s", "2m5s", "3h4m", "2d3h", "400d", "2y10d" (k8s.io/apimachinery duration.HumanDuration).
 */
const char *kc_duration_human(int64_t usec, char buf[static KC_TIME_LEN]);
