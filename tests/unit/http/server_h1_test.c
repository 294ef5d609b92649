/* The server over HTTP/1: answers, bodies, pipelines, refusals, streams. */
#include "http_test.h"

static struct test_server server;

static void on_closed(struct kc_http_req *r, void *arg)
{
        (void)arg;
        atomic_fetch_add(&server.closed, 1);
        kc_http_req_unref(r);
}

static void reply_from_worker(void *arg)
{
        struct kc_http_req *r = arg;
        reply_text(r, 200, "from a worker\n");
        reply_text(r, 500, "second answer\n");
        kc_http_req_unref(r);
}

static void describe(struct kc_http_req *r)
{
        struct kc_buf b = KC_BUF_INIT;
        size_t len;
        const char *body = kc_http_req_body(r, &len), *name, *value;
        kc_buf_addf(&b, "%s %s ?%s %s host=%s\n", kc_http_req_method(r), kc_http_req_path(r), kc_http_req_query(r),
            kc_http_req_proto(r), kc_http_req_host(r));
        for (size_t i = 0; kc_http_req_header_at(r, i, &name, &value); i++)
                kc_buf_addf(&b, "%s=%s|%s\n", name, value, kc_http_req_header(r, name));
        kc_buf_addf(&b, "%zu:%s\n", len, body);
        struct kc_bytes *bytes = kc_bytes_from_buf(&b);
        kc_http_reply(r, 200, NULL, bytes);
        kc_bytes_unref(bytes);
}

static void stream_three(struct kc_http_req *r)
{
        kc_http_on_close(r, on_closed, NULL);
        kc_http_req_ref(r);
        kc_http_start(r, 200, HEADERS(S("X-Stream"), S("yes\r\nX-Forged: 1")));
        for (int i = 0; i < 3; i++) {
                struct kc_bytes *b = bytes("event\n");
                assert_int_equal(kc_http_write(r, b), 0);
                kc_bytes_unref(b);
        }
        kc_http_finish(r);
        struct kc_bytes *late = bytes("late");
        assert_int_equal(kc_http_write(r, late), -EPIPE);
        kc_bytes_unref(late);
}

static void on_request(struct kc_http_req *r, void *arg)
{
        (void)arg;
        const char *path = kc_http_req_path(r);
        if (kc_streq(path, "/hello")) {
                reply_text(r, 200, "hello\n");
        } else if (kc_streq(path, "/worker")) {
                assert_int_equal(kc_pool_submit(server.pool, reply_from_worker, kc_http_req_ref(r)), 0);
        } else if (kc_streq(path, "/stream")) {
                stream_three(r);
        } else if (kc_streq(path, "/watch")) {
                kc_http_on_close(r, on_closed, NULL);
                kc_http_req_ref(r);
                kc_http_start(r, 200, NULL);
                struct kc_bytes *b = bytes("first\n");
                assert_int_equal(kc_http_write(r, b), 0);
                kc_bytes_unref(b);
        } else if (kc_streq(path, "/abort")) {
                kc_http_abort(r);
        } else if (kc_streq(path, "/gone")) {
                kc_http_reply(r, 204, NULL, NULL);
        } else {
                describe(r);
        }
}

static void on_headers(struct kc_http_req *r, void *arg)
{
        (void)arg;
        if (kc_streq(kc_http_req_path(r), "/refused"))
                reply_text(r, 401, "no\n");
}

static int start(void **state)
{
        (void)state;
        struct kc_http_server_opts o = {.on_headers = on_headers,
            .on_request = on_request,
            .max_body = 1000,
            .max_header_bytes = 4000,
            .header_timeout_ms = 300,
            .idle_timeout_ms = 300};
        test_server_start(&server, o, false);
        return 0;
}

static int stop(void **state)
{
        (void)state;
        test_server_stop(&server);
        return 0;
}

