/* The gRPC channel against a server that misbehaves on demand. (Against a real etcd: apiserver/storage.) */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "grpc/channel.h"
#include "grpc_server.h"
#include "storage/etcd.pb-c.h"

struct fixture {
        struct server srv;
        struct kc_loop *loop;
        struct kc_grpc_channel *ch;
};

static void open_channel(struct fixture *f, struct kc_grpc_channel_opts *o)
{
        assert_int_equal(kc_loop_new("grpc", &f->loop, NULL), 0);
        char *endpoints[] = {f->srv.endpoint, NULL};
        if (!o->endpoints)
                o->endpoints = endpoints;
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        if (kc_grpc_channel_new(f->loop, o, &f->ch, &err) < 0)
                fail_msg("%s", kc_error_message(&err));
        assert_int_equal(kc_loop_start_thread(f->loop, NULL), 0);
}

static void free_channel(void *arg)
{
        kc_grpc_channel_free(arg);
}

static void close_channel(struct fixture *f)
{
        kc_loop_call(f->loop, free_channel, f->ch);
        kc_loop_stop(f->loop);
        kc_loop_join(f->loop);
        kc_loop_free(f->loop);
}

static int setup(void **state)
{
        struct fixture *f = KC_NEW(struct fixture);
        server_start(&f->srv, NULL, NULL);
        open_channel(f, &(struct kc_grpc_channel_opts){0});
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        struct fixture *f = *state;
        close_channel(f);
        server_stop(&f->srv);
        kc_free(f);
        return 0;
}

/* Calls with a KeyValue whose key is the text; expects it back, or a status. */
static void expect_len(struct fixture *f, const char *method, const char *key, size_t len, int timeout_ms,
    enum kc_grpc_code code, const char *message)
{
        Etcdserverpb__KeyValue req = ETCDSERVERPB__KEY_VALUE__INIT;
        req.key.data = (uint8_t *)(uintptr_t)key;
        req.key.len = len;
        ProtobufCMessage *resp = NULL;
        enum kc_grpc_code got;
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        int r = kc_grpc_call(
            f->ch, method, &req.base, &etcdserverpb__key_value__descriptor, timeout_ms, true, &resp, &got, &err);
        if (got != code)
                fail_msg("%s: %s (%s)", method, kc_grpc_code_name(got), kc_error_message(&err));
        assert_int_equal(r, -kc_grpc_errno(code));
        if (code == KC_GRPC_OK) {
                const Etcdserverpb__KeyValue *kv = (const Etcdserverpb__KeyValue *)resp;
                assert_int_equal(kv->key.len, len);
                assert_memory_equal(kv->key.data, key, len);
                protobuf_c_message_free_unpacked(resp, NULL);
        } else {
                assert_null(resp);
                if (message && !strstr(err.message, message))
                        fail_msg("%s: \"%s\" lacks \"%s\"", method, err.message, message);
        }
}

static void expect(struct fixture *f, const char *method, const char *key, enum kc_grpc_code code, const char *message)
{
        expect_len(f, method, key, strlen(key), 10000, code, message);
}

/* --- Unary calls */

static void call_and_answer(void **state)
{
        struct fixture *f = *state;
        expect(f, "/t/echo", "hello", KC_GRPC_OK, NULL);
        expect(f, "/t/drip", "hello", KC_GRPC_OK, NULL);
        pthread_mutex_lock(&f->srv.lock);
        char *seen = kc_strdup(f->srv.seen);
        pthread_mutex_unlock(&f->srv.lock);
        assert_non_null(strstr(seen, ":method: POST\n:scheme: http\n:path: /t/drip\n:authority: 127.0.0.1:"));
        assert_non_null(strstr(seen, "te: trailers\ncontent-type: application/grpc\n"));
        assert_non_null(strstr(seen, "grpc-timeout: "));
        kc_free(seen);
        assert_int_equal(f->srv.connections, 1);
}

static void large_messages_go_both_ways(void **state)
{
        struct fixture *f = *state;
        size_t len = 6 << 20;
        char *big = kc_malloc(len);
        memset(big, 'x', len);
        expect_len(f, "/t/echo", big, len, 30000, KC_GRPC_OK, NULL);
        kc_free(big);
}

