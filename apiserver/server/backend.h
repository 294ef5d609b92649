/* Where requests are passed on to: kubelets, pods, endpoints of Services. Worker threads: names are resolved. */
#pragma once

#include "server/request.h"
#include "stream/exchange.h"

struct backend {
        char *host;                         /* "10.0.0.1": also the name that a certificate has to be for */
        char *address;                      /* "10.0.0.1:10250": the Host header */
        struct sockaddr_storage *addresses; /* what host is, now: nothing else is dialed (no second look-up) */
        size_t n_addresses;
        struct kc_tls_client *tls; /* borrowed; NULL: plain */
};
void backend_done(struct backend *b);

/* The kubelet of a node by --kubelet-preferred-address-types. port 0: the kubelet's. */
int backend_of_kubelet(struct api_req *q, const char *node_name, struct backend *ret, struct kc_error *err);
/* A port of a host that is not a kubelet. proxied hosts have to be global unicast addresses ("address not allowed"). */
int backend_of_host(
    struct api_req *q, const char *scheme, const char *host, int port, struct backend *ret, struct kc_error *err);
/* BadRequest "address not allowed" unless all of the backend's addresses are global unicast. */
int backend_check_proxyable(const struct backend *b, struct kc_error *err);
/* Options of a wire to it. Borrows from b. */
struct kc_wire_opts backend_wire(const struct backend *b, struct api_req *q);

/* The container that a request is for: the wanted one (NULL or "": the only one). Borrowed from either. */
int pod_choose_container(const struct json_object *pod, const char *wanted, const char **ret, struct kc_error *err);
