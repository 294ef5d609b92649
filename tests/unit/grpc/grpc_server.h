/* A gRPC server for tests that misbehaves on demand: what it does depends on the method. A thread per connection,
 * blocking.
 *
 *   /t/echo       the message back          /t/hang      nothing, ever
 *   /t/status     the status in the message ("5 not%20there"), no headers before
 *   /t/refuse     REFUSED_STREAM twice, then echo     /t/close    closes the connection
 *   /t/goaway     echo, with a GOAWAY before          /t/http503  an HTTP error page
 *   /t/html       200, but no gRPC          /t/two       the message twice
 *   /t/notrailer  the message, no trailers  /t/empty     status 0, no message
 *   /t/compressed a message marked so       /t/long      a prefix that announces 4 GiB - 1
 *   /t/drip       the message, a byte per DATA frame     /t/chat  (stream) each message back at once
 *   /grpc.health.v1.Health/Check  the status whose number is the service's name */
#pragma once

#include <arpa/inet.h>
#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/str.h"
#include "tls/tls.h"

struct server {
        int fd, port;
        char unix_path[64];
        char endpoint[96];
        struct kc_tls_server *tls;
        pthread_t thread;
        atomic_bool stop;
        atomic_int connections, requests, cancelled;
        atomic_int refusals;
        atomic_bool deaf; /* accepts, then reads nothing */
        /* Answers calls by itself: the message in, the message out; false: not one of its methods. */
        bool (*handle)(struct server *srv, const char *path, const void *data, size_t len, struct kc_buf *out);
        void *handle_arg;
        char seen[512]; /* headers of the last request, "name: value\n" */
        pthread_mutex_t lock;
        pthread_t conns[64];
        int n_conns;
};

struct exchange {
        struct kc_list node;
        struct peer *peer;
        int32_t id;
        char path[64];
        struct kc_buf in, out;
        size_t off;
        bool ended, trailers, started, raw;
};

struct peer {
        struct server *srv;
        int fd;
        SSL *ssl;
        nghttp2_session *h2;
        struct kc_list exchanges;
        bool close;
};

#define NV(n, v)                                                                                                       \
        {                                                                                                              \
                (uint8_t *)(uintptr_t)(n), (uint8_t *)(uintptr_t)(v), strlen(n), strlen(v), NGHTTP2_NV_FLAG_NONE       \
        }

static ssize_t body_read(
    nghttp2_session *h2, int32_t id, uint8_t *buf, size_t len, uint32_t *flags, nghttp2_data_source *source, void *user)
{
        struct exchange *x = source->ptr;
        (void)user;
        size_t n = KC_MIN(len, x->out.len - x->off);
        if (n > 1 && strcmp(x->path, "/t/drip") == 0)
                n = 1;
        if (n > 0)
                memcpy(buf, x->out.data + x->off, n);
        x->off += n;
        if (x->off < x->out.len)
                return (ssize_t)n;
        if (!x->ended)
                return n ? (ssize_t)n : NGHTTP2_ERR_DEFERRED;
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        if (x->trailers) {
                *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
                nghttp2_nv nv[] = {NV("grpc-status", "0"), NV("grpc-message", "")};
                nghttp2_submit_trailer(h2, id, nv, 2);
        }
        return (ssize_t)n;
}

static void respond(struct exchange *x, const char *status, const char *type)
{
        nghttp2_nv nv[] = {NV(":status", status), NV("content-type", type)};
        nghttp2_data_provider body = {.source.ptr = x, .read_callback = body_read};
        nghttp2_submit_response(x->peer->h2, x->id, nv, 2, &body);
        x->started = true;
}

