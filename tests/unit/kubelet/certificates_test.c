/* The kubelet's certificates in files: when they are renewed, and how one follows the other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "kubelet/certificates/certificates.h"
#include "tls/csr.h"
#include "tls/tls.h"

#define NOW ((kc_time)1800000000 * KC_SEC) /* 2027-01-15T08:00:00Z */

static void test_deadline(void **state)
{
        (void)state;
        assert_int_equal(kc_kubelet_cert_deadline(NOW, NOW + 1000 * KC_SEC, 0), NOW + 700 * KC_SEC);
        assert_int_equal(kc_kubelet_cert_deadline(NOW, NOW + 1000 * KC_SEC, 0.5), NOW + 800 * KC_SEC);
        assert_in_range(
            kc_kubelet_cert_deadline(NOW, NOW + 1000 * KC_SEC, 0.999), NOW + 899 * KC_SEC, NOW + 900 * KC_SEC);
}

static char *content(const char *path)
{
        struct kc_buf b = KC_BUF_INIT;
        assert_int_equal(kc_file_read(path, 1 << 20, &b, NULL), 0);
        return kc_buf_take_str(&b);
}

static void test_store(void **state)
{
        (void)state;
        char base[] = "/tmp/kubec-certs-XXXXXX", link[256] = "";
        struct stat st;
        assert_non_null(mkdtemp(base));
        KC_CLEANUP(kc_freep) char *dir = kc_path_join(base, "pki");
        KC_CLEANUP(kc_freep) char *current = kc_kubelet_cert_path(dir, "kubelet-client");
        KC_CLEANUP(kc_freep) char *first = kc_path_join(dir, "kubelet-client-2027-01-15-08-00-00.pem");
        assert_int_equal(kc_kubelet_cert_store(dir, "kubelet-client", "C1\n", "K1\n", NOW, NULL), 0);
        assert_true(readlink(current, link, sizeof(link) - 1) > 0);
        assert_string_equal(link, first);
        assert_int_equal(stat(first, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
        assert_int_equal(kc_kubelet_cert_store(dir, "kubelet-client", "C2\n", "K2\n", NOW + KC_SEC, NULL), 0);
        KC_CLEANUP(kc_freep) char *now = content(current);
        assert_string_equal(now, "C2\nK2\n");
        KC_CLEANUP(kc_freep) char *before = content(first);
        assert_string_equal(before, "C1\nK1\n");
        assert_int_equal(kc_rm_rf(base, NULL), 0);
}

/* The kubeconfig's own certificate counts as long as no other is good for longer. */
static void test_seed(void **state)
{
        (void)state;
        char base[] = "/tmp/kubec-certs-XXXXXX";
        assert_non_null(mkdtemp(base));
        KC_CLEANUP(kc_freep) char *cert = kc_path_join(base, "c.crt");
        KC_CLEANUP(kc_freep) char *key = kc_path_join(base, "c.key");
        KC_CLEANUP(kc_freep) char *current = kc_kubelet_cert_path(base, "kubelet-client");
        struct kc_client_config config = {.cert_file = cert, .key_file = key};
        assert_int_not_equal(kc_kubelet_cert_seed(base, "kubelet-client", &config, NULL), 0);
        assert_int_equal(kc_tls_self_signed("n1", NULL, cert, key, NULL), 0);
        assert_int_equal(kc_kubelet_cert_seed(base, "kubelet-client", &config, NULL), 0);
        KC_CLEANUP(kc_freep) char *first = content(current);
        assert_true(kc_cert_has_key(first, strlen(first)));
        /* The same lifetime or less: nothing changes. */
        assert_int_equal(kc_kubelet_cert_seed(base, "kubelet-client", &config, NULL), 0);
        KC_CLEANUP(kc_freep) char *second = content(current);
        assert_string_equal(second, first);
        struct kc_client_config none = {0};
        assert_int_not_equal(kc_kubelet_cert_seed(base, "kubelet-client", &none, NULL), 0);
        assert_int_equal(kc_rm_rf(base, NULL), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_deadline), cmocka_unit_test(test_store), cmocka_unit_test(test_seed)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
