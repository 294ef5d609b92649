/* Connecting: the addresses of a name in turn, each with its share of the time. On the loop. */
#include "net/dial.h"

#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "net/lookup.h"

enum {
        KEEPALIVE_IDLE = 30, /* seconds; the kernel finds dead peers of silent connections */
        KEEPALIVE_INTERVAL = 15,
        KEEPALIVE_COUNT = 2,
        UNACKED_MS = 30000,
};
#define LEAST_FOR_AN_ADDRESS (2 * KC_SEC)

struct kc_dial {
        struct kc_loop *loop;
        char *unix_path, *host, *port;
        kc_mono deadline; /* 0: none */
        kc_dial_fn done;
        void *arg;
        struct net_lookup *lookup;
        struct addrinfo *addrs, *addr; /* all, and the one in use */
        int fd;
        struct kc_io *io;
        struct kc_timer *timer; /* the end of an attempt, or a result that must not come from inside kc_dial_new */
        bool settled;
        struct kc_error error; /* of the first address that failed, as Go reports */
};

static void connect_next(struct kc_dial *d);

const char *kc_net_strerror(int e)
{
        static _Thread_local char text[128];
        snprintf(text, sizeof(text), "%s", strerror(e));
        text[0] = (char)tolower((unsigned char)text[0]);
        return text;
}

static void close_attempt(struct kc_dial *d)
{
        kc_io_free(KC_TAKE(d->io));
        if (d->fd >= 0)
                close(d->fd);
        d->fd = -1;
}

void kc_dial_free(struct kc_dial *d)
{
        if (!d)
                return;
        if (d->lookup)
                net_lookup_cancel(d->lookup);
        close_attempt(d);
        kc_timer_free(d->timer);
        if (d->addrs)
                freeaddrinfo(d->addrs);
        kc_error_done(&d->error);
        kc_free(d->unix_path);
        kc_free(d->host);
        kc_free(d->port);
        kc_free(d);
}

/* The last thing done with d. */
static void succeed(struct kc_dial *d)
{
        kc_io_free(KC_TAKE(d->io));
        kc_timer_disarm(d->timer);
        int fd = d->fd;
        d->fd = -1;
        d->done(fd, NULL, d->arg);
}

static void fail(struct kc_dial *d)
{
        close_attempt(d);
        kc_timer_disarm(d->timer);
        struct kc_error err = KC_ERROR_INIT;
        kc_error_move(&err, &d->error);
        d->done(-1, &err, d->arg);
        kc_error_done(&err);
}

static void fail_soon(struct kc_dial *d)
{
        d->settled = true;
        kc_timer_arm(d->timer, 0);
}

