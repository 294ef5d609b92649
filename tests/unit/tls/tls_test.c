/* Contexts: handshakes in memory, client certificates, ALPN, reloading, names. */
#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "tls/tls.h"
#include "tls/tls_internal.h"

static char dir[64];

static char *path_of(const char *name)
{
        static char paths[8][128];
        static int i;
        i = (i + 1) % 8;
        snprintf(paths[i], sizeof(paths[i]), "%s/%s", dir, name);
        return paths[i];
}

static void write_pem(const char *name, X509 *cert, EVP_PKEY *key)
{
        FILE *f = fopen(path_of(name), "w");
        assert_non_null(f);
        if (cert)
                assert_int_equal(PEM_write_X509(f, cert), 1);
        if (key)
                assert_int_equal(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL), 1);
        fclose(f);
}

static void add_ext(X509 *cert, X509 *issuer, int nid, const char *value)
{
        X509V3_CTX ctx;
        X509V3_set_ctx_nodb(&ctx);
        X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
        X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
        assert_non_null(e);
        X509_add_ext(cert, e, -1);
        X509_EXTENSION_free(e);
}

struct identity {
        X509 *cert;
        EVP_PKEY *key;
};

/* issuer NULL: an authority. subject: "CN=x", "O=y", ... ended by NULL. Files <name>.crt and <name>.key. */
static struct identity make_cert(
    const char *name, const struct identity *issuer, const char *usage, long valid_seconds, const char *const *subject)
{
        static long serial = 1;
        struct identity id = {.cert = X509_new(), .key = EVP_EC_gen("P-256")};
        X509_set_version(id.cert, 2);
        ASN1_INTEGER_set(X509_get_serialNumber(id.cert), serial++);
        X509_gmtime_adj(X509_getm_notBefore(id.cert), -7200);
        X509_gmtime_adj(X509_getm_notAfter(id.cert), valid_seconds);
        for (size_t i = 0; subject[i]; i++) {
                char type[8];
                const char *eq = strchr(subject[i], '=');
                snprintf(type, sizeof(type), "%.*s", (int)(eq - subject[i]), subject[i]);
                assert_int_equal(X509_NAME_add_entry_by_txt(X509_get_subject_name(id.cert), type, MBSTRING_UTF8,
                                     (const unsigned char *)eq + 1, -1, -1, 0),
                    1);
        }
        X509 *by = issuer ? issuer->cert : id.cert;
        X509_set_issuer_name(id.cert, X509_get_subject_name(by));
        X509_set_pubkey(id.cert, id.key);
        add_ext(id.cert, by, NID_basic_constraints, issuer ? "CA:FALSE" : "critical,CA:TRUE");
        if (usage)
                add_ext(id.cert, by, NID_ext_key_usage, usage);
        if (usage && strstr(usage, "serverAuth"))
                add_ext(id.cert, by, NID_subject_alt_name, "DNS:server.test,IP:127.0.0.1");
        assert_true(X509_sign(id.cert, issuer ? issuer->key : id.key, EVP_sha256()) > 0);
        char file[64];
        snprintf(file, sizeof(file), "%s.crt", name);
        write_pem(file, id.cert, NULL);
        snprintf(file, sizeof(file), "%s.key", name);
        write_pem(file, NULL, id.key);
        return id;
}

static void drop(struct identity *id)
{
        X509_free(id->cert);
        EVP_PKEY_free(id->key);
}

#define SUBJECT(...) ((const char *const[]){__VA_ARGS__, NULL})

static int set_up(void **state)
{
        (void)state;
        snprintf(dir, sizeof(dir), "/tmp/kc-tls-test-XXXXXX");
        if (!mkdtemp(dir))
                return -1;
        struct identity ca = make_cert("ca", NULL, NULL, 36000, SUBJECT("CN=ca"));
        struct identity other_ca = make_cert("other-ca", NULL, NULL, 36000, SUBJECT("CN=ca"));
        struct identity made[] = {
            make_cert("server", &ca, "serverAuth", 36000, SUBJECT("CN=first")),
            make_cert("server2", &ca, "serverAuth", 36000, SUBJECT("CN=second")),
            make_cert("admin", &ca, "clientAuth", 36000, SUBJECT("CN=admin", "O=system:masters", "O=others")),
            make_cert("any", &ca, NULL, 36000, SUBJECT("CN=any")),
            make_cert("wrong-usage", &ca, "serverAuth", 36000, SUBJECT("CN=wrong")),
            make_cert("expired", &ca, "clientAuth", -3600, SUBJECT("CN=expired")),
            make_cert("foreign", &other_ca, "clientAuth", 36000, SUBJECT("CN=admin", "O=system:masters")),
            ca,
            other_ca,
        };
        for (size_t i = 0; i < KC_ARRAY_LEN(made); i++)
                drop(&made[i]);
        return 0;
}

