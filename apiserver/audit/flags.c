/* The flags of auditing in one table. Main thread. */
#include "audit/flags.h"

#include <errno.h>
#include <string.h>

#include "base/str.h"

enum {
        BUFFER_SIZE = 10000,
        WEBHOOK_BATCH = 400,
        MAX_BUFFER = 1000000,
        TRUNCATE_EVENT = 100 << 10,
        TRUNCATE_BATCH = 10 << 20,
};

void kc_audit_flags_defaults(struct kc_audit_flags *f)
{
        *f = (struct kc_audit_flags){
            .opts = {.log_batch = {.buffer_size = BUFFER_SIZE, .max_size = 1},
                .webhook_batch = {.buffer_size = BUFFER_SIZE,
                    .max_size = WEBHOOK_BATCH,
                    .max_wait = 30 * KC_SEC,
                    .throttle = true,
                    .qps = 10,
                    .burst = 15},
                .log_truncate = {.max_event_size = TRUNCATE_EVENT, .max_batch_size = TRUNCATE_BATCH},
                .webhook_truncate = {.max_event_size = TRUNCATE_EVENT, .max_batch_size = TRUNCATE_BATCH},
                .webhook_backoff = 10 * KC_SEC},
            .log_format = kc_strdup("json"),
            .log_mode = kc_strdup("blocking"),
            .webhook_mode = kc_strdup("batch"),
            .log_version = kc_strdup("audit.k8s.io/v1"),
            .webhook_version = kc_strdup("audit.k8s.io/v1"),
        };
}

/* clang-format off */
#define SECTION "Auditing"
#define BATCH_ROWS(sink, b)                                                                                            \
        {"audit-" sink "-batch-buffer-size", 0, KC_FLAG_INT, &(b)->buffer_size, "events that may wait", SECTION},      \
            {"audit-" sink "-batch-max-size", 0, KC_FLAG_INT, &(b)->max_size, "largest batch", SECTION},               \
            {"audit-" sink "-batch-max-wait", 0, KC_FLAG_DURATION, &(b)->max_wait,                                     \
             "how long a batch may wait for more events", SECTION},                                                    \
            {"audit-" sink "-batch-throttle-enable", 0, KC_FLAG_BOOL, &(b)->throttle, "limit the rate of batches",     \
             SECTION},                                                                                                 \
            {"audit-" sink "-batch-throttle-qps", 0, KC_FLAG_DOUBLE, &(b)->qps, "batches a second", SECTION},          \
            {"audit-" sink "-batch-throttle-burst", 0, KC_FLAG_INT, &(b)->burst, "batches at once", SECTION}
#define TRUNCATE_ROWS(sink, t)                                                                                         \
        {"audit-" sink "-truncate-enabled", 0, KC_FLAG_BOOL, &(t)->enabled, "shorten events that are too large",       \
         SECTION},                                                                                                     \
            {"audit-" sink "-truncate-max-event-size", 0, KC_FLAG_INT64, &(t)->max_event_size, "bytes of an event",    \
             SECTION},                                                                                                 \
            {"audit-" sink "-truncate-max-batch-size", 0, KC_FLAG_INT64, &(t)->max_batch_size, "bytes of a batch",     \
             SECTION}

size_t kc_audit_flags_table(struct kc_audit_flags *f, struct kc_flag *ret)
{
        const struct kc_flag rows[] = {
            {"audit-policy-file", 0, KC_FLAG_STRING, &f->policy_file, "file of the audit policy", SECTION},
            {"audit-log-path", 0, KC_FLAG_STRING, &f->log_path, "file for audit events; -: standard output", SECTION},
            {"audit-log-format", 0, KC_FLAG_STRING, &f->log_format, "json or legacy", SECTION},
            {"audit-log-mode", 0, KC_FLAG_STRING, &f->log_mode, "batch, blocking or blocking-strict", SECTION},
            {"audit-log-version", 0, KC_FLAG_STRING, &f->log_version, "version of logged events", SECTION},
            {"audit-log-maxage", 0, KC_FLAG_INT, &f->opts.log_max_age, "days that old files are kept; 0: for ever", SECTION},
            {"audit-log-maxbackup", 0, KC_FLAG_INT, &f->opts.log_max_backup, "old files that are kept; 0: all", SECTION},
            {"audit-log-maxsize", 0, KC_FLAG_INT, &f->opts.log_max_size, "megabytes of a file; 0: 100", SECTION},
            {"audit-log-compress", 0, KC_FLAG_BOOL, &f->opts.log_compress, "compress old files", SECTION},
            BATCH_ROWS("log", &f->opts.log_batch),
            TRUNCATE_ROWS("log", &f->opts.log_truncate),
            {"audit-webhook-config-file", 0, KC_FLAG_STRING, &f->webhook_config, "kubeconfig of the audit webhook", SECTION},
            {"audit-webhook-mode", 0, KC_FLAG_STRING, &f->webhook_mode, "batch", SECTION},
            {"audit-webhook-version", 0, KC_FLAG_STRING, &f->webhook_version, "version of sent events", SECTION},
            {"audit-webhook-initial-backoff", 0, KC_FLAG_DURATION, &f->opts.webhook_backoff,
             "time before a first retry", SECTION},
            BATCH_ROWS("webhook", &f->opts.webhook_batch),
            TRUNCATE_ROWS("webhook", &f->opts.webhook_truncate),
        };
        if (ret)
                memcpy(ret, rows, sizeof(rows));
        return KC_ARRAY_LEN(rows);
}
/* clang-format on */

