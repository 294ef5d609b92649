/* What the apiserver keeps in existence by itself, as upstream's post-start hooks: system namespaces, default RBAC
 * roles and bindings (reconciled), system priority classes, FlowSchemas and priority levels, the kubernetes Service
 * with its Endpoints and EndpointSlice. */
#pragma once

#include "auth/authn.h"
#include "event/worker.h"
#include "registry/registry.h"

struct kc_bootstrap;

struct kc_bootstrap_opts {
        struct kc_registry *registry;
        struct kc_loop *loop;          /* timers */
        struct kc_pool *pool;          /* the work */
        bool rbac;                     /* RBAC is among the authorization modes */
        const char *advertise_address; /* of the Endpoints */
        int secure_port;
        const char *service_ip;                         /* the first address of the service range */
        int service_port;                               /* 443 */
        int service_node_port;                          /* --kubernetes-service-node-port; 0: none */
        struct kc_authn *authn;                         /* whom it trusts is told in a ConfigMap; NULL: it is not */
        const struct kc_authn_front_proxy *front_proxy; /* with authn; outlives the bootstrap */
};

/* The hooks by upstream's names, for /readyz ("poststarthook/rbac/bootstrap-roles"). NULL-terminated. */
extern const char *const kc_bootstrap_hooks[];

int kc_bootstrap_new(const struct kc_bootstrap_opts *o, struct kc_bootstrap **ret, struct kc_error *err);
/* On the loop, when the cache is ready: runs the hooks on the pool, retrying until they succeed, then keeps looking
 * every 10 s (kubernetes Service: also at the end, to take our address out of the Endpoints). */
void kc_bootstrap_start(struct kc_bootstrap *b);
/* Any thread: the hook of that name has finished. */
bool kc_bootstrap_done(const struct kc_bootstrap *b, const char *hook);
/* Worker thread, at shutdown: takes our address out of the kubernetes Endpoints. */
void kc_bootstrap_leave(struct kc_bootstrap *b);
/* On the loop or after it has stopped; the pool has ended or is idle. */
void kc_bootstrap_free(struct kc_bootstrap *b);
KC_DEFINE_CLEANUP(struct kc_bootstrap *, kc_bootstrap_free)
