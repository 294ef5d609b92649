/* /debug/api_priority_and_fairness: what there is now, as upstream's tables. */
#include <string.h>

#include "base/str.h"
#include "flowcontrol/flow_internal.h"

/* Cells of a table, row by row. */
struct table {
        char **cells;
        size_t columns;
};

static void cell(struct table *t, const char *text)
{
        kc_strv_push(&t->cells, text);
}

static void number(struct table *t, uint64_t n)
{
        kc_strv_pushf(&t->cells, "%llu", (unsigned long long)n);
}

static void head(struct table *t, const char *names)
{
        t->cells = kc_strv_split(names, ',');
        t->columns = kc_strv_len(t->cells);
}

/* Columns are padded, as text/tabwriter does. */
static void write(struct table *t, struct kc_buf *out)
{
        enum { MIN_WIDTH = 8 };
        KC_CLEANUP(kc_freep) size_t *widths = kc_calloc(t->columns, sizeof(*widths));
        for (size_t i = 0; t->cells[i]; i++)
                widths[i % t->columns] = KC_MAX(widths[i % t->columns], strlen(t->cells[i]) + 2);
        for (size_t i = 0; t->cells[i]; i++) {
                bool last = (i + 1) % t->columns == 0;
                int width = (int)KC_MAX(widths[i % t->columns], (size_t)MIN_WIDTH);
                KC_CLEANUP(kc_freep) char *text = kc_asprintf("%s%s", t->cells[i], last ? "\n" : ",");
                if (last)
                        kc_buf_adds(out, text);
                else
                        kc_buf_addf(out, "%-*s", width, text);
        }
        kc_strv_free(t->cells);
}

static void each_level(struct kc_flow *f, void (*fn)(struct flow_level *l, struct table *t), struct table *t)
{
        KC_CLEANUP(kc_strv_freep) char **names = kc_map_sorted_keys(f->levels);
        for (char **n = names; n && *n; n++)
                fn(kc_map_get(f->levels, *n), t);
}

static void level_row(struct flow_level *l, struct table *t)
{
        size_t active = 0;
        for (size_t i = 0; i < l->queues_cap; i++)
                active += l->queues[i]->n_waiting > 0 || l->queues[i]->n_executing > 0;
        cell(t, l->name);
        number(t, active);
        cell(t, flow_level_idle(l) ? "true" : "false");
        cell(t, l->configured ? "false" : "true");
        const uint64_t numbers[] = {
            l->n_waiting, l->n_executing, l->dispatched, l->rejected, l->timed_out, l->cancelled};
        for (size_t i = 0; i < KC_ARRAY_LEN(numbers); i++)
                number(t, numbers[i]);
}

static void queue_rows(struct flow_level *l, struct table *t)
{
        for (size_t i = 0; i < l->queues_cap; i++) {
                const struct flow_queue *q = l->queues[i];
                unsigned initial = 0;
                KC_LIST_FOREACH(&q->waiting, w, struct kc_flow_ticket, node)
                {
                        initial += w->work.initial_seats;
                }
                cell(t, l->name);
                number(t, i);
                number(t, q->n_waiting);
                number(t, q->n_executing);
                number(t, q->seats_in_use);
                kc_strv_pushf(&t->cells, "%.8fss", q->next_r);
                number(t, initial);
                number(t, q->seats_waiting);
                kc_strv_pushf(&t->cells, "%.8fss", q->work_waiting);
        }
}

static size_t queue_index(const struct kc_flow_ticket *t)
{
        size_t i = 0;
        while (t->level->queues[i] != t->queue)
                i++;
        return i;
}

static size_t place_in_queue(const struct kc_flow_ticket *t)
{
        size_t n = 0;
        KC_LIST_FOREACH(&t->queue->waiting, w, struct kc_flow_ticket, node)
        {
                if (w == t)
                        return n;
                n++;
        }
        return n;
}

/* What was on the monotonic clock, on the real one. */
static void time_cell(const struct kc_flow *f, struct table *t, double at)
{
        char buf[KC_TIME_LEN];
        double ago = (double)kc_clock_mono(f->o.clock) / KC_SEC - at;
        cell(t, kc_time_format_micro(kc_clock_now(f->o.clock) - (int64_t)(ago * KC_SEC), buf));
}

static void request_row(const struct kc_flow *f, const struct kc_flow_ticket *r, bool details, struct table *t)
{
        cell(t, r->level->name);
        cell(t, r->schema->name);
        if (r->state == FLOW_WAITING) {
                number(t, queue_index(r));
                number(t, place_in_queue(r));
        } else {
                cell(t, "-1");
                cell(t, "-1");
        }
        cell(t, r->distinguisher);
        time_cell(f, t, r->arrived);
        number(t, r->work.initial_seats);
        number(t, r->work.final_seats);
        kc_strv_pushf(&t->cells, "%lldms", (long long)(r->work.additional_latency / KC_MSEC));
        if (r->state == FLOW_WAITING)
                cell(t, "");
        else
                time_cell(f, t, r->started);
        if (!details)
                return;
        const struct kc_flow_attrs *a = &r->attrs;
        const char *const more[] = {
            a->user->name, a->verb, a->path, a->ns, a->name, a->version, a->resource, a->subresource};
        for (size_t i = 0; i < KC_ARRAY_LEN(more); i++)
                cell(t, more[i]);
}

#define LEVELS                                                                                                         \
        "PriorityLevelName,ActiveQueues,IsIdle,IsQuiescing,WaitingRequests,ExecutingRequests,DispatchedRequests,"      \
        "RejectedRequests,TimedoutRequests,CancelledRequests"
#define QUEUES                                                                                                         \
        "PriorityLevelName,Index,PendingRequests,ExecutingRequests,SeatsInUse,NextDispatchR,InitialSeatsSum,"          \
        "MaxSeatsSum,TotalWorkSum"
#define REQUESTS                                                                                                       \
        "PriorityLevelName,FlowSchemaName,QueueIndex,RequestIndexInQueue,FlowDistingsher,ArriveTime,InitialSeats,"     \
        "FinalSeats,AdditionalLatency,StartTime"

bool kc_flow_dump(struct kc_flow *f, const char *what, bool details, struct kc_buf *out)
{
        struct table t;
        bool requests = strcmp(what, "dump_requests") == 0, queues = strcmp(what, "dump_queues") == 0;
        if (!requests && !queues && strcmp(what, "dump_priority_levels") != 0)
                return false;
        pthread_mutex_lock(&f->lock);
        if (requests) {
                head(&t, details ? REQUESTS ",UserName,Verb,APIPath,Namespace,Name,APIVersion,Resource,SubResource"
                                 : REQUESTS);
                KC_LIST_FOREACH(&f->tickets, r, struct kc_flow_ticket, all_node)
                {
                        if (r->state == FLOW_WAITING || r->state == FLOW_EXECUTING)
                                request_row(f, r, details, &t);
                }
        } else {
                head(&t, queues ? QUEUES : LEVELS);
                each_level(f, queues ? queue_rows : level_row, &t);
        }
        pthread_mutex_unlock(&f->lock);
        write(&t, out);
        return true;
}
