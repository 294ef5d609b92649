/* Everything that a peer of the server controls has its limit here; those of the first group are defaults of
 * struct kc_http_server_opts. docs/limits.md says what a peer gets that passes one. */
#pragma once

#include "base/clock.h"

enum {
        HTTP_DEFAULT_MAX_BODY = 3 * 1024 * 1024,     /* upstream's MaxRequestBodyBytes */
        HTTP_DEFAULT_MAX_HEADER_BYTES = 1024 * 1024, /* request line and headers, as Go's */
        HTTP_DEFAULT_MAX_CONNECTIONS = 100000,       /* and 3/4 of the process's descriptors */
        HTTP_DEFAULT_MAX_QUEUED = 16 * 1024 * 1024,  /* unsent bytes of a streamed answer */
        HTTP_DEFAULT_MAX_STREAMS = 250,              /* of an HTTP/2 connection */
        HTTP_DEFAULT_HEADER_TIMEOUT_MS = 32000,      /* of the TLS handshake, and of a request's head */
        HTTP_DEFAULT_IDLE_TIMEOUT_MS = 90000,        /* between requests, and between pieces of a body */
        HTTP_DEFAULT_TRANSFER_TIMEOUT_MS = 60000,    /* upstream's --request-timeout */
};

/* Not settable. */
enum {
        HTTP_MAX_HEADERS = 512,             /* fields of one request */
        HTTP_MAX_TRAILERS = 64 * 1024,      /* bytes of a chunked body that are not its content */
        HTTP_READ_CHUNK = 64 * 1024,        /* a shard's read buffer */
        HTTP_BODY_RESERVE = 4 * 1024,       /* at first: a peer may say that much will come, and send none of it */
        HTTP_READ_BUDGET = 256 * 1024,      /* read of one connection before the others get their turn */
        HTTP_PIPELINE_MAX = 64 * 1024,      /* HTTP/1.1 bytes kept while a request is being answered */
        HTTP_LOW_WATER = 64 * 1024,         /* on_drain */
        HTTP_H2_OUT_MAX = 256 * 1024,       /* framed HTTP/2 bytes waiting for the socket; more stays in the streams */
        HTTP_H2_STREAM_WINDOW = 256 * 1024, /* as upstream's */
        HTTP_H2_CONN_WINDOW = 16 * 1024 * 1024,
        /* Body received after the answer before the stream is reset (RFC 9113, 8.1). At once would be allowed, but curl
         * 7.88 then loses the answer. */
        HTTP_H2_DISCARD_MAX = 1024 * 1024,
        HTTP_H2_RESET_BURST =
            900,                 /* streams reset by the peer, or by its faults, at once (watches that end together) */
        HTTP_H2_RESET_RATE = 30, /* a second, in the long run; both below nghttp2's own limits */
        HTTP_H2_CONTROL_BURST = 10000, /* frames that carry nothing (PING, SETTINGS, PRIORITY, empty DATA) at once */
        HTTP_H2_CONTROL_RATE = 100,    /* a second, in the long run */
        HTTP_H2_MAX_ACKS = 1000,       /* answers to PING and SETTINGS that the peer does not read */
        HTTP_ACCEPT_BATCH = 64,
        HTTP_RECLAIM_BATCH = 64, /* idle connections of each loop that make room for new ones */
        HTTP_SNIFF_LEN = 4,
        HTTP_PACE_RATE = 16 * 1024, /* bytes a second of bodies and answers, over each transfer timeout */
};
#define HTTP_LINGER (2 * KC_SEC)       /* reading on after the last answer, so that the peer gets to read it */
#define HTTP_WRITE_STALL (60 * KC_SEC) /* nothing taken by the peer's socket for so long */
#define HTTP_GOAWAY_WAIT (1 * KC_SEC)  /* from the notice to the final GOAWAY, at most */
#define HTTP_ACCEPT_PAUSE (1 * KC_SEC) /* when descriptors have run out */
#define HTTP_RECLAIM_AGE (1 * KC_SEC)  /* a new connection gets so long to send its request, whatever happens */
#define HTTP_PACE_SWEEP (1 * KC_SEC)   /* how often slow peers are looked for, while there are any that could be */
