/* HTTP/1.1 responses as the client reads them: every input whole and byte by byte. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/str.h"
#include "http/h1_response.h"

enum { MAX_HEAD = 300 };

struct outcome {
        int error; /* of a step, or of the end of input */
        int code;
        bool ended, keep_alive;
        size_t used;
        char *fields, *body, *message;
};

static void outcome_done(struct outcome *o)
{
        kc_free(o->fields);
        kc_free(o->body);
        kc_free(o->message);
}

static struct outcome read_all(const char *text, size_t len, size_t piece_max, bool is_head, bool may_switch)
{
        struct http_h1_response r = {.max_head = MAX_HEAD, .is_head = is_head, .may_switch = may_switch};
        struct outcome o = {0};
        struct kc_buf body = KC_BUF_INIT;
        struct kc_error err = KC_ERROR_INIT;
        size_t at = 0;
        while (!o.ended && o.error == 0) {
                size_t used, piece_len, part = KC_MIN(piece_max, len - at);
                const char *piece;
                enum http_h1_event event;
                o.error = http_h1_response_step(&r, text + at, part, &used, &event, &piece, &piece_len, &err);
                assert_true(used <= part);
                at += o.error ? 0 : used;
                if (o.error == 0 && event == HTTP_H1_HEAD) {
                        assert_null(o.fields);
                        o.fields = r.headers ? kc_strv_join(r.headers, "|") : kc_strdup("");
                        o.code = r.code;
                        if (o.code == 101)
                                break;
                } else if (o.error == 0 && event == HTTP_H1_BODY) {
                        assert_true(piece_len > 0);
                        kc_buf_add(&body, piece, piece_len);
                } else if (o.error == 0 && event == HTTP_H1_END) {
                        o.ended = true;
                } else if (o.error == 0 && at == len) {
                        o.error = http_h1_response_eof(&r, &err);
                        o.ended = o.error == 0;
                }
        }
        o.used = at;
        o.keep_alive = r.keep_alive;
        o.body = kc_buf_take_str(&body);
        o.message = kc_strdup(kc_error_message(&err));
        kc_error_done(&err);
        http_h1_response_done(&r);
        return o;
}

/* A good response; what is behind it ("NEXT") is left alone. */
static void good(const char *text, int code, const char *fields, const char *body, bool keep_alive)
{
        static const size_t pieces[] = {1, 2, 7, 100000};
        for (size_t i = 0; i < KC_ARRAY_LEN(pieces); i++) {
                struct outcome o = read_all(text, strlen(text), pieces[i], false, false);
                if (o.error)
                        fail_msg("%s", o.message);
                assert_int_equal(o.code, code);
                assert_string_equal(o.fields, fields);
                assert_string_equal(o.body, body);
                assert_true(o.ended);
                assert_int_equal(o.keep_alive, keep_alive);
                const char *rest = strstr(text, "NEXT");
                assert_int_equal(o.used, rest ? (size_t)(rest - text) : strlen(text));
                outcome_done(&o);
        }
}

static void bad_bytes(const char *text, size_t len, int error, const char *message)
{
        for (size_t piece = 1; piece <= 1000; piece *= 10) {
                struct outcome o = read_all(text, len, piece, false, false);
                assert_int_equal(o.error, -error);
                if (!strstr(o.message, message))
                        assert_string_equal(o.message, message);
                outcome_done(&o);
        }
}

static void bad(const char *text, int error, const char *message)
{
        bad_bytes(text, strlen(text), error, message);
}

static void test_lengths(void **state)
{
        (void)state;
        good("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloNEXT", 200, "content-length|5", "hello", true);
        good("HTTP/1.1 404\r\ncontent-length:0\r\n\r\nNEXT", 404, "content-length|0", "", true);
        good("HTTP/1.1 200 \r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nokNEXT", 200,
            "content-length|2|content-length|2", "ok", true);
        good("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nNEXT", 204, "content-length|5", "", true);
        good("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nNEXT", 304, "content-length|5", "", true);
        /* Lines may end with LF alone, and go on. */
        good("HTTP/1.1 200 OK\nA:  b \n c\nContent-Length: 1\n\nxNEXT", 200, "a|b c|content-length|1", "x", true);
}

