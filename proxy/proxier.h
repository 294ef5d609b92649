/* Keeps the node's packet filter equal to the Services and EndpointSlices. Event handlers mark Services dirty on the
 * loop; one sync at a time runs on the pool, takes what is dirty and writes it in one transaction for each address
 * family. */
#pragma once

#include "client/informer.h"
#include "client/recorder.h"
#include "event/worker.h"
#include "proxy/ruleset.h"

struct kc_proxier;

struct kc_proxier_opts {
        struct kc_loop *loop;
        struct kc_pool *pool;
        struct kc_informers *informers; /* not started yet */
        const char *node_name;
        const char *cluster_cidr_v4, *cluster_cidr_v6; /* NULL: unknown */
        char *const *nodeport_addresses;               /* strv of CIDRs, or "primary" (the node's InternalIPs) */
        bool masquerade_all;
        int masquerade_bit;
        int64_t min_sync_period,
            sync_period;  /* microseconds: least time between syncs; full check when nothing happens */
        bool families[2]; /* IPv4, IPv6 */
};

int kc_proxier_new(const struct kc_proxier_opts *o, struct kc_proxier **ret, struct kc_error *err);
/* On the loop. */
void kc_proxier_start(struct kc_proxier *p);
/* After the pool has drained. The rules stay in the kernel: traffic flows while kube-proxy is down. */
void kc_proxier_free(struct kc_proxier *p);
KC_DEFINE_CLEANUP(struct kc_proxier *, kc_proxier_free)
/* Health check: the first sync is done, and no sync has been failing for 2 minutes. */
int kc_proxier_health(void *proxier, struct kc_error *err);
/* Removes the tables of both families (--cleanup). */
int kc_proxier_cleanup(struct kc_error *err);
