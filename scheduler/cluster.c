/* Columns of nodes. Every change touches the rows it concerns; nothing is rescanned. Loop thread. */
#include "scheduler/cluster.h"

#include <string.h>

#include "api/quantity.h"
#include "base/str.h"
#include "scheduler/queue.h"

struct placed {
        struct kc_pod_info *info;
        char *node;
        bool assumed;
};

struct image {
        size_t nodes;
        int64_t size;
};

static void placed_free(void *p)
{
        struct placed *pl = p;
        kc_pod_info_free(pl->info);
        kc_free(pl->node);
        kc_free(pl);
}

void kc_cluster_init(struct kc_cluster *c)
{
        *c = (struct kc_cluster){0};
        c->row_by_name = kc_map_new(NULL);
        c->pods = kc_map_new(placed_free);
        c->images = kc_map_new(kc_free);
        kc_nominator_init(&c->nominated);
}

void kc_cluster_done(struct kc_cluster *c)
{
        for (size_t i = 0; i < c->n_nodes; i++) {
                kc_free(c->names[i]);
                kc_object_unrefp(&c->nodes[i].obj);
                kc_free(c->nodes[i].pods);
        }
        for (int r = 0; r < KC_RES_MAX; r++) {
                kc_free(c->alloc[r]);
                kc_free(c->used[r]);
        }
        kc_free(c->names);
        kc_free(c->nodes);
        kc_free(c->nonzero_cpu);
        kc_free(c->nonzero_memory);
        kc_map_free(c->row_by_name);
        kc_map_free(c->pods);
        kc_map_free(c->images);
        kc_nominator_done(&c->nominated);
}

int kc_cluster_row(const struct kc_cluster *c, const char *name)
{
        return (int)(intptr_t)kc_map_get(c->row_by_name, name) - 1;
}

static int64_t *grow(int64_t *column, size_t old, size_t cap)
{
        column = kc_reallocarray(column, cap, sizeof(*column));
        memset(column + old, 0, (cap - old) * sizeof(*column));
        return column;
}

static void reserve(struct kc_cluster *c)
{
        size_t cap = c->cap ? 2 * c->cap : 16;

        if (c->n_nodes < c->cap)
                return;
        c->names = kc_reallocarray(c->names, cap, sizeof(*c->names));
        c->nodes = kc_reallocarray(c->nodes, cap, sizeof(*c->nodes));
        for (int r = 0; r < KC_RES_MAX; r++) {
                c->alloc[r] = grow(c->alloc[r], c->cap, cap);
                c->used[r] = grow(c->used[r], c->cap, cap);
        }
        c->nonzero_cpu = grow(c->nonzero_cpu, c->cap, cap);
        c->nonzero_memory = grow(c->nonzero_memory, c->cap, cap);
        c->cap = cap;
}

static size_t row_for(struct kc_cluster *c, const char *name)
{
        int row = kc_cluster_row(c, name);
        if (row >= 0)
                return (size_t)row;
        reserve(c);
        size_t i = c->n_nodes++;
        c->names[i] = kc_strdup(name);
        c->nodes[i] = (struct kc_sched_node){0};
        for (int r = 0; r < KC_RES_MAX; r++)
                c->alloc[r][i] = c->used[r][i] = 0;
        c->nonzero_cpu[i] = c->nonzero_memory[i] = 0;
        kc_map_set(c->row_by_name, name, (void *)(intptr_t)(i + 1));
        return i;
}

/* The last row moves to the place of the removed one. */
static void drop_row(struct kc_cluster *c, size_t i)
{
        size_t last = --c->n_nodes;

        (void)kc_map_remove(c->row_by_name, c->names[i]); /* it is there: the row was found by it */
        kc_free(c->names[i]);
        kc_object_unrefp(&c->nodes[i].obj);
        kc_free(c->nodes[i].pods);
        if (i == last)
                return;
        c->names[i] = c->names[last];
        c->nodes[i] = c->nodes[last];
        for (int r = 0; r < KC_RES_MAX; r++) {
                c->alloc[r][i] = c->alloc[r][last];
                c->used[r][i] = c->used[r][last];
        }
        c->nonzero_cpu[i] = c->nonzero_cpu[last];
        c->nonzero_memory[i] = c->nonzero_memory[last];
        kc_map_set(c->row_by_name, c->names[i], (void *)(intptr_t)(i + 1));
}

