/* Flags and configuration file (kubescheduler.config.k8s.io/v1 KubeSchedulerConfiguration) of kube-scheduler. */
#pragma once

#include "daemon/component.h"

struct kc_scheduler_options {
        struct kc_component_options component;
        char *config, *profile;
        int percentage_of_nodes_to_score;
};

/* 0, 1 (--help, --version: end well) or negative. */
int kc_scheduler_options_parse(struct kc_scheduler_options *o, int argc, char **argv, struct kc_error *err);
void kc_scheduler_options_done(struct kc_scheduler_options *o);
