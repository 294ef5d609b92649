/* The disruption controller: how many pods of each PodDisruptionBudget may be evicted now. Handlers on the loop; sync
 * on the pool. Keys: "<namespace>/<budget>", and "pod/<namespace>/<pod>" for a pod whose disruption may have come to
 * nothing. Mirrors upstream's pkg/controller/disruption. */
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "controller-manager/children.h"
#include "controller-manager/disruption_internal.h"
#include "controller-manager/table.h"

#define DELETION_TIMEOUT (2 * 60 * KC_SEC) /* after which an eviction that deleted nothing is forgotten */
#define POD_KEY "pod/"

struct disruption {
        struct kc_rest *rest;
        struct kc_informer *budgets, *pods;
        struct kc_disruption_owners owners;
        struct kc_controller *controller;
        struct kc_recorder *recorder;
};

/* --- Events */

static void enqueue(struct disruption *c, const struct kc_object *pdb)
{
        KC_CLEANUP(kc_freep) char *key = kc_meta_key(kc_object_json(pdb));
        kc_workqueue_add(kc_controller_queue(c->controller), key);
}

static void on_budget_add(struct kc_object *o, bool initial, void *arg)
{
        (void)initial;
        enqueue(arg, o);
}

static void on_budget_update(struct kc_object *old, struct kc_object *o, void *arg)
{
        (void)old;
        enqueue(arg, o);
}

static bool covers(const struct json_object *pdb, const struct json_object *pod)
{
        KC_CLEANUP(kc_selector_freep) struct kc_selector *sel = NULL;
        /* An invalid selector selects nothing. */
        return kc_selector_from_label_selector(kc_json_at(pdb, "spec.selector"), &sel, NULL) == 0 &&
               kc_selector_matches(sel, kc_meta_labels(pod));
}

static void enqueue_budgets_of(struct disruption *c, const struct json_object *pod)
{
        struct kc_objects all = {0};
        const char *chosen = NULL;
        size_t n = 0;

        kc_informer_list(c->budgets, kc_meta_namespace(pod), NULL, &all);
        for (size_t i = 0; i < all.n; i++)
                if (covers(kc_object_json(all.v[i]), pod)) {
                        if (n++ == 0)
                                chosen = kc_object_name(all.v[i]);
                        enqueue(c, all.v[i]);
                }
        if (n > 1)
                kc_recorder_event(c->recorder, &KC_PODS, pod, "Warning", "MultiplePodDisruptionBudgets",
                    "Pod \"%s\"/\"%s\" matches multiple PodDisruptionBudgets.  Chose \"%s\" arbitrarily.",
                    kc_meta_namespace(pod), kc_meta_name(pod), chosen);
        kc_objects_done(&all);
}

static const struct json_object *disruption_of(const struct json_object *pod)
{
        const struct json_object *cond = kc_condition_get(kc_json_get(pod, "status"), "DisruptionTarget");
        return kc_streq(kc_json_str(cond, "status"), "True") && kc_pod_is_active(pod) ? cond : NULL;
}

/* Microseconds until the condition is stale; 0: it is. */
static int64_t fresh_for(const struct json_object *cond)
{
        const char *since = kc_json_str(cond, "lastTransitionTime");
        kc_time t;

        if (!since || kc_time_parse(since, &t) < 0)
                return 0;
        return KC_MAX(t + DELETION_TIMEOUT - kc_clock_now(NULL), (int64_t)0);
}

static void watch_disruption(struct disruption *c, const struct json_object *pod)
{
        const struct json_object *cond = disruption_of(pod);
        if (!cond)
                return;
        KC_CLEANUP(kc_freep) char *pod_key = kc_meta_key(pod), *key = kc_asprintf(POD_KEY "%s", pod_key);
        kc_workqueue_add_after(kc_controller_queue(c->controller), key, fresh_for(cond));
}

static void on_pod_add(struct kc_object *o, bool initial, void *arg)
{
        (void)initial;
        enqueue_budgets_of(arg, kc_object_json(o));
        watch_disruption(arg, kc_object_json(o));
}

