/* Upstream's apiserver_flowcontrol_* metrics. Under the lock of kc_flow. */
#include "base/str.h"
#include "daemon/metrics.h"
#include "flowcontrol/flow_internal.h"

static struct {
        struct kc_metric *rejected, *dispatched, *inqueue, *inqueue_seats, *executing, *executing_seats, *queue_length,
            *wait, *execution, *estimated;
        struct kc_metric *nominal, *lower, *upper, *current, *average, *high, *deviation, *smoothed, *target, *fair, *r,
            *demand;
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
        };
        for (size_t i = 0; i < KC_ARRAY_LEN(gauges); i++)
                *gauges[i].metric = kc_metric_gauge(gauges[i].name, gauges[i].help, level_labels);
        m.fair = kc_metric_gauge("apiserver_flowcontrol_seat_fair_frac",
            "Fair fraction of server's concurrency to allocate to each priority level that can use it", NULL);
}

void flow_metrics_init(void)
{
        static const double seconds[] = {0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30};
        static const double lengths[] = {0, 10, 25, 50, 100, 250, 500, 1000};
        static const double seats[] = {1, 2, 4, 10};
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
        m.demand = kc_metric_histogram("apiserver_flowcontrol_demand_seats",
            "Observations, at the end of every nanosecond, of (the number of seats each priority level could use) / "
            "(nominal number of seats for that level)",
            level_labels, (const double[]){0.2, 0.4, 0.6, 0.8, 1, 1.2, 1.4, 1.7, 2, 2.8, 4, 6}, 12);
        init_levels();
}

#define FLOW(t) KC_LABELS((t)->schema->name, (t)->level->name)

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
        kc_metric_observe(m.wait, 0, KC_LABELS("true", t->schema->name, t->level->name));
}

void flow_metrics_wait_ended(const struct kc_flow_ticket *t, bool executed, double now)
{
        kc_metric_add(m.inqueue, -1, FLOW(t));
        kc_metric_add(m.inqueue_seats, -(double)flow_max_seats(t), FLOW(t));
        if (t->arrived != now)
                kc_metric_observe(
                    m.wait, now - t->arrived, KC_LABELS(executed ? "true" : "false", t->schema->name, t->level->name));
}

void flow_metrics_end(const struct kc_flow_ticket *t, double now)
{
        kc_metric_add(m.executing, -1, FLOW(t));
        kc_metric_add(m.executing_seats, -(double)flow_max_seats(t), FLOW(t));
        kc_metric_observe(m.execution, now - t->started,
            KC_LABELS(t->schema->name, t->level->name, t->is_watch ? "watch" : "regular"));
}

void flow_metrics_reject(const struct kc_flow_ticket *t, const char *why)
{
        kc_metric_add(m.rejected, 1, KC_LABELS(t->schema->name, t->level->name, why));
}

void flow_metrics_level(const struct flow_level *l)
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
        };
        for (size_t i = 0; i < KC_ARRAY_LEN(values); i++)
                kc_metric_set(values[i].metric, values[i].value, KC_LABELS(l->name));
        if (l->nominal > 0)
                kc_metric_observe(m.demand, l->average / l->nominal, KC_LABELS(l->name));
}

void flow_metrics_fair_fraction(double f)
{
        kc_metric_set(m.fair, f, NULL);
}
