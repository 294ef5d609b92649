/* Users by certificates: of clients and of front proxies; changes of the bundle; who is let in as nobody. */
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "auth/authn.h"
#include "base/file.h"
#include "registry_fixture.h"

struct identity {
        X509 *cert;
        EVP_PKEY *key;
};

struct state {
        struct kc_fake_clock clock;
        char dir[64];
        char *ca_file, *proxy_ca_file, *config_file;
        struct identity ca, other_ca, proxy_ca;
        struct kc_authn *authn;
};

static void add_subject(X509 *cert, const char *type, const char *value)
{
        ASN1_OBJECT *o = OBJ_txt2obj(type, 0);
        assert_int_equal(X509_NAME_add_entry_by_OBJ(
                             X509_get_subject_name(cert), o, MBSTRING_UTF8, (const unsigned char *)value, -1, -1, 0),
            1);
        ASN1_OBJECT_free(o);
}

static void add_ext(X509 *cert, int nid, const char *value)
{
        X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
        assert_non_null(e);
        X509_add_ext(cert, e, -1);
        X509_EXTENSION_free(e);
}

/* subject: type, value, ... NULL. issuer NULL: an authority. */
static struct identity make(const struct identity *issuer, const char *usage, const char *const *subject)
{
        static long serial = 1;
        struct identity id = {.cert = X509_new(), .key = EVP_EC_gen("P-256")};
        X509_set_version(id.cert, 2);
        ASN1_INTEGER_set(X509_get_serialNumber(id.cert), serial++);
        X509_gmtime_adj(X509_getm_notBefore(id.cert), -60);
        X509_gmtime_adj(X509_getm_notAfter(id.cert), 3600);
        for (size_t i = 0; subject[i]; i += 2)
                add_subject(id.cert, subject[i], subject[i + 1]);
        X509_set_issuer_name(id.cert, X509_get_subject_name(issuer ? issuer->cert : id.cert));
        X509_set_pubkey(id.cert, id.key);
        add_ext(id.cert, NID_basic_constraints, issuer ? "critical,CA:FALSE" : "critical,CA:TRUE");
        if (usage)
                add_ext(id.cert, NID_ext_key_usage, usage);
        assert_true(X509_sign(id.cert, issuer ? issuer->key : id.key, EVP_sha256()) > 0);
        return id;
}

static void done(struct identity *id)
{
        X509_free(id->cert);
        EVP_PKEY_free(id->key);
}

static void write_cert(const char *path, const struct identity *a, const struct identity *b)
{
        FILE *f = fopen(path, "w");
        assert_non_null(f);
        assert_int_equal(PEM_write_X509(f, a->cert), 1);
        if (b)
                assert_int_equal(PEM_write_X509(f, b->cert), 1);
        (void)fclose(f);
}

static struct identity authority(const char *name)
{
        return make(NULL, NULL, (const char *const[]){"CN", name, NULL});
}

static struct kc_authn *new_authn(struct state *s)
{
        char *names[] = {(char *)"proxy", NULL}, *users[] = {(char *)"X-Remote-User", NULL};
        char *uids[] = {(char *)"X-Remote-Uid", NULL}, *groups[] = {(char *)"X-Remote-Group", NULL};
        char *extra[] = {(char *)"X-Remote-Extra-", NULL};
        const struct kc_authn_opts o = {.clock = &s->clock.clock,
            .client_ca_file = s->ca_file,
            .front_proxy = {.client_ca_file = s->proxy_ca_file,
                .allowed_names = names,
                .username_headers = users,
                .uid_headers = uids,
                .group_headers = groups,
                .extra_prefixes = extra},
            .anonymous = true,
            .config_file = s->config_file};
        struct kc_authn *n = NULL;
        assert_int_equal(kc_authn_new(&o, &n, NULL), 0);
        return n;
}

