/* Requests, and what a signer makes of them. */
#include <errno.h>
#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "tls/csr.h"
#include "tls/tls.h"

#define NOW ((kc_time)1900000000 * KC_SEC)
#define HOUR (3600 * KC_SEC)

struct world {
        char dir[32];
        struct kc_ca *ca;
};

/* A self-signed certificate will do as an authority: it ends a year from the real now. */
static int setup(void **state)
{
        struct world *w = KC_NEW(struct world);
        strcpy(w->dir, "/tmp/kubec-csr-XXXXXX");
        assert_non_null(mkdtemp(w->dir));
        KC_CLEANUP(kc_freep) char *cert = kc_path_join(w->dir, "ca.crt");
        KC_CLEANUP(kc_freep) char *key = kc_path_join(w->dir, "ca.key");
        assert_int_equal(kc_tls_self_signed("test-ca", NULL, cert, key, NULL), 0);
        assert_int_equal(kc_ca_load(cert, key, &w->ca, NULL), 0);
        *state = w;
        return 0;
}

static int teardown(void **state)
{
        struct world *w = *state;
        kc_ca_free(w->ca);
        assert_int_equal(kc_rm_rf(w->dir, NULL), 0);
        kc_free(w);
        return 0;
}

static struct kc_csr *request(const char *cn, char *const *orgs, char *const *names)
{
        KC_CLEANUP(kc_freep) char *key = NULL;
        KC_CLEANUP(kc_freep) char *pem = NULL;
        struct kc_csr *csr = NULL;
        assert_int_equal(kc_key_generate(&key, NULL), 0);
        assert_true(kc_str_has_prefix(key, "-----BEGIN EC PRIVATE KEY-----\n"));
        assert_int_equal(kc_csr_make(key, cn, orgs, names, &pem, NULL), 0);
        assert_int_equal(kc_csr_parse(pem, strlen(pem), &csr, NULL), 0);
        return csr;
}

static X509 *parse(const char *pem)
{
        BIO *bio = BIO_new_mem_buf(pem, -1);
        X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
        BIO_free(bio);
        assert_non_null(cert);
        return cert;
}

static void test_round_trip(void **state)
{
        (void)state;
        char *orgs[] = {(char *)"system:nodes", (char *)"more", NULL};
        char *names[] = {(char *)"n1", (char *)"10.0.0.1", (char *)"fd00::1", NULL};
        KC_CLEANUP(kc_csr_freep) struct kc_csr *csr = request("system:node:n1", orgs, names);
        assert_string_equal(csr->common_name, "system:node:n1");
        assert_int_equal(kc_strv_len(csr->organizations), 2);
        assert_string_equal(csr->organizations[1], "more");
        assert_int_equal(kc_strv_len(csr->dns_names), 1);
        assert_int_equal(kc_strv_len(csr->ip_addresses), 2);
        assert_string_equal(csr->ip_addresses[1], "fd00::1");
        assert_null(csr->emails);
        assert_false(csr->rsa);
}

