/* HTTP/1.1 and HTTP/2 server on libevent, OpenSSL, http-parser and nghttp2.
 *
 *   listener (loop 0) --accept--> loops[i]: connection --stream/pipeline--> kc_http_req --> on_headers, on_request
 *
 * A connection and its requests belong to one loop. Callbacks run on that loop's thread. Functions that may be called
 * from any thread say so. HTTP/1.1 pipelined requests are answered one after another.
 *
 * Everything that a peer controls has a limit: http/limits.h names them, some are settable below. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "event/loop.h"
#include "http/stream.h"
#include "tls/tls.h"

struct kc_http_server;
struct kc_http_req;

struct kc_http_server_opts {
        struct kc_loop *const *loops; /* connections are spread over them; loops[0] accepts */
        size_t n_loops;
        const char *address; /* "0.0.0.0", "::", "127.0.0.1"; ignored with unix_path */
        int port;            /* 0: any free one (kc_http_server_port tells) */
        const char *unix_path;
        struct kc_tls_server *tls; /* NULL: plain. h2 by ALPN; without TLS h2 by prior knowledge */
        size_t max_body;           /* 0: 3 MiB */
        size_t max_header_bytes;   /* 0: 1 MiB, as Go's */
        size_t max_connections; /* 0: 100000, or 3/4 of the process's descriptors. Idle ones make room at the limit */
        size_t max_peer_connections; /* of one IPv4 address or IPv6 /64; more are reset. 0: max_connections, or 3/4 of
                                        its default */
        size_t max_queued_bytes;     /* unsent bytes of one response before kc_http_write fails; 0: 16 MiB */
        int max_streams;             /* per HTTP/2 connection; 0: 250, upstream's --http2-max-streams-per-connection */
        int header_timeout_ms;       /* 0: 32000 */
        int idle_timeout_ms;         /* keep-alive between requests, and between pieces of a body; 0: 90000 */
        int transfer_timeout_ms; /* in which a body, or an answer that is not streamed, has to be through or have had
                                  * 16 KiB/s; 0: 60000 */
        /* Optional: called when the headers are in, before the body is read. Answering here refuses the body. */
        void (*on_headers)(struct kc_http_req *req, void *arg);
        /* Called when the whole body is in (bodies over max_body have been answered with 413). It need not answer at
         * once: take a reference, and reply later, from any thread. */
        void (*on_request)(struct kc_http_req *req, void *arg);
        /* Optional: the body is larger than max_body. Has to answer (413); without it a plain text is sent. */
        void (*on_too_large)(struct kc_http_req *req, void *arg);
        void *arg;
};

int kc_http_server_new(const struct kc_http_server_opts *o, struct kc_http_server **ret, struct kc_error *err);
int kc_http_server_port(const struct kc_http_server *s);
/* Stops accepting; open connections get GOAWAY / Connection: close and end after their requests. Any thread. */
void kc_http_server_drain(struct kc_http_server *s);
/* Closes everything (from loops[0], while the loops still run, or after they have all stopped) and frees. Not from one
 * of the server's own callbacks. Requests that are still referenced stay readable; answers to them are dropped. */
void kc_http_server_free(struct kc_http_server *s);
KC_DEFINE_CLEANUP(struct kc_http_server *, kc_http_server_free)
size_t kc_http_server_connections(const struct kc_http_server *s); /* any thread */

