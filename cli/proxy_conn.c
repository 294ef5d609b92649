/* One connection of kubec proxy: its request's head is looked at, everything after it is bytes. On the loop. */
#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/encode.h"
#include "base/str.h"
#include "cli/cp.h"
#include "cli/proxy.h"
#include "net/conn.h"
#include "stream/websocket.h"

enum { MAX_HEAD = 64 << 10, PIECE = 32 << 10, MAX_QUEUED = 1 << 20 };

struct conn {
        const struct kc_proxy_server *s;
        int fd;
        struct kc_io *io;
        struct kc_conn *up;
        struct kc_buf in, out; /* the head; to the client */
        bool over;             /* the answer is complete: close when it is out */
        bool begun;            /* the server has answered something */
        bool full;             /* the server does not take more */
};

static void conn_free(struct conn *c)
{
        kc_conn_free(c->up);
        kc_io_free(c->io);
        (void)close(c->fd);
        kc_buf_done(&c->in);
        kc_buf_done(&c->out);
        kc_free(c);
}

static void watch(struct conn *c)
{
        kc_io_set(c->io, (c->full || c->over ? 0 : KC_IO_READ) | (c->out.len > 0 ? KC_IO_WRITE : 0));
}

/* May free it. */
static void flush_out(struct conn *c)
{
        while (c->out.len > 0) {
                ssize_t n = send(c->fd, c->out.data, c->out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0 && errno == EAGAIN)
                        break;
                if (n < 0) {
                        conn_free(c);
                        return;
                }
                kc_buf_consume(&c->out, (size_t)n);
        }
        if (c->out.len == 0 && c->over) {
                (void)shutdown(c->fd, SHUT_WR);
                conn_free(c);
                return;
        }
        if (c->up && c->out.len < MAX_QUEUED)
                kc_conn_pause(c->up, false);
        watch(c);
}

/* --- the server's side */

static void on_open(struct kc_conn *up, bool h2, void *arg)
{
        (void)up;
        (void)h2;
        (void)arg;
}

static void on_input(struct kc_conn *up, const char *data, size_t len, void *arg)
{
        struct conn *c = arg;
        c->begun = true;
        kc_buf_add(&c->out, data, len);
        if (c->out.len > MAX_QUEUED)
                kc_conn_pause(up, true);
        watch(c); /* written from the loop, not from inside this connection's callback */
}

static void on_flushed(struct kc_conn *up, void *arg)
{
        (void)up;
        struct conn *c = arg;
        c->full = false;
        watch(c);
}

static void finish(void *arg)
{
        flush_out(arg);
}

static void on_close(struct kc_conn *up, const struct kc_error *err, void *arg)
{
        (void)up;
        struct conn *c = arg;
        if (err && !c->begun) {
                KC_CLEANUP(kc_freep) char *text = kc_asprintf("%s\n", kc_error_message(err));
                kc_proxy_error(502, "Bad Gateway", text, &c->out);
        }
        c->over = true;
        kc_io_set(c->io, 0);
        kc_loop_defer(c->s->loop, finish, c);
}

static const struct kc_conn_cbs up_cbs = {
    .on_open = on_open, .on_input = on_input, .on_flushed = on_flushed, .on_close = on_close};

static void send_up(struct conn *c, const void *data, size_t len)
{
        kc_outq_copy(kc_conn_out(c->up), data, len);
        kc_conn_flush_soon(c->up);
        c->full = kc_conn_out(c->up)->bytes > MAX_QUEUED;
}

/* --- the request */

static bool matches(const regex_t *v, size_t n, const char *s)
{
        for (size_t i = 0; i < n; i++)
                if (regexec(&v[i], s, 0, NULL, 0) == 0)
                        return true;
        return false;
}

static bool accepts(const struct kc_proxy_filter *f, const char *method, const char *path, const char *host)
{
        return f->off || (!matches(f->reject_paths, f->n_reject_paths, path) &&
                             !matches(f->reject_methods, f->n_reject_methods, method) &&
                             matches(f->accept_hosts, f->n_accept_hosts, host) &&
                             matches(f->accept_paths, f->n_accept_paths, path));
}

