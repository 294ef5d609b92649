/* SPDY/3.1: two sessions talking to each other, limits, and what breaks the protocol. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "stream/spdy.h"

struct peer {
        struct kc_spdy *s;
        struct kc_buf log; /* "stream 1 a=b fin\n" */
};

static void log_headers(struct kc_buf *b, const char *what, uint32_t id, char *const *headers, bool fin)
{
        kc_buf_addf(b, "%s %u", what, id);
        for (size_t i = 0; headers && headers[i]; i += 2)
                kc_buf_addf(b, " %s=%s", headers[i], headers[i + 1]);
        kc_buf_adds(b, fin ? " fin\n" : "\n");
}

static int on_stream(uint32_t id, char *const *headers, bool fin, void *arg)
{
        log_headers(&((struct peer *)arg)->log, "stream", id, headers, fin);
        return 0;
}

static int on_reply(uint32_t id, char *const *headers, bool fin, void *arg)
{
        log_headers(&((struct peer *)arg)->log, "reply", id, headers, fin);
        return 0;
}

static int on_headers(uint32_t id, char *const *headers, bool fin, void *arg)
{
        log_headers(&((struct peer *)arg)->log, "headers", id, headers, fin);
        return 0;
}

static int on_data(uint32_t id, const char *data, size_t len, bool fin, void *arg)
{
        kc_buf_addf(&((struct peer *)arg)->log, "data %u %.*s%s\n", id, (int)len, data, fin ? " fin" : "");
        return 0;
}

static int on_reset(uint32_t id, uint32_t status, void *arg)
{
        kc_buf_addf(&((struct peer *)arg)->log, "reset %u %u\n", id, status);
        return 0;
}

static int on_pong(uint32_t id, void *arg)
{
        kc_buf_addf(&((struct peer *)arg)->log, "pong %u\n", id);
        return 0;
}

static int on_goaway(uint32_t last_good, uint32_t status, void *arg)
{
        kc_buf_addf(&((struct peer *)arg)->log, "goaway %u %u\n", last_good, status);
        return 0;
}

static const struct kc_spdy_cbs cbs = {on_stream, on_reply, on_headers, on_data, on_reset, on_pong, on_goaway};

static void peer_init(struct peer *p, bool server, bool windows)
{
        *p = (struct peer){0};
        p->s = kc_spdy_new(server, windows, &cbs, p);
}

static void peer_done(struct peer *p)
{
        kc_spdy_free(p->s);
        kc_buf_done(&p->log);
}

/* Everything that from has to say, in pieces of cut bytes. */
static int deliver(struct peer *from, struct peer *to, size_t cut)
{
        struct kc_buf *out = kc_spdy_out(from->s);
        int r = 0;
        for (size_t at = 0; r == 0 && at < out->len; at += cut)
                r = kc_spdy_feed(to->s, out->data + at, KC_MIN(cut, out->len - at));
        kc_buf_reset(out);
        return r;
}

static const char *log_of(struct peer *p)
{
        static char text[4096];
        strncpy(text, kc_buf_str(&p->log), sizeof(text) - 1);
        kc_buf_reset(&p->log);
        return text;
}

static char *const hello[] = {(char *)"StreamType", (char *)"stdin", (char *)"port", (char *)"80", NULL};
static char *const none[] = {NULL};

static void test_a_conversation(void **state)
{
        (void)state;
        static const size_t cuts[] = {1, 3, 8, 100000};
        for (size_t k = 0; k < sizeof(cuts) / sizeof(cuts[0]); k++) {
                struct peer c, s;
                peer_init(&c, false, false);
                peer_init(&s, true, false);
                assert_int_equal(kc_spdy_open(c.s, hello, false), 1);
                assert_int_equal(kc_spdy_open(c.s, hello, true), 3);
                assert_int_equal(kc_spdy_data(c.s, 1, "abc", 3, false), 0);
                assert_int_equal(kc_spdy_data(c.s, 3, "abc", 3, false), -EPIPE);
                assert_int_equal(deliver(&c, &s, cuts[k]), 0);
                if (cuts[k] >= 8)
                        assert_string_equal(kc_buf_str(&s.log),
                            "stream 1 streamtype=stdin port=80\nstream 3 streamtype=stdin port=80 fin\ndata 1 abc\n");
                if (cuts[k] == 1)
                        assert_string_equal(kc_buf_str(&s.log),
                            "stream 1 streamtype=stdin port=80\nstream 3 streamtype=stdin port=80 fin\n"
                            "data 1 a\ndata 1 b\ndata 1 c\n");
                kc_buf_reset(&s.log);
                assert_int_equal(kc_spdy_reply(s.s, 1, none, false), 0);
                assert_int_equal(kc_spdy_reply(s.s, 3, hello, true), 0);
                assert_int_equal(kc_spdy_streams(s.s), 1);
                assert_int_equal(kc_spdy_data(s.s, 1, NULL, 0, true), 0);
                assert_int_equal(kc_spdy_open(s.s, hello, false), 2);
                assert_int_equal(deliver(&s, &c, cuts[k]), 0);
                assert_string_equal(log_of(&c),
                    "reply 1\nreply 3 streamtype=stdin port=80 fin\ndata 1  fin\nstream 2 streamtype=stdin port=80\n");
                assert_int_equal(kc_spdy_streams(c.s), 2); /* ours of 1 is open, and 2 */
                assert_int_equal(kc_spdy_data(c.s, 1, "x", 1, true), 0);
                assert_int_equal(kc_spdy_reset(c.s, 2, KC_SPDY_CANCEL), 0);
                assert_int_equal(kc_spdy_streams(c.s), 0);
                assert_int_equal(kc_spdy_data(c.s, 1, "x", 1, true), -ENOENT);
                assert_int_equal(deliver(&c, &s, cuts[k]), 0);
                assert_non_null(strstr(log_of(&s), "reset 2 5\n"));
                assert_int_equal(kc_spdy_streams(s.s), 0);
                peer_done(&c);
                peer_done(&s);
        }
}

