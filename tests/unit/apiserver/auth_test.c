/* Authentication: certificates, static tokens, service-account tokens, nobody. */
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <unistd.h>

#include "auth/authn.h"
#include "auth/review.h"
#include "auth/satoken.h"
#include "base/file.h"
#include "registry_fixture.h"

#define ISSUER "https://kubernetes.default.svc"

struct auth {
        struct fixture f;
        char dir[64];
        char *key_file, *token_file;
        struct kc_authn *authn;
};

static void write_key(const char *path)
{
        EVP_PKEY *key = EVP_EC_gen("P-256");
        assert_non_null(key);
        FILE *out = fopen(path, "w");
        assert_non_null(out);
        assert_int_equal(PEM_write_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL), 1);
        (void)fclose(out);
        EVP_PKEY_free(key);
}

static struct kc_authn *new_authn(struct auth *a, bool anonymous)
{
        char *keys[] = {a->key_file, NULL}, *issuers[] = {(char *)ISSUER, NULL};
        const struct kc_authn_opts o = {
            .resources = a->f.resources,
            .clock = &a->f.clock.clock,
            .token_auth_file = a->token_file,
            .service_account_key_files = keys,
            .service_account_issuers = issuers,
            .service_account_lookup = true,
            .anonymous = anonymous,
        };
        struct kc_authn *n = NULL;
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        if (kc_authn_new(&o, &n, &err) < 0)
                fail_msg("%s", kc_error_message(&err));
        return n;
}

static int setup(void **state)
{
        struct auth *a = KC_NEW(struct auth);
        fixture_open(&a->f);
        (void)snprintf(a->dir, sizeof(a->dir), "/tmp/kubec-auth-XXXXXX");
        assert_non_null(mkdtemp(a->dir));
        a->key_file = kc_path_join(a->dir, "sa.key");
        a->token_file = kc_path_join(a->dir, "tokens.csv");
        write_key(a->key_file);
        const char tokens[] = "secret,bob,u1,\"dev,ops\"\n\n\"quo\"\"ted\",eve,u2\n";
        assert_int_equal(kc_file_write_atomic(a->token_file, tokens, strlen(tokens), 0600, NULL), 0);
        a->authn = new_authn(a, true);
        char *issuers[] = {(char *)ISSUER, NULL};
        const struct kc_satoken_opts so = {.signing_key_file = a->key_file,
            .issuers = issuers,
            .jwks_uri = ISSUER "/openid/v1/jwks",
            .extend_expiration = true,
            .clock = &a->f.clock.clock};
        assert_int_equal(kc_satoken_new(&so, &a->f.satoken, NULL), 0);
        kc_registry_free(a->f.registry);
        a->f.registry = fixture_registry(&a->f, "10.96.0.0/24", 30000, 30009);
        make_default(&a->f);
        *state = a;
        return 0;
}

static int teardown(void **state)
{
        struct auth *a = *state;
        kc_authn_free(a->authn);
        struct kc_satoken *s = a->f.satoken;
        fixture_close(&a->f);
        kc_satoken_free(s);
        (void)kc_rm_rf(a->dir, NULL);
        kc_free(a->key_file);
        kc_free(a->token_file);
        kc_free(a);
        return 0;
}

/* The user as JSON, or the error. */
static char *who(struct kc_authn *n, const char *authorization, const char *websocket)
{
        const struct kc_authn_request req = {.authorization = authorization, .websocket_protocol = websocket};
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        KC_CLEANUP(kc_authn_result_done) struct kc_authn_result found = {0};
        if (kc_authn_authenticate(n, &req, &found, &err) < 0)
                return kc_asprintf("%d %s", err.code, err.message);
        KC_CLEANUP(kc_json_freep) struct json_object *o = kc_user_to_json(found.user);
        return kc_json_to_str(o);
}

static void assert_who(struct kc_authn *n, const char *header, const char *websocket, const char *want)
{
        KC_CLEANUP(kc_freep) char *got = who(n, header, websocket);
        assert_string_equal(got, want);
}

static void static_tokens(void **state)
{
        struct auth *a = *state;
        const char *bob = "{\"username\":\"bob\",\"uid\":\"u1\",\"groups\":[\"dev\",\"ops\",\"system:authenticated\"]}";
        assert_who(a->authn, "Bearer secret", NULL, bob);
        assert_who(a->authn, "bearer secret", NULL, bob);
        assert_who(a->authn, NULL, "x, base64url.bearer.authorization.k8s.io.c2VjcmV0", bob);
        assert_who(a->authn, "Bearer quo\"ted", NULL,
            "{\"username\":\"eve\",\"uid\":\"u2\",\"groups\":[\"system:authenticated\"]}");
        assert_who(a->authn, "Bearer wrong", NULL, "401 Unauthorized");
}

