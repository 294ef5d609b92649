/* Containers and pods to debug with, without sending them. Trees are the caller's. */
#pragma once

#include "base/error.h"
#include "json/json.h"

struct kc_debug_profile;

struct kc_debug_spec {
        const char *container, *image, *pull_policy, *target, *copy_to, *profile;
        char *const *args, *const *env, *const *set_images; /* env, set_images: "k=v" */
        const struct json_object *custom;                   /* of --custom, or NULL */
        bool args_only, in, tty, same_node, share_given, share;
        bool keep_labels, keep_annotations, keep_liveness, keep_readiness, keep_startup, keep_init;
};
/* -EINVAL: there is no such profile. */
int kc_debug_check_profile(const char *name, struct kc_error *err);
/* The ephemeral container of that name for a pod. */
int kc_debug_ephemeral(const struct kc_debug_spec *s, const char *name, struct json_object **ret, struct kc_error *err);
/* The pod of that name on the node. */
int kc_debug_node_pod(const struct kc_debug_spec *s, const char *name, const char *container, const char *node,
    struct json_object **ret, struct kc_error *err);
/* The copy of a pod. name: of the container to add or change; NULL: only images are changed. */
int kc_debug_copy(const struct kc_debug_spec *s, const struct json_object *pod, const char *name,
    struct json_object **ret, struct kc_error *err);
/* Does what this container was granted need another user than the pod's? */
bool kc_debug_needs_root(const struct json_object *pod, const struct json_object *container);
