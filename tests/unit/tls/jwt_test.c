/* Tokens: signing and checking with both algorithms, and what is refused. */
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/encode.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "tls/jwt.h"
#include "tls/tls.h"

static char dir[64];

static int set_up(void **state)
{
        (void)state;
        snprintf(dir, sizeof(dir), "/tmp/kc-jwt-test-XXXXXX");
        return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
        (void)state;
        return kc_rm_rf(dir, NULL);
}

static char *path_of(const char *name)
{
        static char paths[4][128];
        static int i;
        i = (i + 1) % 4;
        snprintf(paths[i], sizeof(paths[i]), "%s/%s", dir, name);
        return paths[i];
}

/* The private key in one file, the public one in another. */
static void write_keys(EVP_PKEY *key, const char *private_name, const char *public_name, const char *mode)
{
        FILE *f = fopen(path_of(private_name), mode);
        assert_non_null(f);
        assert_int_equal(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL), 1);
        fclose(f);
        f = fopen(path_of(public_name), mode);
        assert_non_null(f);
        assert_int_equal(PEM_write_PUBKEY(f, key), 1);
        fclose(f);
        EVP_PKEY_free(key);
}

struct keys {
        struct kc_jwt_key **keys;
        size_t n;
};

static struct keys load(const char *name)
{
        struct keys k = {0};
        struct kc_error err = KC_ERROR_INIT;
        if (kc_jwt_keys_load(path_of(name), &k.keys, &k.n, &err) < 0)
                fail_msg("%s", kc_error_message(&err));
        return k;
}

static const char claims[] = "{\"iss\":\"kubernetes/serviceaccount\",\"sub\":\"system:serviceaccount:a:b\"}";

static void round_trip(const char *private_name, const char *public_name, const char *alg, size_t sig_len)
{
        struct keys priv = load(private_name), pub = load(public_name);
        assert_true(kc_jwt_key_is_private(priv.keys[0]));
        assert_false(kc_jwt_key_is_private(pub.keys[0]));
        assert_string_equal(kc_jwt_key_id(priv.keys[0]), kc_jwt_key_id(pub.keys[0]));
        char *token, *got;
        assert_int_equal(kc_jwt_sign(priv.keys[0], claims, &token, NULL), 0);
        struct kc_buf header = KC_BUF_INIT, sig = KC_BUF_INIT;
        assert_int_equal(kc_base64url_decode(token, (size_t)(strchr(token, '.') - token), &header), 0);
        char *wanted = kc_asprintf("{\"alg\":\"%s\",\"kid\":\"%s\"}", alg, kc_jwt_key_id(pub.keys[0]));
        assert_string_equal(header.data, wanted);
        const char *last = strrchr(token, '.') + 1;
        assert_int_equal(kc_base64url_decode(last, strlen(last), &sig), 0);
        assert_int_equal(sig.len, sig_len);
        assert_int_equal(kc_jwt_verify(pub.keys, pub.n, token, &got, NULL), 0);
        assert_string_equal(got, claims);
        assert_int_equal(kc_jwt_sign(pub.keys[0], claims, &token, NULL), -EINVAL);
        kc_free(got);
        kc_free(token);
        kc_free(wanted);
        kc_buf_done(&header);
        kc_buf_done(&sig);
        kc_jwt_keys_free(priv.keys, priv.n);
        kc_jwt_keys_free(pub.keys, pub.n);
}

static void test_round_trips(void **state)
{
        (void)state;
        write_keys(EVP_RSA_gen(2048), "rsa", "rsa.pub", "w");
        round_trip("rsa", "rsa.pub", "RS256", 256);
        write_keys(EVP_EC_gen("P-256"), "ec", "ec.pub", "w");
        for (int i = 0; i < 50; i++) /* numbers that begin with zeros turn up */
                round_trip("ec", "ec.pub", "ES256", 64);
}

