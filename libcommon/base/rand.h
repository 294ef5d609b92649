/* Randomness from getrandom(2). Thread-safe. */
#pragma once

#include <stddef.h>
#include <stdint.h>

void kc_rand_bytes(void *p, size_t len);
/* Uniform in [0, n); n > 0. */
uint64_t kc_rand_below(uint64_t n);
/* Uniform in [0, 1). */
double kc_rand_double(void);
/* usec plus a random part of up to max_factor of it (wait.Jitter). */
int64_t kc_jitter(int64_t usec, double max_factor);
/* len characters of "bcdfghjklmnpqrstvwxz2456789" (rand.String of apimachinery) and a NUL. */
void kc_rand_suffix(char *buf, size_t len);
/* Random (version 4) UUID in text; buf needs KC_UUID_LEN. */
enum { KC_UUID_LEN = 37 };
const char *kc_uuid4(char buf[static KC_UUID_LEN]);
/* The alphabet of kc_rand_suffix for a number, as apimachinery's rand.SafeEncodeString of its decimal form. Heap. */
char *kc_safe_encode(uint64_t v);