static void statuses_carry_their_message(void **state)
{
        struct fixture *f = *state;
        expect(f, "/t/status", "5 not%20there%21", KC_GRPC_NOT_FOUND, "not there!");
        expect(f, "/t/status", "7 %E2%82%AC", KC_GRPC_PERMISSION_DENIED, "\xe2\x82\xac");
        expect(f, "/t/status", "99 strange", KC_GRPC_UNKNOWN, "strange");
        expect(f, "/t/status", "14 etcdserver: no leader", KC_GRPC_UNAVAILABLE, "etcdserver: no leader");
        assert_int_equal(kc_grpc_errno(KC_GRPC_NOT_FOUND), ENOENT);
        assert_int_equal(kc_grpc_errno(KC_GRPC_UNAVAILABLE), EHOSTUNREACH);
        assert_int_equal(kc_grpc_errno(KC_GRPC_DEADLINE_EXCEEDED), ETIMEDOUT);
        assert_string_equal(kc_grpc_code_name(KC_GRPC_FAILED_PRECONDITION), "FailedPrecondition");
}

static void broken_answers_are_errors(void **state)
{
        struct fixture *f = *state;
        expect(f, "/t/http503", "x", KC_GRPC_UNAVAILABLE,
            "unexpected HTTP status code or content type received from server: 503");
        expect(f, "/t/html", "x", KC_GRPC_UNKNOWN, "content type");
        expect(f, "/t/two", "x", KC_GRPC_INTERNAL, "more than one message");
        expect(f, "/t/notrailer", "x", KC_GRPC_INTERNAL, "without sending trailers");
        expect(f, "/t/empty", "x", KC_GRPC_INTERNAL, "missing or cut short");
        expect(f, "/t/compressed", "x", KC_GRPC_INTERNAL, "compressed");
        expect(f, "/t/long", "x", KC_GRPC_RESOURCE_EXHAUSTED,
            "grpc: received message larger than max (4294967295 vs. 16777216)");
        /* None of it has hurt the connection. */
        expect(f, "/t/echo", "still there", KC_GRPC_OK, NULL);
        assert_int_equal(f->srv.connections, 1);
}

static void deadlines_end_calls(void **state)
{
        struct fixture *f = *state;
        expect_len(f, "/t/hang", "x", 1, 50, KC_GRPC_DEADLINE_EXCEEDED, "context deadline exceeded");
        /* The server learns of it. */
        expect(f, "/t/echo", "x", KC_GRPC_OK, NULL);
        assert_int_equal(f->srv.cancelled, 1);
        assert_int_equal(f->srv.connections, 1);
}

static void refused_calls_are_sent_again(void **state)
{
        struct fixture *f = *state;
        expect(f, "/t/refuse", "x", KC_GRPC_OK, NULL);
        assert_int_equal(f->srv.requests, 3);
}

/* --- Connections */

static void a_new_connection_after_goaway(void **state)
{
        struct fixture *f = *state;
        expect(f, "/t/goaway", "x", KC_GRPC_OK, NULL);
        expect(f, "/t/echo", "x", KC_GRPC_OK, NULL);
        assert_int_equal(f->srv.connections, 2);
}

static void a_lost_connection_fails_its_calls(void **state)
{
        struct fixture *f = *state;
        expect(f, "/t/close", "x", KC_GRPC_UNAVAILABLE, "connection to http://127.0.0.1:");
        expect(f, "/t/echo", "x", KC_GRPC_OK, NULL);
        assert_int_equal(f->srv.connections, 2);
}

static void fail_fast_says_why(void **state)
{
        struct fixture *f = *state;
        expect(f, "/t/echo", "x", KC_GRPC_OK, NULL);
        server_stop(&f->srv);
        expect(f, "/t/echo", "x", KC_GRPC_UNAVAILABLE, NULL);
        expect(f, "/t/echo", "x", KC_GRPC_UNAVAILABLE, "connection refused");
        server_start(&f->srv, NULL, NULL);
        /* Who may wait gets through. */
        Etcdserverpb__KeyValue req = ETCDSERVERPB__KEY_VALUE__INIT;
        ProtobufCMessage *resp = NULL;
        assert_int_equal(kc_grpc_call(f->ch, "/t/echo", &req.base, &etcdserverpb__key_value__descriptor, 10000, false,
                             &resp, NULL, NULL),
            0);
        protobuf_c_message_free_unpacked(resp, NULL);
}

static void waiting_ends_with_the_deadline(void **state)
{
        (void)state;
        struct fixture f = {0};
        char endpoint[] = "http://127.0.0.1:1";
        char *endpoints[] = {endpoint, NULL};
        open_channel(&f, &(struct kc_grpc_channel_opts){.endpoints = endpoints});
        Etcdserverpb__KeyValue req = ETCDSERVERPB__KEY_VALUE__INIT;
        ProtobufCMessage *resp = NULL;
        enum kc_grpc_code code;
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        assert_int_equal(kc_grpc_call(f.ch, "/t/echo", &req.base, &etcdserverpb__key_value__descriptor, 100, false,
                             &resp, &code, &err),
            -ETIMEDOUT);
        assert_int_equal(code, KC_GRPC_DEADLINE_EXCEEDED);
        assert_string_equal(
            err.message, "context deadline exceeded: connection to http://127.0.0.1:1: dial tcp 127.0.0.1:1: connect: connection refused");
        close_channel(&f);
}

