/* The listener: accepts on loops[0] and gives each connection to the loop that has the fewest. */
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/file.h"
#include "base/ip.h"
#include "base/log.h"
#include "base/mem.h"
#include "http/http_internal.h"

/* A write to a connection that the peer has closed must be an error, not the end of the process; OpenSSL uses plain
 * write(2). A handler that the program has set stays. */
static void ignore_sigpipe(void)
{
        struct sigaction sa;
        if (sigaction(SIGPIPE, NULL, &sa) == 0 && !(sa.sa_flags & SA_SIGINFO) && sa.sa_handler == SIG_DFL)
                signal(SIGPIPE, SIG_IGN);
}

/* --- The listening socket */

union any_addr {
        struct sockaddr sa;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
        struct sockaddr_un un;
        struct sockaddr_storage storage;
};

static int tcp_address(const char *address, int port, union any_addr *a, socklen_t *ret_len, struct kc_error *err)
{
        struct kc_ip ip;
        memset(a, 0, sizeof(*a));
        if (port < 0 || port > 65535 || kc_ip_parse(address, &ip) < 0)
                return kc_error_set(err, EINVAL, "not an address to listen on: %s port %d", address, port);
        if (ip.family == AF_INET) {
                a->in.sin_family = AF_INET;
                a->in.sin_port = htons((uint16_t)port);
                memcpy(&a->in.sin_addr, ip.b, 4);
                *ret_len = sizeof(a->in);
        } else {
                a->in6.sin6_family = AF_INET6;
                a->in6.sin6_port = htons((uint16_t)port);
                memcpy(&a->in6.sin6_addr, ip.b, 16);
                *ret_len = sizeof(a->in6);
        }
        return 0;
}

static int unix_address(const char *path, union any_addr *a, socklen_t *ret_len, struct kc_error *err)
{
        memset(a, 0, sizeof(*a));
        a->un.sun_family = AF_UNIX;
        if (strlen(path) >= sizeof(a->un.sun_path))
                return kc_error_set(err, ENAMETOOLONG, "path of a socket is too long: %s", path);
        memcpy(a->un.sun_path, path, strlen(path) + 1);
        *ret_len = sizeof(a->un);
        struct stat st;
        if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
                (void)unlink(path); /* of an earlier process; if it cannot be removed, bind says so */
        return 0;
}

static int bound_port(int fd)
{
        union any_addr a;
        socklen_t len = sizeof(a);
        if (getsockname(fd, &a.sa, &len) < 0)
                return 0;
        if (a.sa.sa_family == AF_INET)
                return ntohs(a.in.sin_port);
        return a.sa.sa_family == AF_INET6 ? ntohs(a.in6.sin6_port) : 0;
}

static int open_listener(struct kc_http_server *s, struct kc_error *err)
{
        union any_addr a;
        socklen_t len = 0;
        int r = s->unix_path ? unix_address(s->unix_path, &a, &len, err)
                             : tcp_address(s->address, s->opts.port, &a, &len, err);
        if (r < 0)
                return r;
        KC_CLEANUP(kc_closep) int fd = socket(a.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return kc_error_set(err, errno, "socket: %s", strerrordesc_np(errno));
        int one = 1, zero = 0;
        if (a.sa.sa_family != AF_UNIX)
                (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)); /* bind will tell */
        if (a.sa.sa_family == AF_INET6)
                (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero));
        if (bind(fd, &a.sa, len) < 0 || listen(fd, SOMAXCONN) < 0) {
                int e = errno;
                if (s->unix_path)
                        return kc_error_set(err, e, "listen on %s: %s", s->unix_path, strerrordesc_np(e));
                return kc_error_set(err, e, "listen on %s port %d: %s", s->address, s->opts.port, strerrordesc_np(e));
        }
        s->port = bound_port(fd);
        s->fd = fd;
        fd = -1;
        return 0;
}

/* --- Accepting */

