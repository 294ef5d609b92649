/* Conversion between API versions of one kind that share a stored form (Events: core/v1 and
 * events.k8s.io/v1; HorizontalPodAutoscalers: autoscaling/v1 and v2). */
#pragma once

#include "api/schema.h"

/* Turns tree, an object whose apiVersion and kind are set, into the kind of `to`, in place, in canonical form and with
 * its defaults; nothing happens if it has that apiVersion already. -EINVAL: there is no such conversion. Any thread. */
int kc_convert(struct json_object *tree, const struct kc_resource *to, struct kc_error *err);