static void nobody_is_anonymous_if_allowed(void **state)
{
        struct auth *a = *state;
        const char *anonymous = "{\"username\":\"system:anonymous\",\"groups\":[\"system:unauthenticated\"]}";
        assert_who(a->authn, NULL, NULL, anonymous);
        assert_who(a->authn, "Basic YTpi", NULL, anonymous);
        struct kc_authn *strict = new_authn(a, false);
        assert_who(strict, NULL, NULL, "401 Unauthorized");
        kc_authn_free(strict);
}

static void bad_token_files_say_where(void **state)
{
        struct auth *a = *state;
        static const struct {
                const char *text, *want;
        } cases[] = {
            {"a,b\n", "must have at least 3 columns (token, user name, user uid), found 2"},
            {"a,b,c\nx,\"y,z\n", "parse error on line 3: extraneous or missing \" in quoted-field"},
            {"a,b\"c,d\n", "parse error on line 1: bare \" in non-quoted-field"},
        };
        for (size_t i = 0; i < KC_ARRAY_LEN(cases); i++) {
                assert_int_equal(
                    kc_file_write_atomic(a->token_file, cases[i].text, strlen(cases[i].text), 0600, NULL), 0);
                const struct kc_authn_opts o = {.resources = a->f.resources, .token_auth_file = a->token_file};
                struct kc_authn *n = NULL;
                KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
                assert_int_equal(kc_authn_new(&o, &n, &err), -EINVAL);
                assert_non_null(strstr(err.message, cases[i].want));
        }
}

/* --- service-account tokens */

static int issue(struct auth *a, const char *spec, char **ret)
{
        KC_CLEANUP(kc_json_freep) struct json_object *body = kc_json_build("{'spec':%o}", kc_json_build(spec));
        struct json_object *answer = NULL;
        int r = act(&a->f, "serviceaccounts", "token", "default", "default", body, &answer);
        if (r == 0 && ret)
                *ret = kc_asprintf("Bearer %s", kc_json_str_at(answer, "status.token"));
        kc_json_free(answer);
        return r;
}

static void tokens_live_as_long_as_asked(void **state)
{
        struct auth *a = *state;
        KC_CLEANUP(kc_freep) char *token = NULL;
        assert_int_equal(issue(a, "{'expirationSeconds':600}", &token), 0);
        KC_CLEANUP(kc_freep) char *got = who(a->authn, token, NULL);
        assert_non_null(strstr(got, "\"username\":\"system:serviceaccount:default:default\""));
        assert_non_null(strstr(got, "\"groups\":[\"system:serviceaccounts\",\"system:serviceaccounts:default\","
                                    "\"system:authenticated\"]"));
        assert_non_null(strstr(got, "\"authentication.kubernetes.io/credential-id\":[\"JTI="));
        kc_fake_clock_advance(&a->f.clock, 659 * KC_SEC); /* a minute for clocks that differ */
        KC_CLEANUP(kc_freep) char *still = who(a->authn, token, NULL);
        assert_string_equal(still, got);
        kc_fake_clock_advance(&a->f.clock, 2 * KC_SEC);
        assert_who(a->authn, token, NULL, "401 Unauthorized");
}

static void tokens_die_with_their_account(void **state)
{
        struct auth *a = *state;
        KC_CLEANUP(kc_freep) char *token = NULL;
        assert_int_equal(issue(a, "{'expirationSeconds':600}", &token), 0);
        assert_int_equal(remove_as(&a->f, NULL, "", "serviceaccounts", "default", "default", -1, NULL), 0);
        put(&a->f, "", "serviceaccounts", "default", kc_json_build("{'metadata':{'name':'default'}}"));
        kc_object_unref(get(&a->f, "", "serviceaccounts", "default", "default")); /* waits for the cache */
        assert_who(a->authn, token, NULL, "401 Unauthorized");
}

