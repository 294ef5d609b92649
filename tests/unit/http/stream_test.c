/* Upgraded connections, and what happens when a peer does not read or too many come. */
#include "http_test.h"

static struct test_server server;
static atomic_int stream_closed, req_closed, drained, refused, upgrade_error;
static struct kc_http_stream *paused_stream;

static void stream_data(struct kc_http_stream *s, const void *data, size_t len, void *arg)
{
        (void)arg;
        if (len == 5 && memcmp(data, "close", 5) == 0) {
                kc_http_stream_close(s);
                assert_int_equal(kc_http_stream_write(s, "x", 1), -EPIPE);
        } else if (len >= 5 && memcmp(data, "pause", 5) == 0) {
                kc_http_stream_pause(s, true);
                paused_stream = s;
                assert_int_equal(kc_http_stream_write(s, "paused", 6), 0);
        } else if (len >= 5 && memcmp(data, "flood", 5) == 0) {
                char *big = kc_calloc(1, 100000);
                while (kc_http_stream_write(s, big, 100000) == 0)
                        ;
                kc_free(big);
                assert_true(kc_http_stream_queued(s) <= 1000000);
                assert_true(kc_http_stream_queued(s) > 800000);
                atomic_fetch_add(&refused, 1);
        } else {
                assert_int_equal(kc_http_stream_write(s, data, len), 0);
        }
}

static void stream_drained(struct kc_http_stream *s, void *arg)
{
        (void)s;
        (void)arg;
        atomic_fetch_add(&drained, 1);
}

static void stream_closed_fn(struct kc_http_stream *s, void *arg)
{
        (void)s;
        assert_int_equal(atomic_load(&req_closed), atomic_load(&stream_closed) + 1);
        assert_string_equal(arg, "arg");
        atomic_fetch_add(&stream_closed, 1);
}

static void on_req_closed(struct kc_http_req *r, void *arg)
{
        (void)r;
        (void)arg;
        atomic_fetch_add(&req_closed, 1);
}

static void upgrade(struct kc_http_req *r)
{
        static const struct kc_http_stream_cbs cbs = {
            .on_data = stream_data, .on_drain = stream_drained, .on_close = stream_closed_fn};
        struct kc_http_stream *s;
        kc_http_on_close(r, on_req_closed, NULL);
        int err = kc_http_upgrade(r, HEADERS(S("Upgrade"), S("echo")), &cbs, S("arg"), &s);
        if (err == 0)
                assert_int_equal(kc_http_stream_write(s, "hello ", 6), 0);
        else
                reply_text(r, 400, "no upgrade\n");
        atomic_store(&upgrade_error, err);
}

static void upgrade_posted(void *arg)
{
        upgrade(arg);
        kc_http_req_unref(arg);
}

static void upgrade_later(void *arg)
{
        struct kc_http_req *r = arg;
        kc_loop_post(kc_http_req_loop(r), upgrade_posted, r);
}

static void flood(struct kc_http_req *r)
{
        kc_http_on_close(r, on_req_closed, NULL);
        kc_http_start(r, 200, NULL);
        struct kc_buf b = KC_BUF_INIT;
        kc_buf_reserve(&b, 100000);
        memset(b.data, 'x', 100000);
        b.len = 100000;
        struct kc_bytes *bytes = kc_bytes_from_buf(&b);
        int err;
        while ((err = kc_http_write(r, bytes)) == 0)
                ;
        kc_bytes_unref(bytes);
        assert_int_equal(err, -ENOBUFS);
        assert_true(kc_http_queued(r) > 900000 && kc_http_queued(r) <= 1000000);
        atomic_fetch_add(&refused, 1);
        kc_http_abort(r);
}

static void on_request(struct kc_http_req *r, void *arg)
{
        (void)arg;
        const char *path = kc_http_req_path(r);
        if (kc_streq(path, "/upgrade"))
                upgrade(r);
        else if (kc_streq(path, "/upgrade-later"))
                assert_int_equal(kc_pool_submit(server.pool, upgrade_later, kc_http_req_ref(r)), 0);
        else if (kc_streq(path, "/flood"))
                flood(r);
        else
                reply_text(r, 200, "ok\n");
}

static int start(void **state)
{
        struct kc_http_server_opts o = {
            .on_request = on_request, .max_queued_bytes = 1000000, .max_connections = 3, .idle_timeout_ms = 200};
        test_server_start(&server, o, *(bool *)*state);
        atomic_store(&stream_closed, 0);
        atomic_store(&req_closed, 0);
        atomic_store(&drained, 0);
        atomic_store(&refused, 0);
        return 0;
}

static int stop(void **state)
{
        (void)state;
        test_server_stop(&server);
        return 0;
}

#define UPGRADE_HEAD "Host: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"

