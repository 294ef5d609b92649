/* One object in the user's editor. Main thread. */
#pragma once

#include "cli/cli.h"

/* The object as YAML, edited. *ret NULL: nothing was changed, or all was taken away, which has been said. */
int kc_edit_tree(struct kc_cli *c, const struct json_object *obj, struct json_object **ret, struct kc_error *err);
