/* Tickets through the levels: classification, turns, seats that come free, configuration. Any thread, under the lock;
 * timers on the loop. */
#include "flowcontrol/flowcontrol.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "api/object.h"
#include "base/log.h"
#include "base/str.h"
#include "flowcontrol/flow_internal.h"

static double now_of(const struct kc_flow *f)
{
        return (double)kc_clock_mono(f->o.clock) / KC_SEC;
}

/* --- tickets */

static void ticket_unref(struct kc_flow_ticket *t)
{
        if (atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) > 1)
                return;
        flow_schema_unref(t->schema);
        kc_free(t->level_name);
        kc_free(t->level_uid);
        kc_free(t->distinguisher);
        kc_free(t);
}

static void turn(void *arg)
{
        struct kc_flow_ticket *t = arg;
        if (!t->left)
                t->on_turn(t->arg);
        ticket_unref(t);
}

static bool is_quiet(const struct flow_level *l)
{
        return !l->configured && flow_level_idle(l);
}

/* Under the lock: one more, or less, of its kind waits or is executed. */
static void count_kind(struct kc_flow_ticket *t, int waiting, int executing, double now)
{
        struct kc_flow *f = t->flow;
        struct flow_kind *k = &f->kinds[t->mutating];
        int limit = t->mutating ? f->o.max_mutating : f->o.max_readonly;
        k->waiting += (size_t)waiting;
        k->executing += (size_t)executing;
        flow_timing_set(&k->waiting_timing, FLOW_SCALE_KINDS, (double)k->waiting, now);
        flow_timing_set(&k->executing_timing, FLOW_SCALE_KINDS, (double)k->executing / KC_MAX(limit, 1), now);
}

/* Under the lock: those whose turn it is are told. A level that is gone and empty is forgotten. */
static void serve(struct kc_flow *f, struct flow_level *l, double now)
{
        for (struct kc_flow_ticket *t; (t = flow_level_next(l, now));) {
                l->dispatched++;
                count_kind(t, -1, 1, now);
                flow_metrics_wait_ended(t, true, now);
                flow_metrics_start(t);
                atomic_fetch_add(&t->refs, 1); /* turn() gives it back */
                kc_loop_post(t->loop, turn, t);
        }
        if (is_quiet(l)) {
                KC_CLEANUP(kc_freep) char *name = kc_strdup(l->name);
                if (kc_map_get(f->levels, name) == l)
                        (void)kc_map_remove(f->levels, name);
        }
}

/* Of schemas with a level that is not there nothing is expected; catch-all has one always. */
static struct flow_schema *classify(const struct kc_flow *f, const struct kc_flow_attrs *a, struct flow_level **ret)
{
        for (size_t i = 0; i < f->n_schemas; i++) {
                struct flow_level *l = kc_map_get(f->levels, f->schemas[i]->level);
                if (l && l->configured && flow_schema_matches(f->schemas[i], a)) {
                        *ret = l;
                        return f->schemas[i];
                }
        }
        /* Everybody is in system:authenticated or system:unauthenticated, for which catch-all is: only a user without
         * groups gets here. */
        *ret = kc_map_get(f->levels, "catch-all");
        return f->n_schemas > 0 ? f->schemas[f->n_schemas - 1] : NULL;
}

static uint64_t flow_hash(const struct flow_schema *s, const char *distinguisher)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        kc_buf_add(&b, s->name, strlen(s->name) + 1);
        kc_buf_add(&b, distinguisher, strnlen(distinguisher, FLOW_DISTINGUISHER_MAX));
        return kc_hash_bytes(b.data, b.len);
}

/* The width that a level of that size allows. */
static unsigned widest(const struct flow_level *l)
{
        double seats = ceil(l->nominal * 0.15);
        return (unsigned)KC_MAX(1, KC_MIN((double)FLOW_MAX_SEATS, seats));
}

static struct kc_flow_ticket *ticket_new(struct kc_flow *f, const struct kc_flow_request *r)
{
        struct kc_flow_ticket *t = KC_NEW(struct kc_flow_ticket);
        atomic_init(&t->refs, 1);
        t->flow = f;
        t->loop = r->loop;
        t->on_turn = r->on_turn;
        t->arg = r->arg;
        t->is_watch = r->is_watch;
        t->mutating = r->mutating;
        t->watches = r->watches;
        t->attrs = r->attrs;
        kc_list_init(&t->node);
        return t;
}

