/* What resizing a pod in place is about: the CPU and memory of its containers, in three stages.
 *
 *   spec (wanted) --fits the node--> allocated --runtime told--> actuated
 *
 * Resources are kept as {"<container>": {"requests": {...}, "limits": {...}}}, for regular containers and sidecars.
 * Pure: any thread. */
#pragma once

#include "api/object.h"

/* The resources that the spec of the pod gives. A new tree. */
struct json_object *kc_resize_resources(const struct json_object *pod);
/* The pod with these resources instead of its own: itself (a reference) if they are the same, or resources is NULL. */
struct kc_object *kc_resize_apply(struct kc_object *pod, const struct json_object *resources);
/* CPU and memory are the same in both (requests and limits objects of one container; NULL: none). Quantities are
 * compared as numbers. */
bool kc_resize_same(const struct json_object *a, const struct json_object *b);
/* Does the step from what a container runs with to what it shall have need a restart, by its resizePolicy? */
bool kc_resize_needs_restart(const struct json_object *container, const struct json_object *actuated);
/* Some container of the pod has other resources than those. */
bool kc_resize_pending(const struct json_object *pod, const struct json_object *resources);
/* For events: {"containers":[{"name":..,"resources":{..}}],"generation":2,"error":..}. error may be NULL. Heap. */
char *kc_resize_summary(const struct json_object *pod, const char *error);
