/* The resources that have rules of their own: one file each. */
#pragma once

#include "registry/strategy.h"

extern const struct kc_strategy kc_strategy_pods, kc_strategy_services, kc_strategy_namespaces, kc_strategy_nodes,
    kc_strategy_replicationcontrollers, kc_strategy_replicasets, kc_strategy_deployments, kc_strategy_daemonsets,
    kc_strategy_serviceaccounts, kc_strategy_secrets, kc_strategy_events, kc_strategy_endpoints,
    kc_strategy_endpointslices, kc_strategy_leases, kc_strategy_roles, kc_strategy_clusterroles,
    kc_strategy_rolebindings, kc_strategy_clusterrolebindings, kc_strategy_priorityclasses, kc_strategy_jobs,
    kc_strategy_cronjobs;
