/* A server for the tests with handlers by path, and a raw client of few words. Included once by each test. */
#pragma once

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "event/loop.h"
#include "event/worker.h"
#include "http/server.h"

enum { TEST_LOOPS = 2, TEST_TIMEOUT_MS = 20000 };

#define S(literal) ((char *)(uintptr_t)(literal))
#define HEADERS(...) ((char *[]){__VA_ARGS__, NULL})

struct test_server {
        struct kc_loop *loops[TEST_LOOPS];
        struct kc_http_server *http;
        struct kc_tls_server *tls;
        struct kc_pool *pool;
        char dir[64];
        int port;
        atomic_int closed;  /* on_close calls */
        atomic_int drained; /* on_drain calls */
};

static inline struct kc_bytes *bytes(const char *s)
{
        return kc_bytes_new(s, strlen(s));
}

static inline void reply_text(struct kc_http_req *r, int code, const char *text)
{
        struct kc_bytes *b = bytes(text);
        kc_http_reply(r, code, HEADERS(S("Content-Type"), S("text/plain")), b);
        kc_bytes_unref(b);
}

static inline void test_server_start(struct test_server *t, struct kc_http_server_opts o, bool tls)
{
        snprintf(t->dir, sizeof(t->dir), "/tmp/kc-http-test-XXXXXX");
        assert_non_null(mkdtemp(t->dir));
        for (int i = 0; i < TEST_LOOPS; i++) {
                assert_int_equal(kc_loop_new("test", &t->loops[i], NULL), 0);
                assert_int_equal(kc_loop_start_thread(t->loops[i], NULL), 0);
        }
        t->pool = kc_pool_new("test", 4, 1000);
        struct kc_error err = KC_ERROR_INIT;
        if (tls) {
                char *names[] = {S("localhost"), S("127.0.0.1"), NULL};
                char cert[96], key[96];
                snprintf(cert, sizeof(cert), "%s/cert.pem", t->dir);
                snprintf(key, sizeof(key), "%s/key.pem", t->dir);
                assert_int_equal(kc_tls_self_signed("localhost", names, cert, key, &err), 0);
                struct kc_tls_server_opts to = {.cert_file = cert, .key_file = key, .alpn_h2 = true};
                assert_int_equal(kc_tls_server_new(&to, &t->tls, &err), 0);
        }
        o.loops = t->loops;
        o.n_loops = TEST_LOOPS;
        o.tls = t->tls;
        if (!o.address)
                o.address = "127.0.0.1";
        o.arg = o.arg ? o.arg : t;
        if (kc_http_server_new(&o, &t->http, &err) < 0)
                fail_msg("%s", kc_error_message(&err));
        t->port = kc_http_server_port(t->http);
}

static inline void test_free_server(void *arg)
{
        struct test_server *t = arg;
        kc_http_server_free(t->http);
}

static inline void test_server_stop(struct test_server *t)
{
        kc_loop_call(t->loops[0], test_free_server, t);
        kc_pool_free(t->pool);
        for (int i = 0; i < TEST_LOOPS; i++) {
                kc_loop_stop(t->loops[i]);
                kc_loop_join(t->loops[i]);
                kc_loop_free(t->loops[i]);
        }
        kc_tls_server_free(t->tls);
        assert_int_equal(kc_rm_rf(t->dir, NULL), 0);
        memset(t, 0, sizeof(*t));
}

/* --- A raw client */

static inline int dial(const struct test_server *t)
{
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)t->port)};
        a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_true(fd >= 0);
        assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
        return fd;
}

static inline void send_all(int fd, const void *data, size_t len)
{
        size_t at = 0;
        while (at < len) {
                ssize_t n = send(fd, (const char *)data + at, len - at, MSG_NOSIGNAL);
                if (n <= 0)
                        return; /* the peer has had enough */
                at += (size_t)n;
        }
}

static inline void send_str(int fd, const char *s)
{
        send_all(fd, s, strlen(s));
}

/* Appends what comes next; false at the end. Fails the test when nothing comes. */
static inline bool recv_some(int fd, struct kc_buf *b)
{
        char data[16384];
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (poll(&p, 1, TEST_TIMEOUT_MS) != 1)
                fail_msg("nothing received; so far: %s", kc_buf_str(b));
        ssize_t n = recv(fd, data, sizeof(data), 0);
        if (n <= 0)
                return false;
        kc_buf_add(b, data, (size_t)n);
        return true;
}

/* Everything until the peer closes, without the Date line; the socket is closed. */
static inline char *recv_end(int fd)
{
        struct kc_buf b = KC_BUF_INIT;
        while (recv_some(fd, &b))
                ;
        close(fd);
        for (char *date; b.data && (date = strstr(b.data, "Date: "));)
                memmove(date, strstr(date, "\r\n") + 2, strlen(strstr(date, "\r\n") + 2) + 1);
        return kc_buf_take_str(&b);
}

/* Until the text has come. */
static inline void recv_until(int fd, struct kc_buf *b, const char *text)
{
        while (!b->data || !strstr(b->data, text))
                if (!recv_some(fd, b))
                        fail_msg("closed before \"%s\": %s", text, kc_buf_str(b));
}

/* Sends a request on a connection of its own and compares the whole answer. */
static inline void expect_answer(const struct test_server *t, const char *request, const char *answer)
{
        int fd = dial(t);
        send_str(fd, request);
        char *got = recv_end(fd);
        assert_string_equal(got, answer);
        kc_free(got);
}

static inline void expect_answer_starts(const struct test_server *t, const char *request, const char *answer)
{
        int fd = dial(t);
        send_str(fd, request);
        char *got = recv_end(fd);
        if (!kc_str_has_prefix(got, answer))
                assert_string_equal(got, answer);
        kc_free(got);
}

/* What a command prints. */
static inline char *run_command(const char *command)
{
        FILE *f = popen(command, "r");
        assert_non_null(f);
        struct kc_buf b = KC_BUF_INIT;
        char data[65536];
        size_t n;
        while ((n = fread(data, 1, sizeof(data), f)) > 0)
                kc_buf_add(&b, data, n);
        pclose(f);
        return kc_buf_take_str(&b);
}

/* Waits until the counter has the value. */
static inline void await(atomic_int *counter, int value)
{
        for (int i = 0; atomic_load(counter) != value; i++) {
                if (i > TEST_TIMEOUT_MS)
                        fail_msg("counter is %d, not %d", atomic_load(counter), value);
                struct timespec ms = {.tv_nsec = 1000000};
                nanosleep(&ms, NULL);
        }
}
