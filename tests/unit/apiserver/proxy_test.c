/* What proxied answers say about where things are: URLs, pages, names and paths. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "server/proxy.h"

static const struct proxy_page page = {"/api/v1/namespaces/a/pods/b/proxy", "10.0.0.1:8080", "localhost:8001"};

static void expect_url(const char *url, const char *wanted)
{
        KC_CLEANUP(kc_freep) char *got = proxy_rewrite_url(&page, url);
        assert_string_equal(got, wanted);
}

static void test_urls(void **state)
{
        (void)state;
        expect_url("/x/y?z#w", "/api/v1/namespaces/a/pods/b/proxy/x/y?z#w");
        expect_url("/", "/api/v1/namespaces/a/pods/b/proxy/");
        expect_url("http://10.0.0.1:8080/x", "/api/v1/namespaces/a/pods/b/proxy/x");
        expect_url("//10.0.0.1:8080/x/", "/api/v1/namespaces/a/pods/b/proxy/x/");
        expect_url("https://localhost:8001/x", "https://localhost:8001/api/v1/namespaces/a/pods/b/proxy/x");
        expect_url("http://example.com/x", "http://example.com/x");
        expect_url("http://10.0.0.1:9999/x", "http://10.0.0.1:9999/x");
        expect_url("x/y", "x/y");
        expect_url("#top", "#top");
        expect_url("mailto:someone", "mailto:someone");
        expect_url("", "");
        expect_url("/api/v1/namespaces/a/pods/b/proxy/x", "/api/v1/namespaces/a/pods/b/proxy/x");
}

static void expect_page(const char *html, const char *wanted)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf out = KC_BUF_INIT;
        const struct proxy_page short_page = {"/p", "h", "r"};
        proxy_rewrite_html(&short_page, html, strlen(html), &out);
        assert_string_equal(kc_buf_str(&out), wanted);
}

static void test_pages(void **state)
{
        (void)state;
        expect_page("", "");
        expect_page("<a href=\"/x\">/x</a>", "<a href=\"/p/x\">/x</a>");
        expect_page("<A class=c HREF = '/x' target=_blank>", "<A class=c HREF = '/p/x' target=_blank>");
        expect_page("<a href=/x>", "<a href=/p/x>");
        expect_page("<img src=/x usemap=\"/m\" alt=\"/x\"/>", "<img src=/p/x usemap=\"/p/m\" alt=\"/x\"/>");
        expect_page("<a name=\"a\" href>", "<a name=\"a\" href>");
        expect_page("<div href=\"/x\">", "<div href=\"/x\">");
        expect_page("<!-- <a href=\"/x\"> --><a href=\"/y\">", "<!-- <a href=\"/x\"> --><a href=\"/p/y\">");
        expect_page("<script src='/s'>\"<a href='/x'>\"</script><a href='/y'>",
            "<script src='/p/s'>\"<a href='/x'>\"</script><a href='/p/y'>");
        expect_page("<!DOCTYPE html><link rel=stylesheet href=/s.css><p>1 < 2 </p>",
            "<!DOCTYPE html><link rel=stylesheet href=/p/s.css><p>1 < 2 </p>");
        expect_page("<form action=\"http://h/f\">", "<form action=\"/p/f\">");
        expect_page("<a href=\"/x", "<a href=\"/p/x");
        expect_page("<a", "<a");
        expect_page("<", "<");
        expect_page("<!--", "<!--");
        expect_page("</a", "</a");
        expect_page("<a / = href='/x'>", "<a / = href='/p/x'>");
}

static void test_names(void **state)
{
        (void)state;
        static const struct {
                const char *id, *scheme, *name, *port;
        } good[] = {{"a", "", "a", ""}, {"a:80", "", "a", "80"}, {"a:http", "", "a", "http"},
            {"https:a:443", "https", "a", "443"}, {"https:a:", "https", "a", ""}, {":a:80", "", "a", "80"}};
        static const char *const bad[] = {"", ":80", "ftp:a:21", "a:b:c:d", "https::443"};
        for (size_t i = 0; i < KC_ARRAY_LEN(good); i++) {
                KC_CLEANUP(kc_freep) char *scheme = NULL;
                KC_CLEANUP(kc_freep) char *name = NULL;
                KC_CLEANUP(kc_freep) char *port = NULL;
                assert_true(proxy_split_name(good[i].id, &scheme, &name, &port));
                assert_string_equal(scheme, good[i].scheme);
                assert_string_equal(name, good[i].name);
                assert_string_equal(port, good[i].port);
        }
        for (size_t i = 0; i < KC_ARRAY_LEN(bad); i++) {
                char *scheme, *name, *port;
                assert_false(proxy_split_name(bad[i], &scheme, &name, &port));
        }
}

static void test_paths(void **state)
{
        (void)state;
        static const struct {
                const char *path, *wanted;
        } tests[] = {{"/api/v1/nodes/n/proxy", ""}, {"/api/v1/nodes/n/proxy/", "/"},
            {"/api/v1/nodes/n/proxy/a/b", "/a/b"}, {"/api/v1/nodes/n/proxy/a/b/", "/a/b/"},
            {"/api/v1/nodes/n/proxy//a//b", "/a/b"}, {"/api/v1/nodes/n/proxy/a%2Fb", "/a%2Fb"},
            {"/api/v1/nodes/n/proxy/a/../b", "/b"}, {"/api/v1/nodes/n/proxy/../../x", "/x"},
            {"/api/v1/nodes/n/proxy/a/%2e%2E/./b", "/b"}, {"/api", ""}};
        for (size_t i = 0; i < KC_ARRAY_LEN(tests); i++) {
                KC_CLEANUP(kc_freep) char *got = proxy_path(tests[i].path, 5);
                assert_string_equal(got, tests[i].wanted);
        }
}

static void test_packed_pages(void **state)
{
        (void)state;
        KC_CLEANUP(kc_buf_done) struct kc_buf out = KC_BUF_INIT;
        KC_CLEANUP(kc_buf_done) struct kc_buf body = KC_BUF_INIT;
        /* gzip of <a href="/x"> */
        static const unsigned char gz[] = {0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xb3, 0x49, 0x54,
            0xc8, 0x28, 0x4a, 0x4d, 0xb3, 0x55, 0xd2, 0xaf, 0x50, 0xb2, 0x03, 0x00, 0x2d, 0x70, 0x51, 0x0c, 0x0d, 0x00,
            0x00, 0x00};
        kc_buf_add(&body, "no gzip", 7);
        assert_false(proxy_rewrite_body(&page, "gzip", &body, 1000, &out));
        assert_false(proxy_rewrite_body(&page, "br", &body, 1000, &out));
        assert_int_equal(out.len, 0);
        assert_true(proxy_rewrite_body(&page, NULL, &body, 1000, &out));
        assert_string_equal(kc_buf_str(&out), "no gzip");
        kc_buf_reset(&body);
        kc_buf_reset(&out);
        kc_buf_add(&body, gz, sizeof(gz));
        assert_false(proxy_rewrite_body(&page, "gzip", &body, 12, &out)); /* 13 bytes when unpacked */
        assert_true(proxy_rewrite_body(&page, "gzip", &body, 13, &out));
        assert_memory_equal(out.data, "\x1f\x8b", 2);
        kc_buf_reset(&body);
        assert_true(
            proxy_rewrite_body(&page, "gzip", &out, 1000, &body)); /* what was packed unpacks, and has the prefix */
        assert_int_equal(body.len, out.len);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_urls),
            cmocka_unit_test(test_pages),
            cmocka_unit_test(test_names),
            cmocka_unit_test(test_paths),
            cmocka_unit_test(test_packed_pages),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
