/* Container actions from spec and state. Pure: any thread. */
#include "kubelet/runtime/actions.h"

#include "api/object.h"
#include "base/mem.h"
#include "base/str.h"
#include "kubelet/pod/pod.h"
#include "kubelet/pod/resize.h"

struct compute {
        const struct json_object *pod;
        const struct kc_pod_runtime *rt;
        const char *sandbox_id; /* the current one */
        kc_probe_result_fn probe;
        void *probe_arg;
        char *const *restart_anyway;
        const struct json_object *actuated;
        struct kc_actions *a;
};

static void add_start(struct kc_actions *a, const struct json_object *container)
{
        a->start = kc_reallocarray(a->start, a->n_start + 1, sizeof(*a->start));
        a->start[a->n_start++] = container;
}

static void add_kill(
    struct kc_actions *a, const struct kc_rt_container *c, enum kc_kill_reason reason, char *take_message, bool restart)
{
        a->kill = kc_reallocarray(a->kill, a->n_kill + 1, sizeof(*a->kill));
        a->kill[a->n_kill++] =
            (struct kc_kill){.container = c, .reason = reason, .message = take_message, .restart = restart};
}

void kc_actions_done(struct kc_actions *a)
{
        for (size_t i = 0; i < a->n_kill; i++)
                kc_free(a->kill[i].message);
        kc_free(a->kill);
        kc_free(a->start);
        *a = (struct kc_actions){0};
}

static const char *restart_policy(const struct json_object *pod)
{
        return kc_json_str_at(pod, "spec.restartPolicy") ?: "Always";
}

/* restartPolicyRules: the first rule whose exit codes match decides; true if one did. */
static bool rules_decide(const struct json_object *container, int exit_code, bool *ret_restart)
{
        const struct json_object *rules = kc_json_get(container, "restartPolicyRules");
        for (size_t i = 0; i < kc_json_len(rules); i++) {
                const struct json_object *rule = kc_json_idx(rules, i);
                const struct json_object *codes = kc_json_get(rule, "exitCodes");
                const struct json_object *values = kc_json_get(codes, "values");
                bool in = false;
                for (size_t v = 0; v < kc_json_len(values); v++)
                        in |= json_object_get_int64((struct json_object *)kc_json_idx(values, v)) == exit_code;
                if (!codes || in == kc_streq(kc_json_str(codes, "operator"), "NotIn"))
                        continue;
                *ret_restart = kc_streq(kc_json_str(rule, "action"), "Restart");
                return true;
        }
        return false;
}

bool kc_container_should_start(
    const struct json_object *pod, const struct json_object *container, const struct kc_rt_container *status)
{
        if (kc_meta_deleting(pod))
                return false;
        if (!status)
                return true;
        if (status->state == KC_STATE_RUNNING)
                return false;
        if (status->state == KC_STATE_UNKNOWN || status->state == KC_STATE_CREATED)
                return true;
        bool restart;
        if (rules_decide(container, status->exit_code, &restart))
                return restart;
        const char *policy = kc_json_str(container, "restartPolicy") ?: restart_policy(pod);
        if (kc_streq(policy, "Never"))
                return false;
        return !kc_streq(policy, "OnFailure") || status->exit_code != 0;
}

/* The newest instance of that name in the current sandbox. */
static const struct kc_rt_container *active(const struct compute *c, const char *name)
{
        for (size_t i = 0; c->rt && i < c->rt->n_containers; i++) {
                const struct kc_rt_container *s = &c->rt->containers[i];
                if (kc_streq(s->name, name))
                        return kc_streq(s->sandbox_id, c->sandbox_id) ? s : NULL;
        }
        return NULL;
}

static enum kc_probe_result probe(const struct compute *c, enum kc_probe_kind kind, const struct kc_rt_container *s)
{
        return c->probe ? c->probe(c->probe_arg, kind, s->id) : KC_PROBE_UNKNOWN;
}

/* Does the pod need another sandbox than the one it has? */
static bool sandbox_changed(const struct json_object *pod, const struct kc_pod_runtime *rt, uint32_t *ret_attempt)
{
        *ret_attempt = 0;
        if (!rt || rt->n_sandboxes == 0)
                return true;
        const struct kc_rt_sandbox *newest = &rt->sandboxes[0];
        *ret_attempt = newest->attempt + 1;
        size_t ready = 0;
        for (size_t i = 0; i < rt->n_sandboxes; i++)
                ready += rt->sandboxes[i].ready;
        if (ready > 1 || !newest->ready)
                return true;
        bool host = kc_pod_is_host_network(pod);
        if (newest->host_network != host)
                return true;
        return !host && kc_strv_len(newest->ips) == 0;
}

