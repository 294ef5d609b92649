/* The server's inside, shared by its files.
 *
 *   kc_http_server -- n shards (one per loop) -- connections -- exchanges (kc_http_req)
 *
 * Functions that applications call (reply, write, finish, abort) only change queues and put the connection on its
 * shard's dirty list; the loop flushes dirty connections right after the current callback. Applications are called from
 * the reading side and from that flush, never from inside a function of theirs. */
#pragma once

#include <http_parser.h>
#include <nghttp2/nghttp2.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/ip.h"
#include "base/list.h"
#include "http/chunked.h"
#include "http/limits.h"
#include "http/server.h"
#include "http/stream_internal.h"
#include "net/outq.h"

struct http_conn;
struct http_peer;
struct http_peers;

/* --- Shards */
struct http_shard {
        atomic_int refs; /* the server, connections, posted tasks */
        struct kc_loop *loop;
        struct kc_http_server *server; /* on the loop; NULL once the server is gone */
        struct kc_list conns;          /* struct http_conn.node */
        struct kc_list dirty;          /* struct http_conn.dirty_node */
        struct kc_list dead;           /* closed; freed by the next run */
        struct kc_list handshakes;     /* struct http_conn.handshake_node: their peers have sent something */
        bool handshakes_scheduled;
        struct kc_list paced;        /* struct kc_http_req.pace_node */
        struct kc_timer *pace_timer; /* armed while paced is not empty */
        bool run_scheduled;
        atomic_size_t n_conns; /* given to this shard */
        char *scratch;         /* HTTP_READ_CHUNK bytes */
        char date[32];         /* "Sat, 21 Nov 2026 12:00:00 GMT" */
        kc_time date_second;
        struct kc_buf head; /* response heads are made here */
};

struct http_shard *http_shard_ref(struct http_shard *s);
void http_shard_unref(struct http_shard *s);
const char *http_shard_date(struct http_shard *s);
/* Flushes what is dirty and frees what is dead, soon. */
void http_shard_schedule(struct http_shard *s);
/* The connection's handshake gets its turn: it costs so much that one is done between looks at all other events. */
void http_shard_queue_handshake(struct http_shard *s, struct http_conn *c);
/* There are no more connections to be had: closes HTTP_RECLAIM_BATCH that wait for nothing but their peer's next
 * request and are HTTP_RECLAIM_AGE old, the oldest first. */
void http_shard_reclaim(struct http_shard *s);

/* --- Server */
struct kc_http_server {
        struct kc_http_server_opts opts; /* with the defaults filled in */
        struct http_shard **shards;
        char *address, *unix_path;
        int fd, port;
        struct kc_io *accept_io;
        struct kc_timer *accept_timer;
        atomic_bool accept_paused; /* by max_connections */
        atomic_bool draining;
        atomic_size_t n_conns;
        struct http_peers *peers;
        atomic_bool reclaiming; /* shards have been asked to close what is idle */
};

/* How many connections each peer has: an IPv4 address, or an IPv6 network of /64. Any thread. */
struct http_peers *http_peers_new(size_t max);
void http_peers_free(struct http_peers *p);
/* Counts one more; false: the peer has as many as it may. *ret is NULL for what is no IP address: there is no limit. */
bool http_peers_enter(struct http_peers *p, const struct kc_ip *ip, struct http_peer **ret);
void http_peers_leave(struct http_peers *p, struct http_peer *take_peer);

/* A connection is gone: may let the listener go on. */
void http_server_conn_gone(struct kc_http_server *s, struct http_shard *shard);

/* --- Connections */
struct http_conn_info { /* shared with the requests; immutable once the handshake is over */
        atomic_int refs;
        char *remote;
        struct kc_tls_peer *peer;
        bool tls, peer_invalid;
};
struct http_conn_info *http_conn_info_ref(struct http_conn_info *i);
void http_conn_info_unref(struct http_conn_info *i);

enum http_conn_state {
        HTTP_CONN_HANDSHAKE,
        HTTP_CONN_SNIFF, /* plain: HTTP/1 or HTTP/2? */
        HTTP_CONN_H1,
        HTTP_CONN_H2,
        HTTP_CONN_RAW,    /* upgraded */
        HTTP_CONN_LINGER, /* answered for the last time; what comes is thrown away */
        HTTP_CONN_CLOSED,
};