static int tear_down(void **state)
{
        (void)state;
        return kc_rm_rf(dir, NULL);
}

struct pair {
        SSL *server, *client;
        bool done;
};

static void handshake_alpn(struct pair *p, struct kc_tls_server *s, struct kc_tls_client *c, enum kc_tls_alpn alpn)
{
        p->server = kc_tls_server_ssl(s);
        p->client = kc_tls_client_ssl(c, NULL, alpn);
        assert_non_null(p->server);
        assert_non_null(p->client);
        BIO *a, *b;
        assert_int_equal(BIO_new_bio_pair(&a, 0, &b, 0), 1);
        SSL_set_bio(p->server, a, a);
        SSL_set_bio(p->client, b, b);
        p->done = false;
        for (int i = 0; i < 20; i++) {
                int rc = SSL_do_handshake(p->client), rs = SSL_do_handshake(p->server);
                char byte;
                SSL_read(p->client, &byte, 1); /* alerts of TLS 1.3 come after the client is through */
                p->done = rc == 1 && rs == 1;
        }
}

static void handshake(struct pair *p, struct kc_tls_server *s, struct kc_tls_client *c)
{
        handshake_alpn(p, s, c, KC_TLS_ALPN_NONE);
}

static void drop_pair(struct pair *p)
{
        SSL_free(p->server);
        SSL_free(p->client);
        (void)kc_tls_errors();
}

static struct kc_tls_server *new_server(struct kc_tls_server_opts o)
{
        struct kc_tls_server *s;
        struct kc_error err = KC_ERROR_INIT;
        o.cert_file = o.cert_file ? o.cert_file : path_of("server.crt");
        o.key_file = o.key_file ? o.key_file : path_of("server.key");
        if (kc_tls_server_new(&o, &s, &err) < 0)
                fail_msg("%s", kc_error_message(&err));
        return s;
}

static struct kc_tls_client *new_client(struct kc_tls_client_opts o)
{
        struct kc_tls_client *c;
        struct kc_error err = KC_ERROR_INIT;
        o.ca_file = path_of("ca.crt");
        o.server_name = o.server_name ? o.server_name : "server.test";
        if (kc_tls_client_new(&o, &c, &err) < 0)
                fail_msg("%s", kc_error_message(&err));
        return c;
}

/* The identity that the server sees of a client with that certificate. */
static struct kc_tls_peer *peer_with(struct kc_tls_server *s, const char *name, bool *ret_done, bool *ret_presented)
{
        char cert[64], key[64];
        snprintf(cert, sizeof(cert), "%s.crt", name ? name : "");
        snprintf(key, sizeof(key), "%s.key", name ? name : "");
        struct kc_tls_client *c = new_client((struct kc_tls_client_opts){
            .cert_file = name ? path_of(cert) : NULL, .key_file = name ? path_of(key) : NULL});
        struct pair p;
        handshake(&p, s, c);
        *ret_done = p.done;
        *ret_presented = SSL_get0_peer_certificate(p.server) != NULL;
        struct kc_tls_peer *peer = kc_tls_peer_of(p.server);
        drop_pair(&p);
        kc_tls_client_free(c);
        return peer;
}

