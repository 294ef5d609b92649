/* The client against our server: multiplexing, streams, uploads, cancelling, errors. */
#include "http_test.h"

#include "base/clock.h"
#include "http/client.h"

enum { STREAMS = 100, PARALLEL = 50, UPLOAD = 1024 * 1024 };

static struct test_server server;
static struct kc_loop *loop;
static struct kc_http_client *client;
static char ca[96];
static struct kc_http_req *watchers[128]; /* on the server's loops; guarded by watch_lock */
static int n_watchers;
static pthread_mutex_t watch_lock = PTHREAD_MUTEX_INITIALIZER;

/* --- The server's side */

static void on_watch_closed(struct kc_http_req *r, void *arg)
{
        (void)r;
        (void)arg;
        atomic_fetch_add(&server.closed, 1);
}

static void on_request(struct kc_http_req *r, void *arg)
{
        (void)arg;
        const char *path = kc_http_req_path(r);
        size_t len;
        const char *body = kc_http_req_body(r, &len);
        if (kc_streq(path, "/watch")) {
                kc_http_on_close(r, on_watch_closed, NULL);
                kc_http_start(r, 200, HEADERS(S("X-Watch"), S("on")));
                struct kc_bytes *b = bytes("start\n");
                assert_int_equal(kc_http_write(r, b), 0);
                kc_bytes_unref(b);
                pthread_mutex_lock(&watch_lock);
                watchers[n_watchers++] = kc_http_req_ref(r);
                pthread_mutex_unlock(&watch_lock);
        } else if (kc_streq(path, "/redirect")) {
                kc_http_reply(r, 302, HEADERS(S("Location"), S("/target")), NULL);
        } else if (kc_streq(path, "/loop")) {
                kc_http_reply(r, 302, HEADERS(S("Location"), S("/loop")), NULL);
        } else if (kc_streq(path, "/silent")) {
                pthread_mutex_lock(&watch_lock);
                watchers[n_watchers++] = kc_http_req_ref(r);
                pthread_mutex_unlock(&watch_lock);
        } else if (kc_streq(path, "/broken")) {
                kc_http_start(r, 200, NULL);
                struct kc_bytes *b = bytes("half");
                assert_int_equal(kc_http_write(r, b), 0);
                kc_bytes_unref(b);
                kc_http_abort(r);
        } else if (kc_streq(path, "/echo")) {
                struct kc_bytes *b = kc_bytes_new(body, len);
                kc_http_reply(r, 200, NULL, b);
                kc_bytes_unref(b);
        } else {
                struct kc_buf b = KC_BUF_INIT;
                kc_buf_addf(&b, "%s %s %s host=%s ua=%s type=%s x=%s len=%s %zu", kc_http_req_method(r), path,
                    kc_http_req_proto(r), kc_http_req_host(r), kc_http_req_header(r, "user-agent"),
                    kc_http_req_header(r, "content-type"), kc_http_req_header(r, "x"),
                    kc_http_req_header(r, "content-length"), len);
                struct kc_bytes *text = kc_bytes_from_buf(&b);
                kc_http_reply(r, kc_streq(path, "/404") ? 404 : 200, HEADERS(S("X-Answer"), S("Yes")), text);
                kc_bytes_unref(text);
        }
}

static void event_to_one(void *arg)
{
        struct kc_http_req *r = arg;
        struct kc_bytes *b = bytes("event\n");
        assert_int_equal(kc_http_write(r, b), 0);
        kc_bytes_unref(b);
        kc_http_req_unref(r);
}

static void finish_one(void *arg)
{
        kc_http_finish(arg);
        kc_http_req_unref(arg);
}

static void each_watcher(void (*fn)(void *))
{
        pthread_mutex_lock(&watch_lock);
        for (int i = 0; i < n_watchers; i++)
                kc_loop_post(kc_http_req_loop(watchers[i]), fn, kc_http_req_ref(watchers[i]));
        pthread_mutex_unlock(&watch_lock);
}

