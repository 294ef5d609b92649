/* What gRPC and the HTTP client share of HTTP/2: the session, its windows, and the ways in which a stream ends. No I/O,
 * one thread. */
#include "net/h2.h"

#include <errno.h>

#include "base/mem.h"

struct kc_h2 {
        nghttp2_session *session;
        const struct kc_h2_cbs *cbs;
        void *arg;
        struct kc_list streams;
        size_t n_streams;
        bool goaway;
};

static struct kc_h2_stream *stream_of(nghttp2_session *session, int32_t id)
{
        return nghttp2_session_get_stream_user_data(session, id);
}

/* The HTTP/2 stream and its user know each other no longer. */
static void forget(struct kc_h2_stream *s)
{
        (void)nghttp2_session_set_stream_user_data(s->h2->session, s->id, NULL); /* fails when it is gone: fine */
        s->h2->n_streams--;
        s->h2 = NULL;
        kc_list_remove(&s->node);
}

/* --- Callbacks of nghttp2 */

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_len,
    const uint8_t *value, size_t value_len, uint8_t flags, void *arg)
{
        (void)flags;
        struct kc_h2 *h = arg;
        struct kc_h2_stream *s = stream_of(session, frame->hd.stream_id);
        if (s)
                h->cbs->on_header(s, (const char *)name, name_len, (const char *)value, value_len);
        return 0;
}

static int on_data_chunk(
    nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data, size_t len, void *arg)
{
        (void)flags;
        struct kc_h2 *h = arg;
        struct kc_h2_stream *s = stream_of(session, id);
        if (s)
                h->cbs->on_data(s, (const char *)data, len);
        return 0;
}

static void closed(struct kc_h2 *h, struct kc_h2_stream *s, uint32_t error)
{
        forget(s);
        h->cbs->on_close(s, error);
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t error, void *arg)
{
        struct kc_h2_stream *s = stream_of(session, id);
        if (s)
                closed(arg, s, error);
        return 0;
}

static void part_received(struct kc_h2 *h, nghttp2_session *session, const nghttp2_frame *frame)
{
        struct kc_h2_stream *s = stream_of(session, frame->hd.stream_id);
        if (s && frame->hd.type == NGHTTP2_HEADERS && h->cbs->on_headers)
                h->cbs->on_headers(s);
        s = stream_of(session, frame->hd.stream_id); /* the callback may have reset it */
        if (s && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) && h->cbs->on_end)
                h->cbs->on_end(s);
}

static int on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
        struct kc_h2 *h = arg;
        if (frame->hd.type == NGHTTP2_GOAWAY) {
                h->goaway = true;
                h->cbs->on_goaway(h, frame->goaway.error_code, h->arg);
        } else if (frame->hd.type == NGHTTP2_SETTINGS && !(frame->hd.flags & NGHTTP2_FLAG_ACK)) {
                if (h->cbs->on_settings)
                        h->cbs->on_settings(h, h->arg);
        } else if (frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA) {
                part_received(h, session, frame);
        }
        return 0;
}

static int on_frame_not_send(nghttp2_session *session, const nghttp2_frame *frame, int error, void *arg)
{
        struct kc_h2 *h = arg;
        (void)session;
        (void)error;
        /* A request that a GOAWAY overtook: it never became a stream, so that there is none to ask for its user. */
        if (frame->hd.type != NGHTTP2_HEADERS)
                return 0;
        KC_LIST_FOREACH(&h->streams, s, struct kc_h2_stream, node)
        {
                if (s->id != frame->hd.stream_id)
                        continue;
                closed(h, s, NGHTTP2_REFUSED_STREAM);
                break;
        }
        return 0;
}

static ssize_t read_body(nghttp2_session *session, int32_t id, uint8_t *buf, size_t len, uint32_t *flags,
    nghttp2_data_source *source, void *arg)
{
        (void)source;
        struct kc_h2 *h = arg;
        struct kc_h2_stream *s = stream_of(session, id);
        if (!s)
                return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* cancelled: the reset is on its way */
        bool end = false;
        ssize_t n = h->cbs->on_body(s, buf, len, &end);
        if (n == -EAGAIN)
                return NGHTTP2_ERR_DEFERRED;
        if (end)
                *flags |= NGHTTP2_DATA_FLAG_EOF;
        return n;
}

/* --- Life */

