/* One outgoing connection, from dialling to its end. The steps are in open_step, bytes are moved by read_in and flush.
 * On the loop. */
#include "net/conn.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "net/dial.h"

enum {
        READ_CHUNK = 32 * 1024,
        READ_ROUNDS = 16, /* before others have their turn */
        WRITEV_MAX = 64,
        TLS_RECORD = 16 * 1024,
        OUT_LOW = 64 * 1024, /* on_room fills up to about this */
};

enum state {
        CONN_DIAL,
        CONN_PROXY_TLS,
        CONN_PROXY,
        CONN_TLS,
        CONN_OPEN,
        CONN_DEAD,
};

struct kc_conn {
        int refs; /* the owner's and one per deferred call, or call that is under way */
        struct kc_loop *loop;
        const struct kc_conn_cbs *cbs;
        void *arg;
        struct kc_tls_client *tls, *tls_proxy;
        const struct kc_proxy *proxy;
        enum kc_tls_alpn alpn;
        char *host, *tls_name, *port, *target; /* the target is for messages: "tcp host:port" */
        enum state state;
        struct kc_dial *dial;
        int fd;
        SSL *ssl;   /* the uppermost */
        SSL *outer; /* to the proxy: the uppermost itself, or below that and owned by it */
        struct kc_io *io;
        struct kc_timer *timer; /* until open */
        struct net_proxy_hello hello;
        struct kc_outq out;
        uint64_t sent;
        bool wants_write; /* TLS waits for the socket */
        bool paused, deferred, more_input;
        bool opened;
};

static void run_deferred(void *arg);

static void unref(struct kc_conn *c)
{
        if (--c->refs > 0)
                return;
        kc_free(c->host);
        kc_free(c->tls_name);
        kc_free(c->port);
        kc_free(c->target);
        kc_free(c);
}

static void shut(struct kc_conn *c)
{
        if (c->state == CONN_DEAD)
                return;
        c->state = CONN_DEAD;
        kc_dial_free(KC_TAKE(c->dial));
        kc_timer_free(KC_TAKE(c->timer));
        kc_io_free(KC_TAKE(c->io));
        if (c->ssl && SSL_is_init_finished(c->ssl)) {
                ERR_clear_error();
                (void)SSL_shutdown(c->ssl); /* a courtesy */
        }
        ERR_clear_error();
        SSL_free(KC_TAKE(c->ssl)); /* and what is below */
        if (c->fd >= 0)
                close(c->fd);
        c->fd = -1;
        kc_outq_done(&c->out);
        net_proxy_done(&c->hello);
}

void kc_conn_free(struct kc_conn *c)
{
        if (!c)
                return;
        c->cbs = NULL;
        shut(c);
        unref(c);
}

/* err NULL: closed by the peer. Consumes what err holds. */
static void end(struct kc_conn *c, struct kc_error *err)
{
        if (c->state != CONN_DEAD) {
                if (err && !c->opened && c->proxy)
                        kc_error_wrap(
                            err, "%s", c->proxy->kind == KC_PROXY_SOCKS5 ? "socks connect" : "proxyconnect tcp");
                shut(c);
                if (c->cbs)
                        c->cbs->on_close(c, err, c->arg);
        }
        if (err)
                kc_error_done(err);
}

struct kc_outq *kc_conn_out(struct kc_conn *c)
{
        return &c->out;
}

uint64_t kc_conn_sent(const struct kc_conn *c)
{
        return c->sent;
}

static void watch(struct kc_conn *c)
{
        if (!c->io)
                return;
        bool writes = c->wants_write || (c->out.n && c->state >= CONN_PROXY && c->state != CONN_TLS);
        kc_io_set(c->io, (c->paused ? 0 : KC_IO_READ) | (writes ? KC_IO_WRITE : 0));
}

