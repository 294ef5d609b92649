/* The pods that leave one node: all of lower priority, then as many as possible stay, beginning with those that a
 * PodDisruptionBudget protects. Loop thread. */
#include <stdlib.h>

#include "api/selector.h"
#include "base/str.h"
#include "scheduler/preempt_internal.h"

kc_time preempt_start_time(const struct kc_pod_info *p)
{
        const char *text = kc_json_str_at(kc_object_json(p->obj), "status.startTime");
        kc_time t;

        return text && kc_time_parse(text, &t) == 0 ? t : INT64_MAX;
}

/* MoreImportantPod: by priority, then who has run longer; by key where upstream leaves it open. */
static int by_importance(const void *a, const void *b)
{
        const struct kc_pod_info *x = *(struct kc_pod_info *const *)a, *y = *(struct kc_pod_info *const *)b;
        kc_time tx, ty;

        if (x->priority != y->priority)
                return x->priority > y->priority ? -1 : 1;
        tx = preempt_start_time(x);
        ty = preempt_start_time(y);
        if (tx != ty)
                return tx < ty ? -1 : 1;
        return kc_strcmp(x->key, y->key);
}

static bool budget_covers(const struct json_object *pdb, const struct json_object *pod)
{
        KC_CLEANUP(kc_selector_freep) struct kc_selector *sel = NULL;

        if (kc_json_n_keys(kc_meta_labels(pod)) == 0 || !kc_streq(kc_meta_namespace(pdb), kc_meta_namespace(pod)))
                return false;
        if (kc_selector_from_label_selector(kc_json_at(pdb, "spec.selector"), &sel, NULL) < 0)
                return false; /* an invalid selector matches nothing */
        return !kc_selector_is_everything(sel) && kc_selector_matches(sel, kc_meta_labels(pod)) &&
               /* The API server has counted it already. */
               !kc_json_get(kc_json_at(pdb, "status.disruptedPods"), kc_meta_name(pod));
}

/* filterPodsWithPDBViolation: marks, in order of importance, the pods for which a budget has nothing left. */
static void mark_violations(struct kc_pod_info *const *pods, size_t n, const struct kc_objects *pdbs, bool *violating)
{
        for (size_t b = 0; b < pdbs->n; b++) {
                const struct json_object *pdb = kc_object_json(pdbs->v[b]);
                int64_t allowed = kc_json_int_at(pdb, "status.disruptionsAllowed", 0);
                for (size_t i = 0; i < n; i++)
                        if (budget_covers(pdb, kc_object_json(pods[i]->obj)) && --allowed < 0)
                                violating[i] = true;
        }
}

static bool fits(const struct kc_cycle *c, size_t row, struct kc_reasons *reasons)
{
        uint32_t wakes = 0;
        return kc_cycle_filter(c, row, reasons, &wakes) == KC_FITS;
}

/* Puts back whom it can; victims[i]: pods[i] must go. */
static void reprieve(const struct kc_cycle *c, size_t row, struct kc_pod_info *const *pods, size_t n,
    const bool *violating, bool *victims)
{
        for (int pass = 0; pass < 2; pass++)
                for (size_t i = 0; i < n; i++) {
                        struct kc_reasons reasons = {.n = 0};
                        if (violating[i] != (pass == 0))
                                continue;
                        kc_cluster_try_add(c->cluster, row, pods[i]);
                        victims[i] = !fits(c, row, &reasons);
                        if (victims[i])
                                kc_cluster_try_remove(c->cluster, row, pods[i]);
                }
}

bool preempt_select_victims(const struct kc_cycle *c, size_t row, const struct kc_objects *pdbs, struct victims *ret,
    struct kc_reasons *reasons)
{
        const struct kc_sched_node *node = &c->cluster->nodes[row];
        KC_CLEANUP(kc_freep) struct kc_pod_info **pods = kc_calloc(node->n_pods + 1, sizeof(*pods));
        KC_CLEANUP(kc_freep) bool *violating = kc_calloc(node->n_pods + 1, sizeof(bool));
        KC_CLEANUP(kc_freep) bool *victims = kc_calloc(node->n_pods + 1, sizeof(bool));
        size_t n = 0;
        bool ok;

        *ret = (struct victims){.row = row};
        for (size_t i = 0; i < node->n_pods; i++)
                if (node->pods[i]->priority < c->pod->priority)
                        pods[n++] = node->pods[i];
        if (n == 0) {
                kc_reason(reasons, "No preemption victims found for incoming pod");
                return false;
        }
        qsort(pods, n, sizeof(struct kc_pod_info *), by_importance);
        for (size_t i = 0; i < n; i++)
                kc_cluster_try_remove(c->cluster, row, pods[i]);
        ok = fits(c, row, reasons);
        if (ok) {
                mark_violations(pods, n, pdbs, violating);
                reprieve(c, row, pods, n, violating, victims);
                ret->v = kc_calloc(n, sizeof(*ret->v));
        }
        for (size_t i = 0; i < n; i++) {
                if (ok && !victims[i])
                        continue; /* it has been put back */
                kc_cluster_try_add(c->cluster, row, pods[i]);
                if (!ok)
                        continue;
                ret->n_violating += violating[i];
                ret->v[ret->n++] = pods[i];
        }
        return ok;
}

void preempt_victims_done(struct victims *v)
{
        kc_free(v->v);
        *v = (struct victims){0};
}
