/* One connection: socket, TLS, bytes to and from the nghttp2 session (h2.c), keep-alive. On the channel's loop. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "grpc/channel_internal.h"

static void connect_next(struct grpc_conn *c);

static void unref(struct grpc_conn *c)
{
        if (--c->refs > 0)
                return;
        kc_error_done(&c->error);
        kc_free(c);
}

/* --- The end */

void grpc_conn_close(struct grpc_conn *c)
{
        struct kc_grpc_channel *ch = c->ch;
        if (!ch)
                return;
        c->dead = true;
        kc_list_remove(&c->node);
        kc_timer_free(KC_TAKE(c->keepalive));
        kc_io_free(KC_TAKE(c->io));
        KC_CLEANUP(kc_freep) char *why = NULL;
        enum kc_grpc_code code = KC_GRPC_UNAVAILABLE;
        if (ch->closed) {
                code = KC_GRPC_CANCELLED;
                why = kc_strdup("grpc: the client connection is closing");
        } else {
                why = kc_strdup(kc_error_message(&c->error));
        }
        KC_LIST_FOREACH(&c->streams, s, struct kc_grpc_stream, node)
        s->conn = NULL; /* so that callbacks cannot reach the session any more */
        for (struct kc_grpc_stream *s; (s = KC_LIST_FIRST(&c->streams, struct kc_grpc_stream, node));)
                grpc_stream_end(s, code, why);
        nghttp2_session_del(KC_TAKE(c->h2));
        SSL_free(KC_TAKE(c->ssl));
        if (c->fd >= 0)
                close(c->fd);
        c->fd = -1;
        kc_buf_done(&c->out);
        if (c->addrs)
                freeaddrinfo(c->addrs);
        c->addrs = NULL;
        c->ch = NULL;
        unref(c);
}

static void bury(void *arg)
{
        struct grpc_conn *c = arg;
        if (c->ch) {
                grpc_channel_conn_lost(c->ch, c);
                grpc_conn_close(c);
        }
        unref(c);
}

void grpc_conn_fail(struct grpc_conn *c, int errnum, const char *fmt, ...)
{
        if (c->dead)
                return;
        c->dead = true;
        va_list ap;
        va_start(ap, fmt);
        KC_CLEANUP(kc_freep) char *msg = kc_vasprintf(fmt, ap);
        va_end(ap);
        kc_error_set(&c->error, errnum, "connection to %s: %s", c->ep->text, msg);
        kc_io_free(KC_TAKE(c->io));
        c->refs++;
        kc_loop_defer(c->ch->loop, bury, c);
}

/* --- Bytes. Both return what they moved, 0 at the end (read), -EAGAIN, or another negative errno. */

static ssize_t raw_read(struct grpc_conn *c, void *buf, size_t len)
{
        if (!c->ssl) {
                ssize_t n = recv(c->fd, buf, len, 0);
                return n < 0 ? -errno : n;
        }
        ERR_clear_error();
        int n = SSL_read(c->ssl, buf, (int)len);
        if (n > 0)
                return n;
        switch (SSL_get_error(c->ssl, n)) {
        case SSL_ERROR_WANT_READ:
        case SSL_ERROR_WANT_WRITE:
                return -EAGAIN;
        case SSL_ERROR_ZERO_RETURN:
                return 0;
        case SSL_ERROR_SYSCALL:
                return errno ? -errno : 0;
        default:
                return -EPROTO;
        }
}

static ssize_t raw_write(struct grpc_conn *c, const void *buf, size_t len)
{
        if (!c->ssl) {
                ssize_t n = send(c->fd, buf, len, MSG_NOSIGNAL);
                return n < 0 ? -errno : n;
        }
        ERR_clear_error();
        int n = SSL_write(c->ssl, buf, (int)KC_MIN(len, (size_t)1 << 30));
        if (n > 0)
                return n;
        switch (SSL_get_error(c->ssl, n)) {
        case SSL_ERROR_WANT_READ:
        case SSL_ERROR_WANT_WRITE:
                return -EAGAIN;
        case SSL_ERROR_SYSCALL:
                return errno ? -errno : -EPIPE;
        default:
                return -EPROTO;
        }
}

static const char *io_error(const struct grpc_conn *c, ssize_t error)
{
        return c->ssl && error == -EPROTO ? kc_tls_errors() : strerror((int)-error);
}

/* Writes c->out. False: the socket is full or gone. */
static bool write_out(struct grpc_conn *c)
{
        while (c->out_off < c->out.len) {
                ssize_t n = raw_write(c, c->out.data + c->out_off, c->out.len - c->out_off);
                if (n == -EINTR)
                        continue;
                if (n == -EAGAIN) {
                        kc_io_set(c->io, KC_IO_READ | KC_IO_WRITE);
                        return false;
                }
                if (n < 0) {
                        grpc_conn_fail(c, EHOSTUNREACH, "write: %s", io_error(c, n));
                        return false;
                }
                c->out_off += (size_t)n;
        }
        kc_buf_reset(&c->out);
        c->out_off = 0;
        return true;
}