static void defer(struct kc_conn *c)
{
        if (c->deferred || c->state == CONN_DEAD)
                return;
        c->deferred = true;
        c->refs++;
        kc_loop_defer(c->loop, run_deferred, c);
}

/* --- Bytes. Both return what they moved, 0 at the proper end (read), -EAGAIN, or another negative errno and err. */

static ssize_t tls_result(struct kc_conn *c, int r, const char *op, struct kc_error *err)
{
        switch (SSL_get_error(c->ssl, r)) {
        case SSL_ERROR_WANT_READ:
                return -EAGAIN;
        case SSL_ERROR_WANT_WRITE:
                c->wants_write = true;
                return -EAGAIN;
        case SSL_ERROR_ZERO_RETURN:
                return 0;
        case SSL_ERROR_SYSCALL:
                if (errno)
                        return kc_error_set(err, errno, "%s %s: %s: %s", op, c->target, op, kc_net_strerror(errno));
                return kc_error_set(err, ECONNRESET, "unexpected EOF");
        default:
                if (ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
                        ERR_clear_error();
                        return kc_error_set(err, ECONNRESET, "unexpected EOF");
                }
                return kc_error_set(err, ECONNRESET, "%s %s: tls: %s", op, c->target, kc_tls_errors());
        }
}

static ssize_t read_some(struct kc_conn *c, char *buf, size_t len, struct kc_error *err)
{
        if (c->ssl) {
                c->wants_write = false;
                ERR_clear_error();
                errno = 0;
                int n = SSL_read(c->ssl, buf, (int)len);
                return n > 0 ? n : tls_result(c, n, "read", err);
        }
        ssize_t n;
        do {
                n = recv(c->fd, buf, len, 0);
        } while (n < 0 && errno == EINTR);
        if (n >= 0 || errno == EAGAIN)
                return n >= 0 ? n : -EAGAIN;
        return kc_error_set(err, errno, "read %s: read: %s", c->target, kc_net_strerror(errno));
}

static ssize_t write_plain(struct kc_conn *c, struct kc_error *err)
{
        struct iovec iov[WRITEV_MAX];
        size_t n = KC_MIN(c->out.n, (size_t)WRITEV_MAX);
        for (size_t i = 0; i < n; i++) {
                const struct kc_outq_seg *seg = kc_outq_at(&c->out, i);
                iov[i] = (struct iovec){.iov_base = (void *)seg->data, .iov_len = seg->len};
        }
        struct msghdr msg = {.msg_iov = iov, .msg_iovlen = n};
        ssize_t sent;
        do {
                sent = sendmsg(c->fd, &msg, MSG_NOSIGNAL);
        } while (sent < 0 && errno == EINTR);
        if (sent >= 0 || errno == EAGAIN)
                return sent >= 0 ? sent : -EAGAIN;
        return kc_error_set(err, errno, "write %s: write: %s", c->target, kc_net_strerror(errno));
}

/* Small pieces are gathered into one record. A retry sees at least the same bytes again, which is all that OpenSSL asks
 * for: the queue grows at its end only. */
static ssize_t write_tls(struct kc_conn *c, struct kc_error *err)
{
        char record[TLS_RECORD];
        const struct kc_outq_seg *first = kc_outq_at(&c->out, 0);
        const char *data = first->data;
        size_t len = KC_MIN(first->len, (size_t)TLS_RECORD);
        if (c->out.n > 1 && first->len < TLS_RECORD) {
                len = 0;
                data = record;
                for (size_t i = 0; i < c->out.n && len < TLS_RECORD; i++) {
                        const struct kc_outq_seg *seg = kc_outq_at(&c->out, i);
                        size_t part = KC_MIN(seg->len, TLS_RECORD - len);
                        memcpy(record + len, seg->data, part);
                        len += part;
                }
        }
        c->wants_write = false;
        ERR_clear_error();
        errno = 0;
        int n = SSL_write(c->ssl, data, (int)len);
        if (n > 0)
                return n;
        ssize_t r = tls_result(c, n, "write", err);
        return r == 0 ? kc_error_set(err, EPIPE, "write %s: write: broken pipe", c->target) : r;
}