static void tokens_of_pods_die_with_them(void **state)
{
        struct auth *a = *state;
        put(&a->f, "", "nodes", "", kc_json_build("{'metadata':{'name':'n1'}}"));
        struct json_object *pod = simple_pod("p");
        kc_json_set_str(kc_json_get_mut(pod, "spec"), "nodeName", "n1");
        KC_CLEANUP(kc_object_unrefp) struct kc_object *p = must_create(&a->f, "", "pods", "default", pod);
        KC_CLEANUP(kc_freep) char *token = NULL;
        assert_int_equal(
            issue(a, "{'expirationSeconds':3607,'boundObjectRef':{'kind':'Pod','apiVersion':'v1','name':'p'}}", &token),
            0);
        KC_CLEANUP(kc_freep) char *got = who(a->authn, token, NULL);
        KC_CLEANUP(kc_freep)
        char *extra = kc_asprintf("\"authentication.kubernetes.io/pod-name\":[\"p\"],"
                                  "\"authentication.kubernetes.io/pod-uid\":[\"%s\"]",
            kc_object_uid(p));
        assert_non_null(strstr(got, extra));
        assert_non_null(strstr(got, "\"authentication.kubernetes.io/node-name\":[\"n1\"]"));
        /* Tokens of volumes are good for a year, in case a client does not read them again. */
        kc_fake_clock_advance(&a->f.clock, (int64_t)300 * 24 * 3600 * KC_SEC);
        KC_CLEANUP(kc_freep) char *later = who(a->authn, token, NULL);
        assert_string_equal(later, got);
        assert_int_equal(remove_as(&a->f, NULL, "", "pods", "default", "p", 0, NULL), 0);
        KC_CLEANUP(kc_object_unrefp) struct kc_object *none = get(&a->f, "", "pods", "default", "p");
        assert_null(none);
        assert_who(a->authn, token, NULL, "401 Unauthorized");
}

static void token_requests_are_checked(void **state)
{
        struct auth *a = *state;
        static const struct {
                const char *spec;
                int code;
                const char *message;
        } cases[] = {
            {"{'expirationSeconds':599}", 422,
                "TokenRequest.authentication.k8s.io \"\" is invalid: spec.expirationSeconds: Invalid value: 599: may "
                "not "
                "specify a duration less than 10 minutes"},
            {"{'expirationSeconds':4294967297}", 422,
                "TokenRequest.authentication.k8s.io \"\" is invalid: spec.expirationSeconds: Invalid value: "
                "4294967297: "
                "may not specify a duration larger than 2^32 seconds"},
            {"{'expirationSeconds':600,'boundObjectRef':{'kind':'Pod','apiVersion':'v1','name':'none'}}", 404,
                "pods \"none\" not found"},
            {"{'expirationSeconds':600,'boundObjectRef':{'kind':'Job','apiVersion':'batch/v1','name':'x'}}", 400,
                "cannot bind token to object of type batch/v1, Kind=Job"},
        };
        for (size_t i = 0; i < KC_ARRAY_LEN(cases); i++) {
                assert_true(issue(a, cases[i].spec, NULL) < 0);
                assert_string_equal(a->f.err.message, cases[i].message);
                assert_int_equal(a->f.err.code, cases[i].code);
        }
}

static void other_audiences_are_refused(void **state)
{
        struct auth *a = *state;
        KC_CLEANUP(kc_freep) char *token = NULL;
        assert_int_equal(issue(a, "{'expirationSeconds':600,'audiences':['vault']}", &token), 0);
        assert_who(a->authn, token, NULL, "401 Unauthorized");
        char *vault[] = {(char *)"vault", (char *)"x", NULL};
        KC_CLEANUP(kc_user_unrefp) struct kc_user *u = NULL;
        KC_CLEANUP(kc_strv_freep) char **good = NULL;
        KC_CLEANUP(kc_freep) char *why = NULL;
        assert_int_equal(kc_authn_token(a->authn, token + strlen("Bearer "), vault, &u, &good, &why, NULL), 0);
        assert_non_null(u);
        assert_string_equal(good[0], "vault");
        assert_null(good[1]);
        KC_CLEANUP(kc_user_unrefp) struct kc_user *none = NULL;
        KC_CLEANUP(kc_strv_freep) char **nothing = NULL;
        assert_int_equal(kc_authn_token(a->authn, token + strlen("Bearer "), NULL, &none, &nothing, &why, NULL), 0);
        assert_null(none);
        assert_string_equal(why,
            "[invalid bearer token, token audiences [\"vault\"] is invalid for the target audiences "
            "[\"" ISSUER "\"]]");
}