/* The example of RFC 7515, A.3. */
static void test_rfc_example(void **state)
{
        (void)state;
        static const char pem[] = "-----BEGIN PUBLIC KEY-----\n"
                                  "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEf83OJ3D2xF1Bg8vub9tLe1gHMzV7\n"
                                  "6e8Tus9uPHvRVEXH8UTNG72bfocs3+257rn0s2ldbqkLJK2KRiMohYjlrQ==\n"
                                  "-----END PUBLIC KEY-----\n";
        static const char token[] =
            "eyJhbGciOiJFUzI1NiJ9."
            "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0"
            "cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
        assert_int_equal(kc_file_write_atomic(path_of("rfc"), pem, strlen(pem), 0600, NULL), 0);
        struct keys k = load("rfc");
        char *got;
        assert_int_equal(kc_jwt_verify(k.keys, k.n, token, &got, NULL), 0);
        assert_string_equal(got, "{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \"http://example.com/is_root\":true}");
        kc_free(got);
        char *jwk = kc_jwt_key_jwk(k.keys[0]);
        assert_non_null(strstr(jwk, "\"kty\":\"EC\""));
        assert_non_null(strstr(jwk, "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\""));
        assert_non_null(strstr(jwk, "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\""));
        kc_free(jwk);
        kc_jwt_keys_free(k.keys, k.n);
}

static void expect_refused(const struct keys *k, const char *token, int errnum)
{
        char *got = NULL;
        if (kc_jwt_verify(k->keys, k->n, token, &got, NULL) != -errnum)
                fail_msg("not refused with %d: %s", errnum, token);
        assert_null(got);
}

static char *with_header(const char *header, const char *token)
{
        char *h = kc_base64url_encode(header, strlen(header));
        char *t = kc_asprintf("%s%s", h, strchr(token, '.'));
        kc_free(h);
        return t;
}

static void test_refusals(void **state)
{
        (void)state;
        write_keys(EVP_EC_gen("P-256"), "one", "one.pub", "w");
        write_keys(EVP_EC_gen("P-256"), "two", "two.pub", "w");
        struct keys one = load("one"), two = load("two.pub");
        char *token;
        assert_int_equal(kc_jwt_sign(one.keys[0], claims, &token, NULL), 0);
        expect_refused(&two, token, EACCES);
        expect_refused(&(struct keys){0}, token, EACCES);
        /* One character of the claims changed. */
        char *changed = kc_strdup(token);
        char *middle = strchr(changed, '.') + 10;
        *middle = *middle == 'A' ? 'B' : 'A';
        expect_refused(&one, changed, EACCES);
        kc_free(changed);
        static const char *const headers[] = {"{\"alg\":\"none\"}", "{\"alg\":\"HS256\"}", "{\"alg\":\"RS256\"}",
            "{\"alg\":\"ES256\",\"typ\":\"other\"}"};
        for (size_t i = 0; i < KC_ARRAY_LEN(headers); i++) {
                char *t = with_header(headers[i], token);
                expect_refused(&one, t, EACCES);
                kc_free(t);
        }
        static const char *const bad_headers[] = {
            "{}", "[]", "null", "{\"alg\":1}", "{", "{\"alg\":\"ES256\",\"crit\":[\"b64\"]}"};
        for (size_t i = 0; i < KC_ARRAY_LEN(bad_headers); i++) {
                char *t = with_header(bad_headers[i], token);
                expect_refused(&one, t, EINVAL);
                kc_free(t);
        }
        static const char *const bad[] = {"", ".", "..", "...", "a.b", "a.b.c.d", "e30.e30.", "!.!.!", "e30..e30"};
        for (size_t i = 0; i < KC_ARRAY_LEN(bad); i++)
                expect_refused(&one, bad[i], EINVAL);
        char *unsigned_token = kc_strndup(token, (size_t)(strrchr(token, '.') + 1 - token));
        expect_refused(&one, unsigned_token, EACCES);
        kc_free(unsigned_token);
        struct kc_buf big = KC_BUF_INIT;
        kc_buf_adds(&big, token);
        while (big.len <= 32 * 1024)
                kc_buf_adds(&big, "AAAA");
        expect_refused(&one, big.data, EINVAL);
        kc_buf_done(&big);
        kc_free(token);
        kc_jwt_keys_free(one.keys, one.n);
        kc_jwt_keys_free(two.keys, two.n);
}