/* --- Open connections */

static void read_in(struct kc_conn *c)
{
        char buf[READ_CHUNK];
        c->more_input = false;
        for (int round = 0; c->state == CONN_OPEN && !c->paused; round++) {
                if (round == READ_ROUNDS) {
                        c->more_input = true;
                        defer(c);
                        return;
                }
                struct kc_error err = KC_ERROR_INIT;
                ssize_t n = read_some(c, buf, sizeof(buf), &err);
                if (n == -EAGAIN)
                        return;
                if (n <= 0) {
                        end(c, n < 0 ? &err : NULL);
                        return;
                }
                c->cbs->on_input(c, buf, (size_t)n, c->arg);
                /* A plain socket that gave less than asked for has no more. */
                if (!c->ssl && (size_t)n < sizeof(buf))
                        return;
        }
}

/* What the peer has sent before it broke the connection (an early answer) is worth reading first. */
static void write_failed(struct kc_conn *c, struct kc_error *err)
{
        kc_outq_done(&c->out);
        c->paused = false;
        read_in(c);
        if (c->state == CONN_OPEN && !c->more_input)
                end(c, err);
        else /* it has ended by itself, or there is still more to read */
                kc_error_done(err);
}

static void flush(struct kc_conn *c)
{
        while (c->state == CONN_OPEN) {
                if (c->out.bytes < OUT_LOW && c->cbs->on_room)
                        c->cbs->on_room(c, &c->out, c->arg);
                if (c->state != CONN_OPEN || !c->out.n)
                        break;
                struct kc_error err = KC_ERROR_INIT;
                ssize_t n = c->ssl ? write_tls(c, &err) : write_plain(c, &err);
                if (n == -EAGAIN) {
                        watch(c);
                        return;
                }
                if (n < 0) {
                        write_failed(c, &err);
                        return;
                }
                kc_outq_consume(&c->out, (size_t)n);
                c->sent += (uint64_t)n;
        }
        if (c->state == CONN_OPEN && c->cbs->on_flushed)
                c->cbs->on_flushed(c, c->arg);
        if (c->state == CONN_OPEN)
                watch(c);
}

static void run_deferred(void *arg)
{
        struct kc_conn *c = arg;
        c->deferred = false;
        if (c->state == CONN_OPEN && c->more_input)
                read_in(c);
        if (c->state == CONN_OPEN)
                flush(c);
        unref(c);
}

void kc_conn_flush_soon(struct kc_conn *c)
{
        if (c->state == CONN_OPEN)
                defer(c);
}

void kc_conn_pause(struct kc_conn *c, bool paused)
{
        if (c->paused == paused || c->state == CONN_DEAD)
                return;
        c->paused = paused;
        watch(c);
        if (!paused) {
                c->more_input = true; /* TLS may hold some that the socket does not show */
                defer(c);
        }
}

bool kc_conn_readable(struct kc_conn *c)
{
        char byte;
        if (c->state != CONN_OPEN || (c->ssl && SSL_pending(c->ssl) > 0))
                return true;
        ssize_t n = recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
        return n >= 0 || errno != EAGAIN;
}

/* --- Opening */

static void opened(struct kc_conn *c)
{
        const unsigned char *alpn = NULL;
        unsigned len = 0;
        if (c->ssl && c->tls)
                SSL_get0_alpn_selected(c->ssl, &alpn, &len);
        kc_timer_free(KC_TAKE(c->timer));
        c->state = CONN_OPEN;
        c->opened = true;
        watch(c);
        c->cbs->on_open(c, len == 2 && memcmp(alpn, "h2", 2) == 0, c->arg);
        /* What has come with the handshake, and what there is to say. */
        if (c->state == CONN_OPEN) {
                c->more_input = c->ssl != NULL;
                defer(c);
        }
}

