/* Reading and checking of AuthenticationConfiguration. Pure: any thread. */
#include "auth/authn_config.h"

#include <errno.h>
#include <string.h>

#include "api/shape.h"
#include "base/file.h"
#include "base/str.h"
#include "json/yaml.h"

enum { JWT_MAX = 64, CA_FILE_MAX = 1 << 20 };

#define NO_CEL "expressions are not supported yet"

static void jwt_done(struct kc_jwt_authenticator *j)
{
        char *const strings[] = {j->url, j->discovery_url, j->ca_pem, j->username_claim, j->username_prefix,
            j->groups_claim, j->groups_prefix, j->uid_claim};
        char **const lists[] = {j->audiences, j->algs, j->required};
        for (size_t i = 0; i < KC_ARRAY_LEN(strings); i++)
                kc_free(strings[i]);
        for (size_t i = 0; i < KC_ARRAY_LEN(lists); i++)
                kc_strv_free(lists[i]);
}

void kc_authn_config_done(struct kc_authn_config *c)
{
        for (size_t i = 0; i < c->n_jwt; i++)
                jwt_done(&c->jwt[i]);
        kc_free(c->jwt);
        kc_strv_free(c->anonymous_paths);
        *c = (struct kc_authn_config){0};
}

bool kc_jwt_authenticator_equal(const struct kc_jwt_authenticator *a, const struct kc_jwt_authenticator *b)
{
        return kc_streq(a->url, b->url) && kc_streq(a->discovery_url, b->discovery_url) &&
               kc_streq(a->ca_pem, b->ca_pem) && kc_streq(a->username_claim, b->username_claim) &&
               kc_streq(a->username_prefix, b->username_prefix) && kc_streq(a->groups_claim, b->groups_claim) &&
               kc_streq(a->groups_prefix, b->groups_prefix) && kc_streq(a->uid_claim, b->uid_claim) &&
               kc_strv_equal(a->audiences, b->audiences) && kc_strv_equal(a->algs, b->algs) &&
               kc_strv_equal(a->required, b->required);
}

const char *kc_issuer_url_wrong(const char *url)
{
        if (!kc_str_has_prefix(url, "https://"))
                return "URL must use https scheme";
        const char *host = url + strlen("https://");
        size_t len = strcspn(host, "/?#");
        if (len == 0 || url[strcspn(url, " \t\r\n\"<>\\")])
                return "URL must have a host and no characters that do not belong into one";
        if (memchr(host, '@', len))
                return "URL must not contain a username or password";
        if (strchr(url, '?'))
                return "URL must not contain a query";
        if (strchr(url, '#'))
                return "URL must not contain a fragment";
        return NULL;
}

/* --- the shape of the file */

static const struct kc_shape issuer_shape[] = {
    {"url", KC_SHAPE_STRING, NULL},
    {"discoveryURL", KC_SHAPE_STRING, NULL},
    {"certificateAuthority", KC_SHAPE_STRING, NULL},
    {"audiences", KC_SHAPE_STRINGS, NULL},
    {"audienceMatchPolicy", KC_SHAPE_STRING, NULL},
    {"egressSelectorType", KC_SHAPE_STRING, NULL},
    {0},
};
static const struct kc_shape claim_rule_shape[] = {
    {"claim", KC_SHAPE_STRING, NULL},
    {"requiredValue", KC_SHAPE_STRING, NULL},
    {"expression", KC_SHAPE_STRING, NULL},
    {"message", KC_SHAPE_STRING, NULL},
    {0},
};
static const struct kc_shape user_rule_shape[] = {
    {"expression", KC_SHAPE_STRING, NULL},
    {"message", KC_SHAPE_STRING, NULL},
    {0},
};
static const struct kc_shape prefixed_shape[] = {
    {"claim", KC_SHAPE_STRING, NULL},
    {"prefix", KC_SHAPE_STRING, NULL},
    {"expression", KC_SHAPE_STRING, NULL},
    {0},
};
static const struct kc_shape uid_shape[] = {
    {"claim", KC_SHAPE_STRING, NULL},
    {"expression", KC_SHAPE_STRING, NULL},
    {0},
};
static const struct kc_shape extra_shape[] = {
    {"key", KC_SHAPE_STRING, NULL},
    {"valueExpression", KC_SHAPE_STRING, NULL},
    {0},
};
static const struct kc_shape mappings_shape[] = {
    {"username", KC_SHAPE_OBJECT, prefixed_shape},
    {"groups", KC_SHAPE_OBJECT, prefixed_shape},
    {"uid", KC_SHAPE_OBJECT, uid_shape},
    {"extra", KC_SHAPE_OBJECTS, extra_shape},
    {0},
};
static const struct kc_shape jwt_shape[] = {
    {"issuer", KC_SHAPE_OBJECT, issuer_shape},
    {"claimValidationRules", KC_SHAPE_OBJECTS, claim_rule_shape},
    {"claimMappings", KC_SHAPE_OBJECT, mappings_shape},
    {"userValidationRules", KC_SHAPE_OBJECTS, user_rule_shape},
    {0},
};
static const struct kc_shape condition_shape[] = {{"path", KC_SHAPE_STRING, NULL}, {0}};
static const struct kc_shape anonymous_shape[] = {
    {"enabled", KC_SHAPE_BOOL, NULL},
    {"conditions", KC_SHAPE_OBJECTS, condition_shape},
    {0},
};
static const struct kc_shape file_shape[] = {
    {"apiVersion", KC_SHAPE_STRING, NULL},
    {"kind", KC_SHAPE_STRING, NULL},
    {"jwt", KC_SHAPE_OBJECTS, jwt_shape},
    {"anonymous", KC_SHAPE_OBJECT, anonymous_shape},
    {0},
};