static void flush(struct grpc_conn *c)
{
        if (c->dead || c->state != GRPC_CONN_OPEN || (c->out.len > 0 && !write_out(c)))
                return;
        for (;;) {
                bool more = true;
                while (c->out.len < GRPC_WRITE_CHUNK) {
                        const uint8_t *data;
                        c->in_h2 = true;
                        ssize_t n = nghttp2_session_mem_send(c->h2, &data);
                        c->in_h2 = false;
                        if (n < 0) {
                                grpc_conn_fail(c, EPROTO, "%s", nghttp2_strerror((int)n));
                                return;
                        }
                        if (n == 0) {
                                more = false;
                                break;
                        }
                        kc_buf_add(&c->out, data, (size_t)n);
                }
                if (c->out.len > 0 && !write_out(c))
                        return;
                if (!more)
                        break;
        }
        kc_io_set(c->io, KC_IO_READ);
        if (!nghttp2_session_want_read(c->h2) && !nghttp2_session_want_write(c->h2))
                grpc_conn_fail(c, EHOSTUNREACH, "closed by the server");
}

static void flush_deferred(void *arg)
{
        struct grpc_conn *c = arg;
        c->flush_deferred = false;
        if (c->ch)
                flush(c);
        unref(c);
}

void grpc_conn_flush_soon(struct grpc_conn *c)
{
        if (c->dead || c->flush_deferred)
                return;
        c->flush_deferred = true;
        c->refs++;
        kc_loop_defer(c->ch->loop, flush_deferred, c);
}

static void read_in(struct grpc_conn *c)
{
        char buf[32 << 10];
        /* TLS must be read empty: what it has taken from the socket would not wake us again. */
        for (int rounds = 0; !c->dead && (rounds < GRPC_READ_ROUNDS || (c->ssl && SSL_pending(c->ssl) > 0)); rounds++) {
                ssize_t n = raw_read(c, buf, sizeof(buf));
                if (n == -EINTR)
                        continue;
                if (n == -EAGAIN)
                        break;
                if (n <= 0) {
                        grpc_conn_fail(c, EHOSTUNREACH, n == 0 ? "closed by the server" : "read: %s", io_error(c, n));
                        return;
                }
                c->last_read = kc_clock_mono(NULL);
                c->in_h2 = true;
                ssize_t used = nghttp2_session_mem_recv(c->h2, (const uint8_t *)buf, (size_t)n);
                c->in_h2 = false;
                if (used < 0)
                        grpc_conn_fail(c, EPROTO, "%s", nghttp2_strerror((int)used));
                if ((size_t)n < sizeof(buf) && !(c->ssl && SSL_pending(c->ssl) > 0))
                        break;
        }
        flush(c);
}

/* --- Keep-alive */

static void on_keepalive(void *arg)
{
        struct grpc_conn *c = arg;
        kc_mono now = kc_clock_mono(NULL);
        if (c->ping_sent && now - c->last_read >= c->ch->keepalive_timeout_usec) {
                grpc_conn_fail(c, EHOSTUNREACH, "no answer to a keep-alive ping");
                return;
        }
        if (kc_list_empty(&c->streams))
                return;
        kc_mono idle = now - c->last_read;
        if (idle < c->keepalive_usec) {
                kc_timer_arm(c->keepalive, c->keepalive_usec - idle);
                return;
        }
        if (nghttp2_submit_ping(c->h2, NGHTTP2_FLAG_NONE, NULL) == 0)
                grpc_conn_flush_soon(c);
        c->ping_sent = true;
        kc_timer_arm(c->keepalive, c->ch->keepalive_timeout_usec);
}

void grpc_conn_streams_changed(struct grpc_conn *c)
{
        if (c->dead)
                return;
        if (kc_list_empty(&c->streams)) {
                if (c->draining)
                        grpc_conn_fail(c, EHOSTUNREACH, "closed after GOAWAY");
        } else if (c->keepalive_usec > 0 && !kc_timer_armed(c->keepalive)) {
                c->last_read = kc_clock_mono(NULL);
                kc_timer_arm(c->keepalive, c->keepalive_usec);
        }
}

/* --- Connecting */

static void opened(struct grpc_conn *c)
{
        c->state = GRPC_CONN_OPEN;
        c->last_read = kc_clock_mono(NULL);
        if (grpc_h2_new(c) < 0) {
                grpc_conn_fail(c, ENOMEM, "HTTP/2 session");
                return;
        }
        kc_io_set(c->io, KC_IO_READ);
        grpc_channel_conn_ready(c->ch, c);
        flush(c);
}

