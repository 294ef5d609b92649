/* Upstream's apiserver_flowcontrol_* metrics. Those of a ticket by whoever holds it; of levels under the lock. */
#include "base/str.h"
#include "daemon/metrics.h"
#include "flowcontrol/flow_internal.h"

static struct {
        struct kc_metric *rejected, *dispatched, *inqueue, *inqueue_seats, *executing, *executing_seats, *queue_length,
            *wait, *execution, *estimated, *watches;
        struct kc_metric *nominal, *lower, *upper, *current, *average, *high, *deviation, *smoothed, *target, *fair, *r,
            *latest_s, *dispatch_r, *next_s, *next_discounted_s, *demand, *requests, *seats, *kinds;
} m;

static const char *const level_labels[] = {"priority_level", NULL};
static const char *const flow_labels[] = {"flow_schema", "priority_level", NULL};

static void init_levels(void)
{
        static const struct {
                struct kc_metric **metric;
                const char *name, *help;
        } gauges[] = {
            {&m.nominal, "apiserver_flowcontrol_nominal_limit_seats",
                "Nominal number of execution seats configured for each priority level"},
            {&m.lower, "apiserver_flowcontrol_lower_limit_seats",
                "Configured lower bound on number of execution seats available to each priority level"},
            {&m.upper, "apiserver_flowcontrol_upper_limit_seats",
                "Configured upper bound on number of execution seats available to each priority level"},
            {&m.current, "apiserver_flowcontrol_current_limit_seats",
                "current derived number of execution seats available to each priority level"},
            {&m.average, "apiserver_flowcontrol_demand_seats_average",
                "Time-weighted average, over last adjustment period, of demand_seats"},
            {&m.high, "apiserver_flowcontrol_demand_seats_high_watermark",
                "High watermark, over last adjustment period, of demand_seats"},
            {&m.deviation, "apiserver_flowcontrol_demand_seats_stdev",
                "Time-weighted standard deviation, over last adjustment period, of demand_seats"},
            {&m.smoothed, "apiserver_flowcontrol_demand_seats_smoothed", "Smoothed seat demands"},
            {&m.target, "apiserver_flowcontrol_target_seats", "Seat allocation targets"},
            {&m.r, "apiserver_flowcontrol_current_r", "R(time of last change)"},
            {&m.latest_s, "apiserver_flowcontrol_latest_s", "S(most recently dispatched request)"},
            {&m.dispatch_r, "apiserver_flowcontrol_dispatch_r", "R(time of last dispatch)"},
        };
        for (size_t i = 0; i < KC_ARRAY_LEN(gauges); i++)
                *gauges[i].metric = kc_metric_gauge(gauges[i].name, gauges[i].help, level_labels);
        m.next_s = kc_metric_gauge("apiserver_flowcontrol_next_s_bounds",
            "min and max, over queues, of S(oldest waiting request in queue)",
            (const char *const[]){"bound", "priority_level", NULL});
        m.next_discounted_s = kc_metric_gauge("apiserver_flowcontrol_next_discounted_s_bounds",
            "min and max, over queues, of S(oldest waiting request in queue) - estimated work in progress",
            (const char *const[]){"bound", "priority_level", NULL});
        m.fair = kc_metric_gauge("apiserver_flowcontrol_seat_fair_frac",
            "Fair fraction of server's concurrency to allocate to each priority level that can use it", NULL);
}

static struct kc_metric *timing(const char *name, const char *help, const char *const *labels, enum flow_scale scale)
{
        size_t n;
        const double *buckets = flow_buckets(scale, &n);
        return kc_metric_histogram(name, help, labels, buckets, n);
}

static void init_timings(void)
{
        static const char *const phases[] = {"phase", "priority_level", NULL};
        m.demand = timing("apiserver_flowcontrol_demand_seats",
            "Observations, at the end of every nanosecond, of (the number of seats each priority level could use) / "
            "(nominal number of seats for that level)",
            level_labels, FLOW_SCALE_DEMAND);
        m.requests = timing("apiserver_flowcontrol_priority_level_request_utilization",
            "Observations, at the end of every nanosecond, of number of requests (as a fraction of the relevant limit) "
            "waiting or in any stage of execution (but only initial stage for WATCHes)",
            phases, FLOW_SCALE_REQUESTS);
        m.seats = timing("apiserver_flowcontrol_priority_level_seat_utilization",
            "Observations, at the end of every nanosecond, of utilization of seats for any stage of execution (but "
            "only "
            "initial stage for WATCHes)",
            phases, FLOW_SCALE_SEATS);
        m.kinds = timing("apiserver_flowcontrol_read_vs_write_current_requests",
            "Observations, at the end of every nanosecond, of the number of requests (as a fraction of the relevant "
            "limit) waiting or in regular stage of execution",
            (const char *const[]){"phase", "request_kind", NULL}, FLOW_SCALE_KINDS);
}

