/* What a peer gets that passes a limit of the server, and that the server goes on: peers that are slow or do not read,
 * floods of HTTP/2 frames, too many connections. Frames are written by hand, as an attacker would. */
#include "http_test.h"

#include <nghttp2/nghttp2.h>

static struct test_server server;

static void on_closed(struct kc_http_req *r, void *arg)
{
        (void)arg;
        atomic_fetch_add(&server.closed, 1);
        kc_http_req_unref(r);
}

static void reply_big(struct kc_http_req *r)
{
        enum { BIG = 8 * 1024 * 1024 };
        struct kc_buf b = KC_BUF_INIT;
        char *fill = kc_malloc(BIG);
        memset(fill, 'b', BIG);
        kc_buf_add(&b, fill, BIG);
        kc_free(fill);
        struct kc_bytes *body = kc_bytes_from_buf(&b);
        kc_http_on_close(kc_http_req_ref(r), on_closed, NULL);
        kc_http_reply(r, 200, NULL, body);
        kc_bytes_unref(body);
}

static void on_request(struct kc_http_req *r, void *arg)
{
        (void)arg;
        const char *path = kc_http_req_path(r);
        if (kc_streq(path, "/big")) {
                reply_big(r);
        } else if (kc_streq(path, "/watch")) {
                kc_http_on_close(kc_http_req_ref(r), on_closed, NULL);
                kc_http_start(r, 200, NULL);
        } else {
                reply_text(r, 200, "hello\n");
        }
}

static int start(void **state)
{
        struct kc_http_server_opts o = *(struct kc_http_server_opts *)*state;
        o.on_request = on_request;
        test_server_start(&server, o, false);
        return 0;
}

static int stop(void **state)
{
        (void)state;
        test_server_stop(&server);
        return 0;
}

#define HELLO "GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