static void others_can_verify(void **state)
{
        struct auth *a = *state;
        KC_CLEANUP(kc_freep) char *config = kc_satoken_openid_configuration(a->f.satoken);
        assert_string_equal(config,
            "{\"issuer\":\"" ISSUER "\",\"jwks_uri\":\"" ISSUER "/openid/v1/jwks\",\"response_types_supported\":["
            "\"id_token\"],\"subject_types_supported\":[\"public\"],\"id_token_signing_alg_values_supported\":["
            "\"ES256\"]}");
        KC_CLEANUP(kc_freep) char *jwks = kc_satoken_jwks(a->f.satoken);
        assert_non_null(strstr(jwks, "{\"keys\":[{\"use\":\"sig\",\"kty\":\"EC\",\"kid\":\""));
        assert_null(strstr(jwks, "\"d\":")); /* never the private part */
}

static char *review(struct auth *a, const char *group, const char *resource, const char *obj)
{
        KC_CLEANUP(kc_json_freep) struct json_object *o = kc_json_build(obj);
        KC_CLEANUP(kc_user_unrefp) struct kc_user *u = user("jane", NULL);
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        int r = 0;
        assert_true(kc_review_create(
            a->authn, a->f.authz, u, kc_schema_resource(group, "v1", resource), "default", o, &r, &err));
        return r < 0 ? kc_strdup(err.message) : kc_json_to_str(kc_json_get(o, "status"));
}

static void reviews_answer(void **state)
{
        struct auth *a = *state;
        static const struct {
                const char *group, *resource, *obj, *want;
        } cases[] = {
            {"authentication.k8s.io", "tokenreviews", "{'spec':{'token':'secret'}}",
                "{\"authenticated\":true,\"user\":{\"username\":\"bob\",\"uid\":\"u1\",\"groups\":[\"dev\",\"ops\","
                "\"system:authenticated\"]},\"audiences\":[\"" ISSUER "\"]}"},
            {"authentication.k8s.io", "tokenreviews", "{'spec':{'token':'x'}}",
                "{\"user\":{},\"error\":\"invalid bearer token\"}"},
            {"authentication.k8s.io", "tokenreviews", "{'spec':{'token':''}}",
                "token is required for TokenReview in authentication"},
            {"authentication.k8s.io", "selfsubjectreviews", "{}",
                "{\"userInfo\":{\"username\":\"jane\",\"groups\":[\"system:authenticated\"]}}"},
            {"authorization.k8s.io", "subjectaccessreviews",
                "{'spec':{'user':'x','resourceAttributes':{'verb':'get','resource':'pods'}}}", "{\"allowed\":false}"},
            {"authorization.k8s.io", "subjectaccessreviews",
                "{'spec':{'groups':['system:masters'],'nonResourceAttributes':{'verb':'get','path':'/x'}}}",
                "{\"allowed\":true}"},
            {"authorization.k8s.io", "subjectaccessreviews", "{'spec':{'resourceAttributes':{}}}",
                "SubjectAccessReview.authorization.k8s.io \"\" is invalid: spec.user: Invalid value: \"\": at least "
                "one "
                "of user or group must be specified"},
            {"authorization.k8s.io", "selfsubjectaccessreviews", "{'spec':{}}",
                "SelfSubjectAccessReview.authorization.k8s.io \"\" is invalid: spec.resourceAttributes: Invalid value: "
                "null: exactly one of nonResourceAttributes or resourceAttributes must be specified"},
            {"authorization.k8s.io", "localsubjectaccessreviews",
                "{'spec':{'user':'x','resourceAttributes':{'namespace':'other'}}}",
                "LocalSubjectAccessReview.authorization.k8s.io \"\" is invalid: spec.resourceAttributes.namespace: "
                "Invalid value: \"other\": must match metadata.namespace"},
            {"authorization.k8s.io", "selfsubjectrulesreviews", "{'spec':{'namespace':'default'}}",
                "{\"resourceRules\":[],\"nonResourceRules\":[],\"incomplete\":false}"},
        };
        for (size_t i = 0; i < KC_ARRAY_LEN(cases); i++) {
                KC_CLEANUP(kc_freep) char *got = review(a, cases[i].group, cases[i].resource, cases[i].obj);
                assert_string_equal(got, cases[i].want);
        }
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
        const struct CMUnitTest tests[] = {
            TEST(static_tokens),
            TEST(nobody_is_anonymous_if_allowed),
            TEST(bad_token_files_say_where),
            TEST(tokens_live_as_long_as_asked),
            TEST(tokens_die_with_their_account),
            TEST(tokens_of_pods_die_with_them),
            TEST(token_requests_are_checked),
            TEST(other_audiences_are_refused),
            TEST(others_can_verify),
            TEST(reviews_answer),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
