/* A priority level: seats, queues, and fair queueing in virtual time.
 *
 * Virtual time r advances by the seats that each active queue would have if all were served at once. A queue's next
 * request starts at next_r; the queue whose next request would end first is served next. A request is charged a guess
 * of its work when it is dispatched, which is corrected when it has ended. Under the lock; time is given. */
#include <math.h>
#include <string.h>

#include "api/object.h"
#include "base/str.h"
#include "flowcontrol/flow_internal.h"

/* --- a value over time */

static void advance_integral(struct flow_integral *i, double now)
{
        double dt = now - i->since;
        if (dt > 0) {
                i->sum += i->x * dt;
                i->squares += i->x * i->x * dt;
        }
        i->since = now;
}

void flow_integral_set(struct flow_integral *i, double x, double now)
{
        if (i->start == 0)
                i->start = i->since = now;
        advance_integral(i, now);
        i->x = x;
        i->max = KC_MAX(i->max, x);
}

void flow_integral_reset(struct flow_integral *i, double now, double *ret_avg, double *ret_dev, double *ret_max)
{
        advance_integral(i, now);
        double duration = now - i->start;
        *ret_avg = duration > 0 ? i->sum / duration : i->x;
        double variance = duration > 0 ? i->squares / duration - *ret_avg * *ret_avg : 0;
        *ret_dev = variance > 0 ? sqrt(variance) : 0;
        *ret_max = i->max;
        *i = (struct flow_integral){.x = i->x, .since = now, .start = now, .max = i->x};
}

/* --- a value's time in buckets */

const double *flow_buckets(enum flow_scale scale, size_t *ret_n)
{
        static const double requests[] = {0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.25, 0.5, 0.75, 1};
        static const double seats[] = {0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1};
        static const double demand[] = {0.2, 0.4, 0.6, 0.8, 1, 1.2, 1.4, 1.7, 2, 2.8, 4, 6};
        static const double kinds[] = {0, 0.001, 0.01, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1};
        static const struct {
                const double *v;
                size_t n;
        } all[] = {
            [FLOW_SCALE_REQUESTS] = {requests, KC_ARRAY_LEN(requests)},
            [FLOW_SCALE_SEATS] = {seats, KC_ARRAY_LEN(seats)},
            [FLOW_SCALE_DEMAND] = {demand, KC_ARRAY_LEN(demand)},
            [FLOW_SCALE_KINDS] = {kinds, KC_ARRAY_LEN(kinds)},
        };
        *ret_n = all[scale].n;
        return all[scale].v;
}

void flow_timing_set(struct flow_timing *t, enum flow_scale scale, double x, double now)
{
        size_t n, i = 0;
        const double *buckets = flow_buckets(scale, &n);
        double ns = (now - t->since) * 1e9;
        if (t->since > 0 && ns > 0) {
                while (i < n && t->x > buckets[i])
                        i++;
                t->counts[i] += (uint64_t)ns;
                t->sum += t->x * ns;
        }
        t->x = x;
        t->since = now;
}

/* --- life */

struct flow_level *flow_level_new(const char *name)
{
        struct flow_level *l = KC_NEW(struct flow_level);
        l->name = kc_strdup(name);
        l->uid = kc_strdup("");
        return l;
}

void flow_level_free(struct flow_level *l)
{
        for (size_t i = 0; i < l->queues_cap; i++)
                kc_free(l->queues[i]);
        kc_free(l->queues);
        kc_free(l->name);
        kc_free(l->uid);
        kc_free(l);
}

static void need_queues(struct flow_level *l, size_t n)
{
        if (n <= l->queues_cap)
                return;
        l->queues = kc_reallocarray(l->queues, n, sizeof(*l->queues));
        for (; l->queues_cap < n; l->queues_cap++) {
                struct flow_queue *q = KC_NEW(struct flow_queue);
                kc_list_init(&q->waiting);
                l->queues[l->queues_cap] = q;
        }
}

