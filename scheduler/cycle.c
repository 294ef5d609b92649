/* Filters of one scheduling cycle. Loop thread. */
#include "scheduler/cycle.h"

#include "base/str.h"

void kc_cycle_init(struct kc_cycle *c, struct kc_cluster *cluster, const struct kc_pod_info *pod)
{
        *c = (struct kc_cycle){.cluster = cluster,
            .pod = pod,
            .spec = kc_json_get(kc_object_json(pod->obj), "spec"),
            .strings = kc_map_new(kc_free),
            .skipped = kc_calloc(kc_n_plugins, sizeof(bool))};
        for (size_t i = 0; i < kc_n_plugins; i++)
                c->skipped[i] = kc_plugins[i]->skip && kc_plugins[i]->skip(c);
}

void kc_cycle_done(struct kc_cycle *c)
{
        kc_map_free(c->strings);
        kc_free(c->skipped);
}

static enum kc_verdict run_filters(const struct kc_cycle *c, size_t row, struct kc_reasons *reasons, uint32_t *wakes)
{
        for (size_t i = 0; i < kc_n_plugins; i++) {
                const struct kc_plugin *p = kc_plugins[i];
                if (!p->filter || c->skipped[i])
                        continue;
                enum kc_verdict v = p->filter(c, row, reasons);
                if (v == KC_FITS)
                        continue;
                *wakes |= p->wakes;
                return v;
        }
        return KC_FITS;
}

enum kc_verdict kc_cycle_filter(const struct kc_cycle *c, size_t row, struct kc_reasons *reasons, uint32_t *wakes)
{
        const struct kc_nominees *on = kc_nominator_on(&c->cluster->nominated, c->cluster->names[row]);
        size_t n = on ? on->n : 0, added = 0;
        enum kc_verdict v;

        for (size_t i = 0; i < n; i++)
                if (on->v[i]->priority >= c->pod->priority && !kc_streq(on->v[i]->uid, c->pod->uid)) {
                        kc_cluster_try_add(c->cluster, row, on->v[i]);
                        added++;
                }
        v = run_filters(c, row, reasons, wakes);
        for (size_t i = 0; added && i < n; i++)
                if (on->v[i]->priority >= c->pod->priority && !kc_streq(on->v[i]->uid, c->pod->uid))
                        kc_cluster_try_remove(c->cluster, row, on->v[i]);
        return v == KC_FITS && added ? run_filters(c, row, reasons, wakes) : v;
}

void kc_tally_init(struct kc_tally *t)
{
        t->counts = kc_map_new(NULL);
}

void kc_tally_done(struct kc_tally *t)
{
        kc_map_free(t->counts);
}

void kc_tally_add(struct kc_tally *t, const char *reason, size_t nodes)
{
        if (nodes)
                kc_map_set(t->counts, reason, (void *)((intptr_t)kc_map_get(t->counts, reason) + (intptr_t)nodes));
}

void kc_tally_add_all(struct kc_tally *t, const struct kc_reasons *reasons)
{
        for (size_t i = 0; i < reasons->n; i++)
                kc_tally_add(t, reasons->v[i], 1);
}

char *kc_tally_text(const struct kc_tally *t, size_t n_nodes)
{
        KC_CLEANUP(kc_strv_freep) char **parts = NULL;
        size_t it = 0;
        const char *reason;
        void *n;

        while (kc_map_next(t->counts, &it, &reason, &n))
                kc_strv_pushf(&parts, "%zd %s", (ssize_t)(intptr_t)n, reason);
        kc_strv_sort(parts);
        KC_CLEANUP(kc_freep) char *list = kc_strv_join(parts, ", ");
        return kc_asprintf("0/%zu nodes are available: %s.", n_nodes, list);
}
