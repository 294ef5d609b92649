/* Flags of kube-controller-manager. */
#pragma once

#include "daemon/component.h"

/* Signers that --cluster-signing-<name>-cert-file and -key-file are for. */
enum {
        KC_SIGNING_KUBELET_SERVING,
        KC_SIGNING_KUBELET_CLIENT,
        KC_SIGNING_API_CLIENT,
        KC_SIGNING_LEGACY,
        KC_N_SIGNERS,
};
struct kc_cm_signing {
        char *cert_file, *key_file; /* both or none */
};

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
        int64_t legacy_token_clean_up_period;
        /* Certificates: without files of its own a signer has the default's. */
        struct kc_cm_signing signing[KC_N_SIGNERS], signing_default;
        int64_t signing_duration;
        int terminated_pod_gc_threshold;
        /* Numbers of workers */
        int concurrent_deployment_syncs, concurrent_replicaset_syncs, concurrent_rc_syncs, concurrent_daemonset_syncs,
            concurrent_endpoint_syncs, concurrent_service_endpoint_syncs, concurrent_namespace_syncs,
            concurrent_serviceaccount_syncs, concurrent_gc_syncs, concurrent_resource_quota_syncs;
        int64_t resource_quota_sync_period;
        int max_endpoints_per_slice;
};

/* 0, 1 (--help, --version: end well) or negative. */
int kc_cm_options_parse(struct kc_cm_options *o, int argc, char **argv, struct kc_error *err);
void kc_cm_options_done(struct kc_cm_options *o);
/* Upstream's rule for --controllers: "-x" off, "x" on, "*" everything that is on by default. alias (may be
 * NULL) counts as the name. */
bool kc_cm_enabled(const struct kc_cm_options *o, const char *name, const char *alias, bool disabled_by_default);