/* --- what is checked as it is read */

struct reader {
        struct kc_field_errors errors;
        char *const *issuers; /* of service accounts */
};

static const char *text_of(const struct json_object *o, const char *key)
{
        const char *s = kc_json_str(o, key);
        return s ? s : "";
}

static void required(struct reader *r, const char *path, const char *name, const char *detail)
{
        KC_CLEANUP(kc_freep) char *at = kc_asprintf("%s%s", path, name);
        kc_field_required(&r->errors, at, detail);
}

static void invalid(struct reader *r, const char *path, const char *name, const char *value, const char *detail)
{
        KC_CLEANUP(kc_freep) char *at = kc_asprintf("%s%s", path, name);
        kc_field_invalid_str(&r->errors, at, value, detail);
}

static void forbidden(struct reader *r, const char *path, const char *name, const char *detail)
{
        KC_CLEANUP(kc_freep) char *at = kc_asprintf("%s%s", path, name);
        kc_field_forbidden(&r->errors, at, detail);
}

static void refuse_expression(struct reader *r, const struct json_object *o, const char *path, const char *name)
{
        KC_CLEANUP(kc_freep) char *field = kc_asprintf(".%s", name);
        if (text_of(o, name)[0])
                forbidden(r, path, field, NO_CEL);
}

static void read_url(
    struct reader *r, const struct json_object *issuer, const char *path, struct kc_jwt_authenticator *j)
{
        const char *url = text_of(issuer, "url"), *discovery = text_of(issuer, "discoveryURL");
        const char *wrong = url[0] ? kc_issuer_url_wrong(url) : NULL;
        if (!url[0])
                required(r, path, ".url", "URL is required");
        else if (wrong)
                invalid(r, path, ".url", url, wrong);
        else if (r->issuers && kc_strv_has(r->issuers, url)) {
                KC_CLEANUP(kc_freep) char *list = kc_strv_join(r->issuers, " ");
                KC_CLEANUP(kc_freep)
                char *detail = kc_asprintf("URL must not overlap with disallowed issuers: [%s]", list);
                invalid(r, path, ".url", url, detail);
        }
        j->url = kc_strdup(url);
        if (!discovery[0])
                return;
        wrong = kc_issuer_url_wrong(discovery);
        if (wrong)
                invalid(r, path, ".discoveryURL", discovery, wrong);
        else if (strcmp(discovery, url) == 0)
                invalid(r, path, ".discoveryURL", discovery, "discoveryURL must be different from URL");
        j->discovery_url = kc_strdup(discovery);
}

static void read_audiences(
    struct reader *r, const struct json_object *issuer, const char *path, struct kc_jwt_authenticator *j)
{
        const struct json_object *list = kc_json_get(issuer, "audiences");
        const char *policy = text_of(issuer, "audienceMatchPolicy");
        KC_CLEANUP(kc_freep) char *detail = kc_asprintf("at least one %s.audiences is required", path);
        if (kc_json_len(list) == 0)
                required(r, path, ".audiences", detail);
        for (size_t i = 0; i < kc_json_len(list); i++) {
                const char *audience = kc_json_as_str(kc_json_idx(list, i));
                KC_CLEANUP(kc_freep) char *at = kc_asprintf("%s.audiences[%zu]", path, i);
                if (kc_str_empty(audience))
                        kc_field_required(&r->errors, at, "audience can't be empty");
                else if (j->audiences && kc_strv_has(j->audiences, audience))
                        kc_field_duplicate(&r->errors, at, audience);
                else
                        kc_strv_push(&j->audiences, audience);
        }
        if (strcmp(policy, "MatchAny") == 0)
                return;
        if (kc_json_len(list) > 1)
                invalid(r, path, ".audienceMatchPolicy", policy,
                    "audienceMatchPolicy must be MatchAny for multiple audiences");
        else if (policy[0])
                invalid(r, path, ".audienceMatchPolicy", policy,
                    "audienceMatchPolicy must be empty or MatchAny for single audience");
}