static int setup(void **state)
{
        static const char paths[] = "apiVersion: apiserver.config.k8s.io/v1\nkind: AuthenticationConfiguration\n"
                                    "anonymous: {enabled: true, conditions: [{path: /livez}]}\n";
        struct state *s = KC_NEW(struct state);
        kc_fake_clock_init(&s->clock, kc_clock_now(NULL));
        (void)snprintf(s->dir, sizeof(s->dir), "/tmp/kubec-authn-XXXXXX");
        assert_non_null(mkdtemp(s->dir));
        s->ca_file = kc_path_join(s->dir, "ca.crt");
        s->proxy_ca_file = kc_path_join(s->dir, "proxy-ca.crt");
        s->config_file = kc_path_join(s->dir, "authn.yaml");
        assert_int_equal(kc_file_write_atomic(s->config_file, paths, strlen(paths), 0600, NULL), 0);
        s->ca = authority("ca");
        s->other_ca = authority("other");
        s->proxy_ca = authority("proxy-ca");
        write_cert(s->ca_file, &s->ca, NULL);
        write_cert(s->proxy_ca_file, &s->proxy_ca, NULL);
        s->authn = new_authn(s);
        *state = s;
        return 0;
}

static int teardown(void **state)
{
        struct state *s = *state;
        kc_authn_free(s->authn);
        done(&s->ca);
        done(&s->other_ca);
        done(&s->proxy_ca);
        (void)kc_rm_rf(s->dir, NULL);
        kc_free(s->ca_file);
        kc_free(s->proxy_ca_file);
        kc_free(s->config_file);
        kc_free(s);
        return 0;
}

static bool header_at(const void *arg, size_t i, const char **ret_name, const char **ret_value)
{
        const char *const *h = arg;
        for (size_t k = 0; h && h[2 * k]; k++)
                if (k == i) {
                        *ret_name = h[2 * k];
                        *ret_value = h[2 * k + 1];
                        return true;
                }
        return false;
}

/* Who a certificate with these subjects is, with these headers. */
static char *who_is(struct kc_authn *n, const struct identity *id, const char *const *headers, const char *path)
{
        struct kc_tls_peer p = {.common_name = (char *)"", .fingerprint = (char *)""};
        KC_CLEANUP(kc_strv_freep) char **orgs = NULL;
        KC_CLEANUP(kc_strv_freep) char **uids = NULL;
        KC_CLEANUP(kc_freep) char *print = NULL;
        char cn[64] = "";
        if (id) {
                unsigned char digest[32];
                unsigned len;
                X509_digest(id->cert, EVP_sha256(), digest, &len);
                X509_NAME_get_text_by_NID(X509_get_subject_name(id->cert), NID_commonName, cn, sizeof(cn));
                print = kc_asprintf("%02x%02x%02x%02x", digest[0], digest[1], digest[2], digest[3]);
                p = (struct kc_tls_peer){.common_name = cn, .fingerprint = print, .not_after = INT64_MAX};
                p.chain = sk_X509_new_null();
                sk_X509_push(p.chain, id->cert);
        }
        const struct kc_authn_request req = {
            .peer = id ? &p : NULL, .header_at = header_at, .arg = headers, .path = path};
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        KC_CLEANUP(kc_authn_result_done) struct kc_authn_result found = {0};
        int r = kc_authn_authenticate(n, &req, &found, &err);
        sk_X509_free(p.chain);
        if (r < 0)
                return kc_asprintf("%d %s", err.code, err.message);
        KC_CLEANUP(kc_json_freep) struct json_object *o = kc_user_to_json(found.user);
        kc_json_del(kc_json_get_mut(o, "extra"), "authentication.kubernetes.io/credential-id");
        return kc_json_to_str(o);
}

static void assert_is(struct kc_authn *n, const struct identity *id, const char *const *headers, const char *want)
{
        KC_CLEANUP(kc_freep) char *got = who_is(n, id, headers, "/api");
        assert_string_equal(got, want);
}