struct head {
        char *method, *target, *path, *host; /* path: without query */
        char **headers;                      /* strv of name, value */
};

static void head_done(struct head *h)
{
        kc_free(h->method);
        kc_free(h->target);
        kc_free(h->path);
        kc_free(h->host);
        kc_strv_free(h->headers);
}

static bool parse_head(const char *text, struct head *h)
{
        KC_CLEANUP(kc_freep) char *plain = kc_str_replace_all(text, "\r\n", "\n");
        KC_CLEANUP(kc_strv_freep) char **lines = kc_strv_split(plain, '\n');
        KC_CLEANUP(kc_strv_freep) char **words = kc_strv_split(lines[0] ? lines[0] : "", ' ');
        if (kc_strv_len(words) != 3 || words[1][0] != '/' || !kc_str_has_prefix(words[2], "HTTP/1."))
                return false;
        h->method = kc_strdup(words[0]);
        h->target = kc_strdup(words[1]);
        h->path = kc_strndup(words[1], strcspn(words[1], "?"));
        for (char **l = lines + 1; *l && **l; l++) {
                const char *colon = strchr(*l, ':');
                if (!colon || colon == *l || isspace((unsigned char)**l))
                        return false;
                kc_strv_push_take(&h->headers, kc_strndup(*l, (size_t)(colon - *l)));
                kc_strv_push_take(&h->headers, kc_str_trim(colon + 1));
        }
        return true;
}

static const char *header(const struct head *h, const char *name)
{
        for (char **p = h->headers; p && *p; p += 2)
                if (strcasecmp(p[0], name) == 0)
                        return p[1];
        return NULL;
}

/* The head for the server, behind the rest of our prefix. */
static void build_head(const struct conn *c, const struct head *h, const char *target, struct kc_buf *b)
{
        static const char *const dropped[] = {
            "Host", "Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authorization", "Upgrade"};
        const char *upgrade = header(h, "Upgrade");
        bool upgrades = upgrade && kc_http_list_has(header(h, "Connection"), "upgrade");
        KC_CLEANUP(kc_strv_freep) char **identity = kc_rest_identity(c->s->rest);
        size_t base = c->s->append_path ? strcspn(c->s->url.target, "?") : 0;
        if (base > 0 && c->s->url.target[base - 1] == '/')
                base--;
        kc_buf_addf(b, "%s %.*s%s HTTP/1.1\r\nHost: %s\r\n", h->method, (int)base, c->s->url.target, target,
            c->s->url.authority);
        if (upgrades)
                kc_buf_addf(b, "Connection: Upgrade\r\nUpgrade: %s\r\n", upgrade);
        else
                kc_buf_adds(b, "Connection: close\r\n");
        for (char **p = h->headers; p && *p; p += 2) {
                bool drop = false;
                for (size_t i = 0; i < KC_ARRAY_LEN(dropped); i++)
                        drop = drop || strcasecmp(p[0], dropped[i]) == 0;
                if (!drop)
                        kc_buf_addf(b, "%s: %s\r\n", p[0], p[1]);
        }
        for (char **p = identity; p && *p; p += 2)
                if (!header(h, p[0]))
                        kc_buf_addf(b, "%s: %s\r\n", p[0], p[1]);
        kc_buf_adds(b, "\r\n");
}

static void pass_on(struct conn *c, const struct head *h, const char *target, size_t head_len)
{
        const struct kc_proxy_server *s = c->s;
        KC_CLEANUP(kc_buf_done) struct kc_buf head = KC_BUF_INIT;
        build_head(c, h, target, &head);
        c->up = kc_conn_new(s->loop,
            &(struct kc_conn_opts){.host = s->url.host,
                .port = s->url.port,
                .tls = s->tls,
                .tls_name = s->tls_name,
                .alpn = KC_TLS_ALPN_H1,
                .timeout_usec = 30 * KC_SEC},
            &up_cbs, c);
        send_up(c, head.data, head.len);
        send_up(c, c->in.data + head_len, c->in.len - head_len);
        watch(c);
}

