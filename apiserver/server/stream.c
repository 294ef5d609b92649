/* Answers that are streamed piece by piece as the peer reads, compressed if it likes that. On the request's loop, but
 * for stream_reply. */
#include "base/str.h"
#include "server/server_internal.h"

enum { QUEUED_MAX = 512 << 10 }; /* unread by the peer, before the answer pauses */

struct stream {
        struct api_req *q; /* with a reference to its exchange */
        struct piece_source source;
        struct kc_buf piece;
        struct compressor *gzip; /* NULL: plain */
        bool waiting;            /* for the peer to read */
        bool posted;             /* step will be called */
};

static void step(void *arg);

static void stream_free(struct stream *s)
{
        struct kc_http_req *http = s->q->http;
        kc_http_on_drain(http, NULL, NULL);
        s->q->on_closed = NULL;
        s->source.free(s->source.arg);
        kc_buf_done(&s->piece);
        compressor_free(s->gzip);
        kc_free(s);
        kc_http_req_unref(http);
}

static void post_step(struct stream *s)
{
        s->posted = true;
        kc_loop_post(kc_http_req_loop(s->q->http), step, s);
}

static void on_drain(struct kc_http_req *http, void *arg)
{
        (void)http; /* the stream's own */
        struct stream *s = arg;
        if (!s->waiting || s->posted)
                return;
        s->waiting = false;
        post_step(s);
}

/* The next piece, compressed if so wished. */
static struct kc_bytes *next_piece(struct stream *s, bool *ret_last)
{
        *ret_last = s->source.next(s->source.arg, &s->piece);
        if (!s->gzip)
                return kc_bytes_from_buf(&s->piece);
        struct kc_buf out = KC_BUF_INIT;
        compressor_add(s->gzip, s->piece.data, s->piece.len, *ret_last, &out);
        kc_buf_reset(&s->piece);
        return kc_bytes_from_buf(&out);
}

static void step(void *arg)
{
        struct stream *s = arg;
        struct kc_http_req *http = s->q->http;
        s->posted = false;
        bool last = false;
        if (!kc_http_req_closed(http)) {
                KC_CLEANUP(kc_bytes_unrefp) struct kc_bytes *piece = next_piece(s, &last);
                size_t len = kc_bytes_len(piece);
                if (len > 0 && kc_http_write(http, piece) < 0) {
                        kc_http_abort(http);
                        last = true;
                } else if (last) {
                        kc_http_finish(http);
                }
                atomic_fetch_add(&s->q->response_size, len);
        } else {
                last = true;
        }
        if (last) {
                stream_free(s);
                return;
        }
        /* Others have their turn between two pieces. */
        if (kc_http_queued(http) < QUEUED_MAX)
                post_step(s);
        else
                s->waiting = true;
}

/* The peer has gone while the stream waited for it. */
static void on_closed(void *arg)
{
        struct stream *s = arg;
        if (!s->posted)
                stream_free(s);
}

static void start(void *arg)
{
        struct stream *s = arg;
        struct api_req *q = s->q;
        s->posted = false;
        if (kc_http_req_closed(q->http) || atomic_load(&q->code)) {
                stream_free(s);
                return;
        }
        KC_CLEANUP(kc_strv_freep) char **headers = api_reply_headers(q, media_content_type(&q->media));
        if (compress_wanted(q) && (s->gzip = compressor_new())) {
                static const char *const extra[] = {"Content-Encoding", "gzip", "Vary", "Accept-Encoding"};
                for (size_t i = 0; i < KC_ARRAY_LEN(extra); i++)
                        kc_strv_push(&headers, extra[i]);
        }
        api_req_unlimit_time(q);
        atomic_store(&q->code, 200);
        kc_http_start(q->http, 200, headers);
        kc_http_on_drain(q->http, on_drain, s);
        q->on_closed = on_closed;
        q->on_closed_arg = s;
        step(s);
}

void stream_reply(struct api_req *q, struct piece_source take_source)
{
        struct stream *s = KC_NEW(struct stream);
        s->q = q;
        s->source = take_source;
        s->posted = true;
        (void)kc_http_req_ref(q->http); /* stream_free gives it back */
        kc_loop_post(kc_http_req_loop(q->http), start, s);
}
