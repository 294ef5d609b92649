/* Non-blocking connections, plain or by OpenSSL, with an output queue. On the loop. */
#include "stream/wire.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/ip.h"
#include "base/mem.h"

enum { WIRE_PIECE = 32 * 1024, WIRE_READS = 8 };
#define WIRE_OPEN_TIMEOUT (30 * KC_SEC)

enum state { CONNECTING, HANDSHAKE, OPEN, CLOSED };

struct kc_wire {
        struct kc_loop *loop;
        const struct kc_wire_cbs *cbs;
        void *arg;
        struct sockaddr_storage *addresses;
        size_t n_addresses, at;
        struct kc_tls_client *tls;
        char *tls_name;
        enum state state;
        int fd; /* -1: none */
        SSL *ssl;
        struct kc_io *io;
        struct kc_timer *timer;
        struct kc_buf out;
        size_t sent; /* of out */
        bool paused, drain_due, freed;
        bool again;     /* TLS holds bytes that no event will tell of */
        bool scheduled; /* run is to come */
        bool tls_wants_write;
};

/* --- Addresses */

const char *kc_wire_format(const struct sockaddr_storage *a, char buf[static KC_WIRE_ADDRESS_LEN])
{
        char ip[INET6_ADDRSTRLEN] = "";
        if (a->ss_family == AF_INET6) {
                const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)a;
                inet_ntop(AF_INET6, &in6->sin6_addr, ip, sizeof(ip));
                snprintf(buf, KC_WIRE_ADDRESS_LEN, "[%s]:%d", ip, ntohs(in6->sin6_port));
        } else {
                const struct sockaddr_in *in = (const struct sockaddr_in *)a;
                inet_ntop(AF_INET, &in->sin_addr, ip, sizeof(ip));
                snprintf(buf, KC_WIRE_ADDRESS_LEN, "%s:%d", ip, ntohs(in->sin_port));
        }
        return buf;
}

int kc_wire_resolve(const char *host, int port, struct sockaddr_storage **ret, size_t *ret_n, struct kc_error *err)
{
        char service[12];
        snprintf(service, sizeof(service), "%d", port);
        const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV | AI_ADDRCONFIG};
        const struct addrinfo numeric = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV | AI_NUMERICHOST};
        struct addrinfo *list = NULL;
        int r = getaddrinfo(host, service, &numeric, &list);
        if (r == EAI_NONAME)
                r = getaddrinfo(host, service, &hints, &list);
        if (r != 0)
                return kc_error_set(err, EADDRNOTAVAIL, "dial tcp: lookup %s: %s", host,
                    r == EAI_NONAME ? "no such host" : gai_strerror(r));
        size_t n = 0;
        for (const struct addrinfo *a = list; a; a = a->ai_next)
                n++;
        *ret = kc_calloc(n, sizeof(**ret));
        *ret_n = 0;
        for (const struct addrinfo *a = list; a; a = a->ai_next)
                if (a->ai_addrlen <= sizeof(**ret))
                        memcpy(&(*ret)[(*ret_n)++], a->ai_addr, a->ai_addrlen);
        freeaddrinfo(list);
        return 0;
}

/* --- Ends */

static void hang_up(struct kc_wire *w)
{
        kc_timer_free(KC_TAKE(w->timer));
        kc_io_free(KC_TAKE(w->io));
        SSL_free(KC_TAKE(w->ssl));
        if (w->fd >= 0)
                close(w->fd);
        w->fd = -1;
}

static void destroy(void *arg)
{
        struct kc_wire *w = arg;
        kc_buf_done(&w->out);
        kc_free(w->addresses);
        kc_free(w->tls_name);
        kc_free(w);
}

void kc_wire_free(struct kc_wire *w)
{
        if (!w || w->freed)
                return;
        w->freed = true;
        if (w->ssl && w->state == OPEN)
                (void)SSL_shutdown(w->ssl); /* says goodbye if the socket takes it */
        w->state = CLOSED;
        ERR_clear_error();
        hang_up(w);
        if (!w->scheduled) /* else run() frees */
                kc_loop_defer(w->loop, destroy, w);
}

static void closed(struct kc_wire *w, const struct kc_error *err)
{
        w->state = CLOSED;
        hang_up(w);
        w->cbs->on_close(w, err, w->arg);
}

/* Go writes errors in lower case. */
static const char *text_of(int errnum, char *buf, size_t size)
{
        snprintf(buf, size, "%s", errnum == ETIMEDOUT ? "i/o timeout" : strerror(errnum));
        buf[0] = (char)tolower((unsigned char)buf[0]);
        return buf;
}

static void fail(struct kc_wire *w, const char *op, const char *call, int errnum)
{
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        char where[KC_WIRE_ADDRESS_LEN], text[128];
        (void)kc_error_set(&err, errnum, "%s tcp %s: %s%s%s", op, kc_wire_format(&w->addresses[w->at], where), call,
            *call ? ": " : "", text_of(errnum, text, sizeof(text)));
        closed(w, &err);
}

