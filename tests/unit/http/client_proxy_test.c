/* The client through proxies, and when it goes through none. */
#include "script.h"

static struct test_server server;
static struct script script; /* the proxy */
static struct kc_loop *loop;
static struct kc_http_client *client;

static void on_request(struct kc_http_req *r, void *arg)
{
        (void)arg;
        reply_text(r, 200, kc_http_req_proto(r));
}

/* --- Proxies */

/* Bytes both ways until either side ends. */
static void relay(struct script_conn *c)
{
        int up = dial(&server);
        struct pollfd p[2] = {{.fd = c->fd, .events = POLLIN}, {.fd = up, .events = POLLIN}};
        char data[16384];
        for (bool on = true; on;) {
                bool held = c->ssl && SSL_has_pending(c->ssl); /* OpenSSL reads ahead: the socket does not show it */
                if (poll(p, 2, held ? 0 : TEST_TIMEOUT_MS) <= 0 && !held)
                        break;
                if (held)
                        p[0].revents = POLLIN;
                for (int i = 0; i < 2; i++) {
                        if (!p[i].revents)
                                continue;
                        ssize_t n = i == 0 && c->ssl ? SSL_read(c->ssl, data, sizeof(data))
                                                     : recv(p[i].fd, data, sizeof(data), 0);
                        on = on && n > 0;
                        if (n > 0 && i == 0)
                                send_all(up, data, (size_t)n);
                        else if (n > 0)
                                conn_write(c, data, (size_t)n);
                }
        }
        close(up);
}

static atomic_int connects;

static void http_proxy(struct script *s, struct script_conn *c)
{
        (void)s;
        char *r = conn_read_request(c);
        if (!r)
                return;
        char connect[200];
        snprintf(connect, sizeof(connect),
            "CONNECT 127.0.0.1:%d HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nProxy-Authorization: Basic dTpwIHc=\r\n\r\n",
            server.port, server.port);
        if (kc_streq(r, connect)) {
                atomic_fetch_add(&connects, 1);
                conn_puts(c, "HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n");
                relay(c);
        } else if (kc_str_has_prefix(r, "CONNECT ")) {
                conn_puts(c, "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n");
        } else {
                char *text = kc_asprintf("HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s", strlen(r), r);
                conn_puts(c, text);
                kc_free(text);
        }
        kc_free(r);
}

static void malformed_proxy(struct script *s, struct script_conn *c)
{
        (void)s;
        kc_free(conn_read_request(c));
        conn_puts(c, "HTTP/1.1 200 OK\r\n\r\nsurplus");
        conn_drain(c);
}

static void socks_proxy(struct script *s, struct script_conn *c)
{
        (void)s;
        char got[64] = "";
        assert_true(conn_read_all(c, got, 4));
        assert_memory_equal(got, "\x05\x02\x00\x02", 4);
        conn_write(c, "\x05\x02", 2);
        assert_true(conn_read_all(c, got, 7));
        assert_memory_equal(got, "\x01\x01u\x03p w", 7);
        conn_write(c, "\x01\x00", 2);
        assert_true(conn_read_all(c, got, 4));
        assert_memory_equal(got, "\x05\x01\x00", 3);
        bool by_name = got[3] == 3;
        assert_true(conn_read_all(c, got, by_name ? 13 : 6)); /* length "no.example" port, or address port */
        if (by_name) {
                assert_memory_equal(got, "\x0ano.example\x00\x50", 13);
                conn_write(c, "\x05\x04\x00\x01\0\0\0\0\0\0", 10);
                return;
        }
        assert_memory_equal(got, "\x7f\0\0\x01", 4);
        atomic_fetch_add(&connects, 1);
        conn_write(c, "\x05\x00\x00\x01\0\0\0\0\0\0", 10);
        relay(c);
}

/* --- Tests */

static void free_client(void *arg)
{
        (void)arg;
        kc_http_client_free(KC_TAKE(client));
}