enum kc_flow_answer kc_flow_enter(
    struct kc_flow *f, const struct kc_flow_request *r, struct kc_flow_ticket **ret_ticket)
{
        struct kc_flow_ticket *t = ticket_new(f, r);
        const char *why = NULL;
        pthread_mutex_lock(&f->lock);
        double now = now_of(f);
        t->schema = flow_schema_ref(classify(f, &r->attrs, &t->level));
        t->distinguisher = kc_strdup(flow_distinguisher(t->schema, &r->attrs));
        t->hash = flow_hash(t->schema, t->distinguisher);
        t->level_name = kc_strdup(t->level->name);
        t->level_uid = kc_strdup(t->level->uid);
        t->arrived = now;
        t->work = (struct kc_flow_work){.initial_seats = 1};
        r->estimate(widest(t->level), &t->work, r->arg);
        enum kc_flow_answer answer = flow_level_enter(t->level, t, now, &why);
        if (answer != KC_FLOW_REJECT)
                kc_list_push_back(&f->tickets, &t->all_node);
        if (answer == KC_FLOW_EXECUTE) {
                t->level->dispatched++;
                count_kind(t, 0, 1, now);
        } else if (answer == KC_FLOW_WAIT) {
                count_kind(t, 1, 0, now);
                flow_metrics_enqueue(t, t->queue->n_waiting);
                serve(f, t->level, now); /* it may be the one for which there are seats */
        } else {
                t->level->rejected++;
        }
        pthread_mutex_unlock(&f->lock);
        if (answer == KC_FLOW_EXECUTE)
                flow_metrics_start(t);
        else if (answer == KC_FLOW_REJECT)
                flow_metrics_reject(t, why);
        *ret_ticket = t;
        return answer;
}

bool kc_flow_give_up(struct kc_flow_ticket *t)
{
        struct kc_flow *f = t->flow;
        pthread_mutex_lock(&f->lock);
        bool waiting = t->state == FLOW_WAITING;
        if (waiting) {
                double now = now_of(f);
                flow_level_remove(t->level, t, now);
                kc_list_remove(&t->all_node);
                count_kind(t, -1, 0, now);
                flow_metrics_wait_ended(t, false, now);
                t->level->timed_out++;
                flow_metrics_reject(t, "time-out");
                serve(f, t->level, now);
        }
        pthread_mutex_unlock(&f->lock);
        return waiting;
}

/* --- seats that stay taken for a while */

static void release_due(void *arg);

static void arm_release(void *arg)
{
        struct kc_flow *f = arg;
        atomic_store(&f->release_posted, false);
        if (f->release)
                release_due(f);
}

static struct kc_flow_ticket *first_finishing(struct kc_flow *f)
{
        return KC_LIST_FIRST(&f->finishing, struct kc_flow_ticket, node);
}

static void release_due(void *arg)
{
        struct kc_flow *f = arg;
        pthread_mutex_lock(&f->lock);
        double now = now_of(f);
        struct kc_flow_ticket *t;
        while ((t = first_finishing(f)) && t->release_at <= now) {
                kc_list_remove(&t->node);
                kc_list_remove(&t->all_node);
                flow_level_release(t->level, t, now);
                serve(f, t->level, now);
                ticket_unref(t);
        }
        if (t)
                kc_timer_arm(f->release, KC_MAX(1, (int64_t)((t->release_at - now) * KC_SEC)));
        pthread_mutex_unlock(&f->lock);
}

static void release_later(struct kc_flow *f, struct kc_flow_ticket *t, double now)
{
        t->release_at = now + (double)t->work.additional_latency / KC_SEC;
        struct kc_list *at = &f->finishing;
        KC_LIST_FOREACH(&f->finishing, other, struct kc_flow_ticket, node)
        {
                if (other->release_at > t->release_at) {
                        at = &other->node;
                        break;
                }
        }
        kc_list_insert_before(at, &t->node);
        atomic_fetch_add(&t->refs, 1); /* release_due gives it back */
        if (!atomic_exchange(&f->release_posted, true))
                kc_loop_post(f->o.loop, arm_release, f);
}

