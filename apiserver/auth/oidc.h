/* One OpenID Connect issuer: its keys, which a thread of its own fetches, and what its tokens say. */
#pragma once

#include "auth/authn_internal.h"
#include "event/loop.h"

struct oidc;

/* Begins to fetch the issuer's keys by the loop's I/O. *take_config is moved out of. */
int oidc_new(struct kc_loop *loop, const struct kc_clock *clock, struct kc_jwt_authenticator *take_config,
    struct oidc **ret, struct kc_error *err);
struct oidc *oidc_ref(struct oidc *o);
/* Ends its thread with the last reference. Not on the loop. */
void oidc_unref(struct oidc *o);
const struct kc_jwt_authenticator *oidc_config(const struct oidc *o);
/* Until the keys are there, at most so long: false. */
bool oidc_wait_ready(struct oidc *o, int64_t usec);
/* As a method, of a token that claims this issuer. Any thread. */
int oidc_authenticate(struct oidc *o, const struct authn_token *t, struct authn_found *ret, struct kc_error *err);

/* oidc_claims.c: who the claims of a token say its bearer is. Pure. */
int oidc_check_claims(
    const struct kc_jwt_authenticator *j, const struct json_object *claims, kc_time now, struct kc_error *err);
int oidc_user(
    const struct kc_jwt_authenticator *j, const struct json_object *claims, struct kc_user **ret, struct kc_error *err);