static void on_pod_update(struct kc_object *old, struct kc_object *o, void *arg)
{
        if (!kc_json_equal(kc_meta_labels(kc_object_json(old)), kc_meta_labels(kc_object_json(o))))
                enqueue_budgets_of(arg, kc_object_json(old));
        on_pod_add(o, false, arg);
}

static void on_pod_delete(struct kc_object *o, void *arg)
{
        enqueue_budgets_of(arg, kc_object_json(o));
}

/* --- Sync of a budget */

/* Evicted, and not yet seen to be deleted. Recheck: when the first of them is given up; 0: never. */
static struct json_object *still_disrupted(struct disruption *c, const struct json_object *pdb,
    const struct kc_objects *pods, kc_time now, kc_time *ret_recheck)
{
        const struct json_object *known = kc_json_at(pdb, "status.disruptedPods");
        struct json_object *result = json_object_new_object();

        for (size_t i = 0; i < pods->n; i++) {
                const struct json_object *pod = kc_object_json(pods->v[i]);
                const char *since = kc_json_str(known, kc_meta_name(pod));
                kc_time t;
                if (kc_meta_deleting(pod) || !since || kc_time_parse(since, &t) < 0)
                        continue;
                if (t + DELETION_TIMEOUT < now) {
                        kc_recorder_event(c->recorder, &KC_PODS, pod, "Warning", "NotDeleted",
                            "Pod was expected by PDB %s/%s to be deleted but it wasn't", kc_meta_namespace(pdb),
                            kc_meta_name(pdb));
                        continue;
                }
                if (*ret_recheck == 0 || t + DELETION_TIMEOUT < *ret_recheck)
                        *ret_recheck = t + DELETION_TIMEOUT;
                kc_json_set_str(result, kc_meta_name(pod), since);
        }
        return result;
}

static int64_t count_healthy(const struct kc_objects *pods, const struct json_object *disrupted)
{
        int64_t n = 0;

        for (size_t i = 0; i < pods->n; i++) {
                const struct json_object *pod = kc_object_json(pods->v[i]);
                n += !kc_meta_deleting(pod) && !kc_json_get(disrupted, kc_meta_name(pod)) && kc_pod_is_ready(pod);
        }
        return n;
}

static void set_allowed_condition(
    struct json_object *status, const struct json_object *pdb, int64_t allowed, const char *failure)
{
        const char *reason = failure ? "SyncFailed" : allowed > 0 ? "SufficientPods" : "InsufficientPods";
        struct json_object *list;

        (void)kc_condition_set(status, "DisruptionAllowed", allowed > 0 ? "True" : "False", reason,
            failure ? failure : "", kc_clock_now(NULL)); /* whether it changed shows in the comparison later */
        list = kc_json_get_mut(status, "conditions");
        for (size_t i = 0; i < kc_json_len(list); i++)
                if (kc_streq(kc_json_str(kc_json_idx(list, i), "type"), "DisruptionAllowed"))
                        kc_json_set_int(kc_json_idx_mut(list, i), "observedGeneration", kc_meta_generation(pdb));
}

static int write_status(
    struct disruption *c, const struct json_object *pdb, struct json_object *take_status, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *status = take_status, *tree = NULL;
        int rc;

        if (kc_json_equal(kc_json_get(pdb, "status"), status))
                return 0;
        tree = kc_json_copy(pdb);
        kc_json_set(tree, "status", KC_TAKE(status));
        rc = kc_rest_update(c->rest, &KC_PODDISRUPTIONBUDGETS, "status", tree, NULL, err);
        if (rc < 0 && kc_error_is(err, KC_REASON_NOT_FOUND)) {
                kc_error_done(err);
                rc = 0;
        }
        return rc;
}

static struct json_object *status_copy(const struct json_object *pdb)
{
        const struct json_object *old = kc_json_get(pdb, "status");
        return old ? kc_json_copy(old) : json_object_new_object();
}

