/* An upgraded request of a client (exec, attach, port-forward, a proxied WebSocket) passed on to a backend.
 *
 *   client == kc_http_stream == [filter] == kc_exchange == backend
 *
 * The backend is asked first; only its 101 upgrades the client. Both ways are held up when the other side does not
 * read: at most about a MiB is kept. When one side closes, what it sent before is delivered, then the other is closed.
 * On the request's loop. */
#pragma once

#include "http/server.h"
#include "stream/exchange.h"
#include "stream/filter.h"
#include "stream/websocket.h"

struct kc_tunnel;

/* Before the 101 exactly one of on_answer and on_error comes, or on_open. In both the owner answers the client's
 * request (kc_http_reply or kc_tunnel_refuse) before it returns. on_end is the last call; the tunnel is freed after it.
 */
struct kc_tunnel_cbs {
        /* The backend answered with something else than 101. headers: strv of alternating name, value, without those
         * that are between us and the backend only. body is cut at KC_TUNNEL_BODY_MAX bytes. */
        void (*on_answer)(struct kc_tunnel *t, int code, char *const *headers, struct kc_bytes *body, void *arg);
        void (*on_error)(struct kc_tunnel *t, const struct kc_error *err, void *arg);
        void (*on_open)(struct kc_tunnel *t, void *arg); /* may be NULL */
        void (*on_end)(struct kc_tunnel *t, void *arg);
};
enum { KC_TUNNEL_BODY_MAX = 256 * 1024 };

/* How the client speaks. */
enum kc_tunnel_mode {
        KC_TUNNEL_RAW,            /* as the backend: its 101 is passed on, and all bytes after it */
        KC_TUNNEL_REMOTE_COMMAND, /* WebSocket with v5.channel.k8s.io; the backend SPDY/3.1 */
        KC_TUNNEL_PORT_FORWARD,   /* WebSocket with SPDY/3.1+portforward.k8s.io; the backend SPDY/3.1 */
};
/* By the client's request; remote_command: it is exec or attach, else port-forward. */
enum kc_tunnel_mode kc_tunnel_mode_of(struct kc_http_req *req, bool remote_command);
/* Does the request ask for an upgrade, as upstream's httpstream.IsUpgradeRequest sees it? */
bool kc_tunnel_is_upgrade(struct kc_http_req *req);
/* The client's headers for the backend: without credentials (Authorization, bearer subprotocols), impersonation and
 * what we make ourselves; for a mode other than raw without those of WebSocket and with those of SPDY. strv, heap. */
char **kc_tunnel_headers(struct kc_http_req *req, enum kc_tunnel_mode mode);

struct kc_tunnel_opts {
        struct kc_http_req *req; /* referenced */
        enum kc_tunnel_mode mode;
        struct kc_remote_streams streams; /* KC_TUNNEL_REMOTE_COMMAND */
        struct kc_exchange_opts backend;  /* all but cbs, arg and body; loop: the request's */
        int64_t idle_timeout;             /* usec without a byte in either direction, then both are closed; 0: none */
        const struct kc_tunnel_cbs *cbs;
        void *arg;
};

/* Callbacks come after this has returned. */
struct kc_tunnel *kc_tunnel_new(const struct kc_tunnel_opts *o);
/* Ends it: on_end comes, before this returns if there is no upgraded client any more or not yet. For when the client
 * goes before on_open (the owner watches the request until then), and for shutting down. */
void kc_tunnel_cancel(struct kc_tunnel *t);
/* In on_answer or on_error: upgrades the client after all and tells it by WebSocket what went wrong. status: a
 * metav1.Status as JSON. False: not in this mode, or the client cannot be upgraded; then kc_http_reply is needed. */
bool kc_tunnel_refuse(struct kc_tunnel *t, const char *status);
