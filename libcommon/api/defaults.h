/* Defaulting rules that depend on more than one field (SetDefaults_* of upstream), by kind. Called after the static
 * defaults. */
#pragma once

#include "api/schema.h"

/* Does nothing for kinds without such rules. In place. */
void kc_default_object(struct json_object *tree, const struct kc_resource *r);
/* Defaults of a pod spec (also inside pod templates). */
void kc_default_pod_spec(struct json_object *spec);
