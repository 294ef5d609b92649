/* Resources with few rules of their own: service accounts and their tokens, secrets, events, endpoints, endpoint
 * slices, leases, priority classes. Worker threads. */
#include <errno.h>
#include <string.h>

#include "api/object.h"
#include "api/status.h"
#include "base/str.h"
#include "registry/strategies.h"

/* --- service accounts */

static int create_token(const struct kc_registry_ctx *c, struct json_object *body, struct json_object **ret,
    int *ret_code, struct kc_error *err)
{
        (void)ret_code; /* 201 */
        const struct kc_resources *rs = kc_registry_resources(c->registry);
        struct kc_satoken *issuer = kc_registry_satoken(c->registry);
        if (!issuer)
                return kc_err_not_found(err, "", "serviceaccounts", c->name);
        KC_CLEANUP(kc_object_unrefp) struct kc_object *sa = NULL;
        KC_CLEANUP(kc_object_unrefp) struct kc_object *bound = NULL;
        KC_CLEANUP(kc_object_unrefp) struct kc_object *node = NULL;
        int r = kc_resources_get_live(rs, "", "serviceaccounts", c->ns, c->name, &sa, err);
        if (r < 0)
                return r;
        static const struct {
                const char *kind, *resource;
                bool namespaced;
        } kinds[] = {{"Pod", "pods", true}, {"Secret", "secrets", true}, {"Node", "nodes", false}};
        const struct json_object *ref = kc_json_at(body, "spec.boundObjectRef");
        const char *kind = kc_json_str(ref, "kind"), *name = kc_json_str(ref, "name");
        for (size_t i = 0; name && i < KC_ARRAY_LEN(kinds); i++)
                if (kc_streq(kinds[i].kind, kind)) {
                        r = kc_resources_get_live(
                            rs, "", kinds[i].resource, kinds[i].namespaced ? c->ns : "", name, &bound, err);
                        if (r < 0 && r != -ENOENT)
                                return r;
                }
        const char *node_name =
            bound && kc_streq(kind, "Pod") ? kc_json_str_at(kc_object_json(bound), "spec.nodeName") : NULL;
        if (!kc_str_empty(node_name)) {
                r = kc_resources_get(rs, "", "nodes", "", node_name, &node, err);
                if (r < 0 && r != -ENOENT)
                        return r;
        }
        kc_error_done(err);
        r = kc_satoken_issue(issuer, kc_object_json(sa), bound ? kc_object_json(bound) : NULL,
            node ? kc_object_json(node) : NULL, body, err);
        if (r == 0)
                *ret = kc_json_copy(body);
        return r;
}

static const struct kc_subresource_strategy serviceaccount_subresources[] = {
    {.name = "token", .create = create_token},
};

const struct kc_strategy kc_strategy_serviceaccounts = {
    .group = "",
    .resource = "serviceaccounts",
    .subresources = serviceaccount_subresources,
    .n_subresources = KC_ARRAY_LEN(serviceaccount_subresources),
};

/* --- secrets: the type stays if it is not said */

static void update_secret(const struct kc_registry_ctx *c, struct json_object *obj, const struct json_object *old)
{
        (void)c; /* the same for every request */
        if (kc_str_empty(kc_json_str(obj, "type")))
                kc_strategy_keep(obj, old, "type");
}

const struct kc_strategy kc_strategy_secrets = {
    .group = "", .resource = "secrets", .prepare_for_update = update_secret};

/* --- events go by themselves */

static int64_t event_ttl(const struct kc_registry_ctx *c, const struct json_object *obj)
{
        (void)obj; /* all live equally long */
        return kc_registry_event_ttl(c->registry);
}

const struct kc_strategy kc_strategy_events = {
    .group = "", .resource = "events", .ttl = event_ttl, .allow_create_on_update = true};

/* --- endpoints */

const struct kc_strategy kc_strategy_endpoints = {.group = "", .resource = "endpoints", .allow_create_on_update = true};

static void create_slice(const struct kc_registry_ctx *c, struct json_object *obj)
{
        (void)c; /* the same for every request */
        kc_json_set_int(kc_json_ensure_obj(obj, "metadata"), "generation", 1);
}

static void update_slice(const struct kc_registry_ctx *c, struct json_object *obj, const struct json_object *old)
{
        (void)c; /* the same for every request */
        kc_strategy_bump_generation(obj, old);
        int64_t before = kc_meta_generation(old);
        if (kc_meta_generation(obj) == before && !kc_json_equal(kc_meta_labels(obj), kc_meta_labels(old)))
                kc_json_set_int(kc_json_get_mut(obj, "metadata"), "generation", before + 1);
}

const struct kc_strategy kc_strategy_endpointslices = {
    .group = "discovery.k8s.io",
    .resource = "endpointslices",
    .prepare_for_create = create_slice,
    .prepare_for_update = update_slice,
};

/* --- leases: never blindly */

const struct kc_strategy kc_strategy_leases = {
    .group = "coordination.k8s.io",
    .resource = "leases",
    .allow_create_on_update = true,
    .require_resource_version = true,
};

/* --- priority classes: one generation */

static void create_priority_class(const struct kc_registry_ctx *c, struct json_object *obj)
{
        (void)c; /* the same for every request */
        kc_json_set_int(kc_json_ensure_obj(obj, "metadata"), "generation", 1);
}

const struct kc_strategy kc_strategy_priorityclasses = {
    .group = "scheduling.k8s.io",
    .resource = "priorityclasses",
    .prepare_for_create = create_priority_class,
};
