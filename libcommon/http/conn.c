/* Connections: socket and TLS input and output, deadlines, and the order of flushing and callbacks. On the loop. */
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "http/http_internal.h"

enum {
        WRITEV_MAX = 64,
        TLS_RECORD = 16 * 1024,
        FLUSH_ROUNDS = 8,    /* before other connections get their turn */
        KEEPALIVE_IDLE = 60, /* seconds; the kernel finds dead peers of silent watches */
        KEEPALIVE_INTERVAL = 15,
        KEEPALIVE_COUNT = 4,
};

static void on_io(int fd, int events, void *arg);
static void on_timer(void *arg);

static void set_socket_options(int fd)
{
        int one = 1, idle = KEEPALIVE_IDLE, interval = KEEPALIVE_INTERVAL, count = KEEPALIVE_COUNT;
        /* They fail on unix sockets, which do not need them. */
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
        (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
        (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
        (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
}

void http_conn_new(struct http_shard *shard, int fd, char *take_remote, struct http_peer *take_peer)
{
        struct http_conn *c = KC_NEW(struct http_conn);
        c->shard = http_shard_ref(shard);
        c->server = shard->server;
        c->fd = fd;
        c->peer = take_peer;
        c->born = kc_clock_mono(NULL);
        c->info = KC_NEW(struct http_conn_info);
        atomic_init(&c->info->refs, 1);
        c->info->remote = take_remote;
        kc_list_init(&c->node);
        kc_list_init(&c->dirty_node);
        kc_list_init(&c->handshake_node);
        kc_list_init(&c->events);
        kc_list_push_back(&shard->conns, &c->node);
        set_socket_options(fd);
        c->io_events = KC_IO_READ;
        c->io = kc_io_new(shard->loop, fd, c->io_events, on_io, c);
        c->timer = kc_timer_new(shard->loop, on_timer, c);
        c->state = HTTP_CONN_SNIFF;
        if (c->server->opts.tls) {
                c->state = HTTP_CONN_HANDSHAKE;
                c->info->tls = true;
                c->ssl = kc_tls_server_ssl(c->server->opts.tls);
                if (!c->ssl || SSL_set_fd(c->ssl, fd) != 1) {
                        http_conn_close(c);
                        return;
                }
        }
        http_conn_set_deadline(c, c->server->opts.header_timeout_ms * KC_MSEC);
}

bool http_conn_idle(const struct http_conn *c)
{
        switch (c->state) {
        case HTTP_CONN_H1:
                return http_h1_awaits_head(c);
        case HTTP_CONN_H2:
                return http_h2_idle(c);
        case HTTP_CONN_HANDSHAKE:
        case HTTP_CONN_SNIFF:
        case HTTP_CONN_LINGER:
                return true;
        default:
                return false;
        }
}

void http_conn_close(struct http_conn *c)
{
        if (c->state == HTTP_CONN_CLOSED)
                return;
        c->state = HTTP_CONN_CLOSED;
        if (c->stream)
                http_stream_cut(c->stream);
        if (c->h1)
                http_h1_free(c);
        if (c->h2)
                http_h2_close(c);
        kc_io_free(c->io);
        kc_timer_free(c->timer);
        c->io = NULL;
        c->timer = NULL;
        /* Keeps the session resumable; what waits in the socket buffer goes out without us. */
        if (c->ssl && !c->tls_failed && SSL_is_init_finished(c->ssl)) {
                SSL_shutdown(c->ssl);
                ERR_clear_error();
        }
        close(c->fd);
        c->fd = -1;
        kc_list_remove(&c->dirty_node);
        kc_list_remove(&c->handshake_node);
        kc_list_remove(&c->node);
        kc_list_push_back(&c->shard->dead, &c->node);
        http_shard_schedule(c->shard);
}

void http_conn_destroy(struct http_conn *c)
{
        assert(c->state == HTTP_CONN_CLOSED);
        http_conn_fire_events(c);
        if (c->stream)
                http_stream_gone(KC_TAKE(c->stream));
        if (c->h2)
                http_h2_free(c);
        kc_list_remove(&c->node);
        SSL_free(c->ssl);
        kc_outq_done(&c->out);
        http_conn_info_unref(c->info);
        struct http_shard *shard = c->shard;
        http_peers_leave(c->server->peers, c->peer);
        http_server_conn_gone(c->server, shard);
        kc_free(c);
        http_shard_unref(shard);
}

void http_conn_dirty(struct http_conn *c)
{
        c->touched = true;
        if (c->working || c->state == HTTP_CONN_CLOSED || c->dirty_node.next != &c->dirty_node)
                return;
        kc_list_push_back(&c->shard->dirty, &c->dirty_node);
        http_shard_schedule(c->shard);
}

/* --- Deadlines: the timer is left alone while it fires no later than needed; firing early re-arms it. */

void http_conn_set_deadline(struct http_conn *c, int64_t usec_from_now)
{
        if (c->state == HTTP_CONN_CLOSED)
                return;
        if (usec_from_now == 0) {
                c->deadline = 0;
                return;
        }
        c->deadline = kc_clock_mono(NULL) + usec_from_now;
        if (c->armed_for && c->armed_for <= c->deadline)
                return;
        c->armed_for = c->deadline;
        kc_timer_arm(c->timer, usec_from_now);
}

/* Output that nobody takes has a deadline of its own. */
static kc_mono effective_deadline(const struct http_conn *c)
{
        kc_mono stall = c->stalled_since ? c->stalled_since + HTTP_WRITE_STALL : 0;
        if (!stall || (c->deadline && c->deadline < stall))
                return c->deadline;
        return stall;
}

static void arm_for_stall(struct http_conn *c, kc_mono now)
{
        c->stalled_since = now;
        if (c->armed_for && c->armed_for <= now + HTTP_WRITE_STALL)
                return;
        c->armed_for = now + HTTP_WRITE_STALL;
        kc_timer_arm(c->timer, HTTP_WRITE_STALL);
}

static void on_timer(void *arg)
{
        struct http_conn *c = arg;
        c->armed_for = 0;
        kc_mono deadline = effective_deadline(c), now = kc_clock_mono(NULL);
        if (!deadline)
                return;
        if (now < deadline) {
                c->armed_for = deadline;
                kc_timer_arm(c->timer, deadline - now);
                return;
        }
        bool stalled = deadline != c->deadline;
        c->deadline = 0;
        c->working = true;
        if (!stalled && c->state == HTTP_CONN_H1)
                http_h1_timeout(c);
        else if (!stalled && c->state == HTTP_CONN_H2)
                http_h2_timeout(c);
        else
                http_conn_close(c);
        http_conn_flush(c);
}

/* --- Output */

enum io_result { IO_DONE, IO_BLOCKED, IO_FAILED };

static enum io_result write_plain(struct http_conn *c)
{
        while (c->out.n) {
                struct iovec iov[WRITEV_MAX];
                size_t n = KC_MIN(c->out.n, (size_t)WRITEV_MAX);
                for (size_t i = 0; i < n; i++) {
                        const struct kc_outq_seg *seg = kc_outq_at(&c->out, i);
                        iov[i] = (struct iovec){.iov_base = (void *)seg->data, .iov_len = seg->len};
                }
                struct msghdr msg = {.msg_iov = iov, .msg_iovlen = n};
                ssize_t sent = sendmsg(c->fd, &msg, MSG_NOSIGNAL);
                if (sent < 0 && errno == EINTR)
                        continue;
                if (sent < 0)
                        return errno == EAGAIN ? IO_BLOCKED : IO_FAILED;
                kc_outq_consume(&c->out, (size_t)sent);
                c->stalled_since = 0;
        }
        return IO_DONE;
}

/* The next bytes for one record: a large segment as it is, small ones gathered. A retry after "want write" sees at
 * least the same bytes again, which is all that OpenSSL asks for: the queue grows at its end only. */
static const char *gather(struct http_conn *c, char *record, size_t *ret_len)
{
        const struct kc_outq_seg *first = kc_outq_at(&c->out, 0);
        if (first->len >= TLS_RECORD || c->out.n == 1) {
                *ret_len = KC_MIN(first->len, (size_t)TLS_RECORD);
                return first->data;
        }
        size_t len = 0;
        for (size_t i = 0; i < c->out.n && len < TLS_RECORD; i++) {
                const struct kc_outq_seg *seg = kc_outq_at(&c->out, i);
                size_t part = KC_MIN(seg->len, TLS_RECORD - len);
                memcpy(record + len, seg->data, part);
                len += part;
        }
        *ret_len = len;
        return record;
}

static enum io_result tls_result(struct http_conn *c, int r)
{
        switch (SSL_get_error(c->ssl, r)) {
        case SSL_ERROR_WANT_READ:
                return IO_BLOCKED;
        case SSL_ERROR_WANT_WRITE:
                c->tls_wants_write = true;
                return IO_BLOCKED;
        case SSL_ERROR_ZERO_RETURN:
                return IO_FAILED;
        default:
                c->tls_failed = true;
                return IO_FAILED;
        }
}

static enum io_result write_tls(struct http_conn *c)
{
        char record[TLS_RECORD];
        while (c->out.n) {
                size_t len;
                const char *data = gather(c, record, &len);
                ERR_clear_error();
                int r = SSL_write(c->ssl, data, (int)len);
                if (r <= 0)
                        return tls_result(c, r);
                kc_outq_consume(&c->out, (size_t)r);
                c->stalled_since = 0;
        }
        return IO_DONE;
}

static enum io_result write_out(struct http_conn *c)
{
        if (!c->out.n)
                return IO_DONE;
        enum io_result res = c->ssl ? write_tls(c) : write_plain(c);
        if (res == IO_BLOCKED && !c->stalled_since)
                arm_for_stall(c, kc_clock_mono(NULL));
        return res;
}

void http_conn_goodbye(struct http_conn *c)
{
        if (c->state == HTTP_CONN_H2) {
                http_h2_goodbye(c);
                (void)http_h2_fill(c); /* what does not go out at once is lost, as the connection is */
                (void)write_out(c);
        }
        http_conn_close(c);
}

/* Everything is sent; the peer may still be sending, and closing now would reset the connection under its nose. */
static void linger(struct http_conn *c)
{
        if (c->eof) {
                http_conn_close(c);
                return;
        }
        if (c->ssl) {
                SSL_shutdown(c->ssl);
                ERR_clear_error();
                c->tls_failed = true; /* once is enough */
        }
        shutdown(c->fd, SHUT_WR);
        if (c->h1)
                http_h1_free(c);
        if (c->h2)
                http_h2_close(c);
        c->state = HTTP_CONN_LINGER;
        c->read_paused = false;
        http_conn_set_deadline(c, HTTP_LINGER);
}

/* Sends until the socket or the data runs out. */
static enum io_result pump(struct http_conn *c, bool *ret_h2_alive)
{
        for (;;) {
                if (c->state == HTTP_CONN_H2)
                        *ret_h2_alive = http_h2_fill(c);
                if (!c->out.n)
                        return IO_DONE;
                enum io_result res = write_out(c);
                if (res != IO_DONE || c->state != HTTP_CONN_H2)
                        return res;
        }
}

static void flush_round(struct http_conn *c)
{
        bool h2_alive = true;
        c->touched = false;
        if (c->abort) {
                http_conn_close(c);
                return;
        }
        enum io_result res = pump(c, &h2_alive);
        if (res == IO_FAILED) {
                http_conn_close(c);
                return;
        }
        if (c->state == HTTP_CONN_H1)
                http_h1_flushed(c);
        else if (c->state == HTTP_CONN_RAW && http_stream_flushed(c->stream))
                c->close_after_flush = true;
        http_conn_fire_events(c);
        if (c->state == HTTP_CONN_CLOSED || c->touched || c->out.n)
                return;
        if (!h2_alive || c->close_after_flush)
                linger(c);
}

static void update_events(struct http_conn *c)
{
        int events = c->read_paused || c->eof ? 0 : KC_IO_READ;
        if (c->out.n || c->tls_wants_write || c->touched || c->more_input)
                events |= KC_IO_WRITE;
        if (events != c->io_events) {
                c->io_events = events;
                kc_io_set(c->io, events);
        }
}

void http_conn_flush(struct http_conn *c)
{
        c->working = true;
        kc_list_remove(&c->dirty_node);
        for (int i = 0; i < FLUSH_ROUNDS && c->state != HTTP_CONN_CLOSED; i++) {
                if (c->state == HTTP_CONN_HANDSHAKE)
                        break;
                if (c->state == HTTP_CONN_LINGER) {
                        c->touched = false;
                        http_conn_fire_events(c);
                        break;
                }
                flush_round(c);
                if (!c->touched)
                        break;
        }
        c->working = false;
        if (c->state != HTTP_CONN_CLOSED)
                update_events(c);
}

/* --- Input */

static void dispatch(struct http_conn *c, const char *data, size_t len);

static void set_protocol(struct http_conn *c, bool h2)
{
        c->state = h2 ? HTTP_CONN_H2 : HTTP_CONN_H1;
        if (!h2)
                http_h1_init(c);
        else if (http_h2_init(c) < 0)
                http_conn_close(c);
}

/* Go's words for a common mistake. */
static void answer_plain_http(struct http_conn *c)
{
        static const char answer[] =
            "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";
        /* The connection ends either way. */
        (void)send(c->fd, answer, sizeof(answer) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void handshake(struct http_conn *c)
{
        c->tls_wants_write = false;
        ERR_clear_error();
        int r = SSL_accept(c->ssl);
        if (r != 1) {
                if (tls_result(c, r) == IO_BLOCKED)
                        return;
                bool plain = ERR_GET_REASON(ERR_peek_error()) == SSL_R_HTTP_REQUEST;
                kc_log_v(4, "TLS handshake error", "remote", c->info->remote, "error", kc_tls_errors());
                if (plain)
                        answer_plain_http(c);
                http_conn_close(c);
                return;
        }
        c->info->peer = kc_tls_peer_of(c->ssl);
        c->info->peer_invalid = !c->info->peer && SSL_get0_peer_certificate(c->ssl);
        const unsigned char *alpn;
        unsigned alpn_len;
        SSL_get0_alpn_selected(c->ssl, &alpn, &alpn_len);
        set_protocol(c, alpn_len == 2 && memcmp(alpn, "h2", 2) == 0);
}

/* HTTP/2 without TLS shows itself by its first bytes: no method is called "PRI". */
static void sniff(struct http_conn *c, const char *data, size_t len)
{
        static const char preface[] = "PRI ";
        char head[HTTP_SNIFF_LEN];
        size_t kept = c->n_sniffed, more = KC_MIN(len, sizeof(head) - kept);
        memcpy(head, c->sniffed, kept);
        memcpy(head + kept, data, more);
        bool h2 = memcmp(head, preface, kept + more) == 0;
        if (h2 && kept + more < sizeof(head)) {
                memcpy(c->sniffed, head, kept + more);
                c->n_sniffed = (uint8_t)(kept + more);
                return;
        }
        set_protocol(c, h2);
        if (kept)
                dispatch(c, head, kept);
        dispatch(c, data, len);
}

static void dispatch(struct http_conn *c, const char *data, size_t len)
{
        switch (c->state) {
        case HTTP_CONN_SNIFF:
                sniff(c, data, len);
                break;
        case HTTP_CONN_H1:
                http_h1_input(c, data, len);
                break;
        case HTTP_CONN_H2:
                http_h2_input(c, data, len);
                break;
        case HTTP_CONN_RAW:
                http_stream_input(c->stream, data, len);
                break;
        default: /* lingering: thrown away */
                break;
        }
}

/* Bytes read, 0 at the end, -EAGAIN, or another negative errno. */
static ssize_t read_some(struct http_conn *c)
{
        char *buf = c->shard->scratch;
        /* The TLS session is closed for writing only; the rest of its input is not worth decrypting. */
        if (!c->ssl || c->state == HTTP_CONN_LINGER) {
                ssize_t n = recv(c->fd, buf, HTTP_READ_CHUNK, MSG_DONTWAIT);
                return n >= 0 ? n : errno == EINTR ? -EAGAIN : -errno;
        }
        c->tls_wants_write = false;
        ERR_clear_error();
        int r = SSL_read(c->ssl, buf, HTTP_READ_CHUNK);
        if (r > 0)
                return r;
        if (tls_result(c, r) == IO_BLOCKED)
                return -EAGAIN;
        return c->tls_failed ? -ECONNRESET : 0;
}

static void end_of_input(struct http_conn *c)
{
        c->eof = true;
        if (c->state == HTTP_CONN_H1)
                http_h1_eof(c);
        else
                http_conn_close(c);
}

static void read_input(struct http_conn *c)
{
        size_t budget = HTTP_READ_BUDGET;
        c->more_input = false;
        while (c->state != HTTP_CONN_CLOSED && !c->read_paused && !c->eof) {
                if (budget == 0) {
                        c->more_input = true;
                        return;
                }
                ssize_t n = read_some(c);
                if (n == -EAGAIN)
                        return;
                if (n < 0) {
                        http_conn_close(c);
                        return;
                }
                if (n == 0) {
                        end_of_input(c);
                        return;
                }
                budget -= KC_MIN(budget, (size_t)n);
                dispatch(c, c->shard->scratch, (size_t)n);
                /* A plain socket that gave less than asked for has no more. */
                if (!c->ssl && (size_t)n < HTTP_READ_CHUNK)
                        return;
        }
}

void http_conn_handshake(struct http_conn *c)
{
        c->working = true;
        handshake(c);
        if (c->state != HTTP_CONN_HANDSHAKE)
                read_input(c);
        if (c->state != HTTP_CONN_CLOSED)
                http_conn_flush(c);
}

static void on_io(int fd, int events, void *arg)
{
        struct http_conn *c = arg;
        (void)fd;
        (void)events; /* TLS may need either; both directions are cheap to try */
        if (c->state == HTTP_CONN_HANDSHAKE) {
                c->io_events = 0; /* until its turn */
                kc_io_set(c->io, 0);
                http_shard_queue_handshake(c->shard, c);
                return;
        }
        c->working = true;
        read_input(c);
        if (c->state != HTTP_CONN_CLOSED)
                http_conn_flush(c);
}

void http_conn_pause_read(struct http_conn *c, bool paused)
{
        if (c->read_paused == paused)
                return;
        c->read_paused = paused;
        if (!paused)
                c->more_input = true; /* TLS may hold some that the socket does not show */
        http_conn_dirty(c);
}

void http_conn_drain(struct http_conn *c)
{
        if (c->state == HTTP_CONN_H2) {
                http_h2_drain(c);
                http_conn_dirty(c);
        } else if (c->state == HTTP_CONN_SNIFF || (c->state == HTTP_CONN_H1 && http_h1_idle(c))) {
                http_conn_close(c);
        }
}
