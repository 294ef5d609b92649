/* exec, attach and port-forward: the runtime has a streaming server, whose URL CRI gives; the request is passed on to
 * it as it came, and after its 101 bytes go both ways untouched.
 *
 *   client == kc_http_stream == tunnel == socket == runtime's streaming server
 *
 * Thread: the URL is asked for on the pool, the rest is on the loop. */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "kubelet/server/server_internal.h"

enum { HEAD_MAX = 64 * 1024, PIECE = 32 * 1024, QUEUED_MAX = 1024 * 1024, PORTS_MAX = 128 };

enum state { CONNECTING, HEAD, BODY, OPEN };

struct tunnel {
        struct kc_ks_stream base;
        struct kc_kubelet_server *s;
        struct kc_http_req *req;
        char *host, *port, *path;
        enum state state;
        int fd; /* -1: not connected any more */
        struct kc_io *io;
        struct kc_buf out, in; /* to and from the runtime */
        struct kc_http_stream *up;
        bool listed, paused, full; /* paused: the client is to wait; full: the runtime is */
        int code;                  /* of an answer that is no 101 */
        size_t body_at, body_len;  /* in in; body_len SIZE_MAX: until the end */
};

static void tunnel_free(struct tunnel *t)
{
        kc_io_free(t->io);
        if (t->fd >= 0)
                close(t->fd);
        if (t->listed)
                kc_list_remove(&t->base.node);
        kc_http_req_unref(t->req);
        kc_ks_unref(t->s);
        kc_buf_done(&t->out);
        kc_buf_done(&t->in);
        kc_free(t->host);
        kc_free(t->port);
        kc_free(t->path);
        kc_free(t);
}

static void hang_up(struct tunnel *t)
{
        kc_io_free(t->io);
        t->io = NULL;
        if (t->fd >= 0)
                close(t->fd);
        t->fd = -1;
}

/* The end from our side: at once before the upgrade, else when the client's stream is closed. */
static void end(struct tunnel *t)
{
        hang_up(t);
        if (t->listed) {
                t->listed = false;
                kc_list_remove(&t->base.node);
        }
        if (t->up) {
                kc_http_stream_close(t->up);
                return;
        }
        kc_http_on_close(t->req, NULL, NULL);
        tunnel_free(t);
}

static void on_server_end(struct kc_ks_stream *base)
{
        end(KC_CONTAINER_OF(base, struct tunnel, base));
}

static void on_peer_gone(struct kc_http_req *req, void *arg)
{
        (void)req;
        end(arg);
}

static void give_up(struct tunnel *t, const char *what, int errnum)
{
        KC_CLEANUP(kc_freep)
        char *text = kc_asprintf("error dialing backend: %s %s:%s: %s", what, t->host, t->port, strerror(errnum));
        kc_http_on_close(t->req, NULL, NULL);
        kc_ks_reply_text(t->req, 500, text);
        end(t);
}

/* --- Towards the runtime */

static void set_events(struct tunnel *t)
{
        if (t->io)
                kc_io_set(t->io, (t->full ? 0 : KC_IO_READ) | (t->out.len > 0 ? KC_IO_WRITE : 0));
}

/* False: the tunnel has ended. */
static bool flush(struct tunnel *t)
{
        while (t->out.len > 0 && t->fd >= 0) {
                ssize_t n = send(t->fd, t->out.data, t->out.len, MSG_NOSIGNAL);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0 && errno == EAGAIN)
                        break;
                if (n < 0) {
                        if (t->state == OPEN)
                                end(t);
                        else
                                give_up(t, "write", errno);
                        return false;
                }
                kc_buf_consume(&t->out, (size_t)n);
        }
        if (t->paused && t->out.len < QUEUED_MAX / 2) {
                t->paused = false;
                kc_http_stream_pause(t->up, false);
        }
        set_events(t);
        return true;
}

