/* Which group-versions and resources of the schema are served: those of stable versions, what --runtime-config makes of
 * them, and what their feature gates allow. The schema's own lookups (schema.h) know all. */
#pragma once

#include "api/schema.h"

/* All of the schema, served or not, in discovery order. */
const struct kc_group_version *const *kc_schema_all_group_versions(size_t *ret_n);
/* NULL: there is none, or it is not served. */
const struct kc_resource *kc_schema_served_resource(const char *group, const char *version, const char *resource);

/* runtime_config: strv of "key=bool" or "key" (true), the last of a key counts; keys are api/all, api/ga, api/beta,
 * api/alpha, <group>/<version> (v1 or api/v1 is core) and <group>/<version>/<resource>. -EINVAL with upstream's
 * message. On the main thread, after the feature gates are set and before others run; until then the defaults hold. */
int kc_schema_serve(char *const *runtime_config, struct kc_error *err);
