/* The hooks and what they share. Hooks run on a worker thread, one at a time; each makes what is missing and leaves the
 * rest alone, so that it can run again and again. */
#pragma once

#include "bootstrap/bootstrap.h"

/* Creates obj (without apiVersion, kind and defaults) as the apiserver itself; success if it is there already. */
int boot_create(struct kc_registry *r, const char *group, const char *resource, const char *ns,
    struct json_object *take_obj, struct kc_error *err);
/* Is there one? As far as the cache knows. */
bool boot_exists(struct kc_registry *r, const char *group, const char *resource, const char *ns, const char *name);
/* Reads, changes and stores; -ENOENT. change returns false to leave it as it is. */
typedef bool (*boot_change_fn)(struct json_object *obj, void *arg);
int boot_update(struct kc_registry *r, const char *group, const char *resource, const char *ns, const char *name,
    boot_change_fn change, void *arg, struct kc_error *err);

int boot_namespaces(struct kc_registry *r, struct kc_error *err);
int boot_priority_classes(struct kc_registry *r, struct kc_error *err);

/* --- flowcontrol.c */
int boot_flowcontrol(struct kc_registry *r, struct kc_error *err);

/* --- rbac.c */
int boot_rbac(struct kc_registry *r, struct kc_error *err);
/* The objects of rbac.yaml of a resource ("clusterroles"), as arrays of API objects. The caller's. */
int boot_rbac_objects(const char *resource, struct json_object **ret, struct kc_error *err);

/* --- kubernetes_service.c */
int boot_kubernetes_service(const struct kc_bootstrap_opts *o, struct kc_error *err);
/* Takes our address out of it. */
int boot_kubernetes_service_leave(const struct kc_bootstrap_opts *o, struct kc_error *err);

/* --- authentication.c */
int boot_trust(const struct kc_bootstrap_opts *o, struct kc_error *err);
int boot_token_tracking(const struct kc_bootstrap_opts *o, struct kc_error *err);