static void act(struct exchange *x)
{
        struct peer *p = x->peer;
        struct server *srv = p->srv;
        bool echo = false;
        x->ended = x->trailers = true;
        KC_CLEANUP(kc_buf_done) struct kc_buf made = KC_BUF_INIT;
        if (srv->handle && x->in.len >= 5 && srv->handle(srv, x->path, x->in.data + 5, x->in.len - 5, &made)) {
                const char prefix[] = {
                    0, (char)(made.len >> 24), (char)(made.len >> 16), (char)(made.len >> 8), (char)made.len};
                kc_buf_add(&x->out, prefix, sizeof(prefix));
                kc_buf_add(&x->out, made.data, made.len);
                respond(x, "200", "application/grpc");
                return;
        }
        if (strcmp(x->path, "/t/status") == 0) {
                /* Behind the prefix and the protobuf key and length of the field "key". */
                char *status = kc_strndup(x->in.data + 7, x->in.len - 7);
                char *message = strchr(status, ' ');
                *message++ = '\0';
                nghttp2_nv nv[] = {NV(":status", "200"), NV("content-type", "application/grpc"),
                    NV("grpc-status", status), NV("grpc-message", message)};
                nghttp2_submit_response(p->h2, x->id, nv, 4, NULL);
                kc_free(status);
        } else if (strcmp(x->path, "/t/refuse") == 0 && atomic_fetch_add(&srv->refusals, 1) < 2) {
                nghttp2_submit_rst_stream(p->h2, 0, x->id, NGHTTP2_REFUSED_STREAM);
        } else if (strcmp(x->path, "/grpc.health.v1.Health/Check") == 0) {
                char reply[] = {0, 0, 0, 0, 2, 8, x->in.len > 7 ? (char)(x->in.data[7] - '0') : 0};
                kc_buf_add(&x->out, reply, sizeof(reply));
                respond(x, "200", "application/grpc");
        } else if (strcmp(x->path, "/t/close") == 0) {
                p->close = true;
        } else if (strcmp(x->path, "/t/http503") == 0) {
                kc_buf_adds(&x->out, "<html>");
                x->trailers = false;
                respond(x, "503", "text/html");
        } else if (strcmp(x->path, "/t/html") == 0) {
                kc_buf_adds(&x->out, "<html>");
                x->trailers = false;
                respond(x, "200", "text/html");
        } else if (strcmp(x->path, "/t/empty") == 0) {
                respond(x, "200", "application/grpc");
        } else if (strcmp(x->path, "/t/long") == 0) {
                kc_buf_add(&x->out, "\0\xff\xff\xff\xff", 5);
                respond(x, "200", "application/grpc");
        } else if (strcmp(x->path, "/t/compressed") == 0) {
                kc_buf_add(&x->out, "\1\0\0\0\0", 5);
                respond(x, "200", "application/grpc");
        } else if (strcmp(x->path, "/t/hang") != 0) {
                echo = true;
        }
        if (!echo)
                return;
        if (strcmp(x->path, "/t/goaway") == 0)
                nghttp2_submit_goaway(p->h2, 0, x->id, NGHTTP2_NO_ERROR, NULL, 0);
        kc_buf_add(&x->out, x->in.data, x->in.len);
        if (strcmp(x->path, "/t/two") == 0)
                kc_buf_add(&x->out, x->in.data, x->in.len);
        x->trailers = strcmp(x->path, "/t/notrailer") != 0;
        respond(x, "200", "application/grpc");
}

static int srv_begin(nghttp2_session *h2, const nghttp2_frame *f, void *user)
{
        struct peer *p = user;
        struct exchange *x = KC_NEW(struct exchange);
        x->peer = p;
        x->id = f->hd.stream_id;
        kc_list_push_back(&p->exchanges, &x->node);
        nghttp2_session_set_stream_user_data(h2, x->id, x);
        atomic_fetch_add(&p->srv->requests, 1);
        pthread_mutex_lock(&p->srv->lock);
        p->srv->seen[0] = '\0';
        pthread_mutex_unlock(&p->srv->lock);
        return 0;
}

static int srv_header(nghttp2_session *h2, const nghttp2_frame *f, const uint8_t *name, size_t name_len,
    const uint8_t *value, size_t value_len, uint8_t flags, void *user)
{
        struct peer *p = user;
        struct exchange *x = nghttp2_session_get_stream_user_data(h2, f->hd.stream_id);
        (void)flags;
        if (name_len == 5 && memcmp(name, ":path", 5) == 0)
                snprintf(x->path, sizeof(x->path), "%.*s", (int)value_len, (const char *)value);
        pthread_mutex_lock(&p->srv->lock);
        size_t used = strlen(p->srv->seen);
        snprintf(p->srv->seen + used, sizeof(p->srv->seen) - used, "%.*s: %.*s\n", (int)name_len, (const char *)name,
            (int)value_len, (const char *)value);
        pthread_mutex_unlock(&p->srv->lock);
        return 0;
}