static int start_session(struct kc_h2 *h, const struct kc_h2_opts *o)
{
        nghttp2_session_callbacks *cbs;
        if (nghttp2_session_callbacks_new(&cbs) != 0)
                return -ENOMEM;
        nghttp2_session_callbacks_set_on_header_callback(cbs, on_header);
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cbs, on_data_chunk);
        nghttp2_session_callbacks_set_on_stream_close_callback(cbs, on_stream_close);
        nghttp2_session_callbacks_set_on_frame_recv_callback(cbs, on_frame_recv);
        nghttp2_session_callbacks_set_on_frame_not_send_callback(cbs, on_frame_not_send);
        int r = nghttp2_session_client_new(&h->session, cbs, h);
        nghttp2_session_callbacks_del(cbs);
        if (r != 0)
                return -ENOMEM;
        nghttp2_settings_entry settings[] = {
            {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
            {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, o->stream_window},
            {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, o->max_header_list},
        };
        size_t n = KC_ARRAY_LEN(settings) - (o->max_header_list ? 0 : 1);
        if (nghttp2_submit_settings(h->session, NGHTTP2_FLAG_NONE, settings, n) != 0 ||
            nghttp2_session_set_local_window_size(h->session, NGHTTP2_FLAG_NONE, 0, (int32_t)o->conn_window) != 0)
                return -ENOMEM;
        return 0;
}

int kc_h2_new(const struct kc_h2_opts *o, const struct kc_h2_cbs *cbs, void *arg, struct kc_h2 **ret)
{
        KC_CLEANUP(kc_h2_freep) struct kc_h2 *h = KC_NEW(struct kc_h2);
        h->cbs = cbs;
        h->arg = arg;
        kc_list_init(&h->streams);
        int r = start_session(h, o);
        if (r == 0)
                *ret = KC_TAKE(h);
        return r;
}

void kc_h2_free(struct kc_h2 *h)
{
        if (!h)
                return;
        for (struct kc_h2_stream *s; (s = KC_LIST_FIRST(&h->streams, struct kc_h2_stream, node));)
                forget(s);
        nghttp2_session_del(h->session);
        kc_free(h);
}

/* --- Streams */

bool kc_h2_open(struct kc_h2 *h, struct kc_h2_stream *s, const nghttp2_nv *nv, size_t n, bool body)
{
        nghttp2_data_provider provider = {.read_callback = read_body};
        int32_t id = h->goaway ? -1 : nghttp2_submit_request(h->session, NULL, nv, n, body ? &provider : NULL, s);
        if (id < 0)
                return false;
        s->h2 = h;
        s->id = id;
        kc_list_push_back(&h->streams, &s->node);
        h->n_streams++;
        return true;
}

void kc_h2_reset(struct kc_h2_stream *s)
{
        if (!s->h2)
                return;
        /* Out of memory is the only way to fail; then the stream stays open at the server until it ends by itself. */
        (void)nghttp2_submit_rst_stream(s->h2->session, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_CANCEL);
        forget(s);
}

void kc_h2_finish(struct kc_h2_stream *s)
{
        if (nghttp2_session_get_stream_local_close(s->h2->session, s->id) == 0)
                kc_h2_reset(s);
        else
                forget(s);
}

void kc_h2_resume(struct kc_h2_stream *s)
{
        if (s->h2)
                (void)nghttp2_session_resume_data(s->h2->session, s->id); /* fails when it was not deferred: fine */
}

void kc_h2_ping(struct kc_h2 *h)
{
        (void)nghttp2_submit_ping(h->session, NGHTTP2_FLAG_NONE, NULL); /* without memory for it no answer comes */
}

struct kc_list *kc_h2_streams(struct kc_h2 *h)
{
        return &h->streams;
}

size_t kc_h2_room(const struct kc_h2 *h)
{
        uint32_t max = nghttp2_session_get_remote_settings(h->session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
        return h->goaway || h->n_streams >= max ? 0 : max - h->n_streams;
}

/* --- Bytes */

int kc_h2_input(struct kc_h2 *h, const char *data, size_t len, struct kc_error *err)
{
        ssize_t used = nghttp2_session_mem_recv(h->session, (const uint8_t *)data, len);
        return used < 0 ? kc_error_set(err, EPROTO, "http2: %s", nghttp2_strerror((int)used)) : 0;
}

int kc_h2_output(struct kc_h2 *h, struct kc_outq *out, size_t max, struct kc_error *err)
{
        while (out->bytes < max) {
                const uint8_t *data;
                ssize_t n = nghttp2_session_mem_send(h->session, &data);
                if (n < 0)
                        return kc_error_set(err, EPROTO, "http2: %s", nghttp2_strerror((int)n));
                if (n == 0)
                        break;
                kc_outq_copy(out, data, (size_t)n);
        }
        if (!out->bytes && !nghttp2_session_want_read(h->session) && !nghttp2_session_want_write(h->session))
                return kc_error_set(err, ECONNRESET, "http2: connection is closed");
        return 0;
}
