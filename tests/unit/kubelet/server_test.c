/* The kubelet's server from outside: who may ask for what, logs as they grow, the fixed endpoints. Tokens and decisions
 * come from a small API server. */
#include "object_api.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "event/worker.h"
#include "http/client.h"
#include "kubelet/server/server.h"

struct world {
        struct object_api api;
        struct kc_pool *pool;
        struct kc_health *health;
        struct kc_kubelet_server *server;
        struct kc_http_client *client;
        char dir[64], *log;
        bool running; /* the container; atomic */
        int reviews;
};

/* --- What the kubelet would say */

static struct json_object *pods(void *arg)
{
        (void)arg;
        return kc_json_build("{'kind':'PodList','apiVersion':'v1','metadata':{},'items':[]}");
}

static int log_path(void *arg, const char *ns, const char *pod, const char *container, bool previous, char **ret_path,
    char **ret_id, struct kc_error *err)
{
        struct world *w = arg;
        assert_string_equal(ns, "ns");
        if (!kc_streq(pod, "p"))
                return kc_error_set_api(err, 404, KC_REASON_NOT_FOUND, "pod \"%s\" does not exist", pod);
        if (previous)
                return kc_error_set_api(err, 400, KC_REASON_BAD_REQUEST,
                    "previous terminated container \"%s\" in pod \"%s\" not found", container, pod);
        *ret_path = kc_strdup(w->log);
        *ret_id = kc_strdup("c1");
        return 0;
}

static bool container_running(void *arg, const char *id)
{
        struct world *w = arg;
        assert_string_equal(id, "c1");
        return __atomic_load_n(&w->running, __ATOMIC_SEQ_CST);
}

static int running(void *arg, const char *ns, const char *pod, const char *container, char **ret_container_id,
    char **ret_sandbox_id, struct kc_error *err)
{
        (void)arg;
        (void)ns;
        (void)pod;
        (void)ret_container_id;
        (void)ret_sandbox_id;
        return kc_error_set_api(err, 404, KC_REASON_NOT_FOUND, "container not found (\"%s\")", container);
}

/* "good" is user alice, who may read logs and metrics; "poor" is bob, who may not. */
static struct json_object *post(struct object_api *a, const char *path, const struct json_object *body)
{
        struct world *w = a->arg;
        w->reviews++;
        if (strstr(path, "tokenreviews")) {
                const char *token = kc_json_str_at(body, "spec.token");
                const char *user = kc_streq(token, "good") ? "alice" : kc_streq(token, "poor") ? "bob" : NULL;
                if (!user)
                        return kc_json_build("{'status':{'authenticated':false}}");
                return kc_json_build("{'status':{'authenticated':true,'user':{'username':%s,'groups':['g']}}}", user);
        }
        assert_string_equal(kc_json_str_at(body, "spec.resourceAttributes.resource"), "nodes");
        assert_string_equal(kc_json_str_at(body, "spec.resourceAttributes.name"), "n1");
        const char *sub = kc_json_str_at(body, "spec.resourceAttributes.subresource");
        bool allowed = kc_streq(kc_json_str_at(body, "spec.user"), "alice") &&
                       (kc_streq(sub, "proxy") || kc_streq(sub, "metrics"));
        return kc_json_build("{'status':{'allowed':%b}}", allowed);
}

/* --- The world */

static void make_server(void *arg)
{
        struct world *w = arg;
        KC_CLEANUP(kc_freep) char *cert = kc_path_join(w->dir, "kubelet.crt");
        KC_CLEANUP(kc_freep) char *key = kc_path_join(w->dir, "kubelet.key");
        char *names[] = {(char *)"127.0.0.1", NULL};
        assert_int_equal(kc_tls_self_signed("n1", names, cert, key, NULL), 0);
        KC_CLEANUP(kc_json_freep) struct json_object *configz = kc_json_build("{'maxPods':110}");
        struct kc_kubelet_server_opts o = {.loop = w->api.loop,
            .pool = w->pool,
            .rest = w->api.rest,
            .health = w->health,
            .node_name = "n1",
            .address = "127.0.0.1",
            .port = -1,
            .cert_file = cert,
            .key_file = key,
            .authentication_webhook = true,
            .debugging_handlers = true,
            .token_cache_ttl = 120 * KC_SEC,
            .authorized_cache_ttl = 300 * KC_SEC,
            .unauthorized_cache_ttl = 30 * KC_SEC,
            .healthz_address = "127.0.0.1",
            .healthz_port = -1,
            .root_dir = w->dir,
            .configz = configz,
            .ops = {pods, log_path, container_running, running, NULL, w}};
        assert_int_equal(kc_kubelet_server_new(&o, &w->server, NULL), 0);
        struct kc_http_client_opts co = {.insecure_skip_verify = true};
        assert_int_equal(kc_http_client_new(w->api.loop, &co, &w->client, NULL), 0);
}

