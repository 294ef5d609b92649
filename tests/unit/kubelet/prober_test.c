/* Probes against real servers, their thresholds and what follows from them; hooks. Commands run in a fake runtime. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "../grpc/grpc_server.h"
#include "base/mem.h"
#include "base/str.h"
#include "event/worker.h"
#include "http/server.h"
#include "kubelet/prober/lifecycle.h"
#include "kubelet/prober/prober.h"

/* --- The runtime: "sh -c exit N", "hang", "broken". */

static char last_command[256];

int kc_cri_exec_sync(struct kc_cri *c, const char *id, char *const *cmd, int timeout_seconds, int *ret_exit_code,
    struct kc_buf *ret_out, struct kc_error *err)
{
        (void)c;
        (void)id;
        (void)timeout_seconds;
        KC_CLEANUP(kc_freep) char *joined = kc_strv_join(cmd, " ");
        snprintf(last_command, sizeof(last_command), "%s", joined);
        if (kc_streq(cmd[0], "hang"))
                return kc_error_set(err, ETIMEDOUT, "context deadline exceeded");
        if (kc_streq(cmd[0], "broken"))
                return kc_error_set(err, EIO, "rpc error: code = Unknown desc = no such task");
        *ret_exit_code = kc_streq(cmd[0], "fail") ? 3 : 0;
        if (ret_out)
                kc_buf_adds(ret_out, "some output");
        return 0;
}

/* --- A web server whose answers are told by the path: /200, /500, /redirect, /away, /echo, /hang */

struct web {
        struct kc_loop *loop;
        struct kc_http_server *server;
        int port;
        int code; /* of /health */
};

static void web_request(struct kc_http_req *req, void *arg)
{
        struct web *w = arg;
        const char *path = kc_http_req_path(req);
        KC_CLEANUP(kc_freep) char *location = NULL;
        KC_CLEANUP(kc_freep) char *text = kc_strdup("body");
        int code = (int)strtol(path + 1, NULL, 10);
        if (kc_streq(path, "/hang"))
                return;
        if (kc_streq(path, "/health"))
                code = __atomic_load_n(&w->code, __ATOMIC_SEQ_CST);
        if (kc_streq(path, "/redirect"))
                location = kc_strdup("/200");
        if (kc_streq(path, "/away"))
                location = kc_strdup("http://example.invalid/");
        if (kc_streq(path, "/loop"))
                location = kc_strdup("/loop");
        if (location)
                code = 302;
        if (kc_streq(path, "/echo")) {
                code = 200;
                kc_free(text);
                text = kc_asprintf("%s|%s|%s|%s|%s", kc_http_req_host(req),
                    kc_http_req_header(req, "user-agent") ?: "-", kc_http_req_header(req, "accept") ?: "-",
                    kc_http_req_header(req, "x-a") ?: "-", kc_http_req_query(req));
        }
        char *headers[] = {(char *)"Location", location, NULL};
        struct kc_bytes *b = kc_bytes_new(text, strlen(text));
        kc_http_reply(req, code, location ? headers : NULL, b);
        kc_bytes_unref(b);
}

static void web_start(struct web *w)
{
        memset(w, 0, sizeof(*w));
        w->code = 200;
        assert_int_equal(kc_loop_new("web", &w->loop, NULL), 0);
        struct kc_loop *const loops[] = {w->loop};
        struct kc_http_server_opts o = {
            .loops = loops, .n_loops = 1, .address = "127.0.0.1", .on_request = web_request, .arg = w};
        assert_int_equal(kc_http_server_new(&o, &w->server, NULL), 0);
        w->port = kc_http_server_port(w->server);
        assert_int_equal(kc_loop_start_thread(w->loop, NULL), 0);
}

static void web_close(void *arg)
{
        struct web *w = arg;
        kc_http_server_free(w->server);
}

static void web_end(struct web *w)
{
        kc_loop_call(w->loop, web_close, w);
        kc_loop_stop(w->loop);
        kc_loop_join(w->loop);
        kc_loop_free(w->loop);
}

/* --- One probe */

