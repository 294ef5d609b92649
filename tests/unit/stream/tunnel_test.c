/* Tunnels: a server that passes upgrades on to a backend, which each test plays itself, over sockets. */
#include "../http/http_test.h"
#include "base/clock.h"
#include "stream/tunnel.h"

static struct test_server front;
static int listener;
static int backend_port;
static int64_t idle_timeout;
static atomic_int opened, ended, answered, failed;

struct passing {
        struct kc_http_req *req;
        struct kc_tunnel *t;
        char **headers;
};

static void on_answer(struct kc_tunnel *t, int code, char *const *headers, struct kc_bytes *body, void *arg)
{
        struct passing *p = arg;
        (void)t;
        atomic_fetch_add(&answered, 1);
        kc_http_reply(p->req, code, headers, body);
}

static void on_error(struct kc_tunnel *t, const struct kc_error *err, void *arg)
{
        struct passing *p = arg;
        atomic_fetch_add(&failed, 1);
        if (!kc_tunnel_refuse(t, "{\"status\":\"Failure\"}"))
                reply_text(p->req, 502, kc_error_message(err));
}

static void on_open(struct kc_tunnel *t, void *arg)
{
        struct passing *p = arg;
        (void)t;
        kc_http_on_close(p->req, NULL, NULL);
        atomic_fetch_add(&opened, 1);
}

static void on_end(struct kc_tunnel *t, void *arg)
{
        struct passing *p = arg;
        (void)t;
        kc_http_on_close(p->req, NULL, NULL);
        kc_http_req_unref(p->req);
        kc_strv_free(p->headers);
        kc_free(p);
        atomic_fetch_add(&ended, 1);
}

static void on_gone(struct kc_http_req *req, void *arg)
{
        struct passing *p = arg;
        (void)req;
        kc_tunnel_cancel(p->t);
}

static void on_request(struct kc_http_req *req, void *arg)
{
        static const struct kc_tunnel_cbs cbs = {on_answer, on_error, on_open, on_end};
        struct passing *p = KC_NEW(struct passing);
        (void)arg;
        p->req = kc_http_req_ref(req);
        enum kc_tunnel_mode mode = kc_tunnel_mode_of(req, strstr(kc_http_req_path(req), "exec") != NULL);
        p->headers = kc_tunnel_headers(req, mode);
        const struct kc_tunnel_opts o = {.req = req,
            .mode = mode,
            .streams = {.out = true},
            .backend = {.loop = kc_http_req_loop(req),
                .dial = "127.0.0.1",
                .port = backend_port,
                .method = kc_http_req_method(req),
                .target = kc_http_req_path(req),
                .host = "backend",
                .headers = p->headers},
            .idle_timeout = idle_timeout,
            .cbs = &cbs,
            .arg = p};
        p->t = kc_tunnel_new(&o);
        kc_http_on_close(req, on_gone, p);
}

static int setup(void **state)
{
        (void)state;
        struct sockaddr_in a = {.sin_family = AF_INET};
        socklen_t len = sizeof(a);
        a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(listener, (struct sockaddr *)&a, sizeof(a)), 0);
        assert_int_equal(listen(listener, 16), 0);
        assert_int_equal(getsockname(listener, (struct sockaddr *)&a, &len), 0);
        backend_port = ntohs(a.sin_port);
        idle_timeout = 0;
        atomic_store(&opened, 0);
        atomic_store(&ended, 0);
        atomic_store(&answered, 0);
        atomic_store(&failed, 0);
        test_server_start(&front, (struct kc_http_server_opts){.on_request = on_request}, false);
        return 0;
}

static int teardown(void **state)
{
        (void)state;
        if (listener >= 0)
                close(listener);
        test_server_stop(&front);
        return 0;
}

#define ASK(path, more)                                                                                                \
        "POST " path " HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n" more "Content-Length: "    \
        "0\r\n\r\n"
#define AGREE "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Chosen: v4\r\n\r\n"

