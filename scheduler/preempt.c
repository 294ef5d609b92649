/* May the pod preempt, on which nodes could it, and which of those costs least. Loop thread. */
#include "scheduler/preempt.h"

#include "base/rand.h"
#include "base/str.h"
#include "scheduler/preempt_internal.h"

enum { MIN_CANDIDATES = 100, MIN_CANDIDATES_PERCENT = 10 };

/* What PostFilter plugins say: DynamicResources (no pod has claims yet) comes before DefaultPreemption. */
#define NO_CLAIMS "no new claims to deallocate"

static bool is_leaving_for_us(const struct kc_pod_info *p)
{
        const struct json_object *pod = kc_object_json(p->obj);
        const struct json_object *cond = kc_condition_get(kc_json_get(pod, "status"), "DisruptionTarget");

        return kc_meta_deleting(pod) && kc_streq(kc_json_str(cond, "status"), "True") &&
               kc_streq(kc_json_str(cond, "reason"), "PreemptionByScheduler");
}

/* PodEligibleToPreemptOthers: NULL, or why not. */
static const char *why_not_eligible(
    const struct kc_cluster *c, const struct kc_pod_info *pod, const struct kc_decision *d)
{
        const char *node = kc_nominator_node(&c->nominated, pod->key);
        int row = node ? kc_cluster_row(c, node) : -1;
        bool resolvable = false;

        if (kc_streq(kc_json_str_at(kc_object_json(pod->obj), "spec.preemptionPolicy"), "Never"))
                return "not eligible due to preemptionPolicy=Never.";
        if (row < 0)
                return NULL;
        for (size_t i = 0; i < d->n_resolvable; i++)
                resolvable |= d->resolvable[i] == (size_t)row;
        /* The room that it made there is of no use any more. */
        if (!resolvable)
                return NULL;
        for (size_t i = 0; i < c->nodes[row].n_pods; i++)
                if (c->nodes[row].pods[i]->priority < pod->priority && is_leaving_for_us(c->nodes[row].pods[i]))
                        return "not eligible due to a terminating pod on the nominated node.";
        return NULL;
}

/* --- pickOneNodeForPreemption: each measure in turn keeps the nodes for which it is greatest. */

static int64_t fewest_violations(const struct victims *v)
{
        return -(int64_t)v->n_violating;
}

static int64_t lowest_top_priority(const struct victims *v)
{
        return -(int64_t)v->v[0]->priority;
}

/* Negative priorities must not make a node with more pods look cheaper. */
static int64_t lowest_sum(const struct victims *v)
{
        int64_t sum = 0;

        for (size_t i = 0; i < v->n; i++)
                sum += (int64_t)v->v[i]->priority + INT32_MAX + 1;
        return -sum;
}

static int64_t fewest_pods(const struct victims *v)
{
        return -(int64_t)v->n;
}

/* Of the most important victims, who has run longest: the later that was, the better. */
static int64_t latest_start(const struct victims *v)
{
        kc_time earliest = INT64_MAX;

        for (size_t i = 0; i < v->n && v->v[i]->priority == v->v[0]->priority; i++)
                earliest = KC_MIN(earliest, preempt_start_time(v->v[i]));
        return earliest;
}

static const struct victims *pick(const struct victims *all, size_t n)
{
        static int64_t (*const measures[])(const struct victims *v) = {
            fewest_violations, lowest_top_priority, lowest_sum, fewest_pods, latest_start};
        KC_CLEANUP(kc_freep) const struct victims **left = kc_calloc(n, sizeof(*left));
        size_t n_left = n;

        for (size_t i = 0; i < n; i++)
                left[i] = &all[i];
        for (size_t m = 0; m < KC_ARRAY_LEN(measures) && n_left > 1; m++) {
                int64_t best = INT64_MIN;
                size_t kept = 0;
                for (size_t i = 0; i < n_left; i++)
                        best = KC_MAX(best, measures[m](left[i]));
                for (size_t i = 0; i < n_left; i++)
                        if (measures[m](left[i]) == best)
                                left[kept++] = left[i];
                n_left = kept;
        }
        return left[0];
}

/* --- */

static void take(const struct kc_cycle *c, const struct victims *v, struct kc_preemption *ret)
{
        const struct kc_nominees *on = kc_nominator_on(&c->cluster->nominated, c->cluster->names[v->row]);

        ret->node = kc_strdup(c->cluster->names[v->row]);
        for (size_t i = 0; i < v->n; i++)
                kc_objects_push_take(&ret->victims, kc_object_ref(v->v[i]->obj));
        for (size_t i = 0; on && i < on->n; i++)
                if (on->v[i]->priority < c->pod->priority)
                        kc_objects_push_take(&ret->yield, kc_object_ref(on->v[i]->obj));
}

/* Dry runs, beginning anywhere, until there are enough candidates of which one violates no budget. */
static void dry_run(const struct kc_cycle *c, const struct kc_decision *d, const struct kc_objects *pdbs,
    struct kc_preemption *ret, struct kc_tally *t)
{
        size_t n = d->n_resolvable, n_found = 0;
        size_t want = KC_MIN(KC_MAX(n * MIN_CANDIDATES_PERCENT / 100, (size_t)MIN_CANDIDATES), n);
        KC_CLEANUP(kc_freep) struct victims *found = kc_calloc(n + 1, sizeof(*found));
        size_t offset = n ? kc_rand_below((uint32_t)n) : 0;
        bool harmless = false;

        for (size_t i = 0; i < n && !(n_found >= want && harmless); i++) {
                struct kc_reasons reasons = {.n = 0};
                if (preempt_select_victims(c, d->resolvable[(offset + i) % n], pdbs, &found[n_found], &reasons)) {
                        harmless |= found[n_found].n_violating == 0;
                        n_found++;
                }
                kc_tally_add_all(t, &reasons);
        }
        if (n_found)
                take(c, pick(found, n_found), ret);
        for (size_t i = 0; i < n_found; i++)
                preempt_victims_done(&found[i]);
}

void kc_preempt(struct kc_cluster *c, const struct kc_pod_info *pod, const struct kc_decision *d,
    const struct kc_objects *pdbs, struct kc_preemption *ret)
{
        const char *why = why_not_eligible(c, pod, d);
        struct kc_cycle cycle;
        struct kc_tally t;

        *ret = (struct kc_preemption){0};
        if (why) {
                ret->message = kc_asprintf(NO_CLAIMS ", preemption: %s", why);
                return;
        }
        kc_cycle_init(&cycle, c, pod);
        kc_tally_init(&t);
        dry_run(&cycle, d, pdbs, ret, &t);
        if (!ret->node) {
                kc_tally_add(&t, "Preemption is not helpful for scheduling", d->n_evaluated - d->n_resolvable);
                KC_CLEANUP(kc_freep) char *text = kc_tally_text(&t, d->n_evaluated);
                ret->message = kc_asprintf(NO_CLAIMS ", preemption: %s", text);
                ret->clear = true;
        }
        kc_tally_done(&t);
        kc_cycle_done(&cycle);
}

void kc_preemption_done(struct kc_preemption *p)
{
        kc_free(p->node);
        kc_free(p->message);
        kc_objects_done(&p->victims);
        kc_objects_done(&p->yield);
        *p = (struct kc_preemption){0};
}
