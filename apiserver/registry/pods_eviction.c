/* pods/eviction: a deletion that asks disruption budgets first. Worker threads. */
#include <errno.h>
#include <string.h>

#include "api/object.h"
#include "api/selector.h"
#include "base/str.h"
#include "registry/pods_internal.h"

#define GROUP "policy"
#define BUDGETS "poddisruptionbudgets"
#define VIOLATED "Cannot evict pod as it would violate the pod's disruption budget."

enum { ATTEMPTS = 20, MAX_DISRUPTED = 2000, RETRY_AFTER_S = 10 };

struct eviction {
        const struct kc_registry_ctx *c;
        struct kc_registry_ctx sub; /* for calls of our own: may be a dry run though c is none */
        const struct json_object *options;
        const char *uid, *resource_version; /* preconditions of the request; NULL: none */
        struct kc_object *pod;              /* as it is in the store */
};

/* --- what the pod is like */

static bool has_phase(const struct json_object *pod, const char *phase)
{
        return kc_streq(kc_json_str_at(pod, "status.phase"), phase);
}

/* Its end is no disruption: it serves nobody, or is about to end anyway. */
static bool can_ignore_budgets(const struct json_object *pod)
{
        return kc_pod_is_terminal(pod) || has_phase(pod, "Pending") || kc_meta_deleting(pod);
}

/* --- marking and deleting */

struct mark {
        const char *resource_version; /* precondition; NULL: none */
};

static int modified(const struct mark *m, const struct json_object *pod, struct kc_error *err)
{
        KC_CLEANUP(kc_freep)
        char *why = kc_asprintf("the ResourceVersion in the precondition (%s) does not match the ResourceVersion in "
                                "record (%s). The object might have been modified",
            m->resource_version, kc_meta_resource_version(pod));
        return kc_err_conflict(err, "", "Pod", kc_meta_name(pod), why);
}

static int mark_evicted(struct kc_registry_ctx *c, const struct kc_object *current, struct json_object **ret, void *arg,
    struct kc_error *err)
{
        const struct mark *m = arg;
        struct json_object *pod;

        if (m->resource_version && !kc_streq(m->resource_version, kc_object_resource_version(current)))
                return modified(m, kc_object_json(current), err);
        pod = kc_object_copy_json(current);
        if (!kc_condition_set(kc_json_ensure_obj(pod, "status"), "DisruptionTarget", "True", "EvictionByEvictionAPI",
                "Eviction API: evicting", c->now)) {
                kc_json_free(pod);
                return -EALREADY;
        }
        *ret = pod;
        return 0;
}

/* resource_version: a precondition, or NULL. */
static int mark_and_delete(struct eviction *e, const char *resource_version, struct kc_error *err)
{
        struct mark m = {.resource_version = resource_version};
        KC_CLEANUP(kc_object_unrefp) struct kc_object *marked = NULL;
        struct kc_registry_ctx del = e->sub;
        int r = 0;

        if (!e->sub.dry_run) {
                const struct kc_registry_update_opts o = {
                    .transform = mark_evicted, .arg = &m, .uid = e->uid, .no_admission = true};
                r = kc_registry_update(&e->sub, &o, &marked, NULL, err);
        }
        if (r < 0)
                return r;
        del.subresource = "";
        struct kc_delete_request d = {
            .grace_period_seconds = kc_json_int(e->options, "gracePeriodSeconds", -1),
            .propagation = kc_json_str(e->options, "propagationPolicy"),
            .uid = e->uid,
            /* It is we who have modified it since. */
            .resource_version = resource_version && marked ? kc_object_resource_version(marked) : resource_version,
            .options = e->options,
        };
        return kc_registry_delete(&del, &d, NULL, NULL, err);
}

/* --- budgets */

static int still_processing(const char *budget, struct kc_error *err)
{
        KC_CLEANUP(kc_freep)
        char *cause = kc_asprintf("The disruption budget %s is still being processed by the server.", budget);
        int r = kc_err_too_many_requests(err, VIOLATED, RETRY_AFTER_S);
        if (err)
                kc_error_add_cause(err, "DisruptionBudget", NULL, cause);
        return r;
}

