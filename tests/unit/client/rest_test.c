/* The REST client against a scripted API server: paths, bodies, errors, retries, limits, credentials, closing. */
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "client/rest.h"
#include "fake_api.h"

struct world {
        struct fake_api *api;
        struct kc_loop *loop;
        struct kc_rest *rest;
};

static void world_init(struct world *w, const struct kc_rest_opts *o, const char *token_file)
{
        w->api = fake_api_new();
        w->loop = new_loop();
        w->rest = fake_client(w->api, w->loop, o, token_file);
        loop_up(w->loop);
}

static void world_done(struct world *w)
{
        loop_down(w->loop);
        kc_rest_free(w->rest);
        kc_loop_free(w->loop);
        fake_api_free(w->api);
}

static void assert_request(struct world *w, size_t i, const char *request, const char *body)
{
        KC_CLEANUP(kc_freep) char *got = fake_request(w->api, i);
        assert_string_equal(got, request);
        if (body) {
                KC_CLEANUP(kc_freep) char *got_body = fake_body(w->api, i);
                assert_string_equal(got_body, body);
        }
}

static void test_paths(void **state)
{
        (void)state;
        static const struct {
                const struct kc_gvr *g;
                const char *ns, *name, *sub, *path;
        } cases[] = {
            {&KC_PODS, NULL, NULL, NULL, "/api/v1/pods"},
            {&KC_PODS, "x", NULL, NULL, "/api/v1/namespaces/x/pods"},
            {&KC_PODS, "x", "y", "status", "/api/v1/namespaces/x/pods/y/status"},
            {&KC_NODES, "ignored", "n1", NULL, "/api/v1/nodes/n1"},
            {&KC_NAMESPACES, NULL, "x", "finalize", "/api/v1/namespaces/x/finalize"},
            {&KC_DEPLOYMENTS, "x", "web", "scale", "/apis/apps/v1/namespaces/x/deployments/web/scale"},
            {&KC_CLUSTERROLES, NULL, "system:node", NULL,
                "/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Anode"},
        };
        for (size_t i = 0; i < KC_ARRAY_LEN(cases); i++) {
                KC_CLEANUP(kc_freep)
                char *path = kc_gvr_path(cases[i].g, cases[i].ns, cases[i].name, cases[i].sub);
                assert_string_equal(path, cases[i].path);
        }
        KC_CLEANUP(kc_freep) char *core = kc_gvr_api_version(&KC_PODS);
        KC_CLEANUP(kc_freep) char *apps = kc_gvr_api_version(&KC_DEPLOYMENTS);
        assert_string_equal(core, "v1");
        assert_string_equal(apps, "apps/v1");
}

#define POD "{\"metadata\":{\"name\":\"a\",\"namespace\":\"ns\"}}"

static void test_verbs(void **state)
{
        (void)state;
        struct world w;
        world_init(&w, &(struct kc_rest_opts){.user_agent = "kubelet/v1.36.2"}, NULL);
        for (const char *const *m = (const char *const[]){"GET", "POST", "PUT", "PATCH", "DELETE", "POST", "GET", NULL};
             *m; m++)
                fake_expect(w.api, (struct fake_step){.method = *m, .match = "", .body = POD});
        KC_CLEANUP(kc_json_freep) struct json_object *pod = NULL;
        assert_int_equal(kc_rest_get(w.rest, &KC_PODS, "ns", "a", &pod, NULL), 0);
        assert_string_equal(kc_json_str_at(pod, "metadata.name"), "a");
        assert_int_equal(kc_rest_create(w.rest, &KC_PODS, "ns", pod, NULL, NULL), 0);
        assert_int_equal(kc_rest_update(w.rest, &KC_PODS, "status", pod, NULL, NULL), 0);
        KC_CLEANUP(kc_json_freep) struct json_object *patch = kc_json_build("{'spec':{}}");
        assert_int_equal(kc_rest_patch(w.rest, &KC_PODS, "ns", "a", NULL, KC_PATCH_MERGE, patch, NULL, NULL), 0);
        struct kc_delete_opts options = {
            .grace_period_seconds = 0, .propagation = "Background", .precondition_uid = "u", .dry_run = true};
        assert_int_equal(kc_rest_delete(w.rest, &KC_PODS, "ns", "a", &options, NULL, NULL), 0);
        assert_int_equal(kc_rest_create_sub(w.rest, &KC_PODS, "ns", "a", "binding", pod, NULL, NULL), 0);
        assert_int_equal(kc_rest_list(w.rest, &KC_PODS, NULL, "limit=5", NULL, NULL), 0);
        assert_request(&w, 0, "GET /api/v1/namespaces/ns/pods/a", "");
        assert_request(&w, 1, "POST /api/v1/namespaces/ns/pods", POD);
        assert_request(&w, 2, "PUT /api/v1/namespaces/ns/pods/a/status", POD);
        assert_request(&w, 3, "PATCH /api/v1/namespaces/ns/pods/a", "{\"spec\":{}}");
        assert_request(&w, 4, "DELETE /api/v1/namespaces/ns/pods/a",
            "{\"kind\":\"DeleteOptions\",\"apiVersion\":\"v1\",\"gracePeriodSeconds\":0,\"propagationPolicy\":"
            "\"Background\",\"preconditions\":{\"uid\":\"u\"},\"dryRun\":[\"All\"]}");
        assert_request(&w, 5, "POST /api/v1/namespaces/ns/pods/a/binding", POD);
        assert_request(&w, 6, "GET /api/v1/pods?limit=5", "");
        assert_string_equal(w.api->agents[0], "kubelet/v1.36.2");
        /* An empty name would be the whole collection. */
        assert_int_equal(kc_rest_delete(w.rest, &KC_PODS, "ns", "", NULL, NULL, NULL), -EINVAL);
        assert_int_equal(fake_count(w.api), 7);
        world_done(&w);
}