static void world_init(struct world *w)
{
        memset(w, 0, sizeof(*w));
        object_api_start(&w->api);
        w->api.post = post;
        w->api.arg = w;
        snprintf(w->dir, sizeof(w->dir), "/tmp/kubec-server-XXXXXX");
        assert_non_null(mkdtemp(w->dir));
        w->log = kc_path_join(w->dir, "0.log");
        w->pool = kc_pool_new("kubelet", 4, 100);
        w->health = kc_health_new();
        kc_loop_call(w->api.loop, make_server, w);
}

static void free_server(void *arg)
{
        struct world *w = arg;
        kc_kubelet_server_free(w->server);
        kc_http_client_free(w->client);
}

static void world_done(struct world *w)
{
        kc_loop_call(w->api.loop, free_server, w);
        kc_pool_free(w->pool);
        object_api_end(&w->api);
        kc_health_free(w->health);
        assert_int_equal(kc_rm_rf(w->dir, NULL), 0);
        kc_free(w->log);
}

static char *url_of(struct world *w, const char *path)
{
        return kc_asprintf("https://127.0.0.1:%d%s", kc_kubelet_server_port(w->server), path);
}

/* token NULL: none. body NULL: any. */
static void assert_get(struct world *w, const char *token, const char *path, int code, const char *body)
{
        KC_CLEANUP(kc_freep) char *url = url_of(w, path);
        KC_CLEANUP(kc_freep) char *bearer = kc_asprintf("Bearer %s", token ?: "");
        char *headers[] = {(char *)"Authorization", bearer, NULL};
        struct kc_http_call_opts o = {.url = url, .headers = token ? headers : NULL, .timeout_ms = 20000};
        struct kc_http_response resp;
        struct kc_error err = KC_ERROR_INIT;
        if (kc_http_client_do(w->client, &o, &resp, &err) < 0)
                fail_msg("%s", kc_error_message(&err));
        if (body)
                assert_string_equal(kc_bytes_data(resp.body), body);
        assert_int_equal(resp.code, code);
        kc_http_response_done(&resp);
}

static void append(const char *path, const char *s)
{
        KC_CLEANUP(kc_closep) int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
        assert_int_equal(write(fd, s, strlen(s)), (ssize_t)strlen(s));
}

static void test_auth(void **state)
{
        (void)state;
        struct world w;
        world_init(&w);
        assert_get(&w, NULL, "/pods", 401, "Unauthorized");
        assert_get(&w, "wrong", "/pods", 401, "Unauthorized");
        assert_get(
            &w, "poor", "/pods", 403, "Forbidden (user=bob, verb=get, resource=nodes, subresource(s)=[pods proxy])");
        assert_get(&w, "poor", "/metrics/resource", 403,
            "Forbidden (user=bob, verb=get, resource=nodes, subresource(s)=[metrics])");
        assert_get(
            &w, "good", "/pods", 200, "{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":{},\"items\":[]}");
        /* Both questions have been asked, and are not asked again. */
        int reviews = w.reviews;
        assert_get(&w, "good", "/pods", 200, NULL);
        assert_get(&w, "poor", "/pods", 403, NULL);
        assert_get(&w, "wrong", "/pods", 401, NULL);
        assert_int_equal(w.reviews, reviews);
        world_done(&w);
}

static void test_endpoints(void **state)
{
        (void)state;
        struct world w;
        world_init(&w);
        assert_get(&w, "good", "/configz", 200, "{\"kubeletconfig\":{\"maxPods\":110}}");
        assert_get(&w, "good", "/healthz", 200, "ok");
        assert_get(&w, "good", "/nothing", 404, "404 page not found");
        assert_get(&w, "good", "/metrics", 200, NULL);
        assert_get(&w, "good", "/exec/ns/p/c?command=sh&output=1", 400, "Upgrade request required");
        KC_CLEANUP(kc_freep)
        char *url = kc_asprintf("http://127.0.0.1:%d/healthz", kc_kubelet_server_healthz_port(w.server));
        KC_CLEANUP(kc_freep)
        char *other = kc_asprintf("http://127.0.0.1:%d/metrics", kc_kubelet_server_healthz_port(w.server));
        struct kc_http_response resp;
        assert_int_equal(kc_http_client_do(w.client, &(struct kc_http_call_opts){.url = url}, &resp, NULL), 0);
        assert_int_equal(resp.code, 200);
        assert_string_equal(kc_bytes_data(resp.body), "ok");
        kc_http_response_done(&resp);
        assert_int_equal(kc_http_client_do(w.client, &(struct kc_http_call_opts){.url = other}, &resp, NULL), 0);
        assert_int_equal(resp.code, 404);
        kc_http_response_done(&resp);
        world_done(&w);
}

#define LOG "/containerLogs/ns/p/c"