static void fail_tls(struct kc_wire *w)
{
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        long verified = SSL_get_verify_result(w->ssl);
        if (w->state == HANDSHAKE && verified != X509_V_OK)
                (void)kc_error_set(&err, EPROTO, "tls: failed to verify certificate: x509: %s",
                    X509_verify_cert_error_string(verified));
        else
                (void)kc_error_set(&err, EPROTO, "tls: %s", kc_tls_errors());
        ERR_clear_error();
        closed(w, &err);
}

static void on_timeout(void *arg)
{
        fail(arg, "dial", "", ETIMEDOUT);
}

/* --- Connecting */

static void on_io(int fd, int events, void *arg);
static void opened(struct kc_wire *w);

static void set_events(struct kc_wire *w)
{
        int events = 0;
        if (!w->io)
                return;
        if (w->state == CONNECTING)
                events = KC_IO_WRITE;
        else if (w->state == HANDSHAKE)
                events = w->tls_wants_write ? KC_IO_WRITE : KC_IO_READ;
        else
                events = (w->paused ? 0 : KC_IO_READ) | (w->out.len > w->sent ? KC_IO_WRITE : 0);
        kc_io_set(w->io, events);
}

/* 0 or the errno of the attempt. */
static int dial_one(struct kc_wire *w)
{
        const struct sockaddr_storage *a = &w->addresses[w->at];
        w->fd = socket(a->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (w->fd < 0)
                return errno;
        int one = 1;
        (void)setsockopt(w->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)); /* only costs delay */
        socklen_t len = a->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
        if (connect(w->fd, (const struct sockaddr *)a, len) < 0 && errno != EINPROGRESS) {
                int e = errno;
                close(w->fd);
                w->fd = -1;
                return e;
        }
        w->io = kc_io_new(w->loop, w->fd, KC_IO_WRITE, on_io, w);
        return 0;
}

/* From the address at on, with e as what the one before said. */
static void dial(struct kc_wire *w)
{
        int e;
        while ((e = dial_one(w)) != 0) {
                if (w->at + 1 == w->n_addresses) {
                        fail(w, "dial", "connect", e);
                        return;
                }
                w->at++;
        }
}

static void handshake(struct kc_wire *w)
{
        ERR_clear_error();
        int r = SSL_do_handshake(w->ssl);
        if (r == 1) {
                opened(w);
                return;
        }
        int why = SSL_get_error(w->ssl, r);
        if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) {
                w->tls_wants_write = why == SSL_ERROR_WANT_WRITE;
                set_events(w);
        } else if (why == SSL_ERROR_SYSCALL) {
                fail(w, "read", "", errno ? errno : ECONNRESET);
        } else {
                fail_tls(w);
        }
}

static int set_name(SSL *ssl, const char *name)
{
        struct kc_ip ip;
        if (kc_ip_parse(name, &ip) == 0)
                return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name);
        SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
        return SSL_set1_host(ssl, name) == 1 && SSL_set_tlsext_host_name(ssl, name) == 1;
}

static void on_connected(struct kc_wire *w)
{
        int e = 0;
        socklen_t len = sizeof(e);
        if (getsockopt(w->fd, SOL_SOCKET, SO_ERROR, &e, &len) < 0)
                e = errno;
        if (e && w->at + 1 < w->n_addresses) {
                kc_io_free(KC_TAKE(w->io));
                close(w->fd);
                w->fd = -1;
                w->at++;
                dial(w);
                return;
        }
        if (e) {
                fail(w, "dial", "connect", e);
                return;
        }
        if (!w->tls) {
                opened(w);
                return;
        }
        w->state = HANDSHAKE;
        w->ssl = kc_tls_client_ssl(w->tls);
        if (!w->ssl || (w->tls_name && set_name(w->ssl, w->tls_name) != 1) || SSL_set_fd(w->ssl, w->fd) != 1) {
                fail(w, "dial", "tls", ENOMEM);
                return;
        }
        handshake(w);
}

/* --- Open */

static void flush(struct kc_wire *w)
{
        while (w->state == OPEN && w->sent < w->out.len) {
                ssize_t n;
                if (w->ssl) {
                        ERR_clear_error();
                        int r =
                            SSL_write(w->ssl, w->out.data + w->sent, (int)KC_MIN(w->out.len - w->sent, INT32_MAX / 2));
                        int why = r > 0 ? 0 : SSL_get_error(w->ssl, r);
                        if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE)
                                break;
                        if (why == SSL_ERROR_SYSCALL) {
                                fail(w, "write", "", errno ? errno : EPIPE);
                                return;
                        }
                        if (why) {
                                fail_tls(w);
                                return;
                        }
                        n = r;
                } else {
                        n = send(w->fd, w->out.data + w->sent, w->out.len - w->sent, MSG_NOSIGNAL);
                        if (n < 0 && errno == EINTR)
                                continue;
                        if (n < 0 && errno == EAGAIN)
                                break;
                        if (n < 0) {
                                fail(w, "write", "", errno);
                                return;
                        }
                }
                w->sent += (size_t)n;
        }
        if (w->state != OPEN)
                return;
        /* What is sent goes when it is half: bytes are moved at most twice. */
        if (w->sent * 2 >= w->out.len) {
                kc_buf_consume(&w->out, w->sent);
                w->sent = 0;
        }
        set_events(w);
        if (w->out.len == 0 && w->drain_due) {
                w->drain_due = false;
                if (w->cbs->on_drain)
                        w->cbs->on_drain(w, w->arg);
        }
}

