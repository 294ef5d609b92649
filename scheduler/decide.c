/* Filters rows until enough fit, scores those, takes one of the best. */
#include "scheduler/decide.h"

#include "base/buf.h"
#include "base/rand.h"
#include "base/str.h"
#include "scheduler/queue.h"

enum { MIN_FEASIBLE = 100, MIN_PERCENTAGE = 5 };

struct tally {
        struct kc_map *counts; /* reason -> number of nodes, as a pointer */
        size_t unresolvable, rejected;
};

/* numFeasibleNodesToFind: all of a small cluster, a falling share of a large one. */
static size_t enough(size_t n, int percentage)
{
        if (n < MIN_FEASIBLE || percentage >= 100)
                return n;
        if (percentage == 0)
                percentage = KC_MAX(50 - (int)(n / 125), MIN_PERCENTAGE);
        return KC_MAX(n * (size_t)percentage / 100, (size_t)MIN_FEASIBLE);
}

static void count_reasons(struct tally *t, const struct kc_reasons *reasons)
{
        for (size_t i = 0; i < reasons->n; i++) {
                intptr_t n = (intptr_t)kc_map_get(t->counts, reasons->v[i]);
                kc_map_set(t->counts, reasons->v[i], (void *)(n + 1));
        }
}

static bool row_fits(const struct kc_cycle *c, const bool *skipped, size_t row, struct tally *t, uint32_t *wakes)
{
        struct kc_reasons reasons = {.n = 0};

        for (size_t i = 0; i < kc_n_plugins; i++) {
                const struct kc_plugin *p = kc_plugins[i];
                if (!p->filter || skipped[i])
                        continue;
                enum kc_verdict v = p->filter(c, row, &reasons);
                if (v == KC_FITS)
                        continue;
                t->rejected++;
                t->unresolvable += v == KC_UNRESOLVABLE;
                *wakes |= p->wakes;
                count_reasons(t, &reasons);
                return false;
        }
        return true;
}

static char *tally_text(const struct tally *t, size_t n_nodes)
{
        KC_CLEANUP(kc_strv_freep) char **parts = NULL;
        size_t it = 0;
        const char *reason;
        void *n;

        if (n_nodes == 0)
                return kc_strdup("no nodes available to schedule pods");
        while (kc_map_next(t->counts, &it, &reason, &n))
                kc_strv_pushf(&parts, "%zd %s", (ssize_t)(intptr_t)n, reason);
        kc_strv_sort(parts);
        KC_CLEANUP(kc_freep) char *list = kc_strv_join(parts, ", ");
        return kc_asprintf("0/%zu nodes are available: %s.", n_nodes, list);
}

static size_t best_of(const struct kc_cycle *c, const bool *skipped, const size_t *rows, size_t n)
{
        KC_CLEANUP(kc_freep) int64_t *total = kc_calloc(n, sizeof(*total));
        KC_CLEANUP(kc_freep) int64_t *scores = kc_calloc(n, sizeof(*scores));
        size_t best = 0, equals = 0;

        for (size_t i = 0; i < kc_n_plugins; i++) {
                const struct kc_plugin *p = kc_plugins[i];
                if (!p->score || skipped[i])
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

void kc_decide(
    const struct kc_cluster *cl, const struct kc_pod_info *pod, int percentage, size_t *start, struct kc_decision *ret)
{
        struct kc_cycle c = {.cluster = cl,
            .pod = pod,
            .spec = kc_json_get(kc_object_json(pod->obj), "spec"),
            .strings = kc_map_new(kc_free)};
        struct tally t = {.counts = kc_map_new(NULL)};
        KC_CLEANUP(kc_freep) size_t *rows = kc_calloc(cl->n_nodes + 1, sizeof(*rows));
        KC_CLEANUP(kc_freep) bool *skipped = kc_calloc(kc_n_plugins, sizeof(*skipped));
        size_t want = enough(cl->n_nodes, percentage), known = 0, seen = 0;

        *ret = (struct kc_decision){.row = -1, .wakes = KC_EVENT_NODE_ADD};
        for (size_t i = 0; i < kc_n_plugins; i++)
                skipped[i] = kc_plugins[i]->skip && kc_plugins[i]->skip(&c);
        for (; seen < cl->n_nodes && ret->n_feasible < want; seen++) {
                size_t row = (*start + seen) % cl->n_nodes;
                if (!cl->nodes[row].obj)
                        continue;
                known++;
                if (row_fits(&c, skipped, row, &t, &ret->wakes))
                        rows[ret->n_feasible++] = row;
        }
        if (cl->n_nodes)
                *start = (*start + seen) % cl->n_nodes;
        ret->n_evaluated = known;
        if (ret->n_feasible)
                ret->row = (int)best_of(&c, skipped, rows, ret->n_feasible);
        else
                ret->message = tally_text(&t, known);
        kc_map_free(t.counts);
        kc_map_free(c.strings);
}

void kc_decision_done(struct kc_decision *d)
{
        kc_free(d->message);
        d->message = NULL;
}
