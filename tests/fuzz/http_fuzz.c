/* Any bytes as what a client sends to the HTTP server: the first byte says in which pieces, the rest is sent. Requests
 * are answered in all the ways there are, chosen by their path. */
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/ip.h"
#include "base/mem.h"
#include "http/http_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct kc_loop *loop;

static void check(bool ok)
{
        if (!ok)
                abort();
}

static void on_stream_data(struct kc_http_stream *s, const void *data, size_t len, void *arg)
{
        (void)arg;
        (void)kc_http_stream_write(s, data, len); /* a full queue is fine */
        if (memchr(data, 'q', len))
                kc_http_stream_close(s);
}

static void finish_later(void *arg)
{
        kc_http_finish(arg);
        kc_http_req_unref(arg);
}

static void start(struct kc_http_req *r)
{
        struct kc_bytes *b = kc_bytes_new("some bytes", 10);
        kc_http_start(r, 200, NULL);
        int written = kc_http_write(r, b);
        check(written == 0 || written == -EPIPE);
        kc_bytes_unref(b);
}

static void on_request(struct kc_http_req *r, void *arg)
{
        (void)arg;
        static const struct kc_http_stream_cbs cbs = {.on_data = on_stream_data};
        struct kc_http_stream *s;
        const char *path = kc_http_req_path(r), *name, *value;
        size_t len;
        check(path[0] == '/' && kc_http_req_method(r)[0]);
        for (size_t i = 0; kc_http_req_header_at(r, i, &name, &value); i++)
                check(kc_http_req_header(r, name) && !strpbrk(value, "\r\n"));
        const char *body = kc_http_req_body(r, &len);
        check(len <= 4096 && body[len] == '\0');
        switch (path[1]) {
        case 'u':
                if (kc_http_upgrade(r, NULL, &cbs, NULL, &s) < 0)
                        kc_http_reply(r, 400, NULL, NULL);
                break;
        case 's':
                start(r);
                kc_http_finish(r);
                break;
        case 'l':
                start(r);
                kc_loop_post(loop, finish_later, kc_http_req_ref(r));
                break;
        case 'w':
                start(r); /* never ends */
                break;
        case 'a':
                kc_http_abort(r);
                break;
        default: {
                struct kc_bytes *b = kc_bytes_new(body, len);
                kc_http_reply(r, 200, NULL, b);
                kc_bytes_unref(b);
        }
        }
}

static void on_headers(struct kc_http_req *r, void *arg)
{
        (void)arg;
        if (kc_http_req_path(r)[1] == 'h')
                kc_http_reply(r, 401, NULL, NULL);
}

static void turn(int fd)
{
        char sink[16384];
        check(event_base_loop(kc_loop_base(loop), EVLOOP_NONBLOCK) >= 0);
        while (recv(fd, sink, sizeof(sink), MSG_DONTWAIT) > 0)
                ;
}

static struct kc_http_server *new_server(void)
{
        struct kc_http_server_opts o = {.loops = &loop,
            .n_loops = 1,
            .address = "127.0.0.1",
            .max_body = 4096,
            .max_header_bytes = 16384,
            .max_queued_bytes = 65536,
            .max_streams = 20,
            .on_headers = on_headers,
            .on_request = on_request};
        struct kc_http_server *s;
        check(kc_http_server_new(&o, &s, NULL) == 0);
        return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (size < 1)
                return 0;
        if (!loop)
                check(kc_loop_new("fuzz", &loop, NULL) == 0);
        struct kc_http_server *s = new_server();
        struct http_peer *peer = NULL;
        struct kc_ip ip;
        int pair[2];
        check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
        atomic_fetch_add(&s->n_conns, 1);
        atomic_fetch_add(&s->shards[0]->n_conns, 1);
        check(kc_ip_parse("127.0.0.1", &ip) == 0 && http_peers_enter(s->peers, &ip, &peer));
        http_conn_new(s->shards[0], pair[0], kc_strdup("fuzz"), peer);
        size_t piece = data[0] ? (size_t)data[0] * data[0] : size;
        for (size_t at = 1; at < size; at += piece) {
                (void)send(
                    pair[1], data + at, KC_MIN(piece, size - at), MSG_NOSIGNAL | MSG_DONTWAIT); /* may be closed */
                turn(pair[1]);
        }
        shutdown(pair[1], SHUT_WR);
        for (int i = 0; i < 4; i++)
                turn(pair[1]);
        close(pair[1]);
        turn(pair[1]);
        kc_http_server_free(s);
        check(event_base_loop(kc_loop_base(loop), EVLOOP_NONBLOCK) >= 0);
        return 0;
}