void kc_flow_leave(struct kc_flow_ticket *take_t)
{
        struct kc_flow_ticket *t = take_t;
        if (!t)
                return;
        struct kc_flow *f = t->flow;
        bool executed = false;
        t->left = true;
        pthread_mutex_lock(&f->lock);
        double now = now_of(f);
        if (t->state == FLOW_WAITING) {
                flow_level_remove(t->level, t, now);
                kc_list_remove(&t->all_node);
                count_kind(t, -1, 0, now);
                flow_metrics_wait_ended(t, false, now);
                t->level->cancelled++;
                flow_metrics_reject(t, "cancelled");
                serve(f, t->level, now);
        } else if (t->state == FLOW_EXECUTING) {
                executed = true;
                count_kind(t, 0, -1, now);
                flow_level_finish(t->level, t, now);
                if (t->work.final_seats > 0 && t->work.additional_latency > 0) {
                        release_later(f, t, now);
                } else {
                        kc_list_remove(&t->all_node);
                        flow_level_release(t->level, t, now);
                }
                serve(f, t->level, now);
        }
        pthread_mutex_unlock(&f->lock);
        if (executed)
                flow_metrics_end(t, now);
        ticket_unref(t);
}

void kc_flow_publish(struct kc_flow *f)
{
        pthread_mutex_lock(&f->lock);
        flow_metrics_publish(f, now_of(f));
        pthread_mutex_unlock(&f->lock);
}

const char *kc_flow_schema_uid(const struct kc_flow_ticket *t)
{
        return t->schema->uid;
}

const char *kc_flow_level_uid(const struct kc_flow_ticket *t)
{
        return t->level_uid;
}

/* --- configuration */

static struct flow_level **all_levels(const struct kc_flow *f, size_t *ret_n)
{
        struct flow_level **v = kc_calloc(kc_map_len(f->levels) + 1, sizeof(struct flow_level *));
        size_t n = 0, it = 0;
        const char *name;
        void *value;
        while (kc_map_next(f->levels, &it, &name, &value))
                v[n++] = value;
        *ret_n = n;
        return v;
}

/* Under the lock: new limits, and what they let in. */
static void adjust(struct kc_flow *f)
{
        double now = now_of(f);
        size_t n;
        KC_CLEANUP(kc_freep) struct flow_level **v = all_levels(f, &n);
        f->fair_fraction = flow_borrow(v, n, now);
        for (size_t i = 0; i < n; i++)
                serve(f, v[i], now);
}

static void drop_schemas(struct kc_flow *f)
{
        for (size_t i = 0; i < f->n_schemas; i++)
                flow_schema_unref(f->schemas[i]);
        kc_free(f->schemas);
        f->schemas = NULL;
        f->n_schemas = 0;
}

static void add_schema(struct kc_flow *f, const struct json_object *obj)
{
        f->schemas = kc_reallocarray(f->schemas, f->n_schemas + 1, sizeof(struct flow_schema *));
        f->schemas[f->n_schemas++] = flow_schema_new(obj);
}

static bool has_name(const struct json_object *list, const char *name)
{
        for (size_t i = 0; i < kc_json_len(list); i++)
                if (kc_streq(kc_meta_name(kc_json_idx(list, i)), name))
                        return true;
        return false;
}

static void set_level(struct kc_flow *f, const struct json_object *obj)
{
        const char *name = kc_meta_name(obj);
        if (!name)
                return;
        struct flow_level *l = kc_map_get(f->levels, name);
        if (!l) {
                l = flow_level_new(name);
                (void)kc_map_set(f->levels, name, l);
        }
        flow_level_configure(l, obj);
}

void kc_flow_configure(struct kc_flow *f, const struct json_object *schemas, const struct json_object *levels)
{
        KC_CLEANUP(kc_json_freep) struct json_object *mandatory = kc_flow_mandatory();
        size_t n;
        pthread_mutex_lock(&f->lock);
        drop_schemas(f);
        KC_CLEANUP(kc_freep) struct flow_level **before = all_levels(f, &n);
        for (size_t i = 0; i < n; i++)
                before[i]->configured = false;
        for (size_t i = 0; i < kc_json_len(schemas); i++)
                add_schema(f, kc_json_idx(schemas, i));
        for (size_t i = 0; i < kc_json_len(levels); i++)
                set_level(f, kc_json_idx(levels, i));
        for (size_t i = 0; i < kc_json_len(mandatory); i++) {
                const struct json_object *obj = kc_json_idx(mandatory, i);
                bool schema = kc_streq(kc_json_str(obj, "kind"), "FlowSchema");
                if (has_name(schema ? schemas : levels, kc_meta_name(obj)))
                        continue;
                if (schema)
                        add_schema(f, obj);
                else
                        set_level(f, obj);
        }
        qsort(f->schemas, f->n_schemas, sizeof(struct flow_schema *), flow_schema_compare);
        KC_CLEANUP(kc_freep) struct flow_level **all = all_levels(f, &n);
        flow_share(all, n, f->o.concurrency);
        adjust(f);
        pthread_mutex_unlock(&f->lock);
}