static void the_ca_decides(void **state)
{
        struct state *s = *state;
        const char *const jane[] = {"CN", "jane", "O", "dev", NULL};
        struct identity good = make(&s->ca, "clientAuth", jane), stranger = make(&s->other_ca, "clientAuth", jane);
        struct identity server = make(&s->ca, "serverAuth", jane), plain = make(&s->ca, NULL, jane);
        const char *is_jane = "{\"username\":\"jane\",\"groups\":[\"system:authenticated\"],\"extra\":{}}";
        assert_is(s->authn, &good, NULL, is_jane);
        assert_is(s->authn, &plain, NULL, is_jane);
        assert_is(s->authn, &stranger, NULL, "401 Unauthorized");
        assert_is(s->authn, &server, NULL, "401 Unauthorized");
        /* Another CA beside the first one, then in its place: also what was good before is not any more. */
        write_cert(s->ca_file, &s->ca, &s->other_ca);
        assert_is(s->authn, &stranger, NULL, "401 Unauthorized"); /* the file is not looked at so often */
        kc_fake_clock_advance(&s->clock, 10 * KC_SEC);
        assert_is(s->authn, &stranger, NULL, is_jane);
        assert_is(s->authn, &good, NULL, is_jane);
        assert_int_equal(kc_file_write_atomic(s->ca_file, "nonsense", 8, 0600, NULL), 0);
        kc_fake_clock_advance(&s->clock, 10 * KC_SEC);
        assert_is(s->authn, &stranger, NULL, is_jane);
        write_cert(s->ca_file, &s->other_ca, NULL);
        kc_fake_clock_advance(&s->clock, 10 * KC_SEC);
        assert_is(s->authn, &good, NULL, "401 Unauthorized");
        assert_is(s->authn, &stranger, NULL, is_jane);
        done(&good);
        done(&stranger);
        done(&server);
        done(&plain);
}

static void only_the_front_proxy_speaks_for_others(void **state)
{
        struct state *s = *state;
        const char *const proxy_name[] = {"CN", "proxy", NULL}, *const jane[] = {"CN", "jane", NULL};
        struct identity proxy = make(&s->proxy_ca, "clientAuth", proxy_name);
        struct identity misnamed = make(&s->proxy_ca, "clientAuth", jane);
        struct identity client = make(&s->ca, "clientAuth", proxy_name);
        static const char *const headers[] = {"x-remote-user", "bob", "x-remote-group", "dev", "x-remote-group", "ops",
            "x-remote-uid", "u1", "x-remote-extra-acme.com%2fproject", "p", NULL};
        assert_is(s->authn, &proxy, headers,
            "{\"username\":\"bob\",\"uid\":\"u1\",\"groups\":[\"dev\",\"ops\",\"system:authenticated\"],"
            "\"extra\":{\"acme.com/project\":[\"p\"]}}");
        assert_is(s->authn, &proxy, NULL, "401 Unauthorized"); /* itself, it is nobody */
        assert_is(s->authn, &misnamed, headers, "401 Unauthorized");
        assert_is(s->authn, NULL, headers, "401 Unauthorized");
        assert_is(
            s->authn, &client, headers, "{\"username\":\"proxy\",\"groups\":[\"system:authenticated\"],\"extra\":{}}");
        done(&proxy);
        done(&misnamed);
        done(&client);
}

static void nobody_is_let_in_where_allowed(void **state)
{
        struct state *s = *state;
        KC_CLEANUP(kc_freep) char *got = who_is(s->authn, NULL, NULL, "/livez");
        assert_string_equal(got, "{\"username\":\"system:anonymous\",\"groups\":[\"system:unauthenticated\"]}");
        KC_CLEANUP(kc_freep) char *below = who_is(s->authn, NULL, NULL, "/livez/etcd");
        assert_string_equal(below, "401 Unauthorized");
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
        const struct CMUnitTest tests[] = {
            TEST(the_ca_decides), TEST(only_the_front_proxy_speaks_for_others), TEST(nobody_is_let_in_where_allowed)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
