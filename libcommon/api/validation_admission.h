/* What the sources of the validation of webhooks, admission policies and CustomResourceDefinitions share. Any thread.
 */
#pragma once

#include "api/validation_internal.h"

/* A RuleWithOperations at p. */
void kc_v_rule_with_operations(struct kc_v *v, const struct kc_vpath *p, const struct json_object *rule);
void kc_v_match_conditions(struct kc_v *v, const struct kc_vpath *p, const struct json_object *conditions);
/* A WebhookClientConfig: url or service, one of both. */
void kc_v_webhook_client(struct kc_v *v, const struct kc_vpath *p, const struct json_object *client);
/* The review versions of a webhook; one of them has to be v1 or v1beta1 if recognized. */
void kc_v_review_versions(
    struct kc_v *v, const struct kc_vpath *p, const struct json_object *versions, bool recognized);
/* NULL-terminated, for NotSupported. */
extern const char *const kc_v_failure_policies[], *const kc_v_match_policies[], *const kc_v_reinvocation_policies[];
