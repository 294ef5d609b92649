/* Node IPAM: gives every node a pod CIDR of --cluster-cidr. What is taken is what the nodes in the cache have, plus
 * what was given and is not in the cache yet. Handlers on the loop; sync on one worker at a time. */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/ip.h"
#include "base/log.h"
#include "base/map.h"
#include "base/str.h"
#include "controller-manager/options.h"
#include "controller-manager/table.h"

enum { MAX_FAMILIES = 2, DEFAULT_MASK_V4 = 24, DEFAULT_MASK_V6 = 64 };

struct range {
        struct kc_cidr cidr;
        int mask;
        uint64_t next; /* where the search goes on: fresh CIDRs before returned ones */
};

struct nodeipam {
        struct kc_rest *rest;
        struct kc_informer *nodes;
        struct kc_controller *controller;
        struct kc_recorder *recorder;
        struct range ranges[MAX_FAMILIES];
        size_t n_ranges;
        pthread_mutex_t lock;
        struct kc_map *owners; /* guarded by lock: CIDR -> node name (heap) */
};

static void enqueue(struct nodeipam *c, const struct kc_object *node)
{
        kc_workqueue_add(kc_controller_queue(c->controller), kc_object_name(node));
}

static void take(struct nodeipam *c, const struct kc_object *node)
{
        const struct json_object *list = kc_json_at(kc_object_json(node), "spec.podCIDRs");

        pthread_mutex_lock(&c->lock);
        for (size_t i = 0; i < kc_json_len(list); i++)
                if (kc_json_as_str(kc_json_idx(list, i)))
                        kc_map_set(c->owners, kc_json_as_str(kc_json_idx(list, i)), kc_strdup(kc_object_name(node)));
        pthread_mutex_unlock(&c->lock);
}

static void on_node_add(struct kc_object *o, bool initial, void *arg)
{
        (void)initial;
        take(arg, o);
        enqueue(arg, o);
}

static void on_node_update(struct kc_object *old, struct kc_object *o, void *arg)
{
        (void)old;
        take(arg, o);
        if (kc_json_len(kc_json_at(kc_object_json(o), "spec.podCIDRs")) == 0)
                enqueue(arg, o);
}

/* All that the node has, also what it was given and perhaps never got. */
static void give_back(struct nodeipam *c, const char *node)
{
        size_t it = 0;
        const char *cidr;
        void *owner;

        pthread_mutex_lock(&c->lock);
        while (kc_map_next(c->owners, &it, &cidr, &owner))
                if (kc_streq(owner, node))
                        (void)kc_map_remove(c->owners, cidr); /* it is there */
        pthread_mutex_unlock(&c->lock);
}

static void on_node_delete(struct kc_object *o, void *arg)
{
        give_back(arg, kc_object_name(o));
}

/* How many CIDRs of the mask's size are in the range; at most 2^16 of them are used, as upstream's bitmap. */
static uint64_t range_size(const struct range *r)
{
        int bits = r->mask - r->cidr.bits;
        return bits > 16 ? (uint64_t)1 << 16 : (uint64_t)1 << bits;
}

/* The i-th CIDR: the range's prefix with i in the bits before the mask's end. */
static void nth_cidr(const struct range *r, uint64_t i, char text[static KC_IP_LEN])
{
        struct kc_cidr c = {.ip = r->cidr.ip, .bits = r->mask};
        for (int bit = r->mask - 1; i; bit--, i >>= 1)
                if (i & 1)
                        c.ip.b[bit / 8] |= (uint8_t)(0x80 >> (bit % 8));
        (void)kc_cidr_format(&c, text);
}

/* What an earlier attempt has reserved for the node: it may have been written though the answer did not arrive. */
static const char *reserved(const struct nodeipam *c, const struct range *r, const char *node)
{
        size_t it = 0;
        const char *cidr;
        void *owner;

        while (kc_map_next(c->owners, &it, &cidr, &owner))
                if (kc_streq(owner, node) && (strchr(cidr, ':') != NULL) == (r->cidr.ip.family == AF_INET6))
                        return cidr;
        return NULL;
}

static bool find_free(struct nodeipam *c, struct range *r, const char *node, char text[static KC_IP_LEN])
{
        uint64_t n = range_size(r);

        pthread_mutex_lock(&c->lock);
        const char *have = reserved(c, r, node);
        bool found = have != NULL;
        if (have)
                (void)snprintf(text, KC_IP_LEN, "%s", have); /* it was made of that length */
        for (uint64_t i = 0; i < n && !found; i++) {
                nth_cidr(r, (r->next + i) % n, text);
                if (kc_map_has(c->owners, text))
                        continue;
                kc_map_set(c->owners, text, kc_strdup(node));
                r->next = (r->next + i + 1) % n;
                found = true;
        }
        pthread_mutex_unlock(&c->lock);
        return found;
}