/* --- Setting up */

static struct kc_http_client *new_client(struct kc_http_client_opts o)
{
        struct kc_http_client *c;
        struct kc_error err = KC_ERROR_INIT;
        if (kc_http_client_new(loop, &o, &c, &err) < 0)
                fail_msg("%s", kc_error_message(&err));
        return c;
}

static void free_client(void *arg)
{
        kc_http_client_free(arg);
}

static bool with_tls = true, without_tls = false;

static int start(void **state)
{
        bool tls = *(bool *)*state;
        struct kc_http_server_opts o = {.on_request = on_request, .max_streams = 250};
        test_server_start(&server, o, tls);
        assert_int_equal(kc_loop_new("client", &loop, NULL), 0);
        assert_int_equal(kc_loop_start_thread(loop, NULL), 0);
        snprintf(ca, sizeof(ca), "%s/cert.pem", server.dir);
        client = new_client((struct kc_http_client_opts){.ca_file = tls ? ca : NULL, .user_agent = "test/1"});
        return 0;
}

static int stop(void **state)
{
        (void)state;
        if (client)
                kc_loop_call(loop, free_client, client);
        client = NULL;
        kc_loop_stop(loop);
        kc_loop_join(loop);
        kc_loop_free(loop);
        for (int i = 0; i < n_watchers; i++)
                kc_http_req_unref(watchers[i]);
        n_watchers = 0;
        test_server_stop(&server);
        return 0;
}

static char *url(const char *path)
{
        static _Thread_local char text[4][128];
        static _Thread_local int i;
        i = (i + 1) % 4;
        snprintf(text[i], sizeof(text[i]), "%s://127.0.0.1:%d%s", server.tls ? "https" : "http", server.port, path);
        return text[i];
}

static void expect_do(struct kc_http_client *c, struct kc_http_call_opts o, int code, const char *body)
{
        struct kc_http_response r;
        struct kc_error err = KC_ERROR_INIT;
        if (kc_http_client_do(c, &o, &r, &err) < 0)
                fail_msg("%s", kc_error_message(&err));
        assert_int_equal(r.code, code);
        if (body)
                assert_string_equal(kc_bytes_data(r.body), body);
        kc_http_response_done(&r);
}

static void expect_error(struct kc_http_client *c, struct kc_http_call_opts o, int errnum, const char *part)
{
        struct kc_http_response r;
        struct kc_error err = KC_ERROR_INIT;
        assert_int_equal(kc_http_client_do(c, &o, &r, &err), -errnum);
        if (!strstr(kc_error_message(&err), part))
                assert_string_equal(kc_error_message(&err), part);
        kc_error_done(&err);
}

/* --- Tests */

static void test_methods(void **state)
{
        (void)state;
        char wanted[200];
        snprintf(wanted, sizeof(wanted), "GET /a HTTP/2.0 host=127.0.0.1:%d ua=test/1 type=(null) x=1 len=(null) 0",
            server.port);
        expect_do(
            client, (struct kc_http_call_opts){.url = url("/a"), .headers = HEADERS(S("X"), S("1"))}, 200, wanted);
        struct kc_bytes *b = bytes("body");
        static const char *const methods[] = {"POST", "PUT", "PATCH", "DELETE"};
        for (size_t i = 0; i < KC_ARRAY_LEN(methods); i++) {
                snprintf(wanted, sizeof(wanted),
                    "%s /404 HTTP/2.0 host=127.0.0.1:%d ua=test/1 type=application/json x= len=4 4", methods[i],
                    server.port);
                expect_do(client,
                    (struct kc_http_call_opts){.method = methods[i],
                        .url = url("/404"),
                        .headers = HEADERS(S("Content-Type"), S("application/json"), S("X"), S("")),
                        .body = b},
                    404, wanted);
        }
        kc_bytes_unref(b);
        snprintf(wanted, sizeof(wanted), "POST /a HTTP/2.0 host=127.0.0.1:%d ua=test/1 type=(null) x=(null) len=0 0",
            server.port);
        expect_do(client, (struct kc_http_call_opts){.method = "POST", .url = url("/a")}, 200, wanted);
        snprintf(wanted, sizeof(wanted),
            "DELETE /a HTTP/2.0 host=127.0.0.1:%d ua=test/1 type=(null) x=(null) len=(null) 0", server.port);
        expect_do(client, (struct kc_http_call_opts){.method = "DELETE", .url = url("/a")}, 200, wanted);
        expect_do(client, (struct kc_http_call_opts){.method = "HEAD", .url = url("/a")}, 200, "");
        assert_int_equal(kc_http_server_connections(server.http), 1);
}