static void begin(void (*serve)(struct script *s, struct script_conn *c), const char *scheme, bool tls)
{
        atomic_store(&connects, 0);
        test_server_start(&server, (struct kc_http_server_opts){.on_request = on_request}, true);
        script.tls = tls ? server.tls : NULL;
        script_start(&script, serve);
        assert_int_equal(kc_loop_new("client", &loop, NULL), 0);
        assert_int_equal(kc_loop_start_thread(loop, NULL), 0);
        char ca[96], proxy[96];
        snprintf(ca, sizeof(ca), "%s/cert.pem", server.dir);
        snprintf(proxy, sizeof(proxy), "%s://u:p%%20w@127.0.0.1:%d", scheme, script.port);
        struct kc_http_client_opts o = {.ca_file = ca, .proxy_url = proxy};
        assert_int_equal(kc_http_client_new(loop, &o, &client, NULL), 0);
}

static void end(void)
{
        kc_loop_call(loop, free_client, NULL);
        kc_loop_stop(loop);
        kc_loop_join(loop);
        kc_loop_free(loop);
        script_stop(&script);
        script.tls = NULL;
        test_server_stop(&server);
}

static void expect(const char *url, int errnum, const char *text)
{
        struct kc_http_response r = {0};
        struct kc_error err = KC_ERROR_INIT;
        struct kc_http_call_opts o = {.url = url, .timeout_ms = TEST_TIMEOUT_MS};
        int e = kc_http_client_do(client, &o, &r, &err);
        if (e != -errnum)
                fail_msg("%d: %s", e, kc_error_message(&err));
        if (e == 0) {
                assert_int_equal(r.code, 200);
                assert_string_equal(kc_bytes_data(r.body), text);
                kc_http_response_done(&r);
        } else if (!strstr(kc_error_message(&err), text)) {
                assert_string_equal(kc_error_message(&err), text);
        }
        kc_error_done(&err);
}

static void expect_server(int errnum, const char *text)
{
        char url[64];
        snprintf(url, sizeof(url), "https://127.0.0.1:%d/", server.port);
        expect(url, errnum, text);
}

static void through_http_proxy(const char *scheme, bool tls)
{
        begin(http_proxy, scheme, tls);
        expect_server(0, "HTTP/2.0");
        expect_server(0, "HTTP/2.0");
        assert_int_equal(atomic_load(&connects), 1);
        /* Plain requests go to the proxy itself. */
        expect("http://no.example/x?y", 0,
            "GET http://no.example/x?y HTTP/1.1\r\nHost: no.example\r\nProxy-Authorization: Basic dTpwIHc=\r\n\r\n");
        expect("https://no.example/", EHOSTUNREACH, "proxyconnect tcp: Proxy Authentication Required");
        end();
}

static void test_http_proxy(void **state)
{
        (void)state;
        through_http_proxy("http", false);
}

static void test_https_proxy(void **state)
{
        (void)state;
        through_http_proxy("https", true);
}

static void test_socks5(void **state)
{
        (void)state;
        begin(socks_proxy, "socks5", false);
        expect_server(0, "HTTP/2.0");
        assert_int_equal(atomic_load(&connects), 1);
        expect("http://no.example/", EHOSTUNREACH, "socks connect tcp no.example:80: host unreachable");
        end();
}