/* The backend's side of the next connection, its request in b. */
static int accept_request(struct kc_buf *b)
{
        int fd = accept(listener, NULL, NULL);
        assert_true(fd >= 0);
        recv_until(fd, b, "\r\n\r\n");
        return fd;
}

static void test_bytes_go_both_ways(void **state)
{
        (void)state;
        KC_CLEANUP(kc_buf_done) struct kc_buf req = KC_BUF_INIT;
        KC_CLEANUP(kc_buf_done) struct kc_buf got = KC_BUF_INIT;
        int c = dial(&front);
        send_str(c, ASK("/exec?a=b", "Authorization: Bearer secret\r\nCookie: x\r\nImpersonate-User: root\r\n"));
        int b = accept_request(&req);
        assert_true(kc_str_has_prefix(req.data, "POST /exec HTTP/1.1\r\nHost: backend\r\n"));
        assert_null(strstr(req.data, "secret"));
        assert_null(strstr(req.data, "root"));
        assert_non_null(strstr(req.data, "cookie: x\r\n"));
        assert_non_null(strstr(req.data, "upgrade: SPDY/3.1\r\n"));
        send_str(b, "HTTP/1.1 100 Continue\r\n\r\n");
        send_str(b, AGREE "first words");
        recv_until(c, &got, "first words");
        assert_true(kc_str_has_prefix(got.data, "HTTP/1.1 101 Switching Protocols\r\n"));
        assert_non_null(strstr(got.data, "X-Chosen: v4\r\n"));
        send_str(c, "to the backend");
        kc_buf_reset(&req);
        recv_until(b, &req, "to the backend");
        send_str(b, "last words");
        close(b);
        char *rest = recv_end(c);
        assert_string_equal(rest, "last words");
        kc_free(rest);
        await(&ended, 1);
        assert_int_equal(atomic_load(&opened), 1);
}

static void test_what_a_client_sent_before_it_left(void **state)
{
        (void)state;
        KC_CLEANUP(kc_buf_done) struct kc_buf req = KC_BUF_INIT;
        KC_CLEANUP(kc_buf_done) struct kc_buf got = KC_BUF_INIT;
        int c = dial(&front);
        send_str(c, ASK("/exec", ""));
        int b = accept_request(&req);
        send_str(b, AGREE);
        recv_until(c, &got, "\r\n\r\n");
        enum { BIG = 4 << 20 };
        char *big = kc_calloc(1, BIG);
        /* More than sockets hold would block: the backend reads while we write. */
        size_t sent = 0, received = 0;
        char piece[65536];
        while (sent < BIG) {
                ssize_t n = send(c, big + sent, KC_MIN((size_t)BIG - sent, sizeof(piece)), MSG_DONTWAIT | MSG_NOSIGNAL);
                if (n > 0) {
                        sent += (size_t)n;
                        continue;
                }
                n = recv(b, piece, sizeof(piece), 0);
                assert_true(n > 0);
                received += (size_t)n;
        }
        shutdown(c, SHUT_WR);
        for (ssize_t n; (n = recv(b, piece, sizeof(piece), 0)) > 0;)
                received += (size_t)n;
        assert_int_equal(received, BIG);
        kc_free(big);
        close(b);
        close(c);
        await(&ended, 1);
}

static void test_other_answers(void **state)
{
        (void)state;
        static const struct {
                const char *answer, *wanted;
        } tests[] = {
            {"HTTP/1.1 403 Forbidden\r\nX-A: b\r\nContent-Length: 2\r\n\r\nno", "HTTP/1.1 403 Forbidden\r\nX-A: b\r\n"},
            {"HTTP/1.1 500 Oops\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n",
                "HTTP/1.1 500 Internal Server Error\r\n"},
            {"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nno", "HTTP/1.1 200 OK\r\n"},
        };
        for (size_t i = 0; i < KC_ARRAY_LEN(tests); i++) {
                KC_CLEANUP(kc_buf_done) struct kc_buf req = KC_BUF_INIT;
                int c = dial(&front);
                send_str(c, ASK("/exec", "Connection: close\r\n"));
                int b = accept_request(&req);
                send_str(b, tests[i].answer);
                close(b);
                char *got = recv_end(c);
                assert_true(kc_str_has_prefix(got, tests[i].wanted));
                assert_true(kc_str_has_suffix(got, "\r\n\r\nno"));
                kc_free(got);
        }
        await(&ended, 3);
        assert_int_equal(atomic_load(&answered), 3);
        assert_int_equal(atomic_load(&opened), 0);
}

