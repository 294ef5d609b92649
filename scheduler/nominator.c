/* Two maps, pod to node and node to pods. Loop thread. */
#include "scheduler/nominator.h"

#include "base/str.h"

static void nominees_free(void *p)
{
        struct kc_nominees *on = p;

        for (size_t i = 0; i < on->n; i++)
                kc_pod_info_free(on->v[i]);
        kc_free(on->v);
        kc_free(on);
}

void kc_nominator_init(struct kc_nominator *n)
{
        n->by_node = kc_map_new(nominees_free);
        n->node_of = kc_map_new(kc_free);
}

void kc_nominator_done(struct kc_nominator *n)
{
        kc_map_free(n->by_node);
        kc_map_free(n->node_of);
}

bool kc_nominator_remove(struct kc_nominator *n, const char *key)
{
        KC_CLEANUP(kc_freep) char *node = kc_map_steal(n->node_of, key);
        struct kc_nominees *on = node ? kc_map_get(n->by_node, node) : NULL;

        if (!on)
                return false;
        for (size_t i = 0; i < on->n; i++)
                if (kc_streq(on->v[i]->key, key)) {
                        kc_pod_info_free(on->v[i]);
                        on->v[i] = on->v[--on->n];
                        break;
                }
        if (on->n == 0)
                (void)kc_map_remove(n->by_node, node); /* it is there */
        return true;
}

void kc_nominator_set(struct kc_nominator *n, struct kc_object *pod, const char *node)
{
        struct kc_pod_info *info = kc_pod_info_new(pod);
        struct kc_nominees *on;

        (void)kc_nominator_remove(n, info->key); /* an earlier nomination, if any */
        if (kc_str_empty(node)) {
                kc_pod_info_free(info);
                return;
        }
        on = kc_map_get(n->by_node, node);
        if (!on) {
                on = KC_NEW(struct kc_nominees);
                kc_map_set(n->by_node, node, on);
        }
        on->v = kc_reallocarray(on->v, on->n + 1, sizeof(*on->v));
        on->v[on->n++] = info;
        kc_map_set(n->node_of, info->key, kc_strdup(node));
}

const char *kc_nominator_node(const struct kc_nominator *n, const char *key)
{
        return kc_map_get(n->node_of, key);
}

const struct kc_nominees *kc_nominator_on(const struct kc_nominator *n, const char *node)
{
        return kc_map_get(n->by_node, node);
}
