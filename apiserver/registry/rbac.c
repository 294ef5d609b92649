/* Roles and bindings: nobody grants what they do not hold, unless they may escalate or bind (upstream's policybased
 * storage). Worker threads. */
#include <errno.h>
#include <string.h>

#include "api/object.h"
#include "api/status.h"
#include "auth/rbac.h"
#include "base/str.h"
#include "registry/strategies.h"

#define GROUP "rbac.authorization.k8s.io"

static bool may(const struct kc_registry_ctx *c, const char *verb, const char *resource, const char *name)
{
        const struct kc_authz_attrs attrs = {
            .user = c->user,
            .verb = verb,
            .resource_request = true,
            .ns = c->ns,
            .group = GROUP,
            .version = "v1",
            .resource = resource,
            .subresource = "",
            .name = name,
            .path = "",
        };
        return kc_authz_authorize(kc_registry_authz(c->registry), &attrs, NULL) == KC_ALLOW;
}

/* Changes of what only the garbage collector looks at need no authority over the rules. */
static bool same_but_gc(const struct json_object *a, const struct json_object *b)
{
        static const char *const ignored[] = {"ownerReferences", "finalizers", "resourceVersion", "managedFields"};
        KC_CLEANUP(kc_json_freep) struct json_object *x = kc_json_copy(a);
        KC_CLEANUP(kc_json_freep) struct json_object *y = kc_json_copy(b);
        for (size_t i = 0; i < KC_ARRAY_LEN(ignored); i++) {
                kc_json_del(kc_json_ensure_obj(x, "metadata"), ignored[i]);
                kc_json_del(kc_json_ensure_obj(y, "metadata"), ignored[i]);
        }
        return kc_json_equal(x, y);
}

static int check_role(
    const struct kc_registry_ctx *c, const struct json_object *obj, const struct json_object *old, struct kc_error *err)
{
        const char *name = kc_meta_name(obj), *resource = c->stored->row->resource;
        if (kc_user_in_group(c->user, KC_GROUP_MASTERS) || (old && same_but_gc(obj, old)) ||
            may(c, "escalate", resource, name ? name : ""))
                return 0;
        KC_CLEANUP(kc_freep) char *why = NULL;
        struct kc_authz *authz = kc_registry_authz(c->registry);
        const struct json_object *aggregation = kc_json_get(obj, "aggregationRule");
        if (aggregation && !kc_json_equal(aggregation, kc_json_get(old, "aggregationRule"))) {
                KC_CLEANUP(kc_json_freep)
                struct json_object *everything = kc_json_build("[{'verbs':['*'],'apiGroups':['*'],'resources':['*']},"
                                                               "{'verbs':['*'],'nonResourceURLs':['*']}]");
                if (kc_authz_confirm_rules(authz, c->user, c->ns, everything, &why) < 0)
                        return kc_err_forbidden(err, GROUP, "clusterrole", name,
                            "must have cluster-admin privileges to use the aggregationRule");
        }
        kc_free(KC_TAKE(why));
        if (kc_authz_confirm_rules(authz, c->user, c->ns, kc_json_get(obj, "rules"), &why) < 0)
                return kc_err_forbidden(err, GROUP, resource, name, why);
        return 0;
}

static int check_binding(
    const struct kc_registry_ctx *c, const struct json_object *obj, const struct json_object *old, struct kc_error *err)
{
        const char *name = kc_meta_name(obj), *resource = c->stored->row->resource;
        const struct json_object *ref = kc_json_get(obj, "roleRef");
        const char *kind = kc_json_str(ref, "kind"), *role = kc_json_str(ref, "name");
        const char *roles = kc_streq(kind, "ClusterRole") ? "clusterroles" : "roles";
        if (kc_user_in_group(c->user, KC_GROUP_MASTERS) || (old && same_but_gc(obj, old)) ||
            may(c, "bind", roles, role ? role : ""))
                return 0;
        KC_CLEANUP(kc_freep) char *why = NULL;
        int r = kc_authz_confirm_role(kc_registry_authz(c->registry), c->user, c->ns, ref, &why);
        if (r == -ENOENT)
                return kc_err_not_found(err, GROUP, roles, role ? role : "");
        if (r < 0)
                return kc_err_forbidden(err, GROUP, resource, name, why);
        return 0;
}

static int begin_create_role(
    const struct kc_registry_ctx *c, struct json_object *obj, struct kc_registry_txn *txn, struct kc_error *err)
{
        (void)txn; /* nothing is allocated */
        return check_role(c, obj, NULL, err);
}

static int begin_update_role(const struct kc_registry_ctx *c, struct json_object *obj, const struct json_object *old,
    struct kc_registry_txn *txn, struct kc_error *err)
{
        (void)txn; /* nothing is allocated */
        return check_role(c, obj, old, err);
}

static int begin_create_binding(
    const struct kc_registry_ctx *c, struct json_object *obj, struct kc_registry_txn *txn, struct kc_error *err)
{
        (void)txn; /* nothing is allocated */
        return check_binding(c, obj, NULL, err);
}

static int begin_update_binding(const struct kc_registry_ctx *c, struct json_object *obj, const struct json_object *old,
    struct kc_registry_txn *txn, struct kc_error *err)
{
        (void)txn; /* nothing is allocated */
        return check_binding(c, obj, old, err);
}

#define STRATEGY(what)                                                                                                 \
        .group = GROUP, .begin_create = begin_create_##what, .begin_update = begin_update_##what,                      \
        .allow_create_on_update = true

const struct kc_strategy kc_strategy_roles = {STRATEGY(role), .resource = "roles"};
const struct kc_strategy kc_strategy_clusterroles = {STRATEGY(role), .resource = "clusterroles"};
const struct kc_strategy kc_strategy_rolebindings = {STRATEGY(binding), .resource = "rolebindings"};
const struct kc_strategy kc_strategy_clusterrolebindings = {STRATEGY(binding), .resource = "clusterrolebindings"};
