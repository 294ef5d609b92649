/* IP addresses and prefixes. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct kc_ip {
        int family;    /* AF_INET or AF_INET6 */
        uint8_t b[16]; /* network order; 4 bytes for IPv4 */
};

struct kc_cidr {
        struct kc_ip ip; /* with the host bits cleared */
        int bits;
};

enum { KC_IP_LEN = 64 };
/* Strict: no leading zeros, no zone. 0 or -EINVAL. */
int kc_ip_parse(const char *s, struct kc_ip *ret);
/* Canonical text (RFC 5952). */
const char *kc_ip_format(const struct kc_ip *ip, char buf[static KC_IP_LEN]);
bool kc_ip_equal(const struct kc_ip *a, const struct kc_ip *b);
bool kc_ip_is_loopback(const struct kc_ip *ip);
bool kc_ip_is_link_local(const struct kc_ip *ip);
bool kc_ip_is_unspecified(const struct kc_ip *ip);
bool kc_ip_is_multicast(const struct kc_ip *ip);
/* ret_masked_exact (may be NULL): false if the text had host bits set. */
int kc_cidr_parse(const char *s, struct kc_cidr *ret, bool *ret_masked_exact);
const char *kc_cidr_format(const struct kc_cidr *c, char buf[static KC_IP_LEN]);
bool kc_cidr_contains(const struct kc_cidr *c, const struct kc_ip *ip);
/* Number of addresses, UINT64_MAX if more. */
uint64_t kc_cidr_size(const struct kc_cidr *c);
/* The index-th address of the prefix; false past its end. */
bool kc_cidr_at(const struct kc_cidr *c, uint64_t index, struct kc_ip *ret);
/* The inverse; UINT64_MAX when ip is not in the prefix. */
uint64_t kc_cidr_index(const struct kc_cidr *c, const struct kc_ip *ip);
