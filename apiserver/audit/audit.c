/* The audit: events to sinks, each with its mode. Any thread. */
#include "audit/audit.h"

#include <errno.h>
#include <pthread.h>

#include "audit/sink.h"
#include "base/log.h"
#include "base/str.h"
#include "daemon/metrics.h"

enum { MAX_SINKS = 2 };

struct outlet {
        const char *name;
        enum kc_audit_mode mode;
        struct kc_audit_truncate truncate;
        struct kc_audit_sink *sink;     /* NULL: behind a buffer */
        struct kc_audit_buffer *buffer; /* NULL: written at once */
        pthread_mutex_t lock;           /* around sink */
};

struct kc_audit {
        struct kc_audit_policy *policy;
        struct outlet outlets[MAX_SINKS];
        size_t n;
};

static struct {
        struct kc_metric *events, *errors, *levels, *rejected;
} m;

static void metrics_init(void)
{
        m.events = kc_metric_counter(
            "apiserver_audit_event_total", "Counter of audit events generated and sent to the audit backend.", NULL);
        m.errors = kc_metric_counter("apiserver_audit_error_total",
            "Counter of audit events that failed to be audited properly. Plugin identifies the plugin affected by the "
            "error.",
            (const char *const[]){"plugin", NULL});
        m.levels = kc_metric_counter("apiserver_audit_level_total",
            "Counter of policy levels for audit events (1 per request).", (const char *const[]){"level", NULL});
        m.rejected = kc_metric_counter("apiserver_audit_requests_rejected_total",
            "Counter of apiserver requests rejected due to an error in audit logging backend.", NULL);
}

void kc_audit_count_errors(const char *sink, size_t n, const struct kc_error *err)
{
        kc_metric_add(m.errors, (double)n, KC_LABELS(sink));
        kc_log_error(err, "Audit events are lost", "plugin", sink, "events", kc_log_i64((long long)n));
}

/* --- one event */

/* An event that is too large goes without the objects; if that does not do, not at all. */
static struct kc_bytes *encode(const struct outlet *t, const struct json_object *event)
{
        struct kc_buf b = KC_BUF_INIT;
        kc_json_write(&b, event);
        int64_t max = KC_MIN(t->truncate.max_event_size, t->truncate.max_batch_size);
        if (t->truncate.enabled && (int64_t)b.len > max) {
                KC_CLEANUP(kc_json_freep) struct json_object *copy = kc_json_copy(event);
                kc_json_del(copy, "requestObject");
                kc_json_del(copy, "responseObject");
                kc_json_set_str(kc_json_ensure_obj(copy, "annotations"), "audit.k8s.io/truncated", "true");
                kc_buf_done(&b);
                kc_json_write(&b, copy);
        }
        if (t->truncate.enabled && (int64_t)b.len > max) {
                kc_buf_done(&b);
                return NULL;
        }
        return kc_bytes_from_buf(&b);
}

static bool emit(struct outlet *t, const struct json_object *event)
{
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        KC_CLEANUP(kc_bytes_unrefp) struct kc_bytes *text = encode(t, event);
        int r = 0;
        if (!text) {
                r = kc_error_set(&err, EMSGSIZE, "the event is too large, even without its objects");
        } else if (t->buffer) {
                if (!kc_audit_buffer_add(t->buffer, text))
                        r = kc_error_set(&err, ENOBUFS, "audit buffer queue blocked");
        } else {
                pthread_mutex_lock(&t->lock);
                r = t->sink->write(t->sink, &text, 1, &err);
                pthread_mutex_unlock(&t->lock);
        }
        if (r < 0)
                kc_audit_count_errors(t->name, 1, &err);
        return r == 0;
}

bool kc_audit_send(struct kc_audit *a, const struct json_object *event)
{
        bool go_on = true;
        bool received = kc_streq(kc_json_str(event, "stage"), kc_audit_stages[KC_AUDIT_REQUEST_RECEIVED]);
        kc_metric_add(m.events, 1, NULL);
        for (size_t i = 0; i < a->n; i++)
                if (!emit(&a->outlets[i], event) && received && a->outlets[i].mode == KC_AUDIT_BLOCKING_STRICT)
                        go_on = false;
        if (!go_on)
                kc_metric_add(m.rejected, 1, NULL);
        return go_on;
}

void kc_audit_count_level(enum kc_audit_level level)
{
        kc_metric_add(m.levels, 1, KC_LABELS(kc_audit_levels[level]));
}

/* --- life */

const struct kc_audit_policy *kc_audit_policy(const struct kc_audit *a)
{
        return a->policy;
}

static int add_outlet(struct kc_audit *a, struct kc_audit_sink *take_sink, enum kc_audit_mode mode,
    const struct kc_audit_batch *batch, const struct kc_audit_truncate *truncate, struct kc_error *err)
{
        struct outlet *t = &a->outlets[a->n];
        pthread_mutex_init(&t->lock, NULL);
        t->name = take_sink->name;
        t->mode = mode;
        t->truncate = *truncate;
        a->n++;
        if (mode == KC_AUDIT_BATCH)
                return kc_audit_buffer_new(take_sink, batch, &t->buffer, err);
        t->sink = take_sink;
        return 0;
}

static int open_sinks(struct kc_audit *a, const struct kc_audit_opts *o, struct kc_error *err)
{
        struct kc_audit_sink *sink;
        int r = 0;
        if (!kc_str_empty(o->log_path)) {
                r = kc_audit_log_new(o, &sink, err);
                if (r == 0)
                        r = add_outlet(a, sink, o->log_mode, &o->log_batch, &o->log_truncate, err);
        }
        if (r == 0 && !kc_str_empty(o->webhook_config)) {
                r = kc_audit_webhook_new(o, &sink, err);
                if (r == 0)
                        r = add_outlet(a, sink, KC_AUDIT_BATCH, &o->webhook_batch, &o->webhook_truncate, err);
        }
        return r;
}

int kc_audit_new(const struct kc_audit_opts *o, struct kc_audit **ret, struct kc_error *err)
{
        *ret = NULL;
        if (kc_str_empty(o->log_path) && kc_str_empty(o->webhook_config))
                return 0;
        if (kc_str_empty(o->policy_file)) {
                kc_log_warn("No audit policy file provided, no events will be recorded");
                return 0;
        }
        KC_CLEANUP(kc_audit_freep) struct kc_audit *a = KC_NEW(struct kc_audit);
        metrics_init();
        int r = kc_audit_policy_load(o->policy_file, &a->policy, err);
        if (r == 0)
                r = open_sinks(a, o, err);
        if (r < 0)
                return r;
        *ret = KC_TAKE(a);
        return 0;
}

void kc_audit_free(struct kc_audit *a)
{
        if (!a)
                return;
        for (size_t i = 0; i < a->n; i++) {
                struct outlet *t = &a->outlets[i];
                kc_audit_buffer_free(t->buffer);
                if (t->sink)
                        t->sink->free(t->sink);
                pthread_mutex_destroy(&t->lock);
        }
        kc_audit_policy_free(a->policy);
        kc_free(a);
}
