/* Flags and configuration file (kubescheduler.config.k8s.io/v1 KubeSchedulerConfiguration) of kube-scheduler. */
#pragma once

#include "daemon/daemon.h"

struct kc_scheduler_options {
        struct kc_daemon_flags common;
        char *config, *kubeconfig, *bind_address, *cert_file, *key_file, *cert_dir, *client_ca_file;
        char *authentication_kubeconfig, *authorization_kubeconfig;
        int secure_port;
        bool leader_elect;
        int64_t lease_duration, renew_deadline, retry_period;
        char *lease_name, *lease_namespace;
        char *profile;
        int percentage_of_nodes_to_score;
};

/* 0, 1 (--help, --version: end well) or negative. */
int kc_scheduler_options_parse(struct kc_scheduler_options *o, int argc, char **argv, struct kc_error *err);
void kc_scheduler_options_done(struct kc_scheduler_options *o);
