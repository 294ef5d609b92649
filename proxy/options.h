/* Flags and configuration file (kubeproxy.config.k8s.io/v1alpha1 KubeProxyConfiguration) of kube-proxy. */
#pragma once

#include "daemon/daemon.h"

struct kc_proxy_options {
        struct kc_daemon_flags common;
        char *config, *kubeconfig, *hostname_override, *bind_address, *proxy_mode, *cluster_cidr;
        char *healthz_bind_address, *metrics_bind_address;
        char **nodeport_addresses;
        bool masquerade_all, cleanup;
        int masquerade_bit, conntrack_max_per_core, conntrack_min;
        int64_t min_sync_period, sync_period, conntrack_established, conntrack_close_wait;
};

/* Defaults, then the file, then flags. 0, 1 (--help, --version: end well) or negative. */
int kc_proxy_options_parse(struct kc_proxy_options *o, int argc, char **argv, struct kc_error *err);
void kc_proxy_options_done(struct kc_proxy_options *o);
/* "ip:port" of healthz and metrics; *ret_host is heap. -EINVAL. */
int kc_proxy_split_address(const char *address, char **ret_host, int *ret_port, struct kc_error *err);
