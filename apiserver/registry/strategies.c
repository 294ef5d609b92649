/* The table of resources that have rules of their own, each in a file of its own. Constant: any thread. */
#include <string.h>

#include "registry/strategies.h"

const struct kc_strategy kc_strategy_default;

static const struct kc_strategy *const strategies[] = {
    &kc_strategy_pods,
    &kc_strategy_services,
    &kc_strategy_endpoints,
    &kc_strategy_endpointslices,
    &kc_strategy_namespaces,
    &kc_strategy_nodes,
    &kc_strategy_replicationcontrollers,
    &kc_strategy_replicasets,
    &kc_strategy_deployments,
    &kc_strategy_daemonsets,
    &kc_strategy_serviceaccounts,
    &kc_strategy_secrets,
    &kc_strategy_events,
    &kc_strategy_leases,
    &kc_strategy_roles,
    &kc_strategy_clusterroles,
    &kc_strategy_rolebindings,
    &kc_strategy_clusterrolebindings,
    &kc_strategy_priorityclasses,
    &kc_strategy_jobs,
    &kc_strategy_cronjobs,
    NULL,
};

const struct kc_strategy *kc_strategy_for(const char *group, const char *resource)
{
        for (size_t i = 0; strategies[i]; i++)
                if (strcmp(strategies[i]->group, group) == 0 && strcmp(strategies[i]->resource, resource) == 0)
                        return strategies[i];
        return &kc_strategy_default;
}
