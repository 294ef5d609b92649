/* Where audit events go. A sink gets whole events as JSON text. */
#pragma once

#include "audit/audit.h"
#include "base/buf.h"

struct kc_audit_sink {
        const char *name; /* "log", "webhook": the label of metrics */
        /* Any thread, one at a time. */
        int (*write)(struct kc_audit_sink *s, struct kc_bytes *const *events, size_t n, struct kc_error *err);
        /* The process ends: all writes together, the current one too, have a few seconds from now. Any thread, once.
         * May be NULL: a write does not wait for anybody. */
        void (*hurry)(struct kc_audit_sink *s);
        void (*free)(struct kc_audit_sink *s);
};

/* --- log.c */
int kc_audit_log_new(const struct kc_audit_opts *o, struct kc_audit_sink **ret, struct kc_error *err);
/* One line of upstream's legacy format, without the newline. */
void kc_audit_legacy_line(const struct json_object *event, struct kc_buf *out);

/* --- rotate.c: a file that is renamed to <name>-<time><extension> when it is full, as natefinch/lumberjack does it.
 * One thread at a time. */
struct kc_rotated_file;
struct kc_rotation {
        int64_t max_size; /* bytes */
        int max_age_days, max_backups;
        bool compress;
};
int kc_rotated_file_open(
    const char *path, const struct kc_rotation *r, struct kc_rotated_file **ret, struct kc_error *err);
int kc_rotated_file_write(struct kc_rotated_file *f, const void *data, size_t len, struct kc_error *err);
void kc_rotated_file_free(struct kc_rotated_file *f);

/* --- webhook.c */
int kc_audit_webhook_new(const struct kc_audit_opts *o, struct kc_audit_sink **ret, struct kc_error *err);

/* --- batch.c: a bounded buffer and a thread before a sink. */
struct kc_audit_buffer;
int kc_audit_buffer_new(struct kc_audit_sink *take_sink, const struct kc_audit_batch *o, struct kc_audit_buffer **ret,
    struct kc_error *err);
/* False: full, the event was dropped. Any thread. */
bool kc_audit_buffer_add(struct kc_audit_buffer *b, struct kc_bytes *event);
/* Writes what is in it, as far as the sink can in a hurry, then frees it and the sink. */
void kc_audit_buffer_free(struct kc_audit_buffer *b);

/* --- audit.c: a write failed, n events are lost. */
void kc_audit_count_errors(const char *sink, size_t n, const struct kc_error *err);