static void test_statuses_become_errors(void **state)
{
        (void)state;
        struct world w;
        world_init(&w, NULL, NULL);
        fake_expect(w.api, (struct fake_step){.method = "GET",
                               .match = "",
                               .code = 404,
                               .body = "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"status\":\"Failure\",\"message\":"
                                       "\"pods \\\"a\\\" not "
                                       "found\",\"reason\":\"NotFound\",\"code\":404}"});
        fake_expect(w.api, (struct fake_step){.method = "GET", .match = "", .code = 502, .body = "bad gateway"});
        fake_expect(w.api, (struct fake_step){.method = "GET", .match = "", .body = "{\"truncated\":"});
        struct kc_error err = KC_ERROR_INIT;
        struct json_object *pod = NULL;
        assert_int_equal(kc_rest_get(w.rest, &KC_PODS, "ns", "a", &pod, &err), -ENOENT);
        assert_true(kc_error_is(&err, KC_REASON_NOT_FOUND));
        assert_int_equal(err.code, 404);
        assert_error(&err, "pods \"a\" not found");
        assert_true(kc_rest_get(w.rest, &KC_PODS, "ns", "a", &pod, &err) < 0);
        assert_int_equal(err.code, 502);
        kc_error_done(&err);
        assert_true(kc_rest_get(w.rest, &KC_PODS, "ns", "a", &pod, &err) < 0);
        assert_int_equal(err.code, 0);
        assert_null(pod);
        kc_error_done(&err);
        world_done(&w);
}

static void test_retry_after_is_followed(void **state)
{
        (void)state;
        struct world w;
        world_init(&w, NULL, NULL);
        for (int i = 0; i < 2; i++)
                fake_expect(w.api, (struct fake_step){.method = "POST",
                                       .match = "",
                                       .code = i ? 503 : 429,
                                       .header = "Retry-After",
                                       .header_value = "0",
                                       .body = "busy"});
        fake_expect(w.api, (struct fake_step){.method = "POST", .match = "", .code = 201, .body = POD});
        KC_CLEANUP(kc_json_freep) struct json_object *pod = kc_json_build("{'a':1}");
        assert_int_equal(kc_rest_create(w.rest, &KC_PODS, "ns", pod, NULL, NULL), 0);
        assert_int_equal(fake_count(w.api), 3);
        assert_request(&w, 2, "POST /api/v1/namespaces/ns/pods", "{\"a\":1}");
        /* Not without the header, and not for ever. */
        fake_expect(w.api, (struct fake_step){.method = "GET", .match = "", .code = 503, .body = "busy"});
        assert_true(kc_rest_get(w.rest, &KC_PODS, "ns", "a", NULL, NULL) < 0);
        assert_int_equal(fake_count(w.api), 4);
        for (int i = 0; i < 12; i++)
                fake_expect(w.api,
                    (struct fake_step){
                        .method = "GET", .match = "", .code = 429, .header = "Retry-After", .header_value = "0"});
        assert_int_equal(kc_rest_get(w.rest, &KC_PODS, "ns", "a", NULL, NULL), -EBUSY);
        assert_int_equal(fake_count(w.api), 15);
        world_done(&w);
}

