/* Leader election, with client-go's algorithm.
 *
 *   timer on the loop --> attempt on the pool (get, create or update the Lease) --> result posted to the loop --> timer
 *
 * While leading, a second timer runs from the last renewal: at renew_deadline without another, leadership is over,
 * whatever the attempt under way does. State belongs to the loop; what the attempt knows of the record is the
 * attempt's, of which there is one at a time. */
#include "client/leader.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/rand.h"
#include "base/str.h"
#include "client/observe.h"

enum { LEASE_DURATION_MS = 15000, RENEW_DEADLINE_MS = 10000, RETRY_PERIOD_MS = 2000 };
/* client-go's JitterFactor, between the attempts of a candidate. */
#define JITTER_FACTOR 1.2

struct kc_leader {
        struct kc_rest *rest;
        struct kc_pool *pool;
        struct kc_loop *loop;
        char *ns, *name, *identity;
        int lease_duration_ms, renew_deadline_ms, retry_period_ms;
        void (*on_started_leading)(void *arg);
        void (*on_stopped_leading)(void *arg);
        void (*on_new_leader)(const char *identity, void *arg);
        void *arg;
        atomic_int refs;     /* the owner's, and one for each attempt and post */
        atomic_bool leading; /* written on the loop */
        atomic_bool closing;

        /* On the loop. */
        struct kc_timer *retry, *deadline;
        char *reported; /* to on_new_leader */
        bool lost;      /* led once, leads no more: for good */

        /* The attempt's, handed over by the pool and the loop. */
        struct json_object *lease; /* as last seen */
        kc_mono observed;          /* when its spec last changed */
        bool acquired;             /* the attempt's result */
        char *holder;              /* who holds it now */
};

static void unref(struct kc_leader *l)
{
        if (atomic_fetch_sub(&l->refs, 1) != 1)
                return;
        kc_json_free(l->lease);
        kc_free(l->ns);
        kc_free(l->name);
        kc_free(l->identity);
        kc_free(l->reported);
        kc_free(l->holder);
        kc_free(l);
}

/* --- the attempt, on a worker */

static const char *holder_of(const struct json_object *lease)
{
        const char *holder = kc_json_str_at(lease, "spec.holderIdentity");
        return holder ? holder : "";
}

static bool is_mine(const struct kc_leader *l, const struct json_object *lease)
{
        return kc_streq(holder_of(lease), l->identity);
}

static bool is_valid(const struct kc_leader *l)
{
        int64_t seconds = kc_json_int_at(l->lease, "spec.leaseDurationSeconds", 0);
        return l->observed + seconds * KC_SEC > kc_clock_mono(NULL);
}

/* Remembers the record; the time of its holder runs anew when it has changed. */
static void observe(struct kc_leader *l, struct json_object *take_lease)
{
        if (!l->lease || !kc_json_equal(kc_json_get(l->lease, "spec"), kc_json_get(take_lease, "spec")))
                l->observed = kc_clock_mono(NULL);
        kc_json_free(l->lease);
        l->lease = take_lease;
}

/* The record that makes us the holder, on top of old (NULL: none). */
static void set_spec(const struct kc_leader *l, struct json_object *lease, const struct json_object *old)
{
        char now[KC_TIME_LEN];
        kc_time_format_micro(kc_clock_now(NULL), now);
        struct json_object *spec = kc_json_ensure_obj(lease, "spec");
        int64_t transitions = kc_json_int_at(old, "spec.leaseTransitions", 0);
        if (!old || !is_mine(l, old)) {
                kc_json_set_str(spec, "acquireTime", now);
                if (old)
                        transitions++;
        }
        kc_json_set_str(spec, "holderIdentity", l->identity);
        /* A duration below a second is for tests: the field has whole ones. */
        kc_json_set_int(spec, "leaseDurationSeconds", KC_MAX(1, l->lease_duration_ms / 1000));
        kc_json_set_str(spec, "renewTime", now);
        kc_json_set_int(spec, "leaseTransitions", transitions);
}

/* Writes the Lease on top of base; a conflict is an error: somebody else was faster. */
static int write_lease(struct kc_leader *l, const struct json_object *base, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *lease = NULL, *written = NULL;
        int e;
        if (base) {
                lease = kc_json_copy(base);
                set_spec(l, lease, base);
                e = kc_rest_update(l->rest, &KC_LEASES, NULL, lease, &written, err);
        } else {
                lease = kc_json_build("{'kind':'Lease','apiVersion':'coordination.k8s.io/v1',"
                                      "'metadata':{'name':%s,'namespace':%s}}",
                    l->name, l->ns);
                set_spec(l, lease, NULL);
                e = kc_rest_create(l->rest, &KC_LEASES, l->ns, lease, &written, err);
        }
        if (e >= 0)
                observe(l, KC_TAKE(written));
        return e;
}