static void another_endpoint_takes_over(void **state)
{
        (void)state;
        struct fixture f = {0};
        struct server second = {0};
        server_start(&f.srv, NULL, NULL);
        server_start(&second, NULL, NULL);
        char dead[] = "http://127.0.0.1:1";
        char *endpoints[] = {dead, f.srv.endpoint, second.endpoint, NULL};
        open_channel(&f, &(struct kc_grpc_channel_opts){.endpoints = endpoints});
        expect(&f, "/t/echo", "x", KC_GRPC_OK, NULL);
        assert_int_equal(f.srv.connections, 1);
        kc_grpc_channel_reconnect(f.ch);
        expect(&f, "/t/echo", "x", KC_GRPC_OK, NULL);
        assert_int_equal(second.connections, 1);
        server_stop(&second);
        expect(&f, "/t/echo", "x", KC_GRPC_OK, NULL);
        close_channel(&f);
        server_stop(&f.srv);
}

static void names_are_resolved(void **state)
{
        struct fixture *f = *state;
        struct fixture g = {0};
        char named[64], unknown[] = "http://no.such.host.invalid:1";
        snprintf(named, sizeof(named), "http://localhost:%d", f->srv.port);
        char *endpoints[] = {unknown, named, NULL};
        open_channel(&g, &(struct kc_grpc_channel_opts){.endpoints = endpoints});
        expect(&g, "/t/echo", "x", KC_GRPC_OK, NULL);
        close_channel(&g);
}

static void unix_sockets(void **state)
{
        (void)state;
        struct fixture f = {0};
        char path[64];
        snprintf(path, sizeof(path), "/tmp/kubec-grpc-%d.sock", (int)getpid());
        server_start(&f.srv, path, NULL);
        open_channel(&f, &(struct kc_grpc_channel_opts){0});
        expect(&f, "/t/echo", "x", KC_GRPC_OK, NULL);
        close_channel(&f);
        server_stop(&f.srv);
}

static void keep_alive_finds_dead_servers(void **state)
{
        (void)state;
        struct fixture f = {0};
        server_start(&f.srv, NULL, NULL);
        open_channel(&f, &(struct kc_grpc_channel_opts){.keepalive_ms = 50, .keepalive_timeout_ms = 100});
        expect(&f, "/t/echo", "x", KC_GRPC_OK, NULL);
        /* An answer that takes long is not a dead server. */
        expect_len(&f, "/t/hang", "x", 1, 400, KC_GRPC_DEADLINE_EXCEEDED, NULL);
        assert_int_equal(f.srv.connections, 1);
        atomic_store(&f.srv.deaf, true);
        expect(&f, "/t/hang", "x", KC_GRPC_UNAVAILABLE, "no answer to a keep-alive ping");
        close_channel(&f);
        server_stop(&f.srv);
}

static void bad_endpoints_are_refused(void **state)
{
        (void)state;
        static const char *const bad[] = {"127.0.0.1:2379", "http://127.0.0.1", "http://:1", "http://h:0", "http://h:x",
            "http://h:1/path", "unix://relative", "http://[::1]"};
        struct kc_loop *loop;
        assert_int_equal(kc_loop_new("grpc", &loop, NULL), 0);
        for (size_t i = 0; i < KC_ARRAY_LEN(bad); i++) {
                char *endpoint = kc_strdup(bad[i]);
                char *endpoints[] = {endpoint, NULL};
                struct kc_grpc_channel *ch;
                KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
                assert_int_equal(
                    kc_grpc_channel_new(loop, &(struct kc_grpc_channel_opts){.endpoints = endpoints}, &ch, &err),
                    -EINVAL);
                assert_non_null(strstr(err.message, bad[i]));
                kc_free(endpoint);
        }
        kc_loop_free(loop);
}

/* --- TLS */

