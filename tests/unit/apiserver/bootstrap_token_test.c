/* Authentication by bootstrap tokens. */
#include "auth/authn.h"
#include "base/encode.h"
#include "registry_fixture.h"

#define TOKEN "Bearer 07401b.f395accd246ae52d"

struct state {
        struct fixture f;
        struct kc_authn *authn;
};

static int setup(void **state)
{
        struct state *s = KC_NEW(struct state);
        fixture_open(&s->f);
        char *issuers[] = {(char *)"https://issuer", NULL};
        const struct kc_authn_opts o = {.resources = s->f.resources,
            .clock = &s->f.clock.clock,
            .service_account_issuers = issuers,
            .bootstrap_tokens = true};
        assert_int_equal(kc_authn_new(&o, &s->authn, NULL), 0);
        put(&s->f, "", "namespaces", "", kc_json_build("{'metadata':{'name':'kube-system'}}"));
        *state = s;
        return 0;
}

static int teardown(void **state)
{
        struct state *s = *state;
        kc_authn_free(s->authn);
        fixture_close(&s->f);
        kc_free(s);
        return 0;
}

static void set(struct json_object *secret, const char *key, const char *value)
{
        KC_CLEANUP(kc_freep) char *encoded = kc_base64_encode(value, strlen(value));
        kc_json_set_str(kc_json_ensure_obj(secret, "data"), key, encoded);
}

static struct json_object *secret(void)
{
        struct json_object *o = kc_json_build("{'metadata':{'name':'bootstrap-token-07401b','namespace':'kube-system'},"
                                              "'type':'bootstrap.kubernetes.io/token'}");
        set(o, "token-id", "07401b");
        set(o, "token-secret", "f395accd246ae52d");
        set(o, "usage-bootstrap-authentication", "true");
        return o;
}

static char *who(struct state *s, const char *header)
{
        const struct kc_authn_request req = {.authorization = header};
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        KC_CLEANUP(kc_authn_result_done) struct kc_authn_result found = {0};
        if (kc_authn_authenticate(s->authn, &req, &found, &err) < 0)
                return kc_asprintf("%d %s", err.code, err.message);
        KC_CLEANUP(kc_json_freep) struct json_object *o = kc_user_to_json(found.user);
        return kc_json_to_str(o);
}

static void assert_who(struct state *s, const char *header, const char *want)
{
        KC_CLEANUP(kc_freep) char *got = who(s, header);
        assert_string_equal(got, want);
}

static void a_good_token_is_a_bootstrapper(void **state)
{
        struct state *s = *state;
        struct json_object *o = secret();
        set(o, "auth-extra-groups", "system:bootstrappers:workers,system:bootstrappers:a:b-c");
        set(o, "expiration", "2100-01-01T00:00:00Z");
        assert_who(s, TOKEN, "401 Unauthorized");
        put(&s->f, "", "secrets", "kube-system", o);
        kc_object_unref(get(&s->f, "", "secrets", "kube-system", "bootstrap-token-07401b"));
        assert_who(s, TOKEN,
            "{\"username\":\"system:bootstrap:07401b\",\"groups\":[\"system:bootstrappers\","
            "\"system:bootstrappers:a:b-c\",\"system:bootstrappers:workers\",\"system:authenticated\"]}");
        static const char *const wrong[] = {"Bearer 07401b.f395accd246ae52e", "Bearer 07401b.f395accd246ae52",
            "Bearer 07401b", "Bearer 07401B.f395accd246ae52d", "Bearer 07401c.f395accd246ae52d",
            "Bearer ../401b.f395accd246ae52d"};
        for (size_t i = 0; i < KC_ARRAY_LEN(wrong); i++)
                assert_who(s, wrong[i], "401 Unauthorized");
        /* For another audience than the server's it is nobody's. */
        char *vault[] = {(char *)"vault", NULL};
        struct kc_user *u = NULL;
        KC_CLEANUP(kc_strv_freep) char **audiences = NULL;
        KC_CLEANUP(kc_freep) char *why = NULL;
        assert_int_equal(kc_authn_token(s->authn, TOKEN + strlen("Bearer "), vault, &u, &audiences, &why, NULL), 0);
        assert_null(u);
}

static void bad_secrets_are_nobodys(void **state)
{
        struct state *s = *state;
        static const struct {
                const char *key, *value;
        } cases[] = {
            {"usage-bootstrap-authentication", "yes"},
            {"token-id", "07401c"},
            {"token-secret", ""},
            {"expiration", "2000-01-01T00:00:00Z"},
            {"expiration", "tomorrow"},
            {"auth-extra-groups", "system:masters"},
            {"auth-extra-groups", "system:bootstrappers:x,system:bootstrappers:"},
            {"auth-extra-groups", "system:bootstrappers:x-"},
        };
        for (size_t i = 0; i < KC_ARRAY_LEN(cases); i++) {
                struct json_object *o = secret();
                set(o, cases[i].key, cases[i].value);
                put(&s->f, "", "secrets", "kube-system", o);
                kc_object_unref(get(&s->f, "", "secrets", "kube-system", "bootstrap-token-07401b"));
                assert_who(s, TOKEN, "401 Unauthorized");
                assert_int_equal(
                    remove_as(&s->f, NULL, "", "secrets", "kube-system", "bootstrap-token-07401b", -1, NULL), 0);
        }
        struct json_object *o = secret();
        kc_json_set_str(o, "type", "Opaque");
        put(&s->f, "", "secrets", "kube-system", o);
        kc_object_unref(get(&s->f, "", "secrets", "kube-system", "bootstrap-token-07401b"));
        assert_who(s, TOKEN, "401 Unauthorized");
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
        const struct CMUnitTest tests[] = {TEST(a_good_token_is_a_bootstrapper), TEST(bad_secrets_are_nobodys)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