static void test_several_keys_in_a_file(void **state)
{
        (void)state;
        write_keys(EVP_RSA_gen(2048), "many", "many.pub", "w");
        write_keys(EVP_EC_gen("P-256"), "many", "many.pub", "a");
        write_keys(EVP_EC_gen("secp256k1"), "many", "many.pub", "a"); /* no algorithm of ours */
        write_keys(EVP_EC_gen("P-384"), "many", "many.pub", "a");
        write_keys(EVP_EC_gen("P-521"), "many", "many.pub", "a");
        struct keys priv = load("many"), pub = load("many.pub");
        assert_int_equal(priv.n, 4);
        assert_int_equal(pub.n, 4);
        for (size_t i = 0; i < priv.n; i++) {
                char *token, *got;
                assert_int_equal(kc_jwt_sign(priv.keys[i], claims, &token, NULL), 0);
                assert_int_equal(kc_jwt_verify(pub.keys, pub.n, token, &got, NULL), 0);
                kc_free(token);
                kc_free(got);
        }
        kc_jwt_keys_free(priv.keys, priv.n);
        kc_jwt_keys_free(pub.keys, pub.n);
}

/* What we publish of a key is what others, and we ourselves, read. */
static void test_sets(void **state)
{
        (void)state;
        static const char *const curves[] = {"P-256", "P-384", "P-521", NULL};
        struct kc_buf set = KC_BUF_INIT;
        char *algs[] = {(char[]){"RS256"}, (char[]){"ES256"}, (char[]){"ES384"}, (char[]){"ES512"}, NULL};
        write_keys(EVP_RSA_gen(2048), "set", "set.pub", "w");
        for (size_t i = 0; curves[i]; i++)
                write_keys(EVP_EC_gen(curves[i]), "set", "set.pub", "a");
        struct keys priv = load("set"), pub;
        kc_buf_adds(
            &set, "{\"keys\":[{\"kty\":\"oct\",\"k\":\"AAAA\"},{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA\"}");
        for (size_t i = 0; i < priv.n; i++) {
                char *jwk = kc_jwt_key_jwk(priv.keys[i]);
                kc_buf_addf(&set, ",%s", jwk);
                kc_free(jwk);
        }
        kc_buf_adds(&set, "]}");
        assert_int_equal(kc_jwt_keys_parse_set(kc_buf_str(&set), set.len, &pub.keys, &pub.n, NULL), 0);
        assert_int_equal(pub.n, 4);
        for (size_t i = 0; i < priv.n; i++) {
                char *token, *got;
                assert_int_equal(kc_jwt_sign(priv.keys[i], claims, &token, NULL), 0);
                assert_int_equal(kc_jwt_verify_id_token(pub.keys, pub.n, algs, token, &got, NULL), 0);
                assert_string_equal(got, claims);
                kc_free(got);
                /* Without the key of that name nothing is tried, and an algorithm that is not asked for is none. */
                assert_int_equal(kc_jwt_verify_id_token(pub.keys, i, algs, token, &got, NULL), -ENOKEY);
                assert_int_equal(
                    kc_jwt_verify_id_token(pub.keys, pub.n, (char *[]){(char[]){"PS256"}, NULL}, token, &got, NULL),
                    -EPROTONOSUPPORT);
                kc_free(token);
        }
        kc_jwt_keys_free(priv.keys, priv.n);
        kc_jwt_keys_free(pub.keys, pub.n);
        assert_int_equal(kc_jwt_keys_parse_set("{}", 2, &pub.keys, &pub.n, NULL), -EINVAL);
        kc_buf_done(&set);
}

static void test_other_files(void **state)
{
        (void)state;
        struct kc_error err = KC_ERROR_INIT;
        struct keys k;
        assert_int_equal(kc_jwt_keys_load(path_of("absent"), &k.keys, &k.n, &err), -ENOENT);
        assert_int_equal(kc_file_write_atomic(path_of("text"), "text", 4, 0600, NULL), 0);
        assert_int_equal(kc_jwt_keys_load(path_of("text"), &k.keys, &k.n, &err), -EINVAL);
        kc_error_done(&err);
        /* A certificate holds a public key, too. */
        char *names[] = {(char[]){"a"}, NULL};
        assert_int_equal(kc_tls_self_signed("a", names, path_of("cert"), path_of("certkey"), NULL), 0);
        struct keys cert = load("cert"), key = load("certkey");
        assert_string_equal(kc_jwt_key_id(cert.keys[0]), kc_jwt_key_id(key.keys[0]));
        kc_jwt_keys_free(cert.keys, cert.n);
        kc_jwt_keys_free(key.keys, key.n);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_round_trips),
            cmocka_unit_test(test_rfc_example),
            cmocka_unit_test(test_refusals),
            cmocka_unit_test(test_several_keys_in_a_file),
            cmocka_unit_test(test_sets),
            cmocka_unit_test(test_other_files),
        };
        return cmocka_run_group_tests(tests, set_up, tear_down);
}
