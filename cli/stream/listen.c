/* Listening sockets of commands. Any thread. */
#include "cli/stream/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "net/dial.h"

enum { BACKLOG = 128 };

/* Go's word for it. */
static int listen_failed(
    const char *network, int errnum, const char *what, const char *address, int port, struct kc_error *err)
{
        bool v6 = strchr(address, ':') != NULL;
        /* Not errno's own number: nothing is wrong with the server. */
        return kc_error_set(err, EBADF, "listen %s %s%s%s:%d: %s: %s",
            network ? network
            : v6    ? "tcp6"
                    : "tcp4",
            v6 ? "[" : "", address, v6 ? "]" : "", port, what, kc_net_strerror(errnum));
}

int kc_listen_tcp(const char *network, const char *address, int *port, struct kc_error *err)
{
        struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)*port)};
        struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)*port)};
        bool is6 = strchr(address, ':') != NULL;
        union {
                struct sockaddr_in *in4;
                struct sockaddr_in6 *in6;
                struct sockaddr *any;
        } at = {.in4 = &v4};
        socklen_t len = is6 ? sizeof(v6) : sizeof(v4);
        if (is6)
                at.in6 = &v6;
        if (inet_pton(is6 ? AF_INET6 : AF_INET, address, is6 ? (void *)&v6.sin6_addr : (void *)&v4.sin_addr) != 1)
                return kc_error_set(err, EINVAL, "%s is not a valid IP", address);
        int fd = socket(is6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;
        if (fd < 0)
                return listen_failed(network, errno, "socket", address, *port, err);
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
        if (is6)
                (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
        if (bind(fd, at.any, len) < 0 || listen(fd, BACKLOG) < 0 || getsockname(fd, at.any, &len) < 0) {
                int e = listen_failed(network, errno, "bind", address, *port, err);
                (void)close(fd);
                return e;
        }
        *port = ntohs(is6 ? v6.sin6_port : v4.sin_port);
        return fd;
}

int kc_listen_unix(const char *path, struct kc_error *err)
{
        struct sockaddr_un at = {.sun_family = AF_UNIX};
        if (strlen(path) >= sizeof(at.sun_path))
                return kc_error_set(err, EINVAL, "listen unix %s: bind: invalid argument", path);
        memcpy(at.sun_path, path, strlen(path) + 1);
        union {
                struct sockaddr_un *in;
                struct sockaddr *any;
        } as = {.in = &at};
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0 || bind(fd, as.any, sizeof(at)) < 0 || listen(fd, BACKLOG) < 0) {
                int e = kc_error_set(err, EBADF, "listen unix %s: bind: %s", path, kc_net_strerror(errno));
                if (fd >= 0)
                        (void)close(fd);
                return e;
        }
        return fd;
}
