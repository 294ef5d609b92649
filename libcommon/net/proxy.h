/* The client's side of proxies: CONNECT over HTTP, and SOCKS5. Bytes in, bytes out; no I/O. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/error.h"

enum kc_proxy_kind { KC_PROXY_HTTP, KC_PROXY_HTTPS, KC_PROXY_SOCKS5 };

struct kc_proxy {
        enum kc_proxy_kind kind;
        char *host, *port;
        char *user, *password; /* NULL: none */
};

/* "http://", "https://", "socks5://" or "socks5h://" user:password@host:port; without a scheme HTTP. */
int kc_proxy_parse(const char *url, struct kc_proxy *ret, struct kc_error *err);
void kc_proxy_done(struct kc_proxy *p);
/* The value of Proxy-Authorization, heap; NULL: none. */
char *kc_proxy_authorization(const struct kc_proxy *p);

struct net_proxy_hello {
        const struct kc_proxy *proxy;
        const char *host, *port; /* where to */
        struct kc_buf in;
        int step;
};

/* What is to be sent first is added to out. */
int net_proxy_begin(struct net_proxy_hello *h, struct kc_buf *out, struct kc_error *err);
/* Bytes of the proxy; answers are added to out. done: the way is open. */
int net_proxy_input(
    struct net_proxy_hello *h, const char *data, size_t len, struct kc_buf *out, bool *ret_done, struct kc_error *err);
void net_proxy_done(struct net_proxy_hello *h);
