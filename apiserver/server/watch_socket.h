/* A watch over WebSocket: each event is a message. On the request's loop. */
#pragma once

#include "server/server_internal.h"

struct watch_socket;

bool watch_socket_wanted(const struct api_req *q);
/* Upgrades the request. binary: of protobuf; else text. on_drain: what was written is out. When the peer closes, the
 * exchange is over (q->on_closed). Answers the request itself when it cannot be upgraded: false. */
bool watch_socket_open(
    struct api_req *q, bool binary, void (*on_drain)(void *arg), void *arg, struct watch_socket **ret);
/* -EPIPE, -ENOBUFS: as kc_http_stream_write. */
int watch_socket_write(struct watch_socket *s, const char *message, size_t len);
size_t watch_socket_queued(const struct watch_socket *s);
/* Says goodbye and closes; it is not to be used any more, and no callback comes. */
void watch_socket_end(struct watch_socket *take_s);
