/* The user's editor on a temporary file. Main thread. */
#pragma once

#include "cli/cli.h"

/* Writes text to a new file of that suffix (".yaml"), lets the user edit it, and reads it back. *ret_path: the file,
 * which stays, also when the editor fails. The editor is $KUBE_EDITOR, $EDITOR or vi. */
int kc_editor_edit(struct kc_cli *c, const char *text, size_t len, const char *suffix, struct kc_buf *ret_text,
    char **ret_path, struct kc_error *err);
