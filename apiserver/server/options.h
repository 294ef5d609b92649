/* The flags of kube-apiserver, with upstream's names and defaults. */
#pragma once

#include "audit/flags.h"
#include "auth/authn_config.h"
#include "base/error.h"
#include "base/ip.h"
#include "daemon/daemon.h"
#include "daemon/tls_flags.h"

struct kc_apiserver_options {
        struct kc_daemon_flags common;
        /* etcd */
        char **etcd_servers;
        char *encryption_config;
        bool encryption_reload;
        char *etcd_cafile, *etcd_certfile, *etcd_keyfile, *etcd_prefix;
        int64_t etcd_compaction_interval; /* usec */
        char *storage_backend;
        /* serving */
        char *bind_address, *advertise_address, *external_hostname;
        int secure_port;
        char *tls_cert_file, *tls_private_key_file, *cert_dir, *client_ca_file;
        struct kc_tls_flags tls;
        int max_requests_inflight, max_mutating_requests_inflight;
        bool enable_priority_and_fairness;
        int64_t request_timeout, shutdown_delay_duration; /* usec */
        int min_request_timeout;                          /* seconds */
        int http2_max_streams;
        char **runtime_config; /* strv; has been applied (api/served.h) */
        /* authentication */
        bool anonymous_auth, enable_bootstrap_token_auth;
        char *token_auth_file;
        char **service_account_key_files, **service_account_issuers, **api_audiences;
        char *service_account_signing_key_file, *service_account_jwks_uri;
        bool anonymous_given;
        char *authentication_config, *webhook_config, *webhook_version;
        int64_t webhook_cache_ttl; /* usec */
        struct kc_oidc_flags oidc;
        char *requestheader_client_ca_file;
        char **requestheader_allowed_names, **requestheader_username_headers, **requestheader_uid_headers,
            **requestheader_group_headers, **requestheader_extra_prefixes;
        bool service_account_lookup, service_account_extend_expiration;
        int64_t service_account_max_expiration; /* usec */
        /* authorization, admission */
        char **authorization_modes;
        char *authorization_config, *authorization_policy_file;
        char *authorization_webhook_config_file, *authorization_webhook_version;
        int64_t authorization_webhook_authorized_ttl, authorization_webhook_unauthorized_ttl; /* usec */
        char **enable_admission, **disable_admission;
        /* the kinds */
        char *service_cluster_ip_range, *service_node_port_range;
        int kubernetes_service_node_port;
        char **authorization_always_allow_paths; /* a * at the end stands for everything below */
        char *swagger_ui_dir;                    /* NULL: no /swagger-ui/ */
        int64_t event_ttl;                       /* usec */
        bool allow_privileged;
        /* kubelets */
        char *kubelet_client_certificate, *kubelet_client_key, *kubelet_certificate_authority;
        char **kubelet_preferred_address_types;
        int64_t kubelet_timeout; /* usec */

        struct kc_audit_flags audit;

        /* Derived when the flags are complete. */
        struct kc_cidr service_cidrs[2];
        size_t n_service_cidrs;
        int node_port_min, node_port_max;
        char *serving_cert, *serving_key; /* the given ones, or self-signed ones in cert_dir */
        char *advertised;                 /* --advertise-address, --bind-address or the address of the default route */
};

/* Parses, fills in defaults and checks. As kc_daemon_parse: 0 go on, 1 done, negative error. */
int kc_apiserver_options_parse(struct kc_apiserver_options *o, int argc, char **argv, struct kc_error *err);
void kc_apiserver_options_done(struct kc_apiserver_options *o);
