/* IP addresses and prefixes as 128-bit numbers. */
#include "base/ip.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

static int width(const struct kc_ip *ip)
{
        return ip->family == AF_INET ? 32 : 128;
}

int kc_ip_parse(const char *s, struct kc_ip *ret)
{
        struct kc_ip ip = {0};
        if (!s)
                return -EINVAL;
        ip.family = strchr(s, ':') ? AF_INET6 : AF_INET;
        if (inet_pton(ip.family, s, ip.b) != 1)
                return -EINVAL;
        *ret = ip;
        return 0;
}

static bool is_v4_mapped(const struct kc_ip *ip)
{
        static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};
        return ip->family == AF_INET6 && memcmp(ip->b, prefix, sizeof(prefix)) == 0;
}

/* Start and length of the longest run of two or more zero groups; the first of equals. */
static void longest_zeros(const uint16_t g[8], int *ret_start, int *ret_len)
{
        *ret_start = -1;
        *ret_len = 1;
        for (int i = 0; i < 8; i++) {
                int n = 0;
                while (i + n < 8 && g[i + n] == 0)
                        n++;
                if (n > *ret_len) {
                        *ret_start = i;
                        *ret_len = n;
                }
                i += n;
        }
}

static void format_v6(const struct kc_ip *ip, char buf[static KC_IP_LEN])
{
        uint16_t g[8];
        int start, len;
        for (int i = 0; i < 8; i++)
                g[i] = (uint16_t)(ip->b[2 * i] << 8 | ip->b[2 * i + 1]);
        longest_zeros(g, &start, &len);
        char *at = buf;
        for (int i = 0; i < 8; i++) {
                if (i == start) {
                        at += sprintf(at, "::");
                        i += len - 1;
                        continue;
                }
                at += sprintf(at, i > 0 && i != start + len ? ":%x" : "%x", g[i]);
        }
}

const char *kc_ip_format(const struct kc_ip *ip, char buf[static KC_IP_LEN])
{
        if (ip->family == AF_INET)
                snprintf(buf, KC_IP_LEN, "%d.%d.%d.%d", ip->b[0], ip->b[1], ip->b[2], ip->b[3]);
        else if (is_v4_mapped(ip))
                snprintf(buf, KC_IP_LEN, "::ffff:%d.%d.%d.%d", ip->b[12], ip->b[13], ip->b[14], ip->b[15]);
        else
                format_v6(ip, buf);
        return buf;
}

bool kc_ip_equal(const struct kc_ip *a, const struct kc_ip *b)
{
        return a->family == b->family && memcmp(a->b, b->b, (size_t)width(a) / 8) == 0;
}

bool kc_ip_is_loopback(const struct kc_ip *ip)
{
        static const uint8_t one[16] = {[15] = 1};
        if (is_v4_mapped(ip))
                return ip->b[12] == 127;
        return ip->family == AF_INET ? ip->b[0] == 127 : memcmp(ip->b, one, 16) == 0;
}

bool kc_ip_is_link_local(const struct kc_ip *ip)
{
        const uint8_t *v4 = is_v4_mapped(ip) ? ip->b + 12 : ip->b;
        if (ip->family == AF_INET || is_v4_mapped(ip))
                return v4[0] == 169 && v4[1] == 254;
        return ip->b[0] == 0xfe && (ip->b[1] & 0xc0) == 0x80;
}

bool kc_ip_is_unspecified(const struct kc_ip *ip)
{
        static const uint8_t zero[16];
        if (is_v4_mapped(ip))
                return memcmp(ip->b + 12, zero, 4) == 0;
        return memcmp(ip->b, zero, (size_t)width(ip) / 8) == 0;
}

bool kc_ip_is_multicast(const struct kc_ip *ip)
{
        if (ip->family == AF_INET || is_v4_mapped(ip))
                return (ip->b[ip->family == AF_INET ? 0 : 12] & 0xf0) == 0xe0;
        return ip->b[0] == 0xff;
}

/* --- Prefixes */

/* Clears the bits behind the first n; returns true if there was nothing to clear. */
static bool mask(struct kc_ip *ip, int n)
{
        bool exact = true;
        for (int i = 0; i < width(ip) / 8; i++) {
                int keep = KC_MIN(KC_MAX(n - i * 8, 0), 8);
                uint8_t m = (uint8_t)(0xff00 >> keep);
                exact = exact && (ip->b[i] & ~m) == 0;
                ip->b[i] &= m;
        }
        return exact;
}

int kc_cidr_parse(const char *s, struct kc_cidr *ret, bool *ret_masked_exact)
{
        const char *slash = s ? strchr(s, '/') : NULL;
        char addr[KC_IP_LEN];
        struct kc_cidr c;
        if (!slash || (size_t)(slash - s) >= sizeof(addr))
                return -EINVAL;
        snprintf(addr, sizeof(addr), "%.*s", (int)(slash - s), s);
        const char *bits = slash + 1;
        size_t len = strspn(bits, "0123456789");
        int64_t n;
        if (kc_ip_parse(addr, &c.ip) < 0 || len == 0 || len > 3 || bits[len] || (bits[0] == '0' && len > 1) ||
            kc_str_to_i64(bits, &n) < 0 || n > width(&c.ip))
                return -EINVAL;
        c.bits = (int)n;
        bool exact = mask(&c.ip, c.bits);
        if (ret_masked_exact)
                *ret_masked_exact = exact;
        *ret = c;
        return 0;
}

const char *kc_cidr_format(const struct kc_cidr *c, char buf[static KC_IP_LEN])
{
        kc_ip_format(&c->ip, buf);
        size_t len = strlen(buf);
        snprintf(buf + len, KC_IP_LEN - len, "/%d", c->bits);
        return buf;
}

bool kc_cidr_contains(const struct kc_cidr *c, const struct kc_ip *ip)
{
        struct kc_ip masked = *ip;
        if (ip->family != c->ip.family)
                return false;
        mask(&masked, c->bits);
        return kc_ip_equal(&masked, &c->ip);
}

uint64_t kc_cidr_size(const struct kc_cidr *c)
{
        int host_bits = width(&c->ip) - c->bits;
        return host_bits >= 64 ? UINT64_MAX : UINT64_C(1) << host_bits;
}

bool kc_cidr_at(const struct kc_cidr *c, uint64_t index, struct kc_ip *ret)
{
        int host_bits = width(&c->ip) - c->bits;
        if (host_bits < 64 && index >> host_bits)
                return false;
        *ret = c->ip;
        /* The host bits are zero: adding is or-ing. */
        for (int i = width(&c->ip) / 8 - 1; i >= 0 && index; i--, index >>= 8)
                ret->b[i] |= (uint8_t)index;
        return true;
}

uint64_t kc_cidr_index(const struct kc_cidr *c, const struct kc_ip *ip)
{
        if (!kc_cidr_contains(c, ip))
                return UINT64_MAX;
        uint64_t index = 0;
        for (int i = 0; i < width(ip) / 8; i++) {
                if (index >> 56)
                        return UINT64_MAX; /* past what kc_cidr_at can name */
                index = index << 8 | (uint8_t)(ip->b[i] ^ c->ip.b[i]);
        }
        return index;
}
