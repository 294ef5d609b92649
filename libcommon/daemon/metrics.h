/* Prometheus metrics: counters, gauges, histograms with labels; text format 0.0.4. Registered once by name in a table
 * of the process; updates are atomic: any thread. Label sets of one metric are bounded (KC_METRIC_MAX_SERIES); past it
 * values go to a series whose labels are all "other". */
#pragma once

#include <stdint.h>

#include "base/buf.h"

enum { KC_METRIC_MAX_SERIES = 2000 };

struct kc_metric;

/* labels: NULL-terminated names, or NULL. Calling again with the same name returns the same metric. */
struct kc_metric *kc_metric_counter(const char *name, const char *help, const char *const *labels);
struct kc_metric *kc_metric_gauge(const char *name, const char *help, const char *const *labels);
/* buckets: upper bounds in rising order, n of them. */
struct kc_metric *kc_metric_histogram(
    const char *name, const char *help, const char *const *labels, const double *buckets, size_t n);
/* A gauge or counter whose value is asked for at scrape time. */
void kc_metric_callback(const char *name, const char *help, const char *type, double (*fn)(void *arg), void *arg);

/* fn at the start of every scrape, to set what is known only then (may use everything here but kc_metrics_write). */
void kc_metrics_on_scrape(void (*fn)(void *arg), void *arg);

/* Adds to a histogram what was counted elsewhere: counts of its n buckets and of what is above them, and the sum. */
void kc_metric_merge(struct kc_metric *m, const uint64_t *counts, double sum, const char *const *values);

/* values: as many as the metric has labels, in order; NULL when it has none. */
void kc_metric_add(struct kc_metric *m, double v, const char *const *values);
void kc_metric_set(struct kc_metric *m, double v, const char *const *values);
void kc_metric_observe(struct kc_metric *m, double v, const char *const *values);
#define KC_LABELS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* All metrics, and process_* of the process (cpu, resident memory, fds, start time). By name, then by label values. */
void kc_metrics_write(struct kc_buf *out);
/* Registers client-go's metrics (rest_client_*, workqueue_*, leader_election_*) and kubernetes_build_info, and lets the
 * client layer count into them. Before the threads start; once. kc_daemon_init does it. */
void kc_metrics_init_client(void);
/* Registers kubernetes_feature_enabled, of the gates as they are set. kc_daemon_init does it. */
void kc_metrics_init_features(void);
