/* Name resolution and host names of pods: hosts file, DNS configuration, hostname. Pure but for the file functions: any
 * thread. Upstream: kubelet_pods.go (ensureHostsFile, GeneratePodHostNameAndDomain), network/dns/dns.go. */
#pragma once

#include "api/object.h"
#include "base/error.h"

/* *ret_hostname: spec.hostname or the pod's name, cut to 63 characters, or the node's name for host-network pods;
 * *ret_domain: "<subdomain>.<ns>.svc.<cluster domain>" or "". Heap. setHostnameAsFQDN: hostname is the FQDN. */
int kc_pod_hostname(const struct json_object *pod, const char *node_name, const char *cluster_domain,
    char **ret_hostname, char **ret_domain, struct kc_error *err);

struct kc_dns_settings {
        char *const *cluster_dns;   /* strv of addresses; empty: ClusterFirst falls back to Default with an event */
        const char *cluster_domain; /* "cluster.local" */
        const char *resolv_conf;    /* --resolv-conf; "" : none; default /etc/resolv.conf */
        char *const *node_ips;      /* unused but for messages */
};
struct kc_pod_dns {
        char **servers, **searches, **options; /* strv */
        bool fell_back;                        /* ClusterFirst without a cluster DNS: caller sends MissingClusterDNS */
};
/* dnsPolicy ClusterFirst, ClusterFirstWithHostNet, Default, None, and dnsConfig; with upstream's limits (3 servers, 32
 * searches, 2048 characters). */
int kc_pod_dns_make(
    const struct kc_dns_settings *s, const struct json_object *pod, struct kc_pod_dns *ret, struct kc_error *err);
void kc_pod_dns_done(struct kc_pod_dns *d);

/* Writes the managed hosts file of the pod (upstream's text, "# Kubernetes-managed hosts file."), with hostAliases.
 * host_network: the node's /etc/hosts is the base. Not rewritten when it is there with the same content. */
int kc_pod_hosts_write(const char *path, char *const *pod_ips, const char *hostname, const char *domain,
    const struct json_object *host_aliases, bool host_network, struct kc_error *err);
