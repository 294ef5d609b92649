/* Shared by the authenticators. */
#pragma once

#include "auth/authn.h"
#include "base/map.h"
#include "tls/jwt.h"

/* --- Static tokens (tokenfile.c). */

/* Token -> kc_user. token,user,uid[,"group1,group2"] in each line. */
int authn_token_file_load(const char *path, struct kc_map **ret, struct kc_error *err);

/* --- Service-account tokens (satoken_verify.c). */

struct authn_sa {
        const struct kc_resources *resources;
        const struct kc_clock *clock;
        struct kc_jwt_key **keys;
        size_t n_keys;
        char **issuers;   /* strv */
        char **audiences; /* strv: the server's own */
        bool lookup;
};

int authn_sa_init(struct authn_sa *sa, const struct kc_authn_opts *o, struct kc_error *err);
void authn_sa_done(struct authn_sa *sa);
/* 1: *ret_user and *ret_audiences are set; 0: not a token of ours; negative errno: ours and not good, err says why.
 * audiences: accepted ones (strv). */
int authn_sa_token(const struct authn_sa *sa, const char *token, char *const *audiences, struct kc_user **ret_user,
    char ***ret_audiences, struct kc_error *err);

/* Elements of a that are in b, too; strv. */
char **authn_intersect(char *const *a, char *const *b);
