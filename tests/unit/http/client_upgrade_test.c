/* Upgrades by the client: the raw stream of a 101, and answers that are none. */
#include "http_test.h"

#include "http/client.h"

enum { BIG = 3000000 };

static struct test_server server;
static struct kc_loop *loop;
static struct kc_http_client *client;

/* --- The server: echoes, "bye" ends the stream */

static void echo_data(struct kc_http_stream *s, const void *data, size_t len, void *arg)
{
        (void)arg;
        if (len == 3 && memcmp(data, "bye", 3) == 0) {
                assert_int_equal(kc_http_stream_write(s, "good bye", 8), 0);
                kc_http_stream_close(s);
                return;
        }
        assert_int_equal(kc_http_stream_write(s, data, len), 0);
}

static void echo_closed(struct kc_http_stream *s, void *arg)
{
        (void)s;
        (void)arg;
        atomic_fetch_add(&server.closed, 1);
}

static void on_request(struct kc_http_req *r, void *arg)
{
        (void)arg;
        static const struct kc_http_stream_cbs cbs = {.on_data = echo_data, .on_close = echo_closed};
        struct kc_http_stream *s;
        assert_string_equal(kc_http_req_proto(r), "HTTP/1.1");
        if (kc_streq(kc_http_req_path(r), "/echo")) {
                assert_string_equal(kc_http_req_header(r, "connection"), "Upgrade");
                assert_string_equal(kc_http_req_header(r, "upgrade"), "echo/1");
                assert_int_equal(kc_http_upgrade(r, HEADERS(S("Upgrade"), S("echo/1")), &cbs, NULL, &s), 0);
                assert_int_equal(kc_http_stream_write(s, "hello ", 6), 0); /* right behind the head */
        } else {
                reply_text(r, 403, "no way");
        }
}

/* --- The client's side */

struct peer {
        struct kc_http_stream *stream;
        struct kc_buf in; /* on the loop */
        atomic_int received, drained, paused, closed, done;
        atomic_int code, errnum;
        char body[64];
        bool leave, pause, free_client;
};

static void on_data(struct kc_http_stream *s, const void *data, size_t len, void *arg)
{
        struct peer *p = arg;
        assert_int_equal(atomic_load(&p->done), 1);
        kc_buf_add(&p->in, data, len);
        atomic_fetch_add(&p->received, (int)len);
        if (p->pause) {
                kc_http_stream_pause(s, true);
                atomic_fetch_add(&p->paused, 1);
        }
}

static void on_drain(struct kc_http_stream *s, void *arg)
{
        struct peer *p = arg;
        assert_int_equal(kc_http_stream_queued(s), 0);
        atomic_fetch_add(&p->drained, 1);
}

static void on_close(struct kc_http_stream *s, void *arg)
{
        struct peer *p = arg;
        assert_int_equal(kc_http_stream_write(s, "x", 1), -EPIPE);
        p->stream = NULL;
        atomic_fetch_add(&p->closed, 1);
}

static void on_headers(struct kc_http_call *call, int code, void *arg)
{
        static const struct kc_http_stream_cbs cbs = {.on_data = on_data, .on_drain = on_drain, .on_close = on_close};
        struct peer *p = arg;
        if (code == 101 && !p->leave) {
                assert_string_equal(kc_http_call_header(call, "Upgrade"), "echo/1");
                p->stream = kc_http_call_take_stream(call, &cbs, p);
                assert_non_null(p->stream);
                assert_null(kc_http_call_take_stream(call, &cbs, p));
        } else {
                assert_true(code == 101 || !kc_http_call_take_stream(call, &cbs, p));
        }
}

static void on_done(struct kc_http_call *call, int code, struct kc_bytes *body, const struct kc_error *err, void *arg)
{
        struct peer *p = arg;
        (void)call;
        atomic_store(&p->code, code);
        atomic_store(&p->errnum, err ? err->errnum : 0);
        snprintf(p->body, sizeof(p->body), "%s", kc_bytes_data(body));
        atomic_fetch_add(&p->done, 1);
        if (p->free_client)
                kc_http_client_free(KC_TAKE(client));
}

static void start_call(struct peer *p, const char *path)
{
        char url[96];
        snprintf(url, sizeof(url), "%s://127.0.0.1:%d%s", server.tls ? "https" : "http", server.port, path);
        struct kc_http_call_opts o = {.method = "POST",
            .url = url,
            .headers = HEADERS(S("Upgrade"), S("echo/1")),
            .upgrade = true,
            .timeout_ms = TEST_TIMEOUT_MS,
            .on_headers = on_headers,
            .on_done = on_done,
            .arg = p};
        assert_int_equal(kc_http_client_start(client, &o, NULL, NULL), 0);
        await(&p->done, 1);
}

static void open_stream(struct peer *p)
{
        start_call(p, "/echo");
        assert_int_equal(atomic_load(&p->code), 101);
        assert_int_equal(atomic_load(&p->errnum), 0);
        await(&p->received, 6);
        assert_string_equal(kc_buf_str(&p->in), "hello ");
}

static void say_world(void *arg)
{
        struct peer *p = arg;
        assert_int_equal(kc_http_stream_write(p->stream, "wor", 3), 0);
        assert_int_equal(kc_http_stream_write(p->stream, "ld", 2), 0);
}