static int count_and_write(struct disruption *c, const char *key, const struct json_object *pdb,
    const struct kc_objects *pods, const struct kc_disruption_counts *n, struct kc_error *err)
{
        kc_time now = kc_clock_now(NULL), recheck = 0;
        KC_CLEANUP(kc_json_freep) struct json_object *disrupted = still_disrupted(c, pdb, pods, now, &recheck);
        struct json_object *status = status_copy(pdb);
        int64_t healthy = count_healthy(pods, disrupted);
        /* Before the first pods of a budget have been counted none of them may go. */
        int64_t allowed = n->expected > 0 ? KC_MAX(healthy - n->desired_healthy, (int64_t)0) : 0;

        kc_json_set_int(status, "currentHealthy", healthy);
        kc_json_set_int(status, "desiredHealthy", n->desired_healthy);
        kc_json_set_int(status, "expectedPods", n->expected);
        kc_json_set_int(status, "disruptionsAllowed", allowed);
        kc_json_set_int(status, "observedGeneration", kc_meta_generation(pdb));
        if (kc_json_n_keys(disrupted) > 0)
                kc_json_set(status, "disruptedPods", KC_TAKE(disrupted));
        else
                kc_json_del(status, "disruptedPods");
        set_allowed_condition(status, pdb, allowed, NULL);
        int rc = write_status(c, pdb, status, err);
        if (rc == 0 && recheck)
                kc_workqueue_add_after(kc_controller_queue(c->controller), key, KC_MAX(recheck - now, KC_SEC));
        return rc;
}

static void report_unmanaged(struct disruption *c, const struct json_object *pdb)
{
        KC_CLEANUP(kc_selector_freep) struct kc_selector *sel = NULL;

        if (kc_selector_from_label_selector(kc_json_at(pdb, "spec.selector"), &sel, NULL) < 0)
                return;
        KC_CLEANUP(kc_freep) char *text = kc_selector_format(sel);
        kc_recorder_event(c->recorder, &KC_PODDISRUPTIONBUDGETS, pdb, "Warning", "UnmanagedPods",
            "Pods selected by this PodDisruptionBudget (selector: %s) were found to be unmanaged. As a result, the "
            "status "
            "of the PDB cannot be calculated correctly, which may result in undefined behavior. To account for these "
            "pods "
            "please set \".spec.minAvailable\" field of the PDB to an integer value.",
            text);
}

static int try_sync(struct disruption *c, const char *key, const struct json_object *pdb, struct kc_error *err)
{
        KC_CLEANUP(kc_selector_freep) struct kc_selector *sel = NULL;
        struct kc_objects pods = {0};
        struct kc_disruption_counts n = {0};
        int rc = kc_selector_from_label_selector(kc_json_at(pdb, "spec.selector"), &sel, err);

        if (rc < 0) {
                kc_recorder_event(c->recorder, &KC_PODDISRUPTIONBUDGETS, pdb, "Warning", "NoPods",
                    "Failed to get pods: %s", kc_error_message(err));
                return rc;
        }
        kc_informer_list(c->pods, kc_meta_namespace(pdb), sel, &pods);
        if (pods.n == 0)
                kc_recorder_event(
                    c->recorder, &KC_PODDISRUPTIONBUDGETS, pdb, "Normal", "NoPods", "No matching pods found");
        rc = kc_disruption_count(&c->owners, pdb, &pods, &n, err);
        if (rc < 0) {
                kc_recorder_event(c->recorder, &KC_PODDISRUPTIONBUDGETS, pdb, "Warning",
                    "CalculateExpectedPodCountFailed", "Failed to calculate the number of expected pods: %s",
                    kc_error_message(err));
        } else {
                if (n.unmanaged)
                        report_unmanaged(c, pdb);
                rc = count_and_write(c, key, pdb, &pods, &n, err);
        }
        kc_objects_done(&pods);
        return rc;
}

/* Rather no eviction than one too many. */
static int fail_safe(struct disruption *c, const struct json_object *pdb, const char *why, struct kc_error *err)
{
        struct json_object *status = status_copy(pdb);

        kc_json_set_int(status, "disruptionsAllowed", 0);
        set_allowed_condition(status, pdb, 0, why);
        return write_status(c, pdb, status, err);
}

