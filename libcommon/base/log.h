/* Structured log lines to stderr, in klog's text form or as JSON (--logging-format=json). Thread-safe; one write(2) a
 * line; a line is at most KC_LOG_LINE_MAX bytes, longer ones end in "...(truncated)".
 *
 *   I1121 12:21:10.123456    1234 server.c:42] "Serving securely" address="127.0.0.1:6443"
 *   {"ts":1763727670123.456,"caller":"server.c:42","msg":"Serving securely","v":0,"address":"127.0.0.1:6443"}
 *
 * Messages start with a capital and have no trailing dot; what varies goes into key/value pairs. */
#pragma once

#include <stdbool.h>

#include "base/error.h"

enum { KC_LOG_LINE_MAX = 8192 };

enum kc_log_severity { KC_LOG_INFO, KC_LOG_WARNING, KC_LOG_ERROR, KC_LOG_FATAL };

/* --v. Atomic: any thread. */
void kc_log_set_verbosity(int v);
int kc_log_verbosity(void);
/* "text" or "json"; else -EINVAL. Call before threads start. */
int kc_log_set_format(const char *format);
/* File descriptor that lines go to (2 by default). */
void kc_log_set_fd(int fd);

/* pairs: alternating const char *key, const char *value, ended by NULL. Values are quoted and escaped; a NULL value is
 * printed as "". Use kc_log_* below. */
void kc_log_write(enum kc_log_severity sev, int v, const char *file, int line, const char *msg, const char *err_or_null,
    ...) __attribute__((sentinel));
/* A decimal string for use as a value, in a per-thread ring of 8: valid until the eighth call after it. */
const char *kc_log_i64(long long v);
/* A formatted value, same ring (at most 256 bytes). */
const char *kc_log_fmt(const char *fmt, ...) KC_PRINTF(1, 2);

/* kc_log_info("Started", "port", kc_log_i64(port)) */
#define kc_log_info(msg, ...) kc_log_write(KC_LOG_INFO, 0, __FILE__, __LINE__, msg, NULL, ##__VA_ARGS__, (char *)NULL)
#define kc_log_warn(msg, ...)                                                                                          \
        kc_log_write(KC_LOG_WARNING, 0, __FILE__, __LINE__, msg, NULL, ##__VA_ARGS__, (char *)NULL)
/* err: a const struct kc_error *, printed as err="..." */
#define kc_log_error(err, msg, ...)                                                                                    \
        kc_log_write(KC_LOG_ERROR, 0, __FILE__, __LINE__, msg, kc_error_message(err), ##__VA_ARGS__, (char *)NULL)
/* Only at --v >= level. */
#define kc_log_v(level, msg, ...)                                                                                      \
        do {                                                                                                           \
                if (kc_log_verbosity() >= (level))                                                                     \
                        kc_log_write(KC_LOG_INFO, level, __FILE__, __LINE__, msg, NULL, ##__VA_ARGS__, (char *)NULL);  \
        } while (0)
