/* The secure server: its own certificate, client certificates, and who may see /metrics, asked of a scripted API
 * server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>

#include "base/file.h"
#include "base/str.h"
#include "daemon/daemon.h"
#include "http/client.h"

struct world {
        struct kc_loop *loop, *api_loop;
        struct kc_http_server *api;
        struct kc_rest *rest;
        struct kc_pool *pool;
        struct kc_health *health;
        struct kc_daemon_server *server;
        struct kc_http_client *http;
        pthread_mutex_t lock;
        char **asked; /* bodies that the API server got; guarded by lock */
        char dir[32];
};

/* Tokens "good" (of alice) and nothing else; alice may see /metrics. */
static void on_api_request(struct kc_http_req *req, void *arg)
{
        struct world *w = arg;
        size_t len;
        const char *body = kc_http_req_body(req, &len);
        KC_CLEANUP(kc_freep) char *text = kc_strndup(body, len);
        pthread_mutex_lock(&w->lock);
        kc_strv_push(&w->asked, text);
        pthread_mutex_unlock(&w->lock);
        const char *answer = "{}";
        if (strstr(kc_http_req_path(req), "tokenreviews"))
                answer = strstr(text, "\"good\"")
                             ? "{\"status\":{\"authenticated\":true,\"user\":{\"username\":\"alice\","
                               "\"uid\":\"7\",\"groups\":[\"dev\",\"system:authenticated\"]}}}"
                             : "{\"status\":{\"authenticated\":false}}";
        else
                answer =
                    strstr(text, "\"alice\"") ? "{\"status\":{\"allowed\":true}}" : "{\"status\":{\"allowed\":false}}";
        struct kc_bytes *b = kc_bytes_new(answer, strlen(answer));
        kc_http_reply(req, 201, NULL, b);
        kc_bytes_unref(b);
}

static void start_api(struct world *w)
{
        assert_int_equal(kc_loop_new("api", &w->api_loop, NULL), 0);
        struct kc_loop *const loops[] = {w->api_loop};
        struct kc_http_server_opts o = {
            .loops = loops, .n_loops = 1, .address = "127.0.0.1", .on_request = on_api_request, .arg = w};
        assert_int_equal(kc_http_server_new(&o, &w->api, NULL), 0);
        assert_int_equal(kc_loop_start_thread(w->api_loop, NULL), 0);
}

static void world_init(struct world *w, const char *cert_dir)
{
        *w = (struct world){.dir = "/tmp/kubec-server-XXXXXX"};
        assert_non_null(mkdtemp(w->dir));
        pthread_mutex_init(&w->lock, NULL);
        start_api(w);
        assert_int_equal(kc_loop_new("test", &w->loop, NULL), 0);
        w->pool = kc_pool_new("work", 2, 10);
        KC_CLEANUP(kc_freep) char *url = kc_asprintf("http://127.0.0.1:%d", kc_http_server_port(w->api));
        struct kc_client_config config = {.server = url};
        assert_int_equal(kc_rest_new(w->loop, &config, NULL, &w->rest, NULL), 0);
        w->health = kc_health_new();
        struct kc_daemon_server_opts o = {.bind_address = "127.0.0.1",
            .port = -1,
            .cert_dir = cert_dir ? w->dir : NULL,
            .authentication = w->rest,
            .authorization = w->rest,
            .pool = w->pool,
            .health = w->health};
        struct kc_error err = KC_ERROR_INIT;
        int r = kc_daemon_server_new(w->loop, &o, &w->server, &err);
        if (r < 0)
                print_message("%s\n", kc_error_message(&err));
        assert_int_equal(r, 0);
        struct kc_http_client_opts http = {.insecure_skip_verify = true};
        assert_int_equal(kc_http_client_new(w->loop, &http, &w->http, NULL), 0);
        assert_int_equal(kc_loop_start_thread(w->loop, NULL), 0);
}

static void world_done(struct world *w)
{
        kc_loop_stop(w->loop);
        kc_loop_join(w->loop);
        kc_http_client_free(w->http);
        kc_daemon_drain(w->loop, NULL, w->rest, w->pool);
        kc_daemon_server_free(w->server);
        kc_health_free(w->health);
        kc_rest_free(w->rest);
        kc_loop_free(w->loop);
        kc_loop_stop(w->api_loop);
        kc_loop_join(w->api_loop);
        kc_http_server_free(w->api);
        kc_loop_free(w->api_loop);
        kc_strv_free(w->asked);
        pthread_mutex_destroy(&w->lock);
        assert_int_equal(kc_rm_rf(w->dir, NULL), 0);
}

