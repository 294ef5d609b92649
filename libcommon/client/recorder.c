/* The event recorder: a bounded queue, emptied by one task at a time on the pool.
 *
 *   any thread --event--> queue --> task: correlate, create or patch
 *                          ^ back when the server cannot be reached: the loop's timer starts the task again */
#include "client/recorder.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/rand.h"
#include "base/str.h"
#include "client/correlator.h"

enum { MAX_QUEUED = 1000, MAX_TRIES = 12 };
#define RETRY_AFTER (10 * KC_SEC)

struct pending {
        struct kc_list node;
        struct json_object *event;
        struct json_object *patch; /* after correlation; NULL: create */
        bool correlated;
        int tries;
};

struct kc_recorder {
        struct kc_rest *rest;
        struct kc_pool *pool;
        char *component, *host;
        atomic_int refs; /* the owner's; one for the task, one for each post */
        pthread_mutex_t lock;
        /* guarded by lock: */
        struct kc_list queue; /* of struct pending */
        size_t queued, dropped;
        bool busy;    /* the task is submitted, or waits for the timer */
        bool closing; /* freed by its owner */
        /* The task's own. */
        struct kc_correlator *correlator;
        /* On the loop. */
        struct kc_timer *timer;
};

static void submit(struct kc_recorder *r);

static void pending_free(struct pending *p)
{
        kc_json_free(p->event);
        kc_json_free(p->patch);
        kc_free(p);
}

static void unref(struct kc_recorder *r)
{
        if (atomic_fetch_sub(&r->refs, 1) != 1)
                return;
        KC_LIST_FOREACH(&r->queue, p, struct pending, node)
        {
                kc_list_remove(&p->node);
                pending_free(p);
        }
        kc_correlator_free(r->correlator);
        pthread_mutex_destroy(&r->lock);
        kc_free(r->component);
        kc_free(r->host);
        kc_free(r);
}

static void on_timer(void *arg)
{
        submit(arg);
}

static void arm_timer(void *arg)
{
        struct kc_recorder *r = arg;
        if (r->timer)
                kc_timer_arm(r->timer, kc_jitter(RETRY_AFTER, 0.2));
        unref(r);
}

/* The task later again, from the loop. */
static void later(struct kc_recorder *r)
{
        atomic_fetch_add(&r->refs, 1);
        kc_loop_post(kc_rest_loop(r->rest), arm_timer, r);
}

/* Another try will not help: the server has answered, or there is none any more. */
static bool is_final(const struct kc_error *err)
{
        return err->code != 0 || err->errnum == ECANCELED;
}

/* 0, or the error; the server's refusals are logged here. */
static int send_one(struct kc_recorder *r, const struct pending *p, struct kc_error *err)
{
        const char *ns = kc_meta_namespace(p->event), *name = kc_meta_name(p->event);
        int e = -ENOENT;
        if (p->patch) {
                e = kc_rest_patch(r->rest, &KC_EVENTS, ns, name, NULL, KC_PATCH_STRATEGIC, p->patch, NULL, err);
                if (e < 0 && !kc_error_is(err, KC_REASON_NOT_FOUND))
                        return e;
        }
        if (e < 0) {
                kc_error_done(err);
                e = kc_rest_create(r->rest, &KC_EVENTS, ns, p->event, NULL, err);
        }
        return e;
}

/* True when p is done with; false: to be tried again. */
static bool process(struct kc_recorder *r, struct pending *p)
{
        if (!p->correlated) {
                p->correlated = true;
                if (!kc_correlator_observe(r->correlator, p->event, kc_clock_now(NULL), kc_clock_mono(NULL), &p->patch))
                        return true;
        }
        struct kc_error err = KC_ERROR_INIT;
        int e = send_one(r, p, &err);
        bool done = e >= 0 || is_final(&err) || ++p->tries >= MAX_TRIES;
        if (e < 0 && err.code != 0)
                kc_log_error(&err, "Server rejected event, ignoring", "event", kc_meta_name(p->event));
        else if (e < 0 && done && err.errnum != ECANCELED)
                kc_log_error(
                    &err, "Unable to write event (retry limit exceeded), ignoring", "event", kc_meta_name(p->event));
        else if (e < 0 && p->tries == 1)
                kc_log_error(&err, "Unable to write event, retrying", "event", kc_meta_name(p->event));
        kc_error_done(&err);
        return done;
}

static struct pending *pop(struct kc_recorder *r)
{
        pthread_mutex_lock(&r->lock);
        struct pending *p = r->closing ? NULL : KC_LIST_FIRST(&r->queue, struct pending, node);
        if (p) {
                kc_list_remove(&p->node);
                r->queued--;
        } else {
                r->busy = false;
        }
        size_t dropped = p ? r->dropped : 0;
        if (p)
                r->dropped = 0;
        pthread_mutex_unlock(&r->lock);
        if (dropped > 0)
                kc_log_warn("Too many events at a time, dropped some", "count", kc_log_i64((long long)dropped));
        return p;
}