static void test_backends_that_fail(void **state)
{
        (void)state;
        static const char *const answers[] = {
            "", "HTTP/1.1 403 Forbidden\r\nContent-Length: 10\r\n\r\nno", "garbage\r\n\r\n"};
        for (size_t i = 0; i < KC_ARRAY_LEN(answers); i++) {
                KC_CLEANUP(kc_buf_done) struct kc_buf req = KC_BUF_INIT;
                int c = dial(&front);
                send_str(c, ASK("/exec", "Connection: close\r\n"));
                int b = accept_request(&req);
                send_str(b, answers[i]);
                close(b);
                char *got = recv_end(c);
                assert_true(kc_str_has_prefix(got, "HTTP/1.1 502 Bad Gateway\r\n"));
                kc_free(got);
        }
        close(listener);
        listener = -1;
        int c = dial(&front);
        send_str(c, ASK("/exec", "Connection: close\r\n"));
        char *got = recv_end(c);
        assert_non_null(strstr(got, "connect: connection refused"));
        kc_free(got);
        await(&ended, 4);
        assert_int_equal(atomic_load(&failed), 4);
}

static void test_a_client_that_leaves_early(void **state)
{
        (void)state;
        KC_CLEANUP(kc_buf_done) struct kc_buf req = KC_BUF_INIT;
        int c = dial(&front);
        send_str(c, ASK("/exec", ""));
        int b = accept_request(&req);
        const struct linger reset = {.l_onoff = 1};
        assert_int_equal(setsockopt(c, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
        close(c);
        await(&ended, 1);
        kc_buf_reset(&req);
        assert_false(recv_some(b, &req)); /* the backend's connection has gone with it */
        close(b);
}

/* With no more than a FIN it may still read: it is gone for sure when the backend has agreed. */
static void test_a_client_that_says_no_more(void **state)
{
        (void)state;
        KC_CLEANUP(kc_buf_done) struct kc_buf req = KC_BUF_INIT;
        int c = dial(&front);
        send_str(c, ASK("/exec", ""));
        int b = accept_request(&req);
        close(c);
        send_str(b, AGREE);
        kc_buf_reset(&req);
        assert_false(recv_some(b, &req));
        close(b);
        await(&ended, 1);
}

static void test_idle_connections_end(void **state)
{
        (void)state;
        KC_CLEANUP(kc_buf_done) struct kc_buf req = KC_BUF_INIT;
        idle_timeout = 50 * KC_MSEC;
        int c = dial(&front);
        send_str(c, ASK("/exec", ""));
        int b = accept_request(&req);
        send_str(b, AGREE);
        char *got = recv_end(c);
        assert_true(kc_str_has_prefix(got, "HTTP/1.1 101 "));
        kc_free(got);
        await(&ended, 1);
        close(b);
}

#define WEBSOCKET(path, protocol)                                                                                      \
        "GET " path " HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: "     \
        "13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: " protocol "\r\n\r\n"

static void test_a_websocket_is_refused_in_its_words(void **state)
{
        (void)state;
        KC_CLEANUP(kc_buf_done) struct kc_buf req = KC_BUF_INIT;
        int c = dial(&front);
        send_str(c, WEBSOCKET("/exec", "v5.channel.k8s.io"));
        int b = accept_request(&req);
        assert_non_null(strstr(req.data, "\r\nX-Stream-Protocol-Version: v4.channel.k8s.io\r\n"));
        assert_null(strcasestr(req.data, "websocket"));
        close(b);
        char *got = recv_end(c);
        assert_true(kc_str_has_prefix(got, "HTTP/1.1 101 "));
        assert_non_null(strstr(got, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
        assert_non_null(strstr(got, "\r\n\r\n\x82\x15\x03{\"status\":\"Failure\"}\x88\x02\x03\xe8"));
        kc_free(got);
        await(&ended, 1);
}

static void test_a_tunnel_of_spdy(void **state)
{
        (void)state;
        KC_CLEANUP(kc_buf_done) struct kc_buf req = KC_BUF_INIT;
        KC_CLEANUP(kc_buf_done) struct kc_buf got = KC_BUF_INIT;
        int c = dial(&front);
        send_str(c, WEBSOCKET("/portforward", "SPDY/3.1+portforward.k8s.io"));
        int b = accept_request(&req);
        assert_non_null(strstr(req.data, "\r\nX-Stream-Protocol-Version: portforward.k8s.io\r\n"));
        send_str(b, AGREE);
        recv_until(c, &got, "Sec-WebSocket-Protocol: SPDY/3.1+portforward.k8s.io\r\n");
        send_all(c, "\x82\x85\0\0\0\0hello", 11);
        kc_buf_reset(&req);
        recv_until(b, &req, "hello");
        send_str(b, "back");
        kc_buf_reset(&got);
        recv_until(c, &got,
            "\x82\x04"
            "back");
        send_all(c, "\x88\x80\0\0\0\0", 6);
        kc_buf_reset(&req);
        assert_false(recv_some(b, &req));
        close(b);
        close(c);
        await(&ended, 1);
}

/* A client that does not read holds the backend up. */
static void test_back_pressure(void **state)
{
        (void)state;
        KC_CLEANUP(kc_buf_done) struct kc_buf req = KC_BUF_INIT;
        KC_CLEANUP(kc_buf_done) struct kc_buf got = KC_BUF_INIT;
        int c = dial(&front);
        send_str(c, ASK("/exec", ""));
        int b = accept_request(&req);
        send_str(b, AGREE);
        recv_until(c, &got, "\r\n\r\n");
        static char piece[1 << 16];
        size_t sent = 0, received = 0;
        /* Until a second passes in which nothing more is taken. */
        for (;;) {
                struct pollfd p = {.fd = b, .events = POLLOUT};
                ssize_t n = send(b, piece, sizeof(piece), MSG_DONTWAIT | MSG_NOSIGNAL);
                if (n > 0)
                        sent += (size_t)n;
                else if (poll(&p, 1, 1000) == 0)
                        break;
                assert_true(sent < 64 << 20);
        }
        close(b);
        for (ssize_t n; (n = recv(c, piece, sizeof(piece), 0)) > 0;)
                received += (size_t)n;
        assert_int_equal(received, sent);
        close(c);
        await(&ended, 1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(test_bytes_go_both_ways, setup, teardown),
            cmocka_unit_test_setup_teardown(test_what_a_client_sent_before_it_left, setup, teardown),
            cmocka_unit_test_setup_teardown(test_other_answers, setup, teardown),
            cmocka_unit_test_setup_teardown(test_backends_that_fail, setup, teardown),
            cmocka_unit_test_setup_teardown(test_a_client_that_leaves_early, setup, teardown),
            cmocka_unit_test_setup_teardown(test_a_client_that_says_no_more, setup, teardown),
            cmocka_unit_test_setup_teardown(test_idle_connections_end, setup, teardown),
            cmocka_unit_test_setup_teardown(test_a_websocket_is_refused_in_its_words, setup, teardown),
            cmocka_unit_test_setup_teardown(test_a_tunnel_of_spdy, setup, teardown),
            cmocka_unit_test_setup_teardown(test_back_pressure, setup, teardown),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
