/* Every controller's definition; each is in the file that bears its name. */
#pragma once

#include "controller-manager/context.h"

extern const struct kc_controller_def kc_disruption_controller, kc_garbagecollector_controller, kc_namespace_controller,
    kc_podgc_controller, kc_daemonset_controller, kc_deployment_controller, kc_endpoints_controller,
    kc_endpointslice_controller, kc_nodeipam_controller, kc_nodelifecycle_controller, kc_replicaset_controller,
    kc_tainteviction_controller, kc_replicationcontroller_controller, kc_root_ca_controller,
    kc_serviceaccount_controller, kc_servicecidr_controller, kc_job_controller, kc_ttlafterfinished_controller,
    kc_statefulset_controller, kc_cronjob_controller, kc_csrsigning_controller, kc_csrapproving_controller,
    kc_csrcleaner_controller, kc_clusterroleaggregation_controller, kc_pvcprotection_controller,
    kc_pvprotection_controller, kc_vacprotection_controller, kc_resourcequota_controller;
/* Certificates and tokens. */
extern const struct kc_controller_def kc_bootstrapsigner_controller, kc_tokencleaner_controller,
    kc_serviceaccounttoken_controller, kc_legacytokencleaner_controller, kc_trust_bundle_controller;
