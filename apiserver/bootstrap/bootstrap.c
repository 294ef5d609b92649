/* The hooks, when they run, and whether they have. The loop arms the timer; the pool does the work. */
#include "bootstrap/bootstrap.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "bootstrap/bootstrap_internal.h"
#include "registry/service_alloc.h"

#define RETRY_MIN (50 * KC_MSEC)
#define RETRY_MAX (5 * KC_SEC)
#define PERIOD (10 * KC_SEC)
#define REPAIR_PERIOD (180 * KC_SEC)

enum hook {
        HOOK_NAMESPACES,
        HOOK_RBAC,
        HOOK_PRIORITY,
        HOOK_FLOW,
        HOOK_SERVICE_CIDR,
        HOOK_IP_REPAIR,
        HOOK_KUBERNETES,
        HOOK_TRUST,
        HOOK_TOKEN_TRACKING,
        N_HOOKS
};

const char *const kc_bootstrap_hooks[] = {
    "start-system-namespaces-controller",
    "rbac/bootstrap-roles",
    "scheduling/bootstrap-system-priority-classes",
    "priority-and-fairness-config-producer",
    "start-kubernetes-service-cidr-controller",
    "start-service-ip-repair-controllers",
    "bootstrap-controller",
    "start-cluster-authentication-info-controller",
    "start-legacy-token-tracking-controller",
    NULL,
};

struct kc_bootstrap {
        struct kc_bootstrap_opts o;
        char *advertise_address, *service_ip;
        struct kc_timer *timer;
        bool done[N_HOOKS];  /* atomic */
        int64_t retry;       /* loop: next delay while a hook has not succeeded */
        kc_mono next_repair; /* worker: of ports */
        bool failed;         /* worker: in the last round */
        bool busy;           /* loop: a round is on the pool */
        bool orphaned;       /* loop: freed meanwhile */
};

static int run_namespaces(struct kc_bootstrap *b, struct kc_error *err)
{
        return boot_namespaces(b->o.registry, err);
}

static int run_rbac(struct kc_bootstrap *b, struct kc_error *err)
{
        return b->o.rbac ? boot_rbac(b->o.registry, err) : 0;
}

static int run_priority(struct kc_bootstrap *b, struct kc_error *err)
{
        return boot_priority_classes(b->o.registry, err);
}

static int run_flow(struct kc_bootstrap *b, struct kc_error *err)
{
        return boot_flowcontrol(b->o.registry, err);
}

static int run_service_cidr(struct kc_bootstrap *b, struct kc_error *err)
{
        return kc_service_alloc_ensure_default(kc_registry_service_alloc(b->o.registry), err);
}

static int run_repair(struct kc_bootstrap *b, struct kc_error *err)
{
        kc_mono now = kc_clock_mono(kc_registry_clock(b->o.registry));
        bool ports = now >= b->next_repair;
        int r = kc_service_alloc_repair(kc_registry_service_alloc(b->o.registry), ports, err);
        if (r == 0 && ports)
                b->next_repair = now + REPAIR_PERIOD;
        return r;
}

static int run_kubernetes(struct kc_bootstrap *b, struct kc_error *err)
{
        return boot_kubernetes_service(&b->o, err);
}

static int run_trust(struct kc_bootstrap *b, struct kc_error *err)
{
        return boot_trust(&b->o, err);
}

static int run_token_tracking(struct kc_bootstrap *b, struct kc_error *err)
{
        return boot_token_tracking(&b->o, err);
}

static const struct {
        int (*run)(struct kc_bootstrap *b, struct kc_error *err);
        bool once; /* else again in every round */
} hooks[N_HOOKS] = {
    [HOOK_NAMESPACES] = {run_namespaces, false},
    [HOOK_RBAC] = {run_rbac, true},
    [HOOK_PRIORITY] = {run_priority, true},
    [HOOK_FLOW] = {run_flow, false},
    [HOOK_SERVICE_CIDR] = {run_service_cidr, false},
    [HOOK_IP_REPAIR] = {run_repair, false},
    [HOOK_KUBERNETES] = {run_kubernetes, false},
    [HOOK_TRUST] = {run_trust, false},
    [HOOK_TOKEN_TRACKING] = {run_token_tracking, false},
};

/* --- rounds */

static void finished(void *arg)
{
        struct kc_bootstrap *b = arg;
        b->busy = false;
        if (b->orphaned) {
                kc_bootstrap_free(b);
                return;
        }
        if (!b->failed) {
                b->retry = RETRY_MIN;
                kc_timer_arm(b->timer, PERIOD);
                return;
        }
        kc_timer_arm(b->timer, b->retry);
        b->retry = KC_MIN(b->retry * 2, RETRY_MAX);
}

static void work(void *arg)
{
        struct kc_bootstrap *b = arg;
        b->failed = false;
        for (int i = 0; i < N_HOOKS; i++) {
                KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
                bool done = __atomic_load_n(&b->done[i], __ATOMIC_ACQUIRE);
                if (done && hooks[i].once)
                        continue;
                if (hooks[i].run(b, &err) == 0) {
                        __atomic_store_n(&b->done[i], true, __ATOMIC_RELEASE);
                        continue;
                }
                b->failed = true;
                kc_log_error(&err, "Hook failed, retrying", "hook", kc_bootstrap_hooks[i]);
        }
        kc_loop_post(b->o.loop, finished, b);
}

static void round_begin(void *arg)
{
        struct kc_bootstrap *b = arg;
        b->busy = kc_pool_submit(b->o.pool, work, b) == 0;
        if (!b->busy)
                kc_timer_arm(b->timer, RETRY_MIN); /* all threads are busy */
}

int kc_bootstrap_new(const struct kc_bootstrap_opts *o, struct kc_bootstrap **ret, struct kc_error *err)
{
        if (kc_str_empty(o->advertise_address) || kc_str_empty(o->service_ip))
                return kc_error_set(err, EINVAL, "an advertise address and a service IP are needed");
        struct kc_bootstrap *b = KC_NEW(struct kc_bootstrap);
        b->o = *o;
        b->advertise_address = kc_strdup(o->advertise_address);
        b->service_ip = kc_strdup(o->service_ip);
        b->o.advertise_address = b->advertise_address;
        b->o.service_ip = b->service_ip;
        b->timer = kc_timer_new(o->loop, round_begin, b);
        b->retry = RETRY_MIN;
        *ret = b;
        return 0;
}

void kc_bootstrap_start(struct kc_bootstrap *b)
{
        round_begin(b);
}

bool kc_bootstrap_done(const struct kc_bootstrap *b, const char *hook)
{
        for (int i = 0; i < N_HOOKS; i++)
                if (strcmp(kc_bootstrap_hooks[i], hook) == 0)
                        return __atomic_load_n(&b->done[i], __ATOMIC_ACQUIRE);
        return false;
}

void kc_bootstrap_leave(struct kc_bootstrap *b)
{
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        if (boot_kubernetes_service_leave(&b->o, &err) < 0)
                kc_log_error(
                    &err, "Cannot take our address out of the kubernetes endpoints, it will run out, ignoring");
}

void kc_bootstrap_free(struct kc_bootstrap *b)
{
        if (!b)
                return;
        kc_timer_free(KC_TAKE(b->timer));
        b->orphaned = b->busy; /* the end of its round, which is still to be told, frees it */
        if (b->busy)
                return;
        kc_free(b->advertise_address);
        kc_free(b->service_ip);
        kc_free(b);
}
