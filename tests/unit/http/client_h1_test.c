/* The client over HTTP/1.1, against a server that misbehaves on purpose. */
#include "script.h"

#define OK(body_len) "HTTP/1.1 200 OK\r\nContent-Length: " #body_len "\r\n\r\n"

enum { UPLOAD = 4 * 1024 * 1024 };

static struct script script;
static struct kc_loop *loop;
static struct kc_http_client *client;

static void free_client(void *arg)
{
        (void)arg;
        kc_http_client_free(KC_TAKE(client));
}

static void begin(void (*serve)(struct script *s, struct script_conn *c), struct kc_http_client_opts o)
{
        script_start(&script, serve);
        assert_int_equal(kc_loop_new("client", &loop, NULL), 0);
        assert_int_equal(kc_loop_start_thread(loop, NULL), 0);
        assert_int_equal(kc_http_client_new(loop, &o, &client, NULL), 0);
}

static void end(void)
{
        kc_loop_call(loop, free_client, NULL);
        kc_loop_stop(loop);
        kc_loop_join(loop);
        kc_loop_free(loop);
        script_stop(&script);
}

static char *url(const char *path)
{
        static _Thread_local char text[128];
        snprintf(text, sizeof(text), "http://127.0.0.1:%d%s", script.port, path);
        return text;
}

/* 0, or the errno with which it fails; what comes is compared. */
static void expect(struct kc_http_call_opts o, int errnum, int code, const char *text)
{
        struct kc_http_response r = {0};
        struct kc_error err = KC_ERROR_INIT;
        o.timeout_ms = o.timeout_ms ? o.timeout_ms : TEST_TIMEOUT_MS;
        int e = kc_http_client_do(client, &o, &r, &err);
        if (e != -errnum)
                fail_msg("%d: %s", e, kc_error_message(&err));
        if (e == 0) {
                assert_int_equal(r.code, code);
                assert_string_equal(kc_bytes_data(r.body), text);
                kc_http_response_done(&r);
        } else if (!strstr(kc_error_message(&err), text)) {
                assert_string_equal(kc_error_message(&err), text);
        }
        kc_error_done(&err);
}

static void expect_get(int code, const char *text)
{
        expect((struct kc_http_call_opts){.url = url("/")}, 0, code, text);
}

static void expect_get_fails(int errnum, const char *text)
{
        expect((struct kc_http_call_opts){.url = url("/")}, errnum, 0, text);
}

/* --- Connections that are kept */

/* Answers the first request of each connection, and closes at the second one. */
static void close_at_second(struct script *s, struct script_conn *c)
{
        (void)s;
        kc_free(conn_read_request(c));
        conn_puts(c, OK(1) "a");
        kc_free(conn_read_request(c));
}

static void test_stale_connection(void **state)
{
        (void)state;
        begin(close_at_second, (struct kc_http_client_opts){0});
        struct kc_bytes *b = bytes("x");
        expect_get(200, "a");
        expect_get(200, "a"); /* lost on the first connection, sent again on the second */
        assert_int_equal(atomic_load(&script.conns), 2);
        /* It may have been worked on: not sent twice. */
        expect((struct kc_http_call_opts){.method = "POST", .url = url("/"), .body = b}, ECONNRESET, 0, "EOF");
        assert_int_equal(atomic_load(&script.conns), 2);
        expect((struct kc_http_call_opts){.method = "POST", .url = url("/"), .body = b}, 0, 200, "a");
        assert_int_equal(atomic_load(&script.conns), 3);
        kc_bytes_unref(b);
        end();
}

static void close_idle(struct script *s, struct script_conn *c)
{
        (void)s;
        kc_free(conn_read_request(c));
        conn_puts(c, OK(1) "a");
}

static void test_closed_while_idle(void **state)
{
        (void)state;
        begin(close_idle, (struct kc_http_client_opts){0});
        struct kc_bytes *b = bytes("x");
        for (int i = 1; i <= 5; i++) {
                expect((struct kc_http_call_opts){.method = "POST", .url = url("/"), .body = b}, 0, 200, "a");
                await(&script.closed, i);
        }
        assert_int_equal(atomic_load(&script.conns), 5);
        kc_bytes_unref(b);
        end();
}

