/* Deleting, for commands that do it on the way. */
#pragma once

#include "json/json.h"

/* What --cascade means: "Background" unless it says "orphan", "foreground". */
const char *kc_delete_propagation(const char *cascade);
/* The uid in the answer to a DELETE, of the object or of the Status; NULL: none. Borrowed. */
const char *kc_delete_uid(const struct json_object *answer);