/* 1: we hold the Lease; 0: somebody else does; negative: could not find out. */
static int try_acquire_or_renew(struct kc_leader *l, struct kc_error *err)
{
        /* While we lead and nobody can have taken it, one request does. */
        if (l->lease && is_mine(l, l->lease) && is_valid(l)) {
                if (write_lease(l, l->lease, err) >= 0)
                        return 1;
                kc_error_done(err);
        }
        struct json_object *current = NULL;
        int e = kc_rest_get(l->rest, &KC_LEASES, l->ns, l->name, &current, err);
        if (e < 0 && kc_error_is(err, KC_REASON_NOT_FOUND)) {
                kc_error_done(err);
                e = write_lease(l, NULL, err);
                return e < 0 ? e : 1;
        }
        if (e < 0)
                return kc_error_wrap(err, "error retrieving resource lock %s/%s", l->ns, l->name);
        observe(l, current);
        if (!kc_str_empty(holder_of(l->lease)) && !is_mine(l, l->lease) && is_valid(l))
                return 0;
        e = write_lease(l, l->lease, err);
        return e < 0 ? kc_error_wrap(err, "failed to update lock %s/%s", l->ns, l->name) : 1;
}

static void on_result(void *arg);

static void attempt(void *arg)
{
        struct kc_leader *l = arg;
        struct kc_error err = KC_ERROR_INIT;
        int e = atomic_load(&l->closing) ? -ECANCELED : try_acquire_or_renew(l, &err);
        l->acquired = e > 0;
        kc_str_set(&l->holder, l->lease ? holder_of(l->lease) : NULL);
        if (e < 0 && !kc_error_is(&err, KC_REASON_CONFLICT) && e != -ECANCELED)
                kc_log_error(&err, "Leader election attempt failed, retrying", "lease", l->name);
        kc_error_done(&err);
        kc_loop_post(l->loop, on_result, l);
}

/* --- on the loop */

static void start_attempt(void *arg)
{
        struct kc_leader *l = arg;
        if (l->lost || atomic_load(&l->closing))
                return;
        atomic_fetch_add(&l->refs, 1);
        if (kc_pool_submit(l->pool, attempt, l) == 0)
                return;
        unref(l);
        kc_timer_arm(l->retry, l->retry_period_ms * KC_MSEC);
}

static void report_leader(struct kc_leader *l)
{
        if (kc_str_empty(l->holder) || kc_streq(l->holder, l->reported))
                return;
        kc_str_set(&l->reported, l->holder);
        kc_log_info("New leader elected", "lease", l->name, "identity", l->holder);
        if (l->on_new_leader)
                l->on_new_leader(l->reported, l->arg);
}

static void set_leading(struct kc_leader *l, bool leading)
{
        atomic_store(&l->leading, leading);
        const struct kc_client_observer *o = kc_client_observer();
        if (o->leader_status)
                o->leader_status(l->name, leading);
}

static void stop_leading(struct kc_leader *l)
{
        kc_timer_disarm(l->deadline);
        kc_timer_disarm(l->retry);
        l->lost = true;
        set_leading(l, false);
        kc_log_warn("Leader election lost", "lease", l->name, "identity", l->identity);
        if (l->on_stopped_leading)
                l->on_stopped_leading(l->arg);
}

static void on_deadline(void *arg)
{
        stop_leading(arg);
}

static void on_result(void *arg)
{
        struct kc_leader *l = arg;
        if (atomic_load(&l->closing) || l->lost) {
                unref(l);
                return;
        }
        int64_t period = l->retry_period_ms * KC_MSEC;
        bool was = atomic_load(&l->leading);
        if (l->acquired) {
                kc_timer_arm(l->deadline, l->renew_deadline_ms * KC_MSEC);
                kc_timer_arm(l->retry, period);
        } else {
                kc_timer_arm(l->retry, was ? period : kc_jitter(period, JITTER_FACTOR));
        }
        report_leader(l);
        if (l->acquired && !was) {
                kc_log_info("Successfully acquired lease", "lease", l->name, "identity", l->identity);
                set_leading(l, true);
                if (l->on_started_leading)
                        l->on_started_leading(l->arg);
        }
        unref(l);
}

/* --- life */