static void remote_ip(const union any_addr *a, struct kc_ip *ret)
{
        *ret = (struct kc_ip){.family = a->sa.sa_family};
        if (ret->family == AF_INET) {
                memcpy(ret->b, &a->in.sin_addr, 4);
        } else if (ret->family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&a->in6.sin6_addr)) {
                ret->family = AF_INET;
                memcpy(ret->b, a->in6.sin6_addr.s6_addr + 12, 4);
        } else if (ret->family == AF_INET6) {
                memcpy(ret->b, &a->in6.sin6_addr, 16);
        }
}

static char *remote_text(const union any_addr *a, const struct kc_ip *ip)
{
        char text[KC_IP_LEN];
        if (ip->family != AF_INET && ip->family != AF_INET6)
                return kc_strdup("@");
        int port = ntohs(a->sa.sa_family == AF_INET ? a->in.sin_port : a->in6.sin6_port);
        return kc_asprintf(ip->family == AF_INET ? "%s:%d" : "[%s]:%d", kc_ip_format(ip, text), port);
}

struct handover {
        struct http_shard *shard;
        int fd;
        char *remote;
        struct http_peer *peer;
};

static void adopt(void *arg)
{
        struct handover *h = arg;
        if (h->shard->server) {
                http_conn_new(h->shard, h->fd, h->remote, h->peer);
        } else { /* the server is gone, and its counts are */
                close(h->fd);
                kc_free(h->remote);
        }
        http_shard_unref(h->shard);
        kc_free(h);
}

static void hand_over(struct kc_http_server *s, int fd, char *take_remote, struct http_peer *take_peer)
{
        struct http_shard *least = s->shards[0];
        for (size_t i = 1; i < s->opts.n_loops; i++)
                if (atomic_load(&s->shards[i]->n_conns) < atomic_load(&least->n_conns))
                        least = s->shards[i];
        atomic_fetch_add(&least->n_conns, 1);
        if (least == s->shards[0]) {
                http_conn_new(least, fd, take_remote, take_peer);
                return;
        }
        struct handover *h = KC_NEW(struct handover);
        h->shard = http_shard_ref(least);
        h->fd = fd;
        h->remote = take_remote;
        h->peer = take_peer;
        kc_loop_post(least->loop, adopt, h);
}

static void reclaim(void *arg)
{
        struct http_shard *shard = arg;
        if (shard->server) {
                http_shard_reclaim(shard);
                atomic_store(&shard->server->reclaiming, false);
        }
        http_shard_unref(shard);
}

/* All connections are taken: those that do nothing make room. */
static void make_room(struct kc_http_server *s)
{
        if (atomic_exchange(&s->reclaiming, true))
                return;
        kc_log_v(1, "As many connections as there may be, closing idle ones", "connections",
            kc_log_i64((long long)s->opts.max_connections));
        for (size_t i = 0; i < s->opts.n_loops; i++)
                kc_loop_post(s->shards[i]->loop, reclaim, http_shard_ref(s->shards[i]));
}

/* A reset, not a close: the kernel keeps nothing of it. */
static void refuse(int fd)
{
        struct linger at_once = {.l_onoff = 1};
        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
        close(fd);
}

static void take(struct kc_http_server *s, int fd, const union any_addr *a)
{
        struct kc_ip ip;
        struct http_peer *peer;
        remote_ip(a, &ip);
        if (http_peers_enter(s->peers, &ip, &peer)) {
                hand_over(s, fd, remote_text(a, &ip), peer);
                return;
        }
        refuse(fd);
        atomic_fetch_sub(&s->n_conns, 1);
}

