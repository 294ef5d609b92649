/* The server over HTTP/2: TLS with ALPN through curl, and plain with prior knowledge through frames of our own. */
#include "http_test.h"

#include <nghttp2/nghttp2.h>

static struct test_server server;
static atomic_int requests;

static void on_closed(struct kc_http_req *r, void *arg)
{
        (void)arg;
        atomic_fetch_add(&server.closed, 1);
        kc_http_req_unref(r);
}

static void fill(struct kc_http_req *r, void *arg)
{
        size_t *left = arg;
        struct kc_buf b = KC_BUF_INIT;
        while (*left && kc_http_queued(r) < 100000) {
                kc_buf_reserve(&b, 20000);
                memset(b.data, 'x', 20000);
                b.len = KC_MIN(*left, (size_t)20000);
                *left -= b.len;
                struct kc_bytes *bytes = kc_bytes_from_buf(&b);
                assert_int_equal(kc_http_write(r, bytes), 0);
                kc_bytes_unref(bytes);
        }
        if (!*left)
                kc_http_finish(r);
}

static void on_drained(struct kc_http_req *r, void *arg)
{
        atomic_fetch_add(&server.drained, 1);
        fill(r, arg);
}

static void reply_from_worker(void *arg)
{
        struct kc_http_req *r = arg;
        reply_text(r, 200, "from a worker\n");
        kc_http_req_unref(r);
}

static void on_request(struct kc_http_req *r, void *arg)
{
        (void)arg;
        atomic_fetch_add(&requests, 1);
        const char *path = kc_http_req_path(r);
        size_t len;
        const char *body = kc_http_req_body(r, &len);
        if (kc_streq(path, "/worker")) {
                assert_int_equal(kc_pool_submit(server.pool, reply_from_worker, kc_http_req_ref(r)), 0);
        } else if (kc_streq(path, "/big")) {
                size_t *left = KC_NEW(size_t);
                *left = 10 * 1000 * 1000;
                kc_http_req_set_data(r, left, kc_free);
                kc_http_start(r, 200, NULL);
                kc_http_on_drain(r, on_drained, left);
                fill(r, left);
        } else if (kc_streq(path, "/watch")) {
                kc_http_on_close(r, on_closed, NULL);
                kc_http_req_ref(r);
                kc_http_start(r, 200, NULL);
        } else if (kc_streq(path, "/abort")) {
                kc_http_start(r, 200, NULL);
                kc_http_abort(r);
        } else {
                struct kc_buf b = KC_BUF_INIT;
                kc_buf_addf(&b, "%s %s %s %s x=%s tls=%d %zu:%.20s\n", kc_http_req_method(r), path,
                    kc_http_req_proto(r), kc_http_req_host(r), kc_http_req_header(r, "X-Group"), kc_http_req_is_tls(r),
                    len, body);
                struct kc_bytes *bytes = kc_bytes_from_buf(&b);
                kc_http_reply(r, 200, HEADERS(S("X-Answer"), S("1"), S("Connection"), S("close")), bytes);
                kc_bytes_unref(bytes);
        }
}

static int start(void **state)
{
        struct kc_http_server_opts o = {.on_request = on_request, .max_streams = 50, .max_header_bytes = 8000};
        test_server_start(&server, o, *(bool *)*state);
        atomic_store(&requests, 0);
        return 0;
}

static int stop(void **state)
{
        (void)state;
        test_server_stop(&server);
        return 0;
}

static char *curl(const char *options, const char *path)
{
        char command[512];
        snprintf(command, sizeof(command), "curl -sk $CURL_V --max-time 30 %s %s://127.0.0.1:%d%s 2>&1", options,
            server.tls ? "https" : "http", server.port, path);
        return run_command(command);
}

static void expect_curl(const char *options, const char *path, const char *wanted)
{
        char *got = curl(options, path);
        assert_string_equal(got, wanted);
        kc_free(got);
}

