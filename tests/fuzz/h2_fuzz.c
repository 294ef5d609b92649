/* What a server sends on an HTTP/2 connection of ours. The first byte says in which pieces; then come frames, each as
 * type, flags, stream and length (a byte each) and its payload, so that every input is made of whole frames; a type
 * from 0x80 on stands for bytes as they are. A header block is HPACK as it comes. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "net/h2.h"

enum { N_STREAMS = 4, OUT_MAX = 1 << 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct exchange {
        struct kc_h2_stream s; /* first */
        size_t sent;
        bool over;
};

static bool is_waiting; /* for more of a body */

static void check(bool ok)
{
        if (!ok)
                abort();
}

static struct exchange *exchange_of(struct kc_h2_stream *s)
{
        struct exchange *x = (struct exchange *)s;
        check(!x->over);
        return x;
}

static void on_header(struct kc_h2_stream *s, const char *name, size_t name_len, const char *value, size_t value_len)
{
        exchange_of(s);
        check(name_len > 0 && !memchr(name, '\n', name_len) && !memchr(value, '\n', value_len));
        if (name_len == 1 && name[0] == 'r') {
                exchange_of(s)->over = true;
                kc_h2_reset(s);
        }
}

static void on_data(struct kc_h2_stream *s, const char *data, size_t len)
{
        exchange_of(s);
        if (memchr(data, 'r', len)) {
                exchange_of(s)->over = true;
                kc_h2_reset(s);
        }
}

static void on_end(struct kc_h2_stream *s)
{
        if (s->id % 4 == 1) {
                exchange_of(s)->over = true;
                kc_h2_finish(s);
        }
}

static void on_close(struct kc_h2_stream *s, uint32_t error)
{
        (void)error;
        exchange_of(s)->over = true;
}

static ssize_t on_body(struct kc_h2_stream *s, void *buf, size_t len, bool *ret_end)
{
        struct exchange *x = exchange_of(s);
        is_waiting = x->sent == 100;
        if (is_waiting && s->id == 7)
                return -EAGAIN;
        size_t n = KC_MIN(len, 200 - x->sent);
        n = KC_MIN(n, 100);
        memset(buf, 'b', n);
        x->sent += n;
        *ret_end = x->sent == 200;
        return (ssize_t)n;
}

static void on_goaway(struct kc_h2 *h, uint32_t error, void *arg)
{
        (void)h;
        (void)error;
        (*(int *)arg)++;
}

static void open_streams(struct kc_h2 *h, struct exchange *x)
{
        const nghttp2_nv nv[] = {kc_h2_field(":method", 7, "POST", 4), kc_h2_field(":scheme", 7, "https", 5),
            kc_h2_field(":path", 5, "/", 1), kc_h2_field(":authority", 10, "a", 1)};
        for (int i = 0; i < N_STREAMS; i++) {
                kc_list_init(&x[i].s.node);
                check(kc_h2_open(h, &x[i].s, nv, KC_ARRAY_LEN(nv), i % 2 == 1));
        }
}

static int output(struct kc_h2 *h)
{
        struct kc_outq out = {0};

        int r = kc_h2_output(h, &out, OUT_MAX, NULL);
        kc_outq_done(&out);
        return r;
}

/* The frames' bytes as they are on the wire. */
static void make_frames(const uint8_t *data, size_t size, struct kc_buf *wire)
{
        while (size >= 4) {
                size_t len = KC_MIN((size_t)data[3], size - 4);
                if (data[0] < 0x80) {
                        const char head[9] = {0, 0, (char)len, (char)data[0], (char)data[1], 0, 0, 0, (char)data[2]};
                        kc_buf_add(wire, head, sizeof(head));
                }
                kc_buf_add(wire, data + 4, len);
                data += 4 + len;
                size -= 4 + len;
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const struct kc_h2_cbs cbs = {.on_header = on_header,
            .on_data = on_data,
            .on_end = on_end,
            .on_close = on_close,
            .on_body = on_body,
            .on_goaway = on_goaway};
        const struct kc_h2_opts o = {.stream_window = 1 << 16, .conn_window = 1 << 20, .max_header_list = 1 << 14};
        struct exchange x[N_STREAMS] = {0};
        struct kc_buf wire = KC_BUF_INIT;
        struct kc_h2 *h;
        int goaways = 0, r = 0;
        if (size < 1)
                return 0;
        make_frames(data + 1, size - 1, &wire);
        check(kc_h2_new(&o, &cbs, &goaways, &h) == 0);
        open_streams(h, x);
        r = output(h);
        size_t piece = data[0] ? data[0] : wire.len;
        for (size_t at = 0; r == 0 && at < wire.len; at += piece) {
                r = kc_h2_input(h, wire.data + at, KC_MIN(piece, wire.len - at), NULL);
                if (r == 0)
                        r = output(h);
                if (r == 0 && x[3].s.h2 && is_waiting) {
                        x[3].sent++;
                        kc_h2_resume(&x[3].s);
                }
        }
        check(r == 0 || r == -EPROTO || r == -ECONNRESET);
        kc_h2_free(h);
        kc_buf_done(&wire);
        return 0;
}