/* False: no more for now. */
static bool accept_one(struct kc_http_server *s)
{
        if (atomic_fetch_add(&s->n_conns, 1) >= s->opts.max_connections) {
                /* What waits stays in the kernel's queue until a connection ends. */
                atomic_store(&s->accept_paused, true);
                kc_io_set(s->accept_io, 0);
                make_room(s);
                kc_timer_arm(s->accept_timer, HTTP_ACCEPT_PAUSE); /* perhaps there is none to be closed yet */
                if (atomic_fetch_sub(&s->n_conns, 1) - 1 < s->opts.max_connections &&
                    atomic_exchange(&s->accept_paused, false))
                        kc_io_set(s->accept_io, KC_IO_READ); /* one has ended just now */
                return false;
        }
        union any_addr a;
        socklen_t len = sizeof(a);
        memset(&a, 0, sizeof(a));
        int fd = accept4(s->fd, &a.sa, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
                take(s, fd, &a);
                return true;
        }
        int e = errno;
        atomic_fetch_sub(&s->n_conns, 1);
        if (e == EMFILE || e == ENFILE || e == ENOMEM || e == ENOBUFS) {
                kc_log_warn("Cannot accept connections, retrying", "error", strerrordesc_np(e));
                make_room(s);
                kc_io_set(s->accept_io, 0);
                kc_timer_arm(s->accept_timer, HTTP_ACCEPT_PAUSE);
        }
        return e == ECONNABORTED || e == EINTR || e == EPROTO;
}

static void on_acceptable(int fd, int events, void *arg)
{
        struct kc_http_server *s = arg;
        (void)fd;
        (void)events;
        for (int i = 0; i < HTTP_ACCEPT_BATCH && accept_one(s); i++)
                ;
}

static void resume_accepting(void *arg)
{
        struct kc_http_server *s = arg;
        atomic_store(&s->accept_paused, false);
        if (s->accept_io)
                kc_io_set(s->accept_io, KC_IO_READ);
}

static void resume_posted(void *arg)
{
        struct http_shard *first = arg;
        if (first->server)
                resume_accepting(first->server);
        http_shard_unref(first);
}

void http_server_conn_gone(struct kc_http_server *s, struct http_shard *shard)
{
        atomic_fetch_sub(&shard->n_conns, 1);
        atomic_fetch_sub(&s->n_conns, 1);
        if (atomic_exchange(&s->accept_paused, false))
                kc_loop_post(s->shards[0]->loop, resume_posted, http_shard_ref(s->shards[0]));
}

/* --- The server's life */

/* The rest of the descriptors is for etcd, files, and what requests open. */
static size_t default_connections(void)
{
        struct rlimit files;
        size_t max = HTTP_DEFAULT_MAX_CONNECTIONS;
        if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur / 4 * 3 < max)
                max = (size_t)files.rlim_cur / 4 * 3;
        return max;
}

static void fill_defaults(struct kc_http_server_opts *o)
{
        if (!o->max_body)
                o->max_body = HTTP_DEFAULT_MAX_BODY;
        if (!o->max_header_bytes)
                o->max_header_bytes = HTTP_DEFAULT_MAX_HEADER_BYTES;
        bool all_of_the_process = !o->max_connections;
        if (all_of_the_process)
                o->max_connections = default_connections();
        if (!o->max_peer_connections)
                o->max_peer_connections = all_of_the_process ? o->max_connections / 4 * 3 : o->max_connections;
        if (!o->max_queued_bytes)
                o->max_queued_bytes = HTTP_DEFAULT_MAX_QUEUED;
        if (o->max_streams <= 0)
                o->max_streams = HTTP_DEFAULT_MAX_STREAMS;
        if (o->header_timeout_ms <= 0)
                o->header_timeout_ms = HTTP_DEFAULT_HEADER_TIMEOUT_MS;
        if (o->idle_timeout_ms <= 0)
                o->idle_timeout_ms = HTTP_DEFAULT_IDLE_TIMEOUT_MS;
        if (o->transfer_timeout_ms <= 0)
                o->transfer_timeout_ms = HTTP_DEFAULT_TRANSFER_TIMEOUT_MS;
}

