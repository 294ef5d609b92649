/* AuthenticationConfiguration: what is taken and what is refused, and flags in its stead; who claims say one is. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "auth/oidc.h"
#include "base/str.h"

#define HEAD "apiVersion: apiserver.config.k8s.io/v1\nkind: AuthenticationConfiguration\n"
#define JWT(issuer, rest) HEAD "jwt:\n- {issuer: " issuer ", " rest "}\n"
#define URL "{url: 'https://a', audiences: [b]}"
#define NAMES "claimMappings: {username: {claim: sub, prefix: ''}}"

static void files_are_checked(void **state)
{
        static const struct {
                const char *text, *want; /* NULL: it is good */
        } cases[] = {
            {HEAD, NULL},
            {JWT(URL, NAMES), NULL},
            {"kind: AuthenticationConfiguration\napiVersion: v1\n",
                "no kind \"AuthenticationConfiguration\" is registered for version \"v1\" in scheme, expected "
                "AuthenticationConfiguration of apiserver.config.k8s.io/v1"},
            {HEAD "jwt: [{}]\n",
                "[jwt[0].issuer.url: Required value: URL is required, jwt[0].issuer.audiences: Required value: at "
                "least one jwt[0].issuer.audiences is required, jwt[0].claimMappings.username: Required value: claim "
                "or expression is required]"},
            {HEAD "anonymous: {enabled: false, conditions: [{path: /x}]}\n",
                "anonymous.conditions: Invalid value: [{\"path\":\"/x\"}]: enabled should be set to true when "
                "conditions are defined"},
            {JWT("{url: 'http://a', audiences: [b]}", NAMES),
                "jwt[0].issuer.url: Invalid value: \"http://a\": URL must use https scheme"},
            {JWT("{url: 'https://u:p@a', audiences: [b]}", NAMES),
                "jwt[0].issuer.url: Invalid value: \"https://u:p@a\": URL must not contain a username or password"},
            {JWT("{url: 'https://a?b', audiences: [b]}", NAMES),
                "jwt[0].issuer.url: Invalid value: \"https://a?b\": URL must not contain a query"},
            {JWT("{url: 'https://ours', audiences: [b]}", NAMES),
                "jwt[0].issuer.url: Invalid value: \"https://ours\": URL must not overlap with disallowed issuers: "
                "[https://ours]"},
            {JWT("{url: 'https://a', discoveryURL: 'https://a', audiences: [b]}", NAMES),
                "jwt[0].issuer.discoveryURL: Invalid value: \"https://a\": discoveryURL must be different from URL"},
            {JWT("{url: 'https://a', audiences: [b, b], audienceMatchPolicy: MatchAny}", NAMES),
                "jwt[0].issuer.audiences[1]: Duplicate value: \"b\""},
            {JWT(URL, NAMES ", userValidationRules: [{expression: 'true'}]"),
                "jwt[0].userValidationRules: Forbidden: expressions are not supported yet"},
            {JWT(URL, "claimMappings: {username: {expression: claims.sub}}"),
                "jwt[0].claimMappings.username.expression: Forbidden: expressions are not supported yet"},
            {JWT(URL, NAMES ", claimValidationRules: [{}]"),
                "jwt[0].claimValidationRules[0]: Required value: claim or expression is required"},
            {JWT(URL, NAMES ", x: 1"), "jwt[0].x: Forbidden: unknown field"},
            /* What is no list must not be no condition. */
            {HEAD "anonymous: {enabled: true, conditions: {path: /livez}}\n",
                "anonymous.conditions: Invalid value: {\"path\":\"/livez\"}: must be a list"},
            {HEAD "anonymous: {enabled: 'true', conditions: [/livez]}\n",
                "[anonymous.enabled: Invalid value: \"true\": must be true or false, anonymous.conditions[0]: Invalid "
                "value: \"/livez\": must be an object]"},
            {JWT(URL, NAMES ", claimValidationRules: {claim: hd, requiredValue: a}"),
                "jwt[0].claimValidationRules: Invalid value: {\"claim\":\"hd\",\"requiredValue\":\"a\"}: must be a "
                "list"},
            {JWT(URL, NAMES ", claimValidationRules: [{claim: hd, requiredValue: 5}]"),
                "jwt[0].claimValidationRules[0].requiredValue: Invalid value: 5: must be a string"},
            {JWT(URL, NAMES ", userValidationRules: {expression: 'false'}"),
                "jwt[0].userValidationRules: Invalid value: {\"expression\":\"false\"}: must be a list"},
            {HEAD "jwt: {issuer: " URL "}\n",
                "jwt: Invalid value: {\"issuer\":{\"url\":\"https://a\",\"audiences\":[\"b\"]}}: must be a list"},
            {HEAD "anonymous: null\njwt: null\n", NULL},
            {JWT(URL, NAMES) "- {issuer: " URL ", " NAMES "}\n", "jwt[1].issuer.url: Duplicate value: \"https://a\""},
        };
        (void)state;
        char *issuers[] = {(char *)"https://ours", NULL};
        for (size_t i = 0; i < KC_ARRAY_LEN(cases); i++) {
                struct kc_authn_config c = {0};
                struct kc_error err = KC_ERROR_INIT;
                int r = kc_authn_config_parse(cases[i].text, strlen(cases[i].text), issuers, &c, &err);
                if (cases[i].want)
                        assert_string_equal(kc_error_message(&err), cases[i].want);
                assert_int_equal(r, cases[i].want ? -EINVAL : 0);
                kc_authn_config_done(&c);
                kc_error_done(&err);
        }
}

static void flags_have_defaults(void **state)
{
        (void)state;
        char *required[] = {(char *)"hd=x=y", NULL};
        struct kc_oidc_flags f = {
            .issuer_url = (char *)"https://a", .client_id = (char *)"b", .required_claim = required};
        struct kc_authn_config c = {0};
        assert_int_equal(kc_authn_config_of_flags(&f, NULL, &c, NULL), 0);
        assert_int_equal(c.n_jwt, 1);
        assert_string_equal(c.jwt->username_claim, "sub");
        assert_string_equal(c.jwt->username_prefix, "https://a#");
        assert_string_equal(c.jwt->algs[0], "RS256");
        assert_null(c.jwt->algs[1]);
        assert_string_equal(c.jwt->required[0], "hd");
        assert_string_equal(c.jwt->required[1], "x=y");
        kc_authn_config_done(&c);
        f.username_claim = (char *)"email";
        assert_int_equal(kc_authn_config_of_flags(&f, NULL, &c, NULL), 0);
        assert_string_equal(c.jwt->username_prefix, "");
        kc_authn_config_done(&c);
        f.client_id = NULL;
        assert_int_equal(kc_authn_config_of_flags(&f, NULL, &c, NULL), -EINVAL);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(files_are_checked), cmocka_unit_test(flags_have_defaults)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
