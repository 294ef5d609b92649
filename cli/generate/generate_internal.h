/* Shared by the generators. */
#pragma once

#include "json/json.h"

/* Compact JSON in the order of the tree, <, > and & escaped as Go's encoder does. Heap. */
char *kc_generate_go_json(const struct json_object *o);
/* <, > and & of a JSON text, which are in strings only, as \u escapes. Heap. */
char *kc_generate_go_escape(const char *json);
