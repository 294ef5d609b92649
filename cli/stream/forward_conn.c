/* One forwarded connection: a socket, its data stream and its error stream. On the loop. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"
#include "cli/stream/forward_internal.h"

enum { PIECE = 32 << 10, MAX_OUT = 1 << 20, MAX_ERROR = 64 << 10 };

struct forward_conn {
        struct kc_forward *forward;
        struct forward_conn *next;
        int fd, local, remote;
        struct kc_io *io;
        uint32_t data, error;
        struct kc_buf out;       /* to the socket */
        struct kc_buf complaint; /* of the error stream */
        bool local_ended, remote_ended, error_ended;
};

static void watch(struct forward_conn *c)
{
        bool reads = !c->local_ended && !c->forward->paused;
        kc_io_set(c->io, (reads ? KC_IO_READ : 0) | (c->out.len > 0 ? KC_IO_WRITE : 0));
}

static void conn_free(struct forward_conn *c)
{
        struct forward_conn **at = &c->forward->conns;
        while (*at != c)
                at = &(*at)->next;
        *at = c->next;
        kc_wire_pause(c->forward->wire, false); /* it may have been for this one */
        kc_io_free(c->io);
        /* What was not read would make the close a reset, which takes back what was sent. */
        char rest[PIECE];
        while (recv(c->fd, rest, sizeof(rest), MSG_DONTWAIT) > 0)
                continue;
        (void)close(c->fd);
        kc_buf_done(&c->out);
        kc_buf_done(&c->complaint);
        kc_free(c);
}

/* The socket is gone: so is the stream. */
static void conn_abort(struct forward_conn *c)
{
        struct kc_forward *f = c->forward;
        (void)kc_spdy_reset(f->spdy, c->data, KC_SPDY_CANCEL);
        (void)kc_spdy_reset(f->spdy, c->error, KC_SPDY_CANCEL); /* either may have ended before */
        conn_free(c);
        forward_flush(f);
}

/* In the words and the form of client-go. */
static void complain(const char *fmt, ...) KC_PRINTF(1, 2);
static void complain(const char *fmt, ...)
{
        struct kc_error err = KC_ERROR_INIT;
        va_list ap;
        va_start(ap, fmt);
        KC_CLEANUP(kc_freep) char *text = kc_vasprintf(fmt, ap);
        va_end(ap);
        (void)kc_error_set(&err, EREMOTEIO, "%s", text);
        kc_log_error(&err, "Unhandled Error");
        kc_error_done(&err);
}

/* When the pod has said all there is no more to come, whatever the client still sends. */
static void end_if_over(struct forward_conn *c)
{
        struct kc_forward *f = c->forward;
        if (c->error_ended && c->complaint.len > 0) {
                complain("an error occurred forwarding %d -> %d: %s", c->local, c->remote, kc_buf_str(&c->complaint));
                conn_abort(c);
                forward_end(f, NULL); /* as client-go: the tunnel is not used any more */
                return;
        }
        if (!c->remote_ended || c->out.len > 0 || !c->error_ended)
                return;
        conn_abort(c);
}

static void flush_out(struct forward_conn *c)
{
        while (c->out.len > 0) {
                ssize_t n = send(c->fd, c->out.data, c->out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0 && errno == EAGAIN)
                        break;
                if (n < 0) {
                        kc_buf_reset(&c->out);
                        conn_abort(c);
                        return;
                }
                kc_buf_consume(&c->out, (size_t)n);
        }
        if (c->out.len < MAX_OUT)
                kc_wire_pause(c->forward->wire, false);
        watch(c);
        end_if_over(c);
}

static void read_socket(struct forward_conn *c)
{
        char piece[PIECE];
        ssize_t n = recv(c->fd, piece, sizeof(piece), MSG_DONTWAIT);
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
                return;
        if (n < 0) {
                conn_abort(c);
                return;
        }
        c->local_ended = n == 0;
        (void)kc_spdy_data(
            c->forward->spdy, c->data, piece, (size_t)n, n == 0); /* a stream that is gone ends us soon */
        watch(c);
        forward_flush(c->forward);
}

static void on_socket(int fd, int events, void *arg)
{
        (void)fd;
        struct forward_conn *c = arg;
        if (events & KC_IO_WRITE)
                flush_out(c);
        else
                read_socket(c);
}

static uint32_t open_stream(struct kc_forward *f, const char *type, int remote, int request, bool fin)
{
        KC_CLEANUP(kc_strv_freep) char **headers = NULL;
        kc_strv_push(&headers, "streamtype");
        kc_strv_push(&headers, type);
        kc_strv_push(&headers, "port");
        kc_strv_pushf(&headers, "%d", remote);
        kc_strv_push(&headers, "requestid");
        kc_strv_pushf(&headers, "%d", request);
        return kc_spdy_open(f->spdy, headers, fin);
}

void forward_conn_new(struct kc_forward *f, int take_fd, int local, int remote)
{
        struct forward_conn *c = KC_NEW(struct forward_conn);
        *c = (struct forward_conn){.forward = f, .next = f->conns, .fd = take_fd, .local = local, .remote = remote};
        f->conns = c;
        c->io = kc_io_new(f->loop, take_fd, 0, on_socket, c);
        int request = f->requests++;
        c->error = open_stream(f, "error", remote, request, true);
        c->data = c->error ? open_stream(f, "data", remote, request, false) : 0;
        if (!c->data) {
                complain("error creating %s stream for port %d -> %d: too many streams",
                    c->error ? "forwarding" : "error", local, remote);
                conn_abort(c);
                return;
        }
        watch(c);
        forward_flush(f);
}

void forward_conns_pause(struct kc_forward *f, bool paused)
{
        f->paused = paused;
        for (struct forward_conn *c = f->conns; c; c = c->next)
                watch(c);
}

void forward_conns_free(struct kc_forward *f)
{
        while (f->conns)
                conn_free(f->conns);
}

/* --- from the pod */

static struct forward_conn *conn_of(const struct kc_forward *f, uint32_t id)
{
        for (struct forward_conn *c = f->conns; c; c = c->next)
                if (c->data == id || c->error == id)
                        return c;
        return NULL;
}

static int on_data(uint32_t id, const char *data, size_t len, bool fin, void *arg)
{
        struct kc_forward *f = arg;
        struct forward_conn *c = conn_of(f, id);
        if (!c)
                return 0;
        if (id == c->error) {
                if (kc_buf_add_limited(&c->complaint, data, len, MAX_ERROR) < 0)
                        fin = true; /* long enough */
                c->error_ended = c->error_ended || fin;
                end_if_over(c);
                return 0;
        }
        kc_buf_add(&c->out, data, len);
        c->remote_ended = c->remote_ended || fin;
        if (c->out.len > MAX_OUT)
                kc_wire_pause(f->wire, true);
        flush_out(c);
        return 0;
}

static int on_reset(uint32_t id, uint32_t status, void *arg)
{
        (void)status;
        return on_data(id, "", 0, true, arg);
}

const struct kc_spdy_cbs forward_spdy_cbs = {.on_data = on_data, .on_reset = on_reset};
