/* What kc-schema-gen makes and schema.c looks things up in. */
#pragma once

#include "api/schema.h"

/* Indexed by enum kc_type_kind; the structured kinds are empty. */
extern const struct kc_type kc_schema_scalars[];
/* Sorted by name. */
extern const struct kc_type *const kc_schema_type_index[];
extern const size_t kc_schema_n_types;
/* In discovery order. */
extern const struct kc_group_version *const kc_schema_gv_index[];
extern const size_t kc_schema_n_gvs;

/* Group, version and kind of a type that is an object or a list of the API, or the body of a subresource. */
bool kc_schema_type_kind(
    const struct kc_type *t, const char **ret_group, const char **ret_version, const char **ret_kind);
