/* What the server serves, and what a user may call it: plural, singular, short name, kind, resource.group. */
#pragma once

#include "client/rest.h"

struct kc_api_resource {
        char *group, *version, *resource, *singular, *kind;
        bool namespaced;
        char **short_names, **categories, **verbs, **subresources; /* strv */
        bool preferred;                                            /* its version is the group's first */
};

struct kc_resource_map {
        struct kc_api_resource *v;
        size_t n, cap;
        char **stale; /* strv of "group/version": an extension server that is away, its resources may be missing */
};

/* Adds the resources of an apidiscovery.k8s.io/v2 APIGroupDiscoveryList. -EPROTO for other documents. */
int kc_resource_map_add(struct kc_resource_map *m, const struct json_object *discovery, struct kc_error *err);
/* Blocks, as kc_rest_get. */
int kc_resource_map_fetch(struct kc_rest *r, struct kc_resource_map **ret, struct kc_error *err);
void kc_resource_map_free(struct kc_resource_map *m);
KC_DEFINE_CLEANUP(struct kc_resource_map *, kc_resource_map_free)
/* "pods", "po", "Pod", "deployments.apps", "deployments.v1.apps": -ENOENT with kubectl's message. Borrowed. */
int kc_resource_map_find(
    const struct kc_resource_map *m, const char *arg, const struct kc_api_resource **ret, struct kc_error *err);
/* The resource of an object's apiVersion and kind: -ENOENT with kubectl's `no matches for kind`. */
int kc_resource_map_find_kind(const struct kc_resource_map *m, const char *api_version, const char *kind,
    const struct kc_api_resource **ret, struct kc_error *err);
bool kc_api_resource_has_verb(const struct kc_api_resource *r, const char *verb);
/* Borrows from r. */
struct kc_gvr kc_api_resource_gvr(const struct kc_api_resource *r);
/* "pod", "deployment.apps": how objects of it are called in output. Heap. */
char *kc_api_resource_name(const struct kc_api_resource *r);
/* "pods", "deployments.apps". Heap. */
char *kc_api_resource_plural(const struct kc_api_resource *r);