static bool any_app_container_ran(const struct compute *c, bool only_active)
{
        const struct json_object *list = kc_json_at(c->pod, "spec.containers");
        for (size_t i = 0; i < kc_json_len(list); i++) {
                const char *name = kc_json_str(kc_json_idx(list, i), "name");
                const struct kc_rt_container *s = only_active ? active(c, name) : kc_pod_runtime_container(c->rt, name);
                if (s && s->state != KC_STATE_UNKNOWN)
                        return true;
        }
        return false;
}

/* Starting over in a new sandbox: what of the pod is still to be run? */
static void compute_new_sandbox(struct compute *c)
{
        struct kc_actions *a = c->a;
        const struct json_object *apps = kc_json_at(c->pod, "spec.containers");
        const struct json_object *inits = kc_json_at(c->pod, "spec.initContainers");
        bool own_policy = false;
        a->kill_pod = a->create_sandbox = true;
        for (size_t i = 0; i < kc_json_len(apps); i++) {
                const struct json_object *container = kc_json_idx(apps, i);
                const struct kc_rt_container *s = kc_pod_runtime_container(c->rt, kc_json_str(container, "name"));
                own_policy |= kc_json_get(container, "restartPolicy") != NULL;
                if (!s || s->state != KC_STATE_EXITED || kc_container_should_start(c->pod, container, s))
                        add_start(a, container);
        }
        /* With policy Never a pod that has run does not start over, not even what had not run yet. */
        bool ran_once =
            kc_streq(restart_policy(c->pod), "Never") && !own_policy && a->attempt != 0 && c->rt->n_containers > 0;
        if (ran_once || kc_meta_deleting(c->pod) || (a->n_start == 0 && any_app_container_ran(c, false))) {
                a->create_sandbox = false;
                a->n_start = 0;
                return;
        }
        if (kc_json_len(inits) > 0) {
                a->n_start = 0;
                add_start(a, kc_json_idx(inits, 0));
        }
}

/* A sidecar that runs: may the next init container go on? Kills it when a probe says so. */
static bool sidecar_done(struct compute *c, const struct json_object *container, const struct kc_rt_container *s)
{
        const char *name = kc_json_str(container, "name");
        if (s->has_hash && s->hash != kc_container_hash(container)) {
                add_kill(c->a, s, KC_KILL_CHANGED,
                    kc_asprintf("Init container %s definition changed, will be restarted", name), true);
                return true;
        }
        const struct json_object *has = kc_json_get(c->actuated, name);
        if (has && kc_resize_needs_restart(container, has)) {
                add_kill(c->a, s, KC_KILL_CHANGED,
                    kc_asprintf("Init container %s resize requires restart, will be restarted", name), true);
                return true;
        }
        if (kc_json_get(container, "startupProbe")) {
                enum kc_probe_result startup = probe(c, KC_PROBE_STARTUP, s);
                if (startup == KC_PROBE_FAILURE)
                        add_kill(c->a, s, KC_KILL_STARTUP, kc_asprintf("Init container %s failed startup probe", name),
                            true);
                if (startup != KC_PROBE_SUCCESS)
                        return false;
        }
        if (probe(c, KC_PROBE_LIVENESS, s) == KC_PROBE_FAILURE)
                add_kill(c->a, s, KC_KILL_LIVENESS, kc_asprintf("Init container %s failed liveness probe", name), true);
        return true;
}

/* Sidecars before the init container at hand, or all of an initialized pod: start what has ended. */
static void keep_sidecar(struct compute *c, const struct json_object *container)
{
        const struct kc_rt_container *s = active(c, kc_json_str(container, "name"));
        if (s && s->state == KC_STATE_RUNNING)
                (void)sidecar_done(c, container, s);
        else
                add_start(c->a, container);
}

/* The init container that was started last decides: true when the one after it may start. */
static bool last_init_done(struct compute *c, const struct json_object *container, const struct kc_rt_container *s)
{
        if (s->state == KC_STATE_RUNNING)
                return kc_container_is_sidecar(container) && sidecar_done(c, container, s);
        if (kc_container_is_sidecar(container) || s->state != KC_STATE_EXITED) {
                add_start(c->a, container);
                return false;
        }
        if (s->exit_code == 0)
                return true;
        if (kc_container_should_start(c->pod, container, s))
                add_start(c->a, container);
        else
                c->a->kill_pod = true;
        return false;
}

