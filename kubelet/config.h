/* The kubelet's configuration: upstream's flags and the KubeletConfiguration file (kubelet.config.k8s.io/v1beta1). A
 * flag given on the command line wins over the file, the file over the defaults. */
#pragma once

#include "daemon/daemon.h"

struct kc_kubelet_config {
        struct kc_daemon_flags common;
        /* where things are */
        char *kubeconfig, *config_file, *bootstrap_kubeconfig;
        char *root_dir, *cert_dir, *pod_manifest_path, *pod_logs_dir, *container_logs_dir;
        char *container_runtime_endpoint, *image_service_endpoint;
        char *cni_conf_dir; /* where the node's CNI configuration is written; "" : not at all */
        char *resolv_conf;
        /* who we are */
        char *hostname_override, *node_ip;
        char **node_labels, **register_with_taints;
        bool register_node, register_schedulable;
        /* serving */
        char *address, *healthz_bind_address;
        int port, healthz_port;
        char *tls_cert_file, *tls_private_key_file, *tls_min_version, *client_ca_file;
        char **tls_cipher_suites;
        bool anonymous_auth, authentication_token_webhook, enable_debugging_handlers;
        bool rotate_certificates, server_tls_bootstrap;
        int64_t token_cache_ttl, authorized_cache_ttl, unauthorized_cache_ttl;
        char *authorization_mode;
        int64_t streaming_connection_idle_timeout;
        /* pods */
        char **cluster_dns;
        char *cluster_domain;
        char *cgroup_driver, *cgroup_root;
        bool cgroups_per_qos, cpu_cfs_quota, seccomp_default, fail_swap_on, serialize_image_pulls;
        int64_t cpu_cfs_quota_period;
        int max_pods, pods_per_core, max_parallel_image_pulls;
        double registry_qps;
        int registry_burst;
        int64_t max_container_restart_period;
        char **kube_reserved, **system_reserved, **eviction_hard; /* "k=v" */
        int64_t runtime_request_timeout, sync_frequency, file_check_frequency;
        /* node status */
        int64_t node_status_update_frequency, node_status_report_frequency;
        int node_lease_duration_seconds;
        /* garbage */
        int max_dead_containers_per_container, image_gc_high, image_gc_low;
        int64_t minimum_container_ttl, minimum_image_ttl, image_maximum_gc_age;
        char *container_log_max_size;
        int container_log_max_files;
        int64_t container_log_monitor_interval;
        double kube_api_qps;
        int kube_api_burst;
        int pod_workers;
};

/* Defaults, command line, file, checks. Returns as kc_daemon_parse: 0 go on, 1 done. */
int kc_kubelet_config_parse(int argc, char **argv, struct kc_kubelet_config *ret, struct kc_error *err);
void kc_kubelet_config_done(struct kc_kubelet_config *c);
/* A KubeletConfiguration object of what is in effect (/configz). The caller's. */
struct json_object *kc_kubelet_config_json(const struct kc_kubelet_config *c);
/* Applies a parsed KubeletConfiguration where given(name of the flag) is false; for tests. */
int kc_kubelet_config_apply(struct kc_kubelet_config *c, const struct json_object *file,
    bool (*given)(void *arg, const char *flag), void *arg, struct kc_error *err);
void kc_kubelet_config_defaults(struct kc_kubelet_config *c);