static struct http_shard *new_shard(struct kc_http_server *s, struct kc_loop *loop)
{
        struct http_shard *shard = KC_NEW(struct http_shard);
        atomic_init(&shard->refs, 1);
        shard->loop = loop;
        shard->server = s;
        kc_list_init(&shard->conns);
        kc_list_init(&shard->dirty);
        kc_list_init(&shard->dead);
        kc_list_init(&shard->paced);
        kc_list_init(&shard->handshakes);
        shard->scratch = kc_malloc(HTTP_READ_CHUNK);
        return shard;
}

static void start_accepting(void *arg)
{
        struct kc_http_server *s = arg;
        s->accept_timer = kc_timer_new(s->shards[0]->loop, resume_accepting, s);
        s->accept_io = kc_io_new(s->shards[0]->loop, s->fd, KC_IO_READ, on_acceptable, s);
}

int kc_http_server_new(const struct kc_http_server_opts *o, struct kc_http_server **ret, struct kc_error *err)
{
        assert(o->n_loops > 0 && o->on_request);
        ignore_sigpipe();
        struct kc_http_server *s = KC_NEW(struct kc_http_server);
        s->opts = *o;
        fill_defaults(&s->opts);
        s->address = kc_strdup(o->address ? o->address : "127.0.0.1");
        s->unix_path = kc_strdup(o->unix_path);
        s->fd = -1;
        int r = open_listener(s, err);
        if (r < 0) {
                kc_free(s->address);
                kc_free(s->unix_path);
                kc_free(s);
                return r;
        }
        s->shards = kc_calloc(o->n_loops, sizeof(*s->shards));
        for (size_t i = 0; i < o->n_loops; i++)
                s->shards[i] = new_shard(s, o->loops[i]);
        s->peers = http_peers_new(s->opts.max_peer_connections);
        s->opts.loops = NULL; /* the caller's array need not last */
        kc_loop_call(s->shards[0]->loop, start_accepting, s);
        *ret = s;
        return 0;
}

int kc_http_server_port(const struct kc_http_server *s)
{
        return s->port;
}

size_t kc_http_server_connections(const struct kc_http_server *s)
{
        return atomic_load(&s->n_conns);
}

static void stop_accepting(struct kc_http_server *s)
{
        kc_io_free(s->accept_io);
        kc_timer_free(s->accept_timer);
        s->accept_io = NULL;
        s->accept_timer = NULL;
        if (s->fd >= 0 && s->unix_path)
                (void)unlink(s->unix_path); /* the next server removes it otherwise */
        kc_closep(&s->fd);
        s->fd = -1;
}

static void drain_shard(void *arg)
{
        struct http_shard *shard = arg;
        struct kc_http_server *s = shard->server;
        if (s) {
                if (shard == s->shards[0])
                        stop_accepting(s);
                KC_LIST_FOREACH(&shard->conns, c, struct http_conn, node)
                http_conn_drain(c);
        }
        http_shard_unref(shard);
}

void kc_http_server_drain(struct kc_http_server *s)
{
        if (atomic_exchange(&s->draining, true))
                return;
        for (size_t i = 0; i < s->opts.n_loops; i++)
                kc_loop_post(s->shards[i]->loop, drain_shard, http_shard_ref(s->shards[i]));
}

static void close_shard(void *arg)
{
        struct http_shard *shard = arg;
        struct http_conn *c;
        while ((c = KC_LIST_FIRST(&shard->conns, struct http_conn, node)))
                http_conn_goodbye(c);
        while ((c = KC_LIST_FIRST(&shard->dead, struct http_conn, node)))
                http_conn_destroy(c);
        http_pace_done(shard);
        shard->server = NULL;
}

void kc_http_server_free(struct kc_http_server *s)
{
        if (!s)
                return;
        stop_accepting(s);
        for (size_t i = 0; i < s->opts.n_loops; i++)
                kc_loop_call(s->shards[i]->loop, close_shard, s->shards[i]);
        for (size_t i = 0; i < s->opts.n_loops; i++)
                http_shard_unref(s->shards[i]);
        kc_free(s->shards);
        http_peers_free(s->peers);
        kc_free(s->address);
        kc_free(s->unix_path);
        kc_free(s);
}