void flow_metrics_init(void)
{
        static const double seconds[] = {0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30};
        static const double lengths[] = {0, 10, 25, 50, 100, 250, 500, 1000};
        static const double seats[] = {1, 2, 4, 10};
        static const double watches[] = {0, 1, 10, 100, 1000, 10000};
        m.rejected = kc_metric_counter("apiserver_flowcontrol_rejected_requests_total",
            "Number of requests rejected by API Priority and Fairness subsystem",
            (const char *const[]){"flow_schema", "priority_level", "reason", NULL});
        m.dispatched = kc_metric_counter("apiserver_flowcontrol_dispatched_requests_total",
            "Number of requests executed by API Priority and Fairness subsystem", flow_labels);
        m.inqueue = kc_metric_gauge("apiserver_flowcontrol_current_inqueue_requests",
            "Number of requests currently pending in queues of the API Priority and Fairness subsystem", flow_labels);
        m.inqueue_seats = kc_metric_gauge("apiserver_flowcontrol_current_inqueue_seats",
            "Number of seats currently pending in queues of the API Priority and Fairness subsystem", flow_labels);
        m.executing = kc_metric_gauge("apiserver_flowcontrol_current_executing_requests",
            "Number of requests in initial (for a WATCH) or any (for a non-WATCH) execution stage in the API Priority "
            "and Fairness subsystem",
            flow_labels);
        m.executing_seats = kc_metric_gauge("apiserver_flowcontrol_current_executing_seats",
            "Concurrency (number of seats) occupied by the currently executing requests in the API Priority and "
            "Fairness subsystem",
            flow_labels);
        m.queue_length = kc_metric_histogram("apiserver_flowcontrol_request_queue_length_after_enqueue",
            "Length of queue in the API Priority and Fairness subsystem, as seen by each request after it is enqueued",
            flow_labels, lengths, KC_ARRAY_LEN(lengths));
        m.wait = kc_metric_histogram("apiserver_flowcontrol_request_wait_duration_seconds",
            "Length of time a request spent waiting in its queue",
            (const char *const[]){"execute", "flow_schema", "priority_level", NULL}, seconds, KC_ARRAY_LEN(seconds));
        m.execution = kc_metric_histogram("apiserver_flowcontrol_request_execution_seconds",
            "Duration of initial stage (for a WATCH) or any (for a non-WATCH) stage of request execution in the API "
            "Priority and Fairness subsystem",
            (const char *const[]){"flow_schema", "priority_level", "type", NULL}, seconds, KC_ARRAY_LEN(seconds));
        m.estimated = kc_metric_histogram("apiserver_flowcontrol_work_estimated_seats",
            "Number of estimated seats (maximum of initial and final seats) associated with requests in API Priority "
            "and Fairness",
            flow_labels, seats, KC_ARRAY_LEN(seats));
        m.watches = kc_metric_histogram("apiserver_flowcontrol_watch_count_samples",
            "count of watchers for mutating requests in API Priority and Fairness", flow_labels, watches,
            KC_ARRAY_LEN(watches));
        init_timings();
        init_levels();
}

#define FLOW(t) KC_LABELS((t)->schema->name, (t)->level_name)

void flow_metrics_enqueue(const struct kc_flow_ticket *t, size_t queued)
{
        kc_metric_add(m.inqueue, 1, FLOW(t));
        kc_metric_add(m.inqueue_seats, flow_max_seats(t), FLOW(t));
        kc_metric_observe(m.queue_length, (double)queued, FLOW(t));
        kc_metric_observe(m.estimated, flow_max_seats(t), FLOW(t));
}

void flow_metrics_start(const struct kc_flow_ticket *t)
{
        kc_metric_add(m.dispatched, 1, FLOW(t));
        kc_metric_add(m.executing, 1, FLOW(t));
        kc_metric_add(m.executing_seats, flow_max_seats(t), FLOW(t));
        if (t->waited)
                return; /* and been counted then */
        kc_metric_observe(m.estimated, flow_max_seats(t), FLOW(t));
        if (t->mutating)
                kc_metric_observe(m.watches, (double)t->watches, FLOW(t));
        kc_metric_observe(m.wait, 0, KC_LABELS("true", t->schema->name, t->level_name));
}