/* Answers here, and closes. */
static void answered(struct conn *c)
{
        c->over = true;
        flush_out(c);
}

static void serve_file(struct conn *c, const struct head *h)
{
        size_t n = strlen(c->s->www_path);
        KC_CLEANUP(kc_freep) char *clean = kc_cp_clean(h->path);
        KC_CLEANUP(kc_freep) char *decoded = NULL;
        if (kc_url_unescape(h->path + n, strlen(h->path + n), false, &decoded) < 0)
                kc_proxy_error(400, "Bad Request", "400 Bad Request\n", &c->out);
        else if (strstr(h->path, "/..") || strstr(h->path, "//"))
                kc_buf_addf(&c->out,
                    "HTTP/1.1 301 Moved Permanently\r\nLocation: %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                    clean);
        else
                kc_proxy_file(c->s->www, decoded, h->path, &c->out);
        answered(c);
}

/* The host of a Host header, without its port. */
static char *host_of(const char *value)
{
        const char *end = value[0] == '[' ? strchr(value, ']') : NULL;
        return kc_strndup(value, end ? (size_t)(end - value) + 1 : strcspn(value, ":"));
}

static void on_head(struct conn *c, size_t head_len)
{
        const struct kc_proxy_server *s = c->s;
        KC_CLEANUP(head_done) struct head h = {0};
        KC_CLEANUP(kc_freep) char *text = kc_strndup(c->in.data, head_len);
        size_t prefix = strlen(s->prefix) - 1;
        if (strlen(text) != head_len || !parse_head(text, &h)) {
                kc_proxy_error(400, "Bad Request", "400 Bad Request", &c->out);
                answered(c);
                return;
        }
        if (s->www && kc_str_has_prefix(h.path, s->www_path)) {
                serve_file(c, &h);
                return;
        }
        KC_CLEANUP(kc_freep) char *root = s->www ? kc_strndup(s->www_path, strlen(s->www_path) - 1) : NULL;
        if (s->www && kc_streq(h.path, root)) {
                kc_buf_addf(&c->out,
                    "HTTP/1.1 301 Moved Permanently\r\nLocation: %s\r\nContent-Type: text/html; charset=utf-8\r\n"
                    "Connection: close\r\n\r\n<a href=\"%s\">Moved Permanently</a>.\n\n",
                    s->www_path, s->www_path);
                answered(c);
                return;
        }
        h.host = host_of(header(&h, "Host") ? header(&h, "Host") : "");
        if (!kc_str_has_prefix(h.path, s->prefix)) {
                kc_proxy_error(404, "Not Found", "404 page not found\n", &c->out);
                answered(c);
        } else if (!accepts(&s->filter, h.method, h.path + prefix, h.host)) {
                kc_proxy_error(403, "Forbidden", "Forbidden\n", &c->out);
                answered(c);
        } else {
                pass_on(c, &h, h.target + prefix, head_len);
        }
}

static void on_socket(int fd, int events, void *arg)
{
        struct conn *c = arg;
        char piece[PIECE];
        if (events & KC_IO_WRITE) {
                flush_out(c);
                return;
        }
        ssize_t n = recv(fd, piece, sizeof(piece), MSG_DONTWAIT);
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
                return;
        if (n <= 0) {
                conn_free(c);
                return;
        }
        if (c->up) {
                send_up(c, piece, (size_t)n);
                watch(c);
                return;
        }
        kc_buf_add(&c->in, piece, (size_t)n);
        const char *end = strstr(kc_buf_str(&c->in), "\r\n\r\n");
        if (end) {
                on_head(c, (size_t)(end - c->in.data) + 4);
        } else if (c->in.len > MAX_HEAD) {
                kc_proxy_error(431, "Request Header Fields Too Large", "", &c->out);
                answered(c);
        }
}

void kc_proxy_accept(const struct kc_proxy_server *s, int take_fd)
{
        struct conn *c = KC_NEW(struct conn);
        *c = (struct conn){.s = s, .fd = take_fd};
        c->io = kc_io_new(s->loop, take_fd, KC_IO_READ, on_socket, c);
}