static void test_client_certificates(void **state)
{
        (void)state;
        bool done, presented;
        struct kc_tls_server *s = new_server((struct kc_tls_server_opts){.client_ca_file = path_of("ca.crt")});
        struct kc_tls_peer *p = peer_with(s, "admin", &done, &presented);
        assert_true(done);
        assert_non_null(p);
        assert_string_equal(p->common_name, "admin");
        assert_string_equal(p->organizations[0], "system:masters");
        assert_string_equal(p->organizations[1], "others");
        assert_null(p->organizations[2]);
        assert_int_equal(strlen(p->fingerprint), 64);
        assert_true(p->not_after > kc_clock_now(NULL));
        kc_tls_peer_free(p);
        p = peer_with(s, "any", &done, &presented);
        assert_string_equal(p->common_name, "any");
        assert_null(p->organizations);
        kc_tls_peer_free(p);
        static const char *const bad[] = {"foreign", "expired", "wrong-usage"};
        for (size_t i = 0; i < KC_ARRAY_LEN(bad); i++) {
                assert_null(peer_with(s, bad[i], &done, &presented));
                assert_true(done);
                assert_true(presented);
        }
        assert_null(peer_with(s, NULL, &done, &presented));
        assert_true(done);
        assert_false(presented);
        kc_tls_server_free(s);
}

static void test_required_client_certificate(void **state)
{
        (void)state;
        bool done, presented;
        struct kc_tls_server *s =
            new_server((struct kc_tls_server_opts){.client_ca_file = path_of("ca.crt"), .require_client_cert = true});
        struct kc_tls_peer *p = peer_with(s, "admin", &done, &presented);
        assert_true(done);
        assert_non_null(p);
        kc_tls_peer_free(p);
        static const char *const bad[] = {"foreign", "expired", "wrong-usage", NULL};
        for (size_t i = 0; i < KC_ARRAY_LEN(bad); i++) {
                assert_null(peer_with(s, bad[i], &done, &presented));
                assert_false(done);
        }
        kc_tls_server_free(s);
}

static void test_resumed_session_keeps_the_identity(void **state)
{
        (void)state;
        struct kc_tls_server *s = new_server((struct kc_tls_server_opts){.client_ca_file = path_of("ca.crt")});
        struct kc_tls_client *c = new_client(
            (struct kc_tls_client_opts){.cert_file = path_of("foreign.crt"), .key_file = path_of("foreign.key")});
        struct pair p;
        handshake(&p, s, c);
        assert_true(p.done);
        SSL_SESSION *session = SSL_get1_session(p.client);
        assert_true(SSL_SESSION_is_resumable(session));
        SSL *again = kc_tls_client_ssl(c, NULL, KC_TLS_ALPN_NONE), *server = kc_tls_server_ssl(s);
        SSL_set_session(again, session);
        BIO *a, *b;
        assert_int_equal(BIO_new_bio_pair(&a, 0, &b, 0), 1);
        SSL_set_bio(server, a, a);
        SSL_set_bio(again, b, b);
        for (int i = 0; i < 10; i++) {
                SSL_do_handshake(again);
                SSL_do_handshake(server);
        }
        assert_true(SSL_session_reused(server));
        assert_null(kc_tls_peer_of(server)); /* still not verified */
        SSL_SESSION_free(session);
        SSL_free(again);
        SSL_free(server);
        drop_pair(&p);
        kc_tls_client_free(c);
        kc_tls_server_free(s);
}

static bool connects(struct kc_tls_server *s, struct kc_tls_client_opts o)
{
        struct kc_tls_client *c = new_client(o);
        struct pair p;
        handshake(&p, s, c);
        bool done = p.done;
        drop_pair(&p);
        kc_tls_client_free(c);
        return done;
}

static void test_server_names(void **state)
{
        (void)state;
        struct kc_tls_server *s = new_server((struct kc_tls_server_opts){0});
        assert_true(connects(s, (struct kc_tls_client_opts){.server_name = "server.test"}));
        assert_true(connects(s, (struct kc_tls_client_opts){.server_name = "127.0.0.1"}));
        assert_false(connects(s, (struct kc_tls_client_opts){.server_name = "127.0.0.2"}));
        assert_false(connects(s, (struct kc_tls_client_opts){.server_name = "first"})); /* no fall-back to CN */
        assert_true(connects(s, (struct kc_tls_client_opts){.server_name = "x", .insecure_skip_verify = true}));
        kc_tls_server_free(s);
}