static void test_response_headers(void **state)
{
        (void)state;
        struct kc_http_response r;
        struct kc_http_call_opts o = {.url = url("/a")};
        assert_int_equal(kc_http_client_do(client, &o, &r, NULL), 0);
        assert_string_equal(r.headers[0], "x-answer");
        assert_string_equal(r.headers[1], "Yes");
        kc_http_response_done(&r);
        assert_int_equal(
            kc_http_client_start(client,
                &(struct kc_http_call_opts){.url = url("/a"), .headers = HEADERS(S("X"), S("a\r\nY: b"))}, NULL, NULL),
            -EINVAL);
}

static void test_redirects(void **state)
{
        (void)state;
        expect_do(client, (struct kc_http_call_opts){.url = url("/redirect")}, 302, "");
        char wanted[200];
        snprintf(wanted, sizeof(wanted),
            "GET /target HTTP/2.0 host=127.0.0.1:%d ua=test/1 type=(null) x=(null) len=(null) 0", server.port);
        expect_do(client, (struct kc_http_call_opts){.url = url("/redirect"), .follow_redirects = true}, 200, wanted);
        expect_error(client, (struct kc_http_call_opts){.url = url("/loop"), .follow_redirects = true}, ELOOP, "10");
}

struct stream {
        struct kc_http_call *call;
        atomic_int headers, events, done;
        int code, errnum;
};

static void on_stream_headers(struct kc_http_call *call, int code, void *arg)
{
        struct stream *s = arg;
        assert_int_equal(code, 200);
        assert_string_equal(kc_http_call_header(call, "X-Watch"), "on");
        atomic_fetch_add(&s->headers, 1);
}

static int on_stream_data(struct kc_http_call *call, const char *data, size_t len, void *arg)
{
        struct stream *s = arg;
        (void)call;
        for (size_t i = 0; i < len; i++)
                if (data[i] == '\n')
                        atomic_fetch_add(&s->events, 1);
        return 0;
}

static void on_stream_done(
    struct kc_http_call *call, int code, struct kc_bytes *body, const struct kc_error *err, void *arg)
{
        struct stream *s = arg;
        (void)call;
        assert_int_equal(kc_bytes_len(body), 0);
        s->code = code;
        s->errnum = err ? err->errnum : 0;
        atomic_fetch_add(&s->done, 1);
}

static void start_stream(struct stream *s, const char *path, int idle_timeout_ms)
{
        struct kc_http_call_opts o = {.url = url(path),
            .idle_timeout_ms = idle_timeout_ms,
            .on_headers = on_stream_headers,
            .on_data = on_stream_data,
            .on_done = on_stream_done,
            .arg = s};
        assert_int_equal(kc_http_client_start(client, &o, &s->call, NULL), 0);
}

struct many {
        atomic_int done, wrong;
        struct kc_bytes *upload;
};

static void on_upload_done(
    struct kc_http_call *call, int code, struct kc_bytes *body, const struct kc_error *err, void *arg)
{
        struct many *m = arg;
        (void)call;
        if (err)
                fprintf(stderr, "%s\n", kc_error_message(err));
        if (err || code != 200 || kc_bytes_len(body) != kc_bytes_len(m->upload) ||
            memcmp(kc_bytes_data(body), kc_bytes_data(m->upload), kc_bytes_len(body)) != 0)
                atomic_fetch_add(&m->wrong, 1);
        atomic_fetch_add(&m->done, 1);
}