static void test_echo(void **state)
{
        (void)state;
        static const char *const requests[] = {"GET /upgrade HTTP/1.1\r\n" UPGRADE_HEAD "early",
            "GET /upgrade-later HTTP/1.1\r\n" UPGRADE_HEAD "early",
            "GET /upgrade HTTP/1.1\r\nContent-Length: 0\r\n" UPGRADE_HEAD "early",
            "POST /upgrade HTTP/1.1\r\nContent-Length: 4\r\n" UPGRADE_HEAD "bodyearly"};
        for (size_t i = 0; i < KC_ARRAY_LEN(requests); i++) {
                int fd = dial(&server);
                struct kc_buf b = KC_BUF_INIT;
                send_str(fd, requests[i]);
                recv_until(fd, &b, "hello early");
                assert_memory_equal(b.data, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nDate: ", 55);
                assert_non_null(strstr(b.data, "\r\nConnection: Upgrade\r\n\r\nhello early"));
                kc_buf_reset(&b);
                send_str(fd, "more");
                recv_until(fd, &b, "more");
                assert_true(atomic_load(&drained) > 0);
                assert_int_equal(atomic_load(&stream_closed), (int)i);
                send_str(fd, "close");
                assert_false(recv_some(fd, &b));
                close(fd);
                await(&stream_closed, (int)i + 1);
                kc_buf_done(&b);
        }
}

static void unpause(void *arg)
{
        (void)arg;
        kc_http_stream_pause(paused_stream, false);
}

static void test_pause(void **state)
{
        (void)state;
        int fd = dial(&server);
        struct kc_buf b = KC_BUF_INIT;
        send_str(fd, "GET /upgrade HTTP/1.1\r\n" UPGRADE_HEAD);
        recv_until(fd, &b, "hello ");
        send_str(fd, "pause");
        recv_until(fd, &b, "paused");
        send_str(fd, "after");
        assert_null(strstr(b.data, "after"));
        kc_loop_call(server.loops[0], unpause, NULL); /* the first connection is on the first loop */
        recv_until(fd, &b, "after");
        close(fd);
        await(&stream_closed, 1);
        kc_buf_done(&b);
}

static void test_stream_limit(void **state)
{
        (void)state;
        int fd = dial(&server);
        struct kc_buf b = KC_BUF_INIT;
        send_str(fd, "GET /upgrade HTTP/1.1\r\n" UPGRADE_HEAD);
        recv_until(fd, &b, "hello ");
        send_str(fd, "flood");
        await(&refused, 1);
        close(fd);
        await(&stream_closed, 1);
        kc_buf_done(&b);
}

static void test_no_upgrade(void **state)
{
        (void)state;
        expect_answer_starts(&server, "GET /upgrade HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n",
            "HTTP/1.0 400 Bad Request");
        assert_int_equal(atomic_load(&upgrade_error), -ENOTSUP);
        /* Asked for, not given: the connection goes on as it was. */
        expect_answer_starts(&server,
            "GET /a HTTP/1.1\r\n" UPGRADE_HEAD "GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nok\nHTTP/1.1 200 OK\r\n");
}

static void test_slow_reader(void **state)
{
        (void)state;
        int fd = dial(&server);
        send_str(fd, "GET /flood HTTP/1.1\r\nHost: a\r\n\r\n");
        await(&refused, 1);
        await(&req_closed, 1);
        close(fd);
}

static void test_slow_reader_h2(void **state)
{
        (void)state;
        char command[256];
        snprintf(command, sizeof(command),
            "curl -sk --http2 -o /dev/null -w '%%{http_version}' https://127.0.0.1:%d/flood", server.port);
        kc_free(run_command(command));
        await(&refused, 1);
        await(&req_closed, 1);
}

static void test_max_connections(void **state)
{
        (void)state;
        int fds[3];
        struct kc_buf b = KC_BUF_INIT;
        for (size_t i = 0; i < KC_ARRAY_LEN(fds); i++) {
                fds[i] = dial(&server);
                kc_buf_reset(&b);
                send_str(fds[i], "GET /upgrade HTTP/1.1\r\n" UPGRADE_HEAD);
                recv_until(fds[i], &b, "hello ");
        }
        /* The fourth waits until one has gone. */
        int waiting = dial(&server);
        send_str(waiting, "GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        kc_buf_reset(&b);
        send_str(fds[0], "round trip");
        recv_until(fds[0], &b, "round trip");
        struct pollfd p = {.fd = waiting, .events = POLLIN};
        assert_int_equal(poll(&p, 1, 0), 0);
        assert_int_equal(kc_http_server_connections(server.http), 3);
        close(fds[1]);
        char *got = recv_end(waiting);
        assert_non_null(strstr(got, "ok\n"));
        kc_free(got);
        close(fds[0]);
        close(fds[2]);
        kc_buf_done(&b);
}

static bool with_tls = true, without_tls = false;

int main(void)
{
#define TEST(t, tls) cmocka_unit_test_prestate_setup_teardown(t, start, stop, &(tls))
        const struct CMUnitTest tests[] = {
            TEST(test_echo, without_tls),
            TEST(test_pause, without_tls),
            TEST(test_stream_limit, without_tls),
            TEST(test_no_upgrade, without_tls),
            TEST(test_slow_reader, without_tls),
            TEST(test_slow_reader_h2, with_tls),
            TEST(test_max_connections, without_tls),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
