/* What belongs to a node: what its pods refer to, and what names it.
 *
 *   pod --on--> node
 *   secret, configmap, claim, resource claim, service account <--refers-- pod
 *   volume --bound to--> claim;  secret <--refers-- volume
 *   volume attachment, resource slice --of--> node
 *
 * Fed under the authorizer's write lock, asked under its read lock. */
#pragma once

#include <stdbool.h>

#include "json/json.h"

struct node_graph;
struct node_graph *node_graph_new(void);
void node_graph_free(struct node_graph *g);
/* resource: "pods", "persistentvolumes", "volumeattachments", "resourceslices"; obj NULL: it is gone. */
void node_graph_set(struct node_graph *g, const char *resource, const char *key, const struct json_object *obj);
/* The pod is known to be on that node already, and nothing in its status matters. */
bool node_graph_knows_pod(const struct node_graph *g, const char *key, const char *node_name);
/* Does the object belong to the node? ns "" for cluster scope. */
bool node_graph_has(
    const struct node_graph *g, const char *node, const char *resource, const char *ns, const char *name);
