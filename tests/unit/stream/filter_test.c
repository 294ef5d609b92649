/* Remote commands and port-forward tunnels, between a WebSocket client and a SPDY server of the same cores. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "stream/filter.h"
#include "stream/spdy.h"
#include "stream/websocket.h"

struct world {
        struct kc_filter *f;
        struct kc_ws *client;
        struct kc_spdy *server;
        struct kc_buf to_server, from_client; /* what the ends have seen */
        uint32_t ids[8];
        size_t n_ids;
};

static int client_data(enum kc_ws_opcode op, const char *data, size_t len, bool first, bool last, void *arg)
{
        struct world *w = arg;
        assert_int_equal(op, KC_WS_BINARY);
        if (first && len > 0) {
                kc_buf_addf(&w->from_client, "%d:", data[0]);
                data++;
                len--;
        }
        kc_buf_addf(&w->from_client, "%.*s%s", (int)len, data, last ? "\n" : "");
        return 0;
}

static int server_stream(uint32_t id, char *const *headers, bool fin, void *arg)
{
        struct world *w = arg;
        w->ids[w->n_ids++] = id;
        kc_buf_addf(&w->to_server, "%s%s\n", kc_spdy_header(headers, "streamType"), fin ? " fin" : "");
        return 0;
}

static int server_data(uint32_t id, const char *data, size_t len, bool fin, void *arg)
{
        struct world *w = arg;
        kc_buf_addf(&w->to_server, "%u:%.*s%s\n", id, (int)len, data, fin ? " fin" : "");
        return 0;
}

static const struct kc_ws_cbs ws_cbs = {.on_data = client_data};
static const struct kc_spdy_cbs spdy_cbs = {.on_stream = server_stream, .on_data = server_data};

static void world_init(struct world *w, const struct kc_remote_streams *streams)
{
        *w = (struct world){0};
        w->f = kc_filter_remote_command(streams);
        w->client = kc_ws_new(true, &ws_cbs, w);
        w->server = kc_spdy_new(true, false, &spdy_cbs, w);
}

static void world_done(struct world *w)
{
        kc_filter_free(w->f);
        kc_ws_free(w->client);
        kc_spdy_free(w->server);
        kc_buf_done(&w->to_server);
        kc_buf_done(&w->from_client);
}

/* Delivers what the filter has for both ends; the client's result. */
static int settle(struct world *w)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf out = KC_BUF_INIT;
        struct kc_buf *b = kc_filter_to_backend(w->f), *c = kc_filter_to_client(w->f);
        assert_int_equal(kc_spdy_feed(w->server, kc_buf_str(b), b->len), 0);
        int r = kc_ws_feed(w->client, kc_buf_str(c), c->len, &out);
        kc_buf_reset(b);
        kc_buf_reset(c);
        return r;
}

static int client_says(struct world *w, const char *data, size_t len)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf out = KC_BUF_INIT;
        kc_ws_send(w->client, KC_WS_BINARY, NULL, 0, data, len, &out);
        return kc_filter_client(w->f, out.data, out.len);
}

static int server_says(struct world *w)
{
        struct kc_buf *out = kc_spdy_out(w->server);
        int r = kc_filter_backend(w->f, kc_buf_str(out), out->len);
        kc_buf_reset(out);
        return r;
}

static const char *take(struct kc_buf *b)
{
        static char text[2048];
        strncpy(text, kc_buf_str(b), sizeof(text) - 1);
        kc_buf_reset(b);
        return text;
}

static const struct kc_remote_streams all = {.in = true, .out = true, .err = true};

