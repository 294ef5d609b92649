/* Auditing: who did what, by the policy, to a log file, a webhook, or both. Upstream's --audit-* options, formats and
 * modes; audit.k8s.io/v1 Events.
 *
 *   request -> record --event--> [truncate] -> log: at once, or in batches
 *                            \-> [truncate] -> webhook: in batches, with retries
 *
 * A full buffer drops events and counts them (apiserver_audit_error_total): requests never wait for a sink, but for the
 * log file in its blocking modes. */
#pragma once

#include "audit/policy.h"
struct kc_audit;

enum kc_audit_mode { KC_AUDIT_BATCH, KC_AUDIT_BLOCKING, KC_AUDIT_BLOCKING_STRICT };

struct kc_audit_batch {
        int buffer_size, max_size; /* events */
        int64_t max_wait;          /* usec */
        bool throttle;
        double qps;
        int burst;
};

struct kc_audit_truncate {
        bool enabled;
        int64_t max_event_size, max_batch_size; /* bytes */
};

struct kc_audit_opts {
        const char *policy_file;
        const char *log_path; /* NULL or "": none; "-": standard output */
        bool log_legacy;      /* one line of text instead of JSON */
        int log_max_age;      /* days; 0: for ever */
        int log_max_backup;   /* files; 0: all */
        int log_max_size;     /* megabytes; 0: 100 */
        bool log_compress;
        enum kc_audit_mode log_mode;
        struct kc_audit_batch log_batch, webhook_batch;
        struct kc_audit_truncate log_truncate, webhook_truncate;
        const char *webhook_config; /* kubeconfig; NULL or "": none */
        int64_t webhook_backoff;    /* usec before the first retry */
};

/* *ret is NULL when nothing is to be recorded: no policy, or no sink. */
int kc_audit_new(const struct kc_audit_opts *o, struct kc_audit **ret, struct kc_error *err);
/* Writes what is buffered, then frees. Nothing may be sent any more. */
void kc_audit_free(struct kc_audit *a);
KC_DEFINE_CLEANUP(struct kc_audit *, kc_audit_free)
const struct kc_audit_policy *kc_audit_policy(const struct kc_audit *a);
/* An audit.k8s.io/v1 Event, from any thread. False: it could not be written, and the request must not go on
 * (blocking-strict). */
bool kc_audit_send(struct kc_audit *a, const struct json_object *event);
/* One request was looked at by the policy: for apiserver_audit_level_total. */
void kc_audit_count_level(enum kc_audit_level level);