static void say_bye(void *arg)
{
        struct peer *p = arg;
        assert_int_equal(kc_http_stream_write(p->stream, "bye", 3), 0);
}

static void write_last_words(void *arg)
{
        struct peer *p = arg;
        assert_int_equal(kc_http_stream_write(p->stream, "last", 4), 0);
        kc_http_stream_close(p->stream);
        assert_int_equal(kc_http_stream_write(p->stream, "x", 1), -EPIPE);
}

static void write_much(void *arg)
{
        struct peer *p = arg;
        p->pause = true;
        char *big = kc_calloc(1, 5000000);
        memset(big, 'b', BIG);
        assert_int_equal(kc_http_stream_write(p->stream, big, 5000000), -ENOBUFS);
        assert_int_equal(kc_http_stream_write(p->stream, big, BIG), 0);
        assert_int_equal(kc_http_stream_queued(p->stream), BIG);
        assert_int_equal(kc_http_stream_write(p->stream, big, BIG), -ENOBUFS);
        kc_free(big);
}

static void resume(void *arg)
{
        struct peer *p = arg;
        p->pause = false;
        kc_http_stream_pause(p->stream, false);
}

static void free_client(void *arg)
{
        (void)arg;
        kc_http_client_free(KC_TAKE(client));
}

/* --- Tests */

static bool with_tls = true, without_tls = false;

static int set_up(void **state)
{
        bool tls = *(bool *)*state;
        test_server_start(
            &server, (struct kc_http_server_opts){.on_request = on_request, .max_queued_bytes = 8 << 20}, tls);
        assert_int_equal(kc_loop_new("client", &loop, NULL), 0);
        assert_int_equal(kc_loop_start_thread(loop, NULL), 0);
        struct kc_http_client_opts o = {.insecure_skip_verify = true};
        assert_int_equal(kc_http_client_new(loop, &o, &client, NULL), 0);
        return 0;
}

static int tear_down(void **state)
{
        (void)state;
        kc_loop_call(loop, free_client, NULL);
        kc_loop_stop(loop);
        kc_loop_join(loop);
        kc_loop_free(loop);
        test_server_stop(&server);
        return 0;
}

static void test_both_ways(void **state)
{
        (void)state;
        struct peer p = {0};
        open_stream(&p);
        kc_loop_call(loop, say_world, &p);
        await(&p.received, 11);
        assert_string_equal(kc_buf_str(&p.in), "hello world");
        await(&p.drained, 1);
        kc_loop_call(loop, say_bye, &p);
        await(&p.closed, 1);
        assert_string_equal(kc_buf_str(&p.in), "hello worldgood bye");
        await(&server.closed, 1);
        kc_buf_done(&p.in);
}

static void test_closing(void **state)
{
        (void)state;
        struct peer p = {0};
        open_stream(&p);
        kc_loop_call(loop, write_last_words, &p);
        await(&p.closed, 1);
        await(&server.closed, 1);
        kc_buf_done(&p.in);
}

static void test_back_pressure(void **state)
{
        (void)state;
        struct peer p = {0};
        open_stream(&p);
        kc_loop_call(loop, write_much, &p);
        await(&p.drained, 1);
        await(&p.paused, 1);
        int got = atomic_load(&p.received);
        assert_true(got > 6 && got < BIG); /* the rest waits at the server */
        kc_loop_call(loop, resume, &p);
        await(&p.received, 6 + BIG);
        kc_loop_call(loop, write_last_words, &p);
        await(&p.closed, 1);
        for (size_t i = 6; i < 6 + BIG; i++)
                assert_int_equal(p.in.data[i], 'b');
        kc_buf_done(&p.in);
}

static void test_refused(void **state)
{
        (void)state;
        struct peer p = {0};
        start_call(&p, "/no");
        assert_int_equal(atomic_load(&p.code), 403);
        assert_int_equal(atomic_load(&p.errnum), 0);
        assert_string_equal(p.body, "no way");
}

static void test_not_taken(void **state)
{
        (void)state;
        struct peer p = {.leave = true};
        start_call(&p, "/echo");
        assert_int_equal(atomic_load(&p.code), 101);
        await(&server.closed, 1);
}

static void test_client_goes(void **state)
{
        (void)state;
        struct peer p = {0}, q = {.free_client = true};
        open_stream(&p);
        start_call(&q, "/echo");
        await(&p.closed, 1);
        await(&q.closed, 1);
        await(&server.closed, 2);
        kc_buf_done(&p.in);
        kc_buf_done(&q.in);
}

int main(void)
{
#define TEST(t, tls) cmocka_unit_test_prestate_setup_teardown(t, set_up, tear_down, &(tls))
        const struct CMUnitTest tests[] = {
            TEST(test_both_ways, with_tls),
            TEST(test_both_ways, without_tls),
            TEST(test_closing, with_tls),
            TEST(test_closing, without_tls),
            TEST(test_back_pressure, with_tls),
            TEST(test_back_pressure, without_tls),
            TEST(test_refused, with_tls),
            TEST(test_not_taken, with_tls),
            TEST(test_client_goes, with_tls),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
