/* Upstream's metrics of the apiserver. Updates from any thread. */
#include "daemon/metrics.h"

#include <string.h>

#include "base/str.h"
#include "server/server_internal.h"

static struct {
        struct kc_metric *requests, *duration, *sizes, *inflight, *long_running, *watch_events, *watch_sizes, *objects,
            *deprecated;
} m;

static const char *const request_labels[] = {"verb", "dry_run", "group", "version", "resource", "subresource", "scope",
    "component", "code", "system_client", NULL};
static const char *const duration_labels[] = {
    "verb", "dry_run", "group", "version", "resource", "subresource", "scope", "component", NULL};
static const char *const plain_labels[] = {
    "verb", "group", "version", "resource", "subresource", "scope", "component", NULL};

static void on_scrape(void *arg)
{
        struct kc_apiserver *s = arg;
        kc_metric_set(m.inflight, atomic_load(&s->inflight_readonly), KC_LABELS("readOnly"));
        kc_metric_set(m.inflight, atomic_load(&s->inflight_mutating), KC_LABELS("mutating"));
        if (s->flow)
                kc_flow_publish(s->flow);
        size_t n;
        const struct kc_stored *const *all = kc_resources_all(s->resources, &n);
        for (size_t i = 0; i < n; i++)
                kc_metric_set(m.objects, (double)kc_cache_resource_count(all[i]->cache),
                    KC_LABELS(all[i]->row->group, all[i]->row->resource));
}

void metrics_init(struct kc_apiserver *s)
{
        static const double seconds[] = {
            0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60};
        static const double bytes[] = {1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9};
        static const double event_bytes[] = {1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072};
        m.requests = kc_metric_counter("apiserver_request_total",
            "Counter of apiserver requests broken out for each verb, dry run value, group, version, resource, scope, "
            "component, and HTTP response code.",
            request_labels);
        m.duration = kc_metric_histogram("apiserver_request_duration_seconds",
            "Response latency distribution in seconds for each verb, dry run value, group, version, resource, "
            "subresource, scope and component.",
            duration_labels, seconds, KC_ARRAY_LEN(seconds));
        m.sizes = kc_metric_histogram("apiserver_response_sizes",
            "Response size distribution in bytes for each group, version, verb, resource, subresource, scope and "
            "component.",
            plain_labels, bytes, KC_ARRAY_LEN(bytes));
        m.inflight = kc_metric_gauge("apiserver_current_inflight_requests",
            "Maximal number of currently used inflight request limit of this apiserver per request kind in last "
            "second.",
            (const char *const[]){"request_kind", NULL});
        m.long_running = kc_metric_gauge("apiserver_longrunning_requests",
            "Gauge of all active long-running apiserver requests broken out by verb, group, version, resource, scope "
            "and component. Not all requests are tracked this way.",
            plain_labels);
        m.watch_events = kc_metric_counter("apiserver_watch_events_total", "Number of events sent in watch clients",
            (const char *const[]){"group", "version", "resource", NULL});
        m.watch_sizes = kc_metric_histogram("apiserver_watch_events_sizes", "Watch event size distribution in bytes",
            (const char *const[]){"group", "version", "resource", NULL}, event_bytes, KC_ARRAY_LEN(event_bytes));
        m.objects = kc_metric_gauge("apiserver_resource_objects",
            "Number of stored objects at the time of last check split by kind.",
            (const char *const[]){"group", "resource", NULL});
        m.deprecated = kc_metric_gauge("apiserver_requested_deprecated_apis",
            "Gauge of deprecated APIs that have been requested, broken out by API group, version, resource, "
            "subresource, and removed_release.",
            (const char *const[]){"group", "version", "resource", "subresource", "removed_release", NULL});
        kc_metrics_on_scrape(on_scrape, s);
}

const char *metrics_verb(const struct api_req *q)
{
        static const struct {
                const char *verb, *name;
        } verbs[] = {{"get", "GET"}, {"list", "LIST"}, {"watch", "WATCH"}, {"create", "POST"}, {"update", "PUT"},
            {"patch", "PATCH"}, {"delete", "DELETE"}, {"deletecollection", "DELETECOLLECTION"}, {"post", "POST"},
            {"put", "PUT"}, {"head", "GET"}};
        for (size_t i = 0; i < KC_ARRAY_LEN(verbs); i++)
                if (strcmp(verbs[i].verb, q->info.verb) == 0)
                        return verbs[i].name;
        return "other";
}

static const char *scope_of(const struct api_req *q)
{
        if (!q->info.is_resource)
                return "";
        if (kc_strv_len(q->info.parts) >= 2)
                return "resource";
        return q->info.ns[0] ? "namespace" : "cluster";
}

/* Labels that a peer chooses are bounded: only what is served has its own. */
struct labels {
        const char *verb, *group, *version, *resource, *subresource, *scope;
};

static struct labels labels_of(const struct api_req *q)
{
        struct labels l = {metrics_verb(q), "", "", "", "", scope_of(q)};
        if (q->row) {
                l.group = q->row->group;
                l.version = q->row->version;
                l.resource = q->row->resource;
                l.subresource = q->sub ? q->sub->name : "";
        } else if (!q->info.is_resource) {
                static const char *const known[] = {
                    "/version", "/healthz", "/livez", "/readyz", "/metrics", "/api", "/apis", NULL};
                if (q->info.path && kc_strv_has((char *const *)known, q->info.path))
                        l.subresource = q->info.path;
        }
        return l;
}

void metrics_request_done(struct api_req *q)
{
        struct labels l = labels_of(q);
        int status = atomic_load(&q->code);
        KC_CLEANUP(kc_freep) char *code = kc_asprintf("%d", status ? status : 200);
        const char *dry = q->dry_run ? "All" : "";
        bool system = q->user && kc_str_has_prefix(q->user->name, "system:");
        const char *client = "";
        if (system && (strcmp(q->user->name, "system:kube-controller-manager") == 0 ||
                          strcmp(q->user->name, "system:kube-scheduler") == 0))
                client = q->user->name + strlen("system:");
        kc_metric_add(m.requests, 1,
            KC_LABELS(l.verb, dry, l.group, l.version, l.resource, l.subresource, l.scope, "apiserver", code, client));
        if (q->long_running)
                return;
        double took = (double)(kc_clock_mono(NULL) - q->started) / (double)KC_SEC;
        kc_metric_observe(m.duration, took,
            KC_LABELS(l.verb, dry, l.group, l.version, l.resource, l.subresource, l.scope, "apiserver"));
        if (q->info.is_resource && !q->mutating)
                kc_metric_observe(m.sizes, (double)atomic_load(&q->response_size),
                    KC_LABELS(l.verb, l.group, l.version, l.resource, l.subresource, l.scope, "apiserver"));
}

void metrics_deprecated(const struct api_req *q)
{
        kc_metric_set(m.deprecated, 1,
            KC_LABELS(q->row->group, q->row->version, q->row->resource, q->sub ? q->sub->name : "", ""));
}

void metrics_long_running(struct api_req *q, int delta)
{
        struct labels l = labels_of(q);
        kc_metric_add(m.long_running, delta,
            KC_LABELS(l.verb, l.group, l.version, l.resource, l.subresource, l.scope, "apiserver"));
}

void metrics_watch_event(const struct kc_resource *row, size_t bytes)
{
        kc_metric_add(m.watch_events, 1, KC_LABELS(row->group, row->version, row->resource));
        kc_metric_observe(m.watch_sizes, (double)bytes, KC_LABELS(row->group, row->version, row->resource));
}
