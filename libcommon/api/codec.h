/* What the schema does to a JSON tree between the wire and storage. */
#pragma once

#include "api/schema.h"
#include "api/status.h"
#include "json/json.h"

/* Checks and normalizes a tree against its type, in place, as upstream's decoder into Go structs does: wrong types are an
 * error ("json: cannot unmarshal string into Go struct field PodSpec.spec.containers of type []v1.Container", reason
 * BadRequest); unknown fields are removed and their paths pushed to *unknown ("spec.foo"); nulls and empty optional values
 * are removed as omitempty does; quantities and times are put into canonical form; keys come in schema order. */
int kc_codec_decode(struct json_object *tree, const struct kc_type *type, char ***unknown, struct kc_error *err);
/* Fills in the static defaults of the schema, where the parent exists. Rules of their own are in api/defaults.h. */
void kc_codec_default(struct json_object *tree, const struct kc_type *type);
/* Required fields, enums and list-map keys by the schema's tables: upstream's field errors. */
void kc_codec_validate(const struct json_object *tree, const struct kc_type *type, const char *path,
    struct kc_field_errors *errors);
