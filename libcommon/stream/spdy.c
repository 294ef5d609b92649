/* Frames and streams of SPDY/3.1. Pure: any thread, one at a time. */
#include <errno.h>
#include <string.h>

#include "base/list.h"
#include "base/mem.h"
#include "base/str.h"
#include "stream/spdy_internal.h"

enum frame_type {
        SYN_STREAM = 1,
        SYN_REPLY = 2,
        RST_STREAM = 3,
        SETTINGS = 4,
        PING = 6,
        GOAWAY = 7,
        HEADERS = 8,
        WINDOW_UPDATE = 9,
};
enum { FLAG_FIN = 1, FLAG_UNIDIRECTIONAL = 2, VERSION = 3, DATA_PIECE = 16 * 1024 * 1024 - 1 };

struct stream {
        struct kc_list node;
        uint32_t id;
        bool ours;
        bool local_fin, remote_fin;
        bool replied;
        uint32_t unacked; /* bytes received and not yet given back as window */
};

struct kc_spdy {
        const struct kc_spdy_cbs *cbs;
        void *arg;
        bool server, windows;
        struct kc_buf out;
        struct kc_buf in; /* head of a frame, and the payload of control frames */
        struct spdy_headers headers;
        struct kc_list streams;
        size_t n_streams;
        uint32_t next_id, last_peer_id, next_ping;
        uint32_t session_unacked;
        bool dead, goaway_seen, goaway_sent;
        /* The data frame that is being read. */
        bool in_data, data_fin;
        uint32_t data_id;
        size_t data_left;
};

struct kc_spdy *kc_spdy_new(bool server, bool open_windows, const struct kc_spdy_cbs *cbs, void *arg)
{
        struct kc_spdy *s = KC_NEW(struct kc_spdy);
        s->server = server;
        s->windows = open_windows;
        s->cbs = cbs;
        s->arg = arg;
        s->next_id = server ? 2 : 1;
        s->next_ping = server ? 2 : 1;
        kc_list_init(&s->streams);
        spdy_headers_init(&s->headers);
        return s;
}

static void drop(struct kc_spdy *s, struct stream *t)
{
        kc_list_remove(&t->node);
        s->n_streams--;
        kc_free(t);
}

void kc_spdy_free(struct kc_spdy *s)
{
        if (!s)
                return;
        KC_LIST_FOREACH(&s->streams, t, struct stream, node)
        drop(s, t);
        spdy_headers_done(&s->headers);
        kc_buf_done(&s->out);
        kc_buf_done(&s->in);
        kc_free(s);
}

struct kc_buf *kc_spdy_out(struct kc_spdy *s)
{
        return &s->out;
}

size_t kc_spdy_streams(const struct kc_spdy *s)
{
        return s->n_streams;
}

const char *kc_spdy_header(char *const *headers, const char *name)
{
        for (size_t i = 0; headers && headers[i] && headers[i + 1]; i += 2)
                if (kc_strcaseeq(headers[i], name))
                        return headers[i + 1];
        return NULL;
}

static struct stream *find(struct kc_spdy *s, uint32_t id)
{
        KC_LIST_FOREACH(&s->streams, t, struct stream, node)
        if (t->id == id)
                return t;
        return NULL;
}

static struct stream *add(struct kc_spdy *s, uint32_t id, bool ours)
{
        struct stream *t = KC_NEW(struct stream);
        t->id = id;
        t->ours = ours;
        kc_list_push_front(&s->streams, &t->node);
        s->n_streams++;
        return t;
}

static void drop_if_over(struct kc_spdy *s, struct stream *t)
{
        if (t->local_fin && t->remote_fin)
                drop(s, t);
}

/* --- Sending */

static void control_head(struct kc_spdy *s, enum frame_type type, int flags, size_t len)
{
        spdy_put_u32(&s->out, 0x80000000u | (uint32_t)VERSION << 16 | (uint32_t)type);
        spdy_put_u32(&s->out, (uint32_t)flags << 24 | (uint32_t)len);
}

static void control_u32(struct kc_spdy *s, enum frame_type type, uint32_t a, uint32_t b)
{
        control_head(s, type, 0, 8);
        spdy_put_u32(&s->out, a);
        spdy_put_u32(&s->out, b);
}