static int nothing_left(const struct json_object *pdb, struct kc_error *err)
{
        KC_CLEANUP(kc_freep)
        char *cause = kc_asprintf("The disruption budget %s needs %lld healthy pods and has %lld currently",
            kc_meta_name(pdb), (long long)kc_json_int_at(pdb, "status.desiredHealthy", 0),
            (long long)kc_json_int_at(pdb, "status.currentHealthy", 0));
        int r = kc_err_too_many_requests(err, VIOLATED, 0);
        if (err)
                kc_error_add_cause(err, "DisruptionBudget", NULL, cause);
        return r;
}

static int check_budget(const struct json_object *pdb, struct kc_error *err)
{
        int64_t allowed = kc_json_int_at(pdb, "status.disruptionsAllowed", 0);

        if (kc_json_int_at(pdb, "status.observedGeneration", 0) < kc_meta_generation(pdb))
                return still_processing(kc_meta_name(pdb), err);
        if (allowed < 0)
                return kc_err_forbidden(
                    err, GROUP, "poddisruptionbudget", kc_meta_name(pdb), "pdb disruptions allowed is negative");
        if (kc_json_n_keys(kc_json_at(pdb, "status.disruptedPods")) > MAX_DISRUPTED)
                return kc_err_forbidden(err, GROUP, "poddisruptionbudget", kc_meta_name(pdb),
                    "DisruptedPods map too big - too many evictions not confirmed by PDB controller");
        return allowed == 0 ? nothing_left(pdb, err) : 0;
}

/* A transform: takes one disruption of the budget as it is now and notes for whom, so that the controller does not
 * count the pod as healthy any more before it sees it being deleted. */
static int take_disruption(struct kc_registry_ctx *c, const struct kc_object *current, struct json_object **ret,
    void *arg, struct kc_error *err)
{
        const struct eviction *e = arg;
        char now[KC_TIME_LEN];
        int r;

        if (!current)
                return kc_err_not_found(err, GROUP, BUDGETS, c->name);
        r = check_budget(kc_object_json(current), err);
        if (r < 0)
                return r;
        struct json_object *pdb = kc_object_copy_json(current), *status = kc_json_ensure_obj(pdb, "status");
        int64_t left = kc_json_int(status, "disruptionsAllowed", 0) - 1;
        kc_json_set_int(status, "disruptionsAllowed", left);
        kc_json_set_str(
            kc_json_ensure_obj(status, "disruptedPods"), kc_object_name(e->pod), kc_time_format(c->now, now));
        if (left == 0 && kc_condition_set(status, "DisruptionAllowed", "False", "InsufficientPods", "", c->now))
                kc_json_set_int((struct json_object *)kc_condition_get(status, "DisruptionAllowed"),
                    "observedGeneration", kc_meta_generation(pdb));
        *ret = pdb;
        return 0;
}

static int ask_budget(struct eviction *e, const char *name, struct kc_error *err)
{
        struct kc_registry_ctx c;
        const struct kc_registry_update_opts o = {.transform = take_disruption, .arg = e, .no_admission = true};
        int r;

        kc_registry_ctx_init(&c, e->c->registry, GROUP, BUDGETS, e->c->ns, name, NULL, e->sub.dry_run, e->c->warnings);
        c.subresource = "status";
        r = kc_registry_update(&c, &o, NULL, NULL, err);
        if (r < 0 && kc_error_is(err, KC_REASON_CONFLICT))
                return kc_error_set_api(err, 504, KC_REASON_TIMEOUT,
                    "Timeout: couldn't update PodDisruptionBudget \"%s\" due to conflicts", name);
        return r;
}

static int budgets_of(const struct eviction *e, struct kc_objects *ret, struct kc_error *err)
{
        const struct json_object *labels = kc_meta_labels(kc_object_json(e->pod));
        struct kc_objects all = {0};
        int r = 0;

        if (kc_json_n_keys(labels) == 0)
                return 0;
        r = kc_resources_list(kc_registry_resources(e->c->registry), GROUP, BUDGETS, e->c->ns, NULL, &all, err);
        for (size_t i = 0; r == 0 && i < all.n; i++) {
                KC_CLEANUP(kc_selector_freep) struct kc_selector *sel = NULL;
                /* An invalid selector selects nothing. */
                if (kc_selector_from_label_selector(
                        kc_json_at(kc_object_json(all.v[i]), "spec.selector"), &sel, NULL) == 0 &&
                    kc_selector_matches(sel, labels))
                        kc_objects_push_take(ret, kc_object_ref(all.v[i]));
        }
        kc_objects_done(&all);
        return r;
}

