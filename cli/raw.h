/* --raw of commands that write. */
#pragma once

#include "cli/cli.h"

/* Sends the file ("-": standard input; NULL: nothing) to that path of the server, and prints the answer as it is. */
int kc_cli_raw(struct kc_cli *c, const char *method, const char *path, const char *file, struct kc_error *err);
