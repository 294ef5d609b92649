/* Any bytes as what a WebSocket peer and a SPDY backend send, cut anywhere: cores and filters neither crash nor grow
 * beyond what they were given. The first byte says who is meant and how the rest is cut. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "stream/filter.h"
#include "stream/websocket.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
        if (!ok)
                abort();
}

struct seen {
        size_t bytes;
        bool open;
};

static int on_data(enum kc_ws_opcode op, const char *data, size_t len, bool first, bool last, void *arg)
{
        struct seen *s = arg;
        (void)data;
        check(op == KC_WS_TEXT || op == KC_WS_BINARY);
        check(first != s->open);
        s->open = !last;
        s->bytes += len;
        return 0;
}

static const struct kc_ws_cbs cbs = {.on_data = on_data};

static void feed_core(bool client, const char *data, size_t size, size_t cut)
{
        struct seen seen = {0};
        struct kc_buf out = KC_BUF_INIT;
        struct kc_ws *ws = kc_ws_new(client, &cbs, &seen);
        for (size_t at = 0; at < size; at += cut)
                (void)kc_ws_feed(ws, data + at, KC_MIN(cut, size - at), &out);
        check(seen.bytes <= size);
        check(out.len <= 8 * size + 200);
        kc_ws_free(ws);
        kc_buf_done(&out);
}

static void feed_filter(struct kc_filter *f, const char *data, size_t size, size_t cut, bool backend_first)
{
        kc_filter_open(f);
        for (size_t at = 0; at < size; at += cut) {
                size_t n = KC_MIN(cut, size - at);
                (void)(((at / cut) & 1) == backend_first ? kc_filter_client(f, data + at, n)
                                                         : kc_filter_backend(f, data + at, n));
        }
        kc_filter_backend_gone(f, NULL);
        kc_filter_free(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (size < 2)
                return 0;
        size_t cut = (size_t)data[1] + 1;
        const char *rest = (const char *)data + 2;
        const struct kc_remote_streams streams = {
            .in = true, .out = true, .err = (data[0] & 4) != 0, .tty = (data[0] & 8) != 0};
        switch (data[0] & 3) {
        case 0:
        case 1:
                feed_core(data[0] & 1, rest, size - 2, cut);
                break;
        case 2:
                feed_filter(kc_filter_remote_command(&streams), rest, size - 2, cut, (data[0] & 16) != 0);
                break;
        default:
                feed_filter(kc_filter_tunnel(), rest, size - 2, cut, (data[0] & 16) != 0);
        }
        return 0;
}
