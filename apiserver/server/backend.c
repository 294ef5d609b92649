/* Addresses of backends. Worker threads. */
#include "server/backend.h"

#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "api/object.h"
#include "base/ip.h"
#include "base/str.h"
#include "server/server_internal.h"

enum { KUBELET_PORT = 10250 };

void backend_done(struct backend *b)
{
        kc_free(b->host);
        kc_free(b->address);
        kc_free(b->checked);
        *b = (struct backend){0};
}

static void set_host(struct backend *b, const char *host, int port)
{
        bool v6 = strchr(host, ':') != NULL;
        b->host = kc_strdup(host);
        b->port = port;
        b->address = kc_asprintf("%s%s%s:%d", v6 ? "[" : "", host, v6 ? "]" : "", port);
}

/* The node's address of the most preferred type that it has. */
static const char *node_address(const struct kc_apiserver *s, const struct json_object *node)
{
        const struct json_object *addresses = kc_json_at(node, "status.addresses");
        for (size_t i = 0; s->o->kubelet_preferred_address_types && s->o->kubelet_preferred_address_types[i]; i++) {
                const struct json_object *a = kc_json_find(addresses, "type", s->o->kubelet_preferred_address_types[i]);
                if (a && !kc_str_empty(kc_json_str(a, "address")))
                        return kc_json_str(a, "address");
        }
        return NULL;
}

int backend_of_kubelet(struct api_req *q, const char *node_name, struct backend *ret, struct kc_error *err)
{
        KC_CLEANUP(kc_object_unrefp) struct kc_object *node = NULL;
        int r = kc_resources_get(q->server->resources, "", "nodes", NULL, node_name, &node, err);
        if (r < 0)
                return r;
        const struct json_object *n = kc_object_json(node);
        const char *address = node_address(q->server, n);
        if (!address)
                return kc_err_internal(err, "no preferred addresses found; known addresses: []");
        int64_t port = kc_json_int_at(n, "status.daemonEndpoints.kubeletEndpoint.Port", 0);
        if (port <= 0 || port > 65535)
                port = KUBELET_PORT;
        set_host(ret, address, (int)port);
        ret->tls = q->server->kubelet_tls;
        return 0;
}

void backend_of_host(struct api_req *q, const char *scheme, const char *host, int port, struct backend *ret)
{
        bool tls = kc_streq(scheme, "https");
        set_host(ret, host, port > 0 ? port : tls ? 443 : 80);
        ret->tls = tls ? q->server->proxy_tls : NULL;
}

static bool is_proxyable(struct kc_ip ip)
{
        bool broadcast = ip.family == AF_INET && memcmp(ip.b, "\xff\xff\xff\xff", 4) == 0;
        /* An IPv4 address in IPv6's clothes is judged as what it is. */
        static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
        if (ip.family == AF_INET6 && memcmp(ip.b, mapped, sizeof(mapped)) == 0) {
                memmove(ip.b, ip.b + sizeof(mapped), 4);
                ip.family = AF_INET;
        }
        return !broadcast && !kc_ip_is_loopback(&ip) && !kc_ip_is_link_local(&ip) && !kc_ip_is_unspecified(&ip) &&
               !kc_ip_is_multicast(&ip);
}

static struct kc_ip ip_of(const struct sockaddr *a)
{
        struct kc_ip ip = {.family = a->sa_family};
        if (a->sa_family == AF_INET6)
                memcpy(ip.b, &((const struct sockaddr_in6 *)(const void *)a)->sin6_addr, 16);
        else
                memcpy(ip.b, &((const struct sockaddr_in *)(const void *)a)->sin_addr, 4);
        return ip;
}

int backend_check_proxyable(struct backend *b, struct kc_error *err)
{
        const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
        struct addrinfo *list = NULL;
        struct kc_ip ip;
        char text[KC_IP_LEN];
        bool ok = true;
        if (kc_ip_parse(b->host, &ip) == 0) {
                kc_str_set(&b->checked, b->host);
                return is_proxyable(ip) ? 0 : kc_err_bad_request(err, "address not allowed");
        }
        int r = getaddrinfo(b->host, NULL, &hints, &list);
        if (r != 0)
                return kc_err_bad_request(
                    err, "lookup %s: %s", b->host, r == EAI_NONAME ? "no such host" : gai_strerror(r));
        for (const struct addrinfo *a = list; a; a = a->ai_next)
                ok &= is_proxyable(ip_of(a->ai_addr));
        ip = ip_of(list->ai_addr);
        kc_str_set(&b->checked, kc_ip_format(&ip, text));
        freeaddrinfo(list);
        return ok ? 0 : kc_err_bad_request(err, "address not allowed");
}

void backend_fill(const struct backend *b, struct api_req *q, struct kc_exchange_opts *ret)
{
        ret->loop = kc_http_req_loop(q->http);
        ret->dial = b->checked ? b->checked : b->host;
        ret->port = b->port;
        ret->tls = b->tls;
        ret->tls_name = b->host;
        ret->host = b->address;
        if (b->tls && b->tls == q->server->kubelet_tls)
                ret->open_timeout = q->server->o->kubelet_timeout;
}

/* --- Containers */

static const char *const container_lists[] = {"spec.initContainers", "spec.containers", "spec.ephemeralContainers"};

int pod_choose_container(const struct json_object *pod, const char *wanted, const char **ret, struct kc_error *err)
{
        const struct json_object *main = kc_json_at(pod, "spec.containers");
        if (!kc_str_empty(wanted)) {
                for (size_t i = 0; i < KC_ARRAY_LEN(container_lists); i++)
                        if (kc_json_find(kc_json_at(pod, container_lists[i]), "name", wanted)) {
                                *ret = wanted;
                                return 0;
                        }
                return kc_err_bad_request(err, "container %s is not valid for pod %s", wanted, kc_meta_name(pod));
        }
        if (kc_json_len(main) == 1) {
                *ret = kc_json_str(kc_json_idx(main, 0), "name");
                return 0;
        }
        KC_CLEANUP(kc_strv_freep) char **names = NULL;
        for (size_t i = 0; i < KC_ARRAY_LEN(container_lists); i++) {
                const struct json_object *list = kc_json_at(pod, container_lists[i]);
                for (size_t k = 0; k < kc_json_len(list); k++)
                        kc_strv_push(&names, kc_json_str(kc_json_idx(list, k), "name"));
        }
        KC_CLEANUP(kc_freep) char *choices = kc_strv_join(names, " ");
        return kc_err_bad_request(
            err, "a container name must be specified for pod %s, choose one of: [%s]", kc_meta_name(pod), choices);
}