/* >0 bytes, 0 the end, -EAGAIN, or -1: failed and told. */
static ssize_t receive(struct kc_wire *w, char *piece, size_t size)
{
        if (!w->ssl) {
                ssize_t n = recv(w->fd, piece, size, 0);
                if (n >= 0)
                        return n;
                if (errno == EINTR || errno == EAGAIN)
                        return -EAGAIN;
                fail(w, "read", "", errno);
                return -1;
        }
        ERR_clear_error();
        int n = SSL_read(w->ssl, piece, (int)size);
        int why = n > 0 ? 0 : SSL_get_error(w->ssl, n);
        if (why == 0)
                return n;
        if (why == SSL_ERROR_ZERO_RETURN)
                return 0;
        if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE)
                return -EAGAIN;
        if (why == SSL_ERROR_SYSCALL)
                fail(w, "read", "", errno ? errno : ECONNRESET);
        else
                fail_tls(w);
        return -1;
}

static void schedule(struct kc_wire *w);

static void read_some(struct kc_wire *w)
{
        char piece[WIRE_PIECE];
        for (int i = 0; i < WIRE_READS; i++) {
                if (w->state != OPEN || w->paused)
                        return;
                ssize_t n = receive(w, piece, sizeof(piece));
                if (n == -EAGAIN || n == -1)
                        return;
                if (n == 0) {
                        closed(w, NULL);
                        return;
                }
                w->cbs->on_data(w, piece, (size_t)n, w->arg);
        }
        if (w->state == OPEN && w->ssl && SSL_pending(w->ssl) > 0) {
                w->again = true;
                schedule(w);
        }
}

static void run(void *arg)
{
        struct kc_wire *w = arg;
        w->scheduled = false;
        if (w->freed) {
                destroy(w);
                return;
        }
        if (w->state == CLOSED)
                return;
        if (w->state == OPEN) {
                flush(w);
                if (w->again && w->state == OPEN && !w->paused) {
                        w->again = false;
                        read_some(w);
                }
        } else if (w->state == CONNECTING && !w->io) {
                dial(w);
        }
}

static void schedule(struct kc_wire *w)
{
        if (w->scheduled || w->state == CLOSED)
                return;
        w->scheduled = true;
        kc_loop_defer(w->loop, run, w);
}

static void opened(struct kc_wire *w)
{
        w->state = OPEN;
        kc_timer_free(KC_TAKE(w->timer));
        set_events(w);
        w->cbs->on_open(w, w->arg);
        if (w->state == OPEN)
                flush(w);
}

static void on_io(int fd, int events, void *arg)
{
        struct kc_wire *w = arg;
        (void)fd; /* w's */
        if (w->state == CONNECTING) {
                on_connected(w);
                return;
        }
        if (w->state == HANDSHAKE) {
                handshake(w);
                return;
        }
        if (events & KC_IO_WRITE)
                flush(w);
        if ((events & KC_IO_READ) && w->state == OPEN)
                read_some(w);
}

struct kc_wire *kc_wire_new(const struct kc_wire_opts *o)
{
        struct kc_wire *w = KC_NEW(struct kc_wire);
        w->loop = o->loop;
        w->cbs = o->cbs;
        w->arg = o->arg;
        w->addresses = kc_memdup(o->addresses, o->n_addresses * sizeof(*o->addresses));
        w->n_addresses = o->n_addresses;
        w->tls = o->tls;
        w->tls_name = kc_strdup(o->tls_name);
        w->fd = -1;
        w->timer = kc_timer_new(w->loop, on_timeout, w);
        kc_timer_arm(w->timer, o->open_timeout > 0 ? o->open_timeout : WIRE_OPEN_TIMEOUT);
        schedule(w);
        return w;
}

void kc_wire_write(struct kc_wire *w, const void *data, size_t len)
{
        if (w->state == CLOSED || len == 0)
                return;
        kc_buf_add(&w->out, data, len);
        w->drain_due = true;
        if (w->state == OPEN)
                schedule(w);
}

size_t kc_wire_queued(const struct kc_wire *w)
{
        return w->out.len - w->sent;
}

void kc_wire_pause(struct kc_wire *w, bool paused)
{
        if (w->paused == paused)
                return;
        w->paused = paused;
        set_events(w);
        if (!paused && w->ssl && w->state == OPEN && SSL_pending(w->ssl) > 0) {
                w->again = true;
                schedule(w);
        }
}