static void read_issuer(
    struct reader *r, const struct json_object *jwt, const char *path, struct kc_jwt_authenticator *j)
{
        const struct json_object *issuer = kc_json_get(jwt, "issuer");
        KC_CLEANUP(kc_freep) char *at = kc_asprintf("%s.issuer", path);
        read_url(r, issuer, at, j);
        read_audiences(r, issuer, at, j);
        if (text_of(issuer, "egressSelectorType")[0])
                forbidden(r, at, ".egressSelectorType", "there is no egress selector");
        const char *ca = text_of(issuer, "certificateAuthority");
        if (ca[0] && !strstr(ca, "-----BEGIN CERTIFICATE-----"))
                invalid(r, at, ".certificateAuthority", "<omitted>", "data does not contain any valid certificate");
        j->ca_pem = ca[0] ? kc_strdup(ca) : NULL;
}

static void read_validation(
    struct reader *r, const struct json_object *jwt, const char *path, struct kc_jwt_authenticator *j)
{
        const struct json_object *rules = kc_json_get(jwt, "claimValidationRules");
        for (size_t i = 0; i < kc_json_len(rules); i++) {
                const struct json_object *rule = kc_json_idx(rules, i);
                KC_CLEANUP(kc_freep) char *at = kc_asprintf("%s.claimValidationRules[%zu]", path, i);
                const char *claim = text_of(rule, "claim"), *expression = text_of(rule, "expression");
                if (!claim[0] && !expression[0])
                        required(r, at, "", "claim or expression is required");
                else if (claim[0] && expression[0])
                        invalid(r, at, "", claim, "claim and expression can't both be set");
                else if (claim[0] && text_of(rule, "message")[0])
                        invalid(r, at, ".message", text_of(rule, "message"), "message can't be set when claim is set");
                refuse_expression(r, rule, at, "expression");
                for (char **c = j->required; claim[0] && c && c[0]; c += 2)
                        if (strcmp(*c, claim) == 0) {
                                KC_CLEANUP(kc_freep) char *name = kc_asprintf("%s.claim", at);
                                kc_field_duplicate(&r->errors, name, claim);
                        }
                kc_strv_push(&j->required, claim);
                kc_strv_push(&j->required, text_of(rule, "requiredValue"));
        }
        KC_CLEANUP(kc_freep) char *users = kc_asprintf("%s.userValidationRules", path);
        if (kc_json_len(kc_json_get(jwt, "userValidationRules")) > 0)
                forbidden(r, users, "", NO_CEL);
}

/* A claim and its prefix. */
static void read_prefixed(
    struct reader *r, const struct json_object *o, const char *path, char **ret_claim, char **ret_prefix)
{
        const char *claim = text_of(o, "claim"), *prefix = kc_json_str(o, "prefix");
        refuse_expression(r, o, path, "expression");
        if (claim[0] && text_of(o, "expression")[0])
                invalid(r, path, "", claim, "claim and expression can't both be set");
        if (claim[0] && !prefix)
                required(r, path, ".prefix",
                    "prefix is required when claim is set. It can be set to an empty string to disable prefixing");
        if (!claim[0] && prefix && prefix[0])
                invalid(r, path, ".prefix", prefix, "non-empty prefix can't be set when claim is not set");
        *ret_claim = claim[0] ? kc_strdup(claim) : NULL;
        *ret_prefix = kc_strdup(prefix ? prefix : "");
}

