/* Between pods.c and the files of its subresources. */
#pragma once

#include "registry/strategies.h"

/* Guaranteed, Burstable or BestEffort: component-helpers' ComputePodQOS. */
const char *pods_qos_class(const struct json_object *pod);

/* --- pods_changes.c: updates of one part of the spec; all else is as before. */
void pods_prepare_ephemeral(const struct kc_registry_ctx *c, struct json_object *pod, const struct json_object *old);
void pods_prepare_resize(const struct kc_registry_ctx *c, struct json_object *pod, const struct json_object *old);
void pods_validate_resize(const struct kc_registry_ctx *c, const struct json_object *pod, const struct json_object *old,
    struct kc_field_errors *errors);

/* --- pods_eviction.c: the action of pods/eviction (kc_subresource_strategy.create). */
int pods_create_eviction(const struct kc_registry_ctx *c, struct json_object *body, struct json_object **ret,
    int *ret_code, struct kc_error *err);
