/* The resources that have rules of their own: one file each. */
#pragma once

#include "registry/strategy.h"

extern const struct kc_strategy kc_strategy_pods, kc_strategy_services, kc_strategy_namespaces, kc_strategy_nodes,
    kc_strategy_replicationcontrollers, kc_strategy_replicasets, kc_strategy_deployments, kc_strategy_daemonsets,
    kc_strategy_serviceaccounts, kc_strategy_secrets, kc_strategy_events, kc_strategy_endpoints,
    kc_strategy_endpointslices, kc_strategy_leases, kc_strategy_roles, kc_strategy_clusterroles,
    kc_strategy_rolebindings, kc_strategy_clusterrolebindings, kc_strategy_priorityclasses, kc_strategy_jobs,
    kc_strategy_cronjobs, kc_strategy_persistentvolumes, kc_strategy_persistentvolumeclaims, kc_strategy_storageclasses,
    kc_strategy_csidrivers, kc_strategy_csinodes, kc_strategy_csistoragecapacities, kc_strategy_volumeattributesclasses,
    kc_strategy_volumeattachments, kc_strategy_resourcequotas, kc_strategy_limitranges, kc_strategy_podtemplates,
    kc_strategy_poddisruptionbudgets, kc_strategy_horizontalpodautoscalers, kc_strategy_runtimeclasses,
    kc_strategy_networkpolicies, kc_strategy_ingresses, kc_strategy_ingressclasses, kc_strategy_servicecidrs,
    kc_strategy_validatingwebhookconfigurations, kc_strategy_mutatingwebhookconfigurations,
    kc_strategy_validatingadmissionpolicies, kc_strategy_validatingadmissionpolicybindings,
    kc_strategy_mutatingadmissionpolicies, kc_strategy_mutatingadmissionpolicybindings, kc_strategy_apiservices,
    kc_strategy_certificatesigningrequests, kc_strategy_clustertrustbundles, kc_strategy_customresourcedefinitions,
    kc_strategy_deviceclasses, kc_strategy_resourceclaims, kc_strategy_resourceslices, kc_strategy_statefulsets;

/* Warns of a name that pods cannot have as their host name (the name is a prefix of theirs). */
void kc_strategy_warn_of_name(const struct kc_registry_ctx *c, const struct json_object *obj);
