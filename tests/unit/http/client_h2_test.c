/* The client over HTTP/2, against a server whose frames are made by hand. */
#include "script.h"

enum {
        DATA = 0,
        HEADERS_FRAME = 1,
        RST_STREAM = 3,
        SETTINGS = 4,
        PING = 6,
        GOAWAY = 7,
        WINDOW_UPDATE = 8,
        CONTINUATION = 9,
        END_STREAM = 1,
        ACK = 1,
        END_HEADERS = 4,
        NO_ERROR = 0,
        REFUSED = 7,
        CANCEL = 8,
        MANY = 100,
};

static struct script script;
static struct kc_loop *loop;
static struct kc_http_client *client;
static char dir[64];

struct frame {
        unsigned type, flags, stream;
        size_t len;
        unsigned char payload[16384];
};

static void put_frame(
    struct script_conn *c, unsigned type, unsigned flags, unsigned stream, const void *payload, size_t len)
{
        unsigned char f[9 + 16384] = {(unsigned char)(len >> 16), (unsigned char)(len >> 8), (unsigned char)len,
            (unsigned char)type, (unsigned char)flags, (unsigned char)(stream >> 24), (unsigned char)(stream >> 16),
            (unsigned char)(stream >> 8), (unsigned char)stream};
        if (len)
                memcpy(f + 9, payload, len);
        conn_write(c, f, 9 + len);
}

static void put_u32(struct script_conn *c, unsigned type, unsigned stream, uint32_t a, uint32_t b, size_t len)
{
        uint32_t payload[2] = {htonl(a), htonl(b)};
        put_frame(c, type, 0, stream, payload, len);
}

/* False: the client has closed. */
static bool get_frame(struct script_conn *c, struct frame *f)
{
        unsigned char h[9];
        if (!conn_read_all(c, h, sizeof(h)))
                return false;
        f->len = (size_t)h[0] << 16 | (size_t)h[1] << 8 | h[2];
        f->type = h[3];
        f->flags = h[4];
        f->stream = (unsigned)(h[5] & 0x7f) << 24 | (unsigned)h[6] << 16 | (unsigned)h[7] << 8 | h[8];
        assert_true(f->len <= sizeof(f->payload));
        return conn_read_all(c, f->payload, f->len);
}

/* The next frame of that type; settings are acknowledged on the way. */
static bool get(struct script_conn *c, struct frame *f, unsigned type)
{
        while (get_frame(c, f)) {
                if (f->type == SETTINGS && !(f->flags & ACK))
                        put_frame(c, SETTINGS, ACK, 0, NULL, 0);
                if (f->type == type && !(f->type == SETTINGS && (f->flags & ACK)))
                        return true;
        }
        return false;
}

/* Preface and settings; max_streams 0: not told. */
static bool hello(struct script_conn *c, uint32_t max_streams)
{
        char preface[24];
        unsigned char settings[6] = {0, 3, (unsigned char)(max_streams >> 24), (unsigned char)(max_streams >> 16),
            (unsigned char)(max_streams >> 8), (unsigned char)max_streams};
        put_frame(c, SETTINGS, 0, 0, settings, max_streams ? sizeof(settings) : 0);
        return conn_read_all(c, preface, sizeof(preface)) && memcmp(preface, "PRI * HTTP/2.0", 14) == 0;
}

/* 200 and a body of one byte. */
static void put_answer(struct script_conn *c, unsigned stream, char byte)
{
        put_frame(c, HEADERS_FRAME, END_HEADERS, stream, "\x88", 1);
        put_frame(c, DATA, END_STREAM, stream, &byte, 1);
}

/* --- The client's side */

static void free_client(void *arg)
{
        (void)arg;
        kc_http_client_free(KC_TAKE(client));
}