static void expect_alpn(struct kc_tls_server *s, enum kc_tls_alpn offered, const char *chosen)
{
        struct kc_tls_client *c = new_client((struct kc_tls_client_opts){0});
        struct pair p;
        handshake_alpn(&p, s, c, offered);
        const unsigned char *alpn;
        unsigned len;
        SSL_get0_alpn_selected(p.client, &alpn, &len);
        assert_int_equal(p.done, chosen != NULL);
        if (chosen) {
                assert_int_equal(len, strlen(chosen));
                assert_memory_equal(alpn, chosen, len);
        }
        drop_pair(&p);
        kc_tls_client_free(c);
}

static void test_alpn(void **state)
{
        (void)state;
        struct kc_tls_server *s = new_server((struct kc_tls_server_opts){.alpn_h2 = true});
        expect_alpn(s, KC_TLS_ALPN_H2, "h2");
        expect_alpn(s, KC_TLS_ALPN_H2_OR_H1, "h2");
        expect_alpn(s, KC_TLS_ALPN_H1, "http/1.1");
        expect_alpn(s, KC_TLS_ALPN_NONE, "");
        kc_tls_server_free(s);
        s = new_server((struct kc_tls_server_opts){.alpn_h2 = false});
        expect_alpn(s, KC_TLS_ALPN_H2, NULL);
        expect_alpn(s, KC_TLS_ALPN_H2_OR_H1, "http/1.1");
        kc_tls_server_free(s);
}

/* The server's answer to the first flight is tampered with, or comes from the wrong server. */
static void expect_failure(const char *ca, const char *name, const char *answer, int errnum, const char *text)
{
        struct kc_tls_server *s = new_server((struct kc_tls_server_opts){0});
        struct kc_tls_client_opts o = {.ca_file = path_of(ca), .server_name = name};
        struct kc_tls_client *c;
        assert_int_equal(kc_tls_client_new(&o, &c, NULL), 0);
        SSL *client = kc_tls_client_ssl(c, "ignored", KC_TLS_ALPN_NONE), *server = kc_tls_server_ssl(s);
        BIO *a, *b;
        assert_int_equal(BIO_new_bio_pair(&a, 0, &b, 0), 1);
        SSL_set_bio(client, a, a);
        assert_int_equal(SSL_connect(client), -1);
        if (answer) {
                assert_int_equal(BIO_write(b, answer, (int)strlen(answer)), strlen(answer));
        } else {
                BIO_up_ref(b);
                SSL_set_bio(server, b, b);
                assert_int_equal(SSL_accept(server), -1);
        }
        ERR_clear_error();
        assert_int_equal(SSL_connect(client), -1);
        struct kc_error err = KC_ERROR_INIT;
        assert_int_equal(kc_tls_client_failure(client, &err), -errnum);
        assert_string_equal(kc_error_message(&err), text);
        kc_error_done(&err);
        SSL_free(client);
        SSL_free(server);
        BIO_free(b);
        kc_tls_client_free(c);
        kc_tls_server_free(s);
}

static void test_failures_in_words(void **state)
{
        (void)state;
#define UNTRUSTED "tls: failed to verify certificate: x509: "
        expect_failure(
            "other-ca.crt", "server.test", NULL, EACCES, UNTRUSTED "certificate signed by unknown authority");
        expect_failure(
            "ca.crt", "other.test", NULL, EACCES, UNTRUSTED "certificate is valid for server.test, not other.test");
        expect_failure(
            "ca.crt", "127.0.0.2", NULL, EACCES, UNTRUSTED "certificate is valid for 127.0.0.1, not 127.0.0.2");
        expect_failure("ca.crt", "server.test", "HTTP/1.0 400 Bad Request\r\n\r\n", EPROTONOSUPPORT,
            "tls: first record does not look like a TLS handshake");
}

static char *seen_server(struct kc_tls_server *s)
{
        struct kc_tls_client *c = new_client((struct kc_tls_client_opts){0});
        struct pair p;
        handshake(&p, s, c);
        assert_true(p.done);
        struct kc_tls_peer *peer = kc_tls_peer_of(p.client);
        char *name = kc_strdup(peer->common_name);
        kc_tls_peer_free(peer);
        drop_pair(&p);
        kc_tls_client_free(c);
        return name;
}

static void copy_file(const char *from, const char *to)
{
        struct kc_buf b = KC_BUF_INIT;
        assert_int_equal(kc_file_read(path_of(from), 100000, &b, NULL), 0);
        assert_int_equal(kc_file_write_atomic(path_of(to), b.data, b.len, 0600, NULL), 0);
        kc_buf_done(&b);
}

