/* The nftables table of one address family: what is in the kernel, and the transactions that change it. Not
 * thread-safe. */
#pragma once

#include "base/buf.h"
#include "proxy/model.h"

struct kc_ruleset;

struct kc_ruleset_opts {
        int family;
        const char *cluster_cidr; /* NULL: traffic to cluster IPs is not masqueraded by source */
        bool masquerade_all;
        int masquerade_bit; /* of the packet mark; upstream's 14 */
        char *const
            *nodeport_cidrs; /* strv; addresses of this node in them serve node ports; empty: all but loopback */
};

struct kc_ruleset *kc_ruleset_new(const struct kc_ruleset_opts *o);
void kc_ruleset_free(struct kc_ruleset *r);
KC_DEFINE_CLEANUP(struct kc_ruleset *, kc_ruleset_free)

/* Replaces what a Service (by key "ns/name") has; rules NULL: it is gone. Takes the content of rules. Nothing is
 * written before kc_ruleset_changes. */
void kc_ruleset_set(struct kc_ruleset *r, const char *service_key, struct kc_proxy_rules *take_rules);
/* kc_proxy_rules.udp of a Service as it was set last, or NULL. */
char *const *kc_ruleset_udp(const struct kc_ruleset *r, const char *service_key);
/* Keys of the Services that have rules: strv, sorted, the caller's. */
char **kc_ruleset_services(const struct kc_ruleset *r);

/* Takes effect with the next kc_ruleset_full. */
void kc_ruleset_set_nodeport_cidrs(struct kc_ruleset *r, char *const *cidrs);
/* Appends the nft commands for everything that was set since the last kc_ruleset_commit; its size depends on the
 * change. Nothing is appended when nothing changed. */
void kc_ruleset_changes(struct kc_ruleset *r, struct kc_buf *ret);
/* Appends the commands that make the whole table anew, atomically. affinity: lines of kc_nft_affinity, kept where the
 * set is still wanted; or NULL. */
void kc_ruleset_full(struct kc_ruleset *r, char *const *affinity, struct kc_buf *ret);
/* The last commands were carried out. */
void kc_ruleset_commit(struct kc_ruleset *r);
size_t kc_ruleset_elements(const struct kc_ruleset *r);
