/* The virtual kinds of authentication.k8s.io and authorization.k8s.io that are answered and not stored: TokenReview,
 * SelfSubjectReview, SubjectAccessReview, SelfSubjectAccessReview, LocalSubjectAccessReview, SelfSubjectRulesReview. */
#pragma once

#include "api/schema.h"
#include "auth/authn.h"
#include "auth/authz.h"

/* Fills in the status of obj, a decoded object of the row's kind, in place. false: not one of these kinds (nothing
 * done). *ret_r: 0 or negative errno with err (Invalid, BadRequest). ns: of LocalSubjectAccessReview's path. Any
 * thread. */
bool kc_review_create(struct kc_authn *authn, struct kc_authz *authz, const struct kc_user *user,
    const struct kc_resource *row, const char *ns, struct json_object *obj, int *ret_r, struct kc_error *err);