static void read_mappings(
    struct reader *r, const struct json_object *jwt, const char *path, struct kc_jwt_authenticator *j)
{
        const struct json_object *m = kc_json_get(jwt, "claimMappings");
        KC_CLEANUP(kc_freep) char *at = kc_asprintf("%s.claimMappings", path);
        KC_CLEANUP(kc_freep) char *username = kc_asprintf("%s.username", at);
        KC_CLEANUP(kc_freep) char *groups = kc_asprintf("%s.groups", at);
        KC_CLEANUP(kc_freep) char *uid = kc_asprintf("%s.uid", at);
        read_prefixed(r, kc_json_get(m, "username"), username, &j->username_claim, &j->username_prefix);
        if (!j->username_claim && !text_of(kc_json_get(m, "username"), "expression")[0])
                required(r, username, "", "claim or expression is required");
        read_prefixed(r, kc_json_get(m, "groups"), groups, &j->groups_claim, &j->groups_prefix);
        const struct json_object *u = kc_json_get(m, "uid");
        refuse_expression(r, u, uid, "expression");
        if (text_of(u, "claim")[0])
                j->uid_claim = kc_strdup(text_of(u, "claim"));
        if (kc_json_len(kc_json_get(m, "extra")) > 0)
                forbidden(r, at, ".extra", NO_CEL);
}

static void read_jwt(struct reader *r, const struct json_object *jwt, const char *path, struct kc_jwt_authenticator *j)
{
        static const char *const algs[] = {
            "ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512"};
        for (size_t i = 0; i < KC_ARRAY_LEN(algs); i++)
                kc_strv_push(&j->algs, algs[i]);
        read_issuer(r, jwt, path, j);
        read_validation(r, jwt, path, j);
        read_mappings(r, jwt, path, j);
}

static void read_all_jwt(struct reader *r, const struct json_object *list, struct kc_authn_config *c)
{
        size_t n = kc_json_len(list);
        if (n > JWT_MAX) {
                kc_field_too_many(&r->errors, "jwt", (int)n, JWT_MAX);
                return;
        }
        c->jwt = kc_calloc(n + 1, sizeof(*c->jwt));
        for (; c->n_jwt < n; c->n_jwt++) {
                KC_CLEANUP(kc_freep) char *path = kc_asprintf("jwt[%zu]", c->n_jwt);
                struct kc_jwt_authenticator *j = &c->jwt[c->n_jwt];
                read_jwt(r, kc_json_idx(list, c->n_jwt), path, j);
                for (size_t i = 0; i < c->n_jwt; i++) {
                        KC_CLEANUP(kc_freep) char *url = kc_asprintf("%s.issuer.url", path);
                        KC_CLEANUP(kc_freep) char *discovery = kc_asprintf("%s.issuer.discoveryURL", path);
                        if (j->url[0] && strcmp(j->url, c->jwt[i].url) == 0)
                                kc_field_duplicate(&r->errors, url, j->url);
                        if (j->discovery_url && kc_streq(j->discovery_url, c->jwt[i].discovery_url))
                                kc_field_duplicate(&r->errors, discovery, j->discovery_url);
                }
        }
}

static void read_anonymous(struct reader *r, const struct json_object *o, struct kc_authn_config *c)
{
        const struct json_object *conditions = kc_json_get(o, "conditions");
        if (!o)
                return;
        c->has_anonymous = true;
        c->anonymous = kc_json_bool(o, "enabled", false);
        if (!c->anonymous && kc_json_len(conditions) > 0)
                kc_field_invalid(&r->errors, "anonymous.conditions", conditions,
                    "enabled should be set to true when conditions are defined");
        for (size_t i = 0; i < kc_json_len(conditions); i++)
                kc_strv_push(&c->anonymous_paths, text_of(kc_json_idx(conditions, i), "path"));
}

int kc_authn_config_parse(
    const char *text, size_t len, char *const *issuers, struct kc_authn_config *ret, struct kc_error *err)
{
        static const char *const versions[] = {
            "apiserver.config.k8s.io/v1", "apiserver.config.k8s.io/v1beta1", "apiserver.config.k8s.io/v1alpha1", NULL};
        KC_CLEANUP(kc_json_freep) struct json_object *o = NULL;
        int r = kc_yaml_parse(text, len, NULL, &o, err);
        if (r < 0)
                return r;
        if (!kc_strv_has((char *const *)versions, text_of(o, "apiVersion")) ||
            strcmp(text_of(o, "kind"), "AuthenticationConfiguration") != 0)
                return kc_error_set(err, EINVAL,
                    "no kind \"%s\" is registered for version \"%s\" in scheme, expected AuthenticationConfiguration "
                    "of apiserver.config.k8s.io/v1",
                    text_of(o, "kind"), text_of(o, "apiVersion"));
        struct reader in = {.issuers = issuers};
        struct kc_authn_config c = {0};
        kc_shape_check(&in.errors, o, "", file_shape, KC_SHAPE_REFUSE_UNKNOWN);
        if (in.errors.n == 0) {
                read_all_jwt(&in, kc_json_get(o, "jwt"), &c);
                read_anonymous(&in, kc_json_get(o, "anonymous"), &c);
        }
        if (in.errors.n > 0) {
                KC_CLEANUP(kc_freep) char *why = kc_field_errors_text(&in.errors);
                r = kc_error_set(err, EINVAL, "%s", why);
                kc_authn_config_done(&c);
        } else {
                *ret = c;
        }
        kc_field_errors_done(&in.errors);
        return r;
}