static void tls_checks_the_server(void **state)
{
        (void)state;
        char dir[] = "/tmp/kubec-grpc-XXXXXX", cert[64], key[64];
        assert_non_null(mkdtemp(dir));
        snprintf(cert, sizeof(cert), "%s/tls.crt", dir);
        snprintf(key, sizeof(key), "%s/tls.key", dir);
        char localhost[] = "localhost";
        char *names[] = {localhost, NULL};
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        assert_int_equal(kc_tls_self_signed("localhost", names, cert, key, &err), 0);
        struct kc_tls_server *tls;
        assert_int_equal(
            kc_tls_server_new(
                &(struct kc_tls_server_opts){.cert_file = cert, .key_file = key, .alpn_h2 = true}, &tls, &err),
            0);
        struct fixture f = {0};
        server_start(&f.srv, NULL, tls);
        struct kc_tls_client_opts trust = {.ca_file = cert};
        open_channel(&f, &(struct kc_grpc_channel_opts){.tls = &trust});
        expect(&f, "/t/echo", "secret", KC_GRPC_OK, NULL);
        size_t len = 3 << 20;
        char *big = kc_calloc(1, len);
        expect_len(&f, "/t/echo", big, len, 30000, KC_GRPC_OK, NULL);
        kc_free(big);
        close_channel(&f);
        struct kc_tls_client_opts wrong_name = {.ca_file = cert, .server_name = "other"};
        open_channel(&f, &(struct kc_grpc_channel_opts){.tls = &wrong_name});
        expect(&f, "/t/echo", "secret", KC_GRPC_UNAVAILABLE, "tls: ");
        close_channel(&f);
        open_channel(&f, &(struct kc_grpc_channel_opts){0});
        expect(&f, "/t/echo", "secret", KC_GRPC_UNAVAILABLE, "tls: ");
        close_channel(&f);
        server_stop(&f.srv);
        kc_tls_server_free(tls);
        unlink(cert);
        unlink(key);
        rmdir(dir);
}

/* --- Many at once, and the end */

struct count {
        pthread_mutex_t lock;
        pthread_cond_t cond;
        int done, ok, cancelled;
};

static void count_done(enum kc_grpc_code code, ProtobufCMessage *take_resp, const struct kc_error *err, void *arg)
{
        struct count *c = arg;
        pthread_mutex_lock(&c->lock);
        c->done++;
        c->ok += code == KC_GRPC_OK && take_resp && !err->errnum;
        c->cancelled += code == KC_GRPC_CANCELLED && err->errnum == ECANCELED;
        pthread_cond_signal(&c->cond);
        pthread_mutex_unlock(&c->lock);
        if (take_resp)
                protobuf_c_message_free_unpacked(take_resp, NULL);
}

static void async_calls_share_a_connection(void **state)
{
        struct fixture *f = *state;
        struct count c = {.lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};
        Etcdserverpb__KeyValue req = ETCDSERVERPB__KEY_VALUE__INIT;
        for (int i = 0; i < 500; i++)
                kc_grpc_call_async(
                    f->ch, "/t/echo", &req.base, &etcdserverpb__key_value__descriptor, 20000, true, count_done, &c);
        pthread_mutex_lock(&c.lock);
        while (c.done < 500)
                pthread_cond_wait(&c.cond, &c.lock);
        pthread_mutex_unlock(&c.lock);
        assert_int_equal(c.ok, 500);
        assert_int_equal(f->srv.connections, 1);
}

static void freeing_the_channel_cancels_calls(void **state)
{
        (void)state;
        struct fixture f = {0};
        server_start(&f.srv, NULL, NULL);
        open_channel(&f, &(struct kc_grpc_channel_opts){0});
        struct count c = {.lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};
        Etcdserverpb__KeyValue req = ETCDSERVERPB__KEY_VALUE__INIT;
        expect(&f, "/t/echo", "x", KC_GRPC_OK, NULL);
        for (int i = 0; i < 10; i++)
                kc_grpc_call_async(
                    f.ch, "/t/hang", &req.base, &etcdserverpb__key_value__descriptor, 20000, true, count_done, &c);
        close_channel(&f);
        assert_int_equal(c.cancelled, 10);
        server_stop(&f.srv);
}

/* --- Streams */

struct chat {
        struct fixture *f;
        struct kc_grpc_stream *s;
        pthread_mutex_t lock;
        pthread_cond_t cond;
        int sent, received, ended;
        enum kc_grpc_code code;
        bool cancel_at_first;
        const char *method;
};

static void chat_send(struct chat *c)
{
        char key[16];
        Etcdserverpb__KeyValue kv = ETCDSERVERPB__KEY_VALUE__INIT;
        kv.key.data = (uint8_t *)key;
        kv.key.len = (size_t)snprintf(key, sizeof(key), "%d", c->sent++);
        assert_int_equal(kc_grpc_stream_send(c->s, &kv.base), 0);
}