static struct kc_bytes *pattern(size_t len)
{
        struct kc_buf b = KC_BUF_INIT;
        for (size_t i = 0; b.len < len; i++)
                kc_buf_addf(&b, "%zu,", i);
        b.len = len;
        return kc_bytes_from_buf(&b);
}

static void upload_many(int n, size_t len)
{
        struct many m = {.upload = pattern(len)};
        for (int i = 0; i < n; i++) {
                struct kc_http_call_opts o = {
                    .method = "POST", .url = url("/echo"), .body = m.upload, .on_done = on_upload_done, .arg = &m};
                assert_int_equal(kc_http_client_start(client, &o, NULL, NULL), 0);
        }
        await(&m.done, n);
        assert_int_equal(atomic_load(&m.wrong), 0);
        kc_bytes_unref(m.upload);
}

/* What an informer-heavy daemon does: long streams, and requests and uploads beside them. */
static void test_everything_at_once(void **state)
{
        (void)state;
        static struct stream streams[STREAMS];
        memset(streams, 0, sizeof(streams));
        for (int i = 0; i < STREAMS; i++)
                start_stream(&streams[i], "/watch", 0);
        for (int i = 0; i < STREAMS; i++)
                await(&streams[i].events, 1);
        for (int round = 0; round < 5; round++) {
                each_watcher(event_to_one);
                upload_many(PARALLEL, 100);
                upload_many(PARALLEL, 20000);
                for (int i = 0; i < STREAMS; i++)
                        await(&streams[i].events, 2 + round);
        }
        upload_many(10, UPLOAD);
        if (server.tls)
                assert_int_equal(kc_http_server_connections(server.http), 1);
        each_watcher(event_to_one);
        for (int i = 0; i < STREAMS; i++)
                await(&streams[i].events, 7);
        for (int i = 0; i < STREAMS; i += 2)
                kc_http_call_cancel(streams[i].call);
        await(&server.closed, STREAMS / 2);
        each_watcher(finish_one);
        for (int i = 0; i < STREAMS; i++) {
                await(&streams[i].done, 1);
                assert_int_equal(streams[i].code, 200);
                assert_int_equal(streams[i].errnum, i % 2 == 0 ? ECANCELED : 0);
                assert_int_equal(atomic_load(&streams[i].headers), 1);
        }
}

static void test_uploads(void **state)
{
        (void)state;
        for (int i = 0; i < 3; i++)
                upload_many(30, UPLOAD);
}

static atomic_int blocking_done;

static void do_many(void *arg)
{
        for (int i = 0; i < 20; i++)
                expect_do(client, (struct kc_http_call_opts){.url = arg}, 200, NULL);
        atomic_fetch_add(&blocking_done, 1);
}

static void test_blocking_from_threads(void **state)
{
        (void)state;
        char target[128];
        snprintf(target, sizeof(target), "%s", url("/a"));
        atomic_store(&blocking_done, 0);
        for (int i = 0; i < 8; i++)
                assert_int_equal(kc_pool_submit(server.pool, do_many, target), 0);
        await(&blocking_done, 8);
}

static void test_server_connection_closes_while_idle(void **state)
{
        (void)state;
        expect_do(client, (struct kc_http_call_opts){.url = url("/a")}, 200, NULL);
        kc_loop_call(server.loops[0], test_free_server, &server);
        struct kc_http_server_opts o = {.on_request = on_request,
            .loops = server.loops,
            .n_loops = TEST_LOOPS,
            .tls = server.tls,
            .address = "127.0.0.1",
            .port = server.port};
        assert_int_equal(kc_http_server_new(&o, &server.http, NULL), 0);
        expect_do(client, (struct kc_http_call_opts){.url = url("/a")}, 200, NULL);
        upload_many(PARALLEL, 100);
}