static void expect_server(struct kc_tls_server *s, const char *name)
{
        char *seen = seen_server(s);
        assert_string_equal(seen, name);
        kc_free(seen);
}

static void test_reload(void **state)
{
        (void)state;
        struct kc_fake_clock clock;
        kc_fake_clock_init(&clock, 0);
        copy_file("server.crt", "live.crt");
        copy_file("server.key", "live.key");
        struct kc_tls_server *s =
            new_server((struct kc_tls_server_opts){.cert_file = path_of("live.crt"), .key_file = path_of("live.key")});
        kc_tls_server_set_clock(s, &clock.clock);
        expect_server(s, "first");
        copy_file("server2.crt", "live.crt");
        kc_fake_clock_advance(&clock, 9 * KC_SEC);
        expect_server(s, "first");
        kc_fake_clock_advance(&clock, 1 * KC_SEC);
        expect_server(s, "first"); /* the key does not fit yet */
        copy_file("server2.key", "live.key");
        kc_fake_clock_advance(&clock, 10 * KC_SEC);
        expect_server(s, "second");
        assert_int_equal(remove(path_of("live.crt")), 0);
        kc_fake_clock_advance(&clock, 10 * KC_SEC);
        expect_server(s, "second");
        kc_tls_server_free(s);
}

static void expect_bad(struct kc_tls_server_opts o, int errnum, const char *message)
{
        struct kc_tls_server *s = NULL;
        struct kc_error err = KC_ERROR_INIT;
        o.cert_file = o.cert_file ? o.cert_file : path_of("server.crt");
        o.key_file = o.key_file ? o.key_file : path_of("server.key");
        assert_int_equal(kc_tls_server_new(&o, &s, &err), -errnum);
        if (!strstr(kc_error_message(&err), message))
                assert_string_equal(kc_error_message(&err), message);
        kc_error_done(&err);
}

static void test_bad_options(void **state)
{
        (void)state;
        expect_bad((struct kc_tls_server_opts){.cert_file = path_of("absent")}, EINVAL, "absent");
        expect_bad((struct kc_tls_server_opts){.key_file = path_of("server2.key")}, EINVAL, "key values mismatch");
        expect_bad(
            (struct kc_tls_server_opts){.min_version = "VersionTLS14"}, EINVAL, "unknown tls version \"VersionTLS14\"");
        char *suites[] = {(char[]){"TLS_NONSENSE"}, NULL};
        expect_bad((struct kc_tls_server_opts){.cipher_suites = suites}, EINVAL,
            "Cipher suite TLS_NONSENSE not supported or doesn't exist");
        char *no_http2[] = {(char[]){"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"}, NULL};
        expect_bad((struct kc_tls_server_opts){.cipher_suites = no_http2, .alpn_h2 = true}, EINVAL,
            "error configuring http2: http2: TLSConfig.CipherSuites is missing an HTTP/2-required AES_128_GCM_SHA256 "
            "cipher");
        char *curves[] = {(char[]){"29"}, (char[]){"7"}, NULL};
        expect_bad((struct kc_tls_server_opts){.curve_preferences = curves}, EINVAL,
            "TLS curve preference 7 not supported or doesn't exist");
        char *one_file[] = {(char[]){"a.crt"}, NULL}, *no_names[] = {(char[]){"a.crt,a.key:"}, NULL};
        expect_bad((struct kc_tls_server_opts){.sni_cert_keys = one_file}, EINVAL,
            "invalid argument \"a.crt\" for \"--tls-sni-cert-key\" flag: expected comma separated certificate and key "
            "file "
            "paths");
        expect_bad((struct kc_tls_server_opts){.sni_cert_keys = no_names}, EINVAL, "empty names list is not allowed");
        expect_bad((struct kc_tls_server_opts){.client_ca_file = path_of("server.key")}, EINVAL, "no PEM certificate");
        expect_bad((struct kc_tls_server_opts){.client_ca_file = path_of("absent")}, ENOENT, "absent");
        char *good[] = {(char[]){"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"},
            (char[]){"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305"}, (char[]){"TLS_AES_128_GCM_SHA256"}, NULL};
        kc_tls_server_free(
            new_server((struct kc_tls_server_opts){.cipher_suites = good, .min_version = "VersionTLS13"}));
}

