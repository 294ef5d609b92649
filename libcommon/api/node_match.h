/* Which nodes a pod may run on: taints and tolerations, nodeSelector and node affinity. Shared by the scheduler, the
 * DaemonSet controller and the kubelet's admission. Pure functions: any thread. */
#pragma once

#include "json/json.h"

/* core/v1 Toleration.ToleratesTaint. */
bool kc_toleration_tolerates(const struct json_object *toleration, const struct json_object *taint);
bool kc_tolerations_tolerate(const struct json_object *tolerations, const struct json_object *taint);
/* The first taint with one of the effects (NULL-terminated; NULL: any) that no toleration covers, or NULL. */
const struct json_object *kc_untolerated_taint(
    const struct json_object *taints, const struct json_object *tolerations, const char *const *effects);

/* One NodeSelectorTerm: its matchExpressions on labels and matchFields on metadata.name all hold. An empty term matches
 * no node. */
bool kc_node_selector_term_matches(const struct json_object *term, const struct json_object *node);
/* spec.nodeSelector and the required node affinity of a pod spec. */
bool kc_node_matches_pod(const struct json_object *pod_spec, const struct json_object *node);
