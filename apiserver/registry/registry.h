/* The generic registry: creates, updates and deletes objects through admission, strategies and validation, in the
 * store. HTTP knows nothing of it and it nothing of HTTP. Bootstrap and actions (binding, eviction) use it, too.
 *
 * Trees are in the storage version. All calls block: worker threads only. */
#pragma once

#include "admission/admission.h"
#include "auth/authz.h"
#include "auth/satoken.h"
#include "base/ip.h"
#include "resources/resources.h"

struct kc_registry;
struct kc_registry_ctx;
struct kc_delete_request;
struct kc_service_alloc; /* ClusterIPs and node ports: registry/service_alloc.h */

struct kc_registry_opts {
        const struct kc_resources *resources;
        struct kc_admission *admission;
        struct kc_authz *authz;              /* RBAC escalation checks */
        struct kc_satoken *satoken;          /* NULL: serviceaccounts/token is refused */
        const struct kc_clock *clock;        /* NULL: the real one */
        const struct kc_cidr *service_cidrs; /* one or two; copied */
        size_t n_service_cidrs;
        int node_port_min, node_port_max;
        int64_t event_ttl_seconds;
};
int kc_registry_new(const struct kc_registry_opts *o, struct kc_registry **ret, struct kc_error *err);
void kc_registry_free(struct kc_registry *r);
KC_DEFINE_CLEANUP(struct kc_registry *, kc_registry_free)

const struct kc_resources *kc_registry_resources(const struct kc_registry *r);
struct kc_authz *kc_registry_authz(const struct kc_registry *r);
struct kc_satoken *kc_registry_satoken(const struct kc_registry *r);
const struct kc_clock *kc_registry_clock(const struct kc_registry *r);
int64_t kc_registry_event_ttl(const struct kc_registry *r);
/* Made with the registry; see registry/service_alloc.h. */
struct kc_service_alloc *kc_registry_service_alloc(const struct kc_registry *r);

/* A context for calls of our own (bootstrap, actions): user NULL means the apiserver itself. Strings borrowed. */
void kc_registry_ctx_init(struct kc_registry_ctx *c, struct kc_registry *r, const char *group, const char *resource,
    const char *ns, const char *name, const struct kc_user *user, bool dry_run, char ***warnings);

/* obj: decoded and defaulted. metadata.name or generateName; namespace set by the caller. *ret (may be NULL): as
 * stored, with resourceVersion. */
int kc_registry_create(struct kc_registry_ctx *c, struct json_object *take_obj, const struct json_object *options,
    struct kc_object **ret, struct kc_error *err);

/* Makes the wanted object of the current one (a copy to change or replace in place). current is NULL when the object
 * does not exist and may be created. -EALREADY: nothing is to be done, the current object is the answer. */
typedef int (*kc_registry_transform_fn)(struct kc_registry_ctx *c, const struct kc_object *current,
    struct json_object **ret_obj, void *arg, struct kc_error *err);

struct kc_registry_update_opts {
        kc_registry_transform_fn transform;
        void *arg;
        const char *uid; /* precondition, or NULL */
        const struct json_object *options;
        bool allow_create; /* PUT, if the strategy allows it */
        bool force_create; /* server-side apply: whatever the strategy says */
        /* Asked before a create in place of an update. NULL: it may be. */
        int (*may_create)(const struct kc_registry_ctx *c, void *arg, struct kc_error *err);
        void *may_create_arg;
        bool no_admission; /* internal updates that upstream does below admission (binding) */
};
/* Reads, transforms, checks and stores; when the store has moved on, again (a resourceVersion in the transformed object
 * that differs from the current one's is a 409 Conflict). An update that leaves a deleted object without finalizers
 * removes it. Nothing is written when nothing changes. *ret_created may be NULL. */
int kc_registry_update(struct kc_registry_ctx *c, const struct kc_registry_update_opts *o, struct kc_object **ret,
    bool *ret_created, struct kc_error *err);

/* *ret: the object as it is now (marked for deletion) or was last; *ret_gone: it has left the store. */
int kc_registry_delete(struct kc_registry_ctx *c, struct kc_delete_request *d, struct kc_object **ret, bool *ret_gone,
    struct kc_error *err);