static void test_logs(void **state)
{
        (void)state;
        struct world w;
        world_init(&w);
        append(w.log, "2026-11-21T12:00:00Z stdout F one\n2026-11-21T12:00:01Z stderr F two\n");
        assert_get(&w, "good", LOG, 200, "one\ntwo\n");
        assert_get(&w, "good", LOG "?tailLines=1&timestamps=true", 200, "2026-11-21T12:00:01.000000000Z two\n");
        assert_get(&w, "good", LOG "?limitBytes=2", 200, "on");
        assert_get(&w, "good", LOG "?sinceTime=2026-11-21T12:00:01Z", 200, "two\n");
        assert_get(&w, "good", LOG "?stream=Stderr", 200, "two\n");
        assert_get(&w, "good", LOG "?tailLines=x", 400, "{\"message\": \"Unable to decode query.\"}");
        assert_get(&w, "good", LOG "?tailLines=-1", 422, "{\"message\": \"Invalid request.\"}");
        assert_get(&w, "good", "/containerLogs/ns/q/c", 404, "pod \"q\" does not exist");
        assert_get(&w, "good", LOG "?previous=true", 400, "previous terminated container \"c\" in pod \"p\" not found");
        /* Follow of a container that has ended is what there is. */
        assert_get(&w, "good", LOG "?follow=true", 200, "one\ntwo\n");
        world_done(&w);
}

/* --- Following */

struct following {
        struct world *w;
        pthread_mutex_t mutex;
        pthread_cond_t cond;
        struct kc_buf seen;
        bool done;
};

static int on_data(struct kc_http_call *call, const char *data, size_t len, void *arg)
{
        struct following *f = arg;
        (void)call;
        pthread_mutex_lock(&f->mutex);
        kc_buf_add(&f->seen, data, len);
        pthread_cond_broadcast(&f->cond);
        pthread_mutex_unlock(&f->mutex);
        return 0;
}

static void on_done(struct kc_http_call *call, int code, struct kc_bytes *body, const struct kc_error *err, void *arg)
{
        struct following *f = arg;
        (void)call;
        (void)body;
        assert_int_equal(code, 200);
        assert_null(err);
        pthread_mutex_lock(&f->mutex);
        f->done = true;
        pthread_cond_broadcast(&f->cond);
        pthread_mutex_unlock(&f->mutex);
}

static void wait_for(struct following *f, const char *text)
{
        pthread_mutex_lock(&f->mutex);
        while (!kc_streq(kc_buf_str(&f->seen), text))
                pthread_cond_wait(&f->cond, &f->mutex);
        pthread_mutex_unlock(&f->mutex);
}

static void test_follow(void **state)
{
        (void)state;
        struct world w;
        world_init(&w);
        w.running = true;
        append(w.log, "2026-11-21T12:00:00Z stdout F one\n");
        struct following f = {.w = &w, .mutex = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};
        KC_CLEANUP(kc_freep) char *url = url_of(&w, LOG "?follow=true");
        char *headers[] = {(char *)"Authorization", (char *)"Bearer good", NULL};
        struct kc_http_call_opts o = {
            .url = url, .headers = headers, .on_data = on_data, .on_done = on_done, .arg = &f};
        assert_int_equal(kc_http_client_start(w.client, &o, NULL, NULL), 0);
        wait_for(&f, "one\n");
        append(w.log, "2026-11-21T12:00:00Z stdout F two\n");
        wait_for(&f, "one\ntwo\n");
        KC_CLEANUP(kc_freep) char *rotated = kc_path_join(w.dir, "0.log.1");
        assert_int_equal(rename(w.log, rotated), 0);
        append(w.log, "2026-11-21T12:00:00Z stdout F three\n");
        wait_for(&f, "one\ntwo\nthree\n");
        append(w.log, "2026-11-21T12:00:00Z stdout F last\n");
        __atomic_store_n(&w.running, false, __ATOMIC_SEQ_CST);
        pthread_mutex_lock(&f.mutex);
        while (!f.done)
                pthread_cond_wait(&f.cond, &f.mutex);
        pthread_mutex_unlock(&f.mutex);
        assert_string_equal(kc_buf_str(&f.seen), "one\ntwo\nthree\nlast\n");
        kc_buf_done(&f.seen);
        world_done(&w);
}

static void on_cut(struct kc_http_call *call, int code, struct kc_bytes *body, const struct kc_error *err, void *arg)
{
        (void)call;
        (void)code;
        (void)body;
        (void)arg;
        assert_non_null(err);
}

/* The server ends while a log is followed. */
static void test_end_while_following(void **state)
{
        (void)state;
        struct world w;
        world_init(&w);
        w.running = true;
        append(w.log, "2026-11-21T12:00:00Z stdout F one\n");
        struct following f = {.w = &w, .mutex = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};
        KC_CLEANUP(kc_freep) char *url = url_of(&w, LOG "?follow=true");
        char *headers[] = {(char *)"Authorization", (char *)"Bearer good", NULL};
        struct kc_http_call_opts o = {.url = url, .headers = headers, .on_data = on_data, .on_done = on_cut, .arg = &f};
        assert_int_equal(kc_http_client_start(w.client, &o, NULL, NULL), 0);
        wait_for(&f, "one\n");
        world_done(&w);
        kc_buf_done(&f.seen);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_auth),
            cmocka_unit_test(test_endpoints),
            cmocka_unit_test(test_logs),
            cmocka_unit_test(test_follow),
            cmocka_unit_test(test_end_while_following),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
