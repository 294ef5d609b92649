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
