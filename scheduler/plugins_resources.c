/* Plugins about what a node has left: NodeResourcesFit (LeastAllocated) and NodeResourcesBalancedAllocation. */
#include <math.h>

#include "base/str.h"
#include "scheduler/plugin.h"
#include "scheduler/queue.h"

/* --- NodeResourcesFit */
static enum kc_verdict fit_filter(const struct kc_cycle *c, size_t row, struct kc_reasons *reasons)
{
        const struct kc_cluster *cl = c->cluster;
        enum kc_verdict verdict = KC_FITS;

        if (cl->used[KC_RES_PODS][row] + 1 > cl->alloc[KC_RES_PODS][row]) {
                kc_reason(reasons, "Too many pods");
                verdict = KC_UNSCHEDULABLE;
        }
        for (int r = 0; r < kc_resource_count(); r++) {
                int64_t want = c->pod->req[r];
                if (r == KC_RES_PODS || want == 0 || want <= cl->alloc[r][row] - cl->used[r][row])
                        continue;
                kc_reason_take(c, reasons, kc_asprintf("Insufficient %s", kc_resource_name(r)));
                /* More than the node has at all: no removal of pods helps. */
                if (want > cl->alloc[r][row])
                        verdict = KC_UNRESOLVABLE;
                else if (verdict == KC_FITS)
                        verdict = KC_UNSCHEDULABLE;
        }
        return verdict;
}

static int64_t least_requested(int64_t used, int64_t alloc)
{
        return alloc == 0 || used > alloc ? 0 : (alloc - used) * KC_MAX_SCORE / alloc;
}

static void fit_score(const struct kc_cycle *c, const size_t *rows, size_t n, int64_t *scores)
{
        const struct kc_cluster *cl = c->cluster;

        for (size_t i = 0; i < n; i++) {
                size_t row = rows[i];
                int64_t sum = 0, weights = 0;
                if (cl->alloc[KC_RES_CPU][row]) {
                        sum += least_requested(cl->nonzero_cpu[row] + c->pod->nonzero_cpu, cl->alloc[KC_RES_CPU][row]);
                        weights++;
                }
                if (cl->alloc[KC_RES_MEMORY][row]) {
                        sum += least_requested(
                            cl->nonzero_memory[row] + c->pod->nonzero_memory, cl->alloc[KC_RES_MEMORY][row]);
                        weights++;
                }
                scores[i] = weights ? sum / weights : 0;
        }
}

const struct kc_plugin kc_plugin_node_resources_fit = {
    .name = "NodeResourcesFit",
    .weight = 1,
    .wakes = KC_EVENT_NODE_ADD | KC_EVENT_NODE_ALLOCATABLE | KC_EVENT_POD_GONE,
    .filter = fit_filter,
    .score = fit_score,
};

/* --- NodeResourcesBalancedAllocation: the closer CPU and memory are used alike, the better. */
static double fraction(int64_t used, int64_t alloc)
{
        return KC_MIN((double)used / (double)alloc, 1.0);
}

static bool balanced_skip(const struct kc_cycle *c)
{
        return c->pod->req[KC_RES_CPU] == 0 && c->pod->req[KC_RES_MEMORY] == 0;
}

static void balanced_score(const struct kc_cycle *c, const size_t *rows, size_t n, int64_t *scores)
{
        const struct kc_cluster *cl = c->cluster;

        for (size_t i = 0; i < n; i++) {
                size_t row = rows[i];
                double deviation = 0;
                /* With two resources the standard deviation is half of their distance. */
                if (cl->alloc[KC_RES_CPU][row] && cl->alloc[KC_RES_MEMORY][row])
                        deviation = fabs(fraction(cl->used[KC_RES_CPU][row] + c->pod->req[KC_RES_CPU],
                                             cl->alloc[KC_RES_CPU][row]) -
                                         fraction(cl->used[KC_RES_MEMORY][row] + c->pod->req[KC_RES_MEMORY],
                                             cl->alloc[KC_RES_MEMORY][row])) /
                                    2;
                scores[i] = (int64_t)((1 - deviation) * KC_MAX_SCORE);
        }
}

const struct kc_plugin kc_plugin_balanced_allocation = {
    .name = "NodeResourcesBalancedAllocation",
    .weight = 1,
    .skip = balanced_skip,
    .score = balanced_score,
};
