/* The rules that one Service needs, computed from its object and its EndpointSlices. Pure: any thread, no I/O.
 *
 *   Service + EndpointSlices --kc_proxy_service_rules--> struct kc_proxy_rules --ruleset.h--> one nft transaction
 *
 * Everything is an element of a map or a set whose lookup does not depend on how many Services there are:
 *
 *   service-ips      daddr . proto . dport            -> goto chain      (cluster IPs, external and load-balancer IPs)
 *   endpoints-tcp    daddr . dport . i                -> endpoint . port (i = 0 .. n-1, drawn by "numgen random mod n")
 *   local-endpoints-tcp  the same, of this node only; -udp, -sctp
 *   nodeports, nodeport-endpoints-tcp, nodeport-local-endpoints-tcp, ...: the same without daddr
 *   no-endpoint-services, no-endpoint-nodeports       -> reject or drop
 *   cluster-ips, hairpin (endpoint . endpoint)        sets
 *
 * The chains they go to depend only on the number of endpoints ("lb-3"), so there are as many as there are distinct
 * numbers. Session affinity needs one set and one chain for each endpoint, as upstream's nftables mode has. */
#pragma once

#include <stdbool.h>

#include "api/object.h"
#include "json/json.h"

struct kc_proxy_env {
        int family;               /* AF_INET or AF_INET6: which table is computed */
        const char *node_name;    /* for "local" endpoints */
        const char *cluster_cidr; /* of that family; NULL: no detection of local traffic */
};

/* A chain of a Service's own (session affinity, load-balancer source ranges). */
struct kc_proxy_chain {
        char *name;
        char **rules;      /* strv */
        char **set_names;  /* affinity sets that the rules use, strv */
        int64_t timeout_s; /* of the sets' elements */
};

struct kc_proxy_rules {
        /* "<map or set>\t<key>\t<value>"; value "" for sets. strv, sorted, no element twice. */
        char **elements;
        struct kc_proxy_chain *chains;
        size_t n_chains;
        /* For conntrack clean-up. "ip port" for each UDP address of the Service ("* port" for a node port), and "ip
         * port ep-ip ep-port" for each endpoint that its flows may go to: all that serve, terminating or not. strv,
         * sorted. */
        char **udp;
};

/* slices: those of this Service (label kubernetes.io/service-name). A Service that needs no rules (headless,
 * ExternalName, other proxy) gives an empty result. */
void kc_proxy_service_rules(const struct kc_proxy_env *env, const struct json_object *service,
    const struct kc_objects *slices, struct kc_proxy_rules *ret);
void kc_proxy_rules_done(struct kc_proxy_rules *r);

/* Ready endpoints on this node of a Service whose externalTrafficPolicy is Local: for its health check node port. */
size_t kc_proxy_local_endpoints(const struct kc_proxy_env *env, const struct kc_objects *slices);