void flow_level_configure(struct flow_level *l, const struct json_object *obj)
{
        const struct json_object *spec = kc_json_get(obj, "spec");
        const char *uid = kc_meta_uid(obj);
        l->configured = true;
        l->exempt = kc_streq(kc_json_str(spec, "type"), "Exempt");
        kc_str_set(&l->uid, uid ? uid : "");
        const struct json_object *limits = kc_json_get(spec, l->exempt ? "exempt" : "limited");
        const struct json_object *response = kc_json_get(limits, "limitResponse");
        const struct json_object *queuing = kc_json_get(response, "queuing");
        l->shares = (int)kc_json_int(limits, "nominalConcurrencyShares", l->exempt ? 0 : 30);
        l->lendable_percent = (int)kc_json_int(limits, "lendablePercent", 0);
        l->borrowing_percent = (int)kc_json_int(limits, "borrowingLimitPercent", -1);
        l->queueing = !l->exempt && kc_streq(kc_json_str(response, "type"), "Queue");
        l->n_queues = (unsigned)kc_json_int(queuing, "queues", 64);
        l->hand_size = (unsigned)kc_json_int(queuing, "handSize", 8);
        l->queue_length_limit = (unsigned)kc_json_int(queuing, "queueLengthLimit", 50);
        if (l->n_queues == 0)
                l->queueing = false;
        if (l->queueing)
                need_queues(l, l->n_queues);
}

bool flow_level_idle(const struct flow_level *l)
{
        return l->n_executing == 0 && l->n_waiting == 0 && l->seats_in_use == 0;
}

/* --- what requests take */

unsigned flow_max_seats(const struct kc_flow_ticket *t)
{
        return KC_MAX(t->work.initial_seats, t->work.final_seats);
}

double flow_work_of(const struct kc_flow_ticket *t)
{
        return t->work.initial_seats * FLOW_SERVICE_TIME +
               t->work.final_seats * ((double)t->work.additional_latency / KC_SEC);
}

static bool has_seats(const struct flow_level *l, unsigned seats)
{
        if (l->exempt)
                return true;
        /* One that is wider than the level is let in when it is alone. */
        if (seats > (unsigned)l->current)
                return l->seats_in_use == 0;
        return l->seats_in_use + seats <= (unsigned)l->current;
}

static double ratio(double x, double of)
{
        return of > 0 ? x / of : x;
}

static void note_demand(struct flow_level *l, double now)
{
        double places = l->queueing ? (double)l->n_queues * l->queue_length_limit : 0;
        flow_integral_set(&l->demand, l->seats_in_use + l->seats_waiting, now);
        flow_timing_set(
            &l->wanted_seats, FLOW_SCALE_DEMAND, ratio(l->seats_in_use + l->seats_waiting, l->nominal), now);
        flow_timing_set(&l->waiting_requests, FLOW_SCALE_REQUESTS, ratio((double)l->n_waiting, places), now);
        flow_timing_set(&l->executing_requests, FLOW_SCALE_REQUESTS, ratio((double)l->n_executing, l->current), now);
        flow_timing_set(&l->executing_seats, FLOW_SCALE_SEATS, ratio(l->seats_in_use, l->current), now);
}

/* --- virtual time */

static size_t active_queues(const struct flow_level *l)
{
        size_t n = 0;
        for (size_t i = 0; i < l->queues_cap; i++)
                n += l->queues[i]->n_waiting > 0 || l->queues[i]->n_executing > 0;
        return n;
}

static void advance(struct flow_level *l, double now)
{
        double dt = now - l->r_since;
        size_t active = l->n_waiting + l->n_executing > 0 ? active_queues(l) : 0;
        if (l->r_since > 0 && dt > 0 && active > 0)
                l->r += dt * KC_MIN((double)(l->seats_in_use + l->seats_waiting), (double)l->current) / (double)active;
        l->r_since = now;
}

/* --- in */

static struct flow_queue *shortest_dealt(struct flow_level *l, uint64_t hash)
{
        unsigned hand[64], n = KC_MIN(KC_MIN(l->hand_size, l->n_queues), (unsigned)KC_ARRAY_LEN(hand));
        flow_deal(hash, l->n_queues, n, hand);
        struct flow_queue *best = l->queues[hand[0]];
        for (unsigned i = 1; i < n; i++)
                if (l->queues[hand[i]]->work_waiting < best->work_waiting)
                        best = l->queues[hand[i]];
        return best;
}

static void execute(struct flow_level *l, struct kc_flow_ticket *t, double now)
{
        unsigned seats = flow_max_seats(t);
        t->state = FLOW_EXECUTING;
        t->started = now;
        l->seats_in_use += seats;
        l->n_executing++;
        if (!t->queue)
                return;
        t->queue->seats_in_use += seats;
        t->queue->n_executing++;
        l->latest_s = t->queue->next_r;
        l->dispatch_r = l->r;
        t->queue->next_r += flow_work_of(t);
}