static int sync_budget(struct disruption *c, const char *key, struct kc_error *err)
{
        KC_CLEANUP(kc_object_unrefp) struct kc_object *obj = kc_informer_lookup_key(c->budgets, key);
        KC_CLEANUP(kc_error_done) struct kc_error second = KC_ERROR_INIT;
        int rc;

        if (!obj)
                return 0;
        rc = try_sync(c, key, kc_object_json(obj), err);
        /* Somebody else has written it: an eviction, say. It comes again with the newer one. */
        if (rc < 0 && !kc_error_is(err, KC_REASON_CONFLICT) && !kc_error_is(err, KC_REASON_NOT_FOUND) &&
            fail_safe(c, kc_object_json(obj), kc_error_message(err), &second) < 0)
                kc_log_error(&second, "Failed to put a PDB on the safe side", "pdb", key);
        return rc;
}

/* --- Disruptions that came to nothing */

static int sync_pod(struct disruption *c, const char *key, struct kc_error *err)
{
        KC_CLEANUP(kc_object_unrefp) struct kc_object *obj = kc_informer_lookup_key(c->pods, key);
        const struct json_object *cond = obj ? disruption_of(kc_object_json(obj)) : NULL;
        char now[KC_TIME_LEN];
        int rc;

        if (!cond)
                return 0;
        if (fresh_for(cond) > 0) {
                watch_disruption(c, kc_object_json(obj));
                return 0;
        }
        KC_CLEANUP(kc_json_freep)
        struct json_object *patch = kc_json_build(
            "{'metadata':{'uid':%s},'status':{'conditions':[{'type':'DisruptionTarget','status':'False','reason':null,"
            "'message':null,'lastTransitionTime':%s}]}}",
            kc_object_uid(obj), kc_time_format(kc_clock_now(NULL), now));
        rc = kc_rest_patch(c->rest, &KC_PODS, kc_object_namespace(obj), kc_object_name(obj), "status",
            KC_PATCH_STRATEGIC, patch, NULL, err);
        if (rc < 0 && kc_error_is(err, KC_REASON_NOT_FOUND)) {
                kc_error_done(err);
                rc = 0;
        }
        return rc;
}

static int sync_key(void *arg, const char *key, struct kc_error *err)
{
        if (kc_str_has_prefix(key, POD_KEY) && strchr(key + strlen(POD_KEY), '/'))
                return sync_pod(arg, key + strlen(POD_KEY), err);
        return sync_budget(arg, key, err);
}

/* --- Life */

static int init(const struct kc_cm_context *cm, void **ret, struct kc_error *err)
{
        struct disruption *c = KC_NEW(struct disruption);

        (void)err;
        c->rest = cm->rest;
        c->budgets = kc_informers_get(cm->informers, &KC_PODDISRUPTIONBUDGETS);
        c->pods = kc_informers_get(cm->informers, &KC_PODS);
        kc_disruption_owners_init(&c->owners, cm->informers);
        c->recorder = kc_recorder_new(cm->rest, cm->pool, "controllermanager", NULL);
        c->controller = kc_controller_new(cm->loop, cm->pool, "disruption", 1, sync_key, c);
        kc_informer_add_handler(c->budgets, &(struct kc_informer_handler){on_budget_add, on_budget_update, NULL}, c);
        kc_informer_add_handler(c->pods, &(struct kc_informer_handler){on_pod_add, on_pod_update, on_pod_delete}, c);
        *ret = c;
        return 0;
}

static void start(void *state)
{
        kc_controller_start(((struct disruption *)state)->controller);
}

static void free_state(void *state)
{
        struct disruption *c = state;
        kc_controller_free(c->controller);
        kc_recorder_free(c->recorder);
        kc_free(c);
}

const struct kc_controller_def kc_disruption_controller = {
    .name = "disruption-controller", .init = init, .start = start, .free = free_state};