static void assert_probe(
    struct web *w, struct json_object *take_probe, enum kc_probe_result expected, const char *expected_output)
{
        KC_CLEANUP(kc_json_freep) struct json_object *probe = take_probe;
        KC_CLEANUP(kc_json_freep)
        struct json_object *container = kc_json_build(
            "{'name':'c','ports':[{'name':'web','containerPort':%d}],'env':[{'name':'A','value':'x'}]}", w->port);
        KC_CLEANUP(kc_json_freep)
        struct json_object *pod = kc_json_build("{'metadata':{'name':'p','namespace':'ns','uid':'u'}}");
        struct kc_probe_env e = {
            .loop = w->loop, .pod_ip = "127.0.0.1", .container_id = "c1", .pod = pod, .container = container};
        KC_CLEANUP(kc_freep) char *output = NULL;
        enum kc_probe_result r = kc_probe_run(&e, probe, &output);
        assert_non_null(output);
        assert_string_equal(output, expected_output);
        assert_int_equal(r, expected);
}

static struct json_object *get(struct web *w, const char *path)
{
        return kc_json_build("{'timeoutSeconds':1,'httpGet':{'path':%s,'port':%d}}", path, w->port);
}

static int closed_port(void)
{
        struct web w;
        web_start(&w);
        int port = w.port;
        web_end(&w);
        return port;
}

static void test_http(void **state)
{
        (void)state;
        struct web w;
        web_start(&w);
        assert_probe(&w, get(&w, "/200"), KC_PROBE_SUCCESS, "body");
        assert_probe(&w, get(&w, "/399"), KC_PROBE_SUCCESS, "Probe terminated redirects, Response body: body");
        assert_probe(&w, get(&w, "/400"), KC_PROBE_FAILURE, "HTTP probe failed with statuscode: 400");
        assert_probe(&w, get(&w, "/500"), KC_PROBE_FAILURE, "HTTP probe failed with statuscode: 500");
        assert_probe(&w, get(&w, "/redirect"), KC_PROBE_SUCCESS, "body");
        assert_probe(&w, get(&w, "/away"), KC_PROBE_SUCCESS, "Probe terminated redirects, Response body: body");
        KC_CLEANUP(kc_freep)
        char *looped = kc_asprintf("Get \"http://127.0.0.1:%d/loop\": stopped after 10 redirects", w.port);
        assert_probe(&w, get(&w, "/loop"), KC_PROBE_FAILURE, looped);
        KC_CLEANUP(kc_freep)
        char *hung = kc_asprintf("Get \"http://127.0.0.1:%d/hang\": context deadline exceeded (Client.Timeout exceeded "
                                 "while awaiting headers)",
            w.port);
        assert_probe(&w, get(&w, "/hang"), KC_PROBE_FAILURE, hung);
        KC_CLEANUP(kc_freep) char *echo = kc_asprintf("127.0.0.1:%d|kube-probe/1.36|*/*|-|x=1", w.port);
        assert_probe(&w, kc_json_build("{'httpGet':{'path':'/echo?x=1','port':'web'}}"), KC_PROBE_SUCCESS, echo);
        assert_probe(&w,
            kc_json_build("{'httpGet':{'path':'/echo','port':%d,'httpHeaders':[{'name':'Host','value':'h.example'},"
                          "{'name':'User-Agent','value':'me'},{'name':'X-A','value':'1'}]}}",
                w.port),
            KC_PROBE_SUCCESS, "h.example|me|*/*|1|");
        int port = closed_port();
        KC_CLEANUP(kc_freep)
        char *refused = kc_asprintf(
            "Get \"http://127.0.0.1:%d/x\": dial tcp 127.0.0.1:%d: connect: connection refused", port, port);
        assert_probe(&w, kc_json_build("{'httpGet':{'path':'/x','port':%d}}", port), KC_PROBE_FAILURE, refused);
        KC_CLEANUP(kc_freep)
        char *plain =
            kc_asprintf("Get \"https://127.0.0.1:%d/\": http: server gave HTTP response to HTTPS client", w.port);
        assert_probe(
            &w, kc_json_build("{'httpGet':{'path':'/','port':%d,'scheme':'HTTPS'}}", w.port), KC_PROBE_FAILURE, plain);
        assert_probe(&w, kc_json_build("{'httpGet':{'port':'nope'}}"), KC_PROBE_UNKNOWN,
            "couldn't find port: nope in container \"c\"");
        web_end(&w);
}