/* --- The request. Strings are borrowed and live as long as the request; immutable after on_headers: any thread. */
struct kc_http_req *kc_http_req_ref(struct kc_http_req *r); /* any thread */
void kc_http_req_unref(struct kc_http_req *r);              /* any thread */
const char *kc_http_req_method(const struct kc_http_req *r);
/* As sent, undecoded, without the query. Always starts with '/'. */
const char *kc_http_req_path(const struct kc_http_req *r);
const char *kc_http_req_query(const struct kc_http_req *r); /* "" if none */
/* Case-insensitive; several of one name are joined by ", ". NULL: absent. */
const char *kc_http_req_header(const struct kc_http_req *r, const char *name);
/* The i-th header as it came (no joining), its name in lower case; false past the end. */
bool kc_http_req_header_at(const struct kc_http_req *r, size_t i, const char **ret_name, const char **ret_value);
const char *kc_http_req_host(const struct kc_http_req *r);
const char *kc_http_req_body(const struct kc_http_req *r, size_t *ret_len);
const char *kc_http_req_remote(const struct kc_http_req *r); /* "127.0.0.1:5000" */
const char *kc_http_req_proto(const struct kc_http_req *r);  /* "HTTP/1.1" or "HTTP/2.0" */
bool kc_http_req_is_tls(const struct kc_http_req *r);
/* The verified client certificate's identity (shared by the connection's requests), or NULL. */
const struct kc_tls_peer *kc_http_req_peer(const struct kc_http_req *r);
/* A client certificate was presented that does not verify (upstream's authenticator answers 401). */
bool kc_http_req_peer_invalid(const struct kc_http_req *r);
struct kc_loop *kc_http_req_loop(const struct kc_http_req *r);
/* The peer has gone or the response is finished: further writes are dropped. Any thread. */
bool kc_http_req_closed(const struct kc_http_req *r);
/* A pointer of the application's, freed by free_fn with the request. Set on the loop's thread. */
void kc_http_req_set_data(struct kc_http_req *r, void *data, void (*free_fn)(void *));
void *kc_http_req_data(const struct kc_http_req *r);

/* In on_headers: this request's body may have so many bytes, instead of the server's max_body. */
void kc_http_req_set_max_body(struct kc_http_req *r, size_t max_body);

/* --- The answer. headers: strv of alternating name, value; NULL allowed. Content-Length, Date, Transfer-Encoding and
 * Connection are made here. Names are given in canonical case; HTTP/2 lowers them. */

/* Complete response. Takes no reference: body is referenced as long as needed (NULL: empty). Any thread. A second
 * answer to one request is dropped. HEAD requests send no body. */
void kc_http_reply(struct kc_http_req *r, int code, char *const *headers, struct kc_bytes *body);

/* Streamed response, on the request's loop only. */
void kc_http_start(struct kc_http_req *r, int code, char *const *headers);
/* Queues bytes (by reference, never copied for plain HTTP/2 and HTTP/1.1 chunks). -EPIPE: peer gone; -ENOBUFS: the peer
 * reads too slowly, max_queued_bytes would be passed; nothing was queued then. */
int kc_http_write(struct kc_http_req *r, struct kc_bytes *data);
/* Bytes queued and not yet handed to the kernel. */
size_t kc_http_queued(const struct kc_http_req *r);
/* fn is called when the queue has fallen below 64 KiB after it was above. NULL removes it. */
void kc_http_on_drain(struct kc_http_req *r, void (*fn)(struct kc_http_req *r, void *arg), void *arg);
/* fn is called once when the exchange is over: finished and sent, or the peer has gone. Never from inside another
 * function of this header; for an upgraded connection, before the stream's on_close. */
void kc_http_on_close(struct kc_http_req *r, void (*fn)(struct kc_http_req *r, void *arg), void *arg);
void kc_http_finish(struct kc_http_req *r);
/* Ends the exchange without a proper end: HTTP/1.1 closes the connection, HTTP/2 resets the stream. */
void kc_http_abort(struct kc_http_req *r);

/* --- Upgrade (HTTP/1.1 only): sends 101 with the headers ("Connection: Upgrade" is added) and hands over the
 * connection as a raw byte stream. On the request's loop, from on_request on. */
/* -EPIPE: answered already, or the peer has gone; -ENOTSUP: HTTP/2 or HTTP/1.0. Callbacks come after this has returned.
 */
int kc_http_upgrade(struct kc_http_req *r, char *const *headers, const struct kc_http_stream_cbs *cbs, void *arg,
    struct kc_http_stream **ret);

/* --- Query strings. Decoded value of the first / all parameters of that name (strv); NULL: absent. The caller's. */
char *kc_query_get(const char *query, const char *name);
char **kc_query_get_all(const char *query, const char *name);
/* As Kubernetes reads a boolean parameter: absent it is def, "false" (in any case) and "0" are false, anything else -
 * even nothing - is true. */
bool kc_query_bool(const char *query, const char *name, bool def);
