/* What the sources of the validation of CustomResourceDefinitions share. Any thread. */
#pragma once

#include "api/validation_internal.h"

/* A CustomResourceValidation (what holds openAPIV3Schema) at p. with_status: the version has the status subresource. */
void kc_v_crd_validation(
    struct kc_v *v, const struct kc_vpath *p, const struct json_object *validation, bool with_status);
/* That the schema at p is structural. Errors are sorted. */
void kc_v_crd_structural(struct kc_v *v, const struct kc_vpath *p, const struct json_object *schema);