/* The request as it came, but for where it goes. */
static void add_request(struct tunnel *t)
{
        const char *name, *value;
        kc_buf_addf(
            &t->out, "%s %s HTTP/1.1\r\nHost: %s:%s\r\n", kc_http_req_method(t->req), t->path, t->host, t->port);
        for (size_t i = 0; kc_http_req_header_at(t->req, i, &name, &value); i++)
                if (!kc_strcaseeq(name, "host") && !kc_strcaseeq(name, "authorization") &&
                    !kc_strcaseeq(name, "content-length") && !kc_strcaseeq(name, "transfer-encoding"))
                        kc_buf_addf(&t->out, "%s: %s\r\n", name, value);
        kc_buf_adds(&t->out, "Content-Length: 0\r\n\r\n");
}

/* --- Towards the client */

static void on_client_data(struct kc_http_stream *s, const void *data, size_t len, void *arg)
{
        struct tunnel *t = arg;
        if (t->fd < 0)
                return;
        kc_buf_add(&t->out, data, len);
        if (t->out.len > QUEUED_MAX && !t->paused) {
                t->paused = true;
                kc_http_stream_pause(s, true);
        }
        (void)flush(t);
}

static void on_client_drain(struct kc_http_stream *s, void *arg)
{
        struct tunnel *t = arg;
        (void)s;
        t->full = false;
        set_events(t);
}

static void on_client_close(struct kc_http_stream *s, void *arg)
{
        (void)s;
        tunnel_free(arg);
}

static void pass_on(struct tunnel *t, const void *data, size_t len)
{
        if (len > 0 && kc_http_stream_write(t->up, data, len) < 0) {
                end(t);
                return;
        }
        t->full = kc_http_stream_queued(t->up) > QUEUED_MAX;
        set_events(t);
}

/* Alternating names and values of the lines of a head, but those that are of the hop only. strv. */
static char **headers_of(char *lines)
{
        static const char *const skip[] = {"connection", "content-length", "transfer-encoding", "date"};
        char **v = NULL, *save = NULL;
        for (char *line = strtok_r(lines, "\r\n", &save); line; line = strtok_r(NULL, "\r\n", &save)) {
                char *colon = strchr(line, ':');
                bool drop = !colon;
                if (colon)
                        *colon = '\0';
                for (size_t i = 0; i < KC_ARRAY_LEN(skip); i++)
                        drop |= kc_strcaseeq(line, skip[i]);
                if (drop)
                        continue;
                colon++;
                kc_strv_push(&v, line);
                kc_strv_push(&v, colon + strspn(colon, " \t"));
        }
        return v;
}

static void upgrade(struct tunnel *t, char *header_lines)
{
        static const struct kc_http_stream_cbs cbs = {on_client_data, on_client_drain, on_client_close};
        KC_CLEANUP(kc_strv_freep) char **headers = headers_of(header_lines);
        kc_http_on_close(t->req, NULL, NULL);
        int r = kc_http_upgrade(t->req, headers, &cbs, t, &t->up);
        if (r < 0) {
                t->up = NULL;
                kc_ks_reply_text(t->req, 400, "Upgrade request required");
                end(t);
                return;
        }
        t->state = OPEN;
        size_t at = t->body_at;
        struct kc_buf rest = t->in;
        t->in = KC_BUF_INIT;
        pass_on(t, rest.data + at, rest.len - at);
        kc_buf_done(&rest);
}

/* The runtime refused: its words are ours. */
static void answer(struct tunnel *t)
{
        KC_CLEANUP(kc_freep) char *text = kc_strndup(t->in.data + t->body_at, t->in.len - t->body_at);
        kc_http_on_close(t->req, NULL, NULL);
        kc_ks_reply_text(t->req, t->code, text);
        end(t);
}

static bool body_is_whole(const struct tunnel *t)
{
        return t->body_len != SIZE_MAX && t->in.len - t->body_at >= t->body_len;
}

/* in has a whole head of head_len bytes. */
static void read_head(struct tunnel *t, size_t head_len)
{
        KC_CLEANUP(kc_freep) char *head = kc_strndup(t->in.data, head_len);
        char *lines = strstr(head, "\r\n");
        int code = 0;
        t->body_at = head_len;
        if (sscanf(head, "HTTP/1.%*d %d", &code) != 1 || !lines) {
                give_up(t, "malformed answer from", EBADMSG);
                return;
        }
        if (code == 101) {
                upgrade(t, lines + 2);
                return;
        }
        t->state = BODY;
        t->code = code;
        t->body_len = SIZE_MAX;
        const char *length = strcasestr(lines, "\r\ncontent-length:");
        unsigned long long n;
        if (length && sscanf(length + strlen("\r\ncontent-length:"), "%llu", &n) == 1)
                t->body_len = (size_t)KC_MIN(n, (unsigned long long)HEAD_MAX);
        if (body_is_whole(t))
                answer(t);
}