static void count_images(struct kc_cluster *c, const struct json_object *node, int sign)
{
        const struct json_object *images = kc_json_at(node, "status.images");
        for (size_t i = 0; i < kc_json_len(images); i++) {
                const struct json_object *names = kc_json_get(kc_json_idx(images, i), "names");
                for (size_t j = 0; j < kc_json_len(names); j++) {
                        const char *name = kc_json_as_str(kc_json_idx(names, j));
                        struct image *im = name ? kc_map_get(c->images, name) : NULL;
                        if (!name)
                                continue;
                        if (!im) {
                                im = KC_NEW(struct image);
                                kc_map_set(c->images, name, im);
                        }
                        im->nodes = (size_t)((int64_t)im->nodes + sign);
                        im->size = kc_json_int(kc_json_idx(images, i), "sizeBytes", 0);
                        if (im->nodes == 0)
                                (void)kc_map_remove(c->images, name);
                }
        }
}

int64_t kc_cluster_image(const struct kc_cluster *c, size_t row, const char *name, size_t *ret_nodes)
{
        const struct image *im = kc_map_get(c->images, name);
        const struct json_object *images = kc_json_at(kc_object_json(c->nodes[row].obj), "status.images");

        *ret_nodes = im ? im->nodes : 0;
        for (size_t i = 0; im && i < kc_json_len(images); i++) {
                const struct json_object *names = kc_json_get(kc_json_idx(images, i), "names");
                for (size_t j = 0; j < kc_json_len(names); j++)
                        if (kc_streq(kc_json_as_str(kc_json_idx(names, j)), name))
                                return kc_json_int(kc_json_idx(images, i), "sizeBytes", 0);
        }
        return 0;
}

static void set_allocatable(struct kc_cluster *c, size_t row, const struct json_object *node)
{
        for (int r = 0; r < KC_RES_MAX; r++)
                c->alloc[r][row] = 0;
        KC_JSON_FOREACH(kc_json_at(node, "status.allocatable"), name, value)
        {
                struct kc_quantity q;
                int id = kc_resource_id(name);
                if (id < 0 || kc_quantity_parse(kc_json_as_str(value), &q) < 0)
                        continue;
                c->alloc[id][row] = id == KC_RES_CPU ? kc_quantity_milli(&q) : kc_quantity_value(&q);
        }
}

static uint32_t node_changes(const struct json_object *old, const struct json_object *new)
{
        uint32_t mask = 0;

        if (!old)
                return KC_EVENT_NODE_ADD;
        if (!kc_json_equal(kc_json_at(old, "status.allocatable"), kc_json_at(new, "status.allocatable")))
                mask |= KC_EVENT_NODE_ALLOCATABLE;
        if (!kc_json_equal(kc_meta_labels(old), kc_meta_labels(new)))
                mask |= KC_EVENT_NODE_LABEL;
        if (!kc_json_equal(kc_json_at(old, "spec.taints"), kc_json_at(new, "spec.taints")) ||
            kc_json_bool_at(old, "spec.unschedulable", false) != kc_json_bool_at(new, "spec.unschedulable", false))
                mask |= KC_EVENT_NODE_TAINT;
        return mask;
}

uint32_t kc_cluster_set_node(struct kc_cluster *c, struct kc_object *node)
{
        const struct json_object *tree = kc_object_json(node);
        size_t row = row_for(c, kc_object_name(node));
        struct kc_sched_node *n = &c->nodes[row];
        uint32_t mask = node_changes(n->obj ? kc_object_json(n->obj) : NULL, tree);

        if (n->obj)
                count_images(c, kc_object_json(n->obj), -1);
        count_images(c, tree, 1);
        kc_object_unrefp(&n->obj);
        n->obj = kc_object_ref(node);
        set_allocatable(c, row, tree);
        return mask;
}