static void tls_step(struct grpc_conn *c)
{
        ERR_clear_error();
        int n = SSL_connect(c->ssl);
        if (n == 1) {
                const unsigned char *alpn;
                unsigned len;
                SSL_get0_alpn_selected(c->ssl, &alpn, &len);
                if (len != 2 || memcmp(alpn, "h2", 2) != 0)
                        grpc_conn_fail(c, EPROTO, "the server does not speak HTTP/2");
                else
                        opened(c);
                return;
        }
        int why = SSL_get_error(c->ssl, n);
        if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) {
                kc_io_set(c->io, why == SSL_ERROR_WANT_READ ? KC_IO_READ : KC_IO_WRITE);
                return;
        }
        long verify = SSL_get_verify_result(c->ssl);
        if (verify != X509_V_OK)
                grpc_conn_fail(c, EPROTO, "TLS: %s", X509_verify_cert_error_string(verify));
        else if (why == SSL_ERROR_SYSCALL || why == SSL_ERROR_ZERO_RETURN)
                grpc_conn_fail(c, EHOSTUNREACH, "TLS: closed by the server");
        else
                grpc_conn_fail(c, EPROTO, "TLS: %s", kc_tls_errors());
}

static void connected(struct grpc_conn *c)
{
        if (!c->ep->tls) {
                opened(c);
                return;
        }
        c->state = GRPC_CONN_TLS;
        c->ssl = kc_tls_client_ssl(c->ep->tls);
        SSL_set_fd(c->ssl, c->fd);
        SSL_set_mode(c->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
        tls_step(c);
}

static void on_io(int fd, int events, void *arg)
{
        struct grpc_conn *c = arg;
        if (c->state == GRPC_CONN_TCP) {
                int error = 0;
                socklen_t len = sizeof(error);
                if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
                        error = errno;
                if (error == 0) {
                        connected(c);
                } else {
                        kc_error_set(&c->error, error, "%s", strerror(error));
                        connect_next(c);
                }
        } else if (c->state == GRPC_CONN_TLS) {
                tls_step(c);
        } else if (events & KC_IO_READ) {
                read_in(c);
        } else {
                flush(c);
        }
}

/* Returns 0 when under way or done, else errno. */
static int try_connect(struct grpc_conn *c, int family, const struct sockaddr *sa, socklen_t len)
{
        c->fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (c->fd < 0)
                return errno;
        if (family != AF_UNIX) {
                int one = 1;
                (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)); /* only slower without */
        }
        if (connect(c->fd, sa, len) < 0 && errno != EINPROGRESS) {
                int error = errno;
                close(c->fd);
                c->fd = -1;
                return error;
        }
        /* Also when connected at once: the socket is writable then. */
        c->io = kc_io_new(c->ch->loop, c->fd, KC_IO_WRITE, on_io, c);
        return 0;
}

static void connect_next(struct grpc_conn *c)
{
        kc_io_free(KC_TAKE(c->io));
        if (c->fd >= 0)
                close(c->fd);
        c->fd = -1;
        for (;;) {
                c->addr = c->addr ? c->addr->ai_next : c->addrs;
                if (!c->addr)
                        break;
                int error = try_connect(c, c->addr->ai_family, c->addr->ai_addr, c->addr->ai_addrlen);
                if (error == 0)
                        return;
                kc_error_set(&c->error, error, "%s", strerror(error));
        }
        KC_CLEANUP(kc_freep) char *why = kc_strdup(kc_error_message(&c->error));
        grpc_conn_fail(c, EHOSTUNREACH, "%s", why);
}

static void connect_unix(struct grpc_conn *c)
{
        struct sockaddr_un sa = {.sun_family = AF_UNIX};
        memcpy(sa.sun_path, c->ep->unix_path, strlen(c->ep->unix_path) + 1); /* its length was checked */
        int error = try_connect(c, AF_UNIX, (const struct sockaddr *)&sa, sizeof(sa));
        if (error)
                grpc_conn_fail(c, EHOSTUNREACH, "%s", strerror(error));
}

struct grpc_conn *grpc_conn_new(struct kc_grpc_channel *ch, const struct grpc_endpoint *ep, struct addrinfo *take_addrs)
{
        struct grpc_conn *c = KC_NEW(struct grpc_conn);
        c->refs = 1;
        c->ch = ch;
        c->ep = ep;
        c->fd = -1;
        c->addrs = take_addrs;
        kc_list_init(&c->node);
        kc_list_init(&c->streams);
        c->keepalive = kc_timer_new(ch->loop, on_keepalive, c);
        /* The kernel tells when the peer of a unix socket dies, and servers there (containerd) punish pings. */
        c->keepalive_usec = ep->unix_path ? 0 : ch->keepalive_usec;
        if (ep->unix_path)
                connect_unix(c);
        else
                connect_next(c);
        return c;
}