static void control_headers(struct kc_spdy *s, enum frame_type type, int flags, uint32_t id, char *const *headers)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf block = KC_BUF_INIT;
        static const char no_priority[6] = {0}; /* and no associated stream */
        size_t extra = type == SYN_STREAM ? sizeof(no_priority) : 0;
        spdy_headers_pack(&s->headers, headers, &block);
        control_head(s, type, flags, 4 + extra + block.len);
        spdy_put_u32(&s->out, id);
        kc_buf_add(&s->out, no_priority, extra);
        kc_buf_add(&s->out, block.data, block.len);
}

uint32_t kc_spdy_open(struct kc_spdy *s, char *const *headers, bool fin)
{
        if (s->dead || s->goaway_seen || s->n_streams >= SPDY_STREAMS_MAX || s->next_id > INT32_MAX)
                return 0;
        struct stream *t = add(s, s->next_id, true);
        s->next_id += 2;
        t->local_fin = fin;
        control_headers(s, SYN_STREAM, fin ? FLAG_FIN : 0, t->id, headers);
        return t->id;
}

static int writable(struct kc_spdy *s, uint32_t id, struct stream **ret)
{
        struct stream *t = s->dead ? NULL : find(s, id);
        if (!t)
                return -ENOENT;
        if (t->local_fin)
                return -EPIPE;
        *ret = t;
        return 0;
}

static int send_headers(struct kc_spdy *s, enum frame_type type, uint32_t id, char *const *headers, bool fin)
{
        struct stream *t;
        int r = writable(s, id, &t);
        if (r < 0)
                return r;
        control_headers(s, type, fin ? FLAG_FIN : 0, id, headers);
        t->local_fin = fin;
        drop_if_over(s, t);
        return 0;
}

int kc_spdy_reply(struct kc_spdy *s, uint32_t id, char *const *headers, bool fin)
{
        return send_headers(s, SYN_REPLY, id, headers, fin);
}

int kc_spdy_headers(struct kc_spdy *s, uint32_t id, char *const *headers, bool fin)
{
        return send_headers(s, HEADERS, id, headers, fin);
}

int kc_spdy_data(struct kc_spdy *s, uint32_t id, const void *data, size_t len, bool fin)
{
        struct stream *t;
        int r = writable(s, id, &t);
        if (r < 0)
                return r;
        const char *at = data ? data : ""; /* nothing but a fin */
        do {
                size_t n = KC_MIN(len, (size_t)DATA_PIECE);
                spdy_put_u32(&s->out, id);
                spdy_put_u32(&s->out, (fin && n == len ? (uint32_t)FLAG_FIN << 24 : 0) | (uint32_t)n);
                if (n > 0)
                        kc_buf_add(&s->out, at, n);
                at += n;
                len -= n;
        } while (len > 0);
        t->local_fin = fin;
        drop_if_over(s, t);
        return 0;
}

int kc_spdy_reset(struct kc_spdy *s, uint32_t id, enum kc_spdy_status status)
{
        struct stream *t = s->dead ? NULL : find(s, id);
        if (!t)
                return -ENOENT;
        control_u32(s, RST_STREAM, id, status);
        drop(s, t);
        return 0;
}

void kc_spdy_ping(struct kc_spdy *s)
{
        control_head(s, PING, 0, 4);
        spdy_put_u32(&s->out, s->next_ping);
        s->next_ping += 2;
}

void kc_spdy_goaway(struct kc_spdy *s, enum kc_spdy_goaway status)
{
        if (s->goaway_sent)
                return;
        s->goaway_sent = true;
        control_u32(s, GOAWAY, s->last_peer_id, status);
}

/* --- Receiving */

static int broken(struct kc_spdy *s)
{
        kc_spdy_goaway(s, KC_SPDY_GOAWAY_PROTOCOL_ERROR);
        s->dead = true;
        return -EPROTO;
}

static bool by_peer(const struct kc_spdy *s, uint32_t id)
{
        return (id & 1) == (s->server ? 1u : 0u);
}