static char *text_of(const char *name)
{
        struct kc_buf b = KC_BUF_INIT;
        assert_int_equal(kc_file_read(path_of(name), 1 << 20, &b, NULL), 0);
        return kc_buf_take_str(&b);
}

/* A chain with a certificate that OpenSSL finds too weak is refused, and nothing leaks. */
static void test_weak_chain(void **state)
{
        (void)state;
        struct identity weak = {.cert = X509_new(), .key = EVP_RSA_gen(1024)};
        ASN1_INTEGER_set(X509_get_serialNumber(weak.cert), 1);
        X509_gmtime_adj(X509_getm_notBefore(weak.cert), -7200);
        X509_gmtime_adj(X509_getm_notAfter(weak.cert), 7200);
        X509_set_pubkey(weak.cert, weak.key);
        assert_true(X509_sign(weak.cert, weak.key, EVP_sha256()) > 0);
        write_pem("weak.crt", weak.cert, NULL);
        KC_CLEANUP(kc_freep) char *own = text_of("admin.crt");
        KC_CLEANUP(kc_freep) char *chain = text_of("weak.crt");
        KC_CLEANUP(kc_freep) char *both = kc_asprintf("%s%s", own, chain);
        KC_CLEANUP(kc_freep) char *key = text_of("admin.key");
        struct kc_tls_client_opts o = {.ca_file = path_of("ca.crt"), .cert_pem = both, .key_pem = key};
        struct kc_tls_client *c = NULL;
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        assert_int_equal(kc_tls_client_new(&o, &c, &err), -EINVAL);
        assert_non_null(strstr(kc_error_message(&err), "ca key too small"));
        o.cert_pem = own;
        assert_int_equal(kc_tls_client_new(&o, &c, &err), 0);
        kc_tls_client_free(c);
        drop(&weak);
}

static void test_self_signed(void **state)
{
        (void)state;
        char *names[] = {(char[]){"node-1"}, (char[]){"10.0.0.1"}, (char[]){"fd00::1"}, NULL};
        struct kc_error err = KC_ERROR_INIT;
        if (kc_tls_self_signed("node-1@1", names, path_of("self.crt"), path_of("self.key"), &err) < 0)
                fail_msg("%s", kc_error_message(&err));
        struct stat st;
        assert_int_equal(stat(path_of("self.key"), &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
        FILE *f = fopen(path_of("self.crt"), "r");
        X509 *cert = PEM_read_X509(f, NULL, NULL, NULL);
        fclose(f);
        assert_non_null(cert);
        assert_int_equal(X509_check_host(cert, "node-1", 0, 0, NULL), 1);
        assert_int_equal(X509_check_ip_asc(cert, "10.0.0.1", 0), 1);
        assert_int_equal(X509_check_ip_asc(cert, "fd00::1", 0), 1);
        assert_int_equal(X509_check_ip_asc(cert, "10.0.0.2", 0), 0);
        assert_int_equal(X509_check_purpose(cert, X509_PURPOSE_SSL_SERVER, 0), 1);
        int days, seconds;
        assert_int_equal(ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(cert)), 1);
        assert_true(days == 364 || days == 365);
        X509_free(cert);
}

static void test_secrets(void **state)
{
        (void)state;
        assert_true(kc_secret_equal("abc", 3, "abc", 3));
        assert_false(kc_secret_equal("abc", 3, "abd", 3));
        assert_false(kc_secret_equal("abc", 3, "abcd", 4));
        unsigned char out[32];
        kc_sha256("abc", 3, out);
        assert_int_equal(out[0], 0xba);
        assert_int_equal(out[31], 0xad);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_client_certificates),
            cmocka_unit_test(test_required_client_certificate),
            cmocka_unit_test(test_resumed_session_keeps_the_identity),
            cmocka_unit_test(test_server_names),
            cmocka_unit_test(test_alpn),
            cmocka_unit_test(test_failures_in_words),
            cmocka_unit_test(test_reload),
            cmocka_unit_test(test_bad_options),
            cmocka_unit_test(test_weak_chain),
            cmocka_unit_test(test_self_signed),
            cmocka_unit_test(test_secrets),
        };
        return cmocka_run_group_tests(tests, set_up, tear_down);
}
