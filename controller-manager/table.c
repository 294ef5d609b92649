/* The controllers, in the order in which they start. */
#include "controller-manager/table.h"
#include "controller-manager/context.h"

const struct kc_controller_def *const kc_controllers[] = {
    &kc_serviceaccounttoken_controller,
    &kc_namespace_controller,
    &kc_serviceaccount_controller,
    &kc_root_ca_controller,
    &kc_nodeipam_controller,
    &kc_nodelifecycle_controller,
    &kc_tainteviction_controller,
    &kc_endpoints_controller,
    &kc_endpointslice_controller,
    &kc_daemonset_controller,
    &kc_deployment_controller,
    &kc_replicationcontroller_controller,
    &kc_replicaset_controller,
    &kc_statefulset_controller,
    &kc_job_controller,
    &kc_cronjob_controller,
    &kc_ttlafterfinished_controller,
    &kc_disruption_controller,
    &kc_servicecidr_controller,
    &kc_podgc_controller,
    &kc_resourcequota_controller,
    &kc_pvcprotection_controller,
    &kc_pvprotection_controller,
    &kc_vacprotection_controller,
    &kc_clusterroleaggregation_controller,
    &kc_csrsigning_controller,
    &kc_csrapproving_controller,
    &kc_csrcleaner_controller,
    &kc_bootstrapsigner_controller,
    &kc_tokencleaner_controller,
    &kc_legacytokencleaner_controller,
    &kc_garbagecollector_controller,
};
const size_t kc_n_controllers = KC_ARRAY_LEN(kc_controllers);