static int srv_data(nghttp2_session *h2, uint8_t flags, int32_t id, const uint8_t *data, size_t len, void *user)
{
        struct exchange *x = nghttp2_session_get_stream_user_data(h2, id);
        (void)flags;
        (void)user;
        if (strcmp(x->path, "/t/chat") == 0) {
                kc_buf_add(&x->out, data, len);
                if (x->started) {
                        nghttp2_session_resume_data(h2, id);
                } else {
                        x->trailers = true;
                        respond(x, "200", "application/grpc+proto");
                }
        } else {
                kc_buf_add(&x->in, data, len);
        }
        return 0;
}

static int srv_frame(nghttp2_session *h2, const nghttp2_frame *f, void *user)
{
        (void)user;
        if (!(f->hd.flags & NGHTTP2_FLAG_END_STREAM) || (f->hd.type != NGHTTP2_DATA && f->hd.type != NGHTTP2_HEADERS))
                return 0;
        struct exchange *x = nghttp2_session_get_stream_user_data(h2, f->hd.stream_id);
        if (x && strcmp(x->path, "/t/chat") == 0) {
                x->ended = true;
                nghttp2_session_resume_data(h2, x->id);
        } else if (x) {
                act(x);
        }
        return 0;
}

static void free_exchange(struct exchange *x)
{
        kc_list_remove(&x->node);
        kc_buf_done(&x->in);
        kc_buf_done(&x->out);
        kc_free(x);
}

static int srv_close(nghttp2_session *h2, int32_t id, uint32_t error, void *user)
{
        struct peer *p = user;
        struct exchange *x = nghttp2_session_get_stream_user_data(h2, id);
        if (error == NGHTTP2_CANCEL)
                atomic_fetch_add(&p->srv->cancelled, 1);
        if (x)
                free_exchange(x);
        return 0;
}

static ssize_t peer_io(struct peer *p, void *buf, size_t len, bool out)
{
        if (p->ssl)
                return out ? SSL_write(p->ssl, buf, (int)len) : SSL_read(p->ssl, buf, (int)len);
        return out ? send(p->fd, buf, len, MSG_NOSIGNAL) : recv(p->fd, buf, len, 0);
}

static bool write_all(struct peer *p, const uint8_t *data, size_t len)
{
        for (size_t at = 0; at < len;) {
                ssize_t n = peer_io(p, (void *)(uintptr_t)(data + at), len - at, true);
                if (n <= 0)
                        return false;
                at += (size_t)n;
        }
        return true;
}

/* Closing with something unread would reset the connection, and the peer lose what it has not read yet. */
static void linger(struct peer *p)
{
        char buf[4096];
        shutdown(p->fd, SHUT_WR);
        while (recv(p->fd, buf, sizeof(buf), 0) > 0) {
        }
}

static void serve(struct peer *p)
{
        nghttp2_settings_entry limit = {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 100};
        nghttp2_submit_settings(p->h2, 0, &limit, 1);
        char buf[16384];
        for (;;) {
                const uint8_t *data;
                ssize_t n;
                while ((n = nghttp2_session_mem_send(p->h2, &data)) > 0) {
                        if (!write_all(p, data, (size_t)n))
                                return;
                }
                if (p->close)
                        return;
                if (!nghttp2_session_want_read(p->h2) && !nghttp2_session_want_write(p->h2)) {
                        linger(p);
                        return;
                }
                struct pollfd pfd = {.fd = p->fd, .events = POLLIN};
                while (!(p->ssl && SSL_pending(p->ssl)) && (atomic_load(&p->srv->deaf) || poll(&pfd, 1, 20) == 0)) {
                        if (atomic_load(&p->srv->stop))
                                return;
                        if (atomic_load(&p->srv->deaf))
                                poll(NULL, 0, 20);
                }
                n = peer_io(p, buf, sizeof(buf), false);
                if (n <= 0 || nghttp2_session_mem_recv(p->h2, (const uint8_t *)buf, (size_t)n) < 0)
                        return;
        }
}