static void test_curl(void **state)
{
        (void)state;
        char wanted[200];
        snprintf(wanted, sizeof(wanted), "POST /a HTTP/2.0 127.0.0.1:%d x=a, b tls=1 5:hello\n", server.port);
        expect_curl("--http2 -H 'X-Group: a' -H 'X-Group: b' -d hello", "/a", wanted);
        snprintf(wanted, sizeof(wanted), "POST /a HTTP/1.1 127.0.0.1:%d x=a, b tls=1 5:hello\n", server.port);
        expect_curl("--http1.1 -H 'X-Group: a' -H 'X-Group: b' -d hello", "/a", wanted);
        expect_curl("--http2", "/worker", "from a worker\n");
        expect_curl(
            "--http2 -o /dev/null -w '%{http_code} %{http_version} %{size_download}'", "/big", "200 2 10000000");
        assert_true(atomic_load(&server.drained) > 10);
        expect_curl(
            "--http1.1 -o /dev/null -w '%{http_code} %{http_version} %{size_download}'", "/big", "200 1.1 10000000");
        expect_curl("--http2 -I -o /dev/null -w '%{http_code} %{size_download}'", "/a", "200 0");
        expect_curl("--http2 -o /dev/null -w '%{http_code} %{errormsg}'", "/abort",
            "000 HTTP/2 stream 1 was not closed cleanly: INTERNAL_ERROR (err 2)");
}

static void test_curl_large_bodies(void **state)
{
        (void)state;
        char path[96], options[256];
        snprintf(path, sizeof(path), "%s/body", server.dir);
        FILE *f = fopen(path, "w");
        assert_non_null(f);
        for (int i = 0; i < 3 * 1024 * 1024; i++)
                fputc('b', f);
        fclose(f);
        char wanted[200];
        snprintf(wanted, sizeof(wanted),
            "PUT /a HTTP/2.0 127.0.0.1:%d x=(null) tls=1 3145728:bbbbbbbbbbbbbbbbbbbb\n200", server.port);
        snprintf(options, sizeof(options), "--http2 -w '%%{http_code}' -T %s", path);
        expect_curl(options, "/a", wanted);
        f = fopen(path, "a");
        fputc('b', f);
        fclose(f);
        expect_curl(options, "/a", "413 Request Entity Too Large413");
        snprintf(options, sizeof(options), "--http1.1 -w '%%{http_code}' -T %s", path);
        expect_curl(options, "/a", "413 Request Entity Too Large413");
}

static void test_plain_http_to_tls(void **state)
{
        (void)state;
        expect_answer(&server, "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n");
}

static void test_prior_knowledge(void **state)
{
        (void)state;
        char wanted[200];
        snprintf(wanted, sizeof(wanted), "GET /a HTTP/2.0 127.0.0.1:%d x=(null) tls=0 0:\n", server.port);
        expect_curl("--http2-prior-knowledge", "/a", wanted);
        /* An upgrade to h2c is not taken. */
        snprintf(wanted, sizeof(wanted), "GET /a HTTP/1.1 127.0.0.1:%d x=(null) tls=0 0:\n", server.port);
        expect_curl("--http2", "/a", wanted);
}

/* --- Frames of our own */

struct peer {
        int fd;
        nghttp2_session *session;
        int goaways;
        uint32_t goaway_code;
        int closed;
        uint32_t close_code;
        int last_status;
        int32_t last_goaway_stream;
        int failed; /* streams closed with an error, statuses other than 200 */
        size_t received;
};

static ssize_t peer_send(nghttp2_session *s, const uint8_t *data, size_t len, int flags, void *arg)
{
        struct peer *p = arg;
        (void)s;
        (void)flags;
        send_all(p->fd, data, len);
        return (ssize_t)len;
}

static int peer_on_frame(nghttp2_session *s, const nghttp2_frame *f, void *arg)
{
        struct peer *p = arg;
        (void)s;
        if (f->hd.type == NGHTTP2_GOAWAY) {
                p->goaways++;
                p->goaway_code = f->goaway.error_code;
                p->last_goaway_stream = f->goaway.last_stream_id;
        }
        return 0;
}

static int peer_on_header(nghttp2_session *s, const nghttp2_frame *f, const uint8_t *name, size_t name_len,
    const uint8_t *value, size_t value_len, uint8_t flags, void *arg)
{
        struct peer *p = arg;
        (void)s;
        (void)f;
        (void)value_len;
        (void)flags;
        if (name_len == 7 && memcmp(name, ":status", 7) == 0)
                p->last_status = atoi((const char *)value);
        p->failed += p->last_status != 200;
        return 0;
}

static int peer_on_close(nghttp2_session *s, int32_t stream, uint32_t code, void *arg)
{
        struct peer *p = arg;
        (void)s;
        (void)stream;
        p->closed++;
        p->close_code = code;
        p->failed += code != 0;
        return 0;
}

static int peer_on_data(nghttp2_session *s, uint8_t flags, int32_t stream, const uint8_t *data, size_t len, void *arg)
{
        struct peer *p = arg;
        (void)s;
        (void)flags;
        (void)stream;
        (void)data;
        p->received += len;
        return 0;
}

