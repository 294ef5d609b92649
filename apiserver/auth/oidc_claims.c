/* The claims of an ID token: is it for us and now, and who is it. Pure: any thread. */
#include <errno.h>
#include <string.h>

#include "auth/oidc.h"
#include "base/str.h"

#define NBF_LEEWAY (300 * KC_SEC)

static char **strings_of(const struct json_object *v)
{
        char **list = NULL;
        if (kc_json_as_str(v))
                kc_strv_push(&list, kc_json_as_str(v));
        for (size_t i = 0; i < kc_json_len(v); i++)
                if (kc_json_as_str(kc_json_idx(v, i)))
                        kc_strv_push(&list, kc_json_as_str(kc_json_idx(v, i)));
        return list;
}

static int check_audience(const struct kc_jwt_authenticator *j, const struct json_object *claims, struct kc_error *err)
{
        KC_CLEANUP(kc_strv_freep) char **have = strings_of(kc_json_get(claims, "aud"));
        KC_CLEANUP(kc_strv_freep) char **both = authn_intersect(have, j->audiences);
        if (kc_strv_len(both) > 0)
                return 0;
        KC_CLEANUP(kc_freep) char *want = kc_strv_join(j->audiences, " ");
        KC_CLEANUP(kc_freep) char *got = have ? kc_strv_join(have, " ") : kc_strdup("");
        return kc_error_set(err, EACCES, "oidc: verify token: oidc: expected audience in [%s] got [%.256s]", want, got);
}

int oidc_check_claims(
    const struct kc_jwt_authenticator *j, const struct json_object *claims, kc_time now, struct kc_error *err)
{
        kc_time exp = authn_claim_time(claims, "exp"), nbf = authn_claim_time(claims, "nbf");
        if (!kc_streq(kc_json_str(claims, "iss"), j->url))
                return kc_error_set(err, EACCES, "oidc: verify token: oidc: id token issued by a different provider");
        int r = check_audience(j, claims, err);
        if (r < 0)
                return r;
        if (exp <= now)
                return kc_error_set(err, EACCES, "oidc: verify token: oidc: token is expired");
        if (nbf > now + NBF_LEEWAY)
                return kc_error_set(
                    err, EACCES, "oidc: verify token: oidc: current time is before the nbf (not before) time");
        for (char **c = j->required; c && c[0]; c += 2) {
                const char *value = kc_json_str(claims, c[0]);
                if (!kc_json_get(claims, c[0]))
                        return kc_error_set(err, EACCES, "oidc: required claim %s not present in ID token", c[0]);
                if (!kc_streq(value, c[1]))
                        return kc_error_set(err, EACCES,
                            "oidc: required claim %s value does not match. Got = %.256s, want = %s", c[0],
                            value ? value : "", c[1]);
        }
        return 0;
}

/* An address counts only when the issuer has not said that it is not the bearer's. */
static int check_email(const struct json_object *claims, struct kc_error *err)
{
        const struct json_object *verified = kc_json_get(claims, "email_verified");
        if (!verified)
                return 0;
        if (json_object_get_type(verified) != json_type_boolean)
                return kc_error_set(err, EACCES, "oidc: parse 'email_verified' claim: not a boolean");
        return kc_json_bool(claims, "email_verified", false) ? 0
                                                             : kc_error_set(err, EACCES, "oidc: email not verified");
}

/* A string, or a list of strings. */
static int add_groups(
    const struct kc_jwt_authenticator *j, const struct json_object *claims, struct kc_user *u, struct kc_error *err)
{
        const struct json_object *v = j->groups_claim ? kc_json_get(claims, j->groups_claim) : NULL;
        if (!v)
                return 0;
        bool ok = kc_json_as_str(v) || kc_json_is_arr(v);
        for (size_t i = 0; ok && i < kc_json_len(v); i++)
                ok = kc_json_as_str(kc_json_idx(v, i)) != NULL;
        if (!ok)
                return kc_error_set(
                    err, EACCES, "oidc: parse groups claim \"%s\": not a string or a list of strings", j->groups_claim);
        KC_CLEANUP(kc_strv_freep) char **groups = strings_of(v);
        for (char **g = groups; g && *g; g++) {
                KC_CLEANUP(kc_freep) char *name = kc_asprintf("%s%s", j->groups_prefix, *g);
                kc_user_add_group(u, name);
        }
        return 0;
}

int oidc_user(
    const struct kc_jwt_authenticator *j, const struct json_object *claims, struct kc_user **ret, struct kc_error *err)
{
        const char *name = kc_json_str(claims, j->username_claim);
        const char *uid = j->uid_claim ? kc_json_str(claims, j->uid_claim) : NULL;
        if (kc_str_empty(name))
                return kc_error_set(
                    err, EACCES, "oidc: parse username claims \"%s\": claim not present", j->username_claim);
        if (j->uid_claim && kc_json_get(claims, j->uid_claim) && !uid)
                return kc_error_set(err, EACCES, "oidc: error evaluating uid claim expression: not a string");
        if (strcmp(j->username_claim, "email") == 0) {
                int r = check_email(claims, err);
                if (r < 0)
                        return r;
        }
        KC_CLEANUP(kc_freep) char *full = kc_asprintf("%s%s", j->username_prefix, name);
        KC_CLEANUP(kc_user_unrefp) struct kc_user *u = kc_user_new(full, uid, NULL);
        int r = add_groups(j, claims, u, err);
        if (r < 0)
                return r;
        const char *jti = kc_json_str(claims, "jti");
        if (!kc_str_empty(jti)) {
                KC_CLEANUP(kc_freep) char *id = kc_asprintf("JTI=%s", jti);
                kc_user_add_extra(u, "authentication.kubernetes.io/credential-id", id);
        }
        *ret = KC_TAKE(u);
        return 0;
}