struct accepted {
        struct server *srv;
        int fd;
};

static void *peer_main(void *arg)
{
        struct accepted *a = arg;
        struct peer p = {.srv = a->srv, .fd = a->fd};
        kc_free(a);
        kc_list_init(&p.exchanges);
        nghttp2_session_callbacks *cbs;
        nghttp2_session_callbacks_new(&cbs);
        nghttp2_session_callbacks_set_on_begin_headers_callback(cbs, srv_begin);
        nghttp2_session_callbacks_set_on_header_callback(cbs, srv_header);
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cbs, srv_data);
        nghttp2_session_callbacks_set_on_frame_recv_callback(cbs, srv_frame);
        nghttp2_session_callbacks_set_on_stream_close_callback(cbs, srv_close);
        nghttp2_session_server_new(&p.h2, cbs, &p);
        nghttp2_session_callbacks_del(cbs);
        bool ok = true;
        if (p.srv->tls) {
                p.ssl = kc_tls_server_ssl(p.srv->tls);
                SSL_set_fd(p.ssl, p.fd);
                ok = SSL_accept(p.ssl) == 1;
        }
        if (ok)
                serve(&p);
        KC_LIST_FOREACH(&p.exchanges, x, struct exchange, node)
        free_exchange(x);
        nghttp2_session_del(p.h2);
        SSL_free(p.ssl);
        close(p.fd);
        return NULL;
}

static void *server_main(void *arg)
{
        struct server *s = arg;
        while (!atomic_load(&s->stop)) {
                struct pollfd pfd = {.fd = s->fd, .events = POLLIN};
                if (poll(&pfd, 1, 20) <= 0)
                        continue;
                int fd = accept(s->fd, NULL, NULL);
                if (fd < 0)
                        continue;
                atomic_fetch_add(&s->connections, 1);
                struct accepted *a = KC_NEW(struct accepted);
                *a = (struct accepted){s, fd};
                if (s->n_conns == (int)KC_ARRAY_LEN(s->conns))
                        abort();
                pthread_create(&s->conns[s->n_conns++], NULL, peer_main, a);
        }
        return NULL;
}

/* unix_path NULL: TCP on a free port (or the one it had before). */
static void server_start(struct server *s, const char *unix_path, struct kc_tls_server *tls)
{
        int port = s->port;
        memset(s, 0, sizeof(*s));
        s->tls = tls;
        pthread_mutex_init(&s->lock, NULL);
        if (unix_path) {
                struct sockaddr_un sa = {.sun_family = AF_UNIX};
                snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", unix_path);
                snprintf(s->unix_path, sizeof(s->unix_path), "%s", unix_path);
                snprintf(s->endpoint, sizeof(s->endpoint), "unix://%s", unix_path);
                s->fd = socket(AF_UNIX, SOCK_STREAM, 0);
                if (bind(s->fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
                        abort();
        } else {
                struct sockaddr_in sa = {.sin_family = AF_INET,
                    .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                    .sin_port = htons((uint16_t)port)};
                socklen_t len = sizeof(sa);
                int one = 1;
                s->fd = socket(AF_INET, SOCK_STREAM, 0);
                setsockopt(s->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
                if (bind(s->fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 ||
                    getsockname(s->fd, (struct sockaddr *)&sa, &len) < 0)
                        abort();
                s->port = ntohs(sa.sin_port);
                snprintf(s->endpoint, sizeof(s->endpoint), "%s://%s:%d", tls ? "https" : "http",
                    tls ? "localhost" : "127.0.0.1", s->port);
        }
        if (listen(s->fd, 16) < 0)
                abort();
        pthread_create(&s->thread, NULL, server_main, s);
}

static void server_stop(struct server *s)
{
        atomic_store(&s->stop, true);
        pthread_join(s->thread, NULL);
        for (int i = 0; i < s->n_conns; i++)
                pthread_join(s->conns[i], NULL);
        close(s->fd);
        if (s->unix_path[0])
                unlink(s->unix_path);
        pthread_mutex_destroy(&s->lock);
}