static void test_header_blocks_are_one_zlib_stream(void **state)
{
        (void)state;
        struct peer c, s;
        peer_init(&c, false, false);
        peer_init(&s, true, false);
        size_t first = 0;
        for (int i = 0; i < 50; i++) {
                kc_spdy_open(c.s, hello, true);
                if (i == 0)
                        first = kc_spdy_out(c.s)->len;
        }
        assert_true(kc_spdy_out(c.s)->len < 50 * first);
        assert_int_equal(deliver(&c, &s, 1000), 0);
        assert_non_null(strstr(kc_buf_str(&s.log), "stream 99 streamtype=stdin port=80 fin\n"));
        peer_done(&c);
        peer_done(&s);
}

static void test_ping_and_goaway(void **state)
{
        (void)state;
        struct peer c, s;
        peer_init(&c, false, false);
        peer_init(&s, true, false);
        kc_spdy_ping(c.s);
        kc_spdy_ping(s.s);
        assert_int_equal(deliver(&c, &s, 5), 0);
        assert_int_equal(deliver(&s, &c, 5), 0);
        assert_string_equal(log_of(&c), "pong 1\n");
        assert_int_equal(deliver(&c, &s, 5), 0);
        assert_string_equal(log_of(&s), "pong 2\n");
        assert_int_equal(kc_spdy_open(c.s, hello, false), 1);
        assert_int_equal(deliver(&c, &s, 5), 0);
        (void)log_of(&s);
        kc_spdy_goaway(s.s, KC_SPDY_GOAWAY_OK);
        assert_int_equal(deliver(&s, &c, 5), 0);
        assert_string_equal(log_of(&c), "goaway 1 0\n");
        assert_int_equal(kc_spdy_open(c.s, hello, false), 0);
        peer_done(&c);
        peer_done(&s);
}

static void test_streams_after_goaway_are_refused(void **state)
{
        (void)state;
        struct peer c, s;
        peer_init(&c, false, false);
        peer_init(&s, true, false);
        kc_spdy_goaway(s.s, KC_SPDY_GOAWAY_OK);
        kc_spdy_open(c.s, hello, false);
        assert_int_equal(deliver(&c, &s, 100), 0);
        assert_string_equal(log_of(&s), "");
        assert_int_equal(deliver(&s, &c, 100), 0);
        assert_string_equal(log_of(&c), "goaway 0 0\nreset 1 3\n");
        peer_done(&c);
        peer_done(&s);
}

static void test_limit_of_streams(void **state)
{
        (void)state;
        struct peer c;
        peer_init(&c, false, false);
        size_t n = 0;
        while (kc_spdy_open(c.s, hello, false))
                n++;
        assert_int_equal(n, 2048);
        peer_done(&c);
}

static size_t window_updates(const struct kc_buf *b)
{
        size_t n = 0;
        for (size_t i = 0; i + 16 <= b->len; i += 16)
                n += memcmp(b->data + i, "\x80\x03\x00\x09\x00\x00\x00\x08", 8) == 0;
        return n;
}

static void test_windows(void **state)
{
        (void)state;
        static char block[40000];
        for (int windows = 0; windows < 2; windows++) {
                struct peer c, s;
                peer_init(&c, false, windows);
                peer_init(&s, true, windows);
                kc_spdy_open(c.s, hello, false);
                memset(block, 'x', sizeof(block));
                kc_spdy_data(c.s, 1, block, sizeof(block), false);
                assert_int_equal(deliver(&c, &s, 100000), 0);
                assert_int_equal(window_updates(kc_spdy_out(s.s)), windows ? 2 : 0); /* of the stream and the session */
                assert_int_equal(deliver(&s, &c, 3), 0);
                peer_done(&c);
                peer_done(&s);
        }
}

