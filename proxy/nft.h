/* The kernel's side: runs nft transactions (libnftables), tells when someone else has removed our tables, and forgets
 * UDP flows of endpoints that are gone. */
#pragma once

#include "base/error.h"
#include "base/map.h"
#include "event/loop.h"

struct kc_nft;

/* Threads that call kc_nft_run bear a name that begins so. */
#define KC_NFT_THREAD_NAME "kube-proxy"

int kc_nft_new(struct kc_nft **ret, struct kc_error *err);
void kc_nft_free(struct kc_nft *n);
KC_DEFINE_CLEANUP(struct kc_nft *, kc_nft_free)
/* One transaction: all or nothing. Blocks; one thread at a time. */
int kc_nft_run(struct kc_nft *n, const char *commands, struct kc_error *err);
/* The clients that the kernel remembers for session affinity: "set\taddress\tseconds left" for each element of a set
 * "clients-..." in the family's table; none if there is no such table. ret_lines: strv, appended to. Blocks. */
void kc_nft_affinity(struct kc_nft *n, int family, char ***ret_lines);

/* fn on the loop when a process other than ours has deleted something in a table named kube-proxy (nft flush ruleset).
 * Silent otherwise: a netlink subscription, no polling. */
struct kc_nft_watch;
int kc_nft_watch_new(
    struct kc_loop *loop, void (*fn)(void *arg), void *arg, struct kc_nft_watch **ret, struct kc_error *err);
void kc_nft_watch_free(struct kc_nft_watch *w);
KC_DEFINE_CLEANUP(struct kc_nft_watch *, kc_nft_watch_free)
/* Deletes conntrack entries of UDP flows to one of these addresses ("ip port" or "* port") that do not come back from
 * an endpoint that may be there ("ip port ep-ip ep-port"), translated or not. Keys of the maps are as in
 * kc_proxy_rules.udp. Blocks. As upstream's conntrack reconciler. */
int kc_conntrack_forget_udp(
    int family, const struct kc_map *addresses, const struct kc_map *endpoints, struct kc_error *err);
