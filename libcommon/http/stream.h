/* Raw byte streams: what an upgraded HTTP/1.1 connection becomes, at the server (kc_http_upgrade) and at the client
 * (kc_http_call_take_stream). On the connection's loop. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct kc_http_stream;
struct kc_http_stream_cbs {
        void (*on_data)(struct kc_http_stream *s, const void *data, size_t len, void *arg);
        void (*on_drain)(struct kc_http_stream *s, void *arg); /* all written bytes are out */
        void (*on_close)(struct kc_http_stream *s, void *arg); /* last call; s is freed after it */
};
/* Copies. -EPIPE: closing or gone; -ENOBUFS: the limit of queued bytes (server: max_queued_bytes; client: 4 MiB) would
 * be passed, nothing was queued. */
int kc_http_stream_write(struct kc_http_stream *s, const void *data, size_t len);
size_t kc_http_stream_queued(const struct kc_http_stream *s);
/* Stops and resumes on_data: back-pressure. */
void kc_http_stream_pause(struct kc_http_stream *s, bool paused);
/* Closes after what is queued is out; on_close comes later. */
void kc_http_stream_close(struct kc_http_stream *s);
