/* Any bytes as an HTTP/1.1 response, and as a proxy's answer: read whole, byte by byte and in pieces, they mean the
 * same. The first byte says what the request was. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "http/h1_response.h"
#include "net/proxy.h"

enum { MAX_HEAD = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
        if (!ok)
                abort();
}

struct outcome {
        int error, code;
        bool keep_alive;
        size_t used;
        char *fields;
        struct kc_buf body;
};

static void read_response(const char *data, size_t size, size_t piece_max, uint8_t flags, struct outcome *o)
{
        struct http_h1_response r = {.max_head = MAX_HEAD, .is_head = flags & 1, .may_switch = flags & 2};
        struct kc_error err = KC_ERROR_INIT;
        enum http_h1_event event = HTTP_H1_MORE;
        memset(o, 0, sizeof(*o));
        while (event != HTTP_H1_END) {
                size_t used, piece_len, part = KC_MIN(piece_max, size - o->used);
                const char *piece;
                o->error = http_h1_response_step(&r, data + o->used, part, &used, &event, &piece, &piece_len, &err);
                if (o->error < 0)
                        break;
                check(used <= part);
                o->used += used;
                if (event == HTTP_H1_HEAD) {
                        check(r.code >= 200 || (r.code == 101 && r.may_switch));
                        check(!o->fields);
                        o->fields = r.headers ? kc_strv_join(r.headers, "\n") : kc_strdup("");
                        o->code = r.code;
                        if (r.code == 101)
                                break;
                } else if (event == HTTP_H1_BODY) {
                        check(o->fields && piece_len > 0 && piece >= data && piece + piece_len <= data + size);
                        kc_buf_add(&o->body, piece, piece_len);
                } else if (event == HTTP_H1_MORE && o->used == size) {
                        o->error = http_h1_response_eof(&r, &err);
                        break;
                }
        }
        o->keep_alive = o->error == 0 && r.keep_alive;
        kc_error_done(&err);
        http_h1_response_done(&r);
}

static void compare(struct outcome *a, struct outcome *b)
{
        check(a->error == b->error && a->code == b->code && a->keep_alive == b->keep_alive);
        check(kc_streq(a->fields, b->fields));
        if (a->error == 0) {
                check(a->used == b->used && a->body.len == b->body.len);
                check(memcmp(kc_buf_str(&a->body), kc_buf_str(&b->body), a->body.len) == 0);
        }
}

static void outcome_done(struct outcome *o)
{
        kc_free(o->fields);
        kc_buf_done(&o->body);
}

static void ask_proxy(const char *data, size_t size, enum kc_proxy_kind kind)
{
        char host[] = "host", port[] = "80", user[] = "u", password[] = "p";
        const struct kc_proxy p = {.kind = kind, .host = host, .port = port, .user = user, .password = password};
        struct net_proxy_hello h = {.proxy = &p, .host = "10.0.0.1", .port = "443"};
        struct kc_buf out = KC_BUF_INIT;
        bool done = false;
        check(net_proxy_begin(&h, &out, NULL) == 0);
        for (size_t i = 0; i < size && !done; i++)
                if (net_proxy_input(&h, data + i, 1, &out, &done, NULL) < 0)
                        break;
        kc_buf_done(&out);
        net_proxy_done(&h);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (size == 0)
                return 0;
        const char *text = (const char *)data + 1;
        struct outcome whole, bytes, pieces;
        read_response(text, size - 1, SIZE_MAX, data[0], &whole);
        read_response(text, size - 1, 1, data[0], &bytes);
        read_response(text, size - 1, (size_t)(data[0] >> 2) + 1, data[0], &pieces);
        compare(&whole, &bytes);
        compare(&whole, &pieces);
        outcome_done(&whole);
        outcome_done(&bytes);
        outcome_done(&pieces);
        ask_proxy(text, size - 1, KC_PROXY_HTTP);
        ask_proxy(text, size - 1, KC_PROXY_SOCKS5);
        return 0;
}
