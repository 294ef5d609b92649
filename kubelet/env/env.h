/* The environment of a container: literal values, field and resource references, ConfigMap and Secret keys, envFrom,
 * service variables, and $(VAR) expansion of values, command and args. Upstream: kubelet_pods.go
 * makeEnvironmentVariables, envvars.FromServices, third_party/forked/golang/expansion. Blocking (objcache): worker
 * threads. */
#pragma once

#include "client/informer.h"
#include "kubelet/objcache/objcache.h"

/* What is known about a pod at run time, that its spec does not say. Borrowed strings. */
struct kc_pod_facts {
        char *const *pod_ips;  /* strv, may be NULL or empty (before the sandbox is up); first one is the podIP */
        char *const *host_ips; /* strv; first one is the hostIP */
        const char *node_name;
        /* Node allocatable, for resourceFieldRef without a limit: a ResourceList, may be NULL. */
        const struct json_object *allocatable;
};

struct kc_env_sources {
        struct kc_objcache *objects;
        struct kc_informer *services; /* NULL in standalone mode: no service variables */
};

/* Names and values in the order upstream sets them; one entry for each name. */
struct kc_env {
        char **names, **values; /* strv, same length n */
        size_t n;
};
void kc_env_done(struct kc_env *e);
const char *kc_env_get(const struct kc_env *e, const char *name); /* NULL: not set */

/* On failure the container gets CreateContainerConfigError with err's message, which is upstream's:
 * `configmap "x" not found`, `couldn't find key k in ConfigMap ns/x`, `secret "x" not found`, ... optional references
 * that are missing are left out. Invalid envFrom keys are skipped and their names pushed to *ret_invalid (strv, may be
 * NULL; for the event InvalidEnvironmentVariableNames). */
int kc_env_make(const struct kc_env_sources *s, const struct json_object *pod, const struct json_object *container,
    const struct kc_pod_facts *facts, struct kc_env *ret, char ***ret_invalid, struct kc_error *err);

/* $(VAR) by env; $$ is a literal $; unknown references stay. Heap. */
char *kc_env_expand(const char *s, const struct kc_env *e);
/* The same; names that are not set are pushed to *ret_missing (strv). */
char *kc_env_expand_strict(const char *s, const struct kc_env *e, char ***ret_missing);
/* command / args (a JSON array of strings, or NULL) expanded; a strv, never NULL on return. */
char **kc_env_expand_array(const struct json_object *array, const struct kc_env *e);

/* --- Downward API, shared with volumes. Heap; NULL and err set (-EINVAL: unsupported field). */
/* "metadata.name", "metadata.labels", "metadata.labels['k']", "metadata.annotations['k']", "spec.nodeName",
 * "spec.serviceAccountName", "status.hostIP(s)", "status.podIP(s)", ... */
int kc_downward_field(const struct json_object *pod, const char *path, const struct kc_pod_facts *facts, char **ret,
    struct kc_error *err);
/* "limits.cpu", "requests.memory", ... of the container, divided by divisor ("" or "0": 1), rounded up. */
int kc_downward_resource(const struct json_object *container, const char *resource, const char *divisor,
    const struct kc_pod_facts *facts, char **ret, struct kc_error *err);
