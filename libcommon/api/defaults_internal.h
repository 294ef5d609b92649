/* Shared by defaults.c and defaults_pod.c. */
#pragma once

#include "json/json.h"

void kc_default_pod(struct json_object *pod);
/* Quantities of a resource list (may be NULL) are rounded up to milli units. */
void kc_default_resource_list(struct json_object *list);