/* Spelled out here, because they hold before there is an API to read them from. */
struct json_object *kc_flow_mandatory(void)
{
        static const char everybody[] = "{'kind':'Group','group':{'name':'system:unauthenticated'}},"
                                        "{'kind':'Group','group':{'name':'system:authenticated'}}";
        static const char masters[] = "{'kind':'Group','group':{'name':'system:masters'}}";
        static const struct {
                const char *name, *subjects, *distinguisher, *level;
                int precedence;
        } rows[] = {
            {"exempt", masters, "", "{'type':'Exempt','exempt':{'nominalConcurrencyShares':0,'lendablePercent':0}}", 1},
            {"catch-all", everybody, "'distinguisherMethod':{'type':'ByUser'},",
                "{'type':'Limited','limited':{'nominalConcurrencyShares':5,'limitResponse':{'type':'Reject'},"
                "'lendablePercent':0}}",
                10000},
        };
        static const char rules[] =
            "'resourceRules':[{'verbs':['*'],'apiGroups':['*'],'resources':['*'],'clusterScope':true,"
            "'namespaces':['*']}],'nonResourceRules':[{'verbs':['*'],'nonResourceURLs':['*']}]";
        struct json_object *all = json_object_new_array();
        for (size_t i = 0; i < KC_ARRAY_LEN(rows); i++) {
                KC_CLEANUP(kc_freep)
                char *schema =
                    kc_asprintf("{'kind':'FlowSchema','metadata':{'name':%%s},'spec':{'priorityLevelConfiguration':"
                                "{'name':%%s},'matchingPrecedence':%%d,%s'rules':[{'subjects':[%s],%s}]}}",
                        rows[i].distinguisher, rows[i].subjects, rules);
                KC_CLEANUP(kc_freep)
                char *level = kc_asprintf(
                    "{'kind':'PriorityLevelConfiguration','metadata':{'name':%%s},'spec':%s}", rows[i].level);
                kc_json_push(all, kc_json_build(schema, rows[i].name, rows[i].name, rows[i].precedence));
                kc_json_push(all, kc_json_build(level, rows[i].name));
        }
        return all;
}

/* --- life */

static void on_adjust(void *arg)
{
        struct kc_flow *f = arg;
        pthread_mutex_lock(&f->lock);
        adjust(f);
        pthread_mutex_unlock(&f->lock);
        kc_timer_arm(f->adjust, FLOW_ADJUST_PERIOD);
}

static void free_level(void *value)
{
        flow_level_free(value);
}

struct kc_flow *kc_flow_new(const struct kc_flow_opts *o)
{
        struct kc_flow *f = KC_NEW(struct kc_flow);
        f->o = *o;
        pthread_mutex_init(&f->lock, NULL);
        f->levels = kc_map_new(free_level);
        kc_list_init(&f->tickets);
        kc_list_init(&f->finishing);
        f->adjust = kc_timer_new(o->loop, on_adjust, f);
        f->release = kc_timer_new(o->loop, release_due, f);
        flow_metrics_init();
        kc_flow_configure(f, NULL, NULL);
        return f;
}

void kc_flow_start(struct kc_flow *f)
{
        kc_timer_arm(f->adjust, FLOW_ADJUST_PERIOD);
}

void kc_flow_stop(struct kc_flow *f)
{
        kc_timer_free(KC_TAKE(f->adjust));
        kc_timer_free(KC_TAKE(f->release));
}

void kc_flow_free(struct kc_flow *f)
{
        if (!f)
                return;
        for (struct kc_flow_ticket *t; (t = first_finishing(f));) {
                kc_list_remove(&t->node);
                ticket_unref(t);
        }
        drop_schemas(f);
        kc_map_free(f->levels);
        pthread_mutex_destroy(&f->lock);
        kc_free(f);
}