static void answer_once_ever(struct script *s, struct script_conn *c)
{
        (void)s;
        kc_free(conn_read_request(c));
        if (c->n > 1)
                return;
        conn_puts(c, OK(1) "a");
        kc_free(conn_read_request(c));
}

static void test_retried_only_once(void **state)
{
        (void)state;
        begin(answer_once_ever, (struct kc_http_client_opts){0});
        expect_get(200, "a");
        expect_get_fails(ECONNRESET, "EOF");
        assert_int_equal(atomic_load(&script.conns), 2);
        end();
}

static void answer_all(struct script *s, struct script_conn *c)
{
        (void)s;
        for (char *r; (r = conn_read_request(c)); kc_free(r))
                conn_puts(c, strstr(r, "Connection: close") ? OK(5) "close" : OK(4) "kept");
}

static void test_keeping(void **state)
{
        (void)state;
        begin(answer_all, (struct kc_http_client_opts){0});
        for (int i = 0; i < 20; i++)
                expect_get(200, "kept");
        assert_int_equal(atomic_load(&script.conns), 1);
        end();
        begin(answer_all, (struct kc_http_client_opts){.no_keep_alive = true});
        for (int i = 1; i <= 3; i++) {
                expect_get(200, "close");
                assert_int_equal(atomic_load(&script.conns), i);
                await(&script.closed, i);
        }
        end();
}

static void test_idle_connections_end(void **state)
{
        (void)state;
        begin(answer_all, (struct kc_http_client_opts){0});
        http_client_set_times(client, &(struct http_client_times){.idle = 20 * KC_MSEC});
        expect_get(200, "kept");
        await(&script.closed, 1);
        expect_get(200, "kept");
        assert_int_equal(atomic_load(&script.conns), 2);
        end();
}

static void say_too_much(struct script *s, struct script_conn *c)
{
        (void)s;
        kc_free(conn_read_request(c));
        conn_puts(c, OK(1) "aHTTP/1.1 200 OK\r\n\r\nnobody asked");
        conn_drain(c);
}

static void test_answers_nobody_asked_for(void **state)
{
        (void)state;
        begin(say_too_much, (struct kc_http_client_opts){0});
        expect_get(200, "a");
        await(&script.closed, 1);
        expect_get(200, "a");
        assert_int_equal(atomic_load(&script.conns), 2);
        end();
}

/* --- Bodies */

static void slowly(struct script *s, struct script_conn *c)
{
        (void)s;
        kc_free(conn_read_request(c));
        static const char text[] =
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x\r\n world\r\n"
            "0\r\nTrailer: x\r\n\r\n";
        for (size_t i = 0; text[i]; i++) {
                conn_write(c, &text[i], 1);
                sched_yield();
        }
        kc_free(conn_read_request(c));
        conn_puts(c, "HTTP/1.1 200 OK\r\n\r\nuntil the end");
}

static void test_slow_body(void **state)
{
        (void)state;
        begin(slowly, (struct kc_http_client_opts){0});
        expect_get(200, "hello world");
        expect_get(200, "until the end");
        assert_int_equal(atomic_load(&script.conns), 1);
        end();
}

static const char *reply;

static void reply_and_wait(struct script *s, struct script_conn *c)
{
        (void)s;
        kc_free(conn_read_request(c));
        conn_puts(c, reply);
        conn_drain(c);
}

