/* WebSocket frames and handshake: RFC 6455's own examples, every limit, any cutting of the input. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "stream/websocket.h"

struct seen {
        struct kc_buf text;
        int messages, pieces, pongs, stop_with;
        enum kc_ws_opcode op;
};

static int on_data(enum kc_ws_opcode op, const char *data, size_t len, bool first, bool last, void *arg)
{
        struct seen *s = arg;
        if (first)
                s->op = op;
        assert_int_equal(s->op, op);
        kc_buf_add(&s->text, data, len);
        s->pieces++;
        s->messages += last;
        return s->stop_with;
}

static void on_pong(const char *data, size_t len, void *arg)
{
        struct seen *s = arg;
        kc_buf_add(&s->text, data, len);
        s->pongs++;
}

static const struct kc_ws_cbs cbs = {on_data, on_pong};

struct peer {
        struct seen seen;
        struct kc_buf out;
        struct kc_ws *ws;
};

static void peer_init(struct peer *p, bool client)
{
        *p = (struct peer){0};
        p->ws = kc_ws_new(client, &cbs, &p->seen);
}

static void peer_done(struct peer *p)
{
        kc_ws_free(p->ws);
        kc_buf_done(&p->out);
        kc_buf_done(&p->seen.text);
}

#define FEED(p, bytes) kc_ws_feed((p)->ws, bytes, sizeof(bytes) - 1, &(p)->out)

static void test_examples_of_the_rfc(void **state)
{
        (void)state;
        struct peer c, s;
        peer_init(&c, true);
        assert_int_equal(FEED(&c, "\x81\x05\x48\x65\x6c\x6c\x6f"), 0);
        assert_string_equal(kc_buf_str(&c.seen.text), "Hello");
        assert_int_equal(c.seen.op, KC_WS_TEXT);
        assert_int_equal(FEED(&c, "\x01\x03\x48\x65\x6c\x80\x02\x6c\x6f"), 0);
        assert_string_equal(kc_buf_str(&c.seen.text), "HelloHello");
        assert_int_equal(c.seen.messages, 2);
        peer_done(&c);
        peer_init(&s, false);
        assert_int_equal(FEED(&s, "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), 0);
        assert_string_equal(kc_buf_str(&s.seen.text), "Hello");
        /* A masked ping is answered with an unmasked pong. */
        assert_int_equal(FEED(&s, "\x89\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), 0);
        assert_int_equal(s.out.len, 7);
        assert_memory_equal(s.out.data, "\x8a\x05Hello", 7);
        peer_done(&s);
}

/* Whole messages of sizes around every length encoding, cut into pieces of every size. */
static void test_round_trip_in_pieces(void **state)
{
        (void)state;
        static const size_t sizes[] = {0, 1, 125, 126, 127, 4000, 65535, 65536, 70001};
        static const size_t cuts[] = {1, 2, 3, 7, 1000, 1000000};
        for (int client = 0; client < 2; client++)
                for (size_t k = 0; k < sizeof(cuts) / sizeof(cuts[0]); k++) {
                        struct peer from, to;
                        peer_init(&from, client);
                        peer_init(&to, !client);
                        struct kc_buf all = KC_BUF_INIT;
                        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
                                struct kc_buf m = KC_BUF_INIT;
                                for (size_t b = 0; b < sizes[i]; b++)
                                        kc_buf_addc(&m, (char)(b * 31 + i));
                                kc_ws_send(from.ws, KC_WS_BINARY, "#", 1, kc_buf_str(&m), m.len, &from.out);
                                kc_buf_addc(&all, '#');
                                kc_buf_add(&all, kc_buf_str(&m), m.len);
                                kc_buf_done(&m);
                        }
                        for (size_t at = 0; at < from.out.len; at += cuts[k])
                                assert_int_equal(
                                    kc_ws_feed(to.ws, from.out.data + at, KC_MIN(cuts[k], from.out.len - at), &to.out),
                                    0);
                        assert_int_equal(to.seen.messages, 9);
                        assert_int_equal(to.seen.text.len, all.len);
                        assert_memory_equal(to.seen.text.data, all.data, all.len);
                        kc_buf_done(&all);
                        peer_done(&from);
                        peer_done(&to);
                }
}

static void test_empty_messages_come(void **state)
{
        (void)state;
        struct peer c;
        peer_init(&c, true);
        assert_int_equal(FEED(&c, "\x82\x00"), 0);
        assert_int_equal(c.seen.messages, 1);
        assert_int_equal(FEED(&c, "\x02\x00\x00\x00\x80\x00"), 0);
        assert_int_equal(c.seen.messages, 2);
        peer_done(&c);
}

static void test_control_frames_inside_a_message(void **state)
{
        (void)state;
        struct peer c;
        peer_init(&c, true);
        assert_int_equal(FEED(&c, "\x02\x01"
                                  "a"
                                  "\x8a\x02"
                                  "PO"
                                  "\x80\x01"
                                  "b"),
            0);
        assert_string_equal(kc_buf_str(&c.seen.text), "aPOb");
        assert_int_equal(c.seen.pongs, 1);
        assert_int_equal(c.seen.messages, 1);
        peer_done(&c);
}