static void test_timeouts(void **state)
{
        (void)state;
        expect_error(client, (struct kc_http_call_opts){.url = url("/silent"), .timeout_ms = 100}, ETIMEDOUT,
            "Get \"https://127.0.0.1");
        struct stream s = {0};
        start_stream(&s, "/watch", 200);
        await(&s.done, 1);
        assert_int_equal(s.code, 200);
        assert_int_equal(s.errnum, ETIMEDOUT);
        await(&server.closed, 1);
}

static void test_errors(void **state)
{
        (void)state;
        expect_error(client, (struct kc_http_call_opts){.url = url("/broken")}, ECONNRESET, "");
        expect_error(client, (struct kc_http_call_opts){.url = "https://127.0.0.1:1/"}, ECONNREFUSED,
            "Get \"https://127.0.0.1:1/\": dial tcp 127.0.0.1:1: connect: connection refused");
        expect_error(client, (struct kc_http_call_opts){.url = "file:///etc/passwd"}, EINVAL, "");
        expect_error(client, (struct kc_http_call_opts){.url = "no url"}, EINVAL, "");
        struct kc_http_client *c = new_client((struct kc_http_client_opts){0});
        expect_error(c, (struct kc_http_call_opts){.url = url("/a")}, EACCES, "certificate");
        kc_loop_call(loop, free_client, c);
        c = new_client((struct kc_http_client_opts){.insecure_skip_verify = true, .max_response = 1000});
        expect_do(c, (struct kc_http_call_opts){.url = url("/a")}, 200, NULL);
        struct kc_bytes *big = pattern(1001);
        expect_error(c, (struct kc_http_call_opts){.method = "POST", .url = url("/echo"), .body = big}, EMSGSIZE,
            "response is larger than 1000 bytes");
        kc_bytes_unref(big);
        kc_loop_call(loop, free_client, c);
}

static int refuse_data(struct kc_http_call *call, const char *data, size_t len, void *arg)
{
        (void)call;
        (void)data;
        (void)len;
        (void)arg;
        return -EBADMSG;
}

static void test_reader_refuses(void **state)
{
        (void)state;
        expect_error(client, (struct kc_http_call_opts){.url = url("/watch"), .on_data = refuse_data}, EBADMSG, "");
        await(&server.closed, 1);
}

static void test_server_name(void **state)
{
        (void)state;
        struct kc_http_client *c =
            new_client((struct kc_http_client_opts){.ca_file = ca, .tls_server_name = "localhost", .user_agent = "u"});
        char wanted[200];
        snprintf(wanted, sizeof(wanted), "GET /a HTTP/2.0 host=127.0.0.1:%d ua=u type=(null) x=(null) len=(null) 0",
            server.port);
        expect_do(c, (struct kc_http_call_opts){.url = url("/a")}, 200, wanted);
        kc_loop_call(loop, free_client, c);
        c = new_client((struct kc_http_client_opts){.ca_file = ca, .tls_server_name = "other"});
        expect_error(c, (struct kc_http_call_opts){.url = url("/a")}, EACCES, "other");
        kc_loop_call(loop, free_client, c);
}

static void test_pem_contents(void **state)
{
        (void)state;
        struct kc_buf pem = KC_BUF_INIT;
        assert_int_equal(kc_file_read(ca, 100000, &pem, NULL), 0);
        struct kc_http_client *c = new_client((struct kc_http_client_opts){.ca_pem = pem.data});
        expect_do(c, (struct kc_http_call_opts){.url = url("/a")}, 200, NULL);
        kc_loop_call(loop, free_client, c);
        kc_buf_done(&pem);
}

static void test_http1(void **state)
{
        (void)state;
        struct kc_http_client *c = new_client((struct kc_http_client_opts){.insecure_skip_verify = true, .no_http2 = true});
        char wanted[200];
        snprintf(wanted, sizeof(wanted),
            "GET /a HTTP/1.1 host=127.0.0.1:%d ua=(null) type=(null) x=(null) len=(null) 0", server.port);
        expect_do(c, (struct kc_http_call_opts){.url = url("/a")}, 200, wanted);
        expect_error(c, (struct kc_http_call_opts){.url = url("/broken")}, ECONNRESET, "");
        kc_loop_call(loop, free_client, c);
}

