/* The audit policy: which requests are recorded, how much of them, and at which of their stages.
 *
 *   policy { omitStages, omitManagedFields, rules: [ { level, users, userGroups, verbs, resources, namespaces,
 *            nonResourceURLs, omitStages, omitManagedFields } ] }    the first rule that matches decides
 *
 * audit.k8s.io/v1 Policy of upstream. Immutable: any thread. */
#pragma once

#include "auth/authz.h"

enum kc_audit_level { KC_AUDIT_NONE, KC_AUDIT_METADATA, KC_AUDIT_REQUEST, KC_AUDIT_REQUEST_RESPONSE };

enum kc_audit_stage {
        KC_AUDIT_REQUEST_RECEIVED,
        KC_AUDIT_RESPONSE_STARTED, /* of long-running requests: the headers are out */
        KC_AUDIT_RESPONSE_COMPLETE,
        KC_AUDIT_PANIC,
};

/* "Metadata", "RequestReceived", ... */
extern const char *const kc_audit_levels[], *const kc_audit_stages[];

struct kc_audit_decision {
        enum kc_audit_level level;
        unsigned omitted_stages; /* bit 1 << stage */
        bool omit_managed_fields;
};

struct kc_audit_policy;

/* A YAML or JSON file. Every bad field is in the message; unknown fields are a warning, as upstream. */
int kc_audit_policy_load(const char *path, struct kc_audit_policy **ret, struct kc_error *err);
/* The same of a tree. */
int kc_audit_policy_new(const struct json_object *tree, struct kc_audit_policy **ret, struct kc_error *err);
void kc_audit_policy_free(struct kc_audit_policy *p);
KC_DEFINE_CLEANUP(struct kc_audit_policy *, kc_audit_policy_free)
/* a->user may be NULL: nobody (a request that failed authentication). */
struct kc_audit_decision kc_audit_policy_decide(const struct kc_audit_policy *p, const struct kc_authz_attrs *a);
