/* Pods and their containers as commands of one pod choose them. Main thread. */
#pragma once

#include "cli/objects.h"

bool kc_pod_has_container(const struct json_object *pod, const char *name);
/* The container of that name with its path ("spec.initContainers"), or NULL. */
const struct json_object *kc_pod_find_container(const struct json_object *pod, const char *name, const char **ret_list);
/* Without a name: the annotated one, else the first (which is said when there are more, unless quiet). Borrowed from
 * the pod. -EINVAL: the pod has none. */
int kc_pod_default_container(
    struct kc_cli *c, const struct json_object *pod, bool quiet, const char **ret, struct kc_error *err);

enum kc_pod_order {
        KC_PODS_BY_ACTIVITY, /* the most active first: for exec, attach, port-forward */
        KC_PODS_BY_LOGGING,  /* what has most to say first */
};
/* The pods that a workload or service selects, sorted; at least one, which is waited for until timeout (usec). what:
 * "cannot attach to", for the error of kinds without pods. The list is the caller's, pods of *ret are borrowed from it.
 */
struct kc_pod_list {
        const struct json_object **v;
        size_t n;
        struct json_object *list;
};
int kc_pods_of(struct kc_cli *c, const struct kc_found *f, enum kc_pod_order order, int64_t timeout, const char *what,
    struct kc_pod_list *ret, struct kc_error *err);
void kc_pod_list_done(struct kc_pod_list *l);
/* "POD" or "TYPE/NAME" (or more words, or files) to the one pod to attach to; the caller's. One object only: else
 * too_many is the error. ret_obj: what was named, the caller's; may be NULL. */
int kc_pod_attachable(struct kc_cli *c, char *const *args, char *const *files, int64_t timeout, const char *too_many,
    struct json_object **ret, struct json_object **ret_obj, struct kc_error *err);