static void test_bad_proxies(void **state)
{
        (void)state;
        begin(malformed_proxy, "http", false);
        expect_server(EPROTO, "proxyconnect tcp: malformed answer of the proxy to CONNECT");
        end();
        struct kc_http_client *c;
        struct kc_error err = KC_ERROR_INIT;
        static const char *const bad[] = {"ftp://h", "http://", "http://h:99999", "http://[::1", "socks4://h"};
        for (size_t i = 0; i < KC_ARRAY_LEN(bad); i++) {
                struct kc_http_client_opts o = {.proxy_url = bad[i]};
                assert_int_equal(kc_http_client_new(NULL, &o, &c, &err), -EINVAL);
                assert_non_null(strstr(kc_error_message(&err), "invalid proxy URL"));
                kc_error_done(&err);
        }
        struct kc_http_client_opts o = {.proxy_url = "http://u:hunter2@h:99999"};
        assert_int_equal(kc_http_client_new(NULL, &o, &c, &err), -EINVAL);
        assert_non_null(strstr(kc_error_message(&err), "invalid proxy URL \"http://u:xxxxx@h:99999\""));
        kc_error_done(&err);
}

static void expect_proxy(const struct http_proxies *p, bool https, const char *host, const char *port, const char *want)
{
        const struct kc_proxy *proxy;
        assert_int_equal(http_proxies_find(p, https, host, port, &proxy, NULL), 0);
        assert_string_equal(proxy ? proxy->host : "direct", want);
}

static void test_environment(void **state)
{
        (void)state;
        struct http_proxies p;
        const struct kc_http_client_opts none = {0}, no = {.no_proxy = true};
        setenv("HTTP_PROXY", "plain:3128", 1);
        setenv("https_proxy", "http://secure", 1);
        setenv("NO_PROXY", "a.example, .b.example,*.c.example,10.0.0.0/8,192.0.2.1,d.example:8443,fd00::1", 1);
        assert_int_equal(http_proxies_init(&p, &none, NULL), 0);
        expect_proxy(&p, false, "x.example", "80", "plain");
        expect_proxy(&p, true, "x.example", "443", "secure");
        expect_proxy(&p, true, "localhost", "443", "direct");
        expect_proxy(&p, true, "127.1.2.3", "443", "direct");
        expect_proxy(&p, true, "::1", "443", "direct");
        expect_proxy(&p, true, "A.example", "443", "direct");
        expect_proxy(&p, true, "x.a.example", "443", "direct");
        expect_proxy(&p, true, "xa.example", "443", "secure");
        expect_proxy(&p, true, "b.example", "443", "secure");
        expect_proxy(&p, true, "x.b.example", "443", "direct");
        expect_proxy(&p, true, "c.example", "443", "secure");
        expect_proxy(&p, true, "x.c.example", "443", "direct");
        expect_proxy(&p, true, "10.1.2.3", "443", "direct");
        expect_proxy(&p, true, "11.1.2.3", "443", "secure");
        expect_proxy(&p, true, "192.0.2.1", "443", "direct");
        expect_proxy(&p, true, "fd00::1", "443", "direct");
        expect_proxy(&p, true, "d.example", "8443", "direct");
        expect_proxy(&p, true, "d.example", "443", "secure");
        http_proxies_done(&p);
        assert_int_equal(http_proxies_init(&p, &no, NULL), 0);
        expect_proxy(&p, true, "x.example", "443", "direct");
        http_proxies_done(&p);
        setenv("NO_PROXY", "*", 1);
        assert_int_equal(http_proxies_init(&p, &none, NULL), 0);
        expect_proxy(&p, true, "x.example", "443", "direct");
        http_proxies_done(&p);
        unsetenv("NO_PROXY");
        unsetenv("HTTP_PROXY");
        setenv("https_proxy", "ftp://x", 1);
        assert_int_equal(http_proxies_init(&p, &none, NULL), 0);
        const struct kc_proxy *proxy;
        assert_int_equal(http_proxies_find(&p, true, "x.example", "443", &proxy, NULL), -EINVAL);
        expect_proxy(&p, false, "x.example", "80", "direct");
        http_proxies_done(&p);
        unsetenv("https_proxy");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_http_proxy),
            cmocka_unit_test(test_https_proxy),
            cmocka_unit_test(test_socks5),
            cmocka_unit_test(test_bad_proxies),
            cmocka_unit_test(test_environment),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