static void begin(void (*serve)(struct script *s, struct script_conn *c))
{
        char cert[96], key[96];
        snprintf(dir, sizeof(dir), "/tmp/kc-http-test-XXXXXX");
        assert_non_null(mkdtemp(dir));
        snprintf(cert, sizeof(cert), "%s/cert.pem", dir);
        snprintf(key, sizeof(key), "%s/key.pem", dir);
        assert_int_equal(kc_tls_self_signed("x", HEADERS(S("127.0.0.1")), cert, key, NULL), 0);
        struct kc_tls_server_opts to = {.cert_file = cert, .key_file = key, .alpn_h2 = true};
        assert_int_equal(kc_tls_server_new(&to, &script.tls, NULL), 0);
        script_start(&script, serve);
        assert_int_equal(kc_loop_new("client", &loop, NULL), 0);
        assert_int_equal(kc_loop_start_thread(loop, NULL), 0);
        struct kc_http_client_opts o = {.insecure_skip_verify = true};
        assert_int_equal(kc_http_client_new(loop, &o, &client, NULL), 0);
}

static void end(void)
{
        kc_loop_call(loop, free_client, NULL);
        kc_loop_stop(loop);
        kc_loop_join(loop);
        kc_loop_free(loop);
        script_stop(&script);
        kc_tls_server_free(KC_TAKE(script.tls));
        assert_int_equal(kc_rm_rf(dir, NULL), 0);
}

struct call {
        struct kc_http_call *call;
        atomic_int headers, data, done, errnum, code;
        char message[256];
        char first;
};

static void on_headers(struct kc_http_call *call, int code, void *arg)
{
        (void)call;
        (void)code;
        atomic_fetch_add(&((struct call *)arg)->headers, 1);
}

static int on_data(struct kc_http_call *call, const char *data, size_t len, void *arg)
{
        struct call *c = arg;
        (void)call;
        if (!atomic_load(&c->data))
                c->first = *data;
        atomic_fetch_add(&c->data, (int)len);
        return 0;
}

static void on_done(struct kc_http_call *call, int code, struct kc_bytes *body, const struct kc_error *err, void *arg)
{
        struct call *c = arg;
        (void)call;
        (void)body;
        atomic_store(&c->code, code);
        atomic_store(&c->errnum, err ? err->errnum : 0);
        snprintf(c->message, sizeof(c->message), "%s", err ? kc_error_message(err) : "");
        atomic_fetch_add(&c->done, 1);
}

static void start(struct call *c, const char *method, const char *body)
{
        char url[64];
        snprintf(url, sizeof(url), "https://127.0.0.1:%d/", script.port);
        struct kc_bytes *b = body ? bytes(body) : NULL;
        memset(c, 0, sizeof(*c));
        struct kc_http_call_opts o = {.method = method,
            .url = url,
            .body = b,
            .on_headers = on_headers,
            .on_data = on_data,
            .on_done = on_done,
            .arg = c};
        assert_int_equal(kc_http_client_start(client, &o, &c->call, NULL), 0);
        kc_bytes_unref(b);
}

static void expect_ok(struct call *c, char byte)
{
        await(&c->done, 1);
        assert_string_equal(c->message, "");
        assert_int_equal(atomic_load(&c->code), 200);
        assert_int_equal(atomic_load(&c->headers), 1);
        assert_int_equal(atomic_load(&c->data), 1);
        assert_int_equal(c->first, byte);
}

static void expect_error(struct call *c, int code, int errnum, const char *part)
{
        await(&c->done, 1);
        if (!strstr(c->message, part))
                assert_string_equal(c->message, part);
        assert_int_equal(atomic_load(&c->errnum), errnum);
        assert_int_equal(atomic_load(&c->code), code);
}

static struct call calls[MANY];

/* --- Connections that end */

/* The first connection takes three requests, answers one and says that it has seen no other. */
static void go_away(struct script *s, struct script_conn *c)
{
        struct frame f;
        (void)s;
        if (!hello(c, 0))
                return;
        for (int i = 0; c->n == 1 && i < 3; i++)
                if (!get(c, &f, HEADERS_FRAME))
                        return;
        if (c->n == 1) {
                put_u32(c, GOAWAY, 0, 1, NO_ERROR, 8);
                put_answer(c, 1, 'a');
                while (get_frame(c, &f)) /* the client closes when the last answer is in */
                        ;
                return;
        }
        while (get(c, &f, HEADERS_FRAME))
                put_answer(c, f.stream, 'b');
}

