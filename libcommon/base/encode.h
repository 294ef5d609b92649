/* Base64 (RFC 4648), hex and URL (RFC 3986) encodings. Results are on the heap. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

char *kc_base64_encode(const void *data, size_t len);
/* URL alphabet, no padding (JWT). */
char *kc_base64url_encode(const void *data, size_t len);
/* Appends to ret. Strict: -EINVAL on any other character, bad padding or stray bits (newlines are skipped, as Go's). */
int kc_base64_decode(const char *s, size_t len, struct kc_buf *ret);
int kc_base64url_decode(const char *s, size_t len, struct kc_buf *ret);
char *kc_hex_encode(const void *data, size_t len);
/* Everything but unreserved characters becomes %XX; with keep_slash, '/' stays. */
char *kc_url_escape(const char *s, bool keep_slash);
/* -EINVAL on a broken escape or an encoded NUL. plus_is_space for query strings. */
int kc_url_unescape(const char *s, size_t len, bool plus_is_space, char **ret);