struct http_h1;
struct http_h2;

struct http_conn {
        struct kc_list node, dirty_node, handshake_node;
        struct http_shard *shard;
        struct kc_http_server *server;
        struct http_conn_info *info;
        struct http_peer *peer;
        int fd;
        SSL *ssl;
        struct kc_io *io;
        int io_events;
        struct kc_timer *timer;
        kc_mono born;
        kc_mono deadline; /* 0: none */
        kc_mono armed_for;
        kc_mono stalled_since; /* output waits for the socket since; 0: it does not */
        enum http_conn_state state;
        uint8_t n_sniffed;
        char sniffed[HTTP_SNIFF_LEN];
        bool eof;               /* the peer will send no more */
        bool working;           /* events are being handled: a flush follows */
        bool touched;           /* by the application meanwhile */
        bool read_paused;       /* enough input for now */
        bool more_input;        /* read again without waiting for the socket */
        bool close_after_flush; /* and linger */
        bool abort;             /* close at once, soon */
        bool tls_wants_write;
        bool tls_failed; /* no orderly shutdown of it is possible */
        struct kc_outq out;
        struct kc_list events; /* struct kc_http_req.event_node: callbacks that are due */
        struct http_h1 *h1;
        struct http_h2 *h2;
        struct kc_http_stream *stream;
};

/* Takes fd, remote and the peer's count. */
void http_conn_new(struct http_shard *shard, int fd, char *take_remote, struct http_peer *take_peer);
/* No request is being received or answered on it, and none was upgraded. */
bool http_conn_idle(const struct http_conn *c);
/* Closes the socket and ends the exchanges; callbacks and freeing come with the shard's next run. */
void http_conn_close(struct http_conn *c);
/* The same, but tells an HTTP/2 peer so if its socket takes it: curl finds out only so that a kept connection is
 * gone. */
void http_conn_goodbye(struct http_conn *c);
/* Fires what is due after closing, and frees. */
void http_conn_destroy(struct http_conn *c);
/* The TLS handshake goes on: the peer has sent something, or its socket takes something. */
void http_conn_handshake(struct http_conn *c);
/* Output or callbacks wait: the shard will flush. */
void http_conn_dirty(struct http_conn *c);
void http_conn_flush(struct http_conn *c);
/* 0: no deadline. */
void http_conn_set_deadline(struct http_conn *c, int64_t usec_from_now);
void http_conn_pause_read(struct http_conn *c, bool paused);
void http_conn_drain(struct http_conn *c);

/* --- Exchanges */
struct http_field {
        uint32_t name, value; /* offsets into text */
        uint32_t name_len;
        uint32_t joined; /* offset of the values of all fields of this name; 0: value is all */
};

enum http_answer {
        HTTP_ANSWER_NONE,
        HTTP_ANSWER_STREAM,   /* started, not finished */
        HTTP_ANSWER_FINISHED, /* all of it is queued */
};

struct kc_http_req {
        atomic_int refs;
        struct kc_loop *loop;
        struct http_conn_info *info;

        /* The request; immutable after on_headers. */
        struct kc_buf text; /* all strings, NUL-terminated */
        struct http_field *fields;
        uint32_t n_fields, cap_fields;
        uint32_t method, path, query, host; /* offsets */
        size_t header_bytes;
        struct kc_buf body;
        size_t max_body;
        bool is_h2, http10, is_head, headers_too_large;

        void *data;
        void (*data_free)(void *);

        atomic_bool answered; /* someone has claimed the answer */
        atomic_bool closed;

        /* On the loop. */
        struct http_conn *conn; /* NULL: the exchange is over */
        enum http_answer answer;
        bool headers_done, request_done, expect_continue;
        bool over_low_water;
        bool drain_due, close_due, close_fired;
        struct kc_list event_node;
        void (*on_drain)(struct kc_http_req *r, void *arg);
        void *drain_arg;
        void (*on_close)(struct kc_http_req *r, void *arg);
        void *close_arg;
        int32_t stream_id;       /* HTTP/2 */
        struct kc_list h2_node;  /* all exchanges of a connection */
        struct kc_outq body_out; /* HTTP/2 */
        bool h2_deferred;
        bool h2_end_stream;  /* the peer's side is complete */
        bool h2_end_sent;    /* and ours */
        size_t h2_discarded; /* body received after the answer */
        bool bad_target;
        struct kc_list pace_node; /* the peer has to send a body, or take an answer, within bounds */
        kc_mono pace_since;
        uint64_t pace_bytes; /* received since then, or queued then */
};