#define BROKEN(bytes)                                                                                                  \
        do {                                                                                                           \
                struct peer p_;                                                                                        \
                peer_init(&p_, true, false);                                                                           \
                assert_int_equal(kc_spdy_feed(p_.s, bytes, sizeof(bytes) - 1), -EPROTO);                               \
                assert_int_equal(kc_spdy_feed(p_.s, bytes, sizeof(bytes) - 1), -EPROTO);                               \
                assert_memory_equal(kc_spdy_out(p_.s)->data, "\x80\x03\x00\x07\x00\x00\x00\x08", 8);                   \
                peer_done(&p_);                                                                                        \
        } while (0)

static void test_protocol_errors(void **state)
{
        (void)state;
        BROKEN("\x80\x02\x00\x06\x00\x00\x00\x04\x00\x00\x00\x01");     /* version 2 */
        BROKEN("\x80\x03\x00\x06\x00\x00\x00\x03\x00\x00\x01");         /* short ping */
        BROKEN("\x80\x03\x00\x03\x00\x00\x00\x04\x00\x00\x00\x01");     /* short reset */
        BROKEN("\x80\x03\x00\x07\x00\x00\x00\x04\x00\x00\x00\x01");     /* short goaway */
        BROKEN("\x80\x03\x00\x09\x00\x00\x00\x04\x00\x00\x00\x01");     /* short window update */
        BROKEN("\x80\x03\x00\x04\x00\x00\x00\x04\x00\x00\x00\x01");     /* settings that are not there */
        BROKEN("\x80\x03\x00\x01\x00\x00\x00\x04\x00\x00\x00\x01");     /* short syn_stream */
        BROKEN("\x80\x03\x00\x02\x00\x00\x00\x08\x00\x00\x00\x01garb"); /* header block that is no zlib */
        BROKEN("\x80\x03\x00\x06\x00\xff\xff\xff");                     /* too long a control frame */
        BROKEN("\x00\x00\x00\x00\x00\x00\x00\x01x");                    /* data of stream 0 */
}

static void test_unknown_frames_and_streams(void **state)
{
        (void)state;
        struct peer s;
        peer_init(&s, true, false);
        static const char unknown[] = "\x80\x03\x00\x63\x00\x00\x00\x02zz";
        assert_int_equal(kc_spdy_feed(s.s, unknown, sizeof(unknown) - 1), 0);
        static const char settings[] =
            "\x80\x03\x00\x04\x00\x00\x00\x0c\x00\x00\x00\x01\x00\x00\x00\x04\x00\x00\x00\x64";
        assert_int_equal(kc_spdy_feed(s.s, settings, sizeof(settings) - 1), 0);
        static const char data[] = "\x00\x00\x00\x05\x00\x00\x00\x01x";
        assert_int_equal(kc_spdy_feed(s.s, data, sizeof(data) - 1), 0);
        assert_memory_equal(
            kc_spdy_out(s.s)->data, "\x80\x03\x00\x03\x00\x00\x00\x08\x00\x00\x00\x05\x00\x00\x00\x02", 16);
        assert_string_equal(log_of(&s), "");
        peer_done(&s);
}

/* Streams of the peer count up and have its parity. */
static void test_numbers_of_streams(void **state)
{
        (void)state;
        struct peer c, other, s;
        peer_init(&c, false, false);
        peer_init(&other, true, false);
        peer_init(&s, true, false);
        kc_spdy_open(other.s, hello, false); /* 2, as a server would */
        assert_int_equal(deliver(&other, &s, 100), -EPROTO);
        peer_done(&s);
        peer_init(&s, true, false);
        kc_spdy_open(c.s, hello, false);
        struct kc_buf again = KC_BUF_INIT;
        kc_buf_add(&again, kc_spdy_out(c.s)->data, 18);
        assert_int_equal(deliver(&c, &s, 100), 0);
        kc_spdy_open(c.s, hello, false);
        memcpy(kc_spdy_out(c.s)->data + 8, again.data + 8, 4); /* 1 again */
        assert_int_equal(deliver(&c, &s, 100), -EPROTO);
        kc_buf_done(&again);
        peer_done(&c);
        peer_done(&other);
        peer_done(&s);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_a_conversation),
            cmocka_unit_test(test_header_blocks_are_one_zlib_stream),
            cmocka_unit_test(test_ping_and_goaway),
            cmocka_unit_test(test_streams_after_goaway_are_refused),
            cmocka_unit_test(test_limit_of_streams),
            cmocka_unit_test(test_windows),
            cmocka_unit_test(test_protocol_errors),
            cmocka_unit_test(test_unknown_frames_and_streams),
            cmocka_unit_test(test_numbers_of_streams),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