static void peer_init(struct peer *p)
{
        memset(p, 0, sizeof(*p));
        p->fd = dial(&server);
        nghttp2_session_callbacks *cb;
        assert_int_equal(nghttp2_session_callbacks_new(&cb), 0);
        nghttp2_session_callbacks_set_send_callback(cb, peer_send);
        nghttp2_session_callbacks_set_on_frame_recv_callback(cb, peer_on_frame);
        nghttp2_session_callbacks_set_on_header_callback(cb, peer_on_header);
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, peer_on_data);
        nghttp2_session_callbacks_set_on_stream_close_callback(cb, peer_on_close);
        assert_int_equal(nghttp2_session_client_new(&p->session, cb, p), 0);
        nghttp2_session_callbacks_del(cb);
        assert_int_equal(nghttp2_submit_settings(p->session, 0, NULL, 0), 0);
}

static void peer_done(struct peer *p)
{
        nghttp2_session_del(p->session);
        if (p->fd >= 0)
                close(p->fd);
}

/* Receives and answers until the condition holds or the server closes; true: it holds. */
#define PEER_UNTIL(p, condition)                                                                                       \
        ({                                                                                                             \
                while (!(condition) && peer_step(p))                                                                   \
                        ;                                                                                              \
                (condition);                                                                                           \
        })

static bool peer_step(struct peer *p)
{
        struct kc_buf b = KC_BUF_INIT;
        assert_int_equal(nghttp2_session_send(p->session), 0);
        bool open = recv_some(p->fd, &b);
        if (open)
                nghttp2_session_mem_recv(p->session, (uint8_t *)b.data, b.len);
        nghttp2_session_send(p->session);
        kc_buf_done(&b);
        return open;
}

#define NV(n, v)                                                                                                       \
        {                                                                                                              \
                (uint8_t *)(uintptr_t)(n), (uint8_t *)(uintptr_t)(v), strlen(n), strlen(v), 0                          \
        }

static int32_t peer_get(struct peer *p, const char *path)
{
        nghttp2_nv nv[] = {NV(":method", "GET"), NV(":scheme", "http"), NV(":authority", "a"), NV(":path", path)};
        int32_t id = nghttp2_submit_request(p->session, NULL, nv, KC_ARRAY_LEN(nv), NULL, NULL);
        assert_true(id > 0);
        return id;
}

static void test_drain(void **state)
{
        (void)state;
        struct peer p, idle;
        peer_init(&p);
        peer_init(&idle);
        peer_get(&p, "/watch");
        assert_true(PEER_UNTIL(&p, p.last_status == 200));
        peer_get(&idle, "/a");
        assert_true(PEER_UNTIL(&idle, idle.closed == 1));
        kc_http_server_drain(server.http);
        assert_true(PEER_UNTIL(&p, p.goaways == 2));
        assert_int_equal(p.goaway_code, NGHTTP2_NO_ERROR);
        assert_int_equal(p.last_goaway_stream, 1);
        assert_int_equal(p.closed, 0);
        assert_false(PEER_UNTIL(&idle, false)); /* closed by the server */
        assert_int_equal(nghttp2_submit_rst_stream(p.session, 0, 1, NGHTTP2_CANCEL), 0);
        assert_false(PEER_UNTIL(&p, false));
        await(&server.closed, 1);
        peer_done(&p);
        peer_done(&idle);
}

static void test_rapid_reset(void **state)
{
        (void)state;
        struct peer p;
        peer_init(&p);
        for (int i = 0; i < 3000 && p.goaways == 0; i++) {
                int32_t id = peer_get(&p, "/watch");
                assert_int_equal(nghttp2_session_send(p.session), 0);
                nghttp2_submit_rst_stream(p.session, 0, id, NGHTTP2_CANCEL);
                assert_int_equal(nghttp2_session_send(p.session), 0);
        }
        PEER_UNTIL(&p, p.goaways > 0); /* or the reset has overtaken it */
        if (p.goaways)
                assert_int_equal(p.goaway_code, NGHTTP2_ENHANCE_YOUR_CALM);
        assert_true(atomic_load(&requests) <= 1100);
        await(&server.closed, atomic_load(&requests));
        peer_done(&p);
}

