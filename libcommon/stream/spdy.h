/* SPDY/3.1 (the draft of that name), either side. No I/O: bytes in, bytes out.
 *
 *   peer's bytes --kc_spdy_feed--> frames --> on_stream, on_reply, on_data ...
 *   kc_spdy_open, _reply, _data ... --> frames --> kc_spdy_out
 *
 * Streams are numbered by who opened them: odd ones by the client, even ones by the server. The peers there are
 * (moby/spdystream in kubectl, kubelets and containerd) know no windows: they send without waiting and never open
 * theirs, so ours are not waited for either; the connection alone holds a sender up. For another peer windows can be
 * opened as it sends. Not for spdystream: it closes connections without reading what has come meanwhile, upon which TCP
 * drops what it has not delivered yet. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

enum kc_spdy_status { /* of RST_STREAM */
        KC_SPDY_PROTOCOL_ERROR = 1,
        KC_SPDY_INVALID_STREAM = 2,
        KC_SPDY_REFUSED_STREAM = 3,
        KC_SPDY_CANCEL = 5,
        KC_SPDY_INTERNAL_ERROR = 6,
        KC_SPDY_STREAM_IN_USE = 8,
        KC_SPDY_STREAM_ALREADY_CLOSED = 9,
};
enum kc_spdy_goaway { KC_SPDY_GOAWAY_OK = 0, KC_SPDY_GOAWAY_PROTOCOL_ERROR = 1, KC_SPDY_GOAWAY_INTERNAL_ERROR = 2 };

/* headers: strv of alternating name (lower case) and value; borrowed. A non-zero return stops: kc_spdy_feed returns it.
 * All but on_data may be NULL. */
struct kc_spdy_cbs {
        int (*on_stream)(uint32_t id, char *const *headers, bool fin, void *arg); /* the peer opens one */
        int (*on_reply)(uint32_t id, char *const *headers, bool fin, void *arg);
        int (*on_headers)(uint32_t id, char *const *headers, bool fin, void *arg);
        /* A piece of a stream's data, as it comes; fin: the peer sends no more on it. */
        int (*on_data)(uint32_t id, const char *data, size_t len, bool fin, void *arg);
        int (*on_reset)(uint32_t id, uint32_t status, void *arg); /* the stream is gone */
        int (*on_pong)(uint32_t id, void *arg);
        int (*on_goaway)(uint32_t last_good, uint32_t status, void *arg);
};

struct kc_spdy;
/* open_windows: WINDOW_UPDATEs are sent for what is received. cbs is kept, not copied. */
struct kc_spdy *kc_spdy_new(bool server, bool open_windows, const struct kc_spdy_cbs *cbs, void *arg);
void kc_spdy_free(struct kc_spdy *s);
KC_DEFINE_CLEANUP(struct kc_spdy *, kc_spdy_free)
/* Takes what the peer has sent. -EPROTO: it broke the protocol; a GOAWAY is in the output and input is ignored from
 * then on (-EPROTO again). */
int kc_spdy_feed(struct kc_spdy *s, const char *data, size_t len);
/* What is to be sent; the caller takes it out. Valid as long as s. */
struct kc_buf *kc_spdy_out(struct kc_spdy *s);

/* Opens a stream; its number is returned. 0: too many streams are open, or a GOAWAY has been seen. */
uint32_t kc_spdy_open(struct kc_spdy *s, char *const *headers, bool fin);
/* The rest is -ENOENT for streams that are not there (any more), -EPIPE after our fin. */
int kc_spdy_reply(struct kc_spdy *s, uint32_t id, char *const *headers, bool fin);
int kc_spdy_headers(struct kc_spdy *s, uint32_t id, char *const *headers, bool fin);
int kc_spdy_data(struct kc_spdy *s, uint32_t id, const void *data, size_t len, bool fin);
int kc_spdy_reset(struct kc_spdy *s, uint32_t id, enum kc_spdy_status status);
void kc_spdy_ping(struct kc_spdy *s);
void kc_spdy_goaway(struct kc_spdy *s, enum kc_spdy_goaway status);
/* Streams that are open on at least one side. */
size_t kc_spdy_streams(const struct kc_spdy *s);
/* The value of that header, or NULL. */
const char *kc_spdy_header(char *const *headers, const char *name);