/* The next layer; fails only without memory. */
static bool add_tls(struct kc_conn *c, struct kc_tls_client *tls, const char *host, enum kc_tls_alpn alpn)
{
        SSL *ssl = kc_tls_client_ssl(tls, host, alpn);
        if (!ssl)
                return false;
        if (!c->outer) {
                if (SSL_set_fd(ssl, c->fd) != 1) {
                        SSL_free(ssl);
                        return false;
                }
        } else {
                BIO *below = BIO_new(BIO_f_ssl());
                if (!below) {
                        SSL_free(ssl);
                        return false;
                }
                BIO_set_ssl(below, c->outer, BIO_CLOSE);
                SSL_set_bio(ssl, below, below);
        }
        c->ssl = ssl;
        return true;
}

/* 0 when the handshake is over, -EAGAIN, or another error. */
static int handshake(struct kc_conn *c, struct kc_error *err)
{
        ERR_clear_error();
        errno = 0;
        c->wants_write = false;
        int r = SSL_connect(c->ssl);
        if (r == 1)
                return 0;
        switch (SSL_get_error(c->ssl, r)) {
        case SSL_ERROR_WANT_READ:
                return -EAGAIN;
        case SSL_ERROR_WANT_WRITE:
                c->wants_write = true;
                return -EAGAIN;
        case SSL_ERROR_SYSCALL:
                if (errno)
                        return kc_error_set(err, errno, "read %s: read: %s", c->target, kc_net_strerror(errno));
                return kc_error_set(err, ECONNRESET, "EOF");
        case SSL_ERROR_ZERO_RETURN:
                return kc_error_set(err, ECONNRESET, "EOF");
        default:
                if (ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
                        ERR_clear_error();
                        return kc_error_set(err, ECONNRESET, "EOF");
                }
                return kc_tls_client_failure(c->ssl, err);
        }
}

static int out_of_memory(struct kc_error *err)
{
        return kc_error_set(err, ENOMEM, "tls: %s", kc_tls_errors());
}

static int talk_to_proxy(struct kc_conn *c, struct kc_error *err)
{
        char buf[1024];
        struct kc_buf out = KC_BUF_INIT;
        bool done = false;
        int r = 0;
        while (r == 0 && !done) {
                while (r == 0 && c->out.n) {
                        ssize_t n = c->ssl ? write_tls(c, err) : write_plain(c, err);
                        if (n < 0)
                                r = (int)n;
                        else
                                kc_outq_consume(&c->out, (size_t)n);
                }
                if (r < 0)
                        break;
                ssize_t n = read_some(c, buf, sizeof(buf), err);
                if (n == 0)
                        n = kc_error_set(err, ECONNRESET, "EOF");
                if (n < 0) {
                        r = (int)n;
                        break;
                }
                r = net_proxy_input(&c->hello, buf, (size_t)n, &out, &done, err);
                kc_outq_copy(&c->out, out.data, out.len);
                kc_buf_reset(&out);
        }
        kc_buf_done(&out);
        return r;
}

static int greet_proxy(struct kc_conn *c, struct kc_error *err)
{
        struct kc_buf out = KC_BUF_INIT;
        c->hello = (struct net_proxy_hello){.proxy = c->proxy, .host = c->host, .port = c->port};
        int r = net_proxy_begin(&c->hello, &out, err);
        kc_outq_copy(&c->out, out.data, out.len);
        kc_buf_done(&out);
        return r;
}

