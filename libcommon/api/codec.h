/* What the schema does to a JSON tree between the wire and storage. */
#pragma once

#include "api/schema.h"
#include "api/status.h"
#include "json/json.h"

/* Checks and normalizes a tree against its type, in place, as upstream's decoder into Go structs does: wrong types are
 * an error ("json: cannot unmarshal string into Go struct field PodSpec.spec.containers of type []v1.Container", reason
 * BadRequest); unknown fields are removed and the first paths of them pushed to *unknown ("spec.foo"; unknown NULL: not
 * recorded).
 * What comes out is what a Go encoder would write: empty optional values are left out, required ones and structs held
 * by value are there ("status":{}, "containers":null, "resources":{}), quantities, times and bytes have their canonical
 * form, keys come in the order of the schema. On error the tree is half done: throw it away. */
enum { KC_CODEC_MAX_UNKNOWN = 100 }; /* recorded; as upstream's decoder */
int kc_codec_decode(struct json_object *tree, const struct kc_type *type, char ***unknown, struct kc_error *err);
/* Fills in the static defaults of the schema, where the parent exists. Rules of their own are in api/defaults.h. */
void kc_codec_default(struct json_object *tree, const struct kc_type *type);
/* Required fields, enums and keys of set and map lists by the tables alone, with upstream's field errors. For kinds
 * that have no rules of their own in api/validation.h: those find the same errors, in the same words. path "" at the
 * root. */
void kc_codec_validate(
    const struct json_object *tree, const struct kc_type *type, const char *path, struct kc_field_errors *errors);
