/* gRPC client channel (HTTP/2 by nghttp2) to one of several endpoints, over TCP, TLS or a unix socket. One multiplexed
 * connection; keep-alive pings; reconnects with back-off and moves on to the next endpoint. Messages are bytes: pack
 * and unpack them with protobuf-c. */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/error.h"
#include "event/loop.h"
#include "tls/tls.h"

/* google.rpc.Code */
enum kc_grpc_code {
        KC_GRPC_OK = 0,
        KC_GRPC_CANCELLED,
        KC_GRPC_UNKNOWN,
        KC_GRPC_INVALID_ARGUMENT,
        KC_GRPC_DEADLINE_EXCEEDED,
        KC_GRPC_NOT_FOUND,
        KC_GRPC_ALREADY_EXISTS,
        KC_GRPC_PERMISSION_DENIED,
        KC_GRPC_RESOURCE_EXHAUSTED,
        KC_GRPC_FAILED_PRECONDITION,
        KC_GRPC_ABORTED,
        KC_GRPC_OUT_OF_RANGE,
        KC_GRPC_UNIMPLEMENTED,
        KC_GRPC_INTERNAL,
        KC_GRPC_UNAVAILABLE,
        KC_GRPC_DATA_LOSS,
        KC_GRPC_UNAUTHENTICATED,
};

/* UNAVAILABLE EHOSTUNREACH, DEADLINE_EXCEEDED ETIMEDOUT, NOT_FOUND ENOENT, ALREADY_EXISTS EEXIST, CANCELLED ECANCELED,
 * ...; unknown ones EIO. */
int kc_grpc_errno(enum kc_grpc_code code);
/* "DeadlineExceeded", as Go's grpc prints it. */
const char *kc_grpc_code_name(enum kc_grpc_code code);

struct kc_grpc_channel;
struct kc_grpc_stream;

struct kc_grpc_channel_opts {
        char *const *endpoints;               /* strv: "unix:///run/x.sock", "http://host:port", "https://host:port" */
        const struct kc_tls_client_opts *tls; /* for https endpoints; copied */
        size_t max_message;                   /* received; 0: 16 MiB */
        int keepalive_ms;         /* ping when idle for so long with calls open; 0: 10000. Not on unix sockets */
        int keepalive_timeout_ms; /* 0: 5000 */
        int connect_timeout_ms;   /* 0: 5000 */
        int fail_fast_grace_ms;   /* fail_fast calls wait for so long after a connection was lost before they fail */
        char *const *metadata;    /* strv of alternating name, value, sent with every call; names in lower case */
};

/* Any thread. All I/O happens on the loop, which must outlive the channel. Connects on first use. */
int kc_grpc_channel_new(
    struct kc_loop *loop, const struct kc_grpc_channel_opts *o, struct kc_grpc_channel **ret, struct kc_error *err);
/* On the loop (not from a callback of the channel's) or after it stopped; open calls end with CANCELLED. */
void kc_grpc_channel_free(struct kc_grpc_channel *ch);
KC_DEFINE_CLEANUP(struct kc_grpc_channel *, kc_grpc_channel_free)

/* Unary call, blocking: any thread but the loop's. method: "/etcdserverpb.KV/Range". Waits for a connection within the
 * deadline unless fail_fast, which fails at once with UNAVAILABLE while the channel is in back-off. *ret_resp is
 * unpacked by resp_desc, to be freed with protobuf_c_message_free_unpacked. On failure *ret_code (may be NULL) says the
 * status and err has the errno for it (kc_grpc_errno) and the server's message. */
int kc_grpc_call(struct kc_grpc_channel *ch, const char *method, const ProtobufCMessage *req,
    const ProtobufCMessageDescriptor *resp_desc, int timeout_ms, bool fail_fast, ProtobufCMessage **ret_resp,
    enum kc_grpc_code *ret_code, struct kc_error *err);

/* The same without blocking, any thread; done runs on the loop, resp (NULL on failure) is taken by it. */
typedef void (*kc_grpc_done_fn)(
    enum kc_grpc_code code, ProtobufCMessage *take_resp, const struct kc_error *err, void *arg);
void kc_grpc_call_async(struct kc_grpc_channel *ch, const char *method, const ProtobufCMessage *req,
    const ProtobufCMessageDescriptor *resp_desc, int timeout_ms, bool fail_fast, kc_grpc_done_fn done, void *arg);

/* Streams (server, client and both ways), all on the loop. */
struct kc_grpc_stream_cbs {
        /* One message, borrowed. */
        void (*on_message)(struct kc_grpc_stream *s, const void *data, size_t len, void *arg);
        /* Last callback; the stream is freed after it. */
        void (*on_end)(struct kc_grpc_stream *s, enum kc_grpc_code code, const char *message, void *arg);
};
/* Waits for a connection without limit; on_end comes when it breaks, the server ends the stream, or a message is too
 * large. Never calls back before it returns. */
struct kc_grpc_stream *kc_grpc_stream_open(
    struct kc_grpc_channel *ch, const char *method, const struct kc_grpc_stream_cbs *cbs, void *arg);
/* Queues a message; -EPIPE after kc_grpc_stream_close_send or the end. */
int kc_grpc_stream_send(struct kc_grpc_stream *s, const ProtobufCMessage *msg);
/* Half-closes our side. */
void kc_grpc_stream_close_send(struct kc_grpc_stream *s);
/* on_end comes with CANCELLED, after this returns. */
void kc_grpc_stream_cancel(struct kc_grpc_stream *s);

/* The next connection goes to another endpoint; open calls fail with UNAVAILABLE. Any thread. */
void kc_grpc_channel_reconnect(struct kc_grpc_channel *ch);
