/* PolicyRules of RBAC, compiled: what they allow, and whether rules cover others. Immutable: any thread. */
#pragma once

#include <stdbool.h>

#include "json/json.h"

struct kc_authz_attrs;

struct rbac_rule { /* all strv, "" vectors may be NULL */
        char **verbs, **groups, **resources, **names, **urls;
};

struct rbac_rules {
        struct rbac_rule *v;
        size_t n;
};

/* Of a role's .rules. */
void rbac_rules_compile(struct rbac_rules *r, const struct json_object *rules);
void rbac_rules_done(struct rbac_rules *r);
/* Appends copies. */
void rbac_rules_add(struct rbac_rules *r, const struct rbac_rule *rule);
bool rbac_rule_allows(const struct rbac_rule *r, const struct kc_authz_attrs *a);
/* Rules of wanted that owner's do not cover, each as one broken down rule (one verb, one resource, one name) appended
 * to ret_missing. True: all are covered (upstream's validation.Covers). */
bool rbac_rules_cover(const struct rbac_rules *owner, const struct rbac_rules *wanted, struct rbac_rules *ret_missing);
/* {APIGroups:["apps"], Resources:["deployments"], Verbs:["get"]}: upstream's CompactString. Heap. */
char *rbac_rule_format(const struct rbac_rule *r);
/* Rules that differ in their verb only become one, and the text of all of them, sorted, a line each. Heap. */
char *rbac_rules_format(const struct rbac_rules *r);