static void test_unix_socket(void **state)
{
        (void)state;
        char path[96];
        snprintf(path, sizeof(path), "%s/sock", server.dir);
        struct kc_http_server *s;
        struct kc_http_server_opts o = {
            .loops = server.loops, .n_loops = TEST_LOOPS, .unix_path = path, .on_request = on_request};
        assert_int_equal(kc_http_server_new(&o, &s, NULL), 0);
        struct kc_http_client *c = new_client((struct kc_http_client_opts){.unix_path = path});
        expect_do(c, (struct kc_http_call_opts){.url = "http://ignored/a"}, 200,
            "GET /a HTTP/1.1 host=ignored ua=(null) type=(null) x=(null) len=(null) 0");
        kc_loop_call(loop, free_client, c);
        struct kc_http_server *old = server.http;
        server.http = s;
        kc_loop_call(server.loops[0], test_free_server, &server);
        server.http = old;
        assert_false(kc_path_exists(path));
}

static void free_from_callback(
    struct kc_http_call *call, int code, struct kc_bytes *body, const struct kc_error *err, void *arg)
{
        (void)call;
        (void)body;
        (void)err;
        assert_int_equal(code, 200);
        kc_http_client_free(client);
        client = NULL;
        atomic_fetch_add((atomic_int *)arg, 1);
}

static void test_free_with_calls_under_way(void **state)
{
        (void)state;
        static struct stream streams[5];
        memset(streams, 0, sizeof(streams));
        for (int i = 0; i < 5; i++)
                start_stream(&streams[i], i < 3 ? "/watch" : "/silent", 0);
        for (int i = 0; i < 3; i++)
                await(&streams[i].events, 1);
        atomic_int freed = 0;
        struct kc_http_call_opts o = {.url = url("/a"), .on_done = free_from_callback, .arg = &freed};
        assert_int_equal(kc_http_client_start(client, &o, NULL, NULL), 0);
        await(&freed, 1);
        for (int i = 0; i < 5; i++) {
                await(&streams[i].done, 1);
                assert_int_equal(streams[i].errnum, ECANCELED);
                assert_int_equal(streams[i].code, i < 3 ? 200 : 0);
        }
}

static void test_cancel_before_the_loop_sees_it(void **state)
{
        (void)state;
        struct stream s = {0};
        for (int i = 1; i <= 50; i++) {
                s.errnum = 0;
                start_stream(&s, "/silent", 0);
                kc_http_call_cancel(s.call);
                await(&s.done, i);
                assert_int_equal(s.errnum, ECANCELED);
        }
}

int main(void)
{
#define TEST(t, tls) cmocka_unit_test_prestate_setup_teardown(t, start, stop, &(tls))
        const struct CMUnitTest tests[] = {
            TEST(test_methods, with_tls),
            TEST(test_response_headers, with_tls),
            TEST(test_redirects, with_tls),
            TEST(test_everything_at_once, with_tls),
            TEST(test_everything_at_once, without_tls),
            TEST(test_uploads, with_tls),
            TEST(test_uploads, without_tls),
            TEST(test_blocking_from_threads, with_tls),
            TEST(test_server_connection_closes_while_idle, with_tls),
            TEST(test_server_connection_closes_while_idle, without_tls),
            TEST(test_timeouts, with_tls),
            TEST(test_errors, with_tls),
            TEST(test_reader_refuses, with_tls),
            TEST(test_server_name, with_tls),
            TEST(test_pem_contents, with_tls),
            TEST(test_http1, with_tls),
            TEST(test_unix_socket, without_tls),
            TEST(test_free_with_calls_under_way, with_tls),
            TEST(test_cancel_before_the_loop_sees_it, with_tls),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
