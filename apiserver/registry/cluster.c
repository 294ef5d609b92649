/* Namespaces and nodes. Worker threads. */
#include <string.h>

#include "api/object.h"
#include "api/status.h"
#include "base/str.h"
#include "registry/strategies.h"

/* --- namespaces */

#define FINALIZER_KUBERNETES "kubernetes"

static void create_namespace(const struct kc_registry_ctx *c, struct json_object *ns)
{
        (void)c; /* the same for every request */
        kc_json_set(ns, "status", kc_json_build("{'phase':'Active'}"));
        kc_json_del(kc_json_ensure_obj(ns, "metadata"), "generation");
        struct json_object *finalizers = kc_json_ensure_arr(ns, "spec.finalizers");
        for (size_t i = 0; i < kc_json_len(finalizers); i++)
                if (kc_streq(kc_json_as_str(kc_json_idx(finalizers, i)), FINALIZER_KUBERNETES))
                        return;
        kc_json_push_str(finalizers, FINALIZER_KUBERNETES);
}

static void update_namespace(const struct kc_registry_ctx *c, struct json_object *ns, const struct json_object *old)
{
        (void)c; /* the same for every request */
        kc_strategy_keep(ns, old, "status");
        kc_strategy_keep(kc_json_ensure_obj(ns, "spec"), kc_json_get(old, "spec"), "finalizers");
}

static void finalize_namespace(const struct kc_registry_ctx *c, struct json_object *ns, const struct json_object *old)
{
        (void)c; /* the same for every request */
        kc_strategy_keep(ns, old, "status");
}

static int delete_namespace(
    const struct kc_registry_ctx *c, struct json_object *ns, struct kc_delete_request *d, struct kc_error *err)
{
        (void)d; /* never graceful */
        (void)err;
        char now[KC_TIME_LEN];
        /* Here rather than by the generic code: namespaces have no grace period. */
        if (!kc_meta_deleting(ns))
                kc_json_set_str(kc_json_ensure_obj(ns, "metadata"), "deletionTimestamp", kc_time_format(c->now, now));
        kc_json_set_str(kc_json_ensure_obj(ns, "status"), "phase", "Terminating");
        return 0;
}

static bool has_content(const struct kc_registry_ctx *c, const struct json_object *ns)
{
        (void)c; /* the namespace says it */
        return kc_json_len(kc_json_at(ns, "spec.finalizers")) > 0;
}

static const struct kc_subresource_strategy namespace_subresources[] = {
    {.name = "finalize", .prepare_for_update = finalize_namespace},
};

const struct kc_strategy kc_strategy_namespaces = {
    .group = "",
    .resource = "namespaces",
    .prepare_for_create = create_namespace,
    .prepare_for_update = update_namespace,
    .before_delete = delete_namespace,
    .keep = has_content,
    .subresources = namespace_subresources,
    .n_subresources = KC_ARRAY_LEN(namespace_subresources),
};

/* --- nodes: status may be set on create; no generation */

static void create_node(const struct kc_registry_ctx *c, struct json_object *node)
{
        (void)c; /* the same for every request */
        kc_json_del(kc_json_ensure_obj(node, "metadata"), "generation");
}

static void update_node(const struct kc_registry_ctx *c, struct json_object *node, const struct json_object *old)
{
        (void)c; /* the same for every request */
        kc_strategy_keep(node, old, "status");
}

static void update_node_status(const struct kc_registry_ctx *c, struct json_object *node, const struct json_object *old)
{
        (void)c; /* the same for every request */
        kc_strategy_keep(node, old, "spec");
}

static void warn_of_node(const struct kc_registry_ctx *c, const struct json_object *node)
{
        if (kc_json_at(node, "spec.configSource"))
                kc_strv_push(c->warnings, "spec.configSource: the feature is removed");
        if (!kc_str_empty(kc_json_str_at(node, "spec.externalID")))
                kc_strv_push(c->warnings, "spec.externalID: this field is deprecated, and is unused by Kubernetes");
}

static void warn_of_node_update(
    const struct kc_registry_ctx *c, const struct json_object *node, const struct json_object *old)
{
        (void)old; /* as if it were new */
        warn_of_node(c, node);
}

static const struct kc_subresource_strategy node_subresources[] = {
    {.name = "status", .prepare_for_update = update_node_status},
};

const struct kc_strategy kc_strategy_nodes = {
    .group = "",
    .resource = "nodes",
    .prepare_for_create = create_node,
    .prepare_for_update = update_node,
    .warnings_create = warn_of_node,
    .warnings_update = warn_of_node_update,
    .subresources = node_subresources,
    .n_subresources = KC_ARRAY_LEN(node_subresources),
};