static void test_goaway(void **state)
{
        (void)state;
        begin(go_away);
        start(&calls[0], "GET", NULL);
        start(&calls[1], "POST", "x");
        start(&calls[2], "GET", NULL);
        expect_ok(&calls[0], 'a');
        expect_ok(&calls[1], 'b');
        expect_ok(&calls[2], 'b');
        await(&script.closed, 1);
        start(&calls[3], "GET", NULL);
        expect_ok(&calls[3], 'b');
        assert_int_equal(atomic_load(&script.conns), 2);
        end();
}

static void refuse_some(struct script *s, struct script_conn *c)
{
        struct frame f;
        (void)s;
        if (!hello(c, 0))
                return;
        for (int n = 0; get(c, &f, HEADERS_FRAME); n++) {
                if (n < 2)
                        put_u32(c, RST_STREAM, f.stream, REFUSED, 0, 4);
                else
                        put_answer(c, f.stream, 'a');
        }
}

static void refuse_all(struct script *s, struct script_conn *c)
{
        struct frame f;
        (void)s;
        if (!hello(c, 0))
                return;
        while (get(c, &f, HEADERS_FRAME))
                put_u32(c, RST_STREAM, f.stream, REFUSED, 0, 4);
}

static void test_refused_streams(void **state)
{
        (void)state;
        begin(refuse_some);
        start(&calls[0], "POST", "x");
        expect_ok(&calls[0], 'a');
        assert_int_equal(atomic_load(&script.conns), 1);
        end();
        begin(refuse_all);
        start(&calls[0], "GET", NULL);
        expect_error(&calls[0], 0, ECONNRESET, "REFUSED_STREAM; received from peer");
        end();
}

/* Begins 100 watches and dies. */
static void die(struct script *s, struct script_conn *c)
{
        struct frame f;
        (void)s;
        if (!hello(c, 1000))
                return;
        for (int i = 0; i < MANY; i++) {
                if (!get(c, &f, HEADERS_FRAME))
                        return;
                put_frame(c, HEADERS_FRAME, END_HEADERS, f.stream, "\x88", 1);
                put_frame(c, DATA, 0, f.stream, "x", 1);
        }
        for (int i = 0; i < MANY; i++)
                await(&calls[i].data, 1);
        shutdown(c->fd, SHUT_RDWR);
}

static void test_death_is_noticed_by_all(void **state)
{
        (void)state;
        begin(die);
        for (int i = 0; i < MANY; i++)
                start(&calls[i], "GET", NULL);
        for (int i = 0; i < MANY; i++)
                expect_error(&calls[i], 200, ECONNRESET, "EOF");
        assert_int_equal(atomic_load(&script.conns), 1);
        end();
}

/* The first request is answered; the second is lost with its connection. */
static void lose_second(struct script *s, struct script_conn *c)
{
        struct frame f;
        (void)s;
        if (!hello(c, 0) || !get(c, &f, HEADERS_FRAME))
                return;
        put_answer(c, f.stream, 'a');
        (void)get(c, &f, HEADERS_FRAME);
}

static void test_lost_request_is_sent_again(void **state)
{
        (void)state;
        begin(lose_second);
        start(&calls[0], "GET", NULL);
        expect_ok(&calls[0], 'a');
        start(&calls[1], "GET", NULL);
        expect_ok(&calls[1], 'a');
        assert_int_equal(atomic_load(&script.conns), 2);
        start(&calls[2], "POST", "x");
        expect_error(&calls[2], 0, ECONNRESET, "EOF");
        end();
}

/* --- Silence */

static atomic_int pings;

static void answer_pings(struct script *s, struct script_conn *c)
{
        struct frame f;
        (void)s;
        if (!hello(c, 0) || !get(c, &f, HEADERS_FRAME))
                return;
        put_frame(c, HEADERS_FRAME, END_HEADERS, f.stream, "\x88", 1);
        unsigned stream = f.stream;
        for (int i = 0; i < 3; i++) {
                if (!get(c, &f, PING))
                        return;
                atomic_fetch_add(&pings, 1);
                put_frame(c, PING, ACK, 0, f.payload, 8);
        }
        put_frame(c, DATA, END_STREAM, stream, "z", 1);
        conn_drain(c);
}