/* What follows a step that is done. */
static int next_step(struct kc_conn *c, struct kc_error *err)
{
        if (c->state == CONN_DIAL && c->proxy && c->proxy->kind == KC_PROXY_HTTPS) {
                c->state = CONN_PROXY_TLS;
                return add_tls(c, c->tls_proxy, c->proxy->host, KC_TLS_ALPN_H1) ? 0 : out_of_memory(err);
        }
        if (c->state == CONN_PROXY_TLS)
                c->outer = c->ssl;
        if (c->state <= CONN_PROXY_TLS && c->proxy) {
                c->state = CONN_PROXY;
                return greet_proxy(c, err);
        }
        if (c->state <= CONN_PROXY && c->tls) {
                c->state = CONN_TLS;
                return add_tls(c, c->tls, c->tls_name ? c->tls_name : c->host, c->alpn) ? 0 : out_of_memory(err);
        }
        c->state = CONN_OPEN;
        return 0;
}

static void open_step(struct kc_conn *c)
{
        struct kc_error err = KC_ERROR_INIT;
        int r = 0;
        while (r == 0 && c->state != CONN_OPEN) {
                if (c->state == CONN_PROXY_TLS || c->state == CONN_TLS)
                        r = handshake(c, &err);
                else if (c->state == CONN_PROXY)
                        r = talk_to_proxy(c, &err);
                if (r == 0)
                        r = next_step(c, &err);
        }
        if (r == -EAGAIN)
                watch(c);
        else if (r < 0)
                end(c, &err);
        else
                opened(c);
}

static void on_io(int fd, int events, void *arg)
{
        struct kc_conn *c = arg;
        (void)fd;
        (void)events; /* TLS may need either; both directions are cheap to try */
        c->refs++;
        if (c->state == CONN_OPEN) {
                read_in(c);
                if (c->state == CONN_OPEN)
                        flush(c);
        } else {
                open_step(c);
        }
        unref(c);
}

static void on_dialed(int fd, const struct kc_error *err, void *arg)
{
        struct kc_conn *c = arg;
        c->refs++;
        kc_dial_free(KC_TAKE(c->dial));
        if (fd >= 0) {
                c->fd = fd;
                c->io = kc_io_new(c->loop, fd, KC_IO_READ, on_io, c);
                open_step(c);
        } else {
                struct kc_error why = KC_ERROR_INIT;
                kc_error_copy(&why, err);
                end(c, &why);
        }
        unref(c);
}

static void on_timer(void *arg)
{
        struct kc_conn *c = arg;
        struct kc_error err = KC_ERROR_INIT;
        c->refs++;
        kc_error_set(&err, ETIMEDOUT, "%s", c->state == CONN_TLS ? "TLS handshake timeout" : "i/o timeout");
        end(c, &err);
        unref(c);
}

struct kc_conn *kc_conn_new(struct kc_loop *l, const struct kc_conn_opts *o, const struct kc_conn_cbs *cbs, void *arg)
{
        struct kc_conn *c = KC_NEW(struct kc_conn);
        c->refs = 1;
        c->loop = l;
        c->cbs = cbs;
        c->arg = arg;
        c->tls = o->tls;
        c->tls_proxy = o->tls_proxy;
        c->proxy = o->unix_path ? NULL : o->proxy;
        c->alpn = o->alpn;
        c->host = kc_strdup(o->host);
        c->tls_name = kc_strdup(o->tls_name);
        c->port = kc_strdup(o->port);
        c->fd = -1;
        const char *host = c->proxy ? c->proxy->host : o->host, *port = c->proxy ? c->proxy->port : o->port;
        c->target = o->unix_path ? kc_asprintf("unix %s", o->unix_path) : kc_asprintf("tcp %s:%s", host, port);
        struct kc_dial_opts dial = {
            .unix_path = o->unix_path, .host = host, .port = port, .timeout_usec = o->timeout_usec};
        c->dial = kc_dial_new(l, &dial, on_dialed, c);
        if (o->timeout_usec > 0) {
                c->timer = kc_timer_new(l, on_timer, c);
                /* The dial has the same deadline and knows more to say about it. */
                kc_timer_arm(c->timer, o->timeout_usec + 10 * KC_MSEC);
        }
        return c;
}