static void test_tcp_exec_grpc(void **state)
{
        (void)state;
        struct web w;
        web_start(&w);
        int port = closed_port();
        KC_CLEANUP(kc_freep)
        char *refused = kc_asprintf("dial tcp 127.0.0.1:%d: connect: connection refused", port);
        KC_CLEANUP(kc_freep)
        char *unreached = kc_asprintf(
            "timeout: failed to connect service \"127.0.0.1:%d\" within 1s: context deadline exceeded", port);
        assert_probe(&w, kc_json_build("{'tcpSocket':{'port':'web'}}"), KC_PROBE_SUCCESS, "");
        assert_probe(&w, kc_json_build("{'tcpSocket':{'port':%d}}", port), KC_PROBE_FAILURE, refused);
        assert_probe(&w, kc_json_build("{'exec':{'command':['ok','$(A)','$(B)']}}"), KC_PROBE_SUCCESS, "some output");
        assert_string_equal(last_command, "ok x $(B)");
        assert_probe(&w, kc_json_build("{'exec':{'command':['fail']}}"), KC_PROBE_FAILURE, "some output");
        assert_probe(
            &w, kc_json_build("{'exec':{'command':['hang','1']}}"), KC_PROBE_FAILURE, "command \"hang 1\" timed out");
        assert_probe(&w, kc_json_build("{'exec':{'command':['broken']}}"), KC_PROBE_UNKNOWN,
            "rpc error: code = Unknown desc = no such task");
        assert_probe(&w, kc_json_build("{'grpc':{'port':%d}}", port), KC_PROBE_FAILURE, unreached);
        web_end(&w);
}

static void test_grpc_health(void **state)
{
        (void)state;
        struct web w;
        struct server g = {0};
        web_start(&w);
        server_start(&g, NULL, NULL);
        assert_probe(
            &w, kc_json_build("{'grpc':{'port':%d,'service':'1'}}", g.port), KC_PROBE_SUCCESS, "service healthy");
        assert_probe(&w, kc_json_build("{'grpc':{'port':%d,'service':'2'}}", g.port), KC_PROBE_FAILURE,
            "service unhealthy (responded with \"NOT_SERVING\")");
        assert_probe(&w, kc_json_build("{'grpc':{'port':%d}}", g.port), KC_PROBE_FAILURE,
            "service unhealthy (responded with \"UNKNOWN\")");
        server_stop(&g);
        web_end(&w);
}

/* --- Tasks */

struct world {
        struct web web;
        struct kc_pool *pool;
        struct kc_fake_clock clock;
        struct kc_prober *prober;
        struct kc_object *pod;
        pthread_mutex_t mutex;
        pthread_cond_t cond;
        char seen[512];       /* "readiness=failure readiness=success" */
        char container_id[8]; /* guarded by mutex; "" none */
        bool running;
};

static bool target(void *arg, const char *uid, const char *container, struct kc_probe_target *ret)
{
        struct world *w = arg;
        assert_string_equal(uid, "u1");
        assert_string_equal(container, "c");
        *ret = (struct kc_probe_target){.pod_ip = kc_strdup("127.0.0.1")};
        pthread_mutex_lock(&w->mutex);
        if (w->container_id[0])
                ret->container_id = kc_strdup(w->container_id);
        ret->running = w->running;
        ret->started_at = w->clock.time - 60 * KC_SEC;
        pthread_mutex_unlock(&w->mutex);
        return true;
}

static void on_change(
    void *arg, const char *uid, const char *container, enum kc_probe_kind kind, enum kc_probe_result result)
{
        static const char *const kinds[] = {"startup", "liveness", "readiness"};
        static const char *const results[] = {"unknown", "success", "failure"};
        struct world *w = arg;
        (void)uid;
        (void)container;
        pthread_mutex_lock(&w->mutex);
        size_t n = strlen(w->seen);
        snprintf(w->seen + n, sizeof(w->seen) - n, "%s%s=%s", n ? " " : "", kinds[kind], results[result]);
        pthread_cond_broadcast(&w->cond);
        pthread_mutex_unlock(&w->mutex);
}

