/* WebSocket (RFC 6455), version 13, without extensions, either side. No I/O: bytes in, bytes out.
 *
 *   peer's bytes --kc_ws_feed--> frames, unmasked --> on_data (pieces of messages)
 *                          `--> pongs, answers to close --> out
 *
 * Messages are handed on in pieces as they come, so no message is too large; a control frame has 125 bytes at most. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

enum kc_ws_opcode {
        KC_WS_CONTINUATION = 0,
        KC_WS_TEXT = 1,
        KC_WS_BINARY = 2,
        KC_WS_CLOSE = 8,
        KC_WS_PING = 9,
        KC_WS_PONG = 10,
};

enum kc_ws_close {
        KC_WS_CLOSE_NORMAL = 1000,
        KC_WS_CLOSE_GOING_AWAY = 1001,
        KC_WS_CLOSE_PROTOCOL = 1002,
        KC_WS_CLOSE_UNSUPPORTED = 1003,
        KC_WS_CLOSE_NO_STATUS = 1005, /* never sent */
        KC_WS_CLOSE_INVALID = 1007,
        KC_WS_CLOSE_TOO_BIG = 1009,
        KC_WS_CLOSE_INTERNAL = 1011,
};

struct kc_ws_cbs {
        /* A piece of a text or binary message, in order; first and last mark its ends (an empty message comes as one
         * empty piece). Text is not checked to be UTF-8. A non-zero return stops: kc_ws_feed returns it. */
        int (*on_data)(enum kc_ws_opcode op, const char *data, size_t len, bool first, bool last, void *arg);
        /* Optional. */
        void (*on_pong)(const char *data, size_t len, void *arg);
};

struct kc_ws;
/* client: our frames are masked and the peer's must not be; else the other way round. cbs is kept, not copied. */
struct kc_ws *kc_ws_new(bool client, const struct kc_ws_cbs *cbs, void *arg);
void kc_ws_free(struct kc_ws *ws);
KC_DEFINE_CLEANUP(struct kc_ws *, kc_ws_free)
/* Takes what the peer has sent; what is to be sent because of it is appended to out. 0: go on; 1: the peer has said
 * close and the answer is in out; -EPROTO: it broke the protocol, a close frame that says so is in out. After the last
 * two, input is ignored and 1 is returned. */
int kc_ws_feed(struct kc_ws *ws, const char *data, size_t len, struct kc_buf *out);
/* One whole message (or a ping or pong of at most 125 bytes): head (may be NULL) and data after one another. Nothing
 * after a close. */
void kc_ws_send(struct kc_ws *ws, enum kc_ws_opcode op, const void *head, size_t head_len, const void *data, size_t len,
    struct kc_buf *out);
/* A close frame, once; a reason that is too long is cut. */
void kc_ws_close(struct kc_ws *ws, int code, const char *reason, struct kc_buf *out);
/* What the peer's close frame said, KC_WS_CLOSE_NO_STATUS without a code; 0: none has come. */
int kc_ws_peer_close(const struct kc_ws *ws);

/* --- Handshake */
enum { KC_WS_ACCEPT_LEN = 29, KC_WS_KEY_LEN = 25 };
/* Sec-WebSocket-Accept for a Sec-WebSocket-Key. */
const char *kc_ws_accept(const char *key, char buf[static KC_WS_ACCEPT_LEN]);
/* A new Sec-WebSocket-Key. */
const char *kc_ws_key(char buf[static KC_WS_KEY_LEN]);
/* Do these headers (each may be NULL) ask for WebSocket, as upstream's wsstream.IsWebSocketRequest sees it? */
bool kc_ws_is_request(const char *upgrade, const char *connection);
/* Can that request be answered with 101? Else a BadRequest error (code 400; 426 for another version). */
int kc_ws_check_request(const char *method, const char *version, const char *key, struct kc_error *err);
/* Is value one of the comma-separated tokens of list? Without regard to case; both may be NULL. */
bool kc_http_list_has(const char *list, const char *value);
