/* A user's session with a container: exec and attach with this process's streams and terminal. Main thread. */
#pragma once

#include "cli/cli.h"

struct kc_session_opts {
        const char *command_name; /* "kubec attach", for the words of its end */
        bool in, tty, quiet;
        bool attach; /* else exec */
};
/* Is the standard input usable as the terminal that tty asks for? Says so when not, as kubectl. Call before the options
 * are used. */
void kc_session_check_tty(struct kc_cli *c, struct kc_session_opts *o);
/* Runs it to its end; the terminal is as before then. command: a strv, NULL for attach. 0, a positive exit code of the
 * command (which has been said), or negative. */
int kc_session_run(struct kc_cli *c, const struct json_object *pod, const char *container, char *const *command,
    const struct kc_session_opts *o, struct kc_error *err);
/* The path of exec or attach. Heap. */
char *kc_session_path(
    const struct json_object *pod, const char *container, char *const *command, const struct kc_session_opts *o);
