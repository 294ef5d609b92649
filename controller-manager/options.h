/* Flags of kube-controller-manager. */
#pragma once

#include "daemon/component.h"

struct kc_cm_options {
        struct kc_component_options component;
        char **controllers; /* strv: "*", "name", "-name" */
        /* Node IPAM */
        bool allocate_node_cidrs;
        char *cluster_cidr, *service_cluster_ip_range;
        int node_cidr_mask_size, node_cidr_mask_size_v4, node_cidr_mask_size_v6; /* 0: 24 and 64 */
        /* Node life cycle */
        int64_t node_monitor_period, node_monitor_grace_period, node_startup_grace_period;
        double node_eviction_rate, secondary_node_eviction_rate, unhealthy_zone_threshold;
        int large_cluster_size_threshold;
        /* Service accounts */
        bool use_service_account_credentials;
        char *root_ca_file, *sa_private_key_file;
        int terminated_pod_gc_threshold;
        /* Numbers of workers */
        int concurrent_deployment_syncs, concurrent_replicaset_syncs, concurrent_rc_syncs, concurrent_daemonset_syncs,
            concurrent_endpoint_syncs, concurrent_service_endpoint_syncs, concurrent_namespace_syncs,
            concurrent_serviceaccount_syncs, concurrent_gc_syncs;
        int max_endpoints_per_slice;
};

/* 0, 1 (--help, --version: end well) or negative. */
int kc_cm_options_parse(struct kc_cm_options *o, int argc, char **argv, struct kc_error *err);
void kc_cm_options_done(struct kc_cm_options *o);
/* Upstream's rule for --controllers: "-x" off, "x" on, "*" everything that is on by default. */
bool kc_cm_enabled(const struct kc_cm_options *o, const char *name, bool disabled_by_default);
