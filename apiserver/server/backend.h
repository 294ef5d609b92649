/* Where requests are passed on to: kubelets, pods, endpoints of Services. Worker threads. */
#pragma once

#include "server/request.h"
#include "stream/exchange.h"

struct backend {
        char *host;    /* "10.0.0.1": also the name that a certificate has to be for */
        char *address; /* "10.0.0.1:10250": the Host header */
        char
            *checked; /* the address of host that backend_check_proxyable has found good: nothing else is dialed then */
        int port;
        struct kc_tls_client *tls; /* borrowed; NULL: plain */
};
void backend_done(struct backend *b);

/* The kubelet of a node by --kubelet-preferred-address-types. port 0: the kubelet's. */
int backend_of_kubelet(struct api_req *q, const char *node_name, struct backend *ret, struct kc_error *err);
/* A port of a host that is not a kubelet. scheme "" is http; port 0: the scheme's. */
void backend_of_host(struct api_req *q, const char *scheme, const char *host, int port, struct backend *ret);
/* BadRequest "address not allowed" unless all of the host's addresses are global unicast. Looks a name up: blocks. */
int backend_check_proxyable(struct backend *b, struct kc_error *err);
/* Fills in where to connect to. Borrows from b. */
void backend_fill(const struct backend *b, struct api_req *q, struct kc_exchange_opts *ret);

/* The container that a request is for: the wanted one (NULL or "": the only one). Borrowed from either. */
int pod_choose_container(const struct json_object *pod, const char *wanted, const char **ret, struct kc_error *err);