static void test_malformed(void **state)
{
        (void)state;
        static const struct {
                const char *reply, *message;
                int errnum;
        } cases[] = {
            {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloX", "malformed chunked encoding", EBADMSG},
            {"SSH-2.0-x\r\n", "malformed HTTP response \"SSH-2.0-x\"", EPROTO},
            {"HTTP/1.1 200 OK\r\nA\r\n\r\n", "malformed MIME header line", EPROTO},
        };
        for (size_t i = 0; i < KC_ARRAY_LEN(cases); i++) {
                reply = cases[i].reply;
                begin(reply_and_wait, (struct kc_http_client_opts){0});
                expect_get_fails(cases[i].errnum, cases[i].message);
                await(&script.closed, 1);
                end();
        }
}

static void header_bomb(struct script *s, struct script_conn *c)
{
        (void)s;
        kc_free(conn_read_request(c));
        conn_puts(c, "HTTP/1.1 200 OK\r\n");
        char line[1000];
        memset(line, 'a', sizeof(line));
        memcpy(line, "A: ", 3);
        memcpy(line + sizeof(line) - 2, "\r\n", 2);
        for (int i = 0; i < 10000; i++)
                if (send(c->fd, line, sizeof(line), MSG_NOSIGNAL) < 0)
                        return;
        fail_msg("the client reads everything");
}

static void test_header_bomb(void **state)
{
        (void)state;
        begin(header_bomb, (struct kc_http_client_opts){0});
        expect_get_fails(EMSGSIZE, "net/http: server response has more than 1000 headers");
        await(&script.closed, 1);
        end();
}

/* Refuses an upload after its head, and closes with what it has not read: the kernel sends a reset behind the answer.
 */
static void refuse_upload(struct script *s, struct script_conn *c)
{
        (void)s;
        char byte;
        for (int i = 0; i < 100; i++)
                (void)conn_read(c, &byte, 1);
        conn_puts(c, "HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig");
        /* The answer is on its way before the reset. */
        shutdown(c->fd, SHUT_WR);
        char data[4096];
        for (int i = 0; i < 10; i++)
                (void)conn_read(c, data, sizeof(data));
}

static void test_early_answer(void **state)
{
        (void)state;
        begin(refuse_upload, (struct kc_http_client_opts){0});
        char *big = kc_calloc(1, UPLOAD);
        struct kc_bytes *b = kc_bytes_new(big, UPLOAD);
        expect((struct kc_http_call_opts){.method = "POST", .url = url("/"), .body = b}, 0, 413, "big");
        kc_bytes_unref(b);
        kc_free(big);
        end();
}

/* --- Redirects */

static void redirecting(struct script *s, struct script_conn *c)
{
        (void)s;
        for (char *r; (r = conn_read_request(c));) {
                bool last = strstr(r, " /c/end?x=1 ") != NULL;
                const char *code = strstr(r, "/307") ? "307" : "302";
                char *location = kc_asprintf(
                    strstr(r, "/other") ? "http://localhost:%d/c/end?x=1" : "../c/./end?x=1#f", script.port);
                char *text = last ? kc_asprintf("HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s", strlen(r), r)
                                  : kc_asprintf("HTTP/1.1 %s Found\r\nLocation: %s\r\nContent-Length: 4\r\n\r\nskip",
                                        code, location);
                conn_puts(c, text);
                kc_free(text);
                kc_free(location);
                kc_free(r);
        }
}

static void test_redirects(void **state)
{
        (void)state;
        begin(redirecting, (struct kc_http_client_opts){0});
        struct kc_bytes *b = bytes("body");
        struct kc_http_call_opts o = {.method = "POST",
            .body = b,
            .headers = HEADERS(S("Authorization"), S("Bearer t"), S("Content-Type"), S("x/y")),
            .follow_redirects = true};
        char wanted[300];
        o.url = url("/a/302");
        snprintf(wanted, sizeof(wanted),
            "GET /c/end?x=1 HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAuthorization: Bearer t\r\n\r\n", script.port);
        expect(o, 0, 200, wanted);
        o.url = url("/a/307");
        snprintf(wanted, sizeof(wanted),
            "POST /c/end?x=1 HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAuthorization: Bearer t\r\nContent-Type: x/y\r\n"
            "Content-Length: 4\r\n\r\nbody",
            script.port);
        expect(o, 0, 200, wanted);
        /* Secrets do not go to another host. */
        o.url = url("/307/other");
        snprintf(wanted, sizeof(wanted),
            "POST /c/end?x=1 HTTP/1.1\r\nHost: localhost:%d\r\nContent-Type: x/y\r\nContent-Length: 4\r\n\r\nbody",
            script.port);
        expect(o, 0, 200, wanted);
        assert_int_equal(atomic_load(&script.conns), 2);
        kc_bytes_unref(b);
        end();
}

/* --- Cancelling */

struct cancelled {
        struct kc_http_call *call;
        atomic_int headers, data, done, errnum, code;
};

static void on_headers(struct kc_http_call *call, int code, void *arg)
{
        (void)call;
        assert_int_equal(code, 200);
        atomic_fetch_add(&((struct cancelled *)arg)->headers, 1);
}

static int on_data(struct kc_http_call *call, const char *data, size_t len, void *arg)
{
        (void)call;
        (void)data;
        atomic_fetch_add(&((struct cancelled *)arg)->data, (int)len);
        return 0;
}

static void on_done(struct kc_http_call *call, int code, struct kc_bytes *body, const struct kc_error *err, void *arg)
{
        struct cancelled *c = arg;
        (void)call;
        (void)body;
        atomic_store(&c->code, code);
        atomic_store(&c->errnum, err ? err->errnum : 0);
        atomic_fetch_add(&c->done, 1);
}

static void start_cancelled(struct cancelled *c, const char *target)
{
        struct kc_http_call_opts o = {
            .url = target, .on_headers = on_headers, .on_data = on_data, .on_done = on_done, .arg = c};
        assert_int_equal(kc_http_client_start(client, &o, &c->call, NULL), 0);
}

static void cancel(struct cancelled *c, int code)
{
        kc_http_call_cancel(c->call);
        await(&c->done, 1);
        assert_int_equal(atomic_load(&c->errnum), ECANCELED);
        assert_int_equal(atomic_load(&c->code), code);
}

static atomic_int asked;

static void count_and_wait(struct script *s, struct script_conn *c)
{
        (void)s;
        kc_free(conn_read_request(c));
        atomic_fetch_add(&asked, 1);
        conn_puts(c, reply);
        conn_drain(c);
}

static void test_cancelling(void **state)
{
        (void)state;
        static struct cancelled waiting, reading, connecting;
        atomic_store(&asked, 0);
        reply = "";
        begin(count_and_wait, (struct kc_http_client_opts){0});
        start_cancelled(&waiting, url("/"));
        await(&asked, 1);
        cancel(&waiting, 0);
        await(&script.closed, 1);
        reply = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc";
        start_cancelled(&reading, url("/"));
        await(&reading.data, 3);
        cancel(&reading, 200);
        await(&script.closed, 2);
        end();
        /* A listener whose queue is full: SYNs are dropped. */
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fillers[4];
        struct sockaddr_in a = {.sin_family = AF_INET};
        a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t len = sizeof(a);
        assert_int_equal(bind(fd, (struct sockaddr *)&a, len), 0);
        assert_int_equal(listen(fd, 0), 0);
        assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
        for (size_t i = 0; i < KC_ARRAY_LEN(fillers); i++) {
                fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
                (void)connect(fillers[i], (struct sockaddr *)&a, len); /* fills, or waits */
        }
        begin(count_and_wait, (struct kc_http_client_opts){.connect_timeout_ms = 100});
        char full[64], late[160];
        snprintf(full, sizeof(full), "http://127.0.0.1:%d/", ntohs(a.sin_port));
        start_cancelled(&connecting, full);
        cancel(&connecting, 0);
        snprintf(late, sizeof(late), "Get \"%s\": dial tcp 127.0.0.1:%d: i/o timeout", full, ntohs(a.sin_port));
        expect((struct kc_http_call_opts){.url = full}, ETIMEDOUT, 0, late);
        end();
        for (size_t i = 0; i < KC_ARRAY_LEN(fillers); i++)
                close(fillers[i]);
        close(fd);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_stale_connection),
            cmocka_unit_test(test_closed_while_idle),
            cmocka_unit_test(test_retried_only_once),
            cmocka_unit_test(test_keeping),
            cmocka_unit_test(test_idle_connections_end),
            cmocka_unit_test(test_answers_nobody_asked_for),
            cmocka_unit_test(test_slow_body),
            cmocka_unit_test(test_malformed),
            cmocka_unit_test(test_header_bomb),
            cmocka_unit_test(test_early_answer),
            cmocka_unit_test(test_redirects),
            cmocka_unit_test(test_cancelling),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
