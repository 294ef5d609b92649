/* A role as the RBAC index keeps it: its rules, and a table that finds those which may allow a request. The table only
 * filters; rbac_rule_allows decides. Immutable while anyone asks.
 *
 *   entries, sorted by resource:  hash("pods") -> rule 3, its verbs and groups as bits
 *                                 hash("*")    -> rule 0, ...
 */
#pragma once

#include <stdint.h>

#include "auth/rbac_rules.h"

struct rbac_entry;

struct rbac_role {
        struct rbac_rules rules;
        struct rbac_entry *entries;
        size_t n_entries;
        uint64_t resources; /* a bit of each entry's hash: a first look without touching entries */
        bool urls;          /* some rule is about URLs */
};

/* From a role's .rules. */
struct rbac_role *rbac_role_new(const struct json_object *rules);
void rbac_role_free(struct rbac_role *r);

/* A request, hashed once for all roles. */
enum { RBAC_ASK_KEYS = 3 };
struct rbac_ask {
        const struct kc_authz_attrs *attrs;
        uint64_t keys[RBAC_ASK_KEYS]; /* "pods" or "pods/log", "*" "/log", "*" */
        size_t n_keys;
        uint64_t resources; /* their bits */
        uint64_t verb, group;
};
/* Borrows attrs. */
void rbac_ask_init(struct rbac_ask *q, const struct kc_authz_attrs *attrs);
bool rbac_role_allows(const struct rbac_role *r, const struct rbac_ask *q);