static void wait_seen(struct world *w, const char *expected)
{
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += 20;
        pthread_mutex_lock(&w->mutex);
        int r = 0;
        while (!kc_streq(w->seen, expected) && r == 0)
                r = pthread_cond_timedwait(&w->cond, &w->mutex, &until);
        assert_string_equal(w->seen, expected);
        pthread_mutex_unlock(&w->mutex);
}

static void set_container(struct world *w, const char *id, bool running)
{
        pthread_mutex_lock(&w->mutex);
        snprintf(w->container_id, sizeof(w->container_id), "%s", id);
        w->running = running;
        w->seen[0] = '\0';
        pthread_mutex_unlock(&w->mutex);
}

static void world_init(struct world *w, const char *probes)
{
        memset(w, 0, sizeof(*w));
        pthread_mutex_init(&w->mutex, NULL);
        pthread_cond_init(&w->cond, NULL);
        web_start(&w->web);
        w->pool = kc_pool_new("probes", 4, 100);
        kc_fake_clock_init(&w->clock, 1000000 * KC_SEC);
        struct kc_prober_opts o = {.loop = w->web.loop,
            .pool = w->pool,
            .clock = &w->clock.clock,
            .target = target,
            .on_change = on_change,
            .arg = w};
        assert_int_equal(kc_prober_new(&o, &w->prober, NULL), 0);
        kc_fake_clock_advance(&w->clock, 3600 * KC_SEC); /* long after the start: no spreading */
        struct json_object *container = kc_json_build(probes, w->web.port, w->web.port);
        kc_json_set_str(container, "name", "c");
        w->pod = kc_object_new(kc_json_build(
            "{'metadata':{'name':'p','namespace':'ns','uid':'u1'},'spec':{'containers':[%o]}}", container));
}

static void stop_prober(void *arg)
{
        struct world *w = arg;
        kc_prober_stop(w->prober);
}

static void free_prober(void *arg)
{
        struct world *w = arg;
        kc_prober_free(w->prober);
}

static void world_done(struct world *w)
{
        kc_loop_call(w->web.loop, stop_prober, w);
        kc_pool_free(w->pool);
        kc_loop_call(w->web.loop, free_prober, w);
        web_end(&w->web);
        kc_object_unref(w->pod);
        pthread_mutex_destroy(&w->mutex);
        pthread_cond_destroy(&w->cond);
}

#define HEALTH "{'path':'/health','port':%d}"

static void set_code(struct world *w, int code)
{
        __atomic_store_n(&w->web.code, code, __ATOMIC_SEQ_CST);
}

static void test_readiness(void **state)
{
        (void)state;
        struct world w;
        world_init(&w, "{'readinessProbe':{'httpGet':" HEALTH ",'periodSeconds':1,'failureThreshold':2}}");
        kc_prober_add_pod(w.prober, w.pod);
        assert_true(kc_prober_has(w.prober, KC_PROBE_READINESS, "u1", "c"));
        assert_false(kc_prober_has(w.prober, KC_PROBE_LIVENESS, "u1", "c"));
        /* Its container starts: the owner tells by adding again. */
        set_container(&w, "c1", true);
        kc_prober_add_pod(w.prober, w.pod);
        wait_seen(&w, "readiness=failure readiness=success");
        assert_int_equal(kc_prober_result(w.prober, KC_PROBE_READINESS, "c1"), KC_PROBE_SUCCESS);
        set_code(&w, 503);
        wait_seen(&w, "readiness=failure readiness=success readiness=failure");
        kc_prober_remove_pod(w.prober, "u1");
        assert_false(kc_prober_has(w.prober, KC_PROBE_READINESS, "u1", "c"));
        world_done(&w);
}