static void test_malformed(void **state)
{
        (void)state;
        static const char *const bad[] = {"", "nonsense", "-----BEGIN CERTIFICATE REQUEST-----\n",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"};
        struct kc_csr *csr = NULL;
        for (size_t i = 0; i < KC_ARRAY_LEN(bad); i++) {
                struct kc_error err = KC_ERROR_INIT;
                assert_int_equal(kc_csr_parse(bad[i], strlen(bad[i]), &csr, &err), -EINVAL);
                assert_string_equal(kc_error_message(&err), "PEM block type must be CERTIFICATE REQUEST");
                kc_error_done(&err);
        }
        const char *garbage = "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n";
        struct kc_error err = KC_ERROR_INIT;
        assert_int_equal(kc_csr_parse(garbage, strlen(garbage), &csr, &err), -EINVAL);
        assert_string_equal(kc_error_message(&err), "x509: malformed certificate request");
        kc_error_done(&err);
}

static char *sign(struct world *w, const struct kc_csr *csr, int64_t ttl, char *const *usages)
{
        char *pem = NULL;
        const struct kc_sign_opts o = {
            .usages = usages, .ttl = ttl, .backdate = 300 * KC_SEC, .short_ttl = 8 * HOUR, .now = kc_clock_now(NULL)};
        assert_int_equal(kc_ca_sign(w->ca, csr, &o, &pem, NULL), 0);
        return pem;
}

static void test_lifetimes(void **state)
{
        struct world *w = *state;
        char *usages[] = {(char *)"client auth", NULL};
        KC_CLEANUP(kc_csr_freep) struct kc_csr *csr = request("bob", NULL, NULL);
        static const struct {
                int64_t ttl, lifetime;
        } cases[] = {{HOUR, HOUR + 300 * KC_SEC}, {24 * HOUR, 24 * HOUR}};
        for (size_t i = 0; i < KC_ARRAY_LEN(cases); i++) {
                KC_CLEANUP(kc_freep) char *pem = sign(w, csr, cases[i].ttl, usages);
                struct kc_cert_info info;
                assert_int_equal(kc_cert_info(pem, strlen(pem), &info, NULL), 0);
                assert_int_equal(info.not_after - info.not_before, cases[i].lifetime);
                kc_cert_info_done(&info);
        }
        /* It does not outlive its authority. */
        KC_CLEANUP(kc_freep) char *pem = sign(w, csr, 10 * 365 * 24 * HOUR, usages);
        struct kc_cert_info info;
        assert_int_equal(kc_cert_info(pem, strlen(pem), &info, NULL), 0);
        assert_true(info.not_after - kc_clock_now(NULL) <= 365 * 24 * HOUR);
        kc_cert_info_done(&info);
}

static void test_what_is_copied(void **state)
{
        struct world *w = *state;
        char *usages[] = {(char *)"digital signature", (char *)"server auth", NULL};
        char *orgs[] = {(char *)"system:nodes", NULL}, *names[] = {(char *)"n1", (char *)"10.0.0.1", NULL};
        KC_CLEANUP(kc_csr_freep) struct kc_csr *csr = request("first", orgs, names);
        KC_CLEANUP(kc_freep) char *pem = sign(w, csr, HOUR, usages);
        X509 *cert = parse(pem);
        assert_int_equal(X509_get_key_usage(cert), KU_DIGITAL_SIGNATURE);
        assert_int_equal(X509_get_extended_key_usage(cert), XKU_SSL_SERVER);
        assert_int_equal(X509_check_ca(cert), 0);
        assert_int_equal(X509_check_host(cert, "n1", 0, 0, NULL), 1);
        assert_int_equal(X509_check_ip_asc(cert, "10.0.0.1", 0), 1);
        X509_free(cert);
}

static void test_refusals(void **state)
{
        struct world *w = *state;
        char *unknown[] = {(char *)"server auth", (char *)"world domination", NULL}, *pem = NULL;
        KC_CLEANUP(kc_csr_freep) struct kc_csr *csr = request("bob", NULL, NULL);
        KC_CLEANUP(kc_csr_freep) struct kc_csr *other = request("eve", NULL, NULL);
        struct kc_sign_opts o = {.usages = unknown, .ttl = HOUR, .now = NOW};
        struct kc_error err = KC_ERROR_INIT;
        assert_int_equal(kc_ca_sign(w->ca, csr, &o, &pem, &err), -EINVAL);
        assert_string_equal(kc_error_message(&err), "unrecognized usage values: [\"world domination\"]");
        kc_error_done(&err);
        /* A key that somebody else holds: the signature is not its. */
        char *usages[] = {(char *)"client auth", NULL};
        o.usages = usages;
        EVP_PKEY *stolen = X509_REQ_get_pubkey(other->req);
        assert_int_equal(X509_REQ_set_pubkey(csr->req, stolen), 1);
        EVP_PKEY_free(stolen);
        assert_int_equal(kc_ca_sign(w->ca, csr, &o, &pem, &err), -EINVAL);
        assert_string_equal(kc_error_message(&err), "unable to verify certificate request signature");
        kc_error_done(&err);
        assert_null(pem);
}

static void test_unknown_attributes_are_left_out(void **state)
{
        struct world *w = *state;
        char *usages[] = {(char *)"client auth", NULL};
        EVP_PKEY *key = EVP_EC_gen("P-256");
        X509_REQ *req = X509_REQ_new();
        X509_NAME *subject = X509_REQ_get_subject_name(req);
        static const struct {
                const char *oid, *value;
        } entries[] = {{"CN", "first"}, {"O", "a"}, {"1.3.6.1.4.1.57683.2", "stolen-uid"}, {"O", "b"}, {"CN", "last"}};
        for (size_t i = 0; i < KC_ARRAY_LEN(entries); i++)
                assert_int_equal(X509_NAME_add_entry_by_txt(subject, entries[i].oid, MBSTRING_UTF8,
                                     (const unsigned char *)entries[i].value, -1, -1, 0),
                    1);
        X509_REQ_set_pubkey(req, key);
        assert_true(X509_REQ_sign(req, key, EVP_sha256()) > 0);
        BIO *bio = BIO_new(BIO_s_mem());
        PEM_write_bio_X509_REQ(bio, req);
        char *text = NULL;
        long len = BIO_get_mem_data(bio, &text);
        struct kc_csr *csr = NULL;
        assert_int_equal(kc_csr_parse(text, (size_t)len, &csr, NULL), 0);
        assert_string_equal(csr->common_name, "last");
        KC_CLEANUP(kc_freep) char *pem = sign(w, csr, HOUR, usages);
        X509 *cert = parse(pem);
        char line[128];
        X509_NAME_oneline(X509_get_subject_name(cert), line, sizeof(line));
        assert_string_equal(line, "/O=a+O=b/CN=last");
        X509_free(cert);
        kc_csr_free(csr);
        BIO_free(bio);
        X509_REQ_free(req);
        EVP_PKEY_free(key);
}

/* In a process without a terminal, whose input knows the password. 0: the pair is refused. */
static int check_encrypted(const char *cert, const char *key)
{
        int in[2];
        assert_int_equal(pipe(in), 0);
        assert_int_equal(write(in[1], "secret\n", strlen("secret\n")), strlen("secret\n"));
        pid_t pid = fork();
        if (pid == 0) {
                bool alone = setsid() > 0 && dup2(in[0], STDIN_FILENO) == STDIN_FILENO;
                _exit(!alone || kc_tls_check_pair(cert, key, NULL) == 0);
        }
        int status;
        close(in[0]);
        close(in[1]);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        return status;
}

static void test_nobody_is_asked_for_passwords(void **state)
{
        struct world *w = *state;
        KC_CLEANUP(kc_freep) char *cert_file = kc_path_join(w->dir, "ca.crt");
        KC_CLEANUP(kc_freep) char *key_file = kc_path_join(w->dir, "ca.key");
        KC_CLEANUP(kc_buf_done) struct kc_buf cert = KC_BUF_INIT;
        KC_CLEANUP(kc_buf_done) struct kc_buf key = KC_BUF_INIT;
        assert_int_equal(kc_file_read(cert_file, 1 << 20, &cert, NULL), 0);
        assert_int_equal(kc_file_read(key_file, 1 << 20, &key, NULL), 0);
        assert_int_equal(kc_tls_check_pair(kc_buf_str(&cert), kc_buf_str(&key), NULL), 0);
        BIO *in = BIO_new_mem_buf(key.data, (int)key.len), *out = BIO_new(BIO_s_mem());
        EVP_PKEY *plain = PEM_read_bio_PrivateKey(in, NULL, NULL, NULL);
        char password[] = "secret", *data = NULL;
        assert_int_equal(PEM_write_bio_PrivateKey(out, plain, EVP_aes_128_cbc(), NULL, 0, NULL, password), 1);
        long len = BIO_get_mem_data(out, &data);
        KC_CLEANUP(kc_freep) char *encrypted = kc_strndup(data, (size_t)len);
        assert_int_equal(check_encrypted(kc_buf_str(&cert), encrypted), 0);
        EVP_PKEY_free(plain);
        BIO_free(in);
        BIO_free(out);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_round_trip),
            cmocka_unit_test(test_malformed),
            cmocka_unit_test_setup_teardown(test_lifetimes, setup, teardown),
            cmocka_unit_test_setup_teardown(test_what_is_copied, setup, teardown),
            cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
            cmocka_unit_test_setup_teardown(test_unknown_attributes_are_left_out, setup, teardown),
            cmocka_unit_test_setup_teardown(test_nobody_is_asked_for_passwords, setup, teardown),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
