/* An outgoing connection: lookup, connect, proxy, TLS; then bytes both ways. What is said on it is its user's (HTTP,
 * gRPC). On the loop. No function here calls back before it returns. */
#pragma once

#include "event/loop.h"
#include "net/outq.h"
#include "net/proxy.h"
#include "tls/tls.h"

struct kc_conn;

struct kc_conn_opts {
        const char *unix_path;           /* or: */
        const char *host, *port;         /* name or address without brackets, number */
        struct kc_tls_client *tls;       /* NULL: plain. Must live as long as the connection is not open */
        const char *tls_name;            /* whom the peer has to be; NULL: host */
        enum kc_tls_alpn alpn;           /* what to offer */
        const struct kc_proxy *proxy;    /* NULL: none; must live as long */
        struct kc_tls_client *tls_proxy; /* for an https:// proxy; must live as long */
        int64_t timeout_usec;            /* until it is open; 0: none */
};

struct kc_conn_cbs {
        /* h2: the server has chosen HTTP/2. */
        void (*on_open)(struct kc_conn *c, bool h2, void *arg);
        void (*on_input)(struct kc_conn *c, const char *data, size_t len, void *arg);
        /* There is room in the queue, whenever it is about to be written: adds to it. May be NULL. */
        void (*on_room)(struct kc_conn *c, struct kc_outq *out, void *arg);
        /* A flush has left nothing queued. May be NULL. */
        void (*on_flushed)(struct kc_conn *c, void *arg);
        /* Last callback: it is to be freed, here or later. err NULL: the peer has closed an open connection properly.
         * Else errnum is as of kc_dial and kc_tls_client_failure, or ECONNRESET, ... once it was open. */
        void (*on_close)(struct kc_conn *c, const struct kc_error *err, void *arg);
};

/* o is copied but for what it says must live on. */
struct kc_conn *kc_conn_new(struct kc_loop *l, const struct kc_conn_opts *o, const struct kc_conn_cbs *cbs, void *arg);
/* Closes; no callback comes any more. */
void kc_conn_free(struct kc_conn *c);
KC_DEFINE_CLEANUP(struct kc_conn *, kc_conn_free)
/* Bytes added here go out after kc_conn_flush_soon, or when the socket next takes some. */
struct kc_outq *kc_conn_out(struct kc_conn *c);
/* Bytes that the socket has taken since it was open. */
uint64_t kc_conn_sent(const struct kc_conn *c);
/* Writes (asking on_room first) when the current callback of the loop is over. */
void kc_conn_flush_soon(struct kc_conn *c);
/* Stops and resumes on_input. The end of the connection may not be noticed meanwhile. */
void kc_conn_pause(struct kc_conn *c, bool paused);
/* The peer has sent something that was not read yet, or closed: on a connection that is idle, a sign that it is not
 * worth a request. */
bool kc_conn_readable(struct kc_conn *c);
