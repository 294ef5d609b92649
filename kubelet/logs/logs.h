/* Reader of CRI log files: "<RFC3339Nano> stdout|stderr F|P <text>", rotated files followed. Upstream:
 * kuberuntime/logs. */
#pragma once

#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"

struct kc_log_opts {
        int64_t tail_lines;  /* -1: all */
        int64_t limit_bytes; /* -1: none */
        kc_time since;       /* 0: all */
        bool timestamps, follow;
        const char *stream; /* NULL or "All", "Stdout", "Stderr" */
};
struct kc_log_reader;
int kc_log_reader_open(const char *path, const struct kc_log_opts *o, struct kc_log_reader **ret, struct kc_error *err);
/* Appends at most about max bytes of formatted output. Returns 1: there may be more now; 0: end of what is there
 * (follow: call again when the file has changed or was rotated, which it notices itself); negative: error.
 * *ret_limit_hit: limit_bytes is reached. Does not wait. */
int kc_log_reader_read(
    struct kc_log_reader *r, struct kc_buf *out, size_t max, bool *ret_limit_hit, struct kc_error *err);
void kc_log_reader_free(struct kc_log_reader *r);
KC_DEFINE_CLEANUP(struct kc_log_reader *, kc_log_reader_free)