/* --- flags */

bool kc_oidc_flags_given(const struct kc_oidc_flags *f)
{
        return !kc_str_empty(f->issuer_url) || !kc_str_empty(f->client_id) || !kc_str_empty(f->ca_file) ||
               !kc_str_empty(f->username_claim) || !kc_str_empty(f->username_prefix) ||
               !kc_str_empty(f->groups_claim) || !kc_str_empty(f->groups_prefix) || kc_strv_len(f->signing_algs) > 0 ||
               kc_strv_len(f->required_claim) > 0;
}

/* Without a prefix of its own a name gets the issuer's, unless it is a mail address. */
static char *default_prefix(const struct kc_oidc_flags *f, const char *claim)
{
        if (kc_streq(f->username_prefix, "-"))
                return kc_strdup("");
        if (!kc_str_empty(f->username_prefix))
                return kc_strdup(f->username_prefix);
        return strcmp(claim, "email") == 0 ? kc_strdup("") : kc_asprintf("%s#", f->issuer_url);
}

static int read_flags(const struct kc_oidc_flags *f, struct kc_jwt_authenticator *j, struct kc_error *err)
{
        j->url = kc_strdup(f->issuer_url);
        kc_strv_push(&j->audiences, f->client_id);
        j->username_claim = kc_strdup(kc_str_empty(f->username_claim) ? "sub" : f->username_claim);
        j->username_prefix = default_prefix(f, j->username_claim);
        j->groups_claim = kc_str_empty(f->groups_claim) ? NULL : kc_strdup(f->groups_claim);
        j->groups_prefix = kc_strdup(f->groups_prefix ? f->groups_prefix : "");
        j->algs = kc_strv_copy(f->signing_algs);
        if (kc_strv_len(j->algs) == 0)
                kc_strv_push(&j->algs, "RS256");
        for (char *const *c = f->required_claim; c && *c; c++) {
                const char *eq = strchr(*c, '=');
                if (!eq)
                        return kc_error_set(
                            err, EINVAL, "--oidc-required-claim: malformed pair, expect string=string: %s", *c);
                kc_strv_push_take(&j->required, kc_strndup(*c, (size_t)(eq - *c)));
                kc_strv_push(&j->required, eq + 1);
        }
        if (kc_str_empty(f->ca_file))
                return 0;
        KC_CLEANUP(kc_buf_done) struct kc_buf pem = KC_BUF_INIT;
        int r = kc_file_read(f->ca_file, CA_FILE_MAX, &pem, err);
        if (r < 0)
                return kc_error_wrap(err, "Failed to read the CA file");
        j->ca_pem = kc_buf_take_str(&pem);
        return 0;
}

int kc_authn_config_of_flags(
    const struct kc_oidc_flags *f, char *const *issuers, struct kc_authn_config *ret, struct kc_error *err)
{
        struct kc_authn_config c = {0};
        if (!kc_oidc_flags_given(f)) {
                *ret = c;
                return 0;
        }
        if (kc_str_empty(f->issuer_url) || kc_str_empty(f->client_id))
                return kc_error_set(err, EINVAL,
                    "oidc-issuer-url and oidc-client-id must be specified together when any oidc-* flags are set");
        const char *wrong = kc_issuer_url_wrong(f->issuer_url);
        if (wrong)
                return kc_error_set(err, EINVAL, "--oidc-issuer-url: Invalid value: \"%s\": %s", f->issuer_url, wrong);
        if (issuers && kc_strv_has(issuers, f->issuer_url))
                return kc_error_set(err, EINVAL,
                    "--oidc-issuer-url: Invalid value: \"%s\": URL must not overlap with disallowed issuers",
                    f->issuer_url);
        c.jwt = kc_calloc(1, sizeof(*c.jwt));
        c.n_jwt = 1;
        int r = read_flags(f, c.jwt, err);
        if (r < 0)
                kc_authn_config_done(&c);
        else
                *ret = c;
        return r;
}