static void test_a_command(void **state)
{
        (void)state;
        struct world w;
        world_init(&w, &all);
        kc_filter_open(w.f);
        settle(&w);
        assert_string_equal(take(&w.to_server), "error\nstdin\nstdout\nstderr\n");
        assert_int_equal(client_says(&w, "\0hello", 6), 0);
        assert_int_equal(client_says(&w, "\0", 1), 0);
        assert_int_equal(client_says(&w, "", 0), 0);
        assert_int_equal(client_says(&w, "\1not yours", 10), 0);
        assert_int_equal(client_says(&w, "\x63?", 2), 0);
        assert_int_equal(client_says(&w, "\4{}", 3), 0); /* no terminal */
        assert_int_equal(client_says(&w, "\xff\0", 2), 0);
        assert_int_equal(client_says(&w, "\0late", 5), 0);
        settle(&w);
        assert_string_equal(take(&w.to_server), "3:hello\n3: fin\n");
        kc_spdy_data(w.server, w.ids[2], "out", 3, false);
        kc_spdy_data(w.server, w.ids[3], "err", 3, false);
        assert_int_equal(server_says(&w), 0);
        settle(&w);
        assert_string_equal(take(&w.from_client), "1:out\n2:err\n");
        kc_spdy_data(w.server, w.ids[0], "{\"status\":", 10, false);
        kc_spdy_data(w.server, w.ids[0], "\"Failure\"}", 10, true);
        kc_spdy_data(w.server, w.ids[2], "last", 4, true);
        assert_int_equal(server_says(&w), 0);
        kc_spdy_reset(w.server, w.ids[3], KC_SPDY_CANCEL);
        assert_int_equal(server_says(&w), 1);
        assert_int_equal(settle(&w), 1);
        assert_string_equal(take(&w.from_client), "1:last\n3:{\"status\":\"Failure\"}\n");
        assert_int_equal(kc_ws_peer_close(w.client), KC_WS_CLOSE_NORMAL);
        world_done(&w);
}

static void test_a_terminal(void **state)
{
        (void)state;
        struct world w;
        const struct kc_remote_streams tty = {.in = true, .out = true, .err = true, .tty = true};
        world_init(&w, &tty);
        kc_filter_open(w.f);
        settle(&w);
        assert_string_equal(take(&w.to_server), "error\nstdin\nstdout\nresize\n");
        client_says(&w, "\4{\"Width\":80,\"Height\":24}", 25);
        settle(&w);
        assert_string_equal(take(&w.to_server), "7:{\"Width\":80,\"Height\":24}\n7:\n\n");
        world_done(&w);
}

/* A message may come in fragments: its first byte is the channel of all of it. */
static void test_fragments(void **state)
{
        (void)state;
        struct world w;
        world_init(&w, &all);
        kc_filter_open(w.f);
        settle(&w);
        (void)take(&w.to_server);
        static const char frames[] = "\x02\x80\0\0\0\0"
                                     "\x00\x82\0\0\0\0"
                                     "\0a"
                                     "\x80\x82\0\0\0\0"
                                     "bc";
        for (size_t i = 0; i < sizeof(frames) - 1; i++)
                assert_int_equal(kc_filter_client(w.f, frames + i, 1), 0);
        settle(&w);
        assert_string_equal(take(&w.to_server), "3:a\n3:b\n3:c\n");
        world_done(&w);
}

static void test_success_without_words(void **state)
{
        (void)state;
        struct world w;
        const struct kc_remote_streams out = {.out = true};
        world_init(&w, &out);
        kc_filter_open(w.f);
        settle(&w);
        kc_spdy_data(w.server, w.ids[0], NULL, 0, true);
        kc_spdy_data(w.server, w.ids[1], NULL, 0, true);
        assert_int_equal(server_says(&w), 1);
        settle(&w);
        assert_string_equal(take(&w.from_client), "3:{\"metadata\":{},\"status\":\"Success\"}\n");
        world_done(&w);
}