static void read_answer(struct tunnel *t, const char *data, size_t len)
{
        if (kc_buf_add_limited(&t->in, data, len, HEAD_MAX) < 0) {
                give_up(t, "too long an answer from", EMSGSIZE);
                return;
        }
        const char *blank = t->state == HEAD ? strstr(t->in.data, "\r\n\r\n") : NULL;
        if (blank)
                read_head(t, (size_t)(blank - t->in.data) + 4);
        else if (t->state == BODY && body_is_whole(t))
                answer(t);
}

static void on_readable(struct tunnel *t)
{
        char piece[PIECE];
        ssize_t n = recv(t->fd, piece, sizeof(piece), 0);
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
                return;
        if (n > 0) {
                if (t->state == OPEN)
                        pass_on(t, piece, (size_t)n);
                else
                        read_answer(t, piece, (size_t)n);
        } else if (t->state == OPEN) {
                end(t);
        } else if (t->state == BODY) {
                answer(t);
        } else {
                give_up(t, "read", n < 0 ? errno : ECONNRESET);
        }
}

static void on_fd(int fd, int events, void *arg)
{
        struct tunnel *t = arg;
        if (t->state == CONNECTING) {
                int e = 0;
                socklen_t len = sizeof(e);
                if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &len) < 0)
                        e = errno;
                if (e) {
                        give_up(t, "dial tcp", e);
                        return;
                }
                t->state = HEAD;
                add_request(t);
                (void)flush(t);
                return;
        }
        if ((events & KC_IO_WRITE) && !flush(t))
                return;
        if (events & KC_IO_READ)
                on_readable(t);
}

