/* Resources with few rules of their own: service accounts and their tokens, events, endpoints, endpoint slices, leases,
 * priority classes. Worker threads. */
#include <errno.h>
#include <string.h>

#include "api/object.h"
#include "api/status.h"
#include "api/warnings.h"
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
            node ? kc_object_json(node) : NULL, body, c->warnings, err);
        if (r == 0)
                *ret = kc_json_copy(body);
        return r;
}

static const struct kc_subresource_strategy serviceaccount_subresources[] = {
    {.name = "token", .create = create_token},
};

/* Of a Secret that is referred to, only the name counts. */
static void clean_references(struct json_object *account)
{
        const struct json_object *secrets = kc_json_get(account, "secrets");
        if (kc_json_len(secrets) == 0)
                return;
        struct json_object *clean = json_object_new_array();
        for (size_t i = 0; i < kc_json_len(secrets); i++) {
                struct json_object *ref = json_object_new_object();
                kc_json_set_str(ref, "name", kc_json_str(kc_json_idx(secrets, i), "name"));
                kc_json_push(clean, ref);
        }
        kc_json_set(account, "secrets", clean);
}

static void create_account(const struct kc_registry_ctx *c, struct json_object *account)
{
        kc_strategy_default_create(c, account);
        clean_references(account);
}

static void update_account(const struct kc_registry_ctx *c, struct json_object *account, const struct json_object *old)
{
        kc_strategy_default_update(c, account, old);
        clean_references(account);
}

#define ENFORCE_MOUNTABLE "kubernetes.io/enforce-mountable-secrets"

static void warn_of_account_update(
    const struct kc_registry_ctx *c, const struct json_object *account, const struct json_object *old)
{
        if (kc_meta_annotation(account, ENFORCE_MOUNTABLE) && !(old && kc_meta_annotation(old, ENFORCE_MOUNTABLE)))
                kc_strv_push(c->warnings, "metadata.annotations[" ENFORCE_MOUNTABLE "]: deprecated in v1.32+; prefer "
                                          "separate namespaces to isolate access to mounted secrets");
}

static void warn_of_account(const struct kc_registry_ctx *c, const struct json_object *account)
{
        warn_of_account_update(c, account, NULL);
}

const struct kc_strategy kc_strategy_serviceaccounts = {
    .group = "",
    .resource = "serviceaccounts",
    .prepare_for_create = create_account,
    .prepare_for_update = update_account,
    .warnings_create = warn_of_account,
    .warnings_update = warn_of_account_update,
    .subresources = serviceaccount_subresources,
    .n_subresources = KC_ARRAY_LEN(serviceaccount_subresources),
};

/* --- events go by themselves */

static int64_t event_ttl(const struct kc_registry_ctx *c, const struct json_object *obj)
{
        (void)obj; /* all live equally long */
        return kc_registry_event_ttl(c->registry);
}

const struct kc_strategy kc_strategy_events = {
    .group = "", .resource = "events", .ttl = event_ttl, .allow_create_on_update = true};

/* --- endpoints */

static void warn_of_endpoints(const struct kc_registry_ctx *c, const struct json_object *obj)
{
        static const char *const lists[] = {"addresses", "notReadyAddresses"};
        const struct json_object *subsets = kc_json_get(obj, "subsets");
        if (kc_streq(kc_meta_label(obj, "endpoints.kubernetes.io/managed-by"), "endpoint-controller"))
                return;
        for (size_t i = 0; i < kc_json_len(subsets); i++)
                for (size_t l = 0; l < KC_ARRAY_LEN(lists); l++) {
                        const struct json_object *list = kc_json_get(kc_json_idx(subsets, i), lists[l]);
                        for (size_t j = 0; j < kc_json_len(list); j++) {
                                const char *ip = kc_json_str(kc_json_idx(list, j), "ip");
                                KC_CLEANUP(kc_freep)
                                char *path = kc_asprintf("subsets[%zu].%s[%zu].ip", i, lists[l], j);
                                kc_warn_ip(c->warnings, path, ip ? ip : "");
                        }
                }
}

static void warn_of_endpoints_update(
    const struct kc_registry_ctx *c, const struct json_object *obj, const struct json_object *old)
{
        (void)old; /* as if they were new */
        warn_of_endpoints(c, obj);
}

const struct kc_strategy kc_strategy_endpoints = {
    .group = "",
    .resource = "endpoints",
    .allow_create_on_update = true,
    .warnings_create = warn_of_endpoints,
    .warnings_update = warn_of_endpoints_update,
};

/* What only older versions may set. */
static void drop_topology(struct json_object *slice)
{
        struct json_object *endpoints = kc_json_get_mut(slice, "endpoints");
        for (size_t i = 0; i < kc_json_len(endpoints); i++)
                kc_json_del(kc_json_idx_mut(endpoints, i), "deprecatedTopology");
}

static void create_slice(const struct kc_registry_ctx *c, struct json_object *obj)
{
        (void)c; /* the same for every request */
        kc_json_set_int(kc_json_ensure_obj(obj, "metadata"), "generation", 1);
        drop_topology(obj);
}

static void update_slice(const struct kc_registry_ctx *c, struct json_object *obj, const struct json_object *old)
{
        (void)c; /* the same for every request */
        kc_strategy_bump_generation(obj, old);
        int64_t before = kc_meta_generation(old);
        if (kc_meta_generation(obj) == before && !kc_json_equal(kc_meta_labels(obj), kc_meta_labels(old)))
                kc_json_set_int(kc_json_get_mut(obj, "metadata"), "generation", before + 1);
        if (!kc_json_equal(kc_json_get(obj, "endpoints"), kc_json_get(old, "endpoints")))
                drop_topology(obj);
}

static void warn_of_slice_update(
    const struct kc_registry_ctx *c, const struct json_object *obj, const struct json_object *old)
{
        const char *by = kc_meta_label(obj, "endpointslice.kubernetes.io/managed-by");
        const struct json_object *endpoints = kc_json_get(obj, "endpoints");
        (void)old; /* as if it were new */
        if (kc_streq(by, "endpointslice-controller.k8s.io") || kc_streq(by, "endpointslicemirroring-controller.k8s.io"))
                return;
        for (size_t i = 0; i < kc_json_len(endpoints); i++) {
                const struct json_object *list = kc_json_get(kc_json_idx(endpoints, i), "addresses");
                for (size_t j = 0; j < kc_json_len(list); j++) {
                        const char *ip = kc_json_as_str(kc_json_idx(list, j));
                        KC_CLEANUP(kc_freep) char *path = kc_asprintf("endpoints[%zu].addresses[%zu]", i, j);
                        kc_warn_ip(c->warnings, path, ip ? ip : "");
                }
        }
}

static void warn_of_slice(const struct kc_registry_ctx *c, const struct json_object *obj)
{
        if (kc_streq(kc_json_str(obj, "addressType"), "FQDN"))
                kc_strv_push(c->warnings, "spec.addressType: FQDN endpoints are deprecated");
        warn_of_slice_update(c, obj, NULL);
}

const struct kc_strategy kc_strategy_endpointslices = {
    .group = "discovery.k8s.io",
    .resource = "endpointslices",
    .prepare_for_create = create_slice,
    .prepare_for_update = update_slice,
    .warnings_create = warn_of_slice,
    .warnings_update = warn_of_slice_update,
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