static void test_the_backend_breaks_off(void **state)
{
        (void)state;
        struct world w;
        world_init(&w, &all);
        kc_filter_open(w.f);
        settle(&w);
        kc_filter_backend_gone(w.f, NULL);
        assert_int_equal(settle(&w), 1);
        assert_non_null(strstr(take(&w.from_client), "\"status\":\"Failure\""));
        assert_int_equal(client_says(&w, "\0x", 2), 1);
        world_done(&w);
        /* The status was there already: it counts. */
        world_init(&w, &all);
        kc_filter_open(w.f);
        settle(&w);
        kc_spdy_data(w.server, w.ids[0], "{}", 2, false);
        assert_int_equal(server_says(&w), 0);
        kc_filter_backend_gone(w.f, NULL);
        settle(&w);
        assert_string_equal(take(&w.from_client), "3:{}\n");
        world_done(&w);
        world_init(&w, &all);
        kc_filter_open(w.f);
        assert_int_equal(kc_filter_backend(w.f, "HTTP/1.1 200 OK\r\n\r\n", 19), 0);
        assert_int_equal(kc_filter_backend(w.f, "\x80\x02", 2), 0);
        world_done(&w);
}

static void test_refused(void **state)
{
        (void)state;
        struct world w;
        world_init(&w, &all);
        kc_filter_refuse(w.f, "{\"status\":\"Failure\"}");
        assert_int_equal(settle(&w), 1);
        assert_string_equal(take(&w.from_client), "3:{\"status\":\"Failure\"}\n");
        world_done(&w);
}

static void test_the_client_closes(void **state)
{
        (void)state;
        struct world w;
        KC_CLEANUP(kc_buf_done) struct kc_buf out = KC_BUF_INIT;
        world_init(&w, &all);
        kc_filter_open(w.f);
        settle(&w);
        kc_ws_close(w.client, KC_WS_CLOSE_NORMAL, NULL, &out);
        assert_int_equal(kc_filter_client(w.f, out.data, out.len), 1);
        world_done(&w);
}

static void test_tunnel(void **state)
{
        (void)state;
        struct world w = {0};
        KC_CLEANUP(kc_filter_freep) struct kc_filter *f = kc_filter_tunnel();
        KC_CLEANUP(kc_ws_freep) struct kc_ws *client = kc_ws_new(true, &ws_cbs, &w);
        KC_CLEANUP(kc_buf_done) struct kc_buf out = KC_BUF_INIT;
        kc_filter_open(f);
        kc_ws_send(client, KC_WS_BINARY, NULL, 0, "raw ", 4, &out);
        kc_ws_send(client, KC_WS_BINARY, NULL, 0, "bytes", 5, &out);
        assert_int_equal(kc_filter_client(f, out.data, out.len), 0);
        assert_string_equal(kc_buf_str(kc_filter_to_backend(f)), "raw bytes");
        assert_int_equal(kc_filter_backend(f, "\1back", 5), 0);
        kc_filter_backend_gone(f, NULL);
        kc_buf_reset(&out);
        assert_int_equal(kc_ws_feed(client, kc_filter_to_client(f)->data, kc_filter_to_client(f)->len, &out), 1);
        assert_string_equal(kc_buf_str(&w.from_client), "1:back\n");
        kc_buf_done(&w.from_client);
        KC_CLEANUP(kc_filter_freep) struct kc_filter *text = kc_filter_tunnel();
        KC_CLEANUP(kc_ws_freep) struct kc_ws *bad = kc_ws_new(true, &ws_cbs, &w);
        kc_buf_reset(&out);
        kc_ws_send(bad, KC_WS_TEXT, NULL, 0, "x", 1, &out);
        assert_int_equal(kc_filter_client(text, out.data, out.len), 1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_a_command),
            cmocka_unit_test(test_a_terminal),
            cmocka_unit_test(test_fragments),
            cmocka_unit_test(test_success_without_words),
            cmocka_unit_test(test_the_backend_breaks_off),
            cmocka_unit_test(test_refused),
            cmocka_unit_test(test_the_client_closes),
            cmocka_unit_test(test_tunnel),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