static void test_the_rate_limit(void **state)
{
        (void)state;
        struct world w;
        world_init(&w, &(struct kc_rest_opts){.qps = 50, .burst = 2}, NULL);
        for (int i = 0; i < 5; i++)
                fake_expect(w.api, (struct fake_step){.method = "GET", .match = "", .body = POD});
        kc_mono begin = kc_clock_mono(NULL);
        for (int i = 0; i < 5; i++)
                assert_int_equal(kc_rest_get(w.rest, &KC_PODS, "ns", "a", NULL, NULL), 0);
        /* Two at once, three at 20 ms each. */
        assert_true(kc_clock_mono(NULL) - begin >= 59 * KC_MSEC);
        world_done(&w);
}

static void test_a_token_file(void **state)
{
        (void)state;
        char path[] = "/tmp/kubec-token-XXXXXX";
        int fd = mkstemp(path);
        assert_int_equal(write(fd, "secret\n", 7), 7);
        close(fd);
        struct world w;
        world_init(&w, NULL, path);
        fake_expect(w.api, (struct fake_step){.method = "GET", .match = "", .body = POD});
        fake_expect(w.api, (struct fake_step){.method = "GET", .match = "", .body = POD});
        assert_int_equal(kc_rest_get(w.rest, &KC_PODS, "ns", "a", NULL, NULL), 0);
        assert_string_equal(w.api->authorizations[0], "Bearer secret");
        /* Within a minute the file is not looked at; without it the old token serves. */
        unlink(path);
        assert_int_equal(kc_rest_get(w.rest, &KC_PODS, "ns", "a", NULL, NULL), 0);
        assert_string_equal(w.api->authorizations[1], "Bearer secret");
        world_done(&w);
}

static void test_a_credential_plugin(void **state)
{
        (void)state;
        struct fake_api *api = fake_api_new();
        struct kc_loop *loop = new_loop();
        KC_CLEANUP(kc_freep) char *server = kc_asprintf("http://127.0.0.1:%d", kc_http_server_port(api->server));
        KC_CLEANUP(kc_json_freep)
        struct json_object *exec =
            kc_json_build("{'command':'/bin/sh','args':['-c',%s],'env':[{'name':'TOKEN','value':'from-plugin'}]}",
                "case $KUBERNETES_EXEC_INFO in *ExecCredential*) echo "
                "\"{\\\"status\\\":{\\\"token\\\":\\\"$TOKEN\\\"}}\";; esac");
        struct kc_client_config config = {.server = server, .exec = exec};
        struct kc_rest *rest = NULL;
        assert_int_equal(kc_rest_new(loop, &config, NULL, &rest, NULL), 0);
        loop_up(loop);
        /* After a 401 the plugin is asked again, once. */
        fake_expect(api, (struct fake_step){.method = "GET", .match = "", .code = 401});
        fake_expect(api, (struct fake_step){.method = "GET", .match = "", .body = POD});
        assert_int_equal(kc_rest_get(rest, &KC_PODS, "ns", "a", NULL, NULL), 0);
        assert_int_equal(fake_count(api), 2);
        assert_string_equal(api->authorizations[0], "Bearer from-plugin");
        loop_down(loop);
        kc_rest_free(rest);
        struct kc_error err = KC_ERROR_INIT;
        kc_json_set(exec, "args", kc_json_build("['-c','echo sorry >&2; exit 3']"));
        assert_true(kc_rest_new(loop, &config, NULL, &rest, &err) < 0);
        assert_error(&err, "getting credentials: exec: executable /bin/sh failed with exit code 3: sorry\n");
        kc_error_done(&err);
        kc_loop_free(loop);
        fake_api_free(api);
}

static void test_bad_servers(void **state)
{
        (void)state;
        KC_CLEANUP(kc_loop_freep) struct kc_loop *loop = new_loop();
        struct kc_client_config config = {.server = (char *)"ftp://x"};
        struct kc_rest *rest = NULL;
        struct kc_error err = KC_ERROR_INIT;
        assert_int_equal(kc_rest_new(loop, &config, NULL, &rest, &err), -EINVAL);
        assert_error(&err, "host must be a URL or a host:port pair: \"ftp://x\"");
        kc_error_done(&err);
        assert_null(rest);
}

struct caller {
        struct world *w;
        int result;
};

static void *call(void *arg)
{
        struct caller *c = arg;
        c->result = kc_rest_get(c->w->rest, &KC_PODS, "ns", "a", NULL, NULL);
        return NULL;
}

