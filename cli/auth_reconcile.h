/* kubec auth reconcile: roles and bindings get what files say, and keep what they have. */
#pragma once

#include "cli/cli.h"

enum { KC_AUTH_RECONCILE_N_FLAGS = 10 };
extern const struct kc_flag kc_auth_reconcile_flags[KC_AUTH_RECONCILE_N_FLAGS];
int kc_auth_reconcile(struct kc_cli *c, char **args, struct kc_error *err);