static void ignore_pings(struct script *s, struct script_conn *c)
{
        struct frame f;
        (void)s;
        if (!hello(c, 0) || !get(c, &f, HEADERS_FRAME))
                return;
        put_frame(c, HEADERS_FRAME, END_HEADERS, f.stream, "\x88", 1);
        while (get(c, &f, PING))
                atomic_fetch_add(&pings, 1);
}

static void test_pings(void **state)
{
        (void)state;
        atomic_store(&pings, 0);
        begin(answer_pings);
        http_client_set_times(
            client, &(struct http_client_times){.idle = 90 * KC_SEC, .read_idle = 10 * KC_MSEC, .ping = 20 * KC_SEC});
        start(&calls[0], "GET", NULL);
        expect_ok(&calls[0], 'z');
        assert_int_equal(atomic_load(&pings), 3);
        end();
        atomic_store(&pings, 0);
        begin(ignore_pings);
        http_client_set_times(
            client, &(struct http_client_times){.idle = 90 * KC_SEC, .read_idle = 10 * KC_MSEC, .ping = 10 * KC_MSEC});
        start(&calls[0], "GET", NULL);
        expect_error(&calls[0], 200, ECONNRESET, "http2: client connection lost");
        await(&script.closed, 1);
        assert_true(atomic_load(&pings) >= 1); /* what the server says at the start may fall behind the first */
        end();
}

static void answer_many(struct script *s, struct script_conn *c)
{
        struct frame f;
        (void)s;
        if (!hello(c, 0))
                return;
        while (get(c, &f, HEADERS_FRAME))
                put_answer(c, f.stream, 'a');
}

static void test_idle_connection_ends(void **state)
{
        (void)state;
        begin(answer_many);
        http_client_set_times(
            client, &(struct http_client_times){.idle = 20 * KC_MSEC, .read_idle = 10 * KC_MSEC, .ping = 20 * KC_SEC});
        start(&calls[0], "GET", NULL);
        expect_ok(&calls[0], 'a');
        await(&script.closed, 1);
        start(&calls[0], "GET", NULL);
        expect_ok(&calls[0], 'a');
        assert_int_equal(atomic_load(&script.conns), 2);
        end();
}

/* --- Limits */

static atomic_int settled;

/* Allows one stream at a time; answers when two connections have one each. */
static void one_at_a_time(struct script *s, struct script_conn *c)
{
        struct frame f;
        unsigned stream = 0;
        bool acked = false;
        if (!hello(c, 1))
                return;
        while (!stream || !acked) { /* from then on the client knows the limit */
                if (!get_frame(c, &f))
                        return;
                if (f.type == HEADERS_FRAME)
                        stream = f.stream;
                if (f.type == SETTINGS && (f.flags & ACK))
                        acked = true;
                else if (f.type == SETTINGS)
                        put_frame(c, SETTINGS, ACK, 0, NULL, 0);
        }
        atomic_fetch_add(&settled, 1);
        if (c->n <= 2)
                await(&s->conns, 2);
        do {
                put_answer(c, stream, 'a');
                if (!get(c, &f, HEADERS_FRAME))
                        return;
                stream = f.stream;
        } while (true);
}

static void test_max_streams(void **state)
{
        (void)state;
        atomic_store(&settled, 0);
        begin(one_at_a_time);
        start(&calls[0], "GET", NULL);
        await(&settled, 1);
        start(&calls[1], "GET", NULL);
        expect_ok(&calls[0], 'a');
        expect_ok(&calls[1], 'a');
        assert_int_equal(atomic_load(&script.conns), 2);
        end();
}