/* A worker waits for an answer that does not come, another for a Retry-After; the daemon ends. */
static void test_closing_frees_the_workers(void **state)
{
        (void)state;
        struct world w;
        world_init(&w, NULL, NULL);
        fake_expect(
            w.api, (struct fake_step){
                       .method = "GET", .match = "", .code = 503, .header = "Retry-After", .header_value = "3600"});
        struct caller callers[2] = {{.w = &w}, {.w = &w}};
        pthread_t threads[2];
        for (int i = 0; i < 2; i++) {
                pthread_create(&threads[i], NULL, call, &callers[i]);
                kc_free(fake_request(w.api, (size_t)i));
        }
        loop_down(w.loop);
        kc_rest_close(w.rest);
        for (int i = 0; i < 2; i++) {
                pthread_join(threads[i], NULL);
                assert_int_equal(callers[i].result, -ECANCELED);
        }
        assert_int_equal(kc_rest_get(w.rest, &KC_PODS, "ns", "a", NULL, NULL), -ECANCELED);
        kc_rest_free(w.rest);
        kc_loop_free(w.loop);
        fake_api_free(w.api);
}

struct stream {
        int code, ended;
        struct kc_buf data;
        struct kc_error err;
        sem_t gate;
};

static void on_open(int code, void *arg)
{
        ((struct stream *)arg)->code = code;
}

static void on_data(const char *data, size_t len, void *arg)
{
        kc_buf_add(&((struct stream *)arg)->data, data, len);
}

static void on_end(const struct kc_error *err, void *arg)
{
        struct stream *s = arg;
        s->ended++;
        kc_error_copy(&s->err, err);
        sem_post(&s->gate);
}

static const struct kc_rest_stream_cbs stream_cbs = {.on_open = on_open, .on_data = on_data, .on_end = on_end};

static void test_streams(void **state)
{
        (void)state;
        struct world w;
        world_init(&w, NULL, NULL);
        fake_expect(w.api, (struct fake_step){.method = "GET", .match = "log", .body = "line 1\nline 2\n"});
        fake_expect(w.api, (struct fake_step){.method = "GET",
                               .match = "log",
                               .code = 400,
                               .header = "Retry-After",
                               .header_value = "7",
                               .body = "{\"kind\":\"Status\",\"status\":\"Failure\",\"message\":\"no\",\"reason\":"
                                       "\"BadRequest\",\"code\":400}"});
        struct stream s = {0};
        sem_init(&s.gate, 0, 0);
        assert_int_equal(
            kc_rest_stream(w.rest, "/api/v1/namespaces/ns/pods/a/log", "text/plain", &stream_cbs, &s, NULL, NULL), 0);
        gate_wait(&s.gate);
        assert_int_equal(s.code, 200);
        assert_int_equal(s.err.errnum, 0);
        assert_string_equal(kc_buf_str(&s.data), "line 1\nline 2\n");
        kc_buf_reset(&s.data);
        assert_int_equal(
            kc_rest_stream(w.rest, "/api/v1/namespaces/ns/pods/a/log", NULL, &stream_cbs, &s, NULL, NULL), 0);
        gate_wait(&s.gate);
        assert_int_equal(s.code, 400);
        assert_int_equal(s.data.len, 0);
        assert_true(kc_error_is(&s.err, KC_REASON_BAD_REQUEST));
        assert_int_equal(s.err.details->retry_after_seconds, 7);
        assert_error(&s.err, "no");
        /* One that has no answer ends with the client. */
        assert_int_equal(kc_rest_stream(w.rest, "/x", NULL, &stream_cbs, &s, NULL, NULL), 0);
        kc_free(fake_request(w.api, 2));
        world_done(&w);
        assert_int_equal(s.ended, 3);
        assert_int_equal(s.err.errnum, ECANCELED);
        kc_error_done(&s.err);
        kc_buf_done(&s.data);
        sem_destroy(&s.gate);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_paths),
            cmocka_unit_test(test_verbs),
            cmocka_unit_test(test_statuses_become_errors),
            cmocka_unit_test(test_retry_after_is_followed),
            cmocka_unit_test(test_the_rate_limit),
            cmocka_unit_test(test_a_token_file),
            cmocka_unit_test(test_a_credential_plugin),
            cmocka_unit_test(test_bad_servers),
            cmocka_unit_test(test_closing_frees_the_workers),
            cmocka_unit_test(test_streams),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