/* A pod that is not ready counts for nothing: it may go when the budget says so, or when enough others are healthy. */
static bool may_go_unhealthy(const struct json_object *pod, const struct json_object *pdb)
{
        int64_t desired = kc_json_int_at(pdb, "status.desiredHealthy", 0);

        if (kc_pod_is_ready(pod))
                return false;
        if (kc_streq(kc_json_str_at(pdb, "spec.unhealthyPodEvictionPolicy"), "AlwaysAllow"))
                return true;
        return desired > 0 && kc_json_int_at(pdb, "status.currentHealthy", 0) >= desired;
}

/* *ret_pinned: the pod may go only as it has been seen. *ret_budget: heap, the budget that protects it. */
static int ask_budgets(struct eviction *e, bool *ret_pinned, char **ret_budget, struct kc_error *err)
{
        struct kc_objects budgets = {0};
        int r = budgets_of(e, &budgets, err);

        *ret_pinned = false;
        if (r == 0 && budgets.n > 1)
                r = kc_error_set_api(err, 500, "",
                    "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.");
        if (r == 0 && budgets.n == 1) {
                *ret_budget = kc_strdup(kc_object_name(budgets.v[0]));
                *ret_pinned = may_go_unhealthy(kc_object_json(e->pod), kc_object_json(budgets.v[0]));
                if (!*ret_pinned)
                        r = ask_budget(e, *ret_budget, err);
        }
        kc_objects_done(&budgets);
        return r;
}

/* --- the two ways */

static int read_pod(struct eviction *e, struct kc_error *err)
{
        kc_object_unref(KC_TAKE(e->pod));
        return kc_resources_get_live(
            kc_registry_resources(e->c->registry), "", "pods", e->c->ns, e->c->name, &e->pod, err);
}

/* 1: deleted; 0: budgets must be asked. A pending pod may become healthy any moment: only as it has been seen. */
static int delete_ignoring_budgets(struct eviction *e, struct kc_error *err)
{
        int r = 0;

        for (int i = 0; i < ATTEMPTS; i++) {
                kc_error_done(err);
                r = read_pod(e, err);
                if (r < 0)
                        return r;
                const struct json_object *pod = kc_object_json(e->pod);
                if (!can_ignore_budgets(pod))
                        return 0;
                const char *rv = e->resource_version;
                if (!rv && !kc_pod_is_terminal(pod) && !kc_meta_deleting(pod))
                        rv = kc_object_resource_version(e->pod);
                r = mark_and_delete(e, rv, err);
                if (r == 0)
                        return 1;
                if (!kc_error_is(err, KC_REASON_CONFLICT) || e->resource_version)
                        return r;
        }
        return r;
}

static int evict(struct eviction *e, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *budget = NULL;
        bool pinned = false;
        int r = delete_ignoring_budgets(e, err);

        if (r != 0)
                return r < 0 ? r : 0;
        r = ask_budgets(e, &pinned, &budget, err);
        if (r < 0)
                return r;
        r = mark_and_delete(e, pinned ? kc_object_resource_version(e->pod) : e->resource_version, err);
        /* It may be healthy by now: the client is to ask again. */
        if (r < 0 && pinned && !e->resource_version && kc_error_is(err, KC_REASON_CONFLICT))
                return still_processing(budget, err);
        return r;
}

int pods_create_eviction(const struct kc_registry_ctx *c, struct json_object *body, struct json_object **ret,
    int *ret_code, struct kc_error *err)
{
        KC_CLEANUP(kc_error_done) struct kc_error own = KC_ERROR_INIT;
        const char *name = kc_meta_name(body);
        int r;

        (void)ret; /* Status Success */
        (void)ret_code;
        if (!kc_str_empty(name) && !kc_streq(name, c->name))
                return kc_err_bad_request(err, "name in URL does not match name in Eviction object");
        const struct json_object *options = kc_json_get(body, "deleteOptions");
        struct eviction e = {.c = c,
            .sub = *c,
            .options = options,
            .uid = kc_json_str_at(options, "preconditions.uid"),
            .resource_version = kc_json_str_at(options, "preconditions.resourceVersion")};
        e.sub.dry_run = c->dry_run || kc_json_len(kc_json_get(options, "dryRun")) > 0;
        r = evict(&e, err ? err : &own);
        kc_object_unref(e.pod);
        return r;
}
