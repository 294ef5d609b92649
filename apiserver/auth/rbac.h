/* RBAC's guard against escalation: nobody grants what they do not have. Any thread, does not block. */
#pragma once

#include "auth/authz.h"

/* Does the user hold all of the rules (a role's .rules) in ns ("": cluster scope)? 0, or -EACCES with *ret_why (heap):
 * user "x" (groups=[...]) is attempting to grant RBAC permissions not currently held: ... */
int kc_authz_confirm_rules(
    struct kc_authz *a, const struct kc_user *user, const char *ns, const struct json_object *rules, char **ret_why);
/* The same for the rules of a role by reference {kind, name}. -ENOENT: there is no such role. */
int kc_authz_confirm_role(
    struct kc_authz *a, const struct kc_user *user, const char *ns, const struct json_object *role_ref, char **ret_why);