static int take_stream(struct kc_spdy *s, int flags, const char *p, size_t len)
{
        KC_CLEANUP(kc_strv_freep) char **headers = NULL;
        if (len < 10)
                return broken(s);
        uint32_t id = spdy_u32(p) & INT32_MAX;
        /* Also of a stream that is refused: the block is part of one zlib stream. */
        if (spdy_headers_unpack(&s->headers, p + 10, len - 10, &headers) < 0)
                return broken(s);
        if (!by_peer(s, id) || id <= s->last_peer_id)
                return broken(s);
        s->last_peer_id = id;
        if (s->goaway_sent || s->n_streams >= SPDY_STREAMS_MAX || !s->cbs->on_stream) {
                control_u32(s, RST_STREAM, id, KC_SPDY_REFUSED_STREAM);
                return 0;
        }
        struct stream *t = add(s, id, false);
        t->remote_fin = flags & FLAG_FIN;
        t->local_fin = flags & FLAG_UNIDIRECTIONAL;
        bool fin = t->remote_fin;
        drop_if_over(s, t);
        return s->cbs->on_stream(id, headers, fin, s->arg);
}

static int take_headers(struct kc_spdy *s, enum frame_type type, int flags, const char *p, size_t len)
{
        KC_CLEANUP(kc_strv_freep) char **headers = NULL;
        if (len < 4)
                return broken(s);
        uint32_t id = spdy_u32(p) & INT32_MAX;
        if (spdy_headers_unpack(&s->headers, p + 4, len - 4, &headers) < 0)
                return broken(s);
        struct stream *t = find(s, id);
        if (!t || t->remote_fin)
                return 0; /* reset by us meanwhile */
        if (type == SYN_REPLY && (!t->ours || t->replied)) {
                control_u32(s, RST_STREAM, id, KC_SPDY_STREAM_IN_USE);
                drop(s, t);
                return s->cbs->on_reset ? s->cbs->on_reset(id, KC_SPDY_STREAM_IN_USE, s->arg) : 0;
        }
        t->replied |= type == SYN_REPLY;
        bool fin = flags & FLAG_FIN;
        t->remote_fin = fin;
        drop_if_over(s, t);
        int (*fn)(uint32_t, char *const *, bool, void *) = type == SYN_REPLY ? s->cbs->on_reply : s->cbs->on_headers;
        return fn ? fn(id, headers, fin, s->arg) : 0;
}

static int take_reset(struct kc_spdy *s, const char *p, size_t len)
{
        if (len != 8)
                return broken(s);
        uint32_t id = spdy_u32(p) & INT32_MAX;
        struct stream *t = find(s, id);
        if (!t)
                return 0;
        drop(s, t);
        return s->cbs->on_reset ? s->cbs->on_reset(id, spdy_u32(p + 4), s->arg) : 0;
}

static int take_ping(struct kc_spdy *s, const char *p, size_t len)
{
        if (len != 4)
                return broken(s);
        uint32_t id = spdy_u32(p);
        if ((id & 1) != (s->next_ping & 1)) {
                if (s->out.len > SPDY_OUT_MAX)
                        return broken(s);
                control_head(s, PING, 0, 4);
                spdy_put_u32(&s->out, id);
                return 0;
        }
        return s->cbs->on_pong ? s->cbs->on_pong(id, s->arg) : 0;
}

static int take_goaway(struct kc_spdy *s, const char *p, size_t len)
{
        if (len != 8)
                return broken(s);
        s->goaway_seen = true;
        return s->cbs->on_goaway ? s->cbs->on_goaway(spdy_u32(p) & INT32_MAX, spdy_u32(p + 4), s->arg) : 0;
}

