/* Shared by the sources of field sets. */
#pragma once

#include "api/fieldset.h"

/* The key of FieldsV1: "f:name", "k:{...}", "v:...", "i:3". Appends, not escaped for JSON. */
void kc_path_element_encode(struct kc_buf *b, const struct kc_path_element *e);
/* The inverse; borrows a field's name from text. 0; 1: a kind that is not known, to be left out; -EINVAL. */
int kc_path_element_decode(struct kc_arena *a, const char *text, struct kc_path_element *ret, struct kc_error *err);
