/* Formats of names, keys and values (apimachinery's util/validation): each check collects every message that upstream
 * gives, in its order. Pure functions: any thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/macros.h"

/* Static messages; n == 0: valid. */
struct kc_why {
        const char *v[6];
        size_t n;
};

void kc_name_dns1123_label(const char *s, struct kc_why *why);
void kc_name_dns1123_subdomain(const char *s, struct kc_why *why);
void kc_name_dns1123_subdomain_with_underscore(const char *s, struct kc_why *why);
void kc_name_wildcard_dns1123_subdomain(const char *s, struct kc_why *why);
void kc_name_dns1035_label(const char *s, struct kc_why *why);
/* Label keys, qualified names. */
void kc_name_label_key(const char *s, struct kc_why *why);
void kc_name_label_value(const char *s, struct kc_why *why);
/* Names that are one segment of a URL path: RBAC, Lease, ... */
void kc_name_path_segment(const char *s, struct kc_why *why);
void kc_name_path_segment_prefix(const char *s, struct kc_why *why);
void kc_name_env_var(const char *s, struct kc_why *why);
void kc_name_config_map_key(const char *s, struct kc_why *why);
void kc_name_port(const char *s, struct kc_why *why);
void kc_name_c_identifier(const char *s, struct kc_why *why);
void kc_name_http_header(const char *s, struct kc_why *why);
void kc_name_percent(const char *s, struct kc_why *why);
void kc_name_port_number(int64_t port, struct kc_why *why);
/* User and group IDs. */
void kc_name_unix_id(int64_t id, struct kc_why *why);
/* All messages joined by sep. Heap. */
char *kc_why_join(const struct kc_why *why, const char *sep);