/* On the loop. */
static void begin(void *arg)
{
        struct tunnel *t = arg;
        if (atomic_load(&t->s->closed) || kc_http_req_closed(t->req)) {
                tunnel_free(t);
                return;
        }
        kc_list_push_back(&t->s->streams, &t->base.node);
        t->listed = true;
        kc_http_on_close(t->req, on_peer_gone, t);
        /* The runtime gives a numeric address of this host. */
        struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
        struct addrinfo *list = NULL;
        if (getaddrinfo(t->host, t->port, &hints, &list) != 0) {
                give_up(t, "dial tcp", EADDRNOTAVAIL);
                return;
        }
        t->fd = socket(list->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        int e = t->fd < 0 || (connect(t->fd, list->ai_addr, list->ai_addrlen) < 0 && errno != EINPROGRESS) ? errno : 0;
        freeaddrinfo(list);
        if (e) {
                give_up(t, "dial tcp", e);
                return;
        }
        t->io = kc_io_new(t->s->o.loop, t->fd, KC_IO_WRITE, on_fd, t);
}

/* --- On the pool */

/* "http://127.0.0.1:4711/exec/abc" */
static bool split_url(const char *url, struct tunnel *t)
{
        const char *at = kc_str_has_prefix(url, "http://") ? url + strlen("http://") : NULL;
        const char *slash = at ? strchr(at, '/') : NULL;
        const char *colon = slash ? memrchr(at, ':', (size_t)(slash - at)) : NULL;
        if (!colon)
                return false;
        bool bracket = *at == '[' && colon[-1] == ']';
        t->host = kc_strndup(at + bracket, (size_t)(colon - at) - 2 * bracket);
        t->port = kc_strndup(colon + 1, (size_t)(slash - colon) - 1);
        t->path = kc_strdup(slash);
        return true;
}

static void start(struct kc_ks_request *r, const char *url)
{
        struct tunnel *t = KC_NEW(struct tunnel);
        t->base.end = on_server_end;
        t->s = kc_ks_ref(r->s);
        t->req = kc_http_req_ref(r->req);
        t->fd = -1;
        if (!split_url(url, t)) {
                kc_ks_reply_text(r->req, 500, "the runtime's streaming URL cannot be used");
                tunnel_free(t);
                return;
        }
        kc_loop_post(kc_http_req_loop(r->req), begin, t);
}

static bool is_upgrade(struct kc_ks_request *r)
{
        if (kc_http_req_header(r->req, "Upgrade"))
                return true;
        kc_ks_reply_text(r->req, 400, "Upgrade request required");
        return false;
}

static bool is_set(const char *query, const char *name, const char *other_name)
{
        KC_CLEANUP(kc_freep) char *s = kc_query_get(query, name);
        KC_CLEANUP(kc_freep) char *o = s ? NULL : kc_query_get(query, other_name);
        const char *v = s ?: o;
        return kc_streq(v, "1") || kc_streq(v, "true");
}

struct session {
        bool in, out, err, tty;
        char *id, *sandbox;
};

static void session_done(struct session *x)
{
        kc_free(x->id);
        kc_free(x->sandbox);
}

/* False: answered. */
static bool open_session(struct kc_ks_request *r, struct session *x)
{
        const char *q = kc_http_req_query(r->req);
        *x = (struct session){.in = is_set(q, "input", "stdin"),
            .out = is_set(q, "output", "stdout"),
            .err = is_set(q, "error", "stderr"),
            .tty = is_set(q, "tty", "tty")};
        if (!is_upgrade(r))
                return false;
        if (!x->in && !x->out && !x->err) {
                kc_ks_reply_text(r->req, 400, "you must specify at least 1 of stdin, stdout, stderr");
                return false;
        }
        x->err &= !x->tty; /* a terminal has one output */
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        const char *container = r->parts[kc_strv_len(r->parts) - 1];
        if (r->s->o.ops.running(r->s->o.ops.arg, r->parts[1], r->parts[2], container, &x->id, &x->sandbox, &err) == 0)
                return true;
        kc_ks_reply_error(r->req, &err);
        return false;
}

void kc_ks_exec(struct kc_ks_request *r)
{
        KC_CLEANUP(session_done) struct session x = {0};
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        KC_CLEANUP(kc_freep) char *url = NULL;
        KC_CLEANUP(kc_strv_freep) char **cmd = kc_query_get_all(kc_http_req_query(r->req), "command");
        if (!open_session(r, &x))
                return;
        if (kc_cri_exec_url(r->s->o.cri, x.id, cmd, x.tty, x.in, x.out, x.err, &url, &err) < 0)
                kc_ks_reply_error(r->req, &err);
        else
                start(r, url);
}

void kc_ks_attach(struct kc_ks_request *r)
{
        KC_CLEANUP(session_done) struct session x = {0};
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        KC_CLEANUP(kc_freep) char *url = NULL;
        if (!open_session(r, &x))
                return;
        if (kc_cri_attach_url(r->s->o.cri, x.id, x.tty, x.in, x.out, x.err, &url, &err) < 0)
                kc_ks_reply_error(r->req, &err);
        else
                start(r, url);
}

/* Ports may come in the query (WebSocket) or later in the streams (SPDY). */
void kc_ks_port_forward(struct kc_ks_request *r)
{
        KC_CLEANUP(session_done) struct session x = {0};
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        KC_CLEANUP(kc_freep) char *url = NULL;
        KC_CLEANUP(kc_strv_freep) char **given = kc_query_get_all(kc_http_req_query(r->req), "port");
        int32_t ports[PORTS_MAX];
        size_t n = 0;
        if (!is_upgrade(r))
                return;
        for (size_t i = 0; given && given[i]; i++) {
                int64_t p;
                if (n == PORTS_MAX || kc_str_to_i64(given[i], &p) < 0 || p < 1 || p > 65535) {
                        KC_CLEANUP(kc_freep) char *text = kc_asprintf("unable to parse \"%s\" as a port", given[i]);
                        kc_ks_reply_text(r->req, 400, text);
                        return;
                }
                ports[n++] = (int32_t)p;
        }
        if (r->s->o.ops.running(r->s->o.ops.arg, r->parts[1], r->parts[2], NULL, &x.id, &x.sandbox, &err) < 0 ||
            kc_cri_port_forward_url(r->s->o.cri, x.sandbox, ports, n, &url, &err) < 0)
                kc_ks_reply_error(r->req, &err);
        else
                start(r, url);
}
