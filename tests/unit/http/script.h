/* A server that does exactly what a test wants, byte by byte: a thread for each connection runs the test's function.
 * Included once by each test, after http_test.h. */
#pragma once

#include <netinet/tcp.h>

#include "http_test.h"

#include "http/client_internal.h"

enum { SCRIPT_MAX_CONNS = 256 };

struct script_conn;
struct script {
        int fd, port;
        struct kc_tls_server *tls; /* NULL: plain */
        void (*serve)(struct script *s, struct script_conn *c);
        void *arg;
        pthread_t thread, threads[SCRIPT_MAX_CONNS];
        atomic_int conns;  /* accepted */
        atomic_int closed; /* of them, done with */
};

/* One accepted connection; serve returns to close it. */
struct script_conn {
        struct script *script;
        int fd, n; /* n: 1 for the first */
        SSL *ssl;
};

static inline void conn_write(struct script_conn *c, const void *data, size_t len)
{
        if (c->ssl)
                (void)SSL_write(c->ssl, data, (int)len); /* the client may have gone */
        else
                send_all(c->fd, data, len);
}

static inline void conn_puts(struct script_conn *c, const char *text)
{
        conn_write(c, text, strlen(text));
}

/* Up to len bytes; 0 at the end. */
static inline size_t conn_read(struct script_conn *c, void *data, size_t len)
{
        ssize_t n = c->ssl ? SSL_read(c->ssl, data, (int)len) : recv(c->fd, data, len, 0);
        return n > 0 ? (size_t)n : 0;
}

static inline bool conn_read_all(struct script_conn *c, void *data, size_t len)
{
        for (size_t at = 0; at < len;) {
                size_t n = conn_read(c, (char *)data + at, len - at);
                if (n == 0)
                        return false;
                at += n;
        }
        return true;
}

/* The head of a request and its body by Content-Length, heap; NULL: the client has closed. */
static inline char *conn_read_request(struct script_conn *c)
{
        struct kc_buf b = KC_BUF_INIT;
        char byte;
        while (!b.data || !strstr(b.data, "\r\n\r\n")) {
                if (!conn_read(c, &byte, 1)) {
                        kc_buf_done(&b);
                        return NULL;
                }
                kc_buf_addc(&b, byte);
        }
        const char *length = strstr(b.data, "Content-Length: ");
        for (int left = length ? atoi(length + 16) : 0; left > 0; left--) {
                if (!conn_read(c, &byte, 1))
                        break;
                kc_buf_addc(&b, byte);
        }
        return kc_buf_take_str(&b);
}

/* Until the client closes. */
static inline void conn_drain(struct script_conn *c)
{
        char data[4096];
        while (conn_read(c, data, sizeof(data)))
                ;
}

static void *script_conn_thread(void *arg)
{
        struct script_conn *c = arg;
        struct script *s = c->script;
        bool ok = true;
        if (s->tls) {
                c->ssl = kc_tls_server_ssl(s->tls);
                assert_non_null(c->ssl);
                SSL_set_fd(c->ssl, c->fd);
                ok = SSL_accept(c->ssl) == 1;
        }
        if (ok)
                s->serve(s, c);
        if (c->ssl && ok)
                (void)SSL_shutdown(c->ssl);
        SSL_free(c->ssl);
        close(c->fd);
        kc_free(c);
        atomic_fetch_add(&s->closed, 1);
        return NULL;
}

static void *script_thread(void *arg)
{
        struct script *s = arg;
        for (;;) {
                int fd = accept(s->fd, NULL, NULL);
                if (fd < 0)
                        return NULL;
                int one = 1, n = atomic_load(&s->conns);
                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
                struct script_conn *c = KC_NEW(struct script_conn);
                c->script = s;
                c->fd = fd;
                c->n = n + 1;
                atomic_store(&s->conns, n + 1);
                assert_true(n < SCRIPT_MAX_CONNS);
                assert_int_equal(pthread_create(&s->threads[n], NULL, script_conn_thread, c), 0);
        }
}

static inline void script_start(struct script *s, void (*serve)(struct script *s, struct script_conn *c))
{
        s->serve = serve;
        atomic_store(&s->conns, 0);
        atomic_store(&s->closed, 0);
        s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        struct sockaddr_in a = {.sin_family = AF_INET};
        a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t len = sizeof(a);
        assert_int_equal(bind(s->fd, (struct sockaddr *)&a, len), 0);
        assert_int_equal(listen(s->fd, SCRIPT_MAX_CONNS), 0);
        assert_int_equal(getsockname(s->fd, (struct sockaddr *)&a, &len), 0);
        s->port = ntohs(a.sin_port);
        assert_int_equal(pthread_create(&s->thread, NULL, script_thread, s), 0);
}

/* The client has closed its connections, or serve does. */
static inline void script_stop(struct script *s)
{
        shutdown(s->fd, SHUT_RDWR);
        pthread_join(s->thread, NULL);
        close(s->fd);
        for (int i = 0; i < atomic_load(&s->conns); i++)
                pthread_join(s->threads[i], NULL);
}
