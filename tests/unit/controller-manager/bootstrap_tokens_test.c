/* Bootstrap tokens: which may sign, and the signature. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/encode.h"
#include "base/str.h"
#include "controller-manager/bootstrap_tokens.h"

#define NOW ((kc_time)1800000000 * KC_SEC) /* 2027-01-15T08:00:00Z */

static struct json_object *token(const char *name, const char *id, const char *expiration, const char *signing)
{
        struct json_object *o = kc_json_build(
            "{'kind':'Secret','type':'bootstrap.kubernetes.io/token','metadata':{'name':%s},'data':{}}", name);
        const char *const data[][2] = {{"token-id", id}, {"token-secret", "0123456789abcdef"},
            {"expiration", expiration}, {"usage-bootstrap-signing", signing}};
        for (size_t i = 0; i < KC_ARRAY_LEN(data); i++) {
                if (!data[i][1])
                        continue;
                KC_CLEANUP(kc_freep) char *text = kc_base64_encode(data[i][1], strlen(data[i][1]));
                kc_json_set_str(kc_json_get_mut(o, "data"), data[i][0], text);
        }
        return o;
}

static void test_which_sign(void **state)
{
        (void)state;
        static const struct {
                const char *name, *id, *expiration, *signing;
                bool signs;
        } rows[] = {
            {"bootstrap-token-abcdef", "abcdef", NULL, "true", true},
            {"bootstrap-token-abcdef", "abcdef", "2027-01-15T08:00:01Z", "true", true},
            {"bootstrap-token-abcdef", "abcdef", "2027-01-15T08:00:00Z", "true", false},
            {"bootstrap-token-abcdef", "abcdef", "soon", "true", false},
            {"bootstrap-token-abcdef", "abcdeg", NULL, "true", false},
            {"bootstrap-token-ABCDEF", "ABCDEF", NULL, "true", false},
            {"bootstrap-token-abcde", "abcde", NULL, "true", false},
            {"abcdef", "abcdef", NULL, "true", false},
            {"bootstrap-token-abcdef", "abcdef", NULL, "false", false},
            {"bootstrap-token-abcdef", "abcdef", NULL, NULL, false},
        };
        for (size_t i = 0; i < KC_ARRAY_LEN(rows); i++) {
                KC_CLEANUP(kc_json_freep)
                struct json_object *o = token(rows[i].name, rows[i].id, rows[i].expiration, rows[i].signing);
                KC_CLEANUP(kc_freep) char *id = NULL;
                KC_CLEANUP(kc_freep) char *secret = NULL;
                assert_int_equal(kc_bootstrap_token_signs(o, NOW, &id, &secret), rows[i].signs);
                if (rows[i].signs)
                        assert_string_equal(secret, "0123456789abcdef");
        }
}

static void test_signature(void **state)
{
        (void)state;
        KC_CLEANUP(kc_freep)
        char *jws = kc_jws_detached("Hello! My name is content.", "joshua", "my voice is my passcode");
        assert_string_equal(
            jws, "eyJhbGciOiJIUzI1NiIsImtpZCI6Impvc2h1YSJ9..b45lJG4Iyt7Aut0SH0-jsthbdiCTPWsZcDDYIRgDp9U");
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_which_sign), cmocka_unit_test(test_signature)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