static void chat_message(struct kc_grpc_stream *s, const void *data, size_t len, void *arg)
{
        struct chat *c = arg;
        Etcdserverpb__KeyValue *kv = etcdserverpb__key_value__unpack(NULL, len, data);
        assert_non_null(kv);
        char want[16];
        size_t n = (size_t)snprintf(want, sizeof(want), "%d", c->received++);
        assert_int_equal(kv->key.len, n);
        assert_memory_equal(kv->key.data, want, n);
        etcdserverpb__key_value__free_unpacked(kv, NULL);
        if (c->cancel_at_first)
                kc_grpc_stream_cancel(s);
        else if (c->sent < 100)
                chat_send(c);
        else
                kc_grpc_stream_close_send(s);
}

static void chat_end(struct kc_grpc_stream *s, enum kc_grpc_code code, const char *message, void *arg)
{
        struct chat *c = arg;
        (void)s;
        (void)message;
        pthread_mutex_lock(&c->lock);
        c->ended++;
        c->code = code;
        pthread_cond_signal(&c->cond);
        pthread_mutex_unlock(&c->lock);
}

static const struct kc_grpc_stream_cbs chat_cbs = {.on_message = chat_message, .on_end = chat_end};

static void chat_open(void *arg)
{
        struct chat *c = arg;
        c->s = kc_grpc_stream_open(c->f->ch, c->method, &chat_cbs, c);
        chat_send(c);
}

static void run_chat(struct chat *c, struct fixture *f, const char *method)
{
        c->f = f;
        c->method = method;
        pthread_mutex_init(&c->lock, NULL);
        pthread_cond_init(&c->cond, NULL);
        kc_loop_call(f->loop, chat_open, c);
        pthread_mutex_lock(&c->lock);
        while (!c->ended)
                pthread_cond_wait(&c->cond, &c->lock);
        pthread_mutex_unlock(&c->lock);
}

static void streams_go_both_ways(void **state)
{
        struct fixture *f = *state;
        struct chat c = {0};
        run_chat(&c, f, "/t/chat");
        assert_int_equal(c.code, KC_GRPC_OK);
        assert_int_equal(c.received, 100);
        assert_int_equal(c.ended, 1);
}

static void streams_can_be_cancelled(void **state)
{
        struct fixture *f = *state;
        struct chat c = {.cancel_at_first = true};
        run_chat(&c, f, "/t/chat");
        assert_int_equal(c.code, KC_GRPC_CANCELLED);
        assert_int_equal(c.received, 1);
        expect(f, "/t/echo", "x", KC_GRPC_OK, NULL);
        assert_int_equal(f->srv.cancelled, 1);
}

static void streams_end_with_their_connection(void **state)
{
        (void)state;
        struct fixture f = {0};
        server_start(&f.srv, NULL, NULL);
        open_channel(&f, &(struct kc_grpc_channel_opts){0});
        struct chat c = {.f = &f, .method = "/t/hang"};
        pthread_mutex_init(&c.lock, NULL);
        pthread_cond_init(&c.cond, NULL);
        kc_loop_call(f.loop, chat_open, &c);
        expect(&f, "/t/echo", "x", KC_GRPC_OK, NULL);
        server_stop(&f.srv);
        pthread_mutex_lock(&c.lock);
        while (!c.ended)
                pthread_cond_wait(&c.cond, &c.lock);
        pthread_mutex_unlock(&c.lock);
        assert_int_equal(c.code, KC_GRPC_UNAVAILABLE);
        close_channel(&f);
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
        signal(SIGPIPE, SIG_IGN);
        const struct CMUnitTest tests[] = {
            T(call_and_answer),
            T(large_messages_go_both_ways),
            T(statuses_carry_their_message),
            T(broken_answers_are_errors),
            T(deadlines_end_calls),
            T(refused_calls_are_sent_again),
            T(a_new_connection_after_goaway),
            T(a_lost_connection_fails_its_calls),
            T(fail_fast_says_why),
            cmocka_unit_test(waiting_ends_with_the_deadline),
            cmocka_unit_test(another_endpoint_takes_over),
            T(names_are_resolved),
            cmocka_unit_test(unix_sockets),
            cmocka_unit_test(keep_alive_finds_dead_servers),
            cmocka_unit_test(bad_endpoints_are_refused),
            cmocka_unit_test(tls_checks_the_server),
            T(async_calls_share_a_connection),
            cmocka_unit_test(freeing_the_channel_cancels_calls),
            T(streams_go_both_ways),
            T(streams_can_be_cancelled),
            cmocka_unit_test(streams_end_with_their_connection),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