static void assert_get(struct world *w, const char *path, const char *token, int code, const char *part)
{
        KC_CLEANUP(kc_freep)
        char *url = kc_asprintf("https://127.0.0.1:%d%s", kc_daemon_server_port(w->server), path);
        KC_CLEANUP(kc_freep) char *bearer = kc_asprintf("Bearer %s", token ? token : "");
        char *headers[] = {token ? (char *)"Authorization" : NULL, bearer, NULL};
        struct kc_http_call_opts o = {.url = url, .headers = headers, .timeout_ms = 10000};
        struct kc_http_response response = {0};
        assert_int_equal(kc_http_client_do(w->http, &o, &response, NULL), 0);
        assert_int_equal(response.code, code);
        if (!strstr(kc_bytes_data(response.body), part))
                fail_msg("%s: %s", path, kc_bytes_data(response.body));
        kc_http_response_done(&response);
}

static void test_health_needs_nobody(void **state)
{
        (void)state;
        struct world w;
        world_init(&w, NULL);
        assert_get(&w, "/healthz", NULL, 200, "ok");
        assert_get(&w, "/readyz?verbose", NULL, 200, "[+]ping ok\n[+]shutdown ok\nreadyz check passed\n");
        assert_int_equal(kc_strv_len(w.asked), 0);
        /* Nothing else is known without a right, not even what there is. */
        assert_get(&w, "/version", NULL, 403, "User \\\"system:anonymous\\\" cannot get path \\\"/version\\\"");
        assert_get(&w, "/nowhere", NULL, 403, "User \\\"system:anonymous\\\" cannot get path \\\"/nowhere\\\"");
        world_done(&w);
}

static void test_metrics_need_a_right(void **state)
{
        (void)state;
        struct world w;
        world_init(&w, NULL);
        assert_get(&w, "/metrics", NULL, 403,
            "\"message\":\"forbidden: User \\\"system:anonymous\\\" cannot get path \\\"/metrics\\\"\"");
        assert_get(&w, "/metrics", "bad", 401, "\"reason\":\"Unauthorized\"");
        assert_get(&w, "/metrics", "good", 200, "process_open_fds");
        assert_int_equal(kc_strv_len(w.asked), 4);
        assert_string_equal(w.asked[3], "{\"kind\":\"SubjectAccessReview\",\"apiVersion\":\"authorization.k8s.io/"
                                        "v1\",\"spec\":{\"groups\":[\"dev\","
                                        "\"system:authenticated\"],\"user\":\"alice\",\"uid\":\"7\","
                                        "\"nonResourceAttributes\":{\"path\":\"/metrics\","
                                        "\"verb\":\"get\"}}}");
        /* Remembered for a while. */
        assert_get(&w, "/metrics", "good", 200, "process_open_fds");
        assert_get(&w, "/metrics", NULL, 403, "system:anonymous");
        assert_int_equal(kc_strv_len(w.asked), 4);
        world_done(&w);
}

static void close_rest(void *arg)
{
        kc_rest_close(arg);
}

static void test_without_the_api_server_metrics_are_closed(void **state)
{
        (void)state;
        struct world w;
        world_init(&w, NULL);
        kc_loop_call(w.loop, close_rest, w.rest);
        assert_get(&w, "/metrics", "good", 500, "\"status\":\"Failure\"");
        assert_get(&w, "/livez", NULL, 200, "ok");
        world_done(&w);
}

static void test_the_certificate_is_kept_in_its_directory(void **state)
{
        (void)state;
        struct world w;
        world_init(&w, "own");
        KC_CLEANUP(kc_freep) char *cert = kc_asprintf("%s/%s.crt", w.dir, program_invocation_short_name);
        assert_true(kc_path_exists(cert));
        assert_get(&w, "/healthz", NULL, 200, "ok");
        world_done(&w);
}

static void test_port_zero_serves_nothing(void **state)
{
        (void)state;
        struct kc_daemon_server *s = (struct kc_daemon_server *)state;
        assert_int_equal(kc_daemon_server_new(NULL, &(struct kc_daemon_server_opts){.port = 0}, &s, NULL), 0);
        assert_null(s);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_health_needs_nobody),
            cmocka_unit_test(test_metrics_need_a_right),
            cmocka_unit_test(test_without_the_api_server_metrics_are_closed),
            cmocka_unit_test(test_the_certificate_is_kept_in_its_directory),
            cmocka_unit_test(test_port_zero_serves_nothing),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