static void test_close(void **state)
{
        (void)state;
        struct peer c;
        peer_init(&c, true);
        assert_int_equal(FEED(&c, "\x88\x05\x03\xe9"
                                  "bye"),
            1);
        assert_int_equal(kc_ws_peer_close(c.ws), KC_WS_CLOSE_GOING_AWAY);
        assert_int_equal((uint8_t)c.out.data[0], 0x88);
        size_t len = c.out.len;
        kc_ws_send(c.ws, KC_WS_BINARY, NULL, 0, "x", 1, &c.out);
        assert_int_equal(c.out.len, len); /* nothing after a close */
        assert_int_equal(FEED(&c, "\x82\x01x"), 1);
        assert_int_equal(c.seen.messages, 0);
        peer_done(&c);
        peer_init(&c, false);
        assert_int_equal(FEED(&c, "\x88\x80\0\0\0\0"), 1);
        assert_int_equal(kc_ws_peer_close(c.ws), KC_WS_CLOSE_NO_STATUS);
        assert_int_equal(c.out.len, 2);
        assert_memory_equal(c.out.data, "\x88\x00", 2);
        peer_done(&c);
        peer_init(&c, false);
        kc_ws_close(c.ws, KC_WS_CLOSE_NORMAL, "done", &c.out);
        kc_ws_close(c.ws, KC_WS_CLOSE_PROTOCOL, "again", &c.out);
        assert_int_equal(c.out.len, 8);
        assert_memory_equal(c.out.data,
            "\x88\x06\x03\xe8"
            "done",
            8);
        peer_done(&c);
}

#define BROKEN(client, bytes)                                                                                          \
        do {                                                                                                           \
                struct peer p_;                                                                                        \
                peer_init(&p_, client);                                                                                \
                assert_int_equal(FEED(&p_, bytes), -EPROTO);                                                           \
                assert_true(p_.out.len >= 4 && (uint8_t)p_.out.data[0] == 0x88);                                       \
                assert_int_equal(FEED(&p_, "\x82\x00"), 1);                                                            \
                peer_done(&p_);                                                                                        \
        } while (0)

static void test_protocol_errors(void **state)
{
        (void)state;
        BROKEN(true, "\x82\x85\x37\xfa\x21\x3d");                 /* masked by a server */
        BROKEN(false, "\x82\x01x");                               /* not masked by a client */
        BROKEN(true, "\xc2\x01x");                                /* reserved bit */
        BROKEN(true, "\x83\x01x");                                /* opcode */
        BROKEN(true, "\x8b\x01x");                                /* control opcode */
        BROKEN(true, "\x09\x01x");                                /* fragmented ping */
        BROKEN(true, "\x89\x7e\x00\x7e");                         /* ping of 126 bytes */
        BROKEN(true, "\x80\x01x");                                /* continues nothing */
        BROKEN(true, "\x02\x01x\x82\x01y");                       /* message in a message */
        BROKEN(true, "\x82\x7f\x80\x00\x00\x00\x00\x00\x00\x00"); /* length with the top bit */
        BROKEN(true, "\x88\x01\x03");                             /* half a close code */
        BROKEN(true, "\x88\x02\x03\xed");                         /* 1005 */
        BROKEN(true, "\x88\x02\x00\x01");
}

static void test_a_callback_can_stop(void **state)
{
        (void)state;
        struct peer c;
        peer_init(&c, true);
        c.seen.stop_with = 7;
        assert_int_equal(FEED(&c, "\x82\x01x\x82\x01y"), 7);
        assert_string_equal(kc_buf_str(&c.seen.text), "x");
        peer_done(&c);
}

static void test_handshake(void **state)
{
        (void)state;
        char accept[KC_WS_ACCEPT_LEN], key[KC_WS_KEY_LEN];
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        assert_string_equal(kc_ws_accept("dGhlIHNhbXBsZSBub25jZQ==", accept), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_int_equal(strlen(kc_ws_key(key)), 24);
        assert_true(kc_ws_is_request("WebSocket", "keep-alive, Upgrade"));
        assert_false(kc_ws_is_request("SPDY/3.1", "Upgrade"));
        assert_false(kc_ws_is_request("websocket", "keep-alive"));
        assert_false(kc_ws_is_request(NULL, NULL));
        assert_int_equal(kc_ws_check_request("GET", "13", "dGhlIHNhbXBsZSBub25jZQ==", &err), 0);
        assert_true(kc_ws_check_request("POST", "13", "dGhlIHNhbXBsZSBub25jZQ==", &err) < 0);
        assert_int_equal(err.code, 400);
        assert_true(kc_ws_check_request("GET", "8", "dGhlIHNhbXBsZSBub25jZQ==", &err) < 0);
        assert_int_equal(err.code, 426);
        assert_true(kc_ws_check_request("GET", "13", "c2hvcnQ=", &err) < 0);
        assert_true(kc_ws_check_request("GET", "13", NULL, &err) < 0);
        assert_true(kc_http_list_has("a , B,c", "b"));
        assert_false(kc_http_list_has("ab, bc", "b"));
        assert_false(kc_http_list_has("", ""));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_examples_of_the_rfc),
            cmocka_unit_test(test_round_trip_in_pieces),
            cmocka_unit_test(test_empty_messages_come),
            cmocka_unit_test(test_control_frames_inside_a_message),
            cmocka_unit_test(test_close),
            cmocka_unit_test(test_protocol_errors),
            cmocka_unit_test(test_a_callback_can_stop),
            cmocka_unit_test(test_handshake),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