static void test_startup_then_liveness(void **state)
{
        (void)state;
        struct world w;
        world_init(&w, "{'startupProbe':{'httpGet':" HEALTH ",'periodSeconds':1,'failureThreshold':30},"
                       "'livenessProbe':{'httpGet':" HEALTH ",'periodSeconds':1,'failureThreshold':1}}");
        set_code(&w, 500);
        set_container(&w, "c1", true);
        kc_prober_add_pod(w.prober, w.pod);
        pthread_mutex_lock(&w.mutex);
        while (strlen(w.seen) < strlen("startup=unknown liveness=success"))
                pthread_cond_wait(&w.cond, &w.mutex);
        pthread_mutex_unlock(&w.mutex);
        /* Liveness does not count before it has started. */
        assert_int_equal(kc_prober_result(w.prober, KC_PROBE_LIVENESS, "c1"), KC_PROBE_SUCCESS);
        set_container(&w, "c1", true);
        set_code(&w, 200);
        wait_seen(&w, "startup=success");
        set_code(&w, 500);
        wait_seen(&w, "startup=success liveness=failure");
        /* A new container begins anew. */
        set_code(&w, 200);
        set_container(&w, "c2", true);
        kc_prober_add_pod(w.prober, w.pod);
        pthread_mutex_lock(&w.mutex);
        while (!strstr(w.seen, "startup=success") || !strstr(w.seen, "liveness=success"))
                pthread_cond_wait(&w.cond, &w.mutex);
        pthread_mutex_unlock(&w.mutex);
        assert_int_equal(kc_prober_result(w.prober, KC_PROBE_LIVENESS, "c1"), KC_PROBE_UNKNOWN);
        world_done(&w);
}

/* --- Hooks */

static void assert_hook(struct web *w, struct json_object *take_hook, const char *message)
{
        KC_CLEANUP(kc_json_freep) struct json_object *hook = take_hook;
        KC_CLEANUP(kc_json_freep) struct json_object *container = kc_json_build("{'name':'c'}");
        KC_CLEANUP(kc_json_freep)
        struct json_object *pod = kc_json_build("{'metadata':{'name':'p','namespace':'ns','uid':'u'}}");
        struct kc_probe_env e = {
            .loop = w->loop, .pod_ip = "127.0.0.1", .container_id = "c1", .pod = pod, .container = container};
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        int r = kc_lifecycle_run(&e, hook, 5 * KC_SEC, &err);
        assert_string_equal(r < 0 ? kc_error_message(&err) : "", message);
}

static void test_hooks(void **state)
{
        (void)state;
        struct web w;
        web_start(&w);
        assert_hook(&w, kc_json_build("{'exec':{'command':['true']}}"), "");
        assert_hook(&w, kc_json_build("{'exec':{'command':['fail','x']}}"),
            "Exec lifecycle hook ([fail x]) for Container \"c\" in Pod \"p_ns(u)\" failed - error: command 'fail x' "
            "exited "
            "with 3: , message: \"some output\"");
        assert_hook(&w, kc_json_build("{'httpGet':{'path':'/500','port':%d}}", w.port), "");
        assert_hook(&w, kc_json_build("{'httpGet':{'path':'/200','port':%d,'scheme':'HTTPS'}}", w.port), "");
        int port = closed_port();
        KC_CLEANUP(kc_freep)
        char *refused =
            kc_asprintf("HTTP lifecycle hook (/x) for Container \"c\" in Pod \"p_ns(u)\" failed - error: Get "
                        "\"http://127.0.0.1:%d/x\": dial tcp 127.0.0.1:%d: connect: connection refused, message: \"\"",
                port, port);
        assert_hook(&w, kc_json_build("{'httpGet':{'path':'/x','port':%d}}", port), refused);
        assert_hook(&w, kc_json_build("{'sleep':{'seconds':0}}"), "");
        assert_hook(
            &w, kc_json_build("{'tcpSocket':{'port':1}}"), "invalid handler: the hook has no exec, httpGet or sleep");
        web_end(&w);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_http),
            cmocka_unit_test(test_tcp_exec_grpc),
            cmocka_unit_test(test_grpc_health),
            cmocka_unit_test(test_readiness),
            cmocka_unit_test(test_startup_then_liveness),
            cmocka_unit_test(test_hooks),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