static void bomb(struct script *s, struct script_conn *c)
{
        struct frame f;
        (void)s;
        if (!hello(c, 0) || !get(c, &f, HEADERS_FRAME))
                return;
        /* An indexed field of the static table over and over: 16 KB on the wire are 16384 fields. */
        char fields[16000];
        memset(fields, 0x90, sizeof(fields));
        fields[0] = (char)0x88;
        put_frame(c, HEADERS_FRAME, END_HEADERS, f.stream, fields, sizeof(fields));
        unsigned bad = f.stream;
        if (!get(c, &f, RST_STREAM))
                return;
        assert_int_equal(f.stream, bad);
        if (get(c, &f, HEADERS_FRAME))
                put_answer(c, f.stream, 'a');
        conn_drain(c);
}

static void test_header_bomb(void **state)
{
        (void)state;
        begin(bomb);
        start(&calls[0], "GET", NULL);
        expect_error(&calls[0], 0, EMSGSIZE, "http2: response header list larger than advertised limit");
        start(&calls[1], "GET", NULL);
        expect_ok(&calls[1], 'a');
        assert_int_equal(atomic_load(&script.conns), 1);
        end();
}

/* --- Cancelling, and answers before the request is complete */

static atomic_int reset_code;

static void see_reset(struct script *s, struct script_conn *c)
{
        struct frame f;
        (void)s;
        if (!hello(c, 0))
                return;
        for (int i = 0; i < 2; i++) {
                if (!get(c, &f, HEADERS_FRAME))
                        return;
                if (i == 1) {
                        put_frame(c, HEADERS_FRAME, END_HEADERS, f.stream, "\x88", 1);
                        put_frame(c, DATA, 0, f.stream, "x", 1);
                }
                atomic_fetch_add(&pings, 1);
                if (!get(c, &f, RST_STREAM))
                        return;
                atomic_store(&reset_code, f.payload[3]);
                atomic_fetch_add(&pings, 1);
        }
        if (get(c, &f, HEADERS_FRAME))
                put_answer(c, f.stream, 'a');
        conn_drain(c);
}

static void test_cancelling(void **state)
{
        (void)state;
        atomic_store(&pings, 0);
        begin(see_reset);
        start(&calls[0], "GET", NULL);
        await(&pings, 1);
        kc_http_call_cancel(calls[0].call);
        expect_error(&calls[0], 0, ECANCELED, "request was canceled");
        await(&pings, 2);
        assert_int_equal(atomic_load(&reset_code), CANCEL);
        start(&calls[1], "GET", NULL);
        await(&calls[1].data, 1);
        kc_http_call_cancel(calls[1].call);
        expect_error(&calls[1], 200, ECANCELED, "request was canceled");
        await(&pings, 4);
        start(&calls[2], "GET", NULL);
        expect_ok(&calls[2], 'a');
        assert_int_equal(atomic_load(&script.conns), 1);
        end();
}

static void answer_early(struct script *s, struct script_conn *c)
{
        struct frame f;
        (void)s;
        if (!hello(c, 0) || !get(c, &f, HEADERS_FRAME))
                return;
        unsigned stream = f.stream;
        put_answer(c, stream, 'e');
        put_u32(c, RST_STREAM, stream, NO_ERROR, 0, 4);
        if (get(c, &f, HEADERS_FRAME)) /* no window was given: the rest of the upload never comes */
                put_answer(c, f.stream, 'a');
        conn_drain(c);
}

static void test_early_answer(void **state)
{
        (void)state;
        char *big = kc_calloc(1, 1000001);
        memset(big, 'b', 1000000);
        begin(answer_early);
        start(&calls[0], "POST", big);
        expect_ok(&calls[0], 'e');
        start(&calls[1], "GET", NULL);
        expect_ok(&calls[1], 'a');
        assert_int_equal(atomic_load(&script.conns), 1);
        end();
        kc_free(big);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_goaway),
            cmocka_unit_test(test_refused_streams),
            cmocka_unit_test(test_death_is_noticed_by_all),
            cmocka_unit_test(test_lost_request_is_sent_again),
            cmocka_unit_test(test_pings),
            cmocka_unit_test(test_idle_connection_ends),
            cmocka_unit_test(test_max_streams),
            cmocka_unit_test(test_header_bomb),
            cmocka_unit_test(test_cancelling),
            cmocka_unit_test(test_early_answer),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