/* True when all init containers are through (sidecars: started). */
static bool compute_init(struct compute *c)
{
        const struct json_object *inits = kc_json_at(c->pod, "spec.initContainers");
        size_t n = kc_json_len(inits);
        if (n == 0)
                return true;
        bool initialized = any_app_container_ran(c, true);
        size_t last = n;
        for (size_t i = n; !initialized && i-- > 0;) {
                if (active(c, kc_json_str(kc_json_idx(inits, i), "name"))) {
                        last = i;
                        break;
                }
        }
        if (!initialized && last == n) {
                add_start(c->a, kc_json_idx(inits, 0));
                return false;
        }
        for (size_t i = 0; i < (initialized ? n : last); i++)
                if (kc_container_is_sidecar(kc_json_idx(inits, i)))
                        keep_sidecar(c, kc_json_idx(inits, i));
        if (initialized)
                return true;
        const struct json_object *container = kc_json_idx(inits, last);
        if (!last_init_done(c, container, active(c, kc_json_str(container, "name"))))
                return false;
        if (last + 1 == n)
                return true;
        add_start(c->a, kc_json_idx(inits, last + 1));
        return false;
}

/* One app container. True if it is (or will be) there. */
static bool compute_app(struct compute *c, const struct json_object *container)
{
        const char *name = kc_json_str(container, "name");
        const struct kc_rt_container *s = kc_pod_runtime_container(c->rt, name);
        if (!s || s->state != KC_STATE_RUNNING) {
                bool start = kc_container_should_start(c->pod, container, s) ||
                             (kc_strv_has(c->restart_anyway, name) && !kc_meta_deleting(c->pod));
                if (!start)
                        return false;
                if (s && s->state == KC_STATE_UNKNOWN)
                        add_kill(c->a, s, KC_KILL_UNKNOWN,
                            kc_strdup("Container is in \"Unknown\" state, try killing it before restart"), true);
                add_start(c->a, container);
                return true;
        }
        bool restart = !kc_streq(kc_json_str(container, "restartPolicy") ?: restart_policy(c->pod), "Never");
        enum kc_kill_reason reason;
        const char *why;
        const struct json_object *has = kc_json_get(c->actuated, name);
        if (s->has_hash && s->hash != kc_container_hash(container)) {
                reason = KC_KILL_CHANGED;
                why = "definition changed";
                restart = true;
        } else if (has && kc_resize_needs_restart(container, has)) {
                reason = KC_KILL_CHANGED;
                why = "resize requires restart";
                restart = true;
        } else if (probe(c, KC_PROBE_LIVENESS, s) == KC_PROBE_FAILURE) {
                reason = KC_KILL_LIVENESS;
                why = "failed liveness probe";
        } else if (probe(c, KC_PROBE_STARTUP, s) == KC_PROBE_FAILURE) {
                reason = KC_KILL_STARTUP;
                why = "failed startup probe";
        } else {
                return true;
        }
        add_kill(c->a, s, reason, kc_asprintf("Container %s %s%s", name, why, restart ? ", will be restarted" : ""),
            restart);
        return restart;
}

static void compute_ephemeral(struct compute *c)
{
        const struct json_object *list = kc_json_at(c->pod, "spec.ephemeralContainers");
        for (size_t i = 0; i < kc_json_len(list); i++)
                if (!kc_pod_runtime_container(c->rt, kc_json_str(kc_json_idx(list, i), "name")))
                        add_start(c->a, kc_json_idx(list, i));
}

void kc_actions_compute(const struct json_object *pod, const struct kc_pod_runtime *rt, kc_probe_result_fn probe_fn,
    void *probe_arg, char *const *restart_anyway, const struct json_object *actuated, struct kc_actions *ret)
{
        *ret = (struct kc_actions){0};
        struct compute c = {.pod = pod,
            .rt = rt,
            .probe = probe_fn,
            .probe_arg = probe_arg,
            .restart_anyway = restart_anyway,
            .actuated = actuated,
            .a = ret};
        if (sandbox_changed(pod, rt, &ret->attempt)) {
                compute_new_sandbox(&c);
                return;
        }
        ret->attempt = rt->sandboxes[0].attempt;
        c.sandbox_id = rt->sandboxes[0].id;
        compute_ephemeral(&c);
        if (!compute_init(&c) || ret->kill_pod) {
                if (ret->kill_pod)
                        ret->n_start = 0;
                return;
        }
        const struct json_object *apps = kc_json_at(pod, "spec.containers");
        size_t there = 0;
        for (size_t i = 0; i < kc_json_len(apps); i++)
                there += compute_app(&c, kc_json_idx(apps, i));
        /* Ended for good: sidecars go, too. */
        if (there == 0) {
                ret->kill_pod = true;
                ret->n_start = 0;
        }
}