void flow_metrics_wait_ended(const struct kc_flow_ticket *t, bool executed, double now)
{
        kc_metric_add(m.inqueue, -1, FLOW(t));
        kc_metric_add(m.inqueue_seats, -(double)flow_max_seats(t), FLOW(t));
        if (t->arrived != now)
                kc_metric_observe(
                    m.wait, now - t->arrived, KC_LABELS(executed ? "true" : "false", t->schema->name, t->level_name));
}

void flow_metrics_end(const struct kc_flow_ticket *t, double now)
{
        kc_metric_add(m.executing, -1, FLOW(t));
        kc_metric_add(m.executing_seats, -(double)flow_max_seats(t), FLOW(t));
        kc_metric_observe(m.execution, now - t->started,
            KC_LABELS(t->schema->name, t->level_name, t->is_watch ? "watch" : "regular"));
}

void flow_metrics_reject(const struct kc_flow_ticket *t, const char *why)
{
        kc_metric_add(m.rejected, 1, KC_LABELS(t->schema->name, t->level_name, why));
}

/* Hands over what has been counted, up to now. */
static void publish_timing(
    struct flow_timing *t, enum flow_scale scale, struct kc_metric *metric, double now, const char *const *labels)
{
        if (t->since == 0)
                return; /* nothing has been seen of it */
        flow_timing_set(t, scale, t->x, now);
        kc_metric_merge(metric, t->counts, t->sum, labels);
        *t = (struct flow_timing){.x = t->x, .since = t->since};
}

/* Where the next requests of the queues start, in virtual time. */
static void publish_bounds(const struct flow_level *l)
{
        double min = 0, max = 0, discounted_min = 0, discounted_max = 0;
        bool any = false;
        for (size_t i = 0; i < l->queues_cap; i++) {
                const struct flow_queue *q = l->queues[i];
                if (q->n_waiting == 0)
                        continue;
                double discounted = q->next_r - q->seats_in_use * FLOW_SERVICE_TIME;
                min = any ? KC_MIN(min, q->next_r) : q->next_r;
                max = any ? KC_MAX(max, q->next_r) : q->next_r;
                discounted_min = any ? KC_MIN(discounted_min, discounted) : discounted;
                discounted_max = any ? KC_MAX(discounted_max, discounted) : discounted;
                any = true;
        }
        kc_metric_set(m.next_s, min, KC_LABELS("min", l->name));
        kc_metric_set(m.next_s, max, KC_LABELS("max", l->name));
        kc_metric_set(m.next_discounted_s, discounted_min, KC_LABELS("min", l->name));
        kc_metric_set(m.next_discounted_s, discounted_max, KC_LABELS("max", l->name));
}

static void publish_level(struct flow_level *l, double now)
{
        const struct {
                struct kc_metric *metric;
                double value;
        } values[] = {
            {m.nominal, l->nominal},
            {m.lower, l->min},
            {m.upper, l->max},
            {m.current, l->current},
            {m.average, l->average},
            {m.high, l->high},
            {m.deviation, l->deviation},
            {m.smoothed, l->smoothed},
            {m.target, l->target},
            {m.r, l->r},
            {m.latest_s, l->latest_s},
            {m.dispatch_r, l->dispatch_r},
        };
        for (size_t i = 0; i < KC_ARRAY_LEN(values); i++)
                kc_metric_set(values[i].metric, values[i].value, KC_LABELS(l->name));
        publish_bounds(l);
        publish_timing(&l->wanted_seats, FLOW_SCALE_DEMAND, m.demand, now, KC_LABELS(l->name));
        publish_timing(&l->waiting_requests, FLOW_SCALE_REQUESTS, m.requests, now, KC_LABELS("waiting", l->name));
        publish_timing(&l->executing_requests, FLOW_SCALE_REQUESTS, m.requests, now, KC_LABELS("executing", l->name));
        publish_timing(&l->executing_seats, FLOW_SCALE_SEATS, m.seats, now, KC_LABELS("executing", l->name));
}

void flow_metrics_publish(struct kc_flow *f, double now)
{
        size_t it = 0;
        const char *name;
        void *level;
        while (kc_map_next(f->levels, &it, &name, &level))
                publish_level(level, now);
        for (int i = 0; i < 2; i++) {
                const char *kind = i == 0 ? "readOnly" : "mutating";
                publish_timing(&f->kinds[i].waiting_timing, FLOW_SCALE_KINDS, m.kinds, now, KC_LABELS("waiting", kind));
                publish_timing(
                    &f->kinds[i].executing_timing, FLOW_SCALE_KINDS, m.kinds, now, KC_LABELS("executing", kind));
        }
        kc_metric_set(m.fair, f->fair_fraction, NULL);
}