/* What the address in use is called. */
static void format_target(const struct kc_dial *d, char *text, size_t size)
{
        char host[NI_MAXHOST] = "", port[NI_MAXSERV] = "";
        if (d->unix_path) {
                snprintf(text, size, "unix %s", d->unix_path);
        } else if (!d->addr || getnameinfo(d->addr->ai_addr, d->addr->ai_addrlen, host, sizeof(host), port,
                                   sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
                snprintf(text, size, "tcp %s:%s", d->host, d->port);
        } else {
                bool v6 = d->addr->ai_family == AF_INET6;
                snprintf(text, size, "tcp %s%s%s:%s", v6 ? "[" : "", host, v6 ? "]" : "", port);
        }
}

static void attempt_failed(struct kc_dial *d, int error, const char *op)
{
        char target[NI_MAXHOST + 64];
        format_target(d, target, sizeof(target));
        if (!d->error.errnum)
                kc_error_set(&d->error, error, "dial %s: %s%s", target, op,
                    error == ETIMEDOUT && !*op ? "i/o timeout" : kc_net_strerror(error));
        close_attempt(d);
}

static void on_writable(int fd, int events, void *arg)
{
        struct kc_dial *d = arg;
        (void)events;
        int error = 0;
        socklen_t len = sizeof(error);
        if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
                error = errno;
        if (error == 0) {
                succeed(d);
                return;
        }
        attempt_failed(d, error, "connect: ");
        connect_next(d);
}

static void set_options(int fd)
{
        int one = 1, idle = KEEPALIVE_IDLE, interval = KEEPALIVE_INTERVAL, count = KEEPALIVE_COUNT, ms = UNACKED_MS;
        /* Without them it only works less well. */
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
        (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
        (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
        (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
        (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof(ms));
}

/* 0 when under way, else errno. */
static int try_connect(struct kc_dial *d, int family, const struct sockaddr *sa, socklen_t len)
{
        d->fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (d->fd < 0)
                return errno;
        if (family != AF_UNIX)
                set_options(d->fd);
        /* EAGAIN: the listener's queue of a unix socket is full; it is not connected then. */
        if (connect(d->fd, sa, len) < 0 && errno != EINPROGRESS)
                return errno;
        /* Also when connected at once: the socket is writable then. */
        d->io = kc_io_new(d->loop, d->fd, KC_IO_WRITE, on_writable, d);
        return 0;
}

static int64_t time_for_attempt(const struct kc_dial *d)
{
        int64_t left = d->deadline - kc_clock_mono(NULL);
        int n = 0;
        for (const struct addrinfo *a = d->addr; a; a = a->ai_next)
                n++;
        return KC_MIN(left, KC_MAX(left / KC_MAX(n, 1), LEAST_FOR_AN_ADDRESS));
}

static void connect_next(struct kc_dial *d)
{
        for (;;) {
                d->addr = d->addr ? d->addr->ai_next : d->addrs;
                if (!d->addr)
                        break;
                if (d->deadline)
                        kc_timer_arm(d->timer, time_for_attempt(d));
                int error = try_connect(d, d->addr->ai_family, d->addr->ai_addr, d->addr->ai_addrlen);
                if (error == 0)
                        return;
                attempt_failed(d, error, "connect: ");
        }
        fail_soon(d);
}

static void connect_unix(struct kc_dial *d)
{
        struct sockaddr_un sa = {.sun_family = AF_UNIX};
        size_t len = strlen(d->unix_path);
        int error = ENAMETOOLONG;
        if (len < sizeof(sa.sun_path)) {
                memcpy(sa.sun_path, d->unix_path, len + 1);
                error = try_connect(d, AF_UNIX, (const struct sockaddr *)&sa, sizeof(sa));
        }
        if (error == 0)
                return;
        attempt_failed(d, error, "connect: ");
        fail_soon(d);
}

static void on_resolved(struct addrinfo *take_addrs, const struct kc_error *err, void *arg)
{
        struct kc_dial *d = arg;
        d->lookup = NULL;
        if (take_addrs) {
                d->addrs = take_addrs;
                connect_next(d);
                return;
        }
        kc_error_copy(&d->error, err);
        kc_error_wrap(&d->error, "dial tcp");
        fail(d);
}

static void on_timer(void *arg)
{
        struct kc_dial *d = arg;
        if (d->settled) {
                fail(d);
        } else if (d->addr && d->addr->ai_next && kc_clock_mono(NULL) < d->deadline) {
                attempt_failed(d, ETIMEDOUT, "");
                connect_next(d);
        } else {
                attempt_failed(d, ETIMEDOUT, "");
                fail(d);
        }
}

struct kc_dial *kc_dial_new(struct kc_loop *l, const struct kc_dial_opts *o, kc_dial_fn done, void *arg)
{
        struct kc_dial *d = KC_NEW(struct kc_dial);
        d->loop = l;
        d->unix_path = kc_strdup(o->unix_path);
        d->host = kc_strdup(o->host);
        d->port = kc_strdup(o->port);
        d->deadline = o->timeout_usec > 0 ? kc_clock_mono(NULL) + o->timeout_usec : 0;
        d->fd = -1;
        d->done = done;
        d->arg = arg;
        d->timer = kc_timer_new(l, on_timer, d);
        if (d->deadline)
                kc_timer_arm(d->timer, o->timeout_usec);
        if (d->unix_path) {
                connect_unix(d);
        } else if ((d->addrs = net_lookup_literal(d->host, d->port))) {
                connect_next(d);
        } else {
                d->lookup = net_lookup_start(l, d->host, d->port, on_resolved, d, &d->error);
                if (!d->lookup)
                        fail_soon(d);
        }
        return d;
}