static void test_keeping_the_connection(void **state)
{
        (void)state;
        good("HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 1\r\n\r\nxNEXT", 200,
            "connection|x, Close|content-length|1", "x", false);
        good("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nxNEXT", 200, "content-length|1", "x", false);
        good("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nxNEXT", 200,
            "connection|keep-alive|content-length|1", "x", true);
        /* Until the end. */
        good("HTTP/1.1 200 OK\r\n\r\nall of it", 200, "", "all of it", false);
        good(
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nall", 200, "transfer-encoding|chunked", "all", false);
}

static void test_chunks(void **state)
{
        (void)state;
        good("HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\nA;x=y\r\n, world..!\r\n0\r\nT: "
             "u\r\n\r\nNEXT",
            200, "transfer-encoding|Chunked", "hello, world..!", true);
        /* A length beside chunks means nothing, but the connection is not trusted any more. */
        good("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n1\r\nx\r\n0\r\n\r\nNEXT", 200,
            "transfer-encoding|chunked|content-length|3", "x", false);
#define CHUNKED "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        bad(CHUNKED "5\r\nhelloX\r\n", EBADMSG, "malformed chunked encoding");
        bad(CHUNKED "\r\n", EBADMSG, "malformed chunked encoding");
        bad(CHUNKED "-1\r\n", EBADMSG, "malformed chunked encoding");
        bad(CHUNKED "5\nhello\r\n", EBADMSG, "malformed chunked encoding");
        bad(CHUNKED "fffffffffffffffff\r\n", EBADMSG, "malformed chunked encoding");
        bad(CHUNKED "5\r\nhel", ECONNRESET, "unexpected EOF");
        bad(CHUNKED "5\r\nhello\r\n", ECONNRESET, "unexpected EOF");
        bad(CHUNKED "0\r\n", ECONNRESET, "unexpected EOF");
}

static void test_heads_that_are_none(void **state)
{
        (void)state;
#define BROKEN "net/http: HTTP/1.x transport connection broken: "
        bad("", ECONNRESET, "EOF");
        bad("SSH-2.0-OpenSSH\r\n", EPROTO, BROKEN "malformed HTTP response \"SSH-2.0-OpenSSH\"");
        bad("HTTP/2.0 200 OK\r\n\r\n", EPROTO, BROKEN "malformed HTTP response");
        bad("HTTP/1.1 20 OK\r\n\r\n", EPROTO, "malformed HTTP response");
        bad("HTTP/1.1 2000 OK\r\n\r\n", EPROTO, "malformed HTTP response");
        bad("HTTP/1.1 099 OK\r\n\r\n", EPROTO, "malformed HTTP response");
        bad("\r\nHTTP/1.1 200 OK\r\n\r\n", EPROTO, "malformed HTTP response");
        bad_bytes("HTTP/1.1 200 O\0K\r\n\r\n", 20, EPROTO, "malformed HTTP response");
        bad("HTTP/1.1 200 OK\r\nno colon\r\n\r\n", EPROTO, "malformed MIME header line \"no colon\"");
        bad("HTTP/1.1 200 OK\r\nA : b\r\n\r\n", EPROTO, "malformed MIME header line");
        bad("HTTP/1.1 200 OK\r\n: b\r\n\r\n", EPROTO, "malformed MIME header line");
        bad("HTTP/1.1 200 OK\r\n folded\r\n\r\n", EPROTO, "malformed MIME header line");
        bad("HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n", EPROTO, "malformed MIME header line");
        bad("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", EPROTO, "multiple Content-Length");
        bad("HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\n", EPROTO, "bad Content-Length");
        bad("HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\n", EPROTO, "bad Content-Length");
        bad("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n", EPROTO, "bad Content-Length");
        bad("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", EPROTO, "unsupported transfer encoding");
        bad("HTTP/1.1 101 Switching Protocols\r\n\r\n", EPROTO, "101 Switching Protocols");
        bad("HTTP/1.1 200 OK\r\nA: b\r\n", ECONNRESET, "unexpected EOF");
        bad("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", ECONNRESET, "unexpected EOF");
}

static void test_bombs(void **state)
{
        (void)state;
        char text[MAX_HEAD * 2];
        memset(text, 'a', sizeof(text));
        memcpy(text, "HTTP/1.1 200 OK\r\nA: ", 20);
        bad_bytes(text, sizeof(text), EMSGSIZE, "net/http: server response headers exceeded 300 bytes; aborted");
        /* Interim answers count, too. */
        struct kc_buf b = KC_BUF_INIT;
        for (int i = 0; i < 20; i++)
                kc_buf_adds(&b, "HTTP/1.1 102 Processing\r\n\r\n");
        bad(kc_buf_str(&b), EMSGSIZE, "net/http: server response headers exceeded 300 bytes; aborted");
        kc_buf_done(&b);
        struct http_h1_response r = {.max_head = 1000000};
        for (int i = 0; i < 5000; i++)
                kc_buf_adds(&b, i ? "A: b\r\n" : "HTTP/1.1 200 OK\r\n");
        size_t used, piece_len;
        const char *piece;
        enum http_h1_event event;
        assert_int_equal(http_h1_response_step(&r, b.data, b.len, &used, &event, &piece, &piece_len, NULL), -EMSGSIZE);
        http_h1_response_done(&r);
        kc_buf_done(&b);
        /* A field that goes on for ever, copied with each of its lines. */
        struct http_h1_response folds = {.max_head = 1000000};
        kc_buf_adds(&b, "HTTP/1.1 200 OK\r\nA: b\r\n");
        for (int i = 0; i < 5000; i++)
                kc_buf_adds(&b, " \n");
        assert_int_equal(
            http_h1_response_step(&folds, b.data, b.len, &used, &event, &piece, &piece_len, NULL), -EMSGSIZE);
        http_h1_response_done(&folds);
        kc_buf_done(&b);
}

static void test_interim_and_head(void **state)
{
        (void)state;
        good("HTTP/1.1 100 Continue\r\nA: b\r\n\r\nHTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: "
             "1\r\n\r\nxNEXT",
            200, "content-length|1", "x", true);
        const char *text = "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nNEXT";
        struct outcome o = read_all(text, strlen(text), 1000, true, false);
        assert_true(o.ended);
        assert_string_equal(o.body, "");
        assert_true(o.keep_alive);
        assert_int_equal(o.used, strlen(text) - 4);
        outcome_done(&o);
        text = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nraw";
        o = read_all(text, strlen(text), 1000, false, true);
        assert_int_equal(o.error, 0);
        assert_int_equal(o.code, 101);
        assert_string_equal(o.fields, "upgrade|x");
        assert_int_equal(o.used, strlen(text) - 3);
        outcome_done(&o);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_lengths),
            cmocka_unit_test(test_keeping_the_connection),
            cmocka_unit_test(test_chunks),
            cmocka_unit_test(test_heads_that_are_none),
            cmocka_unit_test(test_bombs),
            cmocka_unit_test(test_interim_and_head),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