static int check_batch(const char *sink, const struct kc_audit_batch *b, struct kc_error *err)
{
        if (b->buffer_size <= 0 || b->buffer_size > MAX_BUFFER)
                return kc_error_set(err, EINVAL,
                    "invalid audit batch %s buffer size %d, must be a positive number of at most %d", sink,
                    b->buffer_size, MAX_BUFFER);
        if (b->max_size <= 0 || b->max_size > b->buffer_size)
                return kc_error_set(err, EINVAL,
                    "invalid audit batch %s max batch size %d, must be a positive number of at most the buffer's %d",
                    sink, b->max_size, b->buffer_size);
        if (b->throttle && (b->qps <= 0 || b->burst <= 0))
                return kc_error_set(
                    err, EINVAL, "invalid audit batch %s throttle QPS or burst, must be a positive number", sink);
        return 0;
}

static int check_truncate(const char *sink, const struct kc_audit_truncate *t, struct kc_error *err)
{
        if (!t->enabled || (t->max_event_size > 0 && t->max_batch_size >= t->max_event_size))
                return 0;
        return kc_error_set(err, EINVAL,
            "invalid audit truncate %s max batch size %lld, must be greater than max event size (%lld)", sink,
            (long long)t->max_batch_size, (long long)t->max_event_size);
}

static int parse_mode(const char *name, enum kc_audit_mode *ret, struct kc_error *err)
{
        static const char *const modes[] = {"batch", "blocking", "blocking-strict"};
        for (size_t i = 0; i < KC_ARRAY_LEN(modes); i++)
                if (kc_streq(name, modes[i])) {
                        *ret = (enum kc_audit_mode)i;
                        return 0;
                }
        return kc_error_set(
            err, EINVAL, "invalid audit log mode %s, allowed modes are \"batch,blocking,blocking-strict\"", name);
}

int kc_audit_flags_complete(struct kc_audit_flags *f, struct kc_error *err)
{
        struct kc_audit_opts *o = &f->opts;
        int r = parse_mode(f->log_mode, &o->log_mode, err);
        if (r == 0)
                r = check_batch("log", &o->log_batch, err);
        if (r == 0)
                r = check_batch("webhook", &o->webhook_batch, err);
        if (r == 0)
                r = check_truncate("log", &o->log_truncate, err);
        if (r == 0)
                r = check_truncate("webhook", &o->webhook_truncate, err);
        if (r < 0)
                return r;
        o->log_legacy = kc_streq(f->log_format, "legacy");
        if (!o->log_legacy && !kc_streq(f->log_format, "json"))
                return kc_error_set(
                    err, EINVAL, "invalid audit log format %s, allowed formats are \"legacy,json\"", f->log_format);
        /* Requests would wait for a server elsewhere. */
        if (!kc_streq(f->webhook_mode, "batch"))
                return kc_error_set(
                    err, EINVAL, "invalid audit webhook mode %s, the only supported one is \"batch\"", f->webhook_mode);
        if (!kc_streq(f->log_version, "audit.k8s.io/v1") || !kc_streq(f->webhook_version, "audit.k8s.io/v1"))
                return kc_error_set(err, EINVAL, "invalid audit version, allowed versions are \"audit.k8s.io/v1\"");
        if (o->log_max_age < 0 || o->log_max_backup < 0 || o->log_max_size < 0)
                return kc_error_set(err, EINVAL,
                    "--audit-log-maxage, --audit-log-maxbackup and --audit-log-maxsize can't be a negative number");
        o->policy_file = f->policy_file;
        o->log_path = f->log_path;
        o->webhook_config = f->webhook_config;
        return 0;
}

void kc_audit_flags_done(struct kc_audit_flags *f)
{
        char *const strings[] = {f->policy_file, f->webhook_config, f->log_path, f->log_format, f->log_mode,
            f->log_version, f->webhook_mode, f->webhook_version};
        for (size_t i = 0; i < KC_ARRAY_LEN(strings); i++)
                kc_free(strings[i]);
        *f = (struct kc_audit_flags){0};
}