void kc_cluster_remove_node(struct kc_cluster *c, const char *name)
{
        int row = kc_cluster_row(c, name);
        if (row < 0)
                return;
        struct kc_sched_node *n = &c->nodes[row];
        if (n->obj)
                count_images(c, kc_object_json(n->obj), -1);
        kc_object_unrefp(&n->obj);
        n->obj = NULL;
        /* Its pods are deleted later; until then the row stays without a node. */
        if (n->n_pods == 0)
                drop_row(c, (size_t)row);
}

static void account(struct kc_cluster *c, size_t row, const struct kc_pod_info *p, int sign)
{
        for (int r = 0; r < kc_resource_count(); r++)
                c->used[r][row] += sign * p->req[r];
        c->nonzero_cpu[row] += sign * p->nonzero_cpu;
        c->nonzero_memory[row] += sign * p->nonzero_memory;
}

void kc_cluster_try_add(struct kc_cluster *c, size_t row, struct kc_pod_info *p)
{
        struct kc_sched_node *n = &c->nodes[row];

        n->pods = kc_reallocarray(n->pods, n->n_pods + 1, sizeof(*n->pods));
        n->pods[n->n_pods++] = p;
        account(c, row, p, 1);
}

void kc_cluster_try_remove(struct kc_cluster *c, size_t row, struct kc_pod_info *p)
{
        struct kc_sched_node *n = &c->nodes[row];

        for (size_t i = 0; i < n->n_pods; i++)
                if (n->pods[i] == p) {
                        n->pods[i] = n->pods[--n->n_pods];
                        break;
                }
        account(c, row, p, -1);
}

static void place(struct kc_cluster *c, struct kc_pod_info *info, const char *node, bool assumed)
{
        struct placed *pl = KC_NEW(struct placed);

        *pl = (struct placed){.info = info, .node = kc_strdup(node), .assumed = assumed};
        kc_cluster_try_add(c, row_for(c, node), info);
        kc_map_set(c->pods, info->key, pl);
}

bool kc_cluster_remove_pod(struct kc_cluster *c, const char *key)
{
        struct placed *pl = kc_map_get(c->pods, key);
        if (!pl)
                return false;
        int row = kc_cluster_row(c, pl->node);
        struct kc_sched_node *n = &c->nodes[row];
        kc_cluster_try_remove(c, (size_t)row, pl->info);
        if (!n->obj && n->n_pods == 0)
                drop_row(c, (size_t)row);
        (void)kc_map_remove(c->pods, key); /* it is there */
        return true;
}

void kc_cluster_set_pod(struct kc_cluster *c, struct kc_object *pod)
{
        const char *node = kc_json_str_at(kc_object_json(pod), "spec.nodeName");
        struct kc_pod_info *info = kc_pod_info_new(pod);

        (void)kc_cluster_remove_pod(c, info->key); /* an older or assumed self, if any */
        place(c, info, node, false);
}

void kc_cluster_assume(struct kc_cluster *c, struct kc_pod_info *take_pod, size_t row)
{
        KC_CLEANUP(kc_freep) char *node = kc_strdup(c->names[row]);
        (void)kc_cluster_remove_pod(c, take_pod->key); /* a leftover of the same name */
        place(c, take_pod, node, true);
}

void kc_cluster_forget(struct kc_cluster *c, const char *key)
{
        if (kc_cluster_is_assumed(c, key))
                (void)kc_cluster_remove_pod(c, key); /* it is there */
}

bool kc_cluster_is_assumed(const struct kc_cluster *c, const char *key)
{
        const struct placed *pl = kc_map_get(c->pods, key);
        return pl && pl->assumed;
}