static void test_bad_requests(void **state)
{
        (void)state;
        struct peer p;
        peer_init(&p);
        peer_get(&p, "nopath");
        assert_true(PEER_UNTIL(&p, p.closed == 1));
        assert_int_equal(atomic_load(&requests), 0);
        char *large = kc_asprintf("/%09000d", 1);
        peer_get(&p, large);
        kc_free(large);
        assert_true(PEER_UNTIL(&p, p.closed == 2));
        assert_int_equal(p.last_status, 431);
        peer_get(&p, "/a");
        assert_true(PEER_UNTIL(&p, p.closed == 3));
        assert_int_equal(p.last_status, 200);
        peer_done(&p);
        /* Garbage behind the preface ends the connection with GOAWAY. */
        int fd = dial(&server);
        send_str(fd, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        send_all(fd, "\x00\x00\x01\x00\x00\x00\x00\x00\x01x", 10);
        char *got = recv_end(fd);
        kc_free(got);
        fd = dial(&server);
        send_str(fd, "PRI * HTTP/1.1\r\n\r\n");
        got = recv_end(fd);
        kc_free(got);
}

static void test_stream_limit(void **state)
{
        (void)state;
        struct peer p;
        peer_init(&p);
        peer_get(&p, "/a");
        assert_true(PEER_UNTIL(&p, p.closed == 1));
        assert_int_equal(nghttp2_session_get_remote_settings(p.session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS), 50);
        for (int i = 0; i < 60; i++) /* nghttp2 keeps back what is over the limit */
                peer_get(&p, "/watch");
        assert_int_equal(nghttp2_session_send(p.session), 0);
        await(&requests, 51);
        kc_http_server_drain(server.http);
        assert_true(PEER_UNTIL(&p, p.goaways == 2));
        peer_done(&p);
        await(&server.closed, 50);
}

static ssize_t read_upload(nghttp2_session *s, int32_t stream, uint8_t *buf, size_t len, uint32_t *flags,
    nghttp2_data_source *source, void *arg)
{
        size_t *left = source->ptr;
        (void)s;
        (void)stream;
        (void)arg;
        size_t n = KC_MIN(len, *left);
        memset(buf, 'u', n);
        *left -= n;
        if (*left == 0)
                *flags |= NGHTTP2_DATA_FLAG_EOF;
        return (ssize_t)n;
}

/* Watches, small requests, large answers and uploads at once. */
static void test_multiplexing(void **state)
{
        (void)state;
        enum { WATCHES = 20, GETS = 50, BIG = 2, UPLOADS = 10, UPLOAD = 1024 * 1024 };
        struct peer p;
        size_t left[UPLOADS];
        nghttp2_nv post[] = {NV(":method", "POST"), NV(":scheme", "http"), NV(":authority", "a"), NV(":path", "/a")};
        peer_init(&p);
        peer_get(&p, "/a");
        assert_true(PEER_UNTIL(&p, p.closed == 1));
        for (int i = 0; i < WATCHES; i++)
                peer_get(&p, "/watch");
        for (int i = 0; i < UPLOADS; i++) {
                left[i] = UPLOAD;
                nghttp2_data_provider body = {.source.ptr = &left[i], .read_callback = read_upload};
                assert_true(nghttp2_submit_request(p.session, NULL, post, KC_ARRAY_LEN(post), &body, NULL) > 0);
        }
        for (int i = 0; i < GETS; i++)
                peer_get(&p, i < BIG ? "/big" : "/worker");
        assert_true(PEER_UNTIL(&p, p.closed == 1 + UPLOADS + GETS));
        assert_int_equal(p.failed, 0);
        assert_true(p.received > BIG * 10 * 1000 * 1000);
        assert_int_equal(atomic_load(&server.closed), 0);
        assert_int_equal(kc_http_server_connections(server.http), 1);
        kc_loop_call(server.loops[0], test_free_server, &server);
        server.http = NULL;
        assert_true(PEER_UNTIL(&p, p.goaways == 1));
        await(&server.closed, WATCHES);
        peer_done(&p);
}

static bool with_tls = true, without_tls = false;

int main(void)
{
#define TEST(t, tls) cmocka_unit_test_prestate_setup_teardown(t, start, stop, &(tls))
        const struct CMUnitTest tests[] = {
            TEST(test_curl, with_tls),
            TEST(test_curl_large_bodies, with_tls),
            TEST(test_plain_http_to_tls, with_tls),
            TEST(test_prior_knowledge, without_tls),
            TEST(test_multiplexing, without_tls),
            TEST(test_drain, without_tls),
            TEST(test_rapid_reset, without_tls),
            TEST(test_bad_requests, without_tls),
            TEST(test_stream_limit, without_tls),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
