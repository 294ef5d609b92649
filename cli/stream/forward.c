/* Port forwarding: the tunnel and the listeners. See forward.h. */
#include "cli/stream/forward.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"
#include "cli/stream/forward_internal.h"
#include "cli/stream/listen.h"

enum { MAX_QUEUED = 1 << 20 };

void forward_flush(struct kc_forward *f)
{
        struct kc_buf *out = kc_spdy_out(f->spdy);
        if (!f->wire || out->len == 0)
                return;
        kc_wire_send(f->wire, NULL, 0, out->data, out->len);
        kc_buf_reset(out);
        if (!f->paused && kc_wire_queued(f->wire) > MAX_QUEUED)
                forward_conns_pause(f, true);
}

void forward_end(struct kc_forward *f, const struct kc_error *err)
{
        pthread_mutex_lock(&f->lock);
        if (!f->ended && err)
                kc_error_copy(&f->why, err);
        else if (!f->ended)
                (void)kc_error_set(&f->why, EREMOTEIO, "lost connection to pod");
        f->ended = true;
        pthread_cond_broadcast(&f->cond);
        pthread_mutex_unlock(&f->lock);
}

/* --- the tunnel */

static void on_open(struct kc_wire *w, bool websocket, const char *protocol, void *arg)
{
        (void)websocket;
        (void)protocol;
        struct kc_forward *f = arg;
        f->wire = w;
        pthread_mutex_lock(&f->lock);
        f->open = true;
        pthread_cond_broadcast(&f->cond);
        pthread_mutex_unlock(&f->lock);
}

static void on_data(struct kc_wire *w, const char *data, size_t len, bool first, void *arg)
{
        (void)w;
        (void)first;
        struct kc_forward *f = arg;
        int e = kc_spdy_feed(f->spdy, data, len);
        forward_flush(f);
        if (e < 0)
                forward_end(f, NULL);
}

static void on_drain(struct kc_wire *w, void *arg)
{
        (void)w;
        struct kc_forward *f = arg;
        if (f->paused)
                forward_conns_pause(f, false);
}

static void on_close(struct kc_wire *w, const struct kc_error *err, void *arg)
{
        (void)w;
        struct kc_forward *f = arg;
        forward_end(f, f->open ? NULL : err);
}

static const struct kc_wire_cbs wire_cbs = {
    .on_open = on_open, .on_data = on_data, .on_drain = on_drain, .on_close = on_close};

struct starting {
        struct kc_forward *f;
        struct kc_error *err;
        int result;
};

static void start_on_loop(void *arg)
{
        struct starting *s = arg;
        struct kc_forward *f = s->f;
        char protocol[] = "portforward.k8s.io";
        char *spdy[] = {protocol, NULL};
        f->spdy = kc_spdy_new(false, false, &forward_spdy_cbs, f);
        s->result = kc_wire_new(&(struct kc_wire_opts){.rest = f->rest,
                                    .path = f->path,
                                    .websocket = "SPDY/3.1+portforward.k8s.io",
                                    .spdy = spdy,
                                    .timeout_ms = f->o.timeout_ms,
                                    .cbs = &wire_cbs,
                                    .arg = f},
            &f->wire, s->err);
}

int kc_forward_new(const struct kc_forward_opts *o, struct kc_forward **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_forward_freep) struct kc_forward *f = KC_NEW(struct kc_forward);
        *f = (struct kc_forward){.rest = o->rest, .loop = kc_rest_loop(o->rest), .o = *o, .path = kc_strdup(o->path)};
        pthread_mutex_init(&f->lock, NULL);
        pthread_cond_init(&f->cond, NULL);
        struct starting s = {.f = f, .err = err};
        kc_loop_call(f->loop, start_on_loop, &s);
        if (s.result < 0)
                return s.result;
        pthread_mutex_lock(&f->lock);
        while (!f->open && !f->ended)
                pthread_cond_wait(&f->cond, &f->lock);
        bool open = f->open;
        pthread_mutex_unlock(&f->lock);
        if (!open) {
                kc_error_copy(err, &f->why);
                return -f->why.errnum;
        }
        *ret = KC_TAKE(f);
        return 0;
}

/* --- listeners */

static void on_accept(int fd, int events, void *arg)
{
        (void)events;
        struct listener *l = arg;
        struct kc_forward *f = l->forward;
        int conn = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (conn < 0 && (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED))
                return;
        if (conn < 0) {
                struct kc_error err = KC_ERROR_INIT;
                (void)kc_error_set(&err, errno, "error accepting connection on port %d: %s", l->local, strerror(errno));
                kc_log_error(&err, "Unhandled Error");
                kc_error_done(&err);
                kc_io_set(l->io, 0); /* as client-go: it is not tried again */
                return;
        }
        f->o.on_connection(l->local, f->o.arg);
        forward_conn_new(f, conn, l->local, l->remote);
}

static void add_listener(void *arg)
{
        struct listener *l = arg;
        l->next = l->forward->listeners;
        l->forward->listeners = l;
        l->io = kc_io_new(l->forward->loop, l->fd, KC_IO_READ, on_accept, l);
}

int kc_forward_listen(struct kc_forward *f, const char *address, int *local, int remote, struct kc_error *err)
{
        int fd = kc_listen_tcp(NULL, address, local, err);
        if (fd < 0)
                return fd;
        struct listener *l = KC_NEW(struct listener);
        *l = (struct listener){.forward = f, .fd = fd, .local = *local, .remote = remote};
        kc_loop_call(f->loop, add_listener, l);
        return 0;
}

/* --- the end */

int kc_forward_wait(struct kc_forward *f, struct kc_error *err)
{
        pthread_mutex_lock(&f->lock);
        while (!f->ended)
                pthread_cond_wait(&f->cond, &f->lock);
        pthread_mutex_unlock(&f->lock);
        if (f->why.errnum == 0)
                return 0;
        kc_error_copy(err, &f->why);
        return -f->why.errnum;
}

void kc_forward_stop(struct kc_forward *f)
{
        struct kc_error none = KC_ERROR_INIT;
        forward_end(f, &none);
}

static void free_on_loop(void *arg)
{
        struct kc_forward *f = arg;
        while (f->listeners) {
                struct listener *l = f->listeners;
                f->listeners = l->next;
                kc_io_free(l->io);
                (void)close(l->fd);
                kc_free(l);
        }
        forward_conns_free(f);
        kc_wire_free(f->wire);
        f->wire = NULL;
}

void kc_forward_free(struct kc_forward *f)
{
        if (!f)
                return;
        kc_loop_call(f->loop, free_on_loop, f);
        kc_spdy_free(f->spdy);
        kc_error_done(&f->why);
        pthread_cond_destroy(&f->cond);
        pthread_mutex_destroy(&f->lock);
        kc_free(f->path);
        kc_free(f);
}