static int assign(struct nodeipam *c, const struct json_object *node, struct kc_error *err)
{
        struct json_object *cidrs = json_object_new_array();
        char text[KC_IP_LEN];
        int rc = 0;

        for (size_t i = 0; i < c->n_ranges && rc == 0; i++) {
                if (find_free(c, &c->ranges[i], kc_meta_name(node), text))
                        kc_json_push_str(cidrs, text);
                else
                        rc = kc_error_set(err, ENOSPC,
                            "CIDR allocation failed; there are no remaining CIDRs left to "
                            "allocate in the accepted range");
        }
        KC_CLEANUP(kc_json_freep)
        struct json_object *patch =
            kc_json_build("{'metadata':{'uid':%s,'resourceVersion':%s},'spec':{'podCIDR':%s,'podCIDRs':%o}}",
                kc_meta_uid(node), kc_meta_resource_version(node), kc_json_as_str(kc_json_idx(cidrs, 0)), cidrs);
        if (rc == 0)
                rc =
                    kc_rest_patch(c->rest, &KC_NODES, NULL, kc_meta_name(node), NULL, KC_PATCH_MERGE, patch, NULL, err);
        if (rc == 0)
                return 0;
        if (kc_error_is(err, KC_REASON_NOT_FOUND)) {
                give_back(c, kc_meta_name(node));
                kc_error_done(err);
                return 0;
        }
        /* The cache was late: perhaps the node has its CIDRs already. */
        if (kc_error_is(err, KC_REASON_CONFLICT))
                return rc;
        kc_recorder_event(c->recorder, &KC_NODES, node, "Normal", "CIDRNotAvailable",
            "Node %s status is now: CIDRNotAvailable", kc_meta_name(node));
        return rc;
}

static int sync_node(void *arg, const char *key, struct kc_error *err)
{
        struct nodeipam *c = arg;
        KC_CLEANUP(kc_object_unrefp) struct kc_object *node = kc_informer_lookup_key(c->nodes, key);

        if (!node || kc_json_len(kc_json_at(kc_object_json(node), "spec.podCIDRs")) > 0)
                return 0;
        return assign(c, kc_object_json(node), err);
}

static int parse_ranges(struct nodeipam *c, const struct kc_cm_options *o, struct kc_error *err)
{
        KC_CLEANUP(kc_strv_freep) char **list = kc_strv_split(o->cluster_cidr, ',');

        for (size_t i = 0; list && list[i] && i < MAX_FAMILIES; i++) {
                struct range *r = &c->ranges[c->n_ranges++];
                if (kc_cidr_parse(list[i], &r->cidr, NULL) < 0)
                        return kc_error_set(err, EINVAL, "--cluster-cidr: \"%s\" is not a CIDR", list[i]);
                bool v4 = r->cidr.ip.family == AF_INET;
                int own = v4 ? o->node_cidr_mask_size_v4 : o->node_cidr_mask_size_v6;
                r->mask = own                      ? own
                          : o->node_cidr_mask_size ? o->node_cidr_mask_size
                          : v4                     ? DEFAULT_MASK_V4
                                                   : DEFAULT_MASK_V6;
                if (r->mask < r->cidr.bits || r->mask > (v4 ? 32 : 128))
                        return kc_error_set(
                            err, EINVAL, "--node-cidr-mask-size: %d does not fit into %s", r->mask, list[i]);
        }
        return 0;
}

static void free_state(void *state)
{
        struct nodeipam *c = state;
        kc_controller_freep(&c->controller);
        kc_recorder_freep(&c->recorder);
        kc_map_free(c->owners);
        pthread_mutex_destroy(&c->lock);
        kc_free(c);
}

static int init(const struct kc_cm_context *cm, void **ret, struct kc_error *err)
{
        struct nodeipam *c;
        int rc;

        *ret = NULL;
        if (!cm->options->allocate_node_cidrs)
                return 0;
        c = KC_NEW(struct nodeipam);
        pthread_mutex_init(&c->lock, NULL);
        c->owners = kc_map_new(kc_free);
        rc = parse_ranges(c, cm->options, err);
        if (rc < 0) {
                free_state(c);
                return rc;
        }
        c->rest = cm->rest;
        c->nodes = kc_informers_get(cm->informers, &KC_NODES);
        c->recorder = kc_recorder_new(cm->rest, cm->pool, "cidrAllocator", NULL);
        c->controller = kc_controller_new(cm->loop, cm->pool, "node-ipam-controller", 1, sync_node, c);
        kc_informer_add_handler(
            c->nodes, &(struct kc_informer_handler){on_node_add, on_node_update, on_node_delete}, c);
        *ret = c;
        return 0;
}

static void start(void *state)
{
        kc_controller_start(((struct nodeipam *)state)->controller);
}

const struct kc_controller_def kc_nodeipam_controller = {
    .name = "node-ipam-controller", .init = init, .start = start, .free = free_state};
