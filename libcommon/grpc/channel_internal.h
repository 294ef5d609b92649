/* Inside of the gRPC channel:
 *
 *   kc_grpc_channel --conn--> grpc_conn (kc_conn, kc_h2) --streams--> kc_grpc_stream
 *         |  \--old--> grpc_conn ... (draining after GOAWAY)
 *         \--waiting--> kc_grpc_stream ... (until there is a connection)
 *
 * Everything here belongs to the channel's loop. */
#pragma once

#include <stdatomic.h>
#include <sys/un.h>

#include "base/clock.h"
#include "base/list.h"
#include "grpc/channel.h"
#include "net/conn.h"
#include "net/h2.h"

enum {
        GRPC_PREFIX = 5,              /* bytes before each message: compressed flag, length */
        GRPC_STREAM_WINDOW = 4 << 20, /* HTTP/2 flow control for what we receive */
        GRPC_CONN_WINDOW = 16 << 20,
        GRPC_WRITE_CHUNK = 64 << 10,        /* framed bytes waiting for the socket */
        GRPC_MAX_STATUS_MESSAGE = 16 << 10, /* of a peer's grpc-message */
        GRPC_MAX_REFUSED = 3,               /* times that a call refused by the server is sent again */
};

#define GRPC_BACKOFF_MIN (250 * KC_MSEC)
#define GRPC_BACKOFF_MAX (5 * KC_SEC)
#define GRPC_BACKOFF_FACTOR 1.6

struct grpc_endpoint {
        char *text;      /* as given, for messages */
        char *unix_path; /* or: */
        char *host, *port;
        struct kc_tls_client *tls; /* NULL: plain */
        char *authority;
};

/* One connection. Made by grpc_conn_new; tells the channel by grpc_channel_conn_ready and grpc_channel_conn_lost. */
struct grpc_conn {
        int refs;                   /* the channel's and one per deferred call */
        struct kc_grpc_channel *ch; /* NULL once closed */
        const struct grpc_endpoint *ep;
        struct kc_list node;  /* in ch->old while draining */
        struct kc_conn *conn; /* NULL once dead */
        struct kc_h2 *h2;     /* NULL until open */
        struct kc_timer *keepalive;
        int64_t keepalive_usec;
        kc_mono last_read;
        bool ping_sent, draining, dead;
        struct kc_error error; /* why it died */
};

enum grpc_state { GRPC_IDLE, GRPC_CONNECTING, GRPC_READY, GRPC_BACKOFF };

struct kc_grpc_channel {
        atomic_int refs; /* the owner's and one per call */
        struct kc_loop *loop;
        struct grpc_endpoint *eps;
        size_t n_eps, cur, tried; /* endpoint in use; endpoints that failed since the last back-off */
        size_t max_message;
        int64_t keepalive_usec, keepalive_timeout_usec, connect_timeout_usec, grace_usec;
        char **metadata;
        enum grpc_state state;
        bool closed;
        int64_t backoff_usec;
        kc_mono down_since;     /* when the connection was lost; 0: not down */
        struct kc_timer *timer; /* back-off */
        struct grpc_conn *conn;
        struct kc_list old;     /* draining connections */
        struct kc_list waiting; /* streams without a connection */
        struct kc_list ending;  /* cancelled streams whose on_end is to come */
        bool ending_deferred;
        struct kc_error last_error;
};

struct kc_grpc_stream {
        struct kc_grpc_channel *ch; /* a reference */
        struct grpc_conn *conn;     /* NULL: waiting or ended */
        struct kc_list node;        /* in ch->waiting or ch->ending */
        struct kc_h2_stream h2;
        char *method;
        struct kc_buf out; /* framed messages */
        size_t out_off;
        bool close_send, deferred, ended;
        bool unary, fail_fast;
        bool headers_seen;
        int refused;
        int http_status;
        bool status_seen, not_grpc;
        enum kc_grpc_code code;
        char *message;
        struct kc_buf in;
        kc_mono deadline; /* 0: none */
        struct kc_timer *timer;
        const struct kc_grpc_stream_cbs *cbs;
        void *arg;
};

/* channel.c */
struct kc_grpc_channel *grpc_channel_ref(struct kc_grpc_channel *ch);
void grpc_channel_unref(struct kc_grpc_channel *ch);
void grpc_channel_conn_ready(struct kc_grpc_channel *ch, struct grpc_conn *c);
/* The connection is dead (c->error) and about to be closed. */
void grpc_channel_conn_lost(struct kc_grpc_channel *ch, struct grpc_conn *c);
/* No new calls on it (GOAWAY, ids used up). */
void grpc_channel_conn_draining(struct kc_grpc_channel *ch, struct grpc_conn *c);
/* The peer wants fewer pings. */
void grpc_channel_calm_down(struct kc_grpc_channel *ch);
/* on_end of a cancelled stream, later. */
void grpc_channel_end_later(struct kc_grpc_channel *ch, struct kc_grpc_stream *s);
/* Sends the call now or when there is a connection. */
void grpc_channel_submit(struct kc_grpc_channel *ch, struct kc_grpc_stream *s);

/* endpoint.c */
int grpc_endpoint_init(
    struct grpc_endpoint *ep, const char *text, const struct kc_tls_client_opts *tls, struct kc_error *err);
void grpc_endpoint_done(struct grpc_endpoint *ep);

/* conn.c */
struct grpc_conn *grpc_conn_new(struct kc_grpc_channel *ch, const struct grpc_endpoint *ep);
/* Ends its streams with UNAVAILABLE (CANCELLED when the channel is closed) and drops the channel's reference. Not
 * within nghttp2. */
void grpc_conn_close(struct grpc_conn *c);
/* Marks it dead; tells the channel and closes it later. */
void grpc_conn_fail(struct grpc_conn *c, int errnum, const char *fmt, ...) KC_PRINTF(3, 4);
/* A stream has come or gone: pings go on only with calls open; a draining connection ends with its last stream. */
void grpc_conn_streams_changed(struct grpc_conn *c);

/* h2.c */
int grpc_h2_new(struct grpc_conn *c);
/* False: the connection takes no more calls. */
bool grpc_h2_submit(struct grpc_conn *c, struct kc_grpc_stream *s);
/* Resets the stream with CANCEL and forgets it. */
void grpc_h2_cancel(struct kc_grpc_stream *s);

/* There is more to send, or the end. */
void grpc_h2_resume(struct kc_grpc_stream *s);

/* stream.c */
struct kc_grpc_stream *grpc_stream_new(
    struct kc_grpc_channel *ch, const char *method, const struct kc_grpc_stream_cbs *cbs, void *arg);
/* Appends a framed message. */
void grpc_stream_add(struct kc_grpc_stream *s, const void *msg, size_t len);
/* Takes it from its list, calls on_end and frees. Whoever owns the HTTP/2 stream has let go of it. */
void grpc_stream_end(struct kc_grpc_stream *s, enum kc_grpc_code code, const char *message);
/* What came from the peer. on_data returns false after it ended the stream. */
void grpc_stream_on_header(
    struct kc_grpc_stream *s, const char *name, size_t name_len, const char *value, size_t value_len);
bool grpc_stream_on_data(struct kc_grpc_stream *s, const void *data, size_t len);
void grpc_stream_on_close(struct kc_grpc_stream *s, uint32_t h2_error);
