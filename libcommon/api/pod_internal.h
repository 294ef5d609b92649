/* Shared by pod.c and the defaults. */
#pragma once

#include "api/quantity.h"
#include "json/json.h"

/* What the containers of a pod ask for, without overhead and what is said for the pod as a whole. */
struct kc_quantity kc_pod_containers_request(const struct json_object *pod, const char *resource);