static void task(void *arg)
{
        struct kc_recorder *r = arg;
        struct pending *p;
        while ((p = pop(r))) {
                if (process(r, p)) {
                        pending_free(p);
                        continue;
                }
                pthread_mutex_lock(&r->lock);
                kc_list_push_front(&r->queue, &p->node);
                r->queued++;
                pthread_mutex_unlock(&r->lock);
                later(r);
                break;
        }
        unref(r);
}

static void submit(struct kc_recorder *r)
{
        atomic_fetch_add(&r->refs, 1);
        if (kc_pool_submit(r->pool, task, r) == 0)
                return;
        later(r); /* the pool is full */
        unref(r);
}

struct kc_recorder *kc_recorder_new(struct kc_rest *rest, struct kc_pool *pool, const char *component, const char *host)
{
        struct kc_recorder *r = KC_NEW(struct kc_recorder);
        r->rest = rest;
        r->pool = pool;
        r->component = kc_strdup(component);
        r->host = kc_strdup(host);
        atomic_init(&r->refs, 1);
        pthread_mutex_init(&r->lock, NULL);
        kc_list_init(&r->queue);
        r->correlator = kc_correlator_new();
        r->timer = kc_timer_new(kc_rest_loop(rest), on_timer, r);
        return r;
}

void kc_recorder_free(struct kc_recorder *r)
{
        if (!r)
                return;
        pthread_mutex_lock(&r->lock);
        r->closing = true;
        pthread_mutex_unlock(&r->lock);
        struct kc_timer *timer = KC_TAKE(r->timer);
        kc_timer_free(timer);
        unref(r);
}

/* A core v1 Event, as client-go's makeEvent. */
static struct json_object *make_event(const struct kc_recorder *r, const struct kc_gvr *g,
    const struct json_object *obj, const char *field_path, const char *type, const char *reason, const char *message)
{
        char timestamp[KC_TIME_LEN];
        kc_time now = kc_clock_now(NULL);
        kc_time_format(now, timestamp);
        const char *name = kc_meta_name(obj), *ns = kc_meta_namespace(obj);
        /* Nanoseconds; the clock's microseconds are filled up so that two events of one object get two names. */
        uint64_t nanos = (uint64_t)now * 1000 + kc_rand_below(1000);
        KC_CLEANUP(kc_freep) char *event_name = kc_asprintf("%s.%" PRIx64, name ? name : "", nanos);
        KC_CLEANUP(kc_freep) char *api_version = kc_gvr_api_version(g);
        struct json_object *event =
            kc_json_build("{'kind':'Event','apiVersion':'v1','metadata':{'name':%s,'namespace':%s},"
                          "'involvedObject':{'kind':%s},'reason':%s,'message':%s,'source':{'component':%s},"
                          "'firstTimestamp':%s,'lastTimestamp':%s,'count':1,'type':%s,'eventTime':null,"
                          "'reportingComponent':%s,'reportingInstance':%s}",
                event_name, ns ? ns : "default", g->kind, reason, message, r->component, timestamp, timestamp, type,
                r->component, r->host ? r->host : "");
        struct json_object *involved = kc_json_get_mut(event, "involvedObject");
        kc_json_set_str(involved, "namespace", ns);
        kc_json_set_str(involved, "name", name);
        kc_json_set_str(involved, "uid", kc_meta_uid(obj));
        kc_json_set_str(involved, "apiVersion", api_version);
        kc_json_set_str(involved, "resourceVersion", kc_meta_resource_version(obj));
        kc_json_set_str(involved, "fieldPath", field_path);
        if (!kc_str_empty(r->host))
                kc_json_set_str(kc_json_get_mut(event, "source"), "host", r->host);
        return event;
}

static void record(struct kc_recorder *r, const struct kc_gvr *g, const struct json_object *obj, const char *field_path,
    const char *type, const char *reason, const char *fmt, va_list ap)
{
        KC_CLEANUP(kc_freep) char *message = kc_vasprintf(fmt, ap);
        kc_log_v(3, "Event occurred", "object", kc_meta_name(obj), "fieldPath", field_path, "kind", g->kind, "type",
            type, "reason", reason, "message", message);
        struct pending *p = KC_NEW(struct pending);
        p->event = make_event(r, g, obj, field_path, type, reason, message);
        bool full, start = false;
        pthread_mutex_lock(&r->lock);
        full = r->queued >= MAX_QUEUED || r->closing;
        if (full) {
                r->dropped++;
        } else {
                kc_list_push_back(&r->queue, &p->node);
                r->queued++;
                start = !r->busy;
                r->busy = true;
        }
        pthread_mutex_unlock(&r->lock);
        if (full)
                pending_free(p);
        else if (start)
                submit(r);
}

void kc_recorder_event(struct kc_recorder *r, const struct kc_gvr *g, const struct json_object *obj, const char *type,
    const char *reason, const char *fmt, ...)
{
        va_list ap;
        va_start(ap, fmt);
        record(r, g, obj, NULL, type, reason, fmt, ap);
        va_end(ap);
}

void kc_recorder_event_at(struct kc_recorder *r, const struct kc_gvr *g, const struct json_object *obj,
    const char *field_path, const char *type, const char *reason, const char *fmt, ...)
{
        va_list ap;
        va_start(ap, fmt);
        record(r, g, obj, field_path, type, reason, fmt, ap);
        va_end(ap);
}