struct kc_http_req *http_req_new(struct http_conn *c);
/* Appends a string to the request's text and returns its offset. */
uint32_t http_req_add_text(struct kc_http_req *r, const char *s, size_t len);
/* Adds a field; the name is lowered. False when a limit is passed (headers_too_large is set then). */
bool http_req_add_field(struct kc_http_req *r, const char *name, size_t name_len, const char *value, size_t value_len);
/* Splits "/path?query"; false if it does not start with '/'. */
bool http_req_set_target(struct kc_http_req *r, const char *target, size_t len);
/* Joins fields of one name. */
void http_req_finish_headers(struct kc_http_req *r);
/* Calls the application. headers: 417, 413 and 431 are answered here. Returns false if the request is answered and its
 * body not wanted. declared_len < 0: not known. */
bool http_req_on_headers(struct kc_http_req *r, int64_t declared_len);
/* False: too large; answered. */
bool http_req_on_body(struct kc_http_req *r, const char *data, size_t len);
void http_req_on_complete(struct kc_http_req *r);
/* A plain-text answer of the server itself. */
void http_req_reply_text(struct kc_http_req *r, int code, const char *text);
/* A body begins, or the answer is finished: in each transfer timeout HTTP_PACE_RATE has to be reached until it is all
 * received or sent, else the exchange is ended. */
void http_pace_start(struct kc_http_req *r);
void http_pace_stop(struct kc_http_req *r);
void http_pace_done(struct http_shard *s);
/* The exchange is over: on_close becomes due and the connection lets go of the request. */
void http_req_over(struct kc_http_req *r);
/* Queued bytes have become fewer. */
void http_req_drained(struct kc_http_req *r);
/* Calls what is due of the connection's exchanges. */
void http_conn_fire_events(struct http_conn *c);
const char *http_status_text(int code);
/* True if the server or the protocol layer makes this header itself. */
bool http_header_is_ours(const char *name);

/* --- HTTP/1 */
void http_h1_init(struct http_conn *c);
void http_h1_free(struct http_conn *c);
/* Bytes from the peer; data NULL: work on what is kept. */
void http_h1_input(struct http_conn *c, const char *data, size_t len);
/* The output queue has become empty, or a new answer is there. */
void http_h1_flushed(struct http_conn *c);
void http_h1_eof(struct http_conn *c);
void http_h1_timeout(struct http_conn *c);
void http_h1_reply(struct kc_http_req *r, int code, char *const *headers, struct kc_bytes *body);
void http_h1_start(struct kc_http_req *r, int code, char *const *headers);
void http_h1_write(struct kc_http_req *r, struct kc_bytes *data);
void http_h1_finish(struct kc_http_req *r);
/* No request is being received or answered. */
bool http_h1_idle(const struct http_conn *c);
/* The next request has not come, or not all of its head. */
bool http_h1_awaits_head(const struct http_conn *c);
/* Answers 101 and makes the connection raw. What was read beyond the request goes to http_stream_early. */
int http_h1_upgrade(struct kc_http_req *r, char *const *headers);

/* --- HTTP/2 */
int http_h2_init(struct http_conn *c);
/* No exchange is open. */
bool http_h2_idle(const struct http_conn *c);
void http_h2_free(struct http_conn *c);
void http_h2_input(struct http_conn *c, const char *data, size_t len);
/* Frames what can be sent into the output queue. False: the connection has to end after flushing. */
bool http_h2_fill(struct http_conn *c);
void http_h2_timeout(struct http_conn *c);
void http_h2_drain(struct http_conn *c);
/* Queues the last GOAWAY. */
void http_h2_goodbye(struct http_conn *c);
void http_h2_reply(struct kc_http_req *r, int code, char *const *headers, struct kc_bytes *body);
void http_h2_start(struct kc_http_req *r, int code, char *const *headers);
void http_h2_write(struct kc_http_req *r, struct kc_bytes *data);
void http_h2_finish(struct kc_http_req *r);
void http_h2_abort(struct kc_http_req *r);
/* Ends all exchanges. */
void http_h2_close(struct http_conn *c);