/* p: the whole frame. */
static int take_control(struct kc_spdy *s, const char *p, size_t len)
{
        uint32_t head = spdy_u32(p);
        int flags = (int)(spdy_u32(p + 4) >> 24);
        if (((head >> 16) & 0x7fff) != VERSION)
                return broken(s);
        p += SPDY_FRAME_HEAD;
        len -= SPDY_FRAME_HEAD;
        switch ((enum frame_type)(head & 0xffff)) {
        case SYN_STREAM:
                return take_stream(s, flags, p, len);
        case SYN_REPLY:
        case HEADERS:
                return take_headers(s, (enum frame_type)(head & 0xffff), flags, p, len);
        case RST_STREAM:
                return take_reset(s, p, len);
        case PING:
                return take_ping(s, p, len);
        case GOAWAY:
                return take_goaway(s, p, len);
        case SETTINGS: /* limits that we stay under, and windows */
                return len < 4 || (len - 4) / 8 != spdy_u32(p) || (len - 4) % 8 ? broken(s) : 0;
        case WINDOW_UPDATE:
                return len != 8 ? broken(s) : 0;
        default:
                return 0; /* unknown frames are to be ignored */
        }
}

static int begin_data(struct kc_spdy *s, const char *p)
{
        uint32_t rest = spdy_u32(p + 4);
        s->data_id = spdy_u32(p);
        s->data_fin = (rest >> 24) & FLAG_FIN;
        s->data_left = rest & 0xffffff;
        s->in_data = true;
        if (s->data_id == 0)
                return broken(s);
        if (s->out.len > SPDY_OUT_MAX)
                return broken(s);
        return 0;
}

/* Gives the peer back what it has used of its window, half a window at a time. */
static void open_window(struct kc_spdy *s, uint32_t id, uint32_t *unacked, size_t len)
{
        if (!s->windows)
                return;
        *unacked += (uint32_t)len;
        if (*unacked < SPDY_WINDOW / 2)
                return;
        control_u32(s, WINDOW_UPDATE, id, *unacked);
        *unacked = 0;
}

static int take_data(struct kc_spdy *s, const char *data, size_t len, size_t *ret_n)
{
        size_t n = KC_MIN(len, s->data_left);
        s->data_left -= n;
        *ret_n = n;
        bool last = s->data_left == 0;
        if (last)
                s->in_data = false;
        struct stream *t = find(s, s->data_id);
        open_window(s, 0, &s->session_unacked, n);
        if (!t || t->remote_fin) {
                /* A stream of ours may have been reset by us meanwhile; one of the peer's that never was is an error.
                 */
                if (!t && last && by_peer(s, s->data_id) && s->data_id > s->last_peer_id)
                        control_u32(s, RST_STREAM, s->data_id, KC_SPDY_INVALID_STREAM);
                return 0;
        }
        bool fin = last && s->data_fin;
        if (fin)
                t->remote_fin = true;
        else
                open_window(s, t->id, &t->unacked, n);
        drop_if_over(s, t);
        return n > 0 || fin ? s->cbs->on_data(s->data_id, data, n, fin, s->arg) : 0;
}

/* Collects a frame's head, and a control frame's payload. */
static int take_frame(struct kc_spdy *s, const char *data, size_t len, size_t *ret_n)
{
        size_t want = SPDY_FRAME_HEAD;
        if (s->in.len >= SPDY_FRAME_HEAD)
                want += spdy_u32(s->in.data + 4) & 0xffffff;
        *ret_n = KC_MIN(len, want - s->in.len);
        kc_buf_add(&s->in, data, *ret_n);
        if (s->in.len < SPDY_FRAME_HEAD)
                return 0;
        int r = 0;
        size_t payload = spdy_u32(s->in.data + 4) & 0xffffff;
        if (!(s->in.data[0] & 0x80)) {
                r = begin_data(s, s->in.data);
        } else {
                if (payload > SPDY_CONTROL_MAX)
                        return broken(s);
                if (s->in.len < SPDY_FRAME_HEAD + payload)
                        return 0;
                r = take_control(s, s->in.data, s->in.len);
        }
        kc_buf_reset(&s->in);
        return r;
}

int kc_spdy_feed(struct kc_spdy *s, const char *data, size_t len)
{
        int r = 0;
        if (s->dead)
                return -EPROTO;
        while (r == 0 && (len > 0 || (s->in_data && s->data_left == 0))) {
                size_t n = 0;
                r = s->in_data ? take_data(s, data, len, &n) : take_frame(s, data, len, &n);
                data += n;
                len -= n;
        }
        return r;
}