static void expect_goes_on(void)
{
        expect_answer(&server, HELLO,
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello\n");
}

/* --- Slow peers */

/* Each piece comes before the idle timeout, the whole never. */
static void test_slow_body(void **state)
{
        (void)state;
        int fd = dial(&server);
        send_str(fd, "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
        struct pollfd p = {.fd = fd, .events = POLLIN};
        while (poll(&p, 1, 20) == 0)
                send_str(fd, "x");
        char *got = recv_end(fd);
        assert_non_null(strstr(got, "HTTP/1.1 408 Request Timeout\r\n"));
        kc_free(got);
        expect_goes_on();
}

static void test_slow_head(void **state)
{
        (void)state;
        int fd = dial(&server);
        send_str(fd, "GET / HTTP/1.1\r\nHost: a\r\n");
        struct pollfd p = {.fd = fd, .events = POLLIN};
        while (poll(&p, 1, 20) == 0)
                send_str(fd, "X: y\r\n");
        char *got = recv_end(fd);
        assert_string_equal(got, "");
        kc_free(got);
        expect_goes_on();
}

static void test_answer_is_not_read(void **state)
{
        (void)state;
        int fd = dial(&server);
        send_str(fd, "GET /big HTTP/1.1\r\nHost: a\r\n\r\n");
        await(&server.closed, 1);
        close(fd);
        expect_goes_on();
}

/* --- Frames */

static void put_frame(struct kc_buf *b, uint8_t type, uint8_t flags, uint32_t stream, const void *payload, size_t len)
{
        const uint8_t head[9] = {(uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len, type, flags,
            (uint8_t)(stream >> 24), (uint8_t)(stream >> 16), (uint8_t)(stream >> 8), (uint8_t)stream};
        kc_buf_add(b, head, sizeof(head));
        kc_buf_add(b, payload, len);
}

/* Indexed :method GET, :scheme http, literal :path and :authority. */
#define REQUEST(path)                                                                                                  \
        "\x82\x86\x04" path "\x01\x01"                                                                                 \
        "a"
#define GET_HELLO REQUEST("\x06/hello")
#define GET_BIG REQUEST("\x04/big")
#define GET_WATCH REQUEST("\x06/watch")

static void put_get(struct kc_buf *b, uint32_t stream, const char *block, uint8_t flags)
{
        put_frame(b, NGHTTP2_HEADERS, flags, stream, block, strlen(block));
}

/* A connection that has said hello. */
static int h2_dial(const void *settings, size_t len)
{
        int fd = dial(&server);
        struct kc_buf b = KC_BUF_INIT;
        kc_buf_adds(&b, NGHTTP2_CLIENT_MAGIC);
        put_frame(&b, NGHTTP2_SETTINGS, 0, 0, settings, len);
        send_all(fd, b.data, b.len);
        kc_buf_done(&b);
        return fd;
}

/* The first frame of that type among those received, its payload; NULL: there is none. */
static const uint8_t *find_frame(const struct kc_buf *b, uint8_t type)
{
        size_t at = 0;
        while (at + 9 <= b->len) {
                const uint8_t *f = (const uint8_t *)b->data + at;
                size_t len = (size_t)f[0] << 16 | (size_t)f[1] << 8 | f[2];
                if (f[3] == type && at + 9 + len <= b->len)
                        return f + 9;
                at += 9 + len;
        }
        return NULL;
}

static uint32_t u32_at(const uint8_t *p)
{
        return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Sends the frames again and again, reading the answers to all, until the server says goodbye. */
static void expect_calm(const struct kc_buf *frames, size_t answer_len)
{
        int fd = h2_dial(NULL, 0);
        struct kc_buf got = KC_BUF_INIT;
        size_t wanted = 0;
        bool open = true;
        while (open && !find_frame(&got, NGHTTP2_GOAWAY)) {
                send_all(fd, frames->data, frames->len);
                for (wanted += answer_len; open && got.len < wanted;)
                        open = recv_some(fd, &got);
        }
        const uint8_t *goaway = find_frame(&got, NGHTTP2_GOAWAY);
        assert_non_null(goaway);
        assert_int_equal(u32_at(goaway + 4), NGHTTP2_ENHANCE_YOUR_CALM);
        kc_buf_done(&got);
        close(fd);
        expect_goes_on();
}

static void test_ping_flood(void **state)
{
        (void)state;
        struct kc_buf b = KC_BUF_INIT;
        for (int i = 0; i < 100; i++)
                put_frame(&b, NGHTTP2_PING, 0, 0, "12345678", 8);
        expect_calm(&b, b.len);
        kc_buf_done(&b);
}

static void test_settings_flood(void **state)
{
        (void)state;
        struct kc_buf b = KC_BUF_INIT;
        for (int i = 0; i < 100; i++)
                put_frame(&b, NGHTTP2_SETTINGS, 0, 0, NULL, 0);
        expect_calm(&b, b.len);
        kc_buf_done(&b);
}

static void test_empty_data_flood(void **state)
{
        (void)state;
        struct kc_buf b = KC_BUF_INIT;
        int fd = h2_dial(NULL, 0);
        put_get(&b, 1, GET_HELLO, NGHTTP2_FLAG_END_HEADERS);
        send_all(fd, b.data, b.len);
        kc_buf_reset(&b);
        for (int i = 0; i < 20000; i++)
                put_frame(&b, NGHTTP2_DATA, 0, 1, NULL, 0);
        send_all(fd, b.data, b.len);
        kc_buf_reset(&b);
        while (!find_frame(&b, NGHTTP2_GOAWAY) && recv_some(fd, &b))
                ;
        assert_non_null(find_frame(&b, NGHTTP2_GOAWAY));
        assert_int_equal(u32_at(find_frame(&b, NGHTTP2_GOAWAY) + 4), NGHTTP2_ENHANCE_YOUR_CALM);
        kc_buf_done(&b);
        close(fd);
        expect_goes_on();
}

/* Nothing is read: the answers to pings would pile up. */
static void test_unread_acks(void **state)
{
        (void)state;
        struct kc_buf b = KC_BUF_INIT;
        int fd = h2_dial(NULL, 0);
        for (int i = 0; i < 1000; i++)
                put_frame(&b, NGHTTP2_PING, 0, 0, "12345678", 8);
        struct pollfd p = {.fd = fd, .events = POLLRDHUP};
        while (poll(&p, 1, 0) == 0)
                send_all(fd, b.data, b.len); /* fails in the end; it cannot block forever, as the server reads */
        kc_buf_done(&b);
        close(fd);
        expect_goes_on();
}

/* Streams that the server has to reset: no window is that large. */
static void test_made_to_reset(void **state)
{
        (void)state;
        struct kc_buf b = KC_BUF_INIT, got = KC_BUF_INIT;
        int fd = h2_dial(NULL, 0);
        for (uint32_t id = 1; id < 6000; id += 2) {
                put_get(&b, id, GET_WATCH, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM);
                put_frame(&b, NGHTTP2_WINDOW_UPDATE, 0, id, "\x7f\xff\xff\xff", 4);
        }
        send_all(fd, b.data, b.len);
        while (!find_frame(&got, NGHTTP2_GOAWAY) && recv_some(fd, &got))
                ;
        assert_non_null(find_frame(&got, NGHTTP2_GOAWAY));
        assert_int_equal(u32_at(find_frame(&got, NGHTTP2_GOAWAY) + 4), NGHTTP2_ENHANCE_YOUR_CALM);
        kc_buf_done(&b);
        kc_buf_done(&got);
        close(fd);
        expect_goes_on();
}

static void test_continuation_flood(void **state)
{
        (void)state;
        struct kc_buf b = KC_BUF_INIT, got = KC_BUF_INIT;
        int fd = h2_dial(NULL, 0);
        put_get(&b, 1, GET_HELLO, 0);
        for (int i = 0; i < 1000; i++)
                put_frame(&b, NGHTTP2_CONTINUATION, 0, 1,
                    "\x00\x01"
                    "x\x01"
                    "y",
                    5);
        send_all(fd, b.data, b.len);
        while (recv_some(fd, &got))
                ;
        assert_null(find_frame(&got, NGHTTP2_HEADERS)); /* never a request */
        kc_buf_done(&b);
        kc_buf_done(&got);
        close(fd);
        expect_goes_on();
}

/* A field of 3,500 bytes goes to the table; each byte afterwards is that field again: 16 KiB would be 50 MiB. */
static void test_hpack_bomb(void **state)
{
        (void)state;
        struct kc_buf block = KC_BUF_INIT, b = KC_BUF_INIT, got = KC_BUF_INIT;
        kc_buf_add(&block, GET_HELLO, strlen(GET_HELLO));
        kc_buf_add(&block,
            "\x40\x01"
            "x\x7f\xad\x1a",
            6); /* 127 + 0x2d + 0x1a * 128 = 3500 */
        for (int i = 0; i < 3500; i++)
                kc_buf_addc(&block, 'v');
        for (int i = 0; i < 12000; i++)
                kc_buf_addc(&block, '\xbe');
        put_frame(&b, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, 1, block.data, block.len);
        int fd = h2_dial(NULL, 0);
        send_all(fd, b.data, b.len);
        while (!find_frame(&got, NGHTTP2_HEADERS) && recv_some(fd, &got))
                ;
        const uint8_t *headers = find_frame(&got, NGHTTP2_HEADERS);
        assert_non_null(headers);
        /* ":status: 431", a literal with an indexed name, in Huffman code or not. */
        nghttp2_hd_inflater *inflater;
        nghttp2_nv nv;
        int flags = 0;
        assert_int_equal(nghttp2_hd_inflate_new(&inflater), 0);
        while (!(flags & NGHTTP2_HD_INFLATE_EMIT)) {
                ssize_t n = nghttp2_hd_inflate_hd2(inflater, &nv, &flags, headers, 32, 0);
                assert_true(n >= 0);
                headers += n;
        }
        assert_string_equal((char *)nv.name, ":status");
        assert_string_equal((char *)nv.value, "431");
        nghttp2_hd_inflate_del(inflater);
        kc_buf_done(&block);
        kc_buf_done(&b);
        kc_buf_done(&got);
        close(fd);
        expect_goes_on();
}

/* The peer gives the stream no window: its answer is not kept for ever. */
static void test_zero_window(void **state)
{
        (void)state;
        static const uint8_t no_window[6] = {0, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0, 0, 0, 0};
        struct kc_buf b = KC_BUF_INIT, got = KC_BUF_INIT;
        int fd = h2_dial(no_window, sizeof(no_window));
        put_get(&b, 1, GET_BIG, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM);
        send_all(fd, b.data, b.len);
        while (!find_frame(&got, NGHTTP2_RST_STREAM) && recv_some(fd, &got))
                ;
        assert_non_null(find_frame(&got, NGHTTP2_RST_STREAM));
        assert_int_equal(u32_at(find_frame(&got, NGHTTP2_RST_STREAM)), NGHTTP2_INTERNAL_ERROR);
        await(&server.closed, 1);
        kc_buf_done(&b);
        kc_buf_done(&got);
        close(fd);
        expect_goes_on();
}

/* --- Connections */

static int dial_from(const char *address)
{
        struct sockaddr_in a = {.sin_family = AF_INET};
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(inet_pton(AF_INET, address, &a.sin_addr), 1);
        assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
        a.sin_port = htons((uint16_t)server.port);
        a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
        return fd;
}

#define ASK_HELLO "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"

static void ask(int fd)
{
        struct kc_buf b = KC_BUF_INIT;
        send_str(fd, ASK_HELLO);
        recv_until(fd, &b, "hello\n");
        kc_buf_done(&b);
}

static void test_connections_of_one_peer(void **state)
{
        (void)state;
        int fds[3];
        for (size_t i = 0; i < KC_ARRAY_LEN(fds); i++) {
                fds[i] = dial(&server);
                ask(fds[i]);
        }
        int more = dial(&server);
        struct pollfd p = {.fd = more, .events = POLLIN};
        char byte;
        assert_int_equal(poll(&p, 1, TEST_TIMEOUT_MS), 1);
        assert_int_equal(recv(more, &byte, 1, 0), -1);
        assert_int_equal(errno, ECONNRESET);
        close(more);
        int other = dial_from("127.0.0.2");
        ask(other);
        close(other);
        close(fds[0]);
        /* What it has closed it may open again, once the server has seen that. */
        while (kc_http_server_connections(server.http) > 2)
                sched_yield();
        expect_goes_on();
        ask(fds[1]);
        close(fds[1]);
        close(fds[2]);
}

/* All connections are taken by peers that do nothing: whoever has a request to make gets one of theirs. */
static void test_idle_connections_make_room(void **state)
{
        (void)state;
        int idle[6], watch = dial(&server);
        send_str(watch, "GET /watch HTTP/1.1\r\nHost: a\r\n\r\n");
        struct kc_buf b = KC_BUF_INIT;
        recv_until(watch, &b, "\r\n\r\n");
        kc_buf_done(&b);
        for (size_t i = 0; i < KC_ARRAY_LEN(idle); i++)
                idle[i] = dial(&server);
        for (int i = 0; i < 2; i++)
                expect_goes_on();
        for (size_t i = 0; i < KC_ARRAY_LEN(idle); i++)
                close(idle[i]);
        assert_int_equal(atomic_load(&server.closed), 0); /* who is being served is not disturbed */
        close(watch);
        await(&server.closed, 1);
}

int main(void)
{
        static struct kc_http_server_opts slow = {.header_timeout_ms = 500,
                                              .idle_timeout_ms = 20000,
                                              .transfer_timeout_ms = 500},
                                          plain = {.max_header_bytes = 100000}, few = {.max_peer_connections = 3},
                                          full = {.max_connections = 5, .max_peer_connections = 5};
#define TEST(t, opts) cmocka_unit_test_prestate_setup_teardown(t, start, stop, &(opts))
        const struct CMUnitTest tests[] = {
            TEST(test_slow_body, slow),
            TEST(test_slow_head, slow),
            TEST(test_answer_is_not_read, slow),
            TEST(test_zero_window, slow),
            TEST(test_ping_flood, plain),
            TEST(test_settings_flood, plain),
            TEST(test_empty_data_flood, plain),
            TEST(test_unread_acks, plain),
            TEST(test_made_to_reset, plain),
            TEST(test_continuation_flood, plain),
            TEST(test_hpack_bomb, plain),
            TEST(test_connections_of_one_peer, few),
            TEST(test_idle_connections_make_room, full),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
