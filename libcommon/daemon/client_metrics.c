/* client-go's metrics, fed by the client layer's observer, and kubernetes_build_info. Any thread. */
#include "base/features.h"
#include "client/observe.h"
#include "client/workqueue.h"
#include "daemon/health.h"
#include "daemon/metrics.h"

static struct kc_metric *requests, *request_seconds, *request_bytes, *response_bytes, *limiter_seconds;
static struct kc_metric *depth, *adds, *retries, *waited, *worked, *unfinished, *longest;
static struct kc_metric *leader;

static const double request_buckets[] = {0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60};
static const double size_buckets[] = {64, 256, 512, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216};
static const double queue_buckets[] = {1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1, 10};

static void on_request(
    const char *code, const char *host, const char *method, double seconds, size_t sent, size_t received)
{
        kc_metric_add(requests, 1, KC_LABELS(code, host, method));
        kc_metric_observe(request_seconds, seconds, KC_LABELS(host, method));
        kc_metric_observe(request_bytes, (double)sent, KC_LABELS(host, method));
        kc_metric_observe(response_bytes, (double)received, KC_LABELS(host, method));
}

static void on_rate_limited(const char *host, const char *method, double seconds)
{
        kc_metric_observe(limiter_seconds, seconds, KC_LABELS(host, method));
}

static void on_queue_depth(const char *name, int delta)
{
        kc_metric_add(depth, delta, KC_LABELS(name));
}

static void on_queue_added(const char *name)
{
        kc_metric_add(adds, 1, KC_LABELS(name));
}

static void on_queue_retried(const char *name)
{
        kc_metric_add(retries, 1, KC_LABELS(name));
}

static void on_queue_waited(const char *name, double seconds)
{
        kc_metric_observe(waited, seconds, KC_LABELS(name));
}

static void on_queue_worked(const char *name, double seconds)
{
        kc_metric_observe(worked, seconds, KC_LABELS(name));
}

static void on_leader_status(const char *lease, int leading)
{
        kc_metric_set(leader, leading, KC_LABELS(lease));
}

static const struct kc_client_observer observer = {
    .request = on_request,
    .rate_limited = on_rate_limited,
    .queue_depth = on_queue_depth,
    .queue_added = on_queue_added,
    .queue_retried = on_queue_retried,
    .queue_waited = on_queue_waited,
    .queue_worked = on_queue_worked,
    .leader_status = on_leader_status,
};

static void set_running(const char *name, double sum, double most, void *arg)
{
        (void)arg;
        kc_metric_set(unfinished, sum, KC_LABELS(name));
        kc_metric_set(longest, most, KC_LABELS(name));
}

static void on_scrape(void *arg)
{
        kc_workqueue_each_running(set_running, arg);
}

static void init_rest(void)
{
        requests = kc_metric_counter("rest_client_requests_total",
            "[ALPHA] Number of HTTP requests, partitioned by status code, method, and host.",
            KC_LABELS("code", "host", "method"));
        request_seconds = kc_metric_histogram("rest_client_request_duration_seconds",
            "[ALPHA] Request latency in seconds. Broken down by verb, and host.", KC_LABELS("host", "verb"),
            request_buckets, KC_ARRAY_LEN(request_buckets));
        request_bytes = kc_metric_histogram("rest_client_request_size_bytes",
            "[ALPHA] Request size in bytes. Broken down by verb and host.", KC_LABELS("host", "verb"), size_buckets,
            KC_ARRAY_LEN(size_buckets));
        response_bytes = kc_metric_histogram("rest_client_response_size_bytes",
            "[ALPHA] Response size in bytes. Broken down by verb and host.", KC_LABELS("host", "verb"), size_buckets,
            KC_ARRAY_LEN(size_buckets));
        limiter_seconds = kc_metric_histogram("rest_client_rate_limiter_duration_seconds",
            "[ALPHA] Client side rate limiter latency in seconds. Broken down by verb, and host.",
            KC_LABELS("host", "verb"), request_buckets, KC_ARRAY_LEN(request_buckets));
}

static void init_queues(void)
{
        const char *const *by_name = KC_LABELS("name");
        depth = kc_metric_gauge("workqueue_depth", "[ALPHA] Current depth of workqueue", by_name);
        adds = kc_metric_counter("workqueue_adds_total", "[ALPHA] Total number of adds handled by workqueue", by_name);
        retries = kc_metric_counter(
            "workqueue_retries_total", "[ALPHA] Total number of retries handled by workqueue", by_name);
        waited = kc_metric_histogram("workqueue_queue_duration_seconds",
            "[ALPHA] How long in seconds an item stays in workqueue before being requested.", by_name, queue_buckets,
            KC_ARRAY_LEN(queue_buckets));
        worked = kc_metric_histogram("workqueue_work_duration_seconds",
            "[ALPHA] How long in seconds processing an item from workqueue takes.", by_name, queue_buckets,
            KC_ARRAY_LEN(queue_buckets));
        unfinished = kc_metric_gauge("workqueue_unfinished_work_seconds",
            "[ALPHA] How many seconds of work has done that is in progress and hasn't been observed by work_duration.",
            by_name);
        longest = kc_metric_gauge("workqueue_longest_running_processor_seconds",
            "[ALPHA] How many seconds has the longest running processor for workqueue been running.", by_name);
        leader = kc_metric_gauge("leader_election_master_status",
            "[ALPHA] Gauge of if the reporting system is master of the relevant lease, 0 indicates backup, 1 indicates "
            "master.",
            by_name);
}

void kc_metrics_init_client(void)
{
        init_rest();
        init_queues();
        kc_metrics_on_scrape(on_scrape, NULL);
        kc_client_set_observer(&observer);

        struct kc_metric *build = kc_metric_gauge("kubernetes_build_info",
            "[ALPHA] A metric with a constant '1' value labeled by major, minor, git version, git commit, git tree "
            "state, "
            "build date, Go version, and compiler from which Kubernetes was built, and platform on which it is "
            "running.",
            KC_LABELS("build_date", "compiler", "git_commit", "git_tree_state", "git_version", "go_version", "major",
                "minor", "platform"));
        struct kc_version_info v;
        kc_version_info(&v);
        kc_metric_set(build, 1,
            KC_LABELS(v.build_date, v.compiler, v.git_commit, v.git_tree_state, v.git_version, v.go_version, v.major,
                v.minor, v.platform));
}

static void feature_enabled(const char *name, const char *stage, bool enabled, void *metric)
{
        kc_metric_set(metric, enabled, KC_LABELS(name, stage));
}

void kc_metrics_init_features(void)
{
        struct kc_metric *m = kc_metric_gauge("kubernetes_feature_enabled",
            "[BETA] This metric records the data about the stage and enablement of a k8s feature.",
            KC_LABELS("name", "stage"));
        kc_features_each(feature_enabled, m);
}
