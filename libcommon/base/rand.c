/* Randomness of the kernel, and the names and UUIDs made of it. */
#include "base/rand.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/buf.h"
#include "base/log.h"

static const char safe_alphabet[] = "bcdfghjklmnpqrstvwxz2456789"; /* no vowels: no words */
enum { SAFE_LEN = sizeof(safe_alphabet) - 1 };

void kc_rand_bytes(void *p, size_t len)
{
        char *at = p;
        while (len > 0) {
                ssize_t n = getrandom(at, len, 0);
                if (n < 0 && errno != EINTR) {
                        kc_log_write(KC_LOG_FATAL, 0, __FILE__, __LINE__, "getrandom failed", NULL, "errno",
                            kc_log_i64(errno), (char *)NULL);
                        abort();
                }
                if (n > 0) {
                        at += n;
                        len -= (size_t)n;
                }
        }
}

uint64_t kc_rand_below(uint64_t n)
{
        /* What is below 2^64 mod n would favour small results. */
        uint64_t v, reject = (0 - n) % n;
        do
                kc_rand_bytes(&v, sizeof(v));
        while (v < reject);
        return v % n;
}

double kc_rand_double(void)
{
        uint64_t v;
        kc_rand_bytes(&v, sizeof(v));
        return (double)(v >> 11) * 0x1p-53;
}

int64_t kc_jitter(int64_t usec, double max_factor)
{
        if (max_factor <= 0)
                max_factor = 1;
        return usec + (int64_t)(kc_rand_double() * max_factor * (double)usec);
}

void kc_rand_suffix(char *buf, size_t len)
{
        for (size_t i = 0; i < len; i++)
                buf[i] = safe_alphabet[kc_rand_below(SAFE_LEN)];
        buf[len] = '\0';
}

const char *kc_uuid4(char buf[static KC_UUID_LEN])
{
        uint8_t b[16];
        kc_rand_bytes(b, sizeof(b));
        b[6] = (b[6] & 0x0f) | 0x40;
        b[8] = (b[8] & 0x3f) | 0x80;
        snprintf(buf, KC_UUID_LEN, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
            b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
        return buf;
}

char *kc_safe_encode(uint64_t v)
{
        char decimal[24];
        snprintf(decimal, sizeof(decimal), "%llu", (unsigned long long)v);
        struct kc_buf b = KC_BUF_INIT;
        for (const char *p = decimal; *p; p++)
                kc_buf_addc(&b, safe_alphabet[(unsigned char)*p % SAFE_LEN]);
        return kc_buf_take_str(&b);
}