static char *default_identity(void)
{
        char host[256], uuid[KC_UUID_LEN];
        if (gethostname(host, sizeof(host)) < 0)
                return kc_strdup(kc_uuid4(uuid));
        host[sizeof(host) - 1] = '\0';
        return kc_asprintf("%s_%s", host, kc_uuid4(uuid));
}

static int check(const struct kc_leader *l, struct kc_error *err)
{
        if (l->lease_duration_ms <= l->renew_deadline_ms)
                return kc_error_set(err, EINVAL, "leaseDuration must be greater than renewDeadline");
        if (l->renew_deadline_ms <= (int)(JITTER_FACTOR * l->retry_period_ms))
                return kc_error_set(err, EINVAL, "renewDeadline must be greater than retryPeriod*JitterFactor");
        if (l->retry_period_ms < 1)
                return kc_error_set(err, EINVAL, "retryPeriod must be greater than zero");
        return 0;
}

int kc_leader_new(struct kc_rest *rest, struct kc_pool *pool, const struct kc_leader_opts *o, struct kc_leader **ret,
    struct kc_error *err)
{
        KC_CLEANUP(kc_leader_freep) struct kc_leader *l = KC_NEW(struct kc_leader);
        atomic_init(&l->refs, 1);
        atomic_init(&l->leading, false);
        atomic_init(&l->closing, false);
        l->rest = rest;
        l->pool = pool;
        l->loop = kc_rest_loop(rest);
        l->ns = kc_strdup(o->lease_namespace);
        l->name = kc_strdup(o->lease_name);
        l->identity = kc_str_empty(o->identity) ? default_identity() : kc_strdup(o->identity);
        l->lease_duration_ms = o->lease_duration_ms ? o->lease_duration_ms : LEASE_DURATION_MS;
        l->renew_deadline_ms = o->renew_deadline_ms ? o->renew_deadline_ms : RENEW_DEADLINE_MS;
        l->retry_period_ms = o->retry_period_ms ? o->retry_period_ms : RETRY_PERIOD_MS;
        l->on_started_leading = o->on_started_leading;
        l->on_stopped_leading = o->on_stopped_leading;
        l->on_new_leader = o->on_new_leader;
        l->arg = o->arg;
        int e = check(l, err);
        if (e < 0)
                return e;
        l->retry = kc_timer_new(l->loop, start_attempt, l);
        l->deadline = kc_timer_new(l->loop, on_deadline, l);
        *ret = KC_TAKE(l);
        return 0;
}

void kc_leader_start(struct kc_leader *l)
{
        kc_log_info("Attempting to acquire leader lease...", "lease", l->name, "identity", l->identity);
        set_leading(l, false);
        start_attempt(l);
}

/* One go at giving the Lease up: what an attempt under way writes at the same time is a conflict. */
static int release_once(struct kc_leader *l, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *lease = NULL;
        int e = kc_rest_get(l->rest, &KC_LEASES, l->ns, l->name, &lease, err);
        if (e < 0 || !is_mine(l, lease))
                return e;
        char now[KC_TIME_LEN];
        kc_time_format_micro(kc_clock_now(NULL), now);
        struct json_object *spec = kc_json_ensure_obj(lease, "spec");
        kc_json_set_str(spec, "holderIdentity", "");
        kc_json_set_int(spec, "leaseDurationSeconds", 1);
        kc_json_set_str(spec, "renewTime", now);
        kc_json_set_str(spec, "acquireTime", now);
        return kc_rest_update(l->rest, &KC_LEASES, NULL, lease, NULL, err);
}

void kc_leader_release(struct kc_leader *l)
{
        enum { TRIES = 3 };
        atomic_store(&l->closing, true);
        atomic_store(&l->leading, false);
        for (int i = 0; i < TRIES; i++) {
                struct kc_error err = KC_ERROR_INIT;
                int e = release_once(l, &err);
                bool again = e < 0 && kc_error_is(&err, KC_REASON_CONFLICT) && i + 1 < TRIES;
                if (e < 0 && !again)
                        kc_log_error(&err, "Failed to release lock, ignoring", "lease", l->name);
                kc_error_done(&err);
                if (!again)
                        return;
        }
}

bool kc_leader_is_leader(const struct kc_leader *l)
{
        return atomic_load(&l->leading);
}

void kc_leader_free(struct kc_leader *l)
{
        if (!l)
                return;
        atomic_store(&l->closing, true);
        kc_timer_free(l->retry);
        kc_timer_free(l->deadline);
        l->retry = l->deadline = NULL;
        unref(l);
}
