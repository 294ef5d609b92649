/* Encodings, IP addresses and prefixes. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/encode.h"
#include "base/ip.h"
#include "base/mem.h"

static void test_base64(void **state)
{
        (void)state;
        static const char *const cases[][3] = {
            {"", "", ""},
            {"f", "Zg==", "Zg"},
            {"fo", "Zm8=", "Zm8"},
            {"foo", "Zm9v", "Zm9v"},
            {"foob", "Zm9vYg==", "Zm9vYg"},
            {"\xff\xfe\xfd", "//79", "__79"},
        };
        for (size_t i = 0; i < KC_ARRAY_LEN(cases); i++) {
                struct kc_buf b = KC_BUF_INIT;
                KC_CLEANUP(kc_freep) char *std = kc_base64_encode(cases[i][0], strlen(cases[i][0]));
                KC_CLEANUP(kc_freep) char *url = kc_base64url_encode(cases[i][0], strlen(cases[i][0]));
                assert_string_equal(std, cases[i][1]);
                assert_string_equal(url, cases[i][2]);
                assert_int_equal(kc_base64_decode(std, strlen(std), &b), 0);
                assert_int_equal(kc_base64url_decode(url, strlen(url), &b), 0);
                assert_int_equal(b.len, 2 * strlen(cases[i][0]));
                assert_memory_equal(b.data, cases[i][0], b.len / 2);
                kc_buf_done(&b);
        }
}

static void test_base64_strict(void **state)
{
        (void)state;
        static const char *const bad[] = {"Z", "Zg", "Zg=", "Zg===", "Zh==", "Zm9=", "Zm9v=", "=", "Zg==Zg==", "Zm 9v",
            "_-79", "Zg=g", "Zm9v\xff", "===="};
        static const char *const bad_url[] = {"Z", "Zg==", "Zh", "Zm9", "//79"};
        struct kc_buf b = KC_BUF_INIT;
        kc_buf_adds(&b, "kept");
        for (size_t i = 0; i < KC_ARRAY_LEN(bad); i++)
                assert_int_equal(kc_base64_decode(bad[i], strlen(bad[i]), &b), -EINVAL);
        for (size_t i = 0; i < KC_ARRAY_LEN(bad_url); i++)
                assert_int_equal(kc_base64url_decode(bad_url[i], strlen(bad_url[i]), &b), -EINVAL);
        assert_string_equal(b.data, "kept");
        assert_int_equal(kc_base64_decode("Z\nm9\r\nvYg=\n=\n", 13, &b), 0);
        assert_string_equal(b.data, "keptfoob");
        kc_buf_done(&b);
}

static void test_hex_and_url(void **state)
{
        (void)state;
        KC_CLEANUP(kc_freep) char *hex = kc_hex_encode("\x00\xff\x1a", 3);
        assert_string_equal(hex, "00ff1a");
        KC_CLEANUP(kc_freep) char *path = kc_url_escape("a b/\xc3\xa9?-._~", true);
        assert_string_equal(path, "a%20b/%C3%A9%3F-._~");
        KC_CLEANUP(kc_freep) char *query = kc_url_escape("a/b", false);
        assert_string_equal(query, "a%2Fb");
        KC_CLEANUP(kc_freep) char *plain = NULL, *form = NULL, *bad = NULL;
        assert_int_equal(kc_url_unescape("a%2fb+c%C3%A9", 13, false, &plain), 0);
        assert_string_equal(plain, "a/b+c\xc3\xa9");
        assert_int_equal(kc_url_unescape("a+b", 3, true, &form), 0);
        assert_string_equal(form, "a b");
        static const char *const broken[] = {"%", "%4", "%4g", "a%00b", "%%41"};
        for (size_t i = 0; i < KC_ARRAY_LEN(broken); i++)
                assert_int_equal(kc_url_unescape(broken[i], strlen(broken[i]), false, &bad), -EINVAL);
        assert_int_equal(kc_url_unescape("a\0b", 3, false, &bad), -EINVAL);
        assert_null(bad);
}

static void test_ip_text(void **state)
{
        (void)state;
        static const char *const cases[][2] = {
            {"10.0.0.1", "10.0.0.1"},
            {"0.0.0.0", "0.0.0.0"},
            {"::", "::"},
            {"::1", "::1"},
            {"1::", "1::"},
            {"2001:DB8:0:0:0:0:0:1", "2001:db8::1"},
            {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
            {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},
            {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
            {"::ffff:1.2.3.4", "::ffff:1.2.3.4"},
            {"::102:304", "::102:304"},
            {"1:2:3:4:5:6:7:0", "1:2:3:4:5:6:7:0"},
            {"fe80::1:0:0", "fe80::1:0:0"},
        };
        static const char *const bad[] = {
            "", "1.2.3", "01.2.3.4", "1.2.3.256", "1.2.3.4 ", "::1%eth0", "1::2::3", ":", "12345::", "1.2.3.4.5", "a"};
        struct kc_ip ip;
        char buf[KC_IP_LEN];
        for (size_t i = 0; i < KC_ARRAY_LEN(cases); i++) {
                assert_int_equal(kc_ip_parse(cases[i][0], &ip), 0);
                assert_string_equal(kc_ip_format(&ip, buf), cases[i][1]);
        }
        for (size_t i = 0; i < KC_ARRAY_LEN(bad); i++)
                assert_int_equal(kc_ip_parse(bad[i], &ip), -EINVAL);
        assert_int_equal(kc_ip_parse(NULL, &ip), -EINVAL);
}

static struct kc_ip ip_of(const char *s)
{
        struct kc_ip ip;
        assert_int_equal(kc_ip_parse(s, &ip), 0);
        return ip;
}

static void test_ip_kinds(void **state)
{
        (void)state;
        struct kc_ip a = ip_of("127.9.0.1"), b = ip_of("::1"), c = ip_of("169.254.1.1"), d = ip_of("fe80::1"),
                     e = ip_of("0.0.0.0"), f = ip_of("224.0.0.251"), g = ip_of("ff02::1"), h = ip_of("10.0.0.1"),
                     m = ip_of("::ffff:127.0.0.1");
        assert_true(kc_ip_is_loopback(&a) && kc_ip_is_loopback(&b) && kc_ip_is_loopback(&m) && !kc_ip_is_loopback(&h));
        assert_true(kc_ip_is_link_local(&c) && kc_ip_is_link_local(&d) && !kc_ip_is_link_local(&h));
        assert_true(kc_ip_is_unspecified(&e) && !kc_ip_is_unspecified(&b));
        assert_true(kc_ip_is_multicast(&f) && kc_ip_is_multicast(&g) && !kc_ip_is_multicast(&h));
        assert_true(kc_ip_equal(&a, &a) && !kc_ip_equal(&a, &b) && !kc_ip_equal(&a, &h));
}

static void test_cidr(void **state)
{
        (void)state;
        struct kc_cidr c;
        char buf[KC_IP_LEN];
        bool exact;
        assert_int_equal(kc_cidr_parse("10.96.0.0/12", &c, &exact), 0);
        assert_true(exact);
        assert_string_equal(kc_cidr_format(&c, buf), "10.96.0.0/12");
        struct kc_ip in = ip_of("10.111.255.255"), out = ip_of("10.112.0.0"), v6 = ip_of("::1");
        assert_true(kc_cidr_contains(&c, &in));
        assert_false(kc_cidr_contains(&c, &out));
        assert_false(kc_cidr_contains(&c, &v6));
        assert_int_equal(kc_cidr_parse("10.244.3.77/20", &c, &exact), 0);
        assert_false(exact);
        assert_string_equal(kc_cidr_format(&c, buf), "10.244.0.0/20");
        assert_int_equal(kc_cidr_parse("2001:db8::1/33", &c, NULL), 0);
        assert_string_equal(kc_cidr_format(&c, buf), "2001:db8::/33");
        assert_int_equal(kc_cidr_parse("0.0.0.0/0", &c, &exact), 0);
        assert_true(exact && kc_cidr_contains(&c, &in));
        static const char *const bad[] = {"", "10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/08", "10.0.0.0/-1",
            "10.0.0.0/8 ", "::/129", "/8", "10.0.0/8", "10.0.0.0/8/8"};
        for (size_t i = 0; i < KC_ARRAY_LEN(bad); i++)
                assert_int_equal(kc_cidr_parse(bad[i], &c, NULL), -EINVAL);
        assert_int_equal(kc_cidr_parse(NULL, &c, NULL), -EINVAL);
}

static void test_cidr_index(void **state)
{
        (void)state;
        struct kc_cidr c;
        struct kc_ip ip;
        char buf[KC_IP_LEN];
        assert_int_equal(kc_cidr_parse("10.96.0.0/16", &c, NULL), 0);
        assert_int_equal(kc_cidr_size(&c), 65536);
        assert_true(kc_cidr_at(&c, 258, &ip));
        assert_string_equal(kc_ip_format(&ip, buf), "10.96.1.2");
        assert_int_equal(kc_cidr_index(&c, &ip), 258);
        assert_false(kc_cidr_at(&c, 65536, &ip));
        ip = ip_of("10.97.0.0");
        assert_true(kc_cidr_index(&c, &ip) == UINT64_MAX);
        assert_int_equal(kc_cidr_parse("10.0.0.7/32", &c, NULL), 0);
        assert_int_equal(kc_cidr_size(&c), 1);
        assert_true(kc_cidr_at(&c, 0, &ip) && !kc_cidr_at(&c, 1, &ip));
        assert_int_equal(kc_cidr_parse("fd00::/48", &c, NULL), 0);
        assert_true(kc_cidr_size(&c) == UINT64_MAX);
        assert_true(kc_cidr_at(&c, UINT64_C(0x1000000000000002), &ip));
        assert_string_equal(kc_ip_format(&ip, buf), "fd00::1000:0:0:2");
        assert_true(kc_cidr_index(&c, &ip) == UINT64_C(0x1000000000000002));
        ip = ip_of("fd00:0:0:1::");
        assert_true(kc_cidr_index(&c, &ip) == UINT64_MAX);
        assert_int_equal(kc_cidr_parse("fd00::/108", &c, NULL), 0);
        assert_int_equal(kc_cidr_size(&c), 1 << 20);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_base64),
            cmocka_unit_test(test_base64_strict),
            cmocka_unit_test(test_hex_and_url),
            cmocka_unit_test(test_ip_text),
            cmocka_unit_test(test_ip_kinds),
            cmocka_unit_test(test_cidr),
            cmocka_unit_test(test_cidr_index),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