static void test_complete_reply(void **state)
{
        (void)state;
        expect_answer(&server, "GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello\n");
        expect_answer(&server, "HEAD /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 6\r\nConnection: close\r\n\r\n");
        expect_answer(&server, "DELETE /gone HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
            "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
        expect_answer(&server, "GET /hello HTTP/1.0\r\n\r\n",
            "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello\n");
}

static void test_request_is_described(void **state)
{
        (void)state;
        expect_answer(&server,
            "POST /a/b%20c?x=1&y HTTP/1.1\r\nHost: example:6443\r\nX-Group: a\r\nx-group:  b \r\nEmpty:\r\n"
            "Connection: close\r\nContent-Length: 4\r\n\r\nbody",
            "HTTP/1.1 200 OK\r\nContent-Length: 166\r\nConnection: close\r\n\r\n"
            "POST /a/b%20c ?x=1&y HTTP/1.1 host=example:6443\nhost=example:6443|example:6443\nx-group=a|a, b\n"
            "x-group=b|a, b\nempty=|\nconnection=close|close\ncontent-length=4|4\n4:body\n");
        expect_answer_starts(&server, "GET http://proxied/x?q HTTP/1.1\r\nHost: other\r\nConnection: close\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 75\r\nConnection: close\r\n\r\nGET /x ?q HTTP/1.1 host=proxied\n");
}

static void test_chunked_body(void **state)
{
        (void)state;
        int fd = dial(&server);
        /* In pieces that cut through everything. */
        const char *request = "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
                              "5;ext=1\r\nhello\r\nB\r\n, the world\r\n0\r\nTrailer: x\r\n\r\n";
        for (const char *p = request; *p; p++)
                send_all(fd, p, 1);
        char *got = recv_end(fd);
        assert_non_null(strstr(got, "\n16:hello, the world\n"));
        kc_free(got);
}

static void test_pipeline(void **state)
{
        (void)state;
        expect_answer(&server,
            "GET /worker HTTP/1.1\r\nHost: a\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n"
            "GET /stream HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 14\r\n\r\nfrom a worker\n"
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n\r\nhello\n"
            "HTTP/1.1 200 OK\r\nX-Stream: yes  X-Forged: 1\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
            "6\r\nevent\n\r\n6\r\nevent\n\r\n6\r\nevent\n\r\n0\r\n\r\n");
        await(&server.closed, 1);
}

static void test_half_closed_peer_gets_its_answers(void **state)
{
        (void)state;
        int fd = dial(&server);
        send_str(fd, "GET /worker HTTP/1.1\r\nHost: a\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_int_equal(shutdown(fd, SHUT_WR), 0);
        char *got = recv_end(fd);
        assert_non_null(strstr(got, "from a worker\n"));
        assert_non_null(strstr(got, "\r\n\r\nhello\n"));
        kc_free(got);
}

static void test_http10_stream_ends_with_the_connection(void **state)
{
        (void)state;
        expect_answer(&server, "GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
            "HTTP/1.0 200 OK\r\nX-Stream: yes  X-Forged: 1\r\nConnection: close\r\n\r\nevent\nevent\nevent\n");
        await(&server.closed, 1);
}

static void test_peer_leaves_a_watch(void **state)
{
        (void)state;
        int fd = dial(&server);
        struct kc_buf b = KC_BUF_INIT;
        send_str(fd, "GET /watch HTTP/1.1\r\nHost: a\r\n\r\n");
        recv_until(fd, &b, "first\n");
        assert_int_equal(atomic_load(&server.closed), 0);
        close(fd);
        await(&server.closed, 1);
        kc_buf_done(&b);
}

static void test_abort(void **state)
{
        (void)state;
        expect_answer(&server, "GET /abort HTTP/1.1\r\nHost: a\r\n\r\n", "");
}

static void test_body_limits(void **state)
{
        (void)state;
        char request[2000];
        snprintf(request, sizeof(request), "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n%01001d", 7);
        const char *too_large = "HTTP/1.1 413 Request Entity Too Large\r\nContent-Type: text/plain; charset=utf-8\r\n"
                                "Content-Length: 28\r\nConnection: close\r\n\r\n413 Request Entity Too Large";
        expect_answer(&server, request, too_large);
        snprintf(request, sizeof(request),
            "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3E9\r\n%01001d\r\n0\r\n\r\n", 7);
        expect_answer(&server, request, too_large);
        snprintf(request, sizeof(request),
            "POST /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 1000\r\n\r\n%01000d", 7);
        expect_answer_starts(&server, request, "HTTP/1.1 200 OK\r\n");
}

static void test_refused_before_the_body(void **state)
{
        (void)state;
        expect_answer(&server, "POST /refused HTTP/1.1\r\nHost: a\r\nContent-Length: 500\r\n\r\n",
            "HTTP/1.1 401 Unauthorized\r\nContent-Type: text/plain\r\nContent-Length: 3\r\nConnection: "
            "close\r\n\r\nno\n");
        /* Without a body the connection goes on. */
        expect_answer_starts(&server,
            "GET /refused HTTP/1.1\r\nHost: a\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
            "HTTP/1.1 401 Unauthorized\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nno\nHTTP/1.1 200 "
            "OK\r\n");
}

static void test_expect_continue(void **state)
{
        (void)state;
        int fd = dial(&server);
        struct kc_buf b = KC_BUF_INIT;
        send_str(fd, "POST /a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n"
                     "Connection: close\r\n\r\n");
        recv_until(fd, &b, "HTTP/1.1 100 Continue\r\n\r\n");
        send_str(fd, "ok");
        char *got = recv_end(fd);
        assert_non_null(strstr(got, "\n2:ok\n"));
        kc_free(got);
        kc_buf_done(&b);
        expect_answer_starts(&server, "POST /a HTTP/1.1\r\nHost: a\r\nExpect: miracles\r\nContent-Length: 2\r\n\r\n",
            "HTTP/1.1 417 Expectation Failed\r\n");
        expect_answer_starts(&server,
            "POST /refused HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n",
            "HTTP/1.1 401 Unauthorized\r\n");
}

static void test_refusals(void **state)
{
        (void)state;
#define H "Host: a\r\n"
        static const struct {
                const char *request, *answer;
        } cases[] = {
            {"GET /hello HTTP/1.1\r\n\r\n", "400"},
            {"GET /hello HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "400"},
            {"GET /hello HTTP/1.1\r\nHost: a/b\r\n\r\n", "400"},
            {"GET /hello HTTP/1.1\r\nHost: a\n\r\n", "400"},
            {"GET /hello HTTP/1.1\nHost: a\n\n", "400"},
            {"GET /hello HTTP/1.1\r\n" H "X: a\r\n b\r\n\r\n", "400"},
            {"GET /hello HTTP/1.1\r\n" H "X : a\r\n\r\n", "400"},
            {"GET /hello HTTP/1.1\r\n" H "X(: a\r\n\r\n", "400"},
            {"GET /hello HTTP/1.1\r\n" H "X: a\x01\r\n\r\n", "400"},
            {"GET /hello HTTP/1.1\r\n" H ": a\r\n\r\n", "400"},
            {"GET /hello HTTP/1.1\r\n" H "nocolon\r\n\r\n", "400"},
            {"GET hello HTTP/1.1\r\n" H "\r\n", "400"},
            {"OPTIONS * HTTP/1.1\r\n" H "\r\n", "400"},
            {"CONNECT a:80 HTTP/1.1\r\n" H "\r\n", "400"},
            {"GET /h\x80llo HTTP/1.1\r\n" H "\r\n", "400"},
            {"GET /hello HTTP/2.0\r\n" H "\r\n", "505"},
            {"GET /hello HTTP/1.1x\r\n" H "\r\n", "400"},
            {"NONSENSE /hello HTTP/1.1\r\n" H "\r\n", "400"},
            {"\x16\x03\x01\n", "400"},
            {"POST /a HTTP/1.1\r\n" H "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"},
            {"POST /a HTTP/1.1\r\n" H "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", "400"},
            {"POST /a HTTP/1.1\r\n" H "Content-Length: 3, 3\r\n\r\nabc", "400"},
            {"POST /a HTTP/1.1\r\n" H "Content-Length: +3\r\n\r\nabc", "400"},
            {"POST /a HTTP/1.1\r\n" H "Content-Length: -3\r\n\r\nabc", "400"},
            {"POST /a HTTP/1.1\r\n" H "Content-Length: 0x3\r\n\r\nabc", "400"},
            {"POST /a HTTP/1.1\r\n" H "Content-Length: 99999999999999999999\r\n\r\nabc", "400"},
            {"POST /a HTTP/1.1\r\n" H "Transfer-Encoding: gzip\r\n\r\n", "501"},
            {"POST /a HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "501"},
            {"POST /a HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                "400"},
            {"POST /a HTTP/1.1\r\n" H "Transfer-Encoding: xchunked\r\n\r\n", "501"},
            {"POST /a HTTP/1.0\r\n" H "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"},
            {"POST /a HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\nzz\r\n", "400"},
            {"POST /a HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n3\r\nabcX\r\n0\r\n\r\n", "400"},
            {"POST /a HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n", "400"},
            {"POST /a HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n3 \r\nabc\r\n0\r\n\r\n", "400"},
            {"POST /a HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n-3\r\nabc\r\n0\r\n\r\n", "400"},
            {"POST /a HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n1000000000000000\r\nabc", "400"},
            {"POST /a HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n0\r\n folded\r\n\r\n", "400"},
        };
        for (size_t i = 0; i < KC_ARRAY_LEN(cases); i++) {
                int fd = dial(&server);
                send_str(fd, cases[i].request);
                char *got = recv_end(fd);
                if (strncmp(got, "HTTP/1.1 ", 9) != 0 || strncmp(got + 9, cases[i].answer, 3) != 0)
                        fail_msg("case %zu (%s) answered: %s", i, cases[i].request, got);
                if (strstr(got + 1, "HTTP/1."))
                        fail_msg("case %zu (%s) went on: %s", i, cases[i].request, got);
                kc_free(got);
        }
}

static void test_header_limits(void **state)
{
        (void)state;
        char request[8000];
        snprintf(request, sizeof(request), "GET /hello HTTP/1.1\r\nHost: a\r\nX: %05000d\r\n\r\n", 1);
        expect_answer_starts(&server, request, "HTTP/1.1 431 Request Header Fields Too Large\r\n");
        /* Many small ones count for more than their bytes. */
        struct kc_buf b = KC_BUF_INIT;
        kc_buf_adds(&b, "GET /hello HTTP/1.1\r\nHost: a\r\n");
        for (int i = 0; i < 200; i++)
                kc_buf_adds(&b, "a: b\r\n");
        kc_buf_adds(&b, "\r\n");
        expect_answer_starts(&server, kc_buf_str(&b), "HTTP/1.1 431 Request Header Fields Too Large\r\n");
        kc_buf_done(&b);
}

static void test_timeouts(void **state)
{
        (void)state;
        expect_answer(&server, "GET /hello HTTP/1.1\r\nHos", "");
        expect_answer(&server, "", "");
        expect_answer_starts(&server, "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc",
            "HTTP/1.1 408 Request Timeout\r\n");
        /* Idle after an answer. */
        expect_answer(&server, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n\r\nhello\n");
}

static void test_drain(void **state)
{
        (void)state;
        int idle = dial(&server), watching = dial(&server);
        struct kc_buf b = KC_BUF_INIT;
        send_str(idle, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
        recv_until(idle, &b, "hello\n");
        kc_buf_reset(&b);
        send_str(watching, "GET /watch HTTP/1.1\r\nHost: a\r\n\r\n");
        recv_until(watching, &b, "first\n");
        assert_int_equal(kc_http_server_connections(server.http), 2);
        kc_http_server_drain(server.http);
        assert_false(recv_some(idle, &b));
        assert_int_equal(atomic_load(&server.closed), 0);
        close(idle);
        close(watching);
        await(&server.closed, 1);
        kc_buf_done(&b);
}

static void test_server_ends_under_load(void **state)
{
        (void)state;
        int fds[20];
        for (size_t i = 0; i < KC_ARRAY_LEN(fds); i++) {
                struct kc_buf b = KC_BUF_INIT;
                fds[i] = dial(&server);
                send_str(fds[i], "GET /watch HTTP/1.1\r\nHost: a\r\n\r\n");
                recv_until(fds[i], &b, "first\n");
                kc_buf_done(&b);
        }
        kc_loop_call(server.loops[0], test_free_server, &server);
        server.http = NULL;
        await(&server.closed, 20);
        for (size_t i = 0; i < KC_ARRAY_LEN(fds); i++)
                close(fds[i]);
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, start, stop)
        const struct CMUnitTest tests[] = {
            TEST(test_complete_reply),
            TEST(test_request_is_described),
            TEST(test_chunked_body),
            TEST(test_pipeline),
            TEST(test_half_closed_peer_gets_its_answers),
            TEST(test_http10_stream_ends_with_the_connection),
            TEST(test_peer_leaves_a_watch),
            TEST(test_abort),
            TEST(test_body_limits),
            TEST(test_refused_before_the_body),
            TEST(test_expect_continue),
            TEST(test_refusals),
            TEST(test_header_limits),
            TEST(test_timeouts),
            TEST(test_drain),
            TEST(test_server_ends_under_load),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