static void enqueue(struct flow_level *l, struct kc_flow_ticket *t)
{
        struct flow_queue *q = t->queue;
        t->state = FLOW_WAITING;
        t->waited = true;
        kc_list_push_back(&q->waiting, &t->node);
        q->n_waiting++;
        q->seats_waiting += flow_max_seats(t);
        q->work_waiting += flow_work_of(t);
        l->n_waiting++;
        l->seats_waiting += flow_max_seats(t);
}

enum kc_flow_answer flow_level_enter(struct flow_level *l, struct kc_flow_ticket *t, double now, const char **ret_why)
{
        unsigned seats = flow_max_seats(t);
        advance(l, now);
        if (!l->queueing) {
                if (!has_seats(l, seats)) {
                        *ret_why = "concurrency-limit";
                        return KC_FLOW_REJECT;
                }
                execute(l, t, now);
                note_demand(l, now);
                return KC_FLOW_EXECUTE;
        }
        t->queue = shortest_dealt(l, t->hash);
        if (t->queue->n_waiting >= l->queue_length_limit && l->seats_in_use >= (unsigned)l->current) {
                t->queue = NULL;
                *ret_why = "queue-full";
                return KC_FLOW_REJECT;
        }
        if (t->queue->n_waiting == 0 && t->queue->n_executing == 0)
                t->queue->next_r = l->r; /* nothing was saved while it had no requests */
        if (l->n_waiting == 0 && has_seats(l, seats)) {
                execute(l, t, now);
                note_demand(l, now);
                return KC_FLOW_EXECUTE;
        }
        enqueue(l, t);
        note_demand(l, now);
        return KC_FLOW_WAIT;
}

/* --- out */

static void dequeue(struct flow_level *l, struct kc_flow_ticket *t)
{
        struct flow_queue *q = t->queue;
        kc_list_remove(&t->node);
        q->n_waiting--;
        q->seats_waiting -= flow_max_seats(t);
        q->work_waiting = q->n_waiting == 0 ? 0 : q->work_waiting - flow_work_of(t);
        l->n_waiting--;
        l->seats_waiting -= flow_max_seats(t);
}

static struct kc_flow_ticket *first_of(const struct flow_queue *q)
{
        return KC_LIST_FIRST(&q->waiting, struct kc_flow_ticket, node);
}

/* The first of the queue whose request would end first; of equals, the one after that served last. */
static struct kc_flow_ticket *find_next(struct flow_level *l)
{
        struct kc_flow_ticket *best = NULL;
        double best_end = 0;
        size_t at = 0;
        for (size_t k = 1; k <= l->queues_cap; k++) {
                size_t i = (l->robin + k) % l->queues_cap;
                struct flow_queue *q = l->queues[i];
                if (q->n_waiting == 0)
                        continue;
                struct kc_flow_ticket *t = first_of(q);
                double end = q->next_r + flow_work_of(t);
                if (!best || end < best_end) {
                        best = t;
                        best_end = end;
                        at = i;
                }
        }
        if (!best || !has_seats(l, flow_max_seats(best)))
                return NULL; /* nobody overtakes it */
        l->robin = at;
        return best;
}

struct kc_flow_ticket *flow_level_next(struct flow_level *l, double now)
{
        if (l->n_waiting == 0)
                return NULL;
        advance(l, now);
        struct kc_flow_ticket *t = find_next(l);
        if (!t)
                return NULL;
        dequeue(l, t);
        execute(l, t, now);
        note_demand(l, now);
        return t;
}

void flow_level_remove(struct flow_level *l, struct kc_flow_ticket *t, double now)
{
        advance(l, now);
        dequeue(l, t);
        t->state = FLOW_REJECTED;
        note_demand(l, now);
}

void flow_level_finish(struct flow_level *l, struct kc_flow_ticket *t, double now)
{
        advance(l, now);
        t->state = FLOW_FINISHING;
        unsigned freed = flow_max_seats(t) - t->work.final_seats;
        l->seats_in_use -= freed;
        if (t->queue) {
                t->queue->seats_in_use -= freed;
                /* What it was charged, and what it took. */
                t->queue->next_r -= (FLOW_SERVICE_TIME - (now - t->started)) * t->work.initial_seats;
        }
        note_demand(l, now);
}

void flow_level_release(struct flow_level *l, struct kc_flow_ticket *t, double now)
{
        advance(l, now);
        l->seats_in_use -= t->work.final_seats;
        l->n_executing--;
        if (t->queue) {
                t->queue->seats_in_use -= t->work.final_seats;
                t->queue->n_executing--;
        }
        note_demand(l, now);
}
