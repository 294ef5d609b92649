/* Endpoints of a channel: parsing "scheme://host:port". No state, any thread. */
#include <errno.h>
#include <string.h>
#include <sys/un.h>

#include "base/mem.h"
#include "base/str.h"
#include "grpc/channel_internal.h"

static int parse_host_port(struct grpc_endpoint *ep, const char *s, struct kc_error *err)
{
        size_t len = strcspn(s, "/");
        if (s[len] && s[len + 1])
                return kc_error_set(err, EINVAL, "endpoint \"%s\" has a path", ep->text);
        const char *end = s + len;
        const char *host = s, *host_end, *port;
        if (*s == '[') {
                host = s + 1;
                host_end = memchr(host, ']', (size_t)(end - host));
                if (!host_end || host_end[1] != ':')
                        return kc_error_set(err, EINVAL, "endpoint \"%s\" is not [host]:port", ep->text);
                port = host_end + 2;
        } else {
                host_end = memrchr(s, ':', len);
                if (!host_end)
                        return kc_error_set(err, EINVAL, "endpoint \"%s\" has no port", ep->text);
                port = host_end + 1;
        }
        uint64_t number;
        ep->host = kc_strndup(host, (size_t)(host_end - host));
        ep->port = kc_strndup(port, (size_t)(end - port));
        if (!*ep->host || kc_str_to_u64(ep->port, &number) < 0 || number == 0 || number > 65535)
                return kc_error_set(err, EINVAL, "endpoint \"%s\" is not host:port", ep->text);
        ep->authority = kc_strndup(s, len);
        return 0;
}

int grpc_endpoint_init(
    struct grpc_endpoint *ep, const char *text, const struct kc_tls_client_opts *tls, struct kc_error *err)
{
        *ep = (struct grpc_endpoint){.text = kc_strdup(text)};
        if (kc_str_has_prefix(text, "unix:")) {
                const char *path = text + strlen("unix:");
                if (kc_str_has_prefix(path, "//"))
                        path += 2;
                if (*path != '/' || strlen(path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
                        return kc_error_set(err, EINVAL, "endpoint \"%s\": not an absolute path, or too long", text);
                ep->unix_path = kc_strdup(path);
                ep->authority = kc_strdup("localhost");
                return 0;
        }
        if (kc_str_has_prefix(text, "http://"))
                return parse_host_port(ep, text + strlen("http://"), err);
        if (!kc_str_has_prefix(text, "https://"))
                return kc_error_set(err, EINVAL, "endpoint \"%s\": scheme is none of http, https, unix", text);
        int r = parse_host_port(ep, text + strlen("https://"), err);
        if (r < 0)
                return r;
        struct kc_tls_client_opts o = tls ? *tls : (struct kc_tls_client_opts){0};
        r = kc_tls_client_new(&o, &ep->tls, err);
        return r < 0 ? kc_error_wrap(err, "endpoint \"%s\"", text) : 0;
}

void grpc_endpoint_done(struct grpc_endpoint *ep)
{
        kc_free(ep->text);
        kc_free(ep->unix_path);
        kc_free(ep->host);
        kc_free(ep->port);
        kc_free(ep->authority);
        if (ep->tls)
                kc_tls_client_free(ep->tls);
}
