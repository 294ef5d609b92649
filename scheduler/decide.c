/* Filters rows until enough fit, scores those, takes one of the best. */
#include "scheduler/decide.h"

#include "base/rand.h"
#include "base/str.h"
#include "scheduler/cycle.h"
#include "scheduler/queue.h"

enum { MIN_FEASIBLE = 100, MIN_PERCENTAGE = 5 };

/* numFeasibleNodesToFind: all of a small cluster, a falling share of a large one. */
static size_t enough(size_t n, int percentage)
{
        if (n < MIN_FEASIBLE || percentage >= 100)
                return n;
        if (percentage == 0)
                percentage = KC_MAX(50 - (int)(n / 125), MIN_PERCENTAGE);
        return KC_MAX(n * (size_t)percentage / 100, (size_t)MIN_FEASIBLE);
}

static size_t best_of(const struct kc_cycle *c, const size_t *rows, size_t n)
{
        KC_CLEANUP(kc_freep) int64_t *total = kc_calloc(n, sizeof(*total));
        KC_CLEANUP(kc_freep) int64_t *scores = kc_calloc(n, sizeof(*scores));
        size_t best = 0, equals = 0;

        for (size_t i = 0; i < kc_n_plugins; i++) {
                const struct kc_plugin *p = kc_plugins[i];
                if (!p->score || c->skipped[i])
                        continue;
                for (size_t j = 0; j < n; j++)
                        scores[j] = 0;
                p->score(c, rows, n, scores);
                for (size_t j = 0; j < n; j++)
                        total[j] += scores[j] * p->weight;
        }
        for (size_t j = 0; j < n; j++) {
                if (j == 0 || total[j] > total[best]) {
                        best = j;
                        equals = 1;
                } else if (total[j] == total[best] && kc_rand_below(++equals) == 0) {
                        best = j; /* each of the equals is as likely */
                }
        }
        return rows[best];
}

/* The row of the pod's nomination, if it fits there; else -1. */
static int nominated_row(const struct kc_cycle *c)
{
        const char *node = kc_nominator_node(&c->cluster->nominated, c->pod->key);
        int row = node ? kc_cluster_row(c->cluster, node) : -1;
        struct kc_reasons reasons = {.n = 0};
        uint32_t wakes = 0;

        if (row < 0 || !c->cluster->nodes[row].obj)
                return -1;
        return kc_cycle_filter(c, (size_t)row, &reasons, &wakes) == KC_FITS ? row : -1;
}

/* Collects the rows that fit, beginning with *start, until there are enough. */
static size_t *find_feasible(
    const struct kc_cycle *c, int percentage, size_t *start, struct kc_tally *t, struct kc_decision *ret)
{
        const struct kc_cluster *cl = c->cluster;
        size_t *rows = kc_calloc(cl->n_nodes + 1, sizeof(*rows));
        size_t want = enough(cl->n_nodes, percentage), seen = 0;

        ret->resolvable = kc_calloc(cl->n_nodes + 1, sizeof(*ret->resolvable));
        for (; seen < cl->n_nodes && ret->n_feasible < want; seen++) {
                size_t row = (*start + seen) % cl->n_nodes;
                struct kc_reasons reasons = {.n = 0};
                if (!cl->nodes[row].obj)
                        continue;
                ret->n_evaluated++;
                enum kc_verdict v = kc_cycle_filter(c, row, &reasons, &ret->wakes);
                if (v == KC_FITS)
                        rows[ret->n_feasible++] = row;
                else if (v == KC_UNSCHEDULABLE)
                        ret->resolvable[ret->n_resolvable++] = row;
                kc_tally_add_all(t, &reasons);
        }
        if (cl->n_nodes)
                *start = (*start + seen) % cl->n_nodes;
        return rows;
}

void kc_decide(
    struct kc_cluster *cl, const struct kc_pod_info *pod, int percentage, size_t *start, struct kc_decision *ret)
{
        KC_CLEANUP(kc_freep) size_t *rows = NULL;
        struct kc_cycle c;
        struct kc_tally t;

        *ret = (struct kc_decision){.row = -1, .wakes = KC_EVENT_NODE_ADD};
        kc_cycle_init(&c, cl, pod);
        kc_tally_init(&t);
        ret->row = nominated_row(&c);
        if (ret->row >= 0) {
                ret->n_feasible = ret->n_evaluated = 1;
        } else {
                rows = find_feasible(&c, percentage, start, &t, ret);
                if (ret->n_feasible)
                        ret->row = (int)best_of(&c, rows, ret->n_feasible);
                else if (ret->n_evaluated)
                        ret->message = kc_tally_text(&t, ret->n_evaluated);
                else
                        ret->message = kc_strdup("no nodes available to schedule pods");
        }
        kc_tally_done(&t);
        kc_cycle_done(&c);
}

void kc_decision_done(struct kc_decision *d)
{
        kc_free(d->message);
        kc_free(d->resolvable);
        *d = (struct kc_decision){.row = -1};
}
